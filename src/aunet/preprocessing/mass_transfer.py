"""Masses taken out of a prepared mammogram, and those of another one put into it: more variety from the same images.

A projection adds up what lies above each other, so a mass is what the image shows there beyond its surroundings. Those
are continued into the place of the mass harmonically: each pixel becomes the mean of its neighbours, which leaves no
step at the edge, neither where a mass is taken out nor where its contrast is added to other tissue.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from aunet.sample import Image, Mask2D

_EDGE_PX = 2
"""A mass shows a little beyond its outline: by so many pixels,"""
_EDGE_SHARE = 0.15
"""and by this share of the radius of a disc of its area."""
_TEXTURE_PX = 3.0
"""Tissue finer than this Gaussian's standard deviation is texture, which a harmonic continuation lacks."""
_TRIES = 20
"""Places that are tried for a mass or a texture before the image is left without it."""
_LEAST_CONTRAST = 0.03
"""A mass that is on average no brighter than its surroundings by this share of the range can't be seen elsewhere."""
_PULL = 1e-4
"""How strongly the continuation is drawn to the breast's median where no neighbour decides, relative to one."""


class WithMass(NamedTuple):
    """An image and the masks of all its masses, on one grid."""

    image: Image
    mask: Mask2D


def without_masses(image: Image, mask: Mask2D, rng: np.random.Generator) -> Image:
    """The image with tissue where its masses were.

    Args:
        image: A prepared image; its lowest value is the background.
        mask: Its masses.
        rng: Decides from where the texture is taken.

    Returns:
        A new image, equal outside the masses and a narrow rim around them.
    """
    hidden = _grown(mask) & (image > image.min())
    filled = _continued(image, hidden)
    texture = filled - ndimage.gaussian_filter(filled, _TEXTURE_PX)
    places = np.argwhere(hidden)
    # Near the skin the difference holds the breast's edge.
    is_free = (ndimage.distance_transform_edt(image > image.min()) > 3 * _TEXTURE_PX) & ~hidden
    middle = places[len(places) // 2 :][:1]
    for place in rng.permutation(np.argwhere(is_free))[:_TRIES]:
        rows, columns = (places + place - middle).T
        if _lies_inside(rows, columns, image.shape).all() and is_free[rows, columns].all():
            filled[hidden] += texture[rows, columns]
            break
    return _kept_above_background(filled, image)


def with_mass_of(image: Image, mask: Mask2D, donor: WithMass, rng: np.random.Generator) -> WithMass:
    """The image with one of another image's masses added at a free place in the breast.

    Args:
        image: A prepared image; its lowest value is the background.
        mask: Its own masses.
        donor: Another image with at least one mass, on a grid of the same scale.
        rng: Decides which mass is taken, how it is turned, and where it goes.

    Returns:
        New image and mask; those given where the mass fits nowhere, or hardly shows in its own image.
    """
    labels, count = ndimage.label(donor.mask, structure=np.ones((3, 3)))
    if count == 0:
        return WithMass(image, mask)
    one = labels == rng.integers(1, count + 1)
    grown = _grown(one) & (donor.image > donor.image.min())
    if not (grown & one).any():  # all of it where artefacts were removed
        return WithMass(image, mask)
    box = ndimage.find_objects(grown.astype(np.uint8))[0]
    contrast = (donor.image - _continued(donor.image, grown))[box]
    if contrast[one[box]].mean() < _LEAST_CONTRAST * float(np.ptp(donor.image)):
        return WithMass(image, mask)
    turns, is_flipped = int(rng.integers(4)), bool(rng.integers(2))
    shape_of_mass, contrast = (np.rot90(part[:: -1 if is_flipped else 1], turns) for part in (one[box], contrast))
    breast, taken = image > image.min(), _grown(mask)
    for _ in range(_TRIES):
        place = _place(breast.shape, shape_of_mass.shape, rng)
        if place is None:
            break
        if (breast[place] & ~taken[place])[shape_of_mass].all():
            added, both = image.copy(), mask.copy()
            added[place] += np.where(breast[place], contrast, 0)
            both[place] |= shape_of_mass
            return WithMass(_kept_above_background(added, image), both)
    return WithMass(image, mask)


def _place(shape: tuple[int, ...], part: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice] | None:
    """Where a part of an image goes in the whole; None if it is larger."""
    if part[0] > shape[0] or part[1] > shape[1]:
        return None
    row, column = int(rng.integers(shape[0] - part[0] + 1)), int(rng.integers(shape[1] - part[1] + 1))
    return slice(row, row + part[0]), slice(column, column + part[1])


def _grown(mask: Mask2D) -> Mask2D:
    """The masses with their rims."""
    if not mask.any():
        return mask
    radius = _EDGE_PX + _EDGE_SHARE * math.sqrt(mask.sum() / math.pi)
    grown: Mask2D = ndimage.distance_transform_edt(~mask) <= radius
    return grown


def _continued(image: Image, hidden: Mask2D) -> Image:
    """The image with the solution of Laplace's equation in `hidden`, its values around that given.

    The background takes no part: a mass at the skin is continued from the breast alone.
    """
    filled = image.copy()
    if not hidden.any():
        return filled
    breast = image > image.min()
    numbers = np.full(image.shape, -1)
    numbers[hidden] = np.arange(np.count_nonzero(hidden))
    degree = np.full(np.count_nonzero(hidden), _PULL)
    right = degree * float(np.median(image[breast]))
    rows, columns = np.nonzero(hidden)
    pairs = []
    for step in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        row, column = rows + step[0], columns + step[1]
        is_inside = _lies_inside(row, column, image.shape)
        row, column = np.where(is_inside, row, rows), np.where(is_inside, column, columns)
        counts = is_inside & breast[row, column]
        is_unknown = counts & hidden[row, column]
        degree += counts
        right += np.where(counts & ~is_unknown, image[row, column], 0)
        pairs.append((np.flatnonzero(is_unknown), numbers[row, column][is_unknown]))
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    neighbours = sparse.coo_array((np.ones(first.size), (first, second)), shape=2 * degree.shape)
    filled[hidden] = spsolve((sparse.diags_array(degree) - neighbours).tocsc(), right)
    return filled


def _lies_inside(
    rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], shape: tuple[int, ...]
) -> Bool[np.ndarray, " n"]:
    """Whether each place is one of an array of this shape."""
    inside: np.ndarray = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return inside


def _kept_above_background(image: Image, before: Image) -> Image:
    """The changed image within the range of the one before, no pixel of the breast as dark as the background."""
    lowest, highest = float(before.min()), float(before.max())
    least = lowest + 1e-3 * (highest - lowest)
    kept: Image = np.where(before > lowest, np.clip(image, least, highest), before).astype(np.float32)
    return kept

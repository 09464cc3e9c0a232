"""A cluster of calcifications on a phantom: small bright specks, and the region around them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt16
from scipy import ndimage

from aunet.phantom.mammogram import Phantom
from aunet.sample import Mask2D

_SPECKS = (8, 30)
# Share of the image's rows.
_RADIUS = (0.02, 0.05)
_MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Cluster:
    """A phantom's image with calcifications."""

    image: UInt16[np.ndarray, "h w"]
    region: Mask2D
    """The ellipse around the specks, within the breast."""


def add_cluster(rng: np.random.Generator, phantom: Phantom) -> Cluster:
    """One cluster inside the breast.

    It serves to test that calcifications are told from masses, no more: its place and form are not those of real ones.

    Args:
        rng: Where the randomness comes from.
        phantom: A view without masses.

    Returns:
        The image with the specks, and their region.
    """
    rows, columns = phantom.breast.shape
    inside = ndimage.distance_transform_edt(np.pad(phantom.breast, 1))[1:-1, 1:-1]
    # A tiny or narrow breast has no pixel that far inside: the innermost one serves then.
    candidates = np.argwhere(inside >= min(_MARGIN * rows, float(inside.max())))
    row, column = candidates[rng.integers(len(candidates))]
    radii = np.maximum(3.0, rng.uniform(*_RADIUS, size=2) * rows)
    row_of, column_of = np.ogrid[:rows, :columns]
    region = (((row_of - row) / radii[0]) ** 2 + ((column_of - column) / radii[1]) ** 2 <= 1) & phantom.breast
    places = np.argwhere(region)
    specks = places[rng.integers(len(places), size=rng.integers(*_SPECKS))]
    bright = np.zeros((rows, columns))
    bright[specks[:, 0], specks[:, 1]] = 1.0
    bright = ndimage.gaussian_filter(bright, max(0.5, rows / 2048))
    top = 2**phantom.bits_stored - 1
    raised = phantom.image + bright / bright.max() * 0.5 * (top - phantom.image.astype(np.float64))
    return Cluster(np.clip(np.round(raised), 0, top).astype(np.uint16), region)

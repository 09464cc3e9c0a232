"""A picture of a mammogram with the outline of what was found."""

import numpy as np
from jaxtyping import Bool, UInt8

from aunet.preprocessing.grid import Grid
from aunet.sample import Image, Mask2D

GREEN = (0, 255, 0)
LONGEST_SIDE_PX = 1024
LINE_PX = 2
_WINDOW_PERCENTILES = (1.0, 99.5)

Picture = UInt8[np.ndarray, "new_h new_w 3"]
SmallMask = Bool[np.ndarray, "new_h new_w"]


def draw_overlay(image: Image, mask: Mask2D) -> Picture:
    """The mammogram in grey with a green line around each mass, for looking at, not for reading a case.

    The line runs outside the mass, so that what it encloses stays visible; no letters are drawn.

    Args:
        image: The mammogram, source grid.
        mask: Masses, source grid.

    Returns:
        RGB, at most `LONGEST_SIDE_PX` high and wide, proportions kept in pixels.
    """
    rows, columns = image.shape
    factor = min(1.0, LONGEST_SIDE_PX / max(rows, columns))
    grid = Grid.of((rows, columns), (max(1, round(rows * factor)), max(1, round(columns * factor))))
    grey = _windowed(grid.to_model_image(image))
    # Any coverage counts: a mass smaller than a pixel of the picture still gets its line.
    covered = grid.to_model_image(mask.astype(np.float32)) > 0
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    picture[_grown(covered, LINE_PX) & ~covered] = GREEN
    return picture


def _windowed(image: Image) -> UInt8[np.ndarray, "h w"]:
    """Grey values from black to white over the central range of everything brighter than the darkest pixels."""
    tissue = image[image > image.min()]
    if tissue.size == 0:
        return np.zeros(image.shape, dtype=np.uint8)
    low, high = np.percentile(tissue, _WINDOW_PERCENTILES)
    grey = np.clip((image - low) / max(float(high - low), np.finfo(np.float32).tiny), 0, 1)
    return np.asarray((grey * 255).round(), dtype=np.uint8)


def _grown(mask: SmallMask, steps: int) -> SmallMask:
    """The mask with `steps` pixels added all around, corners included."""
    rows, columns = mask.shape
    padded = np.pad(mask, steps)
    grown = np.zeros_like(mask)
    for row in range(2 * steps + 1):
        for column in range(2 * steps + 1):
            grown |= padded[row : row + rows, column : column + columns]
    return grown

"""Film-like pictures drawn for these tests, and time for property tests on a shared machine."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

from aunet.sample import Image, Mask2D

# An example may be slow on a shared machine: that refutes nothing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


Draw = Callable[..., tuple[Image, Mask2D]]
"""Draws a film of `rows` x `columns` with the `chest_wall` on a side; gives it with the pixels of its breast."""


@pytest.fixture(scope="session")
def breast_alone() -> Draw:
    """A half-elliptical breast with a fading skin line on black."""
    return _breast_alone


@pytest.fixture(scope="session")
def film() -> Draw:
    """The same breast among borders, letters, tape, a clip, a scratch and fog."""
    return _film


def _breast_alone(rows: int = 240, columns: int = 160, *, chest_wall: str = "L") -> tuple[Image, Mask2D]:
    """A breast on a black background, and where it is brighter than an eighth of its brightest tissue."""
    row, column = np.mgrid[0:rows, 0:columns]
    radius = np.hypot((row - 0.45 * rows) / (0.33 * rows), column / (0.6 * columns))
    # Thickness falls off to nothing over the outer fifth, so the skin fades as on film.
    thickness = np.clip((1 - radius) / 0.2, 0, 1)
    texture = 0.8 + 0.2 * np.sin(row / 9) * np.cos(column / 7)
    image = (40_000 * thickness * texture).astype(np.float32)
    if chest_wall == "R":
        image = np.ascontiguousarray(image[:, ::-1])
    return image, image > 40_000 / 8


def _film(rows: int = 240, columns: int = 160, *, chest_wall: str = "L") -> tuple[Image, Mask2D]:
    """The same breast with bright film borders, letters, tape, a clip, a scratch and fog along the chest wall."""
    image, breast = _breast_alone(rows, columns, chest_wall=chest_wall)
    dirty = image if chest_wall == "L" else np.ascontiguousarray(image[:, ::-1])
    row, column = np.mgrid[0:rows, 0:columns]
    dirty += np.where(dirty == 0, 9_000 * np.exp(-column / (0.02 * columns)), 0).astype(np.float32)
    dirty[: rows // 60] = 65_535
    dirty[-rows // 50 :] = 60_000
    dirty[row - 0.02 * column > rows - rows // 50] = 60_000
    _draw_letters(dirty, top=rows // 12, left=3 * columns // 4, size=rows // 40)
    dirty[rows // 2 : rows // 2 + rows // 12, -columns // 8 :] = 20_000
    dirty[7 * rows // 8 : 7 * rows // 8 + rows // 60, columns // 2 : columns // 2 + rows // 60] = 65_535
    dirty[rows // 20 : -rows // 20, -columns // 20] = 30_000
    if chest_wall == "R":
        dirty = np.ascontiguousarray(dirty[:, ::-1])
    return dirty, breast


def _draw_letters(image: Image, *, top: int, left: int, size: int) -> None:
    """An L and a C of bars `size` pixels wide."""
    image[top : top + 4 * size, left : left + size] = 65_535
    image[top + 3 * size : top + 4 * size, left : left + 3 * size] = 65_535
    image[top : top + 4 * size, left + 4 * size : left + 5 * size] = 65_535
    image[top : top + size, left + 4 * size : left + 6 * size] = 65_535
    image[top + 3 * size : top + 4 * size, left + 4 * size : left + 6 * size] = 65_535

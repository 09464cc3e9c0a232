"""The side of the chest wall, by pixels alone."""

import numpy as np
import pytest

from aunet.io.breast_side import Side, chest_wall_side
from aunet.sample import Image


def breast(rows: int = 240, columns: int = 160, *, reach: float = 0.6) -> Image:
    """Half an ellipse at the left edge, `reach` of the width deep, with a bright film border around the picture."""
    row, column = np.mgrid[0:rows, 0:columns]
    inside = ((row - rows / 2) / (0.4 * rows)) ** 2 + (column / (reach * columns)) ** 2 < 1
    image = np.where(inside, 3000.0, 100.0) + row % 7 * 20
    image[:4], image[-4:], image[:, -4:] = 4095, 4095, 4095
    drawn: Image = image.astype(np.float32)
    return drawn


@pytest.mark.parametrize("reach", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_chest_wall_is_where_the_tissue_is(reach: float, side: Side) -> None:
    image = breast(reach=reach)
    image = image if side == "left" else np.ascontiguousarray(image[:, ::-1])

    found = chest_wall_side(image)

    assert found == side


def test_letters_on_the_other_side_do_not_matter() -> None:
    image = breast()
    image[20:40, 130:150] = 4095

    assert chest_wall_side(image) == "left"


def test_a_cropped_region_has_no_side() -> None:
    image = np.random.default_rng(3).normal(1000, 100, (300, 300)).astype(np.float32)

    assert chest_wall_side(image) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (200, 2)])
def test_a_tiny_image_has_no_side(shape: tuple[int, int]) -> None:
    assert chest_wall_side(np.ones(shape, dtype=np.float32)) is None

"""The picture with the green line."""

import numpy as np
import pytest

from aunet.inference.overlay import GREEN, LINE_PX, LONGEST_SIDE_PX, draw_overlay


def is_green(picture: np.ndarray) -> np.ndarray:
    return np.asarray((picture == GREEN).all(axis=2))


def test_the_line_runs_around_the_mass_and_not_over_it() -> None:
    image = np.full((40, 50), 7, np.float32)
    mask = np.zeros((40, 50), np.bool_)
    mask[10:20, 15:30] = True

    found = is_green(draw_overlay(image, mask))

    around = np.zeros((40, 50), np.bool_)
    around[10 - LINE_PX : 20 + LINE_PX, 15 - LINE_PX : 30 + LINE_PX] = True
    np.testing.assert_array_equal(found, around & ~mask)


def test_no_mass_no_line() -> None:
    picture = draw_overlay(np.random.default_rng(0).random((30, 20), np.float32), np.zeros((30, 20), np.bool_))

    assert not is_green(picture).any()
    assert (picture[..., 0] == picture[..., 1]).all()


@pytest.mark.parametrize("shape", [(4736, 2920), (3000, 4000), (1025, 10)])
def test_a_film_becomes_a_picture_of_sensible_size(shape: tuple[int, int]) -> None:
    picture = draw_overlay(np.zeros(shape, np.float32), np.zeros(shape, np.bool_))

    rows, columns, _ = picture.shape
    assert max(rows, columns) == LONGEST_SIDE_PX
    assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.1)


def test_a_mass_of_one_pixel_in_a_whole_film_is_still_seen() -> None:
    mask = np.zeros((4000, 3000), np.bool_)
    mask[1000, 600] = True

    found = is_green(draw_overlay(np.zeros(mask.shape, np.float32), mask))

    rows, columns = np.nonzero(found)
    assert rows.mean() == pytest.approx(1000 * 1024 / 4000, abs=1)
    assert columns.mean() == pytest.approx(600 * 1024 / 4000, abs=1)


def test_dark_stays_dark_and_bright_bright() -> None:
    image = np.zeros((100, 100), np.float32)
    image[:, :50] = np.linspace(500, 4095, 100, dtype=np.float32)[:, np.newaxis]

    picture = draw_overlay(image, np.zeros(image.shape, np.bool_))

    assert (picture[:, 50:] == 0).all()
    assert (np.diff(picture[:, 0, 0].astype(int)) >= 0).all()
    assert picture[-1, 0, 0] == 255

from collections.abc import Callable

import numpy as np
import pytest

from aunet.preprocessing.full_size import as_prepared
from aunet.preprocessing.grid import Crop, Grid
from aunet.sample import Image, Mask2D

Draw = Callable[..., tuple[Image, Mask2D]]


def test_film_loses_its_edges_letters_and_background(film: Draw) -> None:
    image, breast = film(1000, 700)

    reduced, grid = as_prepared(image, longest_px=230, cuts_out=True, faces_left=True)

    assert grid == Grid.of((1000, 700), (230, 230), crop=Crop(40, 7, 920, 686), keeps_aspect=True)
    # Four source pixels a pixel: the edge, grown by half a speck, lies within a pixel of the breast's own.
    shown = reduced > 0
    expected = grid.to_model_image(breast.astype(np.float32)) > 0
    assert (shown & expected).sum() / (shown | expected).sum() > 0.95
    inside = grid.to_model_image((breast & (image > 65_535 / 10)).astype(np.float32)) == 1
    assert np.allclose(reduced[inside], grid.to_model_image(image)[inside], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 40])
def test_breast_is_kept_beside_something_ten_times_as_bright(film: Draw, size: int) -> None:
    image, breast = film(1000, 700)
    dim = np.minimum(image, 40_000) / 12
    dim[300 : 300 + size, 600 : 600 + size] = 65_535

    reduced, grid = as_prepared(dim, longest_px=230, cuts_out=True, faces_left=True)

    shown, expected = reduced > 0, grid.to_model_image(breast.astype(np.float32)) > 0
    assert (shown & expected).sum() / (shown | expected).sum() > 0.95


def test_background_stays_where_it_shall(film: Draw) -> None:
    image, _ = film(1000, 700)

    reduced, grid = as_prepared(image, longest_px=230, cuts_out=False, faces_left=True)

    assert np.allclose(reduced, grid.to_model_image(image), rtol=1e-5)


def test_film_of_the_other_side_gives_the_same(film: Draw) -> None:
    (left, _), (right, _) = film(1000, 700), film(1000, 700, chest_wall="R")
    assert np.array_equal(left, right[:, ::-1])

    of_left, _ = as_prepared(left, longest_px=256, cuts_out=True, faces_left=True)
    of_right, grid = as_prepared(right, longest_px=256, cuts_out=True, faces_left=True)

    assert grid.mirror.active
    assert np.allclose(of_left, of_right, rtol=1e-5)


def test_film_is_not_turned_where_it_shall_not_be(film: Draw) -> None:
    image, _ = film(1000, 700, chest_wall="R")

    _, grid = as_prepared(image, longest_px=256, cuts_out=True, faces_left=False)

    assert not grid.mirror.active


def test_image_that_was_prepared_before_is_only_reduced(breast_alone: Draw) -> None:
    image, breast = breast_alone(240, 160)
    prepared = np.pad(image * breast, ((0, 0), (0, 80)))

    reduced, grid = as_prepared(
        np.kron(prepared, np.ones((4, 4), dtype=np.float32)), longest_px=240, cuts_out=True, faces_left=True
    )

    assert np.allclose(reduced, prepared, rtol=1e-5)
    assert grid == Grid.of((960, 960), (240, 240))


def test_image_is_never_enlarged(film: Draw) -> None:
    image, _ = film(270, 180)

    reduced, _ = as_prepared(image, longest_px=256, cuts_out=True, faces_left=True)

    assert reduced.shape == (250, 250)  # 270 rows less twice 10


def test_thread_goes_and_the_region_grows_by_half_a_speck() -> None:
    # A speck is 3 pixels in 400 rows of 3000: 23 * 400 / 3000, rounded, less a half, twice and one.
    image = np.zeros((435, 435), dtype=np.float32)
    crop = Crop(17, 4, 401, 427)
    image[100:200, 100:180] = 1000
    image[150:152, 180:300] = 1000
    image[300:310, 300:310] = 1000  # a second region: nobody has cut the first one out
    image[120:125, 120:125] = 0
    expected = image.copy()
    expected[150:152, 181:] = 0
    expected[300:310, 300:310] = 0

    reduced, grid = as_prepared(image, longest_px=427, cuts_out=True, faces_left=False)

    assert grid.crop == crop
    assert np.array_equal(reduced[:401], crop.apply(expected))


@pytest.mark.parametrize("value", [0, 7])
def test_image_without_anything_in_it_stays_so(value: int) -> None:
    reduced, _ = as_prepared(np.full((600, 400), value, np.float32), longest_px=256, cuts_out=True, faces_left=True)

    assert np.allclose(reduced[:, :165], value)  # beyond it lies padding

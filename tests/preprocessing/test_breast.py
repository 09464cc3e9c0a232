from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from scipy import ndimage

from aunet.preprocessing.breast import (
    content_box,
    find_breast,
    has_chest_wall_on_right,
    is_cut_out,
    without_holes,
)
from aunet.preprocessing.grid import Crop
from aunet.sample import Image, Mask2D

Draw = Callable[..., tuple[Image, Mask2D]]
Side = Literal["L", "R"]


def iou(one: Mask2D, other: Mask2D) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("chest_wall", ["L", "R"])
@pytest.mark.parametrize("size", [(240, 160), (900, 600)])
def test_breast_is_found_among_borders_letters_tape_clips_and_fog(
    film: Draw, chest_wall: Side, size: tuple[int, int]
) -> None:
    image, breast = film(*size, chest_wall=chest_wall)

    found = find_breast(image)

    assert iou(found, breast) > 0.96


def test_nothing_beside_the_breast_is_kept(film: Draw, breast_alone: Draw) -> None:
    image, _ = film()
    alone, _ = breast_alone()

    found = find_breast(image)

    assert not found[alone == 0].any()


def test_white_border_across_the_breast_is_no_breast(breast_alone: Draw) -> None:
    image, breast = breast_alone(600, 400)
    # As in an oblique view the tissue goes on to the upper edge of the film, and the border lies over it.
    image, breast = image[200:].copy(), breast[200:].copy()
    image[:12] = 65_535
    image[-8:] = 65_535

    found = find_breast(image)

    assert not found[:11].any()
    assert not found[-8:].any()
    assert iou(found[14:], breast[14:]) > 0.96


def test_white_border_that_fades_over_the_tissue_leaves_nothing_of_it(breast_alone: Draw) -> None:
    image, breast = breast_alone(600, 400)
    # Beside the breast the border ends at once, over the breast it fades: as the films of an oblique view show it.
    image, breast = image[200:].copy(), breast[200:].copy()
    image[:8] = 65_535
    fading = np.linspace(65_535, 45_000, 4, dtype=np.float32)[:, np.newaxis]
    image[8:12] = np.where(breast[8:12], fading, image[8:12])

    found = find_breast(image)

    assert not found[:12].any()
    assert iou(found[14:], breast[14:]) > 0.96


def test_letter_that_a_scratch_joins_to_the_breast_is_no_breast(breast_alone: Draw) -> None:
    image, breast = breast_alone()
    image[30:40, 120:150] = 65_535
    # A bright bridge three pixels wide from the middle of the breast to the letter.
    for step in range(90):
        image[108 - round(step * 0.8) : 111 - round(step * 0.8), 40 + step] = 65_535

    found = find_breast(image)

    assert not found[30:40, 120:150].any()
    assert iou(found, breast) > 0.95


def test_breast_alone_is_found_as_well(breast_alone: Draw) -> None:
    image, breast = breast_alone()

    found = find_breast(image)

    assert iou(found, breast) > 0.98


def test_lower_level_keeps_more_of_the_skin(film: Draw) -> None:
    image, _ = film()

    dense, with_skin = find_breast(image, level=0.11), find_breast(image, level=0.03)

    assert (with_skin | ~dense).all()
    assert with_skin.sum() > 1.03 * dense.sum()


def test_dark_hole_inside_the_breast_belongs_to_it(breast_alone: Draw) -> None:
    image, _ = breast_alone()
    image[100:110, 20:30] = 0

    found = find_breast(image)

    assert found[100:110, 20:30].all()


def test_image_that_was_cut_out_before_keeps_its_skin_and_loses_what_is_thin(breast_alone: Draw) -> None:
    image, breast = breast_alone()
    cut_out = image * breast
    # Fog along the chest wall, as many a prepared film shows it: it would keep every row from being cropped.
    lowest = int(np.flatnonzero(breast.any(axis=1)).max())
    cut_out[lowest - 2 :, :2] = 20_000

    found = find_breast(cut_out)

    assert not found[lowest + 8 :].any()
    assert np.array_equal(found[: lowest - 8], cut_out[: lowest - 8] > 0)


def test_image_full_of_tissue_stays_whole() -> None:
    image = np.random.default_rng(0).uniform(20_000, 40_000, (120, 100)).astype(np.float32)

    found = find_breast(image)

    assert found.mean() > 0.95


def test_constant_image_shows_no_breast() -> None:
    assert not find_breast(np.full((50, 40), 7, dtype=np.float32)).any()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_crop_takes_away_rows_and_columns_of_negligible_maximum(rows: int, columns: int, top: int, left: int) -> None:
    image = np.random.default_rng(0).uniform(0, 0.9, (20, 20)).astype(np.float32)
    image[top : top + rows, left : left + columns] += 100

    box = content_box(image)

    assert box == Crop(top, left, rows, columns)


def test_crop_leaves_a_constant_image_whole() -> None:
    assert content_box(np.zeros((4, 6), dtype=np.float32)) == Crop(0, 0, 4, 6)


@pytest.mark.parametrize("chest_wall", ["L", "R"])
@pytest.mark.parametrize("size", [(240, 160), (900, 600)])
def test_chest_wall_is_told_from_the_pixels(breast_alone: Draw, chest_wall: Side, size: tuple[int, int]) -> None:
    image, _ = breast_alone(*size, chest_wall=chest_wall)

    assert has_chest_wall_on_right(image) is (chest_wall == "R")


@pytest.mark.data
def test_prepared_images_lose_fog_and_borders_only(prepared_cbis_ddsm: Path) -> None:
    losses, turned, cut = [], [], []

    for path in sorted((prepared_cbis_ddsm / "images").rglob("*.png"))[::8]:
        image = np.asarray(Picture.open(path)).astype(np.float32)
        mass = np.asarray(Picture.open(prepared_cbis_ddsm / "masks" / path.parent.name / path.name)) > 0
        breast = find_breast(image)
        losses.append(float((image > 0)[~breast].sum() / (image > 0).sum()))
        if has_chest_wall_on_right(image * breast):
            turned.append(path.stem)
        if content_box(image * breast).apply(mass).sum() < 0.95 * mass.sum():
            cut.append(path.stem)

    assert np.mean(losses) < 0.01
    assert max(losses) < 0.15
    assert turned == []
    assert cut == []


def test_rounding_errors_in_the_background_make_no_breast(breast_alone: Draw) -> None:
    image, breast = breast_alone()
    cut_out = image * breast
    noise = np.random.default_rng(0).uniform(-0.004, 0.004, image.shape).astype(np.float32)

    found = find_breast(np.where(breast, cut_out, noise).astype(np.float32))

    assert np.array_equal(found, find_breast(cut_out))


def test_image_is_cut_out_where_one_sharp_region_is_left(film: Draw, breast_alone: Draw) -> None:
    image, breast = breast_alone(1200, 800)

    assert is_cut_out(image * breast)
    assert not is_cut_out(image)
    assert not is_cut_out(film()[0])
    assert not is_cut_out(np.zeros((600, 400), dtype=np.float32))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
def test_holes_are_filled_as_scipy_fills_them(seed: int, rows: int, columns: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < share

    assert np.array_equal(without_holes(mask), ndimage.binary_fill_holes(mask))


def test_blank_image_of_many_pixels_has_no_breast_on_its_own_grid() -> None:
    found = find_breast(np.zeros((900, 600), dtype=np.float32))

    assert found.shape == (900, 600)
    assert not found.any()

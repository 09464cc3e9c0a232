import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aunet.preprocessing.grid import Crop
from aunet.preprocessing.patches import patch_around
from aunet.sample import Mask2D


def test_patch_is_the_smallest_rectangle_enlarged_by_a_fifth_in_area() -> None:
    mask = np.zeros((400, 400), dtype=bool)
    mask[150:250, 100:300] = True

    patch = patch_around(mask, margin=0.2)

    # sqrt(1.2) = 1.0954: 100 rows grow by 4.77 and 200 columns by 9.54 at each end, rounded up.
    assert patch == Crop(145, 90, 110, 220)
    assert patch.rows * patch.columns / (100 * 200) == pytest.approx(1.2, abs=0.02)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50), st.integers(1, 50), st.floats(0, 3))
def test_patch_holds_the_mass_and_stays_inside_the_image(
    top: int, left: int, rows: int, columns: int, margin: float
) -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[top : top + rows, left : left + columns] = True

    patch = patch_around(mask, margin=margin)

    assert patch.apply(mask).sum() == mask.sum()
    assert 0 <= patch.top <= patch.top + patch.rows <= 100
    assert 0 <= patch.left <= patch.left + patch.columns <= 100


def test_patch_without_margin_is_the_smallest_rectangle() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2, 3] = mask[3, 4] = True

    assert patch_around(mask, margin=0.0) == Crop(2, 3, 2, 2)


def test_patch_is_around_the_largest_of_several_masses() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[2:6, 2:6] = True
    mask[30:40, 30:40] = True

    assert patch_around(mask, margin=0.0) == Crop(30, 30, 10, 10)


def test_patch_of_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="this one is empty"):
        patch_around(np.zeros((4, 4), dtype=bool), margin=0.2)


def test_negative_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="not -1"):
        patch_around(np.ones((4, 4), dtype=bool), margin=-1.0)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any))
def test_of_any_mask_of_any_size_it_is_the_largest_mass(mask: Mask2D) -> None:
    patch = patch_around(mask, margin=0.0)

    # As bytes; the library has numbered background of bool arrays with an odd side.
    labels = cc3d.connected_components(mask.view(np.uint8), connectivity=8)
    areas = np.bincount(labels.ravel())[1:]
    boxes = [_box(labels == number + 1) for number in np.flatnonzero(areas == areas.max())]
    assert patch in boxes


def _box(mask: Mask2D) -> Crop:
    rows, columns = np.nonzero(mask)
    return Crop(int(rows.min()), int(columns.min()), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)

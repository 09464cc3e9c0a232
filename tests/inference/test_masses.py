"""Masses measured by hand, and beside scikit-image."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist
from skimage.measure import find_contours, label, regionprops

from aunet.inference.masses import find_masses, longest_diameter
from aunet.sample import Mask2D, Probability


def even(shape: tuple[int, int], value: float = 0.5) -> Probability:
    return np.full(shape, value, dtype=np.float32)


def test_an_empty_mask_has_no_mass() -> None:
    found = find_masses(np.zeros((4, 5), np.bool_), even((4, 5)), spacing_mm=None)

    assert found == ()


def test_a_rectangle_is_measured_as_by_hand() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[5:8, 10:20] = True
    probability = even((20, 30), 0.25)
    probability[5, 10:20] = 1.0

    (mass,) = find_masses(mask, probability, spacing_mm=(0.1, 0.2))

    assert mass.area_px == 30
    assert mass.area_mm2 == pytest.approx(30 * 0.1 * 0.2)
    assert mass.box == (5, 10, 8, 20)
    assert mass.mean_probability == pytest.approx((10 * 1.0 + 20 * 0.25) / 30)
    # Between the middles of the short sides' outer edges, one pixel row below the other at each end: 10 across, 2 down.
    assert mass.diameter_px == pytest.approx(np.hypot(10, 2))
    assert mass.diameter_mm == pytest.approx(np.hypot(10 * 0.2, 2 * 0.1))


def test_nothing_in_millimetres_without_spacing() -> None:
    (mass,) = find_masses(np.ones((3, 3), np.bool_), even((3, 3)), spacing_mm=None)

    assert mass.area_mm2 is None
    assert mass.diameter_mm is None


@pytest.mark.parametrize("length", [1, 2, 17])
def test_a_row_of_pixels_is_as_long_as_they_are_many(length: int) -> None:
    assert longest_diameter(np.ones((1, length), np.bool_)) == pytest.approx(length)


def test_pixels_that_touch_at_a_corner_are_one_mass_and_others_two() -> None:
    mask = np.zeros((6, 6), np.bool_)
    mask[0, 0] = mask[1, 1] = mask[5, 5] = True

    found = find_masses(mask, even((6, 6)), spacing_mm=None)

    assert [mass.area_px for mass in found] == [2, 1]


def test_masses_come_in_reading_order() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[6, 0] = mask[2, 7] = mask[2, 1:3] = True

    found = find_masses(mask, even((9, 9)), spacing_mm=None)

    assert [mass.box[:2] for mass in found] == [(2, 1), (2, 7), (6, 0)]


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@example(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=np.bool_))
def test_areas_boxes_and_diameters_agree_with_scikit_image(mask: Mask2D) -> None:
    reference = regionprops(label(mask, connectivity=2))  # type: ignore[no-untyped-call]  # scikit-image has no types

    found = find_masses(mask, even((mask.shape[0], mask.shape[1])), spacing_mm=None)

    assert sorted((mass.box, mass.area_px) for mass in found) == sorted((one.bbox, one.area) for one in reference)
    by_box = {(mass.box, mass.area_px): mass.diameter_px for mass in found}
    if len(by_box) == len(found):
        for one in reference:
            # Not `feret_diameter_max`: that is of the convex hull's pixels, some of which reach beyond the hull.
            framed = np.pad(one.image, 1).astype(np.float64)
            outline = np.vstack(find_contours(framed, 0.5))  # type: ignore[no-untyped-call]  # as above
            assert by_box[one.bbox, one.area] == pytest.approx(pdist(outline).max())


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(lambda mask: bool(mask.any())))
def test_the_diameter_in_millimetres_is_that_of_the_stretched_region(mask: Mask2D) -> None:
    turned = longest_diameter(mask.T, spacing=(0.3, 0.1))

    found = longest_diameter(mask, spacing=(0.1, 0.3))

    assert found == pytest.approx(turned)
    assert longest_diameter(mask, spacing=(0.1, 0.1)) == pytest.approx(0.1 * longest_diameter(mask))

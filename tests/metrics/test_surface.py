import math
from collections.abc import Callable, Iterator

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice
from scipy.spatial.distance import directed_hausdorff

from aunet.metrics.surface import border, diagonal, hausdorff, hausdorff95, hausdorff_rowwise, surface_dice
from aunet.sample import Mask2D, Spacing

MASKS = st.tuples(arrays(bool, (9, 7)), arrays(bool, (9, 7))).filter(lambda pair: pair[0].any() and pair[1].any())
SPACINGS = st.sampled_from([(1.0, 1.0), (0.5, 2.0), (0.07, 0.085)])
# MONAI 1.6 calls its own function with an argument that it deprecates.
MONAI_WARNS_OF_ITSELF = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")

FULL = np.ones((3, 4), dtype=bool)
EMPTY = np.zeros((3, 4), dtype=bool)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Without the run-time shape check, which only tests have."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def square(top: int, left: int, size: int) -> Mask2D:
    mask = np.zeros((40, 40), dtype=bool)
    mask[top : top + size, left : left + size] = True
    return mask


def as_monai(mask: Mask2D) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None].float()


def test_hausdorff_of_a_square_inside_another_is_the_distance_of_their_corners() -> None:
    inner, outer = square(15, 15, 10), square(10, 10, 20)

    distance_px = hausdorff(inner, outer)

    assert distance_px == pytest.approx(5 * math.sqrt(2))


def test_hausdorff_counts_rows_and_columns_by_their_own_spacing() -> None:
    mask, below, beside = square(5, 5, 4), square(15, 5, 4), square(5, 15, 4)

    distances_mm = hausdorff(mask, below, spacing=(0.1, 0.3)), hausdorff(mask, beside, spacing=(0.1, 0.3))

    assert distances_mm == pytest.approx((1.0, 3.0))


@given(MASKS, SPACINGS)
def test_hausdorff_agrees_with_scipy_on_the_masks_pixels(masks: tuple[Mask2D, Mask2D], spacing: Spacing) -> None:
    ours = hausdorff(*masks, spacing=spacing)

    first, second = (np.argwhere(mask) * spacing for mask in masks)
    theirs = max(directed_hausdorff(first, second)[0], directed_hausdorff(second, first)[0])
    assert ours == pytest.approx(theirs)


def test_hausdorff_counts_a_hole_to_its_middle() -> None:
    ring, disc = square(10, 10, 21), square(10, 10, 21)
    ring[11:30, 11:30] = False

    distance_px = hausdorff(ring, disc)

    assert distance_px == 10


@MONAI_WARNS_OF_ITSELF
@given(MASKS, SPACINGS)
def test_hausdorff95_agrees_with_monai(masks: tuple[Mask2D, Mask2D], spacing: Spacing) -> None:
    ours = hausdorff95(*masks, spacing=spacing)

    theirs = compute_hausdorff_distance(
        as_monai(masks[0]), as_monai(masks[1]), include_background=True, percentile=95, spacing=spacing
    )
    # MONAI interpolates between distances in single precision.
    assert ours == pytest.approx(float(theirs), rel=1e-4)


@MONAI_WARNS_OF_ITSELF
@given(MASKS, st.sampled_from([0.0, 1.0, 1.5, 2.0]))
def test_surface_dice_agrees_with_monai(masks: tuple[Mask2D, Mask2D], tolerance: float) -> None:
    ours = surface_dice(*masks, tolerance=tolerance)

    theirs = compute_surface_dice(as_monai(masks[0]), as_monai(masks[1]), [tolerance], include_background=True)
    assert ours == pytest.approx(float(theirs), rel=1e-6)


def test_surface_dice_of_a_shift_is_one_within_the_tolerance() -> None:
    mask, shifted = square(10, 10, 8), square(12, 10, 8)

    within, beyond = surface_dice(mask, shifted, tolerance=2.0), surface_dice(mask, shifted, tolerance=1.9)

    assert within == 1.0
    assert 0.0 < beyond < 1.0


@given(MASKS)
def test_rowwise_hausdorff_agrees_with_scipy_on_the_arrays_themselves(masks: tuple[Mask2D, Mask2D]) -> None:
    ours = hausdorff_rowwise(*masks)

    theirs = max(directed_hausdorff(*masks)[0], directed_hausdorff(*reversed(masks))[0])
    assert ours == pytest.approx(theirs)


def test_rowwise_hausdorff_of_a_case_worked_out_by_hand() -> None:
    prediction = np.array([[True, False, False, False], [True, True, True, True]])
    reference = np.array([[True, False, False, False], [True, False, False, False]])

    value = hausdorff_rowwise(prediction, reference)

    # The prediction's lower row differs from each row of the reference in three pixels.
    assert value == pytest.approx(math.sqrt(3))


@pytest.mark.parametrize("factor", [2, 4])
def test_rowwise_hausdorff_grows_by_the_root_of_a_magnification_and_pixels_by_all_of_it(factor: int) -> None:
    masks = square(10, 12, 8), square(14, 9, 12)

    magnified = [mask.repeat(factor, axis=0).repeat(factor, axis=1) for mask in masks]

    assert hausdorff_rowwise(*magnified) == pytest.approx(math.sqrt(factor) * hausdorff_rowwise(*masks))
    assert hausdorff(*magnified) == pytest.approx(factor * hausdorff(*masks), rel=0.2)


def test_rowwise_hausdorff_of_a_miss_takes_the_empty_mask_as_rows_of_zeros() -> None:
    assert hausdorff_rowwise(EMPTY, FULL) == pytest.approx(math.sqrt(4))
    assert math.isnan(hausdorff_rowwise(EMPTY, EMPTY))


@pytest.mark.parametrize("distance", [hausdorff, hausdorff95])
def test_the_distance_of_a_missed_mass_is_the_diagonal(distance: Callable[..., float]) -> None:
    assert distance(EMPTY, FULL) == 5.0
    assert distance(FULL, EMPTY) == 5.0
    assert distance(EMPTY, FULL, spacing=(0.1, 0.1)) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", [hausdorff, hausdorff95, surface_dice, hausdorff_rowwise])
def test_two_empty_masks_have_no_distance(measure: Callable[..., float]) -> None:
    assert math.isnan(measure(EMPTY, EMPTY))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("measure", [hausdorff, hausdorff95, surface_dice, hausdorff_rowwise])
def test_an_empty_mask_of_another_shape_is_refused(measure: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="bring both to one grid"):
        measure(EMPTY, np.ones((5, 5), dtype=bool))


def test_surface_dice_of_a_missed_mass_is_zero() -> None:
    assert surface_dice(EMPTY, FULL) == 0.0


@given(MASKS)
def test_no_distance_exceeds_that_of_a_miss(masks: tuple[Mask2D, Mask2D]) -> None:
    limit = diagonal((9, 7))

    assert hausdorff(*masks) < limit
    assert hausdorff95(*masks) < limit


def test_a_pixel_at_the_edge_of_the_image_is_on_the_border() -> None:
    whole = np.ones((4, 5), dtype=bool)

    on_border = border(whole)

    assert on_border.sum() == 14
    assert not on_border[1:3, 1:4].any()

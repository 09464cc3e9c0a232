import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics.meaniou import compute_iou
from sklearn import metrics as sklearn_metrics

from aunet.metrics.overlap import area_difference, dice, iou, precision, sensitivity
from aunet.sample import Mask2D

MASKS = st.tuples(arrays(bool, (6, 5)), arrays(bool, (6, 5)))
EVERY_MEASURE = [dice, sensitivity, precision, iou, area_difference]

FULL = np.ones((2, 3), dtype=bool)
EMPTY = np.zeros((2, 3), dtype=bool)


def test_every_measure_of_a_case_worked_out_by_hand() -> None:
    prediction = np.array([[True, True, True, False], [True, False, False, False]])
    reference = np.array([[False, True, True, True], [False, False, False, True]])

    scores = [measure(prediction, reference) for measure in EVERY_MEASURE]

    # TP 2, FP 2, FN 2: 4 / 8, 2 / 4, 2 / 4, 2 / 6, |4 - 4| / 4.
    assert scores == pytest.approx([0.5, 0.5, 0.5, 1 / 3, 0.0])


@given(MASKS)
def test_measures_agree_with_scikit_learn(masks: tuple[Mask2D, Mask2D]) -> None:
    prediction, reference = masks
    if not reference.any():
        return

    ours = [measure(prediction, reference) for measure in (dice, sensitivity, precision, iou)]

    truth, guess = reference.ravel(), prediction.ravel()
    independent = [
        sklearn_metrics.f1_score(truth, guess, zero_division=0),
        sklearn_metrics.recall_score(truth, guess, zero_division=0),
        sklearn_metrics.precision_score(truth, guess, zero_division=0),
        sklearn_metrics.jaccard_score(truth, guess, zero_division=0),
    ]
    assert ours == pytest.approx(independent)


@given(MASKS)
def test_iou_agrees_with_monai(masks: tuple[Mask2D, Mask2D]) -> None:
    prediction, reference = masks

    ours = iou(prediction, reference)

    theirs = compute_iou(torch.from_numpy(prediction)[None, None], torch.from_numpy(reference)[None, None])
    assert ours == pytest.approx(float(theirs), nan_ok=True) or not reference.any()


@given(MASKS)
def test_dice_and_iou_are_symmetric_and_tied_to_each_other(masks: tuple[Mask2D, Mask2D]) -> None:
    prediction, reference = masks

    both = dice(prediction, reference), iou(prediction, reference)

    assert both == pytest.approx((dice(reference, prediction), iou(reference, prediction)), nan_ok=True)
    assert both[0] == pytest.approx(2 * both[1] / (1 + both[1]), nan_ok=True)


def test_area_difference_is_a_part_of_the_reference_area() -> None:
    one_pixel = np.array([[True, False, False, False]])
    four_pixels = np.array([[True, True, True, True]])

    too_small, too_large = area_difference(one_pixel, four_pixels), area_difference(four_pixels, one_pixel)

    assert too_small == pytest.approx(0.75)
    assert too_large == pytest.approx(3.0)


@pytest.mark.parametrize("measure", EVERY_MEASURE)
def test_two_empty_masks_have_no_score(measure: Callable[[Mask2D, Mask2D], float]) -> None:
    assert math.isnan(measure(EMPTY, EMPTY))


@pytest.mark.parametrize(
    ("measure", "worst"), [(dice, 0.0), (sensitivity, 0.0), (precision, 0.0), (iou, 0.0), (area_difference, 1.0)]
)
def test_a_missed_mass_has_the_worst_score(measure: Callable[[Mask2D, Mask2D], float], worst: float) -> None:
    assert measure(EMPTY, FULL) == worst


def test_a_prediction_without_a_mass_has_no_sensitivity_and_no_area_difference() -> None:
    scores = {measure.__name__: measure(FULL, EMPTY) for measure in EVERY_MEASURE}

    assert (scores["dice"], scores["precision"], scores["iou"]) == (0.0, 0.0, 0.0)
    assert math.isnan(scores["sensitivity"])
    assert math.isnan(scores["area_difference"])


@pytest.mark.parametrize("measure", EVERY_MEASURE)
def test_masks_of_another_shape_are_refused(measure: Callable[[Mask2D, Mask2D], float]) -> None:
    # Without the run-time shape check it is the function itself that refuses them, by a ValueError.
    with pytest.raises((ValueError, TypeError)):
        measure(np.ones((1, 3), dtype=bool), FULL)

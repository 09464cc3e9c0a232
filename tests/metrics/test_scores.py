import dataclasses
import math
import time

import numpy as np
import pytest

from aunet.metrics.overlap import area_difference, dice, iou, precision, sensitivity
from aunet.metrics.scores import METRICS, MaskScores, outcome_of, score_masks, worst_scores
from aunet.metrics.surface import diagonal, hausdorff, hausdorff95, hausdorff_rowwise, surface_dice
from aunet.sample import Mask2D

EMPTY = np.zeros((30, 20), dtype=bool)


def box(top: int, left: int, height: int, width: int) -> Mask2D:
    mask = EMPTY.copy()
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_scores_are_those_of_the_single_functions() -> None:
    prediction, reference = box(3, 4, 8, 6), box(5, 5, 9, 7)

    scores = score_masks(prediction, reference, spacing_mm=(0.5, 0.8), tolerance_px=1.0)

    pair = prediction, reference
    assert scores == MaskScores(
        dsc=dice(*pair),
        sensitivity=sensitivity(*pair),
        precision=precision(*pair),
        iou=iou(*pair),
        area_difference=area_difference(*pair),
        hau_px=hausdorff(*pair),
        hau_rowwise=hausdorff_rowwise(*pair),
        hd95_px=hausdorff95(*pair),
        nsd=surface_dice(*pair, tolerance=1.0),
        hau_mm=hausdorff(*pair, spacing=(0.5, 0.8)),
        hd95_mm=hausdorff95(*pair, spacing=(0.5, 0.8)),
    )


def test_there_is_one_score_for_every_name() -> None:
    assert tuple(field.name for field in dataclasses.fields(MaskScores)) == METRICS


@pytest.mark.parametrize(
    ("prediction", "reference", "outcome"),
    [
        (box(1, 1, 2, 2), box(9, 9, 2, 2), "scored"),
        (EMPTY, box(9, 9, 2, 2), "missed"),
        (box(1, 1, 2, 2), EMPTY, "false_positive"),
        (EMPTY, EMPTY, "true_negative"),
    ],
)
def test_the_outcome_tells_misses_and_false_positives_apart(
    prediction: Mask2D, reference: Mask2D, outcome: str
) -> None:
    assert outcome_of(prediction, reference) == outcome


def test_a_missed_mass_scores_the_worst_of_everything() -> None:
    scores = score_masks(EMPTY, box(2, 2, 5, 5), spacing_mm=(0.1, 0.1))

    assert (scores.dsc, scores.sensitivity, scores.precision, scores.iou, scores.nsd) == (0, 0, 0, 0, 0)
    assert scores.area_difference == 1.0
    assert scores.hau_px == scores.hd95_px == diagonal((30, 20))
    assert scores.hau_mm == scores.hd95_mm == pytest.approx(diagonal((30, 20)) / 10)


@pytest.mark.parametrize("prediction", [EMPTY, box(2, 2, 5, 5)])
def test_an_image_without_mass_has_no_score(prediction: Mask2D) -> None:
    scores = score_masks(prediction, EMPTY, spacing_mm=(0.1, 0.1))

    assert all(math.isnan(value) for value in dataclasses.astuple(scores))


def test_millimetres_need_a_spacing() -> None:
    scores = score_masks(box(2, 2, 5, 5), box(3, 2, 5, 5))

    assert math.isnan(scores.hau_mm)
    assert math.isnan(scores.hd95_mm)


def test_no_prediction_at_all_scores_no_better_than_an_empty_one() -> None:
    empty_prediction = score_masks(EMPTY, box(2, 2, 25, 15), spacing_mm=(0.1, 0.2))

    none_at_all = worst_scores((30, 20), spacing_mm=(0.1, 0.2))

    assert none_at_all.hau_rowwise >= empty_prediction.hau_rowwise
    assert dataclasses.replace(none_at_all, hau_rowwise=empty_prediction.hau_rowwise) == empty_prediction


def test_no_prediction_at_all_has_no_millimetres_without_a_spacing() -> None:
    scores = worst_scores((30, 20))

    assert math.isnan(scores.hau_mm)
    assert math.isnan(scores.hd95_mm)


def test_a_pair_of_256_pixels_is_scored_in_milliseconds() -> None:
    rng = np.random.default_rng(0)
    prediction, reference = np.zeros((2, 256, 256), dtype=bool)
    reference[100:140, 60:110] = True
    prediction[90:130, 70:120] = rng.random((40, 50)) < 0.9
    prediction[240:250, 240:250] = True
    score_masks(prediction, reference, spacing_mm=(0.8, 0.8))

    started = time.thread_time()
    for _ in range(5):
        score_masks(prediction, reference, spacing_mm=(0.8, 0.8))
    seconds = (time.thread_time() - started) / 5

    # About 10 ms; the limit leaves room for a slow machine and the run-time shape check.
    assert seconds < 0.1

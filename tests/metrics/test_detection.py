import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from aunet.metrics.detection import ImageDetections, detect, froc, keep_regions, label_masses, region_scores
from aunet.sample import Mask2D


def with_boxes(*boxes: tuple[int, int, int, int]) -> Mask2D:
    mask = np.zeros((40, 40), dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


@given(arrays(bool, (8, 9)))
def test_masses_are_numbered_like_scipy_numbers_them(mask: Mask2D) -> None:
    labels = label_masses(mask)

    theirs, n_theirs = ndimage.label(mask, structure=np.ones((3, 3)))
    pairs = set(zip(labels.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert pairs - {(0, 0)} == {(ours, other) for ours, other in pairs if ours and other}
    assert len(pairs - {(0, 0)}) == int(labels.max()) == n_theirs


def test_regions_that_touch_at_a_corner_are_one_mass() -> None:
    diagonal = np.eye(5, dtype=bool)

    labels = label_masses(diagonal)

    assert labels.max() == 1


def test_a_mass_is_found_from_an_iou_of_a_fifth_on() -> None:
    reference = with_boxes((0, 0, 10, 10))
    just_enough, too_little = with_boxes((0, 0, 4, 5)), with_boxes((0, 0, 19, 1))

    found, missed = detect(just_enough, reference), detect(too_little, reference)

    assert (len(found.hit_scores), len(found.false_scores)) == (1, 0)
    assert (len(missed.hit_scores), len(missed.false_scores)) == (0, 1)


def test_each_mass_of_an_image_is_judged_by_itself() -> None:
    reference = with_boxes((2, 2, 8, 8), (25, 25, 8, 8))
    prediction = with_boxes((3, 2, 8, 8), (2, 30, 4, 4))

    found = detect(prediction, reference)

    assert found.n_masses == 2
    assert len(found.hit_scores) == 1
    assert len(found.false_scores) == 1


def test_a_second_region_on_one_mass_is_a_false_positive() -> None:
    reference = with_boxes((0, 0, 10, 10))
    halves = with_boxes((0, 0, 4, 10), (6, 0, 4, 10))

    found = detect(halves, reference)

    assert (len(found.hit_scores), len(found.false_scores)) == (1, 1)


def test_one_region_over_two_masses_finds_one_of_them() -> None:
    reference = with_boxes((0, 0, 10, 10), (0, 11, 10, 10))
    prediction = with_boxes((0, 0, 10, 21))

    found = detect(prediction, reference)

    assert found.n_masses == 2
    assert (len(found.hit_scores), len(found.false_scores)) == (1, 0)


def test_a_regions_score_is_its_mean_probability() -> None:
    prediction = with_boxes((0, 0, 2, 2), (20, 20, 1, 2))
    probability = np.zeros((40, 40), dtype=np.float32)
    probability[:2, :2] = [[0.5, 0.75], [0.75, 1.0]]
    probability[20, 20:22] = [0.5, 0.625]

    found = detect(prediction, with_boxes((0, 0, 2, 2)), probability=probability)

    assert found.hit_scores == pytest.approx((0.75,))
    assert found.false_scores == pytest.approx((0.5625,))


def test_an_image_without_mass_holds_false_positives_only() -> None:
    nothing = with_boxes()

    marked, quiet = detect(with_boxes((1, 1, 2, 2)), nothing), detect(nothing, nothing)

    assert (marked.n_masses, marked.n_regions, len(marked.false_scores)) == (0, 1, 1)
    assert (quiet.n_masses, quiet.n_regions) == (0, 0)


def test_froc_of_a_case_worked_out_by_hand() -> None:
    images = [
        ImageDetections(n_masses=1, hit_scores=(0.9,), false_scores=(0.8, 0.6)),
        ImageDetections(n_masses=2, hit_scores=(0.7,), false_scores=()),
        ImageDetections(n_masses=0, hit_scores=(), false_scores=(0.7,)),
        ImageDetections(n_masses=1, hit_scores=(), false_scores=()),
    ]

    curve = froc(images)

    points = [(p.threshold, p.sensitivity, p.false_positives_per_image) for p in curve.points]
    assert points == [(0.9, 0.25, 0.0), (0.8, 0.25, 0.25), (0.7, 0.5, 0.5), (0.6, 0.5, 0.75)]
    assert (curve.sensitivity, curve.false_positives_per_image) == (0.5, 0.75)
    assert (curve.sensitivity_at(0.5), curve.sensitivity_at(0.49)) == (0.5, 0.25)


SCORES = st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]))


@given(st.lists(st.tuples(SCORES, SCORES, st.integers(0, 2)), min_size=1, max_size=6))
def test_froc_agrees_with_counting_at_every_threshold(found: list[tuple[list[float], list[float], int]]) -> None:
    images = [ImageDetections(len(hits) + more, tuple(hits), tuple(others)) for hits, others, more in found]

    curve = froc(images)

    n_masses = sum(image.n_masses for image in images)
    for point in curve.points:
        n_hits = sum(score >= point.threshold for image in images for score in image.hit_scores)
        n_marked = sum(score >= point.threshold for image in images for score in image.false_scores)
        assert point.sensitivity == pytest.approx(n_hits / n_masses if n_masses else math.nan, nan_ok=True)
        assert point.false_positives_per_image == pytest.approx(n_marked / len(images))


@given(arrays(bool, (10, 10)), arrays(bool, (10, 10)), st.sampled_from([0.6, 0.7, 0.8]), st.integers(0, 1000))
def test_a_stricter_threshold_on_regions_changes_nothing_for_the_remaining_ones(
    prediction: Mask2D, reference: Mask2D, threshold: float, seed: int
) -> None:
    probability = np.random.default_rng(seed).uniform(0.5, 1.0, (10, 10)).astype(np.float32)
    labels = label_masses(prediction)
    means = {label: probability[labels == label].mean() for label in range(1, int(labels.max()) + 1)}
    kept = np.isin(labels, [label for label, mean in means.items() if mean >= threshold])

    all_found = detect(prediction, reference, probability=probability)
    strictly_found = detect(prediction & kept, reference, probability=probability)

    assert strictly_found.hit_scores == pytest.approx([s for s in all_found.hit_scores if s >= threshold])
    assert strictly_found.false_scores == pytest.approx([s for s in all_found.false_scores if s >= threshold])


def test_froc_without_a_mass_has_no_sensitivity() -> None:
    curve = froc([ImageDetections(0, (), (0.8,))])

    assert math.isnan(curve.sensitivity)
    assert math.isnan(curve.sensitivity_at(1.0))
    assert curve.false_positives_per_image == 1.0


def test_the_operating_point_counts_the_regions_that_reach_its_score() -> None:
    found = ImageDetections(n_masses=3, hit_scores=(0.9, 0.5), false_scores=(0.6, 0.4), lowest_score=0.5)

    assert (found.n_found, found.n_false_regions, found.n_regions) == (2, 1, 4)


def test_scores_of_a_region_are_worked_out_by_hand() -> None:
    labels = label_masses(with_boxes((0, 0, 1, 4), (9, 9, 1, 1)))
    probability = np.zeros((40, 40), dtype=np.float32)
    probability[0, :4] = [0.0, 0.25, 0.5, 1.0]
    probability[9, 9] = 0.125

    assert region_scores(labels, probability, score="mean").tolist() == [0.4375, 0.125]
    assert region_scores(labels, probability, score="maximum").tolist() == [1.0, 0.125]
    assert region_scores(labels, probability, score="percentile_90") == pytest.approx([0.85, 0.125])
    assert region_scores(label_masses(with_boxes()), probability).tolist() == []


def test_small_regions_and_those_of_a_low_score_are_dropped() -> None:
    large, small, unsure = (0, 0, 3, 3), (10, 10, 1, 2), (20, 20, 3, 3)
    mask = with_boxes(large, small, unsure)
    probability = np.where(with_boxes(unsure), 0.5, 0.75).astype(np.float32)

    by_size = keep_regions(mask, probability, smallest_px=3.0)
    by_score = keep_regions(mask, probability, lowest_score=0.75)

    np.testing.assert_array_equal(by_size, with_boxes(large, unsure))
    np.testing.assert_array_equal(by_score, with_boxes(large, small))
    np.testing.assert_array_equal(keep_regions(mask, probability), mask)
    assert not keep_regions(with_boxes(), probability, smallest_px=3.0, lowest_score=0.5).any()


def test_more_regions_than_16_bits_can_count_are_numbered() -> None:
    mask = np.zeros((600, 600), dtype=bool)
    mask[::2, ::2] = True

    assert int(label_masses(mask).max()) == 300 * 300


def test_a_region_whose_best_mass_is_taken_finds_its_second_best() -> None:
    # The surer region lies on the left mass; the other covers half of it, and the whole of the right one.
    reference = with_boxes((0, 0, 10, 10), (0, 12, 10, 4))
    prediction = with_boxes((0, 0, 4, 10), (5, 0, 5, 16))
    probability = np.where(with_boxes((0, 0, 4, 10)), 0.9, 0.6).astype(np.float32)

    found = detect(prediction, reference, probability=probability, least_iou=0.2)

    overlap = 50 / (80 + 100 - 50), 20 / (80 + 40 - 20)  # IoU of the second region with each mass
    assert overlap[0] > overlap[1] == pytest.approx(0.2)
    assert (len(found.hit_scores), len(found.false_scores)) == (2, 0)

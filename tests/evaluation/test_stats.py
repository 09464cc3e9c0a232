import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from aunet.evaluation.rows import ImageRow
from aunet.evaluation.stats import (
    Bootstrap,
    count_images,
    estimate,
    group_labels,
    ratio_of_sums,
    score_detection,
    score_group,
    score_groups,
)
from aunet.metrics.detection import ImageDetections
from aunet.metrics.scores import MaskScores
from aunet.sample import MassProperties

ONE_MASS_FOUND = ImageDetections(1, (0.9,), ())
ONE_MASS_MISSED = ImageDetections(1, (), ())
SCORED = ImageRow("scored", "scored", MaskScores(dsc=0.8), ONE_MASS_FOUND, reference_px=100)
MISSED = ImageRow("missed", "missed", MaskScores(dsc=0.0), ONE_MASS_MISSED, reference_px=100)
FALSE_POSITIVE = ImageRow("alarm", "false_positive", MaskScores(), ImageDetections(0, (), (0.7,)), reference_px=0)
TRUE_NEGATIVE = ImageRow("quiet", "true_negative", MaskScores(), ImageDetections(0, (), ()), reference_px=0)
UNREADABLE = ImageRow("broken", "failed", MaskScores(dsc=0.0), ONE_MASS_MISSED)


def numbered(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64)


def test_the_interval_agrees_with_scipys_bootstrap_where_each_patient_has_one_image() -> None:
    values = np.random.default_rng(0).beta(4, 2, 80)

    ours = estimate(values, numbered(80), bootstrap=Bootstrap(resamples=20_000))

    theirs = scipy_stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert ours.mean == pytest.approx(values.mean())
    assert ours.median == pytest.approx(np.median(values))
    assert ours.ci95 == pytest.approx(tuple(theirs.confidence_interval), abs=2e-3)


def test_more_images_alike_of_the_same_patients_make_the_interval_no_narrower() -> None:
    values = np.random.default_rng(0).beta(4, 2, 30)

    once = estimate(values, numbered(30))
    ten_times = estimate(np.repeat(values, 10), np.repeat(numbered(30), 10))

    assert ten_times.ci95 == pytest.approx(once.ci95)
    as_if_independent = estimate(np.repeat(values, 10), numbered(300))
    assert np.ptp(as_if_independent.ci95) < 0.5 * np.ptp(once.ci95)


def test_the_interval_of_a_ratio_agrees_with_resampling_patients_one_by_one() -> None:
    rng = np.random.default_rng(3)
    patients = np.sort(rng.integers(0, 40, 100))
    found, masses = rng.integers(0, 2, 100).astype(float), np.ones(100)

    ours = ratio_of_sums(found, masses, patients, bootstrap=Bootstrap(resamples=5000))

    of_patient = [np.flatnonzero(patients == patient) for patient in np.unique(patients)]
    means = []
    for _ in range(5000):
        drawn = np.concatenate([of_patient[i] for i in rng.integers(0, len(of_patient), len(of_patient))])
        means.append(found[drawn].sum() / masses[drawn].sum())
    assert ours.ci95 == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.01)


def test_the_interval_is_the_same_in_every_run() -> None:
    values = np.random.default_rng(0).random(20)

    assert estimate(values, numbered(20)) == estimate(values, numbered(20))


def test_images_without_a_value_are_left_out() -> None:
    values = np.array([0.5, math.nan, 0.7, math.nan])

    result = estimate(values, numbered(4))

    assert result.n == 2
    assert result.mean == pytest.approx(0.6)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([math.nan], 0)])
def test_no_value_gives_no_estimate(values: list[float], n: int) -> None:
    result = estimate(np.array(values), numbered(len(values)))

    assert result.n == n
    assert math.isnan(result.mean)
    assert math.isnan(result.ci95[0])


def test_one_patient_alone_has_no_interval() -> None:
    result = estimate(np.array([0.4, 0.6]), np.array([7, 7]))

    assert result.mean == pytest.approx(0.5)
    assert math.isnan(result.ci95[0])


def test_patients_without_a_mass_say_nothing_of_sensitivity() -> None:
    found, masses = np.array([1.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])

    one_of_three = ratio_of_sums(found, masses, np.array([0, 0, 1, 2]))

    assert one_of_three.value == 0.5
    assert math.isnan(one_of_three.ci95[0])


def test_images_are_counted_by_what_became_of_them() -> None:
    elsewhere = replace(SCORED, case="elsewhere", scores=MaskScores(dsc=0.0))
    rows = [SCORED, MISSED, FALSE_POSITIVE, TRUE_NEGATIVE, UNREADABLE, elsewhere]

    counts = count_images(rows, np.array([1, 1, 2, 3, 4, 5]))

    assert (counts.n, counts.n_patients, counts.n_with_mass) == (6, 5, 4)
    assert (counts.missed, counts.no_overlap, counts.failed) == (2, 1, 1)
    assert (counts.false_positive_images, counts.true_negatives) == (1, 1)


def test_misses_count_as_zero_and_images_without_mass_do_not_count() -> None:
    rows = [SCORED, MISSED, UNREADABLE, FALSE_POSITIVE, TRUE_NEGATIVE]

    dsc = score_group(rows, numbered(5)).metrics["dsc"]

    assert dsc.n == 3
    assert dsc.mean == pytest.approx(0.8 / 3)
    assert dsc.median == 0.0


def test_an_unreadable_image_without_a_mass_is_no_miss() -> None:
    row = replace(UNREADABLE, scores=MaskScores(), detections=ImageDetections(0, (), ()))

    counts = count_images([row], numbered(1))

    assert (counts.n, counts.missed, counts.failed) == (1, 0, 1)


def test_detection_counts_masses_and_false_regions() -> None:
    rows = [SCORED, MISSED, UNREADABLE, FALSE_POSITIVE]

    found = score_detection(rows, numbered(4))

    assert found.sensitivity.value == pytest.approx(1 / 3)
    assert found.false_positives_per_image.value == pytest.approx(1 / 4)
    assert (found.froc.n_masses, found.froc.n_images) == (3, 4)


@pytest.mark.parametrize(
    ("written", "label"), [("OVAL;OVAL", "OVAL"), ("ROUND;OVAL", "OVAL; ROUND"), ("OVAL; ROUND;", "OVAL; ROUND")]
)
def test_an_image_with_several_masses_is_in_the_group_of_their_different_values(written: str, label: str) -> None:
    labels = group_labels([replace(SCORED, properties=MassProperties(mass_shape=written))])

    assert labels["mass_shape"] == [label]


def test_groups_keep_the_tables_own_words_and_say_what_is_unknown() -> None:
    properties = MassProperties(mass_shape="OVAL; ROUND", subtlety="3")
    rows = [replace(SCORED, view="CC", properties=properties), replace(MISSED, view="MLO"), replace(UNREADABLE)]

    groups = score_groups(rows, numbered(3))

    assert list(groups["mass_shape"]) == ["OVAL; ROUND", "unknown"]
    assert list(groups["view"]) == ["CC", "MLO", "unknown"]
    assert groups["view"]["MLO"].counts.missed == 1
    assert "pathology" not in groups
    assert sum(group.counts.n for group in groups["subtlety"].values()) == 3


@pytest.mark.parametrize(
    ("area", "label"),
    [(1, "1 to 63 px"), (63, "1 to 63 px"), (64, "64 to 255 px"), (1023, "256 to 1023 px"), (4096, "4096 px and more")],
)
def test_sizes_fall_into_fixed_bins(area: int, label: str) -> None:
    labels = group_labels([replace(SCORED, reference_px=area)])

    assert labels["size"] == [label]


def test_quarters_of_the_masses_sizes_hold_as_many_images_each() -> None:
    rows = [replace(SCORED, case=str(area), reference_px=area) for area in (10, 20, 30, 40, 50, 60, 70, 80)]

    groups = score_groups([*rows, TRUE_NEGATIVE], numbered(9))["size_quartile"]

    assert [(label, group.counts.n) for label, group in groups.items()] == [
        ("10 to 20 px", 2),
        ("30 to 40 px", 2),
        ("50 to 60 px", 2),
        ("70 to 80 px", 2),
    ]


def test_a_quarter_of_one_size_has_one_number() -> None:
    labels = group_labels([replace(SCORED, reference_px=area) for area in (10, 20, 30, 40)])

    assert labels["size_quartile"] == ["10 px", "20 px", "30 px", "40 px"]


def test_numbers_are_ordered_by_value_and_several_masses_and_the_unknown_come_last() -> None:
    rows = [replace(SCORED, properties=MassProperties(birads=value)) for value in ("10", "", "2", "4a", "4; 5")]

    groups = score_groups(rows, numbered(5))["birads"]

    assert list(groups) == ["4a", "2", "10", "4; 5", "unknown"]

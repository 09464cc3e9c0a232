from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.evaluation.paired import compare_paired, holm

ONE_EACH = np.arange(5)


def test_the_exact_p_of_five_gains_is_two_in_thirty_two() -> None:
    reference = np.array([0.1, 0.2, 0.3, 0.4, 0.5])

    found = compare_paired(reference + np.array([0.01, 0.02, 0.03, 0.04, 0.05]), reference, ONE_EACH)

    # Of the 2**5 signs only all plus and all minus are as far out.
    assert found.p == pytest.approx(2 / 32)
    assert (found.n, found.effect) == (5, 1.0)
    assert found.difference == pytest.approx(0.03)


def test_the_effect_weighs_signs_by_rank() -> None:
    differences = np.array([-0.1, 0.2, 0.3, 0.0, 0.4])

    found = compare_paired(differences, np.zeros(5), ONE_EACH)

    # The patient without a difference has rank 1, and counts in the sum of the ranks.
    assert found.effect == pytest.approx((3 + 4 + 5 - 2) / (1 + 2 + 3 + 4 + 5))
    assert found.n == 5
    # Of the 2**4 signs of the ranks 2 to 5, two have a sum of minus ranks up to ours (none, and 2), two are their
    # opposites.
    assert found.p == pytest.approx(2 * 2 / 2**4)


def test_nine_ties_and_one_gain_are_a_small_effect() -> None:
    found = compare_paired(np.array([0.0] * 9 + [0.1]), np.zeros(10), np.arange(10))

    assert found.effect == pytest.approx(10 / 55)
    assert (found.n, found.p) == (10, 1.0)


def test_images_of_one_patient_make_one_pair() -> None:
    ours, reference = np.array([0.9, 0.1, 0.6]), np.array([0.5, 0.5, 0.5])

    found = compare_paired(ours, reference, np.array([7, 7, 3]))

    assert found.n == 2
    assert found.difference == pytest.approx((0.1 + 0.0) / 2)


def test_an_image_without_a_value_is_left_out_on_both_sides() -> None:
    found = compare_paired(np.array([0.2, nan, 0.9]), np.array([0.1, 0.3, nan]), np.arange(3))

    assert found.n == 1
    assert found.difference == pytest.approx(0.1)


def test_a_network_does_not_differ_from_itself() -> None:
    values = np.array([0.1, 0.0, 0.7, 0.0, 0.3])

    found = compare_paired(values, values, ONE_EACH)

    assert (found.difference, found.p, found.effect) == (0.0, 1.0, 0.0)


def test_without_any_pair_there_is_no_comparison() -> None:
    found = compare_paired(np.array([nan]), np.array([0.5]), np.array([0]))

    assert found.n == 0
    assert all(map(isnan, (found.difference, found.p, found.effect)))


def test_holm_multiplies_by_the_number_of_comparisons_that_are_left() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))


def test_holm_leaves_what_was_not_compared() -> None:
    first, missing, last = holm([0.5, nan, 0.02])

    assert isnan(missing)
    assert (first, last) == pytest.approx((0.5, 0.04))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    corrected = holm(p_values)

    assert all(p <= found <= min(1, len(p_values) * p) for p, found in zip(p_values, corrected, strict=True))
    assert list(np.array(corrected)[np.argsort(p_values, kind="stable")]) == sorted(corrected)

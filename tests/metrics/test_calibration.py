"""Bins of pixels by their probability, by hand and beside a second implementation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from aunet.metrics.calibration import BINS, Reliability, reliability_of, sum_of


def test_the_error_of_four_pixels_is_worked_out_by_hand() -> None:
    probability = np.array([0.1, 0.11, 0.9, 0.7], dtype=np.float32)
    is_mass = np.array([False, True, True, True])

    found = reliability_of(probability, is_mass)

    # Bins are 1/15 wide: 0.1 and 0.11 share the second, in which half of the pixels are mass.
    assert [(i, n) for i, n in enumerate(found.pixels) if n] == [(1, 2), (10, 1), (13, 1)]
    assert found.n == 4
    assert found.expected_error == pytest.approx((abs(1 - 0.21) + abs(1 - 0.7) + abs(1 - 0.9)) / 4)


def test_the_ends_of_the_scale_lie_in_the_outer_bins() -> None:
    found = reliability_of(np.array([0.0, 1.0]), np.array([False, True]))

    assert (found.pixels[0], found.pixels[-1], found.expected_error) == (1, 1, 0.0)


def test_without_a_pixel_there_is_no_error() -> None:
    assert math.isnan(Reliability().expected_error)


@given(st.integers(1, 500), st.integers(0, 1000))
def test_the_error_agrees_with_that_of_scikit_learn_s_curve(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(n)
    is_mass = rng.random(n) < probability**2

    found = reliability_of(probability, is_mass)

    shares, means = calibration_curve(is_mass, probability, n_bins=BINS)
    counts = np.histogram(probability, bins=BINS, range=(0, 1))[0]
    assert found.expected_error == pytest.approx(float((np.abs(shares - means) * counts[counts > 0]).sum() / n))


def test_the_bins_of_two_sets_add_up_to_those_of_both() -> None:
    rng = np.random.default_rng(0)
    probability, is_mass = rng.random(100), rng.random(100) < 0.5

    parts = [reliability_of(probability[part], is_mass[part]) for part in (slice(0, 30), slice(30, None))]

    whole, added = reliability_of(probability, is_mass), sum_of(parts)
    assert (added.pixels, added.mass_pixels) == (whole.pixels, whole.mass_pixels)
    assert added.probability_sums == pytest.approx(whole.probability_sums)

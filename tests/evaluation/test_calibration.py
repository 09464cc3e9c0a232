"""Temperatures that are known, and operating points on images drawn by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.datasets.dataset import DataSet
from aunet.errors import DatasetError
from aunet.evaluation.calibration import (
    calibrate,
    choose_operating_point,
    fit_temperature,
    mean_probability,
    negative_log_likelihood,
)
from aunet.inference.backends.backend import Backend
from aunet.inference.segmenter import Segmenter
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Mask2D, Probability

AS_IS = Preprocessing(rows=48, columns=48, crop=False, remove_artefacts=False, face_left=False, channels=1)
MASS, ELSEWHERE = (10, 10, 10, 10), (30, 30, 6, 6)
Draw = Callable[..., DataSet]


def boxes(*levels: tuple[tuple[int, int, int, int], float]) -> Probability:
    image = np.zeros((48, 48), dtype=np.float32)
    for (top, left, height, width), level in levels:
        image[top : top + height, left : left + width] = level
    return image


def reference(*masses: tuple[int, int, int, int]) -> Mask2D:
    return boxes(*((mass, 1.0) for mass in masses)) > 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(-1, 3, (1, 200_000))
    is_mass = rng.random(200_000) < 1 / (1 + np.exp(-logits[0] / temperature))

    assert fit_temperature(logits, is_mass) == pytest.approx(temperature, rel=0.02)


def test_the_temperature_of_averaged_answers_is_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(-1, 3, (2, 200_000))
    is_mass = rng.random(200_000) < (1 / (1 + np.exp(-logits / 2.0))).mean(axis=0)

    assert fit_temperature(logits, is_mass) == pytest.approx(2.0, rel=0.03)


@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_the_likelihood_never_falls(seed: int, start: float) -> None:
    rng = np.random.default_rng(seed)
    logits, is_mass = rng.normal(0, 4, (2, 30)), rng.random(30) < 0.3

    fitted = fit_temperature(logits, is_mass, start=start)

    after = negative_log_likelihood(logits, is_mass, temperature=fitted)
    assert after <= negative_log_likelihood(logits, is_mass, temperature=start)


def test_the_likelihood_of_two_pixels_is_worked_out_by_hand() -> None:
    logits = np.array([[np.log(3.0), np.log(3.0)]])  # probability 0.75

    found = negative_log_likelihood(logits, np.array([True, False]), temperature=1.0)

    assert found == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)


def test_answers_are_averaged_as_probabilities() -> None:
    logits = np.array([[[0.0]], [[np.log(9.0)]]], dtype=np.float32)

    assert mean_probability(logits, 1.0)[0, 0] == pytest.approx((0.5 + 0.9) / 2)
    assert mean_probability(logits, 2.0)[0, 0] == pytest.approx((0.5 + 0.75) / 2)


def test_the_threshold_that_outlines_the_masses_is_chosen() -> None:
    halo = boxes(((8, 8, 14, 14), 0.42), (MASS, 0.72))

    choice = choose_operating_point([halo], [reference(MASS)])

    assert 0.42 < choice.threshold <= 0.72
    assert (choice.smallest_mass_px, choice.lowest_score) == (0, 0.0)


def test_what_is_dropped_is_what_costs_false_positives() -> None:
    # Specks of 4 pixels are as sure as the masses, so that only their size tells them apart; a large region is unsure.
    specks = [((40, column, 2, 2), 0.97) for column in (2, 8, 14)]
    probability, quiet = boxes((MASS, 0.97), *specks), boxes((ELSEWHERE, 0.97), ((2, 40, 1, 1), 0.97))

    choice = choose_operating_point([probability, quiet], [reference(MASS), reference(ELSEWHERE)], temperature=3.0)

    assert 4 < choice.smallest_mass_px <= 32
    assert choice.temperature == 3.0


def test_a_mean_dice_within_five_thousandths_is_given_up_for_fewer_false_positives() -> None:
    # Without the speck beside the mass: as good a Dice but for the pixel that belongs to the other part of the mass.
    mass = reference((5, 5, 30, 30), (40, 40, 1, 1))
    probability = boxes(((5, 5, 30, 30), 0.97), ((40, 40, 1, 1), 0.97), ((2, 44, 1, 1), 0.97))
    alone = boxes(((20, 20, 1, 1), 0.97))

    choice = choose_operating_point([probability, alone], [mass, reference()])

    assert choice.smallest_mass_px > 1


def test_what_is_marked_in_images_without_a_mass_counts_as_false_positive() -> None:
    # Nothing is wrong in the image with the mass, whatever the lowest score; in the other one something unsure is.
    probability, normal = boxes((MASS, 0.97)), boxes((ELSEWHERE, 0.72))

    anything = choose_operating_point([probability], [reference(MASS)])
    careful = choose_operating_point([probability], [reference(MASS)], [normal])

    assert max(anything.lowest_score, anything.threshold) <= 0.72 < max(careful.lowest_score, careful.threshold)


@pytest.mark.parametrize("split", ["test", "train", "all"])
def test_only_validation_images_are_taken(make_backend: Callable[..., Backend], draw: Draw, split: str) -> None:
    with pytest.raises(ValueError, match=f"the split is '{split}', but .* chosen on validation"):
        calibrate(Segmenter.of(make_backend(AS_IS)), draw(([MASS], [MASS])), split=split)


def test_without_validation_images_the_splits_are_asked_for(make_backend: Callable[..., Backend], draw: Draw) -> None:
    with pytest.raises(DatasetError, match=r"0 images of the split 'validation'.*--splits"):
        calibrate(Segmenter.of(make_backend(AS_IS)), draw(([MASS], [MASS])))


def test_a_network_that_sees_false_masses_gets_an_operating_point_without_them(
    make_backend: Callable[..., Backend], draw: Draw
) -> None:
    drawn = draw(([MASS, (2, 40, 2, 2)], [MASS]), ([MASS, (40, 2, 2, 2)], [MASS]))
    dataset = replace(drawn, samples=tuple(replace(sample, split="validation") for sample in drawn.samples))

    found = calibrate(Segmenter.of(make_backend(AS_IS)), dataset)

    before, after = found.before, found.after
    assert (found.n_images, found.n_with_mass, found.n_left_out) == (2, 2, 0)
    # The corner pixel that makes all pictures alike counts as a region, too.
    assert (before.false_positives_per_image, after.false_positives_per_image) == (2.0, 0.0)
    assert after.dsc == 1.0 > before.dsc
    assert after.negative_log_likelihood <= before.negative_log_likelihood
    assert found.sensitivity_at_1_false_positive["mean"] == 1.0
    assert found.calibrated(make_backend(AS_IS).card).smallest_mass_px == after.choice.smallest_mass_px

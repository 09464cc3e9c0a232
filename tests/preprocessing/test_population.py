"""A set of images in numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.preprocessing.cache import PreparedSample
from aunet.preprocessing.grid import Crop, Grid
from aunet.preprocessing.intensity import QUANTILES
from aunet.preprocessing.pipeline import Preprocessing, prepare
from aunet.preprocessing.population import (
    LEVELS,
    Population,
    Spread,
    feature_values,
    mean_grey,
    population_of,
    profile_of,
)
from aunet.sample import Image, Sample, Spacing

SETTINGS = Preprocessing(rows=40, columns=30, channels=1)


def prepared(
    image: Image, mask: np.ndarray, *, patient: str = "p", spacing_mm: Spacing | None = None, settings: Preprocessing
) -> PreparedSample:
    made = prepare(image, settings)
    return PreparedSample(
        sample=Sample("a", Path("a.png"), (), patient),
        grey=made.image[0],
        image=made.image,
        mask=made.grid.to_model_mask(mask),
        grid=made.grid,
        spacing_mm=None if spacing_mm is None else made.grid.model_spacing_mm(spacing_mm),
    )


def breast(seed: int = 0, *, rows: int = 80, columns: int = 60) -> Image:
    """A left half of the image with texture, the right half empty."""
    image = np.zeros((rows, columns), dtype=np.float32)
    rng = np.random.default_rng(seed)
    image[:, : columns // 2] = rng.uniform(1_000, 4_000, (rows, columns // 2))
    return image


def test_sizes_geometry_and_masses_are_those_that_were_drawn() -> None:
    mask = np.zeros((80, 60), dtype=bool)
    mask[10:20, 4:12] = mask[40:44, 10:14] = True
    grid = Grid.of((80, 60), (40, 30), crop=Crop(0, 0, 80, 60))
    sample = PreparedSample(
        sample=Sample("a", Path("a.png"), (), "p"),
        grey=grid.to_model_image(breast()),
        image=grid.to_model_image(breast())[np.newaxis],
        mask=grid.to_model_mask(mask),
        grid=grid,
        spacing_mm=grid.model_spacing_mm((0.1, 0.1)),
    )

    found = profile_of(sample, SETTINGS)

    assert (found.rows, found.columns) == (80, 60)
    assert found.spacing_mm == pytest.approx(0.1)
    assert found.breast_share == pytest.approx(0.5)
    assert found.width_over_height == pytest.approx(60 / 80)
    # Each axis is halved: 5 x 4 and 2 x 2 model pixels of 0.2 mm.
    assert found.mass_diameters_px == pytest.approx([2 * (20 / np.pi) ** 0.5, 2 * (4 / np.pi) ** 0.5])
    assert found.mass_diameters_mm == pytest.approx([0.2 * diameter for diameter in found.mass_diameters_px])


def test_pixels_that_touch_at_a_corner_are_one_mass() -> None:
    mask = np.zeros((80, 60), dtype=bool)
    mask[10:20, 4:10] = mask[20:30, 10:16] = True
    settings = replace(SETTINGS, rows=80, columns=60, crop=False)

    found = profile_of(prepared(breast(), mask, settings=settings), settings)

    assert found.mass_diameters_px == pytest.approx([2 * (120 / np.pi) ** 0.5])


def test_cropping_changes_the_share_of_the_breast_in_the_source_not_at_all() -> None:
    image, mask = breast(), np.zeros((80, 60), dtype=bool)

    whole, cropped = (
        profile_of(prepared(image, mask, settings=settings), settings)
        for settings in (replace(SETTINGS, crop=False), SETTINGS)
    )

    assert cropped.width_over_height == pytest.approx(30 / 80)
    assert whole.width_over_height == pytest.approx(60 / 80)
    assert cropped.breast_share == pytest.approx(whole.breast_share, abs=0.02)


@pytest.mark.parametrize("intensity", ["z_score", "min_max"])
def test_grey_values_are_recorded_alike_whatever_normalises_them(intensity: str) -> None:
    settings = Preprocessing.from_json(json.dumps({"rows": 40, "columns": 30, "intensity": intensity}))

    found = profile_of(prepared(breast(), np.zeros((80, 60), dtype=bool), settings=settings), settings)

    expected = profile_of(prepared(breast(), np.zeros((80, 60), dtype=bool), settings=SETTINGS), SETTINGS)
    np.testing.assert_allclose(found.grey, expected.grey, atol=1e-5)


def test_an_image_matched_to_the_mean_grey_of_a_set_lies_at_no_distance_from_it() -> None:
    mask = np.zeros((80, 60), dtype=bool)
    known = population_of(
        profile_of(prepared(breast(seed) ** np.float32(1.7), mask, settings=SETTINGS), SETTINGS) for seed in range(5)
    )
    matching = replace(SETTINGS, reference_quantiles=known.grey)

    plain = profile_of(prepared(breast(9), mask, settings=SETTINGS), SETTINGS)
    matched = profile_of(prepared(breast(9), mask, settings=matching), matching)

    before, after = feature_values([plain, matched], reference=known.grey)["grey_distance"]
    assert before > 0.05
    assert after < 0.005


def test_a_population_counts_images_patients_and_masses() -> None:
    mask = np.zeros((80, 60), dtype=bool)
    mask[10:30, 5:20] = True
    images = [prepared(breast(seed), mask, patient=f"p{seed // 2}", settings=SETTINGS) for seed in range(4)]

    profiles = [profile_of(image, SETTINGS) for image in images]

    found = population_of(profiles)

    assert found.grey == mean_grey(profiles) != mean_grey(profiles[:1])
    assert (found.images, found.patients) == (4, 2)
    assert found.features["rows"].quantiles == (80.0,) * QUANTILES
    assert found.features["mass_diameter_px"].n == 4
    # No image has a spacing, so nothing is said of millimetres.
    assert "spacing_mm" not in found.features
    assert "mass_diameter_mm" not in found.features
    assert found.features["grey_median"].at(np.array([0.5])) == pytest.approx(found.grey[QUANTILES // 2], abs=0.02)


def test_the_same_images_give_the_same_text_and_it_names_no_patient() -> None:
    images = [prepared(breast(seed), breast(seed) < 0, patient="Jane Doe", settings=SETTINGS) for seed in range(3)]

    once, twice = (population_of(profile_of(image, SETTINGS) for image in images).to_json() for _ in range(2))

    assert once == twice
    assert "Jane" not in once


@given(st.lists(st.floats(0, 1), min_size=QUANTILES, max_size=QUANTILES), st.integers(1, 9))
def test_a_population_comes_back_from_its_text(values: list[float], images: int) -> None:
    made = population_of(
        [replace(profile_of(prepared(breast(), breast() < 0, settings=SETTINGS), SETTINGS), grey=tuple(sorted(values)))]
        * images
    )

    assert Population.from_json(made.to_json()) == made
    assert made.images == images


def test_the_mean_of_distributions_is_taken_level_by_level() -> None:
    one = profile_of(prepared(breast(), breast() < 0, settings=SETTINGS), SETTINGS)
    dark, bright = (replace(one, grey=tuple(float(x) for x in LEVELS * scale)) for scale in (0.5, 1.0))

    np.testing.assert_allclose(mean_grey([dark, bright]), 0.75 * LEVELS, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grey": [0.0, 1.0]}, "33 ascending quantiles"),
        ({"grey": [1.0, *[0.0] * 32]}, "33 ascending quantiles"),
        ({"features": {"colour": {"n": 1, "quantiles": [0.0] * 33}}}, "unknown features colour"),
        ({"images": None}, "not a population"),
    ],
)
def test_another_text_is_refused(change: dict[str, object], message: str) -> None:
    text = population_of([profile_of(prepared(breast(), breast() < 0, settings=SETTINGS), SETTINGS)]).to_json()

    with pytest.raises(ValueError, match=message):
        Population.from_json(json.dumps(json.loads(text) | change))


def _spread(values: np.ndarray) -> Spread:
    return Spread(values.size, tuple(np.quantile(values, LEVELS).tolist()))


def test_two_values_have_no_distance_from_themselves_and_one_from_other_shares() -> None:
    # 20 and 20 of two spacings in training; here 20 and 20, then 4 and 36: 0.5 and 0.1 up to the smaller one.
    spread = _spread(np.repeat([0.07, 0.094], 20))

    assert spread.ks(np.repeat([0.07, 0.094], 20)) == 0
    assert spread.ks(np.repeat([0.07, 0.094], [4, 36])) == pytest.approx(0.4, abs=1 / (QUANTILES - 1))


@given(st.lists(st.integers(0, 5), min_size=40, max_size=80))
def test_no_set_of_whole_numbers_lies_further_from_itself_than_one_value(whole: list[int]) -> None:
    values = np.array(whole, dtype=np.float64)

    assert _spread(values).ks(values) <= 1 / values.size + 1e-12


def test_a_shifted_distribution_lies_as_far_off_as_it_is_shifted() -> None:
    # Uniform from 0 to 1, and from 0.25 to 1.25.
    even = np.linspace(0.0, 1.0, 401)

    assert _spread(even).ks(even + 0.25) == pytest.approx(0.25, abs=0.01)
    assert _spread(even).ks(even + 2) == 1

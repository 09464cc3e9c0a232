"""How far a data set lies from a network's training images."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.errors import CheckpointError, DatasetError
from aunet.evaluation.drift import Drift, FeatureDrift, drift_of
from aunet.models.card import ModelCard
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.preprocessing.population import Feature, population_of, profile_of
from aunet.sample import Sample, Spacing

SETTINGS = Preprocessing(rows=48, columns=32, channels=1)
MakeSet = Callable[..., DataSet]


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Pictures of a breast with one mass, of a size and a response curve that can be chosen."""

    def make(
        *seeds: int, rows: int = 96, gamma: float = 1.0, mass_px: int = 10, spacing_mm: Spacing | None = None
    ) -> DataSet:
        folder = tmp_path / f"{rows}-{gamma}-{mass_px}-{seeds[0]}-{spacing_mm}"
        folder.mkdir(exist_ok=True)
        samples = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            row, column = np.mgrid[:rows, : rows // 2]
            is_breast = ((row - rows / 2) / (0.45 * rows)) ** 2 + (column / (rng.uniform(0.3, 0.42) * rows)) ** 2 < 1
            waves = 0.65 + 0.35 * np.sin(40 * row / rows + 30 * column / rows + rng.uniform(0, 6))
            grey = np.where(is_breast, waves**gamma, 0)
            mask = np.zeros(is_breast.shape, dtype=bool)
            mask[rows // 2 : rows // 2 + mass_px, 2 : 2 + mass_px] = True
            Picture.fromarray((65_535 * grey).astype(np.uint16)).save(folder / f"{seed}.png")
            Picture.fromarray((255 * mask).astype(np.uint8)).save(folder / f"{seed}_mask.png")
            samples.append(
                Sample(
                    str(seed), folder / f"{seed}.png", (folder / f"{seed}_mask.png",), f"p{seed}", spacing_mm=spacing_mm
                )
            )
        return DataSet(name="drawn", root=folder, samples=tuple(samples), ledger=Ledger(()))

    return make


@pytest.fixture
def trained_on(plain_card: ModelCard) -> Callable[[DataSet], ModelCard]:
    """The card of a network that was trained on a data set."""

    def card(dataset: DataSet) -> ModelCard:
        cache = PreparedCache(None, SETTINGS)
        known = population_of(profile_of(cache.load(sample), SETTINGS) for sample in dataset.samples)
        return replace(plain_card, preprocessing=SETTINGS.to_json(), training_images=known.to_json())

    return card


def by_name(drift: Drift) -> dict[Feature, FeatureDrift]:
    return {one.feature: one for one in drift.features}


def test_images_like_the_training_images_differ_in_nothing(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    card = trained_on(make_set(*range(20)))

    drift = drift_of(make_set(*range(20, 32)), card)

    assert [one.feature for one in drift.features if one.differs] == []
    assert drift.grey.mean_distance < 0.01
    assert (drift.images, drift.training_images, drift.training_patients) == (12, 20, 20)


def test_another_response_curve_shows_in_the_grey_values_alone(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    card = trained_on(make_set(*range(12)))

    drift = drift_of(make_set(*range(12, 24), gamma=2.0), card)

    differing = {one.feature for one in drift.features if one.differs}
    assert differing == {"grey_distance", "grey_median"}
    # Grey swings around 0.65, and its square around 0.42: at the median they lie 0.23 apart, nowhere more than 0.25.
    assert by_name(drift)["grey_median"].training[1] == pytest.approx(0.65, abs=0.02)
    assert by_name(drift)["grey_median"].here[1] == pytest.approx(0.42, abs=0.02)
    assert drift.grey.largest_distance == pytest.approx(0.25, abs=0.03)
    assert any("--match-intensity" in sentence for sentence in drift.sentences)


def test_another_size_and_smaller_masses_are_told_apart_from_grey_values(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    card = trained_on(make_set(*range(12)))

    drift = by_name(drift_of(make_set(*range(12, 24), rows=192, mass_px=8), card))

    assert {name for name, one in drift.items() if one.differs} == {"rows", "columns", "mass_diameter_px"}
    assert drift["rows"].ks == 1
    assert drift["rows"].outside == 1
    assert (drift["rows"].here[1], drift["rows"].training[1]) == (192, 96)


@pytest.mark.parametrize(("here_mm", "differs"), [(0.094090909, False), (0.0941, True)])
def test_one_spacing_of_all_images_differs_from_another_and_not_from_itself(
    here_mm: float, differs: bool, make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    # Nothing here is round: 94 rows of 0.094090909 mm become 48, and the diameters of the masses are irrational.
    card = trained_on(make_set(*range(40), rows=94, spacing_mm=(0.094090909, 0.094090909)))

    drift = by_name(drift_of(make_set(*range(40, 80), rows=94, spacing_mm=(here_mm, here_mm)), card))

    assert (drift["spacing_mm"].ks, drift["spacing_mm"].differs) == (float(differs), differs)
    assert drift["spacing_mm"].outside == float(differs)
    assert drift["rows"].ks == 0


def test_what_chance_allows_shrinks_with_the_number_of_patients(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    card = trained_on(make_set(*range(16)))

    few, many = (by_name(drift_of(make_set(*range(20, 20 + n)), card))["rows"].ks_by_chance for n in (4, 16))

    # 1.358 sqrt(1/n + 1/m), the asymptotic 95 % point of two samples.
    assert few == pytest.approx(1.358 * (1 / 4 + 1 / 16) ** 0.5, rel=1e-3)
    assert many == pytest.approx(1.358 * (1 / 16 + 1 / 16) ** 0.5, rel=1e-3)


def test_a_feature_that_one_side_does_not_know_is_named_and_not_compared(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    card = trained_on(make_set(0, 1, 2))

    drift = drift_of(make_set(3, 4, spacing_mm=(0.2, 0.2)), card)
    other_way = drift_of(make_set(0, 1, 2), trained_on(make_set(6, 7, spacing_mm=(0.2, 0.2))))

    assert drift.only_here == ("spacing_mm", "mass_diameter_mm")
    assert other_way.only_in_training == ("spacing_mm", "mass_diameter_mm")
    assert any("known here only" in sentence for sentence in drift.sentences)


def test_an_image_that_cannot_be_prepared_is_named(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    card, dataset = trained_on(make_set(0, 1, 2)), make_set(3, 4)
    dataset.samples[0].image_path.unlink()

    drift = drift_of(dataset, card)

    assert [failure.case for failure in drift.not_compared] == ["3"]
    assert drift.images == 1
    dataset.samples[1].image_path.unlink()
    with pytest.raises(DatasetError, match="no image can be compared"):
        drift_of(dataset, card)


def test_the_report_is_one_json_document_with_its_sentences(
    make_set: MakeSet, trained_on: Callable[[DataSet], ModelCard]
) -> None:
    drift = drift_of(make_set(3, 4, rows=64), trained_on(make_set(0, 1, 2)))

    document = json.loads(drift.to_json())

    assert document["sentences"] == list(drift.sentences)
    assert {entry["feature"]: entry["differs"] for entry in document["features"]} == {
        one.feature: one.differs for one in drift.features
    }
    assert "Jane" not in drift.to_json()


def test_a_card_without_a_record_is_refused_with_what_to_do(make_set: MakeSet, plain_card: ModelCard) -> None:
    with pytest.raises(CheckpointError, match=r"no record of their training images.*train again"):
        drift_of(make_set(0), replace(plain_card, preprocessing=SETTINGS.to_json()))


def test_a_record_of_another_kind_is_refused(make_set: MakeSet, plain_card: ModelCard) -> None:
    card = replace(plain_card, preprocessing=SETTINGS.to_json(), training_images="[]")

    with pytest.raises(CheckpointError, match="can't be used: not a population"):
        drift_of(make_set(0), card)

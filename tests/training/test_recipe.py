"""Recipes: what they hold, how they are read, and what their errors say."""

from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from aunet.errors import RecipeError
from aunet.models.card import NetworkSettings
from aunet.models.factory import blank_network
from aunet.preprocessing.augment import AugmentationSettings
from aunet.preprocessing.pipeline import Preprocessing
from aunet.training.recipe import Recipe, bundled_recipes, load_recipe, parse_recipe
from aunet.training.recipe_sections import AugmentationSection, NetworkSection, PreprocessingSection


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text("[network]\nwidth = 2\n\n[training]\nepochs = 1\nlearning_rates = [1e-3]\nepochs_per_rate = [1]\n")
    return file


def test_the_papers_recipe_is_its_protocol_word_for_word() -> None:
    recipe = load_recipe(Path("paper/aunet_r16"))

    assert recipe.network.settings() == NetworkSettings("aunet", in_channels=3, classes=2, width=64, reduction=16)
    training = recipe.training
    assert (training.batch_size, training.optimizer, training.amsgrad, training.weight_decay) == (4, "adam", True, 0.0)
    assert training.schedule == "steps"
    assert dict(zip(training.learning_rates, training.epochs_per_rate, strict=True)) == {
        1e-4: 40,
        5e-5: 30,
        1e-5: 30,
        1e-6: 20,
    }
    assert training.epochs == 120
    assert (training.alpha, training.epsilon, training.dice_over, training.gradient_clip) == (1.0, 1.0, "image", 0.0)
    assert recipe.augmentation.settings() == AugmentationSettings()
    assert recipe.preprocessing.settings() == Preprocessing(
        rows=256,
        columns=256,
        fit="resize",
        crop=True,
        remove_artefacts=False,
        face_left=False,
        intensity="min_max",
        channels=3,
    )


TABLE_ROWS = {
    **{
        f"table1_{name.replace('-', '_')}": name
        for name in ("unet", "basic-deep-unet", "basic-res-unet", "deep-basic-unet", "deep-deep-unet", "deep-res-unet")
    },
    **{f"table1_{name.replace('-', '_')}": name for name in ("res-basic-unet", "res-deep-unet", "res-res-unet")},
    **{f"table3_{name}": name for name in ("unet", "fusionnet", "fcdensenet103", "aunet")},
    "s1_bilinear": "unet",
    "s1_deconvolution": "unet-deconv",
}
"""The rows of the paper's tables 1, 2, 3 and S1, and the networks they are about."""
NETWORK_OF_ROW = {row: NetworkSettings(name) for row, name in TABLE_ROWS.items()} | {
    f"table2_r{reduction}": NetworkSettings("aunet", reduction=reduction) for reduction in (2, 4, 8, 16, 32)
}


@pytest.mark.parametrize(("row", "network"), NETWORK_OF_ROW.items())
def test_the_recipe_of_a_table_s_row_changes_nothing_but_the_network(row: str, network: NetworkSettings) -> None:
    recipe = load_recipe(Path("paper") / row)

    assert recipe.network.settings() == network
    assert blank_network(recipe.network.settings()).training
    paper = load_recipe(Path("paper/aunet_r16"))
    assert recipe.model_copy(update={"network": paper.network}) == paper


@pytest.mark.parametrize("name", sorted(bundled_recipes()))
def test_every_bundled_recipe_survives_writing_and_reading(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(Path(name))
    file = tmp_path / "again.toml"

    file.write_text(recipe.to_toml(), encoding="utf-8")

    assert load_recipe(file) == recipe


def test_text_with_quotes_newlines_and_umlauts_survives_writing_and_reading(small: Path, tmp_path: Path) -> None:
    recipe = load_recipe(small, ['provenance.notes="a \\"quote\\", a \\\\ and\\nan Ü"'])
    file = tmp_path / "again.toml"

    file.write_text(recipe.to_toml(), encoding="utf-8")

    assert recipe.provenance.notes == 'a "quote", a \\ and\nan Ü'
    assert load_recipe(file) == recipe


@pytest.mark.parametrize(
    ("section", "record"),
    [
        (NetworkSection, NetworkSettings),
        (PreprocessingSection, Preprocessing),
        (AugmentationSection, AugmentationSettings),
    ],
)
def test_a_section_has_the_fields_and_defaults_of_the_record_it_builds(
    section: type[BaseModel], record: type[NetworkSettings | Preprocessing | AugmentationSettings]
) -> None:
    assert list(section.model_fields) == [field.name for field in fields(record)]
    assert section().settings() == record()  # type: ignore[attr-defined]  # each of the three has it


def test_every_field_says_what_it_is() -> None:
    sections: list[type[BaseModel]] = [Recipe]
    sections += [type(getattr(Recipe(), name)) for name in Recipe.model_fields]

    undescribed = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, field in section.model_fields.items()
        if not field.description
    ]

    assert undescribed == []


def test_set_changes_one_entry_and_reads_its_value_as_toml(small: Path) -> None:
    recipe = load_recipe(
        small, ["training.epochs=3", "training.schedule=cosine", "training.learning_rates=[0.5, 0.25]"]
    )

    assert recipe.training.epochs == 3
    assert recipe.training.schedule == "cosine"
    assert recipe.training.learning_rates == (0.5, 0.25)
    assert recipe.network.width == 2


def test_arguments_of_the_network_survive_writing_and_reading(small: Path, tmp_path: Path) -> None:
    with small.open("a", encoding="utf-8") as file:
        file.write('[network.arguments]\ndepths = [2, [3, 4]]\nact = {name = "prelu", "in.place" = true, rate = 0.1}\n')
    again = tmp_path / "again.toml"

    recipe = load_recipe(small)
    again.write_text(recipe.to_toml(), encoding="utf-8")

    arguments = {"depths": [2, [3, 4]], "act": {"name": "prelu", "in.place": True, "rate": 0.1}}
    assert recipe.network.settings().arguments == arguments
    assert load_recipe(again) == recipe


@pytest.mark.parametrize("reduction", [2, 4, 8, 32])
@pytest.mark.parametrize("repeated", [[], ["reduction"]])
def test_aunet_of_a_named_reduction_is_aunet_with_it(reduction: int, repeated: list[str], tmp_path: Path) -> None:
    entries = {"name": f"aunet-r{reduction}", "width": 2} | dict.fromkeys(repeated, reduction)

    recipe = parse_recipe({"network": entries}, source="here")

    settings = recipe.network.settings()
    assert settings == NetworkSettings("aunet", width=2, reduction=reduction)
    named, general = blank_network(NetworkSettings(f"aunet-r{reduction}", width=2)), blank_network(settings)
    assert str(named) == str(general)
    (tmp_path / "again.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(tmp_path / "again.toml") == recipe


def test_another_reduction_beside_one_in_the_name_is_refused(small: Path) -> None:
    with pytest.raises(RecipeError, match=r"'aunet-r8' means a reduction of 8, .* is 16; .* set the name to 'aunet'"):
        load_recipe(small, ["network.name=aunet-r8", "network.reduction=16"])


def test_set_reaches_into_nested_tables(small: Path) -> None:
    recipe = load_recipe(small, ["network.arguments.act.rate=0.5", "network.arguments.norm=batch"])

    assert recipe.network.arguments == {"act": {"rate": 0.5}, "norm": "batch"}


def test_none_among_the_arguments_is_refused_as_toml_can_not_say_it() -> None:
    with pytest.raises(RecipeError, match=r"network\.arguments: TOML has no null; write the text .None."):
        parse_recipe({"network": {"arguments": {"act": [{"rate": None}]}}}, source="here")


def test_an_unknown_key_is_named_with_its_nearest_neighbour_and_the_known_ones(small: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(small, ["training.epoch=3"])

    assert "training.epoch: unknown key; did you mean 'epochs'?" in str(caught.value)
    assert "batch_size" in str(caught.value)


def test_an_unknown_section_is_named_with_its_nearest_neighbour(small: Path) -> None:
    with pytest.raises(RecipeError, match=r"trainig: unknown key; did you mean 'training'\?"):
        load_recipe(small, ["trainig.epochs=3"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=0", "training.epochs: Input should be greater than or equal to 1"),
        ("training.learning_rates=[]", "learning_rates is empty"),
        ("training.dice_weight=0\ntraining.alpha=0", "leaves no loss"),
        ("training.ema_decay=1.0", "training.ema_decay: Input should be less than 1"),
        ("fine_tuning.freeze=encoder", "fine_tuning.freeze: Input should be a valid tuple"),
        ("training.epochs_per_rate=[1, 2]", "give one number of epochs for each rate"),
        ("network.in_channels=1", "set both to 1"),
        ("preprocessing.percentiles=[99.0, 1.0]", "two ascending numbers"),
        ("epochs=3", "expected section.key=value"),
        ("training.epochs", "expected section.key=value"),
        ("training..epochs=3", "expected section.key=value"),
        ("network.width.x=3", "'width' is a value, not a section"),
    ],
)
def test_a_wrong_value_is_explained(small: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(small, override.splitlines())

    assert message in str(caught.value)


def test_an_unknown_recipe_is_answered_with_the_bundled_ones() -> None:
    with pytest.raises(RecipeError, match=r"no such recipe.*cpu/aunet_w16.*paper/aunet_r16"):
        load_recipe(Path("paper/aunet"))


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[network\n")

    with pytest.raises(RecipeError, match="not a TOML file"):
        load_recipe(file)


def test_a_bundled_recipe_is_found_by_its_path_in_the_repository_too() -> None:
    assert load_recipe(Path("recipes/cpu/demo.toml")) == load_recipe(Path("cpu/demo"))

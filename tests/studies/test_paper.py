import re
from pathlib import Path

import pytest

from aunet.models.complexity import TABLE_6, complexity
from aunet.studies import published
from aunet.studies.arms import PaperRow
from aunet.studies.paper import STUDIES
from aunet.training.recipe import bundled_recipes, load_recipe

PAPER = Path(__file__).parents[3] / "shared" / "paper" / "aunet_2020.txt"
TABLES = {
    1: published.TABLE_1,
    2: published.TABLE_2,
    3: published.TABLE_3,
    4: published.TABLE_4,
    5: published.TABLE_5,
    7: published.TABLE_7,
}


def numbers_of(row: PaperRow) -> list[float]:
    return [number for pair in (row.dsc, row.sensitivity, row.area_difference, row.hau) for number in pair]


def test_there_is_a_study_for_every_table_and_figure() -> None:
    assert set(STUDIES) == {
        *(f"table{number}" for number in range(1, 8)),
        *("s1", "s2", "s3-s6", "figure1", "figure4", "figure5", "figure6-7"),
    }


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_published_row_and_the_reference_are_entries_of_the_study(name: str) -> None:
    study = STUDIES[name]
    names = [entry.name for entry in study.entries]

    assert len(set(names)) == len(names)
    assert set(study.published) <= set(names) or name.startswith("figure")
    assert study.reference is None or study.reference in names


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_the_recipe_of_every_entry_builds_a_network(name: str) -> None:
    for entry in STUDIES[name].entries:
        recipe = load_recipe(Path(entry.recipe), [*entry.changes, "network.width=16"])

        assert complexity(recipe.network.settings(), rows=64, columns=64).parameters > 0


def test_every_recipe_of_the_paper_is_named_by_an_entry() -> None:
    named = {entry.recipe for study in STUDIES.values() for entry in study.entries}

    assert {name for name in bundled_recipes() if name.startswith("paper/")} <= named
    assert not any(entry.changes for study in STUDIES.values() for entry in study.entries)


def test_the_same_network_has_the_same_recipe_in_every_table() -> None:
    rows = [("table2", "r = 16"), ("table3", "AUNet"), ("table7", "RGB input (resize 256x256)"), ("s2", "alpha = 1")]

    recipes = [
        load_recipe(Path(next(entry.recipe for entry in STUDIES[study].entries if entry.name == name)))
        for study, name in rows
    ]

    assert all(recipe == load_recipe(Path("paper/aunet_r16")) for recipe in recipes)


def test_the_same_networks_have_the_same_numbers_in_every_table() -> None:
    aunet = published.TABLE_3["AUNet"]

    assert published.TABLE_1["UNet (Basic-Basic)"] == published.TABLE_3["UNet"]
    assert published.TABLE_2["r = 16"] == aunet == published.TABLE_7["RGB input (resize 256x256)"]


def test_the_first_places_add_up() -> None:
    assert sum(published.FIRST_PLACES.values()) == 84
    assert sum(published.AUNET_FIRST_PLACES.values()) == published.FIRST_PLACES["AUNet"]


def test_the_networks_of_table_6_are_those_whose_sizes_the_paper_prints() -> None:
    recipes = [load_recipe(Path(entry.recipe), entry.changes) for entry in STUDIES["table6"].entries]

    assert {recipe.network.name for recipe in recipes} == set(TABLE_6)


@pytest.mark.data
@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_number_stands_in_the_paper(table: int) -> None:
    if not PAPER.is_file():
        pytest.skip(f"{PAPER.name} is not beside the project")
    text = PAPER.read_text(encoding="utf-8")
    after = re.split(rf"\n\**Table {table}\.", text)[1]
    lines = after.split("\nTable ")[0].split("\n**Table ")[0].splitlines()
    printed = [tuple(map(float, re.findall(r"\d+\.\d+", re.sub(r"\(.*?\)", "", line)))) for line in lines]

    for name, row in TABLES[table].items():
        assert tuple(numbers_of(row)) in printed, name

"""The recipes of the paper's tables 4, 5, 7 and S2: each is the paper's protocol but for what its row changes."""

from pathlib import Path

import pytest
import torch

from aunet.models.factory import build_network
from aunet.training.recipe import Recipe, bundled_recipes, load_recipe

FOUR = ("unet", "fusionnet", "fcdensenet103", "aunet")
# What a row changes against AUNet with three channels of 256 x 256 pixels, as section 4 of the paper has it.
ROWS: dict[str, dict[str, object]] = {
    "table7_grey": {"network.in_channels": 1, "preprocessing.channels": 1},
    "table7_rgb": {},
    "table7_512": {"preprocessing.rows": 512, "preprocessing.columns": 512, "training.batch_size": 2},
    "table7_pad": {"preprocessing.fit": "pad"},
    "s2_alpha_half": {"training.alpha": 0.5},
    "s2_alpha_1": {},
    "s2_alpha_2": {"training.alpha": 2.0},
    **{f"table4_{name}_without": {"network.name": name} for name in FOUR},
    **{f"table4_{name}_with": {"network.name": name, "fine_tuning.requires_checkpoint": True} for name in FOUR},
    **{f"table5_{name}": {"network.name": name, "preprocessing.patch_margin": 0.2} for name in FOUR},
}


def _entries(recipe: Recipe) -> dict[str, object]:
    """Every entry that decides the weights."""
    sections = recipe.model_dump(exclude={"provenance"})
    return {f"{section}.{key}": value for section, entries in sections.items() for key, value in entries.items()}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_differs_from_the_papers_main_recipe_by_what_the_table_says(row: str) -> None:
    main = _entries(load_recipe(Path("paper/aunet_r16")))

    recipe = load_recipe(Path(f"paper/{row}"))

    assert {key: value for key, value in _entries(recipe).items() if value != main[key]} == {
        key: value for key, value in ROWS[row].items() if value != main[key]
    }


def test_every_row_of_these_tables_has_its_recipe() -> None:
    tables = ("paper/table4", "paper/table5", "paper/table7", "paper/s2")

    assert {name.removeprefix("paper/") for name in bundled_recipes() if name.startswith(tables)} == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_its_network_can_be_built(row: str) -> None:
    recipe = load_recipe(Path(f"paper/{row}"))

    with torch.device("meta"):
        network = build_network(recipe.network.settings())
        logits = network(torch.empty(2, recipe.network.in_channels, 32, 32))

    assert logits.shape == (2, 2, 32, 32)

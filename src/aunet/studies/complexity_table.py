"""Table 6: how large and how fast the networks are, beside the paper's numbers."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from aunet.evaluation.tables import Table
from aunet.models.complexity import Complexity, complexity, measured
from aunet.studies.arms import Entry
from aunet.studies.published import TABLE_6
from aunet.studies.score_tables import NONE
from aunet.training.recipe import Recipe, load_recipe

_QUICK_S = 0.05


def measure_networks(
    entries: Sequence[Entry], changes: Sequence[str], *, quick: bool
) -> tuple[tuple[str, Complexity], ...]:
    """Count and time the network of each entry on this machine.

    Args:
        entries: The networks.
        changes: Changes of every entry's recipe.
        quick: Time a few passes only.

    Returns:
        Name of the entry and its network's numbers. A network that can't be built is a ValueError.
    """
    recipes = [(entry.name, load_recipe(Path(entry.recipe), [*entry.changes, *changes])) for entry in entries]
    return tuple((name, _measure(recipe, at_least_s=_QUICK_S if quick else 1.0)) for name, recipe in recipes)


def complexity_table(networks: Sequence[tuple[str, Complexity]]) -> Table:
    """Ours beside the paper's.

    Args:
        networks: Name of the entry and its network's numbers.

    Returns:
        The table.
    """
    columns = ("", "layers", "parameters (million)", "GFLOP", "frames/s")
    paper = ("paper: layers", "paper: parameters (million)", "paper: frames/s")
    rows = []
    for name, found in networks:
        theirs = TABLE_6.get(name)
        row = [name, str(found.layers), f"{found.parameters / 1e6:.1f}", f"{found.flop / 1e9:.2f}"]
        row.append(NONE if found.images_per_second is None else f"{found.images_per_second:.2f}")
        if theirs is None:
            row += [NONE] * len(paper)
        else:
            row += [str(theirs.layers), f"{theirs.parameters_millions:.1f}", str(theirs.frames_per_second)]
        rows.append(tuple(row))
    return Table("Size and speed", (*columns, *paper), tuple(rows))


def tidy_complexity(networks: Sequence[tuple[str, Complexity]]) -> pd.DataFrame:
    """All numbers, a row a network.

    Args:
        networks: Name of the entry and its network's numbers.

    Returns:
        The numbers unrounded.
    """
    lines = []
    for name, found in networks:
        theirs = TABLE_6.get(name)
        paper = {} if theirs is None else {f"paper_{key}": value for key, value in asdict(theirs).items()}
        lines.append({"entry": name, **asdict(found), **paper})
    return pd.DataFrame(lines)


def _measure(recipe: Recipe, *, at_least_s: float) -> Complexity:
    settings = recipe.network.settings()
    rows, columns = recipe.preprocessing.rows, recipe.preprocessing.columns
    counted = complexity(settings, rows=rows, columns=columns)
    device = recipe.hardware.accelerator
    return measured(counted, settings, rows=rows, columns=columns, device=device, at_least_s=at_least_s)

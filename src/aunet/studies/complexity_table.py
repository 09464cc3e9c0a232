"""Table 6: how large and how fast the networks are, beside the paper's numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from aunet.evaluation.tables import Table
from aunet.models.complexity import TABLE_6, Complexity, Speed, complexity, measured
from aunet.studies.arms import Entry
from aunet.studies.score_tables import NONE
from aunet.training.recipe import Recipe, load_recipe

_QUICK_S = 0.05


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """The network of an entry, counted and timed."""

    entry: str
    size: Complexity
    speed: Speed


def measure_networks(entries: Sequence[Entry], changes: Sequence[str], *, quick: bool) -> tuple[MeasuredNetwork, ...]:
    """Count and time the network of each entry on this machine.

    Args:
        entries: The networks.
        changes: Changes of every entry's recipe.
        quick: Time a few passes only.

    Returns:
        The networks' numbers. A network that can't be built is a ValueError.
    """
    recipes = [(entry.name, load_recipe(Path(entry.recipe), [*entry.changes, *changes])) for entry in entries]
    return tuple(_measure(name, recipe, at_least_s=_QUICK_S if quick else 1.0) for name, recipe in recipes)


def complexity_table(networks: Sequence[MeasuredNetwork]) -> Table:
    """Ours beside the paper's.

    Args:
        networks: What was measured.

    Returns:
        The table.
    """
    columns = ("", "layers", "parameters (million)", "GFLOP", "frames/s", "memory (MiB)")
    paper = ("paper: layers", "paper: parameters (million)", "paper: frames/s")
    rows = []
    for network in networks:
        size, speed, theirs = network.size, network.speed, TABLE_6.get(network.size.name)
        row = [network.entry, str(size.layers), f"{size.parameters / 1e6:.1f}", f"{size.flop / 1e9:.2f}"]
        row += [
            f"{speed.frames_per_second:.2f}",
            NONE if speed.peak_bytes is None else f"{speed.peak_bytes / 2**20:.0f}",
        ]
        if theirs is None:
            row += [NONE] * len(paper)
        else:
            row += [str(theirs.layers), f"{theirs.parameters_million:.1f}", str(theirs.frames_per_second)]
        rows.append(tuple(row))
    return Table("Size and speed", (*columns, *paper), tuple(rows))


def tidy_complexity(networks: Sequence[MeasuredNetwork]) -> pd.DataFrame:
    """All numbers, a row a network.

    Args:
        networks: What was measured.

    Returns:
        The numbers unrounded.
    """
    lines = []
    for network in networks:
        theirs = TABLE_6.get(network.size.name)
        paper = {} if theirs is None else {f"paper_{key}": value for key, value in asdict(theirs).items()}
        lines.append({"entry": network.entry, **asdict(network.size), **asdict(network.speed), **paper})
    return pd.DataFrame(lines)


def _measure(entry: str, recipe: Recipe, *, at_least_s: float) -> MeasuredNetwork:
    settings = recipe.network.settings()
    rows, columns = recipe.preprocessing.rows, recipe.preprocessing.columns
    speed = measured(settings, rows=rows, columns=columns, device=recipe.hardware.accelerator, at_least_s=at_least_s)
    return MeasuredNetwork(entry, complexity(settings, rows=rows, columns=columns), speed)

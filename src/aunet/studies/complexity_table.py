"""Table 6: how large and how fast the networks are, beside the paper's numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from aunet.evaluation.tables import Table
from aunet.models.complexity import TABLE_6, Complexity, Speed, complexity, measured
from aunet.studies.arms import Entry
from aunet.studies.score_tables import NONE
from aunet.training.recipe import load_recipe

_QUICK_S = 0.05


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """One row of the table."""

    name: str
    """The entry's."""
    size: Complexity
    speed: Speed


def measure_networks(entries: Sequence[Entry], changes: Sequence[str], *, quick: bool) -> tuple[MeasuredNetwork, ...]:
    """Count and time the network of each entry on this machine.

    Args:
        entries: The networks.
        changes: Changes of every entry's recipe.
        quick: Time a few passes only.

    Returns:
        The rows. A network that can't be built is a ValueError.
    """
    return tuple(_measure(entry, changes, at_least_s=_QUICK_S if quick else 1.0) for entry in entries)


def complexity_table(networks: Sequence[MeasuredNetwork]) -> Table:
    """Ours beside the paper's.

    Args:
        networks: The rows.

    Returns:
        The table.
    """
    columns = ("", "layers", "parameters (million)", "GFLOP", "frames/s")
    paper = ("paper: layers", "paper: parameters (million)", "paper: frames/s")
    rows = []
    for found in networks:
        size, theirs = found.size, TABLE_6.get(found.size.name)
        ours = (str(size.layers), f"{size.parameters / 1e6:.1f}", f"{size.flop / 1e9:.2f}")
        published = (NONE,) * len(paper)
        if theirs is not None:
            published = (str(theirs.layers), f"{theirs.parameters_million:.1f}", str(theirs.frames_per_second))
        rows.append((found.name, *ours, f"{found.speed.frames_per_second:.2f}", *published))
    return Table("Size and speed", (*columns, *paper), tuple(rows))


def tidy_complexity(networks: Sequence[MeasuredNetwork]) -> pd.DataFrame:
    """All numbers, a row a network.

    Args:
        networks: The rows.

    Returns:
        The numbers unrounded.
    """
    lines = []
    for found in networks:
        theirs = TABLE_6.get(found.size.name)
        paper = {} if theirs is None else {f"paper_{key}": value for key, value in asdict(theirs).items()}
        lines.append({"entry": found.name, **asdict(found.size), **asdict(found.speed), **paper})
    return pd.DataFrame(lines)


def _measure(entry: Entry, changes: Sequence[str], *, at_least_s: float) -> MeasuredNetwork:
    recipe = load_recipe(Path(entry.recipe), [*entry.changes, *changes])
    settings = recipe.network.settings()
    rows, columns = recipe.preprocessing.rows, recipe.preprocessing.columns
    size = complexity(settings, rows=rows, columns=columns)
    device = recipe.hardware.accelerator
    speed = measured(settings, rows=rows, columns=columns, device=device, at_least_s=at_least_s)
    return MeasuredNetwork(entry.name, size, speed)

"""What a study consists of: entries (the rows of its table) and the arms that are run for each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from aunet.errors import RecipeError
from aunet.training.recipe import Recipe, load_recipe

PAPER_RECIPE = "paper/aunet_r16"

Kind = Literal["scores", "complexity", "categories", "distributions", "cumulative", "overlays"]
"""What a study ends in beside its scores: sizes of networks, the 84 cases, or one of the figures."""


class MeanSd(NamedTuple):
    """A number as the paper prints it: mean and standard deviation of its runs."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One row of a table of the paper, in its units (per cent; HAU has none)."""

    dsc: MeanSd
    sensitivity: MeanSd
    area_difference: MeanSd
    hau: MeanSd


class Fold(NamedTuple):
    """One fold of a cross-validation."""

    number: int
    """Counted from 1."""
    of: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a study's table: a recipe, and what it is trained and tested on."""

    name: str
    changes: tuple[str, ...] = ()
    """Changes of the recipe, each as `section.key=value`."""
    recipe: str = PAPER_RECIPE
    """Name of a bundled recipe, or a TOML file."""
    data: str = "cbis-ddsm"
    """Which of the study's data sets."""
    folds: int = 0
    """Folds of the cross-validation; 0 for the data set's own split."""
    pretraining: "Entry | None" = None
    """Whose weights are started from, seed by seed."""


@dataclass(frozen=True, slots=True)
class Study:
    """A list of entries, and what they are compared with."""

    name: str
    title: str
    entries: tuple[Entry, ...]
    kind: Kind = "scores"
    reference: str | None = None
    """Name of the entry that all others are tested against; None for no tests."""
    published: Mapping[str, PaperRow] = field(default_factory=dict)
    """The paper's row of an entry, by the entry's name."""
    remark: str = ""
    """What the paper leaves open here, or what is our reading."""

    @property
    def data(self) -> tuple[str, ...]:
        """Names of the data sets, those to pretrain on first; none where networks are only counted."""
        if self.kind == "complexity":
            return ()
        first = [name for entry in self.entries if entry.pretraining for name in data_of(entry.pretraining)]
        return tuple(dict.fromkeys((*first, *(entry.data for entry in self.entries))))


@dataclass(frozen=True, slots=True)
class Arm:
    """One training with its evaluation: recipe, data, seed and fold."""

    name: str
    """The entry's; says nothing of the result."""
    recipe: Recipe
    """Its seed is the arm's."""
    data: str
    fold: Fold | None
    init: "Arm | None"

    @property
    def seed(self) -> int:
        """Decides the first weights and the order of the images."""
        return self.recipe.training.seed

    @property
    def depth(self) -> int:
        """How many arms have to be finished before, one after the other."""
        return 0 if self.init is None else 1 + self.init.depth

    def __str__(self) -> str:
        fold = "" if self.fold is None else f", fold {self.fold.number} of {self.fold.of}"
        return f"{self.name} on {self.data}, seed {self.seed}{fold}"


def arms_of(entry: Entry, *, seeds: int, changes: Sequence[str] = ()) -> tuple[Arm, ...]:
    """The arms of one entry, a seed and a fold each.

    Args:
        entry: The entry.
        seeds: Number of seeds, 0 the first.
        changes: Changes of every arm's recipe, which hold after the entry's own.

    Returns:
        The arms by seed, then by fold.

    Raises:
        RecipeError: A recipe can't be used, or asks for several devices.
    """
    folds: list[Fold | None] = [Fold(number, entry.folds) for number in range(1, entry.folds + 1)]
    arms = []
    for seed in range(seeds):
        recipe = load_recipe(Path(entry.recipe), [*entry.changes, *changes, f"training.seed={seed}"])
        hardware = recipe.hardware
        if hardware.devices * hardware.num_nodes > 1:
            # Lightning would start the whole command once more for each device.
            msg = (
                f"{entry.name}: the recipe asks for {hardware.devices} devices on {hardware.num_nodes} machines, and "
                "an arm of a study is trained on one; set hardware.devices and hardware.num_nodes to 1, and give "
                "several arms at a time to a cluster by --engine ray"
            )
            raise RecipeError(msg)
        init = _pretraining_arm(entry, seed=seed, changes=changes)
        arms += [Arm(entry.name, recipe, entry.data, fold, init) for fold in folds or [None]]
    return tuple(arms)


def with_pretraining(arms: Sequence[Arm]) -> Iterator[Arm]:
    """Arms with those that they start from, each behind what it needs; an arm may come more than once.

    Args:
        arms: The arms that are wanted.

    Yields:
        The arms in an order in which they can be run.
    """
    for arm in arms:
        if arm.init is not None:
            yield from with_pretraining([arm.init])
        yield arm


def data_of(entry: Entry) -> tuple[str, ...]:
    """What an entry's weights are trained on.

    Args:
        entry: The entry.

    Returns:
        Names of the data sets, the first that is trained on first; its own is the last.
    """
    return (*(() if entry.pretraining is None else data_of(entry.pretraining)), entry.data)


def _pretraining_arm(entry: Entry, *, seed: int, changes: Sequence[str]) -> Arm | None:
    first = entry.pretraining
    if first is None:
        return None
    recipe = load_recipe(Path(first.recipe), [*first.changes, *changes, f"training.seed={seed}"])
    return Arm(first.name, recipe, first.data, None, _pretraining_arm(first, seed=seed, changes=changes))

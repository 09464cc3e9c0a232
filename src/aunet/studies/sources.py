"""The data sets of a study: which is which, their folds, and what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aunet.datasets.dataset import DataSet
from aunet.datasets.identity import identity_of
from aunet.datasets.inspection import inspect_pixels
from aunet.datasets.opening import open_dataset
from aunet.datasets.split_file import folds, with_splits
from aunet.errors import DatasetError
from aunet.studies.arms import Fold

FOLD_SEED = 0


@dataclass(slots=True)
class Source:
    """A data set, and its folds as soon as somebody has asked for them."""

    dataset: DataSet
    _by_fold: dict[Fold, DataSet] = field(default_factory=dict)
    _identities: dict[Fold | None, str] = field(default_factory=dict)

    def part(self, fold: Fold | None) -> DataSet:
        """The data set as an arm sees it.

        Args:
            fold: Which fold holds; None for the data set's own split.

        Returns:
            The data set with the fold's test side, all else to train on. The folds are those that `aunet inspect
            --folds` writes: by patient, stratified by the share that the masses take of their image.
        """
        if fold is None:
            return self.dataset
        if fold not in self._by_fold:
            inspected = inspect_pixels(self.dataset)
            shares = {one.case: one.area_share for one in inspected.images}
            made = folds(inspected.dataset.samples, shares, number=fold.of, seed=FOLD_SEED)
            for number, splits in enumerate(made, start=1):
                self._by_fold[Fold(number, fold.of)] = with_splits(inspected.dataset, splits)
        return self._by_fold[fold]

    def identity(self, fold: Fold | None) -> str:
        """Hash of the images and of the sides that they are on.

        Args:
            fold: Which fold holds; None for the data set's own split.

        Returns:
            SHA-256 in hexadecimal.
        """
        if fold not in self._identities:
            samples = self.part(fold).samples
            # The side is a fact of the arm, not of the image: it goes into the hash with the name.
            self._identities[fold] = identity_of(
                replace(sample, case=f"{sample.split}:{sample.case}") for sample in samples
            )
        return self._identities[fold]


def open_sources(names: Sequence[str], specs: Sequence[str]) -> Mapping[str, Source]:
    """The data sets that a study needs.

    A data set whose kind is the name of one that is needed (`inbreast:PATH`) is taken for it; all others are taken in
    the order in which they are needed.

    Args:
        names: What the study calls its data sets, in the order in which it needs them.
        specs: What the user typed, see `open_dataset`.

    Returns:
        The data sets by name.

    Raises:
        DatasetError: There are too many or too few, or one can't be used.
    """
    if len(specs) != len(names):
        msg = f"this study needs {len(names)} data sets ({', '.join(names)}), and {len(specs)} were given by --data"
        raise DatasetError(msg)
    rest = list(specs)
    chosen: dict[str, str] = {}
    for name in names:
        fitting = [spec for spec in rest if spec.partition(":")[0].partition(",")[0] == name]
        if fitting:
            chosen[name] = fitting[0]
            rest.remove(fitting[0])
    chosen |= {name: rest.pop(0) for name in names if name not in chosen}
    return {name: Source(open_dataset(_absolute(spec))) for name, spec in chosen.items()}


def _absolute(spec: str) -> str:
    """The same data set for a process that works in another folder."""
    kind, colon, path = spec.partition(":")
    return f"{kind}{colon}{Path(path).resolve()}" if path else spec

"""Splits and folds as files: frozen, hashed, and given back."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import LedgerRow
from aunet.datasets.splits import refuse_shared_patients
from aunet.errors import DatasetError, WriteError
from aunet.io.aside import write_text
from aunet.sample import Sample, Split

_FORMAT = 1
_NAMED_AT_MOST = 5
MISSING = "stands in the file of splits, and not in the data set; give the data set that the file was made from"


@dataclass(frozen=True, slots=True)
class FrozenSplits:
    """Which image is on which side, as a file fixes it. It names images, never patients."""

    sides: Mapping[Split, tuple[str, ...]]
    """The cases of each side that has any, sorted."""

    @property
    def sha256(self) -> str:
        """Hash of the sides, the same for the same images on the same sides."""
        canonical = json.dumps({side: list(cases) for side, cases in sorted(self.sides.items())}, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def freeze(sides: Mapping[Split, Iterable[Sample]]) -> FrozenSplits:
    """The splits of these samples; a patient on two sides is a `DatasetError`.

    Args:
        sides: The samples of each side.

    Returns:
        The cases of each side that has any.
    """
    listed = {side: tuple(samples) for side, samples in sides.items()}
    refuse_shared_patients(replace(sample, split=side) for side, samples in listed.items() for sample in samples)
    return FrozenSplits({
        side: tuple(sorted(sample.case for sample in samples)) for side, samples in listed.items() if samples
    })


def write_splits(path: Path, splits: FrozenSplits) -> None:
    """Write splits as JSON.

    Args:
        path: The file; its folder is made where it is missing.
        splits: What to write.

    Raises:
        WriteError: The file can't be written.
    """
    document = {"format": _FORMAT, "sha256": splits.sha256, "sides": splits.sides}
    try:
        write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        msg = f"{path}: the splits can't be written ({error.strerror}); name another folder"
        raise WriteError(msg) from error


def read_splits(path: Path) -> FrozenSplits:
    """Splits as `write_splits` wrote them.

    Args:
        path: The file.

    Returns:
        The splits.

    Raises:
        DatasetError: The file can't be read, is of another kind, or was changed after it was written.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        msg = f"{path}: the splits can't be read ({reason}); give a splits.json that aunet wrote"
        raise DatasetError(msg) from error
    sides = document.get("sides") if isinstance(document, dict) else None
    if not isinstance(sides, dict) or not sides or document.get("format") != _FORMAT or not _are_sides(sides):
        msg = f'{path}: is no file of splits of format {_FORMAT}; expected "sides" with lists of images'
        raise DatasetError(msg)
    splits = FrozenSplits({side: tuple(sides[side]) for side in get_args(Split) if side in sides})
    if document.get("sha256") != splits.sha256:
        msg = f"{path}: its hash is not that of its sides: it was changed after it was written; get the original"
        raise DatasetError(msg)
    cases = [case for side in splits.sides.values() for case in side]
    if len(set(cases)) != len(cases):
        msg = f"{path}: an image stands twice in it; every image is on one side"
        raise DatasetError(msg)
    return splits


def with_splits(dataset: DataSet, splits: FrozenSplits) -> DataSet:
    """The data set with the sides that a file fixes; its own are forgotten.

    Args:
        dataset: A data set.
        splits: Sides by case. Images in none of them are on no side.

    Returns:
        The data set. Images of the file that it does not hold are refused rows of its ledger, unless it refused them
        itself. A patient on two sides is a `DatasetError`.

    Raises:
        DatasetError: The data set holds none of the images.
    """
    side_of = {case: side for side, cases in splits.sides.items() for case in cases}
    samples = tuple(replace(sample, split=side_of.get(sample.case)) for sample in dataset.samples)
    if not any(sample.split for sample in samples):
        examples = ", ".join(list(side_of)[:_NAMED_AT_MOST])
        msg = f"{dataset.root}: holds none of the images of the splits ({examples} ...); give their own data set"
        raise DatasetError(msg)
    refuse_shared_patients(samples)
    known = {row.case for row in dataset.ledger.rows} | {sample.case for sample in samples}
    missing = tuple(LedgerRow(case, "refused", MISSING) for case in side_of if case not in known)
    ledger = replace(dataset.ledger, rows=(*dataset.ledger.rows, *missing))
    return replace(dataset, samples=samples, ledger=ledger)


def folds(samples: Sequence[Sample], sizes: Mapping[str, float], *, number: int, seed: int) -> tuple[FrozenSplits, ...]:
    """Folds for cross-validation: by patient, each with masses as large as the others'.

    The patients are put in the order of their largest mass and dealt out in rounds of one patient a fold, in an order
    that each round draws by the seed (SHA-256). So neither the order of the samples nor the machine counts.

    Args:
        samples: Samples of at least as many patients as there are folds.
        sizes: Size of the mass by case, in any unit that compares images; images that are not named count as 0.
        number: How many folds, at least 2.
        seed: Another seed deals otherwise.

    Returns:
        For each fold its test side, and all other images as its training side.

    Raises:
        ValueError: There are fewer than two folds.
        DatasetError: There are fewer patients than folds.
    """
    if number < 2:
        msg = f"{number} folds; expected at least 2"
        raise ValueError(msg)
    largest: dict[str, float] = {}
    for sample in samples:
        size = sizes.get(sample.case, 0.0)
        largest[sample.patient_id] = max(size, largest.get(sample.patient_id, 0.0))
    if len(largest) < number:
        msg = f"{len(largest)} patients can't be put into {number} folds; ask for fewer folds"
        raise DatasetError(msg)

    def rank(*words: object) -> bytes:
        return hashlib.sha256(":".join(map(str, (seed, *words))).encode(errors="surrogatepass")).digest()

    patients = sorted(largest, key=lambda patient: (-largest[patient], rank(patient)))
    fold_of: dict[str, int] = {}
    for start in range(0, len(patients), number):
        order = sorted(range(number), key=lambda fold: rank("round", start, fold))
        fold_of.update(zip(patients[start : start + number], order, strict=False))
    return tuple(
        freeze({
            "train": [sample for sample in samples if fold_of[sample.patient_id] != fold],
            "test": [sample for sample in samples if fold_of[sample.patient_id] == fold],
        })
        for fold in range(number)
    )


def _are_sides(sides: dict[object, object]) -> bool:
    return all(
        side in get_args(Split) and isinstance(cases, list) and all(isinstance(case, str) for case in cases)
        for side, cases in sides.items()
    )

"""Splits of a data set. They are always by patient: no patient is ever on two sides."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from aunet.datasets.dataset import DataSet
from aunet.errors import DatasetError
from aunet.sample import Sample, Split

_NAMED_AT_MOST = 6


def samples_of(dataset: DataSet, split: Split | Literal["all"]) -> tuple[Sample, ...]:
    """The samples of one side of the split, in the table's order.

    Args:
        dataset: A data set.
        split: "train", "validation" or "test"; or "all" for every sample, whatever its split.

    Returns:
        The samples; empty where none belongs to that side. A patient on two sides is a `DatasetError`
        (`refuse_shared_patients`), except for "all", which has no sides.
    """
    if split == "all":
        return dataset.samples
    refuse_shared_patients(dataset.samples)
    return tuple(sample for sample in dataset.samples if sample.split == split)


def hold_out(samples: Sequence[Sample], *, fraction: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Samples taken apart by patient: the rest, and those held out.

    The patients are put in an order that depends on the seed and on each patient alone (SHA-256), and the first of them
    are held out. So the outcome depends neither on the order of the samples nor on the machine, and one patient more
    moves at most one other patient across.

    Args:
        samples: Samples of at least two patients.
        fraction: Share of the patients to hold out, above 0 and below 1; at least one patient is held out and at
            least one is left.
        seed: Another seed holds out other patients.

    Returns:
        The rest and the held out, each sorted by case.

    Raises:
        ValueError: The fraction is not between 0 and 1.
        DatasetError: There are fewer than two patients.
    """
    if not 0 < fraction < 1:
        msg = f"fraction is {fraction}; expected a number above 0 and below 1"
        raise ValueError(msg)
    patients = {sample.patient_id for sample in samples}
    if len(patients) < 2:
        msg = (
            f"{len(samples)} images of {len(patients)} patients can't be split by patient; "
            "add patients, or check the column patient_id"
        )
        raise DatasetError(msg)
    n_held_out = min(max(round(fraction * len(patients)), 1), len(patients) - 1)
    held_out = set(sorted(patients, key=lambda patient: _rank(patient, seed))[:n_held_out])
    ordered = sorted(samples, key=lambda sample: sample.case)
    return (
        tuple(sample for sample in ordered if sample.patient_id not in held_out),
        tuple(sample for sample in ordered if sample.patient_id in held_out),
    )


def refuse_shared_patients(samples: Iterable[Sample]) -> None:
    """Check that no patient is on more than one side of the split.

    Args:
        samples: Samples of all sides; those without a split are on no side.

    Raises:
        DatasetError: A patient is on two sides; the message names images, never the patient.
    """
    shared = shared_between_sides(samples)
    if shared:
        named = ", ".join(f"{sample.case} ({sample.split})" for sample in shared[:_NAMED_AT_MOST])
        more = f" and {len(shared) - _NAMED_AT_MOST} more" if len(shared) > _NAMED_AT_MOST else ""
        msg = (
            f"{len(shared)} images belong to patients on more than one side of the split: {named}{more}; "
            "put all images of a patient on one side, since scores on patients seen in training mean nothing"
        )
        raise DatasetError(msg)


def shared_between_sides(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples of patients who are on more than one side of the split, patient by patient.

    Args:
        samples: Samples of all sides; those without a split are on no side.

    Returns:
        The samples that make the split unusable; empty where it is sound.
    """
    by_patient: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.split is not None:
            by_patient.setdefault(sample.patient_id, []).append(sample)
    return tuple(sample for group in by_patient.values() if len({one.split for one in group}) > 1 for sample in group)


def _rank(patient_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{patient_id}".encode(errors="surrogatepass")).digest()

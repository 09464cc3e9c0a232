"""A data set in numbers: sides of the split, views, sizes, areas of the masses, properties."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from aunet.datasets.dataset import DataSet
from aunet.datasets.inspection import ImageFacts
from aunet.sample import MassProperties

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One side of a split."""

    images: int
    patients: int
    without_mass: int | None
    """Images whose mask is empty; None where no pixel was read."""


@dataclass(frozen=True, slots=True)
class AreaSummary:
    """Areas of the masks that are not empty, at `QUANTILES`."""

    px: tuple[float, ...]
    share: tuple[float, ...]
    """Of the whole image."""
    mm2: tuple[float, ...] | None
    """Of the images with a pixel spacing; None where there is none."""
    n_mm2: int


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The samples that can be used, counted."""

    images: int
    patients: int
    splits: Mapping[str, SideSummary]
    views: Mapping[str, int]
    lateralities: Mapping[str, int]
    properties: Mapping[str, Mapping[str, int]]
    """By property and value, masses counted (values joined by ";" stand for one mass each)."""
    sizes: Mapping[str, int]
    """Images by "rows x columns", the most frequent first; empty where no pixel was read."""
    bits_stored: Mapping[str, int]
    areas: AreaSummary | None
    """None where no pixel was read or no mask shows a mass."""


def summarise(dataset: DataSet, facts: Sequence[ImageFacts] = ()) -> DataSummary:
    """Counts and quantiles of a data set.

    Args:
        dataset: The data set; only its samples are counted, not the refused rows.
        facts: What the pixels told, if they were read.

    Returns:
        The summary; views and lateralities are those of the files where they were read and say so, else the table's.
    """
    by_case = {fact.case: fact for fact in facts}
    samples = dataset.samples
    known = [by_case[sample.case] for sample in samples if sample.case in by_case]
    sides: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        sides.setdefault(sample.split or "(no split)", []).append(index)
    masses = [fact for fact in known if fact.area_px > 0]
    with_mass = {fact.case for fact in masses}
    return DataSummary(
        images=len(samples),
        patients=len({sample.patient_id for sample in samples}),
        splits={
            side: SideSummary(
                images=len(members),
                patients=len({samples[index].patient_id for index in members}),
                without_mass=sum(samples[index].case not in with_mass for index in members) if known else None,
            )
            for side, members in sides.items()
        },
        views=_counted(by_case.get(sample.case, sample).view or UNKNOWN for sample in samples),
        lateralities=_counted(by_case.get(sample.case, sample).laterality or UNKNOWN for sample in samples),
        properties=_properties(sample.properties for sample in samples),
        sizes=_counted(f"{fact.shape[0]} x {fact.shape[1]}" for fact in known),
        bits_stored=_counted(str(fact.bits_stored) for fact in known),
        areas=_areas(masses) if masses else None,
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _properties(properties: Iterable[MassProperties]) -> dict[str, dict[str, int]]:
    """Counts of each property that the table gives, by value, sorted by value."""
    counts: dict[str, Counter[str]] = {field.name: Counter() for field in fields(MassProperties)}
    for one in properties:
        for name, counter in counts.items():
            values = [value for value in getattr(one, name).split(";") if value]
            counter.update(UNKNOWN if value.lower() == "nan" else value for value in values)
    return {name: dict(sorted(counter.items())) for name, counter in counts.items() if counter}


def _areas(masses: Sequence[ImageFacts]) -> AreaSummary:
    mm2 = [fact.area_mm2 for fact in masses if fact.area_mm2 is not None]
    return AreaSummary(
        px=_quantiles([float(fact.area_px) for fact in masses]),
        share=_quantiles([fact.area_share for fact in masses]),
        mm2=_quantiles(mm2) if mm2 else None,
        n_mm2=len(mm2),
    )


def _quantiles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(np.asarray(values, dtype=np.float64), QUANTILES))

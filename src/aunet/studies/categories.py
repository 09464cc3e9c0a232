"""The 84 cases of tables S3-S6: 21 categories of masses by 4 metrics, and which network is first in each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from types import MappingProxyType

import numpy as np
import pandas as pd

from aunet.evaluation.tables import Table
from aunet.metrics.scores import Metric
from aunet.studies.published import AUNET_FIRST_PLACES, FIRST_PLACES
from aunet.studies.results import EntryRuns
from aunet.studies.score_tables import NONE, TITLES, mean_sd

CATEGORIES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "subtlety": ("1", "2", "3", "4", "5"),
    "birads": ("2", "3", "4", "5"),
    "mass_shape": ("IRREGULAR", "OVAL", "LOBULATED", "ROUND", "ARCHITECTURAL_DISTORTION"),
    "mass_margins": ("ILL_DEFINED", "SPICULATED", "CIRCUMSCRIBED", "OBSCURED", "MICROLOBULATED"),
    "pathology": ("BENIGN", "MALIGNANT"),
})
"""By property, the values that make a category."""
PROPERTY_TITLES = {
    "subtlety": "subtlety",
    "birads": "BI-RADS",
    "mass_shape": "shape",
    "mass_margins": "margin",
    "pathology": "pathology",
}
METRICS_COMPARED: tuple[Metric, ...] = ("dsc", "sensitivity", "area_difference", "hau_rowwise")
_LESS_IS_BETTER = frozenset({"area_difference", "hau_rowwise"})
_SAME_AS = {"BENIGN_WITHOUT_CALLBACK": "BENIGN", "4A": "4", "4B": "4", "4C": "4"}

HOW_COUNTED = (
    "The paper names the numbers of categories (5 subtleties, 4 BI-RADS, 5 shapes, 5 margins, 2 pathologies), not the "
    "categories. Taken here: subtlety 1 to 5; BI-RADS 2 to 5 (0 is an unfinished assessment, 1 has hardly an image); "
    "the five commonest shapes; the five margins; and benign (with or without callback) and malignant. An image counts "
    "in every category that one of its masses is described by: descriptions of several masses, and compound ones such "
    "as IRREGULAR-ARCHITECTURAL_DISTORTION, are taken apart. So an image may count in two categories of a property, "
    "and one with none of these values counts in none. Networks with the same mean at the top are all first, so that "
    "first places may add up to more than the cases; a case without an image has no first place. HAU is by the "
    "row-wise reading."
)


@dataclass(frozen=True, slots=True)
class Case:
    """One category and one metric: a mean for each network."""

    attribute: str
    value: str
    metric: Metric
    images: int
    means: Mapping[str, float]
    """By name of the entry, in the paper's unit; NaN where it has no image."""
    first: tuple[str, ...]
    """The best entries: one, several that are equal, or none."""


def find_cases(entries: Sequence[EntryRuns]) -> tuple[Case, ...]:
    """The 84 cases.

    Args:
        entries: What was found, an entry each.

    Returns:
        The cases by property, value, metric.
    """
    return tuple(
        _case(entries, attribute, value, metric)
        for attribute, values in CATEGORIES.items()
        for value in values
        for metric in METRICS_COMPARED
    )


def category_table(cases: Sequence[Case]) -> Table:
    """The mean of every network in every case.

    Args:
        cases: The cases.

    Returns:
        The table; the best of a row has a star.
    """
    names = tuple(cases[0].means)
    rows = tuple(
        (
            f"{PROPERTY_TITLES[case.attribute]} {case.value.replace('_', ' ').lower()}",
            TITLES[case.metric],
            str(case.images),
            *(
                mean_sd(case.means[name], float("nan"), metric=case.metric) + "*" * (name in case.first)
                for name in names
            ),
        )
        for case in cases
    )
    return Table("Means by category (* first)", ("category", "score", "images", *names), rows)


def first_places_table(cases: Sequence[Case]) -> Table:
    """How often each network is first, beside the paper's counts.

    Args:
        cases: The cases.

    Returns:
        The table, a row a network.
    """
    names = tuple(cases[0].means)
    rows = []
    for name in names:
        by_metric = [sum(name in case.first for case in cases if case.metric == metric) for metric in METRICS_COMPARED]
        shared = sum(name in case.first and len(case.first) > 1 for case in cases)
        rows.append((name, str(sum(by_metric)), *map(str, by_metric), str(shared), _paper_count(name)))
    empty = sum(not case.first for case in cases)
    title = f"First places in {len(cases)} cases" + (f", {empty} of them without an image" if empty else "")
    columns = ("", "first", *(TITLES[metric] for metric in METRICS_COMPARED), "shared", "paper: first")
    return Table(title, columns, tuple(rows))


def tidy_cases(cases: Sequence[Case]) -> pd.DataFrame:
    """All cases, a row a case and network.

    Args:
        cases: The cases.

    Returns:
        The numbers unrounded; empty where there is none.
    """
    return pd.DataFrame([
        {
            "property": case.attribute,
            "value": case.value,
            "metric": case.metric,
            "images": case.images,
            "entry": name,
            "mean": mean,
            "is_first": name in case.first,
        }
        for case in cases
        for name, mean in case.means.items()
    ])


def values_in(written: str) -> frozenset[str]:
    """The values by which the masses of an image are described.

    Args:
        written: A property as the data set's table has it.

    Returns:
        Every value, those of several masses (`;`) and of compound descriptions (`-`) taken apart.
    """
    cleaned = {part.strip().upper().replace(" ", "_") for part in re.split(r"[;-]", written)} - {"", "NAN"}
    return frozenset(_SAME_AS.get(value, value) for value in cleaned)


def _case(entries: Sequence[EntryRuns], attribute: str, value: str, metric: Metric) -> Case:
    means, images = {}, 0
    for entry in entries:
        members = tuple(
            dict.fromkeys(
                row.case
                for row in entry.rows
                if row.has_mass and value in values_in(getattr(row.properties, attribute))
            )
        )
        images = max(images, len(members))
        scores = entry.values(metric, members)
        means[entry.name] = float(np.mean(scores)) if scores.size else float("nan")
    known = [mean for mean in means.values() if not isnan(mean)]
    best = (min if metric in _LESS_IS_BETTER else max)(known, default=float("nan"))
    return Case(attribute, value, metric, images, means, tuple(name for name, mean in means.items() if mean == best))


def _paper_count(name: str) -> str:
    count = FIRST_PLACES.get(name)
    if count is None:
        return NONE
    if name != "AUNet":
        return str(count)
    parts = ", ".join(f"{number} {TITLES[metric].partition(' ')[0]}" for metric, number in _aunet_counts())
    return f"{count} ({parts})"


def _aunet_counts() -> list[tuple[Metric, int]]:
    return [(metric, AUNET_FIRST_PLACES[metric]) for metric in METRICS_COMPARED]

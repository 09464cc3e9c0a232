"""The scores of a study: means over images and seeds, intervals over patients, and comparisons with a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Int64

from aunet.evaluation.paired import Paired, compare_paired, holm
from aunet.evaluation.rows import ImageRow
from aunet.evaluation.stats import Bootstrap, Interval, estimate
from aunet.metrics.scores import Metric

METRICS_SHOWN: tuple[Metric, ...] = ("dsc", "sensitivity", "area_difference", "hau_rowwise", "hau_px")
"""The paper's four, and HAU as its equation 13 defines it."""
IN_PER_CENT = frozenset({"dsc", "sensitivity", "area_difference"})


@dataclass(frozen=True, slots=True)
class EntryRuns:
    """What the finished arms of one entry found."""

    name: str
    data: str
    runs: tuple[tuple[ImageRow, ...], ...]
    """The rows of each seed, those of all its finished folds."""
    arms: int
    """Arms that the entry has, finished or not."""
    patients: Mapping[str, int]
    """Number of each image's patient, by case."""
    by_fold: tuple[tuple[ImageRow, ...], ...] = ()
    """The same rows by finished fold; empty where there are no folds."""

    def values(self, metric: Metric, cases: Sequence[str]) -> Float64[np.ndarray, " n"]:
        """A score of each image, in the paper's unit.

        Args:
            metric: Which score.
            cases: The images.

        Returns:
            Its mean over the seeds; NaN for an image without this score.
        """
        found: dict[str, list[float]] = {case: [] for case in cases}
        for row in self.rows:
            if row.case in found:
                found[row.case].append(getattr(row.scores, metric))
        factor = 100.0 if metric in IN_PER_CENT else 1.0
        return np.array([factor * float(np.mean(one)) if one else nan for one in found.values()], dtype=np.float64)

    @property
    def rows(self) -> tuple[ImageRow, ...]:
        """The rows of all finished arms."""
        return tuple(row for run in self.runs for row in run)

    @property
    def cases(self) -> tuple[str, ...]:
        """The images with a mass, each once."""
        return tuple(dict.fromkeys(row.case for row in self.rows if row.has_mass))

    def numbers(self, cases: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """The patients' numbers.

        Args:
            cases: Images.

        Returns:
            A number an image.
        """
        return np.array([self.patients[case] for case in cases], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Score:
    """One score of one entry, in the paper's unit."""

    mean: float
    """Mean over the images, each with its mean over the seeds; NaN without any."""
    sd: float
    """Standard deviation of the seeds' means (n - 1); NaN with fewer than two."""
    sd_folds: float
    """Standard deviation of the means of all folds of all seeds (n - 1); NaN with fewer than two."""
    ci95: Interval
    """95 % interval of the mean over the images, by bootstrap over patients."""
    against_reference: Paired | None
    """None for the reference itself, and where there is none on the same images."""
    p_holm: float
    """P value corrected for all comparisons of the study; NaN without a comparison."""


@dataclass(frozen=True, slots=True)
class EntryResult:
    """One row of a study's table."""

    name: str
    runs: int
    arms: int
    images: int
    """Different images with a mass."""
    patients: int
    scored: int
    """Images with a mass, each counted as often as a run was tested on it."""
    missed: int
    """How many of those were missed."""
    scores: Mapping[Metric, Score]


def results(entries: Sequence[EntryRuns], *, reference: str | None, bootstrap: Bootstrap) -> tuple[EntryResult, ...]:
    """The rows of a study's table.

    Args:
        entries: What was found, an entry each.
        reference: Name of the entry that the others are compared with; None for no comparison.
        bootstrap: How intervals are made.

    Returns:
        A result an entry, in order.
    """
    first = next((entry for entry in entries if entry.name == reference), None)
    compared = {
        (entry.name, metric): _compare(entry, first, metric)
        for entry in entries
        for metric in METRICS_SHOWN
        if first is not None and entry is not first and entry.data == first.data
    }
    corrected = dict(zip(compared, holm([found.p for found in compared.values()]), strict=True))
    return tuple(
        EntryResult(
            name=entry.name,
            runs=len(entry.by_fold or entry.runs),
            arms=entry.arms,
            images=len(entry.cases),
            patients=int(np.unique(entry.numbers(entry.cases)).size),
            scored=sum(row.has_mass for row in entry.rows),
            missed=sum(row.is_missed for row in entry.rows),
            scores=MappingProxyType({
                metric: _score(
                    entry,
                    metric,
                    paired=compared.get((entry.name, metric)),
                    p_holm=corrected.get((entry.name, metric), nan),
                    bootstrap=bootstrap,
                )
                for metric in METRICS_SHOWN
            }),
        )
        for entry in entries
    )


def _score(entry: EntryRuns, metric: Metric, *, paired: Paired | None, p_holm: float, bootstrap: Bootstrap) -> Score:
    cases = entry.cases
    over_images = estimate(entry.values(metric, cases), entry.numbers(cases), bootstrap=bootstrap)
    return Score(
        mean=over_images.mean,
        sd=_sd(entry.runs, metric),
        sd_folds=_sd(entry.by_fold, metric),
        ci95=over_images.ci95,
        against_reference=paired,
        p_holm=p_holm,
    )


def _sd(runs: Sequence[Sequence[ImageRow]], metric: Metric) -> float:
    """Standard deviation of the runs' means."""
    factor = 100.0 if metric in IN_PER_CENT else 1.0
    means = [
        factor * float(np.mean([getattr(row.scores, metric) for row in with_mass]))
        for run in runs
        if (with_mass := [row for row in run if row.has_mass])
    ]
    return float(np.std(means, ddof=1)) if len(means) > 1 else nan


def _compare(entry: EntryRuns, reference: EntryRuns, metric: Metric) -> Paired:
    other = set(reference.cases)
    cases = [case for case in entry.cases if case in other]
    return compare_paired(entry.values(metric, cases), reference.values(metric, cases), entry.numbers(cases))

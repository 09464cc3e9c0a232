"""Scores of a study as tables: ours beside the paper's, and what the differences are worth."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan

import pandas as pd

from aunet.evaluation.tables import Table
from aunet.metrics.scores import Metric
from aunet.studies.arms import MeanSd, PaperRow
from aunet.studies.results import IN_PER_CENT, METRICS_SHOWN, EntryResult

TITLES: Mapping[Metric, str] = {
    "dsc": "DSC (%)",
    "sensitivity": "SEN (%)",
    "area_difference": "ΔA (%)",
    "hau_rowwise": "HAU (row-wise)",
    "hau_px": "HAU (pixels)",
}
NONE = "-"
_PAPER_COLUMNS = ("paper: DSC (%)", "paper: SEN (%)", "paper: ΔA (%)", "paper: HAU")


def score_table(title: str, entries: Sequence[EntryResult], published: Mapping[str, PaperRow]) -> Table:
    """Means and standard deviations of every entry, the paper's in columns of their own.

    Args:
        title: What the table shows.
        entries: The results.
        published: The paper's rows by name of the entry; without any, their columns are left out.

    Returns:
        The table.
    """
    paper_columns = _PAPER_COLUMNS if published else ()
    rows = []
    for entry in entries:
        ours = [mean_sd(entry.scores[metric].mean, entry.scores[metric].sd, metric=metric) for metric in METRICS_SHOWN]
        row = published.get(entry.name)
        theirs = [NONE] * len(paper_columns)
        if row is not None:
            theirs = [_published(number, metric) for metric, number in _paper_numbers(row)]
        counts = (f"{entry.runs} of {entry.arms}", str(entry.images), f"{entry.missed} of {entry.scored}")
        rows.append((entry.name, *counts, *ours, *theirs))
    columns = ("", "runs", "images", "missed", *(TITLES[metric] for metric in METRICS_SHOWN), *paper_columns)
    return Table(title, columns, tuple(rows))


def comparison_table(entries: Sequence[EntryResult], *, reference: str | None) -> Table:
    """Interval of every score, and its comparison with the reference.

    Args:
        entries: The results.
        reference: Name of the entry that the others were compared with.

    Returns:
        The table, a row an entry and metric.
    """
    has_folds = any(not isnan(score.sd_folds) for entry in entries for score in entry.scores.values())
    rows = []
    for entry in entries:
        for metric in METRICS_SHOWN:
            score = entry.scores[metric]
            row = [entry.name, TITLES[metric], _interval(score.ci95, metric)]
            row += [_number(score.sd_folds, _digits(metric))] * has_folds
            found = score.against_reference
            if reference is not None and found is None:
                row += [NONE] * 5
            elif found is not None:
                difference = NONE if isnan(found.difference) else f"{found.difference:+.{_digits(metric)}f}"
                row += [difference, _p(found.p), _p(score.p_holm), _number(found.effect, 2), str(found.n)]
            rows.append(tuple(row))
    tests = ("difference", "p", "p (Holm)", "effect", "patients") if reference is not None else ()
    against = f", and differences from {reference}" if reference is not None else ""
    columns = ("", "score", "95 % interval", *("s.d. over folds",) * has_folds, *tests)
    return Table(f"95 % intervals{against}", columns, tuple(rows))


def tidy(entries: Sequence[EntryResult], published: Mapping[str, PaperRow]) -> pd.DataFrame:
    """All numbers, a row an entry and metric.

    Args:
        entries: The results.
        published: The paper's rows by name of the entry.

    Returns:
        The numbers unrounded; empty where there is none.
    """
    lines = []
    for entry in entries:
        row = published.get(entry.name)
        theirs = {} if row is None else dict(_paper_numbers(row))
        for metric in METRICS_SHOWN:
            score, paper = entry.scores[metric], theirs.get(metric, MeanSd(nan, nan))
            found = score.against_reference
            lines.append({
                "entry": entry.name,
                "metric": metric,
                "unit": "%" if metric in IN_PER_CENT else ("px" if metric == "hau_px" else ""),
                "runs": entry.runs,
                "arms": entry.arms,
                "images": entry.images,
                "patients": entry.patients,
                "scored": entry.scored,
                "missed": entry.missed,
                "mean": score.mean,
                "sd": score.sd,
                "sd_folds": score.sd_folds,
                "ci95_low": score.ci95[0],
                "ci95_high": score.ci95[1],
                "difference": nan if found is None else found.difference,
                "p": nan if found is None else found.p,
                "p_holm": score.p_holm,
                "effect": nan if found is None else found.effect,
                "paper_mean": paper.mean,
                "paper_sd": paper.sd,
            })
    return pd.DataFrame(lines)


def mean_sd(mean: float, sd: float, *, metric: Metric) -> str:
    """A score as the paper prints it.

    Args:
        mean: Its mean.
        sd: Standard deviation of the seeds' means; NaN for a single one.
        metric: Which score.

    Returns:
        "81.8 ± 0.0", the mean alone where there is no standard deviation, "-" where there is no mean.
    """
    digits = _digits(metric)
    if isnan(mean):
        return NONE
    return f"{mean:.{digits}f}" if isnan(sd) else f"{mean:.{digits}f} ± {sd:.{digits}f}"


def _paper_numbers(row: PaperRow) -> Iterator[tuple[Metric, MeanSd]]:
    """The paper's HAU stands beside the row-wise reading: no other one fits its numbers."""
    yield "dsc", row.dsc
    yield "sensitivity", row.sensitivity
    yield "area_difference", row.area_difference
    yield "hau_rowwise", row.hau


def _published(number: MeanSd, metric: Metric) -> str:
    return mean_sd(number.mean, number.sd, metric=metric)


def _digits(metric: Metric) -> int:
    return {"hau_rowwise": 2}.get(metric, 1)


def _interval(interval: tuple[float, float], metric: Metric) -> str:
    low, high = interval
    return NONE if isnan(low) else f"{low:.{_digits(metric)}f} to {high:.{_digits(metric)}f}"


def _number(value: float, digits: int) -> str:
    return NONE if isnan(value) else f"{value:.{digits}f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else _number(value, 3)

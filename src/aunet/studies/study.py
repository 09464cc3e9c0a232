"""A study from its arms to its tables and figures."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aunet.datasets.dataset import DataSet
from aunet.datasets.inspection import inspect_pixels
from aunet.errors import WriteError
from aunet.evaluation.rows import ImageRow, read_rows
from aunet.evaluation.stats import DEFAULT_BOOTSTRAP
from aunet.evaluation.tables import Table
from aunet.io.aside import write_text
from aunet.studies import quick as small
from aunet.studies.arms import Entry, Study, arms_of
from aunet.studies.categories import HOW_COUNTED, category_table, find_cases, first_places_table, tidy_cases
from aunet.studies.complexity_table import complexity_table, measure_networks, tidy_complexity
from aunet.studies.engine import ArmReport, Workers, run_jobs
from aunet.studies.figures import cumulative_figure, distribution_figure, distribution_of, distribution_table
from aunet.studies.jobs import Done, Failed, Job, arm_key, make_jobs
from aunet.studies.overlays import Shown, comparison_figure, quarter_cases, shapes_figure, short_names, show, size_cases
from aunet.studies.results import EntryResult, EntryRuns, results
from aunet.studies.score_tables import comparison_table, score_table, tidy
from aunet.studies.sources import Source, open_sources

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
SEEDS = 3
CLAIM = "study.json"


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asks for beside the study itself."""

    data: tuple[str, ...]
    """The data sets as `open_dataset` takes them."""
    out: Path
    arms: Path
    """Where finished arms are; studies that share it share their arms."""
    cache: Path
    seeds: int = SEEDS
    changes: tuple[str, ...] = ()
    """Changes of every arm's recipe."""
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure."""

    name: str
    """Of its files, without the ending."""
    description: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Findings:
    """What a study ends in."""

    study: Study
    order: Order
    tables: tuple[Table, ...]
    numbers: pd.DataFrame
    """What the first table rounds."""
    notes: tuple[str, ...] = ()
    """How it was counted or chosen, where the study needs a word on it."""
    pictures: tuple[Picture, ...] = ()
    arms: tuple[ArmReport, ...] = ()
    data: Mapping[str, str] | None = None
    """What each data set is, in a few words."""
    categories: pd.DataFrame | None = None
    """What the tables of the 84 cases round; None for other studies."""
    left_out: tuple[str, ...] = ()
    """Images that were neither trained on, nor scored, nor counted as missed, each with its reason, once."""

    @property
    def failed(self) -> tuple[ArmReport, ...]:
        """The arms that could not be run."""
        return tuple(report for report in self.arms if not isinstance(report.outcome, Done))

    @property
    def unread(self) -> tuple[str, ...]:
        """Test images that could not be read or predicted and count as missed, each with its reason, once."""
        found = (line for report in self.arms if isinstance(report.outcome, Done) for line in report.outcome.unread)
        return tuple(dict.fromkeys(found))


def run_study(study: Study, order: Order, workers: Workers, *, on_progress: OnProgress | None = None) -> Findings:
    """Run what is not done yet of a study, and put its tables and figures together.

    Args:
        study: What to do.
        order: On what, and where to.
        workers: What computes the arms.
        on_progress: Called with the number of arms done (of images, where only those are read) and their total.

    Returns:
        The findings, nothing of them written yet. A data set or recipe that can't be used is an AunetError.
    """
    _claim(order.out, study.name)
    if order.quick:
        study = small.shrunk(study)
    if study.kind == "complexity":
        networks = measure_networks(study.entries, order.changes, quick=order.quick)
        return Findings(study, order, (complexity_table(networks),), tidy_complexity(networks))
    specs = order.data
    if order.quick and not specs:
        specs = small.draw_phantoms(study.data, order.arms.parent / "phantoms")
    sources = open_sources(study.data, specs)
    described = {name: _describe(source) for name, source in sources.items()}
    if study.kind == "distributions":
        return _distributions(study, order, sources, described, on_progress)
    bootstrap = small.BOOTSTRAP if order.quick else DEFAULT_BOOTSTRAP
    arms = {entry.name: arms_of(entry, seeds=order.seeds, changes=order.changes) for entry in study.entries}
    every = [arm for some in arms.values() for arm in some]
    jobs = make_jobs(every, sources, folder=order.arms, cache=order.cache, bootstrap=bootstrap)
    reports = run_jobs(jobs, workers, on_progress=on_progress)
    done = {report.job.key: report.job for report in reports if isinstance(report.outcome, Done)}
    finished: dict[str, tuple[Job, ...]] = {}
    runs = []
    for entry in study.entries:
        keys = [arm_key(arm, sources) for arm in arms[entry.name]]
        finished[entry.name] = tuple(done[key] for key in keys if key in done)
        runs.append(_runs_of(entry, finished[entry.name], len(keys), _patient_numbers(sources[entry.data])))
    found = results(runs, reference=study.reference, bootstrap=bootstrap)
    tables, notes = [score_table(study.title, found, study.published)], list(_too_few(runs, found))
    categories = None
    if study.kind == "categories":
        cases = find_cases(runs)
        categories = tidy_cases(cases)
        tables += [first_places_table(cases), category_table(cases)]
        notes.append(HOW_COUNTED)
    tables.append(comparison_table(found, reference=study.reference))
    pictures, unshown = _pictures(study, runs, finished)
    notes += [f"Left out of the figures: {line}" for line in unshown]
    return Findings(
        study,
        order,
        tuple(tables),
        tidy(found, study.published),
        tuple(notes),
        pictures,
        reports,
        described,
        categories,
        _left_out(reports),
    )


def _claim(out: Path, name: str) -> None:
    """Take a folder for a study.

    Raises:
        WriteError: It holds another study.
    """
    note = out / CLAIM
    if note.is_file():
        held = json.loads(note.read_text(encoding="utf-8"))["study"]
        if held != name:
            msg = f"{out}: holds the study {held}; choose another folder (its arms are shared by --arms {out / 'arms'})"
            raise WriteError(msg)
    write_text(note, json.dumps({"study": name}) + "\n")


def _pictures(
    study: Study, runs: Sequence[EntryRuns], finished: Mapping[str, Sequence[Job]]
) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """The figures, and the images that can't be shown in them with their reasons."""
    if study.kind == "cumulative":
        scores = {entry.name: entry.values("dsc", entry.cases) for entry in runs}
        about = "Empirical cumulative distribution of DSC; the further a line lies down and right, the better."
        return (Picture(study.name, about, cumulative_figure(scores)),), ()
    if study.kind != "overlays":
        return (), ()
    by_data: dict[str, list[EntryRuns]] = {}
    for entry in runs:
        by_data.setdefault(entry.data, []).append(entry)
    names = short_names(runs)
    compared: list[Shown | Failed] = []
    shapes: list[Shown | Failed] = []
    for data, entries in by_data.items():
        able = [entry for entry in entries if entry.runs]
        if len(able) < len(names):
            logger.warning("no overlays of %s: not every network has finished", data)
            continue
        compared += [show(case, data, finished, able) for case in quarter_cases(able)]
        shapes += [show(case, data, finished, able[-1:]) for case in size_cases(able[-1])]
    outlines = "Reference outlines are white and solid, predicted ones green and dashed."
    overlap = "Below, the overlap: red (hatched) reference only, green (dotted) prediction only, yellow both."
    pictures = []
    if rows := [one for one in compared if isinstance(one, Shown)]:
        pictures.append(Picture("figure6", outlines, comparison_figure(rows, names)))
    if columns := [one for one in shapes if isinstance(one, Shown)]:
        pictures.append(Picture("figure7", f"{outlines} {overlap}", shapes_figure(columns, names[-1])))
    unshown = tuple(dict.fromkeys(one.reason for one in (*compared, *shapes) if isinstance(one, Failed)))
    return tuple(pictures), unshown


def _runs_of(entry: Entry, jobs: Sequence[Job], arms: int, patients: Mapping[str, int]) -> EntryRuns:
    """What the finished arms of an entry found, the folds of a seed put together."""
    rows = tuple(tuple(read_rows(job.per_image)) for job in jobs)
    by_seed: dict[int, tuple[ImageRow, ...]] = {}
    for job, found in zip(jobs, rows, strict=True):
        by_seed[job.arm.seed] = (*by_seed.get(job.arm.seed, ()), *found)
    return EntryRuns(entry.name, entry.data, tuple(by_seed.values()), arms, patients, rows if entry.folds else ())


def _too_few(runs: Sequence[EntryRuns], found: Sequence[EntryResult]) -> Iterator[str]:
    """What is said where seeds or arms are missing."""
    if single := [entry.name for entry in runs if len(entry.runs) < 2]:
        yield f"Fewer than two seeds, so nothing here says how much another one would change: {', '.join(single)}."
    if short := [f"{one.name} ({one.runs} of {one.arms})" for one in found if one.runs < one.arms]:
        yield f"Not all runs have finished, and the rows hold what has: {', '.join(short)}."


def _left_out(reports: Sequence[ArmReport]) -> tuple[str, ...]:
    """What the data sets of the arms refused, and what could not be read to train on."""
    found: list[str] = []
    for report in reports:
        outcome = report.outcome
        found += outcome.left_out if isinstance(outcome, Done) else _refused(report.job.part)
    return tuple(dict.fromkeys(found))


def _refused(dataset: DataSet) -> tuple[str, ...]:
    return tuple(f"{row.case}: {row.reason}" for row in dataset.ledger.rows if row.status == "refused")


def _distributions(
    study: Study,
    order: Order,
    sources: Mapping[str, Source],
    described: Mapping[str, str],
    on_progress: OnProgress | None,
) -> Findings:
    inspected = {
        entry.name: inspect_pixels(sources[entry.data].dataset, on_progress=on_progress) for entry in study.entries
    }
    found = [distribution_of(name, one) for name, one in inspected.items()]
    left_out = tuple(dict.fromkeys(line for one in inspected.values() for line in _refused(one.dataset)))
    table = distribution_table(found)
    about = "Area of the masses as a share of the image, and the images by property; hatches tell the bars apart."
    picture = Picture(study.name, about, distribution_figure(found))
    numbers = pd.DataFrame(table.rows, columns=["kind", *table.columns[1:]])
    return Findings(study, order, (table,), numbers, pictures=(picture,), data=described, left_out=left_out)


def _patient_numbers(source: Source) -> Mapping[str, int]:
    """A number for each image's patient, so that no statistics hold the patient's name."""
    samples = source.dataset.samples
    _, numbers = np.unique(np.array([sample.patient_id for sample in samples]), return_inverse=True)
    return {sample.case: int(number) for sample, number in zip(samples, numbers, strict=True)}


def _describe(source: Source) -> str:
    dataset = source.dataset
    patients = len({sample.patient_id for sample in dataset.samples})
    sides = ", ".join(
        f"{n} {side}"
        for side in ("train", "validation", "test")
        if (n := sum(one.split == side for one in dataset.samples))
    )
    return f"{dataset.name}, {len(dataset.samples)} images of {patients} patients" + (f" ({sides})" if sides else "")

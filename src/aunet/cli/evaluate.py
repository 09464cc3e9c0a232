"""`aunet evaluate`."""

from math import isnan
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from aunet.cli.progress import progress_bar
from aunet.cli.variations import FlipsAsked, ScalesAsked, parse_scales
from aunet.datasets.opening import open_dataset
from aunet.errors import WriteError
from aunet.evaluation.report import TITLES
from aunet.evaluation.run import evaluate
from aunet.evaluation.summary import HAU_NOTE, NOT_THE_PAPER, Failure, Summary
from aunet.inference.ensemble import load_segmenter
from aunet.inference.shipped import resolve_weights

SOME_FAILED = 1
_NAMED_AT_MOST = 20


def run(
    weights: Annotated[
        list[str],
        typer.Argument(
            metavar="CHECKPOINT",
            help="Checkpoint of aunet train, bundle of aunet export, name of a model of aunet models, or "
            "https://...#sha256=...; of several, the mean probability is scored.",
        ),
    ],
    data: Annotated[str, typer.Option(help="The data set: cbis-ddsm:PATH, inbreast:PATH or folder:PATH.")],
    out: Annotated[Path, typer.Option(help="Folder for per_image.csv, summary.json and report.html.")],
    split: Annotated[
        Literal["train", "validation", "test", "all"], typer.Option(help="Which side of the split to score.")
    ] = "test",
    splits: Annotated[
        Path | None, typer.Option(help="A file of splits or a fold, which holds instead of the data set's own split.")
    ] = None,
    match_intensity: Annotated[
        bool,
        typer.Option("--match-intensity", help="Match the grey values of each breast to those of the training images."),
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images a forward pass.")] = 8,
    flips: FlipsAsked = None,
    scales: ScalesAsked = None,
    device: Annotated[str, typer.Option(help="auto, cpu, or a device of PyTorch such as cuda.")] = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of prepared images, shared by runs; beside OUT by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json.")] = False,
    allow_for_processing: Annotated[
        bool, typer.Option("--allow-for-processing", help="Let FOR PROCESSING images through.")
    ] = False,
) -> None:
    """Score a checkpoint or a bundle, or an ensemble of several, on a split.

    Writes per_image.csv, summary.json and report.html (one file, opens offline). Every score is measured on the model's
    grid. A second run goes on where the first was cut off. The exit status is 1 if an image could not be read; it
    counts as missed.

    Raises:
        Exit: Some images could not be used.
        WriteError: The results can't be written there.
    """
    segmenter = load_segmenter(
        [resolve_weights(text) for text in weights], device=device, flips=flips, scales=parse_scales(scales)
    )
    if match_intensity:
        segmenter = segmenter.matching_intensity()
    dataset = open_dataset(data, splits=splits)
    try:
        with progress_bar("Evaluating") as on_progress:
            summary = evaluate(
                segmenter,
                dataset,
                out,
                split=split,
                cache=cache or out.parent / "aunet-cache",
                batch=batch,
                allow_for_processing=allow_for_processing,
                on_progress=on_progress,
            )
    except OSError as error:
        msg = f"{error.filename or out}: can't be written ({error.strerror}); name another folder, or make room"
        raise WriteError(msg) from error
    if as_json:
        typer.echo(summary.to_json(), nl=False)
    else:
        _show(summary, out)
    _name("could not be read or computed and counts as missed if it shows a mass", summary.failures)
    _name("refused by the data set, so not among these images", summary.refused)
    if not summary.is_complete:
        raise typer.Exit(SOME_FAILED)


def _show(summary: Summary, out: Path) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    counts, about = summary.overall.counts, summary.provenance
    matched = ", grey values matched to the training images" if about.matched_intensity else ""
    console.print(f"{about.data}, split {about.split}, on a grid of {about.grid[0]} x {about.grid[1]} pixels{matched}")
    console.print(
        f"n {counts.n} images of {counts.n_patients} patients; {counts.n_with_mass} with a mass, of these "
        f"{counts.missed} missed and {counts.no_overlap} predicted elsewhere only; {counts.false_positive_images} "
        f"false-positive images, {counts.true_negatives} true negatives"
    )
    console.print(_scores(summary))
    found = summary.detection
    console.print(
        f"Masses found: {found.n_found} of {found.froc.n_masses} "
        f"({_number(found.sensitivity.value)}, {_interval(found.sensitivity.ci95)}); false positives an image "
        f"{_number(found.false_positives_per_image.value)}, {_interval(found.false_positives_per_image.ci95)}; "
        f"by FROC, {_number(found.froc.sensitivity_at(1.0))} at 1 false positive an image"
    )
    console.print(
        f"Expected calibration error {_number(summary.reliability.expected_error)}, "
        f"n {summary.reliability.n} pixels of the breast"
    )
    console.print(f"{HAU_NOTE}\n{NOT_THE_PAPER}")
    console.print(f"Written: {out / 'report.html'}, {out / 'summary.json'}, {out / 'per_image.csv'}")


def _scores(summary: Summary) -> Table:
    table = Table("", "mean", "95 % interval", "median", "n")
    for name, one in summary.metrics.items():
        if one.n or not name.endswith("_mm"):
            cells = (_number(one.mean), _interval(one.ci95), _number(one.median), str(one.n))
            table.add_row(TITLES[name], *cells)
    return table


def _name(what: str, failures: tuple[Failure, ...]) -> None:
    """Name images on the standard error, so that `--json` stays one document."""
    for failure in failures[:_NAMED_AT_MOST]:
        typer.echo(f"{failure.case}: {failure.reason} ({what})", err=True)
    if len(failures) > _NAMED_AT_MOST:
        typer.echo(f"and {len(failures) - _NAMED_AT_MOST} more ({what})", err=True)


def _number(value: float) -> str:
    return "-" if isnan(value) else f"{value:.3f}"


def _interval(ends: tuple[float, float]) -> str:
    return "-" if isnan(ends[0]) else f"{_number(ends[0])} to {_number(ends[1])}"

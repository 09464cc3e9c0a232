"""`aunet segment`: the masses in mammograms, as masks, overlays, DICOM SEG and numbers."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aunet.cli.progress import progress_bar
from aunet.cli.variations import FlipsAsked, ScalesAsked, parse_scales
from aunet.inference.batch import BatchReport, Options, segment_files
from aunet.inference.ensemble import load_segmenter
from aunet.inference.results import to_json
from aunet.inference.segmenter import Segmenter
from aunet.inference.shipped import DEFAULT, default_weights, resolve_weights
from aunet.intended_use import RESEARCH_ONLY

_SHOWN_AT_MOST = 20


def run(
    inputs: Annotated[list[Path], typer.Argument(help="Mammograms (DICOM, PNG, TIFF, JPEG, PGM), or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; a second run does only what is missing.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Checkpoint of aunet train, bundle of aunet export, name of a model of aunet models, or "
            "https://...#sha256=...; given repeatedly, an ensemble. Left out, the default of aunet models."
        ),
    ] = None,
    flips: FlipsAsked = None,
    scales: ScalesAsked = None,
    device: Annotated[str, typer.Option(help="auto, cpu, or a device of PyTorch such as cuda.")] = "auto",
    match_intensity: Annotated[
        bool,
        typer.Option("--match-intensity", help="Match the grey values of each breast to those of the training images."),
    ] = False,
    viewer_geometry: Annotated[
        bool,
        typer.Option("--viewer-geometry", help="Add an invented position in space to each SEG, as OHIF needs it."),
    ] = False,
    allow_for_processing: Annotated[
        bool, typer.Option("--allow-for-processing", help="Let FOR PROCESSING images through.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Outline the masses in mammograms.

    Writes for each input a mask PNG of its own size, an overlay PNG, for a DICOM file with a mass a DICOM SEG, and a
    row in results.csv and results.json. The exit status is 1 if an input failed; the others are done all the same.

    Raises:
        Exit: An input failed.
    """
    options = Options(viewer_geometry=viewer_geometry, allow_for_processing=allow_for_processing)
    files = [resolve_weights(text) for text in weights] if weights else [default_weights()]
    segmenter = load_segmenter(files, device=device, flips=flips, scales=parse_scales(scales))
    # With --json the standard output is one document.
    typer.echo(_said_of(segmenter, is_default=not weights), err=as_json)
    if match_intensity:
        segmenter = segmenter.matching_intensity()
    with progress_bar("Segmenting") as on_progress:
        report = segment_files(inputs, segmenter, out, options=options, on_progress=on_progress)
    if as_json:
        typer.echo(to_json(report.results, report.passed_over, weights=segmenter.files))
    else:
        _show(report, out)
    if report.failed:
        raise typer.Exit(1)


def _said_of(segmenter: Segmenter, *, is_default: bool) -> str:
    """The line that says which weights are used, and what for."""
    if not is_default:
        return f"Weights: {', '.join(file.name for file in segmenter.files)}. {RESEARCH_ONLY}"
    # The data set's name stands first, its sources behind.
    source = re.split("[,;]", segmenter.card.data_source, maxsplit=1)[0]
    return f"Weights: {DEFAULT} (the default; trained on {source}). {RESEARCH_ONLY}"


def _show(report: BatchReport, out: Path) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    n_segmented = len(report.results) - len(report.failed)
    n_with_mass = sum(bool(result.masses) for result in report.results)
    n_without_seg = sum(bool(result.mask) for result in report.failed)
    but_for_seg = f" ({n_without_seg} of them at the SEG alone)" if n_without_seg else ""
    console.print(
        f"{len(report.results)} images: {n_segmented} segmented ({report.n_reused} of them before), "
        f"{len(report.failed)} failed{but_for_seg}; a mass in {n_with_mass}"
    )
    for result in report.failed[:_SHOWN_AT_MOST]:
        console.print(f"failed  {result.error}")
    for file in report.passed_over[:_SHOWN_AT_MOST]:
        console.print(f"passed over  {file.typed}: {file.reason}")
    hidden = max(0, len(report.failed) - _SHOWN_AT_MOST) + max(0, len(report.passed_over) - _SHOWN_AT_MOST)
    if hidden:
        console.print(f"... and {hidden} more, all of them in results.json")
    if report.n_of_other_weights:
        console.print(
            f"The table holds {report.n_of_other_weights} results of former runs with other weights:"
            " see its column weights_sha256"
        )
    console.print(f"Results: {out / 'results.csv'}, {out / 'results.json'}")

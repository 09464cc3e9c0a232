"""`aunet inspect`: what of a data set was read, repaired and refused, and why."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aunet.cli.progress import progress_bar
from aunet.datasets.dataset import DataSet
from aunet.datasets.inspection import ImageFacts, inspect_pixels
from aunet.datasets.ledger import LedgerRow
from aunet.datasets.opening import open_dataset
from aunet.datasets.split_file import folds, write_splits
from aunet.datasets.splits import shared_between_sides
from aunet.datasets.summary import QUANTILES, AreaSummary, DataSummary, summarise
from aunet.errors import WriteError
from aunet.evaluation.drift import Drift, drift_of
from aunet.evaluation.figures import grey_figure
from aunet.inference.segmenter import load_card
from aunet.inference.shipped import resolve_weights
from aunet.io.aside import write_text, written_aside
from aunet.models.card import ModelCard

_SHOWN_AT_MOST = 60
_SIZES_SHOWN = 5


def run(
    data: Annotated[str, typer.Argument(help="The data set: cbis-ddsm:PATH, inbreast:PATH or folder:PATH.")],
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for ledger.csv and ledger.json.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Read the table and the headers of files, no pixels.")] = False,
    allow_for_processing: Annotated[
        bool, typer.Option("--allow-for-processing", help="Let FOR PROCESSING images through.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 also where a row was repaired.")] = False,
    splits: Annotated[
        Path | None, typer.Option(help="A file of splits or a fold, which holds instead of the data set's own split.")
    ] = None,
    fold_count: Annotated[
        int | None,
        typer.Option("--folds", min=2, help="Write this many folds, by patient and size of the mass, below OUT."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the folds.")] = 0,
    against: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint, bundle, name of aunet models, or https://...#sha256=...: say how far the images lie from "
            "those it was trained on."
        ),
    ] = None,
) -> None:
    """Say what of a data set was read, repaired and refused, and why.

    Every row of the table is named whose image can't be used, was repaired, or deserves a remark. The exit status is 1
    if a row was refused. With --against and --out, drift.json and drift.png lie beside the ledger.

    Raises:
        Exit: A row was refused, or repaired and --strict was given.
    """
    _check_options(out, quick=quick, folds=fold_count is not None, against=against is not None)
    card = None if against is None else load_card(resolve_weights(against))
    with progress_bar("Reading headers") as on_progress:
        dataset = open_dataset(data, splits=splits, on_progress=on_progress)
    facts: tuple[ImageFacts, ...] = ()
    if not quick:
        with progress_bar("Reading images") as on_progress:
            inspection = inspect_pixels(dataset, allow_for_processing=allow_for_processing, on_progress=on_progress)
        dataset, facts = inspection.dataset, inspection.images
    if out is not None:
        dataset.ledger.write(out)
    if out is not None and fold_count is not None:
        sizes = {fact.case: fact.area_share for fact in facts}
        for number, fold in enumerate(folds(dataset.samples, sizes, number=fold_count, seed=seed), start=1):
            write_splits(out / f"fold-{number}.json", fold)
    drift = None if card is None else _compared(dataset, card, out, allow_for_processing=allow_for_processing)
    summary = summarise(dataset, facts)
    if as_json:
        typer.echo(json.dumps(_document(data, dataset, summary, drift, pixels_read=not quick), indent=1))
    else:
        _show(dataset, summary, out=out, quick=quick)
        _show_drift(drift, out=out)
    if dataset.ledger.counts["refused"] or (strict and dataset.ledger.counts["repaired"]):
        raise typer.Exit(1)


def _check_options(out: Path | None, *, quick: bool, folds: bool, against: bool) -> None:
    """Refuse options that don't go together.

    Raises:
        BadParameter: Folds are asked for without --out, or folds or a comparison with --quick.
    """
    if folds and (out is None or quick):
        msg = "folds are written below OUT and go by the size of the masses; give --out, and leave out --quick"
        raise typer.BadParameter(msg, param_hint="--folds")
    if against and quick:
        msg = "a comparison needs the pixels; leave out --quick"
        raise typer.BadParameter(msg, param_hint="--against")


def _remarkable(dataset: DataSet) -> list[LedgerRow]:
    """Rows with something to say, refused ones first."""
    order = {"refused": 0, "repaired": 1, "read": 2, "left_out": 3}
    return sorted((row for row in dataset.ledger.rows if row.reason), key=lambda row: order[row.status])


def _document(
    data: str, dataset: DataSet, summary: DataSummary, drift: Drift | None, *, pixels_read: bool
) -> dict[str, object]:
    compared = {} if drift is None else {"drift": json.loads(drift.to_json())}
    return {
        "data": data,
        "pixels_read": pixels_read,
        "counts": dataset.ledger.counts,
        "notes": dataset.ledger.notes,
        "expectations": [asdict(one) for one in dataset.ledger.expectations],
        "quantiles": QUANTILES,
        **asdict(summary),
        "rows": [asdict(row) for row in _remarkable(dataset)],
        **compared,
    }


def _show(dataset: DataSet, summary: DataSummary, *, out: Path | None, quick: bool) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    counts = dataset.ledger.counts
    console.print(
        f"{dataset.name}: {sum(counts.values())} rows, {counts['read']} read, {counts['repaired']} repaired, "
        f"{counts['left_out']} left out, {counts['refused']} refused; "
        f"{summary.images} images of {summary.patients} patients can be used"
    )
    if shared := shared_between_sides(dataset.samples):
        console.print(f"The split can't be used: {len(shared)} of these images are of patients on more than one side.")
    if quick:
        console.print("Only the table and the headers were read; leave out --quick to check the pixels.")
    for note in dataset.ledger.notes:
        console.print(f"note: {note}")
    for one in dataset.ledger.expectations:
        console.print(f"{one.what}: {one.found} found, {one.expected} expected")
    for name, text in _facts(summary):
        console.print(f"{name:20}  {text}")
    rows = _remarkable(dataset)
    for row in rows[:_SHOWN_AT_MOST]:
        label = "remark" if row.status == "read" else row.status.replace("_", " ")
        console.print(f"{label:8}  line {row.line}  {row.case}: {row.reason.removeprefix(f'{row.case}: ')}")
    if len(rows) > _SHOWN_AT_MOST:
        console.print(f"... and {len(rows) - _SHOWN_AT_MOST} more rows; --out DIR writes all of them")
    if out is not None:
        console.print(f"Ledger: {out / 'ledger.csv'}, {out / 'ledger.json'}")


def _compared(dataset: DataSet, card: ModelCard, out: Path | None, *, allow_for_processing: bool) -> Drift:
    """The data set beside the training images, with `drift.json` and `drift.png` beside the ledger.

    Raises:
        WriteError: The folder can't be written to.
    """
    with progress_bar("Comparing images") as on_progress:
        drift = drift_of(dataset, card, allow_for_processing=allow_for_processing, on_progress=on_progress)
    if out is None:
        return drift
    try:
        write_text(out / "drift.json", drift.to_json())
        with written_aside(out / "drift.png") as aside:
            aside.write_bytes(grey_figure(drift.grey.here, drift.grey.training))
    except OSError as error:
        msg = f"{out}: the comparison can't be written ({error.strerror}); name another folder"
        raise WriteError(msg) from error
    return drift


def _show_drift(drift: Drift | None, *, out: Path | None) -> None:
    if drift is None:
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print("Beside the training images:")
    for sentence in drift.sentences[:_SHOWN_AT_MOST]:
        console.print(f"- {sentence}")
    if out is not None:
        console.print(f"Comparison: {out / 'drift.json'}, {out / 'drift.png'}")


def _facts(summary: DataSummary) -> Iterator[tuple[str, str]]:
    """The summary as pairs of a name and what there is to say."""
    for side, one in summary.splits.items():
        without = f", {one.without_mass} without a mass" if one.without_mass else ""
        yield side, f"{one.images} images, {one.patients} patients{without}"
    yield "view", _listed(summary.views)
    yield "laterality", _listed(summary.lateralities)
    if summary.sizes:
        frequent = dict(list(summary.sizes.items())[:_SIZES_SHOWN])
        more = f", {len(summary.sizes) - _SIZES_SHOWN} more sizes" if len(summary.sizes) > _SIZES_SHOWN else ""
        yield "rows x columns", _listed(frequent) + more
        yield "bits a pixel", _listed(summary.bits_stored)
    if summary.areas is not None:
        yield from _area_facts(summary.areas)
    for name, values in summary.properties.items():
        yield name, _listed(values)


def _area_facts(areas: AreaSummary) -> Iterator[tuple[str, str]]:
    yield "area of masks at", _columns(f"{quantile:.0%}" for quantile in QUANTILES)
    yield "  pixels", _columns(f"{value:.0f}" for value in areas.px)
    yield "  share of image", _columns(f"{value:.2%}" for value in areas.share)
    if areas.mm2 is not None:
        yield f"  mm2 ({areas.n_mm2} images)", _columns(f"{value:.0f}" for value in areas.mm2)


def _columns(cells: Iterable[str]) -> str:
    return "".join(f"{cell:>9}" for cell in cells)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value}: {count}" for value, count in counts.items())

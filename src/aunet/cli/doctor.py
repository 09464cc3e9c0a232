"""`aunet doctor`: versions, decoders, devices, memory, and what a file of weights is worth."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from aunet.inference.diagnosis import SHARED_MEMORY, Diagnosis, Space, WeightsDiagnosis, diagnose, diagnose_weights
from aunet.inference.shipped import resolve_weights


def run(
    weights: Annotated[
        str | None,
        typer.Argument(
            help="A checkpoint, a bundle, a name of aunet models, or https://...#sha256=..., to see its card and check "
            "that it still computes."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what this machine and this installation can do.

    Versions, DICOM decoders, devices, memory. With a file of weights, also its card and, for a bundle, the parity proof
    repeated on this machine. The exit status is 1 if something stands in the way of reading or segmenting.

    Raises:
        Exit: There is a problem.
    """
    diagnosis = diagnose()
    about_weights = None if weights is None else diagnose_weights(resolve_weights(weights))
    if as_json:
        document = asdict(diagnosis) | {"weights": None if about_weights is None else asdict(about_weights)}
        typer.echo(json.dumps(document, indent=1))
    else:
        console = Console(soft_wrap=True, highlight=False, markup=False)
        _show(console, diagnosis)
        if about_weights is not None:
            _show_weights(console, about_weights)
    if diagnosis.problems or (about_weights is not None and about_weights.problem):
        raise typer.Exit(1)


def _show(console: Console, diagnosis: Diagnosis) -> None:
    console.print(_rows({"Python": diagnosis.python, "system": diagnosis.system} | _versions(diagnosis.libraries)))
    console.print("\nExtra: train")
    console.print(_rows(_versions(diagnosis.train_libraries)))
    console.print("\nDICOM decoders")
    console.print(
        _rows({
            decoder.name: decoder.plugin + ("" if decoder.is_available else "  MISSING")
            for decoder in diagnosis.decoders
        })
    )
    console.print("\nMachine")
    console.print(
        _rows({
            "processor threads": str(diagnosis.processors),
            "ONNX Runtime": ", ".join(diagnosis.onnxruntime_providers),
            "GPUs (PyTorch)": "; ".join(diagnosis.gpus) or "none",
            "memory": _free(diagnosis.memory),
            "disk here": _free(diagnosis.disk),
            str(SHARED_MEMORY): _free(diagnosis.shared_memory),
        })
    )
    console.print()
    for problem in diagnosis.problems:
        console.print(f"problem  {problem}")
    for remark in diagnosis.remarks:
        console.print(f"remark   {remark}")
    if not diagnosis.problems:
        console.print("Nothing stands in the way of reading and segmenting.")


def _show_weights(console: Console, found: WeightsDiagnosis) -> None:
    card = found.card
    console.print(f"\n{found.kind.capitalize()} {found.path}")
    console.print(
        _rows({
            "network": f"{card.network}, {card.network.in_channels} channels",
            "trained": card.trained,
            "data": card.data_source,
            "licence": card.licence,
            "threshold": f"{card.threshold:g}",
            "preprocessing": card.preprocessing,
            "versions": ", ".join(f"{name} {number}" for name, number in card.versions.items()),
            "notes": card.notes,
            "parity": _parity(found),
        })
    )
    if card.recipe:
        console.print(f"\nRecipe\n{card.recipe}")


def _parity(found: WeightsDiagnosis) -> str:
    if found.problem:
        return f"FAILED: {found.problem}"
    if found.agreement is None:
        return "a checkpoint carries no proof; a bundle of aunet export does"
    return f"holds on this machine: probabilities differ by {found.agreement.max_difference:.1e} at most"


def _rows(entries: dict[str, str]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in entries.items():
        table.add_row(name, value)
    return table


def _versions(libraries: dict[str, str | None]) -> dict[str, str]:
    return {name: found or "not installed" for name, found in libraries.items()}


def _free(space: Space | None) -> str:
    if space is None:
        return "unknown"
    return f"{space.free / 2**30:.1f} GiB free of {space.total / 2**30:.1f} GiB"

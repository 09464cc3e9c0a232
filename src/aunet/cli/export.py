"""`aunet export`: a checkpoint as a bundle that needs no PyTorch."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from aunet.errors import WriteError
from aunet.models.bundle import Bits
from aunet.models.export import export_onnx
from aunet.models.parity import Parity

BITS: dict[str, Bits] = {"32": 32, "16": 16, "8": 8}
FORMATS: dict[str, Callable[..., Parity]] = {"onnx": export_onnx}


def run(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint that aunet train wrote (.safetensors).")],
    out: Annotated[Path, typer.Argument(help="The bundle to write (.onnx).")],
    file_format: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = "onnx",
    bits: Annotated[Literal["32", "16", "8"], typer.Option(help="Bits to store each weight in.")] = "32",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a checkpoint as a bundle that needs no PyTorch, with its preprocessing and a parity proof inside.

    Nothing is written unless ONNX Runtime gives what PyTorch gives, on images that a formula makes.

    Raises:
        ValueError: The format is unknown.
        WriteError: The bundle can't be written there.
    """
    if file_format not in FORMATS:
        msg = f"unknown format {file_format!r}; known is {', '.join(FORMATS)}"
        raise ValueError(msg)
    start = time.perf_counter()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        parity = FORMATS[file_format](checkpoint, out, bits=BITS[bits])
    except OSError as error:
        msg = f"{out}: can't be written ({error.strerror}); name another place"
        raise WriteError(msg) from error
    duration_s = time.perf_counter() - start
    agreement = asdict(parity.agreement)
    size_bytes = out.stat().st_size
    if as_json:
        document = {"bundle": str(out), "size_bytes": size_bytes, "duration_s": duration_s, "parity": agreement}
        typer.echo(json.dumps(document | {"versions": parity.versions}, indent=2))
    else:
        typer.echo(f"wrote {out}: {size_bytes / 1e6:.1f} MB in {duration_s:.1f} s")
        typer.echo(
            f"ONNX Runtime and PyTorch differ by {agreement['max_difference']:.1e} at most in probability, and in"
            f" {agreement['differing_share']:.4%} of the mask's pixels (probabilities {parity.lowest:.3g} to"
            f" {parity.highest:.3g})"
        )

"""`aunet phantom`: write synthetic mammograms with their masks."""

import json
from pathlib import Path
from typing import Annotated

import typer

from aunet.cli.progress import progress_bar
from aunet.phantom.layouts import acquisition_named, check_layout, write_folder


def run(
    out: Annotated[Path, typer.Argument(help="Folder to write into; the same command goes on where it was cut off.")],
    layout: Annotated[str, typer.Option(help="How the files are laid out: folder.")] = "folder",
    patients: Annotated[int, typer.Option(help="Number of patients; most have two images.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    rows: Annotated[int, typer.Option(help="Height of the images in pixels.")] = 1024,
    acquisition: Annotated[
        str, typer.Option(help="film (16 bit, borders and letters), detector (12 bit) or mixed.")
    ] = "mixed",
    normal_fraction: Annotated[float, typer.Option(help="Part of the breasts without a mass.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Write synthetic mammograms with their masks."""
    check_layout(layout)
    known = acquisition_named(acquisition)
    with progress_bar("Drawing phantoms") as on_progress:
        images = 0

        def count(done: int, total: int) -> None:
            nonlocal images
            images = total
            on_progress(done, total)

        folder = write_folder(
            out,
            patients=patients,
            seed=seed,
            rows=rows,
            acquisition=known,
            normal_fraction=normal_fraction,
            on_progress=count,
        )
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "patients": patients, "images": images, "seed": seed}))
    else:
        typer.echo(f"{images} images of {patients} patients in {folder}; go on with: aunet inspect folder:{folder}")

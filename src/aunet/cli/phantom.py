"""`aunet phantom`: write synthetic mammograms with their masks."""

import json
from pathlib import Path
from typing import Annotated

import typer

from aunet.cli.progress import progress_bar
from aunet.phantom.cbis_ddsm_layout import write_cbis_ddsm
from aunet.phantom.cbis_ddsm_names import Naming
from aunet.phantom.inbreast_layout import write_inbreast
from aunet.phantom.layouts import DataSetAcquisition, Layout, write_folder

# The options that each layout has of its own.
_OPTIONS: dict[Layout, set[str]] = {
    "folder": {"--acquisition", "--normal-fraction"},
    "cbis-ddsm": {"--naming", "--traps"},
    "inbreast": {"--normal-fraction", "--traps"},
}


def run(
    out: Annotated[Path, typer.Argument(help="Folder to write into; the same command goes on where it was cut off.")],
    layout: Annotated[Layout, typer.Option(help="How the files are laid out.")] = "folder",
    patients: Annotated[int, typer.Option(help="Number of patients; most have two images.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    rows: Annotated[int, typer.Option(help="Height of the images in pixels.")] = 1024,
    acquisition: Annotated[
        DataSetAcquisition | None,
        typer.Option(
            help="Of the layout folder: film (16 bit, borders and letters), detector (12 bit) or mixed (the default)."
        ),
    ] = None,
    naming: Annotated[
        Naming | None,
        typer.Option(
            help="Folders of the layout cbis-ddsm: uid as in its tables (the default), nbia or nbia-old, or jpeg."
        ),
    ] = None,
    traps: Annotated[
        str | None,
        typer.Option(
            help="What is wrong in real data sets, for the layouts cbis-ddsm and inbreast: all, or names with commas "
            "between them; traps.json says where each one is. An unknown name lists them."
        ),
    ] = None,
    normal_fraction: Annotated[float, typer.Option(help="Part of the breasts without a mass.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Write synthetic mammograms with their masks.

    The layouts cbis-ddsm (films) and inbreast (detector images) are the trees, tables and headers of those data sets.

    Raises:
        BadParameter: An option is given that the layout does not have.
    """
    given = {
        "--acquisition": acquisition is not None,
        "--naming": naming is not None,
        "--normal-fraction": normal_fraction > 0,
        "--traps": traps is not None,
    }
    trap_names = [] if traps is None else [word.strip() for word in traps.split(",")]
    for option, is_given in given.items():
        if is_given and option not in _OPTIONS[layout]:
            msg = f"the layout {layout} does not have it; leave it out"
            raise typer.BadParameter(msg, param_hint=option)
    with progress_bar("Drawing phantoms") as on_progress:
        images = 0

        def count(done: int, total: int) -> None:
            nonlocal images
            images = total
            on_progress(done, total)

        if layout == "cbis-ddsm":
            write_cbis_ddsm(
                out,
                patients=patients,
                seed=seed,
                rows=rows,
                naming=naming or "uid",
                traps=trap_names,
                on_progress=count,
            )
        elif layout == "inbreast":
            write_inbreast(
                out,
                patients=patients,
                seed=seed,
                rows=rows,
                normal_fraction=normal_fraction,
                traps=trap_names,
                on_progress=count,
            )
        else:
            write_folder(
                out,
                patients=patients,
                seed=seed,
                rows=rows,
                acquisition=acquisition or "mixed",
                normal_fraction=normal_fraction,
                on_progress=count,
            )
    if as_json:
        typer.echo(json.dumps({"folder": str(out), "patients": patients, "images": images, "seed": seed}))
    else:
        typer.echo(f"{images} images of {patients} patients in {out}; go on with: aunet inspect {layout}:{out}")

"""`aunet networks`: how large and how fast the networks are."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from aunet.cli.progress import progress_bar
from aunet.models.card import NetworkSettings
from aunet.models.complexity import Complexity, complexity, measured
from aunet.models.factory import NETWORK_NAMES


def run(
    width: Annotated[int, typer.Option(min=1, help="Channels of the first level; the paper's networks have 64.")] = 64,
    size: Annotated[int, typer.Option(min=16, help="Rows and columns of the image, a multiple of 16.")] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N: where the speed is measured.")] = "auto",
    timing: Annotated[bool, typer.Option(help="Measure images a second too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List layers, parameters, floating-point operations and images a second of every network.

    Layers are convolutional and fully connected ones; a multiply-add counts as two operations; the speed is measured
    on this machine with one image at a time.
    """
    # The smallest level has the fewest channels to squeeze: a reduction of 16 needs a width of 8.
    every = [NetworkSettings(name=name, width=width, reduction=min(16, 2 * width)) for name in NETWORK_NAMES]
    counted = [complexity(settings, rows=size, columns=size) for settings in every]
    if timing:
        with progress_bar("Measuring") as on_progress:
            for done, settings in enumerate(every):
                on_progress(done, len(every))
                counted[done] = measured(counted[done], settings, rows=size, columns=size, device=device)
            on_progress(len(every), len(every))
    if as_json:
        document = {"width": width, "rows": size, "columns": size, "networks": [asdict(one) for one in counted]}
        typer.echo(json.dumps(document, indent=2))
    else:
        Console().print(_table(counted, width=width, size=size))


def _table(networks: list[Complexity], *, width: int, size: int) -> Table:
    """The networks, one a row."""
    table = Table(title=f"Networks of width {width} on one image of {size} x {size} pixels")
    table.add_column("network")
    for heading in ("layers", "parameters", "GFLOP", "images/s"):
        table.add_column(heading, justify="right")
    for network in networks:
        speed = "" if network.images_per_second is None else f"{network.images_per_second:.2f}"
        gflop = f"{network.flop / 1e9:.2f}"
        table.add_row(network.name, str(network.layers), f"{network.parameters:,}", gflop, speed)
    return table

"""`aunet networks`: how large and how fast the networks are."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from aunet.cli.progress import progress_bar
from aunet.models.card import NetworkSettings
from aunet.models.complexity import TABLE_6, Complexity, Speed, complexity, measured
from aunet.models.device import find_device
from aunet.models.factory import NETWORK_NAMES

_STRIDE = 32
"""Of the networks that halve an image most often, five times."""


def _fitting(size: int) -> int:
    """The size, where every network can take it.

    Raises:
        BadParameter: It is no multiple of the stride.
    """
    if size % _STRIDE:
        below = size // _STRIDE * _STRIDE
        msg = f"{size} is no multiple of {_STRIDE}, which some networks need; give {below} or {below + _STRIDE}"
        raise typer.BadParameter(msg)
    return size


def run(
    width: Annotated[int, typer.Option(min=1, help="Channels of the first level; the paper's networks have 64.")] = 64,
    size: Annotated[
        int, typer.Option(min=_STRIDE, callback=_fitting, help="Rows and columns of the image, a multiple of 32.")
    ] = 256,
    device: Annotated[
        str, typer.Option(help="Where to measure: cpu, cuda or cuda:N; auto for the CPU, and the GPU where one is.")
    ] = "auto",
    timing: Annotated[bool, typer.Option(help="Measure frames a second and memory too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: a list of networks.")] = False,
) -> None:
    """List layers, parameters, floating-point operations, frames a second and memory of every network.

    Layers are convolutional and fully connected ones; a multiply-add counts as two operations. Frames a second and
    memory are measured on this machine, in forward passes over one image at a time; memory is what PyTorch holds at the
    height of a pass, weights included. The last column has the numbers of the paper's table 6.
    """
    networks = [NetworkSettings(name=name, width=width) for name in NETWORK_NAMES]
    counted = [complexity(settings, rows=size, columns=size) for settings in networks]
    devices = _devices(device) if timing else []
    speeds = _measure(networks, size=size, devices=devices) if timing else [[] for _ in networks]
    if as_json:
        typer.echo(json.dumps([_record(*pair) for pair in zip(counted, speeds, strict=True)], indent=2))
    else:
        title = f"Networks of width {width} on one image of {size} x {size} pixels"
        Console().print(_table(counted, speeds, devices=devices, title=title))


def _devices(name: str) -> list[str]:
    """Names of the devices to measure on."""
    if name != "auto":
        return [name]
    return sorted({"cpu", find_device("auto").type})


def _measure(networks: list[NetworkSettings], *, size: int, devices: list[str]) -> list[list[Speed]]:
    """Each network's speed on each device."""
    speeds: list[list[Speed]] = []
    with progress_bar("Measuring") as on_progress:
        for settings in networks:
            on_progress(len(speeds), len(networks))
            speeds.append([measured(settings, rows=size, columns=size, device=name) for name in devices])
        on_progress(len(speeds), len(networks))
    return speeds


def _record(network: Complexity, speeds: list[Speed]) -> dict[str, object]:
    """One network as it stands in the JSON document."""
    published = TABLE_6.get(network.name)
    return {
        "name": network.name,
        "layers": network.layers,
        "parameters": network.parameters,
        "gflop": round(network.flop / 1e9, 3),
        "measured": [asdict(speed) for speed in speeds],
        "paper": asdict(published) if published else None,
    }


def _table(networks: list[Complexity], speeds: list[list[Speed]], *, devices: list[str], title: str) -> Table:
    """The networks, one a row."""
    table = Table(title=title, caption="paper: table 6, layers, million parameters and frames a second at width 64")
    table.add_column("network", no_wrap=True)
    measurements = [f"{name}: {what}" for name in devices for what in ("frames/s", "MiB")]
    for heading in ("layers", "parameters", "GFLOP", *measurements, "paper"):
        table.add_column(heading, justify="right", no_wrap=heading in {"parameters", "paper"})
    for network, of_network in zip(networks, speeds, strict=True):
        cells = [str(network.layers), f"{network.parameters:,}", f"{network.flop / 1e9:.2f}"]
        for speed in of_network:
            memory = "" if speed.peak_bytes is None else f"{speed.peak_bytes / 2**20:,.0f}"
            cells += [f"{speed.frames_per_second:.2f}", memory]
        paper = TABLE_6.get(network.name)
        cells.append(f"{paper.layers}, {paper.parameters_million}, {paper.frames_per_second}" if paper else "")
        table.add_row(network.name, *cells)
    return table

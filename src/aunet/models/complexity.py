"""How large and how fast a network is: layers, parameters, floating-point operations, images a second."""

import time
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aunet.models.card import NetworkSettings
from aunet.models.device import find_device, place
from aunet.models.factory import build_network


@dataclass(frozen=True, slots=True)
class Complexity:
    """Size of a network, counted as in table 6 of Sun et al. 2020, doi 10.1088/1361-6560/ab5745."""

    name: str
    layers: int
    """Convolutional and fully connected layers."""
    parameters: int
    """Numbers that training changes: weights and biases, those of batch normalisation included."""
    flop: int
    """Floating-point operations of one forward pass over one image, in its convolutional and fully connected layers; a
    multiply-add counts as two."""
    images_per_second: float | None = None
    """Measured, one image at a time; None where it was not."""


def complexity(settings: NetworkSettings, *, rows: int = 256, columns: int = 256) -> Complexity:
    """Layers, parameters and operations of a network; no memory is taken for its weights.

    Args:
        settings: The network.
        rows: Rows of an image.
        columns: Columns of an image.

    Returns:
        The counts, without a speed.
    """
    with torch.device("meta"):
        network = build_network(settings).eval()
        image = torch.empty(1, settings.in_channels, rows, columns)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(image)
    return Complexity(
        name=settings.name,
        layers=sum(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) for layer in network.modules()),
        parameters=sum(weight.numel() for weight in network.parameters()),
        flop=counter.get_total_flops(),
    )


def measured(
    counted: Complexity,
    settings: NetworkSettings,
    *,
    rows: int = 256,
    columns: int = 256,
    device: str = "auto",
    at_least_s: float = 1.0,
) -> Complexity:
    """The same network with its speed on this machine: forward passes over one image at a time, float32.

    Args:
        counted: What `complexity` gave.
        settings: The network.
        rows: Rows of an image.
        columns: Columns of an image.
        device: Name of the device, see `find_device`.
        at_least_s: Seconds to go on for, and three passes at least, after one that is not counted.

    Returns:
        The counts with the images a second of the fastest pass, the one least disturbed by whatever else runs.
    """
    where = find_device(device)
    network = place(build_network(settings).eval(), where)
    image = torch.zeros(1, settings.in_channels, rows, columns, device=where)
    durations_s: list[float] = []
    with torch.inference_mode():
        _pass_s(network, image)
        while len(durations_s) < 3 or sum(durations_s) < at_least_s:
            durations_s.append(_pass_s(network, image))
    return replace(counted, images_per_second=1 / min(durations_s))


def _pass_s(network: nn.Module, image: torch.Tensor) -> float:
    """Seconds of one forward pass."""
    start = time.perf_counter()
    # A GPU works on after the call has come back; fetching a number waits for it.
    network(image)[0, 0, 0, 0].item()
    return time.perf_counter() - start

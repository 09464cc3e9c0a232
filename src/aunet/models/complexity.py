"""How large and how fast a network is: layers, parameters, floating-point operations, frames a second, memory."""

import time
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from aunet.models.card import NetworkSettings
from aunet.models.device import find_device, place
from aunet.models.factory import blank_network, build_network


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


@dataclass(frozen=True, slots=True)
class Speed:
    """What one forward pass over one image takes on one device, measured."""

    device: str
    frames_per_second: float
    peak_bytes: int | None
    """Memory held at the height of the pass, weights included; None where the device doesn't tell. Training holds
    several times as much."""


@dataclass(frozen=True, slots=True)
class Published:
    """A column of the paper's table 6: width 64, images of 256 x 256, on an NVIDIA GTX 1080 Ti."""

    layers: int
    parameters_million: float
    frames_per_second: int


TABLE_6 = {
    "unet": Published(23, 34.5, 59),
    "fusionnet": Published(50, 78.5, 36),
    "fcdensenet103": Published(103, 13.9, 27),
    "aunet": Published(44, 75.5, 32),
}
"""The paper's table 6, by the name of the network."""


def complexity(settings: NetworkSettings, *, rows: int = 256, columns: int = 256) -> Complexity:
    """Layers, parameters and operations of a network; no memory is taken for its weights.

    Args:
        settings: The network.
        rows: Rows of an image.
        columns: Columns of an image.

    Returns:
        The counts.
    """
    network = blank_network(settings).to("meta").eval()
    with torch.device("meta"):
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
    settings: NetworkSettings,
    *,
    rows: int = 256,
    columns: int = 256,
    device: str = "auto",
    at_least_s: float = 1.0,
) -> Speed:
    """Speed and memory of a network on this machine: forward passes over one image at a time, float32.

    Args:
        settings: The network.
        rows: Rows of an image.
        columns: Columns of an image.
        device: Name of the device, see `find_device`.
        at_least_s: Seconds to go on for, and three passes at least, after one that is not counted.

    Returns:
        The images a second of the fastest pass, the one least disturbed by whatever else runs, and the memory of one.
    """
    where = find_device(device)
    network = place(build_network(settings).eval(), where)
    image = torch.zeros(1, settings.in_channels, rows, columns, device=where)
    durations_s: list[float] = []
    with torch.inference_mode():
        _pass_s(network, image)
        while len(durations_s) < 3 or sum(durations_s) < at_least_s:
            durations_s.append(_pass_s(network, image))
        peak_bytes = _peak_bytes(network, image)
    return Speed(str(where), frames_per_second=1 / min(durations_s), peak_bytes=peak_bytes)


def _pass_s(network: nn.Module, image: torch.Tensor) -> float:
    """Seconds of one forward pass."""
    start = time.perf_counter()
    # A GPU works on after the call has come back; fetching a number waits for it.
    network(image)[0, 0, 0, 0].item()
    return time.perf_counter() - start


def _peak_bytes(network: nn.Module, image: torch.Tensor) -> int | None:
    """Bytes that PyTorch's allocator holds at the height of a forward pass: weights, image, features, scratch."""
    held = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers(), image))
    if image.is_cuda:
        torch.cuda.reset_peak_memory_stats(image.device)
        before = torch.cuda.memory_allocated(image.device)
        network(image)
        return held + torch.cuda.max_memory_allocated(image.device) - before
    if not image.is_cpu:
        return None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        network(image)
    events = recorded.profiler.kineto_results.events() if recorded.profiler else []
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    most: int = max(accumulate(change for _, change in changes))
    return held + most

"""Where a network runs: a device by its name, and the memory layout that suits it."""

import torch
from torch import nn


def find_device(name: str) -> torch.device:
    """A device of this machine.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps", or "auto": the first GPU where there is one, else the CPU.

    Returns:
        The device.

    Raises:
        ValueError: PyTorch knows no such device, or this machine has none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        msg = f"unknown device {name!r}; take auto, cpu, cuda, cuda:0, cuda:1, ... or mps"
        raise ValueError(msg) from error
    present = {
        "cpu": device.index in {None, 0},
        "cuda": (device.index or 0) < torch.cuda.device_count() if torch.cuda.is_available() else False,
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        msg = (
            f"device {name!r} is not on this machine, or this PyTorch ({torch.__version__}) can't use it;"
            " take cpu, or auto for the best there is"
        )
        raise ValueError(msg)
    return device


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """A network on a device, its weights in channels-last order.

    Channels last makes the convolutions of these networks about twice as fast on a CPU and lets a GPU use its matrix
    units without reordering.

    Args:
        network: The network; it is moved, not copied.
        device: The device.

    Returns:
        The same network.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # lacking in PyTorch's annotations
    return network.to(device)

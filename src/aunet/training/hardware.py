"""What a run computes on, and why."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from aunet.errors import TrainingError
from aunet.training.memory import keep_freed_memory

logger = logging.getLogger(__name__)

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

_PROCESSORS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Hardware:
    """The device and precision of a run."""

    accelerator: Literal["cpu", "cuda", "mps"]
    precision: Precision
    device_name: str
    """What the device calls itself; for the CPU its number of threads."""
    reason: str
    """Why these were chosen, one sentence."""


def choose_hardware(
    accelerator: Literal["auto", "cpu", "cuda", "mps"],
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"],
    *,
    threads: int = 0,
) -> Hardware:
    """The device and precision that a recipe asks for.

    Args:
        accelerator: `auto` is CUDA where there is a device, else the CPU.
        precision: `auto` is bfloat16 mixed precision on a device with units for it, else 32 bit.
        threads: Threads that are going to be set on the CPU; 0 leaves them.

    Returns:
        What is used, and why.

    Raises:
        TrainingError: A device or precision is asked for by name and isn't there.
    """
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    chosen: Literal["cpu", "cuda", "mps"]
    if accelerator == "auto":
        chosen = "cuda" if has_cuda else "cpu"
        why = "PyTorch found a CUDA device" if has_cuda else "PyTorch found no CUDA device"
    else:
        chosen = accelerator
        why = "asked for"
    if (chosen == "cuda" and not has_cuda) or (chosen == "mps" and not has_mps):
        msg = f"hardware.accelerator is {chosen!r}, and PyTorch finds no such device; set it to 'auto' or 'cpu'"
        raise TrainingError(msg)
    if precision == "auto":
        has_bfloat16 = torch.cuda.is_bf16_supported() if chosen == "cuda" else chosen == "cpu" and _cpu_has_bfloat16()
        settled: Precision = "bf16-mixed" if has_bfloat16 else "32-true"
        why_precision = "the device has bfloat16" if has_bfloat16 else "the device gains nothing from 16 bit"
    else:
        settled = precision
        why_precision = "asked for"
    if settled == "16-mixed" and chosen == "cpu":
        msg = "hardware.precision is '16-mixed', which the CPU does not have; set it to '32-true' or 'bf16-mixed'"
        raise TrainingError(msg)
    name = torch.cuda.get_device_name() if chosen == "cuda" else f"{threads or torch.get_num_threads()} threads"
    reason = f"{chosen} ({why}), {name}, precision {settled} ({why_precision})"
    return Hardware(chosen, settled, name, reason)


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16 by units of its own (Intel AMX).

    Processors that have bfloat16 as vector instructions only gain little, and others compute it by detours.
    """
    return _PROCESSORS.is_file() and "amx_bf16" in _PROCESSORS.read_text(encoding="utf-8", errors="replace").split()


@contextmanager
def torch_settings(
    *,
    seed: int,
    deterministic: bool,
    cudnn_benchmark: bool,
    tf32: bool,
    threads: int,
    keep_memory: bool,
) -> Iterator[None]:
    """Set PyTorch's global switches for the time of a run, and put them back.

    Args:
        seed: Seed of PyTorch's own generators.
        deterministic: Only algorithms that give the same bits each time.
        cudnn_benchmark: Let cuDNN choose its algorithms by trial.
        tf32: Let CUDA round the factors of 32-bit products.
        threads: Threads on the CPU; 0 leaves them.
        keep_memory: Keep freed memory in the process; can't be undone.

    Yields:
        Nothing.
    """
    cudnn = torch.backends.cudnn
    checks: Any = torch.utils.deterministic  # Any: a module that is a class in disguise, unknown to its stub
    before = (
        torch.are_deterministic_algorithms_enabled(),
        checks.fill_uninitialized_memory,
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
    )
    generator_state = torch.get_rng_state()
    torch.use_deterministic_algorithms(deterministic)
    # Filling each new array with NaN first shows errors of PyTorch's kernels, and costs a pass over the memory.
    checks.fill_uninitialized_memory = False
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = deterministic, cudnn_benchmark, tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    if keep_memory:
        logger.debug("freed memory stays in the process: %s", keep_freed_memory())
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        checks.fill_uninitialized_memory = before[1]
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = before[2:5]
        torch.set_float32_matmul_precision(before[5])
        torch.set_num_threads(before[6])
        torch.set_rng_state(generator_state)


def keep_depthwise_in_32_bit(network: nn.Module) -> None:
    """Let the convolutions of a network that have groups compute in 32 bit under mixed precision.

    On a processor their gradients in bfloat16 take three times as long as in 32 bit (PyTorch 2.14), and they hold few
    of a network's products. Each module keeps its weights and their names.

    Args:
        network: Changed in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.__class__ = _in_32_bit(type(module))


class _In32Bit(nn.Conv2d):
    """What `_in_32_bit` puts before a class of convolutions."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (PyTorch's name)
        """The convolution, without mixed precision."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def _in_32_bit(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    """A class of convolutions that computes in 32 bit."""
    return type(f"{kind.__name__}In32Bit", (_In32Bit, kind), {})

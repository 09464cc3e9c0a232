"""What a run will need, worked out before it starts."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from torch import Tensor

from aunet.errors import TrainingError
from aunet.inference.diagnosis import container_memory
from aunet.models.card import NetworkSettings
from aunet.models.factory import blank_network
from aunet.training.losses import segmentation_loss

_FLOAT_BYTES = 4
# Adam with AMSGrad keeps two means and a maximum for each weight.
_OPTIMIZER_STATES = 3
# Python, PyTorch, Lightning and the data set's table, measured on Linux.
_PROGRAM_BYTES = 700 * 2**20
# How PyTorch's batch normalisation complains.
_ONE_VALUE = "Expected more than 1 value per channel"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (looked at, never written to)


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a run needs, and how much of it there is."""

    what: str
    needed_bytes: int
    available_bytes: int
    remedy: str
    """What to change where it doesn't suffice."""

    @property
    def suffices(self) -> bool:
        """Whether there is enough."""
        return self.needed_bytes <= self.available_bytes

    def __str__(self) -> str:
        return f"{self.what}: needs {_readable(self.needed_bytes)}, {_readable(self.available_bytes)} free"


@dataclass(frozen=True, slots=True)
class Preflight:
    """All that a run needs."""

    needs: tuple[Need, ...]

    @property
    def missing(self) -> tuple[Need, ...]:
        """What does not suffice."""
        return tuple(need for need in self.needs if not need.suffices)


def preflight(
    network: NetworkSettings,
    *,
    rows: int,
    columns: int,
    batch_size: int,
    images: int,
    workers: int,
    device: Literal["cpu", "cuda", "mps"],
    precision: Literal["32-true", "bf16-mixed", "16-mixed"],
    run_folder: Path,
    cache_folder: Path,
    is_averaged: bool = False,
) -> Preflight:
    """Work out memory and disk of a run, without computing or allocating anything of its size.

    Args:
        network: The network.
        rows: Height of the model input.
        columns: Width of the model input.
        batch_size: Images a step.
        images: Images to be prepared.
        workers: Processes that load images.
        device: Where the network computes.
        precision: What it computes in.
        run_folder: Where checkpoints go.
        cache_folder: Where prepared arrays go.
        is_averaged: A moving average of the weights is kept beside them.

    Returns:
        Each need, with what there is.
    """
    weights_bytes, features_bytes = _count(network, rows=rows, columns=columns)
    if precision != "32-true":
        features_bytes //= 2
    image_bytes = (network.in_channels * _FLOAT_BYTES + 1) * rows * columns
    step_bytes = weights_bytes * (2 + _OPTIMIZER_STATES + is_averaged) + features_bytes * batch_size
    batches_bytes = batch_size * image_bytes * (1 + 2 * workers)
    fewer = "set training.batch_size, network.width or the preprocessing's rows and columns smaller"
    needs = [
        Need(
            "memory",
            _PROGRAM_BYTES * (1 + workers // 4) + batches_bytes + (step_bytes if device == "cpu" else 0),
            _available_memory(),
            fewer,
        )
    ]
    if device == "cuda":
        needs.append(Need("memory of the CUDA device", step_bytes, torch.cuda.mem_get_info()[0], fewer))
    # best, last, the file for resuming (weights, their average and optimizer), and one of them being written aside.
    checkpoints_bytes = weights_bytes * (2 + 2 * (1 + _OPTIMIZER_STATES + is_averaged))
    needs += _disk_needs(run_folder, checkpoints_bytes, cache_folder, images * image_bytes)
    if workers and _SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(_SHARED_MEMORY).free
        needs.append(Need("shared memory", 2 * workers * batch_size * image_bytes, free, "set hardware.workers to 0"))
    return Preflight(tuple(needs))


def check_smallest_batch(network: NetworkSettings, *, rows: int, columns: int, images: int, batch_size: int) -> None:
    """Refuse a batch of one image from which batch normalisation would get a single value a channel.

    Args:
        network: The network.
        rows: Height of the model input.
        columns: Width of the model input.
        images: Images of an epoch, on each device.
        batch_size: Images a step; the last step of an epoch has what is left.

    Raises:
        TrainingError: There is such a batch.
        ValueError: The network can't take an image of this size at all.
    """
    if images % batch_size != 1 % batch_size:
        return
    model = blank_network(network).to("meta")
    try:
        model(torch.empty(1, network.in_channels, rows, columns, device="meta"))
    except ValueError as error:
        if _ONE_VALUE not in str(error):
            raise
        msg = (
            f"{images} images in batches of {batch_size} leave one image in the last batch, and of one image of"
            f" {rows} x {columns} pixels the network's coarsest features are 1 x 1, from which batch normalisation"
            " can't take statistics; choose another training.batch_size, or a larger preprocessing.rows or columns"
        )
        raise TrainingError(msg) from error


def _count(network: NetworkSettings, *, rows: int, columns: int) -> tuple[int, int]:
    """Bytes of the weights, and of all features that one image's backward pass needs.

    A pass on PyTorch's device `meta` has shapes and no values: it costs milliseconds and no memory.
    """
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # noqa: SLF001  (the only name that a storage on `meta` has)
        held.append(tensor)
        return tensor

    held: list[Tensor] = []
    model = blank_network(network).to("meta")
    with torch.device("meta"):
        images = torch.empty(2, network.in_channels, rows, columns)
        masks = torch.empty(2, rows, columns, dtype=torch.bool)
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        segmentation_loss(model(images), masks)
    for tensor in model.parameters():
        kept.pop(tensor.untyped_storage()._cdata, None)  # noqa: SLF001  (as above)
    # The backward pass adds the gradients of the largest features: two of them at a time.
    return weights, (sum(kept.values()) + 2 * max(kept.values())) // len(images)


def _disk_needs(run_folder: Path, checkpoints_bytes: int, cache_folder: Path, cache_bytes: int) -> list[Need]:
    """Needs of both folders, as one where they lie on one disk."""
    run_root, cache_root = _existing(run_folder), _existing(cache_folder)
    remedy = "choose folders on a disk with more room (--out, --cache)"
    if run_root.stat().st_dev == cache_root.stat().st_dev:
        return [_disk("disk", run_root, checkpoints_bytes + cache_bytes, remedy)]
    return [
        _disk("disk of the run", run_root, checkpoints_bytes, remedy),
        _disk("disk of the prepared images", cache_root, cache_bytes, remedy),
    ]


def _disk(what: str, folder: Path, needed_bytes: int, remedy: str) -> Need:
    return Need(what, needed_bytes, shutil.disk_usage(folder).free, remedy)


def _existing(folder: Path) -> Path:
    """The nearest folder above that exists."""
    folder = folder.absolute()
    return next(candidate for candidate in (folder, *folder.parents) if candidate.is_dir())


def _available_memory() -> int:
    """Bytes that this process can still take, of the machine or of its container."""
    available = int(psutil.virtual_memory().available)
    container = container_memory()
    return available if container is None else min(available, container.free)


def _readable(size_bytes: int) -> str:
    gibibytes = size_bytes / 2**30
    return f"{gibibytes:.1f} GiB" if gibibytes >= 1 else f"{size_bytes / 2**20:.0f} MiB"

"""What this machine and this installation can do: the facts of `aunet doctor`."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import onnxruntime

from aunet.errors import CheckpointError
from aunet.inference.backends.onnxruntime import verify_bundle
from aunet.inference.segmenter import Segmenter
from aunet.io.decoders import DecoderFacts, list_decoders
from aunet.models.card import ModelCard
from aunet.models.file_kind import is_checkpoint
from aunet.models.parity import Agreement

_LIBRARIES = (
    "aunet",
    "numpy",
    "scipy",
    "pydicom",
    "python-gdcm",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "pyjpegls",
    "highdicom",
    "pillow",
    "connected-components-3d",
    "pandas",
    "matplotlib",
    "onnxruntime",
    "pydantic",
    "typer",
    "rich",
)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, never written to
_TRAIN_LIBRARIES = ("torch", "lightning", "safetensors", "onnx", "onnxscript", "tensorboard", "psutil")
_CONTROL_GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and what of the use are files that were read, of either version of Linux's control groups."""
_LITTLE_MEMORY = 2 * 2**30
_LITTLE_SHARED_MEMORY = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a storage."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found."""

    python: str
    system: str
    libraries: dict[str, str | None]
    """Version of each; None where it is not installed."""
    train_libraries: dict[str, str | None]
    """Those of the extra `train`, without which bundles still run."""
    decoders: tuple[DecoderFacts, ...]
    processors: int
    """Processor threads that this process may use."""
    onnxruntime_providers: tuple[str, ...]
    gpus: tuple[str, ...]
    """That PyTorch can use; empty also where PyTorch is not installed."""
    memory: Space | None
    """None where this system doesn't say. A limit of a container counts."""
    disk: Space
    """Where the current folder lies."""
    shared_memory: Space | None
    """Through which PyTorch's workers hand over images; None where this system has none."""
    problems: tuple[str, ...]
    """What stands in the way of reading or segmenting, one sentence each."""
    remarks: tuple[str, ...]
    """What may stand in the way of training, one sentence each."""


@dataclass(frozen=True, slots=True)
class WeightsDiagnosis:
    """What a file of weights says of itself, and whether it still computes what it did."""

    path: str
    kind: Literal["checkpoint", "bundle"]
    card: ModelCard
    agreement: Agreement | None
    """Of this machine with PyTorch at the time of the export; None for a checkpoint, which carries no proof."""
    problem: str
    """Why the proof failed; "" where it did not."""


def diagnose() -> Diagnosis:
    """The facts about this machine and this installation.

    Returns:
        What was found.
    """
    libraries = {name: _version(name) for name in _LIBRARIES}
    train_libraries = {name: _version(name) for name in _TRAIN_LIBRARIES}
    decoders = list_decoders()
    memory, shared_memory = _memory(), _space(SHARED_MEMORY)
    gpus, torch_problem = _gpus()
    return Diagnosis(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        libraries=libraries,
        train_libraries=train_libraries,
        decoders=decoders,
        processors=_processors(),
        onnxruntime_providers=tuple(onnxruntime.get_available_providers()),
        gpus=gpus,
        memory=memory,
        disk=_disk(),
        shared_memory=shared_memory,
        problems=tuple(_problems(libraries, decoders, memory)),
        remarks=tuple(_remarks(train_libraries, shared_memory, torch_problem)),
    )


def diagnose_weights(weights: Path) -> WeightsDiagnosis:
    """What is to be known of a checkpoint or a bundle; a bundle's proof is repeated on this machine.

    Args:
        weights: The file.

    Returns:
        Its card, and how the proof went.
    """
    card = Segmenter.load(weights, device="cpu").card
    if is_checkpoint(weights):
        return WeightsDiagnosis(str(weights), "checkpoint", card, None, "")
    try:
        return WeightsDiagnosis(str(weights), "bundle", card, verify_bundle(weights), "")
    except CheckpointError as error:
        return WeightsDiagnosis(str(weights), "bundle", card, None, str(error))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _problems(libraries: dict[str, str | None], decoders: tuple[DecoderFacts, ...], memory: Space | None) -> list[str]:
    missing = [name for name, found in libraries.items() if found is None]
    problems = [f"{name} is not installed; pip install aunet brings it" for name in missing]
    problems += [
        f"no {decoder.name}: {decoder.plugin} is missing; install python-gdcm, pyjpegls, and pylibjpeg with its plugins"
        for decoder in decoders
        if not decoder.is_available
    ]
    if memory is not None and memory.free < _LITTLE_MEMORY:
        problems.append(f"only {memory.free / 2**30:.1f} GiB of memory are free; full-size films want 2 GiB")
    return problems


def _remarks(train_libraries: dict[str, str | None], shared_memory: Space | None, torch_problem: str) -> list[str]:
    remarks = []
    missing = [name for name, found in train_libraries.items() if found is None]
    if missing:
        remarks.append(f"no training, only bundles: {', '.join(missing)} missing; pip install 'aunet[train]'")
    if torch_problem:
        remarks.append(torch_problem)
    if shared_memory is not None and shared_memory.free < _LITTLE_SHARED_MEMORY:
        remarks.append(
            f"{SHARED_MEMORY} has {shared_memory.free / 2**20:.0f} MiB free: workers that prepare images may die;"
            " give the container more (docker run --shm-size=1g), or train with no workers"
        )
    return remarks


def _gpus() -> tuple[tuple[str, ...], str]:
    """GPUs by PyTorch, and why PyTorch can't be asked."""
    if find_spec("torch") is None:
        return (), ""
    try:
        # Inside the function: PyTorch is imported where it is installed and asked for, never on the way to a bundle.
        from aunet.inference.backends.gpus import list_gpus  # noqa: PLC0415 - see above
    except (ImportError, OSError) as error:
        return (), f"PyTorch is installed, but fails to load ({error})"
    return list_gpus(), ""


def _processors() -> int:
    # What a container or a queue allows this process, where the system knows of such a limit.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _memory() -> Space | None:
    """Memory of the machine, or of the container where that is less."""
    machine = _machine_memory(Path("/proc/meminfo"))
    container = container_memory()
    spaces = [space for space in (machine, container) if space is not None]
    return min(spaces, key=lambda space: space.free, default=None)


def _machine_memory(meminfo: Path) -> Space | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    entries = dict(line.split(":", 1) for line in lines if ":" in line)
    kibibytes = {name: int(entries[name].split()[0]) for name in ("MemTotal", "MemAvailable") if name in entries}
    if len(kibibytes) != 2:
        return None
    return Space(total=kibibytes["MemTotal"] * 1024, free=kibibytes["MemAvailable"] * 1024)


def container_memory(control_groups: Path = Path("/sys/fs/cgroup")) -> Space | None:
    """Memory of the container that this process runs in.

    What the system keeps of files that were read counts as free: it is given back when somebody needs it.

    Args:
        control_groups: Where Linux shows them, of the second version or the first.

    Returns:
        Its limit and what is left of it; None without a limit.
    """
    for limit_file, used_file, kept_files in _CONTROL_GROUP_FILES:
        try:
            limit, used, statistics = (
                (control_groups / name).read_text(encoding="ascii")
                for name in (limit_file, used_file, str(Path(limit_file).with_name("memory.stat")))
            )
        except OSError:
            continue
        if limit.strip().isdecimal():
            entries = dict(line.split() for line in statistics.splitlines())
            taken = int(used) - int(entries.get(kept_files, 0))
            return Space(total=int(limit), free=max(0, int(limit) - taken))
    return None


def _disk() -> Space:
    usage = shutil.disk_usage(Path.cwd())
    return Space(usage.total, usage.free)


def _space(folder: Path) -> Space | None:
    if not folder.is_dir():
        return None
    usage = shutil.disk_usage(folder)
    return Space(usage.total, usage.free)

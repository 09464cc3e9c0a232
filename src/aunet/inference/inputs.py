"""Which files are to be segmented, and what their results are called."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aunet.io.files import is_dicom

IMAGE_ENDINGS = frozenset({".dcm", ".dicom", ".ima", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm"})
"""Endings that a result's name drops; a file of any other ending, or of none, may be an image as well."""

# Evidently no images, unless they turn out to be DICOM files by their content.
_OTHER_ENDINGS = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".pdf", ".html", ".htm", ".log", ".toml", ".yaml", ".yml", ".ini"}
    | {".zip", ".gz", ".tar", ".7z", ".xls", ".xlsx", ".doc", ".docx", ".db", ".py", ".sh", ".exe", ".inf", ".bat"}
    | {".safetensors", ".onnx", ".pt", ".pth", ".ckpt", ".npy", ".npz"}
)


@dataclass(frozen=True, slots=True)
class Input:
    """A file to segment."""

    path: Path
    """As the user typed it, or under the folder that the user typed."""
    relative: Path
    """Inside the folder that the user typed; the file's name alone where the file itself was typed."""

    @property
    def typed(self) -> str:
        """The path as text, the same on every system."""
        return self.path.as_posix()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file in a given folder that was not taken for an image."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found at the given paths."""

    files: tuple[Input, ...]
    passed_over: tuple[PassedOver, ...]


def find_inputs(paths: Sequence[Path], *, leave_out: Path) -> Inputs:
    """The files at the given paths, folders searched to the bottom in the order of their names.

    A file that is typed itself is always taken, even if it is missing: its row then says so. In folders, files that
    are evidently no images are passed over, each with its reason.

    Args:
        paths: Files and folders, as typed.
        leave_out: The folder of the results, which may lie inside a given one.

    Returns:
        Each file once, in the order given.
    """
    files: dict[Path, Input] = {}
    passed_over: list[PassedOver] = []
    for path in paths:
        if not path.is_dir():
            files.setdefault(path.resolve(), Input(path, Path(path.name)))
            continue
        for found in _walk(path, leave_out=leave_out.resolve()):
            if isinstance(found, PassedOver):
                passed_over.append(found)
            elif reason := _evidently_no_image(found):
                passed_over.append(PassedOver(found, reason))
            else:
                files.setdefault(found.resolve(), Input(found, found.relative_to(path)))
    return Inputs(tuple(files.values()), tuple(passed_over))


def name_results(
    files: Sequence[Input],
    owners: Mapping[str, str],
    *,
    is_same_image: Callable[[Input, str], bool],
) -> tuple[str, ...]:
    """The name under which each input's results are kept: its path inside the given folder, without the ending.

    Where two inputs would share a name, the second keeps its ending, then takes its folder's name in front, then a
    number. A name once given to an input stays its own in later runs, whatever files come in between.

    Args:
        files: The inputs of this run.
        owners: Name to typed path of the results that are already there.
        is_same_image: Whether the results kept under a name are of this input's very content: it may have been moved.

    Returns:
        Names in the order of the inputs; no two are alike, not even on a file system that ignores case.
    """
    kept = {typed: name for name, typed in owners.items()}
    by_folded = {name.casefold(): name for name in owners}
    # Names of inputs that have one already are set aside first, so that nobody else takes them.
    taken = {kept[file.typed].casefold() for file in files if file.typed in kept}
    names = []
    for file in files:
        if file.typed in kept:
            names.append(kept[file.typed])
            continue
        for name in _candidates(file):
            folded = name.casefold()
            if folded not in taken and (folded not in by_folded or is_same_image(file, by_folded[folded])):
                names.append(name)
                taken.add(folded)
                break
    return tuple(names)


def _candidates(file: Input) -> Iterator[str]:
    whole = file.relative.as_posix()
    short = file.relative.with_suffix("").as_posix() if file.relative.suffix.lower() in IMAGE_ENDINGS else whole
    yield short
    if whole != short:
        yield whole
    folder = file.path.parent.resolve().name
    if folder:
        yield f"{folder}/{short}"
    number = 2
    while True:
        yield f"{short}-{number}"
        number += 1


def _walk(folder: Path, *, leave_out: Path) -> Iterator[Path | PassedOver]:
    """Every file below a folder, by name; links to folders are not followed, since they may lead in a circle."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            yield PassedOver(entry, "hidden")
        elif not entry.is_dir():
            yield entry
        elif entry.is_symlink():
            yield PassedOver(entry, "a link to a folder; give it by its name to have it read")
        elif entry.resolve() != leave_out:
            yield from _walk(entry, leave_out=leave_out)


def _evidently_no_image(path: Path) -> str:
    """Why a file of a folder is none to segment; "" if it may be one."""
    if path.name.upper() == "DICOMDIR":
        return "the index of a DICOM medium"
    if path.suffix.lower() in _OTHER_ENDINGS and not is_dicom(path):
        return f"no image, by its ending {path.suffix} and its content"
    return ""

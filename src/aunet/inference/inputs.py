"""Which files are to be segmented, and what their results are called."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aunet.inference.results_folder import RESULT_FOLDERS, bounded, folder_part, is_results_folder
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
        return readable(self.path.as_posix())

    @property
    def place_sha256(self) -> str:
        """SHA-256 of where the file lies, from whatever folder it was typed; what its name says stays hidden."""
        return hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file in a given folder that was not taken for an image."""

    path: Path
    reason: str

    @property
    def typed(self) -> str:
        """The path as text, the same on every system."""
        return readable(self.path.as_posix())


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found at the given paths."""

    files: tuple[Input, ...]
    passed_over: tuple[PassedOver, ...]


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """The files at the given paths, folders searched to the bottom in the order of their names.

    A file that is typed itself is always taken, even if it is missing: its row then says so. In folders, files that
    are evidently no images are passed over, each with its reason; so are results of this or another run.

    Args:
        paths: Files and folders, as typed.

    Returns:
        Each file once, in the order given.
    """
    files: dict[str, Input] = {}
    passed_over: list[PassedOver] = []
    for found in _found_at(paths):
        if isinstance(found, PassedOver):
            passed_over.append(found)
            continue
        # Unlike Path.resolve, it doesn't raise on a link that leads to itself.
        first = files.setdefault(os.path.realpath(found.path), found)
        if first.path != found.path:
            passed_over.append(PassedOver(found.path, f"the same file as {first.typed}"))
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
        owners: Name to `place_sha256` of the results that are already there.
        is_same_image: Whether the results kept under a name are of this input's very content: it may have been moved.

    Returns:
        Names in the order of the inputs; no two are alike, not even on a file system that ignores case.
    """
    kept = {place: name for name, place in owners.items()}
    places = [file.place_sha256 for file in files]
    by_folded = {name.casefold(): name for name in owners}
    # Names of inputs that have one already are set aside first, so that nobody else takes them.
    taken = {kept[place].casefold() for place in places if place in kept}
    numbers: Counter[str] = Counter()
    names = []
    for file, place in zip(files, places, strict=True):
        if place in kept:
            names.append(kept[place])
            continue
        for name in _candidates(file, numbers):
            folded = name.casefold()
            if folded not in taken and (folded not in by_folded or is_same_image(file, by_folded[folded])):
                names.append(name)
                taken.add(folded)
                break
    return tuple(names)


def readable(text: str) -> str:
    """A text with its parts of paths that are no UTF-8 spelt out, since no file and no terminal takes them.

    Args:
        text: May come from a file name in Latin-1, say.

    Returns:
        Text that can be written anywhere.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _candidates(file: Input, numbers: Counter[str]) -> Iterator[str]:
    """Names that an input may have, the best first; `numbers` holds how far each short name has been counted up."""
    *folders, last = readable(file.relative.as_posix()).split("/")
    ending = Path(last).suffix if Path(last).suffix.lower() in IMAGE_ENDINGS else ""
    relative = Path(*map(folder_part, folders), bounded(last, ending=ending))
    whole = relative.as_posix()
    short = whole.removesuffix(ending)
    yield short
    if whole != short:
        yield whole
    folder = folder_part(readable(file.path.parent.resolve().name))
    if folder:
        yield f"{folder}/{short}"
    while True:
        numbers[short] += 1
        yield f"{short}-{numbers[short] + 1}"


def _found_at(paths: Sequence[Path]) -> Iterator[Input | PassedOver]:
    """Every file at the given paths, also one that comes up twice."""
    for path in paths:
        if not path.is_dir():
            yield Input(path, Path(path.name))
            continue
        for found in _walk(path):
            if isinstance(found, PassedOver):
                yield found
            else:
                yield Input(found, Path(path.name) if found == path else found.relative_to(path))


def _walk(folder: Path) -> Iterator[Path | PassedOver]:
    """Every file below a folder, by name; links to folders are not followed, since they may lead in a circle.

    What can't be looked at, be it a folder, comes as a file: reading it will say why.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        yield folder
        return
    holds_results = is_results_folder(folder)
    for entry in entries:
        mode = _mode(entry)
        if entry.name.startswith("."):
            yield PassedOver(entry, "hidden")
        elif stat.S_ISREG(mode):
            reason = _evidently_no_image(entry)
            yield PassedOver(entry, reason) if reason else entry
        elif not stat.S_ISDIR(mode):
            yield PassedOver(entry, "neither a file nor a folder")
        elif entry.is_symlink():
            yield PassedOver(entry, "a link to a folder; give it by its name to have it read")
        elif holds_results and entry.name in RESULT_FOLDERS:
            yield PassedOver(entry, "results of aunet segment")
        else:
            yield from _walk(entry)


def _mode(path: Path) -> int:
    """What a path leads to, in the system's bits; those of a file where it can't be looked at."""
    try:
        return path.stat().st_mode
    except OSError:
        return stat.S_IFREG


def _evidently_no_image(path: Path) -> str:
    """Why a file of a folder is none to segment; "" if it may be one, or can't be opened."""
    if path.name.upper() == "DICOMDIR":
        return "the index of a DICOM medium"
    try:
        is_other = path.suffix.lower() in _OTHER_ENDINGS and not is_dicom(path)
    except OSError:
        return ""
    return f"no image, by its ending {path.suffix} and its content" if is_other else ""

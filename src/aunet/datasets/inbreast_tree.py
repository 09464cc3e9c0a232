"""Where INbreast's table, images and outlines lie, and what their names say."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aunet.datasets.ledger import printable
from aunet.errors import DatasetError
from aunet.sample import Laterality, View

VIEWS: dict[str, View] = {"CC": "CC", "MLO": "MLO", "ML": "MLO"}
"""Words for a view in names and table; what INbreast calls ML is the mediolateral oblique view."""

_IMAGE_NAME = re.compile(r"([0-9]+)_([0-9a-z]+)_MG_([LR])_(CC|MLO|ML)_ANON\.dcm", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A DICOM file by what its name says."""

    path: Path
    patient: str
    """The pseudonym in the name; it stands in no message."""
    laterality: Laterality
    view: View

    @property
    def masked_name(self) -> str:
        """Folder and name without the pseudonym."""
        number, _, rest = self.path.name.split("_", 2)
        return printable(f"{self.path.parent.name}/{number}_*_{rest}")


@dataclass(slots=True)
class Files:
    """What lies in the folders, by the number of the image."""

    images: dict[str, list[ImageFile]] = field(default_factory=dict)
    outlines: dict[str, list[Path]] = field(default_factory=dict)
    unnamed: int = 0
    """DICOM files whose names are not those of INbreast."""
    others: int = 0


def find(root: Path, name: str, is_right: Callable[[Path], bool]) -> Path:
    """The file or folder of this name that lies highest; capitals don't count.

    Args:
        root: Where to look, and up to two levels below.
        name: What it is called.
        is_right: Whether it is a file, or a folder, as wanted.

    Returns:
        Its path.

    Raises:
        DatasetError: There is none, or there are several side by side.
    """
    level = [root]
    for _ in range(3):
        below = [entry for folder in level for entry in entries(folder)]
        found = [entry for entry in below if entry.name.lower() == name.lower() and is_right(entry)]
        if len(found) > 1:
            msg = f"{found[0]} and {found[1]} are both there, expected one {name}; name the folder of one release"
            raise DatasetError(msg)
        if found:
            return found[0]
        level = [entry for entry in below if entry.is_dir()]
    msg = f"{root} and two levels below hold no {name}; unpack the whole release there"
    raise DatasetError(msg)


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, without hidden files and what macOS adds to archives.

    Args:
        folder: What to list.

    Returns:
        Paths in the order of their names.

    Raises:
        DatasetError: The folder can't be listed.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError as error:
        msg = f"{folder} can't be listed: {error.strerror}; check its permissions"
        raise DatasetError(msg) from error
    return [folder / name for name in names if not name.startswith((".", "__MACOSX"))]


def look_at(images: Path, outlines: Path) -> Files:
    """What lies in the two folders, by the number of the image.

    Args:
        images: The folder AllDICOMs.
        outlines: The folder AllXML.

    Returns:
        Images and outlines, and how many files are neither.
    """
    files = Files()
    for path in entries(images):
        named = _IMAGE_NAME.fullmatch(path.name)
        if named is not None:
            number, patient, side, view = named[1], named[2], named[3].upper(), named[4].upper()
            one = ImageFile(path, patient, "L" if side == "L" else "R", VIEWS[view])
            files.images.setdefault(number, []).append(one)
        elif path.suffix.lower() in {".dcm", ".dicom"}:
            files.unnamed += 1
        else:
            files.others += 1
    for path in entries(outlines):
        if path.suffix.lower() == ".xml":
            files.outlines.setdefault(path.stem, []).append(path)
        else:
            files.others += 1
    return files

"""Where the files of CBIS-DDSM lie, in whatever way they were downloaded: found by looking once at all folders."""

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from aunet.datasets.cbis_ddsm_tables import CASE_FOLDER

Layout = Literal["TCIA's folders named by UID", "the NBIA downloader's folders named by date", "other folders", "JPEG"]

_DICOM = frozenset({".dcm", ".dicom"})
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_NBIA_SERIES = re.compile(r"[0-9]+(?:\.0+)?-(?P<description>.*)-[A-Za-z0-9]+")
_TABLE_DEPTH = 2
_INFO_NAME = "dicom_info.csv"
_INFO_COLUMNS = ("image_path", "PatientID", "SeriesDescription")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file that may be an image, a mask or a crop."""

    path: PurePosixPath
    """Below the data set's folder."""
    layout: Layout
    description: str = ""
    """What its series is called there ("ROI mask images"): often wrong, so it decides nothing."""

    @property
    def series(self) -> str:
        """Name of the folder it lies in."""
        return self.path.parent.name


@dataclass(slots=True)
class Tree:
    """All files below a data set's folder that matter, by case and by series."""

    by_case: dict[str, list[FoundFile]] = field(default_factory=dict)
    """By the name of the case that a folder, or the JPEG copy's table, gives them."""
    by_series: dict[str, list[FoundFile]] = field(default_factory=dict)
    """By the folder they lie in, where that is called by a UID."""
    tables: dict[str, list[PurePosixPath]] = field(default_factory=dict)
    """Tables (CSV) in the folder itself and up to two levels below, by name in small letters."""
    notes: list[str] = field(default_factory=list)

    def candidates(self, case: str, *table_paths: str) -> tuple[FoundFile, ...]:
        """The files of a case folder, or of the series that the table names; DICOM before pictures where both exist.

        Args:
            case: A folder's name, "Mass-Training_P_00001_LEFT_CC" or with "_1" behind it.
            table_paths: What the table says, case/study/series/name.

        Returns:
            Each file once, in the order of their paths.
        """
        series = {parts[-2] for parts in (path_parts(path) for path in table_paths) if len(parts) > 1}
        found = {*self.by_case.get(case, ()), *(file for uid in series for file in self.by_series.get(uid, ()))}
        # One file may be known by its series alone and, with a description, by its case.
        unique = {file.path: file for file in sorted(found, key=lambda file: bool(file.description))}
        files = sorted(unique.values(), key=lambda file: file.path)
        dicom = tuple(file for file in files if file.path.suffix.lower() in _DICOM)
        return dicom or tuple(files)


def path_parts(text: str) -> tuple[str, ...]:
    """The parts of a path as a table writes it.

    Args:
        text: With either kind of slash.

    Returns:
        Parts; none for a blank cell.
    """
    return PurePosixPath(text.replace("\\", "/")).parts


def look_at(root: Path) -> Tree:
    """All files below a folder, each folder looked at once.

    Args:
        root: The data set's folder, or one above it.

    Returns:
        The files by case; folders that can't be opened are remarked.
    """
    tree, unreadable = Tree(), 0
    pictures: dict[tuple[str, ...], PurePosixPath] = {}
    for folder, names in _folders(root):
        if names is None:
            unreadable += 1
            continue
        case = next((part for part in reversed(folder.parts) if CASE_FOLDER.fullmatch(part)), "")
        for name in names:
            path = folder / name
            suffix = path.suffix.lower()
            if suffix == ".csv" and len(folder.parts) <= _TABLE_DEPTH:
                tree.tables.setdefault(name.lower(), []).append(path)
            elif suffix in _DICOM or suffix in _PICTURES:
                _add(tree, path, case)
                if not case and suffix in _PICTURES:
                    pictures[path.parts[-2:]] = path
    if unreadable:
        tree.notes.append(f"{unreadable} folders can't be opened; check their permissions")
    _read_info(root, tree, pictures)
    return tree


def _folders(root: Path) -> Iterator[tuple[PurePosixPath, list[str] | None]]:
    """Each folder, once even where links lead in a circle, and the names of its files; None where it can't be read."""
    waiting, links, seen = [PurePosixPath()], list[PurePosixPath](), set[tuple[int, int]]()
    while waiting or links:
        # Links come last, so that a folder goes by its own name where it has one below the root.
        folder = waiting.pop() if waiting else links.pop()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as entries:
                # Hidden files are no images: systems write "._1-1.dcm" beside "1-1.dcm".
                visible = sorted(
                    (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
                )
        except OSError:
            yield folder, None
            continue
        names = []
        for entry in visible:
            if not _is_folder(entry):
                names.append(entry.name)
            elif entry.is_symlink():
                links.append(folder / entry.name)
            else:
                waiting.append(folder / entry.name)
        yield folder, names


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _add(tree: Tree, path: PurePosixPath, case: str) -> None:
    series = path.parent.name
    if case:
        nbia = _NBIA_SERIES.fullmatch(series)
        description = nbia["description"].replace("_", " ") if nbia is not None else ""
        layout: Layout = "other folders"
        if path.suffix.lower() in _PICTURES:
            layout = "JPEG"
        elif nbia is not None:
            layout = "the NBIA downloader's folders named by date"
        elif _UID.fullmatch(series):
            layout = "TCIA's folders named by UID"
        tree.by_case.setdefault(case, []).append(FoundFile(path, layout, description))
    elif _UID.fullmatch(series):
        kind: Layout = "JPEG" if path.suffix.lower() in _PICTURES else "TCIA's folders named by UID"
        tree.by_series.setdefault(series, []).append(FoundFile(path, kind))


def _read_info(root: Path, tree: Tree, pictures: dict[tuple[str, ...], PurePosixPath]) -> None:
    """Which case each picture of the JPEG copy belongs to, by the copy's own table."""
    found = tree.tables.get(_INFO_NAME, [])
    if not found:
        return
    try:
        text = (root / found[0]).read_bytes().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), restkey="", restval=""))
    except (OSError, UnicodeDecodeError, csv.Error):
        tree.notes.append(f"{_INFO_NAME} can't be read; pictures are found by the names of their folders alone")
        return
    if not rows or any(column not in rows[0] for column in _INFO_COLUMNS):
        tree.notes.append(
            f"{_INFO_NAME} lacks rows or one of the columns {', '.join(_INFO_COLUMNS)}; "
            "pictures are found by the names of their folders alone"
        )
        return
    for row in rows:
        image_path, case, description = (str(row[column]).strip() for column in _INFO_COLUMNS)
        path = pictures.get(path_parts(image_path)[-2:])
        if path is not None and CASE_FOLDER.fullmatch(case):
            tree.by_case.setdefault(case, []).append(FoundFile(path, "JPEG", description))

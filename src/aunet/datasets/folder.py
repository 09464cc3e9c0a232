"""A folder of mammograms with `cases.csv`: what can be known without reading a pixel."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger, LedgerRow, printable
from aunet.datasets.side_by_side import OnProgress, look_at_each
from aunet.datasets.source import read_source
from aunet.datasets.splits import shared_between_sides
from aunet.datasets.table import TableRow, read_table
from aunet.datasets.values import (
    understand_count,
    understand_laterality,
    understand_patient,
    understand_spacing,
    understand_split,
    understand_view,
)
from aunet.errors import DatasetError, ReadError
from aunet.io.files import read_size, resizing
from aunet.sample import Laterality, MassProperties, Sample, Shape, Spacing, Split, View

TABLE_NAME = "cases.csv"
SHARED_PATIENT = (
    "the patient is on more than one side of the split, which makes the split unusable; "
    "put all images of a patient on one side"
)
_IMAGE_ENDINGS = frozenset({".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm", ".dcm", ".dicom"})

_Identity = tuple[int, int]
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Case:
    """A row on its way to a sample: what was understood, repaired, and what is wrong so far."""

    row: TableRow
    repairs: list[str]
    problems: list[str]
    image: PurePosixPath | None = None
    mask: PurePosixPath | None = None
    patient_id: str = ""
    split: Split | None = None
    laterality: Laterality | None = None
    view: View | None = None
    spacing_mm: Spacing | None = None
    n_masses: int | None = None
    size: Shape | None = None
    """(rows, columns) that the image's header declares."""
    identity: _Identity | None = None
    """Device and inode of the image, the same for every path to one file."""
    mask_identity: _Identity | None = None


def read_folder(root: Path, *, on_progress: OnProgress | None = None) -> DataSet:
    """A data set from a folder with `cases.csv` and the files it names.

    Columns `image`, `mask` (relative paths; a mask may be blank where `n_masses` is 0) and `patient_id` are required.
    `split`, `laterality`, `view`, `spacing_mm` (or `spacing_row_mm` and `spacing_column_mm`), `n_masses` and the
    columns of `MassProperties` are optional. Headers of images and masks are read, pixels are not.

    Args:
        root: The folder.
        on_progress: Called with the number of rows looked at and their total.

    Returns:
        The samples that can be used, and a ledger with one row for each row of the table.

    Raises:
        DatasetError: The table as a whole can't be used.
    """
    if not root.is_dir():
        msg = f"{root} is not a folder; name the folder that holds {TABLE_NAME}"
        raise DatasetError(msg)
    table = read_table(root / TABLE_NAME)
    cases = [_understand(row) for row in table.rows]
    for case in cases:
        _find_files(case, root)
    _refuse_repetitions(cases)
    _check_sizes(cases, root, on_progress)
    return _dataset(root, cases, (*table.notes, *_patients_alike(cases), *_not_in_table(cases, root)))


def _understand(row: TableRow) -> _Case:
    case = _Case(row, list(row.repairs), [row.problem] if row.problem else [])
    if row.problem:
        return case
    cells = row.cells
    case.patient_id = _kept(case, lambda: (understand_patient(cells.patient_id), ""), "")
    case.split = _kept(case, lambda: understand_split(cells.split), None)
    case.laterality = _kept(case, lambda: understand_laterality(cells.laterality), None)
    case.view = _kept(case, lambda: understand_view(cells.view), None)
    case.n_masses = _kept(case, lambda: (understand_count(cells.n_masses), ""), None)
    case.spacing_mm = _kept(
        case,
        lambda: understand_spacing(cells.spacing_mm, row=cells.spacing_row_mm, column=cells.spacing_column_mm),
        None,
    )
    return case


def _kept(case: _Case, understand: Callable[[], tuple[_Value, str]], otherwise: _Value) -> _Value:
    """The value understood; what can't be understood becomes a problem of the row, what was repaired a repair."""
    try:
        value, repair = understand()
    except ValueError as error:
        case.problems.append(str(error))
        return otherwise
    if repair:
        case.repairs.append(repair)
    return value


def _find_files(case: _Case, root: Path) -> None:
    """Fill in the paths of a row, and which files they are."""
    if case.row.problem:
        return
    cells = case.row.cells
    if not cells.image:
        case.problems.append("no image is named")
    else:
        case.image = _kept(case, lambda: _inside(cells.image, root, "image"), None)
    if cells.mask:
        case.mask = _kept(case, lambda: _inside(cells.mask, root, "mask"), None)
    elif case.n_masses != 0:
        case.problems.append("no mask is named; name one, or write n_masses 0 for an image known to show no mass")
    case.identity = _kept(case, lambda: (_identity(case.image, root, "image"), ""), None)
    if case.identity is None and case.image is not None and not _names_an_image(case.image):
        case.image = None
    case.mask_identity = _kept(case, lambda: (_identity(case.mask, root, "mask"), ""), None)
    if case.identity is not None and case.identity == case.mask_identity:
        case.problems.append("image and mask are the same file")


def _inside(text: str, root: Path, column: str) -> tuple[PurePosixPath | None, str]:
    # Links inside the folder are followed wherever they lead: whoever made them meant it.
    plain = text.replace("\\", "/")
    if plain.startswith("/"):
        plain = os.path.relpath(plain, root.absolute())
    path = PurePosixPath(os.path.normpath(plain))
    if path.parts[:1] == ("..",) or PureWindowsPath(plain).drive:
        msg = f"the {column} {text!r} lies outside the folder; copy or link it into the folder"
        raise ValueError(msg)
    return path, "" if str(path) == text else f"the path of the {column} read as {path}"


def _identity(path: PurePosixPath | None, root: Path, column: str) -> _Identity | None:
    if path is None:
        return None
    try:
        found = (root / path).stat()
    except FileNotFoundError:
        named = f" {path}" if _names_an_image(path) else ""
        msg = f"the {column}{named} is missing" + ("" if named else "; its cell may belong to another column")
        raise ValueError(msg) from None
    except OSError as error:
        msg = f"the {column} {path} can't be opened: {error.strerror}"
        raise ValueError(msg) from error
    if not stat.S_ISREG(found.st_mode):
        msg = f"the {column} {path} is not a file"
        raise ValueError(msg)
    return found.st_dev, found.st_ino


def _names_an_image(path: PurePosixPath) -> bool:
    """Whether a path that leads nowhere was meant as one; else its cell may hold a patient, and is not repeated."""
    return path.suffix.lower() in _IMAGE_ENDINGS


def _refuse_repetitions(cases: Sequence[_Case]) -> None:
    """One image a row, one mask an image: where a file stands in several rows, nobody can tell which one is meant."""
    images = _by(cases, lambda case: case.identity)
    for group in images.values():
        if len({case.row.cells for case in group}) == 1:
            for case in group[1:]:
                case.problems.append(f"repeats line {group[0].row.line} word for word; delete one of them")
        else:
            for case in group:
                case.problems.append(
                    f"the same image stands in lines {_lines(group)} with other values; keep one row, "
                    "and join the masks of several masses into one file"
                )
    for identity, group in _by(cases, lambda case: case.mask_identity).items():
        others = {case.identity for case in group}
        # One empty mask may serve every image that is known to show no mass.
        if len(others) > 1 and any(case.n_masses != 0 for case in group):
            for case in group:
                case.problems.append(f"the same mask stands in lines {_lines(group)} for several images")
        if identity in images and others != {identity}:
            for case in group:
                case.problems.append(f"the mask is the image of line {images[identity][0].row.line}")


def _by(cases: Iterable[_Case], key: Callable[[_Case], _Identity | None]) -> dict[_Identity, list[_Case]]:
    groups: dict[_Identity, list[_Case]] = {}
    for case in cases:
        identity = key(case)
        if identity is not None:
            groups.setdefault(identity, []).append(case)
    return groups


def _lines(cases: Iterable[_Case]) -> str:
    lines = [str(case.row.line) for case in cases]
    return ", ".join(lines[:5]) + (f" and {len(lines) - 5} more" if len(lines) > 5 else "")


def _check_sizes(cases: Sequence[_Case], root: Path, on_progress: OnProgress | None) -> None:
    """Read the headers of images and masks, several at a time, and compare the sizes."""
    look_at_each(lambda case: _check_size(case, root), cases, on_progress)


def _check_size(case: _Case, root: Path) -> None:
    if case.problems or case.image is None:
        return
    try:
        image = read_size(root / case.image)
        mask = image if case.mask is None else read_size(root / case.mask)
    except ReadError as error:
        case.problems.append(str(error))
        return
    case.size = image
    if image == mask:
        return
    try:
        case.repairs.append(resizing(mask, image))
    except ReadError as error:
        case.problems.append(str(error))


def _not_in_table(cases: Sequence[_Case], root: Path) -> tuple[str, ...]:
    """A remark on images that lie beside the named ones and stand in no row."""
    named = {path for case in cases for path in (case.image, case.mask) if path is not None}
    forgotten: list[str] = []
    for folder in sorted({path.parent for path in named}):
        if (root / folder).is_dir():
            forgotten += sorted(
                str(folder / entry.name)
                for entry in os.scandir(root / folder)
                if PurePosixPath(entry.name).suffix.lower() in _IMAGE_ENDINGS and folder / entry.name not in named
            )
    if not forgotten:
        return ()
    return (f"{len(forgotten)} files beside the named ones stand in no row, {printable(forgotten[0])} for one",)


def _patients_alike(cases: Sequence[_Case]) -> tuple[str, ...]:
    """A remark on patients whose names differ in nothing but capitals and blanks."""
    spellings: dict[str, set[str]] = {}
    for case in cases:
        spellings.setdefault("".join(case.patient_id.casefold().split()), set()).add(case.patient_id)
    count = sum(len(found) > 1 for found in spellings.values())
    if not count:
        return ()
    remark = "written in several ways (capitals, blanks), each read as another patient; write each always alike"
    return (f"{count} patients are {remark}",)


def _dataset(root: Path, cases: Sequence[_Case], notes: tuple[str, ...]) -> DataSet:
    names = _case_names(cases)
    samples = [_sample(case, name, root) for case, name in zip(cases, names, strict=True) if not case.problems]
    shared = {sample.case for sample in shared_between_sides(samples)}
    for case, name in zip(cases, names, strict=True):
        if name in shared and not case.problems:
            case.problems.append(SHARED_PATIENT)
    rows = tuple(
        LedgerRow(
            case=name,
            status="refused" if case.problems else "repaired" if case.repairs else "read",
            reason="; ".join(case.problems + case.repairs),
            line=case.row.line,
            n_masses=case.n_masses,
            image="" if case.image is None else str(case.image),
            rows=case.size[0] if case.size else None,
            columns=case.size[1] if case.size else None,
        )
        for case, name in zip(cases, names, strict=True)
    )
    return DataSet(root.resolve().name, root, tuple(samples), Ledger(rows, notes), read_source(root))


def _case_names(cases: Sequence[_Case]) -> list[str]:
    """Each image's relative path without its ending; with it where two images would share the name."""
    names = [str(case.image.with_suffix("")) if case.image is not None else f"(line {case.row.line})" for case in cases]
    # The second round is for the likes of a.png, a.dcm and a.png.dcm.
    for _ in range(2):
        holders = Counter(dict.fromkeys(zip(names, (case.image for case in cases), strict=True)).keys())
        times = Counter(name for name, _ in holders)
        names = [
            str(case.image) if case.image is not None and times[name] > 1 else name
            for name, case in zip(names, cases, strict=True)
        ]
    return names


def _sample(case: _Case, name: str, root: Path) -> Sample:
    if case.image is None:  # such a row has a problem and never comes here
        raise AssertionError
    cells = case.row.cells
    return Sample(
        case=name,
        image_path=root / case.image,
        mask_paths=() if case.mask is None else (root / case.mask,),
        patient_id=case.patient_id,
        split=case.split,
        laterality=case.laterality,
        view=case.view,
        spacing_mm=case.spacing_mm,
        properties=MassProperties(
            breast_density=cells.breast_density,
            birads=cells.birads,
            pathology=cells.pathology,
            subtlety=cells.subtlety,
            mass_shape=cells.mass_shape,
            mass_margins=cells.mass_margins,
        ),
    )

"""CBIS-DDSM's own tables, the four case descriptions, taken apart into one record a finding."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aunet.datasets.released_table import read_lines
from aunet.errors import DatasetError
from aunet.sample import Laterality, View

Kind = Literal["mass", "calcification"]
Side = Literal["train", "test"]

_FILE_WORDS: dict[Kind, str] = {"mass": "mass", "calcification": "calc"}
_CASE_WORDS: dict[Kind | Side, str] = {"mass": "Mass", "calcification": "Calc", "train": "Training", "test": "Test"}
_LATERALITIES: dict[str, Laterality] = {"LEFT": "L", "RIGHT": "R"}
_VIEWS: dict[str, View] = {"CC": "CC", "MLO": "MLO"}
_REQUIRED = ("patient_id", "left_or_right_breast", "image_view", "abnormality_id")
_PATHS = ("image_file_path", "cropped_image_file_path", "roi_mask_file_path")
_NUMBERS = {"breast_density": "breast density", "assessment": "assessment", "subtlety": "subtlety"}
_WORDS = {"mass_shape": "mass shape", "mass_margins": "mass margins", "pathology": "pathology"}
_USED = frozenset({*_REQUIRED, *_PATHS, *_NUMBERS, *_WORDS, "abnormality_type"})
_ONLY_IN: dict[Kind, frozenset[str]] = {"mass": frozenset({"mass_shape", "mass_margins"}), "calcification": frozenset()}


@dataclass(frozen=True, slots=True)
class TableName:
    """Which of the four tables: the kind of its findings, and its side of the split."""

    kind: Kind
    side: Side

    @property
    def file_name(self) -> str:
        """As TCIA calls the file."""
        return f"{_FILE_WORDS[self.kind]}_case_description_{self.side}_set.csv"


TABLES = tuple(TableName(kind, side) for kind in get_args(Kind) for side in get_args(Side))


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of a table: one mass, or one group of calcifications, in one image."""

    table: TableName
    line: int
    """Line of the table where the row begins; the header is line 1."""
    cells: tuple[str, ...]
    """All cells, without the blanks and line ends around them."""
    case: str = ""
    """Name of the image as in the data set's folders, "Mass-Training_P_00001_LEFT_CC"; "" where the row has none."""
    patient_id: str = ""
    laterality: Laterality | None = None
    view: View | None = None
    number: int = 0
    """The table's abnormality id; counts from 1."""
    breast_density: str = ""
    birads: str = ""
    pathology: str = ""
    subtlety: str = ""
    mass_shape: str = ""
    mass_margins: str = ""
    image_path: str = ""
    crop_path: str = ""
    mask_path: str = ""
    repairs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the row can't be used."""

    @property
    def folder(self) -> str:
        """Name of the folder with the finding's crop and mask."""
        return f"{self.case}_{self.number}"


def read_case_table(path: Path, table: TableName) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings of one table, and remarks on the table as a whole.

    Args:
        path: The table; the names of its columns may be written with blanks or underscores.
        table: Which of the four it is.

    Returns:
        One finding for each row, those that can't be used included, and one sentence for each remark.

    Raises:
        DatasetError: The table as a whole can't be used.
    """
    lines = read_lines(path, remedy="download the table again")
    if not lines:
        msg = f"{path} is empty; download it again"
        raise DatasetError(msg)
    header = [re.sub(r"[\s_]+", "_", name.strip().lower()) for name in lines[0][1]]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        # Only known names are repeated: where the header is missing, the first line may hold anything.
        found = ", ".join(name for name in header if name in _USED) or "none that is known"
        msg = f"{path}, line 1: missing columns: {', '.join(missing)}; found: {found}; download the table again"
        raise DatasetError(msg)
    twice = sorted({name for name in header if name in _USED and header.count(name) > 1})
    if twice:
        msg = f"{path}, line 1: the columns {', '.join(twice)} stand there more than once; download the table again"
        raise DatasetError(msg)
    findings = tuple(_finding(table, line, cells, header) for line, cells in lines[1:])
    remarks = _remarks(table, lines[1:], header)
    if "left_or_right_breast" in (name.strip().lower() for name in lines[0][1]):
        remarks.append(f"{table.file_name}: the columns' names are written with underscores; read as blanks")
    return findings, tuple(remarks)


def _remarks(table: TableName, lines: Sequence[tuple[int, list[str]]], header: Sequence[str]) -> list[str]:
    remarks = [] if lines else [f"{table.file_name} has a header and no row; download it again"]
    ends = sum(cell != cell.rstrip("\r\n") for _, cells in lines for cell in cells)
    if ends:
        remarks.append(f"{table.file_name}: {ends} cells end in a line break; read without it")
    wanted = {*_PATHS, *_NUMBERS, *_WORDS} - (_ONLY_IN["mass"] - _ONLY_IN[table.kind])
    missing = sorted(wanted - set(header))
    if missing:
        remarks.append(f"{table.file_name}: no column {', '.join(missing)}; left blank")
    unused = sum(name not in _USED for name in header)
    if unused:
        known = sorted({"calc_type", "calc_distribution"} & set(header))
        remarks.append(f"{table.file_name}: {unused} columns not used" + (f" ({', '.join(known)})" if known else ""))
    return remarks


def _finding(table: TableName, line: int, raw: list[str], header: list[str]) -> Finding:
    cells = tuple(cell.strip() for cell in raw)
    if len(cells) != len(header):
        problem = f"the row has {len(cells)} cells, the header {len(header)}; download the table again"
        return Finding(table, line, cells, problems=(problem,))
    if any(mark in cell for cell in cells for mark in "\r\n"):
        problem = "a cell holds a line break; a quotation mark is missing in this row or above it"
        return Finding(table, line, cells, problems=(problem,))
    named = dict(zip(header, cells, strict=True))
    problems = _identity_problems(named)
    if problems:
        return Finding(table, line, cells, problems=tuple(problems))
    patient_id, breast, view = named["patient_id"], named["left_or_right_breast"].upper(), named["image_view"].upper()
    case = f"{_CASE_WORDS[table.kind]}-{_CASE_WORDS[table.side]}_{patient_id}_{breast}_{view}"
    repairs: list[str] = []
    density, birads, subtlety = (_number(named, column, repairs) for column in _NUMBERS)
    shape, margins, pathology = (_words(named, column, repairs) for column in _WORDS)
    image_path, crop_path, mask_path = (named.get(column, "") for column in _PATHS)
    number = int(named["abnormality_id"].partition(".")[0])
    return Finding(
        table, line, cells, case, patient_id, _LATERALITIES[breast], _VIEWS[view], number,
        density, birads, pathology, subtlety, shape, margins, image_path, crop_path, mask_path,
        tuple(repairs), tuple(_contradictions(case, number, named, table)),
    )  # fmt: skip


def _identity_problems(named: dict[str, str]) -> list[str]:
    """What keeps a row from saying which image and which finding it means."""
    # No cell is repeated: where columns are mixed up, any of them may hold anything.
    problems = []
    if not re.fullmatch(r"P_[0-9]{5}", named["patient_id"]):
        problems.append("patient_id is none of CBIS-DDSM, expected P_ and five digits")
    if named["left_or_right_breast"].upper() not in _LATERALITIES:
        problems.append("the breast is neither LEFT nor RIGHT")
    if named["image_view"].upper() not in _VIEWS:
        problems.append("the image view is neither CC nor MLO")
    if not re.fullmatch(r"[1-9][0-9]?(\.0+)?", named["abnormality_id"]):
        problems.append("the abnormality id is no whole number from 1")
    return problems


def _contradictions(case: str, number: int, named: dict[str, str], table: TableName) -> list[str]:
    problems = []
    kind = named.get("abnormality_type", "").lower()
    if kind and kind != table.kind:
        problems.append(f"the abnormality type is not {table.kind}, yet the row stands in {table.file_name}")
    for column, expected in zip(_PATHS, (case, f"{case}_{number}", f"{case}_{number}"), strict=True):
        folder = named.get(column, "").replace("\\", "/").partition("/")[0]
        if CASE_FOLDER.fullmatch(folder) and folder != expected:
            problems.append(f"the columns mean {expected}, the {column.replace('_', ' ')} {folder}")
    return problems


CASE_FOLDER = re.compile(r"(?:Mass|Calc)-(?:Training|Test)_P_[0-9]{5}_(?:LEFT|RIGHT)_(?:CC|MLO)(?:_[1-9][0-9]?)?")
"""A folder of the data set: of a full image, or with a number behind it of one finding's crop and mask."""


def _number(named: dict[str, str], column: str, repairs: list[str]) -> str:
    text = named.get(column, "")
    found = re.fullmatch(r"([0-9])(\.0+)?", text)
    if found is not None:
        return found[1]
    if text:
        repairs.append(f"the {_NUMBERS[column]} is no number from 0 to 9; left blank")
    return ""


def _words(named: dict[str, str], column: str, repairs: list[str]) -> str:
    text = named.get(column, "")
    if text in {"", "N/A"}:
        return ""
    if not re.fullmatch(r"[A-Za-z]+(?:[-_ ][A-Za-z]+)*", text):
        repairs.append(f"the {_WORDS[column]} is none of CBIS-DDSM's terms; left blank")
        return ""
    return text

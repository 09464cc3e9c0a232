"""Reading `cases.csv` as text: its encoding, its delimiter, its columns, its rows. Nothing is understood yet."""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from aunet.errors import DatasetError

REQUIRED = ("image", "mask", "patient_id")
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one row, by column, as text; "" where the table has no such column."""

    image: str = ""
    mask: str = ""
    patient_id: str = ""
    split: str = ""
    laterality: str = ""
    view: str = ""
    spacing_mm: str = ""
    spacing_row_mm: str = ""
    spacing_column_mm: str = ""
    n_masses: str = ""
    breast_density: str = ""
    birads: str = ""
    pathology: str = ""
    subtlety: str = ""
    mass_shape: str = ""
    mass_margins: str = ""


COLUMNS = tuple(field.name for field in fields(Cells))


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the table."""

    line: int
    """Line in the file where the row ends; the header is line 1."""
    cells: Cells
    repairs: tuple[str, ...] = ()
    problem: str = ""
    """Why the row can't be taken apart into cells; "" where it can."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table, and what was repaired or left out in the table as a whole."""

    columns: tuple[str, ...]
    """Columns that are used."""
    rows: tuple[TableRow, ...]
    delimiter: str
    notes: tuple[str, ...]


def read_table(path: Path) -> Table:
    """The rows of `cases.csv`, taken apart into cells.

    Args:
        path: A table in UTF-8 (or UTF-16 with its mark) with at least the columns image, mask and patient_id.

    Returns:
        One entry for each row, those that can't be taken apart included. Lines without any character are no rows.

    Raises:
        DatasetError: The table as a whole can't be used; the message says why and what to do.
    """
    text, notes = _text(path)
    delimiter = _delimiter(path, text)
    if delimiter != ",":
        notes.append(f"the cells are separated by {_DELIMITERS[delimiter]}, not commas; read so")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: {error}; check the quotation marks there, or save the table again"
        raise DatasetError(msg) from error
    header = _header(path, lines[0][1], notes)
    rows = tuple(_row(line, cells, header) for line, cells in lines[1:])
    if not rows:
        msg = f"{path} has a header and no row; write one row for each image"
        raise DatasetError(msg)
    return Table(tuple(name for name in header if name in COLUMNS), rows, delimiter, tuple(notes))


def _text(path: Path) -> tuple[str, list[str]]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        msg = f"{path.parent} holds no {path.name}; write one with the columns {', '.join(REQUIRED)}"
        raise DatasetError(msg) from error
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}"
        raise DatasetError(msg) from error
    encoding, notes = "utf-8", []
    for mark, name in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            raw, encoding = raw[len(mark) :], name
            notes.append(f"the table begins with a byte order mark; read as {name.upper()}")
            break
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        msg = f"{path} is not {encoding.upper()} text (byte {error.start}); save it as CSV in UTF-8"
        raise DatasetError(msg) from error
    if "\0" in text:
        msg = f"{path} is not a text table (it holds zero bytes); save it as CSV in UTF-8"
        raise DatasetError(msg)
    if not text.strip():
        msg = f"{path} is empty; write a header with the columns {', '.join(REQUIRED)} and one row for each image"
        raise DatasetError(msg)
    return text, notes


def _delimiter(path: Path, text: str) -> str:
    first = next(line for line in re.split("[\r\n]", text) if line)
    for delimiter in _DELIMITERS:
        try:
            names = _names(next(csv.reader([first], delimiter=delimiter), []))
        except csv.Error:
            continue
        if set(REQUIRED) <= set(names):
            return delimiter
    names = _names(first.split(","))
    missing = ", ".join(name for name in REQUIRED if name not in names)
    # Only known names are repeated: where the header is missing, the first line holds a patient.
    found = ", ".join(name for name in names if name in COLUMNS) or "none that is known"
    msg = f"{path}, line 1: missing columns: {missing}; found: {found}; expected at least {','.join(REQUIRED)}"
    raise DatasetError(msg)


def _names(cells: Iterable[str]) -> list[str]:
    return [cell.strip().strip('"').strip().lower() for cell in cells]


def _header(path: Path, cells: list[str], notes: list[str]) -> list[str]:
    header = _names(cells)
    twice = sorted({name for name in header if name in COLUMNS and header.count(name) > 1})
    if twice:
        msg = f"{path}, line 1: the columns {', '.join(twice)} stand there more than once; keep one of each"
        raise DatasetError(msg)
    if any(name != cell for name, cell in zip(header, cells, strict=True)):
        notes.append("column names were read without capitals and surrounding blanks")
    unused = [name or "(no name)" for name in header if name not in COLUMNS]
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    return header


def _row(line: int, cells: list[str], header: list[str]) -> TableRow:
    repairs: list[str] = []
    if len(cells) > len(header) and not any(cell.strip() for cell in cells[len(header) :]):
        repairs.append(f"{len(cells) - len(header)} blank cells at the end of the row left out")
        cells = cells[: len(header)]
    by_name = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if name in COLUMNS}
    if any(cell != cell.strip() for cell in cells):
        repairs.append("blanks around cells removed")
    problem = ""
    if not any(cell.strip() for cell in cells):
        problem = "the row is blank; delete it"
    elif len(cells) != len(header):
        problem = f"the row has {len(cells)} cells, the header {len(header)}; a delimiter or quotation mark is wrong"
    elif any(mark in cell for cell in by_name.values() for mark in "\r\n"):
        problem = "a cell holds a line break; a quotation mark is missing in this row or above it"
    return TableRow(line, Cells(**by_name), tuple(repairs), problem)

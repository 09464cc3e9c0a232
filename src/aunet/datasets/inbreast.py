"""INbreast as it was published: its table, its DICOM files, its outlines, and what has to be repaired or refused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from aunet.datasets.dataset import DataSet
from aunet.datasets.inbreast_tree import VIEWS, Files, ImageFile, entries, find, look_at
from aunet.datasets.ledger import Expectation, Ledger, LedgerRow, Status, printable
from aunet.datasets.released_table import read_lines
from aunet.datasets.side_by_side import OnProgress, look_at_each
from aunet.datasets.source import Source, read_source
from aunet.errors import DatasetError, ReadError
from aunet.io.contours import fill_regions, named_regions, read_regions
from aunet.io.files import HeaderFacts, read_header_facts
from aunet.sample import Laterality, MassProperties, Sample, View

_Word = TypeVar("_Word", bound=str)

SOURCE = Source("INbreast, Moreira et al. 2012, doi 10.1016/j.acra.2011.09.014", "on the terms agreed with its owners")

MASS_NAMES = ("Mass",)
"""Names of the outlines that are masses; spiculated regions, clusters and the like are findings of their own."""

_TABLE, _SHEET, _DICOMS, _OUTLINES = "INbreast.csv", "INbreast.xls", "AllDICOMs", "AllXML"
_COLUMNS = ("laterality", "view", "acquisition date", "file name", "acr", "bi-rads")
_NUMBER = re.compile(r"([0-9]{1,12})(?:\.0+)?")
_NO_FINDING = "1"
_IMAGES, _CASES, _IMAGES_WITH_MASS, _MASSES = 410, 115, 107, 116


@dataclass(slots=True)
class _Case:
    """A row on its way to a sample: what was understood, repaired, left out, and what is wrong so far."""

    name: str
    line: int = 0
    cells: tuple[str, ...] = ()
    repairs: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    laterality: Laterality | None = None
    view: View | None = None
    date: str = ""
    breast_density: str = ""
    birads: str = ""
    image: ImageFile | None = None
    facts: HeaderFacts | None = None
    outline: Path | None = None
    n_masses: int | None = None
    is_known: bool = False
    """The row says which image it is, and says it first."""


def read_inbreast(root: Path, *, only_with_mass: bool = True, on_progress: OnProgress | None = None) -> DataSet:
    """INbreast from the folder it was unpacked to.

    `INbreast.csv`, `AllDICOMs` and `AllXML` are looked for in the folder and up to two levels below. Headers and
    outlines are read, pixels are not. Patients are told apart by the pseudonym in the name of the DICOM file, since the
    table's patient is "removed" everywhere; it stands in no message and not in the ledger.

    Args:
        root: The folder of the release, or one above it.
        only_with_mass: Use the images with an outline named Mass, and leave the others out in the ledger.
        on_progress: Called with the number of images looked at and their total.

    Returns:
        The samples that can be used, and a ledger with one row for each row of the table and for each file in no row.

    Raises:
        DatasetError: The table or a folder is missing, there twice, or can't be used as a whole.

    Source:
        Moreira et al. 2012, doi 10.1016/j.acra.2011.09.014, for the counts of images, cases and masses.
    """
    if not root.is_dir():
        msg = f"{root} is not a folder; name the folder that holds {_TABLE}, {_DICOMS} and {_OUTLINES}"
        raise DatasetError(msg)
    table = find(root, _TABLE, Path.is_file)
    cases = _read_table(table)
    files = look_at(find(root, _DICOMS, Path.is_dir), find(root, _OUTLINES, Path.is_dir))
    notes = [f"{files.others} files in {_DICOMS} and {_OUTLINES} are of other kinds; not used"] if files.others else []
    marked = _read_sheet(table.parent, notes)
    cases += _without_row(cases, files)
    known = [case for case in cases if case.is_known]
    look_at_each(lambda case: _look(case, files, marked, only_with_mass=only_with_mass), known, on_progress)
    samples = tuple(_sample(case) for case in cases if case.is_known and not case.problems and not case.left_out)
    ledger = Ledger(tuple(_ledger_row(case) for case in cases), tuple(notes), _expectations(known))
    return DataSet(root.resolve().name, root, samples, ledger, read_source(root, beside=table, otherwise=SOURCE))


def _read_table(path: Path) -> list[_Case]:
    """One case for each row of the table.

    Raises:
        DatasetError: The table as a whole can't be used.
    """
    # The release has semicolons; a spreadsheet that saved it again may have written commas.
    lines = read_lines(path, delimiters=";,", remedy="take the table from the release again")
    header = [" ".join(cell.lower().split()) for cell in lines[0][1]] if lines else []
    wrong = [name for name in _COLUMNS if header.count(name) != 1]
    if wrong or len(lines) < 2:
        what = f"columns missing or there twice: {', '.join(wrong)}" if wrong else "a header and no row"
        msg = f"{path}: {what}; take the table from the release again"
        raise DatasetError(msg)
    cases = [_understand(line, [cell.strip() for cell in cells], header) for line, cells in lines[1:]]
    _refuse_repetitions(cases)
    return cases


def _understand(line: int, cells: Sequence[str], header: Sequence[str]) -> _Case:
    """A row, understood; no cell is repeated in a message, since in a shifted row any of them may hold anything."""
    case = _Case(f"(line {line})", line, tuple(cells))
    if len(cells) != len(header):
        case.problems.append(f"the row has {len(cells)} cells, the header {len(header)}; a delimiter is wrong")
        return case
    named = dict(zip(header, cells, strict=True))
    number = _NUMBER.fullmatch(named["file name"])
    if number is None:
        case.problems.append("the file name is no number; take the table from the release again")
        return case
    case.name, case.is_known = number[1], True
    case.date = named["acquisition date"]
    side, view = named["laterality"].upper(), VIEWS.get(named["view"].upper())
    if side in {"L", "R"}:
        case.laterality = "L" if side == "L" else "R"
    else:
        case.repairs.append("the table's laterality is neither L nor R; not used")
    case.view = view
    if view is None:
        case.repairs.append("the table's view is neither CC nor MLO; not used")
    case.breast_density = _matching(case, named["acr"], "[1-4]", "ACR")
    case.birads = _matching(case, named["bi-rads"].lower(), "[0-6]|4[abc]", "Bi-Rads")
    return case


def _matching(case: _Case, text: str, pattern: str, column: str) -> str:
    if re.fullmatch(pattern, text):
        return text
    case.repairs.append(f"{column} is {'blank' if not text else 'none of its categories'}; left blank")
    return ""


def _refuse_repetitions(cases: Sequence[_Case]) -> None:
    groups: dict[str, list[_Case]] = {}
    for case in cases:
        if case.is_known:
            groups.setdefault(case.name, []).append(case)
    for group in groups.values():
        if len({case.cells for case in group}) == 1:
            for case in group[1:]:
                case.is_known = False
                case.problems.append(f"repeats line {group[0].line} word for word; delete one of them")
        else:
            lines = ", ".join(str(case.line) for case in group)
            for case in group:
                case.is_known = False
                case.problems.append(f"the same image stands in lines {lines} with other values; keep one of them")


def _read_sheet(folder: Path, notes: list[str]) -> Mapping[str, bool]:
    """Whether `INbreast.xls` marks a mass, by image; nothing, with a note, where it is missing or can't be read."""
    path = next((entry for entry in entries(folder) if entry.name.lower() == _SHEET.lower()), None)
    if path is None:
        notes.append(f"{_SHEET} is not there; which images show a mass is told by {_OUTLINES} alone")
        return {}
    try:
        sheet = pd.read_excel(path, dtype=str, keep_default_na=False)
    except ImportError:
        notes.append(f"{_SHEET} is not compared: no reader for it; install xlrd to have it compared with {_OUTLINES}")
        return {}
    except Exception:  # noqa: BLE001  (pandas passes on what its reader raises; xlrd's error is a plain Exception)
        notes.append(f"{_SHEET} can't be read and is not compared; take it from the release again")
        return {}
    columns = {" ".join(str(name).lower().split()): name for name in sheet.columns}
    if not {"file name", "mass"} <= columns.keys():
        notes.append(f"{_SHEET} is without the columns File Name and Mass and is not compared")
        return {}
    pairs = zip(sheet[columns["file name"]], sheet[columns["mass"]], strict=True)
    return {
        number[1]: bool(str(mark).strip()) for name, mark in pairs if (number := _NUMBER.fullmatch(str(name).strip()))
    }


def _without_row(cases: Sequence[_Case], files: Files) -> list[_Case]:
    """A case for each image and each outline that stands in no row."""
    known = {case.name for case in cases}
    extra: list[_Case] = []
    for number in sorted((files.images.keys() | files.outlines.keys()) - known):
        there = [kind for kind, found in ((_DICOMS, files.images), (_OUTLINES, files.outlines)) if number in found]
        # The name of an outline is any text; the numbers of INbreast are printed, and nothing else.
        name = number if _NUMBER.fullmatch(number) else f"(file {len(extra) + 1} without a row)"
        problem = f"lies in {' and '.join(there)} and stands in no row of {_TABLE}"
        extra.append(_Case(name, problems=[problem]))
    for count in range(files.unnamed):
        problem = f"lies in {_DICOMS}, its name not NUMBER_PATIENT_MG_SIDE_VIEW_ANON.dcm; give it its name again"
        extra.append(_Case(f"(unnamed file {count + 1})", problems=[problem]))
    return extra


def _look(case: _Case, files: Files, marked: Mapping[str, bool], *, only_with_mass: bool) -> None:
    """Fill in the image and the masses of a row."""
    _look_at_image(case, files.images.get(case.name, []))
    _look_at_outlines(case, files.outlines.get(case.name, []))
    if case.name in marked and case.n_masses is not None and marked[case.name] != bool(case.n_masses):
        says = "marks a mass" if marked[case.name] else "marks no mass"
        case.repairs.append(f"{_SHEET} {says}, the outlines show {case.n_masses}; the outlines are used")
    if only_with_mass and case.n_masses == 0:
        case.left_out.append("no outline is named Mass")


def _look_at_image(case: _Case, found: Sequence[ImageFile]) -> None:
    if len(found) != 1:
        what = f"{len(found)} files bear this number" if found else "no file bears this number"
        case.problems.append(f"{what} in {_DICOMS}, expected one; take the images from the release again")
        return
    image = case.image = found[0]
    try:
        facts = case.facts = read_header_facts(image.path)
    except ReadError as error:
        # The path holds the pseudonym.
        case.problems.append(str(error).replace(str(image.path), image.masked_name))
        return
    case.repairs += facts.notes
    case.laterality = _agreed(
        case, "laterality", (("header", facts.laterality), ("file name", image.laterality), ("table", case.laterality))
    )
    case.view = _agreed(case, "view", (("header", facts.view), ("file name", image.view), ("table", case.view)))


def _agreed(case: _Case, what: str, stated: Sequence[tuple[str, _Word | None]]) -> _Word | None:
    """The first of several statements, with a note where they contradict each other."""
    said = [(source, value) for source, value in stated if value is not None]
    if len({value for _, value in said}) > 1:
        found = ", ".join(f"{value} in the {source}" for source, value in said)
        case.repairs.append(f"{what} is {found}; the first is used")
    return next((value for _, value in said), None)


def _look_at_outlines(case: _Case, found: Sequence[Path]) -> None:
    if len(found) > 1:
        case.problems.append(f"{len(found)} files bear this number in {_OUTLINES}, expected one; keep one of them")
    elif found:
        case.outline = found[0]
        _count_masses(case, found[0])
    elif case.birads == _NO_FINDING:
        case.n_masses = 0
    else:
        case.problems.append(
            f"{_OUTLINES} holds no outlines, yet Bi-Rads is {case.birads or 'blank'}, and only {_NO_FINDING} means no "
            "finding; take the outlines from the release again"
        )


def _count_masses(case: _Case, outline: Path) -> None:
    try:
        regions = read_regions(outline)
        masses = named_regions(regions, MASS_NAMES)
        case.n_masses = len(masses)
        if len(masses) < len(regions):
            case.remarks.append(
                f"{len(regions) - len(masses)} of {len(regions)} outlines are of other findings; not used"
            )
        if masses and case.facts is not None:
            filled = fill_regions(masses, case.facts.shape)
            case.repairs += filled.notes
            if filled.instances is not None:
                # A mark of one or two points may be named Mass too, and is none.
                case.n_masses = len(np.unique(filled.instances[filled.pixels]))
    except ReadError as error:
        case.problems.append(str(error).replace(str(outline), printable(f"{outline.parent.name}/{outline.name}")))


def _expectations(known: Sequence[_Case]) -> tuple[Expectation, ...]:
    with_image = [case for case in known if case.image is not None]
    masses = [case.n_masses for case in known if case.n_masses]
    return (
        Expectation("images", _IMAGES, len(with_image)),
        # The publication counts a woman who came twice as two cases.
        Expectation(
            "cases (a patient at a date of acquisition)",
            _CASES,
            len({(case.image.patient, case.date) for case in with_image if case.image is not None}),
        ),
        Expectation("images with a mass", _IMAGES_WITH_MASS, len(masses)),
        Expectation("masses", _MASSES, sum(masses)),
    )


def _ledger_row(case: _Case) -> LedgerRow:
    status: Status = "read"
    # What the user leaves out is left out whole or broken.
    if case.left_out:
        status = "left_out"
    elif case.problems:
        status = "refused"
    elif case.repairs:
        status = "repaired"
    return LedgerRow(
        case=case.name,
        status=status,
        reason="; ".join(case.left_out + case.problems + case.repairs + case.remarks),
        line=case.line,
        n_masses=case.n_masses,
        image="" if case.image is None else case.image.masked_name,
        rows=None if case.facts is None else case.facts.shape[0],
        columns=None if case.facts is None else case.facts.shape[1],
        bits_stored=None if case.facts is None else case.facts.bits_stored,
    )


def _sample(case: _Case) -> Sample:
    if case.image is None or case.facts is None:  # such a row has a problem and never comes here
        raise AssertionError
    has_mass = case.outline is not None and bool(case.n_masses)
    return Sample(
        case=case.name,
        image_path=case.image.path,
        mask_paths=(case.outline,) if has_mass and case.outline is not None else (),
        patient_id=case.image.patient.lower(),
        laterality=case.laterality,
        view=case.view,
        spacing_mm=case.facts.spacing_mm,
        properties=MassProperties(breast_density=case.breast_density, birads=case.birads),
        region_names=MASS_NAMES if has_mass else (),
    )

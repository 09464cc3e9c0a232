"""Understanding the cells of `cases.csv`: each function gives the value and what was repaired ("" where nothing).

No error repeats a cell: where columns are mixed up, any cell may hold a patient's name.
"""

import math
import re
from collections.abc import Mapping
from typing import Literal, TypeVar

from aunet.sample import Laterality, Spacing, Split, View

_Word = TypeVar("_Word", bound=str)

_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
    "testing": "test",
}
_LATERALITIES: dict[str, Laterality] = {"l": "L", "left": "L", "r": "R", "right": "R"}
_VIEWS: dict[str, View] = {"cc": "CC", "mlo": "MLO"}
# What tables hold where a patient is not known; taken as a name it would make one patient of many.
_NO_PATIENT = frozenset({"", "nan", "na", "n/a", "none", "null", "unknown", "anonymous", "anonymized", "-", "?"})
_LARGEST_SPACING_MM = 10.0


def understand_split(text: str) -> tuple[Split | None, str]:
    """The side of the split that a cell names; None for a blank cell.

    Args:
        text: A cell of the column split.

    Returns:
        The side and what was repaired; a cell that names none is a `ValueError`.
    """
    return _one_of("split", text, _SPLITS)


def understand_laterality(text: str) -> tuple[Laterality | None, str]:
    """The laterality that a cell names; None for a blank cell.

    Args:
        text: A cell of the column laterality.

    Returns:
        The laterality and what was repaired; a cell that names none is a `ValueError`.
    """
    return _one_of("laterality", text, _LATERALITIES)


def understand_view(text: str) -> tuple[View | None, str]:
    """The view that a cell names; None for a blank cell.

    Args:
        text: A cell of the column view.

    Returns:
        The view and what was repaired; a cell that names none is a `ValueError`.
    """
    return _one_of("view", text, _VIEWS)


def understand_patient(text: str) -> str:
    """The patient that a cell names.

    Args:
        text: A cell of the column patient_id.

    Returns:
        The cell as it is.

    Raises:
        ValueError: The cell names nobody.
    """
    if text.lower() in _NO_PATIENT:
        msg = "patient_id names nobody; give each patient a name of their own, since splits are by patient"
        raise ValueError(msg)
    return text


def understand_count(text: str) -> int | None:
    """The number of masses in an image; None for a blank cell.

    Args:
        text: A cell of the column n_masses.

    Returns:
        A number from 0.

    Raises:
        ValueError: The cell holds something else.
    """
    if not text:
        return None
    # Spreadsheets write 2.0 for 2; `int` alone would also take "1_0" and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,4}(\.0+)?", text):
        msg = "n_masses is no whole number from 0; correct it, or leave it blank"
        raise ValueError(msg)
    return int(text.partition(".")[0])


def understand_spacing(both: str, *, row: str, column: str) -> tuple[Spacing | None, str]:
    """The (row, column) millimetres a pixel; None where the cells are blank.

    Args:
        both: A cell of the column spacing_mm: one number, or two (row, column) with a
            blank, "x" or a backslash between.
        row: A cell of the column spacing_row_mm.
        column: A cell of the column spacing_column_mm.

    Returns:
        The spacing and what was repaired.

    Raises:
        ValueError: The cells hold no numbers, contradict each other, or the numbers are no spacing.
    """
    named = [text for text in (both, row, column) if text]
    if not named:
        return None, ""
    if both and (row or column):
        msg = "both spacing_mm and spacing_row_mm or spacing_column_mm are filled; keep one of them"
        raise ValueError(msg)
    if not both and len(named) == 1:
        msg = "only one of spacing_row_mm and spacing_column_mm is filled; fill both"
        raise ValueError(msg)
    parts = [part for part in re.split(r"[\s\\x]+", both) if part] if both else [row, column]
    repair = "decimal commas of the spacing read as points" if any("," in part for part in parts) else ""
    numbers = [_millimetres(part) for part in parts]
    if not 1 <= len(numbers) <= 2:
        msg = f"spacing_mm holds {len(numbers)} numbers; expected one number or two (row, column)"
        raise ValueError(msg)
    return (numbers[0], numbers[-1]), repair


def _millimetres(text: str) -> float:
    try:
        number = float(re.sub(r"^([0-9]*),([0-9]+)$", r"\1.\2", text))
    except ValueError:
        msg = "the spacing is no number; expected millimetres a pixel, as in 0.07"
        raise ValueError(msg) from None
    if not (math.isfinite(number) and 0 < number <= _LARGEST_SPACING_MM):
        msg = "the spacing is impossible; expected millimetres a pixel, as in 0.07"
        raise ValueError(msg)
    return number


def _one_of(
    column: Literal["split", "laterality", "view"], text: str, known: Mapping[str, _Word]
) -> tuple[_Word | None, str]:
    if not text:
        return None, ""
    if text.lower() not in known:
        expected = ", ".join(dict.fromkeys(known.values()))
        msg = f"{column} is none of {expected}; correct it, or leave it blank"
        raise ValueError(msg)
    value = known[text.lower()]
    return value, "" if text == value else f"{column} {text!r} read as {value}"

"""Values of a DICOM header's elements, read without trusting them.

pydicom's own errors quote the value, or bytes around it, so they are not chained to ours.
"""

import math

from pydicom import Dataset

from aunet.errors import DicomReadError
from aunet.io.damage import DAMAGE

_TERMS = frozenset({
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "ARGB", "CMYK", "HSV",
    "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT",
    "BMD", "CR", "CT", "DOC", "DX", "ECG", "ES", "GM", "IO", "KO", "MG", "MR", "NM", "OCT", "OP", "OT", "PR", "PT",
    "PX", "REG", "RF", "RG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "SC", "SEG", "SM", "SR", "US", "XA", "XC",
})  # fmt: skip


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an element as upper-case text; empty where it is missing, empty or damaged."""
    try:
        value = dataset.get(keyword)
        if value is None:
            return ()
        values = [value] if isinstance(value, (str, int, float)) else list(value)
        return tuple(text for item in values if (text := str(item).strip().upper()))
    except DAMAGE:
        return ()


def text(dataset: Dataset, keyword: str) -> str:
    """The first value of an element as upper-case text; "" where there is none."""
    return next(iter(texts(dataset, keyword)), "")


def printable(value: str) -> str:
    """A defined term for a message; any other text may be a name, and is only said to be there."""
    return value if value in _TERMS else "(no defined term)" if value else "missing"


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a numeric element; empty where it is missing or empty.

    Raises:
        DicomReadError: The element holds something that is no finite number.
    """
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return ()
        values = [value] if isinstance(value, (str, int, float)) else list(value)
        found = tuple(float(item) for item in values)
    except DAMAGE:
        msg = f"element {keyword} holds no valid number; get an undamaged copy of the file"
        raise DicomReadError(msg) from None
    if not all(math.isfinite(number) for number in found):
        msg = f"element {keyword} holds a value that is not finite; get an undamaged copy of the file"
        raise DicomReadError(msg)
    return found


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The first value of an integer element; None where it is missing or empty.

    Raises:
        DicomReadError: The element holds something else.
    """
    found = numbers(dataset, keyword)
    if not found:
        return None
    if found[0] != int(found[0]):
        msg = f"element {keyword} is {found[0]}, expected a whole number; get an undamaged copy of the file"
        raise DicomReadError(msg)
    return int(found[0])


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; none where it is missing.

    Raises:
        DicomReadError: The sequence can't be read.
    """
    try:
        value = dataset.get(keyword)
        found = () if value is None else tuple(value)
    except DAMAGE:
        msg = f"sequence {keyword} can't be read; get an undamaged copy of the file"
        raise DicomReadError(msg) from None
    if not all(isinstance(item, Dataset) for item in found):
        msg = f"element {keyword} is no sequence; get an undamaged copy of the file"
        raise DicomReadError(msg)
    return found

"""A table as its data set was released with: text taken apart into rows, strictly."""

import csv
import io
from pathlib import Path

from aunet.errors import DatasetError


def read_lines(path: Path, *, delimiters: str = ",", remedy: str) -> list[tuple[int, list[str]]]:
    """Where each row begins, and its cells; lines without any character are no rows.

    Args:
        path: A table in UTF-8.
        delimiters: What may stand between cells; the first that stands in the first line does, or else the last.
        remedy: What the user can do about a damaged file, for the error message.

    Returns:
        Lines as a text editor counts, from 1 on, with the cells of the row that begins there.

    Raises:
        DatasetError: The file can't be read as a table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}; check its permissions"
        raise DatasetError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}); {remedy}"
        raise DatasetError(msg) from error
    first = text.partition("\n")[0]
    delimiter = next((one for one in delimiters if one in first), delimiters[-1])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if cells:
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: {error}; {remedy}"
        raise DatasetError(msg) from error
    return rows

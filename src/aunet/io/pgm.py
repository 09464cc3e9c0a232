"""PGM pictures, plain and binary, with the values as they stand in the file."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from aunet.errors import ImageReadError

# Magic, columns, rows and highest value; comments may stand between them, one white space ends the header.
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(
    rb"(P[25])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})(?:\s|#[^\n\r]*[\n\r])"
)
_LONGEST_HEADER = 65536


@dataclass(frozen=True, slots=True)
class PgmHeader:
    """What a PGM file declares."""

    is_binary: bool
    rows: int
    columns: int
    highest: int
    start: int
    """Where the pixels begin, in bytes."""


def read_pgm_header(path: Path) -> PgmHeader:
    """What a PGM file declares.

    Raises:
        ImageReadError: The header is damaged.
    """
    with path.open("rb") as file:
        found = _HEADER.match(file.read(_LONGEST_HEADER))
    if found is None:
        msg = "the PGM header is damaged, expected P5 or P2, columns, rows, highest value; save it anew"
        raise ImageReadError(msg)
    columns, rows, highest = (int(found[group]) for group in (2, 3, 4))
    if not columns or not rows or not 1 <= highest <= 65535:
        msg = f"PGM of {rows} x {columns} pixels up to {highest}, expected pixels of 1 to 65535; save it anew"
        raise ImageReadError(msg)
    return PgmHeader(found[1] == b"P5", rows, columns, highest, found.end())


def read_pgm(path: Path, *, max_pixels: int) -> tuple[UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"], int]:
    """Grey values of a PGM file, unscaled, and the bits its highest value needs (8 at the least).

    Args:
        path: The file.
        max_pixels: Refuse a larger declared size, before anything is allocated.

    Raises:
        ImageReadError: The file is damaged, cut off or too large.
    """
    header = read_pgm_header(path)
    count = header.rows * header.columns
    if count > max_pixels:
        msg = f"absurdly large: {header.rows} x {header.columns} pixels declared, over {max_pixels / 1e6:g} megapixels"
        raise ImageReadError(msg)
    with path.open("rb") as file:
        file.seek(header.start)
        if header.is_binary:
            word = ">u2" if header.highest > 255 else "u1"
            values = np.frombuffer(file.read(count * np.dtype(word).itemsize), dtype=word)
            is_left_over = bool(file.read().strip())
        else:
            words = re.sub(rb"#[^\n\r]*", b"", file.read()).split()
            values, is_left_over = np.array(words[:count], dtype=np.int64), len(words) > count
    if len(values) != count:
        msg = f"truncated: {len(values)} pixels, expected {count}; get the complete file"
        raise ImageReadError(msg)
    if is_left_over:
        msg = f"more pixels than the {header.rows} x {header.columns} declared: several pictures, or a wrong size"
        raise ImageReadError(msg)
    if not 0 <= int(values.min()) <= int(values.max()) <= header.highest:
        msg = f"values from {int(values.min())} to {int(values.max())}, but the header allows 0 to {header.highest}"
        raise ImageReadError(msg)
    bits = max(8, header.highest.bit_length())
    return values.reshape(header.rows, header.columns).astype(np.uint16 if bits > 8 else np.uint8), bits

"""Compressed images looked through before a decoder sees them: size, marks, tables, end.

gdcm ends the whole process (abort, segmentation fault) on a lossless JPEG whose header is damaged, and several decoders
fill up a cut-off image without a word. So only well-formed images are passed on.
"""

import struct
from dataclasses import dataclass

import numpy as np

from aunet.sample import Shape

_START_OF_IMAGE = b"\xff\xd8"
_END = b"\xff\xd9"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
# Start-of-frame marks of JPEG (DHT C4, JPG C8 and DAC CC lie between them), and that of JPEG-LS.
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_FRAMES = frozenset({*range(0xC0, 0xD0), _JPEG_LS} - {0xC4, 0xC8, 0xCC})
_HUFFMAN, _SCAN = 0xC4, 0xDA
_RESTARTS = range(0xD0, 0xD8)
_PREDICTORS = range(1, 8)


@dataclass(frozen=True, slots=True)
class _Frame:
    mark: int
    precision: int
    rows: int
    columns: int
    components: int


def codestream_shape(codestream: bytes) -> Shape:
    """(rows, columns) of a well-formed JPEG, JPEG-LS or JPEG 2000 image; ValueError for anything else."""
    if codestream.startswith(_START_OF_IMAGE):
        return _jpeg_shape(codestream)
    start = codestream.find(_START_OF_CODESTREAM) if codestream.startswith(_JP2_SIGNATURE) else 0
    return _jpeg_2000_shape(codestream, start)


def starts_image(codestream: bytes) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 image begins here."""
    return codestream.startswith((_START_OF_IMAGE + b"\xff", _JP2_SIGNATURE, _START_OF_CODESTREAM))


def is_complete(codestream: bytes) -> bool:
    """Whether the end mark is there; a decoder may fill up a cut-off image without a word."""
    return codestream.rstrip(b"\0").endswith(_END)


def _jpeg_shape(codestream: bytes) -> Shape:
    """(rows, columns) in the frame header, the other segments before the scan being in order.

    Raises:
        ValueError: A segment is missing, repeated or against the rules.
    """
    frame: _Frame | None = None
    tables: set[int] = set()
    position = 2
    while True:
        lead, mark, length = struct.unpack_from(">BBH", codestream, position)
        body = codestream[position + 4 : position + 2 + length]
        if lead != 0xFF or mark < 0xC0 or len(body) != length - 2:
            msg = "JPEG segments out of step"
            raise ValueError(msg)
        position += 2 + length
        if mark in _FRAMES:
            if frame is not None:
                msg = "two JPEG frame headers"
                raise ValueError(msg)
            frame = _Frame(mark, *struct.unpack_from(">BHHB", body))
        elif mark == _HUFFMAN:
            tables |= _huffman_tables(body)
        elif mark == _SCAN:
            break
    if frame is None or frame.components != 1 or not 2 <= frame.precision <= 16:
        msg = "no JPEG frame header of one component with 2 to 16 bits"
        raise ValueError(msg)
    if frame.mark == _LOSSLESS:
        _check_lossless_scan(body, codestream, position, frame=frame, tables=tables)
    return frame.rows, frame.columns


def _huffman_tables(body: bytes) -> set[int]:
    """The numbers of the tables in a DHT segment.

    Raises:
        ValueError: A table has more codes than fit, or ends early.
    """
    found: set[int] = set()
    position = 0
    while position < len(body):
        counts = body[position + 1 : position + 17]
        room_taken = sum(count << (16 - length) for length, count in enumerate(counts, start=1))
        end = position + 17 + sum(counts)
        if len(counts) != 16 or end > len(body) or room_taken > 1 << 16:
            msg = "a Huffman table that holds more codes than fit"
            raise ValueError(msg)
        found.add(body[position])
        position = end
    return found


def _check_lossless_scan(body: bytes, codestream: bytes, position: int, *, frame: _Frame, tables: set[int]) -> None:
    """One scan of the one component, its table defined, and no mark inside it but restarts.

    Raises:
        ValueError: Anything else.
    """
    components, _, table, predictor, last, approximation = struct.unpack_from("6B", body)
    if components != 1 or predictor not in _PREDICTORS or last or approximation >= frame.precision:
        msg = "a scan header that breaks the rules of lossless JPEG"
        raise ValueError(msg)
    if table >> 4 not in tables:
        msg = "a scan without its Huffman table"
        raise ValueError(msg)
    data = np.frombuffer(codestream, dtype=np.uint8, offset=position)
    after = data[1:][data[:-1] == 0xFF]
    marks = set(np.unique(after).tolist()) - {0x00, 0xFF, *_RESTARTS, _END[1]}
    if marks or int((after == _END[1]).sum()) > 1:
        msg = "marks inside the scan"
        raise ValueError(msg)


def _jpeg_2000_shape(codestream: bytes, start: int) -> Shape:
    """(rows, columns) in the size marker that follows the start of the codestream.

    Raises:
        ValueError: There is none.
    """
    if start < 0 or not codestream.startswith(_START_OF_CODESTREAM, start):
        msg = "neither JPEG nor JPEG-LS nor JPEG 2000"
        raise ValueError(msg)
    columns, rows, column_offset, row_offset = struct.unpack_from(">4I", codestream, start + 8)
    return rows - row_offset, columns - column_offset

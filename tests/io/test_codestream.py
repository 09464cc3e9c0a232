"""Compressed images that no decoder may see."""

import struct

import pytest

from aunet.io.codestream import codestream_shape, is_complete

FRAME = b"\xff\xc3" + struct.pack(">HBHHB", 11, 12, 5, 7, 1) + b"\x01\x11\x00"
TABLE = b"\xff\xc4" + struct.pack(">HB", 36, 0) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
SCAN = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x01\x00\x00"
DATA = b"\x12\xff\x00\x34\xff\xd0\x56"
END = b"\xff\xd9"


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + END


def test_the_size_is_rows_then_columns() -> None:
    assert codestream_shape(jpeg(FRAME, TABLE, SCAN, DATA)) == (5, 7)


def test_the_size_of_jpeg_2000_is_counted_from_its_offset() -> None:
    marked = b"\xff\x4f\xff\x51" + struct.pack(">HH4I", 47, 0, 17, 9, 10, 4)

    assert codestream_shape(marked) == (5, 7)
    assert codestream_shape(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + marked) == (5, 7)


@pytest.mark.parametrize(
    "codestream",
    [
        jpeg(TABLE, SCAN, DATA),
        jpeg(FRAME, FRAME, TABLE, SCAN, DATA),
        jpeg(FRAME, SCAN, DATA),
        jpeg(FRAME.replace(b"\x0b\x0c", b"\x0b\x30"), TABLE, SCAN, DATA),
        jpeg(FRAME.replace(b"\x07\x01", b"\x07\x03"), TABLE, SCAN, DATA),
        jpeg(FRAME, TABLE.replace(bytes(5) + b"\x11", b"\x00\x02\x00\x00\x00\x0f"), SCAN, DATA),
        jpeg(FRAME, TABLE[:30], SCAN, DATA),
        jpeg(FRAME, TABLE, SCAN.replace(b"\x00\x01\x00\x00", b"\x00\x00\x00\x00"), DATA),
        jpeg(FRAME, TABLE, SCAN.replace(b"\x00\x01\x00\x00", b"\x00\x01\x00\x0c"), DATA),
        jpeg(FRAME, TABLE, SCAN.replace(b"\x01\x00\x01", b"\x01\x10\x01"), DATA),
        jpeg(FRAME, TABLE, SCAN, DATA, b"\xff\xda", DATA),
        jpeg(FRAME, TABLE, SCAN, DATA, END, DATA),
        b"RIFF0000WEBP",
    ],
    ids=[
        "no frame", "two frames", "no table", "48 bits", "three components", "too many codes", "segment cut off",
        "predictor 0", "shifted away", "another table", "a second scan", "a second end", "another format",
    ],
)  # fmt: skip
def test_a_malformed_image_is_told_before_it_is_decoded(codestream: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        codestream_shape(codestream)


def test_a_header_that_ends_early_is_malformed() -> None:
    complete = b"\xff\xd8" + FRAME + TABLE + SCAN

    for length in range(len(complete) - 1):
        with pytest.raises((ValueError, struct.error)):
            codestream_shape(complete[:length])


def test_an_image_is_complete_with_its_end_mark_and_padding() -> None:
    assert is_complete(jpeg(FRAME, TABLE, SCAN, DATA) + b"\0")
    assert not is_complete(jpeg(FRAME, TABLE, SCAN, DATA)[:-2])

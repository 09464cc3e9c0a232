"""PGM pictures: the values as they stand in the file."""

from pathlib import Path

import numpy as np
import pytest

from aunet.errors import ImageReadError
from aunet.io.images import load_picture, read_picture_size


def test_binary_pgm_of_16_bits_is_big_endian(tmp_path: Path) -> None:
    (tmp_path / "film.pgm").write_bytes(b"P5\n2 1\n65535\n\x01\x02\xff\xfe")

    picture = load_picture(tmp_path / "film.pgm")

    np.testing.assert_array_equal(picture.pixels, np.array([[0x0102, 0xFFFE]], dtype=np.uint16))
    assert picture.pixels.dtype.isnative
    assert picture.bits == 16


def test_values_up_to_4095_are_not_stretched_to_16_bits(tmp_path: Path) -> None:
    (tmp_path / "film.pgm").write_bytes(b"P5 2 1 4095 \x00\x07\x0f\xff")

    picture = load_picture(tmp_path / "film.pgm")

    np.testing.assert_array_equal(picture.pixels, [[7, 4095]])
    assert picture.bits == 12


def test_values_up_to_100_are_not_stretched_to_8_bits(tmp_path: Path) -> None:
    (tmp_path / "film.pgm").write_bytes(b"P5\n3 1\n100\n\x00\x32\x64")

    picture = load_picture(tmp_path / "film.pgm")

    np.testing.assert_array_equal(picture.pixels, [[0, 50, 100]])
    assert (picture.pixels.dtype.name, picture.bits) == ("uint8", 8)


def test_plain_pgm_with_comments_is_read(tmp_path: Path) -> None:
    (tmp_path / "film.pgm").write_bytes(b"P2 # plain\n# two columns\n2 3\n300\n0 1 2 # a row\n3 4\n300\n")

    picture = load_picture(tmp_path / "film.pgm")

    np.testing.assert_array_equal(picture.pixels, [[0, 1], [2, 3], [4, 300]])
    assert picture.bits == 9
    assert read_picture_size(tmp_path / "film.pgm") == (3, 2)


def test_a_line_end_behind_the_pixels_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "film.pgm").write_bytes(b"P5\n2 1\n255\n\1\2\r\n")

    picture = load_picture(tmp_path / "film.pgm")

    np.testing.assert_array_equal(picture.pixels, [[1, 2]])


def test_a_pixel_that_looks_like_a_comment_is_a_pixel(tmp_path: Path) -> None:
    (tmp_path / "film.pgm").write_bytes(b"P5\n3 1\n255\n#\n#")

    picture = load_picture(tmp_path / "film.pgm")

    np.testing.assert_array_equal(picture.pixels, [[35, 10, 35]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5\n2 2\n255\n\0\0\0", "truncated: 3 pixels, expected 4"),
        (b"P2\n2 2\n255\n1 2 3", "truncated: 3 pixels, expected 4"),
        (b"P5\n2 1\n255\n\0\1P5\n2 1\n255\n\2\3", "more pixels than the 1 x 2 declared"),
        (b"P2\n2 1\n255\n1 2 3", "more pixels than the 1 x 2 declared"),
        (b"P5\n2 1\n100\n\0\xff", "values from 0 to 255, but the header allows 0 to 100"),
        (b"P5\n2 x\n255\n\0\0", "the PGM header is damaged"),
        (b"P5\n0 2\n255\n", "PGM of 2 x 0 pixels up to 255"),
        (b"P5\n1 1\n70000\n\0\0\0\0", "up to 70000, expected pixels of 1 to 65535"),
        (b"P5\n90000 90000\n65535\n", "absurdly large: 90000 x 90000 pixels declared"),
    ],
)
def test_a_damaged_pgm_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "film.pgm").write_bytes(content)

    with pytest.raises(ImageReadError, match=message):
        load_picture(tmp_path / "film.pgm")

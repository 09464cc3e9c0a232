"""Pictures: every bit kept, colour and loss refused, damage told."""

import io
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import UInt8, UInt16
from PIL import Image as PillowImage

from aunet.errors import AunetError, ImageReadError
from aunet.io.files import read_mammogram
from aunet.io.images import load_picture, picture_format, read_picture_size, write_png
from aunet.sample import Mammogram


def wide() -> UInt16[np.ndarray, "h w"]:
    """Values whose low bytes matter."""
    pixels: UInt16[np.ndarray, "h w"] = np.random.default_rng(5).integers(0, 65536, (37, 53)).astype(np.uint16)
    return pixels


def narrow() -> UInt8[np.ndarray, "h w"]:
    pixels: UInt8[np.ndarray, "h w"] = (wide() >> 8).astype(np.uint8)
    return pixels


def png(depth: int, kind: int, *, rows: int = 2, columns: int = 2) -> bytes:
    """A PNG of zeros with the header given, byte by byte."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0)
    line = bytes(1 + 2 * channels * depth // 8)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(line * 2)) + chunk(b"IEND", b"")


def test_png_of_16_bits_keeps_every_bit(tmp_path: Path) -> None:
    write_png(tmp_path / "film.png", wide())

    picture = load_picture(tmp_path / "film.png")

    np.testing.assert_array_equal(picture.pixels, wide())
    assert (picture.pixels.dtype.name, picture.bits) == ("uint16", 16)
    assert (tmp_path / "film.png").read_bytes()[24] == 16  # the depth in the file's own header


def test_png_of_8_bits_comes_back(tmp_path: Path) -> None:
    write_png(tmp_path / "film.png", narrow())

    picture = load_picture(tmp_path / "film.png")

    np.testing.assert_array_equal(picture.pixels, narrow())
    assert (picture.pixels.dtype.name, picture.bits) == ("uint8", 8)


def test_colours_are_written_as_png(tmp_path: Path) -> None:
    colours = np.stack([narrow(), narrow()[::-1], narrow() // 2], axis=-1)
    write_png(tmp_path / "overlay.png", colours)

    with PillowImage.open(tmp_path / "overlay.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), colours)


def test_an_interrupted_write_leaves_the_former_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "film.png", narrow())
    former = (tmp_path / "film.png").read_bytes()

    def stop(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PillowImage.Image, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        write_png(tmp_path / "film.png", wide())

    assert [path.name for path in tmp_path.iterdir()] == ["film.png"]
    assert (tmp_path / "film.png").read_bytes() == former


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_of_16_bits_keeps_every_bit_in_both_byte_orders(tmp_path: Path, byteorder: Literal["<", ">"]) -> None:
    tifffile.imwrite(tmp_path / "film.tif", wide(), byteorder=byteorder)

    picture = load_picture(tmp_path / "film.tif")

    np.testing.assert_array_equal(picture.pixels, wide())
    assert picture.pixels.dtype.isnative
    assert picture.bits == 16


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_of_16_bits_keeps_every_bit(tmp_path: Path, compression: str) -> None:
    PillowImage.fromarray(wide()).save(tmp_path / "film.tif", compression=compression)

    picture = load_picture(tmp_path / "film.tif")

    np.testing.assert_array_equal(picture.pixels, wide())


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_tiff_of_8_bits_comes_back_in_strips_and_tiles(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    tifffile.imwrite(tmp_path / "film.tif", narrow(), tile=tile)

    picture = load_picture(tmp_path / "film.tif")

    np.testing.assert_array_equal(picture.pixels, narrow())
    assert picture.bits == 8


def test_tiff_whose_white_is_zero_is_inverted_once_for_both_depths(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "wide.tif", wide(), photometric="miniswhite")
    tifffile.imwrite(tmp_path / "narrow.tif", narrow(), photometric="miniswhite")

    np.testing.assert_array_equal(load_picture(tmp_path / "wide.tif").pixels, 65535 - wide())
    np.testing.assert_array_equal(load_picture(tmp_path / "narrow.tif").pixels, 255 - narrow())


def test_jpeg_comes_back_as_it_was_decoded(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    PillowImage.fromarray(smooth).save(tmp_path / "film.jpg", quality=95)

    picture = load_picture(tmp_path / "film.jpg")

    assert np.abs(picture.pixels.astype(int) - smooth).max() <= 3
    assert picture.bits == 8


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "colour"), ("RGBA", "colour with alpha"), ("LA", "grey with alpha"), ("P", "palette")],
)
def test_grey_stored_as_colour_is_read_with_a_note(tmp_path: Path, mode: str, kind: str) -> None:
    PillowImage.fromarray(narrow()).convert(mode).save(tmp_path / "film.png")

    picture = load_picture(tmp_path / "film.png")

    np.testing.assert_array_equal(picture.pixels, narrow())
    assert picture.notes == (f"stored as {kind}, yet all grey; one channel is used",)


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_real_colour_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"photo.{ending}"
    PillowImage.fromarray(np.stack([narrow(), narrow()[::-1], narrow()], axis=-1)).save(path)

    with pytest.raises(ImageReadError, match="a colour picture, expected grey"):
        load_picture(path)


def test_a_colourful_palette_is_refused(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(narrow() % 4).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "photo.png")

    with pytest.raises(ImageReadError, match="a colour picture"):
        load_picture(tmp_path / "photo.png")


def test_transparent_parts_are_refused(tmp_path: Path) -> None:
    alpha = np.full_like(narrow(), 255)
    alpha[0, 0] = 0
    PillowImage.merge("LA", [PillowImage.fromarray(narrow()), PillowImage.fromarray(alpha)]).save(tmp_path / "film.png")

    with pytest.raises(ImageReadError, match="partly transparent"):
        load_picture(tmp_path / "film.png")


@pytest.mark.parametrize("kind", [2, 4, 6])
def test_16_bits_are_never_read_as_8(tmp_path: Path, kind: int) -> None:
    (tmp_path / "film.png").write_bytes(png(16, kind))

    with pytest.raises(ImageReadError, match="16 bits with colours or alpha, expected plain grey"):
        load_picture(tmp_path / "film.png")


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint32"])
def test_tiff_of_another_type_is_refused(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "film.tif", wide().astype(dtype))

    with pytest.raises(ImageReadError, match="expected unsigned grey of 8 or 16 bits"):
        load_picture(tmp_path / "film.tif")


def test_tiff_of_16_bit_colours_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", np.stack([wide()] * 3, axis=-1), photometric="rgb")

    with pytest.raises(ImageReadError, match=r"TIFF of 16 \+ 16 \+ 16 bits, unsigned, expected"):
        load_picture(tmp_path / "film.tif")


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_a_picture_marked_as_turned_is_refused(tmp_path: Path, ending: str, orientation: int) -> None:
    path = tmp_path / f"film.{ending}"
    marks = PillowImage.Exif()
    marks[274] = orientation
    PillowImage.fromarray(narrow()).save(path, exif=marks)

    with pytest.raises(ImageReadError, match="marked as turned or mirrored"):
        load_picture(path)


@pytest.mark.parametrize("orientation", [0, 1])
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_a_picture_marked_as_upright_or_unknown_is_read(tmp_path: Path, ending: str, orientation: int) -> None:
    path = tmp_path / f"film.{ending}"
    marks = PillowImage.Exif()
    marks[274] = orientation
    PillowImage.fromarray(narrow()).save(path, exif=marks)

    picture = load_picture(path)

    assert picture.pixels.shape == narrow().shape


def test_big_tiff_keeps_every_bit(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", wide(), bigtiff=True, photometric="minisblack")

    picture = load_picture(tmp_path / "film.tif")

    np.testing.assert_array_equal(picture.pixels, wide())
    assert picture.bits == 16


def test_several_pages_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", np.stack([wide(), wide()]), photometric="minisblack")

    with pytest.raises(ImageReadError, match="several pages or frames, expected one"):
        load_picture(tmp_path / "film.tif")


@pytest.mark.parametrize(("rows", "columns"), [(10_000, 8_001), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_declared_size(tmp_path: Path, rows: int, columns: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png(8, 0, rows=rows, columns=columns))

    for read in (load_picture, read_picture_size):
        with pytest.raises(ImageReadError, match="absurdly large"):
            read(tmp_path / "bomb.png")


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_a_truncated_picture_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"film.{ending}"
    PillowImage.fromarray(narrow()).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ImageReadError, match=f"{path.name}: the picture is damaged, cut off"):
        load_picture(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"GIF89a", "neither DICOM nor PNG, TIFF, JPEG or PGM"),
        (b"just text", "neither DICOM nor PNG, TIFF, JPEG or PGM"),
        (b"\x02\x00\x00\x00UL\x04\x00", "DICOM without the preamble"),
        (b"\x08\x00\x16\x00UI\x1a\x00", "DICOM without the preamble"),
    ],
)
def test_another_file_is_refused_by_its_content_whatever_its_name(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "film.png").write_bytes(content)

    with pytest.raises(ImageReadError, match=found):
        load_picture(tmp_path / "film.png")


def test_a_missing_picture_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="can't be opened: No such file"):
        load_picture(tmp_path / "absent.png")


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_the_size_is_rows_then_columns_whatever_the_name(tmp_path: Path, ending: str) -> None:
    PillowImage.fromarray(narrow()).save(tmp_path / f"film.{ending}")
    path = (tmp_path / f"film.{ending}").rename(tmp_path / "film.dcm")

    assert read_picture_size(path) == (37, 53)
    assert picture_format(path) == {"png": "PNG", "tif": "TIFF", "jpg": "JPEG"}[ending]


def _encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PGM":
        return b"P5\n53 37\n65535\n" + wide().astype(">u2").tobytes()
    PillowImage.fromarray(narrow() if kind == "JPEG" else wide()).save(buffer, kind)
    return buffer.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["PNG", "TIFF", "JPEG", "PGM"]))
def test_a_damaged_picture_is_an_error_of_ours_or_a_mammogram(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    content = bytearray(_encoded(kind))
    reach = data.draw(st.sampled_from([120, len(content)]))
    for position in data.draw(st.lists(st.integers(0, reach - 1), max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "film").write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])

    try:
        outcome: object = read_mammogram(tmp_path / "film")
    except AunetError as error:
        outcome = error

    assert isinstance(outcome, Mammogram | AunetError)

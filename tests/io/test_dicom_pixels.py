"""Stored pixels from every transfer syntax, and from files that are cut off or lie about themselves."""

import base64
import io
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
from jaxtyping import UInt16
from PIL import Image as PillowImage
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from aunet.errors import DicomReadError
from aunet.io.dicom import read_dicom
from aunet.io.silence import silent_libraries

Make = Callable[..., Path]

ROWS, COLUMNS = 71, 46
LOSSLESS_JPEG = {JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14}
LOSSLESS_JPEG[JPEGLosslessSV1] = gdcm.TransferSyntax.JPEGLosslessProcess14_1
# 16 x 16 pixels of 12 bits, 128 * (row + column), encoded by dcmtk: neither gdcm nor Pillow can make one.
TWELVE_BIT_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYU"
    "GBIUFRT/wQALDAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAADAD/xAAbEAABBAMAAAAAAAAAAAAAAAALACc3RFRhcv/aAAgBAQAAPwAf+NxG"
    "4xc12NQ50lVY3EbjFzXY1DnShuI3GLmuxqHOkqqG4jcYua7Goc6X///Z"
)


def noise(bits: int = 12, *, shape: tuple[int, int] = (ROWS, COLUMNS)) -> UInt16[np.ndarray, "h w"]:
    """Every value equally likely, the two extremes beside each other."""
    pixels = np.random.default_rng(7).integers(0, 2**bits, shape).astype(np.uint16)
    pixels[0, :2] = 0, 2**bits - 1
    return pixels


def smooth() -> UInt16[np.ndarray, "h w"]:
    rows, columns = np.indices((16, 16))
    return (16 * (8 * rows + 8 * columns) + 100).astype(np.uint16)


def enlarged() -> UInt16[np.ndarray, "h w"]:
    return np.kron(smooth(), np.ones((4, 4), dtype=np.uint16))


def by_gdcm(path: Path, syntax: int) -> Path:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


def by_pydicom(path: Path, syntax: UID, *, jls_error: int | None = None, j2k_cr: list[float] | None = None) -> Path:
    dataset = dcmread(path)
    dataset.compress(syntax, jls_error=jls_error, j2k_cr=j2k_cr)
    dataset.save_as(path)
    return path


def lossless_jpeg(pixels: UInt16[np.ndarray, "h w"], bits: int) -> bytes:
    """JPEG lossless, predictor 1, whose differences wrap modulo 2^bits, as some modalities write it."""
    half, full = 2 ** (bits - 1), 2**bits
    rows, columns = pixels.shape
    stream = []
    for row in range(rows):
        for column in range(columns):
            above, left = (int(pixels[row - 1, 0]) if row else half), int(pixels[row, column - 1])
            difference = (int(pixels[row, column]) - (left if column else above) + half) % full - half
            category = abs(difference).bit_length()
            extra = difference if difference > 0 else difference + 2**category - 1
            # A difference of 32768 either way is category 16, the only one without more bits.
            stream.append(f"{category:05b}" + (f"{extra:0{category}b}" if 0 < category < 16 else ""))
    coded = "".join(stream)
    coded += "1" * (-len(coded) % 8)
    frame = struct.pack(">HBHHB", 11, bits, rows, columns, 1) + b"\x01\x11\x00"
    # One Huffman table: the 17 categories of difference, five bits each.
    table = struct.pack(">HB", 36, 0) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    scan = struct.pack(">HB", 8, 1) + b"\x01\x00\x01\x00\x00"
    entropy = int(coded, 2).to_bytes(len(coded) // 8).replace(b"\xff", b"\xff\x00")
    return b"\xff\xd8\xff\xc3" + frame + b"\xff\xc4" + table + b"\xff\xda" + scan + entropy + b"\xff\xd9"


def plugins_alone(path: Path, plugin: str) -> np.ndarray:
    dataset = dcmread(path)
    with silent_libraries():
        pixels, _ = get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, decoding_plugin=plugin)
    return pixels


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda syntax: syntax.name,
)
def test_uncompressed_pixels_come_back_as_stored(dicom_file: Make, syntax: UID, bits: int) -> None:
    path = dicom_file(noise(bits), syntax=syntax, BitsStored=bits)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, noise(bits))
    assert mammogram.bits_stored == bits
    assert mammogram.image.dtype.isnative


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_losslessly_compressed_pixels_come_back_as_stored(dicom_file: Make, syntax: UID, bits: int) -> None:
    path = by_pydicom(dicom_file(noise(bits), BitsStored=bits), syntax)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, noise(bits))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("syntax", list(LOSSLESS_JPEG), ids=lambda syntax: syntax.name)
def test_pixels_in_lossless_jpeg_come_back_as_stored(dicom_file: Make, syntax: UID, bits: int) -> None:
    path = by_gdcm(dicom_file(noise(bits), BitsStored=bits), LOSSLESS_JPEG[syntax])

    mammogram = read_dicom(path)

    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(mammogram.image, noise(bits))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("syntax", list(LOSSLESS_JPEG), ids=lambda syntax: syntax.name)
def test_differences_that_wrap_in_lossless_jpeg_are_not_clamped(dicom_file: Make, syntax: UID, bits: int) -> None:
    pixels = noise(bits)
    path = dicom_file(pixels, syntax=syntax, codestream=lossless_jpeg(pixels, bits), BitsStored=bits)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, pixels)


def test_the_file_with_wrapping_differences_is_one_that_another_decoder_corrupts(dicom_file: Make) -> None:
    pixels = noise(12)
    path = dicom_file(pixels, syntax=JPEGLosslessSV1, codestream=lossless_jpeg(pixels, 12))

    corrupted = plugins_alone(path, "pylibjpeg")

    assert not np.array_equal(corrupted, pixels)


def test_near_lossless_jpeg_ls_comes_back_within_its_loss(dicom_file: Make) -> None:
    path = by_pydicom(dicom_file(enlarged()), JPEGLSNearLossless, jls_error=3)

    mammogram = read_dicom(path)

    assert 0 < np.abs(mammogram.image - enlarged()).max() <= 3


def test_lossy_jpeg_2000_comes_back_within_its_loss(dicom_file: Make) -> None:
    path = by_pydicom(dicom_file(enlarged()), JPEG2000, j2k_cr=[12])

    mammogram = read_dicom(path)

    assert 0 < np.abs(mammogram.image - enlarged()).max() <= 40


def test_jpeg_extended_of_12_bits_is_decoded(dicom_file: Make) -> None:
    path = dicom_file(smooth(), syntax=JPEGExtended12Bit, codestream=TWELVE_BIT_JPEG)

    mammogram = read_dicom(path)

    assert np.abs(mammogram.image - (smooth() - 100)).max() <= 4
    assert mammogram.image.max() > 3800


def test_jpeg_baseline_of_8_bits_is_decoded(dicom_file: Make) -> None:
    pixels = (smooth() >> 4).astype(np.uint8)
    encoded = io.BytesIO()
    PillowImage.fromarray(pixels).save(encoded, "JPEG", quality=95)
    path = dicom_file(pixels, syntax=JPEGBaseline8Bit, codestream=encoded.getvalue())

    mammogram = read_dicom(path)

    assert np.abs(mammogram.image - pixels).max() <= 3
    assert mammogram.bits_stored == 8


def test_signed_pixels_keep_their_sign(dicom_file: Make) -> None:
    pixels = (noise(12).astype(np.int16) - 2048).astype(np.int16)
    path = dicom_file(pixels, PixelRepresentation=1)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, pixels)


def test_pixels_in_the_upper_bits_of_their_words_are_shifted_down(dicom_file: Make) -> None:
    path = dicom_file(noise(12) << 4, BitsStored=12, HighBit=15)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, noise(12))


def test_an_overlay_in_the_unused_bits_does_not_reach_the_image(dicom_file: Make) -> None:
    path = dicom_file(noise(12) | (noise(1) << 12))
    dataset = dcmread(path)
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 12)
    dataset.save_as(path)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, noise(12))


def test_values_over_the_bits_stored_are_refused(dicom_file: Make) -> None:
    path = dicom_file(noise(16), BitsStored=12)

    with pytest.raises(DicomReadError, match="values 0 to 65535, but 12 bits stored hold 0 to 4095"):
        read_dicom(path)


def test_truncated_pixels_are_refused(dicom_file: Make) -> None:
    path = dicom_file(noise())
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DicomReadError, match=r"truncated: .* bytes of pixels, expected 6532"):
        read_dicom(path)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLossless], ids=lambda syntax: syntax.name
)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_compressed_file_that_was_cut_off_is_refused(dicom_file: Make, syntax: UID, kept: float) -> None:
    path = dicom_file(noise())
    if syntax in LOSSLESS_JPEG:
        by_gdcm(path, LOSSLESS_JPEG[syntax])
    else:
        by_pydicom(path, syntax)
    complete = path.read_bytes()
    path.write_bytes(complete[: int(kept * len(complete))])

    with pytest.raises(DicomReadError, match="get "):
        read_dicom(path)


@pytest.mark.parametrize("syntax", list(LOSSLESS_JPEG), ids=lambda syntax: syntax.name)
def test_a_codestream_cut_off_inside_a_whole_file_is_refused(dicom_file: Make, syntax: UID) -> None:
    codestream = lossless_jpeg(noise(), 12)
    path = dicom_file(noise(), syntax=syntax, codestream=codestream[: len(codestream) // 2])

    with pytest.raises(DicomReadError, match="truncated: the compressed pixels have no end mark"):
        read_dicom(path)


def test_a_codestream_of_another_size_than_declared_is_refused(dicom_file: Make) -> None:
    path = dicom_file(noise(), syntax=JPEGLosslessSV1, codestream=lossless_jpeg(noise(shape=(ROWS + 1, COLUMNS)), 12))

    with pytest.raises(DicomReadError, match=r"a compressed image of \(72, 46\), but the header declares \(71, 46\)"):
        read_dicom(path)


def test_a_jpeg_2000_codestream_of_another_size_than_declared_is_refused(dicom_file: Make) -> None:
    path = by_pydicom(dicom_file(noise()), JPEG2000Lossless)
    dataset = dcmread(path)
    dataset.Columns = COLUMNS - 1
    dataset.save_as(path)

    with pytest.raises(DicomReadError, match=r"a compressed image of \(71, 46\), but the header declares \(71, 45\)"):
        read_dicom(path)


@pytest.mark.parametrize("shape", [(ROWS // 2, COLUMNS), (ROWS - 1, COLUMNS), (ROWS, COLUMNS - 1)])
def test_more_pixels_than_declared_are_refused(dicom_file: Make, shape: tuple[int, int]) -> None:
    path = dicom_file(noise(), Rows=shape[0], Columns=shape[1])

    with pytest.raises(DicomReadError, match="several frames, or a wrong size"):
        read_dicom(path)


def test_padding_behind_the_pixels_is_passed_over(dicom_file: Make) -> None:
    path = dicom_file(noise())
    dataset = dcmread(path)
    dataset.PixelData += bytes(10)
    dataset.save_as(path)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, noise())


@pytest.mark.parametrize("has_offsets", [False, True])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_undeclared_frames_are_refused(dicom_file: Make, syntax: UID, has_offsets: bool) -> None:
    path = by_pydicom(dicom_file(noise()), syntax)
    dataset = dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame, frame], has_bot=has_offsets)
    dataset.save_as(path)

    with pytest.raises(DicomReadError, match="2 frames, though NumberOfFrames does not say so"):
        read_dicom(path)


def test_a_frame_in_several_fragments_is_one_frame(dicom_file: Make) -> None:
    path = by_pydicom(dicom_file(noise()), JPEG2000Lossless)
    dataset = dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame], fragments_per_frame=3)
    dataset.save_as(path)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, noise())


def test_missing_pixels_are_refused(dicom_file: Make) -> None:
    path = dicom_file(noise(), PixelData=None)

    with pytest.raises(DicomReadError, match="holds no pixel data"):
        read_dicom(path)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.102", "1.2.3.4"])
def test_a_transfer_syntax_without_a_decoder_is_named(dicom_file: Make, syntax: str) -> None:
    path = dicom_file(noise(), syntax=UID(syntax), codestream=b"\0\0")

    with pytest.raises(DicomReadError, match=f"no decoder for the transfer syntax .*{UID(syntax).name[:12]}"):
        read_dicom(path)


def test_a_decoder_that_is_not_installed_is_named(dicom_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dicom_file(noise(), syntax=JPEGLosslessSV1, codestream=lossless_jpeg(noise(), 12))
    bare = type(get_decoder(JPEGLosslessSV1))(JPEGLosslessSV1)
    monkeypatch.setattr("aunet.io.dicom_pixels.get_decoder", lambda _syntax: bare)

    with pytest.raises(DicomReadError, match="install python-gdcm"):
        read_dicom(path)


def test_an_absurd_size_is_refused_before_anything_is_allocated(dicom_file: Make) -> None:
    path = dicom_file(noise(), Rows=65535, Columns=65535)
    tracemalloc.start()

    with pytest.raises(DicomReadError, match="absurdly large: 65535 x 65535 pixels declared"):
        read_dicom(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_deflated_elements_that_become_enormous_are_refused(dicom_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dicom_file(noise(), syntax=DeflatedExplicitVRLittleEndian, PixelData=bytes(1 << 25))
    assert path.stat().st_size < 1 << 17
    monkeypatch.setattr("aunet.io.dicom_pixels._MOST_INFLATED", 1 << 24)

    with pytest.raises(DicomReadError, match="absurdly large: the deflated elements take over 16 MiB"):
        read_dicom(path)

"""Pictures (PNG, TIFF, JPEG, PGM) to grey values and back, no bit lost."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image as PillowImage

from aunet.errors import ImageReadError
from aunet.io.aside import written_aside
from aunet.io.damage import DAMAGE
from aunet.io.pgm import read_pgm, read_pgm_header
from aunet.io.silence import silent_libraries
from aunet.io.tiff import check_tiff, is_white_zero
from aunet.sample import Shape

PictureFormat = Literal["PNG", "TIFF", "JPEG", "PGM"]
Pixels = UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]

MAX_PIXELS = 80_000_000
"""More than twice the largest film scans, and below the size at which Pillow warns of decompression bombs."""

_BARE_DICOM = (
    b"\x02\x00\x00\x00UL",
    b"\x08\x00\x00\x00UL",
    b"\x08\x00\x05\x00CS",
    b"\x08\x00\x08\x00CS",
    b"\x08\x00\x16\x00UI",
)
"""How a DICOM data set begins whose file lacks the preamble: its first element's tag and kind."""

_SIGNATURES: tuple[tuple[bytes, PictureFormat], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"P5", "PGM"),
    (b"P2", "PGM"),
)
_COLOUR_PNG, _GREY_ALPHA_PNG, _COLOUR_ALPHA_PNG = 2, 4, 6
_ORIENTATION, _TURNED = 274, range(2, 9)


@dataclass(frozen=True, slots=True)
class Picture:
    """Grey values of a picture as they stand in its file."""

    pixels: Pixels
    bits: int
    """Bits a value may use: 8, 16, or what a PGM file declares."""
    notes: tuple[str, ...] = ()
    """What was repaired: colours that are all grey, an alpha channel, inverted polarity."""


def picture_format(path: Path) -> PictureFormat | None:
    """The kind of a picture by its first bytes; None for anything else."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((name for signature, name in _SIGNATURES if start.startswith(signature)), None)


def load_picture(path: Path) -> Picture:
    """Grey values of a picture, with a note for each repair.

    Args:
        path: PNG, TIFF, JPEG or PGM; a colour picture only if all its colours are grey.
    """
    with _reading(path):
        if _known_format(path) == "PGM":
            pixels, bits = read_pgm(path, max_pixels=MAX_PIXELS)
            return Picture(pixels, bits)
        return _load(path)


def read_picture_size(path: Path) -> Shape:
    """(rows, columns) that a picture declares; no pixel is read."""
    with _reading(path):
        kind = _known_format(path)
        if kind == "PGM":
            header = read_pgm_header(path)
            return _checked_size(header.rows, header.columns)
        with PillowImage.open(path, formats=(kind,)) as picture:
            return _checked_size(picture.height, picture.width)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A block in which Pillow is silent, and whose errors are ours and name the file.

    Raises:
        ImageReadError: The file is no picture, damaged, in colour, or too large.
    """
    try:
        with silent_libraries():
            yield
    except ImageReadError as error:
        msg = f"{path}: {error}"
        raise ImageReadError(msg) from error
    except PillowImage.DecompressionBombError as error:
        msg = f"{path}: absurdly large, expected up to {MAX_PIXELS / 1e6:g} megapixels; check the file"
        raise ImageReadError(msg) from error
    except DAMAGE as error:
        msg = f"{path}: the picture is damaged, cut off, or of a kind that can't be read; save it as 16-bit grey PNG"
        raise ImageReadError(msg) from error


def write_png(
    path: Path, pixels: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"] | UInt8[np.ndarray, "h w 3"]
) -> None:
    """Write grey values of 8 or 16 bits, or 8-bit colours, as PNG; the file appears only when it is complete.

    Args:
        path: File to write; its folder is made where missing.
        pixels: Values to write, as they are.
    """
    with written_aside(path) as aside:
        PillowImage.fromarray(np.ascontiguousarray(pixels)).save(aside, format="PNG", compress_level=3)


def write_jpeg(path: Path, pixels: UInt8[np.ndarray, "h w"], *, quality: int = 95) -> None:
    """Write grey values as JPEG, which loses a little of them; the file appears only when it is complete.

    Args:
        path: File to write; its folder is made where missing.
        pixels: Values to write.
        quality: 1 to 95, as Pillow counts.
    """
    with written_aside(path) as aside:
        PillowImage.fromarray(np.ascontiguousarray(pixels)).save(aside, format="JPEG", quality=quality)


def _known_format(path: Path) -> PictureFormat:
    """The kind of a picture.

    Raises:
        ImageReadError: The file is no picture that can be read, or can't be opened.
    """
    try:
        found = picture_format(path)
    except OSError as error:
        msg = f"can't be opened: {error.strerror}; check path and permissions"
        raise ImageReadError(msg) from error
    if found is None:
        raise ImageReadError(_unknown(path))
    return found


def _unknown(path: Path) -> str:
    """What to say of a file that is no picture."""
    with path.open("rb") as file:
        start = file.read(len(_BARE_DICOM[0]))
    if not start:
        return "an empty file; get the original"
    if start.startswith(_BARE_DICOM):
        return (
            "DICOM without the preamble and the mark DICM that a file begins with; rewrite it, by dcmconv for example"
        )
    return "neither DICOM nor PNG, TIFF, JPEG or PGM; convert it, or leave it out"


def holds_two_values(pixels: np.ndarray, lowest: int, highest: int) -> bool:
    """Whether an image has no value but its lowest and its highest, as a mask has.

    Args:
        pixels: (rows, columns), whole numbers.
        lowest: Their minimum.
        highest: Their maximum.
    """
    return bool(((pixels == lowest) | (pixels == highest)).all())


def _load(path: Path) -> Picture:
    """Grey values of a PNG, TIFF or JPEG.

    Raises:
        ImageReadError: It has several pages, colours, or more bits than can be kept; or is marked as turned.
    """
    kind = _known_format(path)
    with PillowImage.open(path, formats=(kind,)) as picture:
        _checked_size(picture.height, picture.width)
        if getattr(picture, "n_frames", 1) != 1:
            msg = "several pages or frames, expected one picture; save them apart"
            raise ImageReadError(msg)
        # Some programs turn the pixels by this mark and others don't, so that image and mask would part.
        if picture.getexif().get(_ORIENTATION) in _TURNED:
            msg = "marked as turned or mirrored (orientation); turn the pixels themselves, and save it without the mark"
            raise ImageReadError(msg)
        if kind == "PNG":
            _check_png(path)
        inverted = False
        if kind == "TIFF":
            check_tiff(picture)
            inverted = is_white_zero(picture)
        return _grey(picture, inverted=inverted)


def _checked_size(rows: int, columns: int) -> Shape:
    """(rows, columns) as declared, checked before anything of that size is allocated.

    Raises:
        ImageReadError: They are over the limit.
    """
    if rows * columns > MAX_PIXELS:
        msg = (
            f"absurdly large: {rows} x {columns} pixels declared, over the limit of {MAX_PIXELS / 1e6:g} megapixels; "
            "check the file"
        )
        raise ImageReadError(msg)
    return rows, columns


def _grey(picture: PillowImage.Image, *, inverted: bool) -> Picture:
    """The grey values of an opened picture.

    Raises:
        ImageReadError: Its colours are not all grey, or its pixels are no whole numbers of 8 or 16 bits.
    """
    mode = picture.mode
    if mode in {"I;16", "I;16B", "I;16L", "I;16N"}:
        pixels = np.asarray(picture).astype(np.uint16)
        if inverted:
            return Picture(np.uint16(65535) - pixels, 16)
        return Picture(pixels, 16)
    if mode in {"1", "L"}:
        return Picture(np.asarray(picture.convert("L"), dtype=np.uint8), 8)
    if mode in {"LA", "RGB", "RGBA", "P", "PA"}:
        return _from_colours(np.asarray(picture.convert("RGBA"), dtype=np.uint8), mode)
    msg = f"pixels of the kind {mode}, expected 8 or 16 bits of grey; save it as 16-bit grey PNG"
    raise ImageReadError(msg)


def _from_colours(colours: UInt8[np.ndarray, "h w 4"], mode: str) -> Picture:
    """The one grey that all three channels hold.

    Raises:
        ImageReadError: The channels differ, or parts of the picture are transparent.
    """
    grey = colours[:, :, 0]
    if not (np.array_equal(grey, colours[:, :, 1]) and np.array_equal(grey, colours[:, :, 2])):
        msg = "a colour picture, expected grey; give the original mammogram"
        raise ImageReadError(msg)
    if int(colours[:, :, 3].min()) != 255:
        msg = "partly transparent, so that its grey values are not certain; save it without an alpha channel"
        raise ImageReadError(msg)
    kinds = {"LA": "grey with alpha", "RGB": "colour", "RGBA": "colour with alpha", "P": "palette", "PA": "palette"}
    return Picture(np.ascontiguousarray(grey), 8, (f"stored as {kinds[mode]}, yet all grey; one channel is used",))


def _check_png(path: Path) -> None:
    """Refuse what Pillow would read as 8 bits although it has 16.

    Raises:
        ImageReadError: 16 bits with colours or alpha.
    """
    with path.open("rb") as file:
        depth, kind = struct.unpack_from("BB", file.read(26), 24)
    if depth == 16 and kind in {_COLOUR_PNG, _GREY_ALPHA_PNG, _COLOUR_ALPHA_PNG}:
        msg = "a PNG of 16 bits with colours or alpha, expected plain grey; save it as 16-bit grey PNG"
        raise ImageReadError(msg)

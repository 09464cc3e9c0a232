"""Stored pixels of one DICOM frame: opened, decoded by the right decoder, and checked."""

import io
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import generate_fragments, get_frame, parse_basic_offsets
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from aunet.errors import DicomReadError
from aunet.io.codestream import codestream_shape, is_complete, starts_image
from aunet.io.damage import DAMAGE
from aunet.io.decoders import PYDICOM, SYNTAXES
from aunet.io.dicom_elements import integer, numbers
from aunet.io.dicom_lookup import stored_range
from aunet.sample import Shape

_UNCOMPRESSED = frozenset(uid for _, uid, decoder in SYNTAXES if decoder == PYDICOM)
_DECODERS = {uid: decoder for _, uid, decoder in SYNTAXES if decoder != PYDICOM}
_RLE = "1.2.840.10008.1.2.5"
_PACKAGES = {
    "gdcm": "python-gdcm",
    "pyjpegls": "pyjpegls",
    "pylibjpeg": "pylibjpeg, pylibjpeg-libjpeg, pylibjpeg-openjpeg and pylibjpeg-rle",
}
_HEADER = [Tag(name) for name in (
    "SOPClassUID", "SOPInstanceUID", "ImageType", "Modality", "PresentationIntentType",
    "ViewPosition", "ViewCodeSequence", "ImageLaterality", "Laterality", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "PatientOrientation",
    "PixelSpacing", "PixelSpacingCalibrationType", "ImagerPixelSpacing", "EstimatedRadiographicMagnificationFactor",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept",
    "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "PresentationLUTSequence", "PresentationLUTShape", "PixelPaddingValue", "PixelPaddingRangeLimit",
)]  # fmt: skip
_OVERLAY_BIT_POSITION = 0x60000102
_IMAGE_PIXEL = [Tag(name) for name in (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData", _OVERLAY_BIT_POSITION,
)]  # fmt: skip
MAX_PIXELS = 100_000_000
"""Three times the largest film scans; a file that declares more is damaged or hostile."""

_CHUNK = 1 << 20
_MOST_INFLATED = 1 << 28

StoredPixels = Integer[np.ndarray, "h w"]


def read_header(path: Path) -> FileDataset:
    """The elements that matter to an image, and no other: a patient's name is never read."""
    return _read(path, specific_tags=_HEADER, stop_before_pixels=True)


def declared_size(header: Dataset) -> Shape:
    """(rows, columns) as declared, checked before anything of that size is allocated.

    Raises:
        DicomReadError: There is no size, or it is over the limit.
    """
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if not rows or not columns or rows < 0 or columns < 0:
        msg = f"no image: Rows is {rows} and Columns is {columns}, expected both; leave the file out"
        raise DicomReadError(msg)
    if rows * columns > MAX_PIXELS:
        msg = (
            f"absurdly large: {rows} x {columns} pixels declared, over the limit of {MAX_PIXELS / 1e6:g} megapixels; "
            "check the file"
        )
        raise DicomReadError(msg)
    return rows, columns


def read_stored_pixels(path: Path, header: FileDataset) -> StoredPixels:
    """The stored values of one grey frame in native byte order, nothing applied to them.

    Args:
        path: The DICOM file.
        header: What `read_header` gave for it.

    Raises:
        DicomReadError: Pixels are missing, cut off, damaged or absurdly many, or there is no decoder for them.
    """
    shape = declared_size(header)
    syntax = _transfer_syntax(header)
    _check_word(header)
    dataset = _read(path, specific_tags=_IMAGE_PIXEL, stop_before_pixels=False)
    if not dataset.get("PixelData"):
        msg = "holds no pixel data, expected one image; get the complete file"
        raise DicomReadError(msg)
    if syntax in _UNCOMPRESSED:
        _check_length(dataset, shape)
    else:
        _check_is_one_frame(dataset, syntax)
        if syntax != _RLE:
            _check_codestream(dataset, shape)
    # Older files lack it, and pydicom wants it.
    dataset.SamplesPerPixel = 1
    dataset.file_meta.TransferSyntaxUID = syntax
    try:
        # Unused bits are looked at below: pydicom would cut off whatever stands in them without a word.
        decoded, _ = get_decoder(syntax).as_array(
            dataset,
            index=0,
            decoding_plugin=_DECODERS.get(syntax, ""),
            correct_unused_bits=False,  # type: ignore[arg-type]  # pydicom types one option as the dict of all
        )
    except BaseException as error:
        # A decoder written in Rust panics on damaged bytes, which is no Exception.
        if not isinstance(error, DAMAGE) and type(error).__name__ != "PanicException":
            raise
        msg = f"the pixels ({syntax.name}) can't be decoded: damaged or cut off; get an undamaged copy of the file"
        raise DicomReadError(msg) from error
    if decoded.shape != shape or decoded.dtype.kind not in "iu":
        msg = f"decoding gave {decoded.shape} pixels of type {decoded.dtype}, expected {shape} whole numbers"
        raise DicomReadError(msg)
    return _significant_bits(
        decoded.astype(decoded.dtype.newbyteorder("=")), dataset, is_word_exact=syntax in _UNCOMPRESSED | {_RLE}
    )


def _read(path: Path, *, specific_tags: list[BaseTag], stop_before_pixels: bool) -> FileDataset:
    try:
        with path.open("rb") as file:
            return dcmread(
                _inflated(path, file),
                specific_tags=specific_tags,
                stop_before_pixels=stop_before_pixels,
            )
    except InvalidDicomError as error:
        msg = "not a DICOM file (no DICM mark); leave it out, or convert it"
        raise DicomReadError(msg) from error
    except OSError as error:
        msg = f"can't be opened: {error.strerror or 'damaged'}; check path and permissions"
        raise DicomReadError(msg) from error
    except DAMAGE:
        msg = "the DICOM header is damaged or cut off; get an undamaged copy of the file"
        raise DicomReadError(msg) from None  # pydicom's own error quotes bytes of the header


def _inflated(path: Path, file: io.BufferedReader) -> io.BufferedIOBase:
    """The file, deflated elements inflated up to a bound, since a small file could become an enormous one.

    Raises:
        DicomReadError: The bound is passed.
    """
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return file
    start = 132 + 12 + int(meta.FileMetaInformationGroupLength)
    file.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    result = DicomBytesIO()
    result.write(bytes(128) + b"DICM")
    plain = FileMetaDataset(meta)
    plain.TransferSyntaxUID = ExplicitVRLittleEndian
    write_file_meta_info(result, plain, enforce_standard=False)
    while not inflater.eof:
        chunk = inflater.unconsumed_tail or file.read(_CHUNK)
        if not chunk:
            break
        result.write(inflater.decompress(chunk, _CHUNK))
        if result.tell() > _MOST_INFLATED:
            msg = f"absurdly large: the deflated elements take over {_MOST_INFLATED >> 20} MiB; check the file"
            raise DicomReadError(msg)
    return io.BytesIO(result.getvalue())


def _transfer_syntax(header: FileDataset) -> UID:
    """The transfer syntax, if there is a decoder for it.

    Raises:
        DicomReadError: There is none.
    """
    syntax = UID(str(header.file_meta.get("TransferSyntaxUID", "")))
    if syntax in _UNCOMPRESSED:
        return syntax
    if syntax not in _DECODERS:
        found = syntax.name if syntax.is_valid else "no valid UID"
        msg = (
            f"no decoder for the transfer syntax ({found}); convert the file to Explicit VR Little Endian (gdcmconv -w)"
        )
        raise DicomReadError(msg)
    if _DECODERS[syntax] not in get_decoder(syntax).available_plugins:
        msg = (
            f"no decoder for {syntax.name}: install {_PACKAGES[_DECODERS[syntax]]} (`aunet doctor` lists what is there)"
        )
        raise DicomReadError(msg)
    return syntax


def _check_word(header: Dataset) -> None:
    allocated, high = integer(header, "BitsAllocated"), integer(header, "HighBit")
    stored_range(header)
    stored = integer(header, "BitsStored") or 0
    if allocated not in {8, 16} or stored > allocated or (high is not None and not stored <= high + 1 <= allocated):
        msg = f"{allocated} bits allocated, {stored} stored, high bit {high}; expected 8 to 16 bits in words of 8 or 16"
        raise DicomReadError(msg)


def _check_length(dataset: Dataset, shape: Shape) -> None:
    """Uncompressed pixels take the declared size, up to some padding.

    Raises:
        DicomReadError: They take less; or so much more that rows or columns are left over.
    """
    word = int(dataset.BitsAllocated) // 8
    expected = shape[0] * shape[1] * word
    found = len(dataset.PixelData)
    if found < expected:
        msg = f"truncated: {found} bytes of pixels, expected {expected}; get the complete file"
        raise DicomReadError(msg)
    # One column too few in the header would shear the whole image.
    if found > expected + 1 and found - expected >= min(shape) * word:
        msg = f"{found} bytes of pixels, expected {expected}: several frames, or a wrong size; check the file"
        raise DicomReadError(msg)


def _check_is_one_frame(dataset: Dataset, syntax: str) -> None:
    """Compressed pixels are one frame, in one fragment or several.

    Raises:
        DicomReadError: They are several frames, or damaged.
    """
    try:
        buffer = io.BytesIO(dataset.PixelData)
        parse_basic_offsets(buffer)
        fragments = list(generate_fragments(buffer))
    except DAMAGE:
        msg = "the compressed pixels are damaged or cut off; get an undamaged copy of the file"
        raise DicomReadError(msg) from None
    # A frame in RLE is always one fragment.
    frames = len(fragments) if syntax == _RLE else sum(starts_image(fragment) for fragment in fragments)
    if frames > 1:
        msg = f"{frames} frames, though NumberOfFrames does not say so; extract the one two-dimensional mammogram"
        raise DicomReadError(msg)


def _check_codestream(dataset: Dataset, shape: Shape) -> None:
    """The compressed frame is whole, and of the declared size: it decides what a decoder allocates.

    Raises:
        DicomReadError: It is not.
    """
    try:
        codestream = get_frame(dataset.PixelData, 0, number_of_frames=1)
        found = codestream_shape(codestream)
    except DAMAGE as error:
        msg = "the compressed pixels are damaged or cut off; get an undamaged copy of the file"
        raise DicomReadError(msg) from error
    if found != shape:
        msg = f"a compressed image of {found}, but the header declares {shape} rows and columns; check the file"
        raise DicomReadError(msg)
    if not is_complete(codestream):
        msg = "truncated: the compressed pixels have no end mark; get the complete file"
        raise DicomReadError(msg)


def _significant_bits(decoded: StoredPixels, header: Dataset, *, is_word_exact: bool) -> StoredPixels:
    """The value in the BitsStored bits of a word; an overlay of an old file in its other bits is cut off.

    Raises:
        DicomReadError: Values do not fit into BitsStored, and no overlay explains them.
    """
    lowest, highest = stored_range(header)
    bits = int(header.BitsStored)
    if is_word_exact and numbers(header, "HighBit"):
        decoded >>= int(numbers(header, "HighBit")[0]) + 1 - bits
    if lowest <= int(decoded.min()) and int(decoded.max()) <= highest:
        return decoded
    if not is_word_exact or _OVERLAY_BIT_POSITION not in header:
        found = f"{int(decoded.min())} to {int(decoded.max())}"
        msg = f"values {found}, but {bits} bits stored hold {lowest} to {highest}; correct the header"
        raise DicomReadError(msg)
    significant = decoded.astype(np.int32) & ((1 << bits) - 1)
    return np.where(significant > highest, significant - (1 << bits), significant)

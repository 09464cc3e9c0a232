"""Masses as a DICOM Segmentation object that refers to its mammogram."""

import logging
from importlib.metadata import version
from pathlib import Path
from unicodedata import category

import cc3d
import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from jaxtyping import UInt16
from pydicom import Dataset, dcmread
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import TEXT_VR_DELIMS, validate_value

from aunet.errors import DicomReadError, WriteError
from aunet.intended_use import RESEARCH_ONLY
from aunet.io.aside import written_aside
from aunet.io.damage import DAMAGE
from aunet.io.silence import silent_libraries
from aunet.sample import Laterality, Mask2D, Spacing

logger = logging.getLogger(__name__)

MAX_SEGMENTS = 24
"""More regions than this are one segment: a frame of the whole film for each would make a file of 100 MB."""

# What files the SEG beside its mammogram in an archive, and no more of the patient than that.
_REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
_OPTIONAL = (
    "IssuerOfPatientID",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDescription",
)
_REFERENCE = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_ENUMERATED = {"PatientSex": ("M", "F", "O"), "PatientIdentityRemoved": ("YES", "NO")}
_ORIENTATIONS = frozenset("APRLHF")
_NO_GEOMETRY: Spacing = (1.0, 1.0)


@silent_libraries()
def write_seg(
    path: Path,
    *,
    source: Path,
    mask: Mask2D,
    card_name: str,
    card_version: str,
    laterality: Laterality | None = None,
    spacing_mm: Spacing | None = None,
    viewer_geometry: bool = False,
) -> None:
    """Write the masses of one mammogram as a binary DICOM Segmentation, one segment a mass.

    A mass is an 8-connected region; segments are numbered as the rows of the results are, by the first pixel in
    reading order. More than `MAX_SEGMENTS` regions become one segment. The descriptions of the series and of the
    content say that it is for research. The file appears under its name only when it is complete.

    Args:
        path: File to write.
        source: The mammogram's DICOM file; the SEG joins its patient and study, and refers to it.
        mask: Masses on the source grid.
        card_name: Name of the network that found them.
        card_version: Its version.
        laterality: Breast on the image, as read; None leaves the side out.
        spacing_mm: Spacing to write with `viewer_geometry`; None writes one millimetre a pixel there.
        viewer_geometry: Add a frame of reference, position, orientation and spacing, without which OHIF does not open
            a SEG. They are invented: a mammogram has no place in the patient's coordinates.

    Raises:
        DicomReadError: The source is no DICOM file any more.
        WriteError: The source lacks an identifier the SEG has to refer to, or has another size than the mask.
        ValueError: The mask is empty; a SEG can't hold zero segments.
    """
    labels, count = _labelled(mask)
    if count == 0:
        msg = f"{source}: the mask is empty, and a SEG can't hold zero segments; write none and say so"
        raise ValueError(msg)
    try:
        header = dcmread(source, stop_before_pixels=True)
        size = header.get("Rows"), header.get("Columns")
    except (InvalidDicomError, *DAMAGE):
        msg = f"{source}: no longer readable as DICOM; a SEG needs the header of its mammogram"
        raise DicomReadError(msg) from None  # pydicom's own error may quote values of the file
    if missing := [keyword for keyword in _REFERENCE if not _text(header, keyword)]:
        msg = f"{source}: has no valid {', '.join(missing)}; a SEG has to refer to it, so none can be written"
        raise WriteError(msg)
    if size != mask.shape:
        msg = f"{source}: {size[0]} x {size[1]} pixels, but the mask has {mask.shape[0]} x {mask.shape[1]}"
        raise WriteError(msg)
    reference = _reference(header)
    if viewer_geometry:
        _invent_geometry(reference, spacing_mm or _NO_GEOMETRY)
    texts = _patient_and_study(header, source=source)
    seg = Segmentation(
        source_images=[reference],
        pixel_array=labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(number, count, card_name=card_name, card_version=card_version, laterality=laterality)
            for number in range(1, count + 1)
        ],
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer="aunet",
        manufacturer_model_name=card_name,
        software_versions=version("aunet"),
        device_serial_number=card_version,
        content_label="MASSES",
        content_description=f"Breast masses. {RESEARCH_ONLY}",
        series_description=f"Masses (aunet). {RESEARCH_ONLY}",
        specific_character_set=_character_set(texts),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    # After the constructor, and not through the source: highdicom logs a name that it finds unusual.
    for keyword, value in texts.items():
        setattr(seg, keyword, value)
    seg.PatientOrientation = _orientation(header)
    with written_aside(path) as aside:
        seg.save_as(aside)


def _labelled(mask: Mask2D) -> tuple[UInt16[np.ndarray, "h w"], int]:
    """The mask with its regions numbered from 1 in reading order, and their number."""
    labels, count = cc3d.connected_components(mask.view(np.uint8), connectivity=8, return_N=True)
    if count > MAX_SEGMENTS:
        return mask.astype(np.uint16), 1
    return labels.astype(np.uint16), int(count)


def _reference(header: Dataset) -> Dataset:
    """What highdicom needs of the source, and nothing else: identifiers, size, compression, blanks for the patient.

    A whole copy would bring along an empty FrameOfReferenceUID and values that break their own rules.
    """
    reference = Dataset()
    for keyword in _REFERENCE:
        setattr(reference, keyword, _text(header, keyword))
    reference.Rows, reference.Columns = header.Rows, header.Columns
    if _text(header, "LossyImageCompression") == "01":
        reference.LossyImageCompression = "01"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if values := _texts(header, keyword):
                setattr(reference, keyword, values)
    for keyword in _REQUIRED:
        setattr(reference, keyword, None)
    return reference


def _invent_geometry(reference: Dataset, spacing_mm: Spacing) -> None:
    """Put the image into a frame of reference of its own, at the origin."""
    reference.FrameOfReferenceUID = generate_uid(prefix=None)
    reference.PositionReferenceIndicator = None
    reference.ImagePositionPatient = [0.0, 0.0, 0.0]
    reference.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    reference.PixelSpacing = list(spacing_mm)
    reference.SliceThickness = 1.0


def _patient_and_study(header: Dataset, *, source: Path) -> dict[str, str | None]:
    """Text of the patient's and study's attributes; what breaks its own rules is blank (type 2) or left out."""
    texts: dict[str, str | None] = {keyword: _text(header, keyword) or None for keyword in _REQUIRED}
    texts |= {keyword: text for keyword in _OPTIONAL if (text := _text(header, keyword))}
    if texts.get("PatientIdentityRemoved") == "YES":
        # The one asks for the other, which may be a code sequence in the source, or missing.
        texts["DeidentificationMethod"] = "\\".join(_texts(header, "DeidentificationMethod")) or "see the source image"
    dropped = [keyword for keyword in (*_REQUIRED, *_OPTIONAL) if _raw(header, keyword) and not texts.get(keyword)]
    if dropped:
        logger.info("%s: left out of the SEG, since the values break their own rules: %s", source, ", ".join(dropped))
    return texts


def _orientation(header: Dataset) -> list[str] | None:
    """The source's PatientOrientation; None (an empty attribute) where it is missing or no orientation at all."""
    values = _texts(header, "PatientOrientation")
    # Film carries its view here ("CC"): two directions of anatomical letters are the rule.
    if len(values) == 2 and all(value and set(value) <= _ORIENTATIONS for value in values):
        return values
    return None


def _text(header: Dataset, keyword: str) -> str:
    """A text attribute of one value; "" where it is missing, empty or against the rules of its type."""
    values = _texts(header, keyword)
    return values[0] if len(values) == 1 else ""


def _texts(header: Dataset, keyword: str) -> list[str]:
    """The values of a text attribute; none where it is missing, empty or against the rules of its type.

    They are decoded here: pydicom's own access warns of a bad value by printing it, and it may be a patient's.
    """
    encodings = convert_encodings(header.get("SpecificCharacterSet"))
    text = decode_bytes(_raw(header, keyword), encodings, set(TEXT_VR_DELIMS)).strip("\0 ")
    values = [value.strip() for value in text.split("\\")] if text else []
    return values if all(_is_sound(keyword, value) for value in values) else []


def _is_sound(keyword: str, value: str) -> bool:
    """Whether a value keeps the rules of its type, those included that pydicom does not know."""
    vr = dictionary_VR(keyword)
    try:
        validate_value(vr, value, RAISE)
    except ValueError:
        return False
    if keyword in _ENUMERATED and value not in _ENUMERATED[keyword]:
        return False
    if vr == "PN" and (value.count("=") > 2 or any(group.count("^") > 4 for group in value.split("="))):
        return False
    return not any(category(character) == "Cc" for character in value)


def _raw(header: Dataset, keyword: str) -> bytes:
    """The bytes of an attribute as they stand in the file, padding taken off."""
    element: object = header.get_item(keyword)  # pydicom announces no raw element, and returns one
    if not isinstance(element, RawDataElement):
        return b""
    return (element.value or b"").strip(b"\0 ")


def _character_set(texts: dict[str, str | None]) -> str | None:
    """UTF-8 where the texts, decoded by the source's own character set, need more than ASCII."""
    return None if all(text is None or text.isascii() for text in texts.values()) else "ISO_IR 192"


def _description(
    number: int, count: int, *, card_name: str, card_version: str, laterality: Laterality | None
) -> SegmentDescription:
    """One mass: what it is, where, and what found it."""
    breast = CodedConcept.from_code(codes.SCT.Breast)
    if laterality is not None:
        side = codes.SCT.Left if laterality == "L" else codes.SCT.Right
        breast.AnatomicRegionModifierSequence = [CodedConcept.from_code(side)]
    description = SegmentDescription(
        segment_number=number,
        segment_label="Mass" if count == 1 else f"Mass {number}",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Mass,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=card_name, version=card_version, family=codes.cid7162.ArtificialIntelligence
        ),
        tracking_uid=generate_uid(prefix=None),
        tracking_id=f"Mass {number}",
    )
    description.AnatomicRegionSequence = [breast]
    return description

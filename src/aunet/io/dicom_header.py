"""What a mammogram's header says of it: kind, side, view, spacing; all from elements, never from names."""

from dataclasses import dataclass
from typing import get_args

from pydicom import Dataset
from pydicom.uid import UID

from aunet.errors import DicomReadError
from aunet.io.breast_side import Side
from aunet.io.dicom_elements import integer, items, numbers, printable, text, texts
from aunet.sample import Laterality, Spacing, SpacingSource, View

_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
_SECONDARY_CAPTURES = frozenset({
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image Storage
    "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte
    "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word
})
_TOMOSYNTHESIS = frozenset({
    "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis
    "1.2.840.10008.5.1.4.1.1.13.1.4",  # Breast Projection X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.13.1.5",  # Breast Projection X-Ray, for processing
})
# Projection X-ray classes of older detectors and phosphor plates; modality MG tells their mammograms.
_OTHER_PROJECTIONS = frozenset({
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
})
_VIEW_CODES: dict[str, View] = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
}
_SMALLEST_MM = 0.01
# The largest film is 24 x 30 cm.
_WIDEST_MM = 600.0
# What converters write that know of no spacing.
_PLACEHOLDER = (1.0, 1.0)
_AT_DETECTOR: SpacingSource = "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"


@dataclass(frozen=True, slots=True)
class Stated:
    """What a header states of one mammogram."""

    laterality: Laterality | None
    view: View | None
    spacing_mm: Spacing | None
    spacing_source: SpacingSource | None
    sop_instance_uid: str | None
    is_for_processing: bool
    chest_wall: Side | None
    """Side of the picture where the elements put the chest wall."""
    notes: tuple[str, ...]


def check_is_one_mammogram(header: Dataset) -> None:
    """Pass over one two-dimensional grey mammogram, and refuse anything else.

    Raises:
        DicomReadError: The file holds something else; the message says what.
    """
    sop_class, modality = text(header, "SOPClassUID"), text(header, "Modality")
    if sop_class in _TOMOSYNTHESIS:
        msg = f"{UID(sop_class).name}, expected a two-dimensional mammogram; give the 2-D image of the same view"
        raise DicomReadError(msg)
    check_is_one_grey_frame(header)
    if sop_class in {_FOR_PRESENTATION, _FOR_PROCESSING} and modality in {"MG", ""}:
        return
    if modality == "MG" and sop_class in _SECONDARY_CAPTURES | _OTHER_PROJECTIONS:
        return
    found = f"modality {printable(modality)}, SOP class {_class_name(sop_class)}"
    msg = (
        f"{found}: no mammogram; expected modality MG and a mammography, X-ray or Secondary Capture image; leave it out"
    )
    raise DicomReadError(msg)


def check_is_one_grey_frame(header: Dataset) -> None:
    """Pass over one frame of grey pixels, and refuse anything else.

    Raises:
        DicomReadError: There are no pixels, several frames, or colours.
    """
    frames = integer(header, "NumberOfFrames")
    if frames is not None and frames != 1:
        what = "multi-frame: " if frames > 1 else ""
        msg = f"{what}{frames} frames, expected one; give the one two-dimensional mammogram"
        raise DicomReadError(msg)
    photometric, samples = text(header, "PhotometricInterpretation"), integer(header, "SamplesPerPixel")
    if not photometric:
        msg = (
            "PhotometricInterpretation missing: the file holds no image, or its header is cut off; "
            "get the complete file, or leave it out"
        )
        raise DicomReadError(msg)
    if photometric not in {"MONOCHROME1", "MONOCHROME2"} or samples not in {1, None}:
        found = f"PhotometricInterpretation {printable(photometric)}"
        msg = f"{found} with {samples} samples a pixel, expected grey (MONOCHROME1 or MONOCHROME2); leave colour out"
        raise DicomReadError(msg)


def _class_name(sop_class: str) -> str:
    if not sop_class:
        return "missing"
    return UID(sop_class).name if UID(sop_class).is_valid else "not valid"


def stated(header: Dataset) -> Stated:
    """What the header states of side, view, spacing and purpose, with a note for each contradiction."""
    notes: list[str] = []
    laterality = _laterality(header, notes)
    spacing_mm, spacing_source = _spacing(header, notes)
    return Stated(
        laterality=laterality,
        view=_view(header, notes),
        spacing_mm=spacing_mm,
        spacing_source=spacing_source,
        sop_instance_uid=_uid(header, "SOPInstanceUID"),
        is_for_processing=_is_for_processing(header),
        chest_wall=_chest_wall(header, laterality),
        notes=tuple(notes),
    )


def _is_for_processing(header: Dataset) -> bool:
    by_class = text(header, "SOPClassUID") in {_FOR_PROCESSING, "1.2.840.10008.5.1.4.1.1.1.1.1"}
    return by_class or text(header, "PresentationIntentType") == "FOR PROCESSING"


def _uid(header: Dataset, keyword: str) -> str | None:
    value = text(header, keyword)
    return value if UID(value).is_valid else None


def _laterality(header: Dataset, notes: list[str]) -> Laterality | None:
    """ImageLaterality, else Laterality (of the series), else FrameLaterality."""
    stated_by: dict[str, Laterality] = {}
    for keyword, values in (
        ("ImageLaterality", texts(header, "ImageLaterality")),
        ("Laterality", texts(header, "Laterality")),
        ("FrameLaterality", _frame_laterality(header)),
    ):
        if values and values[0] in get_args(Laterality):
            stated_by[keyword] = "L" if values[0] == "L" else "R"
        elif values and values[0] == "B":
            notes.append(f"{keyword} names both breasts; the side is taken as unknown")
        elif values and values[0] != "U":
            notes.append(f"{keyword} is neither L nor R; the side is taken as unknown")
    if len(set(stated_by.values())) > 1:
        found = ", ".join(f"{keyword} {side}" for keyword, side in stated_by.items())
        notes.append(f"the elements contradict each other on the side ({found}); the first one is used")
    return next(iter(stated_by.values()), None)


def _frame_laterality(header: Dataset) -> tuple[str, ...]:
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items(header, groups)[:1]:
            for anatomy in items(group, "FrameAnatomySequence")[:1]:
                if found := texts(anatomy, "FrameLaterality"):
                    return found
    return ()


def _view(header: Dataset, notes: list[str]) -> View | None:
    """ViewPosition and ViewCodeSequence; digitised film may carry its view in PatientOrientation."""
    stated_by: dict[str, View | None] = {}
    if positions := texts(header, "ViewPosition"):
        stated_by["ViewPosition"] = _as_view(positions[0])
    if codes := items(header, "ViewCodeSequence"):
        stated_by["ViewCodeSequence"] = _VIEW_CODES.get(text(codes[0], "CodeValue"))
        if items(codes[0], "ViewModifierCodeSequence"):
            notes.append("the view has a modifier (magnified, spot compression ...): not a plain CC or MLO view")
    orientation = texts(header, "PatientOrientation")
    if len(orientation) == 1 and _as_view(orientation[0]) is not None:
        stated_by["PatientOrientation"] = _as_view(orientation[0])
    if len(set(stated_by.values())) > 1:
        found = ", ".join(f"{keyword} {view or 'another view'}" for keyword, view in stated_by.items())
        notes.append(f"the elements contradict each other on the view ({found}); the first one is used")
    elif None in stated_by.values():
        notes.append("the elements name a view that is neither CC nor MLO; the view is taken as unknown")
    return next(iter(stated_by.values()), None)


def _as_view(value: str) -> View | None:
    if value == "CC":
        return "CC"
    return "MLO" if value == "MLO" else None


def _spacing(header: Dataset, notes: list[str]) -> tuple[Spacing | None, SpacingSource | None]:
    """PixelSpacing, else the detector's spacing over the magnification; none where neither can be trusted."""
    is_capture = text(header, "SOPClassUID") in _SECONDARY_CAPTURES
    in_breast = _plausible(header, "PixelSpacing", notes)
    at_detector = None if is_capture else _plausible(header, "ImagerPixelSpacing", notes)
    magnification = None if is_capture else _magnification(header, notes)
    if in_breast is not None and is_capture and not text(header, "PixelSpacingCalibrationType"):
        notes.append("PixelSpacing of a Secondary Capture without PixelSpacingCalibrationType is not used")
        return None, None
    if in_breast is not None:
        if in_breast == at_detector and magnification is not None and abs(magnification - 1) > 0.01:
            notes.append(f"PixelSpacing is the detector's own: lengths in mm come out {magnification:g} times too long")
        return in_breast, "PixelSpacing"
    if at_detector is None:
        return None, None
    if magnification is None:
        notes.append("no EstimatedRadiographicMagnificationFactor: the spacing is that at the detector")
        magnification = 1.0
    return (at_detector[0] / magnification, at_detector[1] / magnification), _AT_DETECTOR


def _plausible(header: Dataset, keyword: str, notes: list[str]) -> Spacing | None:
    """(row, column) spacing in millimetres, if it can be that of a mammogram."""
    try:
        found = numbers(header, keyword)
    except DicomReadError:
        notes.append(f"{keyword} holds no valid number and is not used")
        return None
    if not found:
        return None
    rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
    if (
        len(found) != 2
        or min(found) < _SMALLEST_MM
        or max(found[0] * rows, found[1] * columns) > _WIDEST_MM
        or found == _PLACEHOLDER
    ):
        notes.append(f"{keyword} is no spacing of a mammogram of {rows} x {columns} pixels and is not used")
        return None
    return found[0], found[1]


def _magnification(header: Dataset, notes: list[str]) -> float | None:
    keyword = "EstimatedRadiographicMagnificationFactor"
    try:
        found = numbers(header, keyword)
    except DicomReadError:
        found = (0.0,)
    if found and not 1.0 <= found[0] <= 4.0:
        notes.append(f"{keyword} is no magnification of a mammogram (1 to 4) and is not used")
        return None
    return found[0] if found else None


def _chest_wall(header: Dataset, laterality: Laterality | None) -> Side | None:
    """Where PatientOrientation puts the chest wall, else where the usual hanging of this side has it."""
    orientation = texts(header, "PatientOrientation")
    if len(orientation) == 2:
        # Rows that run to the front (anterior) of the body start at the chest wall.
        if orientation[0].startswith("A"):
            return "left"
        if orientation[0].startswith("P"):
            return "right"
    if laterality is None:
        return None
    return "left" if laterality == "L" else "right"

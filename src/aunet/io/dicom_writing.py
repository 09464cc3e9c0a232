"""Writing a mammogram as DICOM: as a detector's presentation image, or as a digitised film."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8, UInt16
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pydicom.valuerep import format_number_as_ds

from aunet.io.aside import written_aside
from aunet.sample import Laterality, Spacing, View

SopClass = Literal["MG presentation", "secondary capture"]
Photometric = Literal["MONOCHROME1", "MONOCHROME2"]

# The usual hanging, as (direction of the rows, direction of the columns): the chest wall of a left breast is on the
# left, so that its rows run to the front of the body.
_HANGING: dict[tuple[Laterality, View], tuple[str, str]] = {
    ("L", "CC"): ("A", "R"),
    ("R", "CC"): ("P", "L"),
    ("L", "MLO"): ("A", "FR"),
    ("R", "MLO"): ("P", "FL"),
}
_VIEW_CODES: dict[View, Code] = {
    "CC": Code("399162004", "SCT", "cranio-caudal"),
    "MLO": Code("399368009", "SCT", "medio-lateral oblique"),
}


@dataclass(frozen=True, slots=True)
class MammogramHeader:
    """What a written mammogram says of itself; all of it is given, so that the same input makes the same bytes."""

    laterality: Laterality
    view: View
    bits_stored: int
    """8 to 16."""
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class: SopClass = "MG presentation"
    photometric: Photometric = "MONOCHROME2"
    spacing_mm: Spacing | None = None
    """In the breast; a detector's image needs it, a digitised film has none."""
    magnification: float = 1.0
    """Estimated radiographic magnification: the detector's pixels are this much larger than `spacing_mm`."""
    body_part: str = "BREAST"
    patient_orientation: tuple[str, str] | None = None
    """Directions of rows and columns; None for the usual hanging, chest wall on the left for a left breast."""
    series_number: int = 1
    instance_number: int = 1


def write_mammogram(
    path: Path, image: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"], header: MammogramHeader
) -> None:
    """Write one mammogram, uncompressed; the same arguments make the same bytes.

    The file appears under its name only when it is complete.

    Args:
        path: File to write; its folder is made where missing.
        image: Presentation values, dense tissue bright; MONOCHROME1 is stored inverted. Values of 8 bits are stored in
            bytes, those of 16 in words.
        header: What the file says of the image.

    Raises:
        ValueError: A value does not fit into `bits_stored`, or a detector's image comes without spacing.
    """
    top = 2**header.bits_stored - 1
    allocated = 8 * image.itemsize
    if not 8 <= header.bits_stored <= allocated or int(image.max()) > top:
        msg = (
            f"{path}: values up to {int(image.max())} in {header.bits_stored} bits of {allocated}; "
            f"store 8 to {allocated} bits that hold them"
        )
        raise ValueError(msg)
    if header.sop_class == "MG presentation" and header.spacing_mm is None:
        msg = f"{path}: a detector's image needs the spacing of its pixels; give it, or write a secondary capture"
        raise ValueError(msg)
    stored = image.dtype.type(top) - image if header.photometric == "MONOCHROME1" else image
    dataset = _identified(header)
    if header.sop_class == "MG presentation" and header.spacing_mm is not None:
        _describe_detector_image(dataset, header, spacing_mm=header.spacing_mm)
    else:
        _describe_film(dataset, header)
    _put_pixels(dataset, stored, header)
    with written_aside(path) as aside:
        dataset.save_as(aside, enforce_file_format=True)


def _identified(header: MammogramHeader) -> Dataset:
    """What every image object has: patient, study, series; no date and no time."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = f"AUNET_{version('aunet')}"[:16]
    dataset.SOPClassUID = (
        DigitalMammographyXRayImageStorageForPresentation
        if header.sop_class == "MG presentation"
        else SecondaryCaptureImageStorage
    )
    dataset.SOPInstanceUID = header.sop_instance_uid
    dataset.StudyInstanceUID = header.study_instance_uid
    dataset.SeriesInstanceUID = header.series_instance_uid
    dataset.PatientID = header.patient_id
    dataset.PatientName = header.patient_id
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"):
        setattr(dataset, keyword, "")
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "MG"
    dataset.BodyPartExamined = header.body_part
    dataset.SeriesNumber = header.series_number
    dataset.InstanceNumber = header.instance_number
    dataset.Manufacturer = "aunet"
    return dataset


def _describe_detector_image(dataset: Dataset, header: MammogramHeader, *, spacing_mm: Spacing) -> None:
    """Attributes of a Digital Mammography X-Ray image for presentation."""
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PatientOrientation = list(header.patient_orientation or _HANGING[header.laterality, header.view])
    dataset.ImageLaterality = header.laterality
    dataset.ViewPosition = header.view
    dataset.ViewCodeSequence = [_coded(_VIEW_CODES[header.view])]
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = []
    dataset.AnatomicRegionSequence = [_coded(codes.SCT.Breast)]
    dataset.OrganExposed = "BREAST"
    dataset.PositionerType = "NONE"
    dataset.DetectorType = ""
    dataset.ImagerPixelSpacing = [format_number_as_ds(float(side) * header.magnification) for side in spacing_mm]
    dataset.EstimatedRadiographicMagnificationFactor = format_number_as_ds(float(header.magnification))
    dataset.AcquisitionContextSequence = []
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1 if header.photometric == "MONOCHROME1" else -1
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "US"
    dataset.WindowCenter = str(2 ** (header.bits_stored - 1))
    dataset.WindowWidth = str(2**header.bits_stored)
    dataset.PresentationLUTShape = "INVERSE" if header.photometric == "MONOCHROME1" else "IDENTITY"
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"


def _describe_film(dataset: Dataset, header: MammogramHeader) -> None:
    """Attributes as CBIS-DDSM's films have them: the view stands in PatientOrientation, and there is no spacing."""
    dataset.ConversionType = "DF"
    dataset.PatientOrientation = header.view
    dataset.Laterality = header.laterality
    if header.spacing_mm is not None:
        dataset.PixelSpacing = [format_number_as_ds(float(side)) for side in header.spacing_mm]
        dataset.PixelSpacingCalibrationType = "GEOMETRY"
        dataset.PixelSpacingCalibrationDescription = "Simulated"


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _put_pixels(
    dataset: Dataset, stored: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"], header: MammogramHeader
) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = header.photometric
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 8 * stored.itemsize
    dataset.BitsStored = header.bits_stored
    dataset.HighBit = header.bits_stored - 1
    dataset.PixelRepresentation = 0
    values = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    # An element has an even number of bytes (PS3.5, 7.1.1); those of one byte a pixel are OB (PS3.5, 8.2).
    dataset.add_new("PixelData", "OB" if stored.itemsize == 1 else "OW", values + b"\0" * (len(values) % 2))

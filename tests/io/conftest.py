"""DICOM files made on the spot, with any element changed."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"


Make = Callable[..., Path]
"""Writes one mammogram of the `pixels` given, and returns its path."""


@pytest.fixture
def dicom_file(tmp_path: Path) -> Make:
    """A mammogram of 12 bits by default; an element given as None is left out, another one may break its rules."""
    numbers = itertools.count()

    def make(
        pixels: np.ndarray,
        *,
        syntax: UID = ExplicitVRLittleEndian,
        codestream: bytes | None = None,
        **elements: object,
    ) -> Path:
        dataset = _mammogram(pixels)
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                _put(dataset, keyword, value)
        if codestream is not None:
            dataset.add_new("PixelData", "OB", encapsulate([codestream]))
        elif syntax == ExplicitVRBigEndian and "PixelData" in dataset:
            dataset.add_new("PixelData", "OW", pixels.astype(pixels.dtype.newbyteorder(">")).tobytes())
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.file_meta.MediaStorageSOPClassUID = UID(FOR_PRESENTATION)
        dataset.file_meta.MediaStorageSOPInstanceUID = UID("2.25.3")
        path = tmp_path / f"{next(numbers)}.dcm"
        dataset.save_as(
            path,
            enforce_file_format=True,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
        )
        return path

    return make


def _mammogram(pixels: np.ndarray) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = UID(FOR_PRESENTATION)
    dataset.SOPInstanceUID = UID("2.25.3")
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "4711"
    dataset.PatientBirthDate = "19600102"
    dataset.ImageLaterality = "L"
    dataset.ViewPosition = "CC"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = 8 if pixels.dtype.itemsize == 1 else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.add_new("PixelData", "OW", pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    return dataset


def _put(dataset: Dataset, keyword: str, value: object) -> None:
    vr = dictionary_VR(keyword)
    vr = {"US or SS": "US", "US or OW": "US", "OB or OW": "OW"}.get(vr, vr)
    dataset[keyword] = DataElement(Tag(keyword), vr, value, validation_mode=IGNORE)
    if keyword == "BitsStored":
        assert isinstance(value, int)
        dataset.HighBit = value - 1

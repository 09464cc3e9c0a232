"""Synthetic mammograms written as DICOM: conformant, the same bytes each time, read back as they were."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt16
from pydicom import dcmread

from aunet.io.dicom import read_dicom
from aunet.io.dicom_writing import MammogramHeader, Photometric, write_mammogram
from aunet.sample import Laterality, View

needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")

DETECTOR = MammogramHeader(
    laterality="L",
    view="CC",
    bits_stored=12,
    patient_id="PHANTOM-1",
    study_instance_uid="2.25.1",
    series_instance_uid="2.25.2",
    sop_instance_uid="2.25.3",
    spacing_mm=(0.07, 0.1),
)
FILM = dataclasses.replace(DETECTOR, sop_class="secondary capture", bits_stored=16, spacing_mm=None)


def gradient() -> UInt16[np.ndarray, "h w"]:
    """Bright on the left, where a left breast's chest wall is; every row its own."""
    rows, columns = np.indices((40, 30))
    return (4000 - 100 * columns + rows).astype(np.uint16)


@needs_dciodvfy
@pytest.mark.parametrize("laterality", ["L", "R"])
@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_validator_finds_no_error_in_a_detector_image(
    tmp_path: Path, laterality: Laterality, view: View, photometric: Photometric
) -> None:
    header = dataclasses.replace(DETECTOR, laterality=laterality, view=view, photometric=photometric)
    write_mammogram(tmp_path / "image.dcm", gradient(), header)

    found = subprocess.run(
        ["dciodvfy", tmp_path / "image.dcm"], capture_output=True, text=True, check=False
    ).stderr.splitlines()

    assert "MammographyImageForPresentation" in found
    assert [line for line in found if line.startswith("Error")] == []


@needs_dciodvfy
def test_the_validator_objects_to_nothing_in_a_film_but_the_view_in_patient_orientation(tmp_path: Path) -> None:
    write_mammogram(tmp_path / "image.dcm", gradient(), FILM)

    found = subprocess.run(
        ["dciodvfy", tmp_path / "image.dcm"], capture_output=True, text=True, check=False
    ).stderr.splitlines()

    assert "SCImage" in found
    assert [line for line in found if line.startswith("Error") and "PatientOrientation" not in line] == []


@pytest.mark.parametrize("header", [DETECTOR, FILM], ids=["detector", "film"])
def test_the_same_input_makes_the_same_bytes(tmp_path: Path, header: MammogramHeader) -> None:
    write_mammogram(tmp_path / "one.dcm", gradient(), header)
    write_mammogram(tmp_path / "two.dcm", gradient(), header)

    assert (tmp_path / "one.dcm").read_bytes() == (tmp_path / "two.dcm").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.dcm", "two.dcm"]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("header", [DETECTOR, FILM], ids=["detector", "film"])
def test_a_written_mammogram_reads_back_as_it_was(
    tmp_path: Path, header: MammogramHeader, photometric: Photometric
) -> None:
    write_mammogram(tmp_path / "image.dcm", gradient(), dataclasses.replace(header, photometric=photometric))

    mammogram = read_dicom(tmp_path / "image.dcm")

    np.testing.assert_array_equal(mammogram.image, gradient())
    assert (mammogram.laterality, mammogram.view, mammogram.bits_stored) == ("L", "CC", header.bits_stored)
    assert mammogram.sop_instance_uid == "2.25.3"
    assert mammogram.spacing_mm == header.spacing_mm
    assert mammogram.notes == ()


def test_monochrome1_is_stored_inverted(tmp_path: Path) -> None:
    write_mammogram(tmp_path / "image.dcm", gradient(), dataclasses.replace(DETECTOR, photometric="MONOCHROME1"))

    stored = dcmread(tmp_path / "image.dcm").pixel_array

    np.testing.assert_array_equal(stored, 4095 - gradient())


def test_a_magnified_image_keeps_its_spacing_in_the_breast(tmp_path: Path) -> None:
    header = dataclasses.replace(DETECTOR, magnification=1.8)
    write_mammogram(tmp_path / "image.dcm", gradient(), header)

    mammogram = read_dicom(tmp_path / "image.dcm")

    assert dcmread(tmp_path / "image.dcm").ImagerPixelSpacing == pytest.approx([0.126, 0.18])
    assert mammogram.spacing_mm == pytest.approx((0.07, 0.1))
    assert mammogram.spacing_source == "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"


def test_values_over_the_bits_stored_are_refused(tmp_path: Path) -> None:
    image = np.full((4, 4), 4096, dtype=np.uint16)

    with pytest.raises(ValueError, match="up to 4096 in 12 bits"):
        write_mammogram(tmp_path / "image.dcm", image, DETECTOR)

    assert list(tmp_path.iterdir()) == []


def test_a_detector_image_without_spacing_is_refused(tmp_path: Path) -> None:
    header = dataclasses.replace(DETECTOR, spacing_mm=None)

    with pytest.raises(ValueError, match="needs the spacing"):
        write_mammogram(tmp_path / "image.dcm", gradient(), header)

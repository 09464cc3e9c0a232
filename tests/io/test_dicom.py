"""From a file to a mammogram: the whole road, real files, damaged files, and what never leaves a file."""

import io
import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import UInt16
from pydicom import Dataset, dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from aunet.errors import AunetError, DicomReadError
from aunet.io.dicom import read_dicom, read_dicom_size
from aunet.io.files import read_mammogram
from aunet.sample import Mammogram

Make = Callable[..., Path]

ROWS, COLUMNS = 66, 70


def left_breast() -> UInt16[np.ndarray, "h w"]:
    """Half an ellipse at the left edge."""
    row, column = np.mgrid[0:ROWS, 0:COLUMNS]
    inside = ((row - 33) / 28) ** 2 + (column / 45) ** 2 < 1
    pixels: UInt16[np.ndarray, "h w"] = np.where(inside, 2000 + 3 * row + column, 10).astype(np.uint16)
    return pixels


def mirrored() -> UInt16[np.ndarray, "h w"]:
    return np.ascontiguousarray(left_breast()[:, ::-1])


@pytest.mark.parametrize(
    ("pixels", "elements"),
    [
        (left_breast(), {"ImageLaterality": "L"}),
        (mirrored(), {"ImageLaterality": "R"}),
        (mirrored(), {"ImageLaterality": "L", "PatientOrientation": ["P", "R"]}),
        (left_breast(), {"ImageLaterality": "R", "PatientOrientation": ["A", "L"]}),
        (left_breast(), {"ImageLaterality": None}),
    ],
    ids=["left", "right", "left, turned and said so", "right, turned and said so", "unknown"],
)
def test_a_side_that_agrees_with_the_pixels_is_no_note(
    dicom_file: Make, pixels: UInt16[np.ndarray, "h w"], elements: dict[str, object]
) -> None:
    mammogram = read_dicom(dicom_file(pixels, **elements))

    assert mammogram.notes == ()


@pytest.mark.parametrize(
    ("pixels", "elements", "seen", "stated"),
    [
        (left_breast(), {"ImageLaterality": "R"}, "left", "right"),
        (mirrored(), {"ImageLaterality": "L"}, "right", "left"),
        (left_breast(), {"ImageLaterality": "L", "PatientOrientation": ["P", "R"]}, "left", "right"),
    ],
)
def test_a_side_that_contradicts_the_pixels_is_a_note(
    dicom_file: Make, pixels: UInt16[np.ndarray, "h w"], elements: dict[str, object], seen: str, stated: str
) -> None:
    mammogram = read_dicom(dicom_file(pixels, **elements))

    assert mammogram.laterality == elements["ImageLaterality"]
    assert len(mammogram.notes) == 1
    assert f"lies on the {seen} of the picture, but the elements put it on the {stated}" in mammogram.notes[0]


def test_the_pixels_of_a_monochrome1_breast_are_checked_after_inversion(dicom_file: Make) -> None:
    inverted = (4095 - left_breast()).astype(np.uint16)

    mammogram = read_dicom(dicom_file(inverted, PhotometricInterpretation="MONOCHROME1"))

    assert mammogram.notes == ()


def test_a_constant_image_is_refused(dicom_file: Make) -> None:
    path = dicom_file(np.full((20, 20), 77, dtype=np.uint16))

    with pytest.raises(DicomReadError, match="a constant image: every pixel is 77"):
        read_dicom(path)


def test_the_size_is_read_without_the_pixels(dicom_file: Make) -> None:
    path = dicom_file(left_breast(), PixelData=None)

    assert read_dicom_size(path) == (ROWS, COLUMNS)


def test_an_absurd_size_is_refused_without_the_pixels(dicom_file: Make) -> None:
    path = dicom_file(left_breast(), Rows=65535, Columns=65535)

    with pytest.raises(DicomReadError, match="absurdly large: 65535 x 65535 pixels declared"):
        read_dicom_size(path)


@pytest.mark.parametrize("content", [b"", b"DICM", b"hello" * 100])
def test_another_file_is_no_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "film.dcm").write_bytes(content)

    with pytest.raises(DicomReadError, match=r"film\.dcm: .*(not a DICOM file|damaged)"):
        read_dicom(tmp_path / "film.dcm")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DicomReadError, match=r"can't be opened: No such file or directory"):
        read_dicom(tmp_path / "absent.dcm")


def test_nothing_of_the_patient_is_logged_warned_of_or_raised(
    dicom_file: Make, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG, logger="aunet")
    wrong = {"PatientName": "Secret^Jane\\\n", "PatientBirthDate": "secret day", "PatientID": "SECRET" * 20}
    warnings.simplefilter("always")
    # A value that breaks its rules is quoted by pydicom's own warning and log line.
    good = dicom_file(left_breast(), **wrong)
    good.write_bytes(good.read_bytes().replace(b"2.25.3", b"secret"))
    bad = dicom_file(left_breast(), **wrong, Modality="SECRET^JANE", PhotometricInterpretation="Secret")
    caplog.clear()
    recwarn.clear()

    read_dicom(good)
    with pytest.raises(DicomReadError, match="expected grey") as caught:
        read_dicom(bad)

    said = caplog.text + " ".join(str(warning.message) for warning in recwarn.list) + str(caught.value)
    assert "secret" not in said.lower()
    assert good.name in caplog.text


def test_reading_in_threads_leaves_warnings_and_loggers_as_they_were(dicom_file: Make) -> None:
    paths = [dicom_file(left_breast(), PatientBirthDate="never") for _ in range(24)]
    filters, level = list(warnings.filters), logging.getLogger("pydicom").level

    with ThreadPoolExecutor(6) as pool:
        images = list(pool.map(lambda path: read_dicom(path).image, paths))

    assert list(warnings.filters) == filters
    assert logging.getLogger("pydicom").level == level
    for image in images:
        np.testing.assert_array_equal(image, left_breast())


@pytest.mark.data
def test_real_crops_are_read_as_they_are_stored(dicom_samples: Path) -> None:
    stated = {}
    for path in sorted(dicom_samples.glob("*.dcm")):
        mammogram = read_dicom(path)

        np.testing.assert_array_equal(mammogram.image, dcmread(path).pixel_array)
        assert (mammogram.bits_stored, mammogram.spacing_mm, mammogram.notes) == (16, None, ())
        stated[mammogram.shape] = (mammogram.laterality, mammogram.view)
    assert stated == {(384, 385): ("L", "CC"), (483, 286): ("R", "MLO"), (486, 497): ("R", "MLO")}


@pytest.mark.slow
def test_real_films_are_read_with_side_and_view_and_without_spacing(real_films: dict[str, Path]) -> None:
    for name, path in real_films.items():
        mammogram = read_dicom(path)

        assert f"{mammogram.laterality}_{mammogram.view}" == name[8] + "_" + name.split("_")[-1]
        assert (mammogram.bits_stored, mammogram.spacing_mm, mammogram.spacing_source) == (16, None, None)
        assert mammogram.notes == (), name
        assert min(mammogram.shape) > 2500
        assert 0 <= mammogram.image.min() < mammogram.image.max() <= 65535


def _as_stored(dataset: Dataset, syntax: UID) -> bytes:
    buffer = io.BytesIO()
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax != dataset.file_meta.TransferSyntaxUID:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


SYNTAXES = [None, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), syntax=st.sampled_from(SYNTAXES))
def test_a_damaged_file_is_an_error_of_ours_or_a_mammogram(
    dicom_file: Make, data: st.DataObject, syntax: UID | None
) -> None:
    path = dicom_file(left_breast(), WindowCenter="2048", WindowWidth="4096")
    dataset = dcmread(path)
    content = bytearray(_as_stored(dataset, syntax or dataset.file_meta.TransferSyntaxUID))
    path.write_bytes(content)
    read_mammogram(path)
    # Half of the damage falls on the header, which is a small part of the file.
    reach = data.draw(st.sampled_from([700, len(content)]))
    for position in data.draw(st.lists(st.integers(0, min(reach, len(content)) - 1), max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])

    try:
        outcome: object = read_mammogram(path)
    except AunetError as error:
        outcome = error

    assert isinstance(outcome, Mammogram | AunetError)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_behind_the_mark_of_dicom_are_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "film.dcm").write_bytes(bytes(128) + b"DICM" + content)

    with pytest.raises(DicomReadError):
        read_dicom(tmp_path / "film.dcm")

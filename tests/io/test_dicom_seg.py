"""The DICOM Segmentation written beside a mammogram, read back without highdicom."""

import logging
import re
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from aunet.errors import DicomReadError, WriteError
from aunet.io.dicom_seg import MAX_SEGMENTS, write_seg
from aunet.io.silence import silent_libraries
from aunet.sample import Mask2D

DIGITAL_MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
SHAPE = (37, 53)  # neither is a multiple of 8: the bits of a row straddle bytes
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")


def header(**changes: object) -> Dataset:
    """A mammogram's header with everything a SEG needs; a value None in `changes` takes an attribute out."""
    dataset = Dataset()
    dataset.SOPClassUID = DIGITAL_MAMMOGRAPHY
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = "MG"
    dataset.Rows, dataset.Columns = SHAPE
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "4711"
    dataset.PatientBirthDate = "19600101"
    dataset.PatientSex = "F"
    dataset.StudyDate = "20200102"
    dataset.StudyTime = "101500"
    dataset.AccessionNumber = "77"
    dataset.StudyID = "1"
    dataset.ReferringPhysicianName = ""
    dataset.PatientOrientation = ["A", "R"]
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            dataset[keyword] = element(keyword, value)
    return dataset


def element(keyword: str, value: object) -> DataElement:
    """An element that may break the rules of its type, as those of files do."""
    return DataElement(Tag(keyword), dictionary_VR(keyword), value, validation_mode=IGNORE)


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.save_as(path, enforce_file_format=True)
    return path


def two_masses() -> Mask2D:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[20:30, 40:50] = True
    mask[3:9, 5:20] = True
    mask[9, 20] = True  # touches the second one at a corner only
    return mask


def write(source: Path, mask: Mask2D | None = None, **options: object) -> Dataset:
    """The SEG as pydicom reads it."""
    path = source.with_name("seg.dcm")
    mask = two_masses() if mask is None else mask
    write_seg(path, source=source, mask=mask, card_name="aunet", card_version="1.2", **options)  # type: ignore[arg-type]  # keywords of a test
    return dcmread(path)


def frames(seg: Dataset) -> dict[int, Mask2D]:
    """Segment number to mask, unpacked by hand from the stored bits: an independent reader."""
    bits = np.unpackbits(np.frombuffer(seg.PixelData, dtype=np.uint8), bitorder="little")
    size = seg.Rows * seg.Columns
    found = {}
    for index, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        one_segment = "SegmentIdentificationSequence" not in groups
        place = seg.SharedFunctionalGroupsSequence[0] if one_segment else groups
        number = place.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[number] = bits[index * size : (index + 1) * size].reshape(seg.Rows, seg.Columns).astype(np.bool_)
    return found


def errors_of_dciodvfy(path: Path) -> list[str]:
    report = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Segmentation" in report.stderr
    return [line for line in report.stderr.splitlines() if line.startswith("Error")]


def test_each_mass_is_a_segment_at_its_place_numbered_in_reading_order(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")

    found = frames(write(source))

    first, second = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_)
    first[3:9, 5:20] = first[9, 20] = second[20:30, 40:50] = True
    assert found.keys() == {1, 2}
    np.testing.assert_array_equal(found[1], first)
    np.testing.assert_array_equal(found[2], second)


def test_one_mass_is_one_segment(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")
    mask = np.zeros(SHAPE, np.bool_)
    mask[0, 0] = mask[0, 1] = True

    seg = write(source, mask)

    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["Mass"]
    np.testing.assert_array_equal(frames(seg)[1], mask)


def test_many_regions_share_one_segment(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")
    mask = np.zeros(SHAPE, np.bool_)
    mask[::3, ::3] = True

    seg = write(source, mask)

    assert mask.sum() > MAX_SEGMENTS
    assert frames(seg).keys() == {1}
    np.testing.assert_array_equal(frames(seg)[1], mask)


def test_an_empty_mask_is_no_seg(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")

    with pytest.raises(ValueError, match="zero segments"):
        write(source, np.zeros(SHAPE, np.bool_))

    assert [path.name for path in tmp_path.iterdir()] == ["source.dcm"]


def test_the_segments_say_what_they_are_and_what_found_them(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")

    seg = write(source, laterality="L")

    for number, segment in enumerate(seg.SegmentSequence, start=1):
        assert segment.SegmentNumber == number
        assert segment.SegmentLabel == f"Mass {number}"
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "aunet"
        assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2"
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Mass"
        breast = segment.AnatomicRegionSequence[0]
        assert (breast.CodeValue, breast.AnatomicRegionModifierSequence[0].CodeMeaning) == ("76752008", "Left")
    assert len({segment.TrackingUID for segment in seg.SegmentSequence}) == 2
    assert (seg.SOPClassUID, seg.Modality, seg.SegmentationType) == (SEGMENTATION_STORAGE, "SEG", "BINARY")
    assert (seg.Manufacturer, seg.ManufacturerModelName) == ("aunet", "aunet")


def test_the_descriptions_that_viewers_show_say_that_it_is_for_research(tmp_path: Path) -> None:
    seg = write(saved(header(), tmp_path / "source.dcm"))

    for text in (seg.SeriesDescription, seg.ContentDescription):
        assert "For research use only, not a medical device." in text
        assert len(text) <= 64  # what a value of type LO has room for


def test_the_right_breast_is_the_right_breast(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")

    seg = write(source, laterality="R")

    modifier = seg.SegmentSequence[0].AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
    assert (modifier.CodeValue, modifier.CodingSchemeDesignator) == ("24028007", "SCT")


def test_an_unknown_side_is_left_out(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")

    seg = write(source)

    assert "AnatomicRegionModifierSequence" not in seg.SegmentSequence[0].AnatomicRegionSequence[0]


def test_the_seg_refers_to_its_one_source_image_and_joins_its_study(tmp_path: Path) -> None:
    source = header()

    seg = write(saved(source, tmp_path / "source.dcm"))

    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert (seg.PatientID, seg.PatientName, seg.PatientSex) == ("4711", "Doe^Jane", "F")
    assert (seg.PatientBirthDate, seg.StudyDate, seg.AccessionNumber) == ("19600101", "20200102", "77")
    (series,) = seg.ReferencedSeriesSequence
    (instance,) = series.ReferencedInstanceSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert instance.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_source_s_patient_orientation_is_kept(tmp_path: Path) -> None:
    source = saved(header(PatientOrientation=["P", "L"]), tmp_path / "source.dcm")

    assert list(write(source).PatientOrientation) == ["P", "L"]


@pytest.mark.parametrize("found", [None, "", "CC"])
def test_a_patient_orientation_that_is_none_becomes_an_empty_one(tmp_path: Path, found: str | None) -> None:
    source = saved(header(PatientOrientation=found), tmp_path / "source.dcm")

    seg = write(source)

    assert "PatientOrientation" in seg
    assert not seg.PatientOrientation


@pytest.mark.parametrize("found", ["", "1.2.3.4"])
def test_no_frame_of_reference_is_carried_over(tmp_path: Path, found: str) -> None:
    source = saved(header(FrameOfReferenceUID=found), tmp_path / "source.dcm")

    seg = write(source)

    assert "FrameOfReferenceUID" not in seg
    assert "PlanePositionSequence" not in seg.PerFrameFunctionalGroupsSequence[0]


def test_missing_type_2_attributes_are_blank_in_the_seg_and_the_source_stays(tmp_path: Path) -> None:
    missing = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
    )
    source = saved(header(**dict.fromkeys(missing)), tmp_path / "source.dcm")
    before = source.read_bytes()

    seg = write(source)

    assert all(keyword in seg and not seg[keyword].value for keyword in missing)
    assert source.read_bytes() == before


def test_viewer_geometry_adds_what_ohif_wants(tmp_path: Path) -> None:
    source = saved(header(FrameOfReferenceUID=""), tmp_path / "source.dcm")

    seg = write(source, viewer_geometry=True, spacing_mm=(0.07, 0.05))

    shared = seg.SharedFunctionalGroupsSequence[0]
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.07, 0.05]
    assert list(shared.PlaneOrientationSequence[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    for groups in seg.PerFrameFunctionalGroupsSequence:
        assert list(groups.PlanePositionSequence[0].ImagePositionPatient) == [0, 0, 0]
    assert seg.FrameOfReferenceUID
    np.testing.assert_array_equal(frames(seg)[1] | frames(seg)[2], two_masses())


BAD_VALUES = {
    "PatientAge": "60",
    "PatientBirthDate": "1.1.1960",
    "PatientSex": "WOMAN",
    "StudyDate": "2020-01-02",
    "StudyTime": "10h15",
    "AccessionNumber": "12345678901234567890",
    "PatientName": "Doe" * 30,
    "PatientIdentityRemoved": "perhaps",
}


@needs_dciodvfy
@pytest.mark.parametrize("viewer_geometry", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"SOPClassUID": SECONDARY_CAPTURE},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"FrameOfReferenceUID": ""},
        {"PatientOrientation": None},
        {"PatientOrientation": "CC"},
        {"PatientID": None, "PatientName": None, "PatientBirthDate": None, "PatientSex": None, "StudyID": None},
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Änne"},
        {"LossyImageCompression": "01", "LossyImageCompressionRatio": ["20.5", "2"]},
        *({keyword: value} for keyword, value in BAD_VALUES.items()),
    ],
    ids=lambda changes: "+".join(changes) or "plain",
)
def test_dciodvfy_finds_no_error(tmp_path: Path, changes: dict[str, object], *, viewer_geometry: bool) -> None:
    source = saved(header(**changes), tmp_path / "source.dcm")

    write(source, viewer_geometry=viewer_geometry, laterality="L")

    assert errors_of_dciodvfy(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize("keyword", BAD_VALUES)
def test_a_value_that_breaks_its_rules_is_left_out_and_never_logged(
    tmp_path: Path, keyword: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = saved(header(**{keyword: BAD_VALUES[keyword]}), tmp_path / "source.dcm")
    caplog.set_level(logging.DEBUG)

    seg = write(source)

    assert not seg.get(keyword)
    assert keyword in caplog.text
    for value in (BAD_VALUES[keyword], "Doe^Jane", "4711"):
        assert not any(re.search(rf"\b{re.escape(value)}\b", record.getMessage()) for record in caplog.records)


@needs_dciodvfy
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Doe\x07Jane"),
        ("PatientName", "Doe^Jane^^^^^"),
        ("PatientName", "Doe=a=b=c"),
        ("PatientID", "47\r\n11"),
        ("PatientIdentityRemoved", "MAYBE"),
    ],
)
def test_a_value_the_validator_objects_to_is_left_out(tmp_path: Path, keyword: str, value: str) -> None:
    source = saved(header(**{keyword: value}), tmp_path / "source.dcm")

    seg = write(source)

    assert not seg.get(keyword)
    assert errors_of_dciodvfy(tmp_path / "seg.dcm") == []


@needs_dciodvfy
@pytest.mark.parametrize("method", [None, "by hand", ["first", "second"]])
def test_a_removed_identity_stays_removed_with_its_method(tmp_path: Path, method: str | list[str] | None) -> None:
    changes: dict[str, object] = {"PatientIdentityRemoved": "YES"}
    if method is not None:
        changes["DeidentificationMethod"] = method
    source = saved(header(**changes), tmp_path / "source.dcm")

    seg = write(source)

    assert seg.PatientIdentityRemoved == "YES"
    assert seg.DeidentificationMethod == (method or "see the source image")
    assert errors_of_dciodvfy(tmp_path / "seg.dcm") == []


def test_a_character_set_nobody_knows_makes_no_noise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with silent_libraries():
        source = saved(header(SpecificCharacterSet="ISO_IR 999"), tmp_path / "source.dcm")
    caplog.set_level(logging.DEBUG)

    seg = write(source)

    assert seg.PatientID == "4711"
    assert "ISO_IR 999" not in caplog.text


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192"])
def test_a_name_outside_ascii_survives(tmp_path: Path, character_set: str) -> None:
    source = saved(header(SpecificCharacterSet=character_set, PatientName="Müller^Änne"), tmp_path / "source.dcm")

    seg = write(source)

    assert seg.PatientName == "Müller^Änne"


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_source_without_identifiers_is_an_error(tmp_path: Path, keyword: str) -> None:
    source = header()
    delattr(source, keyword)

    with pytest.raises(WriteError, match=keyword):
        write(saved(source, tmp_path / "source.dcm"))


def test_a_mask_of_another_size_is_an_error(tmp_path: Path) -> None:
    source = saved(header(), tmp_path / "source.dcm")

    with pytest.raises(WriteError, match="37 x 53"):
        write(source, np.ones((53, 37), np.bool_))


def test_a_source_without_a_size_is_an_error(tmp_path: Path) -> None:
    source = saved(header(Rows=None), tmp_path / "source.dcm")

    with pytest.raises(WriteError, match="None x 53 pixels, but the mask has 37 x 53"):
        write(source)


@pytest.mark.parametrize("sound", [b"DICM", b"\x02\x00\x10\x00UI"], ids=["mark", "type of an element"])
def test_a_damaged_source_is_an_error(tmp_path: Path, sound: bytes) -> None:
    source = saved(header(), tmp_path / "source.dcm")
    source.write_bytes(source.read_bytes().replace(sound, sound[:-2] + b"ZZ"))

    with pytest.raises(DicomReadError, match="no longer readable"):
        write(source)


def test_a_film_of_full_size_takes_less_than_a_second(tmp_path: Path) -> None:
    source = saved(header(Rows=4736, Columns=2920), tmp_path / "source.dcm")
    mask = np.zeros((4736, 2920), np.bool_)
    mask[1000:1400, 700:900] = mask[3000:3100, 2000:2400] = True
    write(source, mask)

    start = time.process_time()
    seg = write(source, mask)
    seconds = time.process_time() - start

    assert len(seg.PixelData) == pytest.approx(2 * 4736 * 2920 / 8, abs=2)
    assert seconds < 1.0  # of the processor; 0.1 s seen


@needs_dciodvfy
@pytest.mark.slow
def test_the_real_films_get_segs_without_errors(real_films: dict[str, Path], tmp_path: Path) -> None:
    for name, source in real_films.items():
        film = dcmread(source, stop_before_pixels=True)
        mask = np.zeros((film.Rows, film.Columns), np.bool_)
        mask[1000:1400, 700:900] = mask[3000:3100, 2000:2400] = True

        for viewer_geometry in (False, True):
            path = tmp_path / f"{name}_{viewer_geometry}.dcm"
            write_seg(
                path,
                source=source,
                mask=mask,
                card_name="aunet",
                card_version="1.2",
                laterality="R",
                viewer_geometry=viewer_geometry,
            )

            assert errors_of_dciodvfy(path) == [], (name, viewer_geometry)

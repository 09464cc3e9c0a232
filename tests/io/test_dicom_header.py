"""Kind, side, view and spacing, as the elements of a file state them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from aunet.errors import DicomReadError
from aunet.io.dicom import read_dicom

Make = Callable[..., Path]

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PIXELS = np.tile(np.arange(4096, dtype=np.uint16)[::64], (48, 1))  # alike above and below; bright on the right
FLAT = np.indices((48, 64)).sum(axis=0).astype(np.uint16) % 3  # alike on both sides


def item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str = "SCT") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="view")


def frame(side: str) -> Dataset:
    return item(FrameAnatomySequence=[item(FrameLaterality=side)])


@pytest.mark.parametrize(
    ("elements", "spacing_mm", "source"),
    [
        ({"PixelSpacing": ["0.07", "0.08"]}, (0.07, 0.08), "PixelSpacing"),
        ({"PixelSpacing": ["1.9", "1.9"]}, (1.9, 1.9), "PixelSpacing"),
        (
            {"PixelSpacing": ["0.07", "0.08"], "ImagerPixelSpacing": ["0.1", "0.1"]},
            (0.07, 0.08),
            "PixelSpacing",
        ),
        (
            {"ImagerPixelSpacing": ["0.09", "0.18"], "EstimatedRadiographicMagnificationFactor": "1.8"},
            (0.05, 0.1),
            "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor",
        ),
        ({}, None, None),
    ],
)
def test_spacing_is_in_the_breast_and_names_its_source(
    dicom_file: Make, elements: dict[str, object], spacing_mm: tuple[float, float] | None, source: str | None
) -> None:
    path = dicom_file(FLAT, **elements)

    mammogram = read_dicom(path)

    assert mammogram.spacing_mm == (None if spacing_mm is None else pytest.approx(spacing_mm))
    assert mammogram.spacing_source == source
    assert mammogram.notes == ()


@pytest.mark.parametrize(
    ("elements", "spacing_mm", "note"),
    [
        ({"ImagerPixelSpacing": ["0.07", "0.07"]}, (0.07, 0.07), "the spacing is that at the detector"),
        ({"PixelSpacing": ["1", "1"]}, None, "no spacing of a mammogram"),
        ({"PixelSpacing": ["10", "10"]}, None, "no spacing of a mammogram of 48 x 64 pixels"),
        ({"PixelSpacing": ["0", "0.07"]}, None, "no spacing of a mammogram"),
        ({"PixelSpacing": ["-0.07", "0.07"]}, None, "no spacing of a mammogram"),
        ({"PixelSpacing": ["0.07"]}, None, "no spacing of a mammogram"),
        (
            {"ImagerPixelSpacing": ["0.07", "0.07"], "EstimatedRadiographicMagnificationFactor": "0"},
            (0.07, 0.07),
            "no magnification of a mammogram",
        ),
        (
            {
                "PixelSpacing": ["0.07", "0.07"],
                "ImagerPixelSpacing": ["0.07", "0.07"],
                "EstimatedRadiographicMagnificationFactor": "1.8",
            },
            (0.07, 0.07),
            "lengths in mm come out 1.8 times too long",
        ),
        (
            {"SOPClassUID": SECONDARY_CAPTURE, "PixelSpacing": ["0.07", "0.07"]},
            None,
            "PixelSpacing of a Secondary Capture without PixelSpacingCalibrationType is not used",
        ),
    ],
)
def test_a_spacing_that_can_not_be_trusted_is_a_note(
    dicom_file: Make, elements: dict[str, object], spacing_mm: tuple[float, float] | None, note: str
) -> None:
    path = dicom_file(FLAT, **elements)

    mammogram = read_dicom(path)

    assert mammogram.spacing_mm == spacing_mm
    assert any(note in text for text in mammogram.notes)


def test_a_calibrated_film_keeps_its_spacing(dicom_file: Make) -> None:
    path = dicom_file(
        FLAT, SOPClassUID=SECONDARY_CAPTURE, PixelSpacing=["0.05", "0.05"], PixelSpacingCalibrationType="FIDUCIAL"
    )

    mammogram = read_dicom(path)

    assert (mammogram.spacing_mm, mammogram.spacing_source) == ((0.05, 0.05), "PixelSpacing")


@pytest.mark.parametrize(
    ("elements", "laterality"),
    [
        ({"ImageLaterality": "R"}, "R"),
        ({"ImageLaterality": None, "Laterality": "R"}, "R"),
        ({"ImageLaterality": None, "SharedFunctionalGroupsSequence": [frame("R")]}, "R"),
        ({"ImageLaterality": None, "PerFrameFunctionalGroupsSequence": [frame("R")]}, "R"),
        ({"ImageLaterality": None}, None),
        ({"ImageLaterality": "U"}, None),
    ],
)
def test_the_side_comes_from_the_image_then_the_series_then_the_frame(
    dicom_file: Make, elements: dict[str, object], laterality: str | None
) -> None:
    path = dicom_file(FLAT, **elements)

    mammogram = read_dicom(path)

    assert mammogram.laterality == laterality
    assert mammogram.notes == ()


def test_elements_that_contradict_each_other_on_the_side_are_a_note(dicom_file: Make) -> None:
    path = dicom_file(FLAT, ImageLaterality="L", Laterality="R")

    mammogram = read_dicom(path)

    assert mammogram.laterality == "L"
    assert mammogram.notes == (
        "the elements contradict each other on the side (ImageLaterality L, Laterality R); the first one is used",
    )


@pytest.mark.parametrize("value", ["left", "RIGHT BREAST"])
def test_a_side_that_is_no_side_is_unknown_with_a_note(dicom_file: Make, value: str) -> None:
    path = dicom_file(FLAT, ImageLaterality=value)

    mammogram = read_dicom(path)

    assert mammogram.laterality is None
    assert mammogram.notes == ("ImageLaterality is neither L nor R; the side is taken as unknown",)


def test_both_breasts_on_one_image_leave_the_side_unknown_with_a_note(dicom_file: Make) -> None:
    path = dicom_file(FLAT, ImageLaterality="B")

    mammogram = read_dicom(path)

    assert mammogram.laterality is None
    assert mammogram.notes == ("ImageLaterality names both breasts; the side is taken as unknown",)


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewPosition": "MLO"}, "MLO"),
        ({"ViewPosition": None, "ViewCodeSequence": [code("399368009")]}, "MLO"),
        ({"ViewPosition": None, "ViewCodeSequence": [code("399162004")]}, "CC"),
        ({"ViewPosition": None, "ViewCodeSequence": [code("R-10226", "SRT")]}, "MLO"),
        ({"ViewPosition": None, "ViewCodeSequence": [code("R-10242", "SRT")]}, "CC"),
        ({"ViewPosition": "MLO", "ViewCodeSequence": [code("399368009")]}, "MLO"),
        ({"ViewPosition": None, "PatientOrientation": "MLO"}, "MLO"),
        ({"ViewPosition": None, "PatientOrientation": ["A", "R"]}, None),
        ({"ViewPosition": None}, None),
    ],
)
def test_the_view_comes_from_position_code_or_a_films_orientation(
    dicom_file: Make, elements: dict[str, object], view: str | None
) -> None:
    path = dicom_file(FLAT, **elements)

    mammogram = read_dicom(path)

    assert mammogram.view == view
    assert mammogram.notes == ()


@pytest.mark.parametrize(
    "elements", [{"ViewPosition": "ML"}, {"ViewPosition": None, "ViewCodeSequence": [code("399260004")]}]
)
def test_another_view_than_cc_and_mlo_is_unknown_with_a_note(dicom_file: Make, elements: dict[str, object]) -> None:
    path = dicom_file(FLAT, **elements)

    mammogram = read_dicom(path)

    assert mammogram.view is None
    assert mammogram.notes == ("the elements name a view that is neither CC nor MLO; the view is taken as unknown",)


def test_elements_that_contradict_each_other_on_the_view_are_a_note(dicom_file: Make) -> None:
    path = dicom_file(FLAT, ViewPosition="CC", ViewCodeSequence=[code("399368009")])

    mammogram = read_dicom(path)

    assert mammogram.view == "CC"
    assert mammogram.notes == (
        "the elements contradict each other on the view (ViewPosition CC, ViewCodeSequence MLO); the first one is used",
    )


def test_a_modified_view_is_a_note(dicom_file: Make) -> None:
    view = code("399162004")
    view.ViewModifierCodeSequence = [code("399163009")]
    path = dicom_file(FLAT, ViewCodeSequence=[view])

    mammogram = read_dicom(path)

    assert mammogram.view == "CC"
    assert len(mammogram.notes) == 1
    assert "not a plain CC or MLO view" in mammogram.notes[0]


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"Modality": None},
        {"SOPClassUID": SECONDARY_CAPTURE},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.3", "NumberOfFrames": "1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"},
    ],
)
def test_mammograms_of_several_kinds_are_read(dicom_file: Make, elements: dict[str, object]) -> None:
    path = dicom_file(PIXELS, **elements)

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, PIXELS)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"NumberOfFrames": "3"}, "multi-frame: 3 frames, expected one"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}, "Breast Tomosynthesis Image Storage, expected a two-dim"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.4"}, "Breast Projection X-Ray Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "modality CT, SOP class CT Image Storage"),
        (
            {"SOPClassUID": SECONDARY_CAPTURE, "Modality": "OT"},
            "modality OT, SOP class Secondary Capture Image Storage",
        ),
        ({"SOPClassUID": SECONDARY_CAPTURE, "Modality": None}, "modality missing"),
        ({"SOPClassUID": None}, "SOP class missing"),
        ({"Modality": "US"}, "modality US, SOP class Digital Mammography"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "RGB with 3 samples a pixel, expected grey"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR with 1 samples"),
        (
            {"PhotometricInterpretation": None},
            "PhotometricInterpretation missing: the file holds no image",
        ),
        ({"PresentationIntentType": "FOR PROCESSING"}, "a FOR PROCESSING image: its grey values look nothing like"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}, "a FOR PROCESSING image"),
        ({"BitsAllocated": 32}, "32 bits allocated"),
        ({"BitsStored": 6}, "BitsStored is 6, expected 8 to 16"),
        ({"Rows": None}, "no image: Rows is None and Columns is 64"),
        ({"Columns": 0}, "no image: Rows is 48 and Columns is 0"),
    ],
)
def test_anything_else_is_refused_with_what_it_is(dicom_file: Make, elements: dict[str, object], message: str) -> None:
    path = dicom_file(PIXELS % 64, **elements)

    with pytest.raises(DicomReadError, match=message) as caught:
        read_dicom(path)

    assert str(caught.value).startswith(f"{path}: ")


def test_a_for_processing_image_is_let_through_by_the_option_and_marked(dicom_file: Make) -> None:
    path = dicom_file(PIXELS, PresentationIntentType="FOR PROCESSING")

    mammogram = read_dicom(path, allow_for_processing=True)

    assert mammogram.is_for_processing
    assert mammogram.notes == ("a FOR PROCESSING image, let through by an option",)


def test_a_value_that_is_no_code_does_not_reach_the_message(dicom_file: Make) -> None:
    path = dicom_file(PIXELS, Modality="Doe^Jane")

    with pytest.raises(DicomReadError, match="modality ") as caught:
        read_dicom(path)

    assert "DOE" not in str(caught.value).upper()

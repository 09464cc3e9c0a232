"""The road from stored to presentation values, against pydicom's own functions and by hand."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float64
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian

from aunet.errors import DicomReadError
from aunet.io.dicom import read_dicom
from aunet.io.dicom_lookup import presentation_table

Make = Callable[..., Path]

WHOLE_RANGE = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def header(**elements: object) -> Dataset:
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsStored = 12
    dataset.PixelRepresentation = 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def table(entries: list[int], *, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.add_new("LUTData", "US", entries)
    return item


def by_pydicom(dataset: Dataset) -> Float64[np.ndarray, " n"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(apply_voi_lut(apply_modality_lut(np.arange(4096, dtype=np.uint16), dataset), dataset), float)


@settings(deadline=None, max_examples=40)
@given(
    centre=st.floats(-500, 5000),
    width=st.floats(1.5, 6000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    rescale=st.none() | st.tuples(st.floats(0.1, 4), st.floats(-1000, 1000)),
)
def test_windows_agree_with_pydicom(
    centre: float, width: float, function: str, rescale: tuple[float, float] | None
) -> None:
    dataset = header(WindowCenter=round(centre, 2), WindowWidth=round(width, 2), VOILUTFunction=function)
    if rescale is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept = (round(value, 3) for value in rescale)

    presented = presentation_table(dataset, lowest_stored=0, highest_stored=4095)

    np.testing.assert_allclose(presented, by_pydicom(dataset), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("first", [0, 1000, 3000])
def test_look_up_tables_agree_with_pydicom(first: int) -> None:
    entries = [3 * index % 1021 for index in range(500)]
    dataset = header(VOILUTSequence=[table(entries, first=first, bits=10)])

    presented = presentation_table(dataset, lowest_stored=0, highest_stored=4095)

    np.testing.assert_array_equal(presented, by_pydicom(dataset))


def test_modality_window_and_polarity_are_each_applied_once_and_in_this_order() -> None:
    dataset = header(RescaleSlope=2, RescaleIntercept=10, WindowCenter=1010.5, WindowWidth=1001)
    dataset.PhotometricInterpretation = "MONOCHROME1"

    presented = presentation_table(dataset, lowest_stored=0, highest_stored=4095)

    # Rescaled, the range is 10 to 8200; the window goes from 510 to 1510; inverted, its lower end is the brightest.
    assert presented[250] == 8200  # 510 rescaled
    assert presented[500] == 10 + 8200 - (10 + 0.5 * 8190)  # 1010 rescaled, the middle
    assert presented[750] == 10  # 1510 rescaled


@settings(deadline=None, max_examples=40)
@given(centre=st.integers(1, 4096), width=st.integers(2, 4096), with_window=st.booleans())
def test_monochrome1_and_monochrome2_twins_agree(centre: int, width: int, with_window: bool) -> None:
    twin = header(PhotometricInterpretation="MONOCHROME1")
    plain = header()
    if with_window:
        plain.WindowCenter, plain.WindowWidth = centre, width
        # The mirror image of the window: 4095 - v lies in it where v lies in the other.
        twin.WindowCenter, twin.WindowWidth = 4095 - centre + 1, width

    presented = presentation_table(plain, lowest_stored=0, highest_stored=4095)
    of_twin = presentation_table(twin, lowest_stored=0, highest_stored=4095)

    np.testing.assert_allclose(of_twin[::-1], presented, atol=1e-3)


def test_monochrome1_twin_of_a_file_gives_the_same_image(dicom_file: Make) -> None:
    plain = dicom_file(WHOLE_RANGE)
    twin = dicom_file(
        (4095 - WHOLE_RANGE).astype(np.uint16), PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"
    )

    one, other = read_dicom(plain), read_dicom(twin)

    np.testing.assert_array_equal(one.image, other.image)
    assert one.notes == other.notes == ()


def test_inverse_presentation_shape_does_not_invert_a_second_time(dicom_file: Make) -> None:
    for shape in ("INVERSE", None):
        path = dicom_file(
            WHOLE_RANGE, PhotometricInterpretation="MONOCHROME1", **({"PresentationLUTShape": shape} if shape else {})
        )

        mammogram = read_dicom(path)

        np.testing.assert_array_equal(mammogram.image, 4095 - WHOLE_RANGE)


def test_a_shape_that_contradicts_the_polarity_is_a_note(dicom_file: Make) -> None:
    path = dicom_file(WHOLE_RANGE, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY")

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, 4095 - WHOLE_RANGE)
    assert mammogram.notes == ("PresentationLUTShape contradicts PhotometricInterpretation, which is used",)


def test_a_table_wins_over_a_window() -> None:
    dataset = header(WindowCenter=100, WindowWidth=10, VOILUTSequence=[table([7, 9], first=0, bits=8)])

    presented = presentation_table(dataset, lowest_stored=0, highest_stored=4095)

    np.testing.assert_array_equal(presented[:3], [7, 9, 9])


def test_a_table_of_8_bits_takes_indices_over_255() -> None:
    entries = [index // 16 for index in range(4096)]
    dataset = header(VOILUTSequence=[table(entries, first=0, bits=8)])

    presented = presentation_table(dataset, lowest_stored=0, highest_stored=4095)

    np.testing.assert_array_equal(presented, entries)


def test_a_presentation_table_leaves_no_polarity_to_undo() -> None:
    dataset = header(PhotometricInterpretation="MONOCHROME1")
    dataset.PresentationLUTSequence = [table([4095 - value for value in range(4096)], first=0, bits=12)]

    presented = presentation_table(dataset, lowest_stored=0, highest_stored=4095)

    np.testing.assert_array_equal(presented, np.arange(4095, -1, -1))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_whatever_the_polarity(dicom_file: Make, photometric: str) -> None:
    path = dicom_file(
        WHOLE_RANGE, PhotometricInterpretation=photometric, PixelPaddingValue=4000, PixelPaddingRangeLimit=4095
    )

    image = read_dicom(path).image.ravel()

    np.testing.assert_array_equal(image[4000:], 0)
    rest = np.arange(4000)
    np.testing.assert_array_equal(image[:4000], 4095 - rest if photometric == "MONOCHROME1" else rest)


def test_negative_padding_stored_as_unsigned_is_found(dicom_file: Make) -> None:
    pixels = WHOLE_RANGE.astype(np.int16) - 2048
    path = dicom_file(
        pixels, PixelRepresentation=1, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=2**16 - 2048
    )

    image = read_dicom(path).image.ravel()

    assert image[:3].tolist() == [-2048, 2046, 2045]


@pytest.mark.parametrize("in_bytes", [False, True])
def test_a_table_in_a_big_endian_file_is_read_in_its_byte_order(dicom_file: Make, in_bytes: bool) -> None:
    entries = [4095 - value for value in range(4096)]
    item = table(entries, first=0, bits=12)
    if in_bytes:
        item.add_new("LUTData", "OW", np.array(entries, dtype=">u2").tobytes())
    path = dicom_file(WHOLE_RANGE, syntax=ExplicitVRBigEndian, VOILUTSequence=[item])

    mammogram = read_dicom(path)

    np.testing.assert_array_equal(mammogram.image, 4095 - WHOLE_RANGE)


def test_a_window_that_holds_for_other_values_is_refused(dicom_file: Make) -> None:
    path = dicom_file(WHOLE_RANGE, WindowCenter="30000", WindowWidth="100")

    with pytest.raises(DicomReadError, match="constant image after its window and look-up tables; correct the window"):
        read_dicom(path)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"WindowCenter": "10", "WindowWidth": "0"}, "WindowWidth is 0, expected 1 or more"),
        ({"WindowCenter": "10", "WindowWidth": "5", "VOILUTFunction": "CUBIC"}, "VOILUTFunction is none of LINEAR"),
        ({"RescaleSlope": "0", "RescaleIntercept": "1"}, "RescaleSlope is 0"),
        ({"WindowCenter": "nan", "WindowWidth": "5"}, "WindowCenter holds"),
        ({"VOILUTSequence": [table([1, 2], first=0, bits=17)]}, "LUTDescriptor of VOILUTSequence"),
        (
            {"VOILUTSequence": [table([1, 300], first=0, bits=8)]},
            "LUTData of VOILUTSequence does not hold the 2 entries",
        ),
    ],
)
def test_a_damaged_table_or_window_is_refused_by_name(
    dicom_file: Make, elements: dict[str, object], message: str
) -> None:
    path = dicom_file(WHOLE_RANGE, **elements)

    with pytest.raises(DicomReadError, match=message):
        read_dicom(path)


def test_a_window_that_is_no_number_is_refused_by_name(dicom_file: Make) -> None:
    path = dicom_file(WHOLE_RANGE, WindowCenter="1234.5", WindowWidth="5")
    path.write_bytes(path.read_bytes().replace(b"1234.5", b"twelve"))

    with pytest.raises(DicomReadError, match="WindowCenter holds no valid number") as caught:
        read_dicom(path)

    assert "twelve" not in str(caught.value)

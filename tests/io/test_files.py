"""Mammograms, masks and samples, told apart by content; each repair a note."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import UInt8, UInt16

from aunet.errors import DicomReadError, ImageReadError, ReadError
from aunet.io.dicom import read_dicom
from aunet.io.files import is_dicom, read_mammogram, read_mask, read_sample, read_size, reason_for
from aunet.io.images import write_png
from aunet.sample import Mask2D, Sample

Make = Callable[..., Path]


def film() -> UInt16[np.ndarray, "h w"]:
    pixels: UInt16[np.ndarray, "h w"] = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30) % 997
    return pixels


def drawn() -> Mask2D:
    mask = np.zeros((40, 30), dtype=np.bool_)
    mask[5:12, 3:20] = True
    return mask


def saved(path: Path, pixels: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]) -> Path:
    write_png(path, pixels)
    return path


def a_sample(image: Path, *masks: Path) -> Sample:
    return Sample(case="film", image_path=image, mask_paths=masks, patient_id="P")


def test_dicom_is_told_by_content_and_not_by_name(dicom_file: Make, tmp_path: Path) -> None:
    dicom = dicom_file(film()).rename(tmp_path / "film.png")
    picture = saved(tmp_path / "film.dcm", film())

    assert is_dicom(dicom)
    assert not is_dicom(picture)
    np.testing.assert_array_equal(read_mammogram(dicom).image, film())
    np.testing.assert_array_equal(read_mammogram(picture).image, film())
    assert read_size(dicom) == read_size(picture) == (40, 30)


def test_a_picture_states_neither_side_nor_view_nor_spacing(tmp_path: Path) -> None:
    path = saved(tmp_path / "P_00001_LEFT_CC.png", film())

    mammogram = read_mammogram(path)

    assert (mammogram.laterality, mammogram.view, mammogram.spacing_mm) == (None, None, None)
    assert (mammogram.sop_instance_uid, mammogram.bits_stored, mammogram.source) == (None, 16, path)
    assert mammogram.image.dtype == np.float32


def test_a_constant_picture_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "film.png", np.full((9, 9), 3, dtype=np.uint8))

    with pytest.raises(ImageReadError, match=r"film\.png: a constant picture, every pixel is 3"):
        read_mammogram(path)


def test_the_option_for_processing_reaches_the_file(dicom_file: Make) -> None:
    path = dicom_file(film(), PresentationIntentType="FOR PROCESSING")

    with pytest.raises(DicomReadError, match="FOR PROCESSING"):
        read_mammogram(path)
    assert read_mammogram(path, allow_for_processing=True).is_for_processing
    assert read_sample(a_sample(path), allow_for_processing=True)[0].is_for_processing


@pytest.mark.parametrize("read", [read_mammogram, read_mask, read_size])
def test_a_missing_file_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ReadError, match=r"absent\.png: can't be opened \(No such file or directory\)"):
        read(tmp_path / "absent.png")


@pytest.mark.parametrize("highest", [1, 255])
def test_a_plain_mask_of_0_and_1_or_255_is_no_note(tmp_path: Path, highest: int) -> None:
    path = saved(tmp_path / "mask.png", (drawn() * highest).astype(np.uint8))

    mask = read_mask(path)

    np.testing.assert_array_equal(mask.pixels, drawn())
    assert mask.notes == ()


def test_a_mask_of_16_bits_is_plain_at_its_highest_value(tmp_path: Path) -> None:
    path = saved(tmp_path / "mask.png", (drawn() * 65535).astype(np.uint16))

    mask = read_mask(path)

    np.testing.assert_array_equal(mask.pixels, drawn())
    assert mask.notes == ()


def test_a_grey_mask_is_cut_at_half_of_its_maximum_with_a_note(tmp_path: Path) -> None:
    path = saved(tmp_path / "mask.png", np.array([[0, 99, 100], [101, 200, 3]], dtype=np.uint8))

    mask = read_mask(path)

    np.testing.assert_array_equal(mask.pixels, [[False, False, False], [True, True, False]])
    assert mask.notes == ("the mask is grey (up to 200); what lies above half of its maximum is mass",)


def test_numbered_masses_are_refused_since_half_of_the_maximum_would_drop_some(tmp_path: Path) -> None:
    path = saved(tmp_path / "mask.png", np.array([[0, 1, 2], [0, 3, 3]], dtype=np.uint8))

    with pytest.raises(ReadError, match="a mask with values 0 to 3, as labels have; write 255 for each mass"):
        read_mask(path)


def test_an_empty_mask_is_empty(tmp_path: Path) -> None:
    mask = read_mask(saved(tmp_path / "mask.png", np.zeros((4, 5), dtype=np.uint8)))

    assert not mask.pixels.any()
    assert mask.notes == ()


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.1.2"])
def test_a_mask_in_dicom_is_read_from_its_stored_values(dicom_file: Make, sop_class: str) -> None:
    path = dicom_file((drawn() * 255).astype(np.uint8), SOPClassUID=sop_class, WindowCenter="9000", WindowWidth="2")

    mask = read_mask(path)

    np.testing.assert_array_equal(mask.pixels, drawn())
    assert mask.notes == ()


def test_an_empty_mask_in_dicom_is_no_constant_image(dicom_file: Make) -> None:
    mask = read_mask(dicom_file(np.zeros((8, 9), dtype=np.uint8)))

    assert mask.pixels.shape == (8, 9)
    assert not mask.pixels.any()


def test_masks_of_several_masses_are_joined_and_told_apart(tmp_path: Path) -> None:
    image = saved(tmp_path / "film.png", np.arange(30, dtype=np.uint8).reshape(5, 6))
    left, right = np.zeros((2, 5, 6), dtype=np.uint8)
    left[1:4, 0:3] = 255
    right[1:4, 2:5] = 255

    _, mask = read_sample(a_sample(image, saved(tmp_path / "1.png", left), saved(tmp_path / "2.png", right)))

    assert mask.instances is not None
    assert mask.instances[2].tolist() == [1, 1, 1, 2, 2, 0]
    assert np.array_equal(mask.pixels, (left | right) > 0)
    assert np.array_equal(mask.pixels, mask.instances > 0)


def test_a_sample_without_a_mask_path_has_an_empty_mask_of_its_size(tmp_path: Path) -> None:
    mammogram, mask = read_sample(a_sample(saved(tmp_path / "film.png", film())))

    assert mask.pixels.shape == mammogram.shape
    assert not mask.pixels.any()


def test_a_mask_of_another_size_but_the_same_shape_is_resized_with_a_note(tmp_path: Path) -> None:
    half = np.kron(np.eye(20, 15), np.ones((1, 1)))
    image = saved(tmp_path / "film.png", film())
    mask_path = saved(tmp_path / "mask.png", (half * 255).astype(np.uint8))

    _, mask = read_sample(a_sample(image, mask_path))

    np.testing.assert_array_equal(mask.pixels, np.kron(half, np.ones((2, 2))).astype(np.bool_))
    assert mask.notes == ("the mask has 20 x 15 pixels; resized to 40 x 30 of the mammogram",)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(factor=st.integers(2, 5), row=st.integers(0, 7), column=st.integers(0, 5))
def test_shrinking_a_mask_drawn_in_whole_blocks_undoes_enlarging(
    tmp_path: Path, factor: int, row: int, column: int
) -> None:
    small = np.zeros((8, 6), dtype=np.bool_)
    small[row, column] = True
    image = saved(tmp_path / "film.png", film()[:8, :6])
    large = np.kron(small, np.ones((factor, factor))) * 255
    mask_path = saved(tmp_path / "mask.png", large.astype(np.uint8))

    _, mask = read_sample(a_sample(image, mask_path))

    np.testing.assert_array_equal(mask.pixels, small)


@pytest.mark.parametrize("shape", [(30, 40), (40, 31), (20, 20)])
def test_a_mask_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    image = saved(tmp_path / "film.png", film())
    mask_path = saved(tmp_path / "mask.png", np.zeros(shape, dtype=np.uint8))

    with pytest.raises(ReadError, match=rf"mask\.png: the mask has {shape[0]} x {shape[1]} pixels, the image 40"):
        read_sample(a_sample(image, mask_path))


def test_the_table_completes_what_a_picture_does_not_state(tmp_path: Path) -> None:
    sample = dataclasses.replace(
        a_sample(saved(tmp_path / "film.png", film())), laterality="R", view="MLO", spacing_mm=(0.05, 0.06)
    )

    mammogram, _ = read_sample(sample)

    assert (mammogram.laterality, mammogram.view) == ("R", "MLO")
    assert (mammogram.spacing_mm, mammogram.spacing_source) == ((0.05, 0.06), "table")
    assert mammogram.notes == ()


def test_a_table_that_contradicts_the_file_is_a_note_and_the_file_holds(dicom_file: Make) -> None:
    path = dicom_file(film(), ImageLaterality="L", ViewPosition="CC", PixelSpacing=["0.1", "0.1"])
    sample = dataclasses.replace(a_sample(path), laterality="R", view="MLO", spacing_mm=(0.05, 0.05))

    mammogram, _ = read_sample(sample)

    assert (mammogram.laterality, mammogram.view, mammogram.spacing_mm) == ("L", "CC", (0.1, 0.1))
    assert mammogram.notes[-3:] == (
        "laterality is L in the file and R in the table; the file's is used",
        "view is CC in the file and MLO in the table; the file's is used",
        "spacing is (0.1, 0.1) mm in the file and (0.05, 0.05) in the table; the file's is used",
    )


@pytest.mark.data
def test_a_prepared_mammogram_and_its_mask_are_read(prepared_cbis_ddsm: Path) -> None:
    name = "test/P_00173_LEFT_CC.png"
    sample = a_sample(prepared_cbis_ddsm / "images" / name, prepared_cbis_ddsm / "masks" / name)

    mammogram, mask = read_sample(sample)

    assert mammogram.shape == mask.pixels.shape == (256, 256)
    assert mammogram.bits_stored == 16
    assert mammogram.image.max() > 255
    assert 0 < mask.pixels.mean() < 0.2
    assert mammogram.notes == mask.notes == ()


def test_dicom_and_picture_of_the_same_film_are_the_same_image(dicom_file: Make, tmp_path: Path) -> None:
    path = saved(tmp_path / "film.png", film())

    np.testing.assert_array_equal(read_mammogram(path).image, read_dicom(dicom_file(film())).image)


@pytest.mark.parametrize("error", ["ReadError", "OSError"])
def test_a_reason_names_the_case_and_not_the_file(error: str, tmp_path: Path) -> None:
    sample = a_sample(tmp_path / "film_0123456789abcdef.png")
    if error == "ReadError":
        sample.image_path.write_bytes(b"no picture")
        with pytest.raises(ReadError) as raised:
            read_sample(sample)
        reason = reason_for(sample, raised.value)
    else:
        with pytest.raises(FileNotFoundError) as missing:
            sample.image_path.stat()
        reason = reason_for(sample, missing.value)

    assert reason.startswith("film: ")
    assert "0123456789abcdef" not in reason


def test_a_mask_that_would_lose_a_mass_on_the_image_s_pixels_is_refused(tmp_path: Path) -> None:
    drawn = np.zeros((800, 600), np.uint8)
    drawn[100:300, 100:300] = 255
    drawn[501:504, 401:404] = 255  # between the centres of the film's pixels, which are 20 wide
    image = saved(tmp_path / "film.png", film())
    mask_path = saved(tmp_path / "mask.png", drawn)

    with pytest.raises(ReadError, match=r"mask.png: 1 of 2 regions would be smaller than a pixel.*40 x 30 pixels"):
        read_sample(a_sample(image, mask_path))


def test_an_inverted_picture_is_worth_a_note_and_a_mammogram_is_not(tmp_path: Path) -> None:
    row, column = np.mgrid[:80, :60]
    breast = np.where(np.hypot(row - 40, column) < 35, 120 + row, 0).astype(np.uint8)

    upright = read_mammogram(saved(tmp_path / "film.png", breast))
    inverted = read_mammogram(saved(tmp_path / "inverted.png", 255 - breast))

    assert upright.notes == ()
    (note,) = inverted.notes
    assert note.startswith("59% of the pixels are nearly white and 10% nearly black")  # 1 - pi 35^2 / 2 / (80 60)
    assert "inverted" in note

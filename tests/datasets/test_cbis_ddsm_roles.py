import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from aunet.datasets.cbis_ddsm_roles import choose_image, choose_mask
from aunet.datasets.cbis_ddsm_tables import Finding, TableName
from aunet.datasets.cbis_ddsm_tree import FoundFile, look_at
from aunet.io.dicom_writing import MammogramHeader, write_mammogram

CASE = "Mass-Test_P_00001_LEFT_CC"
SHAPE = (24, 20)


def pixels(kind: str, rows: int, columns: int) -> np.ndarray:
    grey = np.linspace(100, 60000, rows * columns).reshape(rows, columns).astype(np.uint16)
    if kind == "grey":
        return grey
    if kind == "other grey":
        return grey[::-1].copy()
    mask = np.zeros((rows, columns), np.uint16)
    if kind == "nothing":
        return mask
    mask[: rows // 2, 1:5] = 255
    return mask if kind == "mask" else np.roll(mask, 3, axis=1)


def dicom(path: Path, image: np.ndarray) -> None:
    header = MammogramHeader("L", "CC", 16, CASE, "1.2.1", "1.2.2", "1.2.3", sop_class="secondary capture")
    write_mammogram(path, image, header)


def tree(root: Path, folder: str, **kinds: tuple[str, int, int] | bytes) -> tuple[FoundFile, ...]:
    """Files called by their keywords in a case's folder: each a kind of pixels with its size, or bytes."""
    for name, content in kinds.items():
        path = root / folder / "2.1" / "2.2" / f"{name}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            dicom(path, pixels(*content))
    return look_at(root).candidates(folder)


def finding(*, crop: str = "a", mask: str = "b") -> Finding:
    crop_path, mask_path = (f"{CASE}_1/2.1/2.2/{name}.dcm" for name in (crop, mask))
    table = TableName("mass", "test")
    return Finding(table, 2, (), CASE, "P_00001", number=1, crop_path=crop_path, mask_path=mask_path)


def test_the_file_of_the_images_size_is_the_mask_whatever_the_table_calls_it(tmp_path: Path) -> None:
    files = tree(tmp_path, f"{CASE}_1", a=("mask", 24, 20), b=("grey", 6, 5))

    as_named = choose_mask(tmp_path, finding(crop="b", mask="a"), SHAPE, files)
    swapped = choose_mask(tmp_path, finding(crop="a", mask="b"), SHAPE, files)

    assert as_named.chosen is not None
    assert as_named.chosen.file.path.name == "a.dcm"
    assert swapped.chosen == as_named.chosen
    assert as_named.repairs == ()
    assert swapped.repairs == ("mask and crop of mass 1 are swapped by name; told apart by size and values",)


def test_a_mask_in_one_folder_with_its_crop_is_not_swapped_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / f"{CASE}_1" / "10-04-2016-DDSM-NA-1" / "1.000000-cropped images-26184"
    dicom(folder / "1-1.dcm", pixels("grey", 6, 5))
    dicom(folder / "1-2.dcm", pixels("mask", 24, 20))

    choice = choose_mask(tmp_path, finding(), SHAPE, look_at(tmp_path).candidates(f"{CASE}_1"))

    assert choice.chosen is not None
    assert choice.chosen.file.path.name == "1-2.dcm"
    assert choice.repairs == ()


def test_of_two_files_of_the_images_size_the_one_with_two_values_is_the_mask(tmp_path: Path) -> None:
    files = tree(tmp_path, f"{CASE}_1", a=("grey", 24, 20), b=("mask", 24, 20))

    choice = choose_mask(tmp_path, finding(), SHAPE, files)

    assert choice.chosen is not None
    assert choice.chosen.file.path.name == "b.dcm"


def test_a_file_of_one_value_is_no_mask(tmp_path: Path) -> None:
    files = tree(tmp_path, f"{CASE}_1", a=("nothing", 24, 20), b=("mask", 24, 20))

    choice = choose_mask(tmp_path, finding(), SHAPE, files)

    assert choice.chosen is not None
    assert choice.chosen.file.path.name == "b.dcm"


def test_a_crop_of_the_images_shape_is_not_taken_for_a_smaller_mask(tmp_path: Path) -> None:
    only_crop = tree(tmp_path / "1", f"{CASE}_1", a=("grey", 12, 10))
    with_mask = tree(tmp_path / "2", f"{CASE}_1", a=("grey", 12, 10), b=("mask", 48, 40))

    missing = choose_mask(tmp_path / "1", finding(), SHAPE, only_crop)
    found = choose_mask(tmp_path / "2", finding(), SHAPE, with_mask)

    assert missing.chosen is None
    assert missing.problem == (
        "the mask of mass 1 is missing: found a.dcm (12 x 10), none of them a mask of two values; download it"
    )
    assert found.chosen is not None
    assert found.chosen.shape == (48, 40)


def test_a_mask_of_another_shape_is_found_by_its_values(tmp_path: Path) -> None:
    files = tree(tmp_path, f"{CASE}_1", a=("grey", 6, 5), b=("mask", 20, 24))

    choice = choose_mask(tmp_path, finding(), SHAPE, files)

    assert choice.chosen is not None
    assert choice.chosen.shape == (20, 24)


def test_two_masks_are_refused_unless_one_is_a_copy(tmp_path: Path) -> None:
    different = tree(tmp_path / "1", f"{CASE}_1", a=("mask", 24, 20), b=("other mask", 24, 20))
    copies = tree(tmp_path / "2", f"{CASE}_1", a=("mask", 24, 20), b=("mask", 24, 20))

    refused = choose_mask(tmp_path / "1", finding(), SHAPE, different)
    chosen = choose_mask(tmp_path / "2", finding(), SHAPE, copies)

    assert refused.problem == "2 different files could be the mask of mass 1; keep the one that you trust"
    assert chosen.chosen is not None


def test_a_file_that_cannot_be_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    damaged_crop = tree(tmp_path / "1", f"{CASE}_1", a=b"junk", b=("mask", 24, 20))
    damaged_mask = tree(tmp_path / "2", f"{CASE}_1", a=("grey", 6, 5), b=b"junk")

    chosen = choose_mask(tmp_path / "1", finding(), SHAPE, damaged_crop)
    missing = choose_mask(tmp_path / "2", finding(), SHAPE, damaged_mask)

    assert chosen.chosen is not None
    assert "a.dcm: neither DICOM nor PNG" in chosen.repairs[0]
    assert chosen.repairs[0].endswith("; not needed")
    assert "the mask of mass 1 is missing" in missing.problem
    assert "b.dcm: neither DICOM nor PNG" in missing.problem


def test_a_mask_blurred_by_jpeg_still_has_two_values_and_a_film_has_not(tmp_path: Path) -> None:
    # Enough blur for some grey in the middle, and for JPEG's ripples in more than a hundredth of the pixels.
    disc = Image.fromarray(np.hypot(*(np.indices((400, 300)) - 150)) < 60).convert("L")
    mask = np.asarray(disc.filter(ImageFilter.GaussianBlur(1)))
    film = np.linspace(0, 255, mask.size).reshape(mask.shape).astype(np.uint8)
    for name, image in (("a", film), ("b", mask)):
        path = tmp_path / f"{CASE}_1" / "2.1" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=30)
    files = look_at(tmp_path).candidates(f"{CASE}_1")

    choice = choose_mask(tmp_path, finding(), (400, 300), files)

    assert choice.chosen is not None
    assert choice.chosen.file.path.name == "b.jpg"
    blurred = np.asarray(Image.open(tmp_path / choice.chosen.file.path))
    assert np.any((blurred > 80) & (blurred < 170))
    assert np.mean((blurred > 0) & (blurred < 255)) > 0.01


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"a": ("grey", 6, 5), "b": ("grey", 24, 20)}, "b.dcm"),
        ({"a": ("mask", 24, 20), "b": ("grey", 24, 20)}, "b.dcm"),
        ({"a": b"junk", "b": ("grey", 24, 20)}, "b.dcm"),
        ({"a": ("grey", 24, 20), "b": ("grey", 24, 20)}, "a.dcm"),
    ],
)
def test_the_image_is_the_largest_grey_file(
    tmp_path: Path, kinds: dict[str, tuple[str, int, int] | bytes], expected: str
) -> None:
    choice = choose_image(tmp_path, CASE, tree(tmp_path, CASE, **kinds))

    assert choice.chosen is not None
    assert choice.chosen.file.path.name == expected
    assert len(choice.repairs) == (b"junk" in kinds.values())


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({}, f"the image is missing: no file of {CASE} was found"),
        ({"a": ("grey", 24, 20), "b": ("other grey", 24, 20)}, "2 files of .* could be the image, expected one"),
        ({"a": ("mask", 24, 20), "b": ("other mask", 24, 20)}, "0 files of .* could be the image, expected one"),
        ({"a": b"no picture"}, "a.dcm: neither DICOM nor PNG"),
    ],
)
def test_where_no_file_is_certainly_the_image_the_reason_is_given(
    tmp_path: Path, kinds: dict[str, tuple[str, int, int] | bytes], said: str
) -> None:
    choice = choose_image(tmp_path, CASE, tree(tmp_path, CASE, **kinds))

    assert choice.chosen is None
    assert re.search(said, choice.problem)

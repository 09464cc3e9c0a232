import csv
import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aunet.errors import DatasetError, WriteError
from aunet.io.dicom import read_dicom
from aunet.phantom.cbis_ddsm_layout import write_cbis_ddsm
from aunet.phantom.inbreast_layout import write_inbreast
from aunet.phantom.layouts import COLUMNS, plan, write_folder

ROWS = 64


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cases(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_folders_of_one_seed_are_the_same_to_the_byte(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "first", patients=3, seed=4, rows=ROWS)
    second = write_folder(tmp_path / "second", patients=3, seed=4, rows=ROWS)

    assert content(first) == content(second)


def test_another_seed_gives_other_images(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "first", patients=1, seed=4, rows=ROWS, acquisition="film")
    second = write_folder(tmp_path / "second", patients=1, seed=5, rows=ROWS, acquisition="film")

    assert set(content(first).values()) & set(content(second).values()) == {(first / "source.toml").read_bytes()}


def test_a_patient_is_the_same_in_a_larger_set(tmp_path: Path) -> None:
    small = content(write_folder(tmp_path / "small", patients=2, seed=7, rows=ROWS))
    large = content(write_folder(tmp_path / "large", patients=4, seed=7, rows=ROWS))

    images = {name: file for name, file in small.items() if name.startswith(("images", "masks"))}
    assert images.items() <= large.items()


def test_more_patients_are_added_to_a_folder_and_what_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=2, seed=7, rows=ROWS)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*/*")}

    write_folder(folder, patients=3, seed=7, rows=ROWS)

    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert content(folder) == content(write_folder(tmp_path / "fresh", patients=3, seed=7, rows=ROWS))


def test_a_second_run_writes_what_a_killed_one_left_out(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=2, seed=8, rows=ROWS)
    whole = content(folder)
    for lost in (
        folder / "cases.csv",
        *sorted(folder.glob("masks/train/*"))[:1],
        *sorted(folder.glob("images/test/*")),
    ):
        lost.unlink()

    write_folder(folder, patients=2, seed=8, rows=ROWS)

    assert content(folder) == whole


def test_a_folder_of_other_phantoms_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=1, seed=1, rows=ROWS)

    with pytest.raises(DatasetError, match="holds phantoms made with"):
        write_folder(folder, patients=1, seed=2, rows=ROWS)


@pytest.mark.parametrize("name", ["cases.csv", "INbreast.csv", "mass_case_description_train_set.csv", "source.toml"])
@pytest.mark.parametrize("write", [write_folder, write_cbis_ddsm, write_inbreast])
def test_a_folder_that_holds_a_real_table_is_refused(tmp_path: Path, write: Callable[..., Path], name: str) -> None:
    (tmp_path / name).write_text("the only copy", encoding="utf-8")

    with pytest.raises(DatasetError, match="holds files that are no phantoms"):
        write(tmp_path, patients=1, seed=1, rows=ROWS)

    assert content(tmp_path) == {name: b"the only copy"}


def test_the_table_names_every_file_and_its_properties(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=6, seed=3, rows=ROWS)

    rows = cases(folder)

    assert tuple(rows[0]) == COLUMNS
    assert {row["image"] for row in rows} | {row["mask"] for row in rows} == {
        str(path.relative_to(folder)) for path in folder.glob("*/*/*")
    }
    for row in rows:
        assert row["image"].startswith(f"images/{row['split']}/{row['patient_id']}_")
        assert len(row["pathology"].split(";")) == int(row["n_masses"])


def test_every_fifth_patient_is_a_test_patient() -> None:
    images = plan(patients=50, seed=0)

    test = {image.patient for image in images if image.split == "test"}
    assert test == {2, 7, 12, 17, 22, 27, 32, 37, 42, 47}
    assert not test & {image.patient for image in images if image.split == "train"}


def test_films_have_16_bits_and_no_spacing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=1, seed=3, rows=ROWS, acquisition="film")

    mammogram = read_dicom(next(folder.glob("images/*/*.dcm")))

    assert (mammogram.bits_stored, mammogram.spacing_mm) == (16, None)


def test_detector_images_have_12_bits_and_the_spacing_of_their_field(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=1, seed=3, rows=320, acquisition="detector")

    mammogram = read_dicom(next(folder.glob("images/*/*.dcm")))

    assert mammogram.bits_stored == 12
    # A field 240 or 300 mm high over 320 rows.
    assert mammogram.spacing_mm in {(0.75, 0.75), (0.9375, 0.9375)}


def test_a_mixed_set_holds_both_kinds_and_a_patient_one() -> None:
    images = plan(patients=40, seed=0)

    kinds = {
        image.patient: {other.acquisition for other in images if other.patient == image.patient} for image in images
    }
    assert all(len(kind) == 1 for kind in kinds.values())
    films = sum(kind == {"film"} for kind in kinds.values())
    assert 10 <= films <= 30


def test_images_say_side_and_view_as_the_table_does(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=4, seed=9, rows=ROWS)

    for row in cases(folder):
        mammogram = read_dicom(folder / row["image"])
        assert (mammogram.laterality, mammogram.view) == (row["laterality"], row["view"])


def test_masks_are_255_where_the_mass_is_and_of_the_images_size(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=2, seed=9, rows=ROWS)

    for row in cases(folder):
        mask = np.asarray(Image.open(folder / row["mask"]))
        assert mask.shape == read_dicom(folder / row["image"]).shape
        assert set(np.unique(mask)) == {0, 255}


def test_normal_breasts_have_no_mask_in_the_table() -> None:
    images = plan(patients=60, seed=2, normal_fraction=0.5)

    normal = [image for image in images if image.number_of_masses == 0]
    assert 0.3 < len(normal) / len(images) < 0.7
    assert all(image.mask == "" for image in normal)


def test_a_normal_image_is_written_without_a_mask(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=1, seed=2, rows=ROWS, normal_fraction=1.0)

    assert not list(folder.glob("masks/*/*"))
    assert {(row["mask"], row["n_masses"], row["pathology"]) for row in cases(folder)} == {("", "0", "")}


def test_progress_ends_at_the_number_of_images(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    folder = write_folder(
        tmp_path / "set", patients=2, seed=2, rows=ROWS, on_progress=lambda done, total: calls.append((done, total))
    )

    number = len(cases(folder))
    assert calls == [(done, number) for done in range(number + 1)]


def test_the_settings_stand_in_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", patients=1, seed=2, rows=ROWS)

    settings = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))

    assert (settings["seed"], settings["rows"]) == (2, ROWS)


@pytest.mark.parametrize(
    ("patients", "seed", "normal_fraction", "message"),
    [(0, 0, 0.0, "patients is 0"), (1, -1, 0.0, "seed is -1"), (1, 0, 1.5, "normal_fraction is 1.5")],
)
def test_numbers_out_of_their_range_are_refused(patients: int, seed: int, normal_fraction: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(patients=patients, seed=seed, normal_fraction=normal_fraction)


@pytest.mark.parametrize("rows", [-5, 63, 8193])
def test_rows_out_of_their_range_leave_no_trace(tmp_path: Path, rows: int) -> None:
    with pytest.raises(ValueError, match=f"rows is {rows}; expected 64 to 8192"):
        write_folder(tmp_path / "set", patients=1, seed=0, rows=rows)

    assert not (tmp_path / "set").exists()


def test_a_file_in_the_place_of_the_folder_is_one_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "set"
    path.touch()

    with pytest.raises(WriteError, match="set: File exists"):
        write_folder(path, patients=1, seed=0, rows=ROWS)


def test_a_full_disk_leaves_whole_files_only_and_a_second_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(write_folder(tmp_path / "whole", patients=2, seed=8, rows=ROWS))
    replace_file, calls = Path.replace, 0

    def full_after_three(aside: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace_file(aside, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full_after_three)
        with pytest.raises(WriteError, match="No space left on device"):
            write_folder(tmp_path / "set", patients=2, seed=8, rows=ROWS)

    left = content(tmp_path / "set")
    assert 0 < len(left) < len(whole)
    assert left.items() <= whole.items()
    assert content(write_folder(tmp_path / "set", patients=2, seed=8, rows=ROWS)) == whole

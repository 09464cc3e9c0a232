import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aunet.datasets.cbis_ddsm import MaskPolicy, read_cbis_ddsm
from aunet.datasets.cbis_ddsm_tree import look_at
from aunet.datasets.dataset import DataSet
from aunet.datasets.folder import read_folder
from aunet.datasets.ledger import Expectation, LedgerRow
from aunet.datasets.splits import samples_of
from aunet.errors import DatasetError
from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.io.files import read_sample
from aunet.sample import MassProperties

Layout = Literal["uid", "dated", "dated, short", "jpeg"]
LAYOUTS: tuple[Layout, ...] = ("uid", "dated", "dated, short", "jpeg")
SHAPE = (48, 40)
CASE = "Mass-Training_P_00001_LEFT_CC"
DESCRIPTIONS = {"image": "full mammogram images", "crop": "cropped images", "mask": "ROI mask images"}
INFO_COLUMNS = ["file_path", "image_path", "PatientID", "Rows", "Columns", "SeriesDescription", "SeriesInstanceUID"]


def film(rows: int = SHAPE[0], columns: int = SHAPE[1]) -> np.ndarray:
    return np.linspace(100, 60000, rows * columns).reshape(rows, columns).astype(np.uint16)


def mask(rows: int = SHAPE[0], columns: int = SHAPE[1], *, left: int = 4) -> np.ndarray:
    pixels = np.zeros((rows, columns), np.uint16)
    pixels[rows // 4 : rows // 2, left : left + 16] = 255
    return pixels


def uid(case: str, series: str) -> str:
    return "1.3.6.1.4.1.9590.100.1.2." + str(int.from_bytes(f"{case}{series}".encode()) % 10**30)


def put(root: Path, layout: Layout, case: str, role: str, pixels: np.ndarray, *, name: str = "000000.dcm") -> Path:
    """One file where a download in that layout has it; `role` is what its folder calls it."""
    if layout == "jpeg":
        path = root / "jpeg" / uid(case, role) / f"1-{name[:6]}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels >> (8 if pixels.max() > 255 else 0)).astype(np.uint8)).save(path)
        note_in_info(root, path, case, role)
        return path
    folders = {
        "uid": f"CBIS-DDSM/{case}/{uid(case, 'study')}/{uid(case, role)}",
        "dated": f"manifest-1/CBIS-DDSM/{case}/07-20-2016-DDSM-NA-96009/1.000000-{DESCRIPTIONS[role]}-63992",
        "dated, short": f"CBIS-DDSM/{case}/10-04-2016-NA-30038/1-{DESCRIPTIONS[role]}-21596",
    }
    path = root / folders[layout] / ("1-1.dcm" if layout == "dated" and name == "000000.dcm" else name)
    uids = (uid(case, "study"), uid(case, role), uid(case, role + name))
    write_mammogram(path, pixels, MammogramHeader("L", "CC", 16, case, *uids, sop_class="secondary capture"))
    return path


def note_in_info(root: Path, path: Path, case: str, role: str) -> None:
    info = root / "csv" / "dicom_info.csv"
    info.parent.mkdir(exist_ok=True)
    with info.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(INFO_COLUMNS)
        inside = f"CBIS-DDSM/jpeg/{path.parent.name}/{path.name}"
        writer.writerow(["CBIS-DDSM/dicom/x.dcm", inside, case, 1, 1, DESCRIPTIONS[role], path.parent.name])


def row(case: str = CASE, number: int = 1, **cells: str) -> dict[str, str]:
    """A row as the real tables have it: crop and mask in a series each, both called 000000.dcm."""
    kind, _, number_of_patient, breast, view = case.split("_")
    folder = f"{case}_{number}"
    values = {
        "patient_id": f"P_{number_of_patient}",
        "breast_density": "3",
        "left or right breast": breast,
        "image view": view,
        "abnormality id": str(number),
        "abnormality type": "mass" if kind.startswith("Mass") else "calcification",
        "mass shape": "OVAL",
        "mass margins": "OBSCURED",
        "assessment": "4",
        "pathology": "BENIGN",
        "subtlety": "5",
        "image file path": f"{case}/{uid(case, 'study')}/{uid(case, 'image')}/000000.dcm",
        "cropped image file path": f"{folder}/{uid(folder, 'study')}/{uid(folder, 'crop')}/000000.dcm",
        "ROI mask file path": f"{folder}/{uid(folder, 'study')}/{uid(folder, 'mask')}/000000.dcm\n",
    }
    return values | {name.replace("__", " "): cell for name, cell in cells.items()}


def write_table(
    root: Path, rows: Sequence[Mapping[str, str]], *, name: str = "mass_case_description_train_set"
) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (root / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8", newline="")


def put_all(root: Path, rows: Sequence[Mapping[str, str]], *, layout: Layout = "uid") -> None:
    """Image, crop and mask of each row, all in order."""
    for one in rows:
        case = one["image file path"].partition("/")[0]
        folder = f"{case}_{one['abnormality id']}"
        put(root, layout, case, "image", film())
        put(root, layout, folder, "crop", film(10, 11))
        put(root, layout, folder, "mask", mask(left=4 + 8 * int(one["abnormality id"])))


def only(dataset: DataSet) -> LedgerRow:
    (one,) = dataset.ledger.rows
    return one


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_image_with_two_masses_is_read_from_every_layout(tmp_path: Path, layout: Layout) -> None:
    rows = [row(number=2, assessment="5", mass__shape="ROUND-OVAL"), row(number=1)]
    write_table(tmp_path, rows)
    put_all(tmp_path, rows[:1], layout=layout)
    put(tmp_path, layout, f"{CASE}_1", "crop", film(10, 11))
    first = put(tmp_path, layout, f"{CASE}_1", "mask", mask(left=12))

    dataset = read_cbis_ddsm(tmp_path)
    mammogram, reference = read_sample(dataset.samples[0])

    (sample,) = dataset.samples
    assert (only(dataset).status, only(dataset).reason) == ("read", "")
    assert (only(dataset).case, only(dataset).line, only(dataset).n_masses) == (CASE, 2, 2)
    assert (only(dataset).rows, only(dataset).columns) == SHAPE
    assert (sample.patient_id, sample.split, sample.laterality, sample.view) == ("P_00001", "train", "L", "CC")
    assert sample.mask_paths[0] == first
    assert sample.properties == MassProperties(
        "3", "4;5", "BENIGN;BENIGN", "5;5", "OVAL;ROUND-OVAL", "OBSCURED;OBSCURED"
    )
    assert mammogram.shape == SHAPE
    assert reference.instances is not None
    assert np.unique(reference.instances).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("uid", "the layout is TCIA's folders named by UID: 1 images were found so"),
        ("dated", "the layout is the NBIA downloader's folders named by date: 1 images were found so"),
        ("dated, short", "the layout is the NBIA downloader's folders named by date: 1 images were found so"),
        ("jpeg", "the layout is JPEG: 1 images were found so"),
    ],
)
def test_the_layout_is_found_by_looking_and_named(tmp_path: Path, layout: Layout, said: str) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()], layout=layout)

    assert said in read_cbis_ddsm(tmp_path).ledger.notes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mask_and_crop_swapped_by_folder_are_repaired_and_said(tmp_path: Path, layout: Layout) -> None:
    write_table(tmp_path, [row()])
    put(tmp_path, layout, CASE, "image", film())
    put(tmp_path, layout, f"{CASE}_1", "mask", film(10, 11))
    truly_mask = put(tmp_path, layout, f"{CASE}_1", "crop", mask())

    dataset = read_cbis_ddsm(tmp_path)

    assert only(dataset).status == "repaired"
    assert only(dataset).reason == "mask and crop of mass 1 are swapped by name; told apart by size and values"
    assert dataset.samples[0].mask_paths == (truly_mask,)


def test_pictures_without_their_table_are_found_by_the_series_that_the_case_table_names(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()], layout="jpeg")
    (tmp_path / "csv" / "dicom_info.csv").unlink()

    assert only(read_cbis_ddsm(tmp_path)).status == "read"


def test_a_picture_that_its_table_names_and_nobody_has_is_missing(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()], layout="jpeg")
    (tmp_path / "jpeg" / uid(f"{CASE}_1", "mask") / "1-000000.jpg").unlink()

    dataset = read_cbis_ddsm(tmp_path)

    assert only(dataset).status == "refused"
    assert "the mask of mass 1 is missing: found 1-000000.jpg (10 x 11)" in only(dataset).reason


def test_a_picture_keeps_the_description_that_its_table_gives(tmp_path: Path) -> None:
    put(tmp_path, "jpeg", f"{CASE}_1", "mask", mask())

    (file,) = look_at(tmp_path).candidates(f"{CASE}_1", row()["ROI mask file path"])

    assert file.description == "ROI mask images"


def test_dicom_is_used_where_a_picture_of_the_same_lies_beside_it(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()], layout="jpeg")
    put_all(tmp_path, [row()], layout="uid")

    (sample,) = read_cbis_ddsm(tmp_path).samples

    assert [path.suffix for path in (sample.image_path, *sample.mask_paths)] == [".dcm", ".dcm"]


def test_a_broken_table_of_pictures_is_remarked_and_not_needed(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()], layout="jpeg")
    (tmp_path / "csv" / "dicom_info.csv").write_bytes(b"\xff\0")

    dataset = read_cbis_ddsm(tmp_path)

    assert only(dataset).status == "read"
    assert any("dicom_info.csv can't be read" in note for note in dataset.ledger.notes)


@pytest.mark.parametrize("below", ["", "csv", "a/csv"])
def test_tables_are_found_up_to_two_levels_below(tmp_path: Path, below: str) -> None:
    put_all(tmp_path, [row()])
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    write_table(tmp_path / below, [row()])

    assert only(read_cbis_ddsm(tmp_path)).status == "read"


def test_two_different_tables_of_one_name_are_an_error_and_two_copies_are_not(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    write_table(tmp_path, [row()])
    write_table(tmp_path / "csv", [row()])
    assert len(read_cbis_ddsm(tmp_path).ledger.rows) == 1

    write_table(tmp_path / "csv", [row(pathology="MALIGNANT")])

    with pytest.raises(DatasetError, match="differ, expected one mass_case_description_train_set"):
        read_cbis_ddsm(tmp_path)


@pytest.mark.parametrize(
    ("policy", "size", "status", "said"),
    [
        ("resize", (96, 80), "repaired", "mass 1: the mask has 96 x 80 pixels; resized to 48 x 40 of the mammogram"),
        ("strict", (96, 80), "refused", "the image 48 x 40, and the policy is strict; allow resizing"),
        ("drop", (96, 80), "left_out", "the image 48 x 40, and the policy is drop"),
        ("resize", (40, 48), "refused", "mass 1: the mask has 40 x 48 pixels, the image 48 x 40, another shape"),
        ("strict", (40, 48), "refused", "another shape"),
        ("drop", (40, 48), "left_out", "another shape"),
    ],
)
def test_a_mask_of_another_size_is_treated_as_the_policy_says(
    tmp_path: Path, policy: MaskPolicy, size: tuple[int, int], status: str, said: str
) -> None:
    write_table(tmp_path, [row()])
    put(tmp_path, "uid", CASE, "image", film())
    put(tmp_path, "uid", f"{CASE}_1", "crop", film(10, 11))
    put(tmp_path, "uid", f"{CASE}_1", "mask", mask(*size))

    dataset = read_cbis_ddsm(tmp_path, mask_policy=policy)

    assert only(dataset).status == status
    assert said in only(dataset).reason
    assert len(dataset.samples) == (status == "repaired")


@pytest.mark.parametrize("policy", ["strict", "resize", "drop"])
def test_masks_of_the_images_size_are_read_under_every_policy(tmp_path: Path, policy: MaskPolicy) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()])

    assert only(read_cbis_ddsm(tmp_path, mask_policy=policy)).status == "read"


def test_missing_files_refuse_their_image_alone(tmp_path: Path) -> None:
    cases = [CASE, *(f"Mass-Training_P_0000{n}_RIGHT_MLO" for n in (2, 3, 4))]
    write_table(tmp_path, [row(case) for case in cases])
    put_all(tmp_path, [row(cases[0])])
    put(tmp_path, "uid", cases[1], "image", film())
    put(tmp_path, "uid", f"{cases[2]}_1", "mask", mask())

    dataset = read_cbis_ddsm(tmp_path)

    assert [one.status for one in dataset.ledger.rows] == ["read", "refused", "refused", "refused"]
    reasons = [one.reason for one in dataset.ledger.rows]
    assert reasons[1] == f"the mask of mass 1 is missing: no file of {cases[1]}_1 was found; download it"
    assert reasons[2] == f"the image is missing: no file of {cases[2]} was found; download it"
    assert reasons[3] == (
        f"the image is missing: no file of {cases[3]} was found; download it; so are all files of 1 of its 1 masks"
    )
    assert [sample.case for sample in dataset.samples] == [CASE]


@pytest.mark.parametrize("policy", ["strict", "resize", "drop"])
def test_an_image_whose_second_mask_is_missing_is_refused(tmp_path: Path, policy: MaskPolicy) -> None:
    write_table(tmp_path, [row(), row(number=2)])
    put(tmp_path, "uid", CASE, "image", film())
    put(tmp_path, "uid", f"{CASE}_1", "mask", mask(96, 80))
    put(tmp_path, "uid", f"{CASE}_2", "crop", film(10, 11))

    dataset = read_cbis_ddsm(tmp_path, mask_policy=policy)

    assert only(dataset).status == "refused"
    assert "the mask of mass 2 is missing: found 000000.dcm (10 x 11), none of them a mask" in only(dataset).reason
    assert "only 1 of 2 masks are there, and the reference would be incomplete" in only(dataset).reason


def test_files_that_cannot_be_read_refuse_their_image_alone(tmp_path: Path) -> None:
    other = "Mass-Training_P_00002_LEFT_CC"
    write_table(tmp_path, [row(), row(other)])
    put_all(tmp_path, [row(), row(other)])
    put(tmp_path, "uid", CASE, "image", film()).write_bytes(b"DICM" * 40)

    dataset = read_cbis_ddsm(tmp_path)

    assert [one.status for one in dataset.ledger.rows] == ["refused", "read"]
    assert "000000.dcm" in dataset.ledger.rows[0].reason


def test_a_finding_that_stands_twice_is_counted_once_and_a_contradiction_refused(tmp_path: Path) -> None:
    other = "Mass-Training_P_00002_LEFT_CC"
    rows = [row(), row(), row(other), row(other, pathology="MALIGNANT")]
    write_table(tmp_path, rows)
    put_all(tmp_path, rows)

    dataset = read_cbis_ddsm(tmp_path)

    repeated, contradicting = dataset.ledger.rows
    assert (repeated.status, repeated.reason, repeated.n_masses) == (
        "repaired",
        "line 4 repeats line 2; counted once",
        1,
    )
    assert contradicting.status == "refused"
    assert contradicting.reason == "lines 6 and 8 contradict each other; delete one of them"
    assert len(dataset.samples[0].mask_paths) == 1


def test_a_value_that_was_left_blank_is_said_in_the_ledger(tmp_path: Path) -> None:
    write_table(tmp_path, [row(assessment="Jane")])
    put_all(tmp_path, [row()])

    dataset = read_cbis_ddsm(tmp_path)

    assert only(dataset).status == "repaired"
    assert only(dataset).reason == "the assessment is no number from 0 to 9; left blank"
    assert dataset.samples[0].properties.birads == ""


def test_where_the_table_knows_the_margins_of_no_mass_they_are_blank(tmp_path: Path) -> None:
    rows = [row(number=n, mass__margins="N/A", mass__shape=shape) for n, shape in ((1, "N/A"), (2, "OVAL"))]
    write_table(tmp_path, rows)
    put_all(tmp_path, rows)

    (sample,) = read_cbis_ddsm(tmp_path).samples

    assert (sample.properties.mass_margins, sample.properties.mass_shape) == ("", ";OVAL")


def test_a_row_that_names_no_image_has_a_ledger_row_of_its_own(tmp_path: Path) -> None:
    write_table(tmp_path, [row(), row() | {"patient_id": "Jane Doe"}])
    put_all(tmp_path, [row()])

    dataset = read_cbis_ddsm(tmp_path)

    assert [one.status for one in dataset.ledger.rows] == ["read", "refused"]
    assert dataset.ledger.rows[1].case == "(mass_case_description_train_set.csv, line 4)"
    assert dataset.ledger.rows[1].reason == "patient_id is none of CBIS-DDSM, expected P_ and five digits"


def test_calcifications_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    calc = "Calc-Training_P_00009_LEFT_CC"
    write_table(tmp_path, [row()])
    write_table(tmp_path, [row(calc)], name="calc_case_description_train_set")
    put_all(tmp_path, [row(), row(calc)])

    by_kind = {kind: read_cbis_ddsm(tmp_path, findings=kind) for kind in ("mass", "calcification", "both")}

    assert {kind: [one.status for one in dataset.ledger.rows] for kind, dataset in by_kind.items()} == {
        "mass": ["read", "left_out"],
        "calcification": ["left_out", "read"],
        "both": ["read", "read"],
    }
    assert by_kind["mass"].ledger.rows[1].reason == "stands in a calcification table, and only mass findings are used"
    assert [sample.case for sample in by_kind["calcification"].samples] == [calc]


def test_a_broken_row_of_the_kind_that_is_not_used_is_left_out_all_the_same(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    write_table(tmp_path, [row() | {"image view": "ML"}], name="calc_case_description_train_set")
    put_all(tmp_path, [row()])

    masses = read_cbis_ddsm(tmp_path)
    both = read_cbis_ddsm(tmp_path, findings="both")

    assert [one.status for one in masses.ledger.rows] == ["read", "left_out"]
    assert [one.status for one in both.ledger.rows] == ["read", "refused"]


def test_patients_on_two_sides_of_the_two_kinds_are_remarked_and_refused_only_where_both_are_used(
    tmp_path: Path,
) -> None:
    calc, alone = "Calc-Test_P_00001_LEFT_MLO", "Mass-Training_P_00002_LEFT_CC"
    write_table(tmp_path, [row(), row(alone)])
    write_table(tmp_path, [row(calc)], name="calc_case_description_test_set")
    put_all(tmp_path, [row(), row(alone), row(calc)])

    masses = read_cbis_ddsm(tmp_path)
    both = read_cbis_ddsm(tmp_path, findings="both")

    expected = (
        "1 patients of the mass train set are in the calcification test set; don't train on both kinds together; "
        f"mass images: {CASE}"
    )
    assert expected in masses.ledger.notes
    assert [one.status for one in masses.ledger.rows] == ["read", "read", "left_out"]
    assert [one.status for one in both.ledger.rows] == ["refused", "read", "refused"]
    assert "more than one side of the split" in both.ledger.rows[0].reason
    with pytest.raises(DatasetError, match=CASE):
        samples_of(both, "train")


def test_mass_test_patients_in_the_calcification_training_set_are_remarked_too(tmp_path: Path) -> None:
    write_table(tmp_path, [row("Mass-Test_P_00001_LEFT_CC")], name="mass_case_description_test_set")
    write_table(tmp_path, [row("Calc-Training_P_00001_LEFT_CC")], name="calc_case_description_train_set")

    notes = read_cbis_ddsm(tmp_path).ledger.notes

    assert any(note.startswith("1 patients of the mass test set are in the calcification train set") for note in notes)


def test_a_missing_table_is_remarked_and_all_missing_are_an_error(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])

    notes = read_cbis_ddsm(tmp_path).ledger.notes
    (tmp_path / "mass_case_description_train_set.csv").unlink()

    assert "calc_case_description_test_set.csv was not found; its images are not known" in notes
    with pytest.raises(DatasetError, match="hold none of mass_case_description_train_set"):
        read_cbis_ddsm(tmp_path)


def test_tables_without_a_row_are_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "mass_case_description_train_set.csv").write_text(",".join(row()) + "\n", encoding="utf-8")

    with pytest.raises(DatasetError, match="have a header and no row"):
        read_cbis_ddsm(tmp_path)


def test_tables_without_images_are_remarked(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])

    notes = read_cbis_ddsm(tmp_path).ledger.notes

    assert "no image of the tables was found; name the folder that holds tables and images" in notes


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        read_cbis_ddsm(tmp_path / "missing")


def test_the_publications_counts_stand_beside_those_found(tmp_path: Path) -> None:
    write_table(tmp_path, [row(), row(number=2), row("Mass-Training_P_00001_LEFT_MLO")])

    expectations = read_cbis_ddsm(tmp_path).ledger.expectations

    assert expectations[:3] == (
        Expectation("masses in the mass train table", 1318, 3),
        Expectation("images in the mass train table", 1231, 2),
        Expectation("patients in the mass train table", 691, 1),
    )
    assert len(expectations) == 6


def test_cases_that_stand_in_no_table_are_remarked(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row(), row("Mass-Test_P_00009_LEFT_CC")])

    notes = read_cbis_ddsm(tmp_path).ledger.notes

    assert "2 cases with files stand in no table, Mass-Test_P_00009_LEFT_CC for one" in notes


def test_links_in_a_circle_and_hidden_files_do_no_harm(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()])
    (tmp_path / "CBIS-DDSM" / CASE / "circle").symlink_to(tmp_path)
    (tmp_path / "CBIS-DDSM" / CASE / "itself.dcm").symlink_to("itself.dcm")
    (tmp_path / "CBIS-DDSM" / "A film").symlink_to(tmp_path / "CBIS-DDSM" / CASE)
    hidden = put(tmp_path, "uid", CASE, "image", film()).with_name("._000000.dcm")
    hidden.write_bytes(b"\0\5\x16\7")

    found = only(read_cbis_ddsm(tmp_path))

    assert found.image == f"CBIS-DDSM/{CASE}/{uid(CASE, 'study')}/{uid(CASE, 'image')}/000000.dcm"
    assert found.status == "repaired"
    assert found.reason.count("itself.dcm: can't be opened") == 1
    assert "._" not in found.reason


def test_a_case_folder_linked_from_elsewhere_is_found(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    put_all(elsewhere, [row()])
    root.mkdir()
    write_table(root, [row()])
    for folder in (CASE, f"{CASE}_1"):
        (root / folder).symlink_to(elsewhere / "CBIS-DDSM" / folder)

    assert only(read_cbis_ddsm(root)).status == "read"


def test_a_folder_that_cannot_be_opened_is_remarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()])
    scan = os.scandir

    def refuse(path: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        if path.name == f"{CASE}_1":
            raise PermissionError
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = read_cbis_ddsm(tmp_path)

    assert only(dataset).status == "refused"
    assert "1 folders can't be opened; check their permissions" in dataset.ledger.notes


def test_a_file_name_that_is_no_text_can_be_written_in_the_ledger(tmp_path: Path) -> None:
    write_table(tmp_path, [row()])
    put_all(tmp_path, [row()])
    image = put(tmp_path, "uid", CASE, "image", film())
    image.rename(os.fsdecode(os.fsencode(image.parent) + b"/\xff.dcm"))

    dataset = read_cbis_ddsm(tmp_path)
    dataset.ledger.write(tmp_path / "out")

    assert only(dataset).image.endswith(r"/\udcff.dcm")


def test_one_file_is_not_the_mask_of_two_masses(tmp_path: Path) -> None:
    series = "1.2.3/1.2.4"
    rows = [row(number=n, ROI__mask__file__path=f"x/{series}/000000.dcm") for n in (1, 2)]
    write_table(tmp_path, rows)
    put(tmp_path, "jpeg", CASE, "image", film())
    path = tmp_path / "jpeg" / "1.2.4" / "1-1.jpg"
    path.parent.mkdir()
    Image.fromarray(mask().astype(np.uint8)).save(path)

    dataset = read_cbis_ddsm(tmp_path)

    assert only(dataset).status == "refused"
    assert only(dataset).reason == "one file is the mask of several findings; download the folders again"


def test_progress_counts_the_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_table(tmp_path, [row(), row(number=2), row("Mass-Training_P_00002_LEFT_CC")])

    read_cbis_ddsm(tmp_path, on_progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 2), (2, 2)]


CELL = st.sampled_from(("", "P_00001", "P_00002", "LEFT", "RIGHT", "CC", "MLO", "1", "2", "mass", "Jane", '"', "a\nb"))


@st.composite
def broken_rows(draw: st.DrawFn) -> list[dict[str, str]]:
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        side, view = draw(st.sampled_from(("LEFT", "RIGHT"))), draw(st.sampled_from(("CC", "MLO")))
        one = row(f"Mass-Training_P_0000{draw(st.integers(1, 2))}_{side}_{view}", draw(st.integers(1, 2)))
        broken = draw(st.dictionaries(st.sampled_from(list(one)), CELL, max_size=2))
        rows.append(one | broken)
    return rows


CONTENT = st.sampled_from((None, b"", b"junk", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM\x08\0\x05\0CS\2\0", "cut"))
PIXELS = st.sampled_from((film(), film(10, 11), mask(), mask(96, 80), mask(40, 48), np.zeros(SHAPE, np.uint16)))


POLICY: st.SearchStrategy[MaskPolicy] = st.sampled_from(("strict", "resize", "drop"))


@settings(deadline=None, max_examples=50)
@given(rows=broken_rows(), contents=st.lists(CONTENT, min_size=6, max_size=6), policy=POLICY, data=st.data())
def test_no_image_is_lost_whatever_tables_and_files_hold(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, str]],
    contents: list[bytes | str | None],
    policy: MaskPolicy,
    data: st.DataObject,
) -> None:
    root = tmp_path_factory.mktemp("broken")
    write_table(root, rows)
    first = "Mass-Training_P_00001_LEFT_CC"
    for content, folder, role in zip(
        contents, [first, f"{first}_1", f"{first}_2"] * 2, ["image", "crop"] * 3, strict=True
    ):
        path = put(root, data.draw(st.sampled_from(LAYOUTS)), folder, role, data.draw(PIXELS))
        if content is not None:
            path.write_bytes(path.read_bytes()[:-50] if isinstance(content, str) else content)

    dataset = read_cbis_ddsm(root, mask_policy=policy)
    shutil.rmtree(root)

    named = [one for one in dataset.ledger.rows if not one.case.startswith("(")]
    wholly_named = {
        f"Mass-Training_{one['patient_id']}_{one['left or right breast']}_{one['image view']}"
        for one in rows
        if one["patient_id"].startswith("P_")
        and one["left or right breast"] in {"LEFT", "RIGHT"}
        and one["image view"] in {"CC", "MLO"}
        and one["abnormality id"] in {"1", "2"}
        and not any("\n" in cell.strip() for cell in one.values())
    }
    assert {one.case for one in named} == wholly_named
    assert len({one.case for one in dataset.ledger.rows}) == len(dataset.ledger.rows)
    assert len(dataset.samples) == sum(one.status in {"read", "repaired"} for one in dataset.ledger.rows)
    assert all(one.reason for one in dataset.ledger.rows if one.status != "read")


@pytest.fixture
def as_tcia_would(
    tmp_path: Path, prepared_cbis_ddsm: Path, real_films: dict[str, Path], dicom_samples: Path
) -> Callable[[], Path]:
    """The real tables, the eight real films and the three real crops, in the folders that TCIA would give them."""

    def make() -> Path:
        for table in prepared_cbis_ddsm.glob("mass_case_description_*_set.csv"):
            shutil.copy(table, tmp_path)
        for name, path in real_films.items():
            folder = tmp_path / "CBIS-DDSM" / f"Mass-Test_{name}" / "10-04-2016-DDSM-NA-30038"
            link(folder / "1.000000-full mammogram images-63992" / "1-1.dcm", path)
        for path in dicom_samples.glob("*.dcm"):
            case, series, file_name = path.name.split("__")
            link(tmp_path / "CBIS-DDSM" / case / "10-04-2016-DDSM-NA-1" / series.replace("_", " ") / file_name, path)
        return tmp_path

    return make


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(target)


@pytest.mark.data
def test_the_real_tables_are_read_as_the_prepared_set_has_them(
    as_tcia_would: Callable[[], Path], prepared_cbis_ddsm: Path
) -> None:
    dataset = read_cbis_ddsm(as_tcia_would())

    prepared = read_folder(prepared_cbis_ddsm)
    named = {
        sample.image_path.stem: row.n_masses for sample, row in zip(prepared.samples, prepared.ledger.rows, strict=True)
    }
    assert len(dataset.ledger.rows) == 1592
    assert {row.case.partition("_")[2]: row.n_masses for row in dataset.ledger.rows} == named
    assert all(one.expected == one.found for one in dataset.ledger.expectations)
    assert len(dataset.ledger.expectations) == 6


@pytest.mark.data
def test_real_films_are_found_and_everything_else_is_reported_missing(as_tcia_would: Callable[[], Path]) -> None:
    dataset = read_cbis_ddsm(as_tcia_would())

    with_image = [row for row in dataset.ledger.rows if row.image]
    without = [row.reason for row in dataset.ledger.rows if not row.image]
    with_crop = [row.case for row in dataset.ledger.rows if not row.image and "so are all files" not in row.reason]
    assert dataset.ledger.counts == {"read": 0, "repaired": 0, "left_out": 0, "refused": 1592}
    assert len(with_image) == 8
    assert all(row.reason.startswith("the mask of mass 1 is missing: no file of") for row in with_image)
    assert (with_image[0].case, with_image[0].rows, with_image[0].columns) == ("Mass-Test_P_00173_LEFT_CC", 4432, 2864)
    assert len(without) == 1584
    assert all(reason.startswith("the image is missing: no file of Mass-") for reason in without)
    assert with_crop == ["Mass-Test_P_00016_LEFT_CC", "Mass-Test_P_00116_RIGHT_MLO"]
    assert "the layout is the NBIA downloader's folders named by date: 8 images were found so" in dataset.ledger.notes


@pytest.mark.data
def test_a_real_crop_in_the_masks_folder_is_not_taken_for_the_mask(
    as_tcia_would: Callable[[], Path], dicom_samples: Path
) -> None:
    root, case = as_tcia_would(), "Mass-Test_P_00820_LEFT_CC"
    (crop,) = dicom_samples.glob("*21596__000000.dcm")
    link(root / "CBIS-DDSM" / f"{case}_1" / "10-04-2016-DDSM-NA-2" / "1-ROI mask images-21596" / "000000.dcm", crop)
    (without,) = [row for row in read_cbis_ddsm(root).ledger.rows if row.case == case]
    truly_mask = put(root, "dated, short", f"{case}_1", "crop", mask(4736, 2624))

    dataset = read_cbis_ddsm(root)

    (sample,) = dataset.samples
    (row,) = [row for row in dataset.ledger.rows if row.case == case]
    assert "the mask of mass 1 is missing: found 000000.dcm (483 x 286), none of them a mask" in without.reason
    assert row.reason == "mask and crop of mass 1 are swapped by name; told apart by size and values"
    assert sample.mask_paths == (truly_mask,)

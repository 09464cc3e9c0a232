import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aunet.datasets.cbis_ddsm_tables import TableName, read_case_table
from aunet.errors import DatasetError

MASS_TRAIN, CALC_TEST = TableName("mass", "train"), TableName("calcification", "test")
ROW = {
    "patient_id": "P_00001",
    "breast_density": "3",
    "left or right breast": "LEFT",
    "image view": "CC",
    "abnormality id": "1",
    "abnormality type": "mass",
    "mass shape": "IRREGULAR-ARCHITECTURAL_DISTORTION",
    "mass margins": "SPICULATED",
    "assessment": "4",
    "pathology": "MALIGNANT",
    "subtlety": "5",
    "image file path": "Mass-Training_P_00001_LEFT_CC/1.1/1.2/000000.dcm",
    "cropped image file path": "Mass-Training_P_00001_LEFT_CC_1/2.1/2.2/000000.dcm",
    "ROI mask file path": "Mass-Training_P_00001_LEFT_CC_1/2.1/2.2/000001.dcm\n",
}


def write(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


def test_a_row_becomes_a_finding_with_all_its_values(tmp_path: Path) -> None:
    (one,), notes = read_case_table(write(tmp_path / "t.csv", [ROW]), MASS_TRAIN)

    assert (one.case, one.folder) == ("Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00001_LEFT_CC_1")
    assert (one.patient_id, one.laterality, one.view, one.number, one.line) == ("P_00001", "L", "CC", 1, 2)
    assert (one.breast_density, one.birads, one.subtlety, one.pathology) == ("3", "4", "5", "MALIGNANT")
    assert (one.mass_shape, one.mass_margins) == ("IRREGULAR-ARCHITECTURAL_DISTORTION", "SPICULATED")
    assert one.mask_path == "Mass-Training_P_00001_LEFT_CC_1/2.1/2.2/000001.dcm"
    assert (one.repairs, one.problems) == ((), ())
    assert notes == ("mass_case_description_train_set.csv: 1 cells end in a line break; read without it",)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [ROW])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    (one,), _ = read_case_table(path, MASS_TRAIN)

    assert one.patient_id == "P_00001"


def test_a_right_breast_in_the_oblique_view_is_understood(tmp_path: Path) -> None:
    paths = {name: "" for name in ROW if "path" in name}

    (one,), _ = read_case_table(
        write(tmp_path / "t.csv", [{**ROW, **paths, "left or right breast": "RIGHT", "image view": "MLO"}]), MASS_TRAIN
    )

    assert (one.case, one.laterality, one.view) == ("Mass-Training_P_00001_RIGHT_MLO", "R", "MLO")
    assert one.problems == ()


def test_columns_may_be_written_with_blanks_or_underscores(tmp_path: Path) -> None:
    underscored = {name.replace(" ", "_"): cell for name, cell in ROW.items()}
    blank = {name.replace("_", " ").upper(): cell for name, cell in ROW.items()}

    first, _ = read_case_table(write(tmp_path / "1.csv", [underscored]), MASS_TRAIN)
    second, _ = read_case_table(write(tmp_path / "2.csv", [blank]), MASS_TRAIN)

    assert first == second
    assert first[0].laterality == "L"


def test_a_row_that_ends_in_a_line_break_does_not_move_the_line_of_the_next(tmp_path: Path) -> None:
    findings, _ = read_case_table(write(tmp_path / "t.csv", [ROW, {**ROW, "abnormality id": "2"}]), MASS_TRAIN)

    assert [one.line for one in findings] == [2, 4]


def test_the_calcification_tables_have_columns_of_their_own(tmp_path: Path) -> None:
    row = {name: cell for name, cell in ROW.items() if not name.startswith("mass ") and "path" not in name}
    row |= {"abnormality type": "calcification", "calc type": "PLEOMORPHIC", "calc distribution": "CLUSTERED"}
    row["breast density"] = row.pop("breast_density")

    (one,), notes = read_case_table(write(tmp_path / "t.csv", [row]), CALC_TEST)

    assert (one.case, one.breast_density, one.mass_shape) == ("Calc-Test_P_00001_LEFT_CC", "3", "")
    assert one.problems == ()
    missing, unused = notes
    assert missing.endswith(
        "no column cropped_image_file_path, image_file_path, pathology, roi_mask_file_path; left blank"
    )
    assert unused == "calc_case_description_test_set.csv: 2 columns not used (calc_distribution, calc_type)"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"patient_id": "Jane Doe"}, "patient_id is none of CBIS-DDSM"),
        ({"left or right breast": "BOTH"}, "neither LEFT nor RIGHT"),
        ({"image view": "XCCL"}, "neither CC nor MLO"),
        ({"abnormality id": "0"}, "no whole number from 1"),
        ({"abnormality type": "calcification"}, "the abnormality type is not mass"),
        (
            {"image file path": "Mass-Training_P_00002_LEFT_CC/1.1/1.2/000000.dcm"},
            "the columns mean Mass-Training_P_00001_LEFT_CC, the image file path Mass-Training_P_00002_LEFT_CC",
        ),
        ({"pathology": "MALIG\nNANT"}, "a cell holds a line break"),
    ],
)
def test_a_row_that_does_not_say_which_finding_it_means_has_a_problem(
    tmp_path: Path, cells: dict[str, str], said: str
) -> None:
    (one,), _ = read_case_table(write(tmp_path / "t.csv", [{**ROW, **cells}]), MASS_TRAIN)

    assert said in "; ".join(one.problems)
    assert "Jane" not in "; ".join(one.problems)


def test_a_row_with_a_cell_too_few_has_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [ROW])
    path.write_text(path.read_text("utf-8") + "P_00002,3,LEFT\n", encoding="utf-8")

    findings, _ = read_case_table(path, MASS_TRAIN)

    assert findings[0].problems == ()
    assert findings[1].problems == ("the row has 3 cells, the header 14; download the table again",)


def test_values_that_are_none_of_the_tables_terms_are_left_blank_and_said(tmp_path: Path) -> None:
    row = {**ROW, "assessment": "Jane", "subtlety": "5.0", "pathology": "Jane 7", "mass margins": "N/A"}

    (one,), _ = read_case_table(write(tmp_path / "t.csv", [row]), MASS_TRAIN)

    assert (one.birads, one.subtlety, one.pathology, one.mass_margins) == ("", "5", "", "")
    assert one.repairs == (
        "the assessment is no number from 0 to 9; left blank",
        "the pathology is none of CBIS-DDSM's terms; left blank",
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"Jane,Doe\n", "missing columns: .*; found: none that is known"),
        (b"patient_id,image view\n", "missing columns: left_or_right_breast, abnormality_id; found: patient_id"),
        (b"patient_id,image view,image_view,left or right breast,abnormality id\n", "image_view stand there more than"),
        (b'patient_id,image view,left or right breast,abnormality id\n"P', "line 2: unexpected end of data"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_table_without_sense_is_an_error_that_says_why(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(raw)

    with pytest.raises(DatasetError, match=said) as caught:
        read_case_table(path, MASS_TRAIN)

    assert "Jane" not in str(caught.value)


CELL = st.sampled_from((*ROW.values(), "", "P_00002", "RIGHT", "MLO", "2", "N/A", '"', "\n", "\r", "\ud800", "é"))


@settings(deadline=None)
@given(st.lists(st.lists(CELL | st.text(max_size=4), min_size=1, max_size=16), max_size=5), st.booleans())
def test_whatever_a_table_holds_each_row_is_a_finding_or_the_table_an_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], has_quotes: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.csv"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL if has_quotes else csv.QUOTE_MINIMAL).writerows([list(ROW), *rows])
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))

    try:
        findings, _ = read_case_table(path, MASS_TRAIN)
    except DatasetError:
        assert "\ud800" in text.getvalue()
        return

    assert len(findings) == len(rows)
    assert all(one.case or one.problems for one in findings)

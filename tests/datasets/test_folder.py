import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aunet.datasets.dataset import DataSet
from aunet.datasets.folder import read_folder
from aunet.datasets.ledger import LedgerRow
from aunet.datasets.opening import open_dataset
from aunet.datasets.splits import samples_of
from aunet.datasets.table import COLUMNS
from aunet.errors import AunetError, DatasetError
from aunet.sample import MassProperties

Row = Mapping[str, str]
ROWS, COLUMNS_PX = 12, 10


def picture(path: Path, *, rows: int = ROWS, columns: int = COLUMNS_PX) -> None:
    """A picture that only its size matters of: these tests read no pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((rows, columns), np.uint8)).save(path)


def row(name: str, *, patient_id: str = "A", **cells: str) -> dict[str, str]:
    return {"image": f"images/{name}.png", "mask": f"masks/{name}.png", "patient_id": patient_id, **cells}


def table(rows: Sequence[Row], *, delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(name for one in rows for name in one))
    writer = csv.DictWriter(text, columns, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def folder(root: Path, rows: Sequence[Row], *, text: str | None = None) -> Path:
    """A folder with pictures for `a`, `b` and `c`, and a table of the rows."""
    for name in "abc":
        picture(root / "images" / f"{name}.png")
        picture(root / "masks" / f"{name}.png")
    (root / "cases.csv").write_text(table(rows) if text is None else text, encoding="utf-8", newline="")
    return root


def only(dataset: DataSet) -> LedgerRow:
    (one,) = dataset.ledger.rows
    return one


def statuses(dataset: DataSet) -> list[str]:
    return [one.status for one in dataset.ledger.rows]


def test_a_sound_row_becomes_a_sample_with_all_its_columns(tmp_path: Path) -> None:
    cells = {"split": "train", "laterality": "L", "view": "MLO", "spacing_mm": "0.07", "n_masses": "2"}
    properties = {"breast_density": "3", "birads": "4;5", "pathology": "BENIGN;MALIGNANT", "subtlety": "1;2"}

    dataset = read_folder(folder(tmp_path, [row("a", **cells, **properties), row("b"), row("c")]))

    sample = dataset.samples[0]
    assert statuses(dataset) == ["read", "read", "read"]
    assert dataset.ledger.notes == ()
    assert (sample.case, sample.patient_id) == ("images/a", "A")
    assert (sample.image_path, sample.mask_paths) == (tmp_path / "images/a.png", (tmp_path / "masks/a.png",))
    assert (sample.split, sample.laterality, sample.view, sample.spacing_mm) == ("train", "L", "MLO", (0.07, 0.07))
    assert sample.properties == MassProperties("3", "4;5", "BENIGN;MALIGNANT", "1;2")
    assert dataset.ledger.rows[0].n_masses == 2


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"split": "Training"}, "split 'Training' read as train"),
        ({"split": "val"}, "split 'val' read as validation"),
        ({"laterality": "LEFT"}, "laterality 'LEFT' read as L"),
        ({"view": "mlo"}, "view 'mlo' read as MLO"),
        ({"image": "images\\a.png"}, "the path of the image read as images/a.png"),
        ({"image": "./images//a.png"}, "the path of the image read as images/a.png"),
        ({"mask": "masks/a.png\n"}, "blanks around cells removed"),
        ({"image": " images/a.png "}, "blanks around cells removed"),
    ],
)
def test_what_can_only_mean_one_thing_is_repaired(tmp_path: Path, cells: dict[str, str], said: str) -> None:
    dataset = read_folder(folder(tmp_path, [{**row("a"), **cells}]))

    assert only(dataset).status == "repaired"
    assert said in only(dataset).reason
    assert len(dataset.samples) == 1


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"image": "images/z.png"}, "the image images/z.png is missing"),
        ({"mask": "masks/z.png"}, "the mask masks/z.png is missing"),
        ({"image": "images"}, "the image images is not a file"),
        ({"image": "images/a.png/b.png"}, "the image images/a.png/b.png can't be opened"),
        ({"image": "x" * 5000}, "can't be opened"),
        ({"image": "../a.png"}, "the image '../a.png' lies outside the folder"),
        ({"image": "images/../../a.png"}, "lies outside the folder"),
        ({"mask": "/etc/hostname"}, "the mask '/etc/hostname' lies outside the folder"),
        ({"image": "C:\\films\\a.png"}, "lies outside the folder"),
        ({"image": ""}, "no image is named"),
        ({"mask": ""}, "no mask is named; name one, or write n_masses 0"),
        ({"mask": "", "n_masses": "1"}, "no mask is named"),
        ({"mask": "images/a.png"}, "image and mask are the same file"),
        ({"patient_id": ""}, "patient_id names nobody"),
        ({"patient_id": "NaN"}, "patient_id names nobody"),
        ({"split": "fold3"}, "split is none of train, validation, test; correct it, or leave it blank"),
        ({"laterality": "B"}, "laterality is none of L, R; correct it, or leave it blank"),
        ({"view": "XCCL"}, "view is none of CC, MLO; correct it, or leave it blank"),
        ({"n_masses": "some"}, "n_masses is no whole number from 0"),
        ({"n_masses": "-1"}, "n_masses is no whole number from 0"),
        ({"spacing_mm": "0"}, "the spacing is impossible"),
        ({"spacing_mm": "nan"}, "the spacing is impossible"),
        ({"spacing_mm": "1 2 3"}, "expected one number or two"),
        ({"spacing_mm": "thin"}, "the spacing is no number"),
        ({"spacing_row_mm": "0.1"}, "only one of spacing_row_mm and spacing_column_mm"),
        ({"spacing_mm": "0.1", "spacing_row_mm": "0.1"}, "keep one of them"),
    ],
)
def test_what_nobody_can_repair_is_refused_with_the_reason(tmp_path: Path, cells: dict[str, str], said: str) -> None:
    root = folder(tmp_path / "data", [{**row("a"), **cells}, row("b")])

    dataset = read_folder(root)

    assert statuses(dataset) == ["refused", "read"]
    assert said in dataset.ledger.rows[0].reason
    assert [sample.case for sample in dataset.samples] == ["images/b"]


def test_a_row_is_refused_with_all_its_reasons_at_once(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path, [row("z", patient_id="", view="ML")]))

    reason = only(dataset).reason
    assert all(part in reason for part in ("patient_id", "view", "image images/z.png", "mask masks/z.png"))


def test_a_blank_mask_is_sound_where_the_table_says_that_there_is_no_mass(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path, [row("a", n_masses="0") | {"mask": ""}]))

    assert statuses(dataset) == ["read"]
    assert dataset.samples[0].mask_paths == ()


def test_an_absolute_path_into_the_folder_is_made_relative(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path, [row("a") | {"image": str(tmp_path / "images" / "a.png")}]))

    assert only(dataset).status == "repaired"
    assert dataset.samples[0].case == "images/a"


@pytest.mark.parametrize(("rows", "columns"), [(24, 20), (6, 5)])
def test_a_mask_of_another_size_and_the_same_shape_is_repaired(tmp_path: Path, rows: int, columns: int) -> None:
    root = folder(tmp_path, [row("a")])
    picture(root / "masks" / "a.png", rows=rows, columns=columns)

    dataset = read_folder(root)

    assert only(dataset).status == "repaired"
    assert only(dataset).reason == f"the mask has {rows} x {columns} pixels; resized to 12 x 10 of the mammogram"


@pytest.mark.parametrize(("rows", "columns"), [(10, 12), (12, 11)])
def test_a_mask_of_another_shape_is_refused(tmp_path: Path, rows: int, columns: int) -> None:
    root = folder(tmp_path, [row("a")])
    picture(root / "masks" / "a.png", rows=rows, columns=columns)

    assert only(read_folder(root)).status == "refused"


def test_files_that_are_no_images_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, [row("a"), row("b"), row("c")])
    (root / "images" / "a.png").write_bytes(b"")
    (root / "masks" / "b.png").write_text("not a picture")

    dataset = read_folder(root)

    assert statuses(dataset) == ["refused", "refused", "read"]
    assert "a.png" in dataset.ledger.rows[0].reason
    assert "b.png" in dataset.ledger.rows[1].reason


def test_of_rows_alike_word_for_word_the_first_is_used(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path, [row("a"), row("b"), row("a")]))

    assert statuses(dataset) == ["read", "read", "refused"]
    assert dataset.ledger.rows[2].reason == "repeats line 2 word for word; delete one of them"
    assert [sample.case for sample in dataset.samples] == ["images/a", "images/b"]


def test_an_image_with_two_different_rows_is_refused_in_both(tmp_path: Path) -> None:
    rows = [row("a"), row("a") | {"mask": "masks/b.png"}, row("c")]

    dataset = read_folder(folder(tmp_path, rows))

    assert statuses(dataset) == ["refused", "refused", "read"]
    assert "the same image stands in lines 2, 3" in dataset.ledger.rows[0].reason


def test_a_file_under_two_names_is_one_file(tmp_path: Path) -> None:
    root = folder(tmp_path, [row("a"), row("b")])
    (root / "images" / "b.png").unlink()
    (root / "images" / "b.png").symlink_to(root / "images" / "a.png")

    assert statuses(read_folder(root)) == ["refused", "refused"]


def test_a_mask_of_two_images_is_refused_unless_both_show_no_mass(tmp_path: Path) -> None:
    shared = {"mask": "masks/c.png"}

    with_mass = read_folder(folder(tmp_path / "1", [row("a") | shared, row("b") | shared]))
    without = read_folder(folder(tmp_path / "2", [row(name, n_masses="0") | shared for name in "ab"]))

    assert statuses(with_mass) == ["refused", "refused"]
    assert "the same mask stands in lines 2, 3" in with_mass.ledger.rows[0].reason
    assert statuses(without) == ["read", "read"]


def test_another_rows_image_is_no_mask(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path, [row("a") | {"mask": "images/b.png"}, row("b")]))

    assert statuses(dataset) == ["refused", "read"]
    assert "the mask is the image of line 3" in dataset.ledger.rows[0].reason


def test_a_patient_on_both_sides_is_refused_row_by_row_without_being_named(tmp_path: Path) -> None:
    rows = [
        row("a", patient_id="Jane Doe", split="train"),
        row("b", patient_id="Jane Doe", split="test"),
        row("c", patient_id="C", split="test"),
    ]

    dataset = read_folder(folder(tmp_path, rows))
    dataset.ledger.write(tmp_path / "out")

    assert statuses(dataset) == ["refused", "refused", "read"]
    assert "more than one side of the split" in dataset.ledger.rows[0].reason
    assert all("Jane" not in path.read_text("utf-8") for path in (tmp_path / "out").iterdir())
    with pytest.raises(DatasetError, match="images/a"):
        samples_of(dataset, "test")


def test_images_that_differ_in_their_ending_alone_keep_it(tmp_path: Path) -> None:
    root = folder(tmp_path, [row("a"), row("a") | {"image": "images/a.tif", "mask": "masks/b.png"}, row("c")])
    picture(root / "images" / "a.tif")

    dataset = read_folder(root)

    assert [sample.case for sample in dataset.samples] == ["images/a.png", "images/a.tif", "images/c"]


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter_is_recognised_and_said(tmp_path: Path, delimiter: str, name: str) -> None:
    rows = [row("a", birads="3;4", spacing_mm="0,07"), row("b", birads="3", spacing_mm="")]

    dataset = read_folder(folder(tmp_path, rows, text=table(rows, delimiter=delimiter)))

    assert statuses(dataset) == ["repaired", "read"]
    assert dataset.samples[0].properties.birads == "3;4"
    assert dataset.samples[0].spacing_mm == (0.07, 0.07)
    assert f"separated by {name}" in dataset.ledger.notes[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, encoding: str) -> None:
    root = folder(tmp_path, [row("a")])
    (root / "cases.csv").write_bytes(table([row("a", patient_id="Zoë")]).encode(encoding))

    dataset = read_folder(root)

    assert statuses(dataset) == ["read"]
    assert dataset.samples[0].patient_id == "Zoë"
    assert "byte order mark" in dataset.ledger.notes[0]


def test_columns_without_use_and_files_without_a_row_are_remarked(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path, [row("a", scanner="Lumisys") | {"Split ": "train"}]))

    assert dataset.samples[0].split == "train"
    assert dataset.ledger.notes == (
        "column names were read without capitals and surrounding blanks",
        "columns not used: scanner",
        "4 files beside the named ones stand in no row, images/b.png for one",
    )


def test_a_file_name_that_is_no_text_can_be_written_in_the_ledger(tmp_path: Path) -> None:
    root = folder(tmp_path, [row("a"), row("b"), row("c")])
    Path(os.fsdecode(os.fsencode(root) + b"/images/\xff.png")).write_bytes(b"")

    dataset = read_folder(root)
    dataset.ledger.write(tmp_path / "out")

    assert dataset.ledger.notes == (r"1 files beside the named ones stand in no row, images/\udcff.png for one",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("image,mask,patient_id\n", "a header and no row"),
        ("image,mask\nimages/a.png,masks/a.png\n", "missing columns: patient_id; found: image, mask"),
        ("images/a.png,masks/a.png,Jane\n", "found: none that is known"),
        ("image,mask,patient_id,mask\n", "the columns mask stand there more than once"),
        ('image,mask,patient_id\n"images/a.png,masks/a.png,A\n', "line 2: unexpected end of data"),
        ("image,mask,patient_id\nimages/a.png,masks/a.png,A\0\n", "zero bytes"),
    ],
)
def test_a_table_without_sense_is_an_error_that_says_why(tmp_path: Path, text: str, said: str) -> None:
    root = folder(tmp_path, [], text=text)

    with pytest.raises(DatasetError, match=said) as caught:
        read_folder(root)

    assert "cases.csv" in str(caught.value)
    assert "Jane" not in str(caught.value)


def test_a_table_that_is_no_utf8_is_an_error(tmp_path: Path) -> None:
    root = folder(tmp_path, [])
    (root / "cases.csv").write_bytes(table([row("a", patient_id="Zoë")]).encode("latin-1"))

    with pytest.raises(DatasetError, match="not UTF-8 text"):
        read_folder(root)


def test_rows_with_too_few_too_many_or_no_cells_are_refused(tmp_path: Path) -> None:
    text = "image,mask,patient_id\nimages/a.png,masks/a.png\nimages/b.png,masks/b.png,B,x\n,,\n"
    text += "images/c.png,masks/c.png,C,\n"

    dataset = read_folder(folder(tmp_path, [], text=text))

    assert statuses(dataset) == ["refused", "refused", "refused", "repaired"]
    assert "the row has 2 cells, the header 3" in dataset.ledger.rows[0].reason
    assert "the row has 4 cells, the header 3" in dataset.ledger.rows[1].reason
    assert "the row is blank" in dataset.ledger.rows[2].reason
    assert [one.line for one in dataset.ledger.rows] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "line",
    [
        "Jane Doe,images/a.png,masks/a.png,train,CC,1,0.1,L",
        "Jane Doe,images/a.png,P,train,CC,1,0.1",
        "images/a.png,Jane Doe,train,test,CC,1,0.1",
        "images/a.png,masks/a.png,train,Jane Doe,CC,1,0.1",
        "images/a.png,masks/a.png,P,train,Jane Doe,1,0.1",
        "images/a.png,masks/a.png,P,train,CC,Jane Doe,0.1",
        "images/a.png,masks/a.png,P,train,CC,1,Jane Doe",
    ],
)
def test_a_patient_in_a_wrong_column_is_not_repeated(tmp_path: Path, line: str) -> None:
    text = f"image,mask,patient_id,split,view,n_masses,spacing_mm\n{line}\n"

    dataset = read_folder(folder(tmp_path, [], text=text))

    assert only(dataset).status == "refused"
    assert "Jane" not in only(dataset).case + only(dataset).reason


def test_patients_that_differ_in_capitals_and_blanks_are_remarked(tmp_path: Path) -> None:
    rows = [row("a", patient_id="Doe 1"), row("b", patient_id="DOE1"), row("c", patient_id="Doe 2")]

    dataset = read_folder(folder(tmp_path, rows))

    (note,) = dataset.ledger.notes
    assert note.startswith("1 patients are written in several ways (capitals, blanks)")


def test_a_quotation_mark_that_swallows_the_next_row_is_found(tmp_path: Path) -> None:
    text = 'image,mask,patient_id\nimages/a.png,masks/a.png,"A\nimages/b.png,masks/b.png,B"\n'

    dataset = read_folder(folder(tmp_path, [], text=text))

    assert only(dataset).status == "refused"
    assert "line break" in only(dataset).reason


def test_progress_counts_the_rows(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    read_folder(folder(tmp_path, [row("a"), row("b")]), on_progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("root", ["missing", "cases.csv"])
def test_what_is_no_folder_is_an_error(tmp_path: Path, root: str) -> None:
    folder(tmp_path, [row("a")])

    with pytest.raises(DatasetError, match="is not a folder"):
        read_folder(tmp_path / root)


def test_a_folder_without_a_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no cases\.csv"):
        read_folder(tmp_path)


def test_a_data_set_is_opened_by_its_kind(tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{folder(tmp_path / 'mine', [row('a')])}")

    assert dataset.name == "mine"
    assert len(dataset.samples) == 1


CELL = st.sampled_from((
    *("", " ", "images/a.png", "images/b.png", "images/c.png", "masks/a.png", "masks/b.png", "images", "..", "/"),
    *("A", "B", "train", "test", "Val", "L", "left", "CC", "ML", "0", "1", "0.07", "0,1"),
    *('"', "\n", "\r", "é", "\x0b", "\ud800"),
)) | st.text(max_size=6)
OPTIONAL = [name for name in COLUMNS if name not in {"image", "mask", "patient_id"}]
HEADER = st.lists(st.sampled_from(OPTIONAL), unique=True, max_size=4).map(
    lambda names: ["image", "mask", "patient_id", *names]
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("pictures"), [])


@given(HEADER, st.lists(st.lists(CELL, min_size=1, max_size=8), max_size=6), st.sampled_from(",;\t"), st.booleans())
def test_no_row_is_lost_whatever_the_table_holds(
    pictures: Path, header: list[str], rows: list[list[str]], delimiter: str, is_quoted: bool
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL)
    writer.writerows([header, *rows])
    (pictures / "cases.csv").write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))

    try:
        dataset = read_folder(pictures)
    except AunetError:
        is_text = "\0" not in text.getvalue() and "\ud800" not in text.getvalue()
        assert not rows or not is_text
        return

    assert sum(dataset.ledger.counts.values()) == len(rows)
    refused = [one for one in dataset.ledger.rows if one.status == "refused"]
    on_two_sides = sum("more than one side" in one.reason for one in refused)
    assert len(dataset.samples) == len(rows) - len(refused) + on_two_sides
    assert len({sample.case for sample in dataset.samples}) == len(dataset.samples)
    assert all(one.reason for one in dataset.ledger.rows if one.status != "read")


@given(st.binary(max_size=200))
def test_any_bytes_for_a_table_are_an_error_of_ours_or_rows(pictures: Path, junk: bytes) -> None:
    (pictures / "cases.csv").write_bytes(b"image,mask,patient_id\n" + junk)

    try:
        dataset = read_folder(pictures)
    except AunetError:
        return

    assert sum(dataset.ledger.counts.values()) > 0


@pytest.mark.data
def test_the_real_table_is_read_without_loss(prepared_cbis_ddsm: Path) -> None:
    dataset = read_folder(prepared_cbis_ddsm)

    sides = {side: samples_of(dataset, side) for side in ("train", "test", "validation")}
    assert dataset.ledger.counts == {"read": 1592, "repaired": 0, "left_out": 0, "refused": 0}
    assert [len(sides[side]) for side in ("train", "test", "validation")] == [1231, 361, 0]
    assert [len({one.patient_id for one in sides[side]}) for side in ("train", "test")] == [691, 201]

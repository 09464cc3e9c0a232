"""INbreast's tree in miniature, whole and broken in every way that can be thought of."""

import plistlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aunet.datasets.dataset import DataSet
from aunet.datasets.inbreast import read_inbreast
from aunet.datasets.inspection import inspect_pixels
from aunet.datasets.ledger import LedgerRow
from aunet.errors import DatasetError
from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.io.files import read_reference, read_sample
from aunet.sample import Laterality, MassProperties, View

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
SQUARE = ((10.0, 12.0), (10.0, 24.0), (20.0, 24.0), (20.0, 12.0))
HASHES = {"A": "6c613a14b80a8591", "B": "a4b1c66370c370c3"}
Points = Sequence[tuple[float, float]]


def line(number: str, *, laterality: str = "R", view: str = "CC", birads: str = "4a", acr: str = "2") -> str:
    return f"removed;removed;{laterality};{view};201001;{number};{acr};{birads}"


def image(
    root: Path,
    number: str,
    *,
    patient: str = "A",
    laterality: Laterality = "R",
    view: View = "CC",
    shape: tuple[int, int] = (40, 32),
    named: str = "",
) -> Path:
    """A mammogram of 12 bits, named as INbreast names it: ML for the oblique view."""
    view_word = "ML" if view == "MLO" else view
    path = root / "AllDICOMs" / (named or f"{number}_{HASHES[patient]}_MG_{laterality}_{view_word}_ANON.dcm")
    header = MammogramHeader(
        laterality=laterality,
        view=view,
        bits_stored=12,
        patient_id=HASHES[patient],
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        sop_instance_uid=f"2.25.{int(number)}",
        spacing_mm=(0.07, 0.07),
    )
    pixels = np.random.default_rng(int(number)).integers(500, 4000, shape).astype(np.uint16)
    write_mammogram(path, pixels, header)
    return path


def outlines(root: Path, number: str, *regions: tuple[str, Points]) -> Path:
    rois = [
        {"Name": name, "NumberOfPoints": len(points), "Point_px": [f"({column}, {row})" for row, column in points]}
        for name, points in regions
    ]
    path = root / "AllXML" / f"{number}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps({"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}))
    return path


def table(root: Path, *lines: str, header: str = HEADER) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "INbreast.csv").write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")


def release(root: Path) -> Path:
    """Three images of two patients: a mass, two masses and a cluster, and none."""
    table(
        root,
        line("20586908"),
        line("20586934", laterality="L", view="MLO", birads="5"),
        line("20587000", laterality="L", birads="1"),
    )
    image(root, "20586908")
    image(root, "20586934", patient="B", laterality="L", view="MLO", shape=(48, 40))
    image(root, "20587000", patient="B", laterality="L")
    outlines(root, "20586908", ("Mass", SQUARE))
    far = [(row + 20, column) for row, column in SQUARE]
    outlines(root, "20586934", ("Cluster", [(0, 0), (0, 9), (9, 9)]), ("Mass", SQUARE), ("Mass", far))
    return root


def by_case(dataset: DataSet) -> dict[str, LedgerRow]:
    return {row.case: row for row in dataset.ledger.rows}


def reason(dataset: DataSet, case: str = "20586908") -> str:
    return by_case(dataset)[case].reason


def test_images_with_a_mass_become_samples_and_the_others_are_left_out(tmp_path: Path) -> None:
    dataset = read_inbreast(release(tmp_path / "release"))

    first, second = dataset.samples
    assert (first.case, first.patient_id, first.laterality, first.view) == ("20586908", HASHES["A"], "R", "CC")
    assert (second.laterality, second.view, second.spacing_mm) == ("L", "MLO", (0.07, 0.07))
    assert first.properties == MassProperties(breast_density="2", birads="4a")
    assert first.region_names == ("Mass",)
    assert [row.status for row in dataset.ledger.rows] == ["read", "read", "left_out"]
    assert [row.n_masses for row in dataset.ledger.rows] == [1, 2, 0]
    assert reason(dataset, "20587000") == "no outline is named Mass"


def test_all_images_are_used_on_request_and_one_without_a_mass_has_an_empty_mask(tmp_path: Path) -> None:
    dataset = read_inbreast(release(tmp_path), only_with_mass=False)

    _, mask = read_sample(dataset.samples[2])
    assert [row.status for row in dataset.ledger.rows] == ["read", "read", "read"]
    assert dataset.samples[2].mask_paths == ()
    assert not mask.pixels.any()


def test_only_outlines_named_mass_are_masses_and_they_are_told_apart(tmp_path: Path) -> None:
    dataset = read_inbreast(release(tmp_path))

    mask = read_reference(dataset.samples[1], (48, 40))
    assert mask.instances is not None
    assert mask.instances[10, 12] == 1
    assert mask.instances[30, 12] == 2
    assert not mask.pixels[:9].any()


def test_each_image_has_its_own_size_and_depth_by_its_header(tmp_path: Path) -> None:
    dataset = read_inbreast(release(tmp_path))

    assert [(row.rows, row.columns, row.bits_stored) for row in dataset.ledger.rows] == [
        (40, 32, 12),
        (48, 40, 12),
        (40, 32, 12),
    ]


def test_the_patients_pseudonym_stands_nowhere_in_the_ledger(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / "AllDICOMs" / f"20586908_{HASHES['A']}_MG_R_CC_ANON.dcm").write_bytes(b"cut off")
    image(root, "777", named=f"777_{HASHES['B']}.dcm")
    image(root, "778")

    dataset = read_inbreast(root)

    text = repr(dataset.ledger)
    assert "20586908_*_MG_R_CC_ANON.dcm: not a DICOM file" in reason(dataset)
    assert by_case(dataset)["20586934"].image == "AllDICOMs/20586934_*_MG_L_ML_ANON.dcm"
    assert not any(patient in text for patient in HASHES.values())


def test_what_the_publication_counts_stands_beside_what_was_found(tmp_path: Path) -> None:
    expectations = read_inbreast(release(tmp_path)).ledger.expectations

    assert [(one.what, one.expected, one.found) for one in expectations] == [
        ("images", 410, 3),
        ("cases (a patient at a date of acquisition)", 115, 2),
        ("images with a mass", 107, 2),
        ("masses", 116, 3),
    ]


@pytest.mark.parametrize("below", ["INbreast Release 1.0", "archive/INbreast Release 1.0"])
def test_the_release_is_found_below_the_folder_that_is_named(tmp_path: Path, below: str) -> None:
    release(tmp_path / below)
    (tmp_path / "__MACOSX" / "AllDICOMs").mkdir(parents=True)

    assert len(read_inbreast(tmp_path).samples) == 2


def test_two_releases_side_by_side_are_an_error(tmp_path: Path) -> None:
    release(tmp_path / "a")
    release(tmp_path / "b")

    with pytest.raises(DatasetError, match=r"are both there, expected one INbreast\.csv"):
        read_inbreast(tmp_path)


@pytest.mark.parametrize("name", ["INbreast.csv", "AllDICOMs", "AllXML"])
def test_a_missing_part_of_the_release_is_an_error(tmp_path: Path, name: str) -> None:
    path = release(tmp_path) / name
    path.unlink() if path.is_file() else shutil.rmtree(path)

    with pytest.raises(DatasetError, match=f"hold no {name}; unpack the whole release"):
        read_inbreast(tmp_path)


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"is not a folder; name the folder that holds INbreast\.csv"):
        read_inbreast(tmp_path / "x")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "columns missing or there twice: laterality"),
        (HEADER.encode(), "a header and no row"),
        (HEADER.replace("ACR", "View").encode() + b"\n1;2", "columns missing or there twice: view, acr"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (HEADER.encode() + b'\n"a"b;c', "line 2"),
    ],
)
def test_a_table_that_cant_be_used_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    (release(tmp_path) / "INbreast.csv").write_bytes(content)

    with pytest.raises(DatasetError, match=said):
        read_inbreast(tmp_path)


def test_a_table_saved_with_commas_a_mark_and_blanks_is_read(tmp_path: Path) -> None:
    path = release(tmp_path) / "INbreast.csv"
    text = (
        path
        .read_text()
        .replace("Patient ID;Patient age;", "")
        .replace("removed;removed;", "")
        .replace(";", ",")
        .replace("20586908", " 20586908.0 ")
        .replace("MLO", "MLO ")
    )
    path.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8", newline="")

    assert [sample.case for sample in read_inbreast(tmp_path).samples] == ["20586908", "20586934"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("removed;R;CC;201001;20586908;2;4a", "the row has 7 cells, the header 8"),
        (line("secret"), "the file name is no number"),
    ],
)
def test_a_row_that_names_no_image_is_refused_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    table(release(tmp_path), line("20586934"), text)

    row = by_case(read_inbreast(tmp_path))["(line 3)"]

    assert row.status == "refused"
    assert said in row.reason
    assert "secret" not in row.reason


def test_a_row_that_repeats_another_is_refused_and_the_first_is_used(tmp_path: Path) -> None:
    table(release(tmp_path), line("20586908"), line("20586908"))

    dataset = read_inbreast(tmp_path)

    assert [row.status for row in dataset.ledger.rows][:2] == ["read", "refused"]
    assert "repeats line 2 word for word" in dataset.ledger.rows[1].reason
    assert [sample.case for sample in dataset.samples] == ["20586908"]
    assert dataset.ledger.expectations[0].found == 1


def test_rows_of_one_image_that_contradict_each_other_are_all_refused(tmp_path: Path) -> None:
    table(release(tmp_path), line("20586908"), line("20586908", birads="2"))

    dataset = read_inbreast(tmp_path)

    assert [row.status for row in dataset.ledger.rows][:2] == ["refused", "refused"]
    assert "stands in lines 2, 3 with other values" in reason(dataset)
    assert dataset.samples == ()


def test_files_in_no_row_have_a_row_of_the_ledger_each(tmp_path: Path) -> None:
    root = release(tmp_path)
    image(root, "300")
    outlines(root, "300", ("Mass", SQUARE))
    outlines(root, "301", ("Mass", SQUARE))
    outlines(root, "Mrs Doe", ("Mass", SQUARE))
    image(root, "302", named="copy.dcm")
    (root / "AllXML" / "Thumbs.db").write_bytes(b"x")

    dataset = read_inbreast(root)

    extra = {row.case: row.reason.partition(";")[0] for row in dataset.ledger.rows if row.line == 0}
    assert extra == {
        "300": "lies in AllDICOMs and AllXML and stands in no row of INbreast.csv",
        "301": "lies in AllXML and stands in no row of INbreast.csv",
        "(file 3 without a row)": "lies in AllXML and stands in no row of INbreast.csv",
        "(unnamed file 1)": "lies in AllDICOMs, its name not NUMBER_PATIENT_MG_SIDE_VIEW_ANON.dcm",
    }
    assert all(row.status == "refused" for row in dataset.ledger.rows if row.line == 0)
    assert "1 files in AllDICOMs and AllXML are of other kinds; not used" in dataset.ledger.notes


def without_image(root: Path) -> None:
    next((root / "AllDICOMs").glob("20586908*")).unlink()


def image_twice(root: Path) -> None:
    image(root, "20586908", patient="B")


def outlines_twice(root: Path) -> None:
    shutil.copy(root / "AllXML" / "20586908.xml", root / "AllXML" / "20586908.XML")


def without_outlines(root: Path) -> None:
    (root / "AllXML" / "20586908.xml").unlink()


def damaged_outlines(root: Path) -> None:
    (root / "AllXML" / "20586908.xml").write_bytes(b"<?xml")


def only_a_mark(root: Path) -> None:
    outlines(root, "20586908", ("Mass", SQUARE[:1]))


def outside(root: Path) -> None:
    outlines(root, "20586908", ("Mass", [(row + 500, column) for row, column in SQUARE]))


def folder_for_image(root: Path) -> None:
    path = next((root / "AllDICOMs").glob("20586908*"))
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_image, "no file bears this number in AllDICOMs, expected one"),
        (image_twice, "2 files bear this number in AllDICOMs, expected one"),
        (outlines_twice, "2 files bear this number in AllXML, expected one"),
        (without_outlines, "AllXML holds no outlines, yet Bi-Rads is 4a"),
        (damaged_outlines, "AllXML/20586908.xml: no sound property list in XML"),
        (only_a_mark, "is a mark of 1 points"),
        (outside, "4 of its 4 points outside the 40 x 32 image"),
        (folder_for_image, "can't be opened"),
    ],
)
def test_what_cant_be_used_is_refused_with_its_reason(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(release(tmp_path))

    dataset = read_inbreast(tmp_path)

    assert by_case(dataset)["20586908"].status == "refused"
    assert said in reason(dataset)
    assert str(tmp_path) not in reason(dataset)
    assert [sample.case for sample in dataset.samples] == ["20586934"]


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ([("Mass", SQUARE), ("Mass", SQUARE[:1])], "region 2 of 2 is a mark of 1 points"),
        ([("Mass", [(row, column + 15) for row, column in SQUARE])], "has 2 of its 4 points outside the 40 x 32 image"),
    ],
)
def test_what_is_odd_about_outlines_is_a_repair(tmp_path: Path, regions: list[tuple[str, Points]], said: str) -> None:
    outlines(release(tmp_path), "20586908", *regions)

    dataset = read_inbreast(tmp_path)

    row = by_case(dataset)["20586908"]
    assert (row.status, row.n_masses) == ("repaired", 1)
    assert said in reason(dataset)
    assert len(dataset.samples) == 2


def test_header_name_and_table_that_contradict_each_other_are_said_and_the_header_holds(tmp_path: Path) -> None:
    root = release(tmp_path)
    table(root, line("20586908", laterality="L", view="MLO"))

    dataset = read_inbreast(root)

    assert (dataset.samples[0].laterality, dataset.samples[0].view) == ("R", "CC")
    assert "laterality is R in the header, R in the file name, L in the table; the first is used" in reason(dataset)
    assert "view is CC in the header, CC in the file name, MLO in the table; the first is used" in reason(dataset)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"laterality": "B"}, "the table's laterality is neither L nor R; not used"),
        ({"view": "FB"}, "the table's view is neither CC nor MLO; not used"),
        ({"acr": ""}, "ACR is blank; left blank"),
        ({"birads": "9"}, "Bi-Rads is none of its categories; left blank"),
    ],
)
def test_a_cell_that_means_nothing_is_said_and_left_out(tmp_path: Path, cells: Mapping[str, str], said: str) -> None:
    table(release(tmp_path), line("20586908", **cells))

    dataset = read_inbreast(tmp_path)

    assert said in reason(dataset)
    assert (dataset.samples[0].laterality, dataset.samples[0].view) == ("R", "CC")


def sheet(monkeypatch: pytest.MonkeyPatch, root: Path, answer: pd.DataFrame | Exception) -> None:
    """`INbreast.xls` as pandas would hand it over: no tool here writes the old format of Excel."""
    (root / "INbreast.xls").write_bytes(b"old Excel")

    def read_excel(*_: object, **__: object) -> pd.DataFrame:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(pd, "read_excel", read_excel)


def test_a_sheet_that_marks_other_images_is_said_and_the_outlines_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = pd.DataFrame({"File Name": ["20586908", "20586934", "20587000"], "Mass ": ["", "X", "X"]})
    sheet(monkeypatch, release(tmp_path), marks)

    dataset = read_inbreast(tmp_path)

    assert reason(dataset) == "INbreast.xls marks no mass, the outlines show 1; the outlines are used"
    assert reason(dataset, "20586934") == "1 of 3 outlines are of other findings; not used"
    assert "INbreast.xls marks a mass, the outlines show 0" in reason(dataset, "20587000")
    assert dataset.ledger.notes == ()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ImportError("xlrd"), "no reader for it; install xlrd"),
        (ValueError("damaged"), "INbreast.xls can't be read and is not compared"),
        (pd.DataFrame({"File Name": ["1"]}), "without the columns File Name and Mass"),
    ],
)
def test_a_sheet_that_cant_be_read_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: pd.DataFrame | Exception, said: str
) -> None:
    sheet(monkeypatch, release(tmp_path), answer)

    dataset = read_inbreast(tmp_path)

    assert said in dataset.ledger.notes[0]
    assert len(dataset.samples) == 2


def test_a_missing_sheet_is_a_note(tmp_path: Path) -> None:
    assert "INbreast.xls is not there" in read_inbreast(release(tmp_path)).ledger.notes[0]


def test_progress_counts_the_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    read_inbreast(release(tmp_path), on_progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_its_pixels_can_be_inspected(tmp_path: Path) -> None:
    inspection = inspect_pixels(read_inbreast(release(tmp_path)))

    assert [facts.area_px for facts in inspection.images] == [10 * 12, 2 * 10 * 12]


BROKEN_LINES = st.lists(
    st.one_of(
        st.text(st.characters(blacklist_characters='\r\n"\0', blacklist_categories=["Cs"]), max_size=40),
        st.builds(
            lambda *cells: ";".join(cells),
            *[st.sampled_from(["removed", "R", "L", "CC", "MLO", "", "2", "4a", "20586908", "20586934", "x"])] * 8,
        ),
        st.sampled_from([line("20586908"), line("20586934", birads="1"), line("99")]),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(tmp_path_factory.mktemp("inbreast"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=BROKEN_LINES, only_with_mass=st.booleans())
def test_no_row_of_a_broken_table_is_lost(tree: Path, lines: list[str], only_with_mass: bool) -> None:
    table(tree, *lines)

    try:
        dataset = read_inbreast(tree, only_with_mass=only_with_mass)
    except DatasetError:
        # A header alone.
        assert not any(lines)
        return

    with_row = [row for row in dataset.ledger.rows if row.line]
    names = {row.case for row in dataset.ledger.rows}
    assert len(with_row) == sum(bool(text) for text in lines)
    assert {"20586908", "20586934", "20587000"} <= names
    assert all(row.reason for row in dataset.ledger.rows if row.status != "read")
    assert len(dataset.samples) == sum(row.status in {"read", "repaired"} for row in dataset.ledger.rows)


DAMAGES: dict[str, Callable[[Path, Any], object]] = {
    "cut": lambda path, share: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)]),
    "overwrite": lambda path, share: path.write_bytes(
        (content := path.read_bytes())[: int(share * len(content))]
        + b"\xff<&;\0"
        + content[int(share * len(content)) :]
    ),
    "remove": lambda path, _: path.unlink(),
    "rename": lambda path, share: path.rename(path.with_name(f"{share}{path.suffix}")),
}


@settings(max_examples=60, deadline=None)
@given(
    damages=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(sorted(DAMAGES)), st.floats(0, 1)), min_size=1, max_size=3
    )
)
def test_a_broken_tree_gives_a_ledger_row_for_each_row_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, damages: list[tuple[int, str, float]]
) -> None:
    root = release(tmp_path_factory.mktemp("inbreast"))
    whole = (root / "INbreast.csv").read_bytes()
    for number, how, share in damages:
        files = sorted(path for path in root.rglob("*") if path.is_file())
        DAMAGES[how](files[number % len(files)], share)

    try:
        dataset = read_inbreast(root, only_with_mass=False)
    except DatasetError:
        return

    if (root / "INbreast.csv").read_bytes() == whole:
        assert sum(row.line > 0 for row in dataset.ledger.rows) == 3
    assert len(dataset.samples) == sum(row.status in {"read", "repaired"} for row in dataset.ledger.rows)
    for patient in HASHES.values():
        assert patient not in repr(dataset.ledger)
    shutil.rmtree(root)

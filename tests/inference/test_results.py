"""Records, results.csv and results.json."""

import csv
import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from aunet.inference.inputs import PassedOver
from aunet.inference.masses import Mass
from aunet.inference.results import FORMAT, Key, Result, read_records, to_csv, to_json, write_record, write_results
from aunet.inference.segmenter import WeightsFile

KEY = Key("ab" * 32, "cd" * 32, "0.1.0", matches_intensity=False, viewer_geometry=False, allow_for_processing=False)
MASS = Mass(12, 0.12, 4.5, 0.45, (1, 2, 5, 6), 0.75, 0.75)
FOUND = Result(
    input="films/one.dcm",
    place_sha256="12" * 32,
    name="one",
    key=KEY,
    status="segmented",
    notes=("First.", "Second."),
    laterality="L",
    view="CC",
    rows=100,
    columns=80,
    spacing_mm=(0.1, 0.1),
    spacing_source="PixelSpacing",
    masses=(MASS, replace(MASS, area_px=1234567, box=(7, 8, 9, 10))),
    mask="masks/one.png",
    overlay="overlays/one.png",
    seg="seg/one.dcm",
)
WEIGHTS = WeightsFile("best.onnx", "cd" * 32)
FAILED = Result("films/two.dcm", "34" * 32, "sub/two", KEY, "failed", error="films/two.dcm: cut off")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write_record(tmp_path, FOUND)
    write_record(tmp_path, FAILED)

    assert read_records(tmp_path) == {"one": FOUND, "sub/two": FAILED}


WHOLE = {**json.loads(json.dumps(asdict(FOUND))), "format": FORMAT}
_WRONG: tuple[dict[str, object], ...] = ({"masses": 3}, {"masses": [{}]}, {"key": {}}, {"more": 1})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"format": 99}', json.dumps({"format": FORMAT, "input": 3})),
        *(json.dumps(WHOLE | entry) for entry in _WRONG),
    ],
)
def test_a_damaged_record_counts_as_missing(tmp_path: Path, text: str) -> None:
    write_record(tmp_path, FOUND)
    (tmp_path / "records" / "one.json").write_text(text)

    assert read_records(tmp_path) == {}


def test_a_folder_that_is_not_there_has_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none") == {}


def test_the_table_has_one_row_an_input_with_its_masses_joined() -> None:
    found, failed = rows_of(to_csv([FOUND, FAILED]))

    assert found["n_masses"] == "2"
    assert found["area_px"] == "12;1234567"
    assert found["area_mm2"] == "0.12;0.12"
    assert found["diameter_mm"] == "0.45;0.45"
    assert found["box"] == "1 2 5 6;7 8 9 10"
    assert found["mean_probability"] == "0.75;0.75"
    assert found["notes"] == "First. Second."
    assert (failed["status"], failed["error"], failed["n_masses"]) == ("failed", "films/two.dcm: cut off", "")


def test_no_mass_is_a_zero_and_nothing_in_millimetres_is_empty() -> None:
    without = replace(FOUND, masses=())
    no_spacing = replace(FOUND, spacing_mm=None, masses=(replace(MASS, area_mm2=None, diameter_mm=None),))

    first, second = rows_of(to_csv([without, no_spacing]))

    assert first["n_masses"] == "0"
    assert first["area_px"] == ""
    assert (second["area_px"], second["area_mm2"], second["diameter_mm"], second["row_spacing_mm"]) == (
        "12",
        "",
        "",
        "",
    )


def test_the_document_lists_results_and_what_was_passed_over(tmp_path: Path) -> None:
    passed_over = [PassedOver(Path("films/notes.txt"), "no image")]
    write_results(tmp_path, [FOUND, FAILED], passed_over, weights=[WEIGHTS])

    document = json.loads((tmp_path / "results.json").read_text())

    assert [entry["input"] for entry in document["results"]] == ["films/one.dcm", "films/two.dcm"]
    assert document["results"][0]["masses"][0]["box"] == [1, 2, 5, 6]
    assert document["passed_over"] == [{"path": "films/notes.txt", "reason": "no image"}]
    assert document == json.loads(to_json([FOUND, FAILED], passed_over, weights=[WEIGHTS]))
    assert len(rows_of((tmp_path / "results.csv").read_text())) == 2


def test_the_document_says_what_it_is_for_and_which_weights_were_used() -> None:
    document = json.loads(to_json([FOUND], [], weights=[WEIGHTS, replace(WEIGHTS, name="other.onnx")]))

    assert document["use"] == "For research use only, not a medical device."
    assert document["weights"] == [
        {"name": "best.onnx", "sha256": "cd" * 32},
        {"name": "other.onnx", "sha256": "cd" * 32},
    ]


def test_a_result_is_complete_with_all_its_files(tmp_path: Path) -> None:
    for file in FOUND.files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    whole = FOUND.is_complete_in(tmp_path)
    (tmp_path / FOUND.seg).unlink()

    assert whole
    assert not FOUND.is_complete_in(tmp_path)
    assert not FAILED.is_complete_in(tmp_path)

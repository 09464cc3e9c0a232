import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from aunet.cli import inspect
from aunet.errors import CheckpointError
from aunet.models.card import ModelCard, NetworkSettings
from aunet.preprocessing.pipeline import Preprocessing

verb = typer.Typer()
verb.command()(inspect.run)
runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sound images of two patients."""
    rng = np.random.default_rng(0)
    rows = []
    for name, patient_id, split in (("a", "Jane Doe", "train"), ("b", "Jane Doe", "train"), ("c", "C", "test")):
        mask = np.zeros((20, 16), np.uint8)
        mask[4:8, 4:6] = 255
        Image.fromarray(rng.integers(100, 4096, (20, 16)).astype(np.uint16)).save(tmp_path / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.png")
        rows.append({"image": f"{name}.png", "mask": f"{name}_mask.png", "patient_id": patient_id, "split": split})
    with (tmp_path / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def spoil(folder: Path, before: str, after: str) -> None:
    table = folder / "cases.csv"
    table.write_text(table.read_text("utf-8").replace(before, after), "utf-8")


def test_a_sound_folder_is_summed_up_with_status_0(folder: Path) -> None:
    result = runner.invoke(verb, [f"folder:{folder}"])

    assert result.exit_code == 0
    assert "3 rows, 3 read, 0 repaired, 0 left out, 0 refused; 3 images of 2 patients can be used" in result.stdout
    assert "2 images, 1 patients" in result.stdout
    assert "20 x 16: 3" in result.stdout


def test_a_refused_row_is_named_with_its_reason_and_status_1(folder: Path) -> None:
    spoil(folder, "c.png", "missing.png")

    result = runner.invoke(verb, [f"folder:{folder}"])

    assert result.exit_code == 1
    assert "refused   line 4  missing: the image missing.png is missing" in result.stdout


def test_json_is_one_document_on_the_standard_output(folder: Path) -> None:
    spoil(folder, "Doe,train", "Doe,Train")

    result = runner.invoke(verb, [f"folder:{folder}", "--json"])

    document = json.loads(result.stdout)
    assert document["counts"] == {"read": 1, "repaired": 2, "left_out": 0, "refused": 0}
    assert document["splits"]["train"] == {"images": 2, "patients": 1, "without_mass": 0}
    assert document["areas"]["px"] == [8.0] * 7
    assert [row["line"] for row in document["rows"]] == [2, 3]


def test_quick_reads_no_pixels(folder: Path) -> None:
    path = folder / "a.png"
    path.write_bytes(path.read_bytes()[:-40])

    quick = runner.invoke(verb, [f"folder:{folder}", "--quick", "--json"])
    whole = runner.invoke(verb, [f"folder:{folder}", "--json"])

    assert (quick.exit_code, whole.exit_code) == (0, 1)
    assert json.loads(quick.stdout)["pixels_read"] is False
    assert json.loads(whole.stdout)["rows"][0]["case"] == "a"


def test_out_receives_the_ledger_with_every_row(folder: Path, tmp_path: Path) -> None:
    runner.invoke(verb, [f"folder:{folder}", "--out", str(tmp_path / "report")])

    document = json.loads((tmp_path / "report" / "ledger.json").read_text("utf-8"))
    assert [row["case"] for row in document["rows"]] == ["a", "b", "c"]


def test_a_patient_on_both_sides_is_reported_and_never_named(folder: Path, tmp_path: Path) -> None:
    spoil(folder, "b_mask.png,Jane Doe,train", "b_mask.png,Jane Doe,test")

    result = runner.invoke(verb, [f"folder:{folder}", "--out", str(tmp_path / "report")])

    written = "".join(path.read_text("utf-8") for path in (tmp_path / "report").iterdir())
    assert result.exit_code == 1
    assert result.stdout.count("more than one side of the split") == 2
    assert "Jane" not in result.output + written
    assert "The split can't be used: 2 of these images are of patients on more than one side." in result.stdout


def test_a_result_folder_that_is_a_file_is_refused_before_anything_is_read(folder: Path) -> None:
    result = runner.invoke(verb, [f"folder:{folder}", "--out", str(folder / "a.png")])

    assert result.exit_code == 2
    assert result.stdout == ""


def test_strict_makes_a_repair_end_with_status_1(folder: Path) -> None:
    spoil(folder, "Doe,train", "Doe,Train")

    assert runner.invoke(verb, [f"folder:{folder}"]).exit_code == 0
    assert runner.invoke(verb, [f"folder:{folder}", "--strict"]).exit_code == 1


def test_folds_are_written_and_can_be_given_back(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    written = runner.invoke(verb, [f"folder:{folder}", "--out", str(out), "--folds", "2"])
    fold = runner.invoke(verb, [f"folder:{folder}", "--splits", str(out / "fold-1.json"), "--json"])
    other = runner.invoke(verb, [f"folder:{folder}", "--splits", str(out / "fold-2.json"), "--json"])

    assert (written.exit_code, fold.exit_code) == (0, 0)
    assert sorted(path.name for path in out.glob("fold-*")) == ["fold-1.json", "fold-2.json"]
    tested = [json.loads(result.stdout)["splits"]["test"]["images"] for result in (fold, other)]
    assert sorted(tested) == [1, 2]


def test_folds_need_a_place_to_go(folder: Path) -> None:
    result = runner.invoke(verb, [f"folder:{folder}", "--folds", "2"])

    assert result.exit_code == 2
    assert "give --out" in result.stderr


def test_the_ledger_file_has_size_depth_and_hash_of_each_image(folder: Path, tmp_path: Path) -> None:
    runner.invoke(verb, [f"folder:{folder}", "--out", str(tmp_path / "out")])

    with (tmp_path / "out" / "ledger.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["rows"], row["columns"], row["bits_stored"]) for row in rows] == [
        (f"{name}.png", "20", "16", "16") for name in "abc"
    ]
    assert len({row["pixels_hash"] for row in rows}) == 3


@pytest.fixture
def bundle(
    folder: Path,
    plain_card: ModelCard,
    write_reduction: Callable[..., Path],
    record_of: Callable[[str, Preprocessing], str],
    tmp_path: Path,
) -> Path:
    """A bundle that was trained on the folder as it is."""
    settings = Preprocessing(rows=16, columns=16, channels=1)
    card = replace(
        plain_card,
        network=NetworkSettings(in_channels=1),
        preprocessing=settings.to_json(),
        training_images=record_of(f"folder:{folder}", settings),
    )
    return write_reduction(tmp_path / "trained.onnx", card, operator="ReduceMean")


def test_against_its_own_training_images_a_data_set_does_not_differ(folder: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    result = runner.invoke(verb, [f"folder:{folder}", "--against", str(bundle), "--out", str(out)])

    assert result.exit_code == 0, result.output
    assert "3 images of 2 patients, beside 3 images of 2 patients in training." in result.stdout
    assert "0.0% of the range apart on average" in result.stdout
    assert "Differs" not in result.stdout
    assert (out / "ledger.csv").is_file()
    document = json.loads((out / "drift.json").read_text("utf-8"))
    assert document["grey"]["mean_distance"] == pytest.approx(0, abs=1e-5)
    with Image.open(out / "drift.png") as picture:
        assert min(picture.size) > 400


def test_the_comparison_leaves_the_exit_status_to_the_ledger(folder: Path, bundle: Path) -> None:
    spoil(folder, "c.png", "missing.png")

    result = runner.invoke(verb, [f"folder:{folder}", "--against", str(bundle), "--json"])

    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["counts"]["refused"], document["drift"]["images"]) == (1, 2)
    assert len(document["drift"]["sentences"]) > 5


def test_a_comparison_needs_the_pixels(folder: Path, bundle: Path) -> None:
    result = runner.invoke(verb, [f"folder:{folder}", "--against", str(bundle), "--quick"])

    assert result.exit_code == 2
    assert "needs the pixels" in result.stderr


def test_weights_that_are_not_there_are_named_before_anything_is_read(folder: Path) -> None:
    result = runner.invoke(verb, [f"folder:{folder}", "--against", str(folder / "none.onnx")])

    assert isinstance(result.exception, CheckpointError)
    assert "no such file" in str(result.exception)


def test_a_comparison_with_a_bundle_needs_no_pytorch(folder: Path, bundle: Path) -> None:
    code = (
        "import sys; from aunet.cli.app import app; app(sys.argv[1:], standalone_mode=False); "
        "print(sorted({'torch', 'safetensors'} & sys.modules.keys()), file=sys.stderr)"
    )
    command = ["inspect", f"folder:{folder}", "--against", str(bundle), "--json"]

    result = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)

    assert json.loads(result.stdout)["drift"]["images"] == 3
    assert result.stderr.splitlines()[-1] == "[]"

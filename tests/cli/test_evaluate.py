import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from aunet.cli import evaluate
from aunet.datasets.split_file import FrozenSplits, write_splits
from aunet.errors import WriteError
from aunet.evaluation.rows import RowLog
from aunet.inference import shipped
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import load_checkpoint, save_checkpoint
from aunet.models.factory import build_network
from aunet.preprocessing.pipeline import Preprocessing

verb = typer.Typer()
verb.command()(evaluate.run)
runner = CliRunner()


@pytest.fixture(scope="module")
def checkpoints(plain_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two small networks that were never trained."""
    settings = NetworkSettings(name="unet", width=4, in_channels=1)
    preprocessing = Preprocessing(rows=32, columns=32, channels=1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    card = replace(plain_card, network=settings, preprocessing=preprocessing.to_json())
    for name in ("best", "other"):
        save_checkpoint(folder / f"{name}.safetensors", build_network(settings).eval(), card)
    return folder / "best.safetensors", folder / "other.safetensors"


@pytest.fixture(scope="module")
def checkpoint(checkpoints: tuple[Path, Path]) -> Path:
    """One of them."""
    return checkpoints[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of four patients, one of them without a mass."""
    rng = np.random.default_rng(0)
    rows = []
    for name in "abcd":
        image, mask = np.zeros((64, 48), dtype=np.uint16), np.zeros((64, 48), dtype=np.uint8)
        image[4:60, :30] = rng.integers(20_000, 60_000, (56, 30))
        mask[20:30, 5:15] = 0 if name == "d" else 255
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.png")
        cells = {"image": f"{name}.png", "mask": f"{name}_mask.png", "patient_id": f"Jane Doe {name}", "split": "test"}
        rows.append(cells)
    with (tmp_path / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def arguments(checkpoint: Path, folder: Path, *more: str) -> list[str]:
    return [str(checkpoint), "--data", f"folder:{folder}", "--out", str(folder / "out"), "--device", "cpu", *more]


def test_scores_are_shown_with_their_number_misses_and_interval(checkpoint: Path, folder: Path) -> None:
    result = runner.invoke(verb, arguments(checkpoint, folder))

    assert result.exit_code == 0, result.output
    assert "n 4 images of 4 patients; 3 with a mass" in result.stdout
    assert "missed" in result.stdout
    assert "95 % interval" in result.stdout
    assert "HAU (row-wise)" in result.stdout
    assert "32 x 32 pixels" in result.stdout
    assert {path.name for path in (folder / "out").iterdir()} >= {"per_image.csv", "summary.json", "report.html"}


def test_json_is_the_summary_and_nothing_else_on_the_standard_output(checkpoint: Path, folder: Path) -> None:
    result = runner.invoke(verb, arguments(checkpoint, folder, "--json"))

    summary = json.loads(result.stdout)
    assert summary == json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    assert summary["n"] == 4
    assert summary["weights"]["name"] == "best.safetensors"


def test_a_model_that_ships_is_scored_by_its_name(
    plain_card: ModelCard,
    write_reduction: Callable[..., Path],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Preprocessing(rows=32, columns=32, channels=1)
    (tmp_path / "shipped").mkdir()
    write_reduction(
        tmp_path / "shipped" / "bright-1.onnx",
        replace(plain_card, preprocessing=settings.to_json()),
        operator="ReduceMean",
    )
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")

    result = runner.invoke(verb, arguments(Path("bright-1"), folder, "--json"))

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["weights"]["name"] == "bright-1.onnx"


def test_an_unreadable_image_is_named_counts_as_missed_and_ends_with_status_1(checkpoint: Path, folder: Path) -> None:
    # A sound header and no pixels: the table's check passes, reading does not.
    content = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(content[: len(content) // 2])

    result = runner.invoke(verb, arguments(checkpoint, folder, "--json"))

    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["n"], summary["failed"]) == (4, 1)
    assert summary["missed"] >= 1
    assert summary["failures"][0]["case"] == "b"
    assert "b: " in result.stderr


def test_a_row_that_the_data_set_refuses_is_named_and_ends_with_status_1(checkpoint: Path, folder: Path) -> None:
    (folder / "c.png").unlink()

    result = runner.invoke(verb, arguments(checkpoint, folder, "--json"))

    assert result.exit_code == 1
    assert [row["case"] for row in json.loads(result.stdout)["refused"]] == ["c"]
    assert "refused" in result.stderr


def test_a_folder_that_is_a_file_is_named(checkpoint: Path, folder: Path) -> None:
    (folder / "out").write_text("a file", encoding="utf-8")

    result = runner.invoke(verb, arguments(checkpoint, folder))

    assert isinstance(result.exception, WriteError)
    assert str(folder / "out") in str(result.exception)


def test_a_full_disk_is_named(checkpoint: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowLog, "append", Mock(side_effect=OSError(28, "No space left on device")))

    result = runner.invoke(verb, arguments(checkpoint, folder))

    assert isinstance(result.exception, WriteError)
    assert "No space left on device" in str(result.exception)


def test_the_output_names_no_patient(checkpoint: Path, folder: Path) -> None:
    result = runner.invoke(verb, arguments(checkpoint, folder))

    assert "Jane" not in result.output
    assert not any(b"Jane" in path.read_bytes() for path in (folder / "out").iterdir())


def test_a_file_of_splits_says_which_images_are_scored(checkpoint: Path, folder: Path) -> None:
    write_splits(folder / "splits.json", FrozenSplits({"train": ("a", "d"), "test": ("b", "c")}))

    result = runner.invoke(verb, arguments(checkpoint, folder, "--splits", str(folder / "splits.json")))

    assert result.exit_code == 0, result.output
    assert "n 2 images of 2 patients; 2 with a mass" in result.stdout


def test_matched_grey_values_are_scored_anew_and_said_in_every_result(
    checkpoint: Path, folder: Path, record_of: Callable[[str, Preprocessing], str]
) -> None:
    network, card = load_checkpoint(checkpoint)
    settings = Preprocessing.from_json(card.preprocessing)
    recorded = folder / "recorded.safetensors"
    save_checkpoint(recorded, network, replace(card, training_images=record_of(f"folder:{folder}", settings)))

    plain = runner.invoke(verb, arguments(recorded, folder, "--json"))
    matched = runner.invoke(verb, arguments(recorded, folder, "--match-intensity"))

    summary = json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    assert (plain.exit_code, matched.exit_code) == (0, 0), matched.output
    assert (json.loads(plain.stdout)["matched_intensity"], summary["matched_intensity"]) == (False, True)
    assert "grey values matched to the training images" in matched.stdout
    assert "matched to those of the training images" in (folder / "out" / "report.html").read_text("utf-8")


def test_matching_needs_a_record_of_the_training_images(checkpoint: Path, folder: Path) -> None:
    result = runner.invoke(verb, arguments(checkpoint, folder, "--match-intensity"))

    assert "no record of their training images" in str(result.exception)


def test_an_ensemble_is_written_down_file_by_file(checkpoints: tuple[Path, Path], folder: Path) -> None:
    first, second = checkpoints

    result = runner.invoke(
        verb, [str(second), *arguments(first, folder, "--json", "--flips", "vertical", "--scales", "0.9,1.1")]
    )

    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["weights"]["files"] == [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in (second, first)
    ]
    assert summary["weights"]["name"] == "other.safetensors + best.safetensors"
    assert (summary["flips"], summary["scales"]) == ("vertical", [0.9, 1.1])
    assert "other.safetensors + best.safetensors" in (folder / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("varied", [("--flips", "both"), ("--scales", "0.8")])
def test_scores_without_variations_are_not_taken_up_for_those_with_them(
    checkpoint: Path, folder: Path, varied: tuple[str, str]
) -> None:
    assert runner.invoke(verb, arguments(checkpoint, folder)).exit_code == 0
    plain = (folder / "out" / "per_image.csv").read_text("utf-8")

    assert runner.invoke(verb, arguments(checkpoint, folder, *varied)).exit_code == 0

    assert (folder / "out" / "per_image.csv").read_text("utf-8") != plain

"""`aunet train` as a user calls it, killed runs included."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from aunet.cli import train
from aunet.phantom.layouts import write_folder

RECIPE = """
[network]
width = 2
reduction = 2
in_channels = 1
[preprocessing]
rows = 64
columns = 64
channels = 1
[training]
epochs = 4
batch_size = 2
schedule = "cosine"
learning_rates = [1e-2, 1e-3]
validation_fraction = 0.3
ema_decay = 0.9
deep_supervision = 0.3
[augmentation]
flip_probability = 0.5
rotation_degrees = 10.0
noise = 0.05
[hardware]
accelerator = "cpu"
threads = 1
"""
TIMEOUT_S = 240

verb = typer.Typer()
verb.command()(train.run)
runner = CliRunner()


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_folder(folder, patients=6, seed=5, rows=256)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def arguments(recipe: Path, phantoms: Path, out: Path, *more: str) -> list[str]:
    return [str(recipe), "--data", f"folder:{phantoms}", "--out", str(out), "--cache", str(out.parent / "cache"), *more]


def entries_of(cache: Path) -> dict[Path, int]:
    """When each prepared array was written; hashes of source files are noted down later, once those have settled."""
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file() and path.suffix != ".hash"}


def start(recipe: Path, phantoms: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    program = [str(Path(sys.executable).with_name("aunet")), "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*program, *arguments(recipe, phantoms, out, *more)], stderr=subprocess.PIPE, env=environment
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said.decode()
    return said.decode()


def kill_when(process: subprocess.Popen[bytes], file: Path) -> None:
    """Kill the process, with no chance to tidy up, as soon as `file` is there."""
    until = time.monotonic() + TIMEOUT_S
    while not file.exists():
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < until, f"no {file.name} after {TIMEOUT_S} s"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_run_killed_after_an_epoch_ends_with_the_weights_of_an_uninterrupted_one(
    recipe: Path, phantoms: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(start(recipe, phantoms, whole))

    kill_when(start(recipe, phantoms, cut), cut / "resume.ckpt")
    rows_when_killed = (cut / "metrics.csv").read_text().splitlines()[1:]
    said = finish(start(recipe, phantoms, cut, "--resume"))

    assert 1 <= len(rows_when_killed) < 4
    assert f"going on after epoch {len(rows_when_killed)} of 4" in said
    for name in ("best.safetensors", "last.safetensors"):
        ours, theirs = load_file(cut / name), load_file(whole / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name


@pytest.mark.slow
def test_two_processes_train_one_network(recipe: Path, phantoms: Path, tmp_path: Path) -> None:
    said = finish(
        start(recipe, phantoms, tmp_path / "run", "--set", "hardware.devices=2", "--set", "hardware.strategy=ddp")
    )

    assert "GLOBAL_RANK: 1, MEMBER: 2/2" in said
    assert [row.split(",")[0] for row in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1:]] == list(
        "1234"
    )
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_the_result_is_one_json_document(recipe: Path, phantoms: Path, tmp_path: Path) -> None:
    result = runner.invoke(verb, arguments(recipe, phantoms, tmp_path / "run", "--json", "--set", "training.epochs=1"))

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["epochs"], told["best"]) == (1, str(tmp_path / "run" / "best.safetensors"))
    assert told["train_images"] + told["validation_images"] > 0


def test_a_prepared_cache_is_all_that_a_run_reads(recipe: Path, tmp_path: Path) -> None:
    phantoms = tmp_path / "phantoms"
    write_folder(phantoms, patients=5, seed=5, rows=64)
    result = runner.invoke(verb, arguments(recipe, phantoms, tmp_path / "run", "--prepare-only"))
    before = entries_of(tmp_path / "cache")

    trained = runner.invoke(verb, arguments(recipe, phantoms, tmp_path / "run", "--set", "training.epochs=1"))

    count = len((phantoms / "cases.csv").read_text().splitlines()) - 1
    assert result.exit_code == trained.exit_code == 0, result.stderr + trained.stderr
    assert f"{count} read" in result.stdout
    assert entries_of(tmp_path / "cache") == before
    assert before


def test_an_image_that_was_left_out_gives_status_1(recipe: Path, phantoms: Path, tmp_path: Path) -> None:
    table = (phantoms / "cases.csv").read_text().splitlines()
    table[1] = table[1].replace(table[1].split(",")[0], "images/absent.dcm", 1)
    data = tmp_path / "data"
    data.mkdir()
    for name in ("images", "masks"):
        (data / name).symlink_to(phantoms / name)
    (data / "cases.csv").write_text("\n".join(table) + "\n")

    result = runner.invoke(verb, arguments(recipe, data, tmp_path / "run", "--set", "training.epochs=1"))

    assert result.exit_code == 1
    assert "1 images were left out" in result.stderr
    assert "absent" in (tmp_path / "run" / "ledger.csv").read_text()
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_wrong_usage_is_one_message_and_status_2(recipe: Path, phantoms: Path, tmp_path: Path) -> None:
    process = start(recipe, phantoms, tmp_path / "run", "--set", "training.epoch=1")

    _, said = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 2
    assert "did you mean 'epochs'?" in said.decode()
    assert "Traceback" not in said.decode()
    assert not (tmp_path / "run").exists()


def test_the_splits_of_a_run_are_written_and_hold_for_the_next_one(
    recipe: Path, phantoms: Path, tmp_path: Path
) -> None:
    recipe.write_text(RECIPE.replace("epochs = 4", "epochs = 1"))
    first, other = tmp_path / "first", tmp_path / "other"

    assert runner.invoke(verb, arguments(recipe, phantoms, first)).exit_code == 0
    splits = str(first / "splits.json")
    result = runner.invoke(verb, arguments(recipe, phantoms, other, "--splits", splits, "--set", "training.seed=7"))

    assert result.exit_code == 0
    written = [json.loads((run / "splits.json").read_text("utf-8")) for run in (first, other)]
    assert written[0]["sides"].keys() == {"train", "validation", "test"}
    assert written[0] == written[1]

"""`aunet calibrate` on phantoms, from the data set to a checkpoint that is used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from aunet.cli.app import app
from aunet.datasets.opening import open_dataset
from aunet.datasets.split_file import FrozenSplits, write_splits
from aunet.inference.segmenter import Segmenter
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import read_card, save_checkpoint
from aunet.models.factory import build_network
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Split

runner = CliRunner()


@pytest.fixture(scope="module")
def checkpoint(plain_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that was never trained."""
    settings = NetworkSettings(name="unet", width=2, in_channels=1)
    card = replace(plain_card, network=settings, preprocessing=Preprocessing(rows=32, columns=32, channels=1).to_json())
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    save_checkpoint(path, build_network(settings, generator=torch.Generator().manual_seed(0)), card)
    return path


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients, the first two of them for validation by splits.json."""
    folder = tmp_path_factory.mktemp("phantoms")
    runner.invoke(app, ["phantom", str(folder / "set"), "--patients", "3", "--rows", "64"])
    samples = open_dataset(f"folder:{folder / 'set'}").samples
    patients = sorted({sample.patient_id for sample in samples})
    sides: dict[Split, tuple[str, ...]] = {
        "validation": tuple(one.case for one in samples if one.patient_id in patients[:2]),
        "test": tuple(one.case for one in samples if one.patient_id == patients[2]),
    }
    write_splits(folder / "splits.json", FrozenSplits(sides))
    return folder


def arguments(checkpoint: Path, phantoms: Path, out: Path, *more: str) -> list[str]:
    where = ["--data", f"folder:{phantoms / 'set'}", "--splits", str(phantoms / "splits.json"), "--out", str(out)]
    return ["calibrate", str(checkpoint), *where, "--device", "cpu", *more]


def test_the_copy_has_the_same_weights_and_a_card_that_says_what_was_chosen(
    checkpoint: Path, phantoms: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "calibrated.safetensors"

    result = runner.invoke(
        app, arguments(checkpoint, phantoms, out, "--flips", "vertical", "--scales", "0.9", "--json")
    )

    document = json.loads(result.stdout)
    card, before, after = read_card(out), load_file(checkpoint), load_file(out)
    chosen, record = document["after"]["choice"], json.loads(card.calibration)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (document["split"], document["n_left_out"]) == ("validation", 0)
    assert (document["flips"], document["scales"]) == (card.flips, list(card.scales)) == ("vertical", [0.9])
    assert document["n_images"] == len(json.loads((phantoms / "splits.json").read_text())["sides"]["validation"])
    assert (card.temperature, card.threshold) == (chosen["temperature"], chosen["threshold"])
    assert record == {key: value for key, value in document.items() if key != "checkpoint"}
    assert record["after"]["negative_log_likelihood"] <= record["before"]["negative_log_likelihood"]
    assert Segmenter.load(out, device="cpu").threshold == chosen["threshold"]


def test_a_second_calibration_finds_the_same_temperature(checkpoint: Path, phantoms: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.safetensors", tmp_path / "twice.safetensors"

    runner.invoke(app, arguments(checkpoint, phantoms, once))
    result = runner.invoke(app, arguments(once, phantoms, twice))

    assert result.exit_code == 0, result.output
    assert "Masses found at 1 false positive an image" in result.stdout
    assert read_card(twice).temperature == pytest.approx(read_card(once).temperature, rel=0.01)


def test_the_test_images_are_refused(checkpoint: Path, phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibrated.safetensors"

    result = runner.invoke(app, arguments(checkpoint, phantoms, out, "--split", "test"))

    assert "operating point are chosen on validation" in str(result.exception)
    assert not out.exists()


def test_several_checkpoints_become_one_that_averages_them(checkpoint: Path, phantoms: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "both.safetensors"
    card = read_card(checkpoint)
    save_checkpoint(other, build_network(card.network, generator=torch.Generator().manual_seed(5)), card)

    result = runner.invoke(app, [*arguments(checkpoint, phantoms, out), str(other)])

    assert result.exit_code == 0, result.output
    first, second, both = (Segmenter.load(path, device="cpu") for path in (checkpoint, other, out))
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(6)).numpy()
    mean = (first.probability(images) + second.probability(images)) / 2
    tempered = 1 / (1 + ((1 - mean) / mean) ** (1 / both.card.temperature))
    assert both.probability(images) == pytest.approx(tempered, abs=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["other.safetensors", "both.safetensors"]


def test_the_same_checkpoint_twice_is_refused(checkpoint: Path, phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.safetensors"

    result = runner.invoke(app, [*arguments(checkpoint, phantoms, out), str(checkpoint)])

    assert "the same weights are given 2 times" in str(result.exception)
    assert not out.exists()


def test_checkpoints_that_see_other_images_are_refused(checkpoint: Path, phantoms: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "both.safetensors"
    card = read_card(checkpoint)
    settings = Preprocessing(rows=32, columns=64, channels=1)
    save_checkpoint(other, build_network(card.network), replace(card, preprocessing=settings.to_json()))

    result = runner.invoke(app, [*arguments(checkpoint, phantoms, out), str(other)])

    assert "columns 64 (there 32)" in str(result.exception)
    assert not out.exists()

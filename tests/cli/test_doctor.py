"""`aunet doctor` as a user calls it."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import typer

from aunet.cli.app import app
from aunet.errors import CheckpointError
from aunet.inference import diagnosis, shipped
from aunet.io.decoders import DecoderFacts
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import save_checkpoint
from aunet.models.factory import build_network
from aunet.models.parity import PARITY_KEY, Parity, agreement, on_lattice, parity_images
from aunet.preprocessing.pipeline import Preprocessing


def call(*arguments: object) -> int:
    """The exit status."""
    try:
        result = app(["doctor", *map(str, arguments)], standalone_mode=False)
    except typer.Exit as error:
        return error.exit_code
    return int(result or 0)


WriteBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def card(plain_card: ModelCard) -> ModelCard:
    return replace(
        plain_card,
        network=NetworkSettings(name="unet", width=1),
        preprocessing=Preprocessing(rows=24, columns=16).to_json(),
        recipe="[training]\nepochs = 7\n",
        threshold=0.25,
        data_source="phantoms of seed 5",
    )


@pytest.fixture
def write_bundle(card: ModelCard, write_reduction: WriteBundle) -> WriteBundle:
    """An ONNX file with the proof that it computes the mean over the channels, whatever it does compute."""
    mean = parity_images(card.input_shape).mean(axis=1)
    parity = Parity(
        agreement=agreement(mean, mean, threshold=card.threshold),
        lowest=float(mean.min()),
        highest=float(mean.max()),
        samples=on_lattice(mean),
        mass_pixels=tuple(int(count) for count in (mean >= card.threshold).sum(axis=(1, 2))),
        versions={},
    )
    return partial(write_reduction, card=card, **{PARITY_KEY: parity.to_json()})


def test_versions_decoders_devices_and_memory_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    status = call()

    said = capsys.readouterr().out
    assert status == 0
    for name in ("onnxruntime", "python-gdcm", "torch", "RLE Lossless", "JPEG 2000", "processor threads", "GiB free"):
        assert name in said


def test_json_holds_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    call("--json")

    document = json.loads(capsys.readouterr().out)
    assert document["libraries"]["numpy"]
    assert len(document["decoders"]) == 13
    assert all(decoder["is_available"] for decoder in document["decoders"])
    assert document["processors"] >= 1
    assert document["weights"] is None
    assert 0 < document["memory"]["free"] <= document["memory"]["total"]


def test_a_missing_decoder_is_a_problem_and_the_exit_status_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without = (DecoderFacts("JPEG Lossless", "1.2.840.10008.1.2.4.57", "gdcm", is_available=False),)
    monkeypatch.setattr(diagnosis, "list_decoders", lambda: without)

    status = call()

    said = capsys.readouterr().out
    assert status == 1
    assert "no JPEG Lossless: gdcm is missing" in said
    assert "MISSING" in said


def test_a_bundle_shows_its_card_and_its_proof_is_repeated(
    write_bundle: WriteBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "mean.onnx", operator="ReduceMean")

    status = call(bundle)

    said = capsys.readouterr().out
    assert status == 0
    assert "phantoms of seed 5" in said
    assert "epochs = 7" in said
    assert "holds on this machine" in said


def test_a_model_that_ships_is_checked_by_its_name(
    write_bundle: WriteBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "mean-1.onnx", operator="ReduceMean")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)

    status = call("mean-1", "--json")

    found = json.loads(capsys.readouterr().out)["weights"]
    assert (status, found["path"]) == (0, str(bundle))


def test_a_bundle_that_computes_something_else_fails(
    write_bundle: WriteBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "max.onnx", operator="ReduceMax")

    status = call(bundle)

    said = capsys.readouterr().out
    assert status == 1
    assert "FAILED" in said
    assert "computes something else" in said


def test_a_checkpoint_shows_its_card(card: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = build_network(card.network, generator=torch.Generator().manual_seed(1))
    save_checkpoint(tmp_path / "tiny.safetensors", network, card)

    call(tmp_path / "tiny.safetensors", "--json")

    found = json.loads(capsys.readouterr().out)["weights"]
    assert found["kind"] == "checkpoint"
    assert found["card"]["threshold"] == 0.25
    assert found["agreement"] is None


def test_a_file_that_is_no_weights_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"nothing")

    with pytest.raises(CheckpointError, match="neither a checkpoint"):
        call(tmp_path / "weights.bin")

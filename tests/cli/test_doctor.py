"""`aunet doctor` as a user calls it."""

import json
from pathlib import Path

import onnx
import pytest
import torch
import typer
from onnx import TensorProto, helper

from aunet.cli.app import app
from aunet.errors import CheckpointError
from aunet.inference import diagnosis
from aunet.io.decoders import DecoderFacts
from aunet.models.card import CARD_KEY, ModelCard, NetworkSettings
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


SETTINGS = Preprocessing(rows=24, columns=16)
CARD = ModelCard(
    network=NetworkSettings(name="unet", width=1),
    preprocessing=SETTINGS.to_json(),
    recipe="[training]\nepochs = 7\n",
    threshold=0.25,
    versions={"aunet": "0.1.0"},
    licence="Apache-2.0",
    data_source="phantoms of seed 5",
    trained="2026-01-01",
    notes="",
)


def write_bundle(path: Path, *, operator: str) -> Path:
    """An ONNX file with the proof that it computes the mean over the channels, whatever it does compute."""
    mean = parity_images((3, 24, 16)).mean(axis=1)
    parity = Parity(
        agreement=agreement(mean, mean, threshold=CARD.threshold),
        lowest=float(mean.min()),
        highest=float(mean.max()),
        samples=on_lattice(mean),
        mass_pixels=tuple(int(count) for count in (mean >= CARD.threshold).sum(axis=(1, 2))),
        versions={},
    )
    graph = helper.make_graph(
        [helper.make_node(operator, ["images", "axes"], ["probability"], keepdims=0)],
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 24, 16])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", 24, 16])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {CARD_KEY: CARD.to_json(), PARITY_KEY: parity.to_json()})
    onnx.save(model, path)
    return path


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


def test_a_bundle_shows_its_card_and_its_proof_is_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_bundle(tmp_path / "mean.onnx", operator="ReduceMean")

    status = call(bundle)

    said = capsys.readouterr().out
    assert status == 0
    assert "phantoms of seed 5" in said
    assert "epochs = 7" in said
    assert "holds on this machine" in said


def test_a_bundle_that_computes_something_else_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_bundle(tmp_path / "max.onnx", operator="ReduceMax")

    status = call(bundle)

    said = capsys.readouterr().out
    assert status == 1
    assert "FAILED" in said
    assert "computes something else" in said


def test_a_checkpoint_shows_its_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = build_network(CARD.network, generator=torch.Generator().manual_seed(1))
    save_checkpoint(tmp_path / "tiny.safetensors", network, CARD)

    call(tmp_path / "tiny.safetensors", "--json")

    found = json.loads(capsys.readouterr().out)["weights"]
    assert found["kind"] == "checkpoint"
    assert found["card"]["threshold"] == 0.25
    assert found["agreement"] is None


def test_a_file_that_is_no_weights_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"nothing")

    with pytest.raises(CheckpointError, match="neither a checkpoint"):
        call(tmp_path / "weights.bin")

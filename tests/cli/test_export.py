"""`aunet export` as a user calls it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aunet.cli.app import app
from aunet.errors import CheckpointError, WriteError
from aunet.inference.backends.onnxruntime import verify_bundle
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import save_checkpoint
from aunet.models.factory import build_network


@pytest.fixture
def checkpoint(plain_card: ModelCard, tmp_path: Path) -> Path:
    settings = NetworkSettings(name="unet", in_channels=1, width=1)
    network = build_network(settings, generator=torch.Generator().manual_seed(1))
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, network, replace(plain_card, network=settings, preprocessing='{"rows": 16, "columns": 16}'))
    return path


def test_the_bundle_is_written_into_a_folder_of_its_own(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundles" / "tiny.onnx"

    app(["export", str(checkpoint), str(out)], standalone_mode=False)

    assert "differ by" in capsys.readouterr().out
    assert verify_bundle(out).max_difference < 1e-4


def test_the_json_document_stands_alone(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = checkpoint.with_suffix(".onnx")

    app(["export", str(checkpoint), str(out), "--json"], standalone_mode=False)

    document = json.loads(capsys.readouterr().out)
    assert document["bundle"] == str(out)
    assert document["size_bytes"] == out.stat().st_size
    assert document["parity"]["max_difference"] < 1e-4


def test_an_unknown_format_is_refused_with_the_known_ones(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown format 'openvino'; known is onnx"):
        app(["export", str(checkpoint), str(tmp_path / "x.xml"), "--format", "openvino"], standalone_mode=False)


def test_a_place_that_can_t_be_written_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(WriteError, match="can't be written"):
        app(["export", str(checkpoint), str(tmp_path / "file" / "x.onnx")], standalone_mode=False)


def test_a_checkpoint_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04")

    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        app(["export", str(tmp_path / "weights.pt"), str(tmp_path / "x.onnx")], standalone_mode=False)

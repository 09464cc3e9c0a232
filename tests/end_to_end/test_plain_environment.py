"""What `pip install aunet` gives, without PyTorch, segments and evaluates with an exported bundle."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import save_checkpoint
from aunet.models.export import export_onnx
from aunet.models.factory import build_network
from aunet.phantom.layouts import write_folder
from aunet.preprocessing.pipeline import Preprocessing

PLAIN = os.environ.get("AUNET_PLAIN")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PLAIN is None, reason="AUNET_PLAIN names no environment without PyTorch; make test sets it"),
]


def plain(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the plain environment."""
    assert PLAIN is not None
    program, *arguments = map(str, command)
    return subprocess.run([Path(PLAIN) / "bin" / program, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bundle(plain_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    settings = NetworkSettings(name="aunet", in_channels=3, width=4, reduction=4)
    card = replace(plain_card, network=settings, preprocessing=Preprocessing(rows=64, columns=64).to_json())
    save_checkpoint(folder / "tiny.safetensors", build_network(settings), card)
    export_onnx(folder / "tiny.safetensors", folder / "tiny.onnx")
    return folder / "tiny.onnx"


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_folder(folder, patients=3, seed=1, rows=256)
    return folder


@pytest.mark.parametrize("module", ["torch", "lightning", "safetensors"])
def test_the_plain_environment_has_no(module: str) -> None:
    result = plain("python", "-c", f"import {module}")

    assert "ModuleNotFoundError" in result.stderr


def test_segment_writes_mask_overlay_and_results(bundle: Path, phantoms: Path, tmp_path: Path) -> None:
    image = sorted((phantoms / "images").rglob("*.dcm"))[0]

    result = plain("aunet", "segment", image, "--weights", bundle, "--out", tmp_path)

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "results.csv").is_file()
    assert (tmp_path / "results.json").is_file()


def test_segment_without_weights_takes_those_that_ship(phantoms: Path, tmp_path: Path) -> None:
    image = sorted((phantoms / "images").rglob("*.dcm"))[0]

    result = plain("aunet", "segment", image, "--out", tmp_path)

    assert result.returncode == 0, result.stderr
    assert "Weights: cbis-ddsm-lite0-3 (the default" in result.stdout
    (used,) = json.loads((tmp_path / "results.json").read_text())["weights"]
    assert used["name"] == "cbis-ddsm-lite0-3.onnx"


def test_evaluate_gives_the_numbers_that_pytorch_gives(bundle: Path, phantoms: Path, tmp_path: Path) -> None:
    from aunet.cli.app import app  # noqa: PLC0415  (the command under comparison, run in this environment)

    data = f"folder:{phantoms}"
    result = plain("aunet", "evaluate", bundle, "--data", data, "--split", "all", "--out", tmp_path / "plain")
    checkpoint = bundle.with_suffix(".safetensors")
    app(
        ["evaluate", str(checkpoint), "--data", data, "--split", "all", "--out", str(tmp_path / "torch")],
        standalone_mode=False,
    )

    assert result.returncode == 0, result.stderr
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("plain", "torch")]
    assert summaries[0]["n"] == summaries[1]["n"] > 0
    dice = [summary["metrics"]["dsc"]["mean"] for summary in summaries]
    assert dice[0] == pytest.approx(dice[1], abs=2e-3)
    assert np.isfinite(dice[0])


def test_a_checkpoint_is_refused_with_the_extra_that_it_needs(bundle: Path, phantoms: Path, tmp_path: Path) -> None:
    result = plain("aunet", "segment", phantoms, "--weights", bundle.with_suffix(".safetensors"), "--out", tmp_path)

    assert result.returncode == 2
    assert "aunet[train]" in result.stderr
    assert "Traceback" not in result.stderr

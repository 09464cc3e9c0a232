"""Bundles on ONNX Runtime: the numbers of PyTorch, without PyTorch, and no damage unnoticed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from aunet.errors import CheckpointError
from aunet.inference.backends.onnxruntime import OnnxBackend, verify_bundle
from aunet.inference.backends.torch import TorchBackend
from aunet.models.card import CARD_KEY, ModelCard
from aunet.models.checkpoint import save_checkpoint
from aunet.models.export import export_onnx
from aunet.models.factory import build_network
from aunet.models.parity import PARITY_KEY


@pytest.fixture(scope="module")
def written(plain_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and its bundle, tiny.safetensors and tiny.onnx."""
    folder = tmp_path_factory.mktemp("bundle")
    generator = torch.Generator().manual_seed(1)
    network = build_network(plain_card.network, generator=generator)
    network(torch.rand(2, 1, 32, 48, generator=generator))
    save_checkpoint(folder / "tiny.safetensors", network, plain_card)
    export_onnx(folder / "tiny.safetensors", folder / "tiny.onnx")
    return folder


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes((written / "tiny.onnx").read_bytes())
    return path


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).random((count, 1, 32, 48), dtype=np.float32)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_probabilities_are_those_of_pytorch(written: Path, count: int) -> None:
    probability = OnnxBackend(written / "tiny.onnx").probability(images(count))

    expected = TorchBackend(written / "tiny.safetensors", "cpu").probability(images(count))
    assert probability.shape == (count, 32, 48)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, expected, atol=1e-5)


def test_the_card_comes_with_the_bundle(plain_card: ModelCard, written: Path) -> None:
    assert OnnxBackend(written / "tiny.onnx", threads=1).card == plain_card


@pytest.mark.parametrize("shape", [(1, 3, 32, 48), (1, 1, 48, 32), (1, 1, 32, 64)])
def test_images_of_another_size_are_refused(written: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the network takes \(1, 32, 48\)"):
        OnnxBackend(written / "tiny.onnx").probability(np.zeros(shape, np.float32))


def test_a_bundle_proves_itself_without_pytorch(written: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = sys.modules['safetensors'] = None\n"
        "from pathlib import Path\n"
        "from aunet.inference.backends.onnxruntime import verify_bundle\n"
        "print(verify_bundle(Path(sys.argv[1]), threads=1).max_difference < 1e-5)"
    )

    result = subprocess.run(
        [sys.executable, "-c", code, written / "tiny.onnx"], capture_output=True, text=True, check=False
    )

    assert result.stdout == "True\n", result.stderr


def with_metadata(path: Path, key: str, value: str | None) -> None:
    """Change or take away one entry of a bundle's metadata."""
    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    entries |= {} if value is None else {key: value}
    if value is None:
        del entries[key]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, path)


def test_a_changed_weight_is_found_by_the_proof(bundle: Path) -> None:
    model = onnx.load(bundle)
    weight = next(value for value in model.graph.initializer if len(value.dims) == 4)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0] *= 1.05
    weight.raw_data = values.tobytes()
    onnx.save(model, bundle)

    with pytest.raises(CheckpointError, match="computes something else"):
        verify_bundle(bundle)


def test_a_proof_of_other_probabilities_is_found(bundle: Path) -> None:
    parity = OnnxBackend(bundle).parity
    with_metadata(bundle, PARITY_KEY, replace(parity, samples=parity.samples + np.float32(1e-3)).to_json())

    with pytest.raises(CheckpointError, match=r"largest difference 0\.001"):
        verify_bundle(bundle)


def test_a_proof_of_another_mask_is_found(bundle: Path) -> None:
    parity = OnnxBackend(bundle).parity
    counts = (parity.mass_pixels[0] + 5, *parity.mass_pixels[1:])
    with_metadata(bundle, PARITY_KEY, replace(parity, mass_pixels=counts).to_json())

    with pytest.raises(CheckpointError, match="5 mask pixels"):
        verify_bundle(bundle)


def test_a_proof_on_another_lattice_is_refused(bundle: Path) -> None:
    parity = OnnxBackend(bundle).parity
    with_metadata(bundle, PARITY_KEY, replace(parity, samples=parity.samples[:, :8]).to_json())

    with pytest.raises(CheckpointError, match=r"samples of \(4, 8, 16\)"):
        verify_bundle(bundle)


def test_a_bundle_without_a_proof_runs_but_is_not_verified(bundle: Path) -> None:
    with_metadata(bundle, PARITY_KEY, None)

    assert OnnxBackend(bundle).probability(images(1)).shape == (1, 32, 48)
    with pytest.raises(CheckpointError, match="no parity proof"):
        verify_bundle(bundle)


def test_an_onnx_file_of_others_is_refused(bundle: Path) -> None:
    with_metadata(bundle, CARD_KEY, None)

    with pytest.raises(CheckpointError, match=r"tiny\.onnx: holds no model card"):
        OnnxBackend(bundle)


@pytest.mark.parametrize("preprocessing", ['{"rows": 64, "columns": 48}', '{"rows": 32}'])
def test_a_card_unlike_its_graph_is_refused(plain_card: ModelCard, bundle: Path, preprocessing: str) -> None:
    with_metadata(bundle, CARD_KEY, replace(plain_card, preprocessing=preprocessing).to_json())

    with pytest.raises(CheckpointError, match=r"unlike its model card|rows and columns"):
        OnnxBackend(bundle)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89PNG\r\n", b"\xff" * 200, b"\x08\x08" + b"\x00" * 50])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"other\.onnx"):
        OnnxBackend(path)


@pytest.mark.parametrize("name", ["missing.onnx", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="no such bundle file"):
        OnnxBackend(tmp_path / name)


def test_a_bundle_cut_off_anywhere_is_refused(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bundle.read_bytes()

    for length in [1, 10, 100, 1000, *range(2000, len(content), len(content) // 15), len(content) - 1]:
        bundle.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            verify_bundle(bundle)

    assert not capfd.readouterr().err


def test_a_bundle_with_any_bit_turned_gives_the_same_numbers_or_is_refused(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bundle.read_bytes()
    rng = np.random.default_rng(5)

    for place in rng.integers(0, len(content), 50).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        bundle.write_bytes(damaged)
        try:
            seen = verify_bundle(bundle, threads=1)
        except CheckpointError:
            continue
        assert not seen.complaint()

    assert not capfd.readouterr().err

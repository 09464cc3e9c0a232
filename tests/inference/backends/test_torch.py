"""Checkpoints on PyTorch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aunet.errors import CheckpointError
from aunet.inference.backends.backend import Backend
from aunet.inference.backends.torch import Precision, TorchBackend
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import load_checkpoint, save_checkpoint
from aunet.models.factory import build_network


@pytest.fixture
def checkpoint(plain_card: ModelCard, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, build_network(plain_card.network, generator=torch.Generator().manual_seed(1)), plain_card)
    return path


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).random((count, 1, 32, 48), dtype=np.float32)


def test_probabilities_are_the_softmax_of_the_network_s_logits(checkpoint: Path) -> None:
    network, _ = load_checkpoint(checkpoint)
    with torch.inference_mode():
        logits = network(torch.from_numpy(images(3))).numpy().astype(np.float64)

    probability = TorchBackend(checkpoint, "cpu").probability(images(3))

    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, expected, atol=1e-5)


def test_a_network_of_another_library_runs_from_its_checkpoint(plain_card: ModelCard, tmp_path: Path) -> None:
    arguments = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [2, 4], "strides": [2]}
    settings = NetworkSettings(name="monai.networks.nets:UNet", in_channels=1, arguments=arguments)
    network = build_network(settings, generator=torch.Generator().manual_seed(1))
    save_checkpoint(tmp_path / "monai.safetensors", network, replace(plain_card, network=settings))

    probability = TorchBackend(tmp_path / "monai.safetensors", "cpu").probability(images(2))

    with torch.inference_mode():
        expected = torch.softmax(network.eval()(torch.from_numpy(images(2))), dim=1)[:, 1].numpy()
    np.testing.assert_allclose(probability, expected, atol=1e-5)


def test_an_empty_batch_gives_no_probabilities(checkpoint: Path) -> None:
    assert TorchBackend(checkpoint, "cpu").probability(images(0)).shape == (0, 32, 48)


def test_read_only_images_will_do(checkpoint: Path) -> None:
    frozen = images(1)
    frozen.setflags(write=False)

    assert TorchBackend(checkpoint, "cpu").probability(frozen).shape == (1, 32, 48)


def test_the_card_comes_with_the_checkpoint(plain_card: ModelCard, checkpoint: Path) -> None:
    backend: Backend = TorchBackend(checkpoint, "cpu")

    assert backend.card == plain_card


def test_images_of_another_size_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=r"the network takes \(1, 32, 48\)"):
        TorchBackend(checkpoint, "cpu").probability(np.zeros((1, 1, 64, 48), np.float32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="'cuda' is not on this machine"):
        TorchBackend(checkpoint, "cuda")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_for_gpus(checkpoint: Path, precision: Precision) -> None:
    with pytest.raises(ValueError, match="is for NVIDIA GPUs"):
        TorchBackend(checkpoint, "cpu", precision=precision)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.1), ("float16", 0.02)])
def test_a_gpu_gives_the_numbers_of_the_cpu(checkpoint: Path, precision: Precision, tolerance: float) -> None:
    probability = TorchBackend(checkpoint, "cuda", precision=precision).probability(images(2))

    np.testing.assert_allclose(probability, TorchBackend(checkpoint, "cpu").probability(images(2)), atol=tolerance)


def test_a_damaged_checkpoint_is_refused(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])

    with pytest.raises(CheckpointError):
        TorchBackend(checkpoint, "cpu")

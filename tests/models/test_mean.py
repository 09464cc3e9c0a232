"""Several networks as one: averaged as probabilities, kept in one file, exported as one bundle."""

import json
from dataclasses import asdict, replace
from math import log
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aunet.errors import CheckpointError
from aunet.inference.segmenter import Segmenter
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import load_checkpoint, save_checkpoint
from aunet.models.combining import combined
from aunet.models.export import export_onnx
from aunet.models.factory import blank_network, build_network
from aunet.models.mean import MeanNetwork, mean_settings
from aunet.training.recipe_sections import NetworkSection

TINY = NetworkSettings(name="unet", width=2, in_channels=1)
OTHER = NetworkSettings(name="res-basic-unet", width=2, in_channels=1)


class Constant(nn.Module):
    """A network that gives every pixel the same odds of a mass."""

    def __init__(self, odds: float) -> None:
        super().__init__()
        self.odds = odds

    def forward(self, images: Tensor) -> Tensor:
        mass = torch.full_like(images, log(self.odds))
        return torch.cat([torch.zeros_like(mass), mass], dim=1)


@pytest.fixture
def checkpoints(plain_card: ModelCard, tmp_path: Path) -> tuple[Path, Path]:
    """Two networks of different kinds, of which the first was calibrated and the second says who made it."""
    card = replace(plain_card, preprocessing='{"rows": 32, "columns": 32}', notes="")
    first = replace(card, network=TINY, licence="A", data_source="films", recipe="epochs = 1", trained="2026-01-02")
    first = replace(first, temperature=2.0, threshold=0.3, smallest_mass_px=9, lowest_score=0.4, flips="vertical")
    first = replace(first, scales=(0.9,), calibration='{"split": "validation"}', results='{"dsc": 1}')
    second = replace(card, network=OTHER, licence="B", data_source="films", recipe="epochs = 2", notes="made by us")
    paths = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    for seed, (path, one) in enumerate(zip(paths, (first, second), strict=True)):
        save_checkpoint(path, build_network(one.network, generator=torch.Generator().manual_seed(seed)), one)
    return paths


def test_probability_is_the_mean_of_the_networks_each_at_its_temperature() -> None:
    # Odds of 3 are a probability of 3/4; odds of 1/16 at temperature 2 are odds of 1/4, a probability of 1/5.
    network = MeanNetwork([Constant(3), Constant(1 / 16)], temperatures=[1.0, 2.0])

    logits = network(torch.zeros(1, 1, 2, 2))

    assert torch.allclose(torch.softmax(logits, dim=1)[:, 1], torch.tensor((3 / 4 + 1 / 5) / 2))
    assert torch.allclose(torch.exp(logits).sum(dim=1), torch.tensor(1.0))


def test_networks_that_are_very_sure_of_the_same_give_finite_logits() -> None:
    logits = MeanNetwork([Constant(1e300), Constant(1e300)], temperatures=[1.0, 1.0])(torch.zeros(1, 1, 1, 1))

    assert torch.isfinite(logits).all()
    assert logits[0, 1] > logits[0, 0]


def test_combined_checkpoints_come_back_from_one_file(checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    (first, _), (second, _) = map(load_checkpoint, checkpoints)
    save_checkpoint(tmp_path / "mean.safetensors", *combined(checkpoints))

    network, card = load_checkpoint(tmp_path / "mean.safetensors")

    with torch.inference_mode():
        expected = (torch.softmax(first(images) / 2, dim=1) + torch.softmax(second(images), dim=1)) / 2
        assert torch.allclose(torch.softmax(network(images), dim=1), expected, atol=1e-6)
    assert str(card.network) == "mean of unet, width 2 and res-basic-unet, width 2"
    assert (card.licence, card.data_source, card.trained) == ("A; B", "films", "2026-01-02")
    assert card.notes == "made by us"
    # What held for one of them holds for no mean.
    assert (card.threshold, card.temperature, card.smallest_mass_px, card.lowest_score) == (0.5, 1, 0, 0)
    assert (card.flips, card.scales, card.calibration, card.results) == ("none", (), "", "")
    assert "epochs = 1" in card.recipe
    assert "epochs = 2" in card.recipe


def test_bundle_of_a_mean_gives_what_the_checkpoint_gives(checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mean.safetensors", *combined(checkpoints))

    export_onnx(tmp_path / "mean.safetensors", tmp_path / "mean.onnx")

    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(4))
    network, card = load_checkpoint(tmp_path / "mean.onnx")
    with torch.inference_mode():
        expected = torch.softmax(network(images), dim=1)[:, 1]
    assert Segmenter.load(tmp_path / "mean.onnx").backend.probability(images.numpy()) == pytest.approx(
        expected.numpy(), abs=1e-5
    )
    assert card.network.name == "mean"


def test_mean_of_other_channels_than_its_networks_is_refused() -> None:
    settings = mean_settings([(TINY, 1.0), (OTHER, 1.0)])

    with pytest.raises(ValueError, match="the networks of a mean see the same"):
        blank_network(replace(settings, in_channels=3))


def test_blank_mean_takes_no_memory() -> None:
    network = blank_network(mean_settings([(TINY, 1.0), (OTHER, 1.0)]))

    assert {weight.device.type for weight in network.parameters()} == {"meta"}


def test_mean_is_not_trained_as_one() -> None:
    with pytest.raises(ValueError, match="train each of them by itself"):
        NetworkSection(name="mean")


def test_networks_that_see_other_channels_are_not_averaged() -> None:
    with pytest.raises(ValueError, match="the networks of a mean see the same"):
        mean_settings([(TINY, 1.0), (replace(OTHER, in_channels=3), 1.0)])


@pytest.mark.parametrize(
    "members",
    [None, [], [3], [{"network": asdict(TINY)}], [{"network": {"name": "unet"}, "temperature": 1.0}]],
    ids=["missing", "none", "a number", "without a temperature", "without a size"],
)
def test_card_of_a_mean_without_whole_networks_is_refused(plain_card: ModelCard, members: object) -> None:
    entries = json.loads(plain_card.to_json())
    entries["network"] |= {"name": "mean", "arguments": {"members": members}}

    with pytest.raises(CheckpointError, match=r"model card, (network|member)"):
        ModelCard.from_json(json.dumps(entries))


def test_members_of_an_impossible_temperature_are_refused() -> None:
    settings = NetworkSettings(name="mean", arguments={"members": [{"network": asdict(TINY), "temperature": 0}]})

    with pytest.raises(ValueError, match="temperature"):
        build_network(settings)

"""Classifiers on the decoder's levels."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from aunet.datasets.opening import open_dataset
from aunet.errors import TrainingError
from aunet.models.card import NetworkSettings
from aunet.models.factory import build_network
from aunet.training.deep_supervision import DeepSupervision
from aunet.training.losses import segmentation_loss
from aunet.training.recipe import Recipe
from aunet.training.run import train

MakeRecipe = Callable[..., Recipe]
SMALL = NetworkSettings("unet", in_channels=1, width=2)


def _supervised(*, weight: float = 1.0) -> tuple[nn.Module, DeepSupervision]:
    network = build_network(SMALL)
    return network, DeepSupervision(network, input_shape=(1, 32, 32), weight=weight, loss=segmentation_loss)


def test_each_level_but_the_last_has_a_classifier_of_its_channels() -> None:
    _, levels = _supervised()

    assert [classifier.in_channels for classifier in levels.classifiers] == [16, 8, 4]


def test_levels_that_know_nothing_have_the_loss_of_a_coin() -> None:
    network, levels = _supervised(weight=0.5)
    for weights in levels.parameters():
        nn.init.zeros_(weights)
    reference = torch.zeros(2, 32, 32, dtype=torch.bool)
    reference[:, :16] = True

    network(torch.rand(2, 1, 32, 32))
    added = levels(reference).detach()

    # All probabilities are 1/2: sum(p y) = 256, sum(p) = sum(y) = 512, cross-entropy ln 2.
    expected = 1 - (2 * 256 + 1) / (512 + 512 + 1) + torch.log(torch.tensor(2.0))
    assert float(added) == pytest.approx(0.5 * float(expected), rel=1e-6)


def test_the_levels_loss_reaches_encoder_and_decoder_and_not_the_network_s_own_classifier() -> None:
    network, levels = _supervised()
    network(torch.rand(2, 1, 32, 32))

    torch.autograd.backward(levels(torch.ones(2, 32, 32, dtype=torch.bool)))

    without = {name.split(".")[0] for name, weight in network.named_parameters() if weight.grad is None}
    assert "classifier" in without
    assert network.get_parameter("encoder.0.0.0.weight").grad is not None
    assert all(weight.grad is not None for weight in levels.parameters())


def test_in_evaluation_no_features_are_kept() -> None:
    network, levels = _supervised()
    levels.eval()

    network(torch.rand(2, 1, 32, 32))

    assert levels._features == []


def test_a_network_without_decoder_levels_is_refused() -> None:
    with pytest.raises(TrainingError, match="Conv2d has no list of decoder levels"):
        DeepSupervision(nn.Conv2d(1, 2, 1), input_shape=(1, 8, 8), weight=1.0, loss=segmentation_loss)


def test_a_supervised_run_saves_the_plain_network_with_other_weights(
    pictures: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    dataset = open_dataset(f"folder:{pictures}")
    plain = load_file(train(make_recipe(), dataset, tmp_path / "plain").last)

    supervised = load_file(train(make_recipe(training={"deep_supervision": 0.5}), dataset, tmp_path / "levels").last)

    assert plain.keys() == supervised.keys()
    assert not torch.equal(plain["decoder.0.0.0.weight"], supervised["decoder.0.0.0.weight"])

"""Runs that need the encoders environment: pretrained encoders, and a network of segmentation_models.pytorch."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from aunet.datasets.opening import open_dataset
from aunet.errors import RecipeError
from aunet.evaluation.run import evaluate
from aunet.inference.segmenter import Segmenter
from aunet.models.card import NetworkSettings
from aunet.models.checkpoint import read_card
from aunet.models.export import export_onnx
from aunet.preprocessing.pipeline import Preprocessing
from aunet.training.pretrained import check_statistics
from aunet.training.recipe import Recipe
from aunet.training.run import train

pytestmark = pytest.mark.encoders

ENCODER = "tf_efficientnet_lite0"
HALVES = (0.5, 0.5, 0.5)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of a whole model of timm, at random values."""
    import timm  # noqa: PLC0415  (not in the main environment)

    save_file(timm.create_model(ENCODER).state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


@pytest.fixture
def recipe(weights: Path, make_recipe: Callable[..., Recipe]) -> Recipe:
    """Two epochs at so small a rate that the weights stay where they began."""
    return make_recipe(
        network={
            "name": "au-timm",
            "in_channels": 3,
            "arguments": {"encoder": ENCODER, "pretrained": str(weights)},
        },
        preprocessing={"channels": 3, "channel_mean": HALVES, "channel_std": HALVES},
        training={"epochs": 2, "learning_rates": [1e-12]},
    )


class CrashError(Exception):
    """What stands for a crash within this process."""


def crash_in_the_second_epoch(done: int, total: int) -> None:
    if 2 * done > total:
        raise CrashError


def test_a_run_begins_with_the_weights_of_the_file_and_its_checkpoint_needs_it_no_more(
    recipe: Recipe, weights: Path, pictures: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(f"folder:{pictures}")
    given = load_file(weights)

    with pytest.raises(CrashError):
        train(recipe, dataset, tmp_path / "run", on_progress=crash_in_the_second_epoch)
    weights.unlink()
    run = train(recipe, dataset, tmp_path / "run", resume=True)
    tuned = train(recipe, dataset, tmp_path / "tuned", init=run.last)
    export_onnx(run.last, tmp_path / "net.onnx")

    found = load_file(run.last)
    torch.testing.assert_close(found["encoder.conv_stem.weight"], given["conv_stem.weight"], rtol=0, atol=1e-6)
    assert read_card(run.last).network.arguments == {"encoder": ENCODER}
    assert (run.epochs, tuned.epochs) == (2, 2)
    for file in (run.last, tmp_path / "net.onnx"):
        assert Segmenter.load(file).preprocessing.channel_mean == HALVES


def settings_of(pretrained: bool | str) -> NetworkSettings:
    return NetworkSettings(name="au-timm", arguments={"encoder": ENCODER, "pretrained": pretrained})


STATED = Preprocessing(channel_mean=HALVES, channel_std=HALVES)
OTHERS = replace(STATED, channel_std=(0.25, 0.25, 0.25))


@pytest.mark.parametrize("pretrained", [True, "weights.pth"])
def test_pretrained_weights_need_statistics_of_channels(pretrained: bool | str) -> None:
    with pytest.raises(RecipeError, match=r"set those .* channel_mean = \[0.5, 0.5, 0.5\], channel_std = \[0.5"):
        check_statistics(settings_of(pretrained), Preprocessing())


def test_weights_of_timm_need_the_statistics_of_timm() -> None:
    check_statistics(settings_of(pretrained=True), STATED)

    with pytest.raises(RecipeError, match=r"has channel_mean = .*0\.25.*need channel_mean = \[0.5, 0.5, 0.5\]"):
        check_statistics(settings_of(pretrained=True), OTHERS)


@pytest.mark.parametrize(("preprocessing", "warnings"), [(STATED, 0), (OTHERS, 1)])
def test_a_file_may_have_other_statistics_which_is_said(
    preprocessing: Preprocessing, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="aunet"):
        check_statistics(settings_of("weights.pth"), preprocessing)

    assert len(caplog.messages) == warnings


@pytest.mark.parametrize("preprocessing", [Preprocessing(), OTHERS])
def test_random_weights_take_any_statistics(preprocessing: Preprocessing) -> None:
    check_statistics(settings_of(pretrained=False), preprocessing)
    check_statistics(NetworkSettings(), preprocessing)


def test_a_network_of_segmentation_models_pytorch_is_trained_and_scored_under_the_same_protocol(
    pictures: Path, make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    arguments = {"encoder_name": "resnet18", "encoder_weights": "None", "in_channels": 1, "classes": 2}
    recipe = make_recipe(network={"name": "segmentation_models_pytorch:Unet", "arguments": arguments})
    dataset = open_dataset(f"folder:{pictures}")

    run = train(recipe, dataset, tmp_path / "run")
    summary = evaluate(Segmenter.load(run.last, device="cpu"), dataset, tmp_path / "scores", split="train")

    assert read_card(run.last).network.arguments == arguments
    assert (summary.n, len(summary.failures)) == (run.train_images + run.validation_images, 0)

"""Starting from a checkpoint: what is taken over, what stays frozen, what is refused and what is said."""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from aunet.datasets.dataset import DataSet
from aunet.datasets.opening import open_dataset
from aunet.errors import CheckpointError, TrainingError
from aunet.models.card import NetworkSettings
from aunet.models.checkpoint import read_card
from aunet.models.factory import build_network
from aunet.preprocessing.pipeline import Preprocessing
from aunet.training.fine_tuning import find_head, freeze, starting_network
from aunet.training.module import SegmentationTask
from aunet.training.recipe import Recipe
from aunet.training.run import train

MakeRecipe = Callable[..., Recipe]
STILL = {"epochs": 1, "learning_rates": [1e-60]}


@pytest.fixture
def dataset(pictures: Path) -> DataSet:
    return open_dataset(f"folder:{pictures}")


@pytest.fixture
def checkpoint(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> Path:
    recipe = make_recipe(training={"epochs": 1, "seed": 5}, provenance={"data_source": "the first set"})
    return train(recipe, dataset, tmp_path / "first").last


def _parts(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if name.startswith(f"{part}.")}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_frozen_parts_are_the_same_to_the_bit_and_all_others_change(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(fine_tuning={"freeze": ["encoder", "decoder.0"]}, training={"ema_decay": 0.5})

    run = train(recipe, dataset, tmp_path / "second", init=checkpoint)

    before, after = load_file(checkpoint), load_file(run.last)
    changed = {name for name in _changed(before, after) if "num_batches" not in name}
    frozen = _parts(before, "encoder") | _parts(before, "decoder.0")
    # Running means and variances of the frozen batch normalisation are among them.
    assert any("running_mean" in name for name in frozen)
    trained = {name for name in before.keys() - frozen.keys() if "num_batches" not in name}
    assert changed == trained


def test_a_kept_head_is_that_of_the_checkpoint_and_a_reset_one_is_not(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    kept = train(make_recipe(training=STILL), dataset, tmp_path / "kept", init=checkpoint)
    reset_recipe = make_recipe(training=STILL, fine_tuning={"head": "reset"})
    reset = train(reset_recipe, dataset, tmp_path / "reset", init=checkpoint)

    before = load_file(checkpoint)
    assert _changed(_parts(before, "classifier"), load_file(kept.last)) == set()
    assert _changed(_parts(before, "classifier"), load_file(reset.last)) >= {"classifier.weight"}
    weights = {name for name in before if name.endswith(("weight", "bias"))}
    assert _changed(before, load_file(reset.last)) & weights <= {"classifier.weight", "classifier.bias"}


def test_each_factor_multiplies_the_rates_of_its_weights(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    # A rate of 1e-60 is 0 in 32 bit; the head's factor brings it to 1e-2.
    recipe = make_recipe(training=STILL, fine_tuning={"head_learning_rate_factor": 1e58})
    other = make_recipe(training=STILL, fine_tuning={"learning_rate_factor": 1e58, "head_learning_rate_factor": 1.0})

    head = train(recipe, dataset, tmp_path / "head", init=checkpoint)
    rest = train(other, dataset, tmp_path / "rest", init=checkpoint)

    before = load_file(checkpoint)
    weights = {name for name in before if name.endswith(("weight", "bias"))}
    classifier = {"classifier.weight", "classifier.bias"}
    assert _changed(before, load_file(head.last)) & weights == classifier
    changed = _changed(before, load_file(rest.last)) & weights
    # In so narrow a network some weights of the channel attention get no gradient in the first steps.
    assert {name for name in weights - classifier if "attention" not in name} <= changed <= weights - classifier


def test_one_factor_multiplies_the_rates_of_all_weights_the_head_s_too(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(training=STILL, fine_tuning={"learning_rate_factor": 1e58})

    run = train(recipe, dataset, tmp_path / "run", init=checkpoint)

    changed = _changed(load_file(checkpoint), load_file(run.last))
    assert {"encoder", "decoder", "classifier"} <= {name.split(".")[0] for name in changed if name.endswith("weight")}


def test_a_network_without_a_classifier_takes_the_factor_of_all_weights(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    # Logits by a convolution 1 x 1, which has no part of the head's name.
    convolution = {"in_channels": 1, "out_channels": 2, "kernel_size": 1}
    network = {"name": "torch.nn:Conv2d", "arguments": convolution}
    first = train(make_recipe(network=network, training=STILL), dataset, tmp_path / "first")
    recipe = make_recipe(network=network, training=STILL, fine_tuning={"learning_rate_factor": 1e58})

    run = train(recipe, dataset, tmp_path / "run", init=first.last)

    before, after = load_file(first.last), load_file(run.last)
    assert _changed(before, after) == before.keys()


def test_frozen_batch_normalisation_stays_in_evaluation_when_training_goes_on() -> None:
    network = build_network(NetworkSettings("unet", in_channels=1, width=2))
    task = SegmentationTask(network, learning_rates=(0.1,), n_validation=0, frozen=("encoder",))

    task.eval()
    task.train()

    assert not any(part.training for part in network.get_submodule("encoder").modules())
    assert all(part.training for part in network.get_submodule("decoder").modules())


def test_a_part_that_is_not_there_is_named_with_those_that_are() -> None:
    network = build_network(NetworkSettings("unet", in_channels=1, width=2))

    with pytest.raises(TrainingError, match=r"no part 'stem'; its parts are encoder, upsampling, decoder, classifier"):
        freeze(network, ["stem"])


def test_a_head_inside_a_part_is_found_and_none_is_an_error() -> None:
    inside = nn.Sequential(OrderedDict(decoder=nn.Sequential(OrderedDict(classifier=nn.Conv2d(1, 2, 1)))))

    assert find_head(inside) == "decoder.classifier"
    with pytest.raises(TrainingError, match="Conv2d has 0 parts called 'classifier'"):
        SegmentationTask(nn.Conv2d(1, 2, 1), learning_rates=(0.1,), n_validation=0, head_factor=2.0)


def test_a_network_frozen_as_a_whole_is_refused() -> None:
    network = build_network(NetworkSettings("unet", in_channels=1, width=2))

    with pytest.raises(TrainingError, match="leave one to train"):
        freeze(network, ["encoder", "upsampling", "decoder", "classifier"])


def test_another_preprocessing_is_a_warning_that_names_what_differs(
    checkpoint: Path, caplog: pytest.LogCaptureFixture, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(preprocessing={"intensity": "z_score", "rows": 64})

    with caplog.at_level(logging.WARNING):
        starting_network(recipe.network.settings(), recipe.preprocessing.settings(), seed=0, init=checkpoint)

    (warning,) = caplog.messages
    assert "rows 32 (recipe: 64), intensity 'min_max' (recipe: 'z_score')" in warning


def test_the_same_preprocessing_warns_of_nothing(
    checkpoint: Path, caplog: pytest.LogCaptureFixture, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe()

    with caplog.at_level(logging.WARNING):
        starting_network(recipe.network.settings(), recipe.preprocessing.settings(), seed=0, init=checkpoint)

    assert caplog.messages == []


def test_weights_of_another_network_are_refused_by_every_setting_that_differs(checkpoint: Path) -> None:
    settings = NetworkSettings("unet", in_channels=3, width=2, reduction=2)

    with pytest.raises(TrainingError, match=r"name 'aunet' \(recipe: 'unet'\), in_channels 1 \(recipe: 3\); set"):
        starting_network(settings, Preprocessing(), seed=0, init=checkpoint)


def test_a_wrong_part_is_an_error_before_anything_is_made(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="no part 'stem'"):
        train(make_recipe(fine_tuning={"freeze": ["stem"]}), dataset, tmp_path / "run", init=checkpoint)

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["fcdensenet103", "attention-dense-unet"])
def test_levels_that_a_network_lacks_are_an_error_before_anything_is_made(
    name: str, dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(network={"name": name}, training={"deep_supervision": 0.5})

    with pytest.raises(TrainingError, match="has no list of decoder levels; set it to 0"):
        train(recipe, dataset, tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_pretrained_weights_that_are_not_there_are_an_error_before_anything_is_made(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    arguments = {"encoder": "resnet18", "pretrained": str(tmp_path / "nowhere.pth")}

    with pytest.raises(CheckpointError, match=r"nowhere\.pth: no such file"):
        train(make_recipe(network={"name": "au-timm", "arguments": arguments}), dataset, tmp_path / "run")

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("entry", [{"requires_checkpoint": True}, {"freeze": ["encoder"]}, {"head": "reset"}])
def test_fine_tuning_without_a_checkpoint_is_refused(
    entry: dict[str, object], dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="give one by --init"):
        train(make_recipe(fine_tuning=entry), dataset, tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_a_card_names_the_checkpoint_it_started_from_and_its_images(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    run = train(make_recipe(training=STILL, provenance={"notes": "Mine."}), dataset, tmp_path / "run", init=checkpoint)

    notes = read_card(run.best).notes
    sha256 = json.loads((run.folder / "init.json").read_text())["sha256"]
    assert notes == (f"Mine. Started from the weights last.safetensors (SHA-256 {sha256}), trained on: the first set.")


class CrashError(Exception):
    """What stands for a crash within this process."""


def _crash(done: int, total: int) -> None:
    raise CrashError((done, total))


def test_a_run_cut_off_in_its_first_epoch_does_not_go_on_from_random_weights(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(CrashError):
        train(make_recipe(), dataset, tmp_path / "cut", init=checkpoint, on_progress=_crash)

    with pytest.raises(TrainingError, match=r"give last\.safetensors, from which it started, by --init"):
        train(make_recipe(), dataset, tmp_path / "cut", resume=True)


def test_a_run_does_not_go_on_from_another_checkpoint(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    train(make_recipe(training=STILL), dataset, tmp_path / "run")

    with pytest.raises(TrainingError, match="was begun from random weights"):
        train(make_recipe(training=STILL), dataset, tmp_path / "run", init=checkpoint, resume=True)


def test_a_resumed_run_needs_its_checkpoint_no_more(
    dataset: DataSet, make_recipe: MakeRecipe, checkpoint: Path, tmp_path: Path
) -> None:
    tuning = {"freeze": ["encoder"], "head_learning_rate_factor": 2.0}
    recipe = make_recipe(fine_tuning=tuning, training={"epochs": 3})
    whole = train(recipe, dataset, tmp_path / "whole", init=checkpoint)

    def stop(done: int, total: int) -> None:
        if done > 2 * total // 3:
            raise CrashError((done, total))

    with pytest.raises(CrashError):
        train(recipe, dataset, tmp_path / "cut", init=checkpoint, on_progress=stop)
    checkpoint.unlink()
    resumed = train(recipe, dataset, tmp_path / "cut", resume=True)

    assert _changed(load_file(whole.last), load_file(resumed.last)) == set()
    assert read_card(resumed.last).notes == read_card(whole.last).notes

"""The moving average of the weights, in whole runs of a small network."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aunet.datasets.dataset import DataSet
from aunet.datasets.opening import open_dataset
from aunet.models.checkpoint import load_checkpoint
from aunet.preprocessing.cache import PreparedCache
from aunet.training.losses import segmentation_loss
from aunet.training.recipe import Recipe
from aunet.training.run import train

MakeRecipe = Callable[..., Recipe]
# One step an epoch, and the same rate in each, so that a shorter run is the beginning of a longer one.
STEP = {"batch_size": 7, "schedule": "steps", "learning_rates": [1e-2], "epochs_per_rate": [1]}


@pytest.fixture
def dataset(pictures: Path) -> DataSet:
    return open_dataset(f"folder:{pictures}")


def test_the_average_of_two_steps_is_saved_by_hand(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    first, second = (
        train(make_recipe(training=STEP | {"epochs": epochs}), dataset, tmp_path / str(epochs)) for epochs in (1, 2)
    )

    recipe = make_recipe(training=STEP | {"epochs": 2, "ema_decay": 0.75})
    averaged = load_file(train(recipe, dataset, tmp_path / "averaged").last)

    one, two = load_file(first.last), load_file(second.last)
    for name in averaged:
        if "num_batches" not in name:  # a count of steps, which nothing reads
            torch.testing.assert_close(averaged[name], 0.75 * one[name] + 0.25 * two[name])
    assert any("running_var" in name for name in averaged)


def test_what_is_validated_is_what_is_saved(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(training={"ema_decay": 0.9})
    run = train(recipe, dataset, tmp_path / "run", cache=tmp_path / "cache")

    network, _ = load_checkpoint(run.last)
    cache = PreparedCache(tmp_path / "cache", recipe.preprocessing.settings())
    cases = json.loads((run.folder / "splits.json").read_text())["sides"]["validation"]
    prepared = [cache.load(sample) for sample in dataset.samples if sample.case in cases]
    with torch.no_grad():
        losses = [
            segmentation_loss(network(torch.tensor(one.image)[None]), torch.tensor(one.mask)[None]).total
            for one in prepared
        ]

    with (run.folder / "metrics.csv").open(newline="") as file:
        *_, last = csv.DictReader(file)
    assert float(last["validation_loss"]) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)

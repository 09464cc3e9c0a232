"""Whole runs of a small network on small pictures."""

import csv
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from aunet.datasets.dataset import DataSet
from aunet.datasets.opening import open_dataset
from aunet.errors import TrainingError
from aunet.models.checkpoint import load_checkpoint, read_card
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.preprocessing.population import Population, population_of, profile_of
from aunet.training import run as module
from aunet.training.data import sides_of
from aunet.training.preflight import Need, Preflight
from aunet.training.recipe import Recipe, load_recipe
from aunet.training.run import train

MakeRecipe = Callable[..., Recipe]


class CrashError(Exception):
    """What stands for a crash within this process."""


@pytest.fixture
def dataset(pictures: Path) -> DataSet:
    return open_dataset(f"folder:{pictures}")


def _rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def _same_weights(one: Path, other: Path) -> bool:
    ours, theirs = load_file(one), load_file(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _stop_after(steps: int) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:  # noqa: ARG001  (the call-back's signature)
        if done >= steps:
            raise CrashError

    return report


def test_a_run_leaves_weights_scores_logs_and_its_recipe(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(provenance={"licence": "made up", "data_source": "drawn discs"})

    run = train(recipe, dataset, tmp_path / "run")

    assert (run.train_images, run.validation_images, run.refused_images, run.epochs) == (7, 3, 0, 2)
    assert [row["epoch"] for row in _rows(run.folder)] == ["1", "2"]
    assert [float(row["learning_rate"]) for row in _rows(run.folder)] == pytest.approx([1e-2, 1e-3])
    best = max(_rows(run.folder), key=lambda row: float(row["validation_dsc"]))
    assert run.best_epoch == int(best["epoch"])
    assert run.best_score == pytest.approx(float(best["validation_dsc"]))
    assert load_recipe(run.folder / "recipe.toml") == recipe
    assert json.loads((run.folder / "summary.json").read_text())["images_per_second"] > 0
    assert list((run.folder / "tensorboard").iterdir())
    assert (run.folder / "ledger.csv").read_text().count("read") == 10


def test_a_checkpoint_holds_all_that_using_it_needs(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        provenance={"licence": "made up", "data_source": "drawn discs"}, training={"threshold": 0.4, "epochs": 1}
    )

    run = train(recipe, dataset, tmp_path / "run")

    network, card = load_checkpoint(run.best)
    assert card.network == recipe.network.settings()
    assert Preprocessing.from_json(card.preprocessing) == recipe.preprocessing.settings()
    assert (card.threshold, card.licence, card.data_source) == (0.4, "made up", "drawn discs")
    assert card.recipe == recipe.to_toml()
    assert {"aunet", "torch", "python"} <= card.versions.keys()
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)


def test_training_finds_the_discs(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(network={"width": 4}, training={"epochs": 25, "learning_rates": [3e-2, 1e-3]})

    run = train(recipe, dataset, tmp_path / "run")

    assert run.best_score is not None
    assert run.best_score > 0.8


def test_two_runs_are_alike_to_the_bit(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(augmentation={"flip_probability": 0.5, "rotation_degrees": 10.0, "noise": 0.1})

    one, other = train(recipe, dataset, tmp_path / "one"), train(recipe, dataset, tmp_path / "other")

    assert _same_weights(one.last, other.last)
    assert _rows(one.folder) == _rows(other.folder)


def test_another_seed_gives_other_weights(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    one = train(make_recipe(training={"seed": 1, "epochs": 1}), dataset, tmp_path / "one")
    other = train(make_recipe(training={"seed": 2, "epochs": 1}), dataset, tmp_path / "other")

    assert not _same_weights(one.last, other.last)


@pytest.mark.parametrize(
    ("steps", "changes"), [(1, {}), (2, {}), (5, {}), (5, {"ema_decay": 0.8, "deep_supervision": 0.5})]
)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    steps: int, changes: dict[str, object], dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(training={"epochs": 3} | changes, augmentation={"flip_probability": 0.5, "noise": 0.1})
    whole = train(recipe, dataset, tmp_path / "whole", cache=tmp_path / "cache")
    with pytest.raises(CrashError):
        train(recipe, dataset, tmp_path / "cut", cache=tmp_path / "cache", on_progress=_stop_after(steps))

    resumed = train(recipe, dataset, tmp_path / "cut", cache=tmp_path / "cache", resume=True)

    assert _same_weights(whole.last, resumed.last)
    assert _same_weights(whole.best, resumed.best)
    assert _rows(whole.folder) == _rows(resumed.folder)
    assert (whole.best_epoch, whole.best_score) == (resumed.best_epoch, resumed.best_score)


def test_a_finished_run_is_left_as_it_is(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe()
    run = train(recipe, dataset, tmp_path / "run", cache=tmp_path / "cache")
    before = _content(run.folder)

    again = train(recipe, dataset, tmp_path / "run", cache=tmp_path / "cache", resume=True)

    assert again == run
    assert _content(run.folder) == before


def test_an_existing_run_is_refused_and_left_alone(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("precious")

    for resume, advice in ((False, "--resume"), (True, "no run to go on with")):
        with pytest.raises(TrainingError, match=advice):
            train(make_recipe(), dataset, out, resume=resume)

    assert _content(out) == {"mine.txt": b"precious"}


def test_a_run_does_not_go_on_by_another_recipe(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    train(make_recipe(training={"epochs": 1}), dataset, tmp_path / "run")

    with pytest.raises(TrainingError, match=r"another training\.epochs, training\.alpha"):
        train(make_recipe(training={"epochs": 2, "alpha": 0.5}), dataset, tmp_path / "run", resume=True)


def test_a_run_does_not_go_on_with_other_images(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path, pictures: Path
) -> None:
    train(make_recipe(), dataset, tmp_path / "run")
    table = (pictures / "cases.csv").read_text().splitlines()
    (pictures / "cases.csv").write_text("\n".join(table[:-1]) + "\n")

    with pytest.raises(TrainingError, match="begun with other images"):
        train(make_recipe(), open_dataset(f"folder:{pictures}"), tmp_path / "run", resume=True)


def test_a_damaged_file_for_resuming_is_an_error(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = train(make_recipe(), dataset, tmp_path / "run")
    file = run.folder / "resume.ckpt"
    file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(TrainingError, match=r"resume\.ckpt: damaged"):
        train(make_recipe(), dataset, run.folder, resume=True)


class _Bomb:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_for_resuming_is_executed(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    run = train(make_recipe(), dataset, tmp_path / "run")
    trap = tmp_path / "trap"
    _repack(run.folder / "resume.ckpt", pickle.dumps(_Bomb(trap)))

    with pytest.raises(TrainingError, match=r"resume\.ckpt: damaged"):
        train(make_recipe(), dataset, run.folder, resume=True)

    assert not trap.exists()


def _repack(file: Path, content: bytes) -> None:
    """The archive with another pickle in it."""
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("/data.pkl") else old.read(name))


def test_a_run_can_start_from_a_checkpoint(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    first = train(make_recipe(), dataset, tmp_path / "first")
    still = make_recipe(training={"epochs": 1, "learning_rates": [1e-30]})

    second = train(still, dataset, tmp_path / "second", init=first.last)

    begun, ended = load_file(first.last), load_file(second.last)
    trained = [name for name in begun if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(begun[name], ended[name]) for name in trained)


def test_a_network_of_another_library_is_trained_by_its_dotted_name(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    arguments = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}
    recipe = make_recipe(network={"name": "monai.networks.nets:AttentionUnet", "arguments": arguments})

    run = train(recipe, dataset, tmp_path / "run")
    network, card = load_checkpoint(run.best)

    assert card.network == recipe.network.settings()
    assert card.network.arguments == arguments
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)


def test_a_network_of_another_library_that_gives_three_classes_is_refused_before_the_first_step(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    arguments = {"spatial_dims": 2, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2]}
    recipe = make_recipe(network={"name": "monai.networks.nets:AttentionUnet", "arguments": arguments})

    with pytest.raises(ValueError, match=r"to \('b', 3, 32, 32\); expected \('b', 2, 32, 32\): set network\.arguments"):
        train(recipe, dataset, tmp_path / "run")

    assert not list(tmp_path.glob("run/*.safetensors"))


def test_a_batch_of_one_image_that_is_too_small_is_refused_before_the_first_step(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(preprocessing={"rows": 16, "columns": 16}, training={"batch_size": 3})

    with pytest.raises(TrainingError, match="7 images in batches of 3 leave one image in the last batch"):
        train(recipe, dataset, tmp_path / "run")

    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_weights_of_another_network_are_refused_by_what_differs(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    first = train(make_recipe(training={"epochs": 1}), dataset, tmp_path / "first")

    with pytest.raises(TrainingError, match=r"width 2 \(recipe: 3\)"):
        train(make_recipe(network={"width": 3}), dataset, tmp_path / "second", init=first.last)
    assert not (tmp_path / "second").exists()


def test_without_validation_images_the_last_weights_are_the_best(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    run = train(make_recipe(training={"validation_fraction": 0.0}), dataset, tmp_path / "run")

    assert (run.validation_images, run.best_epoch, run.best_score) == (0, 2, None)
    assert _same_weights(run.best, run.last)
    assert _rows(run.folder)[0]["validation_dsc"] == ""


def test_a_run_stops_when_the_score_gets_no_better(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    # At such a rate no weight changes, and no untrained network is this sure: every epoch scores 0, as the first does.
    recipe = make_recipe(
        training={"epochs": 9, "learning_rates": [1e-30], "patience": 2, "batch_size": 7, "threshold": 0.999}
    )

    run = train(recipe, dataset, tmp_path / "run", cache=tmp_path / "cache")
    again = train(recipe, dataset, tmp_path / "run", cache=tmp_path / "cache", resume=True)

    assert run.stopped_early
    assert run.epochs == run.best_epoch + 2 < 9
    assert again == run


def test_an_unreadable_image_is_left_out_and_stands_in_the_ledger(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path, pictures: Path
) -> None:
    (pictures / "4.png").write_bytes(b"no picture")

    run = train(make_recipe(training={"epochs": 1}), dataset, tmp_path / "run")

    assert run.refused_images == 1
    assert run.train_images + run.validation_images == 9
    with (run.folder / "ledger.csv").open(newline="") as file:
        refused = [row for row in csv.DictReader(file) if row["status"] == "refused"]
    assert [row["case"] for row in refused] == ["4"]


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_before(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="the loss of epoch 1 is"):
        train(make_recipe(training={"learning_rates": [1e38]}), dataset, tmp_path / "run")

    assert not (tmp_path / "run" / "resume.ckpt").exists()


def test_what_does_not_fit_is_refused_before_anything_is_made(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Preflight((Need("memory", 2**40, 2**30, "set training.batch_size smaller"),))
    monkeypatch.setattr(module, "preflight", lambda *_, **__: short)

    with pytest.raises(TrainingError, match=r"memory: needs 1024\.0 GiB, 1\.0 GiB free; set training\.batch_size"):
        train(make_recipe(), dataset, tmp_path / "run")

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "weight_decay": 0.1, "amsgrad": False},
        {"gradient_clip": 0.1},
        {"dice_weight": 0.0},
        {"schedule": "steps", "epochs_per_rate": [1, 1], "dice_over": "batch"},
    ],
)
def test_each_choice_of_the_recipe_changes_the_weights(
    changes: dict[str, object], dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    plain = train(make_recipe(), dataset, tmp_path / "plain")
    changed = train(make_recipe(training=changes), dataset, tmp_path / "changed")

    assert not _same_weights(plain.last, changed.last)


@pytest.mark.parametrize("gradient_clip", [0.0, 0.1])
def test_mixed_precision_trains_with_and_without_clipping(
    gradient_clip: float, dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(training={"gradient_clip": gradient_clip}, hardware={"precision": "bf16-mixed"})

    run = train(recipe, dataset, tmp_path / "run")

    assert run.epochs == recipe.training.epochs


def test_progress_counts_the_images_and_then_the_steps(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    images: list[tuple[int, int]] = []
    steps: list[tuple[int, int]] = []

    train(
        make_recipe(),
        dataset,
        tmp_path / "run",
        on_prepared=lambda done, total: images.append((done, total)),
        on_progress=lambda done, total: steps.append((done, total)),
    )

    assert images == [(i + 1, 10) for i in range(10)]
    assert steps == [(i + 1, 4) for i in range(4)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core
def test_workers_change_nothing(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    augmentation: dict[str, object] = {"flip_probability": 0.5, "noise": 0.1}
    alone = train(make_recipe(augmentation=augmentation), dataset, tmp_path / "alone")
    helped = train(make_recipe(augmentation=augmentation, hardware={"workers": 2}), dataset, tmp_path / "helped")

    assert _same_weights(alone.last, helped.last)


@pytest.mark.slow
def test_a_workers_own_traceback_is_shown(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> np.ndarray:
        msg = "the cable is out"
        raise OSError(msg)

    monkeypatch.setattr("aunet.training.data.Augmentation.apply", fail)

    with pytest.raises(TrainingError, match=r"(?s)in DataLoader worker process.*in fail.*the cable is out"):
        train(make_recipe(hardware={"workers": 1}), dataset, tmp_path / "run")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_run_on_the_gpu_is_repeatable(dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(hardware={"accelerator": "cuda"})

    one, other = train(recipe, dataset, tmp_path / "one"), train(recipe, dataset, tmp_path / "other")

    assert _same_weights(one.last, other.last)
    assert "bf16" in read_card(one.last).versions["device"]


def test_checkpoints_say_what_their_training_images_are_like(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()

    run = train(recipe, dataset, tmp_path / "run")

    settings = recipe.preprocessing.settings()
    trained_on = sides_of(dataset, validation_fraction=0.3, seed=recipe.training.seed).train
    cache = PreparedCache(None, settings)
    expected = population_of(profile_of(cache.load(sample), settings) for sample in trained_on)
    for file in (run.best, run.last):
        assert Population.from_json(read_card(file).training_images) == expected
    assert (expected.images, expected.patients) == (7, 7)


def test_a_run_cut_off_while_its_first_files_are_written_can_go_on(
    dataset: DataSet, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise CrashError

    recipe = make_recipe(training={"epochs": 1})
    monkeypatch.setattr(module, "write_splits", crash)
    with pytest.raises(CrashError):
        train(recipe, dataset, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "ledger.csv").is_file()
    (tmp_path / "run" / ".x0.part").write_text("half of a file")
    monkeypatch.undo()

    assert train(recipe, dataset, tmp_path / "run", resume=True).epochs == 1

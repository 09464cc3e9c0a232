"""What an arm will cost, from a timed step of its training."""

import json
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from aunet.training.hardware import choose_hardware, torch_settings
from aunet.training.recipe import Recipe
from aunet.training.recipe_sections import FineTuningSection
from aunet.training.task import build_task

_STEPS = 3
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the training of an arm will take, if all of it goes as fast as the timed step."""

    images_per_second: float
    seconds: float
    """Of all epochs, without preparing, validating and evaluating."""


def timing_key(recipe: Recipe) -> str:
    """What a step's duration depends on: recipes of the same key are timed once.

    Args:
        recipe: A recipe.

    Returns:
        The network, its input, the batch and the hardware as text.
    """
    # Any: values of the recipe.
    parts: dict[str, Any] = recipe.model_dump(include={"network", "hardware"}, mode="json")
    training = recipe.training
    settings = (recipe.preprocessing.rows, recipe.preprocessing.columns, training.batch_size, training.deep_supervision)
    return json.dumps([parts, *settings], sort_keys=True)


def seconds_per_step(recipe: Recipe) -> float:
    """Time a training step on this machine: forward, loss, backward and the weights' update on random images.

    Args:
        recipe: What is trained.

    Returns:
        Seconds of the faster of the steps behind the first, in which PyTorch makes its plans.
    """
    hardware = choose_hardware(recipe.hardware.accelerator, recipe.hardware.precision, threads=recipe.hardware.threads)
    device = torch.device(hardware.accelerator)
    # Fine-tuning needs weights to start from, which may not be trained yet; a step takes as long from random ones.
    without_start = recipe.model_copy(update={"fine_tuning": FineTuningSection()})
    shape = (recipe.preprocessing.rows, recipe.preprocessing.columns)
    batch, half = recipe.training.batch_size, _HALF.get(hardware.precision)
    durations_s = []
    with torch_settings(
        seed=0,
        deterministic=recipe.hardware.deterministic,
        cudnn_benchmark=recipe.hardware.cudnn_benchmark,
        tf32=recipe.hardware.tf32,
        threads=recipe.hardware.threads,
        keep_memory=recipe.hardware.keep_memory,
    ):
        task = build_task(without_start, hardware, n_validation=0).to(device).train()
        optimizer = task.configure_optimizers()
        images = torch.rand(batch, recipe.network.in_channels, *shape, device=device)
        masks = torch.rand(batch, *shape, device=device) < 0.01
        for _ in range(_STEPS):
            start = time.perf_counter()
            with torch.autocast(device.type, dtype=half) if half else nullcontext():
                loss = task.loss_of(task(images), masks).total
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # has no annotations
            optimizer.step()
            loss.item()  # a GPU works on after the calls have come back; fetching a number waits for it
            durations_s.append(time.perf_counter() - start)
    return min(durations_s[1:])


def estimate(recipe: Recipe, *, train_images: int, step_s: float) -> Estimate:
    """What the training of an arm will take.

    Args:
        recipe: What is trained.
        train_images: Images of an epoch.
        step_s: Seconds of one step.

    Returns:
        The estimate.
    """
    steps = -(-train_images // recipe.training.batch_size) * recipe.training.epochs
    return Estimate(images_per_second=recipe.training.batch_size / step_s, seconds=steps * step_s)

"""From a recipe to the task that Lightning trains: network, loss, learning rates."""

from functools import partial
from pathlib import Path

import torch

from aunet.training.deep_supervision import DeepSupervision
from aunet.training.fine_tuning import starting_network
from aunet.training.hardware import Hardware, keep_depthwise_in_32_bit
from aunet.training.losses import segmentation_loss
from aunet.training.module import SegmentationTask
from aunet.training.recipe import Recipe
from aunet.training.schedule import learning_rates_by_epoch


def build_task(
    recipe: Recipe, hardware: Hardware, *, n_validation: int, init: Path | None = None, is_resumed: bool = False
) -> SegmentationTask:
    """The network, its loss and its optimizer, as the recipe has them.

    Args:
        recipe: What to train, and how.
        hardware: What it is computed on.
        n_validation: Number of validation images.
        init: A checkpoint to start from instead of random or pretrained weights.
        is_resumed: All weights are about to come from the run's own file.

    Returns:
        The task.
    """
    settings, tuning = recipe.training, recipe.fine_tuning
    network_settings, preprocessing = recipe.network.settings(), recipe.preprocessing.settings()
    network = starting_network(
        network_settings,
        preprocessing,
        seed=settings.seed,
        init=init,
        is_resumed=is_resumed,
        resets_head=tuning.head == "reset",
    )
    if hardware.accelerator == "cpu" and hardware.precision == "bf16-mixed":
        keep_depthwise_in_32_bit(network)
    loss = partial(
        segmentation_loss,
        alpha=settings.alpha,
        dice_weight=settings.dice_weight,
        epsilon=settings.epsilon,
        dice_over=settings.dice_over,
    )
    rates = learning_rates_by_epoch(
        settings.schedule,
        settings.learning_rates,
        epochs=settings.epochs,
        epochs_per_rate=settings.epochs_per_rate,
        warmup_epochs=settings.warmup_epochs,
    )
    deep_supervision = None
    if settings.deep_supervision:
        deep_supervision = DeepSupervision(
            network,
            input_shape=(network_settings.in_channels, preprocessing.rows, preprocessing.columns),
            weight=settings.deep_supervision,
            loss=loss,
            classes=network_settings.classes,
            generator=torch.Generator().manual_seed(settings.seed),
        )
    return SegmentationTask(
        network,
        learning_rates=[rate * tuning.learning_rate_factor for rate in rates],
        n_validation=n_validation,
        loss=loss,
        optimizer=settings.optimizer,
        amsgrad=settings.amsgrad,
        weight_decay=settings.weight_decay,
        threshold=settings.threshold,
        frozen=tuning.freeze,
        head_factor=tuning.head_factor,
        deep_supervision=deep_supervision,
        channels_last=recipe.hardware.channels_last,
        # Lightning clips no gradient under mixed precision where the optimizer says that it is fused.
        fused=hardware.precision == "32-true" or not settings.gradient_clip,
    )

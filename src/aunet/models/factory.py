"""From settings to a network."""

from functools import partial
from typing import get_args

import torch
from torch import nn

from aunet.models.card import NetworkSettings
from aunet.models.encoder_decoder import EncoderDecoder
from aunet.models.encoders import AU_TIMM, AUTimm, TimmArguments
from aunet.models.units import UNITS, ResUnit, UnitName, basic_unit
from aunet.models.upsampling import AttentionUpsampling, BilinearUpsampling

BACKBONES: dict[str, tuple[UnitName, UnitName]] = {
    f"{encoder}-{decoder}": (encoder, decoder) for encoder in get_args(UnitName) for decoder in get_args(UnitName)
}
"""The nine backbones of the paper's table 1: encoder unit, decoder unit."""
ALIASES = {"unet": "basic-basic"}
NETWORK_NAMES = (*BACKBONES, "aunet")


def build_network(settings: NetworkSettings, *, generator: torch.Generator | None = None) -> nn.Module:
    """A network with fresh weights.

    Args:
        settings: Its name and size. "unet" is another name of "basic-basic".
        generator: Source of the initial weights; None takes PyTorch's own.

    Returns:
        A module from images (b c h w) to logits (b classes h w). Pretrained weights that the settings of "au-timm" name
        are not read here (see `aunet.models.pretrained`).

    Raises:
        ValueError: The name is unknown, or a size is too small.
    """
    name = ALIASES.get(settings.name, settings.name)
    if name == AU_TIMM:
        return AUTimm(
            TimmArguments.of(settings.arguments),
            in_channels=settings.in_channels,
            classes=settings.classes,
            reduction=settings.reduction,
            generator=generator,
        )
    if name == "aunet":
        parts = partial(EncoderDecoder, ResUnit, basic_unit, partial(AttentionUpsampling, reduction=settings.reduction))
    elif name in BACKBONES:
        encoder, decoder = BACKBONES[name]
        parts = partial(EncoderDecoder, UNITS[encoder], UNITS[decoder], BilinearUpsampling)
    else:
        msg = f"unknown network {settings.name!r}; known are {', '.join((*ALIASES, *NETWORK_NAMES, AU_TIMM))}"
        raise ValueError(msg)
    return parts(in_channels=settings.in_channels, classes=settings.classes, width=settings.width, generator=generator)

"""From settings to a network."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from aunet.models.attention_dense_unet import AttentionDenseUNet
from aunet.models.card import AU_TIMM, MEAN, REDUCTIONS, NetworkSettings
from aunet.models.encoder_decoder import EncoderDecoder
from aunet.models.encoders import AUTimm, TimmArguments
from aunet.models.fcdensenet import ASPPFCDenseNet, FCDenseNet
from aunet.models.foreign import foreign_network
from aunet.models.fusionnet import FusionNet
from aunet.models.mean import MeanArguments, MeanNetwork, require_alike
from aunet.models.units import UNITS, ResUnit, UnitName, basic_unit
from aunet.models.upsampling import AttentionUpsampling, BilinearUpsampling, TransposedUpsampling

BACKBONES: dict[str, tuple[UnitName, UnitName]] = {
    "unet": ("basic", "basic"),
    "basic-deep-unet": ("basic", "deep"),
    "basic-res-unet": ("basic", "res"),
    "deep-basic-unet": ("deep", "basic"),
    "deep-deep-unet": ("deep", "deep"),
    "deep-res-unet": ("deep", "res"),
    "res-basic-unet": ("res", "basic"),
    "res-deep-unet": ("res", "deep"),
    "res-res-unet": ("res", "res"),
}
"""The nine backbones of the paper's table 1: encoder unit, decoder unit."""


def _aunet(*, reduction: int) -> Callable[..., nn.Module]:
    return partial(EncoderDecoder, ResUnit, basic_unit, partial(AttentionUpsampling, reduction=reduction))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{
        name: partial(EncoderDecoder, UNITS[encoder], UNITS[decoder], BilinearUpsampling)
        for name, (encoder, decoder) in BACKBONES.items()
    },
    "unet-deconv": partial(EncoderDecoder, basic_unit, basic_unit, TransposedUpsampling),
    "fusionnet": FusionNet,
    "fcdensenet103": FCDenseNet,
    "aunet": _aunet(reduction=16),
    **{name: _aunet(reduction=reduction) for name, reduction in REDUCTIONS.items()},
    "asppfcdensenet": ASPPFCDenseNet,
    "attention-dense-unet": AttentionDenseUNet,
}
"""Every network with a name of its own, and what makes it from in_channels, classes, width and generator."""
NETWORK_NAMES = tuple(NETWORKS)


def build_network(settings: NetworkSettings, *, generator: torch.Generator | None = None) -> nn.Module:
    """A network with fresh weights.

    Args:
        settings: Its name and size. The name is one of `NETWORK_NAMES`, "au-timm" (see `aunet.models.encoders`), "mean"
            (see `aunet.models.mean`), or the dotted name of any network, such as "monai.networks.nets:AttentionUnet"
            (see `aunet.models.foreign`).
        generator: Source of the initial weights; None takes PyTorch's own.

    Returns:
        A module from images (b c h w) to logits (b classes h w). Pretrained weights that the settings of "au-timm" name
        are not read here (see `aunet.models.pretrained`).

    Raises:
        ValueError: The name is unknown, a size is too small, or the network has no such argument.
    """
    if settings.is_foreign:
        return foreign_network(settings, generator=generator)
    if settings.name == AU_TIMM:
        return AUTimm(
            TimmArguments.of(settings.arguments),
            in_channels=settings.in_channels,
            classes=settings.classes,
            reduction=settings.reduction,
            generator=generator,
        )
    if settings.name == MEAN:
        return _mean_network(settings, partial(build_network, generator=generator))
    if settings.name not in NETWORKS:
        msg = (
            f"unknown network {settings.name!r}; known are {', '.join((*NETWORK_NAMES, AU_TIMM))},"
            " and any class by its dotted name, such as monai.networks.nets:AttentionUnet"
        )
        raise ValueError(msg)
    make = _aunet(reduction=settings.reduction) if settings.name == "aunet" else NETWORKS[settings.name]
    try:
        return make(
            in_channels=settings.in_channels,
            classes=settings.classes,
            width=settings.width,
            generator=generator,
            **settings.arguments,
        )
    except TypeError as error:
        msg = f"network {settings.name!r} can't be built with the arguments {dict(settings.arguments)}: {error}"
        raise ValueError(msg) from error


def blank_network(settings: NetworkSettings) -> nn.Module:
    """A network that is there for its shape, or for weights that are about to be loaded.

    Args:
        settings: The network.

    Returns:
        A network on PyTorch's device `meta`, without memory behind its weights, where it is one of ours. Constructors
        of others may compute with values, so those networks are built on the CPU.
    """
    if settings.name == MEAN:
        return _mean_network(settings, blank_network)
    if settings.is_foreign or settings.name == AU_TIMM:
        with torch.random.fork_rng(devices=[]):
            return build_network(settings)
    with torch.device("meta"):
        return build_network(settings)


def _mean_network(settings: NetworkSettings, build: Callable[[NetworkSettings], nn.Module]) -> MeanNetwork:
    """The mean of the networks that its settings name, all of them with its own channels and classes."""
    members = MeanArguments.of(settings.arguments).members
    for member in members:
        require_alike(settings, member.network)
    networks = [build(member.network) for member in members]
    return MeanNetwork(networks, temperatures=[member.temperature for member in members])

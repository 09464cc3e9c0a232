"""Several networks as one: what they say of a pixel is averaged as probability."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from aunet.models.arguments import checked
from aunet.models.card import MEAN, NetworkSettings


class Member(BaseModel):
    """One network of a mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: NetworkSettings
    temperature: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    """What its logits are divided by before the softmax."""


class MeanArguments(BaseModel):
    """What a card says under `arguments` of the network `mean`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: Annotated[tuple[Member, ...], Field(min_length=1)]

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "MeanArguments":  # Any: what JSON can say
        """The arguments as a card holds them; a `ValueError` where they are others."""
        return checked(cls, arguments, network=MEAN)


class MeanNetwork(nn.Module):
    """Networks that see the same images; its logits are such that their softmax is the mean of the networks' own."""

    def __init__(self, networks: Sequence[nn.Module], *, temperatures: Sequence[float]) -> None:
        """Put the network together.

        Args:
            networks: From images (b c h w) to logits (b classes h w), all of the same channels and classes.
            temperatures: What the logits of each are divided by before the softmax.
        """
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.temperatures = tuple(temperatures)

    def forward(self, images: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b classes h w"]:
        """Logarithm of the mean probability of each class.

        Args:
            images: Prepared images.

        Returns:
            Logits on the images' grid, background first.
        """
        logarithms = [
            torch.log_softmax(network(images) / temperature, dim=1)
            for network, temperature in zip(self.networks, self.temperatures, strict=True)
        ]
        return torch.logsumexp(torch.stack(logarithms), dim=0) - math.log(len(logarithms))


def require_alike(first: NetworkSettings, other: NetworkSettings) -> None:
    """Refuse networks that can't be averaged.

    Args:
        first: One of them, or the mean itself.
        other: Another one.

    Raises:
        ValueError: They differ in channels or classes.
    """
    if (other.in_channels, other.classes) != (first.in_channels, first.classes):
        msg = (
            f"{other} takes {other.in_channels} channels and tells {other.classes} classes apart, "
            f"{first} {first.in_channels} and {first.classes}; the networks of a mean see the same"
        )
        raise ValueError(msg)


def mean_settings(members: Sequence[tuple[NetworkSettings, float]]) -> NetworkSettings:
    """The settings of the mean of some networks.

    Args:
        members: Settings and temperature of each, at least one.

    Returns:
        Settings that `build_network` takes; networks that differ in channels or classes are a `ValueError`.
    """
    first = members[0][0]
    for settings, _ in members[1:]:
        require_alike(first, settings)
    listed = [{"network": asdict(settings), "temperature": temperature} for settings, temperature in members]
    return NetworkSettings(
        name=MEAN, in_channels=first.in_channels, classes=first.classes, arguments={"members": listed}
    )

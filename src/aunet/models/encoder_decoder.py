"""The network that all backbones and AUNet are: an encoder, a decoder, and skip features between them."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from aunet.models.sizes import require_multiples
from aunet.models.units import UnitFactory
from aunet.models.upsampling import UpsamplingFactory

LEVELS = 5
"""Encoder units; each but the last is followed by max pooling."""
STRIDE = 2 ** (LEVELS - 1)
"""Rows and columns of an input must be multiples of this."""


class EncoderDecoder(nn.Module):
    """Five encoder units, four upsampling blocks each with a decoder unit, and a convolution 1 x 1 to the classes.

    Sun et al. 2020, doi 10.1088/1361-6560/ab5745, figure 2a. Channels double from level to level, from `width` on.
    Weights are drawn from He's normal distribution (fan in, gain of ReLU; He et al. 2015, doi 10.1109/ICCV.2015.123),
    biases are zero; batch normalisation starts as the identity. The paper doesn't state its initialisation.
    """

    def __init__(
        self,
        encoder_unit: UnitFactory,
        decoder_unit: UnitFactory,
        upsampling: UpsamplingFactory,
        *,
        in_channels: int = 3,
        classes: int = 2,
        width: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        """Put the network together.

        Args:
            encoder_unit: Makes a unit from its input and output channels.
            decoder_unit: Likewise, for the decoder.
            upsampling: Makes an upsampling block from coarse and skip channels.
            in_channels: Channels of an image.
            classes: Classes a pixel can have, background first.
            width: Channels of the first level.
            generator: Source of the initial weights; None takes PyTorch's own.
        """
        super().__init__()
        require_counts(in_channels=in_channels, classes=classes, width=width)
        channels = [width * 2**level for level in range(LEVELS)]
        finer, coarser = channels[:-1], channels[1:]
        self.encoder = nn.ModuleList(
            encoder_unit(before, after) for before, after in zip([in_channels, *finer], channels, strict=True)
        )
        self.upsampling = nn.ModuleList(
            upsampling(coarse, skip) for coarse, skip in zip(coarser[::-1], finer[::-1], strict=True)
        )
        self.decoder = nn.ModuleList(decoder_unit(2 * skip, skip) for skip in finer[::-1])
        self.classifier = nn.Conv2d(width, classes, kernel_size=1)
        initialise(self, generator=generator)

    def forward(self, images: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b classes h w"]:
        """Logits of the classes.

        Args:
            images: Prepared images; rows and columns are multiples of 16.

        Returns:
            Logits on the images' grid, background first.
        """
        require_multiples(images, stride=STRIDE)
        features = self.encoder[0](images)  # (b, width, h, w)
        skips = []
        for unit in self.encoder[1:]:
            skips.append(features)
            features = unit(functional.max_pool2d(features, 2))  # channels x 2, rows and columns / 2
        for block, unit in zip(self.upsampling, self.decoder, strict=True):
            features = unit(block(features, skips.pop()))  # channels / 2, rows and columns x 2
        logits: Tensor = self.classifier(features)
        return logits


def require_counts(*, in_channels: int, classes: int, width: int) -> None:
    """Refuse counts that make no network.

    Args:
        in_channels: Channels of an image.
        classes: Classes a pixel can have.
        width: Channels of the first level.

    Raises:
        ValueError: A count is too small.
    """
    if min(in_channels, width) < 1 or classes < 2:
        msg = (
            f"a network needs at least 1 input channel, 2 classes and a width of 1;"
            f" got {in_channels}, {classes} and {width}"
        )
        raise ValueError(msg)


def initialise(network: nn.Module, *, generator: torch.Generator | None = None) -> None:
    """Draw the weights of all convolutions and fully connected layers from He's normal distribution, biases zero.

    Args:
        network: The network to change in place.
        generator: Source of the numbers; None takes PyTorch's own.
    """
    for layer in network.modules():
        # On PyTorch's device `meta` there are no values to set, and setting them takes its time.
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not layer.weight.is_meta:
            # A transposed convolution's weight has its input channels where the others have their output channels.
            mode: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def mass_probability(logits: Float[Tensor, "b classes h w"], *, temperature: float = 1.0) -> Float[Tensor, "b h w"]:
    """Probability that a pixel belongs to a mass: softmax over the classes, of which the second is the mass.

    Args:
        logits: What the network gave.
        temperature: What the logits are divided by; above 1 the probabilities come nearer to each other.

    Returns:
        Probabilities, calibrated where the temperature was fitted.

    Source:
        Temperature scaling: Guo et al. 2017, arXiv 1706.04599, section 4.2.
    """
    # Not divided by 1: an exported graph would have an operation more.
    scaled = logits if temperature == 1 else logits / temperature
    return torch.softmax(scaled, dim=1)[:, 1]

"""Attention Dense-U-Net: a DenseNet as encoder, and a U-Net's decoder with attention gates on the skip features."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from aunet.models.dense import DenseBlock, activated_convolution
from aunet.models.encoder_decoder import initialise, require_counts
from aunet.models.sizes import require_multiples
from aunet.models.units import basic_unit, convolution
from aunet.models.upsampling import bilinear

BLOCKS = (6, 12, 24, 16)
"""Layers of the dense blocks of DenseNet-121."""
STRIDE = 2 ** (len(BLOCKS) + 1)


class AttentionDenseUNet(nn.Module):
    """Attention Dense-U-Net: Li et al. 2019, doi 10.1109/ACCESS.2019.2914873.

    A densely connected encoder and the decoder of U-Net with attention gates. Our reading, as the abstract is all that
    was at hand: the encoder is DenseNet-121 (Huang et al. 2017, doi 10.1109/CVPR.2017.243) without its classifier;
    the gates are those of Oktay et al. 2018, arXiv:1804.03999; the decoder has 8, 4, 2 and 1 times `width` channels, a
    basic unit at each level, and one convolution more on the way from half size to full size, where no skip features
    are. Upsampling is bilinear with a convolution, as in all networks that Sun et al. 2020 compare. A width of 64 is
    DenseNet-121 with 64 channels after its first convolution and 32 more with each layer.

    Differs:
        Convolutions of DenseNet-121 have no biases; these have, as all networks here. The skip features are those at
        the end of the dense blocks, before the batch normalisation and ReLU of the transitions.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        classes: int = 2,
        width: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        """Put the network together.

        Args:
            in_channels: Channels of an image.
            classes: Classes a pixel can have, background first.
            width: Channels after the first convolution, twice those that each dense layer adds.
            generator: Source of the initial weights; None takes PyTorch's own.
        """
        super().__init__()
        require_counts(in_channels=in_channels, classes=classes, width=width)
        growth = max(1, width // 2)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.dense, self.shrink, self.grow = (nn.ModuleList() for _ in range(3))
        block = partial(DenseBlock, growth=growth, layer=_bottleneck_layer)
        channels, skips = width, [width]
        for layers in BLOCKS[:-1]:
            self.dense.append(block(channels, layers=layers))
            skips.append(channels + layers * growth)
            channels = skips[-1] // 2
            self.shrink.append(activated_convolution(skips[-1], channels, kernel_size=1))
        self.bottom = block(channels, layers=BLOCKS[-1])
        channels += BLOCKS[-1] * growth
        self.normalise = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        for skip, level in zip(skips[::-1], (8, 4, 2, 1), strict=True):
            self.grow.append(GatedUpsampling(channels, skip, level * width))
            channels = level * width
        self.last = convolution(width, width)
        self.classifier = nn.Conv2d(width, classes, kernel_size=1)
        initialise(self, generator=generator)

    def forward(self, images: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b classes h w"]:
        """Logits of the classes.

        Args:
            images: Prepared images; rows and columns are multiples of 32.

        Returns:
            Logits on the images' grid, background first.
        """
        require_multiples(images, stride=STRIDE)
        skips = [self.stem(images)]  # (b, width, h / 2, w / 2)
        features = functional.max_pool2d(skips[0], kernel_size=3, stride=2, padding=1)  # (b, width, h / 4, w / 4)
        for block, transition in zip(self.dense, self.shrink, strict=True):
            skips.append(block(features))
            features = functional.avg_pool2d(transition(skips[-1]), 2)  # rows and columns / 2
        features = self.normalise(self.bottom(features))  # (b, c, h / 32, w / 32)
        for upsampling in self.grow:
            features = upsampling(features, skips.pop())  # rows and columns x 2
        logits: Tensor = self.classifier(self.last(bilinear(features)))
        return logits


class GatedUpsampling(nn.Module):
    """Bilinear x 2 and a convolution, concatenation with the gated skip features, and a basic unit."""

    def __init__(self, coarse_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = convolution(coarse_channels, out_channels)
        self.gate = AttentionGate(out_channels, skip_channels)
        self.unit = basic_unit(out_channels + skip_channels, out_channels)

    def forward(
        self,
        coarse: Float[Tensor, "b c_coarse h w"],
        skip: Float[Tensor, "b c_skip 2*h 2*w"],
    ) -> Float[Tensor, "b c_out 2*h 2*w"]:
        """Features at twice the size."""
        upsampled = self.convolution(bilinear(coarse))  # (b, c_out, 2h, 2w)
        features: Tensor = self.unit(torch.cat([self.gate(upsampled, skip), upsampled], dim=1))
        return features


class AttentionGate(nn.Module):
    """Skip features scaled pixel by pixel with weights in (0, 1) (Oktay et al. 2018, arXiv:1804.03999, figure 2).

    Differs:
        The original works at the size of the coarse features and interpolates the weights. Here the coarse features
        come upsampled, and the weights are those of every pixel. Batch normalisation follows each of the gate's three
        convolutions, where the figure has none.
    """

    def __init__(self, coarse_channels: int, skip_channels: int) -> None:
        super().__init__()
        between = max(1, skip_channels // 2)
        self.of_coarse = nn.Sequential(nn.Conv2d(coarse_channels, between, kernel_size=1), nn.BatchNorm2d(between))
        self.of_skip = nn.Sequential(nn.Conv2d(skip_channels, between, kernel_size=1), nn.BatchNorm2d(between))
        self.weight = nn.Sequential(nn.Conv2d(between, 1, kernel_size=1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(
        self,
        coarse: Float[Tensor, "b c_coarse h w"],
        skip: Float[Tensor, "b c_skip h w"],
    ) -> Float[Tensor, "b c_skip h w"]:
        """The weighted skip features."""
        weight: Tensor = self.weight(functional.relu(self.of_coarse(coarse) + self.of_skip(skip)))  # (b, 1, h, w)
        return weight * skip


def _bottleneck_layer(in_channels: int, growth: int) -> nn.Sequential:
    """A layer of DenseNet-B: a convolution 1 x 1 to four times the growth, then one of 3 x 3."""
    return nn.Sequential(
        activated_convolution(in_channels, 4 * growth, kernel_size=1),
        activated_convolution(4 * growth, growth, kernel_size=3),
    )

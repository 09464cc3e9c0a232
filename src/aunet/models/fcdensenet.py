"""Fully convolutional DenseNets: FCDenseNet103, and ASPP-FC-DenseNet with atrous convolutions at its bottom."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from aunet.models.dense import DenseBlock, LayerFactory, activated, activated_convolution
from aunet.models.encoder_decoder import initialise, require_counts
from aunet.models.sizes import require_multiples
from aunet.models.upsampling import bilinear

BLOCKS = (4, 5, 7, 10, 12)
"""Layers of the dense blocks on the way down; the same on the way up, in reverse."""
BOTTOM = 15
"""Layers of the dense block between them."""
STRIDE = 2 ** len(BLOCKS)
RATES = (1, 2, 3, 4)
"""Atrous rates of ASPP-FC-DenseNet: together they see 9 x 9 pixels, all of the 8 x 8 to which 256 x 256 shrink."""


class FCDenseNet(nn.Module):
    """Dense blocks down and up again, with 103 convolutions (Jégou et al. 2017, doi 10.1109/CVPRW.2017.156).

    A width of 64 is the published network: 48 channels after the first convolution and 16 more with each layer; other
    widths scale both, 3/4 and 1/4 of the width, rounded, and 1 at least.

    Differs:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, upsample bilinearly in all networks that they compare, where the
        original has a transposed convolution. A transition up here is bilinear x 2 and a convolution 3 x 3, without
        batch normalisation, from all features of the block below, its input included, to as many as that block has
        new ones. Their text doesn't say so: it is the reading that gives their count of 13.9 million parameters. They
        don't mention dropout; it is the original's, 0.2 after every convolution of layers and transitions down.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        classes: int = 2,
        width: int = 64,
        dropout: float = 0.2,
        bottom_layer: LayerFactory | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Put the network together.

        Args:
            in_channels: Channels of an image.
            classes: Classes a pixel can have, background first.
            width: Four times the channels that each layer adds.
            dropout: How often a channel is set to zero in training; 0 for never.
            bottom_layer: Makes what stands for the convolution 3 x 3 in each layer of the bottom, from its input and
                output channels; None for that convolution.
            generator: Source of the initial weights; None takes PyTorch's own.

        Raises:
            ValueError: A count is too small, or the dropout is no share.
        """
        super().__init__()
        require_counts(in_channels=in_channels, classes=classes, width=width)
        if not 0 <= dropout < 1:
            msg = f"a dropout of {dropout} is no share of the channels; take 0 or more, and less than 1"
            raise ValueError(msg)
        growth, channels = max(1, round(width / 4)), max(1, round(width * 3 / 4))
        layer = partial(activated_convolution, kernel_size=3, dropout=dropout)
        block = partial(DenseBlock, growth=growth, layer=layer)
        self.first = nn.Conv2d(in_channels, channels, kernel_size=3, padding=1)
        self.down, self.shrink, self.grow, self.up = (nn.ModuleList() for _ in range(4))
        skips = []
        for layers in BLOCKS:
            self.down.append(block(channels, layers=layers))
            channels += layers * growth
            skips.append(channels)
            self.shrink.append(activated_convolution(channels, channels, kernel_size=1, dropout=dropout))
        at_bottom = layer if bottom_layer is None else partial(_activated_layer, bottom_layer, dropout=dropout)
        self.bottom = block(channels, layers=BOTTOM, layer=at_bottom)
        channels += BOTTOM * growth
        below = (BOTTOM, *BLOCKS[:0:-1])
        for layers, layers_below, skip in zip(BLOCKS[::-1], below, skips[::-1], strict=True):
            self.grow.append(nn.Conv2d(channels, layers_below * growth, kernel_size=3, padding=1))
            channels = skip + layers_below * growth
            self.up.append(block(channels, layers=layers))
            channels += layers * growth
        self.classifier = nn.Conv2d(channels, classes, kernel_size=1)
        initialise(self, generator=generator)

    def forward(self, images: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b classes h w"]:
        """Logits of the classes.

        Args:
            images: Prepared images; rows and columns are multiples of 32.

        Returns:
            Logits on the images' grid, background first.
        """
        require_multiples(images, stride=STRIDE)
        features = self.first(images)  # (b, 3/4 width, h, w)
        skips = []
        for block, transition in zip(self.down, self.shrink, strict=True):
            skips.append(block(features))
            features = functional.max_pool2d(transition(skips[-1]), 2)  # rows and columns / 2
        features = self.bottom(features)  # (b, c, h / 32, w / 32)
        for transition, block in zip(self.grow, self.up, strict=True):
            upsampled = transition(bilinear(features))  # rows and columns x 2
            features = block(torch.cat([skips.pop(), upsampled], dim=1))
        logits: Tensor = self.classifier(features)
        return logits


class AtrousPyramid(nn.Module):
    """Parallel atrous convolutions 3 x 3, an even share of the output channels each, concatenated (ASPP).

    As many parameters as one ordinary convolution 3 x 3, and fields of view of several sizes. Channels that can't be
    shared evenly go to the lower rates.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        shares = [(out_channels + number) // len(RATES) for number in reversed(range(len(RATES)))]
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, share, kernel_size=3, padding=rate, dilation=rate)
            for rate, share in zip(RATES, shares, strict=True)
            if share
        )

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """Features of the same size."""
        return torch.cat([branch(features) for branch in self.branches], dim=1)


def _activated_layer(make: LayerFactory, in_channels: int, out_channels: int, *, dropout: float) -> nn.Sequential:
    return activated(make(in_channels, out_channels), in_channels=in_channels, dropout=dropout)


ASPPFCDenseNet = partial(FCDenseNet, bottom_layer=AtrousPyramid)
"""ASPP-FC-DenseNet: Hai et al. 2019, doi 10.1155/2019/8415485.

A fully convolutional DenseNet in which features of atrous convolutions at several rates are concatenated "without
adding additional number of parameters". Our reading, as the abstract is all that was at hand: the blocks are those of
FCDenseNet103, and in each layer of the dense block at the bottom the convolution 3 x 3 gives way to four atrous ones,
at the rates 1, 2, 3 and 4, with a quarter of its channels each. It has as many parameters as FCDenseNet103.
"""

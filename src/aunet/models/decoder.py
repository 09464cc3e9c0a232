"""The decoder of AUNet on the features of any encoder."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aunet.models.encoder_decoder import initialise
from aunet.models.units import basic_unit
from aunet.models.upsampling import AttentionUpsampling, bilinear

_FEWEST_CHANNELS = 16
"""Above the encoder's finest features, channels are not halved below this."""


class AUDecoder(nn.Module):
    """AU blocks, each with a basic unit, from an encoder's coarsest features to its finest, and on to the images' grid.

    Sun et al. 2020, doi 10.1088/1361-6560/ab5745, figures 2a and 3b: "the proposed AU block ... can be applied to any
    encoder-decoder architecture". On features of 64, 128, 256, 512 and 1024 channels whose finest have stride 1 this is
    the decoder of AUNet.

    Differs:
        The paper's encoder has features on the images' own grid. Those of most others begin at stride 2 or 4. An AU
        block needs skip features, and there are none finer: from there on, each doubling is bilinear, followed by a
        basic unit that halves the channels (down to 16).
    """

    def __init__(
        self,
        encoder_channels: Sequence[int],
        *,
        stride: int,
        classes: int = 2,
        reduction: int = 16,
        generator: torch.Generator | None = None,
    ) -> None:
        """Put the decoder together.

        Args:
            encoder_channels: Channels of the encoder's features, finest first.
            stride: Pixels of an image along one pixel of the finest features: 1, 2, 4, ...
            classes: Classes a pixel can have, background first.
            reduction: The paper's r.
            generator: Source of the initial weights; None takes PyTorch's own.

        Raises:
            ValueError: There are fewer than two features, or the stride is no power of two.
        """
        super().__init__()
        if len(encoder_channels) < 2 or min(encoder_channels) < 1:
            msg = f"an encoder with features of {list(encoder_channels)} channels; two or more features are needed"
            raise ValueError(msg)
        if stride < 1 or stride & (stride - 1):
            msg = f"the finest features have a stride of {stride}; it has to be a power of two"
            raise ValueError(msg)
        levels = list(pairwise(encoder_channels))[::-1]
        self.upsampling = nn.ModuleList(
            AttentionUpsampling(coarse, skip, reduction=reduction) for skip, coarse in levels
        )
        self.decoder = nn.ModuleList(basic_unit(2 * skip, skip) for skip, _ in levels)
        channels = [encoder_channels[0]]
        for _ in range(stride.bit_length() - 1):
            channels.append(max(channels[-1] // 2, min(channels[-1], _FEWEST_CHANNELS)))
        self.finest = nn.ModuleList(basic_unit(before, after) for before, after in pairwise(channels))
        self.classifier = nn.Conv2d(channels[-1], classes, kernel_size=1)
        initialise(self, generator=generator)

    def forward(self, pyramid: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b classes h w"]:
        """Logits of the classes.

        Args:
            pyramid: The encoder's features, finest first, each with half the rows and columns of the one before.

        Returns:
            Logits on the images' grid, background first.
        """
        *skips, features = pyramid
        for block, unit in zip(self.upsampling, self.decoder, strict=True):
            features = unit(block(features, skips.pop()))  # (b, c_skip, 2h, 2w)
        for unit in self.finest:
            features = unit(bilinear(features))  # channels / 2, rows and columns x 2
        logits: Tensor = self.classifier(features)
        return logits

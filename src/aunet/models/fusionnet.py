"""FusionNet: a UNet of residual units whose features are summed instead of concatenated.

Quan, Hildebrand and Jeong 2016, arXiv:1612.05360, as Sun et al. 2020, doi 10.1088/1361-6560/ab5745, compare with it.
"""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from aunet.models.encoder_decoder import EncoderDecoder
from aunet.models.units import convolution
from aunet.models.upsampling import bilinear


class FusionUnit(nn.Module):
    """Five convolutions, a shortcut around the three in the middle.

    Differs:
        The original adds without an activation. Here ReLU follows the sum, as in the res unit of Sun et al. 2020, who
        have it follow every convolution "unless otherwise specified".
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = convolution(in_channels, out_channels)
        self.residual = nn.Sequential(
            convolution(out_channels, out_channels),
            convolution(out_channels, out_channels),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(out_channels),
        )
        self.last = convolution(out_channels, out_channels)

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """Features of the same size."""
        shortcut = self.first(features)  # (b, c_out, h, w)
        fused: Tensor = self.last(functional.relu(self.residual(shortcut) + shortcut))
        return fused


class SummedUpsampling(nn.Module):
    """Bilinear x 2 and a convolution to n channels, summed with the n skip features.

    Differs:
        The original has a transposed convolution; Sun et al. 2020 upsample bilinearly in all networks.
    """

    def __init__(self, coarse_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.convolution = convolution(coarse_channels, skip_channels)

    def forward(
        self,
        coarse: Float[Tensor, "b c_coarse h w"],
        skip: Float[Tensor, "b n 2*h 2*w"],
    ) -> Float[Tensor, "b n 2*h 2*w"]:
        """The sum of both features."""
        upsampled: Tensor = self.convolution(bilinear(coarse))  # (b, n, 2h, 2w)
        return upsampled + skip


def _decoder_unit(_joined_channels: int, skip_channels: int) -> FusionUnit:
    """A unit for the n channels of a sum; a concatenation would have 2n."""
    return FusionUnit(skip_channels, skip_channels)


FusionNet = partial(EncoderDecoder, FusionUnit, _decoder_unit, SummedUpsampling)
"""An encoder and decoder of fusion units; takes the keywords of `EncoderDecoder`."""

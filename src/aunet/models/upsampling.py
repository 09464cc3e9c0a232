"""The blocks that bring a decoder's features to the next finer level and join them with the encoder's.

Sun et al. 2020, doi 10.1088/1361-6560/ab5745, figure 3. Both blocks take coarse (high-level) features and the skip
(low-level) features of n channels at twice the size, and give 2n channels at that size.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from aunet.models.units import convolution

UpsamplingFactory = Callable[[int, int], nn.Module]


class BilinearUpsampling(nn.Module):
    """The BU block (figure 3a): bilinear x 2, convolution to n channels, concatenation with the skip features."""

    def __init__(self, coarse_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.convolution = convolution(coarse_channels, skip_channels)

    def forward(
        self,
        coarse: Float[Tensor, "b c_coarse h w"],
        skip: Float[Tensor, "b n 2*h 2*w"],
    ) -> Float[Tensor, "b 2*n 2*h 2*w"]:
        """Both features joined."""
        upsampled = self.convolution(bilinear(coarse))  # (b, n, 2h, 2w)
        return torch.cat([skip, upsampled], dim=1)


class TransposedUpsampling(nn.Module):
    """Transposed convolution 2 x 2 to n channels at twice the size, concatenation with the skip features.

    The upsampling of Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28, that table S1 lays beside the BU block.
    The paper doesn't describe it further; batch normalisation and ReLU follow, as they do on every convolution there.
    """

    def __init__(self, coarse_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.transposed = nn.Sequential(
            nn.ConvTranspose2d(coarse_channels, skip_channels, kernel_size=2, stride=2),
            nn.BatchNorm2d(skip_channels),
            nn.ReLU(inplace=True),
        )

    def forward(
        self,
        coarse: Float[Tensor, "b c_coarse h w"],
        skip: Float[Tensor, "b n 2*h 2*w"],
    ) -> Float[Tensor, "b 2*n 2*h 2*w"]:
        """Both features joined."""
        return torch.cat([skip, self.transposed(coarse)], dim=1)


class AttentionUpsampling(nn.Module):
    """The AU block (figure 3b): attention-guided dense upsampling.

    Dense upsampling (a convolution to 4n channels, then pixel shuffle) is summed with the skip features and smoothed by
    a convolution; bilinear upsampling with a convolution is concatenated; channel attention scales the 2n channels.

    Differs:
        Equation 6 prints the output as S_c * Z_c, a number for each channel. Meant is S_c * F_concat,c, the whole map,
        as in the squeeze-and-excitation networks it cites (Hu et al. 2018): only a map can enter the unit that follows.
    """

    def __init__(self, coarse_channels: int, skip_channels: int, *, reduction: int) -> None:
        super().__init__()
        self.bilinear = convolution(coarse_channels, skip_channels)
        self.dense = nn.Sequential(convolution(coarse_channels, 4 * skip_channels), nn.PixelShuffle(2))
        self.smooth = convolution(skip_channels, skip_channels)
        self.attention = ChannelAttention(2 * skip_channels, reduction=reduction)

    def forward(
        self,
        coarse: Float[Tensor, "b c_coarse h w"],
        skip: Float[Tensor, "b n 2*h 2*w"],
    ) -> Float[Tensor, "b 2*n 2*h 2*w"]:
        """Both features joined, their channels weighted."""
        upsampled = self.bilinear(bilinear(coarse))  # (b, n, 2h, 2w)
        summed = self.dense(coarse) + skip  # (b, n, 2h, 2w)
        joined = torch.cat([self.smooth(summed), upsampled], dim=1)  # (b, 2n, 2h, 2w)
        weighted: Tensor = self.attention(joined)
        return weighted


class ChannelAttention(nn.Module):
    """Channels scaled by weights in (0, 1) that come from their means (equations 4-6; squeeze and excitation)."""

    def __init__(self, channels: int, *, reduction: int) -> None:
        """Set up the two fully connected layers.

        Args:
            channels: Channels to be weighted, 2n.
            reduction: The paper's r; the first layer has 2n // r outputs, and 1 at least.

        Raises:
            ValueError: The reduction is not positive.
        """
        super().__init__()
        if reduction < 1:
            msg = f"a reduction of {reduction} squeezes nothing; take 1 or more"
            raise ValueError(msg)
        squeezed = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, squeezed)
        self.excite = nn.Linear(squeezed, channels)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The weighted features."""
        means = features.mean(dim=(2, 3))  # (b, c)
        weights = torch.sigmoid(self.excite(functional.relu(self.squeeze(means))))  # (b, c)
        return features * weights[:, :, None, None]


def bilinear(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
    """Features at twice the size, interpolated so that the corner pixels' centres keep their values."""
    return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=True)

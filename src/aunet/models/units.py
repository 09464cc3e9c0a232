"""The units that an encoder or decoder is built of: basic, deep and res.

Every convolution is 3 x 3 with a bias, followed by batch normalisation and ReLU. Sun et al. 2020,
doi 10.1088/1361-6560/ab5745, figure 2 (b)-(d), equations 1-3.
"""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

UnitName = Literal["basic", "deep", "res"]
UnitFactory = Callable[[int, int], nn.Module]


def convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """Convolution 3 x 3, batch normalisation, ReLU; rows and columns stay."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def basic_unit(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two convolutions (equation 1)."""
    return nn.Sequential(convolution(in_channels, out_channels), convolution(out_channels, out_channels))


def deep_unit(in_channels: int, out_channels: int) -> nn.Sequential:
    """Three convolutions (equation 2)."""
    return nn.Sequential(
        convolution(in_channels, out_channels),
        convolution(out_channels, out_channels),
        convolution(out_channels, out_channels),
    )


class ResUnit(nn.Module):
    """Three convolutions, a shortcut around the last two (equation 3).

    y = relu(BN(conv3(relu(BN(conv2(a))))) + a) with a = relu(BN(conv1(x))).

    Differs:
        Equation 3 prints the shortcut as W_r1 * x + b_r1, the first convolution before its ReLU. The shortcut here is
        the first convolution's activation, the reading that fits the rule that every convolution is followed by batch
        normalisation and ReLU. The layers and parameters are those of the deep unit either way.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = convolution(in_channels, out_channels)
        self.second = convolution(out_channels, out_channels)
        self.third = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
            nn.BatchNorm2d(out_channels),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """Features of the same size."""
        shortcut = self.first(features)  # (b, c_out, h, w)
        residual = self.third(self.second(shortcut))
        activated: Tensor = self.activation(residual + shortcut)
        return activated


UNITS: dict[UnitName, UnitFactory] = {"basic": basic_unit, "deep": deep_unit, "res": ResUnit}

"""Dense blocks: layers that each see all features before them. Huang et al. 2017, doi 10.1109/CVPR.2017.243."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

LayerFactory = Callable[[int, int], nn.Module]


class DenseBlock(nn.Module):
    """Layers that each take the block's input and all new features so far, and add `growth` new ones."""

    def __init__(self, in_channels: int, *, layers: int, growth: int, layer: LayerFactory) -> None:
        """Put the block together.

        Args:
            in_channels: Channels of the block's input.
            layers: Number of layers.
            growth: New channels of each layer.
            layer: Makes a layer from its input and output channels.
        """
        super().__init__()
        self.layers = nn.ModuleList(layer(in_channels + number * growth, growth) for number in range(layers))

    def forward(self, features: Float[Tensor, "b c_in h w"]) -> Float[Tensor, "b c_out h w"]:
        """The input and the new features, in this order."""
        for layer in self.layers:
            features = torch.cat([features, layer(features)], dim=1)  # channels + growth
        return features


def activated_convolution(
    in_channels: int, out_channels: int, *, kernel_size: int, dropout: float = 0.0
) -> nn.Sequential:
    """Batch normalisation, ReLU, a convolution, and dropout of whole channels; rows and columns stay."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    return activated(layer, in_channels=in_channels, dropout=dropout)


def activated(layer: nn.Module, *, in_channels: int, dropout: float = 0.0) -> nn.Sequential:
    """Batch normalisation, ReLU, a layer on these, and dropout of whole channels."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        layer,
        *([nn.Dropout2d(dropout)] if dropout else []),
    )

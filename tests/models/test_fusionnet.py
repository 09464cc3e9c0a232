"""FusionNet's parts: a unit of five convolutions, and sums instead of concatenations."""

import torch
from torch import nn

from aunet.models.fusionnet import FusionUnit, SummedUpsampling
from aunet.models.upsampling import bilinear


def features(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_unit_has_five_convolutions_and_a_shortcut_around_the_middle_three() -> None:
    unit = FusionUnit(2, 3).eval()
    image = features(1, 2, 6, 6, seed=1)

    fused = unit(image)

    shortcut = unit.first(image)
    torch.testing.assert_close(fused, unit.last((unit.residual(shortcut) + shortcut).clamp(min=0)))
    assert sum(isinstance(layer, nn.Conv2d) for layer in unit.residual.modules()) == 3
    assert sum(isinstance(layer, nn.Conv2d) for layer in unit.modules()) == 5


def test_upsampled_and_skip_features_are_summed() -> None:
    block = SummedUpsampling(4, 3).eval()
    coarse, skip = features(1, 4, 3, 5, seed=1), features(1, 3, 6, 10, seed=2)

    summed = block(coarse, skip)

    torch.testing.assert_close(summed - skip, block.convolution(bilinear(coarse)))

"""Upsampling blocks against calculations that share none of their code."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from aunet.models.upsampling import (
    AttentionUpsampling,
    BilinearUpsampling,
    ChannelAttention,
    TransposedUpsampling,
    bilinear,
)


def features(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stirred(block: nn.Module) -> nn.Module:
    """The block, in evaluation mode, with no weight or running statistic at a simple value."""
    generator = torch.Generator().manual_seed(3)
    for weight in block.parameters():
        nn.init.normal_(weight, std=0.5, generator=generator)
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean, generator=generator)
            nn.init.uniform_(layer.running_var, 0.5, 2.0, generator=generator)
    return block.eval()


def convolved(block: nn.Module, prefix: str, image: torch.Tensor) -> torch.Tensor:
    """Convolution 3 x 3, batch normalisation, ReLU with the weights under a name."""
    weight = block.state_dict()
    result = functional.conv2d(image, weight[f"{prefix}.0.weight"], weight[f"{prefix}.0.bias"], padding=1)
    scale = weight[f"{prefix}.1.weight"] / torch.sqrt(weight[f"{prefix}.1.running_var"] + 1e-5)
    shift = weight[f"{prefix}.1.bias"] - weight[f"{prefix}.1.running_mean"] * scale
    activated: torch.Tensor = (result * scale[:, None, None] + shift[:, None, None]).clamp(min=0)
    return activated


def twice(image: torch.Tensor) -> torch.Tensor:
    """Bilinear interpolation to twice the size, corner pixels' centres fixed, as two matrices."""

    def matrix(size: int) -> torch.Tensor:
        places = np.linspace(0, size - 1, 2 * size)
        return torch.from_numpy(np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size)))).float()

    return torch.einsum("ri,bcij,sj->bcrs", matrix(image.shape[2]), image, matrix(image.shape[3]))


def shuffled(image: torch.Tensor) -> torch.Tensor:
    """Four channels to one of twice the size: channel 4c + 2i + j goes to rows 2h + i, columns 2w + j."""
    batch, channels, rows, columns = image.shape
    result = torch.zeros(batch, channels // 4, 2 * rows, 2 * columns)
    for i in range(2):
        for j in range(2):
            result[:, :, i::2, j::2] = image[:, 2 * i + j :: 4]
    return result


def test_bilinear_upsampling_is_that_of_the_matrices() -> None:
    image = features(2, 3, 4, 5, seed=1)

    torch.testing.assert_close(bilinear(image), twice(image))


def test_the_bu_block_joins_skip_and_upsampled_features() -> None:
    block = stirred(BilinearUpsampling(8, 4))
    coarse, skip = features(2, 8, 3, 4, seed=1), features(2, 4, 6, 8, seed=2)

    joined = block(coarse, skip)

    expected = torch.cat([skip, convolved(block, "convolution", twice(coarse))], dim=1)
    torch.testing.assert_close(joined, expected, rtol=1e-4, atol=1e-4)


def test_a_transposed_convolution_spreads_each_coarse_pixel_over_two_by_two() -> None:
    block = TransposedUpsampling(2, 3).eval()
    coarse, skip = features(1, 2, 3, 4, seed=1), features(1, 3, 6, 8, seed=2)

    joined = block(coarse, skip)

    weight = block.state_dict()
    spread = torch.einsum("bihw,iorc->bohrwc", coarse, weight["transposed.0.weight"]).reshape(1, 3, 6, 8)
    upsampled = (spread + weight["transposed.0.bias"][None, :, None, None]).clamp(min=0)
    torch.testing.assert_close(joined, torch.cat([skip, upsampled], dim=1), rtol=1e-4, atol=1e-4)


def test_the_au_block_is_figure_3b() -> None:
    block = stirred(AttentionUpsampling(8, 4, reduction=2))
    coarse, skip = features(2, 8, 3, 4, seed=1), features(2, 4, 6, 8, seed=2)

    weighted = block(coarse, skip)

    by_bilinear = convolved(block, "bilinear", twice(coarse))
    by_dense = shuffled(convolved(block, "dense.0", coarse))
    joined = torch.cat([convolved(block, "smooth", by_dense + skip), by_bilinear], dim=1)
    weight = block.state_dict()
    z = joined.mean(dim=3).mean(dim=2)
    hidden = (z @ weight["attention.squeeze.weight"].T + weight["attention.squeeze.bias"]).clamp(min=0)
    logits = hidden @ weight["attention.excite.weight"].T + weight["attention.excite.bias"]
    expected = joined / (1 + torch.exp(-logits))[:, :, None, None]
    torch.testing.assert_close(weighted, expected, rtol=1e-4, atol=1e-4)


def test_the_attention_keeps_the_map_and_not_only_its_mean() -> None:
    attention = ChannelAttention(4, reduction=2)
    image = features(1, 4, 3, 3, seed=1)

    ratio = attention(image) / image

    assert ratio.std(dim=(2, 3)).max().item() < 1e-6
    assert (ratio > 0).all()
    assert (ratio < 1).all()


@pytest.mark.parametrize(("reduction", "squeezed"), [(1, 8), (2, 4), (3, 2), (8, 1), (9, 1), (100, 1)])
def test_any_reduction_leaves_one_channel_at_least(reduction: int, squeezed: int) -> None:
    attention = ChannelAttention(8, reduction=reduction)

    assert attention.squeeze.out_features == squeezed


@pytest.mark.parametrize("reduction", [-1, 0])
def test_a_reduction_that_is_none_is_refused(reduction: int) -> None:
    with pytest.raises(ValueError, match=f"a reduction of {reduction} squeezes nothing; take 1 or more"):
        ChannelAttention(8, reduction=reduction)

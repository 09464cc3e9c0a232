"""Attention Dense-U-Net: its encoder is DenseNet-121, its gates weigh pixels."""

import torch
from torch import nn

from aunet.models.attention_dense_unet import AttentionDenseUNet, AttentionGate, GatedUpsampling
from aunet.models.upsampling import bilinear


def features(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_encoder_is_densenet_121_without_its_classifier() -> None:
    with torch.device("meta"):
        network = AttentionDenseUNet()

    encoder = nn.ModuleList([network.stem, network.dense, network.shrink, network.bottom, network.normalise])

    assert sum(isinstance(layer, nn.Conv2d) for layer in encoder.modules()) == 121 - 1
    biases = sum(layer.out_channels for layer in encoder.modules() if isinstance(layer, nn.Conv2d))
    # DenseNet-121 has 7,978,856 parameters, 1,025,000 of them in its classifier, and no biases of convolutions.
    assert sum(weight.numel() for weight in encoder.parameters()) - biases == 7_978_856 - 1_025_000


def test_a_gate_weighs_each_pixel_of_the_skip_features_alike_in_all_channels() -> None:
    gate = AttentionGate(4, 3).eval()
    coarse, skip = features(2, 4, 5, 6, seed=1), features(2, 3, 5, 6, seed=2)

    weights = gate(coarse, skip) / skip

    assert ((weights > 0) & (weights < 1)).all()
    torch.testing.assert_close(weights, weights[:, :1].expand_as(weights))
    assert weights[:, 0].std() > 0.01


def test_the_gate_is_closed_by_the_coarse_features() -> None:
    gate = AttentionGate(1, 1).eval()
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.zero_()
        gate.get_parameter("of_coarse.0.weight").fill_(1.0)
        gate.get_parameter("of_coarse.1.weight").fill_(1.0)
        gate.get_parameter("weight.0.weight").fill_(-1.0)
        gate.get_parameter("weight.1.weight").fill_(1.0)
    coarse, skip = torch.tensor([[[[0.0, 50.0]]]]), torch.tensor([[[[3.0, 3.0]]]])

    gated = gate(coarse, skip)

    torch.testing.assert_close(gated, torch.tensor([[[[1.5, 0.0]]]]))


def test_gated_skip_features_stand_before_the_upsampled_ones() -> None:
    block = GatedUpsampling(6, 3, 4).eval()
    coarse, skip = features(1, 6, 2, 3, seed=1), features(1, 3, 4, 6, seed=2)

    joined = block(coarse, skip)

    upsampled = block.convolution(bilinear(coarse))
    torch.testing.assert_close(joined, block.unit(torch.cat([block.gate(upsampled, skip), upsampled], dim=1)))


def test_every_level_of_the_encoder_is_gated_into_the_decoder() -> None:
    network = AttentionDenseUNet(width=2, in_channels=1, generator=torch.Generator().manual_seed(1))
    sizes = []
    for upsampling in network.grow:
        upsampling.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[1].shape)))

    network(torch.zeros(2, 1, 64, 64))

    assert sizes == [(2, 32, 4, 4), (2, 16, 8, 8), (2, 8, 16, 16), (2, 2, 32, 32)]

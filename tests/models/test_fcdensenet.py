"""The fully convolutional DenseNets: what makes them the published ones, and how they scale."""

import pytest
import torch
from torch import nn

from aunet.models.fcdensenet import ASPPFCDenseNet, AtrousPyramid, FCDenseNet


def meta(width: int) -> FCDenseNet:
    with torch.device("meta"):
        return FCDenseNet(width=width)


@pytest.mark.parametrize(("width", "first", "growth"), [(64, 48, 16), (8, 6, 2), (2, 2, 1), (1, 1, 1)])
def test_first_channels_and_growth_scale_with_the_width(width: int, first: int, growth: int) -> None:
    network = meta(width)

    assert network.first.out_channels == first
    assert network.get_parameter("down.0.layers.1.2.weight").shape == (growth, first + growth, 3, 3)


def test_a_transition_up_takes_all_features_of_the_block_below_to_as_many_as_are_new_there() -> None:
    network = meta(64)

    shapes = [(layer.in_channels, layer.out_channels) for layer in network.grow if isinstance(layer, nn.Conv2d)]

    # After the blocks down: 112, 192, 304, 464, 656 channels; 240 new ones at the bottom.
    assert shapes == [
        (656 + 15 * 16, 15 * 16),
        (656 + 15 * 16 + 12 * 16, 12 * 16),
        (464 + 12 * 16 + 10 * 16, 10 * 16),
        (304 + 10 * 16 + 7 * 16, 7 * 16),
        (192 + 7 * 16 + 5 * 16, 5 * 16),
    ]


def test_dropout_acts_in_training_only() -> None:
    network = FCDenseNet(width=4, in_channels=1, generator=torch.Generator().manual_seed(1))
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))

    training = [network.train()(image) for _ in range(2)]
    evaluation = [network.eval()(image) for _ in range(2)]

    assert not torch.equal(*training)
    assert torch.equal(*evaluation)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_dropout_that_is_no_share_is_refused(dropout: float) -> None:
    with pytest.raises(ValueError, match=f"a dropout of {dropout} is no share"):
        FCDenseNet(width=4, dropout=dropout)


def test_the_pyramid_sees_pixels_at_each_of_its_rates() -> None:
    pyramid = AtrousPyramid(8).eval()
    image = torch.ones(1, 8, 9, 9, requires_grad=True)

    torch.autograd.backward(pyramid(image)[0, :, 4, 4].sum())

    assert image.grad is not None
    seen = image.grad.abs().sum(dim=(0, 1))[4].nonzero().flatten().tolist()
    assert seen == [0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("channels", [4, 7, 8])
def test_the_pyramid_costs_one_ordinary_convolution(channels: int) -> None:
    pyramid = AtrousPyramid(channels)

    convolutions = [layer for layer in pyramid.modules() if isinstance(layer, nn.Conv2d)]

    assert sum(layer.weight.numel() for layer in convolutions) == nn.Conv2d(channels, channels, 3).weight.numel()


def test_the_pyramid_stands_at_the_bottom_of_aspp_fc_densenet() -> None:
    network = ASPPFCDenseNet(width=4, in_channels=1, generator=torch.Generator().manual_seed(1))
    sizes = []
    network.context.register_forward_hook(lambda _, inputs, output: sizes.append((inputs[0].shape, output.shape)))

    network(torch.zeros(2, 1, 64, 96))

    assert [(tuple(given), tuple(found)) for given, found in sizes] == [((2, 56, 2, 3), (2, 56, 2, 3))]

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


def test_the_pyramid_sees_pixels_at_each_of_its_rates_with_an_even_share_of_the_channels() -> None:
    pyramid = AtrousPyramid(3, 8)
    seen = []

    for channel in range(8):
        image = torch.ones(1, 3, 9, 9, requires_grad=True)
        torch.autograd.backward(pyramid(image)[0, channel, 4, 4])
        assert image.grad is not None
        seen.append(image.grad.abs().sum(dim=(0, 1))[4].nonzero().flatten().tolist())

    assert seen == [[3, 4, 5], [3, 4, 5], [2, 4, 6], [2, 4, 6], [1, 4, 7], [1, 4, 7], [0, 4, 8], [0, 4, 8]]


@pytest.mark.parametrize(("channels", "shares"), [(1, [1]), (4, [1, 1, 1, 1]), (7, [2, 2, 2, 1])])
def test_channels_that_can_not_be_shared_evenly_go_to_the_lower_rates(channels: int, shares: list[int]) -> None:
    pyramid = AtrousPyramid(2, channels)

    assert [branch(torch.zeros(1, 2, 4, 4)).shape[1] for branch in pyramid.branches] == shares


@pytest.mark.parametrize("width", [4, 20, 64])
def test_atrous_convolutions_add_no_parameters(width: int) -> None:
    with torch.device("meta"):
        networks = FCDenseNet(width=width), ASPPFCDenseNet(width=width)

    plain, atrous = (sum(weight.numel() for weight in network.parameters()) for network in networks)

    assert atrous == plain


def test_the_atrous_convolutions_are_those_of_the_bottom_and_no_others() -> None:
    with torch.device("meta"):
        network = ASPPFCDenseNet(width=64)

    atrous = {
        (name.split(".")[0], layer.dilation[0], layer.out_channels)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1)
    }

    assert atrous == {("bottom", 2, 4), ("bottom", 3, 4), ("bottom", 4, 4)}


def test_every_rate_of_the_bottom_gets_a_gradient() -> None:
    network = ASPPFCDenseNet(width=16, in_channels=1, dropout=0.0, generator=torch.Generator().manual_seed(1))

    torch.autograd.backward(
        network(torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))).square().mean()
    )

    weights = [weight for name, weight in network.bottom.named_parameters() if name.endswith("weight")]
    assert len(weights) == 15 * (1 + 4)
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)

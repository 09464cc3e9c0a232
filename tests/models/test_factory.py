"""Networks by name: sizes, shapes, gradients, and that they learn."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from aunet.models.card import NetworkSettings
from aunet.models.factory import NETWORK_NAMES, build_network


def small(name: str, *, width: int = 4, reduction: int = 2) -> nn.Module:
    """A network of a few thousand parameters with weights that are the same at every call."""
    settings = NetworkSettings(name=name, in_channels=1, width=width, reduction=reduction)
    return build_network(settings, generator=torch.Generator().manual_seed(1))


def noise(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_there_are_the_nine_backbones_and_aunet() -> None:
    assert len(NETWORK_NAMES) == 10
    assert {"basic-basic", "deep-res", "res-basic", "res-res", "aunet"} <= set(NETWORK_NAMES)


def test_unet_is_another_name_of_basic_basic() -> None:
    images = noise(1, 1, 16, 16)

    logits = [small(name).eval()(images) for name in ("unet", "basic-basic")]

    torch.testing.assert_close(logits[0], logits[1])


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown network 'vnet'; known are unet, basic-basic, .*, aunet"):
        small("vnet")


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_logits_have_two_classes_on_the_grid_of_the_images(name: str) -> None:
    logits = small(name)(noise(2, 1, 32, 48))

    assert logits.shape == (2, 2, 32, 48)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    network = small(name)

    torch.autograd.backward(network(noise(2, 1, 32, 32)).square().mean())

    # A bias before batch normalisation is taken away again: its gradient is nought but for rounding.
    lacking = [label for label, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not lacking


@pytest.mark.parametrize("name", ["unet", "res-basic", "aunet"])
def test_one_image_can_be_learned_by_heart(name: str) -> None:
    network = small(name, width=8)
    image = noise(1, 1, 32, 32)
    mask = torch.zeros(1, 32, 32, dtype=torch.int64)
    mask[0, 5:15, 12:25] = 1
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)

    for _ in range(60):
        optimiser.zero_grad()
        torch.autograd.backward(functional.cross_entropy(network(image), mask))
        optimiser.step()

    prediction = network(image).argmax(dim=1)
    assert (prediction == mask).all()


def test_the_same_generator_gives_the_same_weights() -> None:
    first, second = (small("aunet").state_dict() for _ in range(2))

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_are_drawn_from_he_s_distribution() -> None:
    network = build_network(NetworkSettings(name="unet", width=32), generator=torch.Generator().manual_seed(3))

    weight = network.get_parameter("encoder.2.0.0.weight")  # 64 channels to 128, 3 x 3

    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not network.get_parameter("encoder.2.0.0.bias").any()

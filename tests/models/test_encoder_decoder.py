"""The network's own rules: input sizes, counts, and the probability it means."""

import math

import pytest
import torch
from torch.nn import functional

from aunet.models.encoder_decoder import EncoderDecoder, mass_probability
from aunet.models.units import basic_unit
from aunet.models.upsampling import BilinearUpsampling


def unet(*, in_channels: int = 1, classes: int = 2, width: int = 2) -> EncoderDecoder:
    return EncoderDecoder(
        basic_unit,
        basic_unit,
        BilinearUpsampling,
        in_channels=in_channels,
        classes=classes,
        width=width,
        generator=torch.Generator().manual_seed(7),
    )


@pytest.mark.parametrize(("in_channels", "classes", "width"), [(0, 2, 4), (1, 1, 4), (1, 2, 0), (1, 2, -3)])
def test_too_small_a_network_is_refused(in_channels: int, classes: int, width: int) -> None:
    with pytest.raises(ValueError, match="at least 1 input channel, 2 classes and a width of 1"):
        unet(in_channels=in_channels, classes=classes, width=width)


@pytest.mark.parametrize("classes", [2, 3])
def test_logits_have_as_many_channels_as_classes(classes: int) -> None:
    assert unet(classes=classes)(torch.zeros(2, 1, 16, 32)).shape == (2, classes, 16, 32)


def test_each_level_of_the_encoder_meets_its_own_level_of_the_decoder() -> None:
    network = unet().eval()
    image = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(1))

    logits = network(image)

    encoder, block, decoder = network.encoder, network.upsampling, network.decoder
    first = encoder[0](image)
    second = encoder[1](functional.max_pool2d(first, 2))
    third = encoder[2](functional.max_pool2d(second, 2))
    fourth = encoder[3](functional.max_pool2d(third, 2))
    fifth = encoder[4](functional.max_pool2d(fourth, 2))
    fourth = decoder[0](block[0](fifth, fourth))
    third = decoder[1](block[1](fourth, third))
    second = decoder[2](block[2](third, second))
    first = decoder[3](block[3](second, first))
    torch.testing.assert_close(logits, network.classifier(first))


def test_the_encoder_learns_through_every_skip() -> None:
    network = unet()
    skips: list[torch.Tensor] = []
    for block in network.upsampling:
        block.register_forward_pre_hook(lambda _, inputs: skips.append(inputs[1]))

    logits = network(torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1)))
    gradients = torch.autograd.grad(logits.square().sum(), skips)

    assert [gradient.shape[1] for gradient in gradients] == [16, 8, 4, 2]
    assert all(gradient.any() for gradient in gradients)


def test_a_pixel_sees_the_far_corner_of_the_image() -> None:
    network = unet(width=8).eval()
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1), requires_grad=True)

    torch.autograd.backward(network(image)[0, 1, 0, 0])

    assert image.grad is not None
    assert image.grad[0, 0, 40:, 40:].abs().max() > 0


def test_the_probability_of_mass_is_the_softmax_of_the_second_class() -> None:
    logits = torch.tensor([[[[0.0, 2.0]], [[math.log(3.0), 2.0]]]])

    probability = mass_probability(logits)

    torch.testing.assert_close(probability, torch.tensor([[[0.75, 0.5]]]))


def test_a_temperature_divides_the_logits() -> None:
    logits = torch.tensor([-1.0, 2.0]).reshape(1, 2, 1, 1)

    warm, plain = mass_probability(logits, temperature=2.0), mass_probability(logits, temperature=1.0)

    torch.testing.assert_close(warm, torch.sigmoid(torch.tensor([[[3.0 / 2]]])))
    assert torch.equal(plain, torch.softmax(logits, dim=1)[:, 1])

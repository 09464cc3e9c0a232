"""Networks by name: sizes, shapes, gradients, and that they learn."""

import sys
from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torch.nn import functional

from aunet.errors import MissingExtraError
from aunet.models.card import NetworkSettings
from aunet.models.factory import NETWORK_NAMES, build_network

# Networks that halve their input five times; the others do so four times.
STRIDES = dict.fromkeys(("fcdensenet103", "asppfcdensenet", "attention-dense-unet"), 32)


# A dropped channel learns nothing; of the few channels here, many would be dropped.
WITHOUT_DROPOUT = {key: {"dropout": 0.0} for key in ("fcdensenet103", "asppfcdensenet")}


def small(name: str, *, width: int = 4, reduction: int = 2, arguments: Mapping[str, object] | None = None) -> nn.Module:
    """A network of a few thousand parameters with weights that are the same at every call, and without dropout."""
    if arguments is None:
        arguments = WITHOUT_DROPOUT.get(name, {})
    settings = NetworkSettings(name=name, in_channels=1, width=width, reduction=reduction, arguments=arguments)
    return build_network(settings, generator=torch.Generator().manual_seed(1))


def noise(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def smallest(name: str) -> int:
    """Rows and columns of a small image whose coarsest features are still more than one pixel."""
    return 2 * STRIDES.get(name, 16)


def test_there_are_the_networks_of_the_paper_and_the_two_it_discusses() -> None:
    assert (
        *("unet", "basic-deep-unet", "basic-res-unet", "deep-basic-unet", "deep-deep-unet", "deep-res-unet"),
        *("res-basic-unet", "res-deep-unet", "res-res-unet", "unet-deconv", "fusionnet", "fcdensenet103", "aunet"),
        *("aunet-r2", "aunet-r4", "aunet-r8", "aunet-r32", "asppfcdensenet", "attention-dense-unet"),
    ) == NETWORK_NAMES


@pytest.mark.parametrize("name", ["vnet", "res-basic", "AUNet"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown network '{name}'; known are unet, basic-deep-unet, .* dotted name"):
        small(name)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_an_argument_that_a_network_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"network '{name}' can't be built with the arguments .*depth"):
        small(name, arguments={"depth": 3})


def test_arguments_reach_the_constructor() -> None:
    dropping = [
        sum(isinstance(layer, nn.Dropout2d) for layer in small("fcdensenet103", arguments={"dropout": share}).modules())
        for share in (0.1, 0.0)
    ]

    assert dropping == [4 + 5 + 7 + 10 + 12 + 5 + 15 + 12 + 10 + 7 + 5 + 4, 0]


@pytest.mark.parametrize(("name", "squeezed"), [("aunet", 4), ("aunet-r2", 32), ("aunet-r8", 8), ("aunet-r32", 2)])
def test_the_reduction_is_that_of_the_name_and_for_aunet_that_of_the_settings(name: str, squeezed: int) -> None:
    network = small(name, width=32, reduction=16)

    assert network.get_parameter("upsampling.3.attention.squeeze.bias").shape == (squeezed,)


@pytest.mark.parametrize("name", NETWORK_NAMES)
@pytest.mark.parametrize("width", [1, 3])
def test_logits_have_two_classes_on_the_grid_of_the_images_at_any_width(name: str, width: int) -> None:
    stride = STRIDES.get(name, 16)

    logits = small(name, width=width, reduction=16)(noise(2, 1, 2 * stride, 3 * stride))

    assert logits.shape == (2, 2, 2 * stride, 3 * stride)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_a_size_that_does_not_fit_is_refused_with_the_nearest_that_do(name: str) -> None:
    stride = STRIDES.get(name, 16)

    with pytest.raises(
        ValueError, match=f"multiples of {stride}: .* rows to 64 and its columns to {96 - stride} or 96"
    ):
        small(name)(torch.zeros(1, 1, 64, 95))


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    # In training, batch normalisation takes a bias before it away again, so that its gradient is nought.
    network = small(name).eval()
    with torch.no_grad():  # where r leaves one channel of attention, its ReLU may be off at first
        for label, weight in network.named_parameters():
            if label.endswith("squeeze.bias"):
                weight.fill_(5.0)

    torch.autograd.backward(network(noise(2, 1, smallest(name), smallest(name))).square().mean())

    lacking = [label for label, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not lacking


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_one_image_can_be_learned(name: str) -> None:
    network = small(name)
    side_px = smallest(name)
    mask = torch.zeros(1, side_px, side_px, dtype=torch.int64)
    mask[0, side_px // 4 : side_px // 2, side_px // 3 : 3 * side_px // 4] = 1
    image = noise(1, 1, side_px, side_px) + mask
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)

    for _ in range(100):
        logits = network(image)
        if _overlap(logits, mask) > 0.95:
            break
        optimiser.zero_grad()
        torch.autograd.backward(functional.cross_entropy(logits, mask))
        optimiser.step()

    # No threshold on the image itself gets further than 0.6: the mass is no brighter than the noise is wide.
    assert _overlap(logits, mask) > 0.95
    # For evaluation PyTorch multiplies a variance by n / (n - 1), which is much where one image has four pixels left.
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    network(image.expand(16, -1, -1, -1))
    assert _overlap(network.eval()(image), mask) > 0.9


def _overlap(logits: torch.Tensor, mask: torch.Tensor) -> float:
    """Dice coefficient."""
    prediction = logits.argmax(dim=1)
    return float(2 * (prediction * mask).sum() / (prediction + mask).sum())


def test_the_same_generator_gives_the_same_weights() -> None:
    first, second = (small("aunet").state_dict() for _ in range(2))

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_are_drawn_from_he_s_distribution() -> None:
    network = build_network(NetworkSettings(name="unet", width=32), generator=torch.Generator().manual_seed(3))

    weight = network.get_parameter("encoder.2.0.0.weight")  # 64 channels to 128, 3 x 3

    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not network.get_parameter("encoder.2.0.0.bias").any()


def test_without_timm_its_encoders_are_refused_with_the_extra_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(MissingExtraError, match=r'au-timm .* not installed; pip install "aunet\[encoders\]"'):
        build_network(NetworkSettings(name="au-timm", arguments={"encoder": "resnet34"}))

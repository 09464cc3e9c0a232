"""The AU decoder on pyramids of features: AUNet's own, and those of other encoders."""

import pytest
import torch

from aunet.models.card import NetworkSettings
from aunet.models.decoder import AUDecoder
from aunet.models.factory import build_network


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pyramid(channels: list[int], *, rows: int, columns: int) -> list[torch.Tensor]:
    """Features of two images, the finest with the given rows and columns."""
    return [noise(2, count, rows >> level, columns >> level, seed=level) for level, count in enumerate(channels)]


def test_on_the_features_of_aunet_it_is_the_decoder_of_aunet() -> None:
    aunet = build_network(NetworkSettings(width=4, reduction=2), generator=torch.Generator().manual_seed(1)).eval()
    features = []
    for unit in aunet.get_submodule("encoder").children():
        unit.register_forward_hook(lambda _unit, _inputs, output: features.append(output))

    logits = aunet(noise(1, 3, 32, 48))
    decoder = AUDecoder([4, 8, 16, 32, 64], stride=1, reduction=2).eval()
    weights = {name: weight for name, weight in aunet.state_dict().items() if not name.startswith("encoder")}
    decoder.load_state_dict(weights)

    assert torch.equal(decoder(features), logits)


@pytest.mark.parametrize(
    ("channels", "stride"), [([4, 8], 1), ([6, 6, 10], 2), ([16, 24, 40, 112], 2), ([48, 96, 192], 4), ([5, 3], 8)]
)
def test_logits_are_on_the_grid_of_the_images_whatever_the_channels(channels: list[int], stride: int) -> None:
    decoder = AUDecoder(channels, stride=stride, reduction=2)

    logits = decoder(pyramid(channels, rows=8, columns=16))

    assert logits.shape == (2, 2, 8 * stride, 16 * stride)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_every_parameter_gets_a_gradient(stride: int) -> None:
    decoder = AUDecoder([6, 9, 20], stride=stride, reduction=2, generator=torch.Generator().manual_seed(1))

    torch.autograd.backward(decoder(pyramid([6, 9, 20], rows=8, columns=8)).square().mean())

    # A bias before batch normalisation is taken away again: its gradient is nought but for rounding.
    lacking = [name for name, weight in decoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not lacking


@pytest.mark.parametrize(
    ("finest", "stride", "expected"),
    [(64, 1, 64), (64, 2, 32), (96, 4, 24), (96, 16, 16), (16, 2, 16), (20, 2, 16), (8, 4, 8)],
)
def test_beyond_the_finest_features_channels_halve_down_to_16(finest: int, stride: int, expected: int) -> None:
    decoder = AUDecoder([finest, 2 * finest], stride=stride)

    assert decoder.classifier.in_channels == expected


@pytest.mark.parametrize(
    ("channels", "stride", "message"),
    [
        ([8], 2, r"features of \[8\] channels; two or more"),
        ([8, 0], 2, "two or more features"),
        ([8, 16], 3, "a stride of 3; it has to be a power of two"),
        ([8, 16], 0, "a stride of 0"),
    ],
)
def test_an_encoder_that_it_does_not_fit_is_refused(channels: list[int], stride: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AUDecoder(channels, stride=stride)

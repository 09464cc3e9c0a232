"""Units against calculations by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from aunet.models.units import UNITS, ResUnit, UnitName, basic_unit, deep_unit


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def activated(unit: nn.Module, prefix: str, image: torch.Tensor) -> torch.Tensor:
    """Convolution, batch normalisation by the batch's own statistics, from the unit's weights but not its code."""
    weights = dict(unit.named_parameters())
    convolved = functional.conv2d(image, weights[f"{prefix}.0.weight"], weights[f"{prefix}.0.bias"], padding=1)
    mean = convolved.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((convolved - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = weights[f"{prefix}.1.weight"], weights[f"{prefix}.1.bias"]
    return (convolved - mean) / torch.sqrt(variance + 1e-5) * scale[:, None, None] + shift[:, None, None]


def stirred(unit: nn.Module) -> nn.Module:
    """The unit with weights that are not at their simple starting values."""
    generator = torch.Generator().manual_seed(2)
    for weight in unit.parameters():
        nn.init.normal_(weight, generator=generator)
    return unit


@pytest.mark.parametrize("unit", [basic_unit, deep_unit])
def test_a_plain_unit_is_its_convolutions_one_after_another(unit: type[nn.Module]) -> None:
    network = stirred(unit(2, 3))
    image = features(2, 2, 5, 6)

    expected = image
    for index in range(2 if unit is basic_unit else 3):
        expected = activated(network, str(index), expected).clamp(min=0)

    torch.testing.assert_close(network(image), expected, rtol=1e-4, atol=1e-4)


def test_a_res_unit_adds_the_first_activation_to_the_third_convolution() -> None:
    unit = stirred(ResUnit(2, 3))
    image = features(2, 2, 5, 6)

    first = activated(unit, "first", image).clamp(min=0)
    second = activated(unit, "second", first).clamp(min=0)
    expected = (activated(unit, "third", second) + first).clamp(min=0)

    torch.testing.assert_close(unit(image), expected, rtol=1e-4, atol=1e-4)


def test_a_res_unit_in_numbers() -> None:
    # One pixel, one channel: only the middle of each 3 x 3 kernel counts, and batch normalisation is set to pass on.
    unit = ResUnit(1, 1).eval()
    for layer, weight, bias in ((unit.first, 2.0, 1.0), (unit.second, -1.0, 10.0), (unit.third, 3.0, -20.0)):
        convolution = layer[0]
        assert isinstance(convolution, nn.Conv2d)
        nn.init.constant_(convolution.weight, weight)
        assert convolution.bias is not None
        nn.init.constant_(convolution.bias, bias)

    result = unit(torch.tensor([[[[3.0]]]]))

    # a = 2 * 3 + 1 = 7; second = -7 + 10 = 3; third = 3 * 3 - 20 = -11; relu(-11 + 7) = 0
    assert result.item() == 0
    # a = relu(-2 + 1) = 0; second = 0 + 10 = 10; third = 3 * 10 - 20 = 10; relu(10 + 0) = 10, not 10 - 1
    assert unit(torch.tensor([[[[-1.0]]]])).item() == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("name", ["deep", "res"])
def test_deep_and_res_units_have_as_many_parameters(name: UnitName) -> None:
    unit = UNITS[name](4, 8)

    # Convolutions 4 -> 8, 8 -> 8, 8 -> 8 with biases; scale and shift of three normalisations.
    assert sum(weight.numel() for weight in unit.parameters()) == (36 + 1) * 8 + 2 * (72 + 1) * 8 + 3 * 16

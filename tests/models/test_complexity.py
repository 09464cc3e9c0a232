"""The sizes that the paper prints, and that counting is right where it can be done by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from aunet.models.card import NetworkSettings
from aunet.models.complexity import complexity, measured
from aunet.models.factory import NETWORK_NAMES
from aunet.models.units import convolution

# Table 6 of the paper prints 23 layers and 34.5 million parameters for UNet, 44 and 75.5 million for AUNet.
SIZES = {
    "unet": (23, 34_527_106),
    "basic-basic": (23, 34_527_106),
    "basic-deep": (27, 37_663_426),
    "basic-res": (27, 37_663_426),
    "deep-basic": (28, 47_103_682),
    "res-basic": (28, 47_103_682),
    "deep-deep": (32, 50_240_002),
    "deep-res": (32, 50_240_002),
    "res-deep": (32, 50_240_002),
    "res-res": (32, 50_240_002),
    "aunet": (44, 75_495_162),
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_layers_and_parameters_are_the_paper_s(name: str, size: tuple[int, int]) -> None:
    counted = complexity(NetworkSettings(name=name), rows=16, columns=16)

    assert (counted.layers, counted.parameters) == size


def test_every_network_has_a_size_here() -> None:
    assert set(NETWORK_NAMES) | {"unet"} == set(SIZES)


def test_a_forward_pass_of_aunet_takes_212_84_gflop() -> None:
    counted = complexity(NetworkSettings(name="aunet"), rows=256, columns=256)

    assert round(counted.flop / 1e9, 2) == 212.84


def test_a_multiply_add_counts_as_two() -> None:
    layer, image = convolution(3, 5), torch.zeros(1, 3, 8, 8)

    with FlopCounterMode(display=False) as counter:
        layer(image)

    assert counter.get_total_flops() == 2 * 8 * 8 * 5 * 3 * 3 * 3


def test_aunet_of_width_16_costs_a_sixteenth() -> None:
    wide, narrow = (complexity(NetworkSettings(width=width)) for width in (64, 16))

    assert narrow.layers == wide.layers
    assert wide.flop / narrow.flop == pytest.approx(16, rel=0.03)
    assert wide.parameters / narrow.parameters == pytest.approx(16, rel=0.01)


def test_four_times_the_pixels_need_four_times_the_operations() -> None:
    small, large = (complexity(NetworkSettings(name="unet"), rows=size, columns=size) for size in (64, 128))

    assert large.flop == 4 * small.flop
    assert large.parameters == small.parameters


def test_a_measured_speed_is_added_to_the_counts() -> None:
    settings = NetworkSettings(name="unet", width=1)
    counted = complexity(settings, rows=16, columns=16)

    timed = measured(counted, settings, rows=16, columns=16, device="cpu", at_least_s=0.0)

    assert timed.images_per_second is not None
    assert timed.images_per_second > 1
    assert (timed.layers, timed.parameters, timed.flop) == (counted.layers, counted.parameters, counted.flop)

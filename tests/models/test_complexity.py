"""The sizes that the paper prints, and that counting is right where it can be done by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aunet.models.card import NetworkSettings
from aunet.models.complexity import TABLE_6, _peak_bytes, complexity, measured
from aunet.models.factory import NETWORK_NAMES
from aunet.models.units import convolution

# Table 6 of the paper prints layers and million parameters: UNet 23 and 34.5, FusionNet 50 and 78.5, FCDenseNet103 103
# and 13.9, AUNet 44 and 75.5. The last two networks are our reading of descriptions without numbers.
SIZES = {
    "unet": (23, 34_527_106),
    "basic-deep-unet": (27, 37_663_426),
    "basic-res-unet": (27, 37_663_426),
    "deep-basic-unet": (28, 47_103_682),
    "deep-deep-unet": (32, 50_240_002),
    "deep-res-unet": (32, 50_240_002),
    "res-basic-unet": (28, 47_103_682),
    "res-deep-unet": (32, 50_240_002),
    "res-res-unet": (32, 50_240_002),
    "unet-deconv": (23, 31_045_506),
    "fusionnet": (50, 78_532_354),
    "fcdensenet103": (103, 13_916_258),
    "aunet": (44, 75_495_162),
    "aunet-r2": (44, 76_714_562),
    "aunet-r4": (44, 76_017_762),
    "aunet-r8": (44, 75_669_362),
    "aunet-r32": (44, 75_408_062),
    "asppfcdensenet": (148, 13_916_258),
    "attention-dense-unet": (146, 26_816_494),
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_layers_and_parameters_are_the_paper_s(name: str, size: tuple[int, int]) -> None:
    counted = complexity(NetworkSettings(name=name), rows=32, columns=32)

    assert (counted.layers, counted.parameters) == size


def test_every_network_has_a_size_here() -> None:
    assert tuple(SIZES) == NETWORK_NAMES


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


def test_the_counts_are_those_of_the_paper_s_table_6() -> None:
    for name, published in TABLE_6.items():
        layers, parameters = SIZES[name]
        assert (layers, round(parameters / 1e6, 1)) == (published.layers, published.parameters_million)


def test_speed_and_memory_are_measured_on_the_device_asked_for() -> None:
    settings = NetworkSettings(name="unet", width=1)

    speed = measured(settings, rows=16, columns=16, device="cpu", at_least_s=0.0)

    assert speed.device == "cpu"
    assert speed.frames_per_second > 1
    assert speed.peak_bytes is not None
    weights_bytes = 4 * complexity(settings, rows=16, columns=16).parameters
    assert weights_bytes < speed.peak_bytes < weights_bytes + 2**20


@pytest.mark.parametrize(("layers", "images"), [(1, 2), (2, 3), (5, 3)])
def test_the_height_of_memory_is_the_image_and_two_layers_features(layers: int, images: int) -> None:
    network, image = nn.Sequential(*(nn.Sigmoid() for _ in range(layers))), torch.zeros(1, 1, 64, 64)

    with torch.inference_mode():
        peak_bytes = _peak_bytes(network, image)

    assert peak_bytes == images * image.nbytes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_height_of_memory_is_measured_on_a_gpu_too() -> None:
    network, image = nn.Sequential(*(nn.Sigmoid() for _ in range(5))), torch.zeros(1, 1, 512, 512, device="cuda")

    with torch.inference_mode():
        peak_bytes = _peak_bytes(network, image)

    assert peak_bytes == 3 * image.nbytes

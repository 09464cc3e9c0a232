"""Devices by name: a missing one is an error, never replaced in silence."""

import pytest
import torch

from aunet.models.card import NetworkSettings
from aunet.models.device import find_device, place
from aunet.models.factory import build_network


def test_the_cpu_is_always_there() -> None:
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_missing_gpu_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"device '{name}' is not on this machine"):
        find_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert find_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["", "gpu", "cpu:x", "cuda:-1"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown device"):
        find_device(name)


def test_meta_is_no_device_to_run_on() -> None:
    with pytest.raises(ValueError, match="not on this machine"):
        find_device("meta")


def test_channels_last_changes_no_logits() -> None:
    settings = NetworkSettings(name="aunet", in_channels=3, width=4, reduction=2)
    network = build_network(settings, generator=torch.Generator().manual_seed(1)).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))

    with torch.inference_mode():
        before = network(images)
        after = place(network, torch.device("cpu"))(images)

    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    weight = network.get_parameter("encoder.1.first.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()

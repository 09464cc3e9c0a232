"""Choosing a device, and leaving PyTorch as it was."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from aunet.errors import TrainingError
from aunet.training import hardware as hardware_module
from aunet.training.hardware import choose_hardware, keep_depthwise_in_32_bit, torch_settings

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")


@no_cuda
@pytest.mark.parametrize(
    ("flags", "precision"),
    [("avx2 fma", "32-true"), ("avx512_bf16 avx512f", "32-true"), ("avx512f amx_bf16 amx_tile", "bf16-mixed")],
)
def test_auto_takes_the_cpu_in_bfloat16_where_it_has_units_for_it(
    flags: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processors = tmp_path / "cpuinfo"
    processors.write_text(f"processor\t: 0\nflags\t\t: {flags}\n", encoding="utf-8")
    monkeypatch.setattr(hardware_module, "_PROCESSORS", processors)

    hardware = choose_hardware("auto", "auto", threads=3)

    assert (hardware.accelerator, hardware.precision) == ("cpu", precision)
    assert "found no CUDA device" in hardware.reason
    assert "3 threads" in hardware.reason


@no_cuda
def test_a_system_that_does_not_list_its_processors_is_taken_in_32_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware_module, "_PROCESSORS", tmp_path / "not there")

    assert choose_hardware("cpu", "auto").precision == "32-true"


@no_cuda
def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"hardware\.accelerator is 'cuda'"):
        choose_hardware("cuda", "auto")


def test_the_cpu_has_no_half_precision() -> None:
    with pytest.raises(TrainingError, match="16-mixed"):
        choose_hardware("cpu", "16-mixed")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_auto_takes_the_gpu_in_bfloat16() -> None:
    hardware = choose_hardware("auto", "auto")

    assert (hardware.accelerator, hardware.precision) == ("cuda", "bf16-mixed")


def test_switches_and_random_numbers_are_put_back() -> None:
    before = (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.get_rng_state().clone())

    with torch_settings(
        seed=1, deterministic=True, cudnn_benchmark=True, tf32=True, threads=before[1] + 1, keep_memory=False
    ):
        inside = (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision())
        torch.rand(3)

    assert inside == (True, "high")
    assert torch.are_deterministic_algorithms_enabled() == before[0]
    assert torch.get_num_threads() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert not torch.backends.cudnn.benchmark
    assert torch.get_float32_matmul_precision() == "highest"


def test_convolutions_with_groups_alone_compute_in_32_bit() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=4))
    images, names = torch.rand(1, 4, 8, 8), list(network.state_dict())
    expected = network[1](network[0](images))

    keep_depthwise_in_32_bit(network)

    with torch.autocast("cpu", torch.bfloat16):
        first, both = network[0](images), network(images)
    assert (first.dtype, both.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(network(images), expected)
    assert list(network.state_dict()) == names


def test_copy_of_such_a_convolution_has_weights_of_its_own() -> None:
    convolution = nn.Conv2d(4, 4, 3, groups=4, bias=False)
    keep_depthwise_in_32_bit(convolution)

    copy = deepcopy(convolution)
    nn.init.zeros_(convolution.weight)

    assert copy(torch.ones(1, 4, 3, 3)).any()

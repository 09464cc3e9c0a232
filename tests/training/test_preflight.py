"""What a run will need, against what it then takes."""

from itertools import accumulate
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from aunet.errors import TrainingError
from aunet.inference.diagnosis import Space
from aunet.models.card import NetworkSettings
from aunet.models.factory import build_network
from aunet.training import preflight as module
from aunet.training.losses import segmentation_loss
from aunet.training.preflight import Need, Preflight, check_smallest_batch, preflight

SMALL = NetworkSettings(width=8, in_channels=1, reduction=4)
ONE_PIXEL_DEEP = {
    "aunet": SMALL,
    "monai.networks.nets:UNet": NetworkSettings(
        name="monai.networks.nets:UNet",
        in_channels=1,
        arguments={
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 2,
            "channels": [2, 2, 2, 2, 2],
            "strides": [2, 2, 2, 2],
            "norm": "batch",
        },
    ),
}
"""Networks whose coarsest features of 16 x 16 pixels are one."""


def _preflight(
    folder: Path, *, network: NetworkSettings = SMALL, side_px: int = 128, batch_size: int = 4, workers: int = 0
) -> Preflight:
    return preflight(
        network,
        rows=side_px,
        columns=side_px,
        batch_size=batch_size,
        images=100,
        workers=workers,
        device="cpu",
        precision="32-true",
        run_folder=folder / "run",
        cache_folder=folder / "cache",
    )


def _needed(found: Preflight, what: str) -> int:
    return next(need.needed_bytes for need in found.needs if need.what == what)


def _most_memory_held(network: NetworkSettings, *, side_px: int, batch_size: int) -> int:
    """Bytes of PyTorch's allocator at the height of a step, as its profiler records them."""
    model = build_network(network)
    images = torch.rand(batch_size, network.in_channels, side_px, side_px)
    masks = torch.zeros(batch_size, side_px, side_px, dtype=torch.bool)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        torch.autograd.backward(segmentation_loss(model(images), masks).total)
    results = recorded.profiler.kineto_results
    changes = sorted((event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]")
    most: int = max(accumulate(bytes_ for _, bytes_ in changes))
    return most


def test_the_memory_foreseen_for_one_more_image_is_what_it_takes(tmp_path: Path) -> None:
    taken = [_most_memory_held(SMALL, side_px=128, batch_size=size) for size in (1, 2)]

    foreseen = [_needed(_preflight(tmp_path, side_px=128, batch_size=size), "memory") for size in (1, 2)]

    # What a convolution needs on the side is the processor's choice: 1 % apart on one with AMX, 6 % with AVX2 alone.
    assert foreseen[1] - foreseen[0] == pytest.approx(taken[1] - taken[0], rel=0.1)


def test_memory_grows_with_the_batch_by_the_features_of_an_image(tmp_path: Path) -> None:
    one, two, three = (_needed(_preflight(tmp_path, batch_size=size), "memory") for size in (1, 2, 3))

    assert two - one == three - two > 0


def test_disk_holds_three_copies_of_weights_and_two_of_the_optimizer_and_the_images(tmp_path: Path) -> None:
    network = SMALL
    weights_bytes = sum(tensor.nbytes for tensor in build_network(network).state_dict().values())

    needed = _needed(_preflight(tmp_path, network=network), "disk")

    images_bytes = 100 * 128 * 128 * 5
    assert needed - images_bytes == pytest.approx(10 * weights_bytes, rel=0.01)


def test_nothing_is_computed_or_allocated_for_the_largest_network(tmp_path: Path) -> None:
    found = _preflight(tmp_path, network=NetworkSettings(width=1024), side_px=1024, batch_size=64)

    assert found.missing[0].what == "memory"
    assert "training.batch_size" in found.missing[0].remedy


def test_shared_memory_is_looked_at_for_workers_only(tmp_path: Path) -> None:
    if not module._SHARED_MEMORY.is_dir():
        pytest.skip(f"no {module._SHARED_MEMORY} here")

    assert not any(need.what == "shared memory" for need in _preflight(tmp_path).needs)
    assert any(need.what == "shared memory" for need in _preflight(tmp_path, workers=2).needs)


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "container_memory", lambda: Space(total=1_000_000, free=600_000))

    found = _preflight(tmp_path)

    assert found.needs[0].available_bytes == 600_000
    assert not found.needs[0].suffices


@pytest.mark.parametrize(("images", "batch_size"), [(7, 3), (5, 1), (1, 4)])
@pytest.mark.parametrize("name", ["aunet", "monai.networks.nets:UNet"])
def test_a_last_batch_of_one_image_as_small_as_the_stride_is_refused(name: str, images: int, batch_size: int) -> None:
    network = ONE_PIXEL_DEEP[name]

    with pytest.raises(TrainingError, match=r"leave one image .* 16 x 16 .* 1 x 1.* training\.batch_size, or a larger"):
        check_smallest_batch(network, rows=16, columns=16, images=images, batch_size=batch_size)


@pytest.mark.parametrize(("images", "batch_size", "rows"), [(7, 3, 32), (8, 3, 16), (6, 3, 16), (4, 8, 16)])
def test_two_values_a_channel_are_enough(images: int, batch_size: int, rows: int) -> None:
    check_smallest_batch(SMALL, rows=rows, columns=16, images=images, batch_size=batch_size)


def test_a_need_reads_as_a_sentence() -> None:
    assert str(Need("disk", 3 * 2**29, 5 * 2**20, "")) == "disk: needs 1.5 GiB, 5 MiB free"


def test_the_foresight_leaves_no_random_number_used(tmp_path: Path) -> None:
    before = torch.get_rng_state()

    _preflight(tmp_path)

    assert torch.equal(torch.get_rng_state(), before)

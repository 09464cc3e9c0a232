"""Which images are trained on, in what order, and how they reach the network."""

import errno
import os
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger, LedgerRow
from aunet.datasets.opening import open_dataset
from aunet.errors import DatasetError, TrainingError, WriteError
from aunet.io.images import write_png
from aunet.preprocessing import cache as kept
from aunet.preprocessing.augment import AugmentationSettings
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Sample, Split
from aunet.training.data import Draw, EpochOrder, PreparedImages, Sides, merge_ledger, prepare_samples, sides_of

SETTINGS = Preprocessing(rows=32, columns=32, channels=1, crop=False)


def drawn_on_breasts(folder: Path) -> Path:
    """Two images of even tissue at the left, each with one bright square, 3 and 5 pixels wide."""
    for name, width in (("a", 3), ("b", 5)):
        mask = np.zeros((32, 32), dtype=bool)
        mask[14 : 14 + width, 6 : 6 + width] = True
        image = np.where(np.arange(32) < 26, 100, 0).astype(np.uint8)[np.newaxis].repeat(32, axis=0)
        write_png(folder / f"{name}.png", image + 80 * mask.astype(np.uint8))
        write_png(folder / f"{name}_mask.png", mask.astype(np.uint8))
    (folder / "cases.csv").write_text(
        "image,mask,patient_id,split\na.png,a_mask.png,1,train\nb.png,b_mask.png,2,train\n", encoding="utf-8"
    )
    return folder


def _sample(case: str, patient_id: str, split: Split | None) -> Sample:
    return Sample(case, Path(f"{case}.png"), (), patient_id, split)


def _dataset(*samples: Sample) -> DataSet:
    return DataSet("made", Path("made"), samples, Ledger(()))


def test_validation_samples_named_by_the_table_are_taken() -> None:
    dataset = _dataset(_sample("a", "1", "train"), _sample("b", "2", "validation"), _sample("c", "3", "test"))

    sides = sides_of(dataset, validation_fraction=0.5, seed=0)

    assert [sample.case for sample in sides.train] == ["a"]
    assert [sample.case for sample in sides.validation] == ["b"]


def test_without_validation_samples_patients_of_the_training_side_are_held_out() -> None:
    samples = [_sample(f"{patient}{view}", str(patient), "train") for patient in range(10) for view in "ab"]
    dataset = _dataset(*samples, _sample("t", "test", "test"))

    sides = sides_of(dataset, validation_fraction=0.3, seed=0)

    train, validation = ({sample.patient_id for sample in side} for side in (sides.train, sides.validation))
    assert (len(train), len(validation)) == (7, 3)
    assert train | validation == {str(patient) for patient in range(10)}


def test_another_seed_holds_out_other_patients() -> None:
    dataset = _dataset(*(_sample(str(i), str(i), "train") for i in range(40)))

    assert sides_of(dataset, validation_fraction=0.5, seed=0) != sides_of(dataset, validation_fraction=0.5, seed=1)


def test_nothing_is_held_out_where_the_recipe_wants_no_validation() -> None:
    dataset = _dataset(_sample("a", "1", "train"), _sample("b", "2", "train"))

    sides = sides_of(dataset, validation_fraction=0.0, seed=0)

    assert (len(sides.train), len(sides.validation)) == (2, 0)


def test_a_data_set_without_splits_is_trained_on_as_a_whole() -> None:
    dataset = _dataset(*(_sample(str(i), str(i), None) for i in range(4)))

    sides = sides_of(dataset, validation_fraction=0.25, seed=0)

    assert (len(sides.train), len(sides.validation)) == (3, 1)


def test_patients_on_two_sides_are_refused() -> None:
    dataset = _dataset(_sample("a", "1", "train"), _sample("b", "1", "test"))

    with pytest.raises(DatasetError, match="more than one side"):
        sides_of(dataset, validation_fraction=0.0, seed=0)


def test_a_data_set_without_training_images_is_refused() -> None:
    with pytest.raises(TrainingError, match="no image of the split 'train'"):
        sides_of(_dataset(_sample("a", "1", "test")), validation_fraction=0.0, seed=0)


def test_an_unreadable_image_is_left_out_with_its_reason(pictures: Path, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{pictures}")
    (pictures / "3.png").write_bytes(b"no picture")
    cache = PreparedCache(tmp_path / "cache", SETTINGS)

    sides, rows = prepare_samples(Sides(dataset.samples[:6], dataset.samples[6:]), cache)

    assert [sample.case for sample in sides.train] == ["0", "1", "2", "4", "5"]
    assert len(sides.validation) == 4
    assert [(row.case, row.status) for row in rows] == [("3", "refused")]
    assert rows[0].reason


def test_no_readable_training_image_is_an_error(pictures: Path, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{pictures}")
    for i in range(2):
        (pictures / f"{i}.png").write_bytes(b"no picture")
    cache = PreparedCache(tmp_path / "cache", SETTINGS)

    with pytest.raises(TrainingError, match="none of the 2 training images"):
        prepare_samples(Sides(dataset.samples[:2], dataset.samples[2:]), cache)


def test_the_ledger_keeps_one_row_a_case_with_what_reading_found() -> None:
    ledger = Ledger((LedgerRow("a", "read", "", 2, 1), LedgerRow("b", "repaired", "grey", 3)))

    merged = merge_ledger(ledger, [LedgerRow("a", "refused", "truncated"), LedgerRow("b", "repaired", "resized")])

    assert merged.rows == (LedgerRow("a", "refused", "truncated", 2, 1), LedgerRow("b", "repaired", "grey; resized", 3))


@settings(deadline=None)
@given(n=st.integers(1, 40), world_size=st.integers(1, 5), epoch=st.integers(0, 200), seed=st.integers(0, 2**32 - 1))
def test_devices_share_each_epoch_evenly_and_leave_no_image_out(n: int, world_size: int, epoch: int, seed: int) -> None:
    orders = [EpochOrder(n, seed=seed, rank=rank, world_size=world_size) for rank in range(world_size)]
    for order in orders:
        order.set_epoch(epoch)

    drawn = [list(order) for order in orders]

    assert {len(draws) for draws in drawn} == {-(-n // world_size)} == {len(order) for order in orders}
    assert {draw.position for draws in drawn for draw in draws} == set(range(n))
    assert {draw.epoch for draws in drawn for draw in draws} == {epoch}


@settings(deadline=None)
@given(n=st.integers(0, 40), world_size=st.integers(1, 5))
def test_devices_validate_each_image_once(n: int, world_size: int) -> None:
    orders = [EpochOrder(n, seed=None, rank=rank, world_size=world_size) for rank in range(world_size)]

    assert sorted(draw.position for order in orders for draw in order) == list(range(n))


def test_each_epoch_has_another_order_and_always_the_same() -> None:
    first, again = EpochOrder(50, seed=7), EpochOrder(50, seed=7)
    for epoch in (5, 0, 3):
        again.set_epoch(epoch)
    first.set_epoch(3)

    assert list(first) == list(again)
    first.set_epoch(4)
    assert [draw.position for draw in first] != [draw.position for draw in again]


def test_a_draw_gives_the_same_bits_whatever_was_drawn_before(pictures: Path, tmp_path: Path) -> None:
    samples = open_dataset(f"folder:{pictures}").samples
    strong = AugmentationSettings(flip_probability=0.5, rotation_degrees=30.0, scale=0.2, gamma=0.3, noise=0.1)
    one = PreparedImages(samples, PreparedCache(tmp_path / "a", SETTINGS), seed=1, augmentation=strong)
    other = PreparedImages(samples, PreparedCache(tmp_path / "b", SETTINGS), seed=1, augmentation=strong)
    for i in range(5):
        _ = other[Draw(0, i)]

    item, same, next_epoch = one[Draw(2, 3)], other[Draw(2, 3)], one[Draw(3, 3)]

    assert torch.equal(item.images, same.images)
    assert torch.equal(item.masks, same.masks)
    assert not torch.equal(item.images, next_epoch.images)


def test_masses_are_taken_out_and_put_in_as_often_as_asked(tmp_path: Path) -> None:
    samples = open_dataset(f"folder:{drawn_on_breasts(tmp_path / 'drawn')}").samples
    cache = PreparedCache(tmp_path / "cache", SETTINGS)
    sizes = {}
    for hide, paste in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.0)):
        changes = AugmentationSettings(hide_probability=hide, paste_probability=paste)
        images = PreparedImages(samples, cache, seed=1, augmentation=changes)
        sizes[hide, paste] = [images[Draw(epoch, 1)].masks.sum().item() for epoch in range(20)]

    # Masses are 9 and 25 pixels large; the image drawn here has the larger one.
    assert set(sizes[0, 0]) == {25}
    assert set(sizes[1, 0]) == {0}
    assert set(sizes[0, 1]) == {34, 50}
    assert set(sizes[1, 1]) == {9, 25}
    assert 3 <= np.count_nonzero(sizes[0.5, 0]) <= 17


def test_without_augmentation_the_network_sees_the_prepared_image(pictures: Path, tmp_path: Path) -> None:
    samples = open_dataset(f"folder:{pictures}").samples
    cache = PreparedCache(tmp_path / "cache", SETTINGS)

    item = PreparedImages(samples, cache)[Draw(9, 2)]

    prepared = cache.load(samples[2])
    assert np.array_equal(item.images.numpy(), prepared.image)
    assert np.array_equal(item.masks.numpy(), prepared.mask)
    assert item.positions == 2


def test_channels_are_normalised_after_the_random_changes(pictures: Path, tmp_path: Path) -> None:
    samples = open_dataset(f"folder:{pictures}").samples
    strong = AugmentationSettings(rotation_degrees=30.0, shift=0.2, gamma=0.3, brightness=0.1, noise=0.1)
    plain = replace(SETTINGS, channels=3)
    normalised = replace(plain, channel_mean=(0.5, 0.25, 0.0), channel_std=(0.5, 0.25, 2.0))

    before, after = (
        PreparedImages(samples, PreparedCache(tmp_path, settings), seed=1, augmentation=strong)[Draw(2, 3)]
        for settings in (plain, normalised)
    )

    assert torch.equal(after.masks, before.masks)
    assert np.array_equal(after.images.numpy(), normalised.to_channels(before.images.numpy()[0]))


@pytest.mark.parametrize("writer", ["_keep", "write_text"])
def test_a_cache_without_room_leaves_no_image_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dataset = open_dataset(f"folder:{drawn_on_breasts(tmp_path)}")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))  # so old that its hash is worth a note
    monkeypatch.setattr(kept, writer, no_room)

    with pytest.raises(WriteError, match="can't keep prepared samples there"):
        prepare_samples(Sides(dataset.samples, ()), PreparedCache(tmp_path / "cache", SETTINGS))


def test_an_image_that_goes_missing_in_training_is_named_by_its_case(tmp_path: Path) -> None:
    """The name of its file may hold a patient's code."""
    dataset = open_dataset(f"folder:{drawn_on_breasts(tmp_path)}")
    samples = [replace(dataset.samples[0], case="20000011", image_path=tmp_path / "20000011_968fa2e15f015000.png")]
    prepared = PreparedImages(samples, PreparedCache(None, SETTINGS))

    with pytest.raises(TrainingError, match=r"^20000011: .*could be read when the run began") as caught:
        prepared[Draw(0, 0)]

    assert "968fa2e15f015000" not in "".join(traceback.format_exception(caught.value))

"""From samples to batches: which images are trained on, in what order, and how each is changed."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger, LedgerRow
from aunet.datasets.splits import hold_out, samples_of
from aunet.errors import TrainingError
from aunet.io.files import UNREADABLE, reason_for
from aunet.preprocessing.augment import Augmentation, AugmentationSettings
from aunet.preprocessing.cache import PreparedCache, PreparedSample
from aunet.preprocessing.mass_transfer import WithMass, with_mass_of, without_masses
from aunet.sample import Sample

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """What a step gets."""

    images: Float32[Tensor, "b c h w"]
    masks: Bool[Tensor, "b h w"]
    positions: Int64[Tensor, " b"]
    """Position of each image in its list of samples."""


class Item(NamedTuple):
    """One image of a batch."""

    images: Float32[Tensor, "c h w"]
    masks: Bool[Tensor, "h w"]
    positions: int


class Draw(NamedTuple):
    """Which image to take, and in which epoch: together with the seed they decide its augmentation."""

    epoch: int
    position: int


@dataclass(frozen=True, slots=True)
class Sides:
    """The samples to train on and those to validate on; no patient is on both."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]


def sides_of(dataset: DataSet, *, validation_fraction: float, seed: int) -> Sides:
    """The training and validation samples of a data set.

    Args:
        dataset: A data set. Where none of its samples names a split, all of them are taken to train on.
        validation_fraction: Share of the training patients to hold out where there is no validation split; 0 for none.
        seed: Decides which patients are held out.

    Returns:
        Both sides.

    Raises:
        TrainingError: There is nothing to train on.
    """
    has_splits = any(sample.split is not None for sample in dataset.samples)
    train = samples_of(dataset, "train" if has_splits else "all")
    validation = samples_of(dataset, "validation")
    if not train:
        msg = f"{dataset.root}: no image of the split 'train' can be used; see `aunet inspect` for the reasons"
        raise TrainingError(msg)
    if not validation and validation_fraction > 0:
        train, validation = hold_out(train, fraction=validation_fraction, seed=seed)
    return Sides(train, validation)


def prepare_samples(
    sides: Sides, cache: PreparedCache, *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[Sides, tuple[LedgerRow, ...]]:
    """Read every image once into the cache, and leave out those that can't be read.

    Args:
        sides: Training and validation samples.
        cache: Where prepared arrays are kept.
        on_progress: Called with the number of images done and their total.

    Returns:
        The samples that can be read, and a ledger row for each that was repaired or refused on reading.

    Raises:
        TrainingError: No training image can be read.
    """
    total = len(sides.train) + len(sides.validation)
    rows: list[LedgerRow] = []
    readable: dict[str, list[Sample]] = {"train": [], "validation": []}
    done = 0
    for side, samples in (("train", sides.train), ("validation", sides.validation)):
        for sample in samples:
            try:
                notes = cache.load(sample).notes
            except UNREADABLE as error:
                reason = reason_for(sample, error)
                logger.warning("%s is left out: %s", sample.case, reason)
                rows.append(LedgerRow(sample.case, "refused", reason))
            else:
                readable[side].append(sample)
                if notes:
                    rows.append(LedgerRow(sample.case, "repaired", "; ".join(notes)))
            done += 1
            if on_progress is not None:
                on_progress(done, total)
    if not readable["train"]:
        msg = f"none of the {len(sides.train)} training images can be read; the warnings above name each reason"
        raise TrainingError(msg)
    return Sides(tuple(readable["train"]), tuple(readable["validation"])), tuple(rows)


def merge_ledger(ledger: Ledger, found: Sequence[LedgerRow]) -> Ledger:
    """The ledger of the data set, with what reading the pixels found beside what the table says.

    Args:
        ledger: Ledger of the data set.
        found: Rows of images that were repaired or refused on reading.

    Returns:
        A ledger with one row for each row of the table, in its order.
    """
    by_case = {row.case: row for row in found}
    rows = []
    for row in ledger.rows:
        other = by_case.get(row.case)
        if other is None or row.status == "refused":
            rows.append(row)
            continue
        reason = "; ".join(text for text in (row.reason, other.reason) if text)
        rows.append(replace(row, status=other.status, reason=reason))
    return replace(ledger, rows=tuple(rows))


class PreparedImages(Dataset[Item]):
    """Prepared images and their masks; the same draw gives the same bits in any process, at any time."""

    def __init__(
        self,
        samples: Sequence[Sample],
        cache: PreparedCache,
        *,
        seed: int = 0,
        augmentation: AugmentationSettings | None = None,
    ) -> None:
        """Take the samples in their order.

        Args:
            samples: Samples that can be read.
            cache: Holds their prepared arrays.
            seed: Decides the augmentation, together with epoch and position.
            augmentation: Ranges of the random changes; None for none.
        """
        self._samples = tuple(samples)
        self._cache = cache
        self._seed = seed
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: Draw) -> Item:
        prepared = self._loaded(draw.position)
        image, mask = prepared.image, prepared.mask
        if self._augmentation is not None:
            rng = np.random.default_rng((self._seed, draw.epoch, draw.position))
            augmentation = Augmentation.sample(rng, self._augmentation)
            grey, mask = self._with_other_masses(WithMass(prepared.grey, mask), self._augmentation, rng)
            moved, mask = augmentation.apply(grey[np.newaxis], mask)
            image = self._cache.settings.to_channels(moved[0])
        return Item(torch.from_numpy(image), torch.from_numpy(mask), draw.position)

    def _loaded(self, position: int) -> PreparedSample:
        """A sample that could be read when the run began.

        Raises:
            TrainingError: It no longer can.
        """
        sample = self._samples[position]
        try:
            return self._cache.load(sample)
        except UNREADABLE as error:
            msg = f"{reason_for(sample, error)}; it could be read when the run began"
            raise TrainingError(msg) from None  # what is below quotes the file's name, which may hold a patient's code

    def _with_other_masses(
        self, own: WithMass, augmentation: AugmentationSettings, rng: np.random.Generator
    ) -> WithMass:
        """The image without its masses, with one of another image, with both or neither, as drawn."""
        hide, paste = rng.random(2)
        if hide < augmentation.hide_probability:
            own = WithMass(without_masses(own.image, own.mask, rng), np.zeros_like(own.mask))
        if paste < augmentation.paste_probability:
            other = self._loaded(int(rng.integers(len(self._samples))))
            own = with_mass_of(own.image, own.mask, WithMass(other.grey, other.mask), rng)
        return own


class EpochOrder(Sampler[Draw]):
    """The order of the images in each epoch, a pure function of seed and epoch.

    With several devices each takes every n-th image. In training the order is filled up from its start, so that all
    devices make the same number of steps; in validation no image is taken twice.
    """

    def __init__(self, n: int, *, seed: int | None, rank: int = 0, world_size: int = 1) -> None:
        """Set up the order of `n` images.

        Args:
            n: Number of images.
            seed: Decides the order; None takes them as they come, none twice.
            rank: Number of this device.
            world_size: Number of devices.
        """
        self._n = n
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass; Lightning calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._order())

    def __iter__(self) -> Iterator[Draw]:
        return (Draw(self._epoch, position) for position in self._order())

    def _order(self) -> list[int]:
        if self._seed is None:
            return list(range(self._rank, self._n, self._world_size))
        order = np.random.default_rng((self._seed, self._epoch)).permutation(self._n)
        filled = -(-self._n // self._world_size) * self._world_size
        return [int(position) for position in np.resize(order, filled)[self._rank :: self._world_size]]


class TrainingData(LightningDataModule):
    """The two data loaders of a run."""

    def __init__(
        self,
        sides: Sides,
        cache: PreparedCache,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        augmentation: AugmentationSettings | None = None,
    ) -> None:
        """Set up both loaders.

        Args:
            sides: Samples that can be read.
            cache: Holds their prepared arrays.
            batch_size: Images a step, on each device.
            seed: Decides order and augmentation.
            workers: Processes that load images; 0 loads them in this one.
            augmentation: Ranges of the random changes of training images; None for none.
        """
        super().__init__()
        self._train = PreparedImages(sides.train, cache, seed=seed, augmentation=augmentation)
        self._validation = PreparedImages(sides.validation, cache)
        self._batch_size = batch_size
        self._seed = seed
        self._workers = workers

    def train_dataloader(self) -> "DataLoader[Item]":
        """Batches in the order of the epoch."""
        return self._loader(self._train, seed=self._seed)

    def val_dataloader(self) -> "DataLoader[Item]":
        """Batches in the order of the samples."""
        return self._loader(self._validation, seed=None)

    def _loader(self, images: PreparedImages, *, seed: int | None) -> "DataLoader[Item]":
        trainer: Trainer = self.trainer  # type: ignore[assignment]  # set before Lightning asks for a loader
        order = EpochOrder(len(images), seed=seed, rank=trainer.global_rank, world_size=trainer.world_size)
        return DataLoader(
            images,
            batch_size=self._batch_size,
            sampler=order,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
            pin_memory=trainer.strategy.root_device.type == "cuda",
            collate_fn=_collate,
        )


def _collate(items: Sequence[Item]) -> Batch:
    """Items stacked to a batch."""
    return Batch(
        torch.stack([item.images for item in items]),
        torch.stack([item.masks for item in items]),
        torch.tensor([item.positions for item in items], dtype=torch.int64),
    )

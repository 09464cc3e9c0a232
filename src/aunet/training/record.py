"""What a run leaves on disk after each epoch, so that it can be followed, used and resumed."""

import csv
import io
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from aunet.errors import TrainingError
from aunet.io.aside import write_text
from aunet.models.card import ModelCard
from aunet.models.checkpoint import save_checkpoint
from aunet.training.averaging import MovingAverage
from aunet.training.module import SegmentationTask

logger = logging.getLogger(__name__)

BEST = "best.safetensors"
LAST = "last.safetensors"
RESUME = "resume.ckpt"
METRICS = "metrics.csv"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One row of `metrics.csv`. Scores are NaN where there are no validation images, or none with a mass."""

    epoch: int
    """Counted from 1."""
    learning_rate: float
    train_loss: float
    train_dice_loss: float
    train_cross_entropy: float
    validation_loss: float
    validation_dsc: float
    """Mean over the images with a mass, a missed one counting 0."""
    validation_sensitivity: float
    validation_precision: float
    validation_missed: int
    """Images with a mass in which nothing was predicted."""
    validation_false_positive_images: int
    """Images without a mass in which something was predicted."""
    seconds: float
    images_per_second: float
    """Training images; validation is not counted in."""


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run has come."""

    rows: tuple[EpochRow, ...] = ()
    best_epoch: int = 0
    """Counted from 1; 0 before the first epoch."""
    best_score: float = math.nan
    """Mean DSC on the validation images at that epoch; NaN where there is none to choose by."""
    stopped_early: bool = False
    identity: str = ""
    """Digest of the images that the run trains and validates on."""


def read_state(folder: Path) -> RunState | None:
    """How far a run has come by its file for resuming.

    Args:
        folder: The run.

    Returns:
        Its state; None where no epoch has been finished.

    Raises:
        TrainingError: The file is damaged.
    """
    path = folder / RESUME
    if not path.is_file():
        return None
    try:
        # weights_only: nothing in the file is executed.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return _state_from(content["callbacks"][EpochRecord.KEY])
    except Exception as error:  # a damaged archive raises whatever its reader stumbles over
        msg = f"{path}: damaged ({type(error).__name__}); start anew in another folder, with --init from {LAST} there"
        raise TrainingError(msg) from error


class EpochRecord(Callback):
    """Writes metrics, weights and the file for resuming after each epoch; says when to stop."""

    KEY = "aunet.EpochRecord"

    def __init__(
        self,
        folder: Path,
        card: ModelCard,
        *,
        identity: str,
        epochs: int,
        train_images: int,
        seed: int,
        patience: int = 0,
        average: MovingAverage | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Set up the record of a run.

        Args:
            folder: The run.
            card: Goes into each checkpoint.
            identity: Digest of the images.
            epochs: Epochs of the run.
            train_images: Images an epoch.
            seed: Seed of the run.
            patience: Epochs without a better score until the run stops; 0 for never.
            average: Keeps the weights that are saved; None to save those of the task.
            on_progress: Called with the steps done and their total.
        """
        self._folder = folder
        self._card = card
        self._epochs = epochs
        self._train_images = train_images
        self._seed = seed
        self._patience = patience
        self._average = average
        self._on_progress = on_progress
        self._writer: SummaryWriter | None = None
        self._started = 0.0
        self._trained = 0.0
        self.state = RunState(identity=identity)

    @property
    def state_key(self) -> str:
        """Name of this record in the file for resuming."""
        return self.KEY

    def state_dict(self) -> dict[str, Any]:  # Any: Lightning's signature
        """The state as plain values, which the file for resuming can hold without pickled classes."""
        return asdict(self.state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # Any: Lightning's signature
        """Take the state over from the file for resuming."""
        self.state = _state_from(state_dict)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  (Lightning's signature)
        """Open the TensorBoard log; steps that a killed run logged past its last whole epoch are struck out."""
        if trainer.is_global_zero:
            self._writer = SummaryWriter(self._folder / TENSORBOARD, purge_step=len(self.state.rows) + 1)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  (Lightning's signature)
        """Start the clock, and make the random numbers of an epoch depend on seed, epoch and device alone."""
        sequence = np.random.SeedSequence((self._seed, trainer.current_epoch, trainer.global_rank))
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        self._started = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Report progress."""
        self._trained = time.monotonic()
        if self._on_progress is not None:
            self._on_progress(trainer.global_step, self._epochs * int(trainer.num_training_batches))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write everything of this epoch; the file for resuming last, so that it never runs ahead of the others.

        Args:
            trainer: Lightning's trainer.
            pl_module: The task.

        Raises:
            TypeError: The module is no `SegmentationTask`.
            TrainingError: The loss is no longer a number; nothing of this epoch is kept.
        """
        if not isinstance(pl_module, SegmentationTask):
            msg = f"this record is of a SegmentationTask, not of a {type(pl_module).__name__}"
            raise TypeError(msg)
        row = self._row(trainer, pl_module)
        if not math.isfinite(row.train_loss):
            msg = (
                f"the loss of epoch {row.epoch} is {row.train_loss}; {self._folder} holds the epochs before it; "
                "set training.learning_rates smaller or training.gradient_clip to 1.0"
            )
            raise TrainingError(msg)
        is_best = not self.state.best_epoch or math.isnan(row.validation_dsc)
        is_best = is_best or row.validation_dsc > self.state.best_score
        best_epoch = row.epoch if is_best else self.state.best_epoch
        self.state = RunState(
            rows=(*self.state.rows, row),
            best_epoch=best_epoch,
            best_score=row.validation_dsc if is_best else self.state.best_score,
            stopped_early=0 < self._patience <= row.epoch - best_epoch,
            identity=self.state.identity,
        )
        if trainer.is_global_zero:
            self._write(row, self._average.network if self._average else pl_module.network, is_best=is_best)
        aside = self._folder / f"{RESUME}.part"
        trainer.save_checkpoint(aside)
        if trainer.is_global_zero:
            aside.replace(self._folder / RESUME)
        trainer.should_stop = trainer.should_stop or self.state.stopped_early
        self._tell(row, is_best=is_best)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002  (Lightning's signature)
        """Close the TensorBoard log."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _row(self, trainer: Trainer, task: SegmentationTask) -> EpochRow:
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        scores = task.scores
        return EpochRow(
            epoch=trainer.current_epoch + 1,
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            train_loss=logged["train_loss"],
            train_dice_loss=logged["train_dice_loss"],
            train_cross_entropy=logged["train_cross_entropy"],
            validation_loss=scores.loss if scores else math.nan,
            validation_dsc=scores.dsc if scores else math.nan,
            validation_sensitivity=scores.sensitivity if scores else math.nan,
            validation_precision=scores.precision if scores else math.nan,
            validation_missed=scores.missed if scores else 0,
            validation_false_positive_images=scores.false_positive_images if scores else 0,
            seconds=time.monotonic() - self._started,
            images_per_second=self._train_images / (self._trained - self._started),
        )

    def _write(self, row: EpochRow, network: nn.Module, *, is_best: bool) -> None:
        write_text(self._folder / METRICS, _as_csv(self.state.rows))
        if self._writer is not None:
            for name, value in asdict(row).items():
                if name != "epoch" and not math.isnan(value):
                    self._writer.add_scalar(_tag(name), value, row.epoch)
            self._writer.flush()
        save_checkpoint(self._folder / LAST, network, self._card)
        if is_best:
            save_checkpoint(self._folder / BEST, network, self._card)

    def _tell(self, row: EpochRow, *, is_best: bool) -> None:
        rows = self.state.rows[-5:]
        left_s = (self._epochs - row.epoch) * sum(one.seconds for one in rows) / len(rows)
        validated = not math.isnan(row.validation_loss)
        logger.info(
            "epoch %d of %d: loss %.4f%s, %.1f s, %.2f images/s, about %s left%s",
            row.epoch,
            self._epochs,
            row.train_loss,
            f", validation DSC {row.validation_dsc:.4f} ({row.validation_missed} missed)" if validated else "",
            row.seconds,
            row.images_per_second,
            timedelta(seconds=round(left_s)),
            ", best so far" if is_best and validated else "",
        )
        if self.state.stopped_early:
            logger.info(
                "stopped: no better score in %d epochs; best was epoch %d", self._patience, self.state.best_epoch
            )


def _tag(name: str) -> str:
    """Name in TensorBoard, grouped by what was measured."""
    group, _, rest = name.partition("_")
    return f"{group}/{rest}" if group in {"train", "validation"} else f"run/{name}"


def _state_from(values: Mapping[str, Any]) -> RunState:  # Any: what the file for resuming holds
    rows = tuple(EpochRow(**row) for row in values["rows"])
    return RunState(**{**values, "rows": rows})


def _as_csv(rows: tuple[EpochRow, ...]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[field.name for field in fields(EpochRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if math.isnan(value) else value for name, value in asdict(row).items()})
    return text.getvalue()

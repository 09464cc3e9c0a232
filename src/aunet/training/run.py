"""One training run, from a recipe and a data set to a folder with weights, scores and logs."""

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_only

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.datasets.source import Source
from aunet.datasets.split_file import freeze, write_splits
from aunet.datasets.splits import samples_of
from aunet.errors import AunetError, TrainingError
from aunet.io.aside import write_text
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.population import population_of, profile_of
from aunet.training.averaging import MovingAverage
from aunet.training.data import Sides, TrainingData, merge_ledger, prepare_samples, sides_of
from aunet.training.fine_tuning import ORIGIN, Origin, check_start, find_origin, origin_to_json
from aunet.training.hardware import Hardware, choose_hardware, torch_settings
from aunet.training.preflight import Preflight, check_smallest_batch, preflight
from aunet.training.pretrained import check_statistics
from aunet.training.recipe import Recipe
from aunet.training.recipe_sections import FineTuningSection
from aunet.training.record import BEST, LAST, METRICS, RESUME, EpochRecord, RunState
from aunet.training.resuming import RECIPE, is_finished, refuse_existing, state_to_resume
from aunet.training.run_card import card_of_run, remind_of_source
from aunet.training.task import build_task

logger = logging.getLogger(__name__)

SUMMARY = "summary.json"
SPLITS = "splits.json"

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """What a run has left behind."""

    folder: Path
    best: Path
    """Weights of the epoch with the best mean DSC on the validation images; of the last one where there are none."""
    last: Path
    metrics: Path
    """One row an epoch."""
    epochs: int
    """Epochs trained."""
    best_epoch: int
    """Counted from 1."""
    best_score: float | None
    """Mean DSC on the validation images at that epoch; None where there were none with a mass."""
    stopped_early: bool
    train_images: int
    validation_images: int
    refused_images: int
    """Images of the data set that could not be used; `ledger.csv` names each with its reason."""
    seconds: float
    """Duration of all epochs, validation included."""
    seconds_per_epoch: float
    images_per_second: float
    """Training images a second; validation is not counted in."""
    hardware: str
    """What it was computed on, and why."""


def train(
    recipe: Recipe,
    dataset: DataSet,
    out: Path,
    *,
    init: Path | None = None,
    resume: bool = False,
    cache: Path | None = None,
    on_prepared: OnProgress | None = None,
    on_progress: OnProgress | None = None,
) -> TrainedRun:
    """Train a network.

    Args:
        recipe: What to do.
        dataset: Images and reference masks.
        out: Folder of the run, made here.
        init: A checkpoint to start from instead of random weights.
        resume: Go on with the run in `out` where it was cut off, or start it if it never began.
        cache: Folder of prepared images, shared by runs; None for `cache` inside the run.
        on_prepared: Called with the images prepared and their total.
        on_progress: Called with the steps done and their total.

    Returns:
        Where the results are, and the best score.

    An `AunetError` comes from what was given: `TrainingError` where the run exists, can't be resumed, has nothing to
    train on or does not fit this machine, `CheckpointError` for `init`, `DatasetError` for patients on both sides.
    """
    on_main = rank_zero_only  # of several processes, one writes
    on_main(refuse_existing)(out, recipe, resume=resume)
    is_begun = resume and (out / RECIPE).is_file()
    origin = find_origin(out, init, is_begun=is_begun)
    _check_start(recipe, origin, init, is_begun=is_begun)
    check_statistics(recipe.network.settings(), recipe.preprocessing.settings())
    hardware = choose_hardware(recipe.hardware.accelerator, recipe.hardware.precision, threads=recipe.hardware.threads)
    logger.info("computing on %s", hardware.reason)
    settings = recipe.training
    sides = sides_of(dataset, validation_fraction=settings.validation_fraction, seed=settings.seed)
    splits = freeze({"train": sides.train, "validation": sides.validation, "test": samples_of(dataset, "test")})
    cache_folder = cache or out / "cache"
    needs = _check_needs(recipe, hardware, sides, out, cache_folder)
    for need in needs.needs:
        logger.info("%s", need)
    prepared = PreparedCache(cache_folder, recipe.preprocessing.settings())
    readable, found = prepare_samples(sides, prepared, on_progress=on_prepared)
    _check_smallest_batch(recipe, hardware, images=len(readable.train))
    ledger = merge_ledger(dataset.ledger, found)
    identity = _identity(readable)
    state = state_to_resume(out, identity=identity, origin=origin, init=init) if resume else None
    on_main(ledger.write)(out)
    on_main(write_splits)(out / SPLITS, splits)
    if origin is not None:
        on_main(write_text)(out / ORIGIN, origin_to_json(origin))
    on_main(write_text)(out / RECIPE, recipe.to_toml())
    remind_of_source(recipe, dataset)
    logger.info("%d images to train on, %d to validate on", len(readable.train), len(readable.validation))
    if state is None or not is_finished(state, recipe):
        with _run_settings(recipe):
            state = _fit(
                recipe,
                hardware,
                readable,
                prepared,
                out,
                identity,
                source=dataset.source,
                init=init,
                origin=origin,
                state=state,
                report=on_progress,
            )
    run = _describe(out, state, readable, hardware, refused=ledger.counts["refused"])
    on_main(write_text)(out / SUMMARY, json.dumps(asdict(run), default=str, indent=1) + "\n")
    return run


def prepare(recipe: Recipe, dataset: DataSet, cache: Path, *, on_prepared: OnProgress | None = None) -> Ledger:
    """Prepare every image of a data set, so that runs and evaluations with this cache begin at once.

    Args:
        recipe: Its preprocessing says how.
        dataset: The images, of all splits.
        cache: Folder to keep them in.
        on_prepared: Called with the images prepared and their total.

    Returns:
        The data set's ledger with what reading the pixels has found.
    """
    everything = Sides(dataset.samples, ())
    prepared = PreparedCache(cache, recipe.preprocessing.settings())
    _, found = prepare_samples(everything, prepared, on_progress=on_prepared)
    return merge_ledger(dataset.ledger, found)


def _fit(
    recipe: Recipe,
    hardware: Hardware,
    sides: Sides,
    cache: PreparedCache,
    out: Path,
    identity: str,
    *,
    source: Source | None,
    init: Path | None,
    origin: Origin | None,
    state: RunState | None,
    report: OnProgress | None,
) -> RunState:
    settings = recipe.training
    average = MovingAverage(decay=settings.ema_decay) if settings.ema_decay else None
    record = EpochRecord(
        out,
        card_of_run(
            recipe,
            source,
            hardware,
            origin,
            population_of(profile_of(cache.load(one), cache.settings) for one in sides.train),
        ),
        identity=identity,
        epochs=settings.epochs,
        train_images=len(sides.train),
        seed=settings.seed,
        patience=settings.patience,
        average=average,
        on_progress=report,
    )
    # A run that goes on has its weights in the file for resuming.
    task = build_task(
        recipe,
        hardware,
        n_validation=len(sides.validation),
        init=None if state else init,
        is_resumed=state is not None,
    )
    data = TrainingData(
        sides,
        cache,
        batch_size=settings.batch_size,
        seed=settings.seed,
        workers=recipe.hardware.workers,
        augmentation=recipe.augmentation.settings(),
    )
    if state is not None:
        logger.info("going on after epoch %d of %d", len(state.rows), settings.epochs)
    try:
        # The average first: at the end of an epoch it has to be there before the record writes it.
        callbacks: list[Callback] = [average, record] if average else [record]
        trainer = _trainer(recipe, hardware, callbacks, out, has_validation=bool(sides.validation))
        trainer.fit(task, data, ckpt_path=out / RESUME if state else None, weights_only=True)
    except AunetError:
        raise
    except (RuntimeError, OSError, MisconfigurationException) as error:
        raise TrainingError(_explain(error)) from error
    return record.state


def _trainer(
    recipe: Recipe, hardware: Hardware, callbacks: list[Callback], out: Path, *, has_validation: bool
) -> Trainer:
    """Lightning's trainer, with nothing of its own output."""
    return Trainer(
        accelerator=hardware.accelerator,
        devices=recipe.hardware.devices,
        num_nodes=recipe.hardware.num_nodes,
        strategy=recipe.hardware.strategy,
        precision=hardware.precision,
        max_epochs=recipe.training.epochs,
        limit_val_batches=1.0 if has_validation else 0,
        gradient_clip_val=recipe.training.gradient_clip or None,
        sync_batchnorm=recipe.hardware.devices * recipe.hardware.num_nodes > 1 and hardware.accelerator == "cuda",
        benchmark=recipe.hardware.cudnn_benchmark,
        deterministic=recipe.hardware.deterministic,
        callbacks=callbacks,
        default_root_dir=out,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )


@contextmanager
def _run_settings(recipe: Recipe) -> Iterator[None]:
    """PyTorch's switches for this run, and Lightning kept to what concerns it."""
    chatter = logging.getLogger("lightning.pytorch")
    level = chatter.level
    chatter.setLevel(logging.WARNING)
    hardware = recipe.hardware
    try:
        with (
            warnings.catch_warnings(),
            torch_settings(
                seed=recipe.training.seed,
                deterministic=hardware.deterministic,
                cudnn_benchmark=hardware.cudnn_benchmark,
                tf32=hardware.tf32,
                threads=hardware.threads,
                keep_memory=hardware.keep_memory,
            ),
        ):
            # Advice against settings that are made on purpose: prepared images are read from memory-mapped files, for
            # which one process is enough; the recipe may ask for the CPU beside a free GPU; frozen parts of a network
            # stay in evaluation.
            warnings.filterwarnings("ignore", ".*does not have many workers", PossibleUserWarning)
            warnings.filterwarnings("ignore", "GPU available but not used", PossibleUserWarning)
            warnings.filterwarnings("ignore", ".*in eval mode at the start of training", PossibleUserWarning)
            # Lightning 2.6 asks PyTorch 2.13 for a class of its tree that is on its way out.
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        chatter.setLevel(level)


def _check_start(recipe: Recipe, origin: Origin | None, init: Path | None, *, is_begun: bool) -> None:
    tuning = recipe.fine_tuning
    if tuning != FineTuningSection() and origin is None:
        msg = "the recipe's [fine_tuning] is for weights of a checkpoint; give one by --init, or leave the section out"
        raise TrainingError(msg)
    check_start(
        recipe.network.settings(),
        init=init,
        frozen=tuning.freeze,
        needs_head=tuning.head == "reset" or tuning.head_factor != 1,
        needs_levels=recipe.training.deep_supervision > 0,
        needs_first_weights=init is None and not is_begun,
    )


def _check_needs(recipe: Recipe, hardware: Hardware, sides: Sides, out: Path, cache_folder: Path) -> Preflight:
    found = preflight(
        recipe.network.settings(),
        rows=recipe.preprocessing.rows,
        columns=recipe.preprocessing.columns,
        batch_size=recipe.training.batch_size,
        images=len(sides.train) + len(sides.validation),
        workers=recipe.hardware.workers,
        device=hardware.accelerator,
        precision=hardware.precision,
        run_folder=out,
        cache_folder=cache_folder,
        is_averaged=recipe.training.ema_decay > 0,
    )
    if found.missing:
        lines = [f"{need}; {need.remedy}" for need in found.missing]
        raise TrainingError("\n  ".join(["this run does not fit here:", *lines]))
    return found


def _check_smallest_batch(recipe: Recipe, hardware: Hardware, *, images: int) -> None:
    devices = recipe.hardware.devices * recipe.hardware.num_nodes
    if devices > 1 and hardware.accelerator == "cuda":
        return  # these share the statistics of their batches
    check_smallest_batch(
        recipe.network.settings(),
        rows=recipe.preprocessing.rows,
        columns=recipe.preprocessing.columns,
        images=-(-images // devices),
        batch_size=recipe.training.batch_size,
    )


def _describe(out: Path, state: RunState, sides: Sides, hardware: Hardware, *, refused: int) -> TrainedRun:
    seconds = sum(row.seconds for row in state.rows)
    pace = sum(1 / row.images_per_second for row in state.rows) / len(state.rows)
    return TrainedRun(
        folder=out,
        best=out / BEST,
        last=out / LAST,
        metrics=out / METRICS,
        epochs=len(state.rows),
        best_epoch=state.best_epoch,
        best_score=None if state.best_score != state.best_score else state.best_score,
        stopped_early=state.stopped_early,
        train_images=len(sides.train),
        validation_images=len(sides.validation),
        refused_images=refused,
        seconds=seconds,
        seconds_per_epoch=seconds / len(state.rows),
        images_per_second=1 / pace,
        hardware=hardware.reason,
    )


def _identity(sides: Sides) -> str:
    """Digest of the images' names on both sides."""
    names = [[sample.case for sample in side] for side in (sides.train, sides.validation)]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _explain(error: Exception) -> str:
    """What a failure inside PyTorch means to the user; a worker's own traceback is part of the error's text."""
    text = str(error)
    if "DataLoader worker" in text and ("killed" in text or "exited" in text or "Bus error" in text):
        return (
            f"{text}; most often memory or /dev/shm is full: set hardware.workers to 0 or training.batch_size smaller"
        )
    if "out of memory" in text or "can't allocate memory" in text:
        return f"{text}; set training.batch_size or network.width smaller"
    return text

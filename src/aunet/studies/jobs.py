"""One arm made ready to run, what it leaves behind, and the three things that are done for it."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from aunet.datasets.dataset import DataSet
from aunet.errors import AunetError, DatasetError
from aunet.evaluation.run import evaluate
from aunet.evaluation.stats import Bootstrap
from aunet.inference.segmenter import Segmenter
from aunet.io.aside import digest, write_text
from aunet.studies.arms import Arm, with_pretraining
from aunet.studies.cost import seconds_per_step
from aunet.studies.lock import locked
from aunet.studies.sources import Source
from aunet.training.data import sides_of
from aunet.training.recipe import Recipe
from aunet.training.run import prepare, train

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

DONE = "arm.json"
RUN = "run"
EVALUATION = "evaluation"
PER_IMAGE = "per_image.csv"
_HARDWARE_OF_THE_RESULT = {"precision", "tf32"}
"""How products are rounded; all else changes the last digits at most."""


@dataclass(frozen=True, slots=True)
class Job:
    """One arm made ready to run, here or on another machine that sees the same folders."""

    arm: Arm
    key: str
    """Hash of everything that decides the arm's result."""
    part: DataSet
    """What it trains and is tested on, on the sides of its fold."""
    folder: Path
    cache: Path
    init: "Job | None"
    """The job whose weights it starts from."""
    bootstrap: Bootstrap

    @property
    def recipe(self) -> Recipe:
        """What is trained."""
        return self.arm.recipe

    @property
    def weights(self) -> Path:
        """The checkpoint that is evaluated."""
        return self.folder / RUN / "best.safetensors"

    @property
    def per_image(self) -> Path:
        """The scores of each image."""
        return self.folder / EVALUATION / PER_IMAGE


@dataclass(frozen=True, slots=True)
class Done:
    """A finished arm."""

    train_images: int
    epochs: int
    training_s: float
    """Of all epochs, also those before an interruption."""
    images_per_second: float
    hardware: str
    unread: tuple[str, ...]
    """Test images that could not be read or predicted, each with its reason; they count as missed."""
    left_out: tuple[str, ...]
    """Images that were neither trained nor scored on, each with its reason: refused by the data set, or unreadable."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What could not be done, and why."""

    reason: str


def make_jobs(
    arms: Sequence[Arm], sources: Mapping[str, Source], *, folder: Path, cache: Path, bootstrap: Bootstrap
) -> tuple[Job, ...]:
    """The jobs of some arms and of those that they start from.

    Args:
        arms: The arms that are wanted.
        sources: The study's data sets.
        folder: Where every job has a folder of its own, named by what decides its result.
        cache: Folder of prepared images, for all of them.
        bootstrap: How the evaluation makes its intervals.

    Returns:
        Each job once, behind the one that it starts from. An arm whose test images another one has been trained on,
        from which it starts, is a DatasetError.
    """
    jobs: dict[str, Job] = {}
    for arm in with_pretraining(arms):
        key = arm_key(arm, sources)
        if key not in jobs:
            init = None if arm.init is None else jobs[arm_key(arm.init, sources)]
            part = sources[arm.data].part(arm.fold)
            _refuse_seen(arm, part, init)
            jobs[key] = Job(arm, key, part, folder / _folder_name(arm, key), cache, init, bootstrap)
    return tuple(jobs.values())


def arm_key(arm: Arm, sources: Mapping[str, Source]) -> str:
    """Hash of everything that decides an arm's result.

    That is the recipe with its seed and provenance, the version of this package, images, where they come from, patients
    and sides, and the weights that it starts from, of another arm or in a file.

    Args:
        arm: The arm.
        sources: The study's data sets.

    Returns:
        SHA-256 in hexadecimal.
    """
    recipe = arm.recipe
    weights = Path(str(recipe.network.arguments.get("pretrained", "")))
    facts = [
        version("aunet"),
        recipe.model_dump(mode="json", exclude={"hardware"}),
        recipe.hardware.model_dump(mode="json", include=_HARDWARE_OF_THE_RESULT),
        digest(weights) if weights.is_file() else "",
        sources[arm.data].identity(arm.fold),
        str(sources[arm.data].dataset.source),
        None if arm.init is None else arm_key(arm.init, sources),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def finished(job: Job) -> Done | None:
    """What a finished job has left behind.

    Args:
        job: The job.

    Returns:
        Its record, which may name images to be tried again; None where it is not finished, or was another one.
    """
    try:
        note = json.loads((job.folder / DONE).read_text(encoding="utf-8"))
        if note.pop("key") != job.key or not job.per_image.is_file():
            return None
        del note["arm"]
        return Done(**{**note, "unread": tuple(note["unread"]), "left_out": tuple(note["left_out"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run_arm(job: Job) -> Done:
    """Train and evaluate an arm, from where it was cut off, and mark it as finished.

    Of an arm that is finished, the test images that could not be read are tried again.

    Args:
        job: The arm, everything that it starts from being finished.

    Returns:
        What it cost. An arm that can't be run, or is being run by another process, is an AunetError.
    """
    logger.info("%s: %s", job.folder.name, job.arm)
    with locked(job.folder):
        return _run(job)


def prepare_all(job: Job) -> int:
    """Prepare every image that is not in the cache yet.

    Args:
        job: The images and the way.

    Returns:
        How many are there now; those that can't be read are named by the arms.
    """
    counts = prepare(job.recipe, job.part, job.cache).counts
    return counts["read"] + counts["repaired"]


def time_step(job: Job) -> float:
    """Seconds of a step.

    Args:
        job: What is timed.

    Returns:
        The seconds.
    """
    return seconds_per_step(job.recipe)


def train_images(job: Job) -> int:
    """How many images an epoch of a job has.

    Args:
        job: The job.

    Returns:
        Their number; a data set without any to train on is a TrainingError.
    """
    settings = job.recipe.training
    return len(sides_of(job.part, validation_fraction=settings.validation_fraction, seed=settings.seed).train)


def guarded(function: Callable[[Job], _Result], job: Job) -> _Result | Failed:
    """What a function says of a job, or why it could not.

    Args:
        function: Any of the functions above.
        job: What it is called with.

    Returns:
        Its result. Errors of our own, of files and of PyTorch (memory) become a reason; a bug stays an error.
    """
    try:
        return function(job)
    except (AunetError, OSError, ValueError, RuntimeError) as error:
        return Failed(str(error) or type(error).__name__)


def _refuse_seen(arm: Arm, part: DataSet, init: Job | None) -> None:
    """Check that nothing an arm starts from has seen what it is tested on.

    Raises:
        DatasetError: Images of the test side, or other ones of their patients, have been trained on.
    """
    tested = [sample for sample in part.samples if sample.split == "test"]
    while init is not None:
        seen = [sample for sample in init.part.samples if sample.split != "test"]
        paths = {sample.image_path.resolve() for sample in seen}
        # Two data sets may number their patients alike.
        patients = {sample.patient_id for sample in seen} if init.part.root == part.root else set()
        both = [one.case for one in tested if one.image_path.resolve() in paths or one.patient_id in patients]
        if both:
            msg = (
                f"{arm}: starts from {init.arm}, which is trained on {len(both)} of its {len(tested)} test images, or "
                f"on other images of their patients ({both[0]}, ...); pretrain on another data set"
            )
            raise DatasetError(msg)
        init = init.init


def _run(job: Job) -> Done:
    trained = finished(job) or _trained(job)
    summary = evaluate(
        Segmenter.load(job.weights),
        job.part,
        job.folder / EVALUATION,
        cache=job.cache,
        weights=job.weights,
        bootstrap=job.bootstrap,
    )
    done = replace(trained, unread=tuple(f"{failure.case}: {failure.reason}" for failure in summary.failures))
    note = {"key": job.key, "arm": str(job.arm), **asdict(done)}
    write_text(job.folder / DONE, json.dumps(note, indent=1, ensure_ascii=False) + "\n")
    return done


def _trained(job: Job) -> Done:
    """An arm whose training has ended, before it is tested."""
    run = job.folder / RUN
    trained = train(
        job.recipe, job.part, run, init=None if job.init is None else job.init.weights, resume=True, cache=job.cache
    )
    ledger = json.loads((run / "ledger.json").read_text(encoding="utf-8"))
    return Done(
        train_images=trained.train_images,
        epochs=trained.epochs,
        training_s=trained.seconds,
        images_per_second=trained.images_per_second,
        hardware=trained.hardware,
        unread=(),
        left_out=tuple(f"{row['case']}: {row['reason']}" for row in ledger["rows"] if row["status"] == "refused"),
    )


def _folder_name(arm: Arm, key: str) -> str:
    """A name that a person can read and that no other arm has."""
    # A network may be named by its import path, `package.module:Class`.
    network = "".join(letter if letter.isalnum() else "-" for letter in arm.recipe.network.name)
    fold = "" if arm.fold is None else f"-fold{arm.fold.number}"
    return f"{network}-seed{arm.seed}{fold}-{key[:12]}"

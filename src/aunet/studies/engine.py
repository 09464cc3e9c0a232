"""Runs the arms that are not done yet: cost first, then all preparing, then one arm after the other."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from aunet.datasets.identity import identity_of
from aunet.studies.cost import Estimate, estimate, timing_key
from aunet.studies.jobs import (
    Done,
    Failed,
    Job,
    finished,
    guarded,
    prepare_all,
    run_arm,
    time_step,
    train_images,
)

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]


_Result = TypeVar("_Result")


@runtime_checkable
class Workers(Protocol):
    """What computes: this process, or a cluster."""

    def each(self, function: Callable[[Job], _Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, _Result | Failed]]:
        """Call a function with each job; results come as they are ready."""
        ...


class Here:
    """Computes in this process, one job after the other."""

    def each(self, function: Callable[[Job], _Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, _Result | Failed]]:
        """Call a function with each job in turn."""
        return ((job, guarded(function, job)) for job in jobs)


@dataclass(frozen=True, slots=True)
class ArmReport:
    """What became of an arm."""

    job: Job
    outcome: Done | Failed
    estimate: Estimate | None
    """None for an arm that was finished before, or whose step could not be timed."""


def run_jobs(jobs: Sequence[Job], workers: Workers, *, on_progress: OnProgress | None = None) -> tuple[ArmReport, ...]:
    """Run the jobs that are not finished.

    Args:
        jobs: All jobs, each behind the one that it starts from.
        workers: What computes.
        on_progress: Called with the number of jobs done and their total.

    Returns:
        What became of each, in the order given. A job that fails doesn't stop the others.
    """
    records = {job.key: found for job in jobs if (found := finished(job)) is not None}
    # Images that could not be read may be there by now.
    outcomes: dict[str, Done | Failed] = {key: found for key, found in records.items() if not found.unread}
    todo = [job for job in jobs if job.key not in outcomes]
    logger.info("%d arms, %d of them finished before", len(jobs), len(jobs) - len(todo))
    estimates = _estimate_all([job for job in todo if job.key not in records], workers)
    _prepare_all(todo, workers)
    _tell(on_progress, len(outcomes), len(jobs))
    for depth in sorted({job.arm.depth for job in todo}):
        ready = []
        for job in (job for job in todo if job.arm.depth == depth):
            first = None if job.init is None else outcomes[job.init.key]
            if isinstance(first, Failed):
                outcomes[job.key] = Failed(f"the arm that it starts from has failed: {first.reason}")
                _tell(on_progress, len(outcomes), len(jobs))
            else:
                ready.append(job)
        for job, outcome in workers.each(run_arm, ready):
            if isinstance(outcome, Failed):
                logger.error("%s has failed: %s", job.arm, outcome.reason)
            else:
                logger.info("%s is done: training took %s", job.arm, duration(outcome.training_s))
            outcomes[job.key] = outcome
            _tell(on_progress, len(outcomes), len(jobs))
    return tuple(ArmReport(job, outcomes[job.key], estimates.get(job.key)) for job in jobs)


def _estimate_all(jobs: Sequence[Job], workers: Workers) -> Mapping[str, Estimate]:
    """Time one step of each kind, and say what every arm will take."""
    kinds = {timing_key(job.recipe): job for job in jobs}
    steps: dict[str, float] = {}
    for timed, found in workers.each(time_step, list(kinds.values())):
        if isinstance(found, Failed):
            logger.warning("%s: its cost can't be estimated: %s", timed.recipe.network.name, found.reason)
        else:
            steps[timing_key(timed.recipe)] = found
    estimates = {}
    for job in jobs:
        step_s, images = steps.get(timing_key(job.recipe)), guarded(train_images, job)
        if step_s is None or isinstance(images, Failed):
            continue  # the arm fails of the same, and is named then
        cost = estimate(job.recipe, train_images=images, step_s=step_s)
        logger.info("%s: about %s (%.2f images/s)", job.arm, duration(cost.seconds), cost.images_per_second)
        estimates[job.key] = cost
    if estimates:
        total_s = sum(cost.seconds for cost in estimates.values())
        logger.info("training of all %d arms: about %s on one device", len(estimates), duration(total_s))
    return estimates


def _prepare_all(jobs: Sequence[Job], workers: Workers) -> None:
    """Prepare every image once in each way, before arms that run side by side would do the same."""
    # Grey and RGB share their prepared images, and so do the folds of a data set.
    ways = {(identity_of(job.part.samples), job.recipe.preprocessing.settings().grey().to_json()): job for job in jobs}
    for job, found in workers.each(prepare_all, list(ways.values())):
        if isinstance(found, Failed):
            logger.warning("%s can't be prepared: %s", job.part.name, found.reason)
        else:
            logger.info("%s: %d images prepared", job.part.name, found)


def duration(seconds: float) -> str:
    """A duration in words.

    Args:
        seconds: Its length.

    Returns:
        Seconds, minutes or hours with two or three digits.
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _tell(on_progress: OnProgress | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total)

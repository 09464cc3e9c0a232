"""Computes the arms of a study on a Ray cluster, whose machines all see the study's folders."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from aunet.errors import AunetError
from aunet.studies.jobs import Failed, Job, guarded
from aunet.training.recipe import Recipe

RETRIES = 5
"""How often an arm is started again when its node or its process is lost."""

_Result = TypeVar("_Result")


class OnCluster:
    """Gives each job to the cluster as a task with its share of processors and GPUs.

    A task that is lost with its node is started again on another one, where the arm goes on from its own checkpoint.
    """

    def __init__(self) -> None:
        """Join the cluster that is running: the one of RAY_ADDRESS, or the one on this machine.

        Raises:
            AunetError: There is none.
        """
        try:
            ray.init(address="auto", ignore_reinit_error=True)
        except ConnectionError as error:
            msg = (
                "no Ray cluster is running here; start one by `ray start --head` (and join machines by `ray start "
                "--address=...`), name one by RAY_ADDRESS, or leave --engine local"
            )
            raise AunetError(msg) from error
        self._has_gpus = ray.cluster_resources().get("GPU", 0) > 0

    def each(self, function: Callable[[Job], _Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, _Result | Failed]]:
        """Call a function with each job, as many at a time as the cluster has room for.

        Args:
            function: One of those of `aunet.studies.jobs`.
            jobs: What it is called with.

        Yields:
            Each job with its result, as they are ready; a job that was lost too often with its reason.

        Raises:
            RayTaskError: A bug in the function.
        """
        task = ray.remote(guarded)
        waiting = {}
        for job in jobs:
            cpus, gpus = share_of(job.recipe, has_gpus=self._has_gpus)
            options = task.options(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, scheduling_strategy="SPREAD")
            waiting[options.remote(function, job)] = job
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ready)
            try:
                yield job, ray.get(ready)
            except RayTaskError:
                raise
            except RayError as error:
                yield job, Failed(f"lost {RETRIES + 1} times with its node or process: {error}")


def share_of(recipe: Recipe, *, has_gpus: bool) -> tuple[int, int]:
    """What a task by this recipe takes.

    Args:
        recipe: Its hardware section counts.
        has_gpus: The cluster has GPUs.

    Returns:
        Processors and GPUs: a processor a thread and a loading process, and the recipe's devices where it computes on
        GPUs.
    """
    hardware = recipe.hardware
    uses_gpus = hardware.accelerator == "cuda" or (hardware.accelerator == "auto" and has_gpus)
    return max(1, hardware.threads) + hardware.workers, hardware.devices if uses_gpus else 0

"""Computes the arms of a study on a Ray cluster, whose machines all see the study's folders."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from aunet.errors import AunetError
from aunet.studies.jobs import Failed, Job, guarded
from aunet.training.preflight import preflight

RETRIES = 5
"""How often an arm is started again when its node or its process is lost."""

_Result = TypeVar("_Result")


class Share(NamedTuple):
    """What a task takes of its machine."""

    cpus: int
    gpus: int
    memory_bytes: int


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
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for job in jobs:
            share = guarded(partial(share_of, has_gpus=self._has_gpus), job)
            if isinstance(share, Failed):
                yield job, share
                continue
            asked = {"CPU": share.cpus, "GPU": share.gpus, "memory": share.memory_bytes}
            if not any(all(node.get(name, 0) >= amount for name, amount in asked.items()) for node in nodes):
                yield job, Failed(f"no machine of the cluster has what it needs: {asked}")
                continue
            options = task.options(
                num_cpus=share.cpus,
                num_gpus=share.gpus,
                memory=share.memory_bytes,
                max_retries=RETRIES,
                scheduling_strategy="SPREAD",
            )
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


def share_of(job: Job, *, has_gpus: bool) -> Share:
    """What a task for this job takes.

    Args:
        job: Its recipe counts.
        has_gpus: The cluster has GPUs.

    Returns:
        A processor a thread and a loading process, a GPU where it computes on one, and the memory of its training.
    """
    recipe = job.recipe
    hardware = recipe.hardware
    uses_gpu = hardware.accelerator == "cuda" or (hardware.accelerator == "auto" and has_gpus)
    needs = preflight(
        recipe.network.settings(),
        rows=recipe.preprocessing.rows,
        columns=recipe.preprocessing.columns,
        batch_size=recipe.training.batch_size,
        images=0,
        workers=hardware.workers,
        # Of devices with a memory of their own it asks the one of this machine, which need not have any.
        device="mps" if uses_gpu else "cpu",
        precision="32-true" if hardware.precision == "auto" else hardware.precision,
        run_folder=job.folder,
        cache_folder=job.cache,
        is_averaged=recipe.training.ema_decay > 0,
    ).needs
    memory_bytes = next(need.needed_bytes for need in needs if need.what == "memory")
    return Share(max(1, hardware.threads) + hardware.workers, int(uses_gpu), memory_bytes)

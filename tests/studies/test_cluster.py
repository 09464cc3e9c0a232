"""A study on a Ray cluster of two nodes, one of which is killed while it trains."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.evaluation.stats import Bootstrap
from aunet.phantom.layouts import write_folder
from aunet.studies.arms import Arm
from aunet.studies.jobs import Job
from aunet.training.recipe import parse_recipe

pytest.importorskip("ray", reason="the extra `cluster` is not installed")
TIMEOUT_S = 300
# Ray takes the address of the network card for 127.0.0.1, unless it is told that clusters are not supported here.
ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
RECIPE = """
[network]
width = 2
reduction = 2
[preprocessing]
rows = 32
columns = 32
[training]
epochs = {epochs}
batch_size = 2
schedule = "cosine"
learning_rates = [1e-2, 1e-3]
[hardware]
accelerator = "cpu"
precision = "32-true"
threads = 1
keep_memory = false
"""
STUDY = """
title = "Weight of the cross-entropy"
reference = "alpha = 1"
[[arms]]
name = "alpha = 1"
recipe = "recipe.toml"
[[arms]]
name = "alpha = 2"
recipe = "recipe.toml"
set = ["training.alpha=2.0"]
"""


@dataclass(frozen=True)
class Cluster:
    environment: dict[str, str]
    raylets: tuple[int, ...]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes that know nothing but the loopback device."""
    # Below /tmp: the path of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    environment = {**os.environ, **ON_LOOPBACK, "RAY_TMPDIR": str(folder)}
    host = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("two_nodes.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    assert host.stdout is not None
    address, *raylets = host.stdout.readline().split()
    try:
        yield Cluster({**environment, "RAY_ADDRESS": address}, tuple(map(int, raylets)))
    finally:
        host.communicate(timeout=TIMEOUT_S)
        shutil.rmtree(folder)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_folder(tmp_path / "phantoms", patients=8, seed=3, rows=128)
    (tmp_path / "recipe.toml").write_text(RECIPE.format(epochs=40))
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def start(study: Path, name: str, engine: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    out = study.parent / name
    command = [
        str(Path(sys.executable).with_name("aunet")),
        "study",
        str(study),
        "--data",
        f"folder:{study.parent / 'phantoms'}",
    ]
    options = ["--out", str(out), "--cache", str(out / "cache"), "--seeds", "1", "--engine", engine]
    return subprocess.Popen(
        [*command, *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, said
    return said


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, "the study ended before a node could be killed"
        assert time.monotonic() < until, f"nothing to kill after {TIMEOUT_S} s"
        time.sleep(0.05)


def epochs_of(run: Path) -> int:
    metrics = run / "metrics.csv"
    return len(metrics.read_text().splitlines()) - 1 if metrics.is_file() else 0


@pytest.mark.slow
def test_a_study_whose_node_is_killed_ends_in_the_table_of_a_single_machine(study: Path, cluster: Cluster) -> None:
    finish(start(study, "here", "local", {**os.environ, **ON_LOOPBACK}))
    arms = study.parent / "lost" / "arms"

    process = start(study, "lost", "ray", cluster.environment)
    # Both nodes train: whichever is killed has an arm that is half done.
    wait_until(lambda: sum(0 < epochs_of(run) < 30 for run in arms.glob("*/run")) == 2, process)
    os.kill(cluster.raylets[0], signal.SIGKILL)
    half_done = {path: path.read_text() for path in arms.glob("*/run/metrics.csv")}
    finish(process)

    assert len(half_done) == 2
    for path, rows in half_done.items():
        # A row has the seconds of its epoch: these are the very epochs that were trained before, not trained again.
        assert 1 < len(rows.splitlines()) < 41
        assert path.read_text().startswith(rows)
    for name in ("table.md", "table.csv", "table.tex"):
        assert (study.parent / "lost" / name).read_bytes() == (study.parent / "here" / name).read_bytes(), name
    notes = [json.loads(path.read_text()) for path in arms.glob("*/arm.json")]
    assert [note["epochs"] for note in notes] == [40] * 2


@pytest.mark.slow
def test_without_a_cluster_there_is_one_message_and_status_2(study: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}

    process = start(study, "out", "ray", {**environment, **ON_LOOPBACK, "RAY_TMPDIR": str(tmp_path)})
    _, said = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 2
    assert "no Ray cluster is running here; start one by `ray start --head`" in said
    assert "Traceback" not in said


def test_a_task_takes_processors_a_gpu_and_the_memory_of_its_training(tmp_path: Path) -> None:
    share_of = importlib.import_module("aunet.studies.cluster").share_of
    dataset = DataSet("none", tmp_path, (), Ledger(()))

    def share(*, has_gpus: bool, batch: int = 4, **hardware: object) -> tuple[int, int, int]:
        tables = {"network": {"width": 2}, "training": {"batch_size": batch}, "hardware": hardware}
        arm = Arm("one", parse_recipe(tables, source="test"), "none", None, None)
        found: tuple[int, int, int] = share_of(
            Job(arm, "key", dataset, tmp_path, tmp_path, None, Bootstrap()), has_gpus=has_gpus
        )
        return found

    assert share(has_gpus=True, threads=3, workers=2)[:2] == (5, 1)
    assert share(has_gpus=False, threads=3, workers=2)[:2] == (5, 0)
    assert share(has_gpus=True, accelerator="cpu")[:2] == (1, 0)
    on_processor, with_more_images, on_gpu = (
        share(has_gpus=False)[2],
        share(has_gpus=False, batch=8)[2],
        share(has_gpus=True)[2],
    )
    assert 700 * 2**20 < on_gpu < on_processor < with_more_images

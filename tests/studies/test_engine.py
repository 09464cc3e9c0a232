"""Arms that are really trained, on a few phantoms."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from aunet.errors import DatasetError
from aunet.evaluation.stats import Bootstrap
from aunet.preprocessing import pipeline
from aunet.studies.arms import Entry, arms_of
from aunet.studies.cost import estimate
from aunet.studies.engine import Here, duration, run_jobs
from aunet.studies.jobs import Done, Failed, Job, make_jobs
from aunet.studies.sources import open_sources
from aunet.training.recipe import load_recipe
from aunet.training.run import train

MakeEntry = Callable[..., Entry]


def jobs_of(
    phantoms: Path, root: Path, entries: Sequence[Entry], *, seeds: int = 1, first: Path | None = None
) -> tuple[Job, ...]:
    specs = {"data": f"folder:{phantoms}"} | ({"first": f"folder:{first}"} if first else {})
    sources = open_sources(tuple(specs), tuple(specs.values()))
    arms = [arm for entry in entries for arm in arms_of(entry, seeds=seeds)]
    return make_jobs(arms, sources, folder=root / "arms", cache=root / "cache", bootstrap=Bootstrap(resamples=50))


def test_no_two_arms_prepare_the_same_image(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    really = pipeline.prepare

    def counted(*arguments: object, **named: object) -> object:
        prepared.append(arguments)
        return really(*arguments, **named)  # type: ignore[arg-type]  # whatever it was called with

    monkeypatch.setattr("aunet.preprocessing.cache.prepare", counted)
    grey, rgb = small_entry("grey"), small_entry("rgb", "network.in_channels=3", "preprocessing.channels=3")

    jobs = jobs_of(phantoms, tmp_path, (grey, rgb), seeds=2)
    reports = run_jobs(jobs, Here())

    assert [type(report.outcome) for report in reports] == [Done] * 4
    assert len(prepared) == len(jobs[0].part.samples)


def test_what_is_done_is_not_done_again(phantoms: Path, small_entry: MakeEntry, tmp_path: Path) -> None:
    entry = small_entry("one")
    (first,) = run_jobs(jobs_of(phantoms, tmp_path, (entry,)), Here())
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "arms").rglob("*") if path.is_file()}

    (second,) = run_jobs(jobs_of(phantoms, tmp_path, (small_entry("another name"),)), Here())

    assert second.outcome == first.outcome
    assert first.estimate is not None
    assert second.estimate is None
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "arms").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "change",
    [
        "hardware.precision=bf16-mixed",
        "hardware.tf32=true",
        "provenance.licence=none",
    ],
)
def test_what_decides_a_result_decides_the_folder(
    change: str, phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    (one,) = jobs_of(phantoms, tmp_path, (small_entry("a"),))
    (other,) = jobs_of(phantoms, tmp_path, (small_entry("b", change),))

    assert one.folder != other.folder


def test_another_version_or_other_first_weights_have_another_folder(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "encoder.safetensors"
    entry = small_entry("a", f"network.arguments={{pretrained = {str(weights)!r}}}")
    keys = []
    for content in ("a", "b"):
        weights.write_text(content)
        keys.append(jobs_of(phantoms, tmp_path, (entry,))[0].key)
    monkeypatch.setattr("aunet.studies.jobs.version", lambda _: "another")
    keys.append(jobs_of(phantoms, tmp_path, (entry,))[0].key)

    assert len(set(keys)) == 3


def test_another_recipe_or_seed_has_another_folder_and_other_hardware_has_not(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    folders = [
        job.folder
        for entry in (small_entry("a"), small_entry("b", "training.alpha=2.0"), small_entry("c", "hardware.threads=2"))
        for job in jobs_of(phantoms, tmp_path, (entry,), seeds=2)
    ]

    assert len(set(folders)) == 4
    assert folders[:2] == folders[4:]


class CutOffError(Exception):
    """What ends a run in the middle."""


def test_an_arm_that_was_cut_off_ends_as_if_it_had_not_been(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    entry = small_entry("one", "training.epochs=3")
    (whole,) = jobs_of(phantoms, tmp_path / "whole", (entry,))
    (cut,) = jobs_of(phantoms, tmp_path / "cut", (entry,))
    run_jobs([whole], Here())

    def cut_off(done: int, total: int) -> None:
        if done > total / 2:
            raise CutOffError

    with pytest.raises(CutOffError):
        train(cut.recipe, cut.part, cut.folder / "run", cache=cut.cache, on_progress=cut_off)
    epochs_when_cut = len((cut.folder / "run" / "metrics.csv").read_text().splitlines()) - 1
    (report,) = run_jobs([cut], Here())

    assert epochs_when_cut == 1
    assert isinstance(report.outcome, Done)
    assert cut.per_image.read_bytes() == whole.per_image.read_bytes()
    assert cut.weights.read_bytes() == whole.weights.read_bytes()


def test_an_arm_that_was_cut_off_before_it_began_begins(phantoms: Path, small_entry: MakeEntry, tmp_path: Path) -> None:
    (job,) = jobs_of(phantoms, tmp_path, (small_entry("one"),))
    (job.folder / "run").mkdir(parents=True)
    (job.folder / "run" / "splits.json").write_text("{}")

    (report,) = run_jobs([job], Here())

    assert isinstance(report.outcome, Done)


def test_an_arm_that_fails_is_named_with_those_that_need_it_and_the_others_go_on(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    bad = small_entry("bad", "network.name=wrong")
    tuned = small_entry("tuned", "network.name=wrong", pretraining=bad)
    progress: list[tuple[int, int]] = []

    jobs = jobs_of(phantoms, tmp_path, (tuned, small_entry("good")))
    reports = run_jobs(jobs, Here(), on_progress=lambda done, total: progress.append((done, total)))

    outcomes = {report.job.arm.name: report.outcome for report in reports}
    assert isinstance(outcomes["bad"], Failed)
    assert "unknown network 'wrong'" in outcomes["bad"].reason
    assert isinstance(outcomes["tuned"], Failed)
    assert outcomes["tuned"].reason.startswith("the arm that it starts from has failed")
    assert isinstance(outcomes["good"], Done)
    assert progress[-1] == (3, 3)


def test_an_arm_starts_from_the_weights_of_its_pretraining(
    phantoms: Path, other_phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    pretraining = small_entry("pretraining", data="first")
    tuned = small_entry("tuned", "fine_tuning.requires_checkpoint=true", folds=2, pretraining=pretraining)

    first, *folds = run_jobs(jobs_of(phantoms, tmp_path, (tuned,), first=other_phantoms), Here())

    assert [report.job.arm.name for report in (first, *folds)] == ["pretraining", "tuned", "tuned"]
    assert all(report.job.init == first.job for report in folds)
    assert all(isinstance(report.outcome, Done) for report in folds)


@pytest.mark.parametrize("data", ["data", "first"])
def test_no_arm_is_tested_on_what_its_pretraining_was_trained_on(
    data: str, phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    pretraining = small_entry("middle", data=data, pretraining=small_entry("pretraining", data=data))
    tuned = small_entry("tuned", folds=2, pretraining=pretraining)

    with pytest.raises(DatasetError, match=r"tuned on data, seed 0, fold 1 of 2: starts from middle on .* test images"):
        jobs_of(phantoms, tmp_path, (tuned,), first=phantoms)


def test_test_images_that_could_not_be_read_are_tried_again(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path
) -> None:
    shutil.copytree(phantoms, tmp_path / "data", copy_function=shutil.copy2)
    (job,) = jobs_of(tmp_path / "data", tmp_path, (small_entry("one"),))
    image = next(sample.image_path for sample in job.part.samples if sample.split == "test")
    hidden = image.rename(tmp_path / "hidden")
    (first,) = run_jobs([job], Here())
    weights = job.weights.stat().st_mtime_ns
    hidden.rename(image)

    (second,) = run_jobs([job], Here())

    assert isinstance(first.outcome, Done)
    assert isinstance(second.outcome, Done)
    assert (len(first.outcome.unread), second.outcome.unread) == (1, ())
    assert second.estimate is None
    assert job.weights.stat().st_mtime_ns == weights


HOLD = "import sys; from pathlib import Path; from aunet.studies.lock import locked\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_an_arm_that_another_process_runs_is_named_and_the_others_go_on(
    phantoms: Path, small_entry: MakeEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aunet.studies.lock.PATIENCE_S", 0.0)
    held, free = jobs_of(phantoms, tmp_path, (small_entry("held"), small_entry("free", "training.alpha=2.0")))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(held.folder)], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        first, second = run_jobs((held, free), Here())
        other.kill()

    (again,) = run_jobs((held,), Here())

    assert isinstance(first.outcome, Failed)
    assert "is being run by another process" in first.outcome.reason
    assert isinstance(second.outcome, Done)
    assert isinstance(again.outcome, Done)


def test_a_damaged_mark_is_no_mark(phantoms: Path, small_entry: MakeEntry, tmp_path: Path) -> None:
    jobs = jobs_of(phantoms, tmp_path, (small_entry("one"),))
    run_jobs(jobs, Here())
    mark = jobs[0].folder / "arm.json"
    note = json.loads(mark.read_text())
    mark.write_text(json.dumps(note | {"key": "of another arm"}))

    (report,) = run_jobs(jobs, Here())

    assert report.estimate is not None
    assert json.loads(mark.read_text()) == note


def test_the_estimate_is_steps_times_their_duration(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)  # 2 epochs of batches of 4

    found = estimate(recipe, train_images=9, step_s=0.5)

    assert (found.seconds, found.images_per_second) == (2 * 3 * 0.5, 8.0)


@pytest.mark.parametrize(("seconds", "words"), [(9.6, "10 s"), (120.0, "2 min"), (9000.0, "2.5 h")])
def test_a_duration_is_said_in_its_own_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words

"""What the documentation says is so: commands parse, examples run, pages build and ask nothing of the net."""

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import typer

from aunet.cli.app import VERBS
from aunet.training.recipe import load_recipe

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
COMMAND_LINE = ROOT / "docs" / "reference" / "command-line.md"
# ```sh, or ``` { .sh .runnable } where a test runs the block.
FENCE = re.compile(r"^```[ {.]*(?P<language>\w+)(?P<words>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# A page with less of everything, so that a test can run it.
TINY = (
    "cpu/demo --set training.epochs=1 --set network.width=2 --set network.reduction=2"
    " --set preprocessing.rows=64 --set preprocessing.columns=64"
)
SMALLER = {
    "--patients 200": "--patients 8",
    "--patients 100": "--patients 6",
    "--rows 512": "--rows 256",
    "training.epochs=10": "training.epochs=1",
    "cpu/demo": TINY,
}
# What the commands of a page leave behind, if they do what the page says.
MADE = {
    "first-steps": ("inspection/ledger.csv", "run/best.safetensors", "evaluation/report.html", "segmented/results.csv"),
    "match-intensities": ("inspection/drift.png", "scores-test/summary.json", "segmented/results.csv"),
    "fine-tune": ("tuned-decoder/init.json", "scores-tuned-decoder/summary.json", "scores-at-home/summary.json"),
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    is_runnable: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page.stem}: {self.text.strip().splitlines()[0][:50]}"


def blocks(*pages: Path) -> Iterator[Block]:
    for page in pages:
        for found in FENCE.finditer(page.read_text("utf-8")):
            yield Block(page, found["language"], "runnable" in found["words"], found["text"])


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell block, taken apart."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def aunet_commands() -> list[list[str]]:
    """Every command of ours in README and pages, in fenced shell blocks and in indented ones."""
    pages = [ROOT / "README.md", *(page for page in PAGES if page != COMMAND_LINE)]
    texts = [block.text for block in blocks(*pages) if block.language == "sh"]
    texts += [line for page in pages for line in page.read_text("utf-8").splitlines() if line.startswith("    aunet ")]
    return [command for text in texts for command in commands(text) if command[0] == "aunet"]


@pytest.mark.parametrize("command", aunet_commands(), ids=shlex.join)
def test_every_command_names_a_verb_its_arguments_and_its_options(command: list[str]) -> None:
    verb = typer.Typer(add_completion=False)
    verb.command()(importlib.import_module(f"aunet.cli.{command[1]}").run)

    # Raises a usage error where an argument is missing or an option unknown; runs nothing.
    context = typer.main.get_command(verb).make_context(command[1], command[2:])

    assert command[1] in VERBS
    if command[1] == "train":
        load_recipe(context.params["recipe"], context.params["overrides"] or ())


def test_the_pages_of_the_command_line_and_of_the_code_agree() -> None:
    made = script("command_line_page").page()

    assert COMMAND_LINE.read_text("utf-8") == made, "run .venv/bin/python scripts/command_line_page.py"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "zensical.toml").read_text("utf-8")

    missing = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]
    assert [page for page in missing if f'"{page}"' not in navigation] == []


def pages_to_run() -> list[Path]:
    return sorted({block.page for block in blocks(*PAGES) if block.is_runnable})


def test_every_page_that_runs_says_what_it_leaves_behind() -> None:
    assert {page.stem for page in pages_to_run()} == MADE.keys()


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_to_run(), ids=lambda page: page.stem)
def test_a_page_runs_from_its_first_command_to_its_last(page: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    for block in blocks(page):
        if not block.is_runnable:
            continue
        program = ["sh", "-ec", smaller(block.text)] if block.language == "sh" else [sys.executable, "-c", block.text]
        done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"

    assert [file for file in MADE[page.stem] if not (tmp_path / file).is_file()] == []


@pytest.mark.slow
def test_the_pages_build_without_a_warning_and_ask_nothing_of_the_net(tmp_path: Path) -> None:
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "zensical.toml").write_bytes((ROOT / "zensical.toml").read_bytes())

    zensical = Path(sys.executable).with_name("zensical")
    done = subprocess.run(
        [zensical, "build", "--clean", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    pages = {page: page.read_text("utf-8") for page in (tmp_path / "site").rglob("*.html")}
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pages) > len(PAGES)
    loaded = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(?:https?:)?//|<link[^>]*\shref=\"(?:https?:)?//")
    assert [page.name for page, text in pages.items() if loaded.search(text)] == []


def smaller(text: str) -> str:
    for large, small in SMALLER.items():
        text = text.replace(large, small)
    return text


def script(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    # Dataclasses look their own module up.
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module

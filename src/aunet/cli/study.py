"""`aunet study`: a table or figure of the paper, or a study of one's own."""

import importlib
import json
import math
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import typer

from aunet.cli.progress import terminal_progress
from aunet.evaluation.tables import to_markdown
from aunet.studies.engine import Here, Workers
from aunet.studies.jobs import Done
from aunet.studies.page import notes_of, reason_of, write_findings
from aunet.studies.quick import SEEDS as QUICK_SEEDS
from aunet.studies.study import SEEDS, Findings, Order, run_study
from aunet.studies.study_file import find_study

SOME_FAILED = 1
_NAMED_AT_MOST = 20


def run(
    study: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="table1 to table7, s1, s2, s3-s6, figure1, figure4, figure5, figure6-7, or a TOML file.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for table.md, table.csv, table.tex, figures and index.html.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="A data set, cbis-ddsm:PATH, inbreast:PATH or folder:PATH; one for each that is needed."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help=f"Runs of each entry; {SEEDS} by default, {QUICK_SEEDS} with --quick.")
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Compute here, or on the Ray cluster that is running.")
    ] = "local",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one entry of every arm's recipe; repeatable."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Narrow networks and few steps; without --data, on a few phantoms.")
    ] = False,
    arms: Annotated[
        Path | None, typer.Option(help="Folder of finished arms, shared by studies; OUT/arms by default.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of prepared images, shared by runs; beside OUT by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Run a table or figure of the paper, or a study of your own, and lay our numbers beside the paper's.

    The cost of every arm is estimated from a timed step and shown before anything is trained. A second run goes on
    where the first was cut off. The exit status is 1 if an arm failed, or an image could not be read or was
    refused by its data set; the others are done.

    Raises:
        Exit: Something failed.
    """
    found = find_study(study)
    order = Order(
        data=tuple(data or ()),
        out=out.resolve(),
        arms=(arms or out / "arms").resolve(),
        cache=(cache or out.parent / "aunet-cache").resolve(),
        seeds=seeds or (QUICK_SEEDS if quick else SEEDS),
        changes=tuple(overrides or ()),
        quick=quick,
    )
    with terminal_progress("Study") as on_progress:
        findings = run_study(found, order, _workers(engine), on_progress=on_progress)
    page = write_findings(findings)
    if as_json:
        typer.echo(json.dumps(_document(findings), indent=1, ensure_ascii=False))
    else:
        _show(findings, page)
    for report in findings.failed:
        typer.echo(f"{report.job.arm}: {reason_of(report)}", err=True)
    _name("could not be read or predicted and counts as missed if it shows a mass", findings.unread)
    _name("left out: neither trained on, nor scored, nor counted as missed", findings.left_out)
    if findings.failed or findings.unread or findings.left_out:
        raise typer.Exit(SOME_FAILED)


def _workers(engine: Literal["local", "ray"]) -> Workers:
    """What computes; Ray is imported only where it is asked for, since it comes with an extra."""
    if engine == "local":
        return Here()
    workers: Workers = importlib.import_module("aunet.studies.cluster").OnCluster()
    return workers


def _name(what: str, lines: tuple[str, ...]) -> None:
    """Name images on the standard error; all of them are on the page and in `--json`."""
    for line in lines[:_NAMED_AT_MOST]:
        typer.echo(f"{line} ({what})", err=True)
    if len(lines) > _NAMED_AT_MOST:
        typer.echo(f"and {len(lines) - _NAMED_AT_MOST} more ({what})", err=True)


def _show(findings: Findings, page: Path) -> None:
    shown = findings.tables[:-1] or findings.tables
    typer.echo(to_markdown(shown, title=findings.study.title, notes=notes_of(findings)))
    typer.echo(f"Written: {page}, and beside it table.md, table.csv, table.tex")


def _document(findings: Findings) -> dict[str, object]:
    return {
        "study": findings.study.name,
        "title": findings.study.title,
        "out": str(findings.order.out),
        "data": dict(findings.data or {}),
        "notes": notes_of(findings),
        "rows": _records(findings.numbers),
        **({} if findings.categories is None else {"categories": _records(findings.categories)}),
        "arms": [
            {
                "arm": str(report.job.arm),
                "folder": str(report.job.folder),
                "estimated_s": None if report.estimate is None else report.estimate.seconds,
                "training_s": report.outcome.training_s if isinstance(report.outcome, Done) else None,
                "failed": reason_of(report),
            }
            for report in findings.arms
        ],
        "unread": list(findings.unread),
        "left_out": list(findings.left_out),
    }


def _records(numbers: pd.DataFrame) -> list[dict[str, object]]:
    records = numbers.to_dict(orient="records")
    return [{str(key): _plain(value) for key, value in record.items()} for record in records]


def _plain(value: object) -> object:
    """A value for JSON, which knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

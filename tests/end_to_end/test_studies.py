"""Every table and figure of the paper, in small: so that none of them can rot."""

import csv
import logging
from pathlib import Path

import pytest
import typer
from PIL import Image as Picture
from typer.testing import CliRunner

from aunet.cli import study
from aunet.studies.paper import STUDIES

verb = typer.Typer()
verb.command()(study.run)
runner = CliRunner()

PICTURES = {
    "figure1": ("figure1",),
    "figure4": ("figure4",),
    "figure5": ("figure5",),
    "figure6-7": ("figure6", "figure7"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studies share arms, prepared images and phantoms."""
    return tmp_path_factory.mktemp("studies")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_ends_in_tables_figures_and_a_page(
    name: str, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = shared / name
    caplog.set_level(logging.WARNING)

    result = runner.invoke(
        verb, [name, "--quick", "--out", str(out), "--arms", str(shared / "arms"), "--cache", str(shared / "cache")]
    )

    assert result.exit_code == 0, result.output
    for table in ("table.md", "table.csv", "table.tex", "index.html"):
        assert (out / table).stat().st_size > 0, table
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    if "entry" in rows[0]:
        assert {row["entry"] for row in rows} == {entry.name for entry in STUDIES[name].entries}
    if "runs" in rows[0]:
        assert all(row["runs"] == row["arms"] != "0" for row in rows)
    for picture in PICTURES.get(name, ()):
        with Picture.open(out / f"{picture}.png") as png:
            assert min(png.size) > 300
        assert "<svg" in (out / f"{picture}.svg").read_text()

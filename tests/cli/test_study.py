"""`aunet study` as a user calls it."""

import csv
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from aunet.cli import study
from aunet.datasets.opening import open_dataset
from aunet.errors import AunetError, RecipeError, WriteError
from aunet.evaluation.summary import HAU_NOTE
from aunet.phantom.layouts import write_folder

verb = typer.Typer()
verb.command()(study.run)
runner = CliRunner()

MINE = """
title = "Mine"
reference = "grey"
[[arms]]
name = "grey"
set = ["network.in_channels=1", "preprocessing.channels=1"]
[[arms]]
name = "wrong"
set = ["network.name=wrong"]
"""


def arguments(name: str, out: Path, *more: str) -> list[str]:
    return [name, "--out", str(out), "--quick", "--cache", str(out.parent / "cache"), *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table 6 in small, which needs no data."""
    out = tmp_path_factory.mktemp("study") / "table6"
    result = runner.invoke(verb, arguments("table6", out))
    assert result.exit_code == 0, result.output
    return out


def test_a_study_leaves_three_tables_and_a_page(finished: Path) -> None:
    page = (finished / "index.html").read_text()

    assert "| UNet | 23 |" in (finished / "table.md").read_text()
    assert r"UNet & 23 &" in (finished / "table.tex").read_text()
    assert next(csv.DictReader((finished / "table.csv").read_text().splitlines()))["paper_layers"] == "23"
    assert "frames a second can&#x27;t" in page
    assert "http" not in page


def test_the_84_cases_are_written_and_told(tmp_path: Path) -> None:
    result = runner.invoke(verb, arguments("s3-s6", tmp_path / "out", "--set", "network.name=wrong", "--json"))

    rows = list(csv.DictReader((tmp_path / "out" / "categories.csv").read_text().splitlines()))
    told = json.loads(result.stdout)["categories"]
    assert len(rows) == len(told) == 84 * 4
    assert told[0] | {"images": 0, "mean": None} == told[0]


def test_a_folder_holds_one_study(finished: Path) -> None:
    result = runner.invoke(verb, arguments("table3", finished))

    assert isinstance(result.exception, WriteError)
    assert "holds the study table6; choose another folder" in str(result.exception)


def test_an_arm_that_fails_is_named_and_gives_status_1(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)

    result = runner.invoke(verb, arguments(str(tmp_path / "mine.toml"), tmp_path / "out", "--json"))

    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [bool(arm["failed"]) for arm in told["arms"]] == [False, True]
    assert told["arms"][0]["estimated_s"] > 0
    assert told["rows"][0]["entry"] == "grey"
    assert told["rows"][0]["runs"] == 1
    assert "wrong on data, seed 0: unknown network 'wrong'" in result.stderr
    assert "unknown network" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize("folds", [0, 2])
def test_images_that_are_left_out_are_named_and_give_status_1(folds: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_folder(data, patients=6, seed=1, rows=128)
    unreadable = next(one for one in open_dataset(f"folder:{data}").samples if one.split == "train")
    unreadable.image_path.write_bytes(b"no image")
    (tmp_path / "mine.toml").write_text(f'title = "Mine"\n[[arms]]\nname = "one"\nfolds = {folds}\n')

    result = runner.invoke(
        verb, arguments(str(tmp_path / "mine.toml"), tmp_path / "out", "--data", f"folder:{data}", "--json")
    )

    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    assert (told["unread"], len(told["left_out"])) == ([], 1)
    assert told["left_out"][0].startswith(f"{unreadable.case}: ")
    assert f"{unreadable.case}: " in result.stderr
    assert "neither trained on nor scored nor counted as missed" in (tmp_path / "out" / "index.html").read_text()


def test_what_was_changed_in_every_arm_is_said_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE.partition('[[arms]]\nname = "wrong"')[0])

    result = runner.invoke(
        verb, arguments(str(tmp_path / "mine.toml"), tmp_path / "out", "--set", "training.batch_size=2", "--seeds", "2")
    )

    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "table.md").read_text()
    assert "at most the order of the rows can be compared: training.batch_size=2." in text
    assert "| grey | 2 of 2 |" in text
    assert HAU_NOTE not in text  # there is no column of the paper


def test_an_unknown_study_is_answered_with_those_there_are(tmp_path: Path) -> None:
    result = runner.invoke(verb, arguments("table8", tmp_path / "out"))

    assert isinstance(result.exception, RecipeError)
    assert "one of table1, table2" in str(result.exception)


def test_a_study_without_its_data_says_what_it_needs(tmp_path: Path) -> None:
    result = runner.invoke(verb, ["table4", "--out", str(tmp_path / "out")])

    assert isinstance(result.exception, AunetError)
    assert "needs 2 data sets (cbis-ddsm, inbreast), and 0 were given by --data" in str(result.exception)

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aunet.cli.app import app, main

runner = CliRunner()


def test_the_verb_writes_the_folder_and_says_what_comes_next(tmp_path: Path) -> None:
    out = tmp_path / "set"

    result = runner.invoke(app, ["phantom", str(out), "--layout", "folder", "--patients", "2", "--rows", "64"])

    assert result.exit_code == 0
    assert (out / "cases.csv").exists()
    assert f"aunet inspect folder:{out}" in result.stdout


def test_json_is_the_only_thing_on_the_standard_output(tmp_path: Path) -> None:
    out = tmp_path / "set"

    result = runner.invoke(app, ["phantom", str(out), "--patients", "1", "--rows", "64", "--seed", "3", "--json"])

    document = json.loads(result.stdout)
    assert document["patients"] == 1
    assert document["images"] == len(list(out.glob("images/*/*.dcm")))


@pytest.mark.parametrize(
    ("option", "word", "message"),
    [
        ("--layout", "dream", "'dream' is not one of 'folder', 'cbis-ddsm', 'inbreast'"),
        ("--acquisition", "dream", "'dream' is not one of 'film', 'detector', 'mixed'"),
        ("--naming", "dream", "'dream' is not one of 'uid', 'nbia', 'nbia-old', 'jpeg'"),
        ("--patients", "0", "patients is 0; expected 1 to 99999"),
        ("--rows", "10", "rows is 10; expected 64 to 8192"),
        ("--naming", "nbia", "the layout folder does not have it"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_names_what_is_known(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    word: str,
    message: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["aunet", "phantom", str(tmp_path / "set"), option, word])

    with pytest.raises(SystemExit) as exit_info:
        main()

    assert exit_info.value.code == 2
    assert message in re.sub(r"[│\s]+", " ", capsys.readouterr().err)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("layout", "table"), [("cbis-ddsm", "mass_case_description_test_set.csv"), ("inbreast", "INbreast.csv")]
)
def test_the_layouts_of_real_data_sets_are_written(layout: str, table: str, tmp_path: Path) -> None:
    out = tmp_path / "set"

    result = runner.invoke(app, ["phantom", str(out), "--layout", layout, "--patients", "2", "--rows", "64"])

    assert result.exit_code == 0, result.output
    assert (out / table).exists()
    assert f"aunet inspect {layout}:{out}" in result.stdout


@pytest.mark.parametrize(
    ("layout", "option", "value"),
    [
        ("cbis-ddsm", "--acquisition", "film"),
        ("cbis-ddsm", "--normal-fraction", "0.5"),
        ("inbreast", "--naming", "uid"),
        ("inbreast", "--acquisition", "detector"),
    ],
)
def test_an_option_that_a_layout_does_not_have_is_refused(layout: str, option: str, value: str, tmp_path: Path) -> None:
    result = runner.invoke(app, ["phantom", str(tmp_path / "set"), "--layout", layout, option, value])

    assert result.exit_code == 2
    assert not (tmp_path / "set").exists()

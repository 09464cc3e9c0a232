import json
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
        ("--layout", "dream", 'unknown layout "dream"; the known layouts are: folder'),
        ("--acquisition", "dream", 'unknown acquisition "dream"; expected one of film, detector, mixed'),
        ("--patients", "0", "patients is 0; expected 1 to 99999"),
        ("--rows", "10", "rows is 10; expected 64 to 8192"),
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
    assert message in capsys.readouterr().err
    assert not (tmp_path / "set").exists()

"""`aunet models` as a user calls it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aunet.cli import app
from aunet.inference import shipped
from aunet.models.card import ModelCard


@pytest.fixture
def folder(
    plain_card: ModelCard, write_reduction: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of two models, which stands for that of the package."""
    for name in ("films-1", "films-2"):
        write_reduction(tmp_path / f"{name}.onnx", plain_card, operator="ReduceMean")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.setattr(shipped, "DEFAULT", "films-2")
    return tmp_path


def call(*arguments: str) -> None:
    app.app(["models", *arguments], standalone_mode=False)


def test_each_model_is_shown_with_its_data_and_licence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call()

    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("films")] == ["films-1", "films-2 (the default)"]
    assert said.count("2026-01-01 on phantoms") == 2
    assert f"{folder / 'films-2.onnx'}, 0.0 MB" in said
    assert said.endswith("For research use only, not a medical device.\n")


def test_json_prints_a_list_of_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("--json")

    first, second = json.loads(capsys.readouterr().out)
    assert (first["name"], first["default"], second["name"], second["default"]) == ("films-1", False, "films-2", True)
    assert second["path"] == str(folder / "films-2.onnx")
    assert (second["licence"], second["threshold"]) == ("CC0", 0.5)
    assert first.keys() == second.keys()


def test_a_broken_installation_is_one_message_and_status_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.glob("*.onnx"):
        path.unlink()
    monkeypatch.setattr("sys.argv", ["aunet", "models", "--json"])

    with pytest.raises(SystemExit) as ended:
        app.main()

    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.startswith("aunet: ")
    assert "this installation lacks the weights that ship with aunet" in said.err

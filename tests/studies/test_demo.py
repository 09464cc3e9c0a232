import importlib
from pathlib import Path

import pytest
import typer

from aunet.cli.app import VERBS
from aunet.studies import demo
from aunet.studies.demo import Layout, real_films, stages_of
from aunet.training.recipe import load_recipe

FILMS = (Path("a.dcm"), Path("b.dcm"))


@pytest.mark.parametrize("epochs", [None, 3])
def test_every_stage_is_a_command_that_a_user_can_type(tmp_path: Path, epochs: int | None) -> None:
    stages = stages_of(Layout(tmp_path / "demo"), patients=8, rows=256, films=FILMS, epochs=epochs)

    for stage in stages:
        verb = typer.Typer(add_completion=False)
        verb.command()(importlib.import_module(f"aunet.cli.{stage.arguments[0]}").run)
        # Raises a usage error where an argument is missing or an option unknown; runs nothing.
        context = typer.main.get_command(verb).make_context(stage.arguments[0], list(stage.arguments[1:]))
        if stage.arguments[0] == "train":
            recipe = load_recipe(context.params["recipe"], context.params["overrides"] or ())
            assert (recipe.training.epochs == 3) is (epochs == 3)
    assert [stage.arguments[0] for stage in stages] == [
        *("segment", "phantom", "inspect", "train", "evaluate", "export", "segment")
    ]
    assert "--weights" not in stages[0].arguments
    assert {stage.arguments[0] for stage in stages} <= set(VERBS)


def test_without_films_there_is_nothing_to_segment_but_phantoms(tmp_path: Path) -> None:
    stages = stages_of(Layout(tmp_path), patients=8, rows=256, films=())

    assert [stage.arguments[1] for stage in stages if stage.arguments[0] == "segment"] == [
        str(tmp_path / "phantoms" / "images" / "test")
    ]


def test_a_run_that_was_begun_is_gone_on_with(tmp_path: Path) -> None:
    layout = Layout(tmp_path)

    first = stages_of(layout, patients=8, rows=256, films=())
    layout.run.mkdir()
    second = stages_of(layout, patients=8, rows=256, films=())

    assert ["--resume" in stage.arguments for stage in first] == [False] * 6
    assert [stage.title for stage in second if "--resume" in stage.arguments] == ["Train"]


def test_a_command_is_shown_as_it_is_typed(tmp_path: Path) -> None:
    stages = stages_of(Layout(tmp_path / "my demo"), patients=8, rows=256, films=())

    assert stages[0].command.startswith(f"aunet phantom '{tmp_path}/my demo/phantoms' --layout folder")


def test_the_eight_real_films_are_files(real_films: dict[str, Path]) -> None:
    found = demo.real_films()

    assert set(found) == set(real_films.values())
    assert len(found) == 8


def test_films_that_are_not_installed_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert real_films() == ()

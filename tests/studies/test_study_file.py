from pathlib import Path

import pytest

from aunet.errors import RecipeError
from aunet.studies.paper import STUDIES
from aunet.studies.study_file import find_study

SOUND = """
title = "Mine"
reference = "a"
[[arms]]
name = "a"
recipe = "mine.toml"
set = ["network.width=8"]
[[arms]]
name = "b"
data = "other"
folds = 5
pretraining = "a"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "study.toml"
    path.write_text(text)
    return str(path)


def test_a_study_of_the_paper_is_found_by_its_name() -> None:
    assert find_study("table3") is STUDIES["table3"]


def test_a_file_gives_its_arms_in_order(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")

    study = find_study(write(tmp_path, SOUND))

    first, second = study.entries
    assert (study.name, study.title, study.reference) == ("study", "Mine", "a")
    assert (first.recipe, first.changes) == (str(tmp_path / "mine.toml"), ("network.width=8",))
    assert (second.data, second.folds, second.pretraining) == ("other", 5, first)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"table9: no such study; .* one of table1, table2, .* figure6-7"):
        find_study("table9")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name = "b"', 'name = "a"'), "two arms are called 'a'"),
        (('pretraining = "a"', 'pretraining = "c"'), "'b' starts from 'c', which is none of the arms above"),
        (('reference = "a"', 'reference = "c"'), "the reference 'c' is none of the arms a, b"),
        (("folds = 5", "fold = 5"), "arms.1.fold: Extra inputs are not permitted"),
        (("folds = 5", "folds ="), "not a TOML file"),
        (('set = ["network.width=8"]', "folds = 2"), "'b' starts from 'a', which has folds"),
        (('data = "other"', ""), "'b' is tested on folds of the data set 'data', images of which 'a'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = write(tmp_path, SOUND.replace(*change))

    with pytest.raises(RecipeError, match=message):
        find_study(path)

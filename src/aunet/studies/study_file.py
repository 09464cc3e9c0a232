"""A study of one's own, read from a TOML file."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aunet.errors import RecipeError
from aunet.studies.arms import PAPER_RECIPE, Entry, Study, data_of
from aunet.studies.paper import STUDIES

_REMARK = "A study of the user's own; there is nothing in the paper to lay beside it."


class _Arm(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1)]
    """Row of the table; no two are the same."""
    recipe: str = PAPER_RECIPE
    """A bundled recipe, or a TOML file beside this one."""
    set: tuple[str, ...] = ()
    """Changes of the recipe, each as `section.key=value`."""
    data: str = "data"
    """Which data set, by a name of one's own; they are given by --data in the order of their first use."""
    folds: Annotated[int, Field(ge=0)] = 0
    """Folds of a cross-validation; 0 for the data set's own split."""
    pretraining: str | None = None
    """Name of the arm whose weights it starts from."""


class _StudyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: str
    """Heading of the table."""
    arms: Annotated[tuple[_Arm, ...], Field(min_length=1)]
    """Rows of the table."""
    reference: str | None = None
    """Name of the arm that the others are tested against."""


def find_study(name_or_file: str) -> Study:
    """A study of the paper, or the one in a TOML file.

    Args:
        name_or_file: "table1", or the path of a TOML file.

    Returns:
        The study.

    Raises:
        RecipeError: There is no such study, or the file can't be used.
    """
    if name_or_file in STUDIES:
        return STUDIES[name_or_file]
    path = Path(name_or_file)
    if not path.is_file():
        msg = f"{name_or_file}: no such study; give the path of a TOML file, or one of {', '.join(STUDIES)}"
        raise RecipeError(msg)
    try:
        found = _StudyFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: not a TOML file: {error}"
        raise RecipeError(msg) from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
        raise RecipeError("\n  ".join([f"{path}: the study can't be used:", *lines])) from error
    return _study(path, found)


def _study(path: Path, found: _StudyFile) -> Study:
    """The study of a file, with every name in it looked up.

    Raises:
        RecipeError: A name stands twice, or is none of an arm above.
    """
    entries: dict[str, Entry] = {}
    for arm in found.arms:
        if arm.name in entries:
            msg = f"{path}: two arms are called {arm.name!r}; give each a name of its own"
            raise RecipeError(msg)
        beside = path.parent / arm.recipe
        entry = Entry(
            arm.name, arm.set, recipe=str(beside) if beside.is_file() else arm.recipe, data=arm.data, folds=arm.folds
        )
        if arm.pretraining is not None:
            entry = replace(entry, pretraining=_first(path, arm, entries))
        entries[arm.name] = entry
    if found.reference is not None and found.reference not in entries:
        msg = f"{path}: the reference {found.reference!r} is none of the arms {', '.join(entries)}"
        raise RecipeError(msg)
    return Study(path.stem, found.title, tuple(entries.values()), reference=found.reference, remark=_REMARK)


def _first(path: Path, arm: _Arm, above: dict[str, Entry]) -> Entry:
    """The arm that another one starts from.

    Raises:
        RecipeError: No arm above has that name, or it has seen what the other one is tested on.
    """
    first = above.get(arm.pretraining or "")
    if first is None:
        msg = f"{path}: {arm.name!r} starts from {arm.pretraining!r}, which is none of the arms above it"
        raise RecipeError(msg)
    if first.folds:
        msg = f"{path}: {arm.name!r} starts from {first.name!r}, which has folds; start from an arm without them"
        raise RecipeError(msg)
    if arm.folds and arm.data in data_of(first):
        msg = (
            f"{path}: {arm.name!r} is tested on folds of the data set {arm.data!r}, images of which {first.name!r} or "
            "what that starts from has been trained on; pretrain on another data set, or leave out the folds"
        )
        raise RecipeError(msg)
    return first

"""A recipe: everything that decides what a training run does, read from one TOML file."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from aunet.errors import RecipeError
from aunet.training.recipe_sections import (
    AugmentationSection,
    FineTuningSection,
    HardwareSection,
    NetworkSection,
    PreprocessingSection,
    ProvenanceSection,
    Section,
    TrainingSection,
)

# In an installed package the recipes lie inside it; in a checkout they lie at its top.
RECIPE_FOLDERS = (Path(__file__).parents[1] / "recipes", Path(__file__).parents[3] / "recipes")


class Recipe(Section):
    """The whole recipe."""

    network: NetworkSection = NetworkSection()
    """Which network is built."""
    preprocessing: PreprocessingSection = PreprocessingSection()
    """How a mammogram becomes model input."""
    training: TrainingSection = TrainingSection()
    """How the weights are found."""
    fine_tuning: FineTuningSection = FineTuningSection()
    """What becomes of the weights of a checkpoint."""
    augmentation: AugmentationSection = AugmentationSection()
    """Random changes of the training images."""
    hardware: HardwareSection = HardwareSection()
    """What the run computes on."""
    provenance: ProvenanceSection = ProvenanceSection()
    """Rights and origin."""

    @model_validator(mode="after")
    def _channels_agree(self) -> "Recipe":
        if self.network.in_channels != self.preprocessing.channels:
            msg = (
                f"network.in_channels is {self.network.in_channels} and preprocessing.channels "
                f"{self.preprocessing.channels}; set both to 1 (grey) or to 3 (copied to three channels)"
            )
            raise ValueError(msg)
        return self

    def to_toml(self) -> str:
        """The whole recipe as TOML, defaults included; `load_recipe` reads it back to an equal one."""
        tables = []
        for name, section in self.model_dump(exclude_none=True).items():
            lines = [f"{key} = {_toml_value(value)}" for key, value in section.items()]
            tables.append("\n".join([f"[{name}]", *lines]))
        return "\n\n".join(tables) + "\n"


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: A TOML file, or the name of a bundled recipe such as `paper/aunet_r16`.
        overrides: Changes of single entries, each as `section.key=value`.

    Returns:
        The checked recipe.

    Raises:
        RecipeError: There is no such file or recipe, or it is no TOML, has an unknown key or a value out of range.
    """
    file = _find(path)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{file}: not a TOML file: {error}"
        raise RecipeError(msg) from error
    for override in overrides:
        _override(tables, override)
    return parse_recipe(tables, source=str(path))


def parse_recipe(tables: Mapping[str, Any], *, source: str) -> Recipe:  # Any: what a TOML file holds
    """Check tables read from TOML.

    Args:
        tables: Sections of the recipe.
        source: What the error message calls the recipe.

    Returns:
        The checked recipe.

    Raises:
        RecipeError: An unknown key, or a value out of range.
    """
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        lines = [_explain(detail["type"], detail["loc"], detail["msg"]) for detail in error.errors()]
        raise RecipeError("\n  ".join([f"{source}: the recipe can't be used:", *lines])) from error


def bundled_recipes() -> dict[str, Path]:
    """Names of the recipes that come with the package, and their files."""
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file
        for folder in reversed(RECIPE_FOLDERS)
        for file in sorted(folder.rglob("*.toml"))
    }


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    bundled = bundled_recipes()
    name = path.with_suffix("").as_posix() if path.suffix == ".toml" else path.as_posix()
    for candidate in (name, name.removeprefix("recipes/")):
        if candidate in bundled:
            return bundled[candidate]
    msg = f"{path}: no such recipe; give the path of a TOML file, or one of {', '.join(sorted(bundled))}"
    raise RecipeError(msg)


def _override(tables: dict[str, Any], override: str) -> None:  # Any: what a TOML file holds
    key, equals, text = override.partition("=")
    *parents, field = key.strip().split(".")
    if not (equals and parents and all(parents) and field):
        msg = f"{override!r}: expected section.key=value, for example training.epochs=3"
        raise RecipeError(msg)
    table = tables
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            msg = f"{override!r}: {parent!r} is a value, not a section"
            raise RecipeError(msg)
    try:
        table[field] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[field] = text.strip()


def _explain(kind: str, location: tuple[int | str, ...], message: str) -> str:
    """One line on one mistake: the key, and for an unknown one its nearest or all known ones."""
    key = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        return f"{key or 'recipe'}: {message.removeprefix('Value error, ')}"
    known = _known_keys(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "unknown here"
    return f"{key}: unknown key; {hint} Known: {', '.join(known)}"


def _known_keys(parents: tuple[int | str, ...]) -> list[str]:
    """Names of the sections, or of the fields of one section."""
    if not parents:
        return list(Recipe.model_fields)
    section = getattr(Recipe(), str(parents[0]))
    return list(type(section).model_fields)


def _toml_value(value: object) -> str:
    """One value as TOML writes it."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_value(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)

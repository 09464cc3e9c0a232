"""The page `docs/reference/command-line.md`, made from the verbs themselves.

Run it after changing a verb; a test compares the page with what this script makes.
"""

import importlib
import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from aunet.cli.app import VERBS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
HEAD = """# Command line

<!-- Made by scripts/command_line_page.py from the verbs themselves; change those, then run it. -->

    aunet [-v] VERB ...

`-v` logs every image on the standard error. Every verb ends with status 0 if all went well, 1 if some inputs failed
(each is named with its reason, the others are done), 2 if it was used wrongly. A second run (of `aunet
train` with `--resume`) picks up where the first
was cut off. `DATA` is `cbis-ddsm:PATH` ([CBIS-DDSM](../how-to/cbis-ddsm.md)), `inbreast:PATH`
([INbreast](../how-to/inbreast.md)) or `folder:PATH`, a folder with [cases.csv](cases-csv.md). Options stand behind the
kind: `cbis-ddsm,findings=mass|calcification|both,masks=resize|strict|drop:PATH`, `inbreast,images=mass|all:PATH`; the
first value of each is the default.
"""


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a verb."""

    name: str
    """As it is typed, its value included."""
    meaning: str
    default: str
    is_argument: bool
    is_required: bool


def page() -> str:
    """The whole page as Markdown."""
    verbs = {name: importlib.import_module(f"aunet.cli.{name}").run for name in VERBS}
    return "\n".join([HEAD, *(section(name, run) for name, run in verbs.items())])


def section(verb: str, run: Callable[..., None]) -> str:
    """What the page says of one verb."""
    parameters = parameters_of(run)
    needed = [one.name for one in parameters if one.is_argument or one.is_required]
    described = (inspect.getdoc(run) or "").partition("\nRaises:")[0].strip()
    rows = [f"| `{_cell(one.name)}` | {_cell(one.meaning)} | {_cell(one.default)} |" for one in parameters]
    table = ["| argument or option | meaning | default |", "| --- | --- | --- |", *rows]
    return "\n".join([f"## {verb}", "", described, "", f"    aunet {' '.join([verb, *needed])}", "", *table, ""])


def parameters_of(run: Callable[..., None]) -> list[Parameter]:
    """The arguments and options of a verb, from the annotations of its function."""
    hints = get_type_hints(run, include_extras=True)
    return [_parameter(name, one, hints[name]) for name, one in inspect.signature(run).parameters.items()]


# A type hint is any object.
def _parameter(name: str, one: inspect.Parameter, hint: Any) -> Parameter:  # noqa: ANN401 - what an annotation holds
    if get_origin(hint) is Annotated:
        kind, *metadata = get_args(hint)
        info = next(entry for entry in metadata if isinstance(entry, ArgumentInfo | OptionInfo))
        default = one.default
    else:
        kind, info, default = hint, one.default, one.default.default
    is_required = default in {inspect.Parameter.empty, ...}
    is_argument = isinstance(info, ArgumentInfo)
    value = info.metavar or _value(kind, name)
    if is_argument:
        many = "..." if get_origin(_without_none(kind)) is list else ""
        typed = f"{info.metavar or name.upper()}{many}"
    else:
        option = f"--{name.replace('_', '-')}"
        # Inside Annotated, typer keeps the first name of an option where its default would stand.
        names = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str)]
        declared = max((one for one in names if one.startswith("--")), key=len, default="")
        is_switch = _without_none(kind) is bool
        both = f"{option} / --no-{option[2:]}" if is_switch and not declared else option
        typed = declared or both
        typed = typed if is_switch else f"{typed} {value}"
    shown = "" if is_required or default is None or default is False else f"`{default}`"
    return Parameter(typed, info.help or "", "required" if is_required else shown, is_argument, is_required)


def _without_none(kind: Any) -> Any:  # noqa: ANN401 - see _parameter
    if get_origin(kind) in {Union, types.UnionType}:
        return next(one for one in get_args(kind) if one is not type(None))
    return kind


def _value(kind: Any, name: str) -> str:  # noqa: ANN401 - see _parameter
    kind = _without_none(kind)
    if get_origin(kind) is Literal:
        return "|".join(str(one) for one in get_args(kind))
    return {int: "N", float: "X"}.get(kind, name.upper())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

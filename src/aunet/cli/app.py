"""The command `aunet`: a table of verbs, each in a module that is imported when the verb is used."""

import importlib
import inspect
import logging
import os
import sys
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from aunet.errors import AunetError

# The help lines stand here and not beside the verbs, so that `aunet --help` imports none of them.
VERBS = {
    "demo": "Real films, then everything on synthetic mammograms, in minutes.",
    "doctor": "Versions, decoders, devices, memory.",
    "phantom": "Write synthetic mammograms with their masks.",
    "inspect": "Say what of a data set was read, repaired and refused, and why.",
    "train": "Train a network from a recipe.",
    "calibrate": "Fit a checkpoint's temperature and choose its operating point on validation images.",
    "evaluate": "Score a checkpoint, a bundle or an ensemble on a split.",
    "segment": "Outline the masses in mammograms.",
    "models": "List the models that come with this package.",
    "study": "Run a table or figure of the paper, or a study of your own.",
    "networks": "Compare the networks in size, operations, speed and memory.",
    "export": "Write a checkpoint as a bundle that needs no PyTorch.",
}

# What the extras bring and a verb may import.
EXTRAS = {
    "train": frozenset({"lightning", "onnx", "onnxscript", "psutil", "safetensors", "tensorboard", "torch"}),
    "cluster": frozenset({"ray"}),
}

WRONG_USAGE = 2


class VerbGroup(TyperGroup):
    """A typer group that looks its commands up in `VERBS` and imports a verb's module on use."""

    # click's Context and Command come from typer's private copy of click, which has no stable name to annotate with.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002, D102  (see above)
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002, D102  (see above)
        if cmd_name not in VERBS:
            return None
        if "--help" in sys.argv[1:2]:
            return typer.main.get_command(_described(cmd_name))
        module = importlib.import_module(f"aunet.cli.{cmd_name}")
        verb = typer.Typer(add_completion=False)
        # Errors are for readers of the code; whoever asks for help sees them when they happen.
        described = (inspect.getdoc(module.run) or "").partition("\nRaises:")[0]
        verb.command(name=cmd_name, help=described)(module.run)
        return typer.main.get_command(verb)


def _described(verb_name: str) -> typer.Typer:
    """A stand-in that carries a verb's help line and nothing else."""
    verb = typer.Typer(add_completion=False)
    verb.command(name=verb_name, help=VERBS[verb_name])(lambda: None)
    return verb


app = typer.Typer(
    cls=VerbGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log every image on the standard error."),
) -> None:
    """Find and outline breast masses in whole mammograms with AUNet."""
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True
    )
    logging.getLogger("aunet").setLevel(logging.DEBUG if verbose else logging.INFO)


def main() -> None:
    """Run the command line; an error of ours or of the file system ends it with one message and exit status 2.

    Raises:
        ModuleNotFoundError: Something is missing that no extra brings.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    # PyTorch's profiler prints two lines each time it starts and stops; it asks for this when it is first imported.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    try:
        app()
    except (AunetError, ValueError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"aunet: {error}", style="red", markup=False, highlight=False)
        sys.exit(WRONG_USAGE)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if missing in modules), None)
        if extra is None:
            raise
        message = f"aunet: this needs {error.name}, which is not installed; pip install 'aunet[{extra}]'"
        Console(stderr=True, soft_wrap=True).print(message, style="red", markup=False, highlight=False)
        sys.exit(WRONG_USAGE)
    except KeyboardInterrupt:
        Console(stderr=True).print("aunet: interrupted; the same command goes on from here")
        sys.exit(130)

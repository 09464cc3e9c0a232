"""Whether a folder can take a run, and how far the run in it has come."""

from pathlib import Path

from aunet.errors import TrainingError
from aunet.training.fine_tuning import ORIGIN, Origin
from aunet.training.recipe import Recipe, load_recipe
from aunet.training.record import RunState, read_state

RECIPE = "recipe.toml"
"""Written when a run begins, after everything in `_BEFORE_THE_RECIPE`."""
_BEFORE_THE_RECIPE = frozenset({"cache", "ledger.csv", "ledger.json", "splits.json", ORIGIN})


def refuse_existing(out: Path, recipe: Recipe, *, resume: bool) -> None:
    """Check that nothing of others is written over, and that a run goes on by the recipe it began with.

    Args:
        out: Folder of the run.
        recipe: The recipe given now.
        resume: Go on with the run in the folder.

    Raises:
        TrainingError: The folder is in use, holds no run, or one of another recipe.
    """
    if out.exists() and not out.is_dir():
        msg = f"{out}: is a file; choose another folder for the run"
        raise TrainingError(msg)
    # One that was cut off before it began, or while it wrote its first files aside, has used nothing.
    is_used = out.is_dir() and any(
        entry.name not in _BEFORE_THE_RECIPE and not entry.name.startswith(".") for entry in out.iterdir()
    )
    if is_used and not resume:
        msg = f"{out}: exists already; go on with it by --resume, or choose another folder (nothing was changed)"
        raise TrainingError(msg)
    if is_used and (out / RECIPE).is_file():
        _refuse_other_recipe(out / RECIPE, recipe)
    elif is_used:
        msg = f"{out}: holds no {RECIPE}, so it is no run to go on with; choose another folder (nothing was changed)"
        raise TrainingError(msg)


def state_to_resume(out: Path, *, identity: str, origin: Origin | None, init: Path | None) -> RunState | None:
    """How far the run in a folder has come.

    Args:
        out: Folder of the run.
        identity: Digest of the images given now.
        origin: The checkpoint that the run started from.
        init: The checkpoint given now.

    Returns:
        Its state; None where it begins from the start.

    Raises:
        TrainingError: The run was begun with other images, or begins from a checkpoint that is not given.
    """
    state = read_state(out)
    if state is not None and state.identity != identity:
        msg = (
            f"{out}: was begun with other images; give the same --data (ledger.csv lists the images), "
            "or start anew in another folder"
        )
        raise TrainingError(msg)
    if state is None and origin is not None and init is None:
        msg = f"{out}: was cut off before its first epoch ended; give {origin.name}, from which it started, by --init"
        raise TrainingError(msg)
    return state


def is_finished(state: RunState, recipe: Recipe) -> bool:
    """Whether a run has nothing more to do."""
    return state.stopped_early or len(state.rows) >= recipe.training.epochs


def _refuse_other_recipe(path: Path, recipe: Recipe) -> None:
    # A run goes on by the recipe it began with; only the hardware may be another.
    begun = load_recipe(path)
    before, now = begun.model_dump(exclude={"hardware"}), recipe.model_dump(exclude={"hardware"})
    changed = [f"{name}.{key}" for name in now for key in now[name] if now[name][key] != before[name][key]]
    if changed:
        msg = (
            f"{path.parent}: was begun with another {', '.join(changed)}; go on with its own {path}, "
            "or start anew in another folder (with --init from its weights)"
        )
        raise TrainingError(msg)

"""Any study made so small that it shows within seconds whether every step of it still runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from aunet.evaluation.stats import Bootstrap
from aunet.phantom.cbis_ddsm_layout import write_cbis_ddsm
from aunet.phantom.inbreast_layout import write_inbreast
from aunet.phantom.layouts import write_folder
from aunet.studies.arms import Entry, Study
from aunet.training.recipe import load_recipe

BOOTSTRAP = Bootstrap(resamples=200)
SEEDS = 1
NOTE = (
    "This is a quick run: networks of almost no width, trained for a few steps on a few small images. It shows that "
    "every step runs, and says nothing of the networks."
)
_FOLDS = 2
_WIDTH = 2
_SHRINKAGE = 4
_PATIENTS = {"inbreast": 6}
_MOST_PATIENTS = 10
_ROWS = 128
_SEED = 2020


def shrunk(study: Study) -> Study:
    """The same study with narrow networks, small inputs, two folds and one epoch.

    Args:
        study: Any study.

    Returns:
        A study with the same entries.
    """
    return replace(study, entries=tuple(map(_shrunk_entry, study.entries)))


def draw_phantoms(
    names: Sequence[str], folder: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[str, ...]:
    """Draw a few phantoms for each data set of a study, laid out as that data set is.

    Args:
        names: What the study calls its data sets; a name that is no published data set gets a plain folder.
        folder: Where they are written; what is there already is kept.
        on_progress: Called with the images drawn and their total, for each data set.

    Returns:
        The data sets as `open_dataset` takes them.
    """
    specs = []
    for name in names:
        out, patients = folder / name, _PATIENTS.get(name, _MOST_PATIENTS)
        if name == "cbis-ddsm":
            write_cbis_ddsm(out, patients=patients, seed=_SEED, rows=_ROWS, on_progress=on_progress)
        elif name == "inbreast":
            write_inbreast(out, patients=patients, seed=_SEED, rows=_ROWS, on_progress=on_progress)
        else:
            write_folder(out, patients=patients, seed=_SEED, rows=_ROWS, on_progress=on_progress)
        kind = name if name in {"cbis-ddsm", "inbreast"} else "folder"
        specs.append(f"{kind}:{out}")
    return tuple(specs)


def _shrunk_entry(entry: Entry) -> Entry:
    recipe = load_recipe(Path(entry.recipe), entry.changes)
    changes = (
        *entry.changes,
        f"network.width={_WIDTH}",
        f"preprocessing.rows={recipe.preprocessing.rows // _SHRINKAGE}",
        f"preprocessing.columns={recipe.preprocessing.columns // _SHRINKAGE}",
        "training.epochs=1",
        "hardware.threads=1",
    )
    first = None if entry.pretraining is None else _shrunk_entry(entry.pretraining)
    return replace(entry, changes=changes, folds=min(entry.folds, _FOLDS), pretraining=first)

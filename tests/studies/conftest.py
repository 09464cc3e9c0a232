"""A small data set and a small study on it, and rows of scores made by hand."""

from collections.abc import Callable
from math import nan
from pathlib import Path

import pytest

from aunet.evaluation.rows import ImageRow
from aunet.metrics.detection import ImageDetections
from aunet.metrics.scores import MaskScores
from aunet.phantom.layouts import write_folder
from aunet.sample import MassProperties
from aunet.studies.arms import Entry

RECIPE = """
[network]
width = 2
reduction = 2
in_channels = 1
[preprocessing]
rows = 32
columns = 32
channels = 1
[training]
epochs = 2
batch_size = 4
schedule = "cosine"
learning_rates = [1e-2, 1e-3]
validation_fraction = 0.0
[hardware]
accelerator = "cpu"
precision = "32-true"
threads = 1
keep_memory = false
"""


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of phantoms, some of them to test on."""
    folder = tmp_path_factory.mktemp("studies") / "phantoms"
    write_folder(folder, patients=6, seed=5, rows=128)
    return folder


@pytest.fixture(scope="session")
def other_phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms of other patients, whose images have the names of the first ones'."""
    folder = tmp_path_factory.mktemp("studies") / "other"
    write_folder(folder, patients=6, seed=6, rows=128)
    return folder


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that trains in a second."""
    path = tmp_path_factory.mktemp("recipes") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def small_entry(recipe_file: Path) -> Callable[..., Entry]:
    """Makes an entry that trains in a second."""

    def make(name: str, *changes: str, data: str = "data", folds: int = 0, pretraining: Entry | None = None) -> Entry:
        return Entry(name, changes, str(recipe_file), data, folds, pretraining)

    return make


@pytest.fixture(scope="session")
def make_row() -> Callable[..., ImageRow]:
    """Makes the row of an image with a mass."""

    def make(case: str, *, dsc: float = nan, area_difference: float = nan, px: int = 9, **properties: str) -> ImageRow:
        return ImageRow(
            case=case,
            outcome="scored" if dsc else "missed",
            scores=MaskScores(dsc=dsc, area_difference=area_difference),
            detections=ImageDetections(1, (), ()),
            properties=MassProperties(**properties),
            reference_px=px,
        )

    return make

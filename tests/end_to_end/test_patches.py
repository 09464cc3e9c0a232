"""Table 5 in small: training and evaluation on mass-centred patches."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from aunet.datasets.opening import open_dataset
from aunet.evaluation.run import evaluate
from aunet.inference.segmenter import Segmenter
from aunet.preprocessing.pipeline import BEYOND_PATCH
from aunet.training.recipe import load_recipe
from aunet.training.run import train

N, EMPTY, TWO = 8, 6, 7
"""Pictures, the one without a mass, and the one with two."""
SIZE_PX = 96
SMALL = ("rows=32", "columns=32", "channels=1")
CHANGES = (
    *(f"preprocessing.{change}" for change in SMALL),
    *("network.width=4", "network.in_channels=1", "network.reduction=2"),
    *("training.epochs=25", "training.schedule=cosine", "training.learning_rates=[3e-2, 1e-3]"),
    *("hardware.accelerator=cpu", "hardware.keep_memory=false"),
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright discs of 6 to 12 pixels in a grey breast; a second, smaller one far away in the last picture."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    table = ["image,mask,patient_id,split"]
    for i in range(N):
        row, column, radius = rng.integers(30, 60), rng.integers(20, 40), rng.integers(6, 13)
        mask = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        if i == TWO:
            mask |= (rows - 85) ** 2 + (columns - 8) ** 2 < 9
        mask &= i != EMPTY
        image = np.where(columns < 80, rng.normal(20_000, 1_500, mask.shape), 0) + 20_000 * mask
        Picture.fromarray(image.clip(0, 65_535).astype(np.uint16)).save(folder / f"{i}.png")
        Picture.fromarray((255 * mask).astype(np.uint8)).save(folder / f"{i}_mask.png")
        table.append(f"{i}.png,{i}_mask.png,patient {i},{'train' if i < 5 else 'test'}")
    (folder / "cases.csv").write_text("\n".join(table) + "\n")
    return folder


def test_a_network_of_patches_is_trained_and_scored_on_the_grid_of_its_patches(pictures: Path, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{pictures}")
    run = train(load_recipe(Path("paper/table5_aunet"), CHANGES), dataset, tmp_path / "run")

    summary = evaluate(Segmenter.load(run.last, device="cpu"), dataset, tmp_path / "scores", split="all")

    rows = {row.case: row for row in summary.rows}
    assert summary.metrics["dsc"].mean > 0.8
    assert (
        "largest reference mass of each image, enlarged by 20% in area"
        in json.loads(summary.to_json())["definitions"]["grid"]
    )
    # A disc fills pi / 4 of the rectangle around it, and that 1 / 1.2 of the patch: 0.65 of 32 x 32 pixels.
    filled = [(row.reference_px or 0) / 32**2 for row in summary.rows if row.case != str(EMPTY)]
    assert filled == pytest.approx([np.pi / 4 / 1.2] * (N - 1), abs=0.12)
    # Of two masses only the one in the patch counts, and the row says so.
    assert rows[str(TWO)].detections.n_masses == 1
    assert BEYOND_PATCH in rows[str(TWO)].notes


def test_an_image_without_a_mass_has_no_patch_and_is_named_but_no_miss(pictures: Path, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{pictures}")
    changes = (*CHANGES, "training.epochs=1")
    run = train(load_recipe(Path("paper/table5_aunet"), changes), dataset, tmp_path / "run")

    summary = evaluate(Segmenter.load(run.last, device="cpu"), dataset, tmp_path / "scores", split="test")

    assert [failure.case for failure in summary.failures] == [str(EMPTY)]
    assert "needs a mask with a mass" in summary.failures[0].reason
    assert (summary.n, summary.metrics["dsc"].n) == (3, 2)

"""A small folder of pictures that a small network learns in seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from aunet.training.recipe import Recipe, parse_recipe

SIZE_PX = 32


def write_pictures(root: Path, *, n: int, splits: tuple[str, ...] = ("train",), empty: tuple[int, ...] = ()) -> None:
    """Half-elliptic breasts, each with a bright disc in it, and their table."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    breast = (columns / SIZE_PX) ** 2 * 1.2 + ((rows - SIZE_PX / 2) / (SIZE_PX / 2)) ** 2 < 0.95
    root.mkdir(parents=True, exist_ok=True)
    table = ["image,mask,split,patient_id,laterality,view"]
    for i in range(n):
        row, column = rng.integers(10, 22), rng.integers(4, 14)
        mask = ((rows - row) ** 2 + (columns - column) ** 2 < 16) & (i not in empty)
        image = np.where(breast, rng.normal(20_000, 1_500, breast.shape), 0) + 20_000 * mask
        Picture.fromarray(image.clip(0, 65_535).astype(np.uint16)).save(root / f"{i}.png")
        Picture.fromarray((255 * mask).astype(np.uint8)).save(root / f"{i}_mask.png")
        table.append(f"{i}.png,{i}_mask.png,{splits[i % len(splits)]},patient_{i},L,CC")
    (root / "cases.csv").write_text("\n".join(table) + "\n")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures of ten patients to train on."""
    root = tmp_path / "pictures"
    write_pictures(root, n=10)
    return root


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    """A recipe that trains in a second, with some of its entries changed."""

    def make(**changes: dict[str, object]) -> Recipe:
        tables: dict[str, dict[str, object]] = {
            "network": {"width": 2, "reduction": 2, "in_channels": 1},
            "preprocessing": {"rows": SIZE_PX, "columns": SIZE_PX, "channels": 1, "crop": False},
            "training": {
                "epochs": 2,
                "batch_size": 4,
                "schedule": "cosine",
                "learning_rates": [1e-2, 1e-3],
                "validation_fraction": 0.3,
            },
            "hardware": {"accelerator": "cpu", "precision": "32-true", "keep_memory": False},
        }
        for section, entries in changes.items():
            tables.setdefault(section, {}).update(entries)
        return parse_recipe(tables, source="test")

    return make

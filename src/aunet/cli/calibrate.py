"""`aunet calibrate`."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from aunet.cli.progress import progress_bar
from aunet.cli.variations import parse_scales
from aunet.datasets.opening import open_dataset
from aunet.errors import WriteError
from aunet.evaluation.calibration import Calibration, Quality, calibrate
from aunet.inference.ensemble import load_segmenter, refuse_unlike
from aunet.inference.segmenter import Segmenter
from aunet.models.card import Flips
from aunet.models.checkpoint import copy_with_card, read_card, save_checkpoint
from aunet.models.combining import combined
from aunet.preprocessing.cache import PreparedCache


def run(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="A checkpoint that aunet train wrote (.safetensors); several are averaged and become one."),
    ],
    data: Annotated[str, typer.Option(help="The data set: cbis-ddsm:PATH, inbreast:PATH or folder:PATH.")],
    out: Annotated[Path, typer.Option(help="The calibrated checkpoint to write (.safetensors).")],
    split: Annotated[str, typer.Option(help="Which side of the split: validation, and no other.")] = "validation",
    splits: Annotated[
        Path | None, typer.Option(help="The splits.json of the training run, which says what validation was.")
    ] = None,
    flips: Annotated[
        Flips, typer.Option(help="Average over the image turned over as well, here and wherever the copy is used.")
    ] = "none",
    scales: Annotated[
        str,
        typer.Option(help="Average over the image at these scales as well, such as 0.9,1.1, here and with the copy."),
    ] = "none",
    batch: Annotated[int, typer.Option(min=1, help="Images a forward pass.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, or a device of PyTorch such as cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder of prepared images, shared by runs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a checkpoint's probability a frequency, and choose what it marks, on validation images.

    Fits a temperature, chooses threshold, smallest mass and lowest score, and writes them into the model card of a copy
    whose weights are the same. Several checkpoints become one network, whose probability is the mean of theirs.
    Validation images alone are taken: give the splits.json of the training run.

    Raises:
        WriteError: The checkpoint can't be written there.
    """
    dataset = open_dataset(data, splits=splits)
    chosen_scales = parse_scales(scales)
    with _as_one(checkpoints) as checkpoint:
        segmenter = load_segmenter([checkpoint], device=device, flips=flips, scales=chosen_scales)
        with progress_bar("Predicting") as on_progress:
            found = calibrate(
                segmenter,
                dataset,
                split=split,
                cache=PreparedCache(cache, segmenter.preprocessing),
                batch=batch,
                on_progress=on_progress,
            )
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            copy_with_card(checkpoint, out, found.calibrated(read_card(checkpoint)))
        except OSError as error:
            msg = f"{out}: can't be written ({error.strerror}); name another place"
            raise WriteError(msg) from error
    if as_json:
        typer.echo(json.dumps({"checkpoint": str(out)} | asdict(found), indent=2))
    else:
        _show(found, out)


@contextmanager
def _as_one(checkpoints: Sequence[Path]) -> Iterator[Path]:
    """The checkpoint, or one that averages several, which is deleted afterwards."""
    if len(checkpoints) == 1:
        yield checkpoints[0]
        return
    refuse_unlike(checkpoints, [Segmenter.load(path, device="cpu") for path in checkpoints])
    with tempfile.TemporaryDirectory() as folder:
        mean = Path(folder) / "mean.safetensors"
        save_checkpoint(mean, *combined(checkpoints))
        yield mean


def _show(found: Calibration, out: Path) -> None:
    typer.echo(
        f"{found.data}, split {found.split}: n {found.n_images} images, {found.n_with_mass} with a mass, "
        f"{found.n_left_out} left out; {found.n_pixels} pixels within the breast"
    )
    _show_quality("before", found.before)
    _show_quality("after", found.after)
    named = ", ".join(f"{score} {value:.3f}" for score, value in found.sensitivity_at_1_false_positive.items())
    typer.echo(f"Masses found at 1 false positive an image, by the score of a region: {named}")
    typer.echo(f"Written: {out}")


def _show_quality(when: str, quality: Quality) -> None:
    choice = quality.choice
    typer.echo(
        f"{when}: temperature {choice.temperature:.3f}, threshold {choice.threshold:g}, smallest mass "
        f"{choice.smallest_mass_px} px, lowest score {choice.lowest_score:g}: negative log-likelihood "
        f"{quality.negative_log_likelihood:.4f}, expected calibration error {quality.expected_calibration_error:.4f}, "
        f"mean DSC {quality.dsc:.3f}, {quality.false_positives_per_image:.2f} false positives an image "
        f"({quality.marks_without_masses_per_image:.2f} with its masses taken out), "
        f"{quality.sensitivity:.3f} of the masses found"
    )

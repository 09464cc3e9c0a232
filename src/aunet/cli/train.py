"""`aunet train`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from aunet.cli.progress import terminal_progress
from aunet.datasets.ledger import Status
from aunet.datasets.opening import open_dataset
from aunet.inference.shipped import resolve_weights
from aunet.training.recipe import load_recipe
from aunet.training.run import TrainedRun, prepare, train

SOME_FAILED = 1


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe (TOML file), or the name of a bundled one.")],
    data: Annotated[str, typer.Option(help="The data set: cbis-ddsm:PATH, inbreast:PATH or folder:PATH.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; it must not exist yet, save with --resume.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one entry of the recipe; may be repeated."),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="A file of splits or a fold, which holds instead of the data set's own split.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Start from these weights: a file, a name of aunet models, or https://...#sha256=..."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run was cut off.")] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of prepared images, shared by runs; beside the run by default.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | None, typer.Option(help="Where to compute; the recipe decides else.")
    ] = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Fill the cache with the images of all splits, and train later.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network from a recipe.

    The folder of the run gets best.safetensors and last.safetensors, metrics.csv (a row an epoch), a TensorBoard log,
    the recipe, the ledger of the images, splits.json (which image was on which side) and summary.json.

    Raises:
        Exit: Some images could not be used.
    """
    changes = [*(overrides or []), *([f"hardware.accelerator={device}"] if device else [])]
    checked = load_recipe(recipe, changes)
    dataset = open_dataset(data, splits=splits)
    cache = cache or out.parent / "aunet-cache"
    if prepare_only:
        with terminal_progress("Preparing") as on_prepared:
            counts = prepare(checked, dataset, cache, on_prepared=on_prepared).counts
        typer.echo(json.dumps({"cache": str(cache), **counts}) if as_json else f"{cache}: {_listed(counts)}")
        if counts["refused"]:
            raise typer.Exit(SOME_FAILED)
        return
    with terminal_progress("Preparing") as on_prepared, terminal_progress("Training") as on_progress:
        trained = train(
            checked,
            dataset,
            out,
            init=None if init is None else resolve_weights(init),
            resume=resume,
            cache=cache,
            on_prepared=on_prepared,
            on_progress=on_progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(trained), default=str))
    else:
        _tell(trained)
    if trained.refused_images:
        raise typer.Exit(SOME_FAILED)


def _listed(counts: Mapping[Status, int]) -> str:
    return ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in counts.items())


def _tell(trained: TrainedRun) -> None:
    score = "" if trained.best_score is None else f", validation DSC {trained.best_score:.4f}"
    typer.echo(f"{trained.best}: epoch {trained.best_epoch} of {trained.epochs}{score}")
    typer.echo(f"{trained.seconds:.0f} s, {trained.images_per_second:.2f} images/s on {trained.hardware}")
    if trained.refused_images:
        typer.echo(f"{trained.refused_images} images were left out; {trained.folder / 'ledger.csv'} says why", err=True)

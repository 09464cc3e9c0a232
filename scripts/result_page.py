"""A dated page in `docs/results/` about one training run and its evaluation: commands, learning curve, scores.

    python scripts/result_page.py NAME RUN EVALUATION NOTES

NAME is the page's name without ending, RUN and EVALUATION are what `aunet train` and `aunet evaluate` wrote, NOTES is a
Markdown file with what no file of theirs can know: the commands, the commit, what went wrong. Its first line is the
title. The page has plots and numbers only: no image that was trained or evaluated on.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from aunet.evaluation.figures import cumulative_figure, size_figure
from aunet.studies.learning_curve import learning_curve

RESULTS = Path(__file__).parents[1] / "docs" / "results"
GROUPS = ("size", "view", "breast_density", "birads", "subtlety", "mass_shape", "mass_margins", "pathology")


def main() -> None:
    """Write the page and its three figures."""
    name, run, evaluation, notes = sys.argv[1], *map(Path, sys.argv[2:5])
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    trained = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    write_figures(name, run, evaluation)
    parts = [
        notes.read_text(encoding="utf-8").strip(),
        "## The run",
        run_table(trained),
        f"![Loss and validation DSC by epoch]({name}-learning.png)",
        epochs_table(pd.read_csv(run / "metrics.csv")),
        "## Scores",
        counts_sentence(summary),
        metrics_table(summary["metrics"]),
        f"![Cumulative distribution of DSC]({name}-cumulative.png)",
        f"![DSC against the size of the mass]({name}-size.png)",
        "## By group",
        "Mean DSC with its 95 % interval (bootstrap over patients); n counts images with a mass.",
        *(group_table(group, summary["groups"][group]) for group in GROUPS if group in summary["groups"]),
    ]
    (RESULTS / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write_figures(name: str, run: Path, evaluation: Path) -> None:
    """The figures of the page, as PNG files beside it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(evaluation / "per_image.csv")
    rows = rows[rows["outcome"].isin(["scored", "missed"])]
    learning_curve(pd.read_csv(run / "metrics.csv")).savefig(RESULTS / f"{name}-learning.png", dpi=110)
    (RESULTS / f"{name}-cumulative.png").write_bytes(cumulative_figure(list(rows["dsc"])))
    missed = list(rows["outcome"] == "missed")
    (RESULTS / f"{name}-size.png").write_bytes(
        size_figure(list(rows["reference_px"]), list(rows["dsc"]), is_missed=missed)
    )


def run_table(trained: dict[str, Any]) -> str:
    """What the run says of itself."""
    return table(
        ("", ""),
        [
            ("images", f"{trained['train_images']} to train on, {trained['validation_images']} to validate on"),
            ("epochs", f"{trained['epochs']}, the best of them {trained['best_epoch']}"),
            ("validation DSC of the best", f"{trained['best_score']:.4f}"),
            ("time", f"{trained['seconds'] / 60:.0f} minutes, validation included"),
            ("hardware", trained["hardware"]),
        ],
    )


def epochs_table(metrics: pd.DataFrame) -> str:
    """A row an epoch."""
    columns = (
        "epoch",
        "learning_rate",
        "train_loss",
        "validation_loss",
        "validation_dsc",
        "validation_missed",
        "seconds",
    )
    heads = ("epoch", "learning rate", "loss", "validation loss", "validation DSC", "missed", "seconds")
    rows = [tuple(f"{value:.4g}" for value in row) for row in metrics[list(columns)].itertuples(index=False)]
    return table(heads, rows)


def counts_sentence(summary: dict[str, Any]) -> str:
    """n, misses and false positives."""
    found = summary["detection"]
    return (
        f"n = {summary['n']} images of {summary['n_patients']} patients, {summary['n_with_mass']} with a mass: "
        f"{summary['missed']} missed (nothing predicted), {summary['no_overlap']} predicted elsewhere only, "
        f"{summary['false_positive_images']} false-positive images. Masses found: {found['n_found']} of "
        f"{found['n_masses']}, with {found['false_positives_per_image']['value']:.2f} false positives an image."
    )


def metrics_table(metrics: dict[str, Any]) -> str:
    """Mean, interval and median of each metric."""
    rows = [
        (name, f"{one['mean']:.4g}", interval(one["ci95"]), f"{one['median']:.4g}", str(one["n"]))
        for name, one in metrics.items()
        if one["n"]
    ]
    return table(("metric", "mean", "95 % interval", "median", "n"), rows)


def group_table(group: str, members: dict[str, Any]) -> str:
    """Scores of the members of one group."""
    rows = []
    for name, one in members.items():
        score = one["metrics"]["dsc"]
        if score["n"]:
            cells = (name, str(one["n_with_mass"]), str(one["missed"]), f"{score['mean']:.3f}", interval(score["ci95"]))
            rows.append(cells)
    return table((group.replace("_", " "), "n", "missed", "DSC", "95 % interval"), rows)


def interval(limits: list[float | None] | None) -> str:
    """Two limits, or that there are none."""
    return "none" if limits is None or None in limits else f"{limits[0]:.4g} to {limits[1]:.4g}"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()

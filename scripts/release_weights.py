"""A calibrated and tested checkpoint as weights that ship: the bundle in the package, and its model card in the docs.

    python scripts/release_weights.py NAME CHECKPOINT EVALUATION NOTES [BITS]

NAME becomes `src/aunet/weights/NAME.onnx` and `docs/models/NAME.md`; CHECKPOINT is what `aunet calibrate` wrote,
EVALUATION what `aunet evaluate --split test` wrote of it, NOTES a Markdown file with what neither can know: intended
use, protocol, failures seen. Its first line is the title. A weight is stored in 16 BITS, or in 8. The test results go
into the bundle's own card as well.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from result_page import counts_sentence, group_table, interval, metrics_table, table

from aunet.intended_use import RESEARCH_ONLY
from aunet.models.bundle import Bits
from aunet.models.card import ModelCard
from aunet.models.checkpoint import copy_with_card, read_card
from aunet.models.export import export_onnx

ROOT = Path(__file__).parents[1]
GROUPS = ("size", "view", "breast_density", "mass_shape", "pathology")
SHORT = ("dsc", "sensitivity", "precision", "hau_px", "hau_rowwise")


def main() -> None:
    """Write the bundle and the page."""
    name, checkpoint, evaluation, notes = sys.argv[1], *map(Path, sys.argv[2:5])
    bits = {"16": 16, "8": 8}[sys.argv[5]] if sys.argv[5:] else 16
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    if summary["split"] != "test" or summary["model"] != json.loads(read_card(checkpoint).to_json()):
        sys.exit(
            f"{evaluation}: is of {summary['weights']['name']} on the {summary['split']} split; expected the card of "
            f"{checkpoint}, or of a bundle that was made from it, on the test split"
        )
    card = replace(read_card(checkpoint), results=json.dumps(results(summary), sort_keys=True))
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / f"{name}.safetensors"
        copy_with_card(checkpoint, whole, card)
        bundle = ROOT / "src" / "aunet" / "weights" / f"{name}.onnx"
        export_onnx(whole, bundle, bits=bits)
    page = ROOT / "docs" / "models" / f"{name}.md"
    page.parent.mkdir(exist_ok=True)
    parts = [
        notes.read_text(encoding="utf-8").strip(),
        f"**{RESEARCH_ONLY}**",
        "## What it is",
        facts(card, bundle, bits=bits),
        "## Calibration and operating point",
        calibration(json.loads(card.calibration)),
        f"## Results on the {summary['split']} split",
        counts_sentence(summary),
        metrics_table(summary["metrics"]),
        detection(summary),
        *(group_table(group, summary["groups"][group]) for group in GROUPS if group in summary["groups"]),
    ]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def results(summary: dict[str, Any]) -> dict[str, Any]:
    """What the bundle says of its scores."""
    counts = (
        "data",
        "split",
        "n",
        "n_patients",
        "n_with_mass",
        "missed",
        "no_overlap",
        "false_positive_images",
        "date",
    )
    return {
        **{key: summary[key] for key in counts},
        "metrics": {name: summary["metrics"][name] for name in SHORT},
        "detection": {key: value for key, value in summary["detection"].items() if key != "froc"},
        "expected_calibration_error": summary["calibration"]["expected_calibration_error"],
        "groups": {
            group: {
                label: {"n": one["n_with_mass"], **one["metrics"]["dsc"]}
                for label, one in summary["groups"][group].items()
            }
            for group in GROUPS
            if group in summary["groups"]
        },
    }


def facts(card: ModelCard, bundle: Path, *, bits: Bits) -> str:
    """Network, data and rights."""
    return table(
        ("", ""),
        [
            ("file", f"`{bundle.name}`, {bundle.stat().st_size / 1e6:.1f} MB (ONNX, weights in {bits} bits)"),
            ("network", str(card.network)),
            ("input", " x ".join(map(str, card.input_shape)) + " (channels, rows, columns)"),
            ("images it comes from", card.data_source),
            ("licence", card.licence),
            ("trained", card.trained),
        ],
    )


def calibration(found: dict[str, Any]) -> str:
    """What was chosen on the validation images, and what it changed."""
    rows = [
        (label, *(f"{value:.4g}" for value in (before, after)))
        for label, before, after in (
            *((key.replace("_", " "), found["before"]["choice"][key], found["after"]["choice"][key])
              for key in ("temperature", "threshold", "smallest_mass_px", "lowest_score")),
            *((key.replace("_", " "), found["before"][key], found["after"][key])
              for key in ("negative_log_likelihood", "expected_calibration_error", "dsc", "sensitivity",
                          "false_positives_per_image")),
        )
    ]  # fmt: skip
    return (
        f"Chosen on {found['n_images']} validation images ({found['n_with_mass']} with a mass), by `aunet calibrate`."
        f" The default operating point marks {found['after']['false_positives_per_image']:.2f} false positives an image"
        " there.\n\n" + table(("on validation", "before", "after"), rows)
    )


def detection(summary: dict[str, Any]) -> str:
    """Masses found, by false positives an image, and the calibration error."""
    found = summary["detection"]
    at = found["sensitivity_at_false_positives_per_image"]
    error = summary["calibration"]["expected_calibration_error"]
    share, limits = found["sensitivity"]["value"], interval(found["sensitivity"]["ci95"])
    here = f"{share:.3f} ({limits}) at {found['false_positives_per_image']['value']:.2f}"
    return (
        table(
            ("false positives an image", *at, "operating point"),
            [("share of masses found", *(f"{value:.3f}" for value in at.values()), here)],
        )
        + f"\n\nExpected calibration error over the pixels of the breast: {error:.4f}."
    )


if __name__ == "__main__":
    main()

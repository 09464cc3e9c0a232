"""The demo's page: what each stage wrote, shown in one HTML file."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import pandas as pd
from matplotlib.figure import Figure

from aunet.datasets.opening import open_dataset
from aunet.intended_use import RESEARCH_ONLY
from aunet.io.aside import write_text, written_aside
from aunet.io.files import read_mask, read_sample
from aunet.sample import Sample
from aunet.studies.demo import Layout, Stage
from aunet.studies.learning_curve import learning_curve

SHOWN_PHANTOMS = 8
TEST_PATIENTS = "test-patients.png"
_FILMS_SOURCE = (
    "Outlined by the weights that ship with aunet, without training. They saw digitised films of CBIS-DDSM in training,"
    " none of these two patients, who belong to its test split. How often they are wrong stands in their model card; no"
    " outline is a finding."
)
_PAGE = Template((Path(__file__).parent / "demo_page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Timed:
    """A stage and how long it took."""

    stage: Stage
    seconds: float


def write_page(layout: Layout, stages: Sequence[Timed], *, films_missing: str = "") -> Path:
    """Write `index.html` (films, test patients, ledger, learning curve, scores, every command) and its first picture.

    Args:
        layout: The demo's folder, all stages done.
        stages: What was run.
        films_missing: Why no real films are shown; "" if they are.

    Returns:
        The page.
    """
    data = open_dataset(f"folder:{layout.phantoms}")
    test = [sample for sample in data.samples if sample.split == "test"]
    sheet = layout.root / TEST_PATIENTS
    with written_aside(sheet) as aside:
        _sheet(test[:SHOWN_PHANTOMS], layout.segmented / "masks").savefig(aside, format="png", dpi=110)
    outlines = "Synthetic mammograms with reference outlines in white and predicted ones in green"
    sections = {
        "use": escape(RESEARCH_ONLY),
        "sheet": _embedded(sheet.read_bytes(), outlines),
        "ledger": _ledger_sentence(layout),
        "learning": _picture(
            learning_curve(pd.read_csv(layout.run / "metrics.csv")), "Loss and validation DSC by epoch"
        ),
        "scores": _score_table(layout),
        "films": escape(films_missing) if films_missing else f"{_FILMS_SOURCE}</p>{_overlays(layout.films)}<p>",
        "commands": _command_table(stages),
    }
    page = layout.root / "index.html"
    write_text(page, _PAGE.substitute(sections))
    return page


def _sheet(samples: Sequence[Sample], predictions: Path) -> Figure:
    """The first test phantoms with the reference in white and the prediction in green."""
    figure = Figure(figsize=(10, 6.6), layout="constrained", facecolor="black")
    for axes, sample in zip(figure.subplots(2, SHOWN_PHANTOMS // 2).flat, samples, strict=False):
        mammogram, reference = read_sample(sample)
        prediction = read_mask(predictions / f"{sample.image_path.stem}.png")
        axes.imshow(mammogram.image, cmap="gray")
        for mask, colour in ((reference, "white"), (prediction, "lime")):
            if mask.pixels.any():
                axes.contour(mask.pixels, levels=[0.5], colors=colour, linewidths=1)
        axes.set_title(sample.image_path.stem, fontsize=8, color="white")
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def _ledger_sentence(layout: Layout) -> str:
    counts = json.loads((layout.inspection / "ledger.json").read_text(encoding="utf-8"))["counts"]
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _score_table(layout: Layout) -> str:
    """n, misses and the metrics with their intervals."""
    summary = json.loads((layout.evaluation / "summary.json").read_text(encoding="utf-8"))
    rows = [
        f"<tr><td>{escape(name)}</td><td>{_number(values['mean'])}</td><td>{_number(values['median'])}</td>"
        f"<td>{' to '.join(_number(limit) for limit in values['ci95'] or ())}</td></tr>"
        for name, values in summary["metrics"].items()
    ]
    return (
        f"<p>{summary['n']} test images, {summary['missed']} missed, {summary['false_positive_images']} false positive."
        ' <a href="evaluation/report.html">The whole report</a> has distributions, groups and overlays.</p>'
        "<table><tr><th>metric</th><th>mean</th><th>median</th><th>95 % interval of the mean</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _overlays(folder: Path) -> str:
    """All overlays that a segmentation wrote, with their names."""
    pictures = []
    for path in sorted((folder / "overlays").rglob("*.png")):
        picture = _embedded(path.read_bytes(), "Outline of the predicted masses")
        pictures.append(f"<figure>{picture}<figcaption>{escape(path.stem)}</figcaption></figure>")
    return f'<div class="overlays">{"".join(pictures)}</div>'


def _command_table(stages: Sequence[Timed]) -> str:
    rows = [
        f"<tr><td>{escape(timed.stage.title)}<br><small>{escape(timed.stage.meaning)}</small></td>"
        f"<td><code>{escape(timed.stage.command)}</code></td><td>{timed.seconds:.0f} s</td></tr>"
        for timed in stages
    ]
    return f"<table><tr><th>step</th><th>command</th><th>time</th></tr>{''.join(rows)}</table>"


def _picture(figure: Figure, description: str) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return _embedded(content.getvalue(), description)


def _embedded(png: bytes, description: str) -> str:
    text = base64.b64encode(png).decode()
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{text}">'

"""`report.html`: one page that says what was measured and shows it, in one file that opens offline."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from math import isnan
from string import Template

from aunet.evaluation.examples import Example
from aunet.evaluation.figures import cumulative_figure, froc_figure, size_figure
from aunet.evaluation.stats import Estimate, GroupScores, Interval
from aunet.evaluation.summary import HAU_NOTE, NOT_THE_PAPER, Failure, Summary, definitions
from aunet.intended_use import RESEARCH_ONLY
from aunet.metrics.calibration import BINS, Reliability
from aunet.metrics.scores import METRICS, Metric

TITLES: Mapping[Metric, str] = {
    "dsc": "DSC",
    "sensitivity": "Sensitivity",
    "precision": "Precision",
    "iou": "IoU",
    "area_difference": "Area difference",
    "hau_px": "HAU, pixels",
    "hau_rowwise": "HAU (row-wise)",
    "hd95_px": "HD95, pixels",
    "nsd": "Surface Dice",
    "hau_mm": "HAU, mm",
    "hd95_mm": "HD95, mm",
}
GROUP_TITLES = {
    "view": "View",
    "size": "Size of the mass",
    "size_quartile": "Size of the mass, in quarters of this set",
    "breast_density": "Breast density",
    "birads": "BI-RADS",
    "pathology": "Pathology",
    "subtlety": "Subtlety",
    "mass_shape": "Shape",
    "mass_margins": "Margins",
}
RANK_TITLES = {"best": "Best", "median": "Around the median", "worst": "Worst"}
_FAILURES_SHOWN = 50


def report(summary: Summary, examples: Sequence[Example]) -> str:
    """The page.

    Args:
        summary: The scores.
        examples: Images to show.

    Returns:
        HTML text with style and pictures inside; it asks for no other file.
    """
    about = summary.provenance
    page = Template(files("aunet.evaluation").joinpath("report.html.template").read_text(encoding="utf-8"))
    facts = {
        "Data": f"{about.data}, split {about.split}",
        "Weights": f"{about.weights or 'in memory'} ({about.card.network})",
        "Flips": about.flips,
        "Scales": ", ".join(f"{scale:g}" for scale in (1.0, *about.scales)),
        "Trained": f"{about.card.trained}; {about.card.data_source}",
        "Licence": about.card.licence,
        "Operating point": f"threshold {about.threshold:g}, regions of at least {about.card.smallest_mass_px} pixels "
        f"and a score of at least {about.card.lowest_score:g}; temperature {about.card.temperature:.3g}",
        "Grid": f"{about.grid[0]} x {about.grid[1]} pixels: every score is measured there",
        "Grey values": "matched to those of the training images" if about.matched_intensity else "as in training",
        "Software": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
        "Date": about.date,
    }
    return page.substitute(
        title=escape(f"aunet evaluation: {about.data}, {about.split}"),
        headline=_headline(summary),
        use=escape(RESEARCH_ONLY),
        counts=_counts(summary),
        warning=_failures("No prediction", summary.failures)
        + _failures("Refused by the data set, not among these images", summary.refused),
        metrics=_metrics(summary.metrics),
        detection=_detection(summary) + _calibration(summary.reliability),
        figures=_figures(summary),
        examples=_examples(examples),
        groups=_groups(summary),
        facts=_described(facts),
        definitions=_described({_title(name): text for name, text in definitions(about).items()}),
        notes="".join(f"<p>{escape(note)}</p>" for note in (NOT_THE_PAPER, HAU_NOTE, about.card.notes) if note),
    )


def _headline(summary: Summary) -> str:
    counts, dsc = summary.overall.counts, summary.metrics["dsc"]
    if not dsc.n:
        return f"{counts.n} images, none with a mass"
    return (
        f"Mean DSC <strong>{dsc.mean:.3f}</strong> (95 % interval {_interval(dsc.ci95)}) over {counts.n_with_mass} "
        f"images with a mass, <strong>{counts.missed} missed</strong> among them"
    )


def _counts(summary: Summary) -> str:
    counts = summary.overall.counts
    cells = {
        "images": counts.n,
        "patients": counts.n_patients,
        "with a mass": counts.n_with_mass,
        "missed": counts.missed,
        "predicted elsewhere only": counts.no_overlap,
        "false-positive images": counts.false_positive_images,
        "true negatives": counts.true_negatives,
        "without a prediction": counts.failed,
    }
    return "".join(f"<div><dt>{name}</dt><dd>{number}</dd></div>" for name, number in cells.items())


def _failures(title: str, failures: Sequence[Failure]) -> str:
    if not failures:
        return ""
    shown = "".join(
        f"<li><code>{escape(failure.case)}</code>: {escape(failure.reason)}</li>"
        for failure in failures[:_FAILURES_SHOWN]
    )
    more = f"<li>and {len(failures) - _FAILURES_SHOWN} more</li>" if len(failures) > _FAILURES_SHOWN else ""
    return f'<section class="warning"><h2>{title}: {len(failures)}</h2><ul>{shown}{more}</ul></section>'


def _metrics(metrics: Mapping[Metric, Estimate]) -> str:
    body = "".join(
        f'<tr><th scope="row">{TITLES[name]}</th><td>{_number(one.mean)}</td><td>{_interval(one.ci95)}</td>'
        f"<td>{_number(one.median)}</td><td>{one.n}</td></tr>"
        for name in METRICS
        if (one := metrics[name]).n or not name.endswith("_mm")
    )
    return _table("Scores over the images with a mass", ("Score", "Mean", "95 % interval", "Median", "n"), body)


def _detection(summary: Summary) -> str:
    found = summary.detection
    body = (
        f'<tr><th scope="row">Masses found</th><td>{found.n_found} of {found.froc.n_masses}</td>'
        f"<td>{_number(found.sensitivity.value)}</td><td>{_interval(found.sensitivity.ci95)}</td></tr>"
        f'<tr><th scope="row">False positives an image</th><td>{found.n_false_regions} in '
        f"{found.froc.n_images}</td><td>{_number(found.false_positives_per_image.value)}</td>"
        f"<td>{_interval(found.false_positives_per_image.ci95)}</td></tr>"
        f'<tr><th scope="row">Masses found at 1 false positive an image at most</th><td></td>'
        f"<td>{_number(found.froc.sensitivity_at(1.0))}</td><td></td></tr>"
    )
    return _table("Detection of each mass", ("", "Count", "Value", "95 % interval"), body)


def _calibration(reliability: Reliability) -> str:
    columns = (reliability.pixels, reliability.mass_pixels, reliability.probability_sums)
    body = "".join(
        f'<tr><th scope="row">{i / BINS:.3f} to {(i + 1) / BINS:.3f}</th><td>{n:,}</td>'
        f"<td>{_number(probability_sum / n)}</td><td>{_number(mass_pixels / n)}</td></tr>"
        for i, (n, mass_pixels, probability_sum) in enumerate(zip(*columns, strict=True))
        if n
    )
    return _table(
        f"Expected calibration error {_number(reliability.expected_error)}, n {reliability.n:,} pixels of the breast",
        ("Probability", "Pixels", "Mean probability", "Share of mass"),
        body,
    )


def _figures(summary: Summary) -> str:
    rows = [row for row in summary.rows if row.has_mass]
    if not rows:
        return "<p>No image holds a mass, so there is nothing to plot.</p>"
    scores = [row.scores.dsc for row in rows]
    sized = [row for row in rows if row.reference_px]
    found = summary.detection
    marked = found.false_positives_per_image.value
    operating_point = f"{found.sensitivity.value:.2f} of the masses at {marked:.2f} false positives an image"
    pictures = [
        (
            "Cumulative distribution of DSC",
            f"Share of images with at most a given DSC; half of them have {summary.metrics['dsc'].median:.2f} or less.",
            cumulative_figure(scores),
        ),
        (
            "DSC by size of the mass",
            f"One point an image, {sum(row.is_missed for row in sized)} of {len(sized)} missed.",
            size_figure(
                [row.reference_px or 0 for row in sized],
                [row.scores.dsc for row in sized],
                is_missed=[row.is_missed for row in sized],
            ),
        ),
        (
            "FROC",
            f"Masses found against false positives; at the operating point {operating_point}.",
            froc_figure(found.froc, operating_point=(marked, found.sensitivity.value)),
        ),
    ]
    return "".join(
        f'<figure><img alt="{escape(f"{title}. {caption}")}" src="{_embedded(png)}">'
        f"<figcaption><strong>{title}.</strong> {caption}</figcaption></figure>"
        for title, caption, png in pictures
    )


def _examples(examples: Sequence[Example]) -> str:
    if not examples:
        return "<p>No image to show.</p>"
    parts = []
    for rank, chosen in groupby(examples, key=lambda example: example.rank):
        pictures = "".join(
            f'<figure><img alt="{escape(_described_example(one))}" src="{_embedded(one.png)}">'
            f"<figcaption>DSC {_number(one.row.scores.dsc)}<br><code>{escape(one.row.case)}</code></figcaption>"
            "</figure>"
            for one in chosen
        )
        parts.append(f'<h3>{RANK_TITLES[rank]}</h3><div class="overlays">{pictures}</div>')
    return "".join(parts)


def _described_example(example: Example) -> str:
    row = example.row
    return (
        f"Mammogram {row.case}: reference of {row.reference_px} pixels outlined in white, prediction of "
        f"{row.prediction_px} pixels in green, DSC {row.scores.dsc:.2f}"
    )


def _groups(summary: Summary) -> str:
    return "".join(
        _table(
            GROUP_TITLES.get(name, name),
            (
                "",
                "Images",
                "Missed",
                "Masses found",
                "DSC",
                "95 % interval",
                "Sensitivity",
                "HAU, px",
                "HAU (row-wise)",
            ),
            "".join(_group_row(label, group) for label, group in groups.items()),
        )
        for name, groups in summary.groups.items()
    )


def _group_row(label: str, group: GroupScores) -> str:
    dsc = group.metrics["dsc"]
    cells = (
        str(group.counts.n),
        str(group.counts.missed),
        f"{group.n_found} of {group.n_masses}",
        _number(dsc.mean),
        _interval(dsc.ci95),
        *(_number(group.metrics[name].mean) for name in ("sensitivity", "hau_px", "hau_rowwise")),
    )
    return f'<tr><th scope="row">{escape(label)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _table(caption: str, headings: Iterable[str], body: str) -> str:
    head = "".join(f'<th scope="col">{heading}</th>' if heading else "<td></td>" for heading in headings)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _described(facts: Mapping[str, str]) -> str:
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())


def _title(name: str) -> str:
    titles: Mapping[str, str] = {str(metric): title for metric, title in TITLES.items()}
    return titles.get(name, name.replace("_", " ").capitalize())


def _number(value: float) -> str:
    if isnan(value):
        return "&ndash;"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.3f}"


def _interval(interval: Interval) -> str:
    if isnan(interval[0]):
        return "&ndash;"
    return f"{_number(interval[0])} to {_number(interval[1])}"


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"

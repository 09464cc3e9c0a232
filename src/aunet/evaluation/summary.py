"""The result of an evaluation as one record, and as `summary.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from aunet.evaluation.rows import ImageRow
from aunet.evaluation.stats import Bootstrap, Detection, Estimate, GroupScores, Ratio
from aunet.inference.segmenter import WeightsFile
from aunet.metrics.calibration import BINS, Reliability
from aunet.metrics.detection import FOUND_IOU, SCORE
from aunet.metrics.scores import METRICS, Metric
from aunet.models.card import Flips, ModelCard, Scales
from aunet.sample import Shape

FORMAT = 1
FALSE_POSITIVES_SHOWN = (0.25, 0.5, 1.0, 2.0, 4.0)
_FROC_POINTS_AT_MOST = 200

NOT_THE_PAPER = (
    "Not comparable number by number with the paper's tables: neither its choice of 858 CBIS-DDSM images nor its split "
    "is published."
)
HAU_NOTE = (
    "HAU by equation 13 is in pixels of the model grid (and in millimetres where the spacing is known). HAU (row-wise) "
    "is the only one to lay beside the paper's column HAU; that the paper computed it so is an inference from three of "
    "its figures."
)

PATCHES = (
    "It lies on a patch around the largest reference mass of each image, enlarged by {:.0%} in area: so nothing here "
    "says whether a mass would be found in a whole mammogram."
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An image for which there is no prediction."""

    case: str
    reason: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was evaluated, on what, by what."""

    card: ModelCard
    files: tuple[WeightsFile, ...]
    """Where the weights come from, one file a member of an ensemble; empty where the segmenter was loaded from none."""
    flips: Flips
    """How each image was turned over as well."""
    scales: Scales
    """At which scales each image was looked at as well."""
    data: str
    split: str
    grid: Shape
    """Rows and columns of the model grid, on which every score is measured."""
    patch_margin: float | None
    """Gain in area of a patch over its mass; None for whole mammograms."""
    matched_intensity: bool
    """Whether the grey values of each image were matched to those of the training images."""
    threshold: float
    tolerance_px: float
    """Tolerance of the normalised surface Dice."""
    bootstrap: Bootstrap
    versions: Mapping[str, str]
    date: str
    """ISO date and time."""

    @property
    def weights(self) -> str:
        """Names of the files; "" where there are none."""
        return " + ".join(file.name for file in self.files)

    @property
    def weights_sha256(self) -> str:
        """Their hashes, joined by ";"."""
        return ";".join(file.sha256 for file in self.files)


@dataclass(frozen=True, slots=True)
class Summary:
    """Scores of a checkpoint on one split of a data set."""

    provenance: Provenance
    overall: GroupScores
    groups: Mapping[str, Mapping[str, GroupScores]]
    """By property (view, size, density, ...), then by value."""
    detection: Detection
    reliability: Reliability
    """Pixels of the breast by their probability, of all images that were predicted."""
    failures: tuple[Failure, ...]
    refused: tuple[Failure, ...]
    """Rows of the data set's table that it refused: images of whatever split that are not among the `n`."""
    rows: tuple[ImageRow, ...]
    """One row an image, in the data set's order."""

    @property
    def n(self) -> int:
        """Images of the split."""
        return self.overall.counts.n

    @property
    def missed(self) -> int:
        """Images with a mass in which nothing was predicted, or for which there is no prediction."""
        return self.overall.counts.missed

    @property
    def false_positive_images(self) -> int:
        """Images without a mass in which something was predicted."""
        return self.overall.counts.false_positive_images

    @property
    def metrics(self) -> Mapping[Metric, Estimate]:
        """Scores over the images with a mass."""
        return self.overall.metrics

    @property
    def is_complete(self) -> bool:
        """Every image was read and predicted, and no row of the table was refused."""
        return not self.failures and not self.refused

    def to_json(self) -> str:
        """The summary as JSON text; a score that no image has is null."""
        return json.dumps(_document(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def definitions(provenance: Provenance) -> Mapping[str, str]:
    """What each name in the summary means, as it was computed.

    Args:
        provenance: What was evaluated.

    Returns:
        A sentence a name.
    """
    rows, columns = provenance.grid
    patches = "" if provenance.patch_margin is None else f" {PATCHES.format(provenance.patch_margin)}"
    return {
        "grid": f"Every score is measured on the model grid, {rows} x {columns} pixels; references are brought to it."
        + patches,
        "n": "Images of the split, none left out: an image without a prediction is a miss.",
        "weights": "Of several files, probabilities are averaged before the threshold; so they are over the flips "
        "(vertical: top and bottom change places; horizontal: left and right; both: all four) and over the scales "
        "besides the image's own. `model` is the first's.",
        "missed": "Images with a mass in which nothing was predicted, for which there is no prediction, or whose mass "
        "preprocessing cuts off: Dice 0, distances equal to the grid's diagonal (row-wise: to rows of zeros).",
        "no_overlap": "Images with a mass in which something was predicted, but no pixel of the mass.",
        "false_positive_images": "Images without a mass in which something was predicted; they have no Dice.",
        "true_negatives": "Images without a mass in which nothing was predicted; they have no Dice.",
        "groups": "Different values of several masses in one image make a group of their own; a size is that of all "
        "masses of an image together, on the model grid.",
        "ci95": f"95 % percentile interval of the mean, by {provenance.bootstrap.resamples} bootstrap resamples of "
        f"patients, seed {provenance.bootstrap.seed}.",
        "dsc": "Dice similarity coefficient (equation 10).",
        "sensitivity": "Share of the reference's pixels that is predicted (equation 11).",
        "precision": "Share of the predicted pixels that belongs to the reference.",
        "iou": "Intersection over union.",
        "area_difference": "Difference of the areas as a part of the reference's (equation 12); smaller is better.",
        "hau_px": "Hausdorff distance of the masks' pixels (equation 13), in pixels of the model grid.",
        "hau_mm": "The same in millimetres, of the images whose pixel spacing is known.",
        "hau_rowwise": "Hausdorff distance of the masks' matrices, a row being a point; without unit. " + HAU_NOTE,
        "hd95_px": "Greater of both directions' 95th percentiles of the distances between border pixels, in pixels.",
        "hd95_mm": "The same in millimetres, of the images whose pixel spacing is known.",
        "nsd": f"Normalised surface Dice: share of both borders within {provenance.tolerance_px:g} px of each other.",
        "calibration": "Whether the probability is a frequency, over the pixels of the breast in all images with a "
        f"prediction: they are put into {BINS} bins by their probability, and the expected calibration error is the "
        "distance of a bin's mean probability and its share of mass pixels, averaged by the bins' pixels.",
        "detection": f"A mass is found when a predicted region reaches an IoU of {FOUND_IOU:g} with it. Pixels that "
        f"touch at a side or a corner are one region; its score is the {SCORE} of its probabilities; a second region "
        "on one mass is a false positive. n_found, n_false_regions, sensitivity and false_positives_per_image are at "
        "the operating point (threshold, smallest_mass_px, lowest_score), and so is every other score; froc and "
        "sensitivity_at_false_positives_per_image are over all regions of smallest_mass_px and more.",
    }


# JSON values: numbers, words, and lists and objects of them.
def _document(summary: Summary) -> dict[str, Any]:
    about = summary.provenance
    return {
        "format": FORMAT,
        **_counts(summary.overall),
        "metrics": _metrics(summary.overall),
        "detection": _detection(summary.detection),
        "calibration": _calibration(summary.reliability),
        "groups": {
            name: {label: _group(group) for label, group in groups.items()} for name, groups in summary.groups.items()
        },
        "failures": [{"case": failure.case, "reason": failure.reason} for failure in summary.failures],
        "refused": [{"case": failure.case, "reason": failure.reason} for failure in summary.refused],
        "data": about.data,
        "split": about.split,
        "grid": {"rows": about.grid[0], "columns": about.grid[1]},
        "matched_intensity": about.matched_intensity,
        "threshold": about.threshold,
        "smallest_mass_px": about.card.smallest_mass_px,
        "lowest_score": about.card.lowest_score,
        "temperature": about.card.temperature,
        "nsd_tolerance_px": about.tolerance_px,
        "bootstrap": {"unit": "patient", "resamples": about.bootstrap.resamples, "seed": about.bootstrap.seed},
        "weights": {
            "name": about.weights,
            "sha256": about.weights_sha256,
            "files": [{"name": file.name, "sha256": file.sha256} for file in about.files],
        },
        "flips": about.flips,
        "scales": list(about.scales),
        "model": json.loads(about.card.to_json()),
        "versions": dict(about.versions),
        "date": about.date,
        "definitions": dict(definitions(about)),
        "notes": [NOT_THE_PAPER, HAU_NOTE],
    }


def _group(group: GroupScores) -> dict[str, Any]:
    return {
        **_counts(group),
        "n_masses": group.n_masses,
        "n_found": group.n_found,
        "metrics": _metrics(group),
    }


def _counts(group: GroupScores) -> dict[str, int]:
    counts = group.counts
    return {
        "n": counts.n,
        "n_patients": counts.n_patients,
        "n_with_mass": counts.n_with_mass,
        "missed": counts.missed,
        "no_overlap": counts.no_overlap,
        "false_positive_images": counts.false_positive_images,
        "true_negatives": counts.true_negatives,
        "failed": counts.failed,
    }


def _metrics(group: GroupScores) -> dict[str, Any]:
    return {
        name: {"n": one.n, "mean": _plain(one.mean), "median": _plain(one.median), "ci95": _interval(one.ci95)}
        for name in METRICS
        if (one := group.metrics[name]).n or not name.endswith("_mm")
    }


def _detection(detection: Detection) -> dict[str, Any]:
    curve = detection.froc
    step = max(1, -(-len(curve.points) // _FROC_POINTS_AT_MOST))
    # Counted from the end: the last point is the one where every region is marked.
    points = curve.points[::-1][::step][::-1]
    return {
        "n_masses": curve.n_masses,
        "n_found": detection.n_found,
        "n_false_regions": detection.n_false_regions,
        "sensitivity": _ratio(detection.sensitivity),
        "false_positives_per_image": _ratio(detection.false_positives_per_image),
        "found_iou": FOUND_IOU,
        "sensitivity_at_false_positives_per_image": {
            f"{limit:g}": _plain(curve.sensitivity_at(limit)) for limit in FALSE_POSITIVES_SHOWN
        },
        "froc": [
            {
                "threshold": _plain(point.threshold),
                "sensitivity": _plain(point.sensitivity),
                "false_positives_per_image": _plain(point.false_positives_per_image),
            }
            for point in points
        ],
    }


def _calibration(reliability: Reliability) -> dict[str, Any]:
    columns = (reliability.pixels, reliability.mass_pixels, reliability.probability_sums)
    return {
        "n_pixels": reliability.n,
        "expected_calibration_error": _plain(reliability.expected_error),
        "bins": [
            {
                "n_pixels": n,
                "mean_probability": probability_sum / n if n else None,
                "share_of_mass": mass_pixels / n if n else None,
            }
            for n, mass_pixels, probability_sum in zip(*columns, strict=True)
        ],
    }


def _ratio(ratio: Ratio) -> dict[str, Any]:
    return {"value": _plain(ratio.value), "ci95": _interval(ratio.ci95)}


def _interval(interval: tuple[float, float]) -> list[float | None]:
    return [_plain(end) for end in interval]


def _plain(number: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return number if isfinite(number) else None

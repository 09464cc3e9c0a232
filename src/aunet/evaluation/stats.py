"""From one row an image to means, medians and intervals, of all images and by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64, Int64

from aunet.evaluation.rows import PROPERTIES, ImageRow
from aunet.metrics.detection import Froc, froc
from aunet.metrics.scores import METRICS, Metric

RESAMPLES = 2000
SEED = 2020
UNKNOWN = "unknown"
SIZE_EDGES_PX = (64, 256, 1024, 4096)
"""Each bin spans a doubling of the mass's diameter; the smallest are the masses that low resolution loses."""
_CHUNK = 200

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made: patients are drawn with replacement, each with all of their images."""

    resamples: int = RESAMPLES
    seed: int = SEED


DEFAULT_BOOTSTRAP = Bootstrap()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score over a set of images."""

    n: int
    """Images that have this score."""
    mean: float
    """NaN where none has it."""
    median: float
    ci95: Interval
    """95 % interval of the mean; NaN with fewer than two patients."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A count over another one."""

    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Counts:
    """How many images of each kind there are."""

    n: int
    """Images of the split, whatever became of them."""
    n_patients: int
    n_with_mass: int
    missed: int
    """Images with a mass in which nothing was predicted, or for which there is no prediction."""
    no_overlap: int
    """Images with a mass in which something was predicted, but nothing of the mass."""
    false_positive_images: int
    """Images without a mass in which something was predicted."""
    true_negatives: int
    """Images without a mass in which nothing was predicted."""
    failed: int
    """Images for which there is no prediction, since they could not be read or computed."""


@dataclass(frozen=True, slots=True)
class GroupScores:
    """Scores of the images of one group."""

    counts: Counts
    n_masses: int
    n_found: int
    metrics: Mapping[Metric, Estimate]


@dataclass(frozen=True, slots=True)
class Detection:
    """Detection of each mass."""

    froc: Froc
    """Over every region, those included that the operating point drops for their score."""
    n_found: int
    """Masses found at the operating point."""
    n_false_regions: int
    """Regions that found none, at the operating point."""
    sensitivity: Ratio
    """Share of the masses that are found at the operating point."""
    false_positives_per_image: Ratio


def estimate(
    values: Float64[np.ndarray, " n"], patients: Int64[np.ndarray, " n"], *, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> Estimate:
    """Mean, median and interval of one score.

    Args:
        values: One value an image; NaN leaves the image out.
        patients: Number of each image's patient.
        bootstrap: How the interval is made.

    Returns:
        The score over all images that have it.
    """
    has_value = ~np.isnan(values)
    kept = values[has_value]
    if not kept.size:
        return Estimate(0, nan, nan, (nan, nan))
    ratio = ratio_of_sums(kept, np.ones_like(kept), patients[has_value], bootstrap=bootstrap)
    return Estimate(kept.size, float(kept.mean()), float(np.median(kept)), ratio.ci95)


def ratio_of_sums(
    numerators: Float64[np.ndarray, " n"],
    denominators: Float64[np.ndarray, " n"],
    patients: Int64[np.ndarray, " n"],
    *,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
) -> Ratio:
    """Sum over sum, with an interval by bootstrap over patients.

    Images of one patient resemble each other, so that drawing images would give too narrow an interval. Patients whose
    denominators are 0 say nothing of the ratio and are not drawn.

    Args:
        numerators: One value an image.
        denominators: One value an image; ones make the ratio a mean.
        patients: Number of each image's patient.
        bootstrap: How the interval is made.

    Returns:
        The ratio and its 95 % percentile interval: NaN where the denominators sum to 0, the interval with fewer than
        two patients too.

    Source:
        Field and Welsh 2007, doi 10.1111/j.1467-9868.2007.00593.x (cluster bootstrap).
    """
    total = float(denominators.sum())
    value = float(numerators.sum()) / total if total else nan
    counted = denominators > 0
    found, cluster = np.unique(patients[counted], return_inverse=True)
    n_patients = found.size
    if n_patients < 2:
        return Ratio(value, (nan, nan))
    sums = np.stack([np.bincount(cluster, weights=column[counted]) for column in (numerators, denominators)], axis=1)
    rng = np.random.default_rng(bootstrap.seed)
    drawn = []
    for start in range(0, bootstrap.resamples, _CHUNK):
        n_resamples = min(_CHUNK, bootstrap.resamples - start)
        draws = rng.integers(n_patients, size=(n_resamples, n_patients)) + n_patients * np.arange(n_resamples)[:, None]
        times = np.bincount(draws.ravel(), minlength=n_resamples * n_patients).reshape(n_resamples, n_patients)
        drawn.append(times @ sums)
    resampled = np.concatenate(drawn)
    low, high = np.percentile(resampled[:, 0] / resampled[:, 1], [2.5, 97.5])
    return Ratio(value, (float(low), float(high)))


def count_images(rows: Sequence[ImageRow], patients: Int64[np.ndarray, " n"]) -> Counts:
    """Count images by what became of them.

    Args:
        rows: One row an image.
        patients: Number of each image's patient.

    Returns:
        The counts.
    """
    return Counts(
        n=len(rows),
        n_patients=int(np.unique(patients).size),
        n_with_mass=sum(row.has_mass for row in rows),
        missed=sum(row.is_missed for row in rows),
        no_overlap=sum(row.outcome == "scored" and row.scores.dsc == 0 for row in rows),
        false_positive_images=sum(row.outcome == "false_positive" for row in rows),
        true_negatives=sum(row.outcome == "true_negative" for row in rows),
        failed=sum(row.outcome == "failed" for row in rows),
    )


def score_group(
    rows: Sequence[ImageRow], patients: Int64[np.ndarray, " n"], *, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> GroupScores:
    """All scores of a set of images.

    Args:
        rows: One row an image.
        patients: Number of each image's patient.
        bootstrap: How intervals are made.

    Returns:
        The scores.
    """
    table = {name: np.array([getattr(row.scores, name) for row in rows], dtype=np.float64) for name in METRICS}
    return GroupScores(
        counts=count_images(rows, patients),
        n_masses=sum(row.detections.n_masses for row in rows),
        n_found=sum(row.detections.n_found for row in rows),
        metrics=MappingProxyType({
            name: estimate(values, patients, bootstrap=bootstrap) for name, values in table.items()
        }),
    )


def score_groups(
    rows: Sequence[ImageRow], patients: Int64[np.ndarray, " n"], *, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> Mapping[str, Mapping[str, GroupScores]]:
    """The scores by view, size of the mass, and each property that the data set's table knows.

    Args:
        rows: One row an image.
        patients: Number of each image's patient.
        bootstrap: How intervals are made.

    Returns:
        By property, then by value; see `group_labels`.
    """
    return MappingProxyType({
        name: MappingProxyType({
            label: score_group([rows[i] for i in members], patients[members], bootstrap=bootstrap)
            for label, members in _members(labels).items()
        })
        for name, labels in group_labels(rows).items()
    })


def group_labels(rows: Sequence[ImageRow]) -> Mapping[str, Sequence[str]]:
    """Which group of each kind an image is in.

    Args:
        rows: One row an image.

    Returns:
        By property, a label an image; "" for an image in no group of that kind. Properties that are known of no image
        are left out. Masses of different values in one image make a group of their own, named by all of these.
    """
    labels = {
        "view": [row.view or UNKNOWN for row in rows],
        "size": [_size_label(row) for row in rows],
        "size_quartile": _quartile_labels(rows),
        **{name: [_value_label(getattr(row.properties, name)) for row in rows] for name in PROPERTIES},
    }
    return {name: values for name, values in labels.items() if set(values) - {UNKNOWN, ""}}


def score_detection(
    rows: Sequence[ImageRow], patients: Int64[np.ndarray, " n"], *, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> Detection:
    """Detection of each mass over a set of images.

    Args:
        rows: One row an image.
        patients: Number of each image's patient.
        bootstrap: How intervals are made.

    Returns:
        The FROC curve, and sensitivity and false positives an image at the model's own operating point.
    """
    found = np.array([row.detections.n_found for row in rows], dtype=np.float64)
    masses = np.array([row.detections.n_masses for row in rows], dtype=np.float64)
    marked = np.array([row.detections.n_false_regions for row in rows], dtype=np.float64)
    return Detection(
        froc=froc([row.detections for row in rows]),
        n_found=int(found.sum()),
        n_false_regions=int(marked.sum()),
        sensitivity=ratio_of_sums(found, masses, patients, bootstrap=bootstrap),
        false_positives_per_image=ratio_of_sums(marked, np.ones_like(marked), patients, bootstrap=bootstrap),
    )


def _members(labels: Sequence[str]) -> dict[str, Int64[np.ndarray, " n"]]:
    """Positions of the images of each group, in the order of the labels."""
    column = np.array(labels, dtype=object)
    return {label: np.flatnonzero(column == label) for label in sorted(set(labels) - {""}, key=_in_order)}


def _in_order(label: str) -> tuple[bool, bool, float, str]:
    """Numbers by their value, words by the alphabet; then those of several masses; what is not known last."""
    first = label.partition(" ")[0]
    return label == UNKNOWN, ";" in label, float(first) if first.isdigit() else -1.0, label


def _value_label(written: str) -> str:
    """The different values of an image's masses, in one order whatever the table's."""
    return "; ".join(sorted({value.strip() for value in written.split(";")} - {""})) or UNKNOWN


def _size_label(row: ImageRow) -> str:
    if not row.has_mass:
        return ""
    if not row.reference_px:
        return UNKNOWN
    edges = (1, *SIZE_EDGES_PX)
    place = int(np.searchsorted(edges, row.reference_px, side="right")) - 1
    return (
        f"{edges[place]} px and more" if place == len(SIZE_EDGES_PX) else f"{edges[place]} to {edges[place + 1] - 1} px"
    )


def _quartile_labels(rows: Sequence[ImageRow]) -> list[str]:
    """The quartile of this set's own masses that each image's mass is in, by its area."""
    areas = np.array([row.reference_px or 0 for row in rows])
    known = areas[areas > 0]
    if np.unique(known).size < 4:
        return [""] * len(rows)
    place = np.searchsorted(np.quantile(known, [0.25, 0.5, 0.75]), areas, side="left")
    spans = {
        quarter: f"{low} px" if low == high else f"{low} to {high} px"
        for quarter in range(4)
        if (known_in := areas[(place == quarter) & (areas > 0)]).size
        for low, high in [(known_in.min(), known_in.max())]
    }
    return [spans[int(quarter)] if area else "" for quarter, area in zip(place, areas, strict=True)]

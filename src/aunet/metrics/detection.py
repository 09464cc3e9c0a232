"""Detection of each mass: which were found, what was marked besides, and the FROC curve.

A mass, of the reference or predicted, is a region of pixels that touch at a side or at a corner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import cc3d
import numpy as np
from jaxtyping import Float64, UInt

from aunet.metrics.overlap import refuse_other_shape
from aunet.sample import Mask2D, Probability

FOUND_IOU = 0.2
"""Least IoU of a predicted region and a mass that counts as finding it, usual for masses in mammograms: Dhungel et al.
2015, doi 10.1109/DICTA.2015.7371234; Jung et al. 2018, doi 10.1371/journal.pone.0203355. They compare bounding boxes,
we compare pixels."""

Score = Literal["mean", "maximum", "percentile_90"]
"""A summary of the probabilities within a region."""
SCORE: Score = "mean"
"""The score that a region has, here and in every result."""
_SUMMARIES: Mapping[Score, Callable[[Float64[np.ndarray, " pixels"]], float]] = {
    "mean": np.mean,
    "maximum": np.max,
    "percentile_90": lambda values: float(np.percentile(values, 90)),
}


@dataclass(frozen=True, slots=True)
class ImageDetections:
    """What was found in one image."""

    n_masses: int
    """Masses of the reference."""
    hit_scores: tuple[float, ...]
    """Scores of the predicted regions that found a mass, highest first; as many masses were found."""
    false_scores: tuple[float, ...]
    """Scores of the predicted regions that found none, highest first."""
    lowest_score: float = 0.0
    """Score from which a region is marked at the operating point; FROC is drawn over all regions."""

    @property
    def n_found(self) -> int:
        """Masses found at the operating point."""
        return sum(score >= self.lowest_score for score in self.hit_scores)

    @property
    def n_false_regions(self) -> int:
        """Regions marked at the operating point that found no mass."""
        return sum(score >= self.lowest_score for score in self.false_scores)

    @property
    def n_regions(self) -> int:
        """Predicted regions, whatever their score."""
        return len(self.hit_scores) + len(self.false_scores)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One point of a FROC curve: the regions whose score reaches `threshold` are marked."""

    threshold: float
    sensitivity: float
    """Share of the masses that are found."""
    false_positives_per_image: float


@dataclass(frozen=True, slots=True)
class Froc:
    """Free-response receiver operating characteristic of a set of images."""

    n_images: int
    n_masses: int
    n_found: int
    n_false_regions: int
    points: tuple[OperatingPoint, ...]
    """From the strictest threshold to the one where every region is marked."""

    @property
    def sensitivity(self) -> float:
        """Share of the masses found when every region is marked; NaN without a mass."""
        return self.n_found / self.n_masses if self.n_masses else nan

    @property
    def false_positives_per_image(self) -> float:
        """Regions an image that found no mass, when every region is marked; NaN without an image."""
        return self.n_false_regions / self.n_images if self.n_images else nan

    def sensitivity_at(self, false_positives_per_image: float) -> float:
        """Highest sensitivity of a point with at most so many false positives an image.

        Args:
            false_positives_per_image: The limit, included.

        Returns:
            A share in [0, 1]; 0 where no point keeps the limit, NaN without a mass.
        """
        if not self.n_masses:
            return nan
        kept = (p.sensitivity for p in self.points if p.false_positives_per_image <= false_positives_per_image)
        return max(kept, default=0.0)


def label_masses(mask: Mask2D) -> UInt[np.ndarray, "h w"]:
    """Number the masses of a mask: regions of pixels that touch at a side or at a corner.

    Args:
        mask: A mask.

    Returns:
        0 for background, 1, 2, ... for the masses.
    """
    # As bytes: of a bool array with an odd side, connected-components-3d 4.1.1 numbers pixels that are background.
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    labels: UInt[np.ndarray, "h w"] = cc3d.connected_components(pixels, connectivity=8)
    return labels


def region_scores(
    labels: UInt[np.ndarray, "h w"], probability: Probability, *, score: Score = SCORE
) -> Float64[np.ndarray, " regions"]:
    """How sure each region is: the score by which FROC is drawn and below which a region is dropped.

    The one definition, for evaluation (on the model grid) and for inference (on the source grid) alike.

    Args:
        labels: Regions as `label_masses` numbers them.
        probability: Probability of a mass on the same grid.
        score: Which summary of the region's probabilities.

    Returns:
        Values in [0, 1], one a region in the order of the numbers.
    """
    is_inside = labels > 0
    numbers = labels[is_inside]
    ordered = probability[is_inside][np.argsort(numbers, kind="stable")].astype(np.float64)
    starts = np.cumsum(np.bincount(numbers))[:-1]
    return np.array([_SUMMARIES[score](values) for values in np.split(ordered, starts)[1:]], dtype=np.float64)


def keep_regions(
    mask: Mask2D, probability: Probability, *, smallest_px: float = 0.0, lowest_score: float = 0.0
) -> Mask2D:
    """A mask without its small regions and those of a low score.

    Args:
        mask: Predicted mask.
        probability: Probability of a mass on the same grid.
        smallest_px: Regions of fewer pixels of this grid are dropped.
        lowest_score: Regions of a lower score (`region_scores`) are dropped.

    Returns:
        The mask itself where nothing can be dropped.
    """
    if smallest_px <= 1 and lowest_score <= 0:
        return mask
    labels = label_masses(mask)
    areas = np.bincount(labels.ravel())[1:]
    is_kept = (areas >= smallest_px) & (region_scores(labels, probability) >= lowest_score)
    kept: Mask2D = np.concatenate([[False], is_kept])[labels]
    return kept


def detect(
    prediction: Mask2D,
    reference: Mask2D,
    *,
    probability: Probability | None = None,
    least_iou: float = FOUND_IOU,
    score: Score = SCORE,
) -> ImageDetections:
    """Say which masses of one image were found.

    In the order of their scores, each region takes, of the masses that no region before it took, the one that it
    overlaps most, if their IoU reaches `least_iou`; a second region on one mass is a false positive. A stricter
    threshold on the scores so never changes what the remaining regions find.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.
        probability: Probability of a mass on the same grid; without it every region's score is 1.
        least_iou: Least IoU that counts as finding a mass.
        score: Which score a region has, see `region_scores`.

    Returns:
        The number of masses, and the scores of the regions that found one and of those that did not.
    """
    refuse_other_shape(prediction, reference)
    regions, masses = label_masses(prediction), label_masses(reference)
    n_regions, n_masses = int(regions.max(initial=0)), int(masses.max(initial=0))
    overlaps = _ious(regions, masses, n_regions=n_regions, n_masses=n_masses)
    scores = np.ones(n_regions) if probability is None else region_scores(regions, probability, score=score)
    hits: list[float] = []
    misses: list[float] = []
    for region in np.argsort(-scores, kind="stable"):
        found = int(overlaps[region].argmax()) if n_masses else -1
        if found >= 0 and overlaps[region, found] >= least_iou:
            overlaps[:, found] = -1.0
            hits.append(float(scores[region]))
        else:
            misses.append(float(scores[region]))
    return ImageDetections(n_masses=n_masses, hit_scores=tuple(hits), false_scores=tuple(misses))


def froc(images: Sequence[ImageDetections]) -> Froc:
    """FROC curve of a set of images, over every threshold at which something changes.

    Args:
        images: What was found in each image; one without a prediction belongs among them, with nothing found.

    Returns:
        Counts, and a point for each distinct score.

    Source:
        Bunch et al. 1978, doi 10.1117/12.955926.
    """
    hits = np.sort(np.array([score for image in images for score in image.hit_scores], dtype=np.float64))
    misses = np.sort(np.array([score for image in images for score in image.false_scores], dtype=np.float64))
    n_masses = sum(image.n_masses for image in images)
    thresholds = np.unique(np.concatenate([hits, misses]))[::-1]
    n_hits = hits.size - np.searchsorted(hits, thresholds)
    n_misses = misses.size - np.searchsorted(misses, thresholds)
    points = tuple(
        OperatingPoint(float(threshold), found / n_masses if n_masses else nan, marked / len(images))
        for threshold, found, marked in zip(thresholds, n_hits.tolist(), n_misses.tolist(), strict=True)
    )
    return Froc(len(images), n_masses, int(hits.size), int(misses.size), points)


def _ious(
    regions: UInt[np.ndarray, "h w"], masses: UInt[np.ndarray, "h w"], *, n_regions: int, n_masses: int
) -> Float64[np.ndarray, "regions masses"]:
    """IoU of every region with every mass."""
    pairs = regions.astype(np.int64).ravel() * (n_masses + 1) + masses.ravel()
    counts = np.bincount(pairs, minlength=(n_regions + 1) * (n_masses + 1)).reshape(n_regions + 1, n_masses + 1)
    shared = counts[1:, 1:]
    union = counts[1:].sum(axis=1)[:, None] + counts[:, 1:].sum(axis=0)[None, :] - shared
    overlaps: Float64[np.ndarray, "regions masses"] = shared / union
    return overlaps

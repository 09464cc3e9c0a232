"""Intensity normalisation as a value: a piecewise linear map of pixel values, and its inverse."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from aunet.sample import Image, Mask2D

QUANTILES = 33
"""How many quantiles, from the smallest value to the largest, describe a histogram."""


@dataclass(frozen=True, slots=True)
class IntensityMap:
    """A non-decreasing piecewise linear map: `values[i]` goes to `targets[i]`, straight between two of them."""

    values: tuple[float, ...]
    """Ascending."""
    targets: tuple[float, ...]
    """Ascending, as many as `values`."""
    clips: bool = True
    """Whether values beyond the outermost ones stay at the outermost targets; else the end pieces go on."""

    def apply(self, image: Image) -> Image:
        """The image with its values mapped."""
        return self._mapped(image, self.values, self.targets)

    def invert(self, image: Image) -> Image:
        """The image with its values taken back; exact except for what the map clipped."""
        return self._mapped(image, self.targets, self.values)

    def then(self, following: "IntensityMap") -> "IntensityMap":
        """Another map after this one, as one map; this one clips."""
        bends = np.interp(following.values, self.targets, self.values)
        values = np.union1d(self.values, bends)
        targets = following.apply(self.apply(values[np.newaxis].astype(np.float32)))[0]
        return IntensityMap(tuple(map(float, values)), tuple(map(float, targets)))

    def _mapped(self, image: Image, start: tuple[float, ...], end: tuple[float, ...]) -> Image:
        if start[0] == start[-1]:  # a constant image has no contrast to spread
            return np.full_like(image, end[0])
        if len(start) == 2:
            slope = (end[1] - end[0]) / (start[1] - start[0])
            straight = ((image - np.float32(start[0])) * np.float32(slope) + np.float32(end[0])).astype(np.float32)
            return np.clip(straight, min(end), max(end)) if self.clips else straight
        curved: Image = np.interp(image, start, end).astype(np.float32)
        return curved


def min_max(image: Image) -> IntensityMap:
    """The map of an image's smallest value to 0 and its largest to 1 (the default)."""
    return IntensityMap((float(image.min()), float(image.max())), (0.0, 1.0))


def z_score(image: Image) -> IntensityMap:
    """The map that gives the image's breast (pixels that are not 0) mean 0 and standard deviation 1."""
    breast = _breast_values(image)
    mean, deviation = float(breast.mean(dtype=np.float64)), float(breast.std(dtype=np.float64))
    if deviation == 0:
        deviation = 1.0
    return IntensityMap((mean, mean + deviation), (0.0, 1.0), clips=False)


def percentile_window(image: Image, *, percentiles: tuple[float, float]) -> IntensityMap:
    """The map of two percentiles of the image's breast (pixels that are not 0) to 0 and 1, clipped beyond."""
    lower, upper = np.percentile(_breast_values(image), percentiles)
    return IntensityMap((float(lower), float(upper)), (0.0, 1.0))


def matched_histogram(
    image: Image, *, reference_quantiles: tuple[float, ...], breast: Mask2D | None = None
) -> IntensityMap:
    """The map of the quantiles of the image's breast to those of a reference.

    The darkest value beside the breast goes to 0, and what is brighter than the breast, a film's letters, up to 1: the
    range of an image normalised by min-max, whose grey values the reference has.

    Args:
        image: The image.
        reference_quantiles: Evenly spaced quantiles of the reference, as `breast_quantiles` gives them.
        breast: The breast's pixels; by default those that are not 0.

    Returns:
        The map; it never changes the order of two values.
    """
    values = np.quantile(_breast_values(image, breast), np.linspace(0, 1, len(reference_quantiles)))
    # Where several quantiles share one value, the middle of their targets is the fair one.
    distinct, first, counts = np.unique(values, return_index=True, return_counts=True)
    targets = [float(np.mean(reference_quantiles[i : i + n])) for i, n in zip(first, counts, strict=True)]
    darker = ((float(image.min()), min(0.0, targets[0])),) if image.min() < distinct[0] else ()
    brighter = ((float(image.max()), max(1.0, targets[-1])),) if image.max() > distinct[-1] else ()
    ends = (*darker, *zip(map(float, distinct), targets, strict=True), *brighter)
    return IntensityMap(tuple(value for value, _ in ends), tuple(target for _, target in ends))


def breast_quantiles(image: Image, *, breast: Mask2D | None = None, count: int = QUANTILES) -> tuple[float, ...]:
    """Evenly spaced quantiles, smallest to largest, of the image's breast after min-max: a reference to match.

    Args:
        image: A prepared image of the reference kind.
        breast: The breast's pixels; by default those that are not 0 after min-max.
        count: How many quantiles.

    Returns:
        `count` values in [0, 1], ascending.
    """
    quantiles = np.quantile(_breast_values(min_max(image).apply(image), breast), np.linspace(0, 1, count))
    return tuple(float(quantile) for quantile in quantiles)


def _breast_values(image: Image, breast: Mask2D | None = None) -> Float[np.ndarray, " n"]:
    values = image[image != 0 if breast is None else breast]
    return values if values.size else image.ravel()

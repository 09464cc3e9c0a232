"""Whether a probability is a frequency: pixels in bins of their probability, and the expected calibration error."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Bool, Float

BINS = 15
"""Bins of equal width between 0 and 1, as many as Guo et al. take."""
_NONE = (0,) * BINS


@dataclass(frozen=True, slots=True)
class Reliability:
    """Pixels by their probability; the bins of two sets of pixels add up to those of both."""

    pixels: tuple[int, ...] = _NONE
    """Pixels in each bin, that of the lowest probabilities first."""
    mass_pixels: tuple[int, ...] = _NONE
    """Those of them that belong to a mass."""
    probability_sums: tuple[float, ...] = (0.0,) * BINS
    """Sum of their probabilities."""

    @property
    def n(self) -> int:
        """Pixels in all bins."""
        return sum(self.pixels)

    @property
    def expected_error(self) -> float:
        """Expected calibration error: distance of mean probability and share of mass, the mean over all pixels.

        Differs:
            Guo et al. bin the probability of the class that is predicted; here it is that of mass, whatever is
            predicted, since masses are few and pixels of tissue many.

        Returns:
            A share in [0, 1]; NaN without a pixel.

        Source:
            Guo et al. 2017, arXiv 1706.04599, equation 3.
        """
        if not self.n:
            return nan
        gaps = (abs(found - said) for found, said in zip(self.mass_pixels, self.probability_sums, strict=True))
        return float(sum(gaps) / self.n)


NO_PIXELS = Reliability()


def reliability_of(probability: Float[np.ndarray, " pixels"], is_mass: Bool[np.ndarray, " pixels"]) -> Reliability:
    """The bins of some pixels.

    Args:
        probability: Probability of a mass, in [0, 1].
        is_mass: Whether the reference has a mass there.

    Returns:
        The bins; a bin holds its upper edge, the first 0 as well.
    """
    values = probability.astype(np.float64)
    places = np.clip(np.ceil(values * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return Reliability(
        pixels=tuple(np.bincount(places, minlength=BINS).tolist()),
        mass_pixels=tuple(np.bincount(places[is_mass], minlength=BINS).tolist()),
        probability_sums=tuple(np.bincount(places, weights=values, minlength=BINS).tolist()),
    )


def sum_of(parts: Iterable[Reliability]) -> Reliability:
    """The bins of several sets of pixels together.

    Args:
        parts: Bins of each.

    Returns:
        Their sums.
    """
    pixels, mass_pixels, sums = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS)
    for part in parts:
        pixels += part.pixels
        mass_pixels += part.mass_pixels
        sums += part.probability_sums
    return Reliability(tuple(pixels.tolist()), tuple(mass_pixels.tolist()), tuple(sums.tolist()))

"""Overlap of two masks, counted in pixels: DSC, sensitivity, precision, IoU and relative area difference.

An empty mask makes some of these ratios 0 / 0. Each function states what it returns then; together the rules keep a
missed mass from hiding: where the reference holds a mass and nothing is predicted, every score is the worst one.
"""

from dataclasses import dataclass
from math import nan

import numpy as np

from aunet.sample import Mask2D


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels in both masks, in the prediction alone and in the reference alone."""

    both: int
    prediction_only: int
    reference_only: int

    @property
    def predicted(self) -> int:
        """Pixels of the prediction."""
        return self.both + self.prediction_only

    @property
    def referenced(self) -> int:
        """Pixels of the reference."""
        return self.both + self.reference_only

    @property
    def joined(self) -> int:
        """Pixels of either mask."""
        return self.both + self.prediction_only + self.reference_only


def refuse_other_shape(prediction: Mask2D, reference: Mask2D) -> None:
    """Refuse two masks of different shape, which NumPy would stretch over each other.

    Args:
        prediction: Predicted mask.
        reference: Reference mask.

    Raises:
        ValueError: The masks differ in shape.
    """
    if prediction.shape != reference.shape:
        msg = f"prediction is {prediction.shape}, reference {reference.shape}; bring both to one grid first"
        raise ValueError(msg)


def count_pixels(prediction: Mask2D, reference: Mask2D) -> PixelCounts:
    """Count shared and unshared pixels of two masks.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        The counts that every overlap measure is made from.
    """
    refuse_other_shape(prediction, reference)
    both = int(np.count_nonzero(prediction & reference))
    return PixelCounts(
        both=both,
        prediction_only=int(np.count_nonzero(prediction)) - both,
        reference_only=int(np.count_nonzero(reference)) - both,
    )


def dice(prediction: Mask2D, reference: Mask2D) -> float:
    """Dice similarity coefficient (DSC) of two masks.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        Overlap in [0, 1]; 0 when one of the masks is empty, NaN when both are.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 10.

    Example:
        >>> dice(np.array([[True, False]]), np.array([[True, True]]))
        0.6666666666666666
    """
    counts = count_pixels(prediction, reference)
    areas = counts.predicted + counts.referenced
    return 2 * counts.both / areas if areas else nan


def sensitivity(prediction: Mask2D, reference: Mask2D) -> float:
    """Share of the reference's pixels that the prediction holds (SEN).

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        A share in [0, 1]; NaN when the reference is empty.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 11.
    """
    counts = count_pixels(prediction, reference)
    return counts.both / counts.referenced if counts.referenced else nan


def precision(prediction: Mask2D, reference: Mask2D) -> float:
    """Share of the predicted pixels that belong to the reference.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        A share in [0, 1]; 0 when the prediction alone is empty (a miss must not look precise), NaN when both are.
    """
    counts = count_pixels(prediction, reference)
    if not counts.joined:
        return nan
    return counts.both / counts.predicted if counts.predicted else 0.0


def iou(prediction: Mask2D, reference: Mask2D) -> float:
    """Intersection over union of two masks (the Jaccard index).

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        Overlap in [0, 1]; 0 when one of the masks is empty, NaN when both are.
    """
    counts = count_pixels(prediction, reference)
    return counts.both / counts.joined if counts.joined else nan


def area_difference(prediction: Mask2D, reference: Mask2D) -> float:
    """Relative area difference: how much the predicted area differs from the reference's, as a part of the latter.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        0 for equal areas, wherever they lie; 1 when the prediction alone is empty; NaN when the reference is empty.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 12.
    """
    counts = count_pixels(prediction, reference)
    return abs(counts.predicted - counts.referenced) / counts.referenced if counts.referenced else nan

"""All scores of one image, with one rule for empty masks: the same in validation and in evaluation."""

from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal, get_args

from aunet.metrics import overlap, surface
from aunet.sample import Mask2D, Shape, Spacing

Outcome = Literal["scored", "missed", "false_positive", "true_negative"]
"""What an image is: both masks hold something; the reference alone; the prediction alone; neither."""

Metric = Literal[
    "dsc",
    "sensitivity",
    "precision",
    "iou",
    "area_difference",
    "hau_px",
    "hau_rowwise",
    "hd95_px",
    "nsd",
    "hau_mm",
    "hd95_mm",
]
METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True, slots=True)
class MaskScores:
    """Scores of one image; NaN where a score has no value, which leaves the image out of that score's mean.

    An image without a mass has no value at all: it is counted, as a true negative or a false positive.
    """

    dsc: float = nan
    sensitivity: float = nan
    precision: float = nan
    iou: float = nan
    area_difference: float = nan
    hau_px: float = nan
    hau_rowwise: float = nan
    hd95_px: float = nan
    nsd: float = nan
    hau_mm: float = nan
    """NaN where the spacing is unknown."""
    hd95_mm: float = nan
    """NaN where the spacing is unknown."""


def outcome_of(prediction: Mask2D, reference: Mask2D) -> Outcome:
    """Say which of four kinds an image is.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.

    Returns:
        The kind; "scored" says nothing of how well the masks agree.
    """
    if reference.any():
        return "scored" if prediction.any() else "missed"
    return "false_positive" if prediction.any() else "true_negative"


def score_masks(
    prediction: Mask2D,
    reference: Mask2D,
    *,
    spacing_mm: Spacing | None = None,
    tolerance_px: float = surface.SURFACE_TOLERANCE_PX,
) -> MaskScores:
    """Score one image.

    Args:
        prediction: Predicted mask.
        reference: Reference mask on the same grid.
        spacing_mm: Row and column size of a pixel of that grid; None where it is unknown.
        tolerance_px: Tolerance of the normalised surface Dice.

    Returns:
        Every score where the reference holds a mass, the worst ones if it was missed; none where it holds no mass.
    """
    if not reference.any():
        return MaskScores()
    hau_mm, hd95_mm = nan, nan
    if spacing_mm is not None:
        hau_mm = surface.hausdorff(prediction, reference, spacing=spacing_mm)
        hd95_mm = surface.hausdorff95(prediction, reference, spacing=spacing_mm)
    return MaskScores(
        dsc=overlap.dice(prediction, reference),
        sensitivity=overlap.sensitivity(prediction, reference),
        precision=overlap.precision(prediction, reference),
        iou=overlap.iou(prediction, reference),
        area_difference=overlap.area_difference(prediction, reference),
        hau_px=surface.hausdorff(prediction, reference),
        hau_rowwise=surface.hausdorff_rowwise(prediction, reference),
        hd95_px=surface.hausdorff95(prediction, reference),
        nsd=surface.surface_dice(prediction, reference, tolerance=tolerance_px),
        hau_mm=hau_mm,
        hd95_mm=hd95_mm,
    )


def worst_scores(shape: Shape, *, spacing_mm: Spacing | None = None) -> MaskScores:
    """Scores of a mass for which there is no prediction, or no reference on the grid to compare it with.

    Args:
        shape: Rows and columns of the grid that the masks would lie on.
        spacing_mm: Row and column size of a pixel of that grid; None where it is unknown.

    Returns:
        The worst value of every score; in millimetres none where the spacing is unknown.
    """
    diagonal_px = surface.diagonal(shape)
    diagonal_mm = surface.diagonal(shape, spacing=spacing_mm) if spacing_mm else nan
    return MaskScores(
        dsc=0.0,
        sensitivity=0.0,
        precision=0.0,
        iou=0.0,
        area_difference=1.0,
        hau_px=diagonal_px,
        # The greatest value of this reading: a row that differs in each of its pixels.
        hau_rowwise=sqrt(shape[1]),
        hd95_px=diagonal_px,
        nsd=0.0,
        hau_mm=diagonal_mm,
        hd95_mm=diagonal_mm,
    )

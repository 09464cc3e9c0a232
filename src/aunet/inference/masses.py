"""The regions of a mask as masses, measured."""

from dataclasses import dataclass

import cc3d
import numpy as np
from jaxtyping import Bool, Float64
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from aunet.metrics.detection import label_masses, region_scores
from aunet.sample import Mask2D, Probability, Spacing

Points = Float64[np.ndarray, "n 2"]
Region = Bool[np.ndarray, "rows columns"]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Mass:
    """One 8-connected region of a mask, on the source grid."""

    area_px: int
    area_mm2: float | None
    """None where the file gives no spacing."""
    diameter_px: float
    """Longest diameter (maximum Feret diameter) of the outline through the middle of the border pixels' edges."""
    diameter_mm: float | None
    """The longest diameter in millimetres, not `diameter_px` scaled: rows and columns may differ in spacing."""
    box: Box
    """First row, first column, row and column after the last."""
    mean_probability: float
    score: float
    """How sure the network is, by `aunet.metrics.detection.region_scores` on the source grid."""


def find_masses(mask: Mask2D, probability: Probability, *, spacing_mm: Spacing | None) -> tuple[Mass, ...]:
    """The masses of a mask, by the first pixel of each in reading order.

    Args:
        mask: Masses, source grid.
        probability: Probability of mass, source grid.
        spacing_mm: (row, column) millimetres a source pixel; None where unknown.

    Returns:
        One record for each 8-connected region; none for an empty mask.
    """
    labels = label_masses(mask)
    boxes = cc3d.statistics(labels)["bounding_boxes"]
    masses = []
    for number, score in enumerate(region_scores(labels, probability).tolist(), start=1):
        rows, columns = boxes[number][:2]
        region = labels[rows, columns] == number
        masses.append(
            _measured(
                region,
                float(probability[rows, columns][region].mean(dtype=np.float64)),
                score,
                corner=(int(rows.start), int(columns.start)),
                spacing_mm=spacing_mm,
            )
        )
    return tuple(masses)


def longest_diameter(region: Region, *, spacing: Spacing = (1.0, 1.0)) -> float:
    """Maximum Feret diameter of a region, in the unit of `spacing`.

    The outline runs through the middles of the outer pixel edges, so that a row of n pixels is n long.

    Args:
        region: At least one pixel.
        spacing: (row, column) size of a pixel.

    Returns:
        The largest distance between two points of the outline.
    """
    points = _outline(region) * np.asarray(spacing)
    corners = points[ConvexHull(points).vertices]
    return float(pdist(corners).max())


def _measured(
    region: Region, mean_probability: float, score: float, *, corner: tuple[int, int], spacing_mm: Spacing | None
) -> Mass:
    area_px = int(np.count_nonzero(region))
    rows, columns = region.shape
    return Mass(
        area_px=area_px,
        area_mm2=None if spacing_mm is None else area_px * spacing_mm[0] * spacing_mm[1],
        diameter_px=longest_diameter(region),
        diameter_mm=None if spacing_mm is None else longest_diameter(region, spacing=spacing_mm),
        box=(corner[0], corner[1], corner[0] + rows, corner[1] + columns),
        mean_probability=mean_probability,
        score=score,
    )


def _outline(region: Region) -> Points:
    """Edge middles of the first and last pixel of every row and column: all that the convex hull can rest on."""
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    lefts, rights = _first_and_last(region[rows])
    tops, bottoms = _first_and_last(region[:, columns].T)
    return np.concatenate([
        np.stack([rows, lefts - 0.5], axis=1),
        np.stack([rows, rights + 0.5], axis=1),
        np.stack([tops - 0.5, columns], axis=1),
        np.stack([bottoms + 0.5, columns], axis=1),
    ])


def _first_and_last(lines: Region) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first and of the last true value of every line."""
    return lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)

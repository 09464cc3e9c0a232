"""The breast of a phantom: outline, skin, thickness, nipple and pectoral muscle.

All lengths are millimetres; the chest wall lies at column 0 (the left edge) until the finished image is mirrored for a
right breast. A projection keeps, for each pixel, the path length of the beam in each tissue.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial import cKDTree

from aunet.phantom.geometry import Breast, Field
from aunet.phantom.parenchyma import glandular_path
from aunet.phantom.texture import Map2D, enlarge, power_law_noise, smooth_step
from aunet.sample import Mask2D, View

Line = Float[np.ndarray, "_ 2"]
"""A polyline's (row, column) points in millimetres."""

SKIN_MM = 1.5
# The outline and the distance to the skin are worked out on a coarse grid of this pitch: they are smooth.
COARSE_MM = 1.0


@dataclass(frozen=True, slots=True)
class Projection:
    """One view of a breast: the beam's path in each tissue, in millimetres, before masses."""

    field: Field
    inside: Mask2D
    """Pixels that the breast covers, pectoral muscle included."""
    depth: Map2D
    """Distance to the skin line in the image plane; negative outside."""
    thickness: Map2D
    skin: Map2D
    muscle: Map2D
    glandular: Map2D
    """Path in fibroglandular tissue; the rest of the thickness is fat."""
    nipple: tuple[float, float]
    """(row, column) in millimetres."""


def project(rng: np.random.Generator, breast: Breast, view: View, field: Field) -> Projection:
    """One view of the breast, chest wall at column 0."""
    outline, nipple = _outline(rng, breast, view, field)
    depth = _distance_to_skin(outline, field)
    thickness, skin = _thickness(rng, breast, depth, field)
    interior = thickness - skin
    muscle = _muscle(rng, field, interior) if view == "MLO" else np.zeros(field.shape, dtype=np.float32)
    glandular = glandular_path(rng, breast, depth=depth, room=interior - muscle, field=field, nipple=nipple)
    return Projection(field, depth > 0, depth, thickness, skin, muscle, glandular, nipple)


def _outline(rng: np.random.Generator, breast: Breast, view: View, field: Field) -> tuple[Line, tuple[float, float]]:
    """The skin line as (row, column) points from top to bottom, and where the nipple is."""
    line, nipple = _cc_line(rng, breast, field) if view == "CC" else _mlo_line(rng, breast, field)
    along = np.hypot(line[:, 0] - nipple[0], line[:, 1] - nipple[1])
    bump = breast.nipple_mm * np.exp(-((along / rng.uniform(4.5, 6.5)) ** 4))
    return line + bump[:, None] * _normals(line), nipple


def _cc_line(rng: np.random.Generator, breast: Breast, field: Field) -> tuple[Line, tuple[float, float]]:
    """Two quarters of superellipses that meet at the nipple, and the fold of skin where they meet the chest wall."""
    share = rng.uniform(0.43, 0.57)
    halves = breast.height_mm * np.array([share, 1 - share])
    middle = field.height_mm / 2 + (halves[0] - halves[1]) / 2
    middle += rng.uniform(-0.8, 0.8) * (field.height_mm - breast.height_mm) / 2
    exponents = rng.uniform((1.7, 1.05), (2.4, 1.7))
    position = np.linspace(-1, 1, 801)
    half = np.where(position < 0, halves[0], halves[1])
    column = breast.depth_mm * (1 - np.abs(position) ** exponents[0]) ** (1 / exponents[1])
    line = np.stack([middle + half * position, column], axis=1)
    nipple = line[400 + int(np.clip(rng.normal(0, 14), -60, 60))]
    # Beyond its ends the line runs on to where no pixel is.
    line = np.concatenate([[[line[0, 0] - 4, -30.0]], line, [[line[-1, 0] + 4, -30.0]]])
    return _resampled(line), (float(nipple[0]), float(nipple[1]))


def _mlo_line(rng: np.random.Generator, breast: Breast, field: Field) -> tuple[Line, tuple[float, float]]:
    """Armpit, breast, nipple, inframammary fold and belly, joined by a smooth curve."""
    height, depth = field.height_mm, min(breast.depth_mm * rng.uniform(1.0, 1.3), 0.92 * field.width_mm)
    nipple_row = rng.uniform(0.5, 0.62) * height
    fold_row = min(rng.uniform(0.86, 0.96) * height, nipple_row + 1.15 * depth)
    armpit = rng.uniform(0.45, 0.72)
    upper = armpit + (1 - armpit) * rng.uniform((0.4, 0.78), (0.64, 0.91))
    # Where no belly is in the image, the line ends at the chest wall.
    belly = rng.uniform(0.1, 0.2) if rng.random() < 0.5 else -0.25
    points = np.array([
        [-0.12 * height, armpit * depth * rng.uniform(0.9, 1.1)],
        [0.1 * height, armpit * depth],
        [0.55 * nipple_row, upper[0] * depth],
        [0.8 * nipple_row, upper[1] * depth],
        [nipple_row, depth],
        [nipple_row + 0.45 * (fold_row - nipple_row), rng.uniform(0.82, 0.92) * depth],
        [nipple_row + 0.85 * (fold_row - nipple_row), rng.uniform(0.42, 0.56) * depth],
        [fold_row, max(belly, 0.0) * depth],
        [fold_row + 0.06 * height, belly * depth],
        [1.15 * height, 1.5 * belly * depth],
    ])
    chord = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T) ** 0.5)])
    line = _resampled(CubicSpline(chord, points)(np.linspace(0, chord[-1], 600)))
    return line, (float(points[4, 0]), float(points[4, 1]))


def _resampled(line: Line, step_mm: float = 0.5) -> Line:
    """The same line with points at equal distances."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    wanted = np.arange(0, along[-1], step_mm)
    return np.stack([np.interp(wanted, along, line[:, axis]) for axis in (0, 1)], axis=1)


def _distance_to_skin(outline: Line, field: Field) -> Map2D:
    """Millimetres to the skin line, positive inside the breast."""
    pitch_mm = max(COARSE_MM, field.pixel_mm)
    shape = (round(field.height_mm / pitch_mm), round(field.width_mm / pitch_mm))
    pitch = np.array([field.height_mm / shape[0], field.width_mm / shape[1]])
    centres = (np.indices(shape).reshape(2, -1).T + 0.5) * pitch
    distance, nearest = cKDTree(outline).query(centres)
    # The line runs from top to bottom with the breast on its left-hand side, towards column 0.
    outward = (_normals(outline)[nearest] * (centres - outline[nearest])).sum(axis=1)
    coarse = np.where(outward < 0, distance, -distance).reshape(shape)
    return enlarge(coarse.astype(np.float32), field.shape)


def _normals(line: Line) -> Line:
    """Unit vectors across the line, to the right of its direction."""
    tangent = np.gradient(line, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return np.asarray(normal / np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-9)[:, None])


def _thickness(rng: np.random.Generator, breast: Breast, depth: Map2D, field: Field) -> tuple[Map2D, Map2D]:
    """Path through the breast and its part in the skin: a slab with a round rim, a little thicker at the chest wall."""
    rim_mm = breast.thickness_mm * rng.uniform(0.17, 0.32)
    tilt = np.linspace(rng.uniform(1.0, 1.08), rng.uniform(0.9, 0.98), field.columns, dtype=np.float32)
    thickness = breast.thickness_mm * tilt * _rim(depth, rim_mm)
    inside_skin = np.maximum(breast.thickness_mm * tilt - 2 * SKIN_MM, 0) * _rim(depth - SKIN_MM, rim_mm - SKIN_MM)
    inner = np.minimum(inside_skin, thickness)
    return thickness.astype(np.float32), (thickness - inner).astype(np.float32)


def _rim(depth: Map2D, rim_mm: float) -> Map2D:
    """The profile of a slab's round rim: 0 outside, a quarter ellipse, 1 from `rim_mm` inwards."""
    inward = np.clip(depth / np.float32(rim_mm), 0, 1)
    return np.asarray(np.sqrt(inward * (2 - inward)), dtype=np.float32)


def _muscle(rng: np.random.Generator, field: Field, interior: Map2D) -> Map2D:
    """Path in the pectoral muscle: a wedge in the upper corner at the chest wall."""
    top_mm = rng.uniform(0.22, 0.42) * field.width_mm
    reach_mm = rng.uniform(0.42, 0.72) * field.height_mm
    bulge_mm = rng.uniform(-3, 7)
    knots = np.array([-1.0, 0.5 * reach_mm, reach_mm, field.height_mm + 1])
    edge_mm = PchipInterpolator(knots, [top_mm, 0.5 * top_mm + bulge_mm, 0.0, -40.0])
    row_mm = (np.arange(field.rows) + 0.5) * field.pixel_mm
    column_mm = (np.arange(field.columns, dtype=np.float32) + 0.5) * np.float32(field.pixel_mm)
    inward = edge_mm(row_mm).astype(np.float32)[:, None] - column_mm
    # The muscle thickens away from its edge, and its fibres run along it.
    part = 0.35 * smooth_step(inward, low=0.0, high=rng.uniform(3, 8)) + 0.4 * smooth_step(
        inward, low=0.0, high=0.9 * top_mm
    )
    fibres = power_law_noise(rng, (256, 1), beta=2.0)[:, 0]
    stripe = np.interp(np.clip(inward, 0, None) * (255 / max(top_mm, 1.0)), np.arange(256), fibres)
    return np.asarray(interior * part * (1 + 0.03 * stripe), dtype=np.float32)

"""The masses of a phantom: outlines by shape, edges by margins, and the beam's path through them.

A mass is drawn once for a breast; its views show it turned, at places that fit to one depth behind the nipple.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy import ndimage

from aunet.phantom.anatomy import Projection
from aunet.phantom.distribution import Finding
from aunet.phantom.texture import Map2D, logistic, power_law_noise
from aunet.sample import Shape, View

ANGLES = 720
# Path through the middle of a mass as a part of its mean diameter, by subtlety 1 to 5: compressed and infiltrating
# masses are thinner than wide. Set so that the contrast follows the one counted on real images (docs/explanation).
FLATNESS = {1: 0.9, 2: 0.95, 3: 1.0, 4: 1.2, 5: 1.4}
TYPICAL_RADIUS_MM = 6.0
# Where masses lie in the mean: column over the column of the skin line.
MIDDLE_DEPTH = 0.44
# Width of the edge as a part of the radius, by margins.
EDGE_WIDTH = {
    "CIRCUMSCRIBED": 0.05,
    "MICROLOBULATED": 0.12,
    "OBSCURED": 0.25,
    "SPICULATED": 0.45,
    "ILL_DEFINED": 0.7,
    "N/A": 0.8,
}
# Asymmetries are normal tissue in an unusual place, not a tumour.
GLANDULAR_SHAPES = ("ASYMMETRIC_BREAST_TISSUE", "FOCAL_ASYMMETRIC_DENSITY")


@dataclass(frozen=True, slots=True)
class Mass:
    """One mass of a breast, in millimetres, the same for both views."""

    finding: Finding
    area_mm2: float
    outline: Float[np.ndarray, " angles"]
    """Radius by angle, in multiples of the radius of a disc of the same area."""
    depth: float
    """Column over the column of the skin line: 0 at the chest wall, 1 at the skin."""
    spicules: Float[np.ndarray, "n 4"]
    """Angle, length over radius, width in mm and curvature of each spicule."""

    @property
    def radius_mm(self) -> float:
        """Radius of a disc of the same area."""
        return float(np.sqrt(self.area_mm2 / np.pi))

    def outline_at(self, angle: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """The outline at these angles, in radians."""
        turns = np.arange(ANGLES + 1) * (2 * np.pi / ANGLES)
        return np.asarray(np.interp(angle % (2 * np.pi), turns, np.append(self.outline, self.outline[0])))


@dataclass(frozen=True, slots=True)
class DrawnMasses:
    """The masses of one view on its grid."""

    tumour: Map2D
    """Path in tumour tissue, millimetres."""
    glandular: Map2D
    """Path in additional fibroglandular tissue, millimetres."""
    instances: UInt8[np.ndarray, "h w"]
    """0 outside, then 1, 2, ... as the masses are listed."""


def draw_mass(rng: np.random.Generator, finding: Finding, breast_area_mm2: float) -> Mass:
    """A mass as its table row describes it, in a breast of this projected area."""
    terms = finding.shape.split("-")
    outline = np.ones(ANGLES)
    for term in terms:
        outline = outline * _outline_of(rng, term)
    if "MICROLOBULATED" in finding.margins:
        outline = outline * (1 + _harmonics(rng, range(11, 20), 0.014))
    if "SPICULATED" in finding.margins or "ARCHITECTURAL_DISTORTION" in terms:
        outline = outline * (1 + _harmonics(rng, range(7, 16), 0.02))
    outline = np.clip(outline / np.sqrt(np.mean(outline**2)), 0.35, 2.2)
    return Mass(
        finding=finding,
        area_mm2=finding.area_fraction * breast_area_mm2,
        outline=outline / np.sqrt(np.mean(outline**2)),
        depth=float(np.clip(rng.normal(MIDDLE_DEPTH, 0.2), 0.08, 0.85)),
        spicules=_spicules(rng, finding),
    )


def _outline_of(rng: np.random.Generator, shape: str) -> Float[np.ndarray, " angles"]:
    """Radius by angle of one of CBIS-DDSM's shapes."""
    if shape == "ROUND":
        outline = _ellipse(rng.uniform(1.0, 1.12), 0.0) * (1 + _harmonics(rng, range(3, 6), 0.01))
    elif shape in {"OVAL", "LYMPH_NODE"}:
        outline = _ellipse(rng.uniform(1.25, 1.75), rng.uniform(0, np.pi)) * (1 + _harmonics(rng, range(3, 6), 0.015))
    elif shape == "LOBULATED":
        lobes = _harmonics(rng, range(2, 5), 0.09)
        outline = _ellipse(rng.uniform(1.0, 1.4), rng.uniform(0, np.pi)) * (1 + lobes)
    else:
        irregular = _harmonics(rng, range(2, 9), 0.08)
        outline = _ellipse(rng.uniform(1.0, 1.5), rng.uniform(0, np.pi)) * (1 + irregular)
    return np.asarray(outline)


def _ellipse(ratio: float, turn: float) -> Float[np.ndarray, " angles"]:
    """Radius by angle of an ellipse of area pi with this ratio of its axes."""
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES) - turn
    return np.asarray(1 / np.sqrt(np.cos(angle) ** 2 / ratio + np.sin(angle) ** 2 * ratio))


def _harmonics(rng: np.random.Generator, orders: range, amplitude: float) -> Float[np.ndarray, " angles"]:
    """A random periodic function; `amplitude` is the standard deviation of its first order, higher ones fall off."""
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    total = np.zeros(ANGLES)
    for order in orders:
        strength = amplitude * (orders.start / order) ** 1.1
        total += strength * np.sqrt(2) * rng.uniform(0.6, 1.4) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return total


def _spicules(rng: np.random.Generator, finding: Finding) -> Float[np.ndarray, "n 4"]:
    """The fine lines that radiate from spiculated masses and distortions."""
    is_distortion = "ARCHITECTURAL_DISTORTION" in finding.shape
    if "SPICULATED" not in finding.margins and not is_distortion:
        return np.zeros((0, 4))
    number = int(rng.integers(18, 40))
    angle = (np.arange(number) + rng.uniform(-0.9, 0.9, number)) * (2 * np.pi / number)
    length = rng.uniform(1.15, 1.7, number) if is_distortion else rng.uniform(1.3, 2.4, number)
    return np.stack([angle, length, rng.uniform(0.35, 0.8, number), rng.normal(0, 0.18, number)], axis=1)


def place(
    rng: np.random.Generator, mass: Mass, projection: Projection, view: View, taken: UInt8[np.ndarray, "h w"]
) -> tuple[float, float]:
    """(row, column) of a mass's centre in millimetres: inside the breast, off the muscle and off other masses.

    Of some places that fit, an obvious mass takes the one with least parenchyma and a subtle one the one with most.
    """
    field = projection.field
    height, width = field.height_mm, field.width_mm
    margin = 1.05 * mass.radius_mm
    fitting: list[tuple[float, float, float]] = []
    for attempt in range(400):
        # Where no place fits, the demands sink step by step: a mass may then touch the border of the image.
        slack = max(0.0, 1.0 - attempt / 300)
        row = projection.nipple[0] + rng.normal(0.0 if view == "MLO" else -0.02, 0.14) * height
        depth = MIDDLE_DEPTH + slack * (mass.depth - MIDDLE_DEPTH)
        column = depth * _skin_column(projection, row) + rng.normal(0, 0.04) * width
        at = int(row / field.pixel_mm), int(column / field.pixel_mm)
        if not (0 <= at[0] < field.rows and 0 <= at[1] < field.columns) or taken[at]:
            continue
        edge = min(row, height - row, column)
        fits = projection.depth[at] > slack * margin + 1 and edge > slack * margin * 0.9
        clear = attempt > 200 or (projection.muscle[at] == 0 and _is_clear(mass, at, taken, field.pixel_mm))
        if fits and clear:
            fitting.append((float(_parenchyma_at(projection, at, mass.radius_mm)), row, column))
        if len(fitting) == 3 or (fitting and attempt > 60):
            break
    if not fitting:
        return projection.nipple[0], 0.45 * projection.nipple[1]
    fitting.sort()
    rank = {5: 0.0, 4: 0.0, 3: 0.0, 2: 0.5, 1: 1.0}[mass.finding.subtlety]
    _, row, column = fitting[round(rank * (len(fitting) - 1))]
    return row, column


def _skin_column(projection: Projection, row_mm: float) -> float:
    """Column of the skin line at this row, in millimetres."""
    row = int(np.clip(row_mm / projection.field.pixel_mm, 0, projection.field.rows - 1))
    return float(projection.inside[row].sum()) * projection.field.pixel_mm


def _is_clear(mass: Mass, at: tuple[int, int], taken: UInt8[np.ndarray, "h w"], pixel_mm: float) -> bool:
    """No other mass lies within twice the radius."""
    reach = int(2 * mass.radius_mm / pixel_mm)
    window = taken[max(at[0] - reach, 0) : at[0] + reach + 1, max(at[1] - reach, 0) : at[1] + reach + 1]
    return not window.any()


def _parenchyma_at(projection: Projection, at: tuple[int, int], radius_mm: float) -> float:
    """Mean glandular part of the path around a pixel."""
    reach = max(int(radius_mm / projection.field.pixel_mm), 1)
    rows, columns = slice(max(at[0] - reach, 0), at[0] + reach + 1), slice(max(at[1] - reach, 0), at[1] + reach + 1)
    thickness = projection.thickness[rows, columns].mean()
    return float(projection.glandular[rows, columns].mean() / max(float(thickness), 1e-6))


def draw_masses(rng: np.random.Generator, masses: tuple[Mass, ...], projection: Projection, view: View) -> DrawnMasses:
    """The masses of one view: where the beam meets them, and their masks."""
    shape = projection.field.shape
    drawn = DrawnMasses(
        np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.uint8)
    )
    # The largest first: the small ones find a place beside it.
    for index in sorted(range(len(masses)), key=lambda index: -masses[index].area_mm2):
        mass = masses[index]
        centre = place(rng, mass, projection, view, drawn.instances)
        _draw_one(rng, mass, projection, centre, drawn=drawn, number=index + 1)
    return drawn


def _draw_one(
    rng: np.random.Generator,
    mass: Mass,
    projection: Projection,
    centre: tuple[float, float],
    *,
    drawn: DrawnMasses,
    number: int,
) -> None:
    """Add one mass to the maps, in a window around it."""
    field = projection.field
    reach_mm = mass.radius_mm * max(2.4, float(mass.outline.max()) * 1.6)
    first = [max(int((centre[axis] - reach_mm) / field.pixel_mm), 0) for axis in (0, 1)]
    last = [int((centre[axis] + reach_mm) / field.pixel_mm) + 2 for axis in (0, 1)]
    window = slice(first[0], min(last[0], field.rows)), slice(first[1], min(last[1], field.columns))
    row_mm = (np.arange(window[0].start, window[0].stop) + 0.5) * field.pixel_mm - centre[0]
    column_mm = (np.arange(window[1].start, window[1].stop) + 0.5) * field.pixel_mm - centre[1]
    radius = np.hypot(row_mm[:, None], column_mm[None, :])
    turn = rng.uniform(0, 2 * np.pi)
    angle = np.arctan2(row_mm[:, None], column_mm[None, :]) + turn
    edge_mm = mass.radius_mm * mass.outline_at(angle)
    inside = (radius <= edge_mm) & projection.inside[window]
    if not inside.any():
        # A mass smaller than a pixel still has one.
        nearest = np.unravel_index(np.argmin(radius), radius.shape)
        inside[nearest] = True
    drawn.instances[window][inside] = number
    thickest_mm = 0.7 * float(projection.thickness.max())
    path = _path(rng, mass, radius_mm=radius, edge_mm=edge_mm, thickest_mm=thickest_mm)
    path += _spicule_path(
        mass,
        centre_mm=(centre[0] - window[0].start * field.pixel_mm, centre[1] - window[1].start * field.pixel_mm),
        turn=turn,
        shape=(path.shape[0], path.shape[1]),
        pixel_mm=field.pixel_mm,
    )
    room = 0.8 * projection.thickness[window]
    is_glandular = mass.finding.shape.split("-")[0] in GLANDULAR_SHAPES
    target = drawn.glandular if is_glandular else drawn.tumour
    target[window] = np.minimum(target[window] + path, room)


def _path(
    rng: np.random.Generator,
    mass: Mass,
    *,
    radius_mm: Float[np.ndarray, "h w"],
    edge_mm: Float[np.ndarray, "h w"],
    thickest_mm: float,
) -> Map2D:
    """Path through the body of the mass, by the distance from its centre and that of its outline."""
    finding = mass.finding
    relative = (radius_mm / edge_mm).astype(np.float32)
    # The core of a mass is rounder than its outline.
    core = (radius_mm / (0.5 * edge_mm + 0.5 * mass.radius_mm)).astype(np.float32)
    soft = float(np.mean([EDGE_WIDTH[term] for term in finding.margins.split("-")]))
    noise = power_law_noise(rng, relative.shape, beta=3.0)
    rough = 1 + 0.22 * soft * power_law_noise(rng, relative.shape, beta=4.5)
    hard_body = np.clip(1 - (relative * rough) ** 2, 0, 1) ** np.float32(0.4 + 0.5 * soft)
    soft_body = np.exp(-1.4 * (core * rough) ** 2) * np.clip(2.2 - relative, 0, 1)
    body = (1 - soft) * hard_body + soft * soft_body
    body = body * np.clip(1 + 0.08 * noise, 0.6, 1.4)
    if "OBSCURED" in finding.margins:
        # Overlying tissue hides one side.
        body = body * (1 - 0.5 * logistic(4 * power_law_noise(rng, relative.shape, beta=4.0) - 0.7))
    if "LYMPH_NODE" in finding.shape:
        body = body * _hilum(rng, relative)
    # Large masses are flat: compression leaves them less room.
    flattened = (TYPICAL_RADIUS_MM / mass.radius_mm) ** 0.35 if mass.radius_mm > TYPICAL_RADIUS_MM else 1.0
    depth_mm = 2 * mass.radius_mm * FLATNESS[finding.subtlety] * flattened * rng.uniform(0.85, 1.15)
    if finding.shape.split("-")[0] == "ARCHITECTURAL_DISTORTION":
        depth_mm *= 0.5
    return np.asarray(min(depth_mm, thickest_mm) * body, dtype=np.float32)


def _hilum(rng: np.random.Generator, relative: Map2D) -> Map2D:
    """The fatty notch of a lymph node, as a factor."""
    rows, columns = relative.shape
    centre_row, centre_column = np.unravel_index(np.argmin(relative), relative.shape)
    reach = max(float((relative < 1).sum() / np.pi) ** 0.5, 1.0)
    turn = rng.uniform(0, 2 * np.pi)
    row = np.arange(rows)[:, None] - centre_row - 0.45 * reach * np.sin(turn)
    column = np.arange(columns)[None, :] - centre_column - 0.45 * reach * np.cos(turn)
    return np.asarray(1 - 0.7 * np.exp(-(row**2 + column**2) / (2 * (0.3 * reach) ** 2)), dtype=np.float32)


def _spicule_path(
    mass: Mass, *, centre_mm: tuple[float, float], turn: float, shape: Shape, pixel_mm: float
) -> Float32[np.ndarray, "rows columns"]:
    """Path in the spicules, thin lines that taper off outside the outline, on a window of this shape.

    Each line is strewn over the pixels it crosses, by the area of its cross-section, and blurred to its width.
    """
    canvas = np.zeros(shape, dtype=np.float32)
    if not len(mass.spicules):
        return canvas
    # A line thinner than a pixel is drawn one pixel wide and as much thinner in depth: the area is what counts.
    spread_mm = max(0.5 * float(mass.spicules[:, 2].mean()), 0.5 * pixel_mm)
    strength = 0.6 + 0.25 * mass.finding.subtlety
    step_mm = 0.3 * pixel_mm
    for start, length, width_mm, curve in mass.spicules:
        reach = length * mass.radius_mm
        radius = np.arange(step_mm, 1.15 * reach, step_mm)
        angle = start + curve * radius / mass.radius_mm
        depth_mm = 3.0 * width_mm * strength * np.clip(1.15 - radius / reach, 0, 1)
        depth_mm *= _outer(mass, radius / (mass.radius_mm * mass.outline_at(angle)))
        row = ((centre_mm[0] + radius * np.sin(angle - turn)) / pixel_mm).astype(int)
        column = ((centre_mm[1] + radius * np.cos(angle - turn)) / pixel_mm).astype(int)
        keep = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        area_mm2 = depth_mm * np.sqrt(2 * np.pi) * 0.5 * width_mm * step_mm
        np.add.at(canvas, (row[keep], column[keep]), area_mm2[keep] / pixel_mm**2)
    return np.asarray(ndimage.gaussian_filter(canvas, spread_mm / pixel_mm), dtype=np.float32)


def _outer(mass: Mass, relative: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """1 where spicules are seen: outside the body of a mass, and nearly everywhere in a distortion, which has none."""
    start = 0.1 if "ARCHITECTURAL_DISTORTION" in mass.finding.shape else 0.6
    return np.asarray(np.clip((relative - start) / 0.4, 0, 1))

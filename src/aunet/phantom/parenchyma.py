"""What lies between the skin and the muscle: parenchyma, Cooper's ligaments, vessels and ducts behind the nipple.

All of it is given as the beam's path in fibroglandular tissue, in millimetres; the rest of the path is fat.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from aunet.phantom.geometry import Breast, Field
from aunet.phantom.texture import Map2D, enlarge, logistic, power_law_noise, smooth_step
from aunet.sample import Shape

# Exponent of the parenchyma's power spectrum; Burgess et al. 2001, doi 10.1118/1.1355308.
BETA = 3.0


@dataclass(frozen=True, slots=True)
class _Rays:
    """A coarse grid in polar coordinates around a point before the nipple, along which ducts and septa run."""

    field: Field
    pitch_mm: float
    angle: Map2D
    radius_mm: Map2D

    @classmethod
    def around(cls, nipple: tuple[float, float], field: Field) -> "_Rays":
        """The rays of a field at half its resolution."""
        pitch = 2 * field.pixel_mm
        shape: Shape = (-(-field.rows // 2), -(-field.columns // 2))
        row_mm = (np.arange(shape[0], dtype=np.float32)[:, None] + 0.5) * pitch - nipple[0]
        # The rays meet before the nipple, so that they are not all that steep behind it.
        column_mm = nipple[1] + 32 - (np.arange(shape[1], dtype=np.float32)[None, :] + 0.5) * pitch
        angle = np.arctan2(row_mm, column_mm).astype(np.float32)
        return cls(field, pitch, angle, np.hypot(row_mm, column_mm).astype(np.float32))

    def noise(self, rng: np.random.Generator, *, beta: float, longest_mm: float, stretch: float) -> Map2D:
        """1/f noise drawn out `stretch` times along the rays, on the coarse grid."""
        # The tile is periodic: positions beyond its border come back in on the other side.
        size = max(32, 8 * round(30 / self.pitch_mm))
        tile = power_law_noise(rng, (size, size), beta=beta, pixel_mm=self.pitch_mm, longest_mm=longest_mm)
        at_radius_mm = 70.0
        positions = np.stack([
            self.angle * np.float32(at_radius_mm / self.pitch_mm) + np.float32(rng.uniform(0, size)),
            self.radius_mm * np.float32(1 / (stretch * self.pitch_mm)) + np.float32(rng.uniform(0, size)),
        ])
        return np.asarray(ndimage.map_coordinates(tile, positions, order=1, mode="grid-wrap"), dtype=np.float32)


def glandular_path(
    rng: np.random.Generator,
    breast: Breast,
    *,
    depth: Map2D,
    room: Map2D,
    field: Field,
    nipple: tuple[float, float],
) -> Map2D:
    """Path in fibroglandular tissue.

    Args:
        rng: Source of all textures.
        breast: Its glandular fraction is met by the parenchyma; ligaments, vessels and areola come on top.
        depth: Distance to the skin line.
        room: Path inside the skin and outside the muscle.
        field: Grid of the maps.
        nipple: (row, column) in millimetres.
    """
    rays = _Rays.around(nipple, field)
    noise = power_law_noise(rng, field.shape, beta=BETA, pixel_mm=field.pixel_mm, longest_mm=70.0)
    folds = enlarge(rays.noise(rng, beta=3.4, longest_mm=40.0, stretch=1.7), field.shape)
    streaks = enlarge(rays.noise(rng, beta=2.4, longest_mm=20.0, stretch=2.2), field.shape)
    bias = _bias(rng, breast, depth, field=field, nipple=nipple)
    # Two layers of tissue lie over each other, so that edges of parenchyma are seldom seen as sharp as they are.
    upper = logistic((noise + 0.25 * streaks + bias) * np.float32(1.2) - np.float32(0.5))
    lower = logistic((folds + 0.25 * streaks + bias) * np.float32(1.2) + np.float32(0.5))
    dense = _at_fraction(upper + lower + np.float32(0.75) * bias, room, breast.glandular_fraction)
    fine = np.clip(0.72 + 0.08 * noise + 0.1 * streaks, 0.2, 1)
    ligaments = enlarge(_ligaments(rng, rays), field.shape) * smooth_step(depth, low=1.0, high=14.0)
    fraction = dense * fine + (1 - 0.6 * dense) * np.float32(0.11) * ligaments + np.float32(0.02) * (1 + 0.5 * streaks)
    vessels = np.minimum(_vessels(rng, field, nipple, breast.depth_mm), 0.5 * room)
    path = fraction * room + vessels + _areola(field, nipple, depth)
    return np.asarray(np.clip(path, 0, room), dtype=np.float32)


def _at_fraction(values: Map2D, room: Map2D, fraction: float) -> Map2D:
    """A soft threshold of `values`, set so that the given fraction of the volume lies above it."""
    sample, weight = values[::6, ::6], room[::6, ::6].astype(np.float64)
    low, high = -60.0, 60.0
    for _ in range(24):
        threshold = 0.5 * (low + high)
        if float((logistic(sample - np.float32(threshold)) * weight).sum() / weight.sum()) > fraction:
            low = threshold
        else:
            high = threshold
    return logistic(values - np.float32(threshold))


def _bias(
    rng: np.random.Generator, breast: Breast, depth: Map2D, *, field: Field, nipple: tuple[float, float]
) -> Map2D:
    """Where parenchyma is likely: a disc behind the nipple, away from the skin; wider in dense breasts."""
    row_mm, column_mm = field.coordinates()
    spread = 0.42 + 0.1 * breast.density
    centre_row = nipple[0] + rng.normal(-0.08, 0.07) * breast.depth_mm
    centre_column = nipple[1] * rng.uniform(0.52, 0.7)
    radius_row = spread * breast.depth_mm * rng.uniform(0.75, 1.1)
    radius_column = spread * nipple[1] * rng.uniform(0.85, 1.15)
    far = ((row_mm - centre_row) / radius_row) ** 2 + ((column_mm - centre_column) / radius_column) ** 2
    near_skin = 1 - smooth_step(depth, low=rng.uniform(1, 4), high=rng.uniform(10, 20))
    return np.asarray(-1.6 * np.minimum(far, 3.5) - 4.0 * near_skin, dtype=np.float32)


def _ligaments(rng: np.random.Generator, rays: _Rays) -> Map2D:
    """Cooper's ligaments: thin curved septa between lobules of fat, 0 to about 1, on the rays' coarse grid.

    The zero lines of a smooth noise are closed curves; |noise| / |gradient| is the distance to them.
    """
    total = np.zeros_like(rays.radius_mm)
    for lobule_mm, stretch in ((60.0, 3.0), (40.0, 4.0), (25.0, 5.0), (16.0, 5.0)):
        smooth = rays.noise(rng, beta=6.0, longest_mm=lobule_mm, stretch=stretch)
        slope = np.hypot(*np.gradient(smooth)) / np.float32(rays.pitch_mm)
        distance_mm = np.abs(smooth) / np.maximum(slope, np.float32(0.02))
        # A septum is seen only where the beam runs along it.
        seen = np.clip(0.35 + 0.6 * rays.noise(rng, beta=3.0, longest_mm=25.0, stretch=1.5), 0, 1.4)
        total += seen * np.exp(-((distance_mm / np.float32(rng.uniform(0.35, 0.6))) ** 2))
    return total


def _vessels(rng: np.random.Generator, field: Field, nipple: tuple[float, float], depth_mm: float) -> Map2D:
    """Path in blood vessels: a few winding tubes from the chest wall towards the nipple."""
    pitch = 2 * field.pixel_mm
    canvas = np.zeros((-(-field.rows // 2), -(-field.columns // 2)), dtype=np.float32)
    step_mm = 0.25
    for _ in range(int(rng.integers(3, 8))):
        width_mm = rng.uniform(1.2, 2.6)
        column = np.arange(-2, rng.uniform(0.5, 0.9) * nipple[1], step_mm)
        along = np.linspace(0, 1, len(column))
        sway = np.cumsum(ndimage.gaussian_filter1d(rng.standard_normal(len(column)), 5 / step_mm)) * step_mm * 1.2
        start = nipple[0] + rng.uniform(-0.9, 0.9) * depth_mm
        row = start + (nipple[0] - start) * along**1.5 * rng.uniform(0.3, 0.9) + sway
        keep = (row >= 0) & (row < field.height_mm) & (column >= 0)
        # A tube of diameter w has a mean path of pi w / 4 over its width: this area is spread along the line.
        taper = width_mm * (1 - 0.5 * along)
        area = np.pi / 4 * taper**2 * np.hypot(step_mm, np.gradient(row)) / pitch**2
        np.add.at(canvas, ((row[keep] / pitch).astype(int), (column[keep] / pitch).astype(int)), area[keep])
    return enlarge(ndimage.gaussian_filter(canvas, 0.7 / pitch), field.shape)


def _areola(field: Field, nipple: tuple[float, float], depth: Map2D) -> Map2D:
    """Ducts and thick skin behind the nipple, as a path in glandular tissue."""
    row_mm, column_mm = field.coordinates()
    squared = (row_mm - nipple[0]) ** 2 + (column_mm - nipple[1]) ** 2
    return np.asarray(3.0 * np.exp(-squared / (2 * 9.0**2)) * (depth > 0), dtype=np.float32)

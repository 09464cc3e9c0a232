"""The measures that both views of a phantom's breast share, and the grid of an image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from aunet.phantom.distribution import Density
from aunet.sample import Shape

# Fibroglandular part of the volume inside the skin, by density 1 to 4: four ranges laid over what Yaffe et al. 2009
# found (doi 10.1118/1.3250863: mean 19 %, 80 % of women below 27 %, 95 % below 45 %).
GLANDULAR_FRACTION: dict[Density, tuple[float, float]] = {
    1: (0.03, 0.09),
    2: (0.09, 0.19),
    3: (0.19, 0.32),
    4: (0.32, 0.5),
}


@dataclass(frozen=True, slots=True)
class Field:
    """The grid of one image."""

    rows: int
    columns: int
    pixel_mm: float

    @property
    def shape(self) -> Shape:
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def height_mm(self) -> float:
        """Rows times the pixel."""
        return self.rows * self.pixel_mm

    @property
    def width_mm(self) -> float:
        """Columns times the pixel."""
        return self.columns * self.pixel_mm

    def coordinates(self) -> tuple[Float32[np.ndarray, "h 1"], Float32[np.ndarray, "1 w"]]:
        """Row (h, 1) and column (1, w) positions of the pixel centres, in millimetres."""
        rows, columns = (
            (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(self.pixel_mm) for length in self.shape
        )
        return rows[:, None], columns[None, :]


@dataclass(frozen=True, slots=True)
class Breast:
    """What both views of a breast share."""

    depth_mm: float
    """Chest wall to nipple, compressed, in the CC view."""
    height_mm: float
    """Along the chest wall, in the CC view."""
    thickness_mm: float
    """Compressed thickness."""
    density: Density
    glandular_fraction: float
    """Part of the volume inside the skin."""
    nipple_mm: float
    """How far the nipple stands out; 0 where it is not in profile."""


def draw_breast(rng: np.random.Generator, density: Density) -> Breast:
    """A breast of this density; dense breasts tend to be smaller and thinner."""
    depth_mm = float(np.clip(rng.normal(108 - 5 * density, 17), 55, 145))
    thickness_mm = float(np.clip(25 + 0.32 * depth_mm + rng.normal(0, 7), 25, 85))
    nipple_mm = float(rng.uniform(2, 6)) if rng.random() < 0.65 else 0.0
    # In CC views of CBIS-DDSM's training split breasts are 1.5 to 3.6 times as high as deep, 2.2 times in the median.
    height_mm = float(np.clip(depth_mm * 2.3 * np.exp(rng.normal(0, 0.22)), 90, 285))
    glandular_fraction = float(rng.uniform(*GLANDULAR_FRACTION[density]))
    return Breast(depth_mm, height_mm, thickness_mm, density, glandular_fraction, nipple_mm)


def draw_field(rng: np.random.Generator, breast: Breast, *, rows: int, is_film: bool) -> Field:
    """The grid: a detector of 24 x 18 cm, or of 30 x 24 cm for a breast that needs it; scanned films are narrower."""
    height_mm, width_mm = (240.0, 192.0) if breast.depth_mm < 112 and breast.height_mm < 230 else (300.0, 240.0)
    if is_film:
        width_mm = float(np.clip(breast.depth_mm * rng.uniform(1.3, 1.7), 0.58 * height_mm, 0.8 * height_mm))
    return Field(rows, round(rows * width_mm / height_mm), height_mm / rows)

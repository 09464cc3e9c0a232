"""From path lengths to stored pixels: attenuation, quantum noise, blur, then film or detector."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt16
from scipy import ndimage

from aunet.phantom.anatomy import Projection
from aunet.phantom.masses import DrawnMasses
from aunet.phantom.texture import Map2D

Acquisition = Literal["film", "detector"]

# Linear attenuation coefficients at 20 keV, 1/cm. Fat, gland and carcinoma: Johns and Yaffe 1987,
# doi 10.1088/0031-9155/32/6/002 (measured). Muscle: NIST's table 4 for ICRU-44 skeletal muscle, 0.8205 cm2/g at
# 1.05 g/cm3. Skin: ICRU-44's composition with NIST's coefficients of the elements, 0.767 cm2/g at 1.09 g/cm3.
FAT_PER_CM = 0.456
GLAND_PER_CM = 0.802
TUMOUR_PER_CM = 0.844
MUSCLE_PER_CM = 0.862
SKIN_PER_CM = 0.836

# Photons a square millimetre at the detector behind the mean breast: 100 microgray of air kerma are 5.8e5 photons of
# 20 keV (mass energy-absorption coefficient of air 0.539 cm2/g), of which a screen or detector uses about half.
PHOTONS_PER_MM2 = 2.9e5
# Standard deviation of the Gaussian point spread: modulation 0.5 at 2.9 line pairs a millimetre.
BLUR_MM = 0.065
# Part of the rim's missing thickness that a detector's processing makes up for.
MADE_UP = 0.42
# Difference of attenuation between the darkest and the brightest part of the breast that a window shows at least.
NARROWEST_WINDOW = 0.8
FILM_BITS = 16
DETECTOR_BITS = 12


@dataclass(frozen=True, slots=True)
class Film:
    """A digitised film: characteristic curve and grain."""

    middle: float
    """Optical density of the median of the breast, set by the exposure control."""
    gradient: float
    """Steepest slope of density over the decadic logarithm of exposure."""
    fog: float = 0.18
    densest: float = 3.9
    """Density of film that met the bare beam."""
    scanner: float = 3.5
    """Density that the scanner takes for black."""
    grain: float = 0.012
    """Standard deviation of the density of a pixel of 0.25 mm."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Film":
        """A film and exposure as they vary from site to site."""
        return cls(middle=float(rng.uniform(1.35, 2.1)), gradient=float(rng.uniform(2.4, 3.1)))

    def density(self, log_exposure: Map2D) -> Map2D:
        """Optical density by the decadic logarithm of exposure over that of the median of the breast.

        The characteristic curve is a logistic function from fog to the densest black, `middle` at 0.
        """
        spread = self.densest - self.fog
        start = np.log((self.middle - self.fog) / (self.densest - self.middle))
        steepness = 4 * self.gradient / spread
        return np.asarray(self.fog + spread / (1 + np.exp(-(steepness * log_exposure + start))), dtype=np.float32)


def attenuation(projection: Projection, masses: DrawnMasses) -> Map2D:
    """Minus the natural logarithm of the transmitted part of the beam, by Beer and Lambert's law.

    Tissue displaces tissue: a mass takes the place of the same length of what surrounds it.
    """
    interior = projection.thickness - projection.skin
    tumour = np.minimum(masses.tumour, interior)
    extra = np.minimum(masses.glandular, interior - tumour)
    left = (interior - tumour - extra) / np.maximum(interior, np.float32(1e-6))
    muscle = projection.muscle * left
    glandular = projection.glandular * left + extra
    fat = np.maximum(interior - tumour - muscle - glandular, 0)
    return attenuation_of(
        skin_mm=projection.skin, fat_mm=fat, glandular_mm=glandular, tumour_mm=tumour, muscle_mm=muscle
    )


def attenuation_of(*, skin_mm: Map2D, fat_mm: Map2D, glandular_mm: Map2D, tumour_mm: Map2D, muscle_mm: Map2D) -> Map2D:
    """Sum of path length (mm) times linear attenuation coefficient."""
    total = SKIN_PER_CM * skin_mm + FAT_PER_CM * fat_mm + GLAND_PER_CM * glandular_mm
    total = total + TUMOUR_PER_CM * tumour_mm + MUSCLE_PER_CM * muscle_mm
    return np.asarray(total * np.float32(0.1), dtype=np.float32)


def expose(rng: np.random.Generator, weakened: Map2D, *, reference: float, pixel_mm: float) -> Map2D:
    """Photons of each pixel over their number at attenuation `reference`: Poisson noise, then blur.

    Args:
        rng: Source of the noise.
        weakened: Attenuation along the beam.
        reference: Attenuation at which the exposure control wants `PHOTONS_PER_MM2`.
        pixel_mm: Millimetres a pixel.
    """
    photons = PHOTONS_PER_MM2 * pixel_mm**2
    # float32 keeps the whole count of a pixel up to 1.6e7; at the air beside a breast the count is limited to that.
    expected = np.minimum(photons * np.exp(np.float32(reference) - weakened), np.float32(1.5e7))
    counted = rng.poisson(expected).astype(np.float32)
    blurred = ndimage.gaussian_filter(counted, BLUR_MM / pixel_mm, truncate=3.0)
    return np.asarray(np.maximum(blurred, 1) / np.float32(photons), dtype=np.float32)


def film_pixels(rng: np.random.Generator, exposure: Map2D, *, film: Film, pixel_mm: float) -> UInt16[np.ndarray, "h w"]:
    """16-bit pixels of the scanned film: 0 at the densest black, 65535 at clear film."""
    density = film.density(np.log10(exposure))
    grain = film.grain * 0.25 / pixel_mm
    density += np.float32(grain) * rng.standard_normal(exposure.shape, dtype=np.float32)
    clear = 1 - (density - np.float32(0.1)) / np.float32(film.scanner - 0.1)
    return np.asarray(np.round(np.clip(clear, 0, 1) * (2**FILM_BITS - 1)), dtype=np.uint16)


def detector_pixels(exposure: Map2D, projection: Projection, *, reference: float) -> UInt16[np.ndarray, "h w"]:
    """12-bit pixels for presentation: log signal, the rim's missing thickness made up, windowed; air is 0."""
    weakened = np.float32(reference) - np.log(exposure)
    sample = projection.inside[::4, ::4]
    full = float(np.quantile(projection.thickness[::4, ::4][sample], 0.9))
    missing = np.clip(full - projection.thickness, 0, None) * projection.inside
    # Vendors make up for a part of the missing thickness, which leaves the rim darker.
    mean_per_mm = 0.1 * 0.5 * (FAT_PER_CM + GLAND_PER_CM)
    evened = weakened + np.float32(MADE_UP * mean_per_mm) * missing
    low, high = np.quantile(evened[::4, ::4][sample], (0.02, 0.995))
    # In a breast of fat the window stays wide enough that the skin line is not the brightest thing in it.
    high = max(high, low + NARROWEST_WINDOW)
    margin = 0.35 * (high - low)
    window = (evened - (low - margin)) / (high + 0.4 * margin - (low - margin))
    shown = np.clip(window, 0, 1) * projection.inside
    return np.asarray(np.round(shown * (2**DETECTOR_BITS - 1)), dtype=np.uint16)

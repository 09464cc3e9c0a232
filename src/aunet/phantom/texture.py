"""Random textures of a given power spectrum, and soft thresholds."""

import numpy as np
import scipy.fft
from jaxtyping import Float, Float32

from aunet.sample import Shape

Map2D = Float32[np.ndarray, "h w"]


def power_law_noise(
    rng: np.random.Generator,
    shape: Shape,
    *,
    beta: float,
    pixel_mm: float = 1.0,
    longest_mm: float | None = None,
) -> Map2D:
    """Gaussian noise of mean 0 and variance 1 whose power falls as 1 / frequency**beta.

    It is periodic where both sides of `shape` are products of small primes.

    Args:
        rng: Source of the white noise.
        shape: (rows, columns) wanted.
        beta: Exponent of the power spectrum; about 3 in mammograms.
        pixel_mm: Millimetres a pixel.
        longest_mm: Wavelength above which the power stays constant; None lets it rise up to the image's size.

    Source:
        Burgess, Jacobson, Judy 2001, doi 10.1118/1.1355308: mean exponent 2.8 to 3 over 213 mammograms.
    """
    rows, columns = (scipy.fft.next_fast_len(length, real=True) for length in shape)
    spectrum = scipy.fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
    row_frequency = scipy.fft.fftfreq(rows, pixel_mm).astype(np.float32)[:, None]
    column_frequency = scipy.fft.rfftfreq(columns, pixel_mm).astype(np.float32)
    squared = row_frequency**2 + column_frequency**2
    lowest = 1.0 / (longest_mm if longest_mm is not None else max(rows, columns) * pixel_mm)
    spectrum *= np.maximum(squared, np.float32(lowest**2)) ** np.float32(-beta / 4)
    spectrum[0, 0] = 0
    noise = scipy.fft.irfft2(spectrum, s=(rows, columns))[: shape[0], : shape[1]]
    noise -= noise.mean()
    return np.ascontiguousarray(noise / noise.std(), dtype=np.float32)


def smooth_step(values: Map2D, *, low: float, high: float) -> Map2D:
    """0 below `low`, 1 above `high`, a cubic with flat ends between."""
    step = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(step * step * (3 - 2 * step), dtype=np.float32)


def logistic(values: Map2D) -> Map2D:
    """1 / (1 + exp(-values)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), dtype=np.float32)


def enlarge(coarse: Map2D, shape: Shape) -> Float32[np.ndarray, "rows columns"]:
    """A smooth map on a finer grid that covers the same rectangle, by linear interpolation."""
    rows, columns = (
        np.clip((np.arange(fine) + 0.5) * few / fine - 0.5, 0, few - 1)
        for fine, few in zip(shape, coarse.shape, strict=True)
    )
    return _interpolated(_interpolated(coarse, rows).T, columns).T.copy()


def _interpolated(values: Map2D, position: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n w"]:
    """The map's rows at fractional row positions."""
    above = np.minimum(position.astype(np.int64), len(values) - 2)
    part = (position - above).astype(np.float32)[:, None]
    return np.asarray(values[above] * (1 - part) + values[above + 1] * part, dtype=np.float32)

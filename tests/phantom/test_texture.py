import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.phantom.texture import Map2D, enlarge, logistic, power_law_noise, smooth_step


def slope_of_power(noise: Map2D) -> float:
    """Exponent of the power over frequency, by a straight line through the logarithms of the rings' means."""
    rows, columns = noise.shape
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :])
    edges = np.geomspace(4 / rows, 0.45, 15)
    ring = np.digitize(frequency, edges)
    means = [power[ring == number].mean() for number in range(1, len(edges))]
    slope, _ = np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(means), 1)
    return float(slope)


@pytest.mark.parametrize("beta", [0.0, 2.0, 3.0])
def test_power_falls_with_the_exponent_asked_for(beta: float) -> None:
    noise = power_law_noise(np.random.default_rng(1), (256, 256), beta=beta)

    assert slope_of_power(noise) == pytest.approx(-beta, abs=0.15)


@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 99))
def test_noise_has_mean_zero_and_variance_one(rows: int, columns: int, seed: int) -> None:
    noise = power_law_noise(np.random.default_rng(seed), (rows, columns), beta=3.0)

    assert noise.shape == (rows, columns)
    assert float(noise.mean()) == pytest.approx(0, abs=1e-4)
    assert float(noise.std()) == pytest.approx(1, abs=1e-3)


def test_power_is_flat_above_the_longest_wavelength() -> None:
    noise = power_law_noise(np.random.default_rng(2), (512, 512), beta=3.0, pixel_mm=0.5, longest_mm=8.0)

    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(512, 0.5)[:, None], np.fft.fftfreq(512, 0.5)[None, :])
    lower = power[(frequency > 0.02) & (frequency < 0.06)].mean()
    upper = power[(frequency > 0.08) & (frequency < 0.12)].mean()
    assert lower / upper == pytest.approx(1, abs=0.25)


def test_enlarging_keeps_a_ramp_a_ramp() -> None:
    ramp = np.tile(np.arange(8, dtype=np.float32), (6, 1))

    fine = enlarge(ramp, (12, 16))

    # The centre of fine pixel 4 lies at 4.5 * 8 / 16 - 0.5 = 1.75 coarse pixels.
    assert fine[5, 4] == pytest.approx(1.75)
    assert fine.shape == (12, 16)


def test_smooth_step_is_one_half_in_the_middle() -> None:
    values = np.array([[0.0, 1.0, 2.0, 3.0, 4.0]], dtype=np.float32)

    step = smooth_step(values, low=1.0, high=3.0)

    assert step.tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]


def test_logistic_of_large_values_stays_finite() -> None:
    values = np.array([[-1e4, 0.0, 1e4]], dtype=np.float32)

    assert logistic(values).tolist() == [[0.0, 0.5, 1.0]]

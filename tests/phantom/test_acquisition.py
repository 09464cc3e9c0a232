import numpy as np
import pytest

from aunet.phantom.acquisition import (
    BLUR_MM,
    PHOTONS_PER_MM2,
    Film,
    attenuation,
    attenuation_of,
    expose,
)
from aunet.phantom.anatomy import Projection
from aunet.phantom.geometry import Field
from aunet.phantom.masses import DrawnMasses
from aunet.phantom.texture import Map2D


def filled(value: float, size: int = 4) -> Map2D:
    return np.full((size, size), value, dtype=np.float32)


def test_attenuation_is_the_sum_of_path_times_coefficient() -> None:
    weakened = attenuation_of(
        skin_mm=filled(3.0),
        fat_mm=filled(30.0),
        glandular_mm=filled(10.0),
        tumour_mm=filled(5.0),
        muscle_mm=filled(2.0),
    )

    # 0.3 cm x 0.836 + 3 cm x 0.456 + 1 cm x 0.802 + 0.5 cm x 0.844 + 0.2 cm x 0.862
    assert weakened[0, 0] == pytest.approx(0.2508 + 1.368 + 0.802 + 0.422 + 0.1724, abs=1e-5)


def test_a_mass_displaces_the_tissue_around_it() -> None:
    field = Field(4, 4, 1.0)
    projection = Projection(
        field=field,
        inside=np.ones((4, 4), dtype=bool),
        depth=filled(20.0),
        thickness=filled(43.0),
        skin=filled(3.0),
        muscle=filled(0.0),
        glandular=filled(20.0),
        nipple=(2.0, 4.0),
    )
    masses = DrawnMasses(filled(10.0), filled(0.0), np.ones((4, 4), dtype=np.uint8))

    weakened = attenuation(projection, masses)

    # Of 40 mm inside the skin 10 mm are tumour; the other 30 mm stay half gland, half fat.
    assert weakened[0, 0] == pytest.approx(0.3 * 0.836 + 1.0 * 0.844 + 1.5 * 0.802 + 1.5 * 0.456, abs=1e-5)


def test_exposure_halves_with_a_half_value_layer() -> None:
    rng = np.random.default_rng(1)

    thin = expose(rng, filled(2.0, 200), reference=2.0, pixel_mm=0.25)
    thick = expose(rng, filled(2.0 + np.log(2), 200), reference=2.0, pixel_mm=0.25)

    assert float(thin.mean()) == pytest.approx(1.0, rel=1e-3)
    assert float(thick.mean()) == pytest.approx(0.5, rel=1e-3)


def test_quantum_noise_is_the_square_root_of_the_photons() -> None:
    # At this pixel the blur is far below one pixel and leaves the variance as it is.
    exposure = expose(np.random.default_rng(2), filled(2.0, 300), reference=2.0, pixel_mm=1.0)

    assert float(exposure.std()) == pytest.approx(1 / np.sqrt(PHOTONS_PER_MM2), rel=0.02)


def test_the_blur_halves_the_modulation_at_the_stated_frequency() -> None:
    # exp(-2 pi^2 sigma^2 f^2) = 0.5 at f = sqrt(ln 2 / 2) / (pi sigma)
    assert np.sqrt(np.log(2) / 2) / (np.pi * BLUR_MM) == pytest.approx(2.9, abs=0.05)


def test_the_blur_spreads_a_sharp_edge() -> None:
    edge = np.where(np.arange(80) < 40, 0.0, 1.0).astype(np.float32)[None, :].repeat(400, axis=0)

    exposure = expose(np.random.default_rng(3), edge, reference=0.0, pixel_mm=0.065)

    profile = exposure.mean(axis=0)
    low, high = np.exp(-1.0), 1.0
    # One standard deviation (one pixel) from the edge a Gaussian has 84 % of the step behind it.
    at_centre_of_next_pixel = (profile[40] - low) / (high - low)
    assert at_centre_of_next_pixel == pytest.approx(0.30, abs=0.03)


def test_film_has_its_middle_density_and_gradient_at_the_reference_exposure() -> None:
    film = Film(middle=2.04, gradient=3.0)

    density = film.density(np.array([[-0.01, 0.0, 0.01]], dtype=np.float32))

    assert density[0, 1] == pytest.approx(2.04, abs=1e-4)
    # 2.04 is half way from fog to black, where the curve is steepest.
    assert (density[0, 2] - density[0, 0]) / 0.02 == pytest.approx(3.0, rel=1e-3)


def test_film_is_clear_without_exposure_and_black_in_the_bare_beam() -> None:
    film = Film(middle=1.8, gradient=3.0)

    density = film.density(np.array([[-4.0, 3.0]], dtype=np.float32))

    assert density[0, 0] == pytest.approx(film.fog, abs=0.01)
    assert density[0, 1] == pytest.approx(film.densest, abs=0.01)

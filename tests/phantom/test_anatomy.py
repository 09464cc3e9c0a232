import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aunet.phantom.anatomy import SKIN_MM, Projection, project
from aunet.phantom.distribution import Density
from aunet.phantom.geometry import GLANDULAR_FRACTION, Breast, Field, draw_breast, draw_field
from aunet.sample import View

densities: st.SearchStrategy[Density] = st.sampled_from([1, 2, 3, 4])
views: st.SearchStrategy[View] = st.sampled_from(["CC", "MLO"])
BREAST = Breast(depth_mm=95.0, height_mm=200.0, thickness_mm=50.0, density=2, glandular_fraction=0.15, nipple_mm=5.0)
FIELD = Field(192, 154, 1.25)


def projection_of(seed: int, view: View, breast: Breast = BREAST, field: Field = FIELD) -> Projection:
    return project(np.random.default_rng(seed), breast, view, field)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), densities, views)
def test_tissues_fit_into_the_thickness_and_there_is_none_outside(seed: int, density: Density, view: View) -> None:
    rng = np.random.default_rng(seed)
    breast = draw_breast(rng, density)
    field = draw_field(rng, breast, rows=96, is_film=seed % 2 == 0)

    projection = project(rng, breast, view, field)

    tissues = projection.skin + projection.muscle + projection.glandular
    assert np.all(tissues <= projection.thickness + 1e-3)
    assert min(projection.skin.min(), projection.muscle.min(), projection.glandular.min()) >= 0
    assert not np.any(projection.thickness[~projection.inside])
    assert not projection.inside[:, -1].any()


@given(st.integers(0, 10_000), densities)
def test_a_breast_lies_in_the_ranges_of_its_density(seed: int, density: Density) -> None:
    breast = draw_breast(np.random.default_rng(seed), density)

    low, high = GLANDULAR_FRACTION[density]
    assert low <= breast.glandular_fraction <= high
    assert 25 <= breast.thickness_mm <= 85


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), views)
def test_thickness_falls_off_towards_the_skin_line(seed: int, view: View) -> None:
    projection = projection_of(seed, view)

    rim = projection.thickness[(projection.depth > 0.5) & (projection.depth < 2)].mean()
    middle = projection.thickness[projection.depth > 25].mean()
    assert rim < 0.7 * middle
    assert middle == pytest.approx(BREAST.thickness_mm, rel=0.1)


def test_skin_is_two_layers_in_the_middle_and_all_there_is_at_the_rim() -> None:
    projection = projection_of(1, "CC")

    assert np.median(projection.skin[projection.depth > 30]) == pytest.approx(2 * SKIN_MM, abs=0.01)
    rim = (projection.depth > 0) & (projection.depth < SKIN_MM)
    np.testing.assert_allclose(projection.skin[rim], projection.thickness[rim], atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_muscle_fills_the_upper_corner_of_mlo_views_and_shrinks_downwards(seed: int) -> None:
    muscle = projection_of(seed, "MLO").muscle > 1

    assert muscle[10, 2]
    assert muscle[10].sum() > muscle[60].sum() >= muscle[-1].sum() == 0


def test_a_cc_view_has_no_muscle() -> None:
    assert not projection_of(2, "CC").muscle.any()


def test_depth_is_the_distance_to_the_skin_line() -> None:
    projection = projection_of(3, "CC")

    # Along a row through the nipple the distance falls one millimetre a millimetre as the skin comes near.
    row = int(projection.nipple[0] / FIELD.pixel_mm) - 24
    depth = projection.depth[row]
    edge = int(np.argmin(np.abs(depth)))
    assert depth[edge - 4] > 0 > depth[edge + 4]
    steps = np.abs(np.diff(projection.depth[row, edge - 8 : edge - 2], axis=0)) / FIELD.pixel_mm
    assert np.all(steps <= 1.01)


def test_the_nipple_stands_out_from_the_skin_line() -> None:
    flat = Breast(95.0, 200.0, 50.0, 2, 0.15, nipple_mm=0.0)

    with_nipple, without = projection_of(4, "CC"), projection_of(4, "CC", breast=flat)

    added = np.argwhere(with_nipple.inside & ~without.inside) * FIELD.pixel_mm
    assert len(added) > 5
    assert np.abs(added[:, 0] - with_nipple.nipple[0]).max() < 25
    assert np.ptp(np.flatnonzero(with_nipple.inside.any(axis=0))) > np.ptp(np.flatnonzero(without.inside.any(axis=0)))


@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_dense_breasts_hold_more_glandular_tissue(view: View) -> None:
    fractions = []
    for fraction in (0.06, 0.14, 0.25, 0.42):
        breast = Breast(95.0, 200.0, 50.0, 2, fraction, 0.0)
        projection = projection_of(5, view, breast=breast)
        room = projection.thickness - projection.skin - projection.muscle
        fractions.append(float(projection.glandular.sum() / room.sum()))

    assert fractions == sorted(fractions)
    # Texture thins the parenchyma, ligaments, vessels and areola add to it.
    np.testing.assert_allclose(fractions, (0.06, 0.14, 0.25, 0.42), rtol=0.35, atol=0.03)


def test_a_breast_that_is_too_large_for_the_small_field_gets_the_large_one() -> None:
    rng = np.random.default_rng(6)
    small = Breast(95.0, 200.0, 50.0, 2, 0.15, 0.0)
    large = Breast(120.0, 250.0, 60.0, 2, 0.15, 0.0)

    fields = [draw_field(rng, breast, rows=600, is_film=False) for breast in (small, large)]

    assert [field.height_mm for field in fields] == pytest.approx([240, 300])
    assert [field.shape for field in fields] == [(600, 480), (600, 480)]


def test_the_power_spectrum_of_the_parenchyma_falls_with_an_exponent_near_three() -> None:
    field = Field(1024, 820, 240 / 1024)
    edges = np.array([0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.75])
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, field.pixel_mm), np.fft.fftfreq(256, field.pixel_mm)))
    window = np.hanning(256)[:, None] * np.hanning(256)
    exponents = []
    for seed in range(4):
        path = projection_of(seed, "CC", breast=Breast(110.0, 220.0, 50.0, 3, 0.3, 0.0), field=field).glandular
        patch = path[384:640, 100:356]
        power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2
        rings = [power[(frequency >= low) & (frequency < high)].mean() for low, high in itertools.pairwise(edges)]
        exponents.append(-np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(rings), 1)[0])

    # Burgess et al. 2001: 2.8 in the mean over mammograms, and from about 2.4 to 3.6.
    assert np.mean(exponents) == pytest.approx(3.0, abs=0.45)

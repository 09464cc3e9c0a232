from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aunet.phantom.anatomy import Projection, project
from aunet.phantom.distribution import MASS_KINDS, Finding, draw_findings
from aunet.phantom.geometry import Breast, Field
from aunet.phantom.masses import draw_mass, draw_masses
from aunet.sample import View

BREAST = Breast(depth_mm=100.0, height_mm=210.0, thickness_mm=50.0, density=1, glandular_fraction=0.05, nipple_mm=4.0)
FIELD = Field(320, 256, 0.75)
AREA_MM2 = 18_000.0
FINDING = Finding("ROUND", "CIRCUMSCRIBED", "BENIGN", 3, 5, 0.02)
views: st.SearchStrategy[View] = st.sampled_from(["CC", "MLO"])


def breast_view(seed: int, view: View = "CC") -> Projection:
    return project(np.random.default_rng(seed), BREAST, view, FIELD)


def irregularity(shape: str, margins: str) -> float:
    """Mean spread of the radius over some masses of a kind."""
    finding = replace(FINDING, shape=shape, margins=margins)
    outlines = [draw_mass(np.random.default_rng(seed), finding, AREA_MM2).outline for seed in range(12)]
    return float(np.mean([np.std(outline) for outline in outlines]))


@pytest.mark.parametrize(("shape", "margins"), [(row[0], row[1]) for row in MASS_KINDS])
def test_every_counted_kind_of_mass_can_be_drawn(shape: str, margins: str) -> None:
    rng = np.random.default_rng(1)
    finding = replace(FINDING, shape=shape, margins=margins)

    drawn = draw_masses(rng, (draw_mass(rng, finding, AREA_MM2),), breast_view(1), "CC")

    assert (drawn.tumour + drawn.glandular)[drawn.instances == 1].mean() > 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), views)
def test_a_mass_lies_inside_the_breast(seed: int, view: View) -> None:
    rng = np.random.default_rng(seed)
    projection = breast_view(seed, view)
    finding = replace(draw_findings(rng, 1)[0], area_fraction=0.01)

    drawn = draw_masses(rng, (draw_mass(rng, finding, AREA_MM2),), projection, view)

    assert drawn.instances.any()
    assert projection.inside[drawn.instances > 0].all()


def test_a_mass_lies_off_the_muscle_wherever_there_is_room() -> None:
    is_off = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        projection = breast_view(seed, "MLO")
        finding = replace(draw_findings(rng, 1)[0], area_fraction=0.01)
        drawn = draw_masses(rng, (draw_mass(rng, finding, AREA_MM2),), projection, "MLO")
        rows, columns = np.nonzero(drawn.instances)
        is_off.append(projection.muscle[int(rows.mean()), int(columns.mean())] == 0)

    # In a narrow breast with a wide muscle no place fits, and the demands sink.
    assert np.mean(is_off) >= 0.9


@pytest.mark.parametrize("depth", [0.08, 0.85])
def test_a_large_mass_moves_inwards_until_neither_skin_nor_border_cuts_it(depth: float) -> None:
    finding = replace(FINDING, area_fraction=0.03)

    for seed in range(10):
        rng = np.random.default_rng(seed)
        mass = replace(draw_mass(rng, finding, AREA_MM2), depth=depth)
        drawn = draw_masses(rng, (mass,), breast_view(seed), "CC")

        area_mm2 = float((drawn.instances == 1).sum()) * FIELD.pixel_mm**2
        assert area_mm2 == pytest.approx(mass.area_mm2, rel=0.03)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_an_outline_encloses_the_area_of_the_finding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    finding = draw_findings(rng, 1)[0]

    mass = draw_mass(rng, finding, AREA_MM2)

    # The area inside a radius r(angle) is half the integral of its square.
    radius = mass.radius_mm * mass.outline
    assert 0.5 * (radius**2).sum() * 2 * np.pi / len(radius) == pytest.approx(finding.area_fraction * AREA_MM2)


def test_shapes_grow_less_round_from_round_over_oval_to_irregular() -> None:
    circumscribed = [irregularity(shape, "CIRCUMSCRIBED") for shape in ("ROUND", "OVAL", "IRREGULAR")]

    assert circumscribed == sorted(circumscribed)
    assert circumscribed[0] < 0.05


def test_microlobulated_margins_are_wavier_than_circumscribed_ones() -> None:
    waves = []
    for margins in ("CIRCUMSCRIBED", "MICROLOBULATED"):
        outline = draw_mass(np.random.default_rng(2), replace(FINDING, margins=margins), AREA_MM2).outline
        waves.append(np.abs(np.fft.rfft(outline))[11:20].sum())

    assert waves[1] > 10 * waves[0]


def test_ill_defined_margins_are_softer_than_circumscribed_ones() -> None:
    slopes = []
    for margins in ("CIRCUMSCRIBED", "ILL_DEFINED"):
        rng = np.random.default_rng(3)
        mass = draw_mass(rng, replace(FINDING, margins=margins), AREA_MM2)
        drawn = draw_masses(rng, (mass,), breast_view(3), "CC")
        path = drawn.tumour / drawn.tumour.max()
        slopes.append(float(np.quantile(np.hypot(*np.gradient(path))[drawn.tumour > 0], 0.95)))

    assert slopes[1] < 0.7 * slopes[0]


def test_spicules_reach_beyond_the_mask_of_a_spiculated_mass() -> None:
    beyond = []
    for margins in ("CIRCUMSCRIBED", "SPICULATED"):
        rng = np.random.default_rng(4)
        mass = draw_mass(rng, replace(FINDING, shape="IRREGULAR", margins=margins), AREA_MM2)
        drawn = draw_masses(rng, (mass,), breast_view(4), "CC")
        rows, columns = np.nonzero(drawn.instances)
        far = np.hypot(np.arange(FIELD.rows)[:, None] - rows.mean(), np.arange(FIELD.columns)[None, :] - columns.mean())
        ring = (far > 1.35 * mass.radius_mm / FIELD.pixel_mm) & (far < 1.7 * mass.radius_mm / FIELD.pixel_mm)
        beyond.append(float(drawn.tumour[ring & (drawn.instances == 0)].max()))

    assert beyond[1] > 2 * beyond[0] + 0.5


def test_obvious_masses_are_thicker_than_subtle_ones() -> None:
    paths = []
    for subtlety in (1, 2, 3, 4, 5):
        rng = np.random.default_rng(5)
        mass = draw_mass(rng, replace(FINDING, subtlety=subtlety), AREA_MM2)
        paths.append(float(draw_masses(rng, (mass,), breast_view(5), "CC").tumour.max()))

    assert paths == sorted(paths)
    assert paths[-1] > 1.5 * paths[0]


def test_an_asymmetry_is_glandular_tissue() -> None:
    rng = np.random.default_rng(6)
    mass = draw_mass(rng, replace(FINDING, shape="FOCAL_ASYMMETRIC_DENSITY", margins="N/A"), AREA_MM2)

    drawn = draw_masses(rng, (mass,), breast_view(6), "CC")

    assert drawn.glandular.max() > 1
    assert not drawn.tumour.any()


def test_a_mass_smaller_than_a_pixel_still_marks_one() -> None:
    rng = np.random.default_rng(7)
    mass = draw_mass(rng, replace(FINDING, area_fraction=1e-6), AREA_MM2)

    drawn = draw_masses(rng, (mass,), breast_view(7), "CC")

    assert drawn.instances.sum() == 1


def test_six_masses_are_numbered_as_they_are_listed_and_none_is_lost() -> None:
    rng = np.random.default_rng(8)
    masses = tuple(
        draw_mass(rng, replace(FINDING, area_fraction=fraction), AREA_MM2)
        for fraction in (0.002, 0.012, 0.004, 0.01, 0.006, 0.008)
    )

    drawn = draw_masses(rng, masses, breast_view(8), "CC")

    sizes = [int((drawn.instances == number).sum()) for number in range(1, 7)]
    assert np.argsort(sizes).tolist() == [0, 2, 4, 5, 3, 1]

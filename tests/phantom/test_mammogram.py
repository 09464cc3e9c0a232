import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from aunet.phantom.acquisition import Acquisition
from aunet.phantom.distribution import Finding, draw_density, draw_findings
from aunet.phantom.mammogram import Phantom, draw_case, make_phantom, view_of
from aunet.sample import Laterality, View

DOCS = Path(__file__).parents[2] / "docs"
OBVIOUS = Finding(
    shape="ROUND",
    margins="CIRCUMSCRIBED",
    pathology="BENIGN",
    birads=3,
    subtlety=5,
    area_fraction=0.02,
)

acquisitions: st.SearchStrategy[Acquisition] = st.sampled_from(["film", "detector"])
views: st.SearchStrategy[View] = st.sampled_from(["CC", "MLO"])
lateralities: st.SearchStrategy[Laterality] = st.sampled_from(["L", "R"])


def part_of_largest(phantom: Phantom) -> np.ndarray:
    return np.asarray(phantom.image / (2**phantom.bits_stored - 1))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), views, lateralities, acquisitions, st.integers(64, 200))
def test_any_phantom_keeps_the_promises_of_its_fields(
    seed: int, view: View, laterality: Laterality, acquisition: Acquisition, rows: int
) -> None:
    phantom = make_phantom(
        np.random.default_rng(seed), rows=rows, view=view, laterality=laterality, acquisition=acquisition
    )

    assert phantom.image.shape[0] == rows
    assert phantom.image.max() < 2**phantom.bits_stored
    assert phantom.image.min() < phantom.image.max()
    assert phantom.mask.any()
    assert np.array_equal(phantom.mask, phantom.instances > 0)
    assert (phantom.mask & phantom.breast).any()
    assert 0.05 < phantom.breast.mean() < 0.85
    assert (phantom.spacing_mm is None) == (acquisition == "film")
    assert phantom.bits_stored == (16 if acquisition == "film" else 12)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), views, acquisitions)
def test_the_same_seed_gives_the_same_pixels(seed: int, view: View, acquisition: Acquisition) -> None:
    first, second = (
        make_phantom(np.random.default_rng(seed), rows=96, view=view, acquisition=acquisition) for _ in range(2)
    )

    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.instances, second.instances)
    assert first.properties == second.properties


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), views)
def test_the_chest_wall_is_at_the_left_of_a_left_and_at_the_right_of_a_right_breast(seed: int, view: View) -> None:
    left = make_phantom(np.random.default_rng(seed), rows=128, view=view, laterality="L")
    right = make_phantom(np.random.default_rng(seed), rows=128, view=view, laterality="R")

    assert left.breast[:, 0].sum() > 40
    assert not left.breast[:, -1].any()
    assert right.breast[:, -1].sum() > 40
    assert not right.breast[:, 0].any()
    assert np.array_equal(left.mask, right.mask[:, ::-1])


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), lateralities)
def test_an_mlo_view_has_the_bright_muscle_in_the_upper_corner_at_the_chest_wall(
    seed: int, laterality: Laterality
) -> None:
    phantom = make_phantom(
        np.random.default_rng(seed), rows=256, view="MLO", laterality=laterality, findings=(), acquisition="detector"
    )

    image = part_of_largest(phantom)
    image = image if laterality == "L" else image[:, ::-1]
    breast = phantom.breast if laterality == "L" else phantom.breast[:, ::-1]
    corner = image[5:25, 2:12].mean()
    assert corner > np.quantile(image[breast], 0.75)
    assert image[5:25, -12:-2].mean() == 0


@pytest.mark.parametrize("acquisition", ["film", "detector"])
@pytest.mark.parametrize("laterality", ["L", "R"])
def test_the_mask_lies_where_an_obvious_mass_brightens_the_image(
    acquisition: Acquisition, laterality: Laterality
) -> None:
    gains = []
    for seed in range(6):
        with_mass, without = (
            make_phantom(
                np.random.default_rng(seed),
                rows=256,
                laterality=laterality,
                density=1,
                findings=(replace(OBVIOUS, area_fraction=0.02 * visible + 1e-9),),
                acquisition=acquisition,
            )
            for visible in (1, 0)
        )
        change = part_of_largest(with_mass) - part_of_largest(without)
        gains.append(change[with_mass.mask].mean() - np.median(change[with_mass.breast & ~with_mass.mask]))

    assert min(gains) > 0.02


def test_the_skin_line_is_not_the_brightest_part_of_a_breast_of_fat() -> None:
    for seed in range(4):
        phantom = make_phantom(np.random.default_rng(seed), rows=512, density=1, findings=(), acquisition="detector")

        image = part_of_largest(phantom)
        rim = phantom.breast & ~ndimage.binary_erosion(phantom.breast, iterations=4, border_value=1)
        assert np.quantile(image[rim], 0.9) < np.quantile(image[phantom.breast & ~rim], 0.99)


def test_both_views_of_a_breast_show_the_same_mass_at_the_same_size() -> None:
    rng = np.random.default_rng(3)
    case = draw_case(rng, density=2, findings=(OBVIOUS,))

    cc, mlo = (
        view_of(rng, case, rows=512, view=view, laterality="L", acquisition="detector") for view in ("CC", "MLO")
    )

    assert cc.properties == mlo.properties
    assert cc.spacing_mm == mlo.spacing_mm
    assert cc.mask.sum() == pytest.approx(mlo.mask.sum(), rel=0.03)


def test_a_mass_covers_the_area_its_finding_asks_for() -> None:
    rng = np.random.default_rng(4)
    case = draw_case(rng, density=2, findings=(OBVIOUS,))

    phantom = view_of(rng, case, rows=512, view="CC", laterality="L", acquisition="detector")

    assert phantom.spacing_mm is not None
    area_mm2 = phantom.mask.sum() * phantom.spacing_mm[0] * phantom.spacing_mm[1]
    assert area_mm2 == pytest.approx(case.masses[0].area_mm2, rel=0.03)


def test_several_masses_lie_apart_in_the_order_of_their_properties() -> None:
    small, large = replace(OBVIOUS, area_fraction=0.004), replace(OBVIOUS, area_fraction=0.03)

    phantom = make_phantom(np.random.default_rng(5), rows=512, density=1, findings=(small, large))

    sizes = [int((phantom.instances == number).sum()) for number in (1, 2)]
    assert sizes[1] / sizes[0] == pytest.approx(0.03 / 0.004, rel=0.1)


def test_a_normal_breast_has_an_empty_mask() -> None:
    phantom = make_phantom(np.random.default_rng(6), rows=128, findings=())

    assert not phantom.mask.any()
    assert phantom.properties.pathology == ""


def test_sizes_of_masses_follow_the_counted_distribution() -> None:
    fractions = []
    for seed in range(80):
        rng = np.random.default_rng([1, seed])
        findings = draw_findings(rng, 1)
        case = draw_case(rng, density=draw_density(rng), findings=findings)
        phantom = view_of(rng, case, rows=128, view="CC" if seed % 2 else "MLO", laterality="L", acquisition="detector")
        fractions.append(phantom.mask.sum() / phantom.breast.sum())

    # Counted in CBIS-DDSM: quartiles 0.53 %, 0.97 %, 1.69 % of the breast.
    assert np.median(fractions) == pytest.approx(0.0097, rel=0.35)
    assert np.quantile(fractions, 0.25) == pytest.approx(0.0053, rel=0.4)
    assert np.quantile(fractions, 0.75) == pytest.approx(0.0169, rel=0.4)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows is 63; expected 64 to 8192"):
        make_phantom(np.random.default_rng(0), rows=63)


@pytest.mark.slow
def test_the_picture_in_the_docs_is_what_the_command_beside_it_draws(tmp_path: Path) -> None:
    page = (DOCS / "explanation" / "phantoms.md").read_text(encoding="utf-8")
    (tmp_path / "docs" / "images").mkdir(parents=True)
    program = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]

    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)

    drawn, shown = (
        np.asarray(Image.open(folder / "images" / "phantoms.png"), dtype=float) for folder in (tmp_path / "docs", DOCS)
    )
    assert np.abs(drawn - shown).mean() < 1

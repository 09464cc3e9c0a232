import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aunet.phantom.distribution import (
    ALL_SHAPES,
    AREA_FRACTION,
    BIRADS_BY_PATHOLOGY,
    DENSITY_IMAGES,
    MASS_KINDS,
    MASSES_OF_BREAST,
    PATHOLOGIES,
    QUANTILES,
    SUBTLETY_BY_MARGINS,
    VIEWS_OF_PATIENT,
    describe,
    draw_findings,
    draw_mass_counts,
    draw_views,
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def train_images(folder: Path) -> list[dict[str, str]]:
    return [row for row in rows_of(folder / "cases.csv") if row["split"] == "train"]


@pytest.mark.data
def test_properties_are_those_counted_in_the_training_table(prepared_cbis_ddsm: Path) -> None:
    masses = rows_of(prepared_cbis_ddsm / "mass_case_description_train_set.csv")

    kinds = Counter((row["mass shape"], row["mass margins"], row["pathology"]) for row in masses)
    birads = Counter((row["pathology"], int(row["assessment"])) for row in masses)
    subtlety = Counter((row["mass margins"].split("-")[-1], int(row["subtlety"])) for row in masses)

    assert len(masses) == 1318
    assert {(row[0], row[1], name): row[2 + at] for row in MASS_KINDS for at, name in enumerate(PATHOLOGIES)} == {
        (row[0], row[1], name): kinds[row[0], row[1], name] for row in MASS_KINDS for name in PATHOLOGIES
    }
    assert sum(sum(row[2:]) for row in MASS_KINDS) == 1318
    assert {name: tuple(birads[name, grade] for grade in range(6)) for name in PATHOLOGIES} == BIRADS_BY_PATHOLOGY
    assert {
        margins: tuple(subtlety[margins, grade] for grade in range(1, 6)) for margins in SUBTLETY_BY_MARGINS
    } == SUBTLETY_BY_MARGINS
    assert sum(map(sum, SUBTLETY_BY_MARGINS.values())) == 1318 - 2


@pytest.mark.data
def test_images_of_patients_are_those_counted_in_the_training_split(prepared_cbis_ddsm: Path) -> None:
    images = train_images(prepared_cbis_ddsm)

    views: dict[str, set[str]] = defaultdict(set)
    breasts: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in images:
        views[row["patient_id"]].add(f"{row['laterality']} {row['view']}")
        breasts[row["patient_id"], row["laterality"]][row["view"]] = int(row["n_masses"])

    assert Counter(", ".join(sorted(names)) for names in views.values()) == dict(VIEWS_OF_PATIENT)
    assert Counter((counts.get("CC"), counts.get("MLO")) for counts in breasts.values()) == {
        (in_cc, in_mlo): number for in_cc, in_mlo, number in MASSES_OF_BREAST
    }
    density = Counter(row["breast_density"] for row in images)
    assert tuple(density[grade] for grade in "1234") == DENSITY_IMAGES


@pytest.mark.data
@pytest.mark.slow
def test_sizes_are_those_measured_on_the_training_masks(prepared_cbis_ddsm: Path) -> None:
    fractions: dict[str, list[float]] = defaultdict(list)
    for row in train_images(prepared_cbis_ddsm):
        if row["n_masses"] != "1":
            continue
        image = np.asarray(Image.open(prepared_cbis_ddsm / row["image"]))
        mask = np.asarray(Image.open(prepared_cbis_ddsm / row["mask"])) > 127
        breast = image > 0.02 * image.max()
        if (mask & breast).sum() >= 0.9 * mask.sum():
            fractions[ALL_SHAPES].append(mask.sum() / breast.sum())
            fractions[row["mass_shape"].split("-")[0]].append(mask.sum() / breast.sum())

    measured = {name: np.quantile(values, QUANTILES) for name, values in fractions.items() if len(values) >= 10}

    assert len(fractions[ALL_SHAPES]) == 1166
    assert measured.keys() == AREA_FRACTION.keys()
    for name, quantiles in AREA_FRACTION.items():
        np.testing.assert_allclose(quantiles, measured[name], atol=6e-6)


def test_every_term_of_the_margins_has_its_subtlety() -> None:
    last_terms = {margins.rpartition("-")[2] for _, margins, *_ in MASS_KINDS}

    assert last_terms == SUBTLETY_BY_MARGINS.keys()


def test_drawn_masses_are_as_often_malignant_as_counted() -> None:
    rng = np.random.default_rng(5)

    drawn = Counter(draw_findings(rng, 1)[0].pathology for _ in range(3000))

    # 637 of 1,318 masses; the standard error of 3,000 draws is 0.009.
    assert drawn["MALIGNANT"] / 3000 == pytest.approx(637 / 1318, abs=0.036)


def test_drawn_spiculated_masses_are_mostly_malignant_and_circumscribed_ones_benign() -> None:
    rng = np.random.default_rng(6)
    findings = [draw_findings(rng, 1)[0] for _ in range(3000)]

    spiculated = [found.pathology == "MALIGNANT" for found in findings if found.margins == "SPICULATED"]
    circumscribed = [found.pathology == "MALIGNANT" for found in findings if found.margins == "CIRCUMSCRIBED"]

    # Counted: 260 of 281 and 32 of 304.
    assert np.mean(spiculated) == pytest.approx(0.92, abs=0.06)
    assert np.mean(circumscribed) == pytest.approx(0.105, abs=0.06)


def test_drawn_sizes_follow_the_counted_quantiles() -> None:
    rng = np.random.default_rng(7)

    drawn = np.array([draw_findings(rng, 1)[0].area_fraction for _ in range(4000)])

    for level in (0.1, 0.5, 0.9):
        counted = AREA_FRACTION[ALL_SHAPES][QUANTILES.index(level)]
        # The shapes are mixed as among all masses, the counted sizes stem from images with a single one.
        assert float(np.quantile(drawn, level)) == pytest.approx(counted, rel=0.15)


def test_masses_of_one_breast_share_pathology_and_assessment() -> None:
    findings = draw_findings(np.random.default_rng(8), 6)

    assert len({(found.pathology, found.birads) for found in findings}) == 1


def test_a_breast_with_two_views_mostly_shows_one_mass_in_each() -> None:
    rng = np.random.default_rng(9)

    drawn = Counter(tuple(draw_mass_counts(rng, ("CC", "MLO")).items()) for _ in range(1000))

    # Counted: 477 of 508 breasts with both views.
    assert drawn[("CC", 1), ("MLO", 1)] / 1000 == pytest.approx(477 / 508, abs=0.04)


def test_a_single_view_counts_only_breasts_with_that_view() -> None:
    rng = np.random.default_rng(10)

    assert {next(iter(draw_mass_counts(rng, ("CC",)).items())) for _ in range(50)} == {("CC", 1)}


def test_two_of_three_patients_have_both_views_of_one_breast() -> None:
    rng = np.random.default_rng(11)

    drawn = [draw_views(rng) for _ in range(2000)]

    both = [len(views) == 2 and views[0][0] == views[1][0] for views in drawn]
    assert np.mean(both) == pytest.approx((241 + 219) / 691, abs=0.045)


def test_values_of_several_masses_are_joined_by_semicolons() -> None:
    findings = draw_findings(np.random.default_rng(12), 3)

    known = describe(findings, 2)

    assert known.breast_density == "2"
    assert known.pathology == ";".join([findings[0].pathology] * 3)
    assert known.mass_shape.split(";") == [found.shape for found in findings]

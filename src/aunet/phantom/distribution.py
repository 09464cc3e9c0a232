"""How often CBIS-DDSM's masses have which properties: counted tables, and draws from them.

How the tables were counted, on the training split alone (1,231 images, 1,318 masses on them, 691 patients):

* `MASS_KINDS`, `BIRADS_BY_PATHOLOGY`, `SUBTLETY_BY_MARGINS` count the rows of `mass_case_description_train_set.csv`,
  one row a mass and view. The last term of compound margins ("OBSCURED-ILL_DEFINED") is the one that sets the subtlety.
* `DENSITY_IMAGES`, `VIEWS_OF_PATIENT`, `MASSES_OF_BREAST` count the rows of the prepared set's `cases.csv`, one row an
  image.
* `AREA_FRACTION` holds quantiles of (mask pixels) / (breast pixels) over the 1,166 images with one mass of which at
  least 90 % lies on the breast; breast pixels are those above 2 % of the image's maximum. Images are sorted by the
  first term of the shape; shapes with fewer than 10 such images use the row of all.

A test marked `data` counts all of them anew and compares.

Source:
    CBIS-DDSM: Lee et al. 2017, doi 10.1038/sdata.2017.177, CC BY 3.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aunet.sample import Laterality, MassProperties, View

Pathology = Literal["MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK"]
Density = Literal[1, 2, 3, 4]

PATHOLOGIES: tuple[Pathology, ...] = ("MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK")
DENSITIES: tuple[Density, ...] = (1, 2, 3, 4)

# Shape, margins, then masses that were malignant, benign, benign without callback.
MASS_KINDS: tuple[tuple[str, str, int, int, int], ...] = (
    ("IRREGULAR", "SPICULATED", 163, 3, 7),
    ("IRREGULAR", "ILL_DEFINED", 90, 35, 1),
    ("OVAL", "CIRCUMSCRIBED", 8, 97, 7),
    ("LOBULATED", "CIRCUMSCRIBED", 18, 86, 7),
    ("OVAL", "OBSCURED", 10, 73, 1),
    ("LOBULATED", "OBSCURED", 10, 60, 2),
    ("ROUND", "CIRCUMSCRIBED", 6, 41, 5),
    ("OVAL", "ILL_DEFINED", 22, 24, 2),
    ("LOBULATED", "MICROLOBULATED", 31, 14, 2),
    ("OVAL", "MICROLOBULATED", 25, 15, 0),
    ("LOBULATED", "ILL_DEFINED", 23, 15, 0),
    ("ARCHITECTURAL_DISTORTION", "SPICULATED", 27, 6, 3),
    ("ROUND", "OBSCURED", 1, 25, 0),
    ("IRREGULAR-ARCHITECTURAL_DISTORTION", "SPICULATED", 22, 2, 0),
    ("OVAL", "SPICULATED", 24, 0, 0),
    ("ARCHITECTURAL_DISTORTION", "ILL_DEFINED", 12, 6, 4),
    ("LOBULATED", "CIRCUMSCRIBED-ILL_DEFINED", 11, 10, 0),
    ("LYMPH_NODE", "CIRCUMSCRIBED", 0, 0, 19),
    ("ROUND", "ILL_DEFINED", 14, 3, 1),
    ("ARCHITECTURAL_DISTORTION", "N/A", 7, 5, 4),
    ("ROUND", "SPICULATED", 16, 0, 0),
    ("IRREGULAR", "OBSCURED", 4, 10, 0),
    ("IRREGULAR", "MICROLOBULATED", 11, 0, 1),
    ("FOCAL_ASYMMETRIC_DENSITY", "ILL_DEFINED", 3, 7, 1),
    ("ASYMMETRIC_BREAST_TISSUE", "N/A", 0, 0, 10),
    ("IRREGULAR-ARCHITECTURAL_DISTORTION", "ILL_DEFINED-SPICULATED", 10, 0, 0),
    ("ASYMMETRIC_BREAST_TISSUE", "ILL_DEFINED", 8, 0, 1),
    ("IRREGULAR", "ILL_DEFINED-SPICULATED", 7, 2, 0),
    ("IRREGULAR", "OBSCURED-ILL_DEFINED", 8, 1, 0),
    ("OVAL", "CIRCUMSCRIBED-OBSCURED", 1, 8, 0),
    ("ROUND", "MICROLOBULATED", 2, 4, 3),
    ("FOCAL_ASYMMETRIC_DENSITY", "N/A", 2, 0, 6),
    ("LOBULATED", "SPICULATED", 7, 0, 0),
    ("LYMPH_NODE", "N/A", 0, 0, 7),
    ("ARCHITECTURAL_DISTORTION", "ILL_DEFINED-SPICULATED", 6, 0, 0),
    ("OVAL-LYMPH_NODE", "CIRCUMSCRIBED", 0, 0, 6),
    ("IRREGULAR-ARCHITECTURAL_DISTORTION", "OBSCURED-ILL_DEFINED-SPICULATED", 4, 0, 0),
    ("IRREGULAR-ARCHITECTURAL_DISTORTION", "OBSCURED-SPICULATED", 4, 0, 0),
    ("LOBULATED", "CIRCUMSCRIBED-OBSCURED", 0, 4, 0),
    ("LOBULATED", "OBSCURED-ILL_DEFINED", 4, 0, 0),
    ("IRREGULAR", "CIRCUMSCRIBED-ILL_DEFINED", 2, 1, 0),
    ("LOBULATED-LYMPH_NODE", "CIRCUMSCRIBED", 0, 0, 3),
    ("ROUND-OVAL", "CIRCUMSCRIBED-OBSCURED", 0, 3, 0),
    ("IRREGULAR", "CIRCUMSCRIBED-OBSCURED", 0, 2, 0),
    ("IRREGULAR", "MICROLOBULATED-ILL_DEFINED", 1, 1, 0),
    ("IRREGULAR-ARCHITECTURAL_DISTORTION", "MICROLOBULATED-ILL_DEFINED-SPICULATED", 2, 0, 0),
    ("IRREGULAR-FOCAL_ASYMMETRIC_DENSITY", "ILL_DEFINED", 0, 2, 0),
    ("LOBULATED-IRREGULAR", "ILL_DEFINED", 1, 1, 0),
    ("LOBULATED-IRREGULAR", "OBSCURED-ILL_DEFINED", 2, 0, 0),
    ("N/A", "ILL_DEFINED", 2, 0, 0),
    ("N/A", "N/A", 0, 2, 0),
    ("OVAL", "CIRCUMSCRIBED-ILL_DEFINED", 0, 2, 0),
    ("OVAL", "OBSCURED-ILL_DEFINED", 1, 1, 0),
    ("ASYMMETRIC_BREAST_TISSUE", "OBSCURED", 0, 0, 1),
    ("IRREGULAR", "MICROLOBULATED-SPICULATED", 1, 0, 0),
    ("IRREGULAR-ARCHITECTURAL_DISTORTION", "OBSCURED-ILL_DEFINED", 1, 0, 0),
    ("LOBULATED", "CIRCUMSCRIBED-MICROLOBULATED", 0, 1, 0),
    ("LOBULATED-ARCHITECTURAL_DISTORTION", "MICROLOBULATED-SPICULATED", 1, 0, 0),
    ("LOBULATED-ARCHITECTURAL_DISTORTION", "OBSCURED-ILL_DEFINED", 1, 0, 0),
    ("LOBULATED-IRREGULAR", "MICROLOBULATED-ILL_DEFINED", 0, 1, 0),
    ("LOBULATED-OVAL", "CIRCUMSCRIBED", 0, 1, 0),
    ("ROUND", "CIRCUMSCRIBED-ILL_DEFINED", 0, 1, 0),
    ("ROUND", "CIRCUMSCRIBED-OBSCURED", 0, 1, 0),
    ("ROUND-IRREGULAR-ARCHITECTURAL_DISTORTION", "SPICULATED", 1, 0, 0),
    ("ROUND-LOBULATED", "CIRCUMSCRIBED", 0, 1, 0),
)

# Masses by BI-RADS assessment 0 to 5.
BIRADS_BY_PATHOLOGY: dict[Pathology, tuple[int, ...]] = {
    "MALIGNANT": (19, 1, 0, 45, 279, 293),
    "BENIGN": (110, 0, 28, 189, 246, 4),
    "BENIGN_WITHOUT_CALLBACK": (0, 0, 49, 45, 8, 2),
}

# Masses by subtlety 1 (subtle) to 5 (obvious); the two masses of subtlety 0 are left out.
SUBTLETY_BY_MARGINS: dict[str, tuple[int, ...]] = {
    "CIRCUMSCRIBED": (1, 5, 46, 88, 165),
    "OBSCURED": (4, 25, 60, 77, 50),
    "ILL_DEFINED": (18, 46, 92, 104, 67),
    "MICROLOBULATED": (1, 1, 6, 24, 77),
    "SPICULATED": (13, 23, 41, 69, 172),
    "N/A": (4, 0, 12, 13, 12),
}

# Images by breast density 1 (almost entirely fat) to 4 (extremely dense).
DENSITY_IMAGES: tuple[int, ...] = (245, 551, 328, 107)

# Patients by the images they have; most have a mass in one breast, seen in both views.
VIEWS_OF_PATIENT: tuple[tuple[str, int], ...] = (
    ("R CC, R MLO", 241),
    ("L CC, L MLO", 219),
    ("R MLO", 78),
    ("L MLO", 62),
    ("L CC", 35),
    ("R CC", 25),
    ("L CC, L MLO, R CC, R MLO", 19),
    ("L MLO, R CC, R MLO", 4),
    ("L CC, L MLO, R MLO", 3),
    ("L CC, L MLO, R CC", 3),
    ("L MLO, R MLO", 1),
    ("L CC, R CC, R MLO", 1),
)

# Masses seen in the CC and in the MLO view of a breast (None: no such image), and how many breasts have that.
MASSES_OF_BREAST: tuple[tuple[int | None, int | None, int], ...] = (
    (1, 1, 477),
    (None, 1, 144),
    (1, None, 64),
    (2, 2, 12),
    (1, 2, 6),
    (3, 3, 5),
    (None, 2, 4),
    (1, 3, 2),
    (2, 1, 2),
    (4, 2, 1),
    (3, 5, 1),
    (1, 4, 1),
    (None, 3, 1),
    (5, 6, 1),
    (2, 3, 1),
)

QUANTILES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
ALL_SHAPES = "ALL"

AREA_FRACTION: dict[str, tuple[float, ...]] = {
    "ARCHITECTURAL_DISTORTION": (
        0.00162,
        0.00457,
        0.00569,
        0.00842,
        0.01007,
        0.01310,
        0.01610,
        0.01748,
        0.02057,
        0.02862,
        0.03928,
        0.05348,
        0.21427,
    ),
    "ASYMMETRIC_BREAST_TISSUE": (
        0.00594,
        0.00645,
        0.00691,
        0.00892,
        0.01496,
        0.02173,
        0.02766,
        0.03643,
        0.04824,
        0.05830,
        0.16244,
        0.23324,
        0.27048,
    ),
    "FOCAL_ASYMMETRIC_DENSITY": (
        0.00204,
        0.00336,
        0.00419,
        0.00696,
        0.00941,
        0.01185,
        0.01411,
        0.01760,
        0.01873,
        0.03039,
        0.03345,
        0.03544,
        0.03801,
    ),
    "IRREGULAR": (
        0.00116,
        0.00262,
        0.00359,
        0.00513,
        0.00692,
        0.00881,
        0.01125,
        0.01388,
        0.01628,
        0.02175,
        0.03329,
        0.04930,
        0.17147,
    ),
    "LOBULATED": (
        0.00129,
        0.00221,
        0.00262,
        0.00391,
        0.00506,
        0.00664,
        0.00802,
        0.00968,
        0.01168,
        0.01598,
        0.02829,
        0.03617,
        0.08543,
    ),
    "OVAL": (
        0.00125,
        0.00266,
        0.00300,
        0.00414,
        0.00553,
        0.00710,
        0.00845,
        0.01021,
        0.01233,
        0.01672,
        0.02581,
        0.03258,
        0.09318,
    ),
    "ROUND": (
        0.00115,
        0.00231,
        0.00367,
        0.00517,
        0.00623,
        0.00748,
        0.00940,
        0.01091,
        0.01324,
        0.01836,
        0.03531,
        0.05534,
        0.13323,
    ),
    ALL_SHAPES: (
        0.00115,
        0.00240,
        0.00307,
        0.00456,
        0.00610,
        0.00779,
        0.00966,
        0.01165,
        0.01479,
        0.01963,
        0.03103,
        0.04771,
        0.27048,
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One mass as a table describes it."""

    shape: str
    """One or several of CBIS-DDSM's terms, joined by "-"."""
    margins: str
    pathology: Pathology
    birads: int
    subtlety: int
    """1 (subtle) to 5 (obvious)."""
    area_fraction: float
    """Area of the mass's mask over the area of the breast."""


def draw_density(rng: np.random.Generator) -> Density:
    """Breast density 1 to 4, as often as counted."""
    return DENSITIES[_draw(rng, DENSITY_IMAGES)]


def draw_views(rng: np.random.Generator) -> tuple[tuple[Laterality, View], ...]:
    """The images a patient has, as often as counted."""
    names = VIEWS_OF_PATIENT[_draw(rng, [count for _, count in VIEWS_OF_PATIENT])][0]
    views: list[tuple[Laterality, View]] = []
    for name in names.split(", "):
        laterality: Laterality = "L" if name.startswith("L") else "R"
        view: View = "CC" if name.endswith("CC") else "MLO"
        views.append((laterality, view))
    return tuple(views)


def draw_mass_counts(rng: np.random.Generator, views: Sequence[View]) -> dict[View, int]:
    """How many masses each of a breast's views shows, as often as counted for breasts with these views."""
    fitting = [
        row
        for row in MASSES_OF_BREAST
        if ("CC" in views) == (row[0] is not None) and ("MLO" in views) == (row[1] is not None)
    ]
    in_cc, in_mlo, _ = fitting[_draw(rng, [row[2] for row in fitting])]
    counts: dict[View, int] = {}
    if in_cc is not None:
        counts["CC"] = in_cc
    if in_mlo is not None:
        counts["MLO"] = in_mlo
    return counts


def draw_findings(rng: np.random.Generator, number: int) -> tuple[Finding, ...]:
    """The masses of one breast: of one pathology and assessment, as nearly all breasts with several masses have.

    Counted: 52 of 58 training images with several masses have one pathology, 49 one assessment. Shape and margins are
    drawn for each mass, with subtlety by its margins and size by its shape.
    """
    counts = np.array([row[2:] for row in MASS_KINDS])
    pathology = PATHOLOGIES[_draw(rng, counts.sum(axis=0))]
    birads = _draw(rng, BIRADS_BY_PATHOLOGY[pathology])
    return tuple(_draw_finding(rng, pathology, birads) for _ in range(number))


def _draw_finding(rng: np.random.Generator, pathology: Pathology, birads: int) -> Finding:
    column = 2 + PATHOLOGIES.index(pathology)
    kind = MASS_KINDS[_draw(rng, [int(row[column]) for row in MASS_KINDS])]
    shape, margins = kind[0], kind[1]
    subtlety = 1 + _draw(rng, SUBTLETY_BY_MARGINS[margins.rpartition("-")[2]])
    quantiles = AREA_FRACTION.get(shape.partition("-")[0], AREA_FRACTION[ALL_SHAPES])
    # Between the counted quantiles sizes are taken as log-uniform: they span two orders of magnitude.
    area_fraction = float(np.exp(np.interp(rng.random(), QUANTILES, np.log(quantiles))))
    return Finding(shape, margins, pathology, birads, subtlety, area_fraction)


def describe(findings: Sequence[Finding], density: Density) -> MassProperties:
    """What the table says of an image with these masses, values joined by ";"."""
    return MassProperties(
        breast_density=str(density),
        birads=";".join(str(finding.birads) for finding in findings),
        pathology=";".join(finding.pathology for finding in findings),
        subtlety=";".join(str(finding.subtlety) for finding in findings),
        mass_shape=";".join(finding.shape for finding in findings),
        mass_margins=";".join(finding.margins for finding in findings),
    )


def _draw(rng: np.random.Generator, counts: Sequence[int] | np.ndarray) -> int:
    """An index, with probability proportional to its count."""
    weights = np.asarray(counts, dtype=np.float64)
    return int(rng.choice(len(weights), p=weights / weights.sum()))

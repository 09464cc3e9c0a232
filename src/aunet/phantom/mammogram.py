"""One synthetic mammogram: a breast's view with its masses, as film or detector would show it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8, UInt16

from aunet.phantom.acquisition import (
    DETECTOR_BITS,
    FILM_BITS,
    Acquisition,
    Film,
    attenuation,
    detector_pixels,
    expose,
    film_pixels,
)
from aunet.phantom.anatomy import project
from aunet.phantom.distribution import Density, Finding, describe, draw_density, draw_findings
from aunet.phantom.film_marks import mark_film
from aunet.phantom.geometry import Breast, draw_breast, draw_field
from aunet.phantom.masses import Mass, draw_mass, draw_masses
from aunet.sample import Laterality, Mask2D, MassProperties, Spacing, View

# Breast area over depth times height, geometric mean of both views over 120 breasts (0.73 in CC, 1.0 in MLO); the
# counted area fractions are laid on it, so that a mass has one size in both views.
AREA_OF_RECTANGLE = 0.86


@dataclass(frozen=True, slots=True)
class Phantom:
    """A synthetic mammogram as it is stored, with what is known of it."""

    image: UInt16[np.ndarray, "h w"]
    """Stored pixels, bright where dense; the chest wall is at the left edge of a left breast, at the right of a
    right one."""
    mask: Mask2D
    """Union of the masses."""
    instances: UInt8[np.ndarray, "h w"]
    """0 outside, then 1, 2, ... in the order of `properties`."""
    properties: MassProperties
    laterality: Laterality
    view: View
    bits_stored: int
    """16 for film, 12 for a detector."""
    spacing_mm: Spacing | None
    """None for film: a scan carries none."""
    breast: Mask2D
    """Pixels that the breast covers, pectoral muscle included."""


@dataclass(frozen=True, slots=True)
class Case:
    """A breast and its masses, which its views share."""

    breast: Breast
    masses: tuple[Mass, ...]


def draw_case(rng: np.random.Generator, *, density: Density, findings: tuple[Finding, ...]) -> Case:
    """A breast of this density with these masses."""
    breast = draw_breast(rng, density)
    area_mm2 = AREA_OF_RECTANGLE * breast.depth_mm * breast.height_mm
    return Case(breast, tuple(draw_mass(rng, finding, area_mm2) for finding in findings))


def make_phantom(
    rng: np.random.Generator,
    *,
    rows: int = 1024,
    view: View = "CC",
    laterality: Laterality = "L",
    density: Density | None = None,
    findings: tuple[Finding, ...] | None = None,
    acquisition: Acquisition = "film",
) -> Phantom:
    """One synthetic mammogram, independent of all others.

    Args:
        rng: Where all randomness comes from.
        rows: Height in pixels, 64 to 8192.
        view: CC or MLO; an MLO view shows the pectoral muscle.
        laterality: A right breast is mirrored.
        density: 1 to 4; None draws it as often as counted in CBIS-DDSM.
        findings: The masses; None draws one as counted, an empty tuple makes a normal breast.
        acquisition: "film" for 16 bit with borders and letters, "detector" for 12 bit without.
    """
    chosen = draw_density(rng) if density is None else density
    drawn = draw_findings(rng, 1) if findings is None else findings
    case = draw_case(rng, density=chosen, findings=drawn)
    return view_of(rng, case, rows=rows, view=view, laterality=laterality, acquisition=acquisition)


def check_rows(rows: int) -> None:
    """Refuse a height at which skin, muscle and masses can't be shown, or beyond that of any scanned film.

    Raises:
        ValueError: Fewer than 64 rows, or more than 8192.
    """
    if not 64 <= rows <= 8192:
        msg = f"rows is {rows}; expected 64 to 8192"
        raise ValueError(msg)


def view_of(
    rng: np.random.Generator,
    case: Case,
    *,
    rows: int,
    view: View,
    laterality: Laterality,
    acquisition: Acquisition,
    number_of_masses: int | None = None,
) -> Phantom:
    """One view of a breast; `number_of_masses` leaves out those that this view does not show.

    Rows out of their range are a ValueError.
    """
    check_rows(rows)
    shown = case.masses[:number_of_masses]
    field = draw_field(rng, case.breast, rows=rows, is_film=acquisition == "film")
    projection = project(rng, case.breast, view, field)
    masses = draw_masses(rng, shown, projection, view)
    weakened = attenuation(projection, masses)
    reference = float(np.median(weakened[::3, ::3][projection.depth[::3, ::3] > 5]))
    exposure = expose(rng, weakened, reference=reference, pixel_mm=field.pixel_mm)
    if acquisition == "film":
        image = film_pixels(rng, exposure, film=Film.sample(rng), pixel_mm=field.pixel_mm)
    else:
        image = detector_pixels(exposure, projection, reference=reference)
    instances, inside = masses.instances, projection.inside
    if laterality == "R":
        image, instances, inside = (np.ascontiguousarray(part[:, ::-1]) for part in (image, instances, inside))
    if acquisition == "film":
        image = mark_film(rng, image, inside, laterality=laterality, view=view)
    return Phantom(
        image=image,
        mask=instances > 0,
        instances=instances,
        properties=describe([mass.finding for mass in shown], case.breast.density),
        laterality=laterality,
        view=view,
        bits_stored=FILM_BITS if acquisition == "film" else DETECTOR_BITS,
        spacing_mm=None if acquisition == "film" else (field.pixel_mm, field.pixel_mm),
        breast=inside,
    )

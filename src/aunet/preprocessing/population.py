"""What a set of images is like, as a network sees them: grey values, sizes and geometry, in few numbers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64
from scipy import ndimage

from aunet.preprocessing.cache import PreparedSample
from aunet.preprocessing.intensity import QUANTILES, breast_quantiles
from aunet.preprocessing.pipeline import Preprocessing, breast_pixels

LEVELS = np.linspace(0.0, 1.0, QUANTILES)
"""Levels of every quantile function here."""

Feature = Literal[
    "grey_distance",
    "grey_median",
    "rows",
    "columns",
    "spacing_mm",
    "breast_share",
    "width_over_height",
    "mass_diameter_px",
    "mass_diameter_mm",
]
FEATURES: tuple[Feature, ...] = get_args(Feature)
Values = Float64[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One image in numbers."""

    patient_id: str
    grey: tuple[float, ...]
    """Quantiles of the grey values within the breast, as shares of the image's range."""
    rows: int
    """Of the source."""
    columns: int
    spacing_mm: float | None
    """Geometric mean of a source pixel's height and width."""
    breast_share: float
    """Share of the source that the breast covers."""
    width_over_height: float
    """Of the part of the source that the network sees."""
    mass_diameters_px: tuple[float, ...]
    """Diameter of the circle of each mass's area, in pixels of the model grid."""
    mass_diameters_mm: tuple[float, ...]
    """The same in millimetres; empty where the spacing is unknown."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How one number is spread over images (or over masses)."""

    n: int
    quantiles: tuple[float, ...]
    """At `LEVELS`."""

    def at(self, levels: Values) -> Values:
        """Quantiles at any levels, straight between the kept ones."""
        found: Values = np.interp(levels, LEVELS, self.quantiles)
        return found

    def ks(self, values: Values) -> float:
        """Kolmogorov-Smirnov distance of some values, at least one, from these quantiles.

        The two cumulative distributions are compared at the kept quantiles alone, from below and from above: nothing is
        known between them. Where many values are equal the distribution jumps somewhere between two levels, and the
        jump that is nearest to the values' own is taken.

        Returns:
            The least distance that the quantiles allow, 0 to 1.
        """
        points = np.unique(self.quantiles)
        first = np.searchsorted(self.quantiles, points, side="left")
        last = np.searchsorted(self.quantiles, points, side="right") - 1
        ordered = np.sort(values)
        below = np.searchsorted(ordered, points, side="left") / values.size
        up_to = np.searchsorted(ordered, points, side="right") / values.size
        nearest_below = np.clip(below, LEVELS[np.maximum(first - 1, 0)], LEVELS[first])
        nearest_up_to = np.clip(up_to, LEVELS[last], LEVELS[np.minimum(last + 1, LEVELS.size - 1)])
        return float(max(np.abs(below - nearest_below).max(), np.abs(up_to - nearest_up_to).max()))


@dataclass(frozen=True, slots=True)
class Population:
    """A set of images in numbers; it names no image and no patient."""

    images: int
    patients: int
    grey: tuple[float, ...]
    """Mean of the images' quantile functions of grey within the breast: what other images can be matched to."""
    features: Mapping[Feature, Spread]
    """Those that are known of at least one image."""

    def to_json(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Population":
        """The record that `to_json` wrote.

        Args:
            text: The JSON.

        Returns:
            The record.

        Raises:
            ValueError: The text is no such record.
        """
        try:
            content = json.loads(text)
            features = content["features"]
            found = cls(
                images=int(content["images"]),
                patients=int(content["patients"]),
                grey=_levels(content["grey"]),
                features={
                    name: Spread(int(features[name]["n"]), _levels(features[name]["quantiles"]))
                    for name in FEATURES
                    if name in features
                },
            )
        except (KeyError, TypeError) as error:
            msg = f"not a population as to_json writes it: {text[:80]!r}"
            raise ValueError(msg) from error
        if unknown := sorted(features.keys() - set(FEATURES)):
            msg = f"unknown features {', '.join(unknown)}; a later version of aunet may have written them"
            raise ValueError(msg)
        return found


def profile_of(prepared: PreparedSample, settings: Preprocessing) -> Profile:
    """One image in numbers.

    Grey values are taken within the breast on the model grid, as shares of the image's range: the stage at which
    `Preprocessing.reference_quantiles` matches. Min-max and z-score leave these shares as they are; the window of
    `percentile` has cut their ends.

    Args:
        prepared: The image on the model grid.
        settings: How it was prepared.

    Returns:
        Its numbers.
    """
    image, grid, spacing = prepared.grey, prepared.grid, prepared.spacing_mm
    breast = breast_pixels(image, settings)
    before, after = grid.resize.before, grid.resize.after
    source_per_model = (before[0] * before[1]) / (after[0] * after[1])
    rows, columns = grid.source_shape
    pixel_mm = None if spacing is None else float(np.sqrt(spacing[0] * spacing[1]))
    labels, count = ndimage.label(prepared.mask, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    diameters = tuple(float(2 * np.sqrt(area / np.pi)) for area in areas)
    return Profile(
        patient_id=prepared.sample.patient_id,
        grey=breast_quantiles(image, breast=breast),
        rows=rows,
        columns=columns,
        spacing_mm=None if pixel_mm is None else pixel_mm / float(np.sqrt(source_per_model)),
        breast_share=float(np.count_nonzero(breast)) * source_per_model / (rows * columns),
        width_over_height=grid.crop.columns / grid.crop.rows,
        mass_diameters_px=diameters,
        mass_diameters_mm=() if pixel_mm is None else tuple(pixel_mm * diameter for diameter in diameters),
    )


def population_of(profiles: Iterable[Profile]) -> Population:
    """A set of images in numbers.

    Args:
        profiles: Its images, at least one.

    Returns:
        The record, its numbers rounded to six digits.
    """
    images = list(profiles)
    grey = mean_grey(images)
    return Population(
        images=len(images),
        patients=len({image.patient_id for image in images}),
        grey=grey,
        features={
            name: Spread(values.size, _rounded(np.quantile(values, LEVELS)))
            for name, values in feature_values(images, reference=grey).items()
            if values.size
        },
    )


def mean_grey(profiles: Sequence[Profile]) -> tuple[float, ...]:
    """The mean of the images' quantile functions of grey: the distribution nearest to all of theirs.

    Args:
        profiles: At least one image.

    Returns:
        Quantiles at `LEVELS`, rounded to six digits.
    """
    grey = np.array([image.grey for image in profiles], dtype=np.float64)
    return _rounded(grey.mean(axis=0))


def feature_values(profiles: Sequence[Profile], *, reference: tuple[float, ...]) -> Mapping[Feature, Values]:
    """The values of every feature, one an image, or one a mass.

    Args:
        profiles: The images.
        reference: Quantiles of grey from which `grey_distance` counts: the mean distance of the quantile functions.

    Returns:
        Values by feature, rounded to six digits as the record's quantiles are; none where nothing is known.
    """
    grey = np.array([image.grey for image in profiles], dtype=np.float64)
    found: dict[Feature, object] = {
        "grey_distance": np.abs(grey - np.asarray(reference)).mean(axis=1),
        "grey_median": grey[:, grey.shape[1] // 2],
        "rows": [image.rows for image in profiles],
        "columns": [image.columns for image in profiles],
        "spacing_mm": [image.spacing_mm for image in profiles if image.spacing_mm is not None],
        "breast_share": [image.breast_share for image in profiles],
        "width_over_height": [image.width_over_height for image in profiles],
        "mass_diameter_px": [diameter for image in profiles for diameter in image.mass_diameters_px],
        "mass_diameter_mm": [diameter for image in profiles for diameter in image.mass_diameters_mm],
    }
    # Unrounded, one and the same spacing would differ from the record's by the noise of floating point.
    return {name: np.array(_rounded(np.asarray(values, dtype=np.float64))) for name, values in found.items()}


def _rounded(values: Float64[np.ndarray, " n"]) -> tuple[float, ...]:
    """Six digits, so that a card stays small; ascending values stay ascending."""
    return tuple(float(f"{value:.6g}") for value in values)


def _levels(values: Sequence[float]) -> tuple[float, ...]:
    """As many ascending numbers as there are levels.

    Raises:
        ValueError: They are not.
    """
    found = tuple(float(value) for value in values)
    if len(found) != QUANTILES or list(found) != sorted(found):
        msg = f"{QUANTILES} ascending quantiles expected, not {found}"
        raise ValueError(msg)
    return found

"""How far a data set lies from the images that a network was trained on: grey values, sizes, geometry."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import ks_2samp, kstwobign

from aunet.datasets.dataset import DataSet
from aunet.errors import DatasetError
from aunet.evaluation.summary import Failure
from aunet.inference.training_images import training_images
from aunet.io.files import UNREADABLE, reason_for
from aunet.models.card import ModelCard
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.preprocessing.population import (
    FEATURES,
    LEVELS,
    Feature,
    Profile,
    Spread,
    Values,
    feature_values,
    mean_grey,
    profile_of,
)

FORMAT = 1
CONFIDENCE = 0.95
_MIDDLE_NINE_TENTHS = np.array([0.05, 0.5, 0.95])
_FINE_LEVELS = (np.arange(512) + 0.5) / 512

_GREY_ADVICE = (
    "match them by --match-intensity, or fine-tune on a few labelled images; score both ways on labelled images of this"
    " site"
)
_SIZE_ADVICE = "images of any size are brought to the network's grid; look at spacing and geometry, which decide"


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a feature is called, and what to do where it differs."""

    title: str
    unit: str
    advice: str


MEANINGS: Mapping[Feature, Meaning] = {
    "grey_distance": Meaning("Distance of an image's grey values from the training mean", "of the range", _GREY_ADVICE),
    "grey_median": Meaning("Median grey within the breast", "of the range", _GREY_ADVICE),
    "rows": Meaning("Rows", "px", _SIZE_ADVICE),
    "columns": Meaning("Columns", "px", _SIZE_ADVICE),
    "spacing_mm": Meaning("Pixel spacing", "mm", "coarser pixels show less of small masses; read the scores by size"),
    "breast_share": Meaning(
        "Share of the image that the breast covers",
        "",
        "another field or collimation, or the breast is found otherwise: look at some overlays of aunet segment",
    ),
    "width_over_height": Meaning(
        "Width over height of what the network sees",
        "",
        'breasts are stretched otherwise than in training; fine-tune, or train with preprocessing.fit = "pad"',
    ),
    "mass_diameter_px": Meaning(
        "Diameter of a mass on the network's grid", "px", "read the scores by size: small masses are missed more often"
    ),
    "mass_diameter_mm": Meaning(
        "Diameter of a mass", "mm", "other patients, or other habits in outlining: compare some outlines by eye"
    ),
}


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature here and in training."""

    feature: Feature
    n: int
    """Images, or masses, of which it is known here."""
    n_training: int
    here: tuple[float, ...]
    """5 %, 50 % and 95 % quantile."""
    training: tuple[float, ...]
    ks: float
    """Kolmogorov-Smirnov distance: largest difference of the two cumulative distributions, 0 to 1."""
    ks_by_chance: float
    """What it stays below in 95 of 100 draws of as many patients from one and the same population."""
    outside: float
    """Share of the values here outside the training's 5 % to 95 %; 0.1 where nothing differs."""

    @property
    def differs(self) -> bool:
        """Whether it lies further off than chance would have it."""
        return self.ks > self.ks_by_chance

    @property
    def sentence(self) -> str:
        """What differs and what to do, in plain words."""
        meaning = MEANINGS[self.feature]
        unit = f" {meaning.unit}" if meaning.unit else ""
        facts = (
            f"{meaning.title}: {_middle(self.here)}{unit} here, {_middle(self.training)}{unit} in training; "
            f"{self.outside:.0%} of the values here lie outside the training's middle nine tenths"
        )
        distance = f"KS distance {self.ks:.2f}, by chance up to {self.ks_by_chance:.2f}"
        verdict = f"Differs ({distance}): {meaning.advice}" if self.differs else f"Within chance ({distance})"
        return f"{facts}. {verdict}."


@dataclass(frozen=True, slots=True)
class GreyDrift:
    """The mean distribution of grey within the breast, here and in training."""

    here: tuple[float, ...]
    """Quantiles, as shares of an image's range."""
    training: tuple[float, ...]
    mean_distance: float
    """Of the two quantile functions, in the same unit."""
    largest_distance: float
    largest_at: float
    """The level of the quantile where it is largest, 0 to 1."""
    ks: float
    """Kolmogorov-Smirnov distance of the two mean distributions."""

    @property
    def sentence(self) -> str:
        """The distances in plain words."""
        level = round(100 * self.largest_at)
        return (
            f"Mean grey values within the breast: the quantile functions lie {self.mean_distance:.1%} of the range "
            f"apart on average and {self.largest_distance:.1%} at most, at {level} % of the breast "
            f"({np.interp(self.largest_at, LEVELS, self.here):.2f} here, "
            f"{np.interp(self.largest_at, LEVELS, self.training):.2f} in training); KS distance {self.ks:.2f}."
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a data set lies from a network's training images."""

    data: str
    images: int
    patients: int
    training_images: int
    training_patients: int
    grey: GreyDrift
    features: tuple[FeatureDrift, ...]
    only_here: tuple[Feature, ...]
    """Known here and not of the training images, so not compared."""
    only_in_training: tuple[Feature, ...]
    not_compared: tuple[Failure, ...]
    """Images that could not be prepared as the network wants them."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The whole report in plain words, a sentence or two a line."""
        one_sided = [f"{MEANINGS[name].title}: known here only, not compared." for name in self.only_here]
        one_sided += [f"{MEANINGS[name].title}: not known here, not compared." for name in self.only_in_training]
        counts = (
            f"{self.images} images of {self.patients} patients, beside {self.training_images} images of "
            f"{self.training_patients} patients in training."
        )
        return (
            counts,
            self.grey.sentence,
            *(feature.sentence for feature in self.features),
            *one_sided,
            *(f"Not compared: {failure.case}: {failure.reason}" for failure in self.not_compared),
        )

    def to_json(self) -> str:
        """The report as one JSON document."""
        document = {"format": FORMAT, **asdict(self), "sentences": self.sentences}
        for entry, feature in zip(document["features"], self.features, strict=True):
            entry["differs"] = feature.differs
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def drift_of(
    dataset: DataSet,
    card: ModelCard,
    *,
    allow_for_processing: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Drift:
    """Compare a data set with the training images of a network.

    Every image is prepared as the network wants it, and compared on the network's grid.

    Args:
        dataset: The data set; all its samples are compared, whatever their split.
        card: The network's card. One without a record of the training images is a `CheckpointError`.
        allow_for_processing: Let FOR PROCESSING images through.
        on_progress: Called with the number of images done and their total.

    Returns:
        The comparison.

    Raises:
        DatasetError: No image can be prepared.
    """
    known = training_images(card)
    settings = Preprocessing.from_json(card.preprocessing)
    cache = PreparedCache(None, settings, allow_for_processing=allow_for_processing)
    profiles: list[Profile] = []
    failures: list[Failure] = []
    for done, sample in enumerate(dataset.samples, start=1):
        try:
            profiles.append(profile_of(cache.load(sample), settings))
        except UNREADABLE as error:
            failures.append(Failure(sample.case, reason_for(sample, error)))
        if on_progress is not None:
            on_progress(done, len(dataset.samples))
    if not profiles:
        msg = f"{dataset.name}: no image can be compared with the training images; aunet inspect names the reasons"
        raise DatasetError(msg)
    patients = len({profile.patient_id for profile in profiles})
    values = {name: one for name, one in feature_values(profiles, reference=known.grey).items() if one.size}
    return Drift(
        data=dataset.name,
        images=len(profiles),
        patients=patients,
        training_images=known.images,
        training_patients=known.patients,
        grey=_grey_drift(mean_grey(profiles), known.grey),
        features=tuple(
            _feature_drift(name, values[name], spread, patients=(patients, known.patients))
            for name in FEATURES
            if name in values and (spread := known.features.get(name)) is not None
        ),
        only_here=tuple(name for name in FEATURES if name in values and name not in known.features),
        only_in_training=tuple(name for name in FEATURES if name not in values and name in known.features),
        not_compared=tuple(failures),
    )


def _grey_drift(here: tuple[float, ...], training: tuple[float, ...]) -> GreyDrift:
    apart = np.abs(np.subtract(here, training))
    fine = [np.interp(_FINE_LEVELS, LEVELS, quantiles) for quantiles in (here, training)]
    return GreyDrift(
        here=here,
        training=training,
        mean_distance=float(apart.mean()),
        largest_distance=float(apart.max()),
        largest_at=float(LEVELS[np.argmax(apart)]),
        # Its p-value would take points of two curves for independent draws; the distance alone is wanted.
        ks=float(ks_2samp(*fine, method="asymp").statistic),
    )


def _feature_drift(feature: Feature, values: Values, training: Spread, *, patients: tuple[int, int]) -> FeatureDrift:
    low, median, high = (float(value) for value in training.at(_MIDDLE_NINE_TENTHS))
    # Images of one patient are alike: the patients count as draws, not their images.
    n, n_training = min(values.size, patients[0]), min(training.n, patients[1])
    return FeatureDrift(
        feature=feature,
        n=int(values.size),
        n_training=training.n,
        here=tuple(float(value) for value in np.quantile(values, _MIDDLE_NINE_TENTHS)),
        training=(low, median, high),
        ks=training.ks(values),
        ks_by_chance=min(1.0, float(kstwobign.ppf(CONFIDENCE)) * float(np.sqrt(1 / n + 1 / n_training))),
        outside=float(np.mean((values < low) | (values > high))),
    )


def _middle(quantiles: tuple[float, ...]) -> str:
    low, median, high = (f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" for value in quantiles)
    return f"{median} ({low} to {high})"

"""Temperature and operating point of a network, chosen on validation images."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from scipy.optimize import minimize_scalar

from aunet.datasets.dataset import DataSet
from aunet.datasets.splits import samples_of
from aunet.errors import DatasetError
from aunet.inference.backends.backend import Images
from aunet.inference.segmenter import Segmenter
from aunet.inference.variations import VariedBackend, logits_of
from aunet.io.files import UNREADABLE, reason_for
from aunet.metrics.calibration import reliability_of
from aunet.metrics.detection import (
    SCORE,
    ImageDetections,
    Score,
    detect,
    froc,
    keep_regions,
    label_masses,
    region_scores,
)
from aunet.metrics.overlap import dice
from aunet.models.card import Flips, ModelCard, Scales
from aunet.preprocessing.cache import PreparedCache, PreparedSample
from aunet.preprocessing.mass_transfer import without_masses
from aunet.preprocessing.pipeline import breast_pixels
from aunet.sample import Mask2D, Probability, Sample

logger = logging.getLogger(__name__)

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
SMALLEST_PX = (0, 4, 8, 16, 32, 64)
"""Pixels of the model grid."""
LOWEST_SCORES = (0.0, *THRESHOLDS)
DSC_TOLERANCE = 0.005
"""Mean DSC that is given up for fewer false positives: a twentieth of the width of its 95 % interval on 180 images."""
_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """What makes masses of a network's logits."""

    temperature: float
    threshold: float
    smallest_mass_px: int
    lowest_score: float

    @classmethod
    def of(cls, card: ModelCard) -> "Choice":
        """That of a card."""
        return cls(card.temperature, card.threshold, card.smallest_mass_px, card.lowest_score)


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a choice is on the validation images."""

    choice: Choice
    negative_log_likelihood: float
    """Mean over the pixels of the breast."""
    expected_calibration_error: float
    """Over the same pixels."""
    dsc: float
    """Mean over the images with a mass, a missed one counting 0."""
    false_positives_per_image: float
    marks_without_masses_per_image: float
    """Regions marked in an image whose masses are taken out (`aunet.preprocessing.mass_transfer`)."""
    sensitivity: float
    """Share of the masses that are found; NaN without a mass."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was chosen, on what, and what it changed."""

    data: str
    split: str
    flips: Flips
    scales: Scales
    n_images: int
    n_with_mass: int
    n_left_out: int
    """Images that could not be read."""
    n_pixels: int
    """Pixels within the breast."""
    before: Quality
    after: Quality
    sensitivity_at_1_false_positive: Mapping[Score, float]
    """By FROC, for each score that a region could have, at the chosen threshold and smallest mass."""

    def to_json(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def calibrated(self, card: ModelCard) -> ModelCard:
        """A card with what was chosen."""
        return replace(
            card,
            **asdict(self.after.choice),
            flips=self.flips,
            scales=self.scales,
            calibration=self.to_json(),
        )


@dataclass(frozen=True, slots=True)
class Predicted:
    """One validation image, what the network says of it, and what it says without the masses."""

    logits: Float32[np.ndarray, "answers h w"]
    """Mass against background; one answer for each variation of the image."""
    without_masses: Float32[np.ndarray, "answers h w"]
    """Likewise, of the image with its masses taken out."""
    mask: Mask2D
    """Reference, model grid."""
    breast: Mask2D


def mean_probability(logits: Float32[np.ndarray, "answers h w"], temperature: float) -> Probability:
    """The mean of several answers' probabilities.

    Args:
        logits: Mass against background.
        temperature: What they are divided by.

    Returns:
        A probability of mass.
    """
    with np.errstate(over="ignore"):  # a probability of 0
        answers = 1 / (1 + np.exp(-logits.astype(np.float64) / temperature))
    mean: Probability = answers.mean(axis=0).astype(np.float32)
    return mean


def calibrate(
    segmenter: Segmenter,
    dataset: DataSet,
    *,
    split: str = "validation",
    cache: PreparedCache | None = None,
    batch: int = 8,
    on_progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Choose temperature, threshold, smallest mass and lowest score on the validation images of a data set.

    The temperature is that of the least negative log-likelihood over the pixels of the breast. The rest is what gives
    the highest mean DSC over the images with a mass; of all choices within 0.005 of it, the one that marks the least
    where no mass is: false positives, and whatever is marked in the same images with their masses taken out. Most
    breasts have none.

    Args:
        segmenter: One network.
        dataset: The data set.
        split: "validation"; nothing else is taken, since scores on what anything was chosen on say too much.
        cache: Prepared images; None prepares them anew.
        batch: Images a forward pass.
        on_progress: Called with the number of images predicted and their total.

    Returns:
        The choice, and what it changed.

    Raises:
        ValueError: The split is another one.
        DatasetError: No image belongs to the split, or none that could be read shows a mass.
    """
    if split != "validation":
        msg = (
            f"the split is {split!r}, but temperature and operating point are chosen on validation: training images are"
            " known to the network, and test images are for the scores that are reported; leave --split out"
        )
        raise ValueError(msg)
    samples = samples_of(dataset, "validation")
    prepared = cache or PreparedCache(None, segmenter.preprocessing)
    images = _predicted(samples, segmenter, prepared, batch=batch, on_progress=on_progress)
    n_with_mass = sum(bool(image.mask.any()) for image in images)
    if not n_with_mass:
        msg = (
            f"{dataset.name}: {len(images)} images of the split {split!r} could be read, none with a mass; "
            "give the splits.json of the training run by --splits, or add a column split"
        )
        raise DatasetError(msg)
    is_mass = np.concatenate([image.mask[image.breast] for image in images])
    logits = np.concatenate([image.logits[:, image.breast] for image in images], axis=1)
    before = Choice.of(segmenter.card)
    temperature = fit_temperature(logits, is_mass, start=before.temperature)
    chosen = choose_operating_point(
        [mean_probability(image.logits, temperature) for image in images],
        [image.mask for image in images],
        [mean_probability(image.without_masses, temperature) for image in images if image.mask.any()],
        temperature=temperature,
    )
    return Calibration(
        data=dataset.name,
        split=split,
        flips=segmenter.flips,
        scales=segmenter.scales,
        n_images=len(images),
        n_with_mass=n_with_mass,
        n_left_out=len(samples) - len(images),
        n_pixels=int(is_mass.size),
        before=_quality(before, images, logits, is_mass),
        after=_quality(chosen, images, logits, is_mass),
        sensitivity_at_1_false_positive={score: _sensitivity_at_1(images, chosen, score) for score in get_args(Score)},
    )


def negative_log_likelihood(
    logits: Float[np.ndarray, "answers pixels"], is_mass: Bool[np.ndarray, " pixels"], *, temperature: float
) -> float:
    """Mean over the pixels of minus the logarithm of the probability that was given to what is there.

    Args:
        logits: Mass against background; the probabilities of several answers are averaged.
        is_mass: What is there.
        temperature: What the logits are divided by.

    Returns:
        0 for a network that is sure and right; NaN without a pixel.
    """
    signed = np.where(is_mass, logits, -logits).astype(np.float64) / temperature
    by_answer = -np.logaddexp(0, -signed)
    return float(np.log(len(logits)) - np.logaddexp.reduce(by_answer, axis=0).mean())


def fit_temperature(
    logits: Float[np.ndarray, "answers pixels"], is_mass: Bool[np.ndarray, " pixels"], *, start: float = 1.0
) -> float:
    """The temperature of the least negative log-likelihood.

    Args:
        logits: Mass against background.
        is_mass: What is there.
        start: The temperature so far; it stays where none between 0.05 and 20 is better.

    Returns:
        What the logits are to be divided by.

    Source:
        Guo et al. 2017, arXiv 1706.04599, section 4.2.
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(logits, is_mass, temperature=float(np.exp(log_temperature)))

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x)) if found.fun < loss(float(np.log(start))) else start


def choose_operating_point(
    probabilities: Sequence[Probability],
    masks: Sequence[Mask2D],
    normal: Sequence[Probability] = (),
    *,
    temperature: float = 1.0,
) -> Choice:
    """The choice of the highest mean DSC; among those within 0.005 of it, that which marks the least where no mass is.

    Args:
        probabilities: Of each image, model grid.
        masks: References on the same grid, at least one with a mass.
        normal: Of images without a mass; whatever is marked in them is wrong.
        temperature: What the probabilities were made with; it is only passed on.

    Returns:
        The choice; where several are alike, that of the highest DSC, then the one nearest to dropping nothing.
    """
    dsc = np.stack([_mean_dsc(probabilities, masks, threshold=threshold) for threshold in THRESHOLDS])
    close = set(zip(*(axis.tolist() for axis in np.nonzero(dsc >= dsc.max() - DSC_TOLERANCE)), strict=True))
    candidates: list[tuple[int, float, Choice]] = []
    for (i, threshold), (j, smallest) in product(enumerate(THRESHOLDS), enumerate(SMALLEST_PX)):
        lowest = [k for k in range(len(LOWEST_SCORES)) if (i, j, k) in close]
        if not lowest:
            continue
        # A score that is asked for as well changes nothing for the regions that reach it.
        found = [
            _detections(probability, mask, Choice(temperature, threshold, smallest, 0.0))
            for probability, mask in _with_normal(probabilities, masks, normal)
        ]
        for k in lowest:
            choice = Choice(temperature, threshold, smallest, LOWEST_SCORES[k])
            marked = sum(replace(one, lowest_score=choice.lowest_score).n_false_regions for one in found)
            candidates.append((marked, -float(dsc[i, j, k]), choice))
    # The first of those that are alike: thresholds, sizes and scores rise.
    return min(candidates, key=lambda candidate: candidate[:2])[2]


def _with_normal(
    probabilities: Sequence[Probability], masks: Sequence[Mask2D], normal: Sequence[Probability]
) -> Iterator[tuple[Probability, Mask2D]]:
    """Images with their references, then those without a mass."""
    yield from zip(probabilities, masks, strict=True)
    for probability in normal:
        yield probability, np.zeros(probability.shape, np.bool_)


def _mean_dsc(
    probabilities: Sequence[Probability], masks: Sequence[Mask2D], *, threshold: float
) -> Float64[np.ndarray, "sizes scores"]:
    """Mean DSC over the images with a mass, for each smallest mass and each lowest score."""
    sizes, lowest = np.array(SMALLEST_PX)[:, None, None], np.array(LOWEST_SCORES)[None, :, None]
    total, n = np.zeros((len(SMALLEST_PX), len(LOWEST_SCORES))), 0
    for probability, mask in zip(probabilities, masks, strict=True):
        if mask.any():
            labels = label_masses(probability >= threshold)
            areas = np.bincount(labels.ravel())[1:]
            shared = np.bincount(labels[mask], minlength=areas.size + 1)[1:]
            is_kept = (areas >= sizes) & (region_scores(labels, probability) >= lowest)
            total += 2 * (is_kept @ shared) / (is_kept @ areas + np.count_nonzero(mask))
            n += 1
    return total / n


def _detections(probability: Probability, mask: Mask2D, choice: Choice, *, score: Score = SCORE) -> ImageDetections:
    """What is found among the regions that are large enough."""
    candidates = keep_regions(probability >= choice.threshold, probability, smallest_px=float(choice.smallest_mass_px))
    return replace(detect(candidates, mask, probability=probability, score=score), lowest_score=choice.lowest_score)


def _quality(
    choice: Choice,
    images: Sequence[Predicted],
    logits: Float32[np.ndarray, "answers pixels"],
    is_mass: Bool[np.ndarray, " pixels"],
) -> Quality:
    probabilities = [mean_probability(image.logits, choice.temperature) for image in images]
    normal = [mean_probability(image.without_masses, choice.temperature) for image in images if image.mask.any()]
    inside = np.concatenate([one[image.breast] for one, image in zip(probabilities, images, strict=True)])
    found = [_detections(one, image.mask, choice) for one, image in zip(probabilities, images, strict=True)]
    scores = [
        dice(
            keep_regions(
                probability >= choice.threshold,
                probability,
                smallest_px=float(choice.smallest_mass_px),
                lowest_score=choice.lowest_score,
            ),
            image.mask,
        )
        for probability, image in zip(probabilities, images, strict=True)
        if image.mask.any()
    ]
    return Quality(
        choice=choice,
        negative_log_likelihood=negative_log_likelihood(logits, is_mass, temperature=choice.temperature),
        expected_calibration_error=reliability_of(inside, is_mass).expected_error,
        dsc=float(np.mean(scores)),
        false_positives_per_image=sum(one.n_false_regions for one in found) / len(images),
        marks_without_masses_per_image=sum(
            _detections(one, np.zeros(one.shape, np.bool_), choice).n_false_regions for one in normal
        )
        / len(normal),
        sensitivity=sum(one.n_found for one in found) / sum(one.n_masses for one in found),
    )


def _sensitivity_at_1(images: Sequence[Predicted], choice: Choice, score: Score) -> float:
    """Sensitivity at 1 false positive an image at most, by FROC."""
    return froc([
        _detections(mean_probability(image.logits, choice.temperature), image.mask, choice, score=score)
        for image in images
    ]).sensitivity_at(1.0)


def _predicted(
    samples: Sequence[Sample],
    segmenter: Segmenter,
    cache: PreparedCache,
    *,
    batch: int,
    on_progress: Callable[[int, int], None] | None,
) -> list[Predicted]:
    """Every image that can be read, predicted once."""
    images: list[Predicted] = []
    for start in range(0, len(samples), batch):
        prepared = []
        for sample in samples[start : start + batch]:
            try:
                prepared.append(cache.load(sample))
            except UNREADABLE as error:
                logger.warning("%s: left out: %s", sample.case, reason_for(sample, error))
        if prepared:
            images.extend(_answers(prepared, segmenter))
        if on_progress is not None:
            on_progress(min(start + batch, len(samples)), len(samples))
    return images


def _answers(prepared: Sequence[PreparedSample], segmenter: Segmenter) -> list[Predicted]:
    settings = segmenter.preprocessing
    # Of an image without a mass, the image itself.
    normal = [settings.to_channels(without_masses(one.grey, one.mask, np.random.default_rng(0))) for one in prepared]
    logits = _logits(np.stack([one.image for one in prepared]), segmenter)
    return [
        Predicted(own, without, one.mask, breast_pixels(one.grey, settings))
        for own, without, one in zip(logits, _logits(np.stack(normal), segmenter), prepared, strict=True)
    ]


def _logits(images: Images, segmenter: Segmenter) -> Float32[np.ndarray, "b answers h w"]:
    """What the network says of each variation of the images, without a temperature, whatever that of the card."""
    backend = segmenter.backend
    by_answer = backend.answers(images) if isinstance(backend, VariedBackend) else (backend.probability(images),)
    temperature = np.float32(segmenter.card.temperature)
    logits: np.ndarray = np.stack([logits_of(answer) for answer in by_answer], axis=1) * temperature
    return logits

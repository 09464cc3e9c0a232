"""From samples to rows: images are read ahead, predicted in batches and scored one by one."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from aunet.evaluation.rows import ImageRow
from aunet.io.files import UNREADABLE, count_masses, reason_for
from aunet.metrics.calibration import NO_PIXELS, Reliability, reliability_of
from aunet.metrics.detection import ImageDetections, detect, keep_regions, label_masses
from aunet.metrics.scores import MaskScores, outcome_of, score_masks, worst_scores
from aunet.models.card import ModelCard
from aunet.preprocessing.cache import PreparedCache, PreparedSample
from aunet.preprocessing.pipeline import Preprocessing, breast_pixels
from aunet.sample import Mask2D, Probability, Sample, Shape

logger = logging.getLogger(__name__)

_READERS = 2
_BATCHES_AHEAD = 2
NO_NUMBERS = "the network gave values that are no probabilities"
MASS_LOST = "the mass lies outside of the part of the image that preprocessing keeps"


@runtime_checkable
class Predictor(Protocol):
    """What an evaluation needs of a segmenter."""

    @property
    def card(self) -> ModelCard:
        """What the weights say of themselves."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to every image."""
        ...

    @property
    def threshold(self) -> float:
        """Probability from which a pixel counts as mass."""
        ...

    def probability(self, images: Float32[np.ndarray, "b c h w"]) -> Float32[np.ndarray, "b h w"]:
        """Probability of a mass for each pixel of each prepared image."""
        ...


@dataclass(frozen=True, slots=True)
class Scoring:
    """How images are scored."""

    segmenter: Predictor
    cache: PreparedCache
    tolerance_px: float
    batch: int

    @property
    def shape(self) -> Shape:
        """Rows and columns of the model grid."""
        return self.segmenter.preprocessing.rows, self.segmenter.preprocessing.columns


@dataclass(frozen=True, slots=True)
class Read:
    """One image made ready, or the reason why it could not be."""

    sample: Sample
    prepared: PreparedSample | None
    n_masses: int
    """Masses of the reference, on the source grid where none is on the model grid."""
    reason: str = ""


def score_samples(samples: Sequence[Sample], scoring: Scoring) -> Iterator[list[ImageRow]]:
    """Score images batch by batch; no more than a few batches are in memory at a time.

    Args:
        samples: The images.
        scoring: How they are scored.

    Yields:
        The rows of one batch, in the order of the samples.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix="evaluation-reader") as readers:
        waiting = iter(samples)
        ahead: deque[Future[Read]] = deque()
        while True:
            wanted = scoring.batch * _BATCHES_AHEAD - len(ahead)
            ahead.extend(readers.submit(_read, sample, scoring.cache) for sample in islice(waiting, wanted))
            batch = [ahead.popleft().result() for _ in range(min(scoring.batch, len(ahead)))]
            if not batch:
                return
            yield _score_batch(batch, scoring)


def predict(prepared: Sequence[PreparedSample], segmenter: Predictor) -> list[Probability | None]:
    """Probabilities of a few images.

    Args:
        prepared: Images on the model grid.
        segmenter: What predicts.

    Returns:
        A probability an image; None where the network gave something that is none (not finite, outside [0, 1]).
    """
    if not prepared:
        return []
    probabilities = segmenter.probability(np.stack([one.image for one in prepared]))
    return [one if bool(((one >= 0) & (one <= 1)).all()) else None for one in probabilities]


def marked(probability: Probability, segmenter: Predictor) -> Mask2D:
    """The prediction at the segmenter's operating point.

    Args:
        probability: Of one image, model grid.
        segmenter: Whose threshold, smallest mass and lowest score hold.

    Returns:
        The mask, model grid.
    """
    candidates = _candidates(probability, segmenter)
    return keep_regions(candidates, probability, lowest_score=segmenter.card.lowest_score)


def _candidates(probability: Probability, segmenter: Predictor) -> Mask2D:
    """The regions over which FROC is drawn: large enough, of whatever score."""
    return keep_regions(
        probability >= segmenter.threshold, probability, smallest_px=float(segmenter.card.smallest_mass_px)
    )


def _read(sample: Sample, cache: PreparedCache) -> Read:
    """A sample made ready; what can't be read is a result here, not an error."""
    try:
        prepared = cache.load(sample)
    except UNREADABLE as error:
        reason = reason_for(sample, error)
        logger.warning("%s: no prediction: %s", sample.case, reason)
        return Read(sample, None, count_masses(sample), reason)
    if prepared.mask.any():
        return Read(sample, prepared, int(label_masses(prepared.mask).max()) + prepared.n_cut_off)
    n_masses = count_masses(sample)
    return Read(sample, prepared, n_masses, MASS_LOST if n_masses else "")


def _score_batch(batch: Sequence[Read], scoring: Scoring) -> list[ImageRow]:
    probabilities = iter(predict([read.prepared for read in batch if read.prepared], scoring.segmenter))
    return [_score(read, next(probabilities) if read.prepared else None, scoring) for read in batch]


def _score(read: Read, probability: Probability | None, scoring: Scoring) -> ImageRow:
    sample, prepared = read.sample, read.prepared
    if prepared is None or probability is None:
        return _failed(read, scoring.shape)
    prediction = marked(probability, scoring.segmenter)
    is_lost = read.reason == MASS_LOST
    scores = score_masks(prediction, prepared.mask, spacing_mm=prepared.spacing_mm, tolerance_px=scoring.tolerance_px)
    found = detect(_candidates(probability, scoring.segmenter), prepared.mask, probability=probability)
    return ImageRow(
        case=sample.case,
        outcome="missed" if is_lost else outcome_of(prediction, prepared.mask),
        scores=worst_scores(scoring.shape, spacing_mm=prepared.spacing_mm) if is_lost else scores,
        detections=ImageDetections(
            read.n_masses, found.hit_scores, found.false_scores, scoring.segmenter.card.lowest_score
        ),
        laterality=sample.laterality or "",
        view=sample.view or "",
        properties=sample.properties,
        reference_px=int(np.count_nonzero(prepared.mask)),
        prediction_px=int(np.count_nonzero(prediction)),
        spacing_mm=prepared.spacing_mm,
        reason=read.reason,
        notes="; ".join(prepared.notes),
        # A reference that was cut off says nothing of the pixels that are left.
        reliability=NO_PIXELS if is_lost else _reliability(probability, prepared, scoring),
    )


def _reliability(probability: Probability, prepared: PreparedSample, scoring: Scoring) -> Reliability:
    """The pixels of the breast by their probability."""
    breast = breast_pixels(prepared.grey, scoring.segmenter.preprocessing)
    return reliability_of(probability[breast], prepared.mask[breast])


def _failed(read: Read, shape: Shape) -> ImageRow:
    """The row of an image without a prediction: a miss if it shows a mass."""
    sample, prepared = read.sample, read.prepared
    spacing_mm = prepared.spacing_mm if prepared else None
    return ImageRow(
        case=sample.case,
        outcome="failed",
        scores=worst_scores(shape, spacing_mm=spacing_mm) if read.n_masses else MaskScores(),
        detections=ImageDetections(read.n_masses, (), ()),
        laterality=sample.laterality or "",
        view=sample.view or "",
        properties=sample.properties,
        reference_px=int(np.count_nonzero(prepared.mask)) if prepared else None,
        spacing_mm=spacing_mm,
        reason=read.reason or NO_NUMBERS,
        notes="; ".join(prepared.notes) if prepared else "",
    )

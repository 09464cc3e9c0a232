"""The best, the median and the worst images of an evaluation, drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from aunet.evaluation.figures import overlay
from aunet.evaluation.rows import ImageRow
from aunet.evaluation.scoring import Scoring, marked, predict
from aunet.io.files import UNREADABLE
from aunet.sample import Sample

Rank = Literal["best", "median", "worst"]
EACH = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One image with the outlines of reference and prediction."""

    rank: Rank
    row: ImageRow
    png: bytes


def choose_examples(rows: Sequence[ImageRow], *, each: int = EACH) -> tuple[tuple[Rank, ImageRow], ...]:
    """Choose images to look at, among those with a mass and a reference to draw.

    Args:
        rows: One row an image.
        each: Images a rank; fewer where there are not so many images, and no image twice.

    Returns:
        Images with their rank: the best first, then around the median, then the worst.
    """
    able = [row for row in rows if row.has_mass and row.reference_px and row.outcome != "failed"]
    ordered = sorted(able, key=lambda row: (-row.scores.dsc, row.case))
    each = min(each, len(ordered) // len(get_args(Rank)))
    if not each:
        return tuple(("best", row) for row in ordered)
    middle = (len(ordered) - each) // 2
    starts: dict[Rank, int] = {"best": 0, "median": middle, "worst": len(ordered) - each}
    return tuple((rank, row) for rank, start in starts.items() for row in ordered[start : start + each])


def draw_examples(rows: Sequence[ImageRow], samples: Sequence[Sample], scoring: Scoring) -> tuple[Example, ...]:
    """Read and predict the chosen images once more, and draw them: so no picture is kept while thousands are scored.

    Args:
        rows: One row an image.
        samples: The images.
        scoring: How they were scored.

    Returns:
        The pictures; an image that can't be read any more is left out.
    """
    by_case = {sample.case: sample for sample in samples}
    examples = []
    for rank, row in choose_examples(rows):
        try:
            prepared = scoring.cache.load(by_case[row.case])
        except UNREADABLE:
            continue
        (probability,) = predict([prepared], scoring.segmenter)
        if probability is not None:
            prediction = marked(probability, scoring.segmenter)
            png = overlay(prepared.grey, reference=prepared.mask, prediction=prediction)
            examples.append(Example(rank, row, png))
    return tuple(examples)

"""Reading every image and mask of a data set once, for what only pixels tell."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import LedgerRow, Status
from aunet.datasets.side_by_side import OnProgress
from aunet.errors import ReadError
from aunet.io.files import read_sample, reason_for
from aunet.sample import Laterality, Mammogram, Mask2D, Sample, Shape, View

# Film and detector leave the surroundings of the breast below this share of the image's range.
_BACKGROUND_SHARE = 0.02
_NOTEWORTHY_OUTSIDE = 0.1
_REFUSED_OUTSIDE = 0.9
_REFUSED_COVER = 0.5
_READERS_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the pixels of one sample tell."""

    case: str
    shape: Shape
    bits_stored: int
    area_px: int
    """Pixels of the mask on the source grid."""
    area_share: float
    """Share of the image that the mask covers."""
    area_mm2: float | None
    """None where the pixel spacing is not known."""
    laterality: Laterality | None
    view: View | None
    digest: bytes
    """Equal for equal pixels; tells one film under two names."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A data set whose pixels have all been read."""

    dataset: DataSet
    """With the samples that can be used, and the ledger completed."""
    images: tuple[ImageFacts, ...]
    """Of every sample that could be read, in the table's order."""


@dataclass(frozen=True, slots=True)
class _Finding:
    facts: ImageFacts | None
    repairs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def inspect_pixels(
    dataset: DataSet,
    *,
    allow_for_processing: bool = False,
    readers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """The data set with its ledger completed by what only pixels tell.

    Refused are files that can't be read, constant images, one film under two names, masks that contradict `n_masses`,
    masks that cover more than half of the image, and masks nearly all of which lies outside the breast. Grey masks made
    binary, masks brought to the image's size and empty masks are repairs.

    Args:
        dataset: A data set as `open_dataset` gives it.
        allow_for_processing: Let FOR PROCESSING images through.
        readers: Images read at a time, at most 4 by default; memory grows with them, and not with the data set.
        on_progress: Called with the number of images read and their total.

    Returns:
        The samples that can be used, the completed ledger, and facts on each image.
    """
    # Of rows that repeat one another word for word the first is the one in use.
    rows = {row.case: row for row in reversed(dataset.ledger.rows)}
    findings: dict[str, _Finding] = {}
    seen: dict[bytes, str] = {}

    def look(sample: Sample) -> _Finding:
        return _look(sample, rows[sample.case].n_masses, allow_for_processing=allow_for_processing)

    for sample, finding in _in_order(look, dataset.samples, readers or min(_READERS_AT_MOST, os.cpu_count() or 1)):
        findings[sample.case] = finding
        if finding.facts is not None:
            first = seen.setdefault(finding.facts.digest, sample.case)
            if first != sample.case:
                problem = f"has the very pixels of {first} (line {rows[first].line}); keep one of them"
                findings[sample.case] = replace(finding, problems=(*finding.problems, problem))
        if on_progress is not None:
            on_progress(len(findings), len(dataset.samples))
    return _completed(dataset, findings)


def _in_order(
    look: Callable[[Sample], _Finding], samples: Sequence[Sample], readers: int
) -> Iterator[tuple[Sample, _Finding]]:
    """Look at several samples at a time, and give the findings in the samples' order."""
    waiting: deque[tuple[Sample, Future[_Finding]]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        for sample in samples:
            waiting.append((sample, pool.submit(look, sample)))
            if len(waiting) > 2 * readers:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def _look(sample: Sample, n_masses: int | None, *, allow_for_processing: bool) -> _Finding:
    try:
        mammogram, mask = read_sample(sample, allow_for_processing=allow_for_processing)
    except (ReadError, OSError) as error:
        return _Finding(facts=None, problems=(reason_for(sample, error),))
    repairs = [*mammogram.notes, *mask.notes]
    remarks: list[str] = []
    problems: list[str] = []
    cover = float(mask.pixels.mean())
    if not mask.pixels.any():
        if n_masses:
            problems.append(f"the mask is empty, yet n_masses is {n_masses}; give the mask, or write n_masses 0")
        elif n_masses is None:
            repairs.append("the mask is empty; counted as an image without a mass")
    elif n_masses == 0:
        problems.append("the mask shows a mass, yet n_masses is 0; correct one of them")
    elif cover > _REFUSED_COVER:
        problems.append(f"the mask covers {cover:.0%} of the image; perhaps it is inverted, or shows the breast")
    else:
        outside = _share_outside_breast(mammogram, mask.pixels)
        where = f"{outside:.0%} of the mask lies on the background outside the breast"
        if outside > _REFUSED_OUTSIDE:
            problems.append(f"{where}; perhaps it belongs to another image, or is mirrored")
        elif outside > _NOTEWORTHY_OUTSIDE:
            remarks.append(where)
    return _Finding(_facts(sample.case, mammogram, mask.pixels), tuple(repairs), tuple(remarks), tuple(problems))


def _share_outside_breast(mammogram: Mammogram, mask: Mask2D) -> float:
    """Share of the mask that lies on background."""
    step = max(1, round((mammogram.image.size / 1e6) ** 0.5))
    coarse = mammogram.image[::step, ::step]
    darkest = float(coarse.min())
    # Not the maximum: a film's letters and edges may be far brighter than the breast.
    brightest = float(np.percentile(coarse, 99))
    threshold = darkest + _BACKGROUND_SHARE * (brightest - darkest)
    return float((mammogram.image[mask] <= threshold).mean())


def _facts(case: str, mammogram: Mammogram, mask: Mask2D) -> ImageFacts:
    area_px = int(mask.sum())
    spacing_mm = mammogram.spacing_mm
    return ImageFacts(
        case=case,
        shape=mammogram.shape,
        bits_stored=mammogram.bits_stored,
        area_px=area_px,
        area_share=area_px / mask.size,
        area_mm2=None if spacing_mm is None else area_px * spacing_mm[0] * spacing_mm[1],
        laterality=mammogram.laterality,
        view=mammogram.view,
        digest=hashlib.blake2b(
            np.ascontiguousarray(mammogram.image).data, digest_size=16, salt=repr(mammogram.shape).encode()[:16]
        ).digest(),
    )


def _completed(dataset: DataSet, findings: dict[str, _Finding]) -> Inspection:
    pending = dict(findings)
    rows: list[LedgerRow] = []
    for row in dataset.ledger.rows:
        finding = pending.pop(row.case, None)
        rows.append(row if finding is None else _joined(row, finding))
    samples = tuple(sample for sample in dataset.samples if not findings[sample.case].problems)
    facts = tuple(finding.facts for finding in findings.values() if finding.facts is not None)
    ledger = replace(dataset.ledger, rows=tuple(rows))
    return Inspection(replace(dataset, samples=samples, ledger=ledger), facts)


def _joined(row: LedgerRow, finding: _Finding) -> LedgerRow:
    status: Status = row.status
    if finding.problems:
        status = "refused"
    elif finding.repairs and status == "read":
        status = "repaired"
    repairs = [repair for repair in finding.repairs if repair not in row.reason]
    reasons = [*finding.problems, row.reason, *repairs, *finding.remarks]
    joined = replace(row, status=status, reason="; ".join(reason for reason in reasons if reason))
    if finding.facts is None:
        return joined
    facts = finding.facts
    rows, columns = facts.shape
    return replace(joined, rows=rows, columns=columns, bits_stored=facts.bits_stored, pixels_hash=facts.digest.hex())

"""An evaluation from samples to files: `per_image.csv`, `summary.json`, `report.html`."""

import logging
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from aunet.datasets.dataset import DataSet
from aunet.datasets.identity import identity_of
from aunet.datasets.splits import samples_of
from aunet.errors import DatasetError
from aunet.evaluation.examples import draw_examples
from aunet.evaluation.report import report
from aunet.evaluation.rows import RowLog
from aunet.evaluation.scoring import Predictor, Scoring, score_samples
from aunet.evaluation.stats import DEFAULT_BOOTSTRAP, Bootstrap, score_detection, score_group, score_groups
from aunet.evaluation.summary import Failure, Provenance, Summary
from aunet.inference.segmenter import Segmenter, WeightsFile
from aunet.io.aside import digest, write_text
from aunet.metrics.calibration import sum_of
from aunet.metrics.surface import SURFACE_TOLERANCE_PX
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Sample, Split

logger = logging.getLogger(__name__)

_VERSIONS_OF = ("aunet", "numpy", "scipy", "connected-components-3d", "onnxruntime", "torch")


def evaluate(
    segmenter: Predictor,
    dataset: DataSet,
    out: Path,
    *,
    split: Split | Literal["all"] = "test",
    cache: Path | None = None,
    weights: Path | None = None,
    batch: int = 8,
    tolerance_px: float = SURFACE_TOLERANCE_PX,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    allow_for_processing: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Score a segmenter on one split of a data set, on the model grid.

    A second call with the same weights, data and settings goes on where the first was cut off.

    Args:
        segmenter: What predicts (`aunet.Segmenter`).
        dataset: The data set.
        out: Folder for `per_image.csv`, `summary.json` and `report.html`; made if it is missing.
        split: Which side of the split; "all" for every sample.
        cache: Folder for prepared images; None prepares them anew.
        weights: The file that the segmenter was loaded from, where it does not know that itself (an `aunet.Segmenter`
            does). A segmenter that does not come from a file is unknown to the next run, which then starts from the
            beginning.
        batch: Images a forward pass.
        tolerance_px: Tolerance of the normalised surface Dice, in pixels of the model grid.
        bootstrap: How intervals are made.
        allow_for_processing: Let FOR PROCESSING images through.
        on_progress: Called with the number of images done and their total.

    Returns:
        The scores. An image that can't be read is a miss among them, named in `failures`.

    Raises:
        DatasetError: No image belongs to that side of the split.
        ValueError: The batch is smaller than one image.
    """
    samples = samples_of(dataset, split)
    if not samples:
        msg = f"{dataset.name}: no image belongs to the split {split!r}; name another one by --split, or `all`"
        raise DatasetError(msg)
    if batch < 1:
        msg = f"batch is {batch}; it has to be at least 1"
        raise ValueError(msg)
    settings = segmenter.preprocessing
    own = segmenter if isinstance(segmenter, Segmenter) else None
    files = _files(own, weights)
    about = Provenance(
        card=segmenter.card,
        files=files,
        flips=own.flips if own else "none",
        scales=own.scales if own else (),
        data=dataset.name,
        split=split,
        grid=(settings.rows, settings.columns),
        patch_margin=settings.patch_margin,
        matched_intensity=settings.reference_quantiles is not None,
        threshold=segmenter.threshold,
        tolerance_px=tolerance_px,
        bootstrap=bootstrap,
        versions=_versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    scoring = Scoring(
        segmenter, PreparedCache(cache, settings, allow_for_processing=allow_for_processing), tolerance_px, batch
    )
    run_key = _run_key(about, settings, samples, allow_for_processing=allow_for_processing)
    log = RowLog(out, run_key if files else None)
    summary_path, report_path = out / "summary.json", out / "report.html"
    # Those of an earlier run would pass for this one's, should it be cut off.
    summary_path.unlink(missing_ok=True)
    report_path.unlink(missing_ok=True)
    _score_all(samples, scoring, log, on_progress or _unheard)
    rows = log.finish(sample.case for sample in samples)
    patients = _patient_numbers(samples)
    summary = Summary(
        provenance=about,
        overall=score_group(rows, patients, bootstrap=bootstrap),
        groups=score_groups(rows, patients, bootstrap=bootstrap),
        detection=score_detection(rows, patients, bootstrap=bootstrap),
        reliability=sum_of(row.reliability for row in rows),
        failures=tuple(Failure(row.case, row.reason) for row in rows if row.outcome == "failed"),
        refused=tuple(Failure(row.case, row.reason) for row in dataset.ledger.rows if row.status == "refused"),
        rows=rows,
    )
    write_text(summary_path, summary.to_json())
    write_text(report_path, report(summary, draw_examples(rows, samples, scoring)))
    return summary


def _score_all(
    samples: Sequence[Sample], scoring: Scoring, log: RowLog, on_progress: Callable[[int, int], None]
) -> None:
    """Score every image that has no row yet."""
    todo = [sample for sample in samples if sample.case not in log.rows]
    on_progress(len(samples) - len(todo), len(samples))
    for rows in score_samples(todo, scoring):
        log.append(rows)
        on_progress(len(log.rows), len(samples))


def _files(segmenter: Segmenter | None, weights: Path | None) -> tuple[WeightsFile, ...]:
    """The files that a segmenter comes from."""
    if segmenter and segmenter.files:
        return segmenter.files
    return (WeightsFile(weights.name, digest(weights)),) if weights else ()


def _unheard(done: int, total: int) -> None:
    logger.debug("%d of %d images", done, total)


def _patient_numbers(samples: Sequence[Sample]) -> Int64[np.ndarray, " n"]:
    """A number for each image's patient, so that no statistics ever hold the patient's name."""
    _, numbers = np.unique(np.array([sample.patient_id for sample in samples]), return_inverse=True)
    return numbers.astype(np.int64)


def _run_key(
    about: Provenance, settings: Preprocessing, samples: Sequence[Sample], *, allow_for_processing: bool
) -> dict[str, object]:
    """What has to be equal for the rows of an earlier run to be this run's rows."""
    return {
        "aunet": about.versions["aunet"],
        "weights_sha256": about.weights_sha256,
        "flips": about.flips,
        "scales": list(about.scales),
        "preprocessing": settings.to_json(),
        "threshold": about.threshold,
        "smallest_mass_px": about.card.smallest_mass_px,
        "lowest_score": about.card.lowest_score,
        "nsd_tolerance_px": about.tolerance_px,
        "allow_for_processing": allow_for_processing,
        "data": about.data,
        "split": about.split,
        "images_sha256": identity_of(samples),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _VERSIONS_OF:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions

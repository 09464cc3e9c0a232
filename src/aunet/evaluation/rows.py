"""One row an image: what `per_image.csv` holds, and how it is written so that a killed run loses nothing."""

import csv
import io
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isnan, nan
from pathlib import Path
from typing import Literal, get_args

from aunet.io.aside import write_text
from aunet.metrics.calibration import NO_PIXELS, Reliability
from aunet.metrics.detection import ImageDetections
from aunet.metrics.scores import METRICS, MaskScores, Outcome
from aunet.sample import MassProperties, Spacing

logger = logging.getLogger(__name__)

ImageOutcome = Outcome | Literal["failed"]
"""As in `Outcome`; "failed" is an image for which there is no prediction at all."""

PROPERTIES = tuple(one.name for one in fields(MassProperties))
COLUMNS = (
    *("case", "outcome", "laterality", "view", *PROPERTIES, "reference_px", "prediction_px", *METRICS),
    *("spacing_row_mm", "spacing_column_mm", "n_masses", "n_found", "n_false_regions"),
    *("found_scores", "false_region_scores", "lowest_score", "reason", "notes"),
    # 15 numbers a cell, so that a run that goes on has the bins of the images before.
    *("bin_pixels", "bin_mass_pixels", "bin_probability_sums"),
)
_OUTCOMES = {outcome for kind in get_args(ImageOutcome) for outcome in get_args(kind)}


@dataclass(frozen=True, slots=True)
class ImageRow:
    """What the evaluation found in one image. It holds the image's name, never the patient's."""

    case: str
    outcome: ImageOutcome
    scores: MaskScores
    detections: ImageDetections
    laterality: str = ""
    view: str = ""
    properties: MassProperties = field(default_factory=MassProperties)
    reference_px: int | None = None
    """Pixels of the reference on the model grid; None where it could not be read."""
    prediction_px: int | None = None
    """Predicted pixels on the model grid; None where there is no prediction."""
    spacing_mm: Spacing | None = None
    """(row, column) millimetres a model pixel."""
    reason: str = ""
    """Why there is no prediction, or no reference on the model grid."""
    notes: str = ""
    """What reading and preparing repaired."""
    reliability: Reliability = NO_PIXELS
    """Pixels of the breast by their probability; none where there is no prediction, or the mass was cut off."""

    @property
    def has_mass(self) -> bool:
        """The reference holds a mass."""
        return self.detections.n_masses > 0

    @property
    def is_missed(self) -> bool:
        """The reference holds a mass, and nothing was predicted in this image."""
        return self.outcome == "missed" or (self.outcome == "failed" and self.has_mass)


class RowLog:
    """The rows of a run, each on disk as soon as it is known.

    They are appended to `per_image.csv.part`, which takes the name `per_image.csv` when the run is complete. Beside it
    `evaluation.json` says which run they belong to.
    """

    def __init__(self, folder: Path, run_key: Mapping[str, object] | None) -> None:
        """Take up the rows of an earlier run, if it is the same one.

        Args:
            folder: Where the rows are kept; made if it is missing.
            run_key: What has to be equal for rows to stay true; None to start anew.
        """
        self.path = folder / "per_image.csv"
        self._part = folder / "per_image.csv.part"
        self._rows: dict[str, ImageRow] = {}
        folder.mkdir(parents=True, exist_ok=True)
        key_path = folder / "evaluation.json"
        if run_key is not None and _read_key(key_path) == run_key:
            self._take_up()
        else:
            self._part.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            write_text(key_path, json.dumps(run_key, indent=1) + "\n")
        write_text(self._part, _as_csv(self._rows.values()))

    @property
    def rows(self) -> Mapping[str, ImageRow]:
        """The rows so far, by case."""
        return self._rows

    def append(self, rows: Sequence[ImageRow]) -> None:
        """Add rows and put them on disk.

        Args:
            rows: Rows of images that have none yet.
        """
        with self._part.open("a", encoding="utf-8", newline="") as file:
            file.write(_as_csv(rows, with_header=False))
        self._rows |= {row.case: row for row in rows}

    def finish(self, cases: Iterable[str]) -> tuple[ImageRow, ...]:
        """Write `per_image.csv`.

        Args:
            cases: Every image of the run, in the order wanted.

        Returns:
            The rows in that order.
        """
        rows = tuple(self._rows[case] for case in cases)
        write_text(self.path, _as_csv(rows))
        self._part.unlink(missing_ok=True)
        return rows

    def _take_up(self) -> None:
        source = self._part if self._part.exists() else self.path
        if source.exists():
            # Images that failed are tried again: their file may be there by now.
            self._rows = {row.case: row for row in read_rows(source) if row.outcome != "failed"}
            logger.info("took up %d images from %s", len(self._rows), source)


def read_rows(path: Path) -> list[ImageRow]:
    """Rows of a `per_image.csv`, complete or cut off.

    Args:
        path: The file.

    Returns:
        Its whole rows; what follows the last whole line is left out.
    """
    text = path.read_bytes().decode("utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    table = csv.DictReader(io.StringIO(whole, newline=""))
    rows = []
    for cells in table:
        try:
            rows.append(_from_cells(cells))
        except (ValueError, KeyError, TypeError):
            break
    return rows


def _read_key(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _as_csv(rows: Iterable[ImageRow], *, with_header: bool = True) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if with_header:
        writer.writeheader()
    writer.writerows(_to_cells(row) for row in rows)
    return text.getvalue()


def _to_cells(row: ImageRow) -> dict[str, str]:
    spacing = row.spacing_mm or (nan, nan)
    numbers = asdict(row.scores) | {"spacing_row_mm": spacing[0], "spacing_column_mm": spacing[1]}
    words = asdict(row.properties) | {
        "case": row.case,
        "outcome": row.outcome,
        "laterality": row.laterality,
        "view": row.view,
        "reason": row.reason,
        "notes": row.notes,
    }
    found = row.detections
    return {
        # A line break inside a cell would make one row look like two to whoever counts lines.
        **{name: " ".join(str(word).splitlines()) if name != "case" else str(word) for name, word in words.items()},
        **{name: "" if isnan(number) else repr(float(number)) for name, number in numbers.items()},
        "reference_px": "" if row.reference_px is None else str(row.reference_px),
        "prediction_px": "" if row.prediction_px is None else str(row.prediction_px),
        "n_masses": str(found.n_masses),
        "n_found": str(found.n_found),
        "n_false_regions": str(found.n_false_regions),
        "found_scores": " ".join(map(repr, found.hit_scores)),
        "false_region_scores": " ".join(map(repr, found.false_scores)),
        "lowest_score": repr(found.lowest_score),
        "bin_pixels": " ".join(map(str, row.reliability.pixels)),
        "bin_mass_pixels": " ".join(map(str, row.reliability.mass_pixels)),
        "bin_probability_sums": " ".join(map(repr, row.reliability.probability_sums)),
    }


def _from_cells(cells: dict[str, str]) -> ImageRow:
    if cells["outcome"] not in _OUTCOMES or None in cells.values():
        msg = "this is no whole row"
        raise ValueError(msg)
    spacing = _number(cells["spacing_row_mm"]), _number(cells["spacing_column_mm"])
    outcome: ImageOutcome = cells["outcome"]  # type: ignore[assignment]  # one of _OUTCOMES, as checked above
    return ImageRow(
        case=cells["case"],
        outcome=outcome,
        scores=MaskScores(**{name: _number(cells[name]) for name in METRICS}),
        detections=ImageDetections(
            n_masses=int(cells["n_masses"]),
            hit_scores=tuple(map(float, cells["found_scores"].split())),
            false_scores=tuple(map(float, cells["false_region_scores"].split())),
            lowest_score=float(cells.get("lowest_score", "0")),
        ),
        laterality=cells["laterality"],
        view=cells["view"],
        properties=MassProperties(**{name: cells[name] for name in PROPERTIES}),
        reference_px=_optional(int, cells["reference_px"]),
        prediction_px=_optional(int, cells["prediction_px"]),
        spacing_mm=None if isnan(spacing[0]) else spacing,
        reason=cells["reason"],
        notes=cells["notes"],
        reliability=_bins(cells),
    )


def _bins(cells: dict[str, str]) -> Reliability:
    """The bins of a row; none in a table of an earlier version."""
    if "bin_pixels" not in cells:
        return NO_PIXELS
    return Reliability(
        pixels=tuple(map(int, cells["bin_pixels"].split())),
        mass_pixels=tuple(map(int, cells["bin_mass_pixels"].split())),
        probability_sums=tuple(map(float, cells["bin_probability_sums"].split())),
    )


def _number(cell: str) -> float:
    return float(cell) if cell else nan


def _optional(kind: Callable[[str], int], cell: str) -> int | None:
    return kind(cell) if cell else None

"""What is said of each input: a record on disk, a row in results.csv, an entry in results.json."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from aunet.inference.inputs import PassedOver
from aunet.inference.masses import Mass
from aunet.inference.results_folder import RECORDS
from aunet.inference.segmenter import WeightsFile
from aunet.intended_use import RESEARCH_ONLY
from aunet.io.aside import write_text
from aunet.models.card import Flips, Scales
from aunet.sample import Laterality, Spacing, View

FORMAT = 5

Status = Literal["segmented", "failed"]

COLUMNS = (
    "input",
    "name",
    "status",
    "error",
    "notes",
    "laterality",
    "view",
    "rows",
    "columns",
    "row_spacing_mm",
    "column_spacing_mm",
    "spacing_source",
    "n_masses",
    "area_px",
    "area_mm2",
    "diameter_px",
    "diameter_mm",
    "box",
    "mean_probability",
    "score",
    "mask",
    "overlay",
    "seg",
    "weights_sha256",
    "flips",
    "scales",
)


@dataclass(frozen=True, slots=True)
class Key:
    """Everything that a result depends on; the same key means the same result."""

    content_sha256: str
    """Of the input file; "" where it could not be read."""
    weights_sha256: str
    """Those of an ensemble joined by ";"."""
    version: str
    """Of aunet."""
    matches_intensity: bool
    viewer_geometry: bool
    allow_for_processing: bool
    flips: Flips = "none"
    scales: Scales = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one input, or why nothing could be."""

    input: str
    """The path the user typed."""
    place_sha256: str
    """Of its whole path: two files typed alike in two folders are two inputs."""
    name: str
    """Name of its files in the folder of the results."""
    key: Key
    status: Status
    error: str = ""
    notes: tuple[str, ...] = ()
    laterality: Laterality | None = None
    view: View | None = None
    rows: int | None = None
    columns: int | None = None
    spacing_mm: Spacing | None = None
    spacing_source: str | None = None
    masses: tuple[Mass, ...] = ()
    mask: str = ""
    """File in the folder of the results; "" where there is none."""
    overlay: str = ""
    seg: str = ""
    """"" also for a picture, and where no mass was found: a SEG can't hold zero segments."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that belong to it."""
        return tuple(file for file in (self.mask, self.overlay, self.seg) if file)

    def is_complete_in(self, out: Path) -> bool:
        """Whether it needs no second run.

        Args:
            out: Folder of the results.

        Returns:
            True if the input was segmented and all its files are there.
        """
        return self.status == "segmented" and all((out / file).is_file() for file in self.files)


def write_record(out: Path, result: Result) -> None:
    """Keep a result; it is the last of its files to be written, so that none of the others is missing then.

    Args:
        out: Folder of the results.
        result: What to keep.
    """
    write_text(_record_path(out, result.name), json.dumps({"format": FORMAT} | asdict(result), indent=1))


def forget_record(out: Path, result: Result) -> None:
    """Remove a record; the other files of the result stay.

    Args:
        out: Folder of the results.
        result: What is not kept any longer.
    """
    _record_path(out, result.name).unlink(missing_ok=True)


def read_records(out: Path) -> dict[str, Result]:
    """The results kept in a folder, by name; a record that is damaged or of another format counts as missing.

    So does a folder that is called like a record.

    Args:
        out: Folder of the results; it need not exist.

    Returns:
        Name to result, sorted.
    """
    found = (_read_record(path) for path in sorted((out / RECORDS).rglob("*.json")))
    return {result.name: result for result in found if result is not None}


def write_results(
    out: Path, results: Sequence[Result], passed_over: Sequence[PassedOver], *, weights: Sequence[WeightsFile]
) -> None:
    """Write results.csv and results.json.

    Args:
        out: Folder of the results.
        results: Rows, in this order.
        passed_over: Files of the given folders that were not taken for images.
        weights: What this run used; rows of former runs name theirs by hash.
    """
    write_text(out / "results.csv", to_csv(results))
    write_text(out / "results.json", to_json(results, passed_over, weights=weights))


def to_json(results: Sequence[Result], passed_over: Sequence[PassedOver], *, weights: Sequence[WeightsFile]) -> str:
    """Everything that is known of the inputs.

    Args:
        results: Entries, in this order.
        passed_over: Files of the given folders that were not taken for images.
        weights: What this run used.

    Returns:
        One JSON document.
    """
    document = {
        "aunet": version("aunet"),
        "use": RESEARCH_ONLY,
        "weights": [asdict(file) for file in weights],
        "results": [asdict(result) for result in results],
        "passed_over": [{"path": file.typed, "reason": file.reason} for file in passed_over],
    }
    return json.dumps(document, indent=1)


def to_csv(results: Iterable[Result]) -> str:
    """One row an input; where it has several masses, their values are joined by ";".

    Args:
        results: Rows, in this order.

    Returns:
        CSV text with a header.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(result) for result in results)
    return text.getvalue()


def _row(result: Result) -> dict[str, object]:
    spacing = result.spacing_mm or ("", "")
    masses = result.masses
    return {
        "input": result.input,
        "name": result.name,
        "status": result.status,
        "error": result.error,
        "notes": " ".join(result.notes),
        "laterality": result.laterality,
        "view": result.view,
        "rows": result.rows,
        "columns": result.columns,
        "row_spacing_mm": spacing[0],
        "column_spacing_mm": spacing[1],
        "spacing_source": result.spacing_source,
        "n_masses": len(masses) if result.mask else "",
        "area_px": _joined(mass.area_px for mass in masses),
        "area_mm2": _joined(mass.area_mm2 for mass in masses),
        "diameter_px": _joined(mass.diameter_px for mass in masses),
        "diameter_mm": _joined(mass.diameter_mm for mass in masses),
        "box": ";".join(" ".join(map(str, mass.box)) for mass in masses),
        "mean_probability": _joined(mass.mean_probability for mass in masses),
        "score": _joined(mass.score for mass in masses),
        "mask": result.mask,
        "overlay": result.overlay,
        "seg": result.seg,
        "weights_sha256": result.key.weights_sha256,
        "flips": result.key.flips,
        "scales": " ".join(f"{scale:g}" for scale in result.key.scales),
    }


def _joined(values: Iterator[float | None]) -> str:
    """Numbers with six digits, joined by ";"; "" where none is known."""
    return ";".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values if value is not None)


def _record_path(out: Path, name: str) -> Path:
    return out / RECORDS / f"{name}.json"


def _read_record(path: Path) -> Result | None:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if entries.pop("format") != FORMAT:
            return None
        return _result(entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _result(entries: dict[str, Any]) -> Result:  # JSON values; a wrong one makes the record count as missing
    spacing = entries["spacing_mm"]
    key = entries["key"]
    return Result(**{
        **entries,
        "key": Key(**{**key, "scales": tuple(key["scales"])}),
        "notes": tuple(entries["notes"]),
        "spacing_mm": None if spacing is None else (spacing[0], spacing[1]),
        "masses": tuple(Mass(**{**mass, "box": tuple(mass["box"])}) for mass in entries["masses"]),
    })

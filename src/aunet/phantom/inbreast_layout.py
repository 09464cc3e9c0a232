"""Phantoms as INbreast is downloaded: detector images, outlines as OsiriX writes them, and a table."""

import csv
import hashlib
import io
import plistlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import contourpy
import numpy as np
from jaxtyping import Float64

from aunet.io.aside import write_text
from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.phantom.layouts import (
    MODEL_VERSION,
    OnProgress,
    PlannedImage,
    Settings,
    draw,
    plan,
    unique_id,
    write_dataset,
)
from aunet.phantom.mammogram import Phantom, check_rows
from aunet.phantom.traps import LIST_NAME, Trap, chosen_traps, cut_in_half, listed, place
from aunet.sample import Mask2D

TABLE_NAME = "INbreast.csv"
TRAPS = (
    Trap("point", "a region named Mass is a single point", "repaired"),
    Trap("open-outline", "the outline of the mass lacks a third of its points, so that it is open", "repaired"),
    Trap("outside", "the outline runs out of the image and back on the same line", "repaired"),
    Trap("several-regions", "the outline is split in two regions named Mass, which count as two masses", "read"),
    Trap("other-finding", "a region named Calcification stands beside the mass", "read"),
    Trap("missing-image", "the DICOM file is missing", "refused"),
    Trap("missing-outlines", "the XML file is missing, although the assessment is not 1", "refused"),
    Trap("damaged-outlines", "the XML file breaks off in the middle", "refused"),
    Trap("missing-row", "DICOM and XML files are there, and the table has no row", "refused"),
    Trap("repeated-row", "the row stands in the table twice", "refused"),
    Trap("contradicting-side", "the table's laterality is not that of the image", "repaired"),
)
"""What `traps` can ask for. "removed" for every patient is in every phantom, as it is in the real table."""
COLUMNS = ("Patient ID", "Patient age", "Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads")
_REMOVED = "removed"
_FIRST_NUMBER = 20_000_000
_NORMAL = "1"
# OsiriX's number for a closed polygon.
_CLOSED_POLYGON = 11


def write_inbreast(
    out: Path,
    *,
    patients: int,
    seed: int,
    rows: int = 1024,
    normal_fraction: float = 0.0,
    traps: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> Path:
    """Write phantoms in the tree of INbreast: `AllDICOMs`, `AllXML` and `INbreast.csv`.

    The same arguments give the same bytes; files that are there already are left alone. The corners of an outline lie
    between pixels, so that a pixel belongs to the mass exactly where its centre lies inside.

    Args:
        out: Folder to write into; made when missing.
        patients: Number of patients, 1 to 99,999.
        seed: Where all randomness comes from, 0 or more.
        rows: Height of the images in pixels.
        normal_fraction: Part of the breasts that show no mass; their images have no outlines.
        traps: Names of `TRAPS` to set, or "all"; `traps.json` says where each of them is.
        on_progress: Called with the number of images done and their total.

    Returns:
        The folder, `out`. A number out of its range, an unknown trap or too few images for the traps are a ValueError,
        a folder that holds something else a DatasetError, a disk without room a WriteError.
    """
    check_rows(rows)
    images = plan(patients=patients, seed=seed, acquisition="detector", normal_fraction=normal_fraction)
    chosen = chosen_traps(traps, TRAPS)
    placed = place(chosen, images)
    settings: Settings = {
        "model": MODEL_VERSION,
        "layout": "inbreast",
        "seed": seed,
        "rows": rows,
        "normal_fraction": normal_fraction,
        "traps": ",".join(trap.name for trap in chosen),
    }
    return write_dataset(
        out,
        images,
        settings=settings,
        write_image=lambda image: _write_image(out, image, rows=rows, trap=_trap_of(image, placed)),
        texts=lambda: _texts(images, placed),
        on_progress=on_progress,
    )


def _trap_of(planned: PlannedImage, placed: Mapping[tuple[int, ...], Trap]) -> str:
    trap = placed.get(planned.seed)
    return "" if trap is None else trap.name


def outlines_of(mask: Mask2D) -> tuple[Float64[np.ndarray, "n 2"], ...]:
    """The outer outlines of a mask, one for each part that holds together.

    Args:
        mask: A mass; holes in it are not outlined.

    Returns:
        For each part its corners, (row, column), halfway between a pixel inside and one outside; the first stands at
        the end again.
    """
    framed = np.pad(mask, 1).astype(np.float64)
    lines: list[Float64[np.ndarray, "n 2"]] = [
        np.asarray(line)[:, ::-1] - 1.0
        for line in contourpy.contour_generator(z=framed, line_type=contourpy.LineType.Separate).lines(0.5)
    ]
    # contourpy goes round a part with the part on the left, and round a hole the other way.
    return tuple(line for line in lines if _signed_area(line) < 0)


def _signed_area(line: Float64[np.ndarray, "n 2"]) -> float:
    row, column = line[:-1].T
    next_row, next_column = line[1:].T
    return float(np.sum(row * next_column - next_row * column)) / 2


def _number(planned: PlannedImage) -> int:
    """The image's file name in the table: eight digits that don't depend on how many patients there are."""
    view_of_breast = 2 * "LR".index(planned.laterality) + ("CC", "MLO").index(planned.view)
    return _FIRST_NUMBER + 10 * planned.patient + view_of_breast


def _write_image(out: Path, planned: PlannedImage, *, rows: int, trap: str) -> None:
    """Draw and write one image and its outlines, unless they are there."""
    number = _number(planned)
    pseudonym = hashlib.sha256(f"aunet phantom patient {planned.seed[:2]}".encode()).hexdigest()[:16]
    view = "ML" if planned.view == "MLO" else planned.view
    image_path = out / "AllDICOMs" / f"{number}_{pseudonym}_MG_{planned.laterality}_{view}_ANON.dcm"
    outlines_path = out / "AllXML" / f"{number}.xml"
    # Every file is written aside and renamed, the image last: where it is, its outlines are whole.
    if (outlines_path if trap == "missing-image" else image_path).exists():
        return
    phantom = draw(planned, rows=rows)
    if planned.number_of_masses and trap != "missing-outlines":
        write_text(outlines_path, _outlines(phantom, trap))
        if trap == "damaged-outlines":
            cut_in_half(outlines_path)
    if trap == "missing-image":
        return
    header = MammogramHeader(
        laterality=planned.laterality,
        view=planned.view,
        bits_stored=phantom.bits_stored,
        spacing_mm=phantom.spacing_mm,
        patient_id=_REMOVED,
        study_instance_uid=unique_id("study", planned.seed[:2], rows),
        series_instance_uid=unique_id("series", planned.seed, rows),
        sop_instance_uid=unique_id("image", planned.seed, rows),
    )
    write_mammogram(image_path, phantom.image, header)


def _outlines(phantom: Phantom, trap: str) -> str:
    """The text of an OsiriX region list: a region named Mass for each part of each mass."""
    outlines = [
        line[:-1]
        for mass in range(1, int(phantom.instances.max()) + 1)
        for line in outlines_of(phantom.instances == mass)
    ]
    # The largest part of a mass is the one that a trap changes.
    outlines.sort(key=len, reverse=True)
    named = [("Mass", outline) for outline in (*_trapped(outlines[0], trap), *outlines[1:])]
    if trap == "other-finding":
        named.append(("Calcification", outlines[0] + 1.0))
    regions = [
        {
            "Center": _point(outline.mean(axis=0)),
            "IndexInImage": number,
            "Name": name,
            "NumberOfPoints": len(outline),
            "Point_px": [_point(point) for point in outline],
            "Type": _CLOSED_POLYGON,
        }
        for number, (name, outline) in enumerate(named)
    ]
    image = {"ImageIndex": 0, "NumberOfROIs": len(regions), "ROIs": regions}
    return plistlib.dumps({"Images": [image]}).decode("utf-8")


def _trapped(outline: Float64[np.ndarray, "n 2"], trap: str) -> list[Float64[np.ndarray, "_ 2"]]:
    """The outline with what is wrong with it, or beside it."""
    if trap == "point":
        return [outline, outline[:1]]
    if trap == "open-outline":
        return [outline[len(outline) // 3 :]]
    if trap == "outside":
        # Straight up from the topmost point and back: outside lies nothing of the mass, and the way has no width.
        top = int(outline[:, 0].argmin())
        beyond = np.array([[-10.0, outline[top, 1]]])
        return [np.concatenate([outline[: top + 1], beyond, outline[top:]])]
    if trap == "several-regions":
        half = len(outline) // 2
        # A point a pixel along the cut, or the two would be open.
        steps = int(np.hypot(*(outline[half] - outline[0]))) + 2
        cut = np.linspace(outline[half], outline[0], steps)
        return [np.concatenate([outline[:half], cut[:-1]]), np.concatenate([cut[::-1][:-1], outline[half:]])]
    return [outline]


def _point(point: Float64[np.ndarray, " 2"]) -> str:
    """A point as OsiriX writes it, (x, y)."""
    row, column = point
    return f"({column:.6f}, {row:.6f})"


def _texts(images: Sequence[PlannedImage], placed: Mapping[tuple[int, ...], Trap]) -> dict[str, str]:
    """The table and the list of traps, by their path."""
    trapped = [(image, placed[image.seed]) for image in images if image.seed in placed]
    texts = {TABLE_NAME: _table([(image, _trap_of(image, placed)) for image in images])}
    if trapped:
        texts[LIST_NAME] = listed([(trap, str(_number(image))) for image, trap in trapped])
    return texts


def _table(images: Sequence[tuple[PlannedImage, str]]) -> str:
    """The text of `INbreast.csv`; each image comes with the name of its trap."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(COLUMNS)
    for image, trap in images:
        if trap == "missing-row":
            continue
        findings = [mass.finding for mass in image.case.masses[: image.number_of_masses]]
        # One value an image: that of the most suspicious mass. 1 would mean that there is none.
        birads = str(max(finding.birads for finding in findings)) if findings else _NORMAL
        other_side = {"L": "R", "R": "L"}[image.laterality]
        side = other_side if trap == "contradicting-side" else image.laterality
        row = (*(_REMOVED, _REMOVED, side, image.view, "200806", _number(image)), image.case.breast.density, birads)
        writer.writerow(row)
        if trap == "repeated-row":
            writer.writerow(row)
    return text.getvalue()

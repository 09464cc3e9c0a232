"""Phantoms as INbreast is downloaded: detector images, outlines as OsiriX writes them, and a table."""

import csv
import hashlib
import io
import plistlib
from collections.abc import Callable
from pathlib import Path

import contourpy
import numpy as np
from jaxtyping import Float64

from aunet.errors import WriteError
from aunet.io.aside import write_text
from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.phantom.layouts import MODEL_VERSION, PlannedImage, claim, draw, plan, unique_id
from aunet.phantom.mammogram import Phantom, check_rows
from aunet.sample import Mask2D

TABLE_NAME = "INbreast.csv"
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
    on_progress: Callable[[int, int], None] | None = None,
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
        on_progress: Called with the number of images done and their total.

    Returns:
        The folder, `out`. A number out of its range is a ValueError, a folder that holds something else a DatasetError.

    Raises:
        WriteError: The folder can't be made or written, or the disk is full; what is there already is whole.
    """
    check_rows(rows)
    images = plan(patients=patients, seed=seed, acquisition="detector", normal_fraction=normal_fraction)
    settings: dict[str, int | float | str] = {
        "model": MODEL_VERSION,
        "layout": "inbreast",
        "seed": seed,
        "rows": rows,
        "normal_fraction": normal_fraction,
    }
    try:
        claim(out, settings=settings)
        for done, image in enumerate(images):
            if on_progress is not None:
                on_progress(done, len(images))
            _write_image(out, image, rows=rows)
        write_text(out / TABLE_NAME, _table(images))
    except OSError as error:
        msg = f"{out}: {error.strerror or error}; make it a folder with room to write, and the same call goes on"
        raise WriteError(msg) from error
    if on_progress is not None:
        on_progress(len(images), len(images))
    return out


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


def _write_image(out: Path, planned: PlannedImage, *, rows: int) -> None:
    """Draw and write one image and its outlines, unless it is there."""
    number = _number(planned)
    pseudonym = hashlib.sha256(f"aunet phantom patient {planned.seed[:2]}".encode()).hexdigest()[:16]
    view = "ML" if planned.view == "MLO" else planned.view
    image_path = out / "AllDICOMs" / f"{number}_{pseudonym}_MG_{planned.laterality}_{view}_ANON.dcm"
    # Every file is written aside and renamed, the image last: where it is, its outlines are whole.
    if image_path.exists():
        return
    phantom = draw(planned, rows=rows)
    if planned.number_of_masses:
        (out / "AllXML").mkdir(parents=True, exist_ok=True)
        write_text(out / "AllXML" / f"{number}.xml", _outlines(phantom))
    image_path.parent.mkdir(parents=True, exist_ok=True)
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


def _outlines(phantom: Phantom) -> str:
    """The text of an OsiriX region list: a region named Mass for each part of each mass."""
    regions: list[dict[str, object]] = []
    for mass in range(1, int(phantom.instances.max()) + 1):
        for line in outlines_of(phantom.instances == mass):
            centre = line[:-1].mean(axis=0)
            regions.append({
                "Center": _point(centre),
                "IndexInImage": len(regions),
                "Name": "Mass",
                "NumberOfPoints": len(line) - 1,
                "Point_px": [_point(point) for point in line[:-1]],
                "Type": _CLOSED_POLYGON,
            })
    image = {"ImageIndex": 0, "NumberOfROIs": len(regions), "ROIs": regions}
    return plistlib.dumps({"Images": [image]}).decode("utf-8")


def _point(point: Float64[np.ndarray, " 2"]) -> str:
    """A point as OsiriX writes it, (x, y)."""
    row, column = point
    return f"({column:.6f}, {row:.6f})"


def _table(images: tuple[PlannedImage, ...]) -> str:
    """The text of `INbreast.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in images:
        findings = [mass.finding for mass in image.case.masses[: image.number_of_masses]]
        # One value an image: that of the most suspicious mass.
        birads = str(max(finding.birads for finding in findings)) if findings else _NORMAL
        writer.writerow([
            *(_REMOVED, _REMOVED, image.laterality, image.view, "200806", _number(image)),
            *(image.case.breast.density, birads),
        ])
    return text.getvalue()

"""Whole data sets of phantoms: which patients, images and masses there are, and where their files lie."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from aunet.errors import DatasetError, WriteError
from aunet.io.aside import write_text
from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.io.images import write_png
from aunet.phantom.acquisition import Acquisition
from aunet.phantom.distribution import (
    describe,
    draw_density,
    draw_findings,
    draw_mass_counts,
    draw_views,
)
from aunet.phantom.mammogram import Case, Phantom, check_rows, draw_case, view_of
from aunet.sample import Laterality, Split, View

DataSetAcquisition = Literal["film", "detector", "mixed"]
Layout = Literal["folder", "cbis-ddsm", "inbreast"]
TABLE_NAME = "cases.csv"
SETTINGS_NAME = "phantom.json"
SOURCE_NAME = "source.toml"
SOURCE_TEXT = 'citation = "synthetic mammograms of aunet phantom, no real mammogram"\nlicence = "Apache-2.0"\n'
"""Where the images come from, as `aunet.datasets.source` reads it: a tree of CBIS-DDSM's shape is not CBIS-DDSM."""
# Phantoms of another number are other images: raise it whenever the same seed gives other pixels.
MODEL_VERSION = 2
COLUMNS = (
    *("image", "mask", "split", "patient_id", "laterality", "view", "n_masses"),
    *("breast_density", "birads", "pathology", "subtlety", "mass_shape", "mass_margins"),
)
SIDES: dict[Laterality, str] = {"L": "LEFT", "R": "RIGHT"}

Settings = Mapping[str, int | float | str]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image of a data set before it is drawn."""

    patient: int
    """Counts from 1."""
    laterality: Laterality
    view: View
    split: Split
    case: Case
    number_of_masses: int
    acquisition: Acquisition
    seed: tuple[int, ...]
    """Entropy and spawn key of the image's own randomness."""

    @property
    def patient_id(self) -> str:
        """Name of the synthetic patient."""
        return f"PH_{self.patient:05d}"

    @property
    def image(self) -> str:
        """Path of the image below the data set's folder."""
        return f"images/{self.split}/{self._stem}.dcm"

    @property
    def mask(self) -> str:
        """Path of the mask below the data set's folder; "" where the image shows no mass."""
        return f"masks/{self.split}/{self._stem}.png" if self.number_of_masses else ""

    @property
    def _stem(self) -> str:
        return f"{self.patient_id}_{SIDES[self.laterality]}_{self.view}"


def write_folder(
    out: Path,
    *,
    patients: int,
    seed: int,
    rows: int = 1024,
    acquisition: DataSetAcquisition = "mixed",
    normal_fraction: float = 0.0,
    on_progress: OnProgress | None = None,
) -> Path:
    """Write phantoms as DICOM files with PNG masks and a `cases.csv`.

    The same arguments give the same bytes. A patient's images don't depend on how many patients there are, so that a
    second call with more patients adds to the first; files that are there already are left alone.

    Args:
        out: Folder to write into; made when missing.
        patients: Number of patients, 1 to 99,999; every fifth, from the second on, is in the test split.
        seed: Where all randomness comes from, 0 or more.
        rows: Height of the images in pixels.
        acquisition: "film" (16 bit, Secondary Capture), "detector" (12 bit, Digital Mammography X-Ray Image for
            presentation) or "mixed", drawn for each patient.
        normal_fraction: Part of the breasts that show no mass.
        on_progress: Called with the number of images done and their total.

    Returns:
        The folder, `out`. A number out of its range is a ValueError, a folder that holds something else a DatasetError,
        a disk without room a WriteError; what is there already is whole.
    """
    check_rows(rows)
    images = plan(patients=patients, seed=seed, acquisition=acquisition, normal_fraction=normal_fraction)
    settings: Settings = {
        "model": MODEL_VERSION,
        "seed": seed,
        "rows": rows,
        "acquisition": acquisition,
        "normal_fraction": normal_fraction,
    }
    return write_dataset(
        out,
        images,
        settings=settings,
        write_image=lambda image: _write_image(out, image, rows=rows),
        texts=lambda: {TABLE_NAME: _table(images)},
        on_progress=on_progress,
    )


def write_dataset(
    out: Path,
    images: Sequence[PlannedImage],
    *,
    settings: Settings,
    write_image: Callable[[PlannedImage], None],
    texts: Callable[[], Mapping[str, str]],
    on_progress: OnProgress | None,
) -> Path:
    """Write a data set of phantoms in any layout: its images one by one, then its tables.

    Args:
        out: Folder to write into; made when missing.
        images: What is planned.
        settings: All that the images depend on; a folder made with others is refused with a DatasetError.
        write_image: Writes the files of one image that are not there yet.
        texts: Called when all images are written; gives the text of each table by its path below the folder.
        on_progress: Called with the number of images done and their total.

    Returns:
        The folder, `out`.

    Raises:
        WriteError: The folder can't be made or written, or the disk is full; what is there already is whole.
    """
    try:
        claim(out, settings=settings)
        for done, image in enumerate(images):
            if on_progress is not None:
                on_progress(done, len(images))
            write_image(image)
        for name, text in ({SOURCE_NAME: SOURCE_TEXT} | dict(texts())).items():
            write_text(out / name, text)
    except OSError as error:
        msg = f"{out}: {error.strerror or error}; make it a folder with room to write, and the same call goes on"
        raise WriteError(msg) from error
    if on_progress is not None:
        on_progress(len(images), len(images))
    return out


def plan(
    *, patients: int, seed: int, acquisition: DataSetAcquisition = "mixed", normal_fraction: float = 0.0
) -> tuple[PlannedImage, ...]:
    """The images of a data set, patient by patient, before any is drawn.

    Raises:
        ValueError: A number is out of its range.
    """
    if not 1 <= patients <= 99_999:
        msg = f"patients is {patients}; expected 1 to 99999"
        raise ValueError(msg)
    if seed < 0:
        msg = f"seed is {seed}; expected 0 or more"
        raise ValueError(msg)
    if not 0 <= normal_fraction <= 1:
        msg = f"normal_fraction is {normal_fraction}; expected 0 to 1"
        raise ValueError(msg)
    return tuple(
        image
        for patient in range(1, patients + 1)
        for image in plan_patient(patient, seed=seed, acquisition=acquisition, normal_fraction=normal_fraction)
    )


def plan_patient(
    patient: int, *, seed: int, acquisition: DataSetAcquisition, normal_fraction: float = 0.0
) -> list[PlannedImage]:
    """The images of one patient, whoever else is in the data set."""
    # The patient's number is the spawn key, so that no patient's randomness depends on another's.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(patient,)))
    chosen: Acquisition = acquisition if acquisition != "mixed" else ("film" if rng.random() < 0.5 else "detector")
    density = draw_density(rng)
    views = draw_views(rng)
    images = []
    for laterality in sorted({side for side, _ in views}):
        of_breast = [view for side, view in views if side == laterality]
        counts = draw_mass_counts(rng, of_breast)
        # The findings are drawn for a normal breast too: the fraction then changes nothing else.
        findings = draw_findings(rng, max(counts.values()))
        is_normal = bool(rng.random() < normal_fraction)
        case = draw_case(rng, density=density, findings=findings)
        images += [
            PlannedImage(
                patient=patient,
                laterality=laterality,
                view=view,
                split="test" if patient % 5 == 2 else "train",
                case=case,
                number_of_masses=0 if is_normal else counts[view],
                acquisition=chosen,
                seed=(seed, patient, "LR".index(laterality), ("CC", "MLO").index(view)),
            )
            for view in of_breast
        ]
    return images


def claim(out: Path, *, settings: Settings) -> None:
    """Note in the folder what it is made with; refuse a folder made with something else.

    Args:
        out: The folder.
        settings: All that its images depend on.

    Raises:
        DatasetError: The folder holds something else.
    """
    path = out / SETTINGS_NAME
    text = json.dumps(dict(settings), indent=2) + "\n"
    if path.exists():
        found = path.read_text(encoding="utf-8")
        if found != text:
            msg = (
                f"{out}: holds phantoms made with {' '.join(found.split())}, not with {' '.join(text.split())}; "
                "name another folder or remove this one"
            )
            raise DatasetError(msg)
    elif out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        msg = f"{out}: holds files that are no phantoms; name a new folder"
        raise DatasetError(msg)
    else:
        write_text(path, text)


def _write_image(out: Path, planned: PlannedImage, *, rows: int) -> None:
    """Draw and write one image and its mask, unless both are there."""
    image_path, mask_path = out / planned.image, out / planned.mask
    # Every file is written aside and renamed, the image last: where it is, its mask is, and both are whole.
    if image_path.exists() and (not planned.mask or mask_path.exists()):
        return
    phantom = draw(planned, rows=rows)
    if planned.mask:
        mask_path.parent.mkdir(parents=True, exist_ok=True)
        write_png(mask_path, np.where(phantom.mask, np.uint8(255), np.uint8(0)))
    image_path.parent.mkdir(parents=True, exist_ok=True)
    header = MammogramHeader(
        laterality=planned.laterality,
        view=planned.view,
        bits_stored=phantom.bits_stored,
        spacing_mm=phantom.spacing_mm,
        sop_class="secondary capture" if planned.acquisition == "film" else "MG presentation",
        patient_id=planned.patient_id,
        study_instance_uid=unique_id("study", planned.seed[:2], rows),
        series_instance_uid=unique_id("series", planned.seed, rows),
        sop_instance_uid=unique_id("image", (*planned.seed, planned.acquisition == "film"), rows),
    )
    write_mammogram(image_path, phantom.image, header)


def draw(planned: PlannedImage, *, rows: int) -> Phantom:
    """The image, drawn. Rows out of their range are a ValueError."""
    return view_of(
        np.random.default_rng(planned.seed),
        planned.case,
        rows=rows,
        view=planned.view,
        laterality=planned.laterality,
        acquisition=planned.acquisition,
        number_of_masses=planned.number_of_masses,
    )


def unique_id(level: str, seed: tuple[int, ...], rows: int) -> str:
    """A DICOM unique identifier that depends on nothing but the phantom's settings.

    Args:
        level: What is identified: "study", "series", "image" or another word.
        seed: The image's, or the part of it that identifies the study.
        rows: Height of the images.

    Returns:
        An identifier below 2.25.
    """
    digest = hashlib.sha256(f"aunet phantom {MODEL_VERSION} {level} {seed} {rows}".encode()).digest()
    # Below 2.25 the identifier is a UUID as one decimal number (PS3.5, B.2); version and variant bits as in RFC 9562.
    number = int.from_bytes(digest[:16])
    number = number & ~(0xF << 76) | (8 << 76)
    number = number & ~(0x3 << 62) | (2 << 62)
    return f"2.25.{number}"


def _table(images: tuple[PlannedImage, ...]) -> str:
    """The text of `cases.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in images:
        findings = [mass.finding for mass in image.case.masses[: image.number_of_masses]]
        known = describe(findings, image.case.breast.density)
        writer.writerow([
            *(image.image, image.mask, image.split, image.patient_id, image.laterality, image.view, len(findings)),
            *(
                known.breast_density,
                known.birads,
                known.pathology,
                known.subtlety,
                known.mass_shape,
                known.mass_margins,
            ),
        ])
    return text.getvalue()

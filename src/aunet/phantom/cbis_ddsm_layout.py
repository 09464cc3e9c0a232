"""Phantoms as CBIS-DDSM is downloaded: a folder a case, a file each for image, mask and crop, and its tables."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8, UInt16

from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.io.images import write_jpeg
from aunet.phantom.calcifications import add_cluster
from aunet.phantom.cbis_ddsm_names import Kind, Names, Naming, Role
from aunet.phantom.distribution import describe
from aunet.phantom.layouts import (
    MODEL_VERSION,
    SIDES,
    OnProgress,
    PlannedImage,
    Settings,
    draw,
    plan,
    plan_patient,
    write_dataset,
)
from aunet.phantom.mammogram import check_rows
from aunet.phantom.traps import LIST_NAME, Trap, chosen_traps, cut_in_half, listed, place
from aunet.sample import Mask2D

TRAPS = (
    Trap("swapped", "mask and crop stand under each other's name", "repaired"),
    Trap("small-mask", "the mask has half the rows and columns of its image", "repaired"),
    Trap("misshapen-mask", "the mask has another shape than its image", "refused"),
    Trap("missing-mask", "neither mask nor crop was downloaded", "refused"),
    Trap("missing-image", "the full image was not downloaded", "refused"),
    Trap("truncated-image", "the file of the full image breaks off in the middle of its pixels", "refused"),
    Trap("repeated-row", "the row stands in the table twice", "repaired"),
    Trap("contradicting-rows", "the row stands in the table twice, with another pathology", "refused"),
    Trap("underscored-columns", "the columns' names are written with underscores", "note", needs="table"),
    Trap("shared-patient", "a patient of the mass train table is in the calcification test table", "note", "table"),
)
"""What `traps` can ask for. Line breaks behind the paths of masks, and a PatientID that names the case, are in every
phantom, as they are in every real file."""

_TABLES: dict[tuple[Kind, str], str] = {
    ("Mass", "train"): "mass_case_description_train_set.csv",
    ("Mass", "test"): "mass_case_description_test_set.csv",
    ("Calc", "train"): "calc_case_description_train_set.csv",
    ("Calc", "test"): "calc_case_description_test_set.csv",
}
_IN_BOTH = ("patient_id", "left or right breast", "image view", "abnormality id", "abnormality type")
_PATHS = ("image file path", "cropped image file path", "ROI mask file path")
# The two kinds of tables spell the density differently.
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "Mass": (
        *(_IN_BOTH[0], "breast_density", *_IN_BOTH[1:], "mass shape", "mass margins"),
        *("assessment", "pathology", "subtlety", *_PATHS),
    ),
    "Calc": (
        *(_IN_BOTH[0], "breast density", *_IN_BOTH[1:], "calc type", "calc distribution"),
        *("assessment", "pathology", "subtlety", *_PATHS),
    ),
}
_UNDERSCORED = _TABLES["Mass", "test"]
# One patient in so many has calcifications, from this one on (who is in the test table), under numbers of their own.
_CALCIFICATION_EVERY, _CALCIFICATION_FIRST, _CALCIFICATION_NUMBERS = 3, 2, 50_000
_MARGIN_PX = 4
_MASK_BITS = 8

Pixels = UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]


@dataclass(frozen=True, slots=True)
class _File:
    role: Role
    finding: int
    pixels: Pixels
    bits: int


def write_cbis_ddsm(
    out: Path,
    *,
    patients: int,
    seed: int,
    rows: int = 1024,
    naming: Naming = "uid",
    traps: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> Path:
    """Write phantoms in the tree of CBIS-DDSM, with a mask and a crop for each mass, and its four tables.

    As in the real tables, the path of each mask ends in a line break, and as in the real files `PatientID` names the
    case and not the patient. Masks are drawn apart: where two masses overlap, the pixel belongs to one of them, and a
    mass that lies under others altogether has neither files nor a row. For every third patient there is one more who
    has calcifications.

    Args:
        out: Folder to write into; made when missing.
        patients: Number of patients with masses, 1 to 49,999; every fifth, from the second on, is in the test tables.
        seed: Where all randomness comes from, 0 or more.
        rows: Height of the images in pixels.
        naming: "uid" for folders named by UID as in the tables, "nbia" for those of the NBIA downloader, named by date
            and series, "nbia-old" for those of its former version, "jpeg" for the copy in JPEG.
        traps: Names of `TRAPS` to set, or "all"; `traps.json` says where each of them is.
        on_progress: Called with the number of images done and their total.

    Returns:
        The folder, `out`. A folder that holds something else is a DatasetError, a disk without room a WriteError.

    Raises:
        ValueError: A number is out of its range, a trap is not known, or there are too few images for the traps.
    """
    check_rows(rows)
    if patients >= _CALCIFICATION_NUMBERS:
        msg = f"patients is {patients}; expected 1 to {_CALCIFICATION_NUMBERS - 1}"
        raise ValueError(msg)
    chosen = chosen_traps(traps, TRAPS)
    layout = _Layout.planned(patients=patients, seed=seed, rows=rows, naming=naming, traps=chosen)
    settings: Settings = {
        "model": MODEL_VERSION,
        "layout": "cbis-ddsm",
        "naming": naming,
        "seed": seed,
        "rows": rows,
        "traps": ",".join(trap.name for trap in chosen),
    }
    return write_dataset(
        out,
        [names.planned for names in layout.images],
        settings=settings,
        write_image=lambda planned: _write_image(out, layout.of(planned), layout.trap_of(planned)),
        texts=lambda: layout.texts(out),
        on_progress=on_progress,
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which images there are, what they are called, and which traps are set."""

    images: tuple[Names, ...]
    placed: Mapping[tuple[int, ...], Trap]
    tables: tuple[Trap, ...]
    """Traps of whole tables."""

    @classmethod
    def planned(cls, *, patients: int, seed: int, rows: int, naming: Naming, traps: Sequence[Trap]) -> "_Layout":
        masses = plan(patients=patients, seed=seed, acquisition="film")
        calcified = [
            replace(planned, number_of_masses=0)
            for patient in range(_CALCIFICATION_FIRST, patients + 1, _CALCIFICATION_EVERY)
            for planned in plan_patient(_CALCIFICATION_NUMBERS + patient, seed=seed, acquisition="film")
        ]
        is_shared = any(trap.name == "shared-patient" for trap in traps)
        if is_shared and not calcified:
            msg = f"the trap shared-patient needs {_CALCIFICATION_FIRST} patients; draw more"
            raise ValueError(msg)
        shared = calcified[0].patient if is_shared else 0
        images = [Names(planned, rows, naming) for planned in masses]
        images += [
            # The first patient's masses are in the train table, the first calcifications in the test table.
            Names(planned, rows, naming, "Calc", patient=1 if planned.patient == shared else 0)
            for planned in calcified
        ]
        tables = tuple(trap for trap in traps if trap.needs == "table")
        return cls(tuple(images), place(traps, masses), tables)

    def of(self, planned: PlannedImage) -> Names:
        return next(names for names in self.images if names.planned.seed == planned.seed)

    def trap_of(self, planned: PlannedImage) -> str:
        trap = self.placed.get(planned.seed)
        return "" if trap is None else trap.name

    def texts(self, out: Path) -> dict[str, str]:
        """The tables, by their path."""
        folder = "csv/" if self.images[0].naming == "jpeg" else ""
        texts = {}
        for (kind, side), name in _TABLES.items():
            images = [names for names in self.images if (names.kind, names.planned.split) == (kind, side)]
            text = _table(out, kind, [(names, self.trap_of(names.planned)) for names in images])
            if name == _UNDERSCORED and any(trap.name == "underscored-columns" for trap in self.tables):
                header, end, rest = text.partition("\n")
                text = header.replace(" ", "_") + end + rest
            texts[folder + name] = text
        if folder:
            texts[f"{folder}dicom_info.csv"] = _info(out, self.images)
        if self.placed or self.tables:
            texts[LIST_NAME] = listed([
                *(
                    (self.placed[names.planned.seed], names.case)
                    for names in self.images
                    if self.trap_of(names.planned)
                ),
                *((trap, _UNDERSCORED if trap.name == "underscored-columns" else "P_00001") for trap in self.tables),
            ])
        return texts


def _write_image(out: Path, names: Names, trap: str) -> None:
    """Draw and write one image, its masks and its crops, unless all of them are there."""
    findings = range(1, max(1, names.planned.number_of_masses) + 1)
    wanted: list[tuple[Role, int]] = [("image", 0), *(("mask", one) for one in findings)]
    if all((out / names.on_disk(*one)).exists() for one in wanted if one[0] not in _left_out(trap)):
        return
    for file in _files(names):
        if file.role not in _left_out(trap):
            _write(out, names, _trapped(file, trap))
            if trap == "truncated-image" and file.role == "image":
                cut_in_half(out / names.on_disk("image"))


def _left_out(trap: str) -> tuple[Role, ...]:
    """What a trap keeps from being written."""
    if trap == "missing-mask":
        return ("mask", "crop")
    return ("image",) if trap == "missing-image" else ()


def _files(names: Names) -> list[_File]:
    """What belongs to an image, the image last: where it is, its masks are."""
    phantom = draw(names.planned, rows=names.rows)
    image, instances = phantom.image, phantom.instances
    if names.kind == "Calc":
        cluster = add_cluster(np.random.default_rng((*names.planned.seed, 1)), phantom)
        image, instances = cluster.image, cluster.region.astype(np.uint8)
    files: list[_File] = []
    for finding in range(1, int(instances.max()) + 1):
        mask = instances == finding
        if mask.any():
            crop = np.ascontiguousarray(image[_box(mask)])
            files.append(_File("crop", finding, crop, phantom.bits_stored))
            files.append(_File("mask", finding, np.where(mask, np.uint8(255), np.uint8(0)), _MASK_BITS))
    return [*files, _File("image", 0, image, phantom.bits_stored)]


def _trapped(file: _File, trap: str) -> _File:
    if trap == "swapped" and file.role != "image":
        return replace(file, role="mask" if file.role == "crop" else "crop")
    if trap == "small-mask" and file.role == "mask":
        return replace(file, pixels=np.ascontiguousarray(file.pixels[::2, ::2]))
    if trap == "misshapen-mask" and file.role == "mask":
        return replace(file, pixels=np.ascontiguousarray(np.pad(file.pixels, ((0, file.pixels.shape[0] // 2), (0, 0)))))
    return file


def _box(mask: Mask2D) -> tuple[slice, slice]:
    """The smallest rectangle around a mass, and a margin as far as the image goes."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, rows[0] - _MARGIN_PX), rows[-1] + 1 + _MARGIN_PX),
        slice(max(0, columns[0] - _MARGIN_PX), columns[-1] + 1 + _MARGIN_PX),
    )


def _write(out: Path, names: Names, file: _File) -> None:
    path = out / names.on_disk(file.role, file.finding)
    if names.naming == "jpeg":
        write_jpeg(path, (file.pixels >> (file.bits - 8)).astype(np.uint8))
        return
    header = MammogramHeader(
        laterality=names.planned.laterality,
        view=names.planned.view,
        bits_stored=file.bits,
        sop_class="secondary capture",
        patient_id=names.folder(file.role, file.finding),
        study_instance_uid=names.uid("study", file.role, file.finding),
        series_instance_uid=names.uid("series", file.role, file.finding),
        sop_instance_uid=names.uid("image", file.role, file.finding),
    )
    write_mammogram(path, file.pixels, header)


def _table(out: Path, kind: Kind, images: Sequence[tuple[Names, str]]) -> str:
    """The text of a case description table, a row for each finding that has a mask."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS[kind])
    for names, trap in images:
        for finding in range(1, max(1, names.planned.number_of_masses) + 1):
            if trap != "missing-mask" and not (out / names.on_disk("mask", finding)).exists():
                continue
            row = _row(names, finding)
            writer.writerow(row)
            if trap == "repeated-row":
                writer.writerow(row)
            elif trap == "contradicting-rows":
                benign, malignant = "BENIGN", "MALIGNANT"
                pathology = _COLUMNS[kind].index("pathology")
                row[pathology] = malignant if row[pathology] != malignant else benign
                writer.writerow(row)
    return text.getvalue()


def _row(names: Names, finding: int) -> list[str]:
    planned = names.planned
    known = describe([planned.case.masses[finding - 1].finding], planned.case.breast.density)
    is_mass = names.kind == "Mass"
    form = (known.mass_shape, known.mass_margins) if is_mass else ("PLEOMORPHIC", "CLUSTERED")
    return [
        *(names.patient_id, known.breast_density, SIDES[planned.laterality], planned.view, str(finding)),
        *("mass" if is_mass else "calcification", *form, known.birads, known.pathology, known.subtlety),
        names.in_table("image"),
        names.in_table("crop", finding),
        names.in_table("mask", finding) + "\n",
    ]


def _info(out: Path, images: Sequence[Names]) -> str:
    """The text of the JPEG copy's own table, a row for each file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file_path", "image_path", "PatientID", "SeriesDescription", "SeriesInstanceUID"))
    for names in images:
        findings = range(1, max(1, names.planned.number_of_masses) + 1)
        files: list[tuple[Role, int]] = [("image", 0)]
        for finding in findings:
            files += [("crop", finding), ("mask", finding)]
        for role, finding in files:
            path = names.on_disk(role, finding)
            if (out / path).exists():
                picture = PurePosixPath("CBIS-DDSM", path)
                dicom = PurePosixPath("CBIS-DDSM/dicom", path.parent.name, path.with_suffix(".dcm").name)
                description = {"image": "full mammogram images", "mask": "ROI mask images", "crop": "cropped images"}[
                    role
                ]
                writer.writerow((
                    *(dicom, picture, names.folder(role, finding), description, names.uid("series", role, finding)),
                ))
    return text.getvalue()

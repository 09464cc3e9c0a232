"""Phantoms as CBIS-DDSM is downloaded: a folder a case, a file each for image, mask and crop, and its tables."""

import csv
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt16

from aunet.errors import WriteError
from aunet.io.aside import write_text
from aunet.io.dicom_writing import MammogramHeader, write_mammogram
from aunet.phantom.distribution import describe
from aunet.phantom.layouts import MODEL_VERSION, SIDES, PlannedImage, claim, draw, plan, unique_id
from aunet.phantom.mammogram import check_rows
from aunet.sample import Mask2D, Split

Naming = Literal["uid", "nbia"]
COLUMNS = (
    *("patient_id", "breast_density", "left or right breast", "image view", "abnormality id", "abnormality type"),
    *("mass shape", "mass margins", "assessment", "pathology", "subtlety"),
    *("image file path", "cropped image file path", "ROI mask file path"),
)
_TREE = "CBIS-DDSM"
_SET_OF: dict[Split, str] = {"train": "Training", "validation": "Training", "test": "Test"}
_MARGIN_PX = 4
_MASK_BITS = 8


def naming_of(word: str) -> Naming:
    """The naming of this name.

    Raises:
        ValueError: There is none; the message names those there are.
    """
    for known in get_args(Naming):
        if word == known:
            naming: Naming = known
            return naming
    msg = f'unknown naming "{word}"; expected one of {", ".join(get_args(Naming))}'
    raise ValueError(msg)


def write_cbis_ddsm(
    out: Path,
    *,
    patients: int,
    seed: int,
    rows: int = 1024,
    naming: Naming = "uid",
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write phantoms in the tree of CBIS-DDSM, with a mask and a crop for each mass.

    As in the real tables, the path of each mask ends in a line break, and as in the real files `PatientID` names the
    case and not the patient. Masks are drawn apart: where two masses overlap, the pixel belongs to one of them, and a
    mass that lies under others altogether has neither files nor a row.

    Args:
        out: Folder to write into; made when missing.
        patients: Number of patients, 1 to 99,999; every fifth, from the second on, is in the test tables.
        seed: Where all randomness comes from, 0 or more.
        rows: Height of the images in pixels.
        naming: "uid" for folders named by UID as in the tables, "nbia" for those of the NBIA downloader, named by date
            and series.
        on_progress: Called with the number of images done and their total.

    Returns:
        The folder, `out`. A number out of its range is a ValueError, a folder that holds something else a DatasetError.

    Raises:
        WriteError: The folder can't be made or written, or the disk is full; what is there already is whole.
    """
    check_rows(rows)
    images = plan(patients=patients, seed=seed, acquisition="film")
    settings: dict[str, int | float | str] = {
        "model": MODEL_VERSION,
        "layout": "cbis-ddsm",
        "naming": naming,
        "seed": seed,
        "rows": rows,
    }
    try:
        claim(out, settings=settings)
        for done, image in enumerate(images):
            if on_progress is not None:
                on_progress(done, len(images))
            _write_image(out, _Paths(image, rows, naming), rows=rows)
        for side, name in (("train", "train"), ("test", "test")):
            of_side = [_Paths(image, rows, naming) for image in images if image.split == side]
            write_text(out / f"mass_case_description_{name}_set.csv", _table(out, of_side))
    except OSError as error:
        msg = f"{out}: {error.strerror or error}; make it a folder with room to write, and the same call goes on"
        raise WriteError(msg) from error
    if on_progress is not None:
        on_progress(len(images), len(images))
    return out


class _Paths:
    """Where the files of one image lie, and what the table calls them."""

    def __init__(self, planned: PlannedImage, rows: int, naming: Naming) -> None:
        self.planned = planned
        self._rows = rows
        self._naming = naming
        side = SIDES[planned.laterality]
        self.patient_id = f"P_{planned.patient:05d}"
        self.case = f"Mass-{_SET_OF[planned.split]}_{self.patient_id}_{side}_{planned.view}"

    def case_of(self, mass: int) -> str:
        """Name of a mass's case; masses count from 1."""
        return f"{self.case}_{mass}"

    def uid(self, *words: str) -> str:
        """An identifier of this image's study, series or file."""
        return unique_id(" ".join(("cbis-ddsm", *words)), self.planned.seed, self._rows)

    def in_table(self, case: str, series: str, name: str) -> str:
        """A path as the table has it, whatever the folders are called."""
        return f"{case}/{self.uid('study', case)}/{self.uid('series', case, series)}/{name}"

    def on_disk(self, case: str, series: str, name: str) -> Path:
        """The path below the data set's folder."""
        if self._naming == "uid":
            return Path(_TREE, self.in_table(case, series, name))
        study = f"07-20-2016-DDSM-NA-{_five_digits(self.uid('study', case))}"
        return Path(
            _TREE, case, study, f"1.000000-{series}-{_five_digits(self.uid('series', case, series))}", "1-1.dcm"
        )

    @property
    def image(self) -> tuple[str, str, str]:
        """Case, series and name of the full image."""
        return self.case, "full mammogram images", "000000.dcm"

    def crop(self, mass: int) -> tuple[str, str, str]:
        """Those of a mass's crop; in the tables it shares its folder with the mask."""
        return self.case_of(mass), "ROI mask images" if self._naming == "uid" else "cropped images", "000000.dcm"

    def mask(self, mass: int) -> tuple[str, str, str]:
        """Those of a mass's mask."""
        return self.case_of(mass), "ROI mask images", "000001.dcm"


def _five_digits(text: str) -> str:
    return f"{int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100_000:05d}"


def _write_image(out: Path, paths: _Paths, *, rows: int) -> None:
    """Draw and write one image, its masks and its crops, unless all of them are there."""
    masses = range(1, paths.planned.number_of_masses + 1)
    files = [paths.image, *map(paths.mask, masses), *map(paths.crop, masses)]
    if all((out / paths.on_disk(*file)).exists() for file in files):
        return
    phantom = draw(paths.planned, rows=rows)
    for mass in range(1, int(phantom.instances.max()) + 1):
        mask = phantom.instances == mass
        if mask.any():
            crop = np.ascontiguousarray(phantom.image[_box(mask)])
            _write(out, paths, paths.crop(mass), crop, bits=phantom.bits_stored)
            _write(out, paths, paths.mask(mass), np.where(mask, np.uint16(255), np.uint16(0)), bits=_MASK_BITS)
    _write(out, paths, paths.image, phantom.image, bits=phantom.bits_stored)


def _box(mask: Mask2D) -> tuple[slice, slice]:
    """The smallest rectangle around a mass, and a margin as far as the image goes."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, rows[0] - _MARGIN_PX), rows[-1] + 1 + _MARGIN_PX),
        slice(max(0, columns[0] - _MARGIN_PX), columns[-1] + 1 + _MARGIN_PX),
    )


def _write(
    out: Path, paths: _Paths, file: tuple[str, str, str], pixels: UInt16[np.ndarray, "h w"], *, bits: int
) -> None:
    case, series, name = file
    path = out / paths.on_disk(*file)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = MammogramHeader(
        laterality=paths.planned.laterality,
        view=paths.planned.view,
        bits_stored=bits,
        sop_class="secondary capture",
        patient_id=case,
        study_instance_uid=paths.uid("study", case),
        series_instance_uid=paths.uid("series", case, series),
        sop_instance_uid=paths.uid("image", case, series, name),
    )
    write_mammogram(path, pixels, header)


def _table(out: Path, images: list[_Paths]) -> str:
    """The text of a case description table, a row for each mass that has a mask."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for paths in images:
        planned = paths.planned
        for mass, one in enumerate(planned.case.masses[: planned.number_of_masses], start=1):
            if not (out / paths.on_disk(*paths.mask(mass))).exists():
                continue
            known = describe([one.finding], planned.case.breast.density)
            writer.writerow([
                *(paths.patient_id, known.breast_density, SIDES[planned.laterality], planned.view, mass, "mass"),
                *(known.mass_shape, known.mass_margins, known.birads, known.pathology, known.subtlety),
                paths.in_table(*paths.image),
                paths.in_table(*paths.crop(mass)),
                paths.in_table(*paths.mask(mass)) + "\n",
            ])
    return text.getvalue()

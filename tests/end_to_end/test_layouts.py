"""Phantoms in the trees of real data sets: what the readers return is what was drawn."""

import csv
import json
import plistlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Polygon
from scipy import ndimage

from aunet.datasets.inspection import inspect_pixels
from aunet.datasets.opening import open_dataset
from aunet.errors import DatasetError
from aunet.io.files import read_sample
from aunet.metrics.overlap import dice
from aunet.phantom.cbis_ddsm_layout import TRAPS as CBIS_DDSM_TRAPS
from aunet.phantom.cbis_ddsm_layout import write_cbis_ddsm
from aunet.phantom.cbis_ddsm_names import Naming
from aunet.phantom.inbreast_layout import TRAPS as INBREAST_TRAPS
from aunet.phantom.inbreast_layout import outlines_of, write_inbreast
from aunet.phantom.layouts import PlannedImage, draw, plan
from aunet.sample import Mask2D, Sample

ROWS = 192
PATIENTS = 9
# With this seed an image has three masses.
SEED = 15


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def planned_of(sample: Sample, planned: tuple[PlannedImage, ...]) -> PlannedImage:
    """The plan of a sample: CBIS-DDSM's names hold the patient's number, INbreast's numbers of images do."""
    named = sample.patient_id.removeprefix("P_")
    number = int(named) if named.isdigit() and len(named) == 5 else (int(sample.case) - 20_000_000) // 10
    (found,) = (
        one for one in planned if (one.patient, one.laterality, one.view) == (number, sample.laterality, sample.view)
    )
    return found


@pytest.fixture(scope="module")
def films() -> tuple[PlannedImage, ...]:
    return plan(patients=PATIENTS, seed=SEED, acquisition="film")


@pytest.mark.parametrize("naming", get_args(Naming))
def test_cbis_ddsm_is_read_as_it_was_drawn(naming: Naming, films: tuple[PlannedImage, ...], tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path, patients=PATIENTS, seed=SEED, rows=ROWS, naming=naming)

    dataset = open_dataset(f"cbis-ddsm:{tmp_path}")

    counts = dataset.ledger.counts
    assert (counts["read"], counts["repaired"], counts["refused"]) == (len(films), 0, 0)
    assert max(len(sample.mask_paths) for sample in dataset.samples) > 1
    for sample in dataset.samples:
        image = planned_of(sample, films)
        drawn = draw(image, rows=ROWS)
        mammogram, mask = read_sample(sample)
        if naming == "jpeg":
            # Films have 16 bits, the copy in JPEG 8, and those within the loss of its compression.
            assert np.abs(mammogram.image - drawn.image // 256).max() < 32
            assert np.abs(mammogram.image - drawn.image // 256).mean() < 2
        else:
            assert np.array_equal(mammogram.image, drawn.image)
        assert np.array_equal(mask.pixels, drawn.mask)
        if mask.instances is not None:
            assert np.array_equal(mask.instances, drawn.instances)
        assert (sample.split, sample.properties) == (image.split, drawn.properties)


def test_calcifications_are_left_out_or_read_on_request(films: tuple[PlannedImage, ...], tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path, patients=PATIENTS, seed=SEED, rows=ROWS)

    masses = open_dataset(f"cbis-ddsm:{tmp_path}")
    calcified = open_dataset(f"cbis-ddsm,findings=calcification:{tmp_path}")
    both = open_dataset(f"cbis-ddsm,findings=both:{tmp_path}")

    cases = [{sample.case for sample in dataset.samples} for dataset in (masses, calcified, both)]
    assert len(cases[0]) == len(films)
    assert cases[1]
    assert cases[0] | cases[1] == cases[2]
    assert not cases[0] & cases[1]
    assert masses.ledger.counts["left_out"] == len(cases[1])
    for sample in calcified.samples:
        mammogram, mask = read_sample(sample)
        # The specks are the brightest tissue: inside their region, the image reaches higher than around it.
        ring = ndimage.binary_dilation(mask.pixels, iterations=3) & ~mask.pixels
        assert mammogram.image[mask.pixels].max() > mammogram.image[ring].max()


# What the ledger says of each trap; the traps' own words are those of who set them.
SAID = {
    "swapped": "swapped by name",
    "small-mask": "resized to",
    "misshapen-mask": "another shape",
    "missing-mask": "the mask of mass 1 is missing",
    "missing-image": "the image is missing|no file bears this number",
    "truncated-image": "truncated|cut off",
    "repeated-row": "repeats line",
    "contradicting-rows": "contradict each other",
    "underscored-columns": "underscores",
    "shared-patient": "1 patients of the mass train set are in the calcification test set",
    "point": "is a mark of 1 points",
    "open-outline": "is open",
    "outside": "has 1 of its [0-9]+ points outside",
    "several-regions": "^$",
    "other-finding": "1 of [0-9]+ outlines are of other findings",
    "missing-outlines": "holds no outlines, yet Bi-Rads is",
    "damaged-outlines": "no sound property list",
    "missing-row": "stands in no row",
    "contradicting-side": "laterality is",
}
GREY = "the mask is grey (up to 255); what lies above half of its maximum is mass"


def check_traps(folder: Path, data: str) -> dict[str, str]:
    """Every trap stands in the ledger as `traps.json` says; what is wrong beside them; cases by trap."""
    ledger = inspect_pixels(open_dataset(data)).dataset.ledger
    traps = json.loads((folder / "traps.json").read_text(encoding="utf-8"))
    rows = {row.case: row for row in ledger.rows}
    for trap in traps:
        if trap["ledger"] == "note":
            assert any(re.search(SAID[trap["trap"]], note) for note in ledger.notes), trap
        else:
            # A repeated row is refused where the first of the two is read.
            status = {row.status for row in ledger.rows if row.case == trap["in"]}
            assert trap["ledger"] in status, trap
            reasons = [row.reason for row in ledger.rows if row.case == trap["in"]]
            assert any(re.search(SAID[trap["trap"]], reason) for reason in reasons), (trap, reasons)
    trapped = {trap["in"] for trap in traps}
    others = [row for row in rows.values() if row.case not in trapped]
    # The copy in JPEG greys the masks' edges, without any trap.
    assert {row.reason for row in others if row.status not in {"read", "left_out"}} <= {GREY}
    return {trap["trap"]: trap["in"] for trap in traps}


@pytest.mark.parametrize("naming", get_args(Naming))
def test_every_trap_of_cbis_ddsm_is_in_the_ledger(naming: Naming, tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path, patients=8, seed=SEED, rows=ROWS, naming=naming, traps=["all"])

    cases = check_traps(tmp_path, f"cbis-ddsm:{tmp_path}")

    assert set(cases) == {trap.name for trap in CBIS_DDSM_TRAPS}
    # What could be repaired is as it was drawn, in spite of the trap.
    samples = {sample.case: sample for sample in open_dataset(f"cbis-ddsm:{tmp_path}").samples}
    planned = plan(patients=8, seed=SEED, acquisition="film")
    for name in ("swapped", "repeated-row"):
        sample = samples[cases[name]]
        assert np.array_equal(read_sample(sample)[1].pixels, draw(planned_of(sample, planned), rows=ROWS).mask)
    small = samples[cases["small-mask"]]
    drawn = draw(planned_of(small, planned), rows=ROWS).mask
    assert dice(read_sample(small)[1].pixels, drawn) > 0.85


def test_every_trap_of_inbreast_is_in_the_ledger(tmp_path: Path) -> None:
    # An outline is called open from 20 pixels on, more than a mass has on a smaller image.
    write_inbreast(tmp_path, patients=9, seed=SEED, rows=768, traps=["all"])

    cases = check_traps(tmp_path, f"inbreast:{tmp_path}")

    assert set(cases) == {trap.name for trap in INBREAST_TRAPS}
    dataset = open_dataset(f"inbreast:{tmp_path}")
    planned = plan(patients=9, seed=SEED, acquisition="detector")
    samples = {sample.case: sample for sample in dataset.samples}
    for name in ("point", "outside", "other-finding", "several-regions", "contradicting-side"):
        sample = samples[cases[name]]
        drawn = draw(planned_of(sample, planned), rows=768)
        assert np.array_equal(read_sample(sample)[1].pixels, drawn.mask), name
        assert sample.laterality == drawn.laterality
    (two,) = (row for row in dataset.ledger.rows if row.case == cases["several-regions"])
    assert two.n_masses == 2


@pytest.mark.parametrize("write", [write_cbis_ddsm, write_inbreast])
def test_traps_are_the_same_in_a_second_call(write: Callable[..., Path], tmp_path: Path) -> None:
    write(tmp_path / "once", patients=10, seed=SEED, rows=64, traps=["all"])
    before = content(tmp_path / "once")

    write(tmp_path / "once", patients=10, seed=SEED, rows=64, traps=["all"])

    assert content(tmp_path / "once") == before
    with pytest.raises(DatasetError, match="name another folder"):
        write(tmp_path / "once", patients=10, seed=SEED, rows=64)


@pytest.mark.parametrize("write", [write_cbis_ddsm, write_inbreast])
def test_traps_that_are_unknown_or_too_many_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='unknown trap "pitfall"; expected all or some of'):
        write(tmp_path, patients=10, seed=SEED, rows=64, traps=["pitfall"])
    with pytest.raises(ValueError, match="draw more"):
        write(tmp_path, patients=1, seed=SEED, rows=64, traps=["all"])
    assert not any(tmp_path.iterdir())


def test_inbreast_is_read_as_it_was_drawn(tmp_path: Path) -> None:
    write_inbreast(tmp_path, patients=PATIENTS, seed=SEED, rows=ROWS, normal_fraction=0.3)
    planned = plan(patients=PATIENTS, seed=SEED, acquisition="detector", normal_fraction=0.3)

    dataset = open_dataset(f"inbreast,images=all:{tmp_path}")
    with_mass = open_dataset(f"inbreast:{tmp_path}")

    assert dataset.ledger.counts == {"read": len(planned), "repaired": 0, "left_out": 0, "refused": 0}
    assert len(with_mass.samples) == sum(one.number_of_masses > 0 for one in planned) < len(planned)
    patients: dict[str, set[int]] = {}
    for sample in dataset.samples:
        image = planned_of(sample, planned)
        drawn = draw(image, rows=ROWS)
        mammogram, mask = read_sample(sample)
        assert np.array_equal(mammogram.image, drawn.image)
        assert np.array_equal(mask.pixels, drawn.mask)
        assert mammogram.spacing_mm == pytest.approx(drawn.spacing_mm, rel=1e-6)
        patients.setdefault(sample.patient_id, set()).add(image.patient)
    assert all(len(numbers) == 1 for numbers in patients.values())
    assert len(patients) == PATIENTS


def test_another_library_fills_the_outlines_to_the_same_masks(tmp_path: Path) -> None:
    write_inbreast(tmp_path, patients=3, seed=SEED, rows=ROWS)
    rows, columns = np.mgrid[:ROWS, : pydicom.dcmread(next(tmp_path.glob("AllDICOMs/*.dcm"))).Columns]
    for image in plan(patients=3, seed=SEED, acquisition="detector"):
        drawn = draw(image, rows=ROWS)
        side_and_view = 2 * "LR".index(image.laterality) + ("CC", "MLO").index(image.view)
        path = tmp_path / "AllXML" / f"{20_000_000 + 10 * image.patient + side_and_view}.xml"
        regions = plistlib.loads(path.read_bytes())["Images"][0]["ROIs"]
        shape = drawn.mask.shape
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        filled = np.zeros(shape, dtype=np.bool_)
        for region in regions:
            points = [tuple(map(float, point.strip("()").split(","))) for point in region["Point_px"]]
            inside = Polygon([*points, points[0]]).contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
            filled |= inside.reshape(shape)
        assert np.array_equal(filled, drawn.mask)


def test_the_tables_of_cbis_ddsm_name_the_files_and_end_mask_paths_in_a_line_break(tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path, patients=PATIENTS, seed=SEED, rows=ROWS)

    named: list[str] = []
    for table in tmp_path.glob("*_case_description_*_set.csv"):
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert row["ROI mask file path"].endswith("\n")
                named += [row[f"{what} file path"].strip() for what in ("image", "cropped image", "ROI mask")]
    on_disk = {str(path.relative_to(tmp_path / "CBIS-DDSM")) for path in tmp_path.rglob("*.dcm")}
    assert set(named) == on_disk


def test_the_patient_of_a_cbis_ddsm_file_is_its_case(tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path, patients=1, seed=SEED, rows=ROWS)

    for path in tmp_path.rglob("*.dcm"):
        assert pydicom.dcmread(path, stop_before_pixels=True).PatientID == path.relative_to(tmp_path).parts[1]


@pytest.mark.parametrize(
    "write",
    [
        lambda out, patients: write_cbis_ddsm(out, patients=patients, seed=1, rows=64),
        lambda out, patients: write_inbreast(out, patients=patients, seed=1, rows=64),
    ],
)
def test_a_second_call_adds_what_is_missing_and_the_bytes_are_the_same(
    write: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    write(tmp_path / "grown", 2)
    next((tmp_path / "grown").rglob("*.dcm")).unlink()

    write(tmp_path / "grown", 4)

    assert content(tmp_path / "grown") == content(write(tmp_path / "fresh", 4))


def test_another_layout_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path, patients=1, seed=1, rows=64)

    with pytest.raises(DatasetError, match="name another folder"):
        write_inbreast(tmp_path, patients=1, seed=1, rows=64)
    with pytest.raises(DatasetError, match="name another folder"):
        write_cbis_ddsm(tmp_path, patients=1, seed=1, rows=64, naming="nbia")


def test_an_outline_runs_between_the_pixels() -> None:
    """By hand: one pixel gets the four points halfway to its neighbours."""
    mask: Mask2D = np.zeros((3, 4), dtype=np.bool_)
    mask[1, 2] = True

    (outline,) = outlines_of(mask)

    assert {tuple(point) for point in outline.tolist()} == {(0.5, 2.0), (1.0, 1.5), (1.5, 2.0), (1.0, 2.5)}


def test_each_part_has_an_outline_and_a_hole_has_none() -> None:
    mask: Mask2D = np.zeros((9, 16), dtype=np.bool_)
    mask[1:8, 1:8] = True
    mask[3:6, 3:6] = False
    mask[2:5, 11:16] = True

    assert len(outlines_of(mask)) == 2

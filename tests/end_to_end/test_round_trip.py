"""From file to SEG and back by another reader: the mask lies where the mass is, the right way round."""

import shutil
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from aunet.inference.backends.backend import Backend
from aunet.inference.batch import segment_files
from aunet.inference.segmenter import Segmenter
from aunet.preprocessing.pipeline import Fit, Preprocessing
from aunet.sample import Laterality, Mask2D, View

SHAPE = (790, 610)
BACKGROUND, TISSUE, MUSCLE, MASS = 20, 1400, 2000, 3900  # of 12 bits

MakeBackend = Callable[..., Backend]
WriteFilm = Callable[..., Path]


def letter_f(shape: tuple[int, int], *, top: int, left: int) -> Mask2D:
    """An F of 165 x 110 pixels: none of its flips and turns looks like it."""
    mask = np.zeros(shape, np.bool_)
    mask[top : top + 165, left : left + 32] = True
    mask[top : top + 32, left : left + 110] = True
    mask[top + 66 : top + 98, left : left + 75] = True
    return mask


def film(laterality: Laterality, view: View) -> tuple[np.ndarray, Mask2D]:
    """A breast with an F in it, 12 bits, and the F; a left breast has its chest wall on the left side of the image.

    Dark borders of unequal width surround it. The F is never mirrored: a mask that comes back mirrored is seen.
    """
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wall, middle = 30, 380  # first column of tissue, row of the nipple
    image = np.where(((row - middle) / 320) ** 2 + ((column - wall) / 480) ** 2 < 1, TISSUE, BACKGROUND)
    if view == "MLO":
        image = np.where((column - wall) + 0.6 * (row - 60) < 150, MUSCLE, image)
        image = np.where(row < 60, BACKGROUND, image)
    image = np.where(column < wall, BACKGROUND, image)
    place = {"CC": (250, 120), "MLO": (430, 90)}[view]
    if laterality == "R":
        image = image[:, ::-1]
        place = (place[0], SHAPE[1] - place[1] - 180)
    mass = letter_f(SHAPE, top=place[0], left=place[1])
    return np.where(mass, MASS, image).astype(np.uint16), mass


@pytest.fixture
def write_film(write_dicom_film: WriteFilm) -> WriteFilm:
    """Writes a film of any view, which may store white as 0."""

    def write(path: Path, image: np.ndarray, laterality: Laterality, view: View, *, photometric: str) -> Path:
        return write_dicom_film(
            path,
            4095 - image if photometric == "MONOCHROME1" else image,
            PatientName="Phantom^F",
            PatientID="F",
            ImageLaterality=laterality,
            ViewPosition=view,
            PatientOrientation=["A" if laterality == "L" else "P", "L"],
            PhotometricInterpretation=photometric,
        )

    return write


def read_back(seg_path: Path, source: Path) -> Mask2D:
    """The union of a SEG's segments, bits unpacked by hand, and checked to be of this source: no highdicom."""
    seg, mammogram = dcmread(seg_path), dcmread(source, stop_before_pixels=True)
    (series,) = seg.ReferencedSeriesSequence
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == [mammogram.SOPInstanceUID]
    assert (seg.Rows, seg.Columns) == (mammogram.Rows, mammogram.Columns)
    assert (seg.BitsAllocated, seg.SamplesPerPixel, seg.PhotometricInterpretation) == (1, 1, "MONOCHROME2")
    size = seg.Rows * seg.Columns
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")[: size * seg.NumberOfFrames]
    return np.asarray(bits.reshape(seg.NumberOfFrames, seg.Rows, seg.Columns).any(axis=0))


def iou(first: Mask2D, second: Mask2D) -> float:
    return float((first & second).sum() / (first | second).sum())


def window(mask: Mask2D, around: Mask2D) -> Mask2D:
    """A square of `mask` about the middle of `around`, so that every flip and turn of it can be compared."""
    rows, columns = np.nonzero(around)
    row, column = (int(rows.min() + rows.max()) // 2, int(columns.min() + columns.max()) // 2)
    return mask[row - 90 : row + 90, column - 90 : column + 90]


def flips_and_turns(mask: Mask2D) -> list[Mask2D]:
    """The seven other ways to lay a square."""
    turned = [np.rot90(mask, quarter) for quarter in range(4)]
    return turned[1:] + [one[:, ::-1] for one in turned]


@pytest.mark.parametrize(
    ("laterality", "view", "fit", "photometric"),
    list(product(["L", "R"], ["CC", "MLO"], ["resize", "pad"], ["MONOCHROME1", "MONOCHROME2"])),
)
def test_the_mask_in_the_seg_lies_where_the_mass_is(
    make_backend: MakeBackend,
    write_film: WriteFilm,
    tmp_path: Path,
    laterality: Laterality,
    view: View,
    fit: Fit,
    photometric: str,
) -> None:
    image, mass = film(laterality, view)
    source = write_film(tmp_path / "film.dcm", image, laterality, view, photometric=photometric)
    segmenter = Segmenter.of(make_backend(Preprocessing(fit=fit), threshold=0.75))

    (result,) = segment_files([source], segmenter, tmp_path / "out").results

    found = read_back(tmp_path / "out" / result.seg, source)
    assert iou(found, mass) >= 0.9
    as_it_is, truth = window(found, mass), window(mass, mass)
    assert max(iou(other, truth) for other in flips_and_turns(as_it_is)) < 0.7 < iou(as_it_is, truth)
    assert result.laterality == laterality
    assert result.view == view
    assert result.masses[0].area_mm2 == pytest.approx(mass.sum() * 0.01, rel=0.1)
    # The diagonal of the F, from the lower end of its stem to the end of its upper bar.
    assert result.masses[0].diameter_mm == pytest.approx(np.hypot(165, 110) * 0.1, rel=0.05)


@pytest.mark.parametrize(("laterality", "fit"), list(product(["L", "R"], ["resize", "pad"])))
def test_the_mask_lies_there_without_cropping_and_without_mirroring_too(
    make_backend: MakeBackend, write_film: WriteFilm, tmp_path: Path, laterality: Laterality, fit: Fit
) -> None:
    image, mass = film(laterality, "MLO")
    source = write_film(tmp_path / "film.dcm", image, laterality, "MLO", photometric="MONOCHROME2")
    settings = Preprocessing(rows=320, columns=256, fit=fit, crop=False, face_left=False, channels=1)

    (result,) = segment_files([source], Segmenter.of(make_backend(settings, threshold=0.75)), tmp_path / "out").results

    assert iou(read_back(tmp_path / "out" / result.seg, source), mass) >= 0.9


@pytest.mark.skipif(shutil.which("dcm2img") is None and shutil.which("dcmdump") is None, reason="no dcmtk")
def test_dcmtk_reads_the_same_bits(make_backend: MakeBackend, write_film: WriteFilm, tmp_path: Path) -> None:
    image, _ = film("R", "CC")
    source = write_film(tmp_path / "film.dcm", image, "R", "CC", photometric="MONOCHROME2")
    segmenter = Segmenter.of(make_backend(Preprocessing(), threshold=0.75))
    (result,) = segment_files([source], segmenter, tmp_path / "out").results
    seg = tmp_path / "out" / result.seg

    subprocess.run(["dcmdump", "-q", "+W", str(tmp_path), "+P", "7fe0,0010", str(seg)], check=True, capture_output=True)

    (raw,) = tmp_path.glob("*.raw")
    bits = np.unpackbits(np.frombuffer(raw.read_bytes(), np.uint8), bitorder="little")[: SHAPE[0] * SHAPE[1]]
    np.testing.assert_array_equal(bits.reshape(SHAPE).astype(np.bool_), read_back(seg, source))


@pytest.mark.slow
def test_the_real_films_get_segs_that_dciodvfy_passes(
    make_backend: MakeBackend, real_films: dict[str, Path], tmp_path: Path
) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    segmenter = Segmenter.of(make_backend(Preprocessing(intensity="percentile"), threshold=0.85))

    report = segment_files(list(real_films.values()), segmenter, tmp_path)

    assert [result.error for result in report.failed] == []
    for result, (name, source) in zip(report.results, real_films.items(), strict=True):
        seg = tmp_path / result.seg
        checked = subprocess.run(["dciodvfy", str(seg)], capture_output=True, text=True, check=False)
        assert "Segmentation" in checked.stderr, name
        assert [line for line in checked.stderr.splitlines() if line.startswith("Error")] == [], name
        assert result.masses, name
        assert result.laterality == name.split("_")[2][0], name
        assert read_back(seg, source).sum() == sum(mass.area_px for mass in result.masses)

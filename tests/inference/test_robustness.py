"""What the benchmark of changed images does to them: mask and image move alike, and nothing changes unasked."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from PIL import Image as Picture

from aunet.inference.backends.backend import Backend
from aunet.inference.segmenter import Segmenter
from aunet.io.files import read_mammogram
from aunet.preprocessing.breast import find_breast
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import Image, Mammogram, Mask2D, Sample

DARK = np.float32(1000)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "robustness.py"
    spec = importlib.util.spec_from_file_location("robustness", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def breast() -> tuple[Image, Mask2D]:
    """Half a disc of tissue at the left edge, with a bright square mass off its middle."""
    rows, columns = np.mgrid[:128, :128]
    image = np.where(np.hypot(rows - 64, columns) < 52, 24000 - 150 * columns, 0).astype(np.float32)
    mask = (abs(rows - 50) < 8) & (abs(columns - 24) < 8)
    image[mask] = 60000
    return image, mask


@pytest.fixture
def segmenter(make_backend: Callable[..., Backend]) -> Segmenter:
    """Takes the brighter half of the grey values for mass."""
    return Segmenter.of(make_backend(Preprocessing(rows=128, columns=128, channels=1, crop=False)))


@pytest.fixture
def samples(breast: tuple[Image, Mask2D], tmp_path: Path) -> list[Sample]:
    image, mask = breast
    Picture.fromarray(image.astype(np.uint16)).save(tmp_path / "image.png")
    Picture.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(tmp_path / "mask.png")
    return [Sample(str(n), tmp_path / "image.png", (tmp_path / "mask.png",), patient_id=str(n)) for n in range(2)]


def middle(mask: Mask2D) -> np.ndarray:
    return np.asarray(np.argwhere(mask).mean(axis=0))


@pytest.mark.parametrize("degrees", [5.0, 10.0, 20.0])
def test_turning_moves_the_mask_with_the_image(
    benchmark: ModuleType, breast: tuple[Image, Mask2D], degrees: float
) -> None:
    image, mask = benchmark.rotated(*breast, degrees=degrees)

    assert image.shape == mask.shape
    assert abs(middle(image > 40000) - middle(mask)).max() < 0.3
    assert mask.sum() == pytest.approx(breast[1].sum(), rel=0.05)


def test_turning_turns_by_the_angle_asked_for(benchmark: ModuleType, breast: tuple[Image, Mask2D]) -> None:
    _, mask = benchmark.rotated(*breast, degrees=20.0)

    before, after = (middle(one) - (np.array(one.shape) - 1) / 2 for one in (breast[1], mask))
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(20.0, abs=1.0)


@pytest.mark.parametrize("is_cubic", [False, True])
def test_enlarging_keeps_the_share_of_the_mask_and_its_place(
    benchmark: ModuleType, breast: tuple[Image, Mask2D], *, is_cubic: bool
) -> None:
    image, mask = benchmark.enlarged(*breast, is_cubic=is_cubic, rows=640)

    assert image.shape == mask.shape == (640, 640)
    assert mask.mean() == pytest.approx(breast[1].mean(), rel=1e-6)
    assert abs(middle(image > 40000) - middle(mask)).max() < 0.5


def test_enlarging_leaves_a_full_field_image_as_it_is(benchmark: ModuleType, breast: tuple[Image, Mask2D]) -> None:
    image, mask = benchmark.enlarged(*breast, is_cubic=True, rows=128)

    assert np.allclose(image, breast[0], atol=0.5)
    assert np.array_equal(mask, breast[1])


def test_a_frame_moves_the_mask_with_the_image(benchmark: ModuleType, breast: tuple[Image, Mask2D]) -> None:
    image, mask = benchmark.framed(*breast, share=0.25, is_bright=False)

    assert image.shape == (192, 192)
    assert np.array_equal(image > 40000, mask)


def test_contrast_keeps_the_middle_grey_and_shortens_the_way_to_it(benchmark: ModuleType) -> None:
    image = np.tile(np.linspace(0, 40000, 64, dtype=np.float32), (64, 1))

    changed, _ = benchmark.contrast(image, image > 0, factor=0.5)

    middle_grey = np.median(image[find_breast(image)])
    assert np.allclose(changed - middle_grey, 0.5 * (image - middle_grey), atol=1)


def test_grey_values_stay_in_their_range(benchmark: ModuleType, breast: tuple[Image, Mask2D]) -> None:
    image = breast[0] + DARK

    for name in ("contrast x1.5", "gamma 0.5", "s-shaped look-up table", "noise, sd 0.05 of the range"):
        changed, _ = benchmark.CONDITIONS[name](image, breast[1])

        assert changed.min() >= image.min(), name
        assert changed.max() <= image.max(), name
        assert not np.array_equal(changed, image), name


def test_gamma_is_a_power_of_the_range(benchmark: ModuleType) -> None:
    image = np.array([[1000, 2000, 5000]], dtype=np.float32)

    changed, _ = benchmark.gamma(image, image > 0, power=2.0)

    assert changed == pytest.approx(np.array([[1000, 1000 + 4000 * 0.25**2, 5000]]))


def test_every_condition_gives_the_same_for_the_same_image(benchmark: ModuleType, breast: tuple[Image, Mask2D]) -> None:
    for name, change in benchmark.CONDITIONS.items():
        if "rows" in name:
            continue  # as the others, and large
        before = breast[0].copy(), breast[1].copy()
        first, second = change(*breast), change(*breast)

        assert np.array_equal(first[0], second[0]), name
        assert np.array_equal(first[1], second[1]), name
        assert all(np.array_equal(*pair) for pair in zip(before, breast, strict=True)), f"{name} changes its input"
        assert first[0].dtype == np.float32, name
        assert first[1].dtype == np.bool_, name
        assert first[0].shape == first[1].shape, name


def test_film_marks_lie_beside_the_breast(benchmark: ModuleType) -> None:
    rows, columns = np.mgrid[:512, :512]
    inside = np.hypot(rows - 256, columns) < 200
    image = np.where(inside, np.float32(20000), np.float32(0)).astype(np.float32)
    image[240:250, 50:60] = 65535

    changed, _ = benchmark.marked(image, inside)

    # Borders may run along the chest wall over the breast; further in it is untouched.
    assert np.array_equal(changed[inside & (columns > 8)], image[inside & (columns > 8)])
    assert (changed[~inside] > 40000).sum() > 50


@pytest.mark.parametrize("name", ["unchanged", "MONOCHROME1 in DICOM", "MONOCHROME2 in DICOM", "mirrored"])
def test_what_the_segmenter_undoes_changes_no_score(
    benchmark: ModuleType, segmenter: Segmenter, samples: list[Sample], name: str
) -> None:
    plain, line = benchmark.changed_images(
        samples,
        segmenter,
        conditions={benchmark.UNCHANGED: benchmark.unchanged, f"{name} again": benchmark.CONDITIONS[name]},
    )

    assert line.scores == plain.scores
    assert line.cells()["fall"].startswith("+0.000")
    assert plain.scores[0].dsc > 0.95


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_condition_through_dicom_stores_the_polarity_it_names(
    benchmark: ModuleType, breast: tuple[Image, Mask2D], monkeypatch: pytest.MonkeyPatch, photometric: str
) -> None:
    stored = []

    def read(path: Path) -> Mammogram:
        stored.append(pydicom.dcmread(path))
        return read_mammogram(path)

    monkeypatch.setattr(benchmark, "read_mammogram", read)
    image, _ = benchmark.CONDITIONS[f"{photometric} in DICOM"](*breast)

    assert stored[0].PhotometricInterpretation == photometric
    assert stored[0].pixel_array[0, 127] == (65535 if photometric == "MONOCHROME1" else 0)
    assert np.abs(image - breast[0]).max() <= 0.5


def test_a_fall_is_that_of_the_same_images(benchmark: ModuleType, segmenter: Segmenter, samples: list[Sample]) -> None:
    conditions = {name: benchmark.CONDITIONS[name] for name in ("unchanged", "polarity inverted, not said")}

    plain, inverted = benchmark.changed_images(samples, segmenter, conditions=conditions)

    before, after = float(plain.cells()["mean DSC"].split()[0]), float(inverted.cells()["mean DSC"].split()[0])
    assert float(inverted.cells()["fall"].split()[0]) == pytest.approx(before - after, abs=0.0011)
    assert plain.cells()["fall"] == ""
    assert before - after > 0.5


def test_regions_beside_the_mass_are_counted_apart_from_poor_ones(
    benchmark: ModuleType, segmenter: Segmenter, breast: tuple[Image, Mask2D]
) -> None:
    image, mask = breast[0].copy(), np.zeros_like(breast[1])
    mask[50, 24] = True  # found, yet with an IoU far below what counts as finding it
    image[80:86, 20:26] = 60000

    found = benchmark.score(benchmark.mammogram_of(image), mask, segmenter, patient=0)

    assert len(found.detections.false_scores) == 2
    assert found.beside == 1


def test_nothing_is_found_in_an_image_without_contrast(benchmark: ModuleType, segmenter: Segmenter) -> None:
    image = np.full((64, 48), 30000, dtype=np.float32)

    found = benchmark.score(benchmark.mammogram_of(image), np.zeros((64, 48), dtype=bool), segmenter, patient=0)

    assert found.outcome == "true_negative"
    assert np.isnan(found.dsc)


def test_a_healed_breast_keeps_no_mass_and_what_is_found_in_it_is_false(
    benchmark: ModuleType, segmenter: Segmenter, breast: tuple[Image, Mask2D], samples: list[Sample]
) -> None:
    image, mask = breast
    healed, nothing = benchmark.healed(image, mask)
    line = benchmark.healed_line(samples, segmenter)

    # Brightness falls by 150 a column and nowhere else: that is its own continuation.
    assert np.allclose(healed[mask], 24000 - 150 * np.nonzero(mask)[1], rtol=0.01)
    assert not nothing.any()
    # Half of such a breast is brighter than half its range: one region, and no mass to find.
    assert [one.detections.n_false_regions for one in line.scores] == [1, 1]
    assert [one.detections.n_masses for one in line.scores] == [0, 0]


def test_the_tables_name_weights_and_images(benchmark: ModuleType, segmenter: Segmenter) -> None:
    line = benchmark.phantom_line(segmenter, "film", rows=128, n=2, is_normal=True)

    text = benchmark.as_markdown([line, replace(line, table="another")], about="Weights: w.onnx.")

    assert text.startswith("Weights: w.onnx.\n")
    assert "### No mass\n" in text
    assert "| film phantoms, 128 rows | 2 |" in text
    assert "mean DSC" not in text
    assert benchmark.as_csv([line]).splitlines()[0].startswith("table,images,n,patients,mean DSC,fall")


def test_phantoms_with_and_without_masses_are_the_same_breasts(benchmark: ModuleType, segmenter: Segmenter) -> None:
    normal, with_masses = (
        benchmark.phantom_line(segmenter, "detector", rows=128, n=2, is_normal=is_normal) for is_normal in (True, False)
    )

    assert all(one.detections.n_masses == 0 for one in normal.scores)
    assert all(one.detections.n_masses > 0 for one in with_masses.scores)
    assert [one.patient for one in normal.scores] == [one.patient for one in with_masses.scores]


def test_samples_are_drawn_by_the_seed_and_keep_their_order(benchmark: ModuleType, samples: list[Sample]) -> None:
    many = [replace(samples[0], case=f"{n:03}") for n in range(50)]

    drawn = benchmark.chosen(many, limit=10)

    assert [one.case for one in drawn] == sorted({one.case for one in drawn})
    assert len(drawn) == 10
    assert drawn == benchmark.chosen(many, limit=10)
    assert benchmark.chosen(many, limit=99) == tuple(many)

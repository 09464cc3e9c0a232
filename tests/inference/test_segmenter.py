"""From a mammogram to masses on its own pixels, with stand-ins for the network and with bundles."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from aunet.errors import CheckpointError
from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.inference.segmenter import Segmenter, load_card
from aunet.metrics.detection import keep_regions, label_masses
from aunet.models.card import ModelCard
from aunet.models.file_kind import is_checkpoint
from aunet.preprocessing.cache import PreparedSample
from aunet.preprocessing.pipeline import Preprocessing, prepare
from aunet.preprocessing.population import population_of, profile_of
from aunet.sample import Image, Mammogram, Mask2D, Sample, Spacing


class StandIn(Backend, Protocol):
    """What `make_backend` gives; its card can be changed."""

    card: ModelCard


MakeBackend = Callable[..., StandIn]


def always(answer: np.ndarray) -> Callable[[Images], Probabilities]:
    """Answers every image with one probability."""
    return lambda images: np.repeat(answer[np.newaxis].astype(np.float32), len(images), axis=0)


def mammogram(image: Image, *, spacing_mm: Spacing | None = None) -> Mammogram:
    return Mammogram(image=image, source=Path("film.png"), bits_stored=12, spacing_mm=spacing_mm)


def breast_with_mass() -> tuple[Image, Mask2D]:
    """A grey half disc on the left edge with a bright rectangle in it; 300 x 200 pixels."""
    row, column = np.mgrid[:300, :200]
    image = np.where((row - 150) ** 2 + column**2 < 130**2, 400.0, 0.0).astype(np.float32)
    mask = np.zeros(image.shape, np.bool_)
    mask[110:150, 40:70] = True
    image[mask] = 1000
    return image, mask


def record_of(image: Image, settings: Preprocessing) -> str:
    """What a card says of a single training image."""
    prepared = prepare(image, settings)
    (grey,) = prepared.image
    sample = PreparedSample(
        Sample("a", Path("a.png"), (), "p"), grey, prepared.image, grey > 2, prepared.grid, spacing_mm=None
    )
    return population_of([profile_of(sample, settings)]).to_json()


PLAIN = Preprocessing(rows=300, columns=200, crop=False, remove_artefacts=False, face_left=False, channels=1)


def test_without_resampling_the_mask_is_the_mass_to_the_pixel(make_backend: MakeBackend) -> None:
    image, mass = breast_with_mass()

    found = Segmenter.of(make_backend(PLAIN)).segment(mammogram(image, spacing_mm=(0.1, 0.1)))

    np.testing.assert_array_equal(found.mask, mass)
    assert found.probability.shape == found.grid.model_shape == (300, 200)
    (one,) = found.masses
    assert (one.area_px, one.box) == (40 * 30, (110, 40, 150, 70))
    assert one.area_mm2 == pytest.approx(12.0)
    assert one.mean_probability == pytest.approx(1.0)


def test_the_probability_is_cut_at_the_card_s_threshold(make_backend: MakeBackend) -> None:
    image, _ = breast_with_mass()

    low, high = (
        Segmenter.of(make_backend(PLAIN, threshold=threshold)).segment(mammogram(image)) for threshold in (0.3, 0.9)
    )

    np.testing.assert_array_equal(low.mask, image >= 400)
    np.testing.assert_array_equal(high.mask, image >= 1000)


def test_an_image_without_mass_has_an_empty_mask(make_backend: MakeBackend) -> None:
    image, _ = breast_with_mass()

    found = Segmenter.of(make_backend(PLAIN, answer=always(np.zeros((300, 200))))).segment(mammogram(image))

    assert found.masses == ()
    assert not found.mask.any()
    assert found.mask.shape == image.shape


def test_a_single_model_pixel_at_the_threshold_does_not_vanish(make_backend: MakeBackend) -> None:
    # 300 x 200 source pixels on 30 x 20: no source pixel lies on a model pixel's centre, so all interpolate below 0.5.
    settings = Preprocessing(rows=30, columns=20, crop=False, remove_artefacts=False, face_left=False, channels=1)
    answer = np.zeros((30, 20))
    answer[12, 7] = 0.5
    answer[3:8, 3:8] = 0.9
    image, _ = breast_with_mass()

    found = Segmenter.of(make_backend(settings, answer=always(answer))).segment(mammogram(image))

    assert [mass.box for mass in found.masses][1] == (120, 70, 130, 80)
    assert len(found.masses) == 2


def test_the_outline_is_smooth_where_the_model_grid_is_coarse(make_backend: MakeBackend) -> None:
    settings = Preprocessing(rows=30, columns=20, crop=False, remove_artefacts=False, face_left=False, channels=1)
    row, column = np.mgrid[:30, :20]
    distance = np.hypot(row - 15, column - 10)
    image, _ = breast_with_mass()

    found = Segmenter.of(make_backend(settings, answer=always(np.clip(5.5 - distance, 0, 1)))).segment(mammogram(image))

    (mass,) = found.masses
    assert mass.area_px == pytest.approx(np.pi * 50**2, rel=0.02)  # by nearest pixels 8100
    assert mass.diameter_px == pytest.approx(100, abs=2)


@pytest.mark.parametrize(("smallest_mass_px", "n_kept"), [(0, 2), (4, 2), (20, 1), (40, 0)])
def test_regions_are_dropped_by_their_size_in_pixels_of_the_model_grid(
    make_backend: MakeBackend, smallest_mass_px: int, n_kept: int
) -> None:
    settings = Preprocessing(rows=30, columns=20, crop=False, remove_artefacts=False, face_left=False, channels=1)
    answer = np.zeros((30, 20), dtype=np.float32)
    answer[3:9, 3:9], answer[20:23, 8:11] = 0.9, 0.9
    image, _ = breast_with_mass()
    backend = make_backend(settings, answer=always(answer))
    backend.card = replace(backend.card, smallest_mass_px=smallest_mass_px)

    found = Segmenter.of(backend).segment(mammogram(image))

    on_model_grid = keep_regions(answer >= 0.5, answer, smallest_px=float(smallest_mass_px))
    assert len(found.masses) == n_kept == int(label_masses(on_model_grid).max())


def test_a_vanished_region_that_the_operating_point_drops_does_not_come_back(make_backend: MakeBackend) -> None:
    settings = Preprocessing(rows=30, columns=20, crop=False, remove_artefacts=False, face_left=False, channels=1)
    answer = np.zeros((30, 20))
    answer[12, 7] = 0.5
    answer[3:8, 3:8] = 0.9
    image, _ = breast_with_mass()
    backend = make_backend(settings, answer=always(answer))

    for operating_point in ({"smallest_mass_px": 2}, {"lowest_score": 0.6}):
        backend.card = replace(backend.card, smallest_mass_px=0, lowest_score=0.0)
        backend.card = replace(backend.card, **operating_point)
        (mass,) = Segmenter.of(backend).segment(mammogram(image)).masses

        assert mass.box[:2] < (80, 80)
        assert mass.score == mass.mean_probability > 0.6


@pytest.mark.parametrize("is_right", [False, True])
def test_a_mirrored_breast_gets_its_mask_mirrored_back(make_backend: MakeBackend, *, is_right: bool) -> None:
    image, mass = breast_with_mass()
    if is_right:
        image, mass = image[:, ::-1].copy(), mass[:, ::-1]

    found = Segmenter.of(make_backend(Preprocessing(rows=300, columns=200, channels=1))).segment(mammogram(image))

    assert found.grid.mirror.active == is_right
    assert (found.mask & mass).sum() / (found.mask | mass).sum() > 0.95


def test_matching_gives_the_network_the_same_image_whatever_the_response_of_the_scanner(
    make_backend: MakeBackend,
) -> None:
    image, _ = breast_with_mass()
    image = image + np.where(image > 0, np.linspace(0, 300, 200, dtype=np.float32), 0)
    other = (4_095 * (image / 4_095) ** 1.5).astype(np.float32)
    settings = Preprocessing(rows=300, columns=200, channels=1, crop=False)
    backend = make_backend(settings)
    backend.card = replace(backend.card, training_images=record_of(image, settings))
    segmenter = Segmenter.of(backend)

    plain, matched, before = (
        one.prepare(mammogram(picture)).image
        for one, picture in (
            (segmenter, image),
            (segmenter.matching_intensity(), other),
            (segmenter, other),
        )
    )

    # The skin falls away a little further in where the response is steeper, so that not every pixel is the same.
    assert np.median(np.abs(matched - plain)[plain > 0]) < 0.005
    assert np.median(np.abs(before - plain)[plain > 0]) > 0.1


def test_a_segmenter_whose_recipe_matches_already_is_left_as_it_is(make_backend: MakeBackend) -> None:
    settings = Preprocessing(rows=32, columns=32, intensity="histogram", reference_quantiles=(0.0, 1.0))
    segmenter = Segmenter.of(make_backend(settings))

    assert segmenter.matching_intensity() is segmenter
    assert segmenter.matches_intensity


def test_weights_without_a_record_of_their_training_images_match_nothing(make_backend: MakeBackend) -> None:
    with pytest.raises(CheckpointError, match="no record of their training images"):
        Segmenter.of(make_backend(PLAIN)).matching_intensity()


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        Segmenter.load(tmp_path / "weights.onnx")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a pickle in a zip", b"\x80\x02pickle", bytes(100)])
def test_a_file_that_is_neither_checkpoint_nor_bundle_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.onnx").write_bytes(content)

    with pytest.raises(CheckpointError, match="neither a checkpoint"):
        Segmenter.load(tmp_path / "weights.onnx")


def test_a_checkpoint_is_known_by_its_content(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {}}).encode()
    (tmp_path / "weights.onnx").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "cut.safetensors").write_bytes((10_000).to_bytes(8, "little") + header)

    found = [is_checkpoint(tmp_path / name) for name in ("weights.onnx", "cut.safetensors")]

    assert found == [True, False]


def test_without_pytorch_a_checkpoint_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"{}"
    (tmp_path / "best.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    monkeypatch.delitem(sys.modules, "aunet.inference.backends.torch", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)

    monkeypatch.delitem(sys.modules, "aunet.models.checkpoint", raising=False)

    for load in (Segmenter.load, load_card):
        with pytest.raises(CheckpointError, match=r"aunet\[train\].*aunet export"):
            load(tmp_path / "best.safetensors")


def test_a_card_with_unknown_preprocessing_is_an_error(make_backend: MakeBackend) -> None:
    backend = make_backend(PLAIN)
    entries = json.loads(backend.card.preprocessing) | {"sharpen": True}
    backend.card = replace(backend.card, preprocessing=json.dumps(entries))

    with pytest.raises(CheckpointError, match="sharpen"):
        Segmenter.of(backend)

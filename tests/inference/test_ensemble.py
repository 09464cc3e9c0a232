"""Ensembles: the mean of probabilities."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aunet.errors import CheckpointError
from aunet.inference.backends.backend import Images
from aunet.inference.ensemble import load_segmenter
from aunet.inference.segmenter import Segmenter
from aunet.inference.variations import VariedBackend
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import copy_with_card, read_card, save_checkpoint
from aunet.models.factory import build_network
from aunet.preprocessing.pipeline import Preprocessing

SQUARE = Preprocessing(rows=32, columns=32, channels=1)
Write = Callable[..., Path]


@pytest.fixture
def write(plain_card: ModelCard, tmp_path: Path) -> Write:
    """Write a small network that was never trained."""

    def written(name: str, *, seed: int, preprocessing: Preprocessing = SQUARE, threshold: float = 0.5) -> Path:
        settings = NetworkSettings(name="unet", width=2, in_channels=preprocessing.channels)
        network = build_network(settings, generator=torch.Generator().manual_seed(seed))
        card = replace(
            plain_card, network=settings, preprocessing=preprocessing.to_json(), threshold=threshold, notes="Mine."
        )
        save_checkpoint(tmp_path / name, network, card)
        return tmp_path / name

    return written


@pytest.fixture
def images() -> Images:
    return np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)


def test_an_ensemble_answers_with_the_mean_of_its_networks(write: Write, images: Images) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2)]

    probability = load_segmenter(paths, device="cpu").probability(images)

    one, other = (Segmenter.load(path, device="cpu").probability(images) for path in paths)
    assert np.abs(one - other).max() > 0.01
    np.testing.assert_allclose(probability, (one + other) / 2, rtol=1e-6)


def test_an_ensemble_names_its_files_and_their_hashes(write: Write) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2)]

    ensemble = load_segmenter(paths, device="cpu")

    hashes = [Segmenter.load(path, device="cpu").weights_sha256 for path in paths]
    assert [file.name for file in ensemble.files] == ["a.safetensors", "b.safetensors"]
    assert ensemble.weights_sha256 == ";".join(hashes)
    assert ensemble.card.notes.startswith("Mine. Ensemble of 2: a.safetensors (SHA-256 ")
    assert all(sha256 in ensemble.card.notes for sha256 in hashes)


def test_flips_and_ensembles_go_together(write: Write, images: Images) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2)]

    probability = load_segmenter(paths, device="cpu", flips="vertical").probability(images)

    plain = load_segmenter(paths, device="cpu")
    turned = plain.probability(np.ascontiguousarray(images[:, :, ::-1]))[:, ::-1]
    np.testing.assert_allclose(probability, (plain.probability(images) + turned) / 2, rtol=1e-6)


def test_one_file_without_flips_is_that_file_s_own_network(write: Write, images: Images) -> None:
    path = write("a.safetensors", seed=1)

    one = load_segmenter([path], device="cpu")

    np.testing.assert_array_equal(one.probability(images), Segmenter.load(path, device="cpu").probability(images))
    assert one.card.notes == "Mine."


def test_networks_of_other_preprocessing_are_refused_by_what_differs(write: Write) -> None:
    paths = [
        write("a.safetensors", seed=1),
        write("b.safetensors", seed=2, preprocessing=replace(SQUARE, rows=64, intensity="z_score")),
    ]

    with pytest.raises(CheckpointError, match=r"b\.saf.*rows 64 \(there 32\), intensity 'z_score' \(there 'min_max'\)"):
        load_segmenter(paths, device="cpu")


def test_networks_of_another_threshold_are_refused(write: Write) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2, threshold=0.4)]

    with pytest.raises(CheckpointError, match=r"b\.safetensors: its threshold is 0\.4, that of .*a\.safetensors 0\.5"):
        load_segmenter(paths, device="cpu")


def test_scales_and_ensembles_go_together(write: Write, images: Images) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2)]

    ensemble = load_segmenter(paths, device="cpu", scales=(0.75,))

    plain = load_segmenter(paths, device="cpu").backend
    assert ensemble.scales == (0.75,)
    np.testing.assert_array_equal(
        ensemble.probability(images), VariedBackend(plain, scales=(0.75,)).probability(images)
    )


def test_scales_of_the_card_hold_unless_others_are_asked_for(write: Write, images: Images) -> None:
    path = write("a.safetensors", seed=1)
    plain = load_segmenter([path], device="cpu").probability(images)
    expected = load_segmenter([path], device="cpu", scales=(0.8, 1.2)).probability(images)

    copy_with_card(path, path, replace(read_card(path), scales=(0.8, 1.2)))

    for found in (Segmenter.load(path, device="cpu"), load_segmenter([path], device="cpu")):
        assert found.scales == (0.8, 1.2)
        np.testing.assert_array_equal(found.probability(images), expected)
    np.testing.assert_array_equal(load_segmenter([path], device="cpu", scales=()).probability(images), plain)


def test_flips_of_the_card_hold_unless_others_are_asked_for(write: Write, images: Images) -> None:
    path = write("a.safetensors", seed=1)
    plain = Segmenter.load(path, device="cpu").probability(images)
    expected = load_segmenter([path], device="cpu", flips="vertical").probability(images)

    copy_with_card(path, path, replace(read_card(path), flips="vertical"))

    for found in (Segmenter.load(path, device="cpu"), load_segmenter([path], device="cpu")):
        assert found.flips == "vertical"
        np.testing.assert_array_equal(found.probability(images), expected)
    np.testing.assert_array_equal(load_segmenter([path], device="cpu", flips="none").probability(images), plain)


@pytest.mark.parametrize("name", ["smallest_mass_px", "lowest_score"])
def test_networks_of_another_operating_point_are_refused(write: Write, name: str) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2)]
    card = read_card(paths[1])
    changed = replace(card, smallest_mass_px=1) if name == "smallest_mass_px" else replace(card, lowest_score=1.0)
    copy_with_card(paths[1], paths[1], changed)

    with pytest.raises(CheckpointError, match=rf"b\.safetensors: its {name} is 1(\.0)?, that of .* 0(\.0)?;"):
        load_segmenter(paths, device="cpu")


def test_an_ensemble_averages_calibrated_probabilities(write: Write, images: Images) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2)]
    uncalibrated = load_segmenter(paths, device="cpu").probability(images)
    for path, temperature in zip(paths, (0.5, 4.0), strict=True):
        copy_with_card(path, path, replace(read_card(path), temperature=temperature))

    probability = load_segmenter(paths, device="cpu").probability(images)

    one, other = (Segmenter.load(path, device="cpu").probability(images) for path in paths)
    np.testing.assert_allclose(probability, (one + other) / 2, rtol=1e-6)
    assert np.abs(probability - uncalibrated).max() > 0.01


def test_the_same_weights_do_not_count_twice(write: Write) -> None:
    paths = [write("a.safetensors", seed=1), write("b.safetensors", seed=2), write("again.safetensors", seed=1)]

    with pytest.raises(CheckpointError, match=r"a\.safetensors, .*again\.safetensors: the same weights are given 2"):
        load_segmenter(paths, device="cpu")

"""The parity proof: its images, its limits, its text."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.errors import CheckpointError
from aunet.models.parity import (
    MAX_DIFFERING_SHARE,
    SAMPLES,
    Agreement,
    Parity,
    agreement,
    on_lattice,
    parity_images,
)

EQUAL = Agreement(max_difference=0.0, max_relative_difference=0.0, differing_share=0.0)
PARITY = Parity(
    agreement=EQUAL,
    lowest=0.125,
    highest=0.875,
    samples=np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 2, 2),
    mass_pixels=(0, 1, 2, 3),
    versions={"torch": "2"},
)


def probabilities(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(1, 1, -1)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 64, 48)])
def test_the_images_lie_between_0_and_1_and_differ(shape: tuple[int, int, int]) -> None:
    images = parity_images(shape)

    assert images.shape == (4, *shape)
    assert images.min() >= 0
    assert images.max() <= 1
    assert all(image.std() > 0.05 for image in images)
    assert len({image.tobytes() for image in images}) == 4


def test_the_formula_of_the_images_has_not_changed() -> None:
    # A bundle keeps only the results: another formula under the same name would make every older bundle look damaged.
    images = parity_images((3, 64, 48))

    assert images.mean(axis=(1, 2, 3)).tolist() == pytest.approx(MEANS, abs=1e-6)
    assert images[:, 1, 20, 10].tolist() == pytest.approx(VALUES, abs=1e-6)


MEANS = [0.4342541, 0.3780261, 0.1774309, 0.1739121]
VALUES = [0.4520182, 0.3928858, 0.4393126, 0.4072455]


def test_a_breast_lies_on_the_left_with_its_mass_brighter_than_its_surroundings() -> None:
    breast = parity_images((1, 128, 128))[2, 0]

    assert breast[:, 100:].max() == 0
    assert breast[57, 32] > breast[57, 10] + 0.1
    assert breast[57, 32] > breast[80, 32] + 0.1


def test_agreement_is_the_largest_difference_over_all_pixels() -> None:
    seen = agreement(probabilities(0.2, 0.6, 0.4), probabilities(0.2, 0.55, 0.5), threshold=0.5)

    assert seen.max_difference == pytest.approx(0.1)
    assert seen.max_relative_difference == pytest.approx(0.1 / 0.5)
    assert seen.differing_share == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (EQUAL, ""),
        (replace(EQUAL, max_difference=1e-4), ""),
        (replace(EQUAL, max_difference=1.1e-4), "largest difference 0.00011 (limit 0.0001)"),
        (replace(EQUAL, max_relative_difference=0.02), "largest relative difference 0.02 (limit 0.01)"),
        (replace(EQUAL, differing_share=2e-4), "share of differing mask pixels 0.0002 (limit 0.0001)"),
        (replace(EQUAL, max_difference=float("nan")), "largest difference nan (limit 0.0001)"),
    ],
)
def test_what_is_beyond_a_limit_is_said(seen: Agreement, message: str) -> None:
    assert seen.complaint() == message


def test_an_error_hidden_in_small_probabilities_is_seen() -> None:
    seen = agreement(probabilities(1e-9, 1e-8), probabilities(1e-9, 1.2e-8), threshold=0.5)

    assert "relative" in seen.complaint()


def test_nought_and_nearly_nought_agree() -> None:
    assert not agreement(probabilities(0.0, 1e-30), probabilities(1e-25, 0.0), threshold=0.5).complaint()


def test_a_nan_agrees_with_nothing() -> None:
    assert agreement(probabilities(0.5), probabilities(float("nan")), threshold=0.5).complaint()


def test_the_share_of_a_single_pixel_of_256_by_256_is_let_through() -> None:
    assert 1 / 256**2 < MAX_DIFFERING_SHARE < 10 / 256**2


def test_the_lattice_holds_the_corners() -> None:
    image = np.arange(64 * 32, dtype=np.float32).reshape(1, 64, 32)

    lattice = on_lattice(image)

    assert lattice.shape == (1, SAMPLES, SAMPLES)
    assert lattice[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [0, 31, 63 * 32, 63 * 32 + 31]


def test_the_lattice_of_a_small_image_is_the_image() -> None:
    image = np.arange(8 * 4, dtype=np.float32).reshape(1, 8, 4)

    assert (on_lattice(image) == image).all()


def test_a_proof_comes_back_from_its_text() -> None:
    read = Parity.from_json(PARITY.to_json())

    assert (read.samples == PARITY.samples).all()
    assert replace(read, samples=PARITY.samples) == PARITY


@pytest.mark.parametrize("name", json.loads(PARITY.to_json()).keys())
def test_a_proof_that_lacks_an_entry_is_refused(name: str) -> None:
    content = {key: value for key, value in json.loads(PARITY.to_json()).items() if key != name}

    with pytest.raises(CheckpointError, match="incomplete"):
        Parity.from_json(json.dumps(content))


def test_a_proof_by_another_formula_is_refused() -> None:
    content = json.loads(PARITY.to_json()) | {"formula": "aunet parity images 2"}

    with pytest.raises(CheckpointError, match="parity images 2"):
        Parity.from_json(json.dumps(content))


@given(
    name=st.sampled_from(sorted(json.loads(PARITY.to_json()))),
    value=st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.text()),
)
def test_any_other_value_is_read_or_refused_without_a_traceback(name: str, value: object) -> None:
    text = json.dumps(json.loads(PARITY.to_json()) | {name: value})

    try:
        read = Parity.from_json(text)
    except CheckpointError:
        return
    assert isinstance(read, Parity)

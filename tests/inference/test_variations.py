"""Images turned over and at other scales: the mean of the answers, brought back."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from scipy.special import expit, logit

from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.inference.variations import VariedBackend
from aunet.models.card import Flips
from aunet.preprocessing.pipeline import Preprocessing

SQUARE = Preprocessing(rows=32, columns=32, channels=1)


@pytest.fixture
def images() -> Images:
    return np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)


@pytest.mark.parametrize("flips", get_args(Flips))
def test_a_network_that_turns_with_its_image_answers_as_without_flips(
    flips: Flips, make_backend: Callable[..., Backend], images: Images
) -> None:
    backend = make_backend(SQUARE)

    probability = VariedBackend(backend, flips).probability(images)

    np.testing.assert_allclose(probability, backend.probability(images), rtol=1e-6)


def _corners(images: Images) -> Probabilities:
    """1 in the first pixel of every image, wherever the image came from."""
    answer = np.zeros((len(images), *images.shape[2:]), dtype=np.float32)
    answer[:, 0, 0] = 1
    return answer


@pytest.mark.parametrize(
    ("flips", "expected"),
    [
        ("none", [[1, 0], [0, 0]]),
        ("vertical", [[0.5, 0], [0.5, 0]]),
        ("horizontal", [[0.5, 0.5], [0, 0]]),
        ("both", [[0.25, 0.25], [0.25, 0.25]]),
    ],
)
def test_answers_are_turned_back_before_they_are_averaged(
    flips: Flips, expected: list[list[float]], make_backend: Callable[..., Backend]
) -> None:
    backend = make_backend(Preprocessing(rows=2, columns=2, channels=1), answer=_corners)

    probability = VariedBackend(backend, flips).probability(np.zeros((1, 1, 2, 2), np.float32))

    np.testing.assert_array_equal(probability[0], expected)


def _ramp() -> Images:
    """Grows from left to right and, half as fast, from top to bottom."""
    rows, columns = np.mgrid[:32, :32].astype(np.float32)
    return np.array((columns + rows / 2 - 24) / 8)[None, None]


def _logistic(temperature: float) -> Callable[[Images], Probabilities]:
    """A network whose logits are the image."""
    return lambda images: np.array(expit(images[:, 0] / temperature), dtype=np.float32)


@pytest.mark.parametrize("scale", [0.7, 0.9, 1.1, 1.6])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_logits_that_scale_with_the_image_come_back_as_they_are(
    scale: float, temperature: float, make_backend: Callable[..., Backend]
) -> None:
    backend = make_backend(SQUARE, answer=_logistic(temperature))

    as_it_is, scaled = VariedBackend(backend, scales=(scale,)).answers(_ramp())

    # The edge of a smaller image is mixed with the background around it.
    inside = (0, slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(logit(scaled[inside]) * temperature, _ramp()[0][inside], atol=1e-4)
    np.testing.assert_array_equal(as_it_is, backend.probability(_ramp()))


def _right_of_the_middle(images: Images) -> Probabilities:
    """A logit of 4 in the last column, 0 elsewhere, whatever the image."""
    logits = np.zeros((len(images), *images.shape[2:]), np.float32)
    logits[:, :, 4] = 4
    return np.asarray(expit(logits))


def test_an_answer_is_brought_to_where_the_scaled_image_came_from(make_backend: Callable[..., Backend]) -> None:
    backend = make_backend(Preprocessing(rows=5, columns=5, channels=1), answer=_right_of_the_middle)

    _, scaled = VariedBackend(backend, scales=(1.25,)).answers(np.zeros((1, 1, 5, 5), np.float32))

    # Column 3 lay at 2 + 1 * 1.25 = 3.25, a quarter of the way to the last one; columns 0 and 4 at -0.5 and 4.5, beyond
    # the edge, so that the answer to the image as it is stands there.
    np.testing.assert_allclose(logit(scaled[0, 2]), [0, 0, 0, 1, 4], atol=1e-5)


def _shares_of_background(images: Images) -> Probabilities:
    share = (images[:, 0] == images.min()).mean(axis=(1, 2))
    return np.broadcast_to(share[:, None, None], images[:, 0].shape).astype(np.float32)


def test_what_a_smaller_image_leaves_free_is_background(make_backend: Callable[..., Backend]) -> None:
    backend = make_backend(SQUARE, answer=_shares_of_background)
    images = np.full((1, 1, 32, 32), 3, np.float32)
    images[0, 0, 0, 0] = -1

    _, scaled = VariedBackend(backend, scales=(0.5,)).answers(images)

    # Of 32 rows and columns the middle 16 are left, without the dark corner.
    np.testing.assert_allclose(scaled, 0.75, atol=1e-6)


def test_each_scale_is_seen_turned_over_as_well_and_once(make_backend: Callable[..., Backend], images: Images) -> None:
    passes = []

    def counted(seen: Images) -> Probabilities:
        passes.append(seen)
        return seen[:, 0]

    backend = make_backend(SQUARE, answer=counted)

    answers = VariedBackend(backend, "vertical", (0.9, 1.1)).answers(images)

    assert len(answers) == len(passes) == 6
    turned = VariedBackend(backend, scales=(0.9,)).answers(np.ascontiguousarray(images[:, :, ::-1]))[1][:, ::-1]
    np.testing.assert_allclose(answers[3], turned, rtol=1e-6)


def test_the_background_beside_a_smaller_image_is_that_of_each_channel(make_backend: Callable[..., Backend]) -> None:
    seen: list[Images] = []

    def looked_at(images: Images) -> Probabilities:
        seen.append(images)
        return np.full((len(images), *images.shape[2:]), 0.5, np.float32)

    backend = make_backend(Preprocessing(rows=32, columns=32, channels=3), answer=looked_at)
    background = np.array([-2.1, -2.0, -1.8], np.float32)
    images = np.broadcast_to(background[:, None, None], (1, 3, 32, 32)).copy()
    images[:, :, 16, 16] = 1

    VariedBackend(backend, scales=(0.5,)).answers(images)

    np.testing.assert_allclose(seen[1][0, :, 0, 0], background)

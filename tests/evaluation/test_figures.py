import io

import numpy as np
import pytest
from PIL import Image as Picture

from aunet.evaluation.figures import GREEN, WHITE, cumulative_figure, froc_figure, grey_figure, overlay, size_figure
from aunet.metrics.detection import ImageDetections, froc


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(png)).convert("RGB"))


def test_an_overlay_outlines_the_reference_in_white_and_the_prediction_in_green() -> None:
    image = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    reference, prediction = np.zeros((2, 64, 64), dtype=bool)
    reference[10:20, 10:20] = True
    prediction[40:50, 30:50] = True

    pixels = decoded(overlay(image, reference=reference, prediction=prediction))

    factor = pixels.shape[0] // 64
    white, green = ((pixels == colour).all(axis=2) for colour in (WHITE, GREEN))
    assert np.argwhere(white).min() == 10 * factor
    assert np.argwhere(white).max() == 20 * factor - 1
    assert np.argwhere(green)[0].tolist() == [40 * factor, 30 * factor]
    assert not white[12 * factor : 18 * factor, 12 * factor : 18 * factor].any()


def test_an_overlay_of_a_miss_shows_the_reference_alone() -> None:
    reference = np.zeros((32, 32), dtype=bool)
    reference[10:20, 10:20] = True

    pixels = decoded(overlay(np.ones((32, 32), dtype=np.float32), reference=reference, prediction=~reference & False))

    assert (pixels == WHITE).all(axis=2).any()
    assert not (pixels == GREEN).all(axis=2).any()


@pytest.mark.parametrize(
    "png",
    [
        cumulative_figure([0.0, 0.4, 0.9]),
        cumulative_figure([0.5]),
        size_figure([13, 200, 4000], [0.1, 0.8, 0.0], is_missed=[False, False, True]),
        froc_figure(froc([ImageDetections(2, (0.9,), (0.8, 0.4))]), operating_point=(1.0, 0.5)),
        froc_figure(froc([ImageDetections(1, (), ())]), operating_point=(0.0, 0.0)),
        grey_figure([0.1, 0.4, 1.0], [0.0, 0.5, 0.9]),
    ],
)
def test_every_figure_is_a_picture_with_something_in_it(png: bytes) -> None:
    pixels = decoded(png)

    assert min(pixels.shape[:2]) > 400
    assert 0.005 < (pixels < 128).any(axis=2).mean() < 0.5

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image as Picture

from aunet.evaluation import figures as module
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


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn before they became pictures, newest last."""
    figures: list[Figure] = []
    encode = module._png

    def kept(figure: Figure) -> bytes:
        figures.append(figure)
        return encode(figure)

    monkeypatch.setattr(module, "_png", kept)
    return figures


def lines_of(figure: Figure) -> list[list[list[float]]]:
    (axes,) = figure.axes
    return [np.asarray(line.get_xydata()).tolist() for line in axes.lines]


def test_the_cumulative_distribution_rises_by_one_image_at_each_score(drawn: list[Figure]) -> None:
    png = cumulative_figure([0.9, 0.0, 0.4, 0.4])

    curve, median = lines_of(drawn[-1])
    assert curve == [[0, 0], [0, 0.25], [0.4, 0.5], [0.4, 0.75], [0.9, 1], [1, 1]]
    assert {row[0] for row in median} == {0.4}
    assert [text.get_text() for text in drawn[-1].axes[0].texts] == ["median 0.40"]
    assert min(decoded(png).shape[:2]) > 400


def test_misses_are_drawn_apart_from_what_was_predicted(drawn: list[Figure]) -> None:
    size_figure([13, 200, 4000], [0.1, 0.8, 0.0], is_missed=[False, False, True])

    predicted, missed = (np.asarray(dots.get_offsets()).tolist() for dots in drawn[-1].axes[0].collections)
    assert predicted == [[13, 0.1], [200, 0.8]]
    assert missed == [[4000, 0.0]]
    legend = drawn[-1].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["predicted", "missed"]


def test_froc_begins_at_nothing_and_shows_the_operating_point(drawn: list[Figure]) -> None:
    froc_figure(froc([ImageDetections(2, (0.9,), (0.8, 0.4))]), operating_point=(1.0, 0.5))

    curve, point = lines_of(drawn[-1])
    assert curve[0] == [0, 0]
    assert curve[-1] == [2, 0.5]  # one of two masses, and two false positives in one image
    assert point == [[1.0, 0.5]]


def test_a_set_in_which_nothing_is_marked_has_a_curve_of_one_point(drawn: list[Figure]) -> None:
    froc_figure(froc([ImageDetections(1, (), ())]), operating_point=(0.0, 0.0))

    assert {tuple(place) for place in lines_of(drawn[-1])[0]} == {(0.0, 0.0)}


def test_grey_of_the_data_set_is_drawn_over_that_of_the_training_images(drawn: list[Figure]) -> None:
    grey_figure([0.1, 0.4, 1.0], [0.0, 0.5, 0.9])

    training, here = lines_of(drawn[-1])
    assert training == [[0, 0.0], [50, 0.5], [100, 0.9]]
    assert here == [[0, 0.1], [50, 0.4], [100, 1.0]]

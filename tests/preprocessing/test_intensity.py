import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.exposure import match_histograms

from aunet.preprocessing import intensity
from aunet.sample import Image


def breast_image(seed: int = 0, *, scale: float = 1000.0) -> Image:
    """A random image whose first rows are background."""
    image = np.random.default_rng(seed).gamma(3, scale, (64, 48)).astype(np.float32)
    image[:10] = 0
    return image


def test_min_max_goes_from_0_to_1() -> None:
    image = np.array([[5, 10], [15, 25]], dtype=np.float32)

    found = intensity.min_max(image).apply(image)

    assert found.tolist() == [[0, 0.25], [0.5, 1]]


def test_min_max_of_a_constant_image_is_0() -> None:
    image = np.full((3, 3), 9, dtype=np.float32)

    assert not intensity.min_max(image).apply(image).any()


def test_z_score_gives_the_breast_mean_0_and_deviation_1() -> None:
    image = breast_image()

    found = intensity.z_score(image).apply(image)

    assert found[image > 0].mean() == pytest.approx(0, abs=1e-5)
    assert found[image > 0].std() == pytest.approx(1, abs=1e-5)
    assert found[image == 0].max() < found[image > 0].min()


def test_percentile_window_clips_a_hundredth_of_the_breast_at_each_end() -> None:
    image = breast_image()
    breast = image > 0

    found = intensity.percentile_window(image, percentiles=(1.0, 99.0)).apply(image)

    assert (found[breast] == 0).mean() == pytest.approx(0.01, abs=0.002)
    assert (found[breast] == 1).mean() == pytest.approx(0.01, abs=0.002)
    assert found.min() == 0
    assert found.max() == 1


def test_histogram_is_matched_as_an_independent_routine_does() -> None:
    image, reference = breast_image(1), intensity.min_max(breast_image(2)).apply(breast_image(2))
    breast = image > 0
    quantiles = intensity.breast_quantiles(reference, count=257)

    found = intensity.matched_histogram(image, reference_quantiles=quantiles).apply(image)

    expected = match_histograms(image[breast], reference[reference > 0])
    assert np.abs(found[breast] - expected).mean() < 0.003
    assert not found[~breast].any()


def test_histogram_matched_to_itself_stays() -> None:
    image = intensity.min_max(breast_image()).apply(breast_image())

    found = intensity.matched_histogram(image, reference_quantiles=intensity.breast_quantiles(image)).apply(image)

    assert np.allclose(found, image, atol=1e-6)


def test_histogram_of_few_values_is_matched_without_ambiguity() -> None:
    image = np.array([[0, 1, 1, 1], [2, 2, 3, 3]], dtype=np.float32)

    found = intensity.matched_histogram(image, reference_quantiles=(0.0, 0.25, 0.5, 0.75, 1.0)).apply(image)

    assert found[0, 0] == 0
    assert 0 < found[0, 1] < found[1, 0] < found[1, 2] <= 1


@given(st.integers(0, 1000), st.sampled_from(["min_max", "z_score", "histogram"]))
def test_intensities_come_back(seed: int, kind: str) -> None:
    image = breast_image(seed)
    maps = {
        "min_max": intensity.min_max(image),
        "z_score": intensity.z_score(image),
        "histogram": intensity.matched_histogram(image, reference_quantiles=(0.1, 0.4, 0.5, 0.9)),
    }

    returned = maps[kind].invert(maps[kind].apply(image))

    assert np.allclose(returned, image, rtol=1e-3, atol=image.max() * 1e-5)


def test_percentile_window_comes_back_where_it_did_not_clip() -> None:
    image = breast_image()
    window = intensity.percentile_window(image, percentiles=(5.0, 95.0))

    returned = window.invert(window.apply(image))

    inside = (image > window.values[0]) & (image < window.values[1])
    assert np.allclose(returned[inside], image[inside], rtol=1e-4)
    assert np.allclose(returned[image >= window.values[1]], window.values[1], rtol=1e-4)


REFERENCE = tuple(float(value) for value in np.linspace(0.05, 1, intensity.QUANTILES) ** 2)


@given(st.integers(0, 1000), st.floats(0.3, 3), st.floats(0, 5000))
def test_after_matching_the_breast_has_the_quantiles_of_the_reference(seed: int, gamma: float, offset: float) -> None:
    image = breast_image(seed) ** np.float32(gamma) + np.float32(offset)
    breast = np.zeros(image.shape, dtype=bool)
    breast[10:] = True

    matched = intensity.matched_histogram(image, reference_quantiles=REFERENCE, breast=breast).apply(image)

    found = np.quantile(matched[breast], np.linspace(0, 1, len(REFERENCE)))
    np.testing.assert_allclose(found, REFERENCE, atol=2e-3)
    assert not matched[~breast].any()


@given(st.integers(0, 1000))
def test_an_image_of_the_reference_distribution_is_left_as_it_is(seed: int) -> None:
    image = intensity.min_max(breast_image(seed)).apply(breast_image(seed))
    quantiles = intensity.breast_quantiles(image)

    once = intensity.matched_histogram(image, reference_quantiles=quantiles).apply(image)

    np.testing.assert_allclose(once, image, atol=1e-6)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_matching_never_changes_the_order_of_two_values(seed: int, values: int) -> None:
    image = np.random.default_rng(seed).integers(0, values, (24, 16)).astype(np.float32)

    matched = intensity.matched_histogram(image, reference_quantiles=REFERENCE).apply(image)

    order = np.argsort(image, axis=None, kind="stable")
    assert (np.diff(matched.ravel()[order]) >= 0).all()


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_stays_constant_when_matched(value: int) -> None:
    image = np.full((8, 8), value, dtype=np.float32)

    matched = intensity.matched_histogram(image, reference_quantiles=REFERENCE).apply(image)

    assert np.unique(matched).size == 1
    assert 0 <= matched[0, 0] <= 1


def test_what_is_brighter_than_the_breast_keeps_the_end_of_the_range() -> None:
    image = breast_image()
    breast = image > 0
    image[:3, :3] = 1e6  # a letter on the film

    matched = intensity.matched_histogram(image, reference_quantiles=(0.1, 0.3, 0.6), breast=breast).apply(image)

    assert matched[0, 0] == 1
    assert matched[breast].max() == pytest.approx(0.6, abs=1e-6)


@given(st.integers(0, 1000), st.sampled_from(["z_score", "percentile"]))
def test_two_maps_after_one_another_are_one_map(seed: int, kind: str) -> None:
    image = breast_image(seed)
    first = intensity.matched_histogram(image, reference_quantiles=REFERENCE)
    matched = first.apply(image)
    seconds = {
        "z_score": intensity.z_score(matched),
        "percentile": intensity.percentile_window(matched, percentiles=(5.0, 93.0)),
    }

    both = first.then(seconds[kind])

    np.testing.assert_allclose(both.apply(image), seconds[kind].apply(matched), atol=1e-5)

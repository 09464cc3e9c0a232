import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from aunet.preprocessing.full_size import as_prepared
from aunet.preprocessing.grid import Crop, Grid
from aunet.preprocessing.intensity import breast_quantiles
from aunet.preprocessing.pipeline import Preprocessing, breast_pixels, prepare
from aunet.sample import Image, Mask2D

Draw = Callable[..., tuple[Image, Mask2D]]

SMALL = Preprocessing(rows=64, columns=48)


def test_left_and_right_film_become_the_same_picture(film: Draw) -> None:
    left, _ = film(chest_wall="L")
    right, _ = film(chest_wall="R")

    from_left, from_right = prepare(left, SMALL), prepare(right, SMALL)

    assert not from_left.grid.mirror.active
    assert from_right.grid.mirror.active
    assert np.allclose(from_left.image, from_right.image, atol=1e-4)


def test_film_and_the_breast_alone_become_nearly_the_same_picture(film: Draw, breast_alone: Draw) -> None:
    dirty, breast = film()
    alone, _ = breast_alone()
    box = prepare(dirty, SMALL).grid

    of_film, of_breast = prepare(dirty, SMALL), box.to_model_image(alone * breast)

    assert np.corrcoef(of_film.image[0].ravel(), of_breast.ravel())[0, 1] > 0.99


def test_mask_of_a_mass_leads_back_to_its_place_on_the_right_breast(film: Draw) -> None:
    image, _ = film(chest_wall="R")
    mask = np.zeros(image.shape, dtype=bool)
    mask[90:120, 110:140] = True

    grid = prepare(image, SMALL).grid
    returned = grid.to_source_mask(grid.to_model_mask(mask))

    changed = np.argwhere(returned != mask)
    reach_rows, reach_columns = grid.resize.before[0] / 64 / 2, grid.resize.before[1] / 48 / 2
    edge_rows = np.minimum(abs(changed[:, 0] + 0.5 - 90), abs(changed[:, 0] + 0.5 - 120))
    edge_columns = np.minimum(abs(changed[:, 1] + 0.5 - 110), abs(changed[:, 1] + 0.5 - 140))
    assert returned.any()
    assert ((edge_rows <= reach_rows + 1) | (edge_columns <= reach_columns + 1)).all()


def test_default_crops_to_the_breast_and_stretches_it_over_the_grid(film: Draw) -> None:
    image, breast = film()
    rows, columns = np.nonzero(breast)

    prepared = prepare(image, SMALL)

    crop = prepared.grid.crop
    assert abs(crop.top - rows.min()) <= 3
    assert abs(crop.top + crop.rows - 1 - rows.max()) <= 3
    assert abs(crop.left + crop.columns - 1 - columns.max()) <= 5
    assert prepared.grid.pad.right == prepared.grid.pad.bottom == 0
    assert prepared.image.shape == (3, 64, 48)
    assert prepared.image.min() == 0
    assert prepared.image.max() == pytest.approx(1)


def test_padding_keeps_the_breast_in_proportion(film: Draw) -> None:
    image, _ = film()

    prepared = prepare(image, Preprocessing(rows=64, columns=64, fit="pad"))

    height, width = prepared.grid.model_spacing_mm((1.0, 1.0))
    assert height == pytest.approx(width)
    assert prepared.grid.pad.right > 0
    assert not prepared.image[:, :, -prepared.grid.pad.right * 64 // prepared.grid.resize.before[1] + 1 :].any()


def test_rgb_channels_are_copies_of_grey(film: Draw) -> None:
    image, _ = film()

    rgb, grey = prepare(image, SMALL), prepare(image, replace(SMALL, channels=1))

    assert grey.image.shape == (1, 64, 48)
    assert all(np.array_equal(channel, grey.image[0]) for channel in rgb.image)


def test_without_any_step_the_image_is_only_normalised() -> None:
    image = np.random.default_rng(0).random((10, 12), dtype=np.float32)
    plain = Preprocessing(rows=10, columns=12, crop=False, remove_artefacts=False, face_left=False, channels=1)

    prepared = prepare(image, plain)

    assert prepared.grid == Grid.of((10, 12))
    assert np.allclose(prepared.intensity.invert(prepared.image[0]), image, atol=1e-6)


def test_patch_is_cut_around_the_mass(film: Draw) -> None:
    image, _ = film()
    mask = np.zeros(image.shape, dtype=bool)
    mask[90:110, 20:40] = True

    prepared = prepare(image, replace(SMALL, patch_margin=0.2), mask=mask)

    assert prepared.grid.crop == Crop(89, 19, 22, 22)


def test_patch_without_a_mask_is_refused(film: Draw) -> None:
    image, _ = film()

    with pytest.raises(ValueError, match="need the reference mask"):
        prepare(image, replace(SMALL, patch_margin=0.2))


def test_image_without_a_breast_is_kept_with_a_note() -> None:
    image = np.zeros((40, 40), dtype=np.float32)
    image[10, 20] = image[30, 5] = 1

    prepared = prepare(image, SMALL)

    assert prepared.image.any()
    assert "no breast was found" in prepared.notes[0]


@pytest.mark.parametrize("intensity", ["min_max", "z_score", "percentile", "histogram"])
def test_scaling_the_film_changes_nothing(film: Draw, intensity: str) -> None:
    image, _ = film()
    settings = Preprocessing.from_json(
        json.dumps({"rows": 64, "columns": 48, "intensity": intensity, "reference_quantiles": [0.0, 0.5, 1.0]})
    )

    once, scaled = prepare(image, settings), prepare(image / 16, settings)

    assert once.grid == scaled.grid
    assert np.allclose(once.image, scaled.image, atol=1e-4)


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("intensity", ["min_max", "z_score", "percentile", "histogram"])
def test_a_film_of_another_response_is_prepared_like_the_first_once_both_are_matched(
    film: Draw, intensity: str, removes: bool
) -> None:
    image, breast = film()
    settings = Preprocessing.from_json(
        json.dumps({
            "rows": 64,
            "columns": 48,
            "intensity": intensity,
            "remove_artefacts": removes,
            "crop": False,
            "reference_quantiles": np.linspace(0.2, 1, 33).tolist(),
        })
    )
    # Where the breast ends depends a little on the response; its inside is what is compared.
    inside = Grid.of((240, 160), (64, 48)).to_model_mask(ndimage.binary_erosion(breast, iterations=8))
    other = (65_535 * (image / 65_535) ** 0.8).astype(np.float32)
    plain = replace(settings, intensity="min_max", reference_quantiles=None)

    matched, unmatched = ([prepare(one, how).image[0] for one in (image, other)] for how in (settings, plain))

    apart, before = (np.abs(one - two)[inside].mean() / np.ptp(one) for one, two in (matched, unmatched))
    assert apart < 0.4 * before


def test_matching_to_its_own_quantiles_changes_nothing_that_min_max_does(breast_alone: Draw) -> None:
    image, _ = breast_alone()
    plain = prepare(image, SMALL)
    own = breast_quantiles(plain.image[0])

    matched = prepare(image, replace(SMALL, reference_quantiles=own))

    np.testing.assert_allclose(matched.image, plain.image, atol=1e-5)
    np.testing.assert_allclose(matched.intensity.invert(matched.image[0]).max(), image.max(), rtol=0.1)


def test_the_breast_on_the_model_grid_is_found_beside_what_was_not_removed(film: Draw) -> None:
    image, breast = film()
    kept, removed = (replace(SMALL, remove_artefacts=removes, crop=False) for removes in (False, True))

    found = [breast_pixels(prepare(image, settings).image[0], settings) for settings in (kept, removed)]

    expected = Grid.of((240, 160), (64, 48)).to_model_mask(breast)
    for one in found:
        assert (one & expected).sum() / (one | expected).sum() > 0.9


@given(
    rows=st.integers(1, 999),
    fit=st.sampled_from(["resize", "pad"]),
    percentiles=st.tuples(st.floats(0, 40), st.floats(60, 100)),
    margin=st.none() | st.floats(0, 2),
    channels=st.sampled_from([1, 3]),
)
def test_settings_survive_json(
    rows: int, fit: str, percentiles: tuple[float, float], margin: float | None, channels: int
) -> None:
    text = json.dumps({
        "rows": rows,
        "fit": fit,
        "percentiles": percentiles,
        "patch_margin": margin,
        "channels": channels,
    })

    settings = Preprocessing.from_json(text)

    assert Preprocessing.from_json(settings.to_json()) == settings
    assert (settings.rows, settings.fit, settings.percentiles) == (rows, fit, percentiles)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"colour": 1}', "unknown preprocessing setting colour"),
        ('{"fit": "squeeze"}', "fit is 'squeeze'"),
        ('{"intensity": "gamma"}', "intensity is 'gamma'"),
        ('{"channels": 2}', "channels is 2"),
        ('{"rows": 0}', "needs at least 1 x 1"),
        ('{"percentiles": [99.0, 1.0]}', "two ascending numbers"),
        ('{"intensity": "histogram"}', "needs reference_quantiles"),
        ('{"reference_quantiles": [1.0, 0.0]}', "ascending numbers"),
        ('{"patch_margin": -0.1}', "gain in area"),
        ('{"breast_level": 1.0}', "between 0 and 1"),
        ("[]", "JSON object"),
        ('{"rows": "many"}', "rows is 'many'"),
        ('{"percentiles": 5}', "percentiles is 5"),
        ('{"crop": 1}', "either true or false"),
        ('{"breast_level": true}', "breast_level is True"),
        ('{"channel_mean": [0.5, 0.5, 0.5]}', "channel_std None; give 3 numbers for each, or leave both out"),
        ('{"channel_mean": [0.5], "channel_std": [0.5]}', "give 3 numbers"),
        ('{"channels": 1, "channel_mean": [1, 1, 1], "channel_std": [1, 1, 1]}', "give 1 numbers"),
        ('{"channel_mean": [0, 0, 0], "channel_std": [1, 0, 1]}', "for channel_std above 0"),
        ('{"channel_mean": [0, NaN, 0], "channel_std": [1, 1, 1]}', "finite numbers"),
        ('{"channel_mean": "grey", "channel_std": [1, 1, 1]}', "channel_mean is 'grey'"),
        ('{"channel_mean": [0, 0, 0], "channel_std": [1, 1, 1], "intensity": "z_score"}', "take 'min_max'"),
    ],
)
def test_settings_out_of_range_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_json(text)


PHOTOGRAPHS = replace(SMALL, channel_mean=(0.5, 0.25, 0.0), channel_std=(0.5, 0.25, 2.0))


def test_each_channel_is_less_its_mean_over_its_standard_deviation() -> None:
    channels = PHOTOGRAPHS.to_channels(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))

    assert channels.dtype == np.float32
    assert channels.tolist() == [[[-1.0, 0.0, 1.0]], [[-1.0, 1.0, 3.0]], [[0.0, 0.25, 0.5]]]


def test_channels_are_normalised_last_of_all(film: Draw) -> None:
    image, _ = film()

    plain, normalised = prepare(image, SMALL), prepare(image, PHOTOGRAPHS)

    assert (normalised.grid, normalised.intensity) == (plain.grid, plain.intensity)
    assert np.array_equal(normalised.image, PHOTOGRAPHS.to_channels(plain.image[0]))


def test_padding_is_as_black_as_the_background_after_channels_are_normalised(film: Draw) -> None:
    image, _ = film()

    prepared = prepare(image, replace(PHOTOGRAPHS, rows=64, columns=64, fit="pad"))

    assert prepared.grid.pad.right > 0
    assert prepared.image[:, 0, -1].tolist() == [-1.0, -1.0, 0.0]


def test_grey_settings_are_those_before_anything_is_done_to_channels() -> None:
    assert PHOTOGRAPHS.grey() == SMALL.grey() == replace(SMALL, channels=1)


def test_statistics_of_channels_survive_json() -> None:
    assert Preprocessing.from_json(PHOTOGRAPHS.to_json()) == PHOTOGRAPHS


def test_settings_written_before_there_were_statistics_of_channels_have_none() -> None:
    text = (
        '{"breast_level": 0.1, "channels": 3, "columns": 256, "crop": true, "face_left": true, "fit": "resize",'
        ' "intensity": "min_max", "patch_margin": null, "percentiles": [1.0, 99.0], "reference_quantiles": null,'
        ' "remove_artefacts": true, "rows": 256}'
    )

    assert Preprocessing.from_json(text) == Preprocessing(breast_level=0.1)


def test_film_of_more_pixels_is_reduced_to_the_detail_asked_for(film: Draw) -> None:
    image, _ = film()
    settings = replace(SMALL, fit="pad", longest_px=max(image.shape))

    as_it_is, enlarged = prepare(image, settings), prepare(np.kron(image, np.ones((3, 3), np.float32)), settings)

    assert np.allclose(enlarged.image, as_it_is.image, atol=1e-5)
    rows, columns = image.shape
    assert enlarged.grid == as_it_is.grid.through(Grid.of((3 * rows, 3 * columns), (rows, columns)))
    assert as_it_is.grid == prepare(image, replace(settings, longest_px=None)).grid


def test_reduction_to_no_pixel_and_with_patches_is_refused() -> None:
    with pytest.raises(ValueError, match="longest_px is 0"):
        Preprocessing(longest_px=0)
    with pytest.raises(ValueError, match="leave one out"):
        Preprocessing(longest_px=256, patch_margin=0.2)


@pytest.mark.parametrize("chest_wall", ["L", "R"])
def test_film_reduced_as_the_prepared_ones_leads_to_the_input_of_its_prepared_image(
    film: Draw, chest_wall: str
) -> None:
    image, breast = film(1000, 700, chest_wall=chest_wall)
    settings = replace(SMALL, fit="pad", longest_px=256, full_size="prepared_cbis_ddsm")
    square, _ = as_prepared(image, longest_px=256, cuts_out=True, faces_left=True)

    found = prepare(image, settings)

    assert np.array_equal(found.image, prepare(square, settings).image)
    assert found.grid.source_shape == image.shape
    assert found.grid.mirror.active is (chest_wall == "R")
    # Breast on the model grid, as the grid places it and as the input shows it.
    placed, shown = found.grid.to_model_mask(breast), found.image[0] > 0
    assert (placed & shown).sum() / (placed | shown).sum() > 0.95


def test_reduction_as_the_prepared_ones_needs_a_size() -> None:
    with pytest.raises(ValueError, match="longest_px says of no size"):
        Preprocessing(full_size="prepared_cbis_ddsm")

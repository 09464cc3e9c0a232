import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from aunet.preprocessing.grid import Crop, Grid, Mirror, Pad, Resize
from aunet.sample import Mask2D, Shape

SIDES = st.integers(1, 60)


@st.composite
def crops(draw: st.DrawFn, shape: Shape) -> Crop:
    top = draw(st.integers(0, shape[0] - 1))
    left = draw(st.integers(0, shape[1] - 1))
    return Crop(top, left, draw(st.integers(1, shape[0] - top)), draw(st.integers(1, shape[1] - left)))


@st.composite
def grids(draw: st.DrawFn, *, resamples: bool = True) -> Grid:
    shape = (draw(SIDES), draw(SIDES))
    crop = draw(crops(shape))
    target = (draw(st.integers(1, 40)), draw(st.integers(1, 40))) if resamples else None
    return Grid.of(shape, target, crop=crop, is_mirrored=draw(st.booleans()), keeps_aspect=draw(st.booleans()))


@st.composite
def masks_inside(draw: st.DrawFn, grid: Grid) -> Mask2D:
    """A mask of random texture, from single pixels to large blobs, inside the grid's crop."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = ndimage.gaussian_filter(rng.standard_normal((grid.crop.rows, grid.crop.columns)), draw(st.floats(0, 8)))
    part = noise > np.quantile(noise, draw(st.floats(0, 1)))
    mask: Mask2D = grid.crop.invert(part, shape=grid.source_shape)
    return mask


def sampled_at_centres_by_hand(mask: Mask2D, resize: Resize) -> Mask2D:
    """The same rule in fractions, pixel by pixel."""
    rows, columns = (
        [int((i + 0.5) * old / new) for i in range(new)] for old, new in zip(resize.before, resize.after, strict=True)
    )
    return np.array([[mask[row, column] for column in columns] for row in rows], dtype=bool)


def farthest_change_in_model_pixels(mask: Mask2D, returned: Mask2D, grid: Grid) -> float:
    """How far, in model pixels along rows or columns, a changed pixel's centre lies from a pixel of the other kind.

    The source ends where the crop does: a pixel beyond it counts as empty.
    """
    height = grid.resize.before[0] / grid.resize.after[0]
    width = grid.resize.before[1] / grid.resize.after[1]
    part = np.pad(grid.crop.apply(mask), 1)
    changed = np.argwhere(grid.crop.apply(mask) != grid.crop.apply(returned)) + 1
    farthest = 0.0
    for row, column in changed:
        others = np.argwhere(part != part[row, column])
        # The nearest point of another pixel is half a source pixel closer than its centre.
        rows = np.maximum(np.abs(others[:, 0] - row) - 0.5, 0) / height
        columns = np.maximum(np.abs(others[:, 1] - column) - 0.5, 0) / width
        farthest = max(farthest, float(np.min(np.maximum(rows, columns))))
    return farthest


@given(st.data())
def test_mask_comes_back_unchanged_where_nothing_is_resampled(data: st.DataObject) -> None:
    grid = data.draw(grids(resamples=False))
    mask = data.draw(masks_inside(grid))

    returned = grid.to_source_mask(grid.to_model_mask(mask))

    assert np.array_equal(returned, mask)


@given(st.data())
def test_mask_comes_back_unchanged_where_pixels_only_grow_in_number(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30)))
    target = (shape[0] + data.draw(st.integers(0, 40)), shape[1] + data.draw(st.integers(0, 40)))
    grid = Grid.of(shape, target, is_mirrored=data.draw(st.booleans()))
    mask = data.draw(masks_inside(grid))

    returned = grid.to_source_mask(grid.to_model_mask(mask))

    assert np.array_equal(returned, mask)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mask_comes_back_within_half_a_model_pixel(data: st.DataObject) -> None:
    grid = data.draw(grids())
    mask = data.draw(masks_inside(grid))
    on_model = grid.to_model_mask(mask)

    returned = grid.to_source_mask(on_model)

    is_smaller_than_a_pixel = (
        on_model.sum() == 1
        and not sampled_at_centres_by_hand(grid.pad.apply(grid.mirror.apply(grid.crop.apply(mask))), grid.resize).any()
    )
    assert farthest_change_in_model_pixels(mask, returned, grid) <= (1.0 if is_smaller_than_a_pixel else 0.5)


@given(st.data())
def test_mask_larger_than_a_model_pixel_keeps_its_edges_within_half_a_model_pixel(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(40, 90)), data.draw(st.integers(40, 90)))
    target = (data.draw(st.integers(10, 40)), data.draw(st.integers(10, 40)))
    grid = Grid.of(shape, target, is_mirrored=data.draw(st.booleans()), keeps_aspect=data.draw(st.booleans()))
    height, width = (before / after for before, after in zip(grid.resize.before, target, strict=True))
    top = data.draw(st.integers(0, shape[0] - int(np.ceil(height)) - 1))
    left = data.draw(st.integers(0, shape[1] - int(np.ceil(width)) - 1))
    bottom = data.draw(st.integers(top + int(np.ceil(height)), shape[0]))
    right = data.draw(st.integers(left + int(np.ceil(width)), shape[1]))
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True

    returned = np.argwhere(grid.to_source_mask(grid.to_model_mask(mask)))

    found_top, found_left = returned.min(axis=0)
    found_bottom, found_right = returned.max(axis=0) + 1
    # Source pixels are whole: an edge inside one may be told half a source pixel off.
    assert max(abs(found_top - top), abs(found_bottom - bottom)) <= height / 2 + 0.5
    assert max(abs(found_left - left), abs(found_right - right)) <= width / 2 + 0.5


@given(st.data())
def test_mask_on_the_model_grid_is_the_source_at_pixel_centres(data: st.DataObject) -> None:
    before, after = (data.draw(SIDES), data.draw(SIDES)), (data.draw(SIDES), data.draw(SIDES))
    resize = Resize(before, after)
    mask = data.draw(masks_inside(Grid.of(before)))
    by_hand = sampled_at_centres_by_hand(mask, resize)

    found = resize.apply_mask(mask)

    assert np.array_equal(found, by_hand) or (mask.any() and not by_hand.any() and found.sum() == 1)


def test_mask_of_one_pixel_does_not_vanish() -> None:
    mask = np.zeros((90, 90), dtype=bool)
    mask[39, 61] = True
    grid = Grid.of((90, 90), (9, 9))

    found = grid.to_model_mask(mask)

    assert np.argwhere(found).tolist() == [[3, 6]]


def test_mask_part_outside_the_crop_is_lost() -> None:
    mask = np.ones((6, 6), dtype=bool)
    grid = Grid.of((6, 6), crop=Crop(1, 2, 3, 4))

    returned = grid.to_source_mask(grid.to_model_mask(mask))

    assert returned.sum() == 12
    assert returned[1:4, 2:6].all()


def test_steps_follow_one_another_as_worked_out_by_hand() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    grid = Grid.of((3, 4), (3, 3), crop=Crop(0, 1, 3, 2), is_mirrored=True, keeps_aspect=True)

    found = grid.to_model_image(image)

    assert found.tolist() == [[2, 1, 0], [6, 5, 0], [10, 9, 0]]


@given(st.data())
def test_image_shrinks_by_the_area_mean(data: st.DataObject) -> None:
    factor_rows, factor_columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    rows, columns = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = rng.random((rows * factor_rows, columns * factor_columns), dtype=np.float32)

    found = Grid.of((image.shape[0], image.shape[1]), (rows, columns)).to_model_image(image)

    blocks = image.reshape(rows, factor_rows, columns, factor_columns)
    assert np.allclose(found, blocks.mean(axis=(1, 3)), atol=1e-6)


@given(grids())
def test_image_mean_survives_a_reduction_of_any_factor(grid: Grid) -> None:
    shape = grid.source_shape
    target = (max(1, shape[0] // 2), max(1, (shape[1] * 2) // 3))
    image = np.random.default_rng(0).random(shape, dtype=np.float32)

    found = Grid.of(shape, target).to_model_image(image)

    assert found.mean() == pytest.approx(image.mean(), abs=1e-5)


@given(st.data())
def test_image_on_the_model_grid_is_each_step_in_turn(data: st.DataObject) -> None:
    grid = data.draw(grids())
    image = np.random.default_rng(1).random(grid.source_shape, dtype=np.float32)

    found = grid.to_model_image(image)

    part = grid.pad.apply(grid.mirror.apply(grid.crop.apply(image)))
    assert np.allclose(found, grid.resize.apply_image(part), atol=1e-6)


@given(grids())
def test_probability_comes_back_as_interpolated_by_an_independent_routine(grid: Grid) -> None:
    probability = np.random.default_rng(2).random(grid.model_shape, dtype=np.float32)

    found = grid.to_source_probability(probability)

    rows, columns = (
        (np.arange(before) + 0.5) * after / before - 0.5
        for before, after in zip(grid.resize.before, grid.resize.after, strict=True)
    )
    coordinates = np.meshgrid(rows, columns, indexing="ij")
    padded = ndimage.map_coordinates(probability, coordinates, order=1, mode="nearest")
    part = grid.mirror.apply(grid.pad.invert(padded.astype(np.float32)))
    assert np.allclose(grid.crop.apply(found), part, atol=1e-4)
    assert np.count_nonzero(found) <= grid.crop.rows * grid.crop.columns


@given(st.data())
def test_ramp_of_probability_stays_where_it_was(data: st.DataObject) -> None:
    size = data.draw(st.integers(20, 60))
    grid = Grid.of((size, size), (10, 10), is_mirrored=data.draw(st.booleans()))
    model_ramp = np.tile((np.arange(10, dtype=np.float32) + 0.5) / 10, (10, 1))

    found = grid.to_source_probability(model_ramp)

    ramp = (np.arange(size) + 0.5) / size
    edge = -(-size // 20)  # half a model pixel at each end is constant
    expected = ramp[::-1] if grid.mirror.active else ramp
    assert np.allclose(found[:, edge:-edge], expected[edge:-edge], atol=1e-5)


@given(grids())
def test_grid_survives_json(grid: Grid) -> None:
    assert Grid.from_json(grid.to_json()) == grid


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"source_shape": [1]}'])
def test_what_is_no_grid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"grid|Expecting"):
        Grid.from_json(text)


def test_spacing_of_a_model_pixel_covers_the_source_pixels_under_it() -> None:
    grid = Grid.of((400, 300), (100, 50), crop=Crop(0, 0, 400, 200))

    assert grid.model_spacing_mm((0.05, 0.1)) == pytest.approx((0.2, 0.4))


def test_padding_keeps_the_proportions() -> None:
    assert Pad.to_aspect((40, 10), (256, 256)) == Pad(bottom=0, right=30)
    assert Pad.to_aspect((10, 40), (256, 256)) == Pad(bottom=30, right=0)
    assert Pad.to_aspect((10, 10), (100, 200)) == Pad(bottom=0, right=10)
    assert Pad.to_aspect((7, 9), (7, 9)) == Pad()


def test_mirror_is_its_own_inverse() -> None:
    array = np.arange(6).reshape(2, 3)
    mirror = Mirror(active=True)

    assert mirror.apply(array).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert np.array_equal(mirror.apply(mirror.apply(array)), array)


def test_array_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="4 x 4 pixels, the model grid 2 x 2"):
        Grid.of((8, 8), (2, 2)).to_source_mask(np.zeros((4, 4), dtype=bool))


def test_crop_that_leaves_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match="crop must lie inside"):
        Grid.of((8, 8), crop=Crop(4, 4, 5, 4))


def test_grid_on_a_larger_source_is_the_one_worked_out_by_hand() -> None:
    grid = Grid((10, 8), Crop(2, 1, 5, 4), Mirror(active=True), Pad(bottom=0, right=1), (20, 20))

    found = grid.through(Grid.of((30, 16), (10, 8)))

    assert found == Grid((30, 16), Crop(6, 2, 15, 8), Mirror(active=True), Pad(bottom=0, right=2), (20, 20))


def test_mask_that_covers_no_centre_comes_back_as_the_first_of_the_pixels_it_covers_alike() -> None:
    # The only model row's centre lies in source row 12; all four model columns lie in the only source column.
    mask = np.arange(24)[:, np.newaxis] != 12
    grid = Grid.of((24, 1), (1, 4))

    for factor in (1, 2, 3, 4, 5):
        larger = Grid.of((24 * factor, factor), (1, 4))
        enlarged = np.kron(mask, np.ones((factor, factor), dtype=bool))

        assert np.array_equal(larger.to_model_mask(enlarged), grid.to_model_mask(mask))
        assert np.array_equal(larger.to_model_mask(enlarged), [[True, False, False, False]])


@given(st.data())
def test_mask_enlarged_with_its_source_has_the_same_place_on_the_model_grid(data: st.DataObject) -> None:
    grid = data.draw(grids())
    mask = data.draw(masks_inside(grid))
    factor = data.draw(st.integers(1, 5))

    enlarged_shape = (grid.source_shape[0] * factor, grid.source_shape[1] * factor)
    larger = grid.through(Grid.of(enlarged_shape, grid.source_shape))

    enlarged = np.kron(mask, np.ones((factor, factor), dtype=bool))
    sampled = grid.resize.apply_mask(grid.pad.apply(grid.mirror.apply(grid.crop.apply(mask))))
    assert np.array_equal(larger.to_model_mask(enlarged), sampled)


OUTER = Grid.of((20, 10), (8, 8), crop=Crop(2, 1, 16, 8), is_mirrored=True, keeps_aspect=True)
"""Two source pixels a model pixel; the four columns on the right are padding."""


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (
            Grid((8, 8), Crop(1, 0, 6, 3), Mirror(active=False), Pad(bottom=1), (20, 20)),
            Grid((20, 10), Crop(4, 3, 12, 6), Mirror(active=True), Pad(bottom=2), (20, 20)),
        ),
        (
            Grid((8, 8), Crop(0, 1, 8, 5), Mirror(active=False), Pad(right=1), (20, 20)),
            Grid((20, 10), Crop(2, 1, 16, 6), Mirror(active=True), Pad(right=6), (20, 20)),
        ),
        (
            Grid((8, 8), Crop(0, 1, 8, 3), Mirror(active=True), Pad(), (20, 20)),
            Grid((20, 10), Crop(2, 1, 16, 6), Mirror(active=False), Pad(), (20, 20)),
        ),
    ],
    ids=["inside", "with some of the padding", "mirrored back"],
)
def test_grid_through_another_is_the_one_worked_out_by_hand(inner: Grid, expected: Grid) -> None:
    assert inner.through(OUTER) == expected


def test_grids_that_cannot_follow_one_another_are_refused() -> None:
    with pytest.raises(ValueError, match="8 x 8 pixels, the source grid 9 x 8"):
        Grid.of((9, 8)).through(OUTER)
    with pytest.raises(ValueError, match="mirror the padding"):
        Grid.of((8, 8), is_mirrored=True).through(OUTER)


@given(st.data())
def test_image_through_two_grids_is_that_through_both_at_once(data: st.DataObject) -> None:
    factor = data.draw(st.integers(1, 4))
    shape = (factor * data.draw(st.integers(1, 12)), factor * data.draw(st.integers(1, 12)))
    side = max(shape) // factor
    outer = Grid.of(shape, (side, side), is_mirrored=data.draw(st.booleans()), keeps_aspect=True)
    crop = data.draw(crops((shape[0] // factor, shape[1] // factor)))
    inner = Grid.of((side, side), crop=crop, is_mirrored=data.draw(st.booleans()))
    image = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).random(shape, dtype=np.float32)

    at_once = inner.through(outer).to_model_image(image)

    assert np.allclose(at_once, inner.to_model_image(outer.to_model_image(image)), atol=1e-6)

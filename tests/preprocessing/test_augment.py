import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.preprocessing.augment import Augmentation, AugmentationSettings

EVERYTHING = AugmentationSettings(
    mirror_probability=0.5,
    flip_probability=0.5,
    rotation_degrees=15.0,
    scale=0.2,
    shift=0.1,
    gamma=0.3,
    contrast=0.2,
    brightness=0.1,
    noise=0.05,
    blur_px=1.5,
)


def disc(size: int = 65, *, row: float = 20, column: float = 40, radius: float = 9) -> np.ndarray:
    rows, columns = np.mgrid[0:size, 0:size]
    inside: np.ndarray = np.hypot(rows - row, columns - column) <= radius
    return inside


def test_defaults_change_nothing() -> None:
    mask = disc()
    image = np.repeat(mask[np.newaxis].astype(np.float32), 3, axis=0)
    augmentation = Augmentation.sample(np.random.default_rng(0), AugmentationSettings())

    found_image, found_mask = augmentation.apply(image, mask)

    assert np.array_equal(found_image, image)
    assert np.array_equal(found_mask, mask)


@given(st.integers(0, 2**32))
def test_image_and_mask_move_alike(seed: int) -> None:
    mask = disc()
    image = mask[np.newaxis].astype(np.float32)
    still = AugmentationSettings(
        mirror_probability=0.5, flip_probability=0.5, rotation_degrees=180.0, scale=0.2, shift=0.1
    )
    augmentation = Augmentation.sample(np.random.default_rng(seed), still)

    found_image, found_mask = augmentation.apply(image, mask)

    # Bilinear half is where the nearest neighbour changes, but for corners of the pixel raster.
    assert ((found_image[0] > 0.5) != found_mask).sum() <= 0.12 * mask.sum()


@given(st.integers(0, 2**32))
def test_mask_is_brought_back(seed: int) -> None:
    mask = disc(row=32, column=34)
    augmentation = Augmentation.sample(np.random.default_rng(seed), EVERYTHING)

    restored = augmentation.restore_mask(augmentation.move_mask(mask))

    assert (restored & mask).sum() / (restored | mask).sum() > 0.85


@given(st.booleans(), st.booleans())
def test_flipped_mask_is_brought_back_exactly(is_mirrored: bool, is_flipped: bool) -> None:
    mask = disc()
    augmentation = Augmentation(is_mirrored=is_mirrored, is_flipped=is_flipped)

    restored = augmentation.restore_mask(augmentation.move_mask(mask))

    assert np.array_equal(restored, mask)


def test_quarter_turn_is_the_one_worked_out_by_hand() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[0, 3] = True

    found = Augmentation(rotation_degrees=90.0).move_mask(mask)

    assert np.argwhere(found).tolist() == np.argwhere(np.rot90(mask)).tolist() == [[1, 0]]


def test_shift_moves_by_a_share_of_the_image() -> None:
    mask = np.zeros((10, 20), dtype=bool)
    mask[2, 3] = True

    found = Augmentation(shift=(0.2, 0.1)).move_mask(mask)

    assert np.argwhere(found).tolist() == [[4, 5]]


def test_scale_above_1_enlarges_by_its_square_in_area() -> None:
    mask = disc(row=32, column=32)

    found = Augmentation(scale=1.5).move_mask(mask)

    assert found.sum() / mask.sum() == pytest.approx(2.25, rel=0.05)


def test_intensity_changes_leave_mask_and_background_alone() -> None:
    mask = disc()
    image = np.random.default_rng(0).uniform(0.2, 1, (3, 65, 65)).astype(np.float32)
    image[:] = image[0]
    image[:, :10] = 0
    augmentation = Augmentation(gamma=1.3, contrast=0.8, brightness=0.1, noise=0.05, noise_seed=7)

    found_image, found_mask = augmentation.apply(image, mask)

    assert np.array_equal(found_mask, mask)
    assert not found_image[:, :10].any()
    assert not np.allclose(found_image, image)


def test_gamma_contrast_and_brightness_are_those_worked_out_by_hand() -> None:
    image = np.array([[[0, 0.5, 1.0]]], dtype=np.float32)
    augmentation = Augmentation(gamma=2.0, contrast=0.5, brightness=0.1)

    found, _ = augmentation.apply(image, np.zeros((1, 3), dtype=bool))

    # 0.5 ** 2 = 0.25; (0.25 - 0.5) / 2 + 0.5 + 0.1 = 0.475; (1 - 0.5) / 2 + 0.5 + 0.1 = 0.85
    assert np.allclose(found, [[[0, 0.475, 0.85]]])


def test_blur_spreads_a_point_as_a_gaussian_does_and_leaves_the_background() -> None:
    image = np.full((1, 65, 65), 0.5, dtype=np.float32)
    image[0, 32, 32] = 1
    image[:, :10] = 0

    found, _ = Augmentation(blur_px=2.0).apply(image, disc())

    # The middle of a Gaussian of standard deviation 2 in two dimensions: 1 / (2 pi 2**2).
    assert found[0, 32, 32] - 0.5 == pytest.approx(0.5 / (8 * np.pi), rel=0.02)
    assert not found[:, :10].any()


def test_same_augmentation_gives_the_same_sample_twice() -> None:
    mask = disc()
    image = np.random.default_rng(0).random((3, 65, 65), dtype=np.float32)
    augmentation = Augmentation.sample(np.random.default_rng(3), EVERYTHING)

    once, twice = augmentation.apply(image, mask), augmentation.apply(image, mask)

    assert np.array_equal(once[0], twice[0])
    assert np.array_equal(once[1], twice[1])


def test_same_seed_draws_the_same_augmentation() -> None:
    one = Augmentation.sample(np.random.default_rng(3), EVERYTHING)
    other = Augmentation.sample(np.random.default_rng(3), EVERYTHING)

    assert one == other


@given(st.integers(0, 2**32))
def test_drawn_values_stay_inside_their_ranges(seed: int) -> None:
    drawn = Augmentation.sample(np.random.default_rng(seed), EVERYTHING)

    assert abs(drawn.rotation_degrees) <= 15
    assert 1 / 1.2 <= drawn.scale <= 1.2
    assert max(map(abs, drawn.shift)) <= 0.1
    assert 1 / 1.3 <= drawn.gamma <= 1.3
    assert 0 <= drawn.noise <= 0.05
    assert 0 <= drawn.blur_px <= 1.5


def test_negative_range_is_refused() -> None:
    with pytest.raises(ValueError, match="shift is -1"):
        AugmentationSettings(shift=-1.0)


def test_probability_above_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mirror_probability is 1\.5"):
        AugmentationSettings(mirror_probability=1.5)

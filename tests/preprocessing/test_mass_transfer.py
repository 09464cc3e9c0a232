"""Masses taken out of images and put into others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.preprocessing.mass_transfer import WithMass, with_mass_of, without_masses

ROWS, COLUMNS = np.mgrid[0:96, 0:64]


def disc(row: float, column: float, radius: float) -> np.ndarray:
    inside: np.ndarray = np.hypot(ROWS - row, COLUMNS - column) <= radius
    return inside


def breast(*, slope: float = 0.002) -> np.ndarray:
    """A half disc at the chest wall, brighter downwards, on a background of 0."""
    tissue = 0.3 + slope * ROWS
    return np.where(np.hypot(ROWS - 48, COLUMNS) <= 46, tissue, 0).astype(np.float32)


def with_bump(image: np.ndarray, mask: np.ndarray, height: float = 0.3) -> np.ndarray:
    return (image + height * mask).astype(np.float32)


def test_what_is_left_where_a_mass_was_is_what_lay_below_it() -> None:
    # Grey values that rise evenly are harmonic: they are their own continuation.
    mask = disc(40, 20, 6)

    found = without_masses(with_bump(breast(), mask), mask, np.random.default_rng(0))

    assert np.allclose(found, breast(), atol=2e-3)


def test_nothing_changes_beyond_the_rim_of_a_mass() -> None:
    image = with_bump(breast(), disc(40, 20, 6))
    image[image > 0] += np.random.default_rng(1).normal(0, 0.02, np.count_nonzero(image)).astype(np.float32)

    found = without_masses(image, disc(40, 20, 6), np.random.default_rng(0))

    changed = found != image
    assert changed.any()
    assert not (changed & ~disc(40, 20, 10)).any()


def test_texture_goes_on_where_the_mass_was() -> None:
    image = breast()
    image[image > 0] += np.random.default_rng(1).normal(0, 0.02, np.count_nonzero(image)).astype(np.float32)
    mask = disc(40, 20, 6)

    found = without_masses(with_bump(image, mask), mask, np.random.default_rng(0))

    # A harmonic filling alone is smooth: of the noise's 0.02 hardly anything would be left in its middle.
    assert np.std((found - breast())[disc(40, 20, 4)]) == pytest.approx(0.02, rel=0.35)


def test_a_mass_at_the_skin_is_filled_from_the_breast_and_not_from_the_dark() -> None:
    mask = disc(48, 43, 4) & (breast() > 0)

    found = without_masses(with_bump(breast(slope=0), mask), mask, np.random.default_rng(0))

    assert np.allclose(found, breast(slope=0), atol=2e-3)


def test_breast_that_is_all_mass_keeps_no_hole() -> None:
    image = breast()

    found = without_masses(image, image > 0, np.random.default_rng(0))

    assert np.allclose(found[image > 0], np.median(image[image > 0]), atol=1e-3)


def test_image_without_mass_stays_as_it_is() -> None:
    found = without_masses(breast(), np.zeros((96, 64), dtype=bool), np.random.default_rng(0))

    assert np.array_equal(found, breast())


@given(st.integers(0, 2**32))
def test_a_pasted_mass_adds_its_contrast_and_its_outline(seed: int) -> None:
    own, other = disc(20, 10, 4), disc(60, 15, 5)
    donor = WithMass(with_bump(breast(), other, 0.2), other)
    image = with_bump(breast(slope=0), own)

    found = with_mass_of(image, own, donor, np.random.default_rng(seed))

    new = found.mask & ~own
    if not new.any():  # no free place was drawn
        assert np.array_equal(found.image, image)
        return
    assert new.sum() == other.sum()
    assert not (new & (image == 0)).any()
    assert np.allclose((found.image - image)[new], 0.2, atol=0.01)
    assert np.array_equal(found.image == 0, image == 0)


def test_most_draws_find_a_place() -> None:
    own, other = disc(20, 10, 4), disc(60, 15, 5)
    donor = WithMass(with_bump(breast(), other), other)

    found = [with_mass_of(breast(), own, donor, np.random.default_rng(seed)).mask.sum() for seed in range(50)]

    assert np.mean(np.array(found) > own.sum()) > 0.9


def test_mass_that_does_not_show_is_not_pasted() -> None:
    donor = WithMass(with_bump(breast(), disc(60, 15, 5), -0.1), disc(60, 15, 5))
    empty = np.zeros((96, 64), dtype=bool)

    found = with_mass_of(breast(), empty, donor, np.random.default_rng(0))

    assert not found.mask.any()
    assert np.array_equal(found.image, breast())


def test_donor_without_mass_gives_none() -> None:
    empty = np.zeros((96, 64), dtype=bool)

    found = with_mass_of(breast(), empty, WithMass(breast(), empty), np.random.default_rng(0))

    assert not found.mask.any()


def test_mass_larger_than_the_image_is_not_pasted() -> None:
    donor = WithMass(with_bump(breast(), disc(48, 0, 40)), disc(48, 0, 40))
    small = np.ones((20, 20), dtype=np.float32)
    small[:, 15:] = 0

    found = with_mass_of(small, np.zeros((20, 20), dtype=bool), donor, np.random.default_rng(0))

    assert not found.mask.any()


def test_a_mass_of_which_nothing_is_left_beside_the_background_is_not_put_anywhere() -> None:
    image, mask = breast(), disc(40, 20, 6)
    donor = WithMass(breast(), disc(5, 58, 3))  # where artefacts were removed

    for seed in range(20):
        found = with_mass_of(image, mask, donor, np.random.default_rng(seed))
        assert found.image is image
        assert found.mask is mask

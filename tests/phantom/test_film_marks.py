import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aunet.phantom.film_marks import letters, mark_film
from aunet.sample import Laterality

lateralities: st.SearchStrategy[Laterality] = st.sampled_from(["L", "R"])


def dark_film(laterality: Laterality) -> tuple[np.ndarray, np.ndarray]:
    """A film 200 x 140 with a breast of grey 30000 on 60 columns at the chest wall."""
    inside = np.zeros((200, 140), dtype=bool)
    inside[30:170, :60] = True
    inside = inside if laterality == "L" else inside[:, ::-1].copy()
    return np.where(inside, 30_000, 500).astype(np.uint16), inside


def test_the_letter_l_is_a_stroke_down_and_a_stroke_to_the_right() -> None:
    drawn = letters("L", height=20.0)

    assert drawn.shape == (24, 14)
    assert drawn[:, :3].mean() > 0.9
    assert drawn[-3:].mean() > 0.9
    assert not drawn[:19, 5:].any()


def test_a_turned_text_needs_more_rows_than_a_level_one() -> None:
    level, turned = letters("LMLO", height=20.0), letters("LMLO", height=20.0, turn=0.7)

    assert turned.shape[0] > 1.5 * level.shape[0]
    assert turned.sum() == pytest.approx(level.sum(), rel=0.06)


@pytest.mark.parametrize("text", ["LCC", "RCC", "LMLO", "RMLO"])
def test_every_label_of_a_mammogram_can_be_written(text: str) -> None:
    drawn = letters(text, height=15.0)

    assert 0.1 < drawn.mean() < 0.6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), lateralities)
def test_marks_leave_the_breast_but_for_the_borders_alone(seed: int, laterality: Laterality) -> None:
    film, inside = dark_film(laterality)

    marked = mark_film(np.random.default_rng(seed), film, inside, laterality=laterality, view="CC")

    # Borders are at most a few pixels wide here; the middle of the breast is far from them.
    middle = (slice(40, 160), slice(10, 58) if laterality == "L" else slice(82, 130))
    assert np.array_equal(marked[middle], film[middle])
    assert np.all(marked >= film)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), lateralities)
def test_letters_stand_in_the_upper_part_away_from_the_chest_wall(seed: int, laterality: Laterality) -> None:
    film, inside = dark_film(laterality)

    marked = mark_film(np.random.default_rng(seed), film, inside, laterality=laterality, view="MLO")

    away = slice(60, 136) if laterality == "L" else slice(4, 80)
    assert (marked[4:100, away] > 40_000).sum() > 20


def test_most_films_have_a_bright_border_and_some_have_none() -> None:
    film, inside = dark_film("L")

    bordered = []
    for seed in range(60):
        marked = mark_film(np.random.default_rng(seed), film, inside, laterality="L", view="CC")
        edges = (marked[0], marked[-1], marked[:, 0], marked[:, -1])
        bordered.append(any(np.median(edge) > 50_000 for edge in edges))

    assert 0.6 < np.mean(bordered) < 1

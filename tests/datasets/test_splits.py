from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.datasets.splits import hold_out, refuse_shared_patients, samples_of
from aunet.errors import DatasetError
from aunet.sample import Sample, Split


def sample(case: str, patient_id: str, split: Split | None = None) -> Sample:
    return Sample(case, Path(f"{case}.png"), (), patient_id, split)


def dataset(*samples: Sample) -> DataSet:
    return DataSet("made up", Path(), samples, Ledger(()))


def patients_of(samples: tuple[Sample, ...]) -> set[str]:
    return {one.patient_id for one in samples}


# Numbers, not samples: beartype draws the items that it checks at random, which a strategy may not.
PATIENTS = st.lists(st.integers(0, 9), min_size=2, max_size=30)


@given(PATIENTS, st.floats(0.01, 0.99), st.integers(0, 5), st.randoms())
def test_hold_out_loses_nothing_shares_no_patient_and_ignores_the_order(
    patients: list[int], fraction: float, seed: int, random: object
) -> None:
    samples = [sample(f"image{index}", f"patient{patient}") for index, patient in enumerate(patients)]
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random behind `object`
    if len(patients_of(tuple(samples))) < 2:
        return

    rest, held_out = hold_out(samples, fraction=fraction, seed=seed)

    assert sorted(one.case for one in (*rest, *held_out)) == sorted(one.case for one in samples)
    assert not patients_of(rest) & patients_of(held_out)
    assert rest
    assert held_out
    assert hold_out(shuffled, fraction=fraction, seed=seed) == (rest, held_out)


def test_hold_out_takes_the_share_of_patients_asked_for() -> None:
    samples = [sample(f"{patient}-{view}", f"{patient}") for patient in range(40) for view in ("CC", "MLO")]

    _, held_out = hold_out(samples, fraction=0.1, seed=0)

    assert len(patients_of(held_out)) == 4
    assert len(held_out) == 8


def test_another_seed_holds_out_other_patients() -> None:
    samples = [sample(f"{patient}", f"{patient}") for patient in range(40)]

    held_out = {seed: patients_of(hold_out(samples, fraction=0.25, seed=seed)[1]) for seed in (0, 1)}

    assert held_out[0] != held_out[1]


def test_one_patient_more_moves_at_most_one_other_across() -> None:
    samples = [sample(f"{patient}", f"{patient}") for patient in range(41)]

    before = patients_of(hold_out(samples[:40], fraction=0.25, seed=3)[1])
    after = patients_of(hold_out(samples, fraction=0.25, seed=3)[1])

    assert len(before ^ after) <= 2


def test_hold_out_is_the_same_on_every_machine_and_in_every_release() -> None:
    samples = [sample(f"image{number}", f"P_{number:05}") for number in range(8)]

    _, held_out = hold_out(samples, fraction=0.25, seed=0)

    # The two smallest of sha256(b"0:P_0000n"), by `printf '0:P_0000n' | sha256sum`.
    assert [one.case for one in held_out] == ["image5", "image7"]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2.0])
def test_impossible_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        hold_out([sample("a", "A"), sample("b", "B")], fraction=fraction, seed=0)


def test_one_patient_cannot_be_split() -> None:
    with pytest.raises(DatasetError, match="1 patients"):
        hold_out([sample("a", "A"), sample("b", "A")], fraction=0.5, seed=0)


def test_samples_of_a_side_are_those_the_table_puts_there() -> None:
    given_samples = (sample("a", "A", "train"), sample("b", "B", "test"), sample("c", "C"), sample("d", "A", "train"))

    sides = {side: samples_of(dataset(*given_samples), side) for side in ("train", "validation", "test", "all")}

    assert [one.case for one in sides["train"]] == ["a", "d"]
    assert sides["validation"] == ()
    assert [one.case for one in sides["test"]] == ["b"]
    assert sides["all"] == given_samples


@pytest.mark.parametrize("other", ["validation", "test"])
def test_a_patient_on_two_sides_makes_every_side_unusable(other: Split) -> None:
    leaking = dataset(sample("a", "Jane Doe", "train"), sample("b", "Jane Doe", other), sample("c", "C", "test"))

    with pytest.raises(DatasetError, match=r"a \(train\), b") as caught:
        samples_of(leaking, "train")

    assert "Jane" not in str(caught.value)
    assert len(samples_of(leaking, "all")) == 3


def test_images_without_a_side_leak_nowhere() -> None:
    refuse_shared_patients([sample("a", "A", "train"), sample("b", "A"), sample("c", "B", "test")])

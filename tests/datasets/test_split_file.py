"""Splits as files, and folds."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger, LedgerRow
from aunet.datasets.split_file import FrozenSplits, folds, freeze, read_splits, with_splits, write_splits
from aunet.errors import DatasetError, WriteError
from aunet.sample import Sample, Split


def a_sample(case: str, patient_id: str, split: Split | None = None) -> Sample:
    return Sample(case, Path(f"{case}.png"), (), patient_id, split)


def a_dataset(*samples: Sample, rows: tuple[LedgerRow, ...] = ()) -> DataSet:
    return DataSet("made up", Path("made up"), samples, Ledger(rows))


ONE, TWO, THREE = a_sample("one", "A"), a_sample("two", "B"), a_sample("three", "C")
SPLITS = FrozenSplits({"train": ("one", "two"), "test": ("three",)})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "splits.json"

    write_splits(path, SPLITS)

    assert read_splits(path) == SPLITS


def test_the_hash_is_that_of_the_sides_alone() -> None:
    reordered = FrozenSplits({"test": ("three",), "train": ("one", "two")})

    assert reordered.sha256 == SPLITS.sha256
    assert FrozenSplits({"train": ("one",), "test": ("two", "three")}).sha256 != SPLITS.sha256


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    write_splits(path, SPLITS)
    path.write_text(path.read_text("utf-8").replace('"two"', '"other"'), encoding="utf-8")

    with pytest.raises(DatasetError, match="it was changed after it was written"):
        read_splits(path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"format": 1, "sides": {}}', '{"format": 1, "sides": {"train": "one"}}', '{"format": 2}'),
        *('{"format": 1, "sides": {"practice": ["one"]}}', '{"format": 1, "sides": {"train": [1]}}'),
    ],
)
def test_a_file_of_another_kind_is_one_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DatasetError, match=r"splits\.json: "):
        read_splits(path)


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_splits(tmp_path / "splits.json")


def test_an_image_on_two_sides_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    write_splits(path, FrozenSplits({"train": ("one",), "test": ("one",)}))

    with pytest.raises(DatasetError, match="stands twice"):
        read_splits(path)


def test_a_folder_that_can_not_be_made_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(WriteError, match="the splits can't be written"):
        write_splits(tmp_path / "taken" / "splits.json", SPLITS)


def test_the_file_s_sides_hold_instead_of_the_data_set_s() -> None:
    dataset = a_dataset(
        replace(ONE, split="test"), replace(TWO, split="validation"), THREE, a_sample("four", "D", "test")
    )

    changed = with_splits(dataset, SPLITS)

    assert [(sample.case, sample.split) for sample in changed.samples] == [
        ("one", "train"),
        ("two", "train"),
        ("three", "test"),
        ("four", None),
    ]


def test_images_that_the_data_set_does_not_hold_are_refused_rows() -> None:
    refused = LedgerRow("two", "refused", "the image is missing", line=3)

    changed = with_splits(a_dataset(ONE, rows=(LedgerRow("one", "read", line=2), refused)), SPLITS)

    assert [(row.case, row.status) for row in changed.ledger.rows] == [
        ("one", "read"),
        ("two", "refused"),
        ("three", "refused"),
    ]
    assert changed.ledger.rows[1] == refused


def test_the_splits_of_another_data_set_are_refused() -> None:
    with pytest.raises(DatasetError, match="holds none of the images of the splits"):
        with_splits(a_dataset(a_sample("four", "D")), SPLITS)


def test_a_patient_on_two_sides_is_refused() -> None:
    with pytest.raises(DatasetError, match="patients on more than one side"):
        with_splits(a_dataset(ONE, TWO, replace(THREE, patient_id="A")), SPLITS)
    with pytest.raises(DatasetError, match="patients on more than one side"):
        freeze({"train": [ONE], "test": [replace(TWO, patient_id="A")]})


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(2, 6),
    st.integers(0, 9),
    st.randoms(),
)
def test_every_image_is_tested_once_and_no_patient_is_on_two_sides(
    images: list[tuple[int, float]], number: int, seed: int, random: object
) -> None:
    samples = [a_sample(f"image{index}", f"patient{patient}") for index, (patient, _) in enumerate(images)]
    sizes = {f"image{index}": size for index, (_, size) in enumerate(images)}
    patients = {sample.patient_id for sample in samples}
    if len(patients) < number:
        with pytest.raises(DatasetError, match="ask for fewer folds"):
            folds(samples, sizes, number=number, seed=seed)
        return
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random behind `object`

    made = folds(samples, sizes, number=number, seed=seed)

    assert sorted(case for fold in made for case in fold.sides["test"]) == sorted(sizes)
    patient_of = {sample.case: sample.patient_id for sample in samples}
    for fold in made:
        tested, trained = ({patient_of[case] for case in fold.sides[side]} for side in ("test", "train"))
        assert not tested & trained
        assert tested | trained == patients
    assert folds(shuffled, sizes, number=number, seed=seed) == made


def test_folds_are_stratified_by_the_largest_mass_of_a_patient() -> None:
    """Of 20 patients in 5 folds each fold gets one of the five with the largest masses, one of the next five, ..."""
    samples = [a_sample(f"{patient}-{view}", f"patient{patient}") for patient in range(20) for view in ("CC", "MLO")]
    sizes = {sample.case: float(sample.patient_id.removeprefix("patient")) for sample in samples}

    for fold in folds(samples, sizes, number=5, seed=3):
        quarters = Counter(int(sizes[case]) // 5 for case in fold.sides["test"])
        assert quarters == {0: 2, 1: 2, 2: 2, 3: 2}


def test_another_seed_gives_other_folds() -> None:
    samples = [a_sample(f"image{index}", f"patient{index}") for index in range(20)]

    assert folds(samples, {}, number=5, seed=0) != folds(samples, {}, number=5, seed=1)


def test_fewer_than_two_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 2"):
        folds([ONE, TWO], {}, number=1, seed=0)


def test_the_file_names_images_and_no_patient(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    write_splits(path, freeze({"train": [a_sample("one", "Erika Mustermann")], "test": [TWO]}))

    assert "Erika" not in path.read_text("utf-8")
    assert json.loads(path.read_text("utf-8"))["sides"] == {"train": ["one"], "test": ["two"]}

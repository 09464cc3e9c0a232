from collections.abc import Callable

import pytest

from aunet.evaluation.rows import ImageRow
from aunet.studies.categories import category_table, find_cases, first_places_table, tidy_cases, values_in
from aunet.studies.results import EntryRuns

MakeRow = Callable[..., ImageRow]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("OVAL", {"OVAL"}),
        ("IRREGULAR-ARCHITECTURAL_DISTORTION", {"IRREGULAR", "ARCHITECTURAL_DISTORTION"}),
        ("OVAL;OVAL-LYMPH_NODE", {"OVAL", "LYMPH_NODE"}),
        ("BENIGN_WITHOUT_CALLBACK;MALIGNANT", {"BENIGN", "MALIGNANT"}),
        ("nan;OVAL", {"OVAL"}),
        ("4a", {"4"}),
        ("", set()),
    ],
)
def test_descriptions_are_taken_apart(written: str, values: set[str]) -> None:
    assert values_in(written) == values


@pytest.fixture
def entries(make_row: MakeRow) -> tuple[EntryRuns, EntryRuns]:
    """Two networks on two images: the first has the better DSC on the first image, and both the same area."""
    patients = {"a": 0, "b": 1}

    def runs(name: str, first: float, second: float) -> EntryRuns:
        rows = (
            make_row("a", dsc=first, area_difference=0.2, mass_shape="OVAL-ROUND", subtlety="3;4"),
            make_row("b", dsc=second, area_difference=0.2, mass_shape="ROUND", subtlety="0"),
        )
        return EntryRuns(name, "data", (rows,), 1, patients)

    return runs("UNet", 0.8, 0.5), runs("AUNet", 0.6, 0.9)


def test_there_are_84_cases(entries: tuple[EntryRuns, EntryRuns]) -> None:
    cases = find_cases(entries)

    assert len(cases) == 84
    assert len({(case.attribute, case.value) for case in cases}) == 21


def test_all_cases_are_written_unrounded(entries: tuple[EntryRuns, EntryRuns]) -> None:
    numbers = tidy_cases(find_cases(entries)).set_index(["value", "metric", "entry"])

    assert len(numbers) == 84 * 2
    assert numbers.loc[("ROUND", "dsc", "UNet"), "mean"] == pytest.approx(65)
    assert not numbers.loc[("ROUND", "dsc", "UNet"), "is_first"]
    assert numbers.loc[("ROUND", "dsc", "AUNet"), "is_first"]


def test_an_image_counts_in_every_category_of_its_masses(entries: tuple[EntryRuns, EntryRuns]) -> None:
    found = {(case.attribute, case.value): case for case in find_cases(entries) if case.metric == "dsc"}

    assert found["mass_shape", "OVAL"].means == pytest.approx({"UNet": 80, "AUNet": 60})
    assert found["mass_shape", "ROUND"].means == pytest.approx({"UNet": 65, "AUNet": 75})
    assert [found["subtlety", value].images for value in "12345"] == [0, 0, 1, 1, 0]


def test_the_best_is_first_and_equals_share_the_place(entries: tuple[EntryRuns, EntryRuns]) -> None:
    found = {(case.value, case.metric): case for case in find_cases(entries) if case.attribute == "mass_shape"}

    assert found["OVAL", "dsc"].first == ("UNet",)
    assert found["ROUND", "dsc"].first == ("AUNet",)
    assert found["ROUND", "area_difference"].first == ("UNet", "AUNet")
    assert found["LOBULATED", "dsc"].first == ()


def test_less_area_difference_is_better(make_row: MakeRow) -> None:
    entries = [
        EntryRuns(name, "data", ((make_row("a", dsc=0.5, area_difference=share, subtlety="1"),),), 1, {"a": 0})
        for name, share in (("UNet", 0.4), ("AUNet", 0.1))
    ]

    (case,) = (one for one in find_cases(entries) if one.value == "1" and one.metric == "area_difference")

    assert case.first == ("AUNet",)


def test_first_places_are_counted_beside_the_papers(entries: tuple[EntryRuns, EntryRuns]) -> None:
    cases = find_cases(entries)

    table = first_places_table(cases)

    # DSC: OVAL, subtlety 3 and 4 for UNet, ROUND for AUNet; the area difference of these four is shared.
    assert table.rows[0] == ("UNet", "7", "3", "0", "4", "0", "4", "3")
    assert table.rows[1] == ("AUNet", "5", "1", "0", "4", "0", "4", "56 (16 DSC, 11 SEN, 14 ΔA, 15 HAU)")
    assert table.title == "First places in 84 cases, 76 of them without an image"


def test_the_best_of_a_case_has_a_star(entries: tuple[EntryRuns, EntryRuns]) -> None:
    table = category_table(find_cases(entries))

    assert ("shape oval", "DSC (%)", "1", "80.0*", "60.0") in table.rows

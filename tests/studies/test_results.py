from collections.abc import Callable
from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from aunet.evaluation.rows import ImageRow
from aunet.evaluation.stats import Bootstrap
from aunet.studies.arms import MeanSd, PaperRow
from aunet.studies.results import EntryRuns, results
from aunet.studies.score_tables import comparison_table, mean_sd, score_table, tidy

MakeRow = Callable[..., ImageRow]
PATIENTS = {"a": 0, "b": 0, "c": 1, "d": 2}
FEW = Bootstrap(resamples=100)


@pytest.fixture
def entries(make_row: MakeRow) -> tuple[EntryRuns, EntryRuns]:
    """Two runs each of two networks on four images, one of them missed once."""
    first = (make_row("a", dsc=0.5), make_row("b", dsc=0.7), make_row("c", dsc=0.0), make_row("d", dsc=0.8))
    second = (make_row("a", dsc=0.7), make_row("b", dsc=0.7), make_row("c", dsc=0.6), make_row("d", dsc=0.8))
    better = tuple(make_row(case, dsc=0.9) for case in "abcd")
    return (
        EntryRuns("UNet", "data", (first, second), 3, PATIENTS),
        EntryRuns("AUNet", "data", (better, better), 2, PATIENTS),
    )


def test_the_mean_and_its_spread_are_those_of_the_runs(entries: tuple[EntryRuns, EntryRuns]) -> None:
    unet, _ = results(entries, reference=None, bootstrap=FEW)

    # The runs' means are 50 and 70 per cent.
    assert unet.scores["dsc"].mean == pytest.approx(60)
    assert unet.scores["dsc"].sd == pytest.approx(200**0.5)
    assert (unet.runs, unet.arms, unet.images, unet.patients) == (2, 3, 4, 3)
    assert (unet.missed, unet.scored) == (1, 8)


def test_unequal_folds_are_put_together_before_the_mean(make_row: MakeRow) -> None:
    folds = (
        (make_row("a", dsc=0.2),),
        (make_row("b", dsc=0.8), make_row("c", dsc=0.8), make_row("d", dsc=0.6)),
        (make_row("a", dsc=0.4),),
        (make_row("b", dsc=0.8), make_row("c", dsc=0.8), make_row("d", dsc=0.8)),
    )
    seeds = ((*folds[0], *folds[1]), (*folds[2], *folds[3]))
    entry = EntryRuns("UNet", "data", seeds, 4, PATIENTS, folds)

    (found,) = results((entry,), reference=None, bootstrap=FEW)
    score = found.scores["dsc"]

    # The seeds' means are 60 and 70 per cent; those of the folds 20, 220 / 3, 40 and 80, on average 53.3.
    assert (found.runs, found.images, found.scored) == (4, 4, 8)
    assert score.mean == pytest.approx(65)
    assert score.sd == pytest.approx(50**0.5)
    assert score.sd_folds == pytest.approx(np.std([20, 220 / 3, 40, 80], ddof=1))
    table = comparison_table((found,), reference=None)
    assert table.columns[-1] == "s.d. over folds"
    assert table.rows[0][-1] == "28.3"


def test_a_score_of_an_image_is_its_mean_over_the_seeds(entries: tuple[EntryRuns, EntryRuns]) -> None:
    values = entries[0].values("dsc", ("c", "a", "absent"))

    assert values[:2] == pytest.approx([30, 60])
    assert isnan(values[2])


def test_the_interval_is_that_of_whole_patients(entries: tuple[EntryRuns, EntryRuns]) -> None:
    low, high = results(entries, reference=None, bootstrap=FEW)[0].scores["dsc"].ci95

    # Patient 0 has the images with 60 and 70, patient 1 has 30, patient 2 has 80: no mean is below 30 or above 80.
    assert 30 <= low < 60 < high <= 80


def test_differences_are_over_patients_and_corrected_for_every_comparison(
    entries: tuple[EntryRuns, EntryRuns],
) -> None:
    third = replace(entries[0], name="third")
    unet, aunet, _ = results((*entries, third), reference="AUNet", bootstrap=FEW)
    found = unet.scores["dsc"].against_reference

    assert found is not None
    assert found.n == 3
    assert found.difference == pytest.approx(((60 + 70) / 2 - 90 + 30 - 90 + 80 - 90) / 3)
    assert found.effect == -1.0
    # The other four scores have no values here, so there are two comparisons.
    assert found.p == pytest.approx(2 / 2**3)
    assert unet.scores["dsc"].p_holm == pytest.approx(2 * 2 / 2**3)
    assert aunet.scores["dsc"].against_reference is None


def test_networks_on_different_data_are_not_compared(entries: tuple[EntryRuns, EntryRuns]) -> None:
    elsewhere = replace(entries[0], data="other")

    unet, _ = results((elsewhere, entries[1]), reference="AUNet", bootstrap=FEW)

    assert unet.scores["dsc"].against_reference is None


def test_an_entry_without_a_finished_arm_has_a_row_without_numbers(entries: tuple[EntryRuns, EntryRuns]) -> None:
    nothing = EntryRuns("none", "data", (), 3, PATIENTS)

    found = results((nothing, entries[1]), reference="AUNet", bootstrap=FEW)

    assert score_table("t", found, {}).rows[0][:5] == ("none", "0 of 3", "0", "0 of 0", "-")


def test_the_papers_numbers_stand_in_columns_of_their_own(entries: tuple[EntryRuns, EntryRuns]) -> None:
    published = {"UNet": PaperRow(MeanSd(73.6, 0.2), MeanSd(79.4, 1.3), MeanSd(42.7, 3.1), MeanSd(3.38, 0.04))}
    found = results(entries, reference="AUNet", bootstrap=FEW)

    table = score_table("t", found, published)
    numbers = tidy(found, published)

    assert table.columns[-4:] == ("paper: DSC (%)", "paper: SEN (%)", "paper: ΔA (%)", "paper: HAU")
    assert table.rows[0][:5] == ("UNet", "2 of 3", "4", "1 of 8", "60.0 ± 14.1")
    assert table.rows[0][-4:] == ("73.6 ± 0.2", "79.4 ± 1.3", "42.7 ± 3.1", "3.38 ± 0.04")
    assert table.rows[1][-4:] == ("-",) * 4
    hau = numbers[(numbers["entry"] == "UNet") & numbers["metric"].isin(["hau_rowwise", "hau_px"])]
    assert hau.set_index("metric")["paper_mean"].dropna().to_dict() == {"hau_rowwise": 3.38}


def test_a_comparison_is_written_with_its_sign_and_number_of_patients(entries: tuple[EntryRuns, EntryRuns]) -> None:
    table = comparison_table(results(entries, reference="AUNet", bootstrap=FEW), reference="AUNet")

    assert table.title == "95 % intervals, and differences from AUNet"
    assert table.rows[0][3:] == ("-31.7", "0.250", "0.250", "-1.00", "3")
    assert table.rows[5][3:] == ("-",) * 5


def test_a_single_run_has_no_spread() -> None:
    assert mean_sd(81.84, float("nan"), metric="dsc") == "81.8"
    assert mean_sd(2.964, 0.031, metric="hau_rowwise") == "2.96 ± 0.03"

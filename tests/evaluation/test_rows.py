import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.evaluation.rows import COLUMNS, ImageRow, RowLog, read_rows
from aunet.metrics.calibration import NO_PIXELS, reliability_of
from aunet.metrics.detection import ImageDetections
from aunet.metrics.scores import METRICS, MaskScores
from aunet.sample import MassProperties

ROW = ImageRow(
    case="images/test/a, b",
    outcome="scored",
    scores=MaskScores(**dict.fromkeys(METRICS, 1 / 3)),
    detections=ImageDetections(2, (0.1 + 0.2,), (0.7, 0.6), 0.25),
    laterality="L",
    view="MLO",
    properties=MassProperties(mass_shape='ROUND; "OVAL"', birads="4"),
    reference_px=120,
    prediction_px=0,
    spacing_mm=(0.7, 0.81),
    notes="mask resized",
    reliability=reliability_of(np.array([0.1, 0.2, 0.9]), np.array([False, True, True])),
)
BARE = ImageRow("b", "failed", MaskScores(), ImageDetections(0, (), ()), reason="no such file")
KEY = {"weights_sha256": "1"}


@pytest.mark.parametrize("row", [ROW, BARE])
def test_a_row_comes_back_from_the_file_exactly(tmp_path: Path, row: ImageRow) -> None:
    log = RowLog(tmp_path, KEY)
    log.append([row])

    log.finish([row.case])

    # NaN differs from itself, so the text is compared, which holds every digit.
    assert repr(read_rows(tmp_path / "per_image.csv")) == repr([row])


def test_the_file_has_one_column_a_score_and_a_blank_for_none(tmp_path: Path) -> None:
    log = RowLog(tmp_path, KEY)
    log.append([BARE])
    log.finish(["b"])

    with (tmp_path / "per_image.csv").open(encoding="utf-8", newline="") as file:
        (cells,) = csv.DictReader(file)

    assert tuple(cells) == COLUMNS
    assert set(METRICS) <= set(cells)
    assert cells["dsc"] == ""


@given(cut=st.integers(0, 400))
def test_a_file_cut_anywhere_gives_its_whole_rows(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    log = RowLog(folder, KEY)
    log.append([replace(ROW, case="1"), replace(ROW, case="2"), replace(ROW, case="3")])
    part = folder / "per_image.csv.part"
    content = part.read_bytes()
    kept = content[: max(0, len(content) - cut)]
    part.write_bytes(kept)

    rows = read_rows(part)

    n_whole = max(0, kept.count(b"\n") - 1)
    assert [row.case for row in rows] == ["1", "2", "3"][:n_whole]
    assert all(row.scores == ROW.scores for row in rows)


def test_a_second_log_of_the_same_run_takes_the_rows_up_and_drops_half_a_line(tmp_path: Path) -> None:
    RowLog(tmp_path, KEY).append([ROW])
    with (tmp_path / "per_image.csv.part").open("a", encoding="utf-8") as file:
        file.write("images/test/c,scored,L,CC")

    log = RowLog(tmp_path, KEY)

    assert list(log.rows) == [ROW.case]
    log.append([BARE])
    assert [row.case for row in log.finish([BARE.case, ROW.case])] == [BARE.case, ROW.case]
    assert len(read_rows(tmp_path / "per_image.csv")) == 2


@pytest.mark.parametrize("other", [{"weights_sha256": "2"}, None])
def test_a_log_of_another_run_starts_anew(tmp_path: Path, other: dict[str, str] | None) -> None:
    log = RowLog(tmp_path, KEY)
    log.append([ROW])
    log.finish([ROW.case])

    assert not RowLog(tmp_path, other).rows
    assert not (tmp_path / "per_image.csv").exists()


def test_a_finished_run_is_taken_up_as_well(tmp_path: Path) -> None:
    log = RowLog(tmp_path, KEY)
    log.append([ROW])
    log.finish([ROW.case])

    assert list(RowLog(tmp_path, KEY).rows) == [ROW.case]


def test_images_that_failed_are_tried_again(tmp_path: Path) -> None:
    RowLog(tmp_path, KEY).append([ROW, BARE])

    assert list(RowLog(tmp_path, KEY).rows) == [ROW.case]


def test_a_line_break_in_a_reason_does_not_break_the_row(tmp_path: Path) -> None:
    log = RowLog(tmp_path, KEY)
    log.append([replace(BARE, reason="first\nsecond")])
    log.finish(["b"])

    (row,) = read_rows(tmp_path / "per_image.csv")

    assert row.reason == "first second"
    assert math.isnan(row.scores.dsc)


def test_a_table_of_an_earlier_version_is_read_without_bins_and_at_no_lowest_score(tmp_path: Path) -> None:
    log = RowLog(tmp_path, KEY)
    log.append([ROW])
    log.finish([ROW.case])
    later = {"lowest_score", "bin_pixels", "bin_mass_pixels", "bin_probability_sums"}
    with (tmp_path / "per_image.csv").open(encoding="utf-8", newline="") as file:
        (cells,) = csv.DictReader(file)
    with (tmp_path / "earlier.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [name for name in COLUMNS if name not in later], extrasaction="ignore")
        writer.writeheader()
        writer.writerow(cells)

    (row,) = read_rows(tmp_path / "earlier.csv")

    assert repr(row) == repr(replace(ROW, reliability=NO_PIXELS, detections=replace(ROW.detections, lowest_score=0.0)))

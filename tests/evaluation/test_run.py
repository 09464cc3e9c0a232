import csv
import errno
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger, LedgerRow
from aunet.errors import DatasetError, WriteError
from aunet.evaluation.run import evaluate
from aunet.evaluation.scoring import Scoring, score_samples
from aunet.preprocessing import cache as kept
from aunet.preprocessing.cache import PreparedCache
from aunet.sample import MassProperties

Draw = Callable[..., DataSet]
# The fake segmenter lives in conftest.py, which tests can't import from.
MakeReader = Callable[..., Any]

MASS = (10, 10, 10, 10)
SHIFTED = (10, 15, 10, 10)
ELSEWHERE = (30, 30, 6, 6)
DIAGONAL = math.hypot(48, 48)


@pytest.fixture(autouse=True)
def _without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    # Drawing figures takes longer than everything else here; test_report.py looks at them.
    monkeypatch.setattr("aunet.evaluation.run.report", lambda summary, examples: "")  # noqa: ARG005  (the signature)


def strictly(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def per_image(out: Path) -> list[dict[str, str]]:
    with (out / "per_image.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_small_set_scores_as_worked_out_by_hand(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    dataset = draw(([MASS], [MASS]), ([SHIFTED], [MASS]), ([], [MASS]), ([ELSEWHERE], []), ([], []))

    evaluate(make_reader(), dataset, tmp_path / "out")

    summary = strictly((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert (summary["n"], summary["n_with_mass"], summary["missed"]) == (5, 3, 1)
    assert (summary["false_positive_images"], summary["true_negatives"], summary["failed"]) == (1, 1, 0)
    # Half of the second mass is shared: DSC 1, 0.5, 0; the miss has the diagonal for a distance.
    metrics = summary["metrics"]
    assert metrics["dsc"]["mean"] == pytest.approx(0.5)
    assert metrics["dsc"]["n"] == 3
    assert metrics["iou"]["mean"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert metrics["area_difference"]["mean"] == pytest.approx(1 / 3)
    assert metrics["hau_px"]["median"] == 5.0
    assert metrics["hau_px"]["mean"] == pytest.approx((0 + 5 + DIAGONAL) / 3)
    # Row-wise, the rows of both masks differ in 10 columns; of a miss, in the 10 of the mass.
    assert metrics["hau_rowwise"]["mean"] == pytest.approx((0 + math.sqrt(10) + math.sqrt(10)) / 3)


def test_the_summary_has_every_name_that_others_read(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    evaluate(make_reader(), draw(([MASS], [MASS]), ([MASS], [MASS])), tmp_path)

    summary = strictly((tmp_path / "summary.json").read_text("utf-8"))
    names = ["dsc", "sensitivity", "precision", "iou", "area_difference", "hau_px", "hau_rowwise", "hd95_px", "nsd"]
    assert set(names) == set(summary["metrics"])
    assert all({"n", "mean", "median", "ci95"} == set(summary["metrics"][name]) for name in names)
    assert {"n", "missed", "false_positive_images", "detection", "groups", "model", "versions", "date"} <= set(summary)
    assert summary["model"]["licence"] == "CC0"


def test_each_image_has_a_row_in_the_order_of_the_data_set(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    dataset = draw(([MASS], [MASS]), ([], [MASS]), ([ELSEWHERE], []), ([], []))

    evaluate(make_reader(), dataset, tmp_path, batch=3)

    rows = per_image(tmp_path)
    assert [row["case"] for row in rows] == ["image-0", "image-1", "image-2", "image-3"]
    assert [row["outcome"] for row in rows] == ["scored", "missed", "false_positive", "true_negative"]
    assert [row["dsc"] for row in rows] == ["1.0", "0.0", "", ""]
    assert rows[0]["reference_px"] == rows[0]["prediction_px"] == "100"


def test_froc_goes_beyond_the_operating_point_and_scores_are_at_it(
    draw: Draw, make_reader: MakeReader, tmp_path: Path
) -> None:
    # Regions of 100, 36 and 4 pixels, all of probability 200/255; the second is of no mass, the third too small.
    dataset = draw(([MASS, ELSEWHERE, (40, 2, 2, 2)], [MASS]))
    reader = make_reader()
    reader.card = replace(reader.card, smallest_mass_px=5)
    strict = make_reader()
    strict.card = replace(reader.card, lowest_score=0.9)

    large, sure = evaluate(reader, dataset, tmp_path / "large"), evaluate(strict, dataset, tmp_path / "sure")

    assert (large.detection.n_found, large.detection.n_false_regions) == (1, 1)
    assert large.metrics["dsc"].mean == pytest.approx(2 * 100 / (136 + 100))
    assert (sure.detection.n_found, sure.detection.n_false_regions, sure.missed) == (0, 0, 1)
    assert sure.detection.froc.sensitivity_at(1.0) == 1.0
    assert strictly(sure.to_json())["detection"]["n_found"] == 0
    assert per_image(tmp_path / "sure")[0]["n_found"] == "0"


def test_the_calibration_error_is_that_of_the_breast_s_pixels(
    draw: Draw, make_reader: MakeReader, tmp_path: Path
) -> None:
    dataset = draw(([MASS, ELSEWHERE], [MASS]), ([], []))
    dataset.samples[1].image_path.unlink()

    summary = evaluate(make_reader(), dataset, tmp_path)

    # 100 + 36 pixels at 200/255, of which 100 are mass; the first corner at 0; the others at 60/255, none of them mass.
    # The last corner is black, which is no breast.
    n = 48 * 48 - 1
    error = abs(136 * 200 / 255 - 100) + (n - 136 - 1) * 60 / 255
    assert summary.reliability.n == n
    assert summary.reliability.expected_error == pytest.approx(error / n)
    document = strictly(summary.to_json())["calibration"]
    assert document["n_pixels"] == sum(one["n_pixels"] for one in document["bins"]) == n
    assert document["expected_calibration_error"] == summary.reliability.expected_error


def test_an_image_that_cannot_be_read_is_a_miss_and_not_left_out(
    draw: Draw, make_reader: MakeReader, tmp_path: Path
) -> None:
    dataset = draw(([MASS], [MASS]), ([MASS], [MASS]), ([], []))
    dataset.samples[1].image_path.write_bytes(b"no picture")
    dataset.samples[2].image_path.unlink()

    summary = evaluate(make_reader(), dataset, tmp_path / "out")

    assert (summary.n, summary.missed, summary.overall.counts.failed) == (3, 1, 2)
    assert summary.metrics["dsc"].mean == pytest.approx(0.5)
    assert summary.metrics["hau_px"].mean == pytest.approx(DIAGONAL / 2)
    assert [failure.case for failure in summary.failures] == ["image-1", "image-2"]
    assert all(failure.reason for failure in summary.failures)
    assert summary.detection.froc.n_masses == 2
    assert not summary.is_complete


def test_a_prediction_that_is_no_probability_is_a_miss(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    reader = make_reader()
    drawn = reader.probability
    reader.probability = lambda images: np.where(drawn(images) > 0.5, np.float32("nan"), drawn(images))

    summary = evaluate(reader, draw(([MASS], [MASS]), ([], [MASS])), tmp_path)

    assert [failure.case for failure in summary.failures] == ["image-0"]
    assert summary.missed == 2


@pytest.mark.parametrize("with_cache", [False, True])
def test_a_mass_cut_off_beside_another_counts_as_not_found(
    draw: Draw, make_reader: MakeReader, tmp_path: Path, *, with_cache: bool
) -> None:
    dataset = draw(([MASS], [MASS, (40, 40, 3, 3)]))
    reader = make_reader()
    reader.preprocessing = replace(reader.preprocessing, patch_margin=None, crop=True)
    dark = dataset.samples[0].image_path
    pixels = np.asarray(Picture.open(dark)).copy()
    pixels[30:], pixels[0, 0] = 0, 255
    Picture.fromarray(pixels).save(dark)
    os.utime(dark, (1, 1))
    cache = tmp_path / "cache" if with_cache else None

    for out in ("first", "again"):
        (row,) = evaluate(reader, dataset, tmp_path / out, cache=cache).rows
        assert row.detections.n_masses == 2
        assert "1 masses lie outside of what preprocessing keeps" in row.notes


def test_a_mass_that_preprocessing_cuts_off_is_a_miss(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    dataset = draw(([MASS], [MASS]), ([], [(40, 40, 3, 3)]))
    reader = make_reader()
    reader.preprocessing = replace(reader.preprocessing, patch_margin=None, crop=True)
    dark = dataset.samples[1].image_path

    pixels = np.asarray(Picture.open(dark)).copy()
    pixels[30:], pixels[0, 0] = 0, 255
    Picture.fromarray(pixels).save(dark)

    summary = evaluate(reader, dataset, tmp_path / "out")

    assert summary.missed == 1
    assert summary.overall.counts.true_negatives == 0
    assert "outside" in summary.rows[1].reason


def test_a_miss_without_a_prediction_is_the_diagonal_in_millimetres_too(
    draw: Draw, make_reader: MakeReader, tmp_path: Path
) -> None:
    drawn = draw(([MASS], [MASS]), ([], [MASS]))
    dataset = replace(drawn, samples=tuple(replace(sample, spacing_mm=(0.1, 0.1)) for sample in drawn.samples))
    reader = make_reader()
    seen = reader.probability
    reader.probability = lambda images: np.where(seen(images) > 0.5, np.float32("nan"), seen(images))

    summary = evaluate(reader, dataset, tmp_path)

    no_prediction, empty_prediction = summary.rows
    assert (no_prediction.outcome, empty_prediction.outcome) == ("failed", "missed")
    assert no_prediction.scores.hau_mm == empty_prediction.scores.hau_mm == pytest.approx(DIAGONAL / 10)
    assert summary.metrics["hd95_mm"].n == 2


def test_refused_rows_of_the_table_are_named(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    refused = LedgerRow(case="lost", status="refused", reason="the image is missing")
    dataset = replace(draw(([MASS], [MASS])), ledger=Ledger((refused,)))

    summary = evaluate(make_reader(), dataset, tmp_path / "out")

    assert [failure.case for failure in summary.refused] == ["lost"]
    assert not summary.is_complete


def test_millimetres_are_those_of_the_model_grid(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    drawn = draw(([SHIFTED], [MASS]), ([MASS], [MASS]))
    samples = (replace(drawn.samples[0], spacing_mm=(0.1, 0.2)), drawn.samples[1])
    reader = make_reader()
    reader.preprocessing = replace(reader.preprocessing, rows=24, columns=24)

    summary = evaluate(reader, replace(drawn, samples=samples), tmp_path / "out")

    # Five source columns of 0.2 mm are two or three model columns of 0.4 mm.
    assert summary.metrics["hau_mm"].n == 1
    assert summary.metrics["hau_mm"].mean == pytest.approx(summary.rows[0].scores.hau_px * 0.4)
    assert summary.rows[0].spacing_mm == pytest.approx((0.2, 0.4))


def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_scores(
    draw: Draw, make_reader: MakeReader, weights: Path, tmp_path: Path
) -> None:
    properties = [MassProperties(subtlety=str(i % 3)) for i in range(7)]
    dataset = draw(*[([(10, 10 + i, 10, 10)], [MASS]) for i in range(7)], properties=properties)
    whole = evaluate(make_reader(), dataset, tmp_path / "whole", weights=weights, batch=2)
    with pytest.raises(KeyboardInterrupt):
        evaluate(make_reader(stop_after=4), dataset, tmp_path / "cut", weights=weights, batch=2)
    progress: list[tuple[int, int]] = []
    second = make_reader()

    resumed = evaluate(
        second,
        dataset,
        tmp_path / "cut",
        weights=weights,
        batch=2,
        on_progress=lambda done, total: progress.append((done, total)),
    )

    n_drawn_again = 6  # two images of each rank among the examples
    assert second.images_seen == 3 + n_drawn_again
    assert progress == [(4, 7), (6, 7), (7, 7)]
    assert (tmp_path / "cut" / "per_image.csv").read_bytes() == (tmp_path / "whole" / "per_image.csv").read_bytes()
    assert resumed.overall == whole.overall
    assert resumed.reliability == whole.reliability
    assert not list((tmp_path / "cut").glob("*.part"))


@pytest.mark.parametrize("change", ["weights", "threshold", "image", "properties", "nothing known of the weights"])
def test_rows_of_another_run_are_not_taken_up(
    draw: Draw, make_reader: MakeReader, weights: Path, tmp_path: Path, change: str
) -> None:
    dataset = draw(([MASS], [MASS]), ([MASS], [MASS]))
    evaluate(make_reader(), dataset, tmp_path / "out", weights=weights)
    second = make_reader()
    known: Path | None = weights
    match change:
        case "weights":
            weights.write_text("other weights", encoding="utf-8")
        case "threshold":
            second = make_reader(threshold=0.6)
        case "image":
            image = dataset.samples[0].image_path
            image.write_bytes(image.read_bytes() + b" ")
        case "properties":
            changed = replace(dataset.samples[0], properties=MassProperties(birads="5"))
            dataset = replace(dataset, samples=(changed, *dataset.samples[1:]))
        case _:
            known = None

    evaluate(second, dataset, tmp_path / "out", weights=known)

    n_examples = 2
    assert second.images_seen == 2 + n_examples


def test_results_of_another_run_are_gone_while_this_one_goes_on(
    draw: Draw, make_reader: MakeReader, weights: Path, tmp_path: Path
) -> None:
    dataset = draw(([MASS], [MASS]), ([MASS], [MASS]))
    evaluate(make_reader(), dataset, tmp_path / "out", weights=weights)
    weights.write_text("other weights", encoding="utf-8")

    with pytest.raises(KeyboardInterrupt):
        evaluate(make_reader(stop_after=1), dataset, tmp_path / "out", weights=weights, batch=1)

    assert {path.name for path in (tmp_path / "out").iterdir()} == {"evaluation.json", "per_image.csv.part"}


def test_a_finished_run_computes_nothing_but_the_examples_again(
    draw: Draw, make_reader: MakeReader, weights: Path, tmp_path: Path
) -> None:
    dataset = draw(([MASS], [MASS]), ([MASS], [MASS]))
    first = evaluate(make_reader(), dataset, tmp_path / "out", weights=weights)
    reader = make_reader()

    second = evaluate(reader, dataset, tmp_path / "out", weights=weights)

    assert reader.images_seen == 2
    assert second.overall == first.overall


def test_an_image_that_was_missing_is_scored_when_it_is_there(
    draw: Draw, make_reader: MakeReader, weights: Path, tmp_path: Path
) -> None:
    dataset = draw(([MASS], [MASS]), ([MASS], [MASS]))
    content = dataset.samples[0].image_path.read_bytes()
    dataset.samples[0].image_path.unlink()
    evaluate(make_reader(), dataset, tmp_path / "out", weights=weights)
    dataset.samples[0].image_path.write_bytes(content)

    summary = evaluate(make_reader(), dataset, tmp_path / "out", weights=weights)

    assert summary.is_complete
    assert summary.missed == 0


def test_a_split_without_images_is_an_error(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="validation"):
        evaluate(make_reader(), draw(([MASS], [MASS])), tmp_path / "out", split="validation")


def test_the_batch_size_changes_no_score(draw: Draw, make_reader: MakeReader, tmp_path: Path) -> None:
    dataset = draw(*[([(10, 8 + i, 10, 10)], [MASS]) for i in range(5)])

    alone = evaluate(make_reader(), dataset, tmp_path / "alone", batch=1)
    together = evaluate(make_reader(), dataset, tmp_path / "together", batch=8)

    assert alone.rows == together.rows


def test_only_a_few_batches_are_read_ahead(draw: Draw, make_reader: MakeReader) -> None:
    dataset = draw(*[([MASS], [MASS])] * 30)
    reader = make_reader()
    cache = PreparedCache(None, reader.preprocessing)
    read: list[str] = []
    load = cache.load
    cache.load = lambda sample: read.append(sample.case) or load(sample)  # type: ignore[method-assign, func-returns-value]  # counts calls

    rows = score_samples(dataset.samples, Scoring(reader, cache, tolerance_px=2.0, batch=3))
    next(rows)

    assert len(read) <= 6
    assert sum(len(batch) for batch in rows) == 27


@pytest.mark.parametrize("writer", ["_keep", "write_text"])
def test_a_cache_without_room_is_an_error_and_no_image_s_miss(
    draw: Draw, make_reader: MakeReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dataset = draw(([MASS], [MASS]))
    for path in (dataset.samples[0].image_path, *dataset.samples[0].mask_paths):
        os.utime(path, (1, 1))  # so old that its hash is worth a note
    monkeypatch.setattr(kept, writer, no_room)

    with pytest.raises(WriteError, match="can't keep prepared samples there"):
        evaluate(make_reader(), dataset, tmp_path / "out", cache=tmp_path / "cache")

    assert not (tmp_path / "out" / "summary.json").exists()

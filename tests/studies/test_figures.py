from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aunet.datasets.inspection import inspect_pixels
from aunet.datasets.opening import open_dataset
from aunet.evaluation.rows import ImageRow
from aunet.evaluation.stats import Bootstrap
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.studies.arms import Entry, arms_of
from aunet.studies.categories import CATEGORIES
from aunet.studies.engine import Here, run_jobs
from aunet.studies.figures import (
    Distribution,
    cumulative_figure,
    distribution_figure,
    distribution_of,
    distribution_table,
)
from aunet.studies.jobs import Failed, make_jobs
from aunet.studies.overlays import Shown, comparison_figure, quarter_cases, shapes_figure, short_names, show, size_cases
from aunet.studies.page import write_picture
from aunet.studies.results import EntryRuns
from aunet.studies.sources import Source
from aunet.studies.study import Picture

MakeRow = Callable[..., ImageRow]


def test_the_line_rises_by_an_images_share_at_its_dsc() -> None:
    figure = cumulative_figure({"UNet": np.array([80.0, 20.0, 80.0, 0.0])})

    points = np.asarray(figure.axes[0].lines[0].get_xydata())
    assert list(map(tuple, points.tolist())) == [
        *((0.0, 0.0), (0.0, 0.25), (0.2, 0.5), (0.8, 0.75), (0.8, 1.0), (1.0, 1.0)),
    ]


def test_networks_are_told_apart_without_colour() -> None:
    figure = cumulative_figure({str(i): np.array([50.0]) for i in range(4)})

    assert len({line.get_linestyle() for line in figure.axes[0].lines}) == 4


def test_the_distribution_counts_what_the_data_set_holds(phantoms: Path) -> None:
    dataset = open_dataset(f"folder:{phantoms}")

    found = distribution_of("phantoms", inspect_pixels(dataset))
    table = {row[0]: row[1] for row in distribution_table([found]).rows}

    assert found.area_shares.size == len(dataset.samples)
    malignant = sum("MALIGNANT" in sample.properties.pathology.upper() for sample in dataset.samples)
    assert table["pathology malignant"] == str(malignant)


def test_the_papers_shares_stand_with_its_limit_for_each_data_set() -> None:
    nothing = {attribute: Counter[str]() for attribute in CATEGORIES}
    found = [Distribution(name, np.array([0.005, 0.03]), nothing) for name in ("CBIS-DDSM", "INbreast")]

    rows = distribution_table(found).rows

    assert rows[1:5] == (
        ("masses below 1% of the image", "50.0 %", "50.0 %"),
        ("  in the paper", "81.8 %", "-"),
        ("masses below 4% of the image", "100.0 %", "100.0 %"),
        ("  in the paper", "-", "81.0 %"),
    )


def test_bars_side_by_side_have_different_hatches(phantoms: Path) -> None:
    found = distribution_of("phantoms", inspect_pixels(open_dataset(f"folder:{phantoms}")))

    figure = distribution_figure([found])

    for axes in figure.axes:
        assert len({bar.get_hatch() for bar in axes.patches}) == len(axes.patches)


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        figure = cumulative_figure({"UNet": np.array([80.0, 20.0])})
        (tmp_path / name).mkdir()
        write_picture(Picture("figure4", "", figure), tmp_path / name)

    for ending in ("png", "svg"):
        assert (tmp_path / f"a/figure4.{ending}").read_bytes() == (tmp_path / f"b/figure4.{ending}").read_bytes()


@pytest.fixture
def scored(make_row: MakeRow) -> tuple[EntryRuns, ...]:
    """Two networks on five images, whose mean DSC and whose sizes rise in opposite order."""
    cases = "abcde"
    patients = {case: i for i, case in enumerate(cases)}
    return tuple(
        EntryRuns(
            f"{name} (w/)",
            "data",
            (tuple(make_row(case, dsc=0.1 + i / 10 + shift, px=100 - i) for i, case in enumerate(cases)),),
            1,
            patients,
        )
        for name, shift in (("UNet", 0.0), ("AUNet", 0.2))
    )


def test_images_of_figure_6_lie_at_the_quarters_of_the_mean_dsc(scored: tuple[EntryRuns, ...]) -> None:
    assert quarter_cases(scored) == ("b", "d")


def test_images_of_figure_7_have_the_smallest_the_median_and_the_largest_mass(scored: tuple[EntryRuns, ...]) -> None:
    assert size_cases(scored[0]) == ("e", "c", "a")


def test_an_image_that_can_no_longer_be_read_is_named(
    phantoms: Path, small_entry: Callable[..., Entry], tmp_path: Path, scored: tuple[EntryRuns, ...]
) -> None:
    data = Source(open_dataset(f"folder:{phantoms}"))
    (job,) = make_jobs(
        arms_of(small_entry("one"), seeds=1),
        {"data": data},
        folder=tmp_path / "arms",
        cache=tmp_path / "cache",
        bootstrap=Bootstrap(resamples=50),
    )
    run_jobs([job], Here())
    sample = next(one for one in job.part.samples if one.split == "test")
    gone = replace(sample, image_path=tmp_path / "gone.png")
    job = replace(job, part=replace(job.part, samples=(gone,)))

    found = show(gone.case, "data", {scored[0].name: [job]}, scored[:1])

    assert isinstance(found, Failed)
    assert found.reason.startswith(f"{gone.case}: ")


def test_a_network_has_one_column_for_all_data_sets(scored: tuple[EntryRuns, ...]) -> None:
    plain = tuple(replace(entry, name=entry.name.removesuffix(" (w/)")) for entry in scored)

    assert short_names((*plain, *scored)) == ("UNet", "AUNet")


def test_overlays_show_reference_and_prediction_by_two_kinds_of_line(phantoms: Path) -> None:
    sample = open_dataset(f"folder:{phantoms}").samples[0]
    prepared = PreparedCache(None, Preprocessing(rows=32, columns=32)).load(sample)
    shown = Shown("data", prepared, {"UNet (w/)": prepared.mask, "AUNet (w/)": None}, {"UNet (w/)": 100.0})

    figure = comparison_figure([shown], ("UNet", "AUNet"))
    shapes = shapes_figure([shown], "UNet")

    _, _, unet, aunet = figure.axes
    assert len({str(one.get_linestyle()) for one in unet.collections}) == 2
    assert len(aunet.collections) == 1
    assert [axes.texts[0].get_text() for axes in (unet, aunet)] == ["100.0", "nothing"]
    assert len(shapes.axes) == 2

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from aunet.datasets.dataset import DataSet
from aunet.evaluation.examples import choose_examples
from aunet.evaluation.rows import ImageRow
from aunet.evaluation.run import evaluate
from aunet.metrics.detection import ImageDetections
from aunet.metrics.scores import MaskScores
from aunet.sample import MassProperties

VOID = {"meta", "img", "br", "link", "input", "hr"}
MASS = (10, 10, 10, 10)


class Page(HTMLParser):
    """What is asked of a page: nothing from outside, every picture described, every element closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.alternatives: list[str] = []
        self.open: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        for name in ("src", "href", "action", "data"):
            value = known.get(name)
            if value is not None and not value.startswith(("data:image/png;base64,", "#")):
                self.outside.append(value)
        if tag == "img":
            self.alternatives.append(known.get("alt") or "")
        if tag in {"script", "iframe", "object", "embed", "link"}:
            self.outside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in {"h1", "h2", "h3"}:
            self.headings.append(data)


@pytest.fixture(scope="module")
def page(
    draw: Callable[..., DataSet], make_reader: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A report with every part, and a value in the table that would be markup."""
    properties = [MassProperties(mass_shape="<b>ROUND</b> & OVAL")] * 12
    boxes = [[(10, 8 + i, 10, 10)] for i in range(10)]
    dataset = draw(*[(box, [MASS]) for box in boxes], ([], [MASS]), ([MASS], [MASS]), properties=properties)
    dataset.samples[-1].image_path.unlink()
    out = tmp_path_factory.mktemp("out")
    evaluate(make_reader(), dataset, out)
    return (out / "report.html").read_text("utf-8")


def test_the_report_asks_for_nothing_from_outside(page: str) -> None:
    parsed = Page(page)

    assert parsed.outside == []
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page
    assert parsed.open == []


def test_every_picture_of_the_report_is_described(page: str) -> None:
    alternatives = Page(page).alternatives

    n_figures, n_overlays = 3, 9
    assert len(alternatives) == n_figures + n_overlays
    assert all(len(text) > 20 for text in alternatives)


def test_the_report_says_how_many_were_missed_and_names_what_failed(page: str) -> None:
    text = Page(page).text

    assert "2 missed" in text
    assert "No prediction: 1" in text
    assert "image-11" in text


def test_the_report_warns_of_comparing_with_the_paper(page: str) -> None:
    text = Page(page).text

    assert "Not comparable number by number" in text
    assert "inference" in text


def test_the_report_says_that_it_is_for_research(page: str) -> None:
    assert "For research use only, not a medical device." in Page(page).text


def test_words_of_the_table_are_text_and_no_markup(page: str) -> None:
    assert "<b>ROUND" not in page
    assert "<b>ROUND</b> & OVAL" in Page(page).text


def test_headings_name_the_parts(page: str) -> None:
    headings = Page(page).headings

    assert [heading for heading in headings if heading not in {headings[0], "No prediction: 1"}][:7] == [
        "Results",
        "Figures",
        "Images",
        "Best",
        "Around the median",
        "Worst",
        "By group",
    ]


def test_no_output_names_a_patient(
    draw: Callable[..., DataSet], make_reader: Callable[..., Any], tmp_path: Path
) -> None:
    dataset = draw(([MASS], [MASS]), ([], [MASS]))

    evaluate(make_reader(), dataset, tmp_path / "out")

    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 4
    assert not any(b"Mustermann" in content for content in written)


def test_images_without_any_mass_have_no_scores_and_a_report_all_the_same(
    draw: Callable[..., DataSet], make_reader: Callable[..., Any], tmp_path: Path
) -> None:
    evaluate(make_reader(), draw(([], []), ([(30, 30, 6, 6)], [])), tmp_path / "out")

    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["metrics"]["dsc"] == {"n": 0, "mean": None, "median": None, "ci95": [None, None]}
    assert summary["detection"]["sensitivity"]["value"] is None
    assert "none with a mass" in (tmp_path / "out" / "report.html").read_text("utf-8")


def rows_with(*scores: float) -> list[ImageRow]:
    return [
        ImageRow(f"case-{i}", "scored", MaskScores(dsc=score), ImageDetections(1, (), ()), reference_px=9)
        for i, score in enumerate(scores)
    ]


def test_examples_are_the_best_the_middle_and_the_worst() -> None:
    rows = rows_with(0.5, 0.9, 0.1, 0.7, 0.3, 0.8, 0.2)

    chosen = [(rank, row.scores.dsc) for rank, row in choose_examples(rows, each=1)]

    assert chosen == [("best", 0.9), ("median", 0.5), ("worst", 0.1)]


@pytest.mark.parametrize("n", range(12))
def test_no_example_is_shown_twice(n: int) -> None:
    chosen = choose_examples(rows_with(*(i / 12 for i in range(n))), each=3)

    cases = [row.case for _, row in chosen]
    assert len(set(cases)) == len(cases)
    assert len(cases) == (n if n < 3 else min(n // 3, 3) * 3)


def test_an_image_without_a_reference_to_draw_is_no_example() -> None:
    failed = ImageRow("broken", "failed", MaskScores(dsc=0.0), ImageDetections(1, (), ()))
    empty = ImageRow("empty", "true_negative", MaskScores(), ImageDetections(0, (), ()), reference_px=0)

    assert choose_examples([failed, empty]) == ()

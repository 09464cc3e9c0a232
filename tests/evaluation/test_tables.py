import pytest

from aunet.evaluation.tables import Table, to_html, to_latex, to_markdown

TABLE = Table("Scores & more", ("network", "DSC (%)"), (("a_b", "1.0 ± 0.5"), ("c|d", "-")))


def test_markdown_has_a_line_a_row_and_the_notes_above() -> None:
    page = to_markdown([TABLE], title="Table 1", notes=["Not comparable."])

    assert page.startswith(
        "# Table 1\n\nNot comparable.\n\n**Scores & more**\n\n| network | DSC (%) |\n| --- | ---: |\n"
    )
    assert page.endswith("| a_b | 1.0 ± 0.5 |\n| c\\|d | - |\n")


def test_latex_escapes_what_it_reads_as_commands() -> None:
    text = to_latex([TABLE], notes=["50 % of them"])

    assert r"\caption{Scores \& more}" in text
    assert r"network & DSC (\%) \\" in text
    assert r"a\_b & 1.0 $\pm$ 0.5 \\" in text
    assert text.endswith("% 50 % of them\n")


def test_html_escapes_cells_and_names_rows() -> None:
    html = to_html(Table("<t>", ("a",), (("<b>",),)))

    assert "<caption>&lt;t&gt;</caption>" in html
    assert '<th scope="row">&lt;b&gt;</th>' in html


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has 1 cells for 2 columns"):
        Table("t", ("a", "b"), (("1",),))

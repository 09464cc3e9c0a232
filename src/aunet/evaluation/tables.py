"""A table of words and numbers as Markdown, LaTeX and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LATEX = str.maketrans({
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
})


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a heading; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Refuse rows of another length.

        Raises:
            ValueError: A row has more or fewer cells than there are columns.
        """
        for row in self.rows:
            if len(row) != len(self.columns):
                msg = f"{self.title}: the row {row[:1]} has {len(row)} cells for {len(self.columns)} columns"
                raise ValueError(msg)


def to_markdown(tables: Sequence[Table], *, title: str, notes: Sequence[str] = ()) -> str:
    """A Markdown page of tables.

    Args:
        tables: The tables in their order.
        title: Heading of the page.
        notes: Paragraphs below the heading.

    Returns:
        The page.
    """
    parts = [f"# {title}", *notes]
    for table in tables:
        lines = [_markdown_row(table.columns), _markdown_row(["---", *["---:"] * (len(table.columns) - 1)])]
        parts.append("\n".join([f"**{table.title}**", "", *lines, *map(_markdown_row, table.rows)]))
    return "\n\n".join(parts) + "\n"


def to_latex(tables: Sequence[Table], *, notes: Sequence[str] = ()) -> str:
    """Tables to be read into a LaTeX document that uses the package `booktabs`.

    Args:
        tables: The tables in their order.
        notes: Paragraphs below the last one.

    Returns:
        A `table` environment a table.
    """
    return "\n".join([*map(_latex_table, tables), *(f"% {note}" for note in notes)]) + "\n"


def to_html(table: Table) -> str:
    """One table as HTML.

    Args:
        table: The table.

    Returns:
        A `table` element.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.columns)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _latex_table(table: Table) -> str:
    rows = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in (table.columns, *table.rows)]
    return "\n".join([
        r"\begin{table}",
        rf"\caption{{{table.title.translate(_LATEX)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        rows[0],
        r"\midrule",
        *rows[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ])

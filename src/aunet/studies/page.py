"""What a study leaves in its folder: `table.md`, `.csv` and `.tex`, its figures, and one page that opens offline."""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

import matplotlib as mpl

from aunet.evaluation.summary import HAU_NOTE
from aunet.evaluation.tables import Table, to_html, to_latex, to_markdown
from aunet.io.aside import write_text, written_aside
from aunet.studies.arms import Study
from aunet.studies.engine import ArmReport, duration
from aunet.studies.jobs import Done
from aunet.studies.quick import NOTE
from aunet.studies.score_tables import NONE
from aunet.studies.study import Findings, Picture

PAGE = "index.html"
_TEMPLATE = Template((Path(__file__).parent / "study_page.html").read_text(encoding="utf-8"))
_DPI = 150
_SPLITS = {
    "cbis-ddsm": (
        "the paper's choice of 858 CBIS-DDSM images and its split into 690 and 168 are not published, here it is the "
        "data set's own"
    ),
    "inbreast": (
        "the paper's five folds of INbreast are not published, nor whether a patient's images stay in one fold, here "
        "they do, in folds of our own"
    ),
}
_HOW_MADE = (
    "Ours: mean over the images, each with its mean over the seeds, ± standard deviation of the seeds' means. With "
    "folds, all test images of a seed count together; the standard deviation over the folds' own means has a column of "
    "its own. Images counts those with a mass, as every run counted it. A missed one has DSC and SEN 0, ΔA 100 %, and "
    "the grid's diagonal as its HAU. Intervals: 95 %, of that mean, by bootstrap over patients. Differences are means "
    "over the patients of the differences between their own means; a positive one is better for DSC and SEN, and worse "
    "for ΔA and HAU. p: Wilcoxon's signed-rank test of these, paired, two-sided, patients without a difference "
    "keeping their ranks (Pratt); p (Holm) is corrected for all comparisons of this table; effect is the matched-pairs "
    "rank-biserial correlation, from -1 to 1, in which patients without a difference count as 0. Intervals and p "
    "values are for these trained weights: another seed may give another result, which only ± tells."
)


def write_findings(findings: Findings) -> Path:
    """Write everything that a study ends in.

    Args:
        findings: What it ended in.

    Returns:
        The page.
    """
    out, notes = findings.order.out, notes_of(findings)
    title = findings.study.title
    write_text(out / "table.md", to_markdown(findings.tables, title=title, notes=notes))
    write_text(out / "table.tex", to_latex(findings.tables, notes=notes))
    write_text(out / "table.csv", findings.numbers.to_csv(index=False, lineterminator="\n"))
    if findings.categories is not None:
        write_text(out / "categories.csv", findings.categories.to_csv(index=False, lineterminator="\n"))
    for picture in findings.pictures:
        write_picture(picture, out)
    page = _TEMPLATE.substitute(
        title=escape(title),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        failed=_failed(findings),
        pictures="".join(map(_embedded, findings.pictures)),
        tables="".join(map(to_html, findings.tables)),
        facts="".join(f"<li>{escape(fact)}</li>" for fact in _facts(findings)),
        costs=to_html(cost_table(findings.arms)) if findings.arms else "<p>No arm had to be trained.</p>",
    )
    write_text(out / PAGE, page)
    return out / PAGE


def notes_of(findings: Findings) -> tuple[str, ...]:
    """What has to be said beside the tables: first of all whether ours and the paper's can be compared.

    Args:
        findings: What the study ended in.

    Returns:
        A paragraph each.
    """
    study, order = findings.study, findings.order
    notes = []
    if study.published:
        notes.append(_comparability(study))
    if order.changes:
        changes = ", ".join(order.changes)
        notes.append(f"Changed in every arm, so that at most the order of the rows can be compared: {changes}.")
    if order.quick:
        notes.append(NOTE)
    if study.remark:
        notes.append(study.remark)
    if study.kind not in {"complexity", "distributions"}:
        notes.append(_HOW_MADE)
    return (*notes, *findings.notes)


def _comparability(study: Study) -> str:
    """Why ours and the paper's numbers can't be compared one by one."""
    splits = "; ".join(_SPLITS[name] for name in study.data if name in _SPLITS)
    return (
        f"Ours can't be compared with the paper's number by number. Split: {splits}. Resolution: every score is "
        f"measured on the grid of the network's input, which is what the paper's seem to be. {HAU_NOTE}"
    )


def write_picture(picture: Picture, folder: Path) -> None:
    """Write a figure as PNG and as SVG; the same figure gives the same bytes.

    Args:
        picture: The figure.
        folder: Where to.
    """
    with written_aside(folder / f"{picture.name}.png") as aside:
        picture.figure.savefig(aside, format="png", dpi=_DPI)
    with mpl.rc_context({"svg.hashsalt": "aunet"}), written_aside(folder / f"{picture.name}.svg") as aside:
        picture.figure.savefig(aside, format="svg", metadata={"Date": None})


def cost_table(arms: Sequence[ArmReport]) -> Table:
    """What every arm was estimated to cost and did cost.

    Args:
        arms: What became of the arms.

    Returns:
        A row an arm.
    """
    columns = ("arm", "folder", "estimated", "training took", "images/s", "epochs", "computed on")
    rows = []
    for report in arms:
        before = NONE if report.estimate is None else duration(report.estimate.seconds)
        after = (NONE, NONE, NONE, NONE)
        if isinstance(report.outcome, Done):
            done = report.outcome
            after = (duration(done.training_s), f"{done.images_per_second:.2f}", str(done.epochs), done.hardware)
        rows.append((str(report.job.arm), report.job.folder.name, before, *after))
    return Table("Training of each arm; no estimate where it was finished before", columns, tuple(rows))


def _facts(findings: Findings) -> Iterator[str]:
    order = findings.order
    for name, described in (findings.data or {}).items():
        yield f"{name}: {described}"
    if findings.arms:
        yield f"Seeds: {order.seeds}, counted from 0"
        yield f"Arms: {order.arms}"
    for entry in findings.study.entries:
        yield f"{entry.name}: recipe {', '.join((entry.recipe, *entry.changes))}"
    yield f"Changed in every arm: {', '.join(order.changes) or 'nothing'}"


def _failed(findings: Findings) -> str:
    lines = [f"{report.job.arm}: {reason}" for report in findings.failed if (reason := reason_of(report))]
    lines += [f"not read or predicted, counted as missed: {line}" for line in findings.unread]
    lines += [f"left out, neither trained on nor scored nor counted as missed: {line}" for line in findings.left_out]
    if not lines:
        return ""
    return f'<div class="failed"><h2>Failed</h2><ul>{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul></div>'


def reason_of(report: ArmReport) -> str:
    """Why an arm has failed.

    Args:
        report: What became of it.

    Returns:
        The reason; "" for an arm that has not failed.
    """
    return "" if isinstance(report.outcome, Done) else report.outcome.reason


def _embedded(picture: Picture) -> str:
    content = io.BytesIO()
    picture.figure.savefig(content, format="png", dpi=_DPI)
    text = base64.b64encode(content.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(picture.description)}" src="data:image/png;base64,{text}">'
        f"<figcaption>{escape(picture.description)} Files: {picture.name}.png, {picture.name}.svg</figcaption></figure>"
    )

"""CBIS-DDSM as it is downloaded: its tables, its files, and what has to be repaired or refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aunet.datasets.cbis_ddsm_roles import Sized, choose_image, choose_mask
from aunet.datasets.cbis_ddsm_tables import TABLES, Finding, Kind, Side, TableName, read_case_table
from aunet.datasets.cbis_ddsm_tree import FoundFile, Tree, look_at
from aunet.datasets.dataset import DataSet
from aunet.datasets.folder import SHARED_PATIENT
from aunet.datasets.ledger import Expectation, Ledger, LedgerRow, Status, printable
from aunet.datasets.side_by_side import OnProgress, look_at_each
from aunet.datasets.source import Source, read_source
from aunet.datasets.splits import shared_between_sides
from aunet.errors import DatasetError, ReadError
from aunet.io.aside import digest
from aunet.io.files import resizing
from aunet.sample import MassProperties, Sample

Findings = Literal["mass", "calcification", "both"]
MaskPolicy = Literal["strict", "resize", "drop"]

SOURCE = Source(
    "CBIS-DDSM, Lee et al. 2017, doi 10.1038/sdata.2017.177, doi 10.7937/K9/TCIA.2016.7O02S9CY", "CC BY 3.0"
)

# (rows, images, patients) of the four tables: Lee et al. 2017, doi 10.1038/sdata.2017.177, for the rows; images and
# patients of the mass tables are counted in the tables themselves.
_PUBLISHED: dict[TableName, tuple[int, int | None, int | None]] = {
    TableName("mass", "train"): (1318, 1231, 691),
    TableName("mass", "test"): (378, 361, 201),
    TableName("calcification", "train"): (1546, None, None),
    TableName("calcification", "test"): (326, None, None),
}


@dataclass(slots=True)
class _Case:
    """An image on its way to a sample: its findings, and what is repaired, left out or wrong so far."""

    name: str
    findings: list[Finding]
    """In the order of their numbers, each once."""
    is_wanted: bool = True
    """Whether it shows the kind of finding that the user asked for."""
    repairs: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    image: Sized | None = None
    masks: list[Sized] = field(default_factory=list)

    @property
    def first(self) -> Finding:
        """The finding that the table has first."""
        return min(self.findings, key=lambda finding: finding.line)

    @property
    def is_named(self) -> bool:
        """Whether the table says which image it is."""
        return bool(self.first.case)


def read_cbis_ddsm(
    root: Path,
    *,
    findings: Findings = "mass",
    mask_policy: MaskPolicy = "resize",
    on_progress: OnProgress | None = None,
) -> DataSet:
    """CBIS-DDSM from the folder it was downloaded to, in any of the ways in which it is passed on.

    Tables are looked for in the folder and up to two levels below, files in all of it. Headers of images and masks are
    read; pixels only where the headers can't tell image, mask and crop apart.

    Args:
        root: The folder with the tables (`mass_case_description_train_set.csv` and its like) and the images.
        findings: Which findings to use; the images of the others are left out in the ledger.
        mask_policy: What becomes of an image with a mask of another size: refused ("strict"), used with the mask
            brought to its size where the shape agrees ("resize"), or left out ("drop").
        on_progress: Called with the number of images looked at and their total.

    Returns:
        The samples that can be used, and a ledger with one row for each image of the tables (and for each row that
        names none).

    Raises:
        DatasetError: There is no table, or one that can't be used as a whole.
    """
    if not root.is_dir():
        msg = f"{root} is not a folder; name the folder that holds CBIS-DDSM"
        raise DatasetError(msg)
    tree = look_at(root)
    rows, notes = _read_tables(root, tree)
    cases = _group(rows)
    for case in cases:
        case.is_wanted = findings in {"both", case.first.table.kind}
        if not case.is_wanted:
            case.left_out.append(f"stands in a {case.first.table.kind} table, and only {findings} findings are used")
    wanted = [case for case in cases if case.is_wanted and not case.problems]
    _find_files(root, tree, wanted, mask_policy, on_progress)
    notes += [*tree.notes, *_layouts(wanted), *_shared_with_the_other_kind(cases), *_not_in_tables(tree, cases)]
    table = next(root / paths[0] for paths in tree.tables.values() if paths)
    source = read_source(root, beside=table, otherwise=SOURCE)
    return _dataset(root, cases, notes, _expectations(rows, findings), source)


def _read_tables(root: Path, tree: Tree) -> tuple[list[Finding], list[str]]:
    """The rows of all tables that were found.

    Raises:
        DatasetError: None was found, or two different ones of the same name.
    """
    rows: list[Finding] = []
    notes: list[str] = []
    missing: list[str] = []
    for table in TABLES:
        found = tree.tables.get(table.file_name, [])
        if not found:
            missing.append(table.file_name)
            continue
        paths = [root / path for path in found]
        if len(found) > 1 and len({_digest(path) for path in paths}) > 1:
            msg = f"{paths[0]} and {paths[1]} differ, expected one {table.file_name}; keep the one that you trust"
            raise DatasetError(msg)
        more, remarks = read_case_table(paths[0], table)
        rows += more
        notes += remarks
    if not rows and len(missing) < len(TABLES):
        msg = f"the tables below {root} have a header and no row; download them again"
        raise DatasetError(msg)
    if not rows:
        msg = f"{root} and two levels below hold none of {', '.join(missing)}; download the tables into it"
        raise DatasetError(msg)
    notes += [f"{name} was not found; its images are not known" for name in missing]
    return rows, notes


def _digest(path: Path) -> str:
    """A table's content in short.

    Raises:
        DatasetError: It can't be read.
    """
    try:
        return digest(path)
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}; check its permissions"
        raise DatasetError(msg) from error


def _group(rows: Sequence[Finding]) -> list[_Case]:
    """One case for each image, in the tables' order; a row that names no image is a case of its own."""
    cases: dict[str, _Case] = {}
    for row in rows:
        name = row.case or f"({row.table.file_name}, line {row.line})"
        case = cases.setdefault(name, _Case(name, []))
        twin = next((one for one in case.findings if one.number == row.number), None)
        if twin is None:
            case.findings.append(row)
            case.repairs += row.repairs
            case.problems += row.problems
        elif twin.cells == row.cells:
            case.repairs.append(f"line {row.line} repeats line {twin.line}; counted once")
        else:
            case.problems.append(f"lines {twin.line} and {row.line} contradict each other; delete one of them")
    for case in cases.values():
        case.findings.sort(key=lambda finding: finding.number)
    return list(cases.values())


def _find_files(
    root: Path, tree: Tree, cases: Sequence[_Case], policy: MaskPolicy, on_progress: OnProgress | None
) -> None:
    """Choose image and masks of each case, several cases at a time."""
    look_at_each(lambda case: _find(case, root, tree, policy), cases, on_progress)


def _find(case: _Case, root: Path, tree: Tree, policy: MaskPolicy) -> None:
    image = choose_image(root, case.name, tree.candidates(case.name, *(one.image_path for one in case.findings)))
    case.repairs += image.repairs
    if image.chosen is None:
        case.problems.append(image.problem)
        missing = [one for one in case.findings if not _candidates(tree, one)]
        if missing:
            case.problems.append(f"so are all files of {len(missing)} of its {len(case.findings)} masks")
        return
    case.image = image.chosen
    for finding in case.findings:
        mask = choose_mask(root, finding, image.chosen.shape, _candidates(tree, finding))
        case.repairs += mask.repairs
        if mask.chosen is None:
            case.problems.append(mask.problem)
            continue
        case.masks.append(mask.chosen)
        _judge_size(case, mask.chosen, policy, f"{finding.table.kind} {finding.number}")
    if len({mask.file.path for mask in case.masks}) < len(case.masks):
        case.problems.append("one file is the mask of several findings; download the folders again")
    if case.masks and len(case.masks) < len(case.findings):
        case.problems.append(
            f"only {len(case.masks)} of {len(case.findings)} masks are there, and the reference would be incomplete"
        )


def _candidates(tree: Tree, finding: Finding) -> tuple[FoundFile, ...]:
    return tree.candidates(finding.folder, finding.mask_path, finding.crop_path)


def _judge_size(case: _Case, mask: Sized, policy: MaskPolicy, what: str) -> None:
    if case.image is None or mask.shape == case.image.shape:
        return
    try:
        resized = resizing(mask.shape, case.image.shape)
    except ReadError as error:
        found = f"{what}: {error}"
        (case.left_out if policy == "drop" else case.problems).append(found)
        return
    found = (
        f"{what}: the mask has {mask.shape[0]} x {mask.shape[1]} pixels, "
        f"the image {case.image.shape[0]} x {case.image.shape[1]}"
    )
    if policy == "resize":
        case.repairs.append(f"{what}: {resized}")
    elif policy == "strict":
        case.problems.append(f"{found}, and the policy is strict; allow resizing")
    else:
        case.left_out.append(f"{found}, and the policy is drop")


def _layouts(cases: Sequence[_Case]) -> list[str]:
    """How the files that are used lie."""
    found: dict[str, int] = {}
    for case in cases:
        if case.image is not None:
            found[case.image.file.layout] = found.get(case.image.file.layout, 0) + 1
    if not found:
        return ["no image of the tables was found; name the folder that holds tables and images"]
    return [f"the layout is {layout}: {count} images were found so" for layout, count in sorted(found.items())]


def _shared_with_the_other_kind(cases: Sequence[_Case]) -> list[str]:
    """A remark on patients whose masses are on one side of the split and whose calcifications are on the other."""
    patients: dict[TableName, dict[str, list[str]]] = {table: {} for table in TABLES}
    for case in cases:
        if case.is_named:
            patients[case.first.table].setdefault(case.first.patient_id, []).append(case.name)
    notes = []
    pairs: tuple[tuple[Side, Side], ...] = (("train", "test"), ("test", "train"))
    for mass_side, calc_side in pairs:
        masses, calcifications = (
            patients[TableName("mass", mass_side)],
            patients[TableName("calcification", calc_side)],
        )
        shared = sorted(masses.keys() & calcifications.keys())
        if shared:
            images = ", ".join(name for patient in shared for name in masses[patient])
            notes.append(
                f"{len(shared)} patients of the mass {mass_side} set are in the calcification {calc_side} set; "
                f"don't train on both kinds together; mass images: {images}"
            )
    return notes


def _not_in_tables(tree: Tree, cases: Sequence[_Case]) -> list[str]:
    known = {case.name for case in cases} | {one.folder for case in cases for one in case.findings}
    others = sorted(tree.by_case.keys() - known)
    return [f"{len(others)} cases with files stand in no table, {others[0]} for one"] if others else []


def _expectations(rows: Sequence[Finding], findings: Findings) -> tuple[Expectation, ...]:
    expectations = []
    for table, published in _PUBLISHED.items():
        if findings not in {"both", table.kind}:
            continue
        ours = [row for row in rows if row.table == table]
        found = (len(ours), len({row.case for row in ours if row.case}), len({row.patient_id for row in ours} - {""}))
        kinds: dict[Kind, str] = {"mass": "masses", "calcification": "calcifications"}
        for what, expected, count in zip((kinds[table.kind], "images", "patients"), published, found, strict=True):
            if expected is not None:
                expectations.append(Expectation(f"{what} in the {table.kind} {table.side} table", expected, count))
    return tuple(expectations)


def _dataset(
    root: Path,
    cases: Sequence[_Case],
    notes: Sequence[str],
    expectations: tuple[Expectation, ...],
    source: Source | None,
) -> DataSet:
    samples = tuple(
        _sample(case, case.image, root)
        for case in cases
        if case.image is not None and not case.problems and not case.left_out
    )
    shared = {sample.case for sample in shared_between_sides(samples)}
    for case in cases:
        if case.name in shared:
            case.problems.append(SHARED_PATIENT)
    ledger = Ledger(tuple(_ledger_row(case) for case in cases), tuple(printable(note) for note in notes), expectations)
    return DataSet(root.resolve().name, root, samples, ledger, source)


def _ledger_row(case: _Case) -> LedgerRow:
    status: Status = "read"
    if case.problems and case.is_wanted:
        status = "refused"
    elif case.left_out:
        status = "left_out"
    elif case.repairs:
        status = "repaired"
    is_mass = case.is_named and case.first.table.kind == "mass"
    return LedgerRow(
        case=case.name,
        status=status,
        reason=printable("; ".join(case.left_out + case.problems + case.repairs)),
        line=case.first.line,
        n_masses=len(case.findings) if is_mass else None,
        image="" if case.image is None else printable(str(case.image.file.path)),
        rows=None if case.image is None else case.image.shape[0],
        columns=None if case.image is None else case.image.shape[1],
    )


def _sample(case: _Case, image: Sized, root: Path) -> Sample:
    first, every = case.first, case.findings
    return Sample(
        case=case.name,
        image_path=root / image.file.path,
        mask_paths=tuple(root / mask.file.path for mask in case.masks),
        patient_id=first.patient_id,
        split=first.table.side,
        laterality=first.laterality,
        view=first.view,
        properties=MassProperties(
            # The density is the breast's, one for all masses, unless the table contradicts itself.
            breast_density=";".join(dict.fromkeys(one.breast_density for one in every)),
            birads=_joined([one.birads for one in every]),
            pathology=_joined([one.pathology for one in every]),
            subtlety=_joined([one.subtlety for one in every]),
            mass_shape=_joined([one.mass_shape for one in every]),
            mass_margins=_joined([one.mass_margins for one in every]),
        ),
    )


def _joined(values: Sequence[str]) -> str:
    """The values of all masses in their order; "" where no mass has one."""
    return ";".join(values) if any(values) else ""

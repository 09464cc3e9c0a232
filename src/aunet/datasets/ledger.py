"""The ledger: for each row of a data set's table, whether it was read, repaired or refused, and why."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from aunet.errors import WriteError
from aunet.io.aside import write_text

Status = Literal["read", "repaired", "left_out", "refused"]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one row of the table, or of one image of a data set that has no such table.

    It names files, never a patient. `left_out` is what the user's own choice leaves out (another kind of finding, masks
    of another size by the policy `drop`); `refused` is what can't be used.
    """

    case: str
    """Name of the image inside its data set; "(line 7)" where the table names none that can be used."""
    status: Status
    reason: str = ""
    """Every repair, every reason to refuse and every remark, joined by "; "; empty where there is nothing to say."""
    line: int = 0
    """Line of the table, as a text editor counts: the header is line 1."""
    n_masses: int | None = None
    """Number of masses by the table; None where it says nothing."""
    image: str = ""
    """Path of the image below the data set's folder, "" where there is none."""
    rows: int | None = None
    """Height of the image as its file declares it; None where nothing was read."""
    columns: int | None = None
    bits_stored: int | None = None
    pixels_hash: str = ""
    """BLAKE2b of the image's pixels on the source grid, equal for equal images; "" where no pixel was read."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a data set should hold by its publication, and what was found."""

    what: str
    """What is counted, in words: "patients in the training split"."""
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """One row for each row of the table, in the table's order, and remarks on the table as a whole."""

    rows: tuple[LedgerRow, ...]
    notes: tuple[str, ...] = ()
    """What holds for the table as a whole (its delimiter, columns not used), one sentence each."""
    expectations: tuple[Expectation, ...] = ()
    """Counts of a published data set beside what was found; empty for one's own images."""

    @property
    def counts(self) -> dict[Status, int]:
        """Number of rows by status; their sum is the number of rows in the table."""
        found = Counter(row.status for row in self.rows)
        return {status: found[status] for status in get_args(Status)}

    def write(self, folder: Path) -> None:
        """Write `ledger.csv` (a line for each row) and `ledger.json` (counts, notes and rows).

        Args:
            folder: Where to write; made if it is missing.

        Raises:
            WriteError: The folder can't be made, or not be written to.
        """
        document = {
            "counts": self.counts,
            "expectations": [asdict(one) for one in self.expectations],
            "notes": self.notes,
            "rows": [asdict(row) for row in self.rows],
        }
        try:
            write_text(folder / "ledger.csv", _as_csv(self.rows))
            write_text(folder / "ledger.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            msg = f"{folder}: the ledger can't be written ({error.strerror}); name another folder"
            raise WriteError(msg) from error


def _as_csv(rows: Sequence[LedgerRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[field.name for field in fields(LedgerRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def printable(text: str) -> str:
    """The text with what is no valid character escaped: the name of a file may be any bytes, a ledger is text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

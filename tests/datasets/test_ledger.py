import csv
import json
from pathlib import Path

import pytest

from aunet.datasets.ledger import Expectation, Ledger, LedgerRow
from aunet.errors import WriteError

ROWS = (
    LedgerRow("images/a", "read", line=2),
    LedgerRow("images/b", "refused", 'the image "b", it says, is missing', line=3, n_masses=1, image="images/b.png"),
    LedgerRow("images/ü", "refused", "the image is missing", line=4),
)


def test_counts_name_every_status_and_add_up_to_the_rows() -> None:
    counts = Ledger(ROWS).counts

    assert counts == {"read": 1, "repaired": 0, "left_out": 0, "refused": 2}


def test_written_ledger_holds_every_row_in_both_files(tmp_path: Path) -> None:
    Ledger(ROWS, ("semicolons",), (Expectation("images", 3, 1),)).write(tmp_path / "out")

    with (tmp_path / "out" / "ledger.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    document = json.loads((tmp_path / "out" / "ledger.json").read_text("utf-8"))
    assert [line["status"] for line in lines] == ["read", "refused", "refused"]
    assert lines[1]["reason"] == ROWS[1].reason
    assert document["counts"] == {"read": 1, "repaired": 0, "left_out": 0, "refused": 2}
    assert document["notes"] == ["semicolons"]
    assert document["rows"][1] == {
        "case": "images/b",
        "status": "refused",
        "reason": ROWS[1].reason,
        "line": 3,
        "n_masses": 1,
        "image": "images/b.png",
        "rows": None,
        "columns": None,
        "bits_stored": None,
        "pixels_hash": "",
    }
    assert document["expectations"] == [{"what": "images", "expected": 3, "found": 1}]


def test_a_folder_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")

    with pytest.raises(WriteError, match="out: the ledger can't be written"):
        Ledger(ROWS).write(tmp_path / "out")


def test_writing_leaves_nothing_but_the_two_files(tmp_path: Path) -> None:
    Ledger(ROWS[:1]).write(tmp_path)
    Ledger(ROWS).write(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.csv", "ledger.json"]
    assert (tmp_path / "ledger.csv").read_text("utf-8").count("\n") == 4

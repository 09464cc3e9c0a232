"""Files that are whole or not there."""

import hashlib
from pathlib import Path

import pytest

from aunet.io.aside import digest, write_text, written_aside


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.txt"

    with written_aside(path) as aside:
        aside.write_text("half")
        seen_inside = path.exists()

    assert not seen_inside
    assert path.read_text() == "half"
    assert [entry.name for entry in path.parent.iterdir()] == ["result.txt"]


def test_a_block_that_fails_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("former")

    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half of it is no text \ud800")

    assert path.read_text() == "former"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.txt"]


def test_a_result_has_the_mode_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")

    write_text(tmp_path / "result", "text")

    assert (tmp_path / "result").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_the_digest_is_sha_256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)

    found = digest(tmp_path / "file")

    assert found == hashlib.sha256(content).hexdigest()

"""Results that appear under their name only when they are complete."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary file that takes the name `path` when the block ends well, and is gone when it does not.

    Folders on the way are made. A reader sees the former file or the whole new one, never a part; two processes that
    write the same name don't disturb each other.

    Args:
        path: The name in the end.

    Yields:
        The temporary file, empty, in the same folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        # mkstemp hides a file from everybody else; a result is as readable as any other file of its owner.
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) aside, then rename it.

    Args:
        path: File to write or to replace.
        text: Its content.
    """
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Args:
        path: File to read, in pieces.

    Returns:
        64 hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    """The process's mask for new files."""
    # There is no call that only reads it outside /proc, and setting it for a moment would race with other threads.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0o022
    for line in status.splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o022

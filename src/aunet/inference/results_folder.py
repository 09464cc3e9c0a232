"""The folder of the results: what lies where in it, that it is ours, and names that every file system takes."""

import hashlib
from pathlib import Path

from aunet.errors import WriteError
from aunet.io.aside import write_text

RECORDS = "records"
PICTURES = (("masks", "png"), ("overlays", "png"), ("seg", "dcm"))
"""Folders of the other files of a result, and their endings."""
RESULT_FOLDERS = frozenset({RECORDS} | {folder for folder, _ in PICTURES})

_MARK = "written-by-aunet-segment.txt"
_MARK_TEXT = "The folders masks, overlays, seg and records beside this file are kept by aunet segment.\n"
_RESULT_ENDINGS = frozenset({".json"} | {f".{ending}" for _, ending in PICTURES})
_LONGEST_PART = 200
"""Bytes of UTF-8 in one part of a name: file systems take 255, and an ending comes behind."""


def is_results_folder(folder: Path) -> bool:
    """Whether results of `segment_files` are kept in a folder.

    Args:
        folder: It need not exist.
    """
    return (folder / _MARK).is_file()


def claim_results_folder(out: Path) -> None:
    """Mark a folder as one of results, so that files in it may be replaced and removed.

    Args:
        out: The folder; made where it is missing.

    Raises:
        WriteError: Somebody else's folder of masks, say, lies there already.
    """
    # In this order: another run that begins at the same time writes the mark before it makes any folder.
    foreign = sorted(name for name in RESULT_FOLDERS if (out / name).exists())
    if is_results_folder(out):
        return
    if foreign:
        msg = (
            f"{out}: holds {', '.join(foreign)} that aunet segment did not write, and would write into; "
            "name another folder for the results"
        )
        raise WriteError(msg)
    write_text(out / _MARK, _MARK_TEXT)


def folder_part(name: str) -> str:
    """A folder's name as part of the name of a result; unlike the name of any file that is kept there.

    Args:
        name: Of a folder of the inputs.
    """
    return bounded(f"{name}_" if Path(name).suffix.lower() in _RESULT_ENDINGS else name, ending="")


def bounded(name: str, *, ending: str) -> str:
    """A name short enough for every file system; a hash tells apart what begins alike.

    Args:
        name: A file's or a folder's.
        ending: What it has to end with, if it is shortened.

    Returns:
        The name itself, unless it is too long.
    """
    written = name.encode()
    if len(written) <= _LONGEST_PART:
        return name
    kept = written[: _LONGEST_PART - 24].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(written).hexdigest()[:12]}{ending}"

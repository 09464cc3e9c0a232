"""Where the images of a data set come from, and on which terms: what weights made from them have to say."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from aunet.errors import DatasetError

SOURCE_NAME = "source.toml"
"""File beside the images that says it: `citation`, and `licence` where it is known."""
_KEYS = ("citation", "licence")


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of images."""

    citation: str
    """As their owners want it said."""
    licence: str = ""
    """Terms of the images; "" where they are not stated."""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.citation, self.licence)))


def read_source(root: Path, *, beside: Path | None = None, otherwise: Source | None = None) -> Source | None:
    """What `source.toml` in a data set's folder says.

    Args:
        root: The folder that was given.
        beside: A file below it, the data set's table say: its folder and those above come first.
        otherwise: What is known without that file.

    Returns:
        The source; `otherwise` where there is no such file.

    Raises:
        DatasetError: The file can't be read, or holds something else.
    """
    above = () if beside is None else [folder for folder in beside.parents if folder.is_relative_to(root)]
    path = next((folder / SOURCE_NAME for folder in (*above, root) if (folder / SOURCE_NAME).exists()), None)
    if path is None:
        return otherwise
    expected = 'expected lines such as citation = "our hospital, 2024" and licence = "not for release"'
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        msg = f"{path}: can't be read ({reason}); {expected}"
        raise DatasetError(msg) from error
    texts = {key: text.strip() for key, text in entries.items() if isinstance(text, str)}
    if set(entries) - set(_KEYS) or len(texts) < len(entries) or not texts.get("citation"):
        msg = f"{path}: holds {', '.join(sorted(entries)) or 'nothing'}; {expected}"
        raise DatasetError(msg)
    return Source(**texts)

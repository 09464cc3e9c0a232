"""A data set: its samples and its ledger."""

from dataclasses import dataclass
from pathlib import Path

from aunet.datasets.ledger import Ledger
from aunet.datasets.source import Source
from aunet.sample import Sample


@dataclass(frozen=True, slots=True)
class DataSet:
    """The samples of a data set that can be used, none of them read yet, and the ledger of all its rows.

    The rows of a patient on both sides of a split are refused in the ledger, yet their samples stay here: whoever
    asks for one split of such a set gets an error (`samples_of`), and only the set as a whole can be used.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    """In the order of the table."""
    ledger: Ledger
    source: Source | None = None
    """Where the images come from; None where nobody has said it."""

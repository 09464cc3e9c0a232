"""From what a user types, as `folder:PATH`, to a data set."""

from collections.abc import Callable
from pathlib import Path

from aunet.datasets.dataset import DataSet
from aunet.datasets.folder import read_folder
from aunet.datasets.split_file import read_splits, with_splits
from aunet.errors import DatasetError

_READERS: dict[str, Callable[[Path], DataSet]] = {"folder": read_folder}


def open_dataset(spec: str, *, splits: Path | None = None) -> DataSet:
    """The data set that a user means.

    Args:
        spec: The kind of data set and where it lies, as in "folder:PATH".
        splits: A file of splits that holds instead of the data set's own.

    Returns:
        Its samples and its ledger; no pixel has been read yet.

    Raises:
        DatasetError: There is no such kind, or the data set can't be used as a whole.
    """
    kind, colon, path = spec.partition(":")
    known = ", ".join(f"{name}:PATH" for name in _READERS)
    if not colon:
        msg = f"{spec!r} does not say what kind of data set it is; expected {known}; perhaps you mean folder:{spec}"
        raise DatasetError(msg)
    if kind not in _READERS:
        msg = f"{kind!r} is no known kind of data set; expected {known}"
        raise DatasetError(msg)
    if not path:
        msg = f"{spec!r} names no folder; expected {known}"
        raise DatasetError(msg)
    frozen = None if splits is None else read_splits(splits)
    dataset = _READERS[kind](Path(path))
    return dataset if frozen is None else with_splits(dataset, frozen)

"""From what a user types, as `cbis-ddsm:PATH`, to a data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from aunet.datasets.cbis_ddsm import Findings, MaskPolicy, read_cbis_ddsm
from aunet.datasets.dataset import DataSet
from aunet.datasets.folder import read_folder
from aunet.datasets.inbreast import read_inbreast
from aunet.datasets.side_by_side import OnProgress
from aunet.datasets.split_file import read_splits, with_splits
from aunet.errors import DatasetError


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of data set."""

    read: Callable[[Path, Mapping[str, str], OnProgress | None], DataSet]
    """From its folder, its options (every one of them given), and whom to tell how far it is."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values that each option can have, the default first."""


def _folder(root: Path, _: Mapping[str, str], on_progress: OnProgress | None) -> DataSet:
    return read_folder(root, on_progress=on_progress)


def _cbis_ddsm(root: Path, options: Mapping[str, str], on_progress: OnProgress | None) -> DataSet:
    findings: dict[str, Findings] = {word: word for word in get_args(Findings)}
    policies: dict[str, MaskPolicy] = {word: word for word in get_args(MaskPolicy)}
    chosen, policy = findings[options["findings"]], policies[options["masks"]]
    return read_cbis_ddsm(root, findings=chosen, mask_policy=policy, on_progress=on_progress)


def _inbreast(root: Path, options: Mapping[str, str], on_progress: OnProgress | None) -> DataSet:
    return read_inbreast(root, only_with_mass=options["images"] == "mass", on_progress=on_progress)


_KINDS: dict[str, _Kind] = {
    "folder": _Kind(_folder),
    "cbis-ddsm": _Kind(
        _cbis_ddsm, {"findings": ("mass", "calcification", "both"), "masks": ("resize", "strict", "drop")}
    ),
    "inbreast": _Kind(_inbreast, {"images": ("mass", "all")}),
}


def open_dataset(spec: str, *, splits: Path | None = None, on_progress: OnProgress | None = None) -> DataSet:
    """The data set that a user means.

    Args:
        spec: The kind of data set, its options, and where it lies: "folder:PATH", "inbreast:PATH",
            "cbis-ddsm,findings=both,masks=strict:PATH".
        splits: A file of splits that holds instead of the data set's own.
        on_progress: Called with the number of images whose headers were read, and their total.

    Returns:
        Its samples and its ledger; no pixel has been read yet, save where headers can't tell an image from its mask.

    Raises:
        DatasetError: There is no such kind or option, or the data set can't be used as a whole.
    """
    words, colon, path = spec.partition(":")
    name, *settings = words.split(",")
    known = ", ".join(f"{kind}:PATH" for kind in _KINDS)
    if not colon:
        msg = f"{spec!r} does not say what kind of data set it is; expected {known}; perhaps you mean folder:{spec}"
        raise DatasetError(msg)
    if name not in _KINDS:
        msg = f"{name!r} is no known kind of data set; expected {known}"
        raise DatasetError(msg)
    if not path:
        msg = f"{spec!r} names no folder; expected {known}"
        raise DatasetError(msg)
    kind = _KINDS[name]
    options = _chosen(name, kind.options, settings)
    frozen = None if splits is None else read_splits(splits)
    dataset = kind.read(Path(path), options, on_progress)
    return dataset if frozen is None else with_splits(dataset, frozen)


def _chosen(name: str, known: Mapping[str, tuple[str, ...]], settings: list[str]) -> dict[str, str]:
    """Every option of a kind of data set, those given and the defaults of the others.

    Raises:
        DatasetError: An option or its value is not known.
    """
    chosen = {option: values[0] for option, values in known.items()}
    for setting in settings:
        option, _, value = setting.partition("=")
        if value not in known.get(option, ()):
            expected = ", ".join(f"{one}={'|'.join(values)}" for one, values in known.items()) or "none"
            msg = f"{setting!r} is no option of {name}; expected {expected}"
            raise DatasetError(msg)
        chosen[option] = value
    return chosen

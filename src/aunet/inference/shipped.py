"""Models that come with this package: exported bundles in `aunet/weights`, each known by the name of its file."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from aunet.errors import CheckpointError
from aunet.inference.backends.onnxruntime import OnnxBackend
from aunet.io.aside import digest
from aunet.io.download import fetch, is_address

FOLDER = Path(__file__).parents[1] / "weights"
DEFAULT = "cbis-ddsm-lite0-3"
"""Name of the model that is used where none is asked for."""


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model that comes with this package, and what its card says of it."""

    name: str
    is_default: bool
    path: Path
    sha256: str
    size_bytes: int
    network: str
    data_source: str
    licence: str
    trained: str
    """ISO date."""
    threshold: float
    """Probability from which a pixel counts as mass."""
    notes: str


def shipped_names() -> tuple[str, ...]:
    """Names of the models that come with this package, sorted; none in a broken installation."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.onnx")))


def shipped_models() -> tuple[ShippedModel, ...]:
    """The models that come with this package, sorted by name.

    Returns:
        At least one; a damaged bundle is a `CheckpointError`, like everything else that keeps the default from use.
    """
    default_weights()
    return tuple(_described(name) for name in shipped_names())


def default_weights() -> Path:
    """The bundle that is used where none is asked for.

    Returns:
        An existing file.

    Raises:
        CheckpointError: The installation lacks it.
    """
    path = _path(DEFAULT)
    if not path.is_file():
        msg = (
            f"{path}: this installation lacks the weights that ship with aunet; install it again"
            " (pip install --force-reinstall --no-deps aunet), or give weights of your own"
        )
        raise CheckpointError(msg)
    return path


def resolve_weights(text: str) -> Path:
    """The file of weights that a user means.

    Args:
        text: An address (`https://...#sha256=...`, fetched and kept, see `aunet.io.download`), else a file, else the
            name of a model that comes with this package. A file wins over a model of the same name.

    Returns:
        An existing file; an address that can't be used is a `DownloadError`.

    Raises:
        CheckpointError: It is none of the three.
    """
    if is_address(text):
        return fetch(text)
    if Path(text).is_file():
        return Path(text)
    names = shipped_names()
    if text in names:
        return _path(text)
    near = get_close_matches(text, names, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    msg = (
        f"{text}: no such file, and no model of that name ships with aunet{meant}; give a checkpoint of aunet train, a"
        f" bundle of aunet export, https://...#sha256=..., or one of: {', '.join(names) or 'none here'}"
    )
    raise CheckpointError(msg)


def _path(name: str) -> Path:
    return FOLDER / f"{name}.onnx"


def _described(name: str) -> ShippedModel:
    """A model as its bundle describes it."""
    path = _path(name)
    card = OnnxBackend(path, threads=1).card
    return ShippedModel(
        name=name,
        is_default=name == DEFAULT,
        path=path,
        sha256=digest(path),
        size_bytes=path.stat().st_size,
        network=str(card.network),
        data_source=card.data_source,
        licence=card.licence,
        trained=card.trained,
        threshold=card.threshold,
        notes=card.notes,
    )

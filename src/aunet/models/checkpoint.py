"""A trained network in one safetensors file: its weights, and the model card in the file's metadata."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from aunet.errors import CheckpointError
from aunet.models.bundle import read_bundle
from aunet.models.card import CARD_KEY, ModelCard, NetworkSettings, card_of
from aunet.models.factory import blank_network
from aunet.models.file_kind import is_checkpoint, may_be_bundle

DIGEST_KEY = "aunet.weights_sha256"
# One entry only: safetensors writes several in any order, and equal networks should give equal files.
ENTRY = "aunet"


def save_checkpoint(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write a network and its card as one file, whole or not at all.

    Args:
        path: The file to write; an existing one is replaced.
        network: The network, on any device and in any memory format.
        card: Its card.

    Raises:
        ValueError: The network is not the one that the card's settings build.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if difference := _difference(weights, _expected(card.network)):
        msg = f"the network is not the {card.network.name!r} that its card describes: {difference}"
        raise ValueError(msg)
    metadata = json.dumps({CARD_KEY: card.to_json(), DIGEST_KEY: _digest(weights)}, sort_keys=True)
    write_whole(path, save(weights, metadata={ENTRY: metadata}))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside, then rename it: a reader sees the former file or the whole new one.

    Args:
        path: The file to write; an existing one is replaced.
        content: Its bytes.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> tuple[nn.Module, ModelCard]:
    """The network in a checkpoint or a bundle, ready for use on the CPU, and its card.

    Args:
        path: A file that `save_checkpoint` or `export_onnx` wrote.

    Returns:
        The network in evaluation mode, and its card.

    Raises:
        CheckpointError: The file is damaged, of another kind, or its weights don't fit its card.
    """
    if _is_bundle(path):
        return _load_bundle(path)
    metadata = _metadata(path)
    card = card_of(metadata, path=path)
    with _of_usable_card(path):
        weights = load(path.read_bytes())
        # Before the network takes memory: a card from elsewhere may ask for any size. Only networks with an encoder of
        # timm, and those of others, take it here already.
        expected = _expected(card.network)
    if difference := _difference(weights, expected):
        msg = f"{path}: its weights don't fit the network {card.network.name!r} of its model card: {difference}"
        raise CheckpointError(msg)
    if metadata.get(DIGEST_KEY) != _digest(weights):
        msg = f"{path}: the weights are not those that were written; take another copy"
        raise CheckpointError(msg)
    network = blank_network(card.network)
    network.load_state_dict(weights, assign=True)
    return network.eval(), card


def copy_with_card(path: Path, out: Path, card: ModelCard) -> None:
    """Write a checkpoint's weights, to the bit, beside another card.

    Args:
        path: A file that `save_checkpoint` wrote.
        out: The file to write, whole or not at all; an existing one is replaced.
        card: The card of the copy, of the same network; `CheckpointError` if the file can't be used.
    """
    network, _ = load_checkpoint(path)
    save_checkpoint(out, network, card)


def read_card(path: Path) -> ModelCard:
    """The card of a checkpoint or a bundle.

    Args:
        path: A file that `save_checkpoint` or `export_onnx` wrote.

    Returns:
        The card; a file that is damaged or of another kind is a `CheckpointError`.
    """
    if _is_bundle(path):
        return card_of(read_bundle(path)[1], path=path)
    return card_of(_metadata(path), path=path)


@contextmanager
def _of_usable_card(path: Path) -> Iterator[None]:
    """A block that reads weights, or builds the network that a card asks for.

    Raises:
        CheckpointError: There can be no such network, or no such weights.
    """
    try:
        yield
    except (SafetensorError, ValueError, RuntimeError, TypeError, OverflowError, KeyError, OSError) as error:
        msg = f"{path}: the checkpoint can't be used ({error}); take another copy"
        raise CheckpointError(msg) from error


def _load_bundle(path: Path) -> tuple[nn.Module, ModelCard]:
    """The network in a bundle and its card.

    Raises:
        CheckpointError: The weights don't fit the card.
    """
    weights, metadata = read_bundle(path)
    card = card_of(metadata, path=path)
    with _of_usable_card(path):
        network = blank_network(card.network)
    expected = network.state_dict()
    # Batches are counted in training only, and no graph has the count.
    counts = {name: torch.zeros_like(tensor, device="cpu") for name, tensor in expected.items() if _is_count(name)}
    weights |= counts
    if difference := _difference(weights, expected):
        msg = f"{path}: its weights don't fit the network {card.network.name!r} of its model card: {difference}"
        raise CheckpointError(msg)
    network.load_state_dict(weights, assign=True)
    return network.eval(), card


def _is_bundle(path: Path) -> bool:
    return path.is_file() and not is_checkpoint(path) and may_be_bundle(path)


def _is_count(name: str) -> bool:
    """Whether an entry counts the batches that a batch normalisation has seen."""
    return name.endswith(".num_batches_tracked")


def _metadata(path: Path) -> dict[str, str]:
    """What `save_checkpoint` wrote into the header of a safetensors file; empty for a file of others.

    Raises:
        CheckpointError: There is no such file, or it is no safetensors file.
    """
    if not path.is_file():
        msg = f"{path}: no such checkpoint file"
        raise CheckpointError(msg)
    try:
        with safe_open(path, framework="np") as opened:
            entry = json.loads((opened.metadata() or {}).get(ENTRY, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        msg = f"{path}: not a whole safetensors file ({error}); give a checkpoint of aunet train, or take another copy"
        raise CheckpointError(msg) from error
    return {key: str(value) for key, value in entry.items()} if isinstance(entry, dict) else {}


def _expected(settings: NetworkSettings) -> dict[str, Tensor]:
    """Weights of the network that settings describe, for their names, shapes and types."""
    return blank_network(settings).state_dict()


def _difference(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> str:
    """The first difference in names, shapes or types, in words; "" where there is none."""
    for name in sorted(weights.keys() ^ expected.keys()):
        return f"{name} is {'missing' if name in expected else 'not part of it'}"
    for name, tensor in weights.items():
        found, wanted = (tuple(tensor.shape), tensor.dtype), (tuple(expected[name].shape), expected[name].dtype)
        if found != wanted:
            return f"{name} is {found[1]} {found[0]} where {wanted[1]} {wanted[0]} is expected"
    return ""


def _digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 of all weights in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].numpy().tobytes())
    return digest.hexdigest()

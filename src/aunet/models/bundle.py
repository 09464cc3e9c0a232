"""The weights in an exported bundle, by the names that the network gives them: training can go on from there."""

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from aunet.errors import CheckpointError

PREFIX = "network."
"""What the exported module calls the network inside it."""


def read_bundle(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights in a bundle, in 32 bits, and its metadata.

    Args:
        path: A file that `export_onnx` wrote.

    Returns:
        Weights and batch statistics by their names in the network, and the metadata by their keys.

    Raises:
        CheckpointError: The file is damaged, or holds no weights by name, as bundles of earlier versions do not.
    """
    try:
        model = onnx.load(path)
        weights = {
            stored.name.removeprefix(PREFIX): _widened(onnx.numpy_helper.to_array(stored))
            for stored in model.graph.initializer
            if stored.name.startswith(PREFIX)
        }
    except Exception as error:  # protobuf's own, whose package has no annotations
        msg = f"{path}: not a whole ONNX file ({error}); take another copy, or export the checkpoint again"
        raise CheckpointError(msg) from error
    if not weights:
        msg = f"{path}: holds no weights by the network's names; export the checkpoint again, or give the checkpoint"
        raise CheckpointError(msg)
    return weights, {entry.key: entry.value for entry in model.metadata_props}


def _widened(values: np.ndarray) -> Tensor:
    """A copy, in 32 bits where it was stored in 16."""
    return torch.from_numpy(values.astype(np.float32 if values.dtype == np.float16 else values.dtype))

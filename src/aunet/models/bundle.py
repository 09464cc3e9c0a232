"""The weights in an exported bundle, by the names that the network gives them: training can go on from there.

Weights that have rows and columns may be stored in 16 bits, or in 8 with a scale for each of their first axis.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from aunet.errors import CheckpointError

PREFIX = "network."
"""What the exported module calls the network inside it."""
SCALE = ":scale"
"""What a weight of 8 bits and its scale differ by in name."""
Bits = Literal[32, 16, 8]
Weights = Shaped[np.ndarray, "out ..."]
Scale = Float32[np.ndarray, "out ..."]
_NEGLIGIBLE = 1e-30
"""Weights of no more than this are none: a scale for them would leave the range of 32 bits."""


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
        stored = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        weights = {
            name.removeprefix(PREFIX): torch.from_numpy(widened(values, stored.get(name + SCALE)))
            for name, values in stored.items()
            if name.startswith(PREFIX) and not name.endswith(SCALE)
        }
    except Exception as error:  # protobuf's own, whose package has no annotations
        msg = f"{path}: not a whole ONNX file ({error}); take another copy, or export the checkpoint again"
        raise CheckpointError(msg) from error
    if not weights:
        msg = f"{path}: holds no weights by the network's names; export the checkpoint again, or give the checkpoint"
        raise CheckpointError(msg)
    return weights, {entry.key: entry.value for entry in model.metadata_props}


def narrowed(weights: Weights, bits: Bits) -> tuple[Weights, Scale | None]:
    """The nearest values that fewer bits can hold.

    Args:
        weights: Of 32 bits, with two axes or more.
        bits: Of each value.

    Returns:
        The values, and with 8 bits what they are multiplied by to give the weights: one scale for each of the first
        axis, so that the largest becomes 127 (else None). Narrowing what `widened` gives gives the same again.
    """
    if bits == 32:
        return weights, None
    if bits == 16:
        return weights.astype(np.float16), None
    largest = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True)
    # Of 16 binary digits, so that all products with up to 127 are exact in 32 bits.
    digits, exponent = np.frexp(np.where(largest > _NEGLIGIBLE, largest, 1) / 127)
    scale = np.ldexp(np.ceil(np.ldexp(digits, 16)), exponent - 16).astype(np.float32)
    return np.round(weights / scale).astype(np.int8), scale


def widened(stored: Weights, scale: Scale | None) -> Weights:
    """What `narrowed` made less of, in 32 bits again.

    Args:
        stored: What stands in the bundle; values other than those of `narrowed` are copied as they are.
        scale: The scale that stands beside them; None for all but 8 bits.

    Returns:
        The weights.
    """
    wide: np.ndarray = stored.astype(np.float32 if scale is not None or stored.dtype == np.float16 else stored.dtype)
    return wide if scale is None else wide * scale

"""What kind of weights a file holds, by its first bytes."""

from pathlib import Path

_SAFETENSORS_LENGTH_BYTES = 8


def is_checkpoint(weights: Path) -> bool:
    """Whether a file is in the safetensors format: the length of a JSON header, then that header.

    Args:
        weights: An existing file.

    Returns:
        True for safetensors.
    """
    with weights.open("rb") as file:
        start = file.read(_SAFETENSORS_LENGTH_BYTES + 1)
    length = int.from_bytes(start[:_SAFETENSORS_LENGTH_BYTES], "little")
    return start[_SAFETENSORS_LENGTH_BYTES:] == b"{" and length <= weights.stat().st_size - _SAFETENSORS_LENGTH_BYTES


def may_be_bundle(weights: Path) -> bool:
    """Whether a file starts as ONNX models do: field 1, the version of the format, as a small integer.

    Args:
        weights: An existing file.

    Returns:
        True for ONNX, and for whatever else begins so.
    """
    with weights.open("rb") as file:
        start = file.read(2)
    return len(start) == 2 and start[0] == 0x08 and 0 < start[1] < 0x80

"""Checkpoints on PyTorch, on the CPU or a GPU."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import torch

from aunet.inference.backends.backend import Images, Probabilities, require_prepared
from aunet.models.card import ModelCard
from aunet.models.checkpoint import load_checkpoint
from aunet.models.device import find_device, place
from aunet.models.encoder_decoder import mass_probability

Precision = Literal["float32", "bfloat16", "float16"]


class TorchBackend:
    """A checkpoint that `aunet train` wrote, ready to run."""

    def __init__(self, path: Path, device: str = "auto", *, precision: Precision = "float32") -> None:
        """Load the checkpoint.

        Args:
            path: The ".safetensors" file.
            device: "auto", "cpu", "cuda", "cuda:1" or "mps"; a device that is not there is a `ValueError`.
            precision: Of the convolutions; half precision is for NVIDIA GPUs and moves the probabilities a little.

        Raises:
            ValueError: Half precision is asked for where it isn't offered.
        """
        self._device = find_device(device)
        if precision != "float32" and self._device.type != "cuda":
            msg = f"precision {precision} is for NVIDIA GPUs; on {self._device.type!r} take float32"
            raise ValueError(msg)
        self._precision = precision
        network, self._card = load_checkpoint(path)
        self._network = place(network, self._device)

    @property
    def card(self) -> ModelCard:
        """What the network says of itself."""
        return self._card

    @torch.inference_mode()
    def probability(self, images: Images) -> Probabilities:
        """Probability of mass.

        Args:
            images: Prepared images, of the size in the card's preprocessing.

        Returns:
            For every pixel of every image; images of another size are a `ValueError`.
        """
        require_prepared(images, self._card)
        # A copy: prepared images may be memory-mapped and read-only, which PyTorch's views are not.
        batch = torch.tensor(images).to(self._device, memory_format=torch.channels_last)
        with self._autocast():
            logits = self._network(batch)
        probability: Probabilities = mass_probability(logits.float(), temperature=self._card.temperature).cpu().numpy()
        return probability

    def _autocast(self) -> AbstractContextManager[object]:
        """The context that runs convolutions in half precision, or one that does nothing."""
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=getattr(torch, self._precision))

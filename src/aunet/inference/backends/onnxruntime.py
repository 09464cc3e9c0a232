"""Bundles on ONNX Runtime; no PyTorch is imported, none needed."""

from pathlib import Path

import numpy as np
import onnxruntime

from aunet.errors import CheckpointError
from aunet.inference.backends.backend import Images, Probabilities, require_prepared
from aunet.models.card import ModelCard, card_of
from aunet.models.parity import (
    BATCHES,
    MAX_DIFFERING_SHARE,
    PARITY_KEY,
    Agreement,
    Parity,
    agreement,
    on_lattice,
    parity_images,
)

INPUT = "images"
OUTPUT = "probability"
# ONNX Runtime writes to the standard error by itself; what it finds comes back as an exception all the same.
FATAL_ONLY = 4


class OnnxBackend:
    """A bundle that `aunet export` wrote, ready to run on the CPU."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Load the bundle.

        Args:
            path: The ".onnx" file.
            threads: Threads for one image; None takes one for each core.

        Raises:
            CheckpointError: The file is damaged, or no bundle of ours.
        """
        if not path.is_file():
            msg = f"{path}: no such bundle file"
            raise CheckpointError(msg)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = FATAL_ONLY
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # its exceptions have no common parent but this
            msg = f"{path}: not a whole ONNX file ({error}); take another copy, or export the checkpoint again"
            raise CheckpointError(msg) from error
        self._card = card_of(metadata, path=path)
        self._metadata = metadata
        self._path = path
        self._require_interface()

    @property
    def card(self) -> ModelCard:
        """What the network says of itself."""
        return self._card

    @property
    def parity(self) -> Parity:
        """The proof in the bundle.

        Raises:
            CheckpointError: There is none, or it is incomplete.
        """
        if PARITY_KEY not in self._metadata:
            msg = f"{self._path}: holds no parity proof; export the checkpoint again"
            raise CheckpointError(msg)
        return Parity.from_json(self._metadata[PARITY_KEY])

    def probability(self, images: Images) -> Probabilities:
        """Probability of mass.

        Args:
            images: Prepared images, of the size in the card's preprocessing.

        Returns:
            For every pixel of every image; images of another size are a `ValueError`.
        """
        require_prepared(images, self._card)
        if not len(images):
            return np.zeros((0, *images.shape[2:]), np.float32)
        probability: Probabilities = self._session.run([OUTPUT], {INPUT: images})[0]
        return probability

    def _require_interface(self) -> None:
        """Check that the graph takes and gives what the card says.

        Raises:
            CheckpointError: It doesn't.
        """
        _, rows, columns = shape = self._card.input_shape
        ends = [
            [(end.name, end.type, tuple(end.shape[1:])) for end in side]
            for side in (self._session.get_inputs(), self._session.get_outputs())
        ]
        kind = "tensor(float)"
        if ends != [[(INPUT, kind, shape)], [(OUTPUT, kind, (rows, columns))]]:
            msg = f"{self._path}: the graph takes and gives {ends}, unlike its model card; export the checkpoint again"
            raise CheckpointError(msg)


def verify_bundle(path: Path, *, threads: int | None = None) -> Agreement:
    """Repeat the parity proof of a bundle on this machine, without PyTorch.

    Args:
        path: The ".onnx" file.
        threads: Threads for one image; None takes one for each core.

    Returns:
        How well this machine agrees with what PyTorch computed when the bundle was written.

    Raises:
        CheckpointError: The bundle is damaged, or doesn't compute what it computed then.
    """
    backend = OnnxBackend(path, threads)
    parity = backend.parity
    images = parity_images(backend.card.input_shape)
    found = np.concatenate([backend.probability(images[batch]) for batch in BATCHES])
    lattice = on_lattice(found)
    if lattice.shape != parity.samples.shape:
        msg = f"{path}: the parity proof has samples of {parity.samples.shape}; expected {lattice.shape}"
        raise CheckpointError(msg)
    seen = agreement(parity.samples, lattice, threshold=backend.card.threshold)
    mass_pixels = (found >= backend.card.threshold).sum(axis=(1, 2))
    more_or_less = int(np.abs(mass_pixels - np.array(parity.mass_pixels)).sum())
    if (complaint := seen.complaint()) or more_or_less > MAX_DIFFERING_SHARE * found.size:
        reason = complaint or f"{more_or_less} mask pixels more or less"
        msg = f"{path}: computes something else than when it was written: {reason}; take another copy, or export again"
        raise CheckpointError(msg)
    return seen

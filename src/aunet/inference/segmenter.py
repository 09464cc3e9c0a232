"""From a mammogram to the masses on its own pixels, with a checkpoint or an exported bundle."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cc3d
import numpy as np
from jaxtyping import Bool, Float32

from aunet.errors import CheckpointError
from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.inference.backends.onnxruntime import OnnxBackend
from aunet.inference.masses import Mass, find_masses
from aunet.inference.training_images import training_images
from aunet.inference.variations import VariedBackend
from aunet.io.aside import digest
from aunet.metrics.detection import keep_regions
from aunet.models.card import Flips, ModelCard, Scales
from aunet.models.file_kind import is_checkpoint, may_be_bundle
from aunet.preprocessing.grid import Grid
from aunet.preprocessing.pipeline import Prepared, Preprocessing, prepare
from aunet.sample import Mammogram, Mask2D

# On another grid than the mask beside it; `sample.Probability` would have to share its size.
ModelProbability = Float32[np.ndarray, "model_h model_w"]
ModelMask = Bool[np.ndarray, "model_h model_w"]

_TRAIN_EXTRA_MODULES = frozenset({"torch", "safetensors"})


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The masses of one mammogram."""

    mask: Mask2D
    """On the source grid."""
    probability: ModelProbability
    """On the model grid."""
    grid: Grid
    masses: tuple[Mass, ...]
    """Measured on the source grid, by the first pixel of each in reading order."""
    notes: tuple[str, ...] = ()
    """What preprocessing could not do as asked, one sentence each."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file that weights were read from."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Segmenter:
    """A loaded network, or an ensemble (see `ensemble`), with its own preprocessing and threshold."""

    backend: Backend
    preprocessing: Preprocessing
    files: tuple[WeightsFile, ...] = ()
    """Where the weights come from: one file, or one a member of the ensemble; empty where there is none."""
    flips: Flips = "none"
    """How each image is turned over as well."""
    scales: Scales = ()
    """At which scales each image is looked at as well."""

    @classmethod
    def of(cls, backend: Backend, *, files: tuple[WeightsFile, ...] = ()) -> "Segmenter":
        """A segmenter that runs a given backend.

        Args:
            backend: What runs the network.
            files: Where its weights were read from.

        Returns:
            The segmenter.

        Raises:
            CheckpointError: The card's preprocessing is not of this version.
        """
        try:
            preprocessing = Preprocessing.from_json(backend.card.preprocessing)
        except ValueError as error:
            msg = f"the model card's preprocessing can't be used: {error}; it may come from another version of aunet"
            raise CheckpointError(msg) from error
        return cls(backend, preprocessing, files)

    @classmethod
    def load(
        cls,
        weights: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        flips: Flips | None = None,
        scales: Scales | None = None,
    ) -> "Segmenter":
        """The segmenter in a file; its content decides what runs it, not its name.

        Args:
            weights: A checkpoint of `aunet train` (needs PyTorch) or a bundle of `aunet export` (needs none).
            device: `auto`, `cpu`, or a device of PyTorch such as `cuda`, on which PyTorch runs a bundle's weights too.
            threads: Processor threads for a bundle; None takes all.
            flips: How each image is turned over as well; None for what the card says.
            scales: At which scales each image is looked at as well; None for what the card says.

        Returns:
            The segmenter; a file that is missing or neither of the two is a `CheckpointError`.
        """
        is_torch = _is_torch(weights) or device not in {"auto", "cpu"}
        # The digest of 300 MB takes as long as a third of loading them; meanwhile is free.
        with ThreadPoolExecutor(1) as meanwhile:
            sha256 = meanwhile.submit(digest, weights)
            backend = _torch_backend(weights, device=device) if is_torch else OnnxBackend(weights, threads=threads)
            return cls.of(backend, files=(WeightsFile(weights.name, sha256.result()),)).varying(flips, scales)

    def varying(self, flips: Flips | None, scales: Scales | None) -> "Segmenter":
        """This segmenter on images turned over and at other scales as well.

        Args:
            flips: How each image is turned over; None for what the card says.
            scales: At which scales besides its own each image is looked at, each way it is turned; None for what the
                card says.

        Returns:
            The segmenter; its probability is the mean of those of the image and of its variations.
        """
        flips = self.card.flips if flips is None else flips
        scales = self.card.scales if scales is None else scales
        if flips == "none" and not scales:
            return self
        return replace(self, backend=VariedBackend(self.backend, flips, scales), flips=flips, scales=scales)

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights' file; those of an ensemble joined by ";"; "" where there is no file."""
        return ";".join(file.sha256 for file in self.files)

    @property
    def card(self) -> ModelCard:
        """What the weights say of themselves."""
        return self.backend.card

    @property
    def threshold(self) -> float:
        """Probability from which a pixel counts as mass."""
        return self.card.threshold

    @property
    def matches_intensity(self) -> bool:
        """Whether the grey values of each image are matched to those of the training images."""
        return self.preprocessing.reference_quantiles is not None

    def matching_intensity(self) -> "Segmenter":
        """This segmenter, with the grey values within each breast matched to those of the training images.

        An ensemble matches to the training images of its first network, whose card it carries.

        Returns:
            The segmenter; as it is where its recipe matches them already. A card without a record of the training
            images is a `CheckpointError`.
        """
        if self.matches_intensity:
            return self
        reference = training_images(self.card).grey
        return replace(self, preprocessing=replace(self.preprocessing, reference_quantiles=reference))

    def probability(self, images: Images) -> Probabilities:
        """Probability of mass, model grid.

        Args:
            images: Prepared images, each the `image` of a `Prepared`.

        Returns:
            Values in [0, 1].
        """
        return self.backend.probability(images)

    def prepare(self, mammogram: Mammogram) -> Prepared:
        """The network's input made from a mammogram, as in training.

        Args:
            mammogram: What was read.

        Returns:
            The input and the way back.
        """
        return prepare(mammogram.image, self.preprocessing)

    def finish(self, mammogram: Mammogram, prepared: Prepared, probability: ModelProbability) -> Segmentation:
        """The masses on the source grid, from the probability on the model grid.

        The probability goes back to the source pixels, bilinear between model pixel centres, and is cut at the
        threshold there, so that outlines are smooth and lengths not multiples of a model pixel. A region so small that
        no source pixel reaches the threshold comes back as the model pixels that do: none is lost on the way. Only then
        are the regions dropped that the card's operating point leaves out.

        Args:
            mammogram: What was read.
            prepared: What `prepare` gave.
            probability: What `probability` gave for it.

        Returns:
            Mask, probability and masses.
        """
        at_source = prepared.grid.to_source_probability(probability)
        mask = at_source >= self.threshold
        mask |= _vanished(mask, probability >= self.threshold, prepared.grid)
        mask = keep_regions(
            mask,
            at_source,
            smallest_px=self.card.smallest_mass_px * prepared.grid.source_px_per_model_px,
            lowest_score=self.card.lowest_score,
        )
        masses = find_masses(mask, at_source, spacing_mm=mammogram.spacing_mm)
        return Segmentation(mask, probability, prepared.grid, masses, prepared.notes)

    def segment(self, mammogram: Mammogram) -> Segmentation:
        """The masses of one mammogram.

        Args:
            mammogram: What was read.

        Returns:
            Mask, probability and masses.
        """
        prepared = self.prepare(mammogram)
        return self.finish(mammogram, prepared, self.probability(prepared.image[np.newaxis])[0])


def load_card(weights: Path) -> ModelCard:
    """The card in a file of weights; a checkpoint's weights are left alone.

    Args:
        weights: A checkpoint of `aunet train` (needs PyTorch) or a bundle of `aunet export` (needs none).

    Returns:
        The card; a file that is missing or of another kind is a `CheckpointError`.
    """
    if not _is_torch(weights):
        return OnnxBackend(weights).card
    with _pytorch_needed(weights):
        from aunet.models.checkpoint import read_card  # noqa: PLC0415 - as in _torch_backend
    return read_card(weights)


def _is_torch(weights: Path) -> bool:
    """Whether a file is a checkpoint; else it is a bundle.

    Raises:
        CheckpointError: The file is missing, or is neither of the two.
    """
    if not weights.is_file():
        msg = f"{weights}: no such file; give a checkpoint of aunet train or a bundle of aunet export"
        raise CheckpointError(msg)
    is_torch = is_checkpoint(weights)
    if not (is_torch or may_be_bundle(weights)):
        msg = f"{weights}: neither a checkpoint (safetensors) nor a bundle (ONNX); give one of the two"
        raise CheckpointError(msg)
    return is_torch


def _torch_backend(weights: Path, *, device: str) -> Backend:
    """The backend that runs a checkpoint."""
    with _pytorch_needed(weights):
        # Inside the function, as nowhere else: using a bundle must need no PyTorch, neither installed nor imported.
        from aunet.inference.backends.torch import TorchBackend  # noqa: PLC0415 - see above
    return TorchBackend(weights, device)


@contextmanager
def _pytorch_needed(weights: Path) -> Iterator[None]:
    """Say what to do where an import of PyTorch fails.

    Raises:
        CheckpointError: PyTorch is not installed.
        ModuleNotFoundError: Something else is not.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _TRAIN_EXTRA_MODULES:
            raise
        msg = (
            f"{weights}: a checkpoint, and any device but the processor, needs PyTorch, which is not installed; "
            "pip install 'aunet[train]', or run a bundle of aunet export on the processor"
        )
        raise CheckpointError(msg) from error


def _vanished(mask: Mask2D, found: ModelMask, grid: Grid) -> Mask2D:
    """Those regions of a model mask that have no pixel in a source mask, on the source grid."""
    labels, count = cc3d.connected_components(found.view(np.uint8), connectivity=8, return_N=True)
    if count == 0:
        return np.zeros_like(mask)
    is_covered = grid.to_model_image(mask.astype(np.float32)) > 0
    lost = found & ~np.isin(labels, np.unique(labels[is_covered & found]))
    return grid.to_source_mask(lost) if lost.any() else np.zeros_like(mask)

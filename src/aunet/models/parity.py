"""The proof that an exported network computes what the PyTorch network computed, repeatable without PyTorch.

The proof feeds images that are made by a formula, so that nothing but the expected numbers need be kept.
"""

import base64
import binascii
import json
from dataclasses import asdict, dataclass, fields

import numpy as np
from jaxtyping import Float32, Float64

from aunet.errors import CheckpointError

PARITY_KEY = "aunet.parity"
"""Name of the proof among the metadata of a bundle."""
FORMULA = "aunet parity images 1"
"""Name of the formula in `parity_images`; a changed formula needs another name."""
BATCHES = (slice(0, 3), slice(3, 4))
"""The images go through in two batches, so that the batch axis is shown to be free."""
MAX_DIFFERENCE = 1e-4
"""Largest difference of two probabilities that counts as equal."""
MAX_RELATIVE_DIFFERENCE = 0.01
"""Largest relative difference; it alone says something where a network finds no mass."""
MAX_DIFFERING_SHARE = 1e-4
"""Largest share of pixels that may fall on the other side of the threshold: 6.5 pixels of a 256 x 256 image."""
SMALLEST = 1e-20
"""Smaller probabilities are not compared relatively."""
SAMPLES = 16
"""Rows and columns of the lattice on which the expected probabilities are kept."""

Images = Float32[np.ndarray, "b c h w"]
Probabilities = Float32[np.ndarray, "b h w"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well two computations of the same probabilities agree."""

    max_difference: float
    max_relative_difference: float
    differing_share: float
    """Share of pixels that are mass in one and background in the other."""

    def complaint(self) -> str:
        """What is beyond the limits, in words; "" where nothing is."""
        limits = (
            ("largest difference", self.max_difference, MAX_DIFFERENCE),
            ("largest relative difference", self.max_relative_difference, MAX_RELATIVE_DIFFERENCE),
            ("share of differing mask pixels", self.differing_share, MAX_DIFFERING_SHARE),
        )
        # Not "value > limit": a NaN must fail too.
        return "; ".join(f"{name} {value:.2g} (limit {limit:g})" for name, value, limit in limits if not value <= limit)


@dataclass(frozen=True, slots=True)
class Parity:
    """What was seen when a network was exported, and what must be seen again later."""

    agreement: Agreement
    """Of the exported network with the PyTorch network, over every pixel of every image."""
    lowest: float
    highest: float
    """Range of the PyTorch network's probabilities on these images."""
    samples: Float32[np.ndarray, "b h w"]
    """The PyTorch network's probabilities on a lattice."""
    mass_pixels: tuple[int, ...]
    """Pixels at or above the threshold in each image, by the PyTorch network."""
    versions: dict[str, str]
    """Of the libraries that took part."""

    def to_json(self) -> str:
        """This proof as JSON text."""
        raw = self.samples.astype("<f4")
        content = {
            "formula": FORMULA,
            "agreement": asdict(self.agreement),
            "lowest": self.lowest,
            "highest": self.highest,
            "samples_shape": raw.shape,
            "samples_float32_base64": base64.b64encode(raw.tobytes()).decode(),
            "mass_pixels": self.mass_pixels,
            "versions": self.versions,
        }
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Parity":
        """The proof that a JSON text holds.

        Args:
            text: What `to_json` gave.

        Returns:
            The proof.

        Raises:
            CheckpointError: The text is incomplete, or of another formula.
        """
        try:
            content = json.loads(text)
            if content["formula"] != FORMULA:
                msg = (
                    f"the parity proof is by {str(content['formula'])[:80]!r}; this version of aunet knows {FORMULA!r}"
                )
                raise CheckpointError(msg)
            raw = base64.b64decode(content["samples_float32_base64"], validate=True)
            samples = np.frombuffer(raw, "<f4").reshape([int(size) for size in content["samples_shape"]])
            agreement = Agreement(**{
                field.name: float(content["agreement"][field.name]) for field in fields(Agreement)
            })
            return cls(
                agreement=agreement,
                lowest=float(content["lowest"]),
                highest=float(content["highest"]),
                samples=samples.astype(np.float32),
                mass_pixels=tuple(int(count) for count in content["mass_pixels"]),
                versions={str(name): str(version) for name, version in content["versions"].items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
            msg = f"the parity proof is incomplete ({error!r}); export the checkpoint again"
            raise CheckpointError(msg) from error


def parity_images(shape: tuple[int, int, int]) -> Images:
    """Four images between 0 and 1: two of smooth waves, two like a breast with a mass.

    Args:
        shape: (channels, rows, columns).

    Returns:
        The images, the same on every machine but for the last bit of a cosine.
    """
    channels, rows, columns = shape
    waves = np.stack([_waves(rows, columns, seed=seed) for seed in range(2 * channels)])
    breasts = np.stack([np.broadcast_to(_breast(rows, columns, seed=seed), shape) for seed in (1, 2)])
    return np.concatenate([waves.reshape(2, *shape), breasts]).astype(np.float32)


def agreement(expected: Probabilities, found: Probabilities, *, threshold: float) -> Agreement:
    """How well two computations of the same probabilities agree.

    Args:
        expected: Probabilities of the PyTorch network.
        found: Probabilities of the exported one.
        threshold: Probability from which a pixel counts as mass.

    Returns:
        The differences; NaN where a probability is NaN.
    """
    difference = np.abs(expected.astype(np.float64) - found)
    relative = difference / np.maximum(np.maximum(expected, found), SMALLEST)
    return Agreement(
        max_difference=float(difference.max()),
        max_relative_difference=float(relative.max()),
        differing_share=float(((expected >= threshold) != (found >= threshold)).mean()),
    )


def on_lattice(probabilities: Probabilities) -> Float32[np.ndarray, "b lattice_h lattice_w"]:
    """The probabilities on an even lattice, all of them where an image is smaller than the lattice.

    Args:
        probabilities: Of every pixel.

    Returns:
        At most 16 x 16 of each image, corners included.
    """
    rows, columns = (
        np.linspace(0, size - 1, min(size, SAMPLES)).round().astype(int) for size in probabilities.shape[1:]
    )
    return probabilities[:, rows[:, None], columns]


def _waves(rows: int, columns: int, *, seed: int) -> Float64[np.ndarray, "h w"]:
    """Sixteen plane waves, stretched to [0, 1]; their directions come from multiples of irrational numbers."""
    row, column = _coordinates(rows, columns)
    image = np.zeros((rows, columns))
    for wave in range(1, 17):
        step = wave + 16 * seed
        frequencies = 8 * ((step * 0.6180339887498949) % 1 - 0.5), 8 * ((step * 0.4142135623730951) % 1 - 0.5)
        phase = (step * 0.7320508075688772) % 1
        image += np.cos(2 * np.pi * (frequencies[0] * row + frequencies[1] * column + phase)) / np.sqrt(wave)
    stretched: Float64[np.ndarray, "h w"] = (image - image.min()) / max(float(np.ptp(image)), 1e-12)
    return stretched


def _breast(rows: int, columns: int, *, seed: int) -> Float64[np.ndarray, "h w"]:
    """A half ellipse on the left that thins out towards its edge, with texture and one bright round mass."""
    row, column = _coordinates(rows, columns)
    edge = np.clip(1 - ((row - 0.5) / 0.45) ** 2 - (column / 0.7) ** 2, 0, 1)
    texture = 0.35 + 0.3 * _waves(rows, columns, seed=100 + seed)
    distance = np.hypot(row - (0.35 + 0.1 * seed), column - 0.25) / (0.04 * seed)
    mass = 0.35 * np.clip(2 * (1.5 - distance), 0, 1)
    return np.sqrt(edge) * np.clip(texture + mass, 0, 1)


def _coordinates(rows: int, columns: int) -> tuple[Float64[np.ndarray, "h 1"], Float64[np.ndarray, "1 w"]]:
    """Row and column of every pixel's centre as shares of the image."""
    return (np.arange(rows)[:, None] + 0.5) / rows, (np.arange(columns)[None] + 0.5) / columns

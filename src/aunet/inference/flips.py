"""A network on turned-over images as well: the mean of its probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.models.card import Flips, ModelCard

# Rows and columns are the last two axes of images (b c h w) and of probabilities (b h w) alike.
_ROWS, _COLUMNS = -2, -1
_AXES: dict[Flips, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "vertical": ((), (_ROWS,)),
    "horizontal": ((), (_COLUMNS,)),
    "both": ((), (_ROWS,), (_COLUMNS,), (_ROWS, _COLUMNS)),
}


@dataclass(frozen=True, slots=True)
class FlippedBackend:
    """A network that sees each image as it is and turned over; its answers are turned back and averaged."""

    backend: Backend
    flips: Flips

    @property
    def card(self) -> ModelCard:
        """What the network says of itself."""
        return self.backend.card

    def probability(self, images: Images) -> Probabilities:
        """The mean probability of mass."""
        return mean_of(self.answers(images))

    def answers(self, images: Images) -> tuple[Probabilities, ...]:
        """The probability of mass by each of the turned-over images, turned back; the image as it is comes first."""
        return tuple(
            np.flip(self.backend.probability(np.ascontiguousarray(np.flip(images, axes))), axes)
            for axes in _AXES[self.flips]
        )


def mean_of(probabilities: Sequence[Probabilities]) -> Probabilities:
    """The mean of several answers on the same images.

    Args:
        probabilities: One answer or more.

    Returns:
        Their mean.
    """
    mean: Probabilities = np.stack(probabilities).mean(axis=0, dtype=np.float32)
    return mean

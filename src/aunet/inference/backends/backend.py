"""What every engine that runs a network offers."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from aunet.models.card import ModelCard

Images = Float32[np.ndarray, "b c h w"]
Probabilities = Float32[np.ndarray, "b h w"]


@runtime_checkable  # the shape check of the test run looks at instances
class Backend(Protocol):
    """A network that is loaded and ready."""

    @property
    def card(self) -> ModelCard:
        """What the network says of itself."""

    def probability(self, images: Images) -> Probabilities:
        """Probability of mass for every pixel of prepared images."""


def require_prepared(images: Images, card: ModelCard) -> None:
    """Check that images are those of the card's preprocessing.

    Args:
        images: A batch of prepared images.
        card: The network's card.

    Raises:
        ValueError: Channels, rows or columns differ.
    """
    if images.shape[1:] != card.input_shape:
        msg = (
            f"images of shape {images.shape[1:]}; the network takes {card.input_shape} (channels, rows, columns):"
            " prepare them by the preprocessing in its model card"
        )
        raise ValueError(msg)

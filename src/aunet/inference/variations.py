"""A network on each image turned over and at other scales as well: the mean of its probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float32
from scipy import ndimage
from scipy.special import expit, logit

from aunet.inference.backends.backend import Backend, Images, Probabilities
from aunet.models.card import Flips, ModelCard, Scales

# Rows and columns are the last two axes of images (b c h w) and of probabilities (b h w) alike.
_ROWS, _COLUMNS = -2, -1
_AXES: dict[Flips, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "vertical": ((), (_ROWS,)),
    "horizontal": ((), (_COLUMNS,)),
    "both": ((), (_ROWS,), (_COLUMNS,), (_ROWS, _COLUMNS)),
}
_NEXT_TO_0_AND_1 = float(np.finfo(np.float32).tiny), 1 - 2.0**-24
"""Probabilities in single precision whose logits are finite."""
_Planes = Float32[np.ndarray, "*planes h w"]


@dataclass(frozen=True, slots=True)
class VariedBackend:
    """A network that sees each image as it is, turned over and at other scales; its answers are brought back."""

    backend: Backend
    flips: Flips = "none"
    scales: Scales = ()
    """At which scales besides its own; above 1 enlarges."""

    @property
    def card(self) -> ModelCard:
        """What the network says of itself."""
        return self.backend.card

    def probability(self, images: Images) -> Probabilities:
        """The mean probability of mass."""
        return mean_of(self.answers(images))

    def answers(self, images: Images) -> tuple[Probabilities, ...]:
        """The probability of mass by each variation of the images, brought back; the image as it is comes first."""
        return tuple(
            np.flip(self._at_scale(np.ascontiguousarray(np.flip(images, axes)), scale), axes)
            for scale, axes in product((1.0, *self.scales), _AXES[self.flips])
        )

    def _at_scale(self, images: Images, scale: float) -> Probabilities:
        if scale == 1:
            return self.backend.probability(images)
        # What a smaller image leaves free is background.
        scaled = np.stack([_scaled(image, scale, around=float(image.min())) for image in images])
        seen = _scaled(_logits(self.backend.probability(scaled)), 1 / scale, around=np.nan)
        is_unseen = np.isnan(seen)
        if is_unseen.any():
            # The rim of an enlarged image leaves the grid; the network has seen it only as it is.
            seen = np.where(is_unseen, _logits(self.backend.probability(images)), seen)
        answer: Probabilities = expit(seen)
        return answer


def mean_of(probabilities: Sequence[Probabilities]) -> Probabilities:
    """The mean of several answers on the same images.

    Args:
        probabilities: One answer or more.

    Returns:
        Their mean.
    """
    mean: Probabilities = np.stack(probabilities).mean(axis=0, dtype=np.float32)
    return mean


def _logits(probability: Probabilities) -> Probabilities:
    """What is interpolated between pixels, so that a temperature means the same at every scale."""
    logits: Probabilities = logit(np.clip(probability, *_NEXT_TO_0_AND_1))
    return logits


def _scaled(planes: _Planes, scale: float, *, around: float) -> _Planes:
    """Planes enlarged about the middle of their rows and columns, bilinear; `around` is beyond their edges."""
    centre = (np.array(planes.shape[-2:]) - 1) / 2
    scaled = np.empty_like(planes)
    for index in np.ndindex(planes.shape[:-2]):
        ndimage.affine_transform(
            planes[index], np.full(2, 1 / scale), centre - centre / scale, output=scaled[index], order=1, cval=around
        )
    return scaled

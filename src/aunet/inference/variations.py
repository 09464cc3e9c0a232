"""A network on each image turned over and at other scales as well: the mean of its probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

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
        turned = [np.ascontiguousarray(np.flip(images, axes)) for axes in _AXES[self.flips]]
        as_they_are = [self.backend.probability(one) for one in turned]
        scaled = [
            self._at_scale(one, scale, as_it_is=answer)
            for scale in self.scales
            for one, answer in zip(turned, as_they_are, strict=True)
        ]
        answers = zip([*as_they_are, *scaled], cycle(_AXES[self.flips]), strict=False)
        return tuple(np.flip(answer, axes) for answer, axes in answers)

    def _at_scale(self, images: Images, scale: float, *, as_it_is: Probabilities) -> Probabilities:
        # What a smaller image leaves free is background, which each channel has its own value of.
        scaled = np.stack([
            np.stack([_scaled(plane, scale, around=float(plane.min())) for plane in image]) for image in images
        ])
        seen = _scaled(logits_of(self.backend.probability(scaled)), 1 / scale, around=np.nan)
        # The rim of an enlarged image leaves the grid; the network has seen it only as it is.
        answer: Probabilities = np.where(np.isnan(seen), as_it_is, expit(seen))
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


def logits_of(probability: Probabilities) -> Probabilities:
    """Mass against background: what a temperature divides, and what is interpolated, so that both can change places.

    Args:
        probability: Of mass; 0 and 1 are taken for their neighbours.

    Returns:
        Finite values, from -87 to 17.
    """
    logits: Probabilities = logit(np.clip(probability, *_NEXT_TO_0_AND_1, dtype=np.float64)).astype(np.float32)
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

"""The loss of the paper: Dice of the mass class plus a weighted cross-entropy; either of them alone as well."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MASS = 1
"""Index of the mass class in the network's output."""


class Loss(NamedTuple):
    """The loss and its two parts, each a mean over the batch."""

    total: Float[Tensor, ""]
    dice: Float[Tensor, ""]
    cross_entropy: Float[Tensor, ""]


def segmentation_loss(
    logits: Float[Tensor, "b 2 h w"],
    reference: Bool[Tensor, "b h w"],
    *,
    alpha: float = 1.0,
    dice_weight: float = 1.0,
    epsilon: float = 1.0,
    dice_over: Literal["batch", "image"] = "image",
) -> Loss:
    """Dice weight x Dice loss + alpha x cross-entropy.

    Args:
        logits: Output of the network; channel 1 is the mass.
        reference: Reference masks.
        alpha: Weight of the cross-entropy; 0 for the Dice loss alone.
        dice_weight: Weight of the Dice loss, 1 in the paper; 0 for the cross-entropy alone.
        epsilon: Constant of the Dice loss, in pixels.
        dice_over: What the sums of the Dice loss run over.

    Returns:
        The loss and its parts (unweighted), in 32 bit also where the network computes in 16.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 9.
    """
    log_probability = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)
    dice = dice_loss(log_probability[:, MASS].exp(), reference, epsilon=epsilon, over=dice_over)
    entropy = cross_entropy(log_probability, reference)
    return Loss(dice_weight * dice + alpha * entropy, dice, entropy)


def dice_loss(
    probability: Float[Tensor, "b h w"],
    reference: Bool[Tensor, "b h w"],
    *,
    epsilon: float = 1.0,
    over: Literal["batch", "image"] = "image",
) -> Float[Tensor, ""]:
    """1 - (2 sum(p y) + epsilon) / (sum(p) + sum(y) + epsilon), p being the probability of mass.

    "For 2D inputs, N is the total number of pixels in the image": so the sums run over each image, and the losses of a
    batch are averaged. Over the whole batch instead, images with large masses count for more, and one whose mass covers
    a dozen pixels can't swing a step alone.

    Args:
        probability: Probability of mass.
        reference: Reference masks; where empty, the loss falls to 0 as the probability does.
        epsilon: Keeps the quotient defined where nothing is there, in pixels.
        over: What the sums run over.

    Returns:
        Loss in [0, 1).

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 8.
    """
    axes = (0, 1, 2) if over == "batch" else (1, 2)
    shared = (probability * reference).sum(axes)
    areas = probability.sum(axes) + reference.sum(axes)
    return (1 - (2 * shared + epsilon) / (areas + epsilon)).mean()


def cross_entropy(log_probability: Float[Tensor, "b 2 h w"], reference: Bool[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """Two-class cross-entropy, mean over all pixels.

    Args:
        log_probability: Logarithm of the class probabilities.
        reference: Reference masks.

    Returns:
        Mean of -log of the probability of each pixel's true class.

    Source:
        Sun et al. 2020, doi 10.1088/1361-6560/ab5745, equation 7.

    Differs:
        The equation is printed without logarithms and with a misplaced sum; this is its meaning. It is written
        without `torch.nn.functional.cross_entropy`, whose two-dimensional kernel on CUDA is not deterministic.
    """
    return -torch.where(reference, log_probability[:, MASS], log_probability[:, 1 - MASS]).mean()

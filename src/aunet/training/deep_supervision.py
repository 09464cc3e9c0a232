"""Deep supervision: each level of the decoder is asked for the masses too, during training only."""

import copy
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from aunet.errors import TrainingError
from aunet.models.encoder_decoder import initialise
from aunet.training.losses import Loss

LossFunction = Callable[[Tensor, Tensor], Loss]


class DeepSupervision(nn.Module):
    """A convolution 1 x 1 to the classes on each decoder level but the last, which has the network's own.

    The levels' features are taken by hooks, so that the network itself, and what is saved of it, stays as it is.

    Source:
        Lee et al. 2015, Deeply-supervised nets, arXiv:1409.5185; not part of Sun et al. 2020.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        input_shape: tuple[int, int, int],
        weight: float,
        loss: LossFunction,
        classes: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        """Put a classifier on each level.

        Args:
            network: The network; it gets hooks.
            input_shape: (channels, rows, columns) of an image.
            weight: Weight of the levels' mean loss.
            loss: The loss of each level.
            classes: Classes a pixel can have.
            generator: Source of the initial weights.
        """
        super().__init__()
        levels = decoder_levels(network)
        self._weight = weight
        self._loss = loss
        self._features: list[Tensor] = []
        self.classifiers = nn.ModuleList(
            nn.Conv2d(channels, classes, kernel_size=1) for channels in _channels(network, input_shape)
        )
        initialise(self, generator=generator)
        for level in levels:
            level.register_forward_hook(self._keep)

    def forward(self, reference: Bool[Tensor, "b h w"]) -> Float[Tensor, ""]:
        """The weighted mean of the levels' losses, of the images that the network has just seen.

        Args:
            reference: Their reference masks; each level's logits are brought to this grid.

        Returns:
            What is added to the loss.
        """
        rows, columns = reference.shape[1:]
        losses = [
            self._loss(
                functional.interpolate(classifier(features), (rows, columns), mode="bilinear", align_corners=False),
                reference,
            ).total
            for classifier, features in zip(self.classifiers, self._features, strict=True)
        ]
        self._features.clear()
        return self._weight * torch.stack(losses).mean()

    def _keep(self, level: nn.Module, inputs: object, features: Tensor) -> None:  # noqa: ARG002  (PyTorch's signature)
        if self.training:
            self._features.append(features)


def decoder_levels(network: nn.Module) -> Sequence[nn.Module]:
    """The levels that get a classifier.

    Args:
        network: The network.

    Returns:
        The decoder's units but the last, coarsest first.

    Raises:
        TrainingError: The network has no such list.
    """
    decoder = next(
        (
            part
            for name, part in network.named_modules()
            if name.endswith("decoder") and isinstance(part, nn.ModuleList)
        ),
        None,
    )
    if decoder is None or len(decoder) < 2:
        msg = (
            f"training.deep_supervision: {type(network).__name__} has no list of decoder levels; "
            "set it to 0, or take another network"
        )
        raise TrainingError(msg)
    return list(decoder)[:-1]


def _channels(network: nn.Module, input_shape: tuple[int, int, int]) -> list[int]:
    """Channels of each level's features, by a pass of a copy without memory behind it."""
    shadow = copy.deepcopy(network).to("meta")
    found: list[int] = []
    for level in decoder_levels(shadow):
        level.register_forward_hook(lambda _level, _inputs, features: found.append(features.shape[1]))
    with torch.no_grad():
        shadow(torch.empty(2, *input_shape, device="meta"))
    return found

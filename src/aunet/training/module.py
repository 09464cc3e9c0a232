"""One step of training and one of validation, for Lightning."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from aunet.metrics.overlap import dice, precision, sensitivity
from aunet.metrics.scores import outcome_of
from aunet.training.data import Batch
from aunet.training.deep_supervision import DeepSupervision, LossFunction
from aunet.training.fine_tuning import find_head, freeze
from aunet.training.losses import MASS, Loss, segmentation_loss

# Columns of the table of validation scores, one row an image.
_IMAGES, _LOSS, _WITH_MASS, _DSC, _SENSITIVITY, _PRECISION, _MISSED, _FALSE_POSITIVE = range(8)


class ValidationScores(NamedTuple):
    """The scores of one pass over the validation images, by the rules of `aunet.metrics.scores`."""

    images: int
    with_mass: int
    loss: float
    dsc: float
    """Mean over the images with a mass, a missed one counting 0; NaN without such images. So for the next two."""
    sensitivity: float
    precision: float
    missed: int
    """Images with a mass in which nothing was predicted."""
    false_positive_images: int
    """Images without a mass in which something was predicted."""


class SegmentationTask(LightningModule):
    """A network, its loss, its optimizer, and its scores on the validation images."""

    def __init__(
        self,
        network: nn.Module,
        *,
        learning_rates: Sequence[float],
        n_validation: int,
        loss: LossFunction = segmentation_loss,
        optimizer: Literal["adam", "adamw"] = "adam",
        amsgrad: bool = True,
        weight_decay: float = 0.0,
        threshold: float = 0.5,
        frozen: Sequence[str] = (),
        head_factor: float = 1.0,
        deep_supervision: DeepSupervision | None = None,
        channels_last: bool = True,
        fused: bool = True,
    ) -> None:
        """Set up the task.

        Args:
            network: From images to logits.
            learning_rates: Learning rate of each epoch.
            n_validation: Number of validation images.
            loss: From logits and reference masks to the loss.
            optimizer: Which optimizer.
            amsgrad: Use its AMSGrad variant.
            weight_decay: Its weight decay.
            threshold: Probability from which a pixel counts as mass.
            frozen: Parts of the network that are not trained; their batch normalisation keeps its statistics, too.
            head_factor: Learning rate of the head, as a multiple of the other weights'.
            deep_supervision: Adds the loss of the decoder's levels in training.
            channels_last: Store the channels of a pixel side by side.
            fused: Update all weights in one kernel; faster, not for 16-bit training with gradient clipping.
        """
        super().__init__()
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self._memory_format)  # type: ignore[call-overload]  # not in its stub
        self.deep_supervision = deep_supervision
        self.learning_rates = tuple(learning_rates)
        self._optimizer: type[Adam] = {"adam": Adam, "adamw": AdamW}[optimizer]
        self._amsgrad = amsgrad
        self._weight_decay = weight_decay
        self._fused = fused
        self._loss = loss
        self._threshold = threshold
        self._n_validation = n_validation
        self._frozen = tuple(frozen)
        self._head_factor = head_factor
        self._head = f"network.{find_head(network)}." if head_factor != 1 else None
        self._table = torch.zeros(0)
        self.scores: ValidationScores | None = None
        """Scores of the latest pass over the validation images."""
        freeze(self.network, self._frozen)
        self.train()

    def train(self, mode: bool = True) -> "SegmentationTask":  # noqa: FBT001, FBT002  (PyTorch's signature)
        """Switch to training or evaluation; frozen parts stay in evaluation, so that their statistics don't move."""
        super().train(mode)
        for part in self._frozen:
            self.network.get_submodule(part).eval()
        return self

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h w"]:
        """Logits of a batch."""
        logits: Tensor = self.network(images.to(memory_format=self._memory_format))
        return logits

    def loss_of(self, logits: Float[Tensor, "b 2 h w"], masks: Bool[Tensor, "b h w"]) -> Loss:
        """The loss of the latest batch that went through the network, that of the decoder's levels included.

        Args:
            logits: What the network gave.
            masks: The reference.

        Returns:
            The loss and its parts.
        """
        loss = self._loss(logits, masks)
        if self.deep_supervision is None:
            return loss
        return loss._replace(total=loss.total + self.deep_supervision(masks))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002  (Lightning's signature)
        """The loss of one batch."""
        loss = self.loss_of(self(batch.images), batch.masks)
        size = len(batch.images)
        for name, value in zip(("loss", "dice_loss", "cross_entropy"), loss, strict=True):
            self.log(f"train_{name}", value, on_step=False, on_epoch=True, batch_size=size, sync_dist=self._is_spread)
        return loss.total

    def on_validation_epoch_start(self) -> None:
        """Clear the table of scores."""
        self._table = torch.zeros(self._n_validation, 8, dtype=torch.float64)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002  (Lightning's signature)
        """Score each image of one batch by the metrics of the evaluation."""
        logits = self(batch.images)
        predictions = (logits.float().softmax(dim=1)[:, MASS] >= self._threshold).cpu().numpy()
        references = batch.masks.cpu().numpy()
        for i, position in enumerate(batch.positions.tolist()):
            prediction, reference = predictions[i], references[i]
            row = self._table[position]
            outcome = outcome_of(prediction, reference)
            row[_IMAGES] = 1
            row[_LOSS] = float(self._loss(logits[i : i + 1], batch.masks[i : i + 1]).total)
            row[_MISSED] = outcome == "missed"
            row[_FALSE_POSITIVE] = outcome == "false_positive"
            if outcome in {"scored", "missed"}:
                row[_WITH_MASS] = 1
                row[_DSC] = dice(prediction, reference)
                row[_SENSITIVITY] = sensitivity(prediction, reference)
                row[_PRECISION] = precision(prediction, reference)

    def on_validation_epoch_end(self) -> None:
        """Put the scores of all devices together."""
        table = self._table.to(torch.float32).to(self.device)
        # Each device has filled its own rows and left the others 0.
        table = self.trainer.strategy.reduce(table, reduce_op="sum").cpu().to(torch.float64)
        self.scores = _summarise(table)

    def configure_optimizers(self) -> Optimizer:
        """The optimizer of all weights that are not frozen, at the rate of the first epoch."""
        groups = [
            {"params": weights, "lr": self.learning_rates[0] * factor} for factor, weights in self._by_factor().items()
        ]
        return self._optimizer(
            groups,
            lr=self.learning_rates[0],
            amsgrad=self._amsgrad,
            weight_decay=self._weight_decay,
            fused=self._fused,
        )

    def on_train_epoch_start(self) -> None:
        """Set the rate of this epoch."""
        rate = self.learning_rates[min(self.current_epoch, len(self.learning_rates) - 1)]
        for optimizer in self.trainer.optimizers:
            for group, factor in zip(optimizer.param_groups, self._by_factor(), strict=True):
                group["lr"] = rate * factor

    @property
    def _is_spread(self) -> bool:
        return self.trainer.world_size > 1

    def _by_factor(self) -> dict[float, list[nn.Parameter]]:
        """The weights to train, by the factor of their learning rate."""
        groups: dict[float, list[nn.Parameter]] = {}
        for name, weight in self.named_parameters():
            if weight.requires_grad:
                factor = self._head_factor if self._head and name.startswith(self._head) else 1.0
                groups.setdefault(factor, []).append(weight)
        return groups


def _summarise(table: Float[Tensor, "n 8"]) -> ValidationScores:
    """The scores of all images; sums run in the order of the images, so that they don't depend on batches."""
    dsc, sensitivity_mean, precision_mean = table[table[:, _WITH_MASS] > 0][:, _DSC : _PRECISION + 1].mean(dim=0)
    return ValidationScores(
        images=int(table[:, _IMAGES].sum()),
        with_mass=int(table[:, _WITH_MASS].sum()),
        loss=float(table[:, _LOSS].mean()),
        dsc=float(dsc),
        sensitivity=float(sensitivity_mean),
        precision=float(precision_mean),
        missed=int(table[:, _MISSED].sum()),
        false_positive_images=int(table[:, _FALSE_POSITIVE].sum()),
    )

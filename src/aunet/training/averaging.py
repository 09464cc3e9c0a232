"""An exponential moving average of the weights, which is validated and saved in their place."""

from lightning.pytorch.callbacks import WeightAveraging
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from aunet.training.module import SegmentationTask


class MovingAverage(WeightAveraging):
    """The average after each step: decay x average + (1 - decay) x weights, begun with those after the first step.

    Running means and variances of the batch normalisation are averaged alike. During validation the network has the
    averaged weights; the file for resuming holds both.
    """

    def __init__(self, *, decay: float) -> None:
        """Set up the average.

        Args:
            decay: Share of the average that each step keeps, above 0 and below 1.
        """
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]  # PyTorch's

    @property
    def network(self) -> nn.Module:
        """The network with the averaged weights, from the beginning of the run on.

        Raises:
            TypeError: What is averaged is no `SegmentationTask`.
        """
        task = self._average_model.module if self._average_model is not None else None
        if not isinstance(task, SegmentationTask):
            msg = f"the average is of a {type(task).__name__}, not of a SegmentationTask"
            raise TypeError(msg)
        network: nn.Module = task.network
        return network

"""The learning rate of each epoch."""

import math
from collections.abc import Sequence
from typing import Literal


def learning_rates_by_epoch(
    schedule: Literal["steps", "cosine"],
    rates: Sequence[float],
    *,
    epochs: int,
    epochs_per_rate: Sequence[int] = (),
    warmup_epochs: int = 0,
) -> tuple[float, ...]:
    """Learning rate of every epoch; a pure function of the settings, so that a resumed run can't differ.

    Args:
        schedule: `steps` holds each rate for its epochs and the last one to the end; `cosine` falls along half a
            cosine from the first rate (after the warm-up) to the last rate (at the last epoch).
        rates: Learning rates, at least one.
        epochs: Epochs of the run.
        epochs_per_rate: Epochs of each rate, for `steps`.
        warmup_epochs: The rate of epoch i is (i + 1) / (warmup_epochs + 1) of its value while i < warmup_epochs.

    Returns:
        One rate an epoch.
    """
    if schedule == "steps":
        held = [rate for rate, length in zip(rates, epochs_per_rate, strict=True) for _ in range(length)]
        planned = [held[min(epoch, len(held) - 1)] for epoch in range(epochs)]
    else:
        planned = [
            _cosine(epoch - warmup_epochs, epochs - warmup_epochs, rates[0], rates[-1]) for epoch in range(epochs)
        ]
    return tuple(rate * min(1.0, (epoch + 1) / (warmup_epochs + 1)) for epoch, rate in enumerate(planned))


def _cosine(epoch: int, epochs: int, first: float, last: float) -> float:
    if epoch <= 0:
        return first
    return last + (first - last) * (1 + math.cos(math.pi * epoch / (epochs - 1))) / 2

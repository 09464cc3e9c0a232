"""The learning rate of each epoch."""

import logging
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Literal

logger = logging.getLogger(__name__)


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
            cosine from the first rate (after the warm-up) to the last rate (at the last epoch). Steps of more epochs
            than the run has are shortened in proportion.
        rates: Learning rates, at least one.
        epochs: Epochs of the run.
        epochs_per_rate: Epochs of each rate, for `steps`.
        warmup_epochs: The rate of epoch i is (i + 1) / (warmup_epochs + 1) of its value while i < warmup_epochs.

    Returns:
        One rate an epoch.
    """
    if schedule == "steps":
        lengths = _fitted(epochs_per_rate, epochs)
        if lengths != tuple(epochs_per_rate):
            logger.info(
                "%d epochs are fewer than the schedule's %d: its steps of %s epochs become %s",
                epochs,
                sum(epochs_per_rate),
                ", ".join(map(str, epochs_per_rate)),
                ", ".join(map(str, lengths)),
            )
        held = [rate for rate, length in zip(rates, lengths, strict=True) for _ in range(length)]
        planned = [held[min(epoch, len(held) - 1)] for epoch in range(epochs)]
    else:
        planned = [
            _cosine(epoch - warmup_epochs, epochs - warmup_epochs, rates[0], rates[-1]) for epoch in range(epochs)
        ]
    return tuple(rate * min(1.0, (epoch + 1) / (warmup_epochs + 1)) for epoch, rate in enumerate(planned))


def _fitted(lengths: Sequence[int], epochs: int) -> tuple[int, ...]:
    """The steps as they are, or in proportion where they take more epochs than there are.

    Each step then ends at its share of the run, rounded half up, but leaves an epoch for every step before and after it
    where the run has as many; with fewer epochs than steps the last ones get none.
    """
    total = sum(lengths)
    if epochs >= total:
        return tuple(lengths)
    if epochs < len(lengths):
        return (1,) * epochs + (0,) * (len(lengths) - epochs)
    ends = [0]
    for done, step in enumerate(accumulate(lengths), start=1):
        share = (2 * step * epochs + total) // (2 * total)
        ends.append(min(max(share, ends[-1] + 1), epochs - (len(lengths) - done)))
    return tuple(end - start for start, end in pairwise(ends))


def _cosine(epoch: int, epochs: int, first: float, last: float) -> float:
    if epoch <= 0:
        return first
    return last + (first - last) * (1 + math.cos(math.pi * epoch / (epochs - 1))) / 2

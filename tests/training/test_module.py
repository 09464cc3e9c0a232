"""Validation scores and learning rates of the task."""

import math

import pytest
import torch
from torch import Tensor, nn

from aunet.training.data import Batch
from aunet.training.module import SegmentationTask, _summarise


class _Painter(nn.Module):
    """Says mass where the image is above a half; it has one weight, so that there is something to train."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, images: Tensor) -> Tensor:
        mass = self.scale * (images - 0.5)
        return torch.cat([-mass, mass], dim=1)


def _scored(images: list[list[float]], masks: list[list[int]], threshold: float = 0.5) -> SegmentationTask:
    """A task that has seen one batch of images, each a single row of pixels."""
    n = len(images)
    task = SegmentationTask(_Painter(), learning_rates=(0.1,), n_validation=n, threshold=threshold)
    batch = Batch(torch.tensor(images)[:, None, None], torch.tensor(masks)[:, None].bool(), torch.arange(n))
    task.on_validation_epoch_start()
    with torch.no_grad():
        task.validation_step(batch, 0)
    return task


def test_a_missed_mass_counts_zero_and_an_image_without_a_mass_not_at_all() -> None:
    images = [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    masks = [[0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]

    scores = _summarise(_scored(images, masks)._table)

    # The first image: 1 pixel shared, 2 predicted, 3 in the reference; the second is missed.
    assert scores.dsc == pytest.approx((2 * 1 / (2 + 3) + 0) / 2)
    assert scores.sensitivity == pytest.approx((1 / 3 + 0) / 2)
    assert scores.precision == pytest.approx((1 / 2 + 0) / 2)
    assert (scores.images, scores.with_mass, scores.missed, scores.false_positive_images) == (4, 2, 1, 1)


def test_without_any_mass_there_is_no_score() -> None:
    scores = _summarise(_scored([[0.0, 1.0]], [[0, 0]])._table)

    assert math.isnan(scores.dsc)
    assert scores.false_positive_images == 1


def test_the_threshold_decides_what_counts_as_mass() -> None:
    images = [[0.55, 0.0]]
    masks = [[1, 0]]

    # The probability of the first pixel is 1 / (1 + exp(-2 * 10 * 0.05)) = 0.73.
    assert _summarise(_scored(images, masks, threshold=0.7)._table).missed == 0
    assert _summarise(_scored(images, masks, threshold=0.75)._table).missed == 1


def test_scores_stand_in_the_row_of_their_image_whatever_the_batch() -> None:
    task = SegmentationTask(_Painter(), learning_rates=(0.1,), n_validation=2)
    task.on_validation_epoch_start()
    image, mask = torch.ones(1, 1, 1, 2), torch.ones(1, 1, 2, dtype=torch.bool)

    with torch.no_grad():
        task.validation_step(Batch(image, mask, torch.tensor([1])), 0)

    assert task._table[0].eq(0).all()
    assert task._table[1].ne(0).any()

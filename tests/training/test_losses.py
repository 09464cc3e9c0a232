"""The loss of the paper, against hand-worked values and other implementations."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses.dice import DiceLoss

from aunet.training.losses import cross_entropy, dice_loss, segmentation_loss


def test_dice_loss_by_hand() -> None:
    probability = torch.tensor([[[0.5, 1.0], [0.0, 0.5]]])
    reference = torch.tensor([[[True, True], [False, False]]])

    loss = dice_loss(probability, reference, epsilon=1.0)

    # sum(p y) = 1.5, sum(p) = 2, sum(y) = 2
    assert float(loss) == pytest.approx(1 - (2 * 1.5 + 1) / (2 + 2 + 1))


def test_dice_loss_over_images_is_the_mean_of_theirs_and_over_the_batch_is_not() -> None:
    probability = torch.tensor([[[1.0, 0.0]], [[0.0, 0.5]]])
    reference = torch.tensor([[[True, False]], [[False, True]]])

    by_image = dice_loss(probability, reference, epsilon=1.0, over="image")
    by_batch = dice_loss(probability, reference, epsilon=1.0, over="batch")

    assert float(by_image) == pytest.approx((0 + (1 - 2 / 2.5)) / 2)
    assert float(by_batch) == pytest.approx(1 - (2 * 1.5 + 1) / (1.5 + 2 + 1))


def test_dice_loss_of_an_empty_image_without_prediction_is_zero() -> None:
    loss = dice_loss(torch.zeros(1, 3, 3), torch.zeros(1, 3, 3, dtype=torch.bool))

    assert float(loss) == 0.0


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), epsilon=st.floats(0.1, 10.0))
def test_dice_loss_agrees_with_monai(seed: int, epsilon: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    probability = torch.rand(3, 5, 4, generator=generator)
    reference = torch.rand(3, 5, 4, generator=generator) < 0.3
    # MONAI adds its constants to numerator and denominator, as equation 8 does.
    theirs = DiceLoss(smooth_nr=epsilon, smooth_dr=epsilon)(probability[:, None], reference[:, None].float())
    theirs_by_batch = DiceLoss(smooth_nr=epsilon, smooth_dr=epsilon, batch=True)(
        probability[:, None], reference[:, None].float()
    )

    by_image = dice_loss(probability, reference, epsilon=epsilon, over="image")
    by_batch = dice_loss(probability, reference, epsilon=epsilon, over="batch")

    assert float(by_image) == pytest.approx(float(theirs), abs=1e-6)
    assert float(by_batch) == pytest.approx(float(theirs_by_batch), abs=1e-6)


def test_cross_entropy_by_hand() -> None:
    probability = torch.tensor([[[[0.75, 0.5]], [[0.25, 0.5]]]])
    reference = torch.tensor([[[False, True]]])

    loss = cross_entropy(probability.log(), reference)

    assert float(loss) == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_cross_entropy_agrees_with_torch(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(2, 2, 4, 3, generator=generator)
    reference = torch.rand(2, 4, 3, generator=generator) < 0.5

    loss = cross_entropy(logits.log_softmax(dim=1), reference)

    theirs = torch.nn.functional.cross_entropy(logits, reference.long())
    assert float(loss) == pytest.approx(float(theirs), abs=1e-6)


def test_the_loss_is_dice_plus_alpha_times_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 4, 4, generator=generator)
    reference = torch.rand(2, 4, 4, generator=generator) < 0.3

    loss = segmentation_loss(logits, reference, alpha=0.5)

    assert float(loss.total) == pytest.approx(float(loss.dice) + 0.5 * float(loss.cross_entropy))


def _two_pixels() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that make the probability of mass 0.75 and 0.5, in an image whose first pixel is mass."""
    mass = torch.tensor([[[math.log(3), 0.0]]])
    return torch.stack([torch.zeros_like(mass), mass], dim=1), torch.tensor([[[True, False]]])


# Dice loss: 1 - (2 x 0.75 + 1) / (0.75 + 0.5 + 1 + 1) = 3 / 13; cross-entropy: -(ln 0.75 + ln 0.5) / 2 = 0.490415.
_DICE, _ENTROPY = 3 / 13, 0.490415


@pytest.mark.parametrize(
    ("alpha", "dice_weight", "expected"),
    [
        (0.0, 1.0, _DICE),
        (1.0, 0.0, _ENTROPY),
        (0.5, 1.0, _DICE + 0.5 * _ENTROPY),
        (1.0, 1.0, _DICE + _ENTROPY),
        (2.0, 1.0, _DICE + 2 * _ENTROPY),
    ],
)
def test_dice_alone_entropy_alone_and_their_sums_by_hand(alpha: float, dice_weight: float, expected: float) -> None:
    logits, reference = _two_pixels()

    loss = segmentation_loss(logits, reference, alpha=alpha, dice_weight=dice_weight)

    assert float(loss.total) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dice_over", ["image", "batch"])
@pytest.mark.parametrize(("alpha", "dice_weight"), [(0.0, 1.0), (1.0, 0.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0)])
def test_the_gradient_is_that_of_finite_differences(
    alpha: float, dice_weight: float, dice_over: Literal["image", "batch"]
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    # The second image shows no mass.
    reference = torch.rand(2, 3, 4, generator=generator) < torch.tensor([0.4, 0.0])[:, None, None]

    def total(logits: torch.Tensor) -> torch.Tensor:
        return segmentation_loss(logits, reference, alpha=alpha, dice_weight=dice_weight, dice_over=dice_over).total

    assert torch.autograd.gradcheck(total, (logits,))


def test_only_the_probability_of_mass_enters_the_dice_loss() -> None:
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 1, 0, 0] = 100.0
    logits[0, 0, 0, 1] = 100.0
    reference = torch.tensor([[[True, False]]])

    loss = segmentation_loss(logits, reference)

    assert float(loss.total) == pytest.approx(0.0, abs=1e-6)


def test_the_loss_is_computed_in_32_bit() -> None:
    logits = torch.zeros(1, 2, 2, 2, dtype=torch.bfloat16)

    loss = segmentation_loss(logits, torch.ones(1, 2, 2, dtype=torch.bool))

    assert loss.total.dtype == torch.float32
    assert float(loss.cross_entropy) == pytest.approx(math.log(2))


def test_a_sure_and_wrong_network_still_gets_a_gradient() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 0] = 200.0
    logits.requires_grad_()

    loss = segmentation_loss(logits, torch.ones(1, 2, 2, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(loss.total, logits)

    assert torch.isfinite(loss.total)
    assert (gradient[:, 1] < 0).all()

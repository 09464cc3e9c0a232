"""Learning rates by epoch."""

import pytest

from aunet.training.schedule import learning_rates_by_epoch


def test_the_papers_rates_hold_for_40_30_30_and_20_epochs() -> None:
    rates = learning_rates_by_epoch("steps", (1e-4, 5e-5, 1e-5, 1e-6), epochs=120, epochs_per_rate=(40, 30, 30, 20))

    assert rates == (1e-4,) * 40 + (5e-5,) * 30 + (1e-5,) * 30 + (1e-6,) * 20


def test_the_last_rate_holds_to_the_end() -> None:
    rates = learning_rates_by_epoch("steps", (1.0, 0.1), epochs=5, epochs_per_rate=(1, 1))

    assert rates == (1.0, 0.1, 0.1, 0.1, 0.1)


def test_cosine_falls_from_the_first_rate_to_the_last() -> None:
    rates = learning_rates_by_epoch("cosine", (1.0, 0.0), epochs=5)

    assert rates == pytest.approx((1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0.0))


def test_warm_up_rises_to_the_first_rate() -> None:
    rates = learning_rates_by_epoch("cosine", (1.0, 0.0), epochs=5, warmup_epochs=2)

    assert rates == pytest.approx((1 / 3, 2 / 3, 1.0, 0.5, 0.0))


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_run_as_short_as_its_warm_up_has_rates(epochs: int) -> None:
    rates = learning_rates_by_epoch("cosine", (1.0, 0.5), epochs=epochs, warmup_epochs=2)

    assert len(rates) == epochs
    assert all(rate > 0 for rate in rates)

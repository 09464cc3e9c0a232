"""Learning rates by epoch."""

import pytest

from aunet.training.schedule import learning_rates_by_epoch


def test_the_papers_rates_hold_for_40_30_30_and_20_epochs() -> None:
    rates = learning_rates_by_epoch("steps", (1e-4, 5e-5, 1e-5, 1e-6), epochs=120, epochs_per_rate=(40, 30, 30, 20))

    assert rates == (1e-4,) * 40 + (5e-5,) * 30 + (1e-5,) * 30 + (1e-6,) * 20


def test_the_last_rate_holds_to_the_end() -> None:
    rates = learning_rates_by_epoch("steps", (1.0, 0.1), epochs=5, epochs_per_rate=(1, 1))

    assert rates == (1.0, 0.1, 0.1, 0.1, 0.1)


@pytest.mark.parametrize(
    ("epochs", "steps"),
    [
        # Shares of 120: the steps end at 1/3, 7/12, 5/6 and 1 of the run.
        (119, (40, 29, 30, 20)),  # 39.7, 69.4, 99.2
        (12, (4, 3, 3, 2)),
        (6, (2, 2, 1, 1)),  # 2, 3.5 and 5, rounded half up
        (5, (2, 1, 1, 1)),  # 1.7, 2.9, 4.2
        (4, (1, 1, 1, 1)),
        (3, (1, 1, 1, 0)),
        (1, (1, 0, 0, 0)),
    ],
)
def test_a_run_shorter_than_its_steps_has_each_rate_for_its_share(
    epochs: int, steps: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        rates = learning_rates_by_epoch("steps", (4.0, 3.0, 2.0, 1.0), epochs=epochs, epochs_per_rate=(40, 30, 30, 20))

    assert tuple(rates.count(rate) for rate in (4, 3, 2, 1)) == steps
    assert list(rates) == sorted(rates, reverse=True)
    said = f"its steps of 40, 30, 30, 20 epochs become {', '.join(map(str, steps))}"
    assert caplog.messages == [f"{epochs} epochs are fewer than the schedule's 120: {said}"]


@pytest.mark.parametrize("epochs", [120, 130])
def test_a_run_as_long_as_its_steps_has_them_as_they_are(epochs: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        rates = learning_rates_by_epoch("steps", (4.0, 3.0, 2.0, 1.0), epochs=epochs, epochs_per_rate=(40, 30, 30, 20))

    assert rates == (4,) * 40 + (3,) * 30 + (2,) * 30 + (1,) * (epochs - 100)
    assert caplog.messages == []


def test_no_step_is_lost_where_it_would_round_to_nothing() -> None:
    rates = learning_rates_by_epoch("steps", (3.0, 2.0, 1.0), epochs=4, epochs_per_rate=(100, 1, 1))

    assert rates == (3, 3, 2, 1)


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

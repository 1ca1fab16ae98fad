"""Schedules: their formulas, and what they refuse."""

import numpy as np
import pytest

from skvariants.losses import EpsilonInsensitive, Hinge, LogLoss
from skvariants.schedules import PA1, PA2, Adaptive, Constant, Cosine, InvScaling, Optimal


def test_formulas():
    assert Constant(eta0=0.3)(17) == 0.3
    assert InvScaling(eta0=2.0, power_t=0.25)(16) == 1.0
    assert Cosine(eta0=1.0, horizon=10)(10) == Cosine(eta0=1.0, horizon=10)(99) == 0.0
    rates = InvScaling(eta0=np.array([1.0, 2.0]), power_t=0.5)(4)
    np.testing.assert_array_equal(rates, [0.5, 1.0])


@pytest.mark.parametrize("alpha", [1e-4, 0.01, 1.0])
def test_optimal_is_bottous_heuristic(alpha):
    typical = (1 / alpha**0.5) ** 0.5
    schedule = Optimal(alpha=alpha).prepared(Hinge(), alpha)
    t0 = 1 / (typical * alpha)
    for t in (1, 2, 100):
        assert np.isclose(schedule(t), 1 / (alpha * (t0 + t - 1)), rtol=1e-12)


def test_optimal_needs_a_penalty():
    with pytest.raises(ValueError, match="alpha must be > 0"):
        Optimal(alpha=0.0).prepared(LogLoss(), 0.0)


def test_adaptive_lowers_and_then_gives_up():
    np.testing.assert_array_equal(Adaptive(eta0=0.1).on_plateau(np.array([0.1, 1e-7])), [0.2, 0])


def test_passive_aggressive_shares():
    # the smallest change that satisfies the sample leaves exactly no loss
    x, w, y = np.array([1.0, -2.0]), np.array([0.2, 0.1]), 1.0
    loss = 1 - y * (x @ w)
    tau = PA1(eta0=100.0).share(loss, x @ x)
    assert np.isclose(1 - y * (x @ (w + tau * y * x)), 0, atol=1e-15)
    assert PA1(eta0=0.01).share(loss, x @ x) == 0.01
    assert PA1(eta0=1.0).share(1.0, 0.0) == 0.0
    assert PA2(eta0=1.0).share(loss, x @ x) < tau
    assert PA1().prepared(EpsilonInsensitive(), 0.1).eta0 == 1.0
    with pytest.raises(ValueError, match="only works with the hinge loss"):
        PA2().prepared(LogLoss(), 0.1)


def test_only_an_open_step_is_raced():
    assert Constant().raced
    assert not Constant(eta0=0.1).raced
    assert not Optimal().raced
    assert not PA1().raced

"""Schedules: their formulas, scikit-learn's steps, and what they refuse."""

import math
from itertools import pairwise

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor

from skvariants import SGDVariantRegressor
from skvariants.losses import LOSSES, Hinge, LogLoss, MultinomialLogLoss, SquaredError
from skvariants.schedules import (
    PA1,
    PA2,
    SCHEDULES,
    Adaptive,
    Constant,
    Cosine,
    InvScaling,
    Optimal,
    Schedule,
)
from skvariants.solvers import PASSIVE_AGGRESSIVE

TIMES = (1, 2, 3, 10, 999, 10**7)
WITH_ETA0 = [name for name, cls in SCHEDULES.items() if "eta0" in cls().get_params()]
RACED = [name for name in WITH_ETA0 if SCHEDULES[name].stands_for is None]


# ---------------------------------------------------------------- formulas

FORMULAS = {
    "constant": (Constant(eta0=0.3), lambda t: 0.3),
    "adaptive": (Adaptive(eta0=0.3), lambda t: 0.3),
    "optimal": (Optimal(alpha=0.02, t0=70.0), lambda t: 1 / (0.02 * (70 + t - 1))),
    "invscaling": (InvScaling(eta0=2.0, power_t=0.25), lambda t: 2 / t**0.25),
    "no power": (InvScaling(eta0=2.0, power_t=0.0), lambda t: 2.0),
    "cosine": (Cosine(eta0=0.3, horizon=1000), lambda t: 0.3 * math.cos(math.pi * min(t, 1000) / 2000) ** 2),
}


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("t", TIMES)
def test_a_schedule_is_its_formula(schedule, formula, t):
    assert schedule(t) == pytest.approx(formula(t), rel=1e-10, abs=1e-15)


def test_cosine_falls_to_zero_and_stays():
    steps = [Cosine(eta0=1.0, horizon=10)(t) for t in range(1, 30)]
    assert all(a > b for a, b in pairwise(steps[:10]))
    assert steps[9:] == [0.0] * 20
    assert steps[0] < 1.0


@pytest.mark.parametrize("name", RACED)
@pytest.mark.parametrize("t", TIMES)
def test_a_step_per_column_is_each_columns_step(name, t):
    rates = np.array([0.1, 2.0, 0.5])
    together = SCHEDULES[name](eta0=rates)(t)
    assert np.shape(together) == (3,)
    np.testing.assert_array_equal(together, [SCHEDULES[name](eta0=rate)(t) for rate in rates.tolist()])
    np.testing.assert_array_equal(rates, [0.1, 2.0, 0.5])


@pytest.mark.parametrize("name", ["constant", "invscaling", "optimal"])
def test_steps_are_scikit_learns(name):
    # on unit vectors every prediction is 0 and the derivative of the hinge -y: the weights are the steps
    y = np.array([1, -1, 1, 1, -1, -1, 1, -1.0])
    model = SGDClassifier(
        loss="hinge", penalty=None, alpha=0.05, learning_rate=name, eta0=0.7, power_t=0.3, max_iter=1, tol=None,
        shuffle=False, fit_intercept=False,
    ).fit(np.eye(8), y)  # fmt: skip
    known = {"alpha": 0.05, "eta0": 0.7, "power_t": 0.3}
    params = {k: v for k, v in known.items() if k in SCHEDULES[name]().get_params()}
    schedule = SCHEDULES[name](**params).bind(Hinge(), 0.05)
    np.testing.assert_allclose([schedule(t) for t in range(1, 9)], model.coef_[0] * y, rtol=1e-12)


def test_steps_beyond_any_number_are_zero_or_refused():
    for power in (1e150, 1.7e308):
        assert [InvScaling(eta0=2.0, power_t=power)(t) for t in (1, 2, 1000)] == [2.0, 0.0, 0.0]
    for first in (5e-324, 1e-320, 1e-305):
        with pytest.raises(ValueError, match=r"t0=.* makes the first step.*pass a larger t0"):
            Optimal(alpha=1e-4, t0=first).bind(Hinge(), 1e-4)
    assert np.isfinite(Optimal(alpha=1e-4, t0=1e-300).bind(Hinge(), 1e-4)(1))
    # an offset that rounds away beside a count still divides the first step
    assert [Optimal(alpha=1e150).bind(Hinge(), 1e150)(t) > 0 for t in (1, 2)] == [True, True]


@pytest.mark.parametrize("eta0", [1e150, 1e200, 1e308])
def test_steps_of_any_length_diverge_in_one_word(eta0):
    X, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    model = SGDVariantRegressor(solver="momentum", eta0=eta0, max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning, match="The steps were too large") as caught:
        model.fit(X, y[:, 0])
    assert len(caught) == 1
    assert np.isfinite(model.coef_).all()


# ---------------------------------------------------------------- optimal


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("alpha", [1e-6, 1e-4, 0.01, 1.0, 30.0])
def test_optimal_is_bottous_heuristic(name, alpha):
    loss = LOSSES[name]()
    typical = math.sqrt(1 / math.sqrt(alpha))
    first = typical / max(1.0, loss.gradient_scalar(1.0, -typical))
    schedule = Optimal(alpha=alpha).bind(loss, alpha)
    for t in TIMES:
        assert schedule(t) == pytest.approx(1 / (alpha * (1 / (first * alpha) + t - 1)), rel=1e-12)


def test_optimal_is_scikit_learns_on_a_regression():
    X, y = np.eye(5), np.array([1.0, -2.0, 0.5, 3.0, 1.0])
    model = SGDRegressor(
        penalty=None, alpha=0.05, learning_rate="optimal", max_iter=1, tol=None, shuffle=False, fit_intercept=False
    ).fit(X, y)
    schedule = Optimal(alpha=0.05).bind(SquaredError(), 0.05)
    np.testing.assert_allclose([schedule(t) for t in range(1, 6)], model.coef_ / y, rtol=1e-12)


def test_optimal_of_columns_is_each_columns():
    alphas = np.array([1e-4, 0.01, 1.0])
    together = Optimal(alpha=alphas).bind(LogLoss(), alphas)
    alone = [Optimal(alpha=a).bind(LogLoss(), a) for a in alphas.tolist()]
    for t in TIMES:
        np.testing.assert_allclose(together(t), [schedule(t) for schedule in alone], rtol=1e-15)


@pytest.mark.parametrize("alpha", [0.01, np.full(6, 0.01)], ids=["scalar", "columns"])
def test_optimal_serves_the_multinomial_loss(alpha):
    # no derivative of it exceeds 1, so the first step is the typical weight
    schedule = Optimal(alpha=alpha).bind(MultinomialLogLoss(n_classes=3), alpha)
    np.testing.assert_allclose(schedule(1), 0.01**-0.25 * np.ones(np.shape(alpha)), rtol=1e-12)


def test_optimal_keeps_an_offset_that_was_given():
    schedule = Optimal(alpha=0.1, t0=5.0)
    assert schedule.bind(LogLoss(), 0.1).t0 == 5.0


@pytest.mark.parametrize("alpha", [0.0, np.array([0.1, 0.0])])
def test_optimal_needs_a_penalty(alpha):
    with pytest.raises(ValueError, match="alpha must be > 0.*another learning_rate"):
        Optimal(alpha=alpha).bind(LogLoss(), alpha)


# ---------------------------------------------------------------- what is open, and what is refused


@pytest.mark.parametrize("name", WITH_ETA0)
@pytest.mark.parametrize("eta0", [0.0, -1.0, np.inf, "automatic", None, np.array([0.1, 0.0])])
def test_a_step_that_is_none_is_refused_in_a_sentence(name, eta0):
    with pytest.raises(ValueError) as error:
        SCHEDULES[name](eta0=eta0).validate("learning_rate")
    assert "learning_rate__eta0=" in str(error.value)
    assert "'auto' or a number in (0, inf)" in str(error.value)


@pytest.mark.parametrize("name", SCHEDULES)
def test_only_an_open_step_is_raced(name):
    assert SCHEDULES[name]().raced == (name in RACED)
    if name in WITH_ETA0:
        assert not SCHEDULES[name](eta0=0.1).raced
        assert not SCHEDULES[name](eta0=np.array([0.1, 0.2])).raced


@pytest.mark.parametrize("name", [n for n, cls in SCHEDULES.items() if cls.stands_for is None and n != "optimal"])
def test_plain_schedules_bind_to_nothing(name):
    schedule = SCHEDULES[name]()
    assert schedule.bind(LogLoss(), 0.0) is schedule


# ---------------------------------------------------------------- plateaus


@pytest.mark.parametrize("name", [n for n in SCHEDULES if n != "adaptive"])
def test_a_plateau_is_the_end(name):
    np.testing.assert_array_equal(SCHEDULES[name]().on_plateau(np.array([0.1, 1e-9])), 0.0)


def test_adaptive_divides_by_five_down_to_its_floor():
    schedule, eta, seen = Adaptive(eta0=0.1), np.array([0.1, 1e-7]), []
    while eta.any():
        seen.append(eta)
        eta = eta * schedule.on_plateau(eta)
    # scikit-learn: while eta > 1e-6, eta /= 5; then stop
    expected = [0.1]
    while expected[-1] > 1e-6:
        expected.append(expected[-1] / 5)
    np.testing.assert_allclose([e[0] for e in seen], expected)
    assert [e[1] for e in seen] == [1e-7] + [0.0] * (len(seen) - 1)
    np.testing.assert_array_equal(Adaptive(eta0=0.1, factor=0.5, floor=0.2).on_plateau(np.array([0.1, 0.3])), [0, 0.5])


# ---------------------------------------------------------------- passive-aggressive


@pytest.mark.parametrize("cls", [PA1, PA2])
@pytest.mark.parametrize("name", LOSSES)
def test_passive_aggressive_names_the_remedy_for_any_other_loss(cls, name):
    if name in ("hinge", "epsilon_insensitive"):
        assert cls().bind(LOSSES[name](), 0.1).eta0 == 1.0
        assert cls(eta0=0.2).bind(LOSSES[name](), 0.1).eta0 == 0.2
        assert cls(eta0=0.2).bind(LOSSES[name](), 0.1).stands_for == cls.__name__.lower()
    else:
        with pytest.raises(ValueError) as error:
            cls().bind(LOSSES[name](), 0.1)
        for word in (cls.__name__.lower(), "hinge", "epsilon_insensitive", LOSSES[name].__name__):
            assert word in str(error.value)


@pytest.mark.parametrize("cls", [PA1, PA2])
def test_passive_aggressive_steps_carry_no_rate(cls):
    assert [cls(eta0=0.3)(t) for t in TIMES] == [1.0] * len(TIMES)
    assert not cls().raced


def test_a_rate_that_is_a_rule_stands_for_it_by_name():
    names = {name: cls.stands_for for name, cls in SCHEDULES.items() if cls.stands_for is not None}
    assert names == {name: name for name in PASSIVE_AGGRESSIVE}


# ---------------------------------------------------------------- a user's own


class Harmonic(Schedule):
    """A user's schedule without an eta0."""

    def __call__(self, t):
        return 1 / t


def test_the_defaults_of_the_interface_work_for_a_users_own():
    schedule = Harmonic()
    assert not schedule.raced
    assert schedule.stands_for is None
    assert schedule.bind(LogLoss(), 0.0) is schedule
    np.testing.assert_array_equal(schedule.on_plateau(np.array([0.1, 0.2])), 0.0)

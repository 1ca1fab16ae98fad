"""Schedules: their formulas, scikit-learn's steps, and what they refuse."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import SGDClassifier, SGDRegressor

from skvariants.losses import LOSSES, EpsilonInsensitive, Hinge, LogLoss, MultinomialLogLoss, SquaredError
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

TIMES = (1, 2, 3, 10, 999, 10**7)
WITH_ETA0 = [name for name, cls in SCHEDULES.items() if "eta0" in cls().get_params()]
RACED = [name for name in WITH_ETA0 if not SCHEDULES[name].aggressive]


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
    schedule = SCHEDULES[name](**params).prepared(Hinge(), 0.05)
    np.testing.assert_allclose([schedule(t) for t in range(1, 9)], model.coef_[0] * y, rtol=1e-12)


# ---------------------------------------------------------------- optimal


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("alpha", [1e-6, 1e-4, 0.01, 1.0, 30.0])
def test_optimal_is_bottous_heuristic(name, alpha):
    loss = LOSSES[name]()
    typical = math.sqrt(1 / math.sqrt(alpha))
    first = typical / max(1.0, loss.slope(1.0, -typical))
    schedule = Optimal(alpha=alpha).prepared(loss, alpha)
    for t in TIMES:
        assert schedule(t) == pytest.approx(1 / (alpha * (1 / (first * alpha) + t - 1)), rel=1e-12)


def test_optimal_is_scikit_learns_on_a_regression():
    X, y = np.eye(5), np.array([1.0, -2.0, 0.5, 3.0, 1.0])
    model = SGDRegressor(
        penalty=None, alpha=0.05, learning_rate="optimal", max_iter=1, tol=None, shuffle=False, fit_intercept=False
    ).fit(X, y)
    schedule = Optimal(alpha=0.05).prepared(SquaredError(), 0.05)
    np.testing.assert_allclose([schedule(t) for t in range(1, 6)], model.coef_ / y, rtol=1e-12)


def test_optimal_of_columns_is_each_columns():
    alphas = np.array([1e-4, 0.01, 1.0])
    together = Optimal(alpha=alphas).prepared(LogLoss(), alphas)
    alone = [Optimal(alpha=a).prepared(LogLoss(), a) for a in alphas.tolist()]
    for t in TIMES:
        np.testing.assert_allclose(together(t), [schedule(t) for schedule in alone], rtol=1e-15)


@pytest.mark.parametrize("alpha", [0.01, np.full(6, 0.01)], ids=["scalar", "columns"])
def test_optimal_serves_the_multinomial_loss(alpha):
    # no derivative of it exceeds 1, so the first step is the typical weight
    schedule = Optimal(alpha=alpha).prepared(MultinomialLogLoss(n_classes=3), alpha)
    np.testing.assert_allclose(schedule(1), 0.01**-0.25 * np.ones(np.shape(alpha)), rtol=1e-12)


def test_optimal_keeps_an_offset_that_was_given():
    schedule = Optimal(alpha=0.1, t0=5.0)
    assert schedule.prepared(LogLoss(), 0.1).t0 == 5.0


@pytest.mark.parametrize("alpha", [0.0, np.array([0.1, 0.0])])
def test_optimal_needs_a_penalty(alpha):
    with pytest.raises(ValueError, match="alpha must be > 0.*another learning_rate"):
        Optimal(alpha=alpha).prepared(LogLoss(), alpha)


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


@pytest.mark.parametrize("name", [n for n, cls in SCHEDULES.items() if not cls.aggressive and n != "optimal"])
def test_plain_schedules_need_no_preparation(name):
    schedule = SCHEDULES[name]()
    assert schedule.prepared(LogLoss(), 0.0) is schedule


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


@pytest.mark.parametrize(("cls", "power"), [(PA1, 1), (PA2, 2)])
@pytest.mark.parametrize("C", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("margin", [-2.0, 0.3, 0.99])
def test_passive_aggressive_steps_solve_their_problem(cls, power, C, margin):
    # argmin over w of |w - w0|^2 / 2 + C slack^power, sought along w = w0 + tau y x (the representer)
    square_norm, loss = 2.5, 1 - margin

    def problem(tau):
        return tau**2 * square_norm / 2 + C * max(0.0, loss - tau * square_norm) ** power

    tau = cls(eta0=C).share(loss, square_norm)
    best = minimize_scalar(problem, bounds=(0, 5), method="bounded", options={"xatol": 1e-10})
    assert problem(tau) <= best.fun + 1e-12
    assert tau == pytest.approx(best.x, abs=1e-6)


@pytest.mark.parametrize("cls", [PA1, PA2])
def test_passive_aggressive_shares_are_elementwise(cls):
    values, norms, C = np.array([[0.0, 1.0], [3.0, 0.2]]), np.array([[2.0], [0.5]]), np.array([0.1, 4.0])
    shares = cls(eta0=C).share(values, norms)
    alone = [[cls(eta0=float(C[j])).share(values[i, j], norms[i, 0]) for j in range(2)] for i in range(2)]
    np.testing.assert_allclose(shares, alone, rtol=1e-15)
    assert shares[0, 0] == 0
    assert cls(eta0=1.0).share(0.0, 2.0) == 0


@pytest.mark.parametrize("cls", [PA1, PA2])
def test_an_empty_sample_takes_no_infinite_step(cls):
    share = cls(eta0=0.5).share(np.array([[1.0]]), np.array([[0.0]]))
    assert np.isfinite(share).all()


def test_passive_aggressive_i_leaves_an_empty_sample_alone():
    assert PA1(eta0=1.0).share(1.0, 0.0) == 0.0


@pytest.mark.parametrize("cls", [PA1, PA2])
@pytest.mark.parametrize("name", LOSSES)
def test_passive_aggressive_names_the_remedy_for_any_other_loss(cls, name):
    if name in ("hinge", "epsilon_insensitive"):
        prepared = cls().prepared(LOSSES[name](), 0.1)
        assert prepared.eta0 == prepared.penalty_step == 1.0
        assert cls(eta0=0.2).prepared(LOSSES[name](), 0.1).penalty_step == 0.2
    else:
        with pytest.raises(ValueError) as error:
            cls().prepared(LOSSES[name](), 0.1)
        for word in (cls.__name__.lower(), "hinge", "epsilon_insensitive", LOSSES[name].__name__):
            assert word in str(error.value)


@pytest.mark.parametrize("cls", [PA1, PA2])
def test_passive_aggressive_steps_carry_no_rate(cls):
    assert [cls(eta0=0.3)(t) for t in TIMES] == [1.0] * len(TIMES)
    assert not cls().raced


def test_passive_aggressive_regression_ends_on_the_tube():
    x, w, y, loss = np.array([1.0, -2.0]), np.array([0.2, 0.1]), 3.0, EpsilonInsensitive(epsilon=0.25)
    residual = y - x @ w
    tau = PA1(eta0=100.0).share(loss.value(np.array([[y]]), np.array([[x @ w]])), x @ x)[0, 0]
    assert y - x @ (w + tau * np.sign(residual) * x) == pytest.approx(0.25, abs=1e-14)


# ---------------------------------------------------------------- a user's own


class Harmonic(Schedule):
    """A user's schedule without an eta0."""

    def __call__(self, t):
        return 1 / t


def test_the_defaults_of_the_interface_work_for_a_users_own():
    schedule = Harmonic()
    assert not schedule.raced
    assert not schedule.aggressive
    assert schedule.prepared(LogLoss(), 0.0) is schedule
    np.testing.assert_array_equal(schedule.on_plateau(np.array([0.1, 0.2])), 0.0)

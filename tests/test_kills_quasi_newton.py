"""Quasi-Newton steps against the definitions of their parts: L-BFGS, its memory, Levenberg's damping, stages."""

from dataclasses import replace

import numpy as np
import pytest

from _references import features, problem
from skvariants._data.rows import rows_of
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.costs import AFFORDABLE, PASSES, Costs
from skvariants._quasi_newton.descent import Descent
from skvariants._quasi_newton.hessian import Blocks
from skvariants._quasi_newton.lasso import lasso
from skvariants._quasi_newton.line_search import shortened, wolfe_length
from skvariants._quasi_newton.method import Tolerance, quasi_newton
from skvariants._quasi_newton.working_set import _mean_squares
from skvariants._training.loop import Stopping, Training
from skvariants._training.state import State, same_generator
from skvariants.losses import Huber, LogLoss, SquaredHinge

N, D = 300, 5


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def descent_of(rng, k=1, width=1, loss=None, damping=0.0, metric=None, alpha=1e-2, start=0.0):
    """A descent of `k` columns on all rows, with a metric of its own or that of `metric` on its diagonal."""
    X = features(rng, N, D, offset=0.0)
    z = X @ (rng.standard_normal((D, k)) / np.logspace(-1, 1, D)[:, None])
    y = np.where(z + rng.logistic(size=z.shape) > 0, 1.0, -1.0)
    p = problem(X, y, LogLoss() if loss is None else loss, alpha=alpha)
    if metric is not None:
        factor = np.asfortranarray(np.diag(np.sqrt(metric)))
        metric = Blocks(matrices=[factor] * k, n_columns=k, width=width)
    models = k // width
    theta = np.full((D + 1, k), start)
    return Descent.begin(StageBatch(p, width), theta, True, np.arange(models), models, np.full(models, damping), metric)


def never(descent):
    return np.zeros(len(descent.state.f))


def inverse_bfgs(pairs, H):
    """The inverse Hessian by the BFGS formula (Nocedal and Wright 2006, equation 6.17), from the oldest pair on."""
    for s, y in pairs:
        rho = 1 / (y @ s)
        V = np.eye(len(s)) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


@pytest.mark.parametrize(("k", "width"), [(1, 1), (3, 1), (3, 3)])
def test_the_direction_is_that_of_bfgs_with_the_last_ten_steps(rng, k, width):
    metric = np.array([3.0, 2.0, 4.0, 3.0, 5.0, 2.0])
    descent = descent_of(rng, k, width, metric=metric)
    state, pairs = descent.state, [[] for _ in range(k)]
    state.patience = 1000
    for made in range(14):
        descent.arrived(never)
        for j in range(k):
            H = inverse_bfgs(pairs[j][-10:], np.diag(1 / metric))
            np.testing.assert_allclose(state.P[:, j], -H @ state.g[:, j], rtol=1e-6, atol=1e-12)
        theta, g = state.theta.copy(), state.g.copy()
        descent.step(made == 0)
        for j in range(k):
            pairs[j].append(((state.theta - theta)[:, j], (state.g - g)[:, j]))
    assert len(state.steps) == len(state.changes) == len(state.curvatures) == 10
    assert state.age == 14


@pytest.mark.parametrize(("k", "width"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("loss", [LogLoss(), SquaredHinge()])
def test_what_a_descent_remembers_is_true_of_the_point_where_it_is(rng, k, width, loss):
    descent = descent_of(rng, k, width, loss)
    state, batch = descent.state, descent.batch
    for made in range(6):
        descent.arrived(never)
        before = state.f.copy()
        descent.step(made == 0)
        np.testing.assert_allclose(state.Z, batch.predict(state.theta), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(state.f, batch.objective(state.Z, state.theta), rtol=1e-9)
        np.testing.assert_allclose(state.g, batch.gradient(state.Z, state.theta, True), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(state.last, before - state.f, atol=1e-9)
        if width > 1:
            np.testing.assert_allclose(state.each, batch.objective_of_columns(state.Z, state.theta), rtol=1e-9)


@pytest.mark.parametrize("loss", [LogLoss(), SquaredHinge()])
def test_newtons_steps_square_the_error(rng, loss):
    descent = descent_of(rng, loss=loss)
    lengths = []
    for made in range(12):
        if descent.arrived(lambda descent: np.full(1, 1e-13)).all():
            break
        descent.step(made == 0)
        lengths.append(np.linalg.norm(descent.state.g))
    assert len(lengths) <= 8
    assert lengths[-1] < 1e-6


def shortened_to(length):
    return lambda look, f, slope, noise, t, ft: (np.full_like(t, length), look(np.full_like(t, length)))


@pytest.mark.parametrize(
    ("used", "length", "expected"),
    [
        (0.0, 1.0, 0.0),  # nothing asks for any
        (1e-2, 0.6, 1e-2),  # neither short nor long
        (1e-2, 1.0, 1e-3),  # a full step: a tenth
        (1e-7, 1.0, 0.0),  # a tenth of next to nothing is nothing
        (1e-3, 0.01, 1e-2),  # a short one: ten times as much
        (0.0, 0.01, 0.25e-4),  # at least that share of the largest curvature
        (0.2, 0.01, 0.25),  # and no more than the curvature has
    ],
)
def test_damping_follows_the_length_of_the_step(rng, monkeypatch, used, length, expected):
    descent = descent_of(rng, damping=used)
    descent.arrived(never)
    monkeypatch.setattr("skvariants._quasi_newton.descent.shortened", shortened_to(length))
    descent.step(False)
    np.testing.assert_allclose(descent.state.damping, expected, rtol=1e-12)


def test_damping_of_a_step_that_found_nothing_lower_is_a_hundred_times_as_much(rng, monkeypatch):
    descent = descent_of(rng, damping=1e-4)
    descent.arrived(never)
    monkeypatch.setattr(
        "skvariants._quasi_newton.descent.shortened", lambda look, f, slope, noise, t, ft: (np.zeros_like(t), f)
    )
    descent.step(False)
    assert descent.state.failures == 1
    np.testing.assert_allclose(descent.state.damping, 1e-2)
    descent.arrived(never)  # a new metric, with it
    np.testing.assert_array_equal(descent.state.used, descent.state.damping)
    assert descent.state.age == 0
    assert descent.state.steps == []


def test_a_damped_metric_is_the_hessian_with_more_curvature_in_each_prediction(rng):
    plain, damped = (descent_of(np.random.default_rng(0), damping=damping) for damping in (0.0, 0.1))
    batch = damped.batch
    Z = np.hstack([batch.predict(column[:, None]) for column in np.eye(D + 1)])
    for one, extra in ((plain, 0.0), (damped, 0.1)):
        one.arrived(never)
        weights = LogLoss().second_derivative(batch.problem.rows.y, one.state.Z) + extra
        H = Z.T @ (weights * Z) / N + np.diag(np.append(np.broadcast_to(batch.problem.penalty.l2_strength, (D, 1)), 0))
        np.testing.assert_allclose(one.state.P[:, 0], -np.linalg.solve(H, one.state.g[:, 0]), rtol=1e-7)


def test_a_loss_without_a_bound_is_damped_by_the_curvature_of_its_rows(rng, monkeypatch):
    class Unbounded(LogLoss):
        max_curvature = None
        smooth = True

    descent = descent_of(rng, loss=Unbounded(), damping=1.0)
    descent.arrived(never)
    monkeypatch.setattr("skvariants._quasi_newton.descent.shortened", shortened_to(0.01))
    descent.step(False)
    most = LogLoss().second_derivative(descent.batch.problem.rows.y, descent.state.Z).max()
    np.testing.assert_allclose(descent.state.damping, most, rtol=1e-6)


def test_what_is_expected_is_half_of_the_slope(rng):
    descent = descent_of(rng)
    descent.arrived(never)
    state = descent.state
    np.testing.assert_allclose(state.slope, (state.g * state.P).sum())
    expected, believed = descent.expected(np.full(1, 1e300))
    assert believed.all()
    np.testing.assert_allclose(expected, -0.5 * state.slope)
    assert not descent.expected(np.zeros(1))[1].any()


def test_what_is_expected_is_relied_upon_after_a_step_that_fitted_with_a_metric_as_it_is(rng):
    descent = descent_of(rng)
    for made in range(3):
        descent.arrived(never)
        descent.step(made == 0)
    descent.arrived(never)
    state = descent.state
    assert descent.reliable(0)
    for name, doubtful, fine in (("length", [0.19, 5.1], [0.21, 4.9]), ("damping", [1e-12], [0.0])):
        for value in (*doubtful, *fine):
            setattr(state, name, np.full(1, value))
            assert descent.reliable(0) == (value in fine), (name, value)
        setattr(state, name, np.full(1, fine[0]))
    state.slope = np.full(1, -np.inf)
    assert not descent.reliable(0)


def test_huber_far_from_its_targets_is_seen_by_the_parabola_above_it(rng):
    descent = descent_of(rng, loss=Huber(epsilon=0.01), start=3.0)
    for made in range(60):
        if descent.arrived(lambda descent: np.full(1, 1e-10)).all():
            break
        descent.step(made == 0)
    assert np.linalg.norm(descent.state.g) < 1e-4


# ------------------------------------------------------------------ the method


@pytest.fixture
def few(monkeypatch):
    """Batches of a few rows, and no method for small tables."""
    for name, value in (("_SMALLEST_BATCH", 64), ("_FIRST_BATCH", 64), ("_GROWTH", 2)):
        monkeypatch.setattr(f"skvariants._quasi_newton.method.{name}", value)
    monkeypatch.setattr("skvariants._quasi_newton.small.suits", lambda *args: False)


def method_of(p, state=None):
    k = p.encoding.n_columns
    if state is None:
        state = State.start(np.zeros((p.d + 1, k)), 1, np.random.default_rng(2))
    _, costs = p.intercept_only()
    costs = costs * p.coordinates.objective_scale
    return quasi_newton(p, state, Tolerance(np.full(k, 1e-6), costs), False)


def train(method, max_iter=100):
    return Training(method, Stopping(max_iter=max_iter), np.ones(method.state.n_models)).run()


def table(rng, loss=None, target=1.0, n=600):
    X = features(rng, n, D, offset=0.0)
    z = X @ (rng.standard_normal((D, 1)) / np.logspace(-1, 1, D)[:, None]) + rng.logistic(size=(n, 1))
    y = z if loss is not None else np.where(z > 0, 1.0, -1.0)
    return problem(X, y, LogLoss() if loss is None else loss, target=target)


@pytest.mark.parametrize("target", [1.0, 4.0])
def test_the_race_of_the_first_step_is_scored_in_the_users_units(rng, few, target):
    (out,) = train(method_of(table(rng, Huber(epsilon=0.5), target)))
    assert out.race.scores.min() == pytest.approx(out.state.history[0]["objective"].item(), rel=1e-9)


@pytest.mark.parametrize("changed", [1, 60, 600])
def test_with_a_few_other_targets_the_batch_starts_again_with_all_rows(rng, few, changed):
    p = table(rng)
    (part,) = train(method_of(p), 2)
    order = same_generator(np.random.default_rng(2)).permutation(p.n)  # of the rows of a batch
    y = p.rows.y.copy()
    y[order[:changed]] *= -1
    other = replace(p, rows=rows_of(p.rows.X, y))
    assert method_of(p, part.state.copy()).state.method.sizes == [64, 128, 600]
    assert method_of(other, part.state.copy()).state.method.sizes == [600]
    (rest,), (new,) = train(method_of(other, part.state)), train(method_of(other))
    np.testing.assert_allclose(rest.theta, new.theta, atol=2e-3)


# ------------------------------------------------------------------ lengths, and the model with L1


@pytest.mark.parametrize("first", [16.0, 1.0, 0.01])
def test_a_length_that_is_too_long_falls_to_a_tenth_at_least_and_a_half_at_most(first):
    tried = []

    def along(t):
        tried.append(t.item())
        return np.where(t > first * 1e-3, 1.0 + t, 1.0 - 0.5 * t)

    start = np.full(1, first)
    t, _ = shortened(along, np.ones(1), -np.ones(1), np.zeros(1), start, along(start))
    shares = np.array(tried[1:]) / np.array(tried[:-1])
    assert ((shares >= 0.1 - 1e-12) & (shares <= 0.5 + 1e-12)).all()
    assert 0 < t.item() <= first * 1e-3


def test_the_derivative_of_a_parabola_leads_to_its_minimum_as_soon_as_it_is_in_reach():
    seen = []

    def at(t):
        seen.append(t.item())
        return 0.5 * (t - 2.8) ** 2, t - 2.8

    t, ft = wolfe_length(at, np.full(1, 3.92), np.full(1, -2.8), np.zeros(1), np.full(1, 0.1), 1e-9)
    np.testing.assert_allclose(seen, [0.1, 0.4, 1.6, 2.8])  # no more than four times as far at once
    np.testing.assert_allclose((t.item(), ft.item()), (2.8, 0), atol=1e-12)


@pytest.mark.parametrize("huge", [1e3, 1e9, 1e15])
def test_a_strength_that_holds_one_weight_at_zero_costs_the_others_no_digits(rng, huge):
    X = rng.standard_normal((60, 8))
    Q, c, strength = X.T @ X / 60, rng.standard_normal(8), np.full(8, 0.1)
    strength[3] = huge
    v, rest = lasso(Q, c, strength, np.zeros(8)), np.arange(8) != 3
    assert v[3] == 0
    np.testing.assert_allclose(v[rest], lasso(Q[np.ix_(rest, rest)], c[rest], strength[rest], np.zeros(7)), rtol=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_square_of_a_column_is_known_before_any_product(rng, scaled):
    X = features(rng, N, D, offset=-1.5)
    batch = StageBatch(problem(X, np.ones((N, 1)), scaled=scaled), 1)
    Z = np.hstack([batch.predict(column[:, None]) for column in np.eye(D + 1)])
    np.testing.assert_allclose(_mean_squares(batch)[:, 0], (Z * Z).mean(axis=0), rtol=1e-9)


def test_a_hessian_may_cost_more_the_more_a_pass_does():
    few, many = Costs(1000, 11, 10**4, 1), Costs(10**7, 101, 10**9, 1)
    assert few.affordable == AFFORDABLE
    assert many.affordable == PASSES * 4 * 10**9
    assert Costs(10**7, 101, 2 * 10**9, 1).affordable == Costs(10**7, 101, 10**9, 2).affordable == 2 * many.affordable


def test_a_metric_is_exact_only_if_it_says_so(rng, few):
    assert not Blocks().exact
    method = method_of(table(rng))
    assert method.arrived() is None
    method.iterate()
    assert method.descent.state.metric.exact
    method._grow()
    method._begin()
    assert method.descent.batch.n == 128
    assert not method.descent.state.metric.exact  # it is that of the rows before

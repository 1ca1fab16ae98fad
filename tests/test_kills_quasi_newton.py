"""Quasi-Newton steps against the definitions of their parts: L-BFGS, its memory, Levenberg's damping, stages."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from _references import features, problem
from skvariants._data.rows import rows_of
from skvariants._data.tasks import OneHotColumns
from skvariants._quasi_newton import decrement
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.costs import AFFORDABLE, PASSES, Costs
from skvariants._quasi_newton.decrement import Factored, Sampled, Surrogate, certify
from skvariants._quasi_newton.descent import Descent
from skvariants._quasi_newton.hessian import Blocks, Plan, sampled_hessian
from skvariants._quasi_newton.lasso import Kinks, lasso
from skvariants._quasi_newton.line_search import shortened, wolfe_length
from skvariants._quasi_newton.method import Tolerance, quasi_newton
from skvariants._quasi_newton.neighbours import shared_factors
from skvariants._quasi_newton.working_set import _mean_squares
from skvariants._training.certificate import Predicted
from skvariants._training.loop import Stopping, Training
from skvariants._training.state import State, same_generator
from skvariants.losses import Huber, LogLoss, MultinomialLogLoss, SquaredError, SquaredHinge

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


# ------------------------------------------------------------------ neighbours


@pytest.mark.parametrize(("intercept", "width"), [(True, 1), (False, 1), (True, 2)])
def test_a_neighbour_has_the_curvature_of_its_group_and_its_own_penalty(rng, intercept, width):
    k, alphas = 6, np.logspace(-3, 0, 6)
    # the middle of four models; the last of two
    leaders = [2, 2, 2, 2, 5, 5] if width == 1 else [4, 5, 4, 5, 4, 5]
    X = features(rng, N, D)
    y = np.where(rng.random((N, k)) < 0.5, 1.0, -1.0)
    p = problem(X, y, LogLoss(), alpha=alphas, intercept=intercept)
    theta = rng.standard_normal((D + 1, 1)) + 0.1 * rng.standard_normal((D + 1, k))
    theta[-1] *= intercept
    factors = shared_factors(StageBatch(p, width), theta)
    centred = X - X.mean(axis=0) * intercept
    C = np.c_[centred / np.sqrt((centred**2).mean(axis=0)), np.ones(N)]
    for j in range(k):
        q = 1 / (1 + np.exp(-C @ theta[:, leaders[j]]))
        H = (C * (q * (1 - q))[:, None]).T @ C / N
        H[:-1, :-1] += np.diag(np.broadcast_to(p.penalty.l2_strength, (D, k))[:, j])
        if not intercept:
            H[-1] = H[:, -1] = np.eye(D + 1)[-1]
        L = np.tril(factors[..., j])
        np.testing.assert_allclose(L @ L.T, H, rtol=1e-7, atol=1e-9)


def test_models_of_other_kinds_begin_without_the_curvature_of_neighbours(rng):
    X, theta = features(rng, N, D), np.zeros((D + 1, 3))
    p = problem(X, rng.integers(0, 3, N), MultinomialLogLoss(n_classes=3), encoding=OneHotColumns(3))
    assert shared_factors(StageBatch(p, 3), theta) is None


# ------------------------------------------------------------------ what is left to gain


def classes_or_columns(rng, width, weighted=False, intercept=True, scaled=True, l1_ratio=0.0, alpha=1e-2):
    """Rows of two columns by themselves, or of three coupled ones."""
    X, weight = features(rng, N, D), rng.random(N) + 0.5 if weighted else None
    given = dict(weight=weight, intercept=intercept, scaled=scaled, l1_ratio=l1_ratio, alpha=alpha)
    if width == 1:
        y = np.where(X[:, :1] + rng.logistic(size=(N, 2)) > 0, 1.0, -1.0)
        return problem(X, y, LogLoss(), **given), 2
    y = (X[:, :3] + rng.logistic(size=(N, 3))).argmax(axis=1)
    return problem(X, y, MultinomialLogLoss(n_classes=3), encoding=OneHotColumns(3), **given), 3


def model_of(p, k, width, rng, size=0.3):
    """A batch of all rows, some models, predictions, and the Hessian of the model of each unit as a matrix."""
    batch, theta = StageBatch(p, width), size * rng.standard_normal((p.d + 1, k))
    theta[-1] *= p.fit_intercept
    Z = batch.predict(theta)
    blocks = sampled_hessian(batch, Z, Plan(p.n, width), np.zeros(k), False)
    return batch, theta, Z, blocks


sampled_kinds = pytest.mark.parametrize(
    ("width", "weighted", "intercept", "scaled"),
    [
        (1, False, True, True),
        (1, True, False, True),
        (1, False, True, False),
        (3, False, True, True),
        (3, True, True, False),
    ],
)


@sampled_kinds
def test_products_with_some_rows_are_those_with_their_hessian(rng, width, weighted, intercept, scaled):
    p, k = classes_or_columns(rng, width, weighted, intercept, scaled)
    batch, _, Z, blocks = model_of(p, k, width, rng)
    V = rng.standard_normal((D + 1, k))
    V[-1] *= intercept
    if width > 1:  # what all classes have in common has a curvature of its own there
        V -= V.mean(axis=1, keepdims=True)
    expected = np.empty_like(V)
    for j, H in enumerate(blocks.of_each_unit()):
        blocks.put(expected, j, H @ blocks.get(V, j))
    np.testing.assert_allclose(Sampled(batch, Z, None).times(V), expected * ([[1]] * D + [[intercept]]), rtol=1e-6)


@sampled_kinds
def test_conjugate_gradients_gain_nearly_what_the_model_has_and_know_the_rest(rng, width, weighted, intercept, scaled):
    p, k = classes_or_columns(rng, width, weighted, intercept, scaled)
    batch, theta, Z, blocks = model_of(p, k, width, rng)
    sampled, g = Sampled(batch, Z, None), batch.gradient(Z, theta, True)
    step = sampled.step(g, theta)
    for j, H in enumerate(blocks.of_each_unit()):
        at, x = blocks.get(g, j), blocks.get(step, j)
        most, gained = 0.5 * at @ np.linalg.solve(H, at), -(at @ x + 0.5 * x @ H @ x)
        assert 0.9 * most <= gained <= most * (1 + 1e-9)
        assert most - gained <= 2 * sampled.unsolved[j] <= 0.25 * most


def test_a_diagonal_model_is_solved_by_one_product(rng):
    X = np.linalg.qr(rng.standard_normal((N, D)))[0] * np.logspace(-2, 2, D)
    p = problem(X, rng.standard_normal((N, 1)), SquaredError(), alpha=0.0, scaled=False, intercept=False)
    batch, theta = StageBatch(p, 1), np.zeros((D + 1, 1))
    Z = batch.predict(theta)
    sampled, g, seen = Sampled(batch, Z, None), batch.gradient(Z, theta, True), []
    sampled.diagonal[:-1, 0], times = (X**2).sum(axis=0) / N, sampled.times
    sampled.times = lambda V: seen.append(1) or times(V)
    np.testing.assert_allclose(sampled.step(g, theta)[:-1], np.linalg.lstsq(X, p.rows.y)[0])
    assert len(seen) <= 3  # two more to know that nothing is left
    assert sampled.unsolved[0] <= 1e-12


@pytest.mark.parametrize("intercept", [True, False])
def test_proximal_steps_come_near_the_minimum_of_the_model_with_l1(rng, intercept):
    p, k = classes_or_columns(rng, 1, intercept=intercept, l1_ratio=0.5, alpha=0.05)
    batch, theta, Z, blocks = model_of(p, k, 1, rng)
    l1 = np.zeros((D + 1, k))
    l1[:-1] = p.penalty.l1_strength
    g = batch.gradient(Z, theta, True)
    step = Sampled(batch, Z, Kinks(l1)).step(g, theta)
    for j, H in enumerate(blocks.of_each_unit()):
        c, v = g[:, j] * ([1] * D + [intercept]), theta[:, j]

        def model(x, H=H, c=c, v=v, j=j):
            return c @ x + 0.5 * x @ H @ x + l1[:, j] @ (abs(v + x) - abs(v))

        best = model(lasso(H, c - H @ v, l1[:, j], v) - v)
        assert best <= model(step[:, j]) <= 0.99 * best < 0
    if not intercept:
        assert (step[-1] == 0).all()


def test_what_a_search_with_l1_did_not_reach_is_left_over(rng, monkeypatch):
    p, k = classes_or_columns(rng, 1, l1_ratio=0.5, alpha=0.05)
    batch, theta, Z, blocks = model_of(p, k, 1, rng)
    l1, g = np.full((D + 1, k), 0.02), batch.gradient(Z, theta, True)
    l1[-1] = 0
    monkeypatch.setattr(decrement, "lasso", lambda Q, c, strength, v, bounds=None: v)
    curvature = Factored(blocks, Kinks(l1))
    assert (curvature.step(g, theta) == 0).all()
    for j, H in enumerate(blocks.of_each_unit()):
        # the best that a weight alone can gain
        best, x = 0.0, np.linspace(-5, 5, 100_001)
        for i in range(D + 1):
            kink = l1[i, j] * (abs(theta[i, j] + x) - abs(theta[i, j]))
            best = min(best, (g[i, j] * x + 0.5 * H[i, i] * x**2 + kink).min())
        assert 0 < -best <= curvature.unsolved[j] * (1 + 1e-6)


def least(p, width=1):
    """The optimum of one model, by scipy."""
    batch, shape = StageBatch(p, width), (p.d + 1, width)

    def f(v):
        Z = batch.predict(v.reshape(shape))
        return batch.objective(Z, v.reshape(shape))[0], batch.gradient(Z, v.reshape(shape), True).ravel()

    return minimize(f, np.full(shape, 1e-3).ravel(), jac=True, tol=1e-12, method="L-BFGS-B").x.reshape(shape)


def certificate_of(p, theta, width=1):
    (found,) = certify(p, theta, width, np.array([np.inf]), np.zeros(1))
    return found


def test_the_estimate_holds_what_a_better_intercept_gains(rng):
    X = features(rng, N, D)
    p = problem(X, np.where(X[:, :1] + rng.logistic(size=(N, 1)) > 1, 1.0, -1.0), LogLoss())
    best = least(p)
    theta = best + 3.0 * (np.arange(D + 1) == D)[:, None]
    truth = certificate_of(p, theta).objective - certificate_of(p, best).objective
    assert truth > 0.1
    assert certificate_of(p, theta).estimate == pytest.approx(truth, rel=0.05)


def test_classes_that_are_coupled_are_estimated_together(rng):
    p, _ = classes_or_columns(rng, 3)
    best = least(p, 3)
    theta = best + 0.1 * rng.standard_normal(best.shape)
    truth = certificate_of(p, theta, 3).objective - certificate_of(p, best, 3).objective
    assert certificate_of(p, theta, 3).estimate == pytest.approx(truth, rel=0.02)
    at = Predicted(p, theta)
    u = at.slopes(at.Z)
    surrogate = Surrogate(at, at.Z, u, at.products([u])[0])
    _, expected = surrogate.model(surrogate.Z, surrogate.theta)
    assert expected[0] == pytest.approx(truth, rel=0.1)  # by one step

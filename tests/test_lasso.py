"""The quadratic model with an L1 part: its exact minimum, and its update."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import nnls

from _references import lasso_by_coordinates
from skvariants._quasi_newton import lasso as lasso_module
from skvariants._quasi_newton.lasso import bfgs, lasso


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def assert_optimal(Q, c, strength, v, atol=1e-8):
    """The conditions of the minimum: the gradient is minus the derivative of L1, or no larger than its strength."""
    gradient, scale = c + Q @ v, np.abs(c).max() + strength.max()
    moved = v != 0
    assert_allclose(gradient[moved], -(strength * np.sign(v))[moved], atol=atol * scale)
    assert (np.abs(gradient[~moved]) <= strength[~moved] + atol * scale).all()


def random_model(rng, d, n=None, correlation=0.0):
    n = 3 * d if n is None else n
    X = rng.standard_normal((n, d)) + correlation * rng.standard_normal((n, 1))
    return X.T @ X / n, rng.standard_normal(d)


# ------------------------------------------------------------------ the minimum


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5, 10.0])
def test_the_minimum_is_coordinate_descents(rng, alpha):
    X = rng.standard_normal((80, 12)) + rng.standard_normal((80, 1))
    y = X @ np.where(np.arange(12) % 3, 0.0, 1.0) + 0.1 * rng.standard_normal(80)
    expected = lasso_by_coordinates(X, y, alpha, n_iter=2000)
    for start in (np.zeros(12), rng.standard_normal(12), expected):
        found = lasso(X.T @ X / 80, -X.T @ y / 80, np.full(12, alpha), start)
        assert_allclose(found, expected, atol=1e-8)
        assert_array_equal(found == 0, expected == 0)


@pytest.mark.parametrize("seed", range(20))
def test_the_conditions_of_the_minimum_hold_from_any_start(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 60))
    Q, c = random_model(rng, d, correlation=float(rng.choice([0.0, 1.0, 10.0])))
    strength = rng.choice([0.0, 0.01, 0.3, 2.0], d)  # some weights are free
    start = rng.standard_normal(d) * rng.integers(0, 2, d) * rng.choice([1e-3, 1.0, 100.0])
    kept = start.copy()
    v = lasso(Q, c, strength, start)
    assert_optimal(Q, c, strength, v)
    assert_array_equal(start, kept)


@pytest.mark.parametrize("seed", range(12))
def test_singular_models_in_unequal_units_have_a_minimum_too(seed):
    rng = np.random.default_rng(seed)
    d, n = int(rng.integers(5, 80)), int(rng.integers(3, 30))
    X = rng.standard_normal((n, d)) + float(rng.choice([0.0, 3.0])) * rng.standard_normal((n, 1))
    X[:, 1], X[:, 2] = X[:, 0], 0.0  # a copy, and a column without curvature
    X *= 10.0 ** rng.integers(-3, 4, d)
    y = rng.standard_normal(n)
    Q, c, unit = X.T @ X / n, -X.T @ y / n, np.sqrt((X * X).mean(axis=0))
    strength = np.where(unit > 0, unit, 1.0) * float(rng.choice([1e-3, 1e-2, 0.1]))
    for start in (np.zeros(d), rng.standard_normal(d) / np.where(unit > 0, unit, 1.0)):
        v = lasso(Q, c, strength, start)
        unit_of = np.where(unit > 0, unit, 1.0)
        assert_optimal(Q / np.outer(unit_of, unit_of), c / unit_of, strength / unit_of, v * unit_of)


def test_an_autoregressive_model_takes_a_few_dozen_factors(rng, monkeypatch):
    counted = []
    factor = lasso_module._factor
    monkeypatch.setattr(lasso_module, "_factor", lambda *args: counted.append(1) or factor(*args))
    X = rng.standard_normal((300, 100))
    for j in range(1, 100):
        X[:, j] = 0.9 * X[:, j - 1] + 0.43 * X[:, j]
    c = -X.T @ (X[:, ::9].sum(axis=1) + rng.standard_normal(300)) / 300
    for alpha in (1.0, 0.1, 0.01):
        assert_optimal(X.T @ X / 300, c, np.full(100, alpha), lasso(X.T @ X / 300, c, np.full(100, alpha), 0 * c))
    assert len(counted) < 150


def test_without_l1_it_is_newtons_step(rng):
    Q, c = random_model(rng, 9)
    assert_allclose(lasso(Q, c, np.zeros(9), rng.standard_normal(9)), -np.linalg.solve(Q, c), rtol=1e-9)


def test_a_strength_that_nothing_exceeds_gives_zeros(rng):
    Q, c = random_model(rng, 9)
    assert_array_equal(lasso(Q, c, np.full(9, np.abs(c).max() * 1.001), rng.standard_normal(9)), np.zeros(9))


def test_many_weights_join_and_few_stay(rng):
    Q, c = random_model(rng, 200, n=250, correlation=3.0)
    strength = np.full(200, 0.9 * np.abs(c).max())
    v = lasso(Q, c, strength, np.zeros(200))
    assert_optimal(Q, c, strength, v)
    assert 0 < np.count_nonzero(v) < 40


def test_a_model_that_is_not_convex_ends_where_it_can(rng):
    Q, c = -np.eye(3), rng.standard_normal(3)
    assert_array_equal(lasso(Q, c, np.full(3, 0.1), np.zeros(3)), np.zeros(3))


# ------------------------------------------------------------------ the update


def test_the_update_knows_the_last_step_and_keeps_the_rest(rng):
    Q, _ = random_model(rng, 6)
    H, _ = random_model(rng, 6)
    s = rng.standard_normal(6)
    y = H @ s
    before = Q.copy()
    bfgs(Q, s, y)
    assert_allclose(Q @ s, y)  # the secant condition
    assert_allclose(Q, Q.T)
    assert np.linalg.eigvalsh(Q)[0] > 0
    # what is orthogonal to both y and B s stays
    basis = np.linalg.svd(np.array([y, before @ s]))[2][2:]
    assert_allclose(basis @ Q @ basis.T, basis @ before @ basis.T, atol=1e-12)


def test_updates_along_all_directions_are_the_hessian(rng):
    H, _ = random_model(rng, 5)
    Q = np.eye(5)
    directions = np.linalg.eigh(H)[1].T  # conjugate
    for s in directions:
        bfgs(Q, s, H @ s)
    assert_allclose(Q, H, atol=1e-10)


@pytest.mark.parametrize("curvature", [0.0, -1.0, 1e-12])
def test_without_curvature_there_is_no_update(rng, curvature):
    Q, s = random_model(rng, 4)
    before = Q.copy()
    bfgs(Q, s, curvature * s)
    assert_array_equal(Q, before)
    bfgs(Q, np.zeros(4), s)
    assert_array_equal(Q, before)


# ------------------------------------------------------------------ within bounds


@pytest.mark.parametrize("seed", range(40))
def test_within_bounds_the_conditions_of_the_minimum_hold(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 80))
    Q, c = random_model(rng, d, correlation=float(rng.choice([0.0, 1.0, 10.0])))
    strength = rng.choice([0.0, 0.01, 0.3], d)
    lower = rng.choice([-np.inf, 0.0, -0.1, 0.05], d)
    upper = np.maximum(lower, rng.choice([np.inf, 0.0, 0.2, -0.1], d))
    start = rng.standard_normal(d) * rng.integers(0, 2, d)
    v = lasso(Q, c, strength, start, (lower, upper))
    assert ((lower <= v) & (v <= upper)).all()
    gradient, slope = Q @ v + c, strength * np.sign(v)
    left, right = np.where(v == 0, -strength, slope), np.where(v == 0, strength, slope)
    atol = 1e-9 * (np.abs(c).max() + 1)
    # no weight gains by going left, nor by going right, where it may
    assert (gradient + left <= atol)[v > lower].all()
    assert (gradient + right >= -atol)[v < upper].all()
    expected = lasso(Q, c, strength, start) if np.isinf([lower, upper]).all() else v
    assert_allclose(v, expected, atol=1e-9)


def test_bounds_that_hold_nothing_change_nothing(rng):
    Q, c = random_model(rng, 30)
    strength, far = rng.choice([0.0, 0.1, 0.5], 30), np.full(30, 1e6)
    plain = lasso(Q, c, strength, np.zeros(30))
    assert_allclose(lasso(Q, c, strength, np.zeros(30), (-far, far)), plain, atol=1e-12)
    assert_array_equal(lasso(Q, c, strength, np.zeros(30), (-far, far)) == 0, plain == 0)


def test_it_is_non_negative_least_squares(rng):
    X, y = rng.standard_normal((120, 60)), rng.standard_normal(120)
    v = lasso(X.T @ X, -X.T @ y, np.zeros(60), np.zeros(60), (np.zeros(60), np.full(60, np.inf)))
    assert_allclose(v, nnls(X, y)[0], atol=1e-10)

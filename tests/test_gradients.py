"""Gradients of a batch: the derivative of its mean weighted loss."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _oracles import partial_derivatives
from _references import features, problem
from skvariants import SGDVariantRegressor
from skvariants._data.sparse import Slices
from skvariants._data.tasks import OneHotColumns
from skvariants._training.gradients import Batch, BatchGradient
from skvariants.losses import Huber, LogLoss, MultinomialLogLoss

N, D, K = 40, 5, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def batch_of(rng, loss, data=np.asarray, scaled=True, weighted=True):
    """A problem, where it stands, and everything of its rows 8 to 24."""
    X, y = features(rng, N, D, zeros=0.4), rng.choice([-1.0, 1.0], (N, K))
    weight = rng.random(N) + 0.5 if weighted else None
    p = problem(data(X), y, loss, weight=weight, scaled=scaled)
    theta, rows = rng.standard_normal((D + 1, K)), slice(8, 24)
    batch = p.rows.X[rows] if isinstance(p.rows.X, np.ndarray) else Slices(p.rows.X)[rows]
    return p, theta, batch, X[rows], y[rows], None if weight is None else weight[rows, None]


@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_the_derivative_of_the_mean_weighted_loss(rng, data, scaled, weighted):
    p, theta, batch, X, y, s = batch_of(rng, LogLoss(), data, scaled, weighted)
    z, r = np.empty((2, 16, K))
    g = BatchGradient(p, 16, theta)(batch, y, s, z, r)

    def objective(theta):
        return p.loss.total(y, p.predict(X, theta), s).sum() / 16 * p.coordinates.objective_scale

    assert_allclose(g, partial_derivatives(objective, theta), rtol=1e-6, atol=1e-8)
    assert_allclose(z, p.predict(X, theta))
    assert_allclose(r, p.loss.gradient(y, z, np.empty_like(z)))


def test_derivatives_are_left_without_weights_for_the_loss_of_the_epoch(rng):
    p, theta, batch, _, y, s = batch_of(rng, LogLoss())
    r, plain = np.empty((2, 16, K))
    BatchGradient(p, 16, theta)(batch, y, s, np.empty((16, K)), r)
    BatchGradient(p, 16, theta)(batch, y, None, np.empty((16, K)), plain)
    assert_array_equal(r, plain)


def test_the_derivative_of_a_single_sample_is_cut_as_scikit_learn_cuts_it(rng):
    p, theta, _, X, _, _ = batch_of(rng, None, scaled=False, weighted=False)
    y, z, r = np.full((1, K), 1e14), *np.empty((2, 1, K))
    g = BatchGradient(p, 1, theta)(X[:1], y, None, z, r)
    assert_allclose(g[-1], -1e12)
    assert_allclose(r, -1e14)
    assert_allclose(BatchGradient(p, 16, theta)(X[:1], y, None, z, r)[-1], -1e14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_all_classes_have_in_common_changes_no_derivative_however_large(rng, dtype):
    X, codes = rng.standard_normal((N, D)).astype(dtype), rng.integers(0, 3, N)
    two_models = OneHotColumns(3, dtype).take(np.arange(6) % 3)
    p = problem(X, codes, MultinomialLogLoss(n_classes=3), encoding=two_models, scaled=False)
    theta, (y, _) = (0.5 * rng.standard_normal((D + 1, 6))).astype(dtype), p.labels_of(slice(None))
    z, mild, wild = np.empty((3, N, 6), dtype)
    BatchGradient(p, N, theta)(X, y, None, z, mild)
    theta[-1] += 128
    BatchGradient(p, N, theta)(X, y, None, z, wild)
    assert_allclose(wild, mild, atol=1e-13 if dtype == np.float64 else 2e-5)
    theta *= 1e4
    assert np.isfinite(BatchGradient(p, N, theta)(X, y, None, z, wild)).all()


@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_rows_of_a_step_say_what_a_rule_of_its_own_needs(rng, data, scaled, weighted):
    p, theta, batch, X, y, s = batch_of(rng, Huber(epsilon=0.5), data, scaled, weighted)
    z, r = np.empty((2, 16, K))
    gradient = BatchGradient(p, 16, theta)
    rows = Batch(gradient, batch, y, s, z, r)
    assert_allclose(rows.z, p.predict(X, theta))
    assert_allclose(rows.r, p.loss.gradient(y, z, np.empty_like(z)))
    assert_allclose(rows.value(), p.loss.value(y, rows.z))
    C = p.coordinates.rows(X, float)[:, :-1]
    assert_allclose(rows.square_norms()[:, 0], (C**2).sum(axis=1))
    g = rows.gradient(rows.r).copy()
    assert_allclose(g, gradient(batch, y, s, z, r), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("offset", [3.0, 1e3, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["adagrad", "adam", "rprop", "cocob"])
def test_a_rounding_is_no_slope_of_the_intercept(rng, name, weighted, offset):
    # on all rows of centred columns the mean is the optimum; a solver that divides by the size would leave it
    units = np.logspace(-2, 2, 6)
    X = (rng.normal(size=(150, 6)) + offset) * units
    y = X @ (1 / units) + rng.normal(size=150)
    weight = rng.random(150) if weighted else None
    model = SGDVariantRegressor(
        solver=name, batch_size="full", eta0=0.1, learning_rate="constant", scale_features=True, max_iter=20, tol=None
    ).fit(X, y, sample_weight=weight)
    mean = np.average(X, axis=0, weights=weight) @ model.coef_ + model.intercept_[0]
    assert mean == pytest.approx(np.average(y, weights=weight), abs=1e-12 * np.abs(y).max())

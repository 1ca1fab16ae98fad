"""Batches of one sample on Python floats take the steps of the plain rule."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from _references import features, in_domain, problem, steps
from skvariants._component import hyperparameter
from skvariants._data.scaling import Moments
from skvariants._data.tasks import ClassColumns
from skvariants._training.per_sample import fits_per_sample
from skvariants.losses import LOSSES, LogLoss, MultinomialLogLoss, SquaredError
from skvariants.penalties import ElasticNet, Penalty
from skvariants.schedules import Constant, InvScaling
from skvariants.solvers import SGD, MiniBatch, Momentum

N, D = 230, 7


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def both(p, epochs=3, **kwargs):
    """Parameters, updates and losses by this path and by the plain rule."""
    results = []
    for fast in (True, False):
        s = steps(p, solver=SGD(), batch=1, **kwargs)
        assert s.one_by_one
        s.one_by_one = fast
        curve = np.array([s.epoch() for _ in range(epochs)])
        results.append((s.state.theta, s.state.t, curve))
    return results


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", ["raw", "scaled", "sparse"])
def test_one_sample_at_a_time_is_the_step(rng, dtype, weighted, intercept, kind):
    X = features(rng, zeros=0.5).astype(dtype)
    X[:, 3] = 0.0  # a column of scale zero
    y = 7 * rng.standard_normal((N, 1)) + 3
    weight = (rng.random(N) + 0.5).astype(dtype) if weighted else None
    data = sp.csr_matrix(np.hstack([X, np.zeros((N, 90), dtype)])) if kind == "sparse" else X
    p = problem(data, y, scaled=kind == "scaled", weight=weight, target=7.0, intercept=intercept)
    (theta, t, curve), (plain, updates, same) = both(p, schedule=InvScaling(eta0=0.01))
    tolerance = 1e-9 if dtype == np.float64 else 2e-4
    assert_allclose(theta, plain, rtol=tolerance, atol=tolerance * 0.1)
    assert_allclose(curve, same, rtol=tolerance)
    assert t == updates == 3 * N


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "squared_error"])
@pytest.mark.parametrize("scaled", [False, True])
def test_one_sample_at_a_time_is_the_step_for_every_loss(rng, name, scaled):
    X, y = features(rng), in_domain(LOSSES[name](), np.where(rng.random((N, 1)) < 0.4, -1.0, 1.0))
    # in raw units a step of 0.05 would diverge
    p, eta0 = problem(X, y, LOSSES[name](), scaled=scaled), 0.05 if scaled else 1e-3
    (theta, _, _), (plain, _, _) = both(p, epochs=1, eta0=eta0)
    assert_allclose(theta, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scaled", [False, True])
def test_columns_have_their_own_units_steps_and_targets(rng, scaled):
    X, codes = features(rng), rng.integers(0, 3, N)
    p = problem(X, codes, LogLoss(), encoding=ClassColumns(3), scaled=scaled, target=np.array([1.0, 2.0, 5.0]))
    results = []
    for fast in (True, False):
        s = steps(p, k=3, solver=SGD(), batch=1)
        s.one_by_one, s.state.step_factor = fast, np.array([1.0, 0.1, 0.5])
        results.append((s.epoch(), s.state.theta))
    for one, other in zip(*results, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_shrinkage_that_is_almost_all_leaves_digits(rng, scaled):
    # each step keeps 1 - eta * alpha of the weights: a hundredth, or nothing
    for alpha in (9.9, 20.0):
        p = problem(features(rng), rng.standard_normal((N, 1)), alpha=alpha, scaled=scaled)
        (theta, _, _), (plain, _, _) = both(p, epochs=1, eta0=0.1 if not scaled else 0.01)
        assert_allclose(theta, plain, rtol=1e-9, atol=1e-12)


def test_derivatives_are_cut_where_the_plain_rule_cuts_them(rng):
    X, y = rng.standard_normal((20, 2)), np.full((20, 1), 1e14)
    (theta, _, _), (plain, _, _) = both(problem(X, y, scaled=False, alpha=0.0), epochs=1, eta0=1e-6)
    assert_allclose(theta, plain, rtol=1e-9)
    assert np.abs(theta).max() <= 20 * 1e6 * np.abs(X).max()


class Cubes(Penalty):
    """A penalty that is neither L1 nor L2."""

    def value(self, W):
        return (np.abs(W) ** 3).sum(axis=0)

    def add_gradient(self, W, out):
        out += 3 * W * np.abs(W)

    def prox(self, W, step, smooth=True):
        W *= 0.5


class ByColumn(SquaredError):
    """A loss with a value for each column."""

    factor: float = hyperparameter(1.0, axis="column")


def test_only_what_the_loop_can_do_comes_here(rng):
    X, Y = features(rng), rng.standard_normal((N, 2))

    def fits(p, k=1, **kwargs):
        return fits_per_sample(steps(p, k=k, batch=1, **{"solver": SGD(), **kwargs}))

    assert fits(problem(X, Y[:, :1]))
    assert fits(problem(X, Y), k=2)
    assert fits(problem(X, Y[:, :1]), solver=MiniBatch())
    assert not fits(problem(X, Y[:, :1]), solver=Momentum())
    assert not fits(problem(X, np.repeat(Y, 5, axis=1)), k=10)
    assert not fits(problem(X, Y[:, :1], l1_ratio=0.5))
    assert not fits(problem(X, Y, MultinomialLogLoss(n_classes=2)), k=2)
    assert not fits(problem(X, Y, ByColumn(factor=np.array([1.0, 2.0]))), k=2)
    assert not fits(problem(X, Y), k=2, schedule=Constant(eta0=np.array([0.1, 0.2])))
    raw = problem(X, Y[:, :1], scaled=False)
    raw.penalty = ElasticNet(alpha=0.1, l1_ratio=0.0, units=np.arange(1.0, D + 1))
    assert not fits(raw)
    raw.penalty = Cubes()
    assert not fits(raw)
    assert not steps(problem(X, Y[:, :1]), solver=SGD(), batch=2).one_by_one
    assert not steps(problem(X, Y[:, :1]), solver=SGD(), batch=1, average=1).one_by_one


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("alpha", [0.0, 1e-2, 10.0])
@pytest.mark.parametrize("full", [0, 3])
def test_sparse_rows_in_standardised_coordinates_take_the_steps_of_dense_ones(rng, dtype, alpha, full):
    X = np.where(rng.random((N, 200)) < 0.02, rng.standard_normal((N, 200)) + 0.3, 0.0)
    X[:, :full] = rng.random((N, full)) + 1
    X[:, 7] = 0.0
    X, target = X.astype(dtype), np.array([2.0, 5.0])
    Y = (7 * rng.standard_normal((N, 2)) + 3).astype(dtype)
    moments = Moments()
    moments.update(X, filling=True)
    coordinates = moments.coordinates(True, target, dtype, rare=True)
    assert np.count_nonzero(coordinates.mean_row) == full
    penalty = ElasticNet(alpha, 0.0).rescaled(coordinates.units, coordinates.objective_scale)
    results = []
    for data, fast in ((sp.csr_matrix(X), True), (X, True), (X, False)):
        p = replace(problem(data, Y, target=target), coordinates=coordinates, penalty=penalty)
        s = steps(p, k=2, solver=SGD(), batch=1, eta0=0.01)
        assert s.one_by_one
        s.one_by_one, s.state.step_factor = fast, np.array([1.0, 0.5])
        results.append((np.array([s.epoch(), s.epoch()]), s.state.theta))
    tolerance = 1e-9 if dtype == np.float64 else 2e-4
    for result in results[:2]:
        for one, other in zip(result, results[2], strict=True):
            assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


def test_sparse_rows_whose_step_changes_with_each_sample_come_to_the_same(rng):
    X = sp.csr_matrix(np.where(rng.random((N, 200)) < 0.02, rng.standard_normal((N, 200)), 0.0))
    y = rng.standard_normal((N, 1))
    thetas = []
    for data in (X, X.toarray()):
        p = problem(data, y, intercept=False)
        s = steps(p, solver=SGD(), batch=1, schedule=InvScaling(eta0=0.01))
        s.epoch()
        thetas.append(s.state.theta)
    assert_allclose(*thetas, rtol=1e-9, atol=1e-12)

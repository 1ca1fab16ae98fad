"""Lazy steps are the plain steps, and touch what the rows touch."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import STEPPING, problem, steps
from skvariants import SGDVariantClassifier
from skvariants._component import hyperparameter
from skvariants._data.scaling import Moments
from skvariants._data.tasks import OneHotColumns
from skvariants.losses import Hinge, LogLoss, MultinomialLogLoss
from skvariants.penalties import ElasticNet, Penalty
from skvariants.schedules import Constant, InvScaling
from skvariants.solvers import SGD, SOLVERS, AdaGrad, Adam, MiniBatch, Momentum

N, D = 230, 1200
#: Those that ask for rows go one by one, or touch all features (tests/test_solvers_rows.py).
LAZY = [
    name for name in STEPPING
    if SOLVERS[name].lazy and SOLVERS[name].batch_size != "full" and not SOLVERS[name].needs
]  # fmt: skip
every_lazy_solver = pytest.mark.parametrize("name", LAZY)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def table(rng, dtype=float, full=3):
    """Rows with a handful of stored values each, a few columns that are filled, and one that is empty."""
    X = np.where(rng.random((N, D)) < 0.003, rng.standard_normal((N, D)) + 0.3, 0.0)
    X[:, :full] = np.where(rng.random((N, full)) < 0.6, rng.random((N, full)) + 1.0, 0.0)
    X[:, 7] = 0.0
    return sp.csr_matrix(X.astype(dtype))


def lazily(X, y, *args, scaled=True, target=1.0, weight=None, intercept=True, batch=8, **kwargs):
    """A problem whose rare columns stay uncentred, if it is standardised."""
    p = problem(X, y, *args, scaled=scaled, target=target, weight=weight, intercept=intercept, **kwargs)
    if scaled:
        moments = p.rows.moments(filling=True)
        assert moments.touches_few(batch)
        coordinates = moments.coordinates(intercept, target, X.dtype, rare=True)
        penalty = ElasticNet(kwargs.get("alpha", 1e-2), kwargs.get("l1_ratio", 0.0))
        penalty = penalty.rescaled(coordinates.units, coordinates.objective_scale)
        p = replace(p, coordinates=coordinates, penalty=penalty)
    return p


def both(p, epochs=2, max_steps=None, **kwargs):
    """The method after some epochs of lazy steps, and of plain ones, with the losses on the way."""
    results = []
    for is_lazy in (True, False):
        s = steps(p, **kwargs)
        assert s.lazy is not None
        s.one_by_one = False
        if not is_lazy:
            s.lazy = None
        results.append((s, np.array([s.epoch(max_steps) for _ in range(epochs)])))
    return results


def assert_same(results, tolerance=1e-9):
    (one, curve), (other, plain) = results
    assert one.state.t == other.state.t > 0
    assert_allclose(curve, plain, rtol=tolerance)
    arrays = zip((one.state.theta, *one.state.memory), (other.state.theta, *other.state.memory), strict=True)
    for a, b in arrays:
        assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())
    assert_array_equal(one.state.theta == 0, other.state.theta == 0)


# ------------------------------------------------------------------ the plain rule


@every_lazy_solver
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.0, 0.0), (0.05, 0.0), (0.05, 1.0), (0.05, 0.3)])
@pytest.mark.parametrize("batch", [1, 8])
def test_lazy_steps_are_the_plain_steps(rng, name, scaled, alpha, l1_ratio, batch):
    p = lazily(table(rng), rng.choice([-1.0, 1.0], (N, 2)), LogLoss(), scaled=scaled, alpha=alpha, l1_ratio=l1_ratio)
    solver, l2 = SOLVERS[name](), alpha > 0 and l1_ratio < 1
    if not scaled and l2 and (name == "adagrad" or (name == "sgd" and l1_ratio > 0)):
        # the gradient holds what L2 is due, or the cumulative penalty is not all
        assert steps(p, k=2, solver=solver, batch=batch).lazy is None
        return
    assert_same(both(p, k=2, solver=solver, batch=batch, eta0=0.05))


@every_lazy_solver
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_precision_and_units_of_targets_are_those_of_plain_steps(rng, name, dtype, intercept, weighted):
    X, y = table(rng, dtype), (5 * rng.standard_normal((N, 1)) + 2).astype(dtype)
    weight = (rng.random(N) + 0.5).astype(dtype) if weighted else None
    p = lazily(X, y, weight=weight, intercept=intercept, target=5.0)
    assert_same(both(p, solver=SOLVERS[name](), batch=8, eta0=0.01), 1e-9 if dtype == np.float64 else 2e-4)


@every_lazy_solver
def test_columns_have_their_own_targets_steps_and_factors(rng, name):
    p = lazily(table(rng), rng.standard_normal((N, 3)), target=np.array([1.0, 2.0, 5.0]), alpha=0.1)
    results = []
    for is_lazy in (True, False):
        s = steps(p, k=3, solver=SOLVERS[name](), schedule=Constant(eta0=np.array([0.01, 0.02, 0.05])), batch=8)
        s.state.step_factor = np.array([1.0, 0.1, 0.5])
        s.lazy = s.lazy if is_lazy else None
        results.append((s, np.array([s.epoch(), s.epoch()])))
    assert_same(results)


def test_classes_that_are_coupled_are_stepped_together(rng):
    p = lazily(table(rng), rng.integers(0, 3, N), MultinomialLogLoss(n_classes=3), encoding=OneHotColumns(3))
    assert_same(both(p, k=3, solver=AdaGrad(), batch=8))


@every_lazy_solver
def test_part_of_an_epoch_is_settled_too(rng, name):
    p = lazily(table(rng), rng.choice([-1.0, 1.0], (N, 1)), Hinge(), alpha=0.1)
    assert_same(both(p, epochs=3, max_steps=7, solver=SOLVERS[name](), batch=8))


@every_lazy_solver
@pytest.mark.parametrize("scaled", [False, True])
def test_what_is_postponed_is_made_up_for_before_the_length_of_the_step_changes(rng, monkeypatch, name, scaled):
    l1_ratio = 0.5 if scaled else 1.0
    p = lazily(table(rng), rng.choice([-1.0, 1.0], (N, 1)), LogLoss(), alpha=0.05, l1_ratio=l1_ratio, scaled=scaled)
    schedule = InvScaling(eta0=0.1)
    s = steps(p, solver=SOLVERS[name](), schedule=schedule, batch=8)
    assert not s._is_steady()  # plain steps cost less then
    monkeypatch.setattr(type(s), "_is_steady", lambda self: self.lazy is not None)
    assert_same(both(p, solver=SOLVERS[name](), schedule=schedule, batch=8))


def test_without_a_penalty_any_schedule_will_do(rng):
    p = lazily(table(rng), rng.choice([-1.0, 1.0], (N, 1)), LogLoss(), alpha=0.0)
    s = steps(p, solver=AdaGrad(), schedule=InvScaling(eta0=0.1), batch=8)
    assert s._is_steady()
    assert_same(both(p, solver=AdaGrad(), schedule=InvScaling(eta0=0.1), batch=8))


@pytest.mark.parametrize("alpha", [9.9, 20.0, 1e6])
def test_a_shrinkage_that_is_almost_all_leaves_digits(rng, alpha):
    for scaled in (False, True):
        p = lazily(table(rng), rng.standard_normal((N, 1)), alpha=alpha, scaled=scaled)
        assert_same(both(p, solver=MiniBatch(), batch=8, eta0=0.1))


# ------------------------------------------------------------------ what is touched


def test_a_step_sees_the_features_that_its_rows_store_and_those_that_are_centred(rng):
    X, seen = table(rng), []

    class Watched(MiniBatch):
        lazy = True

        def step(self, g, t, work, *memory):
            seen.append(len(g) - 1)
            return g, None

    p = lazily(X, rng.choice([-1.0, 1.0], (N, 1)), LogLoss(), alpha=0.0)
    centred = np.flatnonzero(p.coordinates.mean_row)
    assert_array_equal(centred, [0, 1, 2])
    steps(p, solver=Watched(), batch=8, shuffle=False).epoch()
    batches = [X[start : start + 8].indices for start in range(0, N, 8)]
    assert seen == [len(set(stored) | set(centred)) for stored in batches]


class Cubes(Penalty):
    """A penalty that is neither L1 nor L2."""

    def value(self, W):
        return (np.abs(W) ** 3).sum(axis=0)

    def add_gradient(self, W, out):
        out += 3 * W * np.abs(W)

    def prox(self, W, step, smooth=True):
        W *= 0.5


class Decaying(AdaGrad):
    """A subclass that forgets; it does not say that it is lazy."""

    decay: float = hyperparameter(0.9)

    def step(self, g, t, work, *memory):
        memory[0][...] *= self.decay
        return super().step(g, t, work, *memory)


def test_only_what_is_exact_and_cheaper_is_lazy(rng):
    X, y = table(rng), rng.choice([-1.0, 1.0], (N, 1))

    def is_lazy(p, solver=None, batch=8, **kwargs):
        return steps(p, solver=MiniBatch() if solver is None else solver, batch=batch, **kwargs).lazy is not None

    p = lazily(X, y)
    assert is_lazy(p)
    assert is_lazy(p, AdaGrad())
    assert not any(is_lazy(p, solver) for solver in (Momentum(), Adam(), Decaying()))
    assert not is_lazy(p, average=1)
    assert not is_lazy(p, batch=64)
    assert not is_lazy(p, batch=N)
    assert not is_lazy(lazily(sp.csr_matrix(X.toarray()[:, :60]), y, scaled=False))
    assert not is_lazy(problem(X.toarray(), y))
    assert not is_lazy(problem(X, y))  # every column is centred
    assert is_lazy(problem(X, y, intercept=False))
    assert not is_lazy(replace(p, penalty=Cubes()))


def test_a_user_s_solver_is_lazy_only_if_it_says_so():
    class Renamed(SGD):
        eta0 = 0.5

    class Again(MiniBatch):
        lazy = True

        def step(self, g, t, work, *memory):
            return g, None

    assert Renamed.lazy
    assert Again.lazy
    assert not Decaying.lazy


# ------------------------------------------------------------------ fits


@every_lazy_solver
@pytest.mark.parametrize("penalty", ["l2", "l1", None])
def test_sparse_rows_give_the_model_of_dense_ones(rng, name, penalty):
    X = table(rng)
    y = (X @ rng.standard_normal(D) > 0).astype(int)
    params = dict(eta0=0.05, scale_features=True, batch_size=8, max_iter=3, tol=None, random_state=0)
    models = [SGDVariantClassifier(solver=name, penalty=penalty, **params).fit(data, y) for data in (X, X.toarray())]
    assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-8, atol=1e-12)
    assert_allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=1e-9)
    assert_array_equal(models[0].coef_ == 0, models[1].coef_ == 0)


@pytest.mark.parametrize("name", ["minibatch", "adagrad"])
def test_streams_keep_their_coordinates_and_their_model(rng, name):
    X = table(rng)
    y = (X @ rng.standard_normal(D) > 0).astype(int)
    sparse, dense = (SGDVariantClassifier(solver=name, batch_size=8, random_state=0) for _ in range(2))
    for start in range(0, N, 46):
        part = slice(start, start + 46)
        sparse.partial_fit(X[part], y[part], classes=[0, 1])
        dense.partial_fit(X[part].toarray(), y[part], classes=[0, 1])
    assert_allclose(sparse.coef_, dense.coef_, rtol=1e-7, atol=1e-10)


def test_moments_say_whether_batches_touch_few_columns(rng):
    X = table(rng)
    moments = Moments()
    moments.update(X, filling=True)
    stored = X.nnz / N
    assert moments.touches_few(int(D / stored))
    assert not moments.touches_few(int(D / stored) + 1)
    unasked = Moments()
    unasked.update(X)
    assert not unasked.touches_few(1)

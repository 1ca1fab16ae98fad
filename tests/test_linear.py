"""Steps by one matrix are the plain steps, and move what the rows store."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

import _references
from _references import STEPPING, steps
from skvariants import SGDVariantClassifier
from skvariants._data.tasks import OneHotColumns
from skvariants._step import Step
from skvariants._training.linear import LinearSteps
from skvariants.losses import Hinge, LogLoss, MultinomialLogLoss
from skvariants.penalties import ElasticNet
from skvariants.schedules import Constant, InvScaling
from skvariants.solvers import QHM, SOLVERS, Adam, MiniBatch, Momentum, Nesterov

N, D = 230, 600
LINEAR = [name for name in STEPPING if SOLVERS[name].linear and SOLVERS[name].batch_size != "full"]
every_linear_solver = pytest.mark.parametrize("name", LINEAR)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def table(rng, dtype=float):
    """Rows with a handful of stored values each, and a column that is empty."""
    X = np.where(rng.random((N, D)) < 0.01, rng.standard_normal((N, D)) + 0.3, 0.0)
    X[:, 7] = 0.0
    return sp.csr_matrix(X.astype(dtype))


def problem(*args, scaled=False, **kwargs):
    """What is minimised, in the coordinates of the data unless said otherwise."""
    return _references.problem(*args, scaled=scaled, **kwargs)


def labels(rng, k=1):
    return rng.choice([-1.0, 1.0], (N, k))


def assert_same(p, tolerance=1e-10, epochs=3, max_steps=None, factors=None, **kwargs):
    """The method after some epochs by one matrix is that of plain steps, with the losses on the way."""
    ends = []
    for plain in (False, True):
        s = steps(p, **kwargs)
        s.one_by_one = False
        s.lazy = None if plain else LinearSteps(s)
        if factors is not None:
            s.state.step_factor = factors
        curve = np.array([s.epoch(max_steps) for _ in range(epochs)])
        ends.append((curve, s.state.theta, *s.state.memory))
    for one, other in zip(*ends, strict=True):
        assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize("name", [name for name in STEPPING if "rows" not in SOLVERS[name].needs])
def test_a_solver_says_whether_its_steps_are_linear_and_the_same_for_all_weights(rng, name):
    # states of three weights, mixed before a step, end as they do mixed after it
    solver, penalty = SOLVERS[name](), ElasticNet(alpha=0.3, l1_ratio=0.0)
    start = np.zeros((4, 1))
    memory = solver.allocate(start, penalty, False)
    ends = []
    for theta, g in (rng.standard_normal((2, 4, 1)) for _ in range(2)):
        ends.append([theta, *(rng.random(array.shape) for array in memory), g])
    share = np.array([[0.2, 0.5, -0.7, 0.0], [0.0, 0.3, 0.4, 0.0], [1.0, 0.0, 0.2, 0.0], [0.0, 0.0, 0.0, 1.0]])

    def combined(first, second):
        return [2.0 * (share @ a) - 3.0 * b if len(a) == len(share) else a for a, b in zip(first, second, strict=True)]

    def moved(theta, *others):
        step = Step(penalty, start, False)
        step.t, step.eta = 3, 0.1
        theta, memory, g = theta.copy(), [array.copy() for array in others[:-1]], others[-1].copy()
        with np.errstate(invalid="ignore", divide="ignore"):
            solver.update(theta, g, step, *memory)
        return [theta, *memory]

    one, other, both = moved(*ends[0]), moved(*ends[1]), moved(*combined(*ends))
    expected = combined(one, other)
    # the intercept is not penalised, so that it is not as the others
    alike = all(np.allclose(a[:3], b[:3], rtol=1e-12) for a, b in zip(both, expected, strict=True))
    assert solver.linear == alike


@every_linear_solver
@pytest.mark.parametrize("alpha", [0.0, 0.05, 20.0])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("batch", [1, 8])
def test_steps_by_one_matrix_are_the_plain_steps(rng, name, alpha, k, batch):
    p = problem(table(rng), labels(rng, k), LogLoss(), alpha=alpha)
    assert_same(p, k=k, solver=SOLVERS[name](), batch=batch)


def test_a_shrinkage_that_leaves_nothing_is_that_of_plain_steps(rng):
    p = problem(table(rng), labels(rng), LogLoss(), alpha=1e6)
    assert_same(p, solver=MiniBatch(), batch=8)


@every_linear_solver
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_and_precision_are_those_of_plain_steps(rng, name, dtype, intercept, weighted):
    X, y = table(rng, dtype), (5 * rng.standard_normal((N, 1)) + 2).astype(dtype)
    weight = (rng.random(N) + 0.5).astype(dtype) if weighted else None
    p = problem(X, y, weight=weight, intercept=intercept, alpha=0.02)
    assert_same(p, 1e-10 if dtype == np.float64 else 1e-4, solver=SOLVERS[name](), batch=8, eta0=0.01)


@every_linear_solver
def test_columns_have_their_own_steps_penalties_and_targets(rng, name):
    X = table(rng)
    p = problem(X, rng.standard_normal((N, 3)), alpha=np.array([0.0, 0.1, 1.0]), l1_ratio=0.0)
    schedule = Constant(eta0=np.array([0.01, 0.02, 0.05]))
    assert_same(p, k=3, solver=SOLVERS[name](), schedule=schedule, batch=8, factors=np.array([1.0, 0.1, 0.5]))
    p = problem(X, rng.integers(0, 3, N), MultinomialLogLoss(n_classes=3), encoding=OneHotColumns(3), alpha=0.01)
    assert_same(p, k=3, solver=SOLVERS[name](), batch=8)


@every_linear_solver
def test_a_step_may_change_its_length_and_an_epoch_end_early(rng, name):
    p = problem(table(rng), labels(rng), Hinge(), alpha=0.1)
    assert_same(p, solver=SOLVERS[name](), batch=8, schedule=InvScaling(eta0=0.2), max_steps=7)


@pytest.mark.parametrize("solver", [Momentum(momentum=0.0), Momentum(momentum=0.999), Nesterov(momentum=0.5), QHM()])
def test_long_and_short_memories_leave_digits(rng, solver):
    p = problem(table(rng), labels(rng), LogLoss(), alpha=0.01)
    assert_same(p, solver=solver, batch=8, epochs=6, eta0=0.01)


def test_only_what_is_exact_and_cheaper_goes_by_one_matrix(rng):
    X, y = table(rng), labels(rng)

    def is_linear(p, solver=None, batch=8, **kwargs):
        return isinstance(steps(p, solver=solver or Momentum(), batch=batch, **kwargs).lazy, LinearSteps)

    p = problem(X, y)
    assert is_linear(p)
    assert is_linear(p, MiniBatch())
    assert not is_linear(p, Adam())
    assert not is_linear(p, average=1)
    assert not is_linear(p, batch=N)
    assert not is_linear(p, batch=64)  # touches too many features
    assert not is_linear(problem(X, y, scaled=True))  # each weight has its own L2
    assert not is_linear(problem(X, y, l1_ratio=0.5))
    assert not is_linear(problem(X.toarray(), y))


@every_linear_solver
def test_sparse_rows_give_the_model_of_dense_ones(rng, name):
    X = table(rng)
    y = (X @ rng.standard_normal(D) > 0).astype(int)
    params = dict(eta0=0.05, scale_features=False, batch_size=8, max_iter=3, tol=None, random_state=0)
    models = [SGDVariantClassifier(solver=name, **params).fit(data, y) for data in (X, X.toarray())]
    assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-9, atol=1e-13)
    assert_allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=1e-10)

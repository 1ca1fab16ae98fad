"""Laws of the engine: a column is a fit, a fast path is the plain rule, sparse is dense, resuming is continuing."""

import pickle
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from skvariants._engine import Problem, Rules, Run, Stepper, Targets, train
from skvariants._scaling import Coordinates, Moments
from skvariants._sparse import Slices, square_norms
from skvariants.losses import LOSSES, LogLoss, MultinomialLogLoss, SquaredError
from skvariants.penalties import ElasticNet
from skvariants.schedules import PA1, Adaptive, Constant, InvScaling
from skvariants.solvers import SGD, SOLVERS, AdaGrad, Adam, MiniBatch, Momentum

N, D = 230, 7


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def features(rng, n=N, d=D, zeros=0.0, offset=1.0):
    X = rng.standard_normal((n, d)) * np.logspace(-1, 1, d) + offset
    X[rng.random((n, d)) < zeros] = 0
    return X


def problem(X, y, loss=None, alpha=1e-2, l1_ratio=0.0, scaled=True, weight=None, target=1.0, intercept=True):
    dtype = X.dtype
    penalty, coordinates = ElasticNet(alpha, l1_ratio), Coordinates()
    if scaled:
        moments = Moments()
        moments.update(X, weight)
        coordinates = moments.coordinates(intercept, target, dtype)
        penalty = penalty.rescaled(coordinates.units, coordinates.factor)
    targets = y if isinstance(y, Targets) else Targets(y.astype(dtype), dtype=dtype)
    return Problem(X, targets, weight, loss or SquaredError(), penalty, coordinates, intercept)


def stepper(p, k=1, solver=None, eta0=0.05, batch=16, shuffle=True, seed=1, schedule=None, **kwargs):
    solver = solver or AdaGrad()
    run = Run.start(np.zeros((p.d + 1, k), p.X.dtype), solver, p.loss.width, np.random.default_rng(seed))
    return Stepper(p, run, solver, schedule or Constant(eta0=eta0), batch, shuffle, **kwargs)


def trained(p, epochs=3, **kwargs):
    s = stepper(p, **kwargs)
    return s, np.array([s.epoch() for _ in range(epochs)])


# ------------------------------------------------------------------ a column is a fit


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_column_is_a_fit(rng, name, scaled, l1_ratio):
    X, Y = features(rng), rng.standard_normal((N, 3))
    batch = 8
    together, curve = trained(problem(X, Y, scaled=scaled, l1_ratio=l1_ratio), k=3, solver=SOLVERS[name](), batch=batch)
    for j in range(3):
        alone, own = trained(
            problem(X, Y[:, [j]], scaled=scaled, l1_ratio=l1_ratio), solver=SOLVERS[name](), batch=batch
        )
        assert_allclose(together.run.theta[:, j], alone.run.theta[:, 0], rtol=1e-9, atol=1e-11)
        assert_allclose(curve[:, j], own[:, 0], rtol=1e-9)


def test_stopping_is_local(rng):
    X = features(rng, offset=0.0)
    easy = X @ rng.standard_normal((D, 1))
    Y = np.hstack([1e-3 * rng.standard_normal((N, 1)), easy])
    rules = Rules(max_iter=60, tol=1e-3, n_iter_no_change=2)

    def run(Y):
        p = problem(X, Y)
        start = Run.start(np.zeros((D + 1, Y.shape[1])), Momentum(), 1, np.random.default_rng(3))
        return train(p, start, Momentum(), Adaptive(eta0=0.01, floor=5e-3), 16, True, rules)

    both = run(Y)
    assert both.n_iter[0] != both.n_iter[1]
    for j in range(2):
        alone = run(Y[:, [j]])
        assert alone.n_iter[0] == both.n_iter[j]
        assert_allclose(alone.theta[:, 0], both.theta[:, j], rtol=1e-9, atol=1e-12)


def test_an_epoch_that_passes_the_limit_is_taken_back(rng):
    X = rng.standard_normal((N, 1))
    y = X + 0.1 * rng.standard_normal((N, 1))
    # standardised, the curvature is 1 + alpha: each step overshoots by a fifth, and the error grows
    p, eta0 = problem(X, y, alpha=1e-4), 2.2
    for limit, setbacks in ((2.0, 1), (1e8, 0)):
        start = Run.start(np.zeros((2, 1)), MiniBatch(), 1, np.random.default_rng(0))
        rules = Rules(max_iter=40, tol=None, reference=np.full(1, 0.5 * y.var()), limit=limit)
        out = train(p, start, MiniBatch(), Constant(eta0=eta0), N, False, rules)
        curve = np.array([row["objective"][0] for row in out.runs[0].history])
        assert out.setbacks[0] == setbacks
        assert (curve[-1] < 0.1 * rules.reference[0]) == (setbacks == 1)
        assert (curve > limit * rules.reference[0]).sum() == setbacks


@pytest.mark.parametrize("name", SOLVERS)
def test_resuming_is_continuing(rng, name):
    p = problem(features(rng), rng.standard_normal((N, 2)))
    whole, _ = trained(p, epochs=5, k=2, solver=SOLVERS[name](), batch=8)
    part, _ = trained(p, epochs=2, k=2, solver=SOLVERS[name](), batch=8)
    solver = SOLVERS[name]()
    rest = Stepper(p, pickle.loads(pickle.dumps(part.run)), solver, Constant(eta0=0.05), 8, True)
    for _ in range(3):
        rest.epoch()
    assert_array_equal(rest.run.theta, whole.run.theta)


# ------------------------------------------------------------------ an epoch is one pass


@pytest.mark.parametrize("kind", ["dense", "csr", "narrow csr", "memory map"])
@pytest.mark.parametrize("batch", [1, 7, 64, N])
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_each_row_comes_once_an_epoch_in_a_new_order(rng, tmp_path, monkeypatch, kind, batch, ahead, outputs):
    # a few rows a chunk
    for name in ("_CHUNK_BYTES", "_DISK_CHUNK_BYTES"):
        monkeypatch.setattr("skvariants._engine." + name, 2000)
    d = 90 if kind == "csr" else D
    X = features(rng, d=d, zeros=0.95)
    X[:, 0] = y = np.arange(1.0, N + 1)
    data = sp.csr_matrix(X) if "csr" in kind else X
    if kind == "memory map":
        data = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X.shape)
        data[:] = X
    targets = np.column_stack([y, 2 * y])[:, :outputs]
    s = stepper(replace(problem(data, targets, weight=3 * y), ahead=ahead), k=outputs, batch=batch)
    assert s.problem.on_disk == (kind == "memory map")
    orders = []
    for _ in range(2):
        seen = []
        for rows, drawn, weight in s.chunks():
            rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
            row = drawn[:, 0].astype(int) - 1
            assert_array_equal(rows, X[row])
            assert_array_equal(drawn, targets[row])
            assert_array_equal(weight, 3 * y[row][:, None])
            seen.append(drawn[:, 0].copy())
        orders.append(np.concatenate(seen))
        assert_array_equal(np.sort(orders[-1]), y)
    if batch < N:
        assert not np.array_equal(orders[0], orders[1])
        assert not np.array_equal(orders[0], y)
    else:
        assert_array_equal(orders[0], y)


def test_a_disk_is_read_forwards(rng, tmp_path):
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(N, D))
    X[:] = features(rng)
    y = rng.standard_normal((N, 1)).astype(np.float32)
    on_disk, curve = trained(problem(X, y))
    in_memory, same = trained(problem(np.array(X), y))
    assert_array_equal(on_disk.run.theta, in_memory.run.theta)
    assert_array_equal(curve, same)


def test_the_loss_of_an_epoch_is_that_of_each_batch_before_its_step(rng):
    X, y = features(rng), rng.standard_normal((N, 1))
    p = problem(X, y)
    s = stepper(p, batch=32, shuffle=False)
    total = 0.0
    reference = stepper(p, batch=32, shuffle=False)
    for start in range(0, N, 32):
        rows = slice(start, min(N, start + 32))
        total += p.loss.value(y[rows], p.predict(X[rows], reference.run.theta)).sum()
        reference.step(X[rows], y[rows], None, *np.empty((2, len(y[rows]), 1)))
    assert_allclose(s.epoch(), total / N, rtol=1e-12)
    assert_allclose(s.run.theta, reference.run.theta, rtol=1e-12)


# ------------------------------------------------------------------ a fast path is the plain rule


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
    results = []
    for fast in (True, False):
        s = stepper(p, solver=SGD(), schedule=InvScaling(eta0=0.01), batch=1)
        assert s.one_by_one
        s.one_by_one = fast
        curve = np.array([s.epoch() for _ in range(3)])
        results.append((s.run.theta, curve))
    tolerance = 1e-9 if dtype == np.float64 else 2e-4
    assert_allclose(results[0][0], results[1][0], rtol=tolerance, atol=tolerance * 0.1)
    assert_allclose(results[0][1], results[1][1], rtol=tolerance)


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if n != "squared_error"])
def test_one_sample_at_a_time_is_the_step_for_every_loss(rng, name):
    X, y = features(rng), np.where(rng.random((N, 1)) < 0.4, -1.0, 1.0)
    thetas = []
    for fast in (True, False):
        s = stepper(problem(X, y, LOSSES[name]()), solver=SGD(), batch=1)
        s.one_by_one = fast
        s.epoch()
        thetas.append(s.run.theta)
    assert_allclose(thetas[0], thetas[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_slices_are_slices(rng, index):
    X = sp.csr_matrix(features(rng, zeros=0.8))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    slices, dense = Slices(X), X.toarray()
    W, R = rng.standard_normal((D, 2)), rng.standard_normal((N, 2))
    for start, stop in [(0, 20), (20, 40), (N - 5, N), (0, N), (3, 3), (0, 20)]:
        rows = slices[start:stop]
        assert rows.shape == (stop - start, D)
        assert_allclose(rows @ W, dense[start:stop] @ W)
        assert_allclose(rows.T @ R[start:stop], dense[start:stop].T @ R[start:stop], atol=1e-12)
    assert_array_equal(X.toarray(), dense)


def test_square_norms_need_no_dense_rows(rng):
    X = features(rng, zeros=0.6)
    mean, inverse = X.mean(axis=0), 1 / X.std(axis=0)[:, None]
    assert_allclose(square_norms(sp.csr_matrix(X), None, None)[:, 0], (X**2).sum(axis=1))
    expected = (((X - mean) * inverse[:, 0]) ** 2).sum(axis=1)
    assert_allclose(square_norms(sp.csr_matrix(X), mean, inverse)[:, 0], expected)


def test_targets_of_classes_are_one_hot_or_signs(rng):
    codes = rng.integers(0, 4, N)
    for low in (0.0, -1.0):
        expected = np.full((N, 4), low)
        expected[np.arange(N), codes] = 1
        targets = Targets(codes, 4, low, np.float32)
        got = targets.rows(slice(None))
        assert got.dtype == np.float32
        assert_array_equal(got, expected)
        columns = np.array([2, 0, 2])
        assert_array_equal(targets.take(columns).rows(np.arange(5, 9)), expected[5:9][:, columns])
        # too many classes for a table
        many = Targets(np.minimum(codes * 700, 2000), 2001, low)
        assert_array_equal(many.rows(slice(3)).argmax(axis=1), np.minimum(codes * 700, 2000)[:3])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_softmax_is_the_same_for_mild_and_wild_predictions(rng, dtype):
    loss = MultinomialLogLoss(n_classes=3)
    z = rng.standard_normal((20, 6)).astype(dtype)
    y = np.eye(3, dtype=dtype)[rng.integers(0, 3, (20, 2))].reshape(20, 6)
    mild = loss.gradient(y, z, np.empty_like(z))
    # a constant in all classes of a model changes nothing, however large
    wild = loss.gradient(y, z + dtype(128), np.empty_like(z))
    assert_allclose(mild, wild, atol=1e-13 if dtype == np.float64 else 2e-5)
    assert np.isfinite(loss.gradient(y, 1e4 * z, np.empty_like(z))).all()


# ------------------------------------------------------------------ products and coordinates


@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
def test_predictions_are_those_of_the_model_in_the_units_of_the_data(rng, data):
    X, target = features(rng, zeros=0.5), np.array([2.0, 5.0])
    p = problem(data(X), rng.standard_normal((N, 2)), target=target)
    theta = rng.standard_normal((D + 1, 2))
    original = p.coordinates.original(theta)
    expected = X @ original[:-1] + original[-1]
    assert_allclose(p.predict(p.X, theta), expected)
    assert_allclose(p.predict(p.X, theta, np.empty((N, 2))), expected)


@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_gradient_is_the_derivative_of_the_mean_loss(rng, data, scaled):
    X, y, target = features(rng, zeros=0.5), rng.standard_normal((N, 2)), np.array([2.0, 5.0])
    p = problem(data(X), y, scaled=scaled, target=target)
    theta, V = rng.standard_normal((2, D + 1, 2))
    r = (p.predict(p.X, theta) - y) / N
    g = p.gradient(p.X, r, np.empty_like(theta))

    def mean_loss(t):
        return p.loss.value(y, p.predict(p.X, theta + t * V)).mean(axis=0) * p.coordinates.factor

    h = 1e-4
    assert_allclose((g * V).sum(axis=0), (mean_loss(h) - mean_loss(-h)) / (2 * h), rtol=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_are_those_of_the_columns(rng, weighted, dtype):
    X = features(rng, n=20_000, zeros=0.4).astype(dtype)
    X[:, 0] = 1e8 + 1e3 * rng.standard_normal(len(X))  # far from zero
    X[:, 1] = 5.0  # constant
    X[:, 2] = np.arange(len(X))  # sorted
    weight = (rng.random(len(X)) + 0.1).astype(dtype) if weighted else None
    w = None if weight is None else weight.astype(float)
    mean = np.average(X.astype(float), axis=0, weights=w)
    variance = np.average((X - mean) ** 2, axis=0, weights=w)
    whole, parts, sparse = Moments(), Moments(), Moments()
    whole.update(X, weight)
    for rows in (slice(0, 1), slice(1, 9000), slice(9000, None)):
        parts.update(X[rows], None if weight is None else weight[rows])
    sparse.update(sp.csr_matrix(X), weight)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    for moments in (whole, parts, sparse):
        assert (np.abs(moments.mean - mean) <= 1e-12 * np.abs(mean) + rtol * np.sqrt(variance)).all()
        assert_allclose(moments.squares / moments.count, variance, rtol=max(rtol, 1e-7), atol=1e-10)
        assert moments.coordinates(True, 1.0, np.dtype(dtype)).inverse_scale[1, 0] == 0


def test_moments_of_single_precision_hold_what_its_squares_do_not(rng):
    X = rng.standard_normal((3000, 6)).astype(np.float32) * np.float32([1e25, 1e-25, 1, 1e-17, 1e18, 0])
    X[:, 2] = rng.random(3000) < 0.3  # equal addends, all of them rounded the same way
    moments = Moments()
    moments.update(X)
    assert_allclose(moments.squares / moments.count, np.var(X.astype(float), axis=0), rtol=1e-5)
    # sorted by a column, whose first rows are far from the others
    X = np.sort(np.concatenate([np.zeros(600), 1e4 + rng.standard_normal(50_000)]))[:, None].astype(np.float32)
    moments = Moments()
    moments.update(X)
    assert_allclose(moments.squares / moments.count, np.var(X.astype(float), axis=0), rtol=1e-5)


# ------------------------------------------------------------------ sparse is dense


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("width", [D, 80])
def test_sparse_is_dense(rng, name, scaled, width):
    X = features(rng, d=width, zeros=0.95)
    codes = rng.integers(0, 3, N)
    for batch in (1, 16):
        results = []
        for index in (None, np.int32, np.int64):
            data = X
            if index is not None:
                data = sp.csr_matrix(X)
                data.indices, data.indptr = data.indices.astype(index), data.indptr.astype(index)
            p = problem(data, Targets(codes, 3), LogLoss(), scaled=scaled, l1_ratio=0.3)
            s, curve = trained(p, epochs=2, k=3, solver=SOLVERS[name](), batch=batch)
            results.append((s.run.theta, curve))
        for theta, curve in results[1:]:
            assert_allclose(theta, results[0][0], rtol=1e-8, atol=1e-9)
            assert_allclose(curve, results[0][1], rtol=1e-8)


def test_sparse_is_dense_for_steps_of_each_sample(rng):
    X, y = features(rng, d=80, zeros=0.9, offset=0.0), rng.choice([-1.0, 1.0], (N, 1))
    thetas = [
        trained(problem(data, y, LOSSES["hinge"](), scaled=False), solver=SGD(), schedule=PA1(eta0=0.5), batch=batch)[
            0
        ].run.theta
        for data in (X, sp.csr_matrix(X))
        for batch in (1, 10)
    ]
    assert_allclose(thetas[2], thetas[0], rtol=1e-9)
    assert_allclose(thetas[3], thetas[1], rtol=1e-9)


@pytest.mark.parametrize("batch", [64, "full"])
@pytest.mark.parametrize("solver", [MiniBatch(), Adam()], ids=["minibatch", "adam"])
def test_sparse_rows_stay_sparse(rng, batch, solver):
    n, d, stored = 20_000, 20_000, 40
    X = sp.csr_matrix(
        (np.ones(n * stored), rng.integers(0, d, n * stored), np.arange(0, n * stored + 1, stored)), shape=(n, d)
    )
    X.sum_duplicates()
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    s = stepper(problem(X, rng.standard_normal((n, 1))), batch=n if batch == "full" else batch, solver=solver)
    tracemalloc.start()
    try:
        s.epoch(max_steps=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * size + 10 * s.run.theta.nbytes


# ------------------------------------------------------------------ threads


def test_results_do_not_depend_on_threads(rng):
    X, codes = features(rng, n=3000, d=60), rng.integers(0, 12, 3000)
    thetas = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            p = problem(X, Targets(codes, 12, 0.0), MultinomialLogLoss(n_classes=12))
            thetas.append(trained(p, epochs=2, k=12, batch=512)[0].run.theta)
    assert_allclose(thetas[0], thetas[1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_rows_fetched_ahead_are_the_same_rows(rng, monkeypatch, kind):
    monkeypatch.setattr("skvariants._engine._CHUNK_BYTES", 2000)
    p = problem(kind(features(rng, d=80, zeros=0.95)), rng.standard_normal((N, 2)))
    before = threading.active_count()
    alone, curve = trained(p, k=2)
    helped, same = trained(replace(p, ahead=True), k=2)
    assert_array_equal(helped.run.theta, alone.run.theta)
    assert_allclose(same, curve, rtol=1e-13)
    for _ in range(3):
        helped.epoch(max_steps=1)  # left in the middle
    assert threading.active_count() == before

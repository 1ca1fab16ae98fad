"""The method of steps: a column is a fit, sparse is dense, resuming is continuing, an epoch is one pass."""

import pickle
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from _references import STEPPING, features, problem, start, steps, trained
from skvariants._data.tasks import ClassColumns, OneHotColumns
from skvariants._training.steps import Steps
from skvariants.losses import LOSSES, Hinge, LogLoss, MultinomialLogLoss
from skvariants.schedules import Adaptive, Constant, InvScaling
from skvariants.solvers import (
    PASSIVE_AGGRESSIVE,
    SGD,
    SOLVERS,
    Adam,
    MiniBatch,
    Momentum,
    PassiveAggressiveI,
    PassiveAggressiveII,
)

N, D = 230, 7
every_solver = pytest.mark.parametrize("name", STEPPING)
RULES = [PassiveAggressiveI(C=0.5), PassiveAggressiveII(C=0.5)]
every_rule = pytest.mark.parametrize("rule", RULES, ids=PASSIVE_AGGRESSIVE)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ a column is a fit


@every_solver
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_column_is_a_fit(rng, name, scaled, l1_ratio):
    X, Y = features(rng), rng.standard_normal((N, 3))
    options = dict(solver=SOLVERS[name](), batch=8)
    rtol = 1e-6 if name == "signum" else 1e-9  # beside a kink its scale is the inverse of a small mean
    together, curve = trained(problem(X, Y, scaled=scaled, l1_ratio=l1_ratio), k=3, **options)
    for j in range(3):
        alone, own = trained(problem(X, Y[:, [j]], scaled=scaled, l1_ratio=l1_ratio), **options)
        assert_allclose(together.state.theta[:, j], alone.state.theta[:, 0], rtol=rtol, atol=1e-11)
        assert_allclose(curve[:, j], own[:, 0], rtol=rtol)


@every_rule
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("batch", [1, 8])
def test_a_column_is_a_fit_where_each_sample_has_a_step_of_its_own(rng, rule, scaled, batch):
    X, Y = features(rng), rng.choice([-1.0, 1.0], (N, 3))
    options = dict(solver=rule, batch=batch, eta0=1.0)
    together, curve = trained(problem(X, Y, Hinge(), scaled=scaled), k=3, **options)
    for j in range(3):
        alone, own = trained(problem(X, Y[:, [j]], Hinge(), scaled=scaled), **options)
        assert_allclose(together.state.theta[:, j], alone.state.theta[:, 0], rtol=1e-9, atol=1e-11)
        assert_allclose(curve[:, j], own[:, 0], rtol=1e-9)


@every_solver
def test_the_columns_that_stay_go_on_as_if_the_others_did(rng, name):
    X, Y = features(rng), rng.standard_normal((N, 4))
    kept = np.array([3, 1])
    whole, _ = trained(problem(X, Y), epochs=5, k=4, solver=SOLVERS[name](), batch=8)
    some, _ = trained(problem(X, Y), epochs=2, k=4, solver=SOLVERS[name](), batch=8)
    some.keep(kept)
    for _ in range(3):
        some.epoch()
    assert_allclose(some.state.theta, whole.state.theta[:, kept], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [*STEPPING, *PASSIVE_AGGRESSIVE])
@pytest.mark.parametrize("how", [lambda state: pickle.loads(pickle.dumps(state)), lambda state: state.copy()])
def test_resuming_is_continuing(rng, name, how):
    solver = PASSIVE_AGGRESSIVE[name]() if name in PASSIVE_AGGRESSIVE else SOLVERS[name]()
    p = problem(features(rng), rng.choice([-1.0, 1.0], (N, 2)), Hinge(), l1_ratio=0.5, scaled=name != "sgd")
    whole, _ = trained(p, epochs=5, k=2, solver=solver, batch=8)
    part, _ = trained(p, epochs=2, k=2, solver=solver, batch=8)
    rest = Steps(p, how(part.state), solver, Constant(eta0=0.05), 8, True)
    rest.remember()
    for _ in range(3):
        rest.epoch()
    assert_array_equal(rest.state.theta, whole.state.theta)
    assert rest.state.t == whole.state.t


# ------------------------------------------------------------------ an epoch is one pass


@pytest.mark.parametrize("kind", ["dense", "csr", "narrow csr", "memory map"])
@pytest.mark.parametrize("batch", [1, 7, 64, N])
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_each_row_comes_once_an_epoch_in_a_new_order(rng, tmp_path, monkeypatch, kind, batch, ahead, outputs):
    # a few rows a chunk
    for name in ("CHUNK_BYTES", "DISK_CHUNK_BYTES"):
        monkeypatch.setattr("skvariants._data.rows." + name, 2000)
    d = 90 if kind == "csr" else D
    X = features(rng, d=d, zeros=0.95)
    X[:, 0] = y = np.arange(1.0, N + 1)
    data = sp.csr_matrix(X) if "csr" in kind else X
    if kind == "memory map":
        data = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X.shape)
        data[:] = X
    targets = np.column_stack([y, 2 * y])[:, :outputs]
    s = steps(problem(data, targets, weight=3 * y), k=outputs, batch=batch, ahead=ahead)
    assert s.problem.rows.on_disk == (kind == "memory map")
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


class Generated:
    """Rows that are nowhere, and come in two chunks."""

    sparse, large, weight = False, False, None

    def __init__(self, X, y):
        self.X_, self.y = X, y
        (self.n, self.d), self.dtype, self.stored = X.shape, X.dtype, X.size

    def chunks(self, batch_size, draw=None, columns=1, ahead=False):
        half = self.n // 2 // batch_size * batch_size
        for part in (slice(0, half), slice(half, self.n)):
            yield self.X_[part], self.y[part], None


@pytest.mark.parametrize("batch", [1, 16])
def test_whatever_gives_its_rows_in_chunks_can_be_trained_on(rng, batch):
    p = problem(features(rng), rng.standard_normal((N, 1)))
    table, curve = trained(p, batch=batch, shuffle=False)
    bare, same = trained(replace(p, rows=Generated(p.rows.X, p.rows.y)), batch=batch, shuffle=False)
    assert_array_equal(bare.state.theta, table.state.theta)
    assert_allclose(same, curve, rtol=1e-12)


def test_rows_of_a_disk_make_the_steps_of_rows_in_memory(rng, tmp_path):
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(N, D))
    X[:] = features(rng)
    y = rng.standard_normal((N, 1)).astype(np.float32)
    on_disk, curve = trained(problem(X, y))
    in_memory, same = trained(problem(np.array(X), y))
    assert_array_equal(on_disk.state.theta, in_memory.state.theta)
    assert_array_equal(curve, same)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_an_epoch_is_that_of_each_batch_before_its_step(rng, weighted):
    X, y = features(rng), rng.standard_normal((N, 1))
    weight = rng.random(N) + 0.5 if weighted else None
    p = problem(X, y, weight=weight)
    s = steps(p, batch=32, shuffle=False)
    total = 0.0
    reference = steps(p, batch=32, shuffle=False)
    for first in range(0, N, 32):
        rows = slice(first, min(N, first + 32))
        w = None if weight is None else weight[rows, None]
        loss = p.loss.value(y[rows], p.predict(X[rows], reference.state.theta))
        total += (loss if w is None else w * loss).sum()
        reference.take_step(X[rows], y[rows], w, *np.empty((2, len(y[rows]), 1)))
    assert_allclose(s.epoch(), total / N, rtol=1e-12)
    assert_allclose(s.state.theta, reference.state.theta, rtol=1e-12)


@pytest.mark.parametrize("batch", [32, N])
def test_the_objective_of_an_epoch_has_the_penalty_of_its_way_in_the_users_units(rng, batch):
    p = problem(features(rng), rng.standard_normal((N, 1)), alpha=1.0, target=4.0)
    s, same = steps(p, batch=batch), steps(p, batch=batch)
    for method in (s, same):
        method.iterate()
    penalties = [p.penalty.value(same.state.theta[:-1])]
    loss = same.epoch()
    penalties.append(p.penalty.value(same.state.theta[:-1]))
    expected = penalties[0] if batch == N else np.mean(penalties, axis=0)
    record = s.iterate()
    assert_allclose(record.objective, loss + 4.0**2 * expected)
    assert record.rows == N
    assert record.moved is None


def test_an_epoch_may_end_after_some_steps(rng):
    p = problem(features(rng), rng.standard_normal((N, 1)))
    s, same = steps(p, shuffle=False), steps(p, shuffle=False)
    losses = []
    for first in range(0, 48, 16):
        X, y = p.rows.X[first : first + 16], p.rows.y[first : first + 16]
        losses.append(p.loss.value(y, p.predict(X, same.state.theta)).mean())
        same.take_step(X, y, None, *np.empty((2, 16, 1)))
    assert_allclose(s.epoch(max_steps=3), np.mean(losses))
    assert_array_equal(s.state.theta, same.state.theta)
    assert s.state.t == 3


# ------------------------------------------------------------------ lengths and averages


def test_the_step_is_the_schedules_at_its_number_times_the_factor_of_its_column(rng):
    p = problem(features(rng), rng.standard_normal((N, 3)))
    s = steps(p, k=3, solver=MiniBatch(), schedule=InvScaling(eta0=0.3, power_t=0.5), batch=N)
    s.state.step_factor = np.array([1.0, 0.5, 0.1])
    for t in (1, 2, 3):
        before = s.state.theta.copy()
        g = p.gradient(p.rows.X, (p.predict(p.rows.X, before) - p.rows.y), np.empty_like(before), N)
        eta = 0.3 / np.sqrt(t) * s.state.step_factor
        moved = before - eta * g
        p.penalty.prox(moved[:-1], eta)
        record = s.iterate()
        assert_allclose(s.state.theta, moved)
        assert_allclose(record.eta, eta)


def test_a_plateau_asks_the_schedule_about_the_step_of_the_model_alone(rng):
    p = problem(features(rng), rng.standard_normal((N, 2)))
    s = steps(p, k=2, schedule=Adaptive(eta0=1.0, floor=0.5, factor=0.25))
    s.state.step_factor = np.array([1.0, 0.1])
    assert_array_equal(s.on_plateau(np.array([0, 1])), [0.25, 0.0])
    assert_array_equal(s.on_plateau(np.array([1])), [0.0])


@pytest.mark.parametrize("first", [1, 4])
def test_the_solution_is_the_mean_of_the_iterates_from_the_update_of_that_number(rng, first):
    X, y = features(rng), rng.standard_normal((N, 2))
    s, plain = steps(problem(X, y), k=2, average=first), steps(problem(X, y), k=2)
    path = []
    for begin in range(0, 96, 16):
        rows = slice(begin, begin + 16)
        for method in (s, plain):
            method.take_step(X[rows], y[rows], None, *np.empty((2, 16, 2)))
        path.append(plain.state.theta.copy())
    assert_array_equal(s.state.theta, plain.state.theta)
    assert_allclose(s.solution, np.mean(path[first - 1 :], axis=0))


def test_the_solution_is_what_the_solver_says_its_iterate_stands_for(rng):
    class Doubled(MiniBatch):
        def solution(self, theta, *memory):
            return 2 * theta

    s, _ = trained(problem(features(rng), rng.standard_normal((N, 1))), solver=Doubled())
    assert_array_equal(s.solution, 2 * s.state.theta)


def test_the_model_in_the_units_of_the_data_makes_the_same_predictions(rng):
    s, _ = trained(problem(features(rng), rng.standard_normal((N, 1)), target=3.0))
    original = s.original(s.solution)
    X = s.problem.rows.X
    assert_allclose(X @ original[:-1] + original[-1], s.problem.predict(X, s.state.theta))


@pytest.mark.parametrize("scaled", [False, True])
def test_l2_is_part_of_the_gradient_in_raw_units_and_of_the_prox_in_others(rng, scaled):
    p = problem(features(rng), rng.standard_normal((N, 1)), alpha=2.0, scaled=scaled)
    s = steps(p, solver=Momentum(momentum=0.0), eta0=1e-3, batch=N)
    s.state.theta += 1.0
    before = s.state.theta.copy()
    g = p.gradient(p.rows.X, p.predict(p.rows.X, before) - p.rows.y, np.empty_like(before), N)
    if scaled:
        expected = before - 1e-3 * g
        p.penalty.prox(expected[:-1], 1e-3)
    else:
        g[:-1] += 2.0 * before[:-1]
        expected = before - 1e-3 * g
    s.epoch()
    assert_allclose(s.state.theta, expected)


# ------------------------------------------------------------------ sparse is dense


@every_solver
@pytest.mark.parametrize(
    ("width", "scaled"),
    [(D, True), (80, False), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(D, False), (80, True)])],
)
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
            p = problem(data, codes, LogLoss(), encoding=ClassColumns(3), scaled=scaled, l1_ratio=0.3)
            s, curve = trained(p, epochs=2, k=3, solver=SOLVERS[name](), batch=batch)
            results.append((s.state.theta, curve))
        for theta, curve in results[1:]:
            assert_allclose(theta, results[0][0], rtol=1e-8, atol=1e-9)
            assert_allclose(curve, results[0][1], rtol=1e-8)


@every_rule
@pytest.mark.parametrize("scaled", [False, True])
def test_sparse_is_dense_for_steps_of_each_sample(rng, rule, scaled):
    X, y = features(rng, d=80, zeros=0.9, offset=0.0), rng.choice([-1.0, 1.0], (N, 1))
    thetas = [
        trained(problem(data, y, LOSSES["hinge"](), scaled=scaled), solver=rule, eta0=1.0, batch=batch)[0].state.theta
        for data in (X, sp.csr_matrix(X))
        for batch in (1, 10)
    ]
    assert np.abs(thetas[0]).max() > 0
    assert_allclose(thetas[2], thetas[0], rtol=1e-9, atol=1e-13 * scaled)
    assert_allclose(thetas[3], thetas[1], rtol=1e-9, atol=1e-13 * scaled)


@pytest.mark.parametrize("batch", [64, "full"])
@pytest.mark.parametrize("solver", [MiniBatch(), Adam()], ids=["minibatch", "adam"])
def test_sparse_rows_stay_sparse(rng, batch, solver):
    n, d, stored = 20_000, 20_000, 40
    X = sp.csr_matrix(
        (np.ones(n * stored), rng.integers(0, d, n * stored), np.arange(0, n * stored + 1, stored)), shape=(n, d)
    )
    X.sum_duplicates()
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    s = steps(problem(X, rng.standard_normal((n, 1))), batch=n if batch == "full" else batch, solver=solver)
    tracemalloc.start()
    try:
        s.epoch(max_steps=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * size + 10 * s.state.theta.nbytes


# ------------------------------------------------------------------ threads


def test_results_do_not_depend_on_threads(rng):
    X, codes = features(rng, n=3000, d=60), rng.integers(0, 12, 3000)
    thetas = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            p = problem(X, codes, MultinomialLogLoss(n_classes=12), encoding=OneHotColumns(12))
            thetas.append(trained(p, epochs=2, k=12, batch=512)[0].state.theta)
    assert_allclose(thetas[0], thetas[1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_rows_fetched_ahead_are_the_same_rows(rng, monkeypatch, kind):
    monkeypatch.setattr("skvariants._data.rows.CHUNK_BYTES", 2000)
    p = problem(kind(features(rng, d=80, zeros=0.95)), rng.standard_normal((N, 2)))
    before = threading.active_count()
    alone, curve = trained(p, k=2)
    helped, same = trained(p, k=2, ahead=True)
    assert_array_equal(helped.state.theta, alone.state.theta)
    assert_allclose(same, curve, rtol=1e-13)
    for _ in range(3):
        helped.epoch(max_steps=1)  # left in the middle
    assert threading.active_count() == before


# ------------------------------------------------------------------ precision


@pytest.mark.parametrize("name", [*STEPPING, *PASSIVE_AGGRESSIVE])
def test_single_precision_stays_single(rng, name):
    solver = PASSIVE_AGGRESSIVE[name]() if name in PASSIVE_AGGRESSIVE else SOLVERS[name]()
    X, y = features(rng).astype(np.float32), rng.choice([-1.0, 1.0], (N, 1))
    p = problem(X, y, Hinge(), l1_ratio=0.5)
    s, _ = trained(p, solver=solver, batch=8)
    assert {array.dtype for array in (s.state.theta, *s.state.memory, s.z, s.r)} == {np.dtype(np.float32)}
    assert start(p, 1, SGD()).theta.dtype == np.float32

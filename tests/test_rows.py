"""Rows of arrays, sparse matrices and memory maps: the same rows, in any order, in chunks of whole batches."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import STEPPING, features
from skvariants._data import rows as module
from skvariants._data.rows import ArrayRows, MappedRows, SparseRows, rows_of
from skvariants._data.scaling import Coordinates, Moments
from skvariants._data.tasks import RealColumns
from skvariants._training.problem import Problem
from skvariants._training.state import State
from skvariants._training.steps import Steps
from skvariants.losses import SquaredError
from skvariants.penalties import ElasticNet
from skvariants.schedules import Constant
from skvariants.solvers import SOLVERS

N, D = 230, 7
KINDS = ["array", "memory map", "narrow sparse", "wide sparse"]
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def few(monkeypatch):
    """A few rows a chunk."""
    for name in ("CHUNK_BYTES", "DISK_CHUNK_BYTES"):
        monkeypatch.setattr(module, name, 4000)


def dense(X):
    return X if isinstance(X, np.ndarray) else X.toarray()


def stored(kind, X, tmp_path):
    """The features as a table of this kind."""
    if "sparse" in kind:
        return sp.csr_matrix(X)
    if kind == "memory map":
        data = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape)
        data[:] = X
        return data
    return X


@pytest.fixture
def table(rng, tmp_path):
    """Rows of a kind, with features, targets and weights as plain arrays."""

    def make(kind, dtype=np.float64, targets=1, weighted=True):
        X = features(rng, N, 90 if kind == "wide sparse" else D, zeros=0.95 if "sparse" in kind else 0.0).astype(dtype)
        y = rng.standard_normal((N, targets)).astype(dtype)
        weight = (rng.random(N) + 0.5).astype(dtype) if weighted else None
        return rows_of(stored(kind, X, tmp_path), y, weight), X, y, weight

    return make


# ------------------------------------------------------------------ kinds


@every_kind
def test_a_table_says_what_it_is(table, kind):
    rows, X, _, _ = table(kind)
    expected = {"array": ArrayRows, "memory map": MappedRows}.get(kind, SparseRows)
    assert type(rows) is expected
    assert (rows.n, rows.d, rows.dtype) == (*X.shape, X.dtype)
    assert rows.sparse == ("sparse" in kind)
    assert rows.on_disk == (kind == "memory map")
    assert rows.densify == (kind == "narrow sparse")
    assert rows.stored == (np.count_nonzero(X) if rows.sparse else X.size)
    assert rows.nbytes == rows.stored * 8
    assert not rows.large


def test_a_well_filled_sparse_matrix_comes_dense(rng):
    X = sp.csr_matrix(features(rng, N, 90, zeros=0.5))
    assert rows_of(X, np.zeros((N, 1))).densify
    assert isinstance(rows_of(X, np.zeros((N, 1))).features(slice(3, 9)), np.ndarray)


def test_a_view_of_a_memory_map_is_on_disk_and_a_copy_is_not(rng, tmp_path):
    X = stored("memory map", features(rng), tmp_path)
    y = np.zeros((100, 1))
    assert type(rows_of(X[:100], y)) is MappedRows
    assert type(rows_of(np.asarray(X)[:100], y)) is MappedRows
    assert type(rows_of(np.array(X[:100]), y)) is ArrayRows


# ------------------------------------------------------------------ some rows


@every_kind
@pytest.mark.parametrize("index", [slice(5, 40), np.array([7, 3, 200, 3]), slice(0, N)])
def test_features_and_labels_of_some_rows_are_theirs(table, kind, index):
    rows, X, y, weight = table(kind)
    assert_array_equal(dense(rows.features(index)), X[index])
    assert_array_equal(rows.labels(index)[0], y[index])
    assert_array_equal(rows.labels(index)[1], weight[index])
    if isinstance(index, slice):
        assert_array_equal(rows.dense(index), X[index])
    elif not rows.sparse or rows.densify:
        buffer = np.empty((10, rows.d))
        got = rows.features(index, buffer)
        assert_array_equal(got, X[index])
        assert np.shares_memory(got, buffer)


@every_kind
def test_rows_taken_are_in_memory_with_weights_of_mean_one(table, kind):
    rows, X, y, weight = table(kind)
    index = np.array([5, 3, 100, 101])
    part = rows.take(index)
    assert not part.on_disk
    assert part.sparse == (kind == "wide sparse")
    assert_array_equal(part.dense(), X[index])
    assert_array_equal(part.y, y[index])
    assert_allclose(part.weight, weight[index] / weight[index].mean())
    assert table(kind, weighted=False)[0].take(index).weight is None


@every_kind
def test_a_change_of_precision_changes_all_that_is_real(table, kind):
    rows, X, y, weight = table(kind)
    single = rows.astype(np.float32)
    assert {np.dtype(a.dtype) for a in (single.X, single.y, single.weight)} == {np.dtype(np.float32)}
    assert_array_equal(single.dense(), X.astype(np.float32))
    assert_array_equal(single.weight, weight.astype(np.float32))
    assert rows.astype(np.float64) is rows
    codes = rows.with_labels(np.arange(N), None).astype(np.float32)
    assert codes.y.dtype == np.arange(N).dtype
    assert codes.weight is None
    assert rows.y is not single.y
    assert_array_equal(rows.y, y)


@every_kind
def test_other_weights_and_labels_share_the_features(table, kind):
    rows, _, y, weight = table(kind)
    twice = rows.reweighted(2.0)
    assert type(twice) is type(rows)
    assert twice.X is rows.X
    assert_allclose(twice.weight, 2 * weight)
    assert_array_equal(twice.y, y)
    assert_array_equal(rows.weight, weight)
    assert_allclose(table(kind, weighted=False)[0].reweighted(0.5).weight, 0.5)
    other = rows.with_labels(np.arange(N), None)
    assert other.X is rows.X
    assert other.weight is None


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_features_and_may_go_on(table, kind, weighted):
    rows, X, _, weight = table(kind, weighted=weighted)
    moments = rows.moments()
    mean = np.average(X, axis=0, weights=weight)
    assert_allclose(moments.mean, mean, atol=1e-12)
    assert_allclose(moments.squares / moments.count, np.average((X - mean) ** 2, axis=0, weights=weight), atol=1e-12)
    earlier = Moments()
    earlier.update(X[:50] + 1)
    both = rows.moments(earlier)
    assert both.count == pytest.approx(50 + moments.count)
    assert earlier.count == 50
    expected = earlier.copy()
    expected.merge(moments)
    assert_allclose(both.squares, expected.squares)


# ------------------------------------------------------------------ a pass


@every_kind
@pytest.mark.parametrize("batch", [1, 7, 64, N])
@pytest.mark.parametrize("ahead", [False, True])
def test_chunks_are_whole_batches_in_the_order_drawn(rng, few, table, kind, batch, ahead):
    rows, X, y, weight = table(kind)
    order = rng.permutation(N)
    for draw in (None, [order, y[order], weight[order]], [order]):
        where, begin, sizes = np.arange(N) if draw is None else order, 0, []
        for features_, target, s in rows.chunks(batch, draw, ahead=ahead):
            part = where[begin : begin + len(target)]
            assert_array_equal(dense(features_), X[part])
            assert_array_equal(target, y[part])
            assert_array_equal(s, weight[part])
            begin += len(target)
            sizes.append(len(target))
        assert begin == N
        assert all(size % batch == 0 for size in sizes[:-1])
        assert len(sizes) > 1 or batch == N


@every_kind
def test_rows_without_weights_have_none_in_any_order(rng, few, table, kind):
    rows, _, y, _ = table(kind, weighted=False)
    order = rng.permutation(N)
    for draw in (None, [order, y[order], None], [order]):
        assert all(s is None for _, _, s in rows.chunks(16, draw))


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_order_brings_along_targets_of_one_column_and_weights(rng, table, targets, weighted):
    rows, _, y, weight = table("array", targets=targets, weighted=weighted)
    drawn, seed = rows.orders(16).draw(rng, None)
    assert seed is None
    order, *labels = drawn
    assert_array_equal(np.sort(order), np.arange(N))
    if targets > 1:  # gathering them here and there costs what gathering them at once does
        assert labels == []
        return
    assert_array_equal(labels[0], y[order])
    if weighted:
        assert_array_equal(labels[1], weight[order])
    else:
        assert labels[1] is None


def test_a_disk_is_read_forwards(rng, few, table):
    rows, X, y, weight = table("memory map")
    asked = []

    class Spied(np.ndarray):
        def __getitem__(self, index):
            if isinstance(index, np.ndarray):
                asked.append(index.copy())
            return np.asarray(self)[index]

    rows.X = rows.X.view(Spied)
    order = rng.permutation(N)
    for _ in rows.chunks(16, [order, y[order], weight[order]]):
        pass
    assert len(asked) > 1
    assert_array_equal(np.sort(np.concatenate(asked)), np.arange(N))
    for index in asked:
        assert (np.diff(index) > 0).all()
    assert_array_equal(rows.features(order), X[order])


@every_kind
def test_a_chunk_holds_what_it_may_and_a_batch_at_least(rng, table, monkeypatch, kind):
    rows = table(kind)[0]
    order = rng.permutation(N)
    for name in ("CHUNK_BYTES", "DISK_CHUNK_BYTES"):
        monkeypatch.setattr(module, name, 10)
    assert [len(y) for _, y, _ in rows.chunks(100, [order])] == [100, 100, 30]
    for name in ("CHUNK_BYTES", "DISK_CHUNK_BYTES"):
        monkeypatch.setattr(module, name, 1 << 30)
    assert [len(y) for _, y, _ in rows.chunks(100, [order])] == [N]


def test_predictions_of_many_columns_make_chunks_shorter(few, table):
    rows = table("array")[0]
    one, many = (max(len(y) for _, y, _ in rows.chunks(1, columns=columns)) for columns in (1, 20))
    assert many < one


class Partitions:
    """Rows in several pieces, as a stream of blocks or a partitioned file has them: what steps in order ask for."""

    sparse, large = False, False

    def __init__(self, pieces):
        self.pieces = pieces
        self.n, self.d, self.dtype = sum(p.n for p in pieces), pieces[0].d, pieces[0].dtype
        self.stored = sum(p.stored for p in pieces)
        self.y = np.concatenate([p.y for p in pieces])
        self.weight = np.concatenate([p.weight for p in pieces])

    def chunks(self, batch_size, draw=None, columns=1, ahead=False):
        for piece in self.pieces:
            yield from piece.chunks(batch_size, None, columns)

    def moments(self, moments=None):
        for piece in self.pieces:
            moments = piece.moments(moments)
        return moments


@pytest.mark.parametrize("name", STEPPING)
def test_whatever_answers_the_questions_can_be_trained_on(name):
    rng = np.random.default_rng(0)
    X, y, weight = rng.standard_normal((96, 5)), rng.standard_normal((96, 1)), rng.random(96) + 0.5
    weight /= weight.mean()
    whole = rows_of(X, y, weight)
    pieces = Partitions([rows_of(X[i : i + 32], y[i : i + 32], weight[i : i + 32]) for i in (0, 32, 64)])
    np.testing.assert_allclose(pieces.moments().squares, whole.moments().squares, rtol=1e-12)
    thetas = []
    for rows in (whole, pieces):
        solver, penalty = SOLVERS[name](), ElasticNet(alpha=0.01, l1_ratio=0.5)
        problem = Problem(rows, RealColumns(1), SquaredError(), penalty, Coordinates())
        theta = np.zeros((6, 1))
        state = State.start(theta, 1, np.random.default_rng(0), solver.allocate(theta, penalty, False))
        steps = Steps(problem, state, solver, Constant(eta0=0.01), 16, False)
        for _ in range(3):
            steps.iterate()
        thetas.append(state.theta)
    np.testing.assert_array_equal(*thetas)

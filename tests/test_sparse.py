"""Sparse rows: slices without matrices, norms without dense rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import features
from skvariants._data.sparse import Halves, Slices, square_norms

N, D = 230, 7


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array])
def test_slices_are_slices(rng, index, form):
    X = form(features(rng, zeros=0.8))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    slices, dense = Slices(X), X.toarray()
    W, R = rng.standard_normal((D, 2)), rng.standard_normal((N, 2))
    for start, stop in [(0, 20), (20, 40), (N - 5, N), (0, N), (3, 3), (0, 20)]:
        rows = slices[start:stop]
        assert rows.shape == (stop - start, D)
        assert_allclose(rows @ W, dense[start:stop] @ W)
        assert_allclose(rows.T @ R[start:stop], dense[start:stop].T @ R[start:stop], atol=1e-12)
    assert_array_equal(X.toarray(), dense)


def test_a_slice_copies_no_values(rng):
    X = sp.csr_matrix(features(rng, zeros=0.8))
    rows = Slices(X)[10:30]
    assert np.shares_memory(rows.data, X.data)
    assert np.shares_memory(rows.indices, X.indices)


def test_square_norms_need_no_dense_rows(rng):
    X = features(rng, zeros=0.6)
    mean, inverse = X.mean(axis=0), 1 / X.std(axis=0)[:, None]
    S = sp.csr_matrix(X)
    assert_allclose(square_norms(S, None, None)[:, 0], (X**2).sum(axis=1))
    expected = (((X - mean) * inverse[:, 0]) ** 2).sum(axis=1)
    assert_allclose(square_norms(S, mean, inverse)[:, 0], expected)
    assert_allclose(square_norms(Slices(S)[5:9], mean, inverse)[:, 0], expected[5:9])


def test_the_norm_of_an_empty_row_is_that_of_the_means():
    mean, inverse = np.array([1.0, 2.0]), np.array([[3.0], [0.5]])
    assert_allclose(square_norms(sp.csr_matrix((2, 2)), mean, inverse), [[10.0], [10.0]])
    assert_array_equal(square_norms(sp.csr_matrix((2, 2)), None, None), [[0.0], [0.0]])


@pytest.mark.parametrize("least", [1, 1 << 20])
@pytest.mark.parametrize("spare", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_halves_are_the_matrix_on_one_thread_and_on_two(rng, monkeypatch, k, spare, least):
    monkeypatch.setattr("skvariants._data.sparse.HALVED", least)
    monkeypatch.setattr("skvariants._threads.spare_thread", lambda: spare)
    X = features(rng, zeros=0.8)
    X[: N // 3] = 0.0
    halves = Halves(sp.csr_matrix(X))
    assert len(halves.parts) == (2 if least == 1 else 1)
    W, R = rng.standard_normal((D, k)), rng.standard_normal((N, k))
    assert_allclose(halves @ W, X @ W, atol=1e-12)
    assert_allclose(halves.T @ R, X.T @ R, atol=1e-12)
    monkeypatch.setattr("skvariants._threads.spare_thread", lambda: not spare)
    assert_array_equal(halves.T @ R, Halves(sp.csr_matrix(X)).T @ R)


@pytest.mark.parametrize("X", [sp.csr_matrix((0, 3)), sp.csr_matrix((4, 3)), sp.csr_matrix(np.eye(1, 3))])
def test_what_has_no_halves_stays_whole(monkeypatch, X):
    monkeypatch.setattr("skvariants._data.sparse.HALVED", 0)
    halves = Halves(X)
    assert_array_equal(halves @ np.ones((3, 1)), X @ np.ones((3, 1)))
    assert_array_equal(halves.T @ np.ones((X.shape[0], 1)), X.T @ np.ones((X.shape[0], 1)))

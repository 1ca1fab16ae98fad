"""Hessians of a sample of rows: they are numerical ones, sparse is dense, and what is singular has a factor."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import features, problem
from skvariants._data.tasks import OneHotColumns
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Plan, diagonal_hessian, l2_strengths, sampled_hessian
from skvariants.losses import LogLoss, MultinomialLogLoss, SquaredError
from skvariants.penalties import ElasticNet, Penalty

N, D, K = 120, 5, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def stage(
    rng, loss=None, k=K, width=1, data=np.asarray, X=None, n=N, d=D, weighted=False, intercept=True, far=0.3, **kwargs
):
    """All rows of a problem, the parameters where a Hessian is taken, and the predictions there."""
    X = features(rng, n, d, zeros=0.2, offset=0.5) if X is None else X
    loss = LogLoss() if loss is None else loss
    weight = rng.random(len(X)) + 0.5 if weighted else None
    y, encoding = rng.choice([-1.0, 1.0], (len(X), k)), None
    if width > 1:
        y, encoding = rng.integers(0, width, len(X)), OneHotColumns(k, columns=np.arange(k) % width)
    p = problem(data(X), y, loss, encoding=encoding, weight=weight, intercept=intercept, **kwargs)
    batch = StageBatch(p, width)
    theta = far * rng.standard_normal((X.shape[1] + 1, k))
    if not intercept:
        theta[-1] = 0
    return batch, theta, batch.predict(theta)


def matrices(batch, Z, plan, damping=0.0, factored=False):
    k = Z.shape[1]
    return sampled_hessian(batch, Z, plan, np.full(k, damping), factored)


def numerical(batch, theta, columns, h=1e-5):
    """Derivatives of the gradient, for some columns as one vector, column after column."""

    def gradient(v):
        there = theta.copy()
        there[:, columns] = v.reshape(len(columns), -1).T
        return batch.gradient(batch.predict(there), there, True)[:, columns].ravel("F")

    v = theta[:, columns].ravel("F")
    steps = h * np.eye(len(v))
    return np.array([(gradient(v + s) - gradient(v - s)) / (2 * h) for s in steps])


# ------------------------------------------------------------------ numerical ones


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
def test_the_hessian_of_each_column_is_the_derivative_of_its_gradient(rng, scaled, weighted, data):
    target = np.array([1.0, 2.0, 0.5]) if scaled else 1.0
    batch, theta, Z = stage(rng, data=data, scaled=scaled, weighted=weighted, target=target, alpha=0.1)
    blocks = matrices(batch, Z, Plan(N))
    assert blocks.exact
    assert len(blocks.matrices) == K
    for j, A in enumerate(blocks.matrices):
        assert_allclose(A, numerical(batch, theta, [j]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_hessian_of_coupled_classes_is_theirs_but_for_what_all_have_in_common(rng, weighted, scaled):
    batch, theta, Z = stage(rng, MultinomialLogLoss(n_classes=3), 6, 3, weighted=weighted, scaled=scaled, alpha=0.1)
    blocks = matrices(batch, Z, Plan(N, 3))
    assert blocks.exact
    for j, A in enumerate(blocks.matrices):
        rest = A - numerical(batch, theta, [3 * j, 3 * j + 1, 3 * j + 2])
        last = np.arange(D, 3 * (D + 1), D + 1)  # the intercepts
        common = rest[np.ix_(last, last)].copy()
        rest[np.ix_(last, last)] = 0
        assert_allclose(rest, 0, atol=1e-7)
        assert_allclose(common, common[0, 0], rtol=1e-5)
        assert common[0, 0] > 0


def test_without_an_intercept_its_direction_has_curvature_one_and_no_neighbours(rng):
    batch, theta, Z = stage(rng, intercept=False, scaled=False)
    for j, A in enumerate(matrices(batch, Z, Plan(N)).matrices):
        assert_array_equal(A[-1, :-1], 0)
        assert A[-1, -1] == pytest.approx(1)
        assert_allclose(A[:-1, :-1], numerical(batch, theta, [j])[:-1, :-1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
def test_damping_is_curvature_of_each_prediction(rng, weighted):
    batch, _, Z = stage(rng, weighted=weighted)
    C = batch.standardised(slice(0, N))
    s = np.ones(N) if not weighted else batch.problem.rows.weight
    more = 0.3 * (C * s[:, None]).T @ C / N
    for A, B in zip(matrices(batch, Z, Plan(N), 0.3).matrices, matrices(batch, Z, Plan(N)).matrices, strict=True):
        assert_allclose(A - B, more, rtol=1e-6, atol=1e-9)
    batch, _, Z = stage(rng, MultinomialLogLoss(n_classes=3), 3, 3, weighted=weighted)
    C, s = batch.standardised(slice(0, N)), np.ones(N) if not weighted else batch.problem.rows.weight
    more = np.kron(np.eye(3), 0.3 * (C * s[:, None]).T @ C / N)
    A, B = (matrices(batch, Z, Plan(N, 3), damping).matrices[0] for damping in (0.3, 0.0))
    rest, last = A - B - more, np.arange(D, 3 * (D + 1), D + 1)
    rest[np.ix_(last, last)] = 0  # their common curvature grows with the diagonal
    assert_allclose(rest, 0, atol=1e-9)


# ------------------------------------------------------------------ sparse is dense


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [N, 60])
def test_a_thin_sparse_matrix_has_the_hessian_of_the_dense_one(rng, scaled, weighted, rows):
    d = 80
    X = features(rng, N, d, zeros=0.97, offset=1.0) * 10.0 ** rng.integers(-2, 3, d)
    X[:, 0] = 1e4 + rng.standard_normal(N)  # filled, and far from zero
    X[:, 1] = 0
    results = []
    for data in (np.asarray, sp.csr_matrix):
        options = dict(scaled=scaled, weighted=weighted, alpha=0.1, far=0.3 if scaled else 1e-4)
        batch, _, Z = stage(np.random.default_rng(1), X=X, data=data, **options)
        assert batch.sparse == (data is sp.csr_matrix)
        if batch.sparse:
            assert batch.problem.rows.X.nnz < N * d / 16
        batch.order = np.random.default_rng(2).permutation(N).copy
        results.append(matrices(batch, Z, Plan(rows)).matrices)
    for dense, thin in zip(*results, strict=True):
        size = np.sqrt(np.outer(dense.diagonal(), dense.diagonal()))
        assert_allclose(thin / size, dense / size, atol=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_diagonal_is_that_of_the_hessian_sparse_or_dense(rng, scaled, weighted):
    X = features(rng, N, 80, zeros=0.6, offset=0.5)
    found = []
    for data in (np.asarray, sp.csr_matrix):
        batch, _, Z = stage(np.random.default_rng(1), X=X, data=data, scaled=scaled, weighted=weighted, alpha=0.5)
        found.append(diagonal_hessian(batch, Z).h)
    assert_allclose(found[1], found[0], rtol=1e-9)
    expected = np.array([A.diagonal() for A in matrices(batch, Z, Plan(N)).matrices]).T
    floor = 1e-3 * expected.mean(axis=0)
    assert_allclose(found[0], np.maximum(expected, floor), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [LogLoss(), SquaredError()], ids=str)
@pytest.mark.parametrize("intercept", [False, True])
def test_where_all_rows_have_one_curvature_the_diagonal_costs_no_product(rng, monkeypatch, loss, intercept, weighted):
    X = features(rng, N, D, zeros=0.5)
    X[:, 2] = 0.0
    batch, theta, _ = stage(rng, loss, data=sp.csr_matrix, X=X, weighted=weighted, intercept=intercept, alpha=0.1)
    theta[:-1] = 0.0
    Z = batch.predict(theta)
    monkeypatch.setattr("skvariants._quasi_newton.hessian._diagonal_of_loss", None)
    h = diagonal_hessian(batch, Z).h
    for j in range(K):
        exact = numerical(batch, theta, [j]).diagonal()
        seen = exact > 1e-3 * exact.mean()
        assert_allclose(h[seen, j], exact[seen], rtol=1e-5)


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("rows", [N, 50])
def test_columns_are_centred_before_their_products_where_that_would_cost_digits(rng, monkeypatch, rows, far):
    X = features(rng, N, D, offset=1e6 if far else 3.0)
    batch, _, Z = stage(rng, X=X, weighted=True)
    batch.order = lambda: np.arange(N)
    one = matrices(batch, Z, Plan(rows))
    monkeypatch.setattr("skvariants._quasi_newton.hessian._FAR", np.inf if far else 0.0)
    other = matrices(batch, Z, Plan(rows))
    for A, B in zip(one.matrices, other.matrices, strict=True):
        if far:
            assert not np.array_equal(A, B)
        else:
            assert_allclose(A, B, rtol=1e-9, atol=1e-12)


def test_a_diagonal_has_a_floor_for_features_that_are_rare(rng):
    X = features(rng, N, D)
    X[:, 2] = 0
    X[0, 2] = 1e-3
    batch, _, Z = stage(rng, X=X, scaled=False, alpha=0.0)
    h = diagonal_hessian(batch, Z).h
    assert_allclose(h[2] / h.mean(axis=0), 1e-3, rtol=0.01)
    batch, _, Z = stage(rng, X=X, scaled=False, intercept=False)
    metric = diagonal_hessian(batch, Z)
    assert_array_equal(metric.h[-1], 1)
    G = rng.standard_normal((D + 1, K))
    assert_allclose(metric.solve(G) * metric.h, G)


# ------------------------------------------------------------------ samples


def test_a_sample_has_the_hessian_of_its_rows(rng):
    batch, theta, Z = stage(rng, scaled=False, weighted=True, alpha=0.1)
    order = rng.permutation(N)
    batch.order = lambda: order
    blocks = matrices(batch, Z, Plan(40))
    assert not blocks.exact
    index = np.sort(order[:40])
    # the weights of a sample have mean one, as those of all rows do
    part = StageBatch(batch.problem, 1, index)
    for j, A in enumerate(blocks.matrices):
        assert_allclose(A, numerical(part, theta, [j]), rtol=1e-5, atol=1e-7)


def test_variance_that_a_sample_misses_is_made_up_for(rng):
    X = features(rng, N, D)
    X[:, 2] = 0
    X[:12, 2] = rng.standard_normal(12)  # in none of the rows of the sample
    batch, _, Z = stage(rng, SquaredError(), X=X, alpha=0.0)
    batch.order = lambda: np.arange(N)[::-1].copy()
    partial, whole = (matrices(batch, Z, Plan(rows)).matrices[0].diagonal() for rows in (60, N))
    assert partial[2] == pytest.approx(whole[2], rel=0.05)


# ------------------------------------------------------------------ factors


@pytest.mark.parametrize("unit", [1, 3])
def test_factors_solve_what_the_matrices_say(rng, unit):
    loss, width = (LogLoss(), 1) if unit == 1 else (MultinomialLogLoss(n_classes=3), 3)
    batch, _, Z = stage(rng, loss, 6, width, alpha=0.1)
    full, factors = (matrices(batch, Z, Plan(N, unit), 0.01, factored) for factored in (False, True))
    G = rng.standard_normal((D + 1, 6))
    solution = factors.solve(G)
    for j, A in enumerate(full.matrices):
        assert_allclose(A @ full.get(solution, j), full.get(G, j), rtol=1e-6, atol=1e-8)
        L = np.tril(factors.matrices[j])
        assert_allclose(L @ L.T, A, rtol=1e-8, atol=1e-10)


def test_units_are_read_as_vectors_and_written_back(rng):
    batch, _, Z = stage(rng, MultinomialLogLoss(n_classes=3), 6, 3)
    blocks, G = matrices(batch, Z, Plan(N, 3)), rng.standard_normal((D + 1, 6))
    assert_array_equal(blocks.get(G, 1), np.concatenate([G[:, 3], G[:, 4], G[:, 5]]))
    out = np.zeros_like(G)
    for j in range(2):
        blocks.put(out, j, blocks.get(G, j))
    assert_array_equal(out, G)


def test_columns_of_equal_curvature_have_one_matrix_for_all(rng):
    batch, theta, Z = stage(rng, SquaredError(), alpha=0.1)
    blocks = matrices(batch, Z, Plan(N), factored=True)
    assert len(blocks.matrices) == 1
    assert len(blocks.of_each_unit()) == K
    G = rng.standard_normal((D + 1, K))
    for j in range(K):
        assert_allclose(numerical(batch, theta, [j]) @ blocks.solve(G)[:, j], G[:, j], rtol=1e-4, atol=1e-7)
    batch.problem.penalty = ElasticNet(alpha=np.array([0.1, 1.0, 1.0]), l1_ratio=0.0)
    assert len(matrices(batch, Z, Plan(N), factored=True).matrices) == K


@pytest.mark.parametrize("weighted", [False, True])
def test_a_common_matrix_stands_for_the_mean_curvature_of_a_model(rng, weighted):
    batch, _, Z = stage(rng, MultinomialLogLoss(n_classes=3), 6, 3, alpha=0.0, weighted=weighted)
    D_ = batch.hessian_weights(Z, slice(0, N))
    blocks = matrices(batch, Z, Plan(N, 1, True), factored=True)
    assert (blocks.unit, blocks.exact, len(blocks.matrices)) == (3, False, 2)
    C, G = batch.standardised(slice(0, N)), rng.standard_normal((D + 1, 6))
    for j in range(6):
        mean = D_[:, 3 * (j // 3) : 3 * (j // 3) + 3].mean(axis=1)
        assert_allclose(blocks.scale[j], mean.mean())
        A = (C * mean[:, None]).T @ C / N
        assert_allclose(A @ blocks.solve(G)[:, j], G[:, j], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_damped_common_matrix_is_the_covariance_with_a_share_of_its_diagonal(rng, weighted):
    batch, _, Z = stage(rng, MultinomialLogLoss(n_classes=3), 6, 3, alpha=0.2, weighted=weighted, scaled=False)
    D_ = batch.hessian_weights(Z, slice(0, N))
    damping = np.repeat([0.5, 2.0], 3)
    blocks = sampled_hessian(batch, Z, Plan(N, 1, True, True), damping, True)
    C, G = batch.standardised(slice(0, N)), rng.standard_normal((D + 1, 6))
    s = np.ones(N) if not weighted else batch.problem.rows.weight
    for j in range(6):
        level = D_[:, 3 * (j // 3) : 3 * (j // 3) + 3].mean()
        A = level * (C * s[:, None]).T @ C / N
        A[np.arange(D), np.arange(D)] += 0.2 + damping[j] * level * (s[:, None] * C[:, :D] ** 2).mean(axis=0)
        assert_allclose(A @ blocks.solve(G)[:, j], G[:, j], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_relative_damping_of_coupled_classes_is_a_share_of_what_a_constant_model_has(rng, weighted):
    batch, _, Z = stage(rng, MultinomialLogLoss(n_classes=3), 6, 3, alpha=0.1, weighted=weighted)
    damping = np.repeat([0.5, 2.0], 3)
    plain = matrices(batch, Z, Plan(N, 3)).matrices
    damped = sampled_hessian(batch, Z, Plan(N, 3, relative=True), damping, False).matrices
    y, s = batch.labels(slice(0, N), 6)
    share = (y if s is None else y * s).mean(axis=0)
    squares = ((1.0 if s is None else s) * batch.standardised(slice(0, N))[:, :D] ** 2).mean(axis=0)
    for j, (A, B) in enumerate(zip(damped, plain, strict=True)):
        level = (share * (1 - share))[3 * j : 3 * j + 3].mean()
        more = np.tile(np.append(damping[3 * j] * level * squares, 0.0), 3)
        assert_allclose(A - B, np.diag(more), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["collinear", "zero column", "more features than rows", "no curvature"])
@pytest.mark.parametrize("unit", [1, 3])
def test_what_is_singular_has_a_factor(rng, dtype, kind, unit):
    X = features(rng, 12 if "more" in kind else N, 30 if "more" in kind else D)
    if kind == "collinear":
        X[:, 1] = 2 * X[:, 0]
    elif kind == "zero column":
        X[:, 1] = 0
    loss, width = (LogLoss(), 1) if unit == 1 else (MultinomialLogLoss(n_classes=3), 3)
    batch, _, Z = stage(rng, loss, 3, width, X=X.astype(dtype), alpha=0.0, scaled=False)
    if kind == "no curvature":
        Z = np.where(np.arange(3) == 0, 500.0, -500.0) * np.ones_like(Z)
    Z = Z.astype(dtype)
    factors = matrices(batch, Z, Plan(len(X), unit), factored=True)
    assert np.isfinite(factors.solve(rng.standard_normal((X.shape[1] + 1, 3)))).all()


class Unknown(Penalty):
    """A penalty whose strength in L2 is not known."""

    def value(self, W):
        return (np.abs(W) ** 3).sum(axis=0)

    def add_gradient(self, W, out):
        out += 3 * W * np.abs(W)

    def prox(self, W, step, smooth=True):
        pass


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_of_many_columns_each_has_its_own_hessian(rng, dtype, weighted):
    batch, _, Z = stage(rng, k=9, X=features(rng, 300, D).astype(dtype), weighted=weighted, alpha=0.0)
    blocks = matrices(batch, Z, Plan(300))
    C, curvature = batch.standardised(slice(0, 300)).astype(float), batch.hessian_weights(Z, slice(0, 300))
    precision = 1e-11 if dtype == np.float64 else 1e-5
    for A, d in zip(blocks.matrices, curvature.T, strict=True):
        assert_allclose(A, (C.T * d) @ C / 300, rtol=10 * precision, atol=precision)


def test_strengths_in_l2_are_those_of_each_weight_or_none():
    units = np.arange(1.0, 4.0)
    assert_allclose(
        l2_strengths(ElasticNet(0.2, 0.5, units=units), 3, 2), np.repeat(0.1 * units[:, None] ** 2, 2, axis=1)
    )
    by_column = ElasticNet(alpha=np.array([0.1, 0.2]), l1_ratio=0.0)
    assert_array_equal(l2_strengths(by_column, 3, 2), np.tile([0.1, 0.2], (3, 1)))
    assert_array_equal(l2_strengths(Unknown(), 3, 2), np.zeros((3, 2)))

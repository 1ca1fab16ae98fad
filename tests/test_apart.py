"""Fits by sums with rows a million deviations off: these hold a column by a curvature that ends, and are told apart."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._quasi_newton.leverage import Limits
from skvariants.distributed import fit

KINDS = ["binary", "counts", "classes"]


def table(kind, seed, n=1000, d=6, size=1e7):
    """Rows, one of them far off in a column and on the side that this column says; targets; which row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    z = X @ np.append(1.0, 0.5 * rng.normal(size=d - 1))
    if kind == "binary":
        y = (z + rng.logistic(size=n) > 0).astype(int)
        sides = 2 * y - 1
    elif kind == "counts":
        y = rng.poisson(np.exp(0.5 * X[:, 0] + 0.1 * z))
        sides = np.where(y == 0, -1, 0)
    else:
        y = (X[:, :3] + rng.gumbel(size=(n, 3))).argmax(axis=1)
        sides = np.where(y == 0, 1, 0)
    far = rng.choice(np.flatnonzero(sides))
    X[far, 0] = size * sides[far]
    return X, y, far


def of(kind, penalty="l2", tol=1e-3):
    estimator = SGDVariantRegressor if kind == "counts" else SGDVariantClassifier
    loss = "poisson" if kind == "counts" else "log_loss"
    return estimator(loss=loss, penalty=penalty, alpha={"l2": 1e-4, "l1": 1e-3}[penalty], tol=tol)


def objective(model, X, y, kind):
    z, W = X @ np.atleast_2d(model.coef_).T + model.intercept_, model.coef_
    if kind == "binary":
        losses = np.logaddexp(0, (1 - 2 * y) * z[:, 0])
    elif kind == "counts":
        losses = np.exp(z[:, 0]) - y * z[:, 0]
    else:
        z = z - z.max(axis=1)[:, None]
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y]
    penalty = np.abs(W).sum() if model.penalty == "l1" else 0.5 * (W * W).sum()
    return losses.mean() + model.alpha * penalty


def batches(X, y):
    return lambda: iter([(X[i : i + 250], y[i : i + 250]) for i in range(0, len(y), 250)])


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_far_row_does_not_hold_a_column_of_batches(kind, penalty, tol):
    # the fit ended up to the whole gain from the optimum, and said "converged"
    for seed in range(3):
        X, y, far = table(kind, seed)
        model = of(kind, penalty, tol).fit_batches(batches(X, y))
        others = of(kind, penalty, 1e-9).fit(np.delete(X, far, axis=0), np.delete(y, far))
        constant = of(kind).set_params(alpha=1e9).fit(X, y)
        best, found = (objective(m, X, y, kind) for m in (others, model))
        assert model.status_ == "converged"
        # the optimum without the row is that of all, but for what its own loss leaves
        assert found - best <= max(2 * tol, 1e-5) * (objective(constant, X, y, kind) - best)


@pytest.mark.parametrize("make", [sp.csr_array, lambda X: X.astype(np.float32)], ids=["sparse", "single"])
def test_sparse_rows_and_single_precision(make):
    X, y, far = table("binary", 1)
    model = of("binary").fit_batches(batches(make(X), y))
    others = of("binary").fit(np.delete(X, far, axis=0), np.delete(y, far))
    assert model.status_ == "converged"
    assert objective(model, X, y, "binary") <= objective(others, X, y, "binary") + 1e-3


def test_whoever_computes_gives_the_same_bits():
    X, y, far = table("binary", 2)
    shards = [(X[i : i + 100], y[i : i + 100]) for i in range(0, 1000, 100)]
    others = of("binary").fit(np.delete(X, far, axis=0), np.delete(y, far))
    found = []
    for workers in (1, 2, 3):
        with ThreadPoolExecutor(workers) as executor:
            model = of("binary").set_params(alpha=1e9).fit(X, y)  # a start from which the row holds the column
            model.set_params(alpha=1e-4, warm_start=True)
            found.append(fit(model, shards, engine=executor).coef_)
            assert objective(model, X, y, "binary") <= objective(others, X, y, "binary") + 1e-3
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


def test_a_far_row_that_others_contradict_keeps_its_say():
    """On the other side its loss is what matters: the optimum is that of all rows, as in memory."""
    X, y, far = table("binary", 0, size=1e3)
    y[far] = 1 - y[far]
    model, here = of("binary", tol=1e-9).fit_batches(batches(X, y)), of("binary", tol=1e-9).fit(X, y)
    assert model.status_ == "converged"
    assert_allclose(model.coef_, here.coef_, rtol=1e-3, atol=1e-7)


def test_a_far_row_that_sets_a_bound_to_its_column():
    """It belongs to one class of several, and what the others say of its column would misplace it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12_000, 4))
    y = (X @ rng.normal(size=(4, 4)) * 0.5 + rng.gumbel(size=(12_000, 4))).argmax(axis=1)
    far = rng.choice(np.flatnonzero(y == 1))
    X[far, 2] = 1e5
    model = SGDVariantClassifier(alpha=0.1).fit_batches(batches(X, y))
    best, constant = SGDVariantClassifier(alpha=0.1, tol=1e-9).fit(X, y), SGDVariantClassifier(alpha=1e9).fit(X, y)
    constant.alpha = 0.1
    found, least, most = (objective(m, X, y, "classes") for m in (model, best, constant))
    assert model.status_ == "converged"
    assert found - least <= 1e-3 * (most - least)


def test_no_pass_is_spent_where_no_row_is_apart():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 8))
    y = (X[:, 0] + rng.logistic(size=20_000) > 0).astype(int)
    assert of("binary").fit_batches(batches(X, y)).n_iter_ <= 3


def test_limits_are_of_columns_with_a_reach():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(3, 1, 5000), np.zeros(5000), rng.normal(size=5000)])
    X[7, 1], X[8, 0], X[9, 2] = 1e6, 1e6, 20.0
    limits = Limits.of(X)
    assert_array_equal(limits.columns, [0, 2])
    assert_array_equal(np.flatnonzero(limits.exceeded(X)), [8])
    assert_array_equal(np.flatnonzero(limits.exceeded(sp.csr_array(X))), [8])

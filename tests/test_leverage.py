"""Rows a thousand deviations off, whose curvature holds a column: the optimum is that of the rows without them."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import xlogy
from sklearn.linear_model import ElasticNet, Ridge

from _references import problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.scaling import Coordinates
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.leverage import rows_apart, without


def table(rng, n, d, size, count):
    """Rows, some of them far off in one column and on the side that this column says; labels; which are far."""
    X = rng.normal(size=(n, d))
    weights = np.append(1.0, rng.normal(size=d - 1))
    y = (X @ weights + rng.logistic(size=n) > 0).astype(int)
    far = rng.choice(n, count, replace=False)
    X[far, 0] = size * (2 * y[far] - 1) * rng.uniform(0.5, 1, count)
    return X, y, np.isin(np.arange(n), far)


def objective(model, X, y, penalty, alpha=1e-4):
    signs, w = 2 * y - 1, model.coef_.ravel()
    cost = {"l2": 0.5 * w @ w, "l1": np.abs(w).sum(), None: 0.0}[penalty]
    return np.mean(np.logaddexp(0, -signs * model.decision_function(X))) + alpha * cost


@pytest.mark.parametrize("penalty", ["l2", "l1", None])
@pytest.mark.parametrize(("n", "d"), [(600, 5), (6000, 20)])
@pytest.mark.parametrize(("size", "count"), [(1e4, 1), (1e5, 5), (1e7, 1)])
def test_rows_that_are_far_off_do_not_hold_their_column(n, d, size, count, penalty):
    # the fit ended at the model without that column, a third of the gain from the optimum, and said "converged"
    X, y, far = table(np.random.default_rng(0), n, d, size, count)
    model = SGDVariantClassifier(penalty=penalty, random_state=0)
    without = SGDVariantClassifier(penalty=penalty, tol=1e-8).fit(X[~far], y[~far])
    found, possible = (objective(m, X, y, penalty) for m in (model.fit(X, y), without))
    constant = -xlogy(share := y.mean(), share) - xlogy(1 - share, 1 - share)
    assert model.status_ == "converged"
    assert found - possible <= 2e-4 * (constant - possible)


@pytest.mark.parametrize("as_container", [np.asarray, sp.csr_array])
def test_a_far_row_without_standardised_columns(as_container):
    X, y, far = table(np.random.default_rng(1), 2000, 5, 1e5, 1)
    model = SGDVariantClassifier(scale_features=False, random_state=0).fit(as_container(X), y)
    without = SGDVariantClassifier(tol=1e-8).fit(X[~far], y[~far])
    assert objective(model, X, y, "l2") <= objective(without, X, y, "l2") + 1e-4


@pytest.mark.parametrize(("penalty", "alpha"), [("l2", 1.0), ("l2", 0.1), (None, 0.0)])
def test_a_far_row_beside_a_strong_penalty_and_a_column_of_zeros(penalty, alpha):
    X, y, far = table(np.random.default_rng(1), 2000, 5, 1e5, 1)
    X[:, 3] = 0.0
    model = SGDVariantClassifier(penalty=penalty, alpha=alpha, random_state=0)
    without = SGDVariantClassifier(penalty=penalty, alpha=alpha, tol=1e-8).fit(X[~far], y[~far])
    found, possible = (objective(m, X, y, penalty, alpha) for m in (model.fit(X, y), without))
    assert model.status_ == "converged"
    assert found <= possible + 1e-4


def test_a_far_row_of_counts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    y = rng.poisson(np.exp(0.5 * X[:, 0]))
    far = np.flatnonzero(y == 0)[0]
    X[far, 0] = -1e5  # that there is nothing is what the others say of it, too

    def mean_loss(model):
        z = X @ model.coef_ + model.intercept_
        return np.mean(np.exp(z) - y * z) + 5e-5 * model.coef_ @ model.coef_

    others = np.arange(3000) != far
    model = SGDVariantRegressor("poisson", random_state=0).fit(X, y)
    without = SGDVariantRegressor("poisson", tol=1e-8).fit(X[others], y[others])
    assert mean_loss(model) <= mean_loss(without) + 1e-4


def test_a_far_row_that_others_contradict_keeps_its_say():
    X, y, far = table(np.random.default_rng(2), 2000, 5, 1e5, 1)
    X[far] *= -1
    model = SGDVariantClassifier(random_state=0).fit(X, y)
    assert abs(model.coef_[0, 0]) < 1e-3
    assert model.predict(X[far]) == y[far]


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_step_of_the_others_is_their_ridge_or_elastic_net(l1_ratio):
    # squared errors, from weights that differ: one step of Newton's is all there is to do
    rng, alpha = np.random.default_rng(0), 0.3
    X, theta = rng.standard_normal((60, 3)), np.array([[2.0], [-3.0], [0.5], [1.0]])
    y = X @ [1.0, -2.0, 0.0] + 0.5 + 0.1 * rng.standard_normal(60)
    apart = np.arange(60) == 7
    batch = StageBatch(problem(X, y[:, None], alpha=alpha, l1_ratio=l1_ratio, scaled=False), 1)
    step, _ = without(apart, batch, theta, batch.predict(theta))
    ridge = Ridge(59 * alpha)
    best = (ElasticNet(alpha, l1_ratio=l1_ratio, tol=1e-12) if l1_ratio else ridge).fit(X[~apart], y[~apart])
    assert_allclose((theta + step).ravel(), np.append(best.coef_, best.intercept_), atol=1e-6)


def test_rows_are_apart_by_deviations_of_most():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=5000), rng.random(5000) < 0.002, 1e-6 * rng.normal(size=5000)])
    X[[7, 4321], [0, 2]] = [1e5, -1.0]
    X[11, 0] = 5.0
    X += [300.0, 0.0, -2.0]  # wherever the middle of a column is
    deviation = X.std(axis=0)[:, None]
    standardised = Coordinates(mean=X.mean(axis=0)[:, None], inverse_scale=1 / deviation)
    for coordinates in (standardised, Coordinates()):
        for container in (np.asarray, sp.csr_array):
            assert_array_equal(np.flatnonzero(rows_apart(container(X), coordinates)), [7, 4321])


@pytest.mark.parametrize("size", [1e5, 1e7])
def test_a_solver_that_takes_steps_does_not_say_that_it_has_converged_there(size):
    X, y, far = table(np.random.default_rng(0), 6000, 5, size, 1)
    model = SGDVariantClassifier(solver="gd", random_state=0).fit(X, y)
    without = SGDVariantClassifier(tol=1e-8).fit(X[~far], y[~far])
    constant = -xlogy(share := y.mean(), share) - xlogy(1 - share, 1 - share)
    found, possible = (objective(m, X, y, "l2") for m in (model, without))
    left = (found - possible) / (constant - possible)
    assert left < 1e-3 or (model.status_ != "converged" and model.suboptimality_ > 0.5 * left)

"""Quasi-Newton steps on a growing batch: they reach the optimum of the documented objective, whatever the data."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes, make_classification
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._fullbatch import QuasiNewton
from skvariants.losses import LOSSES
from skvariants.penalties import ElasticNet as Penalty

SMOOTH = [name for name in LOSSES if LOSSES[name].curvature is not None]
XD, YD = load_diabetes(return_X_y=True, scaled=False)
TIGHT = dict(tol=1e-10, random_state=0)


def objective(model, X, y, loss, penalty):
    z = X @ model.coef_.T.reshape(X.shape[1], -1) + model.intercept_
    return float(loss.value(y[:, None], z).mean() + penalty.value(model.coef_.reshape(1, -1).T)[0])


def optimum(X, y, loss, penalty):
    """Objective that L-BFGS of scipy reaches on standardised columns, for smooth penalties."""
    scaler = StandardScaler().fit(X)
    S = scaler.transform(X)

    def f(v):
        w = v[:-1] / scaler.scale_
        z = (S @ v[:-1] + v[-1])[:, None]
        r = loss.gradient(y[:, None], z, np.empty_like(z))[:, 0] / len(y)
        value = loss.value(y[:, None], z).mean() + penalty.value(w[:, None])[0]
        return value, np.append(S.T @ r + penalty.smooth_strength * w / scaler.scale_, r.sum())

    start = np.append(np.zeros(X.shape[1]), np.median(y))
    best = minimize(
        f, start, jac=True, method="L-BFGS-B", options=dict(maxiter=20000, maxfun=40000, ftol=0, gtol=1e-11)
    )
    return best.fun


@pytest.mark.parametrize("loss", SMOOTH)
def test_the_documented_objective_is_minimised_in_raw_units(loss):
    penalty = Penalty(alpha=1e-3, l1_ratio=0.0)
    kwargs = {"epsilon": 20.0} if hasattr(LOSSES[loss](), "epsilon") else {}
    instance = LOSSES[loss](**kwargs)
    if instance.regression:
        model = SGDVariantRegressor(loss=loss, alpha=1e-3, **TIGHT, **kwargs).fit(XD, YD)
        y = YD
    else:
        y = np.where(YD > 140, 1.0, -1.0)
        model = SGDVariantClassifier(loss=loss, alpha=1e-3, **TIGHT).fit(XD, y)
    assert isinstance(model.solver_, QuasiNewton)
    assert model.status_ == "converged"
    best = optimum(XD, y, instance, penalty)
    assert objective(model, XD, y, instance, penalty) <= best * (1 + 1e-7)


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_several_classes_reach_the_optimum(multi_class):
    X, y = make_classification(300, 8, n_informative=5, n_classes=4, random_state=0)
    model = SGDVariantClassifier(alpha=1e-2, multi_class=multi_class, **TIGHT).fit(X, y)
    for c in range(4):
        if multi_class == "ovr":
            theirs = LogisticRegression(C=1 / (1e-2 * len(y)), tol=1e-12, max_iter=10000).fit(X, y == c)
            np.testing.assert_allclose(model.coef_[c], theirs.coef_[0], atol=1e-5)
    if multi_class == "multinomial":
        theirs = LogisticRegression(C=1 / (1e-2 * len(y)), tol=1e-12, max_iter=10000).fit(X, y)
        np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-5)
        np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_classes_too_many_for_a_common_hessian_end_near_the_optimum(seed):
    rng = np.random.default_rng(seed)
    n, d, k = 600, 20, 20
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
    y = (X @ rng.standard_normal((d, k)) / np.sqrt(d) + 2 * rng.standard_normal((n, k))).argmax(axis=1)

    def objective(model):
        p = model.predict_proba(X)[np.arange(n), np.searchsorted(model.classes_, y)]
        return -np.log(p).mean() + 1e-4 / 2 * (model.coef_**2).sum()

    best = objective(SGDVariantClassifier(alpha=1e-4, **TIGHT).fit(X, y))
    reached = objective(SGDVariantClassifier(alpha=1e-4, random_state=0).fit(X, y))
    assert reached - best < 3e-4 * (np.log(k) - best)


@pytest.mark.parametrize("l1_ratio", [0.1, 0.9, 1.0])
@pytest.mark.parametrize("alpha", [1e-2, 1.0, 10.0])
def test_l1_reaches_scikit_learns_optimum_with_its_zeros(alpha, l1_ratio):
    X = StandardScaler().fit_transform(XD)
    theirs = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=100000).fit(X, YD)
    ours = SGDVariantRegressor(penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio, **TIGHT).fit(X, YD)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


def test_l1_in_classification_is_sagas():
    X, y = make_classification(300, 20, n_informative=4, random_state=0)
    params = dict(C=1 / (0.02 * 300), l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=50000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions differ in how the penalty is named
        try:
            theirs = LogisticRegression(penalty="l1", **{k: v for k, v in params.items() if k != "l1_ratio"}).fit(X, y)
        except TypeError:
            theirs = LogisticRegression(**params).fit(X, y)
    ours = SGDVariantClassifier(penalty="l1", alpha=0.02, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_array_equal(ours.coef_ == 0, np.abs(theirs.coef_) < 1e-6)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_more_features_than_a_factor_is_worth(penalty):
    rng = np.random.default_rng(0)
    X = sp.random(400, 1500, density=0.02, format="csr", random_state=0)
    y = (X @ rng.normal(size=1500) + 0.1 * rng.normal(size=400) > 0).astype(int)
    params = dict(alpha=1e-2 if penalty == "l2" else 1e-3, penalty=penalty, max_iter=5000, tol=1e-9, random_state=0)
    sparse = SGDVariantClassifier(**params).fit(X, y)
    dense = SGDVariantClassifier(**params).fit(X.toarray(), y)
    assert sparse.status_ == dense.status_ == "converged"
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-3 * np.abs(dense.coef_).max())
    if penalty == "l2":
        theirs = LogisticRegression(C=1 / (1e-2 * 400), tol=1e-10, max_iter=10000).fit(X, y)
        np.testing.assert_allclose(sparse.coef_, theirs.coef_, atol=1e-3 * np.abs(theirs.coef_).max())


def test_the_batch_grows_and_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40000, 4)) * [1, 10, 100, 1000] + [0, 1e3, 0, 1e5]
    y = (X @ [1.0, 0.1, 0.01, 0.001] - 200 + rng.logistic(size=40000) > 0).astype(int)
    sorted_ = np.lexsort((X[:, 3], y))
    models = [SGDVariantClassifier(alpha=1e-6, random_state=0).fit(X[rows], y[rows]) for rows in (slice(None), sorted_)]
    for model in models:
        rows = model.history_["rows"]
        assert rows[0] < rows[-1] == 40000
        assert rows == sorted(rows)
    losses = [np.logaddexp(0, -(2 * y - 1) * model.decision_function(X)).mean() for model in models]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_weights_and_offsets_count():
    rng = np.random.default_rng(0)
    w = rng.uniform(0.1, 5, size=len(YD))
    far = XD + 1e8
    ours = SGDVariantRegressor(alpha=1e-3, **TIGHT).fit(far, YD, sample_weight=w)
    theirs = Ridge(alpha=1e-3 * w.sum()).fit(XD, YD, sample_weight=w)
    np.testing.assert_allclose(ours.predict(far), theirs.predict(XD), rtol=1e-4)


def test_no_intercept_means_none():
    ours = SGDVariantRegressor(fit_intercept=False, alpha=1e-3, **TIGHT).fit(XD, YD)
    theirs = Ridge(alpha=1e-3 * len(YD), fit_intercept=False).fit(XD, YD)
    assert ours.intercept_ == 0
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5)


def test_separable_classes_and_no_penalty_end_soundly():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = SGDVariantClassifier(penalty=None, random_state=0).fit(X, [0, 0, 1, 1])
    assert np.isfinite(model.coef_).all()
    assert model.score(X, [0, 0, 1, 1]) == 1.0


def test_max_iter_warns_and_counts():
    with pytest.warns(UserWarning, match="max_iter=2"):
        model = SGDVariantClassifier(max_iter=2, tol=1e-8, random_state=0).fit(XD, YD > 140)
    assert model.n_iter_ == 2
    assert model.status_ == "max_iter"


def test_the_first_step_is_a_race():
    model = SGDVariantClassifier(random_state=0).fit(XD, YD > 140)
    race = model.race_
    assert race.scores[np.argmin(race.scores)] == race.scores[race.eta0 == model.eta0_][0]
    assert (np.diff(model.loss_curve_) < 0).all()

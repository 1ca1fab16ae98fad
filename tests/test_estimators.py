"""The estimators: scikit-learn's steps, torch's trajectories, containers, weights, errors."""

import itertools
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from _references import RECURSIONS, ROW_RECURSIONS, STEPPING, asked, ridge_logistic, torch, torch_optimizer, walk
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._messages import not_converged
from skvariants.losses import LOSSES, Loss
from skvariants.schedules import Schedule
from skvariants.solvers import LECTURE, SOLVERS, Adam, Momentum, Solver

NAMES = ["auto", *SOLVERS]
ESTIMATORS = [
    E(**asked(name, E is SGDVariantClassifier)) for name in NAMES for E in (SGDVariantClassifier, SGDVariantRegressor)
]
THEIRS = [name for name in LOSSES if name in SGDClassifier.loss_functions]
REGRESSION = [name for name in THEIRS if LOSSES[name].regression]
X3, Y3 = make_classification(150, 6, n_informative=4, n_classes=3, random_state=0)
Y2 = (Y3 > 0).astype(int)
XR, YR = load_diabetes(return_X_y=True)
XR = StandardScaler().fit_transform(XR)


def attributes_of_numpy(estimator):
    """Checks that ask for coefficients in the namespace of X; test_array_api.py runs the rest of them."""
    names = ("input", "mixed_inputs", "same_namespace") if get_tags(estimator).array_api_support else ()
    return {f"check_array_api_{name}": "fitted attributes are arrays of NumPy" for name in names}


def one_by_one(estimator):
    """Checks that a solver fails which learns all rows of a tiny table one after another, and those of attributes."""
    reason = "a weight is a longer step, not several"
    names = ("on_dense_data", "on_sparse_data")
    failed = {f"check_sample_weight_equivalence_{name}": reason for name in names if estimator.solver == "nag"}
    return failed | attributes_of_numpy(estimator)


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=one_by_one)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# --------------------------------------------------------------------------- oracles

STEPS = dict(shuffle=False, tol=None, max_iter=3, random_state=0)


def same(theirs, ours, tol=1e-8):
    size = max(1.0, np.abs(theirs.coef_).max())
    assert np.abs(theirs.coef_ - ours.coef_).max() <= tol * size
    assert np.abs(theirs.intercept_ - ours.intercept_).max() <= tol * max(1.0, np.abs(theirs.intercept_).max())


@pytest.mark.parametrize("rate", ["constant", "optimal", "invscaling", "adaptive"])
@pytest.mark.parametrize("loss", THEIRS)
@pytest.mark.parametrize("weights", [None, {0: 2.0, 1: 0.5, 2: 1.5}], ids=["equal", "weighted"])
@pytest.mark.parametrize("y", [Y2, Y3], ids=["binary", "one-vs-rest"])
@pytest.mark.filterwarnings("ignore:The steps were too large")
def test_sgd_takes_scikit_learns_steps(loss, rate, weights, y):
    by_row = None
    if weights is not None:
        # a class weight is a sample weight by another name, and the objective is normalised by them
        weights = {c: weights[c] for c in np.unique(y)}
        by_row = np.array([weights[c] for c in y])
        by_row /= by_row.mean()
    # alpha keeps the first steps of "optimal" below the stability limit, beyond which rounding decides
    params = dict(loss=loss, learning_rate=rate, eta0=0.003, alpha=0.5 if rate == "optimal" else 1e-3)
    theirs = SGDClassifier(**params, **STEPS).fit(X3, y, sample_weight=by_row)
    ours = SGDVariantClassifier(
        class_weight=weights, solver="sgd", batch_size=1, multi_class="ovr", **params, **STEPS
    ).fit(X3, y)
    same(theirs, ours)


@pytest.mark.parametrize("rate", ["constant", "optimal", "invscaling", "adaptive"])
@pytest.mark.parametrize("loss", REGRESSION)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
def test_sgd_takes_scikit_learns_steps_in_regression(loss, rate, penalty):
    alpha = 0.5 if rate == "optimal" else 1e-3
    params = dict(loss=loss, learning_rate=rate, eta0=0.003, alpha=alpha, penalty=penalty, power_t=0.25)
    theirs = SGDRegressor(**params, **STEPS).fit(XR, YR)
    ours = SGDVariantRegressor(solver="sgd", batch_size=1, **params, **STEPS).fit(XR, YR)
    same(theirs, ours)


@pytest.mark.parametrize("rate", ["pa1", "pa2"])
@pytest.mark.parametrize("y", [Y2, Y3], ids=["binary", "one-vs-rest"])
def test_passive_aggressive_steps_are_scikit_learns(rate, y):
    if "pa1" not in SGDClassifier._parameter_constraints["learning_rate"][0].options:
        theirs_r = None
    else:
        params = dict(loss="hinge", learning_rate=rate, eta0=0.5, penalty=None)
        theirs_r = SGDClassifier(**params, **STEPS).fit(X3, y)
    ours = SGDVariantClassifier(
        loss="hinge", learning_rate=rate, eta0=0.5, penalty=None, solver="sgd", batch_size=1, multi_class="ovr",
        **STEPS,
    ).fit(X3, y)  # fmt: skip
    assert np.isfinite(ours.coef_).all()
    if theirs_r is not None:
        same(theirs_r, ours)


@pytest.mark.parametrize("average", [True, 40])
def test_average_is_scikit_learns(average):
    params = dict(loss="log_loss", learning_rate="constant", eta0=0.01, average=average)
    theirs = SGDClassifier(**params, **STEPS).fit(X3, Y2)
    same(theirs, SGDVariantClassifier(solver="sgd", batch_size=1, **params, **STEPS).fit(X3, Y2))


@pytest.mark.parametrize("batch", [len(YR), 64])
@pytest.mark.parametrize("name", [name for name in STEPPING if name not in (*RECURSIONS, *ROW_RECURSIONS)])
def test_trajectories_are_torchs(name, batch):
    """On all rows, and on batches in the order of the rows, for 50 steps."""
    t = torch()
    kept = t.get_default_dtype()
    t.set_default_dtype(t.float64)
    lr = 1.0 if name == "adadelta" else 0.01
    y, starts = YR / YR.std(), np.arange(0, len(YR), batch)
    epochs = -(-50 // len(starts))
    try:
        w = t.nn.Parameter(t.zeros(XR.shape[1]))
        b = t.nn.Parameter(t.zeros(1))
        optimizer = torch_optimizer(name, [w, b], lr)
        for epoch in range(1, epochs + 1):
            for start in starts:
                rows, targets = (t.tensor(part[start : start + batch]) for part in (XR, y))
                optimizer.zero_grad()
                loss = (0.5 * (rows @ w + b - targets) ** 2).mean() + 0.5 * 0.1 * (w**2).sum()
                loss.backward()
                optimizer.step()
            if epoch in (1, 2, 7, epochs):
                ours = SGDVariantRegressor(
                    solver=name, batch_size=batch, alpha=0.1, learning_rate="constant", eta0=lr, tol=None,
                    max_iter=epoch, shuffle=False, scale_features=False,
                ).fit(XR, y)  # fmt: skip
                np.testing.assert_allclose(ours.coef_, w.detach().numpy(), atol=1e-10, rtol=0)
                np.testing.assert_allclose(ours.intercept_, b.detach().numpy(), atol=1e-10, rtol=0)
    finally:
        t.set_default_dtype(kept)


@pytest.mark.parametrize("batch", [len(YR), 64])
@pytest.mark.parametrize("name", RECURSIONS)
def test_trajectories_are_the_papers(name, batch):
    """On all rows, and on batches in the order of the rows, for 50 steps: the model that `solution` gives."""
    y, lr = YR / YR.std(), 1.0 if SOLVERS[name].learning_rate_free else 0.01
    rows = np.column_stack([XR, np.ones(len(y))])
    starts = np.arange(0, len(y), batch)

    def gradient(theta, t):
        at = slice(starts[(t - 1) % len(starts)], starts[(t - 1) % len(starts)] + batch)
        g = rows[at].T @ (rows[at] @ theta - y[at, None]) / len(y[at])
        return g + 0.1 * np.vstack([theta[:-1], np.zeros((1, 1))])

    epochs = -(-50 // len(starts))
    _, models = walk(name, gradient, np.zeros((rows.shape[1], 1)), lr, epochs * len(starts))
    ours = SGDVariantRegressor(
        solver=name, batch_size=batch, alpha=0.1, learning_rate="constant", eta0=lr, tol=None, max_iter=epochs,
        shuffle=False, scale_features=False,
    ).fit(XR, y)  # fmt: skip
    assert np.abs(models[-1]).max() > 1e-3
    np.testing.assert_allclose(ours.coef_, models[-1, :-1, 0], atol=1e-10, rtol=0)
    np.testing.assert_allclose(ours.intercept_, models[-1, -1], atol=1e-10, rtol=0)


@pytest.mark.parametrize("scaled", [True, False])
def test_gd_reaches_the_documented_objective_with_weights(scaled):
    rng = np.random.default_rng(0)
    weight, y = rng.integers(0, 4, len(Y2)).astype(float), 2.0 * Y2 - 1
    best = ridge_logistic(X3, y, 0.1, weight)
    model = SGDVariantClassifier(
        solver="nesterov", batch_size="full", alpha=0.1, tol=1e-14, n_iter_no_change=50, max_iter=5000,
        scale_features=scaled, eta0=0.2, learning_rate="constant",
    ).fit(X3, Y2, sample_weight=weight)  # fmt: skip
    np.testing.assert_allclose(model.coef_[0], best[:-1], atol=1e-6)
    np.testing.assert_allclose(model.intercept_, best[-1:], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_near_the_optimum_on_raw_units(name):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    best = Ridge(alpha=1e-4 * len(y)).fit(X, y).score(X, y)
    model = SGDVariantRegressor(**asked(name, False), random_state=0).fit(X, y)
    assert model.score(X, y) > best - 0.02
    X, y = load_breast_cancer(return_X_y=True)
    accuracy = SGDVariantClassifier(**asked(name), random_state=0).fit(X, y).score(X, y)
    assert accuracy > (0.97 if name in ("auto", *LECTURE) else 0.96)


# --------------------------------------------------------------------------- components of the user's own


def test_a_solver_instance_is_seen_by_params_clone_repr_and_search():
    model = SGDVariantClassifier(solver=Momentum(momentum=0.95))
    assert model.get_params()["solver__momentum"] == 0.95
    assert "Momentum(momentum=0.95)" in repr(model)
    assert clone(model).set_params(solver__momentum=0.5).solver.momentum == 0.5
    search = GridSearchCV(model, {"solver__momentum": [0.5, 0.9]}, cv=2).fit(X3, Y2)
    assert search.best_estimator_.solver_.momentum in (0.5, 0.9)


class Half(Solver):
    share: float = 0.5

    def step(self, g, t, work, *memory):
        return g, self.share


class Twice(Schedule):
    def __call__(self, t):
        return 0.02


class Absolute(Loss):
    regression = True

    def value(self, y, z):
        return np.abs(y - z)

    def gradient(self, y, z, out):
        return np.sign(z - y, out=out)


def test_a_users_solver_loss_and_schedule_work_without_registration():
    steps = dict(batch_size="full", tol=None, max_iter=20, penalty=None)
    own = SGDVariantRegressor(solver=Half(), learning_rate=Twice(), **steps).fit(XR, YR)
    same(SGDVariantRegressor(solver="gd", learning_rate="constant", eta0=0.01, **steps).fit(XR, YR), own, 1e-12)
    own = SGDVariantRegressor(loss=Absolute(), solver="gd", learning_rate="constant", eta0=0.1, **steps)
    named = clone(own).set_params(loss="epsilon_insensitive", epsilon=0.0)
    same(named.fit(XR, YR), own.fit(XR, YR), 1e-12)


# --------------------------------------------------------------------------- containers


@pytest.mark.parametrize("name", NAMES)
def test_sparse_is_dense(name):
    rng = np.random.default_rng(0)
    X = X3 * (rng.random(X3.shape) < 0.5)
    params = dict(**asked(name), random_state=0, max_iter=5, tol=None)
    dense = SGDVariantClassifier(**params).fit(X, Y3)
    csr = sp.csr_matrix(X)
    wide = sp.csr_matrix(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    for container in (csr, sp.csc_matrix(X), sp.csr_array(X), sp.coo_array(X), wide):
        same(dense, SGDVariantClassifier(**params).fit(container, Y3), 1e-9)


def test_wide_sparse_input_takes_the_sparse_path_and_agrees():
    rng = np.random.default_rng(0)
    X = sp.random(80, 300, density=0.03, format="csr", random_state=0)
    y = rng.integers(0, 2, 80)
    for solver in ("sgd", "adam"):
        params = dict(solver=solver, random_state=0, max_iter=5, tol=None)
        dense = SGDVariantClassifier(**params).fit(X.toarray(), y)
        same(dense, SGDVariantClassifier(**params).fit(X, y), 1e-9)
        params.update(eta0=0.1, learning_rate="constant")
        dense = SGDVariantClassifier(**params).fit(X.toarray(), y)
        same(dense, SGDVariantClassifier(**params).fit(X, y), 1e-9)


def test_frames_and_float32():
    columns = [f"c{i}" for i in range(X3.shape[1])]
    plain = SGDVariantClassifier(random_state=0).fit(X3, Y3)
    for frame in (pd.DataFrame(X3, columns=columns), pl.DataFrame(X3, schema=columns)):
        model = SGDVariantClassifier(random_state=0).fit(frame, Y3)
        same(plain, model, 1e-9)
        assert list(model.feature_names_in_) == columns
    small = SGDVariantClassifier(random_state=0).fit(X3.astype(np.float32), Y3)
    assert small.coef_.dtype == small.intercept_.dtype == np.float32
    assert (small.predict(X3.astype(np.float32)) == plain.predict(X3)).mean() > 0.95


def test_several_targets_are_columns():
    Y = np.column_stack([YR, -2 * YR + 1, XR[:, 0]])
    steps = dict(solver="adam", tol=None, max_iter=4, eta0=0.1, learning_rate="constant", random_state=0)
    together = SGDVariantRegressor(**steps).fit(XR, Y)
    assert together.coef_.shape == (3, XR.shape[1])
    assert together.predict(XR).shape == Y.shape
    for j in range(3):
        alone = SGDVariantRegressor(**steps).fit(XR, Y[:, j])
        np.testing.assert_allclose(together.coef_[j], alone.coef_, atol=1e-10)


# --------------------------------------------------------------------------- weights


def test_weight_is_repetition_and_zero_is_absence():
    rng = np.random.default_rng(1)
    w = rng.integers(0, 3, len(Y3))
    for E, y in ((SGDVariantClassifier, Y3), (SGDVariantRegressor, Y3 + 0.5)):
        model = E(solver="gd", random_state=0)
        repeated = clone(model).fit(X3.repeat(w, axis=0), y.repeat(w))
        weighted = clone(model).fit(X3, y, sample_weight=w)
        same(repeated, weighted, 1e-8)
        assert repeated.n_iter_ == weighted.n_iter_
    sgd = dict(solver="sgd", batch_size=1, shuffle=False, tol=None, max_iter=2, eta0=0.01)
    absent = SGDVariantClassifier(**sgd).fit(X3[w > 0], Y3[w > 0])
    zero = SGDVariantClassifier(**sgd).fit(X3, Y3, sample_weight=(w > 0) * 7.0)
    same(absent, zero, 1e-13)
    assert absent.t_ == zero.t_


def test_all_zero_weights_are_an_error_in_fit_and_nothing_in_partial_fit():
    with pytest.raises(ValueError, match="sample_weight is zero for all samples"):
        SGDVariantClassifier().fit(X3, Y3, sample_weight=np.zeros(len(Y3)))
    model = SGDVariantClassifier().partial_fit(X3, Y3, classes=[0, 1, 2])
    before = model.coef_.copy()
    model.partial_fit(X3, Y3, sample_weight=np.zeros(len(Y3)))
    np.testing.assert_array_equal(model.coef_, before)


# --------------------------------------------------------------------------- stopping


def test_early_stopping_scores_and_returns_the_best_epoch():
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))
    fit, val = rows[:400], rows[400:]
    for average in (False, True):
        model = SGDVariantClassifier(
            solver="momentum", early_stopping=True, average=average, random_state=0, alpha=0.03
        ).fit(X[fit], y[fit], X_val=X[val], y_val=y[val])
        assert len(model.validation_scores_) == model.n_iter_
        best = max(model.validation_scores_)
        assert model.score(X[val], y[val]) == pytest.approx(best)
        assert model.validation_scores_[model.best_epoch_ - 1] == best
        assert model.status_ == "no validation improvement"
    split = SGDVariantRegressor(solver="adam", early_stopping=True, random_state=0).fit(XR, YR)
    assert split.validation_scores_


@pytest.mark.parametrize("solver", ["auto", "adam"])
@pytest.mark.parametrize("held_out", [1, 20])
def test_early_stopping_on_a_constant_validation_target_has_scores(solver, held_out):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    y = np.where(rng.random(300) < 0.1, X[:, 0] + 5, 0.0)
    model = SGDVariantRegressor(solver=solver, early_stopping=True, random_state=0)
    model.fit(X, y, X_val=X[:held_out], y_val=np.zeros(held_out))
    z = X[:held_out] @ model.coef_ + model.intercept_
    assert max(model.validation_scores_) == pytest.approx(1 - (z**2).mean() / y.var())


def test_the_average_is_the_mean_of_the_iterates_with_l1_too():
    params = dict(
        solver="minibatch", batch_size=50, penalty="l1", alpha=0.1, eta0=0.1, learning_rate="constant",
        shuffle=False, tol=None,
    )  # fmt: skip
    X, y = XR[:200], YR[:200] / YR.std()
    model = SGDVariantRegressor(max_iter=1, **params)
    iterates = []
    for start in range(0, 200, 50):
        model.partial_fit(X[start : start + 50], y[start : start + 50])
        iterates.append(model.coef_.copy())
    averaged = SGDVariantRegressor(max_iter=1, average=True, **params).fit(X, y)
    np.testing.assert_allclose(averaged.coef_, np.mean(iterates, axis=0), atol=1e-13)


def test_the_history_is_always_there():
    model = SGDVariantClassifier(random_state=0).fit(X3, Y3)
    assert len(model.loss_curve_) == model.n_iter_
    assert set(model.history_) == {"epoch", "objective", "eta", "seconds", "rows", "validation_score", "remembered"}
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.status_ == "converged"


def test_the_loss_curve_of_gd_is_the_documented_objective():
    model = SGDVariantClassifier(solver="gd", eta0=0.1, learning_rate="constant", tol=None, alpha=0.1)
    two = clone(model).set_params(max_iter=2).fit(X3, Y2)
    one = clone(model).set_params(max_iter=1).fit(X3, Y2)
    m = (2.0 * Y2 - 1) * one.decision_function(X3)
    expected = np.logaddexp(0, -m).mean() + 0.05 * (one.coef_**2).sum()
    assert two.loss_curve_[1] == pytest.approx(expected, rel=1e-12)


# --------------------------------------------------------------------------- resuming, divergence, errors


@pytest.mark.parametrize("name", SOLVERS)
def test_resuming_is_continuing(name):
    params = dict(**asked(name), random_state=0, tol=None, warm_start=True)
    whole = SGDVariantClassifier(max_iter=7, **params).fit(X3, Y3)
    parts = SGDVariantClassifier(max_iter=3, **params).fit(X3, Y3)
    parts = pickle.loads(pickle.dumps(parts)).set_params(max_iter=4).fit(X3, Y3)
    np.testing.assert_array_equal(whole.coef_, parts.coef_)
    np.testing.assert_array_equal(whole.intercept_, parts.intercept_)
    assert whole.t_ == parts.t_


@pytest.mark.parametrize("eta0", [10.0, 1e4, 1e12])
def test_divergence_is_a_state(eta0):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    for solver in ("sgd", "minibatch", "gd", "momentum"):
        model = SGDVariantRegressor(solver=solver, eta0=eta0, learning_rate="constant", random_state=0)
        with pytest.warns(ConvergenceWarning, match="diverged") as caught:
            model.fit(X, y)
        assert len(caught) == 1
        assert np.isfinite(model.coef_).all()
        assert np.abs(model.predict(X)).max() < 1e6


def test_a_step_of_the_race_that_proves_too_long_is_made_shorter_in_silence():
    # carats, their edges and rare levels: rows so unlike that forty steps say little of an epoch
    rng = np.random.default_rng(1)
    size = rng.lognormal(0, 0.4, 4000)
    wild = size + 0.02 * rng.standard_t(1.5, size=4000)
    X = np.column_stack([size**3, size, size + 0.01 * rng.standard_normal(4000), wild])
    X = np.hstack([X, rng.integers(0, 60, (4000, 1)) == np.arange(8)])
    y = 4000 * X[:, 0] + X[:, 4:] @ np.arange(8) * 500 + 500 * rng.standard_normal(4000)
    model = SGDVariantRegressor(solver="sgd", random_state=0).fit(X, y)
    curve, constant = model.loss_curve_, 0.5 * y.var()
    assert model.status_ == "converged"
    assert model.score(X, y) > 0.99
    for worse, after in itertools.pairwise(curve):
        assert worse <= 2 * constant or after < worse


def test_a_start_worse_than_none_is_no_divergence():
    X, y = load_diabetes(return_X_y=True)
    far = SGDVariantRegressor(solver="momentum", random_state=0).fit(X, y, coef_init=np.full(10, 1e5))
    assert far.status_ == "converged"
    assert far.loss_curve_[0] > 2 * 0.5 * y.var()
    stream = SGDVariantClassifier(solver="rmsprop", random_state=0)
    signs = X[:, 2] > 0
    for flip in [False] * 40 + [True] * 40:  # the world turns round
        stream.partial_fit(X, signs ^ flip, classes=[False, True])
    assert stream.score(X, ~signs) > 0.8


def test_divergence_names_the_columns_of_extreme_scale():
    X = pd.DataFrame(XR[:, :3], columns=["age", "sex", "income"]) * [1.0, 1.0, 1e6]
    model = SGDVariantRegressor(solver="minibatch", eta0=1.0, learning_rate="constant", random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"largest scale are income \(1e\+06\).*scale_features='auto'"):
        model.fit(X, YR)
    assert np.isfinite(model.coef_).all()


def test_values_whose_squares_overflow_are_refused():
    with pytest.raises(ValueError, match=r"variance overflows \(by number: \[2\]\)"):
        SGDVariantClassifier().fit(X3 * [1, 1, 1e200, 1, 1, 1], Y3)
    with pytest.raises(ValueError, match="y has values so large"):
        SGDVariantRegressor().fit(XR, YR * 1e200)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"random_state": "seed"}, "random_state='seed' is not accepted"),
        ({"solver": "adamm"}, "solver='adamm' is not one of auto, gd, sgd, .* Did you mean 'adam'"),
        ({"loss": "logloss"}, "loss='logloss' is not one of"),
        ({"penalty": "l3"}, "penalty='l3' is not one of"),
        ({"learning_rate": "fast"}, "learning_rate='fast' is not one of auto, constant"),
        ({"alpha": -1}, r"alpha=-1 is not accepted: alpha must be a number in \[0, inf\)"),
        ({"eta0": 0}, "eta0=0 is not accepted"),
        ({"batch_size": 0}, "batch_size=0 is not accepted"),
        ({"batch_size": "half"}, "batch_size='half' is not accepted"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"solver": Momentum(momentum=2.0)}, "solver__momentum=2.0"),
        ({"learning_rate": "optimal", "alpha": 0}, "alpha must be > 0"),
        ({"penalty": "elasticnet", "l1_ratio": None}, "l1_ratio must be set"),
    ],
)
def test_bad_parameters_get_a_sentence_and_leave_the_model(params, sentence):
    model = SGDVariantClassifier(random_state=0).fit(X3, Y3)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=sentence):
        model.set_params(**params).fit(X3[:, :4], Y3)
    np.testing.assert_array_equal(model.coef_, before)
    assert model.n_features_in_ == X3.shape[1]


def test_bad_data_leaves_the_model():
    model = SGDVariantRegressor(random_state=0).fit(XR, YR)
    before = model.predict(XR)
    broken = XR.copy()
    broken[3, 2] = np.nan
    for X, y in ((broken, YR), (XR[:, :3], YR[:5]), (XR, None)):
        with pytest.raises(ValueError):
            model.fit(X, y)
        np.testing.assert_array_equal(model.predict(XR), before)
    with pytest.raises(ValueError, match="given together"):
        SGDVariantRegressor(early_stopping=True).fit(XR, YR, X_val=XR)
    with pytest.raises(ValueError, match="early_stopping=True"):
        SGDVariantRegressor().fit(XR, YR, X_val=XR, y_val=YR)


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter(name):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    rng = np.random.default_rng(0)
    scale, shift = 10.0 ** rng.uniform(-4, 4, X.shape[1]), rng.normal(size=X.shape[1])
    model = SGDVariantRegressor(**asked(name, False), penalty=None, epsilon=0.0, random_state=0)
    plain = clone(model).fit(X, y).predict(X)
    moved = clone(model).fit((X + shift) * scale, y).predict((X + shift) * scale)
    np.testing.assert_allclose(moved, plain, rtol=1e-4)
    target = clone(model).fit(X, y * 1e4 - 7).predict(X)
    np.testing.assert_allclose((target + 7) / 1e4, plain, rtol=1e-4)


def test_odd_tables_are_learned_or_refused():
    y = np.array([0, 1] * 20)
    for X in (np.zeros((40, 3)), np.full((40, 1), 7.0), np.full((40, 2), 1e8) + y[:, None]):
        model = SGDVariantClassifier(random_state=0).fit(X, y)
        assert np.isfinite(model.coef_).all()
    assert SGDVariantClassifier(random_state=0).fit(np.full((40, 2), 1e8) + y[:, None], y).score(X, y) == 1.0
    two = SGDVariantClassifier(random_state=0).fit([[0.0], [1.0]], [0, 1])
    assert two.predict([[0.0], [1.0]]).tolist() == [0, 1]


def test_probabilities():
    model = SGDVariantClassifier(random_state=0).fit(X3, Y3)
    p = model.predict_proba(X3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(model.predict_log_proba(X3), np.log(p))
    z = model.decision_function(X3)
    np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    ovr = clone(model).set_params(multi_class="ovr").fit(X3, Y3)
    np.testing.assert_allclose(ovr.predict_proba(X3).sum(axis=1), 1)
    assert not hasattr(SGDVariantClassifier(loss="hinge"), "predict_proba")


def test_sparsify_densify_and_pipelines():
    model = SGDVariantClassifier(penalty="l1", alpha=0.05, solver="minibatch", random_state=0).fit(X3, Y3)
    p = model.decision_function(X3)
    assert sp.issparse(model.sparsify().coef_)
    np.testing.assert_allclose(model.decision_function(X3), p)
    np.testing.assert_allclose(model.densify().decision_function(X3), p)
    grid = {"sgdvariantclassifier__solver": ["adam", Adam(beta_1=0.5)]}
    iris = load_iris(return_X_y=True)
    search = GridSearchCV(make_pipeline(StandardScaler(), SGDVariantClassifier(random_state=0)), grid)
    assert search.fit(*iris).best_score_ > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_streams_raw_columns(name):
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))
    model = SGDVariantClassifier(**asked(name), random_state=0)
    for _ in range(10):
        for start in range(0, 500, 100):
            batch = rows[start : start + 100]
            model.partial_fit(X[batch], y[batch], classes=[0, 1])
    # a step that is estimated never shrinks to nothing, and its last iterate swings
    least = 0.8 if getattr(model.solver_, "learning_rate_free", False) else 0.9
    assert model.score(X[rows[500:]], y[rows[500:]]) > least


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_words_of_the_progress_stand_under_each_other(capsys, solver):
    SGDVariantClassifier(solver=solver, verbose=1, early_stopping=True, random_state=0).fit(X3, Y3)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(lines) > 1
    for word in ("objective", "eta", " s ", "validation"):
        assert len({line.index(word) for line in lines}) == 1


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        ({"solver": "adam"}, ["solver", "objective", "race", "stopped"]),
        ({"solver": "adam", "eta0": 0.1}, ["solver", "objective", "stopped"]),
        ({}, ["solver", "objective", "race", "stopped"]),
        ({"loss": "hinge"}, ["solver", "objective", "stopped"]),
    ],
)
def test_verbose_says_what_is_done_a_line_an_epoch_and_why_it_stopped(capsys, params, labels):
    model = SGDVariantClassifier(verbose=1, random_state=0, **params).fit(X3, Y3)
    *before, last = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("epoch")]
    assert [line[:13].rstrip(" :") for line in (*before, last)] == labels
    assert before[0] == f"solver:      {model.solver_!r}"
    assert before[1].startswith(f"objective:   mean of {model.__skvariants_spec__().loss!r} + ElasticNet(")
    assert last[13:].startswith(f"{model.status_} after {model.n_iter_} epoch")


def test_verbose_prints_the_race_before_the_epochs_that_follow_from_it(capsys):
    for solver in ("auto", "adam"):
        model = SGDVariantClassifier(solver=solver, verbose=1, random_state=0).fit(X3, Y3)
        kinds = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
        assert kinds == ["solver:", "objective:", "race:"] + ["epoch"] * model.n_iter_ + ["stopped:"]


def test_verbose_names_the_solver_of_a_stream_once(capsys):
    for solver in ("auto", "adam"):
        model = SGDVariantClassifier(solver=solver, eta0="auto" if solver == "auto" else 0.1, verbose=1)
        for _ in range(3):
            model.partial_fit(X3, Y3, classes=np.unique(Y3))
        kinds = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
        assert kinds == ["solver:", "objective:"] + ["chunk" if solver == "auto" else "pass"] * 3


def test_the_warning_of_few_epochs_says_by_how_much_the_objective_fell_where_it_did():
    for curve in ([1.0], [np.nan, 1.0], [np.inf, 1.0], [1.0, np.nan], [1.0, 2.0], [1.0, -np.inf]):
        assert not_converged(3, curve).endswith("it was max_iter=3.")
    assert not_converged(3, [3.0, 2.0]).endswith("the objective still fell by 0.5 (relative).")


@pytest.mark.parametrize("weights", [{0: -1, 1: 1}, {0: np.nan, 1: 1}, {0: "a", 1: 1}, {0: None, 1: 1}, {0: np.inf}])
def test_class_weights_that_are_no_weights_get_a_sentence(weights):
    model = SGDVariantClassifier(class_weight=weights)
    for fit in (lambda: model.fit(X3, Y2), lambda: model.partial_fit(X3, Y2, classes=[0, 1])):
        with pytest.raises(ValueError, match=r"class_weight=.* every weight must be a number in \[0, inf\)"):
            fit()
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("chunk", [False, True])
@pytest.mark.parametrize(
    ("weights", "labels", "named"),
    [({0: 1, 2: 3}, [0, 1], "2"), ({"yess": 2}, ["no", "yes"], "'yess'"), ({"no": 1, True: 2}, ["no", "yes"], "True")],
)
def test_a_class_weight_of_a_label_that_is_no_class_names_it(weights, labels, named, chunk):
    model, y = SGDVariantClassifier(class_weight=weights), np.array(labels)[Y2]
    with pytest.raises(ValueError, match=re.escape(f"has a weight for {named}, which is not among the classes")):
        model.partial_fit(X3, y, classes=labels) if chunk else model.fit(X3, y)


def test_class_weights_of_all_classes_may_name_those_that_the_rows_lack():
    # as in scikit-learn: the rows of a fold, or those with a missing label left out
    model = SGDVariantClassifier(class_weight={0: 1.0, 1: 3.0, 2: 5.0}).fit(X3, Y2)
    np.testing.assert_array_equal(model.coef_, model.set_params(class_weight={1: 3.0}).fit(X3, Y2).coef_)


def test_validation_labels_of_another_kind_get_a_sentence():
    with pytest.raises(ValueError, match="y_val holds none of the classes of y"):
        SGDVariantClassifier(early_stopping=True).fit(X3, Y2, X_val=X3, y_val=Y2.astype(str))


def test_one_epoch_that_was_not_enough_is_said_without_a_number():
    with pytest.warns(ConvergenceWarning, match="max_iter=1") as caught:
        SGDVariantClassifier(solver="adam", max_iter=1, random_state=0).fit(X3, Y3)
    assert "nan" not in str(caught[0].message)


class Coupled(Loss):
    """A user's loss over the three classes of a model: squared distance to the one-hot target, with their sum."""

    smooth = True
    max_curvature = 4.0

    @property
    def columns_per_model(self):
        return 3

    def coupled(self, n_classes):
        return self

    def value(self, y, z):
        total = (z - y).reshape(len(z), -1, 3).sum(axis=2).repeat(3, axis=1)
        return 0.5 * (z - y) ** 2 + total**2 / 6

    def gradient(self, y, z, out):
        np.subtract(z, y, out=out)
        out += out.reshape(len(z), -1, 3).sum(axis=2).repeat(3, axis=1)
        return out

    def second_derivative(self, y, z):
        return np.full(z.shape, 2.0)


def test_a_users_loss_that_couples_classes_otherwise_is_minimised():
    ours = SGDVariantClassifier(loss=Coupled(), alpha=1e-8, tol=1e-10, random_state=0).fit(X3, Y3)
    assert ours.status_ == "converged"
    # its minimum is that of squared error, whose residuals sum to zero
    theirs = Ridge(alpha=1e-8 * len(Y3)).fit(X3, np.eye(3)[Y3])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


# proximal steps of single rows, at a rate raced for the regression, are still on their way when progress ends
@pytest.mark.parametrize("solver", [name for name in NAMES if name != "implicit"])
def test_columns_without_spread_leave_the_best_constant(solver):
    X, rng = np.zeros((100, 3)), np.random.default_rng(0)
    y = 5 + rng.standard_normal(100)
    loss = {"quasi_newton": "squared_error", "interior_point": "epsilon_insensitive"}.get(solver, "huber")
    model = SGDVariantRegressor(loss=loss, solver=solver, random_state=0).fit(X, y)
    assert model.predict(X[:1])[0] == pytest.approx(np.median(y), abs=0.2)
    model = SGDVariantClassifier(**asked(solver), random_state=0).fit(X, np.arange(100) < 80)
    assert model.predict(X[:1])[0]
    if hasattr(model, "predict_proba"):
        assert model.predict_proba(X[:1])[0, 1] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("solver", NAMES)
def test_a_class_whose_rows_weigh_nothing_stays_a_class(solver):
    weight = np.where(Y3 == 1, 0.0, 1.0)
    model = SGDVariantClassifier(**asked(solver), random_state=0).fit(X3, Y3, sample_weight=weight)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.decision_function(X3).shape == (len(X3), 3)
    assert 1 not in model.predict(X3)


def test_ensembles_of_rare_classes_hold_together():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 3)), np.arange(200) < 2
    bag = BaggingClassifier(SGDVariantClassifier(random_state=0), 50, random_state=0).fit(X, y)
    assert bag.predict_proba(X).shape == (200, 2)


@pytest.mark.parametrize("value", [1e-9, 0.1, -1e9])
@pytest.mark.parametrize("solver", NAMES)
def test_a_constant_target_of_any_size_is_met(solver, value):
    X = np.random.default_rng(0).standard_normal((300, 3))
    model = SGDVariantRegressor(**asked(solver, False), random_state=0).fit(X, np.full(300, value))
    assert model.status_ == "converged"
    np.testing.assert_allclose(model.predict(X), value, rtol=1e-12)


class Narrow(SGDVariantClassifier):
    """A subclass that has one parameter of its own, and fixes the others."""

    def __init__(self, C=1.0):
        super().__init__("squared_hinge", alpha=1e-3 / C, random_state=0)
        self.C = C


def test_a_subclass_may_fix_parameters_in_its_constructor():
    model, same = Narrow(C=2.0), SGDVariantClassifier("squared_hinge", alpha=5e-4, random_state=0)
    np.testing.assert_array_equal(clone(model).fit(X3, Y3).coef_, same.fit(X3, Y3).coef_)
    # what was fixed and is set later counts, in the next chunk too
    streams = [clone(each).partial_fit(X3, Y3, classes=[0, 1, 2]) for each in (model, same)]
    for stream in streams:
        stream.alpha = 0.5
        stream.partial_fit(X3, Y3)
    np.testing.assert_array_equal(streams[0].coef_, streams[1].coef_)


def test_a_first_chunk_of_weight_zero_is_none():
    X, zero = np.arange(6.0).reshape(3, 2), np.zeros(3)
    for make, y, more in (
        (SGDVariantClassifier, [0, 1, 0], {"classes": [0, 1]}), (SGDVariantRegressor, [1.0, 2.0, 3.0], {}),
    ):  # fmt: skip
        model = make(random_state=0).partial_fit(X, y, sample_weight=zero, **more).partial_fit(X, y)
        np.testing.assert_array_equal(model.coef_, make(random_state=0).partial_fit(X, y, **more).coef_)
        with pytest.raises(ValueError, match="classes"):
            SGDVariantClassifier().partial_fit(X, [0, 1, 0], sample_weight=zero)

"""Interior-point steps: the optimum of losses of linear pieces, whatever the data, with a bound that is one.

All modules of the method are tested here, as they are one way to one optimum.
"""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils import get_tags

from _references import LINES, MODELLED, cutting_planes, features, problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.validate import Given, Header, prepare
from skvariants._fit import Interrupted, fit
from skvariants._interior_point import column as columns
from skvariants._interior_point import rows as matrices
from skvariants._interior_point.ascent import DualAscent, balanced_slopes
from skvariants._interior_point.column import lower_bound, ramps_of
from skvariants._interior_point.path import CentralPath
from skvariants._interior_point.proximal import ProximalPoint
from skvariants._interior_point.weights import Weights
from skvariants.losses import LOSSES, EpsilonInsensitive, Hinge, Loss, Ramp
from skvariants.penalties import PENALTIES
from skvariants.solvers import InteriorPoint

KINKED = [name for name in LOSSES if LOSSES[name].piecewise_linear]
TIGHT = dict(tol=1e-8, random_state=0)
PENALIZED = {"l2": dict(alpha=1e-2), "l1": dict(alpha=2e-2), "elasticnet": dict(alpha=2e-2, l1_ratio=0.5), None: {}}
SHARES = {"l2": 0.0, "l1": 1.0, "elasticnet": 0.5, None: 0.0}


def table(loss, n=90, d=6, seed=0, zeros=0.0):
    """Rows and targets with noise, columns of unequal units."""
    rng = np.random.default_rng(seed)
    X = features(rng, n, d, zeros)
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(d) + rng.standard_normal(n)
    return X, z if LOSSES[loss].regression else np.where(z > 0, 1.0, -1.0)


def estimator(loss, penalty="l2", **params):
    cls = SGDVariantRegressor if LOSSES[loss].regression else SGDVariantClassifier
    epsilon = dict(epsilon=0.1) if loss == "epsilon_insensitive" else {}
    tol = dict(tol=1e-6) if loss == "perceptron" else {}  # the limit is no nearer
    return cls(loss=loss, penalty=penalty, **{**PENALIZED[penalty], **epsilon, **TIGHT, **tol, **params})


def objective(w, b, X, lines, alpha, l1_ratio, weight=None):
    """The documented objective, by definition."""
    z = X @ w + b
    losses = np.max([a * z + c for a, c in lines], axis=0)
    return np.average(losses, weights=weight) + alpha * (l1_ratio * abs(w).sum() + 0.5 * (1 - l1_ratio) * w @ w)


def strengths(penalty):
    return PENALIZED[penalty].get("alpha", 0.0), SHARES[penalty]


def excess(model, X, y, loss, penalty="l2", weight=None, intercept=True):
    """How far a model is from the optimum that linear programs find, as a share of what that gains over a constant."""
    alpha, ratio = strengths(penalty) if model.penalty is None else (model.alpha, strengths(penalty)[1])
    lines = LINES[loss](y)
    least, _, _ = cutting_planes(X, lines, alpha, ratio, weight, intercept)
    constant = cutting_planes(np.zeros((len(y), 1)), lines, 0.0, 0.0, weight, intercept)[0]
    dense = X.toarray() if sp.issparse(X) else X
    reached = objective(np.ravel(model.coef_), np.ravel(model.intercept_)[0], dense, lines, alpha, ratio, weight)
    gain = constant - least
    return (reached - least) / (gain if gain > 1e-6 * constant else constant)


# ------------------------------------------------------------------ the optimum, and the bound


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("penalty", MODELLED)
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_the_optimum_is_that_of_linear_programs(loss, penalty, layout, weighted):
    X, y = table(loss, zeros=0.5)
    weight = np.random.default_rng(1).integers(0, 3, len(y)) * 1.0 if weighted else None
    model = estimator(loss, penalty).fit(layout(X), y, sample_weight=weight)
    assert isinstance(model.solver_, InteriorPoint)
    assert model.status_ == "converged"
    assert -1e-9 < excess(model, X, y, loss, penalty, weight) < 1e-7


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_weights_of_rows_of_many_sizes_take_no_more_steps(loss, penalty):
    X, y = table(loss, n=200, d=20)
    weight = 10.0 ** np.random.default_rng(1).uniform(-3, 3, len(y))
    weight[::10] = 0.0
    nearly = np.maximum(weight, 1e-300)
    even, uneven = (estimator(loss, penalty, alpha=1e-3).fit(X, y, sample_weight=w) for w in (None, nearly))
    assert uneven.status_ == "converged"
    assert uneven.n_iter_ < 2 * even.n_iter_
    assert -1e-7 < excess(uneven, X, y, loss, penalty, weight) < 1e-6


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("penalty", MODELLED)
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_what_is_said_to_be_left_is_no_less_than_what_is_left(loss, penalty, tol):
    for seed in range(3):
        X, y = table(loss, seed=seed)
        model = estimator(loss, penalty, tol=tol).fit(X, y)
        left = excess(model, X, y, loss, penalty)
        assert left <= model.suboptimality_ + 1e-9
        assert model.suboptimality_ <= tol
        assert model.status_ == "converged"
        if penalty is not None:
            assert model.suboptimality_kind_ == "bound"


@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_weights_are_zero_where_those_of_the_optimum_are(loss, penalty):
    for seed in range(4):
        X, y = table(loss, n=60, d=12, seed=seed)
        X = StandardScaler().fit_transform(X)
        ratio = SHARES[penalty]
        alpha = 0.3 / ratio if LOSSES[loss].regression else 0.15
        _, w, _ = cutting_planes(X, LINES[loss](y), alpha, ratio)
        assert 0 < (abs(w) < 1e-7).sum() < 12
        model = estimator(loss, penalty, alpha=alpha).fit(X, y)
        np.testing.assert_array_equal(np.ravel(model.coef_) == 0, abs(w) < 1e-7)
        np.testing.assert_allclose(np.ravel(model.coef_), w, atol=1e-3)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_hinge_loss_is_the_support_vector_machine(scaled):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:, :10]
    theirs = SVC(kernel="linear", C=1 / (1e-2 * len(y)), tol=1e-9).fit(X, y)
    ours = SGDVariantClassifier(loss="hinge", alpha=1e-2, scale_features=scaled, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=2e-4)


def test_the_tube_is_support_vector_regression():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    theirs = SVR(kernel="linear", C=1 / (1e-2 * len(y)), epsilon=20.0, tol=1e-9).fit(X, y)
    ours = SGDVariantRegressor(loss="epsilon_insensitive", epsilon=20.0, alpha=1e-2, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_[0], atol=1e-2)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=2e-2)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_a_tube_of_no_width_is_median_regression(alpha):
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    theirs = QuantileRegressor(quantile=0.5, alpha=alpha).fit(X, y)
    ours = SGDVariantRegressor(loss="epsilon_insensitive", epsilon=0.0, penalty="l1", alpha=2 * alpha, **TIGHT)
    ours.fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_each_class_and_each_target_is_a_problem_of_its_own(penalty):
    X, y = load_iris(return_X_y=True)
    model = estimator("hinge", penalty).fit(X, y)
    for c in range(3):
        signs = np.where(y == c, 1.0, -1.0)
        single = estimator("hinge", penalty).fit(X, signs)
        np.testing.assert_array_equal(model.coef_[c], single.coef_[0])
        assert excess(single, X, signs, "hinge", penalty) < 1e-7
    X, y = table("epsilon_insensitive")
    Y = np.column_stack([y, 100 * y**2])
    model = estimator("epsilon_insensitive", penalty).fit(X, Y)
    for j in range(2):
        single = estimator("epsilon_insensitive", penalty).fit(X, Y[:, j])
        np.testing.assert_allclose(model.coef_[j], single.coef_, rtol=1e-6, atol=1e-9)


# ------------------------------------------------------------------ tables that are not easy


def odd_tables():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 4))
    z = X @ [1.0, -2.0, 0.5, 0.0] + 0.5 * rng.standard_normal(80)
    one_hot = np.eye(5)[rng.integers(0, 5, 80)]
    yield "collinear", np.hstack([X, X[:, :2] + X[:, 1:3], one_hot]), z
    yield "one feature", X[:, :1], z
    yield "one column twice", X[:, [0, 0]], z
    yield "a constant column", np.hstack([X, np.full((80, 1), 7.0), np.zeros((80, 1))]), z
    yield "binary columns", (X > 0).astype(float), z
    yield "rows that repeat", np.repeat(X[:8], 10, axis=0), z
    yield "d > n", rng.standard_normal((20, 45)), z[:20]
    yield "an outlier", np.vstack([X, [[1e4, -1e4, 1e4, 1e4]]]), np.append(z, 1e3)
    yield "separable", X, 3.0 * np.sign(X[:, 0]) + X[:, 0]
    yield "few positives", X, np.where(np.arange(80) < 4, 1.0, -1.0) + 0.1 * X[:, 0]
    yield "units", X * [1e-8, 1e8, 1e3, 1.0], z
    yield "far from zero", X + 1e5, z


ODD = {name: (X, z) for name, X, z in odd_tables()}


@pytest.mark.parametrize("penalty", ["l2", "l1", pytest.param("elasticnet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
@pytest.mark.parametrize("name", ODD)
def test_odd_tables_have_an_optimum_too(name, loss, penalty):
    X, z = ODD[name]
    y = z if LOSSES[loss].regression else np.where(z > 0, 1.0, -1.0)
    model = estimator(loss, penalty, tol=1e-5).fit(X, y)
    assert model.status_ == "converged"
    assert np.isfinite(model.coef_).all()
    if name not in ("units", "far from zero"):  # beyond the programs' own digits
        assert excess(model, X, y, loss, penalty) < 1e-5
    else:
        assert model.suboptimality_ < 1e-5
    sparse = estimator(loss, penalty, tol=1e-5).fit(sp.csr_array(X), y)
    assert sparse.suboptimality_ < 1e-5


@pytest.mark.parametrize("name", [name for name in ODD if name not in ("d > n", "separable", "few positives")])
def test_without_a_penalty(name):
    X, z = ODD[name]
    for loss in ("hinge", "epsilon_insensitive"):
        y = z if LOSSES[loss].regression else np.where(z > 0, 1.0, -1.0)
        model = estimator(loss, None, tol=1e-5).fit(X, y)
        assert model.status_ == "converged"
        if name not in ("units", "far from zero"):
            assert excess(model, X, y, loss, None) < 1e-5


@pytest.mark.parametrize("name", ["d > n", "separable"])
def test_what_costs_nothing_is_found_without_a_penalty(name):
    X, z = ODD[name]
    y = np.where(z > 0, 1.0, -1.0)
    model = estimator("hinge", None, tol=1e-5).fit(X, y)
    assert model.status_ == "converged"
    assert np.maximum(1 - y * model.decision_function(X), 0).mean() < 1e-5


@pytest.mark.parametrize("penalty", MODELLED)
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_no_intercept(loss, penalty):
    X, y = table(loss)
    for scaled in (True, False):
        model = estimator(loss, penalty, fit_intercept=False, scale_features=scaled).fit(X, y)
        assert not np.any(model.intercept_)
        assert excess(model, X, y, loss, penalty, intercept=False) < 1e-7


@pytest.mark.parametrize("loss", KINKED)
def test_units_of_features_and_targets_do_not_matter_without_a_penalty(loss):
    X, y = table(loss)
    plain = estimator(loss, None).fit(X, y).predict(X)
    moved = (X + 3.0) * 10.0 ** np.array([-6, 6, 0, 3, -3, 1])
    np.testing.assert_allclose(estimator(loss, None).fit(moved, y).predict(moved), plain, rtol=1e-5)
    if LOSSES[loss].regression:
        for unit in (1e-12, 1e12):
            target = estimator(loss, None, epsilon=0.1 * unit).fit(X, y * unit).predict(X)
            np.testing.assert_allclose(target / unit, plain, rtol=1e-5)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("loss", KINKED)
def test_single_precision_and_maps_of_memory(tmp_path, loss, penalty):
    X, y = table(loss, n=300)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    plain = estimator(loss, penalty, tol=1e-3).fit(X, y)
    mapped = estimator(loss, penalty, tol=1e-3).fit(np.load(path, mmap_mode="r"), y)
    np.testing.assert_allclose(mapped.coef_, plain.coef_, rtol=1e-7)
    single = estimator(loss, penalty, tol=1e-3).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    assert single.status_ == "converged"
    if loss != "perceptron":
        assert excess(single, X, y, loss, penalty) < 2e-3


# ------------------------------------------------------------------ few rows first, few features first


def small_parts(monkeypatch):
    """Stages, bands and working sets at sizes that a test can afford."""
    monkeypatch.setattr(columns, "_FIRST", 60)
    monkeypatch.setattr(columns, "_PER_FEATURE", 2)
    monkeypatch.setattr(columns, "_GROWTH", 3)


def few_features(monkeypatch):
    """Features are many from thirty on."""
    for module in (columns, matrices):
        monkeypatch.setattr(module, "FACTORED", 30)
    monkeypatch.setattr(columns, "_FEATURES", 8)


def beyond(model, other, X, y, loss, penalty, weight=None):
    """By how much the objective of a model is above another's, as a share of what that gains over zero."""
    alpha, ratio = strengths(penalty)
    lines = LINES[loss](y)
    ours, theirs = (
        objective(np.ravel(m.coef_), np.ravel(m.intercept_)[0], X, lines, alpha, ratio, weight) for m in (model, other)
    )
    return (ours - theirs) / (objective(np.zeros(X.shape[1]), 0.0, X, lines, alpha, ratio, weight) - theirs)


@pytest.mark.parametrize("penalty", MODELLED)
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_stages_and_bands_end_at_the_optimum(monkeypatch, loss, penalty):
    X, y = table(loss, n=1500)
    weight = np.random.default_rng(1).integers(0, 3, len(y)) * 1.0
    whole = estimator(loss, penalty).fit(X, y, sample_weight=weight)
    small_parts(monkeypatch)
    model = estimator(loss, penalty, tol=1e-6).fit(X, y, sample_weight=weight)
    assert len(set(model.history_["rows"])) > 2
    assert model.status_ == "converged"
    assert -1e-8 < beyond(model, whole, X, y, loss, penalty, weight) < 1e-6
    sparse = estimator(loss, penalty, tol=1e-6).fit(sp.csr_array(X), y, sample_weight=weight)
    assert -1e-8 < beyond(sparse, whole, X, y, loss, penalty, weight) < 1e-6


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_a_first_stage_that_says_nothing_is_no_harm(monkeypatch, loss, penalty):
    # what matters is a rare column, and few rows are not on the flat side
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5))
    X[:, 4] = rng.random(2000) < 0.01
    z = 0.1 * X[:, 0] + 5 * X[:, 4] - 2.0
    y = z if LOSSES[loss].regression else np.where(z > 0, 1.0, -1.0)
    whole = estimator(loss, penalty).fit(X, y)
    small_parts(monkeypatch)
    model = estimator(loss, penalty, tol=1e-6).fit(X, y)
    assert model.status_ == "converged"
    assert -1e-8 < beyond(model, whole, X, y, loss, penalty) < 1e-6


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
@pytest.mark.parametrize("n", [25, 45, 90])
def test_more_features_than_a_factor_is_made_of(monkeypatch, n, loss, penalty, layout):
    X, y = table(loss, n=n, d=60, zeros=0.7)
    X = StandardScaler().fit_transform(X)
    whole = estimator(loss, penalty).fit(X, y)
    few_features(monkeypatch)
    model = estimator(loss, penalty, tol=1e-5).fit(layout(X), y)
    assert model.status_ == "converged"
    assert -1e-8 < beyond(model, whole, X, y, loss, penalty) < 1e-5


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("n", [25, 45, 90])
def test_bounds_where_features_are_many(monkeypatch, n, penalty):
    X, y = table("hinge", n=n, d=60, zeros=0.7)
    X = StandardScaler().fit_transform(X)
    bounds = np.where(np.arange(60) % 2, 0.0, -0.02), np.where(np.arange(60) % 3, 0.05, np.inf)
    whole = estimator("hinge", penalty, bounds=bounds).fit(X, y)
    few_features(monkeypatch)
    model = estimator("hinge", penalty, bounds=bounds, tol=1e-5).fit(X, y)
    assert (whole.status_, model.status_) == ("converged", "converged")
    assert -1e-8 < beyond(model, whole, X, y, "hinge", penalty) < 1e-5


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_bounds_and_stages(monkeypatch, penalty):
    X, y = table("epsilon_insensitive", n=1500)
    bounds = 0.5, None
    whole = estimator("epsilon_insensitive", penalty, bounds=bounds).fit(X, y)
    small_parts(monkeypatch)
    model = estimator("epsilon_insensitive", penalty, bounds=bounds, tol=1e-6).fit(X, y)
    assert (whole.status_, model.status_) == ("converged", "converged")
    assert -1e-8 < beyond(model, whole, X, y, "epsilon_insensitive", penalty) < 1e-6


@pytest.mark.parametrize("n", [30, 90])
def test_free_features_among_many(monkeypatch, n):
    X, y = table("epsilon_insensitive", n=n, d=60, zeros=0.7)
    X = sp.csr_array(X / X.std(axis=0))
    factor = np.where(np.arange(60) < 3, 0.0, 1.0)
    whole = estimator("epsilon_insensitive", "l2", penalty_factor=factor).fit(X, y)
    few_features(monkeypatch)
    model = estimator("epsilon_insensitive", "l2", penalty_factor=factor, tol=1e-6).fit(X, y)
    assert model.status_ == "converged"
    np.testing.assert_allclose(model.coef_, whole.coef_, atol=1e-3 * np.abs(whole.coef_).max())


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_many_features_and_stages(monkeypatch, loss, penalty):
    X, y = table(loss, n=1200, d=40, zeros=0.7)
    X = StandardScaler().fit_transform(X)
    whole = estimator(loss, penalty).fit(X, y)
    few_features(monkeypatch)
    small_parts(monkeypatch)
    model = estimator(loss, penalty, tol=1e-4).fit(sp.csr_array(X), y)
    assert model.status_ == "converged"
    assert -1e-8 < beyond(model, whole, X, y, loss, penalty) < 1e-4


def test_wide_text_like_rows_are_the_support_vector_machine():
    rng = np.random.default_rng(0)
    X = sp.random(300, 2000, density=0.02, format="csr", random_state=0, data_rvs=rng.random)
    y = np.where(X @ rng.standard_normal(2000) > 0, 1, -1)
    theirs = SVC(kernel="linear", C=1 / (1e-3 * 300), tol=1e-8).fit(X, y)
    ours = SGDVariantClassifier(loss="hinge", alpha=1e-3, tol=1e-5, random_state=0).fit(X, y)
    assert ours.status_ == "converged"

    def value(model):
        loss = np.maximum(1 - y * model.decision_function(X), 0).mean()
        coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
        return loss + 5e-4 * (coef**2).sum()

    assert value(ours) <= value(theirs) + 1e-5 * (1 - value(theirs))


# ------------------------------------------------------------------ dual ascent


def text_like(n=240, d=150, classes=2, seed=0):
    """Sparse rows of unequal length, one of them empty, and labels with noise."""
    rng = np.random.default_rng(seed)
    X = sp.random(n, d, density=0.06, format="csr", random_state=seed, data_rvs=rng.random)
    X = sp.csr_array(sp.diags_array((np.arange(n) > 0) * rng.exponential(size=n)) @ X)
    z = X @ rng.standard_normal((d, classes)) + 0.3 * rng.standard_normal((n, classes))
    return X, np.argmax(z, axis=1), z[:, 0]


@pytest.fixture
def ascents(monkeypatch):
    """Numbers of columns of the iterations that are taken."""
    taken = []
    epoch = DualAscent.epoch

    def counted(self, states):
        taken.append(len(states))
        epoch(self, states)

    few_features(monkeypatch)
    monkeypatch.setattr(DualAscent, "epoch", counted)
    return taken


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("loss", KINKED)
def test_ascent_ends_at_the_optimum(ascents, loss, intercept, weighted):
    X, labels, z = text_like()
    y = z if LOSSES[loss].regression else 2.0 * labels - 1
    weight = np.random.default_rng(1).integers(0, 3, len(y)) * 1.0 if weighted else None
    given = dict(tol=1e-6, fit_intercept=intercept)
    model = estimator(loss, **given).fit(X, y, sample_weight=weight)
    epochs = len(ascents)
    assert epochs > 3
    whole = estimator(loss, **given).fit(X.toarray(), y, sample_weight=weight)
    assert len(ascents) == epochs
    assert model.status_ == whole.status_ == "converged"
    if loss == "perceptron":
        cosine = model.coef_[0] @ whole.coef_[0] / np.linalg.norm(model.coef_) / np.linalg.norm(whole.coef_)
        assert cosine > 1 - 1e-5
        np.testing.assert_array_equal(model.predict(X), whole.predict(X))
    else:
        assert -1e-6 < beyond(model, whole, X.toarray(), y, loss, "l2", weight) < 1e-6


@pytest.mark.parametrize("scaled", [True, False])
def test_columns_that_climb_together_are_fits_of_their_own(ascents, scaled):
    X, y, _ = text_like(classes=4)
    given = dict(loss="hinge", alpha=1e-3, tol=1e-7, scale_features=scaled, random_state=0)
    together = SGDVariantClassifier(multi_class="ovr", **given).fit(X, y)
    assert max(ascents) == 4
    for k in range(4):
        alone = SGDVariantClassifier(**given).fit(X, y == k)
        np.testing.assert_allclose(together.coef_[k], alone.coef_[0], atol=2e-2 * np.abs(alone.coef_).max())
        np.testing.assert_allclose(X @ together.coef_[k], X @ alone.coef_[0], atol=0.05)
    assert together.suboptimality_ <= 1e-7


def test_candidates_climb_together_and_each_is_its_own_fit(ascents):
    X, y, _ = text_like(classes=3)
    models = [SGDVariantClassifier(loss="hinge", alpha=a, tol=1e-4, random_state=0) for a in (1e-2, 1e-3, 1e-4)]
    specs = [model.__skvariants_spec__() for model in models]
    found = fit(specs, prepare(specs[0], Header.of("", get_tags(models[0])), Given(X, y, None)))
    assert max(ascents) == 9
    for model, other in zip(models, found, strict=True):
        model.fit(X, y)
        assert model.status_ == other.status == "converged"
        assert model.n_iter_ == other.n_iter
        np.testing.assert_allclose(other.theta[:-1].T, model.coef_, atol=1e-3 * np.abs(model.coef_).max())


@pytest.mark.parametrize("epochs", [1, 4])
def test_ascents_in_parts_are_one(ascents, epochs):
    X, y, _ = text_like(classes=3)
    given = dict(loss="hinge", alpha=1e-3, multi_class="ovr", random_state=0)
    whole = SGDVariantClassifier(**given).fit(X, y)
    part = SGDVariantClassifier(max_iter=epochs, warm_start=True, **given)
    with pytest.warns(ConvergenceWarning):
        part.fit(X, y)
    part = pickle.loads(pickle.dumps(part)).set_params(max_iter=1000)
    part.fit(X, y)
    assert part.n_iter_ + epochs == whole.n_iter_
    np.testing.assert_array_equal(part.coef_, whole.coef_)
    np.testing.assert_array_equal(part.intercept_, whole.intercept_)


def test_an_ascent_of_rare_categories_arrives_by_itself(ascents):
    rng = np.random.default_rng(0)
    n, levels, columns = 1000, 1000, 3
    codes = np.minimum(np.exp(rng.random((n, columns)) * np.log(levels)).astype(int) - 1, levels - 1)
    at = (codes + levels * np.arange(columns)).ravel()
    X = sp.csr_array((np.ones(n * columns), at, np.arange(0, n * columns + 1, columns)), (n, levels * columns))
    y = X @ rng.standard_normal(levels * columns) + rng.standard_normal(n) > 0
    model = SGDVariantClassifier(loss="hinge", alpha=1e-6, random_state=0).fit(X, y)
    assert model.status_ == "converged"
    assert model.n_iter_ == len(ascents) < 60


def test_an_ascent_that_leads_up_too_slowly_gives_way_to_a_path(ascents, monkeypatch):
    X, y, _ = text_like()
    monkeypatch.setattr(columns, "_EPOCHS", 3)
    model = SGDVariantClassifier(loss="hinge", alpha=1e-6, tol=1e-5, random_state=0).fit(X, y)
    assert model.status_ == "converged"
    assert model.n_iter_ > len(ascents)
    assert len(ascents) <= 3


@pytest.mark.parametrize("kinks", [1, 2])
def test_balanced_slopes_are_the_nearest_whose_sum_is_the_goal(kinks):
    rng = np.random.default_rng(kinks)
    x, balance = rng.standard_normal((kinks, 60)), rng.exponential(size=60)
    low, high = -rng.random((kinks, 60)), rng.random((kinks, 60))
    for goal in (0.0, 0.9 * float((high @ balance).sum()), 0.9 * float((low @ balance).sum())):
        u = balanced_slopes(x, (low, high), balance, goal)
        assert float((u @ balance).sum()) == pytest.approx(goal, abs=1e-10)
        # what is between its ends says how much of the balance was taken; the others follow from that
        inside = (u > low) & (u < high)
        taken = ((x - u) / balance)[inside]
        np.testing.assert_allclose(taken, taken[0], atol=1e-9)
        np.testing.assert_allclose(u, np.clip(x - taken[0] * balance, low, high), atol=1e-9)


def test_values_of_an_ascent_bound_the_optimum_from_both_sides(ascents, monkeypatch):
    X, y, _ = text_like()
    given = dict(loss="hinge", alpha=1e-6, tol=1e-9, random_state=0)
    optimum = SGDVariantClassifier(**given).fit(X.toarray(), y).loss_curve_[-1]
    epoch, bounds = DualAscent.epoch, []

    def seen(self, states):
        epoch(self, states)
        bounds.append((states[0].value, states[0].dual))

    monkeypatch.setattr(DualAscent, "epoch", seen)
    SGDVariantClassifier(**given).fit(X, y)
    value, dual = np.array(bounds).T
    assert value.min() >= optimum * (1 - 1e-8)
    assert dual.max() <= optimum * (1 + 1e-8)
    assert value[-1] - dual[-1] <= 1e-8


# ------------------------------------------------------------------ the perceptron, and losses of users


def test_the_perceptron_is_the_limit_of_hinges():
    X, y = table("hinge", n=200)
    for penalty in ("l2", "l1", None):
        found = estimator("perceptron", penalty, tol=1e-6).fit(X, y)
        near = SGDVariantClassifier(Hinge(threshold=1e-5), penalty=penalty, **PENALIZED[penalty], **TIGHT).fit(X, y)
        cosine = found.coef_[0] @ near.coef_[0] / np.linalg.norm(found.coef_) / np.linalg.norm(near.coef_)
        assert cosine > 1 - 1e-4
        alpha, ratio = strengths(penalty)
        cost = objective(found.coef_[0], found.intercept_[0], X, LINES["perceptron"](y), alpha, ratio)
        assert 0 <= cost <= 1e-6
        assert found.score(X, y) > 0.8


class Quantile(Loss):
    """A user's loss of linear pieces: nothing but its definition."""

    regression = True

    def value(self, y, z):
        return np.maximum(0.9 * (y - z), -0.1 * (y - z))

    def gradient(self, y, z, out):
        return np.copyto(out, np.where(z > y, 0.1, -0.9)) or out

    def ramps(self, y):
        return [Ramp(y, -0.9, 0.1)]


class Deadzone(EpsilonInsensitive):
    """Another value, and no word about its ramps."""

    def value(self, y, z):
        return super().value(y, z) ** 2


class Renamed(Hinge):
    """Nothing changed."""


def test_a_loss_of_linear_pieces_is_one_that_defines_its_ramps():
    assert Hinge.piecewise_linear
    assert Renamed.piecewise_linear
    assert Quantile.piecewise_linear
    assert not Deadzone.piecewise_linear  # the ramps are those of the base class, which is another loss
    assert not Loss.piecewise_linear


@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].has_ramps])
def test_ramps_add_up_to_the_loss(loss):
    instance, rng = LOSSES[loss](), np.random.default_rng(0)
    y = rng.standard_normal((200, 1)) if instance.regression else rng.choice([-1.0, 1.0], (200, 1))
    z = 2 * rng.standard_normal((200, 1))
    u = np.linspace(-20, 20, 40001)[:, None, None]
    total = 0.0
    for at, low, high, width in instance.ramps(y):
        lines = np.where((u >= low - 1e-9) & (u <= high + 1e-9), u * (z - at) - 0.5 * width * u * u, -np.inf)
        total = total + lines.max(axis=0)
    np.testing.assert_allclose(total, instance.value(y, z), atol=1e-5)


@pytest.mark.parametrize("penalty", ["l1", None])
def test_a_users_quantiles_are_scikit_learns(penalty):
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    alpha = 0.3 if penalty else 0.0
    theirs = QuantileRegressor(quantile=0.9, alpha=alpha).fit(X, y)
    for solver in ("auto", "interior_point"):
        ours = SGDVariantRegressor(Quantile(), solver=solver, penalty=penalty, alpha=alpha or 1e-4, **TIGHT).fit(X, y)
        assert isinstance(ours.solver_, InteriorPoint)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
        assert np.mean(y <= ours.predict(X) + 1e-6) == pytest.approx(0.9, abs=0.03)


def test_a_users_quantiles_with_l2():
    X, y = table("epsilon_insensitive")
    model = SGDVariantRegressor(Quantile(), alpha=1e-2, **TIGHT).fit(X, y)
    assert excess(model, X, y, "nine tenths") < 1e-7


# ------------------------------------------------------------------ what it refuses, and how it ends


def test_smooth_losses_and_other_penalties_are_refused_in_a_sentence():
    X, y = table("hinge")
    with pytest.raises(ValueError, match=r"linear pieces such as 'hinge', and LogLoss .* use solver='auto'"):
        SGDVariantClassifier(solver="interior_point").fit(X, y)
    with pytest.raises(ValueError, match="leave learning_rate, eta0 and batch_size 'auto'"):
        SGDVariantClassifier(solver="interior_point", loss="hinge", eta0=0.1).fit(X, y)

    class Odd(PENALTIES["l2"]().__class__):
        elastic = False

    with pytest.raises(ValueError, match=r"L1, L2, bounds or groups.* Odd is not"):
        SGDVariantClassifier(solver="interior_point", loss="hinge", penalty=Odd()).fit(X, y)


def test_there_are_no_probabilities():
    assert not hasattr(SGDVariantClassifier(loss="hinge", solver="interior_point"), "predict_proba")


@pytest.mark.parametrize("loss", KINKED)
@pytest.mark.parametrize(
    "penalty", [*MODELLED[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in MODELLED[2:])]
)
def test_every_iteration_is_a_model_and_the_last_is_the_best(loss, penalty):
    X, y = table(loss)
    final = estimator(loss, penalty).fit(X, y)
    for max_iter in range(1, final.n_iter_):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = estimator(loss, penalty, max_iter=max_iter).fit(X, y)
        assert model.status_ == "max_iter"
        assert model.n_iter_ == max_iter
        assert np.isfinite(model.coef_).all()
        if loss != "perceptron":
            left = excess(model, X, y, loss, penalty)
            assert left <= 1 + 1e-9 or max_iter < 3
            assert left <= model.suboptimality_ + 1e-9 or model.suboptimality_kind_ != "bound"


def test_an_interrupt_keeps_what_is_there():
    X, y = table("hinge")

    class Interrupt:
        seen = 0

        def epoch_begins(self, model):
            pass

        def epoch_ends(self, model):
            self.seen += 1
            if self.seen == 4:
                raise KeyboardInterrupt

    model = estimator("hinge")
    spec = model.__skvariants_spec__()
    data = prepare(spec, Header.of("", get_tags(model)), Given(X, y, None))
    with pytest.raises(Interrupted) as caught:
        fit([spec], data, callback=Interrupt())
    (fitted,) = caught.value.left
    assert (fitted.status, fitted.n_iter) == ("interrupted", 4)
    assert np.isfinite(fitted.theta).all()


def test_early_stopping_keeps_the_model_of_the_best_score():
    X, y = table("hinge", n=300)
    model = estimator("hinge", alpha=1e-6, early_stopping=True, tol=1e-3).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_epoch_ == int(np.argmax(model.validation_scores_)) + 1


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_a_column_that_is_stuck_says_so(monkeypatch, penalty):
    X, y = table("hinge")
    taken = CentralPath._step

    def four_steps(self, at):
        self.count = getattr(self, "count", 0) + 1
        taken(self, at)
        self.stuck = self.stuck or self.count >= 4

    monkeypatch.setattr(CentralPath, "_step", four_steps)
    with pytest.warns(ConvergenceWarning):
        model = estimator("hinge", penalty).fit(X, y)
    assert model.status_ == "stalled"
    left = excess(model, X, y, "hinge", penalty)
    assert 1e-8 < left < 1
    assert left <= model.suboptimality_


def test_a_warm_start_on_the_same_problem_is_there_already():
    X, y = table("hinge")
    model = estimator("hinge", warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(model)).fit(X, y)
    assert again.n_iter_ == 0
    np.testing.assert_array_equal(again.coef_, model.coef_)
    tighter = again.set_params(tol=1e-10).fit(X, y)
    assert tighter.status_ == "converged"
    other = model.fit(X[::2], -y[::2])
    assert excess(other, X[::2], -y[::2], "hinge") < 1e-7


# ------------------------------------------------------------------ hinge at chance: faults that were


def test_the_hinge_loss_on_small_wide_data_is_minimised():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 150))
    y = np.where(X[:, :5].sum(axis=1) + rng.standard_normal(60) > 0, 1.0, -1.0)
    for alpha in (1e-4, 1e-2):
        theirs = SVC(kernel="linear", C=1 / (alpha * 60), tol=1e-10).fit(X, y)
        ours = SGDVariantClassifier(loss="hinge", alpha=alpha, random_state=0).fit(X, y)
        assert ours.status_ == "converged"

        def value(model, alpha=alpha):
            return np.maximum(1 - y * model.decision_function(X), 0).mean() + 0.5 * alpha * (model.coef_**2).sum()

        assert value(ours) <= value(theirs) + 1e-3 * (1 - value(theirs))
        assert ours.score(X, y) == 1.0


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_few_positives_do_not_leave_the_constant(class_weight):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    y = np.where(X[:, 0] > 1.6, 1.0, -1.0)
    assert y.mean() < -0.85
    for seed in range(3):
        model = SGDVariantClassifier(loss="hinge", class_weight=class_weight, random_state=seed).fit(X, y)
        assert model.score(X, y) > 0.98


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_where_nothing_beats_the_constant_it_is_the_optimum(scale):
    rng = np.random.default_rng(0)
    X, y = scale * rng.standard_normal((500, 4)), np.where(np.arange(500) < 12, 1.0, -1.0)
    model = SGDVariantClassifier(loss="hinge", random_state=0).fit(X, y)
    assert model.status_ == "converged"
    assert model.suboptimality_ <= 1e-3
    assert np.maximum(1 - y * model.decision_function(X), 0).mean() <= 2 * 12 / 500 * (1 + 1e-6)


@pytest.mark.parametrize("loss", ["hinge", "perceptron"])
def test_no_loss_of_the_margin_stays_at_chance(loss):
    X, y = load_breast_cancer(return_X_y=True)
    for data in (X, StandardScaler().fit_transform(X), X[:80], sp.csr_array(X)):
        model = SGDVariantClassifier(loss=loss, random_state=0).fit(data, y[: data.shape[0]])
        assert model.status_ == "converged"
        assert model.score(data, y[: data.shape[0]]) > 0.95


# ------------------------------------------------------------------ the parts


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
def test_all_ways_to_solve_a_newton_system_are_its_solution(layout, intercept):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 12)), rng.choice([-1.0, 1.0], (30, 1))
    frame = columns.Frame(
        problem(layout(X) if layout is np.asarray else sp.csr_array(X), y, Hinge(), intercept=intercept)
    )
    matrix = frame.matrix(problem(layout(X), y, Hinge(), intercept=intercept).rows, slice(None), None)
    C = np.array([matrix.dot(e) for e in np.eye(13)]).T
    weight, curvature = rng.random(30), np.append(rng.random(12) + 0.1, 0.0)
    g = rng.standard_normal(13) * np.append(np.ones(12), float(intercept))
    H = C.T @ (weight[:, None] * C) + np.diag(curvature)
    expected = np.linalg.lstsq(H, g, rcond=None)[0]
    for way in (matrices.HessianFactor, matrices.GramFactor):
        equations = way(matrix, curvature)
        equations.factor(weight, curvature)
        np.testing.assert_allclose(equations.solve(g), expected, rtol=1e-8, atol=1e-10)
    near = matrices.ConjugateGradients(matrix, curvature)
    near.factor(weight, curvature)
    assert np.linalg.norm(H @ near.solve(g) - g) < 0.3 * np.linalg.norm(g)
    assert near.converged


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_dual_of_any_slopes_is_a_lower_bound(ratio, intercept):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5)), rng.choice([-1.0, 1.0], (40, 1))
    least, _, _ = cutting_planes(X, LINES["hinge"](y[:, 0]), 0.05, ratio, intercept=intercept)
    p = problem(X, y, Hinge(), alpha=0.05, l1_ratio=ratio, intercept=intercept, scaled=False)
    ramps, frame = ramps_of(p), columns.Frame(p)
    best = -np.inf
    for _ in range(200):
        z = X @ rng.standard_normal(5) * rng.exponential() + rng.standard_normal()
        sharp = ramps.slopes(z)
        slopes = sharp if rng.random() < 0.5 else ramps.low + rng.random(40) * (ramps.high - ramps.low)
        lower, exact, _ = lower_bound(frame, X, ramps, slopes, Weights.of(p.penalty, 5), np.zeros(6))
        assert exact
        assert lower <= least + 1e-12
        best = max(best, lower)
    assert best > -1.0


@pytest.mark.parametrize("way", [CentralPath, ProximalPoint])
def test_paths_end_at_the_optimum_of_their_rows_and_their_gap_is_near_the_truth(way):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5)), rng.choice([-1.0, 1.0], (40, 1))
    least, w, b = cutting_planes(X, LINES["hinge"](y[:, 0]), 0.05)
    p = problem(X, y, Hinge(), alpha=0.05, scaled=False)
    frame, ramps, weights = columns.Frame(p), ramps_of(p), Weights.of(p.penalty, 5)
    matrix = frame.matrix(p.rows, slice(None), None)
    if way is CentralPath:
        equations = matrices.normal_equations(matrix, np.append(weights.l2, 0.0))
        path = CentralPath(matrix, ramps, np.zeros(6), weights, equations)
    else:
        path = ProximalPoint(matrix, ramps, np.zeros(6), weights.l2)
    at = path.start(np.zeros(6), 1.0)
    for _ in range(60):
        value, gap = path.step(at)
        assert value >= least - 1e-12
        slopes = path.slopes_of(at)
        assert ((slopes >= ramps.low) & (slopes <= ramps.high)).all()
        if gap < 1e-9:
            break
    assert value - least < 1e-8
    np.testing.assert_allclose(at.v, np.append(w, b), atol=1e-3)

"""What "auto" does in partial_fit: one pass, no rate, no luck with the first chunk.

The oracles are fits of all rows, scikit-learn's exact solvers, and definitions. A gap is what a model lacks of the
optimum, as a share of what the optimum gains over the best constant.
"""

import copy
import functools
import itertools
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge

from _references import CLASSIFYING
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import hyperparameter
from skvariants._stream import learner
from skvariants._stream.frame import Frame
from skvariants._stream.learner import Learner
from skvariants._stream.linearization import slopes, values
from skvariants.losses import LOSSES, Hinge, Loss
from skvariants.penalties import Penalty

MARGIN = ["log_loss", "squared_hinge", "modified_huber", "hinge"]
RESIDUAL = ["squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"]


def made(n=3000, d=6, n_classes=0, seed=0, noise=0.5):
    """Columns that are correlated, one rare, one that appears late, one that is constant; targets of one world."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ (np.eye(d) + 0.5 * rng.standard_normal((d, d)))
    rare = (rng.random(n) < 0.02) * 1.0
    late = np.where(np.arange(n) > n // 3, rng.standard_normal(n), 0.0)
    X = np.column_stack([X, rare, late, np.full(n, 3.0)])
    w = rng.standard_normal((X.shape[1], max(n_classes, 1))) / np.sqrt(d)
    z = X @ w + noise * rng.standard_normal((n, max(n_classes, 1)))
    if not n_classes:
        return X, z[:, 0]
    return X, (z[:, 0] > np.median(z[:, 0])).astype(int) if n_classes == 2 else z.argmax(axis=1)


def world(loss, **kwargs):
    return made(n_classes=0 if loss in RESIDUAL else 2, **kwargs)


def estimator(loss, **params):
    kind = SGDVariantRegressor if loss in RESIDUAL else SGDVariantClassifier
    return kind(loss=loss, random_state=0, **params)


def streamed(model, X, y, size, weight=None, first=0, classes=None):
    known = {} if isinstance(model, SGDVariantRegressor) else {"classes": np.unique(y) if classes is None else classes}
    for start in range(first, len(y), size):
        rows = slice(start, start + size)
        model.partial_fit(X[rows], y[rows], sample_weight=None if weight is None else weight[rows], **known)
    return model


def costs(model, X, y, weight=None):
    """The objective on rows, by its definition, and that of the best constant."""
    coef = np.atleast_2d(model.coef_)
    z = np.asarray(X @ coef.T) + model.intercept_
    if isinstance(model, SGDVariantRegressor):
        targets = np.reshape(y, (len(y), -1))
    elif len(coef) == 1:
        targets = np.where(y == model.classes_[1], 1.0, -1.0)[:, None]
    else:
        targets = np.where(y[:, None] == model.classes_, 1.0, -1.0)
    if len(coef) > 1 and model.loss == "log_loss" and model.multi_class == "auto":
        share = (targets > 0).mean(axis=0)
        cost, constant = (logsumexp(z, axis=1) - z[targets > 0]).mean(), -(share @ np.log(share))
    else:
        loss = LOSSES[model.loss]() if isinstance(model.loss, str) else model.loss
        cost, constant = np.average(loss.value(targets, z).sum(axis=1), weights=weight), 0.0
        for column in targets.T:
            best = minimize_scalar(
                lambda c, t=column: np.average(loss.value(t, np.full(len(t), c)), weights=weight),
                bounds=(column.min(), column.max()), method="bounded",
            )  # fmt: skip
            constant += best.fun
    l1 = {"l2": 0.0, "l1": 1.0, "elasticnet": model.l1_ratio, None: 0.0}[model.penalty]
    alpha = 0.0 if model.penalty is None else model.alpha
    return cost + alpha * (0.5 * (1 - l1) * (coef**2).sum() + l1 * np.abs(coef).sum()), constant


def least(model, X, y):
    return costs(clone(model).set_params(tol=1e-8, max_iter=10_000).fit(X, y), X, y)[0]


def gap(model, X, y, optimum=None):
    optimum = least(model, X, y) if optimum is None else optimum
    cost, constant = costs(model, X, y)
    return (cost - optimum) / (constant - optimum)


# ---------------------------------------------------------------------- squared error


ALPHA = 1e-3


def ridge(X, y, weight=None, alpha=ALPHA, **kwargs):
    total = len(X) if weight is None else weight.sum()
    return Ridge(alpha=alpha * total, solver="cholesky", **kwargs).fit(X, y, sample_weight=weight)


def same(model, exact, rtol=1e-8):
    assert_allclose(np.ravel(model.coef_), np.ravel(exact.coef_), rtol=rtol, atol=rtol * np.abs(exact.coef_).max())
    scale = np.abs(np.ravel(exact.intercept_)).max() + np.abs(exact.coef_).max()
    assert_allclose(np.ravel(model.intercept_), np.ravel(exact.intercept_), atol=rtol * scale)


def cut(n, seed):
    """Borders of a random cut into chunks."""
    rng = np.random.default_rng(seed)
    return [0, *np.sort(rng.choice(np.arange(1, n), rng.integers(1, 40), replace=False)), n]


@pytest.fixture(scope="module")
def real():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((250, 5)) @ rng.standard_normal((5, 5))
    return X, X @ rng.standard_normal(5) + 2 + 0.3 * rng.standard_normal(250)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_squared_error_is_ridge_on_all_rows(real, size, intercept):
    X, y = real
    model = streamed(SGDVariantRegressor(alpha=ALPHA, fit_intercept=intercept), X, y, size)
    same(model, ridge(X, y, fit_intercept=intercept))


@pytest.mark.parametrize("seed", range(4))
def test_any_cut_and_any_order_are_the_same_least_squares(real, seed):
    X, y = real
    order = np.random.default_rng(seed).permutation(len(y)) if seed % 2 else np.argsort(y)
    model, borders = SGDVariantRegressor(alpha=0.0), cut(len(y), seed)
    for begin, end in itertools.pairwise(borders):
        model.partial_fit(X[order][begin:end], y[order][begin:end])
    same(model, LinearRegression().fit(X, y))


def test_weights_are_repetition(real):
    X, y = real
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = streamed(SGDVariantRegressor(alpha=ALPHA), X, y, 50, weight)
    repeated = streamed(SGDVariantRegressor(alpha=ALPHA), np.repeat(X, weight, axis=0), np.repeat(y, weight), 50)
    same(weighted, ridge(X, y, weight))
    same(weighted, repeated)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_sparse_rows_are_dense_ones(real, loss, form):
    X, y = real
    X = X * (np.random.default_rng(1).random(X.shape) < 0.3)
    dense = streamed(estimator(loss), X, y, 30)
    sparse = streamed(estimator(loss), form(X), y, 30)
    assert_allclose(sparse.coef_, dense.coef_, rtol=1e-10)


def test_targets_are_models_of_their_own(real):
    X, y = real
    Y = np.column_stack([y, 1e3 * X[:, 0] - y, np.full(len(y), 7.0)])
    model = streamed(SGDVariantRegressor(alpha=ALPHA), X, Y, 33)
    same(model, ridge(X, Y))
    for j in range(3):
        alone = streamed(SGDVariantRegressor(alpha=ALPHA), X, Y[:, j], 33)
        assert_allclose(model.coef_[j], alone.coef_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1, 50])
def test_columns_far_from_zero_lose_no_digits_that_they_have(real, size):
    X, y = real
    # numbers of 1e8 keep eight digits of what differs
    far = X + 1e8
    model = streamed(SGDVariantRegressor(alpha=0.0), far, y, size)
    exact = LinearRegression().fit(far - 1e8, y)
    assert_allclose(model.coef_, exact.coef_, rtol=1e-6)
    assert_allclose(model.predict(far), exact.predict(far - 1e8), atol=1e-5)


@pytest.mark.parametrize("size", [1, 50])
def test_units_of_columns_and_targets_do_not_matter_without_a_penalty(real, size):
    X, y = real
    units = np.array([1e-8, 1e-3, 1.0, 1e5, 1e8])
    model = streamed(SGDVariantRegressor(alpha=0.0), X * units, y * 1e6, size)
    assert_allclose(model.coef_ * units / 1e6, LinearRegression().fit(X, y).coef_, rtol=1e-8)


@pytest.mark.parametrize("size", [1, 30])
def test_many_columns_are_least_squares_without_a_factor_for_each_call(size):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((700, 270)) * np.exp2(rng.integers(-3, 4, 270)) + (rng.random((700, 270)) < 0.01)
    y = X @ rng.standard_normal(270) + rng.standard_normal(700)
    model = estimator("squared_error", alpha=ALPHA).partial_fit(X[:600], y[:600])
    streamed(model, X[:640], y[:640], size, first=600)
    same(model, ridge(X[:640], y[:640]))
    same(streamed(model, X, y, 60, first=640), ridge(X, y))


@pytest.mark.parametrize(
    "kind", ["two classes", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("one-vs-rest", "multinomial"))]
)
def test_a_kept_factor_changes_no_model_of_many_columns(monkeypatch, kind):
    X, y = (table[:1000] for table in load_digits(return_X_y=True))
    X = np.concatenate([X, X**2, np.roll(X, 1, axis=1) * X, np.roll(X, 8, axis=1) * X], axis=1)
    if kind == "two classes":
        y = y % 2
    models = []
    monkeypatch.setattr(learner, "_SMALL", 0.0)  # rows wait, as they do for a kept factor
    for wide in (200, 10_000):
        monkeypatch.setattr(learner, "_WIDE", wide)
        model = estimator("log_loss", alpha=1e-2, multi_class="ovr" if kind == "one-vs-rest" else "auto")
        model.partial_fit(X[:900], y[:900], np.unique(y))
        models.append(streamed(model, X, y, 20, first=900))
    assert [len(model._state.state.method.factors) for model in models] == [1 if kind == "two classes" else 10, 0]
    (cost, constant), (other, _) = (costs(model, X, y) for model in models)
    assert abs(cost - other) < 1e-4 * (constant - other)
    copy = pickle.loads(pickle.dumps(models[0]))
    assert_array_equal(copy.partial_fit(X[:9], y[:9]).coef_, models[0].partial_fit(X[:9], y[:9]).coef_)


@pytest.mark.parametrize("size", [10, 100, 250])
@pytest.mark.parametrize("kind", ["two classes", "one-vs-rest", "multinomial", "weights", "after fit"])
def test_one_step_a_call_is_as_good_as_newtons_steps(monkeypatch, kind, size):
    X, y = made(4000, 8, n_classes=2 if kind in ("two classes", "weights", "after fit") else 4, seed=5)
    weight = np.random.default_rng(1).exponential(size=len(y)) if kind == "weights" else None
    gaps, steps = [], []
    step = Learner._step
    monkeypatch.setattr(Learner, "_step", lambda self, *rows: steps.append(step(self, *rows)) or steps[-1])
    for may in (True, False):
        if not may:
            monkeypatch.setattr(Learner, "_small", lambda self, n_rows: False)
        model = estimator("log_loss", multi_class="ovr" if kind == "one-vs-rest" else "auto")
        first = 400 if kind == "after fit" else 0
        if first:
            model.fit(X[:first], y[:first])
        streamed(model, X, y, size, weight, first, np.unique(y))
        assert any(steps) == may
        steps.clear()
        exact = clone(model).set_params(tol=1e-8, max_iter=10_000).fit(X, y, sample_weight=weight)
        (cost, constant), (best, _) = (costs(fitted, X, y, weight) for fitted in (model, exact))
        gaps.append((cost - best) / (constant - best))
    assert gaps[0] < 2 * gaps[1] + 1e-3


@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
def test_a_class_that_comes_after_many_rows_is_learned(multi_class):
    rng = np.random.default_rng(0)

    def rows(n, k):
        y = rng.integers(0, k, n)
        return y[:, None] * 4.0 + rng.standard_normal((n, 1)), y

    model = SGDVariantClassifier(on_new_class="grow", multi_class=multi_class, random_state=0).partial_fit(
        *rows(1000, 2)
    )
    for _ in range(6):
        model.partial_fit(*rows(300, 3))
    assert model.score(*rows(3000, 3)) > 0.9


@pytest.mark.parametrize("size", [10, 200, 1000])
@pytest.mark.parametrize(("n_classes", "loss"), [(2, "log_loss"), (3, "log_loss"), (3, "squared_hinge")])
def test_classes_that_grow_in_sorted_rows_are_as_good_as_named_ones(n_classes, loss, size):
    X, y = made(2000, 4, n_classes=n_classes, seed=7)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    models = [estimator(loss), estimator(loss, on_new_class="grow")]
    for start in range(0, len(y), size):
        rows = slice(start, start + size)
        models[0].partial_fit(X[rows], y[rows], np.unique(y))
        models[1].partial_fit(X[rows], y[rows])
    optimum = least(models[0], X, y)
    named, grown = (gap(model, X, y, optimum) for model in models)
    assert grown < 2 * named + 1e-2


def test_classes_that_grow_leave_a_model_that_was_set_by_hand():
    X, y = made(400, 4, n_classes=3, seed=7)
    model = estimator("log_loss", on_new_class="grow")
    model.partial_fit(X[y < 2], y[y < 2])
    model.coef_ = 3 * model.coef_
    first = model.coef_[0].copy()
    model.partial_fit(X[y == 2][:1], y[y == 2][:1])
    moved = model.coef_[1] - model.coef_[0]
    assert np.linalg.norm(moved - first) < 0.2 * np.linalg.norm(first)


@pytest.mark.parametrize("loss", [*MARGIN, "perceptron"])
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_a_row_after_a_fit_of_separable_classes_leaves_the_model(load, loss):
    X, y = load(return_X_y=True)
    model = SGDVariantClassifier(loss=loss, random_state=0).fit(X, y)
    score = model.score(X, y)
    assert model.partial_fit(X[:1], y[:1]).score(X, y) > score - 0.02
    assert model.partial_fit(X[1:6], y[1:6]).score(X, y) > score - 0.02


def test_the_perceptron_is_learned_by_its_limit_and_scored_as_it_is():
    X, y = made(n_classes=2)
    model = streamed(estimator("perceptron"), X, y, 100)
    hinge = streamed(estimator("hinge").set_params(loss=Hinge(threshold=1e-6)), X, y, 100)
    assert_allclose(model.coef_, hinge.coef_, rtol=1e-12)
    before = model.decision_function(X[:50])
    model.partial_fit(X[:50], y[:50])
    cost = np.maximum(-(2 * y[:50] - 1) * before, 0).mean()
    assert model.progressive_scores_["loss"][-1] == pytest.approx(cost, rel=1e-9)


@pytest.mark.parametrize("n_first", [1, 7])
def test_a_border_between_classes_within_the_first_chunk_is_one(n_first):
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((6000, 5)), rng.standard_normal(5)
    y = (X @ w - 1 + rng.logistic(size=6000) > 0).astype(int)
    rows = np.concatenate([np.flatnonzero(y == 0)[:1000], np.flatnonzero(y == 1)[:200]])
    model = estimator("log_loss").partial_fit(X[rows[: 1000 + n_first]], y[rows[: 1000 + n_first]], [0, 1])
    model.partial_fit(X[rows[1000 + n_first :]], y[rows[1000 + n_first :]])
    assert gap(model, X[rows], y[rows]) < 1e-2


def test_a_step_that_is_longer_than_lines_reach_is_not_taken():
    X, y = made(2000, 4, n_classes=2, seed=3)
    model = streamed(estimator("log_loss"), X, y, 100, classes=[0, 1])
    for scale in (1e3, 30.0):
        far = copy.deepcopy(model).partial_fit(scale * X[:200], 1 - y[:200])
        together = np.concatenate([X, scale * X[:200]]), np.concatenate([y, 1 - y[:200]])
        cost, constant = costs(far, *together)
        assert cost < 2 * constant


@pytest.mark.parametrize("n_rows", [3, 30])
def test_variances_of_predictions_are_their_definition(n_rows):
    rng = np.random.default_rng(0)
    H, C = np.cov(rng.standard_normal((10, 50))), rng.standard_normal((n_rows, 10))
    exact = np.einsum("ij,jk,ik->i", C, np.linalg.inv(H + np.eye(10)), C)
    assert_allclose(learner.quadratic_forms(C, [learner.cholesky(H, np.ones(10))])[:, 0], exact, rtol=1e-10)


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "huber"])
def test_only_ratios_of_weights_matter(loss):
    X, y = world(loss, n=300)
    weight = np.random.default_rng(0).exponential(size=len(y))
    for size in (1, 100):
        n = 60 if size == 1 else 300
        usual = streamed(estimator(loss), X[:n], y[:n], size, weight[:n])
        for unit in (1e-12, 1e12):
            other = streamed(estimator(loss), X[:n], y[:n], size, unit * weight[:n])
            assert_allclose(other.coef_, usual.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_only_ratios_of_weights_matter_where_a_class_comes_late(unit):
    X, y = world("log_loss", n=1400)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    weight = np.random.default_rng(0).exponential(size=len(y))
    usual, other = (streamed(estimator("log_loss"), X, y, 100, w) for w in (weight, unit * weight))
    assert_allclose(other.coef_, usual.coef_, rtol=1e-5)


# ---------------------------------------------------------------------- one pass of other losses


# at 3,000 rows, measured; with kinks and chunks of one row the least
WITHIN = {
    "log_loss": 2e-3, "squared_hinge": 2e-3, "modified_huber": 3e-3, "hinge": 2e-2, "huber": 3e-3,
    "epsilon_insensitive": 3e-3, "squared_epsilon_insensitive": 2e-3,
}  # fmt: skip


@functools.cache
def least_of_world(loss, n):
    return least(estimator(loss), *world(loss, n=n))


def seen_once(loss, size, order="random", n=2000):
    X, y = world(loss, n=n)
    if order == "sorted":
        rows = np.argsort(y, kind="stable")
        X, y = X[rows], y[rows]
    return gap(streamed(estimator(loss), X, y, size), X, y, least_of_world(loss, n))


@pytest.mark.parametrize("size", [10, 100, 1000])
@pytest.mark.parametrize("loss", WITHIN)
def test_one_pass_is_near_the_optimum(loss, size):
    assert seen_once(loss, size) < WITHIN[loss]


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "huber"])
def test_one_row_at_a_time_is_near_the_optimum(loss):
    assert seen_once(loss, 1, n=300) < 0.02


@pytest.mark.parametrize("size", [10, 100, 1000])
@pytest.mark.parametrize("loss", WITHIN)
def test_rows_sorted_by_target_are_as_good(loss, size):
    assert seen_once(loss, size, "sorted") < 1e-2


@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
@pytest.mark.parametrize("order", ["random", "blocks", "sorted"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_several_classes(loss, order, multi_class):
    # of 40, 23, 1833 and 104 rows: sorted, the last comes when nothing can be learned of the others any more
    X, y = made(n_classes=4, n=2000)
    if order != "random":
        rows = np.argsort(y + 4 * (np.arange(2000) // 500) * (order == "blocks"), kind="stable")
        X, y = X[rows], y[rows]
    model = streamed(SGDVariantClassifier(loss=loss, multi_class=multi_class, random_state=0), X, y, 100)
    assert gap(model, X, y) < 2e-2


FIRST = {
    "constant": lambda X, y: (X, np.full(len(y), y[0])),
    "zeros": lambda X, y: (0.0 * X, y),
    "equal rows": lambda X, y: (np.repeat(X[:1], len(X), axis=0), y),
    "one row": lambda X, y: (X[:1], y[:1]),
    "sparse and empty": lambda X, y: (sp.csr_array(X.shape), y),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_error", "huber"])
def test_no_first_chunk_wrecks_a_model(loss, first):
    X, y = world(loss, n=1500)
    X0, y0 = FIRST[first](X[:100], y[:100])
    model = streamed(estimator(loss), X0, y0, 100, classes=[0, 1])
    streamed(model, X, y, 100, classes=[0, 1])
    dense = X0.toarray() if sp.issparse(X0) else X0
    # rows of zeros that are never near a kink leave the level of a constant column to their parabolas
    within = 0.2 if loss == "hinge" and not dense.any() else 1e-2
    assert gap(model, np.concatenate([dense, X]), np.concatenate([y0, y])) < within


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "huber"])
def test_chunks_that_shrink_to_one_row(loss):
    X, y = world(loss, n=1100)
    model = streamed(estimator(loss), X[:1000], y[:1000], 1000)
    streamed(model, X, y, 1, first=1000)
    assert gap(model, X, y) < 5e-3


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_l1_has_the_zeros_of_the_optimum(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 20))
    z = X[:, :4] @ [2.0, -1.5, 1.0, -1.0] + 0.5 * rng.standard_normal(3000)
    y = z if loss == "squared_error" else (z > 0).astype(int)
    model = streamed(estimator(loss, penalty="l1", alpha=0.03, l1_ratio=None), X, y, 100)
    optimum = clone(model).set_params(tol=1e-10, max_iter=10_000).fit(X, y)
    assert_array_equal(model.coef_ == 0, optimum.coef_ == 0)
    assert 10 <= (model.coef_ == 0).sum() < 20


@pytest.mark.parametrize("loss", ["huber", "epsilon_insensitive", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("size", [1, 30])
def test_targets_far_from_zero_are_reached(loss, size):
    X, y = made(n=90)
    near, far = (streamed(estimator(loss), X, y + offset, size) for offset in (0.0, 1e6))
    assert_allclose(far.predict(X) - 1e6, near.predict(X), atol=0.05 * y.std())


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "huber", "epsilon_insensitive"])
@pytest.mark.parametrize("size", [10, 300])
def test_a_row_far_from_all_others_ends_no_better_than_its_column_deserves(loss, size):
    X, y = world(loss, n=300)
    X[150, 0] = 1e6
    model = streamed(estimator(loss), X, y, size)
    cost, constant = costs(model, X, y)
    assert cost < constant


@pytest.mark.parametrize("loss", ["gamma", "poisson", "tweedie"])
@pytest.mark.parametrize("size", [20, 100])
def test_a_loss_that_grows_as_an_exponential_is_reached_from_afar(loss, size):
    for seed in range(3):  # rows that a model gives the loss of 1e14 are among them
        rng = np.random.default_rng(seed)
        X = rng.standard_t(2.0, (1000, 4))
        t = np.clip(X, -5, 5) @ rng.standard_normal(4) / 2
        y = np.exp(np.clip(t, -5, 4)) * rng.gamma(2.0, 0.5, 1000) + 1e-6
        model = SGDVariantRegressor(loss, random_state=0)
        for rows in np.array_split(np.arange(1000), 1000 // size):
            model.partial_fit(X[rows], y[rows])
        assert model.score(X, y) > clone(model).fit(X, y).score(X, y) - 0.01


def test_rows_that_have_moved_after_a_fit_say_little_of_those_of_the_fit():
    left = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((1500, 10))
        y = (X @ rng.standard_normal(10) + rng.logistic(size=1500) > 0).astype(int)
        X[500:] += 100
        model = estimator("log_loss").fit(X[:500], y[:500])
        for start in range(500, 1500, 100):
            model.partial_fit(X[start : start + 100], y[start : start + 100])
        left.append(costs(model, X, y)[0])
    assert np.median(left) < np.log(2)  # 1.1 where the mean of new rows was taken for that of old ones


@pytest.mark.parametrize("size", [100, 1000])
def test_a_column_of_heavy_tails_counts_as_most_rows_have_it(size):
    left = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        heavy = np.exp(4 * rng.standard_normal(4000))
        X = np.column_stack([rng.standard_normal((4000, 4)), heavy])
        y = (X[:, 0] + np.minimum(heavy, 5) - 2 + rng.logistic(size=4000) > 0).astype(int)
        left.append(gap(streamed(estimator("log_loss"), X, y, size), X, y))
    assert np.median(left) < 0.02  # 0.045 by squares, which a few rows decide


@pytest.mark.parametrize("kind", [SGDVariantRegressor, SGDVariantClassifier])
def test_one_row_at_a_time_from_nothing(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    y = X @ rng.standard_normal(5)
    y = y if kind is SGDVariantRegressor else (y > 0).astype(int)
    assert streamed(kind(random_state=0), X, y, 1).score(X, y) > 0.97


@pytest.mark.parametrize("loss", RESIDUAL)
def test_a_hundred_equal_targets_first(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5))
    y = np.where(np.arange(3000) < 100, 5.08, X @ rng.standard_normal(5))
    model = estimator(loss).partial_fit(X[:100], y[:100])
    assert_allclose(model.predict(X), 5.08, rtol=0.03)
    assert gap(streamed(model, X, y, 100, first=100), X, y) < 1e-2


def test_a_change_of_alpha_between_calls_takes_effect():
    X, y = made(n=1000)
    model = streamed(SGDVariantRegressor(alpha=1e-4), X[:500], y[:500], 100)
    model.set_params(alpha=0.3)
    same(streamed(model, X, y, 100, first=500), ridge(X, y, alpha=0.3))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_a_model_is_finite_and_no_worse_than_twice_a_constant(seed):
    rng = np.random.default_rng([seed, 7])
    loss, n, d = str(rng.choice([*MARGIN, *RESIDUAL])), int(rng.choice([20, 60, 300])), int(rng.choice([1, 3, 40]))
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    if loss in MARGIN:
        y = (y + X[:, 0] > 0).astype(int)
    else:
        y = (y + X[:, 0]) * 10.0 ** rng.integers(-10, 11) + rng.choice([0.0, 1e6])
    X *= 10.0 ** rng.integers(-8, 9, d) if rng.random() < 0.5 else 1.0
    kind = rng.integers(5)
    if kind == 0:
        X[:, rng.random(d) < 0.5] = 3.3
    elif kind == 1:
        X = X[rng.integers(0, n // 5, n)]
    elif kind == 2:
        X[n // 2, 0] *= 1e6
    elif kind == 3:
        X[: n // 2] = 0.0
    weight = [np.ones(n), rng.exponential(size=n), (rng.random(n) < 0.5) * 1.0, np.full(n, 1e-12)][rng.integers(4)]
    weight[:2] = weight.max()
    rows = np.argsort(y, kind="stable") if rng.random() < 0.3 else np.arange(n)
    X, y = X[rows], y[rows]
    penalty = [None, "l2", "l1"][rng.integers(3)]
    model = estimator(loss, penalty=penalty, alpha=float(rng.choice([1e-8, 1e-4, 1e-2])))
    streamed(model, X, y, int(rng.choice([7, 50, 1000])), weight, classes=[0, 1])
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()
    if loss in RESIDUAL or len(np.unique(y[weight > 0])) == 2:
        cost, constant = costs(model, X, y, weight)
        assert cost <= 2 * constant


@pytest.mark.parametrize("loss", ["huber", "hinge", "epsilon_insensitive", "log_loss"])
def test_a_class_alone_for_hundreds_of_rows_sets_nothing(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 5))
    y = (X[:, 0] + 0.3 * rng.standard_normal(1500) > 0).astype(int)
    rows = np.argsort(y, kind="stable")
    model = SGDVariantClassifier(loss=loss, random_state=0)
    streamed(model, X[rows][:700], y[rows][:700], 37, classes=[0, 1])
    assert np.abs(model.coef_).max() < 10
    assert streamed(model, X[rows], y[rows], 37, first=700).score(X, y) > 0.85


@pytest.mark.parametrize("loss", ["huber", "epsilon_insensitive"])
def test_one_wild_target_is_nothing_to_a_robust_loss(loss):
    X, y = made(n=400)
    wild = np.where(np.arange(400) == 200, 1e6, y)
    model = streamed(estimator(loss), X, wild, 100)
    assert model.score(X, y) > estimator(loss).fit(X, wild).score(X, y) - 0.05


# ---------------------------------------------------------------------- laws


def everything(model):
    return pickle.dumps({key: value for key, value in model.__getstate__().items() if key != "history_"})


@pytest.mark.parametrize("forgetting", [None, 200.0, "auto"])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_error", "huber"])
def test_pickling_between_chunks_changes_nothing(loss, forgetting):
    X, y = world(loss, n=1200)
    plain = pickled = estimator(loss, forgetting=forgetting)
    plain, pickled = clone(plain), clone(pickled)
    for start in range(0, 1200, 150):
        rows = slice(start, start + 150)
        streamed(plain, X[rows], y[rows], 150, classes=[0, 1])
        pickled = pickle.loads(pickle.dumps(streamed(pickled, X[rows], y[rows], 150, classes=[0, 1])))
        copied = copy.deepcopy(pickled)
        assert_array_equal(plain.coef_, pickled.coef_)
        assert_array_equal(copied.intercept_, pickled.intercept_)


@pytest.mark.parametrize("loss", WITHIN)
def test_how_a_chunk_is_split_matters_little(loss):
    X, y = world(loss, n=1000)
    whole = streamed(estimator(loss), X, y, 500)
    parts = streamed(estimator(loss), X, y, 50)
    a, b = costs(whole, X, y)[0], costs(parts, X, y)
    assert abs(a - b[0]) < (2e-2 if loss == "hinge" else 3e-3) * b[1]


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge", "huber"])
def test_single_precision(loss):
    X, y = world(loss, n=1000)
    double = streamed(estimator(loss), X, y, 100)
    single = streamed(estimator(loss), X.astype(np.float32), y, 100)
    assert single.coef_.dtype == np.float32
    assert_allclose(single.coef_, double.coef_, rtol=2e-3, atol=2e-3 * np.abs(double.coef_).max())


def test_the_same_seed_gives_the_same_model():
    X, y = made(n_classes=2)
    a, b = (streamed(SGDVariantClassifier(random_state=3), X, y, 100) for _ in range(2))
    assert_array_equal(a.coef_, b.coef_)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "epsilon_insensitive"])
@pytest.mark.parametrize("forgetting", [None, "auto"])
def test_what_is_kept_does_not_grow(loss, forgetting):
    X, y = world(loss, n=4000)
    model, sizes = estimator(loss, forgetting=forgetting), []
    for _ in range(6):
        for _ in range(2):
            streamed(model, X, y, 4000)
        for _ in range(30):
            streamed(model, X[:1], y[:1], 1, classes=[0, 1])
        sizes.append(len(pickle.dumps(model)))
    # history and curves fill up to 256 entries, the sample of a loss with kinks to 2^18 numbers, and a rival comes
    # and goes
    assert max(sizes[4:]) <= 2.2 * max(sizes[3], 40_000)
    assert max(sizes) < (9e6 if loss == "epsilon_insensitive" else 1e6)


# ---------------------------------------------------------------------- fit, then partial_fit


TABLES = {
    "iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits,
    "diabetes": load_diabetes,
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_row_after_fit_moves_a_model_by_what_a_row_is_worth(name):
    X, y = TABLES[name](return_X_y=True)
    kind = SGDVariantRegressor if name == "diabetes" else SGDVariantClassifier
    fitted = kind(random_state=0).fit(X, y)
    before = fitted.score(X, y)
    for i in np.random.default_rng(0).integers(0, len(y), 5):
        model = copy.deepcopy(fitted).partial_fit(X[i : i + 1], y[i : i + 1])
        assert model.score(X, y) > before - 0.02


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "squared_hinge"])
def test_as_many_rows_after_fit_count_as_much_as_those_of_fit(loss):
    X, y = world(loss, n=4000)
    model = estimator(loss).fit(X[:2000], y[:2000])
    first = costs(model, X, y)[0]
    streamed(model, X, y, 100, first=2000)
    whole = costs(estimator(loss, tol=1e-8).fit(X, y), X, y)[0]
    assert costs(model, X, y)[0] - whole < 0.5 * (first - whole) + 1e-4 * costs(model, X, y)[1]


@pytest.mark.parametrize("seed", range(3))
def test_thirty_mixed_rows_after_fit_leave_diabetes_alone(seed):
    X, y = load_diabetes(return_X_y=True)
    model = SGDVariantRegressor(random_state=0).fit(X, y)
    before, rows = model.score(X, y), np.random.default_rng(seed).integers(0, len(y), 30)
    assert model.partial_fit(X[rows], y[rows]).score(X, y) > before - 0.03


def test_coefficients_set_by_hand_are_gone_on_from():
    X, y = made(n=1000)
    model = streamed(SGDVariantRegressor(), X, y, 100)
    model.coef_ = np.full_like(model.coef_, 5.0)
    model.partial_fit(X[:1], y[:1])
    assert np.abs(model.coef_ - 5).max() < 0.5
    streamed(model, X, y, 100)
    # the rows now weigh as much as the model; the last column is constant, so that nothing speaks against it
    assert np.abs(model.coef_[:-1] - 5).min() > 1.0


def test_averaged_workers():
    X, y = made(n=1000)
    a, b = (streamed(SGDVariantRegressor(), X[rows], y[rows], 100) for rows in (slice(0, 500), slice(500, 1000)))
    a.coef_, a.intercept_ = (a.coef_ + b.coef_) / 2, (a.intercept_ + b.intercept_) / 2
    expected = a.coef_.copy()
    a.partial_fit(X[:1], y[:1])
    assert_allclose(a.coef_, expected, atol=0.05 * np.abs(expected).max())


# ---------------------------------------------------------------------- forgetting


@pytest.mark.parametrize("size", [1, 17, 300])
def test_a_half_life_is_weighted_least_squares(real, size):
    X, y = real
    model = streamed(SGDVariantRegressor(alpha=ALPHA, forgetting=60.0), X, y, size)
    same(model, ridge(X, y, 2.0 ** (-np.arange(len(y))[::-1] / 60.0)), rtol=1e-7)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber", "hinge"])
@pytest.mark.parametrize("size", [40, 200])
def test_auto_recovers_from_a_flip_within_a_tenth_of_the_rows(loss, size):
    X, y = world(loss, n=6000)
    model = streamed(estimator(loss, forgetting="auto"), X[:4000], y[:4000], size)
    flipped = -y if loss in RESIDUAL else 1 - y
    before = costs(model, X[4400:], y[4400:])[0]
    streamed(model, X[:4400], flipped[:4400], size, first=4000, classes=[0, 1])
    after, constant = costs(model, X[4400:], flipped[4400:])
    assert after <= before + 0.1 * constant


@pytest.mark.parametrize("weight", [1e-6, 1e6])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_what_rows_weigh_does_not_say_when_auto_forgets(loss, weight):
    X, y = world(loss, n=4000)
    y[3000:] = -y[3000:] if loss in RESIDUAL else 1 - y[3000:]
    models = [
        streamed(estimator(loss, forgetting="auto"), X, y, 200, weight=w) for w in (None, np.full(len(y), weight))
    ]
    remembered = [np.array(model.history_["remembered"]) for model in models]
    assert remembered[0].min() < 600  # the flip was seen
    assert_allclose(remembered[1], weight * remembered[0], rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber"])
def test_auto_forgets_nothing_of_one_world(loss):
    X, y = world(loss)
    kept, auto = (streamed(estimator(loss, forgetting=f), X, y, 100) for f in (None, "auto"))
    assert_array_equal(auto.coef_, kept.coef_)


@pytest.mark.parametrize("far", [1e3, -1e3, 1e6, -1e6])
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_a_row_far_off_does_not_take_an_exponential_with_it(loss, far):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(600, 4))
    eta = 0.4 * X @ rng.normal(size=4)
    y = rng.poisson(np.exp(eta)).astype(float) if loss == "poisson" else np.exp(eta) * rng.gamma(2, 0.5, 600)
    X[450, 0] = far

    def mean_loss(z):
        return np.mean(np.exp(z) - y * z if loss == "poisson" else y * np.exp(-z) + z)

    model = SGDVariantRegressor(loss)
    with np.errstate(over="ignore"):
        for start in range(0, 600, 100):
            model.partial_fit(X[start : start + 100], y[start : start + 100])
        assert mean_loss(X @ model.coef_ + model.intercept_) < mean_loss(np.full(600, np.log(y.mean())))


@pytest.mark.parametrize("size", [5, 10])
def test_the_first_rows_of_a_second_class_are_not_taken_for_more_than_they_say(size):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1000, 20))
    y = np.sort((0.1 * X @ rng.normal(size=20) + rng.logistic(size=1000) > 0).astype(int))
    n_first = int((y == 0).sum())
    model = streamed(SGDVariantClassifier(), X[:n_first], y[:n_first], 100, classes=[0, 1])
    for end in range(n_first + size, n_first + 60, size):
        model.partial_fit(X[end - size : end], y[end - size : end])
        now, constant = costs(model, X[:end], y[:end])
        assert now < 1.2 * constant


# ---------------------------------------------------------------------- losses and penalties of one's own


class Logistic(Loss):
    """Nothing but a value and a gradient."""

    smooth = True

    def value(self, y, z):
        return np.logaddexp(0, -y * z)

    def gradient(self, y, z, out):
        return np.divide(-y, 1 + np.exp(y * z), out=out)


def test_a_loss_of_ones_own_learns_in_one_pass():
    X, y = made(n_classes=2)
    own = streamed(SGDVariantClassifier(loss=Logistic(), random_state=0), X, y, 100)
    ours = streamed(SGDVariantClassifier(random_state=0), X, y, 100)
    assert_allclose(own.coef_, ours.coef_, rtol=1e-3, atol=1e-3)


class Steep(Penalty):
    """A penalty that is neither L1 nor L2."""

    strength: float = hyperparameter(1e-3)
    has_prox = False

    def value(self, W):
        return self.strength * (W**4).sum(axis=0)

    def add_gradient(self, W, out):
        out += 4 * self.strength * W**3

    def prox(self, W, step, smooth=True):
        pass


def test_a_penalty_of_ones_own_is_learned_by_steps():
    X, y = made(n=1000)
    model = streamed(SGDVariantRegressor(penalty=Steep(), scale_features=False, random_state=0), X, y, 100)
    assert type(model.solver_).__name__ != "Recursive"
    assert np.isfinite(model.coef_).all()


# ---------------------------------------------------------------------- lines in place of slopes


def mean(function, nodes=None):
    """Of a function of a standard normal variable: by quadrature, or by Gauss and Hermite's rule of so many nodes."""
    if nodes is not None:
        at, share = np.polynomial.hermite_e.hermegauss(nodes)
        return sum(w * function(u) for u, w in zip(at, share, strict=True)) / share.sum()
    return quad(lambda u: norm.pdf(u) * function(u), -8, 8, limit=400, points=np.linspace(-3, 3, 13))[0]


@pytest.mark.parametrize("name", [name for name, cls in CLASSIFYING.items() if cls.smooth or cls.has_ramps])
def test_lines_are_means_over_predictions_to_come(name):
    loss, rng = LOSSES[name](), np.random.default_rng(0)
    y = rng.standard_normal((8, 1)) if loss.regression else rng.choice([-1.0, 1.0], (8, 1))
    z, spread = y + rng.standard_normal((8, 1)), np.full((8, 1), 0.5)
    slope, curvature = slopes(loss, y, z, spread)
    value = values(loss, y, z, spread)
    for i in range(8):

        def gradient(u, i=i):
            return loss.gradient(y[i : i + 1], z[i : i + 1] + 0.5 * u, np.empty((1, 1)))[0, 0]

        def cost(u, i=i):
            return loss.value(y[i : i + 1], z[i : i + 1] + 0.5 * u)[0, 0]

        def times(u, gradient=gradient):
            return u * gradient(u)

        if loss.piecewise_linear or name == "huber":
            assert_allclose(slope[i, 0], mean(gradient), atol=2e-4)
            assert_allclose(curvature[i, 0], mean(times) / 0.5, atol=2e-3)  # Stein's identity
            assert_allclose(value[i, 0], mean(cost), atol=2e-4)
        else:
            assert_allclose(slope[i, 0], mean(gradient, nodes=3), atol=1e-12)
            assert_allclose(curvature[i, 0], mean(times, nodes=3) / 0.5, atol=1e-12)
            assert_allclose(slope[i, 0], mean(gradient), atol=0.1)


@pytest.mark.parametrize("name", CLASSIFYING)
def test_lines_without_a_spread_are_derivatives(name):
    loss = LOSSES[name]()
    y = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    z = np.array([[0.3], [0.3], [2.0], [-2.0]])
    slope, _ = slopes(loss, y, z, None)
    assert_array_equal(slope, loss.gradient(y, z, np.empty_like(z)))


# ---------------------------------------------------------------------- units


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e100])
def test_a_frame_and_back(scale, intercept):
    rng = np.random.default_rng(0)
    X = scale * (rng.standard_normal((20, 3)) + np.array([0, 5, -3]))
    frame, theta = Frame.of(X[:5], intercept), rng.standard_normal((4, 2))
    for start in range(0, 20, 5):
        C, _ = frame.rows(X[start : start + 5])
    original = frame.original(theta)
    assert_allclose(X[15:] @ original[:-1] + original[-1], C @ theta, rtol=1e-9, atol=1e-9)
    assert_allclose(frame.of_original(original), theta, rtol=1e-9, atol=1e-9)
    assert np.abs(C[:, :-1]).max() <= 2.0**21
    dense, _ = frame.rows(X)
    sparse, _ = frame.rows(sp.csr_array(X))
    assert_array_equal(dense, sparse)


def test_a_frame_follows_columns_that_outgrow_it():
    frame = Frame.of(np.zeros((1, 2)), True)
    frame.rows(np.array([[1.0, 0.0]]))
    before = frame.factor.copy()
    C, change = frame.rows(np.array([[1e30, 3.0]]))
    assert_array_equal(before * change, frame.factor)
    assert np.abs(C).max() <= 2.0**20
    assert np.all(np.log2(frame.factor) % 1 == 0)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_frame_knows_its_largest_value_in_its_own_units(unit):
    X = unit * np.array([[0.0, 1.0], [2.0, -3.0], [1.0, 0.5]])
    frame = Frame.of(X, True)
    C, _ = frame.rows(X)
    assert frame.largest == np.abs(C[:, :-1]).max()
    C, _ = frame.rows(10 * X)
    assert frame.largest == np.abs(C[:, :-1]).max()


def test_values_whose_squares_overflow_are_named():
    with pytest.raises(ValueError, match="[Cc]olumn|feature"):
        SGDVariantRegressor().partial_fit([[1e200, 1.0], [0.0, 1.0]], [1.0, 2.0])


@pytest.mark.parametrize("smallest", [1e-200, 1e-310, 5e-324])
@pytest.mark.parametrize("d", [2, 2000])
def test_values_whose_squares_vanish_are_named(smallest, d):
    X = sp.csr_array(np.column_stack([[1.0, -1.0, 2.0, 0.0], [0, smallest, -smallest, smallest]]))
    X.resize(4, d)
    with pytest.raises(ValueError, match=r"so small values .*\[1\]"):
        SGDVariantRegressor().partial_fit(X, [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize("before", ["nothing", "a chunk", "a fit"])
def test_a_chunk_that_no_model_can_be_made_of_is_left_out(monkeypatch, before):
    X, y = made(n=200)
    y = (y > np.median(y)).astype(int)
    model = SGDVariantClassifier(random_state=0)
    if before == "a chunk":
        model.partial_fit(X[:100], y[:100], classes=[0, 1])
    elif before == "a fit":
        model.fit(X[:100], y[:100])
    then = model.coef_.copy() if hasattr(model, "coef_") else np.zeros((1, X.shape[1]))
    with monkeypatch.context() as patch:
        solve = Learner._solve

        def lost(self, *args):
            factors = solve(self, *args)
            self.at.theta = self.at.theta * np.nan
            return factors

        patch.setattr(Learner, "_solve", lost)
        with pytest.warns(ConvergenceWarning, match="left out"):
            model.partial_fit(X[100:], y[100:], classes=[0, 1])
    assert_array_equal(model.coef_, then)
    assert model.status_ == "diverged"
    assert model.partial_fit(X, y).score(X, y) > 0.85


@pytest.mark.parametrize("loss", ["squared_error", "squared_epsilon_insensitive", "huber", "epsilon_insensitive"])
def test_an_outlier_after_a_fit_is_not_what_the_fit_has_seen(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    y = X @ [1.0, -1.0, 0.5] + 0.3 * rng.standard_normal(30)
    X[20, 0] = 1e6
    model = estimator(loss).fit(X[:15], y[:15]).partial_fit(X[15:], y[15:])

    def cost(z):
        return model._minimised.value(y[:, None], z[:, None]).mean()

    assert cost(model.predict(X)) < 2 * cost(np.full(30, y.mean()))


@pytest.mark.parametrize("loss", ["hinge", "huber"])
def test_a_first_chunk_of_all_rows_ends_as_near_as_small_ones_where_losses_have_kinks(loss):
    left = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((5000, 6)) * np.logspace(-2, 2, 6)
        y = 0.5 * (X / X.std(0)).sum(1) + rng.standard_t(3, len(X))
        y = y > 0 if loss == "hinge" else y
        whole = estimator(loss, alpha=ALPHA, tol=1e-7).fit(X, y)
        stream = estimator(loss, alpha=ALPHA).partial_fit(X, y, *([[False, True]] if loss == "hinge" else []))
        (cost, constant), (best, _) = costs(stream, X, y), costs(whole, X, y)
        left.append((cost - best) / (constant - best))
    assert max(left) < 5e-3

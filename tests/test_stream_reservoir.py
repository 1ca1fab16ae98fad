"""Streams of many features: rows are kept, and what does not fit is stood for.

The oracles are fits of all rows, definitions, and derivatives by differences. A gap is what a model lacks of the
optimum, as a share of what the optimum gains over the best constant.
"""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._stream import reservoir, truncated
from skvariants._stream.truncated import Centred, Objective, minimise
from skvariants.losses import LOSSES

MARGIN = ["log_loss", "squared_hinge", "modified_huber", "hinge"]
RESIDUAL = ["squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"]


def words(n=1500, d=1200, length=12, n_classes=2, seed=0):
    """Rows of few numbers, whose columns are the rarer the later; targets of one world."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(10, d + 10)
    columns = rng.choice(d, (n, length), p=share / share.sum())
    X = sp.csr_array((rng.exponential(size=n * length), columns.ravel(), np.arange(0, n * length + 1, length)), (n, d))
    X.sum_duplicates()
    z = X @ rng.standard_normal((d, max(n_classes, 1))) + rng.standard_normal((n, max(n_classes, 1)))
    if not n_classes:
        return X, z[:, 0]
    return X, (z[:, 0] > np.median(z[:, 0])).astype(int) if n_classes == 2 else z.argmax(axis=1)


def world(loss, **kwargs):
    return words(n_classes=0 if loss in RESIDUAL else 2, **kwargs)


def estimator(loss, **params):
    kind = SGDVariantRegressor if loss in RESIDUAL else SGDVariantClassifier
    return kind(loss=loss, **({"random_state": 0} | params))


def streamed(model, X, y, size=300, weight=None):
    known = {} if isinstance(model, SGDVariantRegressor) else {"classes": np.unique(y)}
    for start in range(0, len(y), size):
        rows = slice(start, start + size)
        model.partial_fit(X[rows], y[rows], sample_weight=None if weight is None else weight[rows], **known)
    return model


def cost(model, X, y, coef=None, intercept=None):
    """The objective on all rows by its definition."""
    coef = np.atleast_2d(model.coef_ if coef is None else coef)
    z = X @ coef.T + (model.intercept_ if intercept is None else intercept)
    if isinstance(model, SGDVariantRegressor):
        targets = np.reshape(y, (len(y), -1)).astype(float)
    elif len(coef) == 1:
        targets = np.where(y == model.classes_[1], 1.0, -1.0)[:, None]
    else:
        most = z.max(axis=1, keepdims=True)
        softmax = (
            np.log(np.exp(z - most).sum(axis=1)) + most[:, 0] - z[np.arange(len(y)), np.searchsorted(model.classes_, y)]
        )
        return softmax.mean() + 0.5 * model.alpha * (coef**2).sum()
    value = LOSSES[model.loss]().value(targets, z).sum(axis=1).mean()
    l1 = {"l2": 0.0, "l1": 1.0}[model.penalty]
    return value + model.alpha * (0.5 * (1 - l1) * (coef**2).sum() + l1 * np.abs(coef).sum())


def gap(model, X, y, **params):
    """What a stream lacks, beside a fit of all rows."""
    names = {"loss": model.loss, "penalty": model.penalty, "alpha": model.alpha} | params
    best = type(model)(**names, tol=1e-7, max_iter=3000).fit(X, y)
    constant = type(model)(**names | {"alpha": 1e6, "penalty": "l2"}).fit(X, y)
    nothing = cost(best, X, y, np.zeros_like(best.coef_), constant.intercept_)
    least = cost(best, X, y)
    return (cost(model, X, y) - least) / (nothing - least)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "squared_error", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("size", [1000, 100])
def test_one_pass_ends_at_the_optimum_for_smooth_losses(loss, size):
    X, y = world(loss)
    model = streamed(estimator(loss, alpha=1e-3), X, y, size)
    assert repr(model.solver_) == "Recursive()"
    assert gap(model, X, y) < 1e-3


@pytest.mark.parametrize(
    "loss",
    ["hinge", *(pytest.param(x, marks=pytest.mark.slow) for x in ("epsilon_insensitive", "huber", "modified_huber"))],
)
def test_one_pass_comes_near_the_optimum_for_losses_with_kinks(loss):
    X, y = world(loss)
    assert gap(streamed(estimator(loss, alpha=1e-3), X, y), X, y) < 2e-2


@pytest.mark.parametrize("order", ["random", "by class"])
def test_classes_of_a_softmax(order):
    X, y = words(n_classes=4)
    rows = np.arange(len(y)) if order == "random" else np.argsort(y, kind="stable")
    assert gap(streamed(estimator("log_loss", alpha=1e-3), X[rows], y[rows]), X, y) < 1e-3


def test_rows_sorted_by_class_end_at_the_optimum():
    X, y = words()
    rows = np.argsort(y, kind="stable")
    assert gap(streamed(estimator("log_loss", alpha=1e-3), X[rows], y[rows], 100), X, y) < 1e-2


def test_a_chunk_with_a_new_class_after_many_of_the_other_ends_at_the_optimum():
    X, y = words(4000)
    rare = np.flatnonzero(y == 1)[:150]
    rows = np.concatenate([np.flatnonzero(y == 0), rare])
    X, y = X[rows], y[rows]
    assert gap(streamed(estimator("log_loss"), X, y, size=len(y) - len(rare) - 50), X, y) < 1e-4


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_l1_has_the_zeros_of_a_fit(loss):
    X, y = world(loss)
    alpha = 3e-3 if loss == "log_loss" else 3e-2
    model = streamed(estimator(loss, penalty="l1", alpha=alpha), X, y)
    best = estimator(loss, penalty="l1", alpha=alpha, tol=1e-8, max_iter=3000).fit(X, y)
    assert gap(model, X, y) < 1e-3
    assert 0 < np.count_nonzero(best.coef_) < 500
    assert np.mean((model.coef_ != 0) != (best.coef_ != 0)) < 0.01


def test_rows_that_wait_move_a_model_with_l1():
    X, y = words(n=1400)
    model = streamed(estimator("log_loss", penalty="l1", alpha=3e-3), X[:1390], y[:1390], 1390)
    before = model.coef_.copy()
    model.partial_fit(X[1390:], y[1390:])
    assert len(model._state.state.method.waiting.s) == 10
    moved = model.coef_ != before
    assert moved.any()
    assert (before[moved] != 0).all()


def test_rows_that_do_not_fit_are_stood_for(monkeypatch):
    X, y = words(n=4000)
    monkeypatch.setattr(reservoir, "MOST", X.nnz // 3)
    model = streamed(estimator("log_loss", alpha=1e-3), X, y)
    kept = model._state.state.method.kept
    assert kept.X.nnz <= X.nnz // 3 < X.nnz // 2
    assert_allclose(kept.s.sum(), 4000, rtol=0.1)
    assert gap(model, X, y) < 2e-2


def test_terms_for_rows_that_went_keep_the_gradient(monkeypatch):
    """After some rows went, the gradient at the model is that of all rows: zero with the penalty's."""
    X, y = words()
    monkeypatch.setattr(reservoir.ReservoirLearner, "_room", lambda self: X.nnz // 2)
    model = streamed(estimator("log_loss", alpha=1e-3), X, y, size=len(y))
    known = model._state.state.method
    assert len(known.kept.s) < len(y)
    z = known.kept.X @ model.coef_[0, known.columns] + model.intercept_
    t = known.kept.y[:, 0]
    slope = -t / (1 + np.exp(t * z)) * known.kept.s
    full = -(2 * y - 1) / (1 + np.exp((2 * y - 1) * (X @ model.coef_[0] + model.intercept_)))
    terms = (known.linear + known.diagonal * known.theta)[1:, 0] / known.factor
    centre = known.centre
    of_kept = known.kept.X.T @ slope - centre * slope.sum()
    of_all = (X.T @ full)[known.columns] - centre * full.sum()
    assert_allclose(of_kept + terms, of_all, atol=1e-6 * np.abs(of_all).max())


def test_dense_and_sparse_rows_are_one_stream():
    X, y = words(n=600)
    forms = [sp.csr_array, sp.csc_array, lambda X: X.toarray(), lambda X: sp.coo_array(X)]
    first, *others = (streamed_in(form, X, y) for form in forms)
    for other in others:
        assert_allclose(other.coef_, first.coef_, rtol=1e-10, atol=1e-12)


def streamed_in(form, X, y):
    model = estimator("log_loss")
    for start in range(0, len(y), 200):
        model.partial_fit(form(X[start : start + 200]), y[start : start + 200], classes=[0, 1])
    return model


@pytest.mark.parametrize(("loss", "kept"), [("log_loss", True), ("squared_error", False), ("hinge", True)])
def test_short_rows_of_fewer_features_are_kept_too(loss, kept):
    X, y = world(loss, d=600)
    model = streamed(estimator(loss, alpha=1e-3), X, y)
    assert hasattr(model._state.state.method, "kept") == kept
    assert gap(model, X, y) < (1e-2 if loss == "hinge" else 1e-3)
    empty = estimator(loss, alpha=1e-3).partial_fit(
        X[:5] * 0.0, y[:5], **({} if loss in RESIDUAL else {"classes": [0, 1]})
    )
    assert not hasattr(empty._state.state.method, "kept")  # what comes may be long


def test_long_rows_take_steps():
    rng = np.random.default_rng(0)
    model = estimator("log_loss").partial_fit(rng.standard_normal((20, 2000)), [0, 1] * 10, classes=[0, 1])
    assert repr(model.solver_) == "AdaGrad()"


def test_weights_are_repetitions():
    X, y = words(n=400)
    weight = np.random.default_rng(1).integers(0, 3, len(y))
    first = streamed(estimator("log_loss", alpha=1e-3), X, y, 400, weight.astype(float))
    rows = np.repeat(np.arange(len(y)), weight)
    second = streamed(estimator("log_loss", alpha=1e-3), X[rows], y[rows], len(rows))
    assert_allclose(first.coef_, second.coef_, atol=2e-2 * np.abs(second.coef_).max())


@pytest.mark.parametrize("forgetting", [None, 500, "auto"])
def test_pickling_between_chunks_changes_nothing(forgetting):
    X, y = words(n=900)
    models = [estimator("log_loss", forgetting=forgetting) for _ in range(2)]
    for start in range(0, 900, 150):
        for model in models:
            model.partial_fit(X[start : start + 150], y[start : start + 150], classes=[0, 1])
        models[1] = pickle.loads(pickle.dumps(models[1]))
    assert_array_equal(models[0].coef_, models[1].coef_)


def test_a_pickle_does_not_grow(monkeypatch):
    monkeypatch.setattr(reservoir, "MOST", 1 << 12)
    X, y = words(n=6000)
    sizes = []
    model = estimator("log_loss")
    for start in range(0, 6000, 500):
        model.partial_fit(X[start : start + 500], y[start : start + 500], classes=[0, 1])
        sizes.append(len(pickle.dumps(model)))
    assert sizes[-1] < 1.2 * sizes[3]


def test_after_a_fit_few_rows_move_a_model_by_few_rows_worth():
    X, y = words(n=3000)
    model = estimator("log_loss", alpha=1e-3).fit(X[:2900], y[:2900])
    before, accuracy = model.coef_.copy(), model.score(X[:2900], y[:2900])
    model.partial_fit(X[2900:2901], y[2900:2901])
    assert np.linalg.norm(model.coef_ - before) < 0.05 * np.linalg.norm(before)
    model.partial_fit(X[2901:], y[2901:])
    assert model.score(X[:2900], y[:2900]) > accuracy - 0.01
    whole = estimator("log_loss", alpha=1e-3).fit(X, y)
    part = estimator("log_loss", alpha=1e-3).fit(X[:2900], y[:2900])
    least, after = cost(whole, X, y), cost(model, X, y)
    assert after - least < 1.5 * (cost(part, X, y) - least)


def test_a_flip_of_the_labels_is_forgotten():
    X, y = words(n=4000)
    y[2000:] = 1 - y[2000:]
    kept, forgets = (streamed(estimator("log_loss", forgetting=f), X, y, 200) for f in (None, 300))
    last = slice(3500, 4000)
    assert forgets.score(X[last], y[last]) > 0.8 > kept.score(X[last], y[last])


@pytest.mark.parametrize("order", [-480, -30, 30, 240])
def test_units_change_nothing(order):
    X, y = words(n=600)
    scale = 2.0**order
    first = streamed(estimator("log_loss", alpha=1e-3), X, y, 200)
    second = streamed(estimator("log_loss", alpha=1e-3 * scale * scale), X * scale, y, 200)
    assert_allclose(second.coef_ * scale, first.coef_, rtol=1e-6, atol=1e-8 * np.abs(first.coef_).max())


def test_single_rows_and_rows_of_nothing():
    X, y = words(n=120)
    model = estimator("log_loss", alpha=1e-2)
    model.partial_fit(sp.csr_array((3, 1200)), [0, 0, 0], classes=[0, 1])
    assert np.isfinite(model.coef_).all()
    assert model.intercept_[0] < 0
    for i in range(120):
        model.partial_fit(X[[i]], y[[i]])
    assert model.score(X, y) > 0.8


# ---------------------------------------------------------------------- truncated Newton steps


def objective(loss, k=1, seed=0, centre=True, n_more=0):
    rng = np.random.default_rng(seed)
    X = sp.random(40, 12, 0.3, format="csr", random_state=1)
    C = Centred(X, 0.3 * rng.random(12) * centre, np.exp2(rng.integers(-2, 3, 12)), True, n_more)
    bound = LOSSES[loss]() if k == 1 else LOSSES["log_loss"]().multinomial(k)
    labels = rng.integers(0, max(k, 2), 40 + n_more)
    y = (labels[:, None] == np.arange(k)) * 1.0 if k > 1 else np.where(labels[:, None] > 0, 1.0, -1.0)
    shape = (13, k)
    terms = rng.standard_normal(shape), rng.random(shape), np.zeros(shape)
    return Objective(bound, C, y, rng.exponential(size=40 + n_more), *terms)


def test_rows_are_centred_without_being_dense():
    rng = np.random.default_rng(0)
    X, centre, factor = sp.random(20, 8, 0.4, format="csr", random_state=0), rng.random(8), np.exp2(np.arange(8.0))
    C = Centred(X, centre, factor, True, 2)
    dense = np.zeros((22, 9))
    dense[:, 0], dense[:20, 1:] = 1.0, (X.toarray() - centre) * factor
    theta, R = rng.standard_normal((9, 3)), rng.random((22, 3))
    assert_allclose(C.times(theta), dense @ theta, rtol=1e-12)
    assert_allclose(C.turned_times(R), dense.T @ R, rtol=1e-12, atol=1e-12)
    assert_allclose(C.squares(R), (dense * dense).T @ R, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "squared_error"])
def test_derivatives_are_those_of_the_objective(loss):
    problem = objective(loss, n_more=1)
    rng = np.random.default_rng(3)
    theta, P, h = rng.standard_normal((13, 1)), rng.standard_normal((13, 1)), 1e-5
    value = [problem.value(theta + t * P, problem.C.times(theta + t * P)) for t in (-h, 0, h)]
    slope, bend = problem.lines(problem.C.times(theta))
    G = problem.gradient(theta, slope)
    assert_allclose(np.vdot(G, P), (value[2] - value[0]) / (2 * h), rtol=1e-6)
    after, before = (problem.gradient(t, problem.lines(problem.C.times(t))[0]) for t in (theta + h * P, theta - h * P))
    assert_allclose(problem.hessian_times(bend, P), (after - before) / (2 * h), rtol=1e-3, atol=1e-4)
    columns = np.eye(13)
    exact = [problem.hessian_times(bend, columns[:, [j]])[j, 0] for j in range(13)]
    assert_allclose(problem.curvature(bend)[:, 0], exact, rtol=1e-10)


@pytest.mark.parametrize("l1", [0.0, 2.0])
def test_minima_have_no_slope(l1):
    problem = objective("log_loss")
    problem.l1 = np.full((13, 1), l1)
    found = minimise(problem, np.zeros((13, 1)), 100, 1e-14)
    G = problem.gradient(found.theta, found.slope)
    zero = found.theta == 0
    assert zero.any() == (l1 > 0)
    assert_allclose((G + l1 * np.sign(found.theta))[~zero], 0, atol=1e-6)
    assert (np.abs(G[zero]) <= l1).all()


def test_a_step_that_does_not_descend_is_not_taken():
    problem = objective("log_loss")
    best = minimise(problem, np.zeros((13, 1)), 100, 1e-14).theta
    z = problem.C.times(best)
    now, away = (best, z, problem.value(best, z)), np.ones_like(best)
    assert truncated._along(problem, now, away, 1e3) is None


# ---------------------------------------------------------------------- fewer rows than features, in any units


def spread_out(n, orders, seed=0):
    """Rows of columns in units that differ by so many orders of magnitude, and a noiseless line."""
    rng = np.random.default_rng(seed)
    X = sp.random(n, 1200, density=0.02, random_state=rng, format="csr", data_rvs=rng.standard_normal)
    return sp.csr_matrix(X @ sp.diags(10.0 ** rng.uniform(-orders, orders, 1200))), X @ rng.standard_normal(1200)


@pytest.mark.parametrize("orders", [0, 6])
@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
def test_l1_with_fewer_rows_than_features_reaches_the_optimum(orders, alpha):
    # the slope of L1 is not in the range of the Hessian, so a Newton step by that slope alone would have no end
    X, y = spread_out(60, orders)
    model = SGDVariantRegressor(penalty="l1", alpha=alpha)
    best = cost(model.fit(X, y), X, y)
    assert cost(streamed(SGDVariantRegressor(penalty="l1", alpha=alpha), X, y), X, y) <= best + 5e-3 * np.var(y) / 2


def test_l1_in_small_chunks_of_columns_in_any_unit_is_near_the_optimum():
    X, z = spread_out(100, 6, seed=1)
    y, params = (z > 0).astype(int), dict(penalty="l1", alpha=1e-3)
    model = SGDVariantClassifier(**params)
    best = cost(model.fit(X, y), X, y)
    stream = streamed(SGDVariantClassifier(**params), X, y, 7)
    assert cost(stream, X, y) <= best + 0.02 * np.log(2)
    assert np.mean(stream.coef_ == 0) > 0.5


@pytest.mark.parametrize("forgetting", [None, 5])
def test_a_stream_far_beyond_the_room_keeps_a_row_at_least(monkeypatch, forgetting):
    monkeypatch.setattr(reservoir, "MOST", 16)
    X, y = spread_out(80, 0, seed=2)
    model = streamed(SGDVariantRegressor(forgetting=forgetting, random_state=0), X, y, 4)
    assert len(model._state.state.method.kept.s) > 0
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fitted", [False, True], ids=["from nothing", "after a fit"])
def test_a_wide_model_is_kept_once_and_still_known_from_one_set_by_hand(dtype, fitted):
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.random(120, 3000, 0.004, random_state=0, dtype=dtype))
    y = rng.integers(0, 3, 120)
    model = SGDVariantClassifier(random_state=0)
    model = model.fit(X, y) if fitted else model
    model.partial_fit(X[:60], y[:60], classes=[0, 1, 2])
    plain, copied, loaded, moved = (pickle.loads(pickle.dumps(model)) for _ in range(4))
    copied.coef_ = np.asfortranarray(copied.coef_.astype(np.float64))
    moved.coef_[1, 7] += 5.0
    for stream in (plain, copied, loaded, moved):
        stream.partial_fit(X[60:], y[60:])
    np.testing.assert_array_equal(copied.coef_, plain.coef_)
    np.testing.assert_array_equal(loaded.coef_, plain.coef_)
    assert abs(moved.coef_[1, 7] - plain.coef_[1, 7]) > 1
    # another solver goes on from the model
    before = model.coef_.copy()
    model.set_params(solver="sgd", learning_rate="constant", eta0=1e-12).partial_fit(X[60:], y[60:])
    np.testing.assert_allclose(model.coef_, before, atol=1e-6)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
@pytest.mark.parametrize("order", ["blocks", "one class, then all"])
def test_new_classes_of_wide_rows_are_learned_from_the_rows_that_are_kept(loss, order):
    X, y = words(900, 2000, n_classes=3, seed=1)
    rows = np.argsort(y, kind="stable")
    if order != "blocks":
        first = rows[:100]
        rows = np.concatenate([first, np.setdiff1d(np.arange(len(y)), first)])
    grown = estimator(loss, on_new_class="grow")
    for start in range(0, len(y), 100):
        grown.partial_fit(X[rows[start : start + 100]], y[rows[start : start + 100]])
    known = streamed(estimator(loss), X[rows], y[rows], 100)
    assert_allclose(cost(grown, X, y), cost(known, X, y), rtol=2e-2)
    assert grown.score(X, y) > known.score(X, y) - 0.01

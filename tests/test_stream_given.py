"""What a fit leaves to a stream: the curvature of its rows, and none of them."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._blocks import table as tables


def world(seed=0, n=1200, d=6):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.logspace(-3, 3, d) + np.logspace(3, -2, d)
    t = ((X - X.mean(0)) / X.std(0)) @ rng.standard_normal(d)
    return X, t, rng


def cost(model, X, y):
    z = model.decision_function(X)
    loss = model._minimised.value(np.where(y > 0, 1.0, -1.0)[:, None], z[:, None])
    return float(loss.mean())


def goes_on(model, X, y, first, size=50, **more):
    for start in range(first, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], **more)
    return model


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-4, 1.0])
def test_squared_errors_of_a_fit_and_a_stream_have_the_optimum_of_all(alpha, fit_intercept):
    X, t, rng = world()
    y = t + rng.standard_normal(len(t))
    y[600:] += 2 * X[600:, -1] / X[:, -1].std()  # other rows, so that the curvature of the first ones matters
    model = SGDVariantRegressor(alpha=alpha, tol=1e-12, fit_intercept=fit_intercept)
    whole = clone(model).fit(X, y)
    stream = goes_on(model.fit(X[:600], y[:600]), X, y, 600)
    assert_allclose(stream.predict(X), whole.predict(X), atol=1e-6 * whole.predict(X).std())


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "modified_huber"])
def test_columns_that_move_after_a_fit_do_not_undo_it(loss):
    left = []
    for seed in range(5):
        X, t, rng = world(seed)
        y = (t + rng.logistic(size=len(t)) > 0).astype(int)
        X[400:] += 100 * X.std(0)
        model = SGDVariantClassifier(loss, tol=1e-8)
        best, constant = cost(clone(model).fit(X, y), X, y), cost(clone(model).fit(0 * X, y), X, y)
        left.append((cost(goes_on(model.fit(X[:400], y[:400]), X, y, 400), X, y) - best) / (constant - best))
    assert np.median(left) < 0.02


CASES = {
    "binary": (SGDVariantClassifier(), lambda: load_digits(n_class=2, return_X_y=True)),
    "classes": (SGDVariantClassifier(), lambda: load_iris(return_X_y=True)),
    "many columns": (SGDVariantClassifier(multi_class="ovr"), lambda: load_iris(return_X_y=True)),
    "kinks": (SGDVariantClassifier("hinge"), lambda: load_iris(return_X_y=True)),
    "balanced": (SGDVariantClassifier("squared_hinge", class_weight="balanced"), lambda: load_iris(return_X_y=True)),
    "real targets": (SGDVariantRegressor("huber"), lambda: load_iris(return_X_y=True)),
    "several targets": (SGDVariantRegressor(), lambda: (load_iris().data[:, :2], load_iris().data[:, 2:])),
    "warm": (SGDVariantRegressor(warm_start=True), lambda: load_iris(return_X_y=True)),
}


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("case", CASES)
def test_a_pickle_between_a_fit_and_a_stream_changes_nothing(case, kind):
    model, load = CASES[case]
    X, y = load()
    rows = np.random.default_rng(0).permutation(len(y))
    X, y = kind(X[rows]), y[rows]
    fitted = clone(model).fit(X[:100], y[:100])
    saved = pickle.dumps(fitted)
    there, copied = pickle.loads(saved), copy.deepcopy(fitted)
    fitted.partial_fit(X[100:130], y[100:130])
    for other in (there, copied, pickle.loads(pickle.dumps(there))):
        assert_array_equal(other.partial_fit(X[100:130], y[100:130]).coef_, fitted.coef_)


@pytest.mark.parametrize("n_features", [400, 5000])
def test_a_pickle_of_a_wide_fit_changes_nothing_and_is_small(n_features):
    rng = np.random.default_rng(0)
    X = sp.random(600, n_features, density=20 / n_features, format="csr", random_state=rng)
    y = (X[:, [0]].toarray().ravel() > 0).astype(int)
    X[:, [0]] *= 5
    model = SGDVariantClassifier(penalty="l1", alpha=1e-3).fit(X[:500], y[:500]).sparsify()
    there = pickle.loads(pickle.dumps(model))
    assert len(pickle.dumps(there)) == len(pickle.dumps(model)) < 16 * n_features
    assert_array_equal(there.partial_fit(X[500:], y[500:]).coef_, model.partial_fit(X[500:], y[500:]).coef_)


def test_a_pickle_of_a_fit_has_no_row_of_it():
    X, t, _ = world()
    X[7, 2], y = 0.123456789012345, (t > 0).astype(int)
    model = SGDVariantClassifier().fit(X, y)
    saved = pickle.dumps(model)
    assert X[7, 2].tobytes() not in saved
    assert len(saved) < 1 << 13


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_weights_of_a_fit_are_repetitions_for_a_stream(loss):
    X, t, rng = world(n=400)
    y = (t + rng.logistic(size=len(t)) > 0).astype(int)
    weight = rng.integers(0, 4, 300)
    again = np.repeat(np.arange(300), weight)
    model = SGDVariantClassifier(loss, tol=1e-10)
    weighed = clone(model).fit(X[:300], y[:300], sample_weight=weight).partial_fit(X[300:], y[300:])
    repeated = clone(model).fit(X[again], y[again]).partial_fit(X[300:], y[300:])
    assert_allclose(weighed.decision_function(X), repeated.decision_function(X), atol=1e-3)


def test_a_rare_class_of_a_long_fit_is_not_forgotten():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60_000, 10))
    y = np.zeros(60_000, int)
    y[::6000] = 1
    X[y == 1, 0] += 6
    model = SGDVariantClassifier(tol=1e-8).fit(X, y)
    before, rows = model.decision_function(X), np.flatnonzero(y == 0)[:2000]
    whole = clone(model).fit(np.concatenate([X, X[rows]]), np.concatenate([y, y[rows]])).decision_function(X)
    after = goes_on(model, X[rows], y[rows], 0, 200).decision_function(X)
    assert np.abs(after - whole).max() < 0.2 * np.abs(before - whole).max()


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
@pytest.mark.parametrize("fits", [0, 200])
def test_a_column_that_is_constant_for_long_is_no_second_intercept(loss, fits):
    """Its mean is off by rounding, and what differs from it is noise."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((500, 4))
        X[:, 3] *= rng.random(500) < 0.02
        X[:300, 3] = 0
        y = (X[:, 0] > rng.standard_normal(500)).astype(int)
        X = X * 10.0 ** rng.uniform(-3, 3, 4) + 10.0 ** rng.uniform(-2, 5, 4)
        model = SGDVariantClassifier(loss, penalty=None)
        if fits:
            model.fit(X[:fits], y[:fits])
        goes_on(model, X, y, fits, 20, classes=[0, 1])
        assert cost(model, X, y) < (2 * np.log(2) if loss == "log_loss" else 2.0)


def test_another_loss_after_a_fit_goes_on_from_the_model():
    X, t, rng = world()
    y = (t + rng.logistic(size=len(t)) > 0).astype(int)
    model = SGDVariantClassifier("log_loss").fit(X[:1000], y[:1000]).set_params(loss="squared_hinge")
    model.partial_fit(X[1000:1010], y[1000:1010])
    assert model.score(X, y) > SGDVariantClassifier("squared_hinge").fit(X, y).score(X, y) - 0.03


def test_a_fit_of_few_rows_told_apart_does_not_wreck_a_stream():
    """66 rows of 40 heavy-tailed columns are told apart by chance, with next to no curvature at the optimum."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.standard_t(1.2, (600, 40)) * (rng.random((600, 40)) < 0.1)
        y = (np.clip(X, -5, 5) @ rng.standard_normal(40) + rng.logistic(size=600) > 0).astype(int)
        model = SGDVariantClassifier(random_state=0).fit(X[:66], y[:66])
        assert cost(goes_on(model, X, y, 66, 20), X, y) < np.log(2)


def test_columns_of_one_against_the_rest_forget_that_few_rows_told_them_apart():
    rng = np.random.default_rng(11)
    X, W = rng.standard_normal((1520, 7)), rng.standard_normal((7, 3))
    y = (X @ W + rng.gumbel(size=(len(X), 3))).argmax(1)
    Y = np.where(y[:, None] == np.arange(3), 1.0, -1.0)
    model = SGDVariantClassifier(multi_class="ovr", penalty=None, alpha=0.0)
    best = np.logaddexp(0, -Y * clone(model).set_params(tol=1e-8).fit(X, y).decision_function(X)).mean(0)
    few = model.fit(X[:20], y[:20])
    assert np.abs(few.decision_function(X[:20])).max() > 300  # so certain that slopes and losses vanish
    ends = np.logaddexp(0, -Y * goes_on(few, X, y, 20, 100).decision_function(X)).mean(0)
    share = np.mean(Y > 0, axis=0)
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert np.all(ends - best < 1e-2 * (constant - best))


def test_a_fit_of_a_memory_map_leaves_the_curvature_of_its_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_OWN", 0)
    X, _, rng = world(n=6000)
    X -= X.mean(0)
    X[3000:, :3] *= 0.1  # later rows tell less of these columns than the fit knew
    y = (X / X.std(0)).sum(1) + rng.standard_normal(len(X))
    y[3000:] += 2 * X[3000:, 0] / X[3000:, 0].std()
    mapped = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X[:3000].shape)
    mapped[:] = X[:3000]
    model = SGDVariantRegressor(tol=1e-12)
    whole = clone(model).fit(X, y).predict(X)
    stream = goes_on(model.fit(mapped, y[:3000]), X, y, 3000, 500)
    # it is told from some of its rows
    assert np.abs(stream.predict(X) - whole).max() < 0.05 * whole.std()


# ---------------------------------------------------------------------- from a stream by default to another


@pytest.mark.parametrize("begins", ["fit", "stream"])
@pytest.mark.parametrize(
    "change", [{"solver": "adam"}, {"batch_size": 16}, {"average": True}, {"learning_rate": "constant"}], ids=str
)
def test_one_row_by_steps_does_not_wreck_what_was_learned_without(change, begins):
    # its columns have no deviation, and all weights were zero
    X, t, rng = world(n=2001)
    y = (t + rng.logistic(size=len(t)) > 0).astype(int)
    model = SGDVariantClassifier(random_state=0)
    model = model.fit(X[:2000], y[:2000]) if begins == "fit" else model.partial_fit(X[:2000], y[:2000], classes=[0, 1])
    before = model.score(X, y)
    model.set_params(**change).partial_fit(X[2000:], y[2000:])
    assert model.score(X, y) > before - 0.1


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_coefficients_set_by_hand_are_gone_on_from_without_an_intercept(loss):
    X, t, _ = world(n=2000)
    X = X - X.mean(axis=0)
    model = SGDVariantRegressor(loss, fit_intercept=False, alpha=1e-9).partial_fit(X[:200], t[:200])
    model.coef_ = 0.1 * model.coef_
    assert model.score(X, t) < 0.5
    for start in range(200, 2000, 100):
        model.partial_fit(X[start : start + 100], t[start : start + 100])
    assert model.score(X, t) > 0.95


def test_steps_go_on_from_coefficients_of_several_classes_that_were_set_by_hand():
    X, t, _ = world(n=300)
    X = X - X.mean(axis=0)
    y = np.digitize(t, np.quantile(t, [0.3, 0.6]))
    model = SGDVariantClassifier(average=True, random_state=0).partial_fit(X[:100], y[:100], classes=[0, 1, 2])
    model.coef_ = 0.9 * model.coef_
    model.set_params(eta0=0.01).partial_fit(X[100:], y[100:])
    assert model.score(X, y) > 0.7

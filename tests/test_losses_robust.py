"""Absolute error, quantiles and log cosh: optima beside scikit-learn's linear programs and scipy."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_absolute_error, mean_pinball_loss
from sklearn.model_selection import GridSearchCV

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.diagnostics import diagnose
from skvariants.losses import EpsilonInsensitive, LogCosh, Quantile
from skvariants.model_selection import BatchedGridSearchCV

RNG = np.random.default_rng(0)
UNITS = np.logspace(-1, 1, 5)
X = RNG.standard_normal((300, 5)) * UNITS
Y = X @ (RNG.standard_normal(5) / UNITS) + RNG.standard_t(2, 300) * (1 + np.abs(X[:, 0]))
WEIGHT = RNG.uniform(0.1, 2, 300)


def exact(**params):
    return SGDVariantRegressor(**{"penalty": "l1", "tol": 1e-9, **params})


def pinball(model, level, alpha, weight=None):
    return mean_pinball_loss(Y, model.predict(X), alpha=level, sample_weight=weight) + alpha * np.abs(model.coef_).sum()


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_quantiles_are_scikit_learns(level, alpha, intercept, weighted):
    weight = WEIGHT if weighted else None
    other = QuantileRegressor(quantile=level, alpha=alpha, fit_intercept=intercept).fit(X, Y, sample_weight=weight)
    model = exact(loss=Quantile(level), alpha=alpha, fit_intercept=intercept).fit(X, Y, sample_weight=weight)
    best = pinball(other, level, alpha, weight)
    assert pinball(model, level, alpha, weight) == pytest.approx(best, rel=1e-8)
    np.testing.assert_allclose(model.predict(X), other.predict(X), atol=1e-5 * Y.std())
    assert model.status_ == "converged"
    assert model.suboptimality_kind_ == ("bound" if alpha else "estimate")
    assert model.suboptimality_ <= 1e-9
    assert type(model.solver_).__name__ == "InteriorPoint"
    if intercept and not weighted and alpha == 0:
        share = np.mean(model.predict(X) >= Y + 1e-6), np.mean(model.predict(X) >= Y - 1e-6)
        assert share[0] <= level <= share[1]


def test_the_default_name_is_the_median():
    half = exact(loss="quantile", alpha=0.005).fit(X, Y)
    whole = exact(loss="absolute_error", alpha=0.01).fit(X, Y)
    tube = exact(loss=EpsilonInsensitive(epsilon=0.0), alpha=0.01).fit(X, Y)
    for other in (half, tube):
        np.testing.assert_allclose(other.predict(X), whole.predict(X), atol=1e-5 * Y.std())
    program = QuantileRegressor(quantile=0.5, alpha=0.0).fit(X, Y)
    free = exact(loss="absolute_error", alpha=0.0).fit(X, Y)
    assert mean_absolute_error(Y, free.predict(X)) == pytest.approx(
        mean_absolute_error(Y, program.predict(X)), rel=1e-8
    )


@pytest.mark.parametrize("loss", ["absolute_error", Quantile(0.8), LogCosh(scale=2.0)])
def test_layouts_precisions_targets_and_searches_agree(loss):
    model = exact(loss=loss, penalty="l2", alpha=0.1).fit(X, Y, sample_weight=WEIGHT)
    sparse = exact(loss=loss, penalty="l2", alpha=0.1).fit(sp.csr_array(X), Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(sparse.predict(X), model.predict(X), atol=1e-4 * Y.std())
    single = exact(loss=loss, penalty="l2", alpha=0.1, tol=1e-3).fit(X.astype(np.float32), Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(single.predict(X.astype(np.float32)), model.predict(X), atol=0.05 * Y.std())
    both = exact(loss=loss, penalty="l2", alpha=0.1).fit(X, np.column_stack([Y, -Y]), sample_weight=WEIGHT)
    np.testing.assert_allclose(both.predict(X)[:, 0], model.predict(X), atol=1e-4 * Y.std())
    grid = {"alpha": [0.01, 10.0]}
    batched = BatchedGridSearchCV(exact(loss=loss, penalty="l2"), grid, cv=3).fit(X, Y)
    plain = GridSearchCV(exact(loss=loss, penalty="l2"), grid, cv=3).fit(X, Y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=1e-5)


def test_levels_and_scales_are_columns_of_one_search():
    for loss, grid in ((Quantile(), {"loss__quantile": [0.2, 0.7]}), (LogCosh(), {"loss__scale": [0.2, 5.0]})):
        batched = BatchedGridSearchCV(exact(loss=loss), grid, cv=3).fit(X, Y)
        plain = GridSearchCV(exact(loss=loss), grid, cv=3).fit(X, Y)
        a, b = (search.cv_results_["mean_test_score"] for search in (batched, plain))
        assert a[0] != a[1]
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_log_cosh_ends_at_scipys_optimum(scale):
    model = SGDVariantRegressor(loss=LogCosh(scale=scale), alpha=0.01, tol=1e-11).fit(X, Y)

    def objective(v):
        r = (Y - X @ v[:-1] - v[-1]) / scale
        slope = -scale * np.tanh(r) / len(Y)
        value = scale**2 * (np.logaddexp(r, -r) - np.log(2)).mean() + 0.005 * (v[:-1] ** 2).sum()
        return value, np.append(X.T @ slope + 0.01 * v[:-1], slope.sum())

    found = objective(np.append(model.coef_, model.intercept_))
    best = minimize(objective, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-10})
    assert found[0] <= best.fun * (1 + 1e-9)
    assert np.abs(found[1]).max() < 1e-5
    assert model.status_ == "converged"


@pytest.mark.parametrize("name", ["absolute_error", "quantile", "log_cosh"])
@pytest.mark.parametrize("units", [1.0, 1e8])
def test_streams_come_near_the_fit_of_all_rows(name, units):
    loss = LogCosh(scale=units) if name == "log_cosh" else name
    y, model = units * Y, SGDVariantRegressor(loss=loss, alpha=0.0)
    stream = clone(model)
    for start in range(0, 300, 60):
        stream.partial_fit(X[start : start + 60], y[start : start + 60])
    fitted = model.fit(X, y)
    value = [fitted._minimised.value(y[:, None], m.predict(X)[:, None]).mean() for m in (stream, fitted)]
    assert value[0] <= 1.02 * value[1]


def test_a_classifier_takes_them():
    y = (Y > 0).astype(int)
    for loss in ("absolute_error", "quantile", "log_cosh"):
        assert SGDVariantClassifier(loss=loss).fit(X, y).score(X, y) > 0.7


@pytest.mark.parametrize("value", [0.0, 1e-8, 3.0])
@pytest.mark.parametrize("loss", [Quantile(0.2), Quantile([0.2, 0.7]), "absolute_error", "log_cosh"])
def test_targets_that_are_all_equal_are_met(loss, value):
    model = SGDVariantRegressor(loss=loss).fit(X, np.full(300, value))
    assert model.status_ == "converged"
    np.testing.assert_allclose(model.predict(X), value, rtol=1e-6, atol=1e-20)


def test_levels_out_of_range_are_refused():
    for level in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match=r"loss__quantile=.* is not accepted: .* a number in \(0, 1\)"):
            SGDVariantRegressor(loss=Quantile(level)).fit(X, Y)
    with pytest.raises(ValueError, match=r"loss__scale=0.0 is not accepted"):
        SGDVariantRegressor(loss=LogCosh(scale=0.0)).fit(X, Y)


# ---------------------------------------------------------------------- epsilon in spreads of the target

SHARE = {"huber": 0.25, "epsilon_insensitive": 0.1, "squared_epsilon_insensitive": 0.1}
each = pytest.mark.parametrize("name", SHARE)


def spread(y):
    """Median distance from the median, as a standard deviation."""
    return 1.4826 * np.median(np.abs(y - np.median(y)))


@each
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_auto_is_a_share_of_the_spread(name, size, kind):
    rows, y, tol = X.astype(kind)[:299], size * Y[:299], 1e-8 if kind is np.float64 else 1e-3
    auto = SGDVariantRegressor(loss=name, epsilon="auto", penalty=None, tol=tol).fit(rows, y)
    same = SGDVariantRegressor(loss=name, epsilon=SHARE[name] * spread(y), penalty=None, tol=tol).fit(rows, y)
    assert auto._minimised.epsilon == pytest.approx(same.epsilon, rel=1e-6)
    np.testing.assert_allclose(auto.coef_, same.coef_, rtol=0, atol=1e-4 * size)
    unit = SGDVariantRegressor(loss=name, epsilon="auto", penalty=None, tol=tol).fit(rows, Y[:299])
    np.testing.assert_allclose(auto.coef_ / size, unit.coef_, rtol=0, atol=1e-3 if kind is np.float64 else 0.1)
    assert auto.epsilon == "auto"


@each
def test_auto_of_each_target_weight_and_column(name):
    both = SGDVariantRegressor(loss=name, epsilon="auto", alpha=0.0, tol=1e-7).fit(X, np.column_stack([Y, 100 * Y]))
    expected = SHARE[name] * spread(Y) * np.array([1, 100])
    np.testing.assert_allclose(both._minimised.epsilon, expected, rtol=0.02)
    np.testing.assert_allclose(both.coef_[1] / 100, both.coef_[0], rtol=1e-3, atol=1e-3)
    weight = RNG.integers(0, 3, 300)
    weighted = SGDVariantRegressor(loss=name, epsilon="auto", tol=1e-7).fit(X, Y, sample_weight=weight)
    repeated = SGDVariantRegressor(loss=name, epsilon="auto", tol=1e-7)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    assert weighted._minimised.epsilon == pytest.approx(repeated._minimised.epsilon)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-4)
    grid = {"epsilon": ["auto", 0.1, 1.0], "alpha": [0.1, 1.0]}
    batched = BatchedGridSearchCV(SGDVariantRegressor(loss=name, tol=1e-7), grid, cv=3).fit(X, Y)
    plain = GridSearchCV(SGDVariantRegressor(loss=name, tol=1e-7), grid, cv=3).fit(X, Y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=1e-4)


@each
@pytest.mark.parametrize("solver", ["auto", "adam", "sgd"])
def test_auto_of_a_stream_is_that_of_its_first_rows(name, solver):
    model = SGDVariantRegressor(loss=name, epsilon="auto", solver=solver, random_state=0)
    other = clone(model).set_params(epsilon=SHARE[name] * spread(Y[:101]))
    for part in (slice(0, 101), slice(101, 200), slice(200, 300)):
        model.partial_fit(X[part], Y[part])
        other.partial_fit(X[part], Y[part])
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-9)
    given = clone(model).set_params(epsilon=0.5).partial_fit(X[:50], Y[:50])
    given.set_params(epsilon="auto").partial_fit(X[50:], Y[50:])
    assert np.isfinite(given.coef_).all()
    if solver != "auto":
        resumed = clone(model).set_params(warm_start=True, max_iter=2, tol=None).fit(X, Y)
        resumed.set_params(max_iter=3).fit(X, Y)
        whole = clone(model).set_params(warm_start=True, max_iter=5, tol=None).fit(X, Y)
        np.testing.assert_array_equal(resumed.coef_, whole.coef_)


@each
def test_auto_where_half_of_the_targets_are_equal(name):
    y = np.where(np.arange(300) < 200, 3.0, 1000.0 * np.arange(300))
    model = SGDVariantRegressor(loss=name, epsilon="auto").fit(X, y)
    assert model._minimised.epsilon == pytest.approx(SHARE[name] * y.std())
    assert SGDVariantRegressor(loss=name, epsilon="auto").fit(X, np.full(300, 7.0))._minimised.epsilon == SHARE[name]


def test_the_scale_of_log_cosh_follows_the_target_too():
    for size in (1e-5, 1e5):
        auto = SGDVariantRegressor(loss=LogCosh("auto"), alpha=0.0, tol=1e-8).fit(X[:299], size * Y[:299])
        assert auto._minimised.scale == pytest.approx(0.25 * size * spread(Y[:299]))
        same = SGDVariantRegressor(loss=LogCosh(auto._minimised.scale), alpha=0.0, tol=1e-8).fit(
            X[:299], size * Y[:299]
        )
        np.testing.assert_allclose(auto.coef_, same.coef_, rtol=1e-9)


@each
def test_auto_of_labels_is_in_their_unit(name):
    auto, same = (
        SGDVariantClassifier(loss=name, epsilon=epsilon, tol=1e-7).fit(X, Y > 0) for epsilon in ("auto", SHARE[name])
    )
    np.testing.assert_array_equal(auto.coef_, same.coef_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_schedule_that_asks_the_loss_works_with_auto():
    for rate in ("optimal", "pa1"):
        params = dict(loss="epsilon_insensitive", solver="sgd", learning_rate=rate, max_iter=3, random_state=0)
        model = SGDVariantRegressor(epsilon="auto", alpha=1.0, **params).fit(X, Y)
        assert np.isfinite(model.coef_).all()
    with pytest.raises(ValueError, match=r"epsilon='aut' is not accepted: .*did you mean 'auto'"):
        SGDVariantRegressor(epsilon="aut").fit(X, Y)


@pytest.mark.parametrize("loss", ["poisson", "binomial", "quantile", "absolute_error", "log_cosh", "huber"])
def test_diagnose_takes_them(loss):
    y = {"poisson": np.round(np.abs(Y)), "binomial": 1 / (1 + np.exp(-Y))}.get(loss, Y)
    report = diagnose(X, y, loss=loss, race=True, race_epochs=2, random_state=0)
    assert report.solver == "auto"
    if loss == "poisson":
        with pytest.raises(ValueError, match="Poisson is defined for targets that are"):
            diagnose(X, Y, loss=loss)


# ---------------------------------------------------------------------- several levels


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_levels_are_outputs_of_one_fit(penalty):
    levels = [0.9, 0.1, 0.5]
    model = exact(loss=Quantile(levels), penalty=penalty, alpha=0.01).fit(X, Y, sample_weight=WEIGHT)
    assert model.coef_.shape == (3, 5)
    assert model.intercept_.shape == (3,)
    assert model.predict(X).shape == (300, 3)
    assert model.n_targets_ == 1
    scores = []
    for j, level in enumerate(levels):
        one = exact(loss=Quantile(level), penalty=penalty, alpha=0.01).fit(X, Y, sample_weight=WEIGHT)
        np.testing.assert_allclose(model.predict(X)[:, j], one.predict(X), atol=1e-5 * Y.std())
        scores.append(one.score(X, Y))
    assert model.score(X, Y) == pytest.approx(np.mean(scores), abs=1e-6)
    crossed = (model.predict(X)[:, [1, 2]] > model.predict(X)[:, [2, 0]]).any(axis=1)
    assert model.crossing_ == pytest.approx(np.average(crossed, weights=WEIGHT))
    assert not hasattr(one, "crossing_")


def test_crossing_is_seen_where_there_is_some():
    levels = SGDVariantRegressor(loss=Quantile([0.45, 0.5]), alpha=0.0).fit(X[:40], Y[:40])
    z = levels.predict(X[:40])
    assert levels.crossing_ == np.mean(z[:, 0] > z[:, 1]) > 0


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_levels_in_streams_searches_and_early_stopping(solver):
    levels = Quantile([0.2, 0.5, 0.8])
    model = SGDVariantRegressor(loss=levels, solver=solver, random_state=0, alpha=1e-3)
    stream = clone(model)
    for start in range(0, 300, 100):
        stream.partial_fit(X[start : start + 100], Y[start : start + 100])
    assert stream.predict(X).shape == (300, 3)
    assert np.isfinite(stream.progressive_score_)
    assert not hasattr(stream, "crossing_")
    grid = {"alpha": [1e-3, 10.0]}
    batched = BatchedGridSearchCV(model, grid, cv=3).fit(X, Y)
    plain = GridSearchCV(model, grid, cv=3).fit(X, Y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=1e-3)
    several = {"loss": [levels, Quantile(0.5), Quantile([0.1, 0.9])]}
    batched = BatchedGridSearchCV(model, several, cv=3).fit(X, Y)
    plain = GridSearchCV(model, several, cv=3).fit(X, Y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=1e-3)
    early = clone(model).set_params(early_stopping=True).fit(X, Y, X_val=X[:90], y_val=Y[:90])
    assert max(early.validation_scores_) == pytest.approx(early.score(X[:90], Y[:90]), abs=1e-6)
    again = pickle.loads(pickle.dumps(clone(model).fit(sp.csr_array(X), Y)))
    np.testing.assert_array_equal(again.predict(X).shape, (300, 3))


def test_levels_that_make_no_sense_are_refused():
    for levels in ([], [0.1, 0.1], [0.0, 0.5], ["a"]):
        with pytest.raises(ValueError, match="loss__quantile=.* is not accepted: .* or a list of different ones"):
            SGDVariantRegressor(loss=Quantile(levels)).fit(X, Y)
    with pytest.raises(ValueError, match="loss=Quantile.* has 2 outputs, and labels have one: give one level"):
        SGDVariantClassifier(loss=Quantile([0.1, 0.9])).fit(X, Y > 0)
    stream = SGDVariantRegressor(loss=Quantile(0.5)).partial_fit(X, Y).set_params(loss=Quantile([0.1, 0.9]))
    with pytest.raises(ValueError, match="has 2 outputs, but the model was fitted with 1: give as many levels"):
        stream.partial_fit(X, Y)
    with pytest.raises(ValueError, match="y holds 2 targets, and loss=Quantile.* has 2 outputs for one"):
        SGDVariantRegressor(loss=Quantile([0.1, 0.9])).fit(X, np.column_stack([Y, Y]))

"""Losses of a mean by a link: optima, scores and streams beside scikit-learn's generalized linear models."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_log_loss_score, d2_tweedie_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import Binomial, Gamma, Poisson, Tweedie
from skvariants.model_selection import BatchedGridSearchCV

N, D = 600, 5
#: Each loss, its power, and the estimator of scikit-learn that minimises the same objective at the same `alpha`.
MODELS = {
    "poisson": (Poisson(), 1, PoissonRegressor()),
    "gamma": (Gamma(), 2, GammaRegressor()),
    "tweedie": (Tweedie(), 1.5, TweedieRegressor(power=1.5, link="log")),
    "tweedie-1.1": (Tweedie(power=1.1), 1.1, TweedieRegressor(power=1.1, link="log")),
    "tweedie-2": (Tweedie(power=2.0), 2, TweedieRegressor(power=2, link="log")),
}
each = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "-" in name else ()) for name in MODELS]
)


def table(name, n=N, seed=0):
    """Features of unequal units, targets of the distribution, weights."""
    rng = np.random.default_rng(seed)
    units = np.logspace(-2, 2, D)
    X = rng.standard_normal((n, D)) * units
    mean = np.exp(1 + 0.4 * (X / units) @ rng.standard_normal(D))
    power = MODELS[name][1]
    if power == 1:
        y = rng.poisson(mean).astype(float)
    elif power == 2:
        y = rng.gamma(2.0, mean / 2)
    else:
        y = np.array([rng.gamma(1.0, 1.5, size=k).sum() for k in rng.poisson(mean / 1.5)])
    return X, y, rng.uniform(0.1, 2, n)


def exact(name, **params):
    return SGDVariantRegressor(loss=MODELS[name][0], **{"tol": 1e-13, **params})


def reference(name, **params):
    return clone(MODELS[name][2]).set_params(tol=1e-13, max_iter=1000, solver="newton-cholesky", **params)


@each
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_default_ends_at_the_optimum_of_scikit_learn(name, alpha, intercept, weighted):
    X, y, weight = table(name)
    weight = weight if weighted else None
    model = exact(name, alpha=alpha, fit_intercept=intercept).fit(X, y, sample_weight=weight)
    other = reference(name, alpha=alpha, fit_intercept=intercept).fit(X, y, sample_weight=weight)
    found, expected = (m.coef_ * X.std(axis=0) for m in (model, other))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())
    np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-6)
    assert model.status_ == "converged"
    assert model.score(X, y, weight) == pytest.approx(other.score(X, y, weight), abs=1e-9)


@each
def test_what_tol_promises_is_kept(name):
    X, y, _ = table(name)
    model = SGDVariantRegressor(loss=MODELS[name][0], alpha=0.1).fit(X, y)
    best = exact(name, alpha=0.1).fit(X, y)
    loss, target = MODELS[name][0], y[:, None]

    def objective(coef, intercept):
        return loss.value(target, (X @ coef + intercept)[:, None]).mean() + 0.05 * (coef**2).sum()

    constant = objective(np.zeros(D), np.log(y.mean()))
    found, least = objective(model.coef_, model.intercept_), objective(best.coef_, best.intercept_)
    assert (found - least) / (constant - least) <= 1.1 * model.suboptimality_ <= model.tol
    assert best.suboptimality_kind_ in ("bound", "estimate")


@each
def test_layouts_precisions_and_targets_side_by_side_agree(name):
    X, y, weight = table(name)
    X[np.abs(X) < 0.3 * X.std(axis=0)] = 0.0
    model = exact(name, alpha=0.01).fit(X, y, sample_weight=weight)
    sparse = exact(name, alpha=0.01).fit(sp.csr_array(X), y, sample_weight=weight)
    np.testing.assert_allclose(sparse.coef_, model.coef_, rtol=1e-6)
    single = exact(name, alpha=0.01, tol=1e-3).fit(X.astype(np.float32), y, sample_weight=weight)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.predict(X.astype(np.float32)), model.predict(X), rtol=0.02)
    Y = np.column_stack([y, y[::-1]])
    both = exact(name, alpha=0.01).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(both.coef_[0], model.coef_, rtol=1e-5)
    other = exact(name, alpha=0.01).fit(X, y[::-1], sample_weight=weight)
    np.testing.assert_allclose(both.predict(X), np.column_stack([model.predict(X), other.predict(X)]), rtol=1e-5)
    assert both.score(X, Y) == pytest.approx((model.score(X, y) + other.score(X, y[::-1])) / 2, abs=1e-7)


@each
def test_counts_with_an_exposure_are_frequencies_with_a_weight(name):
    # of a Poisson loss the offset log(exposure) is the same objective: y e^-t counts, weighed by e^t
    X, y, exposure = table(name)
    frequency = exact(name, alpha=0.0).fit(X, y / exposure, sample_weight=exposure)
    other = reference(name, alpha=0.0).fit(X, y / exposure, sample_weight=exposure)
    np.testing.assert_allclose(frequency.predict(X), other.predict(X), rtol=1e-6)
    if name == "poisson":  # observed and predicted counts agree in total
        assert (exposure * frequency.predict(X)).sum() == pytest.approx(y.sum(), rel=1e-7)


@each
def test_the_score_is_the_deviance_explained(name):
    X, y, weight = table(name)
    model = exact(name, tol=1e-3).fit(X, y)
    power = MODELS[name][1]
    expected = d2_tweedie_score(y, model.predict(X), sample_weight=weight, power=power)
    assert model.score(X, y, weight) == pytest.approx(expected, rel=1e-9)
    same = np.full(N, 2.0)
    assert model.score(X, same) == 0.0
    with pytest.raises(ValueError, match="y holds -1.0, and .* is defined for targets that are a number in"):
        model.score(X, y - y - 1)


@each
def test_searches_and_early_stopping_score_by_it(name):
    X, y, _ = table(name)
    grid = {"alpha": [1e-3, 1.0, 100.0]}
    batched = BatchedGridSearchCV(exact(name, tol=1e-8), grid, cv=3).fit(X, y)
    plain = GridSearchCV(exact(name, tol=1e-8), grid, cv=3).fit(X, y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-6)
    model = SGDVariantRegressor(loss=MODELS[name][0], early_stopping=True, random_state=0, solver="adam")
    model.fit(X, y, X_val=X[:100], y_val=y[:100])
    assert max(model.validation_scores_) == pytest.approx(model.score(X[:100], y[:100]), abs=1e-7)


def test_powers_are_columns_of_one_search():
    X, y, _ = table("tweedie")
    grid = {"loss__power": [1.0, 1.3, 1.9]}
    batched = BatchedGridSearchCV(exact("tweedie", tol=1e-9), grid, cv=3).fit(X, y)
    plain = GridSearchCV(exact("tweedie", tol=1e-9), grid, cv=3).fit(X, y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1e-6, 1e6])
@each
def test_predictions_follow_the_unit_of_the_target(name, size, dtype):
    X, y, _ = table(name)
    X = X.astype(dtype)
    one, other = (SGDVariantRegressor(loss=MODELS[name][0], alpha=0.0, tol=1e-6).fit(X, y * c) for c in (1.0, size))
    np.testing.assert_allclose(other.predict(X) / size, one.predict(X), rtol=0.05)


@each
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
def test_a_stream_by_default_ends_at_the_fit_of_all_rows(name, layout):
    X, y, _ = table(name, n=3000)
    if layout is not np.asarray:  # too many features for sums
        labels = np.random.default_rng(0).integers(0, 2000, (len(X), 3))
        X = np.concatenate([X, (labels[:, :, None] == np.arange(2000)).sum(axis=1)], axis=1)
    X, model = layout(X), SGDVariantRegressor(loss=MODELS[name][0], alpha=1e-3, random_state=0)
    for start in range(0, 3000, 250):
        model.partial_fit(X[start : start + 250], y[start : start + 250])
    fitted = clone(model).set_params(tol=1e-7).fit(X, y)
    assert model.score(X, y) == pytest.approx(fitted.score(X, y), abs=1e-3)
    assert type(model.solver_).__name__ == "Recursive"


@pytest.mark.parametrize(
    "solver", ["minibatch", "adam", *(pytest.param(s, marks=pytest.mark.slow) for s in ("gd", "sgd"))]
)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e5])
@pytest.mark.parametrize("name", ["poisson", "gamma", "tweedie"])
def test_steps_suit_means_of_any_size(name, size, solver):
    X, y, _ = table(name, n=2000)
    best = exact(name, tol=1e-6).fit(X, size * y)
    model = SGDVariantRegressor(loss=MODELS[name][0], solver=solver, random_state=0).fit(X, size * y)
    assert model.score(X, size * y) > best.score(X, size * y) - 0.02
    stream = clone(model)
    for _ in range(3):
        for start in range(0, 2000, 200):
            stream.partial_fit(X[start : start + 200], size * y[start : start + 200])
    if size >= 1:
        assert stream.score(X, size * y) > best.score(X, size * y) - 0.05


def test_columns_of_other_curvature_race_ladders_of_their_own():
    X, y, _ = table("tweedie")
    grid = {"loss__power": [1.0, 1.9]}
    model = SGDVariantRegressor(loss=Tweedie(), solver="minibatch", random_state=0, max_iter=5, tol=None)
    batched = BatchedGridSearchCV(model, grid, cv=3).fit(X, 1e4 * y)
    plain = GridSearchCV(model, grid, cv=3).fit(X, 1e4 * y)
    np.testing.assert_allclose(batched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-6)
    Y = np.column_stack([y, 1e4 * y])
    both = SGDVariantRegressor(loss="tweedie", solver="minibatch", random_state=0).fit(X, Y)
    assert both.score(X, Y) > 0.5 * exact("tweedie").fit(X, Y).score(X, Y)


@each
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", ["auto", "sgd", "adam", "gd", "momentum"])
def test_rows_far_out_overflow_nowhere(name, solver, dtype):
    X, y, _ = table(name)
    X = np.concatenate([X, 1e3 * X[:5]]).astype(dtype)
    y = np.concatenate([y, y[:5]])
    with np.errstate(all="raise", under="ignore"):
        model = SGDVariantRegressor(loss=MODELS[name][0], solver=solver, random_state=0, max_iter=20, tol=None)
        mean = model.fit(X, y).predict(1e6 * X)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(mean).all()


@each
def test_targets_out_of_range_are_refused_by_name(name):
    X, y, _ = table(name)
    loss, bad = MODELS[name][0], y.copy()
    bad[3] = -1.0
    sentence = f"y holds -1.0, and the loss {type(loss).__name__} is defined for targets that are a number in"
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=sentence):
            getattr(exact(name, tol=1e-3), call)(X, bad)
    stream = exact(name, tol=1e-3).partial_fit(X, y)
    before = stream.coef_.copy()
    with pytest.raises(ValueError, match=sentence):
        stream.partial_fit(X, bad)
    np.testing.assert_array_equal(stream.coef_, before)
    with pytest.raises(ValueError, match="y_val holds -1.0"):
        SGDVariantRegressor(loss=loss, early_stopping=True).fit(X, y, X_val=X, y_val=bad)
    if MODELS[name][1] == 2:
        with pytest.raises(ValueError, match="y holds 0.0"):
            exact(name).fit(X, np.maximum(bad, 0))


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_a_classifier_does_not_take_them(loss):
    with pytest.raises(
        ValueError,
        match=f"loss='{loss}' is for regression, not for labels: use the regressor, or one of log_loss, ",
    ):
        SGDVariantClassifier(loss=loss).fit([[0.0], [1.0]], [0, 1])


def test_a_power_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"loss__power=3 is not accepted: loss__power must be a number in \[1, 2\]"):
        SGDVariantRegressor(loss=Tweedie(power=3)).fit([[0.0], [1.0]], [1, 2])


def test_targets_of_zero_alone_have_a_finite_model():
    model = SGDVariantRegressor(loss="poisson").fit(np.arange(6.0)[:, None], np.zeros(6))
    assert 0 <= model.predict([[2.0]])[0] < 1e-4


@pytest.mark.parametrize("name", ["poisson", "gamma", "tweedie", "tweedie-1.1"])
def test_conjugates_are_suprema(name):
    loss = MODELS[name][0]
    for y in (0.0, 0.3, 7.0) if 0.0 in loss.domain else (0.3, 7.0):
        for u in (-0.2, 0.0, 0.5, 0.9):
            found = loss.conjugate(np.array([[y]]), np.array([[u]]))[0, 0]
            if np.isinf(found):
                assert u < -y or (y == 0 and u < 0) or name == "gamma"
                continue
            least = minimize_scalar(
                lambda z, y=y, u=u: loss.value(np.array([[y]]), np.array([[z]]))[0, 0] - u * z, bounds=(-39, 20),
                method="bounded", options={"xatol": 1e-10},
            )  # fmt: skip
            assert found == pytest.approx(-least.fun, abs=1e-8)


@parametrize_with_checks([SGDVariantRegressor(loss=loss) for loss in ("poisson", "gamma", "tweedie")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scikit_learns_checks_of_targets_that_are_positive(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------- proportions


def shares(seed=0):
    """Successes of some trials, and how many these were."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D)) * np.logspace(-1, 1, D)
    trials = rng.integers(1, 20, N)
    p = 1 / (1 + np.exp(0.5 - (X / np.logspace(-1, 1, D)) @ rng.standard_normal(D)))
    return X, rng.binomial(trials, p) / trials, trials


@pytest.mark.parametrize("loss", ["binomial", "log_loss", Binomial()])
@pytest.mark.parametrize("alpha", [1e-3, 0.1])
@pytest.mark.parametrize("intercept", [True, False])
def test_proportions_are_so_many_labels(loss, alpha, intercept):
    X, y, trials = shares()
    model = SGDVariantRegressor(loss=loss, alpha=alpha, tol=1e-12, fit_intercept=intercept)
    model.fit(X, y, sample_weight=trials)
    both, labels = np.concatenate([X, X]), np.repeat([1, 0], N)
    weight = np.concatenate([trials * y, trials * (1 - y)])
    other = LogisticRegression(C=1 / (alpha * trials.sum()), tol=1e-12, fit_intercept=intercept, max_iter=1000)
    other.fit(both, labels, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, other.coef_[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict(X), other.predict_proba(X)[:, 1], atol=1e-6)
    expected = d2_log_loss_score(labels, other.predict_proba(both), sample_weight=weight)
    constant = log_loss(labels, np.full(2 * N, np.average(y, weights=trials)), sample_weight=weight)
    entropy = -np.average(xlogy(y, y) + xlogy(1 - y, 1 - y), weights=trials)
    assert model.score(X, y, trials) == pytest.approx(expected * constant / (constant - entropy), abs=1e-6)
    assert model.suboptimality_kind_ in ("bound", "estimate")
    stream = SGDVariantRegressor(loss=loss, alpha=alpha).partial_fit(X, y, sample_weight=trials)
    assert stream.score(X, y, trials) > model.score(X, y, trials) - 0.05


def test_proportions_out_of_range_are_refused():
    X, y, _ = shares()
    for bad in (-0.1, 1.1):
        y[3] = bad
        with pytest.raises(ValueError, match=rf"y holds {bad}, and the loss Binomial is .* a number in \[0, 1\]"):
            SGDVariantRegressor(loss="binomial").fit(X, y)
    with pytest.raises(ValueError, match="loss='binomial' is for regression"):
        SGDVariantClassifier(loss="binomial").fit(X, y > 0.5)


@pytest.mark.parametrize("loss", ["gamma", "poisson"])
def test_one_target_is_no_convergence_of_a_step_that_is_too_small(loss):
    # a constant is perfect, and what progress was measured by was the cost of exp(20)
    X, y = np.array([[0.3], [0.5], [-0.2]]), np.full(3, 20.0)
    model = SGDVariantRegressor(loss, solver="gd", eta0=1e-4, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert abs(np.exp(model.intercept_[0]) - 20) > 1
    assert model.status_ != "converged"

"""What is asked of single features: every path honours it, or says in a sentence that it does not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import lsq_linear, minimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from _references import LINES, asked, cutting_planes
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES, Quantile
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import Bounded, ElasticNet, GroupLasso, Penalty
from test_laws import EXACT, NAMES, assert_close_fit, assert_same_fit, columns, quiet, table

NAMED = list("abcdefgh")
FACTOR = np.array([0.0, 1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 4.0])


def slow(value):
    """A value whose tests are left to CI."""
    return pytest.param(value, marks=pytest.mark.slow)


def estimator_of(kind):
    return SGDVariantClassifier if kind in ("binary", "classes") else SGDVariantRegressor


def params_of(kind, solver):
    rest = dict(tol=1e-10) if solver in EXACT else dict(tol=None, max_iter=4)
    return dict(**asked(solver, kind in ("binary", "classes")), **rest, random_state=0)


# ---------------------------------------------------------------------- penalty_factor


@pytest.mark.parametrize("penalty", [slow("l2"), slow("l1"), "elasticnet"])
@pytest.mark.parametrize("kind", [slow("binary"), slow("classes"), "real", slow("targets")])
@pytest.mark.parametrize("solver", NAMES)
def test_equal_factors_are_a_strength(kind, solver, penalty):
    X, y = table(kind)
    model = estimator_of(kind)(penalty=penalty, **params_of(kind, solver))
    factor = quiet(clone(model).set_params(alpha=0.01, penalty_factor=np.full(X.shape[1], 3.0)), X, y)
    strength = quiet(clone(model).set_params(alpha=0.03), X, y)
    assert_close_fit(factor, strength, 1e-6 if solver in EXACT else 1e-9)


@pytest.mark.parametrize("penalty", [slow("l2"), slow("l1"), "elasticnet"])
@pytest.mark.parametrize("solver", NAMES)
def test_zero_leaves_a_feature_free(solver, penalty):
    X, y = table("real")
    X = X / X.std(axis=0)
    model = SGDVariantRegressor(penalty=penalty, alpha=1e3, penalty_factor=FACTOR, **params_of("real", solver))
    size = np.abs(quiet(model, X, y).coef_)
    assert size[FACTOR == 0].min() > 2 * size[FACTOR > 0].max()
    even = np.abs(quiet(model.set_params(penalty_factor=None), X, y).coef_)
    assert size[FACTOR == 0].min() > even.max()


@pytest.mark.parametrize("scale", [True, False])
def test_a_ridge_by_feature_is_scikit_learns_on_rescaled_columns(scale):
    X, y = table("real")
    factor = np.where(FACTOR > 0, FACTOR, 0.1)
    params = dict(alpha=0.3, penalty_factor=factor, tol=1e-12, scale_features=scale)
    model = SGDVariantRegressor(**params).fit(X, y)
    root = np.sqrt(factor)
    expected = Ridge(alpha=0.3 * len(y)).fit(X / root, y).coef_ / root
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-7)
    assert model.status_ == "converged"


def test_names_of_columns_stand_for_the_array():
    X, y = table("real")
    frame = pd.DataFrame(X, columns=NAMED)
    named = {name: factor for name, factor in zip(NAMED, FACTOR, strict=True) if factor != 1}
    ours = SGDVariantRegressor(alpha=0.1, penalty_factor=named).fit(frame, y)
    array = SGDVariantRegressor(alpha=0.1, penalty_factor=FACTOR).fit(frame, y)
    assert_same_fit(ours, array)


def test_factors_in_the_shape_of_the_coefficients_are_those_of_each_target():
    X, y = table("targets")
    factor = np.stack([FACTOR, FACTOR[::-1]])
    both = SGDVariantRegressor(alpha=0.1, penalty_factor=factor, tol=1e-12).fit(X, y)
    for j in range(2):
        one = SGDVariantRegressor(alpha=0.1, penalty_factor=factor[j], tol=1e-12).fit(X, y[:, j])
        np.testing.assert_allclose(both.coef_[j], one.coef_, rtol=1e-6)


@pytest.mark.parametrize("scale", [1, 1 << 11])
def test_a_stream_keeps_the_factors(scale):
    """With sums over rows, and with rows that are kept."""
    rng = np.random.default_rng(0)
    X = sp.random(600, scale * 2 if scale > 1 else 8, 0.3 if scale == 1 else 0.005, random_state=rng, format="csr")
    y = np.asarray(X @ rng.standard_normal(X.shape[1])).ravel()
    factor = rng.uniform(0, 3, X.shape[1])
    stream, even = (SGDVariantRegressor(alpha=0.01, penalty_factor=f) for f in (factor, None))
    for rows in np.array_split(np.arange(600), 3):
        stream.partial_fit(X[rows], y[rows])
        even.partial_fit(X[rows], y[rows])
    assert type(stream.solver_).__name__ == "Recursive"
    fitted = SGDVariantRegressor(alpha=0.01, penalty_factor=factor, tol=1e-8).fit(X, y)
    far = np.abs(even.coef_ - fitted.coef_).max()
    assert np.abs(stream.coef_ - fitted.coef_).max() < 0.02 * far


def test_a_search_trains_them_as_columns():
    X, y = table("real")
    model = SGDVariantRegressor(penalty_factor=FACTOR, penalty="elasticnet", tol=1e-8)
    grid = {"alpha": [0.01, 0.1, 1.0], "penalty_factor": [None, FACTOR]}
    ours, single = BatchedGridSearchCV(model, grid, cv=3).fit(X, y), GridSearchCV(model, grid, cv=3).fit(X, y)
    scores = [search.cv_results_["mean_test_score"] for search in (ours, single)]
    np.testing.assert_allclose(*scores, rtol=1e-6)
    assert len(np.unique(scores[0].round(8))) == 6
    models = [clone(model).set_params(alpha=alpha) for alpha in grid["alpha"]]
    for together, alone in zip(columns(models, X, y), models, strict=True):
        assert_close_fit(together, alone.fit(X, y), 1e-6)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            dict(penalty_factor=[1.0, 2.0]),
            r"penalty_factor=.* has the shape \(2,\), and X has 8 features. Give a",
        ),
        (dict(penalty_factor=["a"] * 8), "penalty_factor=.* is not accepted: it holds what is not a number"),
        (dict(penalty_factor=-FACTOR), "penalty_factor=.* finite numbers that are not negative"),
        (dict(penalty_factor=FACTOR * np.nan), "penalty_factor=.* finite numbers that are not negative"),
        (dict(penalty_factor={"a": 1}), "penalty_factor=.* is a dict by the name .* no names. Fit on a DataFrame"),
        (dict(penalty_factor=FACTOR, penalty=None), "penalty=None has none: leave penalty_factor=None"),
    ],
)
def test_what_does_not_fit_is_refused(params, sentence):
    X, y = table("real")
    with pytest.raises(ValueError, match=sentence):
        SGDVariantRegressor(**params).fit(X, y)


def test_a_name_that_no_column_has_is_refused():
    X, y = table("real")
    X = pd.DataFrame(X, columns=["age", *NAMED[1:]])
    with pytest.raises(ValueError, match=r"penalty_factor names 'agee', which is no column of X. Did you mean 'age'\?"):
        SGDVariantRegressor(penalty_factor={"agee": 1}).fit(X, y)
    with pytest.raises(ValueError, match=r"penalty_factor\['age'\]='many' is not accepted"):
        SGDVariantRegressor(penalty_factor={"age": "many"}).fit(X, y)


class Cubic(Penalty):
    """One that knows nothing of factors."""

    has_prox = False

    def value(self, W):
        return (np.abs(W) ** 3).sum(axis=0)

    def add_gradient(self, W, out):
        out += 3 * np.abs(W) * W

    def prox(self, W, step, smooth=True):
        raise NotImplementedError


def test_a_penalty_of_ones_own_says_that_it_takes_no_factors():
    X, y = table("real")
    with pytest.raises(ValueError, match=r"penalty_factor is not for penalty=Cubic\(\), whose class does not define"):
        SGDVariantRegressor(penalty=Cubic(), scale_features=False, penalty_factor=FACTOR).fit(X, y)


def test_factors_multiply_those_of_the_penalty():
    X, y = table("real")
    twice = SGDVariantRegressor(penalty=ElasticNet(0.1, 0.5, factor=FACTOR), penalty_factor=FACTOR).fit(X, y)
    once = SGDVariantRegressor(penalty=ElasticNet(0.1, 0.5), penalty_factor=FACTOR**2).fit(X, y)
    assert_same_fit(twice, once)


def test_a_warm_start_goes_on_with_them():
    X, y = table("real")
    model = SGDVariantRegressor(solver="adam", penalty_factor=FACTOR, warm_start=True, tol=None, random_state=0)
    parts = quiet(quiet(clone(model).set_params(max_iter=2), X, y).set_params(max_iter=3), X, y)
    whole = quiet(clone(model).set_params(max_iter=5), X, y)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)


# ---------------------------------------------------------------------- positive, bounds, monotonic_cst

#: Bounds of eight weights, some of which exclude zero, in standard deviations of the columns.
LOWER = np.array([-np.inf, 0.0, -5.0, 8.0, -1.0, 2.0, 0.0, -np.inf])
UPPER = np.array([np.inf, np.inf, 5.0, 60.0, 1.0, 9.0, 30.0, -0.5])


def limits_of(X):
    return LOWER / X.std(axis=0), UPPER / X.std(axis=0)


def assert_within(model, lower, upper):
    coef = np.atleast_2d(model.coef_)
    assert np.isfinite(coef).all()
    assert ((coef >= np.broadcast_to(lower, coef.shape)) & (coef <= np.broadcast_to(upper, coef.shape))).all()


@pytest.mark.parametrize("scale", [True, slow(False)])
@pytest.mark.parametrize("kind", [slow("binary"), "classes", slow("real"), slow("targets")])
@pytest.mark.parametrize("solver", NAMES)
def test_every_solver_stays_within_the_bounds(kind, solver, scale):
    X, y = table(kind)
    lower, upper = limits_of(X) if X.shape[1] == 8 else (-0.001, 0.002)
    model = estimator_of(kind)(scale_features=scale, **params_of(kind, solver) | dict(max_iter=6))
    free = quiet(model, X, y)
    bounded = quiet(clone(model).set_params(bounds=(lower, upper)), X, y)
    assert_within(bounded, lower, upper)
    assert np.isfinite(bounded.loss_curve_).all()
    assert not np.array_equal(free.coef_, bounded.coef_)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "poisson"])
def test_a_column_whose_weight_is_one_is_an_offset(loss):
    rng = np.random.default_rng(0)
    X, offset = rng.standard_normal((300, 3)) * [1.0, 20.0, 0.1], 2 * rng.standard_normal(300)
    z, weight = X @ [0.5, 0.02, 3.0] + offset, rng.integers(0, 3, 300) * 1.0
    y = {
        "squared_error": z + rng.standard_normal(300),
        "log_loss": np.where(rng.random(300) < expit(z), 1.0, -1.0),
        "poisson": rng.poisson(np.exp(z)) * 1.0,
    }[loss]
    term = LOSSES[loss]()

    def objective(v):
        z = (X @ v[:3] + v[3] + offset)[:, None]
        return np.average(term.value(y[:, None], z)[:, 0], weights=weight) + 5e-3 * v[:3] @ v[:3]

    best = minimize(objective, np.zeros(4), options={"gtol": 1e-8}).x
    rows, cls = np.column_stack([X, offset]), SGDVariantRegressor if term.regression else SGDVariantClassifier
    model = cls(loss, alpha=0.01, bounds=([-np.inf] * 3 + [1], [np.inf] * 3 + [1]), tol=1e-10)
    models = [clone(model).fit(rows, y, sample_weight=weight)]
    if loss == "squared_error":
        for part in np.array_split(np.arange(300), 7):
            model.partial_fit(rows[part], y[part], sample_weight=weight[part])
        models.append(model)
    for found in models:
        coef = np.ravel(found.coef_)
        assert coef[3] == 1.0
        np.testing.assert_allclose(np.r_[coef[:3], found.intercept_], best, atol=1e-4)
        assert objective(np.r_[coef[:3], found.intercept_]) <= objective(best) * (1 + 1e-9)


@pytest.mark.parametrize("way", ["average", "batch_size", "pa1", "cosine"])
def test_so_do_averages_single_rows_and_every_schedule(way):
    X, y = table("real")
    lower, upper = limits_of(X)
    rule = {"learning_rate": way} if way in ("pa1", "cosine") else {way: 1}
    model = SGDVariantRegressor("epsilon_insensitive", bounds=(lower, upper), max_iter=3, tol=None, random_state=0)
    bounded = quiet(model.set_params(solver="sgd", **rule), X, y)
    assert_within(bounded, lower, upper)
    assert not np.allclose(bounded.coef_, quiet(clone(model).set_params(bounds=None), X, y).coef_)


@pytest.mark.parametrize("solver", [name for name in NAMES if name != "interior_point"])
def test_every_solver_comes_near_the_constrained_optimum(solver):
    X, y = table("real")
    lower, upper = limits_of(X)
    params = dict(alpha=0, bounds=(lower, upper), random_state=0)
    params |= dict(tol=1e-10) if solver in EXACT else dict(max_iter=200, tol=1e-5)
    model = quiet(SGDVariantRegressor(**asked(solver, False), **params), X, y)
    centred, target = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    best = lsq_linear(centred, target, (LOWER, UPPER), tol=1e-14)
    found = ((y - model.predict(X)) ** 2).sum() / 2
    assert found <= best.cost + (1e-9 if solver in EXACT else 0.05) * (target @ target / 2 - best.cost)
    if solver in EXACT:
        np.testing.assert_allclose(model.coef_ * X.std(axis=0), best.x, atol=1e-6)
        assert model.status_ == "converged"
        held = np.isclose(best.x, LOWER) | np.isclose(best.x, UPPER)
        assert (((model.coef_ == lower) | (model.coef_ == upper)) == held).all()


#: Value and slope of losses of a margin.
MARGINS = {
    "log_loss": lambda m: (np.logaddexp(0, -m), -1 / (1 + np.exp(m))),
    "squared_hinge": lambda m: (np.maximum(0, 1 - m) ** 2, -2 * np.maximum(0, 1 - m)),
}


@pytest.mark.parametrize(("alpha", "l1_ratio"), [(1e-3, 0.0), (1e-2, 0.5)])
@pytest.mark.parametrize("bounds", [(0, None), (-0.2, 0.3), (0.05, None), (None, -0.01)])
@pytest.mark.parametrize("loss", MARGINS)
def test_the_default_is_the_optimum_of_l_bfgs_b(loss, bounds, alpha, l1_ratio):
    X, y = table("binary")
    X, sign = (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * y - 1
    model = SGDVariantClassifier(
        loss=loss, penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio, bounds=bounds, tol=1e-9
    ).fit(X, y)

    def objective(parts):
        """Weights as a difference of two parts, so that L1 is smooth."""
        up, down, b = parts[:8], parts[8:16], parts[16]
        value, slope = MARGINS[loss](sign * (X @ (up - down) + b))
        g = X.T @ (slope * sign) / len(y) + alpha * (1 - l1_ratio) * (up - down)
        cost = value.mean() + alpha * ((1 - l1_ratio) / 2 * (up - down) @ (up - down) + l1_ratio * (up + down).sum())
        return cost, np.concatenate([g + alpha * l1_ratio, -g + alpha * l1_ratio, [(slope * sign).mean()]])

    low, high = (none if limit is None else limit for limit, none in zip(bounds, (-np.inf, np.inf), strict=True))
    parts = [(max(low, 0), max(high, 0))] * 8 + [(max(-high, 0), max(-low, 0))] * 8 + [(None, None)]
    start = np.array([low if np.isfinite(low) else 0 for low, _ in parts[:16]] + [0.0])
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-10}
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=parts, options=options)
    coef = model.coef_[0]
    ours = objective(np.concatenate([np.maximum(coef, 0), np.maximum(-coef, 0), model.intercept_]))[0]
    assert ours <= best.fun + 1e-8
    assert model.status_ == "converged"
    assert_within(model, low, high)


#: Losses of linear pieces, as estimators have them.
KINKS = {
    "hinge": dict(loss="hinge"),
    "epsilon_insensitive": dict(loss="epsilon_insensitive", epsilon=0.1),
    "absolute_error": dict(loss="absolute_error"),
    "nine tenths": dict(loss=Quantile(0.9)),
}
#: Bounds of eight weights of columns of one size: signs, boxes, some that exclude zero, constants.
LIMITS = {
    "positive": (np.zeros(8), np.full(8, np.inf)),
    "boxes": (np.full(8, -0.1), np.full(8, 0.2)),
    "without zero": (np.full(8, 0.05), np.where(np.arange(8) % 2, 0.3, np.inf)),
    "constants": (np.where(np.arange(8) % 3, -np.inf, 0.1), np.where(np.arange(8) % 3, np.inf, 0.1)),
    "signs": (np.where(np.arange(8) % 3, -np.inf, 0.0), np.where(np.arange(8) % 3 == 1, 0.0, np.inf)),
}


def kinked(loss, n=100, d=8, seed=0):
    """Columns of one size, and the loss's targets."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1))
    z = X @ rng.uniform(-0.5, 1, d) + rng.standard_normal(n)
    return X, np.sign(z) if loss in ("hinge", "perceptron") else z


def kinked_model(loss, **params):
    cls = SGDVariantClassifier if loss in ("hinge", "perceptron") else SGDVariantRegressor
    return cls(**KINKS.get(loss, dict(loss=loss)), **params)


def assert_kinked_optimum(model, X, y, loss, limits, alpha, l1_ratio, tolerance, weight=None):
    """No more than that above the linear programs' least, beside what it gains over the weights nearest to zero."""
    lines = LINES[loss](y)
    nearest = np.clip(0.0, *limits)
    cost = alpha * (l1_ratio * np.abs(nearest).sum() + 0.5 * (1 - l1_ratio) * nearest @ nearest)
    least, w, _ = cutting_planes(X, lines, alpha, l1_ratio, weight, limits=limits)
    start = cutting_planes((X @ nearest)[:, None], lines, 0.0, 0.0, weight, limits=(1, 1))[0] + cost
    coef = np.ravel(model.coef_)
    z = X @ coef + np.ravel(model.intercept_)[0]
    found = np.average(np.max([a * z + c for a, c in lines], axis=0), weights=weight)
    found += alpha * (l1_ratio * np.abs(coef).sum() + 0.5 * (1 - l1_ratio) * coef @ coef)
    truth = (found - least) / (start - least)
    assert -1e-8 < truth <= tolerance
    assert truth <= model.suboptimality_ + 1e-8
    assert model.suboptimality_ <= tolerance
    assert_within(model, *limits)
    assert (type(model.solver_).__name__, model.status_) == ("InteriorPoint", "converged")
    return w


@pytest.mark.parametrize("penalty", ["l1", None, slow("l2"), slow("elasticnet")])
@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("loss", KINKS)
def test_losses_with_kinks_are_exact_within_bounds(loss, limits, penalty):
    limits, ratio = LIMITS[limits], {"l1": 1.0, "elasticnet": 0.5}.get(penalty, 0.0)
    alpha = 0.02 if penalty else 0.0
    X, y = kinked(loss)
    params = dict(penalty=penalty, bounds=limits, tol=1e-7, l1_ratio=ratio) | (dict(alpha=alpha) if penalty else {})
    model = kinked_model(loss, **params).fit(X, y)
    w = assert_kinked_optimum(model, X, y, loss, limits, alpha, ratio, 1e-7)
    if ratio == 1 or penalty is None:  # where linear programs end in a corner
        held = ((w == limits[0]) | (w == limits[1])) & np.isfinite(w)
        np.testing.assert_array_equal(((model.coef_ == limits[0]) | (model.coef_ == limits[1])).ravel(), held)


@pytest.mark.parametrize("tol", [1e-1, 1e-3])
@pytest.mark.parametrize("loss", ["hinge", "absolute_error"])
def test_what_is_said_to_be_left_within_bounds_is_no_less_than_what_is_left(loss, tol):
    for limits in LIMITS.values():
        X, y = kinked(loss, seed=1)
        weight = np.random.default_rng(1).integers(0, 3, len(y)) * 1.0
        model = kinked_model(loss, penalty="l1", alpha=0.02, bounds=limits, tol=tol)
        model.fit(X, y, sample_weight=weight)
        assert_kinked_optimum(model, X, y, loss, limits, 0.02, 1.0, tol, weight)


@pytest.mark.parametrize("penalty", ["l1", slow("l2"), slow(None)])
@pytest.mark.parametrize("loss", ["hinge", "nine tenths"])
def test_more_features_than_rows_within_bounds(loss, penalty):
    X, y = kinked(loss, 30, 60)
    limits = np.zeros(60), np.where(np.arange(60) % 2, 0.1, np.inf)
    strength = dict(alpha=0.01) if penalty else {}
    model = kinked_model(loss, penalty=penalty, bounds=limits, tol=1e-6, **strength).fit(X, y)
    assert_kinked_optimum(model, X, y, loss, limits, strength.get("alpha", 0.0), 1.0 * (penalty == "l1"), 1e-6)


def test_layouts_precisions_classes_targets_and_steps_of_a_loss_with_kinks():
    limits = LIMITS["boxes"]
    X, y = kinked("absolute_error")
    X = X * (np.random.default_rng(0).random(X.shape) < 0.5)
    model = SGDVariantRegressor("absolute_error", bounds=limits, tol=1e-6)
    dense = clone(model).fit(X, y)
    assert_close_fit(clone(model).fit(sp.csr_matrix(X), y), dense, 1e-3)
    single = clone(model).set_params(tol=1e-4).fit(X.astype(np.float32), y)
    assert_close_fit(single, dense, 0.05)
    assert_within(single, *limits)
    both = clone(model).fit(X, np.column_stack([y, -y]))
    for j, sign in enumerate((1, -1)):
        np.testing.assert_allclose(both.coef_[j], clone(model).fit(X, sign * y).coef_, atol=1e-4)
    hinge = SGDVariantClassifier("hinge", bounds=limits, tol=1e-6)
    labels = np.digitize(y, [-1, 1])
    classes = clone(hinge).fit(X, labels)
    for j in range(3):
        np.testing.assert_array_equal(classes.coef_[j], clone(hinge).fit(X, labels == j).coef_[0])
    models = [clone(model).set_params(alpha=alpha) for alpha in (1e-3, 0.1)]
    for together, alone in zip(columns(models, X, y), models, strict=True):
        assert_same_fit(together, quiet(alone, X, y))
    model.set_params(tol=None, warm_start=True)
    parts = quiet(quiet(clone(model).set_params(max_iter=3), X, y).set_params(max_iter=4), X, y)
    np.testing.assert_array_equal(parts.coef_, quiet(clone(model).set_params(max_iter=7), X, y).coef_)


def test_the_perceptron_has_an_optimum_where_bounds_exclude_zero():
    X, y = kinked("perceptron")
    limits = np.full(8, 0.5), np.full(8, 2.0)
    model = kinked_model("perceptron", penalty="l1", alpha=0.01, bounds=limits, tol=1e-4).fit(X, y)
    assert_kinked_optimum(model, X, y, "perceptron", limits, 0.01, 1.0, 1e-4)
    free = kinked_model("perceptron", penalty="l1", alpha=0.01, positive=True).fit(X, y)
    assert free.status_ == "converged"
    assert (free.coef_ >= 0).all()


def test_classes_and_targets_have_bounds_of_their_own():
    X, y = table("targets")
    lower = np.stack([np.zeros(8), np.full(8, -np.inf)])
    both = SGDVariantRegressor(bounds=(lower, None), tol=1e-10).fit(X, y)
    for j, bounds in enumerate([(0, None), None]):
        one = SGDVariantRegressor(bounds=bounds, tol=1e-10).fit(X, y[:, j])
        np.testing.assert_allclose(both.coef_[j], one.coef_, rtol=1e-6, atol=1e-9)
    X, y = table("classes")
    lower = np.where(np.arange(3)[:, None] == 1, 0.0, -np.inf) * np.ones(4)
    for multi_class in ("ovr", "auto"):
        model = SGDVariantClassifier(bounds=(lower, None), multi_class=multi_class).fit(X, y)
        assert (model.coef_[1] >= 0).all()
        assert (model.coef_[0] < 0).any()


def test_the_ways_to_say_it_are_one():
    X, y = table("real")
    frame = pd.DataFrame(X, columns=NAMED)
    signs = np.array([1, 0, -1, 0, 0, 0, 0, 0])
    ways = [
        SGDVariantRegressor(monotonic_cst=signs).fit(X, y),
        SGDVariantRegressor(monotonic_cst={"a": 1, "c": -1}).fit(frame, y),
        SGDVariantRegressor(bounds={"a": (0, None), "c": (None, 0)}).fit(frame, y),
        SGDVariantRegressor(bounds=(np.where(signs == 1, 0, -np.inf), np.where(signs == -1, 0, np.inf))).fit(X, y),
        SGDVariantRegressor(positive={"a": True}, bounds={"c": (None, 0)}).fit(frame, y),
        SGDVariantRegressor(positive=signs == 1, monotonic_cst=np.minimum(signs, 0)).fit(X, y),
    ]
    for model in ways[1:]:
        assert_same_fit(model, ways[0])
    everywhere = SGDVariantRegressor(positive=True).fit(X, y)
    assert_same_fit(everywhere, SGDVariantRegressor(bounds=(0, None)).fit(X, y))
    assert_same_fit(everywhere, SGDVariantRegressor(monotonic_cst=np.ones(8)).fit(X, y))


def test_bounds_are_in_the_units_of_the_data():
    X, y = table("real")
    units = np.logspace(-3, 3, 8)
    plain = SGDVariantRegressor(alpha=0, bounds=(-1, 2), tol=1e-10).fit(X / X.std(axis=0), y)
    lower, upper = -1 / (X.std(axis=0) * units), 2 / (X.std(axis=0) * units)
    scaled = SGDVariantRegressor(alpha=0, bounds=(lower, upper), tol=1e-10).fit(X * units, y)
    np.testing.assert_allclose(scaled.coef_ * X.std(axis=0) * units, plain.coef_, rtol=1e-7)
    assert_within(scaled, lower, upper)


def test_single_precision_is_rounded_to_the_inside():
    X, y = table("real")
    X = (X / X.std(axis=0)).astype(np.float32)
    model = SGDVariantRegressor(bounds=(-0.1, 0.3)).fit(X, y.astype(np.float32))
    assert model.coef_.dtype == np.float32
    assert_within(model, np.float64(-0.1), np.float64(0.3))
    assert (np.isclose(model.coef_, 0.3) | np.isclose(model.coef_, -0.1)).any()


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_constant_column_has_its_bounds_too(fit_intercept):
    X, y = table("real")
    X = np.column_stack([X / X.std(axis=0), np.full(len(y), 4.0)])
    model = SGDVariantRegressor(bounds=(1, None), fit_intercept=fit_intercept, tol=1e-9).fit(X, y)
    assert_within(model, 1, np.inf)
    if fit_intercept:
        assert model.predict(X).mean() == pytest.approx(y.mean())


@pytest.mark.parametrize("penalty", [slow("l2"), slow("l1"), "elasticnet", slow(None)])
@pytest.mark.parametrize("solver", NAMES)
def test_of_bounds_sparse_is_dense(solver, penalty):
    rng = np.random.default_rng(0)
    X = sp.random(200, 60, 0.05, random_state=rng, format="csr")
    y = X @ rng.standard_normal(60)
    model = SGDVariantRegressor(penalty=penalty, alpha=1e-3, **params_of("real", solver))
    model.set_params(bounds=(-0.3, np.where(np.arange(60) % 2, 0.4, -0.01)))
    dense, sparse = (quiet(clone(model), rows, y) for rows in (X.toarray(), X))
    assert_close_fit(sparse, dense, 1e-6)
    assert_within(sparse, -0.3, np.where(np.arange(60) % 2, 0.4, -0.01))


@pytest.mark.parametrize("scale", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("solver", ["sgd", "adagrad"])
def test_postponed_steps_keep_the_bounds(solver, penalty, scale):
    rng = np.random.default_rng(0)
    X = sp.random(300, 3000, 0.003, random_state=rng, format="csr")
    y = X @ rng.standard_normal(3000)
    params = dict(penalty=penalty, alpha=1e-3, scale_features=scale, eta0=0.1, tol=None, max_iter=3, random_state=0)
    lower = np.where(np.arange(3000) % 3 == 1, 0.01, -0.05)
    model = SGDVariantRegressor(solver=solver, **params)
    sparse = quiet(model.set_params(bounds=(lower, None), batch_size=1), X, y)
    dense = quiet(clone(model), X.toarray(), y)
    assert_within(sparse, lower, np.inf)
    assert_close_fit(sparse, dense, 1e-9)


@pytest.mark.parametrize("solver", NAMES)
def test_of_bounds_a_column_is_a_fit_and_resuming_is_continuing(solver):
    X, y = table("real")
    lower, upper = limits_of(X)
    model = SGDVariantRegressor(penalty="elasticnet", bounds=(lower, upper), **params_of("real", solver))
    models = [clone(model).set_params(alpha=alpha) for alpha in (1e-4, 1e-2, 1.0)]
    for together, alone in zip(columns(models, X, y), models, strict=True):
        assert_close_fit(together, quiet(alone, X, y), 1e-6)
    model.set_params(tol=None, warm_start=True)
    parts = quiet(quiet(clone(model).set_params(max_iter=2), X, y).set_params(max_iter=3), X, y)
    whole = quiet(clone(model).set_params(max_iter=5), X, y)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_search_over_strengths_keeps_the_bounds(loss):
    X, y = table("real")
    model = SGDVariantRegressor(loss=loss, positive=True, tol=1e-6)
    grid = {"alpha": np.logspace(-4, 1, 4)}
    ours = BatchedGridSearchCV(model, grid, cv=3).fit(X, y)
    single = GridSearchCV(model, grid, cv=3).fit(X, y)
    scores = [search.cv_results_["mean_test_score"] for search in (ours, single)]
    np.testing.assert_allclose(*scores, rtol=1e-4)
    assert_within(ours.best_estimator_, 0, np.inf)


def test_a_warm_start_with_bounds_begins_within_them():
    X, y = table("real")
    model = SGDVariantRegressor(warm_start=True, tol=1e-9).fit(X, y)
    bounded = SGDVariantRegressor(positive=True, tol=1e-9).fit(X, y)
    model.set_params(positive=True).fit(X, y)
    np.testing.assert_allclose(model.coef_, bounded.coef_, rtol=1e-6, atol=1e-9)
    started = SGDVariantRegressor(positive=True, solver="adam", max_iter=1, tol=None, random_state=0)
    quiet(started, X, y, coef_init=np.full(8, -100.0))
    assert_within(started, 0, np.inf)


@pytest.mark.parametrize("solver", NAMES)
def test_a_stream_stays_within_its_bounds(solver):
    X, y = table("real")
    lower, upper = limits_of(X)
    model = SGDVariantRegressor(**asked(solver, False), random_state=0, bounds=(lower, upper))
    for rows in np.array_split(np.arange(len(y)), 4):
        model.partial_fit(X[rows], y[rows])
        assert_within(model, lower, upper)


@pytest.mark.parametrize("params", [dict(), dict(penalty="l1"), dict(penalty=None), dict(monotonic_cst=None)])
def test_the_default_stream_of_squared_errors_ends_at_the_optimum_within_bounds(params):
    X, y = table("real")
    limits = limits_of(X)
    for bounds in (limits, tuple(np.clip(limit, 0.01, 0.02) for limit in limits)):
        stream = SGDVariantRegressor(**params, alpha=1e-3, bounds=bounds)
        for rows in np.array_split(np.arange(len(y)), 4):
            stream.partial_fit(X[rows], y[rows])
        whole = clone(stream).set_params(tol=1e-12).fit(X, y)
        units = np.append(X.std(axis=0), 1.0)
        assert type(stream.solver_).__name__ == "Recursive"
        ours, theirs = (np.append(m.coef_, m.intercept_) * units for m in (stream, whole))
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
def test_default_streams_of_classes_end_near_the_optimum_within_bounds(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 6)) + rng.standard_normal((3000, 1))
    y = X @ [1.0, -1.0, 0.5, -0.5, 0.0, 0.2] + rng.logistic(size=3000) > 0
    stream = SGDVariantClassifier(loss, positive=True)
    for rows in np.array_split(np.arange(3000), 10):
        stream.partial_fit(X[rows], y[rows], classes=[False, True])
        assert (stream.coef_ >= 0).all()
    whole = clone(stream).set_params(tol=1e-8).fit(X, y)
    z = [m.decision_function(X)[:, None] for m in (stream, whole)]
    ours, best = (LOSSES[loss]().value(np.where(y, 1.0, -1.0)[:, None], part).mean() for part in z)
    assert ours - best < 1e-3 * (1 - best)


def test_streams_of_many_features_and_short_rows_stay_within_bounds():
    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.random((200, 1500)) * (rng.random((200, 1500)) < 0.01))
    y = np.asarray(X.sum(axis=1) > 4)
    for d in (300, 1500):
        model = SGDVariantClassifier(bounds=(-0.05, 0.1))
        for rows in np.array_split(np.arange(200), 4):
            model.partial_fit(X[rows, :d], y[rows], classes=[False, True])
            assert_within(model, -0.05, 0.1)
        assert type(model.solver_).__name__ == ("Recursive" if d == 300 else "AdaGrad")
        model.set_params(bounds=None).partial_fit(X[:, :d], y)
        model.set_params(bounds=(-0.05, 0.1)).partial_fit(X[:, :d], y)
        assert_within(model, -0.05, 0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_streams_stay_within_bounds_to_the_last_bit(dtype):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = (rng.standard_normal((200, 8)) * 10.0 ** rng.integers(-3, 4, 8)).astype(dtype)
        y = (X / X.std(axis=0)) @ rng.standard_normal(8) > 0
        lower, upper = -np.abs(rng.standard_normal(8)), 0.3 * np.abs(rng.standard_normal(8))
        model = SGDVariantClassifier(bounds=(lower, upper))
        for rows in np.array_split(np.arange(200), 4):
            model.partial_fit(X[rows], y[rows], classes=[False, True])
            assert model.coef_.dtype == dtype
            coef = model.coef_[0].astype(float)
            assert np.all((coef >= lower) & (coef <= upper))


def test_bounds_can_come_and_go_along_a_stream():
    X, y = table("real")
    model = SGDVariantRegressor().partial_fit(X, y)
    assert (model.coef_ < 0).any() or (model.coef_ > 10).any()
    model.set_params(bounds=(0, 10)).partial_fit(X, y)
    assert_within(model, 0, 10)
    model.set_params(bounds=None).partial_fit(X, y)
    assert type(model.solver_).__name__ == "Recursive"
    with pytest.raises(ValueError, match="forgetting='auto' needs what solver='auto' does in a stream"):
        SGDVariantRegressor(penalty=GroupLasso(np.zeros(8)), forgetting="auto").partial_fit(X, y)


def test_early_stopping_returns_a_model_within_the_bounds():
    X, y = table("real")
    model = quiet(SGDVariantRegressor(positive=True, early_stopping=True, random_state=0), X, y)
    assert_within(model, 0, np.inf)


def test_the_certificate_is_no_less_than_the_truth():
    X, y = table("real")
    centred, target = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    alpha = 0.05
    for max_iter in (1, 2, 5, 20):
        model = SGDVariantRegressor(
            solver="momentum", alpha=alpha, bounds=(LOWER, UPPER), max_iter=max_iter, tol=None, random_state=0
        ).fit(centred, y)
        stacked = np.vstack([centred, np.sqrt(alpha * len(y)) * np.eye(8)])
        best = lsq_linear(stacked, np.append(target, np.zeros(8)), (LOWER, UPPER), tol=1e-14).cost / len(y)
        found = ((y - model.predict(centred)) ** 2).mean() / 2 + alpha / 2 * model.coef_ @ model.coef_
        nearest = np.clip(np.zeros(8), LOWER, UPPER)
        constant = ((target - centred @ nearest) ** 2).mean() / 2 + alpha / 2 * nearest @ nearest
        truth = (found - best) / (constant - best)
        assert model.suboptimality_ >= truth * (1 - 1e-6)
        if model.suboptimality_kind_ == "estimate":
            assert model.suboptimality_ <= 10 * truth + 1e-9


REFUSED = [
    (dict(bounds=1.0), "bounds=1.0 is not accepted: give a pair"),
    (dict(bounds=(0, 1, 2)), "bounds=.* is not accepted: give a pair"),
    (dict(bounds=("a", 1)), "bounds=.* is not accepted: could not convert"),
    (dict(bounds=(np.nan, 1)), "bounds=.* is not accepted: give numbers, or None"),
    (dict(bounds=(np.inf, None)), "bounds=.* is not accepted: give numbers, or None"),
    (dict(bounds=([0, 1], None)), r"bounds=.* has the shape \(2,\), and X has 8 features"),
    (dict(bounds={"a": (0, 1)}), "bounds=.* is a dict by the name of the column, and the columns of X have no names"),
    (dict(bounds=(1, 0)), "No weight of feature 0 is within what bounds, .*: at least 1 and at most 0"),
    (dict(bounds=(None, -1), positive=True), "No weight of feature 0 is within .*: at least 0 and at most -1"),
    (dict(positive=2), "positive=2 .* has the shape"),
    (dict(positive=np.full(8, 2)), "positive=.* is not accepted: give True or False"),
    (dict(monotonic_cst=np.full(8, 2)), "monotonic_cst=.* is not accepted: give -1"),
    (dict(monotonic_cst=[1, 0]), r"monotonic_cst=.* has the shape \(2,\)"),
    (dict(positive=True, penalty=Cubic(), scale_features=False), "positive, bounds and monotonic_cst are not for"),
]


@pytest.mark.parametrize(("params", "sentence"), REFUSED)
def test_bounds_that_do_not_fit_are_refused(params, sentence):
    X, y = table("real")
    with pytest.raises(ValueError, match=sentence):
        SGDVariantRegressor(**params).fit(X, y)
    with pytest.raises(ValueError, match=sentence):
        SGDVariantRegressor(**params).partial_fit(X, y)


def test_several_classes_have_no_monotonic_constraints():
    X, y = table("classes")
    with pytest.raises(ValueError, match="monotonic_cst is for two classes or real targets, and y has 3 classes"):
        SGDVariantClassifier(monotonic_cst=np.ones(4)).fit(X, y)
    two = y != "c"
    model = SGDVariantClassifier(monotonic_cst=[1, 0, -1, 0]).fit(X[two], y[two])
    assert model.coef_[0, 0] >= 0 >= model.coef_[0, 2]


def test_names_with_wrong_pairs_are_refused():
    X = pd.DataFrame(table("real")[0], columns=NAMED)
    with pytest.raises(ValueError, match=r"bounds\['a'\]=1 is not accepted: give a pair"):
        SGDVariantRegressor(bounds={"a": 1}).fit(X, table("real")[1])
    with pytest.raises(ValueError, match="No weight of feature 'b' is within"):
        SGDVariantRegressor(bounds={"b": (2, 1)}).fit(X, table("real")[1])


@pytest.mark.parametrize(
    ("penalty", "asked"),
    [
        (ElasticNet().within(0, 1), {"bounds": (2, 3)}),
        (ElasticNet().within(1, 0), {}),
        (Bounded(lower=np.array([0.0, 1.0, 2.0]), upper=1), {}),
        (ElasticNet().within(-3, -1), {"positive": True}),
    ],
    ids=["beside", "turned", "one feature", "positive"],
)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_bounds_of_a_penalty_that_leave_no_value_are_refused(loss, penalty, asked):
    X = np.random.default_rng(0).normal(size=(50, 3))
    with pytest.raises(ValueError, match="leave no value: a weight would be at least"):
        SGDVariantRegressor(loss, penalty=penalty, **asked).fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        (np.array([0.0, np.nan, np.nan]), "feature 1 has none"),
        (np.array(["a", None, "b"], dtype=object), "feature 1 has none"),
        (np.array([1, "1", 2], dtype=object), "some are numbers and some are names"),
    ],
    ids=["nan", "none", "mixed"],
)
def test_features_without_a_group_are_refused(groups, what):
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match=f"penalty__groups=.*{what}"):
        SGDVariantRegressor(penalty=GroupLasso(groups)).fit(X, X[:, 0])

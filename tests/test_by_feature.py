"""What is asked of single features: every path honours it, or says in a sentence that it does not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from _references import asked
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import ElasticNet, Penalty
from test_laws import EXACT, NAMES, assert_close_fit, assert_same_fit, columns, quiet, table

NAMED = list("abcdefgh")
FACTOR = np.array([0.0, 1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 4.0])


def estimator_of(kind):
    return SGDVariantClassifier if kind in ("binary", "classes") else SGDVariantRegressor


def params_of(kind, solver):
    rest = dict(tol=1e-10) if solver in EXACT else dict(tol=None, max_iter=4)
    return dict(**asked(solver, kind in ("binary", "classes")), **rest, random_state=0)


# ---------------------------------------------------------------------- penalty_factor


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("kind", ["binary", "classes", "real", "targets"])
@pytest.mark.parametrize("solver", NAMES)
def test_equal_factors_are_a_strength(kind, solver, penalty):
    X, y = table(kind)
    model = estimator_of(kind)(penalty=penalty, **params_of(kind, solver))
    factor = quiet(clone(model).set_params(alpha=0.01, penalty_factor=np.full(X.shape[1], 3.0)), X, y)
    strength = quiet(clone(model).set_params(alpha=0.03), X, y)
    assert_close_fit(factor, strength, 1e-6 if solver in EXACT else 1e-9)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
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
        (dict(penalty_factor=[1.0, 2.0]), r"penalty_factor has the shape \(2,\), and X has 8 features. Give a number"),
        (dict(penalty_factor=["a"] * 8), "penalty_factor=.* is not accepted: could not convert"),
        (dict(penalty_factor=-FACTOR), "penalty_factor=.* finite numbers that are not negative"),
        (dict(penalty_factor=FACTOR * np.nan), "penalty_factor=.* finite numbers that are not negative"),
        (dict(penalty_factor={"a": 1}), "penalty_factor is a dict by the name .* no names: fit on a DataFrame"),
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

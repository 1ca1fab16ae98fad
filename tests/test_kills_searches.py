"""Who is asked for a score in a search, what is said of a scorer that knows no weights, and what a fit took."""

import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV
from skvariants.model_selection._score import scores_itself


@pytest.mark.parametrize("base", [SGDVariantClassifier, SGDVariantRegressor])
@pytest.mark.parametrize("method", ["score", "predict", "__skvariants_publish__"])
def test_a_fit_that_is_taken_over_by_name_does_not_hide_a_score(base, method):
    def own(self, *args):
        return 0.5

    plain = type("Plain", (base,), {})
    taken = type("Taken", (base,), {"fit": base.fit})
    assert not any(scores_itself(cls) for cls in (base, plain, taken))
    for parents in ((base,), (plain,), (taken,)):
        assert scores_itself(type("Own", parents, {method: own}))
        assert scores_itself(type("Own", parents, {method: own, "fit": base.fit}))
    assert scores_itself(type("Below", (type("Own", (base,), {method: own}),), {"fit": base.fit}))


def unweighted_share(y, predicted):
    return float(np.mean(predicted == y))


def unweighted(estimator, X, y):
    return unweighted_share(y, estimator.predict(X))


@pytest.mark.skipif(not hasattr(get_scorer("accuracy"), "_accept_sample_weight"), reason="scikit-learn before 1.7")
@pytest.mark.parametrize("scoring", [unweighted, {"plain": make_scorer(unweighted_share), "usual": "accuracy"}])
def test_a_scorer_that_knows_no_weights_is_named(scoring):
    rng = np.random.default_rng(0)
    X, weight = rng.standard_normal((60, 3)), rng.random(60)
    y = (X[:, 0] > 0).astype(int)
    search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1e-4, 1e-2]}, cv=2, scoring=scoring, refit=False)
    with pytest.warns(UserWarning, match=r"The scoring .*unweighted.* does not support sample_weight") as caught:
        search.fit(X, y, sample_weight=weight)
    assert len(caught) == 1
    search.fit(X, y)  # nothing to say without weights
    search.set_params(scoring=None).fit(X, y, sample_weight=weight)


def slow(X):
    time.sleep(0.05)
    return X


def test_the_time_of_a_fit_holds_that_of_the_steps_before_it(capsys):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    model = make_pipeline(FunctionTransformer(slow), SGDVariantRegressor())
    grid = {"sgdvariantregressor__alpha": [1e-4, 1e-2]}
    search = BatchedGridSearchCV(model, grid, cv=2, refit=False, verbose=1).fit(X, X[:, 0])
    assert (search.cv_results_["mean_fit_time"] > 0.02).all()  # shared by two candidates
    assert "2 candidates" in capsys.readouterr().out


# ------------------------------------------------------------------ what a search refuses, prints and lets through


def small(n=60):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    return X, (X[:, 0] + 0.3 * rng.standard_normal(n) > 0).astype(int)


class TwoSaid(KFold):
    """Says two folds and gives three."""

    def get_n_splits(self, *args, **kwargs):
        return 2


def test_folds_that_are_not_as_many_as_was_said_are_refused():
    search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1e-4]}, cv=TwoSaid(3))
    with pytest.raises(ValueError, match="Expected 2 splits, got 3"):
        search.fit(*small())


class Kernel(BaseEstimator):
    """What takes kernels: rows and columns are those of a fold."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = True
        return tags

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y=None):
        self.shape_ = X.shape
        return self

    def score(self, X, y=None):
        return X.shape[0] / X.shape[1]


def test_kernels_are_cut_to_the_rows_and_columns_of_a_fold():
    search = BatchedGridSearchCV(Kernel(), {"alpha": [1.0, 2.0]}, cv=3)
    search.fit(np.eye(60))  # no targets either
    assert_array_equal(search.cv_results_["mean_test_score"], 0.5)
    assert search.best_estimator_.shape_ == (60, 60)
    with pytest.raises(ValueError, match="X should be a square kernel matrix"):
        search.fit(np.ones((60, 3)))
    with pytest.raises(ValueError, match="have to be passed as arrays or sparse matrices"):
        search.fit([[1.0] * 60] * 60)


@pytest.mark.parametrize("score", [np.ones(2), "good"])
def test_a_score_is_a_number(score):
    search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1e-4]}, cv=2, scoring=lambda *args: score)
    with pytest.raises(ValueError, match="scoring must return a number"):
        search.fit(*small())


@pytest.mark.parametrize(
    ("refit", "error", "words"),
    [
        ("first", ValueError, "refit must be set to a scorer key or a callable"),
        (lambda results: 1.5, TypeError, "is not an integer"),
        (lambda results: 7, IndexError, "out of range"),
    ],
)
def test_what_chooses_among_several_scores_names_a_candidate(refit, error, words):
    search = BatchedGridSearchCV(
        SGDVariantClassifier(), {"alpha": [1e-4, 1e-2]}, cv=2, scoring=lambda *args: {"a": 1.0}, refit=refit
    )
    with pytest.raises(error, match=words):
        search.fit(*small())


def test_a_halving_search_says_what_it_does(capsys):
    search = BatchedHalvingSearchCV(
        SGDVariantClassifier(solver="adam", max_iter=9, tol=None, random_state=0), {"alpha": [1e-4, 1e-3, 1e-2]},
        factor=3, min_resources=3, cv=2, verbose=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(*small())
    said = capsys.readouterr().out
    for words in ("n_iterations: 2", "n_required_iterations: 2", "n_possible_iterations: 2", "iter: 0", "iter: 1"):
        assert words in said
    assert "n_candidates: 3\nn_resources: 3" in said
    assert "n_candidates: 1\nn_resources: 9" in said


def test_metadata_is_routed_where_that_is_asked_for():
    X, y = small()
    weight = np.random.default_rng(0).random(60)
    plain = BatchedGridSearchCV(SGDVariantClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, cv=2)
    with config_context(enable_metadata_routing=True):
        model = SGDVariantClassifier(random_state=0).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        routed = BatchedGridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=2).fit(X, y, sample_weight=weight)
    plain.fit(X, y, sample_weight=weight)
    assert_array_equal(routed.best_estimator_.coef_, plain.best_estimator_.coef_)

"""`max_time`: what a fit and a search have when their time is over. Times are so short that one epoch is made."""

import math
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV, BatchedRandomizedSearchCV
from skvariants.model_selection._time import Timer
from skvariants.solvers import SOLVERS

CLASSES = make_classification(600, 20, n_informative=8, n_classes=3, random_state=0)
REAL = make_regression(600, 20, noise=10, random_state=0)
NO_TIME = 1e-9
ALPHAS = {"alpha": [1e-5, 1e-3, 1e-1]}


def quietly(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


@pytest.mark.parametrize("solver", ["auto", *sorted(set(SOLVERS) - {"interior_point", "recursive"})])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_without_time_makes_one_epoch(solver, early_stopping):
    model = SGDVariantClassifier(solver=solver, tol=1e-9, early_stopping=early_stopping, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"max_time=1e-09 seconds and 1 epoch, before convergence.*larger max_"):
        short = clone(model).set_params(max_time=NO_TIME).fit(*CLASSES)
    one = quietly(clone(model).set_params(max_iter=1), *CLASSES)
    assert (short.status_, short.n_iter_) == ("max_time", 1)
    assert_array_equal(short.coef_, one.coef_)
    assert short.suboptimality_ == one.suboptimality_ or math.isnan(one.suboptimality_)


@pytest.mark.parametrize("solver", ["auto", "interior_point"])
def test_an_interior_point_fit_ends_too(solver):
    model = SGDVariantRegressor(loss="epsilon_insensitive", solver=solver, max_time=NO_TIME)
    model = quietly(model, *REAL)
    assert (model.status_, model.n_iter_) == ("max_time", 1)


@pytest.mark.parametrize("solver", ["auto", "adam", "sgd", "quasi_newton"])
def test_a_fit_goes_on_after_its_time_as_if_it_had_had_more(solver):
    model = SGDVariantClassifier(solver=solver, warm_start=True, tol=1e-9, random_state=0)
    parts = quietly(clone(model).set_params(max_time=NO_TIME), *CLASSES)
    parts = quietly(parts.set_params(max_time=None, max_iter=3), *CLASSES)
    whole = quietly(clone(model).set_params(max_iter=4), *CLASSES)
    assert_array_equal(parts.coef_, whole.coef_)


def test_time_that_is_not_used_changes_nothing():
    model = SGDVariantClassifier(solver="adam", max_iter=3, tol=None, random_state=0)
    timed = clone(model).set_params(max_time=3600).fit(*CLASSES)
    assert_array_equal(timed.coef_, model.fit(*CLASSES).coef_)
    assert timed.status_ == "max_iter"


@pytest.mark.parametrize("value", [0, -1, "1", np.nan, True])
def test_a_time_that_is_none_is_refused(value):
    for model in (
        SGDVariantRegressor(max_time=value), BatchedGridSearchCV(SGDVariantRegressor(), ALPHAS, max_time=value),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match="max_time="):
            model.fit(*REAL)


def test_a_chunk_of_a_stream_takes_its_time():
    model = SGDVariantRegressor(max_time=NO_TIME, solver="adam", random_state=0)
    timed = clone(model).partial_fit(*REAL, n_epochs=3)
    assert_array_equal(timed.coef_, model.set_params(max_time=None).partial_fit(*REAL, n_epochs=3).coef_)


@pytest.mark.parametrize("search", [
    lambda model, **more: BatchedGridSearchCV(model, ALPHAS, cv=3, **more),
    lambda model, **more: BatchedRandomizedSearchCV(model, ALPHAS, n_iter=3, random_state=0, cv=3, **more),
])  # fmt: skip
def test_a_search_without_time_compares_candidates_after_one_epoch(search):
    model = SGDVariantClassifier(solver="adam", random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        short = search(model, max_time=NO_TIME).fit(*CLASSES)
    said = [str(warning.message) for warning in caught]
    assert len(said) == 2
    assert said[0].startswith("3 of 3 candidates reached max_time before they converged")
    assert said[1].startswith("The fit ended after max_time=")
    one = quietly(search(model.set_params(max_iter=1)), *CLASSES)
    assert_array_equal(short.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])
    assert (short.best_estimator_.status_, short.best_estimator_.n_iter_) == ("max_time", 1)
    assert short.best_estimator_.max_time is None
    assert_array_equal(short.best_estimator_.coef_, one.best_estimator_.coef_)


def test_halving_without_time_climbs_all_rungs_and_a_pipeline_is_limited_too():
    model = make_pipeline(StandardScaler(), SGDVariantClassifier(solver="adam", tol=None, random_state=0))
    grid = {"sgdvariantclassifier__alpha": [1e-5, 1e-3, 1e-1]}
    search = quietly(BatchedHalvingSearchCV(model, grid, cv=3, max_time=NO_TIME), *CLASSES)
    assert search.n_epochs_ == [9, 0]
    assert search.best_estimator_[-1].n_iter_ == 1


def test_candidates_that_are_fitted_one_by_one_are_limited_and_others_are_not():
    class Own(SGDVariantClassifier):
        def fit(self, X, y):
            return super().fit(X, y)

    model = Own(solver="adam", random_state=0)
    short = quietly(BatchedGridSearchCV(model, ALPHAS, cv=3, max_time=NO_TIME), *CLASSES)
    assert short.best_estimator_.n_iter_ == 1
    grid = {"C": [0.1, 1.0]}
    other = BatchedGridSearchCV(LogisticRegression(), grid, cv=3, max_time=NO_TIME).fit(*CLASSES)
    theirs = GridSearchCV(LogisticRegression(), grid, cv=3).fit(*CLASSES)
    assert_array_equal(other.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


def test_the_time_of_a_candidate_is_not_lengthened_by_that_of_the_search():
    model = SGDVariantClassifier(solver="adam", max_time=NO_TIME, random_state=0)
    search = quietly(BatchedGridSearchCV(model, ALPHAS, cv=3, max_time=3600), *CLASSES)
    one = quietly(BatchedGridSearchCV(model, ALPHAS, cv=3), *CLASSES)
    assert_array_equal(search.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])
    assert (search.best_estimator_.n_iter_, search.best_estimator_.max_time) == (1, NO_TIME)


def test_time_is_shared_evenly(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("skvariants.model_selection._time.time.time", lambda: now[0])
    timer = Timer(60, refit=True)
    shares = timer.shares(5, 1)
    taken = []
    for share in shares:
        taken.append(share.seconds())
        now[0] += taken[-1]
    np.testing.assert_allclose([*taken, timer.left()], 10)
    timer = Timer(60, refit=False)
    assert [share.n_tasks for share in timer.shares(5, 2)] == [3, 2, 2, 1, 1]
    timer.rounds = 3
    np.testing.assert_allclose(timer.shares(1, 1)[0].seconds(), 20)
    now[0] += 1000
    assert timer.shares(1, 1)[0].seconds() == 0 == timer.left()
    assert Timer(None, True).shares(2, 1) == [None, None]

"""Many threads, any backend: the results of one after another, and a process that is as it was."""

import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from skvariants import SGDVariantClassifier
from skvariants._threads import PARALLEL, threads
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV
from test_trust_interrupts import BINARY, FITS, STREAMS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N_THREADS = 16


def process(of_workers=False):
    """What is global; names of the threads unless workers of a pool are kept for the next call."""
    return (
        np.geterr(), list(warnings.filters), np.random.get_state()[1].tobytes(),
        {lib["filepath"]: lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"},
        None if of_workers else {thread.name for thread in threading.enumerate()},
    )  # fmt: skip


def fitted(case):
    model, (X, y) = FITS[case]
    return clone(model).fit(X, y)


@pytest.mark.parametrize("n_blas", [1, 2])
def test_fits_in_threads_are_those_of_one_after_another(n_blas):
    cases = [case for case in FITS if case != "ascent"]  # takes as long as the others together
    with threadpool_limits(n_blas, user_api="blas"):
        one_by_one = {case: fitted(case) for case in cases}
        before = process()
        with ThreadPoolExecutor(N_THREADS) as pool:
            together = list(pool.map(fitted, cases * 2))
            rows = {case: FITS[case][1][0] for case in cases}
            predicted = list(pool.map(lambda case: one_by_one[case].predict(rows[case]), cases * 4))
        assert process() == before
    for case, model in zip(cases * 2, together, strict=True):
        if n_blas == 1:
            assert_array_equal(model.coef_, one_by_one[case].coef_)
        else:  # fits share the threads of BLAS, and sums are to rounding
            assert_allclose(model.coef_, one_by_one[case].coef_, rtol=1e-3, atol=1e-3 * np.abs(model.coef_).max())
    for case, labels in zip(cases * 4, predicted, strict=True):
        assert_array_equal(labels, one_by_one[case].predict(rows[case]))


def test_streams_in_threads_are_those_of_one_after_another():
    def streamed(case):
        model, (X, y) = STREAMS[case]
        model, first = clone(model), {"classes": np.unique(y)} if len(np.unique(y)) < 10 else {}
        for begin in range(0, 900, 300):
            model.partial_fit(X[begin : begin + 300], y[begin : begin + 300], **first)
        return model.coef_

    with threadpool_limits(1, user_api="blas"):
        one_by_one = {case: streamed(case) for case in STREAMS}
        before = process()
        with ThreadPoolExecutor(N_THREADS) as pool:
            together = list(pool.map(streamed, [*STREAMS] * 3))
        assert process() == before
    for case, coef in zip([*STREAMS] * 3, together, strict=True):
        assert_array_equal(coef, one_by_one[case])


def blas():
    return sorted(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")


def test_limits_that_overlap_end_as_they_began():
    # the first to come is the first to go
    with threadpool_limits(2, user_api="blas"):
        before = blas()
        contexts = [threads(0), threads(PARALLEL), threads(0)]
        for context in contexts:
            context.__enter__()
            assert 1 in blas()
        for context in contexts:
            assert 1 in blas()
            context.__exit__(None, None, None)
        assert blas() == before


FORKED = """
import os, sys
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from skvariants._threads import threads

with threadpool_limits(2, user_api="blas"), threads(0):
    child = os.fork()
    if child == 0:
        limits = {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}
        os._exit(0 if limits == {2} else 1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_a_process_that_is_forked_within_a_fit_is_not_held_to_its_limits():
    assert subprocess.run([sys.executable, "-c", FORKED]).returncode == 0


@pytest.mark.parametrize("backend", ["threading", "multiprocessing", pytest.param("loky", marks=pytest.mark.slow)])
@pytest.mark.parametrize("search", [BatchedGridSearchCV, BatchedHalvingSearchCV])
def test_searches_under_each_backend_are_those_of_one_process(search, backend):
    X, y = BINARY[0][:600], BINARY[1][:600]
    model = SGDVariantClassifier(solver="adam", max_iter=20, random_state=0)
    search = search(model, {"alpha": [1e-5, 1e-3, 1e-1]}, cv=3)
    alone = clone(search).fit(X, y)
    before = process(of_workers=True)
    with joblib.parallel_backend(backend, n_jobs=2):
        spread = clone(search).fit(X, y)
    assert process(of_workers=True) == before
    assert_array_equal(spread.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert_array_equal(spread.best_estimator_.coef_, alone.best_estimator_.coef_)


def test_a_search_in_threads_keeps_the_filters_of_warnings():
    X, y = BINARY[0][:600], BINARY[1][:600]
    search = BatchedGridSearchCV(SGDVariantClassifier(solver="adam", max_iter=2), {"alpha": [1e-5, 1e-3]}, cv=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = list(warnings.filters)
        with joblib.parallel_backend("threading", n_jobs=4):
            for _ in range(5):
                clone(search).fit(X, y)
        assert list(warnings.filters) == before


@pytest.mark.parametrize("case", ["auto", "huber", "path", "adam", "scored"])
def test_a_fit_is_the_same_where_numpy_raises_on_underflow(case):
    expected = fitted(case)
    with np.errstate(all="raise"):
        found = fitted(case)
        assert_array_equal(found.coef_, expected.coef_)
        X = 1e3 * FITS[case][1][0]
        assert_array_equal(found.predict(X), expected.predict(X))
        if hasattr(found, "predict_proba"):
            assert np.isfinite(found.predict_proba(X)).all()
        assert np.geterr()["under"] == "raise"


OTHER_ARRAYS = """
import sys, warnings
import array_api_strict as xp
import numpy as np
from sklearn import config_context, set_config
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.diagnostics import diagnose
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV

set_config(array_api_dispatch=sys.argv[1] == "True")
X = np.random.default_rng(0).standard_normal((60, 3))
y, z, weight = (X[:, 0] > 0).astype(int), X @ np.arange(3.0), np.linspace(1, 2, 60)


def learned(of):
    A, b, c, w = map(of, (X, y, z, weight))
    if sys.argv[1] == "False":  # else a fit leaves arrays where they are: test_array_api.py
        model = SGDVariantClassifier(early_stopping=True, random_state=0).fit(A, b, sample_weight=w, X_val=A, y_val=b)
        yield model.coef_, model.predict(A), model.predict_proba(A), model.score(A, b)
        yield SGDVariantRegressor(random_state=0).fit(A, c).coef_
    yield SGDVariantClassifier(random_state=0).partial_fit(A, b, classes=[0, 1]).partial_fit(A, b).coef_
    for search in (BatchedGridSearchCV, BatchedHalvingSearchCV):
        for scoring in (None, "neg_log_loss"):
            found = search(SGDVariantClassifier(random_state=0), {"alpha": [1e-3, 1e-1]}, cv=2, scoring=scoring)
            with config_context(enable_metadata_routing=False):
                found.fit(A, b, sample_weight=w)
            yield found.cv_results_["mean_test_score"], found.best_estimator_.coef_
    yield repr(diagnose(A, b))


for ours, theirs in zip(learned(xp.asarray), learned(np.asarray), strict=True):
    assert all(type(one) is type(other) for one, other in zip(ours, theirs))
    np.testing.assert_equal(ours, theirs)
"""


@pytest.mark.parametrize("dispatch", [False, True])
def test_arrays_of_other_libraries_become_numpys(dispatch):
    pytest.importorskip("array_api_strict")
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", OTHER_ARRAYS, str(dispatch)], check=True, env=environment)


def test_a_prediction_is_that_of_one_model_while_another_thread_replaces_it():
    X = np.random.default_rng(0).standard_normal((300, 20))
    later = SGDVariantClassifier().fit(X, X[:, 1] < 1)
    model = SGDVariantClassifier().fit(X, X[:, 0] > 0)
    before = model.decision_function(X)

    class Replaced(np.ndarray):
        """Weights that another thread replaces during the product."""

        def __rmatmul__(self, rows):
            model.__dict__ = vars(later)
            return rows @ np.asarray(self)

    model.coef_ = model.coef_.view(Replaced)
    assert_array_equal(model.decision_function(X), before)
    assert_array_equal(model.decision_function(X), later.decision_function(X))

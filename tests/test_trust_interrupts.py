"""Real signals at random moments: the rule of `fit`, `partial_fit` and the searches.

KeyboardInterrupt reaches the caller. A fit leaves the estimator as it was, or with the model of its last whole epoch;
`partial_fit` and a search leave everything as it was. Nothing of the process is left changed.
"""

import functools
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from inspect import CO_GENERATOR
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import get_context
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from threadpoolctl import threadpool_info

import skvariants
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV, _search
from skvariants.model_selection._search import workers

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX systems do"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(autouse=True)
def heard():
    """Signals are heard also where the tests run in the background of a shell, which has them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


PACKAGE = str(Path(skvariants.__file__).parent)
BINARY = make_classification(3000, 20, random_state=0)
CLASSES = make_classification(3000, 20, n_informative=8, n_classes=4, random_state=0)
REAL = make_regression(3000, 20, noise=10, random_state=0)
WIDE = sp.random(3000, 5000, 0.005, format="csr", random_state=0), BINARY[1]
#: Fits of every method, every way to end, and every way to hold rows.
FITS = {
    "auto": (SGDVariantClassifier(tol=1e-6, random_state=0), CLASSES),
    "l1": (SGDVariantClassifier(penalty="l1", alpha=1e-3, tol=1e-6, random_state=0), BINARY),
    "huber": (SGDVariantRegressor(loss="huber", tol=1e-6, random_state=0), REAL),
    "newton": (SGDVariantClassifier(loss="squared_hinge", tol=1e-8, random_state=0), BINARY),
    "path": (SGDVariantClassifier(loss="hinge", tol=1e-6, random_state=0), BINARY),
    "ascent": (SGDVariantClassifier(loss="hinge", tol=1e-6, random_state=0), WIDE),
    "adam": (SGDVariantClassifier(solver="adam", max_iter=20, tol=None, random_state=0), CLASSES),
    "sparse": (SGDVariantClassifier(solver="adagrad", max_iter=10, tol=None, random_state=0), WIDE),
    "average": (SGDVariantRegressor(solver="minibatch", average=True, max_iter=20, tol=None, random_state=0), REAL),
    "scored": (
        SGDVariantClassifier(solver="momentum", early_stopping=True, max_iter=20, tol=None, random_state=0), BINARY,
    ),
    "scored auto": (SGDVariantClassifier(early_stopping=True, tol=1e-6, random_state=0), BINARY),
}  # fmt: skip
STREAMS = {
    "auto": (SGDVariantClassifier(random_state=0), CLASSES),
    "forgetting": (SGDVariantRegressor(forgetting="auto", random_state=0), REAL),
    "adam": (SGDVariantClassifier(solver="adam", random_state=0), CLASSES),
    "sgd": (SGDVariantRegressor(solver="sgd", learning_rate="invscaling", eta0=0.01, random_state=0), REAL),
    "sparse": (SGDVariantClassifier(random_state=0), WIDE),
}
SEARCHES = {
    "grid": lambda jobs: BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": np.logspace(-6, 1, 30)}, n_jobs=jobs),
    "named": lambda jobs: BatchedGridSearchCV(
        SGDVariantClassifier(solver="adam", random_state=0), {"alpha": np.logspace(-6, 1, 5)}, n_jobs=jobs
    ),
    "halving": lambda jobs: BatchedHalvingSearchCV(
        SGDVariantClassifier(solver="adam", random_state=0), {"alpha": np.logspace(-6, 1, 9)}, n_jobs=jobs
    ),
}


def process():
    """What is global, and threads and processes that would be left behind."""
    blas = {lib["filepath"]: lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}
    given = np.geterr(), list(warnings.filters), blas, np.random.get_state()[1].tobytes()
    return given, {thread.name for thread in threading.enumerate()} | children()


def assert_as_it_was(before):
    """Nothing global has changed, and nothing runs that did not before; what others left behind may end by itself."""
    given, running = process()
    assert given == before[0]
    assert running <= before[1]


def children():
    """Living processes that this one has started."""
    found = set()
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
            with open(f"/proc/{name}/cmdline") as file:
                tracker = "resource_tracker" in file.read()  # the interpreter's own, one in a process
        except OSError:
            continue
        if int(parent) == os.getpid() and state not in "ZX" and not tracker:
            found.add(int(name))
    return found


def interrupt(call, seconds, again=()):
    """Whether a call was interrupted by a signal that comes after so many seconds, and by more after so many more."""

    def send():
        os.kill(os.getpid(), signal.SIGINT)
        for pause in again:
            time.sleep(pause)
            if inside:
                os.kill(os.getpid(), signal.SIGINT)

    timer, inside = threading.Timer(seconds, send), [True]
    try:
        timer.start()
        call()
        timer.cancel()
        timer.join()
        time.sleep(0)  # where a signal that has come is answered
        return False
    except KeyboardInterrupt:
        inside.clear()
        return True
    finally:
        inside.clear()
        timer.cancel()
        timer.join()


def duration(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def learned(model):
    """All that was learned, as bytes."""
    state = model.__getstate__()
    return {name: pickle.dumps(value) for name, value in state.items() if name not in ("history_", "_state")}


def calls(case):
    """How many calls of functions of the package a fit makes."""
    model, (X, y) = FITS[case]
    for every in (Calls(), Calls()):  # the first fit of a process makes what others find
        every.during(lambda: clone(model).fit(X, y))
    return every.number


def moments(case, n, seconds):
    """Moments of a call that takes so long."""
    return np.random.default_rng(sum(map(ord, case))).uniform(0, 1.1, n) * seconds


def check_fits(case, n):
    model, (X, y) = FITS[case]
    seconds = moments(case, n, duration(lambda: clone(model).fit(X, y)))
    return judged(case, (functools.partial(interrupt, seconds=moment) for moment in seconds))


def judged(case, interrupts):
    """How fits that are interrupted in these ways end: each by the rule."""
    model, (X, y) = FITS[case]
    other = clone(model).set_params(max_iter=1).fit(X, y)
    whole = clone(model).fit(X, y)
    before, earlier = process(), learned(other)
    seen = set()
    for interrupted in interrupts:
        copy = pickle.loads(pickle.dumps(other)).set_params(**model.get_params())
        given = learned(copy)
        came = interrupted(lambda copy=copy: copy.fit(X, y))
        assert_as_it_was(before)
        if came and learned(copy) == given:
            seen.add("before")
            continue
        if copy.status_ == "interrupted":
            assert came
            seen.add("within")
            # one that has arrived has its last step, which counts as no epoch, and is being measured
            arrived = copy.n_iter_ == whole.n_iter_ and np.array_equal(copy.coef_, whole.coef_)
            shorter = whole if arrived else clone(model).set_params(max_iter=copy.n_iter_).fit(X, y)
            assert_array_equal(copy.coef_, shorter.coef_)
            assert_array_equal(copy.intercept_, shorter.intercept_)
            assert len(copy.loss_curve_) == len(copy.history_["rows"]) == copy.n_iter_
            assert copy.suboptimality_ is None
            copy.set_params(warm_start=True).fit(X, y)  # and can go on
        else:
            seen.add("after")
            assert_array_equal(copy.coef_, whole.coef_)
    assert learned(other) == earlier
    return seen


class Calls:
    """Calls of functions of the package, in the last of which KeyboardInterrupt comes: however busy the machine is.

    Parameters
    ----------
    last : int or None
        Its number; None to count all.
    """

    def __init__(self, last=None):
        self.last, self.number = last, 0

    def __call__(self, frame, event, arg):
        # what a generator raises while it is thrown away reaches nobody
        if event == "call" and PACKAGE in frame.f_code.co_filename and not frame.f_code.co_flags & CO_GENERATOR:
            self.number += 1
            if self.number == self.last:
                sys.setprofile(None)
                raise KeyboardInterrupt

    def during(self, call):
        """Whether the call was interrupted."""
        sys.setprofile(self)
        try:
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.setprofile(None)
        return False


def check_streams(case, n):
    model, (X, y) = STREAMS[case]
    first = {} if isinstance(model, SGDVariantRegressor) else {"classes": np.unique(y)}

    def going_on():
        return clone(model).partial_fit(X[:1500], y[:1500], **first)

    before = process()
    whole = going_on()
    earlier, seconds = learned(whole), duration(lambda: whole.partial_fit(X[1500:], y[1500:], n_epochs=2))
    later = learned(whole)
    for moment in moments(case, n, seconds):
        copy = going_on()
        came = interrupt(lambda copy=copy: copy.partial_fit(X[1500:], y[1500:], n_epochs=2), moment)
        assert_as_it_was(before)
        now = learned(copy)
        assert now in (earlier, later)
        assert came or now == later
        if now == earlier:  # the rows can be given again
            assert learned(copy.partial_fit(X[1500:], y[1500:], n_epochs=2)) == later


def check_searches(case, jobs, n, again=()):
    make = SEARCHES[case]
    get_reusable_executor().shutdown(wait=True)
    seconds, before = duration(lambda: make(jobs).fit(*BINARY)), process()
    for moment in moments(case, n, seconds):
        # idle workers of an earlier search are not of this one, which may be interrupted before it has any
        get_reusable_executor().shutdown(wait=True)
        search = make(jobs)
        came = interrupt(lambda search=search: search.fit(*BINARY), moment, again)
        assert came or hasattr(search, "cv_results_")
        assert hasattr(search, "cv_results_") == hasattr(search, "best_estimator_")  # wholly, or not at all
        if jobs == 1:
            assert_as_it_was(before)
        elif not hasattr(search, "cv_results_"):
            until = time.monotonic() + 20
            while children() and time.monotonic() < until:
                time.sleep(0.05)
            assert not children()
            assert process()[0] == before[0]  # loky itself keeps an idle thread


@pytest.mark.parametrize("case", ["auto", "adam"])
def test_an_interrupted_fit_is_as_it_was_or_holds_the_last_whole_epoch(case):
    seen = set()
    for n in (5, 10, 20, 40):  # a busy machine answers a signal when it can
        seen |= check_fits(case, n)
        if "within" in seen:
            return
    raise AssertionError(seen)


@pytest.mark.parametrize(("case", "since", "n"), [
    ("huber", 0.9, 25),  # has arrived, and is being measured
    *(pytest.param(case, 0.0, 60, marks=pytest.mark.slow) for case in FITS),
])  # fmt: skip
def test_fits_at_calls_from_the_first_to_the_last(case, since, n):
    every = calls(case)
    numbers = np.unique(np.linspace(since * every, every - 1, n).astype(int) + 1)
    seen = judged(case, (Calls(last).during for last in numbers.tolist()))
    assert "within" in seen


@pytest.mark.parametrize("case", ["auto", "adam"])
def test_an_interrupted_chunk_can_be_given_again(case):
    check_streams(case, 3)


def test_an_interrupted_search_raises_and_stays_unfitted():
    check_searches("named", 1, 3)


@pytest.mark.slow
@pytest.mark.parametrize("case", FITS)
def test_fits_at_many_moments(case):
    check_fits(case, 15)


@pytest.mark.slow
@pytest.mark.parametrize("case", STREAMS)
def test_streams_at_many_moments(case):
    check_streams(case, 15)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("case", SEARCHES)
def test_searches_at_many_moments(case, jobs):
    check_searches(case, jobs, 10 if jobs == 1 else 6)


@pytest.mark.parametrize("step", ["report", "_refit"])
def test_an_interrupt_when_all_folds_are_done_ends_their_workers(step, monkeypatch):
    def interrupted(*args, **kwargs):
        assert children()
        raise KeyboardInterrupt

    get_reusable_executor().shutdown(wait=True)
    search = SEARCHES["named"](2)
    monkeypatch.setattr(_search.Evaluation if step == "report" else type(search), step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*BINARY)
    assert not children()


def test_an_interrupt_ends_workers_that_are_being_started_and_what_clearing_up_says_of_them_is_not_raised():
    worker = get_context("loky").Process(target=time.sleep, args=(60,))
    worker.start()
    with pytest.raises(KeyboardInterrupt), workers(2, "2*n_jobs"):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            try:
                raise RuntimeError("cannot join thread before it is started")
            finally:
                raise ValueError
    assert not worker.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.01, 0.1, 0.3])
def test_a_second_interrupt_while_workers_start_or_end(pause):
    check_searches("named", 2, 5, again=(pause,))

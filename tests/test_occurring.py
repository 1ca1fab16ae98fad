"""Wide sparse rows: features that have never occurred take no part in a fit by steps, and change nothing."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from _references import STEPPING
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data import occurring as module
from skvariants._data.occurring import Occurring, spread
from skvariants._step import Step
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import ElasticNet
from skvariants.solvers import SOLVERS, Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RESTING = [name for name in STEPPING if SOLVERS[name].rests]
QUICK = ("adam", "ftrl")
CLASSES = np.arange(3)


def solvers(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def rows(seed, n=60, d=3000, first=0, last=900):
    """Rows of values in some of the features, and the sum of a few of them in three classes."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, last - first + 1) ** 1.2
    indices = first + rng.choice(last - first, n * 20, p=share / share.sum())
    X = sp.csr_array((rng.standard_normal(n * 20), indices, np.arange(0, n * 20 + 1, 20)), shape=(n, d))
    X.sum_duplicates()
    z = np.asarray(X[:, first : first + 5].sum(axis=1)).ravel()
    return X, np.digitize(z, [-0.3, 0.8])


class Spreading(Adam):
    def step(self, g, t, work, *memory):
        return super().step(g, t, work, *memory)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 1)


def same(one, other):
    for name in ("coef_", "intercept_"):
        a, b = getattr(one, name), getattr(other, name)
        assert_allclose(a, b, rtol=1e-9, atol=1e-11 * np.abs(b).max())


# ------------------------------------------------------------------ the numbers


def test_rows_of_a_part_are_those_of_the_whole():
    some = Occurring(np.array([0, 1, 4]), 6, 1)
    theta = np.arange(14.0).reshape(7, 2)
    part = some.part(theta)
    assert_array_equal(part, theta[[0, 1, 4, 6]])
    assert_array_equal(some.whole(part), theta[[0, 1, 1, 1, 4, 1, 6]])  # the others are like the one at rest
    assert_array_equal(some.occurred, [0, 4])
    more = Occurring(np.array([0, 1, 2, 4]), 6, 2)
    assert_array_equal(more.whole(spread(part, some.among(more), 4, some.resting)), some.whole(part))


def test_few_numbers_and_features_that_mostly_occur_are_left_as_they_are():
    X = sp.csr_array(([1.0, 2.0], [3, 7], [0, 2]), shape=(1, 10))
    large = 1 << 20
    assert Occurring.found(X, [], large - 1) is None
    found = Occurring.found(X, [np.array([5])], large)
    assert_array_equal(found.numbers, [0, 3, 5, 7])
    assert_array_equal(found.occurred, [3, 5, 7])
    assert Occurring.found(X, [np.array([0, 1])], large).resting == 2
    assert Occurring.found(X, [np.arange(5), np.array([8])], large) is None


@pytest.mark.parametrize("name", [name for name in STEPPING if "rows" not in SOLVERS[name].needs])
def test_a_solver_says_whether_weights_whose_gradient_is_zero_rest(name):
    # whatever the length of a step, and with one feature that does not occur either for all others
    solver, penalty, seen = SOLVERS[name](), ElasticNet(alpha=0.01, l1_ratio=0.3), np.arange(0, 40, 3)
    ends = []
    for numbers, size in ((seen, 40), (np.arange(len(seen)), len(seen) + 1)):
        rng, theta = np.random.default_rng(0), np.zeros((size + 1, 2))
        memory, step = solver.allocate(theta, penalty, True), Step(penalty, theta)
        for step.t in range(1, 30):
            step.eta = 0.1 / step.t**2
            g, G = np.zeros_like(theta), rng.standard_normal((len(seen) + 1, 2))
            g[numbers], g[-1] = G[:-1], G[-1]
            solver.update(theta, g, step, *memory)
        ends.append((theta, [array for array in memory if len(array) == len(theta)]))
    others = np.setdiff1d(np.arange(40), seen)
    (theta, memory), (alone, of_one) = ends
    alike = all((array[others] == one[-2]).all() for array, one in zip(memory, of_one, strict=True))
    assert solver.rests == (alike and not theta[others].any())
    assert_allclose(theta[seen], alone[:-2], rtol=1e-10)


def test_a_solver_that_changes_a_method_says_anew_that_it_rests():
    class Same(Adam):
        pass

    class Other(Adam):
        def solution(self, theta, *memory):
            return theta + 1.0

    assert Same.rests
    assert not Other.rests


# ------------------------------------------------------------------ fits and streams


@pytest.mark.parametrize("solver", solvers(RESTING))
@pytest.mark.parametrize("params", [
    {"penalty": "l1", "alpha": 0.01}, *(pytest.param(one, marks=pytest.mark.slow) for one in (
        {}, {"average": True}, {"scale_features": False, "learning_rate": "constant", "eta0": 0.01},
    )),
], ids=str)  # fmt: skip
def test_models_are_those_of_all_features(monkeypatch, solver, params):
    model = SGDVariantClassifier(solver=solver, max_iter=3, random_state=0, **params)
    ends = []
    for large in (1 << 60, 1):
        monkeypatch.setattr(module, "_LARGE", large)
        streams = clone(model)
        for seed in range(3):
            streams.partial_fit(*rows(seed, last=300 * (seed + 1)), classes=CLASSES)
        fits = clone(model).fit(*rows(5, 150))
        early = clone(model).set_params(early_stopping=True).fit(*rows(5, 150))
        assert (streams._state.features is None) == (fits._state.features is None) == (large > 1)
        ends.append((streams, fits, early))
    for one, other in zip(*ends, strict=True):
        same(one, other)
    assert not ends[1][0].coef_[:, 900:].any()


def test_a_stream_goes_on_from_weights_set_by_hand_classes_that_grow_and_another_solver(monkeypatch):
    ends = []
    for large in (1 << 60, 1):
        monkeypatch.setattr(module, "_LARGE", large)
        model = SGDVariantClassifier(solver="adam", on_new_class="grow", random_state=0)
        X, y = rows(0)
        model.partial_fit(X[y < 2], y[y < 2]).partial_fit(X, y)
        coef = model.coef_.copy()
        coef[:, [500, 700, 2999]] = 0.1  # of features that have occurred, or will, or will not
        model.coef_ = coef
        model.partial_fit(*rows(1))
        model = pickle.loads(pickle.dumps(model)).set_params(solver="rprop").partial_fit(*rows(2))
        model.set_params(solver=Spreading()).partial_fit(*rows(3))
        assert model._state.features is None  # it does not say that it rests
        model.set_params(solver="momentum").partial_fit(*rows(4))
        ends.append(model)
    same(*ends)


def test_where_most_features_have_occurred_all_take_part(small):
    model = SGDVariantRegressor(solver="adam", random_state=0)
    for seed, first in enumerate((0, 900, 1800)):
        X, y = rows(seed, n=400, d=2700, first=first, last=first + 900)
        model.partial_fit(X, y)
    assert model._state.features is None
    assert np.isfinite(model.score(X, y))


@pytest.mark.parametrize("solver", solvers(RESTING))
def test_resuming_is_continuing_to_the_last_bit(small, solver):
    X, y = rows(0, 150)
    model = SGDVariantClassifier(solver=solver, max_iter=4, tol=None, random_state=0, warm_start=True)
    whole, parts = clone(model).fit(X, y), model.set_params(max_iter=2).fit(X, y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, y)
    assert parts._state.features is not None
    assert_array_equal(parts.coef_, whole.coef_)


def test_a_column_of_a_search_is_a_fit(small):
    X, y = rows(0, 150)
    model = SGDVariantClassifier(solver="adam", max_iter=3, random_state=0)
    folds = [(np.arange(75), np.arange(75, 150)), (np.arange(50, 150), np.arange(50))]
    search = BatchedGridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=folds, refit=False).fit(X, y)
    for alpha, score in zip((1e-4, 1e-2), search.cv_results_["mean_test_score"], strict=True):
        alone = [clone(model).set_params(alpha=alpha).fit(X[train], y[train]) for train, _ in folds]
        assert all(one._state.features is not None for one in alone)
        assert score == np.mean([one.score(X[test], y[test]) for one, (_, test) in zip(alone, folds, strict=True)])


def test_a_chunk_takes_few_times_the_coefficients():
    X, y = rows(0, 200, d=1 << 17)
    model = SGDVariantClassifier(solver="adam", random_state=0).partial_fit(X, y, classes=np.arange(20))
    tracemalloc.start()
    try:
        model.partial_fit(X, y)
        assert tracemalloc.get_traced_memory()[1] < 3.5 * model.coef_.nbytes
    finally:
        tracemalloc.stop()

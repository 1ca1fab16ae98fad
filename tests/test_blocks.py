"""Fits from sums over blocks of rows: memory maps, shards computed in any order, collections of dask."""

import os
import pickle
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from sklearn.datasets import make_classification

import skvariants
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._blocks import table as tables
from skvariants._blocks.sums import tree
from skvariants._fit import blocks as fits
from skvariants.diagnostics import diagnose
from skvariants.losses import Huber, LogCosh, SquaredEpsilonInsensitive
from skvariants.model_selection import BatchedHalvingSearchCV

N, D = 6000, 6


@pytest.fixture(autouse=True)
def few_bytes(monkeypatch):
    """Maps of any size are large."""
    monkeypatch.setattr(tables, "_OWN", 0)
    monkeypatch.setattr(tables, "_SHARD", 1 << 16)


@pytest.fixture
def mapped(tmp_path):
    def make(X, order="C"):
        path = tmp_path / f"X{len(list(tmp_path.iterdir()))}"
        X_map = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape, order=order)
        X_map[:] = X
        X_map.flush()
        return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape, order=order)

    return make


def problem(kind, n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, D)) * 10.0 ** rng.uniform(-1, 1, D) + rng.standard_normal(D)
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(D)
    if kind == "binary":
        return X, (z + rng.logistic(size=n) > 0).astype(int)
    if kind == "classes":
        return X, np.array(["a", "b", "c"])[np.digitize(z + rng.logistic(size=n), [-1, 1])]
    return X, 5 + z + rng.standard_normal(n)


def of_kind(kind, **params):
    estimator = SGDVariantRegressor if kind == "real" else SGDVariantClassifier
    return estimator(tol=1e-13, max_iter=200, **params)


def objective(model, X, y, weight=None):
    """What is minimised, by its definition; of log loss, squared error and squared hinge."""
    w = np.ones(len(X)) if weight is None else weight
    z = X @ np.atleast_2d(model.coef_).T + model.intercept_
    if model.loss == "squared_error":
        losses = 0.5 * (z[:, 0] - y) ** 2
    elif z.shape[1] > 1 and model.multi_class != "ovr":
        codes = np.searchsorted(model.classes_, y)
        losses = np.log(np.exp(z - z.max(axis=1)[:, None]).sum(axis=1)) + z.max(axis=1) - z[np.arange(len(z)), codes]
    else:
        classes = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
        margin = np.where(y[:, None] == classes, 1, -1) * z
        of_margin = {"log_loss": lambda m: np.logaddexp(0, -m), "squared_hinge": lambda m: np.maximum(0, 1 - m) ** 2}
        losses = of_margin[model.loss](margin).sum(axis=1)
    share = {"l2": 0.0, "l1": 1.0, "elasticnet": model.l1_ratio, None: None}[model.penalty]
    penalty = 0.0
    if share is not None:
        W = model.coef_
        penalty = model.alpha * ((1 - share) / 2 * (W * W).sum() + share * np.abs(W).sum())
    return np.average(losses, weights=w) + penalty


SETTINGS = [
    ("binary", {}), ("binary", {"penalty": "l1", "alpha": 1e-2}), ("classes", {}), ("real", {"alpha": 1e-2}),
    ("binary", {"penalty": None, "loss": "squared_hinge"}),
    ("classes", {"multi_class": "ovr", "class_weight": "balanced"}),
    ("classes", {"penalty": "elasticnet", "alpha": 1e-2, "l1_ratio": 0.5}),
    ("real", {"penalty": "l1", "alpha": 0.1, "fit_intercept": False}),
    ("binary", {"fit_intercept": False, "scale_features": False}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "params"), SETTINGS, ids=str)
def test_a_map_gives_the_model_of_an_array(kind, params, mapped):
    X, y = problem(kind)
    here, there = (of_kind(kind, **params).fit(data, y) for data in (X, mapped(X)))
    assert there.status_ == "converged"
    assert there.suboptimality_ <= 1e-12
    scale = np.abs(here.coef_ * X.std(axis=0)).max()
    np.testing.assert_allclose(there.coef_ * X.std(axis=0), here.coef_ * X.std(axis=0), rtol=0, atol=2e-6 * scale)
    if params.get("class_weight") is None:
        assert objective(there, X, y) <= objective(here, X, y) * (1 + 1e-13)
    assert set(there.history_["rows"]) == {N}
    assert there.n_features_in_ == D
    np.testing.assert_array_equal(here.coef_ == 0, there.coef_ == 0)


@pytest.mark.parametrize("kind", ["binary", "classes", "real"])
def test_few_passes_end_a_default_fit_within_what_it_says(kind, mapped):
    X, y = problem(kind, n=60_000)
    model = of_kind(kind).set_params(tol=1e-3).fit(mapped(X), y)
    best = of_kind(kind).fit(X, y)
    constant = of_kind(kind, alpha=1e8).fit(X, y)
    gain = objective(constant, X, y) - objective(best, X, y)
    assert model.n_iter_ <= 2
    assert model.status_ == "converged"
    # what it says may be off by its curvature; it never flatters
    assert objective(model, X, y) - objective(best, X, y) <= model.suboptimality_ * gain <= 1e-3 * gain


def test_what_is_hardly_explained_is_measured_by_all_rows(mapped):
    """A gain so small that the constants of a sample and of all rows differ by more."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40_000, 5)), rng.lognormal(0, 2, 40_000)
    y += 0.01 * X[:, 0]
    here, there = (of_kind("real").set_params(tol=1e-3).fit(data, y) for data in (X, mapped(X)))
    assert there.status_ == here.status_ == "converged"
    assert there.suboptimality_ <= 1e-3


def test_weights_are_repetitions(mapped):
    X, y = problem("binary")
    rng = np.random.default_rng(0)
    times = rng.integers(0, 3, N)
    weighed = of_kind("binary").fit(mapped(X), y, sample_weight=times)
    repeated = of_kind("binary").fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighed.coef_, repeated.coef_, rtol=1e-5)
    alike = of_kind("binary").fit(mapped(X), y, sample_weight=2.0)
    np.testing.assert_allclose(alike.coef_, of_kind("binary").fit(X, y).coef_, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, ">f8"])
def test_any_numbers_of_a_map(dtype, mapped):
    X, y = problem("binary")
    X = (100 * X).astype(dtype)
    model = of_kind("binary").set_params(tol=1e-6).fit(mapped(X, "F"), y)
    plain = of_kind("binary").set_params(tol=1e-6).fit(X, y)
    assert model.coef_.dtype == plain.coef_.dtype
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-2)


def test_rows_in_an_order_that_means_something(mapped):
    """Sorted by class, a class and columns that no sample is sure to show, columns that say the same."""
    X, y = problem("binary")
    y[np.argsort(X[:, 0])[:3]] = 7
    X = np.c_[X, np.zeros((N, 2)), X[:, 0] + X[:, 1], np.full(N, 3.0)]
    X[[10, 11, 12], D] = 1.0
    X[N - 1, D + 1] = -5.0
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    here, there = (of_kind("classes", alpha=1e-3).fit(data, y) for data in (X, mapped(X)))
    assert there.status_ == "converged"
    np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-5)
    assert (there.coef_[:, D : D + 2] != 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("d", [400, 1100])
def test_many_features(d, mapped):
    X, y = make_classification(2 * d, d, n_informative=20, random_state=0)
    here, there = (SGDVariantClassifier(alpha=0.1, tol=1e-9).fit(data, y) for data in (X, mapped(X)))
    assert there.status_ == "converged"
    assert objective(there, X, y) <= objective(here, X, y) * (1 + 1e-8)


@pytest.mark.parametrize("loss", [Huber("auto"), LogCosh("auto"), SquaredEpsilonInsensitive("auto")], ids=str)
def test_a_loss_follows_the_targets_of_a_map(loss, mapped):
    X, y = problem("real")
    weight = np.random.default_rng(1).integers(0, 3, len(X))
    weight[: len(X) // 2] = 0  # in shards, all of them
    here = of_kind("real", loss=loss).fit(X, 100 * y, sample_weight=weight)
    there = of_kind("real", loss=loss).fit(mapped(X), 100 * y, sample_weight=weight)
    assert there.history_["rows"][-1] >= len(X) // 2
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-5)


def test_losses_with_kinks_are_fitted_as_ever(mapped):
    X, y = problem("binary", n=500)
    here, there = (SGDVariantClassifier(loss="hinge").fit(data, y) for data in (X, mapped(X)))
    np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-2 * np.abs(here.coef_).max())


def test_several_labels_are_fitted_as_ever(mapped):
    X, y = problem("binary", n=500)
    table = np.c_[y, 1 - y]
    here, there = (of_kind("classes").fit(data, y) for data, y in ((X, table), (mapped(X), table)))
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-6)
    assert there.fit(mapped(X), table.tolist()).coef_.shape == (2, D)


@pytest.mark.filterwarnings("ignore:Maximum number")
def test_what_takes_steps_or_is_too_wide_is_fitted_as_ever(mapped):
    X, y = problem("binary", n=500)
    wide = np.random.default_rng(0).standard_normal((100, 1100))
    for data, params in (
        (X, {"solver": "adam", "max_iter": 2}),
        (X, {"positive": True}),
        (wide, {"penalty": "l1", "alpha": 0.05}),
    ):
        labels = y[: len(data)]
        here, there = (
            SGDVariantClassifier(random_state=0, **params).fit(rows, labels) for rows in (data, mapped(data))
        )
        np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-6)


def test_validation_rows_that_no_fit_looks_at_are_refused(mapped):
    X, y = problem("binary", n=900)
    for rows in (X, mapped(X), pytest.importorskip("dask.array").from_array(X)):
        with pytest.raises(ValueError, match="X_val and y_val were given but early_stopping=False"):
            of_kind("binary").fit(rows, y, X_val=X, y_val=y)


def test_labels_that_are_counted_and_weights_of_none(mapped):
    X, y = problem("classes")
    numbers = np.searchsorted(np.unique(y), y) + 4
    names = of_kind("classes").fit(mapped(X), y)
    np.testing.assert_array_equal(of_kind("classes").fit(mapped(X), numbers).coef_, names.coef_)
    weight = np.random.default_rng(0).uniform(1, 2, len(y))
    flags, words = (
        of_kind("binary").fit(mapped(X), labels, sample_weight=weight) for labels in (y == "a", (y == "a").astype(str))
    )
    assert flags.classes_.dtype == bool
    np.testing.assert_array_equal(flags.coef_, words.coef_)
    with pytest.raises(ValueError, match="class_weight=.* is zero for all classes"):
        of_kind("classes", class_weight=dict.fromkeys("abc", 0.0)).fit(mapped(X), y)


def test_callbacks_see_the_model_of_each_pass(mapped, monkeypatch):
    X, y = problem("binary")
    seen = []

    class Callback:
        attributes = None

        def epoch_begins(self, models):
            seen.append(models().copy())

        def epoch_ends(self, models):
            seen.append(models().copy())
            return len(seen) == 4

        def end(self):
            """Nothing."""

    model = of_kind("binary")
    monkeypatch.setattr(model, "_begin_callbacks", lambda *data: Callback())
    model.fit(mapped(X), y)
    assert (model.status_, model.n_iter_) == ("interrupted", 2)
    np.testing.assert_allclose(seen[-1][:-1].T, model.coef_)
    np.testing.assert_array_equal(seen[1], seen[2])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_found_on_the_way(value, mapped):
    X, y = problem("binary")
    X[N // 2 + 7, 2] = value
    kind = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(ValueError, match=f"Input X contains {kind}.*Give a table of finite numbers"):
        SGDVariantClassifier().fit(mapped(X), y)


@pytest.mark.parametrize(
    ("y", "weight", "error"),
    [
        (lambda y: np.where(np.arange(N) == 5, np.nan, y), None, "Input y contains NaN"),
        (lambda y: 0 * y, None, "greater than one; got 1 class"),
        (lambda y: y + 0.5 * np.linspace(0, 1, N), None, "Unknown label type: continuous"),
        (lambda y: y[1:], None, "inconsistent numbers of samples"),
        (lambda y: y, lambda: -np.ones(N), "must be zero or positive"),
        (lambda y: y, lambda: np.zeros(N), "zero for all samples"),
        (lambda y: y, lambda: np.ones(3), "one weight per row"),
    ],
)
def test_what_is_refused_leaves_the_earlier_fit(y, weight, error, mapped):
    X, labels = problem("binary")
    model = SGDVariantClassifier().fit(X, labels)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=error):
        model.fit(mapped(X), y(labels), sample_weight=None if weight is None else weight())
    np.testing.assert_array_equal(model.coef_, before)


def test_targets_outside_of_the_domain_are_refused(mapped):
    class Positive(type(SGDVariantRegressor()._losses()["squared_error"]())):
        domain = skvariants._component.Interval(0)

    X, y = problem("real")
    with pytest.raises(ValueError, match="defined for targets that are"):
        SGDVariantRegressor(loss=Positive()).fit(mapped(X), y)


@pytest.mark.parametrize("kind", ["binary", "classes", "real"])
@pytest.mark.filterwarnings("ignore:Maximum number")
def test_a_warm_start_goes_on_to_the_last_bit(kind, mapped):
    X, y = problem(kind)
    X_map = mapped(X)
    step = of_kind(kind, warm_start=True).set_params(max_iter=1)
    for _ in range(3):
        step = pickle.loads(pickle.dumps(step.fit(X_map, y)))
    whole = of_kind(kind, warm_start=True).set_params(max_iter=3).fit(X_map, y)
    np.testing.assert_array_equal(step.coef_, whole.coef_)
    # other rows, and rows in memory: from the coefficients
    model = whole.set_params(max_iter=200)
    model.fit(mapped(X[: N // 2]), y[: N // 2])
    half = of_kind(kind).fit(X[: N // 2], y[: N // 2])
    np.testing.assert_allclose(model.coef_, half.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.fit(X, y).coef_, of_kind(kind).fit(X, y).coef_, rtol=1e-4, atol=1e-6)


def test_a_start_that_is_given_and_rows_that_follow(mapped):
    X, y = problem("binary")
    best = of_kind("binary").fit(X, y)
    again = of_kind("binary").fit(mapped(X), y, coef_init=best.coef_, intercept_init=best.intercept_)
    assert again.n_iter_ <= 2
    far = of_kind("binary").fit(mapped(X), y, coef_init=100 * best.coef_, intercept_init=best.intercept_)
    np.testing.assert_allclose(far.coef_, best.coef_, rtol=1e-5)
    model = again.partial_fit(X[:100], y[:100])
    assert 0 < np.abs(model.coef_ - best.coef_).max() < np.abs(best.coef_).max()


def test_an_interrupt_leaves_the_last_pass(mapped, monkeypatch):
    X, y = problem("binary")
    passes = []

    def statistics(shard, question):
        passes.append(shard[0][0, 0] == X[0, 0])
        if sum(passes) == 3:
            raise KeyboardInterrupt
        return plain(shard, question)

    plain = fits.statistics
    monkeypatch.setattr(fits, "statistics", statistics)
    model = of_kind("binary")
    with pytest.raises(KeyboardInterrupt, match="n_iter_=2"):
        model.fit(mapped(X), y)
    assert model.status_ == "interrupted"
    assert len(model.history_["rows"]) == 2


def test_a_time_ends_a_fit(mapped):
    X, y = problem("binary")
    with pytest.warns(skvariants.estimators.base.ConvergenceWarning, match="max_time"):
        model = of_kind("binary", max_time=1e-9).fit(mapped(X), y)
    assert (model.status_, model.n_iter_) == ("max_time", 1)


# ---------------------------------------------------------------------- sums and engines


def test_parts_are_added_pairwise_by_number():
    class Names(str):
        def __add__(self, other):
            return Names(f"({self}{other})")

    assert tree(Names(name) for name in "abcdefg") == "(((ab)(cd))((ef)g))"
    assert tree([]) is None


def test_any_engine_gives_the_same_bits(mapped, monkeypatch):
    """An engine whose results come out of order, in other threads."""
    X, y = problem("classes")
    X_map = mapped(X)
    alone = of_kind("classes").fit(X_map, y)

    def shuffled(function, shards, *args):
        def late(number, shard):
            time.sleep(1e-4 * ((7 * number) % 5))
            return function(shard, *args)

        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(late, number, shard) for number, shard in enumerate(shards)]
            return [future.result() for future in futures]

    monkeypatch.setattr(tables, "in_turn", shuffled)
    np.testing.assert_array_equal(of_kind("classes").fit(X_map, y).coef_, alone.coef_)


@pytest.mark.parametrize("cuts", [[1], [0, 3000], [0, 1, 2, 3, 100, 100, 5990]])
@pytest.mark.parametrize("kind", ["binary", "classes", "real"])
def test_shards_of_any_size(cuts, kind, monkeypatch):
    """Of one row, of one class, of none."""
    X, y = problem(kind)
    order = np.argsort(y)
    X, y = X[order], y[order]

    def table(X, y, weight):
        bounds = [0, *cuts, N]
        shards = [(X[a:b], y[a:b], None) for a, b in pairwise(bounds)]
        return tables.Table(shards, tables.in_turn, D, X.dtype)

    monkeypatch.setattr(fits, "of_memory_map", table)
    model, plain = of_kind(kind).fit(X, y), of_kind(kind)
    monkeypatch.undo()
    np.testing.assert_allclose(model.coef_, plain.fit(X, y).coef_, rtol=1e-5, atol=1e-7)


def cut(X, y, bounds, weight=None):
    """A table in shards that end at given rows."""
    edges = [0, *bounds, len(X)]
    return [(X[a:b], y[a:b], *(() if weight is None else (weight[a:b],))) for a, b in pairwise(edges)]


@pytest.mark.parametrize("params", [{}, {"penalty": "l1", "alpha": 1e-2}], ids=str)
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "squared_error"])
@pytest.mark.parametrize(("count", "size"), [(1, 1e5), (3, 1.0), (3, 1e3)])
def test_a_column_that_the_sample_does_not_tell(count, size, loss, params):
    """It is zero but in a few rows, or nearly so beside one: the metric of the sample misleads, passes stalled."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((3000, 4))
        X[:, 0] *= size > 1e3
        X[rng.choice(3000, count, replace=False), 0] = size
        kind = "real" if loss == "squared_error" else "binary"
        y = X[:, 1] + rng.logistic(size=3000)
        y = 100 * y if kind == "real" else (y > 0).astype(int)
        here = of_kind(kind, loss=loss, **params).set_params(tol=1e-9).fit(X, y)
        there = of_kind(kind, loss=loss, **params).set_params(tol=1e-9)
        there.fit_batches(cut(X, y, range(300, 3000, 300)))
        assert there.status_ == "converged"
        assert objective(there, X, y) <= objective(here, X, y) + 1e-8


def test_a_class_of_nearly_no_weight():
    """Its few rows are hardly in the sample, whose optimum is worse than a constant model."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5))
    y = np.argmax(X[:, :3] + rng.gumbel(size=(3000, 3)), axis=1)
    weight = rng.exponential(size=3000)
    weight[y == 0] = 0
    weight[np.flatnonzero(y == 0)[0]] = 1.0
    shards = cut(X, y, [2974], weight)
    here = of_kind("classes").set_params(tol=1e-9).fit(X, y, sample_weight=weight)
    there = of_kind("classes").set_params(tol=1e-9).fit_batches(shards)
    assert there.status_ == here.status_ == "converged"
    assert abs(objective(there, X, y, weight) - objective(here, X, y, weight)) <= 1e-8
    assert there.n_iter_ <= 20  # L-BFGS upon the Hessian of an earlier point took 137


# ---------------------------------------------------------------------- what is elsewhere


class Lazy:
    """What dask calls a collection."""

    def __dask_graph__(self):
        return {}


@pytest.fixture
def lazy(monkeypatch):
    if "dask" not in sys.modules:
        stub = type(sys)("dask")
        stub.is_dask_collection = lambda value: hasattr(value, "__dask_graph__")
        monkeypatch.setitem(sys.modules, "dask", stub)
    return Lazy()


def test_collections_are_never_read_in_silence(lazy):
    X, y = problem("binary", n=100)
    model = SGDVariantClassifier().fit(X, y)
    search = BatchedHalvingSearchCV(SGDVariantClassifier(), {"alpha": [1e-4, 1e-3]})
    calls = [
        lambda: model.partial_fit(lazy, y), lambda: search.fit(lazy, y), lambda: diagnose(lazy, y),
        lambda: model.fit(X, lazy), lambda: model.fit(X, y, sample_weight=lazy),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(TypeError, match="is a dask collection.*compute"):
            call()
    for params in ({"loss": "hinge"}, {"solver": "adam"}, {"early_stopping": True}):
        with pytest.raises(TypeError, match=r"X is a dask collection, and .*: a fit would read all of it"):
            SGDVariantClassifier(**params).fit(lazy, y)


@pytest.fixture
def collections():
    """Dask arrays and data frames of a table, or a skip."""
    array, frame = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y = problem("binary")
    columns = pd.DataFrame(X, columns=list("abcdef")).assign(y=np.where(y, "yes", "no"))
    return X, y, array, frame.from_pandas(columns, npartitions=4)


@pytest.mark.slow
def test_a_dask_array_is_fitted_block_by_block(collections):
    import dask
    import scipy.sparse as sp

    X, y, da, _ = collections
    best = of_kind("binary").fit(X, y)
    X_lazy, y_lazy = da.from_array(X, chunks=(1300, D)), da.from_array(y, chunks=1300)
    weight = da.ones(N, chunks=700)
    order = da.from_array(np.argsort(y), chunks=N)
    gone = da.from_array(np.arange(N) < 0, chunks=1300)
    model = of_kind("binary").fit(X_lazy, y_lazy)
    assert model.status_ == "converged"
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(of_kind("binary").fit(X_lazy, y_lazy).coef_, model.coef_)
    for data in (
        (X_lazy, y), (da.from_array(X, chunks=(1300, 2)), da.from_array(y, chunks=2000)), (X_lazy, y_lazy, weight),
        (X_lazy.map_blocks(sp.csr_matrix), y_lazy), (X_lazy[order], y_lazy[order]),
        (da.concatenate([X_lazy[gone], X_lazy]), da.concatenate([y_lazy[gone], y_lazy])),
    ):  # fmt: skip
        fitted = of_kind("binary").fit(*data[:2], sample_weight=data[2] if len(data) > 2 else None)
        np.testing.assert_allclose(fitted.coef_, best.coef_, rtol=1e-6)
    part = da.from_array(X[:0], chunks=(1300, D))
    with pytest.raises(ValueError, match="X holds no rows"):
        of_kind("binary").fit(part, da.from_array(y[:0], chunks=1300))
    X[4000, 1] = np.nan
    for data, error in (
        ((da.from_array(X, chunks=(1300, D)), y_lazy), "Input X contains NaN"),
        ((X_lazy, y_lazy[:-1]), "5999 rows and X has 6000"), ((X_lazy, y[:-1]), "5999 rows and X has 6000"),
        ((X_lazy[gone], y), "not known"), ((X_lazy[gone], y_lazy), "block|rows"),
        ((X_lazy[:, 0], y_lazy), "1 dimension"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=error):
            of_kind("binary").fit(*data)


@pytest.mark.slow
def test_a_dask_frame_is_fitted_block_by_block(collections):
    X, y, _, frame = collections
    best = of_kind("binary").fit(X, y)
    features = frame[list("abcdef")]
    model = of_kind("binary").fit(features, frame["y"])
    np.testing.assert_allclose(model.coef_, best.coef_, rtol=1e-6)
    assert list(model.feature_names_in_) == list("abcdef")
    assert list(model.classes_) == ["no", "yes"]
    assert set(model.predict(features.head(5))) <= {"no", "yes"}
    arrays = of_kind("binary").fit(features.to_dask_array(), (frame["y"] == "yes").astype(int).to_dask_array())
    np.testing.assert_allclose(arrays.coef_, best.coef_, rtol=1e-6)
    with pytest.raises(ValueError, match="X has the column 'y' of dtype str"):
        of_kind("binary").fit(frame, frame["y"])
    with pytest.raises(ValueError, match=r"y is in memory.*compute_chunk_sizes"):
        of_kind("binary").fit(features, y)
    with pytest.raises(ValueError, match="y has 4 blocks and X has 2"):
        of_kind("binary").fit(features.repartition(npartitions=2), frame["y"])


class Elsewhere:
    """An array that NumPy cannot read."""

    dtype, shape, ndim = "float64", (100, D), 2

    def __dlpack__(self):
        raise BufferError

    def __array__(self, *args, **kwargs):
        raise TypeError("it is on another device")


def test_arrays_that_numpy_cannot_read_are_named():
    X, y = problem("binary", n=100)
    model = SGDVariantClassifier().fit(X, y)
    for call, name in (
        (lambda: model.fit(Elsewhere(), y), "X"), (lambda: model.fit(X, Elsewhere()), "y"),
        (lambda: model.predict(Elsewhere()), "X"),
        (lambda: model.fit(X, y, sample_weight=Elsewhere()), "sample_weight"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"^{name} of type Elsewhere .*: it is on another device. Give numbers"):
            call()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux")
def test_a_fit_under_a_memory_limit(tmp_path):
    """400,000 x 100 doubles (320 MB) are fitted where 200 MB more cannot be allocated."""
    code = f"""
        import resource
        import numpy as np
        from skvariants import SGDVariantClassifier
        X = np.memmap({str(tmp_path / "X")!r}, dtype=float, mode="w+", shape=(400_000, 100))
        rng = np.random.default_rng(0)
        for i in range(0, len(X), 10_000):
            X[i : i + 10_000] = rng.standard_normal((10_000, 100))
        y = (X[:, :5].sum(axis=1) > 0).astype(np.int8)
        SGDVariantClassifier().fit(X[:100], y[:100])  # what is loaded on first use
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 200_000_000, -1))
        model = SGDVariantClassifier(alpha=0.1).fit(X, y)
        assert model.status_ == "converged"
        assert sum(model.history_["rows"]) <= 3 * len(X)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)

"""Rows that others hold: clusters of dask, executors of Python, Ray; real processes are started and stopped here."""

import functools
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import types
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._blocks import cluster as clusters
from skvariants._blocks.engines import Tree, runs_of, summed, tree
from skvariants._blocks.sums import Sums
from skvariants.distributed import fit
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV

N, D = 6000, 6


def problem(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D)) * 10.0 ** rng.uniform(-1, 1, D)
    z = X / X.std(axis=0) @ rng.standard_normal(D)
    return X, np.where(z + rng.logistic(size=N) > 0, "yes", "no"), rng.random(N)


def model(**params):
    return SGDVariantClassifier(tol=1e-12, **params)


# ---------------------------------------------------------------------- runs and executors


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("count", [1, 4, 7, 23, 64])
def test_a_sum_of_runs_is_that_of_blocks_to_the_last_bit(count, workers):
    values = list(np.random.default_rng(0).standard_normal(count) * 10.0 ** np.arange(count).clip(0, 17))
    runs = runs_of(values, float, workers)
    assert len(runs) <= 4 * workers
    assert [block for run in runs for block in run.blocks] == values
    assert tree(summed(run, np.float64) for run in runs) == tree(np.float64(value) for value in values)


@pytest.mark.parametrize("places", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 4, 7, 23, 64])
def test_a_sum_of_pieces_that_are_in_several_places_is_that_of_blocks_to_the_last_bit(count, places):
    rng, seen, total = np.random.default_rng(count), [], Tree()
    values = list(rng.standard_normal(count) * 10.0 ** np.arange(count).clip(0, 17))
    where = list(np.sort(rng.integers(places, size=count)) if count % 2 else rng.integers(places, size=count))
    runs = runs_of(values, float, 2)
    for run in runs:
        for place, size, piece in clusters._pieces(run, len(runs[0].blocks), where):
            assert {place} == {where[len(seen) + i] for i in range(len(piece.blocks))}
            assert piece.first == len(seen)
            seen += piece.blocks
            total.add(summed(piece, np.float64), size)
    assert seen == values
    assert total.total() == tree(np.float64(value) for value in values)


class OutOfOrder(ThreadPoolExecutor):
    """An executor of which the first task ends last."""

    def submit(self, function, *args, **kwargs):
        self.count = getattr(self, "count", 0) + 1
        return super().submit(self._late, 0.02 / self.count, function, *args, **kwargs)

    @staticmethod
    def _late(seconds, function, *args, **kwargs):
        time.sleep(seconds)
        return function(*args, **kwargs)


def in_blocks(X, y, weight=None, cuts=(0, 700, 700, 701, 2500, 4000, 4100, 5999, N)):
    return [
        (X[a:b], y[a:b]) if weight is None else (X[a:b], y[a:b], weight[a:b]) for a, b in pairwise(cuts)
    ]  # fmt: skip


def block_of(number):
    return in_blocks(*problem())[number]


def test_an_executor_gives_the_bits_of_one_process():
    X, y, weight = problem()
    blocks = in_blocks(X, y, weight)
    alone = fit(model(), blocks)
    assert alone.status_ == "converged"
    np.testing.assert_allclose(alone.coef_, model().fit(X, y, sample_weight=weight).coef_, rtol=1e-5)
    for workers in (1, 3):
        with OutOfOrder(workers) as executor:
            np.testing.assert_array_equal(fit(model(), blocks, engine=executor).coef_, alone.coef_)

    def own(function, shards, *args):
        return [function(shard, *args) for shard in shards]

    np.testing.assert_array_equal(fit(model(), blocks, engine=own).coef_, alone.coef_)


def test_results_come_back_as_they_are():
    large = np.random.default_rng(0).standard_normal((3000, 7))
    sums = Sums(1.0, np.ones(1), large[:, :1], large[::2], None)
    names = {"names": np.array(["x"], object)}
    results = [(large, np.array(["a", "bb"])), large.T, large[::3, ::-1], sums, None, names]
    packed = clusters._packed(results)
    assert len(packed) > 1
    assert len(packed[0]) < large.nbytes
    (first, labels), turned, some, back, nothing, named = clusters._unpacked(packed)
    for found, given in ((first, large), (turned, large.T), (some, large[::3, ::-1]), (back.along, large[::2])):
        np.testing.assert_array_equal(found, given)
    np.testing.assert_array_equal((back + back).gradient, 2 * sums.gradient)
    assert (labels.tolist(), nothing, named["names"].tolist()) == (["a", "bb"], None, ["x"])


def test_a_loss_follows_the_targets_of_blocks():
    X, _, weight = problem()
    y = 100 * (X / X.std(axis=0)).sum(axis=1) + 50 * np.random.default_rng(1).standard_t(2, N)
    asked = SGDVariantRegressor("huber", epsilon="auto", tol=1e-12)
    there, here = fit(asked, in_blocks(X, y, weight)), asked.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-5)


def test_blocks_are_functions_sparse_or_frames():
    import pandas as pd
    import scipy.sparse as sp

    X, y, weight = problem()
    plain = fit(model(), in_blocks(X, y, weight))
    for blocks, params in (
        ([functools.partial(tuple, block) for block in in_blocks(X, y, weight)], {}),
        ([(sp.csr_matrix(block[0]), *block[1:]) for block in in_blocks(X, y, weight)], {}),
        (
            [pd.DataFrame(A, columns=list("abcdef")).assign(y=b, w=c) for A, b, c in in_blocks(X, y, weight)],
            {"target": "y", "sample_weight": "w"},
        ),
    ):
        with ThreadPoolExecutor(2) as executor:
            fitted = fit(model(), iter(blocks), engine=executor, **params)
        np.testing.assert_allclose(fitted.coef_, plain.coef_, rtol=1e-9)
    assert list(fitted.feature_names_in_) == list("abcdef")
    read = []

    def reading(block):
        read.append(block[0])
        return block

    fitted = fit(model(), [functools.partial(reading, block) for block in in_blocks(X, y, weight) if len(block[0])])
    np.testing.assert_allclose(fitted.coef_, plain.coef_, rtol=1e-9)
    # what they are; their targets, with a sample; and the passes
    assert sum(map(len, read)) == N * (2 + fitted.n_iter_)
    single = fit(SGDVariantRegressor(), [(X.astype(np.float32), weight)])
    assert single.coef_.dtype == np.float32


@pytest.mark.parametrize("far", [30.0, 1e4])
def test_a_start_that_is_worse_than_a_constant_gives_way_to_it(far):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 3))
    y = rng.poisson(np.exp(np.clip(X[:, 0], -5, 4))).astype(float)
    X[-100, 0] = far  # where the model of the rows before foresees 1e13 and more
    blocks = [(X[i : i + 1000], y[i : i + 1000]) for i in range(0, 6000, 1000)]
    warm = SGDVariantRegressor("poisson", tol=1e-8, warm_start=True).fit(X[:5000], y[:5000])
    fitted = fit(warm, blocks)
    assert fitted.status_ == "converged"
    assert fitted.n_iter_ < 20
    mean = np.exp(X @ fitted.coef_ + fitted.intercept_)
    gradient = (X.T @ (mean - y) / len(y) + fitted.alpha * fitted.coef_) / X.std(axis=0)
    assert np.abs(gradient).max() < 1e-3
    constant = y.mean() - y.mean() * np.log(y.mean())
    assert (mean - y * np.log(mean)).mean() < constant


def test_what_blocks_are_not():
    import pandas as pd
    from sklearn.pipeline import make_pipeline

    X, y, _ = problem()
    frame = pd.DataFrame({"t": y[:9], "x": X[:9, 0]})
    Z = X.copy()
    Z[4050, 2] = np.nan
    half, other = (X[:9], y[:9]), (X[9:], y[9:])
    for call, kind, words in (
        (lambda: fit(model(), []), ValueError, "blocks is empty"),
        (lambda: fit(model(), [X]), ValueError, r"type ndarray: give \(X, y\).* block 0 of"),
        (lambda: fit(model(), [(X, y), (X[:, 1:], y)]), ValueError, "different features: 6 .* and 5 "),
        (lambda: fit(model(), [(X[:, 0], y)]), ValueError, "1 dimensions"),
        (lambda: fit(model(), [(X, y[1:])]), ValueError, "as many rows of each"),
        (lambda: fit(model(), in_blocks(Z, y)), ValueError, "contains NaN.* It is block 5 of the rows"),
        (lambda: fit(model(), in_blocks(np.where(X > 0, np.nan, X), y)), ValueError, "NaN.* block 0 of the rows"),
        (lambda: fit(model(), [(X[:0], y[:0])]), ValueError, "X holds no rows"),
        (lambda: fit(model(), [(X[:, :0], y)]), ValueError, "X has no columns.* block 0 of"),
        (lambda: fit(model(), [half, (X + 1j, y)]), ValueError, "X has the dtype complex128.* block 1 of"),
        (lambda: fit(model(), [half, (np.ma.masked_less(X, 0), y)]), ValueError, "X has masked entries.* block 1 of"),
        (lambda: fit(model(), [half, (X, y[:, None])]), ValueError, r"y has the shape \(6000, 1\).* block 1 of"),
        (lambda: fit(model(), [half, (X, np.ones(N))]), ValueError, "labels of several kinds, such as '.*' and 1.0"),
        (lambda: fit(model(), [half, (*other, np.ones(N - 9))]), ValueError, "Some blocks have weights and others"),
        (lambda: fit(model(), [(*half, np.ones(9)), other]), ValueError, "Some blocks have weights and others"),
        (lambda: fit(model(loss="hinge"), [(X, y)]), TypeError, "Hinge has kinks.*give them one after the other"),
        (lambda: fit(model(), [(X, y)], engine="dask"), TypeError, "engine of type str is not accepted"),
        (lambda: fit(model(), [half, (X, None)]), ValueError, "y is None: give a target for each row.* block 1 of"),
        (lambda: fit(model(), [(X, y, 2.0)]), ValueError, "as many rows of each"),
        (lambda: fit(model(), [(X, y)], sample_weight="w"), ValueError, "sample_weight='w' .*target is None: give tar"),
        (lambda: fit(model(), [(X, y)], target="t"), ValueError, "type tuple, and target='t' .*without target.* block"),
        (lambda: fit(model(), [frame], target="q"), ValueError, r"target='q' is no .* \['t', 'x'\]. It is block 0"),
        (lambda: fit(model(), [frame], target="t", sample_weight="w"), ValueError, "sample_weight='w' is no column"),
        (lambda: fit(make_pipeline(model()), [(X, y)]), TypeError, "estimator of type Pipeline .*transform blocks"),
        (lambda: fit(BatchedGridSearchCV(model(), {}), [(X, y)]), TypeError, "BatchedGridSearchCV .*by fit_batches"),
        (lambda: fit(SGDVariantClassifier, [(X, y)]), TypeError, "of class SGDVariantClassifier is not accepted"),
    ):
        with pytest.raises(kind, match=words):
            call()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda results: results[:-1], ValueError, "engine returned 7 results for 8 shards: return the result of each"),
        (lambda results: [*results, results[0]], ValueError, "engine returned 9 results for 8 shards"),
        (lambda results: iter(results[1:]), ValueError, "engine returned 7 results for 8 shards"),
        (lambda results: None, TypeError, "engine returned None for 8 shards: return the result of each"),
    ],
)
def test_an_engine_gives_a_result_of_each_shard(change, kind, words):
    def engine(function, shards, *args):
        return change([function(shard, *args) for shard in shards])

    engine.workers = 2
    with pytest.raises(kind, match=words):
        fit(model(), in_blocks(*problem()), engine=engine)


def test_a_pool_that_is_broken_is_an_error():
    class Broken:
        _max_workers = 2

        def submit(self, *args):
            from concurrent.futures.process import BrokenProcessPool

            future = Future()
            future.set_exception(BrokenProcessPool("gone"))
            return future

    with pytest.raises(RuntimeError, match="lost a worker .BrokenProcessPool.: start another and fit again"):
        fit(model(), in_blocks(*problem()), engine=Broken())


@pytest.mark.slow
def test_other_processes_give_the_bits_of_one():
    alone = fit(model(), in_blocks(*problem()))
    import multiprocessing

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        blocks = [functools.partial(block_of, number) for number in range(8)]
        np.testing.assert_array_equal(fit(model(), blocks, engine=executor).coef_, alone.coef_)


# ---------------------------------------------------------------------- Ray


class Reference:
    """What Ray gives for an object."""

    def __init__(self, value):
        self.value = value


class RayError(Exception):
    """Of the stand-in."""


class RayTaskError(RayError):
    """An error of a task."""

    def __init__(self, cause):
        self.cause = cause


@pytest.fixture
def ray(monkeypatch):
    """A stand-in of Ray's interface: references, tasks that are computed when asked for, resources."""
    ray = types.ModuleType("ray")
    ray.ObjectRef = Reference
    ray.put = Reference
    ray.exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    ray.is_initialized = lambda: True
    ray.cluster_resources = lambda: {"CPU": 2.0}
    ray.lost = set()

    class Task:
        def __init__(self, function):
            self.function = function

        def remote(self, *args):
            assert not any(isinstance(arg, np.ndarray) for arg in args)
            return Reference((self.function, args))

    def value(task):
        function, args = task.value
        if any(isinstance(arg, Reference) and id(arg) in ray.lost for arg in args):
            raise RayError("lost")
        try:
            return function(*[arg.value if isinstance(arg, Reference) else arg for arg in args])
        except ValueError as error:
            raise RayTaskError(error) from None

    ray.remote = Task
    ray.get = lambda tasks: [value(task) for task in tasks]
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_executors_that_cannot_work_say_so():
    blocks = in_blocks(*problem())
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="is shut down: start another and fit again"):
        fit(model(), blocks, engine=executor)
    with ProcessPoolExecutor(1) as executor:  # starts none where a task cannot be sent
        read = [lambda block=block: block for block in blocks]
        with pytest.raises(TypeError, match=r"cannot send this one .*: give blocks or functions of a module"):
            fit(model(), read, engine=executor)


def test_references_of_ray_give_the_bits_of_one_process(ray):
    X, y, weight = problem()
    blocks = in_blocks(X, y, weight)
    alone = fit(model(), blocks)
    references = [ray.put(block) for block in blocks]
    for given in ({}, {"engine": ray}):
        np.testing.assert_array_equal(fit(model(), references, **given).coef_, alone.coef_)
    np.testing.assert_array_equal(fit(model(), blocks, engine=ray).coef_, alone.coef_)

    class Dataset:
        def to_pandas_refs(self):
            import pandas as pd

            return [ray.put(pd.DataFrame(A, columns=list("abcdef")).assign(y=b)) for A, b in in_blocks(X, y)]

    named = fit(model(), Dataset(), target="y")
    np.testing.assert_allclose(named.coef_, fit(model(), in_blocks(X, y)).coef_, rtol=1e-9)
    references[1] = ray.put((X[:, :2], y))
    with pytest.raises(ValueError, match="different features"):
        fit(model(), references)
    ray.lost.add(id(references[0]))
    with pytest.raises(RuntimeError, match=r"Ray has lost blocks of the rows \(RayError\).*fit again"):
        fit(model(), references)
    ray.is_initialized = lambda: False
    with pytest.raises(ValueError, match=r"call ray.init\(\) before"):
        fit(model(), references)
    with pytest.raises(ValueError, match=r"NaN.* block 1"):
        ray.is_initialized = lambda: True
        fit(model(), [ray.put((X, y)), ray.put((X, np.where(y == "no", np.nan, 1)))])


@pytest.mark.slow
def test_ray_itself_gives_the_bits_of_one_process():
    """In a process of its own, as Ray starts others and warns of much; a worker is killed between rounds."""
    pytest.importorskip("ray")
    code = """
        import os, signal, sys
        import numpy as np, ray
        sys.path.insert(0, os.environ["TESTS"])
        from test_cluster import fit, in_blocks, model, problem
        from skvariants._blocks.engines import OnRay
        blocks = in_blocks(*problem())
        alone = fit(model(), blocks)
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
        make = ray.remote(lambda number: blocks[number])
        plain, rounds = OnRay.__call__, []
        def call(self, *args):
            rounds.append(args)
            if len(rounds) == 4:
                os.kill(ray.get(ray.remote(lambda: os.getpid()).remote()), signal.SIGKILL)
            return plain(self, *args)
        OnRay.__call__ = call
        for references in ([ray.put(block) for block in blocks], [make.remote(i) for i in range(len(blocks))]):
            assert np.array_equal(fit(model(), references).coef_, alone.coef_)
        assert np.array_equal(fit(model(), blocks, engine=ray).coef_, alone.coef_)
        ray.shutdown()
    """
    env = os.environ | {"TESTS": os.path.dirname(__file__), "RAY_USAGE_STATS_ENABLED": "0"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=env)


# ---------------------------------------------------------------------- collections of dask, without a cluster


@pytest.fixture
def collections():
    """Dask arrays, with chunks along the columns, and a data frame of the same rows; or a skip."""
    da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y, weight = problem()
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcdef")).assign(y=y, w=weight), npartitions=7)
    lazy = da.from_array(X, chunks=(500, 4)), da.from_array(y, chunks=700), da.from_array(weight, chunks=400)
    return types.SimpleNamespace(X=X, y=y, weight=weight, lazy=lazy, frame=frame, da=da)


@pytest.mark.parametrize("kind", ["binary", pytest.param("classes", marks=pytest.mark.slow)])
def test_predictions_stay_where_the_rows_are(kind, collections):
    import dask.array as da

    X, y, weight = collections.X, collections.y, collections.weight
    y = y if kind == "binary" else np.where(X[:, 0] > 0, y, "other")
    features = collections.frame[list("abcdef")]
    fitted, named = (SGDVariantClassifier(random_state=0).fit(data, y) for data in (X, features.compute()))
    X_lazy = collections.lazy[0]
    for method in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
        here = getattr(fitted, method)(X)
        there, of_frame = getattr(fitted, method)(X_lazy), getattr(named, method)(features)
        assert isinstance(there, da.Array)
        assert isinstance(of_frame, da.Array)
        assert (there.shape, there.dtype) == (here.shape, here.dtype)
        for some in (there, of_frame):
            if method == "predict":
                np.testing.assert_array_equal(some.compute(), here)
            else:
                np.testing.assert_allclose(some.compute(), here, rtol=1e-10)
    y_lazy = da.from_array(y, chunks=700)
    assert fitted.score(X_lazy, y_lazy) == pytest.approx(fitted.score(X, y), rel=1e-12)
    weighted = fitted.score(X_lazy, y_lazy, collections.lazy[2])
    assert weighted == pytest.approx(fitted.score(X, y, weight), rel=1e-12)
    assert collections.frame.assign(p=named.predict(features)).compute()["p"].tolist() == fitted.predict(X).tolist()


def test_lengths_that_are_known_spare_a_pass_and_change_no_bit(collections):
    import dask

    da, seen = collections.da, []

    def counted(block):
        seen.append(len(block))
        return block

    X = da.from_array(collections.X, chunks=(500, -1)).map_blocks(counted, dtype=float)
    y, everywhere = da.from_array(collections.y, chunks=500), da.ones(N, chunks=500) > 0
    with dask.config.set(scheduler="synchronous"):
        seen.clear()
        known = model().fit(X, y)
        assert sum(seen) == N * (1 + known.n_iter_)
        seen.clear()
        unknown = model().fit(X[everywhere], y[everywhere])
    assert sum(seen) == N * (2 + unknown.n_iter_)
    np.testing.assert_array_equal(known.coef_, unknown.coef_)


def test_what_is_no_table_beside_a_collection(collections):
    import dask

    (X, y, weight), frame = collections.lazy, collections.frame
    for given, kind, words in (
        ((dask.delayed(collections.X), y), TypeError, "X is of type Delayed.* no dask array or data frame"),
        ((X, None), ValueError, "y is None, and X a dask collection"),
        ((X, y, 2.0), ValueError, "sample_weight is 2.0, and X a dask collection"),
        ((X, y[:, None]), ValueError, r"y has 2 dimensions.*frame\['label'\]"),
        ((frame[list("abc")], frame[["y"]]), ValueError, r"y has 2 dimensions.*frame\['label'\]"),
        ((X[:, :0], y), ValueError, "X has no columns"),
        ((X.astype(complex), y), ValueError, "X has the dtype complex128"),
        ((collections.da.ma.masked_greater(X, 0), y), ValueError, r"X has masked entries.* block \d+ of the rows"),
        ((X, y, -weight), ValueError, r"Negative values.* block \d+ of the rows"),
    ):
        with dask.config.set(scheduler="synchronous"), pytest.raises(kind, match=words):
            model().fit(*given[:2], sample_weight=given[2] if len(given) > 2 else None)


def test_what_is_asked_for_later_is_asked_of_the_model_of_then(collections):
    X, y, _ = problem()
    fitted = SGDVariantClassifier().fit(X, y)
    before, lazy = fitted.predict(X), fitted.predict(collections.lazy[0])
    fitted.fit(X, before[::-1])
    np.testing.assert_array_equal(lazy.compute(), before)
    X_empty = collections.lazy[0][collections.lazy[0][:, 0] > np.inf]
    assert fitted.predict(X_empty).compute().shape == (0,)
    assert fitted.score(collections.lazy[0], collections.lazy[1]) > 0
    for data, kind, words in (
        (collections.lazy[0][:, :3], ValueError, "X has 3 features"),
        (collections.lazy[0][:, 0], ValueError, "1 dimensions"),
    ):
        with pytest.raises(kind, match=words):
            fitted.predict(data)
    named = SGDVariantClassifier().fit(collections.frame[list("abcdef")].compute(), y)
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(collections.frame[list("fedcba")])


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("squared_error", lambda z: z), ("huber", lambda z: z), ("squared_error", lambda z: np.c_[z, z**2]),
        ("squared_error", lambda z: 0 * z),
        ("poisson", lambda z: np.exp(z)), ("gamma", lambda z: np.exp(z)), ("binomial", lambda z: 1.0 * (z > 0)),
    ],
)  # fmt: skip
def test_scores_of_real_targets_are_those_in_memory(loss, target, collections):
    import dask.array as da

    rng = np.random.default_rng(0)
    X = collections.X
    y = target(X[:, 0] / X[:, 0].std() + rng.standard_normal(N))
    fitted = SGDVariantRegressor(loss=loss, alpha=1e-2).fit(X, y)
    X_lazy, _, w_lazy = collections.lazy
    y_lazy = da.from_array(y, chunks=700)
    if np.ptp(y) > 0:
        expected = fitted.score(X, y), fitted.score(X, y, collections.weight)
        assert fitted.score(X_lazy, y_lazy) == pytest.approx(expected[0], rel=1e-9)
        assert fitted.score(X_lazy, y_lazy, w_lazy) == pytest.approx(expected[1], rel=1e-9)
    else:
        assert fitted.score(X_lazy, y_lazy) == fitted.score(X, y)
    np.testing.assert_allclose(fitted.predict(X_lazy).compute(), fitted.predict(X), rtol=1e-10)


@pytest.fixture
def small_files(tmp_path):
    """A frame of many small files, of which dask reads several together: more of them where fewer columns are."""
    dd, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    X, y, weight = problem()
    table = pd.DataFrame(X, columns=list("abcdef")).assign(y=y, w=weight)[: N // 4]
    for number, (begin, end) in enumerate(pairwise(np.linspace(0, N // 4, 13).astype(int))):
        table[begin:end].to_parquet(tmp_path / f"{number:03}.parquet")
    frame = dd.read_parquet(tmp_path)
    assert len(frame["y"].to_delayed()) != len(frame[list("abcdef")].to_delayed())
    return types.SimpleNamespace(table=table, frame=frame, features=list("abcdef"))


def test_small_files_have_the_same_blocks_for_all_that_goes_with_their_rows(small_files):
    table, frame, features = small_files.table, small_files.frame, small_files.features
    there = model().fit(frame[features], frame["y"], sample_weight=frame["w"])
    expected = model().fit(table[features], table["y"], sample_weight=table["w"])
    np.testing.assert_allclose(there.coef_, expected.coef_, rtol=1e-5)
    labels = there.predict(table[features])
    score = there.score(table[features], table["y"], table["w"])
    assert there.score(frame[features], frame["y"], frame["w"]) == pytest.approx(score, rel=1e-12)
    predicted = frame.assign(p=there.predict(frame[features])).compute()
    np.testing.assert_array_equal(predicted["p"], labels)
    asked = {"estimator": model(), "param_grid": {"alpha": [1e-4, 1e-1]}, "cv": 2}
    found, known = (
        BatchedGridSearchCV(**asked).fit(rows[features], rows["y"], sample_weight=rows["w"]) for rows in (frame, table)
    )
    np.testing.assert_allclose(found.cv_results_["mean_test_score"], known.cv_results_["mean_test_score"], atol=1e-9)
    arrays = [frame[part].to_dask_array() for part in (features, "w")]
    with pytest.raises(ValueError, match=r"y has \d+ blocks and X has \d+.*compute_chunk_sizes\(\)"):
        SGDVariantRegressor().fit(*arrays)
    there = SGDVariantRegressor(tol=1e-12).fit(*(part.compute_chunk_sizes() for part in arrays))
    expected = SGDVariantRegressor(tol=1e-12).fit(table[features], table["w"])
    np.testing.assert_allclose(there.coef_, expected.coef_, rtol=1e-5)


def test_searches_say_where_they_would_read_all(collections):
    search = BatchedHalvingSearchCV(SGDVariantClassifier(), {"alpha": [1e-4, 1e-3]})
    with pytest.raises(TypeError, match="X is a dask collection.*give X.compute"):
        search.fit(*collections.lazy[:2])
    search.fit(collections.X, collections.y)
    np.testing.assert_array_equal(search.predict(collections.lazy[0]).compute(), search.predict(collections.X))


def test_what_is_asked_of_a_collection_is_not_asked_before_it_is_refused(collections):
    X, y, _ = collections.lazy
    with pytest.raises(TypeError, match="X is a dask collection.*to partial_fit"):
        SGDVariantClassifier().partial_fit(X, y)
    with pytest.raises(TypeError, match=r"y is a dask collection, and X is none.*X.map_blocks\(steps.transform\)"):
        SGDVariantClassifier().fit(collections.X, y)  # as after a step of a pipeline


def test_delayed_values_are_blocks(collections):
    import dask

    blocks = in_blocks(*problem())
    given = [dask.delayed(block_here)(block) for block in blocks]
    alone = fit(model(), blocks)
    np.testing.assert_array_equal(fit(model(), given).coef_, alone.coef_)
    with ThreadPoolExecutor(2) as executor:
        np.testing.assert_array_equal(fit(model(), given, engine=executor).coef_, alone.coef_)


def test_dask_collections_are_for_the_estimator(collections):
    with pytest.raises(TypeError, match=r"these are for fit\(X, y\)"):
        fit(model(), collections.lazy[0])


# ---------------------------------------------------------------------- a cluster of two processes


def started():
    """A cluster on loopback, and its client."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    )
    return cluster, distributed.Client(cluster)


def stopped(cluster, client):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sockets that are closed by the collector
        client.close()
        cluster.close()
        gc.collect()


@pytest.fixture(scope="module")
def client():
    yield from clients()


@pytest.fixture
def own_client():
    """Of a cluster that no other test has scaled: what is scattered to a worker that leaves is lost."""
    yield from clients()


def clients():
    pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster, client = started()
    yield client
    stopped(cluster, client)


#: A cluster leaves sockets to the collector, which say so in whatever test comes next.
on_cluster = [
    pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]  # fmt: skip


def marked(test):
    for mark in on_cluster:
        test = mark(test)
    return test


@pytest.fixture
def tasks(monkeypatch):
    """How many tasks each round had."""
    seen = []
    plain = clusters.OnCluster._results

    def counted(self, futures):
        seen.append(len(futures))
        return plain(self, futures)

    monkeypatch.setattr(clusters.OnCluster, "_results", counted)
    return seen


def here(*data, **params):
    import dask

    with dask.config.set(scheduler="synchronous"):
        return model(**params).fit(*data[:2], sample_weight=data[2] if len(data) > 2 else None)


@marked
def test_two_workers_give_the_bits_of_one_process(client, collections, tasks):
    X, y, weight = collections.lazy
    plain = here(X, y, weight)
    assert plain.status_ == "converged"
    there = model().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(there.coef_, plain.coef_)
    assert max(tasks) <= 4 * 2
    X, y, weight = client.persist([X, y, weight])
    np.testing.assert_array_equal(model().fit(X, y, sample_weight=weight).coef_, plain.coef_)
    np.testing.assert_array_equal(model().fit(X, collections.y, sample_weight=collections.weight).coef_, plain.coef_)
    assert there.score(X, y, weight) == pytest.approx(there.score(collections.X, collections.y, collections.weight))
    np.testing.assert_array_equal(there.predict(X).compute(), there.predict(collections.X))


@marked
def test_features_that_workers_hold_stay_with_them(client, collections):
    from dask.distributed import futures_of, wait

    X, y = collections.da.from_array(collections.X, chunks=(500, -1)), collections.da.from_array(collections.y, 500)
    plain, X = here(X, y), client.persist(X)
    rows = futures_of(X)
    wait(rows)
    before = client.who_has(rows)
    assert len(set(before.values())) == 2
    np.testing.assert_array_equal(model().fit(X, y).coef_, plain.coef_)
    assert client.who_has(rows) == before


@marked
def test_a_short_round_is_a_task_for_each_worker(client, collections, tasks, monkeypatch):
    X, y, weight = (
        collections.da.from_array(part, chunks=(500, -1)[: part.ndim])
        for part in (collections.X, collections.y, collections.weight)
    )
    monkeypatch.setattr(clusters, "_LONG", np.inf)
    short = model().fit(X, y, sample_weight=weight)
    assert set(tasks) == {2}
    monkeypatch.setattr(clusters, "_LONG", 0.0)  # from the second one on all are long
    tasks.clear()
    np.testing.assert_array_equal(model().fit(X, y, sample_weight=weight).coef_, short.coef_)
    assert tasks[0] == 2
    assert 2 < min(tasks[1:]) <= max(tasks[1:]) <= 4 * 2
    # neighbours of which parts are the same: as few as possible of these are held at a time
    monkeypatch.setattr(clusters, "_LONG", np.inf)
    tasks.clear()
    X, y, weight = collections.lazy
    model().fit(X, y, sample_weight=weight)
    assert min(tasks) > 2


@marked
def test_frames_and_odd_blocks_on_a_cluster(client, collections, small_files):
    import scipy.sparse as sp

    da, (X, y, _) = collections.da, collections.lazy
    features = collections.frame[list("abcdef")]
    plain = here(features, collections.frame["y"], collections.frame["w"])
    for frame in (collections.frame, collections.frame.persist()):
        there = model().fit(frame[list("abcdef")], frame["y"], sample_weight=frame["w"])
        np.testing.assert_array_equal(there.coef_, plain.coef_)
    files = [small_files.frame[part] for part in (small_files.features, "y", "w")]
    plain, there = here(*files), model().fit(*files[:2], sample_weight=files[2])
    np.testing.assert_array_equal(there.coef_, plain.coef_)
    assert list(there.feature_names_in_) == list("abcdef")
    X = X.rechunk({1: -1})
    nothing = X[:, 0] > np.inf
    first = X[:, 0] > 0  # chunks of unknown length, and of one class after the sorting
    for data in (
        (X.map_blocks(sp.csr_matrix), y), (X[first], y.rechunk(500)[first]),
        (da.concatenate([X[nothing], X]), da.concatenate([y.rechunk(500)[nothing], y.rechunk(500)])),
        (da.concatenate([X[collections.y == label] for label in ("no", "yes")]), np.sort(collections.y)),
    ):  # fmt: skip
        np.testing.assert_array_equal(model().fit(*data).coef_, here(*data).coef_)
    with pytest.raises(ValueError, match="NaN.*It is block 3 of the rows"):
        model().fit(da.where(da.arange(N, chunks=500)[:, None] == 1700, np.nan, X), y)


@marked
def test_futures_and_functions_on_a_cluster(client):
    import dask

    blocks = in_blocks(*problem())
    alone = fit(model(), blocks)
    futures = [client.submit(block_here, block, pure=False) for block in blocks]
    np.testing.assert_array_equal(fit(model(), futures).coef_, alone.coef_)
    given = [dask.delayed(block_here)(block) for block in blocks]
    np.testing.assert_array_equal(fit(model(), given).coef_, alone.coef_)
    functions = [functools.partial(block_here, block) for block in blocks]
    np.testing.assert_array_equal(fit(model(), functions, engine=client).coef_, alone.coef_)
    with client.get_executor() as executor:
        np.testing.assert_array_equal(fit(model(), functions, engine=executor).coef_, alone.coef_)


def block_here(block):
    return block


def killing(monkeypatch, client, after, everyone=False):
    """Kill a worker, or all, by SIGKILL after so many rounds."""
    plain, rounds = clusters.OnCluster.__call__, []

    def call(self, function, shards, *args):
        rounds.append(function)
        if len(rounds) == after + 1:
            rounds.append(time.monotonic())
            for pid in list(client.run(os.getpid).values())[: None if everyone else 1]:
                os.kill(pid, signal.SIGKILL)
        return plain(self, function, shards, *args)

    monkeypatch.setattr(clusters.OnCluster, "__call__", call)
    return rounds


@marked
@pytest.mark.parametrize(("after", "persisted"), [(1, False), (3, True)])
def test_a_worker_that_is_killed_between_rounds_changes_no_bit(after, persisted, client, collections, monkeypatch):
    X, y, weight = collections.lazy
    plain = here(X, y, weight)
    if persisted:
        X, y, weight = client.persist([X, y, weight])
    rounds = killing(monkeypatch, client, after)
    there = model().fit(X, y, sample_weight=weight)
    assert len(rounds) > after
    assert there.status_ == "converged"
    np.testing.assert_array_equal(there.coef_, plain.coef_)
    client.wait_for_workers(2, timeout=60)


@marked
def test_a_worker_that_joins_and_one_that_leaves_change_no_bit(client, collections, monkeypatch):
    X, y, weight = collections.lazy
    plain, call, rounds = here(X, y, weight), clusters.OnCluster.__call__, []

    def scaled(self, *args):
        rounds.append(args)
        if len(rounds) in (2, 4):
            client.cluster.scale(5 - len(rounds))
        return call(self, *args)

    monkeypatch.setattr(clusters.OnCluster, "__call__", scaled)
    np.testing.assert_array_equal(model().fit(X, y, sample_weight=weight).coef_, plain.coef_)
    client.cluster.scale(2)
    client.wait_for_workers(2, timeout=60)


@marked
def test_scattered_data_that_is_lost_is_an_error(own_client, collections, monkeypatch):
    import dask
    import dask.array as da

    parts = own_client.scatter([collections.X[:3000], collections.X[3000:]])
    arrays = [da.from_delayed(dask.delayed(part), shape=(3000, D), dtype=float) for part in parts]
    X, y = da.concatenate(arrays), collections.y
    np.testing.assert_array_equal(model().fit(X, y).coef_, here(da.from_array(collections.X, chunks=3000), y).coef_)
    killing(monkeypatch, own_client, 2, everyone=True)
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="The cluster has lost rows of the fit.*can be computed again"):
        model().fit(X, y)
    assert time.monotonic() - begin < 60


@marked
def test_no_worker_that_is_left_is_an_error(collections, monkeypatch):
    """Two workers without a nanny that would start others, killed in the middle."""
    from dask.distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1")
        client = Client(cluster)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
        workers = [subprocess.Popen([*command, "--nthreads", "1", "--no-dashboard"]) for _ in range(2)]
    try:
        client.wait_for_workers(2, timeout=60)
        rounds = killing(monkeypatch, client, 3, everyone=True)
        monkeypatch.setattr(clusters, "_MISSED", 5.0)
        with pytest.raises(RuntimeError, match="The cluster has no workers.*wait_for_workers"):
            model().fit(*collections.lazy[:2])
        assert time.monotonic() - rounds[-1] < 30
    finally:
        stopped(cluster, client)
        for worker in workers:
            worker.kill()
            worker.wait()


@marked
def test_a_scheduler_that_is_gone_is_an_error(collections, monkeypatch):
    from dask.distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = LocalCluster(n_workers=1, processes=False, dashboard_address=":0")
        client = Client(cluster)
    try:
        plain, rounds = clusters.OnCluster.__call__, []

        def call(self, *args):
            rounds.append(args)
            if len(rounds) == 3:
                cluster.close()
            return plain(self, *args)

        monkeypatch.setattr(clusters.OnCluster, "__call__", call)
        with pytest.raises(RuntimeError, match="The cluster has"):
            model().fit(*collections.lazy[:2])
    finally:
        stopped(cluster, client)


def test_an_asynchronous_client_is_refused(collections):
    import dask

    client = types.SimpleNamespace(asynchronous=True, scheduler_info=dict)
    scheduler = types.MethodType(lambda self, *args: None, client)
    with dask.config.set(scheduler=scheduler), pytest.raises(ValueError, match="asynchronous=False"):
        model().fit(*collections.lazy[:2])

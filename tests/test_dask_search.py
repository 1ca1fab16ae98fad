"""Searches over rows that are not in memory: the same as in memory, in shared passes, and nothing read in silence."""

import gc
import os
import threading
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._blocks.engines import in_turn
from skvariants._blocks.folds import Cells, FoldedTable, Request, SideBySide
from skvariants._blocks.sums import Question, statistics
from skvariants._blocks.survey import Reading
from skvariants._blocks.table import Table
from skvariants._data.scaling import Coordinates
from skvariants._data.tasks import Binary, RealTargets, Softmax
from skvariants.batches import ArrayBatches
from skvariants.losses import LogLoss, SquaredError
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV, BatchedRandomizedSearchCV
from skvariants.model_selection._block_scores import LABELS, REALS

N, D = 3000, 6

sklearn_version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def problem(kind, n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, D)) * 10.0 ** rng.uniform(-1, 1, D) + rng.standard_normal(D)
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(D)
    if kind == "binary":
        return X, (z + rng.logistic(size=n) > 0).astype(int)
    if kind == "classes":
        return X, np.array(["a", "b", "c"])[np.digitize(z + rng.logistic(size=n), [-1, 1])]
    if kind == "counts":
        return X, rng.poisson(np.exp(0.3 * z)).astype(float)
    if kind == "targets":
        return X, np.column_stack([z, 5 - z]) + rng.standard_normal((n, 2))
    return X, 5 + z + rng.standard_normal(n)


def estimator(kind, **params):
    cls = SGDVariantClassifier if kind in ("binary", "classes") else SGDVariantRegressor
    return cls(tol=1e-12, max_iter=200, **params)


def scores_of(search):
    return {
        name: values
        for name, values in search.cv_results_.items()
        if ("_test_" in name or "_train_" in name) and "rank" not in name
    }


def assert_same(search, expected, rtol=1e-5, of_scores=1e-8):
    assert search.best_params_ == expected.best_params_
    assert search.n_splits_ == expected.n_splits_
    found, known = scores_of(search), scores_of(expected)
    assert found.keys() == known.keys()
    for name in known:
        np.testing.assert_allclose(found[name], known[name], rtol=of_scores, atol=of_scores, err_msg=name)
    np.testing.assert_allclose(search.best_estimator_.coef_, expected.best_estimator_.coef_, rtol=rtol, atol=rtol)
    assert search.best_estimator_.status_ == "converged"


ALPHAS = {"alpha": np.logspace(-4, 0, 3)}


# ---------------------------------------------------------------------- folds


@pytest.mark.parametrize(
    "cv", [KFold(5), ShuffleSplit(4, random_state=0), RepeatedKFold(n_splits=3, random_state=0), TimeSeriesSplit(4)]
)
def test_cells_say_whose_rows_are_in_which_fold(cv):
    folds = [(train, test) for train, test in cv.split(np.zeros((97, 1)))]
    cells = Cells.of(folds, 97)
    for number, fold in enumerate(folds):
        for members, rows in zip((cells.train, cells.test), fold, strict=True):
            np.testing.assert_array_equal(np.flatnonzero(members[number][cells.of_rows]), np.sort(rows))
    assert [len(part) for part in cells.split([50, 0, 47])] == [50, 0, 47]
    if isinstance(cv, KFold):
        assert cells.train.shape == (5, 5)


@pytest.mark.parametrize("rows", [[0, 1, 1], [0, 9], [-1, 2], [], [0.0, 1.0]])
def test_folds_of_rows_that_are_not_there_once_are_refused(rows):
    with pytest.raises(ValueError, match="Fold 1 holds no rows, a row twice, or numbers that are not from 0 to 8"):
        Cells.of([(np.arange(4), np.arange(4, 9)), (np.array(rows), np.arange(4, 9))], 9)


def test_functions_side_by_side_are_answered_at_once():
    side, rounds = SideBySide(), []

    def task(count):
        total = 0
        for j in range(count):
            total += side.ask((count, j))
        if count == 2:
            raise ValueError("two")
        return total

    def answer(requests):
        rounds.append(requests)
        return [10 * count + j for count, j in requests]

    results = side.run([lambda count=count: task(count) for count in (3, 0, 2, 1)], answer)
    assert [results[0], results[1], results[3]] == [93, 0, 10]
    assert isinstance(results[2], ValueError)
    assert rounds == [[(3, 0), (2, 0), (1, 0)], [(3, 1), (2, 1)], [(3, 2)]]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_ends_what_runs_side_by_side(signal):
    side, before = SideBySide(), threading.active_count()

    def answer(requests):
        raise signal

    with pytest.raises(signal):
        side.run([lambda: side.ask(1), lambda: side.ask(2)], answer)
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", ["binary", "classes", "real", "targets"])
@pytest.mark.parametrize("hessian", [False, True])
def test_questions_side_by_side_are_those_alone(kind, hessian):
    rng = np.random.default_rng(0)
    X, y = problem(kind, 400)
    task = {
        "binary": Binary(np.array([0, 1])), "classes": Softmax(np.array(["a", "b", "c"])),
        "real": RealTargets(1), "targets": RealTargets(2, False),
    }[kind]  # fmt: skip
    loss = task.bind_loss(SquaredError() if kind in ("real", "targets") else LogLoss())
    folds = list(KFold(3).split(X))
    cells, weight = Cells.of(folds, 400), rng.uniform(0.5, 2, 400)
    bounds = [slice(0, 150), slice(150, 150), slice(150, 400)]
    shards = [(X[some], y[some], weight[some], cells.of_rows[some]) for some in bounds]
    folded = FoldedTable(Table(shards, in_turn, D, np.dtype(float)), cells)
    reading, requests = Reading(task, None, np.dtype(float)), []
    for fold in (0, 2, 0, 0, 2):
        theta, P = rng.standard_normal((2, D + 1, task.n_columns)) / 10
        lengths = rng.random((3, task.n_columns))
        question = Question(reading, loss, Coordinates(), theta, hessian, P, lengths)
        requests.append(Request(fold, False, statistics, (question,)))
    for request, found in zip(requests, folded.answers(requests), strict=True):
        train = folds[request.fold][0]
        alone = statistics((X[train], y[train], weight[train]), request.args[0])
        for name in ("weight", "value", "gradient", "along", "hessian"):
            a, b = getattr(found, name), getattr(alone, name)
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------------- batches


@pytest.mark.parametrize(("kind", "grid"), [
    ("real", {**ALPHAS, "l1_ratio": [0.1, 0.9]}), ("binary", ALPHAS),
])  # fmt: skip
def test_a_search_in_batches_is_that_in_memory(kind, grid):
    X, y = problem(kind, 1200)
    model = estimator(kind, penalty="elasticnet")
    expected = BatchedGridSearchCV(model, grid, cv=3).fit(X, y)
    search = BatchedGridSearchCV(model, grid, cv=3).fit_batches(ArrayBatches(X, y, rows=500))
    assert_same(search, expected)


@pytest.mark.parametrize("kind", ["real", "binary"])
def test_candidates_and_folds_share_the_passes(kind):
    X, y = problem(kind, 1200)
    passes = []

    def batches():
        passes.append(0)
        for i in range(0, 1200, 300):
            passes[-1] += 1
            yield X[i : i + 300], y[i : i + 300]

    counts = []
    for n, cv in ((1, 2), (8, 5)):
        passes.clear()
        grid = {"alpha": np.logspace(-4, 0, n)}
        BatchedGridSearchCV(estimator(kind), grid, cv=cv, refit=False).fit_batches(batches)
        counts.append(sum(passes) / 4)
    assert counts[1] <= (3.5 if kind == "real" else counts[0] + 6)  # a few models take some steps more


@pytest.mark.slow
@pytest.mark.parametrize("batches", ["list", "callable", "weights", "targets"])
def test_batches_of_all_kinds(batches):
    rng = np.random.default_rng(1)
    X, y = problem("targets" if batches == "targets" else "real")
    weight = rng.integers(0, 3, N) * 1.0 if batches == "weights" else None
    parts = [(X[a:b], y[a:b]) if weight is None else (X[a:b], y[a:b], weight[a:b]) for a, b in ((0, 10), (10, N))]
    grid = {"alpha": np.logspace(-3, 0, 3), "loss": ["squared_error", "log_cosh"]}
    model = estimator("real")
    search = BatchedRandomizedSearchCV(model, grid, n_iter=4, random_state=0, return_train_score=True)
    found = search.fit_batches((lambda: iter(parts)) if batches == "callable" else parts)
    expected = BatchedRandomizedSearchCV(model, grid, n_iter=4, random_state=0, return_train_score=True)
    expected.fit(X, y, **({} if weight is None else {"sample_weight": weight}))
    assert_same(found, expected, rtol=1e-4, of_scores=1e-6)


def test_a_search_in_batches_says_what_it_cannot_read():
    X, y = problem("binary", 200)
    search = BatchedGridSearchCV(SGDVariantClassifier(), ALPHAS)
    with pytest.raises(ValueError, match="batches is a generator, which is read once.*give a list"):
        search.fit_batches((X, y) for _ in range(1))
    with pytest.raises(TypeError, match="fit_batches of BatchedGridSearchCV takes batches alone, and checkpoint was"):
        search.fit_batches([(X, y)], checkpoint="path")
    broken = X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"Batch 1 \(counted from 0\) is not accepted: Input X contains NaN"):
        search.fit_batches([(X, y), (broken, y)])
    opened = []

    def shorter():
        opened.append(200 if len(opened) < 3 else 100)
        yield X[: opened[-1]], y[: opened[-1]]

    with pytest.raises(ValueError, match="Batch 0 .*100 and 100, and had 200 rows when they were counted"):
        search.fit_batches(shorter)
    assert not hasattr(search, "cv_results_")


# ---------------------------------------------------------------------- scores


@pytest.mark.parametrize(
    "kind",
    ["binary", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("classes", "counts", "real", "targets"))],
)
def test_scores_by_blocks_are_those_of_scikit_learn(kind):
    X, y = problem(kind, 600)
    y = y + 1 if kind == "counts" else y  # all metrics are defined for these
    known = LABELS if kind in ("binary", "classes") else REALS
    skipped = {
        "classes": {"f1", "precision", "recall", "jaccard"}, "real": {"neg_mean_poisson_deviance"},
        "targets": {"neg_mean_poisson_deviance"},
    }.get(kind, set())  # fmt: skip
    skipped |= set() if kind == "counts" else {"neg_mean_gamma_deviance"}
    names = [name for name in known if name not in skipped]
    if kind == "classes":
        names.remove("neg_brier_score")  # scikit-learn before 1.7 knows two classes
    model = estimator(kind, **({"loss": "poisson"} if kind == "counts" else {}))
    weight = np.random.default_rng(0).uniform(0.5, 2, 600)
    search = BatchedGridSearchCV(model, {"alpha": [1e-3]}, cv=2, scoring=names, refit=names[0])
    search.fit_batches(ArrayBatches(X, y, weight, rows=170))
    cv = (KFold if known is REALS else StratifiedKFold)(2)
    for fold, (train, test) in enumerate(cv.split(X, y)):
        fitted = estimator(kind, **({"loss": "poisson"} if kind == "counts" else {}))
        fitted.set_params(alpha=1e-3).fit(X[train], y[train], sample_weight=weight[train])
        for name in names:
            expected = get_scorer(name)(fitted, X[test], y[test], sample_weight=weight[test])
            found = search.cv_results_[f"split{fold}_test_{name}"][0]
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-8), name


@pytest.mark.parametrize("loss", ["squared_error", "log_cosh"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fold_of_no_weight_is_no_score(loss):
    """Nothing was measured there, in memory or in batches."""
    if sklearn_version < (1, 9):
        pytest.skip("scikit-learn before 1.9 scores rows of no weight")
    X, y = problem("real")
    weight = np.ones(len(X))
    weight[: len(X) // 5 + 5] = 0
    search = BatchedGridSearchCV(SGDVariantRegressor(loss=loss), {"alpha": [1e-4, 1.0]}, cv=5, refit=False)
    here = scores_of(search.fit(X, y, sample_weight=weight))
    there = scores_of(search.fit_batches(ArrayBatches(X, y, weight, rows=200)))
    assert here.keys() == there.keys()
    for name, values in there.items():
        np.testing.assert_array_equal(np.isnan(values), np.isnan(here[name]), name)
    assert np.isnan(there["split0_test_score"]).all()


def test_labels_that_a_fold_has_not_seen_are_no_scores():
    X, y = problem("binary", 300)
    y = np.where(np.arange(300) < 200, y, 2)
    search = BatchedGridSearchCV(
        SGDVariantClassifier(), {"alpha": [1e-3, 1e-2]}, cv=[(np.arange(150), np.arange(150, 300))], refit=False,
        scoring=["accuracy", "f1_macro", "neg_log_loss"],
    )  # fmt: skip
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit_batches(ArrayBatches(X, y, rows=90))
    found = search.cv_results_
    assert (found["mean_test_accuracy"] > 0.2).all()
    assert np.isnan([found["mean_test_f1_macro"], found["mean_test_neg_log_loss"]]).all()


# ---------------------------------------------------------------------- collections of dask


@pytest.fixture
def da():
    return pytest.importorskip("dask.array")


def lazy_of(da, X, y, rows=700):
    return da.from_array(X, chunks=(rows, 4)), da.from_array(y, chunks=(rows + 200, 1)[: y.ndim])


def test_a_search_of_a_collection_is_that_in_memory(da):
    X, y = problem("classes", 1200)
    grid = {"alpha": [1e-4, 1e-1]}
    expected = BatchedGridSearchCV(estimator("classes"), grid, cv=2).fit(X, y)
    search = BatchedGridSearchCV(estimator("classes"), grid, cv=2).fit(*lazy_of(da, X, y))
    assert_same(search, expected)
    assert search.score(*lazy_of(da, X, y)) == pytest.approx(expected.score(X, y))
    np.testing.assert_array_equal(search.predict(lazy_of(da, X, y)[0]).compute(), expected.predict(X))


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore")
def test_folds_that_lack_a_class_have_the_scores_of_scikit_learn(scoring, n_classes, da):
    if scoring == "neg_brier_score" and n_classes == 3 and sklearn_version < (1, 7):
        pytest.skip("scikit-learn before 1.7 has no Brier score of several classes")
    X, y = problem("binary", 400)
    y = np.where(np.arange(400) < 120, 0, y)
    if n_classes == 3:
        y[[5, 150, 390]] = 2
    folds = KFold(4)
    values = {"alpha": [1e-3, 1.0]}
    model = SGDVariantClassifier(tol=1e-9)
    there = scores_of(GridSearchCV(model, values, scoring=scoring, cv=folds, refit=False).fit(X, y))
    search = BatchedGridSearchCV(model, values, scoring=scoring, cv=folds, refit=False)
    lacking = scoring == "neg_log_loss" or n_classes == 3
    assert np.isnan(there["split2_test_score" if n_classes == 3 else "split0_test_score"]).all() == lacking
    fits = (
        lambda: search.fit(X, y),
        lambda: search.fit_batches(ArrayBatches(X, y, rows=70)),
        lambda: search.fit(*lazy_of(da, X, y, 130)),
    )
    for found in (fit() for fit in fits):
        for name, scores in scores_of(found).items():
            np.testing.assert_allclose(scores, there[name], rtol=1e-4, err_msg=name)


SEARCHES = [
    ("real", {}, {"cv": KFold(4, shuffle=True, random_state=0), "return_train_score": True}),
    ("real", {"penalty": "l1"}, {"cv": ShuffleSplit(4, random_state=0), "scoring": "neg_mean_squared_error"}),
    ("real", {"fit_intercept": False}, {"cv": TimeSeriesSplit(3)}),
    ("targets", {}, {}), ("counts", {"loss": "poisson"}, {"return_train_score": True}),
    ("real", {"loss": "log_cosh"}, {"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2"}),
    ("binary", {"penalty": "l1"}, {"scoring": "neg_log_loss", "cv": 3}),
    ("binary", {"class_weight": "balanced"}, {"scoring": {"a": "f1", "b": "balanced_accuracy"}, "refit": "b"}),
    ("classes", {"multi_class": "ovr"}, {"cv": StratifiedKFold(3, shuffle=True, random_state=0)}),
    ("binary", {"loss": "squared_hinge"}, {"cv": [(np.arange(900), np.arange(900, 1400))]}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SEARCHES)))
def test_searches_of_collections(number, da):
    kind, params, asked = SEARCHES[number]
    X, y = problem(kind)
    weight = {"sample_weight": np.random.default_rng(0).uniform(0.5, 2, N)} if number % 2 else {}
    grid = {"alpha": np.logspace(-3, -1, 3)}
    expected = BatchedGridSearchCV(estimator(kind, **params), grid, **asked).fit(X, y, **weight)
    lazy = {name: da.from_array(value, chunks=500) for name, value in weight.items()}
    search = BatchedGridSearchCV(estimator(kind, **params), grid, **asked).fit(*lazy_of(da, X, y), **lazy)
    assert_same(search, expected, of_scores=1e-7 if "loss" in params else 1e-8)


@pytest.mark.slow
def test_collections_of_all_kinds(da):
    import scipy.sparse as sp

    frame, pd = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    X, y = problem("classes")
    groups = np.arange(N) % 7
    expected = BatchedGridSearchCV(estimator("classes"), ALPHAS, cv=GroupKFold(3)).fit(X, y, groups=groups)
    X_lazy, y_lazy = lazy_of(da, X, y)
    columns = frame.from_pandas(pd.DataFrame(X, columns=list("abcdef")).assign(y=y), npartitions=4)
    columns = columns[columns.a > -1e9]  # of unknown lengths
    empty, y_700 = da.from_array(np.arange(N) < 0, chunks=700), y_lazy.rechunk(700)
    for X_one, y_one, g in (
        (X_lazy, y, groups), (X_lazy.rechunk((700, D)).map_blocks(sp.csr_matrix), y_lazy, da.from_array(groups)),
        (columns[list("abcdef")], columns["y"], groups),
        (da.concatenate([X_lazy[empty], X_lazy]), da.concatenate([y_700[empty], y_700]), groups),
    ):  # fmt: skip
        search = BatchedGridSearchCV(estimator("classes"), ALPHAS, cv=GroupKFold(3)).fit(X_one, y_one, groups=g)
        assert_same(search, expected)
    assert list(BatchedGridSearchCV(estimator("classes"), ALPHAS).fit(
        columns[list("abcdef")], columns["y"]
    ).feature_names_in_) == list("abcdef")  # fmt: skip


REFUSED = [
    (SGDVariantClassifier(), {"loss": ["log_loss", "hinge"]}, {}, "Hinge has kinks.*candidate {'loss': 'hinge'}"),
    (SGDVariantClassifier(solver="adam"), ALPHAS, {}, "steps on batches were asked for"),
    (SGDVariantClassifier(positive=True), ALPHAS, {}, "weights are to stay within bounds"),
    (SGDVariantClassifier(early_stopping=True), ALPHAS, {}, "early_stopping=True holds rows out"),
    (
        make_pipeline(StandardScaler(), SGDVariantClassifier()), {"sgdvariantclassifier__alpha": [1e-3]}, {},
        "steps of a pipeline before the estimator are fitted to rows in memory",
    ),
    (SGDVariantClassifier(), ALPHAS, {"scoring": "roc_auc"}, "scoring='roc_auc' is no sum over rows.*'accuracy'"),
    (SGDVariantClassifier(), ALPHAS, {"scoring": lambda *args: 1.0}, "scoring is no name of a metric"),
]  # fmt: skip


class Counted:
    """Rows of dask, and whether anybody asked for them."""

    def __init__(self):
        self.blocks = 0

    def __call__(self, block):
        self.blocks += 1
        return block


@pytest.mark.parametrize(("model", "grid", "asked", "words"), REFUSED, ids=[case[3][:20] for case in REFUSED])
def test_what_would_need_all_rows_is_refused(model, grid, asked, words, da):
    X, y = problem("binary", 300)
    count = Counted()
    X_lazy = da.from_array(X, chunks=(100, D)).map_blocks(count, dtype=float, meta=np.zeros((0, 0)))
    search = BatchedGridSearchCV(model, grid, **asked)
    with pytest.raises(TypeError, match=words) as error:
        search.fit(X_lazy, da.from_array(y, chunks=100))
    assert "X.compute()" in str(error.value)
    assert not count.blocks
    with pytest.raises(TypeError, match="X is a dask collection.*give X.compute"):
        BatchedHalvingSearchCV(SGDVariantClassifier(), ALPHAS).fit(X_lazy, y)
    with pytest.raises(TypeError, match="y is a dask collection.*give y.compute"):
        BatchedGridSearchCV(SGDVariantClassifier(), ALPHAS).fit(X, da.from_array(y, chunks=100))


def test_what_else_is_refused_of_collections(da):
    X, y = problem("binary", 300)
    X_lazy, y_lazy = lazy_of(da, X, y, 100)
    search = BatchedGridSearchCV(SGDVariantClassifier(), ALPHAS)
    for targets in (None, da.stack([y_lazy, y_lazy], axis=1)):
        with pytest.raises(ValueError, match="X is a dask collection, and y is to have a label for each row"):
            search.fit(X_lazy, targets)
    with pytest.raises(TypeError, match=r"passes \['coef_init'\] to fits.*only the sample_weight"):
        search.fit(X_lazy, y_lazy, coef_init=np.zeros(D))

    for targets in (y_lazy[:-5], y[:-5]):
        for cv in (2, KFold(2)):
            with pytest.raises(ValueError, match="y has 295 rows and X has 300: give one for each row"):
                BatchedGridSearchCV(SGDVariantClassifier(), ALPHAS, cv=cv).fit(X_lazy, targets)

    class Looks(KFold):
        def split(self, X, y=None, groups=None):
            X[:, 0]

    with pytest.raises(TypeError, match="cv asks for the features of rows that are not in memory"):
        search.set_params(cv=Looks(2)).fit(X_lazy, y_lazy)
    search.set_params(cv=2, param_grid={"alpha": [-1.0]})
    with pytest.raises(ValueError, match="All the 2 fits failed.*"):
        search.fit(X_lazy, y_lazy)
    with pytest.raises(ValueError, match="alpha=-1.0 is not accepted"):
        search.set_params(error_score="raise").fit(X_lazy, y_lazy)
    assert not hasattr(search, "cv_results_")


def test_time_is_for_all_fits(da):
    X, y = problem("binary", 600)
    search = BatchedGridSearchCV(estimator("binary"), ALPHAS, cv=2, max_time=1e-6)
    with pytest.warns(UserWarning, match="max_time"):
        search.fit(*lazy_of(da, X, y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ---------------------------------------------------------------------- a cluster


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        )
        client = distributed.Client(cluster)
    yield client
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sockets that are closed by the collector
        client.close()
        cluster.close()
        gc.collect()


class OnWorkers:
    """A block of rows that must not come to this process."""

    def __init__(self, X):
        self.X, self.here = X, os.getpid()

    def __call__(self, numbers):
        if os.getpid() == self.here:
            raise AssertionError("rows were read in the process of the client")
        return self.X[numbers[:, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["real", "binary"])
def test_a_search_on_a_cluster_leaves_the_rows_there(kind, client, da):
    X, y = problem(kind)
    numbers = da.from_array(np.arange(N)[:, None], chunks=(500, 1))
    X_lazy = numbers.map_blocks(OnWorkers(X), chunks=(numbers.chunks[0], (D,)), dtype=float, meta=np.zeros((0, 0)))
    y_lazy = da.from_array(y, chunks=500)
    expected = BatchedGridSearchCV(estimator(kind), ALPHAS).fit(X, y)
    search = BatchedGridSearchCV(estimator(kind), ALPHAS).fit(X_lazy, y_lazy)
    assert_same(search, expected)
    again = BatchedGridSearchCV(estimator(kind), ALPHAS).fit(X_lazy.persist(), y_lazy.persist())
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(again.best_estimator_.coef_, search.best_estimator_.coef_)


@pytest.mark.slow
def test_a_column_that_a_sample_has_not_seen_on_a_cluster(client, da):
    X, y = problem("binary")
    X[:, 2] = 0.0
    X[1234, 2] = 1.0
    expected = estimator("binary", alpha=1e-2).fit(X, y)
    model = estimator("binary", alpha=1e-2).fit(da.from_array(X, chunks=(500, D)), da.from_array(y, chunks=500))
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-5, atol=1e-7)

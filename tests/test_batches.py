"""Rows in batches: the model of `fit`, whatever gives them; one pass; what is refused; a killed fit goes on."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._fit.batches import First
from skvariants.batches import ArrayBatches, ParquetBatches
from skvariants.distributed import fit
from skvariants.losses import LogCosh
from test_blocks import SETTINGS, objective, problem

ROWS = 700
#: Ways to give batches, from a list of them.
WAYS = {
    "list": lambda parts: parts,
    "callable": lambda parts: lambda: iter(parts),
    "array": lambda parts: ArrayBatches(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)), rows=ROWS),
}


def cut(*arrays, rows=ROWS):
    return [tuple(a[i : i + rows] for a in arrays) for i in range(0, len(arrays[1]), rows)]


def of_kind(kind, **params):
    estimator = SGDVariantRegressor if kind == "real" else SGDVariantClassifier
    return estimator(**{"tol": 1e-13, "max_iter": 200, **params})


def fitted(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_") and name != "history_"}


# ------------------------------------------------------------------ the same model


@pytest.mark.parametrize(
    ("kind", "params"), [*SETTINGS[:1], *(pytest.param(*s, marks=pytest.mark.slow) for s in SETTINGS[1:])], ids=str
)
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_batches_give_the_model_of_an_array(kind, params, weighed, way):
    X, y = problem(kind, n=3000)
    weight = np.random.default_rng(1).integers(0, 3, len(X)) if weighed else None
    parts = cut(X, y, weight) if weighed else cut(X, y)
    here = of_kind(kind, **params).fit(X, y, sample_weight=weight)
    there = of_kind(kind, **params).fit_batches(WAYS[way](parts))
    assert there.status_ == "converged"
    assert there.suboptimality_ <= 1e-12
    scale = np.abs(here.coef_ * X.std(axis=0)).max()
    np.testing.assert_allclose(there.coef_ * X.std(axis=0), here.coef_ * X.std(axis=0), rtol=0, atol=2e-6 * scale)
    if params.get("class_weight") is None:
        assert objective(there, X, y, weight) <= objective(here, X, y, weight) * (1 + 1e-13)
    assert set(there.history_["rows"]) == {len(X)}
    assert there.n_iter_ == len(there.loss_curve_) == there.history_["epoch"][-1]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_batches_give_the_same_bits_and_other_batches_the_same_model(way):
    X, y = problem("binary", n=3000)
    one, again = (of_kind("binary").fit_batches(WAYS[way](cut(X, y))) for _ in range(2))
    np.testing.assert_array_equal(one.coef_, again.coef_)
    other = of_kind("binary").fit_batches(WAYS[way](cut(X, y, rows=401)))
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-5)


def test_a_file_sorted_by_label_ends_at_the_same_model():
    X, y = problem("binary", n=8000)
    order = np.argsort(y, kind="stable")
    best, constant = (objective(of_kind("binary", alpha=a).fit(X, y), X, y) for a in (1e-4, 1e8))

    def gap(model):
        return (objective(model, X, y) - best) / (constant - best)

    parts = cut(X[order], y[order])
    assert gap(of_kind("binary", tol=1e-3).fit_batches(lambda: iter(parts))) <= 1e-3
    assert gap(of_kind("binary").fit_batches(lambda: iter(parts))) <= 1e-12
    assert gap(of_kind("binary").fit_batches(ArrayBatches(X[order], y[order], rows=ROWS))) <= 1e-12


@pytest.mark.parametrize("once", [False, True])
def test_precision_is_single_where_all_batches_are(once):
    X, y = problem("real", n=3000)
    parts = cut(X, y)
    single = [(A.astype(np.float32), b) for A, b in parts]

    def fitted(batches):
        return of_kind("real", tol=1e-6).fit_batches(iter(batches) if once else batches)

    assert fitted(single).coef_.dtype == np.float32
    for batches in ([parts[0], *single[1:]], [(X[:9].astype(int), y[:9]), *single]):
        assert fitted(batches).coef_.dtype == fit(of_kind("real", tol=1e-6), batches).coef_.dtype == np.float64
    for other in (parts[2], (X[:9].astype(int), y[:9])):
        assert fit(of_kind("real", tol=1e-6), [*single[:2], other]).coef_.dtype == np.float64
        with pytest.raises(ValueError, match=r"^Batch 2 .*: X is in double precision and .*X.astype\(numpy.float32\)"):
            fitted([*single[:2], other])


def test_sparse_batches_and_single_precision():
    X, y = problem("binary", n=3000)
    X[np.abs(X) < np.abs(X).mean(axis=0)] = 0
    dense = of_kind("binary").fit_batches(ArrayBatches(X, y, rows=ROWS))
    for batches in (ArrayBatches(sp.coo_matrix(X), y, rows=ROWS), [(sp.csr_array(A), b) for A, b in cut(X, y)]):
        np.testing.assert_allclose(of_kind("binary").fit_batches(batches).coef_, dense.coef_, rtol=1e-6)
    single = of_kind("binary", tol=1e-6).fit_batches(ArrayBatches(X.astype(np.float32), y, rows=ROWS))
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, dense.coef_, rtol=1e-2)


def test_names_of_columns_are_learned_and_checked():
    pd = pytest.importorskip("pandas")
    X, y = problem("binary", n=3000)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    parts = [(frame.iloc[i : i + ROWS], pd.Series(y[i : i + ROWS])) for i in range(0, len(X), ROWS)]
    for batches in (parts, lambda: iter(parts), ArrayBatches(frame, pd.Series(y), rows=ROWS)):
        model = of_kind("binary").fit_batches(batches)
        assert list(model.feature_names_in_) == list("abcdef")
        assert model.score(frame, y) > 0.5
    parts[2] = parts[2][0][list("fedcba")], parts[2][1]
    with pytest.raises(ValueError, match=r"^Batch 2 .*feature names"):
        of_kind("binary").fit_batches(parts)


# ------------------------------------------------------------------ passes


def test_a_generator_gives_one_pass_which_partial_fit_may_go_on_from():
    X, y = problem("binary", n=6000)
    model = SGDVariantClassifier(random_state=0).fit_batches(iter(cut(X[:4000], y[:4000])), classes=[0, 1])
    assert (model.status_, model.n_iter_) == ("one pass", 1)
    stream = SGDVariantClassifier(random_state=0)
    for part in cut(X[:4000], y[:4000]):
        stream.partial_fit(*part, classes=[0, 1])
    np.testing.assert_array_equal(model.coef_, stream.coef_)
    model.partial_fit(X[4000:], y[4000:])
    stream.partial_fit(X[4000:], y[4000:])
    np.testing.assert_array_equal(model.coef_, stream.coef_)
    real = SGDVariantRegressor().fit_batches(iter(cut(X, X[:, 0])))
    assert real.status_ == "one pass"


@pytest.mark.parametrize("order", ["random", "sorted"])
def test_one_pass_that_begins_with_a_sample_ends_near_the_optimum(order):
    X, y = problem("binary", n=60_000)
    if order == "sorted":
        at = np.argsort(y, kind="stable")
        X, y = X[at], y[at]
    best, constant = (objective(of_kind("binary", alpha=a).fit(X, y), X, y) for a in (1e-4, 1e8))
    model = SGDVariantClassifier().fit_batches(ArrayBatches(X, y), max_passes=1)
    assert (model.status_, model.n_iter_) == ("one pass", 1)
    gap = (objective(model, X, y) - best) / (constant - best)
    assert gap <= (1e-6 if order == "random" else 1e-5)
    assert gap <= model.suboptimality_


def test_more_passes_come_nearer():
    X, y = problem("classes", n=3000)
    parts = cut(X, y)
    for batches in (parts, lambda: iter(parts)):
        values = [objective(of_kind("classes").fit_batches(batches, max_passes=n), X, y) for n in (2, 3, 5)]
        assert values[0] >= values[1] >= values[2] * (1 - 1e-14)


def test_a_step_that_promises_too_much_is_not_taken_on_trust():
    """The sample is of other rows than most."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4000, 3)), rng.integers(0, 2, 4000)

    class Misleading(ArrayBatches):
        def sample(self, share):
            yield self.X[:300] * 100, (self.X[:300, 0] > 0).astype(int), None

    model = SGDVariantClassifier().fit_batches(Misleading(X, y, rows=ROWS), max_passes=1)
    assert objective(model, X, y) <= np.log(2) * 1.01


def test_max_iter_says_so():
    X, y = problem("binary", n=3000)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model = of_kind("binary", max_iter=1).fit_batches(cut(X, y))
    assert model.status_ == "max_iter"


def test_time_is_up_between_batches_and_between_passes():
    X, y = problem("binary", n=3000)

    def slow():
        for part in cut(X, y, rows=100):
            time.sleep(0.02)
            yield part

    with pytest.warns(ConvergenceWarning, match=r"max_time=0\.1 seconds in its first pass"):
        model = of_kind("binary", max_time=0.1).fit_batches(slow, classes=[0, 1])
    assert model.status_ == "max_time"
    assert model.score(X, y) > 0.6
    batches = ArrayBatches(X, y, rows=ROWS, transform=lambda X: (time.sleep(0.02), X)[1])
    with pytest.warns(ConvergenceWarning, match=r"max_time=0\.05 seconds and 1 epoch"):
        assert of_kind("binary", max_time=0.05).fit_batches(batches).status_ == "max_time"


def test_early_stopping_keeps_the_best_pass():
    X, y = problem("binary", n=3000)
    for batches in (cut(X[:2000], y[:2000]), lambda: iter(cut(X[:2000], y[:2000]))):
        model = of_kind("binary", early_stopping=True, n_iter_no_change=2)
        model.fit_batches(batches, X_val=X[2000:], y_val=y[2000:])
        assert len(model.validation_scores_) == model.n_iter_
        best = model.validation_scores_[model.best_epoch_ - 1]
        assert best == max(model.validation_scores_) == model.score(X[2000:], y[2000:])


def test_a_warm_start_has_little_to_do():
    X, y = problem("binary", n=3000)
    parts = cut(X, y)
    model = of_kind("binary", warm_start=True).fit_batches(parts)
    coef = model.coef_.copy()
    for batches in (parts, lambda: iter(parts)):
        model.fit_batches(batches)
        assert model.n_iter_ <= 2
        np.testing.assert_allclose(model.coef_, coef, rtol=1e-6)
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-5)


def test_progress_is_printed(capsys):
    X, y = problem("binary", n=3000)
    of_kind("binary", verbose=1).fit_batches(lambda: iter(cut(X, y)))
    lines = capsys.readouterr().out.splitlines()
    passes = [line for line in lines if line.startswith("pass")]
    assert all("5 batches, 3,000 rows" in line and "rows a second" in line for line in passes)
    assert len(passes) == sum(line.startswith("epoch") for line in lines) + 2  # the labels, and the stream


def test_an_interrupt_leaves_the_last_whole_pass_or_the_model_before():
    X, y = problem("binary", n=3000)
    parts, count = cut(X, y), [0]

    class Interrupting:
        def __init__(self, at):
            self.at = at

        def __iter__(self):
            for part in parts:
                count[0] += 1
                if count[0] == self.at:
                    raise KeyboardInterrupt
                yield part

    before = of_kind("binary").fit(X[:500], y[:500])
    coef = before.coef_.copy()
    with pytest.raises(KeyboardInterrupt):
        before.fit_batches(Interrupting(3), classes=[0, 1])
    np.testing.assert_array_equal(before.coef_, coef)
    count[0] = 0
    with pytest.raises(KeyboardInterrupt, match="last whole pass"):
        before.fit_batches(Interrupting(13), classes=[0, 1])
    assert before.status_ == "interrupted"
    assert before.n_iter_ == 2


def test_callbacks_hear_of_passes():
    pytest.importorskip("sklearn.callback")
    X, y = problem("binary", n=3000)
    heard = []

    class Listening:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            heard.append(("begins", context.task_name))

        def on_fit_task_end(self, estimator, context):
            heard.append(("ends", context.task_name))

        def teardown(self, estimator, context):
            pass

    model = of_kind("binary").set_callbacks(Listening()).fit_batches(cut(X, y))
    assert heard.count(("ends", "epoch")) == model.n_iter_


# ------------------------------------------------------------------ what is refused


def spoiled(name, X, y):
    """A batch that is bad."""
    return {
        "nan": (np.where(np.arange(X.size).reshape(X.shape) == 7, np.nan, X), y),
        "columns": (X[:, :3], y),
        "empty": (X[:0], y[:0]),
        "strings": (X.astype(str).astype(object) + "q", y),
        "rows": (X, y[:-1]),
        "missing label": (X, np.where(y > 0, 1.0, np.nan)),
        "unknown label": (X, y + 7),
        "alone": X,
        "weights": (X, y, np.ones(len(y))),
        "weight": (X, y, -np.ones(len(y))),
        "two columns": (X, np.c_[y, y, y]),
        "text": (X, y.astype(str)),
        "masked": (np.ma.masked_greater(X, 0.5), y),
    }[name]


@pytest.mark.parametrize("way", ["list", "callable", "generator"])
@pytest.mark.parametrize(
    "name",
    [
        "nan",
        "columns",
        "empty",
        "strings",
        "rows",
        "missing label",
        "unknown label",
        "alone",
        "weight",
        "weights",
        "two columns",
        "text",
        "masked",
    ],
)
def test_a_bad_batch_is_named_and_leaves_the_model_as_it_was(name, way):
    X, y = problem("binary", n=3000)
    model = of_kind("binary").fit(X, y)
    before = fitted(model)
    parts = cut(X, y)
    parts[2] = spoiled(name, *parts[2])
    batches = iter(parts) if way == "generator" else WAYS[way](parts)
    words = "y holds the label 7" if (name, way) == ("unknown label", "list") else r"^Batch 2 \(counted from 0\)"
    with pytest.raises((ValueError, TypeError), match=words):
        model.fit_batches(batches, classes=[0, 1])
    for key, value in fitted(model).items():
        assert value is before[key], key


def test_rows_that_are_bad_in_a_sample_are_named_by_their_batch():
    X, y = problem("binary", n=3000)
    X[2100:] = np.nan
    with pytest.raises(ValueError, match=r"^Batch 4 \(counted from 0\).*column 0, row 100, counted from 0"):
        of_kind("binary").fit_batches(ArrayBatches(X, y, rows=500))


def test_weights_that_are_all_zero_are_refused_of_a_generator_too():
    X, y = problem("binary", n=3000)
    with pytest.raises(ValueError, match="sample_weight is zero for all samples"):
        of_kind("binary").fit_batches(((*part, np.zeros(len(part[1]))) for part in cut(X, y)), classes=[0, 1])


def test_a_batch_that_turns_bad_in_a_later_pass():
    X, y = problem("binary", n=3000)
    parts, passes = cut(X, y), [0]

    def batches():
        passes[0] += 1
        return iter(parts[: -passes[0]])

    with pytest.raises(ValueError, match=r"2,800 rows in one pass and 2,100 in another"):
        of_kind("binary").fit_batches(lambda: iter(list(batches())), classes=[0, 1])


@pytest.mark.parametrize(
    ("params", "batches", "more", "words"),
    [
        ({}, 3, {}, "batches of type int"),
        ({}, [], {}, "no batch"),
        ({}, lambda: iter([]), {"classes": [0, 1]}, "no batch"),
        ({}, "generator", {}, "classes must be given"),
        ({}, "list", {"classes": [0, 1, 2]}, "holds 2, which no row has"),
        ({}, "callable", {"classes": [0, 1, 2]}, "holds 2, which no row has"),
        ({}, "list", {"max_passes": 0}, "max_passes=0"),
        ({}, "list", {"X_val": np.ones((1, 6)), "y_val": [0]}, "early_stopping=False"),
        ({"early_stopping": True}, "list", {}, "early_stopping=True compares passes"),
        ({"loss": "hinge"}, "list", {}, "Hinge has kinks.*partial_fit"),
        ({"solver": "adam"}, "list", {}, "Steps on batches were asked for"),
        ({"bounds": (-1, 1)}, "list", {}, "within bounds"),
    ],
    ids=str,
)
def test_what_is_no_fit_in_batches_is_said(params, batches, more, words):
    X, y = problem("binary", n=3000)
    if isinstance(batches, str):
        batches = iter(cut(X, y)) if batches == "generator" else WAYS[batches](cut(X, y))
    with pytest.raises((ValueError, TypeError), match=words):
        of_kind("binary", **params).fit_batches(batches, **more)


def test_a_generator_is_no_warm_start():
    X, y = problem("binary", n=3000)
    model = of_kind("binary", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"warm_start=True .*partial_fit"):
        model.fit_batches(iter(cut(X, y)), classes=[0, 1])


# ------------------------------------------------------------------ a fit that was killed

KILLED = """
    import os, signal, sys
    import numpy as np
    from skvariants import SGDVariantClassifier
    from skvariants.batches import ArrayBatches

    way, path = sys.argv[1:]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 5))
    y = (X[:, 0] + rng.logistic(size=3000) > 0).astype(int)
    count, at = 0, 0

    def made(X):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return X

    def batches():
        for i in range(0, 3000, 300):
            yield made(X[i : i + 300]), y[i : i + 300]

    given = {"callable": batches, "array": ArrayBatches(X, y, rows=300, transform=made)}[way]
    for at in (0, 16, 12, 0):
        pid = os.fork()
        if not pid:
            model = SGDVariantClassifier(tol=1e-12).fit_batches(given, classes=[0, 1], checkpoint=path)
            print(model.coef_.tobytes().hex(), model.status_, model.n_iter_, count, flush=True)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.path.exists(path), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("way", ["callable", "array"])
def test_a_killed_fit_goes_on_to_the_same_bits(way, tmp_path):
    code = [sys.executable, "-c", textwrap.dedent(KILLED), way, str(tmp_path / "checkpoint")]
    done = subprocess.run(code, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    whole, ended, first, second, after, left = done.stdout.splitlines()
    assert (ended, left) == ("0 False", "0 False"), done.stderr
    assert first == second == f"{-signal.SIGKILL} True"
    *result, count = whole.split()
    *again, rest = after.split()
    assert again == result
    if way == "array":  # what was done is not done again, but for a batch, the first and the sample
        assert int(rest) <= int(count) - 15


def test_a_checkpoint_is_of_one_fit_alone(tmp_path):
    X, y = problem("binary", n=3000)
    path = tmp_path / "checkpoint"

    def broken():
        yield from cut(X, y)[:3]
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        of_kind("binary").fit_batches(broken, classes=[0, 1], checkpoint=path)
    kept = path.read_bytes()
    weights = np.linspace(1, 2, X.shape[1])
    for params, asked, words in (
        ({"alpha": 1.0}, {}, r"with alpha=0\.0001, and not with alpha=1\.0: give the same"),
        ({"penalty_factor": weights, "verbose": 1}, {}, r"with penalty_factor=None, and not with penalty_factor=array"),
        ({"random_state": 3}, {}, "with random_state=None, and not with random_state=3"),
        (
            {"loss": "modified_huber"},
            {"max_passes": 3},
            "loss='log_loss', max_passes=None, and not with loss='modified",
        ),
        ({}, {"classes": [0, 1, 2]}, r"with classes=\[0, 1\], and not with classes=\[0, 1, 2\]"),
    ):
        with pytest.raises(ValueError, match=words):
            of_kind("binary", **params).fit_batches(broken, **{"classes": [0, 1], **asked}, checkpoint=path)
    with pytest.raises(ValueError, match="of other parameters or batches"):
        of_kind("binary").fit_batches(cut(X, y), classes=[0, 1], checkpoint=path)
    with pytest.raises(ValueError, match=f"with n_features={X.shape[1]}, and not with n_features=2: give the same"):
        of_kind("binary").fit_batches(lambda: iter(cut(X[:, :2], y)), classes=[0, 1], checkpoint=path)
    assert path.read_bytes() == kept
    model = of_kind("binary").fit_batches(lambda: iter(cut(X, y)), classes=[0, 1], checkpoint=path)
    whole = of_kind("binary").fit_batches(lambda: iter(cut(X, y)), classes=[0, 1])
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"no checkpoint of fit_batches \(.*\): give the path of another file"):
        of_kind("binary").fit_batches(cut(X, y), checkpoint=path)


def test_a_checkpoint_keeps_the_seed_that_was_drawn(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120_000, 6))  # the sample is fitted in growing batches of its rows
    y = (X[:, 0] + rng.logistic(size=len(X)) > 0).astype(int)
    path, parts = tmp_path / "checkpoint", cut(X, y, rows=20_000)
    for params in ({}, {"random_state": np.random.RandomState(0)}):
        alone = SGDVariantClassifier(**params).fit_batches(Rows(parts, 100, rows=20_000))
        with pytest.raises(OSError, match="the disk is gone"):
            SGDVariantClassifier(**params).fit_batches(Rows(parts, 10, rows=20_000), checkpoint=path)
        model = SGDVariantClassifier(**params).fit_batches(Rows(parts, 100, rows=20_000), checkpoint=path)
        assert model.status_ == "converged"
        assert not np.array_equal(model.coef_, alone.coef_)
        np.testing.assert_allclose(model.coef_, alone.coef_, rtol=0, atol=0.02)


@pytest.mark.parametrize("before", ["again", "rows"])
def test_a_fit_that_was_out_of_time_goes_on_with_more(before, tmp_path):
    X, y = problem("binary", n=3000)
    path, parts = tmp_path / "checkpoint", cut(X, y)
    batches = Again(parts, 1000) if before == "again" else Rows(parts, 1000)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        out_of_time = of_kind("binary", max_time=1e-9).fit_batches(batches, classes=[0, 1], checkpoint=path)
    assert out_of_time.status_ == "max_time"
    given, whole = 1000 - batches.left, of_kind("binary").fit_batches(batches, classes=[0, 1])
    batches.left = 1000
    model = of_kind("binary", max_time=100).fit_batches(batches, classes=[0, 1], checkpoint=path)
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    assert (model.status_, model.n_iter_, path.exists()) == ("converged", whole.n_iter_, False)
    assert given < len(parts) * model.n_iter_


class Again:
    """An iterable that can be read again, and fails at a batch of all that it gave."""

    def __init__(self, parts, last):
        self.parts, self.left = parts, last

    def __iter__(self):
        for part in self.parts:
            self.left -= 1
            if self.left < 0:
                raise OSError("the disk is gone")
            yield part


class Rows(ArrayBatches):
    """The same of an array."""

    def __init__(self, parts, last, rows=ROWS):
        super().__init__(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)), rows=rows)
        self.left = last

    def following(self, number):
        for part in super().following(number):
            self.left -= 1
            if self.left < 0:
                raise OSError("the disk is gone")
            yield part


@pytest.mark.parametrize("last", [3, 8, 13])
@pytest.mark.parametrize("before", [Again, Rows])
def test_a_checkpoint_meets_another_kind_of_batches(before, last, tmp_path):
    X, y = problem("binary", n=3000)
    path, parts = tmp_path / "checkpoint", cut(X, y)
    ways = {**WAYS, "rows": lambda parts: Rows(parts, 10**6, rows=500), "again": lambda parts: Again(parts, 10**6)}
    with pytest.raises(OSError, match="the disk is gone"):
        of_kind("binary").fit_batches(before(parts, last), classes=[0, 1], checkpoint=path)
    kept, goes_on = path.read_bytes(), {"again", "callable"} if before is Again else {"array"}
    for name, way in ways.items():
        path.write_bytes(kept)
        whole = of_kind("binary").fit_batches(way(parts), classes=[0, 1])
        if name in goes_on:
            model = of_kind("binary").fit_batches(way(parts), classes=[0, 1], checkpoint=path)
            np.testing.assert_array_equal(model.coef_, whole.coef_)
            continue
        with pytest.raises(ValueError, match="of other parameters or batches"):
            of_kind("binary").fit_batches(way(parts), classes=[0, 1], checkpoint=path)
        assert path.read_bytes() == kept or name == "rows"


def test_a_checkpoint_that_has_no_place_is_named(tmp_path):
    X, y = problem("binary", n=1500)
    for path in (tmp_path / "none" / "checkpoint", tmp_path, "/proc/checkpoint"):
        with pytest.raises((ValueError, OSError), match="^checkpoint="):
            of_kind("binary").fit_batches(cut(X, y), checkpoint=path)
    of_kind("binary").fit_batches(cut(X, y), checkpoint=tmp_path / "checkpoint")


# ------------------------------------------------------------------ a loss that follows the spread of the targets


OPEN = [
    {"loss": "huber", "epsilon": "auto"}, {"loss": LogCosh("auto")},
    {"loss": "squared_epsilon_insensitive", "epsilon": "auto"},
]  # fmt: skip


@pytest.mark.parametrize("params", OPEN, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_a_loss_follows_the_targets_of_batches(way, params):
    X, y = problem("real", n=3000)
    weight = np.random.default_rng(1).integers(0, 3, len(X))
    here = of_kind("real", **params).fit(X, 100 * y, sample_weight=weight)
    there = of_kind("real", **params).fit_batches(WAYS[way](cut(X, 100 * y, weight)))
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-5)
    two = 100 * np.column_stack([y, X[:, 0] + y**2])
    here = of_kind("real", **params).fit(X, two)
    there = of_kind("real", **params).fit_batches(WAYS[way](cut(X, two)))
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-5, atol=1e-6 * np.abs(here.coef_).max())


def test_a_sample_of_targets_tells_their_spread():
    X, y = problem("real", n=150_000)
    here = of_kind("real", **OPEN[0]).fit(X, y)
    parts = cut(X, y, rows=30_000)
    models = [of_kind("real", **OPEN[0]).fit_batches(batches) for batches in (parts, lambda: iter(parts), iter(parts))]
    for model in models:
        np.testing.assert_allclose(model.coef_, here.coef_, rtol=0, atol=1e-3 * np.abs(here.coef_).max())


# ------------------------------------------------------------------ arrays, and steps before


def test_steps_that_are_fitted_go_along():
    X, y = problem("binary", n=3000)
    pipeline = make_pipeline(StandardScaler(), of_kind("binary", scale_features=False))
    whole = clone(pipeline).fit(X, y)
    before = pipeline[:-1].fit(X)
    pipeline[-1].fit_batches(ArrayBatches(X, y, rows=ROWS, transform=before.transform))
    np.testing.assert_allclose(pipeline[-1].coef_, whole[-1].coef_, rtol=1e-5)
    np.testing.assert_array_equal(pipeline.predict(X), whole.predict(X))


def test_array_batches_are_the_rows():
    X, y = problem("real", n=3000)
    weight = np.arange(3000.0)
    batches = ArrayBatches(X.tolist(), y.tolist(), weight.tolist(), rows=ROWS)
    parts = list(batches)
    assert len(parts) == len(batches) == 5
    for whole, pieces in zip((X, y, weight), zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
    np.testing.assert_array_equal(next(batches.following(3))[1], y[3 * ROWS : 4 * ROWS])
    [(_, some, _)] = batches.sample(0.1)
    assert len(some) == 300
    with pytest.raises(ValueError, match=r"y has the shape \(2,\)"):
        ArrayBatches(X, y[:2])
    with pytest.raises(ValueError, match="rows=0"):
        ArrayBatches(X, y, rows=0)
    assert repr(batches) == f"ArrayBatches(X of 3,000 x {X.shape[1]}, in batches of {ROWS} rows)"


# ------------------------------------------------------------------ Parquet


@pytest.fixture
def parquet(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def write(columns, files=2, group=500):
        n = len(next(iter(columns.values())))
        for i, some in enumerate(np.array_split(np.arange(n), files)):
            table = pa.table({name: pa.array(np.asarray(values)[some]) for name, values in columns.items()})
            pq.write_table(table, tmp_path / f"part{i}.parquet", row_group_size=group)
        return tmp_path

    return write


def columns_of(X, y, **more):
    return {**{f"x{j}": X[:, j] for j in range(X.shape[1])}, "y": y, **more}


@pytest.mark.parametrize("kind", ["binary", "classes", "real"])
def test_parquet_files_give_the_model_of_an_array(kind, parquet):
    X, y = problem(kind, n=3000)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    path = parquet(columns_of(X, y, w=weight))
    batches = ParquetBatches(path, "y", sample_weight="w", rows=ROWS, dtype="float64")
    model, here = of_kind(kind).fit_batches(batches), of_kind(kind).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, here.coef_, rtol=1e-5)
    assert list(model.feature_names_in_) == [f"x{j}" for j in range(6)]
    assert model.status_ == "converged"


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((np.float32, np.int16, np.bool_, np.float32), np.float32),
        ((np.float32, np.int32, np.float32), np.float64),
        ((np.float32, np.float64), np.float64),
    ],
)
def test_columns_of_a_file_are_read_as_they_are(parquet, types, expected):
    columns = {f"x{j}": np.arange(40).astype(kind) for j, kind in enumerate(types)}
    batches = ParquetBatches(parquet({**columns, "y": np.arange(40.0)}), "y", rows=ROWS)
    assert next(iter(batches))[0].dtype == expected
    halved = ParquetBatches(batches.paths, "y", rows=ROWS, dtype="float32")
    assert next(iter(halved))[0].dtype == np.float32
    with pytest.raises(ValueError, match="dtype='int8' is not accepted: give"):
        ParquetBatches(batches.paths, "y", dtype="int8")


def test_parquet_batches_are_the_rows(parquet):
    X, y = problem("real", n=3000)
    path = parquet(columns_of(X, y, label=y > 5, count=np.arange(3000)))
    names = ["x3", "count", "label", "x0"]
    batches = ParquetBatches([path / "part0.parquet", str(path / "part1.parquet")], "y", features=names, rows=ROWS)
    parts = list(batches)
    assert batches.n_rows == 3000
    assert parts[0][0].dtype == np.float64  # as the file has them
    want = np.c_[X[:, 3], np.arange(3000), y > 5, X[:, 0]]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), want)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), y)
    for number in range(len(parts)):
        np.testing.assert_array_equal(next(iter(batches.following(number)))[1], parts[number][1])
    np.testing.assert_array_equal(np.concatenate([part[0] for part in batches.targets()]), y)
    some = np.concatenate([part[1] for part in batches.sample(0.1)])
    assert 250 <= len(some) <= 400
    assert np.isin(some, y).all()


def test_files_may_be_a_pattern(parquet):
    X, y = problem("real", n=3000)
    path = parquet(columns_of(X, y))
    batches = ParquetBatches(path / "part*.parquet", "y", rows=ROWS)
    assert batches.paths == ParquetBatches(path, "y").paths
    assert ParquetBatches(str(path / "**" / "*1.parquet"), "y").paths == batches.paths[1:]
    size = f"3,000 rows, {X.shape[1]} features, in batches of {ROWS} rows)"
    assert repr(batches) == f"ParquetBatches(2 files, target='y', {size}"
    with pytest.raises(ValueError, match=r"no file \*\.parquet: give such files, directories of them, or a pattern"):
        ParquetBatches(path / "q*.parquet", "y")


def test_parquet_columns_that_are_not_numbers_are_refused_or_encoded(parquet):
    pd = pytest.importorskip("pandas")
    X, y = problem("binary", n=3000)
    colour = np.random.default_rng(0).choice(["red", "green", "blue"], 3000)
    path = parquet(columns_of(X, np.where(y, "yes", "no"), colour=colour))
    with pytest.raises(ValueError, match=r"column 'colour' of type (large_)?string.*features=.*transform="):
        ParquetBatches(path, "y")
    with pytest.raises(ValueError, match=r"no column \['z'\]"):
        ParquetBatches(path, "z")
    with pytest.raises(ValueError, match=r"no column \['q'\]"):
        ParquetBatches(path, "y", features=["q"])
    with pytest.raises(ValueError, match=r"no file \*\.parquet"):
        ParquetBatches(path / "..", "y")
    with pytest.raises(ValueError, match="dtype='int8'"):
        ParquetBatches(path, "y", dtype="int8")
    with pytest.raises(ValueError, match="paths names no file"):
        ParquetBatches([], "y")
    encoder = OneHotEncoder().set_output(transform="default")
    encoder.fit(pd.DataFrame({"colour": ["red", "green", "blue"]}))
    model = of_kind("binary").fit_batches(ParquetBatches(path, "y", features=["colour"], transform=encoder.transform))
    assert list(model.classes_) == ["no", "yes"]
    assert model.coef_.shape == (1, 3)


def test_what_is_missing_in_a_file_is_named_with_its_batch(parquet):
    X, y = problem("binary", n=3000)
    X[2000, 3] = np.nan
    with pytest.raises(ValueError, match=r"^Batch 3 .*contains NaN"):
        of_kind("binary").fit_batches(ParquetBatches(parquet(columns_of(X, y)), "y", rows=ROWS))


def test_a_reader_that_is_left_leaves_no_thread(parquet):
    X, y = problem("binary", n=3000)
    batches = ParquetBatches(parquet(columns_of(X, y)), "y", rows=100)
    for _ in batches:
        break
    rows = iter(batches)
    next(rows)
    rows.close()
    assert not [t for t in threading.enumerate() if t.name == "skvariants-batches"]
    os.truncate(batches.paths[1], 100)
    with pytest.raises(Exception, match=r"."):
        list(batches)
    assert not [t for t in threading.enumerate() if t.name == "skvariants-batches"]


def test_files_that_are_none_are_named(parquet, tmp_path):
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"junk\.parquet is no Parquet file .*: leave it out of paths"):
        ParquetBatches(tmp_path / "junk.parquet", "y")
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*none\.parquet': give the path"):
        ParquetBatches(tmp_path / "none.parquet", "y")


def test_pyarrow_is_asked_for_by_name(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"skvariants\[arrow\]"):
        ParquetBatches(tmp_path / "x.parquet", "y")


def test_a_sample_is_bounded_whatever_comes():
    rng = np.random.default_rng(0)
    first, rows = First(), 0
    for n in (1, 500, 3, 2000, 7, 900, 900, 900):
        first.draw((np.arange(rows, rows + n)[:, None] * 1.0, np.arange(n), rng.random(n)), 600)
        first.n_batches += 1
        rows += n
        assert first.held == sum(len(part[1]) for part in first.drawn) <= 600
    some = np.concatenate([part[0][:, 0] for part in first.drawn])
    assert len(some) > 100
    assert np.all(np.diff(some) > 0)
    assert abs(some.mean() / rows - 0.5) < 0.1  # of all alike, not of the first or the last


def test_a_path_is_a_path():
    X, y = problem("binary", n=3000)
    with pytest.raises(TypeError, match="checkpoint=3 is not accepted"):
        of_kind("binary").fit_batches(cut(X, y), checkpoint=3)

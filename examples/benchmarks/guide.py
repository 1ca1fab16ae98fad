"""Figures of the guide that no other script prints, section by section.

::

    OMP_NUM_THREADS=1 python examples/benchmarks/guide.py                 # drawn and bundled data, two minutes
    OMP_NUM_THREADS=1 python examples/benchmarks/guide.py --data DIR      # and those of a folder (see problems.py)
    OMP_NUM_THREADS=1 python examples/benchmarks/guide.py --only shares halving --data DIR
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import time
import tracemalloc
import warnings

import numpy as np
import objectives
import problems as data_sets
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.metrics import hinge_loss, log_loss
from sklearn.model_selection import train_test_split

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV
from skvariants.solvers import AdaGrad

SHARES = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.35, 2.0)


def cpu(function):
    """Seconds of the processor of the best of three calls."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def calibration(data):
    """Log loss on other rows of the imbalanced table, as losses come and after `CalibratedClassifierCV`."""
    X, y = make_classification(20000, 8, n_informative=5, weights=[0.97], class_sep=0.8, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    for loss in ("log_loss", "modified_huber", "hinge", "squared_hinge"):
        model = SGDVariantClassifier(loss, random_state=0)
        scores = [model.fit(X, y)] if loss in ("log_loss", "modified_huber") else []
        scores.append(CalibratedClassifierCV(model, cv=5).fit(X, y))
        print(f"{loss:16s}", *(f"{log_loss(y_test, m.predict_proba(X_test)):.3f}" for m in scores))


def noises(rng, n):
    """Kinds of noise of deviation about one."""
    outliers = rng.standard_normal(n) * np.where(rng.random(n) < 0.1, 10.0, 1.0)
    return [rng.standard_normal(n), rng.standard_t(2, n), rng.exponential(size=n) - 1, outliers]


def shares(data, seeds=10, n=500, d=5):
    """Error of coefficients by the share of the spread that `epsilon` is, over the best of all shares."""
    errors = {"huber": [], "epsilon_insensitive": []}
    for seed, (kind, r2) in itertools.product(range(seeds), itertools.product(range(4), (0.1, 0.5, 0.9, 0.99))):
        rng = np.random.default_rng(seed)
        X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
        signal = X @ w / np.linalg.norm(w) * np.sqrt(r2 / (1 - r2))
        y = signal + noises(rng, n)[kind]
        spread, truth = 1.4826 * np.median(np.abs(y - np.median(y))), w / np.linalg.norm(w) * np.sqrt(r2 / (1 - r2))
        for loss, rows in errors.items():
            model = SGDVariantRegressor(loss, penalty=None, tol=1e-5)
            fits = [clone(model).set_params(epsilon=share * spread).fit(X, y).coef_ for share in SHARES]
            rows.append([np.linalg.norm(coef - truth) for coef in fits])
    for loss, rows in errors.items():
        over = np.exp(np.log(np.array(rows) / np.min(rows, axis=1, keepdims=True)).mean(axis=0))
        print(f"{loss:20s}", ", ".join(f"{s}: {e:.2f}" for s, e in zip(SHARES, over, strict=True)))


def housing(data):
    """R2 of other rows of California housing, in dollars, with and without `epsilon="auto"`."""
    problem = data_sets.make("california_housing", data, 10_000, raw=True)
    unit = 1.0 if problem.y.max() > 1000 else 1e5
    for epsilon in (0.1, "auto"):
        model = SGDVariantRegressor("huber", epsilon=epsilon).fit(problem.X, unit * problem.y)
        print(f"huber, epsilon={epsilon!r}: R2 {model.score(problem.X_test, unit * problem.y_test):.2f}")


def halving(data):
    """The winner of halving beside that of the full grid: scores, and seconds."""
    for name in ("spambase", "a9a", "california_housing") if data else ("digits", "diabetes"):
        problem = data_sets.make(name, data, 10_000)
        kind = SGDVariantRegressor if problem.task == "regression" else SGDVariantClassifier
        for solver in ("adagrad", "momentum"):
            model = kind(solver=solver, max_iter=81, tol=None, random_state=0)
            results = []
            for search in (BatchedGridSearchCV, BatchedHalvingSearchCV):
                start = time.process_time()
                fitted = search(model, {"alpha": np.logspace(-6, 1, 81)}, cv=3).fit(problem.X, problem.y)
                spent = time.process_time() - start
                results.append((fitted.best_score_, fitted.score(problem.X_test, problem.y_test), spent))
            (cv, test, seconds), (cv_h, test_h, seconds_h) = results
            print(
                f"{name:20s} {solver:9s} cross-validation {cv_h - cv:+.4f}, held out {test_h - test:+.4f}, "
                f"{seconds_h / seconds:.2f} of the time"
            )


def told(data):
    """What Adam leaves of a hinge loss, and what it is told."""
    X, y = load_breast_cancer(return_X_y=True)
    best = SGDVariantClassifier("hinge", tol=1e-8).fit(X, y)
    model = SGDVariantClassifier("hinge", solver="adam", random_state=0).fit(X, y)

    def value(m):
        return hinge_loss(y, m.decision_function(X)) + 0.5 * m.alpha * (m.coef_**2).sum()

    constant = 2 * min(y.mean(), 1 - y.mean())
    left = (value(model) - value(best)) / (constant - value(best))
    print(f"hinge, adam: left {left:.2g}, told {model.suboptimality_:.2g} ({model.suboptimality_kind_})")


def passes(data):
    """How often batches are read by a fit and by searches."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 20))
    y = X[:, 0] + rng.logistic(size=20_000) > 0

    def counted(fit):
        count = [0]

        def batches():
            count[0] += 1
            for start in range(0, 20_000, 2_000):
                yield X[start : start + 2_000], y[start : start + 2_000]

        fit(batches)
        return count[0]

    print("a fit:", counted(lambda b: SGDVariantClassifier().fit_batches(b, classes=[False, True])), "passes")
    for strengths, folds in ((10, 5), (1, 2)):
        search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": np.logspace(-5, -1, strengths)}, cv=folds)
        print(f"{strengths} strengths, {folds} folds:", counted(search.fit_batches), "passes")


def precision(data):
    """Seconds of a default fit in single precision over those in double precision."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 100))
    y = X[:, 0] + rng.logistic(size=len(X)) > 0
    single = X.astype(np.float32)
    ratio = cpu(lambda: SGDVariantClassifier().fit(single, y)) / cpu(lambda: SGDVariantClassifier().fit(X, y))
    print(f"200,000 x 100: single precision {ratio:.2f} of the seconds of double")


def streamed(model, X, y, chunk, from_row=0):
    """Mean log loss of rows before they are learned, and seconds."""
    losses, start = [], time.process_time()
    for begin in range(0, X.shape[0], chunk):
        rows = slice(begin, begin + chunk)
        if begin:
            probability = np.clip(model.predict_proba(X[rows])[:, 1], 1e-15, 1 - 1e-15)
            loss = -np.log(np.where(y[rows] == 1, probability, 1 - probability))
            losses += loss[max(0, from_row - begin) :].tolist() if begin + chunk > from_row else []
        model.partial_fit(X[rows], y[rows], classes=[0, 1])
    return np.mean(losses), time.process_time() - start


def words(data):
    """Streams of many words: all columns, hashed ones, and others' steps."""
    for name, alphas in (("sms_spam", (1e-4, 1e-5)), ("amazon_access", (1e-4,))):
        _, X, y, _ = data_sets.raw_table(name, data)
        some = np.random.default_rng(0).permutation(X.shape[0])[:10_000]
        X, y = sp.csr_matrix(X)[some], np.asarray(y)[some]
        for alpha in alphas:
            models = {
                "default": SGDVariantClassifier(alpha=alpha),
                "AdaGrad": SGDVariantClassifier(solver=AdaGrad(), alpha=alpha, random_state=0),
                "SGDClassifier": SGDClassifier(loss="log_loss", alpha=alpha, random_state=0),
                "averaged": SGDClassifier(loss="log_loss", alpha=alpha, average=True, random_state=0),
            }
            line = [f"{label} {streamed(model, X, y, 500)[0]:.3f}" for label, model in models.items()]
            print(f"{name}, alpha={alpha:g}:", ", ".join(line))
        if name == "sms_spam":
            tokens = [[(str(j), v) for j, v in zip(row.indices, row.data, strict=True)] for row in X]
            hashed = FeatureHasher(1000, input_type="pair").transform(tokens)
            (loss, spent), (_, whole) = (streamed(SGDVariantClassifier(), A, y, 500) for A in (hashed, X))
            print(f"{name}, 1,000 hashed columns: {loss:.3f}, {spent / whole:.0f} times the seconds of all columns")


def flips(data):
    """Labels of many features that flip: the mean loss from there on."""
    _, X, y, _ = data_sets.raw_table("amazon_access", data)
    some = np.random.default_rng(0).permutation(X.shape[0])[:12_000]
    X, y = sp.csr_matrix(X)[some], np.asarray(y)[some].copy()
    y[6_000:] = 1 - y[6_000:]
    for forgetting in (None, "auto", 1000):
        loss = streamed(SGDVariantClassifier(forgetting=forgetting), X, y, 500, 6_000)[0]
        print(f"amazon_access, labels flip after 6,000 of 12,000 rows, forgetting={forgetting!r}: {loss:.2f}")


def squares(data):
    """A stream of squared errors beside the normal equations of all its rows."""
    problem = data_sets.make("california_housing", data, 8_750, raw=True)
    model = SGDVariantRegressor()
    for begin in range(0, len(problem.y), 7):
        model.partial_fit(problem.X[begin : begin + 7], problem.y[begin : begin + 7])
    exact = Ridge(alpha=model.alpha * len(problem.y), solver="cholesky").fit(problem.X, problem.y)
    far = np.abs(model.predict(problem.X) - exact.predict(problem.X)).max() / problem.y.std()
    print(f"California housing, {len(problem.y):,} rows in chunks of 7: predictions differ by {far:.0e} of the spread")


def schedules(data):
    """Named solvers in streams: what a falling rate leaves beside a constant one."""
    ratios = []
    for seed in range(5):
        X, y = data_sets.dense(20_000, 20, "binary", seed=seed)
        objective = objectives.Objective(X, y, "log_loss", 1e-4)
        for solver in ("minibatch", "momentum", "nesterov", "adadelta", "rmsprop", "adam"):
            left = []
            for rate in ("auto", "constant"):
                model = SGDVariantClassifier(solver=solver, learning_rate=rate, random_state=0)
                for begin in range(0, 20_000, 100):
                    model.partial_fit(X[begin : begin + 100], y[begin : begin + 100], classes=[0, 1])
                left.append(objective.suboptimality(model.coef_, model.intercept_))
            ratios.append(left[0] / left[1])
    low, high, middle = min(ratios), max(ratios), np.median(ratios)
    print(f'learning_rate="auto" leaves {middle:.2f} of what "constant" leaves (median; {low:.2f} to {high:.2f})')


def takeovers(data):
    """Streams of one unchanged world: in how many `forgetting="auto"` shortened the memory all the same."""
    streams = taken = 0
    for n, chunk, seeds in ((5_000, 20, 60), (20_000, 100, 40), (200_000, 1_000, 16)):
        for seed in range(seeds):
            X, y = data_sets.dense(n, (3, 10, 30)[seed % 3], "binary", seed=seed)
            model = SGDVariantClassifier(forgetting="auto")
            for begin in range(0, n, chunk):
                model.partial_fit(X[begin : begin + chunk], y[begin : begin + chunk], classes=[0, 1])
            streams, taken = streams + 1, taken + bool((np.diff(model.history_["remembered"]) < 0).any())
    print(f"{taken} of {streams} streams of 5,000 to 200,000 rows")


def rare(data):
    """Thirty rows of a rare class alone, after a fit with one to five rows of it, and after a stream that began so."""
    counts, over, most = {"fit": 0, "partial_fit": 0}, dict.fromkeys(("fit", "partial_fit"), 0), {}
    for n, few, seed in itertools.product((40, 300, 3_000), range(1, 6), range(10)):
        X, y = data_sets.dense(20 * n, 5, "binary", seed=seed)
        usual, other = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
        first = np.random.default_rng(seed).permutation(np.r_[usual[: n - few], other[:few]])
        alone = other[few : few + 30]
        for call in counts:
            model, worst = SGDVariantClassifier(), 0.0
            model = model.fit(X[first], y[first]) if call == "fit" else model.partial_fit(X[first], y[first], [0, 1])
            for begin in range(0, 30, 3):
                model.partial_fit(X[alone[begin : begin + 3]], y[alone[begin : begin + 3]])
                seen = np.r_[first, alone[: begin + 3]]
                constant = log_loss(y[seen], np.full(len(seen), y[seen].mean()))
                worst = max(worst, log_loss(y[seen], model.predict_proba(X[seen])) / constant)
            counts[call], over[call] = counts[call] + 1, over[call] + (worst > 2)
            most[call] = max(most.get(call, 0.0), worst)
    for call in counts:
        print(
            f"{call}: more than twice the loss of a constant model in {over[call]} of {counts[call]} tables, "
            f"{most[call]:.1f} times at most"
        )


def alike(data):
    """A stream of twice as many numbers as fit, of features that are all alike: what is left of the gain."""
    n = d = 20_000
    rng = np.random.default_rng(0)
    rows = [rng.choice(d, 100, replace=False) for _ in range(n)]
    X = sp.csr_matrix((np.ones(100 * n), np.concatenate(rows), np.arange(0, 100 * n + 1, 100)), (n, d))
    z = X @ rng.standard_normal(d)
    y = (z / z.std() + 0.1 * rng.logistic(size=n) > 0).astype(int)
    model = SGDVariantClassifier()
    for begin in range(0, n, 1_000):
        model.partial_fit(X[begin : begin + 1_000], y[begin : begin + 1_000], classes=[0, 1])
    best = SGDVariantClassifier(tol=1e-8).fit(X, y)

    def value(m):
        return log_loss(y, m.predict_proba(X)) + 0.5 * m.alpha * (m.coef_**2).sum()

    left = (value(model) - value(best)) / (log_loss(y, np.full(n, y.mean())) - value(best))
    print(f"{n:,} rows of {d:,} features, 100 numbers a row: {left:.0e} left")


def hashed(data):
    """Streams of hashed columns: bytes of a pickle, milliseconds of CPU of a call, and what it takes of memory."""
    for bits, rows in ((18, 40_000), (20, 20_000)):
        rng = np.random.default_rng(0)
        columns = rng.zipf(1.3, 50 * rows) * 2654435761 % (1 << bits)
        X = sp.csr_matrix((np.ones(50 * rows), columns, np.arange(0, 50 * rows + 1, 50)), (rows, 1 << bits))
        y = (rng.random(rows) < 0.5).astype(int)
        model, times = SGDVariantClassifier(), []
        for begin in range(0, rows, 1_000):
            start = time.process_time()
            model.partial_fit(X[begin : begin + 1_000], y[begin : begin + 1_000], classes=[0, 1])
            times.append(1e3 * (time.process_time() - start))
        size, occurred = len(pickle.dumps(model)) / 1e6, len(np.unique(X.indices))
        print(
            f"2^{bits} columns, {occurred:,} occurred: pickle {size:.0f} MB, a call {np.median(times):.0f} ms", end=""
        )
        times = []
        for row in range(20):
            start = time.process_time()
            model.partial_fit(X[row], y[row : row + 1])
            times.append(1e3 * (time.process_time() - start))
        tracemalloc.start()
        model.partial_fit(X[:1_000], y[:1_000])
        print(f", of one row {np.median(times):.1f} ms; a call takes {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB")
        tracemalloc.stop()


SECTIONS = {
    f.__name__: f
    for f in (
        calibration, shares, told, passes, precision, halving, schedules, takeovers, rare, alike, hashed, housing,
        words, flips, squares,
    )
}  # fmt: skip
#: Those that need local data.
LOCAL = ("housing", "words", "flips", "squares")


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), help="sections")
    args = parser.parse_args(arguments)
    for name in args.only or SECTIONS:
        if name in LOCAL and args.data is None:
            continue
        print(f"\n{SECTIONS[name].__doc__}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            SECTIONS[name](args.data)


if __name__ == "__main__":
    main()

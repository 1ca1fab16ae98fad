"""Searches that train all candidates as columns, beside grid searches over estimators of scikit-learn and our own.

One command, four tables::

    python examples/benchmarks/search.py                     # an hour or more
    python examples/benchmarks/search.py --quick             # small tables and grids, about a minute
    python examples/benchmarks/search.py --only comparison --data FOLDER --tables NAME ...

*Comparison*: grids of 64 candidates on 5 folds behind a ``StandardScaler``: 64 values of alpha by default, alpha and
the first step (default and AdaGrad), alpha and l1_ratio. Peers are ``GridSearchCV`` over ``SGDClassifier`` (constant
steps where steps are searched for, and adaptive ones, which end where ours do) and, for alphas, over
``LogisticRegression`` with lbfgs and newton-cholesky, its fastest; beside steps, over its 8 strengths alone.
*Classes*: several classes, beside ``GridSearchCV`` over the same estimator.
*Squared error*: 39 candidates on 5 folds, from sums over rows and, by a metric that sums do not tell, from the rows;
beside ``GridSearchCV`` over ``Ridge``, ``Lasso`` and ``ElasticNet``.
*Growth*: one thing changes at a time, beside the same.

Every search is timed in one process and in two, which are started before. Peers are timed on a share of the candidates
drawn at random (``--share``, a quarter), and their seconds scaled up. Compare ratios, not seconds: each line is one
run. Set ``OPENBLAS_NUM_THREADS=1`` for one thread. A folder given with ``--data`` holds a module ``load.py`` with
``names()`` and ``matrix(name)``, which returns X, y and more.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV

HEAD = f"{'what':46s} {'one':>8s} {'two':>8s} {'score':>7s}   {'times faster, processes 1:1, 1:2, 2:2':s}"
ALPHAS, STEPS, RATIOS = np.logspace(-6, -1, 8), np.logspace(-3, 0, 8), np.linspace(0, 1, 8)
WIDE = np.logspace(-6, 1, 64)


def synthetic(rows, features=50, classes=2, sparse=False, seed=0):
    """Synthetic rows and labels; the sparse ones have a tenth of the numbers."""
    X, y = make_classification(
        rows, features, n_informative=features * 2 // 5, n_redundant=0, n_classes=classes, class_sep=0.5, flip_y=0.05,
        random_state=seed,
    )  # fmt: skip
    if sparse:
        keep = np.random.default_rng(seed).random(X.shape) < 0.1
        X = sp.csr_array(np.where(keep, X, 0.0))
    return X, y


def local(folder, name, rows, seed=0):
    """At most so many rows of a local table, drawn at random; dense, if it is narrow."""
    spec = importlib.util.spec_from_file_location("local_data", Path(folder) / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    X, y = module.matrix(name)[:2]
    some = np.random.default_rng(seed).permutation(X.shape[0])[:rows]
    X, y = X[some], np.asarray(y)[some]
    often = np.isin(y, [label for label, count in zip(*np.unique(y, return_counts=True), strict=True) if count >= 10])
    X, y = X[often], y[often]
    return X.toarray() if sp.issparse(X) and X.shape[1] <= 1000 else X, y


def piped(model, grid, scale):
    """A model behind a scaler, and its grid, as candidates in a list."""
    candidates = list(ParameterGrid(grid))
    if not scale:
        return model, [{key: [value] for key, value in one.items()} for one in candidates]
    pipe = make_pipeline(StandardScaler(), model)
    step = pipe.steps[-1][0]
    return pipe, [{f"{step}__{key}": [value] for key, value in one.items()} for one in candidates]


def started():
    """Two processes that have imported what they need; they wait for the next search."""
    y = np.arange(8) % 2
    GridSearchCV(SGDVariantClassifier(max_iter=1, tol=None), {}, cv=2, n_jobs=2, refit=False).fit(y[:, None], y)


class Timing:
    """Seconds of a search in one process and in two, scaled up from a share of its candidates, and its best score."""

    def __init__(self, search, model, grid, data, folds, share=1.0, scale=True):
        estimator, grid = piped(model, grid, scale)
        drawn = np.random.default_rng(0).permutation(len(grid))[: max(1, round(share * len(grid)))]
        chosen, self.seconds = [grid[i] for i in drawn], []
        started()
        for jobs in (None, 2):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                fitted = search(estimator, chosen, cv=folds, n_jobs=jobs, refit=False).fit(*data)
                self.seconds.append((time.perf_counter() - start) * len(grid) / len(chosen))
        self.score = float(np.nanmax(fitted.cv_results_["mean_test_score"]))

    def line(self, name, beside=None):
        """A line of the table; ratios if it is a peer that stands `beside` ours."""
        one, two = self.seconds
        ratios = "" if beside is None else "".join(
            f"{theirs / ours:8.1f}"
            for theirs, ours in ((one, beside.seconds[0]), (two, beside.seconds[0]), (two, beside.seconds[1]))
        )  # fmt: skip
        print(f"{name:46s} {one:8.2f} {two:8.2f} {self.score:7.4f}   {ratios}", flush=True)


def regularised(alphas, rows, folds):
    """The same strengths as C of LogisticRegression, on the training rows of a fold."""
    return 1 / (np.asarray(alphas) * rows * (folds - 1) / folds)


def comparison(name, X, y, share, folds=5):
    """The same grids over scikit-learn's estimators and over ours."""
    print(f"\n{name}: {X.shape[0]} x {X.shape[1]}, {len(np.unique(y))} classes, {folds} folds, 64 candidates\n{HEAD}")

    def ours(what, grid, **options):
        timing = Timing(BatchedGridSearchCV, SGDVariantClassifier(random_state=0, **options), grid, (X, y), folds)
        timing.line(what)
        return timing

    def beside(what, timing, model, grid):
        Timing(GridSearchCV, model, grid, (X, y), folds, share).line(f"  {what}", timing)

    def sgd(**options):
        return SGDClassifier(loss="log_loss", random_state=0, **options)

    alphas = ours("64 alphas, default", {"alpha": WIDE})
    beside("SGDClassifier", alphas, sgd(), {"alpha": WIDE})
    strengths = {"C": regularised(WIDE, len(y), folds)}
    for solver in ("lbfgs", "newton-cholesky"):
        beside(f"LogisticRegression, {solver}", alphas, LogisticRegression(solver=solver, max_iter=1000), strengths)
    steps = {"alpha": ALPHAS, "eta0": STEPS}
    free, adagrad = (
        ours("8 alphas x 8 eta0, default", steps),
        ours("8 alphas x 8 eta0, adagrad", steps, solver="adagrad"),
    )
    for schedule in ("constant", "adaptive"):
        model = sgd(learning_rate=schedule)
        beside(f"SGDClassifier, {schedule}, beside the default", free, model, steps)
        beside(f"SGDClassifier, {schedule}, beside adagrad", adagrad, model, steps)
    # a specialist has no first step to search for: the same strengths, and all of its candidates
    own = {"C": regularised(ALPHAS, len(y), folds)}
    Timing(GridSearchCV, LogisticRegression(max_iter=1000), own, (X, y), folds).line("  LogisticRegression, 8 C", free)
    mixed = {"alpha": ALPHAS, "l1_ratio": RATIOS}
    beside(
        "SGDClassifier", ours("8 alphas x 8 l1_ratios, default", mixed, penalty="elasticnet"),
        sgd(penalty="elasticnet"), mixed,
    )  # fmt: skip


def several_classes(name, X, y, share, folds=3):
    """Several classes, beside a grid search over the same estimator."""
    print(f"\n{name}: {X.shape[0]} x {X.shape[1]}, {len(np.unique(y))} classes, {folds} folds, 64 candidates\n{HEAD}")
    for what, options, grid in (
        ("64 alphas, default", {}, {"alpha": WIDE}),
        ("64 alphas, one-vs-rest", {"multi_class": "ovr"}, {"alpha": WIDE}),
        ("8 alphas x 8 eta0, adagrad", {"solver": "adagrad"}, {"alpha": ALPHAS, "eta0": STEPS}),
    ):
        model = SGDVariantClassifier(random_state=0, **options)
        timing = Timing(BatchedGridSearchCV, model, grid, (X, y), folds)
        timing.line(what)
        Timing(GridSearchCV, model, grid, (X, y), folds, share).line("  GridSearchCV of the same", timing)


def squared_error(rows, share, folds=5, features=65):
    """Strengths and l1_ratios of squared error, beside scikit-learn's estimators of the same objectives."""
    X, y = make_regression(rows, features, n_informative=features // 2, noise=100.0, random_state=0)
    print(f"\nSquared error: {rows} x {features}, {folds} folds, 39 candidates\n{HEAD}")
    train = rows * (folds - 1) / folds
    l2, l1, mixed = np.logspace(-6, 3, 39), np.logspace(-3, 2, 39), np.logspace(-3, 2, 13)
    both = {"alpha": mixed, "l1_ratio": [0.1, 0.5, 0.9]}
    for options, grid, peer, theirs in (
        ({}, {"alpha": l2}, Ridge(), {"alpha": l2 * train}),
        ({"penalty": "l1"}, {"alpha": l1}, Lasso(), {"alpha": l1}),
        ({"penalty": "elasticnet", "l1_ratio": 0.5}, both, ElasticNet(), both),
    ):
        ours = Timing(BatchedGridSearchCV, SGDVariantRegressor(**options), grid, (X, y), folds, scale=False)
        ours.line(options.get("penalty", "l2"))
        rows = partial(BatchedGridSearchCV, scoring="neg_median_absolute_error")  # which sums do not tell
        Timing(rows, SGDVariantRegressor(**options), grid, (X, y), folds, scale=False).line("  from rows", ours)
        Timing(GridSearchCV, peer, theirs, (X, y), folds, share, False).line(f"  {type(peer).__name__}", ours)


def growth(rows, most, share):
    """One thing changes at a time; beside it a grid search over the same estimator."""
    base = {"rows": rows, "candidates": 64, "folds": 3, "classes": 2, "sparse": False}
    cases = [{}]
    cases += [{"candidates": n} for n in (1, 8, 64, 512) if n <= most]
    cases += [{"folds": n} for n in (2, 5, 10)]
    cases += [{"classes": n} for n in (3, 10)]
    cases += [{"rows": n} for n in (rows // 10, rows * 4)]
    cases += [{"sparse": True}]
    for solver in ("auto", "adagrad"):
        print(f"\nGrowth, solver={solver!r}, {rows} x 50; GridSearchCV over the same estimator\n{HEAD}")
        for change in cases:
            case = {**base, **change}
            data = synthetic(case["rows"], classes=case["classes"], sparse=case["sparse"])
            model = SGDVariantClassifier(solver=solver, max_iter=10, tol=None, random_state=0)
            grid = {"alpha": np.logspace(-6, 1, case["candidates"])}
            ours = Timing(BatchedGridSearchCV, model, grid, data, case["folds"], scale=False)
            ours.line(
                ", ".join(f"{key}={value}" for key, value in change.items()) or "64 candidates, 3 folds, 2 classes"
            )
            few = share if case["candidates"] < 64 else min(share, 4 / case["candidates"])
            Timing(GridSearchCV, model, grid, data, case["folds"], few, False).line("  GridSearchCV", ours)


def tables(options):
    """Name, rows and labels of each table to compare on."""
    if options.data is not None:
        for name in options.tables:
            yield name, *local(options.data, name, options.rows)
        return
    rows = 3_000 if options.quick else options.rows
    yield "synthetic", *synthetic(rows)
    yield "digits", *load_digits(return_X_y=True)


def main(arguments=None):
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small tables, few candidates of peers")
    parser.add_argument("--only", choices=["comparison", "squared", "growth"], help="one part")
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--tables", nargs="+", default=[], help="names of local tables")
    parser.add_argument("--rows", type=int, default=60_000, help="rows of a table, at most")
    parser.add_argument("--share", type=float, default=0.25, help="share of the candidates that peers are timed on")
    parser.add_argument("--cpu", action="store_true", help="seconds of CPU; of one process only")
    options = parser.parse_args(arguments)
    if options.cpu:
        time.perf_counter = time.process_time
    share = 1 / 16 if options.quick else options.share
    if options.only in (None, "squared"):
        squared_error(3_000 if options.quick else options.rows, share)
    if options.only in (None, "comparison"):
        for name, X, y in tables(options):
            (comparison if len(np.unique(y)) == 2 else several_classes)(name, X, y, share)
    if options.only in (None, "growth"):
        growth(2_000 if options.quick else 20_000, 64 if options.quick else 512, share)


if __name__ == "__main__":
    main()

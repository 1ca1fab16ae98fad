"""A search that trains all candidates as columns, beside scikit-learn's grid search.

One command, one table::

    python examples/benchmarks/search.py                 # the comparison and the growth, about half an hour
    python examples/benchmarks/search.py --quick         # small tables, about a minute
    python examples/benchmarks/search.py --only growth   # or: comparison

The comparison is the same grid (64 candidates, 5 folds) over scikit-learn's ``SGDClassifier`` by ``GridSearchCV`` with
two processes, and over ``SGDVariantClassifier`` by ``BatchedGridSearchCV`` in one process. The growth changes one thing
at a time: candidates, folds, classes, rows, and dense or sparse rows; beside each stands the time of a grid search over
the same estimator, measured on a few candidates and scaled up. Compare ratios, not seconds: each line is one run.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

from skvariants import SGDVariantClassifier
from skvariants.model_selection import BatchedGridSearchCV

COLUMNS = f"{'what':44s} {'seconds':>9s} {'beside':>9s} {'times':>7s} {'score':>8s} {'beside':>8s}"


def table(rows, features=50, classes=2, sparse=False, seed=0):
    """Synthetic rows and labels; the sparse ones have a tenth of the numbers."""
    X, y = make_classification(
        rows, features, n_informative=features * 2 // 5, n_redundant=0, n_classes=classes, class_sep=0.5, flip_y=0.05,
        random_state=seed,
    )  # fmt: skip
    if sparse:
        keep = np.random.default_rng(seed).random(X.shape) < 0.1
        X = sp.csr_array(np.where(keep, X, 0.0))
    return X, y


def timed(search, X, y):
    """The fitted search and its seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        search.fit(X, y)
        return search, time.perf_counter() - start


def line(what, seconds, beside, score=np.nan, other=np.nan):
    print(f"{what:44s} {seconds:9.2f} {beside:9.2f} {beside / seconds:7.1f} {score:8.4f} {other:8.4f}", flush=True)


def comparison(rows):
    """The same grid over scikit-learn's estimator and over this one."""
    X, y = table(rows)
    alphas, steps = np.logspace(-6, -1, 8), np.logspace(-3, 0, 8)
    wide = {"alpha": np.logspace(-6, 1, 64)}
    penalties = {"alpha": alphas, "l1_ratio": np.linspace(0, 1, 8)}
    cases = {
        "64 alphas": (wide, wide, {}, {}),
        "8 alphas x 8 eta0, adagrad": (
            {"alpha": alphas, "eta0": steps}, {"alpha": alphas, "eta0": steps},
            {"solver": "adagrad"}, {"learning_rate": "constant"},
        ),
        "8 alphas x 8 l1_ratios, adagrad": (
            penalties, penalties, {"penalty": "elasticnet", "solver": "adagrad"}, {"penalty": "elasticnet"},
        ),
    }  # fmt: skip
    print(f"\nBatchedGridSearchCV beside GridSearchCV(SGDClassifier(), n_jobs=2), {rows} x 50, 5 folds\n{COLUMNS}")
    for name, (grid, other_grid, options, other_options) in cases.items():
        model = SGDVariantClassifier(random_state=0, **options)
        other = SGDClassifier(loss="log_loss", random_state=0, **other_options)
        ours, seconds = timed(BatchedGridSearchCV(model, grid), X, y)
        theirs, beside = timed(GridSearchCV(other, other_grid, n_jobs=2), X, y)
        line(name, seconds, beside, ours.best_score_, theirs.best_score_)


def growth(rows, most):
    """One thing changes at a time; beside it the ordinary grid search over the same estimator, from four candidates."""
    base = {"rows": rows, "candidates": 64, "folds": 3, "classes": 2, "sparse": False}
    cases = [{}]
    cases += [{"candidates": n} for n in (1, 8, 64, 512) if n <= most]
    cases += [{"folds": n} for n in (2, 5, 10)]
    cases += [{"classes": n} for n in (3, 10)]
    cases += [{"rows": n} for n in (rows // 10, rows * 4)]
    cases += [{"sparse": True}]
    for solver in ("auto", "adagrad"):
        print(f"\nGrowth, solver={solver!r}, {rows} x 50; beside: GridSearchCV over the same estimator\n{COLUMNS}")
        for change in cases:
            case = {**base, **change}
            X, y = table(case["rows"], classes=case["classes"], sparse=case["sparse"])
            model = SGDVariantClassifier(solver=solver, max_iter=10, tol=None, random_state=0)
            alphas = np.logspace(-6, 1, case["candidates"])
            ours, seconds = timed(BatchedGridSearchCV(model, {"alpha": alphas}, cv=case["folds"], refit=False), X, y)
            few = alphas[:: max(1, len(alphas) // 4)][:4]
            _, beside = timed(GridSearchCV(model, {"alpha": few}, cv=case["folds"], refit=False), X, y)
            beside *= len(alphas) / len(few)
            name = ", ".join(f"{key}={value}" for key, value in change.items()) or "64 candidates, 3 folds, 2 classes"
            line(name, seconds, beside, ours.cv_results_["mean_test_score"].max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small tables and grids")
    parser.add_argument("--only", choices=["comparison", "growth"], help="one of the two parts")
    options = parser.parse_args()
    if options.only != "growth":
        comparison(3_000 if options.quick else 60_000)
    if options.only != "comparison":
        growth(2_000 if options.quick else 20_000, 64 if options.quick else 512)


if __name__ == "__main__":
    main()

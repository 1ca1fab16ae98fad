"""Dense tables, small and large: seconds of the default fit beside scikit-learn's linear models of the same objective.

One command, no data needed::

    python examples/benchmarks/tables.py                          # about two minutes, 1 GB of memory
    python examples/benchmarks/tables.py --quick
    python examples/benchmarks/tables.py --loops     # few numbers, in a loop of their own and in the general one
    python examples/benchmarks/tables.py --data FOLDER --sets adult bank_full

Columns are drawn correlated. Local tables (a module `load` in the folder, whose ``matrix(name)`` returns `X` and `y`)
are standardised first, at most 100,000 of their rows, one class against the rest. SGD stops by its own rule, plain and
averaged. "Beyond validation": seconds of scikit-learn's check of `X` and `y`, which all of them make, taken off. Each
time is the best of several repetitions in turn.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.utils.validation import check_X_y

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._quasi_newton import small
from skvariants._threads import spare_thread

ALPHA = 1e-4
#: Rows and columns.
SHAPES = [(500, 20), (2000, 20), (2000, 50), (10000, 20), (10000, 50), (100000, 50)]
OURS, SGD = "default", ("SGD", "SGD averaged")


def methods_of(n, classes):
    """What is compared, each at the same objective."""
    if classes:
        C = 1 / (ALPHA * n)
        return {
            OURS: SGDVariantClassifier(alpha=ALPHA),
            SGD[0]: SGDClassifier(loss="log_loss", alpha=ALPHA),
            SGD[1]: SGDClassifier(loss="log_loss", alpha=ALPHA, average=True),
            "lbfgs": LogisticRegression(C=C),
            "newton-cholesky": LogisticRegression(C=C, solver="newton-cholesky"),
            "liblinear": LogisticRegression(C=C, solver="liblinear"),
        }
    return {
        OURS: SGDVariantRegressor(alpha=ALPHA),
        SGD[0]: SGDRegressor(alpha=ALPHA),
        SGD[1]: SGDRegressor(alpha=ALPHA, average=True),
        "Ridge": Ridge(alpha=ALPHA * n),
    }


def drawn(n, d, classes):
    """A table of correlated columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) @ (np.eye(d) + 0.3 * rng.standard_normal((d, d)) / np.sqrt(d))
    z = X @ rng.standard_normal(d)
    z /= z.std()
    return X, (2 * z + rng.logistic(size=n) > 0).astype(int) if classes else z + rng.standard_normal(n)


def loaded(folder, name):
    """A local table, standardised; its targets, and whether they are classes."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import load

    (X, y), task = load.matrix(name)[:2], load.load(name)[2]
    rows = np.random.default_rng(0).permutation(X.shape[0])[:100000]
    X = X[rows].toarray() if sp.issparse(X) else np.asarray(X, dtype=float)[rows]
    X, y = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0), np.asarray(y)[rows]
    if task == "regression":
        return X, (y - y.mean()) / y.std(), False
    return X, (y == np.bincount(y).argmax()).astype(int), True


def measured(X, y, classes, repeat):
    """Best seconds of each method, and of validation alone."""
    calls = {name: model.fit for name, model in methods_of(len(y), classes).items()}
    calls["validation"] = lambda X, y: check_X_y(X, y, y_numeric=not classes)
    seconds = dict.fromkeys(calls, np.inf)
    for i in range(repeat):
        for name, call in calls.items():
            if i and name in SGD and seconds[name] > 1:
                continue
            begin = time.perf_counter()
            call(X, y)
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return seconds


def loops(repeat=30):
    """Seconds of a fit in the loop for few numbers, over those of the same steps in the general one; in turn."""
    sets = [(f"{n} x {d}", *drawn(n, d, True)) for n, d in SHAPES[:3]]
    sets += [(name, *load(return_X_y=True)) for name, load in (("iris", load_iris), ("wine", load_wine))]
    suits = small.suits
    for name, X, y in sets:
        spent = np.full((repeat, 2), np.inf)
        for i, j in np.ndindex(spent.shape):
            small.suits = (suits, lambda *problem: False)[j]
            begin = time.perf_counter()
            SGDVariantClassifier(alpha=ALPHA).fit(X, y)
            spent[i, j] = time.perf_counter() - begin
        small.suits = suits
        own, general = spent.min(axis=0)
        print(f"{name}: {1e3 * own:.1f} ms, {own / general:.2f} of the general loop")


def main(arguments=None):
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small tables, fewer repetitions")
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--sets", nargs="*", default=[], help="names of local tables")
    parser.add_argument("--json", help="file to write")
    parser.add_argument("--loops", action="store_true", help="the loop for few numbers beside the general one")
    parser.add_argument("--cpu", action="store_true", help="seconds of CPU of this process, on a busy machine")
    options = parser.parse_args(arguments)
    if options.cpu:
        time.perf_counter = time.process_time
    warnings.simplefilter("ignore")
    if options.loops:
        loops()
        return
    shapes = SHAPES[:3] if options.quick else SHAPES
    sets = [(f"{n}x{d}", lambda n=n, d=d, c=c: (*drawn(n, d, c), c)) for c in (True, False) for n, d in shapes]
    sets += [(name, lambda name=name: loaded(options.data, name)) for name in options.sets]
    results, speedups = [], []
    for name, make in sets:
        X, y, classes = make()
        found = measured(X, y, classes, 3 if options.quick or X.size > 1e6 else 15)
        checked, ours = found.pop("validation"), found.pop(OURS)
        own = max(ours - checked, 1e-9)
        beside = {peer: (t - checked) / own for peer, t in found.items()}
        if len(y) >= 50000:
            speedups.append(min(found[peer] for peer in SGD) / ours)
        kind = "classes" if classes else "real"
        cells = "  ".join(f"{peer} {ratio:.2g}" for peer, ratio in beside.items())
        print(f"{name:16} {kind:8}{1e3 * ours:8.2f} ms; beyond validation, times ours: {cells}", flush=True)
        results.append({"set": name, "classes": classes, "ours": ours, "validation": checked, "peers": found})
    if speedups:
        mean = np.exp(np.mean(np.log(speedups)))
        print(f"tables of 50,000 rows and more: {mean:.1f} times faster than the faster SGD (geometric mean)")
    if options.json:
        about = {"machine": platform.platform(), "two_threads": spare_thread(), "results": results}
        with open(options.json, "w") as file:
            json.dump(about, file, indent=1)


if __name__ == "__main__":
    main()

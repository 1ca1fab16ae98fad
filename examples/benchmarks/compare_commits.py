"""Did a change make fits slower? Two commits timed in one run, alternately, on the same machine.

::

    python examples/benchmarks/compare_commits.py main                # main against the working tree
    python examples/benchmarks/compare_commits.py v0.1.0 HEAD         # two commits
    python examples/benchmarks/compare_commits.py main --rounds 9 --tasks "sparse|epoch"

Each commit is checked out into a worktree of its own in a temporary folder (nothing is built: the package is plain
Python), and a small set of fits is timed in fresh processes: before, after, before, after, ... Noise that comes and
goes then meets both. For each fit the table gives the seconds before, the ratio after / before (median over the
rounds; below 1 is faster), and the smallest and the largest ratio of a round. A ratio whose whole range lies above 1.1
is marked SLOWER, one whose range lies below 0.9 faster; the exit status is 1 if any fit is slower, so a script can
bisect with it. Where noise comes in bursts longer than a round, "best" says more: the fastest of all rounds after over
the fastest before. The objective after the fit is compared too: a fit that became quick by stopping early shows there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


# ----------------------------------------------------------------------------- what is timed


def _dense(n, d, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)).astype(dtype)
    z = X @ rng.standard_normal(d) / np.sqrt(d)
    return X, z + 0.3 * rng.standard_normal(n)


def _sparse(n, d, stored):
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    columns = np.minimum(np.exp(rng.random((n, stored)) * np.log(d)).astype(np.int64), d - 1)
    X = sp.csr_matrix((np.ones(n * stored), columns.ravel(), np.arange(0, n * stored + 1, stored)), shape=(n, d))
    X.sum_duplicates()
    return X, X @ rng.standard_normal(d) + 0.3 * rng.standard_normal(n)


def _binary(data):
    X, z = data
    return X, (z > np.median(z)).astype(int)


def _classes(data):
    X, z = data
    return X, np.digitize(z, np.quantile(z, np.arange(1, 10) / 10))


def _fit(**params):
    """A fit with these parameters."""

    def run(X, y):
        from skvariants import SGDVariantClassifier, SGDVariantRegressor

        estimator = SGDVariantClassifier if y.dtype.kind == "i" else SGDVariantRegressor
        return estimator(random_state=0, **params).fit(X, y)

    return run


def _stream(chunk, **params):
    """One pass over the rows by `partial_fit`, in chunks."""

    def run(X, y):
        from skvariants import SGDVariantClassifier

        model = SGDVariantClassifier(random_state=0, **params)
        for start in range(0, X.shape[0], chunk):
            model.partial_fit(X[start : start + chunk], y[start : start + chunk], classes=[0, 1])
        return model

    return run


def _search(kind, grid, **params):
    """A search over a grid."""

    def run(X, y):
        from skvariants import SGDVariantClassifier, model_selection

        search = getattr(model_selection, kind)(SGDVariantClassifier(random_state=0, **params), grid, cv=3)
        return search.fit(X, y).best_estimator_

    return run


def _imported(X, y):
    """A fresh interpreter that imports the package."""
    command = [sys.executable, "-c", "import skvariants, skvariants.model_selection, skvariants.diagnostics"]
    subprocess.run(command, check=True)


def _tasks():
    """name -> (function that makes the data, function of the data that is timed)."""
    epochs = {"max_iter": 5, "tol": None}
    alphas = {"alpha": np.logspace(-6, 2, 32).tolist()}
    table, narrow = (lambda: _binary(_dense(20_000, 50))), (lambda: _binary(_dense(2_000, 20)))
    sparse = lambda: _binary(_sparse(20_000, 10_000, 30))  # noqa: E731
    return {
        "default, 500 x 20": (lambda: _binary(_dense(500, 20)), _fit()),
        "default, 100 x 5": (lambda: _binary(_dense(100, 5)), _fit()),
        "default, 20,000 x 50": (table, _fit()),
        "default, l1, 20,000 x 50": (table, _fit(penalty="l1", alpha=1e-3)),
        "default, regression 20,000 x 50": (lambda: _dense(20_000, 50), _fit()),
        "default, ten classes 20,000 x 50": (lambda: _classes(_dense(20_000, 50)), _fit()),
        "default, sparse 20,000 x 10,000": (sparse, _fit()),
        "epochs of minibatch, 100,000 x 100": (
            lambda: _binary(_dense(100_000, 100)), _fit(solver="minibatch", **epochs),
        ),
        "epochs of minibatch, float32": (
            lambda: _binary(_dense(100_000, 100, np.float32)), _fit(solver="minibatch", **epochs),
        ),
        "epochs of adam, 20,000 x 50": (table, _fit(solver="adam", **epochs)),
        "epochs of adam, ten classes": (
            lambda: _classes(_dense(20_000, 50)), _fit(solver="adam", eta0=0.01, **epochs),
        ),
        "epochs of adagrad, sparse": (sparse, _fit(solver="adagrad", **epochs)),
        "epochs of momentum, l1": (table, _fit(solver="momentum", penalty="l1", **epochs)),
        "hinge, raced momentum": (table, _fit(loss="hinge", solver="momentum")),
        "samples of sgd, 2,000 x 20": (narrow, _fit(solver="sgd", **epochs)),
        "samples of sgd, raw": (narrow, _fit(solver="sgd", eta0=0.01, scale_features=False, **epochs)),
        "samples of sgd, sparse": (
            lambda: _binary(_sparse(2_000, 5_000, 20)), _fit(solver="sgd", eta0=0.01, scale_features=False, **epochs),
        ),
        "partial_fit, chunks of 100": (lambda: _binary(_dense(10_000, 20)), _stream(100)),
        "partial_fit of adam, chunks of 1,000": (table, _stream(1_000, solver="adam")),
        "search of 32 alphas": (lambda: _binary(_dense(5_000, 50)), _search("BatchedGridSearchCV", alphas)),
        "search of 32 alphas, adam": (
            lambda: _binary(_dense(2_000, 20)), _search("BatchedGridSearchCV", alphas, solver="adam", **epochs),
        ),
        "halving over 32 alphas, adam": (
            lambda: _binary(_dense(2_000, 20)),
            _search("BatchedHalvingSearchCV", alphas, solver="adam", max_iter=36, tol=None),
        ),
        "import": (lambda: (None, None), _imported),
    }  # fmt: skip


def worker(pattern):
    """Time every task with the package that PYTHONPATH finds; print one JSON object."""
    warnings.simplefilter("ignore")
    results = {}
    A = np.ones((500, 500))
    for _ in range(5):
        A @ A
    for name, (data, run) in _tasks().items():
        if not re.search(pattern, name):
            continue
        X, y = data()
        best, spent, runs, objective = np.inf, 0.0, 0, np.nan
        while runs < 2 or (spent < 0.4 and runs < 15):
            clock = time.perf_counter()
            model = run(X, y)
            seconds = time.perf_counter() - clock
            best, spent, runs = min(best, seconds), spent + seconds, runs + 1
            objective = model.loss_curve_[-1] if getattr(model, "loss_curve_", None) else np.nan
        results[name] = {"seconds": best, "objective": float(objective)}
    print(json.dumps(results))


# ----------------------------------------------------------------------------- comparing


@contextlib.contextmanager
def checked_out(commit):
    """Folder with the files of a commit; None is the working tree."""
    if commit is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", "--quiet", place, commit], check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", place], check=True)


def time_in(folder, pattern):
    """Results of :func:`worker` in a fresh process that imports the package from `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", "--tasks", pattern]
    out = subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1])


def compare(before, after, rounds, pattern=".", timer=time_in):
    """Rows of name, seconds before, median, smallest and largest ratio, objectives before and after."""
    first, second = [], []
    for i in range(rounds):
        # who goes first alternates too
        for place, out in [(before, first), (after, second)][:: 1 if i % 2 == 0 else -1]:
            out.append(timer(place, pattern))
    rows = []
    for name in first[0]:
        ratios = np.array([b[name]["seconds"] / a[name]["seconds"] for a, b in zip(first, second, strict=True)])
        seconds = float(np.median([a[name]["seconds"] for a in first]))
        objectives = (first[0][name]["objective"], second[0][name]["objective"])
        best = min(b[name]["seconds"] for b in second) / min(a[name]["seconds"] for a in first)
        rows.append(
            (name, seconds, float(np.median(ratios)), float(ratios.min()), float(ratios.max()), best, *objectives)
        )
    return rows


def verdict(low, high):
    """SLOWER or faster where every round says so."""
    return "SLOWER" if low > 1.1 else "faster" if high < 0.9 else ""


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", nargs="?", help="commit to compare with")
    parser.add_argument("after", nargs="?", help="commit; the default is the working tree")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", default=".", help="regular expression of the fits' names")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        worker(options.tasks)
        return 0
    if options.before is None:
        parser.error("which commit is to be compared with the working tree?")
    with checked_out(options.before) as before, checked_out(options.after) as after:
        rows = compare(before, after, options.rounds, options.tasks)
    print(f"{options.before} -> {options.after or 'working tree'}, {options.rounds} rounds\n")
    print(f"{'fit':38s} {'seconds':>9s} {'ratio':>6s} {'range':>13s} {'best':>5s}         objective")
    slower = False
    for name, seconds, ratio, low, high, best, a, b in rows:
        slower |= verdict(low, high) == "SLOWER"
        changed = "" if np.isclose(a, b, rtol=1e-6, equal_nan=True) else f"{a:.6g} -> {b:.6g}"
        times = f"{seconds:9.4f} {ratio:6.2f} {low:5.2f} to {high:4.2f} {best:5.2f}"
        print(f"{name:38s} {times} {verdict(low, high):7s} {changed}")
    means = [np.exp(np.mean([np.log(row[column]) for row in rows])) for column in (2, 5)]
    print(f"{'geometric mean':38s} {'':9s} {means[0]:6.3f} {'':12s} {means[1]:6.3f}")
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())

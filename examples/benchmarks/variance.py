"""Time to one millionth of the gain: variance-reduced solvers beside scikit-learn's saga, and beside "auto".

One command, no data needed::

    OMP_NUM_THREADS=1 python examples/benchmarks/variance.py          # a few minutes
    OMP_NUM_THREADS=1 python examples/benchmarks/variance.py --quick

Columns are standardised beforehand for scikit-learn; each fit is run for 1, 2, 3, 4, 6, 8, ... passes, and its time is
that of the first number of passes at which the objective, taken anew, is within 1e-6 of the optimum, relative to what
the constant model leaves; the best of several repetitions in turn. Ratios matter, seconds are this machine's.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skvariants import SGDVariantClassifier

ALPHA, CLOSE = 1e-3, 1e-6
PASSES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def tables(quick):
    """Tables of two classes, standardised: independent columns, dependent ones, and one of them with many rows."""
    sizes = (
        ("20,000 x 30", 20_000, 30, 0),
        ("20,000 x 100, dependent", 20_000, 100, 60),
        ("200,000 x 50", 200_000, 50, 0),
    )
    for name, n, d, dependent in sizes[: 1 if quick else None]:
        X, y = make_classification(
            n, d, n_informative=d - dependent, n_redundant=dependent, flip_y=0.1, class_sep=0.5, random_state=0
        )
        yield name, (X - X.mean(axis=0)) / X.std(axis=0), 2 * y - 1


def objective(X, y, coef, intercept):
    """Mean log loss and the penalty."""
    w = np.ravel(coef)
    return np.logaddexp(0, -y * (X @ w + intercept)).mean() + 0.5 * ALPHA * w @ w


def ours(solver, **params):
    """A fit of ours of some passes."""
    defaults = {"alpha": ALPHA, "tol": None, "scale_features": True, "random_state": 0}
    return lambda passes: SGDVariantClassifier(solver=solver, max_iter=passes, **defaults | params)


def theirs(n):
    """The same of scikit-learn's saga."""
    return lambda passes: LogisticRegression(C=1 / (ALPHA * n), solver="saga", tol=0.0, max_iter=passes, random_state=0)


def time_to(make, X, y, worst):
    """Passes and seconds of the first fit that is close enough, or nothing."""
    for passes in PASSES:
        model = make(passes)
        begin = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - begin
        if objective(X, y, model.coef_, model.intercept_[0]) <= worst:
            return passes, seconds
    return None, np.inf


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest table only")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, X, y in tables(args.quick):
        exact = SGDVariantClassifier(alpha=ALPHA, tol=1e-12).fit(X, y)
        best = objective(X, y, exact.coef_, exact.intercept_[0])
        constant = np.log(np.mean(y > 0) / np.mean(y < 0))
        worst = best + CLOSE * (objective(X, y, np.zeros(X.shape[1]), constant) - best)
        fits = {"scikit-learn's saga": theirs(len(y))}
        fits |= {solver: ours(solver) for solver in ("saga", "svrg", "minibatch", "adam")}
        fits["auto"] = lambda passes: SGDVariantClassifier(alpha=ALPHA, tol=CLOSE / 10, random_state=0)
        found = dict.fromkeys(fits, (None, np.inf))
        for _ in range(args.repeat):
            for key, make in fits.items():
                if found[key][0] is not None or found[key][1] == np.inf:
                    found[key] = min(found[key], time_to(make, X, y, worst), key=lambda f: f[1])
        print(f"\n{name}: to {CLOSE:g} of the gain")
        for key, (passes, seconds) in found.items():
            ratio = seconds / found["scikit-learn's saga"][1]
            needed = f"not in {PASSES[-1]}" if passes is None else passes
            print(f"  {key:20s} {needed:>12} passes {seconds:8.2f} s {ratio:6.2f}")


if __name__ == "__main__":
    main()

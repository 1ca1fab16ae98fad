"""How near the optimum a default fit ends, by its certificate: every loss and penalty, raw columns and standardised.

::

    python examples/benchmarks/exactness.py                        # tables of scikit-learn
    python examples/benchmarks/exactness.py --data DIR --rows 2000 # and those of a folder (see problems.py)

Prints a line for each fit that is not within 1e-4, then median and worst of `suboptimality_` for each loss and penalty.
The certificate is an upper bound ("bound") or an estimate; tests/test_certificate.py checks both against other optima.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict

import numpy as np
import scipy.sparse as sp
from problems import _local
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES
from skvariants.penalties import PENALTIES

#: Tables that come with scikit-learn: name -> loader, whether targets are classes.
TABLES = {
    "breast_cancer": (load_breast_cancer, True), "wine": (load_wine, True), "digits": (load_digits, True),
    "diabetes": (lambda **kwargs: load_diabetes(scaled=False, **kwargs), False),
}  # fmt: skip
#: Strengths, and features of a table that is left out.
ALPHA, WIDEST = {"l1": 1e-3, "elasticnet": 1e-3, "l2": 1e-4, None: 0.0}, 3000


def tables(folder, rows):
    """Names, features, targets, and whether these are classes; rows shuffled."""
    for name, (loader, classes) in TABLES.items():
        yield (name, *some(*loader(return_X_y=True), rows), classes)
    for name in [] if folder is None else _local(folder).names():
        X, y = _local(folder).matrix(name)[:2]
        task = _local(folder).load(name)[2]
        if X.shape[1] <= WIDEST:
            yield (name, *some(X, np.asarray(y), rows), task != "regression")


def some(X, y, rows):
    """Some rows at random."""
    index = np.random.default_rng(0).permutation(X.shape[0])[:rows]
    return X[index], y[index]


def standardised(X):
    """Dense columns of mean zero and variance one; constant ones left out."""
    X = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=float)
    scale = X.std(axis=0)
    return (X[:, scale > 0] - X[:, scale > 0].mean(axis=0)) / scale[scale > 0]


def measure(X, y, loss, penalty):
    """The fit, and its seconds."""
    regression = LOSSES[loss].regression
    options = {"epsilon": 0.1 * float(np.std(y))} if regression else {}
    estimator = (SGDVariantRegressor if regression else SGDVariantClassifier)(
        loss=loss, penalty=penalty, alpha=ALPHA[penalty], l1_ratio=0.5, random_state=0, **options
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    return estimator, time.perf_counter() - start


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder of local data")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--losses", nargs="*", default=list(LOSSES), choices=list(LOSSES))
    options = parser.parse_args()
    found = defaultdict(list)
    for name, X, y, classes in tables(options.data, options.rows):
        for units, columns in (("raw", X), ("standardised", standardised(X))):
            for loss in (loss for loss in options.losses if LOSSES[loss].regression != classes):
                for penalty in PENALTIES:
                    model, seconds = measure(columns, y, loss, penalty)
                    found[loss, penalty].append(model.suboptimality_)
                    if not model.suboptimality_ <= 1e-4:
                        kind = f"{model.suboptimality_:.1e} ({model.suboptimality_kind_})"
                        print(f"{name} {units} {loss} {penalty}: {model.status_}, {kind}, {seconds:.2f} s", flush=True)
    print("\n| loss | penalty | median | worst | fits |\n|---|---|---:|---:|---:|")
    for (loss, penalty), values in found.items():
        print(f"| {loss} | {penalty} | {np.nanmedian(values):.0e} | {np.nanmax(values):.0e} | {len(values)} |")


if __name__ == "__main__":
    main()

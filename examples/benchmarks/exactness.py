"""How near the optimum a default fit ends, by its certificate: every loss and penalty, raw columns and standardised.

::

    python examples/benchmarks/exactness.py                        # tables of scikit-learn
    python examples/benchmarks/exactness.py --data DIR --rows 2000 # and those of a folder (see problems.py)

Prints a line for each fit that ends more than 1e-4 from the optimum, then for each loss and penalty the median and the
worst of what is left, and of what the certificate (`suboptimality_`) says is left at most ("bound") or about. What is
left is measured against a fit with ``tol=1e-8``, as a share of what the optimum gains over a constant model;
tests/test_certificate.py checks certificates against optima that share no code with ours.
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
from skvariants.losses import LOSSES, MultinomialLogLoss
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


def defined(loss, y, classes):
    """Whether a loss is one of classes or of numbers, as the targets are, and is defined for all of them."""
    return LOSSES[loss].regression != classes and (classes or LOSSES[loss]().domain.holds(y))


def fitted(X, y, loss, penalty, **params):
    """A fit, and its seconds."""
    regression = LOSSES[loss].regression
    options = {"epsilon": 0.1 * float(np.std(y))} if regression else {}
    estimator = (SGDVariantRegressor if regression else SGDVariantClassifier)(
        loss=loss, penalty=penalty, alpha=ALPHA[penalty], l1_ratio=0.5, random_state=0, **options, **params
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    return estimator, time.perf_counter() - start


def objective(model, X, y):
    """Mean loss and penalty of a fitted model, evaluated by their definitions."""
    z = X @ model.coef_.reshape(-1, X.shape[1]).T + model.intercept_
    loss = LOSSES[model.loss]()
    if loss.regression:
        loss, targets = loss.with_fields(epsilon=model.epsilon) if hasattr(loss, "epsilon") else loss, y[:, None]
    elif z.shape[1] > 1 and model.loss == "log_loss":
        loss, targets = MultinomialLogLoss(n_classes=z.shape[1]), (y[:, None] == model.classes_).astype(float)
    else:
        targets = np.where(y[:, None] == model.classes_[-z.shape[1] :], 1.0, -1.0)
    l1 = model.alpha * {"l1": 1.0, "elasticnet": model.l1_ratio}.get(model.penalty, 0.0)
    l2 = 0.0 if model.penalty is None else model.alpha - l1
    costs = l1 * np.abs(model.coef_).sum() + l2 / 2 * (model.coef_**2).sum()
    return float(loss.value(targets, z).sum() / len(y) + costs)


def left(model, X, y, loss, penalty):
    """What a model has left to gain, as a share of the gain over a constant; the nearer of two fits is the optimum."""
    f = objective(model, X, y)
    best = min(f, objective(fitted(X, y, loss, penalty, tol=1e-8, max_iter=2000)[0], X, y))
    nothing = np.zeros((len(y), 1))
    constant = objective(fitted(nothing, y, loss, penalty, tol=1e-8)[0], nothing, y)
    return (f - best) / max(constant - best, np.finfo(float).tiny)


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
            for loss in (loss for loss in options.losses if defined(loss, y, classes)):
                for penalty in PENALTIES:
                    model, seconds = fitted(columns, y, loss, penalty)
                    remains = left(model, columns, y, loss, penalty)
                    found[loss, penalty].append((remains, model.suboptimality_))
                    if not remains <= 1e-4:
                        kind = f"{model.suboptimality_:.1e} ({model.suboptimality_kind_})"
                        print(
                            f"{name} {units} {loss} {penalty}: {model.status_}, {remains:.1e} left, {kind}, "
                            f"{seconds:.2f} s", flush=True,
                        )  # fmt: skip
    print("\n| loss | penalty | left, median | left, worst | certified, median | certified, worst | fits |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for (loss, penalty), values in found.items():
        (median, said), (worst, most) = np.nanmedian(values, axis=0), np.nanmax(values, axis=0)
        print(f"| {loss} | {penalty} | {median:.0e} | {worst:.0e} | {said:.0e} | {most:.0e} | {len(values)} |")


if __name__ == "__main__":
    main()

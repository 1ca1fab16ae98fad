"""What labels "more than k" lose beside the ordinal (cumulative logit) model, where that is the true one.

One command, no data needed; a minute::

    OMP_NUM_THREADS=1 python examples/benchmarks/ordinal.py

On drawn tables of five levels and six features: the ordinal model by maximum likelihood (scipy), one fit of four labels
of a row, and the multinomial loss, all without a penalty worth the name; log loss and mean absolute error of the level
on other rows, and on how many of these the probabilities of the labels cross. Means over the tables.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from skvariants import SGDVariantClassifier

LEVELS, FEATURES, NEW_ROWS = 5, 6, 20_000
THRESHOLDS = np.array([-2.0, -0.5, 0.5, 2.0])
# below this a probability counts as this
_LEAST = 1e-12


def drawn(rng, n):
    """Rows and their levels, to learn and new."""
    X = rng.standard_normal((n + NEW_ROWS, FEATURES))
    level = np.digitize(X @ rng.standard_normal(FEATURES) + rng.logistic(size=len(X)), THRESHOLDS)
    return X[:n], level[:n], X[n:], level[n:]


def probabilities(above):
    """Probabilities of the levels, from those of more than each: never negative, and one together."""
    ends = np.ones((len(above), 1)), np.zeros((len(above), 1))
    p = np.maximum(-np.diff(np.hstack([ends[0], above, ends[1]]), axis=1), 0)
    return p / p.sum(axis=1, keepdims=True)


def ordinal(X, level):
    """The cumulative logit model by maximum likelihood: a function from rows to probabilities."""

    def above(v, X):
        thresholds = v[FEATURES] + np.r_[0.0, np.cumsum(np.exp(v[FEATURES + 1 :]))]
        return expit((X @ v[:FEATURES])[:, None] - thresholds)

    def cost(v):
        p = probabilities(above(v, X))[np.arange(len(X)), level]
        return -np.log(np.maximum(p, _LEAST)).mean()

    v = minimize(cost, np.r_[np.zeros(FEATURES), -1.0, np.zeros(LEVELS - 2)], options={"maxiter": 500}).x
    return lambda X: probabilities(above(v, X))


def labels(X, level):
    """One fit of the labels "more than k": a function from rows to their probabilities of more than each."""
    return SGDVariantClassifier(alpha=1e-6).fit(X, (level[:, None] > np.arange(LEVELS - 1)).astype(int)).predict_proba


def measured(p, level):
    """Log loss, and mean absolute error of the level in the middle."""
    middle = (np.cumsum(p, axis=1) < 0.5).sum(axis=1)
    log_loss = -np.log(np.maximum(p[np.arange(len(p)), level], _LEAST)).mean()
    return np.array([log_loss, np.abs(middle - level).mean()])


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", type=int, default=20, help="how many tables of each size")
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 3000], help="rows that are learned")
    args = parser.parse_args(arguments)
    print(f"{'rows':>6}  {'ordinal':>14}  {'labels':>14}  {'multinomial':>14}  {'crossed':>8}   (log loss, error)")
    for n in args.rows:
        found, crossed = [], []
        for seed in range(args.tables):
            X, level, X_new, level_new = drawn(np.random.default_rng(seed), n)
            above = labels(X, level)(X_new)
            crossed.append((np.diff(above, axis=1) > 0).any(axis=1).mean())
            multinomial = SGDVariantClassifier(alpha=1e-6).fit(X, level).predict_proba(X_new)
            parts = ordinal(X, level)(X_new), probabilities(above), multinomial
            found.append([measured(p, level_new) for p in parts])
        shown = "  ".join(f"{loss:6.3f}, {error:6.3f}" for loss, error in np.mean(found, axis=0))
        print(f"{n:>6}  {shown}  {np.mean(crossed):8.2%}", flush=True)


if __name__ == "__main__":
    main()

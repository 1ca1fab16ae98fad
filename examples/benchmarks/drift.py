"""Streams whose world changes: ours beside SGDClassifier and river, by the loss of rows before they are learned.

One command, no data needed::

    python examples/benchmarks/drift.py                        # a few minutes
    python examples/benchmarks/drift.py --quick
    python examples/benchmarks/drift.py --chunk 1 --scenarios flip rotation
    python examples/benchmarks/drift.py --data FOLDER --sets nycflights_late --rows 50000

Each chunk is predicted, scored, and then given to ``partial_fit``. Every method gets the columns as they come, and
those that need a scaler have one that learns along. A folder of local data holds a module `load` whose
``matrix(name)`` returns `X` and `y` in the order of time; of several classes one stands against the rest. river is used
where it is installed; it takes rows one at a time, with the defaults of its optimisers.

Printed are the mean log loss and the share of errors after the first tenth of the rows, how many rows after the change
the loss is back within a tenth of what it was, where there is one change, and microseconds a row.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier

HAS_RIVER = importlib.util.find_spec("river") is not None
#: Rows over which a loss is averaged to tell whether it is back.
WINDOW = 500


# ----------------------------------------------------------------------------- streams


def drawn(rng, n, d, weights):
    """Rows, and labels by weights that are given for each row."""
    X = rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d)) + 3 * rng.standard_normal(d)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    z = (Z * weights[:, :-1]).sum(axis=1) + weights[:, -1]
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def plane(rng, d):
    """Two orthogonal directions of weights, of length two."""
    return 2 * np.linalg.qr(rng.standard_normal((d + 1, 2)))[0].T


def still(n, d, rng):
    """One world."""
    return *drawn(rng, n, d, np.broadcast_to(plane(rng, d)[0], (n, d + 1))), None


def flip(n, d, rng):
    """Labels change sides."""
    sign = np.where(np.arange(n) < n * 3 // 4, 1, -1)[:, None]
    return *drawn(rng, n, d, sign * plane(rng, d)[0]), n * 3 // 4


def rotation(n, d, rng, turns=1.0):
    """Weights turn."""
    angle = 2 * np.pi * turns * np.arange(n)[:, None] / n
    u, v = plane(rng, d)
    return *drawn(rng, n, d, np.cos(angle) * u + np.sin(angle) * v), None


def fast_rotation(n, d, rng):
    """Four turns."""
    return rotation(n, d, rng, 4.0)


def recurring(n, d, rng):
    """Two worlds in turn."""
    return *drawn(rng, n, d, plane(rng, d)[np.arange(n) * 8 // n % 2]), None


def moving_columns(n, d, rng):
    """Means of the columns move, and the model stays right."""
    w = plane(rng, d)[0]
    Z = rng.standard_normal((n, d)) + np.linspace(0, 3, n)[:, None]
    y = rng.random(n) < 1 / (1 + np.exp(-(Z @ w[:-1] + w[-1])))
    return Z, y.astype(int), None


def sorted_labels(n, d, rng):
    """One world, its rows sorted by label."""
    X, y, _ = still(n, d, rng)
    order = np.argsort(y, kind="stable")
    return X[order], y[order], None


SCENARIOS = {
    "flip": flip, "rotation": rotation, "fast rotation": fast_rotation, "recurring": recurring, "still": still,
    "moving columns": moving_columns, "sorted labels": sorted_labels,
}  # fmt: skip


def loaded(folder, name, rows, columns=100):
    """A local data set in its order; of many columns those that are zero least."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import load

    X, y = load.matrix(name)[:2]
    X, y = sp.csr_matrix(X, dtype=float)[:rows], np.asarray(y)[:rows]
    most = np.sort(np.argsort(-X.getnnz(axis=0), kind="stable")[:columns])
    classes, counts = np.unique(y, return_counts=True)
    return X[:, most].toarray(), (y == classes[counts.argmin() if len(classes) == 2 else 0]).astype(int), None


# ----------------------------------------------------------------------------- methods


class Ours:
    """The default, but for how long it remembers."""

    def __init__(self, **params):
        self.model = SGDVariantClassifier(random_state=0, **params)

    def decide(self, X):
        return self.model.decision_function(X)

    def learn(self, X, y):
        self.model.partial_fit(X, y, classes=[0, 1])


class Scaled:
    """SGDClassifier behind a scaler that learns along."""

    def __init__(self, **params):
        self.scaler, self.model = StandardScaler(), SGDClassifier(loss="log_loss", random_state=0, **params)

    def decide(self, X):
        return self.model.decision_function(self.scaler.transform(X))

    def learn(self, X, y):
        self.model.partial_fit(self.scaler.partial_fit(X).transform(X), y, classes=[0, 1])


class River:
    """river's logistic regression behind its scaler, row by row."""

    def __init__(self, optimiser, retrained=False):
        from river import drift, linear_model, optim, preprocessing

        self.model = preprocessing.StandardScaler() | linear_model.LogisticRegression(getattr(optim, optimiser)())
        if retrained:
            self.model = drift.DriftRetrainingClassifier(self.model, drift.binary.DDM())

    def decide(self, X):
        p = [self.model.predict_proba_one(dict(enumerate(x))).get(True, 0.5) for x in X.tolist()]
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return np.log(p) - np.log1p(-p)

    def learn(self, X, y):
        for x, label in zip(X.tolist(), y, strict=True):
            self.model.learn_one(dict(enumerate(x)), bool(label))


METHODS = {
    "ours": lambda: Ours(),
    "SGDClassifier": lambda: Scaled(),
    "SGDClassifier, averaged": lambda: Scaled(average=True),
    "SGDClassifier, constant": lambda: Scaled(learning_rate="constant", eta0=0.01),
}
if "forgetting" in SGDVariantClassifier().get_params():
    METHODS |= {
        "ours, auto": lambda: Ours(forgetting="auto"),
        "ours, half-life 1,000": lambda: Ours(forgetting=1000),
        "ours, half-life 300": lambda: Ours(forgetting=300),
    }
if HAS_RIVER:
    METHODS |= {
        "river, SGD": lambda: River("SGD"),
        "river, Adam": lambda: River("Adam"),
        "river, SGD, retrained": lambda: River("SGD", retrained=True),
    }


# ----------------------------------------------------------------------------- measuring


def prequential(method, X, y, chunk):
    """Log loss and error of each row before it is learned, and seconds."""
    loss, error, begin = np.full(len(y), np.log(2)), np.full(len(y), 0.5), time.perf_counter()
    for start in range(0, len(y), chunk):
        part = slice(start, start + chunk)
        if start:
            z = np.where(y[part] > 0, 1, -1) * method.decide(X[part])
            loss[part], error[part] = np.logaddexp(0, -z), z <= 0
        method.learn(X[part], y[part])
    return loss, error, time.perf_counter() - begin


def rows_until_back(loss, change, chunk):
    """Rows after a change until the mean loss of some that follow is within a tenth of that before; None if never."""
    if change is None:
        return None
    before = loss[change // 2 : change].mean()
    for at in range(change, len(loss) - WINDOW + 1, max(chunk, 50)):
        if loss[at : at + WINDOW].mean() <= 1.1 * before:
            return at - change
    return np.inf


def table(name, X, y, change, chunk, methods):
    """One stream, all methods."""
    print(f"\n{name}: {len(y):,} rows, {X.shape[1]} columns, chunks of {chunk}")
    share = y.mean()
    print(f"{'method':26s} {'log loss':>9s} {'errors':>8s} {'back':>8s} {'us a row':>9s}")
    for label in methods:
        loss, error, seconds = prequential(METHODS[label](), X, y, chunk)
        rest = slice(len(y) // 10, None)
        back = rows_until_back(loss, change, chunk)
        back = "" if back is None else "never" if np.isinf(back) else f"{back:,}"
        print(
            f"{label:26s} {loss[rest].mean():9.4f} {error[rest].mean():8.4f} {back:>8s} {1e6 * seconds / len(y):9.1f}"
        )
    constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    print(f"{'best constant':26s} {constant:9.4f} {min(share, 1 - share):8.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--chunk", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenarios", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--sets", nargs="*", default=[])
    args = parser.parse_args()
    n = args.rows // 10 if args.quick else args.rows
    warnings.simplefilter("ignore")
    for name in args.scenarios if not args.sets else []:
        X, y, change = SCENARIOS[name](n, args.columns, np.random.default_rng(args.seed))
        table(name, X, y, change, args.chunk, args.methods)
    for name in args.sets:
        table(name, *loaded(args.data, name, n), args.chunk, args.methods)


if __name__ == "__main__":
    main()

"""Streams: what one pass of `partial_fit` leaves, what a row costs, and what is kept of the rows.

::

    python examples/benchmarks/streams.py                      # made and bundled data, some minutes
    python examples/benchmarks/streams.py --quick              # some of it, half a minute
    python examples/benchmarks/streams.py --chunks 1 10 10000 --penalties l2 l1 --orders random sorted file
    python examples/benchmarks/streams.py --only begins --data DIR --tables covtype bank_full adult credit_default
    python examples/benchmarks/streams.py --data DIR --rows 20000 --losses log_loss squared_error --only passes

Columns and targets are in the units in which they come, and all parameters but the loss and the penalty are defaults.
"Left" is (f - f*) / (f_constant - f*) after the pass, where f is the objective over all rows of the pass and f* its
minimum: by Newton's method for squared error, else that of our whole fit, or the least that was seen. Chunks of one row
see a part of the rows, which has its own minimum. "Worst" is the largest f / f_constant from the chunk that brings the
last class to the end of the pass. SGD behind a scaler that learns along is measured by the objective of standardised
columns, SGD of several classes by one-vs-rest: each beside the minimum of what it minimises.

Begins: what is left of all rows after a fit of the first, after a chunk more, and after the stream of the others. Rows
"by a column" are sorted by the one that is correlated most with the targets: those of the fit are of another kind.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import pickle
import re
import time
import warnings
from pathlib import Path

import measuring
import numpy as np
import objectives
import problems as data_sets
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor

EPSILON = 0.1
STRENGTH = {"l2": 1e-4, "l1": 1e-3}
CLASSES, REAL = ("log_loss", "hinge"), ("squared_error", "huber", "epsilon_insensitive")
ORDERS, PENALTIES = ("random", "sorted", "file"), ("l2", "l1")
#: Most rows that are given one at a time; times along a pass at which its worst is looked for.
ONE_BY_ONE, LOOKS = 5_000, 30
#: Seconds after which a pass is given up.
SECONDS = 20.0
#: Rows, columns and calls of the costs.
COLUMNS, COST_CHUNKS, CALLS = 50, (1, 100, 1_000, 10_000), (100, 5_000)
#: Rows of the fit that a stream begins with, of the stream, and of its chunks.
FITTED, STREAMED, CHUNK = 3_000, 6_000, 200
#: Made and bundled data: those of a whole run, and of a quick one.
NAMES = ["breast_cancer", "diabetes", "digits", "dense_1e4", "regression_1e4", "text_small"]
QUICK = ["dense_quick", "diabetes"]


# ----------------------------------------------------------------------------- the objective and its minimum


def losses(name, Y, z):
    """Of each row, summed over its columns; classes are 1 and -1, for "multinomial" 1 and 0."""
    if name == "multinomial":
        return -(Y * log_softmax(z, axis=1)).sum(axis=1)
    error = np.abs(Y - z)
    values = {
        "log_loss": lambda: np.logaddexp(0.0, -Y * z),
        "hinge": lambda: np.maximum(1 - Y * z, 0),
        "squared_error": lambda: 0.5 * error**2,
        "huber": lambda: np.where(error <= EPSILON, 0.5 * error**2, EPSILON * (error - 0.5 * EPSILON)),
        "epsilon_insensitive": lambda: np.maximum(error - EPSILON, 0),
    }
    return values[name]().sum(axis=1)


class Objective:
    """Mean loss plus penalty over the rows of a pass.

    Parameters
    ----------
    X : ndarray or CSR matrix
    y : ndarray of shape (n,)
    loss : str
        One of :data:`CLASSES`, :data:`REAL`, or "multinomial".
    penalty : {"l2", "l1"}
        Of the weights of the columns as they are.
    scaled : bool
        Whether of those of standardised columns.
    """

    def __init__(self, X, y, loss, penalty, scaled=False):
        self.mean, self.scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if scaled:
            scaler = StandardScaler(with_mean=not sp.issparse(X)).fit(X)
            X, self.scale = scaler.transform(X), scaler.scale_
            self.mean = scaler.mean_ if scaler.with_mean else self.mean
        self.X, self.y, self.loss, self.penalty = X, y, loss, penalty
        self.classes = None if loss in REAL else np.unique(y)
        if loss in REAL:
            self.Y = y[:, None]
        elif len(self.classes) == 2:
            self.Y = np.where(y == self.classes[1], 1.0, -1.0)[:, None]
        else:
            self.Y = np.where(y[:, None] == self.classes, 1.0, 0.0 if loss == "multinomial" else -1.0)
        self.constant = self._constant()
        self.best, self.note = np.inf, ""

    def __call__(self, coef, intercept):
        """The value at weights and intercepts in the units of the data."""
        coef = np.asarray(coef, dtype=np.float64).reshape(-1, self.X.shape[1])
        with np.errstate(all="ignore"):
            offset, coef = np.ravel(intercept) + coef @ self.mean, coef * self.scale
            value = losses(self.loss, self.Y, np.asarray(self.X @ coef.T) + offset).mean()
            size = 0.5 * (coef**2).sum() if self.penalty == "l2" else np.abs(coef).sum()
            value += STRENGTH[self.penalty] * size
        return float(value) if np.isfinite(value) else np.inf

    def at(self, coef, intercept):
        """The value at weights of the columns that it has."""
        coef = np.atleast_2d(coef) / self.scale
        return self(coef, np.ravel(intercept) - coef @ self.mean)

    def _constant(self):
        """Least mean loss of a constant."""
        if self.loss == "multinomial":
            with np.errstate(divide="ignore"):
                return float(losses(self.loss, self.Y, np.log(self.Y.mean(axis=0))[None] + 0 * self.Y).mean())
        return sum(self._constant_of(column[:, None]) for column in self.Y.T)

    def _constant_of(self, Y):
        if self.loss == "log_loss":
            share = (1 + Y.mean()) / 2
            return float(-share * np.log(share) - (1 - share) * np.log1p(-share))
        if self.loss == "squared_error":
            return float(0.5 * Y.var())
        value = lambda z: float(losses(self.loss, Y, np.full_like(Y, z)).mean())  # noqa: E731
        inside = minimize_scalar(value, (Y.min(), Y.max()), (Y.min(), Y.max()), method="bounded").fun
        return min(inside, value(Y.min()), value(Y.max()), value(np.median(Y)))

    def left(self, value):
        """(f - f*) / (f_constant - f*)."""
        return max(0.0, (value - self.best) / max(self.constant - self.best, np.finfo(float).tiny))

    def find(self):
        """The minimum, and how far it may be off."""
        if self.loss == "squared_error" and self.penalty == "l2" and self.X.shape[1] <= objectives.MOST_PARAMETERS:
            found = objectives.Objective(self.X, self.y, self.loss, STRENGTH["l2"]).minimum()
            self.best, self.note = self.at(found.coef.T, found.intercept), "Newton"
            return
        several = {"multi_class": "multinomial" if self.loss == "multinomial" else "ovr"}
        params = {"tol": 1e-7, "max_iter": 3_000, "random_state": 0} | (several if self.loss not in REAL else {})
        model = learner(SGDVariantRegressor, SGDVariantClassifier, self.loss, self.penalty, **params)
        model.fit(self.X, self.y)
        self.best = self.at(model.coef_, model.intercept_)
        self.note = f"{model.status_} {model.suboptimality_:.0e}"


# ----------------------------------------------------------------------------- methods


def learner(Regressor, Classifier, loss, penalty, **params):
    """A model of a loss."""
    Model, loss = (Regressor if loss in REAL else Classifier), "log_loss" if loss == "multinomial" else loss
    return Model(loss=loss, penalty=penalty, alpha=STRENGTH[penalty], epsilon=EPSILON, **params)


class Plain:
    """A model that is given the rows as they are."""

    scaler = None

    def __init__(self, loss, penalty, **params):
        self.model = learner(SGDVariantRegressor, SGDVariantClassifier, loss, penalty, random_state=0, **params)

    def learn(self, X, y, classes):
        """One chunk."""
        if self.scaler is not None:
            X = self.scaler.partial_fit(X).transform(X)
        self.model.partial_fit(X, y, **({} if classes is None else {"classes": classes}))

    def value(self, objective):
        """Of the objective, at what was learned."""
        coef, intercept = np.atleast_2d(self.model.coef_), self.model.intercept_
        if self.scaler is not None:
            coef = coef / self.scaler.scale_
            intercept = intercept - (coef @ self.scaler.mean_ if self.scaler.with_mean else 0.0)
        return objective(coef, intercept)


class SGD(Plain):
    """scikit-learn's, as it is or behind a scaler that learns along."""

    def __init__(self, loss, penalty, sparse=False, scaled=False, **params):
        self.model = learner(SGDRegressor, SGDClassifier, loss, penalty, random_state=0, **params)
        self.scaler = StandardScaler(with_mean=not sparse) if scaled else None


OURS = ("ours", "adagrad")
METHODS = {
    "ours": lambda loss, penalty, sparse: Plain(loss, penalty),
    "adagrad": lambda loss, penalty, sparse: Plain(loss, penalty, solver="adagrad"),
    "SGD": lambda loss, penalty, sparse: SGD(loss, penalty),
    "SGD avg": lambda loss, penalty, sparse: SGD(loss, penalty, average=True),
    "SGD scaled": lambda loss, penalty, sparse: SGD(loss, penalty, sparse, scaled=True),
    "SGD scaled avg": lambda loss, penalty, sparse: SGD(loss, penalty, sparse, scaled=True, average=True),
}


# ----------------------------------------------------------------------------- what a pass leaves


def one_pass(method, X, y, objective, order, chunk):
    """Value at the end, the worst in between, and seconds of learning; infinite where the pass took too long."""
    X, y, spent = X[order], y[order], 0.0
    starts = range(0, len(y), chunk)
    known = 0 if objective.classes is None else max(np.flatnonzero(y == c)[0] for c in objective.classes)
    first = known // chunk
    looks = set(np.unique(np.geomspace(1, max(len(starts) - first, 1), LOOKS).astype(int) + first - 1))
    value = worst = np.inf
    for i, start in enumerate(starts):
        part = slice(start, start + chunk)
        begin = time.process_time()
        method.learn(X[part], y[part], objective.classes)
        spent += time.process_time() - begin
        if spent > SECONDS:
            return np.inf, np.inf, spent
        if i in looks or i == len(starts) - 1:
            value = method.value(objective)
            worst = value if np.isinf(worst) else max(worst, value)
    return value, worst, spent


def order_of(name, y):
    """Rows in the order of a pass; they come in that of the file."""
    if name == "file":
        return np.arange(len(y))
    mixed = np.random.default_rng(0).permutation(len(y))
    return mixed if name == "random" else mixed[np.argsort(y[mixed], kind="stable")]


def loaded(name, data, rows):
    """At most so many rows, in the order of the file; whether they are classes."""
    _, X, y, task = data_sets.raw_table(name, data)
    some = np.sort(np.random.default_rng(0).permutation(X.shape[0])[:rows])
    return (X[some].tocsr() if sp.issparse(X) else np.asarray(X)[some]), np.asarray(y)[some], task


class Minima:
    """Objectives by table, loss, penalty and rows, their minima kept in a file between runs if there is one."""

    def __init__(self, file):
        self.file = file and Path(file)
        self.known = json.loads(self.file.read_text()) if self.file and self.file.exists() else {}

    def of(self, name, X, y, loss, penalty, scaled=False):
        """The objective, its minimum found."""
        objective = Objective(X, y, loss, penalty, scaled)
        key = f"{name} {len(y)} {loss} {penalty}" + " scaled" * scaled
        if key in self.known:
            objective.best, objective.note = self.known[key]
            return objective
        objective.find()
        self.known[key] = objective.best, objective.note
        if self.file:
            self.file.write_text(json.dumps(self.known, indent=1))
        return objective


def cases(name, data, rows, options, minima):
    """What all methods leave of a table, by loss, penalty, chunk and order."""
    X, y, task = loaded(name, data, rows)
    losses = [loss for loss in options.losses if (loss in REAL) == (task == "regression")]
    for loss, penalty, chunk in itertools.product(losses, options.penalties, options.chunks):
        some = np.sort(np.random.default_rng(1).permutation(len(y))[: ONE_BY_ONE if chunk == 1 else None])
        for order in options.orders:
            case = {
                "table": name, "rows": len(some), "columns": X.shape[1], "sparse": sp.issparse(X), "task": task,
                "loss": loss, "penalty": penalty, "chunk": chunk, "order": order, "methods": {},
            }  # fmt: skip
            for label in (m for m in METHODS if re.search(options.methods, m)):
                softmax = task == "multiclass" and loss == "log_loss" and label in OURS
                method, kind = METHODS[label](loss, penalty, sp.issparse(X)), "multinomial" if softmax else loss
                objective = minima.of(name, X[some], y[some], kind, penalty, method.scaler is not None)
                value, worst, spent = one_pass(method, X[some], y[some], objective, order_of(order, y[some]), chunk)
                case["methods"][label] = {
                    "left": objective.left(value), "worst": worst / objective.constant,
                    "microseconds": 1e6 * spent / len(some), "minimum": objective.note,
                }  # fmt: skip
                if label in OURS and objective.left(value) == 0:
                    case["methods"][label]["below"] = (objective.best - value) / (objective.constant - objective.best)
            yield case


def head(labels):
    """The first line of the table."""
    names = "".join(f"{label:>16s}" for label in labels)
    case = f"{'table':19s}{'rows':>7s}   {'':6s} {'loss':11s} {'':3s}{'chunk':>6s} {'order':6s}"
    return f"{case}{names}   worst  us/row  minimum"


def line(case):
    """A line of the table."""
    found = case["methods"]
    first = next(iter(found.values()))
    left = "".join(f"{m['left']:16.1e}" for m in found.values()) + f" {first['worst']:7.2g}"
    below = f", {first['below']:.0e} below" if first.get("below", 0) > 1e-8 else ""
    return (
        f"{case['table']:19s}{case['rows']:>7,} x {case['columns']:<6,} {case['loss'][:11]:11s} {case['penalty']:3s}"
        f"{case['chunk']:>6,} {case['order']:6s}{left} {first['microseconds']:7.1f}  ({first['minimum']}{below})"
    )


def summary(found):
    """Median and worst of what methods leave, by loss, penalty, chunk and order."""
    key = lambda case: (case["loss"], case["penalty"], case["chunk"], case["order"])  # noqa: E731
    for loss, penalty, chunk, order in dict.fromkeys(map(key, found)):
        group = [case for case in found if key(case) == (loss, penalty, chunk, order)]
        yield f"{loss}, {penalty}, chunks of {chunk:,}, {order}: {len(group)} tables"
        for label in group[0]["methods"]:
            left = [case["methods"][label]["left"] for case in group]
            above = max(case["methods"][label]["worst"] for case in group)
            last = group[int(np.argmax(left))]["table"]
            yield (
                f"  {label:20s} median {np.median(left):8.1e}  worst {max(left):8.1e} ({last})  "
                f"f / f_constant at most {above:.2g}"
            )


# ----------------------------------------------------------------------------- where a stream begins


def by_column(X, y):
    """Rows in the order of the column that is correlated most with the targets."""
    X = X.toarray() if sp.issparse(X) else X
    deviations, target = X - X.mean(axis=0), y - y.mean()
    with np.errstate(invalid="ignore"):
        correlation = np.abs(target @ deviations) / np.sqrt((deviations**2).sum(axis=0))
    return np.argsort(X[:, np.nanargmax(correlation)], kind="stable")


def begins(name, data, minima):
    """What is left after a fit of the first rows, after it and the first chunk, and after the stream of the others."""
    X, y, task = loaded(name, data, FITTED + STREAMED)
    kind = {"regression": "squared_error", "multiclass": "multinomial"}.get(task, "log_loss")
    fitted = len(y) * FITTED // (FITTED + STREAMED)
    mixed = np.random.default_rng(0).permutation(len(y))
    for label, order in (("random", mixed), ("by a column", mixed[by_column(X[mixed], y[mixed])])):
        if kind == "multinomial" and len(np.unique(y[order[:fitted]])) < len(np.unique(y)):
            continue  # the rows of the fit lack classes
        objective, method = minima.of(name, X, y, kind, "l2"), Plain(kind, "l2")
        method.model.fit(X[order[:fitted]], y[order[:fitted]])
        left = [objective.left(method.value(objective))]
        for start in range(fitted, len(y), CHUNK):
            method.learn(X[order[start : start + CHUNK]], y[order[start : start + CHUNK]], objective.classes)
            left.append(objective.left(method.value(objective)))
        yield {"table": name, "rows": (fitted, len(y) - fitted), "order": label, "left": (left[0], left[1], left[-1])}


def measure_begins(names, data, minima):
    """Such cases, printed as they are found."""
    print(f"\nleft after a fit, its first chunk of {CHUNK} and its stream")
    found = []
    for case in itertools.chain.from_iterable(begins(name, data, minima) for name in names):
        found.append(case)
        left = "".join(f"{value:10.1e}" for value in case["left"])
        print(f"{case['table']:19s}{case['rows'][0]:>6,} + {case['rows'][1]:<6,} {case['order']:12s}{left}", flush=True)
    return found


# ----------------------------------------------------------------------------- what a row costs, what is kept


def cost_of(method, X, y, chunk, classes, at_most):
    """Microseconds of CPU time a row."""
    rows = max(chunk, min(len(y), at_most))
    gc.collect()
    begin = time.process_time()
    for start in range(0, rows, chunk):
        method.learn(X[start : start + chunk], y[start : start + chunk], classes)
    return 1e6 * (time.process_time() - begin) / rows


def costs(options, quick):
    """Rows' costs beside SGD's: the best of several passes in turn, and their ratio."""
    n, repeats = (10_000, 2) if quick else (200_000, 4)
    X, labels = data_sets.dense(n, COLUMNS, "binary")
    z = data_sets.dense(n, COLUMNS, "regression")[1]
    for loss in options.losses:
        y, classes = (z, None) if loss in REAL else (labels, np.arange(2))
        for chunk in COST_CHUNKS:
            best = dict.fromkeys(("ours", "SGD", "SGD scaled"), np.inf)
            at_most = {1: 500, 10: 10_000, 100: 50_000}.get(chunk, n)  # a stream from its first row on
            for _ in range(repeats):
                for label in best:
                    # defaults: SGDClassifier begins a generator anew in each call with a number
                    method = METHODS[label](loss, "l2", False)
                    method.model.set_params(random_state=None)
                    best[label] = min(best[label], cost_of(method, X, y, chunk, classes, at_most))
            yield {"loss": loss, "chunk": chunk, "ratio": best["ours"] / best["SGD"], **best}


def growth(loss, chunk, calls):
    """Seconds of a call, and bytes of the pickle, after few and many calls: medians of some calls around them."""
    X, labels = data_sets.dense(20_000, COLUMNS, "binary")
    y, classes = (X[:, 0], None) if loss in REAL else (labels, np.arange(2))
    method, spent, size, around = Plain(loss, "l2"), [], {}, 20
    for i in range(calls[-1] + around):
        start = i * chunk % (len(y) - chunk + 1)
        begin = time.process_time()
        method.learn(X[start : start + chunk], y[start : start + chunk], classes)
        spent.append(time.process_time() - begin)
        if i + 1 in calls:
            size[i + 1] = len(pickle.dumps(method.model))
    return {
        "loss": loss, "chunk": chunk, "calls": calls, "bytes": [size[c] for c in calls], "matrix": 8 * COLUMNS**2,
        "seconds": [float(np.median(spent[max(c - around, 0) : c + around])) for c in calls],
    }  # fmt: skip


def sizes(columns, loss):
    """Bytes of the pickle beside those of a matrix, by the number of columns."""
    for d in columns:
        X, y = data_sets.dense(5_000, d, "binary")
        method = Plain(loss, "l2")
        for start in range(0, len(y), 1_000):
            method.learn(X[start : start + 1_000], y[start : start + 1_000], np.arange(2))
        yield {"columns": d, "bytes": len(pickle.dumps(method.model)), "matrix": 8 * d * d}


def measure_costs(options, quick):
    """Costs, printed as they are found."""
    found = {"costs": [], "growth": [], "sizes": []}
    print(f"\nmicroseconds of CPU time a row, {COLUMNS} columns")
    for c in costs(options, quick):
        found["costs"].append(c)
        print(
            f"{c['loss']:19s} chunks of {c['chunk']:>6,}: ours {c['ours']:7.2f}  SGD {c['SGD']:7.2f}  "
            f"SGD behind a scaler {c['SGD scaled']:7.2f}  ours / SGD {c['ratio']:.2f}",
            flush=True,
        )
    calls = tuple(c // 10 for c in CALLS) if quick else CALLS
    for loss in options.losses:
        for chunk in (1,) if quick else (1, 100):
            g = growth(loss, chunk, calls)
            found["growth"].append(g)
            print(
                f"{loss:19s} chunks of {chunk:>6,}: call {calls[0]:,} {1e6 * g['seconds'][0]:.0f} us, call "
                f"{calls[1]:,} {1e6 * g['seconds'][1]:.0f} us; pickle {g['bytes'][0]:,} and {g['bytes'][1]:,} bytes",
                flush=True,
            )
    for s in sizes((10, 50) if quick else (10, 50, 300, 1_000), "log_loss"):
        found["sizes"].append(s)
        print(f"{s['columns']:>6,} columns: pickle {s['bytes']:>12,} bytes, {s['bytes'] / s['matrix']:.1f} matrices")
    return found


def main(arguments=None):
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tables, some chunks, orders and losses")
    parser.add_argument("--data", help="folder of local data, which is measured instead")
    parser.add_argument("--rows", type=int, default=20_000, help="at most so many rows of each table")
    parser.add_argument("--tables", nargs="+", help="names; the default is all")
    parser.add_argument("--losses", nargs="+", choices=CLASSES + REAL, default=list(CLASSES + REAL))
    parser.add_argument("--penalties", nargs="+", choices=PENALTIES, default=["l2"])
    parser.add_argument("--chunks", nargs="+", type=int, default=[100, 1_000])
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=["random", "sorted"])
    parser.add_argument("--methods", default=".", help="regular expression of the methods' names")
    parser.add_argument("--only", choices=["passes", "begins", "costs"], help="a part of it")
    parser.add_argument("--minima", help="file of minima, kept between runs")
    parser.add_argument("--json", help="file to write")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if options.quick:
        options.losses, options.penalties = ["log_loss", "squared_error"], ["l2"]
        options.chunks, options.orders = [100, 1_000], ["random", "sorted"]
    names = options.tables or (data_sets.names((), options.data) if options.data else QUICK if options.quick else NAMES)
    found, minima = {"passes": []}, Minima(options.minima)
    parts = [options.only] if options.only else ["passes", "begins", "costs"]
    if "passes" in parts:
        print(head([m for m in METHODS if re.search(options.methods, m)]))
        for name in names:
            for case in cases(name, options.data, options.rows, options, minima):
                found["passes"].append(case)
                print(line(case), flush=True)
        print("", *summary(found["passes"]), sep="\n")
    if "begins" in parts:
        found["begins"] = measure_begins(names, options.data, minima)
    if "costs" in parts:
        found |= measure_costs(options, options.quick)
    if options.json:
        measuring.save(options.json, "streams", found)


if __name__ == "__main__":
    main()

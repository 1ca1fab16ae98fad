"""Losses with kinks: hinge beside LinearSVC and SGDClassifier, epsilon-insensitive beside LinearSVR and SGDRegressor.

One command writes a file of results, from which ``report.py`` makes the tables and the picture of the page::

    python examples/benchmarks/kinks.py                        # synthetic and bundled data, about two minutes
    python examples/benchmarks/kinks.py --quick                # a few seconds
    python examples/benchmarks/kinks.py --data DIR --rows 20000

The objective is ``mean loss + alpha / 2 * |w|^2`` with a free intercept, one-vs-rest with several classes; all are
given the same standardised columns, or sparse rows as they are. liblinear knows one algorithm for these losses, dual
coordinate descent, and penalises the intercept, so that it is tried with two values of `intercept_scaling` and more and
more iterations. SGDClassifier's whole fits, plain and averaged, are measured as they end. The minimum comes from an
interior-point method that shares no code with ours; where it would take too long, it is the least value that any of the
methods found, and the page says so.
"""

from __future__ import annotations

import argparse
import re

import measuring
import methods as catalogue
import numpy as np
import problems as data_sets
import scipy.linalg
import scipy.sparse as sp
from benchmark import measure
from measuring import seconds_to
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.svm import LinearSVC, LinearSVR

from skvariants import SGDVariantClassifier, SGDVariantRegressor

TARGETS = (1e-3, 1e-5)
EPSILON = 0.1
#: The smaller side of a matrix, and rows times its square times columns, up to which the interior-point method is used.
SMALL_SIDE, WORK = 2_500, 2e10
#: A fit may take so many times our seconds to 1e-5, at least and at most so many seconds; all fits three times that.
LONGEST, QUICK, SECONDS = 40, 0.2, 8.0
ITERATIONS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


# ----------------------------------------------------------------------------- the objective and its minimum


class Kinked:
    """Mean hinge or epsilon-insensitive loss plus ridge penalty, summed over the columns.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
    y : ndarray of shape (n,)
    alpha : float
    regression : bool
    """

    def __init__(self, X, y, alpha, regression):
        self.X, self.alpha, self.regression = X, alpha, regression
        classes = np.unique(y)
        if regression:
            self.Y = y[:, None]
        elif len(classes) == 2:
            self.Y = np.where(y == classes[1], 1.0, -1.0)[:, None]
        else:
            self.Y = np.where(y[:, None] == classes, 1.0, -1.0)
        self.constant = sum(self._constant(column) for column in self.Y.T)
        self.best, self.error, self.source = np.inf, np.inf, "least found"

    def _losses(self, Y, z):
        return np.maximum(np.abs(Y - z) - EPSILON, 0) if self.regression else np.maximum(1 - Y * z, 0)

    def _constant(self, y):
        """Least mean loss of a constant: it is at a kink."""
        kinks = np.concatenate([y - EPSILON, y + EPSILON]) if self.regression else np.array([-1.0, 1.0])
        kinks = np.unique(np.quantile(kinks, np.linspace(0, 1, 4001), method="nearest"))
        return min(float(self._losses(y, b).mean()) for b in kinks)

    def __call__(self, coef, intercept):
        """The objective at ``coef_`` of shape (k, d) and ``intercept_``."""
        coef = np.asarray(coef, dtype=np.float64).reshape(-1, self.X.shape[1])
        with np.errstate(all="ignore"):
            z = np.asarray(self.X @ coef.T) + np.ravel(intercept)
            value = self._losses(self.Y, z).mean(axis=0).sum() + 0.5 * self.alpha * (coef**2).sum()
        return float(value) if np.isfinite(value) else np.inf

    def suboptimality(self, coef, intercept):
        """(f - f*) / (f_constant - f*); nan where f* is not known, and the least value seen is noted."""
        value = self(coef, intercept)
        self.best = min(self.best, value)
        return self.relative(value) if np.isfinite(self.error) else np.nan

    def relative(self, value):
        return max(0.0, (value - self.best) / max(self.constant - self.best, np.finfo(float).tiny))

    def find(self):
        """Minimum by the interior-point method, if that is cheap enough."""
        n, d = self.X.shape
        side = min(n, d)
        if side > SMALL_SIDE or n * side**2 * self.Y.shape[1] > WORK:
            return
        try:
            found = [InteriorPoint(self.X, y, self.alpha, self.regression).find() for y in self.Y.T]
        except (np.linalg.LinAlgError, ValueError) as error:  # the least value found remains
            print(f"  no reference: {error}", flush=True)
            return
        self.best, gap = sum(f for f, _ in found), sum(g for _, g in found)
        self.error, self.source = gap / (self.constant - self.best), "interior point"


def _narrow(X):
    """The same inner products of rows in at most as many columns as rows: weights are combinations of rows."""
    n, d = X.shape
    if d <= n:
        return X.toarray() if sp.issparse(X) else X
    values, vectors = np.linalg.eigh((X @ X.T).toarray() if sp.issparse(X) else X @ X.T)
    kept = values > 1e-12 * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


class InteriorPoint:
    """Primal-dual method of Mehrotra, doi:10.1137/0802028, for one column.

    min alpha/2 |w|^2 + sum(s) / n over s >= 0, s >= A (w, b) + c, where A is made of the rows [x, 1]: -y [x, 1] for the
    hinge, and both signs of [x, 1] for the epsilon-insensitive loss. The multipliers are u, of the second constraint
    with slack r, and v = 1/n - u.
    """

    def __init__(self, X, y, alpha, regression):
        X, n = _narrow(X), len(y)
        self.alpha, self.n = alpha, n
        self.rows = np.column_stack([X, np.ones(n)])
        self.signs = [-np.ones(n), np.ones(n)] if regression else [-y]
        self.c = np.concatenate([y - EPSILON, -y - EPSILON]) if regression else np.ones(n)
        self.theta = np.zeros(X.shape[1] + 1)
        self.s = np.maximum(self.c, 0) + 1
        self.r, self.u = self.s - self.c, np.full(len(self.c), 0.5 / n)

    def forward(self, theta):
        """A theta."""
        z = self.rows @ theta
        return np.concatenate([sign * z for sign in self.signs])

    def parts(self, values):
        return zip(self.signs, np.split(values, len(self.signs)), strict=True)

    def back(self, values):
        """A' values."""
        return self.rows.T @ sum(sign * part for sign, part in self.parts(values))

    def bounds(self):
        """Value of the primal, and of the dual."""
        w, dual = self.theta[:-1], self.back(self.u)[:-1] / self.alpha
        primal = 0.5 * self.alpha * w @ w + np.maximum(self.forward(self.theta) + self.c, 0).sum() / self.n
        return float(primal), float(self.c @ self.u - 0.5 * self.alpha * dual @ dual)

    def solver(self, weights):
        """Function that solves with the Hessian of the penalty plus the weighted rows' squares."""
        H = (self.rows * weights[:, None]).T @ self.rows
        diagonal = np.diag_indices_from(H)
        H[diagonal] += np.append(np.full(len(H) - 1, self.alpha), 0.0)
        # in units in which the diagonal is one, so that what is added is small beside every column
        unit = 1 / np.sqrt(H[diagonal])
        H *= unit[:, None] * unit
        for jitter in (0.0, *10.0 ** np.arange(-15, -5)):
            H[diagonal] = 1 + jitter
            try:
                factor = scipy.linalg.cho_factor(H, lower=True)
                break
            except np.linalg.LinAlgError:
                continue
        return lambda q: unit * scipy.linalg.cho_solve(factor, unit * q)

    def direction(self, solve, D, center, corrections):
        """Steps of theta, u, s and r towards complementary products equal to `center`."""
        v = 1 / self.n - self.u
        one, two = (center - corrections[0]) / self.u - self.r, (center - corrections[1]) / v - self.s
        gradient = np.append(self.alpha * self.theta[:-1], 0.0) + self.back(self.u)
        delta = solve(-gradient - self.back(D * (one - two)))
        moved = self.forward(delta)
        du = D * (moved + one - two)
        ds = two + self.s / v * du
        return delta, du, ds, ds - moved

    def longest(self, du, ds, dr):
        """How far all of u, v, s and r stay positive; at most 1."""
        pairs = [(self.u, du), (1 / self.n - self.u, -du), (self.s, ds), (self.r, dr)]
        return min(1.0, *(float(np.min(-x[d < 0] / d[d < 0], initial=np.inf)) for x, d in pairs))

    def iterate(self):
        """Predict, see how much complementarity goes, and correct."""
        u, v, s, r = self.u, 1 / self.n - self.u, self.s, self.r
        mu = float(u @ r + v @ s) / (2 * len(u))
        with np.errstate(over="ignore", divide="ignore"):
            D = 1 / (r / u + s / v)
        solve = self.solver(sum(sign * sign * part for sign, part in self.parts(D)))
        _, du, ds, dr = self.direction(solve, D, 0.0, (0.0, 0.0))
        length = self.longest(du, ds, dr)
        ahead = float((u + length * du) @ (r + length * dr) + (v - length * du) @ (s + length * ds)) / (2 * len(u))
        delta, du, ds, dr = self.direction(solve, D, mu * (ahead / mu) ** 3, (du * dr, -du * ds))
        length = 0.995 * self.longest(du, ds, dr)
        self.theta, self.u = self.theta + length * delta, u + length * du
        self.s, self.r = s + length * ds, r + length * dr

    def find(self, tol=1e-11, max_iter=150):
        """Value of the minimum, and the gap to the dual's, which is to be small beside the loss without weights."""
        primal, dual = self.bounds()
        enough = tol * primal
        for _ in range(max_iter):
            if primal - dual <= enough:
                break
            self.iterate()
            primal, dual = self.bounds()
        return primal, max(primal - dual, 0.0)


# ----------------------------------------------------------------------------- methods


def _loss(problem):
    return {"loss": "epsilon_insensitive", "epsilon": EPSILON} if problem.task == "regression" else {"loss": "hinge"}


def ours():
    def make(problem, setting):
        Model = SGDVariantRegressor if problem.task == "regression" else SGDVariantClassifier
        extra = {} if problem.task == "regression" else {"multi_class": "ovr"}
        extra |= {} if setting == "default" else setting
        return Model(**_loss(problem), alpha=problem.alpha, random_state=0, **extra)

    return catalogue.Method("ours: default", "ours", catalogue.OURS, catalogue.fits(make), one_vs_rest=True)


def liblinear(intercept_scaling):
    def make(problem, setting):
        stop = {} if setting == "default" else {"max_iter": setting, "tol": 1e-9}
        common = {"C": 1 / (problem.alpha * problem.X.shape[0]), "dual": True, "random_state": 0, **stop}
        if problem.task == "regression":
            return LinearSVR(epsilon=EPSILON, intercept_scaling=intercept_scaling, **common)
        return LinearSVC(loss="hinge", intercept_scaling=intercept_scaling, **common)

    name = f"liblinear, intercept_scaling={intercept_scaling:g}"
    return catalogue.Method(
        name, "liblinear", (*ITERATIONS, "default"), catalogue.fits(make), one_vs_rest=True, one_thread=True
    )


def sgd(average):
    def make(problem, setting):
        Model = SGDRegressor if problem.task == "regression" else SGDClassifier
        return Model(**_loss(problem), alpha=problem.alpha, average=average, random_state=0)

    name = "SGD, averaged" if average else "SGD"
    return catalogue.Method(name, "SGD", ("default",), catalogue.fits(make), one_vs_rest=True, one_thread=True)


# ----------------------------------------------------------------------------- measuring


def test_loss(objective, problem, coef, intercept):
    """Mean loss of the test rows, of the same kind, without the penalty."""
    coef = np.atleast_2d(coef)
    held = Kinked(problem.X_test, problem.y_test, 0.0, objective.regression)
    return held(coef, intercept)


def run_problem(name, chosen, counts, data=None, rows=None):
    """Entry of a problem, and the results of every method on it."""
    problem = data_sets.make(name, data, rows)
    print(f"{name}: {problem.task}, {problem.size}", flush=True)
    objective = Kinked(problem.X, problem.y, problem.alpha, problem.task == "regression")
    objective.find()
    results, longest = [], SECONDS
    for method in chosen:
        points = measure(method, problem, objective, counts, longest, lambda *f: test_loss(objective, problem, *f))
        if method.family == "ours":
            times = [seconds_to(points, 1e-5, c) or points[-1]["seconds"][str(c)] for c in counts]
            longest = min(max(LONGEST * max(times), QUICK), SECONDS)
        results.append({"problem": name, "method": method.name, "family": method.family, "points": points})
    for result in results:  # the least value may have been found last
        for point in result["points"]:
            point["suboptimality"] = objective.relative(point.pop("value", np.inf))
        cells = [seconds_to(result["points"], target, counts[-1]) for target in TARGETS]
        least = min((p["suboptimality"] for p in result["points"]), default=np.inf)
        shown = "".join("       -" if c is None else f"{c:8.4f}" for c in cells)
        print(f"  {result['method']:34s} {shown}  best {least:.1e}", flush=True)
    entry = {
        "name": name, "source": problem.source, "task": problem.task, "size": problem.size, "alpha": problem.alpha,
        "classes": problem.classes, "reference": objective.source, "reference_error": objective.error,
    }  # fmt: skip
    return entry, results


def run(names, pattern=".", data=None, rows=None):
    """Measure every method on every problem: the content of the file of results."""
    measuring.warm_up()
    counts = measuring.threads_to_time()
    others = [liblinear(1.0), liblinear(3.0), sgd(False), sgd(True)]
    chosen = [ours(), *(m for m in others if re.search(pattern, m.name))]
    report = {"threads": counts, "longest": LONGEST, "problems": [], "results": []}
    for name in names:
        entry, results = run_problem(name, chosen, counts, data, rows)
        report["problems"].append(entry)
        report["results"] += results
    return report


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems")
    parser.add_argument("--data", help="folder of local data, which is measured instead")
    parser.add_argument("--rows", type=int, help="at most so many rows of each")
    parser.add_argument("--problems", nargs="+", help="names; the default is all")
    parser.add_argument("--methods", default=".", help="regular expression of the other methods' names")
    parser.add_argument("--output", default="kinks.json", help="file of results")
    options = parser.parse_args(arguments)
    which = () if options.data else data_sets.QUICK if options.quick else data_sets.KINKS
    names = options.problems or data_sets.names(which, options.data)
    measuring.save(options.output, "kinks", run(names, options.methods, options.data, options.rows))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()

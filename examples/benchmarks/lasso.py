r"""The lasso and the elastic net beside coordinate descent: seconds to the same distance from the minimum.

One command, one table::

    python examples/benchmarks/lasso.py                    # synthetic problems, a few minutes
    python examples/benchmarks/lasso.py --quick            # small ones
    python examples/benchmarks/lasso.py --data FOLDER      # and tables of a folder, see problems.py
    python examples/benchmarks/lasso.py --only one_hot

Every method minimises :math:`\frac{1}{2n} \|y - X w - b\|^2 + \alpha \left(\rho \|w\|_1 + \frac{1 - \rho}{2} \|w\|_2^2
\right)`, with :math:`\alpha` a fraction of the strength from which all weights are zero. It is fitted with tighter and
tighter tolerances until :math:`(f - f^*) / (f_{constant} - f^*)` is small enough; of that tolerance the fastest of
several fits counts. :math:`f^*` is the least value that any method has found at any tolerance. Tables stand as they
are and behind a scaler; skglm and celer join in where they are installed (the first fit of a method, which may compile
it, is not timed). Fits in turn, one machine: compare ratios.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings

import numpy as np
import problems
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet, Lasso
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantRegressor

ACCURACIES = (1e-3, 1e-5)
TOLERANCES = 10.0 ** np.arange(-2, -11, -1)
#: seconds after which a method is given up
PATIENCE = 60.0


def ours(alpha, l1_ratio, tol):
    return SGDVariantRegressor(penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio, tol=tol, random_state=0)


def scikit_learn(alpha, l1_ratio, tol):
    if l1_ratio == 1:
        return Lasso(alpha=alpha, tol=tol, max_iter=100_000)
    return ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=tol, max_iter=100_000)


def celer(alpha, l1_ratio, tol):
    peer = importlib.import_module("celer")
    if l1_ratio == 1:
        return peer.Lasso(alpha=alpha, tol=tol)
    return peer.ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=tol)


def skglm(alpha, l1_ratio, tol):
    peer = importlib.import_module("skglm")
    if l1_ratio == 1:
        return peer.Lasso(alpha=alpha, tol=tol)
    return peer.ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=tol)


METHODS = {"skvariants": ours, "scikit-learn": scikit_learn, "celer": celer, "skglm": skglm}


def installed(names):
    """The methods whose package is there."""
    found = {}
    for name in names:
        try:
            METHODS[name](1.0, 1.0, 1e-3)
        except ImportError:
            print(f"{name} is not installed")
        else:
            found[name] = METHODS[name]
    return found


def autoregressive(n, d, seed=0):
    """Neighbouring columns correlate by .9; a tenth of them matter."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(1 - 0.81) * X[:, j]
    return X, X @ (rng.standard_normal(d) * (rng.random(d) < 0.1)) + rng.standard_normal(n)


FULL = {
    "autoregressive": lambda: autoregressive(20_000, 200),
    "autoregressive_wide": lambda: autoregressive(500, 2_000),
    "dense": lambda: problems.dense(20_000, 500, "regression"),
    "one_hot": lambda: problems.one_hot(20_000, 300, 2, "regression"),
    "text": lambda: problems.text(10_000, 50_000, 60, "regression"),
}
QUICK = {
    "autoregressive": lambda: autoregressive(1_000, 50),
    "text": lambda: problems.text(500, 2_000, 20, "regression"),
}
LOCAL = ["diamonds", "california_housing", "hotel_adr", "freMTPL2freq", "bike_hour", "kc_house", "w8a", "newsgroups20"]


def prepared(X, y, rows, scaled):
    """Some rows as float64, centred targets of unit variance; columns of unit variance where asked."""
    y = np.unique(y, return_inverse=True)[1] == 0 if y.dtype.kind in "OSUb" else np.asarray(y, np.float64)
    keep = np.sort(np.random.default_rng(0).permutation(X.shape[0])[:rows])
    X, y = X[keep], np.asarray(y[keep], np.float64)
    X = sp.csr_matrix(X, dtype=np.float64) if sp.issparse(X) else np.asarray(X, np.float64)
    if scaled:
        X = StandardScaler(with_mean=not sp.issparse(X)).fit_transform(X)
    return X, (y - y.mean()) / y.std()


def strongest(X, y):
    """The strength from which all weights are zero; `y` has mean zero."""
    return float(np.abs(X.T @ y).max()) / len(y)


def objective(X, y, alpha, l1_ratio, coef):
    """Objective of weights, at their best intercept."""
    r = y - X @ coef
    l1, l2 = np.abs(coef).sum(), coef @ coef
    return 0.5 * np.mean((r - r.mean()) ** 2) + alpha * (l1_ratio * l1 + 0.5 * (1 - l1_ratio) * l2)


def fitted(method, X, y, alpha, l1_ratio, tol):
    """Seconds and objective of a fit."""
    # coordinate descent wants columns
    if method is not ours:
        X = sp.csc_matrix(X) if sp.issparse(X) else np.asfortranarray(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model = method(alpha, l1_ratio, tol).fit(X, y)
        seconds = time.perf_counter() - start
    return seconds, objective(X, y, alpha, l1_ratio, np.ravel(model.coef_)), np.count_nonzero(model.coef_)


def compare(methods, X, y, alpha, l1_ratio, repeats=3):
    """Seconds of each method to each accuracy (infinity where it was given up), and the weights that are not zero."""
    tries, constant = {name: [] for name in methods}, 0.5 * y.var()
    for name, method in methods.items():
        fitted(method, X[:200], y[:200], alpha, l1_ratio, 1e-2)
        for tol in TOLERANCES:
            tries[name].append((tol, *fitted(method, X, y, alpha, l1_ratio, tol)))
            if sum(seconds for _, seconds, _, _ in tries[name]) > PATIENCE:
                break
    best, nonzero = min((value, count) for done in tries.values() for _, _, value, count in done)
    table = {name: [np.inf] * len(ACCURACIES) for name in methods}
    for i, accuracy in enumerate(ACCURACIES):
        enough = {}
        for name, done in tries.items():
            good = [tol for tol, _, value, _ in done if value - best <= accuracy * (constant - best)]
            if good:
                enough[name] = good[0]
                table[name][i] = min(seconds for tol, seconds, _, _ in done if tol == good[0])
        for _ in range(repeats - 1):  # in turn, so that a busy machine is busy for all
            for name, tol in enough.items():
                if table[name][i] < PATIENCE / 10:
                    seconds = fitted(methods[name], X, y, alpha, l1_ratio, tol)[0]
                    table[name][i] = min(table[name][i], seconds)
    return table, nonzero


def tables(options):
    """Name, features and targets of each problem."""
    known = QUICK if options.quick else FULL
    for name, make in known.items():
        yield name, make
    if options.data and not options.quick:
        folder = problems._local(options.data)
        for name in sorted(set(LOCAL) & set(folder.names())):
            yield name, lambda name=name: folder.matrix(name)[:2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small problems")
    parser.add_argument("--data", help="a folder of local tables")
    parser.add_argument("--only", nargs="*", help="names of problems")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), help="which to compare")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of a table, at most")
    parser.add_argument("--fractions", nargs="*", type=float, default=[1e-1, 1e-2], help="alpha / its largest value")
    parser.add_argument("--l1-ratio", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    methods = installed(options.methods)
    heads = "".join(f"{name:>22s}" for name in methods)
    print(f"{'seconds to 1e-3, 1e-5':24s} {'size':>16s} {'alpha':>7s} {'not 0':>6s}{heads}")
    ratios = {name: [] for name in methods if name != "skvariants"}
    for name, make in tables(options):
        if options.only and name not in options.only:
            continue
        X, y = make()
        for scaled in (False, True):
            Xs, ys = prepared(X, y, options.rows, scaled)
            for fraction in options.fractions:
                alpha = fraction * strongest(Xs, ys) / max(options.l1_ratio, 0.01)
                times, nonzero = compare(methods, Xs, ys, alpha, options.l1_ratio, options.repeats)
                cells = "".join(f"{a:11.3f}{b:11.3f}" for a, b in times.values())
                title = f"{name}{', scaled' if scaled else ''}"
                print(f"{title:24s} {Xs.shape[0]:8d}x{Xs.shape[1]:<7d} {fraction:7.0e} {nonzero:6d}{cells}", flush=True)
                for peer, found in ratios.items():
                    found += [b / a for a, b in zip(times["skvariants"], times[peer], strict=True)]
    for peer, found in ratios.items():
        known = np.array([ratio for ratio in found if np.isfinite(ratio) and ratio > 0])
        if known.size:
            mean, least = np.exp(np.log(known).mean()), known.min()
            print(f"{peer}: {mean:.1f} times the seconds of skvariants in the geometric mean, {least:.2f} at least")


if __name__ == "__main__":
    main()

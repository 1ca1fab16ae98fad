"""What several tests share: reference optima and trajectories, and small problems."""

import importlib
import itertools
import os
from dataclasses import asdict

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import brentq, linprog, minimize

from skvariants._data.rows import rows_of
from skvariants._data.scaling import Coordinates, Moments
from skvariants._data.tasks import RealColumns
from skvariants._training.problem import Problem
from skvariants._training.state import State
from skvariants._training.steps import Steps
from skvariants.losses import LOSSES, SquaredError, of_labels
from skvariants.penalties import PENALTIES, ElasticNet
from skvariants.schedules import Constant
from skvariants.solvers import SOLVERS, AdaGrad

#: Losses that a classifier takes, by name.
CLASSIFYING = of_labels()
#: Names of the solvers that take steps.
STEPPING = [name for name, solver in SOLVERS.items() if solver.method == "steps"]
#: Names of those that find their own steps, "auto" included: no step or batch can be asked of them.
EXACT = ["auto", *(name for name, solver in SOLVERS.items() if solver.method != "steps")]
#: Penalties by name that are L1 and L2 alone, and those with which a quadratic model is minimised exactly.
ELASTIC = [name for name, penalty in PENALTIES.items() if penalty().elastic]
MODELLED = [name for name, penalty in PENALTIES.items() if penalty().modelled]


def asked(solver, classification=True):
    """Parameters that ask for a solver by name, with the default loss where it takes that, else with one it takes."""
    if solver not in SOLVERS or not refuses(solver, "log_loss" if classification else "squared_error"):
        return {"solver": solver}
    names = list(CLASSIFYING) if classification else [name for name, loss in LOSSES.items() if loss.regression]
    return {"solver": solver, "loss": next(name for name in names if not refuses(solver, name))}


def in_domain(loss, y):
    """Real numbers as targets of a loss: as they are, or growing with them from zero to twenty where they must."""
    if -1.0 in loss.domain:
        return y
    size = np.maximum(np.abs(y).max(), 1e-300)
    if 2.0 not in loss.domain:
        return np.clip(0.5 + 0.6 * y / size, 0, 1)
    return np.where((np.abs(y) < 0.05 * size) & (0.0 in loss.domain), 0.0, 10.0 ** (1.3 * y / size))


def refuses(solver, loss):
    """Whether a solver cannot minimise a loss, both by name."""
    try:
        SOLVERS[solver]().check_loss(LOSSES[loss]())
    except ValueError:
        return True
    return False


def torch():
    """torch, or a skip for users who lack it; in CI it must be there."""
    if os.environ.get("SKVARIANTS_CI"):
        return importlib.import_module("torch")
    return pytest.importorskip("torch")


def torch_optimizer(name, params, lr):
    """torch's optimiser of the same definition."""
    optim = torch().optim
    return {
        "gd": lambda: optim.SGD(params, lr=lr),
        "sgd": lambda: optim.SGD(params, lr=lr),
        "minibatch": lambda: optim.SGD(params, lr=lr),
        "momentum": lambda: optim.SGD(params, lr=lr, momentum=0.9),
        "nesterov": lambda: optim.SGD(params, lr=lr, momentum=0.9, nesterov=True),
        "adagrad": lambda: optim.Adagrad(params, lr=lr, eps=1e-10),
        "adadelta": lambda: optim.Adadelta(params, lr=lr, rho=0.95, eps=1e-6),
        "rmsprop": lambda: optim.RMSprop(params, lr=lr, alpha=0.9, eps=1e-8),
        "adam": lambda: optim.Adam(params, lr=lr),
        "amsgrad": lambda: optim.Adam(params, lr=lr, amsgrad=True),
        "adamax": lambda: optim.Adamax(params, lr=lr),
        "nadam": lambda: optim.NAdam(params, lr=lr),
        "radam": lambda: optim.RAdam(params, lr=lr),
        # the intercept, a tensor of its own, does not decay
        "adamw": lambda: optim.AdamW([{"params": params[:1]}, {"params": params[1:], "weight_decay": 0.0}], lr=lr),
        "rprop": lambda: optim.Rprop(params, lr=lr),
    }[name]()


#: Solvers that torch lacks, as their papers write them: told a start and a step, each yields where the gradient is
#: taken and is sent it. Compared once with optax 0.2.8, pytorch-optimizer 4.1.0 and the authors' dog-optimizer 1.0.3,
#: prodigyopt 1.1.2, schedulefree 1.4.1 and parameterfree 0.0.1: equal to 1e-14.
RECURSIONS = {}


def recursion(function):
    RECURSIONS[function.__name__] = function
    return function


def walk(name, gradient, w, lr, n_steps, **options):
    """Where the gradients of a recursion were taken, and its models, after each step."""
    steps = RECURSIONS[name](w, lr, **options)
    points = [next(steps)]
    for t in range(1, n_steps + 1):
        at = points[-1][0] if isinstance(points[-1], tuple) else points[-1]
        points.append(steps.send(gradient(at, t)))
    pairs = [point if isinstance(point, tuple) else (point, point) for point in points[1:]]
    return (np.array(each) for each in zip(*pairs, strict=True))


@recursion
def adabelief(w, lr, b1=0.9, b2=0.999, eps=1e-16):
    m, s = 0.0, 0.0
    for t in itertools.count(1):
        g = yield w
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        w = w - lr * m / (1 - b1**t) / (np.sqrt(s / (1 - b2**t)) + eps)


@recursion
def yogi(w, lr, b1=0.9, b2=0.999, eps=1e-3, initial=1e-6):
    m, v = 0.0, initial
    for t in itertools.count(1):
        g = yield w
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        w = w - lr * m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)


@recursion
def adan(w, lr, b1=0.98, b2=0.92, b3=0.99, eps=1e-8):
    m, v, n, last = 0.0, 0.0, 0.0, None
    for t in itertools.count(1):
        g = yield w
        change = 0 * g if last is None else g - last
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * change
        n, last = b3 * n + (1 - b3) * (g + b2 * change) ** 2, g
        w = w - lr * (m / (1 - b1**t) + b2 * v / (1 - b2**t)) / (np.sqrt(n / (1 - b3**t)) + eps)


@recursion
def adopt(w, lr, b1=0.9, b2=0.9999, eps=1e-6):
    g = yield w
    v, m = g**2, 0.0
    for t in itertools.count(1):
        g = yield w
        m = b1 * m + (1 - b1) * np.clip(g / np.maximum(np.sqrt(v), eps), -(t**0.25), t**0.25)
        w, v = w - lr * m, b2 * v + (1 - b2) * g**2


@recursion
def lion(w, lr, b1=0.9, b2=0.99):
    m = 0.0
    while True:
        g = yield w
        w, m = w - lr * np.sign(b1 * m + (1 - b1) * g), b2 * m + (1 - b2) * g


@recursion
def signum(w, lr, mu=0.9):
    m = 0.0
    while True:
        m = mu * m + (1 - mu) * (yield w)
        w = w - lr * np.sign(m)


@recursion
def qhm(w, lr, mu=0.999, nu=0.7):
    b = 0.0
    while True:
        g = yield w
        b = mu * b + (1 - mu) * g
        w = w - lr * ((1 - nu) * g + nu * b)


@recursion
def dog(w, lr, initial=1e-2, eps=1e-8):
    start, squares = w, eps
    r = initial * (1 + np.linalg.norm(w, axis=0))
    while True:
        g = yield w
        r = np.maximum(r, np.linalg.norm(w - start, axis=0))
        squares = squares + np.linalg.norm(g, axis=0) ** 2
        w = w - lr * r / np.sqrt(squares) * g


@recursion
def dowg(w, lr, initial=1e-2, eps=1e-12):
    start, r, v = w, initial, 0.0
    while True:
        g = yield w
        r = np.maximum(r, np.linalg.norm(w - start, axis=0))
        v = v + r**2 * np.linalg.norm(g, axis=0) ** 2
        w = w - lr * r**2 / (np.sqrt(v) + eps) * g


@recursion
def cocob(w, lr, caution=100.0, eps=1e-8):
    start, L, G, R, theta = w, eps, 0.0, 0.0, 0.0
    while True:
        g = yield w
        L, G = np.maximum(L, abs(g)), G + abs(g)
        R, theta = np.maximum(R - g * (w - start), 0), theta - g
        w = w + lr * (start + theta / (L * np.maximum(G + L, caution * L)) * (L + R) - w)


@recursion
def prodigy(w, lr, b1=0.9, b2=0.999, eps=1e-8, initial=1e-4):
    start, d, b3 = w, np.full(w.shape[1:], initial), np.sqrt(b2)
    m, v, s, r = 0.0, 0.0, 0.0, 0.0
    while True:
        g = yield w
        r = b3 * r + d / initial * d * lr * (g * (start - w)).sum(axis=0)
        m, v = b1 * m + (1 - b1) * d * g, b2 * v + (1 - b2) * d**2 * g**2
        s, before = b3 * s + d / initial * d * lr * g, d
        d = np.maximum(d, r / abs(s).sum(axis=0))
        w = w - before * lr * m / (np.sqrt(v) + d * eps)


@recursion
def schedule_free(w, lr, mu=0.9):
    x = z = w
    for t in itertools.count(1):
        z = z - lr * (yield (1 - mu) * z + mu * x, x)
        x = (1 - 1 / t) * x + z / t


@recursion
def ftrl(w, lr, beta=0.0, eps=1e-10):
    # with a start that is not zero, which the distance from it then is about
    z, n = -w * (beta + eps) / lr, 0.0
    while True:
        g = yield w
        sigma, n = (np.sqrt(n + g**2) - np.sqrt(n)) / lr, n + g**2
        z = z + g - sigma * w
        w = -z / ((beta + eps + np.sqrt(n)) / lr)


@recursion
def dual_averaging(w, lr, eps=1e-10):
    start, total, n = w, 0.0, 0.0
    while True:
        g = yield w
        total, n = total + g, n + g**2
        w = start - lr * total / (eps + np.sqrt(n))


#: Solvers that ask for rows, as their papers write them: told rows (a one as last column), targets, weights of mean
#: one, a start, a step, the derivative of the loss and the rows of a batch, each yields where it is after each pass.
#: nag is compared with Vowpal Wabbit itself in test_solvers_rows, where that is installed.
ROW_RECURSIONS = {}


def squared_slope(y, z):
    return z - y


def logistic_slope(y, z):
    return -y / (1 + np.exp(y * z))


#: How far a prediction goes in some time against its slope: the solution of the equation of each.
FLOWS = {
    squared_slope: lambda y, z, time: (y - z) * (1 - np.exp(-time)),
    logistic_slope: lambda y, z, time: (
        y * brentq(lambda d: d + np.exp(y * z) * np.expm1(d) - time, 0, time + 1, xtol=1e-15)
    ),
}


def row_recursion(function):
    ROW_RECURSIONS[function.__name__] = function
    return function


def row_gradients(X, y, s, w, slope):
    return (s * slope(y, X @ w))[:, None] * X


@row_recursion
def svrg(X, y, s, w, lr, slope, batch):
    n, first = len(y), True
    while True:
        kept = row_gradients(X, y, s, w, slope) if not first else np.zeros_like(X)
        for start in range(0, n, batch):
            b = slice(start, start + batch)
            w = w - lr * ((row_gradients(X[b], y[b], s[b], w, slope) - kept[b]).mean(axis=0) + kept.mean(axis=0))
        first = False
        yield w


@row_recursion
def saga(X, y, s, w, lr, slope, batch):
    n, kept, first = len(y), np.zeros_like(X), True
    while True:
        for start in range(0, n, batch):
            b = slice(start, start + batch)
            g = row_gradients(X[b], y[b], s[b], w, slope)
            mean, own, kept[b] = kept.mean(axis=0), kept[b].copy(), g
            w = w - lr * (g.mean(axis=0) if first else (g - own).mean(axis=0) + mean)
        first = False
        yield w


@row_recursion
def implicit(X, y, s, w, lr, slope, batch):
    while True:
        for x, target, weight in zip(X, y, s, strict=True):
            h, z = lr * weight * x @ x, x @ w
            ends = sorted([0.0, slope(target, z)])
            u = (
                brentq(lambda u, z=z, h=h, y=target: u - slope(y, z - h * u), *ends, xtol=1e-15)
                if ends[1] > ends[0]
                else 0
            )
            w = w - lr * weight * u * x
        yield w


@row_recursion
def nag(X, y, s, w, lr, slope, batch):
    initial, w, G, N, spread, total = w, w.copy(), np.zeros(len(w)), np.zeros(len(w)), 0.0, 0.0
    while True:
        for x, target, weight in zip(X, y, s, strict=True):
            z, rate = x @ w, np.zeros(len(w))
            r = slope(target, z)
            for j in np.flatnonzero(x):
                G[j] += weight * r**2 * x[j] ** 2
                if abs(x[j]) > N[j]:
                    if N[j] > 0:  # what was learned; a start of zero, as Vowpal Wabbit has, is what it does
                        w[j] = initial[j] + (w[j] - initial[j]) * N[j] / abs(x[j])
                    N[j] = abs(x[j])
                spread += weight * x[j] ** 2 / N[j] ** 2
                rate[j] = 1 / (np.sqrt(G[j]) * N[j])
            total += weight
            rate *= np.sqrt(total / spread)
            h = (rate * x * x).sum()
            w = w + rate * x * FLOWS[slope](target, z, lr * weight * h) / h
        yield w


def ridge_logistic(X, y, alpha, weight=None):
    """Optimum of the documented objective for y in {-1, 1}: (w, b), by scipy."""
    s = np.ones(len(y)) if weight is None else weight / weight.mean()

    def f(v):
        m = y * (X @ v[:-1] + v[-1])
        r = -y / (1 + np.exp(m)) * s / len(y)
        value = np.mean(s * np.logaddexp(0, -m)) + 0.5 * alpha * v[:-1] @ v[:-1]
        return value, np.append(X.T @ r + alpha * v[:-1], r.sum())

    found = minimize(f, np.zeros(X.shape[1] + 1), jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-11})
    return found.x


def lasso_by_coordinates(X, y, alpha, n_iter=3000):
    """Lasso without intercept by coordinate descent, straight from its optimality conditions."""
    n, d = X.shape
    w = np.zeros(d)
    for _ in range(n_iter):
        for j in range(d):
            r = y - X @ w + X[:, j] * w[j]
            rho, a = X[:, j] @ r / n, X[:, j] @ X[:, j] / n
            w[j] = np.sign(rho) * max(abs(rho) - alpha, 0) / a
    return w


#: Losses of linear pieces as the largest of some lines ``a z + c``: (a, c) for each, by definition.
LINES = {
    "hinge": lambda y: [(-y, np.ones_like(y)), (0 * y, 0 * y)],
    "perceptron": lambda y: [(-y, 0 * y), (0 * y, 0 * y)],
    "epsilon_insensitive": lambda y: [(0 * y + 1, -y - 0.1), (0 * y - 1, y - 0.1), (0 * y, 0 * y)],
    "absolute": lambda y: [(0 * y + 1, -y), (0 * y - 1, y)],
    "absolute_error": lambda y: [(0 * y + 1, -y), (0 * y - 1, y)],
    "quantile": lambda y: [(0 * y + 0.5, -0.5 * y), (0 * y - 0.5, 0.5 * y)],
    "nine tenths": lambda y: [(0 * y + 0.1, -0.1 * y), (0 * y - 0.9, 0.9 * y)],
}


def cutting_planes(
    X, lines, alpha, l1_ratio=0.0, weight=None, intercept=True, limits=(-np.inf, np.inf), groups=None, strength=0.0
):  # fmt: skip
    """Minimum of a mean of the largest of lines and an elastic net, by linear programs (Kelley 1960): a lower bound.

    Squares, and norms of groups (times the root of their sizes), are replaced by their tangents; more are added until
    nothing is gained. Returns the bound, `w` and `b`.
    """
    n, d = X.shape
    s = (np.ones(n) if weight is None else weight) / (n if weight is None else weight.sum())
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    unit, none = sp.identity(d), sp.csr_matrix((d, n + 1))
    number = np.zeros(d, int) if groups is None else np.unique(groups, return_inverse=True)[1]
    root = strength * np.sqrt(np.bincount(number))
    limits = np.broadcast_to(np.array(limits, float).reshape(2, -1), (2, d))
    zeros, ones = sp.csr_matrix((d, d)), np.full((n, 1), float(intercept))
    # w, b, losses, absolute weights, squares
    above = [
        sp.hstack([sp.csr_matrix(a[:, None] * X), a[:, None] * ones, -sp.identity(n), sp.csr_matrix((n, 2 * d))])
        for a, _ in lines
    ]
    rows = [*above, sp.hstack([unit, none, -unit, zeros]), sp.hstack([-unit, none, -unit, zeros])]
    right = [-c for _, c in lines] + [np.zeros(2 * d)]
    cost = np.concatenate([np.zeros(d + 1), s, np.full(d, l1), np.full(d, 0.5 * l2)])
    bounds = [*zip(*limits, strict=True), (None, None)] + [(None, None)] * n + [(0, None)] * (2 * d)
    digits = dict(primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10)
    if groups is not None:  # sizes of groups are variables too
        rows = [sp.hstack([part, sp.csr_matrix((part.shape[0], len(root)))]) for part in rows]
        cost, bounds = np.concatenate([cost, root]), bounds + [(0, None)] * len(root)
        return _norms_cut(rows, right, cost, bounds, digits, number, root)
    for _ in range(60 if l2 else 1):
        found = linprog(cost, sp.vstack(rows).tocsr(), np.concatenate(right), bounds=bounds, options=digits)
        assert found.status == 0, found.message
        w, b = found.x[:d], found.x[d]
        if 0.5 * l2 * (w @ w - found.x[-d:].sum()) <= 1e-11 * max(found.fun, 1e-6):
            break
        rows.append(sp.hstack([sp.diags_array(2 * w), none, zeros, -unit]))
        right.append(w * w)
    return found.fun, w, b


def _norms_cut(rows, right, cost, bounds, digits, number, root):
    d = len(number)
    members = np.eye(len(root))[number].T
    for _ in range(300):
        found = linprog(cost, sp.vstack(rows).tocsr(), np.concatenate(right), bounds=bounds, options=digits)
        assert found.status == 0, found.message
        w, sizes = found.x[:d], found.x[-len(root) :]
        norms = np.sqrt(members @ w**2)
        if root @ np.maximum(norms - sizes, 0) <= 1e-10 * max(found.fun, 1e-6):
            break
        cut = norms > 0
        normal = np.where(cut[:, None], members * w / np.maximum(norms, 1e-300)[:, None], 0.0)
        rest = sp.csr_matrix((len(root), len(cost) - d - len(root)))
        rows.append(sp.hstack([sp.csr_matrix(normal), rest, -sp.identity(len(root))]).tocsr()[cut])
        right.append(np.zeros(cut.sum()))
    return found.fun, w, found.x[d]


# ------------------------------------------------------------------ small problems


def features(rng, n=230, d=7, zeros=0.0, offset=1.0):
    """Columns of unequal units, off centre; a share of the values is zero."""
    X = rng.standard_normal((n, d)) * np.logspace(-1, 1, d) + offset
    X[rng.random((n, d)) < zeros] = 0
    return X


def problem(
    X, y, loss=None, *, encoding=None, alpha=1e-2, l1_ratio=0.0, scaled=True, weight=None, target=1.0, intercept=True
):
    """What is minimised over rows `X` and what is stored of their targets; real columns unless an encoding is given."""
    dtype = X.dtype
    penalty, coordinates = ElasticNet(alpha, l1_ratio), Coordinates()
    if scaled:
        moments = Moments()
        moments.update(X, weight)
        coordinates = moments.coordinates(intercept, target, dtype)
        penalty = penalty.rescaled(coordinates.units, coordinates.objective_scale)
    if encoding is None:
        y, encoding = y.astype(dtype), RealColumns(y.shape[1], dtype)
    loss = SquaredError() if loss is None else loss
    return Problem(rows_of(X, y, weight), encoding, loss, penalty, coordinates, intercept)


def start(p, k, solver, seed=1):
    """The state of `k` columns at zero."""
    theta = np.zeros((p.d + 1, k), p.rows.dtype)
    memory = solver.allocate(theta, p.penalty, not p.coordinates.identity)
    return State.start(theta, p.loss.columns_per_model, np.random.default_rng(seed), memory)


def steps(p, k=1, solver=None, eta0=0.05, batch=16, shuffle=True, seed=1, schedule=None, **kwargs):
    """The method of steps, from zero."""
    solver = AdaGrad() if solver is None else solver
    schedule = Constant(eta0=eta0) if schedule is None else schedule
    return Steps(p, start(p, k, solver, seed), solver, schedule, batch, shuffle, **kwargs)


def trained(p, epochs=3, **kwargs):
    """The method after some epochs, and the loss of each column in each."""
    s = steps(p, **kwargs)
    s.remember()
    return s, np.array([s.epoch() for _ in range(epochs)])


# ------------------------------------------------------------------ tables whose difficulty is known


def with_spectrum(eigenvalues, n=800, seed=0):
    """Centred columns whose second moments have exactly these eigenvalues, in rotated directions."""
    rng = np.random.default_rng(seed)
    d = len(eigenvalues)
    A = rng.standard_normal((n, d))
    U = np.linalg.qr(A - A.mean(axis=0))[0]
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return np.sqrt(n) * U * np.sqrt(eigenvalues) @ Q.T


def isotropic(n=4000, d=20, seed=0):
    """Normal columns alike, and two classes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, (X @ rng.standard_normal(d) + rng.logistic(size=n) > 0).astype(int)


def zipf(n=6000, values=400, seed=0):
    """One-hot columns of two variables whose values have Zipf frequencies; each value has an effect of its own."""
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, values + 1)
    codes = rng.choice(values, size=(n, 2), p=p / p.sum()) + values * np.arange(2)
    X = sp.csr_matrix((np.ones(2 * n), codes.ravel(), np.arange(0, 2 * n + 1, 2)), shape=(n, 2 * values))
    z = X @ rng.standard_normal(2 * values)
    return X, (z + 0.5 * rng.logistic(size=n) > 0).astype(int)


def steep(n=4000, d=20, seed=0):
    """A ravine that standardising cannot remove: what is to be learnt lies along the flat directions."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1))
    own = rng.standard_normal((n, d))
    X = common + 0.3 * own
    return X, own @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n)


def assert_same_facts(a, b, rtol=1e-6, but=()):
    """Facts are equal, numbers up to rounding."""
    a, b = asdict(a), asdict(b)
    for name in a:
        if name not in but:
            if isinstance(a[name], float):
                assert a[name] == pytest.approx(b[name], rel=rtol), name
            else:
                assert a[name] == b[name], name

"""What several tests share: reference optima and trajectories, and small problems."""

import importlib
import os
from dataclasses import asdict

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog, minimize

from skvariants._data.rows import rows_of
from skvariants._data.scaling import Coordinates, Moments
from skvariants._data.tasks import RealColumns
from skvariants._training.problem import Problem
from skvariants._training.state import State
from skvariants._training.steps import Steps
from skvariants.losses import LOSSES, SquaredError
from skvariants.penalties import ElasticNet
from skvariants.schedules import Constant
from skvariants.solvers import SOLVERS, AdaGrad

#: Names of the solvers that take steps.
STEPPING = [name for name, solver in SOLVERS.items() if solver.method == "steps"]
#: Names of those that find their own steps, "auto" included: no step or batch can be asked of them.
EXACT = ["auto", *(name for name, solver in SOLVERS.items() if solver.method != "steps")]


def asked(solver, classification=True):
    """Parameters that ask for a solver by name, with the default loss where it takes that, else with one it takes."""
    if solver not in SOLVERS or not refuses(solver, "log_loss" if classification else "squared_error"):
        return {"solver": solver}
    names = [name for name, loss in LOSSES.items() if classification or loss.regression]
    return {"solver": solver, "loss": next(name for name in names if not refuses(solver, name))}


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
    }[name]()


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
    "quantile": lambda y: [(0 * y + 0.1, -0.1 * y), (0 * y - 0.9, 0.9 * y)],
}


def cutting_planes(X, lines, alpha, l1_ratio=0.0, weight=None, intercept=True):
    """Minimum of a mean of the largest of lines and an elastic net, by linear programs (Kelley 1960): a lower bound.

    Squares are replaced by their tangents; more are added until nothing is gained. Returns the bound, `w` and `b`.
    """
    n, d = X.shape
    s = (np.ones(n) if weight is None else weight) / (n if weight is None else weight.sum())
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    unit, none = sp.identity(d), sp.csr_matrix((d, n + 1))
    zeros, ones = sp.csr_matrix((d, d)), np.full((n, 1), float(intercept))
    # w, b, losses, absolute weights, squares
    above = [
        sp.hstack([sp.csr_matrix(a[:, None] * X), a[:, None] * ones, -sp.identity(n), sp.csr_matrix((n, 2 * d))])
        for a, _ in lines
    ]
    rows = [*above, sp.hstack([unit, none, -unit, zeros]), sp.hstack([-unit, none, -unit, zeros])]
    right = [-c for _, c in lines] + [np.zeros(2 * d)]
    cost = np.concatenate([np.zeros(d + 1), s, np.full(d, l1), np.full(d, 0.5 * l2)])
    bounds = [(None, None)] * (d + 1) + [(None, None)] * n + [(0, None)] * (2 * d)
    digits = dict(primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10)
    for _ in range(60 if l2 else 1):
        found = linprog(cost, sp.vstack(rows).tocsr(), np.concatenate(right), bounds=bounds, options=digits)
        assert found.status == 0, found.message
        w, b = found.x[:d], found.x[d]
        if 0.5 * l2 * (w @ w - found.x[-d:].sum()) <= 1e-11 * max(found.fun, 1e-6):
            break
        rows.append(sp.hstack([sp.diags_array(2 * w), none, zeros, -unit]))
        right.append(w * w)
    return found.fun, w, b


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

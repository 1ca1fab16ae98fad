"""Reference optima and trajectories that several tests compare against."""

import importlib
import os

import numpy as np
import pytest
from scipy.optimize import minimize


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

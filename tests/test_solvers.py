"""Solvers: each equals its definition, and reaches the optimum that was asked for."""

import numpy as np
import pytest

from _references import lasso_by_coordinates, torch, torch_optimizer
from skvariants.penalties import ElasticNet
from skvariants.solvers import SOLVERS, Momentum


def run(solver, gradient, w, steps, eta, prox=None):
    """``W <- prox[eta*scale](W - eta*scale*direction)``; yields every iterate."""
    w = w.copy()
    memory = [np.zeros_like(w) for _ in solver.memory]
    work = np.empty_like(w)
    for t in range(1, steps + 1):
        direction, scale = solver.step(gradient(w, t), t, work, *memory)
        step = eta(t) * (1.0 if scale is None else scale)
        w -= step * direction
        if prox is not None:
            prox(w, step)
        yield w.copy()


@pytest.mark.parametrize("name", SOLVERS)
def test_the_trajectory_is_torchs(name):
    t = torch()
    rng = np.random.default_rng(0)
    X, y, w0 = rng.normal(size=(30, 6)), rng.normal(size=30), rng.normal(size=(6, 1))
    kept = t.get_default_dtype()
    t.set_default_dtype(t.float64)
    try:
        p = t.nn.Parameter(t.tensor(w0))
        lr = 1.0 if name == "adadelta" else 0.01
        optimizer = torch_optimizer(name, [p], lr)
        theirs = []
        for k in range(60):
            rows = slice(k % 3 * 10, k % 3 * 10 + 10)
            optimizer.zero_grad()
            (0.5 * ((t.tensor(X[rows]) @ p)[:, 0] - t.tensor(y[rows])) ** 2).mean().backward()
            optimizer.step()
            theirs.append(p.detach().numpy().copy())
    finally:
        t.set_default_dtype(kept)

    def gradient(w, step):
        rows = slice((step - 1) % 3 * 10, (step - 1) % 3 * 10 + 10)
        return X[rows].T @ (X[rows] @ w - y[rows, None]) / 10

    ours = list(run(SOLVERS[name](), gradient, w0, 60, lambda _: lr))
    np.testing.assert_allclose(ours, theirs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_column_is_a_fit(name):
    rng = np.random.default_rng(1)
    A, W0 = rng.normal(size=(5, 5)), rng.normal(size=(5, 3))

    def gradient(w, t):
        return A.T @ (A @ w) / 5

    together = list(run(SOLVERS[name](), gradient, W0, 20, lambda _: 0.01))[-1]
    for j in range(3):
        alone = list(run(SOLVERS[name](), gradient, W0[:, [j]], 20, lambda _: 0.01))[-1]
        np.testing.assert_allclose(together[:, [j]], alone, rtol=1e-13, atol=1e-14)


def test_a_hyperparameter_may_differ_between_columns():
    W0 = np.ones((4, 2))
    both = list(run(Momentum(momentum=np.array([0.5, 0.9])), lambda w, t: w.copy(), W0, 10, lambda _: 0.1))[-1]
    for j, mu in enumerate([0.5, 0.9]):
        alone = list(run(Momentum(momentum=mu), lambda w, t: w.copy(), W0[:, [j]], 10, lambda _: 0.1))[-1]
        np.testing.assert_allclose(both[:, [j]], alone, rtol=1e-14)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_reaches_the_lasso(name):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 8))
    y = X @ np.array([2.0, -1.0, 0, 0, 0.5, 0, 0, 0]) + 0.1 * rng.normal(size=60)
    alpha = 0.2
    best = lasso_by_coordinates(X, y, alpha, 300)
    penalty = ElasticNet(alpha=alpha, l1_ratio=1.0)

    def gradient(w, t):
        return X.T @ (X @ w - y[:, None]) / 60

    def objective(w):
        return 0.5 * np.mean((X @ w - y[:, None]) ** 2) + penalty.value(w)[0]

    eta0 = {"adagrad": 1.0, "adadelta": 20.0, "rmsprop": 0.1, "adam": 0.3}.get(name, 0.05)
    power = {"rmsprop": 0.6, "adam": 0.6, "adadelta": 0.3}.get(name, 0.0)
    w = list(run(SOLVERS[name](), gradient, np.zeros((8, 1)), 6000, lambda t: eta0 / t**power, penalty.prox))[-1]
    assert objective(w) - objective(best[:, None]) < 1e-5
    if name not in ("rmsprop", "adam", "adadelta"):
        np.testing.assert_array_equal(w[:, 0] == 0, best == 0)


@pytest.mark.parametrize("name", SOLVERS)
def test_float32_stays_float32(name):
    w = np.ones((3, 1), dtype=np.float32)
    last = list(run(SOLVERS[name](), lambda w, t: w.copy(), w, 3, lambda _: 0.1))[-1]
    assert last.dtype == np.float32

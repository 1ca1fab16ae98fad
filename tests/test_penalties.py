"""Penalties: the prox is the argmin of its definition."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from skvariants.penalties import PENALTIES, ElasticNet

RNG = np.random.default_rng(0)
W = RNG.normal(size=(5, 3))


def make(name, **kwargs):
    factory = PENALTIES[name]
    fixed = getattr(factory, "keywords", {})
    return factory(**{k: v for k, v in {"alpha": 0.7, "l1_ratio": 0.4, **kwargs}.items() if k not in fixed})


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("step", [0.3, np.array([0.1, 0.5, 1.0]), np.abs(W) + 0.1], ids=["scalar", "column", "metric"])
def test_the_prox_is_the_argmin_of_its_definition(name, step):
    penalty = make(name)
    got = W.copy()
    penalty.prox(got, step)
    steps = np.broadcast_to(step, W.shape)
    for i in range(5):
        for j in range(3):

            def f(v, i=i, j=j):
                return (v - W[i, j]) ** 2 / (2 * steps[i, j]) + penalty.value(np.array([[v]]))[0]

            best = minimize_scalar(f, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
            assert f(got[i, j]) <= best.fun + 1e-12


@pytest.mark.parametrize("name", PENALTIES)
def test_the_smooth_part_is_its_own_gradient(name):
    penalty, out, h = make(name, l1_ratio=0.0), np.zeros_like(W), 1e-6
    if penalty.l1_ratio == 1.0:
        return
    penalty.add_gradient(W, out)
    for i in range(5):
        shift = np.zeros_like(W)
        shift[i] = h
        numeric = (penalty.value(W + shift) - penalty.value(W - shift)) / (2 * h)
        np.testing.assert_allclose(out[i], numeric, atol=1e-8)


def test_rescaled_is_the_penalty_of_rescaled_weights():
    units = np.abs(RNG.normal(size=(5, 1))) + 0.1
    penalty = ElasticNet(alpha=0.3, l1_ratio=0.4)
    np.testing.assert_allclose(penalty.rescaled(units, 0.25).value(W), 0.25 * penalty.value(units * W))


def test_decay_is_a_gradient_step_that_stops_at_zero():
    penalty, got = ElasticNet(alpha=0.5, l1_ratio=0.0), W.copy()
    penalty.decay(got, 0.1)
    np.testing.assert_allclose(got, W - 0.1 * 0.5 * W)
    penalty.decay(got, 100.0)
    np.testing.assert_array_equal(got, 0.0)


def test_truncation_is_tsuruokas_cumulative_penalty():
    penalty = ElasticNet(alpha=0.2, l1_ratio=1.0)
    w, due, paid = W[:, :1].copy(), np.zeros((5, 1)), np.zeros((5, 1))
    u, q, v = 0.0, [0.0] * 5, [float(x) for x in W[:, 0]]
    for t in range(1, 30):
        move = RNG.normal(size=5) * 0.1
        eta = 1 / t
        w += move[:, None]
        penalty.truncate(w, eta, due, paid)
        u += eta * 0.2
        for j in range(5):
            v[j] += move[j]
            before = v[j]
            if v[j] > 0:
                v[j] = max(0.0, v[j] - (u + q[j]))
            elif v[j] < 0:
                v[j] = min(0.0, v[j] + (u - q[j]))
            q[j] += v[j] - before
        np.testing.assert_allclose(w[:, 0], v, atol=1e-14)


def test_take_keeps_columns():
    penalty = ElasticNet(alpha=np.array([0.1, 0.2, 0.3]), l1_ratio=0.5)
    np.testing.assert_allclose(penalty.take(np.array([2])).value(W[:, 2:]), penalty.value(W)[2:])

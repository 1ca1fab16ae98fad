"""The quadratic model with an L1 part: its exact minimum, and its update."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

Array = np.ndarray


def lasso(Q: Array, c: Array, strength: Array, v: Array) -> Array:
    r"""Minimise :math:`c^\top v + \tfrac12 v^\top Q v + \sum_i \lambda_i |v_i|` by a search over signs.

    Solve for the active weights with their signs held, go to the best of the points where one changes sign, and
    repeat; weights at zero whose gradient exceeds :math:`\lambda` join in, in bunches as long as that descends. A
    search that ends short of the minimum begins once more, from zero.
    """
    found, settled = _search(Q, c, strength, v.copy())
    if settled or not v.any():
        return found
    other, settled = _search(Q, c, strength, np.zeros_like(v))
    if settled:
        return other
    values = [c @ w + 0.5 * w @ (Q @ w) + strength @ np.abs(w) for w in (found, other)]
    return found if values[0] <= values[1] else other


def _search(Q: Array, c: Array, strength: Array, v: Array) -> tuple[Array, bool]:
    """The search over signs from `v`, which it overwrites, and whether it has reached the minimum."""
    gradient = c + Q @ v
    free = strength == 0
    bunch, join = len(v), True
    scale = np.abs(c).max() + strength.max() + 1e-300
    for _ in range(200):
        sign = np.sign(v)
        active = (v != 0) | free
        excess = np.where(active, 0.0, np.abs(gradient) - strength)
        residual = np.abs(gradient + strength * sign)[active]
        settled = not residual.size or residual.max() <= 1e-10 * scale
        new = np.flatnonzero(excess > 1e-10 * scale)
        if settled and not new.size:
            return v, True
        if not (join or settled):
            new = new[:0]
        limit = min(bunch, max(16, int(active.sum())))
        if len(new) > limit:
            new = new[np.argsort(-excess[new], kind="stable")[:limit]]
        sign[new] = -np.sign(gradient[new])
        active[new] = True
        A = np.flatnonzero(active)
        QA, lam, old = Q[np.ix_(A, A)], strength[A], v[A]
        factor, failed = lapack.dpotrf(QA, lower=1, clean=0)
        if failed:
            break
        goal = lapack.dpotrs(factor, -(c[A] + lam * sign[A]), lower=1)[0]
        p = goal - old
        flips = (goal * sign[A] < 0) & ~free[A]
        t = np.ones(1)
        if flips.any():
            crossing = np.sort(old[flips] / -p[flips])
            t = np.append(crossing[crossing > 0], 1.0)[-64:]
            rest = c + Q @ v
            slope, bend = rest[A] @ p, p @ QA @ p
            l1 = np.abs(old[:, None] + t * p[:, None])
            l1[np.abs(l1) < 1e-14 * np.abs(old[:, None])] = 0.0
            values = slope * t + 0.5 * bend * t * t + lam @ l1 - lam @ np.abs(old)
            best = int(np.argmin(values))
            if not values[best] < 0:
                # what joins before the others are settled may go astray, and so may several at once
                if not new.size or (bunch == 1 and not join):
                    break
                bunch, join = 1, False
                continue
            t = t[best : best + 1]
        there = old + t[0] * p
        # what crosses at this very point stops there; what joined and went astray does not
        there[flips & (np.abs(there) <= 1e-12 * np.abs(old))] = 0.0
        v[A] = there
        gradient = c + Q @ v
    return v, False


def left_over(Q: Array, gradient: Array, strength: Array, v: Array) -> float:
    """What a search that ended at `v` has left to gain, each weight by itself; `gradient` is that at `v`."""
    left = np.where(v != 0, np.abs(gradient + strength * np.sign(v)), np.maximum(np.abs(gradient) - strength, 0.0))
    return float((left * left / np.maximum(2 * Q.diagonal(), 1e-300)).sum())


def bfgs(Q: Array, s: Array, y: Array) -> None:
    """Update a symmetric approximation of the Hessian in place, if the curvature is positive."""
    sy = s @ y
    Qs = Q @ s
    sQs = s @ Qs
    if sy > 1e-8 * sQs > 0:
        Q += np.outer(y, y / sy)
        Q -= np.outer(Qs, Qs / sQs)


__all__ = ["bfgs", "lasso", "left_over"]

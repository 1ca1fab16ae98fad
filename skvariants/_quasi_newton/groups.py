r"""The quadratic model with a norm of groups: its minimum by Newton's steps on the groups that are not zero.

A round takes a few proximal steps in the metric of the diagonal, which say which groups are zero, and one Newton step
of the weights that are not, where the norms are smooth. It ends where a proximal step gains no more than rounding.
Where features tell nearly the same, or their units differ much, proximal steps find the groups late: then the rounds
go on from where the central path ends, on which squares are ramps of slopes without a bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import lapack

from skvariants._interior_point.path import CentralPath, Ramps
from skvariants._interior_point.rows import DenseMatrix, HessianFactor
from skvariants._interior_point.weights import Weights

Array = np.ndarray
# rounds at most, proximal steps in each, products that find the largest curvature, lengths of a Newton step
_ROUNDS, _STEPS, _POWERS, _HALVINGS = 200, 4, 20, 10
# what a proximal step may gain, beside what all of the search has gained
_SETTLED = 1e-17
# units in the last place of the value that are rounding; rounds that gain no more, after which it ends
_ROUNDING, _IDLE = 16, 2
# rounds after which the path is taken, its steps at most, and the gap that ends it, beside the value
_LATE, _PATH_STEPS, _NEAR = 8, 60, 1e-10
# of a diagonal, so that a factor exists
_RIDGE = 1e-14


def minimise(Q: Array, c: Array, penalty: Any, v: Array, unit: int) -> Array:
    r"""Minimise :math:`c^\top v + \tfrac12 v^\top Q v + R(v)`.

    Parameters
    ----------
    Q : ndarray of shape (m, m)
        Symmetric and positive semidefinite.
    c : ndarray of shape (m,)
        Gradient at zero.
    penalty : Penalty
        Of the weights of `unit` columns, which is `grouped`.
    v : ndarray of shape (m,)
        Where to begin: column after column, each with its intercept last.
    unit : int
        How many columns.

    Returns
    -------
    ndarray of shape (m,)
        Never worse than the start.
    """
    search = _Search(Q, c, penalty, unit)
    start = value = search.value(v)
    search.noise = _ROUNDING * np.finfo(np.float64).eps * max(abs(value), float(np.abs(c) @ np.abs(v)))
    idle = 0
    for number in range(_ROUNDS):
        if number == _LATE:
            near = search.along_the_path(v)
            found = search.value(near)
            v, value = (near, found) if found < value else (v, value)
        new = v
        for _ in range(_STEPS):
            new = search.proximal(new)
        new, after = search.newton(new)
        if not after <= value + search.noise:
            search.step = 0.25 * search.step
            continue
        left = new - search.proximal(new)
        idle = idle + 1 if value - after <= search.noise else 0
        v, value = new, after
        if idle == _IDLE or 0.5 * float((left * left / search.step).sum()) <= _SETTLED * (start - value):
            break
    return v


class _Search:
    """The model, and the two steps."""

    def __init__(self, Q: Array, c: Array, penalty: Any, unit: int) -> None:
        self.Q, self.c, self.penalty, self.unit = Q, c, penalty, unit
        diagonal = np.maximum(Q.diagonal(), 1e-300)
        x, largest = np.random.default_rng(0).standard_normal(len(c)) / np.sqrt(diagonal), 1.0
        for _ in range(_POWERS):
            x = (Q @ x) / diagonal
            largest = float(np.sqrt((x * x * diagonal).sum()))
            x = x / max(largest, 1e-300)
        self.step = 1 / (1.1 * max(largest, 1e-300) * diagonal)
        self.noise = 0.0
        self.columns = [penalty.take(np.array([j])) for j in range(unit)]

    def _weights(self, v: Array) -> Array:
        """The weights without intercepts, as columns."""
        return v.reshape(self.unit, -1).T[:-1]

    def value(self, v: Array) -> float:
        return float(self.c @ v + 0.5 * v @ (self.Q @ v) + self.penalty.value(self._weights(v)).sum())

    def proximal(self, v: Array) -> Array:
        v = v - self.step * (self.c + self.Q @ v)
        W = np.ascontiguousarray(self._weights(v))
        self.penalty.prox(W, self._weights(self.step))
        self._weights(v)[...] = W
        return v

    def along_the_path(self, v: Array) -> Array:
        """Near the minimum, along the central path."""
        matrix, n = _Root(self.Q), len(v)
        nothing, one, end = np.zeros((1, n)), np.ones((1, n)), np.full((1, n), np.inf)
        weights = Weights.joined([Weights.of(penalty, n // self.unit - 1) for penalty in self.columns])
        equations = HessianFactor(matrix, np.append(weights.l2, 0.0))
        path = CentralPath(matrix, Ramps(nothing, -end, end, one, one[0]), np.append(self.c, 0.0), weights, equations)
        width = max(float(np.abs(matrix.dot(np.append(v, 0.0))).mean()), float(np.sqrt(self.step @ self.c**2 / n)))
        at = path.start(np.append(v, 0.0), width)
        for _ in range(_PATH_STEPS):
            value, gap = path.step(at)
            if path.stuck or gap <= _NEAR * abs(value):
                break
        return path.settled(at)[:-1]

    def newton(self, v: Array) -> tuple[Array, float]:
        """The best of some lengths of Newton's step of what is not zero, and the value there."""
        d = len(v) // self.unit
        gradient, H, value = self.c + self.Q @ v, self.Q.copy(), self.value(v)
        there = np.ones((d, self.unit), bool)
        there[:-1] = self._weights(v) != 0
        for j, penalty in enumerate(self.columns):
            at = slice(j * d, (j + 1) * d - 1)
            slope, bend = penalty.curvature(v[at, None])
            gradient[at] += slope
            H[at, at] += bend
        A = np.flatnonzero(there.T)
        factor, failed = lapack.dpotrf(H[np.ix_(A, A)], lower=1, clean=0)
        if failed:
            return v, value
        step = np.zeros_like(v)
        step[A] = -lapack.dpotrs(factor, gradient[A], lower=1)[0]
        for halving in range(_HALVINGS):
            new = v + 0.5**halving * step
            there_value = self.value(new)
            if there_value <= value + self.noise:
                return new, there_value
        return v, value


class _Root(DenseMatrix):
    """Rows of which the squares add up to a quadratic form."""

    def __init__(self, Q: Array) -> None:
        diagonal, ridge, failed = np.maximum(Q.diagonal(), 1e-300), _RIDGE, True
        while failed and ridge < 1:
            self.Q = Q.copy()
            self.Q.flat[:: len(Q) + 1] = diagonal * (1 + ridge)
            factor, failed = lapack.dpotrf(self.Q, lower=1)
            ridge *= 100
        super().__init__(np.hstack([factor.T, np.zeros((len(Q), 1))]), intercept=False)

    def hessian(self, weight: Array) -> Array:
        H = np.zeros((self.d + 1, self.d + 1))
        H[:-1, :-1] = self.Q
        return H


__all__ = ["minimise"]

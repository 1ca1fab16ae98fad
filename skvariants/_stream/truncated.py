r"""Newton's method without a Hessian: steps by conjugate gradients, for more features than a factor is affordable for.

What is minimised is the loss of some rows, and a quadratic with a diagonal Hessian that stands for everything else:

.. math:: \sum_i s_i\, \ell(y_i, c_i \theta) + b^\top \theta + \tfrac12 \theta^\top \mathrm{diag}(q)\, \theta
          + \sum_j \lambda_j |\theta_j|

Each step solves with the Hessian only as far as the quadratic model is to be trusted; with L1 it moves in the weights
that are not at zero, or want to leave it, and stops where one would change its sign.

References
----------
Nash (2000), "A survey of truncated-Newton methods", doi:10.1016/S0377-0427(00)00426-X. Byrd, Chin, Nocedal and Oztoprak
(2016), "A family of second-order methods for convex l1-regularized optimization", doi:10.1007/s10107-015-0965-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skvariants._stream.linearization import slopes, values

Array = np.ndarray
# products of a step at most, and share of the gain so far at which one more is not worth it
_PRODUCTS, _WORTH = 60, 0.1
_HALVINGS, _ARMIJO, _ROUNDING = 20, 1e-4, 1e-13
# least curvature of a weight, as a share of the largest: what only rounds is no reason to go far
_LEAST = 1e-14


class Rows(NamedTuple):
    """Sparse rows as they were given, targets as columns, weights."""

    X: Any
    y: Array
    s: Array


class Centred:
    """Rows minus a centre, times a factor for each column, after a one: without a copy of rows that are sparse.

    Parameters
    ----------
    X : csr_matrix of shape (n_rows, n_features)
        In the units of the data.
    centre, factor : ndarray of shape (n_features,)
        What is subtracted, then multiplied.
    has_one : bool
        Whether there is an intercept; parameters have a row for it anyway, the first.
    n_more : int
        Rows at the centre that follow.
    """

    def __init__(self, X: Any, centre: Array, factor: Array, has_one: bool, n_more: int = 0) -> None:
        self.n, self.n_more, self.one = X.shape[0], n_more, float(has_one)
        self.X = sp.csr_matrix((X.data * factor[X.indices], X.indices, X.indptr), X.shape)
        self.turned, self.centre = self.X.T, centre * factor if centre.any() else None

    def times(self, theta: Array) -> Array:
        """Predictions, of shape ``(n_rows, n_columns)``."""
        z = np.asarray(self.X @ theta[1:])
        z += self.one * theta[0] if self.centre is None else self.one * theta[0] - self.centre @ theta[1:]
        return np.concatenate([z, np.repeat(self.one * theta[:1], self.n_more, axis=0)]) if self.n_more else z

    def turned_times(self, R: Array) -> Array:
        """Sums of rows, each times its numbers; of shape ``(n_features + 1, n_columns)``."""
        G = np.empty((self.X.shape[1] + 1, R.shape[1]))
        G[0], R = self.one * R.sum(axis=0), R[: self.n]
        G[1:] = self.turned @ R
        if self.centre is not None:
            G[1:] -= self.centre[:, None] * R.sum(axis=0)
        return G

    def squares(self, weight: Array) -> Array:
        """Weighted sums of squares of the columns."""
        first, weight = self.one * weight.sum(axis=0, keepdims=True), weight[: self.n]
        squared = sp.csr_matrix((self.X.data**2, self.X.indices, self.X.indptr), self.X.shape)
        S = np.asarray(squared.T @ weight)
        if self.centre is not None:
            c = self.centre[:, None]
            S = np.maximum(S - 2 * c * np.asarray(self.turned @ weight) + c * c * weight.sum(axis=0), 1e-12 * S)
        return np.concatenate([first, S])


@dataclass(eq=False, repr=False)
class Objective:
    """What a model is to minimise.

    Attributes
    ----------
    loss : Loss
        Bound to the task.
    C, y, s : Centred, ndarray, ndarray
        Rows that count as they are.
    linear, diagonal, l1 : ndarray of shape (n_features + 1, n_columns)
        What stands for all else.
    spread, least : float or ndarray or None, ndarray or float
        Deviation of predictions, over which kinks are smoothed, and least curvature of a row.
    """

    loss: Any
    C: Centred
    y: Array
    s: Array
    linear: Array
    diagonal: Array
    l1: Array
    spread: Any = None
    least: Any = 0.0

    @property
    def coupled(self) -> bool:
        """Whether the slope of a column depends on the others."""
        return bool(self.loss.columns_per_model > 1)

    def value(self, theta: Array, z: Array) -> float:
        """The objective at a model of these predictions."""
        if self.spread is None:
            total = float(self.loss.total(self.y, z, self.s[:, None]).sum())
        else:
            total = float(self.s @ values(self.loss, self.y, z, np.broadcast_to(self.spread, z.shape)).sum(axis=1))
        return total + float(np.vdot(theta, self.linear + 0.5 * self.diagonal * theta) + (self.l1 * abs(theta)).sum())

    def lines(self, z: Array) -> tuple[Array, Array]:
        """Slopes, and curvatures: probabilities of classes that are coupled."""
        if self.coupled:
            slope = self.loss.gradient(self.y, z, np.empty_like(z))
            return slope, slope + self.y
        spread = None if self.spread is None else np.broadcast_to(self.spread, z.shape)
        slope, bend = slopes(self.loss, self.y, z, spread)
        return slope, np.maximum(bend, self.least)

    def gradient(self, theta: Array, slope: Array) -> Array:
        """Without L1."""
        return self.C.turned_times(slope * self.s[:, None]) + self.linear + self.diagonal * theta

    def curvature(self, bend: Array) -> Array:
        """The diagonal of the Hessian."""
        weight = (bend * (1 - bend) if self.coupled else bend) * self.s[:, None]
        return self.C.squares(weight) + self.diagonal

    def hessian_times(self, bend: Array, P: Array) -> Array:
        """The Hessian times a direction."""
        U = self.C.times(P)
        U = bend * (U - (bend * U).sum(axis=1, keepdims=True)) if self.coupled else bend * U
        G = self.C.turned_times(U * self.s[:, None])
        G += self.diagonal * P
        return G


class Solution(NamedTuple):
    """Where steps ended: the model, its predictions, and slopes and curvatures there."""

    theta: Array
    z: Array
    slope: Array
    bend: Array


def minimise(objective: Objective, theta: Array, most: int, enough: float) -> Solution:
    """Newton's steps from a model until one is not expected to gain more than `enough`.

    Parameters
    ----------
    objective : Objective
        Convex.
    theta : ndarray of shape (n_features + 1, n_columns)
        Where to begin.
    most : int
        Steps at most.
    enough : float
        In units of the objective.

    Returns
    -------
    Solution
    """
    z = objective.C.times(theta)
    value = objective.value(theta, z)
    slope, bend = objective.lines(z)
    for _ in range(most):
        gradient, free = _steepest(objective.gradient(theta, slope), theta, objective.l1)
        scale = objective.curvature(bend)
        scale = np.maximum(scale, max(_LEAST * float(scale.max(initial=0.0)), 1e-300))
        if 0.5 * float(np.vdot(gradient, gradient / scale)) <= _WORTH * enough:
            break
        P = _direction(objective, gradient, bend, scale, free, _WORTH * enough)
        expected = -float(np.vdot(gradient, P))
        found = _along(objective, (theta, z, value), gradient, P, expected)
        if found is None:
            break
        theta, z, value = found
        slope, bend = objective.lines(z)
        if 0.5 * expected <= enough:
            break
    return Solution(theta, z, slope, bend)


def _steepest(G: Array, theta: Array, l1: Array) -> tuple[Array, Any]:
    """The gradient of the direction in which the objective falls most, and which weights move."""
    if not l1.any():
        return G, None
    at_zero = np.sign(G) * np.maximum(np.abs(G) - l1, 0.0)
    G = np.where(theta != 0, G + l1 * np.sign(theta), at_zero)
    return G, ((theta != 0) | (at_zero != 0)).astype(float)


def _direction(objective: Objective, G: Array, bend: Array, scale: Array, free: Any, little: float) -> Array:
    """Conjugate gradients, each column by itself unless they are coupled; preconditioned by the diagonal."""
    coupled, R = objective.coupled, -G

    def dot(A: Array, B: Array) -> Array:
        return np.atleast_1d(np.vdot(A, B)) if coupled else np.einsum("ij,ij->j", A, B)

    P, D = np.zeros_like(G), R / scale
    size, gained = dot(R, D), np.zeros(1)
    for products in range(1, _PRODUCTS + 1):
        Q = objective.hessian_times(bend, D)
        if free is not None:
            Q *= free
        steep = dot(D, Q)
        length = np.where(steep > 0, size / np.where(steep > 0, steep, 1.0), 0.0)
        P += length * D
        gain = 0.5 * length * size
        gained = gained + gain
        if np.all((products * gain <= _WORTH * gained) | (gain <= little / len(gain))):
            break
        Q *= length
        R -= Q
        V = np.divide(R, scale, out=Q)
        before, size = size, dot(R, V)
        D *= np.where(before > 0, size / np.where(before > 0, before, 1.0), 0.0)
        D += V
    return P


def _along(
    objective: Objective, now: tuple[Array, Array, float], G: Array, P: Array, expected: float
) -> tuple[Array, Array, float] | None:
    """The longest halving of a step that descends, its model, predictions and value; None where none does."""
    theta, z, value = now
    has_l1, length = bool(objective.l1.any()), 1.0
    Z = None if has_l1 else objective.C.times(P)
    for _ in range(_HALVINGS):
        new = theta + length * P
        if Z is None:
            orthant = np.where(theta != 0, np.sign(theta), -np.sign(G))
            new = np.where(np.sign(new) == orthant, new, 0.0)
            at = objective.C.times(new)
        else:
            at = z + length * Z
        reached = objective.value(new, at)
        if reached - value <= -_ARMIJO * length * expected or abs(length * expected) <= _ROUNDING * abs(value):
            return new, at, reached
        length *= 0.5
    return None


__all__ = ["Centred", "Objective", "Rows", "Solution", "minimise"]

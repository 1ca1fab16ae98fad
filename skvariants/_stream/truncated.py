r"""Newton's method without a Hessian: steps by conjugate gradients, for more features than a factor is affordable for.

What is minimised is the loss of some rows, and a quadratic with a diagonal Hessian that stands for everything else:

.. math:: \sum_i s_i\, \ell(y_i, c_i \theta) + b^\top \theta + \tfrac12 \theta^\top \mathrm{diag}(q)\, \theta
          + \sum_j \lambda_j |\theta_j|

Each step solves with the Hessian only as far as the quadratic model is to be trusted; with L1 the model has the L1 too,
as its slope alone would have no least value where rows are fewer than weights.

References
----------
Nash (2000), "A survey of truncated-Newton methods", doi:10.1016/S0377-0427(00)00426-X. Byrd, Chin, Nocedal and Oztoprak
(2016), "A family of second-order methods for convex l1-regularized optimization", doi:10.1007/s10107-015-0965-3. Beck
and Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
doi:10.1137/080716542.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import gen_batches

from skvariants._stream.linearization import slopes, values

Array = np.ndarray
# products of a step at most, and share of the gain so far at which one more is not worth it
_PRODUCTS, _WORTH = 60, 0.1
_HALVINGS, _ARMIJO, _ROUNDING = 20, 1e-4, 1e-13
# least curvature of a weight, as a share of the largest: what only rounds is no reason to go far
_LEAST = 1e-14
# numbers of a work array that are at hand at once: models are large, and a few of them are all that there is room for
_BLOCK = 1 << 16


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
        # a column for the intercept, without a number, so that a product is of the shape of a model
        shape = X.shape[0], X.shape[1] + 1
        self.X = sp.csr_matrix((X.data * factor[X.indices], X.indices + X.indices.dtype.type(1), X.indptr), shape)
        self.turned, self.centre = self.X.T, np.append(0.0, centre * factor) if centre.any() else None

    def times(self, theta: Array) -> Array:
        """Predictions, of shape ``(n_rows, n_columns)``."""
        z = np.asarray(self.X @ theta)
        z += self.one * theta[0] if self.centre is None else self.one * theta[0] - self.centre @ theta
        return np.concatenate([z, np.repeat(self.one * theta[:1], self.n_more, axis=0)]) if self.n_more else z

    def turned_times(self, R: Array) -> Array:
        """Sums of rows, each times its numbers; of shape ``(n_features + 1, n_columns)``."""
        G, inner = np.asarray(self.turned @ R[: self.n]), R[: self.n]
        if self.centre is not None:
            _add_product(G, -self.centre[:, None], np.broadcast_to(inner.sum(axis=0), G.shape))
        G[0] = self.one * R.sum(axis=0)
        return G

    def squares(self, weight: Array) -> Array:
        """Weighted sums of squares of the columns."""
        X, c, inner = self.X, self.centre, weight[: self.n]
        # (x - c)^2 is c^2 where x is zero, and so much more elsewhere
        more = X.data * (X.data if c is None else X.data - 2 * c[X.indices])
        S = np.asarray(sp.csr_matrix((more, X.indices, X.indptr), X.shape).T @ inner)
        if c is not None:
            at_zero = np.broadcast_to(inner.sum(axis=0), S.shape)
            for some in _blocks(S):
                squares = (c[some] ** 2)[:, None] * at_zero[some]
                S[some] = np.maximum(S[some] + squares, 1e-12 * squares)
        S[0] = self.one * weight.sum(axis=0)
        return S


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
        for some in _blocks(theta):
            part = theta[some]
            total += float(np.vdot(part, self.linear[some] + 0.5 * self.diagonal[some] * part))
            total += float((self.l1[some] * abs(part)).sum())
        return total

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
        G = self.C.turned_times(slope * self.s[:, None])
        G += self.linear
        return _add_product(G, self.diagonal, theta)

    def curvature(self, bend: Array) -> Array:
        """The diagonal of the Hessian."""
        weight = (bend * (1 - bend) if self.coupled else bend) * self.s[:, None]
        S = self.C.squares(weight)
        S += self.diagonal
        return S

    def hessian_times(self, bend: Array, P: Array) -> Array:
        """The Hessian times a direction."""
        U = self.C.times(P)
        U = bend * (U - (bend * U).sum(axis=1, keepdims=True)) if self.coupled else bend * U
        return _add_product(self.C.turned_times(U * self.s[:, None]), self.diagonal, P)


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
        P, expected = _step(objective, theta, slope, bend, _WORTH * enough)
        if P is None:
            break
        found = _along(objective, (theta, z, value), P, expected)
        if found is None:
            break
        theta, z, value = found
        slope, bend = objective.lines(z)
        if 0.5 * expected <= enough:
            break
    return Solution(theta, z, slope, bend)


def _step(objective: Objective, theta: Array, slope: Array, bend: Array, little: float) -> tuple[Array | None, float]:
    """A step, and what it is expected to gain, or twice as much without L1; None where that is next to nothing."""
    G, scale = objective.gradient(theta, slope), objective.curvature(bend)
    np.maximum(scale, max(_LEAST * float(scale.max(initial=0.0)), 1e-300), out=scale)
    gain = 0.0
    for some in _blocks(G):
        steepest = _steepest(G[some], theta[some], objective.l1[some])
        gain += 0.5 * float(np.vdot(steepest, steepest / scale[some]))
    if gain <= little:
        return None, gain
    if not objective.l1.any():
        return _direction(objective, G, bend, scale, little)
    P = _shrunk(objective, theta, G, bend, scale, little)
    return P, -float(np.vdot(G, P) + (objective.l1 * (abs(theta + P) - abs(theta))).sum())


def _blocks(values: Array) -> Iterator[slice]:
    """Some rows of an array after the other."""
    return gen_batches(len(values), max(1, _BLOCK // values.shape[1]))


def _add_product(out: Array, first: Array, second: Array) -> Array:
    """Add a product of two arrays to a third, in place and without one of them all."""
    for some in _blocks(out):
        out[some] += first[some] * second[some]
    return out


def _steepest(G: Array, theta: Array, l1: Array) -> Array:
    """The gradient of the direction in which the objective, with L1, falls most."""
    at_zero = np.sign(G) * np.maximum(np.abs(G) - l1, 0.0)
    return np.where(theta != 0, G + l1 * np.sign(theta), at_zero)


def _direction(objective: Objective, G: Array, bend: Array, scale: Array, little: float) -> tuple[Array, float]:
    """Conjugate gradients, each column by itself unless they are coupled; preconditioned by the diagonal.

    The gradient is overwritten. That it falls along what they reach by twice what they gain follows from their lengths.
    """
    coupled, R = objective.coupled, np.negative(G, out=G)

    def dot(A: Array, B: Array) -> Array:
        return np.atleast_1d(np.vdot(A, B)) if coupled else np.einsum("ij,ij->j", A, B)

    P, D = np.zeros_like(R), R / scale
    size, gained = dot(R, D), np.zeros(1)
    for products in range(1, _PRODUCTS + 1):
        Q = objective.hessian_times(bend, D)
        steep = dot(D, Q)
        length = np.where(steep > 0, size / np.where(steep > 0, steep, 1.0), 0.0)
        Q *= length
        R -= Q
        P += np.multiply(D, length, out=Q)
        gain = 0.5 * length * size
        gained = gained + gain
        if np.all((products * gain <= _WORTH * gained) | (gain <= little / len(gain))):
            break
        V = np.divide(R, scale, out=Q)
        before, size = size, dot(R, V)
        D *= np.where(before > 0, size / np.where(before > 0, before, 1.0), 0.0)
        D += V
        del Q, V  # room for the next
    return P, 2 * float(gained.sum())


def _shrunk(objective: Objective, theta: Array, G: Array, bend: Array, scale: Array, little: float) -> Array:
    """With L1: accelerated proximal steps on the quadratic model, in units of the diagonal (Beck and Teboulle 2009)."""
    l1 = objective.l1

    def dot(A: Array, B: Array) -> Array:
        each = np.einsum("ij,ij->j", A, B)
        return np.full_like(each, each.sum()) if objective.coupled else each

    P = Y = HP = HY = np.zeros_like(G)
    start = value = float((l1 * abs(theta)).sum())
    t, steep = 1.0, np.ones(G.shape[1])
    for products in range(1, _PRODUCTS + 1):
        metric = steep * scale
        U = theta + Y - (G + HY) / metric
        U = np.sign(U) * np.maximum(np.abs(U) - l1 / metric, 0.0)
        D = U - theta - Y
        HD = objective.hessian_times(bend, D)
        size, bent = dot(D, scale * D), dot(D, HD)
        grows = bent > (1 + 1e-9) * steep * size
        if grows.any():  # the step was too long
            steep = np.where(grows, np.maximum(1.2 * steep, bent / np.where(size > 0, size, 1.0)), steep)
            continue
        # as a difference of points, so that zeros are exact
        new, H_new = U - theta, HY + HD
        before, value = value, float(np.vdot(G + 0.5 * H_new, new) + (l1 * abs(U)).sum())
        further, H_further = new - P, H_new - HP
        P, HP = new, H_new
        if products * abs(before - value) <= _WORTH * (start - value) or abs(before - value) <= little:
            break
        if np.vdot(D * scale, further) < 0:
            t = 1.0  # past the lowest point: without momentum
        t, last = 0.5 * (1 + np.sqrt(1 + 4 * t * t)), t
        Y, HY = P + (last - 1) / t * further, HP + (last - 1) / t * H_further
    return P


def _along(
    objective: Objective, now: tuple[Array, Array, float], P: Array, expected: float
) -> tuple[Array, Array, float] | None:
    """The longest halving of a step that descends, its model, predictions and value; None where none does."""
    theta, z, value = now
    Z, length = objective.C.times(P), 1.0
    for _ in range(_HALVINGS):
        new, at = length * P, z + length * Z
        new += theta
        reached = objective.value(new, at)
        if reached - value <= -_ARMIJO * length * expected or abs(length * expected) <= _ROUNDING * abs(value):
            return new, at, reached
        length *= 0.5
    return None


__all__ = ["Centred", "Objective", "Rows", "Solution", "minimise"]

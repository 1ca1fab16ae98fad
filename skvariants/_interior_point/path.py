r"""The central path of a piecewise linear objective, and predictor-corrector steps along it.

Minimised is a sum of ramps, a linear part and squares,

.. math:: \min_v \sum_k \omega_k \max_{l_k \le u \le h_k}
          \bigl[u\,(a_k^\top v - t_k) - \tfrac{\gamma_k}2 u^2\bigr]
          + c^\top v + \tfrac12 v^\top \Lambda v

over ``v = (w, b)``. A hinge is one ramp a row, a tube two, and :math:`\lambda |w_j|` is a ramp of :math:`w_j` itself.
With :math:`a_k^\top v - t_k - \gamma_k u_k = p_k - q_k` the optimum has
:math:`p_k (h_k - u_k) = q_k (u_k - l_k) = 0`; the central path has :math:`\mu` instead of zero, and Newton's method on
it, with second-order corrections [1]_ and corrections of the centrality [2]_, ends in some twenty steps whatever the
condition of the data. Each costs one factor of :math:`A^\top D A + \Lambda`. The slopes `u` are dual feasible, so that
primal minus dual bounds what is left to gain.

References
----------
.. [1] Mehrotra (1992), "On the implementation of a primal-dual interior point method", doi:10.1137/0802028.
.. [2] Gondzio (1996), "Multiple centrality corrections in a primal-dual method for linear programming",
   doi:10.1007/BF00249643. For support vector machines: Ferris and Munson (2002), doi:10.1137/S1052623400374379; for
   quantiles: Portnoy and Koenker (1997), doi:10.1214/ss/1030037960.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
# corrections of the centrality that share a factor
_CORRECTIONS = 2
# share of the way to the boundary
_NEARLY = 0.995
# a step that is shorter leads nowhere
_SHORTEST = 1e-8


@dataclass(eq=False, repr=False)
class Ramps:
    """Ramps of rows: arrays of shape ``(n_kinks, n_rows)``; the weights ``(n_rows,)``.

    Attributes
    ----------
    position : ndarray
        Where a ramp has its kink.
    low, high : ndarray
        Slopes below and above.
    width : ndarray
        What a prediction changes by while the slope changes by one.
    weight : ndarray
        Weight of each row.
    """

    position: Array
    low: Array
    high: Array
    width: Array
    weight: Array

    @property
    def kinked(self) -> bool:
        """Whether no slope changes but at once."""
        return not self.width.any()

    def take(self, index: Any) -> Ramps:
        """Those of some rows."""
        position, low, high, width = (a[:, index] for a in (self.position, self.low, self.high, self.width))
        return Ramps(position, low, high, width, self.weight[index])

    def loss(self, z: Array) -> float:
        """Weighted sum at predictions `z`."""
        return float(self.weight @ ramp_values(z - self.position, self.low, self.high, self.width).sum(axis=0))

    def slopes(self, z: Array) -> Array:
        """The slope of each ramp at predictions `z`."""
        return ramp_slopes(z - self.position, self.low, self.high, self.width)


def ramp_slopes(r: Array, low: Array, high: Array, width: Array) -> Array:
    """Slopes at distances `r` from the positions."""
    if not width.any():
        return np.where(r > 0, high, low)
    return np.clip(r / np.maximum(width, 1e-300), low, high)


def ramp_values(r: Array, low: Array, high: Array, width: Array) -> Array:
    """Values at distances `r` from the positions."""
    if not width.any():
        return np.maximum(low * r, high * r)
    u = ramp_slopes(r, low, high, width)
    return u * r - 0.5 * width * u * u


@dataclass(eq=False, repr=False)
class PathState:
    """Where a path stands: point, predictions, slopes, distances from the kinks; rows first, then weights with L1."""

    v: Array
    z: Array
    u: Array
    p: Array
    q: Array

    def copy(self) -> PathState:
        """The same, to change."""
        return PathState(*(a.copy() for a in (self.v, self.z, self.u, self.p, self.q)))


class CentralPath:
    """Steps along the central path of some rows.

    Parameters
    ----------
    matrix : Matrix
        Rows.
    ramps : Ramps
        Theirs.
    linear : ndarray of shape (n_features + 1,)
        The linear part.
    l1, l2 : ndarray of shape (n_features,)
        Strengths.
    equations : object
        Solves with the Hessian.
    """

    loose = False

    def __init__(self, matrix: Any, ramps: Ramps, linear: Array, l1: Array, l2: Array, equations: Any) -> None:
        self.matrix, self.ramps, self.linear, self.l2, self.equations = matrix, ramps, linear, l2, equations
        self.curvature = np.append(l2, 0.0)
        self.sparse_weights = np.flatnonzero(l1 > 0)
        n_l1 = len(self.sparse_weights)
        # a weight counts by what it moves predictions by, so that distances of all ramps are of one size
        squares = matrix.diagonal(ramps.weight)[:-1][self.sparse_weights] / max(float(ramps.weight.sum()), 1e-300)
        self.reach = np.sqrt(np.where(squares > 0, squares, 1.0))
        self.kinks, self.m = ramps.position.shape
        ones = np.ones(n_l1)
        self.position = np.concatenate([ramps.position.ravel(), np.zeros(n_l1)])
        self.low = np.concatenate([ramps.low.ravel(), -ones])
        self.high = np.concatenate([ramps.high.ravel(), ones])
        self.width = np.concatenate([ramps.width.ravel(), np.zeros(n_l1)])
        #: ramps without an end, above and below
        self.open = np.isinf(self.high), np.isinf(self.low)
        self.ends = not (self.open[0].any() or self.open[1].any())
        self.weight = np.concatenate([np.tile(ramps.weight, self.kinks), l1[self.sparse_weights] / self.reach])
        self.stuck = False

    def ramps_of(self, v: Array) -> Array:
        """``a_k' v`` of all ramps."""
        return np.concatenate([np.tile(self.matrix.dot(v), self.kinks), self.reach * v[self.sparse_weights]])

    def sums(self, r: Array) -> Array:
        """``sum_k r_k a_k``."""
        n_rows = self.kinks * self.m
        g = self.matrix.transposed(r[:n_rows].reshape(self.kinks, self.m).sum(axis=0))
        g[self.sparse_weights] += self.reach * r[n_rows:]
        return g

    def start(self, v: Array, width: float) -> PathState:
        """A point well inside, near `v`, at `width` from its kinks."""
        z = self.ramps_of(v)
        r = z - self.position
        with np.errstate(invalid="ignore"):
            u = 0.5 * (self.low + self.high)
        if not self.ends:
            slope = ramp_slopes(r, self.low, self.high, self.width)
            inside = width / np.maximum(self.width, 1e-300)
            u = np.where(self.open[0], slope + inside, np.where(self.open[1], slope - inside, u))
            u = np.where(self.open[0] & self.open[1], slope, u)
        r = r - self.width * u
        return PathState(v, z, u, np.maximum(r, 0) + width, np.maximum(-r, 0) + width)

    def value(self, at: PathState) -> float:
        """The objective."""
        r = at.z - self.position
        ramps = float(self.weight @ ramp_values(r, self.low, self.high, self.width))
        return ramps + float(self.linear @ at.v) + 0.5 * float((self.l2 * at.v[:-1] ** 2).sum())

    def gap(self, at: PathState) -> float:
        """What is left to gain, at most, if the gradient of the whole counts by the point: no bound, but near one.

        Complementarity and residual: ``sum w [p (h - u) + q (u - l)] + |g'v|`` is primal minus dual where the residual
        is nil.
        """
        r = at.z - self.position
        slack = ramp_values(r, self.low, self.high, self.width) - at.u * r + 0.5 * self.width * at.u * at.u
        slack = float(self.weight @ slack)
        g = self.sums(self.weight * at.u) + self.linear + self.curvature * at.v
        return slack + float(np.abs(g * at.v).sum())

    def v_with_zeros(self, at: PathState) -> Array:
        """The point; weights with L1 whose slope has more room than they have size are zero."""
        v, n_rows = at.v.copy(), self.kinks * self.m
        size = self.reach * np.abs(v[self.sparse_weights])
        # where all of them are to be zero, the largest is one of those
        distance = np.abs(at.z[:n_rows] - self.position[:n_rows])
        largest = max(size.max(initial=0.0), float(distance.mean()) if n_rows else 0.0)
        room = 1.0 - np.abs(at.u[n_rows:])
        v[self.sparse_weights[size < room * largest]] = 0.0
        return v

    def slopes_of(self, at: PathState) -> Array:
        """Slopes of the ramps of rows at the point."""
        return at.u[: self.kinks * self.m].reshape(self.kinks, self.m)

    def step(self, at: PathState) -> tuple[float, float]:
        """One predictor-corrector step, in place; objective and gap after it."""
        self._step(at)
        return self.value(at), self.gap(at)

    def products(self, p: Array, above: Array, q: Array, below: Array) -> tuple[Array, Array]:
        """Distances times room of slopes; nil where there is no end."""
        with np.errstate(invalid="ignore"):
            first, second = p * above, q * below
        if not self.ends:
            first[self.open[0]] = second[self.open[1]] = 0.0
        return first, second

    def _step(self, at: PathState) -> None:
        above, below = self.high - at.u, at.u - self.low
        total = 2 * self.weight.sum()
        first, second = self.products(at.p, above, at.q, below)
        mu = float(self.weight @ (first + second)) / total
        D = 1.0 / (self.width + at.p / above + at.q / below)
        W = self.weight * D
        rows = W[: self.kinks * self.m].reshape(self.kinks, self.m).sum(axis=0)
        curvature = self.curvature.copy()
        curvature[self.sparse_weights] += W[self.kinks * self.m :] * self.reach**2
        self.equations.factor(rows, curvature)
        newton = _Newton(self, at, above, below, D)
        move = newton.toward(0.0, 0.0)
        t = min(1.0, newton.length(move))
        first, second = newton.products(move, t)
        goal = (float(self.weight @ (first + second)) / total / mu) ** 3 * mu
        move, t = self._corrected(newton, move, goal)
        t = min(1.0, _NEARLY * t)
        sound = np.isfinite(t) and all(np.isfinite(part).all() for part in move)
        if not sound or t < _SHORTEST:
            self.stuck = True
            return
        for now, change in zip((at.v, at.z, at.u, at.p, at.q), move, strict=True):
            now += t * change

    def _corrected(self, newton: _Newton, move: tuple[Array, ...], goal: float) -> tuple[tuple[Array, ...], float]:
        """The step to products `goal`, with what the first one has shown, and its length."""
        _, _, du, dp, dq = move
        targets = goal + dp * du, goal - dq * du
        move = newton.toward(*targets)
        t = newton.length(move)
        for _ in range(_CORRECTIONS):
            if t > 0.95:
                break
            products = newton.products(move, min(1.0, 1.5 * t + 0.3))
            corrected = tuple(
                target + np.maximum(np.clip(product, 0.1 * goal, 10 * goal) - product, -10 * goal)
                for target, product in zip(targets, products, strict=True)
            )
            other = newton.toward(*corrected)
            longer = newton.length(other)
            if not min(longer, 1.0) >= min(t, 1.0) + 0.01:
                break
            move, t, targets = other, longer, corrected
        return move, t


class _Newton:
    """Newton steps from one point, which share a factor."""

    def __init__(self, path: CentralPath, at: PathState, above: Array, below: Array, D: Array) -> None:
        self.path, self.at, self.above, self.below, self.D = path, at, above, below, D
        self.r = at.z - path.position - path.width * at.u
        self.constant = path.linear + path.curvature * at.v

    def toward(self, first: Any, second: Any) -> tuple[Array, ...]:
        """The step to products `first` and `second` of distances and room of slopes."""
        path, at = self.path, self.at
        e = self.r - first / self.above + second / self.below
        dv = -path.equations.solve(path.sums(path.weight * (at.u + self.D * e)) + self.constant)
        dz = path.ramps_of(dv)
        du = self.D * (dz + e)
        dp = (first + at.p * du) / self.above - at.p
        dq = (second - at.q * du) / self.below - at.q
        if not path.ends:
            dp[path.open[0]] = dq[path.open[1]] = 0.0
        return dv, dz, du, dp, dq

    def length(self, move: tuple[Array, ...]) -> float:
        """The length that reaches the boundary."""
        _, _, du, dp, dq = move
        at = self.at
        most = max((-dp / at.p).max(), (-dq / at.q).max(), (du / self.above).max(), (-du / self.below).max())
        return 1.0 / max(float(most), 1e-12)

    def products(self, move: tuple[Array, ...], t: float) -> tuple[Array, Array]:
        """Products of distances and room of slopes after a step of length `t`."""
        _, _, du, dp, dq = move
        at = self.at
        return self.path.products(at.p + t * dp, self.above - t * du, at.q + t * dq, self.below + t * du)


__all__ = ["CentralPath", "PathState", "Ramps", "ramp_slopes", "ramp_values"]

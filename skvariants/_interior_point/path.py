r"""The central path of a piecewise linear objective, and predictor-corrector steps along it.

Minimised is a sum of ramps, a linear part and squares,

.. math:: \min_v \sum_k \omega_k \max_{l_k \le u \le h_k}
          \bigl[u\,(a_k^\top v - t_k) - \tfrac{\gamma_k}2 u^2\bigr]
          + c^\top v + \tfrac12 v^\top \Lambda v

over ``v = (w, b)``. A hinge is one ramp a row, a tube two, and :math:`\lambda |w_j|` is a ramp of :math:`w_j` itself.
With :math:`a_k^\top v - t_k - \gamma_k u_k = p_k - q_k` the optimum has
:math:`p_k (h_k - u_k) = q_k (u_k - l_k) = 0`; the central path has :math:`\mu` instead of zero, and for weights, and
rows that count much more or less than most, :math:`\mu \bar\omega / \omega_k`. Newton's method on it, with
second-order corrections [1]_ and corrections of the centrality [2]_, ends in some twenty steps whatever the condition
of the data. Each costs one factor of :math:`A^\top D A + \Lambda`. The slopes `u` are dual feasible, so that primal
minus dual bounds what is left to gain.
A bound of a weight is a ramp of which one slope is nil and the other has no end; norms of groups are in ``norms.py``.

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

from skvariants._interior_point.norms import Norms, Steps
from skvariants._interior_point.weights import Weights

Array = np.ndarray
# corrections of the centrality that share a factor
_CORRECTIONS = 2
# share of the way to the boundary
_NEARLY = 0.995
# curvature of a weight that is a constant, beside that of rows
_STIFF = 1e30
# mean slope of rows below which no weight is said to be at its bound for the slope of that
_STEEP = 1e-3
# by what weights of rows differ from the mean that are of about one size
_ALIKE = 4.0
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
    """Where a path stands: point, predictions, slopes, distances from the kinks; rows first, then weights.

    Of norms of groups, their sizes and slopes.
    """

    v: Array
    z: Array
    u: Array
    p: Array
    q: Array
    size: Array
    s: Array

    def copy(self) -> PathState:
        """The same, to change."""
        return PathState(*(a.copy() for a in (self.v, self.z, self.u, self.p, self.q, self.size, self.s)))


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
    weights : Weights
        Strengths and bounds.
    equations : object
        Solves with the Hessian.
    """

    loose = False

    def __init__(self, matrix: Any, ramps: Ramps, linear: Array, weights: Weights, equations: Any) -> None:
        self.matrix, self.ramps, self.linear, self.weights, self.equations = matrix, ramps, linear, weights, equations
        self.curvature = np.append(weights.l2, 0.0)
        self.kinks, self.m = ramps.position.shape
        self.total = float(ramps.weight.sum())
        # a weight counts by what it moves predictions by, so that distances of all ramps are of one size
        squares = matrix.diagonal(ramps.weight)[:-1] / max(self.total, 1e-300)
        reach = np.sqrt(np.where(squares > 0, squares, 1.0))
        self.norms = Norms(weights.groups, squares)
        l1, low, high, fixed = weights.l1, weights.lower, weights.upper, weights.fixed
        absolute, above, below = (np.flatnonzero(kind) for kind in (l1 > 0, low > -np.inf, high < np.inf))
        above, below = above[~fixed[above]], below[~fixed[below]]
        self.fixed = np.flatnonzero(fixed)
        #: the weights of the ramps that follow those of rows: absolute values, lower bounds, upper bounds
        self.of = np.concatenate([absolute, above, below])
        self.reach = reach[self.of]
        self.n_rows, self.valued = self.kinks * self.m, self.kinks * self.m + len(absolute)
        wall = np.full(len(above) + len(below), self.total / max(len(above) + len(below), 1))
        self.position, self.low, self.high, self.width, self.weight = (
            np.concatenate([of_rows, *of_weights]) for of_rows, of_weights in (
                (ramps.position.ravel(), (0.0 * absolute, (low * reach)[above], (high * reach)[below])),
                (ramps.low.ravel(), (-1.0 + 0 * absolute, np.full(len(above), -np.inf), 0.0 * below)),
                (ramps.high.ravel(), (1.0 + 0 * absolute, 0.0 * above, np.full(len(below), np.inf))),
                (ramps.width.ravel(), (0.0 * self.of,)),
                (np.tile(ramps.weight, self.kinks), ((l1 / reach)[absolute], wall)),
            )
        )  # fmt: skip
        # what costs more is nearer to complementarity. With one product for all, strong penalties took up to 78 steps
        # and take 15 (5,000 rows of 60 features); a hinge with L1 and weights of rows over six decades took over 120
        # and takes 20 (2,000 rows of 300 features). Weights of about one size are as good as repetitions
        usual = self.total / max(self.m, 1)
        share = np.maximum(self.weight / usual, np.finfo(float).eps)
        about = np.clip(share, 1 / _ALIKE, _ALIKE)
        about[self.n_rows :] = 1.0
        self.goals = about / share
        self.norm_goals = 2 * usual / self.norms.strength
        self.sum_of_goals = float(2 * self.weight @ self.goals + self.norms.strength @ self.norm_goals)
        #: ramps without an end, above and below
        self.open = np.isinf(self.high), np.isinf(self.low)
        self.ends = not (self.open[0].any() or self.open[1].any())
        self.stuck = False

    def ramps_of(self, v: Array) -> Array:
        """``a_k' v`` of all ramps."""
        return np.concatenate([np.tile(self.matrix.dot(v), self.kinks), self.reach * v[self.of]])

    def sums(self, r: Array) -> Array:
        """``sum_k r_k a_k``."""
        g = self.matrix.transposed(r[: self.n_rows].reshape(self.kinks, self.m).sum(axis=0))
        if len(self.of):
            g[:-1] += np.bincount(self.of, self.reach * r[self.n_rows :], len(g) - 1)
        return g

    def start(self, v: Array, width: float) -> PathState:
        """A point well inside, near `v`, at `width` from its kinks."""
        z = self.ramps_of(v)
        r = z - self.position
        with np.errstate(invalid="ignore"):
            u = 0.5 * (self.low + self.high)
        if not self.ends:
            slope = ramp_slopes(r, self.low, self.high, self.width)
            inside = np.where(self.width > 0, width / np.maximum(self.width, 1e-300), 1.0)
            slope = np.where(self.width > 0, slope, 0.0)
            u = np.where(self.open[0], slope + inside, np.where(self.open[1], slope - inside, u))
            u = np.where(self.open[0] & self.open[1], slope, u)
        r = r - self.width * u
        norms = self.norms.start(v, width)
        return PathState(v, z, u, np.maximum(r, 0) + width, np.maximum(-r, 0) + width, *norms)

    def value(self, at: PathState) -> float:
        """The objective, whatever the bounds say."""
        some = slice(self.valued)
        r = at.z[some] - self.position[some]
        ramps = float(self.weight[some] @ ramp_values(r, self.low[some], self.high[some], self.width[some]))
        norms = self.norms.slack(at.v, 0.0 * at.s)
        return ramps + norms + float(self.linear @ at.v) + 0.5 * float((self.weights.l2 * at.v[:-1] ** 2).sum())

    def gap(self, at: PathState) -> float:
        """What is left to gain, at most, if the gradient of the whole counts by the point: no bound, but near one.

        Complementarity and residual: ``sum w [p (h - u) + q (u - l)] + |g'v|`` is primal minus dual where the residual
        is nil.
        """
        r, slack = at.z - self.position, np.zeros(len(at.z))
        some, walls = slice(self.valued), slice(self.valued, None)
        slack[some] = ramp_values(r[some], self.low[some], self.high[some], self.width[some])
        slack += 0.5 * self.width * at.u * at.u - at.u * r
        slack[walls] = np.abs(slack[walls])
        g = self.sums(self.weight * at.u) + self.linear + self.curvature * at.v
        self.norms.gradient(at.s, g)
        g[self.fixed] = 0.0
        return float(self.weight @ slack) + self.norms.slack(at.v, at.s) + float(np.abs(g * at.v).sum())

    def settled(self, at: PathState) -> Array:
        """The point; weights whose slope has more room than they have size are zero, or at their bound."""
        v, weights, slopes = at.v.copy(), self.of, np.abs(at.u[self.n_rows :])
        n_absolute = self.valued - self.n_rows
        absolute, walls = slice(n_absolute), slice(n_absolute, None)
        # where all of them are to be zero, the largest is one of those
        distance = float(np.abs(at.z[: self.n_rows] - self.position[: self.n_rows]).mean()) if self.n_rows else 0.0
        size = self.reach[absolute] * np.abs(v[weights[absolute]])
        norms = self.norms.lengths(v)
        small = norms < (1.0 - self.norms.sums(at.s**2)) * max(norms.max(initial=0.0), distance)
        v[self.norms.at[small[self.norms.number]]] = 0.0
        v[weights[absolute][size < (1.0 - slopes[absolute]) * max(size.max(initial=0.0), distance)]] = 0.0
        # slopes of walls beside those of rows, which may be nil
        of_rows = max(float(self.weight[: self.n_rows] @ np.abs(at.u[: self.n_rows])), _STEEP * self.total, 1e-300)
        share = self.weight[self.valued :] * slopes[walls] / of_rows
        held = np.abs(at.z - self.position)[self.valued :] < share * distance
        walled, below = weights[walls], self.open[0][self.valued :]
        v[walled[held]] = np.where(below, self.weights.upper[walled], self.weights.lower[walled])[held]
        v[:-1] = self.weights.fitting(v[:-1])
        return v

    def slopes_of(self, at: PathState) -> Array:
        """Slopes of the ramps of rows at the point."""
        return at.u[: self.n_rows].reshape(self.kinks, self.m)

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
        norms = Steps(self.norms, at)
        first, second = self.products(at.p, above, at.q, below)
        now = float(self.weight @ (first + second)) + float(self.norms.strength @ (at.size * norms.room))
        D = 1.0 / (self.width + at.p / above + at.q / below)
        W = self.weight * D
        rows = W[: self.n_rows].reshape(self.kinks, self.m).sum(axis=0)
        curvature = self.curvature.copy()
        if len(self.of):
            curvature[:-1] += np.bincount(self.of, W[self.n_rows :] * self.reach**2, len(curvature) - 1)
        curvature[self.fixed] = _STIFF * max(self.total, 1.0)
        self.equations.factor(rows, curvature, self.norms.blocks(at.size, at.s, curvature))
        newton = _Newton(self, at, above, below, D, norms)
        move = newton.toward(0.0, 0.0, (np.zeros(self.norms.n), 0.0))
        t = min(1.0, newton.length(move))
        first, second = newton.products(move, t)
        left = float(self.weight @ (first + second))
        left += float(self.norms.strength @ norms.products(move[-2], move[-1], t))
        goal = (left / now) ** 3 * now / self.sum_of_goals if now > 0 else 0.0
        move, t = self._corrected(newton, move, goal)
        t = min(1.0, _NEARLY * t)
        sound = np.isfinite(t) and all(np.isfinite(part).all() for part in move)
        if not sound or t < _SHORTEST:
            self.stuck = True
            return
        for part, change in zip((at.v, at.z, at.u, at.p, at.q, at.size, at.s), move, strict=True):
            part += t * change
        np.maximum(at.size, self.norms.lengths(at.v), out=at.size)

    def _corrected(self, newton: _Newton, move: tuple[Array, ...], goal: float) -> tuple[tuple[Array, ...], float]:
        """The step to products `goal`, with what the first one has shown, and its length."""
        _, _, du, dp, dq, *of_norms = move
        goals = goal * self.goals
        first: Any = goals + dp * du
        second: Any = goals - dq * du
        product, bend = newton.norms.beyond(*of_norms)
        norms = goal * self.norm_goals + product, bend
        move, targets = newton.toward(first, second, norms), (first, second)
        t = newton.length(move)
        for _ in range(_CORRECTIONS):
            if t > 0.95:
                break
            products = newton.products(move, min(1.0, 1.5 * t + 0.3))
            first, second = (
                target + np.maximum(np.clip(product, 0.1 * goals, 10 * goals) - product, -10 * goals)
                for target, product in zip(targets, products, strict=True)
            )
            other = newton.toward(first, second, norms)
            longer = newton.length(other)
            if not min(longer, 1.0) >= min(t, 1.0) + 0.01:
                break
            move, t, targets = other, longer, (first, second)
        return move, t


class _Newton:
    """Newton steps from one point, which share a factor."""

    def __init__(self, path: CentralPath, at: PathState, above: Array, below: Array, D: Array, norms: Steps) -> None:
        self.path, self.at, self.above, self.below, self.D, self.norms = path, at, above, below, D, norms
        self.r = at.z - path.position - path.width * at.u
        self.constant = path.linear + path.curvature * at.v

    def toward(self, first: Any, second: Any, norms: tuple[Array, Any]) -> tuple[Array, ...]:
        """The step to products `first` and `second` of distances and room of slopes, and to those of `norms`."""
        path, at = self.path, self.at
        e = self.r - first / self.above + second / self.below
        g = path.sums(path.weight * (at.u + self.D * e)) + self.constant
        rest = self.norms.rest(*norms)
        path.norms.gradient(at.s + rest, g)
        dv = -path.equations.solve(g)
        dz = path.ramps_of(dv)
        du = self.D * (dz + e)
        dp = (first + at.p * du) / self.above - at.p
        dq = (second - at.q * du) / self.below - at.q
        if not path.ends:
            dp[path.open[0]] = dq[path.open[1]] = 0.0
        return dv, dz, du, dp, dq, *self.norms.toward(dv, rest, norms[0])

    def length(self, move: tuple[Array, ...]) -> float:
        """The length that reaches the boundary."""
        _, _, du, dp, dq, *of_norms = move
        at = self.at
        most = max((-dp / at.p).max(), (-dq / at.q).max(), (du / self.above).max(), (-du / self.below).max())
        return 1.0 / max(float(most), self.norms.most(*of_norms), 1e-12)

    def products(self, move: tuple[Array, ...], t: float) -> tuple[Array, Array]:
        """Products of distances and room of slopes after a step of length `t`."""
        _, _, du, dp, dq, _, _ = move
        at = self.at
        return self.path.products(at.p + t * dp, self.above - t * du, at.q + t * dq, self.below + t * du)


__all__ = ["CentralPath", "PathState", "Ramps", "ramp_slopes", "ramp_values"]

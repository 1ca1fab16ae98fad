r"""Dual ascent for wide sparse rows: gradient projection finds slopes at an end, conjugate gradients the others.

With squares of all weights the optimum has :math:`w = -\sum_i \omega_i s_i x_i / \lambda`, and the slopes :math:`s`
minimise

.. math:: \frac1{2 \lambda} \Bigl\| \sum_i \omega_i s_i x_i \Bigr\|^2 + \sum_i \omega_i \ell_i^*(s_i)
          \quad\text{where}\quad \sum_i \omega_i s_i = 0

if there is an intercept. The conjugates :math:`\ell_i^*` are piecewise linear and end somewhere: with one ramp a row
this is a quadratic between bounds, over a plane. A projected gradient moves many slopes to an end, or off it, at once;
conjugate gradients then minimise over slopes between two kinks of their conjugate, and what leaves that range is
projected back [1]_. Where sums have to stay nil, the projection is a search for one number [2]_. All of it is products
with sparse matrices. Slopes whose gradient alone would lead them beyond their end are left to the projected gradient,
as a direction that is cut off need not lead down [3]_. The best intercept of given weights is a weighted quantile, so
every iteration ends with primal and dual values that bound the optimum from both sides.

References
----------
.. [1] Moré and Toraldo (1991), "On the solution of large quadratic programming problems with bound constraints",
   doi:10.1137/0801008.
.. [2] Dai and Fletcher (2006), "New algorithms for singly linearly constrained quadratic programs subject to lower and
   upper bounds", doi:10.1007/s10107-005-0595-2.
.. [3] Bertsekas (1982), "Projected Newton methods for optimization problems with simple constraints",
   doi:10.1137/0320018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._interior_point.path import Ramps

Array = np.ndarray
# of the mean square of rows, the least that a row is given
_LEAST = 1e-3
# projected gradients and searches by conjugate gradients of an iteration: with one search, messages and categories take
# three times the iterations and up to 2.6 times the time
_PROJECTIONS, _SEARCHES = 2, 3
# share of the largest gain of a conjugate gradient below which these end, and their most
_GAIN, _CONJUGATE = 0.1, 50
# share of slopes past their ends that says that a direction is too long for them: 0.02 to 0.25 are alike, and without
# a limit hardly a direction is of use where regularisation is weak (15,000 rows of newsgroups, alpha=1e-5)
_PAST = 0.1
# lengths of a direction that are tried, each a share of the one before; then the first slope to meet its end says
_TRIED, _SHORTER = 4, 0.3
# least share of the gain that a gradient promises
_DECREASE = 0.1
# share of a range within which a slope is at its end
_END = 1e-12
# rounds of the search for the number that balances slopes, and what is balanced, of their largest sum
_ROUNDS, _BALANCED = 60, 1e-13


@dataclass(eq=False, repr=False)
class AscentState:
    """Where a column stands; its arrays are replaced, never changed.

    Attributes
    ----------
    p : ndarray of shape (n_rows,)
        Slopes of the rows, in units in which each alone has a curvature of one.
    combined, forces : ndarray of shape (n_features,), (n_rows,)
        What they add up to over the features, and its products with the rows.
    b : float
        Multiplier of the sum of slopes.
    length : float
        Of the last projected gradient.
    best : ndarray of shape (n_features + 1,)
        The best weights so far, and their intercept.
    value, dual : float
        Their objective, and the highest bound, where weights of rows add up to one.
    gap : float
        Between both.
    goal : float
        Below it a gap is worth a look at all rows.
    """

    p: Array
    combined: Array
    forces: Array
    b: float
    best: Array
    length: float = 1.0
    epoch: int = 0
    value: float = np.inf
    dual: float = -np.inf
    gap: float = np.inf
    goal: float = np.inf

    def copy(self) -> AscentState:
        """The same, to change."""
        return replace(self)


@dataclass(eq=False, repr=False)
class Ridge:
    """What columns must have in common to climb together, and what they may differ in.

    Attributes
    ----------
    rows : ndarray of int or slice
        Which rows of the table.
    stretch, scale : ndarray of shape (n_features,)
        By what features, and then weights, are multiplied so that the penalty is that of squares of weights.
    share : ndarray of shape (n_rows,)
        Weights of the rows; their sum is one.
    strength : float
        Of the squares, where the weights of rows add up to one.
    ramps : Ramps
        Of these rows, those of a row by position.
    kinks : ndarray of int
        Which they are in the order of the loss.
    intercept : bool
        Whether there is one.
    """

    rows: Any
    stretch: Array
    scale: Array
    share: Array
    strength: float
    ramps: Ramps
    kinks: Array
    intercept: bool

    def joins(self, other: Ridge) -> bool:
        """Whether both can climb together: on one matrix."""
        return (
            self.intercept == other.intercept
            and np.array_equal(self.rows, other.rows)
            and np.array_equal(self.share, other.share)
            and np.allclose(self.stretch, other.stretch, rtol=1e-12, atol=0)
        )


@dataclass(eq=False, repr=False)
class Conjugates:
    """Conjugates of the losses of a column, in the units of :class:`AscentState`: all ``(n_kinks, n_rows)``.

    Attributes
    ----------
    position, low, high : ndarray
        Of the ramps, in units of predictions and slopes; those of a row by position.
    share : ndarray of shape (n_rows,)
        Weights of rows.
    unit : ndarray of shape (n_rows,)
        By what slopes are multiplied.
    balance : ndarray of shape (n_rows,)
        What a slope adds to the sum of all.
    cost : ndarray
        Slope of the conjugate on each of its segments, whose `start` and `end` are where they are.
    """

    position: Array
    low: Array
    high: Array
    share: Array
    unit: Array
    balance: Array

    def __post_init__(self) -> None:
        # of ramps in their order, those before the one that a prediction is on are at their high end
        before = np.cumsum(self.high, axis=0) - self.high
        offset = before + self.low.sum(axis=0) - np.cumsum(self.low, axis=0)
        self.offset = offset * self.unit
        self.start, self.end = (offset + self.low) * self.unit, (offset + self.high) * self.unit
        self.ends = self.low * self.unit, self.high * self.unit
        self.cost = self.position * self.balance

    def slopes(self, p: Array) -> Array:
        """Of each ramp."""
        return np.clip((p - self.offset) / self.unit, self.low, self.high)

    def value(self, p: Array) -> float:
        """Sum of the conjugates."""
        return float((self.cost * np.clip(p - self.offset, *self.ends)).sum())

    def loss(self, z: Array) -> float:
        """Weighted sum at predictions."""
        r = z - self.position
        return float(self.share @ np.maximum(self.low * r, self.high * r).sum(axis=0))

    def projected(self, p: Array, length: float, b: float, balanced: bool) -> Array:
        """Nearest to `p` where slopes add up to nil, while their conjugates cost what they do on this length."""
        places = p - length * self.cost - self.offset
        balance = self.balance if balanced else np.zeros(len(p))
        u = balanced_slopes(places, self.ends, balance, 0.0, -length * b)
        return u.sum(axis=0)

    def best_intercept(self, z: Array) -> float:
        """Of predictions without one: a quantile of the kinks."""
        kinks = (self.position - z).ravel()
        order = np.argsort(kinks)
        steps = np.cumsum((self.share * (self.high - self.low)).ravel()[order])
        first = int(np.searchsorted(steps, -float(self.share @ self.low.sum(axis=0))))
        return float(kinks[order[min(first, len(order) - 1)]])


def balanced_slopes(x: Array, ends: tuple[Array, Array], balance: Array, goal: float, at: float = 0.0) -> Array:
    r"""What `x`, ``(n_kinks, n_rows)``, less a multiple of `balance` is between its ends, so that sums meet the goal.

    The multiple is found by Newton's method, its steps kept between what is too little and too much; `at` is a guess.
    """
    low, high = ends
    if not balance.any():
        return np.clip(x, low, high)
    below, above = -np.inf, np.inf
    enough = _BALANCED * float(np.maximum(np.abs(low), np.abs(high)).sum(axis=0) @ balance)
    reach = float(np.abs(x).max() / balance.max())
    for _ in range(_ROUNDS):
        moved = x - at * balance
        u = np.clip(moved, low, high)
        excess = float(u.sum(axis=0) @ balance) - goal
        if abs(excess) <= enough:
            break
        below, above = (at, above) if excess > 0 else (below, at)
        slope = float(((moved > low) & (moved < high)).sum(axis=0) @ (balance * balance))
        after = at + excess / slope if slope > 0 else np.nan
        if not below < after < above:
            farther = at + np.copysign(max(2 * abs(at), reach), excess)
            after = 0.5 * (below + above) if np.isfinite(below) and np.isfinite(above) else farther
        at = after
    return u


class DualAscent:
    """Dual ascent of columns that have their rows in common.

    Parameters
    ----------
    X : sparse matrix
        The table.
    ridges : sequence of Ridge
        One for each column; they join.
    """

    def __init__(self, X: Any, ridges: Sequence[Ridge]) -> None:
        first = ridges[0]
        self.ridges, self.intercept = list(ridges), first.intercept
        S = (X if len(first.rows) == X.shape[0] else X[first.rows]).tocsr()
        data = S.data * first.stretch[S.indices]
        squares = sp.csr_array((data * data, S.indices, S.indptr), shape=S.shape) @ np.ones(S.shape[1])
        self.norm = np.sqrt(np.maximum(squares, max(_LEAST * squares.mean(), 1e-300)))
        data *= np.repeat(1 / self.norm, np.diff(S.indptr))
        self.A = sp.csr_array((data, S.indices, S.indptr), shape=S.shape)
        self.conjugates = [self._conjugates(ridge) for ridge in ridges]

    def _conjugates(self, ridge: Ridge) -> Conjugates:
        ramps, share = ridge.ramps, ridge.share
        balance = np.sqrt(ridge.strength) / self.norm
        return Conjugates(ramps.position, ramps.low, ramps.high, share, share / balance, balance)

    def keep(self, columns: Sequence[int]) -> None:
        """Keep some of the columns."""
        self.ridges = [self.ridges[j] for j in columns]
        self.conjugates = [self.conjugates[j] for j in columns]

    def start(self, j: int, b: float) -> AscentState:
        """Column `j` at slopes of zero, or as near to that as they can be."""
        conjugates = self.conjugates[j]
        p = conjugates.projected(np.zeros(len(self.norm)), 0.0, 0.0, self.intercept)
        combined = self.A.T @ p
        best = np.zeros(len(combined) + 1)
        best[-1] = b if self.intercept else 0.0
        return AscentState(p, combined, self.A @ combined, best[-1], best)

    def slopes(self, j: int, state: AscentState) -> Array:
        """Slopes of the ramps of column `j`, ``(n_kinks, n_rows)``."""
        u = self.conjugates[j].slopes(state.p)
        slopes = np.empty_like(u)
        np.put_along_axis(slopes, self.ridges[j].kinks, u, axis=0)
        return slopes

    def weights(self, j: int, state: AscentState) -> Array:
        """``(w, b)``, the best so far."""
        return state.best * np.append(self.ridges[j].scale, 1.0)

    # ------------------------------------------------------------------ an iteration

    def epoch(self, states: Sequence[AscentState]) -> None:
        """An iteration of every column, in place."""
        for conjugates, state, ridge in zip(self.conjugates, states, self.ridges, strict=True):
            for _ in range(_PROJECTIONS):
                self._project(conjugates, state)
            for _ in range(_SEARCHES):
                self._conjugate_gradients(conjugates, state)
            self._measure(conjugates, state, np.sqrt(ridge.strength))
            state.epoch += 1

    def _project(self, conjugates: Conjugates, state: AscentState) -> None:
        """A projected gradient, as long as the last should have been."""
        p, length = state.p, state.length
        s = conjugates.projected(p - length * state.forces, length, state.b, self.intercept) - p
        moved = self.A.T @ s
        promised = float(state.forces @ s) + conjugates.value(p + s) - conjugates.value(p)
        curvature = float(moved @ moved)
        share = -promised / curvature if curvature > 0 else 1.0
        if share < 0.5 / (1 - _DECREASE):
            s, moved = s * max(share, 0.0), moved * max(share, 0.0)
        state.length *= float(np.clip(share, _SHORTER, 1 / _SHORTER))
        state.p, state.combined = p + s, state.combined + moved
        state.forces = state.forces + self.A @ moved
        u = state.p - conjugates.offset
        inside = (u > conjugates.ends[0]) & (u < conjugates.ends[1])
        weight = conjugates.balance * inside
        if self.intercept and inside.any():
            state.b = float((weight * (state.forces + conjugates.cost)).sum() / (weight * conjugates.balance).sum())

    def _conjugate_gradients(self, conjugates: Conjugates, state: AscentState) -> None:
        """Minimise over slopes that are between two kinks of their conjugate, and would be if they moved alone."""
        force = state.forces + conjugates.cost - state.b * conjugates.balance
        start, end, p = conjugates.start, conjugates.end, state.p
        free = (p > start) & (p < end) & (p - force > start) & (p - force < end)
        kink, rows = np.nonzero(free)
        if not rows.size:
            return
        A, balance = self.A[rows], conjugates.balance[rows] * self.intercept
        force = (state.forces + conjugates.cost)[kink, rows]
        ends = start[kink, rows] - p[rows], end[kink, rows] - p[rows]
        step = _minimised(A, force, balance, ends)
        s, moved = _searched(A, p[rows], step, force, balance, (start[kink, rows], end[kink, rows]))
        state.p = p.copy()
        state.p[rows] += s
        state.combined = state.combined + moved
        state.forces = state.forces + self.A @ moved

    def _measure(self, conjugates: Conjugates, state: AscentState, root: float) -> None:
        """Primal and dual values, and the best weights."""
        z = -state.forces / conjugates.balance
        b = conjugates.best_intercept(z) if self.intercept else 0.0
        square = 0.5 * float(state.combined @ state.combined)
        value, dual = conjugates.loss(z + b) + square, -square - conjugates.value(state.p)
        if value < state.value:
            state.value, state.best = value, np.append(-state.combined / root, b)
        state.dual = max(state.dual, dual)
        state.gap = state.value - state.dual


def _minimised(A: Any, force: Array, balance: Array, ends: tuple[Array, Array]) -> Array:
    """Conjugate gradients on rows `A`: to where forces end, while the sum stays, or until many are past an end."""
    size = float(balance @ balance)
    unit, (low, high) = balance / np.sqrt(size) if size else balance, ends
    x, residual = np.zeros(len(force)), (unit @ force) * unit - force
    direction, square, largest, AT = residual, float(residual @ residual), 0.0, A.T
    for _ in range(_CONJUGATE):
        curved = A @ (AT @ direction)
        curved -= (unit @ curved) * unit
        curvature = float(direction @ curved)
        if not curvature > 0:
            break
        length = square / curvature
        x += length * direction
        residual = residual - length * curved
        gain, before = length * square, square
        largest, square = max(largest, gain), float(residual @ residual)
        if gain < _GAIN * largest or np.mean((x < low) | (x > high)) > _PAST:
            break
        direction = residual + (square / before) * direction
    return x


def _searched(
    A: Any, p: Array, step: Array, force: Array, balance: Array, ends: tuple[Array, Array]
) -> tuple[Array, Array]:  # fmt: skip
    """How far along the step, projected back, and what that adds up to over the features; nowhere if it leads up."""
    low, high = ends
    near, total, length = _END * (high - low), float(balance @ p), 1.0
    for tried in range(_TRIED + 1):
        if tried == _TRIED:
            room = np.where(step > 0, high - p, p - low)
            length = min(length, float((room[step != 0] / np.abs(step[step != 0])).min(initial=1.0)))
        q = balanced_slopes((p + length * step)[None], (low[None], high[None]), balance, total)[0]
        q = np.where(q - low < near, low, np.where(high - q < near, high, q))
        s = q - p
        moved = A.T @ s
        promised = float(force @ s)
        if promised + 0.5 * float(moved @ moved) <= _DECREASE * promised:
            return s, moved
        length *= _SHORTER
    return np.zeros_like(s), np.zeros_like(moved)


__all__ = ["AscentState", "DualAscent", "Ridge"]

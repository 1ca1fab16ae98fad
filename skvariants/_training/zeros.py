r"""Zeros of a penalty that has them: steps on batches leave a weight near zero that would be zero at the optimum.

Each batch pushes it off again, by more than the penalty takes back. So a model whose steps make no progress any more is
ended by proximal steps of the gradient of all rows,

.. math:: \theta \leftarrow \operatorname{prox}_{t R}\left(\theta - t \nabla f(\theta)\right),

accelerated, and from the start again where the objective would rise, which it never does [1]_ [2]_.

References
----------
.. [1] Beck and Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
   doi:10.1137/080716542.
.. [2] O'Donoghue and Candes (2015), "Adaptive restart for accelerated gradient schemes",
   doi:10.1007/s10208-013-9150-3.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from skvariants._training.certificate import Predicted
from skvariants._training.problem import Problem

Array = np.ndarray
# steps without another zero after which gains count; by what a step grows, and halvings that find its length
_QUIET, _GROWTH, _HALVINGS = 5, 1.25, 60
# units in the last place of the objective that are rounding
_ROUNDING = 16


class _Point:
    """A model with its predictions, and the sums of losses and penalty over its columns in the units worked in."""

    def __init__(self, at: Predicted, theta: Array, Z: Array) -> None:
        self.theta, self.Z = theta, Z
        self.loss = float((at.losses(Z) * at.scale).sum())
        self.at = at

    @property
    def penalty(self) -> float:
        return float(np.sum(self.at.problem.penalty.value(self.theta[:-1])))

    def gradient(self) -> Array:
        """Of the loss."""
        at, u = self.at, self.at.slopes(self.Z)
        return at.problem.gradient(at.problem.rows.X, u if at.s is None else u * at.s, np.empty_like(self.theta), at.n)


def settled(problem: Problem, theta: Array, most: int, gain: float, deadline: float = math.inf) -> Array:
    """A model after proximal steps, until zeros stay and a step gains no more than that; its objective is no greater.

    Parameters
    ----------
    problem : Problem
        What is minimised: a smooth loss, and a penalty with a prox.
    theta : ndarray of shape (n_features + 1, n_columns)
        The columns of one model; not changed.
    most : int
        Steps at most.
    gain : float
        Of the objective, in the units worked in.
    deadline : float, optional
        When no further step begins, as ``time.perf_counter`` tells it.
    """
    theta = np.ascontiguousarray(theta)
    at = Predicted(problem, theta)
    before = now = _Point(at, theta, at.Z)
    objective = now.loss + now.penalty
    length = 1.0 / (problem.loss.steepest * max(problem.mean_square_norm(), 1e-300))
    momentum, quiet = 1.0, 0
    for _ in range(most):
        if time.perf_counter() >= deadline:
            break
        after = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
        ahead = now
        if momentum > 1.0:
            share = np.asarray((momentum - 1.0) / after, theta.dtype)
            theta_ahead = now.theta + share * (now.theta - before.theta)
            ahead = _Point(at, theta_ahead, now.Z + share * (now.Z - before.Z))
        found, length = _step(ahead, length)
        value = math.inf if found is None else found.loss + found.penalty
        if found is None or not value <= objective:
            if ahead is now:
                break
            momentum = 1.0
            continue
        quiet = quiet + 1 if np.array_equal(found.theta == 0, now.theta == 0) else 0
        gained, objective = objective - value, value
        before, now, momentum = now, found, after
        if quiet >= _QUIET and gained <= gain:
            break
    return now.theta


def _step(start: _Point, length: float) -> tuple[_Point | None, float]:
    """A proximal step that a parabola above the loss covers, and the length to try next; None where none was found."""
    at, slope = start.at, start.gradient()
    largest = float(np.finfo(slope.dtype).max) ** 0.25
    if not np.abs(slope).max() < largest or not np.abs(start.theta).max() < largest:
        return None, length  # squares overflow
    length = min(length, largest)  # where no row has a number, any is short enough
    rounding = _ROUNDING * np.finfo(slope.dtype).eps * abs(start.loss)
    for _ in range(_HALVINGS):
        theta = start.theta - np.asarray(length, slope.dtype) * slope
        at.problem.penalty.prox(theta[:-1], np.asarray(length, slope.dtype), smooth=True)
        moved = theta - start.theta
        found = _Point(at, theta, at.problem.predict(at.problem.rows.X, theta))
        parabola = float((slope * moved).sum(dtype=np.float64)) + float((moved * moved).sum()) / (2.0 * length)
        if found.loss <= start.loss + parabola + rounding:
            return found, length * _GROWTH
        length *= 0.5
    return None, length


def can_settle(problem: Any) -> bool:
    """Whether there are zeros to be found, and a gradient that leads to them."""
    penalty = problem.penalty
    return penalty.has_prox and penalty.modelled and problem.loss.smooth and not problem.rows.on_disk


__all__ = ["can_settle", "settled"]

r"""Rows that are far from all others, of which the rows of a sample tell that they hold a column.

The Hessian of all rows has most of its curvature in such a column from them, however little they have left to say
(:mod:`skvariants._quasi_newton.leverage`). A sample knows how far its columns reach, and what a step in these would
gain by its own curvature: where that is more than all rows promise, one pass over the rows within reach gives Newton's
step of these, and another says whether it gains on all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._blocks.quadratic import gradient_of, metric_of, minimum
from skvariants._blocks.sums import Question, Sums
from skvariants._data.scaling import Coordinates, Moments
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Plan, sampled_hessian
from skvariants._quasi_newton.leverage import FEW, Limits, some_of

Array = np.ndarray


class Ordinary:
    """Some rows of a sample that are within reach of each other.

    Parameters
    ----------
    problem : Problem
        What is minimised, on the sample.
    width : int
        Columns of a model.
    """

    def __init__(self, problem: Any, width: int) -> None:
        rows = problem.rows
        self.problem, self.width, self.limits = problem, width, Limits.of(rows.X)
        index = some_of(np.arange(problem.n), problem.d)
        self.index = index[~self.limits.exceeded(rows.X[index])]
        moments = Moments()
        weight = None if rows.weight is None else rows.weight[self.index]
        moments.update(rows.X[self.index].astype(np.float64), weight)
        old, own = (
            problem.coordinates,
            moments.coordinates(problem.fit_intercept, problem.coordinates.target, np.float64),
        )
        known = own.inverse_scale > 0
        mean, scale = (0.0, 1.0) if old.identity else (old.mean, old.inverse_scale)
        #: of columns whose reach is known, these
        self.told = np.zeros((problem.d, 1), bool)
        self.told[self.limits.columns] = True
        self.told &= known
        #: in which no column is all but constant beside the distance of rows apart
        self.coordinates = Coordinates(
            np.where(known, own.mean, mean), np.where(known, own.inverse_scale, scale), old.target
        )  # fmt: skip

    def _in(self, coordinates: Coordinates) -> tuple[Any, Array]:
        """The problem in other coordinates, and what their weights are in its own."""
        p = self.problem
        own = np.ones((p.d, 1)) if p.coordinates.identity else p.coordinates.inverse_scale
        units = np.divide(coordinates.inverse_scale, own, where=own > 0, out=np.zeros((p.d, 1)))
        return replace(p, coordinates=coordinates, penalty=p.penalty.rescaled(units, 1.0)), units

    def promise(self, theta: Array, g: Array) -> float:
        """What a step in the columns whose reach is known gains by the curvature of these rows.

        Parameters
        ----------
        theta, g : ndarray of shape (n_features + 1, n_columns)
            Point and gradient of the smooth part, by all rows.
        """
        if not self.told.any():
            return 0.0
        p, own = self.problem, self.coordinates
        c = Coordinates(own.mean, np.where(self.told, own.inverse_scale, 0.0), own.target)
        problem, units = self._in(c)
        mean = 0.0 if p.coordinates.identity else p.coordinates.mean
        # the means of other coordinates go into the intercept
        there = np.array(g)
        there[:-1] = g[:-1] * units + g[-1] * (mean - c.mean) * c.inverse_scale
        part = StageBatch(problem, self.width, self.index)
        Z = StageBatch(p, self.width, self.index).predict(np.ascontiguousarray(theta, dtype=p.rows.dtype))
        plan = Plan(part.n, p.loss.columns_per_model)
        metric = sampled_hessian(part, Z, plan, np.zeros(Z.shape[1]), not p.penalty.has_prox)
        _, slope = minimum(problem, metric, there, c.standardised(p.coordinates.original(theta)))
        return float(-0.5 * slope[:: p.loss.columns_per_model].sum())

    def question(self, reading: Any, theta: Array) -> Question:
        """What is asked of all rows that are within reach."""
        p = self.problem
        original = p.coordinates.original(theta)
        return Question(reading, p.loss, self.coordinates, original, hessian=True, limits=self.limits)

    def step(self, theta: Array, sums: Sums, weight: float) -> Array | None:
        """Newton's step by these rows; None if there are no others, or many.

        Parameters
        ----------
        theta : ndarray of shape (n_features + 1, n_columns)
            The point.
        sums : Sums
            The answer.
        weight : float
            Of all rows.
        """
        if not (1 - FEW) * weight <= sums.weight < weight:
            return None
        (problem, _), old = self._in(self.coordinates), self.problem.coordinates
        at = self.coordinates.standardised(old.original(theta))
        metric = metric_of(problem, sums, self.width)
        P, _ = minimum(problem, metric, gradient_of(problem, at, sums), at)
        P = old.standardised(self.coordinates.original(P))
        return P if np.isfinite(P).all() else None


__all__ = ["Ordinary"]

"""The quadratic model of an objective at a point, made of sums over rows: gradient, Hessian, and its minimum."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._blocks.sums import Sums
from skvariants._quasi_newton.hessian import Blocks, finished, l2_strengths
from skvariants._quasi_newton.lasso import lasso

Array = np.ndarray


def gradient_of(problem: Any, theta: Array, sums: Sums) -> Array:
    """Gradient of the smooth part, in the coordinates worked in.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    theta : ndarray of shape (n_features + 1, n_columns)
        The point.
    sums : Sums
        Of the rows, there.
    """
    c, G = problem.coordinates, sums.gradient / sums.weight
    g = np.empty_like(theta)
    if c.identity:
        g[:] = G
    else:
        g[:-1] = (G[:-1] - c.mean * G[-1]) * c.gradient_units
        g[-1] = G[-1] * c.target * c.objective_scale
    if not problem.fit_intercept:
        g[-1] = 0.0
    if not problem.penalty.has_prox or problem.penalty.elastic:
        problem.penalty.add_gradient(theta[:-1], g[:-1])
    return g


def metric_of(problem: Any, sums: Sums, width: int) -> Blocks:
    """Hessians of the smooth part, factored where the penalty is smooth."""
    unit, (d, k) = problem.loss.columns_per_model, (problem.d, sums.gradient.shape[1])
    l2, matrices, dtype = l2_strengths(problem.penalty, d, k), [], problem.rows.dtype
    for j, H in enumerate(sums.hessian):
        extra = np.zeros((d + 1, unit))
        extra[:-1] = l2[:, j * unit : (j + 1) * unit]
        factored = not problem.penalty.has_prox
        matrices.append(finished(H / sums.weight, extra, problem.fit_intercept, dtype, factored))
    return Blocks(width=width, matrices=matrices, unit=unit, exact=True, n_columns=k)


def minimum(problem: Any, metric: Any, g: Array, theta: Array) -> tuple[Array, Array]:
    """The step to the minimum of the model, and its slope for each unit, with the L1 part; for each of its columns.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    metric : Blocks or Diagonal
        Of the smooth part; factors where the penalty is smooth.
    g, theta : ndarray of shape (n_features + 1, n_columns)
        Gradient and point.
    """
    penalty, unit = problem.penalty, problem.loss.columns_per_model
    if not penalty.has_prox:
        P, change = -np.ascontiguousarray(metric.solve(g)), np.zeros(g.shape[1])
    else:
        strength = np.zeros(theta.shape)
        strength[:-1] = penalty.l1_strength
        new, get = np.array(theta), metric.get
        for j, Q in enumerate(metric.matrices):
            v = get(theta, j)
            metric.put(new, j, lasso(Q, get(g, j) - Q @ v, get(strength, j), v))
        P = new - theta
        change = (strength * (np.abs(new) - np.abs(theta))).sum(axis=0)
    if not problem.fit_intercept:
        P[-1] = 0.0
    return P, np.repeat(by_unit((g * P).sum(axis=0) + change, unit), unit)


def by_unit(columns: Array, unit: int) -> Array:
    """Sums of the columns that a loss couples."""
    return columns if unit == 1 else columns.reshape(-1, unit).sum(axis=1)


__all__ = ["by_unit", "gradient_of", "metric_of", "minimum"]

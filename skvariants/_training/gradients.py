"""Gradients of a batch: what a solver is given. The plain one now; variance-reduced ones go beside it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from skvariants._training.problem import Problem

Array = np.ndarray
# scikit-learn's guard for single samples
_STEEPEST = 1e12


def steepest(target: Any) -> Any:
    """The greatest derivative of a single sample that is followed, where targets are in units of `target`."""
    return _STEEPEST * (np.maximum(1.0, target) if isinstance(target, np.ndarray) else max(1.0, target))


class BatchGradient:
    """Gradient of the mean loss over the rows of one batch.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    batch_size : int
        Rows of a batch, at most.
    theta : ndarray of shape (n_features + 1, n_columns)
        Where gradients are taken; the same array for as long as this object lives.
    """

    def __init__(self, problem: Problem, batch_size: int, theta: Array) -> None:
        self.problem, self.theta = problem, theta
        self.scaled = np.empty((batch_size, theta.shape[1]), theta.dtype)
        self.clip = batch_size == 1

    @cached_property
    def g(self) -> Array:
        """Where the gradient is written."""
        return np.empty_like(self.theta)

    def __call__(self, X: Any, y: Array, s: Array | None, z: Array, r: Array) -> Array:
        """The gradient; predictions and derivatives in them, from before the step, are left in `z` and `r`."""
        p = self.problem
        p.predict(X, self.theta, z)
        p.loss.gradient(y, z, r)
        if self.clip:
            bound = steepest(p.coordinates.target)
            r = np.clip(r, -bound, bound, out=self.scaled)
        if s is not None:
            r = np.multiply(r, s, out=self.scaled[: len(y)])
        return p.gradient(X, r, self.g, len(y))


class Batch:
    """The rows of one step, for solvers that need them.

    Parameters
    ----------
    gradient : BatchGradient
        Whose problem and scratch are used.
    X : {ndarray, Frames} of shape (n_rows, n_features)
        Features.
    y : ndarray of shape (n_rows, n_columns or 1)
        Targets.
    weight : ndarray of shape (n_rows, 1) or None
        Weights.
    z, r : ndarray of shape (n_rows, n_columns)
        Receive predictions and derivatives in them.
    """

    def __init__(self, gradient: BatchGradient, X: Any, y: Array, weight: Array | None, z: Array, r: Array) -> None:
        self._gradient, self.X, self.y, self.weight, self.z, self.r = gradient, X, y, weight, z, r
        problem = gradient.problem
        problem.predict(X, gradient.theta, z)
        problem.loss.gradient(y, z, r)

    def value(self) -> Array:
        """Loss of each prediction."""
        return self._gradient.problem.loss.value(self.y, self.z)

    def square_norms(self) -> Array:
        """Squared norm of each row in the coordinates worked in, shape ``(n_rows, 1)``."""
        return self._gradient.problem.square_norms(self.X)

    def gradient(self, r: Array) -> Array:
        """Gradient in the parameters from derivatives in the predictions, weighted, divided by the number of rows."""
        r = r if self.weight is None else r * self.weight
        return self._gradient.problem.gradient(self.X, r, self._gradient.g, len(r))


__all__ = ["Batch", "BatchGradient", "steepest"]

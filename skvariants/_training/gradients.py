"""Gradients of a batch: what a solver is given, and the rows themselves for those that form their own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from skvariants._training.problem import Problem

Array = np.ndarray
# scikit-learn's guard for single samples
_STEEPEST = 1e12
# units in the last place of a sum and of its terms
_ROUNDING = 8
# sparse rows, and numbers of theirs where zeros are among them, that are dense at a time
_TOGETHER, _DENSE = 32, 1 << 20


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
        g = p.gradient(X, self.derivatives(y, s, z, r), self.g, len(y))
        if len(y) == p.n:
            self._settle(y, z, r)
        return g

    def derivatives(self, y: Array, s: Array | None, z: Array, r: Array) -> Array:
        """Derivatives in predictions `z`, which are left in `r`; what is returned is weighted, and of scratch."""
        self.problem.loss.gradient(y, z, r)
        if self.clip:
            bound = steepest(self.problem.coordinates.target)
            r = np.clip(r, -bound, bound, out=self.scaled)
        if s is not None:
            r = np.multiply(r, s, out=self.scaled[: len(y)])
        return r

    def _settle(self, y: Array, z: Array, r: Array) -> None:
        """Let the intercept's slope over all rows be zero where it is a rounding of its own sum.

        On centred columns the intercept is at its optimum or near; a solver that divides slopes by their size would
        take the rounding for one.
        """
        c, size = self.problem.coordinates, (np.abs(y).sum(axis=0) + np.abs(z).sum(axis=0) + np.abs(r).sum(axis=0))
        unit = 1.0 / len(y)
        if not c.identity:
            size = size + len(y) * np.dot(np.abs(c.mean_row), np.abs(c.units * self.theta[:-1]))
            unit = unit * c.target * c.objective_scale
        last = self.g[-1]
        last[np.abs(last) <= _ROUNDING * np.finfo(last.dtype).eps * unit * size] = 0


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
    table : ndarray of shape (n_samples, n_columns), optional
        What is remembered of all rows.
    numbers : slice or ndarray, optional
        Which of them these are.
    """

    def __init__(
        self, gradient: BatchGradient, X: Any, y: Array, weight: Array | None, z: Array, r: Array,
        table: Array | None = None, numbers: Any = None,
    ) -> None:  # fmt: skip
        self._gradient, self.X, self.y, self.weight, self.z, self.r = gradient, X, y, weight, z, r
        self.table, self._numbers = table, numbers
        problem = gradient.problem
        problem.predict(X, gradient.theta, z)
        problem.loss.gradient(y, z, r)

    @property
    def loss(self) -> Any:
        """What the predictions are compared by."""
        return self._gradient.problem.loss

    @property
    def intercept(self) -> float:
        """What the intercept adds to the squared norm of a row: one, or zero where there is none."""
        return float(self._gradient.problem.fit_intercept)

    @property
    def unit(self) -> Any:
        """Unit of the predictions: they are so many times the products of features and parameters."""
        return self._gradient.problem.coordinates.target

    def features(self) -> Iterator[tuple[slice, Any, Array]]:
        """Blocks of rows: which, what parameters take part, and by which numbers, the intercept's one as last."""
        problem, X = self._gradient.problem, self.X
        c, last = problem.coordinates, self.intercept
        if isinstance(X, np.ndarray):
            C = c.rows(X, self.z.dtype)
            C[:, -1] = last
            yield slice(0, len(C)), slice(None), C
            return
        most = max(1, min(_TOGETHER, _DENSE // (problem.d + 1)))
        for start in range(0, len(self.z), most):
            part = slice(start, min(start + most, len(self.z)))
            pointers = X.indptr[part.start : part.stop + 1]
            stored = slice(pointers[0], pointers[-1])
            at, columns = X.indices[stored], X.indices[stored]
            if c.identity:
                at, columns = np.unique(at, return_inverse=True)
            C = np.zeros((part.stop - part.start, len(at) if c.identity else problem.d), X.data.dtype)
            C[np.repeat(np.arange(len(C)), np.diff(pointers)), columns] = X.data[stored]
            if c.identity:
                C = np.column_stack([C, np.full(len(C), last, C.dtype)])
                yield part, np.append(at, problem.d), C
            else:
                C = c.rows(C, self.z.dtype)
                C[:, -1] = last
                yield part, slice(None), C

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

    @property
    def share(self) -> float:
        """These rows as a share of all."""
        return len(self.z) / self._gradient.problem.n

    def recall(self) -> Array | None:
        """What was remembered of these rows, zero at first, shape ``(n_rows, n_columns)``; None where nothing is."""
        return None if self.table is None else self.table[self._numbers]

    def remember(self, r: Array) -> None:
        """Remember these numbers until the rows come again."""
        if self.table is not None:
            self.table[self._numbers] = r


class Whole:
    """All rows, for solvers that look at them before an epoch.

    Parameters
    ----------
    gradient : BatchGradient
        Whose problem this is.
    table : ndarray of shape (n_samples, n_columns)
        What is remembered of each row.
    """

    def __init__(self, gradient: BatchGradient, table: Array) -> None:
        self._problem, self._batch_size, self.table = gradient.problem, len(gradient.scaled), table

    def _chunks(self) -> Any:
        problem, start = self._problem, 0
        for X, y, weight in problem.rows.chunks(self._batch_size, columns=self.table.shape[1]):
            part = slice(start, start + X.shape[0])
            start = part.stop
            yield X, *problem.labels(y, weight), self.table[part]

    def look(self, theta: Array) -> None:
        """Write the slopes of all rows at `theta` into the table."""
        for X, y, _, slopes in self._chunks():
            self._problem.loss.gradient(y, self._problem.predict(X, theta), slopes)

    def gradient(self) -> Array:
        """Gradient of the mean over all rows, weighted, for the slopes in the table."""
        total = np.zeros((self._problem.d + 1, self.table.shape[1]), self.table.dtype)
        part = np.empty_like(total)
        for X, _, weight, slopes in self._chunks():
            r = slopes if weight is None else slopes * weight
            total += self._problem.gradient(X, r, part, self._problem.n)
        return total


__all__ = ["Batch", "BatchGradient", "Whole", "steepest"]

"""The rows of a stage: objective, gradient and curvature of all columns from predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._data.rows import ArrayRows
from skvariants._data.sparse import Halves
from skvariants._training.problem import Problem, by_model

Array = np.ndarray
# predictions at a time: what fits the cache
_BLOCK = 1 << 16
# numbers of targets that are kept expanded, of rows that are kept standardised
_CACHED, _FEW = 1 << 26, 1 << 20
# numbers of a sparse matrix that is made dense
_DENSE = 1 << 27
# columns from which, and share of stored values up to which, sparse products are faster
_MANY, _HOLLOW = 4, 0.2


class StageBatch:
    """Some rows of a problem, all columns.

    Parameters
    ----------
    problem : Problem
        What is minimised over all rows.
    width : int
        Columns of a model.
    index : ndarray of int, optional
        Which rows; all of them if None.
    order : callable, optional
        Returns a random order of the rows, where their own may mean something.
    """

    def __init__(
        self, problem: Problem, width: int, index: Array | None = None, order: Callable[[], Array] | None = None
    ) -> None:
        rows = problem.rows if index is None else problem.rows.take(index)
        many = problem.encoding.n_columns >= _MANY and rows.stored < _HOLLOW * rows.n * rows.d
        if rows.densify and rows.n * rows.d <= _DENSE and not (rows.sparse and many):
            rows = ArrayRows(rows.dense(), rows.y, rows.weight)
        self.width, self.order, self.whole = width, order, index is None
        self.X: Any = None
        self._set(replace(problem, rows=rows))

    def _set(self, problem: Problem) -> None:
        self.problem = problem
        self.n, self.d = problem.n, problem.d
        self.sparse = problem.rows.sparse
        if not self.sparse:
            self.X = problem.rows.X
        elif self.X is None:
            self.X = Halves(problem.rows.X)
        self.objective_scale = problem.coordinates.objective_scale
        #: whether the predictions of a class lie side by side: of few classes, rows are too short for fast loops
        self.by_column = not self.sparse and problem.loss.is_softmax and problem.encoding.n_columns == self.width
        self.labels_kept: tuple[Array, Array | None] | None = None
        self.rows_kept: Array | None = None

    def keep(self, columns: Array) -> None:
        """Keep a subset of the columns."""
        self._set(self.problem.take(columns))

    def head(self, rows: int, Z: Array) -> tuple[StageBatch, Array]:
        """Some random rows and their predictions."""
        if self.order is None:
            return self, Z
        index = np.sort(self.order()[:rows])
        return StageBatch(self.problem, self.width, index), Z[index]

    def slices(self, k: int) -> list[slice]:
        """Blocks of rows whose predictions fit the cache."""
        rows = max(256, _BLOCK // k)
        return [slice(i, min(i + rows, self.n)) for i in range(0, self.n, rows)]

    def labels(self, rows: slice, k: int) -> tuple[Array, Array | None]:
        """Targets and weights of some rows, kept from one call to the next where they fit."""
        if self.n * k > _CACHED:
            return self.problem.labels_of(rows)
        if self.labels_kept is None:
            y, s = self.problem.labels_of(slice(None))
            self.labels_kept = self.ordered(y), s
        y, s = self.labels_kept
        return y[rows], None if s is None else s[rows]

    def predict(self, theta: Array) -> Array:
        """Predictions of all rows; those of a constant model cost no product."""
        if not theta[:-1].any():
            constant = self.problem.coordinates.target * theta[-1]
            return self.ordered(np.repeat(constant.astype(theta.dtype)[None], self.n, axis=0))
        return self.problem.predict(self.X, theta, by_column=self.by_column)

    def ordered(self, Z: Array) -> Array:
        """Predictions as they are worked with, column by column or row by row."""
        return np.asfortranarray(Z) if self.by_column else np.ascontiguousarray(Z)

    def value(self, Z: Array, P: Array | None = None, t: Any = 0.0) -> Array:
        """Mean loss of each column at predictions ``Z + t P``."""
        k = Z.shape[1] if np.ndim(t) == 0 else len(t)
        total = np.zeros(k)
        for rows in self.slices(k):
            y, s = self.labels(rows, Z.shape[1])
            z = Z[rows]
            if P is not None:
                z = z + t * P[rows]
            total += self.problem.loss.total(y, z, s)
        return total * (self.objective_scale / self.n)

    def objective(self, Z: Array, theta: Array) -> Array:
        """Objective of each model, in the units worked in."""
        return by_model(self.objective_of_columns(Z, theta), self.width)

    def objective_of_columns(self, Z: Array, theta: Array) -> Array:
        """What each column adds to it."""
        return np.asarray(self.value(Z) + self.problem.penalty.value(theta[:-1]))

    def objective_of_user(self, Z: Array, theta: Array, f: Array) -> Array:
        """The same in the user's units, from `f` in the units worked in where all columns have one unit."""
        if np.ndim(self.objective_scale) == 0:
            return f / self.objective_scale
        columns = (self.value(Z) + self.problem.penalty.value(theta[:-1])) / self.objective_scale
        return by_model(columns, self.width)

    def along(self, Z: Array, P: Array, t: Array, r: Array) -> tuple[Array, Array]:
        """Mean loss of each column at ``Z + t P`` and its derivative in `t`; derivatives in predictions go to `r`.

        Parameters
        ----------
        Z, P : ndarray of shape (n_rows, n_columns)
            Predictions, and what they change by.
        t : ndarray of shape (n_columns,)
            Length of each column.
        r : ndarray of shape (n_rows, n_columns)
            Receives what :meth:`gradient` needs.
        """
        k = Z.shape[1]
        total, slope, loss = np.zeros(k), np.zeros(k), self.problem.loss
        t = t[0] if k == self.width else t  # of one model; a number is faster
        for rows in self.slices(k):
            y, s = self.labels(rows, k)
            p = P[rows]
            z = t * p
            z += Z[rows]
            loss.gradient(y, z, out=r[rows])
            total += loss.total(y, z, s, r[rows])
            if s is not None:
                r[rows] *= s
            slope += np.einsum("ij,ij->j", r[rows], p, dtype=np.float64)
        scale = self.objective_scale / self.n
        return total * scale, slope * scale

    def value_of_some(self, Z: Array, P: Array, t: Any, most: int) -> Array:
        """As :meth:`value`, of evenly spaced rows, so many predictions at most."""
        k = Z.shape[1]
        some = slice(None, None, max(1, -(-Z.size // most)))
        y, s = self.labels(some, k)
        z = Z[some] + t * P[some]
        return self.problem.loss.total(y, z, s) * (self.objective_scale / len(z))

    def gradient(self, Z: Array, theta: Array, l2: bool, r: Array | None = None) -> Array:
        """Gradient in `theta` of the loss, and of the smooth part of the penalty.

        What :meth:`along` left in `r` for these predictions spares their loss; it is overwritten.
        """
        k = Z.shape[1]
        if r is None:
            r = np.empty_like(Z)
            for rows in self.slices(k):
                y, s = self.labels(rows, k)
                self.problem.loss.gradient(y, Z[rows], out=r[rows])
                if s is not None:
                    r[rows] *= s
        r /= self.n
        g = self.problem.gradient(self.X, r, np.empty_like(theta))
        if l2:
            self.problem.penalty.add_gradient(theta[:-1], g[:-1])
        return g

    def curvatures(self, Z: Array, rows: slice) -> Array:
        """Curvatures of the loss in some rows, without their weights."""
        y, _ = self.labels(rows, Z.shape[1])
        return np.asarray(self.problem.loss.curvature(y, Z[rows]), dtype=np.float64)

    def hessian_weights(self, Z: Array, rows: slice) -> Array:
        """Weighted second derivatives of some rows, one column if all are equal."""
        D, s = self.curvatures(Z, rows), self.labels(rows, Z.shape[1])[1]
        if s is not None:
            D = D * s
        if D.shape[1] > 1 and (D == D[:, :1]).all():
            D = D[:, :1]
        return D

    def coupling(self, Z: Array, rows: slice) -> Array:
        """Probabilities of some rows: what the Hessian of a loss that couples columns is made of."""
        return np.asarray(self.problem.loss.probability(Z[rows]), dtype=np.float64)

    def weights(self, rows: slice) -> Array | None:
        """Weights of some rows as a column, or None."""
        weight = self.problem.rows.weight
        return None if weight is None else weight[rows][:, None]

    def standardised(self, rows: slice) -> Array:
        """Rows in the coordinates worked in, a column of ones as last (dense); kept where they are few."""
        if rows != slice(0, self.n) or self.n * (self.d + 1) > _FEW:
            return self._standardised(rows)
        if self.rows_kept is None:
            self.rows_kept = self._standardised(rows)
        return self.rows_kept

    def _standardised(self, rows: slice) -> Array:
        p = self.problem
        return p.coordinates.rows(p.rows.dense(rows), p.rows.dtype)


__all__ = ["StageBatch"]

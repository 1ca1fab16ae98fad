r"""Batches of one sample, column by column on Python floats: where NumPy's calls cost more than their arithmetic.

The plain rule is :meth:`Steps.take_step`. With ``w = units * V`` in standardised coordinates, and raw coordinates as
those of mean 0 and units 1, a sample moves a column by

.. math:: w \leftarrow w - \eta\, s\, \ell'(y, z)\, \frac{x - \mu}{\sigma^2}, \qquad z = (x - \mu)^\top w + b

with L2 as a shrinkage: explicit and before the step in raw coordinates, where one number kept beside the weights holds
it, and implicit and after it in others, where it differs between features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._training.gradients import steepest
from skvariants._training.problem import of_column

Array = np.ndarray
# as many columns cost less one by one, a sample at a time, than together
_FEW_COLUMNS = 8
# a shrinkage below this is multiplied out
_SHRUNKEN = 1e-9


def fits_per_sample(steps: Any) -> bool:
    """Whether solver, loss, schedule and penalty are what the loop below can do."""
    problem, first = steps.problem, np.zeros(1, int)
    loss, schedule, penalty = problem.loss, steps.schedule, problem.penalty
    return (
        (steps.solver.is_gradient or steps.solver.slope is not None)
        and steps.state.theta.shape[1] <= _FEW_COLUMNS
        and loss.columns_per_model == 1
        and loss.take(first) is loss
        and schedule.take(first) is schedule
        and penalty.elastic
        and not penalty.has_prox
        and (steps.implicit or np.ndim(penalty.l2_strength) < 2)
    )


def single_samples(steps: Any, X: Any, y: Array, s: Array | None) -> Array:
    """A step for each row of a chunk, column by column: they do not see each other; returns the sum of losses.

    Parameters
    ----------
    steps : Steps
        What is minimised and where it stands.
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        Features.
    y, s : ndarray of shape (n_rows, n_columns or 1)
        Targets, and weights or None.
    """
    state, problem = steps.state, steps.problem
    z = np.empty((len(y), state.theta.shape[1]))
    weights = None if s is None else s[:, 0].tolist()
    coordinates = problem.coordinates
    squares = [] if steps.solver.slope is None else (problem.square_norms(X) + problem.fit_intercept)[:, 0].tolist()
    rows: Any = _DenseRows(X, coordinates) if isinstance(X, np.ndarray) else None
    if rows is None:
        rows = _SparseRows(X) if coordinates.identity else _ScaledSparseRows(X, coordinates)
    for j in range(z.shape[1]):
        targets = y[:, min(j, y.shape[1] - 1)].tolist()
        _column(steps, rows, (targets, weights, squares), j, z[:, j])
    state.t += len(y)
    return problem.loss.total(y, z, s)


def _column(steps: Any, rows: Any, numbers: tuple[Any, Any, Any], j: int, z: Array) -> None:
    """The steps of column `j`; predictions go to `z`."""
    (targets, weights, squares), slope = numbers, steps.solver.slope
    p, state, schedule = steps.problem, steps.state, steps.schedule
    derivative, fit_intercept = p.loss.gradient_scalar, p.fit_intercept
    w, b = rows.begin(state.theta[:, j], j)
    l2, implicit = of_column(p.penalty.l2_strength, j), steps.implicit
    shrinks = bool(np.any(l2))
    l2 = l2 if implicit else float(l2)
    factor, t = float(state.step_factor[j]), state.t
    shrink, bound = 1.0, steepest(float(of_column(p.coordinates.target, j)))
    dot, move, decay = rows.dot, rows.move, rows.decay
    for i, target in enumerate(targets):
        z[i] = zi = shrink * dot(i, w) + b
        t += 1
        eta = float(schedule(t)) * factor
        d = derivative(target, zi)
        if not -bound <= d <= bound:
            d = min(max(d, -bound), bound)
        if slope is not None:
            length = eta * squares[i] if weights is None else eta * squares[i] * weights[i]
            d = slope(derivative, target, zi, d, length)
        if weights is not None:
            d *= weights[i]
        if shrinks and not implicit:
            shrink *= max(0.0, 1.0 - eta * l2)
            if shrink < _SHRUNKEN:
                w *= shrink
                shrink = 1.0
        if d:
            d *= eta
            move(i, w, d / shrink)
            if fit_intercept:
                b -= d
        if shrinks and implicit:
            decay(w, eta, l2)
    w *= shrink
    rows.end(state.theta[:, j], w, b, j)


class _DenseRows:
    """Rows in the coordinates worked in, and by what they move weights in raw units."""

    def __init__(self, X: Array, coordinates: Any) -> None:
        self.coordinates = coordinates
        self.centred = X if coordinates.identity else X - coordinates.mean_row
        self.moves = self.centred
        self.scratch = np.empty(X.shape[1], X.dtype)
        self.eta: Any = None

    def begin(self, theta: Array, j: int) -> tuple[Array, float]:
        c, self.eta = self.coordinates, None
        if c.identity:
            return theta[:-1].copy(), float(theta[-1])
        units = of_column(c.units, j)
        self.moves = self.centred * units * of_column(c.gradient_units, j)
        return units * theta[:-1], float(of_column(c.target, j)) * float(theta[-1])

    def dot(self, i: int, w: Array) -> float:
        return float(self.centred[i].dot(w))

    def move(self, i: int, w: Array, d: float) -> None:
        np.multiply(self.moves[i], d, out=self.scratch)
        np.subtract(w, self.scratch, out=w)

    def decay(self, w: Array, eta: float, l2: Any) -> None:
        if eta != self.eta:
            self.eta, self.keep = eta, (1 / (1 + eta * l2)).astype(w.dtype)
        np.multiply(w, self.keep, out=w)

    def end(self, theta: Array, w: Array, b: float, j: int) -> None:
        c = self.coordinates
        if c.identity:
            theta[:-1], theta[-1] = w, b
            return
        units = of_column(c.units, j)
        np.divide(w, units, out=theta[:-1], where=units > 0)
        theta[-1] = b / float(of_column(c.target, j))


class _SparseRows:
    """Stored values of sparse rows, in raw coordinates; a row is moved along after it was asked for."""

    def __init__(self, X: Any) -> None:
        self.pointers, self.indices, self.data = X.indptr.tolist(), X.indices, X.data

    def begin(self, theta: Array, j: int) -> tuple[Array, float]:
        return theta[:-1].copy(), float(theta[-1])

    def dot(self, i: int, w: Array) -> float:
        stored = slice(self.pointers[i], self.pointers[i + 1])
        self.columns, self.values = self.indices[stored], self.data[stored]
        return float(self.values.dot(w[self.columns]))

    def move(self, i: int, w: Array, d: float) -> None:
        w[self.columns] -= d * self.values

    def decay(self, w: Array, eta: float, l2: Any) -> None:
        raise NotImplementedError("In raw coordinates one number holds the shrinkage of all weights.")

    def end(self, theta: Array, w: Array, b: float, j: int) -> None:
        theta[:-1], theta[-1] = w, b


class _ScaledSparseRows:
    """Stored values of sparse rows in standardised coordinates, and by themselves the few features that are centred.

    A weight whose feature is not stored only shrinks, always by the same factor: it does so when it is asked for.
    """

    def __init__(self, X: Any, coordinates: Any) -> None:
        self.coordinates = coordinates
        scales = coordinates.inverse_scale[:, 0]
        self.centred = np.flatnonzero(coordinates.mean_row)
        self.pointers, self.indices = X.indptr.tolist(), X.indices.astype(np.intp)
        self.data = X.data * scales[self.indices]
        if self.centred.size:
            mean = coordinates.mean_row[self.centred]
            self.block = (X[:, self.centred].toarray() - mean) * scales[self.centred]
            # the others' values, that a feature may not be twice in a row
            among = np.zeros(X.shape[1], bool)
            among[self.centred] = True
            stays = ~among[self.indices]
            self.pointers = np.concatenate([[0], np.cumsum(stays)])[X.indptr].tolist()
            self.indices, self.data = self.indices[stays], self.data[stays]
        self.missed = np.zeros(X.shape[1])
        self.eta: Any = None

    def begin(self, theta: Array, j: int) -> tuple[Array, float]:
        self.target = float(of_column(self.coordinates.target, j))
        self.made, self.eta, self.penalised = 0, None, False
        self.missed[:] = 0
        w = theta[:-1].copy()
        self.own = w[self.centred]
        return w, self.target * float(theta[-1])

    def dot(self, i: int, w: Array) -> float:
        stored = slice(self.pointers[i], self.pointers[i + 1])
        self.columns, self.values = columns, values = self.indices[stored], self.data[stored]
        self.weights = weights = w.take(columns)
        if self.penalised:
            missed = self.missed.take(columns)
            missed -= self.made
            missed *= self.logarithms.take(columns)
            weights *= np.exp(missed, out=missed)
        z = float(values.dot(weights))
        if self.centred.size:
            z += float(self.block[i].dot(self.own))
        return self.target * z

    def move(self, i: int, w: Array, d: float) -> None:
        d /= self.target
        self.weights -= d * self.values
        w[self.columns] = self.weights
        self.missed[self.columns] = self.made
        if self.centred.size:
            self.own -= d * self.block[i]

    def decay(self, w: Array, eta: float, l2: Any) -> None:
        if eta != self.eta:
            if self.penalised:
                self._settle(w)
            self.eta, self.penalised = eta, True
            self.logarithms = np.log1p(np.broadcast_to(eta * l2, w.shape))
            self.keep = np.exp(-self.logarithms[self.centred])
        self.made += 1
        if self.centred.size:
            self.own *= self.keep

    def _settle(self, w: Array) -> None:
        w *= np.exp((self.missed - self.made) * self.logarithms)
        self.missed[:] = self.made

    def end(self, theta: Array, w: Array, b: float, j: int) -> None:
        if self.penalised:
            self._settle(w)
        w[self.centred] = self.own
        theta[:-1], theta[-1] = w, b / self.target


__all__ = ["fits_per_sample", "single_samples"]

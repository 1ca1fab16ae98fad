"""Rows so far from all others that they hold a column, and the step without them.

Where curvature falls with a prediction, Newton's step moves a row that has most of the curvature of a column by a unit
or so, whatever that is worth to the others: what the step expects to gain is next to nothing, and is not what is left.
So a step is made of the others alone; if it gains, on all rows, these few were wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import l2_strengths
from skvariants._quasi_newton.lasso import Kinks, lasso
from skvariants._training.problem import by_column

Array = np.ndarray
#: Change of a prediction over which its curvature is not what it was: where a logarithm is the loss, by a quarter.
CURVED = 0.25
# rows that tell how far most of a column reaches, and mean distance of these, in deviations of all, below which it is
# looked at (of a normal column 0.8)
_SAMPLE, _NOTICED = 256, 0.3
# shares of the rows within one deviation and within others, as of a normal column; deviations by this beside those of
# all rows that tell of rows apart, and from which on they are
_WITHIN = ((0.68, 1.0), (0.95, 2.0))
_FEWER, _APART = 1 / 3, 32.0
#: Share of the rows up to which they are few.
FEW = 0.05
# rows that make the step, at least, and for each feature
_ROWS, _ROWS_PER_FEATURE = 4096, 4
#: Shares of a step that are looked at.
LENGTHS = (1.0, 0.25, 0.0625)
# rounds in which rows that a step would move against their labels are told
_ROUNDS = 8
# of a diagonal, so that columns that only these rows know have a factor
_RIDGE = 1e-12


def vanishes(loss: Any) -> bool:
    """Whether the curvature of a row may end with a step."""
    return not (loss.quadratic or (loss.regression and loss.in_target_units))


class Limits:
    """How far from the middle of their columns most rows reach, many times over.

    Parameters
    ----------
    columns : ndarray of int
        Which are known.
    middle, limit : ndarray
        Of each.
    """

    def __init__(self, columns: Array, middle: Array, limit: Array) -> None:
        self.columns, self.middle, self.limit = columns, middle, limit

    @classmethod
    def of(cls, X: Any, deviation: Array | None = None) -> Limits:
        """Those that some rows tell of columns that are not constant nearly everywhere.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_rows, n_features)
            Features.
        deviation : ndarray of shape (n_features,), optional
            Of all rows; only columns whose rows are mostly far within it are told.
        """
        some = _dense(X[:: -(-X.shape[0] // _SAMPLE)]).astype(np.float64)
        middle = np.median(some, axis=0)
        off = np.abs(some - middle)
        most = np.full(X.shape[1], np.inf) if deviation is None else deviation
        columns = np.flatnonzero(off.mean(axis=0) < _NOTICED * most)
        off = np.sort(off[:, columns], axis=0)
        reach = np.max([off[int(share * len(off))] / deviations for share, deviations in _WITHIN], axis=0)
        told = (reach > 0) & (reach < _FEWER * most[columns])
        return cls(columns[told], middle[columns[told]], _APART * reach[told])

    def exceeded(self, X: Any) -> Array:
        """Which rows have a value beyond."""
        apart = np.zeros(X.shape[0], bool)
        for j, middle, limit in zip(self.columns, self.middle, self.limit, strict=True):
            apart |= np.abs(_dense(X[:, [j]]).ravel() - middle) > limit
        return apart


def rows_apart(X: Any, coordinates: Any) -> Array:
    """Which rows have a value much farther from the middle of its column than nearly all others.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        Features.
    coordinates : Coordinates
        Which know the deviations of standardised columns.

    Returns
    -------
    ndarray of bool of shape (n_rows,)
    """
    if coordinates.identity:
        square = X.multiply(X) if sp.issparse(X) else np.square(X)
        mean, square = (np.asarray(A.mean(axis=0)).ravel() for A in (X, square))
        deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    else:
        scale = coordinates.inverse_scale[:, 0]
        deviation = np.divide(1.0, scale, where=scale > 0, out=np.zeros(len(scale)))
    return Limits.of(X, deviation).exceeded(X)


def some_of(index: Array, d: int) -> Array:
    """So many of some rows that they tell a step of `d` features."""
    return index[:: -(-len(index) // max(_ROWS, _ROWS_PER_FEATURE * d))]


def _dense(X: Any) -> Array:
    return X.toarray() if sp.issparse(X) else np.asarray(X)


def _steps_of_others(batch: StageBatch, theta: Array, Z: Array, others: Array, apart: Array) -> list[Array]:
    """Newton's step of each column by some of the rows; without L1 also one that moves no row apart against its label.

    About the mean of these rows, as far from that of all they may all but coincide.

    Parameters
    ----------
    batch : StageBatch
        All rows and columns.
    theta : ndarray of shape (n_features + 1, n_columns)
        The models.
    Z : ndarray of shape (n_rows, n_columns)
        Their predictions.
    others, apart : ndarray of int
        Which rows.
    """
    problem, d, P, bound = batch.problem, batch.d, np.zeros(theta.shape), np.zeros(theta.shape)
    l2 = l2_strengths(problem.penalty, d, theta.shape[1])
    kinks = Kinks.of(problem.penalty, theta) if problem.penalty.has_prox else None
    others = some_of(others, d)
    part, far = (StageBatch(problem, batch.width, index) for index in (others, apart))
    rows, far_slopes, Z = slice(0, part.n), _slopes(far, Z[apart]), Z[others]
    X, slopes = part.standardised(rows)[:, :-1].astype(np.float64), _slopes(part, Z)
    X_far = far.standardised(slice(0, far.n))[:, :-1].astype(np.float64)
    curvatures = np.broadcast_to(part.hessian_weights(Z, rows), Z.shape)
    for j in range(theta.shape[1]):
        D, r = curvatures[:, j], slopes[:, j]
        total = max(float(D.sum()), 1e-300)
        mean = D @ X / total if problem.fit_intercept else np.zeros(d)
        C = X - mean
        Q = (C.T * D) @ C / part.n
        at = np.arange(d)
        Q[at, at] += l2[:, j] + _RIDGE * Q[at, at] + 1e-300
        g = r @ C / part.n + l2[:, j] * theta[:-1, j]
        level = -r.sum() / total if problem.fit_intercept else 0.0
        if kinks is None:
            scale = 1 / np.sqrt(Q[at, at])
            factor = lapack.dpotrf(Q * scale * scale[:, None], lower=1)[0]
            P[:-1, j] = -scale * lapack.dpotrs(factor, scale * g, lower=1)[0]
            bound[:-1, j] = _bound(P[:-1, j] / scale, factor, (X_far - mean) * scale, level, far_slopes[:, j]) * scale
        else:
            v, own = theta[:-1, j].astype(np.float64), kinks.take(lambda a, j=j: a[:-1, j])
            P[:-1, j] = lasso(Q, g - Q @ v, own.strength, v, own.bounds) - v
        if problem.fit_intercept:
            P[-1, j], bound[-1, j] = level - mean @ P[:-1, j], level - mean @ bound[:-1, j]
    steps = [P, bound] if kinks is None else [P]
    return [np.nan_to_num(step, posinf=0.0, neginf=0.0).astype(theta.dtype) for step in steps]


def _bound(p: Array, factor: Array, A: Array, level: float, slope: Array) -> Array:
    """A step in the metric of a Cholesky factor that leaves the predictions of rows where it would raise their loss.

    Parameters
    ----------
    p, factor : ndarray of shape (n_features,), ndarray of shape (n_features, n_features)
        The step without these rows, and the factor.
    A, level, slope : ndarray of shape (n_apart, n_features), float, ndarray of shape (n_apart,)
        The predictions of these rows change by ``A p + level``, and their loss by `slope` times that at first.
    """
    left, against = p, np.zeros(len(A), bool)
    for _ in range(_ROUNDS):
        now = against | (slope * (A @ left + level) > 0)
        if np.array_equal(now, against) or not now.sum() < len(p):
            break
        against, V = now, lapack.dpotrs(factor, A[now].T, lower=1)[0]
        left = p - V @ np.linalg.lstsq(A[now] @ V, A[now] @ p + level, rcond=None)[0]
    return left


def without(apart: Array, batch: StageBatch, theta: Array, Z: Array) -> tuple[Array, Array] | None:
    """A step without the rows that are apart, and the least objective of each model along it; None if they are not few.

    Parameters
    ----------
    apart : ndarray of bool of shape (n_rows,)
        Which rows.
    batch, theta, Z : StageBatch, ndarray, ndarray
        As of `_steps_of_others`.
    """
    if not 0 < np.count_nonzero(apart) <= FEW * batch.n:
        return None
    found, width = None, batch.width
    for P in _steps_of_others(batch, theta, Z, np.flatnonzero(~apart), np.flatnonzero(apart)):
        ZP = batch.predict(P)
        least = np.min([batch.objective(Z + t * ZP, theta + t * P) for t in LENGTHS], axis=0)
        if found is None:
            found = P, least
        else:
            better = least < found[1]
            found = np.where(by_column(better, width), P, found[0]), np.where(better, least, found[1])
    return found


def _slopes(batch: StageBatch, Z: Array) -> Array:
    """Derivatives of the weighted losses in the predictions, in the units worked in."""
    y, s = batch.labels(slice(0, batch.n), Z.shape[1])
    r = batch.problem.loss.gradient(y, Z, np.empty_like(Z)) * (batch.problem.coordinates.target * batch.objective_scale)
    return np.asarray(r if s is None else r * s, dtype=np.float64)


__all__ = ["CURVED", "FEW", "LENGTHS", "Limits", "rows_apart", "some_of", "vanishes", "without"]

r"""What a model is told by some rows, in sums: loss, gradient, Hessian, losses along a step.

For a smooth loss a step of Newton needs nothing else, and sums of parts add up, whoever computed them. They are added
pairwise by number, so that the result is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._blocks.engines import tree
from skvariants._blocks.table import Shard, blocks, parts
from skvariants._quasi_newton.hessian import coupled_products

Array = np.ndarray


@dataclass
class Sums:
    """Sums over rows, in the units of the data.

    Attributes
    ----------
    weight : float
        Of the weights.
    value : ndarray of shape (n_columns,)
        Of the losses.
    gradient : ndarray of shape (n_features + 1, n_columns)
        Of the derivatives in the weights and the intercept.
    along : ndarray of shape (n_lengths, n_columns)
        Of the losses at other lengths of a step.
    hessian : ndarray of shape (n_units, size, size) or None
        Second derivatives, in the coordinates asked for.
    """

    weight: float
    value: Any
    gradient: Any
    along: Any
    hessian: Any = None

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.weight + other.weight, self.value + other.value, self.gradient + other.gradient,
            self.along + other.along, None if self.hessian is None else self.hessian + other.hessian,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of every row.

    Parameters
    ----------
    reading : Reading
        How targets and weights are read.
    loss : Loss
        What is minimised.
    coordinates : Coordinates
        In which second derivatives are wanted.
    theta : ndarray of shape (n_features + 1, n_columns)
        Models, in the units of the data.
    hessian : bool, default=False
        Whether second derivatives are wanted.
    direction : ndarray of shape (n_features + 1, n_columns), optional
        Of a step; its length in the models is zero.
    lengths : ndarray of shape (n_lengths, n_columns), optional
        Where else along it losses are wanted.
    limits : Limits, optional
        Rows beyond them are left out.
    """

    reading: Any
    loss: Any
    coordinates: Any
    theta: Any
    hessian: bool = False
    direction: Any = None
    lengths: Any = ()
    limits: Any = None

    @property
    def unit(self) -> int:
        """Columns that the loss couples."""
        return int(self.loss.columns_per_model)


def statistics(shard: Shard, question: Question) -> Sums:
    """The sums of a shard.

    Raises
    ------
    ValueError
        If a feature is not finite.
    """
    d, k = question.theta.shape[0] - 1, question.theta.shape[1]
    hessian = None
    if question.hessian:
        size = question.unit * (d + 1)
        hessian = np.zeros((k // question.unit, size, size))
    total = Sums(0.0, np.zeros(k), np.zeros((d + 1, k)), np.zeros((len(question.lengths), k)), hessian)
    spare = _Spare(), _Spare(), _Spare(), _Spare()
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        for part in parts(shard, question.reading.dtype):
            X, y, weight = part if question.limits is None else _within(question.limits, *part)
            if len(y):
                _add(total, X, y, weight, question, spare)
        if not (np.isfinite(total.value).all() and np.isfinite(total.gradient).all()):
            refuse_infinite(shard, question.reading.dtype)
    return total


def _within(limits: Any, X: Any, y: Array, weight: Array | None) -> Shard:
    """Rows of a part within limits."""
    values = X if sp.issparse(X) else np.asarray(X)
    at = np.flatnonzero(~limits.exceeded(values))
    return X.iloc[at] if hasattr(X, "iloc") else X[at], y[at], None if weight is None else weight[at]


def cost_of(shard: Shard, reading: Any, loss: Any, constants: Array) -> Array:
    """Sum of the sizes of the losses of a constant model, for each column; no feature is read."""
    total = np.zeros(len(constants))
    for _, y, weight in parts(shard):
        columns, s = reading.labels(y, weight)
        value = np.abs(loss.value(columns, np.ascontiguousarray(np.broadcast_to(constants, columns.shape))))
        total += (value if s is None else value * s).sum(axis=0)
    return total


def refuse_infinite(shard: Shard, dtype: Any) -> None:
    """Say that features are not finite, if that is what it is: asked where a sum is not."""
    for part, _, _ in parts(shard):
        for _, X in blocks(part, dtype, part.shape[1]):
            if not np.isfinite(X).all():
                kind = "NaN" if np.isnan(X).any() else "infinity or a value too large for its dtype"
                raise ValueError(
                    f"Input X contains {kind}. Give a table of finite numbers of shape (n_samples, n_features)."
                )


class _Spare:
    """Memory of a part or block, which the next one uses again: asking for it takes as long as narrow products.

    The allocator of dask's workers gives it back at once, and asks the system each time.
    """

    def __init__(self) -> None:
        self.memory = np.empty(0)

    def like(self, shape: tuple[int, int], dtype: Any) -> Array:
        """An array of any numbers."""
        size = shape[0] * shape[1]
        if self.memory.dtype != dtype or self.memory.size < size:
            self.memory = np.empty(size, dtype)
        return self.memory[:size].reshape(shape)


def _add(total: Sums, part: Any, y: Array, weight: Array | None, question: Question, spare: Sequence[_Spare]) -> None:
    """Add a part: products and slopes in blocks, as each is in the cache once; losses of all of it at once."""
    dtype, loss, (d, k) = question.reading.dtype, question.loss, question.theta[:-1].shape
    columns, s = question.reading.labels(y, weight)
    W, b = question.theta[:-1].astype(dtype), question.theta[-1].astype(dtype)
    Z, R, steps = spare[0].like((len(y), k), dtype), spare[1].like((len(y), k), dtype), None
    if len(question.lengths):
        P, offset = question.direction[:-1].astype(dtype), question.direction[-1].astype(dtype)
        steps = np.empty((len(y), k), dtype)
    gradient = np.zeros((d, k))
    for rows, X in blocks(part, dtype, d if total.hessian is None else max(d, question.unit * (d + 1))):
        z, r = Z[rows], R[rows]
        X.dot(W, out=z)
        z += b
        if steps is not None:
            X.dot(P, out=steps[rows])
            steps[rows] += offset
        loss.gradient(columns[rows], z, out=r)
        gradient += X.T.dot(r if s is None else r * s[rows])
        if total.hessian is not None:
            _add_hessian(total.hessian, X, columns[rows], z, None if s is None else s[rows], question, spare)
    total.gradient[:-1] += gradient
    total.gradient[-1] += (R if s is None else R * s).sum(axis=0, dtype=np.float64)
    total.value += loss.total(columns, Z, s, R)
    total.weight += float(len(y)) if s is None else float(s.sum(dtype=np.float64))
    for j, t in enumerate(question.lengths):
        total.along[j] += loss.total(columns, Z + t.astype(dtype) * steps, s)


def _add_hessian(
    hessian: Array, X: Any, columns: Array, z: Array, s: Array | None, question: Question, spare: Sequence[_Spare]
) -> None:  # fmt: skip
    """Add the second derivatives of a block."""
    loss, unit = question.loss, question.unit
    if hasattr(X, "namespace"):
        C, coupled = _standardised(X, question.coordinates), _coupled
    else:
        there = spare[2].like((X.shape[0], X.shape[1] + 1), X.dtype)
        C, coupled = question.coordinates.rows(X, X.dtype, there), coupled_products
    if unit > 1:
        p = np.asarray(loss.probability(z), dtype=X.dtype)
        for j, A in enumerate(hessian):
            A += coupled(C, p[:, j * unit : (j + 1) * unit], s)
        return
    D = np.broadcast_to(loss.curvature(columns, z), z.shape)
    D = np.sqrt(np.maximum(D if s is None else D * s, 0)).astype(X.dtype)
    for j, A in enumerate(hessian):
        weights = D[:, j : j + 1]
        B = C * weights if hasattr(X, "namespace") else np.multiply(C, weights, out=spare[3].like(C.shape, C.dtype))
        A += B.T.dot(B)


def _standardised(X: Any, coordinates: Any) -> Any:
    """Rows of another library in the coordinates worked in."""
    if coordinates.identity:
        return X.standardised(np.zeros(X.shape[1]), np.ones(X.shape[1]))
    return X.standardised(coordinates.mean[:, 0], coordinates.inverse_scale[:, 0])


def _coupled(C: Any, p: Array, s: Array | None) -> Array:
    """:func:`coupled_products` of rows of another library: a product for each pair of classes."""
    size, unit = C.shape[1], p.shape[1]
    H = np.empty((unit, size, unit, size))
    for a in range(unit):
        for b in range(a + 1):
            curvature = p[:, a : a + 1] * (float(a == b) - p[:, b : b + 1])
            H[a, :, b] = (C * (curvature if s is None else curvature * s)).T.dot(C)
            H[b, :, a] = H[a, :, b].T
    return H.reshape(unit * size, unit * size)


__all__ = ["Question", "Sums", "cost_of", "refuse_infinite", "statistics", "tree"]

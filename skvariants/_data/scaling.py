r"""The change of variables that makes raw units harmless.

The training may work on weights `V` of standardised columns while `X` stays as it is:

.. math:: z = c \left( \frac{x - \mu}{s} V + v_0 \right) = x W + b, \qquad
          W = c V / s, \quad b = c v_0 - \mu W

with means :math:`\mu`, scales `s` and a unit `c` of the target. The products fold it in, so `X` is neither copied nor
made dense. What is minimised is the user's objective divided by :math:`c^2`, the penalty in the user's units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._threads import at_once

Array = np.ndarray
# the square of less is not a normal number
_VANISHES = float(np.sqrt(np.finfo(np.float64).tiny))
# single precision holds the inverse of no less, and weights some times as large
_VANISHES_SINGLE = 5e-37
# squares of no more, and of no less than the inverse, are numbers of single precision, and some times as large
_SQUARED_SINGLE = 1e18
# standard deviation of a normal variable, in median distances from its median
_NORMAL = 1.4826
# values at a time: what fits the cache
_BLOCK = 1 << 16
# values so few that calls of NumPy are what costs
_IN_ONE = 1 << 10
# share of a mean square that a squared mean may be so that a variance found without a shift keeps all digits but one
_NEAR_ZERO = 0.9
# stored values from which two products are made at once
_STORED = 1 << 20
# rows whose sum in single precision keeps five digits, were all of them rounded the same way
_SINGLE_ROWS = 1024
# share of values that are not zero up to which a column may stay where it is: its mean is a third of its scale at most
_RARE = 0.1
# columns that are centred, as a share of all, up to which they are few
_CENTRED = 0.1
# stored values of a batch, as a share of the columns, up to which rare ones stay: `Moments.coordinates` says why
_TOUCHED = 1.0
# rows that are looked at before all are counted, and how many times as much they must store
_LOOKED_AT, _SURELY = 256, 4.0


@dataclass
class Coordinates:
    """Standardised coordinates; with ``mean=None`` the coordinates of the data.

    Attributes
    ----------
    mean, inverse_scale : ndarray of shape (n_features, 1) or None
        Of each column; no scales with means are :meth:`of_scaled_rows`.
    target : float or ndarray of shape (n_columns,)
        The unit c of the target.
    """

    mean: Any = None
    inverse_scale: Any = None
    target: Any = 1.0
    objective_scale: Any = field(init=False)
    units: Any = field(init=False)
    gradient_units: Any = field(init=False, default=None)
    mean_row: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.objective_scale = 1.0 / self.target**2
        self.units = self.target if self.inverse_scale is None else self.inverse_scale * self.target
        if self.mean is not None:
            self.gradient_units = self.units * self.objective_scale
            self.mean_row = np.ascontiguousarray(self.mean[:, 0])

    @cached_property
    def keeps_target(self) -> bool:
        """Whether the target keeps its unit."""
        return np.ndim(self.target) == 0 and self.target == 1.0

    @cached_property
    def few_centred(self) -> Array | None:
        """Numbers of the columns that are centred, where they are few."""
        centred = np.flatnonzero(self.mean_row)
        return centred if len(centred) <= _CENTRED * len(self.mean_row) else None

    def of_scaled_rows(self) -> Coordinates:
        """The same for rows that have been divided by the scales."""
        return Coordinates(self.mean * self.inverse_scale, None, self.target)

    @property
    def identity(self) -> bool:
        """Whether these are the coordinates of the data."""
        return self.mean is None

    def take(self, columns: Array) -> Coordinates:
        """The coordinates of a subset of the columns."""
        if np.ndim(self.target) == 0:
            return self
        return Coordinates(self.mean, self.inverse_scale, self.target[columns])

    def at(self, features: Array) -> Coordinates:
        """The coordinates of some features' weights."""
        if self.identity:
            return self
        scale = None if self.inverse_scale is None else self.inverse_scale[features]
        return Coordinates(self.mean[features], scale, self.target)

    def rows(self, X: Array, dtype: Any, out: Array | None = None) -> Array:
        """Dense rows in these coordinates, without the unit of the target; a column of ones as last."""
        C = np.empty((X.shape[0], X.shape[1] + 1), dtype) if out is None else out
        if self.identity:
            C[:, :-1] = X
        else:
            np.subtract(X, self.mean_row, out=C[:, :-1])
            C[:, :-1] *= self.inverse_scale[:, 0]
        C[:, -1] = 1.0
        return C

    def original(self, theta: Array) -> Array:
        """Weights and intercept (last row) in the units of the data."""
        if self.mean is None:
            return theta
        out = np.empty_like(theta)
        np.multiply(theta[:-1], self.units, out=out[:-1])
        out[-1] = self.target * theta[-1] - (self.mean * out[:-1]).sum(axis=0)
        return out

    def standardised(self, theta: Array) -> Array:
        """Inverse of :meth:`original`; a column of scale zero gets weight zero."""
        if self.mean is None:
            return np.array(theta)
        out = np.zeros_like(theta)
        np.divide(theta[:-1], self.units, out=out[:-1], where=self.units > 0)
        out[-1] = (theta[-1] + (self.mean * theta[:-1]).sum(axis=0)) / self.target
        return out


@dataclass
class Moments:
    """Running weighted count, mean and sum of squared deviations of columns.

    `filled`, of values that are not zero, is there where it was asked for: None before, and after rows without it.

    References
    ----------
    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance",
    doi:10.1080/00031305.1983.10483115.
    """

    count: float = 0.0
    mean: Any = 0.0
    squares: Any = 0.0
    filled: Any = None

    def update(self, X: Any, weight: Array | None = None, filling: int = 0) -> None:
        """Add rows, in blocks, so that a memory map is never read at once.

        What is not zero is counted if batches of `filling` rows might leave most columns at zero.
        """
        if X.shape[0] == 0:
            return
        count = float(X.shape[0]) if weight is None else float(weight.sum(dtype=np.float64))
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # `coordinates` says what overflowed
            mean, squares = (_sparse_moments if sp.issparse(X) else _dense_moments)(X, weight, count)
            self.merge(Moments(count, mean, squares, _filled(X, weight, filling) if filling else None))

    def merge(self, other: Moments) -> None:
        """Add what another saw of other rows."""
        total = self.count + other.count
        if total == 0:
            return
        if self.count == 0:
            self.filled = other.filled
        elif self.filled is not None:
            self.filled = None if other.filled is None else self.filled + other.filled
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            delta = other.mean - self.mean
            self.mean = self.mean + delta * (other.count / total)
            self.squares = self.squares + other.squares + delta * delta * (self.count * other.count / total)
        self.count = total

    def copy(self) -> Moments:
        """The same numbers; arrays are never changed in place, so they are shared."""
        return Moments(self.count, self.mean, self.squares, self.filled)

    def touches_few(self, batch_size: int) -> bool:
        """Whether the rows of a batch leave most columns at zero, as far as what was counted says."""
        return self.filled is not None and bool(
            batch_size * self.filled.sum() <= _TOUCHED * self.count * len(self.filled)
        )

    def coordinates(self, center: bool, target: Any, dtype: Any, rare: bool = False) -> Coordinates:
        """The coordinates these moments stand for; without an intercept nothing is centred.

        Parameters
        ----------
        center : bool
            Whether there is an intercept, which a change of the means goes into.
        target : float or ndarray of shape (n_columns,)
            The unit of the target.
        dtype : dtype
            Of the coordinates.
        rare : bool, default=False
            Whether columns that are mostly zero stay uncentred, so that a step need not touch them. They are scaled by
            the root of their mean square. Where batches touch few columns, the noise of a step bounds its length by
            (rows of a batch) / (columns), and the squared means that are left by one over the stored values of a row,
            which is more.

        Raises
        ------
        ValueError
            If the variance of a column overflows, or what is divided by is too small.
        """
        mean = np.atleast_1d(np.asarray(self.mean, dtype=np.float64))
        variance = np.atleast_1d(self.squares / self.count).astype(np.float64)
        stays = np.full(len(mean), not center)
        if rare and self.filled is not None:
            stays |= self.filled <= _RARE * self.count
        variance[stays] += mean[stays] ** 2
        if not np.isfinite(variance).all():
            raise ValueError(too_large(~np.isfinite(variance)))
        scale = np.sqrt(variance)
        # constant up to rounding: no information beside the intercept
        noise = 64 * np.finfo(dtype).eps * np.where(stays, 0.0, np.abs(mean))
        flat = (scale <= noise) | (scale < _VANISHES)
        tiny = (scale < _VANISHES) & (mean != 0) & (np.abs(mean) < _VANISHES)
        if np.dtype(dtype) == np.float32:
            tiny |= ~flat & (scale < _VANISHES_SINGLE)
            for wrong, what, remedy in (
                (np.min(target) < 1 / _SQUARED_SINGLE, "small", "multiply"),
                (np.max(target) > _SQUARED_SINGLE, "large", "divide"),
            ):
                if wrong:
                    raise ValueError(
                        f"y has values so {what} that single precision does not hold their squares: {remedy} them by "
                        "a power of ten, or give X in double precision."
                    )
        if tiny.any():
            raise ValueError(too_small(tiny))
        inverse = np.where(flat, 0.0, 1 / np.where(flat, 1.0, scale))
        mean = np.where(stays, 0.0, mean)
        return Coordinates(
            mean[:, None].astype(dtype),
            inverse[:, None].astype(dtype),
            target.astype(dtype) if isinstance(target, np.ndarray) else float(target),
        )


def too_small(columns: Array) -> str:
    """What to say of columns, given by mask, whose squares are no numbers but zero."""
    numbers = np.flatnonzero(columns)[:5].tolist()
    return (
        f"X has columns of so small values that their squares vanish (by number: {numbers}): multiply them by a power "
        "of ten, or drop them."
    )


def too_large(columns: Array) -> str:
    """What to say of columns, given by mask, whose squares no sum can hold."""
    numbers = np.flatnonzero(columns)[:5].tolist()
    return (
        f"X has columns of so large values that their variance overflows (by number: {numbers}): divide them "
        "by a power of ten so that they stay below 1e150."
    )


def _filled(X: Any, weight: Array | None, batch_size: int) -> Array | None:
    """Weight of the values of each column that are not zero; None where some rows show that batches touch all."""
    if sp.issparse(X):
        X = X.tocsr()
        w = np.ones(X.shape[0]) if weight is None else weight.astype(np.float64)
        return sp.csr_matrix(((X.data != 0).astype(np.float64), X.indices, X.indptr), shape=X.shape).T @ w
    n, d = X.shape
    some = np.asarray(X[:: -(-n // _LOOKED_AT)])
    if batch_size * np.count_nonzero(some) > _SURELY * _TOUCHED * some.size:
        return None
    filled, rows = np.zeros(d), max(1, _BLOCK // max(1, d))
    for start in range(0, n, rows):
        block = np.asarray(X[start : start + rows])
        w = np.ones(len(block)) if weight is None else weight[start : start + rows].astype(np.float64)
        filled += w @ (block != 0)
    return filled


def _dense_moments(X: Any, weight: Array | None, count: float) -> tuple[Array, Array]:
    """Mean and sum of squared deviations of columns, by two products a block."""
    if X.size <= _IN_ONE and X.dtype == np.float64:
        ones = np.ones(len(X)) if weight is None else weight
        mean = ones @ X / count
        off = X - mean
        return mean, ones @ np.square(off)
    mean, squares = _by_blocks(X, weight, count, X.dtype)
    if X.dtype == np.float32:
        # values whose squares single precision cannot hold; constant columns too, which costs little
        lost = np.flatnonzero(~((squares > 1e-30 * count) & (squares < np.inf)))
        if lost.size:
            mean[lost], squares[lost] = _by_blocks(X, weight, count, np.float64, lost)
    return mean, squares


def _by_blocks(
    X: Any, weight: Array | None, count: float, dtype: Any, columns: Array | None = None
) -> tuple[Array, Array]:  # fmt: skip
    """The same in the precision `dtype`, of all or some columns; blocks are added up in double precision."""
    n, d = X.shape[0], X.shape[1] if columns is None else len(columns)
    rows = max(1, _BLOCK // max(1, d))
    if dtype == np.float32:
        rows = min(rows, _SINGLE_ROWS)

    def part(which: slice) -> Array:
        return X[which] if columns is None else X[which][:, columns]

    # shifted by the mean of some rows from all over the table, so that an offset of 1e8 costs no digits
    some = part(slice(0, n, max(1, n // 64))).astype(np.float64)
    shift = (some.sum(axis=0) / len(some)).astype(dtype)
    second = (some * some).sum(axis=0) / len(some)
    shifts = not ((shift * shift <= _NEAR_ZERO * second) & (second < np.inf)).all()
    if not shifts:
        shift[:] = 0.0
    sums, squares = np.zeros(d), np.zeros(d)
    buffer, ones = np.empty((min(n, rows), d), dtype), np.ones(min(n, rows), dtype)
    for start in range(0, n, rows):
        block = part(slice(start, start + rows))
        D = np.subtract(block, shift, out=buffer[: len(block)]) if shifts else block.astype(dtype, copy=False)
        w = ones[: len(block)] if weight is None else weight[start : start + rows].astype(dtype)
        sums += w @ D
        squares += w @ np.multiply(D, D, out=buffer[: len(block)])
    sums /= count
    return shift + sums, np.maximum(squares - count * sums**2, 0.0)


def _sparse_moments(X: Any, weight: Array | None, count: float) -> tuple[Array, Array]:
    """The same where zeros are not stored; from one or two products with what is."""
    X = X.tocsr()
    w = np.ones(X.shape[0]) if weight is None else weight.astype(np.float64)
    data, d = X.data.astype(np.float64, copy=False), X.shape[1]

    def weighted(values: Array) -> Array:
        return sp.csr_matrix((values, X.indices, X.indptr), shape=X.shape).T @ w

    if _all_equal(data):
        mean = weighted(data) / count
        second = count * data[0] * mean
    elif len(data) < _STORED:
        mean, second = weighted(data) / count, weighted(data * data)
    else:
        mean, second = at_once(lambda: weighted(data) / count, lambda: weighted(data * data))
    squares = second - count * mean**2
    # where that cancels, the deviations themselves; what is not stored deviates by the mean
    lost = squares < 1e-4 * second
    if lost.any():
        stored = lost[X.indices]
        columns, values = X.indices[stored], data[stored]
        s = np.repeat(w, np.diff(X.indptr))[stored]
        empty = count - np.bincount(columns, s, minlength=d)
        # a full column has none: what is left is rounding
        empty[empty < 1e-9 * count] = 0.0
        deviation = np.bincount(columns, s * (values - mean[columns]) ** 2, minlength=d)
        squares = np.where(lost, deviation + empty * mean**2, squares)
    return mean, squares


def _all_equal(values: Array) -> bool:
    """Whether there are values and all are equal, as the ones of categories are; a few are looked at first."""
    return bool(values.size and (values[:_BLOCK] == values[0]).all() and (values == values[0]).all())


def weighted_quantile(y: Array, weight: Array, level: Any) -> Array:
    """Least value of each column with at least a share `level` of the weight at or below it."""
    order = np.argsort(y, axis=0, kind="stable")
    cumulated = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    position = (cumulated < level * cumulated[-1:]).sum(axis=0)
    rows = np.take_along_axis(order, np.minimum(position, len(y) - 1)[None], axis=0)
    return np.take_along_axis(y, rows, axis=0)[0]


def robust_spread(y: Array, weight: Array | None) -> Array:
    """Median distance of each column from its median, as a standard deviation; that itself where half are equal."""
    s = np.ones(y.shape) if weight is None else np.ones(y.shape) * weight[:, None]
    spread = _NORMAL * weighted_quantile(np.abs(y - weighted_quantile(y, s, 0.5)), s, 0.5)
    deviation = np.sqrt(np.average((y - np.average(y, axis=0, weights=s)) ** 2, axis=0, weights=s))
    spread = np.where(spread > 0, spread, deviation)
    return np.where(spread > 0, spread, 1.0)

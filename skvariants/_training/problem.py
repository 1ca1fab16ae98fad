r"""What is minimised: the weighted mean loss of all columns over some rows, plus their penalty.

`theta` is ``(n_features + 1, n_columns)`` in C order with the intercept as last row, in the coordinates worked in,
which the products fold in. A *model* is a few adjacent columns that stop together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._component import operand
from skvariants._data.occurring import Occurring
from skvariants._data.scaling import Coordinates, too_large
from skvariants._data.sparse import square_norms

Array = np.ndarray
# features from which a product with a few columns is up to twice as fast when turned (examples/benchmarks/classes.py)
_LONG = 32


@dataclass(eq=False, repr=False)
class Problem:
    """Rows, what their targets stand for, loss, penalty, coordinates.

    The objective of a column is ``mean(weight * loss) + penalty``, with weights of mean one.
    """

    rows: Any
    encoding: Any
    loss: Any
    penalty: Any
    coordinates: Coordinates
    fit_intercept: bool = True
    features: Occurring | None = None

    def __post_init__(self) -> None:
        self.n, self.d = self.rows.n, self.rows.d
        self._scratch = np.empty((0, 0))
        self._ones = np.empty(0)
        self._units: tuple[int, Array] | None = None

    def take(self, columns: Array) -> Problem:
        """The same problem for a subset of the columns."""
        return replace(
            self,
            encoding=self.encoding.take(columns), loss=self.loss.take(columns), penalty=self.penalty.take(columns),
            coordinates=self.coordinates.take(columns),
        )  # fmt: skip

    def only(self, features: Occurring) -> Problem:
        """The same problem without features that are zero in every row; all have the same penalty."""
        return replace(
            self, rows=self.rows.only(features), coordinates=self.coordinates.at(features.numbers), features=features
        )

    @property
    def parameters(self) -> int:
        """Numbers of a column of the model, those of features that are left out included."""
        return (self.d if self.features is None else self.features.of) + self.fit_intercept

    def original(self, theta: Array) -> Array:
        """Models of all features in the units of the data."""
        theta = self.coordinates.original(theta)
        return theta if self.features is None else self.features.whole(theta)

    def predict(self, X: Any, theta: Array, out: Array | None = None, by_column: bool = False) -> Array:
        """Predictions ``(n_rows, n_columns)`` for rows of `X`; of dense ones in column-major order where asked for."""
        W, b = theta[:-1], theta[-1]
        c = self.coordinates
        if not c.identity:
            if not (c.keeps_target and c.inverse_scale is None):
                W = np.multiply(W, c.units, self._scratch_like(W))
            few = None if isinstance(X, np.ndarray) else c.few_centred
            offset = np.dot(c.mean_row, W) if few is None else np.dot(c.mean_row[few], W[few])
            b = (b if c.keeps_target else c.target * b) - offset
        b = without_axis(b)
        if isinstance(X, np.ndarray):
            turned = out is None and (by_column or _turned(W))
            z = np.dot(W.T, X.T).T if turned else np.dot(X, W, out=out)
            z = np.ascontiguousarray(z) if turned and not by_column else z
        else:
            z = X @ W
        if out is None or z is out:
            z += b
            return z
        return np.add(z, b, out=out)

    def gradient(self, X: Any, r: Array, out: Array, count: int = 1) -> Array:
        """Gradient in `theta` from derivatives `r` in the predictions, summed over rows and divided by `count`."""
        G, c = out[:-1], self.coordinates
        plain = c.inverse_scale is None and not c.identity
        if plain:
            r = r * np.asarray(c.gradient_units / count, r.dtype)
        # BLAS for dense rows; scipy's own product, which makes a new array, for sparse ones
        if not isinstance(X, np.ndarray):
            product = X.T @ r
        else:
            product = np.dot(r.T, X).T if _turned(G) or not r.flags.c_contiguous else np.dot(X.T, r, out=G)
        if len(self._ones) < len(r) or self._ones.dtype != r.dtype:
            self._ones = np.ones(len(r), r.dtype)
        # a product: the sum of a narrow array along its first axis is slow
        total = np.dot(self._ones[: len(r)], r)
        if c.identity:
            fraction = operand(1.0 / count, r.dtype)
            np.multiply(product, fraction, G)
            total *= fraction
            out[-1] = total if self.fit_intercept else 0.0
            return out
        few = None if isinstance(X, np.ndarray) or len(r) == self.n else c.few_centred
        if few is not None:
            product[few] -= c.mean[few] * total
            if plain:
                G[...], out[-1] = product, total if self.fit_intercept else 0.0
                return out
            units = self._units_by_count(count)
            np.multiply(product, units[:-1], out=G)
            np.multiply(total, units[-1], out=out[-1])
            return out
        centre = self._scratch_like(G)
        if len(total) == 1:
            np.multiply(c.mean, without_axis(total), centre)
        else:
            np.dot(c.mean, total[None], centre)
        np.subtract(product, centre, G)
        if len(r) == self.n:
            # centred, the intercept starts at its optimum; a scale-free solver would blow rounding up
            noise = 8 * np.finfo(r.dtype).eps * (np.abs(r).sum(axis=0) + c.target * count)
            total[np.abs(total) <= noise] = 0
        if plain:
            out[-1] = total if self.fit_intercept else 0.0
            return out
        out[-1] = total
        out *= self._units_by_count(count)
        return out

    def _units_by_count(self, count: int) -> Array:
        """Units of the gradient of a mean over `count` rows; the intercept's are zero where there is none."""
        if self._units is None or self._units[0] != count:
            c = self.coordinates
            last = np.broadcast_to(c.target * c.objective_scale * float(self.fit_intercept), c.gradient_units[:1].shape)
            units = np.concatenate([c.gradient_units, last]) / count
            self._units = count, units.astype(c.gradient_units.dtype)
        return self._units[1]

    def _scratch_like(self, W: Array) -> Array:
        if self._scratch.shape != W.shape or self._scratch.dtype != W.dtype:
            self._scratch = np.empty(W.shape, W.dtype)
        return self._scratch

    def square_norms(self, X: Any) -> Array:
        """Squared norm of each row in the coordinates worked in, shape ``(n_rows, 1)``."""
        c = self.coordinates
        if not isinstance(X, np.ndarray):
            return square_norms(X, None if c.identity else c.mean_row, c.inverse_scale)
        if not c.identity:
            X = X - c.mean_row
            X *= c.inverse_scale[:, 0]
        return np.einsum("ij,ij->i", X, X)[:, None]

    def mean_square_norm(self) -> float:
        """Weighted mean of the squared norms of all rows, the intercept's one included.

        Standardised columns have variance one; others are asked for their moments.
        """
        c = self.coordinates
        if not c.identity:
            return float(np.count_nonzero(c.inverse_scale)) + float(self.fit_intercept)
        moments = self.rows.moments()
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.asarray(moments.squares / moments.count + moments.mean**2)
        if not np.isfinite(squares).all():
            raise ValueError(too_large(~np.isfinite(squares)))
        return float(squares.sum()) + float(self.fit_intercept)

    def labels(self, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """What is stored of the targets and weights of some rows, as columns."""
        return self.encoding.expand(y), None if weight is None else weight[:, None]

    def labels_of(self, index: Any) -> tuple[Array, Array | None]:
        """Targets and weights of some rows, as columns."""
        return self.labels(*self.rows.labels(index))

    def intercept_only(self) -> tuple[Array, Array]:
        """Best constant prediction of each column, and its mean absolute loss, both ``(n_columns,)``.

        Without an intercept it is zero; where a loss costs nothing (the perceptron's at zero) its cost at the
        opposite of the targets stands in, or at zero of what is an exponent, so that there is something to measure
        progress by.
        """
        y, s = self.encoding.summary(self.rows.y, self.rows.weight)
        columns = y.shape[1]
        z = self.loss.fit_intercept_only(y, s) if self.fit_intercept else np.zeros(columns)
        z = np.broadcast_to(z, (columns,)).astype(np.float64)

        def cost(z: Array) -> Array:
            value = self.loss.value(y, np.ascontiguousarray(np.broadcast_to(z, y.shape)))
            return (np.abs(value) * s).sum(axis=0) / self.n

        costs = cost(z)
        opposite = -y if self.loss.in_target_units else np.zeros_like(y)
        for stand_in in (opposite, np.ones_like(y)):  # of targets that are all zero, what a unit costs
            if not costs.sum() > 0:
                costs = cost(stand_in)
        return z, costs


def _turned(W: Array) -> bool:
    """Whether BLAS is faster with the few columns of `W` as rows."""
    return W.shape[1] > 1 and len(W) >= _LONG


def without_axis(row: Array) -> Array:
    """A row of one number without its dimension: NumPy then broadcasts it in half the time."""
    return row.reshape(()) if row.size == 1 else row


def of_column(value: Any, j: int) -> Any:
    """Column `j` of a value that is a scalar, ``(n_columns,)`` or ``(n_features, 1 or n_columns)``."""
    if np.ndim(value) == 0:
        return value
    return value[..., min(j, value.shape[-1] - 1)]


def columns_of(models: Array, width: int) -> Array:
    """Column numbers of models given by number or by mask."""
    models = np.flatnonzero(models) if models.dtype == bool else models
    return (models[:, None] * width + np.arange(width)).ravel()


def by_model(columns: Array, width: int) -> Array:
    """Sums over the columns of each model."""
    return columns if width == 1 else columns.reshape(-1, width).sum(axis=1)


def by_column(models: Array, width: int) -> Array:
    """The value of each model for each of its columns."""
    return models if width == 1 else np.repeat(models, width)


__all__ = ["Problem", "by_column", "by_model", "columns_of", "of_column", "without_axis"]

r"""The change of variables that makes raw units harmless.

The engine may work on weights `V` of standardised columns while `X` stays as it is:

.. math:: z = c \left( \frac{x - \mu}{s} V + v_0 \right) = x W + b, \qquad
          W = c V / s, \quad b = c v_0 - \mu W

with means :math:`\mu`, scales `s` and a unit `c` of the target. The products fold it in, so `X` is neither copied nor
made dense. What is minimised is the user's objective divided by :math:`c^2`, the penalty in the user's units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

Array = np.ndarray
_BLOCK = 1 << 22


@dataclass
class Coordinates:
    """Standardised coordinates; with ``mean=None`` the coordinates of the data.

    Attributes
    ----------
    mean, inverse_scale : ndarray of shape (n_features, 1) or None
        Of each column.
    target : float or ndarray of shape (n_columns,)
        The unit c of the target.
    """

    mean: Any = None
    inverse_scale: Any = None
    target: Any = 1.0
    factor: Any = field(init=False)
    units: Any = field(init=False)

    def __post_init__(self) -> None:
        self.factor = 1.0 / self.target**2
        self.units = None if self.inverse_scale is None else self.inverse_scale * self.target

    @property
    def identity(self) -> bool:
        """Whether these are the coordinates of the data."""
        return self.mean is None

    def take(self, columns: Array) -> Coordinates:
        """The coordinates of a subset of the columns."""
        if np.ndim(self.target) == 0:
            return self
        return Coordinates(self.mean, self.inverse_scale, self.target[columns])

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
        out = np.empty_like(theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            out[:-1] = np.where(self.units > 0, theta[:-1] / self.units, 0.0)
        out[-1] = (theta[-1] + (self.mean * theta[:-1]).sum(axis=0)) / self.target
        return out


@dataclass
class Moments:
    """Running weighted count, mean and sum of squared deviations of columns.

    References
    ----------
    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance",
    doi:10.1080/00031305.1983.10483115.
    """

    count: float = 0.0
    mean: Any = 0.0
    squares: Any = 0.0

    def update(self, X: Any, weight: Array | None = None) -> None:
        """Add rows, in blocks, so that a memory map is never read at once."""
        n, d = X.shape
        rows = max(1, _BLOCK // max(1, d)) if not sp.issparse(X) else n
        for start in range(0, n, rows):
            w = None if weight is None else weight[start : start + rows].astype(np.float64)
            self._add(X[start : start + rows], w)

    def _add(self, X: Any, w: Array | None) -> None:
        if sp.issparse(X):
            count, mean, squares = _sparse_moments(X, w)
        else:
            count = float(len(X)) if w is None else float(w.sum())
            # shifted by a row, so that an offset of 1e8 costs no digits
            shift = np.asarray(X[0], dtype=np.float64)
            D = X - shift
            mean = (D.sum(axis=0) if w is None else w @ D) / count
            D -= mean
            squares = np.einsum("ij,ij->j", D, D) if w is None else w @ (D * D)
            mean = mean + shift
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self.squares = self.squares + squares + delta * delta * (self.count * count / total)
        self.count = total

    def coordinates(self, center: bool, target: Any, dtype: Any) -> Coordinates:
        """The coordinates these moments stand for; without an intercept nothing is centred."""
        mean = np.atleast_1d(np.asarray(self.mean, dtype=np.float64))
        variance = np.atleast_1d(self.squares / self.count)
        if not center:
            variance = variance + mean**2
        scale = np.sqrt(variance)
        # constant up to rounding: no information beside the intercept
        noise = 64 * np.finfo(dtype).eps * (np.abs(mean) if center else 0.0)
        flat = (scale <= noise) | (scale < np.sqrt(np.finfo(np.float64).tiny))
        inverse = np.where(flat, 0.0, 1 / np.where(flat, 1.0, scale))
        mean = mean if center else np.zeros_like(mean)
        if np.dtype(dtype) == np.float32:
            # beyond what float32 can hold, as a product with X would be
            inverse = np.clip(inverse, 0, 1e30)
        return Coordinates(
            mean[:, None].astype(dtype),
            inverse[:, None].astype(dtype),
            target.astype(dtype) if isinstance(target, np.ndarray) else float(target),
        )


def _sparse_moments(X: Any, w: Array | None) -> tuple[float, Array, Array]:
    n, d = X.shape
    X = X.tocsr()
    count = float(n) if w is None else float(w.sum())
    row_weight = None if w is None else np.repeat(w, np.diff(X.indptr))
    data = X.data.astype(np.float64)
    filled = np.bincount(X.indices, row_weight, minlength=d)
    sums = np.bincount(X.indices, data if row_weight is None else data * row_weight, minlength=d)
    mean = sums / count
    deviation = data - mean[X.indices]
    deviation *= deviation
    if row_weight is not None:
        deviation *= row_weight
    squares = np.bincount(X.indices, deviation, minlength=d) + (count - filled) * mean**2
    return count, mean, squares

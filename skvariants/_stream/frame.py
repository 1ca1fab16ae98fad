"""Units to add rows up in: far from zero is near the middle, and no square overflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import blas

from skvariants._data.scaling import too_large, too_small
from skvariants._shallow import Shallow

Array = np.ndarray
# binary orders of magnitude that a value may be away from one
_FAR = 20
# values whose squares do not overflow, and do not vanish
LARGEST, SMALLEST = 1e150, 1e-150
# rounding of a mean, as a share of it
_ROUNDING = 2.0**-44
# numbers of rows that are worked on in one turn
_TURN = 1 << 16


class Frame(Shallow):
    """Features minus a row of the stream, times powers of two, and a one as last.

    Parameters
    ----------
    centre : ndarray of shape (n_features,)
        What is subtracted.
    factor : ndarray of shape (n_features,), optional
        By what is multiplied, where that is known; a column that did not differ has 1.
    largest : float, default=0
        Largest value that was seen, in these units.
    """

    def __init__(self, centre: Array, factor: Any = 1.0, largest: float = 0.0) -> None:
        # with those of the one at the end, as an array without gaps is worked on in half of the time
        self._shift, self._scale = np.append(centre, 0.0), np.ones(len(centre) + 1)
        self._scale[:-1] = factor
        self.known = self.factor != 1.0
        self.largest = largest

    @property
    def centre(self) -> Array:
        """What is subtracted."""
        return self._shift[:-1]

    @property
    def factor(self) -> Array:
        """What is multiplied by then."""
        return self._scale[:-1]

    @classmethod
    def of(cls, X: Any, fit_intercept: bool, centre: Array | None = None) -> Frame:
        """The frame of a stream that begins with some rows, or knows a centre; a model without intercept keeps zero."""
        if not fit_intercept:
            return cls(np.zeros(X.shape[1]))
        if centre is not None and len(centre) == X.shape[1]:
            return cls(centre.astype(np.float64))
        with np.errstate(over="ignore"):
            centre = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
        # the mean of values near the largest overflows
        return cls(np.where(np.isfinite(centre), centre, 0.0))

    def rows(self, X: Any) -> tuple[Array, Array | None]:
        """Rows in these units, and by what the units have changed, if they have; both as float64."""
        C = np.empty((X.shape[0], X.shape[1] + 1))
        size, highest = max(1, _TURN // C.shape[1]), 0.0
        for start in range(0, len(C), size):
            part = C[start : start + size]
            part[:, :-1] = X[start : start + size].toarray() if sp.issparse(X) else X[start : start + size]
            part[:, -1] = 1.0
            # products with one, in a third of the time of a difference with a row
            blas.dger(-1.0, self._shift, np.ones(len(part)), a=part.T, overwrite_a=1)
            part *= self._scale
            highest = max(highest, part.max(), -part.min())
        change = self._follow(C, float(highest))
        if change is not None:
            C[:, :-1] *= change
        return C, change

    def _follow(self, C: Array, highest: float) -> Array | None:
        """Units for columns that begin to differ or have outgrown theirs; by what these were multiplied."""
        if self.known.all() and highest <= 2.0**_FAR:
            self.largest = max(self.largest, highest)
            return None
        D = C[:, :-1]
        largest = np.maximum(D.max(axis=0, initial=0.0), -D.min(axis=0, initial=0.0))
        # a column that is always the same differs from a mean by rounding, and is no second intercept
        noise = ~self.known & (largest > 0) & (largest <= _ROUNDING * np.abs(self.centre))
        if noise.any():
            D[:, noise], largest[noise] = 0.0, 0.0
        moves = (largest > 0) & (~self.known | (largest > 2.0**_FAR))
        if not moves.any():
            self.largest = max(self.largest, highest)
            return None
        if (largest[moves] > LARGEST * self.factor[moves]).any():
            raise ValueError(too_large(largest > LARGEST * self.factor))
        tiny = moves & (largest < SMALLEST * self.factor)
        if tiny.any():
            raise ValueError(too_small(tiny))
        change = np.ones(len(self.factor))
        # a column that is new had only zeros so far, which any unit fits
        change[moves] = np.exp2(-np.ceil(np.log2(largest[moves])))
        self._scale = self._scale * np.append(change, 1.0)
        self.known = self.known | moves
        self.largest = max(self.largest, float((largest * change).max()))
        return change

    def original(self, theta: Array) -> Array:
        """Weights and intercept in the units of the data."""
        out = theta.copy()
        out[:-1] *= self.factor[:, None]
        out[-1] -= self.centre @ out[:-1]
        return out

    def of_original(self, theta: Array) -> Array:
        """Inverse of :meth:`original`."""
        out = theta.astype(np.float64)
        out[-1] += self.centre @ out[:-1]
        out[:-1] /= self.factor[:, None]
        return out


__all__ = ["LARGEST", "SMALLEST", "Frame"]

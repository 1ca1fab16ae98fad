r"""Sparse rows without the price of building a matrix for every batch.

A slice ``X[start:stop]`` of a CSR matrix is a new matrix: scipy copies the rows, checks them, and does it again for the
transpose. A step needs two products only. :class:`Slices` keeps one CSR and one CSC frame per batch size and points
them at the rows of the batch, so a batch of 256 short rows costs what its stored values cost. :class:`Halves` does the
same for all rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._threads import at_once

Array = np.ndarray
#: stored values from which each half of the rows gets a thread: SciPy's products leave the interpreter to others
HALVED = 1 << 20


class Slices:
    """Contiguous rows of a CSR matrix, for ``rows @ W`` and ``rows.T @ r``.

    The plain rule is ``X[start:stop]``. What is returned shares the arrays of `X`, and is valid until the next
    slice of the same length is taken.

    Parameters
    ----------
    X : sparse matrix or array of shape (n_rows, n_features)
        In CSR format.
    scales : ndarray of shape (n_features,), optional
        By what the values of each column are multiplied.
    """

    def __init__(self, X: Any, scales: Array | None = None) -> None:
        self.X, self.scales = X, scales
        self._frames: dict[int, Frames] = {}

    def __getitem__(self, batch: slice) -> Frames:
        X, start, stop = self.X, batch.start, batch.stop
        rows = self._frames.get(stop - start)
        if rows is None:
            rows = self._frames[stop - start] = Frames(stop - start, X.shape[1], X.dtype)
        first, last = X.indptr[start], X.indptr[stop]
        data, indices = X.data[first:last], X.indices[first:last]
        if self.scales is not None:
            data = data * self.scales.take(indices, mode="clip")
        rows.point(data, indices, X.indptr[start : stop + 1] - first)
        return rows


class Frames:
    """A CSR frame and its transpose as a CSC frame, over the same three arrays."""

    def __init__(self, n: int, d: int, dtype: Any) -> None:
        self.shape = (n, d)
        self._rows = sp.csr_matrix((n, d), dtype=dtype)
        self.T = sp.csc_matrix((d, n), dtype=dtype)

    def point(self, data: Array, indices: Array, indptr: Array) -> None:
        """Let both frames describe these rows."""
        self.data, self.indices, self.indptr = data, indices, indptr
        for frame in (self._rows, self.T):
            frame.data, frame.indices, frame.indptr = data, indices, indptr

    def __matmul__(self, W: Array) -> Array:
        return self._rows @ W


class Distinct:
    """Features that a batch stores, each once, and the position of each stored value's among them.

    Without a pass over all features: each leaves the number of its last value at its place.

    Parameters
    ----------
    d : int
        How many features there are.
    others : ndarray of int, optional
        Features that are there whether they are stored or not; they come last.
    """

    def __init__(self, d: int, others: Array | None = None) -> None:
        self.others = np.zeros(0, int) if others is None else others
        self._place, self._numbers = np.empty(d, np.intp), np.arange(0)

    def __call__(self, indices: Array) -> tuple[Array, Array]:
        every = np.concatenate([indices, self.others]) if self.others.size else indices
        if len(self._numbers) < len(every):
            self._numbers = np.arange(len(every))
        numbers = self._numbers[: len(every)]
        self._place[every] = numbers
        latest = self._place.take(every, mode="clip")
        last = (latest == numbers).nonzero()[0]
        rank = np.empty(len(every), np.int32)
        rank[last] = numbers[: len(last)]
        return every.take(last, mode="clip"), rank.take(latest[: len(indices)], mode="clip")


class Halves:
    """All rows of a CSR matrix, for ``rows @ W`` and ``rows.T @ r``, in two halves where they are many.

    The halves are the same on one thread and on two, so that sums are.

    Parameters
    ----------
    X : sparse matrix or array of shape (n_rows, n_features)
        In CSR format.
    """

    def __init__(self, X: Any) -> None:
        self.shape = X.shape
        n, stored = X.shape[0], int(X.indptr[-1])
        middle = int(np.searchsorted(X.indptr, stored // 2)) if stored >= HALVED else n
        self.parts = []
        for start, stop in ((0, middle), (middle, n)) if 0 < middle < n else ((0, n),):
            first, last = X.indptr[start], X.indptr[stop]
            part = Frames(stop - start, X.shape[1], X.dtype)
            part.point(X.data[first:last], X.indices[first:last], X.indptr[start : stop + 1] - first)
            self.parts.append(part)

    def __matmul__(self, W: Array) -> Array:
        if len(self.parts) == 1:
            return self.parts[0] @ W
        first, second = self.parts
        return np.concatenate(at_once(lambda: first @ W, lambda: second @ W))

    @property
    def T(self) -> Transposed:
        """The transpose, for products."""
        return Transposed(self)


class Transposed:
    """The transpose of two halves of rows."""

    def __init__(self, halves: Halves) -> None:
        self.halves = halves

    def __matmul__(self, r: Array) -> Array:
        parts = self.halves.parts
        if len(parts) == 1:
            return parts[0].T @ r
        first, second = parts
        n = first.shape[0]
        G, other = at_once(lambda: first.T @ r[:n], lambda: second.T @ r[n:])
        G += other
        return G


def square_norms(X: Any, mean: Array | None, inverse_scale: Any) -> Array:
    """Squared norm of each row of ``(X - mean) * inverse_scale``, or of `X` where `mean` is None.

    Parameters
    ----------
    X : sparse matrix in CSR format, or Frames
        Nothing becomes dense: what a row stores changes the norm of an empty row, ``sum((mean * inverse_scale)**2)``.
    mean : ndarray of shape (n_features,) or None
        Of the columns.
    inverse_scale : ndarray of shape (n_features, 1) or None
        Of the columns.

    Returns
    -------
    ndarray of shape (n_rows, 1)
    """
    squares, empty = X.data * X.data, 0.0
    if mean is not None:
        scale = inverse_scale[:, 0]
        values, mean = X.data * scale[X.indices], mean * scale
        # (x - mean)^2 - mean^2 = x (x - 2 mean)
        squares = values * (values - 2 * mean[X.indices])
        empty = float(mean @ mean)
    ones = np.ones((X.shape[1], 1), squares.dtype)
    return sp.csr_matrix((squares, X.indices, X.indptr), shape=X.shape) @ ones + empty


__all__ = ["HALVED", "Distinct", "Frames", "Halves", "Slices", "square_norms"]

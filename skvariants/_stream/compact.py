"""Rows of a stream that are kept: what is mostly zero is kept sparse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

Array = np.ndarray
# share of values that are not zero from which a column is kept dense
_DENSE = 0.5
# the same of all columns
_MOSTLY = 0.8
# rows in which a column differs from what it mostly is, at least, for a typical difference to be known
_FEWEST = 8
# numbers of a block of dense rows
_BLOCK = 1 << 20


class Rows:
    """Rows as a frame has them, centred: some columns dense, and of the others what differs from a row of zeros.

    Parameters
    ----------
    base : ndarray of shape (n_columns,)
        What a row of zeros is in these units.
    which : ndarray of int
        The dense columns.
    dense : ndarray of shape (n_rows, n_dense)
        These.
    rest : csr_array of shape (n_rows, n_columns) or None
        Of the other columns, rows minus `base`; None where there are none.
    """

    def __init__(self, base: Array, which: Array, dense: Array, rest: Any) -> None:
        self.base, self.which, self.dense, self.rest = base, which, dense, rest
        self.shape = dense.shape if rest is None else rest.shape

    @classmethod
    def of(cls, C: Array, base: Array) -> Rows:
        """The same rows; columns become sparse where that is shorter."""
        filled = np.count_nonzero(base != C, axis=0)
        if filled.sum() > _MOSTLY * C.size:
            return cls._split(C, base, np.arange(C.shape[1]))
        return cls._split(C, base, np.flatnonzero(filled > _DENSE * len(C)))

    @classmethod
    def _split(cls, C: Array, base: Array, which: Array) -> Rows:
        if len(which) == C.shape[1]:
            return cls(base, which, C, None)
        differs = base != C
        differs[:, which] = False
        begins = np.zeros(len(C) + 1, np.int32)
        np.cumsum(np.count_nonzero(differs, axis=1), out=begins[1:])
        indices = np.nonzero(differs)[1].astype(np.int32)
        return cls(base, which, C[:, which], sp.csr_array((C[differs] - base[indices], indices, begins), shape=C.shape))

    def joined(self, C: Array, base: Array) -> Rows:
        """With more rows."""
        if len(C) >= len(self):
            return Rows.of(np.concatenate([self.toarray(), C]), base)  # these know better which columns are sparse
        more = self._split(C, base, self.which)
        rest = None if self.rest is None else sp.vstack([self.rest, more.rest], format="csr")
        return Rows(base, self.which, np.concatenate([self.dense, more.dense]), rest)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Rows:
        return Rows(self.base, self.which, self.dense[rows], None if self.rest is None else self.rest[rows])

    @property
    def numbers(self) -> float:
        """Stored numbers of a row."""
        return float(self.dense.shape[1] + (0 if self.rest is None else self.rest.nnz / max(len(self), 1)))

    def times(self, change: Array) -> Rows:
        """In other units."""
        rest = None if self.rest is None else self.rest.copy()
        if rest is not None:
            rest.data = rest.data * change[rest.indices]
        return Rows(self.base * change, self.which, self.dense * change[self.which], rest)

    def toarray(self) -> Array:
        """All columns."""
        if self.rest is None:
            return self.dense
        C = self.rest.toarray()
        C += self.base
        C[:, self.which] = self.dense
        return C

    def parts(self) -> Iterator[tuple[slice, Array]]:
        """Blocks of them as dense rows, and where they are."""
        size = max(1, _BLOCK // self.shape[1])
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield part, self[part].toarray()

    @property
    def origin(self) -> Array:
        """What a row of zeros is in the sparse columns."""
        origin = self.base.copy()
        origin[self.which] = 0.0
        return origin

    def __matmul__(self, theta: Array) -> Array:
        if self.rest is None:
            return np.asarray(self.dense @ theta)
        out = np.asarray(self.rest @ theta)
        out += self.origin @ theta
        if len(self.which):
            out += self.dense @ theta[self.which]
        return out

    def typical_squares(self, weight: Array) -> Array:
        """Mean square of the differences of each column from what it mostly is; a few large ones count by their size.

        That is their share times the square of their mean, as of a normal column; inf where they are too few.
        """
        total, squares = float(weight.sum()), np.full(self.shape[1], np.inf)
        if not total > 0:
            return squares
        if len(self.which):
            middle = len(self) // 2
            # of two in the middle either will do, and takes half of the time of their mean
            off = np.abs(self.dense - np.partition(self.dense, middle, axis=0)[middle])
            differs = off > 0
            squares[self.which] = _typical(weight @ off, weight @ differs, differs.sum(axis=0), total)
        if self.rest is not None:
            sparse = np.setdiff1d(np.arange(self.shape[1]), self.which, assume_unique=True)
            column, each, n = self.rest.indices, np.repeat(weight, np.diff(self.rest.indptr)), self.shape[1]
            off, differs = (np.bincount(column, each * a, n) for a in (np.abs(self.rest.data), 1.0))
            squares[sparse] = _typical(off, differs, np.bincount(column, minlength=n), total)[sparse]
        return squares

    @property
    def T(self) -> Transposed:
        """For products from the other side."""
        return Transposed(self)

    def gram(self, weight: Array) -> Array:
        """``C' diag(weight) C``."""
        if self.rest is None:
            return np.asarray(self.dense.T @ (self.dense * weight[:, None]))
        rest, which, base = self.rest, self.which, self.origin
        weighted = rest.copy()
        weighted.data = weighted.data * np.repeat(weight, np.diff(rest.indptr))
        G = (rest.T @ weighted).toarray()
        sums, total = weighted.sum(axis=0), float(weight.sum())
        G += np.outer(base, sums + total * base) + np.outer(sums, base)
        D = self.dense * weight[:, None]
        across = rest.T @ D + np.outer(base, D.sum(axis=0))
        across[which] = self.dense.T @ D
        G[:, which] = across
        G[which] = across.T
        return np.asarray(G)


def _typical(off: Array, differs: Array, count: Array, total: float) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count < _FEWEST, np.inf, 0.5 * np.pi * off * off / (differs * total))


class Transposed:
    """Rows on their side."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __matmul__(self, values: Array) -> Array:
        rows = self.rows
        if rows.rest is None:
            return np.asarray(rows.dense.T @ values)
        out = rows.rest.T @ values + np.multiply.outer(rows.origin, values.sum(axis=0))
        out[rows.which] = rows.dense.T @ values
        return np.asarray(out)


__all__ = ["Rows"]

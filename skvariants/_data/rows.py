r"""Rows: what a table, a sparse matrix or a file gives to a training, in batches.

A training asks of its rows how many there are, what is stored of a batch in a given order, and one pass for
their moments. What is stored of the targets is what the task made of them (codes, or real values); features, targets
and weights of a batch come together. Whatever answers this can be trained on: :class:`Rows` is the interface, and
dense arrays, sparse matrices and memory maps are three answers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from skvariants._data.occurring import Occurring
from skvariants._data.scaling import Moments
from skvariants._data.shuffle import Shuffle, fetched

Array = np.ndarray
# rows are gathered in chunks that stay in the cache (in halves where several wait); from a disk, in larger ones
CHUNK_BYTES = 1 << 22
DISK_CHUNK_BYTES = 1 << 26
# a chunk of a sparse matrix that is made dense
DENSE_BYTES = 1 << 26
# columns up to which a sparse matrix, and a share of stored values from which, chunks are cheaper dense
_NARROW, _FILLED = 64, 0.1
# bytes of a table from which a second thread should fetch rows ahead
_LARGE = 1 << 24


class Rows(Protocol):
    """What a training asks of its rows.

    Steps in the rows' own order need `chunks` and the attributes alone; a race, and an order of each epoch's own, need
    some rows by number; quasi-Newton iterations hold the features, `X`, of a table (:class:`ArrayRows`).

    Attributes
    ----------
    n, d : int
        Rows and features.
    dtype : dtype
        Of features, weights, and parameters.
    y : ndarray of shape (n,) or (n, n_targets)
        What is stored of the targets.
    weight : ndarray of shape (n,) or None
        Weights of mean one.
    sparse : bool
        Whether chunks may be sparse.
    stored : int
        Stored values.
    large : bool
        Whether fetching rows ahead may pay.
    """

    n: int
    d: int
    dtype: Any
    y: Array
    weight: Array | None
    sparse: bool

    @property
    def stored(self) -> int:
        """Stored values."""

    @property
    def large(self) -> bool:
        """Whether fetching rows ahead may pay."""

    def chunks(
        self, batch_size: int, draw: Sequence[Any] | None = None, columns: int = 1, ahead: bool = False
    ) -> Iterator[tuple[Any, Array, Array | None]]:
        """One pass: features, targets and weights in chunks of whole batches."""

    def orders(self, batch_size: int) -> Shuffle:
        """What draws a new order for each epoch."""

    def features(self, index: Any, buffer: Array | None = None) -> Any:
        """Features of some rows."""

    def labels(self, index: Any) -> tuple[Array, Array | None]:
        """What is stored of targets and weights of some rows."""

    def take(self, index: Any) -> Rows:
        """Some rows, in memory, their weights of mean one."""

    def moments(self, moments: Moments | None = None, filling: int = 0) -> Moments:
        """Means and squared deviations of the features, added to those of other rows if there are any."""


class ArrayRows:
    """Rows of a dense array.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    y : ndarray of shape (n,) or (n, n_targets)
        What is stored of the targets.
    weight : ndarray of shape (n,), optional
        Weights of mean one.
    """

    sparse = False
    on_disk = False
    #: whether chunks are dense though the matrix is sparse
    densify = False

    def __init__(self, X: Any, y: Array, weight: Array | None = None) -> None:
        self.X, self.y, self.weight = X, y, weight
        self.n, self.d = X.shape
        self.dtype = X.dtype

    @property
    def stored(self) -> int:
        """Stored values."""
        return self.n * self.d

    @property
    def nbytes(self) -> int:
        """Bytes of the features."""
        return int(self.X.nbytes)

    @property
    def large(self) -> bool:
        """Whether fetching rows ahead may pay."""
        return self.nbytes >= _LARGE

    def labels(self, index: Any) -> tuple[Array, Array | None]:
        """What is stored of targets and weights of some rows."""
        return self.y[index], None if self.weight is None else self.weight[index]

    def features(self, index: Any, buffer: Array | None = None) -> Any:
        """Features of some rows, in `buffer` where there is one."""
        if isinstance(index, slice) or buffer is None:
            return self.X[index]
        return np.take(self.X, index, axis=0, out=buffer[: len(index)], mode="clip")

    def with_labels(self, y: Array, weight: Array | None) -> ArrayRows:
        """The same features with other targets and weights."""
        return type(self)(self.X, y, weight)

    def astype(self, dtype: Any) -> ArrayRows:
        """The same rows in another precision."""
        if self.dtype == dtype:
            return self
        weight = None if self.weight is None else self.weight.astype(dtype)
        y = self.y.astype(dtype) if self.y.dtype.kind == "f" else self.y
        return rows_of(self.X.astype(dtype), y, weight)

    def reweighted(self, factor: float) -> ArrayRows:
        """The same rows, all weights times a factor."""
        weight = np.ones(self.n, self.dtype) if self.weight is None else self.weight
        return self.with_labels(self.y, (weight * factor).astype(self.dtype))

    def take(self, index: Any) -> ArrayRows:
        """Some rows, in memory, their weights of mean one."""
        y, weight = self.labels(index)
        if weight is not None:
            weight = weight / max(weight.mean(), np.finfo(weight.dtype).tiny)
        return rows_of(self.features(index), y, weight)

    def dense(self, rows: slice = slice(None)) -> Array:
        """Features of some rows as a dense array."""
        return self.X[rows]

    def moments(self, moments: Moments | None = None, filling: int = 0) -> Moments:
        """Means and squared deviations of the features, added to those of other rows if there are any."""
        moments = Moments() if moments is None else moments.copy()
        moments.update(self.X, self.weight, filling)
        return moments

    # ------------------------------------------------------------------ an epoch

    def orders(self, batch_size: int) -> Shuffle:
        """What draws a new order of the rows, and of what is stored of targets and weights, for each epoch."""
        labels = (self.y, self.weight) if self.y.size == self.n else ()
        return Shuffle(self.n, batch_size, *labels)

    def chunks(
        self, batch_size: int, draw: Sequence[Any] | None = None, columns: int = 1, ahead: bool = False
    ) -> Iterator[tuple[Any, Array, Array | None]]:
        """One pass: features, targets and weights in chunks of whole batches.

        Parameters
        ----------
        batch_size : int
            Rows of a batch.
        draw : sequence of ndarray, optional
            The order, and targets and weights in it, as :meth:`orders` drew them; none for the rows' own order.
        columns : int, default=1
            Columns of the predictions, which take room too.
        ahead : bool, default=False
            Whether a second thread may fetch the next chunks.
        """
        size = self._chunk_rows(batch_size, columns, self._held(draw is not None and ahead))
        parts = [slice(start, min(self.n, start + size)) for start in range(0, self.n, size)]
        # the plain rule is features(order[part]); labels here and there would miss the cache each time
        if draw is None:
            for part in parts:
                yield self.features(part), *self.labels(part)
            return
        (order, *labels), held = draw, self._held(ahead)
        buffers = self._buffers(size, held)

        def fetch(i: int) -> Any:
            return self.features(order[parts[i]], buffers[i % held])

        for part, X in zip(parts, fetched(fetch, len(parts), held), strict=True):
            if labels:
                y, weight = labels
                yield X, y[part], None if weight is None else weight[part]
            else:
                yield X, *self.labels(order[part])

    def _held(self, ahead: bool) -> int:
        """Chunks that are in memory at the same time."""
        return 3 if ahead else 1

    def _budget(self, held: int) -> int:
        return CHUNK_BYTES // (2 if held > 2 else 1)

    @property
    def _row_numbers(self) -> float:
        """Numbers of a row: features, or stored values and their column numbers."""
        return float(self.d)

    def _chunk_rows(self, batch_size: int, columns: int, held: int) -> int:
        """Rows of a chunk, whole batches; target, prediction and derivative take room too."""
        row = self.dtype.itemsize * (self._row_numbers + 3 * columns)
        return max(1, int(self._budget(held) / row) // batch_size) * batch_size

    def _buffers(self, size: int, held: int) -> list[Any]:
        if size * self.d * self.dtype.itemsize > self._budget(held) + DENSE_BYTES:
            return [None] * held
        return [np.empty((min(size, self.n), self.d), self.dtype) for _ in range(held)]


class MappedRows(ArrayRows):
    """Rows of a memory map: read forwards, in large chunks."""

    on_disk = True

    def features(self, index: Any, buffer: Array | None = None) -> Any:
        if isinstance(index, slice):
            return self.X[index]
        # the plain rule is X[index]; a disk is read forwards, and the order of the draw restored in memory
        out = np.empty((len(index), self.d), self.dtype) if buffer is None else buffer[: len(index)]
        forwards = np.argsort(index)
        out[forwards] = self.X[index[forwards]]
        return out

    def _held(self, ahead: bool) -> int:
        return 2 if ahead else 1

    def _budget(self, held: int) -> int:
        return DISK_CHUNK_BYTES


class SparseRows(ArrayRows):
    """Rows of a matrix in CSR format; chunks of a narrow or well filled one come dense, which is cheaper."""

    sparse = True

    def __init__(self, X: Any, y: Array, weight: Array | None = None) -> None:
        super().__init__(X, y, weight)
        self.densify = self.d <= _NARROW or X.nnz > _FILLED * self.n * self.d

    @property
    def stored(self) -> int:
        return int(self.X.nnz)

    @property
    def nbytes(self) -> int:
        return int(self.X.data.nbytes)

    def features(self, index: Any, buffer: Array | None = None) -> Any:
        whole = isinstance(index, slice) and index.indices(self.n) == (0, self.n, 1)
        X = self.X if whole else self.X[index]
        if self.densify and X.shape[0] * self.d * self.dtype.itemsize <= DENSE_BYTES:
            return X.toarray() if buffer is None else X.toarray(out=buffer[: X.shape[0]])
        return X

    def dense(self, rows: slice = slice(None)) -> Array:
        return self.X[rows].toarray()

    def only(self, features: Occurring) -> SparseRows:
        """The same rows, without features that they do not store."""
        X = self.X
        numbers = np.searchsorted(features.numbers, X.indices).astype(X.indices.dtype, copy=False)
        shape = self.n, len(features.numbers)
        return SparseRows(sp.csr_array((X.data, numbers, X.indptr), shape=shape), self.y, self.weight)

    def _held(self, ahead: bool) -> int:
        return 2 if ahead else 1

    @property
    def _row_numbers(self) -> float:
        return float(self.d) if self.densify else 1.5 * self.X.nnz / self.n

    def _buffers(self, size: int, held: int) -> list[Any]:
        return super()._buffers(size, held) if self.densify else [None] * held


def is_memory_map(X: Any) -> bool:
    """Whether an array is a memory map, or a view of one."""
    while X is not None and not isinstance(X, np.memmap):
        X = getattr(X, "base", None)
    return X is not None


def is_lazy(value: Any) -> bool:
    """Whether a value is a dask collection, whose numbers are not there yet; without importing dask."""
    dask = sys.modules.get("dask")
    return dask is not None and hasattr(value, "__dask_graph__") and bool(dask.is_dask_collection(value))


def rows_of(X: Any, y: Array, weight: Array | None = None) -> ArrayRows:
    """Rows of an array, a sparse matrix or a memory map.

    Parameters
    ----------
    X : {ndarray, memory map, sparse matrix} of shape (n, d)
        Features; sparse ones in CSR format, without duplicates.
    y : ndarray of shape (n,) or (n, n_targets)
        What is stored of the targets.
    weight : ndarray of shape (n,), optional
        Weights of mean one.
    """
    if sp.issparse(X):
        return SparseRows(X, y, weight)
    if is_memory_map(X):
        return MappedRows(np.asarray(X), y, weight)
    return ArrayRows(np.asarray(X), y, weight)


__all__ = ["ArrayRows", "MappedRows", "Rows", "SparseRows", "is_lazy", "is_memory_map", "rows_of"]

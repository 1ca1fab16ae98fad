"""Tables that are never in memory as a whole: shards of rows, and an engine that runs functions on them.

A shard is ``(X, y, weight)``, or what an engine makes that of, or a run of such blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import column_or_1d

from skvariants._blocks.cluster import ByDask, OnCluster, client_of, delayed_blocks
from skvariants._blocks.engines import Engine, in_turn, listed, summed, tree
from skvariants._data.namespaces import at_hand, called, is_elsewhere, rows_elsewhere
from skvariants._data.rows import is_lazy, is_memory_map
from skvariants._data.validate import cells_named, row_weights

Array = np.ndarray
#: Bytes of a shard of a memory map, and most shards.
_SHARD, _SHARDS = 1 << 26, 64
#: Bytes that a fit in memory may take of its own: about so many a row, and the table.
_OWN, _ROW = 1 << 26, 128
#: Bytes of a block, which the second cache holds: the time of a pass is least from half to twice as many (one core of a
#: Xeon, 2,000,000 x 100 doubles: 107, 105, 113 ns a row, 78 to 88 of them the products).
_BLOCK = 1 << 20
#: Rows of a part, whose predictions are kept: 64 KiB of doubles, which the allocator keeps. Dask's workers are to give
#: back at once what is larger (MALLOC_TRIM_THRESHOLD_), and took 1.7 times as long with parts of 2^15 rows.
PART = 1 << 13

Shard = tuple[Any, Any, Any]


@dataclass(eq=False, repr=False)
class Table:
    """Rows in shards.

    Attributes
    ----------
    shards : list
        What the engine makes ``(X, y, weight)`` of.
    run : callable
        The engine.
    d : int
        Features.
    dtype : dtype
        What is calculated in.
    names : ndarray of str or None
        Names of the features.
    in_runs : bool
        Whether a shard is a run of blocks.
    kind : str
        What the rows are, where they are an array of another library.
    n : int or None
        Rows, where that is known before they are looked at.
    """

    shards: list[Any]
    run: Engine
    d: int
    dtype: Any
    names: Any = None
    in_runs: bool = False
    kind: str = ""
    n: int | None = None

    def total(self, function: Callable[..., Any], *args: Any) -> Any:
        """The sum of what a function says of each block."""
        if hasattr(self.run, "total"):
            return self.run.total(function, self.shards, *args)
        if self.in_runs:
            return tree(self.run(summed, self.shards, function, *args))
        return tree(self.run(function, self.shards, *args))

    def each(self, function: Callable[..., Any], *args: Any) -> Iterator[Any]:
        """What a function says of each block, in order."""
        if self.in_runs:
            return chain.from_iterable(self.run(listed, self.shards, function, *args))
        return iter(self.run(function, self.shards, *args))


def working_dtype(dtype: Any) -> Any:
    """Single precision is kept; all other numbers become doubles."""
    return np.dtype(np.float32) if dtype == np.float32 else np.dtype(np.float64)


def of_memory_map(X: Any, y: Any, weight: Any) -> Table | None:
    """A memory map as a table, where a fit in memory would need much memory; None for all that is checked elsewhere.

    Parameters
    ----------
    X, y, weight : object
        As the user gave them.
    """
    if sp.issparse(X) or not is_memory_map(X) or np.ndim(X) != 2 or X.dtype.kind not in "buif":
        return None
    n, d = X.shape
    if n * (X.dtype.itemsize * d + _ROW) <= _OWN or not d:
        return None
    y = np.asarray(y)
    weight = None if weight is None else np.asarray(weight)
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] < 2) or len(y) != n:
        return None
    if not (weight is None or weight.shape == (n,)):
        return None
    X = np.asarray(X)
    count = min(_SHARDS, -(-X.nbytes // _SHARD))
    bounds = np.linspace(0, n, count + 1).astype(int)
    shards = [(X[a:b], y[a:b], None if weight is None else weight[a:b]) for a, b in pairwise(bounds)]
    return Table(shards, in_turn, d, working_dtype(X.dtype), n=n)


def of_namespace(X: Any, y: Any, weight: Any) -> Table | None:
    """An array of another library as a table of one shard; None for all else.

    Parameters
    ----------
    X, y, weight : object
        As the user gave them.
    """
    if not is_elsewhere(X):
        return None
    rows, y, weight = rows_elsewhere(X), at_hand(y, "y"), at_hand(weight, "sample_weight")
    if is_lazy(y) or is_lazy(weight):
        raise TypeError("y or sample_weight is a dask collection, and X is none: call its compute() before.")
    if np.shape(y)[:1] != (len(rows),):
        raise ValueError(f"y has the shape {np.shape(y)} and X has {len(rows)} rows: give a target for each row.")
    y, weight = np.asarray(y), row_weights(weight, len(rows))
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return Table([(rows, y, weight)], in_turn, rows.shape[1], rows.dtype, kind=called(X), n=len(rows))


def features_of(X: Any) -> tuple[int, Any, Any]:
    """Number of features of a table, what they are calculated with in, and their names."""
    if not X.shape[1]:
        raise ValueError("X has no columns: give at least one feature.")
    if not hasattr(X, "columns"):
        if X.dtype.kind not in "buifOSU":
            raise ValueError(f"X has the dtype {X.dtype}: give real numbers.")
        return int(X.shape[1]), working_dtype(X.dtype), None
    columns = list(X.columns)
    for name, kind in zip(columns, X.dtypes, strict=True):
        if getattr(kind, "kind", "O") not in "buif":
            raise ValueError(
                f"X has the column {name!r} of dtype {kind}: give numbers, of categories a column for each."
            )
    dtype = working_dtype(np.float32 if all(kind == np.float32 for kind in X.dtypes) else np.float64)
    return len(columns), dtype, np.asarray(columns, object) if all(isinstance(name, str) for name in columns) else None


def of_dask(X: Any, y: Any, weight: Any, *beside: list[Any]) -> Table:
    """Collections of dask as a table, a shard for each block of rows.

    Parameters
    ----------
    X, y, weight : object
        As the user gave them; `y` and `weight` may be arrays where the lengths of the blocks are known.
    *beside : list
        What else goes with each block, after its weights.
    """
    if not isinstance(getattr(X, "ndim", None), int):  # of a delayed value any attribute is one
        raise TypeError(
            f"X is of type {type(X).__name__}, which is no dask array or data frame: make one of it, or give its "
            "blocks to skvariants.distributed.fit."
        )
    if not hasattr(X, "columns"):
        if np.ndim(X) != 2:
            raise ValueError(f"X has {np.ndim(X)} dimensions: give a table of shape (n_samples, n_features).")
        X = X.rechunk({1: -1})
    d, dtype, names = features_of(X)
    blocks = delayed_blocks(X)
    targets = _beside(y, "y", X, len(blocks))
    weights = [None] * len(blocks) if weight is None else _beside(weight, "sample_weight", X, len(blocks))
    shards = list(zip(blocks, targets, weights, *beside, strict=True))
    n = sum(X.chunks[0]) if hasattr(X, "chunks") else np.nan
    n = int(n) if n == n else None
    client = client_of(X)
    if client is None:
        return Table(shards, ByDask(), d, dtype, names, n=n)
    cluster = OnCluster(client)
    return Table(cluster.runs(shards), cluster, d, dtype, names, in_runs=True, n=n)


def _beside(value: Any, name: str, X: Any, count: int) -> list[Any]:
    """The blocks of targets or weights that go with those of the features."""
    if value is None or not getattr(value, "ndim", np.ndim(value)):
        raise ValueError(f"{name} is {value!r}, and X a dask collection: give one for each row.")
    lengths = X.chunks[0] if hasattr(X, "chunks") else (np.nan,)
    known = not np.isnan(lengths).any()
    if is_lazy(value):
        if known and hasattr(value, "rechunk") and not np.isnan(value.chunks[0]).any():
            if len(value) != sum(lengths):
                raise ValueError(f"{name} has {len(value)} rows and X has {sum(lengths)}: give one for each row.")
            value = value.rechunk({0: lengths})
        blocks = delayed_blocks(value)
        if len(blocks) == count:
            return blocks
        raise ValueError(
            f"{name} has {len(blocks)} blocks and X has {count}, of rows that are not counted: give both with the same "
            "blocks, such as columns of one data frame, or arrays of both after compute_chunk_sizes()."
        )
    if not known:
        raise ValueError(
            f"{name} is in memory, and the lengths of the blocks of X are not known: call X.compute_chunk_sizes() "
            f"before, or give {name} as a dask collection with the same blocks."
        )
    value = np.asarray(value)
    if len(value) != sum(lengths):
        raise ValueError(f"{name} has {len(value)} rows and X has {sum(lengths)}: give one for each row.")
    ends = np.cumsum(lengths)
    return [value[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def parts(shard: Shard, dtype: Any = np.float64) -> Iterator[tuple[Any, Array, Array | None]]:
    """A shard in parts, of as many targets and weights as go through loops without the interpreter being noticed.

    Parameters
    ----------
    shard : tuple
        Features, targets, weights.
    dtype : dtype, default=float64
        Of predictions: parts are as long as so many bytes of these allow.
    """
    rows = PART * 8 // np.dtype(dtype).itemsize
    y, weight = np.asarray(shard[1]), None if shard[2] is None else np.asarray(shard[2])
    X: Any = shard[0].tocsr() if sp.issparse(shard[0]) else getattr(shard[0], "iloc", shard[0])  # rows by their place
    for start in range(0, len(y), rows):
        some = slice(start, start + rows)
        yield X[some], y[some], None if weight is None else weight[some]


def blocks(X: Any, dtype: Any, numbers: int) -> Iterator[tuple[slice, Any]]:
    """Features of a part in blocks that stay in the cache, dense and in C order, and which rows these are.

    Parameters
    ----------
    X : {ndarray, sparse matrix, data frame, NamespaceRows} of shape (n_rows, n_features)
        Features; those of another library stay where they are.
    dtype : dtype
        What they are calculated with in.
    numbers : int
        Numbers that are needed for a row.
    """
    rows = max(64, getattr(X, "block_bytes", _BLOCK) // (np.dtype(dtype).itemsize * numbers))
    X = X.to_numpy() if hasattr(X, "iloc") else X
    made = np.ascontiguousarray if X.dtype.kind in "fiub" else _numbers
    sparse, elsewhere = sp.issparse(X), hasattr(X, "namespace")
    for start in range(0, X.shape[0], rows):
        some = slice(start, min(start + rows, X.shape[0]))
        if elsewhere:
            yield some, X[some].in_floats()
        else:
            yield some, made(X[some].toarray() if sparse else X[some], dtype)


def _numbers(block: Array, dtype: Any) -> Array:
    """Objects or text as numbers, if they are some."""
    with cells_named(block):
        return np.ascontiguousarray(block, dtype)


__all__ = [
    "PART", "Shard", "Table", "blocks", "features_of", "in_turn", "of_dask", "of_memory_map", "of_namespace", "parts",
    "working_dtype",
]  # fmt: skip

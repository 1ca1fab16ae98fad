"""Tables in batches, which `fit_batches` of the estimators reads as often as it needs.

Any iterable of ``(X, y)`` or ``(X, y, sample_weight)`` does, or a callable that makes one. The classes here can do
more: they give targets alone, rows from all over the table, and what follows a batch, which spares passes.
"""

from __future__ import annotations

import glob
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._blocks.survey import places, scattered
from skvariants._component import OneOf, check, integers, refused, shown
from skvariants._data.rows import is_memory_map

Array = np.ndarray
#: Row groups of which a sample is made, at least: neighbours in a file may be alike.
_GROUPS = 8
#: Rows that are read for each that is taken.
_OVER = 2
#: Rows that are turned from columns into rows at a time: what was written is in the cache when its neighbours are. Of
#: 10, 100 and 400 single columns a number took 0.6, 1.6 and 2.1 ns; by 1,024 rows 0.9, 1.9 and 2.2, all at once 0.5,
#: 1.8 and 2.9.
_TURNED = 1 << 12
#: Batches that are read ahead.
_AHEAD = 2


class ArrayBatches:
    """An array, a memory map, a sparse matrix or a data frame in batches.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Rows, which stay where they are.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Their weights.
    rows : int, default=65_536
        Rows of a batch.
    transform : callable, default=None
        Makes features of the rows of a batch, such as ``pipeline[:-1].transform`` of fitted steps.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skvariants import SGDVariantClassifier
    >>> from skvariants.batches import ArrayBatches
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), SGDVariantClassifier())
    >>> scaler = pipeline[:-1].fit(X[:100])
    >>> _ = pipeline[-1].fit_batches(ArrayBatches(X, y, rows=100, transform=scaler.transform))
    >>> pipeline.score(X, y) > 0.97
    True
    """

    def __init__(
        self, X: Any, y: Any, sample_weight: Any = None, *, rows: int = 65_536,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        check("rows", rows, integers(1))
        X = X if hasattr(X, "shape") else np.asarray(X)
        self.X: Any = X.tocsr() if sp.issparse(X) else X
        self.y = np.asarray(y)
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        self.rows, self.transform = rows, transform
        for name, value in (("y", self.y), ("sample_weight", self.sample_weight)):
            if value is not None and value.shape[:1] != X.shape[:1]:
                raise ValueError(f"{name} has the shape {value.shape} and X {X.shape}: give one for each row.")

    def __iter__(self) -> Iterator[Any]:
        """Batches in the order of the rows."""
        return self.following(0)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-int(self.X.shape[0]) // self.rows)

    def __repr__(self) -> str:
        shape = " x ".join(f"{n:,}" for n in self.X.shape)
        return f"ArrayBatches(X of {shape}, in batches of {self.rows:,} rows)"

    def following(self, number: int) -> Iterator[Any]:
        """Batches from a number on.

        Parameters
        ----------
        number : int
            Of the first.

        Yields
        ------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Features.
        y : ndarray of shape (n_rows,)
            Targets.
        sample_weight : ndarray of shape (n_rows,) or None
            Their weights.
        """
        for start in range(number * self.rows, self.X.shape[0], self.rows):
            some = slice(start, start + self.rows)
            X = getattr(self.X, "iloc", self.X)[some]
            yield (X if self.transform is None else self.transform(X), *self._beside(some))

    def targets(self) -> Iterator[tuple[Any, Any]]:
        """Targets and weights of all batches, without their features.

        Yields
        ------
        y : ndarray of shape (n_rows,)
            Targets.
        sample_weight : ndarray of shape (n_rows,) or None
            Their weights.
        """
        for start in range(0, self.X.shape[0], self.rows):
            yield self._beside(slice(start, start + self.rows))

    def sample(self, share: float) -> Iterator[Any]:
        """Rows from all over the table, the same ones each time.

        Parameters
        ----------
        share : float
            Of all rows, about.

        Yields
        ------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Features.
        y : ndarray of shape (n_rows,)
            Targets.
        sample_weight : ndarray of shape (n_rows,) or None
            Their weights.
        """
        at = (places if is_memory_map(self.X) else scattered)(self.X.shape[0], share)
        X = getattr(self.X, "iloc", self.X)[at]
        yield (X if self.transform is None else self.transform(X), *self._beside(at))

    def _beside(self, some: Any) -> tuple[Any, Any]:
        return self.y[some], None if self.sample_weight is None else self.sample_weight[some]


class ParquetBatches:
    """Parquet files in batches, read ahead by a thread; memory is that of a few batches.

    It needs PyArrow (``pip install skvariants[arrow]``). Files are read without `pre_buffer`, which would keep all of
    them.

    Parameters
    ----------
    paths : str, path, or list of them
        Files, directories whose ``*.parquet`` are read in the order of their names, or patterns such as
        ``"sales/2026-*.parquet"``, in which ``**`` stands for directories.
    target : str
        Column of the targets.
    features : list of str, default=None
        Columns of the features; None for all others.
    sample_weight : str, default=None
        Column of the weights.
    rows : int, default=65_536
        Rows of a batch.
    dtype : {"float32", "float64"}, default=None
        Of the features; None for the smaller that holds the columns of the first file as they are: single precision
        for floats of at most 32 and integers of at most 16 bits. "float32" halves the memory, and rounds the others.
    transform : callable, default=None
        Makes features of a data frame of pandas that holds the columns of a batch, such as ``pipeline[:-1].transform``
        of fitted steps; columns may then be of any kind.

    Attributes
    ----------
    feature_names : ndarray of str or None
        Names of the features; None with `transform`.
    n_rows : int
        Rows of all files.
    """

    def __init__(
        self, paths: Any, target: str, *, features: Sequence[str] | None = None, sample_weight: str | None = None,
        rows: int = 65_536, dtype: Any = None, transform: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        check("rows", rows, integers(1))
        with refused("dtype", dtype, "Give 'float32', 'float64' or None."):
            known = dtype is None or np.dtype(dtype) in (np.float32, np.float64)
        if not known:
            raise ValueError(f"dtype={shown(dtype)} is not accepted: give 'float32', 'float64' or None.")
        check("target", target, OneOf(str))
        check("sample_weight", sample_weight, OneOf(None, str))
        with refused("features", features, "Give a list of names of columns, or None."):
            asked = None if features is None else list(features)
            if isinstance(features, str) or not all(isinstance(name, str) for name in asked or ()):
                raise TypeError("it is no list of strings")
        self.paths, self.target, self.sample_weight = _files(paths), target, sample_weight
        self.rows, self.transform = rows, transform
        with self._open(self.paths[0]) as file:
            schema = file.schema_arrow
        beside = {target, sample_weight}
        self.features = [name for name in schema.names if name not in beside] if asked is None else asked
        if not self.features:
            raise ValueError(f"{self.paths[0]} has no column beside {target!r}: give the columns of features.")
        #: rows of each row group, file by file
        self.groups: list[list[int]] = []
        for path in self.paths:
            with self._open(path) as file:
                self._check(path, file.schema_arrow)
                self.groups.append([
                    file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)
                ])  # fmt: skip
        self.n_rows = sum(map(sum, self.groups))
        self.dtype = np.dtype(_precision(schema, self.features) if dtype is None else dtype)
        self.feature_names = np.array(self.features, dtype=object) if transform is None else None

    def __iter__(self) -> Iterator[Any]:
        """Batches in the order of the files."""
        return self.following(0)

    def __repr__(self) -> str:
        what = repr(self.paths[0]) if len(self.paths) == 1 else f"{len(self.paths):,} files"
        shape = f"{self.n_rows:,} rows, {len(self.features):,} features"
        return f"ParquetBatches({what}, target={self.target!r}, {shape}, in batches of {self.rows:,} rows)"

    def following(self, number: int) -> Iterator[Any]:
        """Batches from a number on; files before it are not opened.

        Parameters
        ----------
        number : int
            Of the first.

        Returns
        -------
        iterator
            Features, targets, and weights or None, of each.
        """
        return _ahead(self._read(number), _AHEAD)

    def targets(self) -> Iterator[tuple[Any, Any]]:
        """Targets and weights of all batches, without their features.

        Yields
        ------
        y : ndarray of shape (n_rows,)
            Targets.
        sample_weight : ndarray of shape (n_rows,) or None
            Their weights.
        """
        columns = [name for name in (self.target, self.sample_weight) if name is not None]
        for path in self.paths:
            with self._open(path) as file:
                for batch in file.iter_batches(self.rows, columns=columns):
                    yield self._beside(batch)

    def sample(self, share: float) -> Iterator[Any]:
        """Rows of row groups from all over the files, the same ones each time.

        Parameters
        ----------
        share : float
            Of all rows, about.

        Yields
        ------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Features.
        y : ndarray of shape (n_rows,)
            Targets.
        sample_weight : ndarray of shape (n_rows,) or None
            Their weights.
        """
        flat = [(path, i, n) for path, of in zip(self.paths, self.groups, strict=True) for i, n in enumerate(of)]
        wanted, mean = share * self.n_rows, self.n_rows / max(1, len(flat))
        count = min(len(flat), max(_GROUPS, int(np.ceil(_OVER * wanted / max(mean, 1.0)))))
        some = [flat[i] for i in np.unique(np.linspace(0, len(flat) - 1, count).round().astype(int))]
        part = min(1.0, wanted / max(1, sum(n for _, _, n in some)))
        for path, group, _ in some:
            with self._open(path) as file:
                for batch in file.iter_batches(self.rows, row_groups=[group], columns=self._columns()):
                    X, y, weight = self._made(batch)
                    at = scattered(len(y), part)
                    yield getattr(X, "iloc", X)[at], y[at], None if weight is None else weight[at]

    # ------------------------------------------------------------------ files

    def _open(self, path: str) -> Any:
        try:
            from pyarrow import ArrowInvalid
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise ImportError("ParquetBatches needs PyArrow: pip install skvariants[arrow].") from error
        try:
            return ParquetFile(path, pre_buffer=False)
        except ArrowInvalid as error:
            raise ValueError(
                f"{path} is no Parquet file ({error}): leave it out of paths, or write it anew."
            ) from error
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"There is no file {path!r}: give the path of one, a directory or a pattern."
            ) from error

    def _columns(self) -> list[str]:
        beside = [name for name in (self.target, self.sample_weight) if name is not None]
        return list(dict.fromkeys([*self.features, *beside]))

    def _check(self, path: str, schema: Any) -> None:
        """Refuse columns that are not there, and those that are no numbers."""
        import pyarrow.types as kinds

        asked = {"features": self.features, "target": [self.target], "sample_weight": [self.sample_weight]}
        for argument, names in asked.items():
            absent = [name for name in names if name is not None and name not in schema.names]
            if absent:
                raise ValueError(
                    f"{path} has no column {shown(absent)}, which {argument} names: it has "
                    f"{shown(list(schema.names))}. Name some of these, or leave the file out."
                )
        for name in self.features if self.transform is None else ():
            kind = schema.field(name).type
            if not (kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind)):
                raise ValueError(
                    f"{path} has the column {name!r} of type {kind}, which are no numbers: leave it out by features=, "
                    "or encode it by transform=, with the fitted steps of a pipeline."
                )

    def _read(self, number: int) -> Iterator[Any]:
        """Batches of all files, one after the other."""
        for path, of in zip(self.paths, self.groups, strict=True):
            count = -(-sum(of) // self.rows)
            if number >= count:
                number -= count
                continue
            with self._open(path) as file:
                for i, batch in enumerate(file.iter_batches(self.rows, columns=self._columns())):
                    if i >= number:
                        yield self._made(batch)
            number = 0

    def _made(self, batch: Any) -> tuple[Any, Any, Any]:
        if self.transform is not None:
            return self.transform(batch.select(self.features).to_pandas()), *self._beside(batch)
        columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.features]
        X = np.empty((batch.num_rows, len(columns)), self.dtype)
        for start in range(0, len(X), _TURNED):
            some = slice(start, start + _TURNED)
            for j, values in enumerate(columns):
                X[some, j] = values[some]
        return X, *self._beside(batch)

    def _beside(self, batch: Any) -> tuple[Any, Any]:
        y = batch.column(self.target)
        y = (y.dictionary_decode() if hasattr(y, "dictionary_decode") else y).to_numpy(zero_copy_only=False)
        if self.sample_weight is None:
            return y, None
        return y, batch.column(self.sample_weight).to_numpy(zero_copy_only=False)


def _precision(schema: Any, features: Sequence[str]) -> Any:
    """The smaller type that holds all columns as they are."""
    import pyarrow.types as kinds

    def is_short(kind: Any) -> bool:
        if kinds.is_boolean(kind):
            return True
        return kinds.is_primitive(kind) and kind.bit_width <= (32 if kinds.is_floating(kind) else 16)

    return np.float32 if all(is_short(schema.field(name).type) for name in features) else np.float64


def _files(paths: Any) -> list[str]:
    """Files that are meant."""
    found: list[str] = []
    with refused("paths", paths, "Give a path, or a list of paths."):
        given = [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        if any(isinstance(path, bytes) for path in given):
            raise TypeError("paths are strings")
    for path in given:
        if Path(path).is_dir():
            inside = sorted(map(str, Path(path).glob("*.parquet")))
        elif not Path(path).exists() and glob.has_magic(path):
            inside = sorted(glob.glob(path, recursive=True))
        else:
            inside = [path]
        if not inside:
            raise ValueError(
                f"{path} of paths holds no file *.parquet: give such files, directories of them, or a pattern."
            )
        found += inside
    if not found:
        raise ValueError("paths names no file: give at least one.")
    return found


def _ahead(batches: Iterator[Any], count: int) -> Iterator[Any]:
    """The same, so many of them made ahead by a thread, which ends when no more are asked for."""
    made: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(count)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                made.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put((batch, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:  # whoever asks for the batch hears of it
            put((None, error))

    thread = threading.Thread(target=work, daemon=True, name="skvariants-batches")
    thread.start()
    try:
        while True:
            batch, error = made.get()
            if error is not None:
                if isinstance(error, StopIteration):
                    return
                raise error
            yield batch
    finally:
        stop.set()
        thread.join()


__all__ = ["ArrayBatches", "ParquetBatches"]


def __dir__() -> list[str]:
    return list(__all__)

"""Rows in the arrays of another library, which stay where they are: what is asked of them are slices and products.

With scikit-learn's ``array_api_dispatch`` the products of a pass are made by the array's own library, on its device.
What goes there are weights and slopes, a number for each row and column; what comes back are predictions, gradients and
Hessians. Of the array API standard that takes ``@``, ``*``, ``-``, ``T``, slices, ``asarray``, ``concat`` and ``take``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import get_config

Array = np.ndarray
#: Bytes of a block: a call of another library takes longer than one of NumPy.
_BLOCK = 1 << 24
#: Rows whose predictions are made at a time.
_ROWS = 1 << 16
#: What integers become.
_EXACT = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Namespace:
    """The library of an array, and where it is.

    Parameters
    ----------
    X : array
        Any that the library has made.
    """

    def __init__(self, X: Any) -> None:
        if hasattr(X, "__array_namespace__"):
            self.xp = X.__array_namespace__()
        else:  # PyTorch, and CuPy before version 14
            self.xp = sys.modules[type(X).__module__.partition(".")[0]]
        self.device = X.device

    def given(self, values: Array) -> Any:
        """Numbers of NumPy as an array there."""
        values = np.require(values, requirements=["C", "W"])
        try:
            return self.xp.asarray(values, device=self.device)
        except TypeError:  # CuPy has no such argument, and devices that can be entered
            with self.device:
                return self.xp.asarray(values)

    def as_given(self, predictions: Any) -> Any:
        """Predictions as an array there; labels that are no numbers, and sparse tables, stay as they are."""
        kept = sp.issparse(predictions) or predictions.dtype.kind not in "buif"
        return predictions if kept else self.given(predictions)

    def doubles(self, x: Any) -> Any:
        """An array in double precision."""
        dtype = self.given(np.zeros(1)).dtype
        if hasattr(x, "to"):
            return x.to(dtype)
        return x.astype(dtype) if hasattr(x, "astype") else self.xp.astype(x, dtype)

    def beside(self, *tables: Any) -> Any:
        """Columns of several tables in one."""
        join = getattr(self.xp, "concat", None) or self.xp.concatenate  # the name before NumPy 2
        return join(tables, axis=1)

    def taken(self, x: Any, index: Array) -> Any:
        """Some rows of an array."""
        index = self.given(index)
        return self.xp.index_select(x, 0, index) if hasattr(x, "index_select") else self.xp.take(x, index, axis=0)


class NamespaceRows:
    """A table of another library, with the operators of NumPy's arrays as far as a pass needs them.

    Operands are arrays of NumPy or tables of the same library; results of products are arrays of NumPy.

    Parameters
    ----------
    values : array of shape (n_rows, n_features)
        Of another library.
    dtype : dtype
        What is calculated in.
    namespace : Namespace
        Its library.
    """

    ndim, block_bytes = 2, _BLOCK

    def __init__(self, values: Any, dtype: Any, namespace: Namespace) -> None:
        self.values, self.dtype, self.namespace = values, np.dtype(dtype), namespace

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return int(self.values.shape[0]), int(self.values.shape[1])

    @property
    def T(self) -> NamespaceRows:
        """Rows as columns."""
        return self._like(self.values.T)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NamespaceRows:
        """Some rows, by a slice or by their numbers."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))  # the standard has none beyond the end
            return self._like(self.values[start:stop, :])
        return self._like(self.namespace.taken(self.values, rows))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(read(self.values), dtype)

    def __mul__(self, factors: Array) -> NamespaceRows:
        return self._like(self.values * self._there(factors))

    def __matmul__(self, weights: Any) -> Array:
        """Predictions, some rows at a time."""
        weights = weights.toarray() if sp.issparse(weights) else weights
        out = np.empty((len(self), weights.shape[1]), self.dtype)
        for start in range(0, len(self), _ROWS):
            some = slice(start, start + _ROWS)
            part, z = self[some], out[some]
            part.in_floats().dot(weights, out=z)
            if not (np.isfinite(z).all() or np.isfinite(np.asarray(part)).all()):
                raise ValueError(
                    "Input X contains NaN or infinity. Give a table of finite numbers of shape (n_samples, n_features)."
                )
        return out

    def dot(self, other: Any, out: Array | None = None) -> Array:
        """The product with a matrix, as :func:`numpy.dot`."""
        product = read(self.values @ self._there(other))
        if out is None:
            return product
        out[...] = product
        return out

    def in_floats(self) -> NamespaceRows:
        """The same in what is calculated in, which whole numbers have to become."""
        return self if _name(self.values.dtype) == self.dtype.name else self._like(self.namespace.doubles(self.values))

    def standardised(self, mean: Array, factor: Array) -> NamespaceRows:
        """Rows less a mean, times a factor; a column of ones as last."""
        C = (self.values - self._there(mean[None])) * self._there(factor[None])
        return self._like(self.namespace.beside(C, self._there(np.ones((len(self), 1)))))

    def _there(self, other: Any) -> Any:
        """An operand as an array of this library, of the same dtype."""
        return other.values if hasattr(other, "namespace") else self.namespace.given(np.asarray(other, self.dtype))

    def _like(self, values: Any) -> NamespaceRows:
        return NamespaceRows(values, self.dtype, self.namespace)


def is_elsewhere(value: Any) -> bool:
    """Whether a value is an array of another library that stays one, as scikit-learn's ``array_api_dispatch`` asks."""
    return (
        hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray) and hasattr(value, "device")
        and bool(get_config()["array_api_dispatch"])
    )  # fmt: skip


def called(value: Any) -> str:
    """What an array of another library is, for a sentence."""
    kind = type(value)
    return f"an array of {kind.__module__.partition('.')[0]} on the device {str(value.device)!r}"


def rows_elsewhere(X: Any) -> Any:
    """Features as rows that stay where they are; anything else as it is.

    Raises
    ------
    TypeError or ValueError
        If they are no dense table of real numbers.
    """
    if not is_elsewhere(X):
        return X
    if len(X.shape) != 2 or not X.shape[1]:
        raise ValueError(
            f"X has the shape {tuple(X.shape)}: give a table of shape (n_samples, n_features), with a feature at least."
        )
    if getattr(X, "is_sparse", False) or str(getattr(X, "layout", "strided")).rpartition(".")[2] != "strided":
        raise TypeError(f"X is {called(X)}, and sparse: give X.to_dense(), or a sparse matrix of SciPy.")
    name = _name(X.dtype)
    if name not in ("float32", "float64", *_EXACT):
        raise TypeError(
            f"X is {called(X)}, of dtype {X.dtype}: give float32 or float64, as X.float() or X.double() of a tensor."
        )
    namespace = Namespace(X)
    if not hasattr(namespace.xp, "asarray"):
        raise TypeError(f"X is {called(X)}, a library without the array API standard: give numpy.asarray(X).")
    at_hand(X[: min(1, X.shape[0]), :], "X")  # whether NumPy can read what comes back
    X = X.detach() if hasattr(X, "detach") else X
    return NamespaceRows(X, np.float32 if name == "float32" else np.float64, namespace)


def at_hand(value: Any, name: str) -> Any:
    """Targets or weights of another library as an array of NumPy; anything else as it is.

    Raises
    ------
    TypeError
        Naming the argument, if NumPy has no such numbers.
    """
    if not is_elsewhere(value):
        return value
    try:
        return read(value)
    except Exception as error:
        raise TypeError(
            f"{name} is {called(value)}, of dtype {value.dtype}, which is not accepted: {str(error).rstrip('.!')}. "
            "Give numbers that NumPy has."
        ) from error


def read(value: Any) -> Array:
    """An array of another library as one of NumPy."""
    for step in ("detach", "cpu", "get"):
        if not isinstance(value, np.ndarray) and hasattr(value, step):
            value = getattr(value, step)()
    try:
        return np.asarray(value)
    except RuntimeError:  # it is on another device, and NumPy may fetch it
        return np.from_dlpack(value)


def _name(dtype: Any) -> str:
    """The name of a dtype, whatever the library."""
    return str(dtype).rpartition(".")[2]


__all__ = ["NamespaceRows", "at_hand", "called", "is_elsewhere", "read", "rows_elsewhere"]

"""Predictions for dask collections, which stay where they are; and scores as sums over their blocks."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skvariants._blocks.cluster import as_partitioned
from skvariants._blocks.survey import checked
from skvariants._blocks.table import Shard, of_dask
from skvariants._data.namespaces import rows_elsewhere
from skvariants._data.rows import is_lazy
from skvariants._data.scaling import Moments
from skvariants._data.tasks import Regression
from skvariants._data.validate import row_weights

Array = np.ndarray
Method = TypeVar("Method", bound=Callable[..., Any])


def by_block(method: Method) -> Method:
    """Decorate a method of an estimator that predicts rows, wherever they are.

    Those of a dask collection are predicted when asked for; what is predicted for an array of another library is one.
    """

    @functools.wraps(method)
    def wrapped(self: Any, X: Any) -> Any:
        if is_lazy(X):
            return predicted(self, method.__name__, X)
        rows = rows_elsewhere(X)
        return method(self, X) if rows is X else rows.namespace.as_given(method(self, rows))

    return cast("Method", wrapped)


def predicted(model: Any, method: str, X: Any) -> Any:
    """A dask array of the predictions of a model as it is now.

    Parameters
    ----------
    model : estimator
        A fitted one.
    method : str
        Name of the method that predicts.
    X : dask array or data frame
        Rows.
    """
    check_is_fitted(model)
    model = copy.copy(model)  # another fit of the user's changes nothing of what was asked for
    if hasattr(X, "columns"):
        import pandas as pd  # which dask's frames are made of

        row = pd.DataFrame(np.zeros((1, len(X.columns))), columns=list(X.columns))
        example = getattr(model, method)(row)[:0]
        with as_partitioned():
            return X.map_partitions(_of_block, model, method, example, meta=example)
    if np.ndim(X) != 2:
        raise ValueError(f"X has {np.ndim(X)} dimensions: give a table of shape (n_samples, n_features).")
    example = getattr(model, method)(np.zeros((1, X.shape[1]), X.dtype))[:0]
    if hasattr(model, "feature_names_in_"):  # an array has no names, which was said once
        del model.feature_names_in_
    X = X.rechunk({1: -1})
    shape = {"drop_axis": 1} if example.ndim == 1 else {"chunks": (X.chunks[0], (example.shape[1],))}
    return X.map_blocks(_of_block, model, method, example, dtype=example.dtype, meta=example, **shape)


def _of_block(X: Any, model: Any, method: str, example: Any) -> Any:
    return getattr(model, method)(X) if X.shape[0] else example


# ---------------------------------------------------------------------- scores


def accuracy(predict: Callable[[Any], Any], X: Any, y: Any, weight: Any) -> float:
    """Share of the rows, by weight, whose labels are predicted."""
    right, total = of_dask(X, y, weight).total(_right, predict)
    return float(right / total)


def _right(shard: Shard, predict: Callable[[Any], Any]) -> Array:
    X, y, weight = shard
    if not X.shape[0]:
        return np.zeros(2)
    same: Any = np.asarray(predict(X) == np.asarray(y))
    same = same.all(axis=1) if same.ndim == 2 else same
    w = row_weights(weight, len(same))
    return np.array([same.sum(), len(same)], float) if w is None else np.array([w @ same, w.sum()])


def explained(linear: Callable[[Any], Array], X: Any, y: Any, weight: Any, loss: Any) -> float:
    """R2 of predictions on the scale of a loss, or the fraction of deviance explained; mean over the targets."""
    table, moments, left = of_dask(X, y, weight), Moments(), 0.0
    for known, lost in table.each(_left, linear, loss):
        moments.merge(known)
        left = left + lost
    total = moments.squares
    if loss.deviance:
        y = np.atleast_2d(moments.mean)
        total = table.total(_of_constant, loss.fit_intercept_only(y, np.ones(y.shape)), loss)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(total > 0, 1 - left / total, left == 0).mean())


def _targets(shard: Shard) -> tuple[Array, Array]:
    y = checked(shard[1], Regression()).astype(np.float64)
    w = row_weights(shard[2], len(y))
    return y.reshape(len(y), -1), np.ones(len(y)) if w is None else w


def _left(shard: Shard, linear: Callable[[Any], Array], loss: Any) -> tuple[Moments, Any]:
    """Moments of the targets, and what predictions leave of them."""
    moments = Moments()
    if not shard[0].shape[0]:
        return moments, 0.0
    y, w = _targets(shard)
    moments.update(y, w)
    z = linear(shard[0]).astype(np.float64)
    losses = loss.value(np.broadcast_to(y, z.shape).copy(), z) if loss.deviance else (y - loss.inverse_link(z)) ** 2
    return moments, w @ losses


def _of_constant(shard: Shard, z: Array, loss: Any) -> Any:
    """Deviance of the targets from a constant model."""
    if not shard[0].shape[0]:
        return 0.0
    y, w = _targets(shard)
    return w @ loss.value(y, np.repeat(z[None], len(y), axis=0))


__all__ = ["accuracy", "by_block", "explained"]

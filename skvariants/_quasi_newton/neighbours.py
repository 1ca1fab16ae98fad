"""Metrics of models beside each other, whose penalties are of nearly the same strength."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._quasi_newton import costs
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Plan, finished, l2_strengths, sampled_hessian
from skvariants._training.problem import columns_of

Array = np.ndarray
# models that share the Hessian of their loss
_SHARED = 4


def shared_factors(batch: StageBatch, theta: Array) -> Array | None:
    """Factors of the Hessian of each column, shape ``(n_features + 1, n_features + 1, n_columns)``.

    That of the loss is one for a few neighbours, that of the penalty is each column's own. None where factors are not
    what models of this kind begin with.

    Parameters
    ----------
    batch : StageBatch
        All rows.
    theta : ndarray of shape (n_features + 1, n_columns)
        Models in the order of their strengths. Columns of one model have a Hessian each, unless that is too much.
    """
    p, (size, k), width = batch.problem, theta.shape, batch.width
    c = costs.Costs(batch.n, size, p.rows.stored, width)
    rows = c.sample(1, brief=True)
    much = c.hessian(rows, 1, False) > c.affordable or k * size * size * 8 > costs.HESSIAN_BYTES
    if batch.d > costs.FACTORED or not p.penalty.elastic or p.loss.columns_per_model > 1 or (width > 1 and much):
        return None
    n_models = k // width
    models = np.minimum(np.arange(0, n_models, _SHARED) + _SHARED // 2, n_models - 1)
    chosen = columns_of(models, width)
    some = StageBatch(p.take(chosen), width, order=batch.order)
    at = np.ascontiguousarray(theta[:, chosen])
    hessians: list[Any] = sampled_hessian(some, some.predict(at), Plan(rows), np.zeros(len(chosen)), False).matrices
    l2 = l2_strengths(p.penalty, batch.d, k)
    factors = np.empty((size, size, k))
    for j in range(k):
        other, more = j // width // _SHARED * width + j % width, np.zeros((size, 1))
        more[:-1, 0] = l2[:, j] - l2[:, chosen[other]]
        factors[..., j] = finished(hessians[other].copy(), more, p.fit_intercept, theta.dtype, True)
    return factors


__all__ = ["shared_factors"]

"""Metrics of models beside each other, whose penalties are of nearly the same strength."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._quasi_newton import costs
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Plan, finished, l2_strengths, sampled_hessian

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
        Models in the order of their strengths.
    """
    p, (size, k) = batch.problem, theta.shape
    if batch.width > 1 or batch.d > costs.FACTORED or not p.penalty.elastic:
        return None
    chosen = np.minimum(np.arange(0, k, _SHARED) + _SHARED // 2, k - 1)
    rows = costs.Costs(batch.n, size, p.rows.stored, 1).sample(1, brief=True)
    some = StageBatch(p.take(chosen), 1, order=batch.order)
    at = np.ascontiguousarray(theta[:, chosen])
    hessians: list[Any] = sampled_hessian(some, some.predict(at), Plan(rows), np.zeros(len(chosen)), False).matrices
    l2 = l2_strengths(p.penalty, batch.d, k)
    factors = np.empty((size, size, k))
    for j in range(k):
        other, more = j // _SHARED, np.zeros((size, 1))
        more[:-1, 0] = l2[:, j] - l2[:, chosen[other]]
        factors[..., j] = finished(hessians[other].copy(), more, p.fit_intercept, theta.dtype, True)
    return factors


__all__ = ["shared_factors"]

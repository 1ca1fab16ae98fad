r"""Working sets: the quadratic model with L1 in the weights that are not zero, and the most promising at zero.

Where most weights of the minimum are zero, a Hessian of all of them is spent on few. The model of a unit of columns
knows its working set alone [1]_, [2]_: its weights that are not zero, those that no L1 holds, and of the others the
ones whose gradient exceeds their strength most, at most as many again. What the weights outside could still gain is
read off the gradient,

.. math:: \sum_{i \notin W} \frac{(|g_i| - \lambda_i)_+^2}{2 h_i},

so that sets grow as long as it matters, and a fit ends where it does not.

References
----------
.. [1] Massias, Gramfort and Salmon (2018), "Celer: a fast solver for the lasso with dual extrapolation", ICML,
   arXiv:1802.07481.
.. [2] Johnson and Guestrin (2015), "Blitz: a principled meta-algorithm for scaling sparse optimization", ICML.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._data.rows import rows_of
from skvariants._data.scaling import Coordinates
from skvariants._quasi_newton import costs
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Blocks, Plan, finished, hessians, l2_strengths
from skvariants._training.problem import by_model
from skvariants._training.state import informative, per_column, per_model

Array = np.ndarray
# weights at zero that join a set, at least: as many as two iterations pay for, within bounds
_LEAST = 64, 512
# share of its strength from which the gradient of a weight is near enough to it, as the set has room
_NEAR = 0.9
# filled share from which a sparse column is made dense, and the square root of what a sparse multiplication costs
_FULL, _SPARSE = 0.2, 4.0
# iterations that a Hessian of all rows may cost
_WORTH = 8
# weights of all classes up to which one matrix couples them
_COUPLED = 1536
# numbers of the rows that are made dense at a time
_BLOCK = 1 << 19


@dataclass(eq=False, repr=False)
class WorkingSets(Blocks):
    """Matrices of some weights of each unit of columns.

    Attributes
    ----------
    inside : ndarray of bool, shape (n_features + 1, n_columns)
        Which weights these are; in a unit column after column.
    level : ndarray of shape (n_columns,)
        Mean curvature of each column.
    room : ndarray of shape (n_models,)
        How many times as many weights as usual may join.
    cost : float
        What they cost, in multiplications.
    """

    inside: Any = per_column(None)
    level: Any = per_column(None)
    room: Any = per_model(None)
    cost: float = informative(0.0)

    def get(self, G: Array, j: int) -> Array:
        at = slice(j * self.unit, (j + 1) * self.unit)
        return G[:, at].T[self.inside[:, at].T].astype(np.float64, copy=False)

    def put(self, G: Array, j: int, v: Array) -> None:
        at = slice(j * self.unit, (j + 1) * self.unit)
        G[:, at].T[self.inside[:, at].T] = v


class Sets:
    """What chooses working sets on a batch, and makes their matrices.

    Parameters
    ----------
    batch : StageBatch
        Rows and columns.
    n_columns : int
        How many columns.
    """

    def __init__(self, batch: StageBatch, n_columns: int) -> None:
        self.batch = batch
        penalty, shape = batch.problem.penalty, (batch.d, n_columns)
        self.l1, self.l2 = np.zeros((2, batch.d + 1, n_columns))
        self.l1[:-1] = penalty.l1_strength
        self.l2[:-1] = l2_strengths(penalty, *shape)
        self.squares = _mean_squares(batch)
        rows, stored = batch.problem.rows, batch.problem.rows.stored
        #: what an iteration costs
        self.iteration = costs.Costs(batch.n, batch.d + 1, stored, batch.width).iteration()
        self.least = int(np.clip(np.sqrt(2 * self.iteration / batch.n), *_LEAST))
        self.filled = np.ones(batch.d + 1)
        if batch.sparse:
            self.filled[:-1] = np.bincount(rows.X.indices, minlength=batch.d) / batch.n

    # ------------------------------------------------------------------ which weights

    def excess(self, theta: Array, g: Array) -> Array:
        """By how much the gradient of a weight at zero exceeds its strength; zero for others."""
        return np.where(theta == 0, np.maximum(np.abs(g) - self.l1, 0.0), 0.0)

    def curvature(self, level: Array) -> Array:
        """Curvature in each weight where predictions have the curvature `level`."""
        return np.maximum(level * self.squares + self.l2, 1e-300)

    def missed(self, sets: WorkingSets, theta: Array, g: Array) -> Array:
        """What each model could gain outside of its sets."""
        excess = np.where(sets.inside, 0.0, self.excess(theta, g))
        gain = (excess * excess / (2 * self.curvature(sets.level))).sum(axis=0)
        return by_model(gain, self.batch.width)

    def choose(self, theta: Array, g: Array, level: Array, room: Array) -> Array:
        """The weights of each model that are to be moved: few enough beside those that are not zero."""
        inside = (theta != 0) | ((self.l1 == 0) & (self.squares > 0))
        score = np.where(theta == 0, np.maximum(np.abs(g) - _NEAR * self.l1, 0.0), 0.0)
        score /= np.sqrt(self.curvature(level))
        for j in range(len(room)):
            at = slice(j * self.batch.width, (j + 1) * self.batch.width)
            of_model = score[:, at].ravel()
            new = np.flatnonzero(of_model)
            most = int(max(self.least, np.count_nonzero(inside[:, at])) * room[j])
            if len(new) > most:
                new = new[np.argsort(-of_model[new], kind="stable")[:most]]
            chosen = np.zeros(len(of_model), bool)
            chosen[new] = True
            inside[:, at] |= chosen.reshape(-1, self.batch.width)
        return inside

    # ------------------------------------------------------------------ their matrices

    def make(
        self, Z: Array, theta: Array, g: Array, plan: Plan, damping: Array, room: Array
    ) -> tuple[WorkingSets, Plan]:  # fmt: skip
        """Working sets at `theta`, and their matrices.

        Parameters
        ----------
        Z, theta, g : ndarray
            Predictions, parameters and gradients of all columns.
        plan : Plan
            How many rows a matrix sees, at least: all of them where that costs no more than a few iterations.
        damping : ndarray of shape (n_columns,)
            Curvature that is added to that of each prediction.
        room : ndarray of shape (n_models,)
            How many times as many weights as usual may join.

        Returns
        -------
        sets : WorkingSets
        plan : Plan
            How many rows they see.
        """
        batch, k = self.batch, Z.shape[1]
        couples = batch.problem.loss.is_softmax
        level = np.maximum(self._level(Z), 1e-300) + damping
        inside = self.choose(theta, g, level, room)
        size = inside.reshape(len(inside), -1, batch.width).sum(axis=(0, 2))
        unit = batch.width if couples and size.max() <= _COUPLED else 1
        work = self.work(inside, unit)
        affordable = max(costs.CHEAP, _WORTH * self.iteration) / work
        rows = int(min(batch.n, max(plan.rows, affordable, costs.ROWS * size.max(), costs.LEAST_ROWS)))
        sets = WorkingSets(
            width=batch.width, unit=unit, n_columns=k, level=level, room=room, inside=inside,
            exact=rows == batch.n and unit == batch.problem.loss.columns_per_model, cost=work * rows,
        )  # fmt: skip
        if rows < batch.n:
            batch, Z = batch.head(rows, Z)
        sets.matrices = self._coupled(batch, Z, sets, damping) if unit > 1 else self._single(batch, Z, sets, damping)
        return sets, replace(plan, rows=rows, unit=unit)

    def work(self, inside: Array, unit: int) -> float:
        """Multiplications that matrices of some weights take, a row; those of sparse products cost more."""
        size = inside.reshape(len(inside), -1, unit).sum(axis=(0, 2)).astype(np.float64)
        if unit == 1 and self.batch.sparse:
            full = self.filled > _FULL
            dense = inside[full].sum(axis=0)
            thin = self.filled[~full] @ inside[~full]
            size = np.minimum(size, dense + _SPARSE * thin)
        return float((size**2).sum())

    def _level(self, Z: Array) -> Array:
        """Mean curvature of each column."""
        every = slice(0, self.batch.n)
        return np.broadcast_to(self.batch.hessian_weights(Z, every).mean(axis=0), (Z.shape[1],))

    def _single(self, batch: StageBatch, Z: Array, sets: WorkingSets, damping: Array) -> list[Array]:
        """The matrix of each column; columns whose rows have equal curvature share the products."""
        D = batch.hessian_weights(Z, slice(0, batch.n))
        if damping.any():
            s = batch.weights(slice(0, batch.n))
            D = D + (damping if s is None else damping * s)
        inside, k = sets.inside[:-1], Z.shape[1]
        union = np.flatnonzero(inside.any(axis=1))
        shared = D.shape[1] == 1 and len(union) ** 2 <= (inside.sum(axis=0) ** 2.0).sum()
        A, matrices = np.empty((0, 0)), []
        for j in range(k):
            if not shared or not j:
                features = union if shared else np.flatnonzero(inside[:, j])
                A, missing = _hessian(batch, features, D[:, min(j, D.shape[1] - 1)][:, None], batch.n < self.batch.n)
            own = np.flatnonzero(np.append(inside[features, j], True))
            extra = np.append(self.l2[features, j] + missing * sets.level[j], 0.0)[own, None]
            matrices.append(finished(A[np.ix_(own, own)], extra, batch.problem.fit_intercept, Z.dtype, factored=False))
        return matrices

    def _coupled(self, batch: StageBatch, Z: Array, sets: WorkingSets, damping: Array) -> list[Array]:
        """The matrix of each model, ``diag(p) - p p'`` between classes, of probabilities `p`."""
        P, s = batch.coupling(Z, slice(0, batch.n)), batch.weights(slice(0, batch.n))
        matrices, width = [], sets.unit
        for start in range(0, Z.shape[1], width):
            inside = sets.inside[:, start : start + width]
            features = np.flatnonzero(inside[:-1].any(axis=1))
            part = _restricted(batch, features)
            classes, rows = np.nonzero(np.append(inside[features], inside[-1:], axis=0).T)
            H = np.zeros((len(rows), len(rows)))
            step = max(64, _BLOCK // len(rows))
            for i in range(0, batch.n, step):
                at = slice(i, min(i + step, batch.n))
                C = part.standardised(at).astype(np.float64, copy=False)
                p = P[at, start : start + width]
                root = 1.0 if s is None else np.sqrt(s[at])
                V = C[:, rows] * (p * root)[:, classes]
                H -= V.T @ V
                for c in range(width):
                    own = np.flatnonzero(classes == c)
                    B = C[:, rows[own]] * (np.sqrt(p[:, [c]] + damping[start + c]) * root)
                    H[np.ix_(own, own)] += B.T @ B
            H /= batch.n
            l2 = self.l2[:, start : start + width].T[inside.T]
            matrices.append(_finished(H, l2, rows == len(features), batch.problem.fit_intercept, Z.dtype))
        return matrices


def _mean_squares(batch: StageBatch) -> Array:
    """Mean square of each column in the coordinates worked in, the intercept's one included, shape ``(d + 1, 1)``."""
    c = batch.problem.coordinates
    if not c.identity:
        return np.append(c.inverse_scale[:, 0] > 0, 1.0)[:, None]
    moments = batch.problem.rows.moments()
    return np.append(moments.squares / moments.count + moments.mean**2, 1.0)[:, None]


def _restricted(batch: StageBatch, features: Array) -> StageBatch:
    """The rows of a batch without other features."""
    if len(features) == batch.d:
        return batch
    problem, c = batch.problem, batch.problem.coordinates
    rows = problem.rows
    if not c.identity:
        c = Coordinates(c.mean[features], c.inverse_scale[features], c.target)
    X = rows_of(rows.X[:, features], rows.y, rows.weight)
    return StageBatch(replace(problem, rows=X, coordinates=c), batch.width)


def _hessian(batch: StageBatch, features: Array, D: Array, partial: bool) -> tuple[Array, Array]:
    """Hessian of the loss in some weights and the intercept, and the variance of their columns that the rows lack."""
    part = _restricted(batch, features)
    H, _, missing = hessians(part, D, Plan(batch.n), partial, np.zeros(1))
    return H[0], missing


def _finished(H: Array, l2: Array, intercepts: Array, fit_intercept: bool, dtype: Any) -> Array:
    """The matrix of a model with the penalty and a ridge; what the intercepts have in common changes nothing."""
    diagonal = H.diagonal() + l2
    if fit_intercept:
        H[np.ix_(intercepts, intercepts)] += diagonal[intercepts].mean() / intercepts.sum()
        diagonal = H.diagonal() + l2
    else:
        H[intercepts] = H[:, intercepts] = 0.0
        diagonal[intercepts] = 1.0
    diagonal[~(diagonal > 0)] = 1.0
    np.fill_diagonal(H, diagonal * (1 + (1e-10 if dtype == np.float64 else 1e-6)))
    return H


__all__ = ["Sets", "WorkingSets"]

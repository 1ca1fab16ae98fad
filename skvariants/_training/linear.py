r"""Steps that are linear in everything but the loss, on sparse rows: a small matrix moves all weights at once.

The plain rule is :meth:`Steps.take_step`, which updates every weight. Where a solver is ``linear``, a weight and what
is remembered of it, `s`, become :math:`A_t s + u_t g`, with the same `A` and `u` for all weights of a column, L2
included. So the state is kept as :math:`s = M_t v`:

.. math:: M_t = A_t M_{t-1}, \qquad v \leftarrow v + M_t^{-1} u_t\, g,

and only the few `v` move whose features the batch stores. For plain steps that is the scale of the weights of
Shalev-Shwartz et al. [1]_; with momentum `M` is two by two. It is multiplied out before it costs digits, and before
anyone looks. `A` and `u` are what ``Solver.update`` makes of unit vectors.

References
----------
.. [1] Shalev-Shwartz, Singer, Srebro and Cotter (2011), "Pegasos: primal estimated sub-gradient solver for SVM",
   doi:10.1007/s10107-010-0420-4, section 2.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import operand
from skvariants._data.sparse import Distinct, Frames
from skvariants._step import Step

Array = np.ndarray
# stored values of a step, as a share of the features, up to which these steps cost less: of one column, by how much
# more for each other, and at most (256 rows of 10 to 136 values, 10,000 to 200,000 features, 1, 4 and 20 columns)
_FEW, _MORE, _MOST = 0.12, 0.02, 0.5
# by how much `M` may spread sizes: two digits are lost at most, and multiplying out every forty steps costs little
_SPREAD = 100.0
# numbers of a block that is multiplied out
_BLOCK = 1 << 16


def can_be_linear(steps: Any) -> bool:
    """Whether one matrix is right for all weights of a column, and costs less than a step on all of them."""
    problem, rows, penalty = steps.problem, steps.problem.rows, steps.problem.penalty
    if not (rows.sparse and steps.solver.linear and problem.coordinates.identity) or rows.densify or steps.average:
        return False
    if not penalty.elastic or penalty.has_prox or np.ndim(penalty.l2_strength) == 2 or steps.batch_size >= problem.n:
        return False
    few = min(_MOST, _FEW + _MORE * (steps.state.theta.shape[1] - 1))
    return bool(steps.batch_size * rows.stored <= few * problem.n * problem.d)


class LinearSteps:
    """Steps that move the features that are stored, and all by one matrix.

    Parameters
    ----------
    steps : Steps
        Whose problem, state, solver and lengths these are.
    """

    #: whether what is postponed is made up for by steps of one length
    one_length = False

    def __init__(self, steps: Any) -> None:
        self.problem, self.state, self.solver, self.gradient = steps.problem, steps.state, steps.solver, steps.gradient
        self.arrays = [self.state.theta, *self.state.memory]
        self.k, self.dtype, self.size = self.state.theta.shape[1], self.state.theta.dtype, len(self.arrays)
        # unit vectors of the state, a gradient of one, and the intercept, which has no penalty
        shape = self.size + 2, self.k
        self.start = np.zeros((self.size, *shape), self.dtype)
        self.start[np.arange(self.size), np.arange(self.size)] = 1.0
        self.trial, self.g = np.empty_like(self.start), np.empty(shape, self.dtype)
        self.step = Step(self.problem.penalty, self.g, steps.implicit)
        self.distinct, self.frames = Distinct(self.problem.d), dict[int, Frames]()
        self.ones = np.ones(steps.batch_size, self.dtype)
        self.identity = self.M = np.broadcast_to(np.eye(self.size), (self.k, self.size, self.size))

    def take_step(self, X: Frames, y: Array, s: Array | None, z: Array, r: Array, t: int, eta: Any) -> None:
        """Step number `t` of length `eta`; predictions and derivatives from before it are left in `z` and `r`."""
        np.copyto(z, self.state.theta[-1])
        for share, array in zip(self.M[:, 0].T.astype(self.dtype), self.arrays, strict=True):
            if share.any():
                z += share * (X @ array[:-1])
        slopes = self.gradient.derivatives(y, s, z, r) * operand(1.0 / len(y), self.dtype)
        A, u = self._rule(np.dot(self.ones[: len(y)], slopes), t, eta)
        self.M = A @ self.M
        inverse = self._inverse()
        if inverse is None:
            self.settle()
            inverse = self.identity
        self._add(X, slopes, (inverse @ u[..., None])[..., 0].T.astype(self.dtype))

    def _rule(self, total: Array, t: int, eta: Any) -> tuple[Array, Array]:
        """`A` and `u` of each column; the intercept makes its step."""
        trial, step, n = self.trial, self.step, self.size
        np.copyto(trial, self.start)
        for array, rows in zip(self.arrays, trial, strict=True):
            rows[-1] = array[-1]
        self.g[:n], self.g[n] = 0.0, 1.0
        self.g[-1] = total if self.problem.fit_intercept else 0.0
        step.t, step.eta = t, eta
        self.solver.update(trial[0], self.g, step, *trial[1:])
        for array, rows in zip(self.arrays, trial, strict=True):
            array[-1] = rows[-1]
        rule = trial[:, : n + 1].T.astype(np.float64)
        return np.ascontiguousarray(rule[:, :n].transpose(0, 2, 1)), rule[:, n]

    def _inverse(self) -> Array | None:
        """Of `M`; None where that would cost digits."""
        try:
            inverse = np.linalg.inv(self.M)
        except np.linalg.LinAlgError:
            return None
        return inverse if np.abs(self.M).max() * np.abs(inverse).max() <= _SPREAD else None

    def _add(self, X: Frames, slopes: Array, shares: Array) -> None:
        """Add a share of the gradient to each array."""
        if self.k == 1:
            values = X.data * np.repeat(slopes[:, 0], np.diff(X.indptr))
            for share, array in zip(shares[:, 0], self.arrays, strict=True):
                if share:
                    np.add.at(array.reshape(-1), X.indices, operand(share, self.dtype) * values)
            return
        features, positions = self.distinct(X.indices.astype(np.intp))
        n_rows = len(slopes)
        frame = self.frames.get(n_rows)
        if frame is None or frame.shape[1] < len(features):
            frame = self.frames[n_rows] = Frames(n_rows, len(features) + len(features) // 4, self.dtype)
        frame.point(X.data, positions, X.indptr)
        g = (frame.T @ slopes)[: len(features)]
        for share, array in zip(shares, self.arrays, strict=True):
            if share.any():
                array[features] += share * g

    def settle(self) -> None:
        """Multiply out."""
        if self.M is self.identity:
            return
        M, size = self.M.astype(self.dtype), max(1, _BLOCK // self.k)
        for start in range(0, self.problem.d, size):
            some = slice(start, min(start + size, self.problem.d))
            before = [array[some].copy() for array in self.arrays]
            for i, array in enumerate(self.arrays):
                np.multiply(before[0], M[:, i, 0], out=array[some])
                for j in range(1, self.size):
                    array[some] += M[:, i, j] * before[j]
        self.M = self.identity


__all__ = ["LinearSteps", "can_be_linear"]

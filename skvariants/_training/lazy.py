r"""Steps on the features that a batch of sparse rows touches; what the penalty does to the others is postponed.

The plain rule is :meth:`Steps.take_step`, which updates every weight. Where a solver is ``lazy``, a feature whose
gradient is zero moves by the penalty alone, and several such steps have a closed form, ``Penalty.idle``. So a step
takes the rows of parameters and memory that its batch touches, makes up for what they have missed, calls
``Solver.update`` on them as if there were no others, and puts them back. Everything is made up for at the end of an
epoch, before anyone looks, and whenever the length of the step changes.

In standardised coordinates the scales go into the values of a chunk, and features that are centred, of which there are
few (``Moments.coordinates(rare=True)``), are in every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import operand
from skvariants._data.sparse import Distinct, Frames
from skvariants._step import Step
from skvariants._training.problem import without_axis

Array = np.ndarray
# stored values of a step, as a share of the features, up to which some features cost less than all: of one column, less
# where a plain step is cheap, by how much more for each other, and at most (256 rows of 10 to 190 values, 10,000 to
# 200,000 features, 1, 4 and 20 columns)
_FEW, _FEW_OF_GRADIENT, _MORE, _MOST = 0.25, 0.05, 0.03, 0.75
# numbers of a block of features that is made up for
_BLOCK = 1 << 16


def can_be_lazy(steps: Any) -> bool:
    """Whether steps on some features are exact, and cost less than steps on all."""
    problem, rows, coordinates = steps.problem, steps.problem.rows, steps.problem.coordinates
    penalty, solver = problem.penalty, steps.solver
    if not (rows.sparse and solver.lazy and penalty.separable) or steps.average or steps.batch_size >= problem.n:
        return False
    few = _FEW_OF_GRADIENT if solver.is_gradient else _FEW
    few = min(_MOST, few + _MORE * (steps.state.theta.shape[1] - 1))
    if steps.batch_size * rows.stored > few * problem.n * problem.d or penalty.at(np.zeros(0, int)) is None:
        return False
    if not coordinates.identity:
        return coordinates.few_centred is not None
    if penalty.bounded and solver.is_gradient and steps.state.memory:
        return False  # what L1 is due at a bound is forgiven at each step
    # in the coordinates of the data L2 is part of the gradient, or a memory of what L1 is due is kept without it
    l2 = bool(np.any(penalty.l2_strength))
    return not l2 or (solver.is_gradient and not (penalty.has_prox and steps.state.memory))


class LazySteps:
    """Steps on the features that are touched.

    Parameters
    ----------
    steps : Steps
        Whose problem, state, solver and lengths these are.
    """

    def __init__(self, steps: Any) -> None:
        problem, state = steps.problem, steps.state
        self.problem, self.state, self.solver, self.gradient = problem, state, steps.solver, steps.gradient
        self.implicit, c = steps.implicit, problem.coordinates
        self.k, self.dtype = state.theta.shape[1], state.theta.dtype
        self.inverse = None if c.identity else c.inverse_scale[:, 0]
        self.centred = np.zeros(0, int) if c.identity else np.flatnonzero(c.mean_row)
        self.offset = np.zeros((0, 1), self.dtype)
        if self.centred.size:
            self.offset = (c.mean_row * c.inverse_scale[:, 0])[self.centred][:, None]
        self.penalised = problem.penalty.has_prox or bool(np.any(problem.penalty.l2_strength))
        self.one_length = self.penalised
        self.distinct = Distinct(problem.d, self.centred)
        self.missed = np.zeros(problem.d, self.dtype)
        self.made, self.eta = 0, None
        self.step = Step(problem.penalty, state.theta[:0], self.implicit)
        self.ones = np.ones(steps.batch_size, self.dtype)
        self._allocate(0)

    def _allocate(self, rows: int) -> None:
        """Scratch for so many parameters, and a quarter more."""
        self.room = rows + rows // 4
        self.frames: dict[int, Frames] = {}
        self.theta = np.zeros((self.room, self.k), self.dtype)
        self.memory = [np.empty((self.room, self.k), self.dtype) for _ in self.state.memory]
        self.scratch = [np.empty_like(self.theta) for _ in range(3)]

    # ------------------------------------------------------------------ a step

    def take_step(self, X: Frames, y: Array, s: Array | None, z: Array, r: Array, t: int, eta: Any) -> None:
        """Step number `t` of length `eta`; predictions and derivatives from before it are left in `z` and `r`."""
        if eta is not self.eta:
            self.settle()
            self.eta = eta
        indices, data = X.indices.astype(np.intp), X.data
        if self.inverse is not None:
            data = data * self.inverse.take(indices, mode="clip")
        features, positions = self.distinct(indices)
        n = len(features)
        if n >= self.room:
            self._allocate(n + 1)
        theta, memory = self._gather(features, n)
        step, scratch = self.step, self.scratch
        step.penalty, step.t, step.eta = self.problem.penalty.at(features), t, eta
        step.work, step.move, step.lengths = (a[: n + 1] for a in scratch)
        if self.penalised:
            self._catch_up(theta[:n], memory, features, step)
        frame = self._frame(len(y))
        frame.point(data, positions, X.indptr)
        g = self._gradient(frame, theta, y, s, z, r)
        self.solver.update(theta, g, step, *memory)
        self.made += 1
        self._put_back(features, n, theta, memory)

    def _frame(self, n_rows: int) -> Frames:
        if n_rows not in self.frames:
            self.frames[n_rows] = Frames(n_rows, self.room, self.dtype)
        return self.frames[n_rows]

    def _gather(self, features: Array, n: int) -> tuple[Array, list[Array]]:
        """Rows of parameters and memory, the intercept's as last."""
        gathered = []
        for source, room in zip((self.state.theta, *self.state.memory), (self.theta, *self.memory), strict=True):
            source.take(features, 0, room[:n], "clip")
            has_intercept = len(source) > self.problem.d
            if has_intercept:
                room[n] = source[-1]
            gathered.append(room[: n + has_intercept])
        return gathered[0], gathered[1:]

    def _put_back(self, features: Array, n: int, theta: Array, memory: list[Array]) -> None:
        for target, rows in zip((self.state.theta, *self.state.memory), (theta, *memory), strict=True):
            if self.k == 1:  # a copy of whole rows of one number is slow
                target.reshape(-1)[features] = rows[:n, 0]
            else:
                target[features] = rows[:n]
            if len(rows) > n:
                target[-1] = rows[n]
        self.missed[features] = self.made

    def _catch_up(self, W: Array, memory: list[Array], features: Array, step: Step) -> None:
        """What these features have missed since they were touched."""
        missed = self.made - self.missed.take(features, mode="clip")
        self.solver.idle(W, missed[:, None], step, *(a[: len(W)] for a in memory))

    def _gradient(self, X: Frames, theta: Array, y: Array, s: Array | None, z: Array, r: Array) -> Array:
        """The gradient in the rows of `theta`."""
        p, m, n = self.problem, len(y), len(theta) - 1
        c, centred = p.coordinates, self.centred.size
        b = theta[n]
        if centred:
            b = b - np.dot(self.offset[:, 0], theta[n - centred : n])
        np.add(X @ self.theta, without_axis(b), out=z)
        if not c.keeps_target:
            z *= c.target
        r = self.gradient.derivatives(y, s, z, r)
        g = (X.T @ r)[: n + 1]
        total = np.dot(self.ones[:m], r)
        g[n] = total if p.fit_intercept else 0.0
        if centred:
            g[n - centred : n] -= self.offset * total
        g *= operand(1.0 / m, self.dtype) if c.keeps_target else np.asarray(1.0 / (m * c.target), self.dtype)
        return g

    def settle(self) -> None:
        """Make up for everything that was postponed."""
        if not (self.penalised and self.made):
            return
        step = Step(self.problem.penalty, self.state.theta[:0], self.implicit)
        step.t, step.eta = self.state.t, self.eta
        size = max(1, _BLOCK // self.k)
        for start in range(0, self.problem.d, size):
            some = slice(start, min(start + size, self.problem.d))
            step.penalty = self.problem.penalty.at(some)
            missed = (self.made - self.missed[some])[:, None]
            self.solver.idle(self.state.theta[some], missed, step, *(a[some] for a in self.state.memory))
        self.made = 0
        self.missed[:] = 0


__all__ = ["LazySteps", "can_be_lazy"]

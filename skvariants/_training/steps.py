r"""The method of steps: a pass over the rows in batches, each through ``Solver.update``.

It knows the order of events and no formula: the loss gives the derivative, a gradient estimator the gradient, the
schedule the length of the step, the solver the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._data.sparse import Slices
from skvariants._step import Step
from skvariants._training.gradients import Batch, BatchGradient, Whole
from skvariants._training.lazy import LazySteps, can_be_lazy
from skvariants._training.linear import LinearSteps, can_be_linear
from skvariants._training.method import Method, Record
from skvariants._training.per_sample import fits_per_sample, single_samples
from skvariants._training.problem import Problem, by_model, columns_of, without_axis
from skvariants._training.state import State

Array = np.ndarray
# what it costs to gather a value and multiply it, in passes over a weight (of 13,800 to 47,600 values a batch)
_GATHER = 2


class Steps(Method):
    """Steps of a solver on batches of rows.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    state : State
        Where the models stand; changed in place.
    solver, schedule : Solver, Schedule
        Components.
    batch_size : int
        Rows of a step.
    shuffle : bool
        Whether rows come in a new order each epoch.
    average : int, default=0
        Number of the update from which iterates are averaged; 0 for never.
    ahead : bool, default=False
        Whether a second thread may fetch rows.
    """

    reversible = True

    def __init__(
        self, problem: Problem, state: State, solver: Any, schedule: Any, batch_size: int, shuffle: bool,
        average: int = 0, ahead: bool = False,
    ) -> None:  # fmt: skip
        self.problem, self.state, self.solver, self.schedule = problem, state, solver, schedule
        self.batch_size = min(batch_size, problem.n)
        self.shuffle = shuffle and self.batch_size < problem.n
        self.average, self.ahead = average, ahead
        self.orders = problem.rows.orders(self.batch_size) if self.shuffle else None
        # L2 goes into the gradient in the user's coordinates, and is implicit in others
        self.implicit = not problem.coordinates.identity
        self.remembers, self.numbers, self.rows = False, np.arange(0), np.arange(0)
        self._allocate()

    def remember(self) -> None:
        """From now on let the solver remember something of each row, if it would: they will come again."""
        state, problem = self.state, self.problem
        self.remembers = "table" in self.solver.needs
        if self.remembers and (state.table is None or len(state.table) != problem.n):
            state.table = np.zeros((problem.n, state.theta.shape[1]), state.theta.dtype)
            state.memory, state.checkpoint = self.solver.allocate(state.theta, problem.penalty, self.implicit), []

    def _allocate(self) -> None:
        theta = self.state.theta
        m, k = self.batch_size, theta.shape[1]
        problem, self.scales = self.problem, None
        if self._scales_rows():
            self.scales = problem.coordinates.inverse_scale[:, 0]
            problem = replace(problem, coordinates=problem.coordinates.of_scaled_rows())
        self.gradient = BatchGradient(problem, m, theta)
        self.step = Step(problem.penalty, theta, self.implicit, problem.loss.columns_per_model)
        self.needs_rows = "rows" in self.solver.needs
        self.z, self.r = (np.empty((m, k), theta.dtype) for _ in range(2))
        self.totals = np.zeros(k)
        self.eta_of: tuple[Any, Any] = None, None
        # of several columns it is cheaper to gather the features
        lazy = can_be_lazy(self) and (k > 1 or not can_be_linear(self))
        self.lazy: Any = LazySteps(self) if lazy else LinearSteps(self) if can_be_linear(self) else None
        self.one_by_one = self.batch_size == 1 and not self.average and fits_per_sample(self)

    def _scales_rows(self) -> bool:
        """Whether scales go into the values of a chunk of sparse rows: where they are fewer than the weights."""
        p, rows = self.problem, self.problem.rows
        if not rows.sparse or rows.densify or p.coordinates.identity or "rows" in self.solver.needs:
            return False
        values = self.batch_size * rows.stored / p.n
        return self.batch_size < p.n and _GATHER * values < self.state.theta.size

    def keep(self, models: Array) -> None:
        columns = columns_of(models, self.state.width)
        self.state.keep(models)
        self.problem = self.problem.take(columns)
        self.solver, self.schedule = self.solver.take(columns), self.schedule.take(columns)
        self._allocate()

    def original(self, theta: Array) -> Array:
        return self.problem.original(theta)

    @property
    def solution(self) -> Array:
        state = self.state
        return self.solver.solution(state.theta, *state.memory) if state.average is None else state.average

    # ------------------------------------------------------------------ an epoch

    def iterate(self) -> Record:
        p, width = self.problem, self.state.width
        with np.errstate(over="ignore", invalid="ignore"):
            penalty = p.penalty.value(self.state.theta[:-1])
        f = self.epoch()
        with np.errstate(over="ignore", invalid="ignore"):
            # each batch's loss was taken before its step: so is the penalty of a single batch
            if self.batch_size < p.n:
                penalty = 0.5 * (penalty + p.penalty.value(self.state.theta[:-1]))
            f = f + penalty / p.coordinates.objective_scale
        return Record(by_model(f, width), self.eta(), p.n)

    def eta(self) -> Array:
        state = self.state
        eta = np.broadcast_to(self.schedule(state.t), state.step_factor.shape) * state.step_factor
        return eta[:: state.width]

    def on_plateau(self, models: Array) -> Array:
        schedule = self.schedule.take(models * self.state.width)  # the columns of a model have the same
        return np.asarray(schedule.on_plateau(self.eta()[models]))

    def chunks(self) -> Any:
        """One pass over the rows, in chunks of whole batches: features, and targets and weights as columns."""
        draw, ahead = None, self.shuffle and self.ahead
        if self.shuffle:
            draw, self.state.order_seed = self.orders.draw(self.state.rng, self.state.order_seed)
        start = 0
        for X, y, weight in self.problem.rows.chunks(self.batch_size, draw, self.state.theta.shape[1], ahead):
            part = slice(start, start + len(y))
            start = part.stop
            if self.remembers:
                self.numbers = np.arange(part.start, part.stop) if draw is None else draw[0][part]
            yield X, *self.problem.labels(y, weight)

    def epoch(self, max_steps: int | None = None) -> Array:
        """One pass (or fewer steps); returns the mean weighted loss of each column on the way."""
        self.totals = np.zeros(self.state.theta.shape[1])
        self.eta_of = None, None  # between epochs a step may have become smaller
        seen, n_left = 0, self.problem.n if max_steps is None else max_steps
        lazy = self.lazy if self._is_steady() else None
        by_sample = not self.implicit or lazy is not None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if self.remembers:
                state = self.state
                self.solver.begin_epoch(state.theta, Whole(self.gradient, state.table), *state.memory)
            for X, y, s in self.chunks():
                if self.one_by_one and max_steps is None and (isinstance(X, np.ndarray) or by_sample):
                    self.totals += single_samples(self, X, y, s)
                    seen += len(y)
                    continue
                plain = isinstance(X, np.ndarray) or self.needs_rows
                done, n_steps = self._chunk(X, y, s, n_left, None if plain else lazy)
                seen, n_left = seen + done, n_left - n_steps
                if n_left == 0:
                    break
            if lazy is not None:
                lazy.settle()
        return self.totals / max(seen, 1)

    def _is_steady(self) -> bool:
        """Whether the next steps are of one length; else what is postponed would be made up for at each."""
        t = self.state.t
        return self.lazy is not None and (
            not self.lazy.one_length or np.array_equal(self.schedule(t + 1), self.schedule(t + 2))
        )

    def _chunk(self, X: Any, y: Array, s: Array | None, max_steps: int, lazy: Any) -> tuple[int, int]:
        """Steps on the batches of a chunk; how many rows and steps were made."""
        if len(self.z) < len(y):
            shape = len(y), self.state.theta.shape[1]
            self.z, self.r = (np.empty(shape, self.state.theta.dtype) for _ in range(2))
        batches = X if isinstance(X, np.ndarray) else Slices(X, None if lazy is not None else self.scales)
        done = n_steps = 0
        for start in range(0, len(y), self.batch_size):
            batch = slice(start, min(len(y), start + self.batch_size))
            weights = None if s is None else s[batch]
            if lazy is None:
                self.rows = self.numbers[batch]
                self.take_step(batches[batch], y[batch], weights, self.z[batch], self.r[batch])
            else:
                t = self.state.t = self.state.t + 1
                lazy.take_step(batches[batch], y[batch], weights, self.z[batch], self.r[batch], t, self._eta(t))
            done, n_steps = batch.stop, n_steps + 1
            if n_steps >= max_steps:
                break
        # the losses of a chunk at once: each batch left its predictions, from before its step
        s = None if s is None else s[:done]
        self.totals += self.problem.loss.total(y[:done], self.z[:done], s, self.r[:done])
        return done, n_steps

    def take_step(self, X: Any, y: Array, s: Array | None, z: Array, r: Array) -> None:
        """One step; predictions and derivatives in them, both from before it, are left in `z` and `r`."""
        state, step = self.state, self.step
        if self.needs_rows:
            table = state.table if self.remembers else None
            step.batch, g = Batch(self.gradient, X, y, s, z, r, table, self.rows), self.gradient.g
        else:
            g = self.gradient(X, y, s, z, r)
        state.t = step.t = state.t + 1
        step.eta = self._eta(step.t)
        self.solver.update(state.theta, g, step, *state.memory)
        if self.average and state.t >= self.average:
            self._add_to_average()

    def _eta(self, t: int) -> Array:
        """Step of each column, in the precision of the weights: another would slow every product with it."""
        value = self.schedule(t)
        if value is not self.eta_of[0]:
            eta = (value * self.state.step_factor).astype(self.state.theta.dtype, copy=False)
            # columns that step alike step as one number, with which a penalty by feature costs a column
            self.eta_of = value, without_axis(eta[:1] if (eta == eta[0]).all() else eta)
        return self.eta_of[1]

    def _add_to_average(self) -> None:
        state, work = self.state, self.step.work
        if state.average is None:
            state.average = state.theta.copy()
            return
        np.subtract(state.theta, state.average, out=work)
        work *= 1.0 / (state.t - self.average + 1)
        state.average += work


__all__ = ["Steps"]

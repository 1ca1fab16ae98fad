r"""The step size of a stream: rungs that race along it, and what is known of the step once they have.

A race on the rows of one chunk is decided by what that chunk happens to hold: a single row, one class, zeros. So the
rungs of a stream race over its calls. Each is a model beside the others that goes through the rows as they come; the
loss of a row before the step on it is what the rung scores, later rows counting more; the best so far is the model, and
of equals the one in the middle. Once the rows have told enough, the best goes on alone.

A rung is a multiple of a unit, 1/L where steps depend on the scale of the gradient (:func:`~race.step_unit`). The unit
follows what is seen of the features. Smaller batches than those of the race take smaller steps: the longest that a
gradient of `m` rows can go is in proportion to :math:`m / (B + m - 1)`, where `B` is the trace of the Hessian over its
largest eigenvalue (Ma, Bassily and Belkin 2018, arXiv:1712.06559), for which the number of parameters stands, its upper
bound. Scale-free steps take the root of that (Malladi et al. 2022, arXiv:2205.10287).

Where models are so large that no rungs have room side by side, one goes on alone, and the first chunk that would decide
the race by itself decides it, as in a fit: one rung after another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._training.method import Record
from skvariants._training.problem import Problem
from skvariants._training.race import MOST_BYTES, STEP_GRID, curvature, is_bounded, step_unit
from skvariants._training.state import State, same_generator
from skvariants._training.steps import Steps

Array = np.ndarray
#: Rows, and steps, after which the best rung goes on alone, counted from when targets and features differ.
RACE_ROWS, RACE_STEPS = 1024, 40
#: Times that targets have crossed their mean by then: rows that are sorted tell nothing of rows that are not.
CROSSINGS = 20
#: Rows after which it goes on alone all the same.
MOST_ROWS = 64 * RACE_ROWS
# scores closer than this are equal
_TIE = 1e-9


@dataclass(eq=False, repr=False)
class Rungs:
    """Rungs side by side.

    Attributes
    ----------
    multiples : ndarray of shape (n_rungs,)
        Of the unit.
    state : State
        A model for each.
    scores : ndarray of shape (n_rungs,)
        Mean objective before the step, of the last rows more: a row counts in proportion to its number.
    rows, steps : int
        Seen since the rows began to tell.
    """

    multiples: Array
    state: State
    scores: Array
    rows: int = 0
    steps: int = 0

    @classmethod
    def at(cls, state: State, memory: list[Array]) -> Rungs:
        """All rungs at one model, with the memory of a start."""
        multiples = STEP_GRID[_numbers(state.theta.nbytes + sum(array.nbytes for array in memory))]
        count = len(multiples)
        racing = State.start(np.tile(state.theta, count), state.width, same_generator(state.rng))
        racing.memory = [np.tile(array, count) for array in memory]
        racing.t, racing.average = state.t, None if state.average is None else np.tile(state.average, count)
        return cls(multiples, racing, np.zeros(count))

    def copy(self) -> Rungs:
        """The same; what is trained does not change these."""
        return replace(self, state=self.state.copy())

    def spread(self, at: Array, size: int, resting: int) -> Rungs:
        """The same with weights of more features, see :meth:`State.spread`; the best alone where room is scarce."""
        rungs, grows = self, size / len(self.state.theta)
        if grows * sum(array.nbytes for array in (self.state.theta, *self.state.memory)) > MOST_BYTES:
            best = np.array([self.leader])
            rungs = replace(self, multiples=self.multiples[best], state=self.state.take(best), scores=self.scores[best])
        return replace(rungs, state=rungs.state.spread(at, size, resting))

    @property
    def alone(self) -> bool:
        """Whether there is one, as room is scarce."""
        return len(self.multiples) == 1

    def missing(self, batch_size: int) -> int:
        """Rows, in whole batches, until the race is decided."""
        steps = max(RACE_STEPS - self.steps, -(-(RACE_ROWS - self.rows) // batch_size), 1)
        return steps * batch_size

    @property
    def leader(self) -> int:
        """The best rung; of equals the one in the middle, and the shortest step where all are lost.

        Each rung farther from it must be better by the loss of a row, which is next to nothing when the race ends: long
        steps learn a few rows by heart. The shortest steps tell what a row costs.
        """
        least = self.scores.min()
        if not np.isfinite(least):
            return 0
        away = np.abs(np.arange(len(self.scores)) - len(self.scores) // 2)
        row = max(least, self.scores[0]) if np.isfinite(self.scores[0]) else least
        scores = self.scores + away * (row / max(self.rows, 1))
        best = scores.min()
        equal = np.flatnonzero(scores <= best + _TIE * abs(best))
        return int(equal[np.argmin(np.abs(equal - len(self.scores) // 2))])

    def best(self) -> State:
        """The model of the leader."""
        state = self.state.take(np.array([self.leader]))
        state.rng = same_generator(self.state.rng)
        return state

    def go(
        self, problem: Problem, solver: Any, schedule: Any, rates: Array, options: dict[str, Any], tells: bool
    ) -> Record:  # fmt: skip
        """Take all rungs through the rows; `options` are those of :class:`Steps`. Returns what the leader did."""
        k, count, before = len(self.state.theta.T) // len(rates), len(rates), self.state.t
        columns = np.tile(np.arange(k), count)
        raced = schedule.take(columns).with_fields(eta0=np.repeat(rates, k).astype(self.state.theta.dtype))
        steps = Steps(problem.take(columns), self.state, solver.take(columns), raced, **options)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # of a rung that is lost
            record = steps.iterate()
        finite = np.isfinite(self.state.theta).all(axis=0).reshape(count, k).all(axis=1)
        objective = np.where(finite & np.isfinite(record.objective), record.objective, np.inf)
        if tells:
            self.rows, self.steps = self.rows + problem.n, self.steps + self.state.t - before
            share = min(1.0, 2.0 * problem.n / min(self.rows, RACE_ROWS))
            old = self.scores if share < 1 else 0.0
            self.scores = (1 - share) * old + share * objective
        else:
            self.scores = np.where(np.isfinite(objective), self.scores, np.inf)
        j = self.leader
        return Record(record.objective[[j]], record.eta[[j]], record.rows)

    def restart(self, theta: Array, memory: list[Array]) -> None:
        """Put all rungs at one model, with its memory."""
        self.state.theta = np.tile(theta, len(self.multiples))
        self.state.memory = [np.tile(array, len(self.multiples)) for array in memory]
        self.state.average = None if self.state.average is None else self.state.theta.copy()


def _numbers(each: int) -> Array:
    """Numbers of the rungs of a grid that race: all, fewer around the middle, or that, where models are large."""
    middle = len(STEP_GRID) // 2
    for stride in (1, 2, 3):
        numbers = np.arange(middle % stride, len(STEP_GRID), stride)
        if each * len(numbers) <= MOST_BYTES:
            return numbers
    return np.array([middle])


@dataclass(eq=False, repr=False)
class Pace:
    """What is known of the step of a stream.

    Attributes
    ----------
    asked : hashable
        What was raced for; another is raced anew.
    rungs : Rungs or None
        Still racing.
    multiple : float
        Of the unit, once the race is decided.
    batch : int
        Rows of the largest batch of the race.
    since : int
        Number of the step with which the race was decided.
    rows, square : float
        Rows seen, and their mean squared norm where coordinates are those of the data.
    bend : float
        Curvature of a loss that has no bound, by the rows seen; no less than one, as a few targets say little.
    labels : int
        Rows whose targets were seen.
    mean, above : ndarray or None
        Mean of the targets by column, and whether the last was above it.
    crossings : ndarray or int
        Times that the targets of a column have crossed their mean.
    """

    asked: Any
    rungs: Rungs | None
    multiple: float = 1.0
    batch: int = 0
    since: int = 0
    rows: float = 0.0
    square: float = 0.0
    bend: float = 1.0
    labels: int = 0
    mean: Any = 0.0
    above: Any = None
    crossings: Any = 0

    def spread(self, *where: Any) -> Pace:
        """The same, its rungs with weights of more features: see :meth:`State.spread`."""
        rungs = self.rungs
        return replace(self, rungs=None if rungs is None else rungs.spread(*where))

    def copy(self) -> Pace:
        """The same; a chunk does not change these."""
        return replace(self, rungs=None if self.rungs is None else self.rungs.copy())

    def look(self, problem: Problem) -> None:
        """See what the rows of a chunk tell of the unit and of the targets."""
        self.rows += problem.n
        if not is_bounded(problem.loss):
            self.bend += (max(1.0, float(curvature(problem).max())) - self.bend) * problem.n / self.rows
        if problem.coordinates.identity:
            self.square += (problem.mean_square_norm() - self.square) * problem.n / self.rows
        else:
            self.square = problem.mean_square_norm()
        if self.rungs is None or self.mixed:
            return
        y, _ = problem.labels_of(slice(None))
        self.labels += len(y)
        self.mean = self.mean + (y.mean(axis=0) - self.mean) * (len(y) / self.labels)
        above = y > self.mean
        before = above[:1] if self.above is None else self.above[None]
        self.crossings = self.crossings + (np.diff(above, axis=0, prepend=before) != 0).sum(axis=0)
        self.above = above[-1]
        if self.mixed:
            self.rungs.rows = min(self.rungs.rows, RACE_ROWS // 2)

    @property
    def mixed(self) -> bool:
        """Whether targets have gone up and down."""
        return bool(np.max(self.crossings) >= CROSSINGS)

    @property
    def decided(self) -> bool:
        """Whether the rows have told enough."""
        rungs = self.rungs
        told = rungs is not None and rungs.rows >= RACE_ROWS and rungs.steps >= RACE_STEPS
        return told and (self.mixed or rungs.rows >= MOST_ROWS)

    def tells(self, problem: Problem) -> bool:
        """Whether targets and features have differed by now."""
        return bool(np.max(self.crossings) > 0) and self.square > problem.fit_intercept

    def length(self, problem: Problem, solver: Any, batch_size: int) -> tuple[float, float]:
        """Unit of the steps, and by what they are shorter for batches smaller than those of the race."""
        unit = step_unit(problem.loss, solver, self.square) / (1.0 if solver.scale_free else self.bend)
        here, then = (m / (problem.parameters + m - 1) for m in (min(batch_size, self.batch), self.batch))
        return unit, np.sqrt(here / then) if solver.scale_free else here / then


__all__ = ["CROSSINGS", "MOST_ROWS", "RACE_ROWS", "RACE_STEPS", "Pace", "Rungs"]

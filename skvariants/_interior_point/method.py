"""The method of ``solver="interior_point"``: each column follows its own path, and ends with a certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._data.shuffle import SameOrder
from skvariants._interior_point.ascent import DualAscent, Ridge
from skvariants._interior_point.column import Column
from skvariants._training.certificate import Certificate
from skvariants._training.method import Method, Record
from skvariants._training.problem import by_column, columns_of
from skvariants._training.state import Fields, State, informative

Array = np.ndarray
# numbers of rows near a kink that all columns hold together
_HELD = 1 << 26
# share of what is worth an epoch at which a column leaves before the others of its model
_ALONE = 0.3


@dataclass(eq=False, repr=False)
class InteriorPointState(Fields):
    """Where the columns stand, one :class:`ColumnState` each."""

    columns: list[Any] = informative(list)

    def take(self, models: Array) -> InteriorPointState:
        return replace(self, columns=[self.columns[j] for j in columns_of(models, self.width)])

    def copy(self) -> InteriorPointState:
        return replace(self, columns=[column.copy() for column in self.columns])

    def join(self, others: Any) -> InteriorPointState:
        return replace(self, columns=[column for state in (self, *others) for column in state.columns])


class Climbers:
    """Columns that climb together by dual ascent.

    Parameters
    ----------
    columns : list of Column
        With as many epochs behind them.
    ridges : list of Ridge
        Theirs, which join.
    """

    def __init__(self, columns: list[Column], ridges: list[Ridge]) -> None:
        self.columns = columns
        first = columns[0]
        self.ascent = DualAscent(first.problem.rows.X, ridges)
        for j, column in enumerate(columns):
            if column.state.path is None:
                column.state.path = self.ascent.start(j, float(column.state.v[-1]))

    def keep(self, present: list[Column]) -> None:
        """Keep those of the columns that are present and climb."""
        chosen = [j for j, column in enumerate(self.columns) if column.climbing and any(column is c for c in present)]
        self.columns = [self.columns[j] for j in chosen]
        if chosen:
            self.ascent.keep(chosen)

    def epoch(self) -> None:
        """An epoch of all."""
        self.ascent.epoch([column.state.path for column in self.columns])

    def weights(self, column: Column) -> Array:
        """``(w, b)`` where a column stands."""
        return self.ascent.weights(self.columns.index(column), column.state.path)

    def publish(self, columns: list[Column], theta: Array) -> None:
        """Write down where those of the columns stand that climb here."""
        for j, column in enumerate(columns):
            if column.climbing and column in self.columns:
                theta[:, j] = column.frame.outer(self.weights(column))

    def land(self, column: Column) -> None:
        """Ask all rows about a column."""
        j = self.columns.index(column)
        column.land(self.weights(column), self.ascent.slopes(j, column.state.path))


def _settle(columns: list[Column], group_of: dict[int, Climbers]) -> None:
    """End the columns of a model that leave too little to gain, one by one or all together."""
    climbing = [column for column in columns if id(column) in group_of]
    left = [column.left() for column in columns]
    together = len(climbing) > 1 and sum(gap for gap, _ in left) <= sum(goal for _, goal in left)
    for column in climbing:
        gap, goal = column.left()
        if together or gap <= (goal if len(columns) == 1 else _ALONE * goal):
            group_of[id(column)].land(column)
    if together and all(column.state.best < np.inf for column in columns):
        proven = [column.proven() for column in columns]
        if sum(gap for gap, _ in proven) <= sum(enough for _, enough in proven):
            for column in climbing:
                column.settle()


def climbers(columns: list[Column]) -> list[Climbers]:
    """The columns that climb, those together that can."""
    groups: list[tuple[int, list[Column], list[Ridge]]] = []
    for column in columns:
        ridge, epoch = column.ridge(), 0 if column.state.path is None else column.state.path.epoch
        for other, together, ridges in groups:
            if other == epoch and ridges[0].joins(ridge):
                together.append(column)
                ridges.append(ridge)
                break
        else:
            groups.append((epoch, [column], [ridge]))
    return [Climbers(together, ridges) for _, together, ridges in groups]


class InteriorPointSteps(Method):
    """Interior-point steps of all columns.

    Parameters
    ----------
    problem : Problem
        What is minimised; its loss is a sum of ramps.
    state : State
        Where the models stand; changed in place.
    fraction : ndarray of shape (n_models,)
        Share of the gain over a constant that is not worth another step.
    constant : ndarray of shape (n_columns,)
        Objective of the best constant of each column, in the units worked in.
    limit : float, optional
        By how much the loss is above its limit at most, where it stands for that: then no model need cost anything.
    """

    def __init__(
        self, problem: Any, state: State, fraction: Array, constant: Array, limit: float | None = None
    ) -> None:  # fmt: skip
        self.problem, self.state, self.limit = problem, state, limit
        order = SameOrder(state.rng, problem.n)
        kept = state.method
        if kept is not None and len(kept.columns) != state.theta.shape[1]:
            kept = None
        fractions = by_column(fraction, state.width)
        self.columns: list[Column] = []
        self.shared: dict[Any, Any] = {}
        self._climbers: list[Climbers] | None = None
        for j in range(state.theta.shape[1]):
            single_column = problem.take(np.array([j]))
            old = None if kept is None else kept.columns[j]
            column = Column(
                single_column, order, float(constant[j]), float(fractions[j]), old,
                state.theta[:, j : j + 1], self.shared,
            )  # fmt: skip
            self.columns.append(column)
        self._remember()

    def _remember(self) -> None:
        self.state.method = InteriorPointState(width=self.state.width, columns=[c.state for c in self.columns])

    def _of_model(self, j: int) -> list[Column]:
        return self.columns[j * self.state.width : (j + 1) * self.state.width]

    def arrived(self) -> Array:
        columns = (self._of_model(j) for j in range(self.state.n_models))
        return np.array([all(c.state.done or c.state.stuck for c in of_model) for of_model in columns])

    def certificate(self, position: int) -> Certificate | None:
        """Primal minus dual, where all columns have come to an end."""
        states = [c.state for c in self._of_model(position)]
        if not all(state.best < np.inf and (state.done or state.stuck) for state in states):
            return None
        first = position * self.state.width
        scale = np.broadcast_to(self.problem.coordinates.objective_scale, (len(self.columns),))
        scale = scale[first : first + self.state.width]
        objective = float(sum(state.best / unit for state, unit in zip(states, scale, strict=True)))
        gap = float(sum((state.best - state.lower) / unit for state, unit in zip(states, scale, strict=True)))
        exact = all(state.exact for state in states)
        known = max(gap, 0.0)
        if self.limit is not None:  # no model costs less than nothing
            known = min(objective, known + self.limit * self.state.width) if exact else objective
            return Certificate(objective, bound=known)
        return Certificate(objective, bound=known) if exact else Certificate(objective, estimate=known)

    def iterate(self) -> Record:
        state = self.state
        values = np.zeros(len(self.columns))
        scale = np.broadcast_to(self.problem.coordinates.objective_scale, (len(self.columns),))
        rows = 0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            self._climb(values)
            for j, column in enumerate(self.columns):
                at = column.state
                if at.done or at.stuck:
                    values[j] = at.best
                    continue
                if column.climbing:
                    continue
                rows = max(rows, column.sizes[at.stage])
                values[j] = column.step()
                state.theta[:, j] = column.frame.outer(column.present)
                if at.done or at.stuck:
                    values[j] = at.best
                elif sum(other.held for other in self.columns) > _HELD:
                    column.release()
        values = (values / scale).reshape(-1, state.width).sum(axis=1)
        return Record(values, np.ones(state.n_models), rows or self.problem.n)

    def _climb(self, values: Array) -> None:
        """An epoch of the columns that climb; models whose columns leave too little to gain have arrived."""
        if self._climbers is None:
            self._climbers = climbers([column for column in self.columns if column.climbing])
        group_of: dict[int, Climbers] = {}
        for group in self._climbers:
            group.keep(self.columns)
            if group.columns:
                group.epoch()
                group_of |= {id(column): group for column in group.columns}
        if not group_of:
            return
        for j in range(self.state.n_models):
            _settle(self._of_model(j), group_of)
        for j, column in enumerate(self.columns):
            if id(column) in group_of:
                at = column.state
                values[j] = at.best if at.done else at.path.value * column.total
                if column.tired():
                    group_of[id(column)].land(column)
                    if not at.done:
                        column.leave()
                if not column.climbing:
                    self.state.theta[:, j] = column.frame.outer(at.v)

    @property
    def solution(self) -> Array:
        for group in self._climbers or ():
            group.publish(self.columns, self.state.theta)
        return self.state.theta

    def keep(self, models: Array) -> None:
        chosen = columns_of(models, self.state.width)
        self.state.keep(models)
        self.problem = self.problem.take(chosen)
        self.columns = [self.columns[j] for j in chosen]
        self._remember()

    def original(self, theta: Array) -> Array:
        return self.problem.coordinates.original(theta)


__all__ = ["InteriorPointState", "InteriorPointSteps"]

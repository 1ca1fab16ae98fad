"""The method of ``solver="interior_point"``: each column follows its own path, and ends with a certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._interior_point.column import Column
from skvariants._training.certificate import Certificate
from skvariants._training.method import Method, Record
from skvariants._training.problem import by_column, columns_of
from skvariants._training.state import Fields, State, informative, same_generator

Array = np.ndarray
# numbers of rows near a kink that all columns hold together
_HELD = 1 << 26


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
    limit : bool, default=False
        Whether the loss stands for its limit, which costs nothing at the optimum.
    """

    def __init__(self, problem: Any, state: State, fraction: Array, constant: Array, limit: bool = False) -> None:
        self.problem, self.state, self.limit = problem, state, limit
        self._order: Array | None = None
        kept = state.method
        if kept is not None and len(kept.columns) != state.theta.shape[1]:
            kept = None
        fractions = by_column(fraction, state.width)
        self.columns: list[Column] = []
        self.shared: dict[Any, Any] = {}
        for j in range(state.theta.shape[1]):
            single_column = problem.take(np.array([j]))
            old = None if kept is None else kept.columns[j]
            column = Column(
                single_column, self._rows_in_order, float(constant[j]), float(fractions[j]), old,
                state.theta[:, j : j + 1], self.shared,
            )  # fmt: skip
            self.columns.append(column)
        self._remember()

    def _remember(self) -> None:
        self.state.method = InteriorPointState(width=self.state.width, columns=[c.state for c in self.columns])

    def _rows_in_order(self) -> Array:
        """A random order of the rows, the same each time, as nothing else is drawn."""
        if self._order is None:
            self._order = same_generator(self.state.rng).permutation(self.problem.n)
        return self._order

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
        if self.limit:  # no model costs less than nothing
            return Certificate(objective, bound=objective)
        exact = all(state.exact for state in states)
        return Certificate(objective, **{"bound" if exact else "estimate": max(gap, 0.0)})

    def iterate(self) -> Record:
        state = self.state
        values = np.zeros(len(self.columns))
        scale = np.broadcast_to(self.problem.coordinates.objective_scale, (len(self.columns),))
        rows = 0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for j, column in enumerate(self.columns):
                at = column.state
                if at.done or at.stuck:
                    values[j] = at.best
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

    def keep(self, models: Array) -> None:
        chosen = columns_of(models, self.state.width)
        self.state.keep(models)
        self.problem = self.problem.take(chosen)
        self.columns = [self.columns[j] for j in chosen]
        self._remember()

    def original(self, theta: Array) -> Array:
        return self.problem.coordinates.original(theta)


__all__ = ["InteriorPointState", "InteriorPointSteps"]

"""State: everything that changes while columns are trained.

Each field says once what it has a value for: a column, a model, or all of them together. Keeping a subset of the
models, copying, joining states and taking one model out follow from that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import numpy as np

from skvariants._component import identity
from skvariants._data.occurring import spread
from skvariants._shallow import Shallow
from skvariants._training.problem import columns_of

Array = np.ndarray
F = TypeVar("F", bound="Fields")


def _declared(axis: str, default: Any) -> Any:
    metadata = {"axis": axis}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def per_column(default: Any = dataclasses.MISSING) -> Any:
    """A field of arrays (or lists of them) whose last axis is the column."""
    return _declared("column", default)


def per_model(default: Any = dataclasses.MISSING) -> Any:
    """A field of arrays (or lists of them) whose last axis is the model."""
    return _declared("model", default)


def shared(default: Any = dataclasses.MISSING) -> Any:
    """A field with one value for all: states can be joined only where it is equal."""
    return _declared("shared", default)


def nested(default: Any = None) -> Any:
    """A field that holds further fields, or None."""
    return _declared("nested", default)


def informative(default: Any = dataclasses.MISSING) -> Any:
    """A field with one value for all that nothing depends on."""
    return _declared("informative", default)


def log(default: Any = list) -> Any:
    """A field of rows (dicts), whose arrays have a value for each model that the row names."""
    return _declared("log", default)


@dataclasses.dataclass(eq=False, repr=False)
class Fields(Shallow):
    """Base of what carries fields of declared axes; `width` is the number of columns of a model."""

    width: int = shared(1)

    def _axes(self) -> list[tuple[str, str, Any]]:
        return [(f.name, f.metadata["axis"], getattr(self, f.name)) for f in dataclasses.fields(self)]

    def take(self: F, models: Array) -> F:
        """The same for a subset of the models; arrays are new, what is shared is not."""
        columns = columns_of(models, self.width)
        changes = {}
        for name, axis, value in self._axes():
            if axis in ("column", "model"):
                index = columns if axis == "column" else models
                changes[name] = _each(value, lambda a, i=index: np.ascontiguousarray(a[..., i]))
            elif axis == "nested" and value is not None:
                changes[name] = value.take(models)
        return dataclasses.replace(self, **changes)

    def keep(self, models: Array) -> None:
        """Keep a subset of the models, in place."""
        self._become(self.take(models))

    def copy(self: F) -> F:
        """The same, whose arrays and generator may change without changing these."""
        changes = {}
        for name, axis, value in self._axes():
            if axis in ("column", "model"):
                changes[name] = _each(value, np.copy)
            elif axis == "nested" and value is not None:
                changes[name] = value.copy()
            elif isinstance(value, np.random.Generator):
                changes[name] = same_generator(value)
            elif isinstance(value, list):
                changes[name] = list(value)
        return dataclasses.replace(self, **changes)

    def join(self: F, others: Sequence[F]) -> F:
        """Several of equal :meth:`join_key` side by side, this one first."""
        states = [self, *others]
        changes = {}
        for name, axis, _ in self._axes():
            values = [getattr(state, name) for state in states]
            if axis in ("column", "model"):
                changes[name] = _beside(values)
            elif axis == "nested" and values[0] is not None:
                changes[name] = values[0].join(values[1:])
            elif axis == "log":
                changes[name] = [_joined_row(rows) for rows in zip(*values, strict=True)]
        return dataclasses.replace(self, **changes)

    def join_key(self) -> Hashable:
        """What is equal for states that have come the same way and may be joined."""
        parts: list[Any] = [type(self)]
        for _, axis, value in self._axes():
            if axis == "shared":
                parts.append(identity(value.bit_generator.state if hasattr(value, "bit_generator") else value))
            elif axis == "nested":
                parts.append(None if value is None else value.join_key())
            elif axis == "log" or isinstance(value, list):
                parts.append(len(value))
            elif axis in ("column", "model"):
                parts.append(value is None)
        return tuple(parts)

    def _become(self, other: Any) -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(other, field.name))


def _each(value: Any, function: Any) -> Any:
    """A function of an array, of each array of a list, or nothing of None."""
    if value is None:
        return None
    return [function(a) for a in value] if isinstance(value, list) else function(value)


def _beside(values: list[Any]) -> Any:
    if values[0] is None:
        return None
    if isinstance(values[0], list):
        return [_beside(list(arrays)) for arrays in zip(*values, strict=True)]
    return np.ascontiguousarray(np.concatenate(values, axis=-1))


def _joined_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    row = dict(rows[0])
    for key, value in row.items():
        if isinstance(value, np.ndarray):
            row[key] = np.concatenate([r[key] for r in rows])
    return row | {"models": np.arange(len(row["models"]))}


def same_generator(rng: np.random.Generator) -> np.random.Generator:
    """A generator that draws the same numbers from now on."""
    copy = np.random.default_rng(0)
    copy.bit_generator.state = rng.bit_generator.state
    return copy


@dataclasses.dataclass(eq=False, repr=False)
class State(Fields):
    """Everything that changes during a training; pickle it, and the training can go on.

    Attributes
    ----------
    theta : ndarray of shape (n_features + 1, n_columns)
        Where the models stand, in the coordinates worked in.
    rng : numpy.random.Generator
        Draws the orders of the rows.
    memory : list of ndarray
        What the solver keeps.
    table : ndarray of shape (n_samples, n_columns), or None
        What the solver remembers of each row.
    average : ndarray or None
        Mean of the iterates, where averaging has begun.
    t : int
        Updates made.
    epoch : ndarray of shape (n_models,)
        Epochs, or iterations, that each model has made.
    step_factor : ndarray of shape (n_columns,)
        By what plateaus and rollbacks have multiplied the step.
    best, stalled, n_rollbacks : ndarray of shape (n_models,)
        Best objective or score, epochs without progress, epochs that were taken back.
    best_theta : ndarray or None
        The models of the best scores.
    checkpoint : list of ndarray
        Parameters and memory of one epoch ago, to go back to.
    history : list of dict
        A row for each epoch.
    seconds : float
        Time spent.
    order_seed : int or None
        Of the first order of the rows.
    limit : float
        Times the objective of the constant model that an epoch may reach.
    method : Fields or None
        What the quasi-Newton methods keep.
    """

    theta: Any = per_column(None)
    rng: Any = shared(None)
    memory: list[Array] = per_column(list)
    table: Any = per_column(None)
    average: Any = per_column(None)
    t: int = shared(0)
    epoch: Any = per_model(None)
    step_factor: Any = per_column(None)
    best: Any = per_model(None)
    stalled: Any = per_model(None)
    n_rollbacks: Any = per_model(None)
    best_theta: Any = per_column(None)
    checkpoint: list[Array] = per_column(list)
    history: list[dict[str, Any]] = log()
    seconds: float = informative(0.0)
    order_seed: int | None = shared(None)
    limit: float = shared(1e8)
    method: Any = nested(None)

    @classmethod
    def start(cls, theta: Array, width: int, rng: np.random.Generator, memory: Sequence[Array] = ()) -> State:
        """The state at `theta` before anything was done."""
        models = theta.shape[1] // width
        return cls(
            width=width, theta=theta, rng=rng, memory=list(memory), epoch=np.zeros(models, int),
            step_factor=np.ones(theta.shape[1]), best=np.full(models, np.inf), stalled=np.zeros(models, int),
            n_rollbacks=np.zeros(models, int),
        )  # fmt: skip

    @property
    def n_models(self) -> int:
        """Models side by side."""
        return len(self.epoch)

    def spread(self, at: Array, size: int, resting: int) -> State:
        """The same with weights of `size` features, those of now at these positions, the others like one of them."""
        rows, trained = len(self.theta), 1 + len(self.memory)

        def of_more(array: Array) -> Array:
            return spread(array, at, size, resting) if len(array) == rows else array

        names = "theta", "memory", "average", "best_theta"
        checkpoint = [of_more(array) for array in self.checkpoint[:trained]] + self.checkpoint[trained:]
        changes = {name: _each(getattr(self, name), of_more) for name in names}
        return dataclasses.replace(self, **changes, checkpoint=checkpoint)

    def borrowed(self) -> State:
        """A copy but for parameters and memory, which are these until :meth:`part_from` or who replaces them."""
        rest = dataclasses.replace(self, theta=None, memory=[]).copy()
        return dataclasses.replace(rest, theta=self.theta, memory=list(self.memory))

    def part_from(self) -> list[Array]:
        """Leave parameters and memory as they are, and go on with copies; returns what is left."""
        left = self._trained()
        self.theta, self.memory = self.theta.copy(), [a.copy() for a in self.memory]
        return left

    def saved(self) -> list[Array]:
        """Copies of parameters and memory, as a checkpoint holds them."""
        return [a.copy() for a in self._trained()]

    def _trained(self) -> list[Array]:
        return [self.theta, *self.memory, *(() if self.table is None else (self.table,))]

    def restore(self, saved: Sequence[Array], columns: Array) -> None:
        """Return some columns to a checkpoint."""
        for now, then in zip(self._trained(), saved, strict=True):
            now[..., columns] = then[..., columns]
        if self.average is not None:
            self.average[:, columns] = saved[0][:, columns]

    def draws(self) -> tuple[Any, ...]:
        """What an epoch changes beside parameters and memory."""
        average = None if self.average is None else self.average.copy()
        return self.t, average, self.order_seed, self.rng.bit_generator.state

    def return_to(self, draws: tuple[Any, ...]) -> None:
        """Undo what an epoch has changed beside parameters and memory."""
        self.t, self.average, self.order_seed, self.rng.bit_generator.state = draws

    def part(self, position: int, model: int, resumable: bool = True) -> State:
        """One model as a state of its own; it is at `position` now, and has the number `model` in the history.

        Where it is not to be gone on with, what only that needs stays behind.
        """
        source = self if resumable else dataclasses.replace(self, method=None, checkpoint=[], table=None)
        part = source.take(np.array([position]))
        part.rng, part.history = same_generator(self.rng), []
        for row in self.history:
            at = np.flatnonzero(row["models"] == model)
            if at.size:
                of_model = {key: value[at] if isinstance(value, np.ndarray) else value for key, value in row.items()}
                part.history.append(of_model | {"models": np.zeros(1, int)})
        return part


__all__ = [
    "Fields", "State", "informative", "log", "nested", "per_column", "per_model", "same_generator", "shared",
]  # fmt: skip

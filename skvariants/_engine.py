r"""The engine: batches, the step, stopping, averaging, history.

It knows the order of events and no formula: the loss gives the derivative, the schedule the length of the step,
the solver direction and scale, the penalty its prox. `theta` is ``(n_features + 1, n_columns)`` in C order with the
intercept as last row; a *model* is ``width`` adjacent columns that stop together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._component import operand
from skvariants._scaling import Coordinates
from skvariants._shuffle import Shuffle, fetched
from skvariants._sparse import Slices, square_norms

Array = np.ndarray
_RETRIES = 12
_STEEPEST = 1e12
# rows are gathered in chunks that stay in the cache (in halves where several wait); from a disk, in larger ones
_CHUNK_BYTES = 1 << 22
_DISK_CHUNK_BYTES = 1 << 26
_DENSE_BYTES = 1 << 26
# as many columns cost less one by one, a sample at a time, than together
_FEW_COLUMNS = 8
_TABLE = 1 << 20


class Targets:
    """Targets by row: real values, or class codes expanded to columns on demand.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_outputs), or (n_samples,) of codes
        Real targets, or integer codes if `n_classes` is given.
    n_classes : int, optional
        Number of columns that codes expand to.
    low : float
        What stands in the columns of the other classes: -1 (one-vs-rest) or 0 (one-hot).
    dtype : dtype
        Of the rows.
    class_weight : ndarray of shape (n_columns, 2), optional
        Weight of a row in each column where the target is low and where it is high.
    columns : ndarray of int, optional
        Which columns, where they are not just all in order.
    binary : bool
        Whether real targets are -1 and 1 only.
    """

    def __init__(
        self,
        values: Array,
        n_classes: int | None = None,
        low: float = -1.0,
        dtype: Any = np.float64,
        class_weight: Array | None = None,
        columns: Array | None = None,
        binary: bool = False,
    ) -> None:
        self.values = values
        self.n_classes = n_classes
        self.low = low
        self.dtype = np.dtype(dtype)
        self.class_weight = class_weight
        self.columns = columns
        self.binary = binary

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, index: Any) -> Array:
        """Targets of some rows, shape ``(n_rows, n_columns)``."""
        return self.expand(self.values[index])

    def expand(self, values: Array) -> Array:
        """Targets ``(n_rows, n_columns)`` from what is stored of them."""
        if self.n_classes is None:
            y = values if self.columns is None else values[:, self.columns]
            return np.ascontiguousarray(y, dtype=self.dtype)
        if self._table is None:
            return self._expanded(values)
        return np.take(self._table, values, axis=0)

    @cached_property
    def _table(self) -> Array | None:
        """The row of each class, where classes are few enough: copied faster than made anew."""
        classes = np.arange(self.n_classes or 0)
        width = len(classes) if self.columns is None else len(self.columns)
        return self._expanded(classes) if len(classes) * width <= _TABLE else None

    def _expanded(self, codes: Array) -> Array:
        columns = np.arange(self.n_classes or 0) if self.columns is None else self.columns
        return np.where(codes[:, None] == columns, self.dtype.type(1), self.dtype.type(self.low))

    def weights(self, y: Array) -> Array | None:
        """Class weights of rows as :meth:`rows` returned them, or None."""
        if self.class_weight is None:
            return None
        pairs = self.class_weight
        if self.columns is not None and len(pairs) > 1:
            pairs = pairs[self.columns]
        weights = np.where(y > 0, pairs[:, 1], pairs[:, 0]).astype(self.dtype)
        if self.low == 0.0:  # one-hot: the weight of the true class holds in every column, of every model
            first = slice(0, self.n_classes)
            own = (y[:, first] * pairs[first, 1]).sum(axis=1, keepdims=True)
            weights = np.broadcast_to(own.astype(self.dtype), y.shape)
        return weights

    def subset(self, index: Any) -> Targets:
        """Targets of some rows."""
        return self._with(np.take(self.values, index, axis=0), self.columns)

    def _with(self, values: Array, columns: Array | None) -> Targets:
        return Targets(values, self.n_classes, self.low, self.dtype, self.class_weight, columns, self.binary)

    def summary(self, weight: Array | None) -> tuple[Array, Array]:
        """Distinct targets and their weights, both ``(n_distinct, n_columns)``: all that a constant model sees."""
        values, totals = self.values, weight
        if self.n_classes is not None:
            totals = np.bincount(values, weight, minlength=self.n_classes)
            values = np.arange(self.n_classes)
        elif self.binary:
            totals = np.bincount((values[:, 0] > 0).astype(np.intp), weight, minlength=2)
            values = np.array([[-1.0], [1.0]])
        y = self._with(values, self.columns).rows(slice(None)).astype(np.float64)
        s = self.weights(y)
        s = np.ones_like(y) if s is None else s.astype(np.float64)
        return y, s if totals is None else s * totals[:, None]

    def take(self, columns: Array) -> Targets:
        """Targets of a subset, or a repetition, of the columns."""
        if self.n_classes is None and self.values.shape[1] == 1:
            return self
        old = self.columns
        if old is None:
            width = self.values.shape[1] if self.n_classes is None else self.n_classes
            old = np.arange(width)
        return self._with(self.values, old[columns])


@dataclass
class Problem:
    """What is minimised: data, targets, weights, loss, penalty, coordinates.

    `weight` has mean one over the samples, or is None. The objective of a column is
    ``mean(weight * class_weight * loss) + penalty``. `ahead` says that a second thread may fetch rows.
    """

    X: Any
    targets: Targets
    weight: Array | None
    loss: Any
    penalty: Any
    coordinates: Coordinates
    fit_intercept: bool = True
    ahead: bool = False

    def __post_init__(self) -> None:
        self.n, self.d = self.X.shape
        self.sparse = sp.issparse(self.X)
        # chunks of a narrow or well filled matrix are cheaper dense; the matrix stays sparse
        self.densify = self.sparse and (self.d <= 64 or self.X.nnz > 0.1 * self.n * self.d)
        self.on_disk = _is_memory_map(self.X)
        self.X = self.X if self.sparse else np.asarray(self.X)
        self._scratch = np.empty((0, 0))
        self._ones = np.empty(0)
        self._units: tuple[int, Array] | None = None

    def take(self, columns: Array) -> Problem:
        """The same problem for a subset of the columns."""
        return replace(
            self,
            targets=self.targets.take(columns), loss=self.loss.take(columns), penalty=self.penalty.take(columns),
            coordinates=self.coordinates.take(columns),
        )  # fmt: skip

    def predict(self, X: Any, theta: Array, out: Array | None = None) -> Array:
        """Predictions ``(n_rows, n_columns)`` for rows of `X`."""
        W, b = theta[:-1], theta[-1]
        c = self.coordinates
        if not c.identity:
            W = np.multiply(W, c.units, self._scratch_like(W))
            b = (b if c.plain else c.target * b) - np.dot(c.mean_row, W)
        b = _plain(b)
        if isinstance(X, np.ndarray):
            z = np.dot(X, W, out=out)
        else:
            z = X @ W
        if out is None or z is out:
            z += b
            return z
        return np.add(z, b, out=out)

    def gradient(self, X: Any, r: Array, out: Array, count: int = 1) -> Array:
        """Gradient in `theta` from derivatives `r` in the predictions, summed over rows and divided by `count`."""
        G, c = out[:-1], self.coordinates
        # BLAS for dense rows; scipy's own product, which makes a new array, for sparse ones
        product = np.dot(X.T, r, out=G) if isinstance(X, np.ndarray) else X.T @ r
        if len(self._ones) < len(r) or self._ones.dtype != r.dtype:
            self._ones = np.ones(len(r), r.dtype)
        # a product: the sum of a narrow array along its first axis is slow
        total = np.dot(self._ones[: len(r)], r)
        if c.identity:
            share = operand(1.0 / count, r.dtype)
            np.multiply(product, share, G)
            total *= share
            out[-1] = total if self.fit_intercept else 0.0
            return out
        centre = self._scratch_like(G)
        if len(total) == 1:
            np.multiply(c.mean, _plain(total), centre)
        else:
            np.dot(c.mean, total[None], centre)
        np.subtract(product, centre, G)
        if len(r) == self.n:
            # centred, the intercept starts at its optimum; a scale-free solver would blow rounding up
            noise = 8 * np.finfo(r.dtype).eps * (np.abs(r).sum(axis=0) + c.target * count)
            total[np.abs(total) <= noise] = 0
        out[-1] = total
        out *= self._units_by_count(count)
        return out

    def _units_by_count(self, count: int) -> Array:
        """Units of the gradient of a mean over `count` rows; the intercept's are zero where there is none."""
        if self._units is None or self._units[0] != count:
            c = self.coordinates
            last = np.broadcast_to(c.target * c.factor * float(self.fit_intercept), c.gradient_units[:1].shape)
            units = np.concatenate([c.gradient_units, last]) / count
            self._units = count, units.astype(c.gradient_units.dtype)
        return self._units[1]

    def _scratch_like(self, W: Array) -> Array:
        if self._scratch.shape != W.shape or self._scratch.dtype != W.dtype:
            self._scratch = np.empty(W.shape, W.dtype)
        return self._scratch

    def square_norms(self, X: Any) -> Array:
        """Squared norm of each row in the coordinates worked in, shape ``(n_rows, 1)``."""
        c = self.coordinates
        if not isinstance(X, np.ndarray):
            return square_norms(X, None if c.identity else c.mean_row, c.inverse_scale)
        if not c.identity:
            X = X - c.mean_row
            X *= c.inverse_scale[:, 0]
        return np.einsum("ij,ij->i", X, X)[:, None]

    def rows(self, index: Any, buffer: Array | None = None) -> tuple[Any, Array, Array | None]:
        """Features, targets and weights ``(n_rows, n_columns or 1)`` of some rows."""
        return self.features(index, buffer), *self.labels(index)

    def labels(self, index: Any) -> tuple[Array, Array | None]:
        """Targets and weights ``(n_rows, n_columns or 1)`` of some rows."""
        return self.labelled(self.targets.values[index], None if self.weight is None else self.weight[index])

    def labelled(self, values: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """What is stored of the targets and weights of some rows, as columns."""
        y = self.targets.expand(values)
        s = None if weight is None else weight[:, None]
        extra = self.targets.weights(y)
        if extra is not None:
            s = extra if s is None else s * extra
        return y, s

    def features(self, index: Any, buffer: Array | None = None) -> Any:
        """Features of some rows: in `buffer` where there is one, dense where that is cheaper."""
        X = self.X
        if self.sparse:
            whole = isinstance(index, slice) and index.indices(self.n) == (0, self.n, 1)
            X = X if whole else X[index]
            if self.densify and X.shape[0] * self.d * X.dtype.itemsize <= _DENSE_BYTES:
                return X.toarray() if buffer is None else X.toarray(out=buffer[: X.shape[0]])
            return X
        if isinstance(index, slice) or (buffer is None and not self.on_disk):
            return X[index]
        out = np.empty((len(index), self.d), X.dtype) if buffer is None else buffer[: len(index)]
        if not self.on_disk:
            return np.take(X, index, axis=0, out=out, mode="clip")
        # the plain rule is X[index]; a disk is read forwards, and the order of the draw restored in memory
        forwards = np.argsort(index)
        out[forwards] = X[index[forwards]]
        return out

    def constant(self) -> tuple[Array, Array]:
        """Best constant prediction of each column, and its loss in the user's units, both ``(n_columns,)``.

        Without an intercept it is zero; where a loss costs nothing (the perceptron's at zero) its cost at the
        opposite of the targets stands in, so that there is something to measure progress by.
        """
        y, s = self.targets.summary(self.weight)
        columns = y.shape[1]
        z = self.loss.constant(y, s) if self.fit_intercept else np.zeros(columns)
        z = np.broadcast_to(z, (columns,)).astype(np.float64)

        def mean_loss(z: Array) -> Array:
            return self.loss.total(y, np.ascontiguousarray(np.broadcast_to(z, y.shape)), s) / self.n

        cost = mean_loss(z)
        if not cost.sum() > 0:
            cost = mean_loss(-y)
        return z, cost


def _is_memory_map(X: Any) -> bool:
    while X is not None and not isinstance(X, np.memmap):
        X = getattr(X, "base", None)
    return X is not None


def _plain(row: Array) -> Array:
    """A row of one number without its dimension: NumPy then broadcasts it in half the time."""
    return row.reshape(()) if row.size == 1 else row


def _of_column(value: Any, j: int) -> Any:
    """Column `j` of a value that is a scalar, ``(n_columns,)`` or ``(n_features, 1 or n_columns)``."""
    if np.ndim(value) == 0:
        return value
    return value[..., min(j, value.shape[-1] - 1)]


@dataclass
class Run:
    """Everything that changes during a fit; pickle it, and the fit can go on."""

    theta: Array
    rng: np.random.Generator
    width: int = 1
    memory: list[Array] = field(default_factory=list)
    l1_memory: list[Array] = field(default_factory=list)
    average: Array | None = None
    t: int = 0
    epoch: int = 0
    step_factor: Array = field(default_factory=lambda: np.ones(1))
    best: Array = field(default_factory=lambda: np.full(1, np.inf))
    stalled: Array = field(default_factory=lambda: np.zeros(1, dtype=int))
    best_theta: Array | None = None
    retries: Array = field(default_factory=lambda: np.zeros(1, dtype=int))
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    order_seed: int | None = None

    @classmethod
    def start(cls, theta: Array, solver: Any, width: int, rng: np.random.Generator) -> Run:
        """A run at `theta` with empty memories."""
        models = theta.shape[1] // width
        run = cls(theta=theta, rng=rng, width=width)
        run.memory = [np.zeros_like(theta) for _ in solver.memory]
        if solver.cumulative_l1:
            run.l1_memory = [np.zeros_like(theta[:-1]) for _ in range(2)]
        run.step_factor = np.ones(theta.shape[1])
        run.best = np.full(models, np.inf)
        run.stalled = np.zeros(models, dtype=int)
        run.retries = np.zeros(models, dtype=int)
        return run

    def take(self, models: Array) -> None:
        """Keep a subset of the models: each array loses the other columns."""
        columns = columns_of(models, self.width)

        def kept(a: Array) -> Array:
            return np.ascontiguousarray(a[..., columns])

        self.theta = kept(self.theta)
        self.memory = [kept(a) for a in self.memory]
        self.l1_memory = [kept(a) for a in self.l1_memory]
        self.average = None if self.average is None else kept(self.average)
        self.best_theta = None if self.best_theta is None else kept(self.best_theta)
        self.step_factor = kept(self.step_factor)
        self.best, self.stalled = self.best[models], self.stalled[models]
        self.retries = self.retries[models]

    @property
    def solution(self) -> Array:
        """The model as it would be returned now: averaged where averaging has begun."""
        return self.theta if self.average is None else self.average

    def part(self, position: int, model: int) -> Run:
        """One model as a run of its own; it is at `position` now, and has the number `model` in the history."""
        part = Run(**vars(self))
        part.take(np.array([position]))
        part.rng, part.history = _same_generator(self.rng), []
        for row in self.history:
            at = np.flatnonzero(row["models"] == model)
            if at.size:
                own = {key: _of_models(value, at) for key, value in row.items()}
                part.history.append(own | {"models": np.zeros(1, int), "epoch": len(part.history) + 1})
        return part

    def copy(self) -> Run:
        """A run whose arrays and generator may change without changing this one."""
        copy = Run(**vars(self))
        for name in ("theta", "step_factor", "best", "stalled", "retries", "average", "best_theta"):
            value = getattr(self, name)
            setattr(copy, name, None if value is None else value.copy())
        copy.memory = [a.copy() for a in self.memory]
        copy.l1_memory = [a.copy() for a in self.l1_memory]
        copy.history = list(self.history)
        copy.rng = _same_generator(self.rng)
        return copy

    @property
    def clock(self) -> tuple[Any, ...]:
        """Runs of equal clocks have made the same draws and can be joined."""
        started = self.average is not None, self.best_theta is not None
        return self.t, self.epoch, len(self.history), started, self.order_seed, repr(self.rng.bit_generator.state)

    @classmethod
    def join(cls, runs: list[Run]) -> Run:
        """Several runs of equal :attr:`clock`, side by side."""
        joined = runs[0].copy()
        if len(runs) == 1:
            return joined

        def beside(arrays: list[Any]) -> Any:
            return None if arrays[0] is None else np.ascontiguousarray(np.concatenate(arrays, axis=-1))

        for name in ("theta", "step_factor", "best", "stalled", "retries", "average", "best_theta"):
            setattr(joined, name, beside([getattr(run, name) for run in runs]))
        for name in ("memory", "l1_memory"):
            setattr(
                joined, name, [beside(list(arrays)) for arrays in zip(*(getattr(r, name) for r in runs), strict=True)]
            )
        joined.history = []
        for rows in zip(*(run.history for run in runs), strict=True):
            row = dict(rows[0])
            for key in ("objective", "eta", "validation_score"):
                row[key] = None if row[key] is None else np.concatenate([r[key] for r in rows])
            row["models"] = np.arange(len(rows))
            joined.history.append(row)
        return joined


def _same_generator(rng: np.random.Generator) -> np.random.Generator:
    """A generator that draws the same numbers from now on."""
    copy = np.random.default_rng()
    copy.bit_generator.state = rng.bit_generator.state
    return copy


def _of_models(value: Any, at: Array) -> Any:
    return value[at] if isinstance(value, np.ndarray) and value.ndim else value


def columns_of(models: Array, width: int) -> Array:
    """Column numbers of models given by number or by mask."""
    models = np.flatnonzero(models) if models.dtype == bool else models
    return (models[:, None] * width + np.arange(width)).ravel()


@dataclass
class Rules:
    """When to look, when to stop, what to average.

    `tol` and `reference` may have one value per model. `score` receives models in the units of the data, shape
    ``(n_features + 1, n_columns)``, and returns one number each. An epoch whose objective passes `limit` times the
    reference is taken back, and the step made smaller.
    """

    max_iter: int = 1000
    tol: Any = 1e-3
    n_iter_no_change: int = 5
    average: int = 0
    reference: Array | None = None
    score: Callable[[Array], Array] | None = None
    watch: Any = None
    verbose: int = 0
    limit: float = 1e8


@dataclass
class Outcome:
    """What a fit returns: one entry per model, in the order of the problem."""

    theta: Array
    n_iter: Array
    status: list[str]
    setbacks: Array
    runs: list[Run]


class Stepper:
    """Takes steps on batches; the one place where the rule is applied."""

    def __init__(
        self, problem: Problem, run: Run, solver: Any, schedule: Any, batch_size: int, shuffle: bool,
        average: int = 0,
    ) -> None:  # fmt: skip
        self.problem, self.run, self.solver, self.schedule = problem, run, solver, schedule
        self.batch_size = min(batch_size, problem.n)
        self.shuffle = shuffle and self.batch_size < problem.n
        self.average = average
        labels = (problem.targets.values, problem.weight) if problem.targets.values.size == problem.n else ()
        self.orders = Shuffle(problem.n, self.batch_size, *labels)
        # L2 goes into the gradient in the user's coordinates, and is implicit in others
        self.implicit = not problem.coordinates.identity
        self._allocate()

    def _allocate(self) -> None:
        theta = self.run.theta
        m, k = self.batch_size, theta.shape[1]
        self.g, self.work, self.update, self.steps = (np.empty_like(theta) for _ in range(4))
        self.z, self.r, self.scaled = (np.empty((m, k), theta.dtype) for _ in range(3))
        self.totals = np.zeros(k)
        self.eta_of: tuple[Any, Any] = None, None
        first = np.zeros(1, int)
        loss, schedule = self.problem.loss, self.schedule
        self.one_by_one = (
            self.batch_size == 1
            and k <= _FEW_COLUMNS
            and self.solver.plain
            and loss.width == 1
            and loss.take(first) is loss
            and schedule.take(first) is schedule
            and not (self.average or self.problem.penalty.has_prox or self.schedule.aggressive)
            and self.problem.penalty.elastic
        )

    def take(self, models: Array) -> None:
        """Keep a subset of the models."""
        columns = columns_of(models, self.run.width)
        self.run.take(models)
        self.problem = self.problem.take(columns)
        self.solver, self.schedule = self.solver.take(columns), self.schedule.take(columns)
        self._allocate()

    def chunks(self) -> Iterator[tuple[Any, Array, Array | None]]:
        """One pass over the rows, in chunks of whole batches."""
        p, B = self.problem, self.batch_size
        n, ahead = p.n, self.shuffle and p.ahead
        held = 1 if not ahead else 2 if p.on_disk or p.sparse else 3
        # bytes of a row: features, or stored values and their column numbers; target, prediction, derivative
        itemsize = p.X.dtype.itemsize
        dense = p.densify or not p.sparse
        width = float(p.d) if dense else 1.5 * p.X.nnz / n
        budget = _DISK_CHUNK_BYTES if p.on_disk else _CHUNK_BYTES // (2 if held > 2 else 1)
        rows = max(1, int(budget / (itemsize * (width + 3 * self.run.theta.shape[1]))) // B) * B
        parts: list[Any] = [slice(start, min(n, start + rows)) for start in range(0, n, rows)]
        buffers: list[Any] = [None] * held
        if not self.shuffle:
            for part in parts:
                yield p.rows(part)
            return
        # the plain rule is p.rows(order[part]); labels here and there would miss the cache each time
        (order, *labels), self.run.order_seed = self.orders.draw(self.run.rng, self.run.order_seed)
        if dense and rows * p.d * itemsize <= budget + _DENSE_BYTES:
            buffers = [np.empty((min(rows, n), p.d), p.X.dtype) for _ in range(held)]

        def fetch(i: int) -> Any:
            return p.features(order[parts[i]], buffers[i % held])

        for part, X in zip(parts, fetched(fetch, len(parts), held), strict=True):
            if labels:
                values, weight = labels
                yield X, *p.labelled(values[part], None if weight is None else weight[part])
            else:
                yield X, *p.labels(order[part])

    def epoch(self, max_steps: int | None = None) -> Array:
        """One pass (or fewer steps); returns the mean weighted loss of each column on the way."""
        self.totals = np.zeros(self.run.theta.shape[1])
        self.eta_of = None, None  # between epochs a step may have become smaller
        seen, steps = 0, 0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for X, y, s in self.chunks():
                if self.one_by_one and max_steps is None and (isinstance(X, np.ndarray) or not self.implicit):
                    self._one_by_one(X, y, s)
                    seen += len(y)
                    continue
                if len(self.z) < len(y):
                    shape = len(y), self.run.theta.shape[1]
                    self.z, self.r = (np.empty(shape, self.run.theta.dtype) for _ in range(2))
                batches = X if isinstance(X, np.ndarray) else Slices(X)
                done = 0
                for start in range(0, len(y), self.batch_size):
                    batch = slice(start, min(len(y), start + self.batch_size))
                    self.step(batches[batch], y[batch], None if s is None else s[batch], self.z[batch], self.r[batch])
                    done = batch.stop
                    steps += 1
                    if max_steps is not None and steps >= max_steps:
                        break
                # the losses of a chunk at once: each batch left its predictions, from before its step
                s = None if s is None else s[:done]
                self.totals += self.problem.loss.total(y[:done], self.z[:done], s, self.r[:done])
                seen += done
                if max_steps is not None and steps >= max_steps:
                    break
        return self.totals / max(seen, 1)

    def step(self, X: Any, y: Array, s: Array | None, z: Array, r: Array) -> None:
        """``W <- prox[eta*scale](W - eta*scale*direction)`` for one batch.

        Predictions and derivatives in them, both from before the step, are left in `z` and `r`.
        """
        p, run, solver = self.problem, self.run, self.solver
        m, theta = len(y), run.theta
        W = theta[:-1]
        p.predict(X, theta, z)
        p.loss.gradient(y, z, r)
        run.t += 1
        if self.batch_size == 1:
            # scikit-learn's guard for single samples
            r = np.clip(r, -_STEEPEST, _STEEPEST, out=self.scaled)
        if self.schedule.aggressive:
            # tau_i in the place of eta times |derivative|, in the same direction
            norms, value = p.square_norms(X), p.loss.value(y, z)
            r = np.sign(r, out=self.scaled[:m])
            r *= self.schedule.share(value, norms)
            eta = run.step_factor
            penalty_step = self.schedule.penalty_step
        else:
            eta = penalty_step = self._eta(run.t)
        if s is not None:
            r = np.multiply(r, s, out=self.scaled[:m])
        g = p.gradient(X, r, self.g, m)
        penalty = p.penalty
        if not self.implicit and not solver.plain:
            penalty.add_gradient(W, g[:-1])
        direction, scale = solver.step(g, run.t, self.work, *run.memory)
        if isinstance(scale, np.ndarray) and scale.ndim == 2:
            eta = np.multiply(eta, scale, self.steps)
            penalty_step = eta[:-1]
        elif scale is not None:
            eta = penalty_step = eta * scale
        if not self.implicit and solver.plain:
            penalty.decay(W, penalty_step)
        theta -= np.multiply(direction, eta, self.update)
        if solver.cumulative_l1 and not self.implicit:
            if penalty.has_prox:
                penalty.truncate(W, penalty_step, *run.l1_memory)
        elif self.implicit or penalty.has_prox:
            penalty.prox(W, penalty_step, smooth=self.implicit)
        if self.average and run.t >= self.average:
            self._add_to_average()

    def _eta(self, t: int) -> Array:
        """Step of each column, in the precision of the weights: another would slow every product with it."""
        value = self.schedule(t)
        if value is not self.eta_of[0]:
            eta = (value * self.run.step_factor).astype(self.run.theta.dtype, copy=False)
            self.eta_of = value, _plain(eta)
        return self.eta_of[1]

    def _add_to_average(self) -> None:
        run = self.run
        if run.average is None:
            run.average = run.theta.copy()
            return
        np.subtract(run.theta, run.average, out=self.work)
        self.work *= 1.0 / (run.t - self.average + 1)
        run.average += self.work

    def _one_by_one(self, X: Any, y: Array, s: Array | None) -> None:
        """:meth:`step` for batches of one sample, column by column: they do not see each other."""
        run, k = self.run, self.run.theta.shape[1]
        z = np.empty((len(y), k))
        for j in range(k):
            own, weight = y[:, min(j, y.shape[1] - 1)], None
            if s is not None:
                weight = s[:, min(j, s.shape[1] - 1)].tolist()
            (self._centred_samples if self.implicit else self._samples)(X, own.tolist(), weight, j, z[:, j])
        run.t += len(y)
        self.totals += self.problem.loss.total(y, z, s)

    def _samples(self, X: Any, targets: list[float], weights: list[float] | None, j: int, z: Array) -> None:
        """:meth:`step` for batches of one sample, for column `j`, on Python floats; predictions go to `z`.

        The rule beside it: ``W *= max(0, 1 - eta * l2); W -= eta * s * slope(y, z) * x``, with
        ``W = shrink * V`` so that a step touches V once.
        """
        p, run = self.problem, self.run
        slope, schedule = p.loss.slope, self.schedule
        l2 = float(_of_column(p.penalty.smooth_strength, j))
        factor, t = float(run.step_factor[j]), run.t
        v, b = run.theta[:-1, j].copy(), float(run.theta[-1, j])
        shrink, fit_intercept, scratch = 1.0, p.fit_intercept, np.empty_like(v)
        sparse = not isinstance(X, np.ndarray)
        if sparse:
            pointers, indices, data = X.indptr.tolist(), X.indices, X.data
        for i, yi in enumerate(targets):
            if sparse:
                where = indices[pointers[i] : pointers[i + 1]]
                x = data[pointers[i] : pointers[i + 1]]
                zi = shrink * float(x.dot(v[where])) + b
            else:
                x = X[i]
                zi = shrink * float(x.dot(v)) + b
            z[i] = zi
            t += 1
            eta = float(schedule(t)) * factor
            d = slope(yi, zi)
            if not -_STEEPEST <= d <= _STEEPEST:
                d = min(max(d, -_STEEPEST), _STEEPEST)
            if weights is not None:
                d *= weights[i]
            if l2:
                shrink *= max(0.0, 1.0 - eta * l2)
                if shrink < 1e-9:
                    v *= shrink
                    shrink = 1.0
            if d:
                d *= eta
                if sparse:
                    v[where] -= (d / shrink) * x
                else:
                    np.multiply(x, d / shrink, out=scratch)
                    np.subtract(v, scratch, out=v)
                if fit_intercept:
                    b -= d
        np.multiply(v, shrink, out=run.theta[:-1, j])
        run.theta[-1, j] = b

    def _centred_samples(
        self, X: Array, targets: list[float], weights: list[float] | None, j: int, z: Array
    ) -> None:  # fmt: skip
        """:meth:`step` for batches of one dense sample, for column `j`, in standardised coordinates.

        The rule beside it, with ``w = units * V``: ``w -= eta * s * slope(y, z) * (x - mean) / scale**2``, then
        ``w /= 1 + eta * l2``, where ``z = (x - mean) @ w + b``.
        """
        p, run = self.problem, self.run
        c, slope, schedule = p.coordinates, p.loss.slope, self.schedule
        units, l2 = _of_column(c.units, j), np.asarray(_of_column(p.penalty.smooth_strength, j))
        factor, target, t = float(run.step_factor[j]), float(_of_column(c.target, j)), run.t
        w, b = units * run.theta[:-1, j], target * float(run.theta[-1, j])
        centred = X - c.mean_row
        updates = centred * (units * _of_column(c.gradient_units, j))
        last, shrinks, fit_intercept, scratch = None, bool(np.any(l2)), p.fit_intercept, np.empty_like(w)
        for i, yi in enumerate(targets):
            z[i] = zi = float(centred[i].dot(w)) + b
            t += 1
            eta = float(schedule(t)) * factor
            d = slope(yi, zi)
            if not -_STEEPEST <= d <= _STEEPEST:
                d = min(max(d, -_STEEPEST), _STEEPEST)
            if weights is not None:
                d *= weights[i]
            if d:
                np.multiply(updates[i], eta * d, out=scratch)
                np.subtract(w, scratch, out=w)
                if fit_intercept:
                    b -= eta * d
            if shrinks:
                if eta != last:
                    last, keep = eta, (1 / (1 + eta * l2)).astype(w.dtype)
                np.multiply(w, keep, out=w)
        np.divide(w, units, out=run.theta[:-1, j], where=units > 0)
        run.theta[-1, j] = b / target


def train(
    problem: Problem, run: Run, solver: Any, schedule: Any, batch_size: int, shuffle: bool,
    rules: Rules,
) -> Outcome:  # fmt: skip
    """Train until every model has stopped.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    run : Run
        Where it starts; changed in place.
    solver, schedule : Solver, Schedule
        Components.
    batch_size : int
        Rows per step.
    shuffle : bool
        Whether rows are drawn in a new order each epoch.
    rules : Rules
        When to stop.

    Returns
    -------
    Outcome
    """
    width, k = run.width, run.theta.shape[1]
    models = k // width
    out = Outcome(
        run.solution.copy(), np.zeros(models, int), ["max_iter"] * models,
        np.zeros(models, int), [run] * models,
    )  # fmt: skip
    alive = np.arange(models)
    stepper = Stepper(problem, run, solver, schedule, batch_size, shuffle, rules.average)
    reference = np.ones(models) if rules.reference is None else rules.reference
    tol = None if rules.tol is None else np.broadcast_to(rules.tol, (models,))
    good = (run.theta.copy(), [a.copy() for a in run.memory])
    first = run.epoch
    try:
        while alive.size and run.epoch - first < rules.max_iter:
            if rules.watch is not None:
                rules.watch.epoch_begins(lambda: run.solution)
            begin = (run.theta.copy(), [a.copy() for a in run.memory])
            cost = stepper.problem.penalty.value(run.theta[:-1])
            clock = time.perf_counter()
            f = stepper.epoch()
            with np.errstate(over="ignore", invalid="ignore"):
                # each batch's loss was taken before its step: so is the penalty of a single batch
                if stepper.batch_size < problem.n:
                    cost = 0.5 * (cost + stepper.problem.penalty.value(run.theta[:-1]))
                f = f + cost / stepper.problem.coordinates.factor
            f = f.reshape(-1, width).sum(axis=1)
            run.seconds += time.perf_counter() - clock
            run.epoch += 1
            last = run.epoch - first >= rules.max_iter
            sound = np.isfinite(run.theta).all(axis=0).reshape(-1, width).all(axis=1)
            limit = rules.limit * np.maximum(reference[alive], 1e-300)
            lost = ~(sound & np.isfinite(f) & (f <= limit))
            if lost.any():
                out.setbacks[alive[lost]] += 1
                columns = columns_of(lost, width)
                for now, then in zip((begin[0], *begin[1]), (good[0], *good[1]), strict=True):
                    now[:, columns] = then[:, columns]
                _step_back(run, columns, begin)
                run.retries[lost] += 1
            good = begin
            score = None
            if rules.score is not None:
                score = rules.score(stepper.problem.coordinates.original(run.solution))
            eta = np.ravel(np.broadcast_to(stepper.schedule(run.t), (run.theta.shape[1],)))
            eta = eta * run.step_factor
            row = {
                "epoch": run.epoch, "objective": f, "eta": eta[::width], "seconds": run.seconds,
                "validation_score": score, "models": alive.copy(), "rows": problem.n,
            }  # fmt: skip
            run.history.append(row)
            if rules.verbose:
                print_row(row)
            enough = None if tol is None else tol[alive]
            done = _judge(run, rules.n_iter_no_change, enough, stepper.schedule, f, score, reference[alive], eta, lost)
            out.n_iter[alive] = run.epoch
            stop = rules.watch is not None and rules.watch.epoch_ends(lambda: run.solution)
            if stop or last:
                done = {j: done.get(j, "interrupted" if stop else "max_iter") for j in range(len(f))}
            if done:
                finished = np.array(sorted(done))
                _settle(run, rules, out, alive, finished, [done[j] for j in finished])
                keep = np.setdiff1d(np.arange(len(alive)), finished)
                if len(keep) == 0:
                    break
                alive = alive[keep]
                good = tuple_take(good, columns_of(keep, width))
                stepper.take(keep)
    except KeyboardInterrupt:
        _settle(run, rules, out, alive, np.arange(len(alive)), ["interrupted"] * len(alive))
        out.n_iter[alive] = run.epoch
    return out


def tuple_take(good: tuple[Array, list[Array]], columns: Array) -> tuple[Array, list[Array]]:
    """A checkpoint for a subset of the columns."""
    return good[0][:, columns].copy(), [a[:, columns].copy() for a in good[1]]


def _step_back(run: Run, columns: Array, good: tuple[Array, list[Array]]) -> None:
    """Return some columns to their last good iterate, with a smaller step."""
    run.theta[:, columns] = good[0][:, columns]
    for now, then in zip(run.memory, good[1], strict=True):
        now[:, columns] = then[:, columns]
    for now in run.l1_memory:
        now[:, columns] = 0.0
    if run.average is not None:
        run.average[:, columns] = good[0][:, columns]
    run.step_factor[columns] *= 0.1


def _judge(
    run: Run, patience: int, tol: Array | None, schedule: Any, f: Array, score: Array | None,
    reference: Array, eta: Array, lost: Array,
) -> dict[int, str]:  # fmt: skip
    """Which models stop now, and why; keeps the best epoch where validation scores exist."""
    done = {int(j): "diverged" for j in np.flatnonzero(run.retries > _RETRIES)}
    if score is not None:
        better = (score > run.best) | ~np.isfinite(run.best)
        gained = score >= run.best + (0.0 if tol is None else tol)
        gained |= ~np.isfinite(run.best)
        if run.best_theta is None:
            run.best_theta = run.solution.copy()
        columns = columns_of(better, run.width)
        run.best_theta[:, columns] = run.solution[:, columns]
        run.best = np.where(better, score, run.best)
    else:
        with np.errstate(invalid="ignore"):
            gained = f <= run.best - (0.0 if tol is None else tol) * reference
        run.best = np.fmin(run.best, np.where(lost, np.inf, f))
    if tol is None:
        return done
    run.stalled = np.where(gained | lost, 0, run.stalled + 1)
    waiting = run.stalled >= patience
    if waiting.any():
        change = np.asarray(schedule.on_plateau(eta))[:: run.width]
        for j in np.flatnonzero(waiting):
            if change[j] > 0:
                columns = columns_of(np.array([j]), run.width)
                run.step_factor[columns] *= change[j]
                run.stalled[j] = 0
            else:
                done[int(j)] = "converged" if score is None else "no validation improvement"
    return done


def _settle(run: Run, rules: Rules, out: Outcome, alive: Array, finished: Array, why: list[str]) -> None:
    """Write finished models to the outcome: the best epoch where scores exist, else the last."""
    columns, to = columns_of(finished, run.width), columns_of(alive[finished], run.width)
    solution = run.solution
    if rules.score is not None and run.best_theta is not None:
        solution = run.best_theta
    out.theta[:, to] = solution[:, columns]
    for position, j, reason in zip(finished, alive[finished], why, strict=True):
        out.status[j] = reason
        out.runs[j] = run if len(out.runs) == 1 else run.part(position, j)


def print_row(row: dict[str, Any]) -> None:
    """One line about one epoch; words stand under each other."""
    score = row["validation_score"]
    tail = "" if score is None else f"  validation {np.mean(score):.6f}"
    print(
        f"epoch {row['epoch']:5d}  objective {np.sum(row['objective']):<14.8g}  "
        f"eta {np.mean(row['eta']):<9.3g}  {row['seconds']:9.2f} s{tail}"
    )

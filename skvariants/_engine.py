r"""The engine: batches, the step, stopping, averaging, history.

It knows the order of events and no formula: the loss gives the derivative, the schedule the length of the step,
the solver direction and scale, the penalty its prox. `theta` is ``(n_features + 1, n_columns)`` in C order with the
intercept as last row; a *model* is ``width`` adjacent columns that stop together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._scaling import Coordinates

Array = np.ndarray
# a model whose objective passes this multiple of the constant model's is out of control
_EXPLODED = 1e8
_RETRIES = 12
_STEEPEST = 1e12
_CHUNK_BYTES = 1 << 20


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
    """

    def __init__(
        self,
        values: Array,
        n_classes: int | None = None,
        low: float = -1.0,
        dtype: Any = np.float64,
        class_weight: Array | None = None,
        columns: Array | None = None,
    ) -> None:
        self.values = values
        self.n_classes = n_classes
        self.low = low
        self.dtype = np.dtype(dtype)
        self.class_weight = class_weight
        self.columns = columns

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, index: Any) -> Array:
        """Targets of some rows, shape ``(n_rows, n_columns)``."""
        values = self.values[index]
        if self.n_classes is None:
            y = values if self.columns is None else values[:, self.columns]
            return np.ascontiguousarray(y, dtype=self.dtype)
        columns = np.arange(self.n_classes) if self.columns is None else self.columns
        return np.where(values[:, None] == columns, 1.0, self.low).astype(self.dtype)

    def weights(self, y: Array) -> Array | None:
        """Class weights of rows as :meth:`rows` returned them, or None."""
        if self.class_weight is None:
            return None
        pairs = self.class_weight
        if self.columns is not None and len(pairs) > 1:
            pairs = pairs[self.columns]
        weights = np.where(y > 0, pairs[:, 1], pairs[:, 0]).astype(self.dtype)
        if self.low == 0.0:  # one-hot: the weight of the true class holds in every column
            weights = np.broadcast_to((y * pairs[:, 1]).sum(axis=1, keepdims=True).astype(self.dtype), y.shape)
        return weights

    def take(self, columns: Array) -> Targets:
        """Targets of a subset, or a repetition, of the columns."""
        if self.n_classes is None and self.values.shape[1] == 1:
            return self
        old = self.columns
        if old is None:
            width = self.values.shape[1] if self.n_classes is None else self.n_classes
            old = np.arange(width)
        return Targets(self.values, self.n_classes, self.low, self.dtype, self.class_weight, old[columns])


@dataclass
class Problem:
    """What is minimised: data, targets, weights, loss, penalty, coordinates.

    `weight` has mean one over the samples, or is None. The objective of a column is
    ``mean(weight * class_weight * loss) + penalty``.
    """

    X: Any
    targets: Targets
    weight: Array | None
    loss: Any
    penalty: Any
    coordinates: Coordinates
    fit_intercept: bool = True

    def __post_init__(self) -> None:
        self.n, self.d = self.X.shape
        self.sparse = sp.issparse(self.X)
        # chunks of a narrow or well filled matrix are cheaper dense; the matrix stays sparse
        self.densify = self.sparse and (self.d <= 64 or self.X.nnz > 0.1 * self.n * self.d)
        self.sparse = self.sparse and not self.densify
        self._scratch: Array | None = None

    def take(self, columns: Array) -> Problem:
        """The same problem for a subset of the columns."""
        return Problem(
            self.X,
            self.targets.take(columns),
            self.weight,
            self.loss.take(columns),
            self.penalty.take(columns),
            self.coordinates.take(columns),
            self.fit_intercept,
        )

    def predict(self, X: Any, theta: Array, out: Array | None = None) -> Array:
        """Predictions ``(n_rows, n_columns)`` for rows of `X`."""
        W, b = theta[:-1], theta[-1]
        c = self.coordinates
        if not c.identity:
            if self._scratch is None or self._scratch.shape != W.shape:
                self._scratch = np.empty_like(W)
            W = np.multiply(W, c.units, out=self._scratch)
            b = c.target * b - c.mean[:, 0] @ W
        # both products are BLAS for dense rows; scipy's own for sparse ones
        z = X @ W if self.sparse or out is None else np.dot(X, W, out=out)
        z += b
        return z

    def gradient(self, X: Any, r: Array, out: Array) -> Array:
        """Gradient in `theta` from derivatives `r` in the predictions, summed over rows."""
        if self.sparse:
            out[:-1] = X.T @ r
        else:
            np.dot(X.T, r, out=out[:-1])
        total = r.sum(axis=0)
        c = self.coordinates
        if not c.identity:
            G = out[:-1]
            G -= c.mean * total
            G *= c.units
            G *= c.factor
            # centred, the intercept starts at its optimum; a scale-free solver would blow rounding up
            noise = 8 * np.finfo(r.dtype).eps * (np.abs(r).sum(axis=0) + c.target)
            total = np.where(np.abs(total) > noise, total, 0) * (c.target * c.factor)
        out[-1] = total if self.fit_intercept else 0.0
        return out

    def square_norms(self, X: Any) -> Array:
        """Squared norm of each row in the coordinates worked in, shape ``(n_rows, 1)``."""
        c = self.coordinates
        if not c.identity:
            X = (X.toarray() if sp.issparse(X) else X) - c.mean[:, 0]
            X = X * c.inverse_scale[:, 0]
            return np.einsum("ij,ij->i", X, X)[:, None]
        if sp.issparse(X):
            return np.asarray(X.multiply(X).sum(axis=1)).reshape(-1, 1)
        return np.einsum("ij,ij->i", X, X)[:, None]

    def rows(self, index: Any, buffer: Array | None = None) -> tuple[Any, Array, Array | None]:
        """Features, targets and weights ``(n_rows, n_columns or 1)`` of some rows."""
        if buffer is not None and not isinstance(index, slice):
            X = np.take(self.X, index, axis=0, out=buffer[: len(index)], mode="clip")
        else:
            X = self.X[index]
            if self.densify:
                X = X.toarray()
        y = self.targets.rows(index)
        s = None if self.weight is None else self.weight[index][:, None]
        extra = self.targets.weights(y)
        if extra is not None:
            s = extra if s is None else s * extra
        return X, y, s

    def losses(self, theta: Array, width: int = 1) -> Array:
        """Objective of each model at `theta`, in the user's units, in blocks of rows."""
        total = np.zeros(theta.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            for index in blocks(self.n, self.d, theta.shape[1]):
                X, y, s = self.rows(index)
                value = self.loss.value(y, self.predict(X, theta))
                total += _column_sums(value, s)
            total /= self.n
            total += self.penalty.value(theta[:-1]) / self.coordinates.factor
        return total.reshape(-1, width).sum(axis=1)

    def constant(self, columns: int) -> Array:
        """Best constant predictions ``(n_columns,)`` and the model of them, as `theta`."""
        y = self.targets.rows(slice(None)).astype(np.float64)
        s = self.targets.weights(y)
        weight = np.ones_like(y) if s is None else s.astype(np.float64)
        if self.weight is not None:
            weight = weight * self.weight[:, None]
        return np.broadcast_to(self.loss.constant(y, weight), (columns,))


def blocks(n: int, d: int, k: int, budget: int = 1 << 22) -> Iterator[slice]:
    """Slices of rows that fit the cache."""
    rows = max(256, budget // max(1, min(d, 4096) + k))
    for start in range(0, n, rows):
        yield slice(start, min(n, start + rows))


def _column_sums(value: Array, s: Array | None) -> Array:
    if s is None:
        return value.sum(axis=0, dtype=np.float64)
    return (value * s).sum(axis=0, dtype=np.float64)


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


def columns_of(models: Array, width: int) -> Array:
    """Column numbers of models given by number or by mask."""
    models = np.flatnonzero(models) if models.dtype == bool else models
    return (models[:, None] * width + np.arange(width)).ravel()


@dataclass
class Rules:
    """When to look, when to stop, what to average."""

    max_iter: int = 1000
    tol: float | None = 1e-3
    n_iter_no_change: int = 5
    average: int = 0
    reference: Array | None = None
    score: Callable[[Array], Array] | None = None
    on_epoch: Callable[[dict[str, Any]], bool | None] | None = None
    verbose: int = 0
    backtrack: bool = True


@dataclass
class Outcome:
    """What a fit returns: one entry per model, in the order of the problem."""

    theta: Array
    n_iter: Array
    status: list[str]
    step_factor: Array
    objective: Array
    setbacks: Array


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
        # L2 goes into the gradient in the user's coordinates, and is implicit in others
        self.implicit = not problem.coordinates.identity
        self._allocate()

    def _allocate(self) -> None:
        theta = self.run.theta
        m, k = self.batch_size, theta.shape[1]
        self.g, self.work, self.update = (np.empty_like(theta) for _ in range(3))
        self.z, self.r = np.empty((m, k), theta.dtype), np.empty((m, k), theta.dtype)
        self.totals = np.zeros(k)
        self.one_by_one = (
            self.batch_size == 1
            and k == 1
            and self.solver.plain
            and self.problem.loss.width == 1
            and not (self.implicit or self.average or self.problem.penalty.has_prox)
            and not self.schedule.aggressive
            and hasattr(self.problem.penalty, "smooth_strength")
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
        n = p.n
        if not p.sparse:
            rows = max(1, _CHUNK_BYTES // (p.X.dtype.itemsize * max(1, p.d)) // B) * B
        else:
            rows = max(1, 8192 // B) * B
        order = self.run.rng.permutation(n) if self.shuffle else None
        buffer = None
        if order is not None and not (p.sparse or p.densify):
            buffer = np.empty((min(rows, n), p.d), p.X.dtype)
        for start in range(0, n, rows):
            stop = min(n, start + rows)
            index = slice(start, stop) if order is None else order[start:stop]
            yield p.rows(index, buffer)

    def epoch(self, max_steps: int | None = None) -> Array:
        """One pass (or fewer steps); returns the mean weighted loss of each column on the way."""
        self.totals = np.zeros(self.run.theta.shape[1])
        seen, steps = 0, 0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            for X, y, s in self.chunks():
                if self.one_by_one and max_steps is None:
                    self._samples(X, y, s)
                    seen += len(y)
                    continue
                if len(self.z) < len(y):
                    self.z = np.empty((len(y), self.run.theta.shape[1]), self.run.theta.dtype)
                done = 0
                for start in range(0, len(y), self.batch_size):
                    batch = slice(start, min(len(y), start + self.batch_size))
                    if self.batch_size >= len(y):
                        self.step(X, y, s, self.z[: len(y)])
                    else:
                        self.step(X[batch], y[batch], None if s is None else s[batch], self.z[batch])
                    done = batch.stop
                    steps += 1
                    if max_steps is not None and steps >= max_steps:
                        break
                # the losses of a chunk at once: each batch left its predictions, from before its step
                value = self.problem.loss.value(y[:done], self.z[:done])
                self.totals += _column_sums(value, None if s is None else s[:done])
                seen += done
                if max_steps is not None and steps >= max_steps:
                    break
        return self.totals / max(seen, 1)

    def step(self, X: Any, y: Array, s: Array | None, z: Array) -> None:
        """``W <- prox[eta*scale](W - eta*scale*direction)`` for one batch; predictions go to `z`."""
        p, run, solver = self.problem, self.run, self.solver
        m, theta = len(y), run.theta
        W = theta[:-1]
        if p.sparse:
            z[...] = p.predict(X, theta)
        else:
            p.predict(X, theta, z)
        r = p.loss.gradient(y, z, self.r[:m])
        run.t += 1
        if self.batch_size == 1:
            # scikit-learn's guard for single samples
            np.clip(r, -_STEEPEST, _STEEPEST, out=r)
        if self.schedule.aggressive:
            # tau_i in the place of eta times |derivative|, in the same direction
            norms, value = p.square_norms(X), p.loss.value(y, z)
            np.sign(r, out=r)
            r *= self.schedule.share(value, norms)
            eta = run.step_factor
            penalty_step = self.schedule.penalty_step
        else:
            eta = self.schedule(run.t) * run.step_factor
            penalty_step = eta
        if s is not None:
            r *= s
        if m > 1:
            r *= 1.0 / m
        g = p.gradient(X, r, self.g)
        penalty = p.penalty
        if not self.implicit and not solver.plain:
            penalty.add_gradient(W, g[:-1])
        direction, scale = solver.step(g, run.t, self.work, *run.memory)
        if scale is not None:
            eta = eta * scale
            penalty_step = eta
        if not self.implicit and solver.plain:
            penalty.decay(W, penalty_step)
        np.multiply(direction, eta, out=self.update)
        theta -= self.update
        if np.ndim(penalty_step) == 2:
            penalty_step = penalty_step[:-1]
        if solver.cumulative_l1 and not self.implicit:
            if penalty.has_prox:
                penalty.truncate(W, penalty_step, *run.l1_memory)
        elif self.implicit or penalty.has_prox:
            penalty.prox(W, penalty_step, smooth=self.implicit)
        if self.average and run.t >= self.average:
            self._add_to_average()

    def _add_to_average(self) -> None:
        run = self.run
        if run.average is None:
            run.average = run.theta.copy()
            return
        np.subtract(run.theta, run.average, out=self.work)
        self.work *= 1.0 / (run.t - self.average + 1)
        run.average += self.work

    def _samples(self, X: Any, y: Array, s: Array | None) -> None:
        """:meth:`step` for batches of one sample and one column, on Python floats.

        The rule beside it: ``W *= max(0, 1 - eta * l2); W -= eta * s * slope(y, z) * x``, with
        ``W = shrink * V`` so that a step touches V once.
        """
        p, run = self.problem, self.run
        slope, schedule = p.loss.slope, self.schedule
        l2 = float(np.max(p.penalty.smooth_strength))
        factor, t = float(run.step_factor[0]), run.t
        v, b = run.theta[:-1, 0].copy(), float(run.theta[-1, 0])
        targets = y[:, 0].tolist()
        weights = None if s is None else s[:, 0].tolist()
        z = np.empty((len(targets), 1))
        shrink, fit_intercept, scratch = 1.0, p.fit_intercept, np.empty_like(v)
        if p.sparse:
            pointers, indices, data = X.indptr.tolist(), X.indices, X.data
        for i, yi in enumerate(targets):
            if p.sparse:
                where = indices[pointers[i] : pointers[i + 1]]
                x = data[pointers[i] : pointers[i + 1]]
                zi = shrink * float(x.dot(v[where])) + b
            else:
                x = X[i]
                zi = shrink * float(x.dot(v)) + b
            z[i, 0] = zi
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
                if p.sparse:
                    v[where] -= (d / shrink) * x
                else:
                    np.multiply(x, d / shrink, out=scratch)
                    np.subtract(v, scratch, out=v)
                if fit_intercept:
                    b -= d
        run.t = t
        np.multiply(v, shrink, out=run.theta[:-1, 0])
        run.theta[-1, 0] = b
        self.totals += _column_sums(p.loss.value(y, z), s)


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
        np.ones(models), np.full(models, np.nan), np.zeros(models, int),
    )  # fmt: skip
    alive = np.arange(models)
    stepper = Stepper(problem, run, solver, schedule, batch_size, shuffle, rules.average)
    reference = np.ones(models) if rules.reference is None else rules.reference
    good = (run.theta.copy(), [a.copy() for a in run.memory])
    first = run.epoch
    try:
        while alive.size and run.epoch - first < rules.max_iter:
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
            limit = _EXPLODED * np.maximum(reference[alive], 1e-300)
            lost = ~(sound & np.isfinite(f))
            if rules.backtrack:
                lost |= ~(f <= limit)
            if lost.any():
                out.setbacks[alive[lost]] += 1
                _step_back(run, columns_of(lost, width), good)
                run.retries[lost] += 1
            else:
                good = begin
            score = None
            if rules.score is not None:
                score = rules.score(run.solution)
            eta = np.ravel(np.broadcast_to(stepper.schedule(run.t), (run.theta.shape[1],)))
            eta = (eta * run.step_factor)[::width]
            row = {
                "epoch": run.epoch, "objective": f, "eta": eta, "seconds": run.seconds,
                "validation_score": score, "models": alive.copy(),
            }  # fmt: skip
            run.history.append(row)
            if rules.verbose:
                _print_row(row)
            done = _judge(run, rules, stepper.schedule, f, score, reference[alive], eta, lost)
            out.objective[alive] = f
            out.n_iter[alive] = run.epoch
            stop = rules.on_epoch(row) if rules.on_epoch is not None else False
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
    run: Run, rules: Rules, schedule: Any, f: Array, score: Array | None, reference: Array,
    eta: Array, lost: Array,
) -> dict[int, str]:  # fmt: skip
    """Which models stop now, and why; keeps the best epoch where validation scores exist."""
    done = {int(j): "diverged" for j in np.flatnonzero(run.retries > _RETRIES)}
    if score is not None:
        better = (score > run.best) | ~np.isfinite(run.best)
        gained = score >= run.best + (rules.tol or 0.0)
        gained |= ~np.isfinite(run.best)
        if run.best_theta is None:
            run.best_theta = run.solution.copy()
        columns = columns_of(better, run.width)
        run.best_theta[:, columns] = run.solution[:, columns]
        run.best = np.where(better, score, run.best)
    else:
        with np.errstate(invalid="ignore"):
            gained = f <= run.best - (rules.tol or 0.0) * reference
        run.best = np.fmin(run.best, np.where(lost, np.inf, f))
    if rules.tol is None:
        return done
    run.stalled = np.where(gained | lost, 0, run.stalled + 1)
    waiting = run.stalled >= rules.n_iter_no_change
    if waiting.any():
        change = np.asarray(schedule.on_plateau(eta))
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
    out.step_factor[alive[finished]] = run.step_factor[:: run.width][finished]
    for j, reason in zip(alive[finished], why, strict=True):
        out.status[j] = reason


def _print_row(row: dict[str, Any]) -> None:
    score = row["validation_score"]
    tail = "" if score is None else f"  validation {np.mean(score):.6f}"
    print(
        f"epoch {row['epoch']:5d}  objective {np.sum(row['objective']):.8g}  "
        f"eta {np.mean(row['eta']):.3g}  {row['seconds']:.2f} s{tail}"
    )

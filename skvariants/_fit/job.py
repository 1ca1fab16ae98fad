"""What is minimised, by what, and where it starts: the columns of several specs, assembled."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skvariants._by_feature import Shape
from skvariants._component import identity, side_by_side
from skvariants._data.occurring import Occurring
from skvariants._data.scaling import Coordinates, Moments
from skvariants._data.validate import Data
from skvariants._fit.results import Setup
from skvariants._spec import Spec
from skvariants._training.certificate import Predicted
from skvariants._training.loop import Watch
from skvariants._training.problem import Problem, by_model, columns_of
from skvariants._training.state import State
from skvariants.solvers import SOLVERS

Array = np.ndarray
#: Units in the last place, as a share of the gain, that a certificate can prove; no less is promised.
_PROVABLE = 1e6
#: Numbers that are carried over into other coordinates at once.
_AT_ONCE = 1 << 20
#: Most of it: what the default proves in single precision of 493 in 500 drawn tables.
_COARSE = 1e-3


@dataclass(eq=False, repr=False)
class Job:
    """Everything that the models of one fit share, and what each brings along."""

    specs: Sequence[Spec]
    data: Data
    problem: Problem
    setups: list[Setup]
    state: State
    constants: Array
    reference: Array
    started: bool
    streaming: bool
    epochs: Array
    column_constants: Array
    near: bool
    deadline: float

    @property
    def spec(self) -> Spec:
        return self.specs[0]

    @property
    def width(self) -> int:
        return self.data.task.n_columns

    @property
    def dtype(self) -> Any:
        return self.data.rows.dtype

    def part(self, j: int, state: State) -> Job:
        """One model as a job of its own, at a state of it."""
        at = np.array([j])
        problem = self.problem if len(self.specs) == 1 else self.problem.take(columns_of(at, self.width))
        return replace(
            self, specs=[self.specs[j]], problem=problem, setups=[self.setups[j]], state=state,
            constants=self.constants[at], reference=self.reference[at], epochs=self.epochs[at],
            column_constants=self.column_constants[columns_of(at, self.width)],
        )  # fmt: skip

    def stacked(self, components: Sequence[Any]) -> Any:
        """One component for all columns."""
        return side_by_side(components, self.width, self.dtype)


def assemble(
    specs: Sequence[Spec], data: Data, previous: Any, starts: Any, streaming: bool, beside: Setup | None = None,
    known: Moments | None = None,
) -> Job:  # fmt: skip
    """The problem of all columns, and where they start; `known` are moments of rows that a start has learned."""
    spec, task, count = specs[0], data.task, len(specs)
    old = beside if previous is None else previous[0].setup
    rows = data.rows if previous is None else data.rows.astype(previous[0].state.theta.dtype)
    if streaming and old is not None:
        rows = _weighed_by_stream(rows, data.total_weight, old)
    if rows is not data.rows:
        data = replace(data, rows=rows)
    losses = [task.bind_loss(s.loss) for s in specs]
    frame = _frame(spec, data, losses[0], old, streaming, known)
    coordinates, k, dtype = frame.coordinates, task.n_columns, rows.dtype
    problem = Problem(rows, task.encoding(dtype), losses[0], None, coordinates, spec.fit_intercept)
    measured = streaming and old is not None and old.paced and spec.solver.method == "steps"
    constants, costs = (np.zeros(k), old.costs) if measured else constants_of(problem, losses)
    if count > 1:
        columns = np.tile(np.arange(k), count)
        problem = replace(
            problem, encoding=problem.encoding.take(columns), loss=side_by_side(losses, k, dtype),
            coordinates=coordinates.take(columns),
        )  # fmt: skip
    problem.penalty = side_by_side([s.penalty for s in specs], k, dtype)
    problem, previous, starts = _of_occurring(problem, k, _stepping(spec, streaming), previous, starts)
    wide = problem.coordinates
    if not wide.identity:
        problem.penalty = problem.penalty.rescaled(wide.units, wide.objective_scale)
    if previous is None:
        keyed = not streaming
        setups = [
            replace(frame, key=continuation_key(s, data) if keyed and s.warm_start else None, asked=type(s.solver))
            for s in specs
        ]
        begin = task.expected(losses[0], data.y, rows.weight) if streaming else None
        state = _start(problem, k, spec, constants if begin is None else begin, starts)
        costs = within_reach(problem, state.theta, costs)
    else:
        setups = [frame.going_on(kept.setup) for kept in previous]
        state = previous[0].state.borrowed() if streaming else previous[0].state.copy()
        state = state if count == 1 else state.join([kept.state for kept in previous[1:]])
        if streaming:
            _follow(setups[0], spec, state, problem)
            _move(setups[0], state, old.coordinates, problem, starts)
            costs = costs if measured or old.costs is None else np.maximum(costs, old.costs)
    if streaming:
        setups[0].costs = costs
    reference = np.maximum(by_model(costs, k), np.finfo(np.float64).tiny)
    of_columns = costs * wide.objective_scale
    return Job(
        specs, data, problem, setups, state, by_model(of_columns, k), reference, starts is not None, streaming,
        state.epoch.copy(), of_columns, beside is not None, _deadline(specs),
    )  # fmt: skip


def _of_occurring(problem: Problem, k: int, solver: Any, previous: Any, starts: Any) -> tuple[Problem, Any, Any]:
    """The same for the features that have occurred, where the others would be at rest; `k` columns are a model."""
    rows, penalty, features = problem.rows, problem.penalty, None
    rests = rows.sparse and not rows.densify and solver.rests and penalty.elastic
    alike = rests and penalty.at(slice(0)) is penalty  # what is asked of all features
    if alike and not any(kept.features is None for kept in previous or ()):
        more = [kept.features.occurred for kept in previous or ()]
        more += [np.flatnonzero(start[0].any(axis=0)) for start in starts or () if start is not None]
        features = Occurring.found(rows.X, more, problem.d * k * rows.dtype.itemsize)
    previous = None if previous is None else [kept.among(features) for kept in previous]
    if features is None:
        return problem, previous, starts
    if starts is not None:
        starts = [None if start is None else (start[0][:, features.numbers], start[1]) for start in starts]
    return problem.only(features), previous, starts


def _deadline(specs: Sequence[Spec]) -> float:
    """When no further epoch begins: models that are trained together share their times."""
    seconds = specs[0].stopping.max_time
    return math.inf if seconds is None else time.perf_counter() + seconds * len(specs)


def _follow(setup: Setup, spec: Spec, state: State, problem: Problem) -> None:
    """A stream is no warm start; another solver than that of the last chunk begins where the model stands."""
    begins, setup.key, state.table = setup.history is None, None, None
    if begins:  # a fit came before, with its plateaus
        state.step_factor, state.checkpoint = np.ones_like(state.step_factor), []
        if state.best_theta is not None:  # the model is that of the best score
            state.theta, state.best_theta = state.best_theta, None
            _move_points(setup.solver, state, lambda point: state.theta.copy())
    if spec.solver.method != "steps":
        return
    changed = type(setup.solver) is not type(spec.solver)
    if changed and state.memory:
        state.theta = setup.solver.solution(state.theta, *state.memory).copy()
    setup.solver = spec.solver
    memory = spec.solver.allocate(state.theta, problem.penalty, not problem.coordinates.identity)
    state.memory = state.memory or memory
    if changed or [a.shape for a in memory] != [a.shape for a in state.memory]:
        setup.asked, setup.race, setup.pace = type(spec.solver), None, None
        state.memory, state.average, state.t = memory, None, 0


def constants_of(problem: Problem, losses: Sequence[Any]) -> tuple[Array, Array]:
    """Best constant predictions of all columns and what they cost; equal losses are asked once."""
    if len(losses) == 1:
        return problem.intercept_only()
    keys = [loss.key() for loss in losses]
    distinct = {key: replace(problem, loss=loss).intercept_only() for key, loss in zip(keys, losses, strict=True)}
    constants, costs = zip(*(distinct[key] for key in keys), strict=True)
    return np.concatenate(constants), np.concatenate(costs)


def _weighed_by_stream(rows: Any, total_weight: float, old: Setup) -> Any:
    """Rows of a chunk, whose weights have mean one, weighed beside all rows of the stream."""
    n_rows, total = rows.n + old.n_rows, total_weight + old.total_weight
    factor = (total_weight / rows.n) / (total / n_rows)
    return rows if factor == 1.0 else rows.reweighted(factor)


def _frame(spec: Spec, data: Data, loss: Any, old: Setup | None, streaming: bool, known: Moments | None) -> Setup:
    """Coordinates to work in, and the moments that they come from."""
    rows, task = data.rows, data.task
    if old is not None and not streaming:
        return replace(old, task=task)
    counts: dict[str, Any] = {"n_rows": float(rows.n), "total_weight": data.total_weight}
    if old is not None:
        counts = {name: count + getattr(old, name) for name, count in counts.items()}
    if not (spec.scale or (spec.scale_open and old is not None and old.moments is not None)):
        return Setup(None, task, Coordinates(), None, None, **counts)
    size = _lazy_batch(spec, streaming)
    known = known if known is not None and len(known.mean) == rows.d else None
    moments = rows.moments(known if old is None else old.moments, filling=size)
    targets = None
    if loss.in_target_units:
        targets = task.target_moments(data.y, rows.weight, None if old is None else old.target_moments)
    unit = task.unit(targets, spec.fit_intercept)
    rare = size > 0 and moments.touches_few(size)
    coordinates = moments.coordinates(spec.fit_intercept, unit, rows.dtype, rare)
    return Setup(None, task, coordinates, moments, targets, **counts)


def within_reach(problem: Problem, theta: Array, costs: Array) -> Array:
    """What constant models cost; where bounds exclude them, what the nearest weights do, penalty included."""
    if not problem.penalty.bounded:
        return costs
    lower, upper = problem.penalty.limits()
    out = ((lower > 0) | (upper < 0)).any(axis=0)
    if not out.any():
        return costs
    nearest = np.zeros_like(theta)
    problem.penalty.project(nearest[:-1])
    at = Predicted(problem, nearest)
    Z, _ = at.at_best_intercept(at.slopes(at.Z))
    return np.where(out, at.losses(Z) + at.penalties(), costs)


def _stepping(spec: Spec, streaming: bool) -> Any:
    """The solver; in a stream, that of steps."""
    return SOLVERS["adagrad"]() if streaming and spec.solver.method != "steps" else spec.solver


def _lazy_batch(spec: Spec, streaming: bool) -> int:
    """Rows of a step that may touch their features only, or 0 where each step touches all."""
    solver = _stepping(spec, streaming)
    size = solver.batch_size if isinstance(spec.batch_size, str) else spec.batch_size
    return size if solver.lazy and spec.penalty.separable and not isinstance(size, str) else 0


def _start(problem: Problem, k: int, spec: Spec, constants: Array, starts: Any) -> State:
    """The state at the given coefficients, or at the best constant model where columns are standardised."""
    coordinates, dtype = problem.coordinates, problem.rows.dtype
    theta = np.zeros((problem.d + 1, len(constants)), dtype=dtype)
    if not coordinates.identity and spec.fit_intercept:
        theta[-1] = constants / coordinates.target
    for j, start in enumerate(starts or ()):
        if start is not None:
            at = slice(j * k, (j + 1) * k)
            given = np.concatenate([start[0].T, start[1][None]])
            theta[:, at] = coordinates.take(np.arange(at.start, at.stop)).standardised(given)
    if problem.penalty.bounded:
        problem.penalty.project(theta[:-1])
    return State.start(theta, k, np.random.default_rng(seed(spec.random_state)))


def _move(setup: Setup, state: State, old: Coordinates, problem: Problem, starts: Any) -> None:
    """Carry a state over into the coordinates of now, where the model stays as it is, or put it where it was set."""
    new, pace = problem.coordinates, setup.pace
    old = old if problem.features is None else old.at(problem.features.numbers)
    setup.pace = pace = None if pace is None else pace.copy()
    rungs = None if pace is None or pace.rungs is None else pace.rungs
    if starts is not None and starts[0] is not None:
        coef, intercept = starts[0]
        theta = new.standardised(np.concatenate([coef.T, intercept[None]]))
        state.theta = np.ascontiguousarray(theta, state.theta.dtype)
        state.average = None if state.average is None else state.theta.copy()
        _move_points(setup.solver, state, lambda point: state.theta.copy())
        if rungs is not None:
            rungs.restart(state.theta, state.memory)
        return
    if new.identity and old.identity:
        return
    _carry(setup.solver, state, old, new)
    if rungs is not None:
        columns = np.tile(np.arange(state.theta.shape[1]), len(rungs.multiples))
        with np.errstate(over="ignore", invalid="ignore"):  # of a rung that is lost
            _carry(setup.solver, rungs.state, old.take(columns), new.take(columns))


def _carry(solver: Any, state: State, old: Coordinates, new: Coordinates) -> None:
    def carried(point: Array) -> Array:
        if point.size <= _AT_ONCE:
            return new.standardised(old.original(point)).astype(state.theta.dtype, copy=False)
        moved = np.empty_like(point)
        for j in range(point.shape[1]):  # as room is scarce
            at = np.array([j])
            moved[:, at] = new.take(at).standardised(old.take(at).original(point[:, at]))
        return moved

    state.theta = carried(state.theta)
    if state.average is not None:
        state.average = carried(state.average)
    _move_points(solver, state, carried)


def _move_points(solver: Any, state: State, to: Callable[[Array], Array]) -> None:
    """Move what a solver keeps of the kind of parameters."""
    if solver.points and state.memory:
        kept = zip((*solver.memory, *solver.totals), state.memory, strict=True)
        state.memory = [to(array) if name in solver.points else array for name, array in kept]


def is_drawn(random_state: Any) -> bool:
    """Whether each fit has a seed of its own."""
    return random_state is None or hasattr(random_state, "randint")


def seed(random_state: Any) -> int:
    """The seed of a fit; a number gives the same one each time, and starting RandomState takes as long as a step."""
    return (_drawn_seed if is_drawn(random_state) else _kept_seed)(random_state)


def _drawn_seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


_kept_seed = functools.lru_cache(_drawn_seed)


def batch_size_of(spec: Spec, solver: Any, rows: Any, streaming: bool = False) -> int:
    """Rows of a step."""
    n, size = rows.n, spec.batch_size
    if solver.method != "steps":
        return n
    if isinstance(size, str) and size == "auto":
        size = solver.batch_size if spec.natural_batch_size is None else spec.natural_batch_size
        if not isinstance(size, str):
            if rows.sparse and size > 1:
                # a step costs its stored values and an update of every weight: enough rows to outweigh it
                size = max(size, min(2048, int(rows.d * n / max(rows.stored, 1))))
            # passes count: small tables deserve small batches, and tiny ones are one batch
            size = n if n <= 32 and (size > 1 or not streaming) else min(size, max(32, n // 32))
    return n if isinstance(size, str) else min(int(size), n)


def watch_of(job: Job, callback: Any) -> Watch:
    """Who looks on: the scores of rows held out, callbacks, whoever reads the lines."""
    held_out, task = job.data.validation, job.data.task
    if held_out is None:
        return Watch(None, callback, job.spec.verbose, job.deadline, "pass" if job.streaming else "epoch")
    loss = task.bind_loss(job.spec.loss)
    spread = task.spread(job.data.y, job.data.rows.weight, loss)

    def score(models: Array) -> Array:
        z = (held_out.X @ models[:-1] + models[-1]).reshape(len(held_out.y), -1, task.n_columns)
        return task.scores(z, held_out.y, held_out.weight, loss, spread)

    return Watch(score, callback, job.spec.verbose, job.deadline)


def tolerances(job: Job) -> Array | None:
    if job.streaming or job.spec.stopping.tol is None:
        return None
    return np.array([spec.stopping.tol for spec in job.specs], dtype=float)


def promised(spec: Spec, eps: float = float(np.finfo(np.float64).eps)) -> float:
    """What a fit promises: `tol`, or what a precision allows to be proven where that is more."""
    return max(spec.stopping.tol or 0.0, min(_PROVABLE * eps, _COARSE))


def bound(spec: Spec, data: Data) -> Spec:
    """A spec whose penalty knows what is asked of the features of some data."""
    task = data.task
    return spec.for_features(Shape(data.header.feature_names, data.rows.d, task.n_columns, task.n_classes))


def continuation_key(spec: Spec, data: Data) -> Hashable:
    """What is equal for two fits of which one can go on where the other has stopped."""
    task = data.task
    classes = None if task.n_classes is None else identity(task.classes)
    kind = type(task), task.n_columns, classes, data.table is None
    return bound(spec, data).key(), data.rows.d, str(data.rows.dtype), *kind


__all__ = [
    "Job",
    "assemble",
    "batch_size_of",
    "bound",
    "constants_of",
    "continuation_key",
    "is_drawn",
    "promised",
    "seed",
    "tolerances",
    "watch_of",
    "within_reach",
]

r"""The story of a fit: from validated rows and specs to trained models.

What is told here is told for several specs at once. Specs that differ in numbers only (:meth:`Spec.group_key`) are
columns of one matrix: they share the rows, the batches and every matrix product. One spec is the case of one, so that a
column is a fit. :func:`fit` assembles what is minimised, chooses the method, races steps, trains, and hands back
:class:`Fitted`; no estimator comes here.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skvariants._advice.choice import Asked, choose, too_wide
from skvariants._advice.facts import Facts, measure
from skvariants._component import identity, side_by_side
from skvariants._data.scaling import Coordinates, Moments
from skvariants._data.validate import Data
from skvariants._interior_point.method import InteriorPointSteps
from skvariants._interior_point.rows import FACTORED
from skvariants._messages import diverged, left_out, not_converged, stalled
from skvariants._quasi_newton.decrement import certify
from skvariants._quasi_newton.method import Tolerance, quasi_newton
from skvariants._spec import Spec
from skvariants._stream.learner import Trust, empty_sums, go_on_from, matrices
from skvariants._stream.memory import Chunk, Remembering, memory_of
from skvariants._stream.progress import Progress
from skvariants._threads import spare_thread, threads
from skvariants._training.certificate import Certificate
from skvariants._training.loop import Outcome, Training, Watch, print_row
from skvariants._training.problem import Problem, by_model, columns_of
from skvariants._training.race import STEP_GRID, Race, race, step_unit
from skvariants._training.rungs import Pace, Rungs
from skvariants._training.state import State, same_generator
from skvariants._training.steps import Steps
from skvariants.schedules import Settling
from skvariants.solvers import SOLVERS
from skvariants.solvers.recursive import Recursive

Array = np.ndarray
#: Most numbers in the arrays of one block of columns.
_BLOCK = 1 << 25
#: The same where models start near their optima: they are looked at few times, in memory that is not new each time.
_LOOKED_AT = 1 << 21
#: Times the objective of the constant model that an epoch of a step found by a race may reach.
_WORSE = 2.0
#: The floor of ``learning_rate="auto"``: three drops, each to a quarter, leave noise below the tolerance.
_FLOOR = 50
#: Least accuracy of what stands for the limit of a loss: the limit itself is farther.
_LIMIT = 1e-4
#: Share of rows with curvature below which an estimate of a loss that saturates is not believed (of 72 drawn tables two
#: were wrong where one row in twelve had it, none where two in three had).
_FEW_CURVED = 0.3
#: Shares of the tolerance with which a fit goes on that is not where it expected to be.
_TIGHTER = (0.1, 0.01)
#: Multiplications of a Hessian up to which it then takes interior-point steps, and how many at most.
_AFFORDABLE, _PATH = 2e10, 200
#: Units in the last place, as a share of the gain, that a certificate can prove; no less is promised.
_PROVABLE = 1e6
#: Times the constant model's objective from which a model has diverged.
_WILD = 100
#: Calls of a stream that its history holds.
_HISTORY = 1000
#: By what a step that was made smaller, as a chunk led away, grows with each further chunk.
_RECOVERY = 2.0


@dataclass(eq=False, repr=False)
class Setup:
    """What a fit found before it trained: it stays while training goes on.

    Attributes
    ----------
    key : hashable
        What is equal for a warm start that may go on from here; None where none was announced.
    task : Task
        What the targets are.
    coordinates : Coordinates
        Worked in.
    moments, target_moments : Moments or None
        Of all rows seen, where columns are standardised.
    asked : type
        Class of the solver that was asked for.
    solver, schedule : Solver, Schedule
        Chosen; the first step is known.
    race : Race or None
        How the first step was found.
    n_rows, total_weight : float
        Rows seen, and the sum of their weights.
    batch_size : int
        Rows of a step.
    pace : Pace or None
        What a stream knows of a step that was left open.
    costs : ndarray of shape (n_columns,) or None
        Greatest mean loss that the best constant model of a chunk of a stream had.
    history : dict of lists or None
        The last calls of a stream.
    """

    key: Hashable
    task: Any
    coordinates: Coordinates
    moments: Moments | None
    target_moments: Moments | None
    asked: Any = None
    solver: Any = None
    schedule: Any = None
    race: Any = None
    n_rows: float = 0.0
    total_weight: float = 0.0
    batch_size: int = 0
    pace: Pace | None = None
    costs: Any = None
    history: dict[str, list[Any]] | None = None

    @property
    def paced(self) -> bool:
        """Whether a stream has its step, and knows what a constant model costs."""
        return self.costs is not None and (self.pace is None or self.pace.rungs is None)

    def going_on(self, old: Setup) -> Setup:
        """What was found before, `old`, with the coordinates and counts of now."""
        return replace(
            old, task=self.task, coordinates=self.coordinates, moments=self.moments,
            target_moments=self.target_moments, n_rows=self.n_rows, total_weight=self.total_weight,
        )  # fmt: skip


@dataclass(eq=False, repr=False)
class Kept:
    """What a fit goes on from: setup, state, the model as it was published, and how a stream went so far."""

    setup: Setup
    state: State
    theta: Any = None
    progress: Progress | None = None

    def takes_chunks(self, spec: Spec, task: Any) -> bool:
        """Whether a stream can go on from here: by steps, for the same targets."""
        setup = self.setup
        method = setup.solver.method
        asked = spec.solver.method == "steps" or setup.asked is type(spec.solver)
        return asked and method in ("steps", "recursive") and task.same_as(setup.task)

    def published(self, coef: Array, intercept: Array) -> bool:
        """Whether these are the parameters that were published; others were set by hand."""
        return np.array_equal(coef.T, self.theta[:-1]) and np.array_equal(intercept, self.theta[-1])

    def grown(self, task: Any, coef: Array, intercept: Array) -> Kept:
        """The same for more classes, at a model of them: moments, counts and the step stay, the state begins anew.

        Sums over rows know nothing of a new class: the model stands for them, and is worth as much.
        """
        given = np.concatenate([coef.T, intercept[None]])
        theta = np.ascontiguousarray(self.setup.coordinates.standardised(given), self.state.theta.dtype)
        state = State.start(theta, task.n_columns, same_generator(self.state.rng))
        setup = replace(self.setup, task=task, costs=None)
        if setup.pace is not None and setup.pace.rungs is not None:  # what races has the old columns
            setup.pace, setup.race = None, None
        return Kept(setup, state, given, self.progress)


@dataclass(eq=False, repr=False)
class Fitted:
    """What a fit hands back.

    Attributes
    ----------
    spec : Spec
        What was asked for.
    header : Header
        Names and number of the features.
    kept : Kept
        From what another fit may go on.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model in the units of the data, the intercept as last row.
    status : str
        Why it stopped.
    n_iter : int
        Epochs of this fit.
    messages : list of str
        What is to be warned of.
    suboptimality : float or None
        How far the model can be from the optimum, as a share of what the optimum gains over a constant.
    suboptimality_kind : str or None
        "bound", "estimate" or "unknown".
    """

    spec: Spec
    header: Any
    kept: Kept
    theta: Array
    status: str
    n_iter: int
    messages: list[str]
    suboptimality: float | None = None
    suboptimality_kind: str | None = None

    @property
    def task(self) -> Any:
        """What the targets are."""
        return self.kept.setup.task

    def worth(self) -> Trust:
        """What the model is worth beside further rows."""
        setup, sums = self.kept.setup, self.kept.state.method
        if setup.solver.method == "recursive" and sums is not None:
            return sums.worth(setup.total_weight)
        moments = setup.moments
        if moments is None:
            return Trust(setup.total_weight)
        return Trust.of(setup.total_weight, moments.squares / moments.count, np.atleast_1d(moments.mean))

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes by name, as an estimator publishes them."""
        setup, state = self.kept.setup, self.kept.state
        history = history_of(state) if setup.history is None else setup.history
        scores = [score for score in history["validation_score"] if score is not None] or None
        steps = setup.solver.method in ("steps", "recursive")
        return {
            **model_attributes(self.task, self.header, self.spec.loss, self.theta),
            "status_": self.status, "n_iter_": self.n_iter,
            "suboptimality_": self.suboptimality, "suboptimality_kind_": self.suboptimality_kind,
            "t_": 1.0 + (state.t if steps else int(state.epoch[0])),
            "eta0_": getattr(setup.schedule, "eta0", None) if steps else getattr(setup.race, "winner", None),
            "race_": setup.race, "solver_": copy.copy(setup.solver), "history_": history,
            "loss_curve_": list(history["objective"]), "validation_scores_": scores,
            "best_epoch_": None if scores is None else int(np.argmax(scores)) + 1,
        }  # fmt: skip


def model_attributes(task: Any, header: Any, loss: Any, theta: Array) -> dict[str, Any]:
    """Attributes that a model needs to predict, of parameters in the units of the data."""
    coef, intercept = task.as_published(theta)
    return {
        **task.attributes(), "n_features_in_": header.n_features, "feature_names_in_": header.feature_names,
        "coef_": coef, "intercept_": intercept, "_task": task, "_minimised": copy.copy(task.bind_loss(loss)),
    }  # fmt: skip


def history_of(state: State) -> dict[str, list[Any]]:
    """The history of a single model, as lists by name."""
    rows = state.history
    return {
        "epoch": [int(row["epoch"][0]) for row in rows],
        "objective": [float(row["objective"][0]) for row in rows],
        "eta": [float(row["eta"][0]) for row in rows],
        "seconds": [float(row["seconds"]) for row in rows],
        "rows": [int(row["rows"]) for row in rows],
        "validation_score": [
            None if row["validation_score"] is None else float(row["validation_score"][0]) for row in rows
        ],
    }


def continuation_key(spec: Spec, data: Data) -> Hashable:
    """What is equal for two fits of which one can go on where the other has stopped."""
    task = data.task
    classes = None if task.n_classes is None else identity(task.classes)
    return spec.key(), data.rows.d, str(data.rows.dtype), type(task), task.n_columns, classes


@dataclass(eq=False, repr=False)
class _Job:
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

    @property
    def spec(self) -> Spec:
        return self.specs[0]

    @property
    def width(self) -> int:
        return self.data.task.n_columns

    @property
    def dtype(self) -> Any:
        return self.data.rows.dtype

    def part(self, j: int, state: State) -> _Job:
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


def fit(
    specs: Sequence[Spec], data: Data, previous: Sequence[Kept] | None = None, starts: Sequence[Any] | None = None,
    streaming: bool = False, callback: Any = None, certified: bool = True, trust: Trust | None = None,
) -> list[Fitted]:  # fmt: skip
    """Train the models of several specs of one group.

    Parameters
    ----------
    specs : sequence of Spec
        Of one :meth:`Spec.group_key`.
    data : Data
        What they learn from.
    previous : sequence of Kept, optional
        From what they go on, of equal join keys; nothing of it is changed.
    starts : sequence of (coef, intercept) or None, optional
        Where each starts, in the units of the data.
    streaming : bool, default=False
        Whether this is a chunk of a stream, which has no stopping rule beside the number of passes, `max_iter`.
    callback : object, optional
        Told of each epoch.
    certified : bool, default=True
        Whether to measure how far the models are from the optimum where their method does not say so.
    trust : Trust, optional
        What the start of a stream is worth.

    Returns
    -------
    list of Fitted
    """
    if streaming and specs[0].forgetting is not None:
        _check_forgetting(specs[0], data)
    if streaming and recursive(specs[0], data.task, data.rows.d):
        kept, start = None if previous is None else previous[0], None if starts is None else starts[0]
        return [_learn(specs[0], data, kept, start, trust)]
    job = _assemble(specs, data, previous, starts, streaming)
    return _trained(job, previous is None, callback, certified)


def _trained(job: _Job, fresh: bool, callback: Any, certified: bool) -> list[Fitted]:
    """The models of a job."""
    if fresh:
        _choose(job)
    solver = job.stacked([setup.solver for setup in job.setups])
    if not job.state.memory:
        job.state.memory = solver.allocate(job.state.theta, job.problem.penalty, not job.problem.coordinates.identity)
    rows, before = job.data.rows, job.state.epoch.copy()
    batch_size = _batch_size(job.spec, solver, rows, job.streaming)
    # BLAS sees no sparse row: its threads would only wait for each other, over vectors of many weights
    per_row = rows.d if rows.densify or not rows.sparse else 0
    with threads(batch_size * per_row * job.problem.encoding.n_columns * len(job.specs)):
        outcomes = _METHODS[solver.method](job, solver, callback, fresh)
        if not job.streaming:
            _certify(job, outcomes, certified)
            if solver.method == "quasi-Newton":
                _go_on(job, solver, callback, outcomes)
    return [_result(job, j, outcome, int(before[j])) for j, outcome in enumerate(outcomes)]


# ---------------------------------------------------------------------- a chunk of a stream


def recursive(spec: Spec, task: Any, d: int) -> bool:
    """Whether a stream learns from sums over its rows: nothing of steps was asked for, and the sums are affordable."""
    if spec.solver.method == "steps" or not spec.free or not spec.penalty.elastic:
        return False
    loss = task.bind_loss(spec.loss)
    return loss.limit() is loss and matrices(loss, d, task.n_columns) is not None


def _check_forgetting(spec: Spec, data: Data) -> None:
    if not recursive(spec, data.task, data.rows.d):
        raise ValueError(
            f"forgetting={spec.forgetting!r} needs what solver='auto' does in a stream, and that is not possible with "
            f"these parameters and {data.rows.d:,} features: leave forgetting=None, as steps forget by themselves."
        )


def _learn(spec: Spec, data: Data, kept: Kept | None, start: Any, trust: Trust | None) -> Fitted:
    """One model after one more chunk, by sums over all rows."""
    task, rows = data.task, data.rows
    loss, old = task.bind_loss(spec.loss), None if kept is None else kept.setup
    spec.penalty.check_features(rows.d, "penalty")
    moments = None
    if loss.in_target_units:
        moments = task.target_moments(data.y, rows.weight, None if old is None else old.target_moments)
    setup = Setup(
        None, task, Coordinates(), None, moments, type(spec.solver), Recursive(),
        n_rows=rows.n + (0.0 if old is None else old.n_rows),
        total_weight=data.total_weight + (0.0 if old is None else old.total_weight),
    )  # fmt: skip
    if kept is None:
        state = State.start(np.zeros((rows.d + 1, task.n_columns)), task.n_columns, np.random.default_rng(0))
    else:
        # what is not replaced below is not changed
        sums = None if kept.state.method is None else kept.state.method.copy()
        state, setup.history = replace(kept.state, method=sums, history=[]), kept.setup.history
    if state.method is None or start is not None:
        if start is None and kept is not None:
            start = kept.theta[:-1].T, kept.theta[-1]
        trust = Trust() if trust is None else trust
        state.method = empty_sums(
            rows.X, loss, task, spec.fit_intercept, _seed(spec.random_state), None if start is None else trust.centre
        )
        if start is not None:
            go_on_from(state.method, np.concatenate([start[0].T, start[1][None]]), trust, spec.penalty)
    started = time.perf_counter()
    how = loss, spec.penalty, spec.fit_intercept, task.unit(moments, spec.fit_intercept)
    weight = np.full(rows.n, data.total_weight / rows.n)
    if rows.weight is not None:
        weight *= rows.weight
    chunk = Chunk(rows.X, task.encoding(np.float64).expand(rows.y), weight, task.classification)
    rule = memory_of(spec.forgetting, state.method.memory, state.method, how)
    with (
        threads(rows.n * rows.d * rows.d * task.n_columns),
        np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"),
    ):
        learner = rule.learn(Remembering(state.method, how), chunk)
        theta = learner.sums.frame.original(learner.sums.theta)
    if not np.isfinite(theta).all():
        return _left_out(spec, data, kept, setup, start)
    state.method = learner.sums
    state.method.memory = spec.forgetting, rule
    setup.total_weight = learner.n_rows
    state.seconds += time.perf_counter() - started
    state.theta, state.t = theta, state.t + rows.n
    state.epoch = state.epoch + 1
    losses = np.concatenate(learner.before)
    mean = float(weight[-len(losses) :] @ losses) / float(weight[-len(losses) :].sum())
    state.history.append({
        "epoch": state.epoch.copy(), "objective": np.array([mean]), "eta": np.ones(1), "seconds": state.seconds,
        "validation_score": None, "models": np.zeros(1, int), "rows": rows.n,
    })  # fmt: skip
    _log(setup, state)
    theta = theta.astype(rows.dtype)
    return Fitted(spec, data.header, Kept(setup, state, theta.copy()), theta, "max_iter", 1, [])


def _left_out(spec: Spec, data: Data, kept: Kept | None, setup: Setup, start: Any) -> Fitted:
    """The model before a chunk that none could be made of; zero where there was none."""
    if kept is None:
        theta = np.zeros((data.rows.d + 1, data.task.n_columns), data.rows.dtype)
        if start is not None:
            theta[:-1], theta[-1] = start[0].T, start[1]
        state = State.start(theta, data.task.n_columns, np.random.default_rng(0))
        kept = Kept(replace(setup, total_weight=0.0), state, theta.copy())
    return Fitted(spec, data.header, kept, kept.theta, "diverged", 1, [left_out()])


# ---------------------------------------------------------------------- what is minimised


def _assemble(
    specs: Sequence[Spec], data: Data, previous: Any, starts: Any, streaming: bool, beside: Setup | None = None
) -> _Job:  # fmt: skip
    """The problem of all columns, and where they start."""
    spec, task, count = specs[0], data.task, len(specs)
    old = beside if previous is None else previous[0].setup
    rows = data.rows if previous is None else data.rows.astype(previous[0].state.theta.dtype)
    if streaming and old is not None:
        rows = _weighed_by_stream(rows, data.total_weight, old)
    if rows is not data.rows:
        data = replace(data, rows=rows)
    losses = [task.bind_loss(s.loss) for s in specs]
    frame = _frame(spec, data, losses[0], old, streaming)
    coordinates, k, dtype = frame.coordinates, task.n_columns, rows.dtype
    problem = Problem(rows, task.encoding(dtype), losses[0], None, coordinates, spec.fit_intercept)
    measured = streaming and old is not None and old.paced and spec.solver.method == "steps"
    constants, costs = (np.zeros(k), old.costs) if measured else _constants(problem, losses)
    if count > 1:
        columns = np.tile(np.arange(k), count)
        problem = replace(
            problem, encoding=problem.encoding.take(columns), loss=side_by_side(losses, k, dtype),
            coordinates=coordinates.take(columns),
        )  # fmt: skip
    wide = problem.coordinates
    for s in specs:
        s.penalty.check_features(rows.d, "penalty")
    penalty = side_by_side([s.penalty for s in specs], k, dtype)
    problem.penalty = penalty if wide.identity else penalty.rescaled(wide.units, wide.objective_scale)
    if previous is None:
        keyed = not streaming
        setups = [
            replace(frame, key=continuation_key(s, data) if keyed and s.warm_start else None, asked=type(s.solver))
            for s in specs
        ]
        state = _start(problem, k, spec, constants, starts)
    else:
        setups = [frame.going_on(kept.setup) for kept in previous]
        state = previous[0].state.copy()
        state = state if count == 1 else state.join([kept.state for kept in previous[1:]])
        if streaming:
            _follow(setups[0], spec, state, problem)
            _move(setups[0], state, old.coordinates, starts)
            costs = costs if measured or old.costs is None else np.maximum(costs, old.costs)
    if streaming:
        setups[0].costs = costs
    reference = np.maximum(by_model(costs, k), np.finfo(np.float64).tiny)
    of_columns = costs * wide.objective_scale
    return _Job(
        specs, data, problem, setups, state, by_model(of_columns, k), reference, starts is not None, streaming,
        state.epoch.copy(), of_columns, beside is not None,
    )  # fmt: skip


def _follow(setup: Setup, spec: Spec, state: State, problem: Problem) -> None:
    """A stream is no warm start; another solver than that of the last chunk begins where the model stands."""
    begins, setup.key = setup.history is None, None
    if begins:  # a fit came before, with its plateaus
        state.step_factor, state.checkpoint = np.ones_like(state.step_factor), []
        if state.best_theta is not None:  # the model is that of the best score
            state.theta, state.best_theta = state.best_theta, None
    if spec.solver.method != "steps":
        return
    changed, setup.solver = type(setup.solver) is not type(spec.solver), spec.solver
    memory = spec.solver.allocate(state.theta, problem.penalty, not problem.coordinates.identity)
    state.memory = state.memory or memory
    if changed or [a.shape for a in memory] != [a.shape for a in state.memory]:
        setup.asked, setup.race, setup.pace = type(spec.solver), None, None
        state.memory, state.average, state.t = memory, None, 0


def _constants(problem: Problem, losses: Sequence[Any]) -> tuple[Array, Array]:
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


def _frame(spec: Spec, data: Data, loss: Any, old: Setup | None, streaming: bool) -> Setup:
    """Coordinates to work in, and the moments that they come from."""
    rows, task = data.rows, data.task
    if old is not None and not streaming:
        return old
    counts: dict[str, Any] = {"n_rows": float(rows.n), "total_weight": data.total_weight}
    if old is not None:
        counts = {name: count + getattr(old, name) for name, count in counts.items()}
    if not (spec.scale or (spec.scale_open and old is not None and old.moments is not None)):
        return Setup(None, task, Coordinates(), None, None, **counts)
    size = _lazy_batch(spec, streaming)
    moments = rows.moments(None if old is None else old.moments, filling=size)
    targets = None
    if loss.in_target_units:
        targets = task.target_moments(data.y, rows.weight, None if old is None else old.target_moments)
    unit = task.unit(targets, spec.fit_intercept)
    rare = size > 0 and moments.touches_few(size)
    coordinates = moments.coordinates(spec.fit_intercept, unit, rows.dtype, rare)
    return Setup(None, task, coordinates, moments, targets, **counts)


def _lazy_batch(spec: Spec, streaming: bool) -> int:
    """Rows of a step that may touch their features only, or 0 where each step touches all."""
    solver = SOLVERS["adagrad"]() if streaming and spec.solver.method != "steps" else spec.solver
    size = solver.batch_size if isinstance(spec.batch_size, str) else spec.batch_size
    return size if solver.lazy and spec.penalty.elastic and not isinstance(size, str) else 0


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
    return State.start(theta, k, np.random.default_rng(_seed(spec.random_state)))


def _move(setup: Setup, state: State, old: Coordinates, starts: Any) -> None:
    """Carry a state over into the coordinates of now, where the model stays as it is, or put it where it was set."""
    new, pace = setup.coordinates, setup.pace
    setup.pace = pace = None if pace is None else pace.copy()
    rungs = None if pace is None or pace.rungs is None else pace.rungs
    if starts is not None and starts[0] is not None:
        coef, intercept = starts[0]
        state.theta = new.standardised(np.concatenate([coef.T, intercept[None]])).astype(state.theta.dtype)
        state.average = None if state.average is None else state.theta.copy()
        if rungs is not None:
            rungs.restart(state.theta)
        return
    if new.identity and old.identity:
        return
    _carry(state, old, new)
    if rungs is not None:
        columns = np.tile(np.arange(state.theta.shape[1]), len(rungs.multiples))
        with np.errstate(over="ignore", invalid="ignore"):  # of a rung that is lost
            _carry(rungs.state, old.take(columns), new.take(columns))


def _carry(state: State, old: Coordinates, new: Coordinates) -> None:
    dtype = state.theta.dtype
    state.theta = new.standardised(old.original(state.theta)).astype(dtype)
    if state.average is not None:
        state.average = new.standardised(old.original(state.average)).astype(dtype)


def _seed(random_state: Any) -> int:
    """The seed of a fit; a number gives the same one each time, and starting RandomState takes as long as a step."""
    draw = _drawn_seed if random_state is None or hasattr(random_state, "randint") else _kept_seed
    return draw(random_state)


def _drawn_seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


_kept_seed = functools.lru_cache(_drawn_seed)


# ---------------------------------------------------------------------- how it is trained


def _choose(job: _Job) -> None:
    """The solver and the schedule of each model; "auto" chooses by the loss, else by the data."""
    asked = job.spec.solver.method
    chosen = _chosen(job) if asked == "chosen" or (job.streaming and asked != "steps") else None
    for spec, setup in zip(job.specs, job.setups, strict=True):
        setup.solver = spec.solver if chosen is None else chosen
        setup.schedule = spec.schedule.bind(job.data.task.bind_loss(spec.loss), spec.alpha)
    if chosen is not None and job.spec.verbose:
        print(f"solver: {chosen!r}")


def _chosen(job: _Job) -> Any:
    """What ``solver="auto"`` stands for."""
    spec, data, loss = job.spec, job.data, job.problem.loss

    def facts() -> Facts:
        return measure(
            data.rows.X, data.task, data.y, weight=data.rows.weight, scaled=spec.scale, smooth=loss.smooth,
            center=spec.fit_intercept, moments=job.setups[0].moments, random_state=0,
        )  # fmt: skip

    penalty, rows = job.problem.penalty, data.rows
    wide = too_wide(rows.n, rows.d, penalty.has_prox)
    asked = Asked(loss.smooth, loss.piecewise_linear, penalty.elastic, wide, job.streaming, spec.free)
    return SOLVERS[choose(asked, facts).solver_name]()


def _batch_size(spec: Spec, solver: Any, rows: Any, streaming: bool = False) -> int:
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


def _watch(job: _Job, callback: Any) -> Watch:
    """Who looks on: the scores of rows held out, callbacks, whoever reads the lines."""
    held_out, task = job.data.validation, job.data.task
    if held_out is None:
        return Watch(None, callback, job.spec.verbose)
    loss = task.bind_loss(job.spec.loss)
    spread = task.spread(job.data.y, job.data.rows.weight)

    def score(models: Array) -> Array:
        z = (held_out.X @ models[:-1] + models[-1]).reshape(len(held_out.y), -1, task.n_columns)
        return task.scores(z, held_out.y, held_out.weight, loss, spread)

    return Watch(score, callback, job.spec.verbose)


def _tolerances(job: _Job) -> Array | None:
    if job.streaming or job.spec.stopping.tol is None:
        return None
    return np.array([spec.stopping.tol for spec in job.specs], dtype=float)


def _train_by_steps(job: _Job, solver: Any, callback: Any, fresh: bool) -> list[Outcome]:
    """Race the first step where none was given, then train in batches."""
    if job.streaming:
        return _step_along(job, solver, callback)
    spec, problem, state, setups = job.spec, job.problem, job.state, job.setups
    batch_size = _batch_size(spec, solver, job.data.rows)
    raced = fresh and setups[0].schedule.raced
    if raced:
        schedule = job.stacked([setup.schedule for setup in setups])
        races, state = race(problem, state, solver, schedule, batch_size, spec.shuffle)
        for setup, result in zip(setups, races, strict=True):
            setup.race, setup.schedule = result, setup.schedule.with_fields(eta0=result.winner)
        if spec.verbose:
            print(*races, sep="\n")
    for setup in setups if fresh else ():
        setup.batch_size = batch_size
        if spec.auto_rate:
            setup.schedule = setup.schedule.with_fields(floor=float(setup.schedule.eta0) / _FLOOR)
    tol = _tolerances(job)
    if fresh:
        state.limit = _limit(job, tol, raced)
    schedule = job.stacked([setup.schedule for setup in setups])
    return _stepped(job, state, solver, schedule, batch_size, callback)


def _stepped(
    job: _Job, state: State, solver: Any, schedule: Any, batch_size: int, callback: Any, passes: int = 1
) -> list[Outcome]:  # fmt: skip
    """Steps on batches, until a stopping rule or the end of a chunk."""
    spec, problem = job.spec, job.problem
    ahead = problem.rows.large and spare_thread()
    method = Steps(problem, state, solver, schedule, batch_size, spec.shuffle, spec.average, ahead)
    stopping = replace(spec.stopping, max_iter=passes) if job.streaming else spec.stopping
    return Training(method, stopping, job.reference, _tolerances(job), _watch(job, callback)).run()


def _limit(job: _Job, tol: Array | None, raced: bool) -> float:
    """Times the constant model's objective that an epoch may reach before it is taken back."""
    if raced and not job.started:
        # the step is ours, and one that leaves the model worse than where it started was too long
        return _WORSE
    if job.setups[0].race is None and tol is None:
        # exactly the steps that were asked for, while they are finite
        return np.inf
    return 1e8


def _step_along(job: _Job, solver: Any, callback: Any) -> list[Outcome]:
    """A chunk of a stream: with the step that is asked for now, or with the rungs that are still racing for it."""
    spec, setup, problem, passes = job.spec, job.setups[0], job.problem, job.spec.stopping.max_iter
    batch_size = _batch_size(spec, solver, job.data.rows, streaming=True)
    schedule = spec.schedule.bind(job.data.task.bind_loss(spec.loss), spec.alpha)
    pace = setup.pace = _pace(job, solver, schedule)
    if pace is None:
        setup.schedule, setup.race, setup.batch_size = schedule, None, batch_size
    else:
        pace.look(problem)
        while pace.rungs is not None:
            outcome = _race_along(job, pace, solver, schedule, batch_size)
            passes -= outcome is not None
            if outcome is not None and (passes == 0 or outcome.status == "interrupted"):
                return [outcome]
        unit, share = pace.length(problem, solver, batch_size)
        schedule = schedule.with_fields(eta0=float(pace.multiple * unit))
        if spec.auto_rate and not solver.shrinks:
            schedule = Settling(eta0=schedule.eta0, since=max(pace.since, 1))
        setup.schedule, schedule = schedule, schedule.with_fields(eta0=float(schedule.eta0 * share))
    state = job.state
    state.step_factor, state.n_rollbacks = np.minimum(1.0, _RECOVERY * state.step_factor), np.zeros(1, int)
    measured = pace is not None and bool((job.reference > np.finfo(np.float64).tiny).all())
    state.limit = 1e8 if measured else np.inf
    return _stepped(job, state, solver, schedule, batch_size, callback, passes)


def _pace(job: _Job, solver: Any, schedule: Any) -> Pace | None:
    """What is known of a step that is left open; its race begins where there was none, or one for something else."""
    setup, state = job.setups[0], job.state
    if not schedule.raced:
        return None
    asked = type(solver), type(schedule), type(job.spec.loss)
    pace = setup.pace
    if pace is not None and pace.asked == asked:
        return pace
    if pace is None and setup.race is not None and type(setup.schedule) is type(schedule):
        # the race of a fit
        unit = float(setup.race.eta0[0] / STEP_GRID[0])
        square = step_unit(job.problem.loss, solver, 1.0) / unit  # the unit is in inverse proportion to it
        multiple, rows = setup.race.winner / unit, setup.n_rows - job.problem.n
        return Pace(asked, None, multiple, setup.batch_size, state.t, rows, square)
    return Pace(asked, Rungs.at(state, state.memory))


def _race_along(job: _Job, pace: Pace, solver: Any, schedule: Any, batch_size: int) -> Outcome | None:
    """The rungs of a stream go through a chunk; None where they are done before its end, and the best goes on."""
    spec, setup, problem, before, rungs = job.spec, job.setups[0], job.problem, job.state, pace.rungs
    assert rungs is not None
    tells, started = pace.tells(problem), time.perf_counter()
    pace.batch = max(pace.batch, batch_size)
    unit, share = pace.length(problem, solver, batch_size)
    part = problem
    if tells and pace.mixed and problem.n > rungs.missing(batch_size):
        sample = rungs.state.rng.choice(problem.n, rungs.missing(batch_size), replace=False)
        part = replace(problem, rows=problem.rows.take(np.sort(sample)))
    options = {"batch_size": batch_size, "shuffle": spec.shuffle, "average": spec.average}
    try:
        record = rungs.go(part, solver, schedule, unit * share * rungs.multiples, options, tells)
    except KeyboardInterrupt:
        return Outcome(before, _solution(solver, before), "interrupted", 0)
    state = job.state = rungs.best()
    if not np.isfinite(state.theta).all():
        state.theta, state.memory = before.theta, before.memory
        rungs.restart(state.theta)
        rungs.scores[:] = 0.0
    state.epoch, state.history, state.seconds = before.epoch.copy(), before.history, before.seconds
    state.seconds += time.perf_counter() - started
    rates, winner = unit * rungs.multiples, float(unit * rungs.multiples[rungs.leader])
    setup.race = Race(rates, rungs.scores.copy(), winner, rungs.steps)
    setup.schedule, setup.batch_size = schedule.with_fields(eta0=winner), batch_size
    if pace.decided:
        pace.multiple, pace.since, pace.rungs = float(rungs.multiples[rungs.leader]), state.t, None
        if spec.verbose:
            print(setup.race)
    if part is not problem:
        return None
    state.epoch += 1
    state.history.append({
        "epoch": state.epoch.copy(), "objective": record.objective, "eta": record.eta, "seconds": state.seconds,
        "validation_score": None, "models": np.zeros(1, int), "rows": record.rows,
    })  # fmt: skip
    if spec.verbose:
        print_row(state.history[-1])
    return Outcome(state, _solution(solver, state), "max_iter", 0)


def _solution(solver: Any, state: State) -> Array:
    """The model as it would be returned now."""
    return solver.solution(state.theta, *state.memory) if state.average is None else state.average


def _train_by_iterations(job: _Job, solver: Any, callback: Any, fresh: bool) -> list[Outcome]:
    """Quasi-Newton iterations."""
    outcomes = _iterated(job, solver, 1.0, callback, job.spec.stopping.max_iter)
    for setup, outcome in zip(job.setups, outcomes, strict=True):
        setup.race = outcome.race
    if job.spec.verbose:
        print(*(setup.race for setup in job.setups), sep="\n")
    return outcomes


def _iterated(job: _Job, solver: Any, share: float, callback: Any, max_iter: int) -> list[Outcome]:
    """The same, with a share of the tolerance."""
    tol = _tolerances(job)
    fraction = solver.safety * (np.zeros(len(job.specs)) if tol is None else share * tol)
    tolerance = Tolerance(np.broadcast_to(fraction, (len(job.specs),)).copy(), job.constants)
    watch = _watch(job, callback)
    method = quasi_newton(job.problem, job.state, tolerance, watch.score is not None, job.near)
    return Training(method, replace(job.spec.stopping, max_iter=max_iter), job.reference, tol, watch).run()


def _train_along_paths(job: _Job, solver: Any, callback: Any, fresh: bool) -> list[Outcome]:
    """Interior-point steps."""
    tol, eps = _tolerances(job), float(np.finfo(job.dtype).eps)
    fraction = solver.safety * np.array([_promised(spec, eps) for spec in job.specs])
    problem, constant = job.problem, job.column_constants
    loss = problem.loss.limit()
    limit = loss is not problem.loss
    if limit:
        fraction = np.maximum(fraction, _LIMIT)
        problem = replace(problem, loss=loss)
        losses = [job.data.task.bind_loss(spec.loss).limit() for spec in job.specs]
        of_one = replace(problem.take(np.arange(job.width)), loss=losses[0])
        constant = _constants(of_one, losses)[1] * problem.coordinates.objective_scale
    method = InteriorPointSteps(problem, job.state, fraction.copy(), constant, limit)
    return Training(method, job.spec.stopping, job.reference, tol, _watch(job, callback)).run()


#: How solvers of each method are trained.
_METHODS = {
    "steps": _train_by_steps, "quasi-Newton": _train_by_iterations, "interior point": _train_along_paths,
}  # fmt: skip


# ---------------------------------------------------------------------- what comes back


def _certify(job: _Job, outcomes: list[Outcome], every: bool) -> None:
    """Certificates of the models whose method has not proven that it has arrived: of all, or of those that say so."""
    asked = ("max_iter", "plateau", "converged", "diverged", "no validation improvement") if every else ("converged",)
    unknown = [j for j, outcome in enumerate(outcomes) if outcome.status in asked and not _proven(job, j, outcome)]
    for j in unknown:  # one by one: what is looked at for one model must not depend on others
        problem = job.problem if len(outcomes) == 1 else job.problem.take(columns_of(np.array([j]), job.width))
        tol = np.array([job.specs[j].stopping.tol or 0.0])
        [certificate] = certify(problem, outcomes[j].theta, job.width, job.reference[j : j + 1], tol)
        own = outcomes[j].certificate
        if own is not None and np.isnan(certificate.estimate):
            certificate = replace(certificate, estimate=own.estimate)
        if own is not None:  # what bounds the optimum from below bounds it still
            bound = max(certificate.objective - own.objective, 0.0) + own.bound
            certificate = replace(certificate, bound=min(certificate.bound, bound))
        outcomes[j].certificate = certificate


def _go_on(job: _Job, solver: Any, callback: Any, outcomes: list[Outcome]) -> None:
    """Models that expected to have arrived, and are not proven to be within what `tol` promises, go on.

    Along the central path where their loss is a sum of ramps, as its steps know where the curvature of a loss ends;
    else, or if that was not enough, with a smaller tolerance.
    """
    if job.data.validation is not None or job.spec.stopping.tol is None:
        return  # the model is that of the best score, or nothing was promised
    for j in range(len(outcomes)):
        if outcomes[j].status == "converged" and not (_proven(job, j, outcomes[j]) and _curved(job, outcomes[j], j)):
            _finish_along_path(job.part(j, outcomes[j].state), outcomes[j], solver)
        for share in _TIGHTER:
            if outcomes[j].status != "converged" or _proven(job, j, outcomes[j]):
                break
            part = job.part(j, outcomes[j].state)
            remaining = job.spec.stopping.max_iter - int(part.state.epoch[0] - job.epochs[j])
            if remaining <= 0:
                break
            [outcomes[j]] = _iterated(part, solver, share, callback if len(outcomes) == 1 else None, remaining)
            alone = outcomes[j : j + 1]
            _certify(part, alone, True)


def _curved(job: _Job, outcome: Outcome, j: int) -> bool:
    """Whether so many rows have curvature at a model that a second-order estimate is to be believed."""
    if not job.problem.loss.saturates or _suboptimality(job, j, outcome)[1] == "bound":
        return True
    p = job.part(j, outcome.state).problem
    y, s = p.labels_of(slice(None))
    D = p.loss.second_derivative(y, p.predict(p.rows.X, outcome.theta))
    return bool(
        np.average(D, axis=0, weights=None if s is None else s[:, 0]).min() >= _FEW_CURVED * p.loss.max_curvature
    )


def _finish_along_path(part: _Job, outcome: Outcome, solver: Any) -> None:
    """End a model by interior-point steps, where that is possible and they prove more."""
    p = part.problem
    possible = p.loss.has_ramps and p.penalty.elastic and p.d <= FACTORED and p.n * p.d * p.d <= _AFFORDABLE
    if not possible:
        return
    fraction = np.array([solver.safety * _promised(part.spec, float(np.finfo(part.dtype).eps))])
    start = replace(outcome.state, method=None, history=[])
    method = InteriorPointSteps(p, start.copy(), fraction, part.column_constants)
    ended = Training(method, replace(part.spec.stopping, max_iter=_PATH), part.reference).run()[0]
    found = ended.certificate
    if found is None:
        return
    objective = float(outcome.certificate.objective)
    if found.objective < objective:
        outcome.theta, objective = ended.theta, found.objective
        outcome.state.theta, outcome.state.method = ended.theta.copy(), None
    # what bounds one model from below bounds the other
    more = objective - found.objective
    bound, estimate = max(found.bound + more, 0.0), max(found.estimate + more, 0.0)
    outcome.certificate = Certificate(objective, bound=bound, estimate=estimate)


def _proven(job: _Job, j: int, outcome: Outcome) -> bool:
    certificate = outcome.certificate
    # beside models that were measured, what one expects to gain is believed
    known = certificate is not None and (certificate.reliable or job.near)
    return known and _suboptimality(job, j, outcome)[2]


def _suboptimality(job: _Job, j: int, outcome: Outcome) -> tuple[float, str, bool]:
    """Value, kind, and whether that is what `tol` promises."""
    eps = float(np.finfo(job.dtype).eps)
    value, kind, within = outcome.certificate.suboptimality(float(job.reference[j]), _promised(job.specs[j], eps), eps)
    return value + 0.0, kind, within


def _promised(spec: Spec, eps: float) -> float:
    """What a fit promises: `tol`, or what the precision allows to be proven where that is more."""
    return max(spec.stopping.tol or 0.0, _PROVABLE * eps)


def _result(job: _Job, j: int, outcome: Outcome, before: int) -> Fitted:
    """The model of one spec, with its story."""
    spec, setup, state = job.specs[j], job.setups[j], outcome.state
    theta = setup.coordinates.original(outcome.theta)
    status, last = outcome.status, float(state.history[-1]["objective"][0]) if state.history else 0.0
    wild = not np.isfinite(last) or last > _WILD * float(job.reference[j])
    broken = not np.isfinite(theta).all()
    messages = []
    # a step that a race found is ours: that it was made smaller is no news, as long as the fit went on
    gave_up = status == "diverged" or (outcome.rolled_back and setup.race is None)
    if gave_up or (wild and not job.streaming) or broken:
        if wild or broken:
            status = "diverged"
        moments = job.data.rows.moments() if setup.moments is None else setup.moments
        eta0 = "auto" if setup.race is not None else getattr(setup.schedule, "eta0", None)
        messages.append(diverged(eta0, outcome.rolled_back, last, moments, job.data.header.feature_names))
    elif status == "max_iter" and not job.streaming and spec.stopping.tol is not None:
        messages.append(not_converged(spec.stopping.max_iter, history_of(state)["objective"]))
    value, kind = None, None
    if outcome.certificate is not None and not broken:
        value, kind, within = _suboptimality(job, j, outcome)
        if status in ("converged", "plateau"):
            status = "converged" if within else _ended_short(setup, state)
        if status == "stalled":
            messages.append(stalled(value, kind, spec.stopping.tol or 0.0))
    if status == "interrupted":
        value, kind = None, None
    if job.streaming or not spec.warm_start:
        state.checkpoint = []  # only a warm start goes back to it
    if job.streaming:
        _log(setup, state)
    if broken:
        theta = np.nan_to_num(theta, nan=0.0, posinf=0.0, neginf=0.0)
    kept, n_iter = Kept(setup, state, theta), int(state.epoch[0]) - before
    return Fitted(spec, job.data.header, kept, theta, status, n_iter, messages, value, kind)


def _log(setup: Setup, state: State) -> None:
    """Move the rows of a chunk from the history of its training to that of the stream, which is bounded."""
    new, old = history_of(state), setup.history
    if old is not None:
        new = {name: old[name] + values for name, values in new.items()}
    setup.history, state.history = {name: values[-_HISTORY:] for name, values in new.items()}, []


def _ended_short(setup: Setup, state: State) -> str:
    """Why a model that can go no further is not within what `tol` promises."""
    if state.best_theta is not None:
        return "no validation improvement"  # the model of the best score, not of the last epoch
    return "plateau" if setup.solver.method == "steps" else "stalled"


# ---------------------------------------------------------------------- several specs


def fit_together(
    specs: Sequence[Spec], data: Data, previous: Sequence[Kept | None] | None = None, certified: bool = True,
    starts: Sequence[Any] | None = None, beside: Setup | None = None,
) -> list[Fitted | Exception]:  # fmt: skip
    """Fit several specs of one group as columns, each as its own fit would.

    Parameters
    ----------
    specs : sequence of Spec
        Of equal :meth:`Spec.group_key`.
    data : Data
        What they learn from.
    previous : sequence of Kept or None, optional
        From what each goes on; None for one that begins.
    certified : bool, default=True
        Whether to measure how far the models are from the optimum where their method does not say so.
    starts : sequence of (coef, intercept), optional
        Points between optima of other strengths of the penalty, in the order of the strengths.
    beside : Setup, optional
        Of one of these optima.

    Returns
    -------
    list of Fitted or Exception
        What the fit of each gave, or what it raised.
    """
    previous = [None] * len(specs) if previous is None else list(previous)
    for j, (spec, kept) in enumerate(zip(specs, previous, strict=True)):
        if kept is not None and kept.setup.key != continuation_key(spec, data):
            previous[j] = None
    results: list[Any] = [None] * len(specs)
    groups: dict[Any, list[int]] = {}
    for j, kept in enumerate(previous):
        groups.setdefault(None if kept is None else kept.state.join_key(), []).append(j)
    size = data.task.n_columns * (data.rows.n + 8 * data.rows.d)
    most = max(1, (_BLOCK if beside is None else _LOOKED_AT) // max(1, size))
    for group in groups.values():
        for begin in range(0, len(group), most):
            block = group[begin : begin + most]
            goes_on = previous[block[0]] is not None
            fitted: list[Any]
            try:
                before: Any = [previous[j] for j in block] if goes_on else None
                given = None if starts is None else [starts[j] for j in block]
                some = [specs[j] for j in block]
                if beside is None:
                    fitted = fit(some, data, before, given, certified=certified)
                else:
                    fitted = _trained(_assemble(some, data, None, given, False, beside), True, None, certified)
            except Exception as error:  # as its own fit would, so is each one's
                fitted = [error] * len(block)
            for j, result in zip(block, fitted, strict=True):
                results[j] = result
    return results


__all__ = ["Fitted", "Kept", "Setup", "continuation_key", "fit", "fit_together", "model_attributes"]

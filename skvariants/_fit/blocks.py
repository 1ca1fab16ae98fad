"""A table that is not in memory: a fit of a sample, then Newton's steps on sums over all rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._blocks.newton import FACTORED, SummedNewton, SumsState
from skvariants._blocks.sums import Question, Sums, cost_of, statistics
from skvariants._blocks.survey import Reading, moments_of, surveyed
from skvariants._blocks.table import of_dask, of_memory_map
from skvariants._data.rows import ArrayRows, is_lazy
from skvariants._data.scaling import Moments
from skvariants._data.validate import Data, Given, Header, users_validation
from skvariants._fit.iterations import iterated
from skvariants._fit.job import Job, assemble, bound, tolerances, watch_of
from skvariants._fit.results import Kept
from skvariants._quasi_newton.method import Tolerance
from skvariants._spec import Spec
from skvariants._threads import threads
from skvariants._training.loop import Outcome, Training
from skvariants._training.problem import by_model
from skvariants.solvers import SOLVERS

Array = np.ndarray
#: Share of the gain within which the optimum of the sample is found, at least, and iterations that it may take.
_START, _ITERATIONS = 1e-3, 100
#: The same where one pass is all there will be.
_NEAR = 1e-6
#: Rows of each class, and for each number of a side of the Hessian, that a sample has to have.
_EACH, _ROWS = 5, 2


def on_table(spec: Spec, header: Header, given: Given) -> Data | None:
    """Data of a table that stays where it is; None of what is read into memory, as any other.

    Parameters
    ----------
    spec : Spec
        What is asked for.
    header : Header
        Learns names and number of the features.
    given : Given
        As the user gave them.

    Raises
    ------
    TypeError
        If no fit of a dask collection or of blocks leaves them where they are.
    """
    X, y, weight = given.X, given.y, given.sample_weight
    elsewhere = given.table is not None and bool(given.table.kind)
    if elsewhere:
        X, y, weight = given.table.shards[0]
    if not spec.stopping.early_stopping and given.validates:
        users_validation(spec, header, given, spec.task)  # which refuses them
    lazy, reason = is_lazy(X) or given.table is not None, _unsuited(spec)
    if (given.table is None or elsewhere) and spec.task.classification and getattr(y, "ndim", 1) != 1:
        if is_lazy(X):
            raise ValueError(f"y has {y.ndim} dimensions: give a label for each row, as y[:, 0] or frame['label'].")
        reason = "y is no column of labels"
    if not lazy:
        for name, value in (("y", y), ("sample_weight", weight)):
            if is_lazy(value):
                raise TypeError(
                    f"{name} is a dask collection, and X is none: give {name}.compute(). If X was one, a step of a "
                    "pipeline before the model has read it into this process: fit the steps to some rows, and the "
                    "model to X.map_partitions(steps.transform) of a frame, X.map_blocks(steps.transform) of an array."
                )
    if not lazy and reason is not None:
        return None
    if reason is None:
        table = given.table or (of_dask if lazy else of_memory_map)(X, y, weight)
        if table is None or (not lazy and spec.task.classification and table.shards[0][1].ndim > 1):
            return None
        data = surveyed(spec, header, table)
        reason = refused(spec, data)
        if reason is None:
            return data
    if not lazy:
        return None
    if elsewhere:
        raise TypeError(
            f"X is {given.table.kind}, where solver='auto' fits smooth losses. solver is {type(spec.solver).__name__}, "
            f"loss {type(spec.loss).__name__}: {reason}. Give numpy.asarray(X), of a tensor numpy.asarray(X.cpu()), "
            "to fit it in the memory of this process."
        )
    if given.table is not None:
        raise TypeError(
            f"Blocks of rows are fitted by sums over them, and {reason}: give them one after the other to partial_fit, "
            "or all rows in one table to fit."
        )
    raise TypeError(
        f"X is a dask collection, and {reason}: a fit would read all of it into this process. Give X.compute() and "
        "y.compute() where that fits, or the blocks one after the other to partial_fit."
    )


def refused(spec: Spec, data: Data | None = None) -> str | None:
    """Why a fit is not one from sums over rows, or its penalty on features of such data; None where it is."""
    if data is None:
        return _unsuited(spec)
    penalty = bound(spec, data).penalty
    size = data.task.bind_loss(spec.loss).columns_per_model * (data.rows.d + 1)
    reason = _kinked(penalty)
    if reason is None and penalty.has_prox and size > FACTORED:
        reason = f"{type(penalty).__name__} goes with {size:,} weights that depend on each other"
    return reason


def _unsuited(spec: Spec) -> str | None:
    """Why a fit is not one from sums over rows; None where it is."""
    loss, solver = spec.loss, spec.solver
    if not (loss.smooth and loss.limit() is loss):
        return f"{type(loss).__name__} has kinks, of which sums over rows say too little"
    if not (solver.method == "quasi-Newton" or (solver.method == "chosen" and spec.free)):
        return "steps on batches were asked for (by solver, learning_rate, eta0, batch_size or average)"
    if spec.stopping.early_stopping:
        return "early_stopping=True holds rows out"
    return _kinked(spec.penalty)


def _kinked(penalty: Any) -> str | None:
    """Why a penalty has no place in these sums; None where it has."""
    if penalty.bounded:
        return "weights are to stay within bounds"
    return f"{type(penalty).__name__} has kinks of its own" if penalty.has_prox and not penalty.elastic else None


def assemble_table(
    spec: Spec, data: Data, previous: Kept | None, starts: Sequence[Any] | None
) -> tuple[Job, Array]:  # fmt: skip
    """The job of a table, and the best constant model: rows are a sample, costs and the start those of all rows."""
    table, dtype = data.table, data.rows.dtype
    mark = _mark(data) if spec.warm_start else b""
    if previous is None:
        job = assemble([spec], data, None, starts, False)
        _set_up(job, starts)
    else:
        single = replace(previous.state, theta=previous.state.theta.astype(dtype))
        job = assemble([spec], data, [replace(previous, state=single)], None, False)
        job.state = previous.state.copy()
    constants = _know_constants(job)
    if job.state.method is None or job.state.method.mark != mark:
        known = starts is not None or previous is not None
        good = known or _start(job)
        job.state.theta = job.state.theta.astype(np.float64) if good else constants
        job.state.method = SumsState(
            width=job.width, mark=mark, n_rows=table.survey.n, wary=starts is not None or not good
        )  # fmt: skip
    return job, constants


def train_on_table(job: Job, constants: Array, callback: Any) -> list[Outcome]:
    """Train the model of such a job, beside the best constant one."""
    table, tol, setup = job.data.table, tolerances(job), job.setups[0]
    tolerance = Tolerance(setup.solver.safety * (np.zeros(1) if tol is None else tol), job.constants)

    def ask(question: Question) -> Sums:
        return table.table.total(statistics, question)

    reading = Reading(job.data.task, table.by_class, job.dtype)
    steps = SummedNewton(job.problem, job.state, tolerance, ask, reading, constants, setup.race, table.passes)
    with threads(0):  # the products are those of a block
        return Training(steps, job.spec.stopping, job.reference, tol, watch_of(job, callback)).run()


def _mark(data: Data) -> bytes:
    """By what the rows of a fit are recognised that goes on: those of the sample, and how many there are."""
    digest = hashlib.blake2b(np.ascontiguousarray(data.rows.X).view(np.uint8), digest_size=16)
    digest.update(np.ascontiguousarray(data.rows.y).view(np.uint8))
    digest.update(repr((data.table.survey.n, data.total_weight)).encode())
    return digest.digest()


def _set_up(job: Job, starts: Sequence[Any] | None) -> None:
    """The solver, and what is known of all rows in the place of what is known of the sample."""
    setup, spec, data = job.setups[0], job.spec, job.data
    setup.solver = SOLVERS["quasi_newton"]() if spec.solver.method == "chosen" else spec.solver
    setup.schedule = spec.schedule.bind(data.task.bind_loss(spec.loss), spec.alpha)
    setup.n_rows, setup.total_weight = float(data.table.survey.used), data.total_weight
    c = setup.coordinates
    if c.identity or c.inverse_scale.all():
        return
    # what is the same in all rows of the sample may not be so in others
    flat, found = np.flatnonzero(c.inverse_scale[:, 0] == 0), Moments()
    for part in data.table.table.each(moments_of, flat, job.dtype):
        found.merge(part)
    sampled = setup.moments
    mean, squares = np.array(sampled.mean, np.float64), np.array(sampled.squares, np.float64)
    mean[flat], squares[flat] = found.mean, found.squares * (sampled.count / found.count)
    setup.moments = Moments(sampled.count, mean, squares)
    setup.coordinates = new = setup.moments.coordinates(spec.fit_intercept, c.target, job.dtype)
    penalty = job.stacked([spec.penalty]).rescaled(new.units, new.objective_scale)
    job.problem = replace(job.problem, coordinates=new, penalty=penalty)
    if starts is not None:
        given = np.concatenate([starts[0][0].T, starts[0][1][None]])
        job.state.theta = new.standardised(given).astype(job.dtype)


def _know_constants(job: Job) -> Array:
    """The best constant model, of real targets that of the sample; what it costs on all rows goes to the job.

    All that it sees of labels are the weights of the classes.
    """
    problem, task, table = job.problem, job.data.task, job.data.table
    if task.classification:
        totals = table.survey.totals if table.by_class is None else table.survey.totals * table.by_class
        stored = task.stored(task.classes, job.dtype)
        rows = ArrayRows(np.zeros((len(totals), problem.d), job.dtype), stored, totals / totals.mean())
        constants, costs = replace(problem, rows=rows).intercept_only()
    else:
        constants, _ = problem.intercept_only()
        reading = Reading(task, None, np.dtype(np.float64))
        total = table.table.total(cost_of, reading, problem.loss, constants)
        costs = total / job.data.total_weight
    job.reference = np.maximum(by_model(costs, job.width), np.finfo(np.float64).tiny)
    job.column_constants = costs * problem.coordinates.objective_scale
    job.constants = by_model(job.column_constants, job.width)
    theta = np.zeros((problem.d + 1, job.width))
    if job.spec.fit_intercept:
        theta[-1] = constants / problem.coordinates.target
    return theta


def _start(job: Job) -> bool:
    """Move to the optimum of the sample; whether it is a start for all rows, as far as the sample can say."""
    spec, data, problem = job.spec, job.data, job.problem
    tol = _NEAR if data.table.passes == 1 else max(spec.stopping.tol or 0.0, _START)
    stopping = replace(spec.stopping, tol=tol, max_iter=_ITERATIONS, resumable=False)
    quiet = replace(spec, stopping=stopping, verbose=0)
    deadline = math.inf if data.table.kept else job.deadline
    sample = replace(job, specs=[quiet], state=job.state.copy(), deadline=deadline)
    with threads(problem.n * problem.d * job.width):
        [outcome] = iterated(sample, job.setups[0].solver, 1.0, None, _ITERATIONS)
    job.state.theta, job.setups[0].race = outcome.theta.copy(), outcome.race
    enough = problem.n >= min(_ROWS * problem.loss.columns_per_model * (problem.d + 1), data.table.survey.used)
    if data.task.classification:
        rows = np.bincount(data.task.codes(data.y), minlength=len(data.table.survey.counts))
        enough &= bool((rows >= np.minimum(_EACH, data.table.survey.counts)).all())
    return bool(enough and np.isfinite(outcome.theta).all())


__all__ = ["assemble_table", "on_table", "refused", "train_on_table"]

"""Training by steps: a fit may race for the first one, and the chunks of a stream go on with that race."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._fit.job import Job, batch_size_of, tolerances, watch_of
from skvariants._threads import spare_thread
from skvariants._training.loop import Outcome, Training, print_races, print_row
from skvariants._training.race import STEP_GRID, Race, curvature, is_bounded, race, race_in_turn, step_unit
from skvariants._training.rungs import RACE_ROWS, RACE_STEPS, Pace, Rungs
from skvariants._training.state import State
from skvariants._training.steps import Steps
from skvariants.schedules import Settling

Array = np.ndarray
#: Times the objective of the constant model that an epoch of a step found by a race may reach.
_WORSE = 2.0
#: The floor of ``learning_rate="auto"``: three drops, each to a quarter, leave noise below the tolerance; two do where
#: steps become shorter by themselves (eight open tables: a fifth of the epochs less, and no worse an objective).
_FLOOR, _FLOOR_OF_SHRINKING = 50, 10
#: By what a step that was made smaller, as a chunk led away, grows with each further chunk.
_RECOVERY = 2.0


def train_by_steps(job: Job, solver: Any, callback: Any, fresh: bool) -> list[Outcome]:
    """Race the first step where none was given, then train in batches."""
    if job.streaming:
        return _step_along(job, solver, callback)
    spec, problem, state, setups = job.spec, job.problem, job.state, job.setups
    batch_size = batch_size_of(spec, solver, job.data.rows)
    raced = fresh and setups[0].schedule.raced
    if raced:
        schedule = job.stacked([setup.schedule for setup in setups])
        races, state = race(problem, state, solver, schedule, batch_size, spec.shuffle)
        for setup, result in zip(setups, races, strict=True):
            setup.race, setup.schedule = result, setup.schedule.with_fields(eta0=result.winner)
        if spec.verbose:
            print_races(races)
    for setup in setups if fresh else ():
        setup.batch_size = batch_size
        if spec.auto_rate:
            floor = _FLOOR_OF_SHRINKING if solver.shrinks else _FLOOR
            setup.schedule = setup.schedule.with_fields(floor=float(setup.schedule.eta0) / floor)
    tol = tolerances(job)
    if fresh:
        state.limit = _limit(job, tol, raced)
    schedule = job.stacked([setup.schedule for setup in setups])
    return _stepped(job, state, solver, schedule, batch_size, callback)


def _stepped(
    job: Job, state: State, solver: Any, schedule: Any, batch_size: int, callback: Any, passes: int = 1
) -> list[Outcome]:  # fmt: skip
    """Steps on batches, until a stopping rule or the end of a chunk."""
    spec, problem = job.spec, job.problem
    ahead = problem.rows.large and spare_thread()
    saved = state.part_from() if job.streaming else None
    method = Steps(problem, state, solver, schedule, batch_size, spec.shuffle, spec.average, ahead)
    if not job.streaming:
        method.remember()
    stopping = replace(spec.stopping, max_iter=passes) if job.streaming else spec.stopping
    return Training(method, stopping, job.reference, tolerances(job), watch_of(job, callback), saved).run()


def _limit(job: Job, tol: Array | None, raced: bool) -> float:
    """Times the constant model's objective that an epoch may reach before it is taken back."""
    if raced and not job.started:
        # the step is ours, and one that leaves the model worse than where it started was too long
        return _WORSE
    if job.setups[0].race is None and tol is None:
        # exactly the steps that were asked for, while they are finite
        return np.inf
    return 1e8


def _step_along(job: Job, solver: Any, callback: Any) -> list[Outcome]:
    """A chunk of a stream: with the step that is asked for now, or with the rungs that are still racing for it."""
    spec, setup, problem, passes = job.spec, job.setups[0], job.problem, job.spec.stopping.max_iter
    batch_size = batch_size_of(spec, solver, job.data.rows, streaming=True)
    schedule = spec.schedule.bind(job.data.task.bind_loss(spec.loss), spec.alpha)
    pace = setup.pace = _pace(job, solver, schedule)
    if pace is None:
        if spec.auto_rate and solver.learning_rate_free and not solver.shrinks:
            schedule = Settling(eta0=schedule.eta0, since=RACE_STEPS)
        setup.schedule, setup.race, setup.batch_size = schedule, None, batch_size
    else:
        pace.look(problem)
        if pace.rungs is not None and pace.rungs.alone and pace.mixed and problem.n >= RACE_ROWS:
            _race_in_turn(job, pace, solver, schedule, batch_size)
        while pace.rungs is not None:
            outcome = _race_along(job, pace, solver, schedule, batch_size)
            passes -= outcome is not None
            if outcome is not None and passes == 0:
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


def _pace(job: Job, solver: Any, schedule: Any) -> Pace | None:
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
        bend = 1.0 if is_bounded(job.problem.loss) or solver.scale_free else float(curvature(job.problem).max())
        multiple, rows = setup.race.winner / unit, setup.n_rows - job.problem.n
        return Pace(asked, None, multiple, setup.batch_size, state.t, rows, square / bend, bend)
    return Pace(asked, Rungs.at(state, state.memory))


def _race_in_turn(job: Job, pace: Pace, solver: Any, schedule: Any, batch_size: int) -> None:
    """The race of a large model, decided by one chunk."""
    pace.rungs = None  # the best is where the model is
    setup, problem, state = job.setups[0], job.problem, job.state
    setup.race = race_in_turn(problem, state, solver, schedule, batch_size, job.spec.shuffle)
    pace.batch, pace.since = batch_size, state.t
    pace.multiple = setup.race.winner / pace.length(problem, solver, batch_size)[0]
    if job.spec.verbose:
        print_races([setup.race])


def _race_along(job: Job, pace: Pace, solver: Any, schedule: Any, batch_size: int) -> Outcome | None:
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
    record = rungs.go(part, solver, schedule, unit * share * rungs.multiples, options, tells)
    state = job.state = rungs.best()
    if not np.isfinite(state.theta).all():
        state.theta, state.memory = before.theta, before.memory
        rungs.restart(state.theta, state.memory)
        rungs.scores[:] = 0.0
    state.epoch, state.history, state.seconds = before.epoch.copy(), before.history, before.seconds
    state.seconds += time.perf_counter() - started
    rates, winner = unit * rungs.multiples, float(unit * rungs.multiples[rungs.leader])
    setup.race = Race(rates, rungs.scores.copy(), winner, rungs.steps)
    setup.schedule, setup.batch_size = schedule.with_fields(eta0=winner), batch_size
    if pace.decided:
        pace.multiple, pace.since, pace.rungs = float(rungs.multiples[rungs.leader]), state.t, None
        if spec.verbose:
            print_races([setup.race])
    if part is not problem:
        return None
    state.epoch += 1
    state.history.append({
        "epoch": state.epoch.copy(), "objective": record.objective, "eta": record.eta, "seconds": state.seconds,
        "validation_score": None, "models": np.zeros(1, int), "rows": record.rows,
    })  # fmt: skip
    if spec.verbose:
        print_row(state.history[-1], "pass")
    return Outcome(state, _solution(solver, state), "max_iter", 0)


def _solution(solver: Any, state: State) -> Array:
    """The model as it would be returned now."""
    return solver.solution(state.theta, *state.memory) if state.average is None else state.average


__all__ = ["train_by_steps"]

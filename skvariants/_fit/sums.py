"""A chunk of a stream by default: sums over all rows take it in."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._data.scaling import Coordinates
from skvariants._data.validate import Data
from skvariants._fit.job import seed
from skvariants._fit.results import Fitted, Kept, Setup, log
from skvariants._messages import left_out
from skvariants._spec import Spec
from skvariants._stream.learner import Trust, empty_sums, go_on_from, matrices
from skvariants._stream.memory import Chunk, Remembering, memory_of
from skvariants._threads import threads
from skvariants._training.state import State
from skvariants.solvers.recursive import Recursive

Array = np.ndarray


def recursive(spec: Spec, task: Any, d: int) -> bool:
    """Whether a stream learns from sums over its rows: nothing of steps was asked for, and the sums are affordable."""
    if spec.solver.method == "steps" or not spec.free or not spec.penalty.elastic:
        return False
    loss = task.bind_loss(spec.loss)
    return loss.limit() is loss and matrices(loss, d, task.n_columns) is not None


def check_forgetting(spec: Spec, data: Data) -> None:
    if not recursive(spec, data.task, data.rows.d):
        raise ValueError(
            f"forgetting={spec.forgetting!r} needs what solver='auto' does in a stream, and that is not possible with "
            f"these parameters and {data.rows.d:,} features: leave forgetting=None, as steps forget by themselves."
        )


def learn(spec: Spec, data: Data, kept: Kept | None, start: Any, trust: Trust | None) -> Fitted:
    """One model after one more chunk, by sums over all rows."""
    task, rows = data.task, data.rows
    loss, old = task.bind_loss(spec.loss), None if kept is None else kept.setup
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
            rows.X, loss, task, spec.fit_intercept, seed(spec.random_state), None if start is None else trust.centre
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
    log(setup, state)
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


__all__ = ["check_forgetting", "learn", "recursive"]

"""A chunk of a stream by default: sums over all rows take it in."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._data.scaling import Coordinates
from skvariants._data.validate import Data
from skvariants._fit.job import seed
from skvariants._fit.results import Fitted, Kept, Setup, log, print_asked, within_bounds
from skvariants._messages import left_out
from skvariants._spec import Spec
from skvariants._stream.given import Remaining, remaining
from skvariants._stream.memory import Chunk, Remembering, memory_of
from skvariants._stream.reservoir import LONGEST, empty_reservoir, numbers, shorter
from skvariants._stream.sums import Trust, empty_sums, matrices
from skvariants._threads import threads
from skvariants._training.loop import print_line, print_row
from skvariants._training.state import State
from skvariants.solvers.recursive import Recursive

Array = np.ndarray


def recursive(spec: Spec, data: Data, kept: Kept | None) -> bool:
    """Whether a stream learns by default from all that it has seen: nothing of steps was asked for, and it can be kept.

    That is so up to a number of features, whose sums are kept, and above for rows of few numbers, which are kept
    themselves, if no weight has bounds.
    """
    if spec.solver.method == "steps" or not spec.free or not spec.penalty.separable:
        return False
    if kept is not None and kept.has_sums:
        return bool(kept.state.method.allows(spec.penalty))
    task, rows = data.task, data.rows
    if matrices(task.bind_loss(spec.loss), rows.d, task.n_columns) is not None:
        return True
    return bool(spec.penalty.elastic and numbers(rows.X) <= LONGEST * rows.n)


def check_forgetting(spec: Spec, data: Data, kept: Kept | None) -> None:
    """Refuse to forget where steps would be taken."""
    if not recursive(spec, data, kept):
        raise ValueError(
            f"forgetting={spec.forgetting!r} needs what solver='auto' does in a stream, and that is not possible with "
            f"these parameters and {data.rows.d:,} features: leave forgetting=None, as steps forget by themselves."
        )


def rows_of_fit(data: Data, fitted: Fitted) -> Remaining | None:
    """Rows that tell a stream how sharply the model of a fit is known; None where none would ask by default."""
    spec = fitted.spec
    # at its bounds a weight is held by more than the penalty's slope
    if spec.penalty.bounded or not recursive(spec, data, None):
        return None
    task, loss = data.task, data.task.bind_loss(spec.loss).limit()
    if not loss.quadratic and shorter(data.rows.X):
        return None
    unit = loss.margin * task.unit(fitted.kept.setup.target_moments, spec.fit_intercept)
    return remaining(data, fitted.theta, (loss, spec.penalty, spec.fit_intercept, unit))


def learn(spec: Spec, data: Data, kept: Kept | None, start: Any, trust: Any) -> Fitted:
    """One model after one more chunk, by sums over all rows."""
    task, rows = data.task, data.rows
    # a loss that weights of zero do not cost anything is learned by its limit
    asked, old = task.bind_loss(spec.loss), None if kept is None else kept.setup
    loss = asked.limit()
    moments = None
    if loss.in_target_units:
        moments = task.target_moments(data.y, rows.weight, None if old is None else old.target_moments)
    setup = Setup(
        None, task, Coordinates(), None, moments, type(spec.solver), Recursive(),
        n_rows=rows.n + (0.0 if old is None else old.n_rows),
        total_weight=data.total_weight + (0.0 if old is None else old.total_weight),
    )  # fmt: skip
    if kept is None:
        state = State.start(np.zeros((1, task.n_columns)), task.n_columns, np.random.default_rng(0))
    else:
        # what is not replaced below is not changed
        sums = None if kept.state.method is None else kept.state.method.copy()
        state, setup.history = replace(kept.state, method=sums, history=[]), kept.setup.history
    if state.method is None or start is not None:
        known = None if trust is None else trust()
        state.method = _begun(spec, data, loss, kept, start, Trust() if known is None else known)
    started = time.perf_counter()
    how = loss, spec.penalty, spec.fit_intercept, loss.margin * task.unit(moments, spec.fit_intercept)
    chunk = _chunk(data)
    rule = memory_of(spec.forgetting, state.method.memory, state.method, how)
    with (
        threads(rows.n * rows.d * rows.d * task.n_columns),
        np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"),
    ):
        for again in () if kept is None or kept.recalled is None else kept.recalled:
            Remembering(state.method, how).learn(_recalled(task, *again))
        first = Remembering(state.method, how)
        changed = rule.n_takeovers
        learner = rule.learn(first, chunk)
        changed = rule.n_takeovers - changed
        theta = learner.sums.model()
    # rows that are learned in parts have met several models
    predicted = first.predicted if first.predicted is not None and len(first.predicted) == rows.n else None
    first.predicted = None
    if not np.isfinite(theta).all():
        return replace(_left_out(spec, data, kept, setup, start), predicted=predicted)
    state.method = learner.sums
    state.method.memory = spec.forgetting, rule
    # classes are balanced by the rows that are remembered
    setup.task = task.forget(min(1.0, learner.weight / setup.total_weight))
    setup.total_weight = learner.weight
    state.seconds += time.perf_counter() - started
    state.theta, state.t = theta, state.t + rows.n
    state.epoch = state.epoch + 1
    losses = np.concatenate(learner.before)
    if loss is not asked and predicted is not None:
        losses = asked.value(chunk.y, predicted).sum(axis=1)  # not those of its limit
    weight = chunk.s[-len(losses) :]
    _tell(spec, setup, state, float(weight @ losses) / float(weight.sum()), rows.n, bool(changed))
    published = _published(spec, theta, rows.dtype)  # what users get is a copy of it
    kept = _to_be_kept(setup, state, published)
    known = (None, None) if predicted is None else (predicted, losses)
    return Fitted(spec, data.header, kept, published, "streaming", 1, [], None, None, None, *known)


def _begun(spec: Spec, data: Data, loss: Any, kept: Kept | None, start: Any, trust: Trust) -> Any:
    """Sums of no rows yet, at the model that the stream goes on from, if there is one."""
    if start is None and kept is not None:
        theta = kept.whole().theta
        start = theta[:-1].T, theta[-1]
    sums = _empty(spec, data.rows.X, loss, data.task, None if start is None else trust.centre)
    trust = trust.for_sums(sums, loss)
    recalls = kept is not None and kept.recalled is not None
    if start is not None and not recalls:
        sums.go_on_from(np.concatenate([start[0].T, start[1][None]]), trust, spec.penalty)
    return sums


def _published(spec: Spec, theta: Array, dtype: Any) -> Array:
    """The model in the precision of the rows."""
    theta = theta.astype(dtype, copy=False)
    return within_bounds(spec, theta, None) if spec.penalty.bounded else theta


def _to_be_kept(setup: Setup, state: State, published: Array) -> Kept:
    """From what the next chunk goes on; the model once at most, where it is large."""
    if not state.method.stands_for_model:
        return Kept(setup, state, published)
    state.theta = None
    return Kept(setup, state, intercept=published[-1].copy())


def _tell(spec: Spec, setup: Setup, state: State, loss: float, n_rows: int, changed: bool) -> None:
    """Put a chunk into the history of the stream, and print it where it is asked for."""
    state.history.append({
        "epoch": state.epoch.copy(), "objective": np.array([loss]), "eta": np.ones(1), "seconds": state.seconds,
        "validation_score": None, "models": np.zeros(1, int), "rows": n_rows,
        "remembered": setup.total_weight,
    })  # fmt: skip
    if spec.verbose:
        if state.epoch[0] == 1:
            print_asked(spec, setup)
        print_row(state.history[-1], "chunk")
        if changed:
            print_line("memory", f"now of {setup.total_weight:,.0f} rows, as what was learned of these predicts better")
    log(setup, state)


def _chunk(data: Data) -> Chunk:
    """The rows, weighed as in the stream."""
    rows, task = data.rows, data.task
    return Chunk(rows.X, task.encoding(np.float64).expand(rows.y), data.unscaled_weights(), task.classification)


def _recalled(task: Any, X: Array, y: Array, weight: Array) -> Chunk:
    """Rows of earlier chunks, as those of a task of more classes."""
    columns = task.encoding(np.float64).expand(task.stored(y, np.float64))
    return Chunk(X, columns, weight, task.classification)


def _empty(spec: Spec, X: Any, loss: Any, task: Any, centre: Array | None) -> Any:
    """A stream before its first row: sums, or rows where sums of so many features are too large or take longer."""
    longer = spec.penalty.elastic and not loss.quadratic and shorter(X)
    if longer or matrices(loss, X.shape[1], task.n_columns) is None:
        return empty_reservoir(X, task, seed(spec.random_state), centre)
    return empty_sums(X, loss, task, spec.fit_intercept, seed(spec.random_state), centre)


def _left_out(spec: Spec, data: Data, kept: Kept | None, setup: Setup, start: Any) -> Fitted:
    """The model before a chunk that none could be made of; zero where there was none."""
    if kept is None:
        theta = np.zeros((data.rows.d + 1, data.task.n_columns), data.rows.dtype)
        if start is not None:
            theta[:-1], theta[-1] = start[0].T, start[1]
        state = State.start(theta, data.task.n_columns, np.random.default_rng(0))
        kept = Kept(replace(setup, total_weight=0.0), state, theta.copy())
    return Fitted(spec, data.header, kept, kept.whole().theta, "diverged", 1, [left_out()])


__all__ = ["check_forgetting", "learn", "recursive", "rows_of_fit"]

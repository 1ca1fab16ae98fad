"""The story of a fit: from validated rows and specs to trained models.

What is told here is told for several specs at once. Specs that differ in numbers only (:meth:`Spec.group_key`) are
columns of one matrix: they share the rows, the batches and every matrix product. One spec is the case of one, so that a
column is a fit. :func:`fit` assembles what is minimised, chooses the method, races steps, trains, and hands back
:class:`Fitted`; no estimator comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._advice.choice import Asked, choose, too_wide
from skvariants._advice.facts import Facts, measure
from skvariants._data.validate import Data
from skvariants._fit.blocks import assemble_table, train_on_table
from skvariants._fit.certificates import certify_models, find_zeros, go_on, suboptimality
from skvariants._fit.iterations import train_along_paths, train_by_iterations
from skvariants._fit.job import Job, assemble, batch_size_of, bound, continuation_key
from skvariants._fit.results import Fitted, Kept, Setup, history_of, log, print_asked, within_bounds
from skvariants._fit.steps import train_by_steps
from skvariants._fit.sums import check_forgetting, learn, recursive
from skvariants._messages import above_constant, diverged, not_converged, out_of_time, stalled
from skvariants._numerics import usual_errors
from skvariants._spec import Spec
from skvariants._stream.sums import Trust
from skvariants._threads import threads
from skvariants._training.loop import Interrupted, Outcome, print_line
from skvariants._training.state import State
from skvariants.solvers import SOLVERS

#: Most numbers in the arrays of one block of columns.
_BLOCK = 1 << 25
#: The same where models start near their optima: they are looked at few times, in memory that is not new each time.
_LOOKED_AT = 1 << 21
#: Times the constant model's objective from which a model has diverged.
_WILD = 100
#: Share of it above which a model is worse than none; batches alone leave some.
_ABOVE = 0.01


@usual_errors
def fit(
    specs: Sequence[Spec], data: Data, previous: Sequence[Kept] | None = None, starts: Sequence[Any] | None = None,
    streaming: bool = False, callback: Any = None, certified: bool = True,
    trust: Callable[[], Trust | None] | None = None,
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
    trust : callable, optional
        Says what the start of a stream is worth, which is not asked for where it goes on.

    Returns
    -------
    list of Fitted

    Raises
    ------
    Interrupted
        With the model of the last whole epoch, where a fit of one spec was interrupted; another KeyboardInterrupt says
        that nothing is left.
    """
    kept, start = None if previous is None else previous[0], None if starts is None else starts[0]
    specs = [bound(spec, data) for spec in specs]
    for spec in specs:
        spec.check_shapes(data.rows.d, data.task.n_columns)
    if data.table is not None:
        return [_of_table(specs[0], data, kept, starts, callback)]
    if streaming and specs[0].forgetting is not None:
        check_forgetting(specs[0], data, kept)
    if streaming and recursive(specs[0], data, kept):
        return [learn(specs[0], data, kept if kept is None or not kept.features else kept.whole(), start, trust)]
    whole = None if previous is None else [kept if kept.features else kept.whole() for kept in previous]
    if streaming and whole is not None:
        whole = [kept.for_steps() for kept in whole]
    known = trust() if streaming and previous is None and start is not None and trust is not None else None
    job = assemble(specs, data, whole, starts, streaming, known=None if known is None else known.moments())
    return _trained(job, previous is None, callback, certified)


def _trained(job: Job, fresh: bool, callback: Any, certified: bool) -> list[Fitted]:
    """The models of a job."""
    if fresh:
        _choose(job)
    solver = job.stacked([setup.solver for setup in job.setups])
    if not job.state.memory:
        job.state.memory = solver.allocate(job.state.theta, job.problem.penalty, not job.problem.coordinates.identity)
    rows, before = job.data.rows, job.state.epoch.copy()
    batch_size = batch_size_of(job.spec, solver, rows, job.streaming)
    # BLAS sees no sparse row: its threads would only wait for each other, over vectors of many weights
    per_row = rows.d if rows.densify or not rows.sparse else 0
    outcomes: list[Outcome] = []
    try:
        with threads(batch_size * per_row * job.problem.encoding.n_columns * len(job.specs)):
            outcomes = _METHODS[solver.method](job, solver, callback, fresh)
            if not job.streaming:
                if solver.method == "steps":
                    find_zeros(job, outcomes)
                certify_models(job, outcomes, certified)
                if solver.method == "quasi-Newton":
                    go_on(job, solver, callback, outcomes)
    except KeyboardInterrupt as signal:
        left = outcomes or getattr(signal, "left", [])
        if job.streaming or len(left) != 1:
            raise KeyboardInterrupt from None
        raise Interrupted([_interrupted(job, left[0], int(before[0]))]) from None
    return [_result(job, j, outcome, int(before[j])) for j, outcome in enumerate(outcomes)]


def _of_table(spec: Spec, data: Data, kept: Kept | None, starts: Any, callback: Any) -> Fitted:
    """The model of a table that is not in memory."""
    job, constants = assemble_table(spec, data, kept, starts)
    if spec.verbose:
        print_asked(spec, job.setups[0])
    before = int(job.state.epoch[0])
    try:
        [outcome] = train_on_table(job, constants, callback)
    except Interrupted as signal:
        raise Interrupted([_interrupted(job, signal.left[0], before)]) from None
    return _result(job, 0, outcome, before)


def _interrupted(job: Job, outcome: Outcome, before: int) -> Fitted:
    """The model of the last whole epoch of a fit that was interrupted."""
    outcome = replace(outcome, status="interrupted", certificate=None)
    if outcome.race is not None:
        job.setups[0].race = outcome.race
    return _result(job, 0, outcome, before)


def _choose(job: Job) -> None:
    """The solver and the schedule of each model; "auto" chooses by the loss, else by the data."""
    asked = job.spec.solver.method
    chosen = _chosen(job) if asked == "chosen" or (job.streaming and asked != "steps") else None
    for spec, setup in zip(job.specs, job.setups, strict=True):
        setup.solver = spec.solver if chosen is None else chosen
        setup.schedule = spec.schedule.bind(job.data.task.bind_loss(spec.loss), spec.alpha)
    if job.spec.verbose:
        print_asked(job.spec, job.setups[0], len(job.specs))


def _chosen(job: Job) -> Any:
    """What ``solver="auto"`` stands for."""
    spec, data, loss = job.spec, job.data, job.problem.loss

    def facts() -> Facts:
        return measure(
            data.rows.X, data.task, data.y, weight=data.rows.weight, scaled=spec.scale, smooth=loss.smooth,
            center=spec.fit_intercept, moments=job.setups[0].moments, random_state=0,
        )  # fmt: skip

    penalty, rows = job.problem.penalty, data.rows
    wide = too_wide(rows.n, rows.d, penalty.has_prox, penalty.grouped)
    kinds = loss.smooth, loss.piecewise_linear, penalty.elastic, penalty.modelled
    asked = Asked(*kinds, wide, job.streaming, spec.free, fixed=not hasattr(spec.schedule, "eta0"))
    return SOLVERS[choose(asked, facts).solver_name]()


def _eta0(setup: Setup) -> Any:
    """The first step as it was asked for; None where the schedule fixes it."""
    return "auto" if setup.race is not None else getattr(setup.schedule, "eta0", None)


#: How solvers of each method are trained.
_METHODS = {
    "steps": train_by_steps, "quasi-Newton": train_by_iterations, "interior point": train_along_paths,
}  # fmt: skip


def _result(job: Job, j: int, outcome: Outcome, before: int) -> Fitted:
    """The model of one spec, with its story."""
    spec, setup, state = job.specs[j], job.setups[j], outcome.state
    if job.streaming or not spec.warm_start:
        state.checkpoint, state.table = [], None  # only a warm start goes back to it
    coordinates, features = setup.coordinates, job.problem.features
    coordinates = coordinates if features is None else coordinates.at(features.numbers)
    with np.errstate(over="ignore", invalid="ignore"):  # weights that are no numbers are told below
        theta = coordinates.original(outcome.theta.astype(job.dtype, copy=False))
    if spec.penalty.bounded:
        theta = within_bounds(spec, theta, setup.moments)
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
        messages.append(diverged(_eta0(setup), outcome.rolled_back, last, moments, job.data.header.feature_names))
    elif status == "max_iter" and not job.streaming and spec.stopping.tol is not None:
        messages.append(not_converged(spec.stopping.max_iter, history_of(state)["objective"]))
    elif status == "max_time":
        messages.append(out_of_time(spec.stopping.max_time or 0.0, int(state.epoch[0]) - before))
    objective, value, kind = None, None, None
    if outcome.certificate is not None and not broken:
        value, kind, within = suboptimality(job, j, outcome)
        if status in ("converged", "plateau"):
            status = "converged" if within else _ended_short(setup, state)
        if status == "stalled":
            precise = suboptimality(job, j, outcome, float(np.finfo(job.dtype).eps))[2]
            messages.append(stalled(value, kind, spec.stopping.tol or 0.0, precise))
        objective, constant = float(outcome.certificate.objective), float(job.reference[j])
        if status == "plateau" and objective > (1 + max(_ABOVE, spec.stopping.tol or 0.0)) * constant:
            status = "stalled"
            messages = messages or [above_constant(objective, constant, _eta0(setup))]
    if status == "interrupted":
        objective, value, kind = None, None, None
    if job.streaming and status == "max_iter":
        status = "streaming"
    if job.streaming:
        log(setup, state)
    if broken:
        theta = np.nan_to_num(theta, nan=0.0, posinf=0.0, neginf=0.0)
    kept, n_iter = Kept(setup, state, theta, features=features), int(state.epoch[0]) - before
    if spec.verbose and len(job.specs) == 1 and not job.streaming:
        how_far = f", suboptimality {value:.2g} ({kind})" if value is not None and np.isfinite(value) else ""
        print_line("stopped", f"{status} after {n_iter} epoch{'' if n_iter == 1 else 's'}{how_far}")
    return Fitted(
        spec, job.data.header, kept, theta, status, n_iter, messages, objective, value, kind,
        crossing=_crossing(job, spec, theta),
    )  # fmt: skip


def _crossing(job: Job, spec: Spec, theta: Any) -> float | None:
    """Share of the rows, by weight, on which several outputs of one target contradict each other."""
    if spec.loss.outputs == 1 or job.streaming:
        return None
    rows = job.data.rows if job.problem.features is None else job.problem.rows
    crossing = job.data.task.bind_loss(spec.loss).crossing(np.asarray(rows.X @ theta[:-1] + theta[-1]))
    return None if crossing is None else float(np.average(crossing, weights=rows.weight))


def _ended_short(setup: Setup, state: State) -> str:
    """Why a model that can go no further is not within what `tol` promises."""
    if state.best_theta is not None:
        return "no validation improvement"  # the model of the best score, not of the last epoch
    return "plateau" if setup.solver.method == "steps" else "stalled"


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
                    some = [bound(spec, data) for spec in some]
                    fitted = _trained(assemble(some, data, None, given, False, beside), True, None, certified)
            except Exception as error:  # as its own fit would, so is each one's
                fitted = [error] * len(block)
            for j, result in zip(block, fitted, strict=True):
                results[j] = result
    return results


__all__ = ["fit", "fit_together"]

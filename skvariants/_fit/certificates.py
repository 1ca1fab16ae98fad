"""What a fit does when its method has ended: measure how far it is, and go on if that is not what `tol` promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._fit.iterations import iterated
from skvariants._fit.job import Job, promised
from skvariants._interior_point.method import InteriorPointSteps
from skvariants._interior_point.rows import FACTORED
from skvariants._quasi_newton.decrement import certify
from skvariants._training.certificate import Certificate
from skvariants._training.loop import Interrupted, Outcome, Training, Watch
from skvariants._training.problem import columns_of
from skvariants._training.zeros import can_settle, settled

Array = np.ndarray
#: Share of rows with curvature below which an estimate of a loss that saturates is not believed (of 72 drawn tables two
#: were wrong where one row in twelve had it, none where two in three had).
_FEW_CURVED = 0.3
#: Shares of the tolerance with which a fit goes on that is not where it expected to be.
_TIGHTER = (0.1, 0.01)
#: Multiplications of a Hessian up to which it then takes interior-point steps, and how many at most.
_AFFORDABLE, _PATH = 2e10, 200
#: Share of the tolerance that a step gains which looks for zeros, and how many such steps at most.
_LITTLE, _ZEROING = 1e-3, 200


def find_zeros(job: Job, outcomes: list[Outcome]) -> None:
    """End models whose steps on batches make no progress any more where their penalty has its zeros.

    The states stay as they are, so that going on is going on. Models of the best score are left alone.
    """
    if job.data.validation is not None or not can_settle(job.problem):
        return
    for j, outcome in enumerate(outcomes):  # one by one, as below
        if outcome.status == "plateau":
            part = job.part(j, outcome.state)
            gain = _LITTLE * (part.spec.stopping.tol or 0.0) * float(part.constants[0])
            outcome.theta = settled(part.problem, outcome.theta, _ZEROING, gain, job.deadline)


def certify_models(job: Job, outcomes: list[Outcome], every: bool) -> None:
    """Certificates of the models whose method has not proven that it has arrived: of all, or of those that say so."""
    asked: tuple[str, ...] = ("max_iter", "max_time", "plateau", "converged", "diverged", "no validation improvement")
    asked = asked if every else ("converged",)
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


def go_on(job: Job, solver: Any, callback: Any, outcomes: list[Outcome]) -> None:
    """Models that expected to have arrived, and are not proven to be within what `tol` promises, go on.

    Along the central path where their loss is a sum of ramps, as its steps know where the curvature of a loss ends;
    else, or if that was not enough, with a smaller tolerance: once where few rows have curvature.
    """
    if job.data.validation is not None or job.spec.stopping.tol is None:
        return  # the model is that of the best score, or nothing was promised
    for j in range(len(outcomes)):
        if outcomes[j].status == "converged" and not (_proven(job, j, outcomes[j]) and _curved(job, outcomes[j], j)):
            _finish_along_path(job.part(j, outcomes[j].state), outcomes[j], solver)
        doubted = not _curved(job, outcomes[j], j)
        for share in _TIGHTER:
            if outcomes[j].status != "converged" or (_proven(job, j, outcomes[j]) and not doubted):
                break
            # what it has learned of curvature depends on whether others were beside it
            part = job.part(j, replace(outcomes[j].state, method=None) if doubted else outcomes[j].state)
            doubted = False
            remaining = job.spec.stopping.max_iter - int(part.state.epoch[0] - job.epochs[j])
            if remaining <= 0:
                break
            try:
                [outcomes[j]] = iterated(part, solver, share, callback if len(outcomes) == 1 else None, remaining)
            except Interrupted as signal:
                outcomes[j : j + 1] = signal.left
                raise
            alone = outcomes[j : j + 1]
            certify_models(part, alone, True)


def _curved(job: Job, outcome: Outcome, j: int) -> bool:
    """Whether so many rows have curvature at a model that a second-order estimate is to be believed."""
    if not job.problem.loss.saturates or suboptimality(job, j, outcome)[1] == "bound":
        return True
    p = job.part(j, outcome.state).problem
    y, s = p.labels_of(slice(None))
    D = p.loss.second_derivative(y, p.predict(p.rows.X, outcome.theta))
    return bool(np.average(D, axis=0, weights=None if s is None else s[:, 0]).min() >= _FEW_CURVED * p.loss.steepest)


def _finish_along_path(part: Job, outcome: Outcome, solver: Any) -> None:
    """End a model by interior-point steps, where that is possible and they prove more."""
    p = part.problem
    possible = p.loss.has_ramps and p.penalty.modelled and p.d <= FACTORED and p.n * p.d * p.d <= _AFFORDABLE
    if not possible:
        return
    fraction = np.array([solver.safety * promised(part.spec)])
    start = replace(outcome.state, method=None, history=[])
    method = InteriorPointSteps(p, start.copy(), fraction, part.column_constants)
    watch = Watch(deadline=part.deadline)
    ended = Training(method, replace(part.spec.stopping, max_iter=_PATH), part.reference, watch=watch).run()[0]
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


def _proven(job: Job, j: int, outcome: Outcome) -> bool:
    certificate = outcome.certificate
    # beside models that were measured, what one expects to gain is believed
    known = certificate is not None and (certificate.reliable or job.near)
    eps = float(np.finfo(job.dtype).eps)
    return known and suboptimality(job, j, outcome, eps)[2]


def suboptimality(job: Job, j: int, outcome: Outcome, *precision: float) -> tuple[float, str, bool]:
    """Value, kind, and whether that is what `tol` promises, or what a precision allows to be proven."""
    asked, eps = promised(job.specs[j], *precision), float(np.finfo(job.dtype).eps)
    value, kind, within = outcome.certificate.suboptimality(float(job.reference[j]), asked, eps)
    return value + 0.0, kind, within


__all__ = ["certify_models", "find_zeros", "go_on", "suboptimality"]

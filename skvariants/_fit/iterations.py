"""Training by iterations on all rows: quasi-Newton and interior-point steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skvariants._fit.job import Job, constants_of, promised, tolerances, watch_of, within_reach
from skvariants._interior_point.method import InteriorPointSteps
from skvariants._quasi_newton.method import Tolerance, quasi_newton
from skvariants._training.loop import Outcome, Training
from skvariants._training.problem import by_model

Array = np.ndarray
#: Least accuracy of what stands for the limit of a loss: the limit itself is farther.
_LIMIT = 1e-4


def train_by_iterations(job: Job, solver: Any, callback: Any, fresh: bool) -> list[Outcome]:
    """Quasi-Newton iterations."""
    outcomes = iterated(job, solver, 1.0, callback, job.spec.stopping.max_iter)
    for setup, outcome in zip(job.setups, outcomes, strict=True):
        setup.race = outcome.race
    return outcomes


def iterated(job: Job, solver: Any, share: float, callback: Any, max_iter: int) -> list[Outcome]:
    """The same, with a share of the tolerance."""
    tol = tolerances(job)
    fraction = solver.safety * (np.zeros(len(job.specs)) if tol is None else share * tol)
    tolerance = Tolerance(np.broadcast_to(fraction, (len(job.specs),)).copy(), job.constants)
    watch = watch_of(job, callback)
    method = quasi_newton(job.problem, job.state, tolerance, watch.score is not None, job.near)
    return Training(method, replace(job.spec.stopping, max_iter=max_iter), job.reference, tol, watch).run()


def train_along_paths(job: Job, solver: Any, callback: Any, fresh: bool) -> list[Outcome]:
    """Interior-point steps."""
    tol = tolerances(job)
    fraction = solver.safety * np.array([promised(spec) for spec in job.specs])
    problem, constant = job.problem, job.column_constants
    loss = problem.loss.limit()
    limit = None
    if loss is not problem.loss:
        problem = replace(problem, loss=loss)
        losses = [job.data.task.bind_loss(spec.loss).limit() for spec in job.specs]
        plain = constants_of(replace(problem.take(np.arange(job.width)), loss=losses[0]), losses)[1]
        constant = within_reach(problem, job.state.theta, plain)
        # where bounds exclude zero, the loss itself has an optimum
        fraction = np.where(by_model(constant != plain, job.width) > 0, fraction, np.maximum(fraction, _LIMIT))
        constant = constant * problem.coordinates.objective_scale
        y, _ = problem.labels_of(slice(None))
        limit = float(loss.value(y, np.zeros_like(y)).max())
    method = InteriorPointSteps(problem, job.state, fraction.copy(), constant, limit)
    return Training(method, job.spec.stopping, job.reference, tol, watch_of(job, callback)).run()


__all__ = ["iterated", "train_along_paths", "train_by_iterations"]

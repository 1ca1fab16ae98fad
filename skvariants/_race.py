r"""Learning rates raced as columns.

A ladder of step sizes for the chosen solver and schedule trains at once: each model is repeated once per
rung, side by side, so all rungs share every matrix product. After a few dozen steps each rung is
scored on rows held out of the batches, the best goes on with its state, the others are dropped;
a rung that diverges scores infinity and loses quietly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._engine import Problem, Run, Stepper, columns_of

Array = np.ndarray
#: Half a decade apart.
RUNGS = 10.0 ** (np.arange(-6, 5) / 2.0)


@dataclass
class Race:
    """What a race did.

    Attributes
    ----------
    eta0 : ndarray of shape (n_rungs,)
        The ladder.
    scores : ndarray of shape (n_rungs,)
        Objective on the scoring rows after the race; inf where a rung diverged.
    winner : float
        The step size that goes on; the smallest where every rung diverged.
    steps : int
        How many steps every rung took.
    """

    eta0: Array
    scores: Array
    winner: float
    steps: int

    def __str__(self) -> str:
        lost = int((~np.isfinite(self.scores)).sum())
        return (
            f"race: {len(self.eta0)} step sizes from {self.eta0[0]:.3g} to {self.eta0[-1]:.3g}, "
            f"{self.steps} step{'' if self.steps == 1 else 's'} each, {lost} diverged; eta0={self.winner:.3g} goes on"
        )


def ladder(problem: Problem, solver: Any, batch_size: int) -> Array:
    """Step sizes to race: around the solver's natural one, in units of the curvature.

    A step of a solver that is not scale free is measured by 1/L, where L is the curvature of the loss times the
    mean squared norm of a row (Bottou et al. 2018, doi:10.1137/16M1080173); a small batch tolerates as much as
    its noise allows, which is what the race finds out.
    """
    if solver.scale_free:
        return RUNGS
    take = slice(0, min(problem.n, 256))
    weight = None if problem.weight is None else problem.weight[take]
    norm = float(np.average(problem.square_norms(problem.X[take])[:, 0], weights=weight))
    bound = problem.loss.curvature or 1.0
    return 10.0 * RUNGS / (bound * max(norm, 1e-300))


def race(
    problem: Problem, run: Run, solver: Any, schedule: Any, batch_size: int, shuffle: bool,
    max_steps: int = 40, max_rows: int = 4096,
) -> tuple[list[Race], Run]:  # fmt: skip
    """Train the ladder as columns and keep the best rung with its state.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    run : Run
        The start; not changed.
    solver, schedule : Solver, Schedule
        The schedule's `eta0` is set to the ladder.
    batch_size : int
        Rows per step.
    shuffle : bool
        Whether batches are drawn in random order.
    max_steps : int, default=40
        Steps of each rung.
    max_rows : int, default=4096
        Rows on which rungs are scored.

    Returns
    -------
    list of Race
        One per model.
    Run
        The winners', with the steps of the race behind them; a model whose rungs all diverged is back at its start.
    """
    k = run.theta.shape[1]
    rates = ladder(problem, solver, batch_size)
    rungs = len(rates)
    columns = np.tile(np.arange(k), rungs)
    many = problem.take(columns)
    racing = Run.start(np.tile(run.theta, rungs), solver, run.width, run.rng)
    raced = schedule.take(columns).with_fields(eta0=np.repeat(rates, k).astype(run.theta.dtype))
    stepper = Stepper(many, racing, solver.take(columns), raced, batch_size, shuffle)
    stepper.epoch(max_steps=max_steps)
    index: Any = slice(0, problem.n)
    if problem.n > max_rows:
        index = np.sort(run.rng.choice(problem.n, max_rows, replace=False))
    X, y, s = many.rows(index)
    with np.errstate(over="ignore", invalid="ignore"):
        value = many.loss.total(y, many.predict(X, racing.theta), s) / len(y)
        value = value + many.penalty.value(racing.theta[:-1]) / many.coordinates.factor
    models = k // run.width
    scores = value.reshape(rungs, models, run.width).sum(axis=2)
    scores = np.where(np.isfinite(scores), scores, np.inf)
    best = np.argmin(scores, axis=0)
    lost = ~np.isfinite(scores.min(axis=0))
    racing.take(best * models + np.arange(models))
    racing.epoch = run.epoch
    if lost.any():
        back = columns_of(lost, run.width)
        racing.theta[:, back] = run.theta[:, back]
        for now in (*racing.memory, *racing.l1_memory):
            now[:, back] = 0.0
    races = [Race(rates, scores[:, j], float(rates[best[j]]), racing.t) for j in range(models)]
    return races, racing


__all__ = ["RUNGS", "Race", "ladder", "race"]

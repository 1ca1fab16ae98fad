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

from skvariants._training.problem import Problem, columns_of
from skvariants._training.state import State
from skvariants._training.steps import Steps

Array = np.ndarray
#: Half a decade apart.
STEP_GRID = 10.0 ** (np.arange(-6, 5) / 2.0)
#: Steps of each rung, at most a pass.
BATCH_STEPS = 40
#: Rows on which rungs are scored.
SCORING_ROWS = 4096


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


def ladder(problem: Problem, solver: Any) -> Array:
    """Step sizes to race: around the solver's natural one, in units of 1/L.

    That is how a step of a solver that is not scale free is measured. L is the bound on the curvature of the loss (1
    where none is known) times the mean squared norm of a row (Bottou et al. 2018, doi:10.1137/16M1080173); a small
    batch tolerates as much as its noise allows, which is what the race finds out.
    """
    if solver.scale_free:
        return STEP_GRID
    bound = problem.loss.max_curvature or 1.0
    return 10.0 * STEP_GRID / (bound * max(problem.mean_square_norm(), 1e-300))


def race(
    problem: Problem, state: State, solver: Any, schedule: Any, batch_size: int, shuffle: bool
) -> tuple[list[Race], State]:
    """Train the ladder as columns and keep the best rung with its state.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    state : State
        The start; not changed.
    solver, schedule : Solver, Schedule
        The schedule's `eta0` is set to the ladder.
    batch_size : int
        Rows per step.
    shuffle : bool
        Whether batches are drawn in random order.

    Returns
    -------
    list of Race
        One per model.
    State
        The winners', with the steps of the race behind them; a model whose rungs all diverged is back at its start.
    """
    k, width = state.theta.shape[1], state.width
    rates = ladder(problem, solver)
    n_rungs, n_models = len(rates), k // width
    columns = np.tile(np.arange(k), n_rungs)
    many, solver = problem.take(columns), solver.take(columns)
    theta = np.tile(state.theta, n_rungs)
    memory = solver.allocate(theta, many.penalty, not many.coordinates.identity)
    racing = State.start(theta, width, state.rng, memory)
    raced = schedule.take(columns).with_fields(eta0=np.repeat(rates, k).astype(state.theta.dtype))
    steps = Steps(many, racing, solver, raced, batch_size, shuffle)
    steps.epoch(max_steps=BATCH_STEPS)
    scores = _scores(many, racing, state.rng).reshape(n_rungs, n_models, width).sum(axis=2)
    scores = np.where(np.isfinite(scores), scores, np.inf)
    best = np.argmin(scores, axis=0)
    racing.keep(best * n_models + np.arange(n_models))
    racing.epoch = state.epoch.copy()
    lost = ~np.isfinite(scores.min(axis=0))
    if lost.any():
        back = columns_of(lost, width)
        racing.theta[:, back] = state.theta[:, back]
        for array, start in zip(racing.memory, state.memory, strict=True):
            array[..., back] = start[..., back]
    return [Race(rates, scores[:, j], float(rates[best[j]]), racing.t) for j in range(n_models)], racing


def _scores(problem: Problem, state: State, rng: np.random.Generator) -> Array:
    """Objective of each column on some of the rows, in the user's units."""
    index: Any = slice(0, problem.n)
    if problem.n > SCORING_ROWS:
        index = np.sort(rng.choice(problem.n, SCORING_ROWS, replace=False))
    X, (y, s) = problem.rows.features(index), problem.labels_of(index)
    with np.errstate(over="ignore", invalid="ignore"):
        value = problem.loss.total(y, problem.predict(X, state.theta), s) / len(y)
        return value + problem.penalty.value(state.theta[:-1]) / problem.coordinates.objective_scale


__all__ = ["STEP_GRID", "Race", "ladder", "race"]

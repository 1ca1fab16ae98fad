r"""Learning rates raced as columns.

A ladder of step sizes for the chosen solver and schedule trains at once: each model is repeated once per
rung, side by side, so all rungs share every matrix product. After a few dozen steps each rung is
scored on rows held out of the batches, the best goes on with its state, the others are dropped;
a rung that diverges scores infinity and loses quietly.

Where the models are large, a few rungs race at a time on the same batches, down to one, and only the best so far is
kept beside them. What a race needs is then at most four times the parameters and the memory of the solver, or what
:data:`MOST_BYTES` says (five times where the solver has no memory, and its steps are not lazy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._training.problem import Problem, columns_of
from skvariants._training.state import State, same_generator
from skvariants._training.steps import Steps

Array = np.ndarray
#: Half a decade apart.
STEP_GRID = 10.0 ** (np.arange(-6, 5) / 2.0)
#: Steps of each rung, at most a pass.
BATCH_STEPS = 40
#: Rows on which rungs are scored.
SCORING_ROWS = 4096
#: Parameters and memory of the rungs that race at a time, where these are more than one.
MOST_BYTES = 1 << 26
# scores closer than this many roundings are equal, as a sum of another order gives either
_TIE = 512


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
        return f"race: {self.summary()}"

    def summary(self) -> str:
        """What was raced, how many diverged, and which goes on."""
        lost = int((~np.isfinite(self.scores)).sum())
        return (
            f"{len(self.eta0)} step sizes from {self.eta0[0]:.3g} to {self.eta0[-1]:.3g}, "
            f"{self.steps} step{'' if self.steps == 1 else 's'} each, {lost} diverged; eta0={self.winner:.3g} goes on"
        )


def ladder(problem: Problem, solver: Any, width: int = 1, columns: int = 1) -> Array:
    """Step sizes to race: around the solver's natural one, in units of 1/L.

    That is how a step of a solver that is not scale free is measured. L is the bound on the curvature of the loss (its
    mean at the best constant where there is none) times the mean squared norm of a row (Bottou et al. 2018,
    doi:10.1137/16M1080173); a small batch tolerates as much as its noise allows, which is what the race finds out.

    Returns
    -------
    ndarray of shape (n_rungs,) or (n_rungs, n_columns)
        The latter where there is no bound, or one for each column, as models may then differ; `width` columns are one.
    """
    unit = step_unit(problem.loss, solver, problem.mean_square_norm())
    if np.ndim(unit):
        return STEP_GRID[:, None] * np.broadcast_to(unit, (columns,))
    if solver.scale_free or is_bounded(problem.loss):
        return STEP_GRID * unit
    h = np.broadcast_to(curvature(problem), (columns,)).reshape(-1, width).max(axis=1)
    return STEP_GRID[:, None] * (unit / np.repeat(h, width))


def is_bounded(loss: Any) -> bool:
    """Whether a bound of the curvature stands for it: there is one, or no curvature."""
    return loss.max_curvature is not None or not loss.smooth


def curvature(problem: Problem) -> Array:
    """Mean curvature of each column at the best constant; one where there is none."""
    y, s = problem.encoding.summary(problem.rows.y, problem.rows.weight)
    z = np.ascontiguousarray(np.broadcast_to(problem.intercept_only()[0], y.shape))
    h = (problem.loss.second_derivative(y, z) * s).sum(axis=0) / s.sum(axis=0)
    return np.where(h > 0, h, 1.0)


def step_unit(loss: Any, solver: Any, mean_square_norm: float) -> Any:
    """The unit of the ladder: that of a scale-free solver, ten times 1/L for others; one where rows are zero."""
    if solver.scale_free:
        return solver.unit
    bound = 1.0 if loss.max_curvature is None else loss.max_curvature
    return 10.0 / (bound * max(mean_square_norm, 1e-300)) if mean_square_norm > 0 else 1.0


def race_in_turn(
    problem: Problem, state: State, solver: Any, schedule: Any, batch_size: int, shuffle: bool
) -> Race:  # fmt: skip
    """Race one rung after another from the state of one model, and let none go on: the room is that of one."""
    rates = ladder(problem, solver, state.width, state.theta.shape[1])
    rungs = (rates[j : j + 1] for j in range(len(rates)))
    table = np.concatenate([_heat(problem, state, solver, schedule, batch_size, shuffle, rung)[0] for rung in rungs])
    return _told(rates, table, state, min(BATCH_STEPS, -(-problem.n // batch_size)))[0]


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
    width = state.width
    rates = ladder(problem, solver, width, state.theta.shape[1])
    each = state.theta.nbytes + sum(array.nbytes for array in state.memory)
    at_a_time = min(len(rates), max(1, MOST_BYTES // max(each, 1)))
    winners: Any = None
    best, scores = np.array([]), []
    for begin in range(0, len(rates), at_a_time):
        heat, found = _heat(problem, state, solver, schedule, batch_size, shuffle, rates[begin : begin + at_a_time])
        scores.append(heat)
        least = heat.min(axis=0)
        if winners is None:
            winners, best = found, least
            continue
        better = least < best - _tie(best, state)
        if better.any():
            winners.restore([found.theta, *found.memory], columns_of(better, width))
            best = np.minimum(best, least)
    racing = winners
    racing.epoch = state.epoch.copy()
    lost = ~np.isfinite(best)
    if lost.any():
        racing.restore([state.theta, *state.memory], columns_of(lost, width))
    return _told(rates, np.concatenate(scores), state, racing.t), racing


def _told(rates: Array, scores: Array, state: State, steps: int) -> list[Race]:
    """What scores of shape ``(n_rungs, n_models)`` after so many steps say of each model."""
    first, best = _first_best(scores, state), scores.min(axis=0)
    # a race in which nothing has moved tells nothing
    first[np.isfinite(best) & (scores.max(axis=0) <= best + _tie(best, state))] = len(rates) // 2
    each = [rates if rates.ndim == 1 else rates[:, j * state.width] for j in range(len(best))]
    return [Race(of, scores[:, j], float(of[first[j]]), steps) for j, of in enumerate(each)]


def _heat(
    problem: Problem, state: State, solver: Any, schedule: Any, batch_size: int, shuffle: bool, rates: Array
) -> tuple[Array, State]:
    """Some rungs at once: their scores, shape ``(n_rungs, n_models)``, and the state of the best of each model."""
    k, width = state.theta.shape[1], state.width
    n_rungs, n_models = len(rates), k // width
    columns = np.tile(np.arange(k), n_rungs)
    many, solver = problem.take(columns), solver.take(columns)
    racing = State.start(np.tile(state.theta, n_rungs), width, same_generator(state.rng))
    racing.memory = solver.allocate(racing.theta, many.penalty, not many.coordinates.identity)
    rates = np.repeat(rates, k) if rates.ndim == 1 else rates.ravel()
    raced = schedule.take(columns).with_fields(eta0=rates.astype(state.theta.dtype))
    Steps(many, racing, solver, raced, batch_size, shuffle).epoch(max_steps=BATCH_STEPS)
    scores = _scores(many, racing, racing.rng).reshape(n_rungs, n_models, width).sum(axis=2)
    scores = np.where(np.isfinite(scores), scores, np.inf)
    if n_rungs > 1:
        racing.keep(_first_best(scores, state) * n_models + np.arange(n_models))
    return scores, racing


def _tie(scores: Array, state: State) -> Array:
    """The difference to a score that rounding makes; zero where it is infinite."""
    return np.where(np.isfinite(scores), _TIE * np.finfo(state.theta.dtype).eps * np.abs(scores), 0.0)


def _first_best(scores: Array, state: State) -> Array:
    """The shortest steps of each model, shape ``(n_models,)``, whose score is the best but for rounding."""
    best = scores.min(axis=0)
    return np.argmax(scores <= best + _tie(best, state), axis=0)


def _scores(problem: Problem, state: State, rng: np.random.Generator) -> Array:
    """Objective of each column on some of the rows, in the user's units."""
    index: Any = slice(0, problem.n)
    if problem.n > SCORING_ROWS:
        index = np.sort(rng.choice(problem.n, SCORING_ROWS, replace=False))
    X, (y, s) = problem.rows.features(index), problem.labels_of(index)
    with np.errstate(over="ignore", invalid="ignore"):
        value = problem.loss.total(y, problem.predict(X, state.theta), s) / len(y)
        return value + problem.penalty.value(state.theta[:-1]) / problem.coordinates.objective_scale


__all__ = ["STEP_GRID", "Race", "curvature", "is_bounded", "ladder", "race", "race_in_turn", "step_unit"]

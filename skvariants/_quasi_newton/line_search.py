"""How far to go: predictions are linear along a step, so that lengths cost no further product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
#: learning rates that the first step tries as columns
LADDER = 2.0 ** np.arange(4, -5, -1)
#: share of the decrease foreseen that a step has to bring
ARMIJO = 1e-4
#: a step that calls for damping, and one that calls for less
SHORT, LONG = 0.2, 0.7
_HALVINGS = 30


def parabola(t: Array, f: Array, ft: Array, slope: Array) -> Array:
    """Length at the minimum of the parabola through value and slope at zero and the value at `t`."""
    bend = ft - f - t * slope
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        guess = -0.5 * slope * t * t / bend
    good = np.isfinite(guess) & (guess > 0)
    return np.where(good, np.clip(guess, 0.1 * t, 10 * t), np.where(bend > 0, 0.1, 1) * t)


def raced_length(along: Callable[[Array], Array], n_models: int, n_columns: int) -> tuple[Array, Array, Array]:
    """Best length of the ladder for each model, the objective there, and the objectives along the ladder.

    Parameters
    ----------
    along : callable
        Objectives of all models at one length each (or of a single column at several).
    n_models, n_columns : int
        Of the problem.
    """
    if n_columns == 1:  # the ladder as columns
        scores = along(LADDER)[:, None]
    else:
        scores = np.array([along(np.full(n_models, t)) for t in LADDER])
    best = np.argmin(scores, axis=0)
    return LADDER[best], scores[best, np.arange(n_models)], scores


def unit_length(
    along: Callable[[Array], Array], f: Array, slope: Array, corrected: bool
) -> tuple[Array, Array]:  # fmt: skip
    """Length one, or where the parabola through it has its minimum if that is better; and the objective there."""
    t = np.ones(len(f))
    ft = along(t)
    # another look costs no product
    guess = parabola(t, f, ft, slope)
    guess = np.where(np.abs(np.log(guess)) > 0.25, guess, t)
    if corrected and (guess != t).any():
        other = along(guess)
        t, ft = np.where(other < ft, guess, t), np.minimum(other, ft)
    return t, ft


def shortened(
    along: Callable[[Array], Array], f: Array, slope: Array, noise: Array, t: Array, ft: Array
) -> tuple[Array, Array]:  # fmt: skip
    """Shorter lengths until the decrease is a share of what was foreseen; zero for a model that cannot descend."""
    for _ in range(_HALVINGS):
        bad = ~(ft <= f + ARMIJO * t * slope + noise)
        if not bad.any():
            break
        guess = np.clip(parabola(t, f, ft, slope), 0.1 * t, 0.5 * t)
        t = np.where(bad, guess, t)
        ft = np.where(bad, along(t), ft)
    bad = ~(ft <= f + noise)
    return np.where(bad, 0.0, t), np.where(bad, f, ft)


__all__ = ["ARMIJO", "LADDER", "LONG", "SHORT", "parabola", "raced_length", "shortened", "unit_length"]

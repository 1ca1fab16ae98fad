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
# lengths that a search by values and derivatives looks at
_LOOKS = 12


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


def wolfe_length(
    at: Callable[[Array], tuple[Array, Array]], f: Array, slope: Array, noise: Array, t: Array, flat: float
) -> tuple[Array, Array]:  # fmt: skip
    """Lengths that meet the strong conditions of Wolfe, each looked at with its derivative; and the objective there.

    The last call of `at` is at the lengths returned, zero for a model that cannot descend.

    Parameters
    ----------
    at : callable
        Objective of each model at one length each, and its derivative in the length.
    f, slope, noise : ndarray of shape (n_models,)
        Objective and its derivative at zero, and rounding of the objective.
    t : ndarray of shape (n_models,)
        Lengths to look at first.
    flat : float
        Share of the derivative at zero that is flat enough.

    References
    ----------
    Wolfe (1969), "Convergence conditions for ascent methods", doi:10.1137/1011036.
    """
    low, low_slope, high = np.zeros(len(f)), slope, np.full(len(f), np.inf)
    best, f_best = np.zeros(len(f)), f
    for _ in range(_LOOKS):
        ft, bend = at(t)
        better = ft < f_best
        best, f_best = np.where(better, t, best), np.where(better, ft, f_best)
        falls = ft <= f + ARMIJO * t * slope + noise
        good = falls & (np.abs(bend) <= flat * np.abs(slope))
        if good.all():
            return t, ft
        over = ~good & ~(falls & (bend <= 0))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            secant = low + (t - low) * low_slope / (low_slope - bend)
        high = np.where(over, t, high)
        under = ~good & ~over
        reach = np.where(np.isfinite(high), high, low + np.where(under, 4.0, 1.0) * (t - low))
        # where even the derivative overflows, a tenth of the way
        inside = np.where(np.isfinite(secant) & (secant > low), secant, np.where(under, reach, 0.0))
        low, low_slope = np.where(under, t, low), np.where(under, bend, low_slope)
        closest = np.where(np.isfinite(high), low + 0.1 * (high - low), 1.1 * t)
        farthest = np.where(np.isfinite(high), low + 0.9 * (high - low), 4.0 * t)
        t = np.where(good, t, np.clip(inside, closest, farthest))
    return best, at(best)[0]


__all__ = ["ARMIJO", "LADDER", "LONG", "SHORT", "parabola", "raced_length", "shortened", "unit_length", "wolfe_length"]

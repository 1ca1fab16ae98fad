"""Sentences about fits that did not end well: what happened, and the remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from skvariants._data.scaling import Moments

_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of how fits end, in this thread: filters of warnings are for all threads."""
    token = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(token)


def is_quiet() -> bool:
    """Whether nothing is to be said."""
    return _QUIET.get()


def _smaller(eta0: Any) -> str:
    """What to do about steps that are too long; None is that of a schedule that fixes them."""
    if eta0 is None:
        return "leave learning_rate at 'auto', as the one that was asked for fixes its steps"
    return "pass a smaller eta0, or leave eta0, learning_rate and solver at 'auto'"


def diverged(eta0: Any, n_rollbacks: int, objective: float, moments: Moments, names: Any) -> str:
    """The sentence about steps that were too large."""
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.nan_to_num(np.sqrt(moments.squares / moments.count + moments.mean**2), nan=np.inf)
    labels = np.arange(len(scales)) if names is None else names
    largest = ", ".join(f"{labels[j]} ({scales[j]:.3g})" for j in np.argsort(scales)[::-1][:3])
    what = f"the objective ended at {objective:.3g}, far above that of a constant model"
    if n_rollbacks:
        times = "once" if n_rollbacks == 1 else f"{n_rollbacks} times"
        what = f"the fit stepped back {times} to its last good iterate, with a step ten times smaller"
    steps, remedy = (
        f" (eta0={eta0!r})",
        "Use eta0='auto' and scale_features='auto', scale the columns, or pass a smaller eta0",
    )
    if eta0 is None:
        steps, remedy = "", f"Put a scaler before the model, or {_smaller(eta0)}"
    return (
        f"The steps were too large{steps} and the objective diverged: {what}. The columns of the largest scale are "
        f"{largest}. {remedy}."
    )


def not_converged(max_iter: int, curve: Sequence[float]) -> str:
    """The sentence about too few epochs."""
    message = (
        "Maximum number of iteration reached before convergence. Consider increasing max_iter to "
        f"improve the fit; it was max_iter={max_iter}."
    )
    if len(curve) < 2 or not -np.inf < curve[-1] < curve[-2] < np.inf:
        return message
    drop = (curve[-2] - curve[-1]) / max(abs(curve[-1]), 1e-300)
    return f"{message} In the last epoch the objective still fell by {drop:.2g} (relative)."


def out_of_time(max_time: float, n_epochs: int) -> str:
    """The sentence about too little time."""
    return (
        f"The fit ended after max_time={max_time:g} seconds and {n_epochs} epoch{'' if n_epochs == 1 else 's'}, before "
        "convergence; the model is that of the last whole epoch. Pass a larger max_time to improve the fit."
    )


def stalled(suboptimality: float, kind: str, tol: float, precise: bool) -> str:
    """The sentence about a method that can go no further, and is not within what `tol` promises.

    `precise` says that it is within what the precision of the rows allows to be proven.
    """
    how = {"bound": "at most ", "estimate": "about ", "unknown": ""}[kind]
    far = f"{how}a share of {suboptimality:.2g}" if np.isfinite(suboptimality) else "an unknown share"
    why = "its steps gain no more"
    remedy = (
        "Scale the columns, use a larger alpha or one of the solvers that take steps, such as solver='adam', or pass a "
        "larger tol."
    )
    if precise:
        why, remedy = "single precision allows no closer model to be told", "Pass X in float64, or a larger tol."
    return (
        f"The fit stalled: {why}, and of what the optimum gains over a constant model it misses {far}, where "
        f"tol={tol:g} was asked for. {remedy}"
    )


def above_constant(objective: float, constant: float, eta0: Any) -> str:
    """The sentence about steps that gain no more, and have led to a model that is worse than none."""
    return (
        f"The fit stalled above the best constant model: its objective is {objective:.3g}, and that of the constant "
        f"{constant:.3g}. Its steps were too long for these rows: {_smaller(eta0)}."
    )


def left_out() -> str:
    """The sentence about a chunk of a stream that no model could be made of."""
    return (
        "This chunk led to parameters that are not finite and was left out: the model is that of the chunks before. "
        "Divide columns, targets or weights that are larger than 1e100 by a power of ten."
    )


__all__ = ["above_constant", "diverged", "is_quiet", "left_out", "not_converged", "out_of_time", "quiet", "stalled"]

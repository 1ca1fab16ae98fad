"""What solvers share whose steps are of one length for all weights, and only their signs are learnt."""

from __future__ import annotations

import numpy as np

from skvariants._component import operand
from skvariants._step import Step
from skvariants.solvers.base import Solver

Array = np.ndarray
# a direction is no smaller than this, so that its inverse is a number
_LEAST = 1e-30


def inverse_size(direction: Array, out: Array) -> Array:
    """``1 / |direction|``, the scale in which each of its numbers is a sign."""
    np.abs(direction, out=out)
    np.maximum(out, operand(_LEAST, out.dtype), out=out)
    return np.reciprocal(out, out=out)


class SignSolver(Solver):
    r"""A solver whose scale is :func:`inverse_size`: no weight moves by more than the step.

    A penalty's prox in the metric of that scale would carry a weight of small gradient all the way to zero, so the move
    is cut at the step. Where the prox moves nothing the objective is least, as for any other solver.
    """

    scale_free = True
    unit = 0.1

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Take the step, no further than its length."""
        before = theta.copy()
        super().update(theta, g, step, *memory)
        np.clip(theta, before - step.eta, before + step.eta, out=theta)


__all__ = ["SignSolver", "inverse_size"]

"""Schedule-free: an average takes the place of a falling step."""

from __future__ import annotations

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants._step import Step
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("schedule_free", "averages and sums", 2024)
class ScheduleFree(Solver):
    r"""Descent whose gradients are taken between the iterate and the average of all iterates, which is the model.

    .. math:: y_t = (1 - \beta) z_t + \beta x_t, \quad z_{t+1} = z_t - \eta_t \nabla f(y_t), \quad
              x_{t+1} = (1 - c_t) x_t + c_t z_{t+1}, \quad c_t = \frac{\max_{s \le t} \eta_s^2}
              {\sum_{s \le t} \max_{r \le s} \eta_r^2}

    Use it where noise keeps a constant step from settling and nobody knows for how many epochs it is to fall: the
    average does what a schedule would. The model is :math:`x`, also after `partial_fit`. Weights that L1 removes fade,
    and are seldom exactly zero, as an average holds the iterates from before. Scale the features, as for plain steps.

    Parameters
    ----------
    momentum : float, default=0.9
        How near to the average gradients are taken, :math:`\beta`.

    References
    ----------
    Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky (2024), "The road less scheduled", arXiv:2405.15682.

    Examples
    --------
    >>> from skvariants.solvers import ScheduleFree
    >>> ScheduleFree(momentum=0.95)
    ScheduleFree(momentum=0.95)
    """

    momentum: float = hyperparameter(0.9, Interval(0, 1))
    memory = points = ("iterate", "average")
    totals = ("longest", "weight")
    shrinks = True
    eta0 = 0.3
    rests = True
    cures = "noise at the end, with no schedule to choose"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Step from the iterate, and let the average follow."""
        z, x, longest, total = memory
        if not step.implicit:
            step.penalty.add_gradient(theta[:-1], g[:-1])
        z -= np.multiply(g, step.eta, out=g)
        self.prox(z[:-1], step.eta, step)
        np.maximum(longest, step.eta, out=longest)
        total += longest**2
        x += (longest**2 / total) * (z - x)
        np.subtract(x, z, out=theta)
        theta *= operand(self.momentum, theta.dtype)
        theta += z

    def solution(self, theta: Array, *memory: Array) -> Array:
        """The average."""
        return memory[1]

"""Quasi-hyperbolic momentum: between a gradient and its average."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("qhm", "momentum", 2019)
class QHM(Solver):
    r"""Quasi-hyperbolic momentum: a step between the plain one and that of momentum.

    .. math:: b_t = \mu b_{t-1} + (1 - \mu) g_t, \qquad w_{t+1} = w_t - \eta_t \left((1 - \nu) g_t + \nu b_t\right)

    Use it in a ravine, with a momentum nearer to 1 than plain momentum can take; plain descent is :math:`\nu = 0`,
    momentum :math:`\nu = 1`, Nesterov's :math:`\nu = \mu`.

    Parameters
    ----------
    momentum : float, default=0.999
        Share :math:`\mu` of the last average that is kept.
    nu : float, default=0.7
        Share of the average in the step.

    References
    ----------
    Ma and Yarats (2019), "Quasi-hyperbolic momentum and Adam for deep learning", arXiv:1810.06801.

    Examples
    --------
    >>> from skvariants.solvers import QHM
    >>> QHM(momentum=0.99)
    QHM(momentum=0.99)
    """

    momentum: float = hyperparameter(0.999, Interval(0, 1))
    nu: float = hyperparameter(0.7, Interval(0, 1, "both"))
    memory = ("average",)
    eta0 = 0.1
    linear = rests = True
    cures = "the ravine, with a long memory that does not carry the step away"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (b,) = memory
        np.copyto(work, g)
        follow(b, work, self.momentum)
        g *= operand(1 - self.nu, g.dtype)
        g += np.multiply(b, operand(self.nu, b.dtype), out=work)
        return g, None

"""Adamax: Adam in the largest norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("adamax", "after Adam", 2015)
class Adamax(Solver):
    r"""Adam, divided by the largest recent gradient instead of their mean square.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad u_t = \max(\beta_2 u_{t-1}, |g_t| + \varepsilon), \quad
              w_{t+1} = w_t - \eta_t \frac{m_t / (1 - \beta_1^t)}{u_t}

    Use it where gradients are zero most of the time and large now and then: the largest does not fade as a mean does.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the largest gradient.
    eps : float, default=1e-8
        Added to the size of each gradient.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", section 7.1, arXiv:1412.6980.

    Examples
    --------
    >>> from skvariants.solvers import Adamax
    >>> Adamax(beta_1=0.8)
    Adamax(beta_1=0.8)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    memory = ("mean", "largest")
    scale_free = True
    rests = True
    eta0 = 0.05
    cures = "the ravine and rare features, with steps that one large gradient does not shrink for long"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, u = memory
        np.abs(g, out=work)
        work += operand(self.eps, work.dtype)
        u *= operand(self.beta_2, u.dtype)
        np.maximum(u, work, out=u)
        follow(m, g, self.beta_1)
        np.divide(m, 1 - self.beta_1**t, out=g)
        return g, np.reciprocal(u, out=work)

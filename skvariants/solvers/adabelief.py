"""AdaBelief: steps by how much gradients surprise."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow, inverse_root
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("adabelief", "after Adam", 2020)
class AdaBelief(Solver):
    r"""Adam, divided by how far gradients are from their mean instead of how large they are.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
              s_t = \beta_2 s_{t-1} + (1 - \beta_2) (g_t - m_t)^2 + \varepsilon, \quad
              w_{t+1} = w_t - \eta_t \frac{m_t / (1 - \beta_1^t)}{\sqrt{s_t / (1 - \beta_2^t)} + \varepsilon}

    Use it where gradients agree for long: steps then grow, as no noise speaks against them.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared differences.
    eps : float, default=1e-16
        Added to the squared differences at every step, and outside the root.

    References
    ----------
    Zhuang, Tang, Ding, Tatikonda, Dvornek, Papademetris and Duncan (2020), "AdaBelief optimizer: adapting stepsizes by
    the belief in observed gradients", arXiv:2010.07468.

    Examples
    --------
    >>> from skvariants.solvers import AdaBelief
    >>> AdaBelief(beta_2=0.99)
    AdaBelief(beta_2=0.99)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-16, Interval(0, closed="neither"))
    memory = ("mean", "surprise")
    scale_free = True
    rests = True
    eta0 = 0.03
    cures = "the ravine and rare features together, with longer steps where gradients agree"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, s = memory
        np.copyto(work, g)
        follow(m, work, self.beta_1)
        g -= m
        follow(s, np.multiply(g, g, out=g), self.beta_2)
        s += operand(self.eps, s.dtype)
        np.divide(m, 1 - self.beta_1**t, out=g)
        return g, inverse_root(s, 1 - self.beta_2**t, self.eps, work)

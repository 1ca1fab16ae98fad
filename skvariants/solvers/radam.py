"""RAdam: Adam that waits until it knows the scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("radam", "after Adam", 2020)
class RAdam(Solver):
    r"""Adam that takes momentum's steps until the mean square is known, and shorter ones while it is known badly.

    .. math:: \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad
              r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}, \quad
              w_{t+1} = w_t - \eta_t r_t \frac{m_t}{1 - \beta_1^t}
              \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v_t} + \varepsilon}

    with Adam's means :math:`m_t` and :math:`v_t`, and :math:`\rho_\infty = 2 / (1 - \beta_2) - 1`; where
    :math:`\rho_t \le 5` the step is :math:`\eta_t m_t / (1 - \beta_1^t)`. Use it where Adam's first steps lead astray.
    Its own first steps (five, by default) depend on the scale of the gradient.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-8
        Added outside the root, before the correction.

    References
    ----------
    Liu, Jiang, He, Chen, Liu, Gao and Han (2020), "On the variance of the adaptive learning rate and beyond",
    arXiv:1908.03265.

    Examples
    --------
    >>> from skvariants.solvers import RAdam
    >>> RAdam(beta_2=0.99)
    RAdam(beta_2=0.99)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    memory = ("mean", "square_average")
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "Adam's first steps, whose scale rests on few gradients"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v = memory
        follow(v, np.multiply(g, g, out=work), self.beta_2)
        follow(m, g, self.beta_1)
        np.divide(m, 1 - self.beta_1**t, out=g)
        known = 1 - self.beta_2**t
        most: Any = 2 / (1 - self.beta_2) - 1
        length = most - 2 * t * (1 - known) / known
        ready = length > 5
        if not np.any(ready):
            return g, None
        rest, most = (np.where(ready, value, 6.0) for value in (length, most))  # of columns that wait, any
        share = np.sqrt((rest - 4) * (rest - 2) * most / ((most - 4) * (most - 2) * rest) * known)
        np.sqrt(v, out=work)
        work += operand(self.eps, work.dtype)
        np.divide(share.astype(work.dtype), work, out=work)
        return g, work if np.all(ready) else np.where(ready, work, operand(1.0, work.dtype))

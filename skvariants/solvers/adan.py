"""Adan: Adam that sees how gradients change."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants.solvers.averages import follow, inverse_root
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("adan", "after Adam", 2022)
class Adan(Solver):
    r"""Nesterov's momentum in an adaptive scale, from gradients and their differences.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
              v_t = \beta_2 v_{t-1} + (1 - \beta_2)(g_t - g_{t-1}), \quad
              n_t = \beta_3 n_{t-1} + (1 - \beta_3) (g_t + \beta_2 (g_t - g_{t-1}))^2, \quad
              w_{t+1} = w_t - \eta_t \frac{m_t / (1 - \beta_1^t) + \beta_2 v_t / (1 - \beta_2^t)}
              {\sqrt{n_t / (1 - \beta_3^t)} + \varepsilon}

    Use it in a ravine with rare features where batches are large: between small batches differences of gradients are
    noise. (The paper's :math:`\beta` are one minus those of its code and of this one.)

    Parameters
    ----------
    beta_1 : float, default=0.98
        Decay of the running mean of gradients.
    beta_2 : float, default=0.92
        Decay of the running mean of their differences.
    beta_3 : float, default=0.99
        Decay of the running mean of squares.
    eps : float, default=1e-8
        Added outside the root, after the correction.

    References
    ----------
    Xie, Zhou, Li, Lin and Yan (2022), "Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models",
    arXiv:2208.06677.

    Examples
    --------
    >>> from skvariants.solvers import Adan
    >>> Adan(beta_3=0.999)
    Adan(beta_3=0.999)
    """

    beta_1: float = hyperparameter(0.98, Interval(0, 1))
    beta_2: float = hyperparameter(0.92, Interval(0, 1))
    beta_3: float = hyperparameter(0.99, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    memory = ("mean", "mean_difference", "square_average", "last")
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "the ravine and rare features together, on large batches"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v, n, last = memory
        difference = g - last if t > 1 else np.zeros_like(g)
        last[...] = g
        np.multiply(difference, self.beta_2, out=work)
        work += g
        follow(n, np.multiply(work, work, out=work), self.beta_3)
        follow(v, difference, self.beta_2)
        follow(m, g, self.beta_1)
        np.divide(m, 1 - self.beta_1**t, out=g)
        g += v * (self.beta_2 / (1 - self.beta_2**t))
        return g, inverse_root(n, 1 - self.beta_3**t, self.eps, work)

"""AMSGrad: Adam, whose steps cannot grow back."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants.solvers.averages import follow, inverse_root
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("amsgrad", "after Adam", 2018)
class AMSGrad(Solver):
    r"""Adam, divided by the largest mean square so far instead of the last.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
              u_t = \max(u_{t-1}, v_t), \quad
              w_{t+1} = w_t - \eta_t \frac{m_t / (1 - \beta_1^t)}{\sqrt{u_t / (1 - \beta_2^t)} + \varepsilon}

    Use it where Adam forgets gradients that are rare and large: its convergence on convex problems is proven, Adam's is
    not. This is torch's form; the paper's has no correction, and optax takes the largest of the corrected ones.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-8
        Added outside the root, after the correction.

    References
    ----------
    Reddi, Kale and Kumar (2018), "On the convergence of Adam and beyond", arXiv:1904.09237.

    Examples
    --------
    >>> from skvariants.solvers import AMSGrad
    >>> AMSGrad(beta_2=0.99)
    AMSGrad(beta_2=0.99)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    memory = ("mean", "square_average", "largest")
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "Adam's forgetting of rare, large gradients"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v, largest = memory
        follow(v, np.multiply(g, g, out=work), self.beta_2)
        follow(m, g, self.beta_1)
        np.maximum(largest, v, out=largest)
        np.divide(m, 1 - self.beta_1**t, out=g)
        return g, inverse_root(largest, 1 - self.beta_2**t, self.eps, work)

"""ADOPT: Adam, each gradient in the scale of those before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("adopt", "after Adam", 2024)
class ADOPT(Solver):
    r"""Adam in another order: a gradient is divided by the scale of those before it, then averaged.

    .. math:: u_t = \operatorname{clip}\left(\frac{g_t}{\max(\sqrt{v_{t-1}}, \varepsilon)},
              \pm (t - 1)^{1/4}\right), \quad m_t = \beta_1 m_{t-1} + (1 - \beta_1) u_t, \quad
              w_{t+1} = w_t - \eta_t m_t, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2

    The first step moves nothing and sets :math:`v_1 = g_1^2`. Use it where Adam does not settle: it converges whatever
    :math:`\beta_2` is, as a gradient does not shrink its own step.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of scaled gradients.
    beta_2 : float, default=0.9999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-6
        Least root of a mean square.

    References
    ----------
    Taniguchi, Harada, Minegishi, Oshima, Jeong, Nagahara, Iiyama, Suzuki, Iwasawa and Matsuo (2024), "ADOPT: modified
    Adam can converge with any beta2 with the optimal rate", arXiv:2411.02853.

    Examples
    --------
    >>> from skvariants.solvers import ADOPT
    >>> ADOPT(beta_2=0.999)
    ADOPT(beta_2=0.999)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.9999, Interval(0, 1))
    eps: float = hyperparameter(1e-6, Interval(0, closed="neither"))
    memory = ("mean", "square_average")
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "Adam not settling: no gradient shrinks its own step"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v = memory
        if t == 1:
            np.multiply(g, g, out=v)
            g.fill(0)
            return g, None
        root = np.sqrt(v)
        np.maximum(root, operand(self.eps, root.dtype), out=root)
        follow(v, np.multiply(g, g, out=work), self.beta_2)
        g /= root
        most = (t - 1) ** 0.25
        follow(m, np.clip(g, -most, most, out=g), self.beta_1)
        # the same step in the metric of the scale, in which the penalty's prox is taken
        np.multiply(m, root, out=g)
        return g, np.reciprocal(root, out=work)

"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants.solvers.averages import follow, inverse_root
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("nadam", "after Adam", 2016)
class NAdam(Solver):
    r"""Adam with Nesterov's look ahead instead of momentum.

    .. math:: \mu_t = \beta_1 (1 - \tfrac12\, 0.96^{t \psi}), \quad P_t = \prod_{i \le t} \mu_i, \quad
              w_{t+1} = w_t - \eta_t \frac{\frac{1 - \mu_t}{1 - P_t} g_t + \frac{\mu_{t+1}}{1 - P_{t+1}} m_t}
              {\sqrt{v_t / (1 - \beta_2^t)} + \varepsilon}

    with Adam's means :math:`m_t` and :math:`v_t`. Each step has the momentum of the next in it already. The momentum
    warms up, as in torch; Keras has :math:`\psi = 1`, optax none.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-8
        Added outside the root, after the correction.
    momentum_decay : float, default=0.004
        How fast the momentum warms up, :math:`\psi`.

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam", ICLR workshop.

    Examples
    --------
    >>> from skvariants.solvers import NAdam
    >>> NAdam(momentum_decay=0.01)
    NAdam(momentum_decay=0.01)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    momentum_decay: float = hyperparameter(0.004, Interval(0))
    memory = ("mean", "square_average")
    totals = ("held",)
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "the ravine and rare features together, looking ahead as Nesterov does"

    def _momentum(self, t: int) -> Any:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v, held = memory
        follow(v, np.multiply(g, g, out=work), self.beta_2)
        np.copyto(work, g)
        follow(m, work, self.beta_1)
        now, ahead = self._momentum(t), self._momentum(t + 1)
        # one minus the product of all momenta, which began at nothing
        held[...] = 1 - now * (1 - held)
        g *= (1 - now) / held
        g += m * (ahead / (1 - ahead * (1 - held)))
        return g, inverse_root(v, 1 - self.beta_2**t, self.eps, work)

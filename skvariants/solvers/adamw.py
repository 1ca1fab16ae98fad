"""AdamW: Adam with a decay that is no penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants._step import Step
from skvariants.solvers.averages import follow, inverse_root
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("adamw", "after Adam", 2019)
class AdamW(Solver):
    r"""Adam, and beside it a decay of the weights that does not go through its scale.

    .. math:: w_{t+1} = (1 - \eta_t \lambda)\, w_t
              - \eta_t \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \varepsilon}

    with Adam's means :math:`m_t` and :math:`v_t`. Use it where a decay is wanted that is the same for all weights,
    whatever their gradients. The decay is no penalty: ``alpha`` is that of the objective, and comes on top. With short
    steps on all rows the fit goes to where the objective is least among weights :math:`|w_j| \le 1 / \lambda` (of the
    coordinates worked in: standardised features, by default); with noisy gradients it is a ridge whose strength
    differs between weights, :math:`\lambda \sqrt{v_j}`. For a ridge of one strength take Adam and ``alpha``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-8
        Added outside the root, after the correction.
    weight_decay : float, default=0.01
        Decay of the weights, :math:`\lambda`; the intercept has none.

    References
    ----------
    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", arXiv:1711.05101. Xie and Li (2024),
    "Implicit bias of AdamW: l-infinity norm constrained optimization", arXiv:2404.04454.

    Examples
    --------
    >>> from skvariants.solvers import AdamW
    >>> AdamW(weight_decay=0.1)
    AdamW(weight_decay=0.1)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    weight_decay: float = hyperparameter(0.01, Interval(0))
    memory = ("mean", "square_average")
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "a penalty that Adam's scale makes unequal: here all weights decay alike, and the objective is another"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Decay, then take Adam's step; the penalty's gradient is that from before the decay, as in torch."""
        if not step.implicit:
            step.penalty.add_gradient(theta[:-1], g[:-1])
        theta[:-1] *= 1 - step.eta * self.weight_decay
        direction, scale = self.step(g, step.t, step.work, *memory)
        length = np.multiply(step.eta, scale, out=scale)
        theta -= np.multiply(direction, length, out=step.move)
        self.prox(theta[:-1], length[:-1], step, *memory)

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v = memory
        follow(v, np.multiply(g, g, out=work), self.beta_2)
        follow(m, g, self.beta_1)
        np.divide(m, 1 - self.beta_1**t, out=g)
        return g, inverse_root(v, 1 - self.beta_2**t, self.eps, work)

"""Yogi: Adam, whose scale changes slowly."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow, inverse_root
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("yogi", "after Adam", 2018)
class Yogi(Solver):
    r"""Adam, whose mean square goes towards a new gradient by that gradient's size, not by the difference.

    .. math:: v_t = v_{t-1} - (1 - \beta_2) \operatorname{sign}(v_{t-1} - g_t^2)\, g_t^2, \qquad
              w_{t+1} = w_t - \eta_t \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \varepsilon}

    with Adam's mean :math:`m_t`. Use it where many small gradients follow a large one: Adam's scale then falls fast and
    its steps become long, this one falls slowly.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        One minus the share of a squared gradient by which the mean square changes.
    eps : float, default=1e-3
        Added outside the root, after the correction.
    initial : float, default=1e-6
        Mean square at the start.

    References
    ----------
    Zaheer, Reddi, Sachan, Kale and Kumar (2018), "Adaptive methods for nonconvex optimization", NeurIPS 31, 9793-9803.

    Examples
    --------
    >>> from skvariants.solvers import Yogi
    >>> Yogi(eps=1e-4)
    Yogi(eps=0.0001)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-3, Interval(0, closed="neither"))
    initial: float = hyperparameter(1e-6, Interval(0))
    memory = ("mean", "square_average")
    scale_free = True
    rests = True
    eta0 = 0.03
    cures = "Adam's steps growing fast where small gradients follow large ones"

    def allocate(self, theta: Array, penalty: Any, implicit: bool) -> list[Array]:
        """No mean, and the mean square at `initial`."""
        mean, square_average = super().allocate(theta, penalty, implicit)
        square_average += operand(self.initial, theta.dtype)
        return [mean, square_average]

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v = memory
        square = np.multiply(g, g, out=work)
        change = np.sign(square - v)
        change *= square
        change *= operand(1 - self.beta_2, change.dtype)
        v += change
        follow(m, g, self.beta_1)
        np.divide(m, 1 - self.beta_1**t, out=g)
        return g, inverse_root(v, 1 - self.beta_2**t, self.eps, work)

"""Lion: the sign of a momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.averages import follow
from skvariants.solvers.base import registered
from skvariants.solvers.signs import SignSolver, inverse_size

Array = np.ndarray


@registered("lion", "signs", 2023)
class Lion(SignSolver):
    r"""The sign of a mean of gradients that counts the last one more.

    .. math:: w_{t+1} = w_t - \eta_t \operatorname{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t), \qquad
              m_t = \beta_2 m_{t-1} + (1 - \beta_2) g_t

    Use it where gradients are of very unequal size and one array is to be enough. All weights move alike and never
    less, so the step has to fall: choose a ``learning_rate`` that does. Its own decay of weights is left out; ``alpha``
    is the penalty.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Share of the mean in the direction.
    beta_2 : float, default=0.99
        Decay of the mean.

    References
    ----------
    Chen, Liang, Huang, Real, Wang, Liu, Pham, Dong, Luong, Hsieh, Lu and Le (2023), "Symbolic discovery of optimization
    algorithms", arXiv:2302.06675.

    Examples
    --------
    >>> from skvariants.solvers import Lion
    >>> Lion(beta_2=0.95)
    Lion(beta_2=0.95)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.99, Interval(0, 1))
    memory = ("mean",)
    eta0 = 0.003
    rests = True
    cures = "gradients of unequal size, at the price of one array"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (m,) = memory
        np.subtract(m, g, out=work)
        work *= operand(self.beta_1, work.dtype)
        work += g
        follow(m, g, self.beta_2)
        np.copyto(g, work)
        return g, inverse_size(g, work)

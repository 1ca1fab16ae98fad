"""Signum: the sign of the momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants.solvers.averages import follow
from skvariants.solvers.base import registered
from skvariants.solvers.signs import SignSolver, inverse_size

Array = np.ndarray


@registered("signum", "signs", 2018)
class Signum(SignSolver):
    r"""The sign of the mean of gradients.

    .. math:: m_t = \mu m_{t-1} + (1 - \mu) g_t, \qquad w_{t+1} = w_t - \eta_t \operatorname{sign}(m_t)

    Use it where single gradients are wild: of each only its direction counts. All weights move alike and never less, so
    the step has to fall: choose a ``learning_rate`` that does.

    Parameters
    ----------
    momentum : float, default=0.9
        Share :math:`\mu` of the last mean that is kept; 0 is signSGD.

    References
    ----------
    Bernstein, Wang, Azizzadenesheli and Anandkumar (2018), "signSGD: compressed optimisation for non-convex problems",
    arXiv:1802.04434.

    Examples
    --------
    >>> from skvariants.solvers import Signum
    >>> Signum(momentum=0.95)
    Signum(momentum=0.95)
    """

    momentum: float = hyperparameter(0.9, Interval(0, 1))
    memory = ("mean",)
    eta0 = 0.003
    rests = True
    cures = "wild gradients: of each only the direction counts"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (m,) = memory
        follow(m, g, self.momentum)
        return m, inverse_size(m, work)

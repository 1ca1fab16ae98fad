"""Momentum: the direction remembers the gradients before."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.base import Solver, registered

Array = np.ndarray
_DECAY = Interval(0, 1)


@registered("momentum", "momentum", 1964)
class Momentum(Solver):
    r"""Heavy ball: average the gradients, so that what points across a ravine cancels.

    .. math:: b_t = \mu b_{t-1} + g_t, \qquad w_{t+1} = w_t - \eta_t b_t

    Use it in a ravine. Direction and scale are :math:`(1 - \mu) b_t` and :math:`1 / (1 - \mu)`: the same step, and the
    prox then solves the penalised problem instead of one with ``l1 * (1 - momentum)``.

    Parameters
    ----------
    momentum : float, default=0.9
        Share :math:`\mu` of the last direction that is kept.

    References
    ----------
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods",
    doi:10.1016/0041-5553(64)90137-5.

    Examples
    --------
    >>> from skvariants.solvers import Momentum
    >>> Momentum(momentum=0.95)
    Momentum(momentum=0.95)
    """

    momentum: float = hyperparameter(0.9, _DECAY)
    memory = ("buffer",)
    eta0 = 0.03
    linear = rests = True
    cures = "the ravine: the zigzag cancels"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (b,) = memory
        b *= operand(self.momentum, b.dtype)
        b += g
        np.multiply(b, operand(1 - self.momentum, b.dtype), out=work)
        return work, 1 / (1 - self.momentum)


@registered("nesterov", "momentum", 1983)
class Nesterov(Solver):
    r"""Nesterov's acceleration: look where momentum leads before correcting.

    .. math:: b_t = \mu b_{t-1} + g_t, \qquad w_{t+1} = w_t - \eta_t (g_t + \mu b_t)

    Use it in a ravine: steps may be longer than those of momentum, and with the same step it overshoots less. This is
    the form of Bengio et al. in which the gradient is taken at the iterate itself, as in torch and optax.

    Parameters
    ----------
    momentum : float, default=0.9
        Share :math:`\mu` of the last direction that is kept.

    References
    ----------
    Nesterov (1983), "A method for solving the convex programming problem with convergence rate
    O(1/k^2)". Sutskever et al. (2013), "On the importance of initialization and momentum in
    deep learning", ICML.

    Examples
    --------
    >>> from skvariants.solvers import Nesterov
    >>> Nesterov().get_params()
    {'momentum': 0.9}
    """

    momentum: float = hyperparameter(0.9, _DECAY)
    memory = ("buffer",)
    eta0 = 0.03
    linear = rests = True
    cures = "the ravine, with larger steps than momentum can take"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (b,) = memory
        momentum = operand(self.momentum, b.dtype)
        b *= momentum
        b += g
        np.multiply(b, momentum, out=work)
        work += g
        work *= operand(1 - self.momentum, b.dtype)
        return work, 1 / (1 - self.momentum)

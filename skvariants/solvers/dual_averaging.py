"""Dual averaging: all gradients weigh the same."""

from __future__ import annotations

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants._step import Step
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("dual_averaging", "averages and sums", 2009)
class DualAveraging(Solver):
    r"""AdaGrad from the start anew at every step: along the sum of all gradients, under the penalty of all steps.

    .. math:: w_{t+1} = \arg\min_w\ \sum_{s \le t} \eta_s \left(g_s w + R(w)\right) + \tfrac{h_t}{2} (w - w_0)^2, \qquad
              h_t = \varepsilon + \sqrt{\textstyle\sum_{s \le t} g_s^2}

    with the penalty `R` of the estimator; where steps differ, :math:`g_s^2` counts by the square of its own step over
    the longest so far. Use it for a sparse model from sparse rows: it gives more exact zeros than
    :class:`~skvariants.solvers.FTRL`, as what pulls towards the start does not follow the iterates. It forgets nothing,
    so it goes slowly where gradients at the start were large.

    Parameters
    ----------
    eps : float, default=1e-10
        Added to the roots.

    References
    ----------
    Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization", JMLR
    12, 2121-2159. Xiao (2010), "Dual averaging methods for regularized stochastic learning and online optimization",
    JMLR 11, 2543-2596. Nesterov (2009), "Primal-dual subgradient methods for convex problems",
    doi:10.1007/s10107-007-0149-x.

    Examples
    --------
    >>> from skvariants.solvers import DualAveraging
    >>> DualAveraging()
    DualAveraging()
    """

    eps: float = hyperparameter(1e-10, Interval(0, closed="neither"))
    memory = ("start", "centre", "square_sum")
    points = ("start", "centre")
    totals = ("length", "longest")
    scale_free = shrinks = True
    eta0 = 0.1
    rests = True
    cures = "rare features, with a sparse model from the first step on"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Add the gradient to the sum, and go from the start along it."""
        start, centre, squares, length, longest = memory
        if not step.implicit:
            step.penalty.add_gradient(theta[:-1], g[:-1])
        eps = operand(self.eps, theta.dtype)
        centre -= start
        centre *= np.sqrt(squares) + eps
        np.maximum(longest, step.eta, out=longest)
        g *= step.eta
        np.divide(g, longest, out=step.work)
        squares += np.multiply(step.work, step.work, out=step.work)
        strength = np.sqrt(squares) + eps
        centre -= g
        centre /= strength
        centre += start
        length += step.eta
        theta[...] = centre
        self.prox(theta[:-1], length / strength[:-1], step)

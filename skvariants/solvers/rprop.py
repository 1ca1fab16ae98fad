"""Rprop: a step of its own for each weight, from signs alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants._step import Step
from skvariants.solvers.base import Solver, registered
from skvariants.solvers.signs import inverse_size

Array = np.ndarray


@registered("rprop", "signs", 1993)
class Rprop(Solver):
    r"""Resilient propagation: a step grows while the gradient keeps its sign, and halves when it turns.

    .. math:: w_{t+1} = w_t - \Delta_t \operatorname{sign}(g_t), \qquad
              \Delta_t = \Delta_{t-1}\, \text{grow}^{[g_t g_{t-1} > 0]}\, \text{shrink}^{[g_t g_{t-1} < 0]}

    where a weight whose gradient has turned waits a step, and :math:`\Delta_0 = \eta`. Use it on all rows of a small
    table in any units: sizes of gradients do not count. It takes all rows for every step; on batches the noise turns
    the signs.

    Parameters
    ----------
    grow : float, default=1.2
        By what a step grows.
    shrink : float, default=0.5
        By what it shrinks.
    least : float, default=1e-6
        Least step.
    most : float, default=50.0
        Longest step.

    References
    ----------
    Riedmiller and Braun (1993), "A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
    doi:10.1109/ICNN.1993.298623. Igel and Huesken (2003), "Empirical evaluation of the improved Rprop learning
    algorithms", doi:10.1016/S0925-2312(01)00700-7 (the form without backtracking, iRprop-).

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="rprop", max_iter=100)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 2)
    2.0
    """

    grow: float = hyperparameter(1.2, Interval(1))
    shrink: float = hyperparameter(0.5, Interval(0, 1, "neither"))
    least: float = hyperparameter(1e-6, Interval(0))
    most: float = hyperparameter(50.0, Interval(0, closed="neither"))
    memory = ("last", "factors")
    batch_size = "full"
    scale_free = True
    rests = True
    unit = 0.1
    eta0 = 0.01
    cures = "gradients of unequal size, on all rows: each weight finds its own step"

    def allocate(self, theta: Array, penalty: Any, implicit: bool) -> list[Array]:
        """No gradient yet, and all steps at their start."""
        return [np.zeros_like(theta), np.ones_like(theta)]

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Compare signs, then step; a penalty with kinks takes part in both by its prox."""
        last, factors = memory
        step.penalty.add_gradient(theta[:-1], g[:-1])
        sign = np.sign(self._move(theta, g, step.eta * factors, step.penalty))
        agree = sign * last
        factors *= np.where(agree > 0, self.grow, np.where(agree < 0, self.shrink, 1.0))
        lengths = np.clip(step.eta * factors, self.least, self.most)
        np.divide(lengths, step.eta, out=factors)
        waits = agree < 0
        g[waits], lengths[waits] = 0, 0
        theta -= self._move(theta, g, lengths, step.penalty)
        sign[waits] = 0
        last[...] = sign

    def _move(self, theta: Array, g: Array, lengths: Array, penalty: Any) -> Array:
        """By what each weight goes down: its length, or less where the penalty's kink comes before."""
        if not penalty.has_prox:
            return lengths * np.sign(g)
        to = theta - lengths * np.sign(g)
        penalty.prox(to[:-1], (lengths * inverse_size(g, np.empty_like(g)))[:-1], smooth=False)
        return np.clip(theta - to, -lengths, lengths)

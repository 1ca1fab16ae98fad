"""COCOB: each weight bets on its gradients."""

from __future__ import annotations

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants._step import Step
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("cocob", "learning-rate-free", 2017)
class COCOB(Solver):
    r"""Continuous coin betting: each weight stakes a share of what it has won so far on the next gradient.

    .. math:: L_t = \max(L_{t-1}, |g_t|), \quad G_t = G_{t-1} + |g_t|, \quad
              R_t = \max(R_{t-1} - g_t (w_t - w_0), 0), \quad
              w_{t+1} = w_0 - \frac{L_t + R_t}{L_t \max(G_t + L_t, \kappa L_t)} \sum_{s \le t} g_s

    Use it where no step size is to be chosen or raced, and features are rare or of unequal use: each weight finds its
    own length. ``eta0="auto"`` is 1, the method as published; a shorter one takes that share of the way. As the weights
    follow from the sum of all gradients, the penalty is that of all steps so far (dual averaging).

    Parameters
    ----------
    caution : float, default=100.0
        Steps for which stakes stay small, :math:`\kappa`.
    eps : float, default=1e-8
        Least size of a gradient, :math:`L_0`.

    References
    ----------
    Orabona and Tommasi (2017), "Training deep networks without learning rates through coin betting", arXiv:1705.07795.

    Examples
    --------
    >>> from skvariants.solvers import COCOB
    >>> COCOB(caution=10.0)
    COCOB(caution=10.0)
    """

    caution: float = hyperparameter(100.0, Interval(0, closed="neither"))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    memory = ("start", "centre", "largest", "sum", "reward")
    points = ("start", "centre")
    totals = ("steps",)
    scale_free = learning_rate_free = shrinks = True
    eta0 = 1.0
    rests = True
    cures = "the learning rate, for each weight by itself"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Take what the last gradient has won, and stake a share of it on the sum of all."""
        start, centre, largest, total, reward, steps = memory
        if not step.implicit:
            step.penalty.add_gradient(theta[:-1], g[:-1])
        gradients = (start - centre) / self._stake(largest, total, reward)
        gradients += g
        reward -= np.multiply(g, theta - start, out=step.work)
        np.maximum(reward, 0, out=reward)
        size = np.abs(g, out=g)
        np.maximum(largest, size, out=largest)
        total += size
        stake = self._stake(largest, total, reward)
        np.subtract(start, stake * gradients, out=centre)
        steps += 1
        target = centre.copy()
        self.prox(target[:-1], stake[:-1] * steps, step)
        target -= theta
        theta += step.eta * target

    def _stake(self, largest: Array, total: Array, reward: Array) -> Array:
        most = np.maximum(largest, operand(self.eps, largest.dtype))
        return (most + reward) / (most * np.maximum(total + most, self.caution * most))

"""Prodigy: Adam that estimates its step size."""

from __future__ import annotations

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants._step import Step
from skvariants.solvers.averages import follow, over_coupled
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("prodigy", "learning-rate-free", 2024)
class Prodigy(Solver):
    r"""Adam in steps of the distance to the optimum, as far as it is known by now.

    .. math:: d_{t+1} = \max\left(d_t, \frac{\sum_s \beta_3^{t-s} d_s^2 \eta_s \langle g_s, w_0 - w_s \rangle}
              {\|\sum_s \beta_3^{t-s} d_s^2 \eta_s g_s\|_1}\right), \qquad
              w_{t+1} = w_t - \eta_t d_t \frac{m_t}{\sqrt{v_t} + d_{t+1} \varepsilon}

    with Adam's means :math:`m_t` of :math:`d_t g_t` and :math:`v_t` of its square, not corrected, and
    :math:`\beta_3 = \sqrt{\beta_2}`. Use it for Adam's troubles where no step size is to be chosen or raced:
    ``eta0="auto"`` is 1, the method as published. The distance only ever grows, so choose a ``learning_rate`` that
    falls for a last digit. Each target has a distance of its own; classes that the loss couples share one.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-8
        Added outside the root, times the distance.
    initial : float, default=1e-4
        Distance at the start, :math:`d_0` (the authors have 1e-6, for deep networks).

    References
    ----------
    Mishchenko and Defazio (2024), "Prodigy: an expeditiously adaptive parameter-free learner", arXiv:2306.06101.

    Examples
    --------
    >>> from skvariants.solvers import Prodigy
    >>> Prodigy(initial=1e-3)
    Prodigy(initial=0.001)
    """

    beta_1: float = hyperparameter(0.9, Interval(0, 1))
    beta_2: float = hyperparameter(0.999, Interval(0, 1))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    initial: float = hyperparameter(1e-4, Interval(0, closed="neither"))
    memory = ("start", "mean", "square_average", "sum")
    points = ("start",)
    totals = ("distance", "descent")
    scale_free = learning_rate_free = True
    eta0 = 1.0
    rests = True
    cures = "the learning rate, where there is a ravine and rare features too"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Estimate the distance, and take Adam's step in it."""
        start, m, v, total, distance, descent = memory
        if not step.implicit:
            step.penalty.add_gradient(theta[:-1], g[:-1])
        np.maximum(distance, self.initial, out=distance)
        d, decay = distance.copy(), self.beta_2**0.5
        weight = d * (d / self.initial) * step.eta
        descent *= operand(decay, descent.dtype)
        descent += weight * over_coupled((g * (start - theta)).sum(axis=0, keepdims=True), step.coupled)
        total *= operand(decay, total.dtype)
        total += weight * g
        size = over_coupled(np.abs(total).sum(axis=0, keepdims=True), step.coupled)
        np.divide(descent, size, out=distance, where=size > 0)
        np.maximum(distance, d, out=distance)
        follow(m, d * g, self.beta_1)
        follow(v, (d * g) ** 2, self.beta_2)
        # the direction in the units of a gradient, so that the scale is the metric of the penalty's prox
        length = step.eta * d * d / (np.sqrt(v) + distance * self.eps)
        theta -= length * (m / d)
        self.prox(theta[:-1], length[:-1], step, *memory)

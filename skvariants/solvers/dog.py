"""DoG: how far it has come, over what it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants._step import Step
from skvariants.solvers.averages import norms
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("dog", "learning-rate-free", 2023)
class DoG(Solver):
    r"""Distance over gradients: the step is the largest distance from the start over the root of all squared gradients.

    .. math:: r_t = \max_{s \le t} \left(\|w_s - w_0\|,\ r_\varepsilon (1 + \|w_0\|)\right), \qquad
              w_{t+1} = w_t - \eta_t \frac{r_t}{\sqrt{\sum_{s \le t} \|g_s\|^2 + \varepsilon}}\, g_t

    Use it where no step size is to be chosen or raced, as in a stream whose first rows say little: ``eta0="auto"`` is
    1, the method as published. It costs a few dozen steps, in which the distance grows from its tiny start. All weights
    share the step, so it helps against neither a ravine nor rare features. The authors average iterates:
    ``average=True``. Each class or target has a distance of its own.

    Parameters
    ----------
    initial : float, default=1e-2
        Distance at the start, :math:`r_\varepsilon` (the authors have 1e-6, for deep networks).
    eps : float, default=1e-8
        Added to the sum of squares.

    References
    ----------
    Ivgi, Hinder and Carmon (2023), "DoG is SGD's best friend: a parameter-free dynamic step size schedule",
    arXiv:2302.12022.

    Examples
    --------
    >>> from skvariants.solvers import DoG
    >>> DoG(initial=1e-6)
    DoG(initial=1e-06)
    """

    initial: float = hyperparameter(1e-2, Interval(0, closed="neither"))
    eps: float = hyperparameter(1e-8, Interval(0, closed="neither"))
    memory = points = ("start",)
    totals = ("distance", "square_sum")
    scale_free = learning_rate_free = shrinks = True
    eta0 = 1.0
    rests = True
    cures = "the learning rate: it follows from the distance travelled"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """See how far it is from the start, then step."""
        start, distance, _ = memory
        np.maximum(distance, norms(theta - start), out=distance)
        super().update(theta, g, step, *memory)

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        start, distance, total = memory
        np.maximum(distance, self.initial * (1 + norms(start)), out=distance)
        total += norms(g) ** 2
        return g, (distance / np.sqrt(total + self.eps))[0]

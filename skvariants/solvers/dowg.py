"""DoWG: distance over gradients weighted by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants._step import Step
from skvariants.solvers.averages import norms
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("dowg", "learning-rate-free", 2023)
class DoWG(Solver):
    r"""Distance over weighted gradients: DoG, where gradients count by the distance at which they were seen.

    .. math:: r_t = \max_{s \le t} \left(\|w_s - w_0\|,\ r_\varepsilon\right), \quad
              v_t = v_{t-1} + r_t^2 \|g_t\|^2, \quad
              w_{t+1} = w_t - \eta_t \frac{r_t^2}{\sqrt{v_t} + \varepsilon}\, g_t

    Use it where no step size is to be chosen or raced and DoG starts too slowly: gradients near the start soon count
    for nothing. ``eta0="auto"`` is 1, the method as published. All weights share the step, so it helps against neither
    a ravine nor rare features. Each class or target has a distance of its own.

    Parameters
    ----------
    initial : float, default=1e-2
        Distance at the start, :math:`r_\varepsilon`.
    eps : float, default=1e-12
        Added outside the root.

    References
    ----------
    Khaled, Mishchenko and Jin (2023), "DoWG unleashed: an efficient universal parameter-free gradient descent method",
    arXiv:2305.16284.

    Examples
    --------
    >>> from skvariants.solvers import DoWG
    >>> DoWG(initial=1e-3)
    DoWG(initial=0.001)
    """

    initial: float = hyperparameter(1e-2, Interval(0, closed="neither"))
    eps: float = hyperparameter(1e-12, Interval(0, closed="neither"))
    memory = points = ("start",)
    totals = ("distance", "square_sum")
    scale_free = learning_rate_free = shrinks = True
    eta0 = 1.0
    rests = True
    cures = "the learning rate: it follows from the distance travelled, with a faster start"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """See how far it is from the start, then step."""
        start, distance, _ = memory
        np.maximum(distance, norms(theta - start), out=distance)
        super().update(theta, g, step, *memory)

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        _, distance, total = memory
        np.maximum(distance, self.initial, out=distance)
        square = distance**2
        total += square * norms(g) ** 2
        return g, (square / (np.sqrt(total) + self.eps))[0]

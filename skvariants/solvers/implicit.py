"""Implicit steps: the slope of a sample is taken where the step ends, which for a linear model is a number to find."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skvariants._step import Step
from skvariants.solvers.base import Solver, registered
from skvariants.solvers.slopes import implicit_slope, implicit_slopes

Array = np.ndarray


@registered("implicit", "row by row", 2010)
class Implicit(Solver):
    r"""Proximal-point steps: each sample is weighed by its slope after the step, so that no step is too long.

    .. math:: w_{t+1} = \arg\min_w\ \ell_i(w) + \tfrac{1}{2 \eta_t} \| w - w_t \|^2, \qquad
              w_{t+1} = w_t - \eta_t\, \ell'(y_i, x_i^\top w_{t+1})\, x_i

    Use it for one sample at a time where no step size is known, rows are of unequal length, or the loss is steep:
    :math:`\ell'` is a root of one number, between zero and the slope before the step, so that a prediction never passes
    the minimum of its own loss. With a small step it is `sgd`. Of several rows in a batch the mean of their steps is
    taken.

    References
    ----------
    Toulis and Airoldi (2017), "Asymptotic and finite-sample properties of estimators based on stochastic gradients",
    arXiv:1408.2923. Kulis and Bartlett (2010), "Implicit online learning", ICML, 575-582.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="implicit", scale_features=False, eta0=0.1, tol=None, random_state=0)
    >>> round(float(model.fit([[0.0], [10.0], [20.0]], [0.0, 20.0, 40.0]).coef_[0]), 2)
    2.0
    """

    batch_size = 1
    needs = frozenset({"rows"})
    lazy = True
    rests = True
    eta0 = 0.1
    cures = "steps that are too long for a sample"

    def slope(self, derivative: Callable[[float, float], float], y: float, z: float, r: float, length: float) -> float:
        """Slope after a step along a single sample, :math:`u = \\ell'(y, z - a u)`, where it is `r` before."""
        return implicit_slope(derivative, y, z, r, length)

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Take each row's slope where its own step ends, and the mean of their steps."""
        batch, W, length = step.batch, theta[:-1], step.eta
        alone = length * (batch.square_norms() + batch.intercept)
        if batch.weight is not None and len(batch.weight) == 1:
            alone = alone * batch.weight  # of several the mean is weighted, as if a row came several times
        g = batch.gradient(implicit_slopes(batch.loss, batch.y, batch.z, batch.r, alone))
        if not step.implicit:
            step.penalty.decay(W, length)
        theta -= np.multiply(g, length, step.move)
        self.prox(W, length, step, *memory)

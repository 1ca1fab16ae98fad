"""FTRL-Proximal: exact zeros and a rate for each weight."""

from __future__ import annotations

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants._step import Step
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("ftrl", "averages and sums", 2011)
class FTRL(Solver):
    r"""Follow the regularised leader: minimise all gradients so far, and the distance from all iterates, at once.

    .. math:: w_{t+1} = \arg\min_w\ \sum_{s \le t} g_s w + \tfrac12 \sum_{s \le t} \sigma_s (w - w_s)^2 + t R(w), \qquad
              \sum_{s \le t} \sigma_s = \frac{\beta + \sqrt{\sum_{s \le t} g_s^2}}{\eta}

    with the penalty `R` of the estimator (as strong as for any other solver). Use it for sparse features with an L1
    penalty, above all in a stream: each weight has a rate of its own, as AdaGrad's, and is exactly zero unless
    all rows together speak for it. Without a penalty and :math:`\beta` it is AdaGrad.

    Parameters
    ----------
    beta : float, default=0.0
        Added to the roots: smaller steps at first (1 in the paper).
    eps : float, default=1e-10
        The same, so that none is zero.

    References
    ----------
    McMahan et al. (2013), "Ad click prediction: a view from the trenches", doi:10.1145/2487575.2488200. McMahan (2011),
    "Follow-the-regularized-leader and mirror descent: equivalence theorems and L1 regularization", AISTATS, 525-533.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> from skvariants.solvers import FTRL
    >>> model = SGDVariantRegressor(solver=FTRL(beta=1.0), penalty="l1", alpha=0.1, random_state=0)
    >>> X, y = [[0.0, 1.0], [1.0, -1.0], [2.0, -1.0], [3.0, 1.0]], [0.0, 2.0, 4.0, 6.0]
    >>> (model.fit(X, y).coef_ == 0).tolist()
    [False, True]
    """

    beta: float = hyperparameter(0.0, Interval(0))
    eps: float = hyperparameter(1e-10, Interval(0, closed="neither"))
    memory = ("centre", "square_sum", "curvature")
    points = ("centre",)
    totals = ("steps",)
    scale_free = shrinks = True
    rests = True
    eta0 = 0.1
    cures = "rare features, with exact zeros that noise does not undo"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Move the minimum without the penalty, then add that of all steps."""
        centre, squares, curvature, steps = memory
        if not step.implicit:
            step.penalty.add_gradient(theta[:-1], g[:-1])
        squares += np.multiply(g, g, out=step.work)
        strength = np.sqrt(squares)
        strength += operand(self.beta + self.eps, strength.dtype)
        strength /= step.eta
        # the centre is the mean of all iterates by their curvature, less the gradients
        np.subtract(theta, centre, out=theta)
        theta *= np.subtract(strength, curvature, out=step.work)
        theta -= g
        theta /= strength
        centre += theta
        curvature[...] = strength
        steps += 1
        theta[...] = centre
        self.prox(theta[:-1], steps / strength[:-1], step)

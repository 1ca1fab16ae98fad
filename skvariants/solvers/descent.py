"""Plain descent: the direction is the gradient, and the number of rows is what differs."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._step import Step
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


@registered("gd", "plain steps", 1847)
class GD(Solver):
    r"""Gradient descent: all samples for every step.

    .. math:: w_{t+1} = w_t - \eta_t\, \nabla f(w_t)

    Use it on small data, or to see the surface without noise; one step costs one pass.

    References
    ----------
    Cauchy (1847), "Methode generale pour la resolution des systemes d'equations simultanees".

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="gd", max_iter=300)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    batch_size = "full"
    is_gradient = lazy = linear = True
    eta0 = 0.5
    rests = True
    cures = "none: the plain surface, without noise"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None


@registered("sgd", "plain steps", 1951)
class SGD(Solver):
    r"""Stochastic gradient descent: one sample for every step.

    .. math:: w_{t+1} = w_t - \eta_t\, \nabla \ell_i(w_t)

    Use it for scikit-learn's algorithm, step for step: L1 is applied with the cumulative
    penalty of Tsuruoka et al. (2009). Mini-batches are faster in NumPy.

    References
    ----------
    Robbins and Monro (1951), "A stochastic approximation method", doi:10.1214/aoms/1177729586.
    Bottou (2012), "Stochastic gradient descent tricks", doi:10.1007/978-3-642-35289-8_25.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="sgd", random_state=0)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    batch_size = 1
    is_gradient = lazy = linear = True
    eta0 = 0.01
    rests = True
    cures = "the cost of a pass: a step per sample"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None

    def allocate(self, theta: Array, penalty: Any, implicit: bool) -> list[Array]:
        """What L1 is due and what each weight has paid, both shaped like the weights; nothing where there is no L1."""
        return [np.zeros_like(theta[:-1]) for _ in range(2)] if penalty.has_prox and not implicit else []

    def prox(self, W: Array, length: Any, step: Step, *memory: Array) -> None:
        """Apply L1 by the cumulative penalty, where it has a memory."""
        if memory:
            due, paid = memory
            step.penalty.truncate(W, length, due, paid)
        else:
            super().prox(W, length, step)

    def idle(self, W: Array, times: Array, step: Step, *memory: Array) -> None:
        """The same for steps that were missed, where L1 is all of the penalty."""
        if memory:
            due, paid = memory
            step.penalty.truncate(W, step.eta * times, due, paid)
        else:
            super().idle(W, times, step)


@registered("minibatch", "plain steps", 2018)
class MiniBatch(Solver):
    r"""Mini-batch gradient descent: a few samples, reshuffled each pass, for every step.

    .. math:: w_{t+1} = w_t - \eta_t\, \frac{1}{|B_t|} \sum_{i \in B_t} \nabla \ell_i(w_t)

    Use it where there is neither a ravine nor rare features: nothing is cheaper.

    References
    ----------
    Bottou, Curtis and Nocedal (2018), "Optimization methods for large-scale machine learning",
    doi:10.1137/16M1080173.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="minibatch", random_state=0)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    is_gradient = lazy = linear = True
    eta0 = 0.1
    rests = True
    cures = "the cost of a pass, with less noise than one sample"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None

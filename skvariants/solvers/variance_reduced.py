r"""Variance reduction: what the gradient of a batch differs by from that of all rows is known, and taken off.

A linear model makes that cheap. The gradient of row `i` is its slope :math:`r_i`, a number for each column, times the
row; so a number for each row stands for a gradient of each row, and the correction of a batch is part of its product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._step import Step
from skvariants.solvers.base import Solver, registered

Array = np.ndarray


class VarianceReduced(Solver):
    """What both share: the slope that is remembered of a row is taken off, and the mean gradient of all put back.

    The first pass takes plain steps, as nothing is known before it; so do streams, whose rows do not come again.
    """

    needs = frozenset({"rows", "table"})
    eta0 = 0.1

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Correct the gradient of the batch, and take the step."""
        slopes = step.batch.recall()
        if slopes is None:
            g = step.batch.gradient(step.batch.r)
        else:
            g = self.corrected(step, slopes, *memory)
        super().update(theta, g, step, *memory)

    def corrected(self, step: Step, slopes: Array, *memory: Array) -> Array:
        """The gradient without what its rows are known to differ by, from the slopes that are remembered of them."""
        raise NotImplementedError


@registered("svrg", "variance reduction", 2013)
class SVRG(VarianceReduced):
    r"""Stochastic variance-reduced gradients: each pass begins with the gradient of all rows where it stands.

    .. math:: w_{t+1} = w_t - \eta_t \big( d_t + \nabla f(\tilde w) \big), \qquad
              d_t = \frac{1}{|B_t|} \sum_{i \in B_t} \big( \nabla \ell_i(w_t) - \nabla \ell_i(\tilde w) \big)

    with :math:`\tilde w` the model at the beginning of the pass. Use it for many passes over a table that fits in
    memory, to an accuracy where plain steps stall in their noise: the noise fades as the model arrives, and the step
    stays as it is. A pass reads the rows twice. The first one is plain (as its authors advise); so are the steps of
    `partial_fit`, where no row comes again. Scale the features, as for plain steps.

    References
    ----------
    Johnson and Zhang (2013), "Accelerating stochastic gradient descent using predictive variance reduction", NeurIPS
    26, 315-323. Xiao and Zhang (2014), "A proximal stochastic gradient method with progressive variance reduction",
    arXiv:1403.4699.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="svrg", random_state=0)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    memory = ("mean",)
    totals = ("passes",)
    rests = True
    cures = "the noise at the end, without smaller steps; for a second look at the rows in each pass"

    def begin_epoch(self, theta: Array, whole: Any, *memory: Array) -> None:
        """Take slopes and gradient of all rows; before the first pass there are none."""
        mean, passes = memory
        if passes.any():
            whole.look(theta)
            whole.table *= passes > 0
            mean[...] = whole.gradient()
        passes += 1

    def corrected(self, step: Step, slopes: Array, *memory: Array) -> Array:
        """Take off the gradient of the batch at the beginning of the pass, add that of all rows."""
        g: Array = step.batch.gradient(np.subtract(step.batch.r, slopes, out=slopes))
        g += memory[0]
        return g


@registered("saga", "variance reduction", 2014)
class SAGA(VarianceReduced):
    r"""Variance reduction by memory: of each row the slope that it had when it last came.

    .. math:: d_t = \frac{1}{|B_t|} \sum_{i \in B_t} (r_i - \bar r_i) x_i, \qquad
              w_{t+1} = w_t - \eta_t \Big( d_t + \frac1n \sum_{i=1}^n \bar r_i x_i \Big), \qquad
              \bar r_i \leftarrow r_i \text{ for } i \in B_t

    with :math:`r_i` the derivative of the loss of row `i` in its prediction. Use it where `svrg` is of use; it keeps a
    number for each row (and class) and reads the rows once a pass and the table once. The first pass is plain and
    fills the table; the steps of `partial_fit`, where no row comes again, are plain too. Scale the features, as for
    plain steps.

    References
    ----------
    Defazio, Bach and Lacoste-Julien (2014), "SAGA: a fast incremental gradient method with support for non-strongly
    convex composite objectives", arXiv:1407.0202.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="saga", random_state=0)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    memory = ("mean",)
    totals = ("seen",)
    rests = True
    cures = "the noise at the end, without smaller steps; for a number kept of each row"

    def begin_epoch(self, theta: Array, whole: Any, *memory: Array) -> None:
        """Sum anew, so that neither rounding nor other rows stay in the mean."""
        memory[0][...] = whole.gradient()

    def corrected(self, step: Step, slopes: Array, *memory: Array) -> Array:
        """Take off the gradient that is remembered of the batch, add the mean of all, and follow both."""
        mean, seen = memory
        batch = step.batch
        change: Array = batch.gradient(np.subtract(batch.r, slopes, out=slopes))
        batch.remember(batch.r)
        np.multiply(mean, seen >= len(batch.table), out=step.move)
        mean += np.multiply(change, change.dtype.type(batch.share), out=step.work)
        seen += len(slopes)
        change += step.move
        return change

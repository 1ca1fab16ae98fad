"""NAG: what Vowpal Wabbit does by default, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._step import Step
from skvariants.solvers.base import Solver, registered
from skvariants.solvers.slopes import implicit_slopes

Array = np.ndarray


@registered("nag", "row by row", 2013)
class NAG(Solver):
    r"""Normalised, adaptive and invariant: Vowpal Wabbit's update, which sees neither units nor scales of features.

    .. math:: N_j \leftarrow \max(N_j, |x_j|), \quad G_j \leftarrow G_j + (\ell')^2 x_j^2, \quad
              s_j = \frac{1}{N_j \sqrt{G_j}} \sqrt{\frac{t}{\sum_{s \le t} \sum_k x_{sk}^2 / N_k^2}}, \quad
              w_j \leftarrow w_j - \eta\, s_j\, x_j\, \bar{\ell'}

    with :math:`\bar{\ell'}` the mean slope along the way: as if the row were learned in infinitely many small parts, so
    that no step passes the minimum of a row. Where :math:`N_j` grows, what :math:`w_j` has learned shrinks in
    proportion. Use it for raw features of unknown scales in one pass (``scale_features=False``), most of which may be
    zero. Rows are taken one after another, whatever the size of a batch, at about ten times the cost of `sgd`. The mean
    slope is that of the flow for the squared and the logistic loss, and that of an implicit step for others.
    Vowpal Wabbit cuts predictions to the range of the targets; these are not cut. A penalty sees the units of features,
    as ever: leave it out where they are raw.

    References
    ----------
    Ross, Mineiro and Langford (2013), "Normalized online learning", arXiv:1305.6646. Karampatziakis and Langford
    (2011), "Online importance weight aware updates", arXiv:1011.1576.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants import SGDVariantRegressor
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> raw, y = X * [1e-3, 1e6], X @ [1.0, 2.0]
    >>> model = SGDVariantRegressor(
    ...     solver="nag", scale_features=False, penalty=None, eta0=0.5, max_iter=9, tol=None, random_state=0)
    >>> (model.fit(raw, y).coef_ * [1e-3, 1e6]).round(1).tolist()
    [1.0, 2.0]
    """

    memory = ("start", "square_sum", "largest")
    points = ("start",)
    totals = ("spread", "rows")
    needs = frozenset({"rows"})
    batch_size = 64
    scale_free = shrinks = True
    eta0 = 0.5
    cures = "units: of features, of the loss, and of the weight of a row"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Take the rows of the batch one after another, then the penalty for all of them."""
        batch, penalty = step.batch, step.penalty
        for i, (at, x) in enumerate(batch.features()):
            self._learn(theta, at, x[:, None], i, step, memory)
        length = len(batch.z) * step.eta * self._scale(memory, slice(None))[:-1]
        if not step.implicit:
            penalty.decay(theta[:-1], length)
        self.prox(theta[:-1], length, step, *memory)

    def _learn(self, theta: Array, at: Any, x: Array, i: int, step: Step, memory: tuple[Array, ...]) -> None:
        """Learn row number `i`, which has the numbers `x` in the parameters `at`."""
        batch, (start, squares, largest, spread, rows) = step.batch, memory
        w, y, slope = theta[at], batch.y[i : i + 1], batch.r[i : i + 1]
        batch.z[i] = batch.unit * np.dot(x[:, 0], w)
        batch.loss.gradient(y, batch.z[i : i + 1], slope)
        learns = slope != 0
        if not learns.any():
            return
        weight = 1.0 if batch.weight is None else batch.weight[i]
        size, N, G = np.abs(x), largest[at], squares[at]
        grows = (size > N) & learns
        if grows.any():
            share = np.divide(N, size, out=np.ones_like(w), where=grows & (N > 0))
            w = start[at] + share * (w - start[at])
            np.copyto(N, size, where=grows)
            largest[at] = N
        square = x * x
        G += weight * (slope / batch.unit) ** 2 * square
        squares[at] = G
        spread += learns * weight * np.divide(square, N * N, out=np.zeros_like(w), where=N > 0).sum(axis=0)
        rows += learns * weight
        scale = self._scale(memory, at)
        length = (scale * square).sum(axis=0, keepdims=True)
        time = step.eta * weight * length
        change = batch.loss.flow(y, batch.z[i : i + 1], time)
        if change is None:
            change = -time * implicit_slopes(batch.loss, y, batch.z[i : i + 1], slope, time)
        np.divide(change, batch.unit * length, out=change, where=length > 0)
        w += change * (scale * x)
        theta[at] = w

    def _scale(self, memory: tuple[Array, ...], at: Any) -> Array:
        """By what steps differ between weights; zero of those that have seen nothing."""
        _, squares, largest, spread, rows = memory
        scale = np.sqrt(squares[at])
        scale *= largest[at]
        mean = np.sqrt(np.divide(rows, spread, out=np.zeros_like(rows), where=spread > 0))
        return np.divide(mean, scale, out=scale, where=scale > 0)

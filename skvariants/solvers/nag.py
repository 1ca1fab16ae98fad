"""NAG: what Vowpal Wabbit does by default, row by row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skvariants._step import Step
from skvariants.solvers.base import Solver, registered
from skvariants.solvers.slopes import implicit_slope, implicit_slopes

Array = np.ndarray
# as many columns cost less one by one than together
_FEW_COLUMNS = 6


@registered("nag", "row by row", 2013)
class NAG(Solver):
    r"""Normalised, adaptive and invariant: Vowpal Wabbit's update, which sees neither units nor scales of features.

    .. math:: N_j \leftarrow \max(N_j, |x_j|), \quad G_j \leftarrow G_j + (\ell')^2 x_j^2, \quad
              s_j = \frac{1}{N_j \sqrt{G_j}} \sqrt{\frac{t}{\sum_{s \le t} \sum_k x_{sk}^2 / N_k^2}}, \quad
              w_j \leftarrow w_j - \eta\, s_j\, x_j\, \bar{\ell'}

    with :math:`\bar{\ell'}` the mean slope along the way: as if the row were learned in infinitely many small parts, so
    that no step passes the minimum of a row. Where :math:`N_j` grows, what :math:`w_j` has learned shrinks in
    proportion. Use it for raw features of unknown scales in one pass (``scale_features=False``), most of which may be
    zero. Rows are taken one after another, whatever the size of a batch, at more than twice the cost of `sgd`,
    and more where several classes are learned. The
    mean slope is that of the flow for the squared and the logistic loss, and that of an implicit step for others.
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
    rests = True
    eta0 = 0.5
    cures = "units: of features, of the loss, and of the weight of a row"

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Take the rows of the batch one after another, then the penalty for all of them."""
        batch, penalty, totals = step.batch, step.penalty, memory[3:]
        alone = theta.shape[1] <= _FEW_COLUMNS and batch.loss.columns_per_model == 1 and _is_of_no_column(batch.loss)
        for part, at, rows in batch.features():
            known = theta[at], *(array[at] for array in memory[:3])
            if alone:
                for j, eta in enumerate(np.broadcast_to(step.eta, theta.shape[1:]).tolist()):
                    _learn_alone(batch, part, rows, eta, [array[:, j] for array in (*known, *totals)], j)
            else:
                for i, x in enumerate(rows, part.start):
                    self._learn(batch, x[:, None], i, step.eta, known, totals)
            theta[at], squares, largest = known[0], *known[2:]
            memory[1][at], memory[2][at] = squares, largest
        length = len(batch.z) * step.eta * self._scale(memory[1:])[:-1]
        if not step.implicit:
            penalty.decay(theta[:-1], length)
        self.prox(theta[:-1], length, step, *memory)

    def _learn(self, batch: Any, x: Array, i: int, eta: Any, known: tuple[Array, ...], totals: Any) -> None:
        """Learn row number `i` by all columns, given its numbers, the parameters and what is known of these."""
        (w, start, G, N), (spread, rows) = known, totals
        y, slope = batch.y[i : i + 1], batch.r[i : i + 1]
        batch.z[i] = batch.unit * np.dot(x[:, 0], w)
        batch.loss.gradient(y, batch.z[i : i + 1], slope)
        learns = slope != 0
        if not learns.any():
            return
        weight = 1.0 if batch.weight is None else batch.weight[i]
        size, square = np.abs(x), x * x
        grows = (size > N) & learns
        if grows.any():
            share = np.divide(N, size, out=np.ones_like(w), where=grows & (N > 0))
            w[...] = start + share * (w - start)
            np.copyto(N, size, where=grows)
        G += weight * (slope / batch.unit) ** 2 * square
        spread += learns * weight * np.divide(square, N * N, out=np.zeros_like(w), where=N > 0).sum(axis=0)
        rows += learns * weight
        scale = self._scale((G, N, spread, rows))
        length = (scale * square).sum(axis=0, keepdims=True)
        time = eta * weight * length
        change = batch.loss.flow(y, batch.z[i : i + 1], time)
        if change is None:
            change = -time * implicit_slopes(batch.loss, y, batch.z[i : i + 1], slope, time)
        np.divide(change, batch.unit * length, out=change, where=length > 0)
        w += change * (scale * x)

    def _scale(self, known: tuple[Array, ...]) -> Array:
        """By what steps differ between weights; zero of those that have seen nothing."""
        squares, largest, spread, rows = known
        scale = np.sqrt(squares)
        scale *= largest
        mean = np.sqrt(np.divide(rows, spread, out=np.zeros_like(rows), where=spread > 0))
        return np.divide(mean, scale, out=scale, where=scale > 0)


def _is_of_no_column(loss: Any) -> bool:
    """Whether a loss has no number that differs between columns."""
    return loss.take(np.zeros(1, int)) is loss


def _learn_alone(batch: Any, part: slice, rows: Array, eta: float, known: Any, j: int) -> None:
    """Learn a block of rows by column `j`: the rule above, whose single numbers are Python floats."""
    (w, start, G, N, spread, count), loss = known, batch.loss
    unit = float(batch.unit if np.ndim(batch.unit) == 0 else batch.unit[j])
    targets = batch.y[part, min(j, batch.y.shape[1] - 1)].tolist()
    weights = [1.0] * len(rows) if batch.weight is None else batch.weight[part, 0].tolist()
    size, squares, z = np.abs(rows), rows * rows, [0.0] * len(rows)
    # rows that may hold a new largest value; of those that are not learned, the next may
    before = np.maximum.accumulate(np.concatenate([N[None], size[:-1]]))
    growing, missed, first = (size > before).any(axis=1).tolist(), False, -1
    tiny, work = np.finfo(w.dtype).tiny, np.empty_like(w)
    w, G, seen, learned = w.copy(), G + tiny, float(spread[0]), float(count[0])
    for i, (x, y, weight) in enumerate(zip(rows, targets, weights, strict=True)):
        z[i] = unit * float(x.dot(w))
        slope = loss.gradient_scalar(y, z[i])
        if slope == 0.0:
            missed = missed or growing[i]
            continue
        if missed or growing[i]:
            grows = size[i] > N
            w -= np.where(grows & (N > 0), 1 - N / np.where(grows, size[i], 1), 0) * (w - start)
            np.copyto(N, size[i], where=grows)
            first = -1
        if first < 0:
            first, relative = i, rows[i:] / np.where(N > 0, N, 1)
            spreads = np.einsum("ij,ij->i", relative, relative).tolist()
        share = slope / unit
        np.multiply(squares[i], weight * (share * share), out=work)
        G += work
        np.sqrt(G, out=work)
        np.divide(relative[i - first], work, out=work)
        seen, learned = seen + weight * spreads[i - first], learned + weight
        if not seen > 0.0:
            continue
        mean = math.sqrt(learned / seen)
        length = mean * float(x.dot(work))
        if not length > 0.0:
            continue
        time = eta * weight * length
        change = loss.flow_scalar(y, z[i], time)
        if change is None:
            change = -time * implicit_slope(loss.gradient_scalar, y, z[i], slope, time)
        work *= change * mean / (unit * length)
        w += work
    batch.z[part, j], spread[0], count[0] = z, seen, learned
    known[0][:], known[2][:] = w, G - tiny

r"""What the rows of a fit leave to a stream that goes on from its model: how sharply each direction of it is known.

The rows are gone when a stream begins. A fit therefore keeps a few of them until it is pickled or gone on from, and
then their curvature, at its model, takes their place:

.. math:: \tfrac12 (\theta - \hat\theta)^\top A\, (\theta - \hat\theta), \qquad A = \sum_i s_i \bar h_i x_i x_i^\top

where :math:`\bar h` is the mean curvature over the range in which a prediction may still move, whose width follows from
:math:`A` (:mod:`.linearization`). Rows that are told apart by chance have a wide one, and next to no curvature at the
optimum itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skvariants._stream.frame import Frame
from skvariants._stream.learner import Learner, cholesky, quadratic_forms, weighted_gram
from skvariants._stream.sums import empty_sums, matrices
from skvariants._threads import threads

Array = np.ndarray
#: Numbers of all matrices up to which curvature is kept.
_MOST = 1 << 16
#: Numbers of the rows that it is taken from, or so many rows for each of their numbers.
_ROWS, _TIMES = 1 << 18, 8
# largest deviation of a prediction, in units of the loss; of a kink, whose curvature is a density
_WIDEST, _WIDEST_OF_KINKS = 4.0, 1.0
# share of the future that a deviation stands for
_AHEAD, _AHEAD_OF_KINKS = 0.5, 0.25
# rounds in which curvature and the ranges that it is taken over find each other
_ROUNDS = 6
# a mean probability over a normal logit of variance v is that of the logit over sqrt(1 + v pi / 8)
# (MacKay 1992, "The evidence framework applied to classification networks", doi:10.1162/neco.1992.4.5.720)
_PROBIT = np.pi / 8


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """Curvature of rows that are gone, and what else a stream counts.

    Attributes
    ----------
    loss : Loss
        Whose it is.
    centre : ndarray of shape (n_features,)
        Row that is subtracted.
    exponent : ndarray of int16 of shape (n_features,)
        Binary orders of the units that the columns are multiplied by then.
    curvature : ndarray of shape (n_matrices, q * (q + 1) / 2)
        Lower triangles of the mean curvature for a row of weight one, in these units.
    gradient : ndarray of shape (n_features + 1, n_columns)
        Mean gradient, in these units: what the penalty of the fit balances.
    first, second : ndarray of shape (n_features,)
        Means of the columns and of their squares, in these units.
    squares, bend : float
        Mean squared slope, times the weight, and mean curvature.
    rows : float
        Number of rows for a weight of one.
    largest : float
        Largest value.
    """

    loss: Any
    centre: Array
    exponent: Array
    curvature: Array
    gradient: Array
    first: Array
    second: Array
    squares: float
    bend: float
    rows: float
    largest: float

    def matrices(self, size: int) -> Array:
        """The mean curvature, as matrices of this size."""
        full = np.zeros((len(self.curvature), size, size))
        full[:, *np.tril_indices(size)] = self.curvature
        return full + np.tril(full, -1).transpose(0, 2, 1)

    @property
    def summary(self) -> Summary:
        """Itself, as of rows that are still there."""
        return self

    @property
    def frame(self) -> Frame:
        """The units, to begin a stream with."""
        return Frame(self.centre.copy(), np.exp2(self.exponent.astype(float)), self.largest)


class Remaining:
    """Rows of a fit that stand for all of them, until a stream goes on from its model.

    Parameters
    ----------
    X, y : {ndarray, sparse matrix} of shape (n_rows, n_features), ndarray of shape (n_rows, n_columns)
        Features, and targets as columns.
    own, weight : ndarray of shape (n_rows,)
        Weights of the rows, and of those that each stands for.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model, in the units of the data.
    task : Task
        What is learned.
    how : tuple
        Loss, penalty, whether there is an intercept, unit of the predictions.
    """

    def __init__(
        self, X: Any, y: Array, own: Array, weight: Array, theta: Array, task: Any, how: tuple[Any, ...]
    ) -> None:
        self.X, self.y, self.own, self.weight, self.theta, self.task, self.how = X, y, own, weight, theta, task, how

    @cached_property
    def summary(self) -> Summary | None:
        """What they say; None where that is not a number."""
        loss, penalty, fit_intercept, unit = self.how
        sums = empty_sums(self.X, loss, self.task, fit_intercept, 0)
        n_rows, size = self.X.shape[0], sums.A.shape[1]
        with (
            threads(n_rows * size * size * len(sums.A)),
            np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"),
        ):
            C, _ = sums.frame.rows(self.X)
            sums.theta = sums.frame.of_original(self.theta)
            found = _Summarizer(sums, loss, penalty, fit_intercept, unit).summary(C, self.y, self.own, self.weight)
        return found if np.isfinite(found.curvature).all() else None


class _Summarizer(Learner):
    """A learner that asks rows once, at the model that they have led to."""

    def summary(self, C: Array, y: Array, own: Array, s: Array) -> Summary:
        """What rows say, of these weights, and of those that each stands for."""
        at, frame = self.at, self.at.frame
        if not self.fit_intercept:
            C[:, -1] = 0.0
        if self.robust:
            self._measure(y)
        total = float(s.sum())
        at.weight = at.counted = total
        at.rows = float(np.divide(s, own, out=np.zeros_like(s), where=own > 0).sum())
        at.first, at.second = (s @ C)[:-1], (s @ np.square(C))[:-1]
        z = C @ at.theta
        slope = self.loss.gradient(y, z, np.empty_like(z))
        bend = self._bends(y, z, np.broadcast_to(self._widest, z.shape))
        for _ in range(0 if self.shared else _ROUNDS):
            bend = self._bends(y, z, self._ranges(C, slope, bend, own, s))
        at.squares, at.bend = self._slopes_and_bends(slope, bend, own, s)
        A = self._grams(C, self._no_flatter(bend, y, z), s)
        return Summary(
            self.loss, frame.centre, np.frexp(frame.factor)[1].astype(np.int16) - np.int16(1),
            A[:, *np.tril_indices(A.shape[1])] / total, self._balanced(C, slope, s) / total,
            at.first / total, at.second / total, at.squares / total,
            at.bend / total, at.rows / total, frame.largest,
        )  # fmt: skip

    def _balanced(self, C: Array, slope: Array, s: Array) -> Array:
        """Gradient of the rows where the penalty balances it; of weights that L1 makes zero it is theirs to say."""
        at, total = self.at, float(s.sum())
        factor = at.frame.factor[:, None]
        l2, l1 = total * self.raw_l2, total * self.raw_l1
        l2[:-1] *= factor * factor
        l1[:-1] *= factor
        gradient = -l2 * at.theta - l1 * np.sign(at.theta)
        zero = (at.theta == 0) & (l1 > 0)
        return np.where(zero, np.clip(C.T @ (slope * s[:, None]), -l1, l1), gradient)

    @property
    def _widest(self) -> Any:
        return (_WIDEST_OF_KINKS if self.kinks else _WIDEST) * self.reach

    def _bends(self, y: Array, z: Array, spread: Array) -> Array:
        """Mean curvatures of predictions of these deviations; of columns that are coupled, as the sums take them."""
        if not self.coupled:
            return self._lines(y, z, spread)[1]
        return self._lines(y, z / np.sqrt(1.0 + _PROBIT * spread * spread), None)[1]

    def _slopes_and_bends(self, slope: Array, bend: Array, own: Array, s: Array) -> tuple[float, float]:
        if self.whole:
            bend = bend * (1.0 - bend)
        return float((s * own) @ (slope * slope).sum(axis=1)), float(s @ bend.sum(axis=1))

    def _ranges(self, C: Array, slope: Array, bend: Array, own: Array, s: Array) -> Array:
        """Deviations of the predictions of rows."""
        squares, total = self._slopes_and_bends(slope, bend, own, s)
        unit = squares / max(total, 1e-300)
        if not self.loss.regression:
            unit = max(unit, float(s.sum()) / max(self.at.rows, 1e-300))  # rows that are told apart say nothing of it
        if self.whole:
            bend = np.minimum(bend, 2 * bend * (1 - bend))
        l2 = self._weights()[0]
        factors = [cholesky(weighted_gram(C, s * bend[:, j]), l2[:, j]) for j in range(self.k)]
        variance = (_AHEAD_OF_KINKS if self.kinks else _AHEAD) * unit * quadratic_forms(C, factors)
        return np.clip(np.sqrt(variance), 1e-3 * self.reach, self._widest)


def remaining(data: Any, theta: Array, how: tuple[Any, ...]) -> Remaining | None:
    """Rows of a fit that stand for all of them; None where the curvature of so many features is not kept.

    Parameters
    ----------
    data : Data
        What was learned.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model, in the units of the data.
    how : tuple
        Loss, penalty, whether there is an intercept, unit of the predictions.
    """
    rows, task = data.rows, data.task
    shape = matrices(how[0], rows.d, task.n_columns)
    if shape is None or shape[0] * shape[1] ** 2 > _MOST:
        return None
    chosen, each = _chosen(rows.y, task, rows.n, max(_TIMES * shape[1], _ROWS // shape[1]))
    own = (
        np.full(rows.n, data.total_weight / rows.n) if rows.weight is None else data.total_weight / rows.n * rows.weight
    )
    own = own[chosen]
    y = task.encoding(np.float64).expand(rows.y[chosen])
    X = rows.X.copy() if rows.n == len(own) else rows.X[chosen]
    return Remaining(X, y, own, own * each, theta, task, how)


def _chosen(y: Array, task: Any, n_rows: int, most: int) -> tuple[Any, Array]:
    """Some rows, rare classes in full, and how many each stands for."""
    if n_rows <= most:
        return slice(None), np.ones(n_rows)
    groups = [np.arange(n_rows)]
    if task.classification and (y.ndim == 1 or y.shape[1] == 1):
        codes = y if y.ndim == 1 else (y[:, 0] > 0).astype(np.int8)
        groups = [np.flatnonzero(codes == code) for code in range(task.n_classes)]
    rng, room = np.random.default_rng(0), most
    chosen, each = [], []
    for number, group in enumerate(sorted(groups, key=len)):
        size = min(len(group), room // (len(groups) - number))
        room -= size
        # one of each so many, so that a period in the rows does not show
        chosen.append(group[((np.arange(size) + rng.random(size)) * (len(group) / max(size, 1))).astype(int)])
        each.append(np.full(size, len(group) / max(size, 1)))
    return np.concatenate(chosen), np.concatenate(each)


__all__ = ["Remaining", "Summary", "remaining"]

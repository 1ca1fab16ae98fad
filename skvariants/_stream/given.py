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
from skvariants._stream.likeness import Likeness
from skvariants._stream.sums import empty_sums, matrices, pull_of
from skvariants._threads import threads

Array = np.ndarray
#: Numbers of all matrices up to which curvature is kept.
_MOST = 1 << 16
#: Numbers of the rows that it is taken from, or so many rows for each of their numbers.
_ROWS, _TIMES = 1 << 18, 8
# largest deviation of a prediction, in units of the loss; of a kink, whose curvature is a density
_WIDEST, _WIDEST_OF_KINKS = 4.0, 1.0
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
    likeness : Likeness or None
        What the rows of each class were like.
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
    likeness: Any = None

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
    own, each : ndarray of shape (n_rows,)
        Weights of the rows, and how many each stands for.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model, in the units of the data.
    task : Task
        What is learned.
    how : tuple
        Loss, penalty, whether there is an intercept, unit of the predictions.
    """

    def __init__(
        self, X: Any, y: Array, own: Array, each: Array, theta: Array, task: Any, how: tuple[Any, ...]
    ) -> None:
        self.X, self.y, self.own, self.each, self.theta, self.task, self.how = X, y, own, each, theta, task, how

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
            pull = pull_of(penalty, self.theta, sums.frame)
            learner = _Summarizer(sums, loss, penalty, fit_intercept, unit)
            found = learner.summary(C, self.y, self.own, self.each, pull)
        return found if np.isfinite(found.curvature).all() else None


class _Summarizer(Learner):
    """A learner that asks rows once, at the model that they have led to."""

    def summary(self, C: Array, y: Array, own: Array, each: Array, pull: Array) -> Summary:
        """What rows say, of these weights, each for so many; `pull` is the slope of the penalty of their fit."""
        at, frame = self.at, self.at.frame
        if not self.fit_intercept:
            C[:, -1] = 0.0
        if self.robust:
            self._measure(y)
        s = own * each
        total = float(s.sum())
        at.weight = at.counted = total
        at.rows = float(each[own > 0].sum())
        at.first, at.second = (s @ C)[:-1], (s @ np.square(C))[:-1]
        z = C @ at.theta
        slope = self.loss.gradient(y, z, np.empty_like(z))
        counted = slope / np.sqrt(each)[:, None]
        bend = self._bends(y, z, np.broadcast_to(self._widest, z.shape))
        self._count(counted, bend, s)
        for _ in range(0 if self.shared else _ROUNDS):
            bend = self._bends(y, z, self._ranges(C, bend, s))
            at.squares = at.bend = 0.0
            self._count(counted, bend, s)
        A = self._grams(C, self._no_flatter(bend, y, z), s)
        # of weights that L1 makes zero it is the rows' to say how far they are from others
        l1 = self.raw_l1 * np.append(frame.factor, 1.0)[:, None]
        own_gradient = np.clip(C.T @ (slope * s[:, None]) / total, -l1, l1)
        return Summary(
            self.loss, frame.centre, np.frexp(frame.factor)[1].astype(np.int16) - np.int16(1),
            A[:, *np.tril_indices(A.shape[1])] / total, np.where((at.theta == 0) & (l1 > 0), own_gradient, -pull),
            at.first / total, at.second / total, at.squares / total, at.bend / total, at.rows / total, frame.largest,
            Likeness.of(C, None if self.loss.regression else y, own, each, _MOST) if self._alike else None,
        )  # fmt: skip

    @property
    def _alike(self) -> bool:
        """Whether moments, of each class where there are some, tell of rows how their loss bends on the way.

        Of targets that have no classes only where that is more on the way up, as it is of counts.
        """
        if self.at.seen is None:
            y, z = np.ones((1, self.k)), np.zeros((1, self.k))
            bends = (self.loss.second_derivative(y, at) for at in (z, z + _WIDEST))
            return self.unbounded and bool(np.less(*bends).all())
        return not self.loss.quadratic and not (self.k > 1 and len(self.at.seen) == 2 * self.k)

    @property
    def _widest(self) -> Any:
        return (_WIDEST_OF_KINKS if self.kinks else _WIDEST) * self.reach

    def _bends(self, y: Array, z: Array, spread: Array) -> Array:
        """Mean curvatures of predictions of these deviations; of columns that are coupled, as the sums take them."""
        if not self.coupled:
            return self._lines(y, z, spread)[1]
        return self._lines(y, z / np.sqrt(1.0 + _PROBIT * spread * spread), None)[1]

    def _unit_of_variance(self) -> float:
        unit = super()._unit_of_variance()
        # labels that are told apart say nothing of it
        return unit if self.loss.regression else max(unit, self.at.counted / max(self.at.rows, 1e-300))

    def _ranges(self, C: Array, bend: Array, s: Array) -> Array:
        """Deviations of the predictions of rows."""
        if self.whole:
            bend = np.minimum(bend, 2 * bend * (1 - bend))
        l2 = self._weights()[0]
        factors = [cholesky(weighted_gram(C, s * bend[:, j]), l2[:, j]) for j in range(self.k)]
        return self._deviation(quadratic_forms(C, factors), self._widest)


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
    y = task.encoding(np.float64).expand(rows.y[chosen])
    X = rows.X.copy() if rows.n == len(each) else rows.X[chosen]
    # of a table that is not in memory the rows are a sample
    share = 1.0 if data.table is None else rows.n / data.table.survey.n
    return Remaining(X, y, share * data.unscaled_weights()[chosen], each / share, theta, task, how)


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

r"""The stream learner: what the rows seen so far ask for, from sums over them and nothing else.

The loss of each row is replaced by a parabola at the model at which it was seen (:mod:`.linearization`); their sums
:math:`A = \sum s_i h_i x_i x_i^\top` and :math:`b = \sum s_i (h_i z_i - g_i) x_i` are all that is kept. The next model
minimises

.. math:: \tfrac12 \theta^\top A\, \theta - b^\top \theta + n \cdot \text{penalty}(\theta)
          + \sum_{\text{pending}} s_i\, \ell(y_i, x_i \theta)

where the last rows are pending: they are few, and still exact. For squared error that is recursive least squares; for
others the extended Kalman filter with an iterated update, its parabolas free of the bias of an early model. A sample of
the rows, as large as the sums, tells when the parabolas no longer hold, and corrects them.

References
----------
Bertsekas (1996), "Incremental least squares methods and the extended Kalman filter", doi:10.1137/S1052623494268522.
Johnson and Zhang (2013), "Accelerating stochastic gradient descent using predictive variance reduction", NIPS 26.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack

from skvariants._quasi_newton.lasso import lasso
from skvariants._stream.frame import Frame
from skvariants._stream.linearization import has_kinks, slopes, typical_curvature, values
from skvariants._training.state import Fields, informative

Array = np.ndarray
#: Numbers of one matrix of sums up to which a stream keeps them.
MOST = 1 << 20
#: The same of the matrices of all columns.
MOST_OF_ALL = 1 << 23
#: Binary order of the deviation of a column that had none.
NO_EXTENT = np.iinfo(np.int16).min
# numbers of a block of rows
_BLOCK = 1 << 17
# rows that wait until their parabolas are made: of a stream that begins, and later
_FIRST, _WAITING, _NEW = 512, 256, 32
# numbers of the sample of rows (those of the sums where these are more), and while a class was not seen, or has just
# come: rows sorted by class ask for all lines anew
_SAMPLE, _SAMPLE_OF_KINKS, _SORTED, _SAMPLED = 1 << 14, 1 << 18, 1 << 20, 64
# growth of a stream after which its sample is asked
_GROWTH = 1.25
# values, in the units worked in, and rows, of outliers that stay pending
_EXTREME, _OUTLIERS = 32.0, 16
# share of the future that a prediction's variance stands for, and its largest deviation in units of the loss
# (of 0.5 to 1, and 0.5 to 4, on six tables; w8a, almost separable, 2e-3 against 2e-2 of its gap)
_AHEAD, _REACH = 0.5, 1.0
# the same for kinks, whose curvature is a density: a narrower window is fewer rows
_AHEAD_OF_KINKS = 0.25
# deviation below which a parabola at the prediction itself is as good
_NARROW, _FEW = 0.1, 64
# steps of one solution, and what they may leave, as a share of what the noise of the rows leaves anyway
_STEPS, _STEPS_WAITING, _ENOUGH, _LITTLE = 16, 3, 1e-5, 1e-2
# share of the gain of a step below which the next is taken with its Hessian
_CHORD = 0.1
_HALVINGS = 14
# share of the expected gain that a step must have, and gain that is rounding
_ARMIJO, _ROUNDING = 1e-4, 1e-12
# change of a prediction in one step, in units of the loss
_LONGEST = 8.0
# rows that tell a robust unit, and the normal deviation in that of half of the rows
_FEWEST, _NORMAL = 16, 1.4826
# rows whose curvature speaks for weights of zero: rows that are few can be told apart by large ones
_PRIOR = 0.3
# predictions, in units, and losses, in those of their parabola at zero, that are far off
_WRONG = 8.0
# curvature of a row at least, where lines have none, as a share of a typical one; far from its target
# it is less, or an outlier would hold up all others
_FLAT = 0.05
_RIDGE = 1e-12
# times the noise of the sample's correction from which it is made
_SIGNIFICANT = 2.0
# rows for each of the sample, up to which it speaks for all
_MOST_OF_THEM = 1.5
_CORRECTIONS, _TOLD = 4, 1024
# weight of a row that stands for a class that was not seen yet
_UNSEEN = 0.5
# weight, as a share, of directions of an anchor in which no row was seen
_LOADING = 1e-2
# variance of a column since, as a multiple of that of an anchor's rows, that these may have had
_WIDER = 4.0


@dataclass(eq=False, repr=False)
class Sample:
    """Rows of the stream, with the lines that stand for them in the sums.

    Attributes
    ----------
    C, y, s : ndarray
        Rows, targets as columns, weights.
    z, slope, curvature : ndarray of shape (n_sampled, n_columns)
        Where, and which.
    """

    C: Array
    y: Array
    s: Array
    z: Array
    slope: Array
    curvature: Array

    def arrays(self) -> list[Array]:
        """All arrays."""
        return [self.C, self.y, self.s, self.z, self.slope, self.curvature]

    def become(self, arrays: Sequence[Array]) -> None:
        """Take other arrays, in the same order."""
        self.C, self.y, self.s, self.z, self.slope, self.curvature = arrays

    def keep_rows(self, rows: Array) -> None:
        """Keep some of the rows."""
        self.become([array[rows] for array in self.arrays()])


@dataclass(eq=False, repr=False)
class Pending:
    """Rows that count as they are: features, targets as columns, weights, deviations of predictions at kinks."""

    C: Array
    y: Array
    s: Array
    spread: Any = None


class Point(NamedTuple):
    """A model, its predictions for pending rows, and what these cost."""

    theta: Array
    z: Array
    value: float


class Trust(NamedTuple):
    """What a model is worth beside further rows.

    Attributes
    ----------
    weight : float
        Of the rows that it has learned.
    extent : ndarray of int16 or None
        Binary order of the standard deviation of each of their columns, where it is known.
    centre : ndarray or None
        Their means, where they are known.
    """

    weight: float = 0.0
    extent: Any = None
    centre: Any = None

    @classmethod
    def of(cls, weight: float, variance: Array | None, centre: Array | None = None) -> Trust:
        """The same from variances of the columns."""
        if variance is None:
            return cls(weight)
        deviation = np.sqrt(np.atleast_1d(variance))
        return cls(weight, np.where(deviation > 0, np.frexp(deviation)[1], NO_EXTENT).astype(np.int16), centre)

    def in_short(self) -> Trust:
        """The same in a quarter of the model's size: without the means."""
        return Trust(self.weight, self.extent)


@dataclass(eq=False, repr=False)
class Sums(Fields):
    """All that is kept of a stream.

    Attributes
    ----------
    frame : Frame
        Units.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model, in these units.
    A : ndarray of shape (n_matrices, q, q)
        Curvature; one for all columns where it is the same, one for each, or one of all of them where they are coupled.
    b : ndarray of shape (n_features + 1, n_columns)
        See above.
    weight, rows : float
        Of the rows in the sums: their weights, how many.
    C, y, s : ndarray
        Rows that are pending.
    sample : Sample
        Of the rows in the sums.
    second, counted : ndarray of shape (n_features,), float
        Weighted sum of squares of each column, and the weights.
    squares, bend : float
        Sums of squared slopes, with squared weights, and of curvatures: their ratio is the unit of a variance.
    begun, asked : float
        Rows when the last new class came, and when the sample was last asked.
    seen : ndarray of bool or None
        Which columns' classes were seen.
    anchor, trust, extent, pull : ndarray, float, ndarray or None, ndarray
        Where a stream goes on from, how many rows that is worth, how far their columns reached, and its penalty's
        gradient.
    narrow : bool
        Whether predictions are as good as certain, so that no row has to wait.
    seed : tuple of int
        Of the next draw of the sample: the stream's, and how many draws there were.
    typical : tuple or None
        Unit of the predictions, and the typical curvature for it.
    memory : tuple or None
        What was asked of forgetting, and the rule.
    """

    frame: Any = informative(None)
    theta: Any = informative(None)
    A: Any = informative(None)
    b: Any = informative(None)
    weight: float = informative(0.0)
    rows: float = informative(0.0)
    C: Any = informative(None)
    y: Any = informative(None)
    s: Any = informative(None)
    sample: Any = informative(None)
    second: Any = informative(None)
    counted: float = informative(0.0)
    squares: float = informative(0.0)
    bend: float = informative(0.0)
    begun: float = informative(0.0)
    asked: float = informative(0.0)
    seen: Any = informative(None)
    anchor: Any = informative(None)
    trust: float = informative(0.0)
    extent: Any = informative(None)
    pull: Any = informative(None)
    narrow: bool = informative(False)
    seed: tuple[int, int] = informative((0, 0))
    typical: Any = informative(None)
    memory: Any = informative(None)

    def join_key(self) -> Any:
        return id(self)  # a stream is one model

    def become(self, other: Sums) -> None:
        """Take what another holds."""
        self._become(other)

    def forget(self, factor: float) -> None:
        """Let everything before count less."""
        self.A, self.b, self.s, self.second = (a * factor for a in (self.A, self.b, self.s, self.second))
        self.sample.s, self.narrow = self.sample.s * factor, False
        for name in ("weight", "rows", "counted", "squares", "bend", "begun", "asked", "trust"):
            setattr(self, name, getattr(self, name) * factor)

    @property
    def shape(self) -> tuple[int, int]:
        """Parameters of a column, with the intercept, and columns."""
        return self.theta.shape

    @property
    def n_parameters(self) -> int:
        """Rows that tell a model."""
        return len(self.theta)

    @property
    def n_rows(self) -> float:
        """What the rows that are remembered weigh."""
        return float(self.weight + self.s.sum() + self.trust)

    def model(self) -> Array:
        """Weights and intercept in the units of the data, of shape :attr:`shape`."""
        return self.frame.original(self.theta)

    def go_on_from(self, theta: Array, trust: Trust, penalty: Any) -> None:
        """Begin at a model that is worth as much as the rows that it has learned, and was their optimum."""
        go_on_from(self, theta, trust, penalty)

    def learner(self, *how: Any) -> Learner:
        """Who adds rows."""
        return Learner(self, *how)

    def worth(self, weight: float) -> Trust:
        """What the model is worth on its own."""
        unit = self.frame.factor * np.sqrt(max(self.counted, 1e-300))
        return Trust.of(weight, self.second / (unit * unit), self.frame.centre)

    def copy(self) -> Sums:
        """The same, to be gone on with; arrays are never changed in place, so they are shared."""
        return dataclasses.replace(self, frame=copy.copy(self.frame), sample=copy.copy(self.sample))


def matrices(loss: Any, d: int, k: int) -> tuple[int, int] | None:
    """How many matrices of sums a model has, and their size; None where they are too large.

    Parameters
    ----------
    loss : Loss
        Bound to the task.
    d, k : int
        Features, columns.
    """
    coupled, size = loss.columns_per_model > 1, d + 1
    if coupled and (k * size) ** 2 <= MOST:
        return 1, k * size
    count = 1 if loss.quadratic and not coupled else k
    return (count, size) if size * size <= MOST and count * size * size <= MOST_OF_ALL else None


def empty_sums(X: Any, loss: Any, task: Any, fit_intercept: bool, seed: int, centre: Array | None = None) -> Sums:
    """A stream before its first row.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        The rows that it begins with.
    loss, task : Loss, Task
        What is learned.
    fit_intercept : bool
        Whether there is an intercept.
    seed : int
        Of the sample.
    centre : ndarray, optional
        Of the rows before, where there were some.
    """
    d1, k = X.shape[1] + 1, task.n_columns
    count, size = matrices(loss, d1 - 1, k) or (k, d1)
    rows, columns = np.empty((0, d1)), np.empty((0, k))
    return Sums(
        frame=Frame.of(X, fit_intercept, centre), theta=np.zeros((d1, k)), A=np.zeros((count, size, size)),
        b=np.zeros((d1, k)), C=rows, y=columns, s=np.empty(0),
        sample=Sample(rows, columns, np.empty(0), columns, columns, columns), second=np.zeros(d1 - 1),
        seen=None if task.n_classes is None else np.zeros(task.n_classes, bool), seed=(seed, 0),
    )  # fmt: skip


def go_on_from(sums: Sums, theta: Array, trust: Trust, penalty: Any) -> None:
    """Let a stream begin at a model that is worth as much as the rows that it has learned, and was their optimum."""
    W = theta[:-1]
    pull = penalty.l2_strength * W + penalty.l1_strength * np.sign(W)
    pull = np.concatenate([np.broadcast_to(pull, W.shape), np.zeros((1, W.shape[1]))])
    pull[:-1] /= sums.frame.factor[:, None]
    sums.anchor = sums.frame.of_original(theta)
    sums.theta, sums.pull, sums.trust, sums.extent = sums.anchor.copy(), pull, trust.weight, trust.extent
    if sums.seen is not None:
        sums.seen = np.ones(len(sums.seen), bool)


class Learner:
    """One call: some rows are added to what is known.

    Parameters
    ----------
    sums : Sums
        What is known; changed in place.
    loss : Loss
        Bound to the task.
    penalty : Penalty
        In the units of the data.
    fit_intercept : bool
        Whether there is an intercept.
    unit : float
        Of the predictions, in which an error is small or large.
    """

    def __init__(self, sums: Sums, loss: Any, penalty: Any, fit_intercept: bool, unit: float = 1.0) -> None:
        self.at, self.loss, self.fit_intercept = sums, loss, fit_intercept
        self.unit = unit
        self.k = sums.theta.shape[1]
        self.coupled = loss.columns_per_model > 1
        self.whole = self.coupled and sums.A.shape[1] == sums.theta.size
        self.shared = loss.quadratic and not self.coupled
        self.kinks = has_kinks(loss)
        self.lines: Any = None
        self.z = np.empty((0, self.k))
        self.mean: Any = None
        # a loss that does not care for outliers does not measure in their units
        self.robust = loss.regression and self.kinks and loss.in_target_units
        self._measure(sums.y)
        l2, l1 = (np.broadcast_to(p, sums.theta[:-1].shape) for p in (penalty.l2_strength, penalty.l1_strength))
        self.raw_l2, self.raw_l1, self.has_l1 = l2, l1, bool(np.any(l1))

    # ------------------------------------------------------------------ units

    def _measure(self, y: Array) -> None:
        """The unit of a prediction, and a typical curvature, with some rows more."""
        self.reach = _REACH * (_robust(self.unit, np.concatenate([self.at.sample.y, y])) if self.robust else self.unit)
        if self.at.typical is None or not np.array_equal(self.at.typical[0], self.reach):
            self.at.typical = self.reach, typical_curvature(self.loss, self.k, self.reach)
        self.bend = self.at.typical[1]

    def _weights(self) -> tuple[Array, Array]:
        """Strengths of L2 and L1 in the units worked in, shape ``(n_features + 1, n_columns)``."""
        at = self.at
        f = at.frame.factor[:, None]
        total = at.weight + at.s.sum() + at.trust
        zero = np.zeros((1, self.k))
        l2 = total * self.raw_l2 * f * f
        if not self.shared:
            l2 = l2 + _PRIOR * self.bend * (at.second / max(at.rows + len(at.s), 1e-300))[:, None]
        return np.concatenate([l2, zero]), np.concatenate([total * self.raw_l1 * f, zero])

    def _rescale(self, change: Array) -> None:
        """Follow a change of units by powers of two, which is exact."""
        at = self.at
        c = np.append(change, 1.0)
        at.theta = at.theta / c[:, None]
        at.b = at.b * c[:, None]
        of_block = np.tile(c, at.A.shape[1] // len(c))
        at.A = at.A * of_block[:, None] * of_block
        at.C = at.C * c
        at.second = at.second * (change * change)
        at.sample.C = at.sample.C * c
        if at.anchor is not None:
            at.anchor = at.anchor / c[:, None]
            at.pull = at.pull * c[:, None]

    # ------------------------------------------------------------------ one call

    def learn(self, X: Any, y: Array, s: Array) -> Array:
        """Add rows; returns their losses before that.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_rows, n_features)
            Features.
        y : ndarray of shape (n_rows, n_columns)
            Targets as columns.
        s : ndarray of shape (n_rows,)
            Their weights.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        at = self.at
        before = []
        size = max(_WAITING, min(4096, _BLOCK // at.theta.shape[0]))
        for start in range(0, X.shape[0], size):
            part = slice(start, start + size)
            C, change = at.frame.rows(X[part])
            if change is not None:
                self._rescale(change)
            if not self.fit_intercept:
                C[:, -1] = 0.0
            if not at.counted and at.anchor is None and self.fit_intercept and self.loss.regression:
                at.theta = at.theta.copy()
                at.theta[-1] = self.loss.fit_intercept_only(y[part], np.broadcast_to(s[part, None], y[part].shape))
            before.append(self.loss.value(y[part], C @ at.theta).sum(axis=1))
            at.second = at.second + s[part] @ np.square(C[:, :-1])
            at.counted += float(s[part].sum())
            if at.seen is not None:
                self._see(y[part])
            if len(at.C):
                at.C, at.y = np.concatenate([at.C, C]), np.concatenate([at.y, y[part]])
                at.s = np.concatenate([at.s, s[part]])
            else:
                at.C, at.y, at.s = C, y[part], s[part].copy()
            if self.robust:
                self._measure(at.y)
            most = (_NEW if at.begun and at.rows - at.begun < _WAITING else _WAITING) if at.rows else _FIRST
            waits = not at.narrow and len(at.C) < most + (_OUTLIERS if at.rows else 0)
            factors = self._solve(_STEPS_WAITING if waits and len(at.C) > 2 * len(C) else _STEPS)
            if not waits:
                self._add(factors)
        return np.concatenate(before)

    def _see(self, y: Array) -> None:
        seen = (y > 0).any(axis=0)
        if len(self.at.seen) == 2 and self.k == 1:
            seen = np.array([(y <= 0).any(), (y > 0).any()])
        if (seen & ~self.at.seen).any():
            self.at.begun = self.at.asked = self.at.rows  # the lines so far did not know of it
        self.at.seen = self.at.seen | seen

    @property
    def _one_sided(self) -> bool:
        """Whether there is nothing to tell apart yet."""
        return self.at.seen is not None and self.at.seen.sum() < 2

    def _pending(self) -> Pending:
        """Rows that count as they are; one stands for each class that was not seen, or its intercept had no end."""
        at = self.at
        if at.seen is None or at.seen.all() or not len(at.C):
            return Pending(at.C, at.y, at.s)
        unseen = np.flatnonzero(~at.seen)
        C = np.repeat(np.average(at.C, axis=0, weights=at.s)[None], len(unseen), axis=0)
        if self.k == 1:
            y = np.where(unseen == 1, 1.0, -1.0)[:, None]
        else:
            y = np.where(unseen[:, None] == np.arange(self.k), 1.0, 0.0 if self.coupled else -1.0)
        s = np.full(len(unseen), _UNSEEN * at.counted / (at.rows + len(at.s)))
        return Pending(np.concatenate([at.C, C]), np.concatenate([at.y, y]), np.concatenate([at.s, s]))

    # ------------------------------------------------------------------ the next model

    def _solve(self, most: int, spread: Any = None) -> list[Any]:
        """Newton's steps to the minimum; the factors of the last Hessian."""
        at = self.at
        rows, (l2, l1) = self._pending(), self._weights()
        C, s = rows.C, rows.s
        rows.spread = self._spread_of_kinks(C) if spread is None or len(spread) != len(C) else spread
        z = C @ at.theta
        now, enough = Point(at.theta, z, self._value(rows, z)), _ENOUGH * self._noise()
        factors: list[Any] = []
        before, self.lines = np.inf, None
        for _ in range(most):
            slope, bend = self._lines(rows.y, now.z, rows.spread)
            g = self._quadratic_gradient(now.theta) + l2 * now.theta + C.T @ (slope * s[:, None])
            decrement = np.inf
            if factors:
                # the last Hessian is good enough for a step that is short beside the one before
                G = self._anchored_gradient(g, now.theta)
                P, decrement = self._direction(factors, G, now.theta, l1)
                if decrement <= enough:
                    break
            if not (factors and decrement <= _CHORD * before):
                grams = self._grams(C, self._no_flatter(bend, rows.y, now.z), s)
                factors = self._factors(at.A + grams, l2)
                G = self._anchored_gradient(g, now.theta)
                P, decrement = self._direction(factors, G, now.theta, l1)
                self.lines = now.z, grams
            if not decrement > enough * _LITTLE:
                break
            before = decrement
            length, now = self._along(rows, now, P, decrement, l2, l1)
            if (self.shared and not self.has_l1) or not length:
                break
        at.theta, self.z = now.theta, now.z
        return factors

    def _noise(self) -> float:
        """What the rows leave undecided, in units of the summed loss."""
        at = self.at
        unit = self._unit_of_variance()
        return 0.5 * min(at.theta.size, at.rows + len(at.s)) * max(unit, 1e-300)

    def _quadratic_gradient(self, theta: Array) -> Array:
        return self._times(self.at.A, theta) - self.at.b

    def _times(self, A: Array, theta: Array) -> Array:
        """The matrices times the columns they belong to."""
        if self.whole:
            return (A[0] @ theta.ravel("F")).reshape(theta.shape, order="F")
        if len(A) == 1:
            return np.asarray(A[0] @ theta)
        return np.stack([M @ theta[:, j] for j, M in enumerate(A)], axis=1)

    def _lines(self, y: Array, z: Array, spread: Any) -> tuple[Array, Array]:
        """Slopes and curvatures; of columns that are coupled in the sums, their probabilities."""
        if self.coupled:
            slope = self.loss.gradient(y, z, np.empty_like(z))
            p, wrong = slope + y, self._far_off(y, z)
            if wrong is not None:
                # on the way to the labels, as far as a parabola takes that does not fall below zero
                g, loss = slope[wrong], self.loss.value(y[wrong], z[wrong]).sum(axis=1)
                share = np.minimum(0.5, (g * g).sum(axis=1) ** 2 / (8 * loss))
                p[wrong] -= share[:, None] * g
            # either is a diagonal above diag(p) - pp'
            return slope, p if self.whole else np.minimum(p, 2 * p * (1 - p))
        slope, bend = slopes(self.loss, y, z, spread)
        wrong = None if self.kinks or self.shared else self._far_off(y, z)
        if wrong is not None:
            loss = np.maximum(self.loss.value(y[wrong], z[wrong]), 1e-300)
            bend[wrong] = np.maximum(bend[wrong], slope[wrong] ** 2 / (2 * loss))
        return slope, bend

    def _far_off(self, y: Array, z: Array) -> Array | None:
        """Numbers of rows whose prediction is so wrong that their loss has next to no curvature there."""
        if not z.size or np.all(np.abs(z).max(axis=0) <= _WRONG * self.reach):
            return None
        wrong = self.loss.value(y, z).sum(axis=1) > _WRONG * np.max(self.reach * self.reach * self.bend) * 4
        return np.flatnonzero(wrong) if wrong.any() else None

    def _no_flatter(self, bend: Array, y: Array, z: Array) -> Array:
        """Curvatures, no less than a little where a loss has kinks: slopes alone would have no minimum."""
        if not self.kinks:
            return bend
        return np.maximum(bend, _FLAT * self.bend / np.maximum(1.0, np.abs(z - y) / self.reach))

    def _value(self, rows: Pending, z: Array) -> float:
        if rows.spread is None:
            return float(self.loss.total(rows.y, z, rows.s[:, None]).sum())
        return float(rows.s @ values(self.loss, rows.y, z, rows.spread).sum(axis=1))

    def _grams(self, C: Array, bend: Array, s: Array) -> Array:
        """Sums of ``s h x x'`` over rows."""
        if not len(C):
            return np.zeros_like(self.at.A)
        if not self.whole:
            columns = range(1 if self.shared else self.k)
            return np.stack([_gram(C, s * bend[:, j]) for j in columns])
        k, d1 = self.k, C.shape[1]
        H = np.empty((k, d1, k, d1))
        for i in range(k):
            weight = -bend[:, i : i + 1] * bend[:, : i + 1]
            weight[:, i] += bend[:, i]
            weight *= s[:, None]
            H[i, :, : i + 1] = (C.T @ (weight[:, :, None] * C[:, None]).reshape(len(C), (i + 1) * d1)).reshape(
                d1, i + 1, d1
            )
            H[: i + 1, :, i] = H[i, :, : i + 1].transpose(1, 0, 2)
        return H.reshape(1, k * d1, k * d1)

    def _factors(self, H: Array, l2: Array) -> list[Any]:
        """Factors of the matrices, those of an anchor and of the penalty added."""
        at = self.at
        if at.trust > 0:
            # as many rows of the kind that was seen
            self.mean = self._no_wider(H / max(at.weight + float(at.s.sum()), 1e-300))
            diagonal = np.einsum("kii->ki", self.mean)
            diagonal *= 1.0 + _LOADING
            H = H + at.trust * self.mean
        if self.whole:
            # what all classes have in common changes nothing: give that direction a curvature, and it stays
            common = np.arange(len(l2) - 1, H.shape[1], len(l2))
            H = H.copy()
            H[0, common[:, None], common] += max(H[0, common, common].mean(), 1e-300) / self.k
            return [_factor(H[0], l2.ravel("F"))]
        return [_factor(M, l2[:, j] if len(H) > 1 else l2.max(axis=1)) for j, M in enumerate(H)]

    def _no_wider(self, mean: Array) -> Array:
        """Mean curvature of the rows of an anchor: that of rows seen since, but of columns no wider than theirs."""
        at = self.at
        if at.extent is None or len(at.extent) != len(at.frame.factor):
            return mean
        known = np.append(np.ldexp(at.frame.factor, np.where(at.extent > NO_EXTENT, at.extent, 0)), 1.0)
        for M in mean:
            diagonal = M.diagonal().reshape(-1, len(known))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                share = np.sqrt(_WIDER * diagonal[:, -1:] * known * known / diagonal)
            shrink = np.where(share < 1, share, 1.0).ravel()  # what is not a number stays
            M *= shrink[:, None]
            M *= shrink
        return mean

    def _anchored_gradient(self, G: Array, theta: Array) -> Array:
        """The gradient with the model that the stream goes on from; where no row has said anything, it stays."""
        at = self.at
        if at.trust <= 0:
            return G
        silent = np.einsum("kii->ki", self.mean).reshape(-1, len(theta)).T <= 0
        return np.where(silent, 0.0, G + at.trust * (self._times(self.mean, theta - at.anchor) - at.pull))

    def _direction(self, factors: list[Any], G: Array, theta: Array, l1: Array) -> tuple[Array, float]:
        """Newton's step of all columns, and twice what it expects to gain."""
        P = -self._solved(factors, G)
        if not self.has_l1:
            return P, -float(np.vdot(G, P))
        columns = [self._as_columns(a) for a in (G, theta, l1)]
        steps = []
        for j, (g, v, lam) in enumerate(zip(*columns, strict=True)):
            Q = factors[min(j, len(factors) - 1)][2]
            steps.append(lasso(Q, g - Q @ v, lam, v) - v)
        P = steps[0].reshape(P.shape, order="F") if self.whole else np.stack(steps, axis=1)
        return P, -float(np.vdot(G, P)) - float((l1 * (np.abs(theta + P) - np.abs(theta))).sum())

    def _as_columns(self, a: Array) -> list[Array]:
        """The columns, one after the other where they are coupled."""
        return [a.ravel("F")] if self.whole else [a[:, j].copy() for j in range(a.shape[1])]

    def _solved(self, factors: list[Any], G: Array) -> Array:
        """The inverses of the matrices times the columns they belong to."""
        if self.whole:
            return _solved(factors[0], G.ravel("F")[:, None]).reshape(G.shape, order="F")
        if len(factors) == 1:
            return _solved(factors[0], G)
        return np.concatenate([_solved(f, G[:, j : j + 1]) for j, f in enumerate(factors)], axis=1)

    def _along(
        self, rows: Pending, now: Point, P: Array, decrement: float, l2: Array, l1: Array
    ) -> tuple[float, Point]:
        """The longest halving of a step that descends, and where it leads."""
        at, theta, ZP = self.at, now.theta, rows.C @ P
        bend = float(np.vdot(P, self._times(at.A, P) + l2 * P))
        slope = float(np.vdot(P, self._quadratic_gradient(theta) + l2 * theta))
        if at.trust > 0:
            mean = self._times(self.mean, P)
            bend += at.trust * float(np.vdot(P, mean))
            slope += at.trust * float(np.vdot(theta - at.anchor, mean) - np.vdot(P, at.pull))
        before = now.value + float((l1 * np.abs(theta)).sum())
        length = 1.0 if self.shared else self._bounded(now.z, ZP)
        for _ in range(_HALVINGS):
            new, z = theta + length * P, now.z + length * ZP
            value = self._value(rows, z)
            change = value + length * slope + 0.5 * length**2 * bend + float((l1 * np.abs(new)).sum()) - before
            if change <= -_ARMIJO * length * decrement or decrement <= _ROUNDING * abs(before):
                return length, Point(new, z, value)
            length *= 0.5
        return 0.0, now

    def _bounded(self, z: Array, ZP: Array) -> float:
        """Length of a step that changes no prediction by more than a few units, or than undoes it."""
        with np.errstate(divide="ignore"):
            return min(1.0, float(((_LONGEST * self.reach + 2 * np.abs(z)) / np.abs(ZP)).min(initial=1.0)))

    # ------------------------------------------------------------------ lines for rows

    def _unit_of_variance(self) -> float:
        """Variance of a slope over its mean curvature, in units of weights: that of a row for a likelihood."""
        at = self.at
        return at.squares / at.bend if at.bend > 0 else at.counted / max(at.rows + len(at.s), 1e-300)

    def _spread_of_kinks(self, C: Array) -> Array | None:
        """Deviations of the predictions of pending rows, where the loss has kinks."""
        if not self.kinks:
            return None
        at = self.at
        if not at.weight:
            return np.full((len(C), self.k), self.reach)
        return self._spread(C, self._factors(at.A, self._weights()[0]))

    def _spread(self, C: Array, factors: list[Any]) -> Array | None:
        """Deviation of predictions between now and the end; None where it is next to none."""
        ahead = (_AHEAD_OF_KINKS if self.kinks else _AHEAD) * self._unit_of_variance()
        few = C[:: max(1, len(C) // _FEW)]
        if not self.kinks and len(few) < len(C):
            variance = max(_quadratic_forms(few, factor).mean() for factor in factors)
            if np.all(ahead * variance <= (_NARROW * self.reach) ** 2):
                return None
        variance = ahead * np.stack([_quadratic_forms(C, factor) for factor in factors], axis=1)
        spread = np.clip(np.sqrt(variance), 1e-3 * self.reach, self.reach)
        return np.broadcast_to(spread, (len(C), self.k))

    def _add(self, factors: list[Any], asks: bool = True) -> None:
        """Pending rows become lines, but for outliers, which no line can stand for."""
        at = self.at
        stays = self._outliers(factors)
        goes = np.ones(len(at.C), bool)
        goes[stays] = False
        C, y, s = (at.C, at.y, at.s) if goes.all() else (at.C[goes], at.y[goes], at.s[goes])
        theta = np.zeros_like(at.theta) if self._one_sided else at.theta
        z = self.z if len(self.z) == len(C) and theta is at.theta else C @ theta
        spread = None
        if not (self.coupled or self.shared or self._one_sided) and factors:
            spread = None if at.narrow else self._spread(C, factors)
            at.narrow = spread is None  # more rows make no prediction less certain
        elif self.kinks:  # a kink may be far from zero, and no line without a curvature may be alone
            spread = np.full((len(C), self.k), self.reach)
        slope, bend = self._lines(y, z, spread)
        self._count(slope, bend, s)
        bend = self._no_flatter(bend, y, z)
        A = self._grams_of_last_step(z) if spread is None else None
        if A is None:
            A = self._grams(C, bend, s)
        at.b = at.b + self._times(A, theta) - C.T @ (slope * s[:, None])
        at.A = at.A + A
        at.weight += float(s.sum())
        self._draw(C, y, s, z, slope, bend)
        at.rows += len(C)
        at.C, at.y, at.s = at.C[stays], at.y[stays], at.s[stays]
        if asks and not (self.shared or self._one_sided) and at.rows - at.begun > _GROWTH * (at.asked - at.begun):
            self._ask(factors)

    def _outliers(self, factors: list[Any]) -> Array:
        """Numbers of pending rows whose predictions change much with next to any change of the model."""
        at = self.at
        none = np.empty(0, int)
        if self.shared or self.whole or self._one_sided or not factors or at.frame.largest <= _EXTREME:
            return none
        extreme = np.flatnonzero(np.abs(at.C[:, :-1]).max(axis=1) > _EXTREME)
        if not extreme.size:
            return none
        # as the other rows know it
        others = np.ones(len(at.C), bool)
        others[extreme] = False
        z = at.C[others] @ at.theta
        bend = self._lines(at.y[others], z, np.broadcast_to(self.reach, z.shape))[1]
        factors = self._factors(at.A + self._grams(at.C[others], bend, at.s[others]), self._weights()[0])
        variance = np.max([_quadratic_forms(at.C[extreme], factor) for factor in factors], axis=0)
        far = variance * self._unit_of_variance() > np.max(_LONGEST * self.reach) ** 2
        return np.sort(extreme[far][np.argsort(-variance[far], kind="stable")[:_OUTLIERS]])

    def _grams_of_last_step(self, z: Array) -> Array | None:
        """Those of a step that was so short that curvatures are still the same; None where there are none."""
        if self.lines is None or self.kinks or len(self.lines[0]) != len(z):
            return None
        near = np.all(np.abs(z - self.lines[0]).max(axis=0, initial=0.0) <= _NARROW * self.reach)
        return self.lines[1] if near or self.shared else None

    def _count(self, slope: Array, bend: Array, s: Array) -> None:
        if self.whole:
            bend = bend * (1 - bend)
        self.at.squares += float((s * s) @ (slope * slope).sum(axis=1))
        self.at.bend += float(s @ bend.sum(axis=1))

    def _room(self) -> int:
        """Rows of the sample."""
        at = self.at
        unsettled = at.seen is not None and (not at.seen.all() or at.rows < 2 * at.begun)
        d1 = at.theta.shape[0]
        numbers = _SORTED if unsettled else max(_SAMPLE_OF_KINKS if self.kinks else _SAMPLE, d1 * d1)
        return max(_SAMPLED, numbers // d1)

    def _generator(self) -> np.random.Generator:
        """Of one draw."""
        seed, draws = self.at.seed
        self.at.seed = seed, draws + 1
        return np.random.default_rng((seed, draws))

    def _draw(self, C: Array, y: Array, s: Array, *lines: Array) -> None:
        """Add rows to the sample, each with its share of chance (Vitter 1985, doi:10.1145/3147.3165)."""
        at = self.at
        if self.shared:
            return
        size = self._room()
        sample, given = at.sample, [C, y, s, *lines]
        if len(sample.C) > size:
            sample.keep_rows(self._generator().permutation(len(sample.C))[:size])
        free = min(size - len(sample.C), len(C))
        if free > 0:
            sample.become([np.concatenate([a, b[:free]]) for a, b in zip(sample.arrays(), given, strict=True)])
        free = max(free, 0)
        rest = len(C) - free
        if rest:
            chance = size / (at.rows + free + 1.0 + np.arange(rest))
            rng = self._generator()
            chosen = free + np.flatnonzero(rng.random(rest) < chance)
            places = rng.integers(0, size, len(chosen))
            if len(chosen):
                arrays = [array.copy() for array in sample.arrays()]
                for array, new in zip(arrays, given, strict=True):
                    array[places] = new[chosen]
                sample.become(arrays)

    def _ask(self, factors: list[Any]) -> None:
        """Correct the sums where the sample says that their lines are off by more than chance."""
        at = self.at
        at.asked = at.rows
        if not len(at.sample.C) or not factors:
            return
        share = at.rows / len(at.sample.C)
        for _ in range(_CORRECTIONS):
            sample = at.sample
            z = sample.C @ at.theta
            spread = None if self.coupled else self._spread(sample.C, factors)
            slope, bend = self._lines(sample.y, z, spread)
            expected = sample.slope + self._bent(sample.curvature, z - sample.z)
            off = (slope - expected) * sample.s[:, None]
            bias = sample.C.T @ off
            step = self._solved(factors, bias)
            # a sample of nearly all rows is off by no chance
            chance = self._chance(sample.C, off, factors)
            chance = min(chance, (1 - 1 / max(share, 1.0)) * chance + self._noise())
            if not float(np.vdot(bias, step)) > _SIGNIFICANT * chance:
                return
            if share <= _MOST_OF_THEM:
                self._begin_again(share, spread)
                return
            before = self._sampled_value(z)
            saved = dataclasses.replace(at, sample=copy.copy(sample))
            length = self._bounded(z, sample.C @ step * share)
            self._replace(z, expected, length * (slope - expected), bend, share)
            factors = self._solve(_STEPS)
            if not factors or not self._sampled_value(at.sample.C @ at.theta) <= before:
                at.become(saved)
                return

    def _sampled_value(self, z: Array) -> float:
        sample = self.at.sample
        return self._value(Pending(sample.C, sample.y, sample.s), z)

    def _begin_again(self, share: float, spread: Any) -> None:
        """Forget the sums: the sample holds their rows, which become pending, and then lines, once more."""
        at, sample = self.at, self.at.sample
        rows, weight = at.rows, at.weight
        at.C, at.y = np.concatenate([sample.C, at.C]), np.concatenate([sample.y, at.y])
        at.s, kept = np.concatenate([share * sample.s, at.s]), len(at.s)
        at.A, at.b, at.weight, at.rows = np.zeros_like(at.A), np.zeros_like(at.b), 0.0, 0.0
        at.squares = at.bend = 0.0
        at.sample = Sample(*(array[:0] for array in sample.arrays()))
        if self.kinks:
            wide = np.broadcast_to(self.reach, (kept, self.k))
            spread = np.concatenate([spread, wide])
        self._add(self._solve(_STEPS, spread if self.kinks else None), asks=False)
        at.rows, at.weight = rows, weight
        at.sample.s = at.sample.s / share

    def _replace(self, z: Array, expected: Array, off: Array, bend: Array, share: float) -> None:
        """New lines for the sample, and so for the rows that it stands for.

        The curvature of the sums is scaled down, or grows by what the sample adds: either leaves it positive.
        """
        at, sample = self.at, self.at.sample
        gradient = self._quadratic_gradient(at.theta) + share * (sample.C.T @ (off * sample.s[:, None]))
        old = sample.curvature
        if self.whole:
            bend = old
        else:
            falls = min(1.0, float(sample.s @ bend.sum(axis=1)) / max(float(sample.s @ old.sum(axis=1)), 1e-300))
            old = old * falls
            bend = np.maximum(bend, old)
            at.A = at.A * falls + share * self._grams(sample.C, bend - old, sample.s)
        at.b = self._times(at.A, at.theta) - gradient
        sample.z, sample.slope, sample.curvature = z, expected + off, bend

    def _bent(self, bend: Array, move: Array) -> Array:
        """Change of the slopes of lines over a move of the predictions."""
        if self.whole:
            return bend * (move - (bend * move).sum(axis=1, keepdims=True))
        return bend * move

    def _chance(self, C: Array, off: Array, factors: list[Any]) -> float:
        """What the gain of a correction would be if rows were off by chance alone."""
        if not self.whole:
            return float(sum(off[:, j] ** 2 @ _quadratic_forms(C, factors[j % len(factors)]) for j in range(self.k)))
        # what is off adds up to nothing over the classes, and must not be taken apart; some rows tell
        few = slice(None, None, max(1, len(C) // _TOLD))
        each = (off[few, :, None] * C[few, None]).reshape(len(off[few]), -1)
        return float(_quadratic_forms(each, factors[0]).mean()) * len(C)


def _robust(unit: Any, y: Array) -> Any:
    """The unit of the targets of most rows."""
    if len(y) < _FEWEST:
        return unit
    most = _NORMAL * np.median(np.abs(y - np.median(y, axis=0)), axis=0)
    return np.where(most > 0, np.minimum(unit, most), unit)


def _gram(C: Array, weight: Array) -> Array:
    """``C' diag(weight) C`` for weights of any sign; BLAS does half the work where they have one."""
    if len(weight) and weight.min() >= 0:
        C = C * np.sqrt(weight)[:, None]
        return np.dot(C.T, C)
    return np.dot((C * weight[:, None]).T, C)


def _factor(H: Array, diagonal: Array) -> tuple[Array, Array, Array]:
    """Cholesky factor of a matrix with something added to its diagonal, in units of it; those; the matrix."""
    Q = H.copy()
    at = np.arange(len(Q))
    Q[at, at] += diagonal
    scale = np.sqrt(np.where(Q[at, at] > 0, Q[at, at], 1.0))
    S = Q / scale
    S /= scale[:, None]
    ridge = _RIDGE
    S[at, at] = 1.0 + ridge
    while True:
        factor, failed = lapack.dpotrf(S, lower=1, clean=0)
        if not failed:
            return factor, scale, Q
        ridge *= 100
        S[at, at] = 1.0 + ridge


def _solved(factor: tuple[Array, Array, Array], G: Array) -> Array:
    L, scale, _ = factor
    return np.asarray(lapack.dpotrs(L, G / scale[:, None], lower=1)[0] / scale[:, None])


def _quadratic_forms(C: Array, factor: tuple[Array, Array, Array]) -> Array:
    """``x' H^-1 x`` of each row."""
    L, scale, _ = factor
    inverse = np.tril(lapack.dtrtri(L, lower=1)[0])
    V = C @ (inverse / scale).T
    return np.einsum("ij,ij->i", V, V)


__all__ = ["MOST", "MOST_OF_ALL", "NO_EXTENT", "Learner", "Sample", "Sums", "Trust", "empty_sums", "matrices"]

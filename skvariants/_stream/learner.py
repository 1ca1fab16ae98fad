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

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import blas, lapack

from skvariants._quasi_newton.lasso import Kinks, lasso
from skvariants._stream.linearization import has_kinks, slopes, typical_curvature, values
from skvariants._stream.sums import NO_EXTENT, UNSEEN, Pending, Sums, classes_of, factors_in_units, targets_of

Array = np.ndarray
# numbers of a block of rows (a quarter of these: twice the gap, and no less time)
_BLOCK = 1 << 19
# numbers of rows that are weighted and multiplied at once
_BLOCK_OF_GRAM = 1 << 17
# products of features that are made at once, about
_PAIRS = 128
# the same where each is multiplied by a triangle, and the fewest rows
_BLOCK_OF_FORMS, _ROWS_OF_FORMS = 1 << 15, 256
# rows that wait until their parabolas are made: of a stream that begins, and later
_FIRST, _WAITING = 512, 256
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
# steps where curvature has no bound, as each takes a prediction whose loss is an exponential down by one; and twice the
# gain of a step, for one row, that is the first of many
_STEPS_DOWN, _FAR_DOWN = 100, 32.0
# predictions, of a rate of exp(30), from which that is farther than so many steps
_TOO_FAR = 30.0
_HALVINGS = 14
# share of the expected gain that a step must have, and gain that is rounding
_ARMIJO, _ROUNDING = 1e-4, 1e-12
# change of a prediction in one step, in units of the loss
_LONGEST = 8.0
# rows of a call, as a share of those before, that are few beside them
_SMALL = 1 / 5
# rows that tell a robust unit, and the normal deviation in that of half of the rows
_FEWEST, _NORMAL = 16, 1.4826
# rows whose curvature speaks for weights of zero, as rows that are few can be told apart by large ones: as many for
# each parameter while there are no more rows than that, then ever fewer (0, 0.1, 0.3, 1 and 3 on five tables: 1 and 3
# are closest to the optimum of all rows in the first 3,000, and as close as any later). What is left in the end goes by
# the geometric mean of the squares of all rows and of most, or a single value could outweigh all others (kdd99, 30,000
# rows: 1.2e-2 of the gain left by the squares, 1e-3 by both, 1e-4 by most, where shuttle's first rows lose)
# (of both as far as the first is a thousand of the second: one row of 1e5 in 6,000 left 1e-2, and leaves 4e-4)
_PRIOR, _EARLY, _FARTHER = 0.3, 1.0, 1e3
# predictions, in units, and losses, in those of their parabola at zero, that are far off
_WRONG = 8.0
# curvature of a row at least, where lines have none, as a share of a typical one; far from its target
# it is less, or an outlier would hold up all others
_FLAT = 0.05
_RIDGE = 1e-12
# numbers of a column of the sums from which their factor is kept for calls of few rows, what share of these numbers a
# call may have rows, and the steps of conjugate gradients that take as long as a new factor (at 941 numbers)
_WIDE, _CALL_OF_FEW, _GRADIENTS = 256, 4, 20
# numbers of a column of a matrix of many rows for each product with these that may take its place
_PRODUCTS_OF_GRAM = 4
# share of what a step gains that these may leave, and of one that is the solution
_INEXACT, _EXACT = 1e-4, 1e-20
# weight, as a share, of directions of an anchor in which no row was seen
_LOADING = 1e-2
# move of a prediction, in units, over which a curvature is as good as constant
_NEAR = 1e-3
# variance of a column since, as a multiple of that of an anchor's rows, that these may have had
_WIDER = 4.0


class Point(NamedTuple):
    """A model, its predictions for pending rows, and what these cost."""

    theta: Array
    z: Array
    value: float


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
        #: whether the curvature may be any, so that a step of Newton's may be much too short
        self.unbounded = not (self.kinks or loss.quadratic or loss.max_curvature is not None)
        self.lines: Any = None
        self.ends: Any = None
        self.z = np.empty((0, self.k))
        #: the model as the call found it, and its predictions of the rows
        self.first, self.predicted = sums.theta, np.empty((0, self.k))
        self.mean: Any = None
        #: sum over the rows at hand of their curvature between the model that the stream goes on from and this one
        self.between: Any = 0.0
        # a loss that does not care for outliers does not measure in their units
        self.robust = loss.regression and self.kinks and loss.in_target_units
        self._measure(sums.y)
        self.raw_l2, self.raw_l1 = np.zeros((2, *sums.theta.shape))
        self.raw_l2[:-1], self.raw_l1[:-1] = penalty.l2_strength, penalty.l1_strength
        self.raw_bounds = Kinks.of(penalty, sums.theta).bounds
        #: whether a quadratic with the penalty has no minimum in closed form
        self.searched = bool(self.raw_l1.any()) or self.raw_bounds is not None

    # ------------------------------------------------------------------ units

    def _measure(self, y: Array) -> None:
        """The unit of a prediction, and a typical curvature, with some rows more."""
        typical = self.at.typical
        self.reach = _REACH * (_robust(self.unit, np.concatenate([self.at.sample.y, y])) if self.robust else self.unit)
        if typical is None or (not self.loss.quadratic and np.any(typical[0] != self.reach)):
            typical = self.at.typical = self.reach, typical_curvature(self.loss, self.k, self.reach)
        self.bend = typical[1]

    def _weights(self) -> tuple[Array, Array]:
        """Strengths of L2 and L1 in the units worked in, shape ``(n_features + 1, n_columns)``."""
        at = self.at
        f = at.frame.factor[:, None]
        total = at.weight + at.s.sum() + at.trust
        l2, l1 = total * self.raw_l2, total * self.raw_l1
        l2[:-1] *= f * f
        l1[:-1] *= f
        if not self.shared:
            n_rows = max(at.rows + len(at.s), 1e-300)
            spread = usual = at.squares_about_mean / n_rows
            if at.spread is not None:
                most = at.spread * (at.counted / n_rows)
                usual = np.sqrt(np.minimum(spread, _FARTHER * most) * np.minimum(spread, most))
            prior = _PRIOR * usual + _EARLY * len(l2) * min(1.0, len(l2) / n_rows) ** 2 * spread
            # a model that the stream goes on from says more
            l2[:-1] += self._unknown * self.bend * prior[:, None]
        return l2, l1

    def _bounds(self) -> tuple[Array, Array] | None:
        """Least and largest parameters in the units worked in."""
        if self.raw_bounds is None:
            return None
        units = np.append(self.at.frame.factor, 1.0)[:, None]
        lower, upper = self.raw_bounds
        return lower / units, upper / units

    def _rescale(self, change: Array) -> None:
        """Follow a change of units by powers of two, which is exact."""
        at = self.at
        c = np.append(change, 1.0)
        at.theta, self.first = at.theta / c[:, None], self.first / c[:, None]
        at.b = at.b * c[:, None]
        of_block = np.tile(c, at.A.shape[1] // len(c))
        at.A, at.factors = at.A * of_block[:, None] * of_block, factors_in_units(at.factors, of_block)
        at.C = at.C * c
        at.first, at.second = at.first * change, at.second * (change * change)
        if at.given is not None:
            A, b, *sums = at.given
            at.given = A * of_block[:, None] * of_block, b * c[:, None], *sums
        if at.rest is not None:
            at.rest = at.rest * c[:, None]
        if at.spread is not None:
            at.spread = at.spread * (change * change)
        at.sample.times(c)
        if at.then is not None:
            at.then = at.then / c[:, None]
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
        before, predicted = [], []
        d1 = at.theta.shape[0]
        size = max(_WAITING, d1, min(1 << 14, _BLOCK // d1))
        start = end = 0
        while end < X.shape[0]:
            # rows tell the next ones where their lines are to be, so that these take a step or two
            n_known = size if self.shared else max(2 * _FIRST, int(at.rows) + len(at.s))
            start, end = end, end + min(size, n_known)
            part = slice(start, end)
            C, change = at.frame.rows(X[part])
            if change is not None:
                self._rescale(change)
            if not self.fit_intercept:
                C[:, -1] = 0.0
            if not at.counted and at.anchor is None and self.fit_intercept and self.loss.regression:
                at.theta = at.theta.copy()
                at.theta[-1] = self.loss.fit_intercept_only(y[part], np.broadcast_to(s[part, None], y[part].shape))
            z = C @ at.theta
            before.append(self.loss.value(y[part], z).sum(axis=1))
            predicted.append(C @ self.first if start else z)
            at.first, at.second = at.first + (s[part] @ C)[:-1], at.second + _squares(C, s[part])[:-1]
            at.counted += float(s[part].sum())
            is_new = at.seen is not None and self._see(y[part])
            if self._small(len(C)) and self._step(C, y[part], s[part], z):
                continue
            if len(at.C):
                at.C, at.y = np.concatenate([at.C, C]), np.concatenate([at.y, y[part]])
                at.s = np.concatenate([at.s, s[part]])
            else:
                at.C, at.y, at.s = C, y[part], s[part].copy()
            if self.robust:
                self._measure(at.y)
            most = _WAITING + _OUTLIERS if at.rows else _FIRST
            sure = self.shared or (at.narrow and not self._keeps_factors)
            waits = not (sure or self._small(len(C)) or self._unsettled) and len(at.C) < most
            steps = _STEPS_WAITING if waits and len(at.C) > 2 * len(C) and not is_new else _STEPS
            if self.unbounded:
                steps = _STEPS_DOWN
            few = (waits or self.shared) and len(C) <= d1 // _CALL_OF_FEW and self._keeps_factors
            factors = self._solve(steps, None, z, at.factors if few else [])
            if factors:
                at.factors = [_packed(factor) for factor in factors] if self._keeps_factors else []
            if not waits:
                self._add(factors)
        self.predicted = np.concatenate(predicted)
        return np.concatenate(before)

    def _see(self, y: Array) -> bool:
        """Whether a class came that was not seen before, or had been rare."""
        at = self.at
        classes = classes_of(y, len(at.seen))
        at.arrivals, came = at.arrivals.after(classes)
        if came:
            at.came = at.begun = at.asked = at.rows + float(len(at.s))
        if at.seen.all():
            return came
        new = classes.any(axis=0) & ~at.seen
        if new.any():
            # the lines so far did not know of it, nor did the rows before it
            at.came = at.begun = at.asked = at.rows + float(len(at.s) + classes[:, new].argmax(axis=0).max())
        at.seen = at.seen | new
        return came or bool(new.any())

    @property
    def _unsettled(self) -> bool:
        """Whether a class has just come, and rows before it were lines already, which are to be asked anew."""
        return self.at.rows > 0 < self.at.begun and self.at.rows - self.at.begun < _WAITING

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
        y = targets_of(unseen, self.k, self.coupled, len(at.seen))
        s = np.full(len(unseen), UNSEEN * at.counted / (at.rows + len(at.s)))
        return Pending(np.concatenate([at.C, C]), np.concatenate([at.y, y]), np.concatenate([at.s, s]))

    # ------------------------------------------------------------------ the next model

    def _small(self, n_rows: int) -> bool:
        """Whether so many rows move the model so little that lines at its predictions stand for them."""
        at = self.at
        if self.kinks or self.searched or self._keeps_factors or not (at.seen is None or at.seen.all()):
            return False
        return n_rows <= (1.0 if at.narrow else _SMALL) * (at.rows - at.begun)

    def _step(self, C: Array, y: Array, s: Array, z: Array) -> bool:
        """Add rows by one step, if it is as short as their lines reach."""
        at = self.at
        if len(at.C) or at.frame.largest > _EXTREME:
            return False
        at.s = s  # they count already
        l2, spread = self._weights()[0], None
        at.s = s[:0]
        if not (self.shared or self.coupled or at.narrow):
            spread = self._spread(C, self._factors(at.A, l2))
            at.narrow = spread is None  # more rows make no prediction less certain
        slope, bend = self._lines(y, z, spread)
        if self.unbounded and np.any(slope * slope > _FAR_DOWN * bend):
            return False
        A, pull = self._grams(C, bend, s), C.T @ (slope * s[:, None])
        total = at.A + A
        self._look_back(C, y, s, z)
        factors = self._factors(total, l2)
        G = self._anchored_gradient(self._quadratic_gradient(at.theta) + l2 * at.theta + pull, at.theta)
        P = -self._solved(factors, G)
        if not self.shared and np.abs(C @ P).max(initial=0.0) > np.max(self.reach):
            return False
        self._count(slope, bend, s)
        self._hold()
        at.b = at.b + self._times(A, at.theta) - pull
        at.A, at.theta = total, at.theta + P
        at.weight += float(s.sum())
        at.rows += len(C)
        self._draw(C, y, s, z, slope, bend)
        if not self.shared:
            self._ask(factors)
        return True

    @property
    def _keeps_factors(self) -> bool:
        """Whether the next call may go on from the factors of this one."""
        return len(self.at.theta) >= _WIDE and not (self.kinks or self.searched or self.at.trust > 0)

    def _solve(self, most: int = _STEPS, rows: Pending | None = None, z: Any = None, old: Any = ()) -> list[Any]:
        """Newton's steps to the minimum; the factors of the last Hessian, if there had to be some.

        Predictions are made unless they are here; and factors, unless old ones are good enough.
        """
        at = self.at
        rows, (l2, l1) = rows or self._pending(), self._weights()
        C, s, bounds = rows.C, rows.s, self._bounds()
        if bounds is not None:
            within = np.clip(at.theta, *bounds)
            at.theta, z = within, z if np.array_equal(within, at.theta) else None
        if rows.spread is None:
            rows.spread = self._spread_of_kinks(C)
        if z is None or len(z) != len(C):
            z = C @ at.theta
        start = self._within_reach(at.theta, z)
        if start is not at.theta:
            z = C @ start
        now, enough = Point(start, z, self._value(rows, z)), _ENOUGH * self._noise()
        factors: list[Any] = []
        before, self.lines = np.inf, None
        for _ in range(most):
            slope, bend = self.ends = self._lines(rows.y, now.z, rows.spread)
            g = self._quadratic_gradient(now.theta) + l2 * now.theta + C.T @ (slope * s[:, None])
            decrement = np.inf
            if factors:
                # the last Hessian is good enough for a step that is short beside the one before
                G = self._anchored_gradient(g, now.theta)
                P, decrement = self._direction(factors, G, now.theta, l1, bounds)
                if decrement <= enough:
                    break
            elif old:
                P, decrement = self._approached(old, g, rows, bend, l2)
                old = old if decrement < np.inf else ()
            near = bool(factors) and decrement <= _CHORD * before
            if factors and not near and self._long(rows):
                P, decrement = self._approached(factors, G, rows, bend, l2, self.at.A.shape[1] // _PRODUCTS_OF_GRAM)
                near = decrement < np.inf
            if not old and not near:
                grams = self._grams(C, self._no_flatter(bend, rows.y, now.z), s)
                self._look_back(C, rows.y, s, now.z)
                factors = self._factors(at.A + grams, l2)
                G = self._anchored_gradient(g, now.theta)
                P, decrement = self._direction(factors, G, now.theta, l1, bounds)
                self.lines = now.z, grams
            if not decrement > enough * _LITTLE:
                break
            before = decrement
            length, now = self._along(rows, now, P, decrement, l2, l1)
            self.ends = self.ends if not length else None
            if (self.shared and not self.searched) or not length:
                break
        # a step ends at a bound but for rounding
        at.theta = now.theta if bounds is None else np.clip(now.theta, *bounds)
        self.z, self.between = now.z, 0.0
        return factors

    def _within_reach(self, theta: Array, z: Array) -> Array:
        """A model to start from: nearer to zero where a prediction, an exponent, has too many steps to go down."""
        farthest = np.abs(z).max(initial=0.0) if self.unbounded else 0.0
        return theta * (_TOO_FAR / farthest) if farthest > _TOO_FAR else theta

    def _long(self, rows: Pending) -> bool:
        """Whether products with so many rows take less time than the matrix of columns that are coupled."""
        size = self.at.A.shape[1]
        return self.whole and len(rows.C) > size >= _WIDE and not self.searched

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
            # of the columns that are right both vanish, and with them what their ratio means
            loss = np.maximum(self.loss.value(y[wrong], z[wrong]), self._right)
            bend[wrong] = np.maximum(bend[wrong], slope[wrong] ** 2 / (2 * loss))
        return slope, bend

    def _far_off(self, y: Array, z: Array) -> Array | None:
        """Numbers of rows whose prediction is so wrong that their loss has next to no curvature there."""
        if not z.size or np.all(np.abs(z).max(axis=0) <= _WRONG * self.reach):
            return None
        wrong = self.loss.value(y, z).sum(axis=1) > 4 * _WRONG * self._right
        return np.flatnonzero(wrong) if wrong.any() else None

    @property
    def _right(self) -> Any:
        """Loss of a prediction that is a unit off where curvature is typical: of one that is right it is less."""
        return np.max(self.reach * self.reach * self.bend)

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
            if len(self.at.A) == 1:
                return weighted_gram(C, s * bend[:, 0])[None]
            return np.stack([weighted_gram(C, s * bend[:, j]) for j in range(self.k)])
        # (diag(p) - pp') times xx': sums of the products of each two numbers of either
        k, d1 = self.k, C.shape[1]
        begins = np.append(0, np.cumsum(np.arange(d1, 0, -1)))
        cuts = np.append(np.unique(begins[:-1] // _PAIRS, return_index=True)[1], d1)
        sums = np.zeros((k * (k + 1) // 2, begins[-1]))
        for rows, dense in _blocks(C, max(1, _BLOCK_OF_GRAM // (len(sums) + max(d1, _PAIRS)))):
            weight, columns = _weights_of_pairs(bend[rows], s[rows]), np.ascontiguousarray(dense.T)
            products = np.empty((np.diff(begins[cuts]).max(), len(dense)))
            for first, last in pairwise(cuts):
                begin, end = begins[first], begins[last]
                for i in range(first, last):
                    np.multiply(columns[i], columns[i:], out=products[begins[i] - begin : begins[i + 1] - begin])
                sums[:, begin:end] += weight @ products[: end - begin].T
        H = sums[_pair_numbers(k)[:, None, :, None], _pair_numbers(d1)[None, :, None, :]]
        return H.reshape(1, k * d1, k * d1)

    def _factors(self, H: Array, l2: Array) -> list[Any]:
        """Factors of the matrices, those of an anchor and of the penalty added."""
        at = self.at
        if at.trust > 0:
            # as many rows of the kind that was seen
            self.mean = self._no_sharper(self._no_wider(H / max(at.weight + float(at.s.sum()), 1e-300)))
            diagonal = np.einsum("kii->ki", self.mean)
            diagonal *= 1.0 + _LOADING
            H = H + at.trust * self.mean
        if self.whole:
            # what all classes have in common changes nothing: give that direction a curvature, and it stays
            common = np.arange(len(l2) - 1, H.shape[1], len(l2))
            H = H.copy()
            H[0, common[:, None], common] += max(H[0, common, common].mean(), 1e-300) / self.k
            return [cholesky(H[0], l2.ravel("F"))]
        return [cholesky(M, l2[:, j] if len(H) > 1 else l2.max(axis=1)) for j, M in enumerate(H)]

    def _no_wider(self, mean: Array) -> Array:
        """Mean curvature of the rows of an anchor: of rows seen since, no wider than theirs, nor away from them."""
        at = self.at
        if at.extent is None or len(at.extent) != len(at.frame.factor):
            return mean
        known = np.append(np.ldexp(at.frame.factor, np.where(at.extent > NO_EXTENT, at.extent, 0)), 1.0)
        for j, M in enumerate(mean):
            if not self.whole:
                _no_farther(M, known[:-1])
            diagonal = M.diagonal().reshape(-1, len(known))
            level = diagonal[:, -1:]
            if not self.fit_intercept:  # which knows the curvature of a row
                level = np.reshape(self.bend if self.whole else self.bend[j], (-1, 1))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                share = np.sqrt(_WIDER * level * known * known / diagonal)
            shrink = np.where(share < 1, share, 1.0).ravel()  # what is not a number stays
            M *= shrink[:, None]
            M *= shrink
        return mean

    def _look_back(self, C: Any, y: Array, s: Array, z: Array) -> None:
        """How sharp the loss of rows is between the model that the stream goes on from and this one.

        With that curvature the slope of the anchor is what as many rows with its predictions would say.
        """
        at = self.at
        if not at.trust > 0 or self.coupled or self.kinks or self.loss.quadratic:
            return
        begin = C @ at.anchor
        move = z - begin
        near = np.abs(move) <= _NEAR * self.reach
        change = self.loss.gradient(y, z, np.empty_like(z)) - self.loss.gradient(y, begin, np.empty_like(z))
        self.between = s @ np.where(near, self.loss.second_derivative(y, z), change / np.where(near, 1.0, move))

    def _hold(self) -> None:
        self.at.held, self.between = self.at.held + self.between, 0.0

    @property
    def _constant(self) -> Array:
        """Which columns the stream began with as constants."""
        at = self.at
        return np.ones(self.k, bool) if not at.trust > 0 else ~at.anchor[:-1].any(axis=0)

    @property
    def _unknown(self) -> Array:
        """Which weights of which columns no row spoke of before the stream."""
        if self.at.given is None:
            return self._constant
        return np.einsum("kii->ki", self.at.given[0]).reshape(-1, len(self.at.theta)).T[:-1] <= 0

    def _no_sharper(self, mean: Array) -> Array:
        """Mean curvature of the rows of an anchor, no more than what it is from there on, as far as that is known.

        Of a column that is the same for all of them it is: a class that none of these rows had, and that comes now.
        """
        at, constant = self.at, self._constant
        ends = np.einsum("kii->ki", mean).reshape(-1, len(at.theta))[:, -1]
        known = (at.held + self.between) / max(at.weight + float(at.s.sum()), 1e-300) * np.ones(self.k)
        if at.seen is not None and constant.any():
            new = UNSEEN * self.bend / at.trust
            if not self.coupled:
                z = at.anchor[-1:]
                new = np.maximum(new, self.loss.second_derivative(np.ones_like(z), z)[0])
            known = np.where(constant, new, known)
        share = np.sqrt(np.minimum(1.0, np.divide(known, ends, where=(ends > 0) & (known > 0), out=np.ones(self.k))))
        if self.whole:
            each = np.repeat(share, len(at.theta))
            return mean * each[:, None] * each
        return mean * (share * share)[: len(mean), None, None]

    def _anchored_gradient(self, G: Array, theta: Array) -> Array:
        """The gradient with the model that the stream goes on from; where no row has said anything, it stays."""
        at = self.at
        if at.trust <= 0:
            return G
        silent = np.einsum("kii->ki", self.mean).reshape(-1, len(theta)).T <= 0
        return np.where(silent, 0.0, G + at.trust * (self._times(self.mean, theta - at.anchor) - at.pull))

    def _direction(
        self, factors: list[Any], G: Array, theta: Array, l1: Array, bounds: tuple[Array, Array] | None
    ) -> tuple[Array, float]:
        """Newton's step of all columns, and twice what it expects to gain."""
        P = -self._solved(factors, G)
        if not self.searched:
            return P, -float(np.vdot(G, P))
        columns = [self._as_columns(a) for a in (G, theta, l1, *(bounds or ()))]
        steps = []
        for j, (g, v, lam, *ends) in enumerate(zip(*columns, strict=True)):
            Q = factors[min(j, len(factors) - 1)][2]
            steps.append(lasso(Q, g - Q @ v, lam, v, tuple(ends) or None) - v)
        P = steps[0].reshape(P.shape, order="F") if self.whole else np.stack(steps, axis=1)
        return P, -float(np.vdot(G, P)) - float((l1 * (np.abs(theta + P) - np.abs(theta))).sum())

    def _approached(
        self, old: list[Any], G: Array, rows: Pending, bend: Array, l2: Array, most: int = _GRADIENTS
    ) -> tuple[Array, float]:
        """The step by conjugate gradients in the metric of an old Hessian; no gain where that takes too many."""
        P, left = np.zeros_like(G), -G
        Z = D = self._solved(old, left)
        first = rest = float(np.vdot(left, Z))
        goal = _EXACT if self.shared else _INEXACT
        for step in range(most):
            if not rest > goal * first:
                return P, -float(np.vdot(G, P))
            if rest > goal ** (step / most) ** 2 * first:
                break  # they begin slowly, but not as slowly
            H = self._times(self.at.A, D) + l2 * D + rows.C.T @ (self._bent(bend, rows.C @ D) * rows.s[:, None])
            if self.at.trust > 0:
                H += self.at.trust * self._times(self.mean, D)
            length = rest / float(np.vdot(D, H))
            P, left = P + length * D, left - length * H
            Z = self._solved(old, left)
            rest, before = float(np.vdot(left, Z)), rest
            D = Z + rest / before * D
        return P, np.inf

    def _bent(self, bend: Array, move: Array) -> Array:
        """Change of the slopes of lines over a move of the predictions."""
        if self.whole:
            return bend * (move - (bend * move).sum(axis=1, keepdims=True))
        return bend * move

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
        few = C[:: max(1, len(C) // _FEW)]
        if len(few) < len(C) and self._certain(quadratic_forms(few, factors)):
            return None
        return self._deviation(quadratic_forms(C, factors))

    def _certain(self, forms: Array) -> bool:
        """Whether a parabola at the prediction itself is as good, by quadratic forms of some rows."""
        variance = _AHEAD * self._unit_of_variance() * forms.mean(axis=0).max()
        return not self.kinks and bool(np.all(variance <= (_NARROW * self.reach) ** 2))

    def _deviation(self, forms: Array, most: Any = None) -> Array:
        """Deviation of predictions by their quadratic forms, up to that of a unit or to what is given."""
        variance = (_AHEAD_OF_KINKS if self.kinks else _AHEAD) * self._unit_of_variance() * forms
        spread = np.clip(np.sqrt(variance), 1e-3 * self.reach, self.reach if most is None else most)
        return np.broadcast_to(spread, (len(forms), self.k))

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
        # those that the last model was found by are at hand
        known = self.ends is not None and z is self.z and spread is None and not self.kinks
        slope, bend = self.ends if known else self._lines(y, z, spread)
        self._count(slope, bend, s)
        self._look_back(C, y, s, z)
        self._hold()
        bend = self._no_flatter(bend, y, z)
        A = self._grams_of_last_step(z) if spread is None else None
        if A is None:
            A = self._grams(C, bend, s)
        at.b = at.b + self._times(A, theta) - C.T @ (slope * s[:, None])
        at.A = at.A + A
        at.weight += float(s.sum())
        at.rows += len(C)
        self._draw(C, y, s, z, slope, bend)
        at.C, at.y, at.s = at.C[stays], at.y[stays], at.s[stays]
        if asks and not (self.shared or self._one_sided):
            self._ask(factors)

    def _draw(self, C: Array, y: Array, s: Array, *lines: Array) -> None:
        """What is to be known of rows that became lines, beside these."""

    def _ask(self, factors: list[Any]) -> None:
        """Whether the lines still hold."""

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
        variance = quadratic_forms(at.C[extreme], factors).max(axis=1)
        far = variance * self._unit_of_variance() > np.max(_LONGEST * self.reach) ** 2
        return np.sort(extreme[far][np.argsort(-variance[far], kind="stable")[:_OUTLIERS]])

    def _grams_of_last_step(self, z: Array) -> Array | None:
        """Those of a step that was so short that curvatures are still the same; None where there are none."""
        if self.lines is None or self.kinks or not len(self.lines[0]) == len(z) > 0:
            return None
        near = np.all(np.abs(z - self.lines[0]).mean(axis=0) <= _NARROW * self.reach)
        return self.lines[1] if near or self.shared else None

    def _count(self, slope: Array, bend: Array, s: Array) -> None:
        if self.whole:
            bend = bend * (1 - bend)
        self.at.squares += float(((s * s) @ (slope * slope)).sum())
        self.at.bend += float((s @ bend).sum())


def _no_farther(M: Array, known: Array) -> None:
    """Move the mean of the rows of a matrix of curvatures, which ends with ones, to within a deviation of zero."""
    total = M[-1, -1]
    if not total > 0:
        return
    mean = M[:-1, -1] / total
    nearer = np.clip(mean, -known, known)
    if np.array_equal(nearer, mean):
        return
    variance = np.maximum(M.diagonal()[:-1] - total * mean * mean, 0.0)
    M[:-1, :-1] += total * (np.outer(nearer, nearer) - np.outer(mean, mean))
    M[np.arange(len(mean)), np.arange(len(mean))] = variance + total * nearer * nearer
    M[:-1, -1] = M[-1, :-1] = total * nearer


def _robust(unit: Any, y: Array) -> Any:
    """The unit of the targets of most rows."""
    if len(y) < _FEWEST:
        return unit
    most = _NORMAL * np.median(np.abs(y - np.median(y, axis=0)), axis=0)
    return np.where(most > 0, np.minimum(unit, most), unit)


def _squares(C: Array, weight: Array) -> Array:
    """Weighted sum of squares of each column."""
    size = max(1, _BLOCK_OF_GRAM // C.shape[1])
    return np.sum([weight[i : i + size] @ np.square(C[i : i + size]) for i in range(0, len(C), size)], axis=0)


def weighted_gram(C: Array, weight: Array) -> Array:
    """``C' diag(weight) C`` for weights of any sign; BLAS does half the work where they have one."""
    if not isinstance(C, Array):
        return C.gram(weight)
    least = weight.min(initial=np.inf)
    if 0 <= least == weight.max(initial=0.0):
        return np.asarray(least * np.dot(C.T, C))
    if least >= 0:
        n, d = C.shape
        root, size, G = np.sqrt(weight)[:, None], max(1, _BLOCK_OF_GRAM // d), np.zeros((d, d))
        weighted = np.empty((min(n, size), d))  # once: new memory for each block takes as long as the product
        for start in range(0, n, size):
            part = C[start : start + size]
            D = np.multiply(part, root[start : start + size], out=weighted[: len(part)])
            G += np.dot(D.T, D)
        return G
    return np.dot((C * weight[:, None]).T, C)


def _weights_of_pairs(p: Array, s: Array) -> Array:
    """``s (diag(p) - pp')`` of each row, as a column with a number for each pair of classes."""
    columns, same = p.T, np.eye(p.shape[1])
    return np.concatenate([(same[i, i:, None] - columns[i:]) * (columns[i] * s) for i in range(len(columns))])


def _pair_numbers(n: int) -> Array:
    """Where the product of two columns is among these, a matrix."""
    numbers = np.zeros((n, n), int)
    upper = np.triu_indices(n)
    numbers[upper] = np.arange(len(upper[0]))
    return np.maximum(numbers, numbers.T)


def cholesky(H: Array, diagonal: Array) -> tuple[Array, Array, Array]:
    """Cholesky factor of a matrix with something added to its diagonal, in units of it; those; the matrix."""
    Q = H.copy()
    at = np.arange(len(Q))
    Q[at, at] += diagonal
    scale = np.sqrt(np.where(Q[at, at] > 0, Q[at, at], 1.0))
    ridge = _RIDGE
    while True:
        S = Q / scale
        S /= scale[:, None]
        S[at, at] = 1.0 + ridge
        factor, failed = lapack.dpotrf(S.T, lower=1, clean=0, overwrite_a=1)
        if not failed:
            return factor, scale, Q
        ridge *= 100


def _packed(factor: tuple[Array, Array, Array]) -> tuple[Array, Array, None]:
    """The same in half of the numbers, without the matrix."""
    return lapack.dtrttp(factor[0], uplo="L")[0], factor[1], None


def _solved(factor: tuple[Array, Array, Any], G: Array) -> Array:
    L, scale, _ = factor
    right = G / scale[:, None]
    solved = lapack.dpotrs(L, right, lower=1) if L.ndim == 2 else lapack.dpptrs(len(scale), L, right, lower=1)
    return np.asarray(solved[0] / scale[:, None])


def _blocks(C: Any, size: int) -> Iterator[tuple[slice, Array]]:
    """So many rows after the other, dense."""
    for begin, rows in [(0, C)] if isinstance(C, Array) else ((part.start, dense) for part, dense in C.parts()):
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield slice(begin + start, begin + start + len(part)), part


def quadratic_forms(C: Any, factors: list[Any]) -> Array:
    """``x' H^-1 x`` of each row, a column for each matrix."""
    forms = np.empty((len(C), len(factors)))
    size = max(_ROWS_OF_FORMS, _BLOCK_OF_FORMS // C.shape[1])
    for j, (L, scale, _) in enumerate(factors):
        # solving takes fewer multiplications than an inverse where rows are few
        inverse = None if len(C) < len(L) else lapack.dtrtri(L, lower=1)[0] / scale
        for part, dense in _blocks(C, size):
            if inverse is None:
                V = lapack.dtrtrs(L, (dense / scale).T, lower=1, overwrite_b=1)[0]
            else:
                V = blas.dtrmm(1.0, inverse, dense.T, lower=1)
            forms[part, j] = np.einsum("ij,ij->j", V, V)
    return forms


__all__ = ["Learner", "cholesky", "quadratic_forms", "weighted_gram"]

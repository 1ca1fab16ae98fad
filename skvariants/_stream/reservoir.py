r"""A stream of many features: the rows themselves, as many as fit, and what stands for those that do not.

A matrix of sums over :math:`d` features is too large where these are thousands, but a row of them is mostly short. So
rows are kept, up to :data:`MOST` stored numbers, and the model is the optimum for them; a stream that fits is learned
exactly. When there are more, a part of them is drawn to stay, in proportion to their weights, which then stand for
all. What the sum of all slopes at the present model is beyond theirs becomes a linear term, and what the diagonal of
the curvature is beyond theirs, as that of columns too rare to be drawn, a diagonal one:

.. math:: \sum_{\text{kept}} s_i\, \ell(y_i, x_i \theta) + b^\top \theta
          + \tfrac12 \theta^\top \mathrm{diag}(q)\, \theta + n \cdot \text{penalty}(\theta)

The gradient at the model is that of all rows, so only the further way of the model is by a curvature of a sample.

References
----------
Shamir, Srebro and Zhang (2014), "Communication-efficient distributed optimization using an approximate Newton-type
method", arXiv:1312.7853. Efraimidis and Spirakis (2006), "Weighted random sampling with a reservoir",
doi:10.1016/j.ipl.2005.11.003.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from skvariants._data.scaling import Moments, too_large, too_small
from skvariants._stream.frame import LARGEST, SMALLEST
from skvariants._stream.linearization import has_kinks, typical_curvature
from skvariants._stream.sums import NO_EXTENT, RECALLED, UNSEEN, Trust, class_numbers, classes_in, targets_of
from skvariants._stream.truncated import Centred, Objective, Rows, Solution, minimise
from skvariants._training.state import Fields, informative

Array = np.ndarray
#: Numbers other than zero of the rows that are kept, times that while a class was not seen or has just come (rows
#: sorted by class ask for all of them anew), and numbers of a row up to which so many rows tell enough.
MOST, UNSETTLED, LONGEST = 1 << 20, 4, 1 << 10
# features, and share of them that a row may have numbers, from which rows are kept where sums could be (hotel_cancel of
# 940 features: a twentieth of the time and a hundredth of the gap; w8a of 300: half of the time)
_MANY_FEATURES, _SHORT = 256, 1 / 16
# share of the rows that may wait for the next solution, each learned by itself: of few, of many, and how many rows are
# many; rows of which none may
_OF_FEW, _OF_MANY, _MANY, _FEW = 1 / 128, 1 / 256, 512, 64
# the same of rows since a class came, as it may be a rare one
_OF_NEW = 1 / 16
# share of the room that is filled again when it was full
_REFILLED = 0.75
_STEPS, _STEPS_OF_KINKS, _STEPS_WAITING, _ENOUGH = 12, 40, 3, 1e-4
# deviations of predictions over which kinks are smoothed, in units of the loss, and least curvature of their rows
_SMOOTHED, _AT_FIRST, _FLAT = (0.1, 0.03, 0.01), (1.0, 0.3), 1e-4
# rows whose curvature speaks for weights of zero
_PRIOR = 0.3
# rows for each parameter that tell one memory from another are those of so many parameters at most
_TOLD = 1024
# binary orders that a value may be away from one
_FAR = 20


@dataclass(eq=False, repr=False)
class Reservoir(Fields):
    """All that is kept of a stream of many features.

    Attributes
    ----------
    n_features : int
        Of the stream.
    columns : ndarray of int
        Features that were not always zero, in the order of their appearance; arrays are about these.
    theta : ndarray of shape (1 + len(columns), n_columns)
        The model in the units worked in, the intercept first.
    linear, diagonal : ndarray of that shape or None
        What stands for rows that went; None while there are none.
    metric : ndarray or None
        Diagonal of the Hessian at the last solution.
    centre, factor, largest, second : ndarray of shape (len(columns),)
        Units of the columns, how far from their centres they reached, and weighted sums of squares in these units.
    kept, waiting : Rows
        In the solution, and since.
    weight, rows, counted : float
        Of all rows: their weights, with forgetting; how many; their weights in `second`.
    seen, begun : ndarray of bool or None, float
        Which classes were seen, and rows when the last new one came.
    anchor, trust, extent : ndarray of shape (n_features + 1, n_columns) or None, float, ndarray or None
        Model that the stream goes on from, how many rows that is worth, and how far their columns reached.
    pull, given_centre : ndarray or None
        Gradient of the penalty there, and the middle of those rows.
    seed : tuple of int
        Of the next draw.
    memory : tuple or None
        What was asked of forgetting, and the rule.
    """

    n_features: int = informative(0)
    columns: Any = informative(None)
    theta: Any = informative(None)
    linear: Any = informative(None)
    diagonal: Any = informative(None)
    metric: Any = informative(None)
    centre: Any = informative(None)
    factor: Any = informative(None)
    largest: Any = informative(None)
    second: Any = informative(None)
    kept: Any = informative(None)
    waiting: Any = informative(None)
    weight: float = informative(0.0)
    rows: float = informative(0.0)
    counted: float = informative(0.0)
    seen: Any = informative(None)
    begun: float = informative(0.0)
    anchor: Any = informative(None)
    pull: Any = informative(None)
    trust: float = informative(0.0)
    extent: Any = informative(None)
    given_centre: Any = informative(None)
    seed: tuple[int, int] = informative((0, 0))
    memory: Any = informative(None)
    #: Whether the model need not be kept beside it.
    stands_for_model: ClassVar[bool] = True

    def join_key(self) -> Any:
        return id(self)  # a stream is one model

    @property
    def shape(self) -> tuple[int, int]:
        """Parameters of a column, with the intercept, and columns."""
        return self.n_features + 1, self.theta.shape[1]

    @property
    def n_parameters(self) -> int:
        """Rows that tell a model: those of many features mostly have few each."""
        return min(self.n_features + 1, _TOLD)

    @property
    def n_rows(self) -> float:
        """What the rows that are remembered weigh."""
        return float(self.weight + self.trust)

    @property
    def mean_weight(self) -> float:
        """Of a row of the stream; one before there was any."""
        return float(self.weight / self.rows) if self.rows > 0 < self.weight else 1.0

    def allows(self, penalty: Any, bounded: bool = False) -> bool:
        """Whether a stream may go on from it with this penalty, and bounds that are to be added to it."""
        return bool(penalty.elastic and not bounded)

    def model(self) -> Array:
        """Weights and intercept in the units of the data, of shape :attr:`shape`."""
        theta = np.zeros(self.shape) if self.anchor is None else self.anchor.copy()
        W = self.theta[1:] * self.factor[:, None]
        theta[self.columns], theta[-1] = W, self.theta[0] - self.centre @ W
        return theta

    def gives(self, coef: Array, dtype: Any) -> bool:
        """Whether these are the weights of :meth:`model`, rounded to `dtype`; by column, as they may be large."""
        W = (self.theta[1:] * self.factor[:, None]).astype(dtype)
        for j, weights in enumerate(coef):
            ours = np.zeros(self.n_features, dtype) if self.anchor is None else self.anchor[:-1, j].astype(dtype)
            ours[self.columns] = W[:, j]
            if not np.array_equal(weights, ours):
                return False
        return True

    def forget(self, factor: float) -> None:
        """Let everything before count less."""
        self.kept, self.waiting = (Rows(rows.X, rows.y, rows.s * factor) for rows in (self.kept, self.waiting))
        for name in ("linear", "diagonal", "metric", "second", "counted", "weight", "rows", "begun", "trust"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value * factor)

    def moments(self) -> Moments | None:
        """Of the features of all rows, in the units of the data; None before there was one."""
        if not self.counted > 0:
            return None
        mean, squares = np.zeros(self.n_features), np.zeros(self.n_features)
        mean[self.columns] = self.centre
        squares[self.columns] = self.second / (self.mean_weight * self.factor * self.factor)
        return Moments(self.counted / self.mean_weight, mean, squares)

    def worth(self, weight: float) -> Trust:
        """What the model is worth on its own."""
        variance, centre = np.zeros(self.n_features), np.zeros(self.n_features)
        unit = self.factor * np.sqrt(max(self.counted, 1e-300))
        variance[self.columns], centre[self.columns] = self.second / (unit * unit), self.centre
        return Trust.of(weight, variance, centre)

    def copy(self) -> Reservoir:
        """The same, to be gone on with; arrays are never changed in place, so they are shared."""
        return dataclasses.replace(self)

    def recalled(self) -> Iterator[tuple[Any, Array, Array]] | None:
        """Rows that stand for the stream: features, numbers of classes, weights; None if they are too few of them."""
        parts = [part for part in (self.kept, self.waiting) if len(part.s)]
        if RECALLED * sum(len(part.s) for part in parts) < self.rows or self.trust > 0:
            return None
        return ((self._of_all_features(part.X), class_numbers(part.y), np.asarray(part.s)) for part in parts)

    def _of_all_features(self, X: Any) -> Any:
        indices = np.asarray(self.columns)[X.indices]
        return sp.csr_matrix((X.data, indices, X.indptr), (X.shape[0], self.n_features))

    def takes(self, shape: tuple[int, ...], n_features: int) -> bool:
        """Nothing: there are no matrices."""
        return False

    def go_on_from(self, theta: Array, trust: Trust, penalty: Any) -> None:
        """Begin at a model that is worth as much as the rows that it has learned, and was their optimum."""
        W = theta[:-1].astype(np.float64)
        self.anchor, self.trust, self.extent = theta.astype(np.float64), trust.weight, trust.extent
        self.pull = np.broadcast_to(penalty.l2_strength * W + penalty.l1_strength * np.sign(W), W.shape)
        self.theta = self.anchor[-1:].copy()
        if self.seen is not None:
            self.seen = np.ones(len(self.seen), bool)


def empty_reservoir(X: Any, task: Any, seed: int, centre: Array | None = None) -> Reservoir:
    """A stream before its first row.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        The rows that it begins with.
    task : Task
        What is learned.
    seed : int
        Of what is drawn.
    centre : ndarray, optional
        Of the rows before, where there were some.
    """
    k, none = task.n_columns, np.zeros(0)
    rows, first = Rows(sp.csr_matrix((0, 0)), np.zeros((0, k)), none), np.zeros((1, k))
    return Reservoir(
        n_features=X.shape[1], columns=np.zeros(0, np.int32), theta=first, metric=first, centre=none,
        factor=none, largest=none, second=none, kept=rows, waiting=rows, given_centre=centre,
        seen=None if task.n_kinds is None else np.zeros(task.n_kinds, bool), seed=(seed, 0),
    )  # fmt: skip


class ReservoirLearner:
    """One call: some rows are added to what is known.

    Parameters
    ----------
    reservoir : Reservoir
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

    def __init__(self, reservoir: Reservoir, loss: Any, penalty: Any, fit_intercept: bool, unit: Any = 1.0) -> None:
        self.at, self.loss, self.penalty, self.fit_intercept = reservoir, loss, penalty, fit_intercept
        self.unit, self.k = unit, reservoir.theta.shape[1]
        self.bend = typical_curvature(loss, self.k, unit)
        #: predictions of the rows before they were learned, where they met one model
        self.predicted: Array | None = None
        self._flat = _FLAT * self.bend if has_kinks(loss) else 0.0

    def learn(self, X: Any, y: Array, s: Array) -> Array:
        """Add rows; returns their losses before that.

        Parameters
        ----------
        X : {ndarray, csr_matrix} of shape (n_rows, n_features)
            Features.
        y : ndarray of shape (n_rows, n_columns)
            Targets as columns.
        s : ndarray of shape (n_rows,)
            Their weights.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        size = max(1, int(len(s) * (MOST // 4) / max(numbers(X), 1)))
        parts = [slice(begin, begin + size) for begin in range(0, len(s), size)]
        return np.concatenate([self._add(X[part], y[part], s[part], len(parts) == 1) for part in parts])

    def _add(self, X: Any, y: Array, s: Array, alone: bool) -> Array:
        at = self.at
        rows = Rows(self._in_units(X), y, s)
        C = self._centred(rows.X)
        if not at.counted and at.anchor is None and self.fit_intercept and self.loss.regression:
            at.theta = at.theta.copy()
            at.theta[0] = self.loss.fit_intercept_only(y, np.broadcast_to(s[:, None], y.shape))
        z = C.times(at.theta)
        self.predicted = z if alone else None
        losses = np.asarray(self.loss.value(y, z)).sum(axis=1)
        is_new = self._see(y)
        at.second = at.second + C.squares(s[:, None])[1:, 0]
        at.counted, at.weight, at.rows = at.counted + float(s.sum()), at.weight + float(s.sum()), at.rows + len(s)
        n_kept, at.waiting = len(at.kept.s), _stacked(at.waiting, rows, len(at.columns))
        waits = min(_OF_FEW * n_kept, max(_MANY, _OF_MANY * n_kept), max(_FEW, _OF_NEW * (at.rows - at.begun)))
        if is_new or n_kept < _FEW or len(at.waiting.s) >= waits:
            self._solve()
        else:
            self._follow(rows, C)
        return losses

    # ------------------------------------------------------------------ units

    def _in_units(self, X: Any) -> Any:
        """Rows of the features that were not always zero, the new ones too; the units of these follow."""
        at = self.at
        X = sp.csr_matrix(X)
        if not X.data.all():
            X = sp.csr_matrix(X, copy=True)
            X.eliminate_zeros()
        place = np.full(at.n_features, -1, np.int32)
        place[at.columns] = np.arange(len(at.columns), dtype=np.int32)
        new = np.unique(X.indices[place[X.indices] < 0])
        place[new] = len(at.columns) + np.arange(len(new), dtype=np.int32)
        if len(new):
            self._appear(new, X)
        X = sp.csr_matrix((X.data.astype(np.float64), place[X.indices], X.indptr), (X.shape[0], len(at.columns)))
        self._measure(X)
        return X

    def _appear(self, new: Array, X: Any) -> None:
        """Features that had only zeros so far: their weights are those of the model that the stream goes on from."""
        at, more = self.at, np.zeros((len(new), self.k))
        centre = np.zeros(len(new))
        if self.fit_intercept and at.given_centre is not None:
            centre = at.given_centre[new]
        elif self.fit_intercept and not at.counted:
            with np.errstate(over="ignore"):
                centre = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()[new]
            centre = np.where(np.isfinite(centre), centre, 0.0)
        weights = more if at.anchor is None else at.anchor[new]
        at.theta = np.concatenate([at.theta, weights])
        at.theta[0] += centre @ weights
        if at.linear is not None:
            at.linear, at.diagonal = np.concatenate([at.linear, more]), np.concatenate([at.diagonal, more])
        # until the next solution, as if one row of them had been seen
        at.metric = np.concatenate([at.metric, np.broadcast_to(self.bend, more.shape)])
        at.columns, at.centre = np.concatenate([at.columns, new]), np.concatenate([at.centre, centre])
        at.factor, at.second = np.concatenate([at.factor, np.ones(len(new))]), np.concatenate([at.second, more[:, 0]])
        at.largest = np.concatenate([at.largest, more[:, 0]])

    def _measure(self, X: Any) -> None:
        """Units for columns that begin to differ or have outgrown theirs: powers of two, so that nothing is rounded."""
        at = self.at
        largest = _farthest(X, at.centre)
        begins = (largest > 0) & (at.largest == 0)
        moves = begins | (largest * at.factor > 2.0**_FAR)
        at.largest = np.maximum(at.largest, largest)
        if not moves.any():
            return
        for wrong, message in ((largest > LARGEST, too_large), (moves & (largest < SMALLEST), too_small)):
            if wrong.any():
                named = np.zeros(at.n_features, bool)
                named[at.columns] = wrong
                raise ValueError(message(named))
        change = np.ones(len(moves))
        change[moves] = np.exp2(-np.ceil(np.log2(largest[moves]))) / at.factor[moves]
        at.factor, at.second = at.factor * change, at.second * change * change
        c = np.concatenate([[1.0], change])[:, None]
        at.theta = at.theta / c
        if at.linear is not None:
            at.linear, at.diagonal = at.linear * c, at.diagonal * c * c
        at.metric = at.metric * np.where(np.concatenate([[False], begins])[:, None], 1.0, c * c)

    def _centred(self, X: Any, n_more: int = 0) -> Centred:
        at = self.at
        return Centred(X, at.centre, at.factor, self.fit_intercept, n_more)

    # ------------------------------------------------------------------ the next model

    def _see(self, y: Array) -> bool:
        """Whether there was a class that was not seen before."""
        at = self.at
        if at.seen is None:
            return False
        seen = classes_in(y, len(at.seen))
        is_new = bool((seen & ~at.seen).any())
        if is_new:
            at.begun = at.rows
        at.seen = at.seen | seen
        return is_new

    def _strengths(self) -> tuple[Array, Array]:
        """Of L2 and L1 in the units worked in, of the shape of the model."""
        at, zero = self.at, np.zeros((1, self.k))
        total, f = at.n_rows, at.factor[:, None]
        shape = at.n_features, self.k
        l2, l1 = (np.broadcast_to(p, shape)[at.columns] for p in (self.penalty.l2_strength, self.penalty.l1_strength))
        l2 = total * l2 * f * f
        if not self.loss.quadratic:
            l2 = l2 + _PRIOR * self.bend * (at.second / max(at.counted, 1e-300))[:, None]
        l1 = np.concatenate([zero, total * l1 * f]) if np.any(l1) else np.broadcast_to(0.0, at.theta.shape)
        return np.concatenate([zero, l2]), l1

    def _anchored(self) -> tuple[Array | None, Array | None]:
        """Linear and diagonal terms that hold the model that the stream goes on from: its rows by their variances."""
        at = self.at
        if at.trust <= 0:
            return None, None
        W = at.anchor[at.columns]
        theta = np.concatenate([at.anchor[-1:] + at.centre @ W, W / at.factor[:, None]])
        variance = at.second / max(at.counted, 1e-300)
        if at.extent is not None:
            known = at.extent[at.columns].astype(int)
            variance = np.where(known > NO_EXTENT, np.ldexp(at.factor, known) ** 2 / 2, 0.0)
        hold = at.trust * np.concatenate([np.ones(1), variance])[:, None] * self.bend
        pull = np.concatenate([np.zeros((1, self.k)), at.pull[at.columns] * at.factor[:, None]])
        return -hold * theta - at.trust * pull, hold

    def _extended(self, rows: Rows) -> tuple[Rows, int]:
        """Rows, and one for each class that was not seen, or its intercept had no end; at the centre."""
        at = self.at
        if at.seen is None or at.seen.all():
            return rows, 0
        unseen = np.flatnonzero(~at.seen)
        y = targets_of(unseen, self.k, self.loss.columns_per_model > 1, len(at.seen))
        s = np.full(len(unseen), UNSEEN * at.weight / max(at.rows, 1e-300))
        return Rows(rows.X, np.concatenate([rows.y, y]), np.concatenate([rows.s, s])), len(unseen)

    @property
    def _smoothing(self) -> list[Any]:
        """Deviations of predictions over which kinks are smoothed, one after the other; None where there are none."""
        if not has_kinks(self.loss):
            return [None]
        return [width * self.unit for width in ((*_AT_FIRST, *_SMOOTHED) if self._unsettled else _SMOOTHED)]

    def _solve(self) -> None:
        """The optimum for the rows that are kept and those that wait, which then are kept too."""
        at = self.at
        rows = _stacked(at.kept, at.waiting, len(at.columns))
        (l2, l1), (pull, hold) = self._strengths(), self._anchored()
        extended, n_more = self._extended(rows)
        linear, diagonal = _sum((at.linear, pull), l2.shape), _sum((at.diagonal, hold, l2), l2.shape)
        del l2, pull, hold
        objective = Objective(
            self.loss, self._centred(rows.X, n_more), extended.y, extended.s, linear, diagonal, l1, least=self._flat
        )
        for objective.spread in self._smoothing:
            steps = _STEPS if objective.spread is None else _STEPS_OF_KINKS
            noise = self._noise(objective, *objective.lines(objective.C.times(at.theta)))
            while True:
                found = minimise(objective, at.theta, steps, _ENOUGH * noise)
                at.theta, before = found.theta, noise
                noise = self._noise(objective, found.slope, found.bend)
                # of a model that is certain and wrong, as before a new class, slopes have next to no curvature
                if not noise < 0.5 * before:
                    break
        room = self._room()
        if rows.X.nnz > room:
            rows = self._thinned(rows, objective, found, _REFILLED * room / rows.X.nnz)
        at.metric = objective.curvature(found.bend)
        at.kept, at.waiting = rows, Rows(rows.X[:0], rows.y[:0], rows.s[:0])

    @property
    def _unsettled(self) -> bool:
        """Whether a class was not seen, or has just come."""
        at = self.at
        return at.seen is not None and (not at.seen.all() or at.rows < 2 * at.begun)

    def _room(self) -> int:
        """Numbers of the rows that are kept."""
        return MOST * (UNSETTLED if self._unsettled else 1)

    def _noise(self, objective: Objective, slope: Array, bend: Array) -> float:
        """What the rows leave undecided by their lines, in units of the objective."""
        at = self.at
        bend = bend * (1 - bend) if objective.coupled else bend
        squares = float((objective.s**2) @ (slope * slope).sum(axis=1))
        unit = squares / max(float(objective.s @ bend.sum(axis=1)), 1e-300)
        return 0.5 * min(at.theta.size, at.rows) * max(unit, 1e-300)

    def _follow(self, rows: Rows, C: Centred) -> None:
        """Rows that wait move the model at once, by a diagonal above the Hessian.

        For a row of m numbers is :math:`(\\sum_j x_j p_j)^2 \\le m \\sum_j x_j^2 p_j^2`.
        """
        at = self.at
        hold = at.metric * (1.0 + at.kept.X.nnz / len(at.kept.s))
        linear, no_l1 = hold * at.theta, np.broadcast_to(0.0, hold.shape)
        np.negative(linear, out=linear)
        objective = Objective(self.loss, C, rows.y, rows.s, linear, hold, no_l1, self._smoothing[-1], self._flat)
        theta = minimise(objective, at.theta, _STEPS_WAITING, 0.0).theta
        # with L1 what is zero stays so until the next solution
        at.theta = np.where(at.theta == 0, 0.0, theta) if np.any(self.penalty.l1_strength) else theta

    def _thinned(self, rows: Rows, objective: Objective, found: Solution, share: float) -> Rows:
        """A share of the rows, which stand for all: what their gradient and curvature lack become terms."""
        at, n = self.at, len(rows.s)
        chance, rng = _chances(rows.s, max(1, int(share * n))), np.random.default_rng(at.seed)
        at.seed = at.seed[0], at.seed[1] + 1
        drawn = rng.random(n) < chance
        drawn[chance.argmax()] |= not drawn.any()
        chosen = np.flatnonzero(drawn)
        part = Rows(rows.X[chosen], rows.y[chosen], rows.s[chosen] / chance[chosen])
        slope, bend = found.slope[:n], found.bend[:n]
        bend = bend * (1 - bend) if objective.coupled else bend
        C, less = self._centred(rows.X), self._centred(part.X)
        gradient, s = C.turned_times(slope * rows.s[:, None]), part.s[:, None]
        gradient -= less.turned_times(slope[chosen] * s)
        every, of_part = C.squares(bend * rows.s[:, None]), less.squares(bend[chosen] * s)
        # a column of fewer rows than a row has others is not told from these
        length, told = part.X.nnz / len(part.s), np.bincount(part.X.indices, minlength=part.X.shape[1])
        unknown = np.concatenate([[0.0], length / (length + told)])[:, None] * (1 - share)
        more = np.subtract(every, of_part, out=of_part)
        if at.diagonal is not None:
            more += at.diagonal
        np.maximum(more, 0.0, out=more)
        more += np.multiply(every, unknown, out=every)
        held = more if at.diagonal is None else np.subtract(more, at.diagonal, out=every)
        gradient -= held * at.theta
        at.linear, at.diagonal = _sum((at.linear, gradient), gradient.shape), more
        return part


def _sum(terms: Iterable[Array | None], shape: tuple[int, ...]) -> Array:
    """Of the terms that there are; zeros, which take no memory, if there are none."""
    present = [term for term in terms if term is not None]
    return functools.reduce(np.add, present) if present else np.broadcast_to(0.0, shape)


def numbers(X: Any) -> int:
    """How many are not zero."""
    return int(np.count_nonzero(X.data if sp.issparse(X) else X))


def shorter(X: Any) -> bool:
    """Whether rows are so short beside the number of features that keeping them beats sums over them."""
    n, d = X.shape
    return bool(d >= _MANY_FEATURES and n <= numbers(X) <= _SHORT * n * d)


def _farthest(X: Any, centre: Array) -> Array:
    """Largest distance of each column from its centre."""
    largest = np.abs(centre) * (X.shape[0] > 0)
    np.maximum.at(largest, X.indices, np.abs(X.data - centre[X.indices]))
    return largest


def _stacked(first: Rows, second: Rows, n_features: int) -> Rows:
    """Rows one after the other, of as many features as there are now."""
    a, b = first.X, second.X
    X = sp.csr_matrix(
        (
            np.concatenate([a.data, b.data]),
            np.concatenate([a.indices, b.indices]),
            np.concatenate([a.indptr, a.indptr[-1] + b.indptr[1:]]),
        ),
        (a.shape[0] + b.shape[0], n_features),
    )
    return Rows(X, np.concatenate([first.y, second.y]), np.concatenate([first.s, second.s]))


def _chances(weight: Array, n_chosen: int) -> Array:
    """Chances in proportion to weights, none above one, that add up to a number of rows."""
    sure = np.zeros(len(weight), bool)
    while True:
        rest = float(weight[~sure].sum())
        limit = rest / max(n_chosen - int(sure.sum()), 1)
        more = ~sure & (weight >= limit)
        if not more.any():
            return np.where(sure, 1.0, np.minimum(1.0, weight / max(limit, 1e-300)))
        sure |= more


__all__ = ["LONGEST", "MOST", "UNSETTLED", "Reservoir", "ReservoirLearner", "empty_reservoir", "numbers", "shorter"]

r"""Quasi-Newton steps of all models on one batch.

On a batch every model takes steps

.. math:: \theta \leftarrow \theta + t p, \qquad p = \arg\min_p\; g^\top p + \tfrac12 p^\top B p + \|w + p\|_{1,\lambda}

Without an L1 part this is :math:`p = -B^{-1} g`, where :math:`B^{-1}` is built by L-BFGS [1]_ from steps and gradients
upon a first guess that already knows the shape of the ravine: the Cholesky factor of the Hessian of a sample of rows,

.. math:: B_0 = \frac1m \sum_i s_i \ell''(y_i, z_i)\, x_i x_i^\top + \Lambda,

or its diagonal where there are too many features: the *metric*. With an L1 part the quadratic model is minimised
exactly [2]_, in working sets of the weights where there are many, and `B` is updated in place (BFGS); so zeros are
exact. Rows and products are shared by all columns, while steps, memories, and stopping are each model's own. The
columns of one-vs-rest, which nothing couples, have lengths and memories of their own within their model: a rare class
would hold the others back.

Classes that a loss couples have one metric for all, the covariance of the features times their mean curvature, with as
much again on its diagonal (Marquardt): where classes part, the curvature of a sample says too little about the rows
that matter next, and directions of little variance would leap. L-BFGS learns the rest. Few classes of few features
have the Hessian of all of them, damped in the same way. A look along a step then gives the derivative, and what the
next gradient needs.

References
----------
.. [1] Liu and Nocedal (1989), "On the limited memory BFGS method for large scale optimization",
   doi:10.1007/BF01589116.
.. [2] Lee, Battle, Raina and Ng (2007), "Efficient sparse coding algorithms", NIPS 19, 801-808.
.. [3] Wright, Nowak and Figueiredo (2009), "Sparse reconstruction by separable approximation",
   doi:10.1109/TSP.2009.2016892.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import blas

from skvariants._quasi_newton import costs
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.groups import minimise
from skvariants._quasi_newton.hessian import Plan, diagonal_hessian, l2_strengths, sampled_hessian
from skvariants._quasi_newton.lasso import Kinks, bfgs, lasso, left_over
from skvariants._quasi_newton.leverage import CURVED, rows_apart, vanishes, without
from skvariants._quasi_newton.line_search import (
    LADDER,
    LONG,
    SHORT,
    raced_length,
    shortened,
    unit_length,
    wolfe_length,
)  # fmt: skip
from skvariants._quasi_newton.working_set import Sets
from skvariants._training.problem import by_column, by_model, columns_of
from skvariants._training.state import Fields, informative, nested, per_column, per_model, shared

Array = np.ndarray
# steps and changes of the gradient that are remembered
_MEMORY = 10
# weights that one model knows all of
_ALL = 128
# factors of the weights that are not zero that proximal steps may cost before them, and what the last few of these gain
# of all where they end
_APPROACH, _LITTLE = 1.5, 1e-5
# error of a predicted change of the gradient, beside the change, with which a metric stays
_FAITHFUL = 1e-6
# share of what is enough that weights outside of a working set may promise: correlated ones gain more than each alone
_MISSED = 0.03
# bytes of the factors of a model that are kept from batch to batch
_KEPT_BYTES = 1 << 24
# steps with a metric that is exact everywhere
_FOREVER = 1 << 30
# steps with one diagonal metric: where that is all, a new one tells little (text: as many iterations with 8 as with 30)
_DIAGONAL = 20
# last decrease times the estimate of what is left, in squares of what is enough, at which a diagonal metric is believed
_AGREED = 3.0
# decreases of so many steps, over those of as many before, say how fast they fall; between these rates a step
_TREND, _FASTEST, _SLOWEST = 3, 0.75, 0.97
# steps that find nothing lower, each with a new and more damped metric, after which a model is given up
_TRIES = 4
# predictions by which the ladder of a first step is judged where classes are coupled
_JUDGED = 1 << 16
# share of what a model has left from which the last length of a column tells
_MATTERS = 0.05
# shares of the derivative at its beginning that end a step: where another look costs little beside the products or the
# metric, and where it does not
_FLAT, _SLANTED = 0.3, 0.5
# relative damping is divided by this after a good step, times ten after a bad one, and no more than a few
_RELAX, _MOST_DAMPING = 3.0, 100.0
#: relative damping of a first metric; of one that couples the classes (letter and covertype in half of the iterations)
DAMPED, _TOGETHER = 1.0, 0.1
# and what does not hide what is left to gain
_SLIGHT = 0.01
#: a last decrease of so many times what is enough: not worth asking an old metric, where a new one is cheap
FAR_FROM_DONE = 100.0


@dataclass(eq=False, repr=False)
class DescentState(Fields):
    """Everything that changes while models descend on one batch.

    Attributes
    ----------
    active : ndarray of int
        Which of the models of the whole training these are; others have done with this batch.
    n_models : int
        How many there are in the whole training.
    theta, Z, g : ndarray
        Parameters, predictions and gradients.
    f, last, length : ndarray of shape (n_models,)
        Objective, last decrease, last length of a step: of columns with one each, their mean by the foreseen decrease.
    each, reach : ndarray of shape (n_columns,) or None
        Objective and last length of each column, where each takes steps of its own.
    decreases : list of ndarray
        The last few decreases.
    failures : ndarray of shape (n_models,)
        Steps in a row that found nothing lower.
    moved : ndarray of shape (2, n_models)
        By how much the last step and the one before have changed a prediction.
    leaps : bool
        Whether the next step is one without the rows that hold a model.
    approaching : bool
        Whether the next step is a series of proximal ones.
    steps, changes, curvatures : list of ndarray
        What L-BFGS remembers: steps, changes of the gradient, one over their inner products.
    bb_scale : ndarray of shape (n_models,)
        Scale of the metric by Barzilai and Borwein.
    damping, used : ndarray of shape (n_models,)
        Levenberg's damping of the next metric, and of the present one.
    room : ndarray of shape (n_models,)
        How many times as many weights as usual may join a working set.
    stuck : ndarray of bool, shape (n_models,)
        Which models left short of what they were asked, as no step brought them further.
    metric : Blocks, Diagonal or None
        First guess of the Hessian; `age` steps old, to be renewed after `patience` of them.
    plan : Plan
        How it is made.
    spent, price : float
        What was spent without a Hessian that couples the classes, and what one costs.
    P, slope : ndarray or None
        Direction of each column, and the decrease that each model foresees (negative), at the present point.
    """

    active: Any = informative(None)
    n_models: int = informative(1)
    theta: Any = per_column(None)
    Z: Any = per_column(None)
    g: Any = per_column(None)
    f: Any = per_model(None)
    each: Any = per_column(None)
    reach: Any = per_column(None)
    last: Any = per_model(None)
    decreases: list[Array] = per_model(list)
    failures: Any = per_model(None)
    moved: Any = per_model(None)
    leaps: bool = shared(False)
    approaching: bool = shared(False)
    length: Any = per_model(None)
    steps: list[Array] = per_column(list)
    changes: list[Array] = per_column(list)
    curvatures: list[Array] = per_column(list)
    bb_scale: Any = per_model(None)
    damping: Any = per_model(None)
    used: Any = per_model(None)
    room: Any = per_model(None)
    stuck: Any = per_model(None)
    metric: Any = nested(None)
    age: int = shared(0)
    patience: int = shared(1)
    plan: Plan = shared(Plan(0))
    spent: float = shared(0.0)
    price: float = shared(np.inf)
    P: Any = per_column(None)
    slope: Any = per_model(None)

    def take(self, models: Array) -> DescentState:
        """Models by their number in the whole training; those that have done with this batch are not here."""
        place = {int(model): position for position, model in enumerate(self.active)}
        chosen = [(place[int(model)], i) for i, model in enumerate(models) if int(model) in place]
        positions, numbers = (np.array([pair[k] for pair in chosen], int) for k in (0, 1))
        part = self.at(positions, numbers)
        part.n_models = len(models)
        return part

    def at(self, positions: Array, active: Array) -> DescentState:
        """Models by their position here, with their numbers in the whole training."""
        return replace(super().take(positions), active=active)

    def join(self, others: Any) -> DescentState:
        states = [self, *others]
        first = np.cumsum([0, *(state.n_models for state in states)])
        active = np.concatenate([state.active + begin for state, begin in zip(states, first, strict=False)])
        return replace(super().join(others), active=active, n_models=int(first[-1]))


class Descent:
    """Quasi-Newton steps of some models on one batch.

    Parameters
    ----------
    batch : StageBatch
        Rows, and the columns of these models.
    smooth : bool
        Whether the penalty is smooth.
    state : DescentState
        Where they stand; changed in place.
    """

    def __init__(self, batch: StageBatch, smooth: bool, state: DescentState) -> None:
        self.batch, self.width, self.smooth, self.state = batch, batch.width, smooth, state
        self.costs = costs.Costs(batch.n, batch.d + 1, batch.problem.rows.stored, self.width)
        problem = batch.problem
        elastic = problem.penalty.elastic
        #: whether coupled classes have few numbers, and take the steps of :mod:`skvariants._quasi_newton.small`
        self.brief = smooth and problem.loss.is_softmax and elastic and batch.whole and self.costs.small
        #: whether a look along a step gives the derivative too, and leaves that of each prediction
        self.coupled = smooth and problem.loss.is_softmax and elastic and not self.brief
        #: whether the metric is a full matrix
        self.full = batch.d <= costs.FACTORED
        #: whether the objective is a parabola along every step
        self.parabolic = smooth and problem.loss.quadratic and problem.penalty.elastic
        #: whether each column of a model has a length and a memory of its own
        self.apart = smooth and self.full and self.width > 1 and problem.loss.columns_per_model == 1
        #: whether what is left is judged by several decreases: columns that take one step hide each other's
        self.trending = smooth and self.width > 1
        #: whether the quadratic model knows some of the weights alone
        many = batch.d > costs.FACTORED or self.costs.hessian(batch.n, 1, False) > costs.CHEAP
        self.restricted = not smooth and batch.problem.penalty.elastic and many and batch.d > _ALL
        self._sets: Sets | None = None
        self._apart: Array | None = None
        state.Z = batch.ordered(state.Z)

    @classmethod
    def begin(
        cls, batch: StageBatch, theta: Array, smooth: bool, active: Array, n_models: int, damping: Array,
        metric: Any = None, Z: Array | None = None,
    ) -> Descent:  # fmt: skip
        """A descent from `theta`, of the models `active` among `n_models`, perhaps with the metric of fewer rows.

        `Z` are its predictions, where they are known.
        """
        Z = batch.predict(theta) if Z is None else Z
        state = DescentState(
            width=batch.width, active=active, theta=theta, Z=Z, f=batch.objective(Z, theta), damping=damping,
            last=np.full(len(active), np.inf), length=np.ones(len(active)), n_models=n_models,
            room=np.ones(len(active)), stuck=np.zeros(len(active), bool), failures=np.zeros(len(active)),
            moved=np.full((2, len(active)), np.inf),
        )  # fmt: skip
        descent = cls(batch, smooth, state)
        if descent.apart:
            state.each, state.reach = batch.objective_of_columns(Z, theta), np.ones(theta.shape[1])
        state.g = batch.gradient(Z, theta, descent.l2_in_gradient)
        descent.plan()
        if descent.brief:
            state.damping = np.zeros(len(active))
        elif descent.coupled:
            state.damping = np.minimum(damping, descent.first_damping)
        if descent.restricted:
            state.metric, state.approaching = diagonal_hessian(batch, Z), True
            state.bb_scale, state.used = np.ones(len(active)), state.damping
        else:
            descent.make_metric(metric)
        return descent

    @property
    def l2_in_gradient(self) -> bool:
        """Whether the smooth part of the penalty is part of the gradient."""
        return self.smooth or self.batch.problem.penalty.separable

    # ------------------------------------------------------------------ the metric

    @property
    def first_damping(self) -> float:
        """Relative damping of a first metric."""
        return _TOGETHER if self.state.plan.unit > 1 else DAMPED

    def plan(self) -> None:
        """How many rows the Hessian takes, and which columns share one: by multiplications."""
        b, state, c = self.batch, self.state, self.costs
        couples = b.problem.loss.is_softmax
        if couples and self.width * c.d <= costs.FACTORED + 1:
            state.plan = Plan(c.sample(self.width), self.width, relative=self.coupled)
            cost = c.hessian(state.plan.rows, self.width, False)
            if cost <= (c.worthwhile if self.smooth else c.affordable):
                return
            state.price = cost if cost <= c.affordable else np.inf
        rows = c.sample(1, brief=self.smooth and not b.problem.loss.regression)
        # blind to what couples the classes, a Hessian of each says little more than one for all
        common = self.width > 1 and (
            couples or c.hessian(rows, 1, False) > c.affordable or self.width * c.d * c.d * 8 > costs.HESSIAN_BYTES
        )
        rows = c.common_sample() if common else rows
        state.plan = Plan(rows, 1, common, self.coupled)

    def _cost(self, rows: int) -> float:
        """Cost of a Hessian of so many rows."""
        return self.costs.hessian(rows, self.state.plan.unit, self.state.plan.common)

    def _more_rows(self) -> int:
        """Rows of the next Hessian."""
        rows = self.state.plan.rows
        return rows if self.state.metric.exact else min(self.batch.n, 4 * rows)

    def make_metric(self, metric: Any = None) -> None:
        """The first guess of the Hessian at the present point, if none is at hand, and an empty memory."""
        state, batch = self.state, self.batch
        state.steps, state.changes, state.curvatures, state.age = [], [], [], 0
        state.bb_scale = np.ones(len(state.f))
        state.used = state.damping
        if self.restricted:
            self._make_sets()
            return
        if metric is not None:
            state.metric = metric
        elif self.full and (self.smooth or (batch.problem.penalty.modelled and not state.plan.common)):
            damping = by_column(state.damping, self.width)
            state.metric = sampled_hessian(batch, state.Z, state.plan, damping, self.smooth)
        else:
            state.metric = diagonal_hessian(batch, state.Z)
        # an exact metric is renewed at once if it costs little, others after some steps, from more rows
        share = self._cost(self._more_rows()) / self.costs.iteration()
        if state.metric.exact:
            state.patience = 1 if self.brief else int(np.clip(np.ceil(share), 1, 10))
        elif state.plan.common and self.coupled:
            state.patience = costs.LASTING
        else:
            state.patience = max(5 if state.plan.rows < batch.n else 8, min(int(share), 15))
        if self.smooth and state.metric.diagonal:
            state.patience = _DIAGONAL
        elif state.metric.exact and batch.problem.loss.quadratic:
            state.patience = _FOREVER

    @property
    def sets(self) -> Sets:
        """What makes working sets of the present models."""
        if self._sets is None:
            self._sets = Sets(self.batch, self.state.theta.shape[1])
        return self._sets

    def _make_sets(self) -> None:
        """A metric of working sets."""
        state = self.state
        damping = by_column(state.damping, self.width)
        state.metric, state.plan = self.sets.make(state.Z, state.theta, state.g, state.plan, damping, state.room)
        share = state.metric.cost / self.costs.iteration()
        state.patience = int(np.clip(np.ceil(share), 1, 10)) if state.metric.exact else 5

    def _renew(self) -> None:
        """A new metric, at the present point."""
        state = self.state
        if self.restricted:
            state.plan = replace(state.plan, rows=self._more_rows())
            self.make_metric()
            state.P = state.slope = None
            return
        state.spent += state.age * self.costs.iteration() + self._cost(state.plan.rows)
        if state.spent > costs.PATIENCE * state.price:
            state.price = np.inf
            state.plan = Plan(self.costs.sample(self.width), self.width, relative=self.coupled)
        else:
            state.plan = replace(state.plan, rows=self._more_rows())
        self.make_metric()
        state.P = state.slope = None

    @property
    def can_carry(self) -> bool:
        """Whether the metric is a factor for each column, of a size to be kept."""
        metric, few = self.state.metric, self.width * self.costs.d**2 * 8 <= _KEPT_BYTES
        coupled = self.batch.problem.loss.columns_per_model > 1
        return self.smooth and few and not (coupled or metric.diagonal) and metric.scale is None

    @property
    def metric_expired(self) -> bool:
        """Whether the metric has had its time."""
        return self.state.age >= self.state.patience

    # ------------------------------------------------------------------ where to go

    def arrived(self, tolerance: Any) -> Array:
        """Which models have no more to gain than what `tolerance` says; prepares the next step of the others.

        An old metric may end a fit, with a margin, and spare a new one.
        """
        state = self.state
        if state.approaching:
            return np.zeros(len(state.f), bool)
        while True:
            enough = tolerance(self)
            if state.P is None:
                # a direction costs more with L1 than a metric
                far = FAR_FROM_DONE if self.smooth else 1.0
                if self.smooth and ((state.failures > 0) & (state.failures < _TRIES)).any() and state.age:
                    self._renew()  # damped more, and without a memory that misled
                elif state.patience == 1 and self.metric_expired and (state.last > far * enough).all():
                    self._renew()
                state.P, state.slope = self._direction()
            expired = self.metric_expired
            settled = self._settled(0.1 * enough if expired else enough)
            if self.restricted:
                missed = self.outside
                narrow = (missed > enough) & (settled if state.age == 0 else _MISSED * missed > -state.slope)
                settled &= missed <= enough
                if narrow.any():
                    self._widen(narrow)
                    continue
            if settled.any():
                settled &= ~self._held(settled, enough)
            if settled.any() or state.leaps or not self.metric_expired:
                return settled
            self._renew()

    def _held(self, settled: Array, enough: Array) -> Array:
        """Which models have arrived by what they expect, and are held by few rows: without these they have a step."""
        state, b, width = self.state, self.batch, self.width
        asked = settled & (state.moved > CURVED).any(axis=0)
        if not (asked.any() and self.can_be_held):
            return np.zeros(len(settled), bool)
        if self._apart is None:
            self._apart = rows_apart(b.problem.rows.X, b.problem.coordinates)
        found = without(self._apart, b, state.theta, state.Z)
        if found is None:
            return np.zeros(len(settled), bool)
        P, gain = found[0], state.f - found[1]
        held = asked & (gain > enough)
        if held.any():
            columns = by_column(held, width)
            state.P, state.slope = np.where(columns, P, state.P), np.where(held, -2 * gain, state.slope)
            state.leaps = True
        return held

    @property
    def can_be_held(self) -> bool:
        """Whether the curvature of a row may end with a step, and steps of some rows can be afforded."""
        penalty = self.batch.problem.penalty
        possible = self.full and self.batch.whole
        return possible and vanishes(self.batch.problem.loss) and (penalty.separable or not penalty.has_prox)

    def _widen(self, narrow: Array) -> None:
        """New sets, as some models have more to gain outside than within; of more weights, where these are new."""
        state = self.state
        state.room = np.where(narrow, 4 * state.room, state.room) if state.age == 0 else np.ones(len(narrow))
        self.make_metric()
        state.P = state.slope = None

    def _settled(self, enough: Array) -> Array:
        """Which models have no more than `enough` to gain, by their own model of the objective, or cannot descend."""
        state = self.state
        return self.expected(enough)[1] | (state.failures >= _TRIES if self.smooth else state.last <= 0)

    def reliable(self, j: int) -> bool:
        """Whether what model `j` expects to gain is what is left: its metric is whole, and its last step fitted."""
        state = self.state
        partial = state.metric.diagonal or state.plan.unit < self.batch.problem.loss.columns_per_model
        # with L1 nothing is learned of curvature that has changed since
        partial |= not self.smooth and state.age > 1 and not self.batch.problem.loss.quadratic
        lengths = state.length[j]
        if self.apart:
            own = columns_of(np.array([j]), self.width)
            left = self._left_of_columns()[own]
            lengths = state.reach[own][left >= _MATTERS * left.sum()]
        if partial or not ((lengths >= SHORT) & (lengths <= 1 / SHORT)).all():
            return False
        if state.used[j] + state.damping[j] > 0 and not self.tends:
            return False
        return bool(np.isfinite(state.slope[j])) and (self.smooth or self._unsolved(j) <= -0.5 * state.slope[j])

    @property
    def outside(self) -> Array:
        """What each model may gain by weights that its quadratic model does not know, correlated as they may be."""
        if not self.restricted:
            return np.zeros(len(self.state.f))
        return self.sets.missed(self.state.metric, self.state.theta, self.state.g) / _MISSED

    def _left_of_columns(self) -> Array:
        """What each column has left by its slope, the more the longer its last step was."""
        state = self.state
        return -dot(state.g, state.P, 1) * np.maximum(state.reach, 1.0)

    @property
    def tends(self) -> bool:
        """Whether the last decreases say what is left, as a damped Hessian of all rows and classes says too little."""
        return self.coupled and self.state.metric.exact and len(self.state.decreases) == 2 * _TREND

    def _unsolved(self, j: int) -> float:
        """What the step of model `j` has left to gain by its own model, where there is L1; unknown of groups."""
        if not self.batch.problem.penalty.separable:
            return float("inf")
        state, metric, kinks = self.state, self.state.metric, Kinks.of(self.batch.problem.penalty, self.state.theta)
        matrices, total = metric.of_each_unit(), 0.0
        for i in range(j * self.width // metric.unit, (j + 1) * self.width // metric.unit):
            p, Q = metric.get(state.P, i), matrices[i]
            v = metric.get(state.theta + state.P, i)
            own = kinks.take(functools.partial(metric.get, j=i))
            total += left_over(Q, metric.get(state.g, i) + Q @ p, own, v)
        return total

    def expected(self, enough: Array) -> tuple[Array, Array]:
        """What each model expects to gain, and for which it is believed that this is no more than `enough`."""
        state, last = self.state, self.state.last
        noise = 8 * np.finfo(state.theta.dtype).eps * np.abs(state.f)
        # a long last step says how much too small the model's steps are; not finite: nowhere to go
        share = 0.5 if self.smooth else 1.0  # with L1 between a half and all of the slope
        left = (
            by_model(self._left_of_columns(), self.width)
            if self.apart
            else -state.slope * np.maximum(state.length, 1.0)
        )
        estimate = np.where(np.isfinite(state.slope), share * left, 0.0)
        enough = np.maximum(enough, noise)
        if self.smooth:
            failed = state.failures >= _TRIES
            state.stuck = (failed & ~(estimate <= enough)) | ~np.isfinite(state.slope)
        else:
            # no descent is no arrival: an old metric may be at fault; with a new one, no step leads further
            blocked = (last <= 0) & (estimate > enough)
            state.stuck = blocked & (state.age <= 1)
            if (blocked & ~state.stuck).any():
                state.age = max(state.age, state.patience)
                last = state.last = np.where(blocked & ~state.stuck, np.inf, last)
        if not (estimate <= enough).any():
            return estimate, np.zeros(len(estimate), bool)
        # a metric that is diagonal sees the ravine so badly, and a damped one so much curvature, that the last decrease
        # must agree; without what couples the classes, decreases are so alike that it must be a tenth
        uncoupled = state.plan.unit < self.batch.problem.loss.columns_per_model
        damped = state.used + state.damping > (_SLIGHT if state.plan.relative else 0.0)
        careful = damped | state.metric.diagonal | uncoupled
        if self.trending:
            agreed = (self._trend() <= (1.0 if self.coupled else 0.1) * enough) & (state.length >= SHORT)
        else:
            agreed = last <= (0.1 if uncoupled else 1.0) * enough
        agreed |= (estimate <= 1e-3 * enough) | ~careful
        if state.metric.diagonal and not (uncoupled or self.trending):
            # together: decreases fall by a factor, so that what is left is less than the last by the same
            agreed |= (last * estimate <= _AGREED * enough * enough) & ~damped
        settled = (estimate <= enough) & agreed
        return np.maximum(estimate, 2 * self._trend()) if self.tends else estimate, settled

    def _trend(self) -> Array:
        """What is left to gain if the decreases go on as the last few did: the sum of a geometric series."""
        past = self.state.decreases
        if len(past) < 2 * _TREND:
            return np.maximum.reduce([*past[-_TREND:], self.state.last])
        newer, older = np.add.reduce(past[-_TREND:]), np.add.reduce(past[:_TREND])
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.nan_to_num((newer / older) ** (1 / _TREND), nan=_SLOWEST, posinf=_SLOWEST)
        rate = np.clip(rate, _FASTEST, _SLOWEST)
        return newer / _TREND * rate / (1 - rate)

    def _direction(self) -> tuple[Array, Array]:
        """Direction of each column, and the decrease that the model of each model foresees (negative)."""
        state = self.state
        if self.smooth:
            P = self._two_loops()
            return P, dot(state.g, P, self.width)
        penalty, theta, d = self.batch.problem.penalty, state.theta, self.batch.d
        W, new = theta[:-1], theta.astype(np.float64)
        if state.metric.diagonal:
            step = by_column(state.bb_scale, self.width) / state.metric.h
            new[:] = theta - step * state.g
            penalty.prox(new[:-1], step[:-1], smooth=not self.l2_in_gradient)
        else:
            minimum = self._of_groups if penalty.grouped else self._of_kinks
            minimum(new)
            if not self.batch.problem.fit_intercept:
                new[-1] = theta[-1]
        new = new.astype(theta.dtype)
        P = new - theta
        change = penalty.value(new[:-1]) - penalty.value(W)
        if self.l2_in_gradient:
            l2 = l2_strengths(penalty, d, theta.shape[1])
            change = change - 0.5 * (l2 * (new[:-1].astype(np.float64) ** 2 - W * W)).sum(axis=0)
        return P, dot(state.g, P, self.width) + by_model(change, self.width)

    def _of_kinks(self, new: Array) -> None:
        """The minimum of the quadratic model with L1 and bounds."""
        state, get = self.state, self.state.metric.get
        kinks = Kinks.of(self.batch.problem.penalty, state.theta)
        for j, Q in enumerate(state.metric.matrices):
            v, own = get(state.theta, j), kinks.take(functools.partial(get, j=j))
            state.metric.put(new, j, lasso(Q, get(state.g, j) - Q @ v, own.strength, v, own.bounds))

    def _of_groups(self, new: Array) -> None:
        """The same with a norm of groups."""
        state, get, unit = self.state, self.state.metric.get, self.state.metric.unit
        for j, Q in enumerate(state.metric.matrices):
            own = self.batch.problem.penalty.take(np.arange(j * unit, (j + 1) * unit))
            v = get(state.theta, j)
            state.metric.put(new, j, minimise(Q, get(state.g, j) - Q @ v, own, v, unit))

    def _two_loops(self) -> Array:
        """L-BFGS: the inverse Hessian times minus the gradient."""
        state, width = self.state, self.width
        if len(state.f) == 1 and state.g.dtype == np.float64 and not self.apart:
            return self._two_loops_of_one()
        q = np.array(state.g, dtype=np.float64, order="C")
        memory = list(zip(state.steps, state.changes, state.curvatures, strict=True))
        alphas = []
        for s, y, rho in reversed(memory):
            a = rho * self._inner(s, q)
            _add(q, y, -a)
            alphas.append(a)
        q = np.ascontiguousarray(state.metric.solve(q) * by_column(state.bb_scale, width))
        for (s, y, rho), a in zip(memory, reversed(alphas), strict=True):
            _add(q, s, a - rho * self._inner(y, q))
        np.negative(q, out=q)
        return q.astype(state.theta.dtype, copy=False)

    def _inner(self, A: Array, B: Array) -> Array:
        """For each column the inner product of what learns together: its model, or itself."""
        return dot(A, B, 1) if self.apart else by_column(dot(A, B, self.width), self.width)

    def _two_loops_of_one(self) -> Array:
        """The same for a single model, whose numbers are one vector."""
        state = self.state
        q = state.g.copy()
        flat = q.reshape(-1)
        memory = [
            (s.reshape(-1), y.reshape(-1), float(rho[0]))
            for s, y, rho in zip(state.steps, state.changes, state.curvatures, strict=True)
        ]
        alphas = []
        for s, y, rho in reversed(memory):
            a = rho * float(np.dot(s, flat))
            blas.daxpy(y, flat, a=-a)
            alphas.append(a)
        q = state.metric.solve(q)
        q = np.ascontiguousarray(q)
        q *= state.bb_scale[0]
        flat = q.reshape(-1)
        for (s, y, rho), a in zip(memory, reversed(alphas), strict=True):
            blas.daxpy(s, flat, a=a - rho * float(np.dot(y, flat)))
        return np.negative(q, out=q)

    # ------------------------------------------------------------------ a step

    def step(self, first: bool) -> Array | None:
        """Take the step that :meth:`arrived` prepared; objectives along the ladder, if it is the first of all."""
        return self._approach(first) if self.state.approaching else self._step(first)

    def _approach(self, first: bool) -> Array | None:
        """Proximal steps in the metric of the diagonal, with lengths by Barzilai and Borwein [3]_.

        They cost two products each, and leave working sets that need not grow. A model ends where its last steps have
        gained little beside all of them, or have cost as much as some factors of the Hessian of its weights.
        """
        state, width = self.state, self.width
        start, damping, going = state.f, state.damping, np.ones(len(state.f), bool)
        cost, scores = self.costs.iteration() - costs.INTERPRETER, None
        gains: list[Array] = []
        while True:
            size = by_model(np.count_nonzero(state.theta, axis=0).astype(np.float64), width)
            going &= len(gains) * cost <= _APPROACH * np.maximum(size, _ALL) ** 3 / 3
            if len(gains) >= _TREND:
                going &= np.add.reduce(gains[-_TREND:]) > _LITTLE * (start - state.f)
            if gains and not going.any():
                break
            P, slope = self._direction()
            state.P, state.slope, before = P * by_column(going, width), np.where(going, slope, 0.0), state.f
            tried = self._step(first and not gains)
            scores = scores if gains else tried
            gains.append(before - state.f)
        state.approaching, state.damping = False, damping
        state.last, state.length, state.failures = start - state.f, np.ones(len(start)), np.zeros(len(start))
        self.make_metric()
        return scores

    def _step(self, first: bool) -> Array | None:
        state, b, width = self.state, self.batch, self.width
        P, slope, f, dtype = state.P, state.slope, state.f, state.theta.dtype
        state.P = state.slope = None
        ZP = b.predict(P)
        penalty_at = penalty_along(b.problem.penalty, state.theta[:-1], P[:-1])
        apart = self.apart and not first
        if apart:
            f, slope, width = state.each, dot(state.g, P, 1), 1
        noise = 4 * np.finfo(dtype).eps * np.abs(f)
        if self.coupled:
            t, ft, scores, r = self._coupled_length(P, ZP, noise, slope, first)
            self._move(P, ZP, t, ft, r)
            return scores

        def along(t: Array) -> Array:
            columns = by_column(t, width).astype(dtype)
            value = b.value(state.Z, ZP, columns) + penalty_at(columns)
            value = by_model(value, width)
            return np.where(np.isfinite(value), value, np.inf)

        look: Callable[[Array], Array] = along
        at_one = along(np.ones(len(f))) if self.parabolic else np.full(len(f), np.inf)
        if np.isfinite(at_one).all():
            look = parabola_along(f, slope, at_one)
        scores = None
        if first:
            t, ft, scores = raced_length(look, len(f), state.theta.shape[1])
        else:
            t, ft = unit_length(look, f, slope, self.smooth)
        t, ft = shortened(look, f, slope, noise, t, ft)
        ft = np.where((t == 1) & np.isfinite(at_one), at_one, ft)
        if not apart:
            self._move(P, ZP, t, ft)
            if self.apart:
                state.each, state.reach = b.objective_of_columns(state.Z, state.theta), by_column(t, self.width)
            return scores
        state.each, state.reach, weight = ft, t, np.maximum(-slope, np.finfo(np.float64).tiny)
        mean = by_model(weight * t, self.width) / by_model(weight, self.width)
        self._move(P, ZP, mean, by_model(ft, self.width), lengths=t)
        return scores

    def _coupled_length(
        self, P: Array, ZP: Array, noise: Array, slope: Array, first: bool
    ) -> tuple[Array, Array, Array | None, Array]:  # fmt: skip
        """Length of a step, the objective there, objectives along the ladder, and derivatives in predictions.

        Exponentials cost as much as products: each look gives the derivative along the step and all that the next
        gradient needs, and the ladder is judged by some of the rows.
        """
        state, b, width, dtype = self.state, self.batch, self.width, self.state.theta.dtype
        l2 = l2_strengths(b.problem.penalty, b.d, P.shape[1])
        W, PW = state.theta[:-1], P[:-1]
        bowl = l2 * PW
        flat, tilt, bend = (0.5 * dot(l2 * W, W, width), dot(bowl, W, width), dot(bowl, PW, width))
        r = np.empty_like(state.Z)

        def at(t: Array) -> tuple[Array, Array]:
            value, derivative = b.along(state.Z, ZP, by_column(t, width).astype(dtype), r)
            value = by_model(value, width) + flat + t * (tilt + 0.5 * t * bend)
            return np.where(np.isfinite(value), value, np.inf), by_model(derivative, width) + tilt + t * bend

        t, scores = np.ones(len(state.f)), None
        if first:
            scores = np.array([by_model(b.value_of_some(state.Z, ZP, eta, _JUDGED), width) for eta in LADDER])
            scores += flat + LADDER[:, None] * (tilt + 0.5 * LADDER[:, None] * bend)
            scores[~np.isfinite(scores)] = np.inf
            t = LADDER[np.argmin(scores, axis=0)]
        flatness = _SLANTED if self.full and not state.metric.exact else _FLAT
        t, ft = wolfe_length(at, state.f, slope, noise, t, flatness)
        return t, ft, scores, r

    def _move(
        self, P: Array, ZP: Array, t: Array, ft: Array, r: Array | None = None, lengths: Array | None = None
    ) -> None:  # fmt: skip
        """Take a step of length `t`, or of these `lengths` of columns, to objectives `ft`."""
        state, width, f = self.state, self.width, self.state.f
        columns = (by_column(t, width) if lengths is None else lengths).astype(state.theta.dtype)
        step = columns * P
        ZP *= columns
        if self.can_be_held:
            moved = np.maximum(ZP.max(axis=0), -ZP.min(axis=0)).reshape(-1, width).max(axis=1)
            state.moved = np.stack([moved, state.moved[0]])
        ZP += state.Z
        gain = f - ft
        state.Z, state.length, state.f = ZP, t, ft
        state.last = np.where((gain <= 0) & (state.age > 0), 0.0, gain)
        state.failures = np.where(gain > 0, 0, state.failures + 1)
        if self.trending:
            state.decreases = [*state.decreases, gain][-2 * _TREND :]
        self._damp(t)
        self._learn(step, r)
        if state.leaps:
            # nothing of the metric holds there
            state.leaps = False
            self._renew()

    def _damp(self, t: Array) -> None:
        """More curvature for the next metric after a short step, less after a long one.

        Where classes part, curvature vanishes from almost all rows, and a step as long as it allows overshoots in
        the others (Levenberg 1944, doi:10.1090/qam/10666).
        """
        state = self.state
        if not (state.used.any() or state.damping.any() or (t < SHORT).any()):
            return
        if state.plan.relative:
            more, less = np.clip(10 * state.used, self.first_damping, _MOST_DAMPING), state.used / _RELAX
            state.damping = np.where(t < SHORT, more, np.where(t > LONG, less, state.used))
            return
        bound = self._curvature_bound()
        # more where nothing was lower: a bound of the curvature foresees a decrease that comes true
        failed = state.failures > 0
        more = np.clip(np.where(failed, 100, 10) * state.used, np.where(failed, 1e-2, 1e-4) * bound, bound)
        less = np.where(state.used > 1e-5 * bound, state.used / 10, 0.0)
        state.damping = np.where(t < SHORT, more, np.where(t > LONG, less, state.used))

    def _curvature_bound(self) -> float:
        """The bound of the loss; where there is none, the largest curvature of some rows."""
        loss = self.batch.problem.loss
        if loss.max_curvature is not None:
            return float(loss.steepest)
        rows = slice(0, min(self.batch.n, costs.LEAST_ROWS))
        return float(max(self.batch.hessian_weights(self.state.Z, rows).max(), 1e-8))

    def _learn(self, step: Array, r: Array | None = None) -> None:
        """Gradient at the new point, and what the step tells about the curvature."""
        state, width = self.state, self.width
        before, state.theta = state.theta, state.theta + step
        if self.batch.problem.penalty.bounded:
            _settle(self.batch.problem.penalty, before, state.theta)
        g = self.batch.gradient(state.Z, state.theta, self.l2_in_gradient, r)
        s = step.astype(np.float64, copy=False)
        y = np.subtract(g, state.g, dtype=np.float64)
        state.g = g
        state.age += 1
        metric = state.metric
        if not (self.smooth or metric.diagonal):
            exact = True
            for j, Q in enumerate(metric.matrices if metric.unit == width else []):
                sj, yj = metric.get(s, j), metric.get(y, j)
                if np.abs(Q @ sj - yj).max() > _FAITHFUL * np.abs(yj).max(initial=0.0):
                    exact = False
                    bfgs(Q, sj, yj)
            if exact and metric.exact:
                state.patience = max(state.patience, state.age + 1)  # it is the Hessian here too
            return
        sy = dot(s, y, width)
        if metric.diagonal or (self.coupled and not metric.exact):
            other = sy if self.smooth else dot(s, s * metric.h, width)
            size = dot(y, metric.solve(y), width) if self.smooth else sy
            good = sy > 1e-10 * np.maximum(other, size)
            scale = np.where(good, other / np.where(good, size, 1.0), state.bb_scale)
            state.bb_scale = np.clip(scale, 1e-6, 1e6)
        else:
            good = sy > 1e-10 * np.sqrt(dot(s, s, width) * dot(y, y, width))
        if self.apart:
            sy = dot(s, y, 1)
            good = sy > 1e-10 * np.sqrt(dot(s, s, 1) * dot(y, y, 1))
        else:
            sy, good = by_column(sy, width), by_column(good, width)
        with np.errstate(divide="ignore", invalid="ignore"):
            rho = np.where(good, 1 / sy, 0.0)
        for memory, new in ((state.steps, s), (state.changes, y), (state.curvatures, rho)):
            memory.append(new)
            del memory[:-_MEMORY]

    def drop(self, positions: Array) -> None:
        """Models that have done with this batch leave it, by their position."""
        state = self.state
        remaining = np.setdiff1d(np.arange(len(state.active)), positions)
        self.batch.keep(columns_of(remaining, self.width))
        self._sets = None
        self.state = state.at(remaining, state.active[remaining])
        self.state.Z = self.batch.ordered(self.state.Z)

    def keep(self, models: Array) -> None:
        """Keep a subset of the models of the whole training."""
        place = {int(model): position for position, model in enumerate(self.state.active)}
        positions = np.array([place[int(model)] for model in models if int(model) in place], int)
        self.batch.keep(columns_of(positions, self.width))
        self._sets = None
        self.state = self.state.take(models)
        self.state.Z = self.batch.ordered(self.state.Z)


def going_on(expected: Any, last: Any) -> Any:
    """What is left to gain where decreases go on as from the last to the one expected now: a geometric series.

    Newton's decreases fall ever faster, and this adds nothing; where curvature changes along the way they do not.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rate = np.where(last > 0, np.clip(expected / last, 0.0, _SLOWEST), 0.0)
    return expected / (1.0 - np.nan_to_num(rate))


def parabola_along(f: Array, slope: Array, at_one: Array) -> Callable[[Array], Array]:
    """The parabola with value and slope at zero and a value at one."""
    bend = at_one - f - slope
    return lambda t: f + t * (slope + t * bend)


def _settle(penalty: Any, before: Array, theta: Array) -> None:
    """Put weights that a step brought to a bound, but for rounding, exactly there."""
    W, eps = theta[:-1], np.finfo(theta.dtype).eps
    for limit in penalty.limits(theta.dtype):
        at = np.broadcast_to(np.where(np.isfinite(limit), limit, 0.0), W.shape)
        rounding = 4 * eps * (np.abs(before[:-1]) + np.abs(at))
        np.copyto(W, at, where=np.isfinite(limit) & (np.abs(W - at) <= rounding))
    penalty.project(W)


def penalty_along(penalty: Any, W: Array, P: Array) -> Callable[[Array], Array]:
    """The penalty of each column at ``W + t P`` as a function of `t`; of L2 alone a parabola."""
    if penalty.has_prox or not penalty.elastic:
        return lambda t: penalty.value(W + t * P)
    curved = penalty.l2_strength * P.astype(np.float64, copy=False)
    start, slope, bend = penalty.value(W), dot(curved, W, 1), dot(curved, P, 1)
    return lambda t: start + t * (slope + 0.5 * t * bend)


def _add(q: Array, s: Array, a: Array) -> None:
    """Add `a` times `s` to each column of `q`, in one pass over a single one."""
    if q.shape[1] == 1:
        blas.daxpy(s[:, 0], q[:, 0], a=a[0])
    else:
        q += s * a


def dot(A: Array, B: Array, width: int) -> Array:
    """Inner product of each model's columns, in double precision."""
    if A.shape[1] == width and A.dtype == B.dtype == np.float64 and A.flags.c_contiguous and B.flags.c_contiguous:
        return np.dot(A.reshape(1, -1), B.reshape(-1))
    return by_model(np.einsum("ij,ij->j", A, B, dtype=np.float64), width)


__all__ = ["DAMPED", "FAR_FROM_DONE", "Descent", "DescentState", "going_on", "parabola_along", "penalty_along"]

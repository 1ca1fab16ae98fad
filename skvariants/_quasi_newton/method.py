r"""The method of ``solver="quasi_newton"``: a growing batch, and on each batch quasi-Newton steps.

Stochastic steps find the region of the optimum fast and the optimum slowly. Here the batch grows from a few
thousand rows to all of them [1]_, [2]_, and on each every model descends until it has nothing to gain there
(:mod:`skvariants._quasi_newton.descent`). Predictions are linear along a step: with ``Z = X theta`` and ``Z_p = X p``
any number of learning rates cost no further product. So the first step is a race of them, and an iteration costs two
products.

References
----------
.. [1] Friedlander and Schmidt (2012), "Hybrid deterministic-stochastic methods for data fitting", arXiv:1104.2373.
.. [2] Byrd, Chin, Nocedal and Wu (2012), "Sample size selection in optimization methods for machine learning",
   doi:10.1007/s10107-012-0572-5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._data.shuffle import SameOrder
from skvariants._quasi_newton import small
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.costs import CHEAP
from skvariants._quasi_newton.descent import DAMPED, Descent, DescentState, going_on
from skvariants._quasi_newton.hessian import Blocks
from skvariants._quasi_newton.line_search import LADDER
from skvariants._quasi_newton.neighbours import shared_factors
from skvariants._training.certificate import Certificate
from skvariants._training.method import Method, Record
from skvariants._training.problem import Problem, columns_of
from skvariants._training.race import Race
from skvariants._training.state import Fields, State, nested, per_column, per_model, shared

Array = np.ndarray
# rows of the first batch, at least, and by what the next is larger; a fifth of all, up to so many, where that is more
# (bank_full, adult and drawn tables of 10,000 rows: a third faster than 4096 for all)
_SMALLEST_BATCH, _GROWTH = 2048, 8
_FIRST_SHARE, _FIRST_BATCH = 5, 8192
# iterations on a part of the rows, at most; twice as many where classes are coupled
_STAGE_ITERATIONS = 12
# units in the last place by which predictions that grew step by step may differ from new ones
_ROUNDING = 1e4
# bytes of a memory map that are copied
_ON_DISK = 1 << 28


@dataclass(eq=False, repr=False)
class QuasiNewtonState(Fields):
    """What the method keeps beside the state of the training.

    Attributes
    ----------
    damping : ndarray of shape (n_models,)
        Levenberg's damping, from one batch to the next.
    scores : ndarray of shape (n_lengths, n_models)
        Objectives along the ladder of the first step.
    lengths : ndarray of shape (n_models,)
        Length of the first step.
    stuck : ndarray of shape (n_models,)
        Whether a model found nothing lower although its gradient says that there is.
    raced : bool
        Whether the first step was made.
    sizes, stage, inner : list of int, int, int
        Rows of all batches, which of them it is, and iterations made on it.
    factors : ndarray of shape (n_features + 1, n_features + 1, n_columns) or None
        Metrics of models that have done with this batch: what they begin the next one with.
    descent : DescentState or None
        Where the models stand on this batch.
    newton : NewtonState or None
        Where a small model stands.
    """

    damping: Any = per_model(None)
    scores: Any = per_model(None)
    lengths: Any = per_model(None)
    stuck: Any = per_model(None)
    raced: bool = shared(False)
    sizes: list[int] = shared(list)
    stage: int = shared(0)
    inner: int = shared(0)
    factors: Any = per_column(None)
    descent: DescentState | None = nested(None)
    newton: small.NewtonState | None = nested(None)


class Tolerance:
    """What is not worth another step.

    Parameters
    ----------
    fraction : ndarray of shape (n_models,)
        Fraction of the gain over the constant model.
    constant : ndarray of shape (n_models,)
        Objective of the constant model, in the units worked in.
    """

    def __init__(self, fraction: Array, constant: Array) -> None:
        self.fraction, self.constant = fraction, constant

    def keep(self, models: Array) -> None:
        """Keep a subset of the models."""
        self.fraction, self.constant = self.fraction[models], self.constant[models]

    def of(self, f: Array, models: Any = slice(None)) -> Array:
        """What is not worth another step of models at objectives `f`."""
        return self.fraction[models] * np.maximum(self.constant[models] - f, 0.0)


class QuasiNewtonSteps(Method):
    """Quasi-Newton steps on a growing batch.

    Parameters
    ----------
    problem : Problem
        What is minimised; its loss is smooth.
    state : State
        Where the models stand; changed in place.
    tolerance : Tolerance
        What is not worth another step.
    near : bool, default=False
        Whether models that begin are near their optima, and beside others of nearly their strength.
    """

    def __init__(self, problem: Problem, state: State, tolerance: Tolerance, near: bool = False) -> None:
        self.problem, self.state, self.tolerance = problem, state, tolerance
        self.smooth = not problem.penalty.has_prox
        self._rows_in_order = SameOrder(state.rng, problem.n)
        if state.method is None or not self._goes_on():
            state.method = self._start()
            self.descent: Descent | None = None
            if near:
                self._skip_stages()

    def _start(self) -> QuasiNewtonState:
        state, n_models = self.state, self.state.n_models
        return QuasiNewtonState(
            width=state.width, damping=np.full(n_models, DAMPED if self._damped else 0.0),
            scores=np.full((len(LADDER), n_models), np.inf), lengths=np.ones(n_models), stuck=np.zeros(n_models, bool),
            sizes=_sizes(self.problem, bool(state.epoch.any())),
        )  # fmt: skip

    def _skip_stages(self) -> None:
        """All rows at once, with metrics of columns that are shared by their neighbours."""
        problem, state, method = self.problem, self.state, self.state.method
        method.sizes, method.raced = [problem.n], True
        batch = StageBatch(problem, state.width, order=self._rows_in_order)
        method.factors = shared_factors(batch, state.theta) if self.smooth else None

    @property
    def _damped(self) -> bool:
        """Whether damping is relative, and begins with each batch."""
        return self.smooth and self.problem.loss.is_softmax and self.problem.penalty.elastic

    def _goes_on(self) -> bool:
        """Whether the state is one of these rows; then the batch is made again."""
        method, p = self.state.method, self.problem
        if method.sizes[-1] != p.n:
            return False
        self.descent = None
        if method.descent is None:
            return True
        active = method.descent.active
        if not len(active):
            self._grow()
            return True
        batch = self._batch(active)
        state = method.descent
        if not self._same_rows(batch, state):
            return False
        self.descent = Descent(batch, self.smooth, state)
        return True

    def _same_rows(self, batch: StageBatch, state: DescentState) -> bool:
        """Whether predictions and objective are, to rounding, those that the state remembers."""
        rounding = _ROUNDING * float(np.finfo(state.theta.dtype).eps)
        Z = batch.predict(state.theta)
        size = max(1.0, float(np.abs(Z).max(initial=0.0)))
        f = batch.objective(state.Z, state.theta)
        return bool(np.abs(Z - state.Z).max() <= rounding * size and np.allclose(f, state.f, rtol=rounding, atol=0))

    # ------------------------------------------------------------------ batches

    def _batch(self, active: Array) -> StageBatch:
        """The first rows in random order; all rows in theirs, and uncopied."""
        method, width = self.state.method, self.state.width
        m = method.sizes[method.stage]
        problem = self.problem
        if len(active) < self.state.n_models:
            problem = problem.take(columns_of(active, width))
        if m == problem.n:
            return StageBatch(problem, width, order=self._rows_in_order)
        return StageBatch(problem, width, self._rows_in_order()[:m])

    def _begin(self) -> None:
        """A descent of all models on the present batch."""
        state, method = self.state, self.state.method
        active = np.arange(state.n_models)
        batch, theta = self._batch(active), np.array(state.theta, order="C")
        Z = batch.predict(theta)
        if self.on_all_rows and (method.stage or state.epoch.any()):
            self._replace_misled(theta, Z, batch.objective(Z, theta))
        if self._damped:
            method.damping[:] = DAMPED  # other rows, another ravine
        self.descent = Descent.begin(
            batch, theta, self.smooth, active, state.n_models, method.damping.copy(), self._carried(), Z
        )
        method.descent, method.factors = self.descent.state, None

    def _replace_misled(self, theta: Array, Z: Array, f: Array) -> None:
        """Put the best constant model where other rows, or a part of them, have led to what is worse on all rows.

        Parameters, predictions and objectives of all models; the first two are changed in place.
        """
        width = self.state.width
        worse = np.flatnonzero(~(f <= self.tolerance.constant))
        if not worse.size:
            return
        columns = columns_of(worse, width)
        problem = self.problem.take(columns)
        constant = np.zeros((len(theta), len(columns)), theta.dtype)
        constant[-1] = problem.intercept_only()[0] / problem.coordinates.target
        if problem.penalty.bounded:
            problem.penalty.project(constant[:-1])
        batch = StageBatch(problem, width, order=self._rows_in_order)
        at = batch.predict(constant)
        better = columns_of(np.flatnonzero(~(f[worse] <= batch.objective(at, constant))), width)
        theta[:, columns[better]], Z[:, columns[better]] = constant[:, better], at[:, better]

    def _carry(self, positions: Array) -> None:
        """Keep the metrics of models that leave a batch: those of the next, of more rows, are much the same."""
        descent, method, width = self.descent, self.state.method, self.state.width
        if not len(positions) or not descent.can_carry:
            return
        factors = descent.state.metric.of_each_unit()
        if method.factors is None:
            method.factors = np.zeros((*factors[0].shape, self.state.theta.shape[1]))
        columns = columns_of(descent.state.active[positions], width)
        for here, there in zip(columns_of(positions, width), columns, strict=True):
            method.factors[..., there] = factors[here]

    def _carried(self) -> Blocks | None:
        """The metric of the last batch, if it was kept."""
        factors, width = self.state.method.factors, self.state.width
        if factors is None:
            return None
        matrices = [np.asfortranarray(factors[..., j]) for j in range(factors.shape[-1])]
        return Blocks(matrices=matrices, n_columns=len(matrices), width=width)

    @property
    def on_all_rows(self) -> bool:
        """Whether the batch has grown to all rows."""
        return self.state.method.stage == len(self.state.method.sizes) - 1

    # ------------------------------------------------------------------ the method

    def arrived(self) -> Array | None:
        method = self.state.method
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            while True:
                if self.descent is None:
                    self._begin()
                active = self.descent.state.active
                most = (2 if self.descent.coupled else 1) * _STAGE_ITERATIONS
                if not self.on_all_rows and (not len(active) or method.inner >= most):
                    self._grow()
                    continue
                settled = self.descent.arrived(self._enough)
                if self.on_all_rows:
                    # models that have done with this batch have done altogether
                    mask = np.zeros(self.state.n_models, bool)
                    mask[active] = settled
                    method.stuck[active] = self.descent.state.stuck
                    return mask
                if settled.any():
                    self._drop(np.flatnonzero(settled))
                    if not len(self.descent.state.active):
                        self._grow()
                    continue
                return None

    def _enough(self, descent: Descent) -> Array:
        """What is not worth another step: a fraction of the gain over a constant, or the noise of a part of the rows.

        Where a loss may be negative its size stands for it.
        """
        f, b = descent.state.f, descent.batch
        enough = self.tolerance.of(f, descent.state.active)
        if not self.on_all_rows:
            noise = 0.1 * b.problem.loss.columns_per_model * (b.d + 1) / b.n
            # a likelihood is known to that many nats, where classes part too; the variance of a residual to that share
            level = self.tolerance.constant[descent.state.active] if descent.coupled else np.abs(f)
            enough = np.maximum(enough, noise * level)
        return enough

    def _drop(self, positions: Array) -> None:
        self._carry(positions)
        self.descent.drop(positions)
        self.state.method.descent = self.descent.state

    def _grow(self) -> None:
        """The next batch."""
        if self.descent is not None:
            self._carry(np.arange(len(self.descent.state.active)))
        method = self.state.method
        method.stage, method.inner = method.stage + 1, 0
        self.descent = method.descent = None

    def iterate(self) -> Record:
        state, method, descent = self.state, self.state.method, self.descent
        first = not method.raced
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            tried = descent.step(first)
            at, active = descent.state, descent.state.active
            if first:
                scale = np.broadcast_to(self.problem.coordinates.objective_scale, (state.theta.shape[1],))
                method.scores[:, active] = tried / scale[:: state.width][active]
                method.lengths[active] = at.length
                method.raced = True
            method.damping[active] = at.damping
            method.inner += 1
            columns = columns_of(active, state.width)
            state.theta[:, columns] = at.theta
            objective = descent.batch.objective_of_user(at.Z, at.theta, at.f)
        moved = None if len(active) == state.n_models else active
        return Record(objective, at.length.copy(), descent.batch.n, moved)

    def keep(self, models: Array) -> None:
        state = self.state
        if self.descent is not None:
            self.descent.keep(models)
        state.keep(models)
        self.problem = self.problem.take(columns_of(models, state.width))
        self.tolerance.keep(models)
        if self.descent is not None:
            state.method.descent = self.descent.state

    def original(self, theta: Array) -> Array:
        return self.problem.coordinates.original(theta)

    def certificate(self, position: int) -> Certificate | None:
        """What the model of the objective expects to gain, where that is why it ends and can be relied upon."""
        descent, scale = self.descent, self.problem.coordinates.objective_scale
        units_differ = np.ndim(scale) > 0 and self.state.width > 1
        if descent is None or not self.on_all_rows or descent.state.P is None or units_differ:
            return None
        at = np.flatnonzero(descent.state.active == position)
        if not at.size:
            return None
        j = int(at[0])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            expected, believed = descent.expected(self._enough(descent))
            expected = np.maximum(expected, descent.outside)
        if not believed[j]:
            return None
        scale = float(scale[position] if np.ndim(scale) else scale)
        left = going_on(expected, descent.state.last)
        objective, estimate = float(descent.state.f[j]) / scale, float(left[j]) / scale
        return Certificate(objective, estimate=estimate, reliable=descent.reliable(j))

    def race(self, position: int) -> Race:
        method = self.state.method
        return Race(LADDER.copy(), method.scores[:, position].copy(), float(method.lengths[position]), 1)


def _sizes(problem: Problem, began: bool) -> list[int]:
    """Numbers of rows, the last one all of them; a training that has begun elsewhere looks at all rows at once."""
    rows, n = problem.rows, problem.n
    # parts of the rows are copied: of a memory map, no more than fits easily
    most = _ON_DISK // (problem.d * rows.dtype.itemsize) if rows.on_disk else n
    per_parameter = 8 if problem.loss.columns_per_model == 1 else 2
    parameters = problem.d * problem.loss.columns_per_model + 1
    m = max(per_parameter * parameters, _SMALLEST_BATCH, min(n // _FIRST_SHARE, _FIRST_BATCH))
    sizes: list[int] = []
    with_l1 = problem.penalty.has_prox
    if problem.loss.quadratic and not with_l1 and n * (problem.d + 1) ** 2 <= CHEAP:
        return [n]  # one Hessian of all rows says all
    if with_l1 and _GROWTH * m > n:
        return [n]  # rare columns mislead in a part of the rows: it must be small to be worth it
    # a copy of half of the rows is not worth it
    while not began and (2 if not sizes else 4) * m <= n and m <= most:
        sizes.append(m)
        m *= _GROWTH
    return [*sizes, n]


def quasi_newton(problem: Problem, state: State, tolerance: Tolerance, scored: bool, near: bool = False) -> Method:
    """The method that goes on from a state: Newton's on few numbers where that fits, else the general one.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    state : State
        Where the models stand.
    tolerance : Tolerance
        What is not worth another step.
    scored : bool
        Whether each iteration is scored on rows held out.
    near : bool, default=False
        Whether the models are near their optima, and beside others of nearly their strength.
    """
    general = QuasiNewtonSteps(problem, state, tolerance, near)
    method = state.method
    begins = not method.raced and method.sizes == [problem.n]
    if (begins or method.newton is not None) and not scored and small.suits(problem, state.theta.shape[1]):
        newton = small.SmallNewton(general)
        if begins or newton.goes_on():
            return newton
    method.newton = None
    return general


__all__ = ["QuasiNewtonState", "QuasiNewtonSteps", "Tolerance", "quasi_newton"]

r"""Newton's steps on sums over all rows, wherever the rows are.

A pass over the rows gives loss, gradient and, where that is worth it, the Hessian at a point. The step is

.. math:: p = \arg\min_p\; g^\top p + \tfrac12 p^\top H p + \|w + p\|_{1,\lambda}

with the Hessian `H` of a sample of the rows, corrected by what the steps tell (L-BFGS, or BFGS with L1), or that of all
rows where few passes are to be enough. Fits start at the optimum of the sample [1]_: that takes most of the way, so
that two passes end most of them. The last step, whose gain is foreseen to be below the tolerance, needs none to confirm
it.

References
----------
.. [1] Zhang, Duchi and Wainwright (2013), "Communication-efficient algorithms for statistical optimization", JMLR 14,
   3321-3363.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._blocks.apart import Ordinary
from skvariants._blocks.quadratic import by_unit, gradient_of, metric_of, minimum
from skvariants._blocks.sums import Question, Sums
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Plan, diagonal_hessian, sampled_hessian
from skvariants._quasi_newton.lasso import bfgs
from skvariants._quasi_newton.leverage import LENGTHS, rows_apart, vanishes
from skvariants._quasi_newton.line_search import ARMIJO, parabola
from skvariants._quasi_newton.method import Tolerance
from skvariants._training.certificate import Certificate
from skvariants._training.method import Method, Record
from skvariants._training.problem import Problem
from skvariants._training.race import Race
from skvariants._training.state import Fields, State, informative, nested, per_column, shared

Array = np.ndarray
#: Numbers of a side of a Hessian of a sample, and of one of all rows; of the latter all together.
FACTORED, WHOLE, NUMBERS = 1025, 257, 1 << 22
#: Steps that are remembered.
_MEMORY = 10
#: Lengths that are looked at beside one, where a step is not to be trusted.
_LADDER = np.array([0.03, 0.1, 0.25, 0.5, 2.0, 4.0])
#: Passes in a row that bring nothing, after which a fit ends.
_IDLE = 3
#: Units in the last place of the objective that are rounding.
_ROUNDING = 8
#: Times what is not worth another step that the last one may promise, where it will leave little of it: a quarter of
#: what `tol` asks.
_CLOSE = 2.5
#: What a step leaves of what was to gain, above which the metric is poor.
_POOR = 0.1
#: Times what the metric promises that the rows of the sample have to, beside those apart, to be asked for their step.
_HELD = 4.0
#: Share of what is not worth another step that is, where few rows may hold the model and no leap has freed it.
_WARNED = 0.01
#: Slow steps in a row after which they are asked before a fit ends.
_SLOW = 4
#: Times what the step before has promised, above which one promises too much.
_WILD = 10.0
#: What steps have left of what was to gain, up to which the last one needs no pass to confirm it; else it is not taken.
_KNOWN = 0.5
#: Share of what was gained that a step may promise which no pass will confirm.
_SHORT = 0.05


@dataclass(eq=False, repr=False)
class SumsState(Fields):
    """What the method keeps between passes.

    Attributes
    ----------
    f, g : ndarray or None
        Objective of each column, and gradient, at the present point; None where no pass was made there.
    metric : Blocks or Diagonal or None
        Hessian of the smooth part, or its factor.
    steps, changes : list of ndarray
        What L-BFGS remembers.
    P, slope, length : ndarray or None
        Direction of each column, what its unit foresees along it (negative), and the length of the next trial.
    wary : bool
        Whether other lengths are looked at in the next pass.
    whole : bool
        Whether the metric is the Hessian of all rows at the present point.
    rate : float
        What a step is expected to leave of what is to gain.
    rated : bool
        Whether a step has shown that.
    idle : int
        Passes in a row that brought nothing.
    least : float
        Least that was foreseen.
    failed : bool
        Whether a step by another metric than the Hessian of all rows has failed, and that is to be had.
    slow : int
        Steps in a row that left much.
    doubted : bool
        Whether the Hessian at the present point, which promises more, was not taken.
    weight : float
        Of all rows.
    asks : bool
        Whether the next pass is about the rows that are within reach of each other.
    leap : ndarray or None
        A step of these, which the next pass is to try on all rows.
    free : bool
        Whether such a step gains nothing at the present point.
    warned : bool
        Whether few rows were suspected to hold the model, and no step of the others gained.
    n_rows : int
        Rows of a pass.
    mark : bytes
        Of the sample, by which rows are recognised.
    """

    f: Any = per_column(None)
    g: Any = per_column(None)
    metric: Any = nested(None)
    steps: list[Array] = per_column(list)
    changes: list[Array] = per_column(list)
    P: Any = per_column(None)
    slope: Any = per_column(None)
    length: Any = per_column(None)
    wary: bool = shared(False)
    whole: bool = shared(False)
    rate: float = shared(0.0)
    rated: bool = shared(False)
    idle: int = shared(0)
    least: float = shared(np.inf)
    failed: bool = shared(False)
    slow: int = shared(0)
    doubted: bool = shared(False)
    weight: float = shared(0.0)
    asks: bool = shared(False)
    leap: Any = per_column(None)
    free: bool = shared(False)
    warned: bool = shared(False)
    n_rows: int = informative(0)
    mark: bytes = informative(b"")


class SummedNewton(Method):
    """Newton's steps of one model on sums.

    Parameters
    ----------
    problem : Problem
        What is minimised, on a sample of the rows.
    state : State
        Where the model stands, its method a :class:`SumsState`; changed in place.
    tolerance : Tolerance
        What is not worth another step.
    ask : callable
        Gives the sums of all rows that answer a question.
    reading : Reading
        How targets and weights are read.
    fallback : ndarray
        The best constant model, from which a fit begins anew where its start is worse.
    race : Race, optional
        How the fit of the sample found its first step.
    passes : int, optional
        All there will be: the step after the last is taken although no pass confirms it, if it promises little beside
        what was gained.
    """

    def __init__(
        self, problem: Problem, state: State, tolerance: Tolerance, ask: Callable[[Question], Sums], reading: Any,
        fallback: Array, race: Race | None = None, passes: int | None = None,
    ) -> None:  # fmt: skip
        self.problem, self.state, self.tolerance = problem, state, tolerance
        self.ask, self.reading, self.fallback, self.first_race = ask, reading, fallback, race
        self.passes = passes
        self.unit = problem.loss.columns_per_model
        self.smooth = not problem.penalty.has_prox
        self.d, self.k = problem.d, state.theta.shape[1]
        self.scale = np.broadcast_to(problem.coordinates.objective_scale, (self.k,)).astype(np.float64)

    # ------------------------------------------------------------------ a pass

    @property
    def size(self) -> int:
        """Numbers of a side of a Hessian."""
        return self.unit * (self.d + 1)

    def _measure(self, theta: Array, hessian: bool, P: Array | None = None, lengths: Any = ()) -> Sums:
        c = self.problem.coordinates
        return self.ask(
            Question(
                self.reading, self.problem.loss, c, c.original(theta), hessian, None if P is None else c.original(P),
                lengths,
            )
        )  # fmt: skip

    def _objective(self, theta: Array, losses: Array, weight: float) -> Array:
        """Objective of each column, in the units worked in."""
        return np.asarray(losses / weight * self.scale + self.problem.penalty.value(theta[:-1]))

    def _metric_of_sample(self) -> Any:
        """That of the sample: blocks of what the loss couples, or of one for all classes, or a diagonal."""
        batch = StageBatch(self.problem, self.state.width)
        Z = batch.predict(self.state.theta.astype(self.problem.rows.dtype))
        coupled = self.size <= FACTORED
        if not coupled and self.d >= FACTORED:
            return diagonal_hessian(batch, Z)
        plan = Plan(batch.n, self.unit if coupled else 1, common=not coupled, partial=True)
        return sampled_hessian(batch, Z, plan, np.zeros(self.k), self.smooth)

    @property
    def affordable(self) -> bool:
        """Whether the Hessian of all rows can be had."""
        return bool(self.size <= FACTORED and self.size**2 * (self.k // self.unit) <= NUMBERS)

    def _wants_hessian(self) -> bool:
        """Whether that of all rows pays: it is small, and more than one pass is to come."""
        m = self.state.method
        if not self.affordable:
            return False
        if m.f is None:
            return m.failed or ((m.wary or self.passes == 1) and self.size <= WHOLE)
        if m.rate * m.least <= self._enough():
            return False
        if m.whole and self.problem.loss.quadratic:
            return False
        # a large one where that of other rows or of an earlier point is poor, and as long as new ones do well
        return self.size <= WHOLE or m.slow > 1 or m.whole == (m.rate <= _POOR)

    # ------------------------------------------------------------------ the method

    def _enough(self) -> float:
        """What is not worth another step; no less than rounding."""
        f = float(self.state.method.f.sum())
        rounding = _ROUNDING * np.finfo(np.float64).eps * abs(f)
        asked = float(self.tolerance.of(np.array([f]))[0])
        return max(asked * (_WARNED if self.state.method.warned else 1.0), rounding)

    def arrived(self) -> Array | None:
        m = self.state.method
        if m.f is None:
            return None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if m.P is None:
                self._aim()
            if m.asks or m.leap is not None:
                return None
            expected, enough = self._expected(), self._enough()
            near = expected <= enough or (m.rated and expected <= _CLOSE * enough and m.rate * expected <= enough)
            near &= expected >= -enough and not m.doubted
            if near or m.idle >= _IDLE:
                m.asks = self._held(enough)
                if m.asks:
                    return None
            if near and m.rate <= _KNOWN:
                self.state.theta = self.state.theta + m.P
                m.f = m.g = None  # of the point before
            if near:
                return np.ones(1, bool)
        return np.ones(1, bool) if m.idle >= _IDLE else None

    def _expected(self) -> float:
        """What the model of the objective promises."""
        return float(-0.5 * self.state.method.slope[:: self.unit].sum())

    def iterate(self) -> Record:
        m = self.state.method
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            f = self._pass()
            if self.passes is not None:
                self.passes -= 1
                if not self.passes:
                    self._trust()
        objective = np.array([float((f / self.scale).sum())])
        eta = np.ones(1) if m.length is None else np.array([float(m.length.mean())])
        return Record(objective, eta, m.n_rows)

    def _pass(self) -> Array:
        """The next pass; objectives after it."""
        m = self.state.method
        if m.f is None:
            return self._begin()
        if m.asks:
            return self._ask_others()
        return self._step() if m.leap is None else self._leap()

    def _begin(self) -> Array:
        """A pass at the present point."""
        state, m = self.state, self.state.method
        sums = self._measure(state.theta, self._wants_hessian())
        f = self._objective(state.theta, sums.value, sums.weight)
        constant = float(self.tolerance.constant[0])
        worse = not f.sum() <= constant + self._noise(constant)
        if worse and not m.failed and (state.theta != self.fallback).any():
            # worse than a constant model: the sample, or a model that others have left, has misled
            state.theta, m.wary = self.fallback.astype(np.float64), True
            return f
        self._learn(state.theta, f, sums)
        return f

    def _trust(self) -> None:
        """Take the step after the last pass, if it is short beside the way so far."""
        m = self.state.method
        if m.f is None or (m.length < 1).any():
            return
        if m.P is None:
            self._aim()
        gained = float(self.tolerance.constant[0] - m.f.sum())
        if self._expected() <= _SHORT * gained:
            self.state.theta = self.state.theta + m.P
            m.f = m.g = None

    def _learn(self, theta: Array, f: Array, sums: Sums) -> None:
        """Take over what a pass says of a point."""
        m = self.state.method
        m.f, m.g = f, gradient_of(self.problem, theta, sums)
        m.P = m.slope = None
        m.free &= m.failed  # at the same point
        m.failed = m.doubted = False
        m.weight = float(sums.weight)
        if sums.hessian is not None:
            m.metric, m.whole, m.steps, m.changes = metric_of(self.problem, sums, self.state.width), True, [], []
        elif m.metric is None:
            m.metric = self._metric_of_sample()
        m.length = np.ones(self.k)

    def _step(self) -> Array:
        """A pass at the end of a step; units that are not lower there go less far the next time."""
        state, m = self.state, self.state.method
        expected, trial = self._expected(), state.theta + m.length * m.P
        offsets = (_LADDER[:, None] - 1.0) * m.length if m.wary else ()
        sums = self._measure(trial, self._wants_hessian(), m.P if m.wary else None, offsets)
        f = self._objective(trial, sums.value, sums.weight)
        before, after = self._by_unit(m.f), self._by_unit(f)
        noise = self._noise(before)
        slope = np.minimum(m.slope[:: self.unit], 0.0)
        good = after <= before + ARMIJO * m.length[:: self.unit] * slope + noise
        gained = float(np.where(good, before - after, 0.0).sum())
        lower = gained > float(noise.sum())
        if good.all():
            s, y = trial - state.theta, gradient_of(self.problem, trial, sums) - m.g
            former = m.metric, m.steps, m.changes
            m.wary = bool((m.length < 1).any())
            if sums.hessian is None:
                self._remember(s, y)
            state.theta = trial
            self._learn(trial, f, sums)
            self._aim()
            if sums.hessian is not None and not 0 <= self._expected() <= _WILD * expected:
                # curvature has all but vanished there: that of before, and what the step tells
                m.metric, m.steps, m.changes = former
                m.doubted = True
                self._remember(s, y)
                self._aim()
        elif self.affordable and not m.whole:
            return self._see_all(sums)
        else:
            lower |= self._shorten(good, trial, f, sums)
        new = self._expected()
        m.rate = min(1.0, max(new / expected, m.rate * m.rate)) if expected > 0 else 0.0
        m.rated = bool(good.all())
        m.slow = m.slow + 1 if m.rate > _POOR else 0
        # asked ever more rarely
        m.asks = m.slow >= _SLOW and m.slow & (m.slow - 1) == 0 and self._held(self._enough())
        m.idle = 0 if lower or new < 0.5 * m.least else m.idle + 1
        m.least = min(m.least, new)
        return m.f

    def _see_all(self, sums: Sums) -> Array:
        """After a step by a metric that has misled: the Hessian of all rows, at the point that the step began at."""
        m = self.state.method
        f = np.asarray(m.f)
        m.wary, m.steps, m.changes = True, [], []
        if self.problem.loss.quadratic and sums.hessian is not None:  # it is the same everywhere
            m.metric, m.whole, m.P, m.length = (
                metric_of(self.problem, sums, self.state.width),
                True,
                None,
                np.ones(self.k),
            )
        else:
            m.failed, m.f = True, None
        return f

    def _shorten(self, good: Array, trial: Array, f: Array, sums: Sums) -> bool:
        """Lengths of the next trial: the best that was seen, or the minimum of a parabola; whether one is lower."""
        state, m, unit = self.state, self.state.method, self.unit
        t = m.length[::unit]
        before, after = self._by_unit(m.f), self._by_unit(f)
        noise = self._noise(before)
        after = np.where(np.isfinite(after), after, np.inf)
        guess, found = np.clip(parabola(t, before, after, m.slope[::unit]), 0.1 * t, 0.5 * t), False
        if m.wary:
            seen = np.array([
                self._by_unit(self._objective(state.theta + x * m.length * m.P, losses, sums.weight))
                for x, losses in zip(_LADDER, sums.along, strict=True)
            ])  # fmt: skip
            seen = np.where(np.isfinite(seen), seen, np.inf)
            best = seen.argmin(axis=0)
            lower = seen.min(axis=0) < before
            guess = np.where(lower, _LADDER[best] * t, 0.1 * _LADDER[0] * t)
            found = bool((lower & ~good & (before - seen.min(axis=0) > noise)).any())
        m.length, m.wary = np.repeat(np.where(good, t, guess), unit), True
        return found

    def _noise(self, objective: Any) -> Any:
        """By how much rounding may change objectives."""
        return 4 * np.finfo(self.problem.rows.dtype).eps * np.abs(objective)

    def _by_unit(self, columns: Array) -> Array:
        return by_unit(columns, self.unit)

    def _dot(self, A: Array, B: Array) -> Array:
        """Inner product of each unit, for each of its columns."""
        return np.repeat(self._by_unit((A * B).sum(axis=0)), self.unit)

    # ------------------------------------------------------------------ without rows that are far from all others

    @functools.cached_property
    def ordinary(self) -> Ordinary:
        """Rows of the sample that are within reach of each other."""
        return Ordinary(self.problem, self.state.width)

    def _held(self, enough: float) -> bool:
        """Whether few rows may hold the model: by the others, it has more to gain than its metric promises."""
        m, p = self.state.method, self.problem
        if m.free or not (self.affordable and vanishes(p.loss)) or self.passes in (1, 2):
            return False
        if not (m.whole or m.steps or rows_apart(p.rows.X, p.coordinates).any()):
            return False  # the metric is that of ordinary rows
        return self.ordinary.promise(self.state.theta, m.g) > _HELD * max(enough, self._expected())

    def _ask_others(self) -> Array:
        """A pass over the rows within reach."""
        m, theta = self.state.method, self.state.theta
        m.leap = self.ordinary.step(theta, self.ask(self.ordinary.question(self.reading, theta)), m.weight)
        m.asks = False
        return self._not_held() if m.leap is None else np.asarray(m.f)

    def _not_held(self) -> Array:
        """No step of the others gains: what is promised is to be that of all rows."""
        m, f = self.state.method, np.asarray(self.state.method.f)
        if not m.whole:
            m.failed, m.f = True, None
        m.free = m.warned = True
        return f

    def _leap(self) -> Array:
        """A pass at the end of their step, and on the way to it: where it gains on all rows, there it goes on."""
        state, m, P = self.state, self.state.method, self.state.method.leap
        lengths = np.array(LENGTHS)
        offsets = np.repeat(lengths[1:, None] - 1.0, self.k, axis=1)
        sums = self._measure(state.theta + P, self.affordable and self.size <= WHOLE, P, offsets)
        seen = [
            self._objective(state.theta + t * P, losses, sums.weight)
            for t, losses in zip(lengths, [sums.value, *sums.along], strict=True)
        ]
        totals = np.nan_to_num([f.sum() for f in seen], nan=np.inf)
        best, before = int(totals.argmin()), np.asarray(m.f)
        m.leap = None
        if not totals[best] < before.sum() - self._enough():
            return self._not_held()
        state.theta = state.theta + lengths[best] * P
        m.metric, m.whole, m.steps, m.changes = None, False, [], []
        m.least, m.rated, m.idle, m.slow, m.wary = np.inf, False, 0, 0, True
        if best:
            m.f, m.failed = None, True
        else:
            self._learn(state.theta, seen[0], sums)
        return seen[best]

    # ------------------------------------------------------------------ where to go

    def _aim(self) -> None:
        """The direction, and what it promises."""
        m = self.state.method
        m.P, m.slope = self._two_loops() if self.smooth else minimum(self.problem, m.metric, m.g, self.state.theta)
        if m.least == np.inf:
            m.least = self._expected()
            m.rate = min(1.0, self.size / self.problem.n) if not m.whole else 0.0

    def _two_loops(self) -> tuple[Array, Array]:
        """L-BFGS upon the metric."""
        m = self.state.method
        q, alphas = m.g.copy(), []
        pairs = [(s, y, 1 / self._dot(s, y)) for s, y in zip(m.steps, m.changes, strict=True)]
        for s, y, rho in reversed(pairs):
            a = rho * self._dot(s, q)
            q -= a * y
            alphas.append(a)
        q = np.ascontiguousarray(m.metric.solve(q))
        for (s, y, rho), a in zip(pairs, reversed(alphas), strict=True):
            q += (a - rho * self._dot(y, q)) * s
        P = -q
        if not self.problem.fit_intercept:
            P[-1] = 0.0
        return P, self._dot(m.g, P)

    def _remember(self, s: Array, y: Array) -> None:
        """What a step and the change of the gradient tell of the curvature."""
        m = self.state.method
        m.whole &= self.problem.loss.quadratic
        if not self.smooth:
            for j, Q in enumerate(m.metric.matrices):
                bfgs(Q, m.metric.get(s, j), m.metric.get(y, j))
            return
        if (self._dot(s, y) > 1e-10 * np.sqrt(self._dot(s, s) * self._dot(y, y))).all():
            m.steps, m.changes = [*m.steps, s][-_MEMORY:], [*m.changes, y][-_MEMORY:]

    # ------------------------------------------------------------------ what is asked afterwards

    def keep(self, models: Array) -> None:
        """Nothing: there is one model."""

    def original(self, theta: Array) -> Array:
        return self.problem.coordinates.original(theta)

    def certificate(self, position: int) -> Certificate | None:
        """What the last step was expected to gain; twice that, by a Hessian of a sample."""
        m, state = self.state.method, self.state
        if m.slope is None:
            if m.f is None:
                return None
            self._aim()
        expected = -0.5 * float((m.slope / self.scale).sum()) / self.unit
        objective = float(state.history[-1]["objective"][0])
        return Certificate(objective, estimate=(1 if m.whole else 2) * max(expected, 0.0))

    def race(self, position: int) -> Race | None:
        return self.first_race


__all__ = ["FACTORED", "SummedNewton", "SumsState"]

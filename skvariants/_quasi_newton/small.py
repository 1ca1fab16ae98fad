"""Newton's method for one model on few numbers, where the interpreter costs more than the arithmetic.

The plain rule is :class:`skvariants._quasi_newton.descent.Descent`, which takes the same steps for any number of
models, rows and losses, damps them where classes part, and remembers old gradients. It goes on as soon as a step here
is not as it should be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack

from skvariants._quasi_newton.costs import Costs
from skvariants._quasi_newton.descent import FAR_FROM_DONE, going_on
from skvariants._quasi_newton.hessian import coupled_products, finished
from skvariants._quasi_newton.leverage import CURVED, rows_apart, vanishes
from skvariants._quasi_newton.line_search import ARMIJO, LADDER, SHORT
from skvariants._training.certificate import Certificate
from skvariants._training.method import Method, Record
from skvariants._training.problem import by_model
from skvariants._training.state import Fields, informative

Array = np.ndarray
# by how much predictions that grew step by step may differ from new ones
_ROUNDING = 1e-11
_ARRIVED = np.ones(1, bool)


def suits(problem: Any, columns: int) -> bool:
    """Whether a problem is a model of one column or coupled ones on a small dense table, with a smooth penalty."""
    p = problem
    few = Costs(p.n, p.d + 1, p.rows.stored, columns).small
    single = columns == p.loss.columns_per_model and (columns == 1 or p.loss.is_softmax)
    return few and single and not p.rows.sparse and p.penalty.elastic and not p.penalty.has_prox


@dataclass(eq=False, repr=False)
class NewtonState(Fields):
    """Where a small model stands, in double precision.

    Attributes
    ----------
    w, z : ndarray of shape (n_features + 1, n_columns), (n_rows, n_columns)
        Parameters and predictions.
    f, last, length, moved, before : float
        Objective, last decrease, last length of a step, and by how much that and the one before changed a prediction.
    factor : ndarray or None
        Cholesky factor of the last Hessian.
    P, ZP, slope : ndarray or None, ndarray or None, float
        Direction of the next step in parameters and in predictions, and the directional derivative.
    to_gain : float
        What the last model of the objective expects to gain from here.
    """

    w: Any = informative(None)
    z: Any = informative(None)
    f: float = informative(math.inf)
    last: float = informative(math.inf)
    length: float = informative(1.0)
    moved: float = informative(math.inf)
    before: float = informative(math.inf)
    factor: Any = informative(None)
    P: Any = informative(None)
    ZP: Any = informative(None)
    slope: float = informative(0.0)
    to_gain: float = informative(math.inf)

    def join_key(self) -> Any:
        return id(self)  # a single model: it is joined to no other

    def copy(self) -> NewtonState:
        copy = super().copy()
        copy.w, copy.z = self.w.copy(), self.z.copy()
        return copy


class SmallNewton(Method):
    r"""Newton steps, :math:`\theta \leftarrow \theta - t H^{-1} g`, as long as they go well.

    Parameters
    ----------
    general : QuasiNewtonSteps
        Its problem, state and tolerance are used; it goes on where steps go badly.
    """

    def __init__(self, general: Any) -> None:
        p = general.problem
        self.general, self.state, self.problem = general, general.state, p
        self.unit = float(np.ravel(p.coordinates.target)[0])
        self.C = p.coordinates.rows(p.rows.X, np.float64)
        if not p.fit_intercept:
            self.C[:, -1] = 0.0
        y, self.s = p.labels_of(slice(None))
        self.y = y.astype(np.float64, copy=False)
        self.l2 = np.zeros((p.d + 1, self.state.theta.shape[1]))
        self.l2[:-1] = p.penalty.l2_strength
        self.per_row = 1.0 / (self.unit * self.unit * p.n)
        self.eps = float(np.finfo(self.state.theta.dtype).eps)
        self.failed = False
        method = self.state.method
        if method.newton is None:
            w = self.state.theta.astype(np.float64)
            method.newton = NewtonState(w=w, z=self._predict(w))
            method.newton.f = self._objective(0.0, 0.0, 0.0)
            # where other rows have led to what is worse than a constant model, the general method begins with that
            self.failed = bool(self.state.epoch.any() and not method.newton.f <= general.tolerance.constant[0])
        self.r = np.empty_like(method.newton.z)

    def _predict(self, w: Array) -> Array:
        z = self.C @ w
        z *= self.unit
        return z

    def _objective(self, t: float, ZP: Any, P: Any) -> float:
        at = self.state.method.newton
        v = at.w + t * P
        total = self.problem.loss.total(self.y, at.z + t * ZP, self.s)
        return float(total.sum() * self.per_row + 0.5 * np.vdot(self.l2 * v, v))

    def _ladder(self, ZP: Array, P: Array) -> Array:
        """Objectives of the lengths of the ladder, side by side."""
        at, count, k = self.state.method.newton, len(LADDER), P.shape[1]
        if self.problem.loss.quadratic:  # the parabola through value, slope and the value after a whole step
            whole = self._objective(1.0, ZP, P)
            return np.asarray(at.f + LADDER * at.slope + LADDER**2 * (whole - at.f - at.slope))
        t = np.repeat(LADDER, k)

        def copies(A: Array) -> Array:
            return A if k == 1 else np.tile(A, (1, count))

        v = copies(at.w) + t * copies(P)
        total = self.problem.loss.total(copies(self.y), copies(at.z) + t * copies(ZP), self.s)
        return by_model(total * self.per_row + 0.5 * (copies(self.l2) * v * v).sum(axis=0), k)

    def goes_on(self) -> bool:
        """Whether the state is one of these rows."""
        at: Any = self.state.method.newton
        z, f = self._predict(at.w), self._objective(0.0, 0.0, 0.0)
        same = np.abs(z - at.z).max() <= _ROUNDING * max(1.0, float(np.abs(z).max()))
        return bool(same) and math.isclose(f, at.f, rel_tol=_ROUNDING)

    def arrived(self) -> Array | None:
        at = self.state.method.newton
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if at.P is None and not self.failed:
                return self._prepare(at)
        return None

    def _prepare(self, at: NewtonState) -> Array | None:
        """The next step, unless it is not worth it."""
        loss = self.problem.loss
        self.failed = not math.isfinite(at.f)
        if self.failed:
            return None
        # gradient, and what is not worth another step
        g = self._gradient(at)
        tolerance = self.general.tolerance
        gain = max(float(tolerance.constant[0]) - at.f, 0.0)
        enough = max(float(tolerance.fraction[0]) * gain, 8 * self.eps * abs(at.f))
        reach = 0.5 * max(at.length, 1.0)
        near = at.moved <= CURVED or not vanishes(loss)
        if at.factor is not None and (loss.quadratic or (at.last <= FAR_FROM_DONE * enough and near)):
            at.to_gain = -reach * float(np.vdot(g, self._step(at.factor, g)))
            if at.to_gain <= (1.0 if loss.quadratic else 0.1) * enough:
                return _ARRIVED
        at.factor = self._factor(at)
        P = self._step(at.factor, g)
        slope = float(np.vdot(g, P))
        self.failed = not math.isfinite(slope)
        if self.failed:
            return None
        at.to_gain = -reach * slope
        done = at.to_gain <= enough or at.last <= 0
        if done:
            settled = max(at.before, at.moved) <= CURVED or not vanishes(loss)
            self.failed = not settled and bool(rows_apart(self.problem.rows.X, self.problem.coordinates).any())
            return None if self.failed else _ARRIVED
        ZP = self._predict(P)
        if np.abs(ZP).max() <= self.eps * np.abs(at.z).max():
            return _ARRIVED  # no prediction would change
        at.P, at.ZP, at.slope = P, ZP, slope
        return None

    def _factor(self, at: NewtonState) -> Array:
        """Cholesky factor of the Hessian; a column without curvature stays where it is."""
        p = self.problem
        if p.loss.is_softmax:
            H = coupled_products(self.C, p.loss.probability(at.z), self.s)
        else:
            B = self.C
            if not (p.loss.quadratic and p.loss.max_curvature == 1.0 and self.s is None):
                D = p.loss.curvature(self.y, at.z)
                B = self.C * np.sqrt(D if self.s is None else D * self.s)
            H = B.T @ B
        H /= p.n
        return finished(H, self.l2, p.fit_intercept, np.dtype(np.float64), True)

    @staticmethod
    def _step(factor: Array, g: Array) -> Array:
        """Newton's step."""
        return -lapack.dpotrs(factor, g.ravel("F"), lower=1)[0].reshape(g.shape[::-1]).T

    def _gradient(self, at: NewtonState) -> Array:
        r = self.r
        self.problem.loss.gradient(self.y, at.z, r)
        if self.s is not None:
            r *= self.s
        g = self.C.T @ r
        g *= self.per_row * self.unit
        g += self.l2 * at.w
        return g

    def iterate(self) -> Record | None:
        if self.failed:
            return None
        method = self.state.method
        at = method.newton
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            t, ft, scores = self._length(at, not method.raced)
            if t < SHORT or not ft <= at.f + ARMIJO * t * at.slope:
                return None
        if scores is not None:
            method.scores[:, 0], method.lengths[0], method.raced = scores * self.unit * self.unit, t, True
        at.w = at.w + t * at.P
        at.z = at.z + t * at.ZP
        at.before, at.moved = at.moved, t * float(np.abs(at.ZP).max())
        at.last, at.length, at.f, at.P, at.ZP, at.to_gain = at.f - ft, t, ft, None, None, math.inf
        self.state.theta[...] = at.w
        return Record(np.array([ft * self.unit * self.unit]), np.array([t]), self.problem.n)

    def _length(self, at: Any, first: bool) -> tuple[float, float, Array | None]:
        """Length of the step, and the objective there; predictions are linear along it."""
        if first:
            scores = self._ladder(at.ZP, at.P)
            scores[~np.isfinite(scores)] = math.inf
            best = int(np.argmin(scores))
            return float(LADDER[best]), float(scores[best]), scores
        t, ft = 1.0, self._objective(1.0, at.ZP, at.P)
        # the parabola through value, slope and this value
        bend = ft - at.f - at.slope
        guess = -0.5 * at.slope / bend if bend > 0 else 1.0
        if math.isfinite(guess) and abs(math.log(max(guess, 0.1))) > 0.25:
            guess = min(max(guess, 0.1), 10.0)
            other = self._objective(guess, at.ZP, at.P)
            if other < ft:
                t, ft = guess, other
        return t, ft, None

    def successor(self) -> Method:
        self.state.method.newton = None
        return self.general

    def certificate(self, position: int) -> Certificate:
        at, unit = self.state.method.newton, self.unit * self.unit
        fitted = SHORT <= at.length <= 1 / SHORT
        left = float(going_on(at.to_gain, np.float64(at.last)))
        return Certificate(at.f * unit, estimate=left * unit, reliable=fitted)

    def race(self, position: int) -> Any:
        return self.general.race(position)

    def keep(self, models: Array) -> None:
        raise AssertionError("a single model leaves with all")

    def original(self, theta: Array) -> Array:
        return self.problem.coordinates.original(theta)


__all__ = ["NewtonState", "SmallNewton", "suits"]

r"""How much is left to gain by a second-order model, and the certificates of fits.

A few Newton steps are made on some rows `S` (all, where that is cheap) with one Hessian of theirs, and with the
gradient of all rows [1]_:

.. math:: \varphi(p) = f_S(\theta + p) - f_S(\theta) + (\nabla f(\theta) - \nabla f_S(\theta))^\top p

What they gain, and twice what the model expects of one more, is the estimate. Where the steps do not come to an end,
the model is wrong, and there is none.

References
----------
.. [1] Johnson and Zhang (2013), "Accelerating stochastic gradient descent using predictive variance reduction",
   NIPS 26.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Blocks, Plan, diagonal_hessian, l2_strengths, sampled_hessian
from skvariants._quasi_newton.lasso import Kinks, lasso, left_over
from skvariants._quasi_newton.leverage import rows_apart, vanishes, without
from skvariants._training.certificate import Certificate, Predicted
from skvariants._training.problem import by_model

Array = np.ndarray
# multiplications that a Hessian may cost: so many, or so many passes over the stored values
_MULTIPLICATIONS, _PASSES = 1e7, 2
# numbers of a side of a matrix that is factored; with L1
_FACTORED, _FACTORED_L1 = 1024, 256
# as many rows for each number of a side, or all; rows and steps of conjugate gradients where that costs too much
_ROWS, _LEAST_ROWS, _MOST_ROWS, _SHARE, _INNER = 2, 2048, 2048, 16, 24
# stored values for each feature from which products pay beside what is done to the weights
_STORED = 32
# Newton steps, their lengths, and what the last may expect beside what all have gained
_STEPS = 4
_LENGTHS = (1.0, 4.0, 2.0, 0.5, 0.25, 0.0625)
_LEFT, _TRUSTED = 0.05, 0.25
# share of what conjugate gradients have gained that their last two steps add when they end; error of what they expect
# with which they are not asked again
_SETTLED, _AGREED = 0.05, 0.25
# times what `tol` allows, of bounds that are too far from it
_FAR = 1.2
# units in the last place of the objective that are rounding
_ROUNDING = 64


class Factored:
    """Curvature as a matrix for each unit of columns.

    Parameters
    ----------
    blocks : Blocks
        Hessians, factored where `kinks` is None.
    kinks : Kinks or None
        Of the penalty, where it has any.
    """

    costly = False

    def __init__(self, blocks: Blocks, kinks: Kinks | None) -> None:
        self.blocks, self.kinks = blocks, kinks
        #: what the last step has left to gain, of each unit, by the model itself
        self.unsolved = np.zeros(blocks.n_columns // blocks.unit)

    def step(self, g: Array, theta: Array) -> Array:
        """The step that minimises the model, :math:`g^\\top p + \\tfrac12 p^\\top H p + \\lambda |\\theta + p|`."""
        if self.kinks is None:
            return np.asarray(-self.blocks.solve(g))
        out = np.empty(g.shape)
        for j, Q in enumerate(self.blocks.of_each_unit()):
            v, c = (self.blocks.get(x, j) for x in (theta, g))
            own = self.kinks.take(functools.partial(self.blocks.get, j=j))
            new = lasso(Q, c - Q @ v, own.strength, v, own.bounds)
            self.unsolved[j] = left_over(Q, c + Q @ (new - v), own, new)
            self.blocks.put(out, j, new - v)
        return out


class Sampled:
    """Curvature as products with some rows: conjugate gradients, or proximal ones, as far as they come.

    Parameters
    ----------
    batch : StageBatch
        The rows.
    Z : ndarray of shape (n_rows, n_columns)
        Predictions.
    kinks : Kinks or None
        Of the penalty, where it has any.
    """

    costly = True

    def __init__(self, batch: StageBatch, Z: Array, kinks: Kinks | None) -> None:
        p = batch.problem
        self.problem, self.X, self.unit, self.kinks = p, batch.X, p.loss.columns_per_model, kinks
        rows = slice(0, batch.n)
        self.s = batch.weights(rows)
        self.coupling = batch.coupling(Z, rows) if p.loss.is_softmax else None
        self.D = np.broadcast_to(batch.hessian_weights(Z, rows), Z.shape)
        self.diagonal = diagonal_hessian(batch, Z).h
        self.extra = np.zeros(self.diagonal.shape)
        self.extra[:-1] = l2_strengths(p.penalty, p.d, Z.shape[1])
        if not p.coordinates.identity:
            # a standardised column has variance one, also where these rows do not show it
            level = self.D.mean(axis=0)
            shown = self.diagonal[:-1] - self.extra[:-1]
            missing = np.where((shown < 0.5 * level) & (p.coordinates.inverse_scale > 0), level - shown, 0.0)
            self.extra[:-1] += missing
            self.diagonal[:-1] += missing
        self.unsolved = np.zeros(self.D.shape[1] // self.unit)

    def times(self, V: Array) -> Array:
        """Hessian times `V`."""
        p, dtype = self.problem, self.problem.rows.dtype
        r = p.predict(self.X, V.astype(dtype, copy=False)).astype(np.float64, copy=False)
        if self.coupling is None:
            r *= self.D
        else:
            P = self.coupling.reshape(len(r), -1, self.unit)
            r = r.reshape(P.shape)
            r = (P * (r - (P * r).sum(axis=2, keepdims=True))).reshape(len(r), -1)
            r = r if self.s is None else r * self.s
        g = p.gradient(self.X, r.astype(dtype, copy=False), np.empty(V.shape, dtype), p.n)
        return np.asarray(g + self.extra * V)

    def step(self, g: Array, theta: Array) -> Array:
        """A step that nearly minimises the model."""
        return self._conjugate(g) if self.kinks is None else self._proximal(g, theta)

    def _conjugate(self, g: Array) -> Array:
        x, r = np.zeros(g.shape), -g
        d = r / self.diagonal
        rho = self._dot(r, d)
        gained = recent = earlier = np.zeros(len(rho))
        for _ in range(_INNER):
            q = self.times(d)
            bend = self._dot(d, q)
            t = np.where(bend > 0, rho / np.where(bend > 0, bend, 1.0), 0.0)
            x += t * d
            recent, earlier = 0.5 * t * rho, recent
            gained = gained + recent
            if (recent + earlier <= _SETTLED * gained).all():
                break
            r -= t * q
            z = r / self.diagonal
            new = self._dot(r, z)
            d = z + new / np.maximum(rho, 1e-300) * d
            rho = new
        # decreases fall slowly: as much again as the last few
        self.unsolved = 2 * (recent + earlier)[:: self.unit]
        return x

    def _proximal(self, g: Array, theta: Array) -> Array:
        """Accelerated proximal steps (Beck and Teboulle 2009, doi:10.1137/080716542) in the metric of the diagonal."""
        assert self.kinks is not None
        x = g / self.diagonal
        for _ in range(6):  # the largest curvature, by powers
            x = self.times(x) / self.diagonal
            largest = np.sqrt(self._dot(x, x))
            x /= np.maximum(largest, 1e-300)
        h = 1.1 * np.maximum(largest, 1e-300) * self.diagonal
        v = y = theta
        t = 1.0
        for _ in range(_INNER):
            w = y - (g + self.times(y - theta)) / h
            new = self.kinks.prox(w, 1 / h)
            following = 0.5 * (1 + np.sqrt(1 + 4 * t * t))
            y = new + (t - 1) / following * (new - v)
            v, t = new, following
        return v - theta

    def _dot(self, A: Array, B: Array) -> Array:
        return np.repeat(by_model((A * B).sum(axis=0), self.unit), self.unit)


class Surrogate:
    """What is minimised over some rows, with the gradient of all.

    Parameters
    ----------
    at : Predicted
        The models.
    Z : ndarray of shape (n_samples, n_columns)
        Their predictions.
    u : ndarray of shape (n_samples, n_columns)
        Slopes there.
    g : ndarray of shape (n_features + 1, n_columns)
        Mean of the rows times these slopes.
    """

    def __init__(self, at: Predicted, Z: Array, u: Array, g: Array) -> None:
        p, self.unit = at.problem, at.unit
        self.penalty, self.theta = p.penalty, at.theta.astype(np.float64)
        self.kinks = Kinks.of(p.penalty, at.theta) if p.penalty.has_prox else None
        index, plan = _rows(at, self.kinks is not None)
        self.all = index is None
        self.batch = StageBatch(p, at.unit, index)
        self.Z = Z if index is None else Z[index]
        if plan is None:
            self.curvature: Any = Sampled(self.batch, self.Z, self.kinks)
        else:
            blocks = sampled_hessian(self.batch, self.Z, plan, np.zeros(Z.shape[1]), self.kinks is None)
            self.curvature = Factored(blocks, self.kinks)
        # slopes of some rows differ from those of all by as much, balanced or not
        s, v = self.batch.weights(slice(0, self.batch.n)), u if index is None else u[index]
        v = (v if s is None else v * s).astype(at.theta.dtype) / self.batch.n
        self.correction = g - self.batch.problem.gradient(self.batch.X, v, np.empty_like(at.theta))
        self.value = self.batch.value(self.Z)

    def _gradient(self, Z: Array) -> Array:
        dtype = self.batch.problem.rows.dtype
        return self.batch.gradient(Z.astype(dtype), self.theta.astype(dtype), False).astype(np.float64)

    def gradient(self, Z: Array, theta: Array) -> Array:
        """Gradient of the smooth part at predictions of the rows."""
        g = self._gradient(Z) + self.correction
        self.penalty.add_gradient(theta[:-1], g[:-1])
        return g

    def gain(self, Z: Array, theta: Array) -> Array:
        """By how much each unit of columns is less than where they started."""
        penalty = self.penalty.value(self.theta[:-1]) - self.penalty.value(theta[:-1])
        columns = self.value - self.batch.value(Z) - (self.correction * (theta - self.theta)).sum(axis=0) + penalty
        return by_model(columns, self.unit)

    def to_gain(self) -> tuple[Array, Array]:
        """What each unit is expected to gain, infinite where the model is wrong; predictions that have gained it."""
        theta, Z = self.theta, self.Z
        gained = np.zeros(theta.shape[1] // self.unit)
        noise = _ROUNDING * np.finfo(self.batch.problem.rows.dtype).eps * np.abs(by_model(self.value, self.unit))
        first = np.full(len(gained), np.inf)
        for step in range(_STEPS):
            P, expected = self.model(Z, theta)
            first = expected if step == 0 else first
            if not (expected > np.maximum(_LEFT * gained, noise)).any():
                break
            before, (theta, Z, gained) = gained, self.advance(theta, Z, gained, P, expected)
            left = self.curvature.unsolved + np.abs(gained - before - expected)
            if self.curvature.costly and (left <= _AGREED * gained).all():
                return gained + left, Z
        else:
            P, expected = self.model(Z, theta)
        trusted = expected <= np.maximum(_TRUSTED * np.minimum(gained, first), noise)
        return np.where(trusted & np.isfinite(gained), gained + 2 * expected, np.inf), Z

    def model(self, Z: Array, theta: Array) -> tuple[Array, Array]:
        """A step, and what the model expects of it."""
        g = self.gradient(Z, theta)
        P = self.curvature.step(g, theta)
        change = (g * P).sum(axis=0)
        if self.kinks is not None:
            change = change + (self.kinks.strength * (np.abs(theta + P) - np.abs(theta))).sum(axis=0)
        # at the minimum of the model the decrease is at least half of that
        unsolved = self.curvature.unsolved
        if len(unsolved) > theta.shape[1] // self.unit:
            unsolved = by_model(unsolved, self.unit)
        expected = by_model(-0.5 * change, self.unit) + unsolved
        return P, np.where(np.isfinite(expected), np.maximum(expected, 0.0), np.inf)

    def advance(
        self, theta: Array, Z: Array, gained: Array, P: Array, expected: Array
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        """The best of some lengths of a step, for each unit; predictions are linear along it."""
        ZP = self.batch.predict(P.astype(self.batch.problem.rows.dtype))
        best, length = gained, np.zeros(len(gained))
        for t in _LENGTHS:
            gain = self.gain(Z + t * ZP, theta + t * P)
            better = gain > best
            best, length = np.where(better, gain, best), np.where(better, t, length)
            if t == 1 and (best - gained >= 0.5 * expected).all():
                break
        length = np.repeat(length, self.unit)
        return theta + length * np.nan_to_num(P), Z + length * np.nan_to_num(ZP), best


def _rows(at: Predicted, l1: bool) -> tuple[Array | None, Plan | None]:
    """Some rows, or None for all, and the plan of their Hessian; None where products are to stand for it."""
    p, n, k = at.problem, at.n, at.theta.shape[1]
    budget = max(_MULTIPLICATIONS, _PASSES * p.rows.stored * k)
    units = [at.unit, 1] if p.loss.is_softmax else [1]
    for unit in units:
        size = unit * (p.d + 1)
        rows = int(min(n, budget * unit / (k * size * size), max(_MOST_ROWS, 4 * _ROWS * size)))
        if size <= (_FACTORED_L1 if l1 else _FACTORED) and rows >= min(n, _ROWS * size):
            return _some(n, rows), Plan(rows, unit)
    return _some(n, min(n, max(_LEAST_ROWS, n // _SHARE))), None


def _some(n: int, rows: int) -> Array | None:
    return None if rows >= n else np.sort(np.random.default_rng(0).choice(n, rows, replace=False, shuffle=False))


def _has_model(at: Predicted) -> bool:
    """Whether a second-order model is known, and worth its price."""
    p, d = at.problem, at.problem.d
    known = at.loss.smooth and (p.penalty.separable or not p.penalty.has_prox) and np.isfinite(at.theta).all()
    return bool(known and (d <= _FACTORED or p.rows.stored >= _STORED * d))


def _of_others(at: Predicted, Z: Array) -> Array:
    """What each unit gains by a step without the few rows that may hold it by a curvature that ends."""
    p = at.problem
    none = np.zeros(at.theta.shape[1] // at.unit)
    known = p.coordinates.identity or p.coordinates.inverse_scale is not None
    if not (known and vanishes(at.loss) and p.d <= _FACTORED):
        return none
    apart = rows_apart(p.rows.X, p.coordinates)
    if not apart.any():
        return none
    batch = StageBatch(p, at.unit)
    found = without(apart, batch, at.theta, Z)
    return none if found is None else np.maximum(batch.objective(Z, at.theta) - found[1], none)


def certify(problem: Any, theta: Array, width: int, constant: Array, tol: Array) -> list[Certificate]:
    """Certificates of models side by side, for a product with all rows and one with their transpose.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    theta : ndarray of shape (n_features + 1, n_columns)
        The models, in the coordinates worked in.
    width : int
        Columns of a model.
    constant : ndarray of shape (n_models,)
        Objectives of the best constant models.
    tol : ndarray of shape (n_models,)
        Where all bounds are within, nothing is estimated.

    Returns
    -------
    list of Certificate
        An estimate that was not made is not a number.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        at = Predicted(problem, np.ascontiguousarray(theta))
        u = at.slopes(at.Z)
        losses = at.losses(at.Z, u)
        f = losses + at.penalties()
        scale, per_unit = at.scale[:: at.unit], by_model(f, at.unit)
        gain = constant - by_model(per_unit, width // at.unit)
        # beside an estimate, a bound is worth its price where it may say that `tol` is kept
        modelled = _has_model(at)
        far = np.repeat(_FAR * tol * gain, width // at.unit) if modelled else np.full(len(per_unit), np.inf)
        bounds, (Z, u), slopes, product = at.dual(per_unit, losses, u, far)
        expected = np.full(len(per_unit), np.nan)
        proven = by_model(bounds, width // at.unit) <= tol * gain
        if not proven.all() and modelled:
            surrogate = Surrogate(at, Z, slopes, product)
            expected, there = surrogate.to_gain()
            if not (expected < np.inf).all():
                bounds = np.fmin(bounds, at.bounds(per_unit, [slopes], [product]))
            by_intercept = 0.0 if Z is at.Z else by_model(losses - at.losses(Z, u), at.unit)
            expected = np.maximum(np.maximum(expected, _of_others(at, Z)) / scale + by_intercept, 0.0)
            if surrogate.all:
                # where some steps lead is nearer to the optimum, and so are the slopes
                better = at.candidates(there, at.slopes(there))
                bounds = np.fmin(bounds, at.bounds(per_unit, better, at.products(better)))
        values = [by_model(v, width // at.unit) for v in (per_unit, bounds, expected)]
    return [Certificate(float(f), float(b), float(e)) for f, b, e in zip(*values, strict=True)]


__all__ = ["certify"]

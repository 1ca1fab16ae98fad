"""The quadratic model with an L1 part, perhaps within bounds: its exact minimum, and its update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import blas, lapack

Array = np.ndarray
# rounds of the search, at most, beside one a weight; a few dozen is what it takes
_ROUNDS = 200
# size of a violated condition, beside that of the gradient, that counts as none
_ROUNDING = 1e-11
# weights that may join at first, at least; points of a step that are looked at
_FEW, _POINTS = 8, 24
# share of what a step promises below which it was cut off too early, and faces that are looked at then
_CUT_OFF, _FACES = 0.5, 4
# rounds without descent, by rounding, after which the search ends: the model is all but unbounded
_IDLE = 5
# ridges, relative to the diagonal, of a step that a singular matrix would send astray; beyond, it is not convex
_RIDGES = (0.0, 1e-12, 1e-10, 1e-8, 1e-6)


class Kinks:
    """Where the slope of the penalty jumps: at zero, and where bounds end.

    Parameters
    ----------
    strength : ndarray
        Of the L1 part of each weight.
    bounds : tuple of ndarray, optional
        Least and largest value of each.
    """

    def __init__(self, strength: Array, bounds: tuple[Array, Array] | None = None) -> None:
        self.strength, self.bounds = strength, bounds

    @classmethod
    def of(cls, penalty: Any, like: Array) -> Kinks:
        """Those of a penalty, for parameters whose last row is the intercepts."""
        strength = np.zeros(like.shape)
        strength[:-1] = penalty.l1_strength
        if not penalty.bounded:
            return cls(strength)
        lower, upper = np.full(like.shape, -np.inf), np.full(like.shape, np.inf)
        lower[:-1], upper[:-1] = penalty.limits(like.dtype)
        return cls(strength, (lower, upper))

    def take(self, some: Callable[[Array], Array]) -> Kinks:
        """Those of some weights; `some` takes them out of an array."""
        if self.bounds is None:
            return Kinks(some(self.strength))
        lower, upper = self.bounds
        return Kinks(some(self.strength), (some(lower), some(upper)))

    def prox(self, v: Array, step: Any) -> Array:
        """The nearest point in the metric of a step, with what the kinks cost."""
        threshold = self.strength * step
        v = v - np.clip(v, -threshold, threshold)
        return v if self.bounds is None else np.clip(v, *self.bounds)

    def slopes(self, v: Array) -> tuple[Array, Array]:
        """Slopes of the penalty to the left and to the right; infinite beyond the bounds."""
        slope = self.strength * np.sign(v)
        left, right = (np.where(v == 0, side * self.strength, slope) for side in (-1, 1))
        if self.bounds is not None:
            left, right = np.where(v <= self.bounds[0], -np.inf, left), np.where(v >= self.bounds[1], np.inf, right)
        return left, right

    def excess(self, v: Array, gradient: Array) -> Array:
        """By how much the gradient of a weight exceeds what holds it where it is; not positive where that is enough."""
        if self.bounds is None:
            return np.where(v == 0, np.abs(gradient) - self.strength, np.abs(gradient + self.strength * np.sign(v)))
        left, right = self.slopes(v)
        return np.maximum(gradient + left, -(gradient + right))


def lasso(Q: Array, c: Array, strength: Array, v: Array, bounds: tuple[Array, Array] | None = None) -> Array:
    r"""Minimise :math:`c^\top v + \tfrac12 v^\top Q v + \sum_i \lambda_i |v_i|` by an active-set search.

    A round takes Newton's step of the weights that are not zero, with their signs held, together with weights at zero
    whose gradient exceeds :math:`\lambda`. Of those that join, the ones that the step would move against their
    gradient are sent back, until none is: so it descends, on its own orthant at least. It is then followed through the
    orthants behind, and along its projection on the present one, to the best point there. Each round descends and each
    face has one minimum, so that the search ends [1]_.

    Parameters
    ----------
    Q : ndarray of shape (d, d)
        Symmetric and positive semidefinite, in units as different as may be.
    c : ndarray of shape (d,)
        Gradient at zero.
    strength : ndarray of shape (d,)
        Strength of the L1 part of each weight, zero for one that is free.
    v : ndarray of shape (d,)
        Where to begin; it is not changed. The nearer, the fewer rounds.
    bounds : tuple of ndarray of shape (d,), optional
        Least and largest value of each weight. A weight that meets one stops there, as it may at zero.

    Returns
    -------
    ndarray of shape (d,)
        The minimum, its zeros exact; never worse than the start, even if `Q` is not convex.

    References
    ----------
    .. [1] Lee, Battle, Raina and Ng (2007), "Efficient sparse coding algorithms", NIPS 19, 801-808.
    """
    search = _Search(Q, c, strength, v.copy()) if bounds is None else _BoundedSearch(Q, c, strength, v, bounds)
    most, ridge = len(v), 0
    best, idle = search.value, 0
    for _ in range(_ROUNDS + len(v)):
        new = search.violators()
        if (not new.size and search.settled) or idle > _IDLE:
            break
        new = new[: min(most, max(_FEW, np.count_nonzero(search.active)))]
        if search.round(new, _RIDGES[ridge]):
            most = max(1, search.joined) if 2 * search.joined < len(new) else min(2 * most, len(v))
            idle = 0 if search.value < best else idle + 1
            best = min(best, search.value)
        else:
            ridge += 1
            if ridge == len(_RIDGES):
                break
    return search.v


class _Search:
    """Where the search for the minimum of ``c'v + v'Qv/2 + strength'|v|`` stands; `v` is changed in place.

    Attributes
    ----------
    active : ndarray of bool
        Weights that are free or not zero.
    joined : int
        How many joined these in the last round.
    """

    def __init__(self, Q: Array, c: Array, strength: Array, v: Array) -> None:
        self.Q, self.c, self.strength, self.v = Q, c, strength, v
        diagonal = Q.diagonal()
        self.unit = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        # strengths beyond the gradient hold weights at zero, however large they are
        bound = np.maximum(np.abs(c), np.abs(c + Q @ v))
        scale = ((bound + np.minimum(strength, bound)) / self.unit).max(initial=0.0)
        self.rounding = _ROUNDING * float(scale) * self.unit
        self.free, self.joined = strength == 0, 0
        self.pause, self.failures = 0, 0
        self._look()

    def _look(self) -> None:
        """The gradient at `v`, from the rows of weights that are not zero where they are few."""
        A = np.flatnonzero(self.v)
        few = 4 * len(A) < len(self.v)
        self.gradient = self.c + (self.v[A] @ self.Q[A] if few else self.Q @ self.v)
        self.active = (self.v != 0) | self.free

    @property
    def value(self) -> float:
        """What is minimised."""
        return float(0.5 * (self.c + self.gradient) @ self.v + self.strength @ np.abs(self.v))

    @property
    def settled(self) -> bool:
        """Whether the active weights are at the minimum of their face."""
        slope = self.gradient + self.strength * np.sign(self.v)
        return bool((np.abs(slope) <= self.rounding)[self.active].all())

    def violators(self) -> Array:
        """Weights at zero whose gradient exceeds their strength, the one that gains most first."""
        excess = np.where(self.active, 0.0, np.abs(self.gradient) - self.strength)
        new = np.flatnonzero(excess > self.rounding)
        return new[np.argsort(-(excess / self.unit)[new], kind="stable")]

    def round(self, new: Array, ridge: float) -> bool:
        """Move the active weights, with some of `new`, to the best point of a step; False if none is better."""
        A, sign, step = self._step(new, ridge)
        if step is None:
            return False
        there, change = self._best_along(A, sign, step)
        if change > _CUT_OFF * 0.5 * step @ (self.gradient[A] + self.strength[A] * sign):
            if self.pause > 0:
                self.pause -= 1
            else:
                other, lower = self._best_of_faces(A, sign, step, ridge)
                there = other if lower < change else there
                self.failures = 0 if lower < change else self.failures + 1
                self.pause, change = 2**self.failures - 1, min(change, lower)
        if change >= 0:
            return False
        self.joined = int(np.count_nonzero(~self.active[A]))
        self.v[A] = there
        self._look()
        return True

    def _step(self, new: Array, ridge: float) -> tuple[Array, Array, Array | None]:
        """Newton's step of the active weights and of those of `new` that it moves down.

        Whose it is, the signs that it supposes, and how far they go.
        """
        gradient, v, A = self.gradient, self.v, np.flatnonzero(self.active)
        system = _Bordered(self.Q, A, self.unit**2 * ridge)
        while True:
            both = np.concatenate([A, new])
            sign = np.where(v[both] != 0, np.sign(v[both]), -np.sign(gradient[both]))
            residual = gradient[both] + self.strength[both] * sign
            step = system.newton(new, residual)
            if step is None:
                return both, sign, None
            astray = (step * residual >= 0)[len(A) :]
            if not astray.any():
                return both, sign, step
            # by rounding even the strongest alone may seem to
            new = new[:1] if astray.sum() == len(new) > 1 else new[~astray]

    def _stops(self, A: Array, sign: Array, new: Array) -> Array:
        """Where weights `A` on their way to `new` meet a kink, that of zero; nan for those that do not."""
        return np.where((new * sign < 0) & ~self.free[A], 0.0, np.nan)

    def _best_of_faces(self, A: Array, sign: Array, step: Array, ridge: float) -> tuple[Array, float]:
        """The minimum of the others where weights that a step takes past a kink stay there, until it takes none; its
        change of the value.

        Where a step is cut off early, many weights leave at once that would else leave one by one.
        """
        old, gradient = self.v[A], self.gradient[A] + self.strength[A] * sign
        Q, there, kept = self.Q[A][:, A], np.full(len(A), np.nan), np.ones(len(A), bool)
        new = old + step
        for _ in range(_FACES):
            stops = np.where(kept, self._stops(A, sign, new), np.nan)
            passed = ~np.isnan(stops)
            if not passed.any():
                break
            there[passed], kept = stops[passed], kept & ~passed
            K, F = np.flatnonzero(kept), np.flatnonzero(~kept)
            factor = _factor(Q[K][:, K], ridge * self.unit[A[K]] ** 2)
            if factor is None or not len(K):
                break
            new = np.where(kept, old, there)
            new[K] -= lapack.dpotrs(factor, gradient[K] + Q[K][:, F] @ (there - old)[F], lower=1)[0]
        stops = self._stops(A, sign, new)
        return self._lowest(np.where(np.isnan(stops), new, stops)[:, None], old, A, self.strength[A])

    def _best_along(self, A: Array, sign: Array, step: Array) -> tuple[Array, float]:
        """The best of the points where a weight changes its sign, straight on or stopping there, and what it changes.

        Parameters
        ----------
        A, sign, step : ndarray
            Which weights move, the signs that the step supposes, and how far.
        """
        old, lam = self.v[A], self.strength[A]
        flips = ((old + step) * sign < 0) & ~self.free[A]
        if not flips.any():
            return old + step, 0.5 * float(step @ (self.gradient[A] + lam * sign))
        t = np.unique(old[flips] / -step[flips])
        t = t[(t > 0) & (t < 1)]
        if len(t) > _POINTS:
            t = t[np.linspace(0, len(t) - 1, _POINTS).astype(int)]
        straight = old[:, None] + np.append(t, 1.0) * step[:, None]
        # what changes its sign at this very point is zero there
        straight[flips[:, None] & (np.abs(straight) <= 1e-12 * np.abs(old[:, None]))] = 0.0
        stopped = np.where(flips[:, None] & (straight * sign[:, None] < 0), 0.0, straight)
        points = np.concatenate([straight, stopped], axis=1)
        return self._lowest(points, old, A, lam)

    def _lowest(self, points: Array, old: Array, A: Array, lam: Array) -> tuple[Array, float]:
        """The best of some points, as columns, and by how much its value differs from that of the old one."""
        D = points - old[:, None]
        change = self.gradient[A] @ D + 0.5 * (D * (self.Q[A][:, A] @ D)).sum(axis=0)
        change += lam @ (np.abs(points) - np.abs(old)[:, None])
        best = int(np.argmin(change))
        return points[:, best], float(change[best])


class _BoundedSearch(_Search):
    """The same within bounds: a weight at its bound is at a kink, beyond which the slope is infinite."""

    def __init__(self, Q: Array, c: Array, strength: Array, v: Array, bounds: tuple[Array, Array]) -> None:
        self.kinks, self.bounds = Kinks(strength, bounds), bounds
        super().__init__(Q, c, strength, np.clip(v, *bounds))

    def _look(self) -> None:
        super()._look()
        self.active &= (self.v > self.bounds[0]) & (self.v < self.bounds[1])

    def violators(self) -> Array:
        excess = np.where(self.active, 0.0, self.kinks.excess(self.v, self.gradient))
        new = np.flatnonzero(excess > self.rounding)
        return new[np.argsort(-(excess / self.unit)[new], kind="stable")]

    def _stops(self, A: Array, sign: Array, new: Array) -> Array:
        lower, upper = (bound[A] for bound in self.bounds)
        stops = np.where((new * sign < 0) & (self.strength[A] > 0), np.clip(0.0, lower, upper), np.nan)
        return np.where(new > upper, upper, np.where(new < lower, lower, stops))

    def _best_along(self, A: Array, sign: Array, step: Array) -> tuple[Array, float]:
        """The best of the points where a weight meets a kink: it stops at a bound, and may at zero."""
        old, lam, (lower, upper) = self.v[A], self.strength[A], (bound[A] for bound in self.bounds)
        end = np.where(step > 0, upper, lower)
        with np.errstate(divide="ignore", invalid="ignore"):
            at_end = np.where(step != 0, (end - old) / step, np.inf)
            at_zero = np.where((lam > 0) & ((old + step) * old < 0), old / -step, np.inf)
        t = np.unique(np.concatenate([at_end, at_zero]))
        t = t[(t > 0) & (t < 1)]
        if len(t) > _POINTS:
            t = t[np.linspace(0, len(t) - 1, _POINTS).astype(int)]
        t = np.append(t, 1.0)
        straight = np.clip(old[:, None] + t * step[:, None], lower[:, None], upper[:, None])
        straight = np.where(t >= at_end[:, None], end[:, None], straight)
        straight[np.isfinite(at_zero)[:, None] & (np.abs(straight) <= 1e-12 * np.abs(old[:, None]))] = 0.0
        stopped = np.where(t >= at_zero[:, None], np.clip(0.0, lower, upper)[:, None], straight)
        points = np.concatenate([straight, stopped], axis=1)
        return self._lowest(points, old, A, lam)


def _factor(Q: Array, ridge: Any) -> Array | None:
    """Lower factor of a matrix that may be overwritten; None where there is none."""
    if not len(Q):
        return Q
    Q.flat[:: len(Q) + 1] += ridge
    # symmetric: as LAPACK wants it
    factor, failed = lapack.dpotrf(Q.T, lower=1, clean=0, overwrite_a=1)
    return None if failed else factor


class _Bordered:
    """Newton's steps of some weights with more or fewer others, upon one factor of the part that they share.

    Parameters
    ----------
    Q : ndarray of shape (d, d)
        Symmetric.
    A : ndarray of int
        The weights of every step.
    ridge : ndarray of shape (d,)
        What is added to the diagonal.
    """

    def __init__(self, Q: Array, A: Array, ridge: Array) -> None:
        self.Q, self.A, self.ridge = Q, A, ridge
        self.L = _factor(Q[A][:, A], ridge[A])
        self.new: Array | None = None

    def newton(self, new: Array, residual: Array) -> Array | None:
        """The step of `A` and `new`, in this order; None where there is no factor, or no descent.

        What a call has made of its weights serves those after it whose weights are among these.
        """
        k = len(self.A)
        if self.L is None or not len(residual):
            return None
        right = -residual
        if len(new):
            S, W = self._complement(new)
            if k:
                right[:k] = blas.dtrsv(self.L, right[:k], lower=1)
                right[k:] -= right[:k] @ W
            factor = _factor(S, 0.0)
            if factor is None:
                return None
            right[k:] = lapack.dpotrs(factor, right[k:], lower=1)[0]
            if k:
                right[:k] = blas.dtrsv(self.L, right[:k] - W @ right[k:], lower=1, trans=1)
        else:
            right = lapack.dpotrs(self.L, right, lower=1)[0]
        return right if residual @ right < 0 else None

    def _complement(self, new: Array) -> tuple[Array, Array]:
        """The Schur complement of `A` in the weights `new`, and the factor's solution with their columns."""
        if self.new is None:
            B, W = self.Q[new], np.empty((0, len(new)))
            S = B[:, new]
            S.flat[:: len(S) + 1] += self.ridge[new]
            if len(self.A):
                W = blas.dtrsm(1.0, self.L, B[:, self.A].T, lower=1)
                S -= W.T @ W
            self.new, self.S, self.W = new, S, W
        at = np.flatnonzero(np.isin(self.new, new))
        return self.S[at][:, at], self.W[:, at]


def left_over(Q: Array, gradient: Array, kinks: Kinks, v: Array) -> float:
    """What a search that ended at `v` has left to gain, each weight by itself; `gradient` is that at `v`."""
    left = np.maximum(kinks.excess(v, gradient), 0.0)
    return float((left * left / np.maximum(2 * Q.diagonal(), 1e-300)).sum())


def bfgs(Q: Array, s: Array, y: Array) -> None:
    """Update a symmetric approximation of the Hessian in place, if the curvature is positive."""
    sy = s @ y
    Qs = Q @ s
    sQs = s @ Qs
    if sy > 1e-8 * sQs > 0:
        Q += np.outer(y, y / sy)
        Q -= np.outer(Qs, Qs / sQs)


__all__ = ["Kinks", "bfgs", "lasso", "left_over"]

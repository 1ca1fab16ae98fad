r"""How far models are from the optimum: a bound by duality, and what it and an estimate say together.

With slopes `u`, one for each prediction, Fenchel's inequality gives for every `w` and `b`

.. math:: \frac1n \sum_i s_i \ell(y_i, x_i w + b) + R(w) \;\ge\; -\frac1n \sum_i s_i \ell^*(y_i, u_i)
          - R^*\Bigl(-\frac1n \sum_i s_i u_i x_i\Bigr) \quad \text{if } \sum_i s_i u_i = 0,

where :math:`\ell^*` and :math:`R^*` are convex conjugates [1]_. The derivatives of the loss at the optimum make it an
equality; so those at a model, changed until they sum to zero, say how far it can be from there [2]_.

References
----------
.. [1] Rockafellar (1970), "Convex analysis", section 31.
.. [2] Ndiaye, Fercoq, Gramfort and Salmon (2017), "Gap safe screening rules for sparsity enforcing penalties",
   JMLR 18 (128).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
# share of the constant model's objective below which a gain over it counts as none; in units in the last place too
_NO_GAIN, _NO_GAIN_ULPS = 1e-6, 1e4
# units in the last place of the objective that are rounding
_ROUNDING = 64
# widths over which derivatives that jump are averaged, in units of the predictions' spread
_WIDTHS = (1.0, 0.3, 0.1, 0.03)
# of a slope's sum, what the search for the best intercept leaves to the balancing; looks; rows that tell the curvature
_BALANCED, _SEARCH, _LOOKED_AT = 1e-3, 3, 4096
# halvings that find the best intercept where slopes jump
_BISECTIONS = 40
# shares of the slopes that are tried beside all of them
_SHARES = np.linspace(0.1, 0.9, 9)[:, None]
# share of the mean loss that a bound must promise to be worth its price; of a slope's sum, what may hide that
_LITTLE, _HIDDEN = 0.05, 0.1
# numbers of a product at a time; and of what else is done to all rows, so that it stays in the cache
_NUMBERS, _CACHED = 1 << 24, 1 << 14


@dataclass(frozen=True)
class Certificate:
    """How far one model can be from the optimum, in the user's units.

    Attributes
    ----------
    objective : float
        Of the model.
    bound : float
        The objective of the optimum is less by no more than that; infinite where nothing is known.
    estimate : float
        By how much it is less by a second-order model; infinite where that does not hold, not a number where there is
        none.
    reliable : bool
        Whether the estimate needs no further look.
    """

    objective: float
    bound: float = np.inf
    estimate: float = np.nan
    reliable: bool = True

    def suboptimality(self, constant: float, tol: float, eps: float) -> tuple[float, str, bool]:
        """``(f - f*) / (f_constant - f*)``, what it is, and whether it is within `tol` or rounding.

        Parameters
        ----------
        constant : float
            Objective of the best constant model.
        tol : float
            A bound that is no more is reported, even if an estimate is less.
        eps : float
            Rounding of the model's precision.

        Returns
        -------
        value : float
        kind : {"bound", "estimate", "unknown"}
        within : bool
        """
        least = max(_NO_GAIN, _NO_GAIN_ULPS * eps) * constant
        gain, rounding = constant - self.objective, _ROUNDING * eps * abs(self.objective)
        bound = estimate = np.inf
        if self.bound < np.inf:
            # the more is left to gain, the more the optimum gains over the constant; worse than that, who knows
            bound = self.bound / max(gain + self.bound if gain > 0 else gain, least)
            if max(abs(gain), self.bound) <= least:  # as good as the constant, and so is the optimum
                bound = min(bound, self.bound / constant)
        if self.estimate < np.inf:
            excess = max(self.estimate, -gain)
            estimate = excess / max(gain + excess, least)
        if bound == estimate == np.inf:
            return np.nan, "unknown", False
        if bound <= max(tol, estimate):
            return bound, "bound", bound <= tol or self.bound <= rounding
        return estimate, "estimate", estimate <= tol or self.estimate <= rounding


class Predicted:
    """Models with their predictions: objective, slopes, and the bound.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    theta : ndarray of shape (n_features + 1, n_columns)
        The models, in the coordinates worked in.
    """

    def __init__(self, problem: Any, theta: Array) -> None:
        self.problem, self.theta = problem, theta
        self.loss, self.n = problem.loss, problem.n
        #: columns that the loss couples
        self.unit = problem.loss.columns_per_model
        self.scale = np.broadcast_to(problem.coordinates.objective_scale, (theta.shape[1],)).astype(np.float64)
        self.y, self.s = problem.labels_of(slice(None))
        self.Z = problem.predict(problem.rows.X, theta)

    def mean(self, values: Array) -> Array:
        """Weighted mean of each column, in double precision."""
        return _sums(values if self.s is None else values * self.s) / self.n

    def losses(self, Z: Array, u: Array | None = None) -> Array:
        """Mean loss of each column at predictions with the slopes `u`, in the user's units."""
        return np.asarray(self.loss.total(self.y, Z, self.s, u)) / self.n

    def penalties(self) -> Array:
        """Penalty of each column, in the user's units."""
        return np.asarray(self.problem.penalty.value(self.theta[:-1])) / self.scale

    def slopes(self, Z: Array) -> Array:
        """Derivatives of the loss."""
        return np.asarray(self.loss.gradient(self.y, Z, np.empty_like(Z)))

    def imbalance(self, u: Array) -> float:
        """How far the slopes are from summing to zero, beside their size."""
        if not self.problem.fit_intercept:
            return 0.0
        return float((np.abs(self.mean(u)) / np.maximum(self.mean(np.abs(u)), np.finfo(np.float64).tiny)).max())

    def at_best_intercept(self, u: Array) -> tuple[Array, Array]:
        """Predictions with intercepts that make the slopes sum to zero, as nearly as a few looks find; slopes there."""
        best, Z = self.Z, self.Z
        if not self.problem.fit_intercept:
            return Z, u
        if not self.loss.smooth:
            Z = self._bisected()
            return Z, self.slopes(Z)
        least = np.full(Z.shape[1], np.inf)
        for look in range(_SEARCH + 1):
            v = self.slopes(Z) if look else u
            total, size = self.mean(v), self.mean(np.abs(v))
            better = np.abs(total) < least
            if better.all():
                best, u, least = Z, v, np.abs(total)
            else:
                best, u = np.where(better, Z, best), np.where(better, v, u)
                least = np.where(better, np.abs(total), least)
            if look == _SEARCH or (least <= _BALANCED * size).all() or not better.any():
                break
            Z = Z - np.where(better, self._newton(Z, v, total), 0.0).astype(Z.dtype)
        return best, u

    def _bisected(self) -> Array:
        """Predictions with the best intercepts of a loss whose slopes jump."""
        Z = self.Z.astype(np.float64)
        high = 2 * (1 + np.abs(Z).max(axis=0, initial=0.0) + float(np.abs(self.y).max(initial=0.0)))
        low = -high
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            falls = self.mean(self.slopes(Z + middle)) < 0
            low, high = np.where(falls, middle, low), np.where(falls, high, middle)
        return Z + high

    def _newton(self, Z: Array, u: Array, total: Array) -> Array:
        """Newton's step of each intercept from the mean of the slopes, with the curvature of some rows."""
        some = slice(None, None, -(-self.n // _LOOKED_AT))
        y, s = self.y[some], 1.0 if self.s is None else self.s[some]
        if self.unit == 1:
            curvature = np.mean(self.loss.second_derivative(y, Z[some]) * s, axis=0, dtype=np.float64)
            return np.asarray(total / np.maximum(curvature, 1e-12))
        p = (u[some] + y).astype(np.float64).reshape(len(y), -1, self.unit)
        steps = []
        for j, g in enumerate(total.reshape(-1, self.unit)):
            H = np.diag(np.mean(p[:, j] * s, axis=0)) - (p[:, j] * s).T @ p[:, j] / len(p)
            # what all classes have in common changes nothing
            steps.append(np.linalg.solve(H + np.trace(H) / self.unit**2 + 1e-12 * np.eye(self.unit), g))
        return np.concatenate(steps)

    def balanced(self, u: Array) -> Array:
        """The same slopes, made to sum to zero; they stay in the domain of the conjugate."""
        if not self.problem.fit_intercept:
            return u
        if self.unit > 1:
            return self._balanced_classes(u)
        up, down = self.mean(np.maximum(u, 0)), self.mean(np.maximum(-u, 0))
        less = np.minimum(up, down)
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = np.nan_to_num(less / up), np.nan_to_num(less / down)
        return np.asarray(u * np.where(u > 0, up, down))

    def _balanced_classes(self, u: Array) -> Array:
        """Classes of too much probability give some of each row's to those of too little."""
        p = u + self.y
        have, total = np.maximum(self.mean(p), np.finfo(np.float64).tiny), self.mean(u)
        given = np.minimum(np.maximum(total, 0) / have, 1.0)
        little = np.maximum(-total, 0).reshape(-1, self.unit)
        share = little / np.maximum(little.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        for j, taken in enumerate(share):
            part = slice(j * self.unit, (j + 1) * self.unit)
            moved = np.dot(p[:, part], given[part])
            p[:, part] *= 1.0 - given[part]
            p[:, part] += moved[:, None] * taken
        p -= self.y
        return p

    def candidates(self, Z: Array, u: Array) -> list[Array]:
        """Slopes from which bounds are tried: the derivatives `u` at `Z`, or averages of them where they jump."""
        if self.loss.smooth:
            return [self.balanced(u.astype(np.float64))]
        Z = Z.astype(np.float64)
        spread = Z.std(axis=0) + np.abs(self.losses(Z)) + 1e-300
        found = []
        for width in _WIDTHS:
            h = width * spread
            # a mean of derivatives, as far as they are constant between kinks
            rise = self.loss.value(self.y, Z + h) - self.loss.value(self.y, Z - h)
            found.append(self.balanced(rise / (2 * h)))
        return found

    def products(self, candidates: list[Array]) -> list[Array]:
        """Weighted mean of the rows times slopes, in the coordinates worked in, for each candidate."""
        p, k = self.problem, self.theta.shape[1]
        at_once = max(1, _NUMBERS // max(1, self.n * k))
        found: list[Array] = []
        for first in range(0, len(candidates), at_once):
            part = candidates[first : first + at_once]
            U = np.concatenate(part, axis=1) if len(part) > 1 else part[0]
            U = (U if self.s is None else U * self.s).astype(self.theta.dtype)
            wide = p if len(part) == 1 else p.take(np.tile(np.arange(k), len(part)))
            G = wide.gradient(p.rows.X, U, np.empty((p.d + 1, U.shape[1]), U.dtype), self.n)
            found += np.split(G.astype(np.float64), len(part), axis=1)
        return found

    def dual(
        self, objective: Array, losses: Array, u: Array, far: Array
    ) -> tuple[Array, tuple[Array, Array], Array, Array]:  # fmt: skip
        """Bounds of units from their slopes `u`.

        Those that would prove little more than slopes of zero do are not worth their price, nor those above `far`:
        they stay what slopes of zero prove.

        Returns
        -------
        bounds : ndarray
            In the user's units.
        there : tuple of ndarray
            Predictions from which they came, and the slopes there.
        balanced, product : ndarray
            Those slopes with a sum of zero, and their weighted mean with the rows.
        """
        Z, imbalance = self.Z, self.imbalance(u) if self.loss.smooth else 0.0
        # with slopes that nearly sum to zero, some promise can be seen without the search
        for searched in (False, True) if _BALANCED < imbalance <= _HIDDEN else (True,):
            if searched and imbalance > _BALANCED:
                Z, u = self.at_best_intercept(u)
            candidates = self.candidates(Z, u)
            products = self.products(candidates)
            least = self.least_bounds(objective, losses, candidates[0], products[0])
            if least is not None and (least >= np.minimum(far, objective - _LITTLE * self._of_unit(losses))).all():
                return self.bounds(objective, [], []), (Z, u), candidates[0], products[0]
        return self.bounds(objective, candidates, products), (Z, u), candidates[0], products[0]

    def bounds(self, objective: Array, candidates: list[Array], products: list[Array]) -> Array:
        """By how much the objective of each unit of columns can be above its least, at most, in the user's units."""
        if self.nothing is None or not self.problem.penalty.modelled:
            return np.full(len(objective), np.inf)
        lowest = -self._of_unit(self.nothing)
        for u, g in zip(candidates, products, strict=True):
            lowest = np.fmax(lowest, self._lower(u, -g[:-1]))
        noise = 8 * np.finfo(self.theta.dtype).eps * np.abs(objective)
        return np.maximum(objective - lowest / self.scale[:: self.unit], 0.0) + noise

    @functools.cached_property
    def nothing(self) -> Array | None:
        """Mean conjugate of slopes of zero, in the units worked in; None where unknown."""
        y = self.y
        if self.unit > 1:  # one of few rows each
            kinds = np.eye(self.unit)
            shares = self.mean(y).reshape(-1, self.unit)
        elif not self.loss.regression and (np.abs(y) == 1).all():
            kinds = np.array([[1.0], [-1.0]])
            shares = np.stack([self.mean(y > 0), self.mean(y < 0)], axis=1)
        else:
            return self._conjugates()
        values = self.loss.conjugate(kinds, np.zeros(kinds.shape))
        if values is None:
            return None
        means = np.dot(shares, values).ravel() if self.unit > 1 else (shares.T * values).sum(axis=0)
        return np.asarray(self.scale * np.broadcast_to(means, self.scale.shape))

    def _conjugates(self, u: Array | None = None, share: Any = 1.0) -> Array | None:
        """Mean conjugate of each column, at zero by default, in the units worked in; None where unknown."""
        k = self.theta.shape[1]
        total, rows = np.zeros(k), max(256, _CACHED // k)
        for first in range(0, self.n, rows):
            part = slice(first, min(first + rows, self.n))
            v = np.zeros((part.stop - first, k)) if u is None else u[part] * share
            values = self.loss.conjugate(self.y[part], v)
            if values is None:
                return None
            total += _sums(values if self.s is None else values * self.s[part])
        return np.asarray(self.scale * total / self.n)

    def _of_unit(self, columns: Array) -> Array:
        return columns if self.unit == 1 else columns.reshape(*columns.shape[:-1], -1, self.unit).sum(axis=-1)

    def least_bounds(self, objective: Array, losses: Array, u: Array, g: Array) -> Array | None:
        """What bounds from slopes `u`, whose products are `g`, are at least; None where that is not known.

        By Fenchel's inequality, :math:`\\ell^*(u) \\ge z u - \\ell(z)`, which costs no conjugate.
        """
        penalty = self.problem.penalty
        if not (self.loss.smooth and penalty.elastic) or self.nothing is None:
            return None
        a = np.abs(g[:-1])
        if not np.all((penalty.l2_strength > 0) | (a == 0)):
            return None
        more = self.scale * (losses - self.mean(self.Z * u)) + self.nothing
        conjugate, _ = self._of_penalty(a)
        shares = np.concatenate([_SHARES, [[1.0]]])
        most = self._of_unit(np.array([t * more - conjugate(t) for t in shares])).max(axis=0)
        lowest = np.maximum(most, 0.0) - self._of_unit(self.nothing)
        return np.asarray(objective - lowest / self.scale[:: self.unit])

    def _of_penalty(self, a: Array) -> tuple[Callable[[Any], Array], Array]:
        """Conjugate of the penalty at shares of `a`, minus the products, and the share where it is finite."""
        penalty = self.problem.penalty
        if penalty.bounded:
            return self._of_bounded(a)
        if penalty.grouped:
            of_groups, share = penalty.conjugate(a)
            share = share if self.unit == 1 else np.repeat(share.reshape(-1, self.unit).min(axis=1), self.unit)
            return of_groups, share
        a = np.abs(a)
        l1, l2 = (np.broadcast_to(x, a.shape) for x in (penalty.l1_strength, penalty.l2_strength))
        hard = l2 <= 0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # where nothing curves the penalty, its conjugate is infinite beyond the strength of L1
            share = np.where(hard & (a > l1), l1 / a, 1.0).min(axis=0, initial=1.0)
            if self.unit > 1:
                share = np.repeat(share.reshape(-1, self.unit).min(axis=1), self.unit)
            curved = np.where(hard, 0.0, a * a / (2 * l2)).sum(axis=0) if not l1.any() else None

        def conjugate(c: Any) -> Array:
            if curved is not None:
                return np.asarray(c * c * curved)
            if hard.all():
                return np.zeros(a.shape[1])
            excess = np.maximum(c * a - l1, 0.0)
            return np.where(hard, 0.0, excess * excess / (2 * l2)).sum(axis=0)

        return conjugate, share

    def _of_bounded(self, a: Array) -> tuple[Callable[[Any], Array], Array]:
        """The same within bounds, where each weight has its own best point, with whatever slope."""
        penalty = self.problem.penalty
        strengths = penalty.l1_strength, penalty.l2_strength, *penalty.limits()
        l1, l2, lower, upper = (np.broadcast_to(x, a.shape) for x in strengths)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            endless = (l2 <= 0) & (np.abs(a) > l1) & np.isinf(np.where(a > 0, upper, lower))
            share = np.where(endless, l1 / np.abs(a), 1.0).min(axis=0, initial=1.0)
        if self.unit > 1:
            share = np.repeat(share.reshape(-1, self.unit).min(axis=1), self.unit)

        def conjugate(c: Any) -> Array:
            b = c * a
            excess = b - np.clip(b, -l1, l1)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                w = np.where(endless | (excess == 0), 0.0, excess / np.maximum(l2, 0.0))
            w = np.clip(w, lower, upper)
            return np.asarray((b * w - l1 * np.abs(w) - 0.5 * l2 * w * w).sum(axis=0))

        return conjugate, share

    def _lower(self, u: Array, a: Array) -> Array:
        """The bound from slopes `u`, whose products with the features are minus `a`."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            conjugate, share = self._of_penalty(a)
            nothing, all_of_it = self.nothing, self._conjugates(u, share)
            assert nothing is not None
            assert all_of_it is not None
            values = [-self._of_unit(all_of_it + conjugate(share))]
            for t in _SHARES:  # the conjugate of the loss is convex between nothing and all of it
                mixed = nothing + t * (all_of_it - nothing) + conjugate(t * share)
                values.append(-self._of_unit(mixed))
        return np.nan_to_num(np.fmax.reduce(values), nan=-np.inf)


def _sums(values: Array) -> Array:
    """Sum of each column, in double precision: a product, as reductions of narrow arrays are slow."""
    return np.dot(np.ones(len(values)), values.astype(np.float64, copy=False))


__all__ = ["Certificate", "Predicted"]

"""What a penalty says of the weights of a column: strengths, bounds, and norms of groups, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray
# of bounds, the difference that is rounding: such weights are constants
_EQUAL = 1e-10
# that find the share of a gradient which norms of groups hold
_HALVINGS = 50


@dataclass(frozen=True, eq=False, repr=False)
class Groups:
    """Norms of groups of weights.

    Attributes
    ----------
    number : ndarray of int of shape (n_features,)
        The group of each.
    strength, unit : ndarray of shape (n_features,)
        Strength of the norm of a weight's group, and by what the weight is multiplied in it.
    """

    number: Array
    strength: Array
    unit: Array

    @classmethod
    def none(cls, n: int) -> Groups:
        """Weights that are in no norm."""
        return cls(np.arange(n), np.zeros(n), np.ones(n))

    @classmethod
    def joined(cls, parts: list[Groups]) -> Groups:
        """Those of several columns after each other."""
        first = np.cumsum([0] + [part.number.max(initial=-1) + 1 for part in parts])
        number = [part.number + start for part, start in zip(parts, first, strict=False)]
        return cls(*(np.concatenate(a) for a in (number, [p.strength for p in parts], [p.unit for p in parts])))

    def sums(self, values: Array) -> Array:
        """Sums over groups, for each weight."""
        return np.asarray(np.bincount(self.number, values, self.number.max(initial=-1) + 1)[self.number])

    def norms(self, w: Array) -> Array:
        """Norm of the group of each weight."""
        return np.asarray(np.sqrt(self.sums((self.unit * w) ** 2)))

    @property
    def first(self) -> Array:
        """A weight of each group."""
        return np.unique(self.number, return_index=True)[1]

    def take(self, features: Any) -> Groups:
        """Of some weights, those of a group together."""
        number = np.unique(self.number[features], return_inverse=True)[1]
        return Groups(number, self.strength[features], self.unit[features])


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """Strengths and bounds of the weights of a column, in the units worked in, of shape ``(n_features,)`` each.

    Attributes
    ----------
    l1, l2 : ndarray
        Strengths.
    lower, upper : ndarray
        Bounds, infinite where there are none.
    groups : Groups or None
        Groups with a norm.
    """

    l1: Array
    l2: Array
    lower: Array
    upper: Array
    groups: Groups | None = None

    @classmethod
    def of(cls, penalty: Any, d: int) -> Weights:
        """Those of the penalty of a single column of `d` features."""
        limits = penalty.limits() if penalty.bounded else (-np.inf, np.inf)
        groups = None
        if penalty.grouped:
            number, strength, unit = penalty.norms()
            groups = Groups(number, _by_feature(strength, d), _by_feature(unit, d))
        strengths = penalty.l1_strength, penalty.l2_strength
        l1, l2, lower, upper = (_by_feature(part, d) for part in (*strengths, *limits))
        return cls(l1, l2, lower, upper, groups)

    @classmethod
    def joined(cls, columns: list[Weights]) -> Weights:
        """Those of several columns after each other, a free intercept last in each."""
        free = cls(np.zeros(1), np.zeros(1), np.array([-np.inf]), np.array([np.inf]))
        parts = [part for column in columns for part in (column, free)]
        l1, l2, lower, upper = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("l1", "l2", "lower", "upper")
        )
        return cls(l1, l2, lower, upper, Groups.joined([part.groups or Groups.none(len(part.l1)) for part in parts]))

    @property
    def bounded(self) -> bool:
        """Whether any has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @property
    def ridge(self) -> bool:
        """Whether squares are all of it."""
        return not (self.l1.any() or self.bounded or self.groups)

    @property
    def sparse(self) -> bool:
        """Whether weights are zero because each, or each group, costs its size."""
        return bool(self.l1.any() or self.groups)

    @property
    def fixed(self) -> Array:
        """Which are constants."""
        both = np.isfinite(self.lower) & np.isfinite(self.upper)
        lower, upper = np.where(both, self.lower, 0.0), np.where(both, self.upper, 1.0)
        return np.asarray(upper - lower <= _EQUAL * np.maximum(np.abs(lower), np.abs(upper)))

    def take(self, features: Any) -> Weights:
        """Those of some features."""
        l1, l2, lower, upper = (a[features] for a in (self.l1, self.l2, self.lower, self.upper))
        return Weights(l1, l2, lower, upper, None if self.groups is None else self.groups.take(features))

    def ridged(self, least: float) -> Weights:
        """The same, with no less than that of L2."""
        return replace(self, l2=np.maximum(self.l2, least))

    def fitting(self, w: Array) -> Array:
        """The nearest weights within the bounds."""
        return np.clip(w, self.lower, self.upper)

    def value(self, w: Array) -> float:
        """What weights within the bounds cost."""
        cost = float((self.l1 * np.abs(w)).sum() + 0.5 * (self.l2 * w**2).sum())
        if self.groups is not None:
            first = self.groups.first
            cost += float((self.groups.strength * self.groups.norms(w))[first].sum())
        return cost

    def _beyond_l1(self, g: Array) -> Array:
        """By how much gradients are beyond L1; where there are groups, the norm of that in each, in its unit."""
        excess = np.maximum(np.abs(g) - self.l1, 0.0)
        if self.groups is None:
            return excess
        unit = self.groups.unit
        return np.sqrt(self.groups.sums(np.divide(excess, unit, where=unit > 0, out=np.zeros_like(unit)) ** 2))

    def pull(self, gradient: Array) -> Array:
        """How far the gradient of the loss pulls weights from zero, in shares of what holds them; infinite if free."""
        out = (self.lower > 0) | (self.upper < 0)
        held = ((gradient > 0) & (self.lower == 0)) | ((gradient < 0) & (self.upper == 0))
        excess, strength = np.abs(gradient), self.l1
        if self.groups is not None:
            excess, strength = self._beyond_l1(gradient), self.groups.strength
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = np.where(strength > 0, excess / strength, np.inf)
        return np.where(out, np.inf, np.where(held, 0.0, pull))

    def whole(self, chosen: Array) -> Array:
        """Numbers of features that are chosen, with those of their groups."""
        if self.groups is None:
            return chosen
        return np.flatnonzero(np.isin(self.groups.number, self.groups.number[chosen]))

    # ------------------------------------------------------------------ the conjugate

    def endless(self, g: Array) -> tuple[Array, Array]:
        """Which weights a gradient `g` moves without an end if it is too large, and which if it is not nil."""
        beyond = (self.l2 <= 0) & np.isinf(np.where(g > 0, self.lower, self.upper)) & (g != 0)
        held = self.l1 > 0 if self.groups is None else (self.l1 > 0) | (self.groups.strength > 0)
        return beyond & held, beyond & ~held

    def shares(self, g: Array) -> Array:
        """The share of a gradient that the strengths of each weight hold, up to one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.groups is None:
                return np.fmin(self.l1 / np.abs(g), 1.0)
        low, high = np.zeros(len(g)), np.ones(len(g))
        at = high
        for _ in range(_HALVINGS):
            fits = self._beyond_l1(at * g) <= self.groups.strength
            low, high = np.where(fits, at, low), np.where(fits, high, at)
            at = 0.5 * (low + high)
        return low

    def conjugate(self, g: Array, of: Array, held: Array) -> float:
        """The conjugate at minus the gradient `g`, of some weights; those `held` are the nearest to zero."""
        if self.groups is not None:
            curved, unit = self.groups.sums(self.l2), self.groups.sums(self.groups.unit**2)
            first = self.groups.first[of[self.groups.first] & (curved[self.groups.first] > 0)]
            excess = np.maximum(self._beyond_l1(g) - self.groups.strength, 0.0)[first]
            return float((excess**2 * unit[first] / (2 * curved[first])).sum())
        g, l1, l2 = -g[of], self.l1[of], self.l2[of]
        excess = np.where(held[of], 0.0, g - np.clip(g, -l1, l1))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            w = np.where(excess == 0, 0.0, excess / np.maximum(l2, 0.0))
        w = np.clip(w, self.lower[of], self.upper[of])
        return float((g * w - l1 * np.abs(w) - 0.5 * l2 * w * w).sum())

    def fingerprint(self) -> tuple[float, ...]:
        """Numbers that tell other strengths and bounds from these."""
        probe = np.cos(np.arange(len(self.l1)))
        limits = (np.where(np.isfinite(limit), limit, 0.1) for limit in (self.lower, self.upper))
        parts = [self.l1, self.l2, *limits]
        if self.groups is not None:
            parts += [self.groups.number, self.groups.strength]
        return tuple(float(probe @ part) for part in parts)


def _by_feature(strength: Any, d: int) -> Array:
    strength = np.asarray(strength, dtype=np.float64)
    return np.broadcast_to(strength.reshape(-1, 1) if strength.ndim < 2 else strength, (d, 1))[:, 0].copy()


__all__ = ["Groups", "Weights"]

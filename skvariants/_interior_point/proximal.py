r"""Proximal point steps on the dual: what is minimised where features are too many for a factor.

Each ramp is replaced by its Moreau envelope around the last slope,
:math:`\max_u u (z - t) - \tfrac\delta2 (u - u_0)^2`, whose slope is
:math:`u = \operatorname{clip}(u_0 + (z - t) / \delta, l, h)`. That is smooth, and it is curved in the few rows alone
whose slope is strictly between its bounds, so that a Newton step [1]_ is a system in those rows: by conjugate
gradients, or through their Gram matrix. After it is minimised roughly,
:math:`u_0 \leftarrow u` and :math:`\delta` shrinks [2]_.

References
----------
.. [1] Li, Sun and Toh (2018), "A highly efficient semismooth Newton augmented Lagrangian method for solving lasso
   problems", doi:10.1137/16M1097572; Chapelle (2007), doi:10.1162/neco.2007.19.5.1155.
.. [2] Rockafellar (1976), "Augmented Lagrangians and applications of the proximal point algorithm in convex
   programming", doi:10.1287/moor.1.2.97.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._interior_point.path import Ramps
from skvariants._interior_point.rows import newton_system

Array = np.ndarray
# widths of the envelope in mean distances from the kink, and by what they shrink
_WIDE, _NARROW, _SHRINK = 3.0, 0.02, 0.4
# decrease foreseen, as a share of the gap, at which the slopes are taken over
_ROUGHLY = 0.003
# least damping, as a share of the mean L2 strength
_DAMPING = 1e-3
_HALVINGS = 12


@dataclass(eq=False, repr=False)
class ProximalState:
    """Where it stands: point and predictions, the slopes it is around, the slopes there, widths, damping, gap."""

    v: Array
    z: Array
    centre: Array
    u: Array
    delta: float
    least: float
    damping: float = 0.0
    gap: float = np.inf

    def copy(self) -> ProximalState:
        """The same, to change."""
        v, z, centre, u = (a.copy() for a in (self.v, self.z, self.centre, self.u))
        return ProximalState(v, z, centre, u, self.delta, self.least, self.damping, self.gap)


class ProximalPoint:
    """Newton steps on envelopes, of some rows; no L1 part.

    Parameters
    ----------
    matrix : Matrix
        Rows.
    ramps : Ramps
        Theirs.
    linear : ndarray of shape (n_features + 1,)
        The linear part.
    l2 : ndarray of shape (n_features,)
        Strengths, all positive.
    """

    loose = True

    def __init__(self, matrix: Any, ramps: Ramps, linear: Array, l2: Array) -> None:
        self.matrix, self.ramps, self.linear = matrix, ramps, linear
        self.curvature = np.append(l2, 0.0)
        self.kinks, self.m = ramps.position.shape
        self.stuck = False

    def start(self, v: Array, width: float) -> ProximalState:
        """An envelope around no slope, as wide as predictions are far from their kinks."""
        u = 0.5 * (self.ramps.low + self.ramps.high)
        return ProximalState(v, self.matrix.dot(v), u, u.copy(), _WIDE * width, _NARROW * width)

    def slopes_of(self, at: ProximalState) -> Array:
        """Slopes of all ramps at the point."""
        return at.u

    def _envelope(self, at: ProximalState, z: Array) -> tuple[float, Array]:
        """Weighted sum of the envelopes, and the slopes."""
        r = z - self.ramps.position
        u = np.clip(at.centre + r / at.delta, self.ramps.low, self.ramps.high)
        value = (u * r - 0.5 * at.delta * (u - at.centre) ** 2).sum(axis=0)
        return float(self.ramps.weight @ value), u

    def step(self, at: ProximalState) -> tuple[float, float]:
        """One Newton step, in place; objective and gap at the point before it."""
        z, ramps = at.z, self.ramps
        value, u = self._envelope(at, z)
        smooth = float(self.linear @ at.v) + 0.5 * float(self.curvature @ (at.v * at.v))
        r = z - ramps.position
        hinges = np.maximum(ramps.low * r, ramps.high * r)
        g = self.matrix.transposed(ramps.weight * u.sum(axis=0)) + self.linear + self.curvature * at.v
        slack = float(ramps.weight @ (hinges - u * r).sum(axis=0))
        gap = slack + 0.5 * float((g[:-1] ** 2 / self.curvature[:-1]).sum()) + abs(g[-1] * at.v[-1])
        at.u = u
        objective = float(ramps.weight @ hinges.sum(axis=0)) + smooth
        inside = ((u > ramps.low) & (u < ramps.high)).sum(axis=0)
        active = np.flatnonzero(inside)
        weight = ramps.weight[active] * inside[active] / at.delta
        curvature = np.append(self.curvature[:-1] + at.damping, 0.0)
        dv = -newton_system(self.matrix, active, weight, curvature, g)
        slope = float(g @ dv)
        if not np.isfinite(slope):
            self.stuck = True
            return objective, gap
        if -slope <= _ROUGHLY * max(slack, 1e-16 * abs(objective)):
            if at.delta <= at.least and gap > 0.5 * at.gap:  # so wide an envelope has nothing more to say
                at.least *= _SHRINK
            at.centre, at.delta, at.gap = u, max(_SHRINK * at.delta, at.least), gap
            value, _ = self._envelope(at, z)
        self._move(at, z, value + smooth, slope, dv)
        return objective, gap

    def _move(self, at: ProximalState, z: Array, f: float, slope: float, dv: Array) -> None:
        """As far along `dv` as the envelope falls."""
        dz = self.matrix.dot(dv)
        first, second = float(self.linear @ dv), float(self.curvature @ (at.v * dv))
        bend = float(self.curvature @ (dv * dv))
        smooth = float(self.linear @ at.v) + 0.5 * float(self.curvature @ (at.v * at.v))
        best, best_t, t = f, 0.0, 1.0
        least = _DAMPING * float(self.curvature[:-1].mean())
        for _ in range(_HALVINGS):
            value = self._envelope(at, z + t * dz)[0] + smooth + t * (first + second) + 0.5 * t * t * bend
            if value < best:
                best, best_t = value, t
            elif best_t > 0:
                break
            if value <= f + 0.3 * t * slope:
                break
            t *= 0.5
        if best_t < 0.1:
            at.damping = max(10 * at.damping, least)
        elif best_t > 0.5:
            at.damping = 0.2 * at.damping if at.damping > 0.1 * least else 0.0
        if best_t > 0:
            at.v = at.v + best_t * dv
            at.z = z + best_t * dz


__all__ = ["ProximalPoint", "ProximalState"]

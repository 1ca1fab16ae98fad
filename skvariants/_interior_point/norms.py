r"""Norms of groups of weights along the central path.

Of a group, :math:`\lambda |x| = \max_{|s| \le 1} \lambda s^\top x` where `x` are its weights in its units. At the
optimum :math:`x = t s` and :math:`t (1 - |s|^2) = 0`; the central path has :math:`2 \mu` instead of zero, where one
weight alone is on that of its absolute value. Newton's method changes `s` and the size `t` together [1]_:

.. math:: t \bigl(I + \tfrac{2}{\rho} s s^\top\bigr) \, \Delta s = \Delta x + x - \tfrac{\tau}{\rho} s,
          \qquad \rho = 1 - |s|^2

towards a product :math:`\tau`, so that the Hessian of a group is a diagonal less a matrix of rank one. A step may leave
the size below :math:`|x|`, where no `s` within the ball satisfies :math:`x = t s`; it is then raised to that.

References
----------
.. [1] Andersen, Christiansen, Conn and Overton (2000), "An efficient primal-dual interior-point method for minimizing a
   sum of Euclidean norms", doi:10.1137/S1064827598343954.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._interior_point.weights import Groups

Array = np.ndarray


class Norms:
    """Norms of the groups of a column.

    Parameters
    ----------
    groups : Groups or None
        Theirs; those without a strength are left out.
    squares : ndarray of shape (n_features,)
        Mean squares of the columns, so that sizes are those of predictions.
    """

    def __init__(self, groups: Groups | None, squares: Array) -> None:
        groups = Groups.none(0) if groups is None else groups
        self.at = np.flatnonzero((groups.strength > 0) & (groups.unit > 0))
        first, self.number = np.unique(groups.number[self.at], return_index=True, return_inverse=True)[1:]
        self.n = len(first)
        unit = groups.unit[self.at]
        mean = self.sums(squares[self.at] / unit**2) / self.sums(np.ones(len(unit)))
        reach = np.sqrt(np.where(mean > 0, mean, 1.0))
        self.unit, self.strength = unit * reach[self.number], groups.strength[self.at][first] / reach

    def sums(self, values: Array) -> Array:
        """Sums over groups."""
        return np.asarray(np.bincount(self.number, values, self.n))

    def of(self, v: Array) -> Array:
        """Weights in the units of their group."""
        return self.unit * v[self.at]

    def lengths(self, v: Array) -> Array:
        """Norm of each group, which its size is not below."""
        return np.sqrt(self.sums(self.of(v) ** 2))

    def gradient(self, s: Array, out: Array) -> None:
        """Add that of slopes `s`."""
        out[self.at] += self.strength[self.number] * self.unit * s

    def start(self, v: Array, width: float) -> tuple[Array, Array]:
        """Sizes and slopes well inside."""
        return self.lengths(v) + width, np.zeros(len(self.at))

    def slack(self, v: Array, s: Array) -> float:
        """What norms cost beyond what slopes say."""
        return float(self.strength @ (self.lengths(v) - self.sums(s * self.of(v))))

    def blocks(self, size: Array, s: Array, diagonal: Array) -> list[tuple[Array, Array]]:
        """The Hessian: added to a diagonal, and vectors whose squares are taken off among the weights of each group."""
        bend, squares = self.strength / size, self.sums(s * s)
        diagonal[self.at] += bend[self.number] * self.unit**2
        z = np.sqrt(2 * bend / (1 + squares))[self.number] * self.unit * s
        order = np.argsort(self.number, kind="stable")
        ends = np.cumsum(np.bincount(self.number, minlength=self.n))[:-1]
        return [(self.at[a], z[a]) for a in np.split(order, ends)] if self.n else []


class Steps:
    """Newton's equations of the norms at one point.

    Parameters
    ----------
    norms : Norms
        Them.
    at : PathState
        The point.
    """

    def __init__(self, norms: Norms, at: Any) -> None:
        self.norms, self.size, self.s = norms, at.size, at.s
        self.x, self.squares = norms.of(at.v), norms.sums(at.s**2)
        self.room = 1.0 - self.squares

    def _solved(self, y: Array) -> Array:
        norms = self.norms
        inside = 2 * norms.sums(self.s * y) / (1 + self.squares)
        return (y - self.s * inside[norms.number]) / self.size[norms.number]

    def rest(self, product: Array, bend: Any) -> Array:
        """What slopes change by, and weights do not say, on the way to a product; `bend` is taken off `x`."""
        return self._solved(self.x - bend - self.s * (product / self.room)[self.norms.number])

    def toward(self, dv: Array, rest: Array, product: Array) -> tuple[Array, Array]:
        """Changes of sizes and slopes that go with a change of the weights."""
        ds = self._solved(self.norms.of(dv)) + rest
        return (product - self.size * self.room + 2 * self.size * self.norms.sums(self.s * ds)) / self.room, ds

    def beyond(self, dsize: Array, ds: Array) -> tuple[Array, Array]:
        """What a step changes products and weights by, beyond what Newton's equations say."""
        across, along = self.norms.sums(self.s * ds), self.norms.sums(ds * ds)
        return 2 * dsize * across + self.size * along, dsize[self.norms.number] * ds

    def most(self, dsize: Array, ds: Array) -> float:
        """One over the length that reaches the boundary."""
        across, along = self.norms.sums(self.s * ds), self.norms.sums(ds * ds)
        outward = (across + np.sqrt(across**2 + along * self.room)) / self.room
        return float(max((-dsize / self.size).max(initial=0.0), outward.max(initial=0.0)))

    def products(self, dsize: Array, ds: Array, t: float) -> Array:
        """Sizes times room after a step of length `t`."""
        return (self.size + t * dsize) * (1.0 - self.norms.sums((self.s + t * ds) ** 2))


__all__ = ["Norms", "Steps"]

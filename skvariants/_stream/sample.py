"""A sample of the rows of a stream: rare classes in full, each row with the weight of those that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._shallow import Shallow
from skvariants._stream.compact import Rows

Array = np.ndarray
# increment and multipliers of SplitMix64
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniforms(seed: int, first: int, count: int) -> Array:
    """Uniform numbers in (0, 1] of so many rows from number `first` on: those of a row, whatever chunk it comes in.

    References
    ----------
    Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators", doi:10.1145/2714064.2660195.
    """
    x = np.arange(first, first + count, dtype=np.uint64)
    x *= np.uint64(_GOLDEN)
    x += np.uint64(seed * _GOLDEN * _GOLDEN % 2**64)
    x ^= x >> np.uint64(30)
    x *= _FIRST
    x ^= x >> np.uint64(27)
    x *= _SECOND
    x ^= x >> np.uint64(31)
    x >>= np.uint64(11)
    return (x + 1.0) * 2.0**-53


@dataclass(eq=False, repr=False)
class Sample(Shallow):
    r"""Rows of the stream, with the lines that stand for them in the sums.

    A row of weight :math:`s` has the priority :math:`s / u`, :math:`u` uniform. Of each class those of the highest are
    kept, and the highest that is not, :math:`\tau`, makes :math:`\max(s, \tau)` the weight that a row stands for: its
    sums have no bias, and the least noise.

    Attributes
    ----------
    C : Rows
        Rows.
    y, s : ndarray
        Targets as columns, weights.
    label, priority : ndarray of shape (n_sampled,)
        Class, and see above.
    z, slope, curvature : ndarray of shape (n_sampled, n_columns)
        Lines: where, and which.
    threshold : ndarray of shape (n_classes,)
        Highest priority of a row that was left out, of each class.
    waiting : tuple of lists
        Rows that are not among these yet: the same arrays of each draw but the threshold, the rows dense.

    References
    ----------
    Duffield, Lund and Thorup (2007), "Priority sampling for estimation of arbitrary subset sums",
    doi:10.1145/1314690.1314696.
    """

    C: Any
    y: Array
    s: Array
    label: Array
    priority: Array
    z: Array
    slope: Array
    curvature: Array
    threshold: Array
    waiting: tuple[list[Array], ...] = ()

    @classmethod
    def empty(cls, n_features: int, n_columns: int, n_classes: int) -> Sample:
        """One without rows."""
        columns, none = np.empty((0, n_columns)), np.empty(0)
        C = Rows.of(np.empty((0, n_features + 1)), np.zeros(n_features + 1))
        return cls(C, columns, none, np.empty(0, int), none, columns, columns, columns, np.zeros(n_classes))

    def __len__(self) -> int:
        return len(self.s)

    @property
    def weight(self) -> Array:
        """Of the rows that each stands for."""
        return np.maximum(self.s, self.threshold[self.label])

    @property
    def chance(self) -> Array:
        """Deviation of what a row adds to a sum, by the draw, in units of its value; of one that was sure none."""
        weight = self.weight
        return np.sqrt(weight * (weight - self.s))

    def chosen(self, label: Array, priority: Array, size: int) -> Array:
        """Numbers of the rows of a draw that a sample of `size` may hold."""
        rows = np.flatnonzero(priority > self.threshold[label])
        keep = self._highest(label[rows], priority[rows], size)
        return rows if keep is None else rows[keep]

    def wait(self, rows: list[Array]) -> None:
        """Take rows, for later."""
        self.waiting = (*self.waiting, rows)

    @property
    def n_waiting(self) -> int:
        """Rows that are not among these yet."""
        return sum(len(rows[0]) for rows in self.waiting)

    def join(self, base: Array) -> None:
        """Put the rows that wait among the others, whatever a row of zeros is in their units."""
        if self.waiting:
            C, *others = (np.concatenate(arrays) for arrays in zip(*self.waiting, strict=True))
            self.C, self.waiting = self.C.joined(C, base), ()
            self._become([np.concatenate(arrays) for arrays in zip(self._others(), others, strict=True)])

    def thin(self, size: int) -> None:
        """Leave out rows of the largest classes, until there are no more than `size`."""
        keep = self._highest(self.label, self.priority, size)
        if keep is not None:
            self.C = self.C[keep]
            self._become([array[keep] for array in self._others()])

    def _highest(self, label: Array, priority: Array, size: int) -> Array | None:
        """Numbers of the `size` rows that stay, if there are more; the threshold follows those that do not."""
        if len(label) <= size:
            return None
        counts = np.bincount(label, minlength=len(self.threshold))
        ascending = np.sort(counts)
        full = np.concatenate([[0], np.cumsum(ascending)[:-1]])
        levels = (size - full) // np.arange(len(counts), 0, -1)
        level = levels[np.argmax(levels < ascending)]  # of the classes that are not kept in full
        keep = np.ones(len(label), bool)
        self.threshold = self.threshold.copy()
        for large in np.flatnonzero(counts > level):
            rows = np.flatnonzero(label == large)
            out = rows[np.argpartition(priority[rows], len(rows) - level - 1)[: len(rows) - level]]
            keep[out] = False
            self.threshold[large] = max(self.threshold[large], priority[out].max())
        return np.flatnonzero(keep)

    def times(self, change: Array) -> None:
        """Follow a change of units."""
        self.C = self.C.times(change)
        self.waiting = tuple([C * change, *others] for C, *others in self.waiting)

    def fade(self, factor: float) -> None:
        """Let all rows count less."""
        self.s, self.priority, self.threshold = (a * factor for a in (self.s, self.priority, self.threshold))
        self.waiting = tuple(
            [C, y, s * factor, label, priority * factor, *lines] for C, y, s, label, priority, *lines in self.waiting
        )

    def _others(self) -> list[Array]:
        return [self.y, self.s, self.label, self.priority, self.z, self.slope, self.curvature]

    def _become(self, arrays: list[Array]) -> None:
        self.y, self.s, self.label, self.priority, self.z, self.slope, self.curvature = arrays


__all__ = ["Sample", "uniforms"]

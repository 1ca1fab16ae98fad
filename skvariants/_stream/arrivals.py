"""Classes that come in blocks: rows of a stream that are sorted, though a few of each class were there before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import rel_entr

Array = np.ndarray
# rows whose classes are counted together, at least; rows of a stream that begins, in so many at a time
_BLOCK, _FIRST = 64, 1024
# deviations of a count beyond which it is no chance, and share of the rows that must be of other classes than before
_SIGNIFICANT, _OTHERS = 5.0, 0.25
# fewer rows tell where their count is that far from chance, as a logarithm: 1e-13 by Chernoff's bound
_SURE = 30.0


class Arrivals(NamedTuple):
    """Rows of each class so far, and which are expected in numbers.

    Attributes
    ----------
    counts : ndarray of shape (n_classes + 1,)
        Rows of each class, and of all.
    recent : ndarray of shape (n_classes + 1,)
        The same of the last rows, which are too few to be told from those before.
    awaited : ndarray of bool of shape (n_classes,) or None
        Classes that have not come in numbers, where others have; None while rows come in any order.
    """

    counts: Array
    recent: Array
    awaited: Array | None

    @classmethod
    def of(cls, n_classes: int) -> Arrivals:
        """Those of no rows."""
        nothing = np.zeros(n_classes + 1)
        return cls(nothing, nothing, None)

    @property
    def awaits(self) -> bool:
        """Whether there is such a class."""
        return self.awaited is not None and bool(self.awaited.any())

    def fade(self, factor: float) -> Arrivals:
        """The same where rows before count less."""
        return Arrivals(self.counts * factor, self.recent * factor, self.awaited)

    def after(self, classes: Array) -> tuple[Arrivals, bool]:
        """The same after rows, whose classes are given as booleans; whether there was one that came in numbers."""
        now, came = self, False
        size = _BLOCK if self.counts[-1] < _FIRST else max(len(classes), _BLOCK)
        for start in range(0, len(classes), size):
            part = classes[start : start + size]
            now, comes = now.with_block(np.array([*map(np.count_nonzero, part.T), len(part)], float))
            came |= comes
        return now, came

    def with_block(self, more: Array) -> tuple[Arrivals, bool]:
        """The same after rows of which so many are of each class, and so many are all."""
        recent = self.recent + more
        n_rows, before = recent[-1], self.counts[-1]
        awaited, came = self.awaited, False
        beyond = recent - (n_rows / max(before, 1.0)) * self.counts
        if before and np.maximum(beyond, 0.0).sum() > _OTHERS * n_rows:
            if n_rows < _BLOCK:
                share = (self.counts + 1) / (before + 2)
                surges = ((beyond > 0) & (n_rows * _divergence(recent / n_rows, share) > _SURE))[:-1]
            else:
                share = (self.counts + recent) / (before + n_rows)
                variance = n_rows * (1 + n_rows / before) * share * (1 - share)
                surges = (beyond > _SIGNIFICANT * np.sqrt(variance))[:-1]
            if surges.any():
                came = awaited is None or bool((surges & awaited).any())
                awaited = ~surges if awaited is None else awaited & ~surges
        if n_rows < _BLOCK and awaited is self.awaited:
            return Arrivals(self.counts, recent, awaited), False
        return Arrivals(self.counts + recent, np.zeros_like(recent), awaited), came


def _divergence(p: Array, q: Array) -> Array:
    """Of Kullback and Leibler, for shares."""
    return np.asarray(rel_entr(p, q) + rel_entr(1 - p, 1 - q))


__all__ = ["Arrivals"]

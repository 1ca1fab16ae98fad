"""Rows like those that are gone: of each class some with its mean and covariance.

The curvature that rows leave (:mod:`.given`) holds near the model that they led to. Rows of a class that had been rare
move it far from there, and how the loss of the others bends on the way is told well enough by normal rows: a prediction
is a sum over columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._stream.compact import Rows
from skvariants._stream.sample import uniforms

Array = np.ndarray
# numbers of all rows, and most rows of a class (of 128, 256 and 512 in 100 fits with 1 to 5 rows of a class that then
# comes in numbers, 9, 5 and 2 were above twice a constant for a while; without them 61)
_NUMBERS, _ROWS = 1 << 18, 512
# fewest rows of a class whose moments are kept: those of fewer would tell them
_FEWEST = 8


def mean_square(move: Array, mean: Array, variance: Array) -> Array:
    """Of the changes of predictions with weights and intercept, by the moments of the columns."""
    change = move[-1] + mean @ move[:-1]
    return np.asarray(change * change + variance @ (move * move)[:-1])


@dataclass(frozen=True, eq=False, repr=False)
class Likeness:
    """Moments of rows of each class.

    Attributes
    ----------
    targets : ndarray of shape (n_classes, n_columns) or None
        Their targets as columns; None where there are no classes, and all rows are one.
    share, own : ndarray of shape (n_classes,)
        What all rows of a class weigh, and one of them, for a weight of one of the rows of all classes.
    mean : ndarray of shape (n_classes, n_features)
        In the units worked in, as the covariance.
    covariance : ndarray of float32 of shape (1 or n_classes, n_features * (n_features + 1) / 2)
        Lower triangles; one for all classes where there are many features.
    middle, typical : ndarray of shape (n_features,)
        Medians of all rows, and mean squares about them as most rows have these.
    """

    targets: Any
    share: Array
    own: Array
    mean: Array
    covariance: Array
    middle: Array
    typical: Array

    @classmethod
    def of(cls, C: Array, y: Any, own: Array, each: Array, most: int) -> Likeness | None:
        """That of rows, with a one as last column, of these weights, each for so many; in at most so many numbers."""
        of_classes, there = y is not None, own > 0
        y = y if of_classes else np.zeros((len(own), 1))
        targets, groups, counts = np.unique(y[there], axis=0, return_inverse=True, return_counts=True)
        C, s, groups = C[there, :-1], (own * each)[there], groups.ravel()
        told = np.flatnonzero(counts >= _FEWEST)
        size = C.shape[1] * (C.shape[1] + 1) // 2
        if not len(told) or len(told) * C.shape[1] + size > most:
            return None
        share = np.bincount(groups, s)
        means, moments = [], []
        for group in told:
            rows = groups == group
            means.append(s[rows] @ C[rows] / share[group])
            D = (C[rows] - means[-1]) * np.sqrt(s[rows] / share[group])[:, None]
            moments.append((D.T @ D)[np.tril_indices(C.shape[1])])
        covariance = np.array(moments)
        if len(told) * (C.shape[1] + size) > most:
            covariance = np.average(covariance, axis=0, weights=share[told])[None]
        total, weight = s.sum(), share[told]
        typical = np.minimum(Rows.of(C, np.zeros(C.shape[1])).typical_squares(s), np.average(C * C, axis=0, weights=s))
        return cls(
            targets[told] if of_classes else None,
            weight / total,
            weight / np.bincount(groups, each[there])[told] / total,
            np.array(means),
            covariance.astype(np.float32),
            np.median(C, axis=0),
            typical,
        )

    def times(self, change: Array) -> Likeness:
        """The same in other units."""
        product = np.outer(change, change)[np.tril_indices(len(change))]
        covariance = (self.covariance * product).astype(np.float32)
        middle, typical = self.middle * change, self.typical * (change * change)
        return replace(self, mean=self.mean * change, covariance=covariance, middle=middle, typical=typical)

    def moved(self, move: Array) -> Array:
        """Mean square by which predictions of most rows change with weights and intercept, of each column."""
        return mean_square(move, self.middle, self.typical)

    def rows(self) -> tuple[Array, Any, Array, Array, Array]:
        """Rows of these moments, their targets, what one weighs, what it stands for, and uniform numbers.

        Of each class they are opposite pairs, in directions that are at right angles for as many as there are columns,
        of the distances that those of normal rows have.
        """
        n_classes, d = self.mean.shape
        rng = np.random.default_rng(0)
        n_pairs = max(1, min(_ROWS, _NUMBERS // ((d + 1) * n_classes)) // 2)
        n_turns = -(-n_pairs // d)
        blocks = []
        for j, mean in enumerate(self.mean):
            turns = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(n_turns)]
            directions = np.concatenate(turns)[:n_pairs] * np.sqrt(rng.chisquare(d, n_pairs))[:, None]
            away = directions @ self._root(j)
            blocks += [mean + away, mean - away]
        C = np.concatenate(blocks)
        each = np.repeat(np.arange(n_classes), 2 * n_pairs)
        targets, stands = None if self.targets is None else self.targets[each], self.share[each] / (2 * n_pairs)
        C = np.append(C, np.ones((len(C), 1)), axis=1)
        return C, targets, np.minimum(self.own[each], stands), stands, uniforms(0, 0, len(C))

    def _root(self, j: int) -> Array:
        """A matrix R whose R'R is a covariance."""
        d = self.mean.shape[1]
        M = np.zeros((d, d))
        M[np.tril_indices(d)] = self.covariance[min(j, len(self.covariance) - 1)]
        scale = np.sqrt(np.where(M.diagonal() > 0, M.diagonal(), 1.0))
        values, vectors = np.linalg.eigh(M / scale / scale[:, None], UPLO="L")
        return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T * scale)


__all__ = ["Likeness", "mean_square"]

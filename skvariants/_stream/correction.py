"""A sample of the rows behind the sums: where their lines no longer hold, it corrects them."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np

from skvariants._stream.learner import Learner, Pending, quadratic_forms
from skvariants._stream.sums import Sample

Array = np.ndarray
# numbers of the sample of rows (those of the sums where these are more), and while a class was not seen, or has just
# come: rows sorted by class ask for all lines anew
_SAMPLE, _SAMPLE_OF_KINKS, _SORTED, _SAMPLED = 1 << 14, 1 << 18, 1 << 20, 64
# growth of a stream after which its sample is asked
_GROWTH = 1.25
# times the noise of the sample's correction from which it is made
_SIGNIFICANT = 2.0
# rows for each of the sample, up to which it speaks for all
_MOST_OF_THEM = 1.5
_CORRECTIONS, _TOLD = 4, 1024


class CorrectedLearner(Learner):
    """One that keeps a sample."""

    def _room(self) -> int:
        """Rows of the sample."""
        at = self.at
        unsettled = at.seen is not None and (not at.seen.all() or at.rows < 2 * at.begun)
        d1 = at.theta.shape[0]
        numbers = _SORTED if unsettled else max(_SAMPLE_OF_KINKS if self.kinks else _SAMPLE, d1 * d1)
        return max(_SAMPLED, numbers // d1)

    def _generator(self) -> np.random.Generator:
        """Of one draw."""
        seed, draws = self.at.seed
        self.at.seed = seed, draws + 1
        return np.random.default_rng((seed, draws))

    def _draw(self, C: Array, y: Array, s: Array, *lines: Array) -> None:
        """Add rows to the sample, each with its share of chance (Vitter 1985, doi:10.1145/3147.3165)."""
        at = self.at
        if self.shared:
            return
        size = self._room()
        sample, given = at.sample, [C, y, s, *lines]
        if len(sample.C) > size:
            sample.keep_rows(self._generator().permutation(len(sample.C))[:size])
        free = min(size - len(sample.C), len(C))
        if free > 0:
            sample.become([np.concatenate([a, b[:free]]) for a, b in zip(sample.arrays(), given, strict=True)])
        free = max(free, 0)
        rest = len(C) - free
        if rest:
            chance = size / (at.rows + free + 1.0 + np.arange(rest))
            rng = self._generator()
            chosen = free + np.flatnonzero(rng.random(rest) < chance)
            places = rng.integers(0, size, len(chosen))
            if len(chosen):
                arrays = [array.copy() for array in sample.arrays()]
                for array, new in zip(arrays, given, strict=True):
                    array[places] = new[chosen]
                sample.become(arrays)

    def _ask(self, factors: list[Any]) -> None:
        """Correct the sums where the sample says that their lines are off by more than chance."""
        at = self.at
        if not at.rows - at.begun > _GROWTH * (at.asked - at.begun):
            return
        at.asked = at.rows
        if not len(at.sample.C) or not factors:
            return
        share = at.rows / len(at.sample.C)
        for _ in range(_CORRECTIONS):
            sample = at.sample
            z = sample.C @ at.theta
            spread = None if self.coupled else self._spread(sample.C, factors)
            slope, bend = self._lines(sample.y, z, spread)
            expected = sample.slope + self._bent(sample.curvature, z - sample.z)
            off = (slope - expected) * sample.s[:, None]
            bias = sample.C.T @ off
            step = self._solved(factors, bias)
            # a sample of nearly all rows is off by no chance
            chance = self._chance(sample.C, off, factors)
            chance = min(chance, (1 - 1 / max(share, 1.0)) * chance + self._noise())
            if not float(np.vdot(bias, step)) > _SIGNIFICANT * chance:
                return
            if share <= _MOST_OF_THEM:
                self._begin_again(share, spread)
                return
            before = self._sampled_value(z)
            saved = dataclasses.replace(at, sample=copy.copy(sample))
            length = self._bounded(z, sample.C @ step * share)
            self._replace(z, expected, length * (slope - expected), bend, share)
            factors = self._solve()
            if not factors or not self._sampled_value(at.sample.C @ at.theta) <= before:
                at.become(saved)
                return

    def _sampled_value(self, z: Array) -> float:
        sample = self.at.sample
        return self._value(Pending(sample.C, sample.y, sample.s), z)

    def _begin_again(self, share: float, spread: Any) -> None:
        """Forget the sums: the sample holds their rows, which become pending, and then lines, once more."""
        at, sample = self.at, self.at.sample
        rows, weight = at.rows, at.weight
        at.C, at.y = np.concatenate([sample.C, at.C]), np.concatenate([sample.y, at.y])
        at.s, kept = np.concatenate([share * sample.s, at.s]), len(at.s)
        at.A, at.b, at.weight, at.rows = np.zeros_like(at.A), np.zeros_like(at.b), 0.0, 0.0
        at.squares = at.bend = 0.0
        at.sample = Sample(*(array[:0] for array in sample.arrays()))
        if self.kinks:
            wide = np.broadcast_to(self.reach, (kept, self.k))
            spread = np.concatenate([spread, wide])
        self._add(self._solve(spread=spread if self.kinks else None), asks=False)
        at.rows, at.weight = rows, weight
        at.sample.s = at.sample.s / share

    def _replace(self, z: Array, expected: Array, off: Array, bend: Array, share: float) -> None:
        """New lines for the sample, and so for the rows that it stands for.

        The curvature of the sums is scaled down, or grows by what the sample adds: either leaves it positive.
        """
        at, sample = self.at, self.at.sample
        gradient = self._quadratic_gradient(at.theta) + share * (sample.C.T @ (off * sample.s[:, None]))
        old = sample.curvature
        if self.whole:
            bend = old
        else:
            falls = min(1.0, float(sample.s @ bend.sum(axis=1)) / max(float(sample.s @ old.sum(axis=1)), 1e-300))
            old = old * falls
            bend = np.maximum(bend, old)
            at.A = at.A * falls + share * self._grams(sample.C, bend - old, sample.s)
        at.b = self._times(at.A, at.theta) - gradient
        sample.z, sample.slope, sample.curvature = z, expected + off, bend

    def _bent(self, bend: Array, move: Array) -> Array:
        """Change of the slopes of lines over a move of the predictions."""
        if self.whole:
            return bend * (move - (bend * move).sum(axis=1, keepdims=True))
        return bend * move

    def _chance(self, C: Array, off: Array, factors: list[Any]) -> float:
        """What the gain of a correction would be if rows were off by chance alone."""
        if not self.whole:
            return float(sum(off[:, j] ** 2 @ quadratic_forms(C, factors[j % len(factors)]) for j in range(self.k)))
        # what is off adds up to nothing over the classes, and must not be taken apart; some rows tell
        few = slice(None, None, max(1, len(C) // _TOLD))
        each = (off[few, :, None] * C[few, None]).reshape(len(off[few]), -1)
        return float(quadratic_forms(each, factors[0]).mean()) * len(C)


__all__ = ["CorrectedLearner"]

"""A sample of the rows behind the sums: where their lines no longer hold, it corrects them."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np

from skvariants._stream.compact import Rows
from skvariants._stream.learner import Learner, quadratic_forms
from skvariants._stream.likeness import mean_square
from skvariants._stream.sample import uniforms
from skvariants._stream.sums import Pending, class_numbers

Array = np.ndarray
# numbers of the sample of rows (those of the sums where these are more), and of a stream that is sorted by class: its
# rows ask for all lines anew
_SAMPLE, _SAMPLE_OF_KINKS, _SORTED, _SAMPLED = 1 << 14, 1 << 18, 1 << 20, 64
# rows that wait for the sample may have this part of its numbers, or so many
_WAIT, _FEW_NUMBERS = 4, 1 << 14
# rows, as a multiple of those before the last class came, up to which a stream is taken for sorted
_UNSETTLED = 8.0
# growth of a stream after which its sample is asked, and of one that is taken for sorted or whose loss has kinks (1.5
# leaves 2e-3 of credit_default, 30,000 sorted rows, and 1.25 1e-8; in random order eight tables are as well off with
# either, and with the hinge loss bank_full's first 10,000 rows are at 5e-3 and 1e-3)
_GROWTH, _SMALL_GROWTH = 1.5, 1.25
# times the noise of the sample's correction from which it is made
_SIGNIFICANT = 2.0
_CORRECTIONS, _TOLD = 4, 1024
# share of the noise of slopes that the noise of corrections must reach for a sample to begin again, where some of it
# are rows like those that are gone: of a rare class 2 and 6 of 100 fits are above twice a constant with 0.25 and 1.
# Where columns are coupled corrections are enough (none of 40; shuttle's 6,000 rows after 3,000 leave 3e-2, else 1e-1)
_ALIKE = 0.25
# numbers of the sample while it has them
_SAMPLE_ALIKE = 1 << 18


class CorrectedLearner(Learner):
    """One that keeps a sample."""

    @property
    def _sorted(self) -> bool:
        """Whether the stream is taken for one that is sorted by class."""
        at = self.at
        if at.seen is None:
            return False
        return not at.seen.all() or at.arrivals.awaits or at.rows < _UNSETTLED * at.came

    @property
    def _doubtful(self) -> bool:
        """Whether few rows have come since the lines of all before were put in doubt."""
        return bool(self._sorted or self.at.rows < _UNSETTLED * self.at.begun)

    @property
    def _numbers(self) -> int:
        """Numbers of the sample."""
        at = self.at
        if self._sorted:
            return _SORTED
        alike = at.rest is not None and self._doubtful
        return max(_SAMPLE_OF_KINKS if self.kinks else _SAMPLE_ALIKE if alike else _SAMPLE, at.theta.shape[0] ** 2)

    def _room(self, C: Rows) -> int:
        """Rows of the sample, if they are like these."""
        return max(_SAMPLED, int(self._numbers / max(C.numbers, 1.0)))

    @property
    def _base(self) -> Array:
        """A row of zeros."""
        frame = self.at.frame
        return np.append(-frame.centre * frame.factor, float(self.fit_intercept))

    def _draw(self, C: Array, y: Array, s: Array, *lines: Array) -> None:
        """Add rows to the sample, each with its share of chance."""
        at = self.at
        if self.shared:
            return
        sample = at.sample
        label = self._labels(y)
        seed, n_drawn = at.seed
        at.seed = seed, n_drawn + len(s)
        priority = s / uniforms(seed, n_drawn, len(s))
        like = sample.C if len(sample) else Rows.of(C[:_SAMPLED], self._base)
        chosen = sample.chosen(label, priority, self._room(like))
        if not len(chosen):
            return
        sample.wait([a[chosen] for a in (C, y, s, label, priority, *lines)])
        if C.shape[1] * sample.n_waiting > max(_FEW_NUMBERS, self._numbers // _WAIT):
            self._join()

    def _join(self) -> None:
        """Rows that wait for the sample become part of it."""
        sample = self.at.sample
        sample.join(self._base)
        sample.thin(self._room(sample.C))

    def _labels(self, y: Array) -> Array:
        """Number of the class of each row; zero where there are none."""
        if self.at.seen is None:
            return np.zeros(len(y), int)
        return class_numbers(y)

    def _ask(self, factors: list[Any]) -> None:
        """Ask the sample, now and then, and where the model has moved far."""
        at = self.at
        if self._left_fit:
            self._recall()
        growth = _SMALL_GROWTH if self.kinks or self._doubtful else _GROWTH
        if not (at.rows - at.begun > growth * (at.asked - at.begun) or self._moved):
            return
        at.asked = at.rows
        self._correct(factors)
        at.then = at.theta

    @property
    def _moved(self) -> bool:
        """Whether the predictions of the rows differ by a unit from those when the sample was last asked."""
        at = self.at
        if at.then is None or not at.counted > 0:
            return False
        square = mean_square(at.theta - at.then, at.first / at.counted, at.squares_about_mean / at.counted)
        return bool(np.any(square > np.square(self.reach)))

    def _recall(self) -> None:
        """Let rows like those of the fit be part of the sample: the lines that the fit left no longer hold."""
        at, sample = self.at, self.at.sample
        likeness, theta, weight = at.alike
        C, y, own, stands, chance = likeness.rows()
        own, stands = weight * own, weight * stands
        if not self.fit_intercept:
            C[:, -1] = 0.0
        z = C @ theta
        y = self.loss.inverse_link(z) if y is None else y
        label = self._labels(y)
        slope, bend = self._lines(y, z, None)
        sample.threshold = sample.threshold.copy()
        np.maximum.at(sample.threshold, label, stands)
        sample.wait([C, y, own, label, stands / chance, z, slope, bend])
        # with it the model of the fit is the optimum of these rows too
        A, b = at.given[:2]
        at.rest = b - self._times(A, theta) + C.T @ (slope * stands[:, None])
        at.alike, at.begun, at.asked = None, at.rows, at.rows - 1

    def _correct(self, factors: list[Any]) -> None:
        """Correct the sums where the sample says that their lines are off by more than chance."""
        at = self.at
        self._join()
        if not len(at.sample) or not factors:
            return
        at.spread = at.sample.C.typical_squares(at.sample.weight)[:-1]
        chance, spread = Chance(at.sample.C, factors), None
        if not (self.coupled or self._certain(chance.forms)):
            every = len(chance.forms) == len(at.sample)
            spread = self._deviation(chance.forms if every else quadratic_forms(at.sample.C, factors))
        for _ in range(_CORRECTIONS):
            sample = at.sample
            z, weight = sample.C @ at.theta, sample.weight
            slope, bend = self._lines(sample.y, z, spread)
            expected = sample.slope + self._bent(sample.curvature, z - sample.z)
            off = slope - expected
            bias = sample.C.T @ (off * weight[:, None])
            step = self._solved(factors, bias)
            drawn = sample.chance[:, None]
            of_the_draw = chance.gain(off * drawn)
            most = of_the_draw + self._noise()
            if at.rest is None:
                most = min(chance.gain(off * weight[:, None]), most)
            if not float(np.vdot(bias, step)) > _SIGNIFICANT * most:
                return
            share = 1.0 if at.rest is None else np.inf if self.coupled else _ALIKE
            if share * chance.gain(slope * drawn) <= of_the_draw:
                self._begin_again(spread)
                return
            before = self._sampled_value(z)
            saved = dataclasses.replace(at, sample=copy.copy(sample))
            length = self._bounded(z, sample.C @ step)
            self._replace(z, expected, length * off, bend)
            factors = self._solve()
            if not factors or not self._sampled_value(at.sample.C @ at.theta) <= before:
                at.become(saved)
                return

    def _sampled_value(self, z: Array) -> float:
        sample = self.at.sample
        return self._value(Pending(sample.C, sample.y, sample.weight), z)

    def _begin_again(self, spread: Any) -> None:
        """Forget the sums: the rows of the sample become pending, and then lines, once more."""
        at, sample = self.at, self.at.sample
        weight, rows = sample.weight, self._pending()
        given = at.given
        if given is None or at.rest is not None:
            given = np.zeros_like(at.A), np.zeros_like(at.b) if at.rest is None else at.rest, 0.0, 0.0
        at.A, at.b = given[:2]
        if self.kinks:
            spread = np.concatenate([spread, np.broadcast_to(self.reach, (len(rows.s), self.k))])
        together = Pending(
            sample.C.joined(rows.C, sample.C.base), np.concatenate([sample.y, rows.y]),
            np.concatenate([weight, rows.s]), spread if self.kinks else None,
        )  # fmt: skip
        factors = self._solve(rows=together)
        z = sample.C @ at.theta
        spread = None if self.coupled else self._spread(sample.C, factors)
        slope, bend = self._lines(sample.y, z, spread)
        at.squares, at.bend = given[2:]
        self._count(slope * np.sqrt(sample.s / weight)[:, None], bend, weight)
        if self.kinks:
            # rows to come may be of another kind, and move predictions further than those that were seen tell
            bend = np.maximum(bend, self._lines(sample.y, z, np.broadcast_to(self.reach, z.shape))[1])
        bend = self._no_flatter(bend, sample.y, z)
        A = self._grams(sample.C, bend, weight)
        at.A, at.b = given[0] + A, given[1] + self._times(A, at.theta) - sample.C.T @ (slope * weight[:, None])
        sample.z, sample.slope, sample.curvature = z, slope, bend

    def _replace(self, z: Array, expected: Array, off: Array, bend: Array) -> None:
        """New lines for the sample, and so for the rows that it stands for.

        The curvature of the sums is scaled down, or grows by what the sample adds: either leaves it positive.
        """
        at, sample = self.at, self.at.sample
        weight = sample.weight
        gradient = self._quadratic_gradient(at.theta) + sample.C.T @ (off * weight[:, None])
        old = sample.curvature
        if self.whole:
            bend = old
        else:
            falls = min(1.0, float(weight @ bend.sum(axis=1)) / max(float(weight @ old.sum(axis=1)), 1e-300))
            old = old * falls
            bend = np.maximum(bend, old)
            at.A = at.A * falls + self._grams(sample.C, bend - old, weight)
        at.b = self._times(at.A, at.theta) - gradient
        sample.z, sample.slope, sample.curvature = z, expected + off, bend


class Chance:
    """What a correction would gain if rows were off by chance alone; some rows tell.

    Parameters
    ----------
    C : Rows
        All rows.
    factors : list
        Of the matrices.
    """

    def __init__(self, C: Rows, factors: list[Any]) -> None:
        self.few = np.arange(0, len(C), max(1, len(C) // _TOLD))
        self.share = len(C) / len(self.few)
        self.C, self.factors = C[self.few].toarray(), factors
        # columns that are coupled have one matrix
        self.forms = np.empty((0, 0)) if self._coupled else quadratic_forms(self.C, factors)

    @property
    def _coupled(self) -> bool:
        return len(self.factors[0][0]) > self.C.shape[1]

    def gain(self, off: Array) -> float:
        """Of slopes that are off by so much."""
        few = off[self.few]
        if not self._coupled:
            return self.share * float(np.vdot(few * few, np.broadcast_to(self.forms, few.shape)))
        # what is off adds up to nothing over the classes, and must not be taken apart
        each = (few[:, :, None] * self.C[:, None]).reshape(len(few), -1)
        return self.share * float(quadratic_forms(each, self.factors).sum())


__all__ = ["CorrectedLearner"]

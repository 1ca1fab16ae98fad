"""How long a stream is remembered: for ever, with a half-life, or as long as no shorter memory predicts better.

A learner of a stream holds sums over the rows that it has seen; a factor below one on these sums is forgetting. How
much of it is good can only be told by predictions of rows that were not learned yet. :class:`Adaptive` therefore lets
two learners meet every chunk before they learn it, the one in charge and a rival of shorter memory, row for row. Where
the rival is significantly better, it takes over; nothing else shortens a memory. Rows that became harder for every
model, or columns whose means moved while the model stayed right, are none of a memory's business, and change nothing.

A rival begins as a copy that has forgotten all but about as many rows as there are parameters. It costs as much again
as the learner, so that it is not always there. One begins in turn, and after it has lost the next waits, longer each
time, while the world stays as it is; one begins at once where losses rise. Who was deposed is the next rival, so that
a takeover by chance is undone.

The comparison is that of paired learners (Bach and Maloof 2008, doi:10.1109/ICDM.2008.119). Rises of the loss are found
as in ADWIN (Bifet and Gavalda 2007, doi:10.1137/1.9781611972771.42): on a histogram of exponentially growing buckets,
every border of which is tried as the moment of a change.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from skvariants._shallow import Shallow

Array = np.ndarray
#: Rows, the sum of their values, the sum of squares.
Sums = tuple[float, float, float]
#: Standard errors by which a rival has to be better. Of 116 drawn streams of one world (labels, normal and heavy-tailed
#: noise; 3,000 to 200,000 rows, chunks of 1, 10 and 1,000) none had a takeover.
_BETTER = 3.5
#: Standard errors by which losses have to rise for a rival to begin at once; it decides nothing. At 4 that happens once
#: or less in 40,000 rows of one world, at 3.5 seven times.
_RISE = 4.0
#: Rows, and rows for each parameter, that a learner knows before it has rivals.
_FEWEST, _KNOWN = 100, 4
#: Rivals that begin without a rest, and times the rise, or the rows it begins with, that one begun by a rise may live.
_RESTLESS, _PATIENCE = 2, 8
#: Least rows of a rise that ends a chunk's being learned as one, and the parts it is then learned in.
_PART, _PARTS = 32, 8
#: Times the usual loss for that.
_MUCH = 2.0
#: Share of the spread of the labels that the rows of a rival need: labels that come sorted are no new world (at 0.1,
#: labels in blocks of 1,000 and 5,000 rows ended above a constant model's loss, at 0.25 below, whichever way).
_SPREAD = 0.25
#: Times the usual loss that a row can count, and what stands for a loss that is no number.
_DEAR, _HUGE = 1e3, 1e60


class Chunk(Protocol):
    """Rows that arrive together."""

    n_rows: int
    #: Labels as numbers, of shape (n_rows,) or (n_rows, n_columns); None where targets take any value.
    targets: Array | None

    def part(self, begin: int, end: int) -> Chunk:
        """The rows from `begin` up to, but without, `end`."""

    def times(self, weights: Array) -> Chunk:
        """The same rows, their weights multiplied."""


class Learner(Protocol):
    """What learns chunks, in sums that can be multiplied."""

    #: Rows that its sums are worth: what it has learned, times what it has forgotten.
    n_rows: float

    def losses(self, chunk: Chunk) -> Array:
        """Loss of each row, times its weight; of several columns their sum."""

    def learn(self, chunk: Chunk) -> None:
        """Add a chunk to the sums, and move to what they now say."""

    def forget(self, factor: float) -> None:
        """Multiply the sums, and the number of rows, by a number in (0, 1]."""

    def copy(self) -> Learner:
        """Another learner in the same state."""


class Forgetting(Shallow):
    """How long chunks are remembered: this one, for ever.

    Attributes
    ----------
    n_takeovers : int
        How often a learner of another memory has taken over.
    """

    n_takeovers = 0

    def learn(self, learner: Any, chunk: Any) -> Any:
        """Let a learner learn a chunk.

        Parameters
        ----------
        learner : Learner
            In charge until now; it may be changed.
        chunk : Chunk
            What arrived, of at least one row.

        Returns
        -------
        Learner
            In charge from now on.
        """
        learner.learn(chunk)
        return learner

    def copy(self) -> Any:
        """Another one in the same state."""
        return copy.copy(self)


class HalfLife(Forgetting):
    """A row counts half as much after so many others.

    However a stream is cut into chunks, each row has the same weight.

    Parameters
    ----------
    n_rows : float
        Rows until a row counts half.

    Examples
    --------
    >>> HalfLife(1000).factor(500) ** 2
    0.5...
    """

    def __init__(self, n_rows: float) -> None:
        self.n_rows = n_rows

    def factor(self, n_rows: int) -> float:
        """By what the sums of the past are multiplied before so many rows are added."""
        return float(2.0 ** (-n_rows / self.n_rows))

    def learn(self, learner: Any, chunk: Any) -> Any:
        learner.forget(self.factor(chunk.n_rows))
        if chunk.n_rows > 1:
            chunk = chunk.times(2.0 ** (-np.arange(chunk.n_rows - 1, -1, -1) / self.n_rows))
        learner.learn(chunk)
        return learner


class Adaptive(Forgetting):
    """A memory that is shortened when a shorter one has predicted better.

    Parameters
    ----------
    n_parameters : int
        Of a model. A rival begins with what so many rows are worth, so that it has a model from the start.

    Attributes
    ----------
    rival : Learner or None
        The learner of shorter memory, while there is one.
    n_takeovers : int
        How often a rival has taken over.
    levels, rival_levels : Levels
        Of the losses of both.
    spread, rival_spread : Spread
        Of the targets of all rows, and of those since the rival began.
    gains : Gains
        Of the rival.
    """

    def __init__(self, n_parameters: int) -> None:
        self.n_parameters = n_parameters
        self.rival: Any = None
        self.n_takeovers = 0
        self.levels, self.spread = Levels(), Spread()
        self._n, self._loss = 0, 0.0
        self._defeats, self._rest = 0, 0.0

    def copy(self) -> Any:
        other = copy.copy(self)
        other.levels, other.spread = self.levels.copy(), self.spread.copy()
        if self.rival is not None:
            other.rival, other.gains = self.rival.copy(), self.gains.copy()
            other.rival_levels, other.rival_spread = self.rival_levels.copy(), self.rival_spread.copy()
        return other

    def learn(self, learner: Any, chunk: Any) -> Any:
        losses = _losses(learner, chunk)
        for part, known in self._parts(learner, chunk, losses):
            learner = self._learn(learner, part, losses if known else _losses(learner, part))
        return learner

    def _parts(self, learner: Any, chunk: Any, losses: Array) -> Iterator[tuple[Any, bool]]:
        """The chunk; or, where its losses are a rise, parts of it, the first of which are learned before the last."""
        n = chunk.n_rows
        size = max(2 * self.n_parameters, _PART, -(-n // _PARTS))
        known = self._settled(learner) and n >= 2 * size and losses.mean() * self._n > _MUCH * self._loss
        if not (known and self.levels.would_rise(losses)):
            yield chunk, True
            return
        for begin in range(0, n, size):
            yield chunk.part(begin, min(begin + size, n)), False

    def _settled(self, learner: Any) -> bool:
        return bool(learner.n_rows >= max(_FEWEST, _KNOWN * self.n_parameters))

    def _learn(self, learner: Any, chunk: Any, losses: Array) -> Any:
        """Judge by predictions of the chunk, then let both learn it."""
        rise = 0
        if self._settled(learner):
            rise = self.levels.add(losses)
            self._count(losses)
        if self.rival is not None and self._judge(chunk, losses):
            learner, self.rival = self.rival, learner
            rise = 0
            self._watch(min(learner.n_rows, self.rival.n_rows), "deposed")
        self.spread.add(chunk.targets)
        if rise and not (self.rival is not None and self._age <= 2 * rise + chunk.n_rows):
            self._begin(learner, max(_PATIENCE * max(rise, self.n_parameters), 2 * _PART), "rise")
        elif self.rival is None and learner.n_rows >= self._rest:
            self._begin(learner, np.inf, "turn")
        learner.learn(chunk)
        if self.rival is not None:
            self.rival.learn(chunk)
        return learner

    def _count(self, losses: Array) -> None:
        """What a row usually costs; one that costs very much more, as an outlier does, counts as the most."""
        if self._loss:
            losses = np.minimum(losses, _DEAR * self._loss / self._n)
        self._n, self._loss = self._n + len(losses), self._loss + float(losses.sum())

    def _begin(self, learner: Any, life: float, cause: str) -> None:
        """A new rival, in the place of one that there may be."""
        if not self._settled(learner):
            return
        self.rival = learner.copy()
        self.rival.forget(min(1.0, self.n_parameters / learner.n_rows))
        self._watch(min(life, learner.n_rows), cause)

    def _watch(self, life: float, cause: str) -> None:
        """Begin to compare, with a rival that is there for so many rows, as losses rose, in turn, or as one deposed."""
        self._age, self._life, self._cause = 0, life, cause
        self.gains, self.rival_levels, self.rival_spread = Gains(), Levels(), Spread()

    def _judge(self, chunk: Any, losses: Array) -> bool:
        """Whether the rival takes over; one that has lived in vain goes."""
        rival_losses = _losses(self.rival, chunk)
        self.gains.add(losses, rival_losses)
        self.rival_levels.add(rival_losses)
        self.rival_spread.add(chunk.targets)
        self._age += chunk.n_rows
        if self.gains.significant(self._loss / self._n) and self.rival_spread.like(self.spread):
            self.levels = self.rival_levels
            self._defeats, self._rest = 0, 0.0
            self.n_takeovers += 1
            return True
        if self._age >= self._life:
            self._defeat()
        else:
            self.gains.halve()
        return False

    def _defeat(self) -> None:
        """The rival goes: what made it begin is not for a memory to mend."""
        if self._cause == "rise":
            self.levels = Levels()
        elif self._cause == "turn":
            self._defeats += 1
            self._rest = self.rival.n_rows + self._life * 2.0 ** max(0, self._defeats - _RESTLESS)
        self.rival = None


def _losses(learner: Any, chunk: Any) -> Array:
    """Losses of rows, in numbers that can be squared and summed."""
    return np.fmin(np.asarray(learner.losses(chunk), dtype=float), _HUGE)


class Gains:
    """By how much a rival was better, over its younger half or more.

    The sum of gains over the root of the sum of their squares: of size one without a difference, for heavy tails too.
    Where few rows are dear, as events that are rare, rows without one flatter who expects none, and their squares say
    nothing of what is to come. So squares count more where losses are less than usual.
    """

    def __init__(self) -> None:
        self._before, self._now = np.zeros(4), np.zeros(4)
        self._until = 8

    def copy(self) -> Gains:
        """The same; arrays are never changed in place."""
        return copy.copy(self)

    def add(self, losses: Array, rival_losses: Array) -> None:
        """What a learner and its rival lost on the same rows."""
        gains = losses - rival_losses
        self._now = np.add(self._now, (len(gains), gains.sum(), gains @ gains, losses.sum()))

    def halve(self) -> None:
        """Forget what came before half of the rows were seen, at every doubling: a rival begins with little."""
        n = self._before[0] + self._now[0]
        if n >= self._until:
            self._until = 2 * n
            self._before, self._now = self._now, np.zeros(4)

    def significant(self, usual: float) -> bool:
        """Whether the rival was better by more than chance, where the mean loss is `usual`."""
        n, total, squares, loss = self._before + self._now
        return bool(total > 0 and total * total * loss > _BETTER**2 * squares * max(loss, n * usual))


class Spread:
    """How far targets lie apart that take few values: their variance, columns together."""

    def __init__(self) -> None:
        self._n, self._sum, self._squares = 0, np.zeros(1), 0.0

    def copy(self) -> Spread:
        """The same; arrays are never changed in place."""
        return copy.copy(self)

    def add(self, targets: Array | None) -> None:
        """Some rows."""
        if targets is not None:
            self._n += len(targets)
            self._sum = self._sum + targets.sum(axis=0)
            self._squares += float(np.vdot(targets, targets))

    @property
    def empty(self) -> bool:
        """Whether there were no such targets."""
        return not self._n

    def like(self, other: Spread) -> bool:
        """Whether these rows are no part of a sorted stream, as far as their targets and those of all rows tell."""
        return other.empty or self.value() > _SPREAD * other.value() > 0

    def value(self) -> float:
        """The variance."""
        mean = self._sum / max(self._n, 1)
        return max(self._squares / max(self._n, 1) - float(mean @ mean), 0.0)


class Levels:
    """Losses of the past, in buckets that are the larger the older they are.

    What is kept is ``log(1 + loss / scale)``, in which a few large losses do not hide all others; the scale is about
    the median of the first rows.

    Attributes
    ----------
    buckets : list of tuple
        Rows, sum and sum of squares of each, the oldest first.
    first : list of ndarray
        Losses until there is a scale.
    """

    #: Rows of the first bucket, and the least of one.
    FIRST, LEAST = 32, 8
    #: Buckets, and times a bucket that the rows after it are.
    MOST, GROWTH = 48, 3

    def __init__(self) -> None:
        self.buckets: list[Sums] = []
        self._open: Sums = (0.0, 0.0, 0.0)
        self.first: list[Array] = []
        self._scale = 0.0

    def copy(self) -> Levels:
        """The same, with lists of its own."""
        other = copy.copy(self)
        other.buckets, other.first = self.buckets.copy(), self.first.copy()
        return other

    def add(self, losses: Array) -> int:
        """Losses of some rows, and how many of the last rows are of a higher level: 0 if none are."""
        if not self._scale:
            self.first.append(losses)
            if sum(map(len, self.first)) < self.FIRST:
                return 0
            losses, self.first = np.concatenate(self.first), []
            self._scale = float(max(np.median(losses), losses.mean() / 100)) or 1.0
        self._open = _plus(self._open, self._sums(losses))
        if self._open[0] < self.LEAST:
            return 0
        self.buckets.append(self._open)
        self._open = (0.0, 0.0, 0.0)
        self._merge()
        return self._rise()

    def would_rise(self, losses: Array) -> bool:
        """Whether all rows of a chunk together are of a higher level than those before it."""
        if not self.buckets:
            return False
        before = self._open
        for bucket in self.buckets:
            before = _plus(before, bucket)
        after = self._sums(losses)
        return _rise(before, after, _floor(_plus(before, after))) > _RISE

    def _sums(self, losses: Array) -> Sums:
        values = np.log1p(losses / self._scale)
        return float(len(values)), float(values.sum()), float(values @ values)

    def _merge(self) -> None:
        """Two neighbours that are small beside what came later become one."""
        buckets, later = self.buckets, 0.0
        for at in range(len(buckets) - 2, -1, -1):
            if self.GROWTH * (buckets[at][0] + buckets[at + 1][0]) <= later:
                break
            later += buckets[at + 1][0]
        else:
            if len(buckets) <= self.MOST:
                return
            at = 0
        buckets[at : at + 2] = [_plus(buckets[at], buckets[at + 1])]

    def _rise(self) -> int:
        """Rows after the border where losses rose most; a past that was worse, as at the start, is dropped."""
        buckets = self.buckets
        before, after = (0.0, 0.0, 0.0), functools.reduce(_plus, buckets)
        floor, most, rows, fallen = _floor(after), _RISE, 0.0, 0
        for at in range(len(buckets) - 1):
            n, total, squares = buckets[at]
            before = (before[0] + n, before[1] + total, before[2] + squares)
            after = (after[0] - n, after[1] - total, after[2] - squares)
            z = _rise(before, after, floor)
            if z > most:
                most, rows = z, after[0]
            elif z < -_RISE:
                fallen = at + 1
        if not rows:
            del buckets[:fallen]
        return int(rows)


def _plus(a: Sums, b: Sums) -> Sums:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _floor(sums: Sums) -> float:
    """Least variance of a part: a tenth of that of all, and not zero."""
    return 0.1 * max(sums[2] / sums[0] - (sums[1] / sums[0]) ** 2, 0.0) + 1e-300


def _rise(before: Sums, after: Sums, floor: float) -> float:
    """The mean after a border less that before it, in standard errors; what is after has no less variance."""
    mean, mean_after = before[1] / before[0], after[1] / after[0]
    variance = max(before[2] / before[0] - mean * mean, floor)
    variance_after = max(after[2] / after[0] - mean_after * mean_after, variance)
    return (mean_after - mean) / math.sqrt(variance / before[0] + variance_after / after[0])


__all__ = ["Adaptive", "Chunk", "Forgetting", "HalfLife", "Learner"]

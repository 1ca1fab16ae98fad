"""How the stream learner meets forgetting: chunks that can be cut, and a learner that owns its sums."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from skvariants._stream.correction import CorrectedLearner
from skvariants._stream.drift import Adaptive, Forgetting, HalfLife
from skvariants._stream.reservoir import Reservoir, ReservoirLearner
from skvariants._stream.sums import Sums

Array = np.ndarray
#: Who learns by what is kept.
_LEARNERS: dict[type, Any] = {Sums: CorrectedLearner, Reservoir: ReservoirLearner}


@dataclasses.dataclass(eq=False, repr=False)
class Chunk:
    """Rows that arrive together.

    Attributes
    ----------
    X, y, s : array-like
        Features, targets as columns, weights.
    labels : bool
        Whether targets are labels.
    """

    X: Any
    y: Array
    s: Array
    labels: bool

    @property
    def n_rows(self) -> int:
        """How many."""
        return len(self.s)

    @property
    def targets(self) -> Array | None:
        """Labels as numbers; None where targets take any value."""
        return self.y if self.labels else None

    def part(self, begin: int, end: int) -> Chunk:
        """The rows from `begin` up to, but without, `end`."""
        return Chunk(self.X[begin:end], self.y[begin:end], self.s[begin:end], self.labels)

    def times(self, weights: Array) -> Chunk:
        """The same rows, their weights multiplied."""
        return dataclasses.replace(self, s=self.s * weights)


class Remembering:
    """Sums over a stream, and what is learned by them.

    Parameters
    ----------
    sums : Sums or Reservoir
        Changed in place.
    how : tuple
        Loss, penalty, whether there is an intercept, unit of the predictions.
    """

    def __init__(self, sums: Any, how: tuple[Any, ...]) -> None:
        self.sums, self.how = sums, how
        sums.memory = None  # a copy would keep the rule of then, with its rival, and so on
        self.before: list[Array] = []
        #: predictions of the last rows by the model that they found
        self.predicted: Array | None = None

    @property
    def weight(self) -> float:
        """What the rows that are remembered weigh."""
        return float(self.sums.n_rows)

    @property
    def n_rows(self) -> float:
        """How many rows that is, each of the mean weight."""
        return self.weight / self.sums.mean_weight

    def losses(self, chunk: Chunk) -> Array:
        """Loss of each row, times its weight."""
        at, loss = self.sums, self.how[0]
        theta = at.model()
        return np.asarray(chunk.s * loss.value(chunk.y, chunk.X @ theta[:-1] + theta[-1]).sum(axis=1))

    def learn(self, chunk: Chunk) -> None:
        """Add rows; their losses before that are kept."""
        learner = _LEARNERS[type(self.sums)](self.sums, *self.how)
        self.before.append(learner.learn(chunk.X, chunk.y, chunk.s))
        self.predicted = learner.predicted

    def forget(self, factor: float) -> None:
        """Let everything before count less."""
        self.sums.forget(factor)

    def copy(self) -> Remembering:
        """Another learner in the same state."""
        return Remembering(self.sums.copy(), self.how)


def memory_of(asked: Any, kept: tuple[Any, Any] | None, sums: Any, how: tuple[Any, ...]) -> Any:
    """The rule that `forgetting` asks for: that of earlier chunks, if it is the same that was asked for.

    Parameters
    ----------
    asked : None, "auto" or float
        The parameter.
    kept : tuple of (asked, Forgetting) or None
        Of the chunk before.
    sums : Sums or Reservoir
        What it is for.
    how : tuple
        What is learned, now.
    """
    if kept is not None and kept[0] == asked:
        rule = kept[1].copy()
        if getattr(rule, "rival", None) is not None:
            rule.rival.how, rule.rival.before = how, []
        return rule
    if asked is None:
        return Forgetting()
    return Adaptive(sums.n_parameters) if isinstance(asked, str) else HalfLife(float(asked))


__all__ = ["Chunk", "Remembering", "memory_of"]

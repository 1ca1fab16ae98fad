"""How the time of a search is shared among its fits."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skvariants._spec import Trainable

__all__ = ["INSTANT", "Share", "Timer"]

#: The shortest `max_time` in seconds, when nothing is left: one epoch.
INSTANT = 1e-3


@dataclass(frozen=True)
class Share:
    """What a task may take: an even part of the time that is left when it begins.

    Attributes
    ----------
    deadline : float
        Of all tasks, as ``time.time`` tells it in every process.
    n_tasks : int
        It and those that the same worker is to do after it.
    """

    deadline: float
    n_tasks: int

    def seconds(self) -> float:
        """The part, from now on."""
        return max(0.0, self.deadline - time.time()) / self.n_tasks


class Timer:
    """The time of a search.

    Parameters
    ----------
    max_time : float or None
        Seconds that all fits may take together.
    refit : bool
        Whether the winner is fitted in the end, which counts as a task.
    """

    def __init__(self, max_time: float | None, refit: bool) -> None:
        self.deadline = math.inf if max_time is None else time.time() + max_time
        self.refit = refit
        #: rounds of tasks that are to come, the present one included
        self.rounds = 1

    def left(self) -> float:
        """Seconds from now."""
        return max(0.0, self.deadline - time.time())

    @contextlib.contextmanager
    def limits(self, final: Any) -> Iterator[None]:
        """Let an estimator of this package fit in what is left; its own `max_time` is as it was in the end."""
        if math.isinf(self.deadline) or not (isinstance(final, Trainable) and "max_time" in final.get_params()):
            yield
            return
        own = final.max_time
        final.set_params(max_time=max(min(self.left(), math.inf if own is None else own), INSTANT))
        try:
            yield
        finally:
            final.set_params(max_time=own)

    def shares(self, n_tasks: int, n_workers: int) -> list[Share | None]:
        """The shares of the tasks of a round, in their order."""
        if math.isinf(self.deadline):
            return [None] * n_tasks
        rows = [math.ceil((n_tasks - i) / n_workers) for i in range(n_tasks)]
        end = time.time() + self.left() / (self.rounds + self.refit / max(rows))
        return [Share(end, row) for row in rows]

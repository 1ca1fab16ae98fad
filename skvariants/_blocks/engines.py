"""Who computes what is asked of the blocks of a table: this process, an executor of Python, Ray.

All that an engine has to do is ``run(function, shards, *args)``: the results in the order of the shards, whoever
computes them, and whenever. A shard of an engine that has several workers is a :class:`Run` of neighbouring blocks, so
that there are about as many tasks as workers, however many blocks. Runs begin at multiples of a power of two and are as
long, so that what is added pairwise by number, first in them and then among them, is the same to the last bit.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any

from skvariants._threads import threads

Engine = Callable[..., Iterable[Any]]
#: Tasks of a pass for each worker, at most: so many are enough to even out workers of different speed.
EACH = 4
#: What to do where blocks are lost with those who held them.
LOST = (
    "Blocks that can be computed again, as those of lazy or persisted collections or of functions that read them, "
    "outlive a worker; give such ones, or start workers and fit again."
)


class Tree:
    """Parts added pairwise by number, as few as possible held at a time."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Any]] = []

    def add(self, part: Any, size: int = 1) -> None:
        """Take in the next part, or the sum of so many of them."""
        total = part
        while self.waiting and self.waiting[-1][0] == size:
            total = self.waiting.pop()[1] + total
            size *= 2
        self.waiting.append((size, total))

    def total(self) -> Any:
        """The sum; None of none."""
        if not self.waiting:
            return None
        *others, (_, total) = self.waiting
        for _, part in reversed(others):
            total = part + total
        return total


def tree(parts: Iterable[Any]) -> Any:
    """The sum of parts, pairwise by number, as few as possible held at a time; None of none."""
    sums = Tree()
    for part in parts:
        sums.add(part)
    return sums.total()


@dataclass(eq=False, repr=False)
class Run:
    """Neighbouring blocks of rows.

    Attributes
    ----------
    first : int
        Number of the first.
    blocks : list
        What the engine makes them of.
    read : callable
        Gives ``(X, y, weight)`` of one, where it is computed with.
    """

    first: int
    blocks: list[Any]
    read: Callable[[Any], Any]

    def each(self, function: Callable[..., Any], *args: Any) -> Iterator[Any]:
        """The result of each block, one in memory at a time; what is refused says which it was."""
        for number, block in enumerate(self.blocks, self.first):
            try:
                yield function(self.read(block), *args)
            except ValueError as error:
                raise ValueError(f"{error} It is block {number} of the rows.") from error


def summed(run: Run, function: Callable[..., Any], *args: Any) -> Any:
    """The sum of the results of a run."""
    with threads(0):  # the products are those of a block
        return tree(run.each(function, *args))


def listed(run: Run, function: Callable[..., Any], *args: Any) -> list[Any]:
    """The results of a run."""
    with threads(0):
        return list(run.each(function, *args))


def runs_of(blocks: Sequence[Any], read: Callable[[Any], Any], workers: int) -> list[Run]:
    """Blocks as runs, no more than a few for each worker."""
    size = 1
    while -(-len(blocks) // size) > EACH * max(1, workers):
        size *= 2
    return [Run(i, list(blocks[i : i + size]), read) for i in range(0, len(blocks), size)]


# ---------------------------------------------------------------------- engines


def in_turn(function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> Iterator[Any]:
    """The engine of this process: one shard after the other, each when its result is asked for."""
    return (function(shard, *args) for shard in shards)


class OnFunction:
    """The engine of a function of the user's.

    Parameters
    ----------
    function : callable
        ``run(function, shards, *args)``.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.workers = int(getattr(function, "workers", None) or os.cpu_count() or 1)

    def __call__(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> list[Any]:
        results = self.function(function, shards, *args)
        if not isinstance(results, Iterable):
            raise TypeError(f"engine returned {results!r} for {len(shards)} shards: {_ALL}.")
        results = list(results)
        if len(results) != len(shards):
            raise ValueError(f"engine returned {len(results)} results for {len(shards)} shards: {_ALL}.")
        return results


_ALL = "return the result of each, as [function(shard, *args) for shard in shards]"


class OnExecutor:
    """The engine of a :class:`concurrent.futures.Executor`.

    Parameters
    ----------
    executor : Executor
        Of any library, started by the user.
    """

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.workers = int(getattr(executor, "_max_workers", None) or os.cpu_count() or 1)

    def __call__(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> list[Any]:
        futures: list[Any] = []
        try:
            with _sent():
                futures.extend(self.executor.submit(function, shard, *args) for shard in shards)
                return [future.result() for future in futures]
        except BrokenExecutor as error:
            raise RuntimeError(
                f"The executor of the fit has lost a worker ({type(error).__name__}): start another and fit again."
            ) from error
        finally:
            for future in futures:
                future.cancel()


@contextlib.contextmanager
def _sent() -> Iterator[None]:
    """Say what to do where an executor takes no task, or cannot send it to another process."""
    try:
        yield
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        raise TypeError(
            f"The executor of the fit sends tasks to other processes, and cannot send this one ({error}): give blocks "
            "or functions of a module, as by functools.partial, no lambda and none that is defined in another."
        ) from error
    except RuntimeError as error:
        if "cannot schedule new futures" not in str(error) or isinstance(error, BrokenExecutor):
            raise
        raise RuntimeError("The executor of the fit is shut down: start another and fit again.") from error


class OnRay:
    """The engine of Ray.

    Parameters
    ----------
    ray : module
        As the user imported it.
    """

    def __init__(self, ray: Any) -> None:
        if not ray.is_initialized():
            raise ValueError("engine=ray is not initialised: call ray.init() before.")
        self.ray = ray
        self.workers = int(ray.cluster_resources().get("CPU", 1))
        # blocks are arguments of their own, so that Ray has them at hand, and sends the task to where most are
        self.task = ray.remote(_of_blocks)

    def __call__(self, function: Callable[..., Any], shards: Sequence[Run], *args: Any) -> list[Any]:
        ray, shared = self.ray, self.ray.put(args)
        tasks = [self.task.remote(function, shared, shard.first, shard.read, *shard.blocks) for shard in shards]
        try:
            return list(ray.get(tasks))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # the sentence, without the frames of the worker
        except ray.exceptions.RayError as error:
            raise RuntimeError(f"Ray has lost blocks of the rows ({type(error).__name__}). {LOST}") from error


def _of_blocks(function: Callable[..., Any], args: Any, first: int, read: Any, *blocks: Any) -> Any:
    return function(Run(first, list(blocks), read), *args)


def ray_of(block: Any) -> Any:
    """Ray, where a block is a reference to one of its objects; None otherwise, without importing it."""
    ray = sys.modules.get("ray")
    return ray if ray is not None and isinstance(block, ray.ObjectRef) else None


__all__ = [
    "LOST", "Engine", "OnExecutor", "OnFunction", "OnRay", "Run", "Tree", "in_turn", "listed", "ray_of", "runs_of",
    "summed", "tree",
]  # fmt: skip

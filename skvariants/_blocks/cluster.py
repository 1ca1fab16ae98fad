"""Blocks of dask collections: on a cluster as runs of neighbours, each one task; else as dask's scheduler takes them.

What one block alone is made of is computed within the task of its run, one block in memory at a time. What several
blocks share, and what is persisted, stays a task or a future of its own. Recipes of runs are sent once a fit, as
results of tasks, so that a worker that dies takes nothing along that cannot be computed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from typing import Any

import numpy as np

from skvariants._blocks.engines import LOST, Run, runs_of, tree

#: Seconds between looks at the workers, and after which none is missed.
_LOOK, _MISSED = 2.0, 15.0
#: Seconds of a round of one task for each worker, above which the next is of several, which even out slow workers: each
#: takes two to three milliseconds of a worker beside its work.
_LONG = 5.0


class ByDask:
    """The engine of dask's own schedulers: a task for each shard."""

    def __call__(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> Iterable[Any]:
        import dask

        return dask.compute(*self._tasks(function, shards, args))

    def total(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> Any:
        """The sum of the results, each let go once it is added."""
        import dask

        return dask.compute(tree(self._tasks(function, shards, args)))[0]

    def _tasks(self, function: Callable[..., Any], shards: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        import dask

        task = dask.delayed(function, pure=False)
        shared = [dask.delayed(arg, pure=False, traverse=False) for arg in args]
        return [task(shard, *shared) for shard in shards]


def client_of(collection: Any) -> Any:
    """The client of the cluster that dask would compute on; None where that is a scheduler of this process."""
    from dask.base import get_scheduler

    client = getattr(get_scheduler(collections=[collection]), "__self__", None)
    if not hasattr(client, "scheduler_info"):
        return None
    if client.asynchronous:
        raise ValueError("The client of dask is asynchronous, and a fit waits: make one with asynchronous=False.")
    return client


def delayed_blocks(collection: Any) -> list[Any]:
    """The blocks of a collection, as many as it says."""
    plain = np.ravel(collection.to_delayed(optimize_graph=False))
    # an optimised graph has what is persisted within its tasks
    if any(_is_future(task) for task in dict(plain[0].dask).values()):
        return list(plain)
    with as_partitioned():
        return list(np.ravel(collection.to_delayed()))


def as_partitioned() -> Any:
    """A context in which dask reads no small files together: it takes more where fewer columns are asked for.

    Targets would have other blocks than features of the same files, and predictions others than their rows.
    """
    import dask

    return dask.config.set({"optimization.tune.active": False})


@dataclass(eq=False, repr=False)
class Recipe:
    """How to make a block.

    Attributes
    ----------
    graph : dict
        Tasks that are of this block alone.
    keys : list
        Of the features, targets and weights in it, in a list of one; what is known itself, as it is.
    outside : list
        Keys of what is made elsewhere.
    """

    graph: dict[Any, Any]
    keys: list[Any]
    outside: list[Any]


class _Box:
    """A value that dask takes for nothing else."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _opened(box: _Box) -> Any:
    return box.value


def _read(block: tuple[Recipe, dict[Any, Any]]) -> Any:
    """Features, targets and weights by a recipe."""
    import dask

    recipe, elsewhere = block
    graph = recipe.graph | {key: (_opened, _Box(elsewhere[key])) for key in recipe.outside}
    names = [key[0] for key in recipe.keys if isinstance(key, list)]
    made = iter(dask.get(graph, names))
    return tuple(next(made) if isinstance(key, list) else key for key in recipe.keys)


def _kept(run: _Box) -> _Box:
    return run


def _on_recipes(function: Callable[..., Any], kept: _Box, asked: _Box, values: list[Any]) -> list[Any]:
    some, keys, args = asked.value
    elsewhere = dict(zip(keys, values, strict=True))
    runs = [Run(run.first, [(recipe, elsewhere) for recipe in run.blocks], run.read) for run in kept.value[some]]
    return [function(run, *args) for run in runs]


def _opened_by(read: Callable[[Any], Any], block: Any) -> Any:
    return read(_read(block)[0])


class OnCluster:
    """The engine of `dask.distributed`; its shards are runs of recipes.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.workers = len(self._ask_workers())
        self.shared: dict[Any, Any] = {}
        self.short = self.alike = True

    def runs(self, blocks: Sequence[Any], read: Callable[[Any], Any] | None = None) -> list[Any]:
        """Blocks as shards.

        Parameters
        ----------
        blocks : sequence
            Features, targets and weights, each a delayed value or known; or futures, delayed values or other things
            that are to be read.
        read : callable, optional
            Gives features, targets and weights of such a thing.
        """
        import dask

        if read is not None:
            blocks = [(dask.delayed(block) if _is_future(block) else block,) for block in blocks]
        recipes, self.shared = recipes_of(blocks)
        runs = runs_of(recipes, _read if read is None else partial(_opened_by, read), self.workers)
        each, shards = -(-len(runs) // max(1, self.workers)), []
        computed = {key for key, task in self.shared.items() if not _is_future(task)}
        for first in range(0, len(runs), each):
            some = runs[first : first + each]
            kept = self.client.submit(_kept, _Box(some), pure=False)
            outside = [{key for recipe in run.blocks for key in recipe.outside} for run in some]
            shards += [(kept, number, keys) for number, keys in enumerate(outside)]
            # what is computed for several blocks is held as long as their task
            made = [{key for key in keys if key in computed} for keys in outside]
            self.alike &= len(set().union(*made)) == max(map(len, made))
        return shards

    def __call__(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> list[Any]:
        import dask
        from dask.delayed import Delayed

        task, tasks, begin = dask.delayed(_on_recipes, pure=False), [], time.monotonic()
        for _, same in groupby(shards, lambda shard: shard[0].key if self.short and self.alike else id(shard)):
            group = list(same)
            kept, first, _ = group[0]
            outside = sorted(set().union(*(keys for _, _, keys in group)), key=str)
            asked = _Box((slice(first, first + len(group)), outside, args))
            tasks.append(task(function, kept, asked, [Delayed(key, self.shared) for key in outside]))
        try:
            results = self._results(self.client.compute(tasks))
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "distributed":
                raise
            raise RuntimeError(f"The cluster has lost rows of the fit ({type(error).__name__}). {LOST}") from error
        self.short = time.monotonic() - begin < _LONG
        return list(chain.from_iterable(results))

    def _results(self, futures: list[Any]) -> list[Any]:
        """What the workers found; an error where none is left to find it."""
        from dask.distributed import wait

        seen = time.monotonic()
        while True:
            try:
                wait(futures, timeout=_LOOK)
                return list(self.client.gather(futures))
            except TimeoutError:
                if self._ask_workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > _MISSED:
                    raise RuntimeError(
                        "The cluster has no workers, and the rows of the fit are theirs: start workers, wait for them "
                        "by client.wait_for_workers(1), and fit again."
                    ) from None

    def _ask_workers(self) -> Any:
        """Those of the cluster; none of a scheduler that does not answer."""
        try:
            return self.client.sync(self.client.scheduler.ncores, callback_timeout=_LOOK)
        except Exception:
            return {}


def recipes_of(blocks: Sequence[Sequence[Any]]) -> tuple[list[Recipe], dict[Any, Any]]:
    """Recipes of blocks, and tasks and futures that several share."""
    from dask.core import get_dependencies

    graph: dict[Any, Any] = {}
    merged: set[int] = set()
    for block in blocks:
        for value in block:
            if hasattr(value, "__dask_graph__") and id(value.dask) not in merged:
                merged.add(id(value.dask))
                graph.update(value.dask)
    needs = {key: set() if _is_future(task) else get_dependencies(graph, key) for key, task in graph.items()}
    owner: dict[Any, int] = {}
    for number, block in enumerate(blocks):
        waiting = [value.key for value in block if hasattr(value, "__dask_graph__")]
        reached = set()
        while waiting:
            key = waiting.pop()
            if key in reached or owner.get(key) == _SHARED:
                continue
            reached.add(key)
            alone = key not in owner and key in graph and not _is_future(graph[key])
            owner[key] = number if alone else _SHARED
            waiting.extend(needs.get(key, ()))
    own: list[dict[Any, Any]] = [{} for _ in blocks]
    shared = {}
    for key, number in owner.items():
        if number != _SHARED:
            own[number][key] = graph[key]
        elif key in graph:
            shared[key] = graph[key]
    recipes = []
    for block, mine in zip(blocks, own, strict=True):
        keys = [[value.key] if hasattr(value, "__dask_graph__") else value for value in block]
        wanted = {key[0] for key in keys if isinstance(key, list)}.union(*(needs[key] for key in mine))
        recipes.append(Recipe(mine, keys, sorted((key for key in wanted if key not in mine), key=str)))
    return recipes, shared


#: Of tasks that several blocks need.
_SHARED = -1


def _is_future(task: Any) -> bool:
    return hasattr(task, "add_done_callback")


__all__ = ["ByDask", "OnCluster", "as_partitioned", "client_of", "delayed_blocks"]

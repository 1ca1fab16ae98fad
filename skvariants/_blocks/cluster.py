"""Blocks of dask collections: on a cluster as runs of neighbours, each one task; else as dask's scheduler takes them.

What one block alone is made of is computed within the task of its run, one block in memory at a time. What several
blocks share, and what is persisted, stays a task or a future of its own. Recipes of runs are sent once a fit, as
results of tasks, so that a worker that dies takes nothing along that cannot be computed again.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from skvariants._blocks.engines import EACH, LOST, Run, Tree, runs_of, summed, tree

#: Seconds between looks at the workers, and after which none is missed.
_LOOK, _MISSED = 2.0, 15.0
#: Seconds of a round of one task for each worker, above which the next is of several, which even out slow workers: each
#: takes two to three milliseconds of a worker beside its work.
_LONG = 5.0
#: Bytes of an array from which copying it into a pickle takes longer than sending it apart.
_LARGE = 1 << 14


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

        task = dask.delayed(_of_block, pure=False)
        shared = [dask.delayed(arg, pure=False, traverse=False) for arg in args]
        return [task(function, number, shard, *shared) for number, shard in enumerate(shards)]


def _of_block(function: Callable[..., Any], number: int, shard: Any, *args: Any) -> Any:
    return next(Run(number, [shard], _itself).each(function, *args))


def _itself(block: Any) -> Any:
    return block


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
    from dask.core import get

    recipe, elsewhere = block
    known = {key: elsewhere[key] for key in recipe.outside}
    if recipe.graph:
        names = [key[0] for key in recipe.keys if isinstance(key, list)]
        graph = recipe.graph | {key: (_opened, _Box(value)) for key, value in known.items()}
        known = dict(zip(names, get(graph, names), strict=True))
    return tuple(known[key[0]] if isinstance(key, list) else key for key in recipe.keys)


def _kept(run: _Box) -> _Box:
    return run


def _on_recipes(function: Callable[..., Any], kept: _Box, asked: _Box, values: list[Any]) -> list[Any]:
    some, keys, args = asked.value
    elsewhere = dict(zip(keys, values, strict=True))
    runs = [kept.value[number] for number in some]
    runs = [Run(run.first, [(recipe, elsewhere) for recipe in run.blocks], run.read) for run in runs]
    return _packed([function(run, *args) for run in runs])


def _packed(results: list[Any]) -> list[Any]:
    """Results as dask sends them at least cost: their pickle, and the bytes of large arrays.

    Of results themselves it would pickle each number apart, and of an object large arrays, twice, as a scheduler that
    passes results on asks for an old protocol.
    """
    large: list[Any] = []

    def within(buffer: pickle.PickleBuffer) -> bool:
        array = np.frombuffer(buffer.raw(), np.uint8)
        if array.nbytes >= _LARGE:
            large.append(array)
        return array.nbytes < _LARGE

    return [pickle.dumps(results, protocol=5, buffer_callback=within), *large]


def _unpacked(packed: list[Any]) -> Any:
    return pickle.loads(packed[0], buffers=packed[1:])


def _opened_by(read: Callable[[Any], Any], block: Any) -> Any:
    return read(_read(block)[0])


@dataclass(eq=False, repr=False)
class _Piece:
    """Neighbouring blocks whose sum is one of those that are added pairwise.

    Attributes
    ----------
    kept : Future
        Recipes of the pieces of a worker.
    number, part : int
        Of the piece among these, and of the task that it is in where a task for each worker is too few.
    size : int
        Blocks of such a sum, a power of two; after the last block none are missing.
    outside : set
        Keys of what is made elsewhere.
    """

    kept: Any
    number: int
    part: int
    size: int
    outside: set[Any]


class OnCluster:
    """The engine of `dask.distributed`; its shards are runs of recipes.

    A run is in pieces where several workers hold its blocks: features stay where they are, and sums go to the client.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    """

    def __init__(self, client: Any) -> None:
        if client.status == "closed":
            raise ValueError("The client of dask is closed: make another and fit again.")
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
        each, places = -(-len(runs) // max(1, self.workers)), self._places(recipes)
        groups: dict[Any, list[tuple[int, Run]]] = {}
        for number, run in enumerate(runs):
            for place, size, piece in _pieces(run, len(runs[0].blocks), places):
                groups.setdefault(number // each if place is None else place, []).append((size, piece))
        computed = {key for key, task in self.shared.items() if not _is_future(task)}
        shards: list[tuple[int, _Piece]] = []
        for place, some in groups.items():
            there = {} if isinstance(place, int) else {"workers": [place], "allow_other_workers": True}
            kept = self.client.submit(_kept, _Box([piece for _, piece in some]), pure=False, **there)
            outside = [{key for recipe in piece.blocks for key in recipe.outside} for _, piece in some]
            for number, ((size, piece), keys) in enumerate(zip(some, outside, strict=True)):
                part = number * EACH // max(EACH, len(some))
                shards.append((piece.first, _Piece(kept, number, part, size, keys)))
            # what is computed for several blocks is held as long as their task
            made = [{key for key in keys if key in computed} for keys in outside]
            self.alike &= len(set().union(*made)) == max(map(len, made))
        return [piece for _, piece in sorted(shards, key=itemgetter(0))]

    def _places(self, recipes: Sequence[Recipe]) -> list[Any]:
        """The worker that has most of what each recipe needs, by bytes; None where nothing is held yet."""
        futures = {key: task for key, task in self.shared.items() if _is_future(task)}
        if not futures:
            return [None] * len(recipes)
        with _lost_rows():
            self._wait(list(futures.values()))
            held = self.client.who_has(list(futures.values()))
            sizes = self.client.nbytes([future.key for future in futures.values()], summary=False)
        places: list[Any] = []
        for recipe in recipes:
            there: dict[str, int] = {}
            for future in (futures[key] for key in recipe.outside if key in futures):
                for worker in sorted(held.get(future.key, ())):
                    there[worker] = there.get(worker, 0) + sizes.get(future.key, 0)
            places.append(max(there, key=there.__getitem__, default=None))
        return places

    def total(self, function: Callable[..., Any], shards: Sequence[_Piece], *args: Any) -> Any:
        """The sum of what a function says of each block."""
        sums = Tree()
        for piece, part in zip(shards, self(summed, shards, function, *args), strict=True):
            sums.add(part, piece.size)
        return sums.total()

    def __call__(self, function: Callable[..., Any], shards: Sequence[_Piece], *args: Any) -> list[Any]:
        import dask
        from dask.delayed import Delayed

        task, tasks, begin = dask.delayed(_on_recipes, pure=False), [], time.monotonic()
        together: dict[Any, list[int]] = {}
        for position, piece in enumerate(shards):
            key = piece.kept.key, 0 if self.short and self.alike else piece.part
            together.setdefault(key, []).append(position)
        for some in together.values():
            pieces = [shards[position] for position in some]
            outside = sorted(set().union(*(piece.outside for piece in pieces)), key=str)
            asked = _Box(([piece.number for piece in pieces], outside, args))
            tasks.append(task(function, pieces[0].kept, asked, [Delayed(key, self.shared) for key in outside]))
        with _lost_rows():
            found = self._results(self.client.compute(tasks))
        self.short = time.monotonic() - begin < _LONG
        results: list[Any] = [None] * len(shards)
        for some, part in zip(together.values(), found, strict=True):
            for position, result in zip(some, _unpacked(part), strict=True):
                results[position] = result
        return results

    def _results(self, futures: list[Any]) -> list[Any]:
        """What the workers found."""
        self._wait(futures)
        return list(self.client.gather(futures))

    def _wait(self, futures: list[Any]) -> None:
        """Until all are found; an error where no worker is left to find them."""
        from dask.distributed import wait

        seen = time.monotonic()
        while True:
            try:
                wait(futures, timeout=_LOOK)
                return
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


@contextlib.contextmanager
def _lost_rows() -> Iterator[None]:
    """Errors of the cluster itself as a sentence."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "distributed":
            raise
        raise RuntimeError(f"The cluster has lost rows of the fit ({type(error).__name__}). {LOST}") from error


def _pieces(run: Run, size: int, places: Sequence[Any]) -> Iterator[tuple[Any, int, Run]]:
    """A run of so many blocks in pieces of those that are in one place, each a whole branch of the pairwise sum."""
    begin, end = run.first, run.first + len(run.blocks)
    while begin < end:
        of = size
        while begin % of or len(set(places[begin : min(begin + of, end)])) > 1:
            of //= 2
        last = min(begin + of, end)
        yield places[begin], of, Run(begin, run.blocks[begin - run.first : last - run.first], run.read)
        begin = last


def recipes_of(blocks: Sequence[Sequence[Any]]) -> tuple[list[Recipe], dict[Any, Any]]:
    """Recipes of blocks, and tasks and futures that several share."""
    from dask.core import get_dependencies

    graph: dict[Any, Any] = {}
    graphs: dict[int, Any] = {}  # which are held, so that their numbers are not given to others
    for block in blocks:
        for value in block:
            of = value.dask if hasattr(value, "__dask_graph__") else None
            if of is not None and id(of) not in graphs:
                graphs[id(of)] = of
                graph.update(of)
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

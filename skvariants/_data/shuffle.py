"""The rows of an epoch: in which order, and who fetches them.

The plain rule is a permutation of all rows, drawn anew for each epoch, and ``X[order[i : i + batch_size]]`` for each
batch. On a large table both are waiting for memory, as every row, and every swap of a draw, misses the cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

Array = np.ndarray
# rows whose order no longer fits the cache
_MANY = 1 << 20
# rows from which they are drawn in groups, of so many rows at most and so many a batch at least
_GROUPED = 1 << 16
_GROUP = 16
_GROUPS = 16


def permutation(rng: np.random.Generator, n: int) -> Array:
    """Numbers from 0 to `n` in random order."""
    if n < _MANY:
        return rng.permutation(n)
    # swaps miss the cache: random numbers are sorted instead, the row in their last digits
    bits = n.bit_length()
    order = rng.integers(0, 1 << (63 - bits), n)
    order <<= bits
    order |= np.arange(n)
    order.sort()
    order &= (1 << bits) - 1
    return order


class SameOrder:
    """A random order of the rows, drawn when it is first asked for, and the same each time.

    The generator is left as it was. Batches hold this, and nothing of what holds them, so that a fit leaves no cycle:
    what is large goes when it ends, not when Python next looks for cycles.
    """

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self._rng, self._n = rng, n
        self._order: Array | None = None

    def __call__(self) -> Array:
        if self._order is None:
            self._order = copy.deepcopy(self._rng).permutation(self._n)
        return self._order


class Shuffle:
    """A new order of the rows for each epoch; each of the n! orders is equally likely in each.

    Rows are drawn one by one where that is cheap. Where they are many, all are drawn once, for the first epoch. Each
    later epoch draws groups of neighbours in this first order, which are random sets of rows; a batch is 16 groups or
    more, and where groups begin is drawn too. As a permutation drawn independently of the first, which is uniform, that
    leaves every order as likely.

    Parameters
    ----------
    n : int
        Rows.
    batch_size : int
        Rows of a batch.
    *columns : ndarray of shape (n,) or (n, 1), or None
        Numbers by row that are wanted in the same order.
    """

    def __init__(self, n: int, batch_size: int, *columns: Array | None) -> None:
        self.n, self.columns = n, columns
        self.size = min(_GROUP, batch_size // _GROUPS) if n >= _GROUPED else 1
        self.first: list[Any] | None = None

    def draw(self, rng: np.random.Generator, seed: int | None) -> tuple[list[Any], int | None]:
        """The order of an epoch, columns in it, and the seed of the first order, to be given with the next epoch."""
        n, size = self.n, self.size
        if size <= 1:
            return self._beside(permutation(rng, n)), None
        begins = seed is None
        if seed is None:
            seed = int(rng.integers(1 << 63))
        if self.first is None:
            order = permutation(np.random.default_rng(seed), n)
            self.first = self._beside(order.astype(np.min_scalar_type(-n)))  # half of the cache
        if begins:
            return self.first, seed
        start = int(rng.integers(size))
        groups = rng.permutation((n - start) // size)
        stop = start + len(groups) * size

        def regrouped(old: Array) -> Array:
            new = np.empty_like(old)
            new[:start], new[stop:] = old[:start], old[stop:]
            rows, drawn = (a[start:stop].reshape(-1, size) for a in (old, new))
            np.take(rows, groups, axis=0, out=drawn, mode="clip")
            return new

        return [None if a is None else regrouped(a) for a in self.first], seed

    def _beside(self, order: Array) -> list[Any]:
        return [order, *(None if a is None else np.take(a, order, axis=0) for a in self.columns)]


def fetched(fetch: Callable[[int], Any], count: int, held: int) -> Iterator[Any]:
    """``fetch(i)`` for each `i` below `count`; if more than one may be held, a second thread fetches ahead.

    Waiting for memory leaves the interpreter to the steps. Rather than wait for the thread, the caller fetches what
    the thread has not begun: both are busy, whichever has more to do.
    """
    if held == 1:
        yield from map(fetch, range(count))
        return
    helper = ThreadPoolExecutor(1)
    coming: dict[int, Future[Any]] = {}
    own: dict[int, Any] = {}
    try:
        for i in range(count):
            first = 0 if i == 0 else i + held - 1
            coming |= {j: helper.submit(fetch, j) for j in range(first, min(i + held, count))}
            if i in coming and not coming[i].done() and i + 1 in coming and coming[i + 1].cancel():
                own[i + 1] = fetch(i + 1)
                del coming[i + 1]
            yield own.pop(i) if i in own else coming.pop(i).result()
    finally:
        helper.shutdown(cancel_futures=True)


__all__ = ["SameOrder", "Shuffle", "fetched", "permutation"]

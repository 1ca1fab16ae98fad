"""How many threads a product gets, and what two threads do at once."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

#: Multiplications in a product from which a second thread gains more than it waits.
PARALLEL = 1 << 25


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@functools.cache
def scipys_blas() -> ThreadpoolController:
    """The BLAS of SciPy, where it is not NumPy's own."""
    paths = [lib["filepath"] for lib in _controller().info() if lib["user_api"] == "blas"]
    others = [path for path in paths if not any(part.startswith("numpy") for part in Path(path).parts[-3:])]
    return _controller().select(filepath=others if len(others) < len(paths) else [])


@functools.cache
def _other_blas() -> ThreadpoolController:
    """The BLAS that NumPy uses, and what else there is beside SciPy's own."""
    scipys = {lib["filepath"] for lib in scipys_blas().info()}
    libraries = [lib["filepath"] for lib in _controller().info() if lib["user_api"] == "blas"]
    return _controller().select(filepath=[path for path in libraries if path not in scipys])


class _OneThread:
    """Libraries that have one thread as long as anybody holds them to it, whichever thread of the process that is.

    The first saves what they had and the last restores it: were each to do so for itself, fits that overlap would
    leave behind what the others had set.
    """

    def __init__(self, libraries: Callable[[], ThreadpoolController]) -> None:
        self.libraries = libraries
        self.lock = threading.Lock()
        self.holders: set[int] = set()
        self.given: list[tuple[Any, int]] = []

    def hold(self, holder: int) -> None:
        """Hold to one thread until `holder` lets go."""
        with self.lock:
            self.holders.add(holder)
            if not self.given:
                # known before anything is changed, as a signal may come between
                self.given = [(lib, lib.num_threads) for lib in self.libraries().lib_controllers]
            for lib, count in self.given:
                if count != 1:  # to set what is set takes longer than a small product
                    lib.set_num_threads(1)

    def let_go(self, holder: int) -> None:
        """Restore what was before where nobody else holds; without effect if repeated."""
        with self.lock:
            self.holders.discard(holder)
            if not self.holders:
                for lib, count in self.given:
                    if count != 1:
                        lib.set_num_threads(count)
                self.given = []

    def begin_anew(self) -> None:
        """In a process that was forked: the threads that held are not in it."""
        self.lock = threading.Lock()
        self.holders.clear()
        self.let_go(0)


_NUMPYS, _SCIPYS = _OneThread(_other_blas), _OneThread(scipys_blas)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_NUMPYS.begin_anew)
    os.register_at_fork(after_in_child=_SCIPYS.begin_anew)


@contextlib.contextmanager
def threads(multiplications: int) -> Iterator[None]:
    """One thread for products so small that threads would wait for each other, above all on busy cores.

    SciPy's wheels bring a BLAS of their own, which factors the small matrices. It gets one thread in any case: those of
    two libraries that take turns spin in each other's way.
    """
    held = [_SCIPYS] if multiplications >= PARALLEL else [_SCIPYS, _NUMPYS]
    holder = object()
    try:
        for libraries in held:
            libraries.hold(id(holder))
        yield
    finally:
        signals = []
        for libraries in held:
            try:
                libraries.let_go(id(holder))
            except KeyboardInterrupt as signal:  # while these are let go, and the others are to be, too
                libraries.let_go(id(holder))
                signals.append(signal)
        if signals:
            raise signals[0]


def spare_thread() -> bool:
    """Whether processors are so free that a second thread should fetch rows."""
    return max((lib["num_threads"] for lib in _controller().info()), default=1) > 1


def at_once(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Results of two functions, at the same time where processors are free; they should leave the interpreter alone."""
    if not spare_thread():
        return first(), second()
    # not kept: a thread that waits would be lost in a process that is forked
    with ThreadPoolExecutor(1) as helper:
        other = helper.submit(second)
        return first(), other.result()


__all__ = ["PARALLEL", "at_once", "scipys_blas", "spare_thread", "threads"]

"""How many threads a product gets, and what two threads do at once."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
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


def threads(multiplications: int) -> contextlib.AbstractContextManager[Any]:
    """One thread for products so small that threads would wait for each other, above all on busy cores.

    SciPy's wheels bring a BLAS of their own, which factors the small matrices. It gets one thread in any case: those of
    two libraries that take turns spin in each other's way.
    """
    if multiplications >= PARALLEL:
        return scipys_blas().limit(limits=1)
    if all(library.num_threads == 1 for library in _controller().lib_controllers if library.user_api == "blas"):
        return contextlib.nullcontext()  # to set them again takes longer than a small product
    return _controller().limit(limits=1, user_api="blas")


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

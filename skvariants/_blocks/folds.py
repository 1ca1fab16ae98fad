"""Folds of a table that is not in memory: whose rows are trained with and whose held out, and passes that are shared.

Rows of equal membership in all folds are of one *cell*, whose number goes with each row. Fits of several models on
several folds run side by side, each until it asks something of its rows: what all of them ask is answered in one pass.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import config_context, get_config

from skvariants._blocks.passes import Passes, numbered
from skvariants._blocks.sums import Question, Sums, statistics
from skvariants._blocks.table import Shard, Table

Array = np.ndarray
#: Number of a set of cells, a function of their rows, further arguments, and whether to make a list of its result.
Asked = tuple[int, Callable[..., Any], Any, bool]


# ---------------------------------------------------------------------- which rows


@dataclass(frozen=True, eq=False)
class Cells:
    """Which rows belong together.

    Attributes
    ----------
    of_rows : ndarray of shape (n_rows,)
        The cell of each row.
    train, test : ndarray of bool, shape (n_folds, n_cells)
        Whether a cell is trained with, and whether it is held out.
    """

    of_rows: Array
    train: Array
    test: Array

    @classmethod
    def of(cls, folds: Sequence[tuple[Array, Array]], n: int) -> Cells:
        """Cells of some folds of so many rows.

        Raises
        ------
        ValueError
            If rows are not given by number, each once.
        """
        codes, known = np.zeros(n, np.intp), np.zeros((1, 0), np.int8)
        for number, (train, test) in enumerate(folds):
            part = _membership(train, n, number) + 2 * _membership(test, n, number)
            codes = 4 * codes + part
            there = np.flatnonzero(np.bincount(codes, minlength=4 * len(known)))
            place = np.zeros(4 * len(known), np.intp)
            place[there] = np.arange(len(there))
            codes = place[codes]
            known = np.column_stack([known[there // 4], there % 4])
        small = codes.astype(np.min_scalar_type(len(known)))
        return cls(small, (known & 1).T > 0, (known & 2).T > 0)

    def split(self, lengths: Sequence[int]) -> list[Array]:
        """The cells of the rows of each block."""
        ends = np.cumsum(lengths)
        return [self.of_rows[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def _membership(rows: Array, n: int, fold: int) -> Array:
    rows = np.flatnonzero(rows) if rows.dtype == bool and len(rows) == n else rows
    counts = None
    if rows.dtype.kind in "iu" and len(rows) and rows.min() >= 0 and rows.max() < n:
        counts = np.bincount(rows, minlength=n)
    if counts is None or counts.max() > 1:
        raise ValueError(
            f"Fold {fold} holds no rows, a row twice, or numbers that are not from 0 to {n - 1}: give folds of rows of "
            "which each is there once."
        )
    return counts


def cut(shard: Any, member: Array) -> Shard:
    """The rows of a shard, cells beside them, that are of some cells."""
    X, y, weight, cells = shard
    if len(y) == len(cells) != X.shape[0]:
        raise ValueError(f"A block of X has {X.shape[0]} rows and its y has {len(y)}: give a target for each row.")
    if len(cells) != X.shape[0] or len(y) != len(cells):
        raise ValueError(
            f"A block of X and y has the lengths {X.shape[0]} and {len(y)}, and had {len(cells)} rows when they were "
            "counted: give rows that are the same each time."
        )
    inside = member[cells]
    if inside.all():
        return X, y, weight
    at = np.flatnonzero(inside)
    X = X.tocsr() if sp.issparse(X) else getattr(X, "iloc", X)
    return X[at], np.asarray(y)[at], None if weight is None else np.asarray(weight)[at]


# ---------------------------------------------------------------------- what is asked


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of the rows of some cells.

    Attributes
    ----------
    fold : int
        Whose rows.
    held_out : bool
        Whether they are those held out.
    function, args : callable and its arguments
        What is asked of a shard.
    listed : bool
        Whether results are wanted one by one, and not their sum.
    """

    fold: int
    held_out: bool
    function: Callable[..., Any]
    args: tuple[Any, ...]
    listed: bool = False


class Answers(list[Any]):
    """Answers to several requests, which are added one by one."""

    def __add__(self, other: Any) -> Answers:
        return Answers(a + b for a, b in zip(self, other, strict=True))


def answered(shard: Any, members: Sequence[Array], asked: Sequence[Asked]) -> Answers:
    """Answers of a shard, cells beside it.

    Parameters
    ----------
    shard : tuple
        Features, targets, weights and cells.
    members : sequence of ndarray of bool
        Sets of cells.
    asked : sequence of (int, callable, tuple, bool)
        The number of a set, a function of the rows of its cells, further arguments, and whether to make a list of one.
    """
    found: list[Any] = [None] * len(asked)
    for number, member in enumerate(members):
        part = cut(shard, member)
        for position, (of, function, args, listed) in enumerate(asked):
            if of == number:
                result = function(part, *args)
                found[position] = [result] if listed else result
    return Answers(found)


@dataclass(eq=False, repr=False)
class FoldedTable:
    """A table whose rows have cells.

    Attributes
    ----------
    table : Table
        With the cells of the rows as a fourth part of each shard.
    cells : Cells
        Of the folds.
    """

    table: Table
    cells: Cells

    def answers(self, requests: Sequence[Request]) -> list[Any]:
        """What a pass says to each request."""
        merged, places = _merged(requests)
        sets: dict[tuple[int, bool], int] = {}
        asked = [
            (sets.setdefault((r.fold, r.held_out), len(sets)), r.function, r.args, r.listed) for r in merged
        ]  # fmt: skip
        members = [(self.cells.test if held_out else self.cells.train)[fold] for fold, held_out in sets]
        found = self.table.total(answered, members, asked)
        return [_part_of(found[place], some) for place, some in places]

    def fold(self, number: int, ask: Callable[[Request], Any]) -> Table:
        """The rows that a fold trains with, as a table; `ask` is told what is asked of them."""
        t = self.table
        return _Fold(t.shards, t.run, t.d, t.dtype, t.names, number=number, ask=ask)


@dataclass(eq=False, repr=False)
class _Fold(Table):
    """The rows that a fold trains with."""

    number: int = 0
    ask: Any = None

    def total(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.ask(Request(self.number, False, function, args))

    def each(self, function: Callable[..., Any], *args: Any) -> Iterator[Any]:
        return iter(self.ask(Request(self.number, False, function, args, listed=True)))


# ---------------------------------------------------------------------- questions side by side


class _Repeated:
    """Targets of several models side by side, of a reading for one."""

    def __init__(self, reading: Any, count: int) -> None:
        self.reading, self.count, self.dtype = reading, count, reading.dtype

    def labels(self, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """Targets and weights as columns."""
        columns, s = self.reading.labels(y, weight)
        return np.tile(columns, (1, self.count)), s


def _key(request: Request) -> Any:
    """Equal for questions about models that can be columns of one matrix."""
    [question] = request.args
    c, reading = question.coordinates, question.reading
    frame = None
    if question.hessian and not c.identity:
        frame = c.mean.tobytes(), c.inverse_scale.tobytes()
    of = id(reading.task), id(reading.by_class), str(reading.dtype), question.loss.key()
    return request.fold, of, frame, question.hessian, len(question.lengths)


def _merged(requests: Sequence[Request]) -> tuple[list[Request], list[tuple[int, Any]]]:
    """Requests with questions of a kind as one; of each where its answer is, and which columns of how many."""
    merged: list[Request] = []
    groups: dict[Any, list[int]] = {}
    places: list[tuple[int, Any]] = [(0, None)] * len(requests)
    for number, request in enumerate(requests):
        key = _key(request) if request.function is statistics else number
        groups.setdefault(key, []).append(number)
    for group in groups.values():
        request = requests[group[0]]
        for j, number in enumerate(group):
            places[number] = len(merged), (j, len(group)) if len(group) > 1 else None
        if len(group) > 1:
            request = replace(request, args=(_side_by_side([requests[number].args[0] for number in group]),))
        merged.append(request)
    return merged, places


def _side_by_side(questions: Sequence[Question]) -> Question:
    first = questions[0]
    k = first.theta.shape[1]
    changes: dict[str, Any] = {"theta": np.hstack([question.theta for question in questions])}
    if k > 1:  # a single column of targets stands for any number
        changes["reading"] = _Repeated(first.reading, len(questions))
    if first.direction is not None:
        changes["direction"] = np.hstack([question.direction for question in questions])
        changes["lengths"] = np.hstack([question.lengths for question in questions])
    return replace(first, **changes)


def _part_of(sums: Any, some: tuple[int, int] | None) -> Any:
    """The answer to one of several questions."""
    if some is None:
        return sums
    j, count = some
    k = sums.gradient.shape[1] // count
    at = slice(j * k, (j + 1) * k)
    hessian = sums.hessian
    if hessian is not None:
        units = len(hessian) // count
        hessian = hessian[j * units : (j + 1) * units]
    return Sums(sums.weight, sums.value[at], sums.gradient[:, at], sums.along[:, at], hessian)


# ---------------------------------------------------------------------- side by side


class _Left(BaseException):
    """Ends a thread whose answers will not come."""


class _Side(threading.Thread):
    """A function that runs until it asks."""

    def __init__(self, task: Callable[[], Any], local: Any) -> None:
        super().__init__(daemon=True)
        self.task, self.local, self.config = task, local, get_config()
        self.context = contextvars.copy_context()
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.request: Any = None
        self.answer: Any = None
        self.result: Any = None
        self.left = False

    def run(self) -> None:
        self.local.side = self
        self.go.acquire()
        try:
            if not self.left:
                with config_context(**self.config):
                    self.result = self.context.run(self.task)
        except Exception as error:
            self.result = error
        except _Left:
            pass
        finally:
            self.request = None
            self.back.release()

    def advance(self) -> None:
        """Go on to the next request, or to the end."""
        self.go.release()
        self.back.acquire()

    def ask(self, request: Any) -> Any:
        """Called by the function: wait for the answer."""
        self.request = request
        self.back.release()
        self.go.acquire()
        if self.left:
            raise _Left
        answer, self.answer = self.answer, None
        return answer


class SideBySide:
    """Functions that run in turn, each until it asks, so that what they ask is answered at once."""

    def __init__(self) -> None:
        self._local = threading.local()

    def ask(self, request: Any) -> Any:
        """The answer to a request of the function that calls this."""
        return self._local.side.ask(request)

    def run(
        self, tasks: Iterable[Callable[[], Any]], answer: Callable[[list[Any]], Sequence[Any]]
    ) -> list[Any]:  # fmt: skip
        """What each function returns, or the Exception that it raised.

        Parameters
        ----------
        tasks : iterable of callable
            The functions, which call :meth:`ask`.
        answer : callable
            Gives the answers to a list of requests.
        """
        sides = [_Side(task, self._local) for task in tasks]
        try:
            for side in sides:
                side.start()
                side.advance()
            while asking := [side for side in sides if side.request is not None]:
                answers = answer([side.request for side in asking])
                for side, found in zip(asking, answers, strict=True):
                    side.answer = found
                    side.advance()
        finally:
            for side in sides:
                side.left = True
                if side.ident is not None:
                    side.go.release()
                    side.join()
        return [side.result for side in sides]


# ---------------------------------------------------------------------- batches


class ByBatch:
    """The engine of batches, which are read in this process one after the other.

    Parameters
    ----------
    passes : Passes
        The batches; its shards are what stands beside each, such as the cells of its rows.
    """

    def __init__(self, passes: Passes) -> None:
        self.passes = passes

    def __call__(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> Iterator[Any]:
        count = 0
        for number, shard in self.passes.shards():
            count += 1
            with numbered(number):
                if number >= len(shards):
                    raise ValueError(f"there were {len(shards)} batches before: give the same ones in each pass.")
                result = function((*shard, *shards[number]), *args)
            yield result
        if count < len(shards):
            raise ValueError(
                f"batches held {len(shards)} batches in one pass and {count} in another: give the same ones each time."
            )


__all__ = ["ByBatch", "Cells", "FoldedTable", "Request", "SideBySide", "cut"]

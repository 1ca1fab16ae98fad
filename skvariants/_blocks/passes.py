"""Rows that come in batches, as often as they are asked for: an engine that goes through them in this process.

A pass that was killed goes on where it stood. All results of passes are kept with the sums of the present one, and a
fit that begins anew is told the former, which leads it to the same place to the last bit.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._blocks.engines import Tree
from skvariants._blocks.sums import cost_of, statistics
from skvariants._blocks.survey import Survey, draw, labels_differ, look, scattered
from skvariants._blocks.table import Shard, Table, working_dtype
from skvariants._component import identity, shown
from skvariants._data.validate import Header, row_weights

Array = np.ndarray
#: Name of a pass, and the models that are asked about.
Asked = tuple[str, Any]
#: Seconds after which a line tells how far a pass is.
_SILENT = 10.0
#: Share by which models of the same pass may differ; those of samples of other rows do by far more.
_ROUNDING = 1e-6
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_WHAT = "give batches that can be read again and are the same each time, such as a list or a callable that makes them"


class Checkpoint:
    """A file from which a fit that was killed goes on.

    Parameters
    ----------
    path : str, path or None
        Where; None for nowhere.
    key : object
        What is equal for a fit that may go on from there.
    given : mapping, optional
        What it was asked for, by name, to be told where it is another fit.
    seed : int, optional
        Of the random numbers; that of the fit that goes on is taken in its place.
    """

    def __init__(self, path: Any, key: Any, given: Mapping[str, Any] = _NOTHING, seed: int | None = None) -> None:
        if not (path is None or isinstance(path, str | os.PathLike)):
            raise TypeError(f"checkpoint={path!r} is not accepted: give the path of a file, or None.")
        self.path, self.key, self.seed = None if path is None else Path(path), key, seed
        self.given = {name: (shown(value), identity(value)) for name, value in given.items()}
        if self.path is not None and not self.path.parent.is_dir():
            raise ValueError(
                f"checkpoint={str(path)!r} is not accepted: there is no directory {str(self.path.parent)!r}. Make it "
                "before, or give another path."
            )
        self.log: list[Any] = []
        self.partial: Any = None
        self.given_before = self.given
        if self.path is not None and self.path.exists():
            try:
                before, self.given_before, self.seed, self.log, self.partial = pickle.loads(self.path.read_bytes())
            except Exception as error:
                raise ValueError(
                    f"checkpoint={str(path)!r} is no checkpoint of fit_batches ({error}): give the path of another "
                    "file, or delete this one to begin anew."
                ) from error
            self.refuse(before != key)

    def refuse(self, differs: bool) -> None:
        """Raise the sentence about another fit, where it is one."""
        if not differs:
            return
        both = self.given.keys() & self.given_before.keys()
        others = sorted(name for name in both if self.given[name][1] != self.given_before[name][1])
        what = "of other parameters or batches"
        if others:
            before, now = (
                ", ".join(f"{name}={given[name][0]}" for name in others) for given in (self.given_before, self.given)
            )
            what = f"with {before}, and not with {now}"
        raise ValueError(
            f"checkpoint={str(self.path)!r} is of a fit {what}: give the same again, give another path, or delete the "
            "file to begin anew."
        )

    def learned(self, name: str, value: Any) -> None:
        """What rows say of themselves: of another fit, if it said something else."""
        self.given = self.given | {name: (shown(value), identity(value))}
        self.refuse(self.given_before.get(name, self.given[name])[1] != self.given[name][1])

    def result(self, number: int, asked: Asked) -> Any:
        """What came of a pass, counted from 0; None where it has not ended.

        Raises
        ------
        ValueError
            If something else was asked for there.
        """
        if number >= len(self.log):
            return None
        before, *result = self.log[number]
        self.refuse(not _same(before, asked))
        return result

    def begun(self, asked: Asked) -> Any:
        """Where the pass that was killed stood, and an error as before; None where none has begun."""
        if self.partial is None:
            return None
        before, *reached = self.partial
        self.refuse(not _same(before, asked))
        return reached

    def ended(self, result: Any) -> None:
        """A pass has ended."""
        if self.path is not None:
            self.log.append(result)
            self.save(None)

    def save(self, partial: Any) -> None:
        """Write what is known, at once: a file is the one of before or of now."""
        if self.path is None:
            return
        self.partial = partial
        new = self.path.with_name(self.path.name + ".new")
        try:
            known = self.key, self.given, self.seed, self.log, partial
            new.write_bytes(pickle.dumps(known, protocol=pickle.HIGHEST_PROTOCOL))
            os.replace(new, self.path)
        except OSError as error:
            raise OSError(f"checkpoint={str(self.path)!r} cannot be written: {error}.") from error

    def delete(self) -> None:
        """The fit has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _asked(function: Callable[..., Any], args: Sequence[Any]) -> Asked:
    """What is asked of all rows."""
    if function is statistics:
        question = args[0]
        what = question.hessian, len(question.lengths), question.limits is None
        return f"statistics, {what}", question.theta
    return function.__name__, args[2] if function is cost_of else None


def _same(before: Asked, asked: Asked) -> bool:
    """Whether one pass answers the other; models may differ by rounding, as of other threads."""
    (name, theta), (other, now) = before, asked
    if name != other or np.shape(theta) != np.shape(now):
        return False
    return theta is None or bool(np.linalg.norm(theta - now) <= _ROUNDING * np.linalg.norm(theta))


def _iterable(value: Any) -> bool:
    """Whether it can be gone through: an array of no dimensions says so, and cannot."""
    try:
        iter(value)
    except TypeError:
        return False
    return True


@contextlib.contextmanager
def numbered(number: int) -> Iterator[None]:
    """Say which batch is refused."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Batch {number} (counted from 0) is not accepted: {error}") from error


class Passes:
    """Batches as the user gave them, read once or as often as is needed.

    Parameters
    ----------
    batches : iterable or callable
        Of ``(X, y)`` or ``(X, y, sample_weight)``.
    header : Header
        Learns the features of the first batch, and checks those of the others.
    asked : Classification or Regression
        What targets are to be.
    verbose : int
        Whether to print how far a pass is.
    classes : array-like, optional
        All labels, as they were announced.

    Attributes
    ----------
    once : bool
        Whether they can be read once only.
    n_rows : int or None
        Rows of a whole pass.
    checkpoint : Checkpoint
        Where passes are kept.
    """

    def __init__(self, batches: Any, header: Header, asked: Any, verbose: int = 0, classes: Any = None) -> None:
        self.batches, self.header, self.asked, self.verbose, self.classes = batches, header, asked, verbose, classes
        if not (callable(batches) or _iterable(batches)):
            raise TypeError(
                f"batches of type {type(batches).__name__} is not accepted: give an iterable of (X, y) or "
                "(X, y, sample_weight), or a callable that makes one."
            )
        self.once = not callable(batches) and iter(batches) is batches
        self.n_rows: int | None = None
        self.n_passes = 0
        self.weighed: bool | None = None
        self.dtype: Any = None
        self.label: Any = None
        self.checkpoint = Checkpoint(None, None)

    # ------------------------------------------------------------------ batches

    @property
    def seekable(self) -> bool:
        """Whether targets alone, and rows from all over, can be had for less than a pass."""
        return isinstance(self.batches, list | tuple) or hasattr(self.batches, "sample")

    def _open(self, skip: int) -> Iterator[Any]:
        if skip and hasattr(self.batches, "following"):
            return iter(self.batches.following(skip))
        made = self.batches() if callable(self.batches) else self.batches
        if not _iterable(made):
            raise TypeError(f"batches={shown(self.batches)} makes {shown(made)}: it must make batches (X, y).")
        rows = iter(made)
        for _ in range(skip):
            next(rows, None)
        return rows

    def shards(self, skip: int = 0) -> Iterator[tuple[int, Shard]]:
        """Checked batches with their numbers, from a number on."""
        rows = self._open(skip)
        try:
            for number, batch in enumerate(rows, skip):
                known = self.header.n_features
                with numbered(number):
                    shard = self._checked(batch)
                if known is None:
                    self.checkpoint.learned("n_features", self.header.n_features)
                yield number, shard
        finally:
            if hasattr(rows, "close"):
                rows.close()

    def _checked(self, batch: Any) -> Shard:
        if not isinstance(batch, list | tuple) or len(batch) not in (2, 3):
            raise TypeError(f"it is of type {type(batch).__name__}: give (X, y) or (X, y, sample_weight).")
        X, y, weight = batch if len(batch) == 3 else (*batch, None)
        if len(np.shape(y)) == 2 and self.asked.classification:
            raise ValueError("y has several columns: give one label for each row.")
        X, y = self.header.checked(X, y, self.header.n_features is None, **self.asked.checks_of(y))
        self.dtype = working_dtype(X.dtype) if self.dtype is None else self.dtype
        if working_dtype(X.dtype) != self.dtype == np.float32:
            raise ValueError(
                "X is in double precision and the first batch is in float32, which the fit is calculated in: give each "
                "as X.astype(numpy.float32), or each as X.astype(float)."
            )
        if self.weighed not in (None, weight is not None):
            raise ValueError("Some batches have weights and others have none: give them with each, or with none.")
        self.weighed = weight is not None
        if self.asked.classification:
            label = np.ravel(y)[0]
            self.label = label if self.label is None else self.label
            if isinstance(label, str | bytes) != isinstance(self.label, str | bytes):
                raise ValueError(labels_differ(self.label, label))
        return X.astype(self.dtype, copy=False), y, row_weights(weight, X.shape[0])

    def table(self) -> Table:
        """The table that they are; its first batch is looked at."""
        rows = self.shards()
        for _, (X, _, _) in rows:
            names = self.header.feature_names
            names = getattr(self.batches, "feature_names", None) if names is None else names
            rows.close()
            return Table([0], self.run, X.shape[1], working_dtype(X.dtype), names)
        raise ValueError("batches holds no batch: give at least one of (X, y).")

    # ------------------------------------------------------------------ passes

    def run(self, function: Callable[..., Any], shards: Sequence[Any], *args: Any) -> Iterable[Any]:
        """An engine: what a function gives of each batch, of sums their sum."""
        if function is draw:
            return self._drawn(*args)
        if function not in (look, cost_of, statistics):
            return [function(shard, *args) for _, shard in self.shards()]
        if function is not statistics and self.seekable:
            total = Tree()
            for number, shard in enumerate(self.targets()):
                with numbered(number):
                    total.add(function(shard, *args))
            result = total.total()
        else:
            asked = _asked(function, args)
            result = self.through(Tree(), lambda tree, shard: tree.add(function(shard, *args)), asked).total()
        if function is look:
            self.n_rows = result.n
            self.check_classes(result)
        return [result]

    def through(self, start: Any, add: Callable[[Any, Shard], Any], asked: Asked) -> Any:
        """One pass, from where it was killed if it was: what came of the start.

        Parameters
        ----------
        start : object
            Is changed by every batch, and pickled.
        add : callable
            Is given it and each batch; ends the pass by a true answer.
        asked : tuple
            What is the same where such a pass is gone through again.
        """
        kept, total, number, n = self.checkpoint, start, -1, 0
        self.n_passes += 1
        known = kept.result(self.n_passes - 1, asked)
        if known is not None:
            total, self.n_rows = known
            return total
        reached = kept.begun(asked)
        if reached is not None:
            total, number, n = reached
        began, told, before = time.perf_counter(), 0.0, n
        for at, shard in self.shards(number + 1):
            with numbered(at):
                done = add(total, shard)
            number = at
            n += shard[0].shape[0]
            kept.save((asked, total, number, n))
            seconds = time.perf_counter() - began
            if self.verbose and seconds >= told + _SILENT:
                told = seconds
                self._tell(number, n, (n - before) / seconds)
            if done:
                return total
        if number < 0 and self.n_rows is None:
            raise ValueError("batches holds no batch: give at least one of (X, y).")
        if self.verbose:
            self._tell(number, n, (n - before) / max(time.perf_counter() - began, 1e-9), ", whole")
        if self.n_rows not in (None, n):
            kept.refuse(reached is not None)
            raise ValueError(f"batches held {self.n_rows:,} rows in one pass and {n:,} in another: {_WHAT}.")
        self.n_rows = n
        kept.ended((asked, total, n))
        return total

    def _tell(self, number: int, n: int, rate: float, end: str = "") -> None:
        print(f"pass: {number + 1:,} batches, {n:,} rows, {rate:,.0f} rows a second{end}")

    def check_classes(self, survey: Survey) -> None:
        """Refuse classes that were announced, and are others than those of the rows."""
        if self.classes is None or survey.classes is None:
            return
        known = np.asarray(self.classes)
        self.check_labels(survey.classes)
        for label in np.setdiff1d(known, survey.classes).tolist():
            raise ValueError(f"classes={shown(self.classes)} holds {label!r}, which no row has: leave it out.")

    def check_labels(self, y: Any) -> None:
        """Refuse labels that are not among the classes that were announced."""
        if self.classes is None or np.ndim(y) != 1:
            return
        for label in np.setdiff1d(y, np.asarray(self.classes)).tolist():
            raise ValueError(f"y holds the label {label!r}, which is not among classes={shown(self.classes)}: add it.")

    def targets(self) -> Iterator[Shard]:
        """Batches without their features, which a zero stands for."""
        if not hasattr(self.batches, "targets"):
            yield from (shard for _, shard in self.shards())
            return
        d = self.header.n_features or 0
        for y, weight in self.batches.targets():
            y = np.asarray(y)
            yield np.broadcast_to(0.0, (len(y), d)), y, weight

    def _drawn(self, share: float) -> Iterator[Shard]:
        """Rows from all over."""
        if hasattr(self.batches, "sample"):
            try:
                drawn = list(map(self._checked, self.batches.sample(share)))
            except (ValueError, TypeError):
                for _ in self.shards():  # which says of which batch it is, and of which row
                    pass
                raise
            for X, y, weight in drawn:
                yield X.toarray() if sp.issparse(X) else X, y, weight
        else:
            yield from (draw(shard, share, scattered) for _, shard in self.shards())


__all__ = ["Checkpoint", "Passes", "numbered"]

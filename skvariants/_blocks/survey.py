"""What targets and weights say before any feature is read: rows, classes, totals; and a sample of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_X_y

from skvariants._blocks.sums import refuse_infinite, tree
from skvariants._blocks.table import PART, Shard, Table, blocks, parts, working_dtype
from skvariants._data.rows import rows_of
from skvariants._data.scaling import Moments
from skvariants._data.tasks import ClassCounts, Task, distinct_labels, label_codes
from skvariants._data.validate import TARGETS, Data, Header, arrays, named, refuse_masked, row_weights

Array = np.ndarray
#: Rows whose targets are looked at at a time.
_TARGETS = 1 << 16
#: Whole numbers that are counted without being sorted.
_FEW = 1 << 12
#: Neighbouring rows of a sample: what a disk reads at once.
_RUN = 256
#: Bytes of a sample and share of the rows; rows for each feature, where they are more but no more than so many bytes
#: (of 40, 80 and 160 the last took 2, 4 and 7 passes on adult, credit_default and bank_full, the first 4, 12 and 8).
_SAMPLE, _SHARE, _ROWS, _LARGEST = 1 << 25, 16, 160, 3 << 25
#: Rows for each feature beyond which a sample costs a narrow table more than it spares: what the optimum of so many
#: leaves is less than a step takes.
_PLENTY = 1000
#: Rows that tell the spread of the targets: its standard error is 1.17 / sqrt(n) of it, where they are normal.
_SPREAD = 1 << 16


@dataclass
class Survey:
    """What is known of the targets and weights of some rows.

    Attributes
    ----------
    n : int
        Rows.
    used : int
        Those of positive weight.
    weight : float
        Sum of the weights.
    n_targets : int
        Columns of real targets.
    classes : ndarray or None
        Labels, in order.
    totals, counts : ndarray or None
        Weight and number of the rows of each.
    drawn : tuple of tuple
        Rows of a sample, in order: features, targets, weights.
    weighed : bool or None
        Whether weights were given.
    """

    n: int = 0
    used: int = 0
    weight: float = 0.0
    n_targets: int = 1
    classes: Any = None
    totals: Any = None
    counts: Any = None
    drawn: tuple[Shard, ...] = ()
    weighed: bool | None = None

    def __add__(self, other: Survey) -> Survey:
        if not (self.n and other.n):
            return self if self.n else other
        if self.n_targets != other.n_targets:
            raise ValueError("y has blocks of different numbers of targets: give as many for each row.")
        if self.weighed is not other.weighed:
            raise ValueError("Some blocks have weights and others have none: give them with each, or with none.")
        classes = totals = counts = None
        if self.classes is not None:
            text = [part.classes.dtype.kind in "USO" for part in (self, other)]
            if text[0] != text[1]:
                raise ValueError(labels_differ(self.classes[0], other.classes[0]))
            classes = np.union1d(self.classes, other.classes)
            totals, counts = np.zeros(len(classes)), np.zeros(len(classes), int)
            for part in (self, other):
                at = np.searchsorted(classes, part.classes)
                totals[at] += part.totals
                counts[at] += part.counts
        n, used, weight = self.n + other.n, self.used + other.used, self.weight + other.weight
        drawn = self.drawn + other.drawn
        return Survey(n, used, weight, self.n_targets, classes, totals, counts, drawn, self.weighed)


def labels_differ(first: Any, other: Any) -> str:
    """A sentence about labels of two kinds."""
    some = f"{np.asarray(first).tolist()!r} and {np.asarray(other).tolist()!r}"
    return f"y holds labels of several kinds, such as {some}: give strings or numbers, none missing."


def checked(y: Any, asked: Any) -> Array:
    """Targets of some rows, checked as those of any fit."""
    y = np.asarray(y)
    if asked.classification and y.ndim == 1 and y.dtype.kind in "bui":
        return y
    _, y = arrays(
        lambda: check_X_y(np.zeros((len(y), 1)), y, **asked.checks_of(y)), None, y, kind=not asked.classification
    )  # fmt: skip
    with named(lambda: "y", {"y": TARGETS[not asked.classification]}):
        return np.asarray(asked.validated(y))


def look(shard: Shard, asked: Any, loss: Any, d: int, share: float | None = None) -> Survey:
    """The survey of a shard.

    Parameters
    ----------
    shard : tuple
        Features, targets, weights.
    asked : Classification or Regression
        What targets are to be.
    loss : Loss
        What is minimised.
    d : int
        Features.
    share : float, optional
        Of the rows that are to be drawn, too.
    """
    for value, name in zip(shard, ("X", "y", "sample_weight"), strict=True):
        refuse_masked(value, name)
    X, y, weight = shard
    n, y = X.shape[0], np.asarray(y)
    if not y.ndim:
        raise ValueError(f"y is {y}: give a target for each row.")
    if X.shape[1] != d or len(y) != n or not (weight is None or np.shape(weight)[:1] == (n,)):
        sizes = X.shape, np.shape(y), np.shape(weight)
        raise ValueError(f"A block of X, y and sample_weight has the shapes {sizes}: give as many rows of each.")
    if asked.classification and y.ndim != 1:
        raise ValueError(f"y has the shape {y.shape}: give one label for each row.")
    some = [slice(i, i + _TARGETS) for i in range(0, n, _TARGETS)]
    found = tree(_look(y[part], None if weight is None else weight[part], asked, loss) for part in some)
    if found is None:
        return Survey()
    return replace(found, weighed=weight is not None, drawn=() if share is None else (draw(shard, share),))


def _look(y: Any, weight: Any, asked: Any, loss: Any) -> Survey:
    weight = row_weights(None if weight is None else np.asarray(weight), len(y))
    y = checked(y, asked)
    total, used = (float(len(y)), len(y)) if weight is None else (float(weight.sum()), int(np.count_nonzero(weight)))
    if not asked.classification:
        asked.learn(y, loss)
        return Survey(len(y), used, total, y.shape[1])
    classes, counts, totals = _counted(y, weight)
    return Survey(len(y), used, total, 1, classes, totals, counts)


def _counted(y: Array, weight: Array | None) -> tuple[Array, Array, Array]:
    """Labels in order, how often each is there, and their weights; small whole numbers are counted, others sorted."""
    if y.dtype.kind in "biu":
        numbers = y.view(np.uint8) if y.dtype.kind == "b" else y
        low, high = numbers.min(), numbers.max()
        if weight is None:
            number = np.array([np.count_nonzero(numbers == label) for label in np.unique([low, high])])
            if number.sum() == len(y):  # of two classes or one
                return np.unique([low, high]).astype(y.dtype), number, number * 1.0
        if int(high) - int(low) < _FEW:
            found = np.zeros((2, int(high) - int(low) + 1))
            for some in (slice(start, start + PART) for start in range(0, len(y), PART)):
                codes = np.subtract(numbers[some], low, dtype=np.intp, casting="unsafe")
                found[0] += np.bincount(codes, minlength=found.shape[1])
                found[1] += 0.0 if weight is None else np.bincount(codes, weight[some], minlength=found.shape[1])
            there = np.flatnonzero(found[0])
            number, total = found[:, there]
            return (there + int(low)).astype(y.dtype), number.astype(int), number if weight is None else total
    classes = distinct_labels(y)
    codes = label_codes(y, classes)
    counts = np.bincount(codes, minlength=len(classes))
    totals = counts * 1.0 if weight is None else np.bincount(codes, weight, minlength=len(classes))
    return classes, counts, totals


def task_of(survey: Survey, asked: Any, loss: Any) -> tuple[Task, Array | None]:
    """The task that a survey found, and the weight of each class, where they differ."""
    if not survey.used:
        raise ValueError("sample_weight is zero for all samples: at least one weight must be positive.")
    if not asked.classification:
        return asked.learn(np.ones((1, survey.n_targets)) * _inside(loss), loss), None
    task = asked.of_classes(survey.classes, loss, "y must hold at least two different labels.")
    task = replace(task, counts=ClassCounts(survey.totals * 1.0))
    by_class = task.weights(task.classes, None)
    if by_class is not None and not (by_class * survey.totals).any():
        raise ValueError("class_weight is zero for all samples: at least one class must have a positive weight.")
    return task, by_class


def _inside(loss: Any) -> float:
    """A target that the loss is defined for."""
    return next(value for value in (1.0, 0.5, 0.0, -1.0) if value in loss.domain)


def places(n: int, share: float) -> Array:
    """A share of so many rows, in runs of neighbours from all over; the same ones each time."""
    m = min(n, int(np.ceil(share * n)))
    if not m:
        return np.arange(0)
    count = max(1, m // _RUN)
    rng, each = np.random.default_rng(n), -(-m // count)
    bounds = np.linspace(0, n, count + 1).astype(int)
    index = []
    for first, last in pairwise(bounds):
        begin = int(rng.integers(first, max(first, last - each) + 1))
        index.append(np.arange(begin, min(last, begin + each)))
    return np.concatenate(index)


def scattered(n: int, share: float) -> Array:
    """The same without neighbours: rows that are in memory, or come with all of their block, cost no more."""
    m = min(n, int(np.ceil(share * n)))
    luck = np.random.default_rng(n).random(m)
    return np.minimum(((np.arange(m) + luck) * (n / max(m, 1))).astype(int), n - 1)


def draw(shard: Shard, share: float, places: Callable[[int, float], Array] = places) -> Shard:
    """A share of the rows of a shard, in runs of neighbours from all over; the same ones each time."""
    X, y, weight = shard
    at = places(X.shape[0], share)
    if not at.size:
        return shard
    X = X.tocsr() if sp.issparse(X) else X
    block = X.iloc[at] if hasattr(X, "iloc") else X[at]
    block = block.toarray() if sp.issparse(block) else np.asarray(block)
    refuse_infinite((block, at, None), working_dtype(block.dtype))  # the sample itself knows no block
    return block, np.asarray(y)[at], None if weight is None else np.asarray(weight)[at]


@dataclass(frozen=True, eq=False)
class Surveyed:
    """What is known of a table.

    Attributes
    ----------
    table : Table
        Its rows.
    survey : Survey
        What its targets are.
    by_class : ndarray or None
        The weight of each class, where they differ.
    passes : int or None
        Those that are all there is.
    kept : bool
        Whether they are kept for a fit that begins anew: it has to begin at the same place.
    """

    table: Table
    survey: Survey
    by_class: Any
    passes: int | None = None
    kept: bool = False


def surveyed(spec: Any, header: Header, table: Table, large: int = 1) -> Data:
    """A sample of a table as data; the task is that of all rows, and so is the sum of the weights.

    Parameters
    ----------
    spec : Spec
        What is asked for.
    header : Header
        Learns names and number of the features.
    table : Table
        The rows.
    large : int, default=1
        Times the usual number of rows that the sample should have.
    """
    # blocks are read once for both where the share is known before
    share = _share(table, table.n, spec.loss, large) if table.n else None
    survey = table.total(look, spec.task, spec.loss, table.d, share)
    if survey is None or not survey.n:
        raise ValueError("X holds no rows: give at least one.")
    task, by_class = task_of(survey, spec.task, spec.loss)
    drawn = survey.drawn or table.each(draw, _share(table, survey.n, spec.loss, large))
    drawn = [part for part in drawn if part[0].shape[0]]
    survey = replace(survey, drawn=())
    X = np.concatenate([np.asarray(part[0], table.dtype) for part in drawn])
    y = np.concatenate([checked(part[1], spec.task) for part in drawn])
    weight = None if drawn[0][2] is None else np.concatenate([np.asarray(part[2], float) for part in drawn])
    return of_sample(spec, header, Surveyed(table, survey, by_class), task, (X, y, weight))


def _share(table: Table, n: int, loss: Any, large: int) -> float:
    """The share of so many rows that a sample is."""
    most, least = _SAMPLE // (table.d * table.dtype.itemsize), least_of(table, loss, large)
    most = min(most, large * _PLENTY * (table.d + 1))
    return min(1.0, max(most, least) / n, max(1 / _SHARE, least / n))


def least_of(table: Table, loss: Any, large: int = 1) -> int:
    """Rows that a sample should have; so many times as many, as long as their bytes are those of a usual one."""
    row, wanted = table.d * table.dtype.itemsize, max(_ROWS * (table.d + 1), _SPREAD if loss.in_spreads else 0)
    return max(1, min(wanted, _LARGEST // row), min(large * wanted, _SAMPLE // row))


def of_sample(spec: Any, header: Header, about: Surveyed, task: Task, sample: Shard) -> Data:
    """A table as data, whose rows are a sample.

    Parameters
    ----------
    spec : Spec
        What is asked for.
    header : Header
        Learns names and number of the features.
    about : Surveyed
        The table, and what is known of its targets.
    task : Task
        What they are.
    sample : tuple
        Its rows, targets and weights.
    """
    (X, y, weight), table, survey, by_class = sample, about.table, about.survey, about.by_class
    X, y = header.checked(X, y, True, **spec.task.checks_of(y))
    if table.names is not None:
        header.feature_names_in_ = table.names
    y = task.validated(y)
    weight, stored = task.weights(y, weight), task.stored(y, X.dtype)
    if weight is not None and not weight.any():
        weight = np.ones(len(y))
    if not task.classification:
        task = task.counted(stored, weight)  # the spread of all targets is that of the sample
    if weight is not None:
        weight = (weight / weight.mean()).astype(X.dtype)
    total = survey.weight if by_class is None else float(by_class @ survey.totals)
    rows = rows_of(X, stored, weight)
    return Data(rows, y, None, task, header, total, table=about)


class Reading:
    """How targets and weights of a block are read, once they were surveyed.

    Parameters
    ----------
    task : Task
        What targets are.
    by_class : ndarray or None
        Weight of each class.
    dtype : dtype
        Of the features.
    """

    def __init__(self, task: Task, by_class: Array | None, dtype: Any) -> None:
        self.task, self.by_class, self.dtype = task, by_class, np.dtype(dtype)
        self.columns = None
        if task.classification:
            self.columns = task.encoding(dtype).expand(task.stored(task.classes, dtype))

    def labels(self, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """Targets and weights of a block as columns, as a training has them."""
        s = None if weight is None else weight.astype(np.float64)
        if self.columns is None:
            columns = self.task.stored(self.task.validated(y), self.dtype)
        elif self.by_class is None and len(self.columns) == 2:
            columns = self._of_two(y)
        else:
            codes = _codes(y, self.task.classes)
            columns = np.take(self.columns, codes, axis=0)
            if self.by_class is not None:
                own = self.by_class[codes]
                s = own if s is None else s * own
        return columns, None if s is None else s.astype(self.dtype)[:, None]

    def _of_two(self, y: Array) -> Array:
        """Columns of two classes: numbers of labels would be longer than these."""
        first, second = np.asarray(self.columns)
        second_there = (y == self.task.classes[1])[:, None].astype(self.dtype)
        return second_there * (second - first) + first


def _codes(y: Array, classes: Array) -> Array:
    """Numbers of labels, all of which are known."""
    if len(classes) == 2:
        return (y == classes[1]).astype(np.intp)
    if y.dtype.kind in "iu" and classes.dtype.kind in "iu" and int(classes[-1]) - int(classes[0]) == len(classes) - 1:
        return np.subtract(y, classes[0], dtype=np.intp, casting="unsafe")
    return np.searchsorted(classes, y)


def moments_of(shard: Shard, columns: Array, dtype: Any) -> Moments:
    """Moments of some columns."""
    moments = Moments()
    for part, _, weight in parts(shard):
        for rows, X in blocks(part, dtype, part.shape[1]):
            s = None if weight is None else weight[rows].astype(np.float64)
            moments.update(np.ascontiguousarray(np.asarray(X)[:, columns]), s)
    return moments


__all__ = [
    "Reading",
    "Survey",
    "Surveyed",
    "checked",
    "draw",
    "least_of",
    "look",
    "moments_of",
    "of_sample",
    "places",
    "scattered",
    "surveyed",
    "task_of",
]

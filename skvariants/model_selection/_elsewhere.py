"""Searches over rows that are not in memory: collections of dask, batches. Candidates and folds share the passes.

The folds are drawn here, from the number of the rows and, where classes are to be alike in them, from the labels; no
feature leaves the place where it is. Squared error is answered by sums of products, which one pass makes; other smooth
losses by Newton's steps on sums, those of all candidates and folds side by side; scores are sums as well.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from skvariants._blocks.cluster import ByDask, delayed_blocks
from skvariants._blocks.folds import ByBatch, FoldedTable, Request, SideBySide
from skvariants._blocks.passes import Passes
from skvariants._blocks.table import Table, features_of, of_dask
from skvariants._data.rows import is_lazy
from skvariants._data.validate import Given, Header
from skvariants._fit import Fitted, fit, on_table
from skvariants._fit.blocks import refused
from skvariants._numerics import usual_errors
from skvariants._threads import threads
from skvariants.model_selection._block_scores import D2, R2, Models, deviance_of, measured, metrics_of
from skvariants.model_selection._evaluate import FoldResult, answer
from skvariants.model_selection._fold import SearchContext
from skvariants.model_selection._grams import answered_by_cells
from skvariants.model_selection._plan import Candidate, PipelineGroup
from skvariants.model_selection._score import scores_itself

Array = np.ndarray
#: Numbers in the Hessians of models that are fitted side by side, and such models at most.
_HELD, _AT_ONCE = 1 << 22, 400


# ---------------------------------------------------------------------- where rows are


class Outline:
    """What a splitter sees of rows that are elsewhere.

    Parameters
    ----------
    shape : tuple of int
        Rows and features.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        raise TypeError(
            "cv asks for the features of rows that are not in memory: give a splitter that looks at their number, "
            "labels or groups, or pairs of arrays of rows."
        )


def _length(y: Any, wanted: bool) -> tuple[int, Any]:
    """How many targets there are and, where they are wanted, what they are."""
    return len(y), np.asarray(y) if wanted else None


def _length_of_block(block: tuple[Any], wanted: bool) -> tuple[int, Any]:
    return _length(block[0], wanted)


class Collections:
    """Collections of dask.

    Parameters
    ----------
    X, y, weight : object
        As the user gave them.
    labels : bool
        Whether targets are labels, one a row.
    """

    what = "X is a dask collection"

    def __init__(self, X: Any, y: Any, weight: Any, labels: bool) -> None:
        if y is None or getattr(y, "ndim", 1) not in ((1,) if labels else (1, 2)):
            raise ValueError(
                f"{self.what}, and y is to have a {'label' if labels else 'target'} for each row: give a column of "
                "them, along the rows of X."
            )
        self.X, self.y, self.weight = X, y, weight
        if hasattr(y, "rechunk") and y.ndim == 2:
            self.y = y.rechunk({1: -1})

    def look(self, targets: bool) -> tuple[list[int], Any, int]:
        """Lengths of the blocks; targets, where they are wanted; and the number of the features."""
        d = features_of(self.X)[0]
        lengths: list[Any] = [int(n) if n == n else None for n in getattr(self.X, "chunks", [[np.nan]])[0]]
        known = None not in lengths
        if not is_lazy(self.y):
            if not known:
                of_dask(self.X, self.y, None)  # says how they become known
            return lengths, self._checked(np.asarray(self.y), lengths), d
        if known and not targets:
            return lengths, None, d
        blocks = Table([(block,) for block in delayed_blocks(self.y)], ByDask(), 1, None)
        found = list(blocks.each(_length_of_block, targets))
        y = np.concatenate([y for _, y in found]) if targets else None
        return (lengths, y if y is None else self._checked(y, lengths), d) if known else ([n for n, _ in found], y, d)

    @staticmethod
    def _checked(y: Array, lengths: list[int]) -> Array:
        """Targets, one for each row."""
        if len(y) != sum(lengths):
            raise ValueError(f"y has {len(y)} rows and X has {sum(lengths)}: give one for each row.")
        return y

    def table(self, beside: list[Array]) -> Table:
        """The rows, with something beside those of each block."""
        return of_dask(self.X, self.y, self.weight, beside)

    def fit(self, model: Any) -> None:
        """Fit a model to all rows."""
        model.fit(self.X, self.y, **({} if self.weight is None else {"sample_weight": self.weight}))


class InBatches:
    """Rows in batches, which can be read again and again.

    Parameters
    ----------
    batches : iterable or callable
        As the user gave them.
    header : Header
        Learns the features.
    asked : Classification or Regression
        What targets are to be.
    """

    what = "Rows are given in batches"

    def __init__(self, batches: Any, header: Header, asked: Any) -> None:
        self.passes = Passes(batches, header, asked)
        self.batches = batches
        if self.passes.once:
            raise ValueError(
                "batches is a generator, which is read once, and a search reads rows several times: give a list of "
                "batches, skvariants.batches.ArrayBatches or ParquetBatches, or a callable that makes the generator."
            )

    def look(self, targets: bool) -> tuple[list[int], Any, int]:
        """Lengths of the batches; targets, where they are wanted; and the number of the features."""
        d = self.passes.table().d
        shards = self.passes.targets() if self.passes.seekable else (shard for _, shard in self.passes.shards())
        found = [_length(shard[1], targets) for shard in shards]
        return [n for n, _ in found], np.concatenate([y for _, y in found]) if targets else None, d

    def table(self, beside: list[Array]) -> Table:
        """The rows, with something beside those of each batch."""
        known = self.passes.table()
        return Table([(part,) for part in beside], ByBatch(self.passes), known.d, known.dtype, known.names)

    def fit(self, model: Any) -> None:
        """Fit a model to all rows."""
        model.fit_batches(self.batches)


# ---------------------------------------------------------------------- what is not searched


def check_candidates(source: Any, groups: Sequence[PipelineGroup]) -> None:
    """Refuse what would need the rows themselves.

    Raises
    ------
    TypeError
        That names the remedy.
    """
    for group in groups:
        for candidate in group.candidates:
            reason = _reason(group, candidate)
            if reason is not None:
                raise TypeError(
                    f"{source.what}, and {reason}: the search would need all rows in this process for the candidate "
                    f"{candidate.params}. Leave it out, or give rows in memory, as X.compute() where that fits."
                )


def _reason(group: PipelineGroup, candidate: Candidate) -> str | None:
    if group.path:
        return (
            "steps of a pipeline before the estimator are fitted to rows in memory (transform the rows before, or in "
            "the batches)"
        )
    if not candidate.as_columns or scores_itself(type(candidate.final)):
        return f"{type(candidate.final).__name__} has a fit, scores or callbacks of its own"
    spec = candidate.spec
    if spec is not None and spec.by_feature.bounded:
        return "weights are to stay within bounds"
    return None if spec is None else refused(spec)


# ---------------------------------------------------------------------- candidates on folds


@dataclass(eq=False, repr=False)
class Elsewhere:
    """Rows that are elsewhere, in folds, and how candidates are scored on them.

    Attributes
    ----------
    source : Collections or InBatches
        Where they are.
    folded : FoldedTable
        Their folds.
    named : dict or None
        Names of metrics by the names of the scores.
    weighed : bool
        Whether scores are weighted.
    """

    source: Any
    folded: FoldedTable
    named: Any
    weighed: bool

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.folded.cells.train)


@usual_errors
def evaluate_elsewhere(
    context: SearchContext, group: PipelineGroup, rows: Elsewhere, timer: Any
) -> Iterator[list[FoldResult]]:  # fmt: skip
    """Train and score candidates on all folds, some at a time.

    Parameters
    ----------
    context : SearchContext
        What is searched with.
    group : PipelineGroup
        The candidates.
    rows : Elsewhere
        The rows.
    timer : Timer
        Of the search.

    Yields
    ------
    list of FoldResult
    """
    sums = None
    if rows.weighed:
        sums = answered_by_cells(context, group.candidates, rows.folded, rows.folded.table.names)
    left = [(candidate, fold) for candidate in group.candidates for fold in range(rows.n_folds)]
    if sums is not None:
        done: set[tuple[int, int]] = set()
        for fold, of_fold in enumerate(sums):
            results, _ = answer(context, group, fold, of_fold)
            done |= {(result.candidate, fold) for result in results}
            yield results
        left = [(candidate, fold) for candidate, fold in left if (candidate.number, fold) not in done]
    matrices: dict[Any, list[tuple[Candidate, int]]] = {}
    for candidate, fold in left:
        matrices.setdefault(candidate.matrix, []).append((candidate, fold))
    shares = timer.shares(len(matrices), 1)
    for matrix, share in zip(matrices.values(), shares, strict=True):
        yield from _Matrix(context, rows, share).evaluated(matrix)


class _Matrix:
    """Candidates that differ in numbers only, on some folds."""

    def __init__(self, context: SearchContext, rows: Elsewhere, share: Any) -> None:
        self.context, self.rows, self.share = context, rows, share
        self.side = SideBySide()

    def _run(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        with threads(0):  # products are those of a block
            return self.side.run(tasks, self.rows.folded.answers)

    def evaluated(self, fits: Sequence[tuple[Candidate, int]]) -> Iterator[list[FoldResult]]:
        """Results of these fits, some at a time."""
        clock, candidate = time.perf_counter(), fits[0][0]
        end = None if self.share is None else time.time() + self.share.seconds()
        folds = sorted({fold for _, fold in fits})
        try:
            spec = candidate.spec or candidate.final.__skvariants_spec__()
        except ValueError as error:  # its own fit would say so
            yield [self._failed(FoldResult(one.number, fold), error) for one, fold in fits]
            return
        found = self._run([partial(self._data, candidate, spec, fold) for fold in folds])
        data = dict(zip(folds, found, strict=True))
        seconds = (time.perf_counter() - clock) / len(fits)
        size = self._size(spec, found)
        for start in range(0, len(fits), size):
            block = fits[start : start + size]
            yield self._block(block, data, seconds, None if end is None else (end, len(block) / (len(fits) - start)))

    def _size(self, spec: Any, found: Sequence[Any]) -> int:
        """How many fits go side by side."""
        data = next((data for data in found if not isinstance(data, Exception)), None)
        if data is None:
            return _AT_ONCE
        unit = data.task.bind_loss(spec.loss).columns_per_model
        return int(np.clip(_HELD // ((unit * (data.rows.d + 1)) ** 2 * (data.task.n_columns // unit)), 1, _AT_ONCE))

    def _data(self, candidate: Candidate, spec: Any, fold: int) -> Any:
        """The rows that a fold trains with."""
        header = Header.of(type(candidate.final).__name__, get_tags(candidate.final))
        return on_table(spec, header, Given(None, None, table=self.rows.folded.fold(fold, self.side.ask)))

    def _block(
        self, block: Sequence[tuple[Candidate, int]], data: dict[int, Any], seconds: float, end: Any
    ) -> list[FoldResult]:  # fmt: skip
        """Results of fits that go side by side."""
        clock = time.perf_counter()
        limit = None if end is None else max(0.0, end[0] - time.time()) * end[1]
        fitted = self._run([partial(self._fit, candidate, data[fold], limit, len(block)) for candidate, fold in block])
        seconds += (time.perf_counter() - clock) / len(block)
        results, sound = [], []
        for (candidate, fold), made in zip(block, fitted, strict=True):
            result = FoldResult(candidate.number, fold, fit_time=seconds)
            results.append(result)
            if isinstance(made, Exception):
                self._failed(result, made)
                continue
            result.unfinished, result.cut_short = made.status == "max_iter", made.status == "max_time"
            result.diverged, result.epochs = made.status == "diverged", made.n_iter
            if not result.diverged:
                sound.append((result, made))
            elif self.context.error_score == "raise":
                raise ValueError(f"The candidate {candidate.params} diverged on fold {fold} and error_score='raise'.")
            else:
                result.test = result.train = self.context.failed_score()
        if sound:
            self._score(sound)
        return results

    def _fit(self, candidate: Candidate, data: Any, limit: float | None, count: int) -> Fitted:
        """The fit of a candidate to the rows of a fold, beside others."""
        if isinstance(data, Exception):
            raise data
        spec = candidate.spec
        if spec is None or hasattr(spec.random_state, "randint"):
            spec = candidate.final.__skvariants_spec__()
        own = spec.stopping.max_time
        limits = [seconds for seconds in (None if own is None else own * count, limit) if seconds is not None]
        (fitted,) = fit([replace(spec.within(min(limits, default=None)), verbose=0)], data)
        return fitted

    def _failed(self, result: FoldResult, error: Exception) -> FoldResult:
        if self.context.error_score == "raise":
            raise error
        result.test, result.train = self.context.failed_score(), self.context.failed_score()
        result.failure = "".join(traceback.format_exception(error))
        return result

    def _score(self, sound: Sequence[tuple[FoldResult, Fitted]]) -> None:
        """Score models, in one pass, or two where a deviance is to be told from that of a constant model."""
        clock = time.perf_counter()
        by_fold: dict[Any, list[tuple[FoldResult, Fitted]]] = {}
        for result, fitted in sound:
            by_fold.setdefault((result.fold, fitted.spec.loss.key()), []).append((result, fitted))
        asked = []
        for (fold, _), members in by_fold.items():
            lead = members[0][1]
            loss = lead.task.bind_loss(lead.spec.loss)
            models = Models(np.hstack([fitted.theta for _, fitted in members]), lead.task, loss)
            named = metrics_of(self.rows.named, lead.task.classification)
            default = D2() if loss.deviance else R2()
            metrics = {name: default if metric is None else metric for name, metric in named.items()}
            for kind in ("test", "train") if self.context.return_train_score else ("test",):
                asked.append((kind, fold, members, models, metrics))
        dtype, weighed = self.rows.folded.table.dtype, self.rows.weighed
        found = self.rows.folded.answers([
            Request(fold, kind == "test", measured, (models, list(metrics.values()), weighed, dtype))
            for kind, fold, _, models, metrics in asked
        ])  # fmt: skip
        constants = self._constants(asked, found)
        for (kind, _, members, models, metrics), totals, constant in zip(asked, found, constants, strict=True):
            scores = {
                name: metric.scores(total, models, constant)
                if total.weight == total.weight
                else [np.nan] * len(members)
                for (name, metric), total in zip(metrics.items(), totals, strict=True)
            }
            for j, (result, _) in enumerate(members):
                own = {name: float(values[j]) for name, values in scores.items()}
                setattr(result, kind, own[None] if self.context.names is None else own)
        for result, _ in sound:
            result.score_time = (time.perf_counter() - clock) / len(sound)

    def _constants(self, asked: Sequence[Any], found: Sequence[Any]) -> list[Any]:
        """Deviances of the best constant models, where a metric compares with them."""
        constants: list[Any] = [None] * len(asked)
        requests: dict[int, Request] = {}
        for position, ((kind, fold, _, models, metrics), totals) in enumerate(zip(asked, found, strict=True)):
            for metric, total in zip(metrics.values(), totals, strict=True):
                if metric.against_constant:
                    mean = np.atleast_2d(total.moments.mean)
                    z = models.loss.fit_intercept_only(mean, np.ones(mean.shape))
                    args = models, np.broadcast_to(z, mean.shape[1:]), self.rows.weighed
                    requests[position] = Request(fold, kind == "test", deviance_of, args)
        if requests:
            for position, value in zip(requests, self.rows.folded.answers(list(requests.values())), strict=True):
                constants[position] = value
        return constants


__all__ = [
    "Collections", "Elsewhere", "InBatches", "Outline", "check_candidates", "evaluate_elsewhere",
]  # fmt: skip

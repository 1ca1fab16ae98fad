"""Rows that come in batches: a pass by the sums of a stream or a sample of them, then exact passes to a certificate."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._blocks.passes import Checkpoint, Passes
from skvariants._blocks.survey import Survey, Surveyed, least_of, look, of_sample, surveyed, task_of
from skvariants._blocks.table import Shard, Table, working_dtype
from skvariants._data.tasks import announced_labels
from skvariants._data.validate import Data, Given, Header, prepare, users_validation
from skvariants._fit.blocks import refused
from skvariants._fit.job import is_drawn, seed
from skvariants._fit.results import Fitted, Kept, history_of, model_attributes
from skvariants._fit.story import fit
from skvariants._messages import out_of_time
from skvariants._numerics import usual_errors
from skvariants._spec import Spec
from skvariants._training.loop import Interrupted

Array = np.ndarray
#: Times the rows of a sample from which a single pass starts (of 300,000 x 30 the gap fell from 1e-6 to 2e-7).
_SAMPLED = 8
#: Parameters that a fit that goes on may have others of.
_WHATEVER = ("max_time", "verbose", "n_jobs")


@dataclass(eq=False, repr=False)
class Batches:
    """What a fit in batches is asked for beside the parameters.

    Attributes
    ----------
    batches : iterable or callable
        As the user gave them.
    header : callable
        Makes what learns names and number of the features.
    task : callable
        Makes the task of a stream of a spec, the task so far, `classes` and targets.
    classes : array-like or None
        All labels, where they are known.
    max_passes : int or None
        Most passes.
    validation : Given
        Its rows of validation.
    checkpoint : str, path or None
        Where a killed fit goes on from.
    start : callable or None
        Of data, weights and intercepts of a warm start.
    parameters : dict
        Those of the estimator, by name, as the user gave them.
    """

    batches: Any
    header: Callable[[], Header]
    task: Callable[..., Any]
    classes: Any
    max_passes: int | None
    validation: Given
    checkpoint: Any
    start: Callable[[Data], Any] | None
    parameters: dict[str, Any]


@dataclass(eq=False, repr=False)
class First:
    """What the first pass over rows that cannot be sampled beforehand finds.

    Attributes
    ----------
    survey : Survey
        Of targets and weights.
    kept : Kept or None
        A stream that has learned them.
    drawn : list of (X, y, weight, luck)
        A sample: rows whose luck is less than `share`.
    share : float
        Of the rows that the sample holds.
    n_batches, held : int
        So far, and rows of the sample.
    late : bool
        Whether time was up before the last.
    """

    survey: Survey = field(default_factory=Survey)
    kept: Kept | None = None
    drawn: list[Any] = field(default_factory=list)
    share: float = 1.0
    n_batches: int = 0
    held: int = 0
    late: bool = False

    def draw(self, shard: Shard, most: int) -> None:
        """Take rows into the sample, each as likely as any other."""
        X, y, weight = shard
        luck = np.random.default_rng(self.n_batches).random(X.shape[0])
        at = np.flatnonzero(luck < self.share)
        rows = X[at].toarray() if sp.issparse(X) else X[at]
        self.drawn.append((rows, np.asarray(y)[at], None if weight is None else weight[at], luck[at]))
        self.held += len(at)
        while self.held > most:
            self.share /= 2
            self.drawn = [_luckier(part, self.share) for part in self.drawn if part[3].min(initial=1.0) < self.share]
            self.held = sum(len(part[3]) for part in self.drawn)


def _luckier(part: tuple[Any, ...], share: float) -> tuple[Any, ...]:
    """Rows of a part of a sample whose luck is less than that."""
    keep = part[3] < share
    return tuple(None if values is None else values[keep] for values in part)


@usual_errors
def fit_batches(spec: Spec, asked: Batches, callback: Any = None) -> tuple[Fitted, bool]:
    """Fit a table in batches.

    Parameters
    ----------
    spec : Spec
        What is asked for.
    asked : Batches
        The rows, and what else is said of them.
    callback : FitTask, optional
        Told of each pass.

    Returns
    -------
    fitted : Fitted
    streaming : bool
        Whether `partial_fit` goes on from its state.

    Raises
    ------
    Interrupted
        With the model of the last whole pass.
    """
    early = spec.stopping.early_stopping
    reason = refused(replace(spec, stopping=replace(spec.stopping, early_stopping=False)))
    if reason is not None:
        raise ValueError(f"{reason[0].upper()}{reason[1:]}, {_NO_SUMS}")
    if asked.classes is not None:
        announced_labels(asked.classes)  # which refuses what are none
    passes = Passes(asked.batches, asked.header(), spec.task, spec.verbose, asked.classes)
    if early and (asked.validation.X_val is None or passes.once):
        raise ValueError(
            "early_stopping=True compares passes on rows beside them: give X_val and y_val, and batches that can be "
            "read more than once, not a generator."
        )
    if passes.once and asked.start is not None:
        raise ValueError(
            "warm_start=True goes on from a fit by further passes, and a generator gives one: give a callable that "
            "makes it, or its batches to partial_fit."
        )
    passes.checkpoint = _checkpoint(spec, asked)
    fitted, streaming = _Fit(spec, asked, passes, callback).run()
    if fitted.status != "max_time":
        passes.checkpoint.delete()
    return fitted, streaming


def _checkpoint(spec: Spec, asked: Batches) -> Checkpoint:
    """Where a fit goes on from: of the same parameters, and of batches that say the same of themselves."""
    drawn = is_drawn(spec.random_state)
    given = {
        "classes": None if asked.classes is None else np.asarray(asked.classes).tolist(),
        "max_passes": asked.max_passes,
        "batches.n_rows": getattr(asked.batches, "n_rows", None),
        "random_state": None if drawn else spec.random_state,
    }
    key = spec.key(), spec.warm_start, *given.values()
    told = {name: value for name, value in asked.parameters.items() if name not in _WHATEVER} | given
    return Checkpoint(asked.checkpoint, key, told, seed(spec.random_state) if drawn else spec.random_state)


class _Fit:
    """One fit in batches."""

    def __init__(self, spec: Spec, asked: Batches, passes: Passes, callback: Any) -> None:
        self.spec = replace(spec, random_state=passes.checkpoint.seed)
        self.asked, self.passes, self.callback = asked, passes, callback
        self.began, self.limit = time.perf_counter(), spec.stopping.max_time
        most = spec.stopping.max_iter
        self.left = most if asked.max_passes is None else min(most, asked.max_passes)
        self.classes = asked.classes
        # a chunk of a stream, which is the same each time
        chance = 0 if is_drawn(spec.random_state) else spec.random_state
        stopping = replace(spec.stopping, max_iter=1, max_time=None, early_stopping=False)
        task = replace(spec.task, on_new_class="error") if spec.task.classification else spec.task
        self.chunk = replace(spec, stopping=stopping, forgetting=None, verbose=0, task=task, random_state=chance)
        self.header = asked.header()

    def run(self) -> tuple[Fitted, bool]:
        """The fitted model, and whether a stream can go on from it."""
        spec, passes = self.spec, self.passes
        if passes.seekable:
            return self._exact(
                surveyed(spec, self.asked.header(), passes.table(), _SAMPLED if self.left == 1 else 1), None
            ), False
        if spec.task.classification and self.classes is None:
            if passes.once:
                raise ValueError(
                    "classes must be given with a generator, which is read once: give all labels, or a callable that "
                    "makes the generator."
                )
            table = passes.table()
            [survey] = passes.run(look, table.shards, spec.task, spec.loss, table.d)
            self.classes = survey.classes
        learn = self._learn if self.asked.start is None else self._survey
        first = passes.through(First(), learn, (learn.__name__, None))
        streamed = None if first.kept is None else self._streamed(first.kept, first)
        self.left -= 1
        if streamed is not None and (passes.once or first.late or not self.left):
            return streamed, True
        return self._exact(self._sampled(first), streamed), False

    # ------------------------------------------------------------------ the first pass

    def _survey(self, first: First, shard: Shard) -> bool:
        """Take a batch into what is known of all; whether time is up."""
        d, dtype = shard[0].shape[1], working_dtype(shard[0].dtype)
        first.survey = first.survey + look(shard, self.spec.task, self.spec.loss, d)
        if not self.passes.once:
            first.draw(shard, least_of(Table([], self.passes.run, d, dtype), self.spec.loss))
        first.n_batches += 1
        first.late = self.limit is not None and time.perf_counter() - self.began >= self.limit
        return first.late

    def _learn(self, first: First, shard: Shard) -> bool:
        """The same, and learn it; whether time is up."""
        spec, kept = self.chunk, first.kept
        if spec.task.classification and spec.task.on_new_class != "grow":
            self.passes.check_labels(shard[1])
        task = self.asked.task(spec, None if kept is None else kept.setup.task, self.classes, shard[1])
        data = prepare(spec, self.header, Given(*shard), task, streaming=True)
        late = self._survey(first, shard)
        if data.rows.n:
            [fitted] = fit([spec], data, None if kept is None else [kept], streaming=True)
            first.kept = fitted.kept
        return late

    def _streamed(self, kept: Kept, first: First) -> Fitted:
        """The model of one pass."""
        late, messages = first.late, []
        if late:
            messages.append(
                f"The fit ended after max_time={self.limit:g} seconds in its first pass: the model is that of "
                f"{first.survey.n:,} rows. Pass a larger max_time to improve the fit."
            )
        return Fitted(
            self.spec, self.passes.header, kept, kept.theta, "max_time" if late else "one pass", 1, messages
        )  # fmt: skip

    def _sampled(self, first: First) -> Data:
        """The table that the first pass went through."""
        spec = self.spec
        task, by_class = task_of(first.survey, spec.task, spec.loss)
        X = first.drawn[0][0]
        table = Table([0], self.passes.run, X.shape[1], working_dtype(X.dtype), self.passes.header.feature_names)
        self.passes.check_classes(first.survey)
        parts = list(zip(*first.drawn, strict=True))[:3]
        X, y, weight = (None if part[0] is None else np.concatenate(part) for part in parts)
        return of_sample(spec, self.asked.header(), Surveyed(table, first.survey, by_class), task, (X, y, weight))

    # ------------------------------------------------------------------ exact passes

    def _exact(self, data: Data, streamed: Fitted | None) -> Fitted:
        """The model of all rows."""
        spec, asked = self.spec, self.asked
        reason = refused(spec, data)
        if reason is not None:
            raise ValueError(f"{reason[0].upper()}{reason[1:]}, {_NO_SUMS}")
        if asked.validation.validates:
            data.validation = users_validation(spec, data.header, asked.validation, data.task)
        passes = None if asked.max_passes is None else self.left
        data.table = replace(data.table, passes=passes, kept=asked.checkpoint is not None)
        left = None if self.limit is None else max(self.limit - (time.perf_counter() - self.began), 1e-9)
        spec = replace(spec, stopping=replace(spec.stopping, max_iter=self.left, max_time=left))
        start = None if asked.start is None else asked.start(data)
        if start is None and streamed is not None:
            start = streamed.theta[:-1].T.astype(float), streamed.theta[-1].astype(float)
        if self.callback is not None:
            self.callback.attributes = functools.partial(model_attributes, data.task, data.header, spec.loss)
        try:
            [fitted] = fit([spec], data, None, None if start is None else [start], callback=self.callback)
        except Interrupted as signal:
            raise Interrupted([self._told(signal.left[0], streamed)]) from None
        return self._told(fitted, streamed)

    def _told(self, fitted: Fitted, streamed: Fitted | None) -> Fitted:
        """The same, with the first pass in its story."""
        setup, status, messages = fitted.kept.setup, fitted.status, fitted.messages
        history, before = history_of(fitted.kept.state), int(streamed is not None)
        if streamed is not None:
            of = streamed.kept.setup.history or {}
            loss = float(np.average(of["objective"], weights=of["rows"]))
            row = {
                "epoch": 1, "objective": loss, "eta": 1.0, "seconds": of["seconds"][-1], "rows": self.passes.n_rows,
                "validation_score": history["validation_score"][0], "remembered": None,
            }  # fmt: skip
            history = {name: [row[name], *values] for name, values in history.items()}
            history["epoch"] = list(range(1, len(history["epoch"]) + 1))
        setup.history, setup.key = history, None  # a warm start goes on from the coefficients
        if status == "max_time":
            messages = [out_of_time(self.limit or 0.0, fitted.n_iter + before)]
        if status == "max_iter" and self.asked.max_passes is not None:
            status, messages = "one pass" if fitted.n_iter + before == 1 else status, []
        return replace(fitted, n_iter=fitted.n_iter + before, status=status, messages=messages)


_NO_SUMS = (
    "and fit_batches is made of sums over all rows: give the batches to partial_fit, one after the other, or all rows "
    "at once to fit."
)

__all__ = ["Batches", "fit_batches"]

"""What the searches share: what was asked for, candidates on folds, and the refit of the winner."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import numbers
import os
import re
import signal
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, get_tags, indexable
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.parallel import Parallel, delayed

from skvariants._blocks.folds import Cells, FoldedTable
from skvariants._callbacks import with_callbacks
from skvariants._component import (
    PROCESSES,
    Accepts,
    Flag,
    OneOf,
    check,
    closest,
    integers,
    named_init,
    number,
    plain,
    refused,
    shown,
)
from skvariants._data.rows import is_lazy
from skvariants._data.tasks import Classification, Regression
from skvariants._data.validate import Header, in_process
from skvariants._doclinks import LinksToDocs
from skvariants._names import METRICS_ELSEWHERE
from skvariants._saving import Versioned
from skvariants.model_selection._block_scores import metrics_of
from skvariants.model_selection._elsewhere import (
    Collections,
    Elsewhere,
    InBatches,
    Outline,
    check_candidates,
    evaluate_elsewhere,
)
from skvariants.model_selection._evaluate import FoldResult, Rung, evaluate_at_once, evaluate_configured, evaluate_fold
from skvariants.model_selection._fold import SearchContext, n_rows, per_row, told_rows
from skvariants.model_selection._grams import METRICS, sums_by_fold
from skvariants.model_selection._plan import final_step, least_levels, plan, without_effect
from skvariants.model_selection._progress import NullContext, Progress, warn
from skvariants.model_selection._results import cv_results, report_cut_short, report_failures, report_unfinished, table
from skvariants.model_selection._score import check_metrics, check_metrics_of_columns
from skvariants.model_selection._time import Timer

Array = np.ndarray
_OF_THE_WINNER = (
    "best_estimator_", "best_index_", "best_params_", "best_score_", "feature_names_in_", "refit_time_",
)  # fmt: skip


_NOTHING = "No fits were performed. Was the CV iterator empty? Were there no candidates?"
# what joblib takes for a number of tasks
_EXPRESSION = re.compile(r"all|[\d\s.*+/()n_jobs-]+")


class Scoring(NamedTuple):
    """How candidates are scored.

    Attributes
    ----------
    scorer : callable
        What is called.
    scorers : callable or dict
        What ``scorer_`` will be.
    names : list of str or None
        Of several metrics.
    refit_metric : str
        Which one decides.
    """

    scorer: Any
    scorers: Any
    names: list[str] | None
    refit_metric: Any

    def by_name(self) -> Mapping[str | None, Any]:
        """Each scorer; a single one has no name."""
        return self.scorers if isinstance(self.scorers, dict) else {None: self.scorer}

    def plain(self) -> bool:
        """Whether all are of scikit-learn's kind, which look at predictions alone."""
        standard = type(get_scorer("accuracy"))
        return all(isinstance(scorer, standard) for scorer in self.by_name().values())


class Evaluation:
    """The function that evaluates candidates for a strategy, and all that came of it.

    Parameters
    ----------
    search : BatchedSearch
        Its `n_jobs`, `verbose` and `error_score` are asked for.
    context : SearchContext
        What is the same for all candidates.
    base : estimator
        What is tuned.
    settings : list of dict
        The candidates.
    folds : list of (train, test)
        Rows.
    """

    def __init__(
        self, search: Any, context: SearchContext, base: Any, settings: list[dict[str, Any]],
        folds: list[tuple[Array, Array]],
    ) -> None:  # fmt: skip
        self.search, self.context, self.settings, self.folds = search, context, settings, folds
        #: its time, and how much is left of it
        self.timer = Timer(search.max_time, search.refit is not False)
        self.groups = plan(base, settings)
        if context.y is not None and is_regressor(base):
            check_metrics_of_columns(context.named, context.y, least_levels(self.groups))
        self._rungs: dict[tuple[int, int], Any] = {}
        self._latest: dict[tuple[int, int], FoldResult] = {}
        self._rows: list[list[FoldResult]] = []
        self._settings_of_rows: list[dict[str, Any]] = []
        self._columns: dict[str, list[Any]] = {}

    @property
    def n_splits(self) -> int:
        """Number of folds."""
        return len(self.folds)

    def __call__(
        self, candidates: Sequence[int], callback_ctx: Any, epochs: int | None = None, **columns: Any
    ) -> list[list[FoldResult]]:
        """Evaluate some candidates on all folds; each is a row of ``cv_results_``.

        Parameters
        ----------
        candidates : sequence of int
            Their numbers.
        callback_ctx : CallbackContext
            Of the task that this is.
        epochs : int, optional
            How many they are to have, from where they stand after the call before; None for a fit of their own.
        **columns : object
            Further entries of these rows, by name.

        Returns
        -------
        list of list of FoldResult
            By candidate and fold.
        """
        results = self._evaluated(set(candidates), callback_ctx, epochs)
        self._latest |= {(result.candidate, result.fold): result for result in results}
        rows = table(results, candidates, self.search.error_score)
        self._rows += rows
        self._settings_of_rows += [self.settings[number] for number in candidates]
        for name, value in columns.items():
            self._columns.setdefault(name, []).extend([value] * len(rows))
        return rows

    def _evaluated(self, chosen: set[int], callback_ctx: Any, epochs: int | None) -> list[FoldResult]:
        """Results of some candidates on all folds."""
        tasks = {}
        sums = [
            [None] * self.n_splits if epochs is not None else sums_by_fold(self.context, group, self.folds)
            for group in self.groups
        ]
        for fold, (train, test) in enumerate(self.folds):
            for position, group in enumerate(self.groups):
                members = [candidate for candidate in group.candidates if candidate.number in chosen]
                if members:
                    rung = None
                    if epochs is not None:
                        rung = self._rungs.setdefault((fold, position), Rung())
                        rung.advance(epochs, chosen)
                    part = replace(group, candidates=members, sums=sums[position][fold])
                    tasks[fold, position] = self.context, part, fold, train, test, rung
        progress = Progress(
            self.search, callback_ctx, self.settings, self.n_splits,
            lambda fold: told_rows(self.context, self.folds[fold][0]),
        )  # fmt: skip
        return self._run(tasks, progress)

    def _run(self, tasks: dict[tuple[int, int], tuple[Any, ...]], progress: Progress) -> list[FoldResult]:
        """Results of all tasks, in one process or in several."""
        search, collected = self.search, []
        jobs = min(joblib.effective_n_jobs(search.n_jobs), len(tasks))
        shares = self.timer.shares(len(tasks), jobs)
        # before the first begins: what is sent to another process is not to change
        heard = [progress.tasks(group.candidates, fold) for _, group, fold, *_ in tasks.values()]
        timed = [(*task, *more) for task, *more in zip(tasks.values(), shares, heard, strict=True)]
        if jobs == 1:
            for task in timed:
                for results in evaluate_fold(*task):
                    progress.done(results, task[-1])
                    collected += results
            return collected
        with workers(search.n_jobs, search.pre_dispatch) as (parallel, evaluate):
            finished = parallel(evaluate(*task) for task in timed)
            for key, told, (results, rung) in zip(tasks, heard, finished, strict=True):
                progress.done(results, told)
                collected += results
                self._rungs[key] = rung
        return collected

    def report(self, unfinished: bool = False) -> None:
        """Warn of fits that failed, diverged or had no more time and, on demand, of those that needed more epochs.

        Raises
        ------
        ValueError
            If none is left.
        """
        results = list(self._latest.values())
        report_failures(results, self.settings, self.search.error_score)
        report_cut_short(results, self.settings)
        if unfinished:
            report_unfinished(results, self.groups, self.settings)

    def results(self) -> dict[str, Any]:
        """The attributes that follow from what was evaluated."""
        train = self.context.return_train_score
        return {
            "cv_results_": cv_results(self._settings_of_rows, self._rows, train, self._columns),
            "multimetric_": isinstance(self._rows[0][0].test, dict),
        }


class EvaluationElsewhere(Evaluation):
    """The same on rows that are not in memory.

    Parameters
    ----------
    search, context, base, settings
        As for :class:`Evaluation`.
    source : Collections or InBatches
        Where the rows are.
    rows : callable
        Draws the folds; called when all else is known to be in order.
    """

    def __init__(
        self, search: Any, context: SearchContext, base: Any, settings: list[dict[str, Any]], source: Any,
        rows: Callable[[], Elsewhere],
    ) -> None:  # fmt: skip
        super().__init__(search, context, base, settings, [])
        check_candidates(source, self.groups)
        self.rows = rows()

    @property
    def n_splits(self) -> int:
        return self.rows.n_folds

    def _evaluated(self, chosen: set[int], callback_ctx: Any, epochs: int | None) -> list[FoldResult]:
        progress, collected = Progress(self.search, callback_ctx, self.settings, self.n_splits), []
        for group in self.groups:
            heard = [progress.tasks(group.candidates, fold) for fold in range(self.n_splits)]
            for results in evaluate_elsewhere(self.context, group, self.rows, self.timer):
                for result in results:
                    progress.done([result], heard[result.fold])
                collected += results
        return collected


@contextlib.contextmanager
def workers(n_jobs: int | None, pre_dispatch: Any) -> Iterator[tuple[Any, Any]]:
    """Processes or threads of joblib's active backend, and what they do; none of loky's stays after an interrupt.

    scikit-learn hands the filters of warnings to each worker. Threads have them as it is, and those that set and
    restore them side by side would leave behind what the others had set.
    """
    backend, _ = get_active_backend()
    one_by_one = getattr(backend, "supports_return_generator", False)
    threads = getattr(backend, "supports_sharedmem", False)
    options = {"pre_dispatch": pre_dispatch, "return_as": "generator" if one_by_one else "list"}
    parallel = (joblib.Parallel if threads else Parallel)(n_jobs, **options)
    in_thread = functools.partial(evaluate_configured, get_config())
    try:
        yield parallel, joblib.delayed(in_thread) if threads else delayed(evaluate_at_once)
    except BaseException as error:
        if not _interrupted(error):
            raise
        if type(backend).__name__ == "LokyBackend":
            _end_workers()
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def no_worker_stays(n_jobs: int | None) -> Iterator[None]:
    """End idle processes of loky's, too, where a signal comes when all tasks are done."""
    try:
        yield
    except BaseException as error:
        several = joblib.effective_n_jobs(n_jobs) > 1
        if several and _interrupted(error) and type(get_active_backend()[0]).__name__ == "LokyBackend":
            _end_workers()
        raise


def _interrupted(error: BaseException | None) -> bool:
    """Whether a signal is what an error began with: clearing up after it may have failed in its turn."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _end_workers() -> None:
    """End loky's processes, also where another signal comes meanwhile."""
    try:
        with contextlib.suppress(Exception):
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
    finally:
        # those that were being started when the signal came are no executor's
        for process in multiprocessing.active_children():
            if type(process).__module__.startswith("joblib.externals.loky"):
                process.terminate()  # loky's have no kill
                process.join()
        for number in _unknown_workers():
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGTERM)
                os.waitpid(number, 0)


def _unknown_workers() -> list[int]:
    """Numbers of loky's processes that were started, but not noted when a signal came; where Linux tells."""
    found = []
    for children in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for number in children.read_text().split():
                if b"popen_loky" in Path("/proc", number, "cmdline").read_bytes():
                    found.append(int(number))
    return found


class BatchedSearch(Versioned, LinksToDocs):
    """The `fit` that the searches share; signature, prediction and delegation are inherited from scikit-learn's."""

    # parameters of all searches
    estimator: Any
    scoring: Any
    n_jobs: int | None
    refit: Any
    cv: Any
    verbose: int
    pre_dispatch: Any
    error_score: Any
    return_train_score: bool
    max_time: float | None

    cv_results_: dict[str, Any]
    best_estimator_: Any
    best_score_: float
    best_params_: dict[str, Any]
    best_index_: int
    scorer_: Any
    n_splits_: int
    refit_time_: float
    multimetric_: bool

    _accepts: ClassVar[dict[str, Accepts]] = {
        "n_jobs": PROCESSES,
        "refit": OneOf(Flag(), str, Callable),
        "verbose": OneOf(Flag(), integers(0)),
        "pre_dispatch": OneOf(str, integers(1)),
        "return_train_score": Flag(),
        "max_time": OneOf(None, number(0, closed="neither")),
        "scoring": OneOf(None, str, Callable, list, tuple, set, dict),
    }

    #: the parameter that holds the candidates
    _candidates: ClassVar[str] = "param_grid"
    #: whether rows may stay where they are
    _fits_elsewhere: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            made: Any = cls
            made.__init__ = named_init(made.__init__)

    @abstractmethod
    def _settings(self) -> list[dict[str, Any]]:
        """The candidates, in order."""

    @abstractmethod
    def _run_search(self, evaluate: Evaluation, callback_ctx: Any) -> dict[str, Any]:
        """Evaluate the candidates; the attributes that follow from it."""

    # ------------------------------------------------------------------ what was asked for

    def _check_params(self) -> None:
        for name, accepts in self._accepts.items():
            if name in self.get_params(deep=False):
                check(name, getattr(self, name), accepts)
        if isinstance(self.estimator, type):
            raise ValueError(
                f"estimator={self.estimator.__name__} is not accepted, as it is a class: pass an instance, "
                f"{self.estimator.__name__}()."
            )
        if not hasattr(self.estimator, "fit"):
            raise ValueError(
                f"estimator={shown(self.estimator)} is not accepted: estimator must be an object with `fit`."
            )
        if isinstance(self.refit, str) and not self.refit:
            raise ValueError("refit='' is not accepted: refit must be True, False, the name of a metric or a callable.")
        if isinstance(self.pre_dispatch, str) and not _EXPRESSION.fullmatch(self.pre_dispatch):
            raise ValueError(
                f"pre_dispatch={self.pre_dispatch!r} is not accepted: pre_dispatch must be an integer, 'all' or an "
                "expression in n_jobs such as '2*n_jobs'."
            )
        score = plain(self.error_score)
        if not (score in number() or isinstance(score, float) or _is_word(score, "raise")):
            raise ValueError(
                f"error_score={shown(score)} is not accepted: error_score must be the string 'raise' or a "
                "numeric value. (Hint: if using 'raise', please make sure that it has been spelled correctly.)"
            )

    def _scoring(self) -> Scoring:
        """How candidates are scored."""
        scoring = self.scoring
        if callable(scoring):
            return Scoring(scoring, scoring, None, "score")
        _check_names_of_scorers(scoring)
        with refused("scoring", scoring, "Give a name of sklearn.metrics.get_scorer_names(), several, or a callable."):
            return self._named_scoring(scoring)

    def _named_scoring(self, scoring: Any) -> Scoring:
        """How candidates are scored, by metrics that have names."""
        if scoring is None or isinstance(scoring, str):
            scorer = check_scoring(self.estimator, scoring)
            return Scoring(scorer, scorer, None, "score")
        scorer = check_scoring(self.estimator, scoring, raise_exc=_is_word(self.error_score, "raise"))
        entries = scoring.items() if isinstance(scoring, dict) else zip(scoring, scoring, strict=True)
        scorers = {name: check_scoring(self.estimator, entry) for name, entry in entries}
        return Scoring(scorer, scorers, list(scorers), self.refit)

    def _metrics(self) -> dict[str | None, str] | None:
        """Metrics by the names of their scores, where sums over rows say all of them."""
        named = self._names_of_metrics()
        metrics = None if named is None else {name: "r2" if m is None else m for name, m in named.items()}
        return None if metrics is None or not METRICS.keys() >= set(metrics.values()) else metrics

    def _names_of_metrics(self) -> dict[str | None, str | None] | None:
        """Names of the metrics by those of their scores; None where one of them is no name."""
        scoring = self.scoring
        if scoring is None or isinstance(scoring, str):
            return {None: scoring}
        if callable(scoring):
            return None
        named = dict(scoring) if isinstance(scoring, dict) else {name: name for name in scoring}
        return named if all(isinstance(metric, str) for metric in named.values()) else None

    def _check_refit(self, names: Iterable[str]) -> None:
        known = isinstance(self.refit, str) and self.refit in names
        if self.refit is not False and not known and not callable(self.refit):
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to a scorer key or a callable to refit an "
                "estimator with the best parameter setting on the whole data and make the best_* attributes available "
                "for that metric. If this is not needed, refit should be set to False explicitly. "
                f"{self.refit!r} was passed."
            )

    def _route(self, params: dict[str, Any], scoring: Scoring) -> Any:
        """Metadata for the estimator, the splitter and the scorer."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **params)
        params = dict(params)
        groups = params.pop("groups", None)
        scored = {}
        if params.get("sample_weight") is not None and self._scorer_takes_weights(scoring):
            scored = {"sample_weight": params["sample_weight"]}
        return Bunch(estimator=Bunch(fit=params), splitter=Bunch(split={"groups": groups}), scorer=Bunch(score=scored))

    def _scorer_takes_weights(self, scoring: Scoring) -> bool:
        """Whether scores are weighted, as the installed scikit-learn would: before 1.7 they never are."""
        if not hasattr(get_scorer("accuracy"), "_accept_sample_weight"):
            return False

        def takes(scorer: Any) -> bool:
            method = getattr(scorer, "_accept_sample_weight", None)
            return method() if method is not None else "sample_weight" in signature(scorer).parameters

        for name, scorer in scoring.by_name().items():
            if not takes(scorer):
                what = scorer if name is None else f"{name}={scorer}"
                warn(
                    f"The scoring {what} does not support sample_weight, which may lead to statistically incorrect "
                    f"results when fitting {self} with sample_weight. ",
                    UserWarning,
                )
        return any(takes(scorer) for scorer in scoring.by_name().values())

    def _folds(self, X: Any, y: Any, split_params: dict[str, Any]) -> list[tuple[Array, Array]]:
        """The rows of each fold, drawn once."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        n_splits = cv.get_n_splits(X, y, **split_params)
        folds = [(np.asarray(train), np.asarray(test)) for train, test in cv.split(X, y, **split_params)]
        if len(folds) != n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {n_splits} splits, got {len(folds)}"
            )
        return folds

    # ------------------------------------------------------------------ fitting

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Evaluate all candidates and refit the best one.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or dask collection of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Targets.
        **params : dict
            Passed to `fit` of the estimator, to the scorer and to the splitter: ``sample_weight``, ``groups`` and the
            like. What holds one entry per row is split with the rows.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If a parameter is not accepted, or every fit failed; an earlier fit stays as it was.
        TypeError
            If X is a dask collection, of which sums over rows do not say what is asked.
        """
        self._check_params()
        scoring = self._scoring()
        if scoring.names is not None:
            self._check_refit(scoring.names)
        if self._fits_elsewhere and is_lazy(X):
            source = Collections(X, y, params.get("sample_weight"), is_classifier(self.estimator))
            return self._fit_elsewhere(source, scoring, params, {"X": X, "y": y})
        last = final_step(self.estimator)[1]
        if y is None and hasattr(last, "__sklearn_tags__") and get_tags(last).target_tags.required:
            raise ValueError(
                f"y=None is not accepted, as {type(last).__name__} learns targets: give one for each row, as fit(X, y)."
            )
        X, y = indexable(in_process(X, "X"), in_process(y, "y"))
        n = n_rows(X)
        params = {name: indexable(value)[0] if per_row(value, n) else value for name, value in params.items()}
        routed = self._route(params, scoring)
        folds = self._drawn(X, y, routed.splitter.split)
        if is_classifier(self.estimator):
            check_metrics(self._names_of_metrics(), y)
        plain = not get_config()["enable_metadata_routing"] if self.scoring is None else scoring.plain()
        context = SearchContext(
            X, y, routed.estimator.fit, routed.scorer.score, scoring.scorer, scoring.names, plain,
            self._names_of_metrics(), self.error_score, bool(self.return_train_score), self._metrics(),
        )  # fmt: skip
        callback_ctx, data = self._begin(X, y, params.get("sample_weight"))

        def fit(model: Any) -> None:
            model.fit(*((X,) if y is None else (X, y)), **routed.estimator.fit)

        return self._searched(
            lambda base, settings: Evaluation(self, context, base, settings, folds), scoring, fit, callback_ctx, data
        )

    @with_callbacks
    def _fit_batches(self, batches: Any) -> Self:
        """The same on batches."""
        self._check_params()
        scoring = self._scoring()
        if scoring.names is not None:
            self._check_refit(scoring.names)
        header = Header.of(type(self.estimator).__name__, get_tags(self.estimator))
        asked = Classification() if is_classifier(self.estimator) else Regression()
        return self._fit_elsewhere(InBatches(batches, header, asked), scoring, {}, {"X": batches, "y": None})

    def _fit_elsewhere(self, source: Any, scoring: Scoring, params: dict[str, Any], told: dict[str, Any]) -> Self:
        """The same on rows that are not in memory; `told` is what callbacks are told of them."""
        routed = self._route(params, scoring)
        weights = routed.estimator.fit.get("sample_weight"), routed.scorer.score.get("sample_weight")
        if not (set(routed.estimator.fit) | set(routed.scorer.score) <= {"sample_weight"}) or (
            weights[1] is not None and weights[1] is not weights[0]
        ):
            given = sorted({*routed.estimator.fit, *routed.scorer.score})
            raise TypeError(
                f"{source.what}, and a search passes {given} to fits and scores: of these only the sample_weight of a "
                "fit goes with such rows. Leave out the others, or give rows that are in memory."
            )
        metrics_of(self._names_of_metrics(), is_classifier(self.estimator))
        weighed = weights[0] is None or weights[1] is not None  # those of batches are weights of both
        context = SearchContext(
            None, None, {}, {}, scoring.scorer, scoring.names, True, self._names_of_metrics(), self.error_score,
            bool(self.return_train_score), self._metrics(),
        )  # fmt: skip
        callback_ctx, data = self._begin(told["X"], told["y"], params.get("sample_weight"))

        def rows() -> Elsewhere:
            return self._folded(source, routed.splitter.split, weighed)

        return self._searched(
            lambda base, settings: EvaluationElsewhere(self, context, base, settings, source, rows), scoring,
            source.fit, callback_ctx, data,
        )  # fmt: skip

    def _folded(self, source: Any, split_params: dict[str, Any], weighed: bool) -> Elsewhere:
        """Rows that are not in memory, in folds."""
        stratified = is_classifier(self.estimator) and not hasattr(self.cv, "__iter__")
        lengths, y, d = source.look(stratified or hasattr(self.cv, "split"))
        split = {
            name: np.asarray(value.compute() if is_lazy(value) else value)  # numbers of groups, one a row
            for name, value in split_params.items() if value is not None
        }  # fmt: skip
        folds = self._drawn(Outline((sum(lengths), d)), y, split)
        with refused("cv", self.cv, "Give a number of folds from 2 on, a splitter, or pairs of arrays of rows."):
            cells = Cells.of(folds, sum(lengths))
        return Elsewhere(
            source, FoldedTable(source.table(cells.split(lengths)), cells), self._names_of_metrics(), weighed
        )  # fmt: skip

    def _drawn(self, X: Any, y: Any, split_params: dict[str, Any]) -> list[tuple[Array, Array]]:
        """Folds, at least one."""
        remedy = "Give a number of folds from 2 on, a splitter, or pairs of arrays of rows."
        if split_params.get("groups") is None and hasattr(self.cv, "split"):
            remedy = "A splitter that needs groups is told them by fit, as groups=..., one for each row."
        with refused("cv", self.cv, remedy):
            folds = self._folds(X, y, split_params)
        if not folds:
            raise ValueError(f"{_NOTHING} cv={shown(self.cv)} gives no fold: give a number of folds from 2 on.")
        n = n_rows(X)
        for rows in (rows for fold in folds for rows in fold if rows.dtype.kind in "iu" and rows.size):
            if rows.max() >= n or rows.min() < -n:
                raise ValueError(
                    f"cv={shown(self.cv)} is not accepted: a fold has the row {rows.max()}, counted from 0, and X has "
                    f"{n:,} rows. Draw the folds of these rows."
                )
        return folds

    def _searched(
        self, evaluation_of: Callable[[Any, Any], Evaluation], scoring: Scoring, fit: Callable[[Any], None],
        callback_ctx: Any, data: dict[str, Any],
    ) -> Self:  # fmt: skip
        """Evaluate the candidates, fit the winner to all rows, and publish that."""
        base, asked = clone(self.estimator), getattr(self, self._candidates)
        with refused(self._candidates, asked, "Give a dict of names of parameters and lists of their values."):
            settings = self._settings()
        if not settings:
            raise ValueError(f"{_NOTHING} {self._candidates}={shown(asked)} gives no candidate: add values.")
        _check_names(base, settings)
        evaluation = evaluation_of(base, settings)
        for name, instead in without_effect(evaluation.groups).items():
            warn(
                f"{self._candidates} varies {name!r}, which has no effect: the components of these models do not take "
                f"it from the estimator. Leave it out, or search {instead!r} where a component has it.",
                UserWarning,
            )
        with no_worker_stays(self.n_jobs):
            found = self._run_search(evaluation, callback_ctx)
            found |= {"n_splits_": evaluation.n_splits, "scorer_": scoring.scorers}
            found |= self._winner(found, scoring)
            if self.refit:
                model = clone(base).set_params(**clone(found["best_params_"], safe=False))
                with evaluation.timer.limits(final_step(model)[1]):
                    found |= self._refit(model, fit, callback_ctx, data)
        kept = {name: value for name, value in vars(self).items() if name not in _OF_THE_WINNER}
        self.__dict__ = kept | found  # at once: a signal finds the search as it was, or as it is now
        callback_ctx.call_on_fit_task_end(**data)
        return self

    def _begin(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, dict[str, Any]]:
        """Begin the task of this fit; its context, and what callbacks are told with it."""
        begin = getattr(self, "_init_callback_context", None)
        callback_ctx = NullContext() if begin is None else begin(max_subtasks=1 + (self.refit is not False))
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        data = {"estimator": self, "X": X, "y": y, "metadata": metadata}
        callback_ctx.call_on_fit_task_begin(**data)
        return callback_ctx, data

    def _winner(self, found: dict[str, Any], scoring: Scoring) -> dict[str, Any]:
        """The attributes that say which candidate is best."""
        results, metric = found["cv_results_"], scoring.refit_metric
        if found["multimetric_"] and scoring.names is None:  # a callable that returned a dict
            self._check_refit([key.removeprefix("rank_test_") for key in results if key.startswith("rank_test_")])
            metric = self.refit
        if found["multimetric_"] and not self.refit:
            return {}
        best = self._best_index(results, metric)
        winner = {"best_index_": best, "best_params_": results["params"][best]}
        if not callable(self.refit):
            winner["best_score_"] = results[f"mean_test_{metric}"][best]
        return winner

    def _best_index(self, results: dict[str, Any], metric: str) -> int:
        """Row of ``cv_results_`` of the winner."""
        if callable(self.refit):
            index = self.refit(results)
            if not isinstance(index, numbers.Integral):
                raise TypeError("best_index_ returned is not an integer")
            if not 0 <= int(index) < len(results["params"]):
                raise IndexError("best_index_ index out of range")
            return int(index)
        return results[f"rank_test_{metric}"].argmin()

    def _refit(
        self, model: Any, fit: Callable[[Any], None], callback_ctx: Any, data: dict[str, Any]
    ) -> dict[str, Any]:  # fmt: skip
        """Fit the winner on all rows; the attributes that follow from it."""
        task = callback_ctx.subcontext(task_name="refit-with-best-params")
        with task.propagate_callback_context(model):
            task.call_on_fit_task_begin(**data)
            clock = time.perf_counter()
            fit(model)
        refitted = {"best_estimator_": model, "refit_time_": time.perf_counter() - clock}
        if hasattr(model, "feature_names_in_"):
            refitted["feature_names_in_"] = model.feature_names_in_
        task.call_on_fit_task_end(**data)
        return refitted


def _check_names_of_scorers(scoring: Any) -> None:
    """Refuse a name that is none of scikit-learn's scorers: say which was meant."""
    entries = scoring.values() if isinstance(scoring, Mapping) else [scoring] if isinstance(scoring, str) else scoring
    known = get_scorer_names()
    for name in entries or ():
        if isinstance(name, str) and name not in known:
            near = [f"neg_{name}"] if f"neg_{name}" in known else closest(name, known)
            meant = METRICS_ELSEWHERE.get(name.lower()) or next(iter(near), None)
            hint = f"Did you mean {meant!r}?" if meant else "Give one of sklearn.metrics.get_scorer_names()."
            raise ValueError(f"scoring={shown(scoring)} is not accepted: there is no scorer named {name!r}. {hint}")


def _check_names(estimator: Any, settings: list[dict[str, Any]]) -> None:
    """Refuse the name of a parameter that steps of a pipeline have, and the pipeline has not: say what it is called."""
    known = estimator.get_params()
    for name in {name: None for params in settings for name in params}:
        if name.partition("__")[0] in known:
            continue
        inside = [f"{full!r}" for full in known if full.endswith(f"__{name}")]
        close = closest(name, known)
        if close and not inside:
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {type(estimator).__name__}. Did you mean {close[0]!r}?"
            )
        if inside:
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {type(estimator).__name__}: it is a parameter of a part, "
                f"here called {' or '.join(inside)}."
            )


def _is_word(value: Any, word: str) -> bool:
    """Whether a value is that string; an array is compared with none."""
    return isinstance(value, str) and value == word


__all__ = ["BatchedSearch", "Evaluation", "Scoring"]

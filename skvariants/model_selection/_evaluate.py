"""The candidates of one fold: trained, together where they share a matrix, and scored."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import get_tags

from skvariants._data.validate import Given, Header, prepare
from skvariants._fit import Fitted, fit_together
from skvariants._messages import quiet
from skvariants._numerics import usual_errors
from skvariants.model_selection._fold import Fold, SearchContext, n_rows, take, take_metadata, told_rows, transform_fold
from skvariants.model_selection._grams import FoldSums, answers, sums_of_fold
from skvariants.model_selection._path import fit_along_strengths
from skvariants.model_selection._plan import Candidate, PipelineGroup, with_final_step
from skvariants.model_selection._progress import CandidateTasks
from skvariants.model_selection._score import score, scores_at_once, scores_itself
from skvariants.model_selection._time import INSTANT, Share

Array = np.ndarray
# metadata of `fit` that a matrix of candidates can share
_SHARED_METADATA = {"sample_weight", "X_val", "y_val", "sample_weight_val"}
# fitted candidates that wait for their score together hold about this many numbers
_WAITING = 1 << 24


@dataclass
class FoldResult:
    """What one candidate gave on one fold.

    Attributes
    ----------
    candidate, fold : int
        Numbers.
    test, train : number or dict of numbers
        Scores.
    fit_time, score_time : float
        Seconds.
    failure : str or None
        What its fit raised, with the traceback.
    diverged, unfinished, cut_short : bool
        Whether its steps were too large, whether it reached `max_iter`, whether it reached `max_time`.
    epochs : int
        Over the training rows.
    heard : bool
        Whether callbacks were told of its fit while it was made.
    """

    candidate: int
    fold: int
    test: Any = None
    train: Any = None
    fit_time: float = 0.0
    score_time: float = 0.0
    failure: str | None = None
    diverged: bool = False
    unfinished: bool = False
    cut_short: bool = False
    epochs: int = 0
    heard: bool = False


@dataclass
class Rung:
    """Where the candidates of one fold stand that go on from rung to rung.

    Attributes
    ----------
    behind, epochs : int
        Epochs that they have behind them, and that they are to have.
    fitted : dict of int to Fitted
        What became of each so far.
    fold : Fold or None
        The rows behind the steps before the final estimator.
    """

    behind: int = 0
    epochs: int = 0
    fitted: dict[int, Fitted] = field(default_factory=dict)
    fold: Fold | None = None

    def advance(self, epochs: int, candidates: set[int]) -> None:
        """Go on to so many epochs, with some of the candidates."""
        self.behind, self.epochs = self.epochs, epochs
        self.fitted = {number: fitted for number, fitted in self.fitted.items() if number in candidates}

    def goes_on(self, model: TrainedModel) -> bool:
        """Whether there is anything to train: candidates that have stopped by themselves stay."""
        if model.fitted is None:
            return True
        return self.epochs > self.behind and model.fitted.status == "max_iter"


@dataclass
class TrainedModel:
    """The final estimator of one candidate, and how its fit on one fold went.

    Attributes
    ----------
    candidate : Candidate
        Whose it is.
    made : estimator or None
        The final estimator, where it was asked for.
    fitted : Fitted or None
        The result, where it was trained as columns.
    failure : Exception or None
        What its fit raised.
    seconds : float
        What it took.
    epochs : int
        Over the training rows, in this fit.
    heard : bool
        Whether callbacks were told of it.
    """

    candidate: Candidate
    made: Any = None
    fitted: Fitted | None = None
    failure: Exception | None = None
    seconds: float = 0.0
    epochs: int = 0
    heard: bool = False

    @property
    def final(self) -> Any:
        """The final estimator, with the result if there is one: made when it is asked for, as scores seldom need it."""
        if self.made is None:
            self.made = clone(self.candidate.final)
            if self.fitted is not None:
                self.made.__skvariants_publish__(self.fitted)
        return self.made

    @property
    def status(self) -> str | None:
        """Why the fit stopped, where that is known."""
        if not self.candidate.trainable or self.failure is not None:
            return None
        return getattr(self.final, "status_", None) if self.fitted is None else self.fitted.status

    def take(self, result: Fitted | Exception) -> None:
        """What a fit gave, or what it raised."""
        if isinstance(result, Exception):
            self.failure = result
            return
        self.fitted, self.epochs = result, result.n_iter
        self.publish()

    def publish(self) -> None:
        """Let the estimator have the result, if it exists or does so in its own way."""
        if self.made is None and not scores_itself(type(self.candidate.final)):
            return
        try:
            if self.made is None:
                self.made = clone(self.candidate.final)
            self.made.__skvariants_publish__(self.fitted)
        except Exception as error:
            self.failure = error


# ---------------------------------------------------------------------- one fold


def evaluate_fold(
    context: SearchContext, group: PipelineGroup, number: int, train: Array, test: Array, rung: Rung | None = None,
    share: Share | None = None, tasks: CandidateTasks | None = None,
) -> Iterator[list[FoldResult]]:  # fmt: skip
    """Train and score the candidates of one pipeline group on one fold, some at a time.

    Parameters
    ----------
    context : SearchContext
        What is searched with.
    group : PipelineGroup
        The candidates.
    number : int
        Of the fold.
    train, test : ndarray of int
        Its rows.
    rung : Rung, optional
        From where they go on, and for how long; brought up to date.
    share : Share, optional
        Of the time of the search.
    tasks : CandidateTasks, optional
        Of the candidates, for callbacks.

    Yields
    ------
    list of FoldResult
    """
    end = None if share is None else time.time() + share.seconds()
    if group.sums is not None:
        answered, group = answer(context, group, number, group.sums)
        yield answered
        if not group.candidates:
            return
    fold = None if rung is None else rung.fold
    if fold is None:
        fold = transform_fold(context, group, number, train, test)
    if rung is not None and group.path:
        rung.fold = replace(fold, seconds=0.0)  # paid once
    if tasks is not None:
        fold.tasks, tasks.rows = tasks, told_rows(context, train)
    if rung is None and group.path and (sums := sums_of_fold(context, fold, group.candidates)) is not None:
        answered, group = answer(context, group, number, sums, fold.seconds)
        yield answered
    left = len(group.candidates)
    for matrix in group.matrices():
        for block in _blocks(matrix, fold.X):
            fold.max_time = None if end is None else max(0.0, end - time.time()) / left
            left -= len(block)
            yield assess(context, fold, train_block(fold, block, rung))


def answer(
    context: SearchContext, group: PipelineGroup, number: int, sums: FoldSums, seconds: float = 0.0
) -> tuple[list[FoldResult], PipelineGroup]:
    """Results of the candidates of a fold that sums answer, and the others; the steps before took some seconds."""
    clock = time.perf_counter()
    found = answers(context, group.candidates, sums)
    seconds += (sums.seconds + time.perf_counter() - clock) / len(group.candidates)
    results = [FoldResult(j, number, *scores, fit_time=seconds, epochs=1) for j, scores in found.items()]
    others = [candidate for candidate in group.candidates if candidate.number not in found]
    return results, replace(group, candidates=others)


def evaluate_at_once(*task: Any) -> tuple[list[FoldResult], Rung | None]:
    """What a worker returns: all results of a task, and the rung from which the next one goes on."""
    return [result for results in evaluate_fold(*task) for result in results], task[5]


def evaluate_configured(config: dict[str, Any], *task: Any) -> tuple[list[FoldResult], Rung | None]:
    """The same in a thread, which has no configuration of scikit-learn of its own."""
    with config_context(**config):
        return evaluate_at_once(*task)


def _blocks(matrix: list[Candidate], X: Any) -> Iterator[list[Candidate]]:
    """Candidates of which the fitted estimators are held at the same time."""
    shape = X.shape if hasattr(X, "shape") else np.shape(X)
    size = int(np.clip(_WAITING // (8 * max(1, shape[1] if len(shape) > 1 else 1)), 16, 1024))
    for start in range(0, len(matrix), size):
        yield matrix[start : start + size]


# ---------------------------------------------------------------------- training


def train_block(fold: Fold, block: list[Candidate], rung: Rung | None = None) -> list[TrainedModel]:
    """Fit the final estimators of candidates that share a matrix, or of one that does not.

    Parameters
    ----------
    fold : Fold
        What reaches them.
    block : list of Candidate
        Who they are.
    rung : Rung, optional
        From where they go on.

    Returns
    -------
    list of TrainedModel
    """
    models = [TrainedModel(candidate) for candidate in block]
    if fold.failure is not None:
        for model in models:
            model.failure, model.seconds = fold.failure, fold.seconds
    elif block[0].as_columns and set(fold.params) <= _SHARED_METADATA:
        if rung is None:
            fit_columns(fold, models)
        else:
            resume(fold, models, rung)
    else:
        for model in models:
            if rung is not None:  # a start was given, which is not gone on from: all epochs again
                model.final.set_params(max_iter=rung.epochs)
            fit_alone(fold, model)
    return models


def resume(fold: Fold, models: list[TrainedModel], rung: Rung) -> None:
    """Train candidates from where they stand until they have the epochs of the rung."""
    for model in models:
        model.fitted = rung.fitted.get(model.candidate.number)
    going: list[TrainedModel] = []
    staying: list[TrainedModel] = []
    for model in models:
        (going if rung.goes_on(model) else staying).append(model)
    for model in staying:
        model.publish()
    fit_columns(fold, going, rung)
    rung.fitted |= {model.candidate.number: model.fitted for model in going if model.fitted is not None}


@usual_errors
def fit_columns(fold: Fold, models: list[TrainedModel], rung: Rung | None = None) -> None:
    """Fit final estimators that share a matrix, each as its own fit would.

    Parameters
    ----------
    fold : Fold
        What reaches them.
    models : list of TrainedModel
        Given their results; those that have one already go on from it.
    rung : Rung, optional
        How many epochs come.
    """
    if not models:
        return
    clock = time.perf_counter()
    final = models[0].candidate.final
    try:
        specs = [_spec(model, rung).within(_seconds(model.candidate, fold)) for model in models]
        header = Header.of(type(final).__name__, get_tags(final))
        data = prepare(specs[0], header, Given(fold.X, fold.y, **fold.params))
        if rung is None:
            results: list[Any] = fit_along_strengths(specs, data)
        else:
            previous = [None if model.fitted is None else model.fitted.kept for model in models]
            results = fit_together(specs, data, previous, certified=False)
    except Exception as error:  # as its own fit would, so is each one's
        results = [error] * len(models)
    for model, result in zip(models, results, strict=True):
        model.take(result)
    seconds = (time.perf_counter() - clock) / len(models) + fold.seconds
    for model in models:
        model.seconds = seconds


def _spec(model: TrainedModel, rung: Rung | None) -> Any:
    """What a fit is asked for; on a rung for the epochs that are still to come."""
    if model.fitted is not None and rung is not None:
        return model.fitted.spec.with_epochs(rung.epochs - rung.behind)
    spec = model.candidate.spec
    if spec is None or hasattr(spec.random_state, "randint"):  # each fit draws from a copy of its own
        spec = model.final.__skvariants_spec__()
    return spec if rung is None else spec.with_epochs(rung.epochs)


def _seconds(candidate: Candidate, fold: Fold) -> float | None:
    """What a fit may take: what its candidate says, and no more than its part of the time of the search."""
    own = None if candidate.spec is None else candidate.spec.stopping.max_time
    return min((seconds for seconds in (own, fold.max_time) if seconds is not None), default=None)


def fit_alone(fold: Fold, model: TrainedModel) -> None:
    """Fit a final estimator the ordinary way.

    Parameters
    ----------
    fold : Fold
        What reaches it.
    model : TrainedModel
        Given its failure and the time it took.
    """
    clock = time.perf_counter()
    seconds = _seconds(model.candidate, fold) if model.candidate.as_columns else None
    if seconds is not None:
        model.final.set_params(max_time=max(seconds, INSTANT))
    model.heard = fold.tasks is not None
    try:
        with contextlib.ExitStack() as around:
            if model.candidate.trainable:  # ours say once, at the end of the search, how their fits ended
                around.enter_context(quiet())
            if fold.tasks is not None:
                around.enter_context(fold.tasks.around(model.candidate.number, model.final))
            if fold.y is None:
                model.final.fit(fold.X, **fold.params)
            else:
                model.final.fit(fold.X, fold.y, **fold.params)
        if model.candidate.as_columns:
            model.epochs = model.final.n_iter_
    except Exception as error:
        model.failure = error
    model.seconds = time.perf_counter() - clock + fold.seconds


# ---------------------------------------------------------------------- scoring


def assess(context: SearchContext, fold: Fold, models: list[TrainedModel]) -> list[FoldResult]:
    """Score fitted final estimators.

    Parameters
    ----------
    context : SearchContext
        How they are scored, and what a failure counts.
    fold : Fold
        Which rows.
    models : list of TrainedModel
        Of one matrix.

    Returns
    -------
    list of FoldResult

    Raises
    ------
    Exception
        What a fit raised, or that it diverged, with ``error_score="raise"``.
    """
    results, sound = [], []
    for model in models:
        result = FoldResult(model.candidate.number, fold.number, fit_time=model.seconds, epochs=model.epochs)
        result.heard = model.heard
        results.append(result)
        result.unfinished, result.cut_short = model.status == "max_iter", model.status == "max_time"
        result.diverged = model.status == "diverged"
        if model.failure is None and not result.diverged:
            sound.append((result, model))
            continue
        if context.error_score == "raise":
            raise _divergence(model.candidate, fold.number) if model.failure is None else model.failure
        result.test, result.train = context.failed_score(), context.failed_score()
        if model.failure is not None:
            result.failure = "".join(traceback.format_exception(model.failure))
    n = n_rows(context.X)
    for kind, X, rows in fold.scored_rows(context.return_train_score):
        if not sound:
            break
        y, params = take(context.y, rows), take_metadata(context.score_params, n, rows)
        clock = time.perf_counter()
        together = None
        if fold.pipeline is None:
            cls = type(sound[0][1].candidate.final)
            together = scores_at_once(context, cls, [model.fitted for _, model in sound], X, y, params)
        share = (time.perf_counter() - clock) / len(sound)
        for position, (result, model) in enumerate(sound):
            clock = time.perf_counter()
            if together is not None:
                scored = together[position]
            else:
                whole = model.final if fold.pipeline is None else with_final_step(fold.pipeline, model.final)
                scored = score(context, whole, X, y, params)
            setattr(result, kind, scored)
            if kind == "test":
                result.score_time = time.perf_counter() - clock + share
    return results


def _divergence(candidate: Candidate, fold: int) -> Exception:
    return ValueError(
        f"The candidate {candidate.params} diverged on fold {fold} and error_score='raise'. Use smaller steps "
        "(eta0='auto' finds them), or pass a number as error_score to go on without such candidates."
    )


__all__ = [
    "FoldResult", "Rung", "TrainedModel", "answer", "assess", "evaluate_at_once", "evaluate_configured",
    "evaluate_fold", "fit_alone", "fit_columns", "resume", "train_block",
]  # fmt: skip

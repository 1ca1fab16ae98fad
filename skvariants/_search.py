r"""What a search does with candidates and folds; `model_selection` holds the searches themselves.

A *candidate* is one setting of the parameters; a *recipe* the candidates that see the rows through the same steps
before the final estimator; a *view* is one fold seen through one recipe; a *group* the candidates of one matrix; an
*outcome* what one candidate gave on one fold. Nothing here depends on how candidates are trained together.
"""

from __future__ import annotations

import contextlib
import copy
import numbers
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from skvariants._fit import fit_together, group_key
from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor

Array = np.ndarray
# metadata of `fit` that a matrix of candidates can share
_SHARED_METADATA = {"sample_weight", "X_val", "y_val", "sample_weight_val"}
# estimators whose default score is known to be accuracy or R2 of their linear predictions
_OURS = (SGDVariantClassifier, SGDVariantRegressor)
# fitted candidates that wait for their score together hold about this many numbers
_WAITING = 1 << 24

# ---------------------------------------------------------------------- rows


def per_row(value: Any, n: int) -> bool:
    """Whether a value holds one entry per row and can be split with the rows."""
    if isinstance(value, (str, bytes, dict, set)):
        return False
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape) > 0 and shape[0] == n
    return hasattr(value, "__len__") and len(value) == n


def _take(values: Any, rows: Array) -> Any:
    """Some rows of an array, sparse matrix, data frame or list."""
    if values is None:
        return None
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "shape"):
        return values[rows]
    return [values[i] for i in rows]


def _take_metadata(metadata: dict[str, Any], n: int, rows: Array) -> dict[str, Any]:
    return {name: _take(value, rows) if per_row(value, n) else value for name, value in metadata.items()}


def n_rows(X: Any) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


# ---------------------------------------------------------------------- candidates and pipelines


class _Recorder(BaseEstimator):
    """Stands in for the final step of a pipeline and keeps what reaches it."""

    def __init__(self, final: Any = None) -> None:
        self.final = final

    def fit(self, X: Any, y: Any = None, **params: Any) -> _Recorder:
        self.received_ = (X, y, params)
        return self

    def predict(self, X: Any) -> Array:
        self.received_ = (X, None, {})
        return np.zeros(n_rows(X))

    def get_metadata_routing(self) -> Any:
        return get_routing_for_object(self.final)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.final)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _final_step(estimator: Any) -> tuple[str, Any]:
    """Path and estimator of the last step of (nested) pipelines; an empty path for anything else."""
    path = []
    while isinstance(estimator, Pipeline) and estimator.steps and hasattr(estimator.steps[-1][1], "fit"):
        name, estimator = estimator.steps[-1]
        path.append(name)
    return "__".join(path), estimator


def _with_final_step(estimator: Any, final: Any) -> Any:
    """The same (nested) pipeline with another last step; the steps before are shared, not copied."""
    if not (isinstance(estimator, Pipeline) and estimator.steps and hasattr(estimator.steps[-1][1], "fit")):
        return final
    outer = copy.copy(estimator)
    name, inner = estimator.steps[-1]
    outer.steps = [*estimator.steps[:-1], (name, _with_final_step(inner, final))]
    return outer


@dataclass
class Candidate:
    """One setting: its place in the list, its parameters, its final estimator, and whom it can share a matrix with."""

    number: int
    params: dict[str, Any]
    final: Any
    key: Any


@dataclass
class Recipe:
    """Candidates that see the rows through the same steps."""

    whole: Any
    path: str
    candidates: list[Candidate] = field(default_factory=list)

    def groups(self) -> Iterator[list[Candidate]]:
        """Candidates of one matrix each; a candidate that can share with nobody is a group of its own."""
        groups: dict[Any, list[Candidate]] = {}
        for candidate in self.candidates:
            key = ("alone", candidate.number) if candidate.key is None else ("shared", candidate.key)
            groups.setdefault(key, []).append(candidate)
        yield from groups.values()


def _token(value: Any) -> Any:
    """Something hashable that is equal only for the same value."""
    if value is None or isinstance(value, (str, numbers.Number, np.generic)):
        return (type(value), value)
    return id(value)  # the grid keeps it alive


def plan(base: Any, settings: Sequence[dict[str, Any]]) -> list[Recipe]:
    """Set the parameters of every candidate and sort candidates by what they can share."""
    recipes: dict[Any, Recipe] = {}
    for number, params in enumerate(settings):
        # parameters are cloned too: they may be estimators
        whole = clone(base).set_params(**clone(params, safe=False))
        path, final = _final_step(whole)
        before: tuple[Any, ...] = ()
        if path:
            before = tuple(
                (name, _token(value))
                for name, value in sorted(params.items())
                if name != path and not name.startswith(path + "__")
            )
        key = (path, bool(get_tags(whole).input_tags.pairwise), before)
        recipe = recipes.setdefault(key, Recipe(whole, path))
        try:
            shared = group_key(final)
        except ValueError:  # its own fit will say what is wrong with it
            shared = number
        recipe.candidates.append(Candidate(number, params, final, shared))
    return list(recipes.values())


# ---------------------------------------------------------------------- one fold


@dataclass
class Job:
    """What is the same for all candidates and folds."""

    X: Any
    y: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    scorer: Any
    names: list[str] | None
    plain_scorer: bool
    default_score: bool
    error_score: Any
    return_train_score: bool


@dataclass
class View:
    """One fold seen through one setting of the steps before the final estimator."""

    fold: int
    train: Array
    test: Array
    pipeline: Any = None
    X: Any = None
    y: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    X_test: Any = None
    X_train: Any = None
    seconds: float = 0.0  # of each candidate
    failure: Exception | None = None


@dataclass
class Outcome:
    """What one candidate gave on one fold."""

    number: int
    fold: int
    test: Any = None
    train: Any = None
    fit_time: float = 0.0
    score_time: float = 0.0
    failure: str | None = None
    diverged: bool = False
    unfinished: bool = False
    epochs: int = 0


def _split(job: Job, recipe: Recipe, rows: Array, columns: Array) -> Any:
    """Rows of X; also columns where X holds pairwise distances or kernels."""
    if not get_tags(recipe.whole).input_tags.pairwise:
        return _take(job.X, rows)
    if not hasattr(job.X, "shape"):
        raise ValueError("Precomputed kernels or affinity matrices have to be passed as arrays or sparse matrices.")
    if job.X.shape[0] != job.X.shape[1]:
        raise ValueError("X should be a square kernel matrix")
    return job.X[np.ix_(rows, columns)]


def _look(job: Job, recipe: Recipe, fold: int, train: Array, test: Array) -> View:
    """Fit the steps before the final estimator on the training rows, and send both parts through."""
    view = View(fold, train, test)
    n = n_rows(job.X)
    clock = time.perf_counter()
    X, y = _split(job, recipe, train, train), _take(job.y, train)
    params = _take_metadata(job.fit_params, n, train)
    X_test = _split(job, recipe, test, train)
    if not recipe.path:
        view.X, view.y, view.params, view.X_test, view.X_train = X, y, params, X_test, X
        view.seconds = (time.perf_counter() - clock) / len(recipe.candidates)
        return view
    recorder = _Recorder(recipe.candidates[0].final)
    view.pipeline = _with_final_step(clone(recipe.whole), recorder)
    try:
        if y is None:
            view.pipeline.fit(X, **params)
        else:
            view.pipeline.fit(X, y, **params)
        # a pipeline that caches its steps replaces them, so the stand-in is looked up again
        recorder = _final_step(view.pipeline)[1]
        view.X, view.y, view.params = recorder.received_
        view.seconds = (time.perf_counter() - clock) / len(recipe.candidates)
        if job.plain_scorer and type(view.pipeline) is Pipeline:
            view.pipeline.predict(X_test)
            view.X_test = recorder.received_[0]
            if job.return_train_score:
                view.pipeline.predict(X)
                view.X_train = recorder.received_[0]
            view.pipeline = None
        else:
            view.X_test, view.X_train = X_test, X
        recorder.received_ = None
    except Exception as error:
        if job.error_score == "raise":
            raise
        view.failure = error
    return view


def _fit_group(job: Job, view: View, group: list[Candidate], finals: list[Any]) -> list[tuple[Any, float]]:
    """Fit the final estimators of a group; for each the exception or None, and the seconds it took."""
    if view.failure is not None:
        return [(view.failure, view.seconds)] * len(group)
    ours = group[0].key is not None
    clock = time.perf_counter()
    if ours and set(view.params) <= _SHARED_METADATA:
        try:
            failures = fit_together(finals, view.X, view.y, **view.params)
        except Exception as error:
            failures = [error] * len(finals)
        if any(getattr(final, "status_", None) == "interrupted" for final in finals):
            raise KeyboardInterrupt
        seconds = (time.perf_counter() - clock) / len(finals) + view.seconds
        return [(failure, seconds) for failure in failures]
    results: list[tuple[Any, float]] = []
    for final in finals:
        clock = time.perf_counter()
        failure = None
        try:
            with warnings.catch_warnings():
                if ours:  # said once, at the end of the search
                    warnings.simplefilter("ignore", ConvergenceWarning)
                if view.y is None:
                    final.fit(view.X, **view.params)
                else:
                    final.fit(view.X, view.y, **view.params)
        except Exception as error:
            failure = error
        if ours and failure is None and final.status_ == "interrupted":
            raise KeyboardInterrupt
        results.append((failure, time.perf_counter() - clock + view.seconds))
    return results


def _number(score: Any, what: Any) -> float:
    if hasattr(score, "item"):
        try:
            score = score.item()
        except ValueError:
            pass
    if not isinstance(score, numbers.Number):
        raise ValueError(f"scoring must return a number, got {score} ({type(score)}) instead. (scorer={what})")
    return score  # type: ignore[return-value]


def _score(job: Job, estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
    """Score or dict of scores; `error_score` and a warning where scoring fails."""

    def warn(details: str) -> None:
        warnings.warn(
            "Scoring failed. The score on this train-test partition for these parameters will be set to "
            f"{job.error_score}. Details: \n{details}",
            UserWarning,
            stacklevel=2,
        )

    try:
        scores = job.scorer(estimator, X, **params) if y is None else job.scorer(estimator, X, y, **params)
    except Exception:
        if job.error_score == "raise" or job.names is not None:
            raise
        warn(traceback.format_exc())
        return job.error_score
    if not isinstance(scores, dict):
        return _number(scores, job.scorer)
    for name, score in scores.items():
        if job.names is not None and isinstance(score, str):
            warn(score)
            scores[name] = job.error_score
        scores[name] = _number(scores[name], name)
    return scores


def _scores_at_once(job: Job, finals: list[Any], X: Any, y: Any, params: dict[str, Any]) -> list[float] | None:
    """Default scores of fitted estimators of one group, from one product; None where each has to be asked.

    A metric's own checks take longer than the product for all candidates.
    """
    lead = finals[0]
    if not job.default_score or type(lead) not in _OURS or not set(params) <= {"sample_weight"}:
        return None
    try:
        X, y = lead._validate(X, y, reset=False)
        weight = lead._weights(params.get("sample_weight"), X)
        if y.ndim > 1 and (len(y) < 2 or (np.ptp(y, axis=0) == 0).any()):
            return None  # R2 of a constant target is a convention
        scores: list[float] = []
        size = max(1, _WAITING // (4 * len(y) * len(np.atleast_2d(lead.coef_))))
        for start in range(0, len(finals), size):
            block = finals[start : start + size]
            coef = np.hstack([np.atleast_2d(final.coef_).T for final in block])
            models = np.vstack([coef, np.concatenate([final.intercept_ for final in block])])
            scores += lead._scores(models, X, y, weight).tolist()
        return scores
    except (TypeError, ValueError, ZeroDivisionError):  # the ordinary way says what is wrong
        return None


def _assess(
    job: Job, view: View, group: list[Candidate], finals: list[Any], fits: list[tuple[Any, float]]
) -> list[Outcome]:
    """Score the fitted final estimators of a group."""
    failed = job.error_score if job.names is None else dict.fromkeys(job.names, job.error_score)
    outcomes, sound = [], []
    for candidate, final, (failure, seconds) in zip(group, finals, fits, strict=True):
        outcome = Outcome(candidate.number, view.fold, fit_time=seconds)
        outcomes.append(outcome)
        if failure is None and candidate.key is not None:
            outcome.epochs = final.n_iter_
            outcome.unfinished = final.status_ == "max_iter"
            outcome.diverged = final.status_ == "diverged"
        if failure is None and not outcome.diverged:
            sound.append((outcome, final))
            continue
        if job.error_score == "raise":
            raise _divergence(candidate, view.fold) if failure is None else failure
        outcome.test, outcome.train = copy.copy(failed), copy.copy(failed)
        if failure is not None:
            outcome.failure = "".join(traceback.format_exception(failure))
    n = n_rows(job.X)
    parts = [("test", view.X_test, view.test)] + [("train", view.X_train, view.train)] * job.return_train_score
    for kind, X, rows in parts:
        if not sound:
            break
        y, params = _take(job.y, rows), _take_metadata(job.score_params, n, rows)
        clock = time.perf_counter()
        scores = None
        if view.pipeline is None and group[0].key is not None:
            scores = _scores_at_once(job, [final for _, final in sound], X, y, params)
        share = (time.perf_counter() - clock) / len(sound)
        for number, (outcome, final) in enumerate(sound):
            clock = time.perf_counter()
            if scores is not None:
                score = scores[number]
            else:
                whole = final if view.pipeline is None else _with_final_step(view.pipeline, final)
                score = _score(job, whole, X, y, params)
            setattr(outcome, kind, score)
            if kind == "test":
                outcome.score_time = time.perf_counter() - clock + share
    return outcomes


def _divergence(candidate: Candidate, fold: int) -> Exception:
    return ValueError(
        f"The candidate {candidate.params} diverged on fold {fold} and error_score='raise'. Use smaller steps "
        "(eta0='auto' finds them), or pass a number as error_score to go on without such candidates."
    )


@dataclass
class Rung:
    """Where candidates that go on stand: their estimators by number, and how many epochs come now."""

    epochs: int
    finals: dict[int, Any] = field(default_factory=dict)
    view: View | None = None


def _chunks(group: list[Candidate], X: Any) -> Iterator[list[Candidate]]:
    """A group in parts of which the fitted estimators are held at the same time."""
    shape = np.shape(X) if not hasattr(X, "shape") else X.shape
    size = int(np.clip(_WAITING // (8 * max(1, shape[1] if len(shape) > 1 else 1)), 16, 1024))
    for start in range(0, len(group), size):
        yield group[start : start + size]


def evaluate(
    job: Job, recipe: Recipe, fold: int, train: Array, test: Array, rung: Rung | None = None
) -> Iterator[list[Outcome]]:
    """Train and score the candidates of one recipe on one fold, some at a time."""
    view = rung.view if rung is not None else None
    if view is None:
        view = _look(job, recipe, fold, train, test)
    if rung is not None and recipe.path:
        rung.view = replace(view, seconds=0.0)  # paid once
    for group in recipe.groups():
        for chunk in _chunks(group, view.X):
            if rung is None:
                finals = [clone(candidate.final) for candidate in chunk]
                yield _assess(job, view, chunk, finals, _fit_group(job, view, chunk, finals))
                continue
            finals, fits, moved = _climb(job, view, chunk, rung)
            outcomes = _assess(job, view, chunk, finals, fits)
            for outcome in outcomes:
                outcome.epochs *= outcome.number in moved
            yield outcomes


def _climb(
    job: Job, view: View, chunk: list[Candidate], rung: Rung
) -> tuple[list[Any], list[tuple[Any, float]], set[int]]:
    """Train candidates for some epochs from where they stand; those that have stopped by themselves stay."""
    going = []
    for candidate in chunk:
        final = rung.finals.setdefault(candidate.number, clone(candidate.final))
        if rung.epochs > 0 and getattr(final, "status_", "max_iter") == "max_iter":
            going.append(candidate)
            final.set_params(max_iter=rung.epochs, warm_start=True)
    fits: dict[int, tuple[Any, float]] = {candidate.number: (None, 0.0) for candidate in chunk}
    if going:
        moving = [rung.finals[candidate.number] for candidate in going]
        for candidate, fit in zip(going, _fit_group(job, view, going, moving), strict=True):
            fits[candidate.number] = fit
    moved = {candidate.number for candidate in going}
    return [rung.finals[c.number] for c in chunk], [fits[c.number] for c in chunk], moved


def evaluate_all(*task: Any) -> tuple[list[Outcome], Rung | None]:
    """What a worker returns: all outcomes of a task, and the state from which the next rung goes on."""
    return [outcome for outcomes in evaluate(*task) for outcome in outcomes], task[-1]


# ---------------------------------------------------------------------- results


def _param_columns(settings: Sequence[dict[str, Any]]) -> dict[str, np.ma.MaskedArray]:
    """A masked array for each parameter; masked where a candidate does not have it."""
    columns: dict[str, dict[int, Any]] = {}
    for number, params in enumerate(settings):
        for name, value in params.items():
            columns.setdefault(f"param_{name}", {})[number] = value
    result = {}
    for name, values in columns.items():
        try:
            array = np.array(list(values.values()))
            kind: Any = array.dtype if array.dtype.kind != "U" and array.ndim == 1 else object
        except ValueError:  # lists of different lengths
            kind = object
        column = np.ma.MaskedArray(np.empty(len(settings), dtype=kind), mask=True)
        for number, value in values.items():
            column[number] = value
        result[name] = column
    return result


def _ranks(means: Array) -> Array:
    """Ranks from 1; candidates without a finite mean share the last place."""
    if np.isnan(means).all():
        return np.ones(len(means), dtype=np.int32)
    means = np.where(np.isnan(means), np.nanmin(means) - 1, means)
    return rankdata(-means, method="min").astype(np.int32)


def results(
    settings: list[dict[str, Any]], outcomes: list[list[Outcome]], train: bool, more: dict[str, Any]
) -> dict[str, Any]:
    """``cv_results_`` in scikit-learn's layout, from one list of outcomes (one per fold) per candidate."""
    results: dict[str, Any] = {name: np.asarray(values) for name, values in more.items()}

    def store(name: str, values: list[list[float]], scores: bool = True, rank: bool = False) -> None:
        array = np.array(values, dtype=np.float64)
        if scores:
            for fold in range(array.shape[1]):
                results[f"split{fold}_{name}"] = array[:, fold]
        means = array.mean(axis=1)
        results[f"mean_{name}"] = means
        if scores and not np.isfinite(means).all():
            warnings.warn(
                f"One or more of the {name.split('_')[0]} scores are non-finite: {means}", UserWarning, stacklevel=4
            )
        with np.errstate(invalid="ignore"):
            results[f"std_{name}"] = array.std(axis=1)
        if rank:
            results[f"rank_{name}"] = _ranks(means)

    store("fit_time", [[o.fit_time for o in row] for row in outcomes], scores=False)
    store("score_time", [[o.score_time for o in row] for row in outcomes], scores=False)
    results |= _param_columns(settings)
    results["params"] = settings
    first = outcomes[0][0].test
    for name in first if isinstance(first, dict) else [None]:
        label = "score" if name is None else name
        store(f"test_{label}", [[o.test if name is None else o.test[name] for o in row] for row in outcomes], rank=True)
        if train:
            store(f"train_{label}", [[o.train if name is None else o.train[name] for o in row] for row in outcomes])
    return results


def report_failures(outcomes: list[Outcome], settings: list[dict[str, Any]], error_score: Any) -> None:
    """One warning for fits that failed, one for candidates that diverged; an error if nothing is left."""
    failures = Counter(o.failure for o in outcomes if o.failure is not None)
    failed, total = sum(failures.values()), len(outcomes)
    line = "-" * 80 + "\n"
    summary = "\n".join(f"{line}{n} fits failed with the following error:\n{text}" for text, n in failures.items())
    diverged = sorted({o.number for o in outcomes if o.diverged})
    names = ", ".join(str(settings[number]) for number in diverged[:5]) + (", ..." if len(diverged) > 5 else "")
    if failed + sum(o.diverged for o in outcomes) == total:
        if diverged:
            summary += f"\n{total - failed} fits diverged: use smaller steps; eta0='auto' finds them."
        raise ValueError(
            f"\nAll the {total} fits failed.\nIt is very likely that your model is misconfigured.\n"
            "You can try to debug the error by setting error_score='raise'.\n\n"
            f"Below are more details about the failures:\n{summary}"
        )
    if failed:
        warnings.warn(
            f"\n{failed} fits failed out of a total of {total}.\nThe score on these train-test partitions for these "
            f"parameters will be set to {error_score}.\nIf these failures are not expected, you can try to debug "
            f"them by setting error_score='raise'.\n\nBelow are more details about the failures:\n{summary}",
            FitFailedWarning,
            stacklevel=4,
        )
    if diverged:
        warnings.warn(
            f"{len(diverged)} of {len(settings)} candidates diverged on at least one fold, where their score is set "
            f"to {error_score}: {names}. Their steps are too large; eta0='auto' finds a step for each candidate.",
            ConvergenceWarning,
            stacklevel=4,
        )


def report_unfinished(outcomes: list[Outcome], recipes: list[Recipe], settings: list[dict[str, Any]]) -> None:
    """One warning for candidates that were still improving when their epochs were used up."""
    patient = {c.number for r in recipes for c in r.candidates if c.key is not None and c.final.tol is not None}
    unfinished = sorted({o.number for o in outcomes if o.unfinished} & patient)
    if unfinished:
        names = ", ".join(str(settings[number]) for number in unfinished[:5]) + (", ..." if len(unfinished) > 5 else "")
        warnings.warn(
            f"{len(unfinished)} of {len(settings)} candidates reached max_iter before they converged on at least one "
            f"fold: {names}. Consider increasing max_iter to improve their fits.",
            ConvergenceWarning,
            stacklevel=4,
        )


def table(outcomes: list[Outcome], numbers_: Iterable[int], error_score: Any) -> list[list[Outcome]]:
    """Outcomes by candidate and fold; a failed one gets its error score for every metric."""
    good = next((o.test for o in outcomes if o.failure is None and not o.diverged), None)
    rows: dict[int, list[Outcome]] = {number: [] for number in numbers_}
    for outcome in sorted(outcomes, key=lambda o: o.fold):
        if isinstance(good, dict) and not isinstance(outcome.test, dict):
            failed = dict.fromkeys(good, error_score)
            outcome.test, outcome.train = failed, dict(failed)
        rows[outcome.number].append(outcome)
    return list(rows.values())


# ---------------------------------------------------------------------- progress


class Silence:
    """What is told when nobody listens: a scikit-learn without callbacks."""

    def subcontext(self, **kwargs: Any) -> Silence:
        return self

    def propagate_callback_context(self, estimator: Any) -> Any:
        return contextlib.nullcontext()

    def call_on_fit_task_begin(self, **kwargs: Any) -> Silence:
        return self

    def call_on_fit_task_end(self, **kwargs: Any) -> bool:
        return False


class Progress:
    """Tells the user and scikit-learn's callbacks what is done."""

    def __init__(self, search: Any, context: Any, settings: list[dict[str, Any]], n_splits: int) -> None:
        self.search, self.context, self.settings, self.n_splits = search, context, settings, n_splits

    def done(self, outcomes: list[Outcome]) -> None:
        """One task ends for each candidate and fold."""
        verbose = int(self.search.verbose)
        for outcome in outcomes:
            task = self.context.subcontext(
                task_name="candidate-split-evaluation", task_id=outcome.number * self.n_splits + outcome.fold
            )
            task.call_on_fit_task_begin(estimator=self.search)
            task.call_on_fit_task_end(estimator=self.search)
            if verbose > 1:
                print(self._line(outcome, verbose))

    def _line(self, outcome: Outcome, verbose: int) -> str:
        params = self.settings[outcome.number]
        start = f"[CV {outcome.fold + 1}/{self.n_splits}" if verbose > 2 else "[CV"
        if verbose > 9:
            start += f"; {outcome.number + 1}/{len(self.settings)}"
        text = ", ".join(f"{name}={params[name]}" for name in sorted(params))
        if verbose > 2:
            scores = outcome.test if isinstance(outcome.test, dict) else {"score": outcome.test}
            text += "; " + " ".join(f"{name}={value:.3f}" for name, value in sorted(scores.items()))
        text += f" total time={outcome.fit_time + outcome.score_time:6.3f}s"
        return f"{start}] END " + "." * max(0, 80 - len(start) - 6 - len(text)) + text

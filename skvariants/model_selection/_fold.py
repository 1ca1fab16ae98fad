"""One fold: its rows, and how they reach the final estimator of a pipeline."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from skvariants.model_selection._plan import PipelineGroup, final_step, with_final_step
from skvariants.model_selection._progress import CandidateTasks

Array = np.ndarray


def per_row(value: Any, n: int) -> bool:
    """Whether a value holds one entry per row and can be split with the rows."""
    if isinstance(value, (str, bytes, dict, set)):
        return False
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape) > 0 and shape[0] == n
    return hasattr(value, "__len__") and len(value) == n


def n_rows(X: Any) -> int:
    """Number of rows of an array, sparse matrix, data frame or list."""
    return X.shape[0] if hasattr(X, "shape") else len(X)


def take(values: Any, rows: Array) -> Any:
    """Some rows of an array, sparse matrix, data frame or list."""
    if values is None:
        return None
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "to_pylist"):  # of pyarrow, whose tables take brackets for names of columns
        return values.take(rows)
    if hasattr(values, "__array_namespace__") and not isinstance(values, np.ndarray):
        xp = values.__array_namespace__()  # whose arrays may refuse indices of NumPy
        return xp.take(values, xp.asarray(rows, device=values.device), axis=0)
    if hasattr(values, "shape"):
        return values[rows]
    return [values[i] for i in rows]


def take_metadata(metadata: dict[str, Any], n: int, rows: Array) -> dict[str, Any]:
    """Metadata of some rows; what does not hold one entry per row stays whole."""
    return {name: take(value, rows) if per_row(value, n) else value for name, value in metadata.items()}


@dataclass
class SearchContext:
    """What is the same for all candidates and folds.

    Attributes
    ----------
    X, y
        All rows.
    fit_params, score_params : dict
        Metadata.
    scorer : callable
        What is called.
    names : list of str or None
        Of several metrics.
    plain_scorer : bool
        Whether scores come from predictions alone, so that the final estimator on transformed rows will do.
    named : dict or None
        Names of the metrics by those of the scores (None for a single one), None for the estimator's own score; None
        where one of them is no name.
    error_score : "raise" or number
        Score of a fit that fails.
    return_train_score : bool
        Whether training rows are scored too.
    metrics : dict or None
        Names of the metrics by those of the scores (None for a single one), where sums over rows say all of them.
    """

    X: Any
    y: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    scorer: Any
    names: list[str] | None
    plain_scorer: bool
    named: dict[str | None, str | None] | None
    error_score: Any
    return_train_score: bool
    metrics: dict[str | None, str] | None = None

    def failed_score(self) -> Any:
        """The score, or dict of scores, of a fit that failed."""
        return self.error_score if self.names is None else dict.fromkeys(self.names, self.error_score)


def told_rows(context: SearchContext, train: Array) -> dict[str, Any]:
    """What callbacks are told with a fit: its rows and their weights, taken if they ask."""
    given = {name: value for name, value in context.fit_params.items() if name == "sample_weight" and value is not None}
    return {
        "X": lambda: take(context.X, train),
        "y": lambda: take(context.y, train),
        "metadata": take_metadata(given, n_rows(context.X), train) or None,
    }


@dataclass
class Fold:
    """One fold seen through one setting of the steps before the final estimator.

    Attributes
    ----------
    number : int
        Of the fold.
    train, test : ndarray of int
        Rows.
    pipeline : estimator or None
        The fitted pipeline, where it is needed to score.
    X, y, params
        What reaches `fit` of the final estimator.
    X_test, X_train
        Rows to score: as given where there is a `pipeline`, else as they reach the final estimator.
    seconds : float
        Each candidate's share of the time that the steps took.
    failure : Exception or None
        What the steps raised.
    max_time : float or None
        Seconds that each fit may take.
    tasks : CandidateTasks or None
        Of the fits, for callbacks.
    """

    number: int
    train: Array
    test: Array
    pipeline: Any = None
    X: Any = None
    y: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    X_test: Any = None
    X_train: Any = None
    seconds: float = 0.0
    failure: Exception | None = None
    max_time: float | None = None
    tasks: CandidateTasks | None = None

    def scored_rows(self, train: bool) -> list[tuple[str, Any, Array]]:
        """What is scored: its name, the rows as they go in, and their numbers."""
        return [("test", self.X_test, self.test)] + [("train", self.X_train, self.train)] * train


class Recorder(BaseEstimator):
    """Stands in for the final step of a pipeline and keeps what reaches it.

    Parameters
    ----------
    final : estimator
        In whose place it stands.
    """

    def __init__(self, final: Any = None) -> None:
        self.final = final

    def fit(self, X: Any, y: Any = None, **params: Any) -> Recorder:
        """Keep what reaches `fit`."""
        self.received_ = (X, y, params)
        return self

    def predict(self, X: Any) -> Array:
        """Keep what reaches `predict`."""
        self.received_ = (X, None, {})
        return np.zeros(n_rows(X))

    def get_metadata_routing(self) -> Any:
        """What the final step asks for."""
        return get_routing_for_object(self.final)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.final)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def transform_fold(
    context: SearchContext, group: PipelineGroup, number: int, train: Array, test: Array
) -> Fold:  # fmt: skip
    """Fit the steps before the final estimator on the training rows, and send the rows of both parts through.

    Parameters
    ----------
    context : SearchContext
        What is searched with.
    group : PipelineGroup
        Through whose steps.
    number : int
        Of the fold.
    train, test : ndarray of int
        Its rows.

    Returns
    -------
    Fold
        With the `failure`, where a step failed and there is a number as `error_score`.
    """
    fold = Fold(number, train, test)
    clock = time.perf_counter()
    X, y = _split(context, group, train, train), take(context.y, train)
    params = take_metadata(context.fit_params, n_rows(context.X), train)
    X_test = _split(context, group, test, train)
    if not group.path:
        fold.X, fold.y, fold.params, fold.X_test, fold.X_train = X, y, params, X_test, X
        fold.seconds = (time.perf_counter() - clock) / len(group.candidates)
        return fold
    fold.pipeline = with_final_step(clone(group.whole), Recorder(group.candidates[0].final))
    try:
        if y is None:
            fold.pipeline.fit(X, **params)
        else:
            fold.pipeline.fit(X, y, **params)
        # a pipeline that caches its steps replaces them, so the stand-in is looked up again
        recorder = final_step(fold.pipeline)[1]
        fold.X, fold.y, fold.params = recorder.received_
        fold.seconds = (time.perf_counter() - clock) / len(group.candidates)
        if context.plain_scorer and type(fold.pipeline) is Pipeline:
            fold.pipeline.predict(X_test)
            fold.X_test = recorder.received_[0]
            if context.return_train_score:
                fold.pipeline.predict(X)
                fold.X_train = recorder.received_[0]
            fold.pipeline = None
        else:
            fold.X_test, fold.X_train = X_test, X
        recorder.received_ = None
    except Exception as error:
        if context.error_score == "raise":
            raise
        fold.failure = error
    return fold


def _split(context: SearchContext, group: PipelineGroup, rows: Array, columns: Array) -> Any:
    """Rows of X; also columns where X holds pairwise distances or kernels."""
    X = context.X
    if not get_tags(group.whole).input_tags.pairwise:
        return take(X, rows)
    if not hasattr(X, "shape"):
        raise ValueError("Precomputed kernels or affinity matrices have to be passed as arrays or sparse matrices.")
    if X.shape[0] != X.shape[1]:
        raise ValueError("X should be a square kernel matrix")
    return X[np.ix_(rows, columns)]


__all__ = [
    "Fold", "Recorder", "SearchContext", "n_rows", "per_row", "take", "take_metadata", "told_rows", "transform_fold",
]  # fmt: skip

"""Scores: of all models of a matrix at once, or of an estimator by its scorer."""

from __future__ import annotations

import numbers
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer

from skvariants._component import refused
from skvariants._data.tasks import distinct_labels
from skvariants._data.validate import row_weights
from skvariants._fit import Fitted
from skvariants.model_selection._block_scores import LABELS, Metric, Models
from skvariants.model_selection._fold import SearchContext
from skvariants.model_selection._progress import warn

# numbers in the predictions of models that are scored together
_AT_ONCE = 1 << 22


def scores_at_once(
    context: SearchContext, cls: type, fitted: Sequence[Fitted | None], X: Any, y: Any, params: dict[str, Any]
) -> list[Any] | None:
    """Scores of models of one matrix, from one product; None where each estimator has to be asked.

    A metric's own checks take longer than the product for all candidates.

    Parameters
    ----------
    context : SearchContext
        How they are scored.
    cls : type
        Of the estimators.
    fitted : sequence of Fitted or None
        Results of their fits; None for those that were not trained as columns.
    X, y
        Rows as they reach the final estimators.
    params : dict
        Metadata of the scorer.

    Returns
    -------
    list of float, or of dict of them, or None
    """
    results = [result for result in fitted if result is not None]
    if context.named is None or len(results) < len(fitted) or not set(params) <= {"sample_weight"}:
        return None
    lead, task = results[0], results[0].task
    metrics = _metrics(context.named, task)
    if metrics is None or scores_itself(cls):
        return None
    by_loss: dict[Any, list[int]] = {}
    for position, result in enumerate(results):
        by_loss.setdefault(result.spec.loss.key(), []).append(position)
    if any(result.task.n_columns != task.n_columns for result in results):
        return None
    scores = {name: np.empty(len(results)) for name in metrics}
    try:
        X, y = lead.header.checked(X, y, False, **lead.spec.task.checks_of(y))
        y, weight = task.validated(y), row_weights(params.get("sample_weight"), X.shape[0])
        if not task.scorable_at_once(y) or (any(metrics.values()) and len(distinct_labels(y)) < task.n_classes):
            return None
        w = np.ones(len(y)) if weight is None else weight
        size = max(1, _AT_ONCE // (len(y) * task.n_columns))
        for positions in by_loss.values():
            loss = task.bind_loss(results[positions[0]].spec.loss)
            for start in range(0, len(positions), size):
                block = positions[start : start + size]
                theta = np.hstack([results[position].whole() for position in block])
                models = Models(theta, task, loss)
                z = (X @ theta[:-1] + theta[-1]).reshape(len(y), -1, task.n_columns)
                for name, metric in metrics.items():
                    if metric is None:
                        scores[name][block] = task.scores(z, y, weight, loss)
                    else:
                        scores[name][block] = metric.scores(metric.parts(models, z, y, w), models, None)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):  # the ordinary way says what is wrong
        return None
    found = {name: values.tolist() for name, values in scores.items()}
    if context.names is None:
        return found[None]
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def _metrics(named: dict[str | None, str | None], task: Any) -> dict[str | None, Metric | None] | None:
    """Metrics by the names of their scores, None for what the task scores; None where one has to be asked by itself."""
    own = (None, "accuracy") if task.classification else (None,)
    known = LABELS if task.classification and not task.several else {}
    if any(metric not in own and metric not in known for metric in named.values()):
        return None
    return {name: None if metric in own else known[metric] for name, metric in named.items()}  # type: ignore[index]


def check_metrics(named: dict[str | None, str | None] | None, y: Any) -> None:
    """Raise the sentence about a metric of scikit-learn that cannot score these labels: no candidate would have one.

    Parameters
    ----------
    named : dict or None
        Names of the metrics by those of their scores.
    y : array-like
        Labels of a classification.

    Raises
    ------
    ValueError
        Naming the first such metric.
    """
    y = np.asarray(y)
    metrics = [metric for metric in (named or {}).values() if metric is not None]
    if not metrics or y.ndim != 1:
        return
    classes = distinct_labels(y)
    rows = np.zeros((len(classes), 1))
    constant = DummyClassifier().fit(rows, classes)
    remedy = "Give a metric of these labels, such as 'accuracy', 'f1_macro' or 'roc_auc_ovr'"
    if len(classes) == 2:
        named_class = f"sklearn.metrics.make_scorer(f1_score, pos_label={classes.tolist()[-1]!r})"
        remedy += f"; 'f1' and its like count one class, which {named_class} names"
    _check_each(metrics, constant, rows, classes, f"{remedy}.")


def check_metrics_of_columns(named: dict[str | None, str | None] | None, y: Any, levels: int) -> None:
    """Raise the sentence about a metric of scikit-learn that cannot score so many columns of predictions.

    Parameters
    ----------
    named : dict or None
        Names of the metrics by those of their scores.
    y : array-like
        Targets of a regression.
    levels : int
        Columns that each candidate predicts of each target, at least.

    Raises
    ------
    ValueError
        Naming the first such metric.
    """
    shape = np.shape(y)[1:]
    metrics = [metric for metric in (named or {}).values() if metric is not None]
    if not metrics or (levels == 1 and not shape):
        return
    rows, n_targets = np.zeros((2, 1)), int(np.prod(shape))
    constant = DummyRegressor().fit(rows, np.ones((2, levels * n_targets)))
    remedy = "Give a metric that takes several targets, such as 'r2'."
    if levels > 1:
        remedy = (
            f"The model predicts {levels} levels of a quantile: leave scoring=None, which is the mean of the scores of "
            "all levels, or give a function of the model, X and y."
        )
    _check_each(metrics, constant, rows, np.ones((2, *shape)), remedy)


def _check_each(metrics: Sequence[str], constant: Any, X: Any, y: Any, remedy: str) -> None:
    """Refuse the first metric that has no score of a constant model."""
    for metric in metrics:
        with warnings.catch_warnings(), refused("scoring", metric, remedy):
            warnings.simplefilter("ignore")
            get_scorer(metric)(constant, X, y)


def scores_itself(cls: type) -> bool:
    """Whether a subclass of the class whose `fit` it is has scores, predictions or a result of its own.

    Parameters
    ----------
    cls : type
        Of an estimator that is trained as columns.

    Returns
    -------
    bool
    """
    lineage = cls.__mro__
    fits = max(position for position, parent in enumerate(lineage) if vars(parent).get("fit") is cls.fit)
    changed = {name for parent in lineage[:fits] for name in vars(parent)}
    return not changed.isdisjoint({"score", "predict", "predict_proba", "__skvariants_publish__"})


def score(context: SearchContext, estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
    """Score or dict of scores of an estimator; `error_score` and a warning where scoring fails.

    Parameters
    ----------
    context : SearchContext
        Its scorer is called.
    estimator : estimator
        What is scored, fitted.
    X, y
        Rows.
    params : dict
        Metadata of the scorer.

    Returns
    -------
    number or dict of numbers

    Raises
    ------
    ValueError
        If a score is no number.
    """
    scorer, names, error_score = context.scorer, context.names, context.error_score
    try:
        scores = scorer(estimator, X, **params) if y is None else scorer(estimator, X, y, **params)
    except Exception:
        if error_score == "raise" or names is not None:
            raise
        _scoring_failed(error_score, traceback.format_exc())
        return error_score
    if not isinstance(scores, dict):
        return _number(scores, scorer)
    for name, value in scores.items():
        if names is not None and isinstance(value, str):
            _scoring_failed(error_score, value)
            scores[name] = error_score
        scores[name] = _number(scores[name], name)
    return scores


def _scoring_failed(error_score: Any, details: str) -> None:
    warn(
        "Scoring failed. The score on this train-test partition for these parameters will be set to "
        f"{error_score}. Details: \n{details}",
        UserWarning,
    )


def _number(value: Any, what: Any) -> float:
    if hasattr(value, "item"):
        try:
            value = value.item()
        except ValueError:
            pass
    if not isinstance(value, numbers.Number):
        raise ValueError(f"scoring must return a number, got {value} ({type(value)}) instead. (scorer={what})")
    return value  # type: ignore[return-value]


__all__ = ["check_metrics", "check_metrics_of_columns", "score", "scores_at_once", "scores_itself"]

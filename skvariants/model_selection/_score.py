"""Scores: of all models of a matrix at once, or of an estimator by its scorer."""

from __future__ import annotations

import numbers
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from skvariants._data.validate import row_weights
from skvariants._fit import Fitted
from skvariants.model_selection._fold import SearchContext
from skvariants.model_selection._progress import warn

# numbers in the predictions of models that are scored together
_AT_ONCE = 1 << 22


def scores_at_once(
    context: SearchContext, cls: type, fitted: Sequence[Fitted | None], X: Any, y: Any, params: dict[str, Any]
) -> list[float] | None:
    """Default scores of models of one matrix, from one product; None where each estimator has to be asked.

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
    list of float or None
    """
    results = [result for result in fitted if result is not None]
    if not context.default_score or len(results) < len(fitted) or not set(params) <= {"sample_weight"}:
        return None
    if scores_itself(cls):
        return None
    lead, task = results[0], results[0].task
    by_loss: dict[Any, list[int]] = {}
    for position, result in enumerate(results):
        by_loss.setdefault(result.spec.loss.key(), []).append(position)
    if any(result.task.n_columns != task.n_columns for result in results):
        return None
    scores = np.empty(len(results))
    try:
        X, y = lead.header.checked(X, y, False, **lead.spec.task.checks_of(y))
        y, weight = task.validated(y), row_weights(params.get("sample_weight"), X.shape[0])
        if not task.scorable_at_once(y):
            return None
        size = max(1, _AT_ONCE // (len(y) * task.n_columns))
        for positions in by_loss.values():
            loss = task.bind_loss(results[positions[0]].spec.loss)
            for start in range(0, len(positions), size):
                block = positions[start : start + size]
                theta = np.hstack([results[position].whole() for position in block])
                z = (X @ theta[:-1] + theta[-1]).reshape(len(y), -1, task.n_columns)
                scores[block] = task.scores(z, y, weight, loss)
        return scores.tolist()
    except (TypeError, ValueError, ZeroDivisionError):  # the ordinary way says what is wrong
        return None


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
    return not changed.isdisjoint({"score", "predict", "__skvariants_publish__"})


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


__all__ = ["score", "scores_at_once", "scores_itself"]

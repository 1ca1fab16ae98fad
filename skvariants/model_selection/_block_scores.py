"""Scores as sums over blocks of rows that are not in memory: what a metric needs of each row, added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    jaccard_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)

from skvariants._blocks.table import Shard, blocks, parts
from skvariants._data.scaling import Moments
from skvariants._data.tasks import check_domain
from skvariants._data.validate import row_weights

Array = np.ndarray
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Models:
    """Models of one task side by side, and how their predictions are read.

    Attributes
    ----------
    theta : ndarray of shape (n_features + 1, n_models * n_columns)
        In the units of the data.
    task, loss : Task, Loss
        What targets are, and what was minimised.
    """

    theta: Array
    task: Any
    loss: Any

    def predicted(self, z: Array) -> Array:
        """Predictions ``(n_models, n_rows)`` or ``(n_models, n_rows, n_targets)``; numbers of labels."""
        if not self.task.classification:
            return np.moveaxis(self.loss.inverse_link(z), 1, 0)
        return np.asarray(self.task.winners(z).T)

    def probable(self, z: Array) -> Array:
        """Probabilities of the classes ``(n_models, n_rows, n_classes)``."""
        p = [self.task.probabilities(self.loss.probability(z[:, j])) for j in range(z.shape[1])]
        return np.array(p)


@dataclass
class Totals:
    """Sums over rows: of the weights, and of something of each model."""

    weight: float
    values: Any

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.weight + other.weight, self.values + other.values)

    @classmethod
    def of(cls, values: Array, w: Array) -> Totals:
        """Of values ``(n_models, n_rows)`` or ``(n_models, n_rows, n_targets)``."""
        return cls(float(w.sum()), np.tensordot(values, w, axes=(1, 0)))


@dataclass
class Explained(Totals):
    """What is left of targets, and their moments."""

    moments: Moments

    def __add__(self, other: Any) -> Explained:
        moments = self.moments.copy()
        moments.merge(other.moments)
        return Explained(self.weight + other.weight, self.values + other.values, moments)


# ---------------------------------------------------------------------- metrics


class Metric:
    """What a metric needs of rows, and makes of their sum."""

    #: whether a score is told from the best constant model
    against_constant: ClassVar[bool] = False
    #: whether it counts labels that a model knows
    counts_labels: ClassVar[bool] = False

    def parts(self, models: Models, z: Array, y: Array, w: Array) -> Totals:
        """What is added up over rows: of predictions ``(n_rows, n_models, n_columns)``, targets and weights."""
        raise NotImplementedError

    def scores(self, totals: Any, models: Models, constant: Any) -> Array:
        """The score of each model; `constant` is the deviance of the best constant model, where one asks for it."""
        raise NotImplementedError


class Accuracy(Metric):
    """Share of the labels that are predicted."""

    def parts(self, models: Models, z: Array, y: Array, w: Array) -> Totals:
        weight = float(w.sum())
        return Totals(weight, models.task.scores(z, y, w, models.loss) * weight if weight else np.zeros(z.shape[1]))

    def scores(self, totals: Any, models: Models, constant: Any) -> Array:
        return np.asarray(totals.values / totals.weight)


@dataclass(frozen=True)
class OfLabels(Metric):
    """What follows from how often a label is predicted where another is true."""

    function: Callable[..., Any]
    average: str | None = None

    counts_labels: ClassVar[bool] = True

    def parts(self, models: Models, z: Array, y: Array, w: Array) -> Totals:
        k, true = models.task.n_classes, models.task.codes(y)
        counts = [
            np.bincount(true * k + predicted, w, minlength=k * k) for predicted in models.predicted(z)
        ]  # fmt: skip
        return Totals(float(w.sum()), np.array(counts))

    def scores(self, totals: Any, models: Models, constant: Any) -> Array:
        labels, more = models.task.classes, {} if self.average is None else {"average": self.average}
        found = []
        for counts in totals.values:
            there = np.flatnonzero(counts)
            true, predicted = labels[there // len(labels)], labels[there % len(labels)]
            found.append(self.function(true, predicted, sample_weight=counts[there], **more))
        return np.array(found)


@dataclass(frozen=True)
class OfProbabilities(Metric):
    """Mean of a function of the probabilities and of the number of the true label.

    Models of `whole` classes and more have a score on rows of all their classes only: scikit-learn reads the classes
    off the rows, and refuses where they are not those of the probabilities.
    """

    function: Callable[[Array, Array], Array]
    whole: int = 2

    counts_labels: ClassVar[bool] = True

    def parts(self, models: Models, z: Array, y: Array, w: Array) -> Totals:
        codes = models.task.codes(y)
        totals = Totals.of(self.function(models.probable(z), codes), w)
        rows = np.bincount(codes, minlength=models.task.n_classes)
        return Totals(totals.weight, np.concatenate([totals.values, rows]))

    def scores(self, totals: Any, models: Models, constant: Any) -> Array:
        values, rows = np.split(totals.values, [-models.task.n_classes])
        if len(rows) >= self.whole and not rows.all():
            return np.full(len(values), np.nan)
        return np.asarray(-values / totals.weight)


def _log_loss(p: Array, codes: Array) -> Array:
    return -np.log(np.clip(p[:, np.arange(len(codes)), codes], _EPS, 1 - _EPS))


def _brier(p: Array, codes: Array) -> Array:
    squares = ((p - np.eye(p.shape[2])[codes]) ** 2).sum(axis=2)
    return squares / 2 if p.shape[2] == 2 else squares


@dataclass(frozen=True)
class OfErrors(Metric):
    """Mean of a function of targets and predictions, of each target, and then of these."""

    function: Callable[[Array, Array], Array]
    finish: Callable[[Array], Array] = np.asarray

    def parts(self, models: Models, z: Array, y: Array, w: Array) -> Totals:
        return Totals.of(self.function(y, models.predicted(z)), w)

    def scores(self, totals: Any, models: Models, constant: Any) -> Array:
        return np.asarray(-self.finish(totals.values / totals.weight).mean(axis=1))


def _absolute(y: Array, mean: Array) -> Array:
    return np.abs(y - mean)


def _squared(y: Array, mean: Array) -> Array:
    return np.asarray((y - mean) ** 2)


def _relative(y: Array, mean: Array) -> Array:
    return np.abs(y - mean) / np.maximum(np.abs(y), _EPS)


def _poisson(y: Array, mean: Array) -> Array:
    return 2 * (xlogy(y, y / mean) - y + mean)


def _gamma(y: Array, mean: Array) -> Array:
    return 2 * (np.log(mean / y) + y / mean - 1)


@dataclass(frozen=True)
class R2(Metric):
    """Share of the variance of the targets that is explained."""

    def parts(self, models: Models, z: Array, y: Array, w: Array) -> Totals:
        moments = Moments()
        moments.update(y, w)
        totals = Totals.of(self._left(models, z, y), w)
        return Explained(totals.weight, totals.values, moments)

    def _left(self, models: Models, z: Array, y: Array) -> Array:
        return np.asarray((y - models.predicted(z)) ** 2)

    def _all(self, totals: Any, constant: Any) -> Array:
        return np.asarray(totals.moments.squares)

    def scores(self, totals: Any, models: Models, constant: Any) -> Array:
        everything = self._all(totals, constant)
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = totals.values == 0 if totals.weight else np.nan  # of no weight nothing is known
            share = np.where(everything > 0, 1 - totals.values / everything, flat)
        return np.asarray(share.mean(axis=1))


@dataclass(frozen=True)
class D2(R2):
    """Share of the deviance of the targets that is explained."""

    against_constant: ClassVar[bool] = True

    def _left(self, models: Models, z: Array, y: Array) -> Array:
        check_domain(y, models.loss)
        n, count, k = z.shape
        flat = models.loss.value(np.tile(y, count), z.reshape(n, -1).astype(np.float64))
        return np.moveaxis(flat.reshape(n, count, k), 1, 0)

    def _all(self, totals: Any, constant: Any) -> Array:
        return np.asarray(constant)


#: Metrics of labels and of real targets, by scikit-learn's names.
LABELS: dict[str, Metric] = {
    "accuracy": Accuracy(),
    "balanced_accuracy": OfLabels(balanced_accuracy_score),
    "matthews_corrcoef": OfLabels(matthews_corrcoef),
    **{
        f"{name}{suffix}": OfLabels(function, suffix[1:] or "binary")
        for name, function in (
            ("f1", f1_score), ("precision", precision_score), ("recall", recall_score), ("jaccard", jaccard_score),
        )
        for suffix in ("", "_macro", "_micro", "_weighted")
    },
    "neg_log_loss": OfProbabilities(_log_loss),
    "neg_brier_score": OfProbabilities(_brier, whole=3),
}  # fmt: skip
REALS: dict[str, Metric] = {
    "r2": R2(),
    "neg_mean_absolute_error": OfErrors(_absolute),
    "neg_mean_squared_error": OfErrors(_squared),
    "neg_root_mean_squared_error": OfErrors(_squared, np.sqrt),
    "neg_mean_absolute_percentage_error": OfErrors(_relative),
    "neg_mean_poisson_deviance": OfErrors(_poisson),
    "neg_mean_gamma_deviance": OfErrors(_gamma),
}


def metrics_of(named: dict[Any, Any] | None, classification: bool) -> dict[Any, Any]:
    """Metrics that are sums over rows, by the names of their scores; None stands for the estimator's own score.

    Parameters
    ----------
    named : dict or None
        Names of metrics, None for the default one; None where one is no name.
    classification : bool
        Of which kind they are to be.

    Raises
    ------
    TypeError
        If one is not among them.
    """
    known = LABELS if classification else REALS
    for metric in (None,) if named is None else named.values():
        if named is None or not (metric is None or metric in known):
            what = "scoring is no name of a metric" if named is None else f"scoring={metric!r} is no sum over rows"
            raise TypeError(
                f"{what}, and by such rows that are not in memory are scored. Give None, or some of "
                f"{', '.join(map(repr, known))}; or rows that are in memory, as X.compute() where that fits."
            )
    default: Metric | None = known["accuracy"] if classification else None
    return {name: default if metric is None else known[metric] for name, metric in (named or {}).items()}


# ---------------------------------------------------------------------- rows


def measured(shard: Shard, models: Models, metrics: Sequence[Metric], weighed: bool, dtype: Any) -> Any:
    """What metrics need of the rows of a shard, in a list; None of no rows."""
    total: Any = None
    k = models.task.n_columns
    W, b = models.theta[:-1].astype(dtype), models.theta[-1].astype(dtype)
    for X, y, weight in parts(shard):
        z = np.empty((len(y), W.shape[1]), dtype)
        for rows, block in blocks(X, dtype, W.shape[0]):
            np.dot(block, W, out=z[rows])
        z += b
        y, w = _targets(models, y, weight if weighed else None)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            known = not models.task.classification or bool(np.isin(y, models.task.classes).all())
            z3 = z.reshape(len(y), -1, k)
            found = Sums(
                metric.parts(models, z3, y, w) if known or not metric.counts_labels else Totals(np.nan, np.nan)
                for metric in metrics
            )
        total = found if total is None else total + found
    return NOTHING if total is None else total


def deviance_of(shard: Shard, models: Models, z: Array, weighed: bool) -> Any:
    """Deviance of the targets of a shard from constants."""
    total: Any = np.zeros(len(z))
    for _, y, weight in parts(shard):
        y, w = _targets(models, y, weight if weighed else None)
        total = total + w @ models.loss.value(y, np.repeat(z[None], len(y), axis=0))
    return total


def _targets(models: Models, y: Any, weight: Any) -> tuple[Array, Array]:
    y, w = models.task.validated(np.asarray(y)), row_weights(weight, len(y))
    return y, np.ones(len(y)) if w is None else w


class Sums(list[Any]):
    """Sums of several kinds, added one by one; those of no rows are none."""

    def __add__(self, other: Any) -> Any:
        if not (self and other):
            return self if self else other
        return Sums(a + b for a, b in zip(self, other, strict=True))


NOTHING = Sums()

__all__ = ["D2", "LABELS", "R2", "REALS", "Metric", "Models", "deviance_of", "measured", "metrics_of"]

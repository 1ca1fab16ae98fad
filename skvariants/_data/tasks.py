r"""Tasks: what targets are, and what columns of predictions mean.

A task is plain data. :class:`Classification` and :class:`Regression` say what was asked for; their method `learn` looks
at targets and gives one of :class:`Binary`, :class:`OneVsRest`, :class:`Softmax` or :class:`RealTargets`, which knows
how many columns a model has, what is stored of a target, what stands in its columns, what a class weighs, what
predictions decode to, and how good they are. Estimators, searches, diagnoses and facts all ask the same object.

A class weight multiplies the weight of the rows of its class, in every column: it is a sample weight by another name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from skvariants._component import number
from skvariants._data.scaling import Moments

Array = np.ndarray
_CLASS_WEIGHT = number(0)
# numbers of a table with a row for each class
_TABLE = 1 << 20

# ---------------------------------------------------------------------- columns of targets


class Encoding:
    """How what is stored of targets expands to columns.

    Parameters
    ----------
    n_columns : int
        Columns of one model.
    dtype : dtype
        Of the columns.
    columns : ndarray of int, optional
        Which of them, where they are not just all in order.
    """

    def __init__(self, n_columns: int, dtype: Any = np.float64, columns: Array | None = None) -> None:
        self.n_columns, self.dtype, self.columns = n_columns, np.dtype(dtype), columns

    def expand(self, y: Array) -> Array:
        """Columns ``(n_rows, n_columns)`` of what is stored of some rows."""
        raise NotImplementedError

    def distinct(self, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        """Distinct stored targets, and the weight of each; all rows where they are too many to count."""
        return y, weight

    def summary(self, y: Array, weight: Array | None) -> tuple[Array, Array]:
        """Distinct targets as columns and their weights, ``(n_distinct, n_columns)``: all a constant model sees."""
        y, weight = self.distinct(y, weight)
        columns = self.expand(y).astype(np.float64)
        return columns, np.ones_like(columns) if weight is None else np.ones_like(columns) * weight[:, None]

    def take(self, columns: Array) -> Encoding:
        """The encoding of a subset, or a repetition, of the columns."""
        kept = np.arange(self.n_columns) if self.columns is None else self.columns
        return self._with(kept[columns])

    def _with(self, columns: Array) -> Encoding:
        return type(self)(self.n_columns, self.dtype, columns)


class RealColumns(Encoding):
    """Real targets as they are; a single column stands for any number of equal ones."""

    def expand(self, y: Array) -> Array:
        y = y if self.columns is None else y[:, self.columns]
        return np.ascontiguousarray(y, dtype=self.dtype)

    def take(self, columns: Array) -> Encoding:
        return self if self.n_columns == 1 else super().take(columns)


class SignColumn(RealColumns):
    """One column that is -1 or 1."""

    def distinct(self, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        return np.array([[-1.0], [1.0]]), np.bincount((y[:, 0] > 0).astype(np.intp), weight, minlength=2)


class ClassColumns(Encoding):
    """A column for each class: 1 in that of the class, `low` in the others."""

    low: ClassVar[float] = -1.0

    def expand(self, y: Array) -> Array:
        if self._table is None:
            return self._expanded(y)
        return np.take(self._table, y, axis=0)

    def distinct(self, y: Array, weight: Array | None) -> tuple[Array, Array | None]:
        return np.arange(self.n_columns), np.bincount(y, weight, minlength=self.n_columns)

    @cached_property
    def _table(self) -> Array | None:
        """The row of each class, where classes are few enough: copied faster than made anew."""
        width = self.n_columns if self.columns is None else len(self.columns)
        return self._expanded(np.arange(self.n_columns)) if self.n_columns * width <= _TABLE else None

    def _expanded(self, codes: Array) -> Array:
        columns = np.arange(self.n_columns) if self.columns is None else self.columns
        return np.where(codes[:, None] == columns, self.dtype.type(1), self.dtype.type(self.low))


class OneHotColumns(ClassColumns):
    """A column for each class: 1 in that of the class, else 0."""

    low = 0.0


# ---------------------------------------------------------------------- what was learned of the targets


class Task:
    """What targets are, once they were seen."""

    classification: ClassVar[bool] = False

    @property
    def n_columns(self) -> int:
        """Columns of one model."""
        raise NotImplementedError

    def attributes(self) -> dict[str, Any]:
        """What a fitted estimator says about its targets."""
        raise NotImplementedError

    def same_as(self, other: Task) -> bool:
        """Whether models of one task can be gone on with in the other."""
        raise NotImplementedError

    def validated(self, y: Any) -> Array:
        """Targets of further rows, checked against what was learned."""
        raise NotImplementedError

    def stored(self, y: Array, dtype: Any) -> Array:
        """What is kept of targets: codes, signs or real values."""
        raise NotImplementedError

    def encoding(self, dtype: Any) -> Encoding:
        """How what is stored expands to columns."""
        raise NotImplementedError

    def bind_loss(self, loss: Any) -> Any:
        """The loss that is minimised."""
        return loss

    def weights(self, y: Array, weight: Array | None) -> Array | None:
        """Weights of rows, those of their classes included."""
        return weight

    def target_moments(self, y: Array, weight: Array | None, moments: Moments | None) -> Moments | None:
        """Moments of the targets, added to those of earlier rows; None where they have no unit."""
        return None

    def unit(self, moments: Moments | None, center: bool) -> Any:
        """The unit of the targets: 1 for classes."""
        return 1.0

    def decode(self, z: Array, loss: Any) -> Array:
        """What predictions ``(n_rows, n_columns)`` stand for."""
        raise NotImplementedError

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        """Score of each model from predictions ``(n_rows, n_models, n_columns)``; accuracy or R2.

        Real targets that are all equal have no R2: their errors are measured by `spread`, where it is given.
        """
        raise NotImplementedError

    def spread(self, y: Array, weight: Array | None) -> Any:
        """Variance of the targets; None for labels."""
        return None

    def scorable_at_once(self, y: Array) -> bool:
        """Whether the score is a plain mean, without a convention for an odd case."""
        return True

    def as_columns(self, coef: Any, intercept: Any) -> tuple[Array, Array]:
        """Published coefficients and intercepts as ``(n_columns, n_features)`` and ``(n_columns,)``."""
        return np.atleast_2d(coef), np.ravel(intercept)

    def as_published(self, theta: Array) -> tuple[Array, Array]:
        """Coefficients and intercepts as users see them, of parameters in the units of the data."""
        return np.ascontiguousarray(theta[:-1].T), np.array(theta[-1])

    def residual(self, y: Array, weight: Array | None, index: Any) -> Array:
        """What the best constant model of all rows leaves to learn on some: minus the gradient of squared error."""
        raise NotImplementedError

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None for real targets."""
        return None

    def smallest_class(self, y: Array, weight: Array | None) -> float | None:
        """Share of the rarest class; None for real targets."""
        return None


@dataclass(frozen=True)
class _Classes(Task):
    """What tasks with labels share."""

    classes: Array = field(compare=False)
    class_weight: Any = None

    classification: ClassVar[bool] = True

    @property
    def n_columns(self) -> int:
        return len(self.classes)

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.classes}

    def same_as(self, other: Task) -> bool:
        return type(self) is type(other) and np.array_equal(self.classes, other.classes)  # type: ignore[attr-defined]

    def validated(self, y: Any) -> Array:
        return _labels(y)

    def codes(self, y: Array) -> Array:
        """Numbers of labels in `classes`.

        Raises
        ------
        ValueError
            If there is a label that is not among them.
        """
        codes = np.minimum(np.searchsorted(self.classes, y), len(self.classes) - 1)
        unknown = self.classes[codes] != y
        if np.any(unknown):
            raise ValueError(
                f"y holds the label {y[unknown].tolist()[0]!r}, which is not among the classes "
                f"{self.classes!r} of the first call: pass every label in classes there."
            )
        return codes

    def stored(self, y: Array, dtype: Any) -> Array:
        return self.codes(y)

    def weights(self, y: Array, weight: Array | None) -> Array | None:
        if self.class_weight is None or not len(y):
            return weight
        codes = self.codes(y)
        if isinstance(self.class_weight, str):
            totals = np.bincount(codes, weight, minlength=self.n_classes)
            present = totals > 0
            by_class = np.where(present, totals.sum() / (present.sum() * np.where(present, totals, 1.0)), 1.0)
        else:
            if not all(value in _CLASS_WEIGHT for value in self.class_weight.values()):
                raise ValueError(
                    f"class_weight={self.class_weight!r} is not accepted: every weight must be {_CLASS_WEIGHT}."
                )
            by_class = compute_class_weight(self.class_weight, classes=self.classes, y=y)
        by_row = by_class[codes]
        return by_row if weight is None else weight * by_row

    def decode(self, z: Array, loss: Any) -> Array:
        return self.classes[z.argmax(axis=1)]

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        return np.average(self.classes[self._winners(z)] == y[:, None], axis=0, weights=weight)

    def _winners(self, z: Array) -> Array:
        return z.argmax(axis=2)

    def residual(self, y: Array, weight: Array | None, index: Any) -> Array:
        codes = self.codes(y)
        hot = (codes[index][:, None] == np.arange(self.n_classes)) - self._shares(codes, weight)
        return hot[:, 1:] if self.n_columns == 1 else hot

    def smallest_class(self, y: Array, weight: Array | None) -> float:
        return float(self._shares(self.codes(y), weight).min())

    def _shares(self, codes: Array, weight: Array | None) -> Array:
        totals = np.bincount(codes, weight, minlength=self.n_classes)
        return totals / totals.sum()


class Binary(_Classes):
    """Two classes: one column, -1 and 1."""

    @property
    def n_columns(self) -> int:
        return 1

    def stored(self, y: Array, dtype: Any) -> Array:
        return np.where(self.codes(y) == 1, 1.0, -1.0).astype(dtype)[:, None]

    def encoding(self, dtype: Any) -> Encoding:
        return SignColumn(1, dtype)

    def decode(self, z: Array, loss: Any) -> Array:
        return self.classes[(z[:, 0] > 0).astype(int)]

    def _winners(self, z: Array) -> Array:
        return (z[:, :, 0] > 0).astype(int)


class OneVsRest(_Classes):
    """Three classes or more: a column for each, on -1 and 1."""

    def encoding(self, dtype: Any) -> Encoding:
        return ClassColumns(self.n_columns, dtype)


class Softmax(_Classes):
    """Three classes or more, coupled by their loss: a column for each, on 0 and 1."""

    def encoding(self, dtype: Any) -> Encoding:
        return OneHotColumns(self.n_columns, dtype)

    def bind_loss(self, loss: Any) -> Any:
        return loss.coupled(self.n_classes)


@dataclass(frozen=True)
class RealTargets(Task):
    """Real targets: a column for each."""

    n_targets: int
    flat: bool = True

    @property
    def n_columns(self) -> int:
        return self.n_targets

    def attributes(self) -> dict[str, Any]:
        return {"n_targets_": self.n_targets}

    def same_as(self, other: Task) -> bool:
        return self == other

    def validated(self, y: Any) -> Array:
        y = _reals(y)
        if y.shape[1] != self.n_targets:
            raise ValueError(f"y has {y.shape[1]} targets, but the model was fitted with {self.n_targets}.")
        return y

    def stored(self, y: Array, dtype: Any) -> Array:
        return y.astype(dtype)

    def encoding(self, dtype: Any) -> Encoding:
        return RealColumns(self.n_columns, dtype)

    def target_moments(self, y: Array, weight: Array | None, moments: Moments | None) -> Moments:
        moments = Moments() if moments is None else moments.copy()
        moments.update(y, weight)
        if not np.isfinite(moments.squares).all():
            raise ValueError("y has values so large that their variance overflows: divide them by a power of ten.")
        return moments

    def unit(self, moments: Moments | None, center: bool) -> Any:
        if moments is None:
            return 1.0
        mean = np.atleast_1d(moments.mean)
        units = np.sqrt(np.atleast_1d(moments.squares / moments.count))
        if not center:
            units = np.sqrt(units**2 + mean**2)
        units = np.where(units > 1e-12 * np.abs(mean), units, 1.0)
        return float(units[0]) if len(units) == 1 else units

    def decode(self, z: Array, loss: Any) -> Array:
        mean = loss.inverse_link(z)
        return mean[:, 0] if self.flat else mean

    def spread(self, y: Array, weight: Array | None) -> Array:
        variance = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
        return np.where((variance > 0) & (np.ptp(y, axis=0) > 0), variance, 1.0)

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        r = y[:, None, :] - loss.inverse_link(z)
        w = np.ones(len(y)) if weight is None else weight
        center = np.average(y, axis=0, weights=w)
        total = np.maximum(w @ (y - center) ** 2, np.finfo(float).tiny)
        if spread is not None:
            total = np.where(np.ptp(y, axis=0) > 0, total, w.sum() * spread)
        return (1 - np.einsum("i,ijk->jk", w, r**2) / total).mean(axis=1)

    def scorable_at_once(self, y: Array) -> bool:
        return len(y) >= 2 and bool((np.ptp(y, axis=0) > 0).all())

    def as_published(self, theta: Array) -> tuple[Array, Array]:
        coef, intercept = super().as_published(theta)
        return coef.ravel() if self.flat else coef, intercept

    def residual(self, y: Array, weight: Array | None, index: Any) -> Array:
        y = y.astype(np.float64).reshape(len(y), -1)
        return y[index] - np.average(y, axis=0, weights=weight)


# ---------------------------------------------------------------------- what was asked for


@dataclass(frozen=True)
class Classification:
    """A task of labels, before any was seen."""

    multi_class: str = "auto"
    class_weight: Any = None

    classification: ClassVar[bool] = True
    #: how `X` and `y` are to be checked together
    checks: ClassVar[dict[str, Any]] = {}

    def validated(self, y: Any) -> Array:
        """Labels, checked."""
        return _labels(y)

    def learn(self, y: Array, loss: Any) -> Task:
        """The task of these labels.

        Raises
        ------
        ValueError
            If there are fewer than two classes.
        """
        classes = np.unique(y)
        if 2 * len(classes) > len(y):  # it warns of labels that look like targets of a regression
            check_classification_targets(y)
        return self.of_classes(classes, loss, "y must hold at least two different labels.")

    def announced(self, classes: Any, loss: Any) -> Task:
        """The task of classes that are known beforehand, as the first call of `partial_fit` says them.

        Raises
        ------
        ValueError
            If there are fewer than two classes, or class weights that all rows would have to be seen for.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y). "
                "In place of y you can use a large enough sample of the full training set target "
                "to properly estimate the class frequency distributions. Pass the resulting "
                "weights as the class_weight parameter."
            )
        return self.of_classes(np.unique(np.asarray(classes)), loss, "pass every label in classes.")

    def of_classes(self, classes: Array, loss: Any, remedy: str = "") -> Task:
        """The task of some classes, in order.

        Raises
        ------
        ValueError
            If there are fewer than two.
        """
        if len(classes) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(classes)} class: {remedy}")
        if len(classes) == 2:
            return Binary(classes, self.class_weight)
        coupled = self.multi_class != "ovr" and loss.coupled(len(classes)) is not None
        return (Softmax if coupled else OneVsRest)(classes, self.class_weight)


@dataclass(frozen=True)
class Regression:
    """A task of real targets, before any was seen."""

    classification: ClassVar[bool] = False
    checks: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}

    def validated(self, y: Any) -> Array:
        """Targets as columns."""
        return _reals(y, warn=True)

    def learn(self, y: Any, loss: Any) -> Task:
        """The task of these targets.

        Raises
        ------
        ValueError
            If the loss is not defined for one of them.
        """
        check_domain(y, loss)
        return RealTargets(y.shape[1], y.shape[1] == 1)


def check_domain(y: Array, loss: Any, name: str = "y") -> None:
    """Raise the sentence about targets for which the loss is not defined.

    Raises
    ------
    ValueError
        Naming the first of them.
    """
    if not np.isinf([loss.domain.low, loss.domain.high]).all() and not loss.domain.holds(y):
        bad = next(value for value in np.ravel(y).tolist() if value not in loss.domain)
        kind = type(loss).__name__
        raise ValueError(f"{name} holds {bad!r}, and {kind} is defined for targets that are {loss.domain}.")


def _labels(y: Any) -> Array:
    if y.dtype.kind not in "bui":  # whole numbers are labels, and asking costs more than a small fit's products
        check_classification_targets(y)
    return y


def _reals(y: Any, warn: bool = False) -> Array:
    shape = np.shape(y)
    if len(shape) == 2 and shape[1] == 1:
        y = column_or_1d(y, warn=warn)
    return np.asarray(y, dtype=np.float64).reshape(len(y), 1 if len(shape) == 1 else shape[1])


__all__ = [
    "Binary",
    "ClassColumns",
    "Classification",
    "Encoding",
    "OneHotColumns",
    "OneVsRest",
    "RealColumns",
    "RealTargets",
    "Regression",
    "SignColumn",
    "Softmax",
    "Task",
    "check_domain",
]

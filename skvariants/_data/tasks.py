r"""Tasks: what targets are, and what columns of predictions mean.

A task is plain data. :class:`Classification` and :class:`Regression` say what was asked for; their method `learn` looks
at targets and gives one of :class:`Binary`, :class:`OneVsRest`, :class:`Softmax` or :class:`RealTargets`, which knows
how many columns a model has, what is stored of a target, what stands in its columns, what a class weighs, what
predictions decode to, and how good they are. Estimators, searches, diagnoses and facts all ask the same object.

A class weight multiplies the weight of the rows of its class, in every column: it is a sample weight by another name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skvariants._component import number, shown
from skvariants._data.scaling import Moments, robust_spread

Array = np.ndarray
#: Mean square of targets below which they have no unit.
_VANISHES = 1e-300
_CLASS_WEIGHT = number(0)
_REMEDY = "pass every label in classes."
# kinds of arrays of labels that are not numbers
_TEXT = "USO"
# and of those that are
_NUMBERS = "biuf"
# greatest share of errors that a score of real targets counts
_WORST = 1e300
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


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Weight of the rows of each class that were seen, without that of their classes.

    Parameters
    ----------
    totals : ndarray of shape (n_classes,)
        A sum for each class.
    """

    totals: Array

    def added(self, totals: Array) -> ClassCounts:
        """The same with those of further rows."""
        return ClassCounts(self.totals + totals)

    def forget(self, factor: float) -> ClassCounts:
        """The same, where rows seen so far count `factor` times what they did."""
        return ClassCounts(self.totals * factor)

    def spread(self, at: Array, n_classes: int) -> ClassCounts:
        """The same among more classes, in which these have the numbers `at`."""
        totals = np.zeros(n_classes)
        totals[at] = self.totals
        return ClassCounts(totals)

    def balanced(self) -> Array:
        """Weights that give all classes the same total weight; those without rows have no say."""
        totals, present = self.totals, self.totals > 0
        return np.where(present, totals.sum() / (present.sum() * np.where(present, totals, 1.0)), 1.0)

    def shares(self, new: Array) -> Array:
        """Shares of the classes; those that are `new` count as half a row together."""
        totals = self.totals + np.where(new, 0.5 / max(1, new.sum()), 0.5)
        return totals / totals.sum()


class Task:
    """What targets are, once they were seen."""

    classification: ClassVar[bool] = False
    #: whether a row may have any number of labels
    several: ClassVar[bool] = False

    @property
    def n_columns(self) -> int:
        """Columns of one model."""
        raise NotImplementedError

    @property
    def outputs(self) -> int:
        """Columns of one target."""
        return 1

    def expected(self, loss: Any, y: Array, weight: Array | None) -> Array | None:
        """The constant model with which a stream begins, where its first rows lack classes that are to come."""
        return None

    def attributes(self) -> dict[str, Any]:
        """What a fitted estimator says about its targets."""
        raise NotImplementedError

    def same_as(self, other: Task) -> bool:
        """Whether models of one task can be gone on with in the other."""
        raise NotImplementedError

    def validated(self, y: Any) -> Array:
        """Targets of further rows, checked against what was learned."""
        raise NotImplementedError

    def as_rows(self, y: Any) -> Array:
        """Targets that were validated, as an array of which rows can be taken."""
        return y  # type: ignore[no-any-return]

    def stored(self, y: Array, dtype: Any) -> Array:
        """What is kept of targets: codes, signs or real values."""
        raise NotImplementedError

    def encoding(self, dtype: Any) -> Encoding:
        """How what is stored expands to columns."""
        raise NotImplementedError

    def bind_loss(self, loss: Any) -> Any:
        """The loss that is minimised."""
        return loss.with_spread(1.0)

    def counted(self, stored: Array, weight: Array | None) -> Task:
        """The same task, that has seen further rows: what is stored of their targets, and their weights."""
        return self

    def forget(self, factor: float) -> Task:
        """The same task, where rows seen so far count `factor` times what they did."""
        return self

    def weights(self, y: Array, weight: Array | None) -> Array | None:
        """Weights of rows, those of their classes included."""
        return weight

    def grown(self, old: Task, loss: Any, coef: Array, intercept: Array, X: Any) -> tuple[Array, Array]:
        """A model of these targets that is, as far as is possible, that of `old`, which knew fewer of them."""
        raise NotImplementedError

    def target_moments(
        self, y: Array, weight: Array | None, moments: Moments | None, name: str = "y"
    ) -> Moments | None:
        """Moments of the targets, added to those of earlier rows; None where they have no unit."""
        return None

    def unit(self, moments: Moments | None, center: bool) -> Any:
        """The unit of the targets: 1 for classes."""
        return 1.0

    def decode(self, z: Array, loss: Any) -> Array:
        """What predictions ``(n_rows, n_columns)`` stand for."""
        raise NotImplementedError

    def probabilities(self, p: Array) -> Array:
        """Probabilities of the classes, of what the loss makes of predictions ``(n_rows, n_columns)``."""
        raise NotImplementedError

    def errors(self, z: Array, y: Array, loss: Any) -> Array:
        """Errors of predictions ``(n_rows, n_columns)``: 0 or 1 of a label, the squares of real targets."""
        raise NotImplementedError

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        """Score of each model from predictions ``(n_rows, n_models, n_columns)``; accuracy, R2 or explained deviance.

        Real targets that are all equal have none: their errors are measured by `spread`, where it is given.
        """
        raise NotImplementedError

    def spread(self, y: Array, weight: Array | None, loss: Any) -> Any:
        """Variance of the targets, or mean deviance from their mean; None for labels."""
        return None

    def scorable_at_once(self, y: Array) -> bool:
        """Whether the score is a plain mean, without a convention for an odd case."""
        return True

    def as_columns(self, coef: Any, intercept: Any) -> tuple[Array, Array]:
        """Published coefficients and intercepts as ``(n_columns, n_features)`` and ``(n_columns,)``."""
        return np.atleast_2d(coef), np.ravel(intercept)

    def as_published(self, theta: Array) -> tuple[Array, Array]:
        """Coefficients and intercepts as users see them, of parameters in the units of the data."""
        return np.array(theta[:-1].T, order="C"), np.array(theta[-1])  # the user's own

    def residual(self, y: Array, weight: Array | None, index: Any) -> Array:
        """What the best constant model of all rows leaves to learn on some: minus the gradient of squared error."""
        raise NotImplementedError

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None for real targets."""
        return None

    @property
    def n_kinds(self) -> int | None:
        """Number of kinds of rows that a stream has to see: those of each class; None for real targets."""
        return self.n_classes

    def smallest_class(self, y: Array, weight: Array | None) -> float | None:
        """Share of the rarest class; None for real targets."""
        return None


@dataclass(frozen=True)
class _Classes(Task):
    """What tasks with labels share."""

    classes: Array = field(compare=False)
    class_weight: Any = None
    counts: ClassCounts | None = field(default=None, compare=False)

    classification: ClassVar[bool] = True

    @property
    def n_columns(self) -> int:
        return len(self.classes)

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.classes, "multilabel_": False}

    def same_as(self, other: Task) -> bool:
        return type(self) is type(other) and np.array_equal(self.classes, other.classes)  # type: ignore[attr-defined]

    def validated(self, y: Any) -> Array:
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(
                f"y has {y.shape[1]} columns, and the model was fitted with the classes {self.classes!r}, of which "
                "each row has one: give a label for each row."
            )
        return _labels(y)

    def codes(self, y: Array) -> Array:
        """Numbers of labels in `classes`.

        Raises
        ------
        ValueError
            If there is a label that is not among them.
        """
        codes = label_codes(y, self.classes)
        unknown = codes < 0
        if unknown.any():
            raise ValueError(
                f"y holds the label {y[unknown].tolist()[0]!r}, which is not among the classes "
                f"{self.classes!r} so far: pass every label in classes to the first call of partial_fit, or set "
                "on_new_class='grow'."
            )
        return codes

    def stored(self, y: Array, dtype: Any) -> Array:
        return self.codes(y)

    def weights(self, y: Array, weight: Array | None) -> Array | None:
        if self.class_weight is None or not len(y):
            return weight
        codes = self.codes(y)
        if isinstance(self.class_weight, str):
            counts = ClassCounts(np.bincount(codes, weight, minlength=self.n_classes))
            by_class = (self.counts or counts).balanced()
        else:
            if not all(value in _CLASS_WEIGHT for value in self.class_weight.values()):
                raise ValueError(
                    f"class_weight={shown(self.class_weight)} is not accepted: every weight must be {_CLASS_WEIGHT}."
                )
            by_class = self._weights_by_class(self.class_weight)
            if not by_class.any():
                raise ValueError(
                    f"class_weight={shown(self.class_weight)} is zero for all classes: at least one class must have a "
                    "positive weight."
                )
        by_row = by_class[codes]
        return by_row if weight is None else weight * by_row

    def _weights_by_class(self, class_weight: dict[Any, float]) -> Array:
        """The weight of each class, 1 for one that is not named.

        Raises
        ------
        ValueError
            If a label is named that is no class, in the place of one that is not named.
        """
        classes = self.classes.tolist()
        others = [label for label in class_weight if label not in classes]
        # weights of all classes may go on to those that a part of the rows lacks
        if others and any(label not in class_weight for label in classes):
            raise ValueError(
                f"class_weight={shown(class_weight)} is not accepted: it has a weight for {others[0]!r}, which is not "
                f"among the classes {self.classes!r}. Give weights for these; those left out weigh 1."
            )
        return np.array([class_weight.get(label, 1.0) for label in classes], dtype=float)

    def counted(self, stored: Array, weight: Array | None) -> Task:
        totals = self.encoding(np.float64).distinct(stored, weight)[1][: self.n_classes]  # type: ignore[index]
        return replace(self, counts=ClassCounts(totals * 1.0) if self.counts is None else self.counts.added(totals))

    def forget(self, factor: float) -> Task:
        return self if self.counts is None else replace(self, counts=self.counts.forget(factor))

    def grown(self, old: Any, loss: Any, coef: Array, intercept: Array, X: Any) -> tuple[Array, Array]:
        """Columns of the old classes as they were, and constant ones of the new classes, of which no row was seen."""
        at = np.searchsorted(self.classes, old.classes)
        new = np.ones(self.n_classes, bool)
        new[at] = False
        counts = ClassCounts(np.zeros(old.n_classes)) if old.counts is None else old.counts
        columns = self._constants(loss, counts.spread(at, self.n_classes).shares(new), new)
        weights = np.zeros((len(columns), coef.shape[1]))
        if old.n_classes > 1:
            coef, intercept = self._columns_of(coef, intercept)
            weights[at], columns[at] = coef, intercept
            if new.any():
                columns[new] += self._level(X @ coef.T + intercept)
        return weights, columns

    def expected(self, loss: Any, y: Array, weight: Array | None) -> Array | None:
        totals = np.bincount(self.codes(y), weight, minlength=self.n_classes)
        absent = totals == 0
        if not absent.any() or not totals.any():
            return None
        return self._constants(loss, ClassCounts(totals).shares(absent), absent)

    def _constants(self, loss: Any, shares: Array, new: Array) -> Array:
        """The best constant model of classes of these shares."""
        columns = self.encoding(np.float64).expand(self.stored(self.classes, np.float64))
        best = self.bind_loss(loss).fit_intercept_only(columns, shares[:, None] * np.ones_like(columns))
        return np.array(np.broadcast_to(best, columns.shape[1:]), dtype=np.float64)

    def _columns_of(self, coef: Array, intercept: Array) -> tuple[Array, Array]:
        """A column for each class, of a model of two classes that has a single one."""
        if len(coef) > 1:
            return coef, intercept
        return np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])

    def _level(self, z: Array) -> float:
        """What constants of new columns are measured from, beside predictions of the old ones."""
        return 0.0

    def decode(self, z: Array, loss: Any) -> Array:
        return self.classes[z.argmax(axis=1)]

    def probabilities(self, p: Array) -> Array:
        total = p.sum(axis=1, keepdims=True)
        p = np.where(total > 0, p, 1.0)
        return p / p.sum(axis=1, keepdims=True)

    def errors(self, z: Array, y: Array, loss: Any) -> Array:
        return (self.decode(z, loss) != y)[:, None]

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        return np.average(self.winners(z) == label_codes(y, self.classes)[:, None], axis=0, weights=weight)

    def winners(self, z: Array) -> Array:
        """Numbers of the predicted classes, of predictions ``(n_rows, n_models, n_columns)``."""
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

    def probabilities(self, p: Array) -> Array:
        return np.hstack([1 - p, p])

    def winners(self, z: Array) -> Array:
        return (z[:, :, 0] > 0).astype(int)


class OneClass(Binary):
    """The only class that a stream has shown so far: the first of two."""

    def decode(self, z: Array, loss: Any) -> Array:
        return self.classes[np.zeros(len(z), int)]

    def probabilities(self, p: Array) -> Array:
        return np.ones_like(p)

    def winners(self, z: Array) -> Array:
        return np.zeros(z.shape[:2], int)


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

    def _constants(self, loss: Any, shares: Array, new: Array) -> Array:
        """Logarithms of the shares, beside that of all the old classes."""
        return np.log(shares / shares[~new].sum())

    def _columns_of(self, coef: Array, intercept: Array) -> tuple[Array, Array]:
        if len(coef) > 1:
            return coef, intercept
        return super()._columns_of(coef / 2, intercept / 2)

    def _level(self, z: Array) -> float:
        """Logarithm of the least total of the old columns: no new class is more probable than its share anywhere."""
        return float(logsumexp(z, axis=1).min())


@dataclass(frozen=True)
class RealTargets(Task):
    """Real targets: a column for each."""

    n_targets: int
    flat: bool = True
    outputs: int = 1
    measured: bool = field(default=False, compare=False)
    spreads: Any = field(default=None, compare=False)

    @property
    def n_columns(self) -> int:
        return self.n_targets * self.outputs

    def attributes(self) -> dict[str, Any]:
        return {"n_targets_": self.n_targets}

    def bind_loss(self, loss: Any) -> Any:
        loss = loss.by_output()
        return loss if self.spreads is None else loss.with_spread(self.spreads)

    def counted(self, stored: Array, weight: Array | None) -> Task:
        if not self.measured or self.spreads is not None:
            return self  # a stream keeps the spread of its first rows
        spreads = robust_spread(stored[:, :: self.outputs].astype(np.float64), weight)
        return replace(self, spreads=float(spreads[0]) if len(spreads) == 1 else spreads)

    def same_as(self, other: Task) -> bool:
        return self == other

    def validated(self, y: Any) -> Array:
        y = _reals(y)
        if y.shape[1] != self.n_targets:
            raise ValueError(f"y has {y.shape[1]} targets, but the model was fitted with {self.n_targets}.")
        return y

    def stored(self, y: Array, dtype: Any) -> Array:
        if np.dtype(dtype) == np.float32 and len(y) and np.abs(y).max() > np.finfo(np.float32).max:
            raise ValueError(
                "y has values so large that single precision has no number for them: divide them by a "
                "power of ten, or give X in double precision."
            )
        return np.repeat(y.astype(dtype), self.outputs, axis=1) if self.outputs > 1 else y.astype(dtype)

    def encoding(self, dtype: Any) -> Encoding:
        return RealColumns(self.n_columns, dtype)

    def target_moments(self, y: Array, weight: Array | None, moments: Moments | None, name: str = "y") -> Moments:
        moments = Moments() if moments is None else moments.copy()
        moments.update(y, weight)
        if not np.isfinite(moments.squares).all():
            raise ValueError(
                f"{name} has values so large that their variance overflows: divide them by a power of ten."
            )
        small = np.atleast_1d(moments.squares) < _VANISHES * moments.count
        if small.any() and len(y) and np.any(np.ptp(y, axis=0)[small] > 0):
            raise ValueError(f"{name} has values so small that their squares vanish: multiply them by a power of ten.")
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

    def spread(self, y: Array, weight: Array | None, loss: Any) -> Array:
        variance = np.average(_of_constant(y, weight, loss), axis=0, weights=weight)
        return np.where((variance > 0) & (np.ptp(y, axis=0) > 0), variance, 1.0)

    def errors(self, z: Array, y: Array, loss: Any) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return (y - loss.inverse_link(z)) ** 2

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        w = np.ones(len(y)) if weight is None else weight
        total = np.maximum(w @ _of_constant(y, w, loss), np.finfo(float).tiny)
        if spread is not None:
            total = np.where(np.ptp(y, axis=0) > 0, total, w.sum() * spread)
        with np.errstate(over="ignore"):  # what is far off is as bad as can be
            if loss.deviance:
                r = loss.value(np.tile(y, z.shape[1]), z.reshape(len(z), -1).astype(np.float64)).reshape(z.shape)
            else:
                r = (y[:, None, :] - loss.inverse_link(z)) ** 2
            errors = np.minimum(np.einsum("i,ijk->jk", w, r) / total, _WORST)
        return (1 - errors).mean(axis=1)

    def scorable_at_once(self, y: Array) -> bool:
        return len(y) >= 2 and bool((np.ptp(y, axis=0) > 0).all())

    def as_published(self, theta: Array) -> tuple[Array, Array]:
        coef, intercept = super().as_published(theta)
        return coef.ravel() if self.flat else coef, intercept

    def residual(self, y: Array, weight: Array | None, index: Any) -> Array:
        y = y.astype(np.float64).reshape(len(y), -1)
        return y[index] - np.average(y, axis=0, weights=weight)


def _of_constant(y: Array, weight: Array | None, loss: Any) -> Array:
    """Squared distances of real targets from their mean, or deviances from it."""
    if not loss.deviance:
        return (y - np.average(y, axis=0, weights=weight)) ** 2
    w = np.ones(y.shape) if weight is None else np.ones(y.shape) * weight[:, None]
    return loss.value(y, np.repeat(loss.fit_intercept_only(y, w)[None], len(y), axis=0))


# ---------------------------------------------------------------------- what was asked for


@dataclass(frozen=True)
class Classification:
    """A task of labels, before any was seen."""

    multi_class: str = "auto"
    class_weight: Any = None
    on_new_class: str = "error"

    classification: ClassVar[bool] = True
    #: how `X` and `y` are to be checked together
    checks: ClassVar[dict[str, Any]] = {}

    def checks_of(self, y: Any) -> dict[str, Any]:
        """How `X` and these targets are to be checked together."""
        return self.checks

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
        classes = distinct_labels(y)
        if 2 * len(classes) > len(y):  # it warns of labels that look like targets of a regression
            check_classification_targets(y)
        return self.of_classes(classes, loss, "y must hold at least two different labels.")

    def announced(self, classes: Any, loss: Any, task: Any = None) -> Task:
        """The task of classes that are known beforehand, as a call of `partial_fit` says them.

        Parameters
        ----------
        classes : array-like or None
            All classes, or those that `task` may lack; None for none, which go on with `task` or are learned from rows.
        loss : Loss
            What is minimised.
        task : Task, optional
            Of earlier calls.

        Raises
        ------
        ValueError
            If there are fewer than two classes, or others than in earlier calls, and classes are not to grow.
        """
        grows = self.on_new_class == "grow"
        if task is not None and not grows and isinstance(classes, list | np.ndarray):
            # what each call of a stream says again
            if (classes if isinstance(classes, list) else classes.tolist()) == task.classes.tolist():
                classes = None
        if classes is None and task is None and not grows:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: classes=np.unique(all labels), or set "
                "on_new_class='grow', and each label has its place when it comes."
            )
        labels = np.array([]) if classes is None else announced_labels(classes)
        if task is None and not grows and len(labels) == 1 < np.size(classes) and labels.dtype.kind == "f":
            raise ValueError(
                f"classes={shown(classes)} is not accepted, as it holds the label {labels.tolist()[0]!r} alone: pass "
                "every label in classes, and weights of rows by name, as sample_weight=..."
            )
        if task is None:
            nothing = _Classes(np.array([]), self.class_weight)
            return self.extended(nothing, labels, loss) if grows else self.of_classes(labels, loss, _REMEDY)
        if not grows and classes is not None and not np.array_equal(task.classes, labels):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {task.classes!r}"
            )
        return self.extended(self._going_on(task.classes, loss, task.counts), labels, loss)

    def extended(self, task: Any, labels: Array, loss: Any) -> Task:
        """The task with further classes, where they are to grow and some labels are not among them.

        Raises
        ------
        ValueError
            If labels are of another kind than the classes.
        """
        if self.on_new_class != "grow" or not len(labels):
            return task
        labels = distinct_labels(labels)
        if len(task.classes):
            if (labels.dtype.kind in _TEXT) != (task.classes.dtype.kind in _TEXT):
                raise ValueError(
                    f"y holds the label {labels.tolist()[0]!r}, which is of another kind than the classes "
                    f"{task.classes!r} so far: give labels of one kind."
                )
            labels = np.union1d(task.classes, labels)
        if len(labels) == len(task.classes):
            return task
        counts = task.counts
        if counts is not None:
            counts = counts.spread(np.searchsorted(labels, task.classes), len(labels))
        return self._going_on(labels, loss, counts)

    def _going_on(self, classes: Array, loss: Any, counts: ClassCounts | None) -> Task:
        """The task of the classes of a stream so far."""
        weight = self.class_weight
        if self.on_new_class == "grow" and isinstance(weight, dict):  # classes to come may have a weight already
            weight = {label: weight[label] for label in classes.tolist() if label in weight}
        task = OneClass(classes) if len(classes) == 1 else self.of_classes(classes, loss)
        return replace(task, counts=counts, class_weight=weight)

    def of_classes(self, classes: Array, loss: Any, remedy: str = "") -> Any:
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

    def checks_of(self, y: Any) -> dict[str, Any]:
        """How `X` and these targets are to be checked together."""
        return self.checks

    def validated(self, y: Any) -> Array:
        """Targets as columns."""
        return _reals(y, warn=True)

    def learn(self, y: Any, loss: Any) -> Task:
        """The task of these targets.

        Raises
        ------
        ValueError
            If the loss is not defined for one of them, or has several outputs and there are several targets.
        """
        check_domain(y, loss)
        if loss.outputs > 1 and y.shape[1] > 1:
            raise ValueError(
                f"y holds {y.shape[1]} targets, and loss={shown(loss)} has {loss.outputs} outputs for one: fit the "
                "targets one by one, or give one level."
            )
        return RealTargets(y.shape[1], y.shape[1] * loss.outputs == 1, loss.outputs, loss.in_spreads)

    def extended(self, task: Any, targets: Array, loss: Any) -> Task:
        """The task as it is: real targets bring nothing new, if the loss is defined for them."""
        check_domain(targets, loss)
        if loss.outputs != task.outputs:
            raise ValueError(
                f"loss={shown(loss)} has {loss.outputs} outputs, but the model was fitted with {task.outputs}: give as "
                "many levels, or call fit."
            )
        return replace(task, measured=True) if loss.in_spreads and not task.measured else task


def check_domain(y: Array, loss: Any, name: str = "y") -> None:
    """Raise the sentence about targets for which the loss is not defined.

    Raises
    ------
    ValueError
        Naming the first of them.
    """
    domain = loss.domain
    if (domain.low > -np.inf or domain.high < np.inf) and not domain.holds(y):
        bad = next(value for value in np.ravel(y).tolist() if value not in loss.domain)
        kind = type(loss).__name__
        raise ValueError(
            f"{name} holds {bad!r}, and the loss {kind} is defined for targets that are {loss.domain}: give such "
            "targets, or choose another loss."
        )


def distinct_labels(y: Array) -> Array:
    """Different labels in order; those of text by a set, as sorting all of them takes longer than a fit."""
    if y.dtype.kind in _TEXT:
        y = np.array(list(set(y.tolist())), dtype=y.dtype)
    return np.unique(y)


def label_codes(y: Array, classes: Array) -> Array:
    """Numbers of labels in `classes`, which are in order; -1 for those that are not among them."""
    if not (y.dtype.kind in _NUMBERS and classes.dtype.kind in _NUMBERS):
        numbers = {label: number for number, label in enumerate(classes.tolist())}
        return np.fromiter(map(numbers.get, y.tolist(), repeat(-1)), np.intp, len(y))
    if len(classes) == 2:  # which a search takes ten times as long for
        second = y == classes[1]
        return np.where(second | (y == classes[0]), second, -1)
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[codes] == y, codes, -1)


def announced_labels(classes: Any) -> Array:
    """Different labels among those that the user listed, in order."""
    labels = np.asarray(classes)
    if (
        labels.ndim == 0
        and hasattr(classes, "__iter__")
        and not (isinstance(classes, str) or hasattr(classes, "shape"))
    ):
        labels = np.asarray(list(classes))  # a set, or the keys of a dict
    mixed = (
        not hasattr(classes, "dtype")
        and labels.dtype.kind in "US"
        and not all(isinstance(label, str | bytes) for label in np.ravel(np.asarray(classes, dtype=object)).tolist())
    )
    missing = labels.dtype.kind == "f" and np.isnan(labels).any()
    if labels.ndim == 1 and not mixed and not missing:
        try:
            return np.unique(labels)
        except TypeError:  # labels that have no order
            pass
    raise ValueError(
        f"classes={shown(classes)} is not accepted: give a list of labels, all of them numbers or strings, and none "
        "missing."
    )


def _labels(y: Any) -> Array:
    if y.dtype.kind == "S":
        raise TypeError("y holds labels that are bytes, which scikit-learn has no use for: decode them to strings.")
    text = y.dtype.kind == "U"
    if y.dtype.kind == "O":  # what is text in the first row may be anything in the others
        strings = {kind: issubclass(kind, str) for kind in set(map(type, y.tolist()))}
        text = all(strings.values())
        if any(strings.values()) and not text:
            row, other = next((row, label) for row, label in enumerate(y.tolist()) if not isinstance(label, str))
            raise ValueError(
                f"y holds the label {shown(other)} (row {row}, counted from 0) among strings: give labels of one kind, "
                "none missing."
            )
    # whole numbers and strings are labels, and asking costs more than a small fit's products
    if not (y.dtype.kind in "bui" or (text and y.ndim == 1)):
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
    "ClassCounts",
    "Classification",
    "Encoding",
    "OneClass",
    "OneHotColumns",
    "OneVsRest",
    "RealColumns",
    "RealTargets",
    "Regression",
    "SignColumn",
    "Softmax",
    "Task",
    "announced_labels",
    "check_domain",
    "distinct_labels",
    "label_codes",
]

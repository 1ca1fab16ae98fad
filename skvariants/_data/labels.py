r"""Several labels: any number of them for each row, as a table of 0 and 1 with a column for each label.

Each label is a binary classification of its own, and all of them are columns of one model. What a label weighs differs
between columns, so that class weights are part of the loss here: :math:`c_{j, y}\, \ell(y, z_j)`, with weights of mean
one in each column, as a fit of that label alone has them.

A label that all rows have, or none of them, leaves nothing to learn: it is predicted as it is, by an intercept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from skvariants._component import number, shown
from skvariants._data.tasks import Classification, RealColumns, Task

Array = np.ndarray
_WEIGHT = number(0, closed="neither")
_COLLECTIONS = (list, tuple, set, frozenset)
# what the logistic function takes for none and for all, and what a fit goes on from in its place
_CERTAIN, _NEARLY = 750.0, float(np.log(1e6))
_BINARIZER = "sklearn.preprocessing.MultiLabelBinarizer makes a table of 0 and 1 of them, a column for each label."
_REMEDY = (
    "several columns are labels of which a row has any number. For columns of classes use "
    "sklearn.multioutput.MultiOutputClassifier."
)


class LabelColumns(RealColumns):
    """A column for each label: 1 where a row has it, else -1."""

    def summary(self, y: Array, weight: Array | None) -> tuple[Array, Array]:
        """-1 and 1, and the weight of each in each column."""
        y = y if self.columns is None else y[:, self.columns]
        weights = _totals(y > 0, weight)
        columns = np.ones_like(weights)
        columns[0] = -1.0
        return columns, weights


@dataclass(frozen=True)
class LabelCounts:
    """Weight of the rows that were seen without each label, and with it.

    Parameters
    ----------
    totals : ndarray of shape (2, n_labels)
        Sums.
    """

    totals: Array

    @property
    def settled(self) -> Array:
        """For each label 1 where all rows have it, -1 where none has, else 0."""
        absent, present = self.totals
        return np.where(absent == 0, 1, np.where(present == 0, -1, 0))

    def weights(self, class_weight: Any) -> tuple[Array, Array]:
        """What a row without each label weighs, and one with it; of mean one."""
        totals = self.totals
        if class_weight == "balanced":
            weight = totals.sum(axis=0) / (2 * np.where(totals > 0, totals, 1.0))
        else:
            weight = np.array([[class_weight.get(0, 1.0)], [class_weight.get(1, 1.0)]]) * np.ones_like(totals)
        mean = (weight * totals).sum(axis=0) / totals.sum(axis=0)
        weight = np.where(self.settled == 0, weight / np.where(mean > 0, mean, 1.0), 1.0)
        return weight[0], weight[1]


@dataclass(frozen=True)
class Labels(Task):
    """Any number of labels for each row: a column for each, on -1 and 1.

    Parameters
    ----------
    n_labels : int
        How many there are.
    class_weight : dict, "balanced" or None
        Weights of 0 (a row without the label) and 1.
    sparse : bool
        Whether targets were a sparse matrix, as predictions then are.
    whole : bool
        Whether all rows are known: labels of which they say one thing only are then predicted so.
    counts : LabelCounts or None
        Of the rows that were seen.
    """

    n_labels: int
    class_weight: Any = None
    sparse: bool = False
    whole: bool = False
    counts: LabelCounts | None = field(default=None, compare=False)

    classification: ClassVar[bool] = True
    several: ClassVar[bool] = True

    @property
    def n_columns(self) -> int:
        return self.n_labels

    @property
    def n_classes(self) -> int:
        return 2

    @property
    def n_kinds(self) -> int:
        return 2 * self.n_labels

    @property
    def classes(self) -> Array:
        """Numbers of the labels."""
        return np.arange(self.n_labels)

    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.classes, "multilabel_": True}

    def same_as(self, other: Task) -> bool:
        return other.several and self.n_labels == other.n_columns

    def validated(self, y: Any) -> Array:
        if y.ndim != 2:
            raise ValueError(
                f"y holds one label for each row, and the model was fitted with {self.n_labels} labels of which a row "
                f"has any number: give a table of 0 and 1 of {self.n_labels} columns."
            )
        if y.shape[1] != self.n_labels:
            raise ValueError(f"y has {y.shape[1]} labels (columns), but the model was fitted with {self.n_labels}.")
        return self.as_rows(indicator(y))

    def as_rows(self, y: Any) -> Array:
        return (y.toarray() if sp.issparse(y) else y).astype(np.int8, copy=False)

    def stored(self, y: Array, dtype: Any) -> Array:
        return 2 * y - np.int8(1)

    def encoding(self, dtype: Any) -> LabelColumns:
        return LabelColumns(self.n_labels, dtype)

    def bind_loss(self, loss: Any) -> Any:
        loss = super().bind_loss(loss)
        if self.class_weight is None or self.counts is None:
            return loss
        return loss.weighted(*self.counts.weights(self.class_weight))

    def counted(self, stored: Array, weight: Array | None) -> Labels:
        totals = _totals(stored > 0, weight)
        return replace(self, counts=LabelCounts(totals if self.counts is None else self.counts.totals + totals))

    def forget(self, factor: float) -> Labels:
        return self if self.counts is None else replace(self, counts=LabelCounts(self.counts.totals * factor))

    def decode(self, z: Array, loss: Any) -> Any:
        present = self._present(z).astype(np.int64)
        return sp.csr_matrix(present) if self.sparse else present

    def probabilities(self, p: Array) -> Array:
        return p

    def errors(self, z: Array, y: Array, loss: Any) -> Array:
        return (self._present(z) != y).any(axis=1)[:, None]

    def scores(self, z: Array, y: Array, weight: Array | None, loss: Any, spread: Any = None) -> Array:
        return np.average((self._present(z) == y[:, None]).all(axis=2), axis=0, weights=weight)

    def _present(self, z: Array) -> Array:
        settled = self._settled
        return np.where(settled == 0, z > 0, settled > 0)

    @property
    def _settled(self) -> Array:
        known = self.whole and self.counts is not None
        return self.counts.settled if known else np.zeros(self.n_labels, int)  # type: ignore[union-attr]

    def as_columns(self, coef: Any, intercept: Any) -> tuple[Array, Array]:
        coef, intercept = super().as_columns(coef, intercept)
        certain = np.abs(intercept) == _CERTAIN
        return coef, np.where(certain, np.sign(intercept) * _NEARLY, intercept).astype(intercept.dtype)

    def as_published(self, theta: Array) -> tuple[Array, Array]:
        coef, intercept = super().as_published(theta)
        settled = self._settled
        coef[settled != 0] = 0.0
        return coef, np.where(settled == 0, intercept, settled * _CERTAIN).astype(intercept.dtype)

    def residual(self, y: Array, weight: Array | None, index: Any) -> Array:
        return y[index] - self._shares(y, weight)

    def smallest_class(self, y: Array, weight: Array | None) -> float:
        shares = self._shares(y, weight)
        return float(np.minimum(shares, 1 - shares).min())

    def _shares(self, y: Array, weight: Array | None) -> Array:
        absent, present = _totals(y > 0, weight)
        return present / (absent + present)


@dataclass(frozen=True)
class Labelling(Classification):
    """A classification of which the targets say whether rows have one label each, or any number of several."""

    def checks_of(self, y: Any) -> dict[str, Any]:
        """How `X` and these targets are to be checked together."""
        return {"multi_output": True} if several(y) else super().checks_of(y)

    def validated(self, y: Any) -> Any:
        """Labels, or a table of several, checked."""
        return indicator(y) if y.ndim == 2 and y.shape[1] > 1 else super().validated(y)

    def learn(self, y: Any, loss: Any) -> Task:
        """The task of these targets."""
        if y.ndim == 1:
            return super().learn(y, loss)
        return replace(self._labels(y), whole=True)

    def announced(self, classes: Any, loss: Any, task: Any = None, y: Any = None) -> Task:
        """The task of a stream: of classes that are known beforehand, or of the columns of `y`.

        Raises
        ------
        ValueError
            If `classes` are others than the columns, or labels are to become more.
        """
        if not (several(y) if task is None else task.several):
            return super().announced(classes, loss, task)
        if self.on_new_class == "grow":
            raise ValueError(
                "on_new_class='grow' is for one label a row; several labels are the columns of y, and none can come "
                "later: set on_new_class='error', and give a column of zeros for a label that may come."
            )
        if task is None:
            y = y if hasattr(y, "ndim") else np.asarray(y)
            task = self._labels(y)
        if classes is not None and not np.array_equal(np.ravel(np.asarray(classes, dtype=object)), task.classes):
            raise ValueError(
                f"classes={shown(classes)} is not accepted: several labels are the columns of y, which has "
                f"{task.n_labels}, so leave classes=None."
            )
        return replace(task, class_weight=self._label_weight(), whole=False)

    def _labels(self, y: Any) -> Labels:
        if self.multi_class == "multinomial":
            raise ValueError(
                "multi_class='multinomial' is for classes of which each row has one, and y has several columns: use "
                "multi_class='auto' or 'ovr' for several labels."
            )
        return Labels(y.shape[1], self._label_weight(), sp.issparse(y))

    def _label_weight(self) -> Any:
        weight = self.class_weight
        if isinstance(weight, dict) and not all(
            label in (0, 1) and value in _WEIGHT for label, value in weight.items()
        ):
            raise ValueError(
                f"class_weight={shown(weight)} is not accepted for several labels: give weights of 0 (a row without "
                f"the label) and 1, each {_WEIGHT}; they are those of every label."
            )
        return weight


def several(y: Any) -> bool:
    """Whether targets are a table of several columns.

    Raises
    ------
    ValueError
        If they are lists of labels.
    """
    shape = getattr(y, "shape", None)
    if sp.issparse(y) and not (len(y.shape) == 2 and y.shape[1] > 1):
        raise ValueError(
            f"y is a sparse matrix of shape {shape}, and sparse targets are several labels, a column for each: give "
            "one label a row as an array."
        )
    if shape is not None and (len(shape) != 1 or getattr(getattr(y, "dtype", None), "kind", "") != "O"):
        return len(shape) == 2 and shape[1] > 1
    first = next(iter(y), None) if isinstance(y, Iterable) else None
    if not isinstance(first, (*_COLLECTIONS, np.ndarray)):
        return False
    try:
        table = np.asarray(list(y))
    except ValueError:  # of several lengths
        table = np.empty(0)
    if shape is None and table.ndim != 1 and (table.dtype.kind in "biuf" or table.shape[1:] == (1,)):
        return table.ndim == 2 and table.shape[1] > 1
    raise ValueError(f"y holds lists of labels, such as {shown(first)}, which are not accepted: {_BINARIZER}")


def indicator(y: Any) -> Any:
    """A table of several labels, checked.

    Raises
    ------
    ValueError
        If it holds anything other than 0 and 1.
    """
    values = y.data if sp.issparse(y) else y
    held = np.asarray((values == 0) | (values == 1))
    if not held.all():
        others = np.asarray(values)[~np.broadcast_to(held, values.shape)]
        raise ValueError(f"y has {y.shape[1]} columns and holds {shown(others.tolist()[0])}, and {_REMEDY}")
    return y


def _totals(present: Array, weight: Array | None) -> Array:
    """Weight of the rows without each label, and with it."""
    if weight is None:
        count = present.sum(axis=0, dtype=np.float64)
        return np.array([len(present) - count, count])
    return np.array([weight @ ~present, weight @ present], dtype=np.float64)


__all__ = ["LabelColumns", "LabelCounts", "Labelling", "Labels", "indicator", "several"]

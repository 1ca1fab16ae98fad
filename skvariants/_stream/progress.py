r"""Progress of a stream: how good predictions were that were made before their rows were learned.

Each chunk is first predicted, then learned ("test, then train"; Dawid 1984, "Statistical theory: the prequential
approach", doi:10.2307/2981683). What is kept of that is bounded: sums in at most :data:`BINS` bins of neighbouring
chunks. When they are full, neighbours become one, and each holds twice as many rows from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._data.scaling import Moments

Array = np.ndarray
#: Most bins, an even number.
BINS = 256
# numbers of a model from which its copy costs more than products one by one
_LARGE = 1 << 16
_ROWS, _WEIGHT, _LOSS, _ERRORS = 0, 1, 2, slice(3, None)


@dataclass(eq=False, repr=False)
class Scored:
    """A chunk, scored before it is learned.

    Attributes
    ----------
    n_rows : int
        Rows.
    weight : float
        Sum of their weights.
    loss : float
        Weighted sum of their losses, penalty excluded.
    errors : ndarray of shape (n_errors,)
        Weighted sums of errors: wrong labels, or squared errors of each target.
    targets : Moments or None
        Of real targets, which errors are measured by.
    """

    n_rows: int
    weight: float
    loss: float
    errors: Array
    targets: Moments | None = None

    @property
    def mean_loss(self) -> float:
        """Mean loss of a row."""
        return self.loss / self.weight


def scored(data: Any, loss: Any, z: Array, losses: Array | None = None) -> Scored:
    """Score predictions of a chunk.

    Parameters
    ----------
    data : Data
        The chunk.
    loss : Loss
        Before it is bound to the task.
    z : ndarray of shape (n_rows, n_columns)
        Predictions.
    losses : ndarray of shape (n_rows,), optional
        What they cost, without weights; computed if not given.

    Returns
    -------
    Scored
    """
    task, rows = data.task, data.rows
    weight = np.ones(rows.n) if data.sample_weight is None else data.sample_weight
    count = float(weight.sum())
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if losses is None:
            columns = task.encoding(rows.dtype).expand(rows.y)
            by_column = task.bind_loss(loss).total(columns, np.ascontiguousarray(z, rows.dtype), weight[:, None])
            total = float(by_column.sum())
        else:
            total = float(weight @ losses)
        errors = weight @ task.errors(z, data.y, loss)
        targets = None
        if not task.classification:
            mean = weight @ data.y / count
            targets = Moments(count, mean, weight @ (data.y - mean) ** 2)
    return Scored(rows.n, count, np.inf if np.isnan(total) else total, errors, targets)


def predictions(X: Any, coef: Array, intercept: Array) -> Array:
    """Predictions of rows, shape ``(n_rows, n_columns)``.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        Rows.
    coef : ndarray of shape (n_columns, n_features)
        Weights in the units of the data.
    intercept : ndarray of shape (n_columns,)
        Intercepts.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if isinstance(X, np.ndarray) or coef.size < _LARGE:
            return np.asarray(X @ coef.T + intercept)
        # a sparse product would copy a large model to turn it
        return np.stack([X @ column for column in coef], axis=1) + intercept


class Progress:
    """Losses and errors along a stream, in bins.

    Attributes
    ----------
    bins : ndarray of shape (n_bins, 3 + n_errors)
        Of each bin: rows, weight, loss, errors; sums.
    rows_per_bin : float
        Up to which chunks are added to the last bin.
    targets : Moments or None
        Of all real targets that were scored.
    """

    def __init__(self) -> None:
        self.bins, self.rows_per_bin = np.empty((0, 3)), 0.0
        self.targets: Moments | None = None

    def copy(self) -> Progress:
        """The same, which goes on by itself."""
        copy = Progress()
        copy.bins, copy.rows_per_bin = self.bins.copy(), self.rows_per_bin
        copy.targets = None if self.targets is None else self.targets.copy()
        return copy

    def update(self, chunk: Scored) -> float:
        """Add a chunk; returns its mean loss before it was learned."""
        sums = np.concatenate([[chunk.n_rows, chunk.weight, chunk.loss], chunk.errors])
        self._add_targets(chunk.targets)
        if len(self.bins) and self.bins[-1, _ROWS] + chunk.n_rows <= self.rows_per_bin:
            self.bins[-1] += sums
        else:
            self.bins = np.concatenate([self.bins.reshape(-1, len(sums)), sums[None]])
            self._halve()
        return chunk.mean_loss

    def merge(self, other: Progress) -> Progress:
        """Add what another saw later, in place."""
        parts = [progress.bins for progress in (self, other) if len(progress.bins)]
        self.bins = np.concatenate(parts) if parts else self.bins
        self.rows_per_bin = max(self.rows_per_bin, other.rows_per_bin)
        self._add_targets(other.targets)
        self._halve()
        return self

    def _add_targets(self, targets: Moments | None) -> None:
        if targets is not None:
            self.targets = Moments() if self.targets is None else self.targets
            self.targets.merge(targets)

    def _halve(self) -> None:
        """Make one bin of each two neighbours while there are more than fit."""
        while len(self.bins) > BINS:
            last = self.bins[len(self.bins) // 2 * 2 :]
            pairs = self.bins[: len(self.bins) // 2 * 2]
            self.bins = np.concatenate([pairs[::2] + pairs[1::2], last])
            self.rows_per_bin = float(pairs[:, _ROWS].sum()) / (len(pairs) // 2)

    @property
    def _variance(self) -> Any:
        """What errors are measured by: the variance of each target, or one."""
        if self.targets is None:
            return 1.0
        variance = np.atleast_1d(self.targets.squares / self.targets.count)
        return np.where(variance > 0, variance, 1.0)

    def score(self) -> float:
        """Accuracy, or R2 (its mean over targets), of all predictions; not a number before there was one."""
        if not len(self.bins):
            return float("nan")
        sums = self.bins.sum(axis=0)
        return float(1 - np.mean(sums[_ERRORS] / sums[_WEIGHT] / self._variance))

    def curves(self) -> dict[str, Array]:
        """Rows up to the end of each bin, and its mean loss and score; errors are measured by all targets."""
        bins = self.bins
        weight = bins[:, _WEIGHT]
        errors = bins[:, _ERRORS] / weight[:, None] / self._variance
        return {
            "n_rows": np.cumsum(bins[:, _ROWS]).astype(np.int64), "loss": bins[:, _LOSS] / weight,
            "score": 1 - errors.mean(axis=1) if errors.size else np.empty(0),
        }  # fmt: skip


__all__ = ["BINS", "Progress", "Scored", "predictions", "scored"]

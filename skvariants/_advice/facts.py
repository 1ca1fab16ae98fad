r"""Facts about a problem, that the table of rules turns into a solver with a reason.

Two things make a surface hard for plain stochastic gradient descent: a *ravine* (curvature that differs between
directions, so that a step that is safe across it is tiny along it) and *rare features* (coordinates that are seldom
updated). Both are measured here from at most one pass over `X` and a sample of its rows, in the coordinates that the
fit will work in.

With eigenvalues :math:`\lambda_i` of the second moments of the (standardised) columns, and :math:`c_i` the gradient of
the best constant model along the i-th eigenvector, the quadratic model that the fit sees at its start gains
:math:`c_i^2 / (2 \lambda_i)` along it, of which :math:`t` steps of length :math:`1 / \lambda_1` leave

.. math:: \frac{c_i^2}{2 \lambda_i} \left( 1 - \lambda_i / \lambda_1 \right)^{2 t}.

The number of steps that leaves one hundredth of the total is the *length of the ravine*. Unlike the condition number
:math:`\lambda_1 / \lambda_r` it does not count directions in which there is nothing to gain. What sampling alone would
put into :math:`c_i^2`, :math:`\sigma^2 \lambda_i / m`, is taken off first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from skvariants._data.scaling import Coordinates, Moments
from skvariants._data.tasks import Classification, RealTargets, Task

__all__ = ["Facts", "facts", "measure"]

Array = np.ndarray
_BLOCK = 1 << 22
#: Rows of the sample; half as many above that many columns, as an eigenvalue problem of that size is solved.
SAMPLE_ROWS = 1024
#: A column is rare if it is not zero in a smaller share of the rows than this.
RARE = 0.01
#: What is left of the gain at the end of the ravine.
_LEFT = 0.01
_LONGEST = 1e9


@dataclass(frozen=True)
class Facts:
    """What a problem looks like; all numbers are in the coordinates of the data unless said.

    Parameters
    ----------
    n_samples, n_features : int
        Rows (of positive weight) and columns.
    n_columns : int
        Columns of the model: labels, classes where there are more than two, or targets times `outputs`.
    classes : int or None
        Number of classes; None for a real target.
    smallest_class : float or None
        Share of the rarest class.
    sparse : bool
        Whether the data came as a sparse matrix.
    density : float
        Share of entries that are not zero.
    constant_columns : int
        Columns without variation.
    scale_ratio : float
        Largest over smallest standard deviation of the other columns.
    largest_offset : float
        Largest absolute mean of a column in units of its standard deviation.
    scaled : bool
        Whether the fit works in standardised coordinates.
    condition_number : float
        Largest over smallest curvature (above rounding) in the coordinates of the fit.
    raw_condition_number : float
        The same without scaling; nan where only a sample was looked at.
    ravine : float
        Steps of gradient descent, each as long as the steepest direction allows, until a hundredth of the first
        quadratic model's gain is left; 1e9 at most.
    rare_share : float
        Share of columns (constant ones aside) that are not zero in fewer than 1 % of the rows.
    frequency_ratio : float
        Most over least frequently non-zero column.
    sample_rows : int
        Rows of the sample that curvature was measured on.
    smooth : bool
        Whether the loss has a second derivative.
    noise : float or None
        Share of the targets' variance that a linear model leaves, corrected for the columns that it has; None where
        there is none to explain, or the sample has no more rows than directions.
    outputs : int, default=1
        Columns of one target: the levels of a quantile.
    """

    n_samples: int
    n_features: int
    n_columns: int
    classes: int | None
    smallest_class: float | None
    sparse: bool
    density: float
    constant_columns: int
    scale_ratio: float
    largest_offset: float
    scaled: bool
    condition_number: float
    raw_condition_number: float
    ravine: float
    rare_share: float
    frequency_ratio: float
    sample_rows: int
    smooth: bool = True
    noise: float | None = None
    outputs: int = 1


def facts(
    X: Any, y: Array, *, classification: bool, scaled: bool = True, smooth: bool = True, weight: Array | None = None,
    center: bool = True, moments: Moments | None = None, random_state: Any = None,
) -> Facts:  # fmt: skip
    """Measure a problem.

    Parameters
    ----------
    X : ndarray, memory map or CSR matrix of shape (n_samples, n_features)
        Validated rows; read in blocks, never made dense.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Labels, or real targets.
    classification : bool
        Whether `y` holds labels.
    scaled : bool, default=True
        Whether the fit works in standardised coordinates.
    smooth : bool, default=True
        Whether the loss has a second derivative.
    weight : ndarray of shape (n_samples,), default=None
        Positive sample weights.
    center : bool, default=True
        Whether there is an intercept (so that means cost nothing once columns are scaled).
    moments : Moments, default=None
        Means and variances of the columns if they are known. Then nothing is read but the sample, frequencies are the
        sample's, and what is not needed for the advice is not measured.
    random_state : int, RandomState or None, default=None
        Seed of the sample.

    Returns
    -------
    Facts

    Raises
    ------
    ValueError
        If `X` holds values that are not finite (so that nobody has to read it beforehand).
    """
    y = np.asarray(y)
    task: Task
    if classification:
        task = Classification("ovr").learn(y, None)
    else:
        y = y.reshape(len(y), -1)
        task = RealTargets(y.shape[1])
    return measure(
        X, task, y, scaled=scaled, smooth=smooth, weight=weight, center=center, moments=moments,
        random_state=random_state,
    )  # fmt: skip


def measure(
    X: Any, task: Task, y: Array, *, scaled: bool, smooth: bool, weight: Array | None, center: bool,
    moments: Moments | None = None, random_state: Any = None,
) -> Facts:  # fmt: skip
    """The same for a task that is known; the other parameters are those of :func:`facts`."""
    n, d = X.shape
    index = _sample(n, d, check_random_state(random_state))
    S = X[index]
    s = None if weight is None else weight[index]
    whole = moments is None
    if whole:
        with np.errstate(invalid="ignore", over="ignore"):
            moments, filled, total = _pass(X, weight)
        if not np.isfinite(moments.mean).all():
            raise ValueError("Input X contains NaN or infinity: drop or impute them first.")
    else:
        _, filled, total = _pass(S, s)
    frequency = filled / total
    coordinates = moments.coordinates(True, 1.0, np.float64)
    mean, inverse = coordinates.mean[:, 0], coordinates.inverse_scale[:, 0]
    varies = inverse > 0
    std = 1 / inverse[varies]
    residual = task.residual(y, weight, index)
    variance = np.average(residual**2, axis=0, weights=s).sum()
    if s is not None:
        s = s / s.mean()
    used = moments.coordinates(center, 1.0, np.float64) if scaled else Coordinates()
    eigenvalues, gain, explained = _spectrum(S, s, residual, used)
    raw = eigenvalues
    if scaled:
        raw = _spectrum(S, s, residual, Coordinates())[0] if whole else np.full(2, np.nan)
    seen = frequency[varies & (frequency > 0)]
    return Facts(
        n_samples=n,
        n_features=d,
        n_columns=task.n_columns,
        classes=task.n_classes,
        smallest_class=task.smallest_class(y, weight),
        sparse=sp.issparse(X),
        density=float(frequency.mean()) if d else 0.0,
        constant_columns=int((~varies).sum()),
        scale_ratio=float(std.max() / std.min()) if len(std) else 1.0,
        largest_offset=float(np.max(np.abs(mean[varies]) / std)) if len(std) else 0.0,
        scaled=bool(scaled),
        condition_number=_ratio(eigenvalues),
        raw_condition_number=_ratio(raw),
        ravine=_gradient_steps(eigenvalues / eigenvalues[:1], gain) if len(eigenvalues) else 1.0,
        rare_share=float((frequency[varies] < RARE).mean()) if varies.any() else 0.0,
        frequency_ratio=_ratio(np.sort(seen)[::-1]),
        sample_rows=len(index),
        smooth=bool(smooth),
        noise=_noise(explained, variance, len(index), len(eigenvalues)),
        outputs=task.outputs,
    )


def _noise(explained: float, variance: float, rows: int, directions: int) -> float | None:
    """What is left of the variance, as an adjusted R2 counts it."""
    if not variance > 0 or rows <= directions + 1:
        return None
    return float(np.clip((1 - explained / variance) * rows / (rows - directions), 0, 1))


def _sample(n: int, d: int, rng: Any) -> Array:
    """Numbers of the rows whose curvature is measured."""
    rows = min(n, SAMPLE_ROWS if d <= SAMPLE_ROWS // 2 else SAMPLE_ROWS // 2)
    return np.arange(n) if rows == n else np.sort(rng.choice(n, rows, replace=False))


def _blocks(X: Any) -> Iterator[slice]:
    n, d = X.shape
    rows = n if sp.issparse(X) else max(1, _BLOCK // max(1, d))
    for start in range(0, n, max(1, rows)):
        yield slice(start, start + rows)


def _pass(X: Any, weight: Array | None) -> tuple[Moments, Array, float]:
    """Moments, and the weight of the rows in which each column is not zero."""
    moments, filled, total = Moments(), np.zeros(X.shape[1]), 0.0
    for block in _blocks(X):
        B = X[block] if not sp.issparse(X) else X
        w = None if weight is None else weight[block].astype(np.float64)
        moments.update(B, w)
        total += float(B.shape[0]) if w is None else float(w.sum())
        if sp.issparse(B):
            row = None if w is None else np.repeat(w, np.diff(B.indptr))
            stored = B.data != 0
            filled += np.bincount(B.indices[stored], None if row is None else row[stored], minlength=X.shape[1])
        else:
            filled += np.count_nonzero(B, axis=0) if w is None else w @ (B != 0)
    return moments, filled, total


def _spectrum(S: Any, s: Array | None, residual: Array, coordinates: Coordinates) -> tuple[Array, Array, float]:
    """Curvatures of the sample in falling order, what is to be gained along each, what the sample itself would gain.

    Of the columns in the given coordinates, or of the columns and a one where they are the data's own. The second
    moments are formed on the smaller side, by algebra where the sample is sparse.
    """
    m, d = S.shape
    root = np.ones(m) if s is None else np.sqrt(s)
    with np.errstate(over="ignore", invalid="ignore"):
        if sp.issparse(S) and min(m, d) * 8 < d:
            G = _gram_of_rows(S.astype(np.float64), coordinates)
            G *= np.outer(root, root) / m
            values, vectors = _eigh(G)
            along = np.sqrt(values)[:, None] * (vectors.T @ (root[:, None] * residual)) / np.sqrt(m)
        else:
            A = S.toarray() if sp.issparse(S) else np.asarray(S)
            A = A.astype(np.float64)
            if coordinates.identity:
                A = np.column_stack([A, np.ones(m)])
            else:
                A = (A - coordinates.mean[:, 0]) * coordinates.inverse_scale[:, 0]
            A = A * (root / np.sqrt(m))[:, None]
            if A.shape[1] <= m:
                values, vectors = _eigh(A.T @ A)
                along = vectors.T @ (A.T @ (root[:, None] * residual)) / np.sqrt(m)
            else:
                values, vectors = _eigh(A @ A.T)
                along = np.sqrt(values)[:, None] * (vectors.T @ (root[:, None] * residual)) / np.sqrt(m)
    noise = ((root[:, None] * residual) ** 2).mean(axis=0) / m
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = along**2 / values[:, None]
        gain = np.maximum(gains - noise, 0.0).sum(axis=1)
    return values, gain, float(gains.sum())


def _eigh(G: Array) -> tuple[Array, Array]:
    """Eigenvalues above rounding, largest first, with their vectors."""
    if not np.isfinite(G).all():
        G = np.nan_to_num(G, nan=0.0, posinf=0.0, neginf=0.0)
    values, vectors = np.linalg.eigh(G)
    keep = values > len(G) * np.finfo(np.float64).eps * max(values[-1], np.finfo(np.float64).tiny)
    return values[keep][::-1], vectors[:, keep][:, ::-1]


def _gram_of_rows(S: Any, coordinates: Coordinates) -> Array:
    """Inner products of sparse rows in the given coordinates: nothing of the size of `S` is made dense."""
    if coordinates.identity:
        return np.asarray((S @ S.T).toarray()) + 1.0
    T = S @ sp.diags_array(coordinates.inverse_scale[:, 0])
    shift = (coordinates.mean * coordinates.inverse_scale)[:, 0]
    cross = np.asarray(T @ shift)
    return np.asarray((T @ T.T).toarray()) - cross[:, None] - cross[None, :] + shift @ shift


def _ratio(falling: Array) -> float:
    return float(falling[0] / falling[-1]) if len(falling) else 1.0


def _gradient_steps(curvature: Array, gain: Array) -> float:
    """Steps t with ``sum(gain * (1 - curvature)**(2 t)) = _LEFT * sum(gain)``, by bisection of log t."""
    total = gain.sum()
    if total <= 0:
        return 1.0
    rate = 2 * np.log1p(-np.minimum(curvature, 1 - 1e-12))

    def left(t: float) -> float:
        return float((gain * np.exp(t * rate)).sum() / total)

    low, high = 1.0, _LONGEST
    if left(low) <= _LEFT:
        return low
    if left(high) > _LEFT:
        return high
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if left(middle) > _LEFT else (low, middle)
    return float(high)

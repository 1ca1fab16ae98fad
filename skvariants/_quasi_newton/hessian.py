r"""Hessians of a sample of rows: Cholesky factors or matrices for blocks of columns, or a diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from skvariants._quasi_newton.batch import StageBatch
from skvariants._training.problem import columns_of
from skvariants._training.state import Fields, informative, per_column, shared

Array = np.ndarray
# weights between whose gradients the curvature of a user's penalty is taken
_NEAR_ZERO = 1e-3
# rows that are looked at before all are, and by what curvatures that are the same differ by rounding
_FEW, _SAME = 256, 1e-6
# means in standard deviations whose squares cost four of sixteen digits
_FAR = 1e2
# share of stored values below which products of sparse rows are cheaper
_THIN = 16
# columns from which, and features up to which, pairs of features are multiplied once for all columns, so many rows at a
# time (on one core 6 times faster at 9 features and 64 columns, 2.5 times at 52, 1.2 to 1.4 at 101 and half as many)
_SEVERAL, _NARROW, _PAIRED = 8, 128, 128


def l2_strengths(penalty: Any, d: int, k: int) -> Array:
    """Curvature of the penalty in each weight, shape ``(d, k)``: its L2 strength, or that of a smooth one near zero."""
    if penalty.separable:
        return np.broadcast_to(np.asarray(penalty.l2_strength, dtype=np.float64), (d, k))
    curvature = np.zeros((d, k))
    if not penalty.has_prox:
        for sign in (1, -1):
            gradient = np.zeros((d, k))
            penalty.add_gradient(np.full((d, k), sign * _NEAR_ZERO), gradient)
            curvature += sign * gradient / (2 * _NEAR_ZERO)
    return np.maximum(curvature, 0.0, out=curvature)


@dataclass(frozen=True)
class Plan:
    """Rows of a Hessian, and which columns it is made for.

    Parameters
    ----------
    rows : int
        How many rows it sees.
    unit : int
        Adjacent columns of one block: one, or those of a model whose loss couples them.
    common : bool
        Whether the columns of a model have one block, which stands for :math:`H_j \approx h \bar H` with `h` the mean
        curvature of the model.
    relative: bool = False
        Whether damping is relative to the curvature that each weight would have were it the same in all rows
        (Marquardt), instead of curvature of each prediction (Levenberg).
    partial : bool, default=False
        Whether even all rows of the batch are but some of those whose deviations the coordinates know.
    """

    rows: int
    unit: int = 1
    common: bool = False
    relative: bool = False
    partial: bool = False


@dataclass(eq=False, repr=False)
class Blocks(Fields):
    """A symmetric matrix, or its Cholesky factor, for each unit of adjacent columns.

    Attributes
    ----------
    matrices : list of ndarray
        One a unit, or a single one for all.
    scale : ndarray of shape (n_columns,) or None
        Mean curvature of each column, where the columns of a model have one block.
    unit : int
        Columns of a block.
    exact : bool
        Whether it is the Hessian of all rows, classes coupled.
    n_columns : int
        Columns of all blocks.
    """

    matrices: Any = informative(list)
    scale: Any = per_column(None)
    unit: int = shared(1)
    exact: bool = shared(False)
    n_columns: int = informative(1)

    diagonal: ClassVar[bool] = False

    def solve(self, G: Array) -> Array:
        """``H^-1 G``, of factors."""
        if len(self.matrices) == 1 and (self.unit == 1 or self.scale is not None):
            out = _solve(self.matrices[0], G)
            return out if self.scale is None else out / self.scale
        out = np.empty(G.shape)
        for j, factor in enumerate(self.matrices):
            if self.scale is None:
                self.put(out, j, _solve(factor, self.get(G, j)))
                continue
            at = slice(j * self.unit, (j + 1) * self.unit)
            out[:, at] = _solve(factor, G[:, at]) / self.scale[at]
        return out

    def get(self, G: Array, j: int) -> Array:
        """The columns of unit `j` as one vector."""
        return G[:, j * self.unit : (j + 1) * self.unit].ravel("F").astype(np.float64, copy=False)

    def put(self, G: Array, j: int, v: Array) -> None:
        """Write a vector to the columns of unit `j`."""
        G[:, j * self.unit : (j + 1) * self.unit] = v.reshape(-1, len(G)).T

    def of_each_unit(self) -> list[Array]:
        """The matrix of each unit."""
        n_units = self.n_columns // self.unit
        return self.matrices if len(self.matrices) == n_units else self.matrices * n_units

    def take(self, models: Array) -> Blocks:
        part = super().take(models)
        columns = columns_of(models, self.width)
        part.n_columns = len(columns)
        if len(self.matrices) > 1:
            part.matrices = [self.matrices[j // self.unit] for j in columns[:: self.unit]]
        return part

    def copy(self) -> Blocks:
        copy = super().copy()
        copy.matrices = [A.copy("K") for A in self.matrices]
        return copy

    def join(self, others: Any) -> Blocks:
        joined = super().join(others)
        joined.matrices = [A for blocks in (self, *others) for A in blocks.of_each_unit()]
        joined.n_columns = sum(blocks.n_columns for blocks in (self, *others))
        return joined


def sampled_hessian(batch: StageBatch, Z: Array, plan: Plan, damping: Array, factored: bool = True) -> Blocks:
    """The Hessian of some rows at predictions `Z`, penalty and damping included.

    Parameters
    ----------
    batch : StageBatch
        Rows and columns.
    Z : ndarray of shape (n_rows, n_columns)
        Predictions.
    plan : Plan
        Which rows, and what a block is.
    damping : ndarray of shape (n_columns,)
        Curvature that is added to that of each prediction.
    factored : bool, default=True
        Whether blocks are Cholesky factors.
    """
    k, d, unit = Z.shape[1], batch.d, plan.unit
    partial = plan.partial or plan.rows < batch.n
    blocks = Blocks(width=batch.width, unit=unit, exact=not partial and unit == batch.width, n_columns=k)
    if partial:
        batch, Z = batch.head(plan.rows, Z)
    rows = slice(0, plan.rows)
    l2 = l2_strengths(batch.problem.penalty, d, k)
    D = batch.hessian_weights(Z, rows) if unit == 1 else batch.coupling(Z, rows)
    if unit == 1 and not plan.relative and damping.any():
        s = batch.weights(rows)
        D = D + (damping if s is None else damping * s)
    level = _levels(D, plan, batch)
    if plan.common and D.shape[1] > 1:
        blocks.scale, blocks.exact, blocks.unit = np.repeat(level, batch.width), False, batch.width
        if plan.relative:
            # in all rows the same: what rows that are told apart say no more is what the others are about to need
            s = batch.weights(rows)
            D = np.broadcast_to(np.ones((1, 1)) if s is None else s, (len(D), len(level)))
        else:
            D = D.reshape(len(D), -1, batch.width).mean(axis=2) / level
        l2 = (l2 / blocks.scale).reshape(d, -1, batch.width).mean(axis=2)
        damping, level = damping[:: batch.width], np.ones(len(level))
    H, squares, missing_variance = hessians(batch, D, plan, partial, np.zeros(k) if plan.relative else damping)
    if plan.relative:
        squares = squares + missing_variance
        l2 = l2 + squares[:, None] * damping * np.repeat(level, len(damping) // len(level))
    single = len(H) == 1 and factored and (l2 == l2[:, :1]).all()
    for j in range(1 if single else l2.shape[1] // unit):
        A = H[j] if len(H) > 1 else H[0].copy()
        at = slice(j * unit, (j + 1) * unit)
        extra = np.zeros((d + 1, unit))
        extra[:-1] = l2[:, at]
        if missing_variance.any():
            c = np.minimum(np.arange(at.start, at.stop), D.shape[1] - 1)
            extra[:-1] += missing_variance[:, None] * D[:, c].mean(axis=0)
        blocks.matrices.append(finished(A, extra, batch.problem.fit_intercept, Z.dtype, factored))
    return blocks


def _levels(D: Array, plan: Plan, batch: StageBatch) -> Array:
    """Curvature that stands for that of all weights of a model: its mean over rows and columns.

    For classes that are coupled it is that of the best constant model: it does not vanish as they part.
    """
    width = batch.width
    if plan.unit > 1 and plan.relative:
        y, s = batch.labels(slice(0, plan.rows), batch.problem.encoding.n_columns)
        share = (y.mean(axis=0) if s is None else (y * s).mean(axis=0)).astype(np.float64)
        return np.maximum((share * (1 - share)).reshape(-1, width).mean(axis=1), 1e-300)
    # rows or columns of one curvature have one column
    return np.maximum(D.mean(axis=0).reshape(-1, min(width, D.shape[1])).mean(axis=1), 1e-300)


def finished(A: Array, extra: Array, fit_intercept: bool, dtype: Any, factored: bool) -> Array:
    """The matrix of a unit, or its factor: `A` with `extra` on its diagonal, and no direction without curvature."""
    d, unit = len(extra) - 1, extra.shape[1]
    ridge = 1e-10 if dtype == np.float64 else 1e-6
    diagonal = A.diagonal() + extra.ravel("F")
    if not fit_intercept:
        last = np.arange(d, unit * (d + 1), d + 1)
        A[last] = A[:, last] = 0.0
        diagonal[last] = 1.0
    diagonal[~(diagonal > 0)] = 1.0
    if unit > 1:
        # what all classes have in common changes nothing: give that direction a curvature, and it stays
        common = np.append(extra[:-1].max(axis=1) == 0 if factored else np.zeros(d, bool), fit_intercept)
        blocks = A.reshape(unit, d + 1, unit, d + 1)
        at = np.flatnonzero(common)
        fraction = diagonal.reshape(unit, d + 1).mean(axis=0)[at] / unit
        blocks[:, at, :, at] += fraction[:, None, None]
        diagonal.reshape(unit, d + 1)[:, at] += fraction
    np.fill_diagonal(A, diagonal * (1 + ridge))
    return _cholesky(A, ridge * diagonal) if factored else A


def _solve(factor: Array, G: Array) -> Array:
    """Solution for right sides as columns; LAPACK itself, as small systems are solved by the thousand."""
    return lapack.dpotrs(factor, G, lower=1)[0]


def _cholesky(A: Array, ridge: Array) -> Array:
    """Lower factor of `A`, with as much more ridge as it takes."""
    diagonal = A.diagonal().copy()
    for _ in range(8):
        factor, failed = lapack.dpotrf(A, lower=1, clean=0)
        if not failed:
            return factor
        ridge = 100 * ridge
        np.fill_diagonal(A, diagonal + ridge)
    return np.diag(np.sqrt(diagonal))


def hessians(
    batch: StageBatch, D: Array, plan: Plan, partial: bool, damping: Array
) -> tuple[list[Array], Array, Array]:  # fmt: skip
    """Hessians of the loss over the first rows, the mean square of each column, and the variance that these rows lack.

    A standardised column has variance one; a sample that misses the few rows where it is not zero does not
    show that.
    """
    d, k, unit, m = batch.d, D.shape[1], plan.unit, plan.rows
    H = [np.zeros((unit * (d + 1), unit * (d + 1))) for _ in range(k // unit)]
    squares = np.zeros(d + 1)
    X = batch.problem.rows.X
    if batch.sparse and unit == 1 and X.nnz < batch.n * d / _THIN:
        squares = _thin_hessians(batch, D, m, H)
    elif unit == 1 and _keeps_digits(batch) and not (plan.relative and batch.problem.rows.weight is not None):
        squares = _raw_hessians(batch, D, m, H, partial or plan.relative)
    else:
        step = max(64, (1 << 19) // (unit * (d + 1)))
        for i in range(0, m, step):
            rows = slice(i, min(i + step, m))
            C = batch.standardised(rows)
            if partial or plan.relative:
                s = batch.weights(rows)
                squares += np.einsum("ij,ij->j", C, C if s is None else C * s)
            if unit == 1:
                _add_products(H, C, D[rows])
            else:
                _add_coupled(H, C, D[rows], batch.weights(rows), damping)
    for A in H:
        A /= m
    squares = squares[:-1] / m
    missing = np.zeros(d)
    coordinates = batch.problem.coordinates
    if partial and not coordinates.identity:
        missing = np.where((squares < 0.5) & (coordinates.inverse_scale[:, 0] > 0), 1.0 - squares, 0.0)
    return H, squares, missing


def _add_products(H: list[Array], C: Array, D: Array) -> None:
    """Add ``C' diag(D_j) C`` to the Hessian of each column."""
    if len(H) >= _SEVERAL and C.shape[1] <= min(_NARROW, 2 * len(H)):
        _add_pairs(H, C, D)
        return
    root = np.sqrt(np.maximum(D, 0)).astype(C.dtype)
    for j, A in enumerate(H):
        B = C * root[:, j : j + 1]
        A += B.T @ B


def _add_pairs(H: list[Array], C: Array, D: Array) -> None:
    """The same for many columns of few features: products of pairs of features once, for all columns."""
    size = C.shape[1]
    pairs = np.empty((size * (size + 1) // 2, min(len(C), _PAIRED)), C.dtype)
    sums = np.zeros((len(pairs), len(H)))
    D = np.maximum(D, 0).astype(C.dtype, copy=False)
    for start in range(0, len(C), _PAIRED):
        rows = np.ascontiguousarray(C[start : start + _PAIRED].T)
        part, at = pairs[:, : rows.shape[1]], 0
        for a in range(size):
            np.multiply(rows[a], rows[a:], out=part[at : at + size - a])
            at += size - a
        sums += np.dot(part, D[start : start + _PAIRED])
    above, below = np.triu_indices(size)
    for A, values in zip(H, sums.T, strict=True):
        square = np.empty_like(A)
        square[above, below] = square[below, above] = values
        A += square


def _add_coupled(H: list[Array], C: Array, P: Array, s: Array | None, damping: Array) -> None:
    """Add the Hessian of the softmax of each model, with as much curvature of each prediction as `damping` says."""
    size = C.shape[1]
    unit = len(H[0]) // size
    for j, A in enumerate(H):
        at = slice(j * unit, (j + 1) * unit)
        A += coupled_products(C, P[:, at].astype(C.dtype, copy=False), s)
        if damping[at].any():
            square = C.T @ (C if s is None else C * s)
            for c in range(unit):
                block = slice(c * size, (c + 1) * size)
                A[block, block] += damping[at][c] * square


def coupled_products(C: Array, p: Array, s: Array | None = None) -> Array:
    """``C' (diag(p) - p p') C`` between all classes, of their probabilities and the weights of rows.

    Rows of `C` times each probability are columns here: so short as they are, that takes a third of the time.
    """
    (n, size), unit = C.shape, p.shape[1]
    V = (np.ascontiguousarray(p.T)[:, None] * np.ascontiguousarray(C.T)).reshape(-1, n)
    if s is not None:
        root = np.sqrt(s)
        V *= root.T
        C = C * root
    H = V @ V.T
    np.negative(H, out=H)
    own = (V @ C).reshape(unit, size, size)
    for c in range(unit):
        H[c * size : (c + 1) * size, c * size : (c + 1) * size] += own[c]
    return H


def _thin_hessians(batch: StageBatch, D: Array, m: int, H: list[Array]) -> Array:
    r"""Add to `H` from sparse products, and return the squared norm of each column.

    Columns that are well filled, or whose centring would cancel digits, are made dense. With `u` and `v` columns of
    `X`, :math:`\sum_i a_i (u_i - \mu)(v_i - \nu) = u^\top A v - \mu a^\top v - \nu a^\top u + \mu \nu \sum_i a_i`.
    """
    c, d = batch.problem.coordinates, batch.d
    X = batch.problem.rows.X[:m].astype(np.float64)
    mean = np.zeros(d) if c.identity else c.mean[:, 0].astype(np.float64)
    inverse = np.ones(d) if c.identity else c.inverse_scale[:, 0].astype(np.float64)
    filled = np.bincount(X.indices, minlength=d)
    full = (filled > 0.2 * m) | (np.abs(mean * inverse) > 1e3)
    q = np.append(np.flatnonzero(full), d)
    rest = np.flatnonzero(~full)
    C = np.ones((m, len(q)))
    C[:, :-1] = (X[:, q[:-1]].toarray() - mean[q[:-1]]) * inverse[q[:-1]]
    S = X[:, rest] @ sp.diags_array(inverse[rest])
    S = S.tocsr()
    mu = mean[rest] * inverse[rest]
    s = batch.weights(slice(0, m))
    columns = [*D.T, np.ones(m) if s is None else s[:, 0].astype(np.float64)]
    squares = np.zeros(d + 1)
    for j, a in enumerate(columns):
        a = np.maximum(a, 0)
        if j == len(columns) - 1:
            squares[rest] = S.multiply(S).T @ a - 2 * mu * (S.T @ a) + mu**2 * a.sum()
            squares[q] = a @ (C * C)
            break
        A = H[j]
        AC = C * a[:, None]
        cross = S.T @ AC - np.outer(mu, AC.sum(axis=0))
        A[np.ix_(q, q)] += C.T @ AC
        A[np.ix_(rest, q)] += cross
        A[np.ix_(q, rest)] += cross.T
        R = S.multiply(np.sqrt(a)[:, None]).tocsr()
        block = (R.T @ R).toarray()
        half = S.T @ a - mu * (0.5 * a.sum())
        block -= np.stack([half, mu], axis=1) @ np.stack([mu, half])
        if len(q) == 1:
            A[:-1, :-1] += block
        else:
            A[np.ix_(rest, rest)] += block
    return squares


def _keeps_digits(batch: StageBatch) -> bool:
    """Whether products of columns as they are, centred afterwards, lose no more than four digits of sixteen."""
    c = batch.problem.coordinates
    if batch.sparse or batch.problem.rows.dtype != np.float64:
        return False
    return bool(c.identity or (np.abs(c.mean * c.inverse_scale) <= _FAR).all())


def _raw_hessians(batch: StageBatch, D: Array, m: int, H: list[Array], squared: bool) -> Array:
    """Add to `H` from products of the columns as they are, and return the squared norm of each centred one if asked.

    No standardised copy is made; columns are centred as in :func:`_thin_hessians`.
    """
    c, d, X = batch.problem.coordinates, batch.d, batch.problem.rows.X
    squares, sums = np.zeros(d), np.zeros(d)
    step = max(64, (1 << 17) // (d + 1))
    for i in range(0, m, step):
        rows = X[i : min(i + step, m)]
        if squared:
            squares += np.einsum("ij,ij->j", rows, rows)
            sums += np.ones(len(rows)) @ rows
        for j, A in enumerate(H):
            a = np.maximum(D[i : i + len(rows), j], 0.0)
            level = a[0]
            if (a == level).all():
                A[:d, :d] += level * (rows.T @ rows)
            else:
                B = rows * np.sqrt(a)[:, None]
                A[:d, :d] += B.T @ B
            A[d, :d] += a @ rows
            A[d, d] += a.sum()
    mean = np.zeros(d) if c.identity else c.mean[:, 0]
    inverse = np.ones(d) if c.identity else c.inverse_scale[:, 0]
    for A in H:
        shift = np.outer(mean, A[d, :d])
        A[:d, :d] -= shift
        A[:d, :d] -= shift.T
        A[:d, :d] += np.outer(mean, mean * A[d, d])
        A[:d, :d] *= np.outer(inverse, inverse)
        A[d, :d] = (A[d, :d] - mean * A[d, d]) * inverse
        A[:d, d] = A[d, :d]
    return np.append((squares - 2 * mean * sums + mean**2 * m) * inverse**2, float(m))


@dataclass(eq=False, repr=False)
class Diagonal(Fields):
    """The diagonal of the Hessian, for more features than a Cholesky factor is worth; see :func:`diagonal_hessian`."""

    h: Any = per_column(None)

    diagonal: ClassVar[bool] = True
    exact: ClassVar[bool] = False

    def solve(self, G: Array) -> Array:
        """``H^-1 G``."""
        return G / self.h


def diagonal_hessian(batch: StageBatch, Z: Array) -> Diagonal:
    """The diagonal of the Hessian of all rows of a batch at predictions `Z`, L2 included."""
    k, d = Z.shape[1], batch.d
    p = batch.problem
    h = _diagonal_of_constant(batch, Z)
    if h is None:
        h = _diagonal_of_loss(batch, Z)
    h[:-1] += l2_strengths(p.penalty, d, k)
    # a floor, or a feature that is rare in the rows drawn would leap
    h = np.maximum(h, 1e-3 * np.maximum(h.mean(axis=0), 1e-300))
    if not p.fit_intercept:
        h[-1] = 1.0
    return Diagonal(width=batch.width, h=h)


def _diagonal_of_constant(batch: StageBatch, Z: Array) -> Array | None:
    """The diagonal where all rows have one curvature, as at a constant model; None where they have not.

    It is that of standardised columns, as if their variance were one on every part of the rows too.
    """
    c = batch.problem.coordinates
    if c.identity:
        return None
    for rows in (slice(0, min(batch.n, _FEW)), slice(0, batch.n)):
        D = batch.curvatures(Z, rows)
        if not (np.abs(D - D[0]) <= _SAME * D[0]).all():
            return None
    s = batch.weights(slice(0, batch.n))
    h = np.ones((batch.d + 1, Z.shape[1]))
    h[:-1] = c.inverse_scale > 0
    return h * (D[0] if s is None else D[0] * s.mean(dtype=np.float64))


def _diagonal_of_loss(batch: StageBatch, Z: Array) -> Array:
    """The diagonal of the Hessian of the loss alone, of all rows of a batch."""
    k, d = Z.shape[1], batch.d
    c, X = batch.problem.coordinates, batch.problem.rows.X
    h = np.zeros((d + 1, k))
    for rows in [slice(0, batch.n)] if batch.sparse else batch.slices(max(k, min(d, 1024))):
        D = np.broadcast_to(batch.hessian_weights(Z, rows), (rows.stop - rows.start, k))
        total = D.sum(axis=0)
        h[-1] += total
        if not batch.sparse:
            C = X[rows] if c.identity else (X[rows] - c.mean[:, 0]) * c.inverse_scale[:, 0]
            h[:-1] += (C * C).T @ D
            continue
        square = sp.csr_matrix((X.data * X.data, X.indices, X.indptr), shape=X.shape).T @ D
        if not c.identity:
            square -= 2 * c.mean * (X.T @ D)
            square += c.mean**2 * total
            square *= c.inverse_scale**2
        h[:-1] += np.maximum(square, 0, out=square)
    return h / batch.n


__all__ = [
    "Blocks", "Diagonal", "Plan", "coupled_products", "diagonal_hessian", "finished", "hessians", "l2_strengths",
    "sampled_hessian",
]  # fmt: skip

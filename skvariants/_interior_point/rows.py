"""Some rows of a problem as one matrix, in double precision, and what its products cost to invert.

Internally a column is ``(w, b)`` with `b` in units of the prediction: ``z = X w + b`` where `X` has standardised
columns (dense) or scaled, uncentred ones (sparse); with an intercept both are the same problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

Array = np.ndarray
Blocks = Sequence[tuple[Array, Array]]
#: Features up to which a Cholesky factor of their Hessian is made.
FACTORED = 1536
#: Rows or features, whichever are fewer, up to which a factor is made where L1 leaves more features than that.
LARGEST = 6000
#: Rows up to which one of their Gram matrix is made, where there are more features.
GRAM = 2500
#: Rows up to which it is made without trying conjugate gradients first.
FEW = 100
# share of stored values below which products of sparse rows are cheaper
_THIN = 1 / 16
# of a diagonal, so that a factor exists
_RIDGE = 1e-13
# steps of conjugate gradients, and the share of the squared residual that ends them
_CG_STEPS, _CG_ENOUGH = 150, 1e-6
# most refinements of a solution
_REFINED = 4


class Frame:
    """How the features of a column are scaled and centred.

    Parameters
    ----------
    problem : Problem
        Of a single column.
    """

    def __init__(self, problem: Any) -> None:
        c, d = problem.coordinates, problem.d
        self.intercept, self.sparse = problem.fit_intercept, problem.rows.sparse and not problem.rows.densify
        if c.identity:
            self.units, self.mean, self.target = np.ones(d), np.zeros(d), 1.0
        else:
            self.units = np.broadcast_to(np.asarray(c.units, dtype=np.float64), (d, 1))[:, 0].copy()
            self.mean = np.asarray(c.mean_row, dtype=np.float64).ravel().copy()
            self.target = float(np.ravel(c.target)[0])
        self.shift = self.mean * self.units

    def inner(self, theta: Array) -> Array:
        """``(w, b)`` of a column in the coordinates worked in."""
        v = np.asarray(theta, dtype=np.float64).copy()
        v[-1] = v[-1] * self.target - (self.shift @ v[:-1] if self.sparse else 0.0)
        return v

    def outer(self, v: Array) -> Array:
        """The column in the coordinates worked in of ``(w, b)``."""
        theta = v.copy()
        theta[-1] = (theta[-1] + (self.shift @ v[:-1] if self.sparse else 0.0)) / self.target
        return theta

    def predict(self, X: Any, v: Array) -> Array:
        """Predictions for rows of the table."""
        w = self.units * v[:-1]
        b = v[-1] - (0.0 if self.sparse else self.mean @ w)
        return np.asarray(X @ w.astype(X.dtype), dtype=np.float64) + b

    def gradient(self, X: Any, r: Array) -> Array:
        """``(X' r, sum r)`` of rows of the table, scaled (and centred)."""
        g = self.units * np.asarray(X.T @ r.astype(X.dtype), dtype=np.float64)
        if not self.sparse:
            g -= self.shift * r.sum()
        return np.append(g, r.sum() if self.intercept else 0.0)

    def matrix(self, rows: Any, index: Any, features: Array | None) -> Matrix:
        """Some rows, and all or some features, as a matrix."""
        if self.sparse:
            X = rows.X[index].astype(np.float64)
            if features is not None:
                X = X[:, features]
            units = self.units if features is None else self.units[features]
            return SparseMatrix((X @ sp.diags_array(units)).tocsr(), self.intercept)
        X = rows.X[index]
        X = X.toarray() if sp.issparse(X) else X
        which = slice(None) if features is None else features
        C = np.empty((X.shape[0], self.units[which].size + 1))
        np.subtract(X[:, which], self.mean[which], out=C[:, :-1])
        C[:, :-1] *= self.units[which]
        C[:, -1] = float(self.intercept)
        return DenseMatrix(C, self.intercept)


class Matrix:
    """Rows with a column of ones as last (of zeros without an intercept)."""

    n: int
    d: int
    intercept: bool

    def dot(self, v: Array) -> Array:
        """Predictions."""
        raise NotImplementedError

    def transposed(self, r: Array) -> Array:
        """Sums over rows, weighted by `r`."""
        raise NotImplementedError

    def hessian(self, weight: Array) -> Array:
        """``C' diag(weight) C``."""
        raise NotImplementedError

    def gram(self, inverse: Array) -> Array:
        """``X diag(inverse) X'`` without the intercept."""
        raise NotImplementedError

    def diagonal(self, weight: Array) -> Array:
        """The diagonal of :meth:`hessian`."""
        raise NotImplementedError

    def take(self, index: Array) -> Matrix:
        """Some of the rows."""
        raise NotImplementedError

    def stretched(self, scale: Array) -> Any:
        """Rows without the ones, each feature times its scale; features that no row stores are left out."""
        raise NotImplementedError


class DenseMatrix(Matrix):
    """Dense rows."""

    def __init__(self, C: Array, intercept: bool) -> None:
        self.C, self.intercept = C, intercept
        self.n, self.d = C.shape[0], C.shape[1] - 1

    def dot(self, v: Array) -> Array:
        return self.C @ v

    def transposed(self, r: Array) -> Array:
        return self.C.T @ r

    def hessian(self, weight: Array) -> Array:
        B = self.C * np.sqrt(weight)[:, None]
        return B.T @ B

    def gram(self, inverse: Array) -> Array:
        B = self.C[:, :-1] * np.sqrt(inverse)
        return B @ B.T

    def diagonal(self, weight: Array) -> Array:
        return weight @ (self.C * self.C)

    def take(self, index: Array) -> Matrix:
        return DenseMatrix(self.C[index], self.intercept)

    def stretched(self, scale: Array) -> Any:
        return self.C[:, :-1] * scale


class SparseMatrix(Matrix):
    """Sparse rows; the ones are not stored."""

    def __init__(self, X: Any, intercept: bool) -> None:
        self.X, self.intercept = X, intercept
        self.n, self.d = X.shape

    def dot(self, v: Array) -> Array:
        return self.X @ v[:-1] + v[-1]

    def transposed(self, r: Array) -> Array:
        return np.append(self.X.T @ r, r.sum() if self.intercept else 0.0)

    def hessian(self, weight: Array) -> Array:
        root = np.sqrt(weight)
        H = np.empty((self.d + 1, self.d + 1))
        B = self.X.multiply(root[:, None]).tocsr()
        if self.X.nnz > _THIN * self.n * self.d:
            dense = B.toarray()
            H[:-1, :-1] = dense.T @ dense
        else:
            H[:-1, :-1] = (B.T @ B).toarray()
        H[-1, :-1] = H[:-1, -1] = self.X.T @ weight if self.intercept else 0.0
        H[-1, -1] = weight.sum() if self.intercept else 0.0
        return H

    def gram(self, inverse: Array) -> Array:
        B = (self.X @ sp.diags_array(np.sqrt(inverse))).tocsr()
        return np.asarray((B @ B.T).toarray())

    def diagonal(self, weight: Array) -> Array:
        squares = sp.csr_matrix((self.X.data**2, self.X.indices, self.X.indptr), shape=self.X.shape)
        return np.append(squares.T @ weight, weight.sum() if self.intercept else 0.0)

    def take(self, index: Array) -> Matrix:
        return SparseMatrix(self.X[index], self.intercept)

    def stretched(self, scale: Array) -> Any:
        stored = np.zeros(self.d, bool)
        stored[self.X.indices] = True
        number = np.cumsum(stored) - 1
        data = self.X.data * scale[self.X.indices]
        return sp.csr_matrix((data, number[self.X.indices], self.X.indptr), shape=(self.n, int(stored.sum())))


def refined(solve: Callable[[Array], Array], product: Callable[[Array], Array], g: Array) -> Array:
    """The solution of a system, and of what it leaves of the right side, while that falls."""
    x, error = solve(g), np.inf
    for _ in range(_REFINED):
        r = g - product(x)
        error, before = float(r @ r), error
        if not error < 0.1 * before:
            break
        x += solve(r)
    return x


class HessianFactor:
    """Cholesky factors of the Hessian of the features."""

    def __init__(self, matrix: Matrix, curvature: Array) -> None:
        self.matrix = matrix

    def factor(self, weight: Array, curvature: Array, blocks: Blocks = ()) -> None:
        """Factor ``C' diag(weight) C + diag(curvature)``, less the squares of `blocks`."""
        H = self.matrix.hessian(weight)
        self.weight, self.curvature, self.blocks = weight, curvature, blocks
        for features, z in blocks:
            H[np.ix_(features, features)] -= np.outer(z, z)
        if not self.matrix.intercept:
            H[-1, -1] = 1.0
        H.flat[:: len(H) + 1] += curvature
        diagonal = H.diagonal().copy()
        diagonal[~(diagonal > 0)] = 1.0
        ridge = _RIDGE
        while True:
            H.flat[:: len(H) + 1] = diagonal * (1 + ridge)
            self.L, failed = lapack.dpotrf(H, lower=1, clean=0)
            if not failed or ridge > 1:
                return
            ridge *= 100

    def solve(self, g: Array) -> Array:
        """``H^-1 g``; refined where rows are fewer than features, as differences cancel there."""
        if 2 * self.matrix.n >= self.matrix.d:
            return self._solved(g)
        return refined(self._solved, self._product, g)

    def _solved(self, g: Array) -> Array:
        return np.asarray(lapack.dpotrs(self.L, g, lower=1)[0])

    def _product(self, x: Array) -> Array:
        out = self.matrix.transposed(self.weight * self.matrix.dot(x)) + self.curvature * x
        for features, z in self.blocks:
            out[features] -= z * (z @ x[features])
        if not self.matrix.intercept:
            out[-1] += x[-1]
        return np.asarray(out)


class GramFactor:
    r"""The same system through the Gram matrix of the rows, where there are more features (Woodbury 1950).

    With `y = W (X a + b)`: :math:`(X \Lambda^{-1} X^\top + W^{-1}) y = X \Lambda^{-1} g + b`, :math:`1^\top y = g_b`.
    """

    def __init__(self, matrix: Matrix, curvature: Array) -> None:
        self.matrix, self.inverse = matrix, 1.0 / curvature[:-1]
        self.K = matrix.gram(self.inverse)

    def factor(self, weight: Array, curvature: Array, blocks: Blocks = ()) -> None:
        """Factor ``K + diag(1 / weight)``."""
        M = self.K.copy()
        M.flat[:: len(M) + 1] += 1.0 / np.maximum(weight, 1e-300)
        self.L, failed = lapack.dpotrf(M, lower=1, clean=0)
        if failed:
            M.flat[:: len(M) + 1] *= 1 + 1e-10
            self.L, _ = lapack.dpotrf(M, lower=1, clean=0)
        self.ones = lapack.dpotrs(self.L, np.ones(len(M)), lower=1)[0]

    def solve(self, g: Array) -> Array:
        """``H^-1 g``."""
        a = np.append(self.inverse * g[:-1], 0.0)
        y = lapack.dpotrs(self.L, self.matrix.dot(a), lower=1)[0]
        b = (g[-1] - y.sum()) / self.ones.sum() if self.matrix.intercept else 0.0
        y += b * self.ones
        out = np.append(self.inverse * (g[:-1] - self.matrix.transposed(y)[:-1]), b)
        return out


class MovingGramFactor(GramFactor):
    """The same where the diagonal is another at each step, and positive."""

    def __init__(self, matrix: Matrix, curvature: Array) -> None:
        self.matrix = matrix

    def factor(self, weight: Array, curvature: Array, blocks: Blocks = ()) -> None:
        """Factor the Gram matrix of this diagonal."""
        self.inverse = 1.0 / np.maximum(curvature[:-1], 1e-300)
        self.K = self.matrix.gram(self.inverse)
        self.weight, self.curvature = weight, curvature
        super().factor(weight, curvature)

    def solve(self, g: Array) -> Array:
        """``H^-1 g``, refined: where the diagonal is nearly nothing, differences cancel."""

        def product(x: Array) -> Array:
            return np.asarray(self.matrix.transposed(self.weight * self.matrix.dot(x)) + self.curvature * x)

        return refined(super().solve, product, g)


class GramGradients:
    """The system of :class:`GramFactor` by conjugate gradients: vectors are as long as rows are many."""

    def __init__(self, matrix: Matrix, curvature: Array) -> None:
        self.matrix, self.inverse = matrix, 1.0 / curvature[:-1]
        self.S = matrix.stretched(np.sqrt(self.inverse))
        self.T = self.S.T

    def factor(self, weight: Array, curvature: Array, blocks: Blocks = ()) -> None:
        """Take down the weights."""
        self.diagonal = 1.0 / np.maximum(weight, 1e-300)[:, None]
        squares = self.S.multiply(self.S).sum(axis=1) if sp.issparse(self.S) else (self.S * self.S).sum(axis=1)
        self.preconditioner = 1.0 / (self.diagonal + np.asarray(squares).reshape(-1, 1))

    def solve(self, g: Array) -> Array:
        """``H^-1 g``, nearly."""
        h = self.matrix.dot(np.append(self.inverse * g[:-1], 0.0))
        columns = np.column_stack([h, np.ones(len(h))]) if self.matrix.intercept else h[:, None]
        Y = self._solved(columns)
        y, b = Y[:, 0], 0.0
        if self.matrix.intercept:
            b = (g[-1] - y.sum()) / Y[:, 1].sum()
            y = y + b * Y[:, 1]
        return np.append(self.inverse * (g[:-1] - self.matrix.transposed(y)[:-1]), b)

    def _solved(self, R: Array) -> Array:
        """``(S S' + diag)^-1 R``, all columns at once."""
        X, R = np.zeros(R.shape), R.copy()
        Y = self.preconditioner * R
        P, rho = Y.copy(), (R * Y).sum(axis=0)
        first, self.converged = rho, False
        for _ in range(_CG_STEPS):
            if (rho <= _CG_ENOUGH * first).all():
                self.converged = True
                break
            MP = self.S @ (self.T @ P) + self.diagonal * P
            step = rho / np.maximum((P * MP).sum(axis=0), 1e-300)
            X += step * P
            R -= step * MP
            Y = self.preconditioner * R
            rho, before = (R * Y).sum(axis=0), rho
            P = Y + (rho / np.maximum(before, 1e-300)) * P
        return X


class ConjugateGradients:
    """The same system by conjugate gradients with a diagonal preconditioner (Hestenes and Stiefel 1952)."""

    def __init__(self, matrix: Matrix, curvature: Array) -> None:
        self.matrix = matrix

    def factor(self, weight: Array, curvature: Array, blocks: Blocks = ()) -> None:
        """Take down the weights."""
        self.weight, self.curvature = weight, curvature
        diagonal = self.matrix.diagonal(weight) + curvature
        self.inverse = 1.0 / np.where(diagonal > 0, diagonal, 1.0)

    def solve(self, g: Array) -> Array:
        """``H^-1 g``, nearly."""
        self.converged = False
        x, r = np.zeros(len(g)), g.copy()
        y = self.inverse * r
        p, rho = y.copy(), float(r @ y)
        first = rho
        for _ in range(_CG_STEPS):
            if not rho > _CG_ENOUGH * first:
                self.converged = True
                break
            Hp = self.matrix.transposed(self.weight * self.matrix.dot(p)) + self.curvature * p
            bend = float(p @ Hp)
            if not bend > 0:
                break
            x += (rho / bend) * p
            r -= (rho / bend) * Hp
            y = self.inverse * r
            rho, before = float(r @ y), rho
            p = y + (rho / before) * p
        return x


def newton_system(matrix: Matrix, active: Array, weight: Array, curvature: Array, g: Array) -> Array:
    """Solve with ``X_A' diag(weight) X_A + diag(curvature)`` where `A` are the `active` rows.

    Parameters
    ----------
    matrix : Matrix
        Rows.
    active : ndarray of int
        Numbers of those with curvature.
    weight : ndarray
        Theirs.
    curvature : ndarray of shape (n_features + 1,)
        The diagonal; the intercept's is zero.
    g : ndarray of shape (n_features + 1,)
        The right side.
    """
    if not active.size:
        return np.append(g[:-1] / curvature[:-1], 0.0)
    part = matrix.take(active)
    if active.size > FEW:
        equations = GramGradients(part, curvature)
        equations.factor(weight, curvature)
        solution = equations.solve(g)
        if equations.converged or active.size > GRAM:
            return solution
    exact = GramFactor(part, curvature)
    exact.factor(weight, curvature)
    return exact.solve(g)


def factored(matrix: Matrix) -> bool:
    """Whether a factor of the Hessian is made, by features or rows."""
    return min(2 * matrix.n, matrix.d) <= LARGEST


def normal_equations(matrix: Matrix, curvature: Array, direct: bool = False) -> Any:
    """The way to solve with ``C' W C + diag(curvature)`` that suits a matrix.

    Parameters
    ----------
    matrix : Matrix
        Rows.
    curvature : ndarray of shape (n_features + 1,)
        What is on the diagonal at first.
    direct : bool, default=False
        Whether it must be a factor of the Hessian of the features: blocks come beside it, or some of it is nil.
    """
    if matrix.d <= FACTORED or direct:
        return HessianFactor(matrix, curvature)
    if not factored(matrix):
        return ConjugateGradients(matrix, curvature)
    # that of the features loses fewer digits
    return (MovingGramFactor if 2 * matrix.n < matrix.d else HessianFactor)(matrix, curvature)


__all__ = ["FACTORED", "LARGEST", "Frame", "Matrix", "factored", "newton_system", "normal_equations"]

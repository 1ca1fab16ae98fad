r"""What ``solver="auto"`` does for smooth losses: a growing batch, whitened coordinates, quasi-Newton steps.

Stochastic steps find the region of the optimum fast and the optimum slowly. Here the batch grows from a few
thousand rows to all of them [1]_, [2]_, and on each batch every model takes quasi-Newton steps

.. math:: \theta \leftarrow \theta + t p, \qquad p = \arg\min_p\; g^\top p + \tfrac12 p^\top B p + \|w + p\|_{1,\lambda}

Without an L1 part this is :math:`p = -B^{-1} g`, where :math:`B^{-1}` is built by L-BFGS [3]_ from steps and gradients
upon a first guess that already knows the shape of the ravine: the Cholesky factor of the Hessian of a sample of rows,

.. math:: B_0 = \frac1m \sum_i s_i \ell''(y_i, z_i)\, x_i x_i^\top + \Lambda,

or its diagonal where there are too many features. With an L1 part the quadratic model is minimised exactly by a
search over signs [4]_, and `B` is updated in place (BFGS); so zeros are exact. Rows and products are shared by all
columns, while steps, memories, and stopping are each model's own.

Predictions are linear along `p`: with ``Z = X theta`` and ``Z_p = X p`` any number of learning rates `t` cost no
further product. So the first step is a race of them, and an iteration costs two products.

References
----------
.. [1] Friedlander and Schmidt (2012), "Hybrid deterministic-stochastic methods for data fitting", arXiv:1104.2373.
.. [2] Byrd, Chin, Nocedal and Wu (2012), "Sample size selection in optimization methods for machine learning",
   doi:10.1007/s10107-012-0572-5.
.. [3] Liu and Nocedal (1989), "On the limited memory BFGS method for large scale optimization",
   doi:10.1007/BF01589116.
.. [4] Lee, Battle, Raina and Ng (2007), "Efficient sparse coding algorithms", NIPS 19, 801-808.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from skvariants._component import Component, Real, hyperparameter
from skvariants._engine import Outcome, Problem, Rules, Run, columns_of, print_row
from skvariants._newton import ARMIJO, FAR, SHORT, newton, suits
from skvariants._race import Race

Array = np.ndarray
#: learning rates that the first step tries as columns
LADDER = 2.0 ** np.arange(4, -5, -1)
_MEMORY = 10
_BLOCK = 1 << 16
_CACHED = 1 << 26
_FEW = 1 << 17
_DENSE = 1 << 27
_ON_DISK = 1 << 28
_FACTORED = 1024
_SMALLEST_BATCH = 4096
_GROWTH = 8
_STAGE_ITERATIONS = 12
_HALVINGS = 30
# steps that call for less damping, as those below SHORT call for more
_LONG = 0.7
# iterations from whose cost on a Hessian of each class is dear
_DEAR = 3
# times its cost that is spent without a Hessian of all classes before it is made after all
_PATIENCE = 4


def _dot(A: Array, B: Array, width: int) -> Array:
    """Inner product of each model's columns, in double precision."""
    if A.shape[1] == 1 and A.dtype == B.dtype == np.float64:
        return np.dot(A.T, B)[0]
    return _models(np.einsum("ij,ij->j", A, B, dtype=np.float64), width)


def _models(columns: Array, width: int) -> Array:
    return columns if width == 1 else columns.reshape(-1, width).sum(axis=1)


def _spread(models: Array, width: int) -> Array:
    return models if width == 1 else np.repeat(models, width)


class _Batch:
    """The rows of a stage: objective and gradient of all columns from predictions."""

    def __init__(self, problem: Problem, width: int, index: Array | None = None, order: Array | None = None) -> None:
        X, weight, targets = problem.X, problem.weight, problem.targets
        # a random order of the rows, where theirs may mean something
        self.order = order
        if index is not None:
            X = problem.features(index)
            weight = None if weight is None else weight[index]
            if weight is not None:
                weight = weight / max(weight.mean(), np.finfo(weight.dtype).tiny)
            targets = targets.subset(index)
        n, d = X.shape
        if sp.issparse(X):
            X = X.toarray() if problem.densify and n * d <= _DENSE else X.tocsr()
        self._set(replace(problem, X=X, targets=targets, weight=weight), width)

    def _set(self, problem: Problem, width: int) -> None:
        problem.sparse = sp.issparse(problem.X)
        self.problem, self.width = problem, width
        self.n, self.d = problem.n, problem.d
        self.factor = problem.coordinates.factor
        self.kept: tuple[Array, Array | None] | None = None
        self.block: Array | None = None

    def take(self, columns: Array) -> None:
        """Keep a subset of the columns."""
        p = self.problem
        self._set(p.take(columns), self.width)

    def head(self, rows: int, Z: Array) -> tuple[_Batch, Array]:
        """Some random rows and their predictions."""
        if self.order is None:
            return self, Z
        index = np.sort(self.order[:rows])
        return _Batch(self.problem, self.width, index), Z[index]

    def slices(self, k: int) -> list[slice]:
        rows = max(256, _BLOCK // k)
        return [slice(i, min(i + rows, self.n)) for i in range(0, self.n, rows)]

    def targets(self, rows: slice, k: int) -> tuple[Array, Array | None]:
        """Targets and weights of some rows, kept from one call to the next where they fit."""
        if self.n * k > _CACHED:
            return self.problem.labels(rows)
        if self.kept is None:
            self.kept = self.problem.labels(slice(None))
        y, s = self.kept
        return y[rows], None if s is None else s[rows]

    def predict(self, theta: Array) -> Array:
        return self.problem.predict(self.problem.X, theta)

    def value(self, Z: Array, P: Array | None = None, t: Any = 0.0) -> Array:
        """Mean loss of each column at predictions ``Z + t P``."""
        k = Z.shape[1] if np.ndim(t) == 0 else len(t)
        total = np.zeros(k)
        for rows in self.slices(k):
            y, s = self.targets(rows, Z.shape[1])
            z = Z[rows]
            if P is not None:
                z = z + t * P[rows]
            total += self.problem.loss.total(y, z, s)
        return total * (self.factor / self.n)

    def objective(self, Z: Array, theta: Array) -> Array:
        """Objective of each model, in the units worked in."""
        return _models(self.value(Z) + self.problem.penalty.value(theta[:-1]), self.width)

    def gradient(self, Z: Array, theta: Array, smooth: bool) -> Array:
        """Gradient in `theta` of the loss and of the smooth part of the penalty."""
        k = Z.shape[1]
        r = np.empty_like(Z)
        for rows in self.slices(k):
            y, s = self.targets(rows, k)
            self.problem.loss.gradient(y, Z[rows], out=r[rows])
            if s is not None:
                r[rows] *= s
        r /= self.n
        g = self.problem.gradient(self.problem.X, r, np.empty_like(theta))
        if smooth:
            self.problem.penalty.add_gradient(theta[:-1], g[:-1])
        return g

    def curvature(self, Z: Array, rows: slice) -> Array:
        """Weighted second derivatives of some rows, one column if all are equal."""
        p = self.problem
        y, s = self.targets(rows, Z.shape[1])
        D = np.asarray(p.loss.second_derivative(y, Z[rows]), dtype=np.float64)
        if s is not None:
            D = D * s
        if D.shape[1] > 1 and (D == D[:, :1]).all():
            D = D[:, :1]
        return D

    def coupling(self, Z: Array, rows: slice) -> Array:
        """Probabilities of some rows: what the Hessian of a loss that couples columns is made of."""
        return np.asarray(self.problem.loss.probability(Z[rows]), dtype=np.float64)

    def weights(self, rows: slice) -> Array | None:
        return self.problem.labels(rows)[1]

    def standardised(self, rows: slice) -> Array:
        """Rows in the coordinates worked in, a column of ones as last (dense); kept where they are few."""
        if rows != slice(0, self.n) or self.n * (self.d + 1) > _FEW:
            return self._standardised(rows)
        if self.block is None:
            self.block = self._standardised(rows)
        return self.block

    def _standardised(self, rows: slice) -> Array:
        p = self.problem
        X = p.X[rows]
        return p.coordinates.rows(X.toarray() if sp.issparse(X) else X, p.X.dtype)


def _smooth_strength(penalty: Any, d: int, k: int) -> Array:
    return np.broadcast_to(np.asarray(penalty.smooth_strength if penalty.elastic else 0.0, dtype=np.float64), (d, k))


class _Factors:
    r"""Hessian of a sample of rows, as Cholesky factors or as matrices, one for each unit of adjacent columns.

    A unit is a column, or a model whose loss couples its columns, or a model whose columns share a factor, which stands
    for :math:`H_j \approx h_j \bar H` with `h` the mean curvature of the column.
    """

    def __init__(
        self, batch: _Batch, Z: Array, rows: int, unit: int, damping: Array, shared: bool = False,
        factored: bool = True,
    ) -> None:  # fmt: skip
        k, d = Z.shape[1], batch.d
        partial = rows < batch.n
        self.unit, self.exact = unit, not partial and unit == batch.width
        if partial:
            batch, Z = batch.head(rows, Z)
        p = batch.problem
        self.scale: Array | None = None
        l2 = _smooth_strength(p.penalty, d, k)
        D = batch.curvature(Z, slice(0, rows)) if unit == 1 else batch.coupling(Z, slice(0, rows))
        if unit == 1 and damping.any():
            s = batch.weights(slice(0, rows))
            D = D + (damping if s is None else damping * s)
        if shared and D.shape[1] > 1:
            level = np.maximum(D.mean(axis=0), 1e-300)
            self.scale, self.exact, self.unit = level, False, batch.width
            D = (D / level).reshape(len(D), -1, batch.width).mean(axis=2)
            l2 = (l2 / level).reshape(d, -1, batch.width).mean(axis=2)
        H, lack = _hessians(batch, D, rows, unit, partial, damping)
        single = len(H) == 1 and factored and (l2 == l2[:, :1]).all()
        count = 1 if single else l2.shape[1] // unit
        tiny = 1e-10 if Z.dtype == np.float64 else 1e-6
        self.matrices: list[Array] = []
        for j in range(count):
            A = H[j] if len(H) > 1 else H[0].copy()
            c = np.minimum(np.arange(j * unit, (j + 1) * unit), D.shape[1] - 1)
            extra = np.zeros((d + 1, unit))
            extra[:-1] = l2[:, j * unit : (j + 1) * unit]
            if lack.any():
                extra[:-1] += lack[:, None] * D[:, c].mean(axis=0)
            diagonal = A.diagonal() + extra.ravel("F")
            if not p.fit_intercept:
                last = np.arange(d, unit * (d + 1), d + 1)
                A[last] = A[:, last] = 0.0
                diagonal[last] = 1.0
            diagonal[~(diagonal > 0)] = 1.0
            if unit > 1:
                # what all classes have in common changes nothing: give that direction a curvature, and it stays
                common = np.append(extra[:-1].max(axis=1) == 0 if factored else np.zeros(d, bool), p.fit_intercept)
                blocks = A.reshape(unit, d + 1, unit, d + 1)
                at = np.flatnonzero(common)
                share = diagonal.reshape(unit, d + 1).mean(axis=0)[at] / unit
                blocks[:, at, :, at] += share[:, None, None]
                diagonal.reshape(unit, d + 1)[:, at] += share
            np.fill_diagonal(A, diagonal * (1 + tiny))
            self.matrices.append(_cholesky(A, tiny * diagonal) if factored else A)

    def solve(self, G: Array) -> Array:
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
        G[:, j * self.unit : (j + 1) * self.unit] = v.reshape(-1, len(G)).T

    def take(self, columns: Array) -> None:
        if self.scale is not None:
            self.scale = self.scale[columns]
        if len(self.matrices) > 1:
            self.matrices = [self.matrices[j // self.unit] for j in columns[:: self.unit]]


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


def _hessians(
    batch: _Batch, D: Array, m: int, unit: int, partial: bool, damping: Array
) -> tuple[list[Array], Array]:  # fmt: skip
    """Hessians of the loss over the first `m` rows, and the variance of each column that these rows lack.

    A standardised column has variance one; a sample that misses the few rows where it is not zero does not
    show that.
    """
    d, k = batch.d, D.shape[1]
    H = [np.zeros((unit * (d + 1), unit * (d + 1))) for _ in range(k // unit)]
    squares = np.zeros(d + 1)
    X = batch.problem.X
    thin = sp.issparse(X) and unit == 1 and X.nnz < batch.n * d / 16
    step = max(64, (1 << 19) // (unit * (d + 1)))
    if thin:
        squares = _thin_hessians(batch, D, m, H)
    for i in range(0, 0 if thin else m, step):
        rows = slice(i, min(i + step, m))
        C = batch.standardised(rows)
        if partial:
            squares += np.einsum("ij,ij->j", C, C)
        if unit == 1:
            root = np.sqrt(np.maximum(D[rows], 0)).astype(C.dtype)
            for j in range(k):
                B = C * root[:, j : j + 1]
                H[j] += B.T @ B
            continue
        s = batch.weights(rows)
        for j, A in enumerate(H):
            # the derivative of the softmax: diag(p) - p p'
            p = D[rows, j * unit : (j + 1) * unit].astype(C.dtype)
            V = p[:, :, None] * C[:, None, :]
            if s is not None:
                V *= np.sqrt(s)[:, :1, None]
            V = V.reshape(len(C), -1)
            A -= V.T @ V
            p += damping[j * unit : (j + 1) * unit].astype(C.dtype)
            for c in range(unit):
                B = C * np.sqrt(p[:, c : c + 1] if s is None else p[:, c : c + 1] * s[:, :1])
                block = slice(c * (d + 1), (c + 1) * (d + 1))
                A[block, block] += B.T @ B
    for A in H:
        A /= m
    lack = np.zeros(d)
    scaled = batch.problem.coordinates
    if partial and not scaled.identity:
        variance = squares[:-1] / m
        lack = np.where((variance < 0.5) & (scaled.inverse_scale[:, 0] > 0), 1.0 - variance, 0.0)
    return H, lack


def _thin_hessians(batch: _Batch, D: Array, m: int, H: list[Array]) -> Array:
    r"""Add to `H` from sparse products, and return the squared norm of each column.

    Columns that are well filled, or whose centring would cancel digits, are made dense. With `u` and `v` columns of
    `X`, :math:`\sum_i a_i (u_i - \mu)(v_i - \nu) = u^\top A v - \mu a^\top v - \nu a^\top u + \mu \nu \sum_i a_i`.
    """
    c, d = batch.problem.coordinates, batch.d
    X = batch.problem.X[:m].astype(np.float64)
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
    columns = [*D.T, np.ones(m)]
    squares = np.zeros(d + 1)
    for j, a in enumerate(columns):
        a = np.maximum(a, 0)
        if j == len(columns) - 1:
            squares[rest] = S.multiply(S).sum(axis=0) - 2 * mu * (S.T @ a) + mu**2 * m
            squares[q] = (C * C).sum(axis=0)
            break
        A = H[j]
        AC = C * a[:, None]
        cross = S.T @ AC - np.outer(mu, AC.sum(axis=0))
        A[np.ix_(q, q)] += C.T @ AC
        A[np.ix_(rest, q)] += cross
        A[np.ix_(q, rest)] += cross.T
        R = S.multiply(np.sqrt(a)[:, None]).tocsr()
        block = (R.T @ R).toarray()
        first = np.outer(S.T @ a, mu)
        block -= first
        block -= first.T
        block += np.outer(mu, mu * a.sum())
        A[np.ix_(rest, rest)] += block
    return squares


class _Diagonal:
    """The diagonal of the Hessian, for more features than a Cholesky factor is worth."""

    exact = False

    def __init__(self, batch: _Batch, Z: Array) -> None:
        k, d = Z.shape[1], batch.d
        p, c = batch.problem, batch.problem.coordinates
        h = np.zeros((d + 1, k))
        for rows in [slice(0, batch.n)] if p.sparse else batch.slices(max(k, min(d, 1024))):
            D = np.broadcast_to(batch.curvature(Z, rows), (rows.stop - rows.start, k))
            X = p.X if p.sparse else p.X[rows]
            total = D.sum(axis=0)
            h[-1] += total
            if not p.sparse:
                C = X if c.identity else (X - c.mean[:, 0]) * c.inverse_scale[:, 0]
                h[:-1] += (C * C).T @ D
                continue
            square = sp.csr_matrix((X.data * X.data, X.indices, X.indptr), shape=X.shape).T @ D
            if not c.identity:
                square -= 2 * c.mean * (X.T @ D)
                square += c.mean**2 * total
                square *= c.inverse_scale**2
            h[:-1] += np.maximum(square, 0, out=square)
        h /= batch.n
        h[:-1] += _smooth_strength(p.penalty, d, k)
        # a floor, or a feature that is rare in the rows drawn would leap
        h = np.maximum(h, 1e-3 * np.maximum(h.mean(axis=0), 1e-300))
        if not p.fit_intercept:
            h[-1] = 1.0
        self.h = h

    def solve(self, G: Array) -> Array:
        return G / self.h

    def take(self, columns: Array) -> None:
        self.h = self.h[:, columns]


def _lasso(Q: Array, c: Array, strength: Array, v: Array) -> Array:
    r"""Minimise :math:`c^\top v + \tfrac12 v^\top Q v + \sum_i \lambda_i |v_i|` by a search over signs.

    Solve for the active weights with their signs held, go to the best of the points where one changes sign, and
    repeat; weights at zero whose gradient exceeds :math:`\lambda` join in, in bunches as long as that descends.
    """
    v = v.copy()
    gradient = c + Q @ v
    free = strength == 0
    bunch, join = len(v), True
    scale = np.abs(c).max() + strength.max() + 1e-300
    for _ in range(200):
        sign = np.sign(v)
        active = (v != 0) | free
        excess = np.where(active, 0.0, np.abs(gradient) - strength)
        residual = np.abs(gradient + strength * sign)[active]
        settled = not residual.size or residual.max() <= 1e-10 * scale
        new = np.flatnonzero(excess > 1e-10 * scale)
        if settled and not new.size:
            break
        if not (join or settled):
            new = new[:0]
        limit = min(bunch, max(16, int(active.sum())))
        if len(new) > limit:
            new = new[np.argsort(-excess[new], kind="stable")[:limit]]
        sign[new] = -np.sign(gradient[new])
        active[new] = True
        A = np.flatnonzero(active)
        QA, lam, old = Q[np.ix_(A, A)], strength[A], v[A]
        factor, failed = lapack.dpotrf(QA, lower=1, clean=0)
        if failed:
            break
        goal = _solve(factor, -(c[A] + lam * sign[A]))
        p = goal - old
        flips = (goal * sign[A] < 0) & ~free[A]
        t = np.ones(1)
        if flips.any():
            crossing = np.sort(old[flips] / -p[flips])
            t = np.append(crossing[crossing > 0], 1.0)[-64:]
            rest = c + Q @ v
            slope, bend = rest[A] @ p, p @ QA @ p
            l1 = np.abs(old[:, None] + t * p[:, None])
            l1[np.abs(l1) < 1e-14 * np.abs(old[:, None])] = 0.0
            values = slope * t + 0.5 * bend * t * t + lam @ l1 - lam @ np.abs(old)
            best = int(np.argmin(values))
            if not values[best] < 0:
                # what joins before the others are settled may go astray, and so may several at once
                if not new.size or (bunch == 1 and not join):
                    break
                bunch, join = 1, False
                continue
            t = t[best : best + 1]
        there = old + t[0] * p
        # what crosses at this very point stops there; what joined and went astray does not
        there[flips & (np.abs(there) <= 1e-12 * np.abs(old))] = 0.0
        v[A] = there
        gradient = c + Q @ v
    return v


class _Descent:
    """Quasi-Newton steps of all models on one batch."""

    rows: int

    def __init__(self, batch: _Batch, theta: Array, smooth: bool, damping: Array) -> None:
        self.batch, self.width, self.smooth = batch, batch.width, smooth
        self.theta = theta
        self.Z = batch.predict(theta)
        self.f = batch.objective(self.Z, theta)
        self.g = batch.gradient(self.Z, theta, self.separable)
        models = len(self.f)
        self.memory: list[tuple[Array, Array, Array]] = []
        self.gamma = np.ones(models)
        self.age = 0
        self.last = np.full(models, np.inf)
        self.damping = self.used = damping
        self.length = np.ones(models)
        self._plan()
        self.coordinates()

    @property
    def separable(self) -> bool:
        """Whether the smooth part of the penalty is part of the gradient."""
        return self.smooth or self.batch.problem.penalty.elastic

    def _plan(self) -> None:
        """How many rows the Hessian takes, and which columns share one: by flops."""
        b = self.batch
        d = b.d + 1
        stored = b.problem.X.nnz if b.problem.sparse else b.n * d
        self.stored, self.product = stored, 4.0 * stored * self.width
        self.unit, self.shared, self.dense = 1, False, d <= _FACTORED + 1
        self.spent, self.price = 0.0, np.inf
        affordable = max(5e9, 20 * self.product)
        couples = b.problem.loss.width > 1
        if couples and self.width * d <= _FACTORED + 1:
            self._couple()
            cost = self._cost(self.rows)
            # what couples the classes saves a third of the iterations, and is worth that many at first
            if cost > (max(1e8, 20 * self.product) if self.smooth else affordable):
                self.unit, self.price = 1, cost if cost <= affordable else np.inf
        if self.unit == 1:
            self.rows = self._sample()
            # blind to what couples the classes, a Hessian of each says little more than one for all
            dear = couples and self._cost(min(b.n, 16 * d)) > _DEAR * self._iteration()
            dear = dear or self._cost(self.rows) > affordable or self.width * d * d * 8 > 1 << 29
            self.shared = self.width > 1 and dear
            if self.shared:
                self.rows = min(b.n, max(self.rows, int(_DEAR * self._iteration() / (d * d))))

    def _couple(self) -> None:
        self.unit, self.shared, self.price = self.width, False, np.inf
        self.rows = self._sample()

    def _sample(self) -> int:
        n, size = self.batch.n, self.unit * (self.batch.d + 1)
        return n if self._cost(n) <= 1e8 else min(n, max(8 * n // size, 4 * size, 512))

    def _cost(self, rows: int) -> float:
        """Multiplications of a Hessian of so many rows."""
        size, count = self.unit * (self.batch.d + 1), 1 if self.shared else self.width // self.unit
        return count * size * size * (rows + size / 3)

    def _iteration(self) -> float:
        """What an iteration costs, in multiplications of a Hessian: reading, products, loss, interpreter."""
        return self.stored * (20.0 + 8.0 * self.width) + 900.0 * self.batch.n * self.width + 8e6

    def _more(self) -> int:
        """Rows of the next Hessian."""
        return self.rows if self.metric.exact else min(self.batch.n, 4 * self.rows)

    def coordinates(self) -> None:
        """The first guess of the Hessian at the present point, and an empty memory."""
        self.memory, self.age = [], 0
        self.gamma = np.ones(len(self.f))
        self.used = self.damping
        damping = _spread(self.damping, self.width)
        if self.smooth and self.dense:
            self.metric: Any = _Factors(self.batch, self.Z, self.rows, self.unit, damping, self.shared)
        elif self.dense and self.batch.problem.penalty.elastic and not self.shared:
            self.metric = _Factors(self.batch, self.Z, self.rows, self.unit, damping, factored=False)
        else:
            self.metric = _Diagonal(self.batch, self.Z)
        # exact coordinates are renewed at once if they cost little, others after some steps, from more rows
        share = self._cost(self._more()) / self._iteration()
        if self.metric.exact:
            self.patience = int(np.clip(np.ceil(share), 1, 10))
        else:
            self.patience = max(5 if self.rows < self.batch.n else 8, min(int(share), 15))

    @property
    def due(self) -> bool:
        """Whether the coordinates have had their time."""
        return self.age >= self.patience

    def renew(self) -> None:
        """New coordinates, at the present point."""
        self.spent += self.age * self._iteration() + self._cost(self.rows)
        if self.spent > _PATIENCE * self.price:
            self._couple()
        else:
            self.rows = self._more()
        self.coordinates()

    def direction(self) -> tuple[Array, Array]:
        """Direction of each column, and the decrease that the model of each model foresees (negative)."""
        if self.smooth:
            P = self._two_loops()
            slope = _dot(self.g, P, self.width)
            return P, slope
        penalty, theta = self.batch.problem.penalty, self.theta
        W = theta[:-1]
        new = np.empty(theta.shape)
        if isinstance(self.metric, _Factors):
            strength = np.zeros(theta.shape)
            strength[:-1] = penalty.l1_strength
            get = self.metric.get
            for j, Q in enumerate(self.metric.matrices):
                v = get(theta, j)
                self.metric.put(new, j, _lasso(Q, get(self.g, j) - Q @ v, get(strength, j), v))
            if not self.batch.problem.fit_intercept:
                new[-1] = theta[-1]
        else:
            step = _spread(self.gamma, self.width) / self.metric.h
            new[:] = theta - step * self.g
            penalty.prox(new[:-1], step[:-1], smooth=not self.separable)
        new = new.astype(theta.dtype)
        P = new - theta
        change = penalty.value(new[:-1]) - penalty.value(W)
        if self.separable:
            l2 = _smooth_strength(penalty, *W.shape)
            change = change - 0.5 * (l2 * (new[:-1].astype(np.float64) ** 2 - W * W)).sum(axis=0)
        slope = _dot(self.g, P, self.width) + _models(change, self.width)
        return P, slope

    def _two_loops(self) -> Array:
        width = self.width
        q = self.g.astype(np.float64)
        alphas = []
        for s, y, rho in reversed(self.memory):
            a = rho * _dot(s, q, width)
            q -= _spread(a, width) * y
            alphas.append(a)
        q = self.metric.solve(q) * _spread(self.gamma, width)
        for (s, y, rho), a in zip(self.memory, reversed(alphas), strict=True):
            q += s * _spread(a - rho * _dot(y, q, width), width)
        np.negative(q, out=q)
        return q.astype(self.theta.dtype, copy=False)

    def search(self, P: Array, slope: Array, ladder: Array | None) -> tuple[Array, Array, Array | None]:
        """Step size of each model, and its predictions; no product but that of `P`."""
        b, width, f = self.batch, self.width, self.f
        ZP = b.predict(P)
        W, PW = self.theta[:-1], P[:-1]
        noise = 4 * np.finfo(self.theta.dtype).eps * np.abs(f)

        def along(t: Array) -> Array:
            columns = _spread(t, width).astype(self.theta.dtype)
            value = b.value(self.Z, ZP, columns) + b.problem.penalty.value(W + columns * PW)
            value = _models(value, width)
            return np.where(np.isfinite(value), value, np.inf)

        scores = None
        if ladder is not None:
            if self.theta.shape[1] == 1:  # the ladder as columns
                scores = along(ladder)[:, None]
            else:
                scores = np.array([along(np.full(len(f), t)) for t in ladder])
            best = np.argmin(scores, axis=0)
            t, ft = ladder[best], scores[best, np.arange(len(f))]
        else:
            t = np.ones(len(f))
            ft = along(t)
            # the parabola through value, slope and this value: another look costs no product
            guess = self._parabola(t, ft, slope)
            guess = np.where(np.abs(np.log(guess)) > 0.25, guess, t)
            if self.smooth and (guess != t).any():
                other = along(guess)
                t, ft = np.where(other < ft, guess, t), np.minimum(other, ft)
        for _ in range(_HALVINGS):
            bad = ~(ft <= f + ARMIJO * t * slope + noise)
            if not bad.any():
                break
            guess = np.clip(self._parabola(t, ft, slope), 0.1 * t, 0.5 * t)
            t = np.where(bad, guess, t)
            ft = np.where(bad, along(t), ft)
        bad = ~(ft <= f + noise)
        t, ft = np.where(bad, 0.0, t), np.where(bad, f, ft)
        columns = _spread(t, width).astype(self.theta.dtype)
        step = columns * P
        ZP *= columns
        ZP += self.Z
        self.Z = ZP
        self.step, self.length = step, t
        self.f = ft
        return t, f - ft, scores

    def _parabola(self, t: Array, ft: Array, slope: Array) -> Array:
        bend = ft - self.f - t * slope
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            guess = -0.5 * slope * t * t / bend
        return np.where(
            np.isfinite(guess) & (guess > 0), np.clip(guess, 0.1 * t, 10 * t), np.where(bend > 0, 0.1, 1) * t
        )

    def damp(self, t: Array) -> None:
        """More curvature for the next coordinates after a short step, less after a long one.

        Where classes part, curvature vanishes from almost all rows, and a step as long as it allows overshoots in
        the others (Levenberg 1944, doi:10.1090/qam/10666).
        """
        if not (self.used.any() or self.damping.any() or (t < SHORT).any()):
            return
        bound = float(self.batch.problem.loss.curvature)
        more = np.clip(10 * self.used, 1e-4 * bound, bound)
        less = np.where(self.used > 1e-5 * bound, self.used / 10, 0.0)
        self.damping = np.where(t < SHORT, more, np.where(t > _LONG, less, self.used))

    def update(self) -> None:
        """Gradient at the new point, and what the step tells about the curvature."""
        self.theta = self.theta + self.step
        g = self.batch.gradient(self.Z, self.theta, self.separable)
        s = self.step.astype(np.float64, copy=False)
        y = np.subtract(g, self.g, dtype=np.float64)
        self.g = g
        self.age += 1
        if not self.smooth and isinstance(self.metric, _Factors):
            if self.metric.unit == self.width:
                for j, Q in enumerate(self.metric.matrices):
                    _bfgs(Q, self.metric.get(s, j), self.metric.get(y, j))
            return
        sy = _dot(s, y, self.width)
        if isinstance(self.metric, _Diagonal):
            other = _dot(s, s * self.metric.h, self.width) if not self.smooth else sy
            size = _dot(y, self.metric.solve(y), self.width) if self.smooth else sy
            good = sy > 1e-10 * np.maximum(other, size)
            gamma = np.where(good, other / np.where(good, size, 1.0), self.gamma)
            self.gamma = np.clip(gamma, 1e-6, 1e6)
        else:
            good = sy > 1e-10 * np.sqrt(_dot(s, s, self.width) * _dot(y, y, self.width))
        with np.errstate(divide="ignore", invalid="ignore"):
            self.memory.append((s, y, np.where(good, 1 / sy, 0.0)))
        del self.memory[:-_MEMORY]

    def take(self, models: Array) -> None:
        """Keep a subset of the models."""
        columns = columns_of(models, self.width)
        self.batch.take(columns)
        self.theta, self.Z, self.g = (np.ascontiguousarray(a[:, columns]) for a in (self.theta, self.Z, self.g))
        self.memory = [(s[:, columns], y[:, columns], rho[models]) for s, y, rho in self.memory]
        self.f, self.gamma, self.last = self.f[models], self.gamma[models], self.last[models]
        self.damping, self.used, self.length = self.damping[models], self.used[models], self.length[models]
        self.metric.take(columns)


def _bfgs(Q: Array, s: Array, y: Array) -> None:
    """Update a symmetric approximation of the Hessian in place, if the curvature is positive."""
    sy = s @ y
    Qs = Q @ s
    sQs = s @ Qs
    if sy > 1e-8 * sQs > 0:
        Q += np.outer(y, y / sy)
        Q -= np.outer(Qs, Qs / sQs)


def _stages(n: int, d: int, max_iter: int, most: int) -> list[int]:
    """Numbers of rows, the last one `n`, the others at most `most`."""
    m = max(8 * (d + 1), _SMALLEST_BATCH)
    sizes = []
    while 2 * m <= n and m <= most and max_iter >= 6:
        sizes.append(m)
        m *= _GROWTH
    return [*sizes, n]


class QuasiNewton(Component):
    r"""Quasi-Newton steps on a growing batch, in coordinates whitened by a sampled Hessian.

    .. math:: \theta_{t+1} = \theta_t - \eta_t B_t^{-1} \nabla f_{m_t}(\theta_t), \qquad m_t \uparrow n

    What ``solver="auto"`` does where the loss is smooth: in these coordinates the ravine is gone, each step size is
    found by a search that costs no pass, and the batch grows to all rows, so that the fit ends because it has
    converged. It does not fit the engine's step and is not a solver to be named.

    Parameters
    ----------
    safety : float, default=0.1
        A fit stops when it expects to gain less than ``safety * tol`` of what it has gained over the best constant
        model.

    References
    ----------
    Byrd, Chin, Nocedal and Wu (2012), "Sample size selection in optimization methods for machine learning",
    doi:10.1007/s10107-012-0572-5. Erdogdu and Montanari (2015), "Convergence rates of sub-sampled Newton methods",
    arXiv:1508.02810.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor().fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0])
    >>> model.solver_, model.status_
    (QuasiNewton(), 'converged')
    """

    safety: float = hyperparameter(0.1, Real(0, 1, per_column=False))
    stochastic: ClassVar[bool] = False
    memory: ClassVar[tuple[str, ...]] = ()
    cumulative_l1: ClassVar[bool] = False

    def suits(self, loss: Any) -> bool:
        """Whether the loss is smooth."""
        return loss.curvature is not None


def minimise(problem: Problem, run: Run, method: QuasiNewton, rules: Rules) -> tuple[Outcome, list[Race]]:
    """Minimise a smooth loss with its penalty, from where the run stands, for all models at once.

    Parameters
    ----------
    problem : Problem
        What is minimised; its loss has a `curvature`.
    run : Run
        Where it starts; changed in place.
    method : QuasiNewton
        Hyperparameters.
    rules : Rules
        When to stop; an epoch is an iteration.

    Returns
    -------
    Outcome
    list of Race
        What the first step of each model tried.
    """
    width, k = run.width, run.theta.shape[1]
    models = k // width
    smooth = not problem.penalty.has_prox
    factor = np.broadcast_to(problem.coordinates.factor, (k,))[::width].astype(np.float64)
    reference = np.ones(models) if rules.reference is None else rules.reference
    constant = np.broadcast_to(reference, (models,)) * factor
    tol = np.broadcast_to(0.0 if rules.tol is None else rules.tol, (models,))
    share = method.safety * tol
    out = Outcome(
        run.theta.copy(), np.zeros(models, int), ["max_iter"] * models, np.zeros(models, int),
        [run] * models,
    )  # fmt: skip
    run.theta = out.theta  # callbacks look at it
    scores = np.full((len(LADDER), models), np.inf)
    winners, damping = np.ones(models), np.zeros(models)
    order = run.rng.permutation(problem.n)
    sizes = [problem.n]
    if run.epoch == 0:
        # parts of the rows are copied: of a memory map, no more than fits easily
        most = _ON_DISK // (problem.d * problem.X.dtype.itemsize) if problem.on_disk else problem.n
        sizes = _stages(problem.n, problem.d * problem.loss.width, rules.max_iter, most)
    first, begin = run.epoch, time.perf_counter() - run.seconds
    best, stalled = np.full(models, -np.inf), np.zeros(models, int)
    best_theta = out.theta.copy()
    open_ = np.ones(models, bool)
    halted = ""

    def write(f: Array, t: Array, score: Array | None, alive: Array, rows: int) -> None:
        run.epoch += 1
        out.n_iter[alive] += 1
        run.seconds = time.perf_counter() - begin
        row = {
            "epoch": run.epoch, "objective": f, "eta": t, "seconds": run.seconds, "validation_score": score,
            "models": alive.copy(), "rows": rows,
        }  # fmt: skip
        run.history.append(row)
        if rules.verbose:
            print_row(row)

    def record(f: float, t: float, tried: Array | None) -> None:
        if tried is not None:
            scores[:, 0], winners[0] = tried / factor, t
        write(np.array([f]), np.array([t]), None, np.arange(1), problem.n)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        try:
            if sizes == [problem.n] and rules.score is None and suits(problem, k):
                start = float(share[0]), float(constant[0])
                reason = newton(problem, out.theta, *start, rules.max_iter, LADDER, record, rules.watch)
                if reason:
                    open_[0], out.status[0] = False, reason
            for m in sizes:
                final = m == problem.n
                alive = np.flatnonzero(open_)
                if not alive.size or halted:
                    break
                columns = columns_of(alive, width)
                part = problem if alive.size == models else problem.take(columns)
                batch = _batch(part, width, m, order)
                descent = _Descent(batch, np.ascontiguousarray(out.theta[:, columns]), smooth, damping[alive])
                inner = 0
                while True:
                    enough = _enough(descent, share, constant, alive, final)
                    if descent.patience == 1 and descent.due and (descent.last > FAR * enough).all():
                        descent.renew()
                    P, slope = descent.direction()
                    done = {}
                    # old coordinates may end a fit, with a margin, and spare new ones
                    for j in np.flatnonzero(_settled(descent, slope, 0.1 * enough if descent.due else enough)):
                        done[int(j)] = "converged" if final else ""
                    for j in np.flatnonzero(out.n_iter[alive] >= rules.max_iter):
                        done[int(j)] = "max_iter"
                    if rules.score is not None:
                        for j in np.flatnonzero(stalled[alive] >= rules.n_iter_no_change):
                            done[int(j)] = "no validation improvement"
                    if halted or (not final and inner >= _STAGE_ITERATIONS):
                        done = {j: done.get(j, halted) for j in range(len(alive))}
                    for at, reason in done.items():
                        if reason:
                            model = int(alive[at])
                            open_[model], out.status[model] = False, reason
                    if done:
                        keep = np.array([j for j in range(len(alive)) if j not in done], int)
                        alive = alive[keep]
                        if not alive.size:
                            break
                        descent.take(keep)
                        P, slope = np.ascontiguousarray(P[:, columns_of(keep, width)]), slope[keep]
                    if descent.due:
                        descent.renew()
                        continue
                    if rules.watch is not None:
                        rules.watch.epoch_begins(lambda: out.theta)
                    t, gain, tried = descent.search(P, slope, LADDER if run.epoch == first else None)
                    if tried is not None:
                        scores[:, alive] = tried / factor[alive]
                        winners[alive] = t
                    # a model that cannot descend has arrived
                    descent.last = np.where((gain <= 0) & (descent.age > 0), 0.0, gain)
                    descent.damp(t)
                    damping[alive] = descent.damping
                    descent.update()
                    inner += 1
                    where = columns_of(alive, width)
                    out.theta[:, where] = descent.theta
                    score = None
                    if rules.score is not None:
                        score = rules.score(descent.batch.problem.coordinates.original(descent.theta))
                        better = score > best[alive]
                        stalled[alive] = np.where(score >= best[alive] + tol[alive], 0, stalled[alive] + 1)
                        best[alive] = np.fmax(best[alive], score)
                        chosen = columns_of(better, width)
                        best_theta[:, where[chosen]] = descent.theta[:, chosen]
                    write(descent.f / factor[alive], t, score, alive, m)
                    if rules.watch is not None and rules.watch.epoch_ends(lambda: out.theta):
                        halted = "interrupted"
        except KeyboardInterrupt:
            for j in np.flatnonzero(open_):
                out.status[j] = "interrupted"
    run.theta = out.theta.copy()
    if rules.score is not None:
        seen = np.isfinite(best)
        out.theta[:, columns_of(seen, width)] = best_theta[:, columns_of(seen, width)]
    out.n_iter += first
    out.runs = [run] if models == 1 else [run.part(j, j) for j in range(models)]
    before = run.t
    for own, epoch in zip(out.runs, out.n_iter, strict=True):
        own.epoch, own.t = int(epoch), before + int(epoch) - first
    return out, [Race(LADDER.copy(), scores[:, j], float(winners[j]), 1) for j in range(models)]


def _batch(problem: Problem, width: int, m: int, order: Array) -> _Batch:
    """The first `m` rows in random order; all rows in theirs, and uncopied."""
    if m == problem.n:
        return _Batch(problem, width, order=order)
    return _Batch(problem, width, order[:m])


def _enough(descent: _Descent, share: Array, constant: Array, alive: Array, final: bool) -> Array:
    """What is not worth another step: a share of the gain over a constant, or the noise of a part of the rows."""
    gain = np.maximum(constant[alive] - descent.f, 0.0)
    enough = share[alive] * np.minimum(gain, descent.f)
    if not final:
        b = descent.batch
        enough = np.maximum(enough, 0.1 * b.problem.loss.width * (b.d + 1) / b.n * descent.f)
    return enough


def _settled(descent: _Descent, slope: Array, enough: Array) -> Array:
    """Which models have no more than `enough` to gain, by their own model of the objective."""
    noise = 8 * np.finfo(descent.theta.dtype).eps * np.abs(descent.f)
    # a long last step says how much too small the model's steps are; not finite: nowhere to go
    estimate = np.where(np.isfinite(slope), -0.5 * slope * np.maximum(descent.length, 1.0), 0.0)
    enough = np.maximum(enough, noise)
    last = descent.last
    if not (estimate <= enough).any():
        return last <= 0
    # coordinates that are diagonal see the ravine so badly, and damped ones so much curvature, that the last decrease
    # must agree; without what couples the classes, decreases are so alike that it must be a tenth
    uncoupled = descent.unit < descent.batch.problem.loss.width
    careful = (descent.used + descent.damping > 0) | isinstance(descent.metric, _Diagonal) | uncoupled
    agreed = (last <= (0.1 if uncoupled else 1.0) * enough) | (estimate <= 1e-3 * enough) | ~careful
    return ((estimate <= enough) & agreed) | (last <= 0)

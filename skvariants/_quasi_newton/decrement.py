r"""How much a second-order model says is left to gain, and the certificates of fits.

Without an L1 part that is the Newton decrement, :math:`\tfrac12 g^\top H^{-1} g`. With one, the decrease of the
quadratic model on the weights that are not zero or about to leave it, of which none changes its sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import lapack

from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Blocks, Plan, l2_strengths, sampled_hessian
from skvariants._training.certificate import Certificate, Predicted
from skvariants._training.problem import by_model

Array = np.ndarray
# multiplications that a Hessian may cost: so many, or so many passes over the stored values
_MULTIPLICATIONS, _PASSES = 2e7, 8
# numbers of a side of a matrix that is factored
_FACTORED = 1024
# as many rows for each number of a side, or all; rows and steps of conjugate gradients where that costs too much
_ROWS, _LEAST_ROWS, _SHARE, _STEPS = 2, 512, 64, 32
# rounds in which weights stop at zero
_ROUNDS = 4


class Factored:
    """Curvature as a matrix for each unit of columns.

    Parameters
    ----------
    blocks : Blocks
        Hessians, not factored.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def times(self, V: Array) -> Array:
        """Hessian times `V`."""
        return self._each(V, lambda Q, v, j: Q @ v)

    def solve(self, G: Array, free: Array) -> Array:
        """Newton step of the entries that are free."""

        def solved(Q: Array, g: Array, j: int) -> Array:
            at = np.flatnonzero(self.blocks.get(free, j))
            step = np.zeros(len(g))
            if at.size:
                factor, failed = lapack.dpotrf(Q[np.ix_(at, at)], lower=1, clean=0)
                step[at] = np.nan if failed else lapack.dpotrs(factor, g[at], lower=1)[0]
            return step

        return self._each(G, solved)

    def _each(self, V: Array, function: Any) -> Array:
        out = np.empty(V.shape)
        for j, Q in enumerate(self.blocks.of_each_unit()):
            self.blocks.put(out, j, function(Q, self.blocks.get(V, j), j))
        return out


class Sampled:
    """Curvature as products with some rows; systems are solved by conjugate gradients, as far as they come.

    Parameters
    ----------
    batch : StageBatch
        The rows.
    Z : ndarray of shape (n_rows, n_columns)
        Predictions.
    """

    def __init__(self, batch: StageBatch, Z: Array) -> None:
        p = batch.problem
        self.problem, self.unit = p, p.loss.columns_per_model
        rows, (n, k) = slice(0, batch.n), Z.shape
        self.s = batch.weights(rows)
        self.coupling = batch.coupling(Z, rows) if p.loss.is_softmax else None
        self.D = np.broadcast_to(batch.hessian_weights(Z, rows), (n, k))
        self.extra = np.zeros((p.d + 1, k))
        self.extra[:-1] = l2_strengths(p.penalty, p.d, k)
        #: the least curvature of an entry; zero where none is known
        self.least = self.extra.copy()
        level = self.D.mean(axis=0)
        X = p.rows.X
        squares = X.multiply(X).mean(axis=0) if batch.sparse else np.einsum("ij,ij->j", X, X) / n
        squares = np.asarray(squares, dtype=np.float64).reshape(-1, 1)
        c = p.coordinates
        if not c.identity:
            squares = squares - 2 * c.mean * X.mean(axis=0).reshape(-1, 1) + c.mean**2
            squares = np.maximum(squares, 0) * c.inverse_scale**2
            # a standardised column has variance one, also where these rows do not show it
            missing = np.where((squares < 0.5) & (c.inverse_scale > 0), 1.0 - squares, 0.0)
            self.extra[:-1] += missing * level
            squares = squares + missing
        self.diagonal = np.concatenate([squares * level, level[None]]) + self.least
        self.diagonal = np.maximum(self.diagonal, 1e-12 * np.maximum(self.diagonal.max(axis=0), 1e-300))
        self.least[-1] = level

    def times(self, V: Array) -> Array:
        """Hessian times `V`."""
        p, dtype = self.problem, self.problem.rows.dtype
        r = p.predict(p.rows.X, V.astype(dtype)).astype(np.float64)
        if self.coupling is None:
            r *= self.D
        else:
            P = self.coupling.reshape(len(r), -1, self.unit)
            r = r.reshape(P.shape)
            r = (P * (r - (P * r).sum(axis=2, keepdims=True))).reshape(len(r), -1)
            r = r if self.s is None else r * self.s
        g = p.gradient(p.rows.X, r.astype(dtype), np.empty(V.shape, dtype), p.n)
        return g + self.extra * V

    def solve(self, G: Array, free: Array) -> Array:
        """Newton step of the entries that are free; what conjugate gradients leave is added by a diagonal."""
        x = np.zeros(G.shape)
        r = np.where(free, G, 0.0)
        d = r / self.diagonal
        rho = self._dot(r, d)
        enough = 1e-4 * rho
        for _ in range(_STEPS):
            if (rho <= enough).all():
                break
            q = np.where(free, self.times(d), 0.0)
            bend = self._dot(d, q)
            t = np.where((rho > enough) & (bend > 0), rho / np.where(bend > 0, bend, 1.0), 0.0)
            x += t * d
            r -= t * q
            z = r / self.diagonal
            new = self._dot(r, z)
            d = z + new / np.maximum(rho, 1e-300) * d
            rho = new
        self.residual = r
        return x

    def _dot(self, A: Array, B: Array) -> Array:
        return np.repeat(by_model((A * B).sum(axis=0), self.unit), self.unit)


def to_gain(at: Predicted, Z: Array, g: Array) -> Array | None:
    """What the second-order model at predictions `Z` expects each unit of columns to gain, in the units worked in.

    Parameters
    ----------
    at : Predicted
        The models.
    Z : ndarray of shape (n_samples, n_columns)
        Predictions that belong to `g`.
    g : ndarray of shape (n_features + 1, n_columns)
        Gradient of the loss.

    Returns
    -------
    ndarray or None
        None where there is no such model: of losses with kinks, and of penalties with kinks that are not L1.
    """
    penalty, W = at.problem.penalty, at.theta[:-1].astype(np.float64)
    if not at.loss.smooth or (penalty.has_prox and not penalty.elastic):
        return None
    g = g.copy()
    penalty.add_gradient(W, g[:-1])
    curvature = _curvature(at, Z)
    l1 = np.zeros(W.shape) if not penalty.has_prox else np.broadcast_to(penalty.l1_strength, W.shape)
    step = _model_step(curvature, g, W, l1, at.problem.fit_intercept)
    change = (l1 * (np.abs(W + step[:-1]) - np.abs(W))).sum(axis=0)
    gain = -(g * step).sum(axis=0) - 0.5 * (step * curvature.times(step)).sum(axis=0) - change
    gain = by_model(gain, at.unit)
    residual = getattr(curvature, "residual", None)
    if residual is not None:
        # steps that end early leave at most the residual's square by the least curvature
        with np.errstate(divide="ignore", invalid="ignore"):
            left = np.where(residual == 0, 0.0, residual**2 / (2 * np.maximum(curvature.least, 0)))
        left = by_model(np.where(np.isfinite(left), left, 0.0).sum(axis=0), at.unit)
        gain = gain + left
    return np.where(np.isfinite(gain), np.maximum(gain, 0.0), np.inf)


def _model_step(curvature: Any, g: Array, W: Array, l1: Array, fit_intercept: bool) -> Array:
    """The step that minimises the model, with weights stopped at zero that would cross it."""
    smooth = not l1.any()
    free = np.ones(g.shape, bool)
    free[-1] = fit_intercept
    if smooth:
        return np.asarray(-curvature.solve(g, free))
    inside = (W == 0) & (np.abs(g[:-1]) <= l1)
    free[:-1] = ~inside
    sign = np.where(W != 0, np.sign(W), -np.sign(g[:-1]))
    full = g.copy()
    full[:-1] += l1 * sign
    stopped = np.zeros(g.shape)
    step = stopped
    for _ in range(_ROUNDS):
        rest = full + curvature.times(stopped) if stopped.any() else full
        step = np.where(free, -curvature.solve(np.where(free, rest, 0.0), free), stopped)
        crosses = free[:-1] & ((W + step[:-1]) * sign < 0)
        if not crosses.any():
            break
        free[:-1] &= ~crosses
        stopped[:-1] = np.where(crosses, -W, stopped[:-1])
        step[:-1] = np.where(crosses, -W, step[:-1])
    return step


def _curvature(at: Predicted, Z: Array) -> Any:
    """Hessians of as many rows as are worth it, or products with some."""
    p, n, k = at.problem, at.n, Z.shape[1]
    order = np.random.default_rng(0).permutation
    budget = max(_MULTIPLICATIONS, _PASSES * p.rows.stored * k)
    units = [at.unit, 1] if p.loss.is_softmax else [1]
    for unit in units:
        size = unit * (p.d + 1)
        rows = int(min(n, budget * unit / (k * size * size)))
        if size <= _FACTORED and rows >= min(n, _ROWS * size):
            batch = StageBatch(p, at.unit, order=lambda: order(n))
            return Factored(sampled_hessian(batch, Z, Plan(rows, unit), np.zeros(k), False))
    rows = min(n, max(_LEAST_ROWS, n // _SHARE))
    index = np.sort(order(n)[:rows])
    return Sampled(StageBatch(p, at.unit, index), Z[index])


def certify(problem: Any, theta: Array, width: int) -> list[Certificate]:
    """Certificates of models side by side, for a product with the rows and one with their transpose.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    theta : ndarray of shape (n_features + 1, n_columns)
        The models, in the coordinates worked in.
    width : int
        Columns of a model.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        at = Predicted(problem, theta)
        f = at.losses(at.Z) + at.penalties()
        Z = at.at_best_intercept()
        candidates = at.candidates(Z)
        products = at.products(candidates)
        unit, scale = at.unit, at.scale[:: at.unit]
        per_unit = by_model(f, unit)
        lowest = at.lowest(candidates, products)
        bounds = np.full(len(per_unit), np.inf)
        if lowest is not None:
            noise = 8 * np.finfo(theta.dtype).eps * np.abs(per_unit)
            bounds = np.maximum(per_unit - lowest / scale, 0.0) + noise
        expected = to_gain(at, Z, products[0])
        if expected is None:
            expected = np.full(len(per_unit), np.inf)
        else:
            by_intercept = by_model(f - at.losses(Z) - at.penalties(), unit) if Z is not at.Z else 0.0
            expected = np.maximum(expected / scale + by_intercept, 0.0)
        values = [by_model(v, width // unit) for v in (per_unit, bounds, expected)]
    return [Certificate(*(float(x) if np.isfinite(x) else np.inf for x in row)) for row in zip(*values, strict=True)]


__all__ = ["certify", "to_gain"]

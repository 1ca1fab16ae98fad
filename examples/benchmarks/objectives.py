r"""The objective that every method of the benchmark is measured by, and its minimum.

.. math:: f(W, b) = \frac{1}{n} \sum_i \ell(y_i, x_i W + b) + \frac{\alpha}{2} \|W\|_2^2

with `b` free: the same function of the same columns for every method. Of several classes there are two, softmax and
one-vs-rest, and each method is measured by the one that it minimises.

The minimum is found in standardised coordinates by Newton's method, or by scipy's L-BFGS where there are too many
parameters for a Hessian; the Newton decrement, or the norm of the gradient, says how far it may be off.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp
from scipy.special import expit, log_softmax, softmax

#: Most parameters for which a Hessian is formed: of one column, and of columns that are coupled.
MOST_PARAMETERS = 2000
MOST_COUPLED = 700
_BLOCK = 1 << 23


def scales_of(X):
    """Mean and standard deviation of each column; 1 for a constant column."""
    if sp.issparse(X):
        mean = np.asarray(X.mean(axis=0)).ravel()
        square = np.asarray(X.multiply(X).mean(axis=0)).ravel()
        variance = square - mean**2
        variance[variance < 1e-12 * square] = 0.0
    else:
        mean, variance = X.mean(axis=0, dtype=np.float64), X.var(axis=0, dtype=np.float64)
        variance[variance < 1e-24 * mean**2] = 0.0
    scale = np.sqrt(variance)
    return mean, np.where(scale > 0, scale, 1.0)


class SquaredError:
    """Half the squared error, summed over the targets."""

    def value(self, y, z):
        return 0.5 * ((z - y) ** 2).sum(axis=1)

    def gradient(self, y, z):
        return z - y

    def hessian(self, y, z):
        """Second derivatives, shape (n, k, k), or (n, k) where they are diagonal."""
        return np.ones_like(z)

    def constant(self, y):
        return y.mean(axis=0)


class LogLoss:
    """Logistic loss on targets 0 and 1, summed over the columns (one-vs-rest where there are several)."""

    def value(self, y, z):
        return np.logaddexp(0.0, np.where(y > 0, -z, z)).sum(axis=1)

    def gradient(self, y, z):
        return expit(z) - y

    def hessian(self, y, z):
        p = expit(z)
        return p * (1 - p)

    def constant(self, y):
        p = np.clip(y.mean(axis=0), 1e-12, 1 - 1e-12)
        return np.log(p / (1 - p))


class Multinomial:
    """Cross entropy of softmax on one-hot targets."""

    def value(self, y, z):
        return -(y * log_softmax(z, axis=1)).sum(axis=1)

    def gradient(self, y, z):
        return softmax(z, axis=1) - y

    def hessian(self, y, z):
        p = softmax(z, axis=1)
        return p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])

    def constant(self, y):
        return np.log(np.maximum(y.mean(axis=0), 1e-300))


LOSSES = {"squared_error": SquaredError(), "log_loss": LogLoss(), "ovr": LogLoss(), "multinomial": Multinomial()}


def columns_of_targets(y, loss):
    """Targets as columns: values, 0 and 1, or one-hot."""
    if loss == "squared_error":
        return np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    classes = np.unique(y)
    if loss == "log_loss":
        return (y == classes[1]).astype(np.float64)[:, None]
    return (y[:, None] == classes).astype(np.float64)


@dataclass
class Minimum:
    """What the reference found.

    Attributes
    ----------
    value : float
        f*.
    constant : float
        f of the best model without features, the other end of the scale.
    error : float
        Estimate of how far `value` is above the true minimum, as a share of ``constant - value``.
    coef, intercept : ndarray of shape (n_features, k) and (k,)
    """

    value: float
    constant: float
    error: float
    coef: np.ndarray
    intercept: np.ndarray


class Objective:
    """Mean loss plus penalty, as a function of the weights.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
    y : ndarray of shape (n,)
    loss : {"squared_error", "log_loss", "multinomial", "ovr"}
    alpha : float
    """

    def __init__(self, X, y, loss, alpha):
        self.X, self.alpha, self.loss = X, alpha, LOSSES[loss]
        self.y = columns_of_targets(y, loss)
        self.mean, self.scale = scales_of(X)

    def __call__(self, coef, intercept):
        """f at a fitted model's ``coef_`` (k, d) and ``intercept_``."""
        coef = np.asarray(coef, dtype=np.float64).reshape(-1, self.X.shape[1])
        with np.errstate(all="ignore"):
            z = np.asarray(self.X @ coef.T) + np.ravel(intercept)
            value = self.loss.value(self.y, z).mean() + 0.5 * self.alpha * (coef**2).sum()
        return float(value) if np.isfinite(value) else np.inf

    def suboptimality(self, coef, intercept):
        """(f - f*) / (f_constant - f*), at least zero."""
        best = self.minimum()
        return max(0.0, (self(coef, intercept) - best.value) / (best.constant - best.value))

    # ---------------------------------------------------------------- the minimum

    def minimum(self):
        """The minimum, found once."""
        if not hasattr(self, "_minimum"):
            d, k = self.X.shape[1], self.y.shape[1]
            start = np.zeros((d + 1, k))
            start[-1] = self.loss.constant(self.y)
            constant = self._value(start)
            few = 10_000
            if self.X.shape[0] > 4 * few:  # start from the minimum over some rows
                part = copy.copy(self)
                part.X, part.y = self.X[:few], self.y[:few]
                theta = part._find(start)[0]
                start = theta if self._value(theta) < constant else start
            theta, error = self._find(start)
            value = self._value(theta)
            coef = theta[:-1] / self.scale[:, None]
            intercept = theta[-1] - self.mean @ coef
            span = max(constant - value, np.finfo(float).tiny)
            self._minimum = Minimum(value, constant, error / span, coef, intercept)
        return self._minimum

    def _find(self, theta):
        """The minimum from a start, and how far above the true one it may be."""
        d1, k = theta.shape
        # the Hessian of one column; of columns that are coupled, only if it is small
        small = d1 <= MOST_PARAMETERS and (not isinstance(self.loss, Multinomial) or d1 * k <= MOST_COUPLED)
        return (self._newton if small else self._lbfgs)(theta)

    def _predict(self, theta):
        coef = theta[:-1] / self.scale[:, None]
        return np.asarray(self.X @ coef) + (theta[-1] - self.mean @ coef)

    def _value(self, theta):
        p = 1 / self.scale[:, None] ** 2
        return float(
            self.loss.value(self.y, self._predict(theta)).mean() + 0.5 * self.alpha * (p * theta[:-1] ** 2).sum()
        )

    def _gradient(self, theta, z):
        r = self.loss.gradient(self.y, z) / len(z)
        g = np.empty_like(theta)
        g[-1] = r.sum(axis=0)
        g[:-1] = (np.asarray(self.X.T @ r) - self.mean[:, None] * g[-1]) / self.scale[:, None]
        g[:-1] += self.alpha / self.scale[:, None] ** 2 * theta[:-1]
        return g

    def _gram(self, weight):
        """Standardised columns and a one, squared and averaged with the given weights: shape (d + 1, d + 1)."""
        n, d = self.X.shape
        H = np.zeros((d + 1, d + 1))
        if sp.issparse(self.X):
            weighted = self.X.multiply(weight[:, None]).tocsr()
            inner = np.asarray((self.X.T @ weighted).toarray())
            sums = np.asarray(weighted.sum(axis=0)).ravel()
            total = weight.sum()
            inner -= np.outer(sums, self.mean) + np.outer(self.mean, sums) - total * np.outer(self.mean, self.mean)
            H[:d, :d] = inner / np.outer(self.scale, self.scale)
            H[:d, d] = H[d, :d] = (sums - total * self.mean) / self.scale
            H[d, d] = total
        else:
            rows = max(1, _BLOCK // (d + 1))
            for i in range(0, n, rows):
                B = self._standardised(slice(i, i + rows))
                H += B.T @ (weight[i : i + rows, None] * B)
        return H / n

    def _standardised(self, rows):
        """Standardised columns and a one, of some rows; kept if the table is small."""
        if self.X.size > _BLOCK:
            return np.column_stack([(self.X[rows] - self.mean) / self.scale, np.ones(len(self.X[rows]))])
        if not hasattr(self, "_small"):
            self._small = np.column_stack([(self.X - self.mean) / self.scale, np.ones(len(self.X))])
        return self._small[rows]

    def _newton(self, theta, tol=1e-11, max_iter=100):
        k, d1 = theta.shape[1], theta.shape[0]
        p = np.append(self.alpha / self.scale**2, 0.0)
        f = self._value(theta)
        f0, decrement = f, np.inf
        for _ in range(max_iter):
            z = self._predict(theta)
            g = self._gradient(theta, z)
            h = self.loss.hessian(self.y, z)
            if h.ndim == 2:  # columns do not meet: one system each
                step = np.empty_like(theta)
                same = self._gram(h[:, 0]) if (h == h[:, :1]).all() else None
                for j in range(k):
                    H = (self._gram(h[:, j]) if same is None else same) + np.diag(p)
                    step[:, j] = _solve(H, g[:, j])
            else:
                H = np.zeros((d1, k, d1, k))
                for i in range(k):
                    for j in range(i, k):
                        H[:, i, :, j] = self._gram(h[:, i, j])
                        H[:, j, :, i] = H[:, i, :, j].T
                    H[:, i, :, i] += np.diag(p)
                step = _solve(H.reshape(d1 * k, d1 * k), g.ravel()).reshape(d1, k)
            decrement = 0.5 * float((g * step).sum())
            if not decrement > tol * max(f0 - f, 1e-300):
                break
            t, before = 1.0, f
            while t > 1e-8:
                f = self._value(theta - t * step)
                if f <= before - 1e-4 * t * 2 * decrement:
                    break
                t *= 0.5
            if not f < before:
                break
            theta = theta - t * step
        return theta, max(decrement, 0.0)

    def _lbfgs(self, theta):
        """In coordinates in which the constant model's curvature is about one: whitened, or scaled where d is large."""
        d1, k = theta.shape
        p = np.append(self.alpha / self.scale**2, 0.0)
        whitened = d1 <= MOST_PARAMETERS
        if whitened:
            H = 0.25 * self._gram(np.ones(len(self.y))) + np.diag(p)
            L = np.linalg.cholesky(H + 1e-10 * np.trace(H) / d1 * np.eye(d1))
        else:
            unit = 1 / np.sqrt(0.25 + p)[:, None]

        def out_of(v):
            v = v.reshape(d1, k)
            return scipy.linalg.solve_triangular(L, v, lower=True, trans=1) if whitened else v * unit

        def both(v):
            t = out_of(v)
            g = self._gradient(t, self._predict(t))
            g = scipy.linalg.solve_triangular(L, g, lower=True) if whitened else g * unit
            return self._value(t), g.ravel()

        v = ((L.T @ theta) if whitened else theta / unit).ravel()
        g0 = np.abs(both(v)[1]).max()
        options = {"maxiter": 2000, "maxfun": 3000, "ftol": 1e-13, "gtol": 1e-6 * g0, "maxcor": 20}
        for _ in range(2):  # a restart forgets curvature that no longer holds
            v = scipy.optimize.minimize(both, v, jac=True, method="L-BFGS-B", options=options).x
        g = both(v)[1]
        return out_of(v), float(g @ g)


def _solve(H, g):
    jitter = 1e-13 * np.trace(H) / len(H)
    for _ in range(8):
        try:
            factor = scipy.linalg.cho_factor(H + jitter * np.eye(len(H)), lower=True)
            return scipy.linalg.cho_solve(factor, g)
        except np.linalg.LinAlgError:
            jitter *= 100
    return np.linalg.lstsq(H, g, rcond=1e-12)[0]

"""Newton's method for one model on few numbers, where the interpreter costs more than the arithmetic.

The plain rule is ``_fullbatch._Descent``, which takes the same steps for any number of models, rows and losses, damps
them where classes part, and remembers old gradients. A fit goes on there as soon as a step here is not as it should be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import lapack

Array = np.ndarray
# numbers of a table, and features, up to which this is faster
_NUMBERS = 1 << 16
_FEATURES = 64
#: share of the decrease foreseen that a step has to bring
ARMIJO = 1e-4
#: a step that calls for damping
SHORT = 0.2
#: a last decrease of so many times what is enough: not worth asking old coordinates, where new ones are cheap
FAR = 100.0


def suits(problem: Any, columns: int) -> bool:
    """Whether a problem is one model of one column, on a small dense table, with a smooth penalty."""
    p = problem
    few = p.n * (p.d + 1) <= _NUMBERS and p.d <= _FEATURES
    return few and columns == 1 == p.loss.width and not p.sparse and p.penalty.elastic and not p.penalty.has_prox


def newton(
    problem: Any, theta: Array, share: float, constant: float, max_iter: int, ladder: Array,
    record: Callable[[float, float, Array | None], None], watch: Any = None,
) -> str:  # fmt: skip
    r"""Take Newton steps, :math:`\theta \leftarrow \theta - t H^{-1} g`, as long as they go well.

    Parameters
    ----------
    problem : Problem
        One that :func:`suits`.
    theta : ndarray of shape (n_features + 1, 1)
        Where to start; overwritten by each step.
    share, constant : float
        It ends when the next step is to gain less than `share` of what has been gained over `constant`.
    max_iter : int
        Most steps.
    ladder : ndarray
        Lengths that the first step tries.
    record : callable
        Receives objective and length of each step, and the objectives along the ladder.
    watch : optional
        Is told when a step begins and ends, and may end the fit.

    Returns
    -------
    str
        "converged", "max_iter", "interrupted", or nothing if another method should go on.
    """
    loss, c, n, d = problem.loss, problem.coordinates, problem.n, problem.d
    unit = float(np.ravel(c.target)[0])
    C = c.rows(problem.X, np.float64)
    if not problem.fit_intercept:
        C[:, -1] = 0.0
    y, s = problem.labels(slice(None))
    y = y.astype(np.float64, copy=False)
    l2 = np.zeros((d + 1, 1))
    l2[:-1] = problem.penalty.smooth_strength
    w = theta.astype(np.float64)
    z = C @ w
    z *= unit
    per_row = 1.0 / (unit * unit * n)

    def objective(t: Any, ZP: Any, P: Any) -> Array:
        v = w + t * P
        return loss.total(y, z + t * ZP, s) * per_row + 0.5 * (l2 * v * v).sum(axis=0)

    f = float(objective(0.0, 0.0, 0.0)[0])
    if not math.isfinite(f):
        return ""
    eps = float(np.finfo(theta.dtype).eps)
    r, last, length, factor = np.empty_like(z), math.inf, 1.0, None
    for step in range(max_iter):
        # gradient, and what is not worth another step
        loss.gradient(y, z, r)
        if s is not None:
            r *= s
        g = C.T @ r
        g *= per_row * unit
        g += l2 * w
        enough = max(share * min(max(constant - f, 0.0), f), 8 * eps * f)
        if factor is not None and last <= FAR * enough:
            left = 0.5 * max(length, 1.0) * float(np.vdot(g, lapack.dpotrs(factor, g, lower=1)[0]))
            if left <= 0.1 * enough:
                return "converged"
        # the Hessian; a column without curvature stays where it is
        D = loss.second_derivative(y, z)
        B = C * np.sqrt(D if s is None else D * s)
        H = B.T @ B
        H /= n
        diagonal = H.diagonal() + l2[:, 0]
        diagonal[diagonal <= 0] = 1.0
        H.flat[:: d + 2] = diagonal * (1 + 1e-10)
        factor, failed = lapack.dpotrf(H, lower=1, clean=0)
        if failed:
            return ""
        P = -lapack.dpotrs(factor, g, lower=1)[0]
        slope = float(np.vdot(g, P))
        if not math.isfinite(slope):
            return ""
        if -0.5 * max(length, 1.0) * slope <= enough or last <= 0:
            return "converged"
        ZP = C @ P
        ZP *= unit
        if np.abs(ZP).max() <= eps * np.abs(z).max():
            return "converged"  # no prediction would change
        # the length of the step; predictions are linear along it
        scores = None
        if step == 0:
            scores = objective(ladder, ZP, P)
            scores[~np.isfinite(scores)] = math.inf
            best = int(np.argmin(scores))
            t, ft = float(ladder[best]), float(scores[best])
        else:
            t, ft = 1.0, float(objective(1.0, ZP, P)[0])
            # the parabola through value, slope and this value
            bend = ft - f - slope
            guess = -0.5 * slope / bend if bend > 0 else 1.0
            if math.isfinite(guess) and abs(math.log(max(guess, 0.1))) > 0.25:
                guess = min(max(guess, 0.1), 10.0)
                other = float(objective(guess, ZP, P)[0])
                if other < ft:
                    t, ft = guess, other
        if t < SHORT or not ft <= f + ARMIJO * t * slope:
            return ""
        if watch is not None:
            watch.epoch_begins(lambda: theta)
        w += t * P
        z += t * ZP
        last, length, f = f - ft, t, ft
        theta[...] = w
        record(f * unit * unit, t, scores)
        if watch is not None and watch.epoch_ends(lambda: theta):
            return "interrupted"
    return "max_iter"


__all__ = ["ARMIJO", "FAR", "SHORT", "newton", "suits"]

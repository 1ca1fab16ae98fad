"""Losses of the residual: the target is a number, and the distance to the prediction decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.losses.base import Loss, Ramp, weighted_median, within

Array = np.ndarray


class SquaredError(Loss):
    r"""Squared error, halved: ordinary least squares and ridge regression.

    .. math:: \ell(y, z) = \tfrac12 (y - z)^2

    Use it for the conditional mean.

    References
    ----------
    Legendre (1805), "Nouvelles methodes pour la determination des orbites des cometes".

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import SquaredError
    >>> SquaredError().value(np.array([[3.0]]), np.array([[1.0]]))
    array([[2.]])
    """

    regression = True
    max_curvature = 1.0
    quadratic = True

    def value(self, y: Array, z: Array) -> Array:
        r = y - z
        r *= r
        r *= 0.5
        return r

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        return np.subtract(z, y, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return z - y

    def conjugate(self, y: Array, u: Array) -> Array:
        return u * (0.5 * u + y)


class Huber(Loss):
    r"""Huber loss: squared near the target, absolute far from it.

    .. math:: \ell(y, z) = \begin{cases} \tfrac12 r^2 & |r| \le \varepsilon \\
              \varepsilon |r| - \tfrac12 \varepsilon^2 & \text{otherwise} \end{cases}, \quad r = y - z

    Use it for regression with outliers in the target.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residual, in units of the target, where the loss turns linear.

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter", doi:10.1214/aoms/1177703732.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Huber
    >>> Huber(epsilon=1.0).value(np.array([[3.0]]), np.array([[0.0]]))
    array([[2.5]])
    """

    epsilon: float = hyperparameter(0.1, Interval(0))
    regression = True
    max_curvature = 1.0
    saturates = True

    def value(self, y: Array, z: Array) -> Array:
        r = np.abs(y - z)
        inner = np.minimum(r, self.epsilon)
        return inner * (r - 0.5 * inner)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.subtract(z, y, out=out)
        epsilon = operand(self.epsilon, out.dtype)
        return np.clip(out, -epsilon, epsilon, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return min(max(z - y, -self.epsilon), self.epsilon)

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 1.0 * (np.abs(y - z) < self.epsilon)

    def curvature(self, y: Array, z: Array) -> Array:
        return self.epsilon / np.maximum(np.abs(y - z), self.epsilon)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return self._newton_constant(y, weight, weighted_median(y, weight))

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y, -self.epsilon, self.epsilon, 1.0)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -self.epsilon, self.epsilon, lambda u: u * (0.5 * u + y))


class EpsilonInsensitive(Loss):
    r"""Epsilon-insensitive loss of support vector regression.

    .. math:: \ell(y, z) = \max(0,\, |y - z| - \varepsilon)

    Use it where small errors do not matter; ``epsilon=0`` is the absolute error.

    Parameters
    ----------
    epsilon : float, default=0.1
        Width, in units of the target, of the tube in which errors are free.

    References
    ----------
    Vapnik (1995), "The nature of statistical learning theory",
    doi:10.1007/978-1-4757-3264-1.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import EpsilonInsensitive
    >>> EpsilonInsensitive(epsilon=0.5).value(np.array([[3.0]]), np.array([[1.0]]))
    array([[1.5]])
    """

    epsilon: float = hyperparameter(0.1, Interval(0))
    regression = True
    passive_aggressive = True

    def value(self, y: Array, z: Array) -> Array:
        return np.maximum(np.abs(y - z) - self.epsilon, 0)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.subtract(z, y, out=out)
        outside = np.abs(out) > operand(self.epsilon, out.dtype)
        np.sign(out, out=out)
        out *= outside
        return out

    def gradient_scalar(self, y: float, z: float) -> float:
        r = z - y
        return 1.0 if r > self.epsilon else (-1.0 if r < -self.epsilon else 0.0)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        # the median of the two kinks of each row; that of the targets where it costs no more
        ends = weighted_median(np.concatenate([y - self.epsilon, y + self.epsilon]), np.concatenate([weight, weight]))
        middle = weighted_median(y, weight)
        costs = [(weight * self.value(y, z + np.zeros_like(y))).sum(axis=0) for z in (middle, ends)]
        return np.where(costs[0] <= costs[1] * (1 + 1e-12), middle, ends)

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y + self.epsilon, 0.0, 1.0), Ramp(y - self.epsilon, -1.0, 0.0)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -1.0, 1.0, lambda u: u * y + self.epsilon * np.abs(u))


class SquaredEpsilonInsensitive(Loss):
    r"""Squared epsilon-insensitive loss.

    .. math:: \ell(y, z) = \max(0,\, |y - z| - \varepsilon)^2

    Use it for a smooth support vector regression.

    Parameters
    ----------
    epsilon : float, default=0.1
        Width, in units of the target, of the tube in which errors are free.

    References
    ----------
    Ho and Lin (2012), "Large-scale linear support vector regression", JMLR 13, 3323-3348.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import SquaredEpsilonInsensitive
    >>> SquaredEpsilonInsensitive(epsilon=1.0).value(np.array([[3.0]]), np.array([[0.0]]))
    array([[4.]])
    """

    epsilon: float = hyperparameter(0.1, Interval(0))
    regression = True
    max_curvature = 2.0

    def value(self, y: Array, z: Array) -> Array:
        excess = np.maximum(np.abs(y - z) - self.epsilon, 0)
        return excess * excess

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        # 2 (r - clip(r, -eps, eps)) with r = z - y
        np.subtract(z, y, out=out)
        epsilon = operand(self.epsilon, out.dtype)
        out -= np.clip(out, -epsilon, epsilon)
        out *= operand(2.0, out.dtype)
        return out

    def gradient_scalar(self, y: float, z: float) -> float:
        r = z - y
        return 2.0 * (r - min(max(r, -self.epsilon), self.epsilon))

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 2.0 * (np.abs(y - z) > self.epsilon)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return self._newton_constant(y, weight, super().fit_intercept_only(y, weight))

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y + self.epsilon, 0.0, np.inf, 0.5), Ramp(y - self.epsilon, -np.inf, 0.0, 0.5)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return u * (0.25 * u + y) + self.epsilon * np.abs(u)

r"""Losses: how wrong a prediction is, and which way is better.

A loss knows the target `y` and the prediction `z = x @ w + b`, element by element; it
never sees `X`, `W`, weights or means. Both arrays have the column as last axis: `z` is
``(n_batch, n_columns)`` and `y` broadcasts against it. Losses of margin kind expect `y` in
{-1, +1}; losses of residual kind take real targets (and, in a classifier, -1 and +1).

At a kink the value is continuous and :meth:`Loss.gradient` returns the one-sided derivative that
scikit-learn's SGD uses. ``gradient`` and ``value`` never overwrite `y` or `z`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from skvariants._component import Component, Real, hyperparameter, operand

__all__ = [
    "LOSSES",
    "EpsilonInsensitive",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "MultinomialLogLoss",
    "Perceptron",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
]

Array = np.ndarray
# predictions whose exponentials neither overflow nor vanish in single precision
_MILD = 60.0
# the largest exponent, for one that single precision holds (up to 88)
_CUT = 80.0
# logarithms that cost less than another round of products
_SHORT = 64
# probabilities that are as good as exact when they come from a difference
_RARE = 1e-3


class Loss(Component):
    """Interface of all losses; subclass it for your own.

    Define :meth:`value` and :meth:`gradient`. Everything else has a default that works.

    Attributes
    ----------
    regression : bool
        Whether the loss takes real targets; otherwise `y` is -1 or +1.
    curvature : float or None
        Upper bound of the second derivative in `z`, or None where the loss is not smooth.
        A bound makes safe step sizes and full-batch finishing steps possible.
    width : int
        How many adjacent columns the loss couples; 1 for all but the multinomial loss.
    """

    regression: ClassVar[bool] = False
    curvature: ClassVar[float | None] = None
    passive_aggressive: ClassVar[bool] = False

    @property
    def width(self) -> int:
        """Number of adjacent columns that one model of this loss has."""
        return 1

    @abstractmethod
    def value(self, y: Array, z: Array) -> Array:
        """Loss of each prediction.

        Parameters
        ----------
        y : ndarray of shape (n_batch, n_columns) or (n_batch, 1)
            Targets.
        z : ndarray of shape (n_batch, n_columns)
            Predictions.

        Returns
        -------
        ndarray of shape (n_batch, n_columns)
        """

    @abstractmethod
    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        """Derivative of the loss in `z`, written to `out`.

        Parameters
        ----------
        y : ndarray of shape (n_batch, n_columns) or (n_batch, 1)
            Targets.
        z : ndarray of shape (n_batch, n_columns)
            Predictions.
        out : ndarray of shape (n_batch, n_columns)
            Receives the derivative; not an alias of `z`.

        Returns
        -------
        ndarray
            `out`.
        """

    def total(self, y: Array, z: Array, s: Array | None = None, r: Array | None = None) -> Array:
        """Sum of the weighted losses of each column.

        The default sums :meth:`value`; a loss overrides it where sums are cheaper than their terms.

        Parameters
        ----------
        y, z : ndarray
            Targets and predictions, as for :meth:`value`.
        s : ndarray of shape (n_batch, n_columns) or (n_batch, 1), optional
            Weights.
        r : ndarray of shape (n_batch, n_columns), optional
            What :meth:`gradient` wrote for the same `y` and `z`, where it is at hand.

        Returns
        -------
        ndarray of shape (n_columns,), in double precision
        """
        value = self.value(y, z)
        return _column_sums(value if s is None else value * s)

    def second_derivative(self, y: Array, z: Array) -> Array:
        """Second derivative in `z` (a generalised one at kinks of the first).

        The default is the bound `curvature`, which is safe but not sharp.
        """
        return np.full(np.broadcast_shapes(y.shape, z.shape), float(self.curvature or 1.0))

    def slope(self, y: float, z: float) -> float:
        """Derivative for one target and one prediction, as Python floats.

        The default calls :meth:`gradient`; losses override it because a per-sample loop
        spends its time here.
        """
        out = np.empty((1, 1))
        return float(self.gradient(np.array([[y]]), np.array([[z]]), out)[0, 0])

    def constant(self, y: Array, weight: Array) -> Array:
        """A good constant prediction for each column, where a fit may start.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            Targets.
        weight : ndarray of shape (n_samples, n_columns)
            Weights with positive column sums.

        Returns
        -------
        ndarray of shape (n_columns,)
        """
        if self.regression:
            return (weight * y).sum(axis=0) / weight.sum(axis=0)
        return np.zeros(y.shape[1])


def _column_sums(value: Array) -> Array:
    """Sum of each column, in double precision."""
    if value.dtype != np.float64:
        return value.sum(axis=0, dtype=np.float64)
    # BLAS sums the rows of a narrow array faster than a reduction
    return value.sum(axis=0) if value.shape[1] == 1 else np.dot(np.ones(len(value)), value)


def _log_products(factors: Array, most: int) -> Array:
    """Logarithm of the product of each column, overwriting `factors`: one logarithm for `most` of them."""
    taken, n = 1, len(factors)
    while 2 * taken <= most and n > _SHORT:
        half = n // 2
        factors[:half] *= factors[half : 2 * half]
        if n % 2:
            # an odd one out would make one group longer than `most`: it waits at the end
            factors[half] = factors[n - 1]
        n = half + n % 2
        taken *= 2
    return _column_sums(np.log(factors[:n], out=factors[:n]))


def _positive_share(y: Array, weight: Array) -> Array:
    return (weight * (y > 0)).sum(axis=0) / weight.sum(axis=0)


def _weighted_median(y: Array, weight: Array) -> Array:
    order = np.argsort(y, axis=0, kind="stable")
    cumulated = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    middle = (cumulated < 0.5 * cumulated[-1:]).sum(axis=0)
    rows = np.take_along_axis(order, np.minimum(middle, len(y) - 1)[None], axis=0)
    return np.take_along_axis(y, rows, axis=0)[0]


class Hinge(Loss):
    r"""Hinge loss of the linear support vector machine.

    .. math:: \ell(y, z) = \max(0,\, \tau - y z)

    Use it where only the sign of the prediction matters; it gives no probabilities.

    Parameters
    ----------
    threshold : float, default=1.0
        The margin :math:`\tau` below which a prediction costs.

    References
    ----------
    Cortes and Vapnik (1995), "Support-vector networks", doi:10.1007/BF00994018.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Hinge
    >>> Hinge().value(np.array([[1.0]]), np.array([[0.25]]))
    array([[0.75]])
    """

    threshold: float = hyperparameter(1.0, Real(0))
    passive_aggressive = True

    def value(self, y: Array, z: Array) -> Array:
        return np.maximum(self.threshold - y * z, 0)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.multiply(y, z, out=out)
        np.less_equal(out, operand(self.threshold, out.dtype), out=out, casting="unsafe")
        out *= y
        return np.negative(out, out=out)

    def slope(self, y: float, z: float) -> float:
        return -y if y * z <= self.threshold else 0.0

    def constant(self, y: Array, weight: Array) -> Array:
        return np.where(_positive_share(y, weight) >= 0.5, self.threshold, -self.threshold)


class Perceptron(Loss):
    r"""The perceptron criterion: only wrong predictions cost.

    .. math:: \ell(y, z) = \max(0,\, -y z)

    Use it for the historical algorithm; the hinge loss generalises better.

    References
    ----------
    Rosenblatt (1958), "The perceptron", doi:10.1037/h0042519.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Perceptron
    >>> Perceptron().value(np.array([[1.0]]), np.array([[-0.5]]))
    array([[0.5]])
    """

    def value(self, y: Array, z: Array) -> Array:
        return np.maximum(-y * z, 0)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.multiply(y, z, out=out)
        np.less_equal(out, operand(0.0, out.dtype), out=out, casting="unsafe")
        out *= y
        return np.negative(out, out=out)

    def slope(self, y: float, z: float) -> float:
        return -y if y * z <= 0 else 0.0


class SquaredHinge(Loss):
    r"""Squared hinge loss: the hinge without its kink.

    .. math:: \ell(y, z) = \max(0,\, 1 - y z)^2

    Use it for a margin classifier that full-batch steps can solve exactly.

    References
    ----------
    Chang, Hsieh and Lin (2008), "Coordinate descent method for large-scale L2-loss linear
    support vector machines", JMLR 9, 1369-1398.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import SquaredHinge
    >>> SquaredHinge().value(np.array([[1.0]]), np.array([[0.5]]))
    array([[0.25]])
    """

    curvature = 2.0

    def value(self, y: Array, z: Array) -> Array:
        slack = np.maximum(1 - y * z, 0)
        return slack * slack

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.multiply(y, z, out=out)
        np.subtract(operand(1.0, out.dtype), out, out=out)
        np.maximum(out, operand(0.0, out.dtype), out=out)
        out *= y
        out *= operand(-2.0, out.dtype)
        return out

    def slope(self, y: float, z: float) -> float:
        slack = 1.0 - y * z
        return -2.0 * y * slack if slack > 0 else 0.0

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 2.0 * (y * z < 1)

    def constant(self, y: Array, weight: Array) -> Array:
        return 2 * _positive_share(y, weight) - 1


class LogLoss(Loss):
    r"""Logistic loss: logistic regression, with probabilities.

    .. math:: \ell(y, z) = \log(1 + e^{-y z})

    Use it by default: calibrated probabilities and a smooth surface.

    References
    ----------
    Cox (1958), "The regression analysis of binary sequences",
    doi:10.1111/j.2517-6161.1958.tb00292.x.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import LogLoss
    >>> LogLoss().value(np.array([[1.0]]), np.array([[0.0]])).round(4)
    array([[0.6931]])
    """

    curvature = 0.25

    def value(self, y: Array, z: Array) -> Array:
        # log(1 + e^-m) = max(-m, 0) + log(1 + e^-|m|), which cannot overflow
        margin = y * z
        value = np.abs(margin)
        np.negative(value, out=value)
        np.exp(value, out=value)
        np.log1p(value, out=value)
        np.minimum(margin, 0, out=margin)
        value -= margin
        return value

    def total(self, y: Array, z: Array, s: Array | None = None, r: Array | None = None) -> Array:
        if s is not None:
            return super().total(y, z, s)
        single, margin = z.dtype == np.float32, y * z
        if r is None:
            # as in `value`; the logarithms of factors between 1 and 2 are taken together
            factors = np.abs(margin)
            np.negative(factors, out=factors)
            np.exp(factors, out=factors)
            factors += operand(1.0, factors.dtype)
            least = np.minimum(margin, operand(0.0, margin.dtype), out=margin)
            return _log_products(factors, 64 if single else 512) - _column_sums(least)
        # -log |r| - m with |r| = 1 / (1 + e^m), m cut as in `gradient`: neither exponential nor cancellation
        np.minimum(margin, operand(_CUT, margin.dtype), out=margin)
        return -_log_products(np.abs(r), 1 if single else 8) - _column_sums(margin)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        # -y / (1 + e^(y z)); the exponent is cut where float32 would overflow
        np.multiply(y, z, out=out)
        np.minimum(out, operand(_CUT, out.dtype), out=out)
        np.exp(out, out=out)
        np.subtract(operand(-1.0, out.dtype), out, out=out)
        return np.divide(y, out, out=out)

    def slope(self, y: float, z: float) -> float:
        margin = y * z
        return -y / (1.0 + math.exp(margin)) if margin < 700.0 else 0.0

    def second_derivative(self, y: Array, z: Array) -> Array:
        p = expit(y * z)
        return p * (1 - p)

    def constant(self, y: Array, weight: Array) -> Array:
        p = np.clip(_positive_share(y, weight), 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    def probability(self, z: Array) -> Array:
        """Probability of the positive class, ``1 / (1 + exp(-z))``."""
        return expit(z)


class ModifiedHuber(Loss):
    r"""Modified Huber loss: a smooth margin loss that forgives outliers.

    .. math:: \ell(y, z) = \begin{cases} \max(0, 1 - yz)^2 & yz \ge -1 \\
              -4 yz & \text{otherwise} \end{cases}

    Use it for a margin loss with probabilities where some labels are wrong.

    References
    ----------
    Zhang (2004), "Solving large scale linear prediction problems using stochastic gradient
    descent algorithms", doi:10.1145/1015330.1015332.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import ModifiedHuber
    >>> ModifiedHuber().value(np.array([[1.0]]), np.array([[-2.0]]))
    array([[8.]])
    """

    curvature = 2.0

    def value(self, y: Array, z: Array) -> Array:
        margin = y * z
        slack = np.maximum(1 - margin, 0)
        return np.where(margin >= -1, slack * slack, -4 * margin)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        # -2 y min(max(1 - yz, 0), 2)
        np.multiply(y, z, out=out)
        np.subtract(operand(1.0, out.dtype), out, out=out)
        np.maximum(out, operand(0.0, out.dtype), out=out)
        np.minimum(out, operand(2.0, out.dtype), out=out)
        out *= y
        out *= operand(-2.0, out.dtype)
        return out

    def slope(self, y: float, z: float) -> float:
        return -2.0 * y * min(max(1.0 - y * z, 0.0), 2.0)

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 2.0 * (np.abs(y * z) < 1)

    def constant(self, y: Array, weight: Array) -> Array:
        return 2 * _positive_share(y, weight) - 1

    def probability(self, z: Array) -> Array:
        """Probability of the positive class, ``(clip(z, -1, 1) + 1) / 2``."""
        return (np.clip(z, -1, 1) + 1) / 2


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
    curvature = 1.0

    def value(self, y: Array, z: Array) -> Array:
        r = y - z
        r *= r
        r *= 0.5
        return r

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        return np.subtract(z, y, out=out)

    def slope(self, y: float, z: float) -> float:
        return z - y


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

    epsilon: float = hyperparameter(0.1, Real(0))
    regression = True
    curvature = 1.0

    def value(self, y: Array, z: Array) -> Array:
        r = np.abs(y - z)
        inner = np.minimum(r, self.epsilon)
        return inner * (r - 0.5 * inner)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.subtract(z, y, out=out)
        epsilon = operand(self.epsilon, out.dtype)
        return np.clip(out, -epsilon, epsilon, out=out)

    def slope(self, y: float, z: float) -> float:
        return min(max(z - y, -self.epsilon), self.epsilon)

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 1.0 * (np.abs(y - z) < self.epsilon)

    def constant(self, y: Array, weight: Array) -> Array:
        return _weighted_median(y, weight)


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

    epsilon: float = hyperparameter(0.1, Real(0))
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

    def slope(self, y: float, z: float) -> float:
        r = z - y
        return 1.0 if r > self.epsilon else (-1.0 if r < -self.epsilon else 0.0)

    def constant(self, y: Array, weight: Array) -> Array:
        return _weighted_median(y, weight)


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

    epsilon: float = hyperparameter(0.1, Real(0))
    regression = True
    curvature = 2.0

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

    def slope(self, y: float, z: float) -> float:
        r = z - y
        return 2.0 * (r - min(max(r, -self.epsilon), self.epsilon))

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 2.0 * (np.abs(y - z) > self.epsilon)


class MultinomialLogLoss(Loss):
    r"""Multinomial logistic (softmax) loss; couples the columns of one model.

    .. math:: \ell(y, z) = \log \sum_c e^{z_c} - z_y

    `y` is one-hot and :meth:`value` puts the whole loss into the column of the true class, so that a
    model's loss is the sum over its columns. Columns of several models lie side by side.
    Use it for three classes or more with probabilities; ``multi_class="auto"`` does.

    Parameters
    ----------
    n_classes : int, default=3
        Number of classes, which is the number of adjacent columns of one model.

    References
    ----------
    Theil (1969), "A multinomial extension of the linear logit model", doi:10.2307/2525642.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import MultinomialLogLoss
    >>> loss = MultinomialLogLoss(n_classes=3)
    >>> loss.value(np.array([[0.0, 1.0, 0.0]]), np.zeros((1, 3))).sum().round(4)
    np.float64(1.0986)
    """

    n_classes: int = hyperparameter(3, Real(2, integer=True, per_column=False))
    curvature = 0.5

    @property
    def width(self) -> int:
        """Number of adjacent columns that one model of this loss has."""
        return self.n_classes

    def value(self, y: Array, z: Array) -> Array:
        z2 = z.reshape(-1, self.n_classes)
        highest = z2.max(axis=1, keepdims=True)
        p = np.subtract(z2, highest)
        np.exp(p, out=p)
        log_sum = np.log(self._row_sums(p))
        log_sum += highest
        return y * np.subtract(log_sum, z2, out=p).reshape(z.shape)

    def total(self, y: Array, z: Array, s: Array | None = None, r: Array | None = None) -> Array:
        if r is None:
            return super().total(y, z, s)
        # r = p - y, so that the probability of the true class is 1 + y r: exact where it is not small
        own = self._row_sums((y * r).reshape(-1, self.n_classes))
        own += 1.0
        value = np.repeat(-np.log(np.maximum(own, _RARE)).reshape(len(z), -1), self.n_classes, axis=1)
        value *= y
        rare = (own <= _RARE).reshape(len(z), -1).any(axis=1)
        if rare.any():
            value[rare] = self.value(y[rare], z[rare])
        return _column_sums(value if s is None else value * s)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        z2, p = z.reshape(-1, self.n_classes), out.reshape(-1, self.n_classes)
        # the softmax; what is subtracted from all classes cancels, and is needed only against overflow
        if z.size and -_MILD < z.min() and z.max() < _MILD:
            np.exp(z2, out=p)
        else:
            np.subtract(z2, z2.max(axis=1, keepdims=True), out=p)
            np.exp(p, out=p)
        p /= self._row_sums(p)
        return np.subtract(p.reshape(z.shape), y, out=out)

    def _row_sums(self, p: Array) -> Array:
        # a product: the sum of short rows is slow
        return np.dot(p, np.ones((self.n_classes, 1), p.dtype))

    def second_derivative(self, y: Array, z: Array) -> Array:
        p = self.probability(z)
        return p * (1 - p)

    def constant(self, y: Array, weight: Array) -> Array:
        share = (weight * y).sum(axis=0) / weight.sum(axis=0)
        z = np.log(np.maximum(share, 1e-6)).reshape(-1, self.n_classes)
        return (z - z.mean(axis=1, keepdims=True)).ravel()

    def probability(self, z: Array) -> Array:
        """Probability of each class, the softmax of each model's columns."""
        z3 = z.reshape(len(z), -1, self.n_classes)
        p = np.exp(z3 - z3.max(axis=2, keepdims=True))
        p /= p.sum(axis=2, keepdims=True)
        return p.reshape(z.shape)


#: Every loss by name, in the order in which the documentation shows them.
LOSSES: dict[str, Any] = {
    "log_loss": LogLoss,
    "hinge": Hinge,
    "modified_huber": ModifiedHuber,
    "squared_hinge": SquaredHinge,
    "perceptron": Perceptron,
    "squared_error": SquaredError,
    "huber": Huber,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
}

"""Losses of the margin: the target is -1 or +1, and the product of target and prediction decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, xlog1py, xlogy

from skvariants._component import Interval, hyperparameter, operand
from skvariants.losses.base import Loss, Ramp, column_sums, log_products, positive_share, registered, within
from skvariants.losses.classes import MultinomialLogLoss

Array = np.ndarray
# margin of the hinge loss whose minimum stands for the perceptron's, in the units of a prediction
_LIMIT = 1e-6
# the largest exponent, for one that single precision holds (up to 88)
_CUT = 80.0
# the smallest probability of a label whose complement, taken from 1, leaves half of the digits; 32 multiply safely
_DIGITS = 1e-8
# greatest margin, whose square is a number
_FAR = 1e100
# Newton's steps along the flow of a margin
_FLOW = 8


@registered("hinge", "labels", 2)
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

    threshold: float = hyperparameter(1.0, Interval(0, _FAR, "both"))
    passive_aggressive = True

    @property
    def margin(self) -> float:  # type: ignore[override]
        """The threshold, unless it is zero."""
        return float(self.threshold) or 1.0

    def value(self, y: Array, z: Array) -> Array:
        return np.maximum(self.threshold - y * z, 0)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.multiply(y, z, out=out)
        np.less_equal(out, operand(self.threshold, out.dtype), out=out, casting="unsafe")
        out *= y
        return np.negative(out, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return -y if y * z <= self.threshold else 0.0

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return np.where(positive_share(y, weight) >= 0.5, self.threshold, -self.threshold)

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(self.threshold * y, np.minimum(-y, 0.0), np.maximum(-y, 0.0))]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(-y * u, 0.0, 1.0, lambda a: -self.threshold * a)


@registered("perceptron", "labels")
class Perceptron(Loss):
    r"""The perceptron criterion: only wrong predictions cost.

    .. math:: \ell(y, z) = \max(0,\, -y z)

    Use it for the historical algorithm; the hinge loss generalises better. Weights of zero cost nothing, so that its
    minimum says nothing: ``solver="auto"`` minimises the hinge loss of a margin of 1e-6 instead, whose cost is at most
    that far from none, and whose direction is the limit of the hinge loss as the margin falls.

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

    def gradient_scalar(self, y: float, z: float) -> float:
        return -y if y * z <= 0 else 0.0

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return np.zeros(y.shape[1])

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(0.0 * y, np.minimum(-y, 0.0), np.maximum(-y, 0.0))]

    def limit(self) -> Loss:
        """A hinge loss of nearly no margin: the weights zero cost nothing, and separate nothing."""
        return Hinge(threshold=_LIMIT)

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(-y * u, 0.0, 1.0, np.zeros_like)


@registered("squared_hinge", "labels")
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

    max_curvature = 2.0

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

    def gradient_scalar(self, y: float, z: float) -> float:
        slack = 1.0 - y * z
        return -2.0 * y * slack if slack > 0 else 0.0

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 2.0 * (y * z < 1)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return 2 * positive_share(y, weight) - 1

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y, np.where(y > 0, -np.inf, 0.0), np.where(y > 0, 0.0, np.inf), 0.5)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(-y * u, 0.0, np.inf, lambda a: 0.25 * a * a - a)


@registered("log_loss", "labels", 1)
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

    max_curvature = 0.25

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
        single = z.dtype == np.float32
        if r is None:
            margin = y * z
            # as in `value`; the logarithms of factors between 1 and 2 are taken together
            factors = np.abs(margin)
            np.negative(factors, out=factors)
            np.exp(factors, out=factors)
            factors += operand(1.0, factors.dtype)
            least = np.minimum(margin, operand(0.0, margin.dtype), out=margin)
            return log_products(factors, 64 if single else 512) - column_sums(least)
        if not single:
            # -log(1 - |r|), where no digits cancel
            factors = np.abs(r)
            np.subtract(1.0, factors, out=factors)
            if factors.min(initial=1.0) >= _DIGITS:
                return -log_products(factors, 32)
        # -log |r| - m with |r| = 1 / (1 + e^m), m cut as in `gradient`: neither exponential nor cancellation
        margin = y * z
        np.minimum(margin, operand(_CUT, margin.dtype), out=margin)
        return -log_products(np.abs(r), 1 if single else 8) - column_sums(margin)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        # -y / (1 + e^(y z)); the exponent is cut where float32 would overflow
        np.multiply(y, z, out=out)
        np.minimum(out, operand(_CUT, out.dtype), out=out)
        np.exp(out, out=out)
        np.subtract(operand(-1.0, out.dtype), out, out=out)
        return np.divide(y, out, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        margin = y * z
        return -y / (1.0 + math.exp(margin)) if margin < 700.0 else 0.0

    def second_derivative(self, y: Array, z: Array) -> Array:
        p = expit(y * z)
        return p * (1 - p)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        p = np.clip(positive_share(y, weight), 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(-y * u, 0.0, 1.0, lambda a: xlogy(a, a) + xlog1py(1 - a, -a))

    def flow(self, y: Array, z: Array, time: Array) -> Array:
        return y * _margin_gained(np.exp(np.clip(y * z, -_CUT, _CUT)), time, np)

    def flow_scalar(self, y: float, z: float, time: float) -> float:
        return y * _margin_gained(math.exp(min(max(y * z, -_CUT), _CUT)), time, math)

    def coupled(self, n_classes: int) -> Loss:
        """The multinomial loss."""
        return MultinomialLogLoss(n_classes=n_classes)

    def probability(self, z: Array) -> Array:
        """Probability of the positive class, ``1 / (1 + exp(-z))``."""
        return expit(z)


def _margin_gained(odds: Any, time: Any, lib: Any) -> Any:
    """The root of ``x + odds * (exp(x) - 1) = time``, by Newton's steps from above; `lib` is np or math."""
    x = lib.log1p(time / odds)
    for _ in range(_FLOW):
        x = x - (x + odds * lib.expm1(x) - time) / (1 + odds * lib.exp(x))
    return x


@registered("modified_huber", "labels")
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

    max_curvature = 2.0

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

    def gradient_scalar(self, y: float, z: float) -> float:
        return -2.0 * y * min(max(1.0 - y * z, 0.0), 2.0)

    def second_derivative(self, y: Array, z: Array) -> Array:
        return 2.0 * (np.abs(y * z) < 1)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return 2 * positive_share(y, weight) - 1

    def probability(self, z: Array) -> Array:
        """Probability of the positive class, ``(clip(z, -1, 1) + 1) / 2``."""
        return (np.clip(z, -1, 1) + 1) / 2

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y, np.minimum(-4.0 * y, 0.0), np.maximum(-4.0 * y, 0.0), 0.5)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(-y * u, 0.0, 4.0, lambda a: 0.25 * a * a - a)

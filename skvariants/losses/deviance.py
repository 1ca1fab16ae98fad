r"""Losses of a mean on another scale: half the unit deviance of a distribution, by a link of the prediction.

A deviance is zero where the mean is the target, and `score` tells the fraction of it that a model explains. Exponents
are cut where single precision would overflow, and losses go on as straight lines there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import expit, xlog1py, xlogy

from skvariants._component import Interval, hyperparameter, operand
from skvariants.losses.base import Loss, registered, within

Array = np.ndarray
# logarithms of the largest mean that is distinguished, in either precision, and of the least
_HIGHEST, _LOWEST = 50.0, -40.0
# constant that stands for the logarithm of a mean of zero, as a mean
_NONE = 1e-6
# steps to the slope of a conjugate that has no formula, and where they end
_STEPS, _CLOSE = 60, 1e-14


class LogLink(Loss):
    """What losses share whose mean is the exponential of the prediction."""

    regression = True
    smooth = True
    in_target_units = False
    deviance = True
    domain = Interval(0)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        mean = (weight * y).sum(axis=0) / weight.sum(axis=0)
        return np.log(np.where(mean > 0, mean, _NONE))

    def inverse_link(self, z: Array) -> Array:
        return np.exp(np.minimum(z, operand(_HIGHEST, z.dtype)))


@registered("poisson", "means")
class Poisson(LogLink):
    r"""Poisson loss of counts and frequencies: half the unit deviance, with a log link.

    .. math:: \ell(y, z) = e^z - y + y \log y - y z

    Use it for counts, or for frequencies (counts per exposure, with the exposure as ``sample_weight``); targets are
    zero or more, and ``predict`` gives means.

    References
    ----------
    Nelder and Wedderburn (1972), "Generalized linear models", doi:10.2307/2344614.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Poisson
    >>> Poisson().value(np.array([[0.0]]), np.array([[0.0]]))
    array([[1.]])
    """

    def value(self, y: Array, z: Array) -> Array:
        cut = np.minimum(z, operand(_HIGHEST, z.dtype))
        log_y = _log(y)
        mean, r = np.exp(cut), cut - log_y
        # near the target the difference of mean and target is taken where no digits cancel
        value = np.where(r > 1, mean - y, y * np.expm1(np.minimum(r, operand(1.0, r.dtype))))
        value -= y * r
        value += (z - cut) * (mean - y)
        return np.maximum(value, operand(0.0, value.dtype), out=value)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.minimum(z, operand(_HIGHEST, z.dtype), out=out)
        np.exp(out, out=out)
        return np.subtract(out, y, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return math.exp(min(z, _HIGHEST)) - y

    def second_derivative(self, y: Array, z: Array) -> Array:
        return self.inverse_link(z) + 0.0 * y

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -y, np.inf, lambda u: xlogy(u + y, u + y) - xlogy(y, y) - u)


@registered("gamma", "means")
class Gamma(LogLink):
    r"""Gamma loss of positive amounts: half the unit deviance, with a log link.

    .. math:: \ell(y, z) = y e^{-z} - 1 - \log y + z

    Use it for positive amounts whose spread grows with their mean, such as the costs of claims; ``predict`` gives
    means.

    References
    ----------
    Nelder and Wedderburn (1972), "Generalized linear models", doi:10.2307/2344614.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Gamma
    >>> Gamma().value(np.array([[1.0]]), np.array([[1.0]])).round(4)
    array([[0.3679]])
    """

    domain = Interval(0, closed="neither")

    def value(self, y: Array, z: Array) -> Array:
        t = _log(y) - z
        cut = np.minimum(t, operand(_HIGHEST, t.dtype))
        value = np.expm1(cut)
        value += (t - cut) * (value + operand(1.0, t.dtype))
        value -= t
        return np.maximum(value, operand(0.0, value.dtype), out=value)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.subtract(_log(y), z, out=out)
        np.minimum(out, operand(_HIGHEST, out.dtype), out=out)
        np.expm1(out, out=out)
        return np.negative(out, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return -math.expm1(min(math.log(y) - z, _HIGHEST))

    def second_derivative(self, y: Array, z: Array) -> Array:
        t = _log(y) - z
        return np.exp(np.minimum(t, operand(_HIGHEST, t.dtype)))

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -np.inf, 1.0, lambda u: u * np.log(y) + xlogy(1 - u, 1 - u) + u)


@registered("tweedie", "means")
class Tweedie(LogLink):
    r"""Tweedie loss of amounts that are often exactly zero: half the unit deviance, with a log link.

    .. math:: \ell(y, z) = \frac{e^{(2-p) z}}{2 - p} - \frac{y\, e^{(1-p) z}}{1 - p} + \frac{y^{2-p}}{(1-p)(2-p)}

    Use it for totals, such as costs per policy, of which many are zero; ``predict`` gives means. Power 1 is the Poisson
    loss and 2 the gamma loss; between them it is that of a sum of a Poisson number of gamma amounts. Of other powers
    the loss is not convex in the prediction.

    Parameters
    ----------
    power : float, default=1.5
        The variance is proportional to the mean to this power :math:`p`.

    References
    ----------
    Tweedie (1984), "An index which distinguishes between some important exponential families", Statistics: Applications
    and New Directions, 579-604. Smyth and Jorgensen (2002), "Fitting Tweedie's compound Poisson model to insurance
    claims data", doi:10.2143/AST.32.1.1020.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Tweedie
    >>> Tweedie(power=1.5).value(np.array([[0.0]]), np.array([[0.0]]))
    array([[2.]])
    """

    elsewhere = dict.fromkeys(("p", "variance_power"), "pass power")

    power: float = hyperparameter(1.5, Interval(1, 2, "both"))

    @property
    def domain(self) -> Interval:  # type: ignore[override]
        """Zero or more; with power 2, more."""
        return Interval(0, closed="neither" if np.any(self.power == 2) else "left")

    def _powers(self, dtype: Any) -> tuple[Array, Array]:
        """Exponents of the mean in the two terms, 2 - p and 1 - p."""
        return tuple(operand(np.asarray(k - self.power, dtype)[()], dtype) for k in (2.0, 1.0))  # type: ignore[return-value]

    def value(self, y: Array, z: Array) -> Array:
        b, a = self._powers(z.dtype)
        cut = np.clip(z, operand(_LOWEST, z.dtype), operand(_HIGHEST, z.dtype))
        log_y = _log(y)
        mean, zero = _rise(b, cut, log_y), y == 0
        value = mean - y * _rise(a, cut, log_y)
        if zero.any():
            value = np.where(zero, np.exp(b * cut) / np.maximum(b, np.finfo(z.dtype).tiny), value)
        value += (z - cut) * self._slope(y, cut)
        return np.maximum(value, operand(0.0, value.dtype), out=value)

    def _slope(self, y: Array, z: Array) -> Array:
        b, a = self._powers(z.dtype)
        return np.exp(b * z) - y * np.exp(a * z)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        cut = np.clip(z, operand(_LOWEST, z.dtype), operand(_HIGHEST, z.dtype))
        out[...] = self._slope(y, cut)
        return out

    def second_derivative(self, y: Array, z: Array) -> Array:
        b, a = self._powers(z.dtype)
        cut = np.clip(z, operand(_LOWEST, z.dtype), operand(_HIGHEST, z.dtype))
        return b * np.exp(b * cut) - a * (y * np.exp(a * cut))

    def conjugate(self, y: Array, u: Array) -> Array:
        # u z - value where the slope is u; in units of y^b, r = z - log y solves e^(br) - e^(ar) = v
        b, a = self._powers(np.float64)
        positive = np.where(y > 0, y, 1.0)
        scale = positive**b
        low, high = np.where(b == 0, -np.inf, np.where(a == 0, -scale, -np.inf)), np.where(b == 0, scale, np.inf)
        inside = within(u, np.where(y > 0, low, 0.0), high, np.zeros_like)
        v = np.clip(u, low, high) / scale
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            r = _solved(b, a, v)
            of_one = v * r - (_rise(b, r, 0.0 * r) - _rise(a, r, 0.0 * r))
            at_zero = (xlogy(u, np.maximum(u, 0)) - u) / np.where(b > 0, b, 1.0)
            value = np.where(y > 0, u * np.log(positive) + scale * of_one, at_zero)
        return np.where(np.isinf(inside), np.inf, np.where(u == 0, 0.0, value))


@registered("binomial", "means")
class Binomial(Loss):
    r"""Log loss of proportions: half the unit deviance of a binomial share, with a logit link.

    .. math:: \ell(y, z) = \log(1 + e^z) - y z + y \log y + (1 - y) \log(1 - y)

    Use it for shares, such as successes of so many trials (with the number of trials as ``sample_weight``); targets
    are in [0, 1], and ``predict`` gives means. Of targets 0 and 1 it is the log loss. The regressor takes it by the
    name "log_loss" too.

    References
    ----------
    Wedderburn (1974), "Quasi-likelihood functions, generalized linear models, and the Gauss-Newton method",
    doi:10.1093/biomet/61.3.439.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Binomial
    >>> Binomial().value(np.array([[1.0]]), np.array([[0.0]])).round(4)
    array([[0.6931]])
    """

    regression = True
    max_curvature = 0.25
    in_target_units = False
    deviance = True
    domain = Interval(0, 1, "both")

    def value(self, y: Array, z: Array) -> Array:
        value = np.log1p(np.exp(-np.abs(z))) + np.maximum(z, operand(0.0, z.dtype))
        value = value - y * z + _entropy(y)
        return np.maximum(value, operand(0.0, value.dtype), out=value)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        expit(z, out=out)
        return np.subtract(out, y, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return 1.0 / (1.0 + math.exp(-max(z, -700.0))) - y

    def second_derivative(self, y: Array, z: Array) -> Array:
        p = expit(z)
        return p * (1 - p) + 0.0 * y

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        mean = np.clip((weight * y).sum(axis=0) / weight.sum(axis=0), _NONE, 1 - _NONE)
        return np.log(mean / (1 - mean))

    def inverse_link(self, z: Array) -> Array:
        return expit(z)

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -y, 1.0 - y, lambda u: _entropy(u + y) - _entropy(y))


def _entropy(p: Array) -> Array:
    """Minus the entropy of a share and its complement."""
    return xlogy(p, p) + xlog1py(1 - p, -p)


def _log(y: Array) -> Array:
    """Logarithm of targets, finite also where one is zero, or was rounded to it."""
    return np.log(np.maximum(y, np.finfo(y.dtype).tiny))


def _rise(k: Array, z: Array, log_y: Array) -> Array:
    """Integral of ``e^(k z)`` from ``log_y`` to `z`; `k` may be zero."""
    r = z - log_y
    safe = np.where(k == 0, operand(1.0, r.dtype), k)
    start = np.exp(safe * log_y)
    near = start * np.expm1(safe * np.minimum(r, operand(1.0, r.dtype)))
    far = np.exp(safe * np.maximum(z, log_y)) - start
    return np.where(k == 0, r, np.where(r > 1, far, near) / safe)


def _solved(b: Array, a: Array, v: Array) -> Array:
    """Where ``e^(b r) - e^(a r) = v``: by Newton's method on the inverse hyperbolic sine of both, nearly a line."""
    goal = np.arcsinh(0.5 * v)
    r = 2.0 * goal
    for _ in range(_STEPS):
        up, down = np.exp(b * r), np.exp(a * r)
        half = 0.5 * (up - down)
        step = (np.arcsinh(half) - goal) * 2.0 * np.hypot(1.0, half) / (b * up - a * down)
        step = np.nan_to_num(np.clip(step, -50.0, 50.0))
        r = r - step
        if (np.abs(step) <= _CLOSE * np.maximum(1.0, np.abs(r))).all():
            break
    return r

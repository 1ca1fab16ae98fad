"""Losses of the residual: the target is a number, and the distance to the prediction decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlog1py

from skvariants._component import Accepts, Interval, OneOf, hyperparameter, operand, shown
from skvariants._data.scaling import weighted_quantile
from skvariants.losses.base import Loss, Ramp, registered, weighted_mean, weighted_median, within

Array = np.ndarray
# what "auto" stands for, in spreads of the target: where Huber's loss turns linear, and the width of a tube (of shares
# .05 to 2 the least mean error of coefficients: normal, t(2), skewed noise and outliers, R2 of .1 to .99, 160 tables)
_OUTLYING, _FREE = 0.25, 0.1
# residual, in units of its scale, that is as good as none
_NEAR = 1e-6


class InSpreads(Loss):
    """What losses share whose `epsilon` is in units of the target.

    Attributes
    ----------
    share : float
        The `epsilon` that "auto" stands for, in spreads of the target.
    """

    epsilon: Any = hyperparameter(0.1, OneOf("auto", Interval(0)))
    regression = True
    share: ClassVar[float] = _FREE

    @property
    def in_spreads(self) -> bool:
        """Whether `epsilon` is left open."""
        return isinstance(self.epsilon, str)

    def with_spread(self, spread: Any) -> Loss:
        """The same with the `epsilon` that "auto" stands for."""
        return self.with_fields(epsilon=self.share * spread) if self.in_spreads else self


@registered("squared_error", "means", 1)
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

    def flow_scalar(self, y: float, z: float, time: float) -> float:
        return (z - y) * math.expm1(-time)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return weighted_mean(y, weight)

    def conjugate(self, y: Array, u: Array) -> Array:
        return u * (0.5 * u + y)


@registered("huber", "outliers and tubes")
class Huber(InSpreads):
    r"""Huber loss: squared near the target, absolute far from it.

    .. math:: \ell(y, z) = \begin{cases} \tfrac12 r^2 & |r| \le \varepsilon \\
              \varepsilon |r| - \tfrac12 \varepsilon^2 & \text{otherwise} \end{cases}, \quad r = y - z

    Use it for regression with outliers in the target.

    Parameters
    ----------
    epsilon : float or "auto", default=0.1
        Residual, in units of the target, where the loss turns linear. "auto" is a quarter of the spread of the target
        (the median distance from its median, times 1.4826, which is the standard deviation of normal targets).

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

    elsewhere = dict.fromkeys(("delta", "beta"), "pass epsilon")

    epsilon: Any = hyperparameter(0.1, OneOf("auto", Interval(0, closed="neither")))
    share = _OUTLYING
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


@registered("log_cosh", "outliers and tubes")
class LogCosh(Loss):
    r"""Logarithm of the hyperbolic cosine: squared near the target, absolute far from it, and smooth between.

    .. math:: \ell(y, z) = s^2 \log \cosh \frac{y - z}{s}

    Use it as a Huber loss whose curvature nowhere jumps.

    Parameters
    ----------
    scale : float or "auto", default=1.0
        Residual :math:`s`, in units of the target, around which the loss turns linear. "auto" is a quarter of the
        spread of the target, as for the Huber loss.

    References
    ----------
    Green (1990), "Bayesian reconstructions from emission tomography data using a modified EM algorithm",
    doi:10.1109/42.52985.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import LogCosh
    >>> LogCosh().value(np.array([[3.0]]), np.array([[0.0]])).round(4)
    array([[2.3093]])
    """

    # its square is a number
    scale: Any = hyperparameter(1.0, OneOf("auto", Interval(1e-150, 1e150, closed="both")))
    regression = True
    max_curvature = 1.0
    saturates = True

    @property
    def in_spreads(self) -> bool:
        """Whether `scale` is left open."""
        return isinstance(self.scale, str)

    def with_spread(self, spread: Any) -> Loss:
        """The same with the `scale` that "auto" stands for."""
        return self.with_fields(scale=_OUTLYING * spread) if self.in_spreads else self

    def value(self, y: Array, z: Array) -> Array:
        scale = operand(self.scale, z.dtype)
        r = np.abs(y - z) / scale
        far = np.log1p(np.exp(operand(-2.0, r.dtype) * r)) + (r - operand(math.log(2.0), r.dtype))
        # where logarithms would cancel, cosh(r) - 1 = 2 sinh(r / 2)^2
        half = np.sinh(operand(0.5, r.dtype) * np.minimum(r, operand(1.0, r.dtype)))
        return scale * scale * np.where(r < 1, np.log1p(operand(2.0, r.dtype) * half * half), far)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        scale = operand(self.scale, out.dtype)
        np.subtract(z, y, out=out)
        out /= scale
        np.tanh(out, out=out)
        out *= scale
        return out

    def gradient_scalar(self, y: float, z: float) -> float:
        return self.scale * math.tanh((z - y) / self.scale)

    def second_derivative(self, y: Array, z: Array) -> Array:
        slope = np.tanh((y - z) / operand(self.scale, z.dtype))
        return 1 - slope * slope

    def curvature(self, y: Array, z: Array) -> Array:
        r = np.maximum(np.abs(y - z) / operand(self.scale, z.dtype), operand(_NEAR, z.dtype))
        return np.tanh(r) / r

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return self._newton_constant(y, weight, weighted_median(y, weight))

    def conjugate(self, y: Array, u: Array) -> Array:
        def value(u: Array) -> Array:
            v = u / self.scale
            entropy = xlog1py(0.5 * (1 + v), v) + xlog1py(0.5 * (1 - v), -v)
            return u * y + self.scale * self.scale * entropy

        return within(u, -self.scale, self.scale, value)


_LEVEL = Interval(0, 1, "neither")


@dataclass(frozen=True)
class Levels(Accepts):
    """Lists of different levels."""

    def __contains__(self, value: object) -> bool:
        listed = isinstance(value, (list, tuple)) and len(value) > 0
        return listed and all(level in _LEVEL for level in value) and len(set(value)) == len(value)  # type: ignore

    def __str__(self) -> str:
        return "a list of different ones"


@registered("quantile", "quantiles")
class Quantile(Loss):
    r"""Quantile (pinball) loss: a miss above costs another price than one below.

    .. math:: \ell(y, z) = \max(q\,(y - z),\, (q - 1)(y - z))

    Use it for a quantile of the target instead of its mean, such as the upper end of a forecast.

    Parameters
    ----------
    quantile : float or list of float, default=0.5
        The level :math:`q`, the share of targets that lies below the prediction. A list gives several outputs of one
        fit: ``predict`` then has a column for each, and ``crossing_`` is the share of the rows of the fit on which a
        higher level is predicted below a lower one. Sorting each row of predictions mends that, and brings them nearer
        to the quantiles (Chernozhukov et al. 2010).

    References
    ----------
    Koenker and Bassett (1978), "Regression quantiles", doi:10.2307/1913643. Chernozhukov, Fernandez-Val and Galichon
    (2010), "Quantile and probability curves without crossing", doi:10.3982/ECTA7880.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import Quantile
    >>> Quantile(quantile=0.75).value(np.array([[3.0]]), np.array([[1.0], [5.0]]))
    array([[1.5],
           [0.5]])
    """

    elsewhere = dict.fromkeys(("alpha", "tau", "q", "level", "levels", "quantiles"), "pass quantile")

    quantile: Any = hyperparameter(0.5, OneOf(_LEVEL, Levels()))
    regression = True

    def check_columns(self, n_columns: int, owner: str = "") -> None:
        if isinstance(self.quantile, np.ndarray) and self.quantile.shape != (n_columns,):
            raise ValueError(
                f"{owner or 'loss'}__quantile={shown(self.quantile)} is an array, which holds a level for each target, "
                f"and y has {n_columns}: give a list for several levels of one target, as "
                f"Quantile({shown(self.quantile.tolist())})."
            )
        super().check_columns(n_columns, owner)

    @property
    def outputs(self) -> int:
        return len(self.quantile) if self._listed else 1

    @property
    def _listed(self) -> bool:
        return isinstance(self.quantile, (list, tuple))

    def output_names(self) -> list[str]:
        return [f"level {level}" for level in self.quantile] if self._listed else super().output_names()

    def by_output(self) -> Loss:
        return self.with_fields(quantile=np.array(self.quantile, float)) if self._listed else self

    def crossing(self, z: Array) -> Array | None:
        if np.size(self.quantile) == 1:
            return None
        return np.asarray((np.diff(z[:, np.argsort(self.quantile)], axis=1) < 0).any(axis=1))

    def value(self, y: Array, z: Array) -> Array:
        r, level = y - z, operand(self.quantile, z.dtype)
        return np.maximum(level * r, (level - operand(1.0, z.dtype)) * r)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        # half of the difference of the slopes times the sign, and their mean; none at the kink
        np.subtract(z, y, out=out)
        np.sign(out, out=out)
        mean = operand(0.5, out.dtype) - operand(self.quantile, out.dtype)
        return np.add(operand(0.5, out.dtype) * out, mean * (out != 0), out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return 0.0 if z == y else (1.0 - self.quantile if z > y else -self.quantile)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return weighted_quantile(y, weight, self.quantile)

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y, -self.quantile, 1.0 - self.quantile)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -self.quantile, 1.0 - self.quantile, lambda u: u * y)


@registered("absolute_error", "quantiles", 1)
class AbsoluteError(Loss):
    r"""Absolute error: least absolute deviations.

    .. math:: \ell(y, z) = |y - z|

    Use it for the conditional median, which outliers do not move.

    References
    ----------
    Laplace (1793), "Sur quelques points du systeme du monde"; Koenker and Bassett (1978), "Regression quantiles",
    doi:10.2307/1913643.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import AbsoluteError
    >>> AbsoluteError().value(np.array([[3.0]]), np.array([[1.0]]))
    array([[2.]])
    """

    regression = True

    def value(self, y: Array, z: Array) -> Array:
        return np.abs(y - z)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        np.subtract(z, y, out=out)
        return np.sign(out, out=out)

    def gradient_scalar(self, y: float, z: float) -> float:
        return float((z > y) - (z < y))

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return weighted_median(y, weight)

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y, -1.0, 1.0)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return within(u, -1.0, 1.0, lambda u: u * y)


@registered("epsilon_insensitive", "outliers and tubes")
class EpsilonInsensitive(InSpreads):
    r"""Epsilon-insensitive loss of support vector regression.

    .. math:: \ell(y, z) = \max(0,\, |y - z| - \varepsilon)

    Use it where small errors do not matter; ``epsilon=0`` is the absolute error.

    Parameters
    ----------
    epsilon : float or "auto", default=0.1
        Width, in units of the target, of the tube in which errors are free. "auto" is a tenth of the spread of the
        target (the median distance from its median, times 1.4826).

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


@registered("squared_epsilon_insensitive", "outliers and tubes")
class SquaredEpsilonInsensitive(InSpreads):
    r"""Squared epsilon-insensitive loss.

    .. math:: \ell(y, z) = \max(0,\, |y - z| - \varepsilon)^2

    Use it for a smooth support vector regression.

    Parameters
    ----------
    epsilon : float or "auto", default=0.1
        Width, in units of the target, of the tube in which errors are free. "auto" is a tenth of the spread of the
        target (the median distance from its median, times 1.4826).

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
        return self._newton_constant(y, weight, weighted_mean(y, weight))

    def ramps(self, y: Array) -> Sequence[Ramp]:
        return [Ramp(y + self.epsilon, 0.0, np.inf, 0.5), Ramp(y - self.epsilon, -np.inf, 0.0, 0.5)]

    def conjugate(self, y: Array, u: Array) -> Array:
        return u * (0.25 * u + y) + self.epsilon * np.abs(u)

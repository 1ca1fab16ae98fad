r"""Penalties: what a large weight costs.

A penalty knows the weights `W` of shape ``(n_features, n_columns)`` and nothing else; the
intercept never reaches it. Its smooth part can go into the gradient, all of it can be applied
implicitly by :meth:`Penalty.prox`, whose step may be a scalar, one value per column, or an array
shaped like `W`: the metric of an adaptive solver, which is what makes L1 right for those.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from skvariants._component import Component, Interval, field_names, hyperparameter, operand, shown

__all__ = ["PENALTIES", "Bounded", "ElasticNet", "GroupLasso", "Penalty"]


def __dir__() -> list[str]:
    return list(__all__)


Array = np.ndarray
# weights that are summed at a time; and those whose shares are made in less time than old ones are told to fit
_BLOCK, _FEW = 1 << 20, 1 << 11
# products of weights that stay in the cache until they are added
_IN_CACHE = 1 << 15
# share of the largest weight by which one may be beyond a bound, by rounding
_SLACK = 1e-6
# steps of Newton's method for the norm of a group, halvings for the share of a bound
_ROUNDS, _HALVINGS = 50, 50
_NO_BOUNDS = (
    "positive, bounds and monotonic_cst are not for GroupLasso: a weight that its bound holds still counts in "
    "the norm of its group, so that there is no common prox. Choose 'l1', 'l2' or 'elasticnet'."
)
# exponents of which nothing is left, so that none is infinite
_GONE = 1e3


def _rows(strength: Array, features: Any) -> Array:
    """Rows of an array, by a slice or by numbers (which this does in half the time of an index)."""
    return strength[features] if isinstance(features, slice) else strength.take(features, 0, mode="clip")


def _as_rows(values: Any) -> Any:
    """Values of features that broadcast against weights."""
    return values[:, None] if np.ndim(values) == 1 else values


def _ends(lower: Any, upper: Any) -> tuple[Any, Any]:
    """Bounds that broadcast against weights, infinite where there are none."""
    return -np.inf if lower is None else _as_rows(lower), np.inf if upper is None else _as_rows(upper)


def _is_limit(limit: Any, nothing: float) -> bool:
    """Whether a bound is a number or an array of them, none of which excludes every weight."""
    if isinstance(limit, (bool, np.ma.MaskedArray)) or not isinstance(limit, (int, float, np.number, np.ndarray)):
        return False
    values = np.asarray(limit)
    return values.dtype.kind in "iuf" and not (np.isnan(values) | (values == nothing)).any()


def _require_plain(*penalties: Any) -> None:
    """Refuse to add penalties whose features have strengths of their own."""
    for penalty in penalties:
        several = np.ndim(penalty.alpha) or np.ndim(penalty.l1_ratio)
        scaled = any(np.any(np.not_equal(x, 1)) for x in (penalty.units, penalty.objective_scale, penalty.factor))
        if several or scaled:
            raise ValueError(
                f"{shown(penalty)} has strengths of its own for features or columns, and only penalties of one "
                "strength add up: add them first, then pass penalty_factor to the estimator."
            )


def _parts(penalty: Any) -> tuple[float, float, float]:
    """Strengths of the norms of groups, of L1 and of L2."""
    l1, rest = penalty.alpha * penalty.l1_ratio, penalty.alpha * (1 - penalty.l1_ratio)
    return (rest, l1, penalty.ridge) if penalty.grouped else (0.0, l1, rest)


def _partition(groups: Any) -> Array:
    """The first feature of the group of each, whatever groups are called."""
    first, number = np.unique(np.asarray(groups), return_index=True, return_inverse=True)[1:]
    return np.asarray(first[number])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _within(strength: Any) -> Any:
    """Strengths, or units, that can be added and multiplied: beyond these, weights are zero to the last digit."""
    single = getattr(strength, "dtype", None) == np.float32
    return np.minimum(strength, np.float32(1e30) if single else 1e150)


class Penalty(Component):
    """Interface of all penalties; subclass it for your own.

    Attributes
    ----------
    elastic : bool
        Whether the penalty is L1 and L2 alone, as its `l1_strength` and `l2_strength` say.
    bounded : bool
        Whether it is these two and bounds, which `Bounded.limits` says.
    grouped : bool
        Whether it is a norm of groups of weights, as :class:`GroupLasso` is.
    """

    elastic: ClassVar[bool] = False
    bounded: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    elsewhere = dict.fromkeys(("C", "lambda_", "lam", "strength", "weight_decay"), "pass alpha")

    @property
    def separable(self) -> bool:
        """Whether it is a sum over weights, of L1, L2 and bounds alone."""
        return self.elastic or self.bounded

    @property
    def modelled(self) -> bool:
        """Whether a quadratic model with it can be minimised exactly."""
        return self.separable or self.grouped

    def weighted(self, factor: Array) -> Penalty:
        """The same penalty, multiplied by a factor for each feature.

        Parameters
        ----------
        factor : ndarray of shape (n_features,) or (n_features, n_columns)
            Zero for a feature that is free.

        Raises
        ------
        ValueError
            If the penalty does not know how.
        """
        raise ValueError(
            f"penalty_factor is not for penalty={shown(self)}, whose class does not define `weighted`: leave "
            "penalty_factor=None, or define it."
        )

    def within(self, lower: Any, upper: Any) -> Penalty:
        """The same penalty of weights that stay within bounds, in the units of the data.

        Parameters
        ----------
        lower, upper : float or ndarray of shape (n_features,) or (n_features, n_columns)
            What no weight is less than, or more than; infinite where there is no bound.

        Raises
        ------
        ValueError
            If the penalty does not know how.
        """
        raise ValueError(
            f"positive, bounds and monotonic_cst are not for penalty={shown(self)}, whose class does not define "
            "`within`: choose another penalty, or define it."
        )

    @abstractmethod
    def value(self, W: Array) -> Array:
        """Penalty of each column, shape ``(n_columns,)``."""

    @abstractmethod
    def add_gradient(self, W: Array, out: Array) -> None:
        """Add the gradient of the smooth part to `out`, shaped like `W`."""

    @abstractmethod
    def prox(self, W: Array, step: Any, smooth: bool = True) -> None:
        r"""Overwrite `W` by :math:`\arg\min_v \tfrac{1}{2} (v - W)^2 / step + R(v)`.

        Parameters
        ----------
        W : ndarray of shape (n_features, n_columns)
            Weights, overwritten.
        step : float or ndarray
            Scalar, ``(n_columns,)`` or shaped like `W`.
        smooth : bool, default=True
            False leaves the smooth part out, for callers that had it in the gradient.
        """

    def decay(self, W: Array, step: Any) -> None:
        """Overwrite `W` by an explicit gradient step on the smooth part."""
        g = np.zeros_like(W)
        self.add_gradient(W, g)
        W -= step * g

    def truncate(self, W: Array, step: Any, due: Array, paid: Array) -> None:
        """As ``prox(W, step, smooth=False)``, with a memory of what is due and what was paid.

        The default has no memory; see `ElasticNet.truncate`.
        """
        self.prox(W, step, smooth=False)

    def at(self, features: Any) -> Penalty | None:
        """The same penalty of some features' weights, by number or slice; None where it does not know how."""
        return None

    def idle(self, W: Array, step: Any, times: Any, implicit: bool) -> None:
        """Overwrite `W` by what `times` steps of zero gradient make of it.

        The default takes the steps; what it is called with is what a solver that is `lazy` has postponed.

        Parameters
        ----------
        W : ndarray of shape (n_features, n_columns)
            Weights, overwritten.
        step : float or ndarray
            As for :meth:`prox`.
        times : ndarray of shape (n_features, 1)
            Number of steps.
        implicit : bool
            Whether a step is :meth:`prox`, or :meth:`decay` before :meth:`prox` without the smooth part.
        """
        times = np.broadcast_to(times, W.shape)
        for i in range(int(times.max(initial=0))):
            before = W.copy()
            if not implicit:
                self.decay(W, step)
            if implicit or self.has_prox:
                self.prox(W, step, smooth=implicit)
            np.copyto(W, before, where=times <= i)

    @property
    def has_prox(self) -> bool:
        """Whether there is a part that is not smooth."""
        return True

    def rescaled(self, units: Array, objective_scale: Any) -> Penalty:
        """Return `objective_scale` times this penalty of ``units * V``, as a penalty of `V`.

        Parameters
        ----------
        units : ndarray of shape (n_features, 1 or n_columns)
            What weights of `V` are in those of this penalty.
        objective_scale : float or ndarray of shape (n_columns,)
            By what the objective is multiplied.

        Returns
        -------
        Penalty

        Raises
        ------
        NotImplementedError
            If the penalty does not know how.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define `rescaled`, so features cannot be scaled: "
            "pass scale_features=False, or define it."
        )


class ElasticNet(Penalty):
    r"""Ridge and lasso, and everything between.

    .. math:: R(w) = \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

    with :math:`\rho` = ``l1_ratio``. Use L2 against noise in correlated features, L1 for exact zeros.
    Its prox is a soft threshold, then a shrinkage:

    .. math:: v = \frac{S(w, h \alpha \rho)}{1 + h \alpha (1 - \rho)}, \qquad
              S(w, a) = \operatorname{sign}(w) \max(|w| - a, 0)

    Parameters
    ----------
    alpha : float, default=1e-4
        Strength.
    l1_ratio : float, default=0.15
        Share of the L1 part, from 0 (ridge) to 1 (lasso).
    units : float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=1.0
        The weights in the units of the data are ``units * W``.
    objective_scale : float or ndarray of shape (n_columns,), default=1.0
        The whole penalty is multiplied by it.
    factor : float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=1.0
        What the strength of each feature is multiplied by; zero leaves it free.

    References
    ----------
    Zou and Hastie (2005), "Regularization and variable selection via the elastic net",
    doi:10.1111/j.1467-9868.2005.00503.x.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.penalties import ElasticNet
    >>> W = np.array([[1.0], [-0.05]])
    >>> ElasticNet(alpha=0.1, l1_ratio=1.0).prox(W, step=1.0)
    >>> W.ravel()
    array([0.9, 0. ])
    """

    alpha: float = hyperparameter(1e-4, Interval(0))
    l1_ratio: float = hyperparameter(0.15, Interval(0, 1, "both"))
    units: Any = hyperparameter(1.0, Interval(0), axis="feature")
    objective_scale: Any = hyperparameter(1.0, Interval(0), axis="column")
    factor: Any = hyperparameter(1.0, Interval(0), axis="feature")
    elastic = True

    @cached_property
    def _strengths(self) -> tuple[Any, Any, bool, bool]:
        units, factor = _as_rows(self.units), _as_rows(self.factor)
        with np.errstate(over="ignore", under="ignore"):
            alpha = _within(self.objective_scale * self.alpha)
            l1 = _within(alpha * self.l1_ratio * units * factor)
            l2 = _within(alpha * (1 - self.l1_ratio) * units * units * factor)
        return l1, l2, bool(np.any(l1)), bool(np.any(l2))

    def __setattr__(self, name: str, value: Any) -> None:
        # the strengths are asked for at every step; a field set anew makes new ones
        self.__dict__.pop("_strengths", None)
        self.__dict__.pop("_last_shares", None)
        super().__setattr__(name, value)

    @property
    def has_prox(self) -> bool:
        return self._strengths[2]

    @property
    def l2_strength(self) -> Any:
        """Coefficient of half the squared weights: scalar, per column, or per feature."""
        return self._strengths[1]

    @property
    def l1_strength(self) -> Any:
        """Coefficient of the absolute weights: scalar, per column, or per feature."""
        return self._strengths[0]

    def value(self, W: Array) -> Array:
        value, rows = np.zeros(W.shape[1]), max(1, _BLOCK // W.shape[1])
        for some in (slice(start, start + rows) for start in range(0, len(W), rows)):
            V, own = W[some], self if W.size <= _BLOCK else self.at(some)
            value += (0.5 * own.l2_strength * V * V).sum(axis=0, dtype=np.float64)
            if own.has_prox:
                value += (own.l1_strength * np.abs(V)).sum(axis=0, dtype=np.float64)
        return value

    def add_gradient(self, W: Array, out: Array) -> None:
        _, l2, _, has_l2 = self._strengths
        if not has_l2:
            return
        rows = max(1, _IN_CACHE // W.shape[1])
        for start in range(0, len(W), rows):
            some = slice(start, start + rows)
            out[some] += (_rows(l2, some) if np.ndim(l2) == 2 else l2) * W[some]

    def decay(self, W: Array, step: Any) -> None:
        """Shrink by ``1 - step * l2``, never past zero (as scikit-learn does)."""
        _, l2, _, has_l2 = self._strengths
        if has_l2:
            W *= np.maximum(1 - step * l2, 0.0)

    def prox(self, W: Array, step: Any, smooth: bool = True) -> None:
        l1, _, has_l1, has_l2 = self._strengths
        if has_l1:
            threshold = step * l1
            W -= np.clip(W, -threshold, threshold)
        if smooth and has_l2:
            W *= self._kept_shares(step, W.dtype)

    def _kept_shares(self, step: Any, dtype: Any) -> Any:
        """``1 / (1 + step * l2)``; what steps of one length share is kept where it costs more than a comparison."""
        l2 = self._strengths[1]
        size = len(l2) * max(np.size(step), l2.shape[1]) if np.ndim(l2) == 2 else 0
        keeps = _FEW < size <= _BLOCK and np.ndim(step) < 2
        if keeps:
            last, shares = self.__dict__.get("_last_shares", (None, None))
            if last is not None and np.array_equal(last, step) and shares.dtype == dtype:
                return shares
        shares = step * l2
        if np.ndim(shares):
            shares += operand(1.0, dtype)
            np.reciprocal(shares, out=shares)
        else:
            shares = 1 / (shares + operand(1.0, dtype))
        if keeps:
            self.__dict__["_last_shares"] = np.array(step), shares
        return shares

    def at(self, features: Any) -> ElasticNet:
        """Of some features; arrays of the strengths are cut, and the fields left as they are."""
        l1, l2, has_l1, has_l2 = self._strengths
        if np.ndim(l1) < 2 and np.ndim(l2) < 2:
            return self
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        l1, l2 = (_rows(s, features) if np.ndim(s) == 2 and used else s for s, used in ((l1, has_l1), (l2, has_l2)))
        part.__dict__["_strengths"] = l1, l2, has_l1, has_l2
        part.__dict__.pop("_last_shares", None)
        return part

    def idle(self, W: Array, step: Any, times: Any, implicit: bool) -> None:
        r"""In closed form: with a threshold `a`, a factor `c` and `m` steps,

        .. math:: |w| \leftarrow \max\left(|w|\, c^m - a (c^p + \dots + c^{p + m - 1}),\, 0\right)

        where the factor is :math:`1 / (1 + h \lambda_2)` after the threshold (`p` = 1), or
        :math:`1 - h \lambda_2` before it (`p` = 0).
        """
        l1, l2, has_l1, has_l2 = self._strengths
        if not has_l2:
            self.prox(W, step * times, smooth=False)
            return
        part = step * l2
        if implicit:
            logarithm = np.log1p(part)
        else:
            part = np.minimum(part, operand(1.0, W.dtype))
            with np.errstate(divide="ignore"):
                logarithm = -np.log1p(-part)
        exponent = np.minimum(logarithm, _GONE) * -times
        if has_l1:
            with np.errstate(divide="ignore", invalid="ignore"):
                total = np.where(part > 0, -np.expm1(exponent) / part, times)
        W *= np.exp(exponent)
        if has_l1:
            threshold = step * l1 * total
            W -= np.clip(W, -threshold, threshold)

    def truncate(self, W: Array, step: Any, due: Array, paid: Array) -> None:
        """Cumulative L1 penalty: clip at zero, and remember what could not be taken.

        `due` (one value per column) is the penalty that every weight should have paid so far, `paid`
        (shaped like `W`, negative for positive weights) what each did pay.

        References
        ----------
        Tsuruoka, Tsujii and Ananiadou (2009), "Stochastic gradient descent training for
        L1-regularized log-linear models with cumulative penalty", ACL, 477-485.
        """
        due += step * self._strengths[0]
        before = W.copy()
        positive = np.maximum(0, W - (due + paid))
        negative = np.minimum(0, W + (due - paid))
        W[...] = np.where(before > 0, positive, np.where(before < 0, negative, 0))
        paid += W - before

    def __add__(self, other: Any) -> ElasticNet:
        if not isinstance(other, ElasticNet):
            return NotImplemented
        if not other.elastic and self.elastic:  # bounds stay
            return other + self
        _require_plain(self, other)
        if not other.elastic:
            return (self + ElasticNet(other.alpha, other.l1_ratio)).within(*_ends(other.lower, other.upper))
        l1 = self.alpha * self.l1_ratio + other.alpha * other.l1_ratio
        alpha = self.alpha + other.alpha
        return self.with_fields(alpha=alpha, l1_ratio=_ratio(l1, alpha))

    def weighted(self, factor: Array) -> ElasticNet:
        return self.with_fields(factor=_as_rows(self.factor) * _as_rows(factor))

    def within(self, lower: Any, upper: Any) -> Bounded:
        fields = {name: getattr(self, name) for name in field_names(ElasticNet)}
        return Bounded(**fields, lower=lower, upper=upper)

    def rescaled(self, units: Array, objective_scale: Any) -> ElasticNet:
        with np.errstate(over="ignore"):
            units = _within(_as_rows(self.units) * units)
        return self.with_fields(units=units, objective_scale=self.objective_scale * objective_scale)


class Bounded(ElasticNet):
    r"""L1 and L2 of weights within bounds: what `positive`, `bounds` and `monotonic_cst` make of the penalty.

    .. math:: R(w) = \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right), \qquad
              a_i \le w_i \le b_i \text{ for all } i

    Each weight has a minimum of its own, so the prox is that of the penalty without bounds, cut off at them.

    Parameters
    ----------
    alpha : float, default=1e-4
        Strength.
    l1_ratio : float, default=0.15
        Share of the L1 part.
    units : float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=1.0
        The weights in the units of the data are ``units * W``.
    objective_scale : float or ndarray of shape (n_columns,), default=1.0
        The whole penalty is multiplied by it.
    factor : float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=1.0
        What the strength of each feature is multiplied by.
    lower : None, float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=None
        What no weight is less than, in the units of the data.
    upper : None, float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=None
        What none is more than.

    References
    ----------
    Parikh and Boyd (2014), "Proximal algorithms", section 6.1, doi:10.1561/2400000003.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.penalties import Bounded
    >>> W = np.array([[1.0], [-0.5]])
    >>> Bounded(alpha=0.1, l1_ratio=1.0, lower=0.0).prox(W, step=1.0)
    >>> W.ravel()
    array([0.9, 0. ])
    """

    lower: Any = hyperparameter(None, axis="feature")
    upper: Any = hyperparameter(None, axis="feature")
    elastic, bounded = False, True

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__.pop("_limits", None)
        super().__setattr__(name, value)

    def validate(self, owner: str = "") -> None:
        super().validate(owner)
        for name, limit, nothing in (("lower", self.lower, np.inf), ("upper", self.upper, -np.inf)):
            if not (limit is None or _is_limit(limit, nothing)):
                raise ValueError(
                    f"{owner or 'Bounded'}__{name}={shown(limit)} is not accepted: give a number, an array of them, or "
                    "None where there is no bound."
                )
        lower, upper = np.broadcast_arrays(*_ends(self.lower, self.upper))
        empty = lower > upper
        if empty.any():
            raise ValueError(
                "The bounds of the penalty, and those asked for beside it, leave no value: a weight would be at least "
                f"{lower[empty][0]:g} and at most {upper[empty][0]:g}. Give a lower bound that is not above the upper."
            )

    @cached_property
    def _limits(self) -> dict[Any, tuple[Array, Array]]:
        """Bounds of the weights worked in, by precision; a weight of unit zero has none, as it says nothing."""
        units = np.asarray(_as_rows(self.units), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            lower, upper = (np.atleast_2d(limit / units) for limit in _ends(self.lower, self.upper))
        return {np.dtype(np.float64): (np.where(units > 0, lower, -np.inf), np.where(units > 0, upper, np.inf))}

    def limits(self, dtype: Any = np.float64) -> tuple[Array, Array]:
        """Least and largest weights in the units worked in, of two dimensions that broadcast against weights."""
        found = self._limits.get(np.dtype(dtype))
        if found is None:
            lower, upper = (limit.astype(dtype) for limit in self._limits[np.dtype(np.float64)])
            found = self._limits[np.dtype(dtype)] = lower, upper
        return found

    def project(self, W: Array) -> None:
        """Overwrite `W` by the nearest weights within the bounds."""
        np.clip(W, *self.limits(W.dtype), out=W)

    @property
    def has_prox(self) -> bool:
        return True

    def value(self, W: Array) -> Array:
        """Infinite beyond the bounds, but for rounding."""
        value = super().value(W)
        lower, upper = self.limits(W.dtype)
        beyond = np.maximum(lower - W, W - upper).max(axis=0, initial=0.0)
        value[beyond > _SLACK * np.abs(W).max(axis=0, initial=0.0)] = np.inf
        return value

    def prox(self, W: Array, step: Any, smooth: bool = True) -> None:
        super().prox(W, step, smooth)
        self.project(W)

    def idle(self, W: Array, step: Any, times: Any, implicit: bool) -> None:
        """In closed form: weights go towards zero, and stay at the bound that they meet."""
        super().idle(W, step, times, implicit)
        self.project(W)

    def truncate(self, W: Array, step: Any, due: Array, paid: Array) -> None:
        super().truncate(W, step, due, paid)
        self.project(W)

    def at(self, features: Any) -> Bounded:
        part = object.__new__(type(self))
        part.__dict__.update(super().at(features).__dict__)
        part.__dict__["_limits"] = {
            dtype: tuple(_rows(limit, features) if len(limit) > 1 else limit for limit in limits)
            for dtype, limits in self._limits.items()
        }
        return part

    def within(self, lower: Any, upper: Any) -> Bounded:
        (low, high), (least, most) = _ends(self.lower, self.upper), _ends(lower, upper)
        both = self.with_fields(lower=np.maximum(low, least), upper=np.minimum(high, most))
        both.validate("penalty")
        return both


class GroupLasso(Penalty):
    r"""Groups of weights that are zero together, as those of one category.

    .. math:: R(w) = \alpha \left( (1 - \rho) \sum_g \sqrt{d_g}\, \|w_g\|_2 + \rho \|w\|_1 \right)
              + \tfrac{\beta}{2} \|w\|_2^2

    with :math:`d_g` the size of group `g`; :math:`\rho` = ``l1_ratio`` makes single weights zero too (the sparse group
    lasso), and :math:`\beta` = ``ridge``. Use it where features come in groups: the columns of one category, the lags
    of one series, the terms of one spline. With steps :math:`h_i`, of which the metric of an adaptive solver has one
    for each weight, the prox is a soft threshold, then a shrinkage of each group,

    .. math:: v_i = \frac{S(w_i, h_i \alpha \rho)}{1 + h_i \lambda_g / r_g}, \qquad r_g = \|v_g\|_2, \quad
              \lambda_g = \alpha (1 - \rho) \sqrt{d_g},

    where Newton's method finds :math:`r_g`.

    Parameters
    ----------
    groups : array-like of shape (n_features,)
        The group of each feature: a number, or a name.
    alpha : float, default=1e-4
        Strength.
    l1_ratio : float, default=0.0
        Share of the L1 part.
    ridge : float, default=0.0
        Strength of an L2 part, beside `alpha`.
    units : float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=1.0
        The weights in the units of the data are ``units * W``.
    objective_scale : float or ndarray of shape (n_columns,), default=1.0
        The whole penalty is multiplied by it.
    factor : float or ndarray of shape (n_features,) or (n_features, 1 or n_columns), default=1.0
        What the strength of each feature is multiplied by; one for all features of a group.

    References
    ----------
    Yuan and Lin (2006), "Model selection and estimation in regression with grouped variables",
    doi:10.1111/j.1467-9868.2005.00532.x. Simon, Friedman, Hastie and Tibshirani (2013), "A sparse-group lasso",
    doi:10.1080/10618600.2012.681250.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.penalties import GroupLasso
    >>> W = np.array([[3.0], [4.0], [0.1], [0.1]])
    >>> GroupLasso(groups=["a", "a", "b", "b"], alpha=1 / np.sqrt(2)).prox(W, step=1.0)
    >>> W.ravel()
    array([2.4, 3.2, 0. , 0. ])
    """

    groups: Any = hyperparameter(None)
    alpha: float = hyperparameter(1e-4, Interval(0))
    l1_ratio: float = hyperparameter(0.0, Interval(0, 1, "both"))
    ridge: float = hyperparameter(0.0, Interval(0))
    units: Any = hyperparameter(1.0, Interval(0), axis="feature")
    objective_scale: Any = hyperparameter(1.0, Interval(0), axis="column")
    factor: Any = hyperparameter(1.0, Interval(0), axis="feature")
    grouped = True

    def __setattr__(self, name: str, value: Any) -> None:
        for made in ("_members", "_strengths"):
            self.__dict__.pop(made, None)
        super().__setattr__(name, value)

    @cached_property
    def _members(self) -> tuple[Array, Array, Array]:
        """The group of each feature by number, the features group by group, and where each group begins there."""
        _, number = np.unique(np.asarray(self.groups), return_inverse=True)
        order = np.argsort(number, kind="stable")
        return number, order, np.flatnonzero(np.diff(number[order], prepend=-1))

    @cached_property
    def _strengths(self) -> tuple[Array, Array, Array, Array]:
        """Strength of each group, of L1 and of L2 in the units of the data, and the units, as rows of features."""
        number, _, begin = self._members
        units, factor = np.atleast_2d(_as_rows(self.units)), np.atleast_2d(_as_rows(self.factor))
        scale = self.objective_scale * factor
        with np.errstate(over="ignore"):
            whole = _within(scale * self.alpha)
        size = np.diff(begin, append=len(number))[number][:, None]
        shape = np.broadcast_shapes(np.shape(whole * units), (len(number), 1))
        groups = np.broadcast_to(whole * (1 - self.l1_ratio) * np.sqrt(size), shape)
        return groups, whole * self.l1_ratio, np.atleast_2d(scale * self.ridge), units

    def validate(self, owner: str = "") -> None:
        super().validate(owner)
        if self.groups is None or np.ndim(np.asarray(self.groups, dtype=object)) != 1 or any(map(np.ndim, self.groups)):
            raise ValueError(
                f"{owner or 'GroupLasso'}__groups={shown(self.groups)} is not accepted: give the group of each "
                "feature, as a number or a name."
            )
        nameless = [i for i, group in enumerate(self.groups) if group is None or group != group]
        if nameless or len({isinstance(group, str) for group in self.groups}) > 1:
            what = f"feature {nameless[0]} has none" if nameless else "some are numbers and some are names"
            raise ValueError(
                f"{owner or 'GroupLasso'}__groups={shown(self.groups)} is not accepted, as {what}: give the group of "
                "each feature, all as numbers or all as names."
            )

    def check_features(self, n_features: int, owner: str = "") -> None:
        super().check_features(n_features, owner)
        if len(self.groups) != n_features:
            raise ValueError(
                f"{owner}__groups holds {len(self.groups)} values, and X has {n_features} features: give the group of "
                "each."
            )

    @property
    def has_prox(self) -> bool:
        return bool(np.any(np.asarray(self.objective_scale) * self.alpha))

    @property
    def l1_strength(self) -> Any:
        """Coefficient of the absolute weights."""
        return self._strengths[1] * self._strengths[3]

    @property
    def l2_strength(self) -> Any:
        """Coefficient of half the squared weights."""
        return self._strengths[2] * self._strengths[3] ** 2

    def norms(self) -> tuple[Array, Array, Array]:
        """The group of each feature by number, its strength, and what the weights are multiplied by in its norm."""
        strength, _, _, units = self._strengths
        return self._members[0], strength, units

    def _summed(self, values: Array) -> Array:
        """Sums over the members of each group, for each member."""
        number, order, begin = self._members
        return np.add.reduceat(values[order], begin, axis=0, dtype=np.float64)[number]

    def _norms(self, W: Array) -> Array:
        """Norm of the group of each weight, in the units of the data."""
        return np.sqrt(self._summed((self._strengths[-1] * W) ** 2))

    def value(self, W: Array) -> Array:
        strength, l1, l2, units = self._strengths
        begin = self._members[1][self._members[2]]  # a member of each group
        norms = self._norms(W)[begin] * np.broadcast_to(strength, (len(W), strength.shape[1]))[begin]
        x = units * W
        return np.asarray(norms.sum(axis=0) + (l1 * np.abs(x) + 0.5 * l2 * x * x).sum(axis=0, dtype=np.float64))

    def add_gradient(self, W: Array, out: Array) -> None:
        if self.ridge:
            _, _, l2, units = self._strengths
            out += l2 * units**2 * W

    def prox(self, W: Array, step: Any, smooth: bool = True) -> None:
        strength, l1, l2, units = self._strengths
        if smooth and self.ridge:
            # with L2 a step is shorter, from a point that is nearer to zero
            kept = 1 / (1 + step * l2 * units**2)
            W *= kept
            step = step * kept
        threshold = step * l1 * units
        W -= np.clip(W, -threshold, threshold)
        x, pull = np.abs(units * W, dtype=np.float64), np.broadcast_to(step * units * units * strength, W.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            # a group whose weights do not reach its strength is zero
            gone = self._summed(np.where(pull > 0, x / pull, np.where(x > 0, np.inf, 0.0)) ** 2) <= 1
            norm = np.sqrt(self._summed(x * x))
            number, order, begin = self._members
            r = np.maximum(norm - np.maximum.reduceat(pull[order], begin, axis=0)[number], 1e-12 * norm)
            for _ in range(_ROUNDS):
                part = np.where(x > 0, x / (r + pull), 0.0)
                squares = self._summed(part * part)
                cubes = self._summed(np.where(x > 0, part * part / (r + pull), 0.0))
                change = (np.sqrt(squares) - 1) * squares / cubes
                r = np.where(gone | ~(cubes > 0), r, r + change)
                if not (np.abs(change) > 1e-14 * r)[~gone & (cubes > 0)].any():
                    break
            W *= np.where(gone, 0.0, np.where(r > 0, r / (r + pull), 1.0))

    def curvature(self, W: Array) -> tuple[Array, Array]:
        """Gradient and Hessian of a single column, of the groups and weights that are not zero."""
        number, norm = self._members[0], self._norms(W)
        strength, l1, l2, units = self._strengths
        there = norm > 0
        norm = np.where(there, norm, 1.0)
        pull = np.where(there, strength, 0.0) * units**2 / norm
        z = (np.sqrt(pull / norm) * units * W / np.sqrt(norm))[:, 0]
        smooth = pull + l2 * units**2
        gradient = smooth * W + l1 * units * np.sign(W)
        return gradient[:, 0], np.diag(smooth[:, 0]) - np.outer(z, z) * (number[:, None] == number)

    def conjugate(self, products: Array) -> tuple[Callable[[Any], Array], Array]:
        """The conjugate at a share of `products`, and the largest share, up to one, where it is finite."""
        strength, l1, l2, units = self._strengths
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.where(units > 0, np.abs(products) / units, 0.0)
        l1, l2 = (np.broadcast_to(x, a.shape) for x in (l1, l2))

        def excess(share: Any) -> Array:
            return np.maximum(np.sqrt(self._summed(np.maximum(share * a - l1, 0.0) ** 2)) - strength, 0.0)

        low, high, hard = np.zeros(a.shape[1]), np.ones(a.shape[1]), l2 <= 0
        at = high
        for _ in range(_HALVINGS):
            fits = ~((excess(at) > 0) & hard).any(axis=0)
            low, high = np.where(fits, at, low), np.where(fits, high, at)
            at = 0.5 * (low + high)
        members = self._summed(np.ones_like(a))

        def conjugate(share: Any) -> Array:
            curved = excess(share) ** 2 / (2 * np.where(hard, 1.0, l2) * members)
            return np.asarray(np.where(hard, 0.0, curved).sum(axis=0))

        return conjugate, low

    def __add__(self, other: Any) -> GroupLasso:
        if not isinstance(other, (ElasticNet, GroupLasso)):
            return NotImplemented
        if other.bounded:
            raise ValueError(_NO_BOUNDS)
        _require_plain(self, other)
        if other.grouped and not np.array_equal(_partition(self.groups), _partition(other.groups)):
            raise ValueError(
                "Norms of different groups do not add up, as their sum has no common prox: give one GroupLasso, whose "
                "l1_ratio and ridge make single weights small."
            )
        groups, l1, l2 = (a + b for a, b in zip(_parts(self), _parts(other), strict=True))
        return self.with_fields(alpha=groups + l1, l1_ratio=_ratio(l1, groups + l1), ridge=l2)

    __radd__ = __add__

    def weighted(self, factor: Array) -> GroupLasso:
        factor = _as_rows(factor)
        number, order, begin = self._members
        if len(factor) == len(number) and (factor != factor[order[begin]][number]).any():
            raise ValueError(
                f"penalty_factor={shown(factor.ravel())} differs within a group of {type(self).__name__}: give the "
                "features of a group the same."
            )
        return self.with_fields(factor=_as_rows(self.factor) * factor)

    def within(self, lower: Any, upper: Any) -> Penalty:
        raise ValueError(_NO_BOUNDS)

    def rescaled(self, units: Array, objective_scale: Any) -> GroupLasso:
        with np.errstate(over="ignore"):
            units = _within(_as_rows(self.units) * units)
        return self.with_fields(units=units, objective_scale=self.objective_scale * objective_scale)


#: Every penalty by name: four names of one class.
PENALTIES: dict[Any, Any] = {
    "l2": partial(ElasticNet, l1_ratio=0.0),
    "l1": partial(ElasticNet, l1_ratio=1.0),
    "elasticnet": ElasticNet,
    None: partial(ElasticNet, alpha=0.0, l1_ratio=0.0),
}

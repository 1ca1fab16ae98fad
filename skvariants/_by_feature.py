"""What is asked of single features, by an array or by the names of columns; read when both are known.

:class:`ByFeature` holds the estimator's parameters as they were given. Once a fit knows how many features there are and
what they are called, :meth:`ByFeature.applied` makes the penalty of them.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skvariants._component import refused, shown

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Shape:
    """What is to be known of a table before values for its features are.

    Attributes
    ----------
    names : ndarray of str or None
        Names of the features.
    n_features, n_columns : int
        How many features, and how many columns the model has.
    n_classes : int or None, default=None
        How many classes, in classification.
    """

    names: Any
    n_features: int
    n_columns: int
    n_classes: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ByFeature:
    """Parameters that have a value for each feature, as they were given.

    Attributes
    ----------
    penalty_factor : None, array-like or dict
        What the penalty of each feature is multiplied by.
    positive : bool, array-like of bool or dict
        Which weights are not negative.
    bounds : None, pair or dict
        Least and largest weights.
    monotonic_cst : None, array-like or dict
        Signs of the weights.
    """

    penalty_factor: Any = None
    positive: Any = False
    bounds: Any = None
    monotonic_cst: Any = None

    @property
    def bounded(self) -> bool:
        """Whether weights are asked to stay within bounds."""
        everywhere = isinstance(self.positive, (bool, np.bool_)) and not self.positive
        return not everywhere or self.bounds is not None or self.monotonic_cst is not None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked."""
        return self.penalty_factor is None and not self.bounded

    def applied(self, penalty: Any, shape: Shape) -> Any:
        """The penalty, with what is asked of each feature.

        Raises
        ------
        ValueError
            Naming the parameter that does not fit the features, or the penalty.
        """
        if self.penalty_factor is not None:
            penalty = penalty.weighted(_factors(self.penalty_factor, shape))
        return penalty.within(*self._limits(shape)) if self.bounded else penalty

    def _limits(self, shape: Shape) -> tuple[Array, Array]:
        """Least and largest weights that all of the parameters allow, of two dimensions."""
        lower, upper = np.full((shape.n_features, 1), -np.inf), np.full((shape.n_features, 1), np.inf)
        signs = _signs(self.monotonic_cst, shape)
        limits = [_limits(self.bounds, shape)]
        limits += [(np.where(signs == 1, 0.0, -np.inf), np.where(signs == -1, 0.0, np.inf))]
        limits += [(np.where(_positive(self.positive, shape), 0.0, -np.inf), upper)]
        for least, most in limits:
            lower, upper = np.maximum(lower, _as_rows(least)), np.minimum(upper, _as_rows(most))
        empty = np.flatnonzero((lower > upper).any(axis=1))
        if len(empty):
            name = empty[0] if shape.names is None else repr(str(shape.names[empty[0]]))
            raise ValueError(
                f"No weight of feature {name} is within what bounds, positive and monotonic_cst ask: at least "
                f"{lower[empty[0]].max():g} and at most {upper[empty[0]].min():g}."
            )
        return lower, upper


def _factors(given: Any, shape: Shape) -> Array:
    factors = by_feature("penalty_factor", given, shape, 1.0)
    if not (np.isfinite(factors).all() and (factors >= 0).all()):
        raise ValueError(
            f"penalty_factor={shown(given)} is not accepted: give finite numbers that are not negative, zero for a "
            "feature that is free."
        )
    return factors


def _as_rows(values: Array) -> Array:
    return values if values.ndim == 2 else values.reshape(-1, 1)


def _limits(given: Any, shape: Shape) -> tuple[Array, Array]:
    """Least and largest weights as `bounds` say them."""
    if given is None:
        return np.array(-np.inf), np.array(np.inf)
    if isinstance(given, Mapping):
        lower, upper = (
            from_names(
                "bounds", {name: _pair(name, pair)[side] for name, pair in given.items()}, shape, none, float, given
            )
            for side, none in ((0, -np.inf), (1, np.inf))
        )
    else:
        limits = []
        for limit, none in zip(_pair(None, given), (-np.inf, np.inf), strict=True):
            limit = none if limit is None else limit
            whole = by_feature("bounds", limit, shape, none) if np.ndim(limit) else np.array(_number(given, limit))
            limits.append(whole)
        lower, upper = limits
    if np.isnan(lower).any() or np.isnan(upper).any() or (lower == np.inf).any() or (upper == -np.inf).any():
        raise ValueError(
            f"bounds={shown(given)} is not accepted: give numbers, or None (or an infinity) where there is no bound."
        )
    return lower, upper


def _pair(name: Any, given: Any) -> list[Any]:
    """The two bounds of a pair, None standing for none."""
    of = "bounds" if name is None else f"bounds[{name!r}]"
    if not isinstance(given, (tuple, list, np.ndarray)) or getattr(given, "ndim", 1) == 0 or len(given) != 2:
        raise ValueError(
            f"{of}={shown(given)} is not accepted: give a pair (lower, upper), either of which may be None"
            + (", or a dict of such pairs by the name of the column." if name is None else ".")
        )
    if name is None:
        return list(given)
    return [none if value is None else value for value, none in zip(given, (-np.inf, np.inf), strict=True)]


def _number(given: Any, value: Any) -> float:
    with refused("bounds", given, "Give a pair of numbers or arrays, either of which may be None."):
        return float(value)


def _positive(given: Any, shape: Shape) -> Array:
    """Where weights are not negative."""
    if isinstance(given, (bool, np.bool_)):
        return np.array(bool(given))
    values = by_feature("positive", given, shape, 0.0, "True or False")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"positive={shown(given)} is not accepted: give True or False, one for each feature, or a dict by the name "
            "of the column."
        )
    return values == 1


def _signs(given: Any, shape: Shape) -> Array:
    """Signs that weights have."""
    if given is None:
        return np.array(0.0)
    if shape.n_classes is not None and shape.n_classes > 2:
        raise ValueError(
            f"monotonic_cst is for two classes or real targets, and y has {shape.n_classes} classes, whose scores "
            "compete: give bounds= in the shape of coef_."
        )
    signs = by_feature("monotonic_cst", given, shape, 0.0)
    if not np.isin(signs, (-1, 0, 1)).all():
        raise ValueError(
            f"monotonic_cst={shown(given)} is not accepted: give -1 (decreasing), 0 (free) or 1 (increasing) for each "
            "feature, or a dict by the name of the column."
        )
    return signs


def by_feature(parameter: str, given: Any, shape: Shape, otherwise: Any, what: str = "a number") -> Array:
    """Values of a parameter as an array ``(n_features,)``, or ``(n_features, n_columns)``.

    Parameters
    ----------
    parameter : str
        Its name, for messages.
    given : array-like or mapping
        A value for each feature, in the shape of ``coef_``, or values by the name of the column.
    shape : Shape
        Of the table.
    otherwise : float
        What a dictionary leaves out.
    what : str, default="a number"
        What each value has to be, for messages.
    """
    if isinstance(given, Mapping):
        return from_names(parameter, given, shape, otherwise, float)
    d, k = shape.n_features, shape.n_columns
    remedy = f"Give {what} for each of the {d} features of X, or a dict by the name of the column."
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{parameter}={shown(given)} is not accepted: it holds what is not {what}. {remedy}"
        ) from error
    if values.shape == (d,):
        return values
    if values.shape == (k, d):
        return np.ascontiguousarray(values.T)
    raise ValueError(
        f"{parameter}={shown(given)} is not accepted: it has the shape {values.shape}, and X has {d} features. {remedy}"
    )


def from_names(
    parameter: str, given: Mapping[Any, Any], shape: Shape, otherwise: Any, read: Callable[[Any], Any],
    asked: Any = None,
) -> Array:  # fmt: skip
    """Values by the name of the column as an array of all features; `read` makes numbers of what was given.

    `asked` is what the user gave, where these are a part of it.
    """
    if shape.names is None:
        raise ValueError(
            f"{parameter}={shown(given if asked is None else asked)} is not accepted: it is a dict by the name of the "
            "column, and the columns of X have no names. Fit on a DataFrame (steps of a pipeline keep the names after "
            "set_output(transform='pandas')), or give an array with a value for each feature."
        )
    names = [str(name) for name in shape.names]
    values = np.array([otherwise] * shape.n_features, dtype=np.float64)
    for name, value in given.items():
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Its columns are {shown(names)}."
            raise ValueError(f"{parameter} names {name!r}, which is no column of X.{hint}")
        with refused(f"{parameter}[{name!r}]", value, "Give a number."):
            values[names.index(name)] = read(value)
    return values


__all__ = ["ByFeature", "Shape", "by_feature", "from_names"]

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
    """

    names: Any
    n_features: int
    n_columns: int


@dataclasses.dataclass(frozen=True, eq=False)
class ByFeature:
    """Parameters that have a value for each feature, as they were given.

    Attributes
    ----------
    penalty_factor : None, array-like or dict
        What the penalty of each feature is multiplied by.
    """

    penalty_factor: Any = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked."""
        return self.penalty_factor is None

    def applied(self, penalty: Any, shape: Shape) -> Any:
        """The penalty, with what is asked of each feature.

        Raises
        ------
        ValueError
            Naming the parameter that does not fit the features, or the penalty.
        """
        if self.penalty_factor is not None:
            penalty = penalty.weighted(_factors(self.penalty_factor, shape))
        return penalty


def _factors(given: Any, shape: Shape) -> Array:
    factors = by_feature("penalty_factor", given, shape, 1.0)
    if not (np.isfinite(factors).all() and (factors >= 0).all()):
        raise ValueError(
            f"penalty_factor={shown(given)} is not accepted: give finite numbers that are not negative, zero for a "
            "feature that is free."
        )
    return factors


def by_feature(parameter: str, given: Any, shape: Shape, otherwise: Any) -> Array:
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
    """
    if isinstance(given, Mapping):
        return from_names(parameter, given, shape, otherwise, float)
    d, k = shape.n_features, shape.n_columns
    remedy = f"Give a number for each of the {d} features of X, or a dict by the name of the column."
    with refused(parameter, given, remedy):
        values = np.asarray(given, dtype=np.float64)
    if values.shape == (d,):
        return values
    if values.shape == (k, d):
        return np.ascontiguousarray(values.T)
    raise ValueError(f"{parameter} has the shape {values.shape}, and X has {d} features. {remedy}")


def from_names(
    parameter: str, given: Mapping[Any, Any], shape: Shape, otherwise: Any, read: Callable[[Any], Any]
) -> Array:  # fmt: skip
    """Values by the name of the column as an array of all features; `read` makes numbers of what was given."""
    if shape.names is None:
        raise ValueError(
            f"{parameter} is a dict by the name of the column, and the columns of X have no names: fit on a DataFrame, "
            "or give an array with a value for each feature."
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

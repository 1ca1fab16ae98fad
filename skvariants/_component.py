"""What losses, penalties, schedules and solvers share: declared fields.

A component is configuration. Its fields are its hyperparameters, each declared once
with a default, an accepted range and (in the class docstring) a meaning; a fit never
changes them. Being a :class:`sklearn.base.BaseEstimator`, a component answers
``get_params``, ``set_params``, ``clone`` and ``repr``, so a search sees
``solver__momentum`` as it sees the length scale of a Gaussian process kernel.

A numeric field is a scalar, or an array of shape ``(n_columns,)`` that gives each column
its own value; :meth:`Component.take` keeps a subset of the columns.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from numbers import Real as RealNumber
from typing import Any, TypeVar, dataclass_transform

import numpy as np
from sklearn.base import BaseEstimator

from skvariants._doclinks import LinksToDocs


class Accepts:
    """A set of values that a parameter accepts; ``str()`` says which."""

    def __contains__(self, value: object) -> bool:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Real(Accepts):
    """Finite numbers between `low` and `high`; ``closed`` names the ends that belong."""

    low: float = -np.inf
    high: float = np.inf
    closed: str = "left"
    integer: bool = False
    per_column: bool = True

    def __contains__(self, value: object) -> bool:
        if isinstance(value, np.ndarray) and value.ndim == 1 and self.per_column:
            return all(item in self for item in value.tolist())
        kind = Integral if self.integer else RealNumber
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
            return False
        number = float(value)
        above = number > self.low or (number == self.low and self.closed in ("left", "both"))
        below = number < self.high or (number == self.high and self.closed in ("right", "both"))
        return bool(np.isfinite(number)) and above and below

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a number"
        if np.isinf(self.low) and np.isinf(self.high):
            return kind
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        low, high = (f"{end:g}".replace("inf", "inf") for end in (self.low, self.high))
        return f"{kind} in {left}{low}, {high}{right}"


def Integer(low: float = -np.inf, high: float = np.inf, closed: str = "left") -> Real:
    """Whole numbers between `low` and `high`."""
    return Real(low, high, closed, integer=True, per_column=False)


@dataclasses.dataclass(frozen=True)
class OneOf(Accepts):
    """Any of the listed constants, or of the given sets and types."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)

    def __contains__(self, value: object) -> bool:
        return any(self._is(value, option) for option in self.options)

    @staticmethod
    def _is(value: object, option: Any) -> bool:
        if isinstance(option, Accepts):
            return value in option
        if isinstance(option, type):
            return isinstance(value, option)
        if isinstance(option, str) or isinstance(value, str):
            return isinstance(value, str) and isinstance(option, str) and value == option
        return value is option

    def __str__(self) -> str:
        words = [
            f"an instance of {option.__name__}"
            if isinstance(option, type)
            else (str(option) if isinstance(option, Accepts) else repr(option))
            for option in self.options
        ]
        return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


@dataclasses.dataclass(frozen=True)
class Flag(Accepts):
    """True or False, NumPy's included."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (bool, np.bool_))

    def __str__(self) -> str:
        return "True or False"


def check(name: str, value: object, accepts: Accepts) -> None:
    """Raise the sentence that names the parameter, the value and what is accepted.

    Raises
    ------
    ValueError
        If `value` is not accepted.
    """
    if value not in accepts:
        hint = ""
        if isinstance(value, str):
            names = [o for o in getattr(accepts, "options", ()) if isinstance(o, str)]
            close = difflib.get_close_matches(value, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name}={value!r} is not accepted: {name} must be {accepts}{hint}.")


def hyperparameter(default: Any, accepts: Accepts) -> Any:
    """Declare a field of a component by its default and its range."""
    return dataclasses.field(default=default, metadata={"accepts": accepts})


@dataclass_transform(field_specifiers=(hyperparameter,))
class Component(LinksToDocs, BaseEstimator):
    """Base of the four families: every annotated attribute of a subclass is a field.

    Subclasses become dataclasses by themselves, so a user's own component is a class with
    annotated defaults and the methods of its family; nothing has to be registered.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(cls, repr=False, eq=False)  # type: ignore[call-overload]

    def validate(self, owner: str = "") -> None:
        """Check every declared field against its range.

        Parameters
        ----------
        owner : str
            Name of the parameter that holds this component, for the message.

        Raises
        ------
        ValueError
            Naming the first field that is out of range.
        """
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            accepts = field.metadata.get("accepts")
            if accepts is not None:
                prefix = f"{owner}__" if owner else ""
                check(prefix + field.name, getattr(self, field.name), accepts)

    def take(self: C, columns: np.ndarray) -> C:
        """Return this component for a subset of the columns.

        Parameters
        ----------
        columns : ndarray of bool or int
            Which columns to keep.

        Returns
        -------
        Component
            Itself where no field varies between columns, else a copy.
        """
        fields = self._values()
        if not any(isinstance(value, np.ndarray) for value in fields.values()):
            return self
        return type(self)(**{k: v[columns] if isinstance(v, np.ndarray) else v for k, v in fields.items()})

    def with_fields(self: C, **changes: Any) -> C:
        """Return a copy with some fields changed."""
        return type(self)(**{**self._values(), **changes})

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in field_names(type(self))}  # type: ignore[arg-type]


C = TypeVar("C", bound=Component)


@functools.lru_cache(maxsize=1024)
def _number(value: Any, dtype: Any) -> np.ndarray:
    number = np.array(value, dtype=dtype)
    number.setflags(write=False)
    return number


def operand(value: Any, dtype: Any) -> np.ndarray:
    """`value` as an operand of arrays of `dtype`: a number becomes an array of no dimension.

    A number of Python costs NumPy a microsecond more, in every call: a quarter of a step on a small batch.
    """
    return value if isinstance(value, np.ndarray) else _number(value, dtype)


def varies_by_column(component: Component, name: str) -> bool:
    """Whether a field of `component` may have one value per column: a number that its range lets vary."""
    accepts = {f.name: f.metadata.get("accepts") for f in dataclasses.fields(component)}[name]  # type: ignore[arg-type]
    options = accepts.options if isinstance(accepts, OneOf) else (accepts,)
    numeric = any(isinstance(option, Real) and option.per_column and not option.integer for option in options)
    return numeric and isinstance(getattr(component, name), RealNumber)


def beside(components: Sequence[C], width: int, dtype: Any) -> C:
    """One component for several models of `width` columns each: fields that differ become arrays.

    Parameters
    ----------
    components : sequence of Component
        Of one class, equal in all fields but those that vary by column.
    width : int
        Columns of each model.
    dtype : dtype
        Of the arrays.

    Returns
    -------
    Component
    """
    first = components[0]
    changes = {}
    if len(components) == 1:
        return first
    for name, value in first.get_params(deep=False).items():
        values = [getattr(component, name) for component in components]
        if isinstance(value, RealNumber) and any(v != value for v in values):
            changes[name] = np.repeat(np.asarray(values, dtype=dtype), width)
    return first.with_fields(**changes) if changes else first


@functools.cache
def field_names(factory: Callable[..., Any]) -> Sequence[str]:
    """Names of the fields that `factory` (a component class, or a partial) still takes."""
    cls = getattr(factory, "func", factory)
    fixed = getattr(factory, "keywords", {})
    return [name for name in cls._get_param_names() if name not in fixed]


def resolve(
    spec: Any,
    registry: Mapping[Any, Callable[..., C]],
    family: Any,
    parameter: str,
    context: Mapping[str, Any],
) -> C:
    """Turn a name into that component, and leave an instance as it is.

    Parameters
    ----------
    spec : str, None or instance of `family`
        What the user gave.
    registry : mapping of name to class
        The family's registry.
    family : type
        The family's interface.
    parameter : str
        Name of the estimator's parameter, for messages.
    context : mapping
        The estimator's own parameters; those that are fields of the named class are passed.

    Returns
    -------
    instance of `family`

    Raises
    ------
    ValueError
        If `spec` is neither a name of the registry nor an instance.
    """
    if isinstance(spec, family):
        spec.validate(parameter)
        return spec
    if not (spec is None or isinstance(spec, str)) or spec not in registry:
        names = ", ".join(str(name) for name in registry)
        close = difflib.get_close_matches(str(spec), [n for n in registry if n], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{parameter}={spec!r} is not one of {names}, nor an instance of {family.__name__}.{hint}")
    factory = registry[spec]
    return factory(**{name: context[name] for name in field_names(factory) if name in context})

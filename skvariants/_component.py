"""What losses, penalties, schedules and solvers share: declared fields.

A component is configuration. Its fields are its hyperparameters, each declared once
with a default, an accepted range and (in the class docstring) a meaning; a fit never
changes them. Being a :class:`sklearn.base.BaseEstimator`, a component answers
``get_params``, ``set_params``, ``clone`` and ``repr``, so a search sees
``solver__momentum`` as it sees the length scale of a Gaussian process kernel.

A field declares its axis once: a field of axis "column" may be an array of shape ``(n_columns,)`` that gives each
column its own value, one of axis "feature" an array of shape ``(n_features,)`` or ``(n_features, n_columns)``, and any
other is one value for all. Taking columns, putting components side by side and comparing them follow from that.
Components are compared by value (:meth:`Component.key`), arrays by their bytes, never by what they print.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from skvariants._doclinks import LinksToDocs
from skvariants._names import ALSO_KNOWN
from skvariants._shallow import Shallow

# integers of Python and NumPy, and the first that no machine number holds
_WHOLE = (int, np.integer)
_MOST = 2**63
# characters of a value that a sentence shows
_SHOWN = 120
# names of parameters that a sentence lists beside the one that was meant
_LISTED = 8


def shown(value: object) -> str:
    """A value as a sentence shows it: on one line, and not much of what is long."""
    try:
        words = " ".join(repr(value).split())
    except Exception:  # a number of more digits than Python writes, or a class whose `repr` is broken
        words = f"<{type(value).__name__}>"
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def plain(value: Any) -> Any:
    """A number of NumPy as one of Python: sums of bytes overflow, products of halves vanish."""
    if isinstance(value, np.floating):
        return float(value)
    return value.item() if isinstance(value, (np.integer, np.bool_)) else value


def closest(name: str, names: Iterable[str]) -> list[str]:
    """Those of some names that another is nearest to, whatever its separators and capitals, in their order."""
    compact, known = _compact(name), {_compact(other): other for other in names}
    swapped = [other for other in known if sorted(other) == sorted(compact)]  # letters in another order
    best = swapped or difflib.get_close_matches(compact, known, n=1, cutoff=0.7)
    if not best:
        return []
    near = difflib.SequenceMatcher(None, "", compact)  # as `get_close_matches` compares
    ratios = []
    for other in known:
        near.set_seq1(other)
        ratios.append(near.ratio())
    most = ratios[list(known).index(best[0])]
    return [known[best[0]]] if swapped else [known[o] for o, r in zip(known, ratios, strict=True) if r == most]


def _compact(name: str) -> str:
    """A name in small letters without separators."""
    return re.sub(r"[\W_]", "", name.lower())


def _too_long(value: object) -> bool:
    """Whether a whole number is longer than machine numbers are."""
    return isinstance(value, _WHOLE) and not -_MOST <= int(value) < _MOST


class Accepts:
    """A set of values that a parameter accepts; ``str()`` says which."""

    def __contains__(self, value: object) -> bool:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Interval(Accepts):
    """Finite numbers between `low` and `high`; ``closed`` names the ends that belong.

    With ``array=True`` also arrays of them, one value for each column or feature.
    """

    low: float = -np.inf
    high: float = np.inf
    closed: str = "left"
    integer: bool = False
    array: bool = True

    def __contains__(self, value: object) -> bool:
        if isinstance(value, np.ndarray) and value.ndim == 1 and self.array:
            return self.holds(value)
        kinds = _WHOLE if self.integer else (*_WHOLE, float, np.floating)
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, kinds) or _too_long(value):
            return False
        number = float(value)
        above = number > self.low or (number == self.low and self.closed in ("left", "both"))
        below = number < self.high or (number == self.high and self.closed in ("right", "both"))
        return bool(np.isfinite(number)) and above and below

    def holds(self, values: np.ndarray) -> bool:
        """Whether all numbers of an array are accepted."""
        if values.dtype.kind not in ("iu" if self.integer else "iuf"):
            return False
        above = values >= self.low if self.closed in ("left", "both") else values > self.low
        below = values <= self.high if self.closed in ("right", "both") else values < self.high
        return bool((np.isfinite(values) & above & below).all())

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a number"
        if np.isinf(self.low) and np.isinf(self.high):
            return kind
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        low, high = (f"{end:g}" for end in (self.low, self.high))
        return f"{kind} in {left}{low}, {high}{right}"


def number(low: float = -np.inf, high: float = np.inf, closed: str = "left") -> Interval:
    """One number between `low` and `high`, the same for all columns."""
    return Interval(low, high, closed, array=False)


def integers(low: float = -np.inf, high: float = np.inf, closed: str = "left") -> Interval:
    """Whole numbers between `low` and `high`."""
    return Interval(low, high, closed, integer=True, array=False)


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
    """True or False, NumPy's included; `beside` says where else goes what was meant."""

    beside: str = ""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (bool, np.bool_))

    def __str__(self) -> str:
        return f"True or False{self.beside}"


#: How many processes; a negative number counts down from that of the cores.
PROCESSES = OneOf(None, integers(1), integers(high=0))
#: Seeds of NumPy.
SEED = OneOf(None, integers(0, 2**32), np.random.RandomState)


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
        if _too_long(value):
            hint = ", and whole numbers must be less than 2**63; write a larger one as a float."
        raise ValueError(f"{name}={shown(value)} is not accepted: {name} must be {accepts}{hint or '.'}")


@contextlib.contextmanager
def refused(name: str, value: object, remedy: str) -> Iterator[None]:
    """Name the parameter and the value in what scikit-learn or NumPy say is wrong with it."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        words = " ".join(str(error).split())
        words = words if len(words) <= 2 * _SHOWN else f"{words[: 2 * _SHOWN]}..."
        kind = TypeError if type(error) is TypeError else ValueError
        raise kind(f"{name}={shown(value)} is not accepted: {words.rstrip('.')}. {remedy}") from error


def _numeric(accepts: Accepts | None) -> Interval | None:
    """The interval of numbers, or of arrays of them, that a field accepts."""
    options = accepts.options if isinstance(accepts, OneOf) else (accepts,)
    return next((option for option in options if isinstance(option, Interval)), None)


def hyperparameter(default: Any, accepts: Accepts | None = None, axis: str | None = "auto") -> Any:
    """Declare a field of a component by its default, its range, and what an array of its values runs along.

    Parameters
    ----------
    default : object
        Value where none is given.
    accepts : Accepts, optional
        The range; anything where there is none.
    axis : {"auto", "column", "feature", None}, default="auto"
        "column" where each column may have its own value, "feature" where each feature may, None where the value is one
        whatever its shape. "auto" is "column" for a range of real numbers that lets arrays in, else None.
    """
    if axis == "auto":
        interval = _numeric(accepts)
        axis = "column" if interval is not None and interval.array and not interval.integer else None
    return dataclasses.field(default=default, metadata={"accepts": accepts, "axis": axis})


def identity(value: Any) -> Hashable:
    """Something hashable that is equal for equal values only: numbers as numbers, arrays by their bytes."""
    if isinstance(value, (bool, np.bool_)):
        return "flag", bool(value)
    if value is None or isinstance(value, (str, bytes, Real)):
        return value  # type: ignore[return-value]
    if isinstance(value, Component):
        return value.key()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return "array", value.dtype.str, value.shape, value.tobytes()
    if sp.issparse(value):
        coordinates = value.tocoo()
        return "sparse", value.format, value.shape, *(identity(a) for a in (*coordinates.coords, coordinates.data))
    if isinstance(value, Mapping):
        return "mapping", frozenset((identity(key), identity(item)) for key, item in value.items())
    if isinstance(value, (list, tuple, np.ndarray)):
        return type(value), tuple(identity(item) for item in value)
    if isinstance(value, BaseEstimator):
        return type(value), identity(value.get_params(deep=False))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), *(identity(getattr(value, field.name)) for field in dataclasses.fields(value))
    return _Same(value)


@dataclasses.dataclass(frozen=True)
class _Same:
    """Equal for the same object only; holds it, so that its number is not given to another."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


# no field specifiers: to a type checker a field then has a default, wherever one stands in the call
@dataclass_transform()
class Component(Shallow, LinksToDocs, BaseEstimator):
    """Base of the four families: every annotated attribute of a subclass is a field.

    Subclasses become dataclasses by themselves, so a user's own component is a class with
    annotated defaults and the methods of its family; nothing has to be registered.
    """

    #: words for what is not a field but said elsewhere, with where that is
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        before = cls.__init__
        dataclasses.dataclass(cls, repr=False, eq=False)  # type: ignore[call-overload]
        if cls.__init__ is not before:  # it has none of its own
            made: Any = cls
            made.__init__ = named_init(made.__init__, lambda name: cls.elsewhere)

    def set_params(self, **params: Any) -> Self:
        """Set fields; those of components in them by ``name__field``.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : Component

        Raises
        ------
        ValueError
            If there is no such field.
        """
        known = self.get_params(deep=False)
        for name in params:
            if name.partition("__")[0] not in known:
                sentence = no_parameter(name, shown(self), list(known), self.elsewhere)
                raise ValueError(f"Invalid parameter {name!r}: {sentence}")
        return super().set_params(**params)

    def validate(self, owner: str = "") -> None:
        """Check every declared field against its range, and that no method of the family is missing.

        Parameters
        ----------
        owner : str
            Name of the parameter that holds this component, for the message.

        Raises
        ------
        ValueError
            Naming the first field that is out of range, or the methods.
        """
        missing = _undefined(type(self))  # type: ignore[arg-type]
        if missing:
            raise ValueError(
                f"{owner or 'The component'}={shown(self)} is not complete: its class has to define "
                f"{' and '.join(f'`{name}`' for name in missing)}."
            )
        prefix = f"{owner}__" if owner else ""
        for name, (accepts, axis) in _declared(type(self)).items():
            value = getattr(self, name)
            if axis == "feature" and isinstance(value, np.ndarray):
                value = value.ravel()
            if accepts is not None:
                check(prefix + name, value, accepts)

    def check_features(self, n_features: int, owner: str = "") -> None:
        """Check that arrays with a value for each feature have that many.

        Parameters
        ----------
        n_features : int
            Columns of the data.
        owner : str
            Name of the parameter that holds this component, for the message.

        Raises
        ------
        ValueError
            Naming the first field of another length.
        """
        prefix = f"{owner}__" if owner else ""
        for name, axis in _along_axes(type(self)):
            if axis != "feature":
                continue
            value = getattr(self, name)
            if isinstance(value, (list, tuple)):
                raise ValueError(
                    f"{prefix}{name}={shown(value)} is not accepted: {name} must be a number or an ndarray."
                )
            if isinstance(value, np.ndarray) and value.ndim and len(value) != n_features:
                raise ValueError(
                    f"{prefix}{name} holds {len(value)} values, and X has {n_features} features: give one value for "
                    "each feature, or one for all."
                )

    def check_columns(self, n_columns: int, owner: str = "") -> None:
        """Check that arrays with a value for each column have that many.

        Parameters
        ----------
        n_columns : int
            Columns of the model.
        owner : str
            Name of the parameter that holds this component, for the message.

        Raises
        ------
        ValueError
            Naming the first field of another length.
        """
        prefix = f"{owner}__" if owner else ""
        for name, axis in _along_axes(type(self)):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and _by_column(value, axis) and value.shape[-1] != n_columns:
                raise ValueError(
                    f"{prefix}{name} holds values for {value.shape[-1]} columns, and the model has {n_columns}: give "
                    "one value for each column (target or class; two classes have one), or one for all."
                )

    def key(self) -> Hashable:
        """What is equal for components of one class and equal fields only: numbers by value, arrays by bytes."""
        return type(self), *(identity(getattr(self, name)) for name in _declared(type(self)))

    def group_key(self) -> Hashable:
        """The same without what may differ between columns: components of one such key stand side by side."""
        return type(self), *(
            "by column" if varies_by_column(self, name) else identity(getattr(self, name))
            for name in _declared(type(self))
        )

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
        changes = {}
        for name, axis in _along_axes(type(self)):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and _by_column(value, axis):
                changes[name] = value[..., columns]
            elif isinstance(value, Component) and value.take(columns) is not value:
                changes[name] = value.take(columns)
        return self.with_fields(**changes) if changes else self

    def with_fields(self: C, **changes: Any) -> C:
        """Return a copy with some fields changed."""
        fields = {name: getattr(self, name) for name in _declared(type(self))}
        return type(self)(**{**fields, **changes})


C = TypeVar("C", bound=Component)


# range and axis of every field of every component class, by name
_DECLARED: dict[Any, dict[str, tuple[Accepts | None, str | None]]] = {}
_AXES: dict[Any, list[tuple[str, str]]] = {}


def _declared(cls: Any) -> dict[str, tuple[Accepts | None, str | None]]:
    """Range and axis of every field of a class, by name.

    Asked for when needed: a class that comes to another process by value is made before its fields are.
    """
    declared = _DECLARED.get(cls)
    if declared is None:
        fields = dataclasses.fields(cls)
        declared = {field.name: (field.metadata.get("accepts"), field.metadata.get("axis")) for field in fields}
        _DECLARED[cls] = declared
    return declared


@functools.lru_cache(maxsize=1024)
def _undefined(cls: Any) -> list[str]:
    """Names of the abstract methods that a class has left as they are."""
    return [name for name in dir(cls) if getattr(getattr(cls, name, None), "__isabstractmethod__", False)]


def _along_axes(cls: Any) -> list[tuple[str, str]]:
    """The fields of a class that may be arrays, each with its axis."""
    axes = _AXES.get(cls)
    if axes is None:
        axes = _AXES[cls] = [(name, axis) for name, (_, axis) in _declared(cls).items() if axis is not None]
    return axes


def _by_column(value: np.ndarray, axis: str | None) -> bool:
    """Whether the last axis of an array of a field is the column."""
    return (axis == "column" and value.ndim == 1) or (axis == "feature" and value.ndim == 2 and value.shape[1] > 1)


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
    """Whether a field of `component` may have another value in another column: a real number of axis "column"."""
    value = getattr(component, name)
    return _declared(type(component))[name][1] == "column" and isinstance(value, Real) and not isinstance(value, bool)


def side_by_side(components: Sequence[C], width: int, dtype: Any) -> C:
    """One component for several models of `width` columns each: fields that differ become arrays.

    Parameters
    ----------
    components : sequence of Component
        Of one :meth:`Component.group_key`.
    width : int
        Columns of each model.
    dtype : dtype
        Of the arrays.

    Returns
    -------
    Component
    """
    first = components[0]
    if len(components) == 1:
        return first
    changes = {}
    for name, (_, axis) in _declared(type(first)).items():
        values = [getattr(component, name) for component in components]
        if isinstance(values[0], np.ndarray):
            if _by_column(values[0], axis):
                changes[name] = np.concatenate(values, axis=-1)
        elif isinstance(values[0], Component):
            changes[name] = side_by_side(values, width, dtype)
        elif axis == "column" and isinstance(values[0], Real) and any(v != values[0] for v in values):
            changes[name] = np.repeat(np.asarray(values, dtype=dtype), width)
    return first.with_fields(**changes) if changes else first


@functools.lru_cache(maxsize=1024)
def _names_taken(init: Callable[..., None]) -> list[str] | None:
    """Names of the parameters of a constructor; None where it takes any."""
    parameters = list(inspect.signature(init).parameters.values())[1:]
    some = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return None if some else [parameter.name for parameter in parameters]


def named_init(
    init: Callable[..., None], elsewhere: Callable[[str], Mapping[str, str]] = lambda name: {}
) -> Callable[..., None]:
    """A constructor that refuses a name which is no parameter in a sentence.

    Parameters
    ----------
    init : callable
        The constructor.
    elsewhere : callable, optional
        Gives what to do about a name of which it is known what is meant, by that name.

    Returns
    -------
    callable
        Of the same signature.
    """

    @functools.wraps(init)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        names = _names_taken(init)
        for name in kwargs:
            if names is not None and name not in names:
                raise TypeError(no_parameter(name, init.__qualname__.split(".")[-2], names, elsewhere(name)))
        init(self, *args, **kwargs)

    return construct


def no_parameter(
    name: str, owner: str, names: Sequence[str], elsewhere: Mapping[str, str], prefix: str = ""
) -> str:  # fmt: skip
    """The sentence about a name that is no parameter of something.

    Parameters
    ----------
    name : str
        As the user gave it.
    owner : str
        What has no such parameter.
    names : sequence of str
        Those that it has.
    elsewhere : mapping
        What to do about names of which it is known what is meant.
    prefix : str, default=""
        What the user wrote before the name.

    Returns
    -------
    str
    """
    close = [repr(prefix + other) for other in closest(name, names)]
    meant = f". Did you mean {' or '.join(close)}?" if close else "."
    remedy = f": {elsewhere[name]}." if name in elsewhere else meant
    has = f", which has {', '.join(names)}" if names else ", which has no parameters"
    listed = remedy == "." or len(names) <= _LISTED
    return f"{prefix}{name} is not a parameter of {owner}{has if listed else ''}{remedy}"


@functools.cache
def field_names(factory: Callable[..., Any]) -> Sequence[str]:
    """Names of the fields that `factory` (a component class, or a partial) still takes."""
    fixed = getattr(factory, "keywords", {})
    return [name for name in _declared(getattr(factory, "func", factory)) if name not in fixed]


def _meant(given: Any, registry: Mapping[Any, Any], parameter: str) -> str:
    """The sentence that guesses what was meant by a name that there is not; empty where nothing is near."""
    if isinstance(given, Real) and parameter == "learning_rate":
        return f" A number is the first step: pass eta0={shown(given)}."
    if isinstance(given, Real) and parameter == "penalty":
        return f" A number is the strength of the penalty: pass alpha={shown(given)}."
    compact = _compact(str(given)) if given is None or isinstance(given, str) else ""
    names = {_compact(name): name for name in registry if name}
    known = ALSO_KNOWN.get(parameter, {})
    shorter = compact.removesuffix(parameter).removesuffix("error")
    for name in (compact, shorter, f"{shorter}error", f"{shorter}loss"):
        if name in names:
            return f" Did you mean {names[name]!r}?"
        if name in known:
            return f" Did you mean {known[name]}?"
    close = [] if given is None else closest(compact, names.values())
    return f" Did you mean {close[0]!r}?" if close else ""


def resolve(
    given: Any, registry: Mapping[Any, Callable[..., C]], family: Any, parameter: str, context: Mapping[str, Any]
) -> C:
    """Turn a name into that component, and leave an instance as it is.

    Parameters
    ----------
    given : str, None or instance of `family`
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
        If `given` is neither a name of the registry nor an instance.
    """
    if isinstance(given, family):
        given.validate(parameter)
        return given
    if isinstance(given, type) and issubclass(given, family):
        raise ValueError(
            f"{parameter}={given.__name__} is a class, not an instance: pass {parameter}={given.__name__}()."
        )
    if not (given is None or isinstance(given, str)) or given not in registry:
        names = ", ".join(str(name) for name in registry)
        raise ValueError(
            f"{parameter}={shown(given)} is not one of {names}, nor an instance of {family.__name__}."
            f"{_meant(given, registry, parameter)}"
        )
    factory = registry[given]
    return factory(**{name: context[name] for name in field_names(factory) if name in context})

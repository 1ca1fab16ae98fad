"""From what the user gave to rows: checked features, targets and weights. No estimator is touched.

scikit-learn's validation writes names and number of features to the estimator that it is given. It is given a
:class:`Header` instead, so that a fit that fails leaves the estimator as it was.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.validation import check_array, validate_data

from skvariants._component import shown
from skvariants._data.rows import ArrayRows, is_lazy, rows_of
from skvariants._data.tasks import Task, check_domain

Array = np.ndarray
_REAL = (np.dtype(np.float64), np.dtype(np.float32))
#: How single precision is called by NumPy, by polars and nullable columns, and by Arrow, also within pandas.
_SINGLE = {"float32", "Float32", "float", "float[pyarrow]"}
#: How features are checked, of every container.
_FEATURES: dict[str, Any] = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "accept_large_sparse": True}
_NOT_FINITE = re.compile(
    r"Input (?:[Xy] )?contains (?:NaN or infinity|NaN|infinity or a value too large for dtype\('float\d+'\))"
)
_TABLE = "Give a table of finite numbers of shape (n_samples, n_features)."
_MADE = "a table, as pandas.read_csv reads from a file, and pandas.DataFrame makes of a dict"
#: What else can be done with rows that are elsewhere.
_BY_BLOCKS = ", or its blocks one after the other to partial_fit"
_ROWS = "Give as many targets as rows."
_COLUMNS = "Give the columns that the model was fitted on, in their order."
#: What to give as targets, where they are to be numbers, and where labels; where several labels.
TARGETS: dict[Any, str] = {
    True: "Give a finite number for each row, or a column of them for each target.",
    False: "Give a label for each row: strings or numbers, none missing.",
    "several": "Give a table of 0 and 1, a column for each label.",
}
#: The same of rows that are scored.
SCORED = {"X": _ROWS, "y": "Give the target of each row of X, of the kind that the model was fitted to."}
#: Greatest size of a coefficient to start from: the squares of predictions are to be numbers.
_FAR = 1e100


# ---------------------------------------------------------------------- sentences


@contextlib.contextmanager
def named(culprit: Callable[[], str], remedies: dict[str, str]) -> Iterator[None]:
    """Say which argument is meant, and the remedy, where scikit-learn or NumPy refuse one.

    Parameters
    ----------
    culprit : callable
        Which argument it is, asked for where the words do not say it.
    remedies : dict
        Of each argument, by the name that the user knows; that of validation rows is called "X_val" and "y_val".
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (MemoryError, Warning):
        raise
    except Exception as error:
        words = re.sub(r":?\s*array=.*?(?=Reshape)", ". ", str(error), flags=re.DOTALL)
        if words.startswith("Complex data not supported"):
            words = "Complex data not supported."
        for name in remedies.keys() & {"X_val", "y_val"}:
            words = re.sub(rf"\b{name[0]}\b", name, words)
        about = next((name for name in remedies if re.search(rf"\b{name}\b", words)), None)
        if about is None:
            both = words.startswith("Found input variables")
            about = " and ".join(remedies) if both else culprit()
            words = f"{about} {'are' if both else 'is'} not accepted: {words}"
        words = words.rstrip()
        lists = words.rpartition("\n")[2].startswith("- ")  # of names, a line for each
        if not (lists or words.endswith((".", ":"))):
            words += "."
        kind = TypeError if isinstance(error, TypeError) else ValueError
        others = "feature names should match" in words or "features as input" in words
        remedy = _COLUMNS if others else remedies.get(about, _ROWS)
        has_one = ": give " in words  # a sentence of ours
        between = "\n" if lists else " "
        raise kind(words if has_one else f"{words}{between}{remedy}") from error


@contextlib.contextmanager
def cells_named(X: Any) -> Iterator[None]:
    """Say which columns hold text, and what can be done, or where the first value is that is not finite."""
    try:
        yield
    except ValueError as error:
        refused = _NOT_FINITE.match(str(error))
        if refused and refused[0].startswith("Input X"):
            end = refused.end()
            raise ValueError(f"{refused[0]}{_place(X)}{str(error)[end:]}") from error
        found = _texts(X) if "could not convert" in str(error) else []
        if not found:
            raise
        columns = f"columns {shown(found)}" if len(found) > 1 else f"column {found[0]!r}"
        words = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"X has text in the {columns} ({words}): encode it, as OneHotEncoder does in a ColumnTransformer, or leave "
            "it out."
        ) from error


@contextlib.contextmanager
def rows_named(y: Any, real: bool) -> Iterator[None]:
    """Say which row has no target, or that targets which are to be numbers are text."""
    try:
        yield
    except (TypeError, ValueError) as error:
        words = str(error)
        if "NA is ambiguous" in words:
            raise ValueError(f"Input y contains NaN{_row(y)}.") from error
        refused = _NOT_FINITE.match(words)
        if refused and not refused[0].startswith("Input X"):
            raise ValueError(f"{refused[0]}{_row(y)}{words[refused.end() :]}") from error
        text = next((value for value in _entries(y) if isinstance(value, str)), None)
        if real and text is not None and "could not convert" in words:
            raise ValueError(
                f"y holds text, such as {str(text)!r}, and a regression needs numbers: give numbers, or labels to a "
                "classifier."
            ) from error
        raise


def _entries(y: Any) -> list[Any]:
    """What a column of targets holds; nothing of what is none."""
    values = np.asarray(y)
    return list(values) if values.ndim == 1 else list(values.ravel()) if values.ndim else []


def _row(y: Any) -> str:
    """Where the first target is that is missing, or no finite number."""
    values = np.asarray(y)
    if values.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(values))
    else:
        bad = np.argwhere(np.reshape([_missing(value) for value in values.ravel()], values.shape))
    if not len(bad):
        return ""
    column = f"in the column {bad[0][1]}, " if values.ndim > 1 and values.shape[1] > 1 else "in "
    return f" (first {column}row {bad[0][0]}, counted from 0)"


def _missing(value: Any) -> bool:
    """Whether a value is None, or not equal to itself, or infinite."""
    try:
        return value is None or value in (np.inf, -np.inf) or not bool(value == value)
    except TypeError:  # of pandas, which does not know
        return True


def refuse_no_data(value: Any, name: str, instead: str = _MADE) -> None:
    """Refuse nothing, text or a dict in the place of data."""
    text, table = isinstance(value, (str, bytes, os.PathLike)), isinstance(value, Mapping) and not sp.issparse(value)
    if value is None or text or table:
        what = "is text, not data" if text else "is a dict" if table else "is missing"
        raise ValueError(f"{name}={shown(value)} is not accepted, as it {what}: give {instead}.")


def _refuse_records(X: Any, name: str) -> None:
    """Refuse a column of texts, or of dicts, in the place of a table: say what makes columns of them."""
    if sp.issparse(X) or getattr(X, "ndim", 1) != 1 or not hasattr(X, "__len__"):
        return
    first = next(iter(X), None)
    if isinstance(first, str):
        raise ValueError(
            f"{name} holds texts, such as {shown(str(first))}, and a model needs a table of numbers: make columns of "
            "their words in a pipeline, as make_pipeline(TfidfVectorizer(), ...), or HashingVectorizer in a stream."
        )
    if isinstance(first, Mapping):
        raise ValueError(
            f"{name} holds dicts, such as {shown(first)}, and a model needs a table of numbers: make columns of them "
            "in a pipeline, as make_pipeline(DictVectorizer(), ...)."
        )


def _columns(X: Any) -> Iterator[tuple[Any, Any]]:
    """Names and values of the columns of a table; their numbers where it has no names."""
    names = getattr(X, "column_names", getattr(X, "columns", None))  # of PyArrow, and of pandas or polars
    if names is not None:
        yield from ((name, X[name]) for name in names)
    elif getattr(X, "ndim", 0) == 2:
        yield from ((j, X[:, j]) for j in range(X.shape[1]))


def _place(X: Any) -> str:
    """Where the first value is that is no finite number."""
    if sp.issparse(X):
        X = X.tocoo()
        bad = ~np.isfinite(X.data)
        found = min(zip(X.col[bad].tolist(), X.row[bad].tolist(), strict=True), default=None)
    else:
        found = next(_not_finite(X), None)
    return "" if found is None else f" (first in the column {found[0]!r}, row {found[1]}, counted from 0)"


def _not_finite(X: Any) -> Iterator[tuple[Any, int]]:
    """The first row of each column that holds no finite number."""
    for name, values in _columns(X if hasattr(X, "shape") else np.asarray(X)):
        try:
            bad = np.flatnonzero(~np.isfinite(np.asarray(values, dtype=float)))
        except (TypeError, ValueError):  # as NumPy has no number for it
            continue
        if bad.size:
            yield name, int(bad[0])


def _texts(X: Any) -> list[Any]:
    """Names of the columns that hold text which is no number."""
    found = []
    for name, values in _columns(X):
        values = np.asarray(values)
        try:
            if values.dtype.kind in "OUS":
                values.astype(float)
        except ValueError:
            found.append(name)
        except TypeError:  # something else than text
            pass
    return found


def kind_of(value: Any) -> str:
    """What a value is, for a sentence that refuses it."""
    dtype = getattr(value, "dtype", None)
    return f"type {type(value).__name__}" + ("" if dtype is None else f" and dtype {dtype}")


def _refuse_dates(value: Any, name: str) -> None:
    """Refuse times: as numbers they are nanoseconds, or seconds, since 1970."""
    dtype = getattr(value, "dtype", None)
    dtypes = getattr(value, "dtypes", ()) if dtype is None else (dtype,)
    for j, of in enumerate(dtypes if hasattr(dtypes, "__iter__") else ()):
        if getattr(of, "kind", "") in ("m", "M") or str(of).startswith(("Date", "Time", "Duration")):
            where = "" if dtype is not None else f" in the column {value.columns[j]!r}"
            raise ValueError(
                f"{name} holds times{where} (dtype {of}), which are no features or targets: give numbers, such as days "
                "since a date, the hour or the weekday."
            )


def in_process(value: Any, name: str, instead: str = _BY_BLOCKS) -> Any:
    """What has its numbers in the memory of this process; arrays of other libraries that have become NumPy's.

    Parameters
    ----------
    value : object
        As the user gave it.
    name : str
        Of the argument.
    instead : str
        What else can be done with rows that are elsewhere.

    Raises
    ------
    TypeError
        If it is a collection of dask, all of which would be read, or is not in the memory of NumPy.
    """
    if is_lazy(value):
        raise TypeError(
            f"{name} is a dask collection, and all of it would be read into this process here: give {name}.compute() "
            f"where that fits{instead}."
        )
    if hasattr(value, "collect") and hasattr(value, "collect_schema"):  # of polars
        raise TypeError(f"{name} is a {type(value).__name__}, which holds no rows yet: give {name}.collect().")
    if isinstance(value, np.ndarray) or not hasattr(value, "__dlpack__"):
        return value
    try:
        return np.asarray(value)
    except Exception as error:
        raise TypeError(
            f"{name} of {kind_of(value)} is not accepted: {str(error).rstrip('.')}. Give numbers that NumPy has and in "
            f"the memory of this process, as {name}.detach().float().cpu() of a tensor."
        ) from error


def refuse_masked(value: Any, name: str) -> None:
    """Refuse masked entries, whose values are not meant."""
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries, and masks are not looked at: fill them, or drop their rows.")


# ---------------------------------------------------------------------- features and targets


class Header(BaseEstimator):
    """Names and number of the features, learned in the place of an estimator.

    Parameters
    ----------
    tags : sklearn.utils.Tags or callable
        Those of the estimator, or what returns them where they are asked for.
    """

    def __init__(self, tags: Any = None) -> None:
        self.tags = tags

    def __sklearn_tags__(self) -> Any:
        return self.tags() if callable(self.tags) else self.tags

    def __reduce__(self) -> Any:
        return Header.of, (type(self).__name__, self.__sklearn_tags__(), self.n_features, self.feature_names)

    @staticmethod
    def of(name: str, tags: Any, n_features: int | None = None, feature_names: Any = None) -> Header:
        """A header that messages call by the name of an estimator, with what is known of the features."""
        header = _header_class(name)(tags)
        if n_features is not None:
            header.n_features_in_ = n_features
        if feature_names is not None:
            header.feature_names_in_ = feature_names
        return header

    @property
    def n_features(self) -> int | None:
        """Number of features, once it is known."""
        return getattr(self, "n_features_in_", None)

    @property
    def feature_names(self) -> Any:
        """Names of the features, where they have any."""
        return getattr(self, "feature_names_in_", None)

    def checked(self, X: Any, y: Any, reset: bool, names: Any = ("X", "y"), **checks: Any) -> tuple[Any, Any]:
        """Features and targets as arrays; `names` are those of the arguments."""
        if not reset and self._plain(X, y):
            return X, y
        if X is None:
            refuse_no_data(X, names[0])
        X, y = in_process(X, names[0]), in_process(y, names[1])
        real = checks.get("y_numeric", False)
        kind = "several" if checks.get("multi_output") and not real else real
        return arrays(
            lambda: validate_data(self, _native(X), y, reset=reset, order="C", **_checks(X), **checks),
            X, y, names, kind, None if reset else self.feature_names,
        )  # fmt: skip

    def _plain(self, X: Any, y: Any) -> bool:
        """Whether these are what the checks would return: asking costs a chunk of few rows less than the checks."""
        if not type(X) is type(y) is np.ndarray or self.feature_names is not None or X.dtype not in _REAL:
            return False
        shaped = X.ndim == 2 and y.ndim == 1 and X.shape == (len(y), self.n_features) and X.size > 0
        if not (shaped and X.flags.c_contiguous and y.flags.c_contiguous):
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return (y.dtype.kind in "bui" or (y.dtype in _REAL and np.isfinite(y.sum()))) and bool(np.isfinite(X.sum()))


def arrays(
    check: Callable[[], Any], X: Any, y: Any, names: Any = ("X", "y"), kind: Any = False, columns: Any = None
) -> tuple[Any, Any]:
    """Features and targets as scikit-learn checks them, what it refuses in sentences that name the argument.

    Parameters
    ----------
    check : callable
        Gives both as arrays.
    X, y : object
        As the user gave them.
    names : pair of str
        Of the arguments.
    kind : key of TARGETS, default=False
        What targets are.
    columns : array-like, optional
        Names of the features, where they are known.
    """
    real = kind is True
    if X is not None:  # of targets that come alone
        refuse_no_data(X, names[0])
        _refuse_records(X, names[0])
    if isinstance(y, (str, bytes, Mapping)):
        refuse_no_data(y, names[1], f"the column itself, such as {names[0]}['target']")
    if real and sp.issparse(y):
        raise TypeError(
            f"{names[1]} is a sparse matrix of shape {y.shape}, and targets that are numbers have to be dense: give "
            f"{names[1]}.toarray()."
        )
    for value, name in zip((X, y), names, strict=True):
        refuse_masked(value, name)
    _refuse_dates(X, names[0])
    if real:
        _refuse_dates(y, names[1])
    alone = functools.partial(_refused_alone, X, columns)
    with named(lambda: names[not alone()], {names[0]: _TABLE, names[1]: TARGETS[kind]}):
        with rows_named(y, real):
            with cells_named(X):
                X, checked = check()
            objects = getattr(getattr(y, "dtype", None), "kind", "O") == "O"
            if real and objects and not np.isfinite(checked).all():  # None is no NaN until it is a number
                raise ValueError("Input y contains NaN.")
        return X, checked


def _refused_alone(X: Any, columns: Any = None) -> bool:
    """Whether features are refused, whatever the targets."""
    if columns is not None and list(getattr(X, "columns", columns)) != list(columns):
        return True
    try:
        check_array(X, **_FEATURES)
    except Exception:
        return True
    return False


def _checks(X: Any) -> dict[str, Any]:
    """How features are checked: in single precision where all columns have it, of whatever library."""
    types = getattr(X, "dtypes", getattr(getattr(X, "schema", None), "types", ()))
    names = {str(of) for of in types} if hasattr(types, "__iter__") else set()
    return _FEATURES | {"dtype": np.float32} if names and names <= _SINGLE else _FEATURES


def _native(X: Any) -> Any:
    """Single precision in the machine's order of bytes: of another order the checks would make doubles."""
    dtype = getattr(X, "dtype", None)
    other = isinstance(dtype, np.dtype) and not dtype.isnative and dtype.newbyteorder("=") == np.float32
    return X.astype(np.float32) if other else X


def features(estimator: Any, X: Any) -> Any:
    """Features of rows to predict, checked against those of the fit; those of another library stay where they are."""
    if hasattr(X, "namespace"):
        validate_data(estimator, np.zeros((1, X.shape[1])), reset=False)
        return X
    X = in_process(X, "X", "")
    refuse_no_data(X, "X")
    _refuse_records(X, "X")
    _refuse_dates(X, "X")
    refuse_masked(X, "X")
    with named(lambda: "X", {"X": _TABLE}), cells_named(X):
        return validate_data(estimator, _native(X), reset=False, **_checks(X))


@functools.cache
def _header_class(name: str) -> type[Header]:
    return type(name, (Header,), {})


@dataclass(eq=False, repr=False)
class Validation:
    """Rows that each epoch is scored on, targets as the user gave them."""

    X: Any
    y: Array
    weight: Array | None


@dataclass(eq=False, repr=False)
class Data:
    """What a fit learns from.

    Attributes
    ----------
    rows : ArrayRows
        Training rows; their weights, those of the classes included, have mean one.
    y : ndarray
        Their targets, validated but not yet encoded.
    validation : Validation or None
        Rows to score each epoch on.
    task : Task
        What the targets are.
    header : Header
        Names and number of the features.
    total_weight : float
        Sum of the weights before they were divided by their mean.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the training rows as the user gave them, without those of classes.
    table : object or None
        Of which the rows are a sample, where it is not in memory.
    """

    rows: ArrayRows
    y: Array
    validation: Validation | None
    task: Task
    header: Header
    total_weight: float
    sample_weight: Array | None = None
    table: Any = None

    def unscaled_weights(self) -> Array:
        """Weights of the training rows before they were divided by their mean, those of the classes included."""
        weight = np.full(self.rows.n, self.total_weight / self.rows.n)
        if self.rows.weight is not None:
            weight *= self.rows.weight
        return weight


@dataclass(eq=False, repr=False)
class Given:
    """Data as the user gave them; or a table of blocks in the place of `X`, `y` and `sample_weight`."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    table: Any = None

    @property
    def validates(self) -> bool:
        """Whether any of it is for validation."""
        return not (self.X_val is None and self.y_val is None and self.sample_weight_val is None)


def reals(value: Any, name: str, remedy: str) -> Array:
    """Finite real numbers that are neither features nor targets, as an array.

    Raises
    ------
    ValueError or TypeError
        Naming the argument, if it holds anything else.
    """
    value = in_process(value, name, "")
    refuse_masked(value, name)
    given = np.asarray(value)
    kind = given.dtype.kind
    if kind not in "buifO" or (kind == "O" and not given.ndim):  # strings, dates; mappings, sparse matrices
        raise ValueError(f"{name} of {kind_of(value)} is not accepted. {remedy}")
    with named(lambda: name, {name: remedy}):
        if given.ndim:
            value = check_array(
                value, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name=name, ensure_min_samples=0,
                ensure_min_features=0,
            )  # fmt: skip
        elif not np.isfinite(value):
            raise ValueError(f"{name} is {value}, and must be finite")
        return np.asarray(value, dtype=np.float64)


def row_weights(sample_weight: Any, n: int, name: str = "sample_weight") -> Array | None:
    """Checked weights, one a row.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), number or None
        As the user gave them.
    n : int
        Rows.
    name : str, default="sample_weight"
        Of the argument, for messages.

    Returns
    -------
    ndarray of shape (n,) or None

    Raises
    ------
    ValueError
        If there is not one weight a row, one is negative or not finite, or their sum overflows.
    """
    if sample_weight is None:
        return None
    remedy = "Give a number for each row."
    if isinstance(sample_weight, (str, Mapping)):
        remedy += f" Weights of classes are a parameter of the classifier, class_weight={shown(sample_weight)}."
    weight = reals(sample_weight, name, remedy)
    if not weight.ndim:
        weight = np.full(n, weight)
    if weight.shape != (n,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n,)}: one weight per row.")
    if (weight < 0).any():
        raise ValueError(f"Negative values in data passed to `{name}`: weights must be zero or positive.")
    with np.errstate(over="ignore"):
        if not np.isfinite(weight.sum()):
            raise ValueError(f"The sum of `{name}` overflows: divide the weights by a power of ten.")
    return weight


def canonical(X: Any) -> Any:
    """A sparse matrix without duplicates; the user's own stays as it is."""
    if sp.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def prepare(
    spec: Any, header: Header, given: Given, task: Task | None = None, streaming: bool = False
) -> Data:  # fmt: skip
    """Rows for training and for validation.

    Parameters
    ----------
    spec : Spec
        Its task, loss, stopping rule and seed are asked for.
    header : Header
        Learns names and number of the features, or knows them already.
    given : Given
        As the user gave them.
    task : Task, optional
        What the targets of earlier rows were, for rows that go on with them: a chunk of a stream, which is not split,
        and whose labels may add to the classes.
    streaming : bool
        Whether these are rows of a stream, of which none has to have a weight.

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        If anything is not accepted.
    """
    chunk = task is not None
    X, y = header.checked(given.X, given.y, header.n_features is None, **spec.task.checks_of(given.y))
    with named(lambda: "y", {"y": _targets(task or spec.task, y)}), rows_named(y, not spec.task.classification):
        y = (task or spec.task).validated(y)
    if task is None:
        task = spec.task.learn(y, spec.loss)
    y = task.as_rows(y)
    X, weight = canonical(X), row_weights(given.sample_weight, X.shape[0])
    X, y, weight = _used(X, y, weight)
    if not (X.shape[0] or streaming):
        raise ValueError("sample_weight is zero for all samples: at least one weight must be positive.")
    validation = None
    if given.validates:
        validation = users_validation(spec, header, given, task)
    elif spec.stopping.early_stopping and not chunk and X.shape[0]:
        train, held_out = _split(spec, task, y)
        X_val, y_val = X[held_out], y[held_out]
        validation = Validation(X_val, y_val, None if weight is None else weight[held_out])
        X, y, weight = X[train], y[train], None if weight is None else weight[train]
    if chunk:
        task = spec.task.extended(task, y, spec.loss)
    own, stored = weight, task.stored(y, X.dtype)
    if X.shape[0]:
        task = task.counted(stored, own)
    with np.errstate(over="ignore"):
        weight = task.weights(y, own)
        overflows = weight is not None and not np.isfinite(weight.sum())
    if overflows:
        raise ValueError(
            f"The sum of the weights of rows overflows, those of class_weight={shown(spec.task.class_weight)} "
            "included: divide the weights by a power of ten."
        )
    if weight is not None and not weight.all():
        used = weight > 0
        X, y, weight, stored, own = X[used], y[used], weight[used], stored[used], None if own is None else own[used]
    total = float(X.shape[0]) if weight is None else float(weight.sum())
    if weight is not None:
        if not (X.shape[0] or streaming):
            raise ValueError("class_weight is zero for all samples: at least one class must have a positive weight.")
        weight = None if not len(weight) or np.ptp(weight) == 0 else (weight / weight.mean()).astype(X.dtype)
    return Data(rows_of(X, stored, weight), y, validation, task, header, total, own)


def _targets(task: Any, y: Any) -> str:
    """What to give as targets."""
    several = task.classification and getattr(task, "several", y.ndim == 2)
    return TARGETS["several" if several else not task.classification]


def _used(X: Any, y: Array, weight: Array | None) -> tuple[Any, Array, Array | None]:
    """Rows of positive weight: a weight of zero is absence."""
    if weight is None or weight.all():
        return X, y, weight
    used = weight > 0
    return X[used], y[used], weight[used]


def users_validation(spec: Any, header: Header, given: Given, task: Task) -> Validation:
    """The user's own validation rows."""
    if given.X_val is None or given.y_val is None:
        raise ValueError(
            "X_val and y_val must be given together, and sample_weight_val only with them: pass both, or neither."
        )
    if not spec.stopping.early_stopping:
        raise ValueError("X_val and y_val were given but early_stopping=False: pass early_stopping=True.")
    X, y = header.checked(given.X_val, given.y_val, False, ("X_val", "y_val"), **spec.task.checks_of(given.y_val))
    weight = row_weights(given.sample_weight_val, X.shape[0], "sample_weight_val")
    if weight is not None and not weight.any():
        raise ValueError("sample_weight_val is zero for all samples: at least one weight must be positive.")
    with named(lambda: "y_val", {"y_val": _targets(task, y)}), rows_named(y, not task.classification):
        y = task.validated(y)
    if task.classification and not np.isin(y, task.classes).any():
        raise ValueError(f"y_val holds none of the classes of y, {task.classes!r}: give labels of the same kind.")
    if not task.classification:
        check_domain(y, spec.loss, "y_val")
        task.target_moments(y, weight, None, "y_val")
    return Validation(X, y, weight)


def _split(spec: Any, task: Task, y: Array) -> tuple[Array, Array]:
    """Numbers of the rows to train on, and of those held out."""
    n, stopping = len(y), spec.stopping
    splitter = StratifiedShuffleSplit if task.classification and not task.several else ShuffleSplit
    cv = splitter(n_splits=1, test_size=stopping.validation_fraction, random_state=spec.random_state)
    try:
        # sorts labels, and objects slowly
        train, held_out = next(cv.split(np.zeros((n, 1)), y.astype(str) if y.dtype.kind == "O" else y))
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={stopping.validation_fraction!r} does not split {n} samples: "
            f"{str(error).rstrip('.')}. Change validation_fraction, give more samples, or pass X_val and y_val."
        ) from error
    return train, held_out


def start(value: Any, name: str, shape: tuple[int, ...]) -> Array:
    """Coefficients or intercepts to start from, as they were given for a model of that shape.

    Raises
    ------
    ValueError or TypeError
        Naming the argument, if it is of another shape or no number to start from.
    """
    given = reals(value, name, f"Give finite numbers of shape {shape}.")
    size = int(np.prod(shape))
    if given.ndim > 2 or given.size != size or (len(shape) == given.ndim == 2 and given.shape != shape):
        by_name = " Weights of rows are passed by name, as sample_weight=..." if given.ndim == 1 < len(shape) else ""
        raise ValueError(
            f"Provided {name} does not match dataset: its shape is {given.shape}, and must be {shape}.{by_name}"
        )
    if given.size and np.abs(given).max() > _FAR:
        raise ValueError(
            f"{name} holds {np.abs(given).max():.3g}, too far to come back from: start from numbers below {_FAR:g}."
        )
    return given.reshape(shape)


__all__ = [
    "SCORED",
    "TARGETS",
    "Data",
    "Given",
    "Header",
    "Validation",
    "arrays",
    "canonical",
    "cells_named",
    "features",
    "in_process",
    "named",
    "prepare",
    "refuse_no_data",
    "row_weights",
    "rows_named",
    "start",
    "users_validation",
]

"""Bad input ends in a sentence that names the argument, the value and the remedy, or in the right model.

Tables say what is given; one function says what must hold: nothing is printed, nothing is warned of but what is
documented, and an earlier fit stays as it was.
"""

import contextlib
import datetime
import decimal
import fractions
import functools
import inspect
import io
import pickle
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from _references import in_domain
from skvariants import (
    SGDVariantClassifier,
    SGDVariantRegressor,
    batches,
    displays,
    estimators,
    losses,
    penalties,
    schedules,
    set_docs_url,
    solvers,
)  # fmt: skip
from skvariants._component import Component
from skvariants.diagnostics import diagnose
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV, BatchedRandomizedSearchCV

RNG = np.random.default_rng(0)
N, D = 40, 3
X = RNG.standard_normal((N, D))
LABELS = (X[:, 0] + 0.3 * RNG.standard_normal(N) > 0).astype(int)
TARGETS = X @ [1.0, 2.0, 3.0] + 0.1 * RNG.standard_normal(N)
#: What a fit may warn of, as its documentation says.
DOCUMENTED = (ConvergenceWarning, DataConversionWarning)


def classifier(**params):
    return SGDVariantClassifier(**{"max_iter": 30, "random_state": 0, **params})


def regressor(**params):
    return SGDVariantRegressor(**{"max_iter": 30, "random_state": 0, **params})


def learned(model):
    """All that a model has learned, as bytes."""
    params = model.get_params(deep=False)
    return pickle.dumps({name: value for name, value in vars(model).items() if name not in params})


def attempt(call, documented=DOCUMENTED, prints=False):
    """What a call returned, or the error that it raised; nothing is printed, nothing else is warned of."""
    words = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(words):
        warnings.simplefilter("always")
        try:
            result = call()
        except (ValueError, TypeError) as error:
            result = error
    # scikit-learn's own about rows with names, for a model of columns without
    unnamed = [w for w in caught if "has feature names, but" not in str(w.message)]
    others = [str(w.message) for w in unnamed if not issubclass(w.category, documented)]
    assert not others, others
    assert prints or not words.getvalue(), words.getvalue()
    return result


def assert_sentence(error, *words):
    """The error is a whole sentence with these words."""
    assert isinstance(error, (ValueError, TypeError)), error
    text = str(error)
    for word in words:
        assert word in text, (word, text)
    assert text.strip()[-1] in ".?)", text
    assert len(text) < 1200, len(text)


# ---------------------------------------------------------------------- parameters

JUNK = {
    "text": "abc", "no text": "", "bytes": b"x", "nan": np.nan, "inf": np.inf, "-inf": -np.inf, "-1": -1, "0": 0,
    "1": 1, "1.5": 1.5, "2**70": 2**70, "10**400": 10**400, "10**6000": 10**6000, "1j": 1j, "True": True,
    "None": None, "[]": [], "[1.0]": [1.0], "(1, 2)": (1, 2), "{}": {}, "{'a': 1}": {"a": 1}, "set": {1},
    "object": object(), "type": int, "function": len, "array": np.array([1.0, 2.0]), "0-d array": np.array("a"),
    "Decimal": decimal.Decimal("0.5"), "Fraction": fractions.Fraction(1, 2), "date": datetime.date(2020, 1, 1),
    "NA": pd.NA, "Series": pd.Series([1.0]), "sparse": sp.csr_matrix((1, 1)), "masked": np.ma.masked,
    "slice": slice(3), "range": range(3),
}  # fmt: skip
#: The junk that is none, by parameter.
TAKEN = {
    "alpha": {"0", "1", "1.5"}, "average": {"1", "True"}, "batch_size": {"1"}, "class_weight": {"None", "{}"},
    "early_stopping": {"True"}, "epsilon": {"0", "1", "1.5"}, "eta0": {"1", "1.5"}, "fit_intercept": {"True"},
    "forgetting": {"1", "1.5", "None"}, "l1_ratio": {"0", "1", "None"}, "learning_rate": set(), "loss": set(),
    "max_iter": {"1"}, "max_time": {"1", "1.5", "None"}, "multi_class": set(), "n_iter_no_change": {"1"},
    "n_jobs": {"-1", "1", "None"},
    "on_new_class": set(), "penalty": {"None"}, "power_t": {"0", "1", "1.5"}, "random_state": {"0", "1", "None"},
    "scale_features": {"True"}, "shuffle": {"True"}, "solver": set(), "tol": {"0", "1", "1.5", "None"},
    "validation_fraction": set(), "verbose": {"0", "1", "True"}, "warm_start": {"True"},
    # of searches
    "estimator": set(), "cv": {"None"}, "error_score": {"nan", "inf", "-inf", "-1", "0", "1", "1.5"},
    "param_grid": {"{}"}, "param_distributions": {"{}"}, "pre_dispatch": {"1"}, "return_train_score": {"True"},
    "refit": {"text", "True"}, "scoring": {"None"}, "n_iter": {"1"}, "factor": {"1.5"},
    "n_candidates": {"1", "None"}, "max_resources": {"1"}, "min_resources": {"1"},
    "aggressive_elimination": {"True"},
    # of a value for each of three features
    "positive": {"True"}, "bounds": {"None", "(1, 2)", "array"}, "monotonic_cst": {"None"},
    "penalty_factor": {"None", "range"},
}  # fmt: skip


def assert_refused_or_fitted(name, label, fit, taken=None):
    """A value of a parameter is refused by its name, or a model is there; `taken` says which, where that is known."""
    result = attempt(fit, prints=name == "verbose")
    if isinstance(result, Exception):
        assert not (taken and label in taken), (label, str(result))
        shown = label.strip("{}[]()set ") if label in ("-1", "0", "1", "1.5", "nan") else ""
        assert_sentence(result, name, shown)
        assert re.search(rf"must be|must hold|must have|is not accepted|is not one of|needs|{name} must", str(result))
    else:
        assert taken is None or label in taken, (label, "was accepted")
        assert np.isfinite(getattr(result, "coef_", 0.0)).all()


PARAMETERS = [(make, name) for make in (classifier, regressor) for name in make().get_params(deep=False)]


@pytest.mark.parametrize(("make", "name"), PARAMETERS, ids=lambda value: getattr(value, "__name__", value))
def test_every_value_of_every_parameter_of_an_estimator_is_refused_or_right(make, name):
    y = LABELS if make is classifier else TARGETS
    fitted = make().fit(X, y)
    kept, predicted = pickle.dumps(fitted), fitted.predict(X)
    for label, value in JUNK.items():
        model = pickle.loads(kept)
        before = learned(model)
        model.set_params(**{name: value})
        assert_refused_or_fitted(name, label, lambda m=model: m.fit(X[:30], y[:30]), TAKEN.get(name))
        if not (name in TAKEN and label in TAKEN[name]):
            assert learned(model) == before
            np.testing.assert_array_equal(model.predict(X), predicted)


@pytest.mark.parametrize("name", ["alpha", "eta0", "max_iter", "loss", "forgetting", "batch_size", "tol", "n_epochs"])
def test_partial_fit_refuses_the_same_and_the_model_stays(name):
    kept = pickle.dumps(regressor(**({} if name == "forgetting" else {"solver": "adam"})).partial_fit(X, TARGETS))
    for label, value in JUNK.items():
        model = pickle.loads(kept)
        before = learned(model)
        extra = {"n_epochs": value} if name == "n_epochs" else {}
        if not extra:
            model.set_params(**{name: value})
        result = attempt(lambda m=model, more=extra: m.partial_fit(X, TARGETS, **more))
        if isinstance(result, Exception):
            assert_sentence(result, name)
            assert learned(model) == before
        else:
            assert label in TAKEN.get(name, {"1"})


COMPONENTS = [
    (owner, factory, field)
    for owner, module in (
        ("loss", losses), ("penalty", penalties), ("learning_rate", schedules), ("solver", solvers),
    )
    for factory in (getattr(module, name) for name in module.__all__)
    if isinstance(factory, type) and issubclass(factory, Component)
    for field in factory._get_param_names()
]  # fmt: skip


def refuses(solver, loss):
    """Whether a solver cannot minimise a loss."""
    try:
        solver.check_loss(loss)
    except ValueError:
        return True
    return False


def owning(owner, component):
    """A model with a component, whose loss the component takes."""
    if owner == "loss" and not component.regression:
        return classifier(loss=component), LABELS
    if owner == "solver" and any(refuses(component, loss) for loss in (losses.SquaredError(), losses.LogLoss())):
        return classifier(solver=component, loss="hinge"), LABELS
    if owner == "learning_rate" and component.stands_for is not None:
        return classifier(learning_rate=component, loss="hinge"), LABELS
    if owner == "loss" and not component.in_target_units:
        return regressor(loss=component), np.clip(in_domain(losses.Binomial(), TARGETS), 0.1, 0.9)
    return regressor(**{owner: component}), TARGETS


#: Junk that is none of a field.
ALSO_TAKEN = {"groups": "range", "lower": "-inf", "upper": "inf"}


@pytest.mark.parametrize(
    ("owner", "factory", "field"), COMPONENTS, ids=[f"{factory.__name__}.{field}" for _, factory, field in COMPONENTS]
)
def test_every_field_of_every_component_is_refused_or_right(owner, factory, field):
    needed = {"groups": ["a", "a", "b"]} if "groups" in factory._get_param_names() else {}
    for label, value in JUNK.items():
        model, y = owning(owner, factory(**{**needed, field: value}))
        result = attempt(lambda m=model, y=y: m.fit(X, y))
        if not isinstance(result, Exception):
            assert label in ("-1", "0", "1", "1.5", "True", "None", ALSO_TAKEN.get(field)), label
            assert np.isfinite(result.coef_).all()
        else:
            assert_sentence(result, field)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize("name", ["alpha", "eta0", "max_iter", "batch_size", "n_iter_no_change", "tol", "power_t"])
def test_a_number_of_numpy_is_the_number(name, dtype):
    whole = name in ("max_iter", "batch_size", "n_iter_no_change")
    if whole and np.dtype(dtype).kind == "f":
        return
    value = 1 if np.dtype(dtype).kind != "f" else 0.5
    value = 100 if whole else value
    params = {"solver": "adam", "learning_rate": "invscaling", "eta0": 0.5}
    one, other = (attempt(lambda v=v: classifier(**{**params, name: v}).fit(X, LABELS)) for v in (value, dtype(value)))
    np.testing.assert_array_equal(one.coef_, other.coef_)


SEARCHES = [
    pytest.param(search, name, marks=() if search is BatchedGridSearchCV else pytest.mark.slow)
    for search in (BatchedGridSearchCV, BatchedRandomizedSearchCV, BatchedHalvingSearchCV)
    for name in search._get_param_names()
]


@pytest.mark.parametrize(("search", "name"), SEARCHES)
def test_every_value_of_every_parameter_of_a_search_is_refused_or_right(search, name):
    grid = "param_distributions" if search is BatchedRandomizedSearchCV else "param_grid"
    given = {"estimator": classifier(max_iter=30), grid: {"alpha": [1e-3, 1e-1]}, "cv": 2}
    given |= {"n_iter": 2} if search is BatchedRandomizedSearchCV else {}
    taken = TAKEN.get(name, set(JUNK))
    if (search, name) == (BatchedHalvingSearchCV, "refit"):
        taken = taken - {"text"}
    for label, value in JUNK.items():
        if name in ("scoring", "refit") and callable(value):  # a function of the user's, which fails as it likes
            continue
        if (name, label) == ("n_jobs", "-1"):  # other processes, which take seconds to start
            continue
        model = search(**{**given, name: value})
        documented = (*DOCUMENTED, UserWarning)  # scikit-learn says that a grid is smaller than n_iter
        result = attempt(lambda m=model: m.fit(X, LABELS), documented, prints=name == "verbose")
        if isinstance(result, Exception):
            assert name not in TAKEN or label not in taken, str(result)
            assert_sentence(result, name)
            assert "not accepted" in str(result) or "No fits were performed" in str(result)
        else:
            assert label in taken, label
            assert result.score(X, LABELS) > 0.8


DIAGNOSED = [name for name in inspect.signature(diagnose).parameters if name not in ("X", "y", "sample_weight")]


@pytest.mark.parametrize("name", DIAGNOSED)
def test_every_parameter_of_diagnose_is_refused_or_right(name):
    for label, value in JUNK.items():
        if name == "race" and label == "True":
            continue
        result = attempt(lambda n=name, v=value: diagnose(X, LABELS, **{n: v}))
        if isinstance(result, Exception):
            assert_sentence(result, name)
        else:
            assert label in ("0", "1", "1.5", "True", "None"), label


@pytest.mark.parametrize("url", [1, b"x", [], np.nan])
def test_an_address_that_is_none_is_refused(url):
    assert_sentence(attempt(lambda: set_docs_url(url)), "url=", "must be a string or None")


# ---------------------------------------------------------------------- rows, targets, weights, starts


def with_value(array, value, dtype=None):
    """The array with one other entry."""
    array = np.array(array, dtype=dtype)
    array[(5, 1) if array.ndim == 2 else 5] = value
    return array


COLUMNS = list("abc")
NUMBER = "could not convert string to float"
BAD_X = {
    "None": (None, "is missing"),
    "text": ("abc", "is text"),
    "a number": (3.0, "2D array"),
    "one dimension": (X[:, 0], "2D array"),
    "three dimensions": (X[:, :, None], "dim 3"),
    "no rows": (np.empty((0, D)), "0 sample"),
    "no columns": (np.empty((N, 0)), "0 feature"),
    "nan": (with_value(X, np.nan), "NaN"),
    "inf": (with_value(X, -np.inf), "infinity"),
    "objects of text": (np.full(X.shape, "a", object), NUMBER),
    "an object that is None": (with_value(X, None, object), "NaN"),
    "an integer of 400 digits": (with_value(X, 10**400, object), "too large"),
    "complex": (X + 1j, "Complex data not supported"),
    "times": (X.astype("M8[s]"), "times"),
    "durations": (X.astype("m8[s]"), "times"),
    "ragged": ([[1, 2], [1]] * (N // 2), "inhomogeneous"),
    "generator": ((row for row in X), "not 'generator'"),
    "dict": ({"a": X[:, 0]}, "is a dict"),
    "set": ({1, 2}, "not 'set'"),
    "range": (range(N), "2D array"),
    "matrix": (np.atleast_2d(X).view(np.matrix), "np.matrix is not supported"),
    "masked": (np.ma.array(X, mask=X > 1), "masked"),
    "records": (np.zeros(N, dtype=[("a", float), ("b", float)]), "Cannot cast"),
    "frame of text": (pd.DataFrame({"a": X[:, 0], "b": "u", "c": "v"}), NUMBER),
    "frame with NA": (pd.DataFrame({c: pd.array([1.0, None] * (N // 2), dtype="Float64") for c in COLUMNS}), "NaN"),
    "frame of categories": (pd.DataFrame({"a": pd.Categorical(["u", "v"] * (N // 2))}), NUMBER),
    "frame of times": (pd.DataFrame({"a": pd.date_range("2020", periods=N)}), "times in the column 'a'"),
    "frame of mixed names": (pd.DataFrame(X, columns=["a", 1, 2]), "string names"),
    "series": (pd.Series(X[:, 0]), "2"),
    "documents": (["cheap pills", "see you"] * (N // 2), "make_pipeline(TfidfVectorizer(), ...)"),
    "array of documents": (np.array(["cheap pills"] * N, object), "HashingVectorizer"),
    "series of documents": (pd.Series(["cheap pills"] * N), "TfidfVectorizer"),
    "list of dicts": ([{"a": 1.0}] * N, "make_pipeline(DictVectorizer(), ...)"),
    "lazy polars": (pl.LazyFrame({"a": X[:, 0]}), ".collect()."),
    "polars of text": (pl.DataFrame({"a": ["u", "v"] * (N // 2)}), NUMBER),
    "polars with null": (pl.DataFrame({"a": [1.0, None] * (N // 2)}), "NaN"),
    "polars of times": (pl.DataFrame({"a": [datetime.date(2020, 1, 1)] * N}), "times"),
    "sparse with nan": (sp.csr_matrix(with_value(X, np.nan)), "NaN"),
    "sparse complex": (sp.csr_matrix(X + 1j), "Complex data not supported"),
    "sparse without rows": (sp.csr_matrix((0, D)), "0 sample"),
    "sparse of one dimension": (sp.coo_array(X[:, 0]), "2D"),
    "too large": (X * 1e200, "divide"),
    "too large, sparse": (sp.csr_matrix(X * 1e200), "divide"),
    "other number of rows": (X[:-1], "inconsistent numbers of samples"),
}
TEXTS = {
    "frame": (pd.DataFrame({"a": X[:, 0], "b": "u", "c": "v"}), r"text in the columns \['b', 'c'\]"),
    "categories": (pd.DataFrame({"a": pd.Categorical(["u", "v"] * (N // 2)), "b": 1.0}), "text in the column 'a'"),
    "polars": (pl.DataFrame({"a": X[:, 0], "b": ["u", "v"] * (N // 2)}), "text in the column 'b'"),
    "array": (np.c_[X.astype(object), np.full(N, "u")], f"text in the column {D} "),
}


@pytest.mark.parametrize("name", TEXTS)
def test_columns_of_text_are_named(name):
    X_bad, words = TEXTS[name]
    for call in (
        lambda: SGDVariantClassifier().fit(X_bad, LABELS),
        lambda: SGDVariantRegressor().partial_fit(X_bad, TARGETS),
        lambda: diagnose(X_bad, LABELS),
    ):
        with pytest.raises(ValueError, match=f"X has {words}.*{NUMBER}.*encode it, as OneHotEncoder does"):
            call()
    X_good = pd.DataFrame(np.ones(X_bad.shape), columns=getattr(X_bad, "columns", None))
    X_good = X_good if hasattr(X_bad, "columns") else X_good.to_numpy()
    with pytest.raises(ValueError, match=f"X_val has {words}"):
        SGDVariantClassifier(early_stopping=True).fit(X_good, LABELS, X_val=X_bad, y_val=LABELS)


@pytest.mark.parametrize("model", [SGDVariantClassifier(), SGDVariantRegressor()])
def test_columns_that_do_not_match_have_a_line_each(model):
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(D)])
    fitted = model.fit(frame, LABELS)
    with pytest.raises(ValueError) as caught:
        fitted.predict(frame.drop(columns="x1"))
    assert str(caught.value).splitlines()[-2:] == [
        "- x1", "Give the columns that the model was fitted on, in their order.",
    ]  # fmt: skip


def test_too_few_rows_to_hold_some_out_are_said_in_sentences():
    with pytest.raises(
        ValueError, match=r"validation_fraction=0\.1 does not split .*[^.]\. Change validation_fraction"
    ):
        SGDVariantClassifier(early_stopping=True).fit(X[:5], [0, 1, 0, 1, 0])


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_a_schedule_in_the_place_of_a_solver_is_told_its_own(name):
    with pytest.raises(ValueError, match=f"solver='{name}' is not one of.*Did you mean learning_rate='{name}'"):
        SGDVariantClassifier(solver=name).fit(X, LABELS)


PREDICTED = {name: case for name, case in BAD_X.items() if "other number" not in name and "too large" not in name}
BAD_LABELS = {
    "None": (None, "y"),
    "text": ("abc", "is text"),
    "a number": (1, "1d"),
    "two columns": (np.c_[LABELS, 2 * LABELS], "columns"),
    "three dimensions": (LABELS[:, None, None], "dim 3"),
    "real": (TARGETS, "continuous"),
    "nan": (with_value(LABELS * 1.0, np.nan), "NaN"),
    "inf": (with_value(LABELS * 1.0, np.inf), "infinity"),
    "None among text": (with_value(np.array(["a", "b"], object)[LABELS], None), "None"),
    "numbers and text": (with_value(LABELS.astype(object), "x"), "label"),
    "bytes": (np.array([b"a", b"b"])[LABELS], "bytes"),
    "complex": (LABELS + 1j, "Complex data not supported"),
    "decimals": (np.array([decimal.Decimal(int(v)) for v in LABELS], object), "label"),
    "sets of labels": ({0, 1}, "1d"),
    "dict": ({0: 1}, "is a dict"),
    "generator": ((v for v in LABELS), "1d"),
    "sparse": (sp.csr_matrix(LABELS), "inconsistent"),
    "matrix": (np.atleast_2d(LABELS).view(np.matrix), "np.matrix is not supported"),
    "masked": (np.ma.array(LABELS, mask=np.arange(N) < 3), "masked"),
    "NA": (pd.Series([0, 1, None, 1] * (N // 4), dtype="Int64"), "NaN"),
    "null": (pl.Series([0, 1, None, 1] * (N // 4)), "NaN"),
    "short": (LABELS[:-1], "inconsistent numbers of samples"),
    "empty": ([], "inconsistent numbers of samples"),
    "one class": (np.zeros(N, int), "greater than one"),
}
BAD_TARGETS = {
    "None": (None, "y"),
    "text": ("abc", "is text"),
    "a number": (1.0, ""),
    "three dimensions": (TARGETS[:, None, None], "dim 3"),
    "nan": (with_value(TARGETS, np.nan), "NaN"),
    "inf": (with_value(TARGETS, np.inf), "infinity"),
    "labels": (np.array(["a", "b"])[LABELS], "holds text, such as 'b'"),
    "an object that is None": (with_value(TARGETS, None, object), "NaN"),
    "an object that is text": (with_value(TARGETS, "x", object), "holds text, such as 'x'"),
    "complex": (TARGETS + 1j, "Complex data not supported"),
    "times": (np.arange(N).astype("M8[s]"), "times"),
    "durations": (np.arange(N).astype("m8[s]"), "times"),
    "generator": ((v for v in TARGETS), ""),
    "set": ({1, 2}, ""),
    "sparse": (sp.csr_matrix(TARGETS[:, None]), "sparse matrix"),
    "matrix": (np.atleast_2d(TARGETS).view(np.matrix), "np.matrix is not supported"),
    "masked": (np.ma.array(TARGETS, mask=np.arange(N) < 3), "masked"),
    "NA": (pd.Series([0.5, 1.0, None, 2.0] * (N // 4), dtype="Float64"), "NaN"),
    "null": (pl.Series([0.5, 1.0, None, 2.0] * (N // 4)), "NaN"),
    "short": (TARGETS[:-1], "inconsistent numbers of samples"),
    "no targets": (np.empty((N, 0)), "0 feature"),
    "too large": (TARGETS * 1e200, "divide"),
    "integers of 300 digits": (np.array([10**300] * N, object), "divide"),
    "integers of 400 digits": (np.array([10**400] * N, object), "too large"),
}
ONES = np.ones(N)
BAD_WEIGHTS = {
    "text": ("abc", "type str"),
    "all zero": (np.zeros(N), "zero for all samples"),
    "zero": (0, "zero for all samples"),
    "negative": (-1.0, "Negative"),
    "nan": (np.nan, "nan"),
    "inf": (np.inf, "inf"),
    "short": (np.ones(N - 1), "one weight per row"),
    "column": (np.ones((N, 1)), "one weight per row"),
    "row": (np.ones((1, N)), "one weight per row"),
    "one negative": (with_value(ONES, -1), "Negative"),
    "one nan": (with_value(ONES, np.nan), "NaN"),
    "one inf": (with_value(ONES, np.inf), "infinity"),
    "too large": (np.full(N, 1e308), "overflows"),
    "integers of 400 digits": ([10**400] * N, "too large"),
    "texts": (np.array(["a"] * N), "type ndarray"),
    "objects of text": (with_value(ONES, "a", object), NUMBER),
    "objects of None": (with_value(ONES, None, object), "NaN"),
    "complex": (np.ones(N) + 0j, "complex128"),
    "dict": ({0: 1}, "type dict"),
    "set": ({1}, "type set"),
    "sparse": (sp.csr_matrix(np.ones(N)), "type csr_matrix"),
    "NA": (pd.Series([1, None] * (N // 2), dtype="Float64"), "NaN"),
    "null": (pl.Series([1.0, None] * (N // 2)), "NaN"),
    "times": (np.zeros(N, "M8[s]"), "datetime64"),
    "generator": ((1 for _ in LABELS), "type generator"),
    "function": (len, "type builtin"),
    "frame": (pd.DataFrame({"w": np.ones(N)}), "one weight per row"),
    "masked": (np.ma.array(np.ones(N), mask=np.arange(N) < 3), "masked"),
    "matrix": (np.ones((1, N)).view(np.matrix), "np.matrix is not supported"),
    "empty": ([], "one weight per row"),
}
BAD_STARTS = {
    "text": ("abc", "type str"),
    "a number": (1.0, "shape"),
    "nan": (np.nan, "nan"),
    "too many": ([1, 2, 3, 4], "shape"),
    "two rows": ([[1, 2, 3]] * 2, "shape"),
    "three dimensions": ([[[1, 2, 3]]], "shape"),
    "one nan": ([1, 2, np.nan], "NaN"),
    "one inf": ([1, 2, np.inf], "infinity"),
    "texts": (["a", "b", "c"], "type list"),
    "complex": ([1j, 2, 3], "type list"),
    "one None": (np.array([1, None, 3], object), "NaN"),
    "dict": ({0: 1}, "type dict"),
    "set": ({1, 2, 3}, "type set"),
    "sparse": (sp.csr_matrix([[1.0, 2, 3]]), "type csr_matrix"),
    "times": (np.zeros(3, "M8[s]"), "datetime64"),
    "generator": ((v for v in [1, 2, 3]), "type generator"),
    "function": (len, "type builtin"),
    "empty": ([], "shape"),
    "too far": ([1e300, 1.0, 1.0], "too far"),
    "an integer of 400 digits": ([10**400, 1, 1], "too large"),
    "masked": (np.ma.array([1.0, 2, 3], mask=[1, 0, 0]), "masked"),
}
BAD_CLASSES = {
    "None": (None, "first call"),
    "text": ("ab", "'ab'"),
    "a number": (3, "3"),
    "one": ([0], "greater than one"),
    "others": (["a", "b"], "'a'"),
    "mixed": ([0, "a"], "one"),
    "nan": ([0, np.nan], "nan"),
    "nested": ([[0, 1]], "[[0, 1]]"),
    "None among numbers": ([0, None], "None"),
    "fewer": ([1], "greater than one"),
    "empty": ([], "greater than one"),
    "complex": ([0, 1j], "1"),
    "times": (np.array(["2020", "2021"], "M8[Y]"), "2020"),
    "function": (len, "function"),
}


def refused(table, argument, call, also=()):
    """A case for each entry of a table."""
    return [pytest.param(call, value, (argument, words, *also), id=name) for name, (value, words) in table.items()]


def check_refused(make, fitted, call, value, words):
    """The call is refused in a sentence, and the model stays as it was."""
    model = make()
    fitted(model)
    before = learned(model)
    assert_sentence(attempt(lambda: call(model, value)), *words)
    assert learned(model) == before


def is_fitted(model):
    attempt(lambda: model.fit(X, LABELS if isinstance(model, SGDVariantClassifier) else TARGETS))


def streams(model):
    if isinstance(model, SGDVariantClassifier):
        model.partial_fit(X, LABELS, classes=[0, 1])
    else:
        model.partial_fit(X, TARGETS)


STOPPED = {"early_stopping": True, "solver": "adam"}
OF_CLASSIFIER = [
    *refused(BAD_X, "X", lambda m, v: m.fit(v, LABELS)),
    *refused(PREDICTED, "X", lambda m, v: m.predict(v)),
    *refused(PREDICTED, "X", lambda m, v: m.predict_proba(v)),
    *refused(PREDICTED, "X", lambda m, v: m.decision_function(v)),
    *refused(BAD_LABELS, "y", lambda m, v: m.fit(X, v)),
    *refused(BAD_WEIGHTS, "sample_weight", lambda m, v: m.fit(X, LABELS, sample_weight=v)),
    *refused(BAD_STARTS, "coef_init", lambda m, v: m.fit(X, LABELS, coef_init=v)),
    *refused(
        {name: case for name, case in BAD_STARTS.items() if name != "two rows"},
        "intercept_init",
        lambda m, v: m.fit(X, np.arange(N) % 3, intercept_init=v),
    ),
]
OF_STREAM = [
    *refused({n: c for n, c in BAD_X.items() if "of" not in n}, "X", lambda m, v: m.partial_fit(v, LABELS)),
    *refused({n: c for n, c in BAD_LABELS.items() if n != "one class"}, "y", lambda m, v: m.partial_fit(X, v)),
    *refused(
        {n: c for n, c in BAD_WEIGHTS.items() if "zero" not in n},
        "sample_weight",
        lambda m, v: m.partial_fit(X, LABELS, sample_weight=v),
    ),
]
OF_REGRESSOR = [
    *refused(BAD_TARGETS, "y", lambda m, v: m.fit(X, v)),
    *refused(BAD_TARGETS, "y", lambda m, v: m.partial_fit(X, v)),
    *refused({"other targets": (np.c_[TARGETS, TARGETS], "2 targets")}, "y", lambda m, v: m.partial_fit(X, v)),
]
OF_VALIDATION = [
    *refused(
        {n: c for n, c in BAD_X.items() if n != "None" and "too large" not in n},
        "X_val",
        lambda m, v: m.fit(X, LABELS, X_val=v, y_val=LABELS),
    ),
    *refused(
        {n: c for n, c in BAD_LABELS.items() if n not in ("None", "one class")},
        "y_val",
        lambda m, v: m.fit(X, LABELS, X_val=X, y_val=v),
    ),
    *refused(
        BAD_WEIGHTS,
        "sample_weight_val",
        lambda m, v: m.fit(X, LABELS, X_val=X, y_val=LABELS, sample_weight_val=v),
    ),
    *refused({"alone": (X, "together")}, "X_val and y_val", lambda m, v: m.fit(X, LABELS, X_val=v)),
    *refused({"alone": (LABELS, "together")}, "X_val and y_val", lambda m, v: m.fit(X, LABELS, y_val=v)),
    *refused({"alone": (ONES, "together")}, "sample_weight_val", lambda m, v: m.fit(X, LABELS, sample_weight_val=v)),
    *refused(
        {"other columns": (X[:, :2], "2 features")}, "X_val", lambda m, v: m.fit(X, LABELS, X_val=v, y_val=LABELS)
    ),
    *refused(
        {"unknown labels": (LABELS.astype(str), "none of the classes")},
        "y_val",
        lambda m, v: m.fit(X, LABELS, X_val=X, y_val=v),
    ),
]
of_validated_regressor = refused(
    {n: c for n, c in BAD_TARGETS.items() if n != "None"}, "y_val", lambda m, v: m.fit(X, TARGETS, X_val=X, y_val=v)
)


def renamed(words):
    """What is said of validation rows, whose lengths are called by both names."""
    return tuple("_val" if word == "y" else word for word in words)


@pytest.mark.parametrize(("call", "value", "words"), OF_CLASSIFIER)
def test_what_a_fit_or_a_prediction_cannot_take_is_refused(call, value, words):
    check_refused(classifier, is_fitted, call, value, words)


@pytest.mark.parametrize(("call", "value", "words"), OF_STREAM)
def test_what_a_stream_cannot_take_is_refused(call, value, words):
    check_refused(classifier, streams, call, value, words)


@pytest.mark.parametrize(("call", "value", "words"), OF_REGRESSOR)
def test_what_are_no_targets_is_refused(call, value, words):
    check_refused(regressor, streams, call, value, words)


@pytest.mark.parametrize(("call", "value", "words"), OF_VALIDATION)
def test_what_are_no_validation_rows_is_refused_by_their_names(call, value, words):
    check_refused(lambda: classifier(**STOPPED), is_fitted, call, value, renamed(words))


@pytest.mark.parametrize(("call", "value", "words"), of_validated_regressor)
def test_what_are_no_validation_targets_is_refused_by_their_names(call, value, words):
    check_refused(lambda: regressor(**STOPPED), is_fitted, call, value, renamed(words))


@pytest.mark.parametrize(("value", "words"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_what_are_no_classes_is_refused(value, words):
    model = classifier()
    assert_sentence(attempt(lambda: model.partial_fit(X, LABELS, classes=value)), "class", words)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    "weights",
    [{0: -1}, {0: np.nan, 1: 1}, {5: 1}, {"a": 1}, {0: "x"}, {0: None}, {0: 0, 1: 0}, {0: True}, {0: [1]}, {None: 1},
     {0: 1e308, 1: 1e308}, [1, 2], "balance"],
    ids=str,
)  # fmt: skip
def test_class_weights_that_are_none_are_refused(weights):
    for fit in (lambda m: m.fit(X, LABELS), lambda m: m.partial_fit(X, LABELS, classes=[0, 1])):
        model = classifier(class_weight=weights)
        assert_sentence(attempt(lambda m=model, f=fit: f(m)), "class_weight")
        assert not hasattr(model, "coef_")


@pytest.mark.parametrize("name", [name for name in BAD_X if name != "frame of mixed names"])
def test_diagnose_refuses_the_same_rows(name):
    value, words = BAD_X[name]
    assert_sentence(attempt(lambda: diagnose(value, LABELS)), "X", words)


@pytest.mark.parametrize(("value", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_diagnose_refuses_the_same_weights(value, words):
    assert_sentence(attempt(lambda: diagnose(X, LABELS, sample_weight=value)), "sample_weight")


@pytest.mark.parametrize("fraction", [1e-9, 0.999, 1 - 1e-12])
def test_a_share_that_does_not_split_is_refused(fraction):
    for rows in (slice(None), slice(6)):
        model = classifier(**STOPPED, validation_fraction=fraction)
        result = attempt(lambda m=model, r=rows: m.fit(X[r], LABELS[r]))
        assert_sentence(result, "validation_fraction", "X_val")


def test_a_warm_start_goes_on_with_the_same_columns_only():
    frame = pd.DataFrame(X, columns=COLUMNS)
    model = classifier(warm_start=True).fit(frame, LABELS)
    before = learned(model)
    for other, words in ((frame[["b", "a", "c"]], "columns"), (frame[["a", "b"]], "columns"), (X[:, :2], "shape")):
        assert_sentence(attempt(lambda rows=other: model.fit(rows, LABELS)), "warm_start=True", words)
        assert learned(model) == before
    assert_sentence(attempt(lambda: model.fit(frame, np.arange(N) % 3)), "coef_ of the fit before", "warm_start=True")


# ---------------------------------------------------------------------- what is as good as an array

CONTAINERS = {
    "list": X.tolist(), "tuple": tuple(map(tuple, X)), "text of numbers": X.astype(str), "objects": X.astype(object),
    "big-endian": X.astype(">f8"), "fortran": np.asfortranarray(X), "every other": np.repeat(X, 2, axis=1)[:, ::2],
    "turned round": X[::-1].copy()[::-1], "longdouble": X.astype(np.longdouble), "masked nowhere": np.ma.array(X),
    "frame": pd.DataFrame(X), "nullable frame": pd.DataFrame(X, columns=COLUMNS).convert_dtypes(),
    "sparse frame": pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix(X)), "polars": pl.DataFrame(X, schema=COLUMNS),
    **{kind: getattr(sp, f"{kind}_matrix")(X) for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")},
    **{f"{kind} array": getattr(sp, f"{kind}_array")(X) for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")},
}  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_of_numbers_is_the_array(container):
    plain = classifier(max_iter=50).fit(X, LABELS)
    model = attempt(lambda: classifier(max_iter=50).fit(container, LABELS))
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-9)
    np.testing.assert_allclose(attempt(lambda: model.predict_proba(container)), plain.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("contained", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("solver", ["auto", "sgd", "adam"])
def test_single_precision_in_another_order_of_bytes_is_single_precision(solver, contained):
    other = contained(X.astype(np.float32))
    if sp.issparse(other):
        other.data = other.data.astype(">f4")
    else:
        other = other.astype(">f4")
    models = [
        classifier(solver=solver, tol=None).fit(rows, LABELS) for rows in (contained(X.astype(np.float32)), other)
    ]
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)
    np.testing.assert_array_equal(*(model.predict_proba(other) for model in models))


LABEL_CONTAINERS = {
    "list": LABELS.tolist(), "tuple": tuple(LABELS), "series": pd.Series(LABELS), "polars": pl.Series(LABELS),
    "nullable": pd.Series(LABELS, dtype="Int64"), "category": pd.Series(LABELS).astype("category"),
    "bool": LABELS > 0, "float": LABELS * 1.0, "uint8": LABELS.astype(np.uint8),
    "text": np.array(["a", "b"])[LABELS], "objects of text": np.array(["a", "b"], object)[LABELS],
    "times": np.array(["2020-01-01", "2020-01-02"], "M8[D]")[LABELS], "large": LABELS * 2**62,
}  # fmt: skip


@pytest.mark.parametrize("labels", LABEL_CONTAINERS.values(), ids=LABEL_CONTAINERS)
def test_labels_of_any_kind_are_labels(labels):
    plain = classifier(max_iter=50).fit(X, LABELS)
    model = attempt(lambda: classifier(max_iter=50).fit(X, labels))
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert len(model.classes_) == 2
    assert attempt(lambda: model.score(X, labels)) == plain.score(X, LABELS)


WEIGHT_CONTAINERS = {
    "a number": 2, "True": True, "list": [1] * N, "tuple": (1.0,) * N, "series": pd.Series(ONES),
    "polars": pl.Series(ONES), "float16": ONES.astype(np.float16), "objects": ONES.astype(object), "bool": ONES > 0,
    "tiny": ONES * 1e-320, "huge": ONES * 1e300,
}  # fmt: skip


@pytest.mark.parametrize("weight", WEIGHT_CONTAINERS.values(), ids=WEIGHT_CONTAINERS)
def test_equal_weights_of_any_kind_and_size_are_none(weight):
    plain, model = (attempt(lambda w=w: classifier().fit(X, LABELS, sample_weight=w)) for w in (None, weight))
    np.testing.assert_array_equal(model.coef_, plain.coef_)


def test_tables_of_pyarrow_are_tables():
    arrow = pytest.importorskip("pyarrow")
    frame, table = pd.DataFrame(X, columns=COLUMNS), arrow.table(dict(zip(COLUMNS, X.T, strict=True)))
    labels, ones = arrow.chunked_array([LABELS]), arrow.array(ONES)
    for make in (classifier, lambda: BatchedGridSearchCV(classifier(), {"alpha": [1e-3, 1e-1]}, cv=2)):
        plain = make().fit(frame, LABELS)
        model = attempt(lambda make=make: make().fit(table, labels, sample_weight=ones))
        np.testing.assert_allclose(model.predict_proba(table), plain.predict_proba(frame), rtol=1e-9)
        assert list(model.feature_names_in_) == COLUMNS


def test_a_score_takes_a_number_as_weight():
    model = regressor().fit(X, TARGETS)
    assert attempt(lambda: model.score(X, TARGETS, sample_weight=2)) == model.score(X, TARGETS)


def test_other_columns_than_those_of_the_fit_are_answered_with_what_to_give():
    frame = pd.DataFrame(X, columns=COLUMNS)
    model = classifier().fit(frame, LABELS)
    for other in (frame[["b", "a", "c"]], frame[["a", "b"]]):
        assert_sentence(
            attempt(lambda rows=other: model.predict(rows)), "Give the columns that the model was fitted on"
        )


def test_the_table_is_long():
    n = len(JUNK) * (len(PARAMETERS) + len(COMPONENTS) + len(SEARCHES) + len(DIAGNOSED))
    n += sum(map(len, (OF_CLASSIFIER, OF_STREAM, OF_REGRESSOR, OF_VALIDATION, CONTAINERS)))
    assert n > 250


def test_what_a_stream_cannot_go_on_from_is_named():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["a", "b", "c"])
    y = X.sum(axis=1).to_numpy()
    model = SGDVariantRegressor().partial_fit(X, y)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=r"^X is not accepted: The feature names should match"):
        model.partial_fit(X[["c", "b", "a"]], y)
    np.testing.assert_array_equal(model.coef_, before)
    model.coef_ = model.coef_[:2]
    with pytest.raises(ValueError, match=r"^coef_ has the shape \(2,\) .* 3 features: set arrays"):
        model.partial_fit(X, y)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"penalty": penalties.GroupLasso([[0, 1], [2]])},
            r"penalty__groups=.* is not accepted: give the group of",
        ),
        ({"positive": None}, r"positive=None is not accepted: .* Give True or False for each of the 3"),
        ({"penalty_factor": 2.0}, r"penalty_factor=2\.0 is not accepted: .* Give a number for each of the 3"),
    ],
)
def test_what_is_given_by_feature_is_named(params, match):
    X = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(ValueError, match=match):
        SGDVariantRegressor(**params).fit(X, X.sum(axis=1))


# ---------------------------------------------------------------------- everything else that is public


def square(a, b):
    return a**2 + b**2


@functools.cache
def public(path):
    """What can be called beside estimators, components and searches: how, and with what that is right."""
    raced, stream = classifier(solver="adam", eta0="auto").fit(X, LABELS), classifier()
    for start in range(0, N, 10):
        stream.partial_fit(X[start : start + 10], LABELS[start : start + 10], [0, 1])
    grid = {"alpha": [1e-3, 1e-1], "l1_ratio": [0.1, 0.5]}
    search = BatchedGridSearchCV(classifier(penalty="elasticnet"), grid, cv=2).fit(X, LABELS)
    frame = pd.DataFrame(X, columns=COLUMNS).assign(y=LABELS, s=1.0)
    frame.to_parquet(path)
    rows = {"X": X, "y": LABELS, "sample_weight": ONES}
    columns = {"paths": path, "target": "y", "features": COLUMNS, "sample_weight": "s"}
    walk = {"gradient": lambda w: 2 * w, "start": (1.0, 1.0), "eta": 0.1, "n_steps": 5}
    solver = {"solvers": {"sgd": solvers.SGD()}, "objective": square}
    compared = {"estimator": classifier(max_iter=3), "X": X, "y": LABELS, "solvers": ["sgd", "adam"]}
    names = {"row_name": "alpha", "column_name": "l1_ratio"}
    return {
        "ArrayBatches": (lambda **given: list(batches.ArrayBatches(**given)), rows),
        "ParquetBatches": (lambda **given: list(batches.ParquetBatches(**given)), columns),
        "SGDVariantClassifier.fit_batches": (classifier().fit_batches, {"batches": batches.ArrayBatches(X, LABELS)}),
        "SGDVariantRegressor.fit_batches": (regressor().fit_batches, {"batches": batches.ArrayBatches(X, TARGETS)}),
        "CoefficientsDisplay.from_estimator": (displays.CoefficientsDisplay.from_estimator, {"estimator": raced}),
        "CoefficientsDisplay.plot": (displays.CoefficientsDisplay.from_estimator(raced).plot, {}),
        "DiagnosisDisplay.from_diagnosis": (
            displays.DiagnosisDisplay.from_diagnosis, {"diagnosis": diagnose(X, LABELS)},
        ),
        "DiagnosisDisplay.plot": (displays.DiagnosisDisplay.from_diagnosis(diagnose(X, LABELS)).plot, {}),
        "LossCurveDisplay.from_estimator": (displays.LossCurveDisplay.from_estimator, {"estimator": raced}),
        "LossCurveDisplay.from_estimators": (displays.LossCurveDisplay.from_estimators, {"estimators": [raced]}),
        "LossCurveDisplay.plot": (displays.LossCurveDisplay.from_estimator(raced).plot, {}),
        "ProgressDisplay.from_estimator": (displays.ProgressDisplay.from_estimator, {"estimator": stream}),
        "ProgressDisplay.from_estimators": (displays.ProgressDisplay.from_estimators, {"estimators": [stream]}),
        "ProgressDisplay.plot": (displays.ProgressDisplay.from_estimator(stream).plot, {}),
        "RaceDisplay.from_estimator": (displays.RaceDisplay.from_estimator, {"estimator": raced}),
        "RaceDisplay.plot": (displays.RaceDisplay.from_estimator(raced).plot, {}),
        "SearchCurveDisplay.from_search": (displays.SearchCurveDisplay.from_search, {"search": search}),
        "SearchCurveDisplay.from_cv_results": (
            displays.SearchCurveDisplay.from_cv_results, {"cv_results": search.cv_results_},
        ),
        "SearchCurveDisplay.plot": (displays.SearchCurveDisplay.from_search(search).plot, {}),
        "SearchHeatmapDisplay.from_search": (displays.SearchHeatmapDisplay.from_search, {"search": search} | names),
        "SearchHeatmapDisplay.from_cv_results": (
            displays.SearchHeatmapDisplay.from_cv_results, {"cv_results": search.cv_results_} | names,
        ),
        "SearchHeatmapDisplay.plot": (displays.SearchHeatmapDisplay.from_search(search).plot, {}),
        "SolverComparisonDisplay.from_estimator": (displays.SolverComparisonDisplay.from_estimator, compared),
        "SolverComparisonDisplay.plot": (displays.SolverComparisonDisplay.from_estimator(**compared).plot, {}),
        "TrajectoryDisplay.from_objective": (displays.TrajectoryDisplay.from_objective, walk | solver),
        "TrajectoryDisplay.walk": (displays.TrajectoryDisplay.walk, walk | {"solver": solvers.SGD()}),
        "TrajectoryDisplay.plot": (displays.TrajectoryDisplay.from_objective(**walk, **solver).plot, {}),
    }  # fmt: skip


#: Arguments that are called or opened, and say themselves what is wrong.
FREE = {"self", "transform", "checkpoint", "objective", "gradient"}
#: The junk that is none, by argument, or by who takes it.
USED = {
    "X": set(), "ax": {"None"}, "batches": set(), "classes": {"None"}, "cmap": {"None"}, "colorbar": {"True"},
    "column_name": {"None"}, "cv_results": set(), "diagnosis": set(), "dtype": {"None", "Series", "sparse"},
    "estimator": set(), "estimators": set(), "eta": {"1", "1.5"}, "features": {"None", "{'a': 1}"},
    "fit_params": {"None", "{}"},
    "im_kw": {"None", "{}"}, "include_values": {"None", "True"}, "levels": {"1"}, "line_by": {"None"},
    "log": {"True"}, "margin": {"0", "1", "1.5"}, "max_passes": {"None", "1"}, "metric": {"None"},
    "minimum": {"None", "(1, 2)", "array"}, "n_features": {"1"}, "n_steps": {"1"}, "name": {"None", "text", "no text"},
    "names": {"None"}, "negate_score": {"True"}, "outputs": {"None"}, "panels": {"True"}, "param_name": {"None"},
    "paths": set(),
    "plot_kw": {"None", "{}"}, "row_name": {"None"}, "rows": {"1"}, "sample_weight": {"None"},
    "sample_weight_val": {"None"}, "score": {"True"}, "score_name": {"None", "text", "no text"}, "score_type": set(),
    "search": set(), "solver": set(), "solvers": set(), "start": {"(1, 2)", "array"}, "target": set(),
    "validation": {"True"}, "values_format": {"no text"}, "x": set(), "X_test": {"None"}, "X_val": {"None"}, "y": set(),
    "y_test": {"None"}, "y_val": {"None"},
    ("CoefficientsDisplay.from_estimator", "X"): {"None"},
    ("CoefficientsDisplay.from_estimator", "names"): {"None", "range"},
    ("SolverComparisonDisplay.from_estimator", "solvers"): {"None"},
}  # fmt: skip
#: Files that are not there, and a function that makes no batches.
ELSEWHERE = {("paths", "text"), ("paths", "{'a': 1}"), ("batches", "function")}
#: Python's own words, which name what the user wrote; and those of one batch or one of several.
ALSO_NAMED = {
    "fit_params": "keyword argument 'a'", "plot_kw": "keyword argument 'a'", "batches": "Batch 0", "names": "name",
    "estimators": "estimator", "solvers": "solver",
}  # fmt: skip


def called(name):
    """A public class, or a method of one."""
    owner, _, method = name.partition(".")
    found = next(getattr(module, owner) for module in (estimators, batches, displays) if hasattr(module, owner))
    return getattr(found, method) if method else found


def arguments(name):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in inspect.signature(called(name)).parameters.values() if p.kind not in kinds]


CALLED = {
    "SGDVariantClassifier.fit_batches", "SGDVariantRegressor.fit_batches", *batches.__all__,
    *(
        f"{name}.{method}" for name in displays.__all__ for method, _ in inspect.getmembers(getattr(displays, name))
        if not method.startswith("_") and callable(getattr(getattr(displays, name), method))
    ),
}  # fmt: skip
SURFACE = [
    (name, argument) for name in sorted(CALLED) for argument in arguments(name) if argument not in ("self", *FREE)
]


def test_everything_that_is_public_is_in_the_table(right_calls):
    assert set(right_calls) == CALLED
    assert {argument for _, argument in SURFACE} == {key for key in USED if isinstance(key, str)}


@pytest.fixture(scope="module")
def right_calls(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return public(str(tmp_path_factory.mktemp("rows") / "rows.parquet"))


@pytest.mark.parametrize(("name", "argument"), SURFACE, ids=[f"{name}({argument})" for name, argument in SURFACE])
def test_every_value_of_every_argument_of_anything_public_is_refused_or_right(right_calls, name, argument):
    call, right = right_calls[name]
    used = USED.get((name, argument), USED[argument])
    for label, value in JUNK.items():
        if (argument, label) in ELSEWHERE:
            continue
        given = {**right, argument: value}
        result = attempt(lambda given=given: call(**given), (*DOCUMENTED, FutureWarning, UserWarning))
        plt.close("all")
        if isinstance(result, Exception):
            assert label not in used, (label, str(result))
            assert argument in str(result) or ALSO_NAMED.get(argument, argument) in str(result), str(result)
        else:
            assert label in used, label


# ---------------------------------------------------------------------- what the sentences say

TEXT = np.array(["no", "yes"], object)[LABELS]
SAID = {
    "a missing target": (
        lambda: SGDVariantRegressor().fit(X, with_value(TARGETS, np.nan)),
        "Input y contains NaN (first in row 5, counted from 0). Give a finite number",
    ),
    "a missing target of several": (
        lambda: SGDVariantRegressor().fit(X, with_value(np.c_[TARGETS, TARGETS], np.inf)),
        "(first in the column 1, row 5, counted from 0)",
    ),
    "a missing label": (lambda: SGDVariantClassifier().fit(X, with_value(TEXT, np.nan)), "(first in row 5, counted"),
    "no label": (
        lambda: SGDVariantClassifier().fit(X, with_value(TEXT, None)),
        "the label None (row 5, counted from 0)",
    ),
    "a label of pandas that is missing": (
        lambda: SGDVariantClassifier().fit(X, pd.Series(TEXT, dtype="string").mask(np.arange(N) == 5)),
        "Input y contains NaN (first in row 5, counted from 0).",
    ),
    "a missing target of rows to score": (
        lambda: SGDVariantRegressor().fit(X, TARGETS).score(X, with_value(TARGETS, np.nan)),
        "Input contains NaN (first in row 5, counted from 0)",
    ),
    "labels of rows to score": (
        lambda: SGDVariantClassifier().fit(X, LABELS).score(X, TEXT),
        "y is not accepted: ",  # and what this scikit-learn says
    ),
    "other rows to score": (
        lambda: SGDVariantClassifier().fit(X, LABELS).score(X, LABELS[1:]),
        "X and y are not accepted: Found input variables with inconsistent numbers of samples",
    ),
    "a number of X for diagnose": (
        lambda: diagnose(with_value(X, np.nan), LABELS),
        "(first in the column 1, row 5, counted from 0): drop or impute them first.",
    ),
    "weights as the third argument of fit": (
        lambda: SGDVariantClassifier().fit(X, LABELS, ONES),
        "its shape is (40,), and must be (1, 3). Weights of rows are passed by name, as sample_weight=...",
    ),
    "weights as the third argument of partial_fit": (
        lambda: SGDVariantClassifier().partial_fit(X, LABELS, ONES),
        "holds the label 1.0 alone: pass every label in classes, and weights of rows by name, as sample_weight=...",
    ),
    "weights of classes": (
        lambda: SGDVariantClassifier().fit(X, LABELS, sample_weight="balanced"),
        "Weights of classes are a parameter of the classifier, class_weight='balanced'.",
    ),
    "a label that a generator of batches was not told of": (
        lambda: SGDVariantClassifier().fit_batches(iter([(X, LABELS), (X, LABELS + 1)]), classes=[0, 1]),
        "Batch 1 (counted from 0) is not accepted: y holds the label 2, which is not among classes=[0, 1]: add it.",
    ),
    "levels in lists": (
        lambda: SGDVariantRegressor(loss=losses.Quantile([[0.1], [0.9]])).fit(X, TARGETS),
        "loss__quantile=[[0.1], [0.9]] is not accepted: loss__quantile must be a number in (0, 1) or a list",
    ),
    "levels as an array": (
        lambda: SGDVariantRegressor(loss=losses.Quantile(np.array([0.1, 0.9]))).fit(X, TARGETS),
        "give a list for several levels of one target, as Quantile([0.1, 0.9]).",
    ),
    "a margin too large": (
        lambda: SGDVariantClassifier(loss=losses.Hinge(threshold=1e308)).fit(X, LABELS),
        "loss__threshold=1e+308 is not accepted: loss__threshold must be a number in [0, 1e+100].",
    ),
    "positive": (
        lambda: SGDVariantRegressor(positive=[...]).fit(X, TARGETS),
        "positive=[Ellipsis] is not accepted: it holds what is not True or False. Give True or False for each of the 3",
    ),
    "a strength as the penalty": (
        lambda: SGDVariantClassifier(penalty=0.1).fit(X, LABELS),
        "A number is the strength of the penalty: pass alpha=0.1.",
    ),
    "a search without targets": (
        lambda: BatchedGridSearchCV(make_pipeline(SGDVariantClassifier()), {}).fit(X),
        "y=None is not accepted, as SGDVariantClassifier learns targets: give one for each row, as fit(X, y).",
    ),
    "folds of other rows": (
        lambda: BatchedGridSearchCV(SGDVariantClassifier(), {}, cv=[(np.arange(20), np.arange(20, 41))]).fit(X, LABELS),
        "is not accepted: a fold has the row 40, counted from 0, and X has 40 rows. Draw the folds of these rows.",
    ),
    "a search without groups": (
        lambda: BatchedGridSearchCV(SGDVariantClassifier(), {}, cv=GroupKFold(2)).fit(X, LABELS),
        "A splitter that needs groups is told them by fit, as groups=..., one for each row.",
    ),
}


@pytest.mark.parametrize(("call", "words"), SAID.values(), ids=SAID)
def test_a_sentence_says_which_argument_what_and_the_remedy(call, words):
    error = attempt(call)
    assert_sentence(error, words)

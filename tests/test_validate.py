"""From what the user gave to rows: nothing is accepted that should not be, and no estimator is touched."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import get_tags

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.tasks import Binary
from skvariants._data.validate import Given, Header, canonical, prepare, row_weights

N = 40


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def X(rng):
    return rng.standard_normal((N, 3))


def header(estimator=None, *known):
    estimator = SGDVariantClassifier() if estimator is None else estimator
    return Header.of(type(estimator).__name__, get_tags(estimator), *known)


def prepared(estimator, *given, task=None, **named):
    return prepare(
        estimator.__skvariants_spec__(), header(estimator), Given(*given, **named), task, streaming=task is not None
    )


# ------------------------------------------------------------------ names and numbers of features


def test_a_header_learns_names_and_numbers_and_the_estimator_stays_as_it_is(X):
    estimator = SGDVariantClassifier()
    before = dict(estimator.__dict__)
    data = prepared(estimator, pd.DataFrame(X, columns=["a", "b", "c"]), np.arange(N) % 2)
    assert data.header.n_features == 3
    assert_array_equal(data.header.feature_names, ["a", "b", "c"])
    assert estimator.__dict__ == before


def test_a_header_that_knows_nothing_says_so(X):
    assert (header().n_features, header().feature_names) == (None, None)
    plain = header()
    plain.checked(X, np.arange(N) % 2, True)
    assert (plain.n_features, plain.feature_names) == (3, None)


def test_what_is_known_of_the_features_is_checked_in_the_estimators_name(X):
    known = header(SGDVariantRegressor(), 4)
    with pytest.raises(ValueError, match="X has 3 features, but SGDVariantRegressor is expecting 4"):
        known.checked(X, np.ones(N), False)
    named = header(SGDVariantRegressor(), 3, np.array(["a", "b", "z"], dtype=object))
    with pytest.raises(ValueError, match="feature names should match"):
        named.checked(pd.DataFrame(X, columns=["a", "b", "c"]), np.ones(N), False)


def test_features_keep_single_precision_and_anything_else_becomes_double(X):
    for dtype, expected in ((np.float32, np.float32), (np.float64, np.float64), (np.int8, np.float64)):
        got, _ = header().checked(X.astype(dtype), np.arange(N) % 2, True)
        assert got.dtype == expected
    got, _ = header().checked(sp.coo_matrix(X), np.arange(N) % 2, True)
    assert got.format == "csr"


# ------------------------------------------------------------------ weights


@pytest.mark.parametrize("kind", ["polars", "arrow", "nullable", "arrow in pandas"])
def test_tables_of_single_precision_are_calculated_in_it(X, kind):
    frame, y = pd.DataFrame(X.astype(np.float32), columns=list("abc")), np.arange(N) % 2
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")

    def typed(frame, names):
        return frame.astype({name: names[frame[name].dtype == np.float64] for name in frame})

    make = {
        "polars": lambda frame: pl.DataFrame({name: frame[name].to_numpy() for name in frame}),
        "arrow": lambda frame: pa.table({name: frame[name].to_numpy() for name in frame}),
        "nullable": lambda frame: typed(frame, ("Float32", "Float64")),
        "arrow in pandas": lambda frame: typed(frame, ("float[pyarrow]", "double[pyarrow]")),
    }[kind]
    model, same = SGDVariantClassifier(max_iter=5, tol=None), SGDVariantClassifier(max_iter=5, tol=None)
    assert model.fit(make(frame), y).coef_.dtype == np.float32
    assert_array_equal(model.coef_, same.fit(frame, y).coef_)
    assert_array_equal(model.decision_function(make(frame)), same.decision_function(frame))
    # one column of doubles, and nothing is rounded
    assert model.fit(make(frame.astype({"b": np.float64})), y).coef_.dtype == np.float64


def test_weights_are_one_a_row():
    assert row_weights(None, 3) is None
    assert_array_equal(row_weights(2, 3), [2.0, 2.0, 2.0])
    assert_array_equal(row_weights([0, 1, 2], 3), [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        (np.ones(4), r"sample_weight\.shape == \(4,\), expected \(3,\): one weight per row\."),
        (np.ones((3, 1)), r"sample_weight\.shape == \(3, 1\), expected \(3,\)"),
        ([1.0, -1.0, 1.0], r"Negative values in data passed to `sample_weight`: weights must be zero or positive\."),
        ([1.0, np.nan, 1.0], "sample_weight contains NaN"),
        ([1.0, np.inf, 1.0], "sample_weight contains infinity"),
        (-1.0, "Negative values in data passed to `sample_weight`"),
    ],
)
def test_what_is_no_weight_is_refused_in_a_sentence(weight, sentence):
    with pytest.raises(ValueError, match=sentence):
        row_weights(weight, 3)
    with pytest.raises(ValueError, match=sentence.replace("sample_weight", "sample_weight_val")):
        row_weights(weight, 3, "sample_weight_val")


def test_rows_of_weight_zero_are_gone_but_their_class_stays(X, rng):
    y, weight = np.arange(N) % 3, rng.random(N)
    weight[y == 2] = 0
    data = prepared(SGDVariantClassifier(), X, y, weight)
    used = y != 2
    assert_array_equal(data.task.classes, [0, 1, 2])
    assert_array_equal(data.rows.X, X[used])
    assert_array_equal(data.y, y[used])
    assert_allclose(data.rows.weight, weight[used] / weight[used].mean())
    assert data.total_weight == pytest.approx(weight.sum())


def test_equal_weights_are_none_and_their_sum_is_kept(X):
    data = prepared(SGDVariantClassifier(), X, np.arange(N) % 2, np.full(N, 2.5))
    assert data.rows.weight is None
    assert data.total_weight == 2.5 * N
    assert prepared(SGDVariantClassifier(), X, np.arange(N) % 2).total_weight == N


def test_weights_have_the_precision_of_the_features(X, rng):
    data = prepared(SGDVariantClassifier(), X.astype(np.float32), np.arange(N) % 2, rng.random(N))
    assert data.rows.weight.dtype == data.rows.y.dtype == np.float32


def test_class_weights_multiply_weights_and_a_class_of_none_is_absent(X, rng):
    y, weight = np.arange(N) % 3, rng.random(N)
    data = prepared(SGDVariantClassifier(class_weight={0: 2.0, 1: 0.5, 2: 0.0}), X, y, weight)
    used, product = y != 2, weight * np.array([2.0, 0.5, 0.0])[y]
    assert_array_equal(data.rows.X, X[used])
    assert_allclose(data.rows.weight, product[used] / product[used].mean())
    assert data.total_weight == pytest.approx(product.sum())
    assert data.task.n_columns == 3


@pytest.mark.parametrize(
    ("params", "weight", "sentence"),
    [
        ({}, np.zeros(N), "sample_weight is zero for all samples: at least one weight must be positive"),
        (
            {"class_weight": {0: 0.0, 1: 0.0}},
            None,
            "class_weight={0: 0.0, 1: 0.0} is zero for all classes: at least one class",
        ),
    ],
)
def test_weights_that_leave_nothing_are_refused(X, params, weight, sentence):
    with pytest.raises(ValueError, match=sentence):
        prepared(SGDVariantClassifier(**params), X, np.arange(N) % 2, weight)


# ------------------------------------------------------------------ validation rows


@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_holds_a_share_of_each_class_out(X, rng, weighted):
    y, weight = np.repeat([0, 1], [30, 10]), rng.random(N) + 0.1 if weighted else None
    model = SGDVariantClassifier(early_stopping=True, validation_fraction=0.2, random_state=3)
    data, again = prepared(model, X, y, weight), prepared(model, X, y, weight)
    held_out = data.validation
    assert_array_equal(np.bincount(held_out.y), [6, 2])
    assert_array_equal(np.bincount(data.y), [24, 8])
    together = np.concatenate([data.rows.X, held_out.X])
    assert_array_equal(together[np.argsort(together[:, 0])], X[np.argsort(X[:, 0])])
    assert_array_equal(again.validation.X, held_out.X)
    if weighted:
        rows = [int(np.flatnonzero(X[:, 0] == x)[0]) for x in held_out.X[:, 0]]
        assert_array_equal(held_out.weight, weight[rows])
    else:
        assert held_out.weight is None
    other = prepared(model.set_params(random_state=4), X, y, weight)
    assert not np.array_equal(other.validation.X, held_out.X)


def test_real_targets_are_held_out_too_in_their_own_units(X, rng):
    y = rng.standard_normal(N)
    data = prepared(SGDVariantRegressor(early_stopping=True, validation_fraction=0.25), X, y)
    assert data.validation.y.shape == (10, 1)
    assert data.rows.n == 30


def test_a_split_that_leaves_nothing_is_refused_with_a_remedy(X):
    model = SGDVariantRegressor(early_stopping=True, validation_fraction=0.5)
    with pytest.raises(ValueError):
        prepared(model, X[:1], np.ones(1))


def test_the_users_own_validation_rows_are_taken_as_they_are(X, rng):
    y, model = np.arange(N) % 2, SGDVariantClassifier(early_stopping=True)
    own = dict(X_val=X[:5], y_val=y[:5], sample_weight_val=np.arange(5.0))
    data = prepared(model, X, y, **own)
    assert data.rows.n == N
    assert_array_equal(data.validation.X, X[:5])
    assert_array_equal(data.validation.weight, np.arange(5.0))


@pytest.mark.parametrize(
    ("params", "own", "sentence"),
    [
        ({"early_stopping": True}, {"X_val": 5}, "X_val and y_val must be given together"),
        ({"early_stopping": True}, {"y_val": 5}, "X_val and y_val must be given together"),
        ({}, {"X_val": 5, "y_val": 5}, "early_stopping=False: pass early_stopping=True"),
        (
            {"early_stopping": True},
            {"X_val": 5, "y_val": 5, "sample_weight_val": np.zeros(5)},
            "sample_weight_val is zero",
        ),
        (
            {"early_stopping": True},
            {"X_val": 5, "y_val": 5, "sample_weight_val": np.ones(4)},
            r"sample_weight_val\.shape",
        ),
    ],
)
def test_validation_rows_that_do_not_fit_are_refused(X, params, own, sentence):
    y = np.arange(N) % 2
    given = {
        name: value if name.startswith("s") else {"X_val": X, "y_val": y}[name][:value] for name, value in own.items()
    }
    with pytest.raises(ValueError, match=sentence):
        prepared(SGDVariantClassifier(**params), X, y, **given)


# ------------------------------------------------------------------ streams and matrices


def test_a_chunk_of_a_stream_may_be_empty_and_is_not_split(X):
    task = Binary(np.array([0, 1]))
    data = prepared(SGDVariantClassifier(early_stopping=True), X, np.zeros(N, int), task=task)
    assert (data.rows.n, data.validation) == (N, None)
    assert data.task.same_as(task)
    assert_array_equal(data.task.counts.totals, [N, 0])
    empty = prepared(SGDVariantClassifier(), X, np.zeros(N, int), np.zeros(N), task=task)
    assert (empty.rows.n, empty.total_weight) == (0, 0)
    with pytest.raises(ValueError, match="y holds the label 2, which is not among"):
        prepared(SGDVariantClassifier(), X, np.arange(N) % 3, task=task)


def test_duplicates_of_a_sparse_matrix_are_summed_and_the_users_own_is_left_alone():
    X = sp.csr_matrix((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    own = X.data.copy(), X.indices.copy()
    one = canonical(X)
    assert one.nnz == 2
    assert_array_equal(one.toarray(), [[0, 2], [1, 0]])
    assert X.nnz == 3
    assert_array_equal(X.data, own[0])
    assert_array_equal(X.indices, own[1])
    assert canonical(one) is one
    table = np.ones((2, 2))
    assert canonical(table) is table


@pytest.mark.parametrize(
    ("X", "y", "sentence"),
    [
        ([[np.nan]] * 2, [0, 1], "NaN"),
        ([[np.inf]] * 2, [0, 1], "infinity"),
        ([[1.0]] * 2, [0, 1, 1], "inconsistent numbers of samples"),
        ([1.0, 2.0], [0, 1], "Expected 2D array"),
        (np.empty((0, 2)), [], "0 sample"),
        (np.empty((2, 0)), [0, 1], "0 feature"),
        ([[1.0]] * 2, [0.5, 1.5], "Unknown label type"),
        ([[1.0]] * 2, [1, 1], "greater than one"),
    ],
)
def test_bad_tables_are_refused(X, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        prepared(SGDVariantClassifier(), X, y)


@pytest.mark.parametrize("kind", ["array", "lists", "frame", "objects", "sparse", "polars"])
@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (-np.inf, r"infinity or .*\('float64'\)")])
def test_the_place_of_what_is_no_finite_number_is_said(X, kind, value, words):
    X[[30, 7], 2] = value
    frame, names = pd.DataFrame(X, columns=list("abc")), {"frame": "'c'", "objects": "'c'", "polars": "'c'"}
    table = {
        "array": X, "lists": X.tolist(), "frame": frame, "objects": frame.astype(object), "sparse": sp.csc_array(X),
        "polars": pytest.importorskip("polars").DataFrame(X, schema=list("abc")),
    }[kind]  # fmt: skip
    model, y = SGDVariantRegressor(), np.arange(float(N))
    said = rf"contains {words} \(first in the column {names.get(kind, 2)}, row 7, counted from 0\)"
    for call in (lambda: model.fit(table, y), lambda: model.partial_fit(table, y)):
        with pytest.raises(ValueError, match=rf"^Input X {said}"):
            call()
    with pytest.raises(ValueError, match=rf"^Input X_val {said}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that the rows of validation do not have
        model.set_params(early_stopping=True).fit(frame.fillna(0).clip(-1, 1), y, X_val=table, y_val=y)

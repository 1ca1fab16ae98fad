"""Arrays of other libraries under array_api_dispatch: rows stay where they are, and the model is the same."""

import functools
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils import estimator_checks, get_tags

import _references
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._blocks import survey
from skvariants._data import namespaces

N, D = 2000, 5
#: Of each: how an array of NumPy becomes one, how close models have to be, and in which precision.
KINDS = {
    "strict": ("CPU_DEVICE", 1e-6, np.float64), "strict elsewhere": ("device1", 1e-3, np.float32),
    "torch": ("cpu", 1e-6, np.float64), "torch single": ("cpu", 1e-3, np.float32),
}  # fmt: skip
sklearn_version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
METHODS = ("predict", "decision_function", "predict_proba", "predict_log_proba")


@pytest.fixture(autouse=True)
def dispatch(monkeypatch):
    """What scikit-learn asks for, when it is told to dispatch."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    try:
        with sklearn.config_context(array_api_dispatch=True):
            yield
    except ImportError:
        pytest.skip("scikit-learn before 1.7 needs array-api-compat")


def maker(kind):
    """What makes arrays of one kind, of the precision of the kind."""
    device, _, single = KINDS[kind]
    library = _references.torch() if "torch" in kind else pytest.importorskip("array_api_strict")
    device = device if "torch" in kind else library.Device(device)

    def make(values):
        values = np.asarray(values)
        return library.asarray(values.astype(single if values.dtype.kind == "f" else values.dtype), device=device)

    return make


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@functools.cache
def problem(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D)) * [1, 2, 0.5, 3, 0.2] + [1, 0, -1, 2, 0]
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ [1, -0.5, 0.3, 0.8, 0]
    y = {
        "binary": (z + rng.logistic(size=N) > 0).astype(int), "classes": np.digitize(z + rng.logistic(size=N), [-1, 1]),
        "real": 5 + z + rng.standard_normal(N), "counts": rng.poisson(np.exp(0.3 * z)).astype(float),
        "targets": np.c_[z, -2 * z] + rng.standard_normal((N, 2)),
    }  # fmt: skip
    return X, y[name], rng.uniform(0.5, 2, N)


FITS = [
    ("binary", {}), ("binary", {"penalty": "l1", "alpha": 1e-2}), ("classes", {"alpha": 1e-2}),
    ("classes", {"loss": "squared_hinge", "class_weight": "balanced"}), ("real", {"fit_intercept": False}),
    ("real", {"loss": "huber", "epsilon": 1.0}), ("counts", {"loss": "poisson"}),
    ("targets", {"solver": "quasi_newton"}),
    ("binary", {"scale_features": False, "loss": "modified_huber"}),
]  # fmt: skip
QUICK = [FITS[0], FITS[2], FITS[6]]


def asked(name, **params):
    estimator = SGDVariantClassifier if name in ("binary", "classes") else SGDVariantRegressor
    return estimator(**{"tol": 1e-14, "max_iter": 200, **params})


def check_fit(kind, name, params):
    make, (_, close, single) = maker(kind), KINDS[kind]
    X, y, weight = problem(name)
    here = asked(name, **params).fit(X, y, sample_weight=weight)
    tol = 1e-14 if single == np.float64 else 1e-8
    model = asked(name, **(params | {"tol": tol})).fit(make(X), make(y), sample_weight=make(weight))
    assert model.status_ == "converged"
    assert type(model.coef_) is type(model.intercept_) is np.ndarray
    assert model.coef_.dtype == model.intercept_.dtype == single
    units = X.std(axis=0) / np.abs(here.coef_ * X.std(axis=0)).max()
    np.testing.assert_allclose(model.coef_ * units, here.coef_ * units, rtol=0, atol=close)
    np.testing.assert_array_equal(model.coef_ == 0, here.coef_ == 0)
    of_numpy = X.astype(single)
    for method in filter(functools.partial(hasattr, model), METHODS):
        found, expected = getattr(model, method)(make(X)), getattr(model, method)(of_numpy)
        assert type(found) is type(make(X))
        assert found.device == make(X).device
        found = namespaces.read(found)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-3 if single == np.float32 else 1e-10, atol=1e-4 * close)
    score = model.score(make(X), make(y), make(weight))
    assert type(score) is float
    assert score == pytest.approx(model.score(of_numpy, y, weight), abs=1e-5)


@pytest.mark.parametrize(("name", "params"), QUICK, ids=str)
def test_the_model_is_that_of_numpys_array(kind, name, params):
    check_fit(kind, name, params)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "params"), [fit for fit in FITS if fit not in QUICK], ids=str)
def test_every_smooth_fit_is_that_of_numpys_array(kind, name, params):
    check_fit(kind, name, params)


def test_a_fit_is_at_the_optimum():
    """By the gradient of the objective."""
    X, y, _ = problem("binary")
    model = asked("binary").fit(maker("strict")(X), maker("strict")(y))
    slope = 1 / (1 + np.exp(-(X @ model.coef_[0] + model.intercept_))) - y
    np.testing.assert_allclose(X.T @ slope / N + model.alpha * model.coef_[0], 0, atol=1e-9)
    np.testing.assert_allclose(slope.mean(), 0, atol=1e-9)


def test_rows_stay_where_they_are(kind, monkeypatch):
    """What is read is a sample, and numbers for each row and column."""
    make, read, most = maker(kind), namespaces.read, []
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 40))
    y = (X[:, 0] + rng.logistic(size=len(X)) > 0).astype(int)

    def reading(value):
        most.append(int(np.prod(value.shape)))
        return read(value)

    monkeypatch.setattr(namespaces, "read", reading)
    monkeypatch.setattr(survey, "_SAMPLE", 1 << 19)
    model = SGDVariantClassifier().fit(make(X), make(y))
    model.predict_proba(make(X))
    assert model.status_ == "converged"
    assert max(most) <= X.size // 4


def test_the_sample_is_of_all_sizes_a_start(kind, monkeypatch):
    """Few rows of it, so that Newton's steps on all rows take the way: with Hessians, and with softmax's."""
    monkeypatch.setattr(survey, "_SAMPLE", 1 << 10)
    monkeypatch.setattr(survey, "_ROWS", 1)
    make, close = maker(kind), KINDS[kind][1]
    for name in ("binary", "classes"):
        X, y, weight = problem(name)
        here = asked(name, alpha=1e-2).fit(X, y, sample_weight=weight)
        tol = 1e-14 if close < 1e-5 else 1e-8
        model = asked(name, alpha=1e-2, tol=tol).fit(make(X), make(y), sample_weight=make(weight))
        np.testing.assert_allclose(model.coef_, here.coef_, rtol=0, atol=close)


def test_a_warm_start_goes_on(kind):
    make = maker(kind)
    X, y, _ = problem("binary")
    whole = asked("binary", tol=1e-6, warm_start=True).fit(make(X), make(y))
    first = asked("binary", tol=1e-6, max_iter=1, warm_start=True)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        first.fit(make(X), make(y))
    second = pickle.loads(pickle.dumps(first)).set_params(max_iter=200).fit(make(X), make(y))
    np.testing.assert_array_equal(second.coef_, whole.coef_)


def test_labels_and_weights_may_be_numpys(kind):
    make = maker(kind)
    X, y, weight = problem("classes")
    names = np.array(["low", "mid", "high"])[y]
    model = SGDVariantClassifier().fit(make(X), names, sample_weight=weight)
    predicted = model.predict(make(X))
    assert type(predicted) is np.ndarray
    assert np.mean(predicted == names) == pytest.approx(model.score(make(X), names))
    assert type(model.predict_proba(make(X))) is type(make(X))


def test_a_column_of_targets_is_what_it_is_of_numpys():
    make = maker("strict")
    for name in ("binary", "real"):
        X, y, _ = problem(name)
        models = []
        for of in (make, np.asarray):
            with pytest.warns(sklearn.exceptions.DataConversionWarning) as warned:
                models.append(asked(name, alpha=1e-2).fit(of(X), of(y[:, None])))
            assert len(warned) == 1
        np.testing.assert_allclose(models[0].coef_, models[1].coef_, atol=1e-6)


def test_whole_numbers_become_doubles():
    make = maker("strict")
    X = np.round(3 * problem("binary")[0]).astype(np.int32)
    y = problem("binary")[1]
    model, here = asked("binary").fit(make(X), make(y)), asked("binary").fit(X, y)
    np.testing.assert_allclose(model.coef_, here.coef_, atol=1e-6)
    np.testing.assert_allclose(namespaces.read(model.decision_function(make(X))), model.decision_function(X))


def test_a_column_that_is_constant_in_the_sample(monkeypatch):
    monkeypatch.setattr(survey, "_SAMPLE", 1 << 12)
    monkeypatch.setattr(survey, "_ROWS", 1)
    X, y, _ = problem("binary")
    X = np.c_[X, np.zeros(N)]
    X[7, -1] = 1.0
    model, here = (asked("binary", alpha=1e-2).fit(data, y) for data in (maker("strict")(X), X))
    np.testing.assert_allclose(model.coef_, here.coef_, atol=1e-6)


# ---------------------------------------------------------------------- what is refused

REFUSED = [
    ({"loss": "hinge"}, "solver is Auto, loss Hinge: Hinge has kinks"),
    ({"solver": "adam"}, "solver is Adam, loss LogLoss: steps on batches were asked for"),
    ({"early_stopping": True}, "early_stopping=True holds rows out"),
    ({"positive": True}, "weights are to stay within"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "reason"), REFUSED, ids=str)
def test_other_fits_are_refused_with_the_remedy(params, reason):
    make = maker("strict elsewhere")
    X, y, _ = problem("binary")
    model = SGDVariantClassifier(**params)
    assert not get_tags(model).array_api_support
    with pytest.raises(
        TypeError, match=rf"^X is an array of array_api_strict on the device .*{reason}.*numpy.asarray\(X"
    ):
        model.fit(make(X), make(y))
    assert not hasattr(model, "coef_")
    # a model that was fitted to NumPy's arrays predicts any
    model.fit(X, y)
    np.testing.assert_array_equal(namespaces.read(model.predict(make(X))), model.predict(X.astype(np.float32)))


def test_what_is_no_table_of_numbers_is_named(kind):
    make = maker(kind)
    X, y, weight = problem("binary")
    model = SGDVariantClassifier().fit(make(X), make(y))
    broken = X.copy()
    broken[1500, 2] = np.nan
    cases = [
        (lambda: model.fit(make(X[:, 0]), make(y)), ValueError, "X has the shape"),
        (lambda: model.fit(make(X[:, :0]), make(y)), ValueError, "X has the shape"),
        (lambda: model.fit(make(X), make(y[:-1])), ValueError, "y has the shape"),
        (lambda: model.fit(make(X), make(np.c_[y, y])), TypeError, "y is no column of labels"),
        (lambda: model.fit(make(X), make(y), sample_weight=make(weight[1:])), ValueError, "sample_weight.shape"),
        (lambda: model.fit(make(X), make(y), sample_weight=make(-weight)), ValueError, "Negative values"),
        (lambda: model.fit(make(broken), make(y)), ValueError, "Input X contains NaN"),
        (lambda: model.fit(make(X[:0]), make(y[:0])), ValueError, "X holds no rows"),
        (lambda: model.fit(make(X), make(y), X_val=make(X), y_val=make(y)), ValueError, "early_stopping=False"),
        (lambda: model.predict(make(broken)), ValueError, "Input X contains NaN or infinity"),
        (lambda: model.predict(make(X[:, 1:])), ValueError, "X has 4 features, but"),
        (lambda: model.fit(make(X + 1j), make(y)), TypeError, "give float32 or float64"),
    ]  # fmt: skip
    before = model.coef_.copy()
    for call, error, words in cases:
        with pytest.raises(error, match=words):
            call()
    np.testing.assert_array_equal(model.coef_, before)


def test_what_no_sample_shows_is_refused(kind, monkeypatch):
    monkeypatch.setattr(survey, "_SAMPLE", 1 << 10)
    monkeypatch.setattr(survey, "_ROWS", 1)
    make = maker(kind)
    X, y, _ = problem("binary")
    drawn = survey.places(N, max(1 / 16, (D + 1) / N))
    X = X.copy()
    X[np.setdiff1d(np.arange(N), drawn)[-1], 2] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        SGDVariantClassifier().fit(make(X), make(y))


def test_targets_that_are_not_computed_are_refused():
    dask_array = pytest.importorskip("dask.array")
    X, y, _ = problem("binary")
    with pytest.raises(TypeError, match="dask collection"):
        SGDVariantClassifier().fit(maker("strict")(X), dask_array.from_array(y))


def test_a_library_without_the_standard_is_named(monkeypatch):
    X, y, _ = problem("binary")
    rows = maker("strict")(X)
    monkeypatch.setattr(type(rows), "__array_namespace__", lambda self, **options: object())
    with pytest.raises(TypeError, match="a library without the array API standard: give numpy.asarray"):
        SGDVariantClassifier().fit(rows, y)


def test_tensors_of_other_layouts_and_precisions():
    torch, X, y = _references.torch(), *problem("binary")[:2]
    model = SGDVariantClassifier()
    with pytest.raises(TypeError, match="and sparse: give X.to_dense()"):
        model.fit(torch.asarray(X).to_sparse(), y)
    with pytest.raises(TypeError, match="of dtype torch.float16: give float32 or float64"):
        model.fit(torch.asarray(X).half(), y)
    fitted = SGDVariantClassifier().fit(X, y)
    nowhere = torch.empty(X.shape, device="meta")
    for call in (lambda: model.fit(nowhere, y), lambda: fitted.predict(nowhere), lambda: fitted.score(nowhere, y)):
        with pytest.raises(TypeError, match="^X is an array of torch on the device 'meta'.* is not accepted: .* Give"):
            call()
    with pytest.raises(TypeError, match="^y is an array of torch .* of dtype torch.bfloat16"):
        model.fit(torch.asarray(X), torch.asarray(y).bfloat16())
    learned = torch.asarray(X).requires_grad_()
    model.fit(learned, y)
    assert not model.predict_proba(learned).requires_grad
    columns = torch.asarray(np.asfortranarray(X))
    np.testing.assert_array_equal(clone(model).fit(columns, y).coef_.shape, model.coef_.shape)


# ---------------------------------------------------------------------- scikit-learn


def test_tags_say_which_fits_leave_arrays_where_they_are():
    yes = [
        SGDVariantClassifier(), SGDVariantRegressor(), SGDVariantRegressor(loss="huber", solver="quasi_newton"),
        SGDVariantClassifier(loss="squared_hinge", penalty="l1"), SGDVariantRegressor(penalty=None),
    ]  # fmt: skip
    no = [
        SGDVariantClassifier(loss="hinge"), SGDVariantClassifier(eta0=0.1), SGDVariantRegressor(average=True),
        SGDVariantClassifier(loss="no such"), SGDVariantRegressor(bounds=(0, 1)),
    ]  # fmt: skip
    assert all(get_tags(model).array_api_support for model in yes)
    assert not any(get_tags(model).array_api_support for model in no)


@pytest.mark.skipif(sklearn_version < (1, 9), reason="its check does not know the devices of array-api-strict")
@pytest.mark.parametrize("name", ["binary", "real"])
def test_scikit_learns_check_but_for_attributes(kind, name, monkeypatch):
    """Its checks of methods: it wants coefficients where X is, and they are NumPy's (scikit-learn#34604)."""
    maker(kind)
    check = estimator_checks.check_array_api_input
    monkeypatch.setattr(estimator_checks, "vars", lambda model: {}, raising=False)  # none is looked at
    device, close, single = KINDS[kind]
    monkeypatch.setattr(estimator_checks, "_atol_for_type", lambda dtype: close)
    library = "torch" if "torch" in kind else "array_api_strict"
    estimator, dtype = asked(name, alpha=0.1), np.dtype(single).name
    check("estimator", estimator, library, device, dtype, check_values=True)


def test_scikit_learns_searches_run(kind):
    make = maker(kind)
    X, y, _ = problem("real")
    if "strict" in kind:  # which scikit-learn cannot split
        return
    scores = cross_val_score(SGDVariantRegressor(), make(X), make(y), cv=3)
    np.testing.assert_allclose(scores, cross_val_score(SGDVariantRegressor(), X, y, cv=3), atol=1e-3)


def test_without_dispatch_arrays_become_numpys():
    make = maker("strict")
    X, y, _ = problem("binary")
    with sklearn.config_context(array_api_dispatch=False):
        model = SGDVariantClassifier().fit(make(X), make(y))
        assert type(model.predict(make(X))) is np.ndarray
        np.testing.assert_array_equal(model.coef_, SGDVariantClassifier().fit(X, y).coef_)


# ---------------------------------------------------------------------- the rows


def test_rows_are_those_of_numpy(kind):
    """Slices, products and standardised rows, by NumPy's."""
    make, single = maker(kind), KINDS[kind][2]
    X = problem("binary")[0].astype(single)
    rows = namespaces.rows_elsewhere(make(X))
    W = np.random.default_rng(0).standard_normal((D, 2)).astype(single)
    rtol = 100 * np.finfo(single).eps
    assert rows.shape == X.shape
    assert len(rows) == N
    for some in (slice(3, 10), slice(1990, 3000), np.array([5, 2, 9])):
        np.testing.assert_array_equal(np.asarray(rows[some]), X[some])
    out = np.empty((N, 2), single)
    np.testing.assert_allclose(rows.dot(W, out=out), X @ W, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(rows @ sp.csr_array(W), X @ W, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(rows.T.dot(out), X.T @ (X @ W), rtol=rtol, atol=N * rtol)
    C = rows.standardised(X.mean(axis=0), 1 / X.std(axis=0))
    np.testing.assert_allclose(
        np.asarray(C * out[:, :1]), out[:, :1] * np.c_[(X - X.mean(axis=0)) / X.std(axis=0), np.ones(N)],
        rtol=rtol, atol=rtol,
    )  # fmt: skip


class OfADevice:
    """A device that is entered, as CuPy's."""

    depth = 0

    def __enter__(self):
        OfADevice.depth += 1

    def __exit__(self, *error):
        OfADevice.depth -= 1


class Held:
    """An array as CuPy's: NumPy's operators among such arrays only, no conversion but by get()."""

    device = OfADevice()

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    def __dlpack__(self):
        raise BufferError

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_namespace__(self):
        return Library

    def get(self):
        return self.values.copy()

    def astype(self, dtype):
        return Held(self.values.astype(dtype))

    def __getitem__(self, index):
        return Held(self.values[index])

    @property
    def T(self):
        return Held(self.values.T)

    def __matmul__(self, other):
        return Held(self.values @ other.values)

    def __mul__(self, other):
        return Held(self.values * other.values)

    def __sub__(self, other):
        return Held(self.values - other.values)


class Library:
    """A library as CuPy 13."""

    @staticmethod
    def asarray(values):
        assert OfADevice.depth == 1
        return Held(values.copy())

    @staticmethod
    def take(x, index, axis):
        return Held(x.values.take(index.values, axis=axis))

    @staticmethod
    def concatenate(tables, axis):
        return Held(np.concatenate([table.values for table in tables], axis=axis))


@pytest.mark.parametrize("name", ["binary", "classes"])
def test_a_library_as_cupy(name, monkeypatch):
    """Which no machine of the tests has."""
    monkeypatch.setattr(survey, "_SAMPLE", 1 << 10)
    monkeypatch.setattr(survey, "_ROWS", 1)
    X, y, weight = problem(name)
    for table in (X, np.round(3 * X).astype(np.int64)):
        here = asked(name, alpha=1e-2).fit(table, y, sample_weight=weight)
        model = asked(name, alpha=1e-2).fit(Held(table), Held(y), sample_weight=Held(weight))
        np.testing.assert_allclose(model.coef_, here.coef_, rtol=0, atol=1e-6)
        found = model.predict_proba(Held(table))
        assert type(found) is Held
        np.testing.assert_allclose(found.get(), model.predict_proba(table), atol=1e-12)
        assert model.score(Held(table), Held(y)) == model.score(table, y)

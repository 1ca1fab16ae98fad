"""Laws over everything a user can name, "auto" included: one factor at a time, and over a draw of configurations.

A column is a fit; sparse is dense; resuming is continuing, bit for bit; weight is repetition; a class weight is a
sample weight; calls of partial_fit on the borders of batches are an epoch (after the race, where a step was left open).
"""

import functools
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from _references import CLASSIFYING, EXACT, asked, in_domain, refuses
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import hyperparameter
from skvariants._data.validate import Given, Header, prepare
from skvariants._fit import fit_together
from skvariants.losses import LOSSES
from skvariants.penalties import PENALTIES, Penalty
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS

NAMES = ["auto", *SOLVERS]
STEPS = [name for name in SOLVERS if SOLVERS[name].method == "steps"]
N_CONFIGURATIONS = 210


def quiet(model, *args, **kwargs):
    """Fit where warnings are not the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **kwargs)


def assert_same_fit(found, expected):
    """Equal to the last bit, the story included."""
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_array_equal(found.intercept_, expected.intercept_)
    assert found.t_ == expected.t_
    assert found.status_ == expected.status_
    assert found.loss_curve_ == expected.loss_curve_
    assert found.validation_scores_ == expected.validation_scores_


def assert_close_fit(found, expected, tolerance):
    size = np.abs(expected.coef_).max(initial=1e-12)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=tolerance * size)
    size = np.abs(expected.intercept_).max(initial=1.0)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=0, atol=tolerance * size)


def resumed(model, X, y, first, rest, **fit_params):
    """A fit of some epochs, through a pickle, and some more."""
    model = quiet(clone(model).set_params(max_iter=first, warm_start=True), X, y, **fit_params)
    model = pickle.loads(pickle.dumps(model))
    if model.n_iter_ == first and model.status_ in ("max_iter", "diverged"):
        quiet(model.set_params(max_iter=rest), X, y, **fit_params)
    return model


def columns(models, X, y, sample_weight=None):
    """Models of one group, trained as columns of one matrix."""
    models = [clone(model) for model in models]
    specs = [model.__skvariants_spec__() for model in models]
    header = Header.of(type(models[0]).__name__, get_tags(models[0]))
    results = fit_together(specs, prepare(specs[0], header, Given(X, y, sample_weight)))
    for model, fitted in zip(models, results, strict=True):
        if isinstance(fitted, Exception):
            raise fitted
        model.__skvariants_publish__(fitted)
    return models


@functools.cache
def table(kind):
    """Small tables with columns of unequal units."""
    if kind == "digits":
        return load_digits(return_X_y=True)
    if kind == "classes":
        X, y = load_iris(return_X_y=True)
        return X * [1.0, 10.0, 0.1, 1.0], np.array(["a", "b", "c"])[y]
    if kind == "binary":
        X, y = make_classification(140, 8, n_informative=5, flip_y=0.1, random_state=0)
        return X * np.logspace(-2, 2, 8) + 3, y
    X, y = make_regression(140, 8, n_targets=2 if kind == "targets" else 1, noise=30, random_state=0)
    return X * np.logspace(-2, 2, 8), y


@functools.cache
def like_real():
    """Skewed columns of raw units, and rare ones; several classes, few positives, or prices."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 8)) @ rng.normal(size=(8, 8))
    signal = X @ rng.normal(size=(8, 5)) / 8
    rare = (rng.random((200, 30)) < rng.uniform(0.003, 0.1, 30)) * rng.lognormal(3, 2, (200, 30))
    classes = (signal + rng.gumbel(size=signal.shape) + [2, 1, 0, -1, -2]).argmax(axis=1)
    return np.hstack([np.exp(X / 2) * 10.0 ** rng.uniform(-4, 4, 8), rare]), {
        "classes": classes, "few": signal[:, 0] + rng.logistic(size=200) > 2, "price": np.exp(signal[:, 1]) * 1e5,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("solver", [name for name, cls in SOLVERS.items() if cls.method == "steps"])
def test_no_default_ends_above_the_constant_model_in_silence(solver):
    X, targets = like_real()
    n = 60 if solver in ("implicit", "nag") else len(X)
    for name, y in targets.items():
        X, y = X[:n], y[:n]
        estimator = SGDVariantRegressor if name == "price" else SGDVariantClassifier
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = estimator(solver=solver, random_state=0).fit(X, y)
        if name == "price":
            share = 1 - model.score(X, y)
        else:
            prior = np.unique(y, return_counts=True)[1] / len(y)
            share = log_loss(y, model.predict_proba(X)) / -(prior @ np.log(prior))
        assert share < 1.001 or said, (name, model.status_, share)


def test_a_plateau_above_the_constant_model_is_said():
    X, y = table("binary")
    X = StandardScaler().fit_transform(X)
    with pytest.warns(ConvergenceWarning, match="above the best constant model: its objective is .*leave eta0"):
        model = SGDVariantClassifier(solver="sgd", eta0=3.0, learning_rate="constant", random_state=0).fit(X, y)
    assert model.status_ == "stalled"
    assert model.suboptimality_ > 1


# ---------------------------------------------------------------------- resuming is continuing


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", NAMES)
@pytest.mark.parametrize("kind", ["binary", "classes", "digits", "real", "targets"])
def test_resuming_is_continuing_bit_for_bit(kind, solver, early_stopping):
    X, y = table(kind)
    if kind == "digits" and solver in ("sgd", "implicit", "nag"):
        X, y = (X[:300], y[:300]) if solver == "sgd" else (X[:120], y[:120])
    classification = kind in ("binary", "classes", "digits")
    estimator = SGDVariantClassifier if classification else SGDVariantRegressor
    model = estimator(**asked(solver, classification), tol=None, early_stopping=early_stopping, random_state=0)
    whole = quiet(clone(model).set_params(max_iter=7, warm_start=True), X, y)
    assert_same_fit(resumed(model, X, y, 3, 4), whole)


@pytest.mark.parametrize("solver", NAMES)
@pytest.mark.parametrize("parts", [[1, 11], [2, 4, 6], [1] * 12])
def test_resuming_with_a_tolerance_stops_where_one_fit_stops(solver, parts):
    X, y = table("binary")
    model = SGDVariantClassifier(**asked(solver), tol=1e-2, n_iter_no_change=2, random_state=0, warm_start=True)
    whole = quiet(clone(model).set_params(max_iter=12), X, y)
    pieces = clone(model)
    for part in parts:
        if getattr(pieces, "status_", "max_iter") == "max_iter":
            quiet(pieces.set_params(max_iter=part), X, y)
    assert_same_fit(pieces, whole)


def test_resuming_goes_on_within_a_batch_that_grows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 6))
    y = (X @ rng.standard_normal(6) + rng.logistic(size=len(X)) > 0).astype(int)
    model = SGDVariantClassifier(tol=None, random_state=0)
    whole = quiet(clone(model).set_params(max_iter=16, warm_start=True), X, y)
    assert len(set(whole.history_["rows"])) > 1
    for first in (1, 5, 13, 15):
        assert_same_fit(resumed(model, X, y, first, 16 - first), whole)


@pytest.mark.parametrize("solver", EXACT)
def test_other_rows_are_another_problem(solver):
    # the state of the default is one of its rows: on others it begins at the coefficients
    X, y = table("binary")
    model = SGDVariantClassifier(**asked(solver), random_state=0, warm_start=True)
    quiet(model, X, y)
    other = quiet(clone(model), X[:-7], 1 - y[:-7])
    again = quiet(model, X[:-7], 1 - y[:-7])
    assert again.score(X[:-7], 1 - y[:-7]) == pytest.approx(other.score(X[:-7], 1 - y[:-7]), abs=0.03)


@pytest.mark.parametrize("solver", NAMES)
def test_a_plain_fit_is_pickled_without_its_training_state(solver):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 400)), rng.integers(0, 10, 200)
    model = quiet(SGDVariantClassifier(**asked(solver), max_iter=3, tol=None, eta0="auto", random_state=0), X, y)
    size = len(pickle.dumps(model))
    assert size < 1.5 * model.coef_.nbytes
    warm = quiet(clone(model).set_params(warm_start=True), X, y)
    assert len(pickle.dumps(warm)) > size
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.decision_function(X), model.decision_function(X))
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


# ---------------------------------------------------------------------- partial_fit


@pytest.mark.parametrize("solver", STEPS)
@pytest.mark.parametrize("kind", ["binary", "classes", "real"])
def test_calls_on_the_borders_of_batches_are_an_epoch(kind, solver):
    X, y = table(kind)
    X = X / X.std(axis=0)
    estimator = SGDVariantRegressor if kind == "real" else SGDVariantClassifier
    rows = len(y) if solver == "gd" else 20
    model = estimator(
        solver=solver, learning_rate="constant", eta0=1e-3, scale_features=False, shuffle=False, max_iter=1, tol=None,
        batch_size=1 if solver == "sgd" else rows, random_state=0,
    )  # fmt: skip
    whole, stream = quiet(clone(model), X, y), clone(model)
    classes = {} if kind == "real" else {"classes": np.unique(y)}
    for start in range(0, len(y), rows):
        stream.partial_fit(X[start : start + rows], y[start : start + rows], **classes)
    rounding = 1e-10 if solver == "sgd" else 0.0
    assert_close_fit(stream, whole, rounding)
    assert stream.t_ == whole.t_


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize("kind", ["binary", "classes", "real", "targets"])
@pytest.mark.parametrize("solver", [*EXACT, "gd"])
@pytest.mark.parametrize("scale", [True, False])
def test_weight_is_repetition(kind, solver, scale):
    X, y = table(kind)
    X = X / X.std(axis=0)
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    classification = kind not in ("real", "targets")
    estimator = SGDVariantClassifier if classification else SGDVariantRegressor
    params = asked(solver, classification)
    model = estimator(**params, scale_features=scale, random_state=0, alpha=1e-3, max_iter=30, tol=None)
    weighted = quiet(clone(model), X, y, sample_weight=weight)
    repeated = quiet(clone(model), np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    assert (weighted.eta0_ is None) == (repeated.eta0_ is None)
    if weighted.eta0_ is not None:
        assert weighted.eta0_ == pytest.approx(repeated.eta0_, rel=1e-12)
    assert_close_fit(weighted, repeated, 1e-7)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("kind", ["binary", "classes"])
@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
@pytest.mark.parametrize("solver", NAMES)
def test_a_class_weight_is_a_sample_weight(kind, solver, multi_class):
    X, y = table(kind)
    by_class = dict(zip(np.unique(y).tolist(), [0.5, 3.0, 1.25], strict=False))
    own = np.random.default_rng(0).random(len(y))
    product = own * np.array([by_class[label] for label in y.tolist()])
    model = SGDVariantClassifier(**asked(solver), multi_class=multi_class, max_iter=5, tol=None, random_state=0)
    named = quiet(clone(model).set_params(class_weight=by_class), X, y, sample_weight=own)
    by_hand = quiet(clone(model), X, y, sample_weight=product)
    assert_close_fit(named, by_hand, 1e-10)
    balanced = quiet(clone(model).set_params(class_weight="balanced"), X, y)
    counts = {label: np.mean(y == label) for label in np.unique(y)}
    by_hand = quiet(clone(model), X, y, sample_weight=np.array([1 / counts[label] for label in y]))
    assert_close_fit(balanced, by_hand, 1e-10)


def test_class_weights_count_between_the_chunks_of_a_stream():
    X, y = table("binary")
    params = dict(
        solver="minibatch", learning_rate="constant", eta0=0.1, scale_features=False, shuffle=False, batch_size=200,
        random_state=0,
    )  # fmt: skip
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    zeros, ones = y == 0, y == 1
    heavy = SGDVariantClassifier(class_weight={0: 1.0, 1: 5.0}, **params)
    light = SGDVariantClassifier(**params)
    for model in (heavy, light):
        for rows in (zeros, ones, zeros, ones):
            model.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert heavy.decision_function(X).mean() > light.decision_function(X).mean()


# ---------------------------------------------------------------------- a draw of configurations


def draw(seed):
    """A configuration: everything that can be named, at random."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(["binary", "classes", "real", "targets"]))
    classification = kind in ("binary", "classes")
    losses = list(CLASSIFYING) if classification else [name for name in LOSSES if LOSSES[name].regression]
    solver = str(rng.choice(NAMES))
    params = {
        "solver": solver, "penalty": [*PENALTIES][rng.integers(len(PENALTIES))], "alpha": 10.0 ** rng.integers(-4, 0),
        "l1_ratio": 0.3, "fit_intercept": bool(rng.random() < 0.8), "random_state": int(rng.integers(100)),
        "epsilon": 0.1 if classification else 5.0, "tol": None,
    }  # fmt: skip
    exact = SOLVERS[solver].method != "steps" if solver in SOLVERS else False
    params["loss"] = str(rng.choice([name for name in losses if not refuses(solver, name)] if exact else losses))
    if not exact:
        params["average"] = bool(rng.random() < 0.3)
        params["batch_size"] = ["auto", "full", 16][rng.integers(3)]
        rate = str(rng.choice(["auto", *(name for name in SCHEDULES if SCHEDULES[name].stands_for is None)]))
        params["learning_rate"] = rate
        if rate == "optimal":
            params["alpha"] = 0.3  # a first step that is no cliff
        else:
            params["eta0"] = "auto" if rate == "auto" and rng.random() < 0.5 else 10.0 ** rng.integers(-3, -1)
    if rng.random() < 0.3 and params["loss"] != "log_loss" and classification:
        params["multi_class"] = "ovr"
    params["scale_features"] = ["auto", True][rng.integers(2)] if rng.random() < 0.8 else False
    params["early_stopping"] = bool(rng.random() < 0.3)
    X, y = table(kind)
    X = X / X.std(axis=0)  # the steps that are given suit columns of one scale
    X[np.abs(X) < 0.3] = 0.0
    dtype = np.float32 if rng.random() < 0.25 else np.float64
    weight = rng.random(len(y)) if rng.random() < 0.4 else None
    if not classification:
        y = in_domain(LOSSES[params["loss"]](), y)
    estimator = SGDVariantClassifier if classification else SGDVariantRegressor
    return estimator(**params), X.astype(dtype), y, weight


SEEDS = range(N_CONFIGURATIONS)
every_configuration = pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.slow if seed % 5 > 1 else ()) for seed in SEEDS]
)
CONTAINERS = [np.asarray, np.asfortranarray, sp.csr_matrix, sp.csc_array]
ROUNDING = {np.float64: 1e-9, np.float32: 1e-3}


def tolerance(model, expected, X, y, weight):
    """What a rounding of the data becomes in this fit: sums in another order round as much.

    A fit in which a rounding grows to the size of the model (steps that are too long, kinks) says nothing.
    """
    eps, size, grown = np.finfo(X.dtype).eps, np.abs(expected.coef_).max(initial=1e-12), 0.0
    for seed in range(2):
        signs = np.random.default_rng(seed).choice([-1, 1], X.shape)
        moved = quiet(clone(model), (X * (1 + 64 * eps * signs)).astype(X.dtype), y, sample_weight=weight)
        if "diverged" in (moved.status_, expected.status_):
            return np.inf
        by = np.abs(moved.coef_ - expected.coef_).max() / size, np.abs(moved.intercept_ - expected.intercept_).max()
        grown = max(grown, *by)
    return ROUNDING[X.dtype.type] + 30 * grown


@every_configuration
def test_of_any_configuration_a_column_is_a_fit(seed):
    model, X, y, weight = draw(seed)
    alphas = [model.alpha, 3 * model.alpha, 0.1 * model.alpha]
    models = [clone(model).set_params(alpha=alpha, max_iter=3) for alpha in alphas]
    rows = CONTAINERS[seed % 4](X)
    for together, single in zip(columns(models, rows, y, weight), models, strict=True):
        quiet(single, rows, y, sample_weight=weight)
        rounding = tolerance(single, single, X, y, weight)
        if rounding < 1:
            assert_close_fit(together, single, rounding)
        assert together.n_iter_ == single.n_iter_


@every_configuration
def test_of_any_configuration_sparse_is_dense(seed):
    model, X, y, weight = draw(seed)
    dense = quiet(model.set_params(max_iter=3), X, y, sample_weight=weight)
    layout = [sp.csr_matrix, sp.csr_array, sp.csc_array, sp.coo_array][seed % 4]
    sparse = quiet(clone(model), layout(X), y, sample_weight=weight)
    rounding = tolerance(model, dense, X, y, weight)
    if rounding < 1:
        assert_close_fit(sparse, dense, rounding)


@every_configuration
def test_of_any_configuration_resuming_is_continuing(seed):
    model, X, y, weight = draw(seed)
    X = CONTAINERS[seed % 4](X)
    whole = quiet(clone(model).set_params(max_iter=5, warm_start=True), X, y, sample_weight=weight)
    parts = resumed(model, X, y, 2, 3, sample_weight=weight)
    assert_same_fit(parts, whole)


@pytest.mark.slow
def test_most_of_the_draw_says_something():
    tolerances = []
    for seed in SEEDS:
        model, X, y, weight = draw(seed)
        fitted = quiet(clone(model).set_params(max_iter=3), X, y, sample_weight=weight)
        tolerances.append(tolerance(clone(model).set_params(max_iter=3), fitted, X, y, weight))
    assert np.mean(np.array(tolerances) < 1e-2) > 0.85


# ---------------------------------------------------------------------- a stream, and what follows it


@pytest.mark.parametrize("solver", NAMES)
def test_a_fit_after_a_stream_is_a_fit_from_its_coefficients(solver):
    X, y = table("real")
    stream = SGDVariantRegressor(**asked(solver, False), warm_start=True, random_state=0).partial_fit(X[:30], y[:30])
    given = dict(coef_init=stream.coef_.copy(), intercept_init=stream.intercept_.copy())
    model = quiet(stream, X * 100 + 5, y)
    assert_same_fit(model, quiet(clone(model), X * 100 + 5, y, **given))


@pytest.mark.parametrize("solver", [name for name in STEPS if name != "adam"])
def test_another_solver_between_chunks_takes_over(solver):
    X, y = table("real")
    stream = SGDVariantRegressor(solver="adam", random_state=0).partial_fit(X, y)
    stream.set_params(solver=solver).partial_fit(X, y)
    assert type(stream.solver_) is SOLVERS[solver]


def test_a_field_of_the_solver_changed_between_chunks_counts_from_there_on():
    X, y = table("real")
    params = dict(learning_rate="constant", eta0=1e-3, scale_features=False, shuffle=False, random_state=0)
    X = X / X.std(axis=0)
    still = SGDVariantRegressor(solver=SOLVERS["momentum"](momentum=0.0), **params).partial_fit(X, y)
    changed = clone(still).partial_fit(X, y).set_params(solver__momentum=0.9)
    for model in (still, changed):
        model.partial_fit(X, y)
    assert changed.t_ == still.t_
    assert np.abs(changed.coef_).sum() > 1.5 * np.abs(still.coef_).sum()


def test_parameters_set_after_a_fit_change_nothing_that_was_fitted():
    X, y = table("real")
    model = quiet(SGDVariantRegressor(loss=LOSSES["huber"](epsilon=3.0), solver=SOLVERS["momentum"]()), X, y)
    before, solver = model.predict(X), repr(model.solver_)
    model.set_params(loss__epsilon=9.0, solver__momentum=0.1)
    np.testing.assert_array_equal(model.predict(X), before)
    assert repr(model.solver_) == solver


# ---------------------------------------------------------------------- arrays by feature


class RidgeByFeature(Penalty):
    """A user's penalty with a strength for each feature."""

    strengths: object = hyperparameter(None, axis="feature")

    def _column(self):
        return np.reshape(self.strengths, (len(self.strengths), -1))

    def value(self, W):
        return 0.5 * (self._column() * W * W).sum(axis=0)

    def add_gradient(self, W, out):
        out += self._column() * W

    def prox(self, W, step, smooth=True):
        if smooth:
            W /= 1 + step * self._column()

    @property
    def has_prox(self):
        return False

    def rescaled(self, units, objective_scale):
        return RidgeByFeature(self._column() * units**2 * objective_scale)


class DeclaredRidgeByFeature(RidgeByFeature):
    """The same, which says that it is L2 alone."""

    elastic, l1_strength = True, 0.0

    @property
    def l2_strength(self):
        return self._column()

    def rescaled(self, units, objective_scale):
        return DeclaredRidgeByFeature(self._column() * units**2 * objective_scale)


def ridge_by_feature(solver):
    """The penalty that a solver takes."""
    return DeclaredRidgeByFeature if solver == "interior_point" else RidgeByFeature


@pytest.mark.parametrize("kind", ["binary", "classes", "real", "targets"])
@pytest.mark.parametrize("solver", NAMES)
def test_a_strength_for_each_feature_is_the_ridge_where_all_are_equal(kind, solver):
    X, y = table(kind)
    X = X / X.std(axis=0)
    estimator = SGDVariantClassifier if kind in ("binary", "classes") else SGDVariantRegressor
    exact = solver in EXACT  # its metric is another
    params = asked(solver, kind in ("binary", "classes"))
    params = dict(**params, random_state=0, **(dict(tol=1e-12) if exact else dict(tol=None, max_iter=4)))
    ridge = quiet(estimator(penalty="l2", alpha=0.05, **params), X, y)
    ours = quiet(estimator(penalty=ridge_by_feature(solver)(np.full(X.shape[1], 0.05)), **params), X, y)
    assert_close_fit(ours, ridge, 1e-5 if exact else 1e-9)


@pytest.mark.parametrize("solver", NAMES)
def test_a_warm_start_sees_a_change_deep_inside_an_array(solver):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 1200)), rng.standard_normal(60)
    weak, strong = np.full(1200, 0.1), np.full(1200, 0.1)
    strong[600] = 1e3
    model = SGDVariantRegressor(**asked(solver, False), max_iter=3, tol=None, warm_start=True, random_state=0)
    for penalty in map(ridge_by_feature(solver), (weak, weak.copy(), strong)):
        quiet(model.set_params(penalty=penalty), X, y)
        model.lengths = [*getattr(model, "lengths", []), len(model.loss_curve_)]
    # the equal one goes on, the other begins anew
    assert model.lengths[1] > model.lengths[0]
    assert model.lengths[2] <= model.lengths[0]

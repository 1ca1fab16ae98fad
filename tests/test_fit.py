"""The story of a fit: a column is a fit, whatever else is trained beside it."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.utils import get_tags
from threadpoolctl import threadpool_info, threadpool_limits

from _references import CLASSIFYING, asked, in_domain
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import hyperparameter
from skvariants._data.validate import Given, Header, prepare
from skvariants._fit import fit_together, story
from skvariants._spec import Trainable
from skvariants._threads import PARALLEL, scipys_blas, threads
from skvariants.losses import LOSSES
from skvariants.penalties import ElasticNet
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS, Adam, Momentum

X, Y3 = make_classification(160, 8, n_informative=5, n_classes=3, random_state=0)
Y2 = (Y3 > 0).astype(int)
YR = X @ np.arange(8.0) + np.random.default_rng(0).normal(size=160)
ALPHAS = [1e-4, 1e-2, 1.0]
ATTRIBUTES = ["n_iter_", "t_", "status_", "best_epoch_"]


def grow(model, **grid):
    (name, values), *more = grid.items()
    models = [clone(model).set_params(**{name: value}) for value in values]
    return [deeper for m in models for deeper in grow(m, **dict(more))] if more else models


def group_key(model):
    return model.__skvariants_spec__().group_key()


def data_of(model, X, y, sample_weight=None, **validation):
    header = Header.of(type(model).__name__, get_tags(model))
    return prepare(model.__skvariants_spec__(), header, Given(X, y, sample_weight, **validation))


def fit_columns(models, X, y, previous=None, **fit_params):
    """Fit estimators as columns; what the fit of each gave, which it is told."""
    specs = [model.__skvariants_spec__() for model in models]
    results = fit_together(specs, data_of(models[0], X, y, **fit_params), previous)
    for model, result in zip(models, results, strict=True):
        model.__skvariants_publish__(result)
    return results


def assert_columns_are_fits(models, X, y, tol=1e-9, **fit_params):
    assert len({group_key(model) for model in models}) == 1
    alone = [clone(model) for model in models]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in alone:
            model.fit(X, y, **fit_params)
    fit_columns(models, X, y, **fit_params)
    for single, column in zip(alone, models, strict=True):
        size = max(1.0, np.abs(single.coef_).max())
        np.testing.assert_allclose(column.coef_, single.coef_, atol=tol * size)
        np.testing.assert_allclose(column.intercept_, single.intercept_, atol=tol * size)
        for name in ATTRIBUTES:
            assert getattr(column, name) == getattr(single, name), name
        assert column.eta0_ == pytest.approx(single.eta0_) if single.eta0_ is not None else column.eta0_ is None
        np.testing.assert_allclose(column.loss_curve_, single.loss_curve_, rtol=1e-6)
        np.testing.assert_array_equal(column.predict(X), single.predict(X)) if hasattr(column, "classes_") else None
    return models


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize("y", [Y2, pytest.param(Y3, marks=pytest.mark.slow)], ids=["binary", "multinomial"])
def test_a_column_is_a_fit_with_every_solver(solver, y):
    model = SGDVariantClassifier(**asked(solver), random_state=0, max_iter=12)
    assert_columns_are_fits(grow(model, alpha=ALPHAS, tol=[1e-2, 1e-3]), X, y)


@pytest.mark.parametrize("loss", CLASSIFYING)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_a_column_is_a_fit_with_every_loss_and_penalty(loss, penalty):
    model = SGDVariantClassifier(loss=loss, penalty=penalty, random_state=0, max_iter=12)
    assert_columns_are_fits(grow(model, alpha=ALPHAS), X, Y2)


@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].regression])
def test_a_column_is_a_fit_in_regression(loss):
    model, y = SGDVariantRegressor(loss=loss, random_state=0, max_iter=12), in_domain(LOSSES[loss](), YR)
    assert_columns_are_fits(grow(model, alpha=ALPHAS, epsilon=[0.1, 1.0]), X, y)
    both = np.column_stack([y, in_domain(LOSSES[loss](), -3 * YR + 1)])
    assert_columns_are_fits(grow(model, alpha=ALPHAS), sp.csr_array(X), both)


@pytest.mark.parametrize("rate", [name for name in SCHEDULES if SCHEDULES[name].stands_for is None])
def test_a_column_is_a_fit_with_every_schedule(rate):
    model = SGDVariantClassifier(learning_rate=rate, solver="minibatch", random_state=0, max_iter=8)
    assert_columns_are_fits(grow(model, alpha=[0.1, 1.0]), X, Y2)
    if rate != "optimal":
        assert_columns_are_fits(grow(model, alpha=[0.1, 1.0], eta0=[0.01, 0.1], power_t=[0.2, 0.5]), X, Y2)


@pytest.mark.parametrize("rate", ["pa1", "pa2"])
def test_a_column_is_a_fit_with_passive_aggressive_steps(rate):
    model = SGDVariantClassifier(loss="hinge", learning_rate=rate, solver="sgd", random_state=0, max_iter=3)
    assert_columns_are_fits(grow(model, eta0=[0.1, 1.0]), X, Y3)


def test_a_column_is_a_fit_with_hyperparameters_of_its_solver():
    for model, grid in (
        (SGDVariantClassifier(solver=Momentum()), {"solver__momentum": [0.5, 0.9]}),
        (SGDVariantClassifier(solver=Adam()), {"solver__beta_1": [0.5, 0.9], "solver__beta_2": [0.9, 0.99]}),
    ):
        assert_columns_are_fits(grow(model.set_params(random_state=0, max_iter=8), **grid, alpha=[0.01, 1.0]), X, Y3)


@pytest.mark.parametrize("solver", ["auto", "momentum"])
def test_a_column_is_a_fit_with_early_stopping_weights_and_average(solver):
    w = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    model = SGDVariantClassifier(solver=solver, early_stopping=True, random_state=0, n_iter_no_change=3)
    models = assert_columns_are_fits(grow(model, alpha=[1e-4, 0.1, 1e3]), X, Y3, sample_weight=w)
    assert all(m.validation_scores_ for m in models)
    own = dict(X_val=X[100:], y_val=Y3[100:])
    assert_columns_are_fits(grow(model, alpha=[1e-4, 0.1, 1e3]), X[:100], Y3[:100], **own)
    model.set_params(early_stopping=False, average=5, class_weight="balanced")
    assert_columns_are_fits(grow(model, alpha=[1e-4, 0.1]), X, Y3, sample_weight=w)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_stopping_is_local_and_divergence_too():
    model = SGDVariantRegressor(solver="minibatch", learning_rate="constant", random_state=0, scale_features=True)
    models = assert_columns_are_fits(grow(model, eta0=[0.01, 0.1, 1e6]), X, YR, tol=1e-7)
    assert [m.status_ for m in models] == ["plateau", "converged", models[2].status_]
    assert all(np.isfinite(m.coef_).all() for m in models)


@pytest.mark.parametrize("solver", SOLVERS)
def test_columns_go_on_where_they_stopped(solver):
    model = SGDVariantClassifier(**asked(solver), random_state=0, tol=None, warm_start=True, max_iter=3)
    parts = grow(model, alpha=ALPHAS)
    stands = [result.kept for result in fit_columns(parts, X, Y3)]
    for part in parts:
        part.set_params(max_iter=2)
    fit_columns(parts[1:], X, Y3, stands[1:])
    for part in parts[1:]:
        whole = clone(part).set_params(max_iter=5).fit(X, Y3)
        np.testing.assert_allclose(part.coef_, whole.coef_, atol=1e-10 * np.abs(whole.coef_).max())
        assert part.t_ == whole.t_
        np.testing.assert_allclose(part.loss_curve_, whole.loss_curve_)


def test_groups_part_what_cannot_share_a_matrix():
    base = SGDVariantClassifier()
    assert group_key(base) == group_key(clone(base).set_params(alpha=1.0, tol=1e-5))
    for other in (
        dict(solver="adam"), dict(loss="hinge"), dict(batch_size=7), dict(penalty="l1"), dict(eta0=0.1), dict(tol=None),
        dict(class_weight="balanced"), dict(random_state=3), dict(max_iter=5), dict(multi_class="ovr"),
    ):  # fmt: skip
        assert group_key(base) != group_key(clone(base).set_params(**other)), other
    assert not isinstance(SGDClassifier(), Trainable)
    with pytest.raises(ValueError, match="alpha=-1"):
        group_key(SGDVariantClassifier(alpha=-1))


def test_errors_of_the_data_are_everyones():
    models = grow(SGDVariantClassifier(), alpha=ALPHAS)
    for attempt in (lambda: data_of(models[0], X, np.zeros(len(X))), lambda: models[0].fit(X, np.zeros(len(X)))):
        with pytest.raises(ValueError, match="number of classes"):
            attempt()
    assert not any(hasattr(model, "coef_") for model in models)


class Weighted(ElasticNet):
    """Each feature has a strength of its own."""

    weights: object = hyperparameter(1.0, axis="feature")


def snapshot(model):
    return pickle.dumps(vars(model))


def test_a_failing_fit_inside_a_group_leaves_earlier_estimators_as_they_were(monkeypatch):
    model = SGDVariantClassifier(solver="adam", random_state=0, tol=None, warm_start=True, max_iter=3)
    models = grow(model, alpha=ALPHAS)
    stands = [result.kept for result in fit_columns(models, X, Y3)]
    before = [snapshot(m) for m in models]
    specs = [m.set_params(max_iter=2).__skvariants_spec__() for m in models]
    monkeypatch.setattr(story, "_BLOCK", 1)  # each is a block
    attempts = []

    def fails_in_the_third(*args, **kwargs):
        attempts.append(args)
        if len(attempts) == 3:
            raise ArithmeticError("no fit today")
        return fit(*args, **kwargs)

    fit = story.fit
    monkeypatch.setattr(story, "fit", fails_in_the_third)
    results = fit_together(specs, data_of(models[0], X, Y3), stands)
    assert [type(result).__name__ for result in results] == ["Fitted", "Fitted", "ArithmeticError"]
    assert [snapshot(m.set_params(max_iter=3)) for m in models] == before
    # they can still go on from there
    again = fit_together(specs, data_of(models[0], X, Y3), stands)
    whole = clone(models[2]).set_params(max_iter=5).fit(X, Y3)
    np.testing.assert_allclose(again[2].theta[:-1].T, whole.coef_, atol=1e-12)
    np.testing.assert_array_equal(again[0].theta, results[0].theta)


def test_a_failing_fit_is_that_of_its_block(monkeypatch):
    monkeypatch.setattr(story, "_BLOCK", 1)
    model = SGDVariantClassifier(solver="adam", random_state=0, scale_features=False)
    models = grow(model, penalty=[Weighted(), Weighted(weights=np.ones(3))])
    results = fit_together([m.__skvariants_spec__() for m in models], data_of(model, X, Y3))
    alone = models[0].fit(X, Y3)
    np.testing.assert_array_equal(results[0].theta[:-1].T, alone.coef_)
    assert "penalty__weights holds 3 values, and X has 8 features" in str(results[1])


# ------------------------------------------------------------------ threads


def blas_threads():
    return {lib["filepath"]: lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_small_products_get_one_thread_and_large_ones_theirs_but_for_scipys_library():
    with threadpool_limits(2, user_api="blas"):
        given = blas_threads()
        with threads(PARALLEL - 1):
            assert set(blas_threads().values()) <= {1}
        with threads(PARALLEL):
            inside = blas_threads()
        assert blas_threads() == given
    limited = {lib["filepath"] for lib in scipys_blas().info()}
    assert inside == {path: 1 if path in limited else count for path, count in given.items()}
    # NumPy's products keep their threads, whoever else is there
    assert len(limited) < max(len(given), 1)
    assert not any("numpy.libs" in path for path in limited)


@pytest.mark.parametrize("n", [1, 20, 32, 33, 160])
def test_one_sample_a_step_is_one_sample_a_step_however_few(n):
    model = SGDVariantRegressor(solver="sgd", eta0=1e-3, max_iter=2, tol=None).fit(X[:n], YR[:n])
    # a whole table of a batch is a batch
    assert model.t_ == 1 + 2 * (n if n > 32 else 1)
    stream = SGDVariantRegressor(solver="sgd", eta0=1e-3)
    for _ in range(2):
        stream.partial_fit(X[:n], YR[:n])
    assert stream.t_ == 1 + 2 * n


def test_blas_has_one_thread_where_rows_are_sparse(monkeypatch):
    asked = []
    monkeypatch.setattr("skvariants._fit.story.threads", lambda count: asked.append(count) or threads(count))
    rng = np.random.default_rng(0)
    X, y = sp.random(3000, 15000, 1e-3, format="csr", random_state=0), rng.integers(0, 2, 3000)
    SGDVariantClassifier().fit(X, y)
    SGDVariantClassifier().fit(X[:, :50].toarray(), y)
    assert asked == [0, 3000 * 50]

"""What estimators promise around a fit: where it starts, what is kept, whom a warning names, what is published."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import get_tags

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import ModifiedHuber
from skvariants.solvers import Adam

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
Y3 = np.argmax(X[:, :3] + RNG.standard_normal((90, 3)), axis=1)
Y2 = (Y3 > 0).astype(int)
YR = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RNG.standard_normal(90)
#: One pass of steps that are too short to move anything: the model is where it started.
STILL = dict(solver="minibatch", learning_rate="constant", eta0=1e-14, max_iter=1, tol=None, scale_features=False)


# ------------------------------------------------------------------ where a fit starts


@pytest.mark.parametrize("flat", [True, False])
def test_a_fit_starts_where_it_is_told(flat):
    coef = np.array([[1.0, -2.0, 3.0, 4.0]])
    model = SGDVariantRegressor(**STILL).fit(X, YR, coef_init=coef.ravel() if flat else coef, intercept_init=0.5)
    np.testing.assert_allclose(model.coef_, coef[0], atol=1e-10)
    np.testing.assert_allclose(model.intercept_, 0.5, atol=1e-10)
    classes = np.arange(12.0).reshape(3, 4)
    model = SGDVariantClassifier(**STILL).fit(X, Y3, coef_init=classes, intercept_init=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(model.coef_, classes, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, [1.0, 2.0, 3.0], atol=1e-10)


def test_what_is_not_told_of_a_start_is_zero():
    model = SGDVariantRegressor(**STILL).fit(X, YR + 7, coef_init=np.ones(4))
    np.testing.assert_allclose(model.intercept_, 0.0, atol=1e-10)
    model = SGDVariantRegressor(**STILL).fit(X, YR + 7, intercept_init=[2.0])
    np.testing.assert_allclose(model.coef_, np.zeros(4), atol=1e-10)
    np.testing.assert_allclose(model.intercept_, 2.0, atol=1e-10)


@pytest.mark.parametrize("sparse", [False, True])
def test_what_is_not_told_of_a_warm_start_is_the_model(sparse):
    model = SGDVariantClassifier(warm_start=True, **STILL).fit(
        X, Y3, coef_init=np.arange(12.0).reshape(3, 4), intercept_init=np.arange(3.0)
    )
    if sparse:
        model.sparsify()
    told = model.fit(X, Y3, coef_init=np.ones((3, 4)))
    np.testing.assert_allclose(told.intercept_, np.arange(3.0), atol=1e-10)
    told = model.sparsify() if sparse else model
    told = told.fit(X, Y3, intercept_init=np.zeros(3))
    np.testing.assert_allclose(told.coef_, np.ones((3, 4)), atol=1e-10)
    np.testing.assert_allclose(told.intercept_, 0.0, atol=1e-10)


def test_a_warm_start_on_other_rows_starts_at_the_model_and_a_cold_one_does_not():
    model = SGDVariantRegressor(warm_start=True, **STILL).fit(X, YR, coef_init=np.ones(4), intercept_init=[1.0])
    model.fit(X[:60], 2 * YR[:60] + 1)
    np.testing.assert_allclose(model.coef_, np.ones(4), atol=1e-10)
    np.testing.assert_allclose(model.intercept_, 1.0, atol=1e-10)
    model.set_params(warm_start=False).fit(X[:60], 2 * YR[:60] + 1)
    np.testing.assert_allclose(model.coef_, np.zeros(4), atol=1e-10)


@pytest.mark.parametrize("wrong", [np.ones(5), np.ones((4, 1)), np.ones((2, 4))])
def test_a_start_of_another_shape_is_refused(wrong):
    with pytest.raises(ValueError, match=r"coef_init does not match dataset: its shape is .*must be \(1, 4\)"):
        SGDVariantRegressor().fit(X, YR, coef_init=wrong)
    with pytest.raises(ValueError, match=r"intercept_init does not match dataset: .*must be \(1,\)"):
        SGDVariantRegressor().fit(X, YR, intercept_init=[1.0, 2.0])


# ------------------------------------------------------------------ what is kept and published


@pytest.mark.parametrize("solver", ["auto", "adam"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_pickle_is_large_only_where_a_fit_may_go_on(solver, warm):
    wide, y = np.tile(X, 50), Y2
    model = SGDVariantClassifier(solver=solver, warm_start=warm, random_state=0).fit(wide, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(wide), model.predict(wide))
    assert ("_state" in again.__getstate__()) == warm
    streamed = pickle.loads(pickle.dumps(model.partial_fit(wide, y)))
    assert "_state" in streamed.__getstate__()
    np.testing.assert_array_equal(streamed.partial_fit(wide, y).coef_, model.partial_fit(wide, y).coef_)


def test_what_a_fit_does_not_have_is_not_left_over_from_the_fit_before():
    names = pd.DataFrame(X, columns=list("abcd"))
    model = SGDVariantClassifier(solver="adam", early_stopping=True, random_state=0).fit(names, Y2)
    assert list(model.feature_names_in_) == list("abcd")
    assert model.race_ is not None
    assert model.best_epoch_ == 1 + np.argmax(model.validation_scores_)
    model.set_params(early_stopping=False, eta0=0.01).fit(X, Y2)
    assert not hasattr(model, "feature_names_in_")
    assert model.race_ is None
    assert model.validation_scores_ is None
    assert model.best_epoch_ is None
    assert model.eta0_ == 0.01


@pytest.mark.parametrize("solver", ["auto", "minibatch"])
@pytest.mark.parametrize("estimator", [SGDVariantClassifier, SGDVariantRegressor])
def test_a_warning_names_the_line_of_the_user(solver, estimator):
    model = estimator(solver=solver, max_iter=1, tol=1e-12, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, Y3)
    assert [warning.filename for warning in caught] == [__file__]


def test_steps_are_counted_from_one():
    model = SGDVariantRegressor(solver="minibatch", batch_size=10, eta0=0.01, max_iter=3, tol=None).fit(X, YR)
    assert model.t_ == 1 + 3 * 9
    assert model.n_iter_ == 3


@pytest.mark.parametrize(("solver", "steps"), [("gd", 1), ("sgd", 90)])
def test_a_step_of_sgd_is_a_row_and_one_of_gd_all_rows(solver, steps):
    model = SGDVariantRegressor(solver=solver, eta0=1e-3, max_iter=2, tol=None, random_state=0).fit(X, YR)
    assert model.t_ == 1 + 2 * steps


@pytest.mark.parametrize(
    ("solver", "random"),
    [
        ("auto", False),
        ("gd", False),
        ("quasi_newton", False),
        ("interior_point", False),
        ("adam", True),
        (Adam(), True),
    ],
)
def test_tags_say_which_solvers_draw_at_random(solver, random):
    tags = get_tags(SGDVariantClassifier(solver=solver))
    assert tags.non_deterministic == random
    assert tags.input_tags.sparse


# ------------------------------------------------------------------ streams


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_a_chunk_of_weight_zero_changes_nothing_not_even_as_the_first(solver):
    model, nothing = SGDVariantClassifier(solver=solver, random_state=0), np.zeros(90)
    assert model.partial_fit(X, Y2, classes=[0, 1], sample_weight=nothing) is model
    assert not hasattr(model, "coef_")
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.partial_fit(X, Y2)  # the classes are known
    before = model.coef_.copy()
    plain = SGDVariantClassifier(solver=solver, random_state=0).partial_fit(X, Y2, classes=[0, 1])
    np.testing.assert_array_equal(before, plain.coef_)
    model.partial_fit(X, Y2, sample_weight=nothing)
    np.testing.assert_array_equal(model.coef_, before)


def test_a_stream_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="early_stopping should be False with partial_fit"):
        SGDVariantRegressor(early_stopping=True).partial_fit(X, YR)
    for n_epochs in (0, -1, 1.5):
        with pytest.raises(ValueError, match="n_epochs"):
            SGDVariantRegressor().partial_fit(X, YR, n_epochs=n_epochs)
    for name in ("coef_", "intercept_"):
        model = SGDVariantRegressor().partial_fit(X, YR)
        getattr(model, name)[0] = np.nan
        with pytest.raises(ValueError, match="coef_ or intercept_ holds values that are not finite"):
            model.partial_fit(X, YR)


def test_progress_is_there_after_a_stream_alone():
    model = SGDVariantRegressor().fit(X, YR)
    for name in ("progressive_score_", "progressive_scores_"):
        with pytest.raises(AttributeError, match=f"SGDVariantRegressor has no {name}: .* after a call of partial_fit"):
            getattr(model, name)
    model = SGDVariantRegressor()
    for start in range(0, 90, 30):
        model.partial_fit(X[start : start + 30], YR[start : start + 30])
    assert model.progressive_score_ == pytest.approx(1, abs=0.05)
    assert model.progressive_scores_["n_rows"][-1] == 60  # the first chunk met no model
    model.fit(X, YR)
    assert not hasattr(model, "progressive_score_")


@pytest.mark.parametrize("solver", ["minibatch", "adam"])
def test_two_passes_are_two_calls(solver):
    params = dict(solver=solver, eta0=0.01, scale_features=False, shuffle=False, batch_size=15)
    once = SGDVariantRegressor(**params).partial_fit(X, YR, n_epochs=2)
    twice = SGDVariantRegressor(**params).partial_fit(X, YR).partial_fit(X, YR)
    np.testing.assert_array_equal(once.coef_, twice.coef_)
    assert once.t_ == twice.t_ == 13


# ------------------------------------------------------------------ using the model


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("targets", [YR, np.column_stack([YR, -YR])])
def test_predictions_are_products_whatever_the_containers(container, targets):
    model = SGDVariantRegressor(random_state=0).fit(X, targets)
    expected = X @ np.atleast_2d(model.coef_).T + model.intercept_
    expected = expected.reshape(targets.shape)
    np.testing.assert_allclose(model.predict(container(X)), expected, rtol=1e-12)
    coef = model.coef_.copy()
    np.testing.assert_allclose(model.sparsify().predict(container(X)), expected, rtol=1e-12)
    assert sp.issparse(model.coef_)
    np.testing.assert_array_equal(model.densify().coef_, coef)


def test_probabilities_of_no_class_at_all_are_uniform():
    model = SGDVariantClassifier(loss="modified_huber", multi_class="ovr", random_state=0).fit(X, Y3)
    model.coef_ = np.zeros((3, 4))
    model.intercept_ = np.full(3, -2.0)  # each class has probability zero
    np.testing.assert_allclose(model.predict_proba(X[:2]), 1 / 3)
    assert np.isfinite(model.predict_log_proba(X[:2])).all()
    model.intercept_ = np.array([-2.0, 0.0, 1.0])
    np.testing.assert_allclose(model.predict_proba(X[:2]), [[0, 1 / 3, 2 / 3]] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isneginf(model.predict_log_proba(X[:2])[:, 0]).all()


def test_probabilities_of_two_classes_are_those_of_the_loss():
    model = SGDVariantClassifier(loss="modified_huber", random_state=0).fit(X, Y2)
    z = model.decision_function(X)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], ModifiedHuber().probability(z))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X), (z > 0).astype(int))


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "perceptron"])
def test_probabilities_of_losses_without_any_say_what_to_use(loss):
    model = SGDVariantClassifier(loss=loss)
    assert not hasattr(model, "predict_log_proba")
    with pytest.raises(AttributeError) as caught:
        _ = model.predict_proba
    assert "use 'log_loss' or 'modified_huber'" in str(caught.value.__cause__)


def test_only_a_loss_that_couples_classes_is_multinomial():
    with pytest.raises(ValueError, match=r"multi_class='multinomial' needs loss='log_loss', not loss='hinge'"):
        SGDVariantClassifier(loss="hinge", multi_class="multinomial").fit(X, Y3)
    two = SGDVariantClassifier(multi_class="multinomial").fit(X, Y2)
    one = SGDVariantClassifier().fit(X, Y2)
    np.testing.assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=0.05)


def test_a_fit_of_the_package_may_be_a_column_and_that_of_a_subclass_may_not():
    class Own(SGDVariantRegressor):
        def fit(self, X, y):
            return super().fit(X, y)

    for estimator in (SGDVariantClassifier, SGDVariantRegressor):
        assert estimator.fit.trains_as_columns is estimator.fit
    assert not hasattr(Own.fit, "trains_as_columns")


# ------------------------------------------------------------------ ranges


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("alpha", [0, 1e-9, 3.5], [-1e-9, np.nan, "1", None]),
        ("l1_ratio", [0, 1, 0.5, None], [-0.01, 1.01]),
        ("batch_size", ["auto", "full", 1], [0, 1.5, "all", None]),
        ("scale_features", ["auto", True, False], [2, "yes", None]),
        ("power_t", [0, 0.25], [-0.1, None]),
        ("max_iter", [1, 7], [0, 2.5, None]),
        ("tol", [None, 0, 1e-5], [-1e-5, "auto"]),
        ("n_iter_no_change", [1, 9], [0, 1.5, None]),
        ("epsilon", [0, 2.0], [-0.1, None]),
        ("validation_fraction", [1e-9, 0.999], [0, 1, 1.0, None]),
        ("average", [True, False, 1, 10], [0, -1, 1.5, None]),
        ("forgetting", [None, "auto", 1, 100], [0, -1, 0.5, "never"]),
        ("random_state", [None, 0, 2**32 - 1, np.random.RandomState(0)], [-1, 2**32, 0.5, "0"]),
        ("verbose", [True, False, 0, 3], [-1, 0.5, None]),
        ("n_jobs", [None, 1, -1], [1.5, "2"]),
        ("multi_class", ["auto", "ovr", "multinomial"], ["one", None]),
        ("on_new_class", ["error", "grow"], ["ignore", None]),
        ("class_weight", [None, "balanced", {0: 1}], ["even", 3]),
    ],
)
def test_the_ends_of_ranges_are_where_the_documentation_has_them(name, taken, refused):
    for value in taken:
        SGDVariantClassifier(**{name: value}).__skvariants_spec__()
    for value in refused:
        with pytest.raises((ValueError, TypeError), match=name):
            SGDVariantClassifier(**{name: value}).__skvariants_spec__()

"""Numbers at the ends of what a float holds: every parameter takes them, or says what it takes; no warning of NumPy."""

import inspect
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import EpsilonInsensitive, Huber, LogCosh, Quantile, SquaredEpsilonInsensitive, Tweedie
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import ElasticNet, GroupLasso
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS

VALUES = [1.7e308, 1e308, 1e200, 1e-200, 1e-308, 5e-324, 0.0, np.nan, np.inf, -np.inf, -1.0]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
NOISY = X[:, 0] + 0.5 * RNG.standard_normal(40)
TARGETS = {SGDVariantClassifier: (NOISY > 0).astype(int), SGDVariantRegressor: np.abs(NOISY) + 0.1}
LOSSES = {SGDVariantClassifier: ["log_loss", "hinge"], SGDVariantRegressor: ["squared_error", "epsilon_insensitive"]}
WITH = {"eta0": {"solver": "sgd"}, "power_t": {"solver": "sgd", "learning_rate": "invscaling", "eta0": 0.01}}


def is_a_model_or_a_sentence(make, name):
    """Whether parameters make a finite model; or what is accepted is said, by name and in words."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model = make()
        except (ValueError, TypeError) as error:
            words = str(error)
            return name in words and len(words) > 30
    return bool(np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all())


@pytest.mark.parametrize("estimator", TARGETS)
def test_a_strength_of_any_size_is_a_model(estimator):
    y = TARGETS[estimator]
    for loss in LOSSES[estimator]:
        for penalty in ("l2", "l1"):
            for alpha in (1.7e308, 1e200, 5e-324):
                model = estimator(loss=loss, penalty=penalty, alpha=alpha, max_iter=20)
                assert is_a_model_or_a_sentence(lambda model=model: model.fit(X, y), "alpha")
                # weights that cost so much are zero
                assert alpha < 1 or np.abs(model.coef_).max() < 1e-30


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "alpha", "l1_ratio", "eta0", "power_t", "tol", "validation_fraction", "epsilon", "max_time", "forgetting",
])  # fmt: skip
@pytest.mark.parametrize("estimator", TARGETS)
def test_every_number_of_an_estimator_is_taken_or_refused_in_words(estimator, name):
    y = TARGETS[estimator]
    more = {"classes": [0, 1]} if estimator is SGDVariantClassifier else {}
    for value in VALUES:
        for loss in LOSSES[estimator]:
            params = {"loss": loss, "penalty": "elasticnet", "max_iter": 20, **WITH.get(name, {}), name: value}
            early = name == "validation_fraction"
            fitted = estimator(**params, early_stopping=early)
            assert is_a_model_or_a_sentence(lambda fitted=fitted: fitted.fit(X, y), name)
            stream = estimator(**params)
            assert is_a_model_or_a_sentence(lambda stream=stream: stream.partial_fit(X, y, **more), name)


# what knows losses of linear pieces only
OF_PIECES = {name: {"loss": "hinge"} for name in ("interior_point", "pa1", "pa2")}


def numbers_of(component):
    """Names of the fields of a component."""
    return [name for name in inspect.signature(component).parameters if name != "groups"]


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES)
def test_every_number_of_a_component_is_taken_or_refused_in_words(value):
    cases = [(SGDVariantRegressor, "loss", loss, {}) for loss in (
        EpsilonInsensitive, Huber, LogCosh, Quantile, SquaredEpsilonInsensitive, Tweedie,
    )]  # fmt: skip
    cases += [(SGDVariantClassifier, "penalty", one, {}) for one in (ElasticNet, GroupLasso)]
    cases += [(SGDVariantClassifier, "solver", one, OF_PIECES.get(name, {})) for name, one in SOLVERS.items()]
    cases += [
        (SGDVariantClassifier, "learning_rate", one, {"solver": "sgd", **OF_PIECES.get(name, {})})
        for name, one in SCHEDULES.items()
    ]
    for estimator, role, component, params in cases:
        for name in numbers_of(component):
            given = {"groups": [0, 0, 1]} if component is GroupLasso else {}

            def make(estimator=estimator, role=role, component=component, params=params, name=name, given=given):
                model = estimator(**{role: component(**{name: value}, **given), "max_iter": 20, **params})
                return model.fit(X, TARGETS[estimator])

            assert is_a_model_or_a_sentence(make, name)


def test_a_search_takes_strengths_of_any_size():
    grid = {"alpha": [1.7e308, 1e200, 1.0, 5e-324]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = BatchedGridSearchCV(SGDVariantClassifier(), grid, cv=2).fit(X, TARGETS[SGDVariantClassifier])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("loss", ["huber", Huber(epsilon=0.0)], ids=["named", "component"])
def test_a_huber_loss_of_no_width_is_refused(loss):
    # it would be zero everywhere
    with pytest.raises(ValueError, match=r"epsilon=0.*\(0, inf\)"):
        SGDVariantRegressor(loss=loss, epsilon=0.0).fit(X, NOISY)

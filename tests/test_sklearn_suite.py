"""scikit-learn's own tests for SGD, run against these estimators with its defaults.

The installed scikit-learn ships its tests. This module loads those of SGDClassifier and SGDRegressor with the
two classes replaced, and collects them all but the ones in DIFFERENCES, each with its reason; the
reasons are rows of the table in docs/coming_from_sgdclassifier.md.
"""

import importlib.util
import sys
import types

import pytest
from sklearn import linear_model

from skvariants import SGDVariantClassifier, SGDVariantRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
]


class AsSGDClassifier(SGDVariantClassifier):
    """SGDVariantClassifier with scikit-learn's defaults."""

    def __init__(
        self, loss="hinge", *, penalty="l2", alpha=0.0001, l1_ratio=0.15, fit_intercept=True,
        max_iter=1000, tol=1e-3, shuffle=True, verbose=0, epsilon=0.1, n_jobs=None,
        random_state=None, learning_rate="optimal", eta0=0.01, power_t=0.5, early_stopping=False,
        validation_fraction=0.1, n_iter_no_change=5, class_weight=None, warm_start=False,
        average=False, solver="sgd", batch_size=1, multi_class="ovr", scale_features=False,
    ):  # fmt: skip
        params = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**params)


class AsSGDRegressor(SGDVariantRegressor):
    """SGDVariantRegressor with scikit-learn's defaults."""

    def __init__(
        self, loss="squared_error", *, penalty="l2", alpha=0.0001, l1_ratio=0.15,
        fit_intercept=True, max_iter=1000, tol=1e-3, shuffle=True, verbose=0, epsilon=0.1,
        random_state=None, learning_rate="invscaling", eta0=0.01, power_t=0.25,
        early_stopping=False, validation_fraction=0.1, n_iter_no_change=5, warm_start=False,
        average=False, solver="sgd", batch_size=1, scale_features=False,
    ):  # fmt: skip
        params = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**params)


#: Tests that do not apply, or that assert what is deliberately different here.
DIFFERENCES = {}


def _load():
    spec = importlib.util.find_spec("sklearn.linear_model.tests.test_sgd")
    if spec is None:
        return {}
    module = importlib.util.module_from_spec(spec)
    replaced = types.ModuleType("linear_model")
    replaced.__dict__.update(vars(linear_model))
    replaced.SGDClassifier, replaced.SGDRegressor = AsSGDClassifier, AsSGDRegressor
    kept = linear_model.SGDClassifier, linear_model.SGDRegressor
    sys.modules[spec.name + "_replaced"] = module
    try:
        linear_model.SGDClassifier, linear_model.SGDRegressor = AsSGDClassifier, AsSGDRegressor
        spec.loader.exec_module(module)
    finally:
        linear_model.SGDClassifier, linear_model.SGDRegressor = kept
    module.linear_model = replaced
    return {
        name: thing
        for name, thing in vars(module).items()
        if name.startswith("test_") and name not in DIFFERENCES
    }


globals().update(_load())

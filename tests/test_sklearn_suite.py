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
DIFFERENCES = {
    # private or other classes
    "test_plain_has_no_average_attr": "private attributes",
    "test_loss_function_epsilon": "private attributes",
    "test_sgd_predict_proba_method_access": "reads the private registry loss_functions",
    # exact equality of two orders of the same sum
    "test_late_onset_averaging_not_reached": "equality to the last bit",
    # the table's rows
    "test_late_onset_averaging_reached": "sparse intercepts are not damped",
    "test_average_binary_computed_correctly": "sparse intercepts are not damped",
    "test_sgd_multiclass_average": "sparse intercepts are not damped",
    "test_sgd_averaged_computed_correctly": "sparse intercepts are not damped",
    "test_sgd_averaged_partial_fit": "sparse intercepts are not damped",
    "test_average_sparse": "sparse intercepts are not damped",
    "test_sgd_proba": "sparse intercepts are not damped",
    "test_sgd_l1": "a local class that pickle finds only in the original module",
    "test_validation_set_not_used_for_training": "the best epoch is restored",
    "test_power_t_limits": "a negative power_t is an error",
    "test_input_format": "several targets are columns of one model",
    "test_validation_mask_correctly_subsets": "private callback",
    "test_sgd_error_on_zero_validation_weight": "rows of weight zero are dropped before the split",
    "test_weights_multiplied": "only ratios of sample weights matter",
    "test_balanced_weight": "a class weight is a sample weight, in every column of one-vs-rest",
    "test_partial_fit_weight_class_balanced": "a stream counts its classes",
    "test_class_weights": "a prediction on the decision boundary; the shuffled order decides it",
    "test_sample_weights": "a prediction on the decision boundary; the shuffled order decides it",
    "test_underflow_or_overflow": "divergence steps back and warns instead of raising",
    "test_underflow_or_overlow": "the same in older versions",
    "test_passive_aggressive_deprecated_average": "average=0 is an error, as in newer versions",
    # a per-sample loop over 40,000 weights a step
    "test_SGDClassifier_fit_for_all_backends": "takes minutes; nothing is shared between processes",
}

#: Of the others those that take seconds.
SLOW = {
    "test_elasticnet_convergence",
    "test_multi_core_gridsearch_and_early_stopping",
    "test_n_iter_no_change",
    "test_equal_class_weight",
}


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
    tests = {name: test for name, test in vars(module).items() if name.startswith("test_") and name not in DIFFERENCES}
    return {name: pytest.mark.slow(test) if name in SLOW else test for name, test in tests.items()}


globals().update(_load())

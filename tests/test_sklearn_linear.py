"""scikit-learn's own tests of linear models whose losses and penalties we have, run against the estimators.

The modules of the installed scikit-learn are loaded with the classes replaced by adapters, which translate parameters;
one case stands for all of its solvers, as a solver is not translated. What is excluded has a reason.
"""

import pytest

from _sklearn_adapters import (
    AsElasticNet,
    AsHuberRegressor,
    AsLasso,
    AsLogisticRegression,
    AsPerceptron,
    AsRidge,
    AsRidgeClassifier,
)
from _sklearn_suite import load, skip

pytestmark = [pytest.mark.filterwarnings("ignore")]

REPLACED = {
    "sklearn.linear_model": {
        "LogisticRegression": AsLogisticRegression,
        "Ridge": AsRidge,
        "RidgeClassifier": AsRidgeClassifier,
        "ElasticNet": AsElasticNet,
        "Lasso": AsLasso,
        "HuberRegressor": AsHuberRegressor,
        "Perceptron": AsPerceptron,
    }
}
MODULES = ("huber", "perceptron", "logistic", "ridge", "coordinate_descent")
#: Tests that do not apply, or that assert what is deliberately different here: names or patterns, by the reason.
DIFFERENCES = {
    # other things than a fit of one model
    "scikit-learn's own searches, whose fits are not replaced": """
        test_*logistic_cv* test_*[cC]V* test_logistic_regressioncv* test_multinomial_cv_iris test_*logregcv*
        test_lr_cv_scores* test_lr_scoring_warns test_get_default_scorer test_scores_attribute_layout_elasticnet
        test_*_gcv* test_*ridge_cv* test_ridgecv_alphas* test_ridgecv_int_alphas test_ridgecv_store*
        test_ridge_loo_cv* test_ridge_classifier_cv* test_ridge_store_cv* test_ridge_best_score
        test_ridge_classifier_with_scoring test_ridge_regression_custom_scoring test_class_weights_cv
        test_*with_default_scoring* test_uniform_targets test_lasso_cv* test_lassocv* test_enet_cv_positive*
        test_enet_cv_sample* test_multitask* test_1d_multi* test_*enetcv* test_*_cv_* test_enet_l1_ratio test_*cv_warns*
        test_sparse_input_*
    """,
    "functions, not estimators": """
        test_*path* test_set_order_* test_cython_solver_equivalence test_X_CenterStackOp test_compute_*
        test_primal_dual_relationship test_ridge_regression_convergence_fail test_ridge_regression_check_arguments*
        test_ridge_regression_dtype_stability test_lbfgs_solver_consistency test_huber_gradient
    """,
    "L1 over the columns of several targets": "test_multi_task* test_warm_start_multitask* test_convergence_warnings",
    "fitted attributes are arrays of NumPy, whatever X is": "test_*array_api*",
    "a fit tells callbacks of epochs": "test_logistic_regression_callback*",
    # parameters without a counterpart
    "solvers of its own, and what each refuses or warns of": """
        test_check_solver_option test_liblinear_dual* test_liblinear_multiclass_raises test_liblinear_with_large_values
        test_lr_liblinear_warning test_newton_cholesky_fallback* test_ridge_fit_intercept_sparse_error
        test_ridge_fit_intercept_sparse_sag test_lbfgs_solver_error test_ridge_positive_error_test test_max_iter
        test_saga_vs_liblinear test_logistic_regression_solvers
    """,
    "products are not given beforehand": "test_*gram*",
    "rows are always checked, and never overwritten": "test_check_input_false test_enet_copy_X_False*",
    "a penalty has one strength": "test_ridge_individual_penalties test_dtype_match_cholesky",
    "max_iter is at least 1": "test_zero_max_iter",
    "softmax of two classes is the log loss": "test_multinomial_binary_probabilities test_multi_class_deprecated",
    # attributes of another form, private ones, warnings in other words
    "an intercept is an array, and n_iter_ a number": "test_ridge_shapes_type test_n_iter",
    "private members": "test_logreg_predict_proba_multinomial test_lasso_dual_gap",
    "said in other words": """
        test_enet_nonfinite_params test_enet_coordinate_descent* test_raises_value_error_if_sample_weights_greater*
    """,
    "nothing is said": """
        test_lasso_alpha_warning test_l1_ratio_non_elasticnet test_penalty_none test_penalty_deprecated
        test_l1_ratio_None_deprecated test_logisticregression_warns_with_n_jobs test_lr_penalty_l1ratio_incompatible
    """,
    # counts of iterations
    "a quadratic takes one iteration": "test_warm_start_convergence test_warm_start_convergence_with_regularizer*",
    # numbers
    "sums of softmax coefficients over the classes are zero as far as tol says": "test_multinomial_identifiability*",
    "a single class is refused": "test_model_pipeline_same_dense_and_sparse",
    "with more features than rows the scale is zero": "test_huber_sample_weights",
}
CASES = {
    ("test_dtype_match", "liblinear"): "float32 is kept",
    ("test_logistic_regression_solvers_multiclass_unpenalized", "True"): "sums of coefficients, as far as tol says",
    ("test_logistic_regression_cv_refit", "[0]"): "equality of one solver with itself",
    ("test_ridge_regression_unpenalized", "wide-False"): "of many solutions, the shortest in standardised coordinates",
    ("test_ridge_regression_unpenalized_vstacked_X", "wide-False"): "of many solutions, the shortest in these too",
    ("test_regularization_limits_ridge", "wide-True-cholesky-zero_alpha"): "of many solutions, the shortest in these",
    ("test_regularization_limits_ridge", "False-cholesky-zero_alpha"): "the objective is flat to its last bit",
    ("test_enet_ridge_consistency", "1e-06"): "the objective is flat to its last bit",
}
#: Which case of a parameter that is not translated stands for all.
STANDS_FOR_ALL = {"solver": ("lbfgs", "cholesky", "sparse_cg"), "precompute": (False,), "problem": ("single",)}
EXCLUDED = {name for names in DIFFERENCES.values() for name in names.split()}
QUICK = {
    "test_logistic_glmnet", "test_ridge_regression", "test_enet_toy", "test_huber_and_sgd_same_results",
    "test_perceptron_correctness",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _applies(request):
    skip(request, CASES)


for _module in MODULES:
    for _name, _test in load(
        f"sklearn.linear_model.tests.test_{_module}", REPLACED, EXCLUDED, quick=QUICK, stands_for_all=STANDS_FOR_ALL,
        fixtures={"ols_ridge_dataset"},
    ).items():  # fmt: skip
        globals()[_name.replace("test_", f"test_{_module}_", 1) if _name.startswith("test_") else _name] = _test

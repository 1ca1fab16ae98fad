"""The names of components, as literals that editors complete and type checkers compare, and what others call them.

The registries are what counts; ``tests/test_typing.py`` asks that these are the same.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

SolverName: TypeAlias = Literal[
    "auto",
    "gd",
    "sgd",
    "minibatch",
    "momentum",
    "nesterov",
    "qhm",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "adamax",
    "nadam",
    "amsgrad",
    "yogi",
    "adamw",
    "adabelief",
    "radam",
    "adan",
    "adopt",
    "rprop",
    "signum",
    "lion",
    "cocob",
    "dog",
    "dowg",
    "prodigy",
    "dual_averaging",
    "ftrl",
    "schedule_free",
    "implicit",
    "nag",
    "svrg",
    "saga",
    "quasi_newton",
    "interior_point",
]
PenaltyName: TypeAlias = Literal["l2", "l1", "elasticnet"]
LearningRateName: TypeAlias = Literal["auto", "constant", "optimal", "invscaling", "adaptive", "cosine", "pa1", "pa2"]
ClassifierLossName: TypeAlias = Literal[
    "log_loss",
    "hinge",
    "perceptron",
    "squared_hinge",
    "modified_huber",
    "squared_error",
    "absolute_error",
    "quantile",
    "huber",
    "log_cosh",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
]
RegressorLossName: TypeAlias = Literal[
    "squared_error",
    "poisson",
    "gamma",
    "tweedie",
    "binomial",
    "absolute_error",
    "quantile",
    "huber",
    "log_cosh",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "log_loss",
]

#: What a squared loss is called where its root is reported.
_ROOT = "'squared_error' (of the same minimum as its root; score with scoring='neg_root_mean_squared_error')"
#: What other libraries call a component, by the parameter that holds it; asked for in small letters without separators.
ALSO_KNOWN: dict[str, dict[str, str]] = {
    "loss": {
        **dict.fromkeys(
            ("log", "logloss", "logistic", "logit", "crossentropy", "binarycrossentropy", "bce", "softmax", "deviance"),
            "'log_loss'",
        ),
        **dict.fromkeys(
            ("mse", "l2", "ls", "ols", "squared", "squaredloss", "leastsquares", "meansquarederror", "linear", "r2"),
            "'squared_error'",
        ),
        **dict.fromkeys(("gaussian", "normal"), "'squared_error'"),
        **dict.fromkeys(("rmse", "rootmeansquarederror"), _ROOT),
        **dict.fromkeys(("mae", "l1", "lad", "absolute", "median", "meanabsoluteerror"), "'absolute_error'"),
        **dict.fromkeys(("mape", "meanabsolutepercentageerror"), "'absolute_error' with sample_weight=1 / np.abs(y)"),
        **dict.fromkeys(("pinball", "pinballloss", "quantileloss"), "'quantile'"),
        **dict.fromkeys(("svm", "svc", "svr"), "'hinge' (of labels) or 'epsilon_insensitive' (of numbers)"),
        **dict.fromkeys(("smoothl1",), "'huber'"),
        **dict.fromkeys(
            ("ordinal", "ordinallogit", "cumulativelogit", "orderedlogit", "proportionalodds"),
            "'log_loss' of a label for each threshold (y > level), as the guide to losses has it",
        ),
        **dict.fromkeys(("ridge", "tikhonov"), "loss='squared_error' with penalty='l2'"),
        **dict.fromkeys(("lasso",), "loss='squared_error' with penalty='l1'"),
        **dict.fromkeys(("elasticnet", "enet"), "loss='squared_error' with penalty='elasticnet'"),
    },
    "penalty": {
        **dict.fromkeys(("ridge", "tikhonov", "weightdecay"), "'l2'"),
        **dict.fromkeys(("lasso",), "'l1'"),
        **dict.fromkeys(("enet", "l1l2", "en"), "'elasticnet'"),
        **dict.fromkeys(("none", "no", "null"), "None, without quotation marks"),
        **dict.fromkeys(("grouplasso", "group"), "an instance of GroupLasso"),
    },
    "solver": {
        **dict.fromkeys(
            ("lbfgs", "lbfgsb", "bfgs", "newton", "newtoncg", "newtoncholesky", "newtonraphson", "irls"),
            "'quasi_newton' (or leave 'auto')",
        ),
        **dict.fromkeys(
            ("liblinear", "none", "default", "svd", "cholesky", "lsqr", "sparsecg", "cd", "coordinatedescent", "admm"),
            "'auto'",
        ),
        **dict.fromkeys(("ipm", "interior"), "'interior_point'"),
        **dict.fromkeys(("nesterovmomentum", "nesterovacceleratedgradient"), "'nesterov'"),
        "sag": "'saga'",
        **dict.fromkeys(("heavyball", "sgdm", "sgdmomentum"), "'momentum'"),
        **dict.fromkeys(("gradientdescent", "batchgd", "fullbatch"), "'gd'"),
        **dict.fromkeys(("stochastic", "stochasticgradientdescent"), "'sgd' (a row a step) or 'minibatch'"),
        **dict.fromkeys(("asgd", "averaged", "averagedsgd"), "'sgd' with average=True"),
        "batch": "'gd' (all rows a step) or 'minibatch'",
        "rls": "'auto' with partial_fit",
        **{name: f"learning_rate={name!r}" for name in ("constant", "optimal", "invscaling", "adaptive", "cosine")},
        **{name: f"learning_rate={name!r} (passive-aggressive rules are schedules here)" for name in ("pa1", "pa2")},
        **dict.fromkeys(
            ("pa", "passiveaggressive"), "learning_rate='pa1' (passive-aggressive rules are schedules here)"
        ),
    },
    "learning_rate": {
        **dict.fromkeys(("inverse", "inversescaling"), "'invscaling'"),
        **dict.fromkeys(("cos", "cosineannealing"), "'cosine'"),
        "fixed": "'constant'",
        "none": "'auto'",
        **dict.fromkeys(("adam", "adagrad", "rmsprop", "momentum", "sgd"), "solver, in the place of learning_rate"),
    },
}

_TO_STRENGTH = "pass alpha, the strength of the penalty beside the mean loss"
#: What to do about parameters of other libraries that the estimators call otherwise.
CALLED_ELSEWHERE: dict[str, str] = {
    "C": "pass alpha=1 / (C * n_samples), the strength of the penalty beside the mean loss",
    **dict.fromkeys(
        ("lambda_", "lam", "reg", "reg_alpha", "regularization", "weight_decay", "reg_lambda"), _TO_STRENGTH
    ),
    **dict.fromkeys(("lr", "learning_rate_init", "step_size", "eta"), "pass eta0, the first step"),
    **dict.fromkeys(("n_iter", "epochs", "n_epochs", "max_epochs", "num_epochs", "n_iterations"), "pass max_iter"),
    **dict.fromkeys(("optimizer", "optimiser", "algorithm", "method"), "pass solver"),
    **dict.fromkeys(("criterion", "objective", "loss_function"), "pass loss"),
    **dict.fromkeys(("normalize", "standardize", "scale"), "pass scale_features"),
    **dict.fromkeys(("seed", "random_seed"), "pass random_state"),
    "patience": "pass n_iter_no_change",
    **dict.fromkeys(("batchsize", "minibatch_size"), "pass batch_size"),
    **dict.fromkeys(("intercept", "bias"), "pass fit_intercept"),
    "groups": "pass penalty=GroupLasso(groups=...)",
    "delta": "pass epsilon, with loss='huber'",
    **dict.fromkeys(("tau", "quantiles"), "pass loss=Quantile(quantile=...)"),
    **dict.fromkeys(("nesterovs_momentum", "nesterov"), "pass solver='nesterov'"),
    **dict.fromkeys(("dual", "intercept_scaling", "n_jobs"), "leave it out, as nothing here needs it"),
    **dict.fromkeys(("n_features", "feature_names"), "leave it out, as fit learns it from X"),
    **dict.fromkeys(("cv", "scoring", "alphas", "Cs", "l1_ratios"), "search by BatchedGridSearchCV"),
    **dict.fromkeys(("sample_weight", "X_val", "y_val", "coef_init"), "pass it to fit"),
    "classes": "pass it to partial_fit",
    **dict.fromkeys(("class_weight", "multi_class", "on_new_class"), "it is a parameter of the classifier"),
}

#: What scores are called by scikit-learn that others call otherwise, in small letters.
METRICS_ELSEWHERE: dict[str, str] = {
    "rmse": "neg_root_mean_squared_error",
    **dict.fromkeys(("mse", "l2"), "neg_mean_squared_error"),
    **dict.fromkeys(("mae", "l1"), "neg_mean_absolute_error"),
    "mape": "neg_mean_absolute_percentage_error",
    **dict.fromkeys(("logloss", "log_loss", "cross_entropy", "crossentropy"), "neg_log_loss"),
    **dict.fromkeys(("auc", "auroc", "rocauc"), "roc_auc"),
    **dict.fromkeys(("ap", "pr_auc", "auprc"), "average_precision"),
    "acc": "accuracy",
    "brier": "neg_brier_score",
    **dict.fromkeys(("r^2", "r2_score"), "r2"),
    "f1_score": "f1",
}

__all__ = [
    "ALSO_KNOWN",
    "CALLED_ELSEWHERE",
    "METRICS_ELSEWHERE",
    "ClassifierLossName",
    "LearningRateName",
    "PenaltyName",
    "RegressorLossName",
    "SolverName",
]

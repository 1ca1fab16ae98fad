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

#: What other libraries call a component, by the parameter that holds it; asked for in small letters without separators.
ALSO_KNOWN: dict[str, dict[str, str]] = {
    "loss": {
        **dict.fromkeys(
            ("log", "logloss", "logistic", "crossentropy", "binarycrossentropy", "bce", "softmax", "deviance"),
            "'log_loss'",
        ),
        **dict.fromkeys(
            ("mse", "l2", "ls", "squared", "squaredloss", "leastsquares", "meansquarederror"), "'squared_error'"
        ),
        **dict.fromkeys(("mae", "l1", "lad", "absolute", "meanabsoluteerror"), "'absolute_error'"),
        **dict.fromkeys(("pinball", "pinballloss", "quantileloss"), "'quantile'"),
        **dict.fromkeys(("svm", "svc", "svr"), "'hinge' (of labels) or 'epsilon_insensitive' (of numbers)"),
        **dict.fromkeys(("smoothl1",), "'huber'"),
    },
    "penalty": {
        **dict.fromkeys(("ridge", "tikhonov", "weightdecay"), "'l2'"),
        **dict.fromkeys(("lasso",), "'l1'"),
        **dict.fromkeys(("enet", "l1l2"), "'elasticnet'"),
        **dict.fromkeys(("none", "no", "null"), "None, without quotation marks"),
        **dict.fromkeys(("grouplasso", "group"), "an instance of GroupLasso"),
    },
    "solver": {
        **dict.fromkeys(
            ("lbfgs", "bfgs", "newton", "newtoncg", "newtoncholesky", "irls"), "'quasi_newton' (or leave 'auto')"
        ),
        **dict.fromkeys(("liblinear", "none", "default"), "'auto'"),
        "sag": "'saga'",
        "heavyball": "'momentum'",
        "batch": "'gd' (all rows a step) or 'minibatch'",
        "rls": "'auto' with partial_fit",
    },
    "learning_rate": {"inverse": "'invscaling'", "cosineannealing": "'cosine'", "fixed": "'constant'"},
}

__all__ = ["ALSO_KNOWN", "ClassifierLossName", "LearningRateName", "PenaltyName", "RegressorLossName", "SolverName"]

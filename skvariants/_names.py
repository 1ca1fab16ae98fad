"""The names of components, as literals that editors complete and type checkers compare.

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
    "radam",
    "adabelief",
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
    "modified_huber",
    "squared_hinge",
    "perceptron",
    "squared_error",
    "huber",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "absolute_error",
    "quantile",
    "log_cosh",
]
RegressorLossName: TypeAlias = Literal[
    "squared_error",
    "huber",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "absolute_error",
    "quantile",
    "log_cosh",
    "poisson",
    "gamma",
    "tweedie",
    "binomial",
    "log_loss",
]

__all__ = ["ClassifierLossName", "LearningRateName", "PenaltyName", "RegressorLossName", "SolverName"]

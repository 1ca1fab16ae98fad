r"""Losses: how wrong a prediction is, and which way is better.

A loss knows the target `y` and the prediction `z = x @ w + b`, element by element; it
never sees `X`, `W`, weights or means. Both arrays have the column as last axis: `z` is
``(n_batch, n_columns)`` and `y` broadcasts against it. Losses of margin kind expect `y` in
{-1, +1}; losses of residual kind take real targets (and, in a classifier, -1 and +1).

At a kink the value is continuous and :meth:`Loss.gradient` returns the one-sided derivative that
scikit-learn's SGD uses. ``gradient`` and ``value`` never overwrite `y` or `z`.
"""

from typing import Any

from skvariants.losses.base import Loss, Ramp
from skvariants.losses.classes import MultinomialLogLoss
from skvariants.losses.deviance import Binomial, Gamma, Poisson, Tweedie
from skvariants.losses.margin import Hinge, LogLoss, ModifiedHuber, Perceptron, SquaredHinge
from skvariants.losses.residual import (
    AbsoluteError,
    EpsilonInsensitive,
    Huber,
    LogCosh,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
)

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "Binomial",
    "EpsilonInsensitive",
    "Gamma",
    "Hinge",
    "Huber",
    "LogCosh",
    "LogLoss",
    "Loss",
    "ModifiedHuber",
    "MultinomialLogLoss",
    "Perceptron",
    "Poisson",
    "Quantile",
    "Ramp",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "Tweedie",
    "of_labels",
]

#: Every loss by name, in the order in which the documentation shows them.
LOSSES: dict[str, Any] = {
    "log_loss": LogLoss,
    "hinge": Hinge,
    "modified_huber": ModifiedHuber,
    "squared_hinge": SquaredHinge,
    "perceptron": Perceptron,
    "squared_error": SquaredError,
    "huber": Huber,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
    "absolute_error": AbsoluteError,
    "quantile": Quantile,
    "log_cosh": LogCosh,
    "poisson": Poisson,
    "gamma": Gamma,
    "tweedie": Tweedie,
    "binomial": Binomial,
}


def of_labels() -> dict[str, Any]:
    """Losses by name that a classifier takes: those that are defined for -1 and 1."""
    return {name: loss for name, loss in LOSSES.items() if all(label in loss().domain for label in (-1.0, 1.0))}

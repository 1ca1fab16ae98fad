r"""Losses: how wrong a prediction is, and which way is better.

A loss knows the target `y` and the prediction `z = x @ w + b`, element by element; it
never sees `X`, `W`, weights or means. Both arrays have the column as last axis: `z` is
``(n_batch, n_columns)`` and `y` broadcasts against it. Losses of margin kind expect `y` in
{-1, +1}; losses of residual kind take real targets (and, in a classifier, -1 and +1).

At a kink the value is continuous and :meth:`Loss.gradient` returns the one-sided derivative that
scikit-learn's SGD uses. ``gradient`` and ``value`` never overwrite `y` or `z`.
"""

from typing import TYPE_CHECKING, Any

from skvariants._registry import Family
from skvariants.losses.base import Loss, Ramp, registered
from skvariants.losses.classes import MultinomialLogLoss

if TYPE_CHECKING:  # for editors; docs/make_tables.py writes these lines from what is registered
    from skvariants.losses.deviance import Binomial as Binomial
    from skvariants.losses.deviance import Gamma as Gamma
    from skvariants.losses.deviance import Poisson as Poisson
    from skvariants.losses.deviance import Tweedie as Tweedie
    from skvariants.losses.margin import Hinge as Hinge
    from skvariants.losses.margin import LogLoss as LogLoss
    from skvariants.losses.margin import ModifiedHuber as ModifiedHuber
    from skvariants.losses.margin import Perceptron as Perceptron
    from skvariants.losses.margin import SquaredHinge as SquaredHinge
    from skvariants.losses.residual import AbsoluteError as AbsoluteError
    from skvariants.losses.residual import EpsilonInsensitive as EpsilonInsensitive
    from skvariants.losses.residual import Huber as Huber
    from skvariants.losses.residual import LogCosh as LogCosh
    from skvariants.losses.residual import Quantile as Quantile
    from skvariants.losses.residual import SquaredEpsilonInsensitive as SquaredEpsilonInsensitive
    from skvariants.losses.residual import SquaredError as SquaredError

_CLASSES = registered.load(__name__, __path__)
globals().update(_CLASSES)

#: Families of losses by name.
FAMILIES: dict[str, Family] = registered.families

#: Every loss by name.
LOSSES: dict[str, Any] = registered.by_name

__all__ = ["FAMILIES", "LOSSES", "Loss", "MultinomialLogLoss", "Ramp", "of_labels"]
__all__ += sorted(_CLASSES)


def __dir__() -> list[str]:
    return list(__all__)


def of_labels() -> dict[str, Any]:
    """Losses by name that a classifier takes: those that are defined for -1 and 1."""
    return {name: loss for name, loss in LOSSES.items() if all(label in loss().domain for label in (-1.0, 1.0))}

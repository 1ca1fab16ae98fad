r"""Solvers: from a gradient to a direction and a scale.

Every step is one line, and :meth:`Solver.update` is that line:

.. math:: W \leftarrow \operatorname{prox}_{\eta s}\left(W - \eta\, s\, d\right)

The schedule gives :math:`\eta`, the penalty its prox, and a solver the direction `d` and the scale `s`. A solver of
your own is a class with the method :meth:`Solver.step`; nothing has to be registered.
"""

from typing import Any

from skvariants._step import Step
from skvariants.solvers.adaptive import AdaDelta, AdaGrad, Adam, RMSProp
from skvariants.solvers.base import Solver
from skvariants.solvers.descent import GD, SGD, MiniBatch
from skvariants.solvers.interior_point import InteriorPoint
from skvariants.solvers.momentum import Momentum, Nesterov
from skvariants.solvers.passive_aggressive import PASSIVE_AGGRESSIVE, PassiveAggressiveI, PassiveAggressiveII
from skvariants.solvers.quasi_newton import QuasiNewton
from skvariants.solvers.recursive import Recursive

__all__ = [
    "GD",
    "PASSIVE_AGGRESSIVE",
    "SGD",
    "SOLVERS",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "InteriorPoint",
    "MiniBatch",
    "Momentum",
    "Nesterov",
    "PassiveAggressiveI",
    "PassiveAggressiveII",
    "QuasiNewton",
    "RMSProp",
    "Recursive",
    "Solver",
    "Step",
]

#: Every solver by name, in historical order.
SOLVERS: dict[str, Any] = {
    "gd": GD,
    "sgd": SGD,
    "minibatch": MiniBatch,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "adadelta": AdaDelta,
    "rmsprop": RMSProp,
    "adam": Adam,
    "quasi_newton": QuasiNewton,
    "interior_point": InteriorPoint,
}

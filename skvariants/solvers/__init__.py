r"""Solvers: from a gradient to a direction and a scale.

Every step is one line, and :meth:`Solver.update` is that line:

.. math:: W \leftarrow \operatorname{prox}_{\eta s}\left(W - \eta\, s\, d\right)

The schedule gives :math:`\eta`, the penalty its prox, and a solver the direction `d` and the scale `s`. A solver of
your own is a class with the method :meth:`Solver.step`; nothing has to be registered.
"""

from typing import Any

from skvariants._step import Step
from skvariants.solvers.adabelief import AdaBelief
from skvariants.solvers.adamax import Adamax
from skvariants.solvers.adamw import AdamW
from skvariants.solvers.adan import Adan
from skvariants.solvers.adaptive import AdaDelta, AdaGrad, Adam, RMSProp
from skvariants.solvers.adopt import ADOPT
from skvariants.solvers.amsgrad import AMSGrad
from skvariants.solvers.base import Solver
from skvariants.solvers.cocob import COCOB
from skvariants.solvers.descent import GD, SGD, MiniBatch
from skvariants.solvers.dog import DoG
from skvariants.solvers.dowg import DoWG
from skvariants.solvers.dual_averaging import DualAveraging
from skvariants.solvers.ftrl import FTRL
from skvariants.solvers.interior_point import InteriorPoint
from skvariants.solvers.lion import Lion
from skvariants.solvers.momentum import Momentum, Nesterov
from skvariants.solvers.nadam import NAdam
from skvariants.solvers.passive_aggressive import PASSIVE_AGGRESSIVE, PassiveAggressiveI, PassiveAggressiveII
from skvariants.solvers.prodigy import Prodigy
from skvariants.solvers.qhm import QHM
from skvariants.solvers.quasi_newton import QuasiNewton
from skvariants.solvers.radam import RAdam
from skvariants.solvers.recursive import Recursive
from skvariants.solvers.rprop import Rprop
from skvariants.solvers.schedule_free import ScheduleFree
from skvariants.solvers.signum import Signum
from skvariants.solvers.yogi import Yogi

__all__ = [
    "ADOPT",
    "COCOB",
    "FTRL",
    "GD",
    "PASSIVE_AGGRESSIVE",
    "QHM",
    "SGD",
    "SOLVERS",
    "AMSGrad",
    "AdaBelief",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "DoG",
    "DoWG",
    "DualAveraging",
    "InteriorPoint",
    "Lion",
    "MiniBatch",
    "Momentum",
    "NAdam",
    "Nesterov",
    "PassiveAggressiveI",
    "PassiveAggressiveII",
    "Prodigy",
    "QuasiNewton",
    "RAdam",
    "RMSProp",
    "Recursive",
    "Rprop",
    "ScheduleFree",
    "Signum",
    "Solver",
    "Step",
    "Yogi",
]

#: Every solver by name: the lecture's in historical order, those with methods of their own, and further ones.
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
    "amsgrad": AMSGrad,
    "adamax": Adamax,
    "nadam": NAdam,
    "radam": RAdam,
    "adamw": AdamW,
    "adabelief": AdaBelief,
    "yogi": Yogi,
    "adan": Adan,
    "adopt": ADOPT,
    "lion": Lion,
    "signum": Signum,
    "rprop": Rprop,
    "qhm": QHM,
    "dog": DoG,
    "dowg": DoWG,
    "cocob": COCOB,
    "prodigy": Prodigy,
    "schedule_free": ScheduleFree,
    "ftrl": FTRL,
    "dual_averaging": DualAveraging,
}

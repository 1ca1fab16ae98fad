r"""Solvers: from a gradient to a direction and a scale.

Every step is one line, and :meth:`Solver.update` is that line:

.. math:: W \leftarrow \operatorname{prox}_{\eta s}\left(W - \eta\, s\, d\right)

The schedule gives :math:`\eta`, the penalty its prox, and a solver the direction `d` and the scale `s`. A solver of
your own is a class with the method :meth:`Solver.step`; nothing has to be registered.
"""

from dataclasses import dataclass
from typing import Any

from skvariants._names import SolverName
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
from skvariants.solvers.implicit import Implicit
from skvariants.solvers.interior_point import InteriorPoint
from skvariants.solvers.lion import Lion
from skvariants.solvers.momentum import Momentum, Nesterov
from skvariants.solvers.nadam import NAdam
from skvariants.solvers.nag import NAG
from skvariants.solvers.passive_aggressive import PASSIVE_AGGRESSIVE, PassiveAggressiveI, PassiveAggressiveII
from skvariants.solvers.prodigy import Prodigy
from skvariants.solvers.qhm import QHM
from skvariants.solvers.quasi_newton import QuasiNewton
from skvariants.solvers.radam import RAdam
from skvariants.solvers.recursive import Recursive
from skvariants.solvers.rprop import Rprop
from skvariants.solvers.schedule_free import ScheduleFree
from skvariants.solvers.signum import Signum
from skvariants.solvers.variance_reduced import SAGA, SVRG
from skvariants.solvers.yogi import Yogi

__all__ = [
    "ADOPT",
    "COCOB",
    "FAMILIES",
    "FTRL",
    "GD",
    "LECTURE",
    "NAG",
    "PASSIVE_AGGRESSIVE",
    "QHM",
    "SAGA",
    "SGD",
    "SOLVERS",
    "SVRG",
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
    "Family",
    "Implicit",
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


@dataclass(frozen=True)
class Family:
    """Solvers that answer the same trouble.

    Parameters
    ----------
    purpose : str
        What they are for, in one phrase.
    solvers : dict of str to class
        By name, in historical order.
    """

    purpose: str
    solvers: dict[str, Any]


#: Families of solvers by name.
FAMILIES: dict[str, Family] = {
    "plain steps": Family(
        "no trouble: the cheapest step, and the surface as it is", {"gd": GD, "sgd": SGD, "minibatch": MiniBatch}
    ),
    "momentum": Family("a ravine", {"momentum": Momentum, "nesterov": Nesterov, "qhm": QHM}),
    "adaptive": Family(
        "rare features; with Adam a ravine too",
        {"adagrad": AdaGrad, "adadelta": AdaDelta, "rmsprop": RMSProp, "adam": Adam},
    ),
    "after Adam": Family(
        "what Adam does, where one of its parts goes wrong",
        {
            "adamax": Adamax,
            "nadam": NAdam,
            "amsgrad": AMSGrad,
            "yogi": Yogi,
            "adamw": AdamW,
            "radam": RAdam,
            "adabelief": AdaBelief,
            "adan": Adan,
            "adopt": ADOPT,
        },
    ),
    "signs": Family(
        "gradients of unequal size, or wild ones, with little memory",
        {"rprop": Rprop, "signum": Signum, "lion": Lion},
    ),
    "learning-rate-free": Family(
        "no step size to choose or to race", {"cocob": COCOB, "dog": DoG, "dowg": DoWG, "prodigy": Prodigy}
    ),
    "averages and sums": Family(
        "the model is not the last step: exact zeros in a stream, or no schedule",
        {"dual_averaging": DualAveraging, "ftrl": FTRL, "schedule_free": ScheduleFree},
    ),
    "row by row": Family(
        "a length for each row: no step too long, whatever its units", {"implicit": Implicit, "nag": NAG}
    ),
    "variance reduction": Family(
        "many passes over one table, to where plain steps stall in their noise", {"svrg": SVRG, "saga": SAGA}
    ),
    "curvature": Family(
        "the table is at hand: what `auto` takes", {"quasi_newton": QuasiNewton, "interior_point": InteriorPoint}
    ),
}

#: Every solver by name.
SOLVERS: dict[Any, Any] = {name: cls for family in FAMILIES.values() for name, cls in family.solvers.items()}

#: The nine of the lecture, from the plainest to both cures at once.
LECTURE: tuple[SolverName, ...] = (
    "gd",
    "sgd",
    "minibatch",
    "momentum",
    "nesterov",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
)

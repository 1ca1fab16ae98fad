r"""Solvers: from a gradient to a direction and a scale.

Every step is one line, and :meth:`Solver.update` is that line:

.. math:: W \leftarrow \operatorname{prox}_{\eta s}\left(W - \eta\, s\, d\right)

The schedule gives :math:`\eta`, the penalty its prox, and a solver the direction `d` and the scale `s`. A solver of
your own is a class with the method :meth:`Solver.step`; nothing has to be registered. Those of the package register
themselves, so that a further one is a module of this folder.
"""

from typing import TYPE_CHECKING, Any

from skvariants._names import SolverName
from skvariants._registry import Family
from skvariants._step import Step
from skvariants.solvers.base import Solver, registered
from skvariants.solvers.passive_aggressive import PASSIVE_AGGRESSIVE, PassiveAggressiveI, PassiveAggressiveII
from skvariants.solvers.recursive import Recursive

if TYPE_CHECKING:  # for editors; docs/make_tables.py writes these lines from what is registered
    from skvariants.solvers.adabelief import AdaBelief as AdaBelief
    from skvariants.solvers.adamax import Adamax as Adamax
    from skvariants.solvers.adamw import AdamW as AdamW
    from skvariants.solvers.adan import Adan as Adan
    from skvariants.solvers.adaptive import AdaDelta as AdaDelta
    from skvariants.solvers.adaptive import AdaGrad as AdaGrad
    from skvariants.solvers.adaptive import Adam as Adam
    from skvariants.solvers.adaptive import RMSProp as RMSProp
    from skvariants.solvers.adopt import ADOPT as ADOPT
    from skvariants.solvers.amsgrad import AMSGrad as AMSGrad
    from skvariants.solvers.cocob import COCOB as COCOB
    from skvariants.solvers.descent import GD as GD
    from skvariants.solvers.descent import SGD as SGD
    from skvariants.solvers.descent import MiniBatch as MiniBatch
    from skvariants.solvers.dog import DoG as DoG
    from skvariants.solvers.dowg import DoWG as DoWG
    from skvariants.solvers.dual_averaging import DualAveraging as DualAveraging
    from skvariants.solvers.ftrl import FTRL as FTRL
    from skvariants.solvers.implicit import Implicit as Implicit
    from skvariants.solvers.interior_point import InteriorPoint as InteriorPoint
    from skvariants.solvers.lion import Lion as Lion
    from skvariants.solvers.momentum import Momentum as Momentum
    from skvariants.solvers.momentum import Nesterov as Nesterov
    from skvariants.solvers.nadam import NAdam as NAdam
    from skvariants.solvers.nag import NAG as NAG
    from skvariants.solvers.prodigy import Prodigy as Prodigy
    from skvariants.solvers.qhm import QHM as QHM
    from skvariants.solvers.quasi_newton import QuasiNewton as QuasiNewton
    from skvariants.solvers.radam import RAdam as RAdam
    from skvariants.solvers.rprop import Rprop as Rprop
    from skvariants.solvers.schedule_free import ScheduleFree as ScheduleFree
    from skvariants.solvers.signum import Signum as Signum
    from skvariants.solvers.variance_reduced import SAGA as SAGA
    from skvariants.solvers.variance_reduced import SVRG as SVRG
    from skvariants.solvers.yogi import Yogi as Yogi

_CLASSES = registered.load(__name__, __path__)
globals().update(_CLASSES)

#: Families of solvers by name.
FAMILIES: dict[str, Family] = registered.families

#: Every solver by name.
SOLVERS: dict[Any, Any] = registered.by_name

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

__all__ = [
    "FAMILIES",
    "LECTURE",
    "PASSIVE_AGGRESSIVE",
    "SOLVERS",
    "Family",
    "PassiveAggressiveI",
    "PassiveAggressiveII",
    "Recursive",
    "Solver",
    "Step",
]
__all__ += sorted(_CLASSES)


def __dir__() -> list[str]:
    return list(__all__)

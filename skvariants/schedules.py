r"""Schedules: how long the step is.

A schedule knows `t`, the number of the update (from 1), and returns :math:`\eta_t`: a scalar, or one value
per column. It never touches the solver, so every schedule works with every solver.

A schedule that has a field `eta0` may leave it "auto": then the estimator's `eta0` fills it, or the race of
learning rates does. A schedule without one fixes its own steps and is never raced.

Passive-aggressive updates are solvers, because each sample has a length of its own; "pa1" and "pa2" are their names as
learning rates, and :class:`PA1` and :class:`PA2` aliases that say which solver is meant.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from skvariants._component import Component, Interval, OneOf, hyperparameter, integers

__all__ = [
    "PA1",
    "PA2",
    "SCHEDULES",
    "Adaptive",
    "Constant",
    "Cosine",
    "InvScaling",
    "Optimal",
    "Schedule",
]


def __dir__() -> list[str]:
    return list(__all__)


Array = np.ndarray
_OPEN = OneOf("auto", Interval(0, closed="neither"))


class Schedule(Component):
    """Interface of all schedules; subclass it for your own.

    Define `__call__`; override :meth:`on_plateau` to react when progress stops.

    Attributes
    ----------
    stands_for : str or None
        Name of the passive-aggressive rule that this rate stands for.
    """

    stands_for: ClassVar[str | None] = None
    elsewhere = dict.fromkeys(("lr", "learning_rate", "eta", "step_size", "initial_lr"), "pass eta0")

    @abstractmethod
    def __call__(self, t: int) -> Any:
        """Step size of update number `t` (from 1): a float or ``(n_columns,)``."""

    def on_plateau(self, eta: Array) -> Array:
        """Answer to `n_iter_no_change` epochs without progress.

        Parameters
        ----------
        eta : ndarray of shape (n_columns,)
            The current step of the columns that have stalled.

        Returns
        -------
        ndarray of shape (n_columns,)
            By what to multiply the step; 0 says that the column is done.
        """
        return np.zeros_like(eta)

    def bind(self, loss: Any, alpha: Any) -> Schedule:
        """This schedule for a given loss and strength of penalty.

        Parameters
        ----------
        loss : Loss
            What is minimised.
        alpha : float or ndarray of shape (n_columns,)
            Strength of the penalty.

        Returns
        -------
        Schedule
        """
        return self

    @property
    def raced(self) -> bool:
        """Whether the step size is still to be found."""
        return isinstance(getattr(self, "eta0", None), str)


class Constant(Schedule):
    r"""The same step always.

    .. math:: \eta_t = \eta_0

    Use it for full-batch solvers, or with averaging; alone it hovers around the optimum.

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        The step.

    References
    ----------
    Bach and Moulines (2013), "Non-strongly-convex smooth stochastic approximation with
    convergence rate O(1/n)", arXiv:1306.2119.

    Examples
    --------
    >>> from skvariants.schedules import Constant
    >>> Constant(eta0=0.1)(7)
    0.1
    """

    eta0: Any = hyperparameter("auto", _OPEN)

    def __call__(self, t: int) -> Any:
        return self.eta0


class Optimal(Schedule):
    r"""Bottou's schedule, tied to the strength of the penalty.

    .. math:: \eta_t = \frac{1}{\alpha (t_0 + t - 1)}

    Use it for scikit-learn's default classifier. It needs ``alpha > 0`` and has no `eta0`: :math:`t_0` comes from a
    typical weight.

    Parameters
    ----------
    alpha : float, default=1e-4
        Strength of the penalty.
    t0 : float or "auto", default="auto"
        Offset; "auto" is Bottou's heuristic.

    References
    ----------
    Bottou (2012), "Stochastic gradient descent tricks", doi:10.1007/978-3-642-35289-8_25.

    Examples
    --------
    >>> from skvariants.schedules import Optimal
    >>> Optimal(alpha=0.01, t0=100.0)(1)
    1.0
    """

    alpha: Any = hyperparameter(1e-4, Interval(0))
    t0: Any = hyperparameter("auto", _OPEN)

    def __call__(self, t: int) -> Any:
        with np.errstate(over="ignore"):  # no step
            return 1.0 / (self.alpha * (self.t0 + (t - 1)))

    def bind(self, loss: Any, alpha: Any) -> Schedule:
        if not np.all(np.asarray(self.alpha) > 0):
            raise ValueError(
                "alpha must be > 0 since learning_rate is 'optimal'. alpha is used to compute the "
                "optimal learning rate; pass a positive alpha or another learning_rate."
            )
        if not isinstance(self.t0, str):
            if not np.all(np.multiply(self.alpha, self.t0) > 1 / np.finfo(float).max):
                raise ValueError(
                    f"t0={self.t0!r} makes the first step, 1 / (alpha * t0), longer than any number: pass a larger t0, "
                    "or leave it 'auto'."
                )
            return self
        # the first step is a typical weight; Bottou divides it by the slope of the loss at minus that weight, for a
        # target of one, where that exceeds 1: it is negative
        typical = np.sqrt(1.0 / np.sqrt(self.alpha))
        return Optimal(alpha=self.alpha, t0=1.0 / (typical * self.alpha))


class InvScaling(Schedule):
    r"""A step that shrinks with a power of the number of updates.

    .. math:: \eta_t = \eta_0 / t^{p}

    Use it for a stochastic solver without averaging (:math:`p` from 0.25 to 0.5 in practice).

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        The first step.
    power_t : float, default=0.5
        The power :math:`p`.

    References
    ----------
    Robbins and Monro (1951), "A stochastic approximation method", doi:10.1214/aoms/1177729586.

    Examples
    --------
    >>> from skvariants.schedules import InvScaling
    >>> InvScaling(eta0=1.0, power_t=0.5)(4)
    0.5
    """

    eta0: Any = hyperparameter("auto", _OPEN)
    power_t: Any = hyperparameter(0.5, Interval(0))

    def __call__(self, t: int) -> Any:
        try:
            return self.eta0 / t**self.power_t
        except OverflowError:  # a step shorter than any number
            return self.eta0 * 0.0


class Adaptive(Schedule):
    r"""A constant step, divided whenever progress stops.

    .. math:: \eta \leftarrow \eta / 5

    after `n_iter_no_change` epochs without progress.

    Use it when the number of passes is not known beforehand.

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        The first step.
    factor : float, default=0.2
        By what the step is multiplied.
    floor : float, default=1e-6
        The fit ends when progress stops at a step not above this.

    References
    ----------
    scikit-learn, :class:`sklearn.linear_model.SGDClassifier`, ``learning_rate="adaptive"``.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.schedules import Adaptive
    >>> Adaptive(eta0=0.1).on_plateau(np.array([0.1, 1e-7]))
    array([0.2, 0. ])
    """

    eta0: Any = hyperparameter("auto", _OPEN)
    factor: float = hyperparameter(0.2, Interval(0, 1, "neither"))
    floor: float = hyperparameter(1e-6, Interval(0))

    def __call__(self, t: int) -> Any:
        return self.eta0

    def on_plateau(self, eta: Array) -> Array:
        return np.where(eta > self.floor, self.factor, 0.0)


class Cosine(Schedule):
    r"""A step that falls to zero along half a cosine over a known number of updates.

    .. math:: \eta_t = \tfrac{1}{2} \eta_0 \left(1 + \cos(\pi \min(t / T, 1))\right)

    Use it when the number of updates is known beforehand.

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        The first step.
    horizon : int, default=1000
        The number :math:`T` of updates after which the step is zero.

    References
    ----------
    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts",
    arXiv:1608.03983.

    Examples
    --------
    >>> from skvariants.schedules import Cosine
    >>> Cosine(eta0=1.0, horizon=10)(5)
    0.5
    """

    eta0: Any = hyperparameter("auto", _OPEN)
    horizon: int = hyperparameter(1000, integers(1))

    def __call__(self, t: int) -> Any:
        share = min(t / self.horizon, 1.0)
        return 0.5 * self.eta0 * (1 + math.cos(math.pi * share))


class Settling(Schedule):
    r"""A step that shrinks with the root of the number of updates, from one of them on, in stairs.

    .. math:: \eta_t = \eta_0 \sqrt{t_0 / t}, \qquad t > t_0

    It is the one of ``learning_rate="auto"`` in a stream, whose end is not known; :math:`t_0` is when its first step
    was found. A stair is a sixth: between them the steps of sparse rows have one length.

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        The first step.
    since : int, default=1
        The number :math:`t_0`.

    References
    ----------
    Zinkevich (2003), "Online convex programming and generalized infinitesimal gradient ascent", ICML.

    Examples
    --------
    >>> from skvariants.schedules import Settling
    >>> schedule = Settling(eta0=1.0, since=100)
    >>> schedule(100), schedule(400)
    (1.0, 0.5)
    """

    eta0: Any = hyperparameter("auto", _OPEN)
    since: int = hyperparameter(1, integers(1))

    def __call__(self, t: int) -> Any:
        return self.eta0 * 2.0 ** (-0.25 * max(math.floor(2 * math.log2(t / self.since)), 0))


class PA1(Schedule):
    r"""Name of :class:`~skvariants.solvers.PassiveAggressiveI`: as far as the sample asks, at most `eta0`.

    .. math:: \tau_i = \min(C, \ell_i / \|x_i\|^2)

    Use it online with hinge or epsilon-insensitive loss; C is `eta0`.

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        Aggressiveness C; "auto" is 1.

    References
    ----------
    Crammer et al. (2006), "Online passive-aggressive algorithms", JMLR 7, 551-585.

    Examples
    --------
    >>> from skvariants.losses import Hinge
    >>> from skvariants.schedules import PA1
    >>> PA1().bind(Hinge(), alpha=0.0)
    PA1(eta0=1.0)
    """

    eta0: Any = hyperparameter("auto", _OPEN)
    stands_for = "pa1"

    def __call__(self, t: int) -> Any:
        return 1.0

    @property
    def raced(self) -> bool:
        return False

    def bind(self, loss: Any, alpha: Any) -> Schedule:
        if not loss.passive_aggressive:
            raise ValueError(
                f"learning_rate={self.stands_for!r} only works with the hinge loss (classification) or the "
                f"epsilon_insensitive loss (regression), not with {type(loss).__name__}: change one."
            )
        return self.with_fields(eta0=1.0) if isinstance(self.eta0, str) else self


class PA2(PA1):
    r"""Name of :class:`~skvariants.solvers.PassiveAggressiveII`: the same, regularised instead of cut.

    .. math:: \tau_i = \frac{\ell_i}{\|x_i\|^2 + 1 / (2 C)}

    Use it online where labels are noisy; C is `eta0`.

    Parameters
    ----------
    eta0 : float or "auto", default="auto"
        Aggressiveness C; "auto" is 1.

    References
    ----------
    Crammer et al. (2006), "Online passive-aggressive algorithms", JMLR 7, 551-585.

    Examples
    --------
    >>> from skvariants.schedules import PA2
    >>> PA2(eta0=0.5).stands_for
    'pa2'
    """

    stands_for = "pa2"


#: Every schedule by name, in the order in which the documentation shows them.
SCHEDULES: dict[str, Any] = {
    "constant": Constant,
    "optimal": Optimal,
    "invscaling": InvScaling,
    "adaptive": Adaptive,
    "cosine": Cosine,
    "pa1": PA1,
    "pa2": PA2,
}

"""Adaptive solvers: every weight has a scale of its own, from the gradients that it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter, operand
from skvariants.solvers.base import Solver, registered

Array = np.ndarray
_DECAY = Interval(0, 1)
_EPS = Interval(0, closed="neither")


@registered("adagrad", "adaptive", 2011)
class AdaGrad(Solver):
    r"""Divide by the root of the sum of squared gradients: rare features take larger steps.

    .. math:: a_t = a_{t-1} + g_t^2, \qquad w_{t+1} = w_t - \eta_t\, g_t / (\sqrt{a_t} + \varepsilon)

    Use it for sparse features of very unequal frequency. Its steps only ever shrink.

    Parameters
    ----------
    eps : float, default=1e-10
        Added outside the root.

    References
    ----------
    Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12, 2121-2159.

    Examples
    --------
    >>> from skvariants.solvers import AdaGrad
    >>> AdaGrad()
    AdaGrad()
    """

    eps: float = hyperparameter(1e-10, _EPS)
    memory = ("accumulator",)
    scale_free = lazy = shrinks = True
    eta0 = 0.1
    rests = True
    cures = "rare features: larger steps where updates are few"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (a,) = memory
        np.multiply(g, g, out=work)
        a += work
        np.sqrt(a, out=work)
        work += operand(self.eps, work.dtype)
        np.reciprocal(work, out=work)
        return g, work


@registered("adadelta", "adaptive", 2012)
class AdaDelta(Solver):
    r"""Steps in the units of the weights: no learning rate of its own.

    .. math:: a_t = \rho a_{t-1} + (1 - \rho) g_t^2, \quad
              \delta_t = \frac{\sqrt{u_{t-1} + \varepsilon}}{\sqrt{a_t + \varepsilon}} g_t, \quad
              u_t = \rho u_{t-1} + (1 - \rho) \delta_t^2, \quad w_{t+1} = w_t - \eta_t \delta_t

    Use it where AdaGrad stalls and no rate is to be chosen (``eta0=1`` is the paper's method).

    Parameters
    ----------
    rho : float, default=0.95
        Decay of both running averages.
    eps : float, default=1e-6
        Added inside the roots; sets the length of the first steps.

    References
    ----------
    Zeiler (2012), "ADADELTA: an adaptive learning rate method", arXiv:1212.5701.

    Examples
    --------
    >>> from skvariants.solvers import AdaDelta
    >>> AdaDelta(rho=0.9)
    AdaDelta(rho=0.9)
    """

    rho: float = hyperparameter(0.95, _DECAY)
    eps: float = hyperparameter(1e-6, _EPS)
    memory = ("square_average", "delta_average")
    scale_free = True
    eta0 = 1.0
    rests = True
    cures = "AdaGrad's stalling, with no rate of its own"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        a, u = memory
        np.multiply(g, g, out=work)
        work -= a
        work *= operand(1 - self.rho, work.dtype)
        a += work
        eps = operand(self.eps, work.dtype)
        np.add(u, eps, out=work)
        work /= a + eps
        np.sqrt(work, out=work)
        delta = work * g
        delta *= delta
        delta -= u
        delta *= operand(1 - self.rho, work.dtype)
        u += delta
        return g, work


@registered("rmsprop", "adaptive", 2012)
class RMSProp(Solver):
    r"""Divide by a running root mean square of the gradient.

    .. math:: a_t = \rho a_{t-1} + (1-\rho) g_t^2, \qquad
              w_{t+1} = w_t - \eta_t\, g_t / (\sqrt{a_t} + \varepsilon)

    Use it where AdaGrad stalls: old gradients are forgotten.

    Parameters
    ----------
    rho : float, default=0.9
        Decay of the running average.
    eps : float, default=1e-8
        Added outside the root.

    References
    ----------
    Tieleman and Hinton (2012), "Lecture 6.5: rmsprop", Coursera: Neural networks for machine
    learning.

    Examples
    --------
    >>> from skvariants.solvers import RMSProp
    >>> RMSProp(rho=0.99)
    RMSProp(rho=0.99)
    """

    rho: float = hyperparameter(0.9, _DECAY)
    eps: float = hyperparameter(1e-8, _EPS)
    memory = ("square_average",)
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "AdaGrad's stalling: old gradients are forgotten"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (a,) = memory
        np.multiply(g, g, out=work)
        work -= a
        work *= operand(1 - self.rho, work.dtype)
        a += work
        np.sqrt(a, out=work)
        work += operand(self.eps, work.dtype)
        np.reciprocal(work, out=work)
        return g, work


@registered("adam", "adaptive", 2015)
class Adam(Solver):
    r"""Momentum's direction in RMSprop's scale, both corrected for their start at zero.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2,
              \quad w_{t+1} = w_t - \eta_t \frac{m_t / (1 - \beta_1^t)}
              {\sqrt{v_t / (1 - \beta_2^t)} + \varepsilon}

    Use it where there is a ravine and rare features too.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of gradients.
    beta_2 : float, default=0.999
        Decay of the running mean of squared gradients.
    eps : float, default=1e-8
        Added outside the root, after the correction.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", arXiv:1412.6980.

    Examples
    --------
    >>> from skvariants.solvers import Adam
    >>> Adam(beta_1=0.8)
    Adam(beta_1=0.8)
    """

    beta_1: float = hyperparameter(0.9, _DECAY)
    beta_2: float = hyperparameter(0.999, _DECAY)
    eps: float = hyperparameter(1e-8, _EPS)
    memory = ("mean", "square_average")
    scale_free = True
    eta0 = 0.03
    rests = True
    cures = "the ravine and rare features together"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        m, v = memory
        np.multiply(g, g, out=work)
        work -= v
        work *= operand(1 - self.beta_2, work.dtype)
        v += work
        g -= m
        g *= operand(1 - self.beta_1, work.dtype)
        m += g
        # the correction of the mean goes into the scale, for a pass less
        start = 1 - self.beta_1**t
        np.multiply(v, operand(start**2 / (1 - self.beta_2**t), work.dtype), out=work)
        np.sqrt(work, out=work)
        work += operand(self.eps * start, work.dtype)
        np.reciprocal(work, out=work)
        return m, work

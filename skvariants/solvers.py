r"""Solvers: from a gradient to a direction and a scale.

The engine takes every step as

.. math:: W \leftarrow \operatorname{prox}_{\eta s}\left(W - \eta\, s\, d\right)

where the schedule gives :math:`\eta` and the solver gives the direction `d` and the scale `s`. A solver knows
a gradient `g`, the number `t` of the step (from 1) and its own memory; it knows nothing of learning rates,
penalties, sparsity, classes or candidates. The scale is None (that is, 1), a number, one value per column, or an
array shaped like `g`: the diagonal metric in which the penalty's prox is taken too.

:meth:`Solver.step` may overwrite `g`, `work` and its memory, and may return any of them; the engine
only reads what is returned. The last axis is the column, so hyperparameters may be ``(n_columns,)``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from skvariants._component import Component, Real, hyperparameter, operand

__all__ = [
    "GD",
    "SGD",
    "SOLVERS",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "MiniBatch",
    "Momentum",
    "Nesterov",
    "RMSProp",
    "Solver",
]

Array = np.ndarray
_DECAY = Real(0, 1)
_EPS = Real(0, closed="neither")


class Solver(Component):
    """Interface of all solvers; subclass it for your own.

    Define :meth:`step`, and name in `memory` the arrays shaped like the gradient that it keeps.

    Attributes
    ----------
    memory : tuple of str
        Names of the arrays that :meth:`step` receives after `work`, zero at the start.
    batch_size : int or "full"
        Natural batch size, used when ``batch_size="auto"``.
    scale_free : bool
        Whether the step does not depend on the scale of the gradient.
    stochastic : bool
        Whether the engine takes its steps batch by batch: so for every solver.
    plain : bool
        Whether the direction is the gradient and the scale is one; such solvers have fast paths.
    cumulative_l1 : bool
        Whether L1 is applied with Tsuruoka's memory instead of the plain prox.
    eta0 : float
        A step size that is reasonable on standardised data where none is searched for.
    cures : str
        Which of the lecture's troubles the solver answers, in one phrase.
    """

    memory: ClassVar[tuple[str, ...]] = ()
    batch_size: ClassVar[int | str] = 256
    scale_free: ClassVar[bool] = False
    stochastic: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    cumulative_l1: ClassVar[bool] = False
    eta0: ClassVar[float] = 0.1
    cures: ClassVar[str] = ""

    @abstractmethod
    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        """Direction and scale of step number `t`.

        Parameters
        ----------
        g : ndarray of shape (n_features + 1, n_columns)
            Gradient of the mean loss over the batch; the last row is the intercept's.
        t : int
            Number of this step, from 1.
        work : ndarray shaped like `g`
            Scratch.
        *memory : ndarrays shaped like `g`
            The arrays named in `memory`, updated in place.

        Returns
        -------
        direction : ndarray shaped like `g`
        scale : None, float or ndarray
        """


class GD(Solver):
    r"""Gradient descent: all samples for every step.

    .. math:: w_{t+1} = w_t - \eta_t\, \nabla f(w_t)

    Use it on small data, or to see the surface without noise; one step costs one pass.

    References
    ----------
    Cauchy (1847), "Methode generale pour la resolution des systemes d'equations simultanees".

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="gd", max_iter=300)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    batch_size = "full"
    plain = True
    eta0 = 0.5
    cures = "none: the plain surface, without noise"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None


class SGD(Solver):
    r"""Stochastic gradient descent: one sample for every step.

    .. math:: w_{t+1} = w_t - \eta_t\, \nabla \ell_i(w_t)

    Use it for scikit-learn's algorithm, step for step: L1 is applied with the cumulative
    penalty of Tsuruoka et al. (2009). Mini-batches are faster in NumPy.

    References
    ----------
    Robbins and Monro (1951), "A stochastic approximation method", doi:10.1214/aoms/1177729586.
    Bottou (2012), "Stochastic gradient descent tricks", doi:10.1007/978-3-642-35289-8_25.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="sgd", random_state=0)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    batch_size = 1
    plain = True
    cumulative_l1 = True
    eta0 = 0.01
    cures = "the cost of a pass: a step per sample"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None


class MiniBatch(Solver):
    r"""Mini-batch gradient descent: a few samples, reshuffled each pass, for every step.

    .. math:: w_{t+1} = w_t - \eta_t\, \frac{1}{|B_t|} \sum_{i \in B_t} \nabla \ell_i(w_t)

    Use it where there is neither a ravine nor rare features: nothing is cheaper.

    References
    ----------
    Bottou, Curtis and Nocedal (2018), "Optimization methods for large-scale machine learning",
    doi:10.1137/16M1080173.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(solver="minibatch", random_state=0)
    >>> round(float(model.fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).coef_[0]), 1)
    2.0
    """

    plain = True
    eta0 = 0.1
    cures = "the cost of a pass, with less noise than one sample"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None


class Momentum(Solver):
    r"""Heavy ball: average the gradients, so that what points across a ravine cancels.

    .. math:: b_t = \mu b_{t-1} + g_t, \qquad w_{t+1} = w_t - \eta_t b_t

    Use it in a ravine. Direction and scale are :math:`(1 - \mu) b_t` and :math:`1 / (1 - \mu)`: the same step, and the
    prox then solves the penalised problem instead of one with ``l1 * (1 - momentum)``.

    Parameters
    ----------
    momentum : float, default=0.9
        Share :math:`\mu` of the last direction that is kept.

    References
    ----------
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods",
    doi:10.1016/0041-5553(64)90137-5.

    Examples
    --------
    >>> from skvariants.solvers import Momentum
    >>> Momentum(momentum=0.95)
    Momentum(momentum=0.95)
    """

    momentum: float = hyperparameter(0.9, _DECAY)
    memory = ("buffer",)
    eta0 = 0.03
    cures = "the ravine: the zigzag cancels"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (b,) = memory
        b *= operand(self.momentum, b.dtype)
        b += g
        np.multiply(b, operand(1 - self.momentum, b.dtype), out=work)
        return work, 1 / (1 - self.momentum)


class Nesterov(Solver):
    r"""Nesterov's acceleration: look where momentum leads before correcting.

    .. math:: b_t = \mu b_{t-1} + g_t, \qquad w_{t+1} = w_t - \eta_t (g_t + \mu b_t)

    Use it in a ravine where momentum overshoots. This is the form of Bengio et al. in which the
    gradient is taken at the iterate itself, as in torch and optax.

    Parameters
    ----------
    momentum : float, default=0.9
        Share :math:`\mu` of the last direction that is kept.

    References
    ----------
    Nesterov (1983), "A method for solving the convex programming problem with convergence rate
    O(1/k^2)". Sutskever et al. (2013), "On the importance of initialization and momentum in
    deep learning", ICML.

    Examples
    --------
    >>> from skvariants.solvers import Nesterov
    >>> Nesterov().get_params()
    {'momentum': 0.9}
    """

    momentum: float = hyperparameter(0.9, _DECAY)
    memory = ("buffer",)
    eta0 = 0.03
    cures = "the ravine, without overshooting"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (b,) = memory
        momentum = operand(self.momentum, b.dtype)
        b *= momentum
        b += g
        np.multiply(b, momentum, out=work)
        work += g
        work *= operand(1 - self.momentum, b.dtype)
        return work, 1 / (1 - self.momentum)


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
    scale_free = True
    eta0 = 0.1
    cures = "rare features: larger steps where updates are few"

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        (a,) = memory
        np.multiply(g, g, out=work)
        a += work
        np.sqrt(a, out=work)
        work += operand(self.eps, work.dtype)
        np.reciprocal(work, out=work)
        return g, work


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
        np.divide(m, 1 - self.beta_1**t, out=g)
        np.divide(v, 1 - self.beta_2**t, out=work)
        np.sqrt(work, out=work)
        work += operand(self.eps, work.dtype)
        np.reciprocal(work, out=work)
        return g, work


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
}

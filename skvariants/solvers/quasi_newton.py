"""Quasi-Newton steps, and the choice that is left to us: configuration alone, the arithmetic is elsewhere."""

from __future__ import annotations

from typing import Any

from skvariants._component import hyperparameter, number
from skvariants.solvers.base import Solver, registered


@registered("quasi_newton", "curvature", 1970)
class QuasiNewton(Solver):
    r"""Quasi-Newton steps on a growing batch, in coordinates whitened by a sampled Hessian.

    .. math:: \theta_{t+1} = \theta_t - \eta_t B_t^{-1} \nabla f_{m_t}(\theta_t), \qquad m_t \uparrow n

    Use it for smooth losses; ``solver="auto"`` does. In these coordinates the ravine is gone, each step size is
    found by a search that costs no pass, and the batch grows to all rows, so that the fit ends because it has
    converged. It finds its own steps and batches: `learning_rate`, `eta0` and `batch_size` stay "auto". A chunk of a
    stream is no place for it: `partial_fit` does what it does for "auto" (:class:`~skvariants.solvers.Recursive`).

    Parameters
    ----------
    safety : float, default=0.02
        A fit stops when it expects to gain less than ``safety * tol`` of what it has gained over the best constant
        model.

    References
    ----------
    Byrd, Chin, Nocedal and Wu (2012), "Sample size selection in optimization methods for machine learning",
    doi:10.1007/s10107-012-0572-5. Erdogdu and Montanari (2015), "Convergence rates of sub-sampled Newton methods",
    arXiv:1508.02810.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor().fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0])
    >>> model.solver_, model.status_
    (QuasiNewton(), 'converged')
    """

    safety: float = hyperparameter(0.02, number(0, 1))
    batch_size = "full"
    method = "quasi-Newton"
    fixed_step = True
    cures = "the ravine and the learning rate: curvature is measured, steps are searched for"

    def check_loss(self, loss: Any) -> None:
        if not loss.smooth:
            raise ValueError(
                f"solver='quasi_newton' needs a smooth loss, and {type(loss).__name__} has kinks: use solver='auto', "
                "which chooses among all solvers, or a solver that takes steps such as 'adam'."
            )


class Auto(Solver):
    r"""The choice among all solvers, made before training.

    Use it when you do not know. Quasi-Newton steps where the loss is smooth and no step, batch or average is asked
    for; else what the rules of :func:`skvariants.diagnostics.diagnose` advise for the data. In `partial_fit` sums over
    all rows (:class:`~skvariants.solvers.Recursive`), or AdaGrad's steps where these are not possible. ``solver_`` says
    what was chosen.

    References
    ----------
    The rules name theirs: :data:`skvariants.diagnostics.RULES`.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> SGDVariantRegressor(loss="huber").fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]).solver_
    QuasiNewton()
    """

    method = "chosen"

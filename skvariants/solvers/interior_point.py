"""Interior-point steps: configuration alone, the arithmetic is elsewhere."""

from __future__ import annotations

from typing import Any

from skvariants._component import hyperparameter, number
from skvariants.solvers.base import Solver, registered


@registered("interior_point", "curvature", 2002)
class InteriorPoint(Solver):
    r"""Newton steps along the central path of a loss with kinks, with a certificate at the end.

    .. math:: p_k (h_k - u_k) = q_k (u_k - l_k) = \mu_t, \qquad \mu_t \downarrow 0

    where a loss is a sum of ramps of slopes :math:`l_k \le u_k \le h_k` and :math:`p_k - q_k` is the distance of a
    prediction from the kink; bounds of weights are ramps without an end, and norms of groups cones. Use it for the
    hinge loss, the perceptron, the epsilon-insensitive loss and quantiles; ``solver="auto"`` does. A gradient says
    nothing about how far a kink is, so that stochastic steps creep along it; here the kink is part of the model of
    each step, and the number of steps hardly depends on the data. The slopes are a feasible point of the dual
    problem: primal minus dual bounds what is left to gain, and the fit ends when that is small. On sparse rows of
    more than 1,536 features, with an L2 penalty, the same dual problem is climbed by projected and conjugate
    gradients, all classes at once. It finds its own steps: `learning_rate`, `eta0` and `batch_size` stay "auto". In a
    stream, `partial_fit` does what it does for "auto" (:class:`~skvariants.solvers.Recursive`).

    Parameters
    ----------
    safety : float, default=0.1
        A fit stops when no more than ``safety * tol`` of what it has gained over the best constant model is left.

    References
    ----------
    Mehrotra (1992), "On the implementation of a primal-dual interior point method", doi:10.1137/0802028. Ferris and
    Munson (2002), "Interior-point methods for massive support vector machines", doi:10.1137/S1052623400374379. Portnoy
    and Koenker (1997), "The Gaussian hare and the Laplacian tortoise", doi:10.1214/ss/1030037960. Hsieh, Chang, Lin,
    Keerthi and Sundararajan (2008), "A dual coordinate descent method for large-scale linear SVM",
    doi:10.1145/1390156.1390208.

    Examples
    --------
    >>> from skvariants import SGDVariantClassifier
    >>> model = SGDVariantClassifier(loss="hinge").fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> model.solver_, model.status_
    (InteriorPoint(), 'converged')
    """

    safety: float = hyperparameter(0.1, number(0, 1))
    batch_size = "full"
    method = "interior point"
    fixed_step = True
    cures = "kinks and the learning rate: the kink is part of each step's model, and the dual says when to stop"

    def check_loss(self, loss: Any) -> None:
        if not loss.piecewise_linear:
            raise ValueError(
                "solver='interior_point' needs a loss made of linear pieces such as 'hinge', and "
                f"{type(loss).__name__} is not one: use solver='auto', which chooses among all solvers."
            )

    def check_penalty(self, penalty: Any) -> None:
        if not penalty.modelled:
            raise ValueError(
                "solver='interior_point' needs a penalty of L1, L2, bounds or groups, one that says elastic = True or "
                f"is of the package, and {type(penalty).__name__} is not: use solver='auto', which chooses among all "
                "solvers."
            )

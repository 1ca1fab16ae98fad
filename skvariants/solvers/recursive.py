"""What "auto" is in a stream: configuration alone, the arithmetic is elsewhere."""

from __future__ import annotations

from skvariants.solvers.base import Solver


class Recursive(Solver):
    r"""Newton's steps on sums over a stream: recursive least squares, and its kind for other losses.

    .. math:: \theta_t = \arg\min_\theta\ \tfrac12 \theta^\top A_t \theta - b_t^\top \theta + n_t P(\theta), \qquad
              A_t = \sum_i h_i x_i x_i^\top, \quad b_t = \sum_i (h_i z_i - g_i) x_i

    with the slope :math:`g_i` and the curvature :math:`h_i` of the loss of each row where it was seen. It is what
    ``solver="auto"`` stands for in `partial_fit`, where nothing of steps is asked for, and not a name of `solver`.

    Above 1,023 features, or 255 where it pays, rows of few numbers are kept themselves, and the model is their
    optimum by truncated Newton steps. Rows beyond the first million numbers or so are stood for by a linear and a
    diagonal term.

    References
    ----------
    Bertsekas (1996), "Incremental least squares methods and the extended Kalman filter",
    doi:10.1137/S1052623494268522. Nash (2000), "A survey of truncated-Newton methods",
    doi:10.1016/S0377-0427(00)00426-X.

    Examples
    --------
    >>> from skvariants import SGDVariantRegressor
    >>> model = SGDVariantRegressor(alpha=0.0).partial_fit([[0.0], [1.0]], [1.0, 3.0]).partial_fit([[2.0]], [5.0])
    >>> model.solver_, model.predict([[10.0]]).round(6)
    (Recursive(), array([21.]))
    """

    batch_size = "full"
    method = "recursive"
    fixed_step = True
    cures = "a stream has no second try: no rate is to be chosen, and each row counts as much as any other"


__all__ = ["Recursive"]

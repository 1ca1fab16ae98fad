r"""Passive-aggressive updates: each sample says how far to go.

A sample whose loss is zero changes nothing; any other moves the weights as little as its loss asks for. The length
depends on the loss and on the norm of the row, so these rules need the rows themselves. ``learning_rate="pa1"`` and
``"pa2"`` are their names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import Interval, hyperparameter
from skvariants.solvers.base import Solver, Step

Array = np.ndarray


class PassiveAggressiveI(Solver):
    r"""Passive-aggressive I: go as far as the sample asks, at most `C`.

    .. math:: \tau_i = \min(C, \ell_i / \|x_i\|^2), \qquad w \leftarrow w - \tau_i \operatorname{sign}(\ell_i') x_i

    Use it online with hinge or epsilon-insensitive loss; ``learning_rate="pa1"`` is its name, and `eta0` then is `C`.

    Parameters
    ----------
    C : float, default=1.0
        Aggressiveness.

    References
    ----------
    Crammer et al. (2006), "Online passive-aggressive algorithms", JMLR 7, 551-585.

    Examples
    --------
    >>> from skvariants.solvers import PassiveAggressiveI
    >>> float(PassiveAggressiveI(C=1.0).tau(3.0, 2.0))
    1.0
    """

    C: Any = hyperparameter(1.0, Interval(0, closed="neither"))
    batch_size = 1
    needs = frozenset({"rows"})
    fixed_step = True
    cures = "no learning rate: each sample asks for its own"

    def tau(self, value: Any, square_norm: Any) -> Any:
        """Length of the step for a loss and a squared norm of the sample, elementwise."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(square_norm > 0, np.minimum(self.C, np.divide(value, square_norm)), 0.0)[()]

    def check_loss(self, loss: Any) -> None:
        if not loss.passive_aggressive:
            raise ValueError(
                f"solver={self!r} only works with the hinge loss (classification) or the epsilon_insensitive loss "
                f"(regression), not with {type(loss).__name__}: change one."
            )

    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Move against the sign of each derivative by `tau`; the penalty's step is `C`, as in scikit-learn.

        Slopes are -1, 0 or 1 times what a label weighs, which multiplies the step.
        """
        batch, penalty, W = step.batch, step.penalty, theta[:-1]
        r = batch.r.copy()
        r *= self.tau(batch.value() / np.where(r == 0, 1, np.abs(r)), batch.square_norms())
        g = batch.gradient(r)
        if not step.implicit:
            penalty.decay(W, self.C)
        theta -= np.multiply(g, step.eta, step.move)
        self.prox(W, self.C, step, *memory)


class PassiveAggressiveII(PassiveAggressiveI):
    r"""Passive-aggressive II: the same, regularised instead of cut.

    .. math:: \tau_i = \frac{\ell_i}{\|x_i\|^2 + 1 / (2 C)}, \qquad
              w \leftarrow w - \tau_i \operatorname{sign}(\ell_i') x_i

    Use it online where labels are noisy; ``learning_rate="pa2"`` is its name, and `eta0` then is `C`.

    Parameters
    ----------
    C : float, default=1.0
        Aggressiveness.

    References
    ----------
    Crammer et al. (2006), "Online passive-aggressive algorithms", JMLR 7, 551-585.

    Examples
    --------
    >>> from skvariants.solvers import PassiveAggressiveII
    >>> PassiveAggressiveII(C=0.5).tau(3.0, 2.0)
    1.0
    """

    def tau(self, value: Any, square_norm: Any) -> Any:
        """Length of the step for a loss and a squared norm of the sample, elementwise."""
        return value / (square_norm + 0.5 / self.C)


#: The rules that a learning rate of that name stands for.
PASSIVE_AGGRESSIVE: dict[str, Any] = {"pa1": PassiveAggressiveI, "pa2": PassiveAggressiveII}

"""What a step knows beside the gradient: said by whoever trains, read by ``Solver.update``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray


class Step:
    """What :meth:`Solver.update` is told beside the gradient.

    Parameters
    ----------
    penalty : Penalty
        Of the weights, in the coordinates worked in.
    like : ndarray of shape (n_features + 1, n_columns)
        Parameters, for scratch arrays of their shape.
    implicit : bool, default=True
        Whether all of the penalty is applied by its prox; otherwise L2 goes into the gradient.
    coupled : int, default=1
        How many adjacent columns the loss couples, which are one vector to a solver that measures lengths.

    Attributes
    ----------
    t : int
        Number of this step, from 1.
    eta : float or ndarray
        Length of the step: one for all, or one per column.
    work, move, lengths : ndarray shaped like the parameters
        Scratch, made when it is asked for: the first for :meth:`Solver.step`, the others for `update`.
    batch : object or None
        The rows of this step, for solvers that need "rows": a `Batch`.
    """

    def __init__(self, penalty: Any, like: Array, implicit: bool = True, coupled: int = 1) -> None:
        self.penalty, self.implicit, self.coupled = penalty, implicit, coupled
        self.t = 0
        self.eta: Any = 1.0
        self.batch: Any = None
        self._shape, self._dtype = like.shape, like.dtype

    @cached_property
    def work(self) -> Array:
        """Scratch for :meth:`Solver.step`."""
        return np.empty(self._shape, self._dtype)

    @cached_property
    def move(self) -> Array:
        """Scratch for what is subtracted."""
        return np.empty(self._shape, self._dtype)

    @cached_property
    def lengths(self) -> Array:
        """Scratch for lengths that differ between weights."""
        return np.empty(self._shape, self._dtype)


__all__ = ["Step"]

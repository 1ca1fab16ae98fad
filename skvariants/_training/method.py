"""What the training loop asks of a method, and what a method tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skvariants._training.certificate import Certificate
from skvariants._training.state import State

Array = np.ndarray


@dataclass(eq=False, repr=False)
class Record:
    """What one iteration did.

    Attributes
    ----------
    objective : ndarray of shape (n_moved,)
        Objective of the models that moved, in the user's units.
    eta : ndarray of shape (n_moved,)
        Length of their step.
    rows : int
        Rows they saw.
    moved : ndarray of int, or None
        Which of the models moved; None for all.
    """

    objective: Array
    eta: Array
    rows: int
    moved: Array | None = None


class Method:
    """A way to train: steps on batches, quasi-Newton iterations, Newton's on few numbers.

    The loop alone knows epochs, stopping, roll-back, early stopping, callbacks, interrupts and history.

    Attributes
    ----------
    state : State
        Where all models stand; changed in place.
    reversible : bool
        Whether an iteration may have to be taken back, and whether the loop judges progress by `tol`; otherwise
        :meth:`arrived` must.
    """

    state: State
    reversible: ClassVar[bool] = False

    def arrived(self) -> Array | None:
        """Mask of the models that have nothing left to gain; None where that is not known."""
        return None

    def iterate(self) -> Record | None:
        """One epoch of steps, or one iteration; None where :meth:`successor` has to go on."""
        raise NotImplementedError

    def keep(self, models: Array) -> None:
        """Keep a subset of the models."""
        raise NotImplementedError

    def successor(self) -> Method:
        """The method that goes on from here."""
        raise NotImplementedError

    def original(self, theta: Array) -> Array:
        """Parameters in the units of the data."""
        raise NotImplementedError

    @property
    def solution(self) -> Array:
        """The models as they would be returned now, in the coordinates worked in."""
        return self.state.theta

    def eta(self) -> Any:
        """The present length of the step of each model."""
        return np.ones(self.state.n_models)

    def race(self, position: int) -> Any:
        """What the method itself has tried to find the first step of a model; None where it was told the step."""
        return None

    def certificate(self, position: int) -> Certificate | None:
        """How far a model can be from the optimum, where that is known without another look at the rows."""
        return None

    def on_plateau(self, models: Array) -> Array:
        """By what to multiply the steps of models that make no progress; 0 says that a model is done."""
        return np.zeros(len(models))


__all__ = ["Method", "Record"]

"""Features that have occurred: what a model of wide sparse rows has weights for, as all others are zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
# bytes of a model from which those of its features that never occur are left out, and the largest share that is left
_LARGE, _MOST = 1 << 20, 0.5


@dataclass(frozen=True, eq=False)
class Occurring:
    """Features of a table that have occurred, and one that has not; the others are zero in every row too.

    What a solver keeps of the one is what it would keep of each of the others, when they occur.

    Attributes
    ----------
    numbers : ndarray of int
        Of these features, ascending.
    of : int
        Features of the table.
    resting : int
        Position among them of the one that has not occurred.
    """

    numbers: Array
    of: int
    resting: int

    @classmethod
    def found(cls, X: Any, more: list[Array], model_bytes: int) -> Occurring | None:
        """The features that CSR rows store, and further ones; None where leaving out the others saves little."""
        if model_bytes < _LARGE:
            return None
        occurs = np.zeros(X.shape[1], bool)
        for numbers in (X.indices, *more):
            occurs[numbers] = True
        if occurs.sum() >= _MOST * len(occurs):
            return None
        # the first: who goes on has it too, or has seen it occur; all before it are here, so that it is its position
        resting = int(np.argmin(occurs))
        occurs[resting] = True
        return cls(np.flatnonzero(occurs), len(occurs), resting)

    @property
    def occurred(self) -> Array:
        """Numbers of the features that have occurred."""
        return np.delete(self.numbers, self.resting)

    def among(self, others: Occurring | None) -> Array:
        """Positions of these among others that hold them all, or among all."""
        return self.numbers if others is None else np.searchsorted(others.numbers, self.numbers)

    def part(self, theta: Array) -> Array:
        """The rows of a whole model that belong to these, and its intercept."""
        return np.concatenate([theta[:-1][self.numbers], theta[-1:]])

    def whole(self, theta: Array) -> Array:
        """A model of all features, those left out at zero."""
        return spread(theta, self.numbers, self.of, self.resting)


def spread(array: Array, at: Array, size: int, resting: int) -> Array:
    """The rows of an array, but its last, at these positions of one of so many and its last; elsewhere one of them."""
    out = np.zeros((size + 1, *array.shape[1:]), array.dtype)
    if array[resting].any():
        out[...] = array[resting]
    out[at] = array[:-1]
    out[-1] = array[-1]
    return out


__all__ = ["Occurring", "spread"]

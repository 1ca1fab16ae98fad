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
    """Some features of a table; the others are zero in every row.

    Attributes
    ----------
    numbers : ndarray of int
        Of these features, ascending; one at least.
    of : int
        Features of the table.
    """

    numbers: Array
    of: int

    @classmethod
    def found(cls, X: Any, more: list[Array], model_bytes: int) -> Occurring | None:
        """The features that CSR rows store, and further ones; None where leaving out the others saves little."""
        if model_bytes < _LARGE:
            return None
        occurs = np.zeros(X.shape[1], bool)
        occurs[0] = True
        for numbers in (X.indices, *more):
            occurs[numbers] = True
        numbers = np.flatnonzero(occurs)
        return cls(numbers, len(occurs)) if len(numbers) <= _MOST * len(occurs) else None

    def among(self, others: Occurring | None) -> Array:
        """Positions of these among others that hold them all, or among all."""
        return self.numbers if others is None else np.searchsorted(others.numbers, self.numbers)

    def part(self, theta: Array) -> Array:
        """The rows of a whole model that belong to these, and its intercept."""
        return np.concatenate([theta[:-1][self.numbers], theta[-1:]])

    def whole(self, theta: Array) -> Array:
        """A model of all features, those left out at zero."""
        return spread(theta, self.numbers, self.of)


def spread(theta: Array, at: Array, size: int) -> Array:
    """The rows of an array, but its last, at these positions of one of so many and its last; zero elsewhere."""
    out = np.zeros((size + 1, *theta.shape[1:]), theta.dtype)
    out[at] = theta[:-1]
    out[-1] = theta[-1]
    return out


__all__ = ["Occurring", "spread"]

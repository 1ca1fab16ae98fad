"""Running averages, in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import operand

Array = np.ndarray


def follow(average: Array, value: Array, decay: Any) -> None:
    """Let `average` become ``decay * average + (1 - decay) * value``; `value` is overwritten."""
    value -= average
    value *= operand(1 - decay, value.dtype)
    average += value


def inverse_root(square: Array, missing: Any, eps: Any, out: Array) -> Array:
    """``1 / (sqrt(square / missing) + eps)``, where an average that began at zero holds the share `missing`."""
    np.divide(square, missing, out=out)
    np.sqrt(out, out=out)
    out += operand(eps, out.dtype)
    return np.reciprocal(out, out=out)


def norms(points: Array) -> Array:
    """Norm of each column, as a row."""
    return np.sqrt((points * points).sum(axis=0, keepdims=True))


def over_coupled(row: Array, coupled: int) -> Array:
    """A row of numbers, one for each column, summed over those that a loss couples, for each of them."""
    return row if coupled == 1 else np.repeat(row.reshape(1, -1, coupled).sum(axis=2), coupled, axis=1)


__all__ = ["follow", "inverse_root", "norms", "over_coupled"]

"""Slopes where a step ends, which for a linear model are numbers to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
# Newton's steps, then halvings of an interval, at most; and such a share of its numbers is a rounding
_NEWTON, _HALVINGS, _ENOUGH = 40, 64, 4e-16


def implicit_slopes(loss: Any, y: Array, z: Array, r: Array, length: Any) -> Array:
    r"""Slopes after a step along each row, :math:`u = \ell'(y, z - a u)`.

    Parameters
    ----------
    loss : Loss
        Convex in the prediction.
    y, z, r : ndarray of shape (n_rows, n_columns)
        Targets (or one for all columns), predictions and slopes before the step.
    length : ndarray of shape (n_rows, n_columns or 1)
        By how much a prediction changes for a slope of one, :math:`a`.
    """
    length = np.broadcast_to(length, z.shape).astype(z.dtype)
    if loss.is_softmax:
        return _of_softmax(loss, y, z, r, length)
    if loss.columns_per_model > 1:
        raise ValueError(
            f"Implicit steps do not know how {type(loss).__name__} couples its columns: name another solver, such as "
            "'adam'."
        )
    if loss.quadratic:
        return r / (1 + length * loss.second_derivative(y, z).astype(z.dtype))
    ramps = loss.ramps(np.broadcast_to(y, z.shape)) if loss.has_ramps else ()
    if len(ramps) == 1:
        ((position, low, high, width),) = ramps
        run = np.maximum(length + width, np.finfo(z.dtype).tiny)
        return np.clip((z - position) / run, low, high).astype(z.dtype)
    return _root(loss, y, z, r, length)


def implicit_slope(derivative: Callable[[float, float], float], y: float, z: float, r: float, length: float) -> float:
    r"""The same for a single sample, in Python floats."""
    if r == 0.0 or length == 0.0:
        return r
    # regula falsi of Illinois, which keeps the root between its ends; halves where that has not halved them
    low, high, at_low, at_high = 0.0, r, -r, r - derivative(y, z - length * r)
    enough, u = _ENOUGH * (abs(r) + abs(z)), r
    for _ in range(_HALVINGS):
        size = abs(high - low)
        if at_high == 0.0 or size <= enough:
            return high
        for u in (high - at_high * (high - low) / (at_high - at_low), 0.5 * (low + high)):
            f = u - derivative(y, z - length * u)
            if abs(f) <= enough:
                return u
            if (f > 0) == (at_high > 0):
                high, at_high, at_low = u, f, 0.5 * at_low
            else:
                low, at_low = u, f
            if abs(high - low) <= 0.5 * size:
                break
    return u


def _root(loss: Any, y: Array, z: Array, r: Array, length: Array) -> Array:
    """The root between zero and the slope before: by Newton's method within that interval, or by halving it."""
    low, high, out = np.minimum(r, 0), np.maximum(r, 0), np.empty_like(z)
    u = 0.5 * (low + high)
    enough = 4 * np.finfo(z.dtype).eps * np.abs(r)
    for i in range(_NEWTON + _HALVINGS):
        there = z - length * u
        f = u - loss.gradient(y, there, out)
        low, high = np.where(f <= 0, u, low), np.where(f >= 0, u, high)
        if ((np.abs(f) <= enough) | (high - low <= enough)).all():
            break
        middle = 0.5 * (low + high)
        if loss.smooth and i < _NEWTON:
            newton = u - f / (1 + length * loss.second_derivative(y, there))
            u = np.where((newton > low) & (newton < high), newton, middle).astype(z.dtype)
        else:
            u = middle
    return u


def _of_softmax(loss: Any, y: Array, z: Array, r: Array, length: Array) -> Array:
    r"""Newton's method for all classes of a row at once, on :math:`\ell(y, t) + \sum_c (t_c - z_c)^2 / (2 a_c)`.

    The Hessian is a diagonal less a product of two vectors.
    """
    shape = (len(z), -1, loss.columns_per_model)

    def by_row(columns: Array) -> Array:
        return columns.reshape(shape).sum(axis=2, keepdims=True)

    def value(u: Array) -> Array:
        return by_row(loss.value(y, z - length * u) + 0.5 * length * u * u)

    eps = np.finfo(z.dtype).eps
    u, out = np.zeros_like(z), np.empty_like(z)
    best, share = value(u), np.ones_like(by_row(z))
    for _ in range(_NEWTON + _HALVINGS):
        there = z - length * u
        f = u - loss.gradient(y, there, out)
        if (np.abs(f) <= 8 * eps * (1 + np.abs(there))).all():
            break
        p, a = loss.probability(there).reshape(shape), length.reshape(shape)
        left, right = (v.reshape(shape) / (1 + a * p) for v in (f, p))
        move = left + right * by_row(a * p * left) / (1 - by_row(a * p * right))
        tried = (u.reshape(shape) - share * move).reshape(z.shape).astype(z.dtype)
        found = value(tried)
        better = found <= best + np.sqrt(eps) * np.abs(best)  # near the end values tell nothing, and steps are right
        u = np.where(better, tried.reshape(shape), u.reshape(shape)).reshape(z.shape)
        best, share = np.where(better, found, best), np.where(better, 1.0, 0.5 * share).astype(z.dtype)
    return u


__all__ = ["implicit_slope", "implicit_slopes"]

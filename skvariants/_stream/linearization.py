r"""Straight lines in place of a slope: what a row says of predictions near the present one.

A row is seen once, at a model that is not the last one. Its prediction there will differ by about :math:`N(0, v^2)`,
and the line that fits its slope :math:`\ell'` best under that distribution is

.. math:: \ell'(z + \delta) \approx \bar g + \bar h \delta, \qquad
          \bar g = \mathrm{E}\, \ell'(z + v \epsilon), \quad \bar h = \mathrm{E}\, \ell''(z + v \epsilon)

(statistical linearization). Where :math:`v \to 0` that is the expansion of second order; elsewhere it is free of its
bias, knows that a row which seems certain may not be, and gives a curvature to losses that have none.

References
----------
Gelb, ed. (1974), "Applied Optimal Estimation", MIT Press, section 6.2. Garcia-Fernandez, Svensson, Morelande and Sarkka
(2015), "Posterior linearization filter", doi:10.1109/TSP.2015.2454485.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

Array = np.ndarray
# Gauss and Hermite's three nodes: exact for slopes that are polynomials of fifth degree
_NODE, _MIDDLE, _OUTER = np.sqrt(3.0), 2.0 / 3.0, 1.0 / 6.0
# width of a ramp, beside the deviation of a prediction, below which it is a kink
_SHARP = 1e-3
_DENSITY = 1.0 / np.sqrt(2.0 * np.pi)


def has_kinks(loss: Any) -> bool:
    """Whether a loss is made of ramps with two ends, whose slope changes within a short way or at once."""
    return bool(loss.piecewise_linear or (loss.has_ramps and loss.saturates))


def slopes(loss: Any, y: Array, z: Array, spread: Array | None) -> tuple[Array, Array]:
    """Mean slope and mean curvature of each prediction.

    Parameters
    ----------
    loss : Loss
        Of columns that are not coupled.
    y : ndarray of shape (n_rows, n_columns)
        Targets.
    z : ndarray of shape (n_rows, n_columns)
        Predictions.
    spread : ndarray of shape (n_rows, n_columns) or None
        Their standard deviations; None for the expansion at the prediction itself.

    Returns
    -------
    slope, curvature : ndarray of shape (n_rows, n_columns)
    """
    if spread is not None and has_kinks(loss):
        return _of_ramps(loss, y, z, spread)[1:]
    slope = loss.gradient(y, z, np.empty_like(z))
    if spread is None or loss.quadratic:
        return slope, loss.second_derivative(y, z)
    reach = _NODE * spread
    above = loss.gradient(y, z + reach, np.empty_like(z))
    below = loss.gradient(y, z - reach, np.empty_like(z))
    curvature = (above - below) / (2.0 * reach)
    slope *= _MIDDLE
    slope += _OUTER * (above + below)
    return slope, curvature


def values(loss: Any, y: Array, z: Array, spread: Array | None) -> Array:
    """The loss of each prediction whose slope the lines follow: its mean where it has kinks."""
    if spread is not None and has_kinks(loss):
        return _of_ramps(loss, y, z, spread)[0]
    return np.asarray(loss.value(y, z))


def typical_curvature(loss: Any, k: int, reach: Any) -> Array:
    """Change of the slope over predictions that differ by a unit either way, where they are undecided."""
    if loss.columns_per_model > 1:  # of one class, beside the others
        above, below = (loss.gradient(np.eye(k), z, np.empty((k, k))) for z in (reach * np.eye(k), -reach * np.eye(k)))
        return np.asarray((above - below).diagonal() / (2 * reach))
    y = np.zeros((1, k)) if loss.regression else np.ones((1, k))
    z = y if loss.regression and loss.in_target_units else np.zeros((1, k))
    reach = 1.001 * reach  # a kink at a unit, as that of the hinge loss, is within
    above, below = (loss.gradient(y, z + move, np.empty((1, k))) for move in (reach, -reach))
    return np.maximum(above - below, 1e-300)[0] / (2 * reach)


def _of_ramps(loss: Any, y: Array, z: Array, spread: Array) -> tuple[Array, Array, Array]:
    """Mean value, slope and curvature of a sum of ramps, in closed form."""
    value, slope, curvature = np.zeros_like(z), np.zeros_like(z), np.zeros_like(z)
    for ramp in loss.ramps(y):
        z0, rise = z - ramp.position, ramp.high - ramp.low
        width = np.broadcast_to(rise * ramp.width, z.shape)
        if width.max(initial=0.0) <= _SHARP * spread.min(initial=np.inf):
            share, first, _ = _integrals(z0 / spread)
            slope += ramp.low + rise * share
            curvature += rise * _DENSITY * np.exp(-0.5 * (z0 / spread) ** 2) / spread
            value += ramp.low * z0 + rise * spread * first
            continue
        # the mean of a line that is cut at both ends: differences of integrals of the normal distribution
        begin = ramp.low * ramp.width
        lower, upper = _integrals((z0 - begin) / spread), _integrals((z0 - begin - width) / spread)
        share, first, second = (a - b for a, b in zip(lower, upper, strict=True))
        curvature += share / ramp.width
        slope += ramp.low + spread * first / ramp.width
        value += ramp.low * z0 - 0.5 * ramp.low * begin + spread * spread * second / ramp.width
    return value, slope, curvature


def _integrals(u: Array) -> tuple[Array, Array, Array]:
    """The normal distribution function, its integral, and the integral of that."""
    share, density = ndtr(u), _DENSITY * np.exp(-0.5 * u * u)
    first = u * share + density
    return share, first, 0.5 * (u * first + share)


__all__ = ["has_kinks", "slopes", "typical_curvature", "values"]

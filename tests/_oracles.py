"""What several tests compare against: numerical derivatives."""

import numpy as np


def derivative(function, at, h=1e-5):
    """Derivative of an elementwise function by central differences of fourth order."""
    near = function(at + h) - function(at - h)
    far = function(at + 2 * h) - function(at - 2 * h)
    return (8 * near - far) / (12 * h)


def partial_derivatives(function, at, h=1e-5):
    """Every partial derivative of a scalar function of an array, shaped like the array."""
    at = np.asarray(at, dtype=float)
    result = np.empty_like(at)
    for index in np.ndindex(at.shape):
        unit = np.zeros_like(at)
        unit[index] = 1
        result[index] = derivative(lambda s, unit=unit: function(at + s * unit), 0.0, h)
    return result

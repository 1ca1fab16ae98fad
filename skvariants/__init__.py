"""Linear models by every variant of stochastic gradient descent."""

__version__ = "0.1.0"

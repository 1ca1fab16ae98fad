"""Linear models by every variant of stochastic gradient descent."""

from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor

__all__ = ["SGDVariantClassifier", "SGDVariantRegressor", "__version__"]
__version__ = "0.1.0"

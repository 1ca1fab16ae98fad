"""The two estimators: linear models by every variant of stochastic gradient descent."""

from skvariants.estimators.classifier import SGDVariantClassifier
from skvariants.estimators.regressor import SGDVariantRegressor

__all__ = ["SGDVariantClassifier", "SGDVariantRegressor"]

"""Linear models by every variant of stochastic gradient descent."""

from skvariants._doclinks import set_docs_url
from skvariants._version import __version__
from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor

__all__ = ["SGDVariantClassifier", "SGDVariantRegressor", "__version__", "set_docs_url"]

"""Linear models by every variant of stochastic gradient descent."""

from skvariants._doclinks import set_docs_url
from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor

__all__ = ["SGDVariantClassifier", "SGDVariantRegressor", "__version__", "set_docs_url"]
__version__ = "0.1.0"

"""scikit-learn's own tests of its searches, run against the batched ones.

The module of the installed scikit-learn is loaded with the classes replaced. Its estimators are fitted the ordinary
way, so what is asserted is all around the fits: candidates, folds, scores, metadata, errors, attributes.
"""

import pytest

from _sklearn_suite import load
from skvariants.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

#: Tests that do not apply, or that assert what is deliberately different here.
DIFFERENCES = {
    "test_pickle": "a local class that pickle finds only in the original module",
    "test_random_search_bad_cv": "its words changed with versions, and ours are those of the newest",
}

REPLACED = {
    "sklearn.model_selection": {
        "GridSearchCV": BatchedGridSearchCV,
        "RandomizedSearchCV": BatchedRandomizedSearchCV,
    }
}

globals().update(load("sklearn.model_selection.tests.test_search", REPLACED, DIFFERENCES))

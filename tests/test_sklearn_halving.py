"""scikit-learn's own tests of its halving searches, run against the batched one.

The module of the installed scikit-learn is loaded with its two searches replaced by adapters, which translate
parameters: its resource is a number of rows, ours a number of epochs. Only what goes on from rung to rung can climb, so
its dummies are replaced by our classifier with parameters of the same names.
"""

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (the searches that are replaced)
from sklearn.model_selection import check_cv

from _sklearn_suite import load, skip
from skvariants import SGDVariantClassifier
from skvariants.model_selection import BatchedHalvingSearchCV

pytestmark = [pytest.mark.filterwarnings("ignore")]


class AsHalvingGridSearchCV(BatchedHalvingSearchCV):
    """BatchedHalvingSearchCV with scikit-learn's signature; as many epochs as it would take rows."""

    def __init__(
        self, estimator, param_grid, *, n_candidates=None, factor=3, resource="n_samples", max_resources="auto",
        min_resources="exhaust", aggressive_elimination=False, cv=5, scoring=None, refit=True, error_score=np.nan,
        return_train_score=True, random_state=None, n_jobs=None, verbose=0,
    ):  # fmt: skip
        self.resource = resource
        super().__init__(
            estimator, param_grid, n_candidates=n_candidates, factor=factor, max_resources=max_resources,
            min_resources=min_resources, aggressive_elimination=aggressive_elimination, cv=cv, scoring=scoring,
            refit=refit, error_score=error_score, return_train_score=return_train_score, random_state=random_state,
            n_jobs=n_jobs, verbose=verbose,
        )  # fmt: skip

    def _translated(self, X, y, groups):
        params = {name: value for name, value in self.get_params(deep=False).items() if name != "resource"}
        if params["max_resources"] == "auto":
            params["max_resources"] = len(X)
        if params["min_resources"] == "smallest":  # of rows: two of each class in each fold
            folds = check_cv(self.cv, y, classifier=is_classifier(self.estimator)).get_n_splits(X, y, groups)
            params["min_resources"] = folds * 2 * len(np.unique(y)) if self.resource == "n_samples" else 1
        return params

    def fit(self, X, y=None, **params):
        search = BatchedHalvingSearchCV(**self._translated(X, y, params.get("groups"))).fit(X, y, **params)
        vars(self).update({name: value for name, value in vars(search).items() if name.endswith("_")})
        return self


class AsHalvingRandomSearchCV(AsHalvingGridSearchCV):
    """The same where the candidates are drawn; "exhaust" is as many as there are epochs for."""

    def __init__(
        self, estimator, param_distributions, *, n_candidates="exhaust", factor=3, resource="n_samples",
        max_resources="auto", min_resources="smallest", aggressive_elimination=False, cv=5, scoring=None, refit=True,
        error_score=np.nan, return_train_score=True, random_state=None, n_jobs=None, verbose=0,
    ):  # fmt: skip
        self.param_distributions = param_distributions
        super().__init__(
            estimator, None, n_candidates=n_candidates, factor=factor, resource=resource, max_resources=max_resources,
            min_resources=min_resources, aggressive_elimination=aggressive_elimination, cv=cv, scoring=scoring,
            refit=refit, error_score=error_score, return_train_score=return_train_score, random_state=random_state,
            n_jobs=n_jobs, verbose=verbose,
        )  # fmt: skip

    def _translated(self, X, y, groups):
        params = super()._translated(X, y, groups)
        params["param_grid"] = params.pop("param_distributions")
        if params["n_candidates"] == "exhaust":
            params["n_candidates"] = max(1, params["max_resources"] // params["min_resources"])
        return params


class FastClassifier(SGDVariantClassifier):
    """SGDVariantClassifier with parameters that change nothing."""

    def __init__(self, a=None, b=None, c=None, max_iter=1000):
        super().__init__(max_iter=max_iter, random_state=0)
        self.a, self.b, self.c = a, b, c


class SometimesFailClassifier(SGDVariantClassifier):
    """SGDVariantClassifier that raises where it is told to."""

    def __init__(self, fail_fit=False, fail_predict=False, a=0, max_iter=1000):
        super().__init__(max_iter=max_iter, random_state=0)
        self.fail_fit, self.fail_predict, self.a = fail_fit, fail_predict, a

    def __skvariants_spec__(self):
        if self.fail_fit:
            raise ValueError("fitting failed")
        return super().__skvariants_spec__()

    def predict(self, X):
        if self.fail_predict:
            raise ValueError("predict failed")
        return super().predict(X)


class AsSVC(SGDVariantClassifier):
    """SGDVariantClassifier where the grid is that of a machine with kernels; only C has a meaning."""

    def __init__(self, C=1.0, kernel="rbf", gamma="scale", degree=3, random_state=None):
        super().__init__("hinge", alpha=1e-3 / C, random_state=random_state)
        self.C, self.kernel, self.gamma, self.degree = C, kernel, gamma, degree


#: Tests that do not apply, or that assert what is deliberately different here.
DIFFERENCES = {
    "test_resource_parameter": "the resource is epochs, always",
    "test_input_errors_randomized": "of 'exhaust' in two parameters, of which only one has the word here",
    "test_base_estimator_inputs": "a rung is a continuation: fit is not called for each",
    "test_min_resources_null": "of rows; a table without any is refused in other words",
    "test_select_best_index": "private members",
    "test_subsample_splitter_shapes": "private members",
    "test_subsample_splitter_determinism": "private members",
    "test_top_k": "private members",
}
CASES = {
    ("test_input_errors", "resource="): "the resource is epochs, always",
    ("test_input_errors", "as the resource"): "the resource is epochs, always",
    ("test_input_errors", "resource can only"): "the resource is epochs, always",
    ("test_input_errors", "must yield consistent folds"): "folds are drawn once and are the same in all rungs",
    ("test_aggressive_elimination", "e-limited"): "the least that 'exhaust' gives is an epoch, not what folds need",
    ("test_min_max_resources", "exhaust-50"): "the least that 'exhaust' gives is an epoch, not what folds need",
    ("test_min_max_resources", "exhaust-20"): "the least that 'exhaust' gives is an epoch, not what folds need",
}

REPLACED = {
    "sklearn.model_selection": {
        "HalvingGridSearchCV": AsHalvingGridSearchCV,
        "HalvingRandomSearchCV": AsHalvingRandomSearchCV,
    }
}
OWN = {
    "FastClassifier": FastClassifier,
    "SometimesFailClassifier": SometimesFailClassifier,
    "LinearSVC": AsSVC,
    "SVC": AsSVC,
}


@pytest.fixture(autouse=True)
def _applies(request):
    skip(request, CASES)


globals().update(
    load(
        "sklearn.model_selection.tests.test_successive_halving", REPLACED, DIFFERENCES,
        own=OWN, quick={"test_nan_handling", "test_halving_random_search_list_of_dicts"},
    )
)  # fmt: skip

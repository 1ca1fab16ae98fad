"""Who is asked for a score in a search, what is said of a scorer that knows no weights, and what a fit took."""

import time

import numpy as np
import pytest
from sklearn.metrics import get_scorer, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.model_selection._score import scores_itself


@pytest.mark.parametrize("base", [SGDVariantClassifier, SGDVariantRegressor])
@pytest.mark.parametrize("method", ["score", "predict", "__skvariants_publish__"])
def test_a_fit_that_is_taken_over_by_name_does_not_hide_a_score(base, method):
    def own(self, *args):
        return 0.5

    plain = type("Plain", (base,), {})
    taken = type("Taken", (base,), {"fit": base.fit})
    assert not any(scores_itself(cls) for cls in (base, plain, taken))
    for parents in ((base,), (plain,), (taken,)):
        assert scores_itself(type("Own", parents, {method: own}))
        assert scores_itself(type("Own", parents, {method: own, "fit": base.fit}))
    assert scores_itself(type("Below", (type("Own", (base,), {method: own}),), {"fit": base.fit}))


def unweighted_share(y, predicted):
    return float(np.mean(predicted == y))


def unweighted(estimator, X, y):
    return unweighted_share(y, estimator.predict(X))


@pytest.mark.skipif(not hasattr(get_scorer("accuracy"), "_accept_sample_weight"), reason="scikit-learn before 1.7")
@pytest.mark.parametrize("scoring", [unweighted, {"plain": make_scorer(unweighted_share), "usual": "accuracy"}])
def test_a_scorer_that_knows_no_weights_is_named(scoring):
    rng = np.random.default_rng(0)
    X, weight = rng.standard_normal((60, 3)), rng.random(60)
    y = (X[:, 0] > 0).astype(int)
    search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1e-4, 1e-2]}, cv=2, scoring=scoring, refit=False)
    with pytest.warns(UserWarning, match=r"The scoring .*unweighted.* does not support sample_weight") as caught:
        search.fit(X, y, sample_weight=weight)
    assert len(caught) == 1
    search.fit(X, y)  # nothing to say without weights
    search.set_params(scoring=None).fit(X, y, sample_weight=weight)


def slow(X):
    time.sleep(0.05)
    return X


def test_the_time_of_a_fit_holds_that_of_the_steps_before_it(capsys):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    model = make_pipeline(FunctionTransformer(slow), SGDVariantRegressor())
    grid = {"sgdvariantregressor__alpha": [1e-4, 1e-2]}
    search = BatchedGridSearchCV(model, grid, cv=2, refit=False, verbose=1).fit(X, X[:, 0])
    assert (search.cv_results_["mean_fit_time"] > 0.02).all()  # shared by two candidates
    assert "2 candidates" in capsys.readouterr().out

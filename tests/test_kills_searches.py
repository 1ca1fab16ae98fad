"""Who is asked for a score in a search."""

import pytest

from skvariants import SGDVariantClassifier, SGDVariantRegressor
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

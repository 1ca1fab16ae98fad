"""What displays refuse, each in a sentence that names the argument and what it must be."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skvariants import SGDVariantClassifier
from skvariants.displays import LossCurveDisplay, SearchCurveDisplay, SolverComparisonDisplay, TrajectoryDisplay
from skvariants.solvers import Adam, Momentum

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3)


@pytest.fixture(scope="module")
def fitted():
    return SGDVariantClassifier(max_iter=3, tol=None, solver="adam", random_state=0).fit(X, Y)


def curves(estimators, **kwargs):
    return LossCurveDisplay.from_estimators(estimators, **kwargs)


def compared(**kwargs):
    return SolverComparisonDisplay.from_estimator(SGDVariantClassifier(), X, Y, **kwargs)


def walked(**kwargs):
    given = dict(solvers=[Momentum()], start=(1.0, 2.0), eta=0.1) | kwargs
    return TrajectoryDisplay.from_objective(lambda a, b: 0.5 * (a**2 + b**2), lambda w: w, **given)


@pytest.mark.parametrize(
    ("kind", "call", "words"),
    [
        (TypeError, lambda f: curves(3), "estimators=3 is not accepted: estimators must be a list"),
        (TypeError, lambda f: curves("ab"), "estimators='ab' is not accepted"),
        (ValueError, lambda f: curves([]), r"estimators=\[\] is empty: give one fitted estimator"),
        (TypeError, lambda f: curves([f], names="a"), "names='a' is not accepted: names must be a list of strings"),
        (TypeError, lambda f: curves([f], names=[1]), "name=1 is not accepted: a name must be a string"),
        (ValueError, lambda f: curves({"a": f}, names=["a"]), "names must be None when estimators is a mapping"),
        (
            TypeError,
            lambda f: compared(fit_params=3),
            "fit_params=3 is not accepted: fit_params must be None",
        ),
        (ValueError, lambda f: compared(X_test=X), "X_test and y_test must be given together"),
        (ValueError, lambda f: compared(solvers=[]), r"solvers=\[\] is not accepted: solvers must be a list of one"),
        (TypeError, lambda f: compared(solvers=3), "solvers=3 is not accepted"),
        (ValueError, lambda f: walked(solvers="adam"), "solvers='adam' is not accepted: solvers must be a list of one"),
        (
            ValueError,
            lambda f: walked(eta={"adam": 0.1}),
            "eta=.* has no step for 'momentum': give one",
        ),
        (
            ValueError,
            lambda f: walked(start=(1.0, np.nan)),
            "start=.* is not accepted: start must be two",
        ),
        (
            ValueError,
            lambda f: walked(minimum=3.0),
            "minimum=3.0 is not accepted: minimum must be None",
        ),
        (ValueError, lambda f: SearchCurveDisplay.from_cv_results({}), "give cv_results_ of a fitted search"),
    ],
)
def test_what_is_not_accepted_is_named(fitted, kind, call, words):
    with pytest.raises(kind, match=words):
        call(fitted)
    plt.close("all")


def test_solvers_by_name_take_the_step_of_their_name():
    display = walked(solvers={"a": Momentum(), "b": Adam()}, eta={"a": 0.1, "b": 0.5}, n_steps=3)
    assert list(display.paths) == ["a", "b"]
    np.testing.assert_allclose(display.paths["a"][1], [0.9, 1.8])
    np.testing.assert_allclose(display.paths["b"][1], [0.5, 1.5], rtol=1e-6)
    plt.close("all")

"""Fits where lines were not reached: models that go on, rungs that are all lost, odd memories, sparse rows in units."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from _references import problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import identity
from skvariants._fit import certificates
from skvariants.losses import SquaredError
from skvariants.solvers import Recursive


def gradient_of(model, X, y):
    """Of the objective, by its definition."""
    t = np.where(y == model.classes_[1], 1.0, -1.0)
    r = -t / (1 + np.exp(t * model.decision_function(X))) / len(y)
    return np.append(X.T @ r + model.alpha * model.coef_[0], r.sum())


def test_a_model_that_is_not_proven_goes_on_with_a_smaller_tolerance(monkeypatch):
    X, y = make_classification(3000, 60, n_informative=30, flip_y=0.05, random_state=0)
    kind = dict(solver="quasi_newton", tol=0.1)
    plain = SGDVariantClassifier(**kind).fit(X, y)
    monkeypatch.setattr(certificates, "_proven", lambda *args: False)
    further = SGDVariantClassifier(**kind).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cut = SGDVariantClassifier(**kind, max_iter=plain.n_iter_ + 1).fit(X, y)
    assert further.status_ == plain.status_ == "converged"
    assert further.n_iter_ > plain.n_iter_ == cut.n_iter_ - 1
    assert np.linalg.norm(gradient_of(further, X, y)) < 0.7 * np.linalg.norm(gradient_of(plain, X, y))


class Broken(SquaredError):
    """A loss whose slope is no number for some targets."""

    def gradient(self, y, z, out):
        super().gradient(y, z, out)
        out[np.broadcast_to(y > 100, out.shape)] = np.nan
        return out


def test_a_stream_whose_rungs_are_all_lost_keeps_its_model_and_races_on():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    model = SGDVariantRegressor(loss=Broken(), solver="sgd", random_state=0).partial_fit(X, y)
    before = model.predict(X)
    model.partial_fit(X, y + 1000)
    assert_array_equal(model.predict(X), before)
    model.partial_fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert (model.predict(X) != before).any()


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_columns_whose_squares_overflow_are_named_in_their_own_units_too(solver, method):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)) * [1.0, 1e160, 1.0], rng.standard_normal(40)
    model = SGDVariantRegressor(solver=solver, scale_features=False, random_state=0)
    with pytest.raises(ValueError, match=r"their variance overflows \(by number: \[1\]\)"):
        getattr(model, method)(X, y)


def test_what_auto_is_in_a_stream_is_auto_in_a_fit():
    X, y = make_classification(100, 4, random_state=0)
    named = SGDVariantClassifier(solver=Recursive()).fit(X, y)
    assert repr(named.solver_) == repr(SGDVariantClassifier().fit(X, y).solver_)


def test_settings_that_are_estimators_are_equal_by_their_parameters():
    one, same, other = (SGDVariantClassifier(alpha=alpha) for alpha in (0.1, 0.1, 0.2))
    assert identity(one) == identity(same) != identity(other)
    things = [object(), object()]
    assert identity(things[0]) == identity(things[0]) != identity(things[1])
    assert len({identity(things[0]), identity(things[0]), identity(things[1])}) == 2


@pytest.mark.parametrize("intercept", [True, False])
def test_gradients_of_sparse_rows_of_which_few_columns_are_centred(intercept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 30)) * (rng.random((80, 30)) < 0.05)
    X[:, 3] = 5.0 + rng.standard_normal(80)  # the others are rare, and stay
    p = problem(sp.csr_matrix(X), rng.standard_normal((80, 2)), intercept=intercept)
    mean = np.where(np.arange(30) == 3, p.coordinates.mean[:, 0], 0.0)
    p.coordinates = type(p.coordinates)(mean[:, None], p.coordinates.inverse_scale, 1.0)
    assert (p.coordinates.few_centred is not None) == intercept or not mean.any()
    rows, r = slice(10, 50), rng.standard_normal((40, 2))
    C = np.c_[(X[rows] - mean) * p.coordinates.inverse_scale[:, 0], np.full(40, float(intercept))]
    found = p.gradient(sp.csr_matrix(X[rows]), r, np.empty((31, 2)), 40)
    assert_allclose(found, C.T @ r / 40, atol=1e-12)

"""Where steps on batches have ended, the zeros of the penalty are found, and nothing is lost by it."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_classification, make_regression
from sklearn.metrics import log_loss

from _references import STEPPING, problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._training.certificate import Predicted
from skvariants._training.zeros import settled
from skvariants.losses import Hinge, LogLoss, SquaredError
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import ElasticNet, GroupLasso

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = ("minibatch", "adagrad", "adam")


@pytest.mark.parametrize("loss", [SquaredError(), LogLoss()], ids=repr)
@pytest.mark.parametrize("penalty", [
    ElasticNet(alpha=0.05, l1_ratio=1.0), ElasticNet(alpha=0.1, l1_ratio=0.5),
    GroupLasso(alpha=0.05, groups=np.arange(20) // 4),
], ids=lambda one: type(one).__name__)  # fmt: skip
def test_proximal_steps_lead_to_the_optimum_and_never_up(loss, penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 20))
    y = np.sign(X[:, :2].sum(axis=1, keepdims=True) + 0.5 * rng.standard_normal((200, 1)))
    p = problem(X, y, loss, scaled=False)
    p.penalty = penalty
    begin = rng.standard_normal((21, 1))
    kept, values = begin.copy(), []

    def objective(theta):
        at = Predicted(p, theta)
        return (at.losses(at.Z) + at.penalties()).item()

    for most in (0, 1, 3, 10, 1000):
        theta = settled(p, begin, most, 1e-12)
        values.append(objective(theta))
    assert_array_equal(begin, kept)
    assert_array_equal(settled(p, begin, 10, 0.0, deadline=0.0), begin)  # in the past
    assert (np.diff(values) <= 0).all()
    # at the optimum a proximal step of any length stays
    at, moved = Predicted(p, theta), theta.copy()
    g = p.gradient(X, at.slopes(at.Z), np.empty_like(theta), 200)
    moved -= 0.1 * g
    p.penalty.prox(moved[:-1], 0.1, smooth=True)
    assert_allclose(moved, theta, atol=1e-5)
    assert_array_equal(moved == 0, theta == 0)
    assert 0 < np.count_nonzero(theta[:-1]) < 20


@pytest.mark.parametrize("solver", [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STEPPING if name != "nag"
])  # fmt: skip
def test_a_named_solver_ends_with_the_zeros_of_the_optimum(solver):
    X, y = load_breast_cancer(return_X_y=True)
    model = SGDVariantClassifier(penalty="l1", alpha=0.02, random_state=0)
    optimum = clone(model).set_params(tol=1e-8).fit(X, y)
    named = clone(model).set_params(solver=solver).fit(X, y)
    assert named.status_ in ("converged", "plateau")
    assert named.suboptimality_ < 2e-3
    assert np.count_nonzero((named.coef_ != 0) != (optimum.coef_ != 0)) <= 2


def test_columns_sparse_rows_and_single_precision_end_alike():
    X, y = make_classification(300, 30, n_informative=4, n_redundant=0, n_classes=3, shuffle=False, random_state=0)
    model = SGDVariantClassifier(solver="adam", penalty="l1", alpha=0.02, max_iter=300, random_state=0)
    alone = clone(model).fit(X, y)
    assert 0 < np.count_nonzero(alone.coef_) < 40
    for other in (clone(model).fit(sp.csr_array(X), y), clone(model).fit(X.astype(np.float32), y)):
        assert_array_equal(other.coef_ != 0, alone.coef_ != 0)
    folds = [(np.arange(300), np.arange(0, 300, 3))]
    search = BatchedGridSearchCV(model, {"alpha": [0.02, 0.005]}, cv=folds, scoring="neg_log_loss", refit=False)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    for alpha, score in zip((0.02, 0.005), scores, strict=True):
        one = clone(model).set_params(alpha=alpha).fit(X, y)
        assert score == pytest.approx(-log_loss(y[::3], one.predict_proba(X[::3])), rel=1e-9)


def test_going_on_is_going_on_and_exact_steps_are_left_alone():
    X, y = make_regression(200, 20, n_informative=3, noise=5.0, random_state=0)
    model = SGDVariantRegressor(solver="adam", penalty="l1", alpha=1.0, random_state=0, warm_start=True)
    whole = clone(model).fit(X, y)
    assert whole.status_ in ("converged", "plateau")
    parts = clone(model).set_params(max_iter=whole.n_iter_ // 2).fit(X, y).set_params(max_iter=1000).fit(X, y)
    assert_array_equal(parts.coef_, whole.coef_)
    asked = clone(model).set_params(tol=None, max_iter=20).fit(X, y)
    for one, left in ((whole, False), (asked, True)):
        setup, state = one._state.setup, one._state.state
        assert np.array_equal(setup.coordinates.original(state.theta)[:-1, 0], one.coef_) == left


def test_a_loss_with_kinks_is_left_where_its_steps_end():
    X, y = load_breast_cancer(return_X_y=True)
    model = SGDVariantClassifier(loss=Hinge(), solver="minibatch", penalty="l1", alpha=0.02, random_state=0).fit(X, y)
    state = model._state
    assert_allclose(state.setup.coordinates.original(state.state.theta)[:-1].T, model.coef_)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_zeros_without_an_intercept_have_no_length_of_a_step(dtype, container):
    # found by a law: the reciprocal of their norm was no number of single precision
    X, y = container(np.zeros((20, 2), dtype)), np.arange(20) % 2
    params = dict(solver="adam", penalty="l1", fit_intercept=False, scale_features=False, random_state=0)
    model = SGDVariantClassifier(**params).fit(X, y)
    assert model.status_ != "diverged"
    assert_array_equal(model.coef_, 0.0)
